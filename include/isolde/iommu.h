/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU core as a kernel driver sees it, with the semantics and errnos of Linux 7.2: ownership of groups, domains,
 * attach, PASIDs, faults. Where Linux says no in silence, `why` names who is in the way.
 *
 * Devices are those of a machine (isolde.h). A driver written against this header takes devices away from the drivers
 * of the room, and programs in the room find them taken, as they would on a host.
 *
 * Every function returns 0 or -errno unless it says otherwise; why may be NULL. Where Linux only warns about a caller's
 * mistake, the call is refused and changes nothing. All functions may be called from any thread. Devices are borrowed
 * from the machine; domains, owners and handles are the caller's to free, before the machine.
 */
#ifndef ISOLDE_IOMMU_H
#define ISOLDE_IOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isolde/why.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct isolde_machine;
struct isolde_device;
struct isolde_domain;
struct isolde_owner;
struct isolde_handle;

/* ---- devices and drivers ---- */

/* "0000:01:00.0". DEVICE_UNKNOWN (ENODEV). */
int isolde_device_get(struct isolde_machine *machine, const char *bdf, struct isolde_device **ret,
		      struct isolde_why *why);
/* One that is no hardware: a mediated device. parent may be NULL. It has a group of its own and no IOMMU. */
int isolde_device_emulate(struct isolde_machine *machine, const char *name, struct isolde_device *parent,
			  struct isolde_device **ret, struct isolde_why *why);
int isolde_device_group(const struct isolde_device *device);	       /* its group's number; -1: none */
uint32_t isolde_device_max_pasids(const struct isolde_device *device); /* 0: none */

/* What a driver declares that it will do (the machine option strict_intent checks attaches against it). */
enum {
	ISOLDE_INTENT_DMA = 1 << 0,	 /* DMA with its requester id */
	ISOLDE_INTENT_PASID = 1 << 1,	 /* DMA with PASIDs */
	ISOLDE_INTENT_ENQCMD = 1 << 2,	 /* shared work queues; virtual PASIDs are translated */
	ISOLDE_INTENT_SOFTWARE = 1 << 3, /* no DMA: a table in software */
};

struct isolde_driver {
	size_t size;	  /* sizeof(struct isolde_driver) */
	const char *name; /* as sysfs shows it; at most 31 characters */
	bool managed_dma; /* driver_managed_dma: binding is no claim of the group for the kernel's DMA API */
	unsigned intent;  /* ISOLDE_INTENT_...; 0: not declared */
};

/*
 * The driver takes the unbound device, as `bind` in sysfs does. DEVICE_BOUND (EBUSY) names the driver that has it;
 * GROUP_OWNED, GROUP_PRIVATE, GROUP_PASIDS (EBUSY) who has the group; INTENT_CONTRADICTORY (EINVAL).
 */
int isolde_driver_bind(struct isolde_device *device, const struct isolde_driver *driver, struct isolde_why *why);
/* Whatever driver it is, isolde's own included. DEVICE_UNBOUND (ENODEV); UNUSE_PASIDS (EINVAL). */
int isolde_driver_unbind(struct isolde_device *device, struct isolde_why *why);

/* Linux: ENQCMD. The table of one device; INTENT_NO_ENQCMD (EINVAL), PASID_TAKEN (EBUSY). */
int isolde_enqcmd_set(struct isolde_device *device, uint32_t virtual_pasid, uint32_t pasid, struct isolde_why *why);
void isolde_enqcmd_clear(struct isolde_device *device, uint32_t virtual_pasid);

/* ---- ownership (Linux: iommu_group_claim_dma_owner() and its kin) ---- */

/* A cookie, with a name for refusals: "VFIO group 7 of qemu". */
int isolde_owner_new(struct isolde_machine *machine, const char *name, struct isolde_owner **ret,
		     struct isolde_why *why);
/* OWNER_BUSY (EBUSY): it still holds a group. NULL is legal. */
int isolde_owner_free(struct isolde_owner *owner, struct isolde_why *why);

/*
 * The whole group of a device, once: EPERM when anybody is counted, this owner included; EBUSY when something is still
 * attached though nobody is; EINVAL when a member needs memory of the firmware.
 */
