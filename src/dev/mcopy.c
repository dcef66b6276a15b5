/* SPDX-License-Identifier: MIT */
/*
 * All calls come under machine.lock and the device has no thread, so it needs no lock of its own.
 *
 * The window may be taken away at any time: the program unmaps it, attaches another address space, closes the device.
 * The device must let go before it returns from being told, and says so by an event.
 */
#include "dev/mcopy.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "iommu/soft.h"

#define PIECE 65536u /* moved at a time */

struct mcopy {
	struct pci_function *function; /* borrowed */
	struct soft_memory *memory;    /* borrowed */
	u64 source, destination;
	u32 length, pattern, status, done, events, enable, lost;
	u64 window;
	u32 window_size; /* 0: nothing is pinned */
	u8 piece[PIECE];
};

/* ---- interrupts ---- */

static void update_level(struct mcopy *mcopy)
{
	pci_irq_level(&mcopy->function->irq, mcopy->events & mcopy->enable);
}

/* An edge for MSI at each event, a level for INTx until it is acknowledged. */
static void raise_event(struct mcopy *mcopy, u32 event)
{
	mcopy->events |= event;
	if (mcopy->enable & event)
		pci_irq_message(&mcopy->function->irq, 0);
	update_level(mcopy);
}

/* ---- the window ---- */

static bool window_holds(const struct mcopy *mcopy, u64 iova, u64 size)
{
	return size <= mcopy->window_size && iova >= mcopy->window && iova - mcopy->window <= mcopy->window_size - size;
}

static void window_drop(struct mcopy *mcopy)
{
	u32 size = mcopy->window_size;

	mcopy->window_size = 0;
	if (size)
		soft_unpin(mcopy->memory, mcopy->window, size);
}

static void window_unmapped(void *device, u64 iova, u64 size)
{
	struct mcopy *mcopy = device;

	if (!size || !mcopy->window_size ||
	    !ranges_overlap(mcopy->window, mcopy->window + mcopy->window_size - 1, iova, iova + size - 1))
		return;
	window_drop(mcopy);
	mcopy->lost++;
	raise_event(mcopy, MCOPY_EVENT_LOST);
}

/* ---- commands ---- */

static bool move(struct mcopy *mcopy, u64 iova, u32 size, unsigned flags)
{
	if (window_holds(mcopy, iova, size))
		flags |= SOFT_PINNED;
	return soft_move(mcopy->memory, iova, mcopy->piece, size, flags) == DMA_OK;
}

static enum mcopy_status do_copy(struct mcopy *mcopy)
{
	if (range_overflows(mcopy->source, mcopy->length))
		return MCOPY_NO_SOURCE;
	if (range_overflows(mcopy->destination, mcopy->length))
		return MCOPY_NO_TARGET;
	while (mcopy->done < mcopy->length) {
		u32 size = (u32)min_u64(mcopy->length - mcopy->done, PIECE);

		if (!move(mcopy, mcopy->source + mcopy->done, size, 0))
			return MCOPY_NO_SOURCE;
		if (!move(mcopy, mcopy->destination + mcopy->done, size, SOFT_WRITE))
			return MCOPY_NO_TARGET;
		mcopy->done += size;
	}
	return MCOPY_OK;
}

static enum mcopy_status do_fill(struct mcopy *mcopy)
{
	if (range_overflows(mcopy->destination, mcopy->length))
		return MCOPY_NO_TARGET;
	for (u32 at = 0; at < PIECE; at += sizeof(mcopy->pattern))
		put_u32(mcopy->piece + at, mcopy->pattern);
	while (mcopy->done < mcopy->length) {
		u32 size = (u32)min_u64(mcopy->length - mcopy->done, PIECE);

		if (!move(mcopy, mcopy->destination + mcopy->done, size, SOFT_WRITE))
			return MCOPY_NO_TARGET;
		mcopy->done += size;
	}
	return MCOPY_OK;
}

static enum mcopy_status do_pin(struct mcopy *mcopy)
{
	if (mcopy->window_size || range_overflows(mcopy->source, mcopy->length) ||
	    soft_pin(mcopy->memory, mcopy->source, mcopy->length, SOFT_WRITE) != DMA_OK)
		return MCOPY_NO_WINDOW;
	mcopy->window = mcopy->source;
	mcopy->window_size = mcopy->length;
	return MCOPY_OK;
}

static enum mcopy_status do_unpin(struct mcopy *mcopy)
{
	if (!mcopy->window_size)
		return MCOPY_NO_WINDOW;
	window_drop(mcopy);
	return MCOPY_OK;
}

static enum mcopy_status run(struct mcopy *mcopy, u32 command)
{
	if (command == MCOPY_UNPIN)
		return do_unpin(mcopy);
	if (!mcopy->length || mcopy->length > MCOPY_LONGEST)
		return MCOPY_BAD_COMMAND;
	switch (command) {
	case MCOPY_COPY:
		return do_copy(mcopy);
	case MCOPY_FILL:
		return do_fill(mcopy);
	case MCOPY_PIN:
		return do_pin(mcopy);
	default:
		return MCOPY_BAD_COMMAND;
	}
}

/* ---- registers ---- */

