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
 * only while the gates of the devices concerned are stopped, which is done inside.
 */
#ifndef IOMMU_IOMMU_H
#define IOMMU_IOMMU_H

#include "base/idmap.h"
#include "base/itree.h"
#include "base/list.h"
#include "base/lock.h"
#include "isolde/pt.h"
#include "mem/frames.h"
#include "pci/topology.h"

struct attach_handle;
struct domain;
struct dma_fault;
struct iommufd_driver;
struct iommu;
struct iommu_device;
struct iommu_unit;
struct page_request;
struct page_requests;

/* Whoever owns a group for user space. Embedded in a VFIO group (legacy) or an iommufd context. */
struct owner {
	/* "VFIO group 7 of qemu-io (pid 1234)"; returns text */
	const char *(*describe)(const struct owner *owner, char *text, size_t size);
};

enum page_answer { PAGE_SUCCESS, PAGE_INVALID, PAGE_FAILURE };

enum reserved_kind { RESERVED_DIRECT, RESERVED_DIRECT_RELAXABLE, RESERVED_RESERVED, RESERVED_MSI, RESERVED_SW_MSI };

struct reserved_region {
	u64 start, last;
	enum reserved_kind kind;
};

#define UNIT_REGIONS  8
#define GROUP_REGIONS 144 /* room to merge: eight of a unit and 64 of devices make 72, and one member's 72 come in */

/* What a group's kernel drivers get when nothing is asked for; AUTO only asks. */
enum group_type { TYPE_AUTO, TYPE_IDENTITY, TYPE_DMA, TYPE_DMA_FQ };

/* The kinds of units there are, and their drivers in Linux (iommu/kind_*.c). */
enum unit_kind { KIND_INTEL, KIND_AMD, KIND_SMMU, KIND_RISCV, KINDS };

/* device_iommu_capable() */
enum unit_capability {
	CAP_COHERENT,	       /* DMA sees what CPUs have in their caches; VFIO takes no other devices */
	CAP_ENFORCE_COHERENCY, /* also when a device asks for the opposite (no-snoop) */
	CAP_DIRTY,	       /* hardware marks the leaves it wrote through */
};

/* What a paging domain is for besides translating: IOMMU_HWPT_ALLOC_* of iommufd. */
enum {
	DOMAIN_FOR_NESTING = 1 << 0, /* user's tables are put on top */
	DOMAIN_FOR_DIRTY = 1 << 1,
	DOMAIN_FOR_PASIDS = 1 << 2,
};

/* The table of a domain. */
struct domain_shape {
	struct isolde_pt_config table; /* its memory is filled in by the domain */
	u64 first_iova, last_iova;     /* what both the format and the unit can translate */
	bool forces_write;	       /* no area can be read-only (Intel's erratum 772415) */
};

/*
 * What drives units of one kind. Its calls decide whether a member can have a domain; the core then moves the hardware.
 * A NULL member never refuses. All are under machine.lock.
 */
