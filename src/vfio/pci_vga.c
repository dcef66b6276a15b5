/* SPDX-License-Identifier: MIT */
/*
 * The VGA region: the legacy addresses of a display controller, by a window that begins at address 0 (spec 05 section
 * 3). Linux asks its VGA arbiter for them first; here every device has its own, so nobody waits. Memory decoding is not
 * looked at.
 */
#include "pci/vga.h"

#include "vfio/pci.h"

bool vga_is_offered(const struct pci_session *session)
{
	return session->function->vga && !session->device->pci.disable_vga;
}

/* The storage behind the access, whose size is cut at the end of its range. */
static int decode(const struct pci_session *session, u64 offset, size_t *size, u8 **ret, struct why *why)
{
	const struct pci_vga_range *range = pci_vga_range_at(offset);

	if (!range)
		return refuse(why, REGION_OFFSET, "%#llx is no address of VGA: a0000 to bffff, 3b0 to 3bb, 3c0 to 3df",
			      (unsigned long long)offset);
	*size = (size_t)min_u64(*size, range->last + 1 - offset);
	*ret = session->function->vga + range->storage + (offset - range->start);
	return 0;
}

s64 vga_read(struct pci_session *session, u64 offset, void *buffer, size_t size, struct why *why)
{
	u8 *at = NULL;
	int err = decode(session, offset, &size, &at, why);

	if (err < 0)
		return err;
	memcpy(buffer, at, size);
	return (s64)size;
}

s64 vga_write(struct pci_session *session, u64 offset, const void *buffer, size_t size, struct why *why)
{
	u8 *at = NULL;
	int err = decode(session, offset, &size, &at, why);

	if (err < 0)
		return err;
	memcpy(at, buffer, size);
	return (s64)size;
}
