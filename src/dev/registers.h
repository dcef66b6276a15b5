/* SPDX-License-Identifier: MIT */
/*
 * The registers of a precise page: an image of them, and a table of what stores and loads do. What no row speaks of is
 * read-only; what the image holds there is what loads see.
 */
#ifndef DEV_REGISTERS_H
#define DEV_REGISTERS_H

#include "pci/function.h"

struct register_row {
	u32 offset;
	u8 width;     /* 1, 2, 4 or 8; aligned */
	u64 writable; /* bits that a store sets */
	u64 clears;   /* written as one, these bits become zero */

	/* After a store to some of it; written has zeroes where the store did not reach, lanes ones where it did. */
	void (*stored)(void *model, u64 written, u64 lanes);
	void (*loaded)(void *model); /* after a load of some of it: what was loaded is what was there before */
};

struct registers {
	u8 *image; /* borrowed */
	u32 size;  /* a multiple of 8 */
	const struct register_row *rows;
	unsigned nrows;
};

/* Loads beyond the image give zeroes, stores there are lost. */
void registers_load(const struct registers *registers, void *model, struct pci_access *access);
void registers_store(const struct registers *registers, void *model, const struct pci_access *access);

#endif