int isolde_group_claim(struct isolde_device *device, struct isolde_owner *owner, struct isolde_why *why);
int isolde_group_release(struct isolde_device *device, struct isolde_why *why);
/* Device by device, counted. */
int isolde_device_claim(struct isolde_device *device, struct isolde_owner *owner, struct isolde_why *why);
int isolde_device_release(struct isolde_device *device, struct isolde_why *why);
bool isolde_group_claimed(const struct isolde_device *device); /* by kernel drivers too */

/* ---- domains ---- */

enum { ISOLDE_MAP_READ = 1 << 0, ISOLDE_MAP_WRITE = 1 << 1 };

/* An empty address space for devices of the same IOMMU. name: for refusals; may be NULL. DEVICE_NO_IOMMU (ENODEV). */
int isolde_domain_new(struct isolde_device *device, const char *name, struct isolde_domain **ret,
		      struct isolde_why *why);
/* Drops its mappings. DOMAIN_BUSY (EBUSY): something is attached to it. NULL is legal. */
int isolde_domain_free(struct isolde_domain *domain, struct isolde_why *why);

/*
 * Maps [iova, iova + size) to memory of this process; page multiples. MAP_INVALID (EINVAL): alignment, or flags ask for
 * nothing; MAP_BEYOND (ERANGE); MAP_TAKEN (EADDRINUSE); CLIENT_FAULT (EFAULT); MEMLOCK_EXCEEDED, OUT_OF_MEMORY
 * (ENOMEM).
 */
int isolde_domain_map(struct isolde_domain *domain, uint64_t iova, void *address, uint64_t size, unsigned flags,
		      struct isolde_why *why);
/*
 * Returns the bytes removed. Misaligned: 0. Stops at the first hole. What one call mapped is removed whole, so that the
 * answer may be larger than the question.
 */
uint64_t isolde_domain_unmap(struct isolde_domain *domain, uint64_t iova, uint64_t size);
/* 0: not mapped. The number means something only to isolde: equal memory of one mapping is contiguous. */
uint64_t isolde_domain_iova_to_phys(const struct isolde_domain *domain, uint64_t iova);

struct isolde_fault {
	const char *text; /* a sentence: who, what, where, the nearest mapping; valid during the call */
	uint64_t iova;
	uint32_t pasid; /* 0: without */
	bool write;
};

/*
 * Told of each fault of the domain that nobody recovers from, on the device's thread; it may not call isolde. NULL
 * takes it back.
 */
void isolde_domain_on_fault(struct isolde_domain *domain,
			    void (*fault)(void *context, const struct isolde_fault *fault), void *context);

/* ---- attach (Linux: iommu_attach_device() and its kin) ---- */

/* A device alone in its group; GROUP_SHARED (EINVAL) otherwise, unless the machine option private_domains helps. */
int isolde_attach_device(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);
int isolde_detach_device(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);

/* The whole group of a device. DOMAIN_ATTACHED (EBUSY), DOMAIN_FOREIGN (EINVAL), GROUP_RECOVERING (EBUSY). */
int isolde_attach_group(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);
/* Whatever is attached. ATTACHED_BY_DEVICE (EBUSY), as for all calls for groups: a member is, by isolde_attach(). */
int isolde_detach_group(struct isolde_device *device, struct isolde_why *why);

/* Answers page requests of an attachment; needed by the forms below where Linux wants one. */
int isolde_handle_new(struct isolde_machine *machine, struct isolde_handle **ret, struct isolde_why *why);
/* HANDLE_BUSY (EBUSY): something is attached with it. NULL is legal. */
int isolde_handle_free(struct isolde_handle *handle, struct isolde_why *why);

int isolde_attach_group_handle(struct isolde_domain *domain, struct isolde_device *device, struct isolde_handle *handle,
			       struct isolde_why *why);
int isolde_replace_group_handle(struct isolde_domain *domain, struct isolde_device *device,
				struct isolde_handle *handle, struct isolde_why *why);

/*
 * Device by device: siblings attached to one domain are counted, to another are refused by name (ATTACHED_ELSEWHERE,
 * EINVAL); the group goes with its last device. pasid 0: requests without one. handle may be NULL except to replace.
 */
