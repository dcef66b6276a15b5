/* SPDX-License-Identifier: MIT */
/*
 * Pages: the memory behind areas - a run of a client's addresses, of a file, or of a device's registers (dma-buf) -
 * with who pays for it. IOAS_COPY shares them, also across IOASes. A page is pinned once, by however many domains and
 * accesses cover it: then it is charged, and was checked to be there. An IOAS without domain and access pins nothing,
 * so that what cannot be pinned is refused when the first one comes (spec 03 section 3).
 */
#ifndef IOMMUFD_PAGES_H
#define IOMMUFD_PAGES_H

#include "mem/charge.h"
#include "mem/frames.h"

struct iommu;
struct shared_buffer; /* mem/buffer.h: what a dma-buf is */

enum pages_kind { PAGES_USER, PAGES_FILE, PAGES_BUFFER };

struct pages; /* iommufd/pages.c; counted references */

/*
 * Where page `index` of the pages really is: what two mappings of the same memory have in common. For the selftest's
 * checks and for hw_queues.
 */
struct page_identity {
	const void *space; /* a client's address space, or NULL */
	u64 device, inode; /* of a file */
	u64 page;	   /* number in the address space or file */
};

#endif
