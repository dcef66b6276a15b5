/* SPDX-License-Identifier: MIT */
/*
 * Domains: what a device's IOVAs mean.
 *
 *	paging		a real table in memory of the areas of its space
 *	blocking	translates nothing
 *	identity	an IOVA is the physical address of a frame
 *	SVA		an IOVA is a virtual address of a client
 *	nested		the user's own table, whose output is an IOVA of a parent domain
 */
#ifndef IOMMU_DOMAIN_H
#define IOMMU_DOMAIN_H

#include "iommu/space.h"

enum domain_kind {
	DOMAIN_ANY, /* in questions; no domain is */
	DOMAIN_PAGING,
	DOMAIN_BLOCKING,
	DOMAIN_IDENTITY,
	DOMAIN_SVA,
	DOMAIN_NESTED,
};

#define DOMAIN_NAME 64

struct nested_setup;

struct domain {
	enum domain_kind kind;
	char name[DOMAIN_NAME];		   /* "IOAS 3 of qemu (pid 1234)", for refusals; may be empty */
	struct iommu *iommu;		   /* borrowed */
	const struct iommu_driver *driver; /* borrowed: whose devices can have it */
	const struct iommu_unit *unit;	   /* borrowed: for whose devices it was made */
	unsigned abilities;		   /* DOMAIN_FOR_*; of a paging one */
	bool forces_write;		   /* its areas cannot be read-only */
	bool tracks_dirty;		   /* domain_set_dirty() */
	struct isolde_pt *pt;		   /* owned; NULL unless paging */
	u64 first_iova, last_iova;	   /* what both the format and the unit can translate */
	bool answers_pages;		   /* there is somebody who answers page requests of devices that have it */
	void *extra;			   /* owned: the driver's own, one allocation */
	bool pasid_compatible;		   /* may be used beside PASIDs, and for one */
	bool flush_queue;		   /* of a default one: IOTLBs are flushed later, for many unmaps at once */
	struct space *space; /* what its table is of; borrowed, or own_space, which is empty unless paging */
	struct space own_space;
	size_t trim_at;		      /* empty tables are looked for when the table takes more bytes */
	struct list_link of_space;    /* space->domains; paging ones are in one */
	struct extent *process;	      /* owned: all of the client's addresses; NULL unless SVA */
	struct domain *parent;	      /* of a nested one: counted among its users */
	struct nested_setup *nested;  /* owned; of a nested one (iommu/nested.h); NULL: it translates nothing */
	struct list children;	      /* struct domain: nested ones on top of it; under machine.lock */
	struct list_link of_parent;   /* parent->children */
	enum isolde_pt_format format; /* of the table, the user's when nested */
	u64 generation;		      /* counts full invalidations; IOTLBs compare it. While stopped */
	struct list contexts;	      /* struct dma_context: whose DMA it translates; under machine.lock */
	struct list_link of_iommu;    /* iommu->identities */
	unsigned users;		      /* groups attached or holding it as default or blocking; under machine.lock */

	/*
	 * What else an attach depends on, for a domain with a user behind it; asked for every member. NULL: nothing.
	 */
	int (*may_attach)(struct domain *domain, struct iommu_device *device, struct why *why);
	void (*release)(struct domain *domain); /* when it goes, before extra is freed; NULL: nothing to do */

	/*
	 * Told of each fault that nobody recovers from, on the device's thread, inside its gate: it
	 * may neither wait nor call the core. NULL: nobody asked (report_iommu_fault() would say ENOSYS).
	 */
	void (*fault)(void *context, const struct dma_fault *fault);
	void *fault_context;
};

/* kind is paging, blocking or identity. A paging one has a space of its own. */
int domain_new(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind, struct domain **ret,
	       struct why *why);
/*
 * A paging domain of the space; the areas that are there already are the caller's to fill in. DOMAIN_ABILITY
 * (EOPNOTSUPP): abilities are DOMAIN_FOR_*.
 */
int domain_new_in(struct space *space, const struct iommu_unit *unit, struct domain **ret, struct why *why);
int domain_new_for(struct space *space, const struct iommu_unit *unit, unsigned abilities, struct domain **ret,
		   struct why *why);
/*
 * The same with a table, and an aperture, that the driver wants instead of the unit's own. shape->table.memory is
 * filled in here; a table that the format does not have is a bug of the driver.
 */
int domain_new_shaped(struct space *space, const struct iommu_unit *unit, const struct domain_shape *shape,
		      struct domain **ret, struct why *why);
