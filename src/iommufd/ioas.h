/* SPDX-License-Identifier: MIT */
/*
 * An IOAS: what IOVAs stand for, as the program mapped them (spec 03 section 3). Areas never overlap and are never
 * split, but for the compat unmap with huge pages off. Every paging domain of the IOAS holds every area: iommu/space.h
 * has them once for all.
 */
#ifndef IOMMUFD_IOAS_H
#define IOMMUFD_IOAS_H

#include "iommu/domain.h"
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

/* A range nobody may map (reserved), or that automatic choice is limited to (allowed). */
struct reservation {
	struct itree_node node;
	const void *owner; /* whose it is; NULL: for the life of the IOAS */
};

extern const struct object_class ioas_class;

static inline struct ioas *ioas_of(struct object *object)
{
	return container_of(object, struct ioas, object);
}

static inline struct ioas_area *ioas_area_of(struct itree_node *node)
{
	return container_of(node, struct ioas_area, area.node);
}

static inline struct iommufd *ioas_iommufd(const struct ioas *ioas)
{
	return ioas->object.context->iommufd;
}

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
 * made in ioas->space (domain_new_in()), so that it is among the space's domains; until this call it is empty, and no
 * area comes or goes.
 */
int ioas_add_domain(struct ioas *ioas, struct domain *domain, struct why *why);
/* It is empty again, and still among the space's domains: free it next. */
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
 * fails half-way. AREA_STRADDLES (ENOENT); AREA_LOCKED (EBUSY); AREA_PINNED (EDEADLK). Nothing there is no failure.
 */
int ioas_unmap(struct ioas *ioas, u64 start, u64 last, u64 *ret_removed, struct why *why);

/* The area that holds iova; NULL: none. */
static inline struct ioas_area *ioas_area_at(const struct ioas *ioas, u64 iova)
{
	struct area *area = space_area_at(&ioas->space, iova);

	return area ? container_of(area, struct ioas_area, area) : NULL;
}

/*
 * For compat unmaps with huge pages off: area borders behind iova, the last byte of what stays whole (spec 03 section
 * 12). Nothing there is no failure. CUT_BUSY (EBUSY), CUT_BUFFER (EOPNOTSUPP), CUT_MISALIGNED, CUT_PINNED, CUT_HUGE
 * (EINVAL).
 */
int ioas_cut(struct ioas *ioas, u64 iova, struct why *why);

/* OPTION HUGE_PAGES 0: HUGE_PAGES_LATE (EINVAL), ALIGNMENT_MAPPED (EADDRINUSE). */
int ioas_disable_huge_pages(struct ioas *ioas, struct why *why);
void ioas_enable_huge_pages(struct ioas *ioas);

/*
 * For whoever adds or takes away what the alignment depends on: may it be that large, with the areas there are?
 * ALIGNMENT_MAPPED (EADDRINUSE); changes nothing.
 */
int ioas_check_alignment(const struct ioas *ioas, u64 alignment, struct why *why);
void ioas_update_alignment(struct ioas *ioas);

/* Page sizes all domains have in common, those below PAGE_SIZE collapsed to it (compat GET_INFO). */
u64 ioas_page_sizes(const struct ioas *ioas);

/*
 * Holes of the reserved set over all 64-bit addresses, ascending: the first at or above from, as long as it is; false:
 * there is none. For IOVA_RANGES and the compat GET_INFO.
 */
static inline bool ioas_hole(const struct ioas *ioas, u64 from, u64 *ret_start, u64 *ret_last)
{
	return itree_gap(&ioas->reserved, from, UINT64_MAX, ret_start, ret_last);
}

/* "IOAS 3 of qemu (pid 1234)" in a domain's texts */
const char *ioas_name(const struct ioas *ioas, char text[static OBJECT_TEXT]);

void ioas_check(const struct ioas *ioas);

/* ---- inside ---- */

/*
 * The lowest free IOVA for so many bytes that come from address (spec 03 section 3.6). RANGE_OVERFLOWS (EOVERFLOW),
 * IOAS_MISALIGNED (EINVAL), IOVA_NONE_FREE (ENOSPC).
 */
int ioas_choose_iova(const struct ioas *ioas, u64 address, u64 size, u64 *ret, struct why *why);

/* The domains let go of a buffer's area, whose memory was taken away; and what an area of one needs for that. */
void ioas_buffer_revoked(struct buffer_importer *importer);
int ioas_view_new(struct ioas *ioas, struct ioas_area *area, struct why *why); /* of any kind of pages */
void ioas_view_free(struct ioas_area *area);

#endif
