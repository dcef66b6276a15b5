/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU core as a kernel driver sees it, with the semantics and errnos of Linux 7.2: ownership of groups, domains,
 * attach, PASIDs, faults. Where Linux says no in silence, `why` names who is in the way.
 *
 * Devices are those of a machine (isolde.h). A driver written against this header takes devices away from the drivers
 * of the room, and programs in the room find them taken, as they would on a host.
 *
 * Every function returns 0 or -errno unless it says otherwise; why may be NULL. Where Linux only warns about a caller's
 * mistake, the call is refused and changes nothing. Besides what is said below, -ENOMEM may come from any call that can
 * fail, and DEVICE_NO_IOMMU (-ENODEV) from each that needs an IOMMU where none covers the device. Errors are
 * given in the order in which they are looked for. Linux's functions are those of drivers/iommu/iommu.c unless a file
 * is named.
 *
 * All functions may be called from any thread; each holds the machine's one lock while it runs, but for
 * isolde_device_group(), isolde_device_max_pasids() and isolde_dma_...(), which take none. Callbacks run with it held,
 * or on a device's thread, and may not call isolde.
 *
 * Devices are borrowed from the machine and valid until it is freed; domains, owners and handles are the caller's to
 * free, before the machine. A domain or handle must live as long as something is attached with it. Strings are copied.
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

/*
 * "0000:01:00.0"; each time the same. DEVICE_UNKNOWN (ENODEV); DEVICE_LEAVING (ENODEV): a virtual function that is
 * about to be taken away. One that somebody holds by this call stays (SRIOV_HELD, EBUSY, to who disables SR-IOV).
 */
int isolde_device_get(struct isolde_machine *machine, const char *bdf, struct isolde_device **ret,
		      struct isolde_why *why);
/*
 * One that is no hardware: a mediated device, with a group of its own and no IOMMU, so that it can be claimed by nobody
 * and attached to nothing; what strict_intent says of it comes first. name: for refusals, cut to 39 bytes; parent:
 * whose requests it would make, may be NULL. There is no other error than -ENOMEM. It is there until the machine is
 * freed. Linux: vfio_main.c:vfio_register_emulated_iommu_dev().
 */
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
 * The driver takes the unbound device, as `bind` in sysfs does; one that is new to the room appears there.
 * OPTIONS_SIZE, INTENT_CONTRADICTORY, DRIVER_NAME (EINVAL): what driver says; DEVICE_BOUND (EBUSY) names the driver
 * that has it; GROUP_OWNED, GROUP_PRIVATE, GROUP_PASIDS (EBUSY) who has the group. Linux:
 * drivers/base/dd.c:device_driver_attach(), iommu_device_use_default_domain().
 */
int isolde_driver_bind(struct isolde_device *device, const struct isolde_driver *driver, struct isolde_why *why);
/*
 * Whatever driver it is, isolde's own included; from vfio-pci it waits until programs have closed the device.
 * DEVICE_UNBOUND (ENODEV); SRIOV_HELD (EBUSY): a virtual function of it is held; UNUSE_PASIDS (EINVAL): PASIDs of the
 * group, or a domain with a handle, are attached. Linux: drivers/base/dd.c:device_driver_detach().
 */
int isolde_driver_unbind(struct isolde_device *device, struct isolde_why *why);

/*
 * The table of one device that says which PASID a virtual one, as ENQCMD carries it, stands for. INTENT_NO_ENQCMD
 * (EINVAL): its driver declared other things; PASID_TAKEN (EBUSY): virtual_pasid has a row. Neither number is checked.
 * Linux has no such table; VT-d's scalable mode does (PASID translation, IA32_PASID).
 */
int isolde_enqcmd_set(struct isolde_device *device, uint32_t virtual_pasid, uint32_t pasid, struct isolde_why *why);
/* Takes the row away; not there: nothing happens. All rows go when the driver is unbound. */
void isolde_enqcmd_clear(struct isolde_device *device, uint32_t virtual_pasid);

