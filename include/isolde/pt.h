/* SPDX-License-Identifier: MIT */
/*
 * I/O page tables: one contract, many formats. Pure memory and libc; usable without the rest of isolde (docs/pt.md).
 *
 * A table translates an IOVA to a "physical" address, both 64-bit. Ranges are a start and a size in bytes, both
 * multiples of the smallest page size. Nothing is ever split: a leaf is made whole and removed whole. Every call either
 * does all it was asked for, or changes nothing and returns a negative errno.
 *
 * "Level" counts tables from the bottom: an entry of level 0 maps the smallest pages.
 *
 * Threads:
 *
 * - Readers take no lock and run beside any writer: isolde_pt_walk(), isolde_pt_iova_to_phys(),
 *   isolde_pt_walk_nested(). Entries are published with release order after what they point to.
 * - Writers run beside each other on disjoint ranges, where a range counts with the whole of the leaves it touches:
 *   isolde_pt_map(), isolde_pt_unmap(), isolde_pt_read_dirty(). Several threads then call the table allocator.
 * - Beside the rest there is no writer: isolde_pt_trim(), isolde_pt_set_dirty(), isolde_pt_check(). Beside
 *   isolde_pt_free() there is nobody.
 *
 * Freed tables: a table is removed when one unmap covers all it spans, when a larger leaf takes the place of an empty
 * one, or by trim. Other writers cannot be in it, for their ranges are others; readers and hardware can. So it is not
 * freed but handed to the caller's gather, to be drained once hardware has been invalidated and readers have left.
 * Where the caller gives no gather (NULL), tables are freed at once, and keeping readers away is the caller's part.
 *
 * A table that several unmaps have emptied stays, so that the next map need not make it again: to know that it is empty
 * would cost every unmap a count that all writers share, or a scan. isolde_pt_trim() frees those.
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
	ISOLDE_PT_VTDSS,    /* Intel VT-d second stage, 3 to 5 levels (VT-d 5.0 section 9.8) */
	ISOLDE_PT_AMDV1,    /* AMD I/O page table, 1 to 6 levels (AMD 48882 section 2.2.3) */
	ISOLDE_PT_X86_64,   /* x86-64, 4 or 5 levels: VT-d first stage (VT-d 5.0 section 9.7), AMD v2 guest tables */
	ISOLDE_PT_ARM64_S1, /* Arm VMSAv8-64 stage 1 (Arm ARM section D8.3) */
	ISOLDE_PT_ARM64_S2, /* Arm VMSAv8-64 stage 2 */
	ISOLDE_PT_RISCV_S1, /* RISC-V Sv39, Sv48, Sv57 (RISC-V privileged architecture, section 10.4) */
	ISOLDE_PT_RISCV_S2, /* RISC-V Sv39x4, Sv48x4, Sv57x4 (section 15.5) */
	ISOLDE_PT_FORMATS,
};

/*
 * What a mapping permits, what it is, and what an access wants. Formats differ in what they can say; the flags of a
 * table's format are isolde_pt_flags(). Where write-only cannot be said (all but VTDSS, AMDV1, ARM64_S2), what may be
 * written may be read.
 */
enum {
	ISOLDE_PT_READ = 1 << 0,
	ISOLDE_PT_WRITE = 1 << 1,
	ISOLDE_PT_EXECUTE = 1 << 2,
	ISOLDE_PT_PRIVILEGED = 1 << 3, /* mapping: for privileged accesses only; access: is one */
	ISOLDE_PT_GLOBAL = 1 << 4,     /* mapping: the same in all address spaces */
	ISOLDE_PT_UNCACHED = 1 << 5,   /* mapping: memory, but not cached */
	ISOLDE_PT_DEVICE = 1 << 6,     /* mapping: registers; not with UNCACHED */
};

