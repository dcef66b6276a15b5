/* SPDX-License-Identifier: MIT */
/*
 * The type 1 backend of a container: one address space, mapped by the program page range by page range, the same in the
 * domain of every group. It has one domain per kind of unit, so in most machines exactly one.
 *
 * Groups of emulated devices have none: what they do to memory they ask for, page by page (type1_pin.c). While a
 * container has only such groups it has no domain, and a mapping is but a promise: neither is its range looked at nor
 * its memory, and nothing is charged until a page of it is pinned.
 */
#ifndef VFIO_TYPE1_H
#define VFIO_TYPE1_H

#include "iommu/attach.h"
#include "mem/charge.h"
#include "vfio/vfio.h"

/* A domain and how many groups of the container are attached to it. */
struct type1_domain {
	struct domain *domain;	       /* owned */
	const struct iommu_unit *unit; /* of the first group; others of the same shape share */
	unsigned ngroups;
	struct list_link link; /* type1->domains */
};

struct type1_member {
	struct iommu_group *group;   /* borrowed: it is claimed, or emulated, and so it stays */
	struct type1_domain *domain; /* borrowed from type1->domains; NULL: emulated */
	struct list_link link;	     /* type1->members */
};

/* An emulated device that is open: it is told what must be unpinned. */
struct soft_memory;
struct type1_user {
	struct soft_memory *soft; /* borrowed */
	struct list_link link;	  /* type1->users */
};

/* A page that emulated devices hold. */
struct type1_pin {
	struct itree_node node; /* its first IOVA, twice; mapping->pins */
	unsigned count;
};

/* One successful MAP_DMA. The same area exists in every domain. */
struct mapping {
	struct itree_node node; /* IOVA start, last */
	u64 address;		/* in the client */
	struct client *client;	/* ref */
	struct charge charge;	/* the client's: all memory of it while there is a domain, else the pinned pages */
	unsigned permission;	/* ISOLDE_PT_READ | ISOLDE_PT_WRITE */
	bool address_lost;	/* by UNMAP with VADDR, until MAP with VADDR gives a new one */
	struct itree pins;	/* struct type1_pin, owned */
	u64 *dirty;		/* owned; one bit for each PAGE_SIZE; NULL unless tracking */
};

struct iova_range {
	u64 start, last;
};

/* What may be mapped: sorted, disjoint. */
struct iova_ranges {
	struct iova_range *at; /* owned */
	unsigned count, room;
};

struct type1 {
	const struct vfio *vfio; /* borrowed */
	struct iommu *iommu;	 /* borrowed */
	bool v2;		 /* no unmap cuts a mapping */
	bool tracking;		 /* DIRTY_PAGES START */
	struct list domains, members, users;
	struct itree mappings;
	unsigned available, limit; /* mappings that can still be made, and at first */
	unsigned lost;		   /* mappings without an address */
	struct iova_ranges ranges;
};

int type1_new(struct vfio *vfio, bool v2, struct type1 **ret, struct why *why);
void type1_free(struct type1 *type1); /* asserts that no group is left; NULL is legal */

/* The type 1 of a container's file; handlers of type 1 requests are only called when there is one. */
struct type1 *type1_of_file(struct file *file);

/* The answer to CHECK_EXTENSION; type1 is NULL while no backend is set. */
long type1_extension(const struct type1 *type1, u64 extension);

/*
 * A group enters, claimed already unless it is emulated (spec 04 section 7.1), or leaves. With the last one all
 * mappings go; with the last that is not emulated, what was pinned for its domain.
 */
int type1_attach(struct type1 *type1, struct iommu_group *group, struct why *why);
void type1_detach(struct type1 *type1, struct iommu_group *group);
bool type1_has_emulated(const struct type1 *type1);

u64 type1_page_sizes(const struct type1 *type1);
u64 type1_page_size(const struct type1 *type1); /* the smallest */

