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
	struct list_link link; /* ioas->hwpts */
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

/*
 * A paging one for the device, in the IOAS's space and filled (ioas_add_domain()). Not published. For HWPT_ALLOC and
 * for attaches to an IOAS.
 */
struct user_data;
int hwpt_paging_new(struct ioas *ioas, struct iommufd_device *device, u32 flags, const struct user_data *data,
		    struct fault_queue *fault, struct hwpt_paging **ret, struct why *why);

#endif
