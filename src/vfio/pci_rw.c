/* SPDX-License-Identifier: MIT */
/* Reads and writes of BARs and the ROM through the descriptor: spec 05 section 3. */
#include "pci/contents.h"
#include "vfio/pci.h"

u64 bar_size(const struct pci_function *function, unsigned bar)
{
	enum pci_bar_kind kind = function->bars[bar].kind;

	return kind == PCI_BAR_NONE || kind == PCI_BAR_UPPER_HALF ? 0 : function->bars[bar].size;
}

bool bar_is_memory(const struct pci_function *function, unsigned bar)
{
	enum pci_bar_kind kind = function->bars[bar].kind;

	return kind == PCI_BAR_MEMORY32 || kind == PCI_BAR_MEMORY64;
}

bool msix_table(const struct pci_function *function, struct msix_table *ret)
{
	const u8 *cap = function->config + function->cap_msix;
	u32 table;

	if (!function->cap_msix)
		return false;
	table = get_u32(cap + 4);
	*ret = (struct msix_table){
		.bar = table & 7,
		.start = table & ~7u,
		.size = ((get_u16(cap + 2) & 0x7ffu) + 1) * 16,
	};
	return true;
}

/*
 * Which part of a BAR is not for the program: the MSI-X table, when it is there. Reads of it are ones, writes are lost:
 * vectors are set up by SET_IRQS.
 */
static void excluded(const struct pci_session *session, unsigned bar, u64 *ret_start, u64 *ret_last)
{
	struct msix_table table;

	*ret_start = UINT64_MAX;
	*ret_last = 0;
	if (!msix_table(session->function, &table) || table.bar != bar)
		return;
	*ret_start = table.start;
	*ret_last = table.start + table.size - 1;
}

/* ---- one unit ---- */

static void touched(struct pci_function *function, unsigned bar, u64 offset, unsigned width)
{
	if (function->ops->bar_written)
		function->ops->bar_written(function, bar, offset, width);
}

static u64 memory_load(const void *from, unsigned width)
{
	switch (width) {
	case 8:
		return __atomic_load_n((const u64 *)from, __ATOMIC_ACQUIRE);
	case 4:
		return __atomic_load_n((const u32 *)from, __ATOMIC_ACQUIRE);
	case 2:
		return __atomic_load_n((const u16 *)from, __ATOMIC_ACQUIRE);
	default:
		return __atomic_load_n((const u8 *)from, __ATOMIC_ACQUIRE);
	}
}

