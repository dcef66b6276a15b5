/* SPDX-License-Identifier: MIT */
/*
 * I/O page tables: one contract, several formats. Pure memory; usable without the rest of isolde.
 *
 * A table translates an IOVA to a "physical" address, both 64-bit. Ranges are start and size in bytes; start and size
 * of every call are multiples of the smallest page size. Nothing is ever split: a leaf is removed whole or not at all.
 *
 * Concurrency: pt_iova_to_phys() and pt_walk() may run in any number of threads while one thread maps; entries are
 * published with release order, a table before the entry that points to it. A map that fails frees nothing a walker can
 * have seen. Tables are only freed by pt_unmap() and pt_free(), which the caller must keep apart from all walkers.
 */
#ifndef ISOLDE_PT_H
#define ISOLDE_PT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct isolde_pt;

enum isolde_pt_format {
	ISOLDE_PT_VTDSS, /* Intel VT-d second stage, 4 levels, 48-bit input (VT-d 5.0 section 9.8) */
	ISOLDE_PT_FORMATS,
};

enum {
	ISOLDE_PT_READ = 1 << 0,  /* the device may read */
	ISOLDE_PT_WRITE = 1 << 1, /* the device may write */
};

/* What a device would get for one access. */
enum isolde_pt_fault {
	ISOLDE_PT_OK,
	ISOLDE_PT_NOT_PRESENT, /* nothing mapped there */
	ISOLDE_PT_PERMISSION,  /* mapped, but not for this access */
	ISOLDE_PT_ADDRESS,     /* the IOVA is beyond the format's width */
	ISOLDE_PT_RESERVED,    /* an entry has a reserved bit set: the table is corrupt */
};

struct isolde_pt_walk {
	uint64_t physical;   /* of the IOVA asked for */
	uint64_t leaf_size;  /* bytes of the leaf that holds it */
	unsigned permission; /* ISOLDE_PT_READ | ISOLDE_PT_WRITE of the leaf and all above it */
};

/* A new empty table, or NULL when there is no memory. */
struct isolde_pt *isolde_pt_new(enum isolde_pt_format format);
void isolde_pt_free(struct isolde_pt *pt); /* NULL is legal; mappings left are dropped */

/* Bit n set: leaves of 2^n bytes exist. */
uint64_t isolde_pt_page_sizes(const struct isolde_pt *pt);
uint64_t isolde_pt_last_iova(const struct isolde_pt *pt);

/*
 * Maps [iova, iova + size) to [physical, physical + size) with the largest leaves that fit.
 *
 * 0; -EINVAL misaligned, no permission asked for, or size 0; -ERANGE beyond the format on either side; -EADDRINUSE when
 * any page of the range is mapped already; -ENOMEM. On failure the table translates exactly what it did before.
 */
int isolde_pt_map(struct isolde_pt *pt, uint64_t iova, uint64_t physical, uint64_t size, unsigned permission);

/*
 * Unmaps whole leaves from iova on; returns the number of bytes removed. Stops at the first hole. A leaf larger than
 * what is left of the range is removed whole, so the return may exceed size: callers unmap what they mapped.
 */
uint64_t isolde_pt_unmap(struct isolde_pt *pt, uint64_t iova, uint64_t size);

/* The physical address, 0 when nothing is mapped. */
uint64_t isolde_pt_iova_to_phys(const struct isolde_pt *pt, uint64_t iova);

/* One access of `permission` as the hardware does it. *ret is filled only for ISOLDE_PT_OK. */
enum isolde_pt_fault isolde_pt_walk(const struct isolde_pt *pt, uint64_t iova, unsigned permission,
				    struct isolde_pt_walk *ret);

/* Bytes of table memory in use, the root included. */
size_t isolde_pt_memory(const struct isolde_pt *pt);

/* Asserts the format's invariants over the whole table; for machine_check(). */
void isolde_pt_check(const struct isolde_pt *pt);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