int isolde_attach(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
		  struct isolde_handle *handle, struct isolde_why *why);
int isolde_replace(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
		   struct isolde_handle *handle, struct isolde_why *why);
void isolde_detach(struct isolde_device *device, uint32_t pasid); /* not attached: nothing happens */

/* PASIDs of a whole group. handle may be NULL except to replace. */
int isolde_attach_pasid(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
			struct isolde_handle *handle, struct isolde_why *why);
int isolde_replace_pasid(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
			 struct isolde_handle *handle, struct isolde_why *why);
int isolde_detach_pasid(struct isolde_device *device, uint32_t pasid, struct isolde_why *why);
/* One that no other device has. PASID_NONE_FREE (ENOSPC). */
int isolde_pasid_alloc(struct isolde_device *device, uint32_t *ret, struct isolde_why *why);
void isolde_pasid_free(struct isolde_machine *machine, uint32_t pasid); /* free already: nothing happens */

/* One alias set of a group, for the kernel's side; the machine option alias_domains. */
int isolde_attach_alias_set(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);
void isolde_detach_alias_set(struct isolde_device *device);

/* ---- the process's own addresses (Linux: iommu_sva_bind_device()) ---- */

/* *ret_pasid: the one PASID of this process. Counted. */
int isolde_sva_bind(struct isolde_device *device, uint32_t *ret_pasid, struct isolde_why *why);
void isolde_sva_unbind(struct isolde_device *device); /* not bound: nothing happens */

/* ---- faults that can be repaired (Linux: io-pgfault.c) ---- */

enum isolde_page_answer { ISOLDE_PAGE_SUCCESS, ISOLDE_PAGE_INVALID, ISOLDE_PAGE_FAILURE };

struct isolde_page_request {
	uint64_t iova;
	unsigned flags; /* ISOLDE_MAP_...: what the device wants to do */
	uint32_t pasid;
	bool has_pasid;
	uint16_t group; /* the device's number; requests of one group are answered together */
	bool last;	/* of its group */
};

struct isolde_page_group; /* requests that wait for one answer */

/*
 * The device's side: it hears answers through respond, which may not call isolde. PAGE_NO_PRI (ENODEV), PAGE_ENABLED
 * (EBUSY). Disabling answers what is left INVALID.
 */
int isolde_page_enable(struct isolde_device *device,
		       void (*respond)(void *context, const struct isolde_page_request *last,
				       enum isolde_page_answer answer),
		       void *context, struct isolde_why *why);
void isolde_page_disable(struct isolde_device *device);
/* PAGE_NO_HANDLER (EINVAL): the attachment has no handle, or one that nobody reads; the device was answered INVALID. */
int isolde_page_request(struct isolde_device *device, const struct isolde_page_request *request,
			struct isolde_why *why);

/* The driver's side: from now on the handle queues groups. */
void isolde_handle_accept_pages(struct isolde_handle *handle);
/* The oldest group not yet taken, or NULL. Its requests belong to it. Answer each once; an attachment that ends answers
 * those that are left, taken or not: then NULL is the answer to isolde_page_group_requests(). */
struct isolde_page_group *isolde_handle_next_pages(struct isolde_handle *handle);
const struct isolde_page_request *isolde_page_group_requests(const struct isolde_page_group *group, size_t *ret_count);
void isolde_page_group_answer(struct isolde_page_group *group,
			      enum isolde_page_answer answer); /* it is gone after it */

/* ---- reset (Linux: pci_dev_reset_iommu_prepare() and _done()) ---- */

int isolde_reset_prepare(struct isolde_device *device, struct isolde_why *why);
void isolde_reset_done(struct isolde_device *device); /* not prepared: nothing happens */

/* ---- the device's side ---- */

/*
 * A request of the device, as its hardware would make it. DMA_FAULT (EFAULT): the IOMMU said no, and why->text is the
 * fault's sentence; or the device is no bus master.
 */
int isolde_dma_read(struct isolde_device *device, uint32_t pasid, uint64_t iova, void *buffer, size_t size,
		    struct isolde_why *why);
int isolde_dma_write(struct isolde_device *device, uint32_t pasid, uint64_t iova, const void *buffer, size_t size,
		     struct isolde_why *why);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