/*
 * A nested one whose table nobody walks: it translates nothing. unit need not be the parent's. Those with tables are in
 * iommu/nested.h.
 */
int domain_new_opaque(struct domain *parent, const struct iommu_unit *unit, struct domain **ret, struct why *why);
/* IOVAs are addresses of the client. SVA_UNSUPPORTED (EOPNOTSUPP): the unit cannot, or has no PASIDs. */
int domain_new_sva(struct iommu *iommu, const struct iommu_unit *unit, struct client *client, struct domain **ret,
		   struct why *why);
/* Asserts no users; unmaps what is left in its own space; NULL is legal; returns NULL. */
struct domain *domain_free(struct domain *domain);

/* "IOAS 3 of qemu (pid 1234), 12 mappings"; returns text. */
#define DOMAIN_TEXT 128
const char *domain_describe(const struct domain *domain, char text[static DOMAIN_TEXT]);
const char *domain_kind_name(enum domain_kind kind);

u64 domain_page_sizes(const struct domain *domain); /* bit n set: its table has leaves of 2^n bytes; paging ones only */

/*
 * Table entries of one area of its space, which it has none of. IOVA_BEYOND_TABLE, AREA_MISALIGNED: to its smallest
 * page, AREA_READ_ONLY: it forces writes (EINVAL); IOVA_MAPPED (EEXIST): registers are there; OUT_OF_MEMORY; on failure
 * nothing changed. Devices find it at once, but nobody is stopped for it.
 */
int domain_fill(struct domain *domain, const struct area *area, struct why *why);
/* Takes them out again, and what IOTLBs hold of them. No DMA through this domain reaches the area any more then. */
void domain_clear(struct domain *domain, const struct area *area);

/*
 * One page that is no memory: an interrupt controller's, which devices send their messages to. No area stands for it -
 * whoever maps it keeps areas away while devices need it - and it goes with the domain. IOVA_BEYOND_TABLE, IOVA_MAPPED
 * (EEXIST), REGISTERS_BEYOND (ERANGE), OUT_OF_MEMORY.
 */
int domain_map_registers(struct domain *domain, u64 iova, u64 physical, struct why *why);

/*
 * Maps [iova, iova + size) of a domain's own space to the client's memory at address. The caller has checked alignment,
 * overlap with areas, reserved regions and the client's range. Allocates frames and table; charges `charged` bytes to
 * the client. IOVA_BEYOND_TABLE (EINVAL), IOVA_MAPPED (EEXIST), MEMLOCK_EXCEEDED, OUT_OF_MEMORY; on failure nothing
 * changed.
 */
int domain_map(struct domain *domain, u64 iova, u64 size, struct client *client, u64 address, unsigned permission,
	       u64 charged, struct area **ret, struct why *why);

/* Removes and frees one area of domain_map(), its extent and charge. No DMA reaches it any more then. */
void domain_unmap(struct domain *domain, struct area *area);

/* Frees the tables that unmaps have left empty; the domain does so itself when they are many. */
void domain_trim(struct domain *domain);

/*
 * Dirty tracking of a domain made for it. Beginning forgets all that was written before. DIRTY_INCAPABLE (EOPNOTSUPP).
 */
int domain_set_dirty(struct domain *domain, bool on, struct why *why);
/*
 * Tells what was written in [start, last] while it was tracked, leaf by leaf: from each leaf that a device wrote
 * through, the part that is in the range. With `clear`, a leaf is clean again, unless it sticks out of the range: what
 * is outside has not been told. The bytes of writes that were told so are there when it returns, and later ones are the
 * next call's; not before, so visit() only takes notes. Takes time in proportion to the tables of the range, mapped or
 * not.
 */
void domain_read_dirty(struct domain *domain, u64 start, u64 last, bool clear, isolde_pt_dirty_visit *visit,
		       void *context);

/* Forgets all that IOTLBs hold of the domain. */
void domain_flush(struct domain *domain);

/* DMA through this domain, and nested ones on top, stops until it is started again. Nests; nothing may be attached or
 * detached in between. */
void domain_stop(const struct domain *domain);
void domain_start(const struct domain *domain);

/* The area of its space holding iova, or NULL. Needs machine.lock or the gate of a port that it translates for. */
static inline struct area *domain_area_at(const struct domain *domain, u64 iova)
{
	return space_area_at(domain->space, iova);
}

/* Inside the core: one that is nothing yet but of that kind. */
struct domain *domain_alloc(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind, struct why *why);

void domain_check(const struct domain *domain); /* areas, table and frames agree; for machine_check() */

#endif