/* Optional abilities of the hardware that a table may use. One that the format does not have is -EOPNOTSUPP. */
enum {
	/* VTDSS, AMDV1: every leaf asks for snooping (SNP, FC). Without it those bits are reserved in VTDSS. */
	ISOLDE_PT_FORCE_SNOOP = 1 << 0,
	/* Leaves of several entries: AMDV1 any power of two, ARM64 the contiguous hint, RISCV Svnapot 64 KiB. */
	ISOLDE_PT_CONTIGUOUS = 1 << 1,
	/*
	 * Hardware writes accessed and dirty bits: VT-d SSADE, AMD HAD, Arm HA and HD, RISC-V SADE or GADE; so does
	 * walk. Without it, walk writes nothing, and leaves are made accessed and dirty where the format would fault
	 * otherwise.
	 */
	ISOLDE_PT_DIRTY = 1 << 2,
	/* AMDV1: begin with `levels` and add levels on top when a map needs them; isolde_pt_root() then changes. */
	ISOLDE_PT_GROW = 1 << 3,
	/* RISCV: page-based memory types (Svpbmt); UNCACHED and DEVICE need it. */
	ISOLDE_PT_MEMORY_TYPES = 1 << 4,
};

/* What MAIR_EL1 must be for ARM64_S1: index 0 write-back, 1 not cacheable (UNCACHED), 2 Device-nGnRE (DEVICE). */
#define ISOLDE_PT_ARM64_MAIR 0x0444ffull

/* Which IOVAs a table is for. Formats that extend the sign have an upper half, others only ISOLDE_PT_LOWER. */
enum isolde_pt_half {
	ISOLDE_PT_LOWER, /* from 0 on; in X86_64 and RISCV_S1 half of the root's entries */
	ISOLDE_PT_UPPER, /* up to 2^64 - 1: ARM64_S1 the table of TTBR1; X86_64 and RISCV_S1 the root's other half */
	ISOLDE_PT_BOTH,	 /* X86_64, RISCV_S1: canonical addresses; no range spans the gap or wraps */
};

/*
 * Where tables live. All zeros: the heap, and entries hold pointers (they fit into every format's address field).
 * A caller may replace the allocator alone, the translation alone (for adopted tables), or both.
 */
struct isolde_pt_memory {
	/*
	 * Memory for a table, NULL when there is none; need not be zeroed. Size and alignment are powers of two; the
	 * alignment is that of the address, the pointer's own may be less, but not less than 64.
	 */
	void *(*allocate)(void *context, size_t size, size_t alignment);
	void (*release)(void *context, void *table, size_t size); /* given with allocate, or not at all */
	uint64_t (*address)(void *context, const void *table);	  /* what hardware calls it; given with `table` */
	/* `size` bytes of table memory at that address, aligned to 8; NULL when there is none: a walk then faults. */
	void *(*table)(void *context, uint64_t address, size_t size);
	void *context;
	bool big_endian; /* entries are stored big-endian */
	/*
	 * Nested walks only, in place of table(): an entry of stage 1, 8 bytes as stored, which lies at `input` and,
	 * says stage 2, at `address`. For memory that cannot be pointed to, or that may go away. false: it is not
	 * there.
	 */
	bool (*load)(void *context, uint64_t input, uint64_t address, uint64_t *ret);
	/* Given with load. Makes it `wanted` if it is `expected`; *ret_done says whether it was. */
	bool (*exchange)(void *context, uint64_t input, uint64_t address, uint64_t expected, uint64_t wanted,
			 bool *ret_done);
};

