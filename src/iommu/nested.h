/* SPDX-License-Identifier: MIT */
/*
 * Nested domains: the user's own tables (stage 1), whose tables and output are IOVAs of a parent domain (stage 2).
 *
 * Tables are read where the program has them, at each request whose translation is not known: this is what hardware
 * does. So what a program changes there, it must say (nested_flush...), as to hardware. What is behind the parent's
 * IOVAs is the core's: an unmap there forgets all that nested domains know.
 */
#ifndef IOMMU_NESTED_H
#define IOMMU_NESTED_H

#include "iommu/domain.h"

struct stage1_reader;

/* What requests of one PASID mean. */
enum stage1_kind {
	STAGE1_ABORT,  /* they fault */
	STAGE1_BYPASS, /* their addresses are the parent's IOVAs */
	STAGE1_TABLES, /* a table, or one for each half of the addresses */
};

struct stage1_setup {
	enum stage1_kind kind;
	bool no_lower, upper; /* tables[0] is not there, tables[1] is */
	struct {
		struct isolde_pt_config config; /* size and memory are filled in */
		u64 root;
	} tables[2];
	unsigned unsigned_bits; /* addresses have so many bits and no sign, although the table extends it; 0: no */
	u32 asid;		/* what invalidations name */
};

/* Of a nested domain; copied. */
struct nested_setup {
	enum isolde_pt_format format; /* of the user's tables */
	/*
	 * Looks in the user's table of PASIDs, with nested_read(). 0, or a dma_fault_reason plus one. NULL: stage1
	 * below is for all that is attached.
	 */
	int (*find)(const struct nested_setup *setup, struct stage1_reader *reader, u32 pasid,
		    struct stage1_setup *ret);
	u64 words[4]; /* for find: what the user wrote of it */
	struct stage1_setup stage1;
	bool uncached; /* the user has no way to invalidate, so nothing is kept */
};

/* Words of the parent's IOVAs, aligned to 8; false: they are not there, and the reader knows why. For find. */
bool nested_read(struct stage1_reader *reader, u64 address, u64 *ret, unsigned count);

/* OUT_OF_MEMORY. The parent must be a paging one, and counts it among its users. */
int domain_new_nested(struct domain *parent, const struct nested_setup *setup, struct domain **ret, struct why *why);

/* ---- what the user invalidates; nothing of it is used when they return ---- */

#define ANY_ASID  UINT32_MAX
#define ANY_PASID UINT32_MAX

/* Translations of [start, last] of one nested domain. */
void nested_flush(struct domain *nested, u64 start, u64 last);
/* The same of all nested domains of the parent, with that ASID. */
void nested_flush_asid(struct domain *parent, u32 asid, u64 start, u64 last);
/* Of one device, if it is attached to a nested domain of the parent: translations with that PASID (0: without). */
void nested_flush_device(const struct domain *parent, struct iommu_device *device, u32 pasid, u64 start, u64 last);
/* What the device's table of PASIDs said of one, and with it all translations. */
void nested_forget_context(const struct domain *parent, struct iommu_device *device, u32 pasid);

#endif
