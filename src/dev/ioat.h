/* SPDX-License-Identifier: MIT */
/*
 * Intel QuickData (I/OAT), 3.2 as in Skylake servers up to 3.4 as in Ice Lake: one channel that copies and fills, one
 * vector.
 *
 * Its register page is precise: some registers change by being read, and a driver that has started the channel looks
 * at CHANSTS at once, which must not say "halted" any more.
 *
 *	ioat.c		registers, what the PCI function asks of a model
 *	ioat_channel.c	the channel: descriptors, completions, errors, interrupts
 *	ioat_migration.c	moving it to another one
 *
 * All is under the worker's lock.
 */
#ifndef DEV_IOAT_H
#define DEV_IOAT_H

#include "dev/ioat_regs.h"
#include "dev/model.h"
#include "dev/worker.h"

enum {
	IOAT_BAR_SIZE = 0x4000,
	IOAT_XFERCAP_MIN = 12,
	IOAT_XFERCAP_MAX = 20, /* what Skylake has */
	IOAT_MINOR_MIN = 2,
	IOAT_MINOR_MAX = 4,
	IOAT_CHUNK = 128 << 10, /* bytes moved at once: they stay in the cache between load and store */
	IOAT_BATCH = 64,	/* descriptors done before a control thread gets its turn */
	IOAT_REGISTERS_SIZE = 0x100,
};

struct ioat {
	struct worker worker;
	struct pci_function *function; /* borrowed; owns us */
	struct dma_port *port;	       /* borrowed; outlives the function */
	unsigned xfercap;
	unsigned minor; /* of version 3 */
	u8 registers[IOAT_REGISTERS_SIZE];

	enum ioat_state state;
	u16 executed;	     /* of the chain; as many as DMACOUNT says may be */
	bool first;	     /* none of the chain has been fetched */
	u64 next;	     /* of the descriptor to fetch */
	u64 completed;	     /* of the last one done */
	bool suspending;     /* once the descriptor in work is done */
	u32 errors_internal; /* CHANERR_INT: bits not yet in configuration space */
	bool level;	     /* of the line, as told to pci_irq */
	enum pci_activity activity;

	bool busy; /* the rest is the descriptor in work */
	struct ioat_descriptor descriptor;
	u64 address;
	u32 done;
	u8 buffer[IOAT_CHUNK];
};

/* ioat.c */
extern const struct model ioat_model;
void ioat_update_line(struct ioat *ioat);    /* INTRCTRL's own bits, and the line they drive */
void ioat_show_constants(struct ioat *ioat); /* what a driver reads and cannot change */

static inline u8 *ioat_register(struct ioat *ioat, unsigned offset)
{
	return ioat->registers + offset;
}

/* ioat_channel.c */
void ioat_channel_reset(struct ioat *ioat);
void ioat_channel_arm(struct ioat *ioat);   /* CHAINADDR was written */
void ioat_channel_count(struct ioat *ioat); /* DMACOUNT was written */
void ioat_channel_suspend(struct ioat *ioat);
bool ioat_channel_run(struct ioat *ioat); /* some of what DMACOUNT allows; true if there was anything to do */
void ioat_halt(struct ioat *ioat, u32 errors);
u32 ioat_judge(const struct ioat *ioat, const struct ioat_descriptor *descriptor); /* IOAT_ERR_*; 0: nothing is wrong */
void ioat_show_state(struct ioat *ioat, enum ioat_state state);

/* ioat_migration.c */
int ioat_migration_init(struct ioat *ioat, const struct model_options *options, struct why *why);

#endif
