/* SPDX-License-Identifier: MIT */
/*
 * The channel. A chain of descriptors is done one after the other, each in chunks, as far as DMACOUNT allows; then the
 * channel is DONE, and a larger DMACOUNT makes it go on from where it is. An error halts it, and a suspend stops it
 * between two descriptors: from either, DMACOUNT starts a chain anew at CHAINADDR. A channel that an error or a reset
 * has halted is ARMED once it knows of a chain; a driver may want to see that before it counts.
 *
 * Descriptors are the driver's memory: each is fetched once and judged from the copy.
 */
#include "dev/ioat.h"

static u64 status(const struct ioat *ioat)
{
	return (ioat->completed & IOAT_CHANSTS_ADDRESS) | ioat->state;
}

void ioat_show_state(struct ioat *ioat, enum ioat_state state)
{
	ioat->state = state;
	put_u64(ioat_register(ioat, IOAT_CHANSTS), status(ioat));
}

static void stop(struct ioat *ioat, enum ioat_state state)
{
	ioat->busy = ioat->suspending = false;
	ioat_show_state(ioat, state);
}

/* ---- interrupts: each time CHANCTRL bit 0 is cleared lets one through ---- */

static void interrupt(struct ioat *ioat)
{
	enum pci_irq_mode mode = pci_irq_current(&ioat->function->irq);
	u8 control = *ioat_register(ioat, IOAT_INTRCTRL);
	u8 *channel = ioat_register(ioat, IOAT_CHANCTRL);

	if (*channel & IOAT_CHANCTRL_INT_DISABLED)
		return;
	*channel |= IOAT_CHANCTRL_INT_DISABLED;
	put_u32(ioat_register(ioat, IOAT_ATTNSTATUS), 1);
	ioat_update_line(ioat);
	/* The master bit is for the vector that all channels share; with one each it has no say. */
	if ((mode == PCI_IRQ_MSIX && control & (IOAT_INTRCTRL_MSIX_VECTORS | IOAT_INTRCTRL_MASTER)) ||
	    (mode == PCI_IRQ_MSI && control & IOAT_INTRCTRL_MASTER))
		pci_irq_message(&ioat->function->irq, 0);
}

/* ---- completions and errors ---- */

static bool write_completion(struct ioat *ioat, u64 value)
{
	u64 address = get_u64(ioat_register(ioat, IOAT_CHANCMP));

	return is_aligned(address, sizeof(value)) && dma_write(ioat->port, address, &value, sizeof(value)) == DMA_OK;
}

void ioat_halt(struct ioat *ioat, u32 errors)
{
	u16 control = get_u16(ioat_register(ioat, IOAT_CHANCTRL));
	u32 mask = get_u32(ioat_register(ioat, IOAT_CHANERR_MASK));
	u8 *shown = ioat_register(ioat, IOAT_CHANERR);

	stop(ioat, IOAT_HALTED);
	if (control & IOAT_CHANCTRL_ERR_COMPLETION && !write_completion(ioat, status(ioat)))
		errors |= IOAT_ERR_COMPLETION_ADDRESS;
	put_u32(shown, get_u32(shown) | errors);
	ioat->errors_internal |= errors;
	if (control & IOAT_CHANCTRL_ERR_INT && errors & ~mask)
		interrupt(ioat);
}

/* ---- one descriptor ---- */

u32 ioat_judge(const struct ioat *ioat, const struct ioat_descriptor *descriptor)
{
	u8 opcode = ioat_opcode(descriptor->control);

	if (opcode > IOAT_OP_FILL || descriptor->control & IOAT_CONTROL_RESERVED)
		return IOAT_ERR_CONTROL;
	if (!descriptor->size || descriptor->size > BIT(ioat->xfercap))
		return IOAT_ERR_LENGTH;
	if (descriptor->control & IOAT_CONTROL_NULL)
		return 0;
	if (opcode == IOAT_OP_COPY && range_overflows(descriptor->source, descriptor->size))
		return IOAT_ERR_SOURCE_ADDRESS;
	return range_overflows(descriptor->destination, descriptor->size) ? IOAT_ERR_DESTINATION_ADDRESS : 0;
}

/* False: there is none, because of an error or because the device may not master the bus. */
static bool fetch(struct ioat *ioat)
{
	enum dma_result result;
	u32 errors;

	if (!is_aligned(ioat->next, sizeof(ioat->descriptor))) {
		ioat_halt(ioat, ioat->first ? IOAT_ERR_CHAIN_ADDRESS : IOAT_ERR_NEXT_ALIGNMENT);
		return false;
	}
	put_u64(ioat_register(ioat, IOAT_CDAR), ioat->next);
	result = dma_read(ioat->port, ioat->next, &ioat->descriptor, sizeof(ioat->descriptor));
	if (result == DMA_FAULT)
		ioat_halt(ioat, ioat->first ? IOAT_ERR_CHAIN_ADDRESS : IOAT_ERR_NEXT_ADDRESS);
	if (result != DMA_OK)
		return false;
	errors = ioat_judge(ioat, &ioat->descriptor);
	if (errors) {
		ioat_halt(ioat, errors);
		return false;
	}
	ioat->first = false;
	ioat->busy = true;
	ioat->address = ioat->next;
	ioat->done = ioat->descriptor.control & IOAT_CONTROL_NULL ? ioat->descriptor.size : 0;
	return true;
}

