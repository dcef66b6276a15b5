/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU core of a machine: units, groups, ownership, domains.
 *
 *	iommu_device	one PCI function behind a unit: its group, its DMA port
 *	iommu_group	functions the hardware cannot keep apart; the unit of ownership, with one current domain
 *	domain		an address space for DMA: paging, or blocking
 *	owner		who holds a group: the kernel's DMA API (NULL), or a VFIO group / iommufd context
 *
 * All calls are under machine.lock. What DMA can see at the same time (a device's domain, page tables, frames) changes
 * only with iommu->dma held for writing, taken inside.
 */
#ifndef IOMMU_IOMMU_H
#define IOMMU_IOMMU_H

#include "base/itree.h"
#include "base/list.h"
#include "base/lock.h"
#include "isolde/pt.h"
#include "mem/frames.h"
#include "pci/topology.h"

struct domain;
struct dma_fault;
struct iommu;

/* Whoever owns a group for user space. Embedded in a VFIO group (legacy) or an iommufd context. */
struct owner {
	/* "VFIO group 7 of qemu-io (pid 1234)"; returns text */
	const char *(*describe)(const struct owner *owner, char *text, size_t size);
};

enum reserved_kind { RESERVED_DIRECT, RESERVED_DIRECT_RELAXABLE, RESERVED_RESERVED, RESERVED_MSI, RESERVED_SW_MSI };

struct reserved_region {
	u64 start, last;
	enum reserved_kind kind;
};

#define UNIT_REGIONS  8
#define GROUP_REGIONS 144 /* room to merge: eight of a unit and 64 of devices make 72, and one member's 72 come in */

struct iommu_unit {
	char name[16]; /* "dmar0" */
	enum isolde_pt_format format;
	unsigned width; /* input address bits, at most what the format has */
	u64 cap, ecap;	/* registers as `intel-iommu/cap` shows them */
	struct reserved_region regions[UNIT_REGIONS];
	unsigned nregions;
	struct list_link link; /* iommu->units */
};

/* The device's way to memory: what a model holds. Opaque to it; see iommu/dma.h. */
struct dma_port;

struct iommu_device {
	struct pci_function *function; /* borrowed from the topology, which outlives us */
	struct iommu_unit *unit;       /* borrowed from iommu */
	struct iommu_group *group;     /* borrowed */
	const char *dma_api_driver;    /* name of the bound driver that uses the kernel's DMA API; NULL if none */
	const char *driver;	       /* name of whatever driver is bound; NULL if none; for texts */
	struct dma_port *port;	       /* owned */
	/* Regions of its own besides the unit's: a bit for each of a table that all devices share, borrowed. */
	const struct reserved_region *regions;
	u64 region_set;
	struct list_link group_link; /* group->devices, probe order */
};

struct iommu_group {
	int id;
	struct iommu *iommu; /* borrowed */
	struct list devices;
	unsigned ndevices;
	const struct owner *owner;	/* borrowed; NULL: the kernel's DMA API, or nobody */
	unsigned owner_count;		/* DMA-API drivers bound, or claims of owner */
	struct domain *default_domain;	/* owned */
	struct domain *blocking_domain; /* owned; made at the first claim */
	struct domain *domain;		/* current; borrowed */
	struct list_link link;		/* iommu->groups, by id */
};

struct iommu {
	struct rwlock dma; /* see base/lock.h */
	struct frames frames;
	struct list units;
	struct list groups;
	int next_group_id;
	/* Told of each DMA fault, on the device's thread, without iommu.dma. Set once by the machine. */
	void (*fault)(void *context, const struct dma_fault *fault);
	void *fault_context;
};

void iommu_init(struct iommu *iommu);
void iommu_fini(struct iommu *iommu); /* groups must be free; frees units, groups, devices */

int iommu_unit_add(struct iommu *iommu, const struct iommu_unit *description, struct iommu_unit **ret, struct why *why);

/* A new group with the lowest free id, with its default domain. */
int iommu_group_add(struct iommu *iommu, struct iommu_unit *unit, struct iommu_group **ret, struct why *why);
int iommu_device_add(struct iommu_group *group, struct iommu_unit *unit, struct pci_function *function,
		     struct iommu_device **ret, struct why *why);

struct iommu_group *iommu_group_find(const struct iommu *iommu, int id);

/* Union over the members, sorted, same kinds merged (spec 01 section 8); at most max regions; returns how many. */
unsigned iommu_group_regions(const struct iommu_group *group, struct reserved_region *ret, unsigned max);
const char *reserved_kind_name(enum reserved_kind kind); /* "direct-relaxable" */

/*
 * Ownership (spec 02 section 3): separate entry points, separate predicates.
 *
 * use_default: a driver that uses the DMA API is about to probe. GROUP_OWNED (EBUSY) names the owner.
 * claim: a VFIO container takes the whole group. GROUP_NOT_VIABLE (EPERM) names the device and driver in the way, or
 * GROUP_CLAIMED (EPERM) the owner; GROUP_DOMAIN_BUSY (EBUSY) a private domain still attached; GROUP_NEEDS_DIRECT
 * (EINVAL) the member that needs memory of the firmware.
 */
int iommu_use_default_domain(struct iommu_device *device, const char *driver, struct why *why);
void iommu_unuse_default_domain(struct iommu_device *device);
int iommu_group_claim(struct iommu_group *group, const struct owner *owner, struct why *why);
void iommu_group_release(struct iommu_group *group);
bool iommu_group_claimed(const struct iommu_group *group); /* owner_count != 0 */

/* Fills why with who is in the way of a claim (GROUP_NOT_VIABLE or GROUP_CLAIMED) and returns -errno; 0 if free. */
int iommu_group_may_claim(const struct iommu_group *group, const struct owner *owner, struct why *why);

/* Attach: current domain must be default or blocking (DOMAIN_ATTACHED, EBUSY). Detach cannot fail. */
int iommu_attach_group(struct domain *domain, struct iommu_group *group, struct why *why);
void iommu_detach_group(struct domain *domain, struct iommu_group *group);

/* The default domain's type as sysfs `type` shows it: "DMA-FQ". */
const char *iommu_group_type(const struct iommu_group *group);

void iommu_check(const struct iommu *iommu); /* invariants of spec 02 section 10 that apply; for machine_check() */

#endif
