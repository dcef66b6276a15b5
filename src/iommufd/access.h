/* SPDX-License-Identifier: MIT */
/*
 * Accesses: users of an IOAS in software - emulated (mdev) devices, hw_queues (spec 06 section 4). No group, no domain:
 * IOVAs are looked up in the IOAS's areas, and pages stay pinned until the user lets go, which unmap asks for.
 */
#ifndef IOMMUFD_ACCESS_H
#define IOMMUFD_ACCESS_H

#include "iommufd/context.h"

struct access;
struct ioas;
struct page_identity;

struct access_ops {
	bool needs_pin_pages; /* pins whole pages: IOVAs must be page aligned in the IOAS */
	/*
	 * [iova, iova + size) is about to be unmapped: unpin all that intersects it before returning. Under
	 * machine.lock; may call access_unpin(), nothing else. NULL: it never pins.
	 */
	void (*unmap)(void *data, u64 iova, u64 size);
};

extern const struct object_class access_class;

/* Keeps the context. The id is published when this returns. */
int access_create(struct context *context, const struct access_ops *ops, void *data, struct access **ret,
		  struct why *why);
void access_destroy(struct access *access); /* detaches; NULL is legal */
u32 access_id(const struct access *access);

int access_attach(struct access *access, u32 ioas_id, struct why *why);	 /* ACCESS_ATTACHED (EINVAL) ... */
int access_replace(struct access *access, u32 ioas_id, struct why *why); /* ACCESS_DETACHED (ENOENT) ... */
void access_detach(struct access *access);

enum { ACCESS_READ = 0, ACCESS_WRITE = 1 << 0, ACCESS_SLOW = 1 << 1 };

/*
 * Pins [iova, iova + size); size in bytes. pages, if not NULL, gets one entry for each page. Errnos of spec 06
 * section 4.
 */
int access_pin(struct access *access, u64 iova, u64 size, unsigned flags, struct page_identity *pages, struct why *why);
void access_unpin(struct access *access, u64 iova, u64 size); /* a range that was pinned */
/* Copies between buffer (ours) and the IOVAs. */
int access_rw(struct access *access, u64 iova, void *buffer, u64 size, unsigned flags, struct why *why);

#endif