struct iommu_driver {
	const char *name; /* "intel-iommu" */
	int (*attach)(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why);
	int (*attach_pasid)(struct iommu_device *device, u32 pasid, struct domain *domain, struct domain *old,
			    struct why *why);
	/*
	 * A PASID of the device is taken back from that domain: Linux attaches the blocking domain there, which cannot
	 * fail. NULL: the driver need not know.
	 */
	void (*detach_pasid)(struct iommu_device *device, u32 pasid, struct domain *old);
	/*
	 * The table of a domain for that (DOMAIN_FOR_*); 0 always works. DOMAIN_ABILITY (EOPNOTSUPP). NULL: the unit's
	 * format and width, and nothing but PASIDs.
	 */
	int (*shape)(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why);
	bool (*capable)(const struct iommu_unit *unit, enum unit_capability capability); /* NULL: coherent */
	bool (*takes_pasid)(const struct domain *domain); /* can PASIDs be attached to it? NULL: yes */
	/* The one type of default domain that will do for the device; NULL or TYPE_AUTO: any. */
	enum group_type (*preference)(const struct iommu_device *device);
	bool lacks_pasids;	  /* no attach per PASID at all */
	bool attaches_pasids_off; /* attaches PASIDs even of a device that sends none */
	bool lacks_sva;		  /* no domain of a process's addresses */
	bool pages_optional;	  /* a device that cannot ask for pages may have a domain that would answer */
	bool unit_bound;	  /* a domain is of one unit: others of the kind refuse it */
	bool blocks_by_default;	  /* the default domain is the blocking one, which cannot be changed */
	/*
	 * Can the device ask for pages? A driver that says so enables that in its attach, too, for domains that answer
	 * (answers_pages), as Linux's do. NULL: devices with PRI can, and iommufd enables it for them.
	 */
	bool (*asks_pages)(const struct iommu_device *device);
	/* The answer to a device's page request, on its way to the hardware; NULL: nobody is told. */
	void (*answer_page)(struct iommu_device *device, const struct page_request *last, enum page_answer answer);
	const struct iommufd_driver *user;   /* what it does for user space (iommufd/driver.h); NULL: nothing more */
	bool user_pasid_table;		     /* below a nested domain PASIDs are the user's, their requests its own */
	enum isolde_pt_format nested_format; /* of the user's tables that its hardware walks */
};

struct iommu_unit {
	char name[40]; /* "dmar0" */
	enum unit_kind kind;
	unsigned number;		   /* in the order of the firmware's table */
	const struct iommu_driver *driver; /* borrowed; NULL in a description: the kind's */
	enum isolde_pt_format format;	   /* of its usual tables */
	unsigned width;			   /* input address bits, at most what the format has */
	u64 last_iova;			   /* of its usual domains; set by iommu_unit_add() */
	u64 cap, ecap;			   /* Intel: registers as `intel-iommu/cap` shows them */
	u64 efr, efr2;			   /* AMD: extended features */
	u32 capability;			   /* AMD: header of its PCI capability */
	u32 idr[6], iidr, aidr;		   /* SMMUv3: identification registers */
	unsigned granule;		   /* SMMUv3: of its tables; 0: 4096 */
	bool shared_interrupts;		   /* a device can raise those of others: nobody remaps them */
	bool incoherent;		   /* RISC-V: as its driver of 7.2 has it, which claims no coherency */
	struct reserved_region regions[UNIT_REGIONS];
	unsigned nregions;
	u32 max_pasids;	       /* 0: none */
	struct list_link link; /* iommu->units */
};

/* The device's way to memory: what a model holds. Opaque to it; see iommu/dma.h. */
struct dma_port;

/* What a driver says at bind that it will do (iommu/intent.h). */
enum intent {
	INTENT_DMA = 1 << 0,   /* DMA with its requester id */
	INTENT_PASID = 1 << 1, /* DMA with PASIDs */
	INTENT_ENQCMD =
		1 << 2, /* shared work queues: the CPU puts a PASID on the command, a virtual one is translated */
	INTENT_SOFTWARE = 1 << 3,   /* no DMA: a table in software, accesses instead of domains (mdev) */
	INTENT_UNDECLARED = 1 << 4, /* said nothing; checked against nothing */
};