/* ---- ownership (Linux: iommu_group_claim_dma_owner() and its kin) ---- */

/* A cookie, with a name for refusals: "VFIO group 7 of qemu". */
int isolde_owner_new(struct isolde_machine *machine, const char *name, struct isolde_owner **ret,
		     struct isolde_why *why);
/* OWNER_BUSY (EBUSY): it still holds a group. NULL is legal. */
int isolde_owner_free(struct isolde_owner *owner, struct isolde_why *why);

/*
 * The whole group of a device, once, with all its DMA blocked from then on. OWNER_MISSING (EINVAL): owner is NULL;
 * GROUP_CLAIMED, GROUP_NOT_VIABLE (EPERM): anybody is counted, this owner included; GROUP_DOMAIN_BUSY,
 * GROUP_PASIDS_BUSY (EBUSY): something is still attached though nobody is; GROUP_RECOVERING (EBUSY); GROUP_NEEDS_DIRECT
 * (EINVAL): a member needs memory of the firmware. Linux: iommu_group_claim_dma_owner().
 */
int isolde_group_claim(struct isolde_device *device, struct isolde_owner *owner, struct isolde_why *why);
/*
 * The end of it, whoever claimed and however often: the group is nobody's and goes back to its default domain, from one
 * attached without a handle, too. RELEASE_UNOWNED: it has no owner; RELEASE_PASIDS, RELEASE_ATTACHED: PASIDs, a domain
 * with a handle, or one by isolde_attach() are still attached (EINVAL; Linux warns). iommu_group_release_dma_owner().
 */
int isolde_group_release(struct isolde_device *device, struct isolde_why *why);
/*
 * Device by device: the owner that has the group already is counted once more, and nothing else is looked at. Otherwise
 * as isolde_group_claim(), of the whole group. Linux: iommu_device_claim_dma_owner().
 */
int isolde_device_claim(struct isolde_device *device, struct isolde_owner *owner, struct isolde_why *why);
/*
 * One claim of this device less. What is attached stays until the last of the group's, which is isolde_group_release()
 * with its errors. RELEASE_UNOWNED (EINVAL): this device was not claimed by itself. iommu_device_release_dma_owner().
 */
int isolde_device_release(struct isolde_device *device, struct isolde_why *why);
/* Is anybody counted, kernel drivers included? Linux: iommu_group_dma_owner_claimed(). */
bool isolde_group_claimed(const struct isolde_device *device);

/* ---- domains (Linux: iommu_paging_domain_alloc(), iommu_map(), iommu_unmap(), iommu_iova_to_phys()) ---- */

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

/*
 * A device alone in its group: GROUP_SHARED (EINVAL) otherwise; with the machine option private_domains one that shares
 * it while its driver alone is counted: GROUP_SHARED_USERS (EBUSY) names the others. Then as isolde_attach_group().
 */
int isolde_attach_device(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);
/* NOT_ATTACHED (EINVAL; Linux warns): not to this domain, or not by itself; ATTACHED_BY_DEVICE (EBUSY). */
int isolde_detach_device(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);

/*
 * The whole group of a device, all members or none. DOMAIN_ATTACHED (EBUSY): another than the default or blocking
 * domain is, of the group or of one of its alias sets; DOMAIN_FOREIGN (EINVAL): made for another kind of IOMMU, or the
 * device is emulated and has none; what strict_intent refuses (EINVAL); GROUP_RECOVERING (EBUSY): a member is
 * being reset; DOMAIN_INCOMPATIBLE (EINVAL): a member's IOMMU lacks what the one has that the domain was made for.
 * Whose the group is does not matter.
 */
int isolde_attach_group(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);
/* Whatever is attached. ATTACHED_BY_DEVICE (EBUSY), as for all calls for groups: a member is, by isolde_attach(). */
int isolde_detach_group(struct isolde_device *device, struct isolde_why *why);