/* Zeros are defaults throughout: VT-d's usual table, on the heap. docs/pt.md has the fields by format. */
struct isolde_pt_config {
	size_t size; /* of this structure, as the caller knows it */
	enum isolde_pt_format format;
	/*
	 * Bits of an IOVA, the sign included; 0: what `levels` translate, or 48 (AMDV1 64, RISCV_S2 50). X86_64 and
	 * RISCV take only whole levels: 48, 57; 39, 48, 57 (RISCV_S2 two more).
	 */
	unsigned input_bits;
	unsigned levels; /* of tables; 0: as few as input_bits need. ARM64_S2: one less, with up to 16 roots in a row */
	unsigned output_bits; /* of a physical address; 0: 52, ARM64 48, RISCV 56 */
	/*
	 * ARM64: 4096, 16384 or 65536; AMDV1: 4096, or 2048 as no hardware but the mock IOMMU of Linux's selftests has
	 * it; others only 4096; 0: 4096
	 */
	unsigned granule;
	enum isolde_pt_half half;
	unsigned features; /* ISOLDE_PT_FORCE_SNOOP ... */
	/* Bit n: leaves of 2^n bytes may be made, of those there are; 0: all. VTDSS, X86_64: the rest is reserved. */
	uint64_t page_sizes;
	struct isolde_pt_memory memory;
};

/* What a device would get for one access. */
enum isolde_pt_fault {
	ISOLDE_PT_OK,
	ISOLDE_PT_NOT_PRESENT, /* nothing mapped there */
	ISOLDE_PT_PERMISSION,  /* mapped, but not for this access */
	ISOLDE_PT_ADDRESS,     /* the IOVA is beyond the format's width, or not canonical */
	ISOLDE_PT_RESERVED,    /* an entry has a reserved bit or encoding: the table is corrupt */
	ISOLDE_PT_ACCESS_FLAG, /* ARM64, RISCV: the accessed (or dirty) bit is clear, and hardware may not set it */
	ISOLDE_PT_OUTPUT,      /* ARM64, RISCV: an entry's address is beyond output_bits */
	ISOLDE_PT_TABLE,       /* a table lies where there is no memory */
	ISOLDE_PT_FAULTS,
};

/* Always filled by a walk. The first three are zero after a fault. */
struct isolde_pt_walk {
	uint64_t physical;   /* of the IOVA asked for */
	uint64_t leaf_size;  /* bytes of the leaf that holds it, in a nested walk of the smaller one */
	unsigned permission; /* READ, WRITE, EXECUTE: what the leaf and all above it grant to this kind of access */
	unsigned level;	     /* of the last entry read */
	uint64_t entry;	     /* that entry; 0 when none was read */
	unsigned stage;	     /* a nested walk's fault: 1 or 2; else 0 */
	uint64_t address;    /* stage 2's part of a nested walk: the address it was asked for last; else the IOVA */
};

/*
 * Collects what must be invalidated, and tables that must not be freed before. Begin with ISOLDE_PT_GATHER_INIT; one
 * gather serves any number of calls on one table, in one thread at a time.
 */
struct isolde_pt_gather {
	uint64_t start, last;	/* IOVAs that hardware may have cached otherwise; start > last: none */
	uint64_t smallest_leaf; /* no leaf removed there was smaller; 0: none was removed */
	size_t tables;		/* waiting: not zero means that hardware must drop cached table entries, too */
	void *first;		/* private */
};
#define ISOLDE_PT_GATHER_INIT                                                                                          \
	{                                                                                                              \
		UINT64_MAX, 0, 0, 0, NULL                                                                              \
	}

/* ---- life ---- */

/*
 * A new empty table. 0; -EINVAL a size, width, granule, half or page size the format does not have; -EOPNOTSUPP a
 * feature it does not have; -ENOMEM; -ERANGE the allocator gave an address that an entry cannot hold (so may map).
 */
int isolde_pt_new(const struct isolde_pt_config *config, struct isolde_pt **ret);

/*
 * Tables that somebody else writes, such as a guest, with their root at this address: for walks, iova_to_phys and
 * read_dirty only; map, unmap, trim and set_dirty are -EPERM. Whatever they hold, a walk ends, reads nothing that
 * memory.table() did not return (without one, every walk is ISOLDE_PT_TABLE), and writes at most accessed and dirty
 * bits. Errors as isolde_pt_new(), and -EINVAL for a root that is not aligned.
 */