struct iommu_device {
	struct pci_function
		*function;	   /* borrowed from the topology, which outlives us; NULL: none that a unit covers */
	struct iommu_unit *unit;   /* borrowed from iommu; NULL when emulated or untranslated */
	struct iommu_group *group; /* borrowed */
	const struct iommu_device *parent; /* of an emulated one: whose requester id its DMA would carry; NULL: none */
	char name[40];			   /* "0000:01:00.0", or the UUID of an emulated one */
	const char *dma_api_driver;	   /* name of the bound driver that uses the kernel's DMA API; NULL if none */
	const char *driver;		   /* name of whatever driver is bound; NULL if none; for texts */
	unsigned intent;		   /* of that driver */
	u32 max_pasids;			   /* of the device and its unit; 0: none */
	char *pasids_off;		   /* owned: why it sends none all the same, as a sentence; NULL: it may */
	int alias_set;			   /* as in pci_grouping; its members are told apart by nobody */
	unsigned claims;		   /* device claims of the group's owner through this device */
	struct list enqcmd;		   /* struct enqcmd_row, owned: iommu/intent.c */
	struct domain *own_domain;	   /* its alias set's, in place of the group's; borrowed; NULL */
	bool blocked;			   /* parked while it is reset (iommu/recover.c) */
	bool stranded;			   /* a domain that had to be attached could not; parked until the next */
	unsigned reset_depth;
	struct page_requests *requests; /* owned: iommu/page_request.c; NULL: it may not ask for pages */
	struct dma_port *port;		/* owned; NULL when emulated */
	/* Regions of its own besides the unit's: a bit for each of a table that all devices share, borrowed. */
	const struct reserved_region *regions;
	u64 region_set;
	void *driver_data;	     /* borrowed: what the unit's driver knows of it */
	struct list_link group_link; /* group->devices, probe order */
};

struct iommu_group {
	int id;
	struct iommu *iommu; /* borrowed */
	struct list devices;
	unsigned ndevices;
	const struct owner *owner;	/* borrowed; NULL: the kernel's DMA API, or nobody */
	unsigned owner_count;		/* DMA-API drivers bound, or claims of owner */
	struct domain *default_domain;	/* owned; NULL: not chosen yet, or no unit */
	struct domain *blocking_domain; /* owned; made at the first claim or reset */
	struct domain *domain;		/* current; borrowed; NULL like default_domain */
	struct attach_handle *handle;	/* of the current domain; borrowed; NULL: attached without */
	struct list pasids;		/* struct pasid_slot, owned: iommu/pasid.c */
	struct list attachments;	/* struct attachment, owned: iommu/attachment.c */
	unsigned recovering;		/* members parked for a reset */
	unsigned own_domains;		/* members with a domain of their alias set */
	struct list_link link;		/* iommu->groups, by id */
};

/* Where isolde can do other than Linux, each off unless the machine file says so. */
struct iommu_options {
	bool strict_intent;   /* refuse at attach what contradicts the driver's declaration */
	bool private_domains; /* a driver may attach its own domain to a shared group while it alone is counted */
	bool alias_domains;   /* the kernel's side may attach per alias set */
};

struct iommu {
	struct iommu_driver drivers[KINDS]; /* `user` is set by iommufd */
	struct frames frames;
	struct list identities; /* struct domain: all whose addresses are physical, and so see all frames */
	struct list units;
	struct list groups;	    /* by id */
	struct list untranslated;   /* struct dma_port, owned: of functions that no unit covers */
	struct list processes;	    /* struct sva_process, owned: iommu/sva.c */
	struct idmap global_pasids; /* of all devices; whose they are is the caller's */
	unsigned amd_guest_ids;	    /* AMD: domain ids that stand for guests' (iommufd/driver_amd.c) */
	struct iommu_options options;
	/* Told of each DMA fault, on the device's thread, outside of its gate. Set once by the machine. */
	void (*fault)(void *context, const struct dma_fault *fault);
	void *fault_context;
};

void iommu_init(struct iommu *iommu);
void iommu_fini(struct iommu *iommu); /* groups must be free; frees units, groups, devices */

/* Units that cannot address all frames come before the first mapping. */
int iommu_unit_add(struct iommu *iommu, const struct iommu_unit *description, struct iommu_unit **ret, struct why *why);

/* ---- groups and devices ---- */

/* A new group with the lowest free id. It has no default domain yet: EPROBE_DEFER for whoever wants it. */
int iommu_group_add(struct iommu *iommu, struct iommu_group **ret, struct why *why);
void iommu_group_remove(struct iommu_group *group); /* it is empty; else it goes with its last member */
/* Every member is attached to it, unless an owner came first. Its type can change: iommu/default_domain.h. */
int iommu_group_choose_default(struct iommu_group *group, struct why *why);
/* The default domain's type as sysfs `type` shows it: "DMA-FQ". */
const char *iommu_group_type(const struct iommu_group *group);

