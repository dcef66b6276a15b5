/* SPDX-License-Identifier: MIT */
/*
 * An IOAS: what IOVAs stand for, as the program mapped them (spec 03 section 3). Areas never overlap and are never
 * split, but for the compat unmap with huge pages off. Every paging domain of the IOAS holds every area: iommu/space.h
 * has them once for all.
 */
#ifndef IOMMUFD_IOAS_H
#define IOMMUFD_IOAS_H

#include "iommu/space.h"
#include "iommufd/context.h"
#include "iommufd/pages.h"

struct ioas {
	struct object object;  /* first */
	struct space space;    /* struct area in struct ioas_area; the domains */
	struct itree reserved; /* struct reservation, owned: may overlap each other */
	struct itree allowed;  /* struct reservation without an owner, owned */
	u64 alignment;	      /* of every IOVA and length: the largest of 1, domains' smallest pages, accesses' needs */
	bool huge_pages_off;  /* OPTION HUGE_PAGES 0 */
	struct list hwpts;    /* struct hwpt_paging, the oldest first */
	struct list accesses; /* struct access */
};

/* What a program mapped with one call, or a copy of it. */
struct ioas_area {
	struct area area;    /* first; its extent is in pages */
	struct pages *pages; /* ref */
	bool prevent_access; /* being unmapped: no new pins */
	u32 locks;	     /* of hw_queues: UNMAP is EBUSY */
	u32 pins;	     /* ranges that accesses have pinned in it */
};

/* A range nobody may map (reserved), or that automatic choice is limited to (allowed). */
struct reservation {
	struct itree_node node;
	const void *owner; /* whose it is; NULL: for the life of the IOAS */
};

extern const struct object_class ioas_class;

int ioas_new(struct context *context, struct ioas **ret, struct why *why); /* not published yet */
int ioas_find(struct context *context, u32 id, struct ioas **ret, struct why *why);

/* ---- reserved ranges (spec 03 section 3.4) ---- */

/* RESERVE_MAPPED, RESERVE_ALLOWED (EADDRINUSE): an area, or an allowed range, is there. OUT_OF_MEMORY. */
int ioas_reserve(struct ioas *ioas, u64 start, u64 last, const void *owner, struct why *why);
void ioas_unreserve(struct ioas *ioas, const void *owner); /* all ranges of that owner */

/* ---- domains (spec 03 section 4) ---- */

/*
 * From now on the domain holds every area; its aperture's outside is reserved. All or nothing. DOMAIN_PAGE_SIZE
 * (EINVAL), ALIGNMENT_MAPPED (EADDRINUSE), RESERVE_MAPPED, RESERVE_ALLOWED, what pinning and tables say. The domain was
 * made in ioas->space (domain_new_in()).
 */
int ioas_add_domain(struct ioas *ioas, struct domain *domain, struct why *why);
void ioas_remove_domain(struct ioas *ioas, struct domain *domain);

/* ---- map and unmap ---- */

/*
 * [address, address + size) of the client at iova (fixed), or where it fits: *iova is the answer either way.
 * permission: ISOLDE_PT_READ | ISOLDE_PT_WRITE. Refusals from step 5 of spec 03 section 3.5 on.
 */
int ioas_map_user(struct ioas *ioas, struct client *client, u64 address, u64 size, unsigned permission, bool fixed,
		  u64 *iova, struct why *why);
/*
 * Removes all areas inside [start, last] (spec 03 section 3.7); *ret_removed is the sum of their lengths, also when it
 * fails half-way. AREA_STRADDLES, AREA_MISSING (ENOENT); AREA_LOCKED (EBUSY); AREA_PINNED (EDEADLK).
 */
int ioas_unmap(struct ioas *ioas, u64 start, u64 last, u64 *ret_removed, struct why *why);
/* The area that holds iova; NULL: none. */
struct ioas_area *ioas_area_at(const struct ioas *ioas, u64 iova);

/* For compat unmaps with huge pages off: area borders at start and behind last (spec 03 section 12). */
int ioas_cut(struct ioas *ioas, u64 start, u64 last, struct why *why);

/* SPLIT off huge pages (OPTION HUGE_PAGES 0): HUGE_PAGES_LATE (EINVAL), ALIGNMENT_MAPPED (EADDRINUSE). */
int ioas_disable_huge_pages(struct ioas *ioas, struct why *why);

/* Recomputes alignment; for whoever adds or takes away what it depends on. ALIGNMENT_MAPPED (EADDRINUSE). */
int ioas_raise_alignment(struct ioas *ioas, u64 alignment, struct why *why); /* refuses only; changes nothing */
void ioas_update_alignment(struct ioas *ioas);

/* Page sizes all domains have in common, those below PAGE_SIZE collapsed to it (compat GET_INFO). */
u64 ioas_page_sizes(const struct ioas *ioas);

/*
 * Holes of the reserved set over all 64-bit addresses, ascending: the index-th, false behind the last. For IOVA_RANGES
 * and the compat GET_INFO.
 */
bool ioas_hole(const struct ioas *ioas, u64 from, u64 *ret_start,
	       u64 *ret_last); /* the first that has a byte >= from */

/* "IOAS 3 of qemu (pid 1234)" in a domain's texts */
const char *ioas_name(const struct ioas *ioas, char text[static OBJECT_TEXT]);

void ioas_check(const struct ioas *ioas);

#endif
