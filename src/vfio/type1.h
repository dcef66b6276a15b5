/* SPDX-License-Identifier: MIT */
/*
 * The type 1 backend of a container: one address space, mapped by the program page range by page range, the same in the
 * domain of every group. It has one domain per kind of unit, so in most machines exactly one.
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
	struct iommu_group *group;   /* borrowed: it is claimed, so it stays */
	struct type1_domain *domain; /* borrowed from type1->domains */
	struct list_link link;	     /* type1->members */
};

/* One successful MAP_DMA. The same area exists in every domain. */
struct mapping {
	struct itree_node node; /* IOVA start, last */
	u64 address;		/* in the client */
	struct client *client;	/* ref */
	struct charge charge;	/* the client's */
	unsigned permission;	/* ISOLDE_PT_READ | ISOLDE_PT_WRITE */
	bool address_lost;	/* by UNMAP with VADDR, until MAP with VADDR gives a new one */
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
	struct iommu *iommu; /* borrowed */
	bool v2;	     /* no unmap cuts a mapping */
	bool tracking;	     /* DIRTY_PAGES START */
	struct list domains, members;
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

/* A group enters, claimed already (spec 04 section 7.1), or leaves. With the last one all mappings go. */
int type1_attach(struct type1 *type1, struct iommu_group *group, struct why *why);
void type1_detach(struct type1 *type1, struct iommu_group *group);

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

/* A mapping, when there is one, that [start, last] would cut. */
int type1_check_bisection(const struct type1 *type1, u64 start, u64 last, struct why *why);

/* The checks of a dirty bitmap that need no mapping: its size fits the pages of `size` bytes. */
struct vfio_bitmap;
int type1_check_bitmap(const struct vfio_bitmap *bitmap, u64 size, struct why *why);
/* Reports one mapping into the client's bitmap, whose first bit is the page at base. */
int type1_report_dirty(const struct type1 *type1, struct client *client, const struct vfio_bitmap *bitmap, u64 base,
		       const struct mapping *mapping, struct why *why);

void type1_check(const struct type1 *type1);

#endif