/* Answers page requests of an attachment; needed by the forms below where Linux wants one. */
int isolde_handle_new(struct isolde_machine *machine, struct isolde_handle **ret, struct isolde_why *why);
/* HANDLE_BUSY (EBUSY): something is attached with it. NULL is legal. */
int isolde_handle_free(struct isolde_handle *handle, struct isolde_why *why);

/* As isolde_attach_group(), with somebody to answer. HANDLE_MISSING (EINVAL): NULL; HANDLE_TAKEN (EBUSY): it has one.
 */
int isolde_attach_group_handle(struct isolde_domain *domain, struct isolde_device *device, struct isolde_handle *handle,
			       struct isolde_why *why);
/*
 * Whatever is attached, all members or none; the handle before this one is free again, and the page requests it had are
 * answered INVALID. ATTACHED_BY_DEVICE (EBUSY); HANDLE_MISSING (EINVAL): domain or handle is NULL; DOMAIN_ATTACHED
 * (EBUSY): an alias set has a domain of its own; what strict_intent refuses (EINVAL); GROUP_RECOVERING (EBUSY);
 * DOMAIN_FOREIGN, DOMAIN_INCOMPATIBLE (EINVAL). A failure leaves everything as it was.
 */
int isolde_replace_group_handle(struct isolde_domain *domain, struct isolde_device *device,
				struct isolde_handle *handle, struct isolde_why *why);

/*
 * Device by device: siblings attached to one domain are counted, to another are refused by name; the group goes with
 * its last device. pasid 0: requests without one. handle: that of the group's first device counts, and may be NULL.
 *
 * ATTACHED_ALREADY (EBUSY): this device is; ATTACHED_ELSEWHERE (EINVAL): a sibling is, to another domain;
 * RESERVED_MAPPED (EADDRINUSE): the domain maps what the device needs for itself (pasid 0); of the first device
 * VF_PAGE_REQUESTS (EINVAL): a virtual function with a handle that accepts pages, and then what isolde_attach_group(),
 * isolde_attach_group_handle() or isolde_attach_pasid() says. Linux: iommufd/device.c:iommufd_hwpt_attach_device().
 */
int isolde_attach(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
		  struct isolde_handle *handle, struct isolde_why *why);
/*
 * All siblings attached by isolde_attach() move along; to the same domain nothing happens. NOT_ATTACHED (EINVAL): this
 * device is not; RESERVED_MAPPED, for any of them, VF_PAGE_REQUESTS; then as isolde_replace_group_handle() or
 * isolde_replace_pasid(), but for ATTACHED_BY_DEVICE. Linux: iommufd/device.c:iommufd_device_do_replace().
 */
int isolde_replace(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
		   struct isolde_handle *handle, struct isolde_why *why);
void isolde_detach(struct isolde_device *device, uint32_t pasid); /* not attached: nothing happens */

/*
 * A PASID of a whole group: members that have PASIDs get it, others are passed over. handle may be NULL.
 * PASID_UNSUPPORTED (EOPNOTSUPP): the IOMMU attaches none, or not to such a domain; DOMAIN_FOREIGN (EINVAL); PASID_ZERO
 * (EINVAL): they begin at 1; GROUP_RECOVERING (EBUSY); PASID_TOO_LARGE (EINVAL): at or above a member's
 * isolde_device_max_pasids(); PASID_TAKEN (EBUSY); what strict_intent refuses (EINVAL); PASID_DISABLED (EINVAL): a
 * member's PASIDs are switched off, because of what is on its way to the root; with Intel's IOMMU that is a remark of a
 * success, as of an attach that no request will use; DOMAIN_INCOMPATIBLE (EINVAL). Linux: iommu_attach_device_pasid().
 */
int isolde_attach_pasid(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
			struct isolde_handle *handle, struct isolde_why *why);
