/* SPDX-License-Identifier: MIT */
/* Hardware page tables: a domain as an object (spec 03 section 6). */
#ifndef IOMMUFD_HWPT_H
#define IOMMUFD_HWPT_H

#include "iommu/domain.h"
#include "iommufd/ioas.h"

struct fault_queue;
struct viommu;
struct iommufd_device;

struct hwpt {
	struct object object;	   /* first */
	struct domain *domain;	   /* owned */
	struct fault_queue *fault; /* used; NULL: page requests of its devices are answered INVALID */
	bool pasid;		   /* allocated with ALLOC_PASID */
};

struct hwpt_paging {
	struct hwpt hwpt;  /* first */
	struct ioas *ioas; /* used */
	bool automatic;	   /* made by an attach to the IOAS; goes with its last attachment */
	bool nest_parent;
	bool enforces_coherency;
	u64 msi_pages;	       /* of context->sw_msi, by number: those that are mapped */
	struct list_link link; /* ioas->hwpts, once its domain has the areas */
};

struct hwpt_nested {
	struct hwpt hwpt;	    /* first */
	struct hwpt_paging *parent; /* used, unless it has a viommu */
	struct viommu *viommu;	    /* used; NULL: made directly on the parent */
};

extern const struct object_class hwpt_paging_class, hwpt_nested_class;

static inline struct hwpt *hwpt_of(struct object *object)
{
	return container_of(object, struct hwpt, object);
}

bool object_is_hwpt(const struct object *object);      /* of either class */
struct hwpt_paging *hwpt_paging_of(struct hwpt *hwpt); /* itself, or the parent of a nested one; never NULL */

struct user_data;
/*
 * A paging one for the device, in the IOAS's space, but nothing in it yet. Not published. data may be NULL. In this
 * order: HWPT_FLAGS (EOPNOTSUPP), HWPT_NO_DIRTY, HWPT_FAULT_PARENT (EOPNOTSUPP), what the driver says,
 * COHERENCY_BROKEN.
 */
int hwpt_paging_new(struct ioas *ioas, const struct iommufd_device *device, u32 flags, const struct user_data *data,
		    struct hwpt_paging **ret, struct why *why);
/* From now on it has all areas (ioas_add_domain()). For free() it makes no difference. */
int hwpt_paging_fill(struct hwpt_paging *hwpt, struct why *why);

/* One that nobody may have published yet. */
void hwpt_free(struct hwpt *hwpt);

/* A device has left it; one that was made by an attach goes with the last. */
void hwpt_put(struct hwpt *hwpt);

int hwpt_paging_find(struct context *context, u32 id, struct hwpt_paging **ret, struct why *why);

#endif
