/* SPDX-License-Identifier: MIT */
/*
 * What a format owes.
 *
 * A format is a header fmt_NAME.h that defines the names below, and a source NAME.c that includes it, then
 * pt/template.h, and exports the resulting operations. The template knows no format, the format no algorithm; all is
 * inlined, so that mapping calls no function pointer per entry.
 *
 *	FORMAT_LEVELS		levels of tables; entries of level 0 map pages, an entry of level n covers 4 KiB << 9n
 *	FORMAT_LEAF_LEVELS	bit n: entries of level n may be leaves
 *	FORMAT_INPUT_BITS	of an IOVA
 *	FORMAT_OUTPUT_BITS	of a physical address
 *	entry_present()		false for what hardware treats as "nothing here"; zero always is
 *	entry_is_leaf()		of a present entry
 *	entry_reserved()	a present entry that hardware would refuse
 *	entry_table()		the memory of the table below a present entry that is no leaf
 *	entry_physical()	the start of what a leaf maps
 *	entry_permission()	ISOLDE_PT_READ | ISOLDE_PT_WRITE of one entry
 *	entry_of_table()	makes an entry for a table below; it restricts nothing
 *	entry_of_leaf()		makes a leaf
 */
#ifndef PT_FORMAT_H
#define PT_FORMAT_H

#include "base/bits.h"
#include "isolde/pt.h"

/* One format's operations, made by pt/template.h. pt.c has checked widths, alignment and overflow of all arguments. */
struct pt_ops {
	u64 page_sizes;
	unsigned input_bits, output_bits;
	bool (*init)(struct isolde_pt *pt);
	void (*fini)(struct isolde_pt *pt);
	int (*map)(struct isolde_pt *pt, u64 iova, u64 physical, u64 size, unsigned permission);
	u64 (*unmap)(struct isolde_pt *pt, u64 iova, u64 size);
	enum isolde_pt_fault (*walk)(const struct isolde_pt *pt, u64 iova, unsigned permission,
				     struct isolde_pt_walk *ret);
	void (*check)(const struct isolde_pt *pt);
};

struct isolde_pt {
	const struct pt_ops *ops;
	void *root;    /* owned */
	size_t tables; /* in use, the root included; 4 KiB each */
};

extern const struct pt_ops vtdss_ops;

#endif
