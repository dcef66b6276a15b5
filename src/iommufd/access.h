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
	 * [iova, iova + size) is about to be unmapped (size 2^64 - 1: everything): unpin all that intersects it before
	 * returning. Under machine.lock; may call access_unpin(), nothing else. NULL: it never pins.
	 */
	void (*unmap)(void *data, u64 iova, u64 size);
};

extern const struct object_class access_class;

/* Keeps the context. The id is published when this returns. */
int access_create(struct context *context, const struct access_ops *ops, void *data, struct access **ret,
		  struct why *why);
/*
 * For hw_queues: is not asked to unpin, but locks what it pins, so that unmapping it is refused. Does not keep the
 * context.
 */
int access_create_internal(struct context *context, struct access **ret, struct why *why);
void access_destroy(struct access *access); /* detaches; NULL is legal */
u32 access_id(const struct access *access);
const struct ioas *access_ioas(const struct access *access); /* NULL: attached to none */

/*
 * ACCESS_ATTACHED (EINVAL), OBJECT_MISSING (ENOENT), ALIGNMENT_MAPPED (EADDRINUSE). The IOAS is used from then on.
 */
int access_attach(struct access *access, u32 ioas_id, struct why *why);
int access_attach_ioas(struct access *access, struct ioas *ioas, struct why *why);
/* ACCESS_DETACHED (ENOENT), then as attach. The old IOAS's pages are unpinned by the callback, once the new one is
 * sure. */
int access_replace(struct access *access, u32 ioas_id, struct why *why);
void access_detach(struct access *access); /* not attached: nothing happens */

enum { ACCESS_READ = 0, ACCESS_WRITE = 1 << 0, ACCESS_SLOW = 1 << 1 };

/*
 * Pins [iova, iova + size); size in bytes. pages, if not NULL, gets one entry for each page. In this order, area by
 * area: ACCESS_NO_PIN, ACCESS_EMPTY (EINVAL), RANGE_OVERFLOWS (EOVERFLOW), ACCESS_DETACHED (ENOENT), AREA_MISSING
 * (ENOENT), ACCESS_PREVENTED, ACCESS_MISALIGNED (EINVAL), ACCESS_PERMISSION (EPERM), ACCESS_BUFFER (EINVAL), then what
 * pages_cover() says. On failure nothing is pinned.
 */
int access_pin(struct access *access, u64 iova, u64 size, unsigned flags, struct page_identity *pages, struct why *why);
void access_unpin(struct access *access, u64 iova, u64 size); /* a range that was pinned */

/*
 * Copies between buffer (ours) and the IOVAs, for the client; NULL: for a device model's thread. Errors as above where
 * they apply; areas before the one that fails are done. Without ACCESS_SLOW, a client's own mappings are copied from
 * and to what is at their addresses now, even where something else is pinned.
 */
int access_rw(struct access *access, const struct client *client, u64 iova, void *buffer, u64 size, unsigned flags,
	      struct why *why);

/* ---- for ioas.c ---- */

u64 accesses_alignment(const struct ioas *ioas);		  /* what those of the IOAS need; at least 1 */
void accesses_unmap(const struct ioas *ioas, u64 iova, u64 size); /* calls each one's unmap, once */

#endif