static enum dma_result fill(struct ioat *ioat, u64 destination, u32 size, struct dma_fault *ret_fault)
{
	const struct dma_segment segment = {destination, ioat->buffer, size};

	for (u64 at = 0; at < size; at += sizeof(u64))
		put_u64(ioat->buffer + at, ioat->descriptor.source);
	return dma_request(ioat->port, 0, &segment, 1, DMA_WRITE, ret_fault);
}

/* The next chunk of the descriptor in work. False as for fetch(). */
static bool move(struct ioat *ioat)
{
	const struct ioat_descriptor *descriptor = &ioat->descriptor;
	u32 size = (u32)min_u64(descriptor->size - ioat->done, IOAT_CHUNK);
	u64 destination = descriptor->destination + ioat->done;
	enum dma_result result;
	struct dma_fault fault;

	if (ioat_opcode(descriptor->control) == IOAT_OP_FILL)
		result = fill(ioat, destination, size, &fault);
	else
		result = dma_copy(ioat->port, 0, destination, descriptor->source + ioat->done, ioat->buffer, size,
				  &fault);
	if (result == DMA_FAULT)
		ioat_halt(ioat, fault.direction == DMA_READ ? IOAT_ERR_READ_DATA : IOAT_ERR_WRITE_DATA);
	if (result != DMA_OK)
		return false;
	ioat->done += size;
	return true;
}

static bool all_done(struct ioat *ioat)
{
	return ioat->executed == get_u16(ioat_register(ioat, IOAT_DMACOUNT));
}

static void finish(struct ioat *ioat)
{
	u32 control = ioat->descriptor.control;

	ioat->busy = false;
	ioat->executed++;
	ioat->next = ioat->descriptor.next;
	ioat->completed = ioat->address;
	if (ioat->suspending)
		stop(ioat, IOAT_SUSPENDED);
	else
		ioat_show_state(ioat, all_done(ioat) ? IOAT_DONE : IOAT_ACTIVE);
	if (control & IOAT_CONTROL_COMPLETION && !write_completion(ioat, status(ioat))) {
		ioat_halt(ioat, IOAT_ERR_COMPLETION_ADDRESS);
		return;
	}
	if (control & IOAT_CONTROL_INT)
		interrupt(ioat);
}

bool ioat_channel_run(struct ioat *ioat)
{
	bool progress = false;
	u64 moved = 0;

	for (unsigned n = 0; ioat->state == IOAT_ACTIVE && n < IOAT_BATCH && moved < IOAT_CHUNK; n++) {
		if (!ioat->busy && !fetch(ioat))
			break;
		moved += min_u64(ioat->descriptor.size - ioat->done, IOAT_CHUNK);
		if (ioat->done < ioat->descriptor.size && !move(ioat))
			break;
		if (ioat->done == ioat->descriptor.size)
			finish(ioat);
		progress = true;
	}
	return progress;
}

/* ---- commands ---- */

/* No transfer and no interrupt after this. */
void ioat_channel_reset(struct ioat *ioat)
{
	memset(ioat_register(ioat, IOAT_CHANCTRL), 0, IOAT_REGISTERS_SIZE - IOAT_CHANCTRL);
	put_u16(ioat_register(ioat, IOAT_DMACOMP), IOAT_DMACOMP_V2);
	put_u32(ioat_register(ioat, IOAT_ATTNSTATUS), 0);
	ioat_update_line(ioat);
	ioat->completed = 0;
	stop(ioat, IOAT_HALTED);
}

static bool may_start(const struct ioat *ioat)
{
	return ioat->state != IOAT_HALTED || !get_u32(ioat->registers + IOAT_CHANERR);
}

void ioat_channel_arm(struct ioat *ioat)
{
	if (ioat->state != IOAT_HALTED || !may_start(ioat))
		return;
	ioat->completed = 0;
	ioat_show_state(ioat, IOAT_ARMED);
}

static void start_chain(struct ioat *ioat)
{
	ioat->executed = 0;
	ioat->first = true;
	ioat->completed = 0;
	ioat->next = get_u64(ioat_register(ioat, IOAT_CHAINADDR));
}

/* What halted the channel must be cleared before it starts again. */
void ioat_channel_count(struct ioat *ioat)
{
	if (!may_start(ioat))
		return;
	if (ioat->worker.unattended) {
		ioat_halt(ioat, IOAT_ERR_COMMAND);
		return;
	}
	if (ioat->state >= IOAT_SUSPENDED)
		start_chain(ioat);
	if (ioat->busy)
		return;
	ioat_show_state(ioat, all_done(ioat) ? IOAT_DONE : IOAT_ACTIVE);
	worker_wake(&ioat->worker);
}

/* A halted channel stays so: its driver has to see that. One that is armed has nothing to suspend. */
void ioat_channel_suspend(struct ioat *ioat)
{
	if (ioat->busy)
		ioat->suspending = true;
	else if (ioat->state == IOAT_ACTIVE || ioat->state == IOAT_DONE)
		stop(ioat, IOAT_SUSPENDED);
}