int isolde_pt_adopt(const struct isolde_pt_config *config, uint64_t root, struct isolde_pt **ret);

void isolde_pt_free(struct isolde_pt *pt); /* NULL is legal; mappings left are dropped; adopted tables stay */

/* ---- what it is ---- */

uint64_t isolde_pt_page_sizes(const struct isolde_pt *pt); /* bit n set: leaves of 2^n bytes are made */
unsigned isolde_pt_flags(const struct isolde_pt *pt);	   /* ISOLDE_PT_READ ... that map takes */
uint64_t isolde_pt_first_iova(const struct isolde_pt *pt); /* ISOLDE_PT_BOTH: of the upper half; it is above last */
uint64_t isolde_pt_last_iova(const struct isolde_pt *pt);  /* ISOLDE_PT_BOTH: of the lower half */

/* The address hardware is given, and how many levels begin there. */
uint64_t isolde_pt_root(const struct isolde_pt *pt, unsigned *ret_levels);

/* Bytes of table memory in use, the root included, tables that wait in a gather not. */
size_t isolde_pt_memory(const struct isolde_pt *pt);

/* ---- change ---- */

/*
 * Maps [iova, iova + size) to [physical, physical + size) with the largest leaves that fit.
 *
 * 0; -EINVAL misaligned, size 0, or flags that permit nothing or that the format cannot say; -ERANGE beyond the width
 * on either side; -EADDRINUSE when any page of the range is mapped already; -ENOMEM. On failure the table translates
 * exactly what it did before, and no reader ever saw otherwise.
 */
int isolde_pt_map(struct isolde_pt *pt, uint64_t iova, uint64_t physical, uint64_t size, unsigned flags,
		  struct isolde_pt_gather *gather);

/*
 * Unmaps every leaf of the range; *ret_removed (may be NULL) is the bytes they had. That is size, or more: a leaf that
 * begins inside the range and ends behind it is removed whole.
 *
 * 0; -EINVAL misaligned, size 0, or iova is inside a leaf that begins before it; -ERANGE beyond the width; -ENOENT when
 * a page of the range is not mapped.
 */
int isolde_pt_unmap(struct isolde_pt *pt, uint64_t iova, uint64_t size, struct isolde_pt_gather *gather,
		    uint64_t *ret_removed);

/* Frees the empty tables that span any part of the range; returns how many. For a range that unmap refuses, none. */
size_t isolde_pt_trim(struct isolde_pt *pt, uint64_t iova, uint64_t size, struct isolde_pt_gather *gather);

/* Frees the tables that wait in gather and empties it. */
void isolde_pt_gather_drain(struct isolde_pt *pt, struct isolde_pt_gather *gather);

/* ---- look ---- */

/* The physical address, 0 when nothing is mapped or the entries are corrupt. Sets no bits. */
uint64_t isolde_pt_iova_to_phys(const struct isolde_pt *pt, uint64_t iova);

/*
 * One access as the hardware does it; access is READ, WRITE, EXECUTE, PRIVILEGED in any combination, 0 asks for
 * presence alone. With ISOLDE_PT_DIRTY it sets the accessed bits on the way, and for WRITE the leaf's dirty bit;
 * asking for presence sets none.
 */
enum isolde_pt_fault isolde_pt_walk(const struct isolde_pt *pt, uint64_t iova, unsigned access,
				    struct isolde_pt_walk *ret);

/*
 * Two stages: stage 1's root, its tables' addresses and its leaves' output are input of stage 2. memory.table() reads
 * what stage 2 maps to; NULL or without table(): pointers. Stage 1's own memory.table() is not used, its endianness is.
 * Setting stage 1's accessed and dirty bits takes stage 2's permission to write; they stay set if stage 2 then refuses.
 */
