/* SPDX-License-Identifier: MIT */
/*
 * A device for those who test how programs reach registers. BAR 0 has four pages: registers, a polled page (memory), a
 * portal, and memory whose every access arrives. docs/machine-file.md tells its registers to people.
 */
#ifndef DEV_PROBE_H
#define DEV_PROBE_H

#include "dev/model.h"

enum {
	PROBE_BAR_SIZE = 0x4000,
	PROBE_POLLED = 0x1000, /* pages */
	PROBE_PORTAL = 0x2000,
	PROBE_MEMORY = 0x3000,

	PROBE_ID = 0x00,	/* 32 bits: "prob" */
	PROBE_SCRATCH = 0x08,	/* 64: holds what is stored */
	PROBE_EVENTS = 0x10,	/* 64: a store adds to it, a load takes it all */
	PROBE_LOADS = 0x18,	/* 64: of the precise pages, before this one; likewise */
	PROBE_STORES = 0x20,	/* 64 */
	PROBE_WIDTH = 0x28,	/* 64: of the last store, but to here */
	PROBE_OFFSET = 0x30,	/* 64: likewise */
	PROBE_COMMANDS = 0x38,	/* 64: stores of 64 bytes to the portal */
	PROBE_ACCEPTED = 0x40,	/* 64: of what was enqueued there */
	PROBE_REFUSED = 0x48,	/* 64 */
	PROBE_RETRY = 0x50,	/* 64: so many of the next are refused */
	PROBE_LAST = 0x80,	/* 64 bytes: the last of either */
	PROBE_REGISTERS = 0xc0, /* behind them: zeroes */

	PROBE_MAGIC = 0x626f7270,
};

extern const struct model probe_model;

#endif