static void memory_store(void *to, unsigned width, u64 value)
{
	switch (width) {
	case 8:
		__atomic_store_n((u64 *)to, value, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((u32 *)to, (u32)value, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((u16 *)to, (u16)value, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((u8 *)to, (u8)value, __ATOMIC_RELEASE);
		break;
	}
}

static u64 precise_access(struct pci_function *function, enum pci_access_kind kind, unsigned bar, u64 offset,
			  unsigned width, u64 value)
{
	struct pci_access access = {.kind = kind, .bar = bar, .offset = offset, .width = width};

	put_u64(access.data, value);
	function->ops->access(function, &access);
	return get_u64(access.data);
}

static u64 bar_load(struct pci_session *session, unsigned bar, u64 offset, unsigned width)
{
	struct pci_function *function = session->function;

	if (!bar_is_memory(function, bar))
		return function->ops->io_read ? function->ops->io_read(function, bar, offset, width) : UINT64_MAX;
	if (pci_page_kind(function, bar, offset) == PCI_PAGE_PRECISE)
		return precise_access(function, PCI_ACCESS_LOAD, bar, offset, width, 0);
	/* The model looks before we do, so that the load sees what earlier stores through a mapping did. */
	touched(function, bar, offset, width);
	return memory_load((u8 *)function->bars[bar].memory + offset, width);
}

static void bar_put(struct pci_session *session, unsigned bar, u64 offset, unsigned width, u64 value)
{
	struct pci_function *function = session->function;

	if (!bar_is_memory(function, bar)) {
		if (function->ops->io_write)
			function->ops->io_write(function, bar, offset, width, (u32)value);
		return;
	}
	if (pci_page_kind(function, bar, offset) == PCI_PAGE_PRECISE) {
		precise_access(function, PCI_ACCESS_STORE, bar, offset, width, value);
		return;
	}
	memory_store((u8 *)function->bars[bar].memory + offset, width, value);
	touched(function, bar, offset, width);
}

void bar_store(struct pci_session *session, unsigned bar, u64 offset, unsigned width, u64 value)
{
	unsigned unit = is_aligned(offset, width) ? width : 1;

	if (bar_is_memory(session->function, bar) &&
	    (!session->function->bars[bar].memory || !config_memory_enabled(session)))
		return;
	for (unsigned i = 0; i < width; i += unit)
		bar_put(session, bar, offset + i, unit, value >> 8 * i);
}

/* ---- an access ---- */

/* The widest naturally aligned unit at offset that is inside the access and outside [start, last]; 0 inside that. */
static unsigned unit_width(u64 offset, size_t size, unsigned widest, u64 start, u64 last)
{
	u64 room = size;

	if (offset >= start && offset <= last)
		return 0;
	if (offset < start)
		room = min_u64(room, start - offset);
	for (unsigned width = widest; width > 1; width /= 2)
		if (room >= width && is_aligned(offset, width))
			return width;
	return 1;
}

static int decode_bar(const struct pci_session *session, unsigned bar, u64 offset, size_t *size, struct why *why)
{
	u64 limit = bar_size(session->function, bar);

	if (offset >= limit)
		return refuse(why, REGION_OFFSET, "offset %#llx is not in BAR %u of %s, which has %#llx bytes",
			      (unsigned long long)offset, bar, session->device->name, (unsigned long long)limit);
	if (bar_is_memory(session->function, bar) && !session->function->bars[bar].memory)
		return refuse(why, BAR_UNMAPPED, "BAR %u of %s has no address", bar, session->device->name);
	*size = (size_t)min_u64(*size, limit - offset);
	return 0;
}

/* What is not done needs no memory. Per unit, because the access before may have switched memory off: COMMAND is a
 * register of the same device. */
static int check_decoding(const struct pci_session *session, unsigned bar, struct why *why)
{
	if (!bar_is_memory(session->function, bar) || config_memory_enabled(session))
		return 0;
	return refuse(why, MEMORY_DISABLED, "BAR %u of %s: the device does not decode memory (COMMAND is %#x)", bar,
		      session->device->name, pci_command(session->function));
}

static unsigned widest(const struct pci_session *session, unsigned bar)
{
	return bar_is_memory(session->function, bar) ? 8 : 4;
}

/* ---- ROM: what lies behind its images reads as ones ---- */

u64 rom_size(const struct pci_function *function)
{
	if (function->bars[PCI_ROM].size)
		return function->bars[PCI_ROM].size;
	return function->rom ? power_of_two_from(function->rom_size) : 0;
}

/* A blank one, or one that does not answer, cannot be mapped: Linux looks for an image first. */
static int decode_rom(const struct pci_session *session, u64 offset, u64 *ret_length, struct why *why)
{
	const struct pci_function *function = session->function;
	const char *name = session->device->name;
	u64 limit = rom_size(function);

	if (offset >= limit)
		return refuse(why, REGION_OFFSET, "offset %#llx is not in the ROM of %s, which has %#llx bytes",
			      (unsigned long long)offset, name, (unsigned long long)limit);
	*ret_length = function->rom_size;
	if (!function->bars[PCI_ROM].size)
		return 0;
	*ret_length = pci_rom_length(function, limit);
	if (!*ret_length)
		return refuse(why, ROM_INVALID, "the ROM of %s holds no image", name);
	if (!config_memory_enabled(session))
		return refuse(why, ROM_INVALID, "the ROM of %s does not answer: the device does not decode memory",
			      name);
	return 0;
}

static s64 rom_read(const struct pci_session *session, u64 offset, u8 *to, size_t size, struct why *why)
{
	u64 length = 0;
	int err = decode_rom(session, offset, &length, why);

	if (err < 0)
		return err;
	size = (size_t)min_u64(size, rom_size(session->function) - offset);
	for (size_t i = 0; i < size; i++)
		to[i] = offset + i < length ? pci_rom_byte(session->function, offset + i) : 0xff;
	return (s64)size;
}

s64 bar_read(struct pci_session *session, unsigned region, u64 offset, void *buffer, size_t size, struct why *why)
{
	u64 start, last;
	u8 *to = buffer;
	int err;

	if (region == PCI_ROM)
		return rom_read(session, offset, to, size, why);
	err = decode_bar(session, region, offset, &size, why);
	if (err < 0)
		return err;
	excluded(session, region, &start, &last);
	for (size_t done = 0; done < size;) {
		u64 at = offset + done;
		unsigned width = unit_width(at, size - done, widest(session, region), start, last);
		u64 value = UINT64_MAX;

		err = width ? check_decoding(session, region, why) : 0;
		if (err < 0)
			return err;
		if (width)
			value = bar_load(session, region, at, width);
		else
			width = (unsigned)min_u64(8, min_u64(size - done, last + 1 - at));
		memcpy(to + done, &value, width);
		done += width;
	}
	return (s64)size;
}

s64 bar_write(struct pci_session *session, unsigned region, u64 offset, const void *buffer, size_t size,
	      struct why *why)
{
	const u8 *from = buffer;
	u64 start, last;
	int err;

	if (region == PCI_ROM)
		return refuse(why, ROM_READ_ONLY, "the ROM of %s cannot be written", session->device->name);
	err = decode_bar(session, region, offset, &size, why);
	if (err < 0)
		return err;
	excluded(session, region, &start, &last);
	for (size_t done = 0; done < size;) {
		u64 at = offset + done, value = 0;
		unsigned width = unit_width(at, size - done, widest(session, region), start, last);

		err = width ? check_decoding(session, region, why) : 0;
		if (err < 0)
			return err;
		if (width) {
			memcpy(&value, from + done, width);
			bar_put(session, region, at, width, value);
		} else {
			width = (unsigned)min_u64(8, min_u64(size - done, last + 1 - at));
		}
		done += width;
	}
	return (s64)size;
}