/* Removes one mapping from all domains. */
void type1_remove(struct type1 *type1, struct mapping *mapping);
void type1_remove_all(struct type1 *type1);

/* The mapping that holds iova; NULL if none. */
struct mapping *mapping_at(const struct type1 *type1, u64 iova);
static inline u64 mapping_size(const struct mapping *mapping)
{
	return mapping->node.last - mapping->node.start + 1;
}

/* "[0x10000, 0x10fff] (rw)" */
#define MAPPING_DESCRIPTION 56
const char *mapping_describe(const struct mapping *mapping, char text[static MAPPING_DESCRIPTION]);

/* Is [start, last] inside one valid range? Otherwise refuses and names what is in the way. */
int type1_check_range(const struct type1 *type1, u64 start, u64 last, struct why *why);

/*
 * Can a mapping of that memory be pinned? CLIENT_FAULT (EFAULT), or MEMLOCK_EXCEEDED (ENOMEM) if the limit is passed
 * before what is not there. *ret_locked is what has to be charged, of which `paid` is already.
 */
int type1_check_memory(struct client *client, u64 address, u64 size, bool write, u64 paid, u64 *ret_locked,
		       struct why *why);

/* A mapping, when there is one, that [start, last] would cut. */
int type1_check_bisection(const struct type1 *type1, u64 start, u64 last, struct why *why);

/* ---- type1_pin.c: what emulated devices ask for (spec 06 section 6); their groups are members ---- */

void type1_add_user(struct type1 *type1, struct type1_user *user);
void type1_remove_user(struct type1_user *user);

#define TYPE1_PIN_MOST 512u /* pages of one call */
/*
 * Pins `count` pages from iova on, which is aligned to them: all or none. PIN_TOO_MANY (E2BIG), PIN_VERSION (EACCES),
 * RANGE_OVERFLOWS, VADDR_PENDING (EBUSY), then page by page PIN_UNMAPPED (EINVAL), PIN_PERMISSION (EPERM),
 * PIN_SPACE_GONE (ENODEV), CLIENT_FAULT (EFAULT), MEMLOCK_EXCEEDED (ENOMEM).
 */
int type1_pin(struct type1 *type1, u64 iova, u64 count, unsigned permission, struct why *why);
void type1_unpin(struct type1 *type1, u64 iova, u64 count); /* they are pinned */
/*
 * Copies between buffer and the memory behind the IOVAs, as far as it gets. VADDR_PENDING (EBUSY), PIN_UNMAPPED
 * (EINVAL), PIN_PERMISSION, PIN_MEMORY_GONE (EPERM), CLIENT_FAULT (EFAULT).
 */
int type1_rw(struct type1 *type1, u64 iova, void *buffer, u64 size, bool write, struct why *why);
/* Its users let go of all pages of the mapping. */
void type1_ask_unpin(struct type1 *type1, struct mapping *mapping);

/* ---- type1_dirty.c ---- */

/* The checks of a dirty bitmap that need no mapping: where it is, and that its size fits the pages of `size` bytes. */
struct vfio_bitmap;
int type1_check_bitmap(const struct vfio_bitmap *bitmap, u64 size, struct why *why);
/* Reports one mapping into the client's bitmap, whose first bit is the page at base. */
int type1_report_dirty(const struct type1 *type1, struct client *client, const struct vfio_bitmap *bitmap, u64 base,
		       const struct mapping *mapping, struct why *why);
/* A mapping begins to be tracked, with its pinned pages dirty. DIRTY_TOO_LARGE (EINVAL), OUT_OF_MEMORY. */
int type1_track(const struct type1 *type1, struct mapping *mapping, struct why *why);
/* [start, last] of a mapping was written, or may be from now on; nothing happens unless it is tracked. */
void type1_mark_dirty(struct mapping *mapping, u64 start, u64 last);

void type1_check(const struct type1 *type1);

#endif
