/* SPDX-License-Identifier: MIT */
#include "dev/registers.h"

static bool covers(const struct register_row *row, const struct pci_access *access)
{
	return access->offset < row->offset + row->width && row->offset < access->offset + access->width;
}

void registers_load(const struct registers *registers, void *model, struct pci_access *access)
{
	memset(access->data, 0, sizeof(access->data));
	if (access->offset >= registers->size)
		return;
	memcpy(access->data, registers->image + access->offset,
	       (size_t)min_u64(access->width, registers->size - access->offset));
	for (unsigned i = 0; i < registers->nrows; i++)
		if (registers->rows[i].loaded && covers(&registers->rows[i], access))
			registers->rows[i].loaded(model);
}

/* What of the access falls on the register; zeroes elsewhere. */
static u64 written_part(const struct register_row *row, const struct pci_access *access, u64 *ret_lanes)
{
	u64 written = 0;

	*ret_lanes = 0;
	for (unsigned byte = 0; byte < row->width; byte++) {
		u64 at = row->offset + byte - access->offset;

		if (at >= access->width) /* before it as well */
			continue;
		written |= (u64)access->data[at] << 8 * byte;
		*ret_lanes |= 0xffull << 8 * byte;
	}
	return written;
}

static void store(const struct registers *registers, const struct register_row *row, u64 written, u64 lanes)
{
	u8 *at = registers->image + row->offset;
	u64 value = 0, writable = row->writable & lanes;

	memcpy(&value, at, row->width);
	value = (value & ~writable) | (written & writable);
	value &= ~(row->clears & written);
	memcpy(at, &value, row->width);
}

void registers_store(const struct registers *registers, void *model, const struct pci_access *access)
{
	for (unsigned i = 0; i < registers->nrows; i++) {
		const struct register_row *row = &registers->rows[i];
		u64 lanes, written;

		if (!covers(row, access))
			continue;
		written = written_part(row, access, &lanes);
		store(registers, row, written, lanes);
		if (row->stored)
			row->stored(model, written, lanes);
	}
}
