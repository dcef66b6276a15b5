/* SPDX-License-Identifier: MIT */
/* Part of pt/template.h: the tables of one map, allocated before anything is changed. */
#ifndef PT_TEMPLATE_RESERVE_H
#define PT_TEMPLATE_RESERVE_H

#include "pt/template_base.h"

/* Tables reserved for one map, chained by their first words. */
struct reserve {
	void *first;
	size_t count;
};

static void reserve_put(struct reserve *reserve, void *table)
{
	memcpy(table, &reserve->first, sizeof(reserve->first));
	reserve->first = table;
	reserve->count++;
}

static void *reserve_take(struct reserve *reserve)
{
	void *table = reserve->first;

	assert(reserve->count > 0);
	memcpy(&reserve->first, table, sizeof(reserve->first));
	reserve->count--;
	return table;
}

static void reserve_drop(struct isolde_pt *pt, struct reserve *reserve)
{
	while (reserve->count)
		pt_table_free(pt, reserve_take(reserve), TABLE_SIZE);
}

/* Can an entry of this format point there? */
static bool table_fits(const struct isolde_pt *pt, u64 address)
{
	u64 entry = table_entry(address, 1);

	return entry_table(entry) == address && !(entry & pt->beyond);
}

static int reserve_fill(struct isolde_pt *pt, struct reserve *reserve, size_t wanted)
{
	while (reserve->count < wanted) {
		void *table = pt_table_new(pt, TABLE_SIZE);
		bool fits = table && is_aligned((uintptr_t)table, 64) && table_fits(pt, pt_table_address(pt, table));

		if (table && !fits)
			pt_table_free(pt, table, TABLE_SIZE);
		if (!fits) {
			reserve_drop(pt, reserve);
			return table ? -ERANGE : -ENOMEM;
		}
		reserve_put(reserve, table);
	}
	return 0;
}

#endif