/*
 * A device joins: at boot, or hot-plugged into a group in use; it gets the group's current domain, of an owner too, but
 * not its PASIDs (spec 01 section 6.1). DEVICE_NEEDS_DIRECT (EINVAL): it must keep memory mapped, and the group is
 * blocked. On failure it is in no group.
 */
int iommu_device_add(struct iommu_group *group, struct iommu_unit *unit, struct pci_function *function,
		     struct iommu_device **ret, struct why *why);
/* The same, with what is known of it besides its registers. regions: borrowed. */
struct iommu_device_facts {
	int alias_set;
	const struct reserved_region *regions;
	u64 region_set;
};
int iommu_device_plug(struct iommu_group *group, struct iommu_unit *unit, struct pci_function *function,
		      const struct iommu_device_facts *facts, struct iommu_device **ret, struct why *why);
/*
 * One that is no PCI function, as Arm's platform devices are: nothing of what follows from capabilities applies.
 * max_pasids: its own limit, 0: it has none; the unit's applies, too.
 */
struct iommu_platform_facts {
	const char *name;
	u32 max_pasids;
	void *driver_data;
};
int iommu_platform_add(struct iommu_group *group, struct iommu_unit *unit, const struct iommu_platform_facts *facts,
		       struct iommu_device **ret, struct why *why);
/*
 * One that is no hardware: in a group of its own, with neither unit nor domains (spec 06 section 6: VFIO's emulated
 * devices). parent may be NULL.
 */
int iommu_emulated_add(struct iommu *iommu, const char *name, const struct iommu_device *parent,
		       struct iommu_device **ret, struct why *why);
/*
 * Hardware that no unit covers, for as long as VFIO has it without an IOMMU: in a group of its own, like the above. Its
 * DMA is that of iommu_untranslated_port(). Linux: drivers/vfio/group.c:vfio_noiommu_group_alloc().
 */
int iommu_untranslated_add(struct iommu *iommu, const char *name, struct iommu_device **ret, struct why *why);
/*
 * The port of a function that no unit covers, which is freed with iommu: its addresses are physical. Nobody's memory
 * has any here, so that all its transfers fault.
 */
int iommu_untranslated_port(struct iommu *iommu, const struct pci_function *function, struct dma_port **ret,
			    struct why *why);
/* The function goes earlier, its model is gone; it need not have such a port. */
void iommu_untranslated_forget(struct iommu *iommu, const struct pci_function *function);
/* Its driver is gone already, and whoever attached through it. The last member takes the group along. */
void iommu_device_remove(struct iommu_device *device);

struct iommu_group *iommu_group_find(const struct iommu *iommu, int id);

/* The unit of its members; NULL: none, or it is empty. */
struct iommu_unit *iommu_group_unit(const struct iommu_group *group);

/* DOMAIN_ABILITY (EOPNOTSUPP) */
int iommu_unit_shape(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why);
/* Can devices behind either use one domain? */
bool iommu_units_alike(const struct iommu_unit *a, const struct iommu_unit *b);
bool iommu_unit_capable(const struct iommu_unit *unit, enum unit_capability capability);

/* The regions of one device: its unit's, then its own; NULL behind the last. */
const struct reserved_region *iommu_device_region(const struct iommu_device *device, unsigned index);

/* Union over the members, sorted, same kinds merged (spec 01 section 8); at most max regions; returns how many. */
unsigned iommu_group_regions(const struct iommu_group *group, struct reserved_region *ret, unsigned max);
const char *reserved_kind_name(enum reserved_kind kind); /* "direct-relaxable" */

void iommu_check(const struct iommu *iommu); /* invariants of spec 02 section 10 that apply; for machine_check() */

#endif