enum isolde_pt_fault isolde_pt_walk_nested(const struct isolde_pt *stage1, const struct isolde_pt *stage2,
					   const struct isolde_pt_memory *memory, uint64_t iova, unsigned access,
					   struct isolde_pt_walk *ret);

/* ---- dirty pages ---- */

/*
 * Begins or ends dirty tracking. Beginning clears all dirty bits; leaves mapped while it is on are clean, leaves mapped
 * while it is off need no write by hardware. 0; -EOPNOTSUPP without ISOLDE_PT_DIRTY.
 */
int isolde_pt_set_dirty(struct isolde_pt *pt, bool on);

enum { ISOLDE_PT_NO_CLEAR = 1 << 0 };

/*
 * Sets bit n (of word n / 64) for each page [iova + n * page_size, ...) of which a part was written, and clears the
 * dirty bits, except with ISOLDE_PT_NO_CLEAR and of leaves that stick out of the range: those would lose what is
 * outside. Bits of the bitmap are never cleared; holes are passed over. What was cleared is added to gather's range.
 *
 * Takes time in proportion to the tables of the range; adopted ones may share tables, and then to its smallest pages.
 *
 * 0; -EINVAL when tracking is off (adopted tables have no such switch), range or power-of-two page_size misaligned;
 * -ERANGE; -EOPNOTSUPP without ISOLDE_PT_DIRTY.
 */
int isolde_pt_read_dirty(struct isolde_pt *pt, uint64_t iova, uint64_t size, uint64_t page_size, unsigned flags,
			 uint64_t *bitmap, struct isolde_pt_gather *gather);

/*
 * The same leaf by leaf, for ranges whose bitmap would be mostly zeros: visit() is told what of each dirty leaf is in
 * the range, in ascending order. It may not change the table.
 */
typedef void isolde_pt_dirty_visit(void *context, uint64_t start, uint64_t last);
int isolde_pt_visit_dirty(struct isolde_pt *pt, uint64_t iova, uint64_t size, unsigned flags,
			  isolde_pt_dirty_visit *visit, void *context, struct isolde_pt_gather *gather);

/* Asserts the format's invariants over the whole table; for tests. Nothing is asserted of adopted tables. */
void isolde_pt_check(const struct isolde_pt *pt);

/* ---- one format ---- */

/*
 * The same for callers who know the format, without the choice at run time. A table of another format is a bug of the
 * caller, and asserted.
 */
#define ISOLDE_PT_DECLARE(name)                                                                                        \
	int isolde_pt_##name##_map(struct isolde_pt *pt, uint64_t iova, uint64_t physical, uint64_t size,              \
				   unsigned flags, struct isolde_pt_gather *gather);                                   \
	int isolde_pt_##name##_unmap(struct isolde_pt *pt, uint64_t iova, uint64_t size,                               \
				     struct isolde_pt_gather *gather, uint64_t *ret_removed);                          \
	uint64_t isolde_pt_##name##_iova_to_phys(const struct isolde_pt *pt, uint64_t iova);                           \
	enum isolde_pt_fault isolde_pt_##name##_walk(const struct isolde_pt *pt, uint64_t iova, unsigned access,       \
						     struct isolde_pt_walk *ret)

ISOLDE_PT_DECLARE(vtdss);
ISOLDE_PT_DECLARE(amdv1);
ISOLDE_PT_DECLARE(x86_64);
ISOLDE_PT_DECLARE(arm64s1_4k);
ISOLDE_PT_DECLARE(arm64s1_16k);
ISOLDE_PT_DECLARE(arm64s1_64k);
ISOLDE_PT_DECLARE(arm64s2_4k);
ISOLDE_PT_DECLARE(arm64s2_16k);
ISOLDE_PT_DECLARE(arm64s2_64k);
ISOLDE_PT_DECLARE(riscv_s1);
ISOLDE_PT_DECLARE(riscv_s2);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