/*
 * Another domain, another handle. ATTACHED_BY_DEVICE (EBUSY); as isolde_attach_pasid() up to PASID_ZERO; HANDLE_MISSING
 * (EINVAL): NULL; GROUP_RECOVERING (EBUSY); PASID_EMPTY (EINVAL): nothing is attached there; HANDLE_REUSED (EINVAL):
 * the handle is the one it has; then as isolde_attach_pasid(). A failure leaves it as it was. Linux:
 * iommu_replace_device_pasid().
 */
int isolde_replace_pasid(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
			 struct isolde_handle *handle, struct isolde_why *why);
/* Nothing there: 0, nothing happens. ATTACHED_BY_DEVICE (EBUSY). Linux: iommu_detach_device_pasid(). */
int isolde_detach_pasid(struct isolde_device *device, uint32_t pasid, struct isolde_why *why);
/*
 * One that no other device has, from 1 to below isolde_device_max_pasids(). PASID_NONE_FREE (ENOSPC): none is left, or
 * the device has none. Linux: iommu_alloc_global_pasid().
 */
int isolde_pasid_alloc(struct isolde_device *device, uint32_t *ret, struct isolde_why *why);
/* Free already: nothing happens. Linux: iommu_free_global_pasid(). */
void isolde_pasid_free(struct isolde_machine *machine, uint32_t pasid);

/*
 * One alias set of a group, for the kernel's side, while the others stay where they are; isolde's own. ALIAS_OFF
 * (EOPNOTSUPP): without the machine option alias_domains; ALIAS_OWNED (EBUSY): the group has an owner; DOMAIN_ATTACHED
 * (EBUSY): the set or the group has a domain; GROUP_RECOVERING (EBUSY); DOMAIN_FOREIGN (EINVAL); what strict_intent
 * refuses.
 */
int isolde_attach_alias_set(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *why);
/* Back to what the group has; not attached: nothing happens. */
void isolde_detach_alias_set(struct isolde_device *device);

/* ---- the process's own addresses (Linux: iommu_sva_bind_device()) ---- */

/*
 * *ret_pasid: the one PASID of this process, which all its devices use; IOVAs are addresses of the process. Counted.
 * SVA_PASID_LIMIT (EOVERFLOW): the process has a PASID that this device cannot use; PASID_NONE_FREE (ENOSPC): there is
 * none for it, or the device has none; PASID_TAKEN (EBUSY): that PASID of the group is somebody else's; SVA_UNSUPPORTED
 * (EOPNOTSUPP): the IOMMU cannot; PASID_DISABLED (EINVAL), with each IOMMU; then as isolde_attach_pasid().
 */
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
 * The device's side: it hears answers through respond, which may not call isolde, with context as it is given here,
 * until it is disabled. PAGE_NO_PRI (ENODEV): the device cannot ask for pages; PAGE_ENABLED (EBUSY): it does already.
 * Linux: io-pgfault.c:iopf_queue_add_device().
 */
int isolde_page_enable(struct isolde_device *device,
		       void (*respond)(void *context, const struct isolde_page_request *last,
				       enum isolde_page_answer answer),
		       void *context, struct isolde_why *why);
/* Requests that are left are answered INVALID; not enabled: nothing happens. io-pgfault.c:iopf_queue_remove_device().
 */
void isolde_page_disable(struct isolde_device *device);
/*
 * One request; its group goes to the handle of the attachment with the last one. PAGE_NO_PRI (ENODEV): not enabled;
 * PAGE_NO_HANDLER (EINVAL): the attachment has no handle, or one that nobody reads; the device was answered INVALID.
 * Without memory it is answered FAILURE, and the call succeeds. Linux: io-pgfault.c:iommu_report_device_fault().
 */
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

/*
 * Before a device with ATS is reset: its DMA is blocked by itself, and its group's domains cannot change
 * (GROUP_RECOVERING) until isolde_reset_done(). Nests. On failure, which may be what the IOMMU's driver says of the
 * blocking domain, the reset must not take place. A device without ATS: 0, nothing happens.
 */
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
