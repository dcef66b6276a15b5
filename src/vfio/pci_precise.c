/* SPDX-License-Identifier: MIT */
/*
 * Precise pages of a device's BARs: those whose every access is a call of the model. A program maps them like others;
 * what is really mapped is the alias, region 16 + i for BAR i, which lies beyond the end of the memory file. Whoever
 * catches the fault (a tracer, a signal handler) comes here with the alias's offset.
 */
#include "vfio/pci.h"

#define ALIAS_REGION (unsigned)(FILE_ALIAS_MIN >> REGION_SHIFT)

_Static_assert(ALIAS_REGION > VFIO_PCI_NUM_REGIONS, "an alias is no region");
_Static_assert(((u64)ALIAS_REGION + PCI_BARS) << REGION_SHIFT <= FILE_ALIAS_MAX, "each BAR has one");

bool pci_precise_run(const struct pci_session *session, u64 start, u64 last, struct file_run *ret)
{
	const struct pci_function *function = session->function;
	u64 region = start >> REGION_SHIFT, base = region << REGION_SHIFT;
	u64 page = align_down(start, PAGE_SIZE), behind;

	if (region >= PCI_BARS || !function->ops->page_kind)
		return false;
	behind = min_u64(align_down(last, PAGE_SIZE), base + bar_size(function, (unsigned)region) - 1) + 1;
	while (page < behind && pci_page_kind(function, (unsigned)region, page - base) != PCI_PAGE_PRECISE)
		page += PAGE_SIZE;
	if (page >= behind)
		return false;
	ret->start = page;
	ret->alias = page + FILE_ALIAS_MIN;
	do
		page += PAGE_SIZE;
	while (page < behind && pci_page_kind(function, (unsigned)region, page - base) == PCI_PAGE_PRECISE);
	ret->last = page - 1;
	return true;
}

/* The widest naturally aligned access at offset that has no more than width bytes. */
static unsigned piece_width(u64 offset, unsigned width)
{
	unsigned piece = 64;

	while (piece > width || !is_aligned(offset, piece))
		piece /= 2;
	return piece;
}

static const enum pci_access_kind kinds[] = {
	[FILE_LOAD] = PCI_ACCESS_LOAD,
	[FILE_STORE] = PCI_ACCESS_STORE,
	[FILE_ENQUEUE] = PCI_ACCESS_ENQUEUE,
};

/* As it arrives at the device: a processor cuts up what is not aligned. */
static void access_in_pieces(struct pci_function *function, unsigned bar, u64 offset, struct file_access *access)
{
	for (unsigned done = 0, width; done < access->width; done += width) {
		struct pci_access piece = {.kind = kinds[access->kind], .bar = bar, .offset = offset + done};

		width = piece.width = piece_width(offset + done, access->width - done);
		memcpy(piece.data, access->data + done, width);
		access->accepted = function->ops->access(function, &piece);
		if (access->kind == FILE_LOAD)
			memcpy(access->data + done, piece.data, width);
	}
}

/* While the registers are at home, hardware answers with an error, and Linux with SIGBUS. */
int pci_access(struct pci_session *session, struct file_access *access, struct why *why)
{
	struct pci_function *function = session->function;
	u64 region = (access->alias >> REGION_SHIFT) - ALIAS_REGION, offset = access->alias & (BIT(REGION_SHIFT) - 1);

	assert(access->width && access->width <= sizeof(access->data));
	if (region >= PCI_BARS || offset >= bar_size(function, (unsigned)region) ||
	    pci_page_kind(function, (unsigned)region, offset) != PCI_PAGE_PRECISE)
		return refuse(why, REGION_OFFSET, "%#llx of %s is no register that each access reaches",
			      (unsigned long long)access->alias, session->device->name);
	if (session->revoked)
		return refuse(why, MEMORY_DISABLED,
			      "BAR %llu of %s, offset %#llx: the device does not decode memory (%s)",
			      (unsigned long long)region, session->device->name, (unsigned long long)offset,
			      session->low_power == LOW_POWER_NONE ? "COMMAND or power state" : "low power");
	access_in_pieces(function, (unsigned)region, offset, access);
	return 0;
}