/* Registers are whole words: of a narrower or misaligned access the rest is zero, or lost. */
static u32 mcopy_read(struct pci_function *function, unsigned bar, u64 offset, unsigned width)
{
	const struct mcopy *mcopy = function->model;
	const u32 registers[MCOPY_REGISTERS / 4] = {
		[MCOPY_MAGIC / 4] = MCOPY_MAGIC_VALUE,
		[MCOPY_VERSION / 4] = 1,
		[MCOPY_STATUS / 4] = mcopy->status,
		[MCOPY_SOURCE / 4] = (u32)mcopy->source,
		[MCOPY_SOURCE / 4 + 1] = (u32)(mcopy->source >> 32),
		[MCOPY_DESTINATION / 4] = (u32)mcopy->destination,
		[MCOPY_DESTINATION / 4 + 1] = (u32)(mcopy->destination >> 32),
		[MCOPY_LENGTH / 4] = mcopy->length,
		[MCOPY_PATTERN / 4] = mcopy->pattern,
		[MCOPY_DONE / 4] = mcopy->done,
		[MCOPY_EVENTS / 4] = mcopy->events,
		[MCOPY_ENABLE / 4] = mcopy->enable,
		[MCOPY_LOST / 4] = mcopy->lost,
		[MCOPY_WINDOW / 4] = (u32)mcopy->window,
		[MCOPY_WINDOW / 4 + 1] = (u32)(mcopy->window >> 32),
		[MCOPY_WINDOW_SIZE / 4] = mcopy->window_size,
	};
	u32 word = offset / 4 < ARRAY_SIZE(registers) ? registers[offset / 4] : 0;

	return word >> 8 * (offset % 4);
}

static void set_low(u64 *address, u32 value)
{
	*address = (*address & ~(u64)UINT32_MAX) | value;
}

static void set_high(u64 *address, u32 value)
{
	*address = (*address & UINT32_MAX) | (u64)value << 32;
}

static void do_command(struct mcopy *mcopy, u32 command)
{
	mcopy->done = 0;
	mcopy->status = run(mcopy, command);
	raise_event(mcopy, MCOPY_EVENT_DONE);
}

static void mcopy_write(struct pci_function *function, unsigned bar, u64 offset, unsigned width, u32 value)
{
	struct mcopy *mcopy = function->model;

	if (width != sizeof(value))
		return;
	switch (offset) {
	case MCOPY_COMMAND:
		do_command(mcopy, value);
		break;
	case MCOPY_SOURCE:
		set_low(&mcopy->source, value);
		break;
	case MCOPY_SOURCE + 4:
		set_high(&mcopy->source, value);
		break;
	case MCOPY_DESTINATION:
		set_low(&mcopy->destination, value);
		break;
	case MCOPY_DESTINATION + 4:
		set_high(&mcopy->destination, value);
		break;
	case MCOPY_LENGTH:
		mcopy->length = value;
		break;
	case MCOPY_PATTERN:
		mcopy->pattern = value;
		break;
	case MCOPY_EVENTS:
		mcopy->events &= ~value;
		update_level(mcopy);
		break;
	case MCOPY_ENABLE:
		mcopy->enable = value & (MCOPY_EVENT_DONE | MCOPY_EVENT_LOST);
		update_level(mcopy);
		break;
	default:
		break;
	}
}

/* ---- life ---- */

static void power_on(struct mcopy *mcopy)
{
	mcopy->source = mcopy->destination = mcopy->window = 0;
	mcopy->length = mcopy->pattern = mcopy->status = mcopy->done = mcopy->lost = 0;
	mcopy->events = mcopy->enable = 0;
	update_level(mcopy);
}

static void mcopy_reset(struct pci_function *function)
{
	struct mcopy *mcopy = function->model;

	window_drop(mcopy);
	power_on(mcopy);
}

static void mcopy_closed(struct pci_function *function)
{
	window_drop(function->model);
}

static void mcopy_free(struct pci_function *function)
{
	free(function->model);
	function->model = NULL;
}

static const struct pci_model_ops mcopy_ops = {
	.name = "mcopy",
	.io_read = mcopy_read,
	.io_write = mcopy_write,
	.reset = mcopy_reset,
	.closed = mcopy_closed,
	.free = mcopy_free,
};

static void mcopy_build(struct pci_function *function, const struct model_options *options)
{
	pci_add_bar(function, 0, PCI_BAR_IO, MCOPY_BAR_SIZE, false);
	pci_add_msi(function, 0, true);
}

static int mcopy_attach(struct pci_function *function, struct soft_memory *memory, const struct model_options *options,
			struct why *why)
{
	struct mcopy *mcopy = alloc_new(struct mcopy, why);

	if (!mcopy)
		return -why->err;
	mcopy->function = function;
	mcopy->memory = memory;
	memory->unmapped = window_unmapped;
	memory->device = mcopy;
	function->ops = &mcopy_ops;
	function->model = mcopy;
	return 0;
}

static const char *const mcopy_keys[] = {NULL};

const struct model mcopy_model = {
	.name = "mcopy",
	.summary = "emulated (mdev): copies and fills memory in software, by reads, writes and a pinned window",
	.identity = {.vendor = 0x1234, .device = 0x6d63, .class_code = 0x088000, .revision = 0x01},
	.keys = mcopy_keys,
	.build = mcopy_build,
	.attach_soft = mcopy_attach,
};
