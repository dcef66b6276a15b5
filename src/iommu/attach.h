/* SPDX-License-Identifier: MIT */
/*
 * Which domain the members of a group are attached to (spec 02 section 3.6 and 3.7): by the kernel's side, and by the
 * layers above for an owner. Ownership is not looked at: that is the caller's contract.
 *
 * All members move or none: the drivers are asked one after the other, those that agreed are put back when one refuses,
 * and only then the hardware moves, all at once. EINVAL means that another domain may work.
 */
#ifndef IOMMU_ATTACH_H
#define IOMMU_ATTACH_H

#include "iommu/domain.h"

/*
 * What an attachment was made with: the domain, and whoever answers its page requests. Embedded by the caller; a fresh
 * one for each attach and replace.
 */
struct attach_handle {
	struct domain *domain;	    /* borrowed; set by attach */
	struct page_handler *pages; /* borrowed; NULL: page requests are answered INVALID */
};

/*
 * DOMAIN_ATTACHED (EBUSY): another is; DOMAIN_FOREIGN (EINVAL): of another IOMMU's driver, or the group has none;
 * GROUP_RECOVERING (EBUSY); DEVICE_NEEDS_DIRECT (EINVAL); what the driver says of a member.
 */
int iommu_attach_group(struct domain *domain, struct iommu_group *group, struct why *why);
/* To the blocking domain if there is an owner, else to the default one. */
void iommu_detach_group(struct iommu_group *group);

/*
 * One device's private domain, for its kernel driver. Besides: DEVICE_NO_IOMMU (ENODEV); GROUP_SHARED (EINVAL) when it
 * is not alone in its group. With options.private_domains a shared group will do while this driver is the only one that
 * is counted: else GROUP_SHARED_USERS (EBUSY) names the others.
 */
int iommu_attach_device(struct domain *domain, struct iommu_device *device, struct why *why);
void iommu_detach_device(struct iommu_device *device);
/* NOT_ATTACHED (EINVAL): Linux only warns. */
int iommu_may_detach_device(const struct domain *domain, const struct iommu_device *device, struct why *why);

/* With a handle. HANDLE_MISSING (EINVAL), HANDLE_TAKEN (EBUSY): one is there. */
int iommu_attach_group_handle(struct domain *domain, struct iommu_group *group, struct attach_handle *handle,
			      struct why *why);
void iommu_detach_group_handle(struct iommu_group *group);
/* From any domain; neither what is attached nor whose domain it is matters. */
int iommu_replace_group_handle(struct iommu_group *group, struct domain *domain, struct attach_handle *handle,
			       struct why *why);

/*
 * With options.alias_domains, the kernel's side: a domain for one alias set, while the rest of the group stays where it
 * is. ALIAS_OFF (EOPNOTSUPP); ALIAS_OWNED (EBUSY): user space owns whole groups; DOMAIN_ATTACHED, DOMAIN_FOREIGN.
 */
int iommu_attach_alias_set(struct domain *domain, struct iommu_device *device, struct why *why);
void iommu_detach_alias_set(struct iommu_device *device);

/*
 * A device with ATS is reset: its requests are blocked from prepare to done, and the group's domain cannot change
 * (spec 02 section 8). Nests. On failure the reset must not take place.
 */
int iommu_reset_prepare(struct iommu_device *device, struct why *why);
void iommu_reset_done(struct iommu_device *device);

/* ---- inside the core ---- */

/* May this member have it? old: NULL when it enters. The first only asks its driver. */
int ask_driver(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why);
int member_attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why);
/* Every member's DMA goes where it belongs, all at the same time. */
void move_hardware(struct iommu_group *group);
int refuse_foreign(const struct domain *domain, const struct iommu_group *group, struct why *why);
int group_set_domain(struct iommu_group *group, struct domain *domain, struct why *why);
void group_force_domain(struct iommu_group *group, struct domain *domain); /* who cannot follow is blocked */
int group_prepare_blocking(struct iommu_group *group, struct why *why);
/* DEVICE_NO_IOMMU, or what a strict machine says first of a device that is no hardware; domain may be NULL. */
int refuse_no_iommu(const struct iommu_device *device, const struct domain *domain, u32 pasid, struct why *why);
int refuse_recovering(const struct iommu_group *group, struct why *why); /* 0 when nobody is */

#endif
