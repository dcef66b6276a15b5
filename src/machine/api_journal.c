/* SPDX-License-Identifier: MIT */
/* include/isolde/isolde.h: reading the journal. */
#include <stdio.h>

#include "base/bits.h"
#include "machine/api.h"
#include "machine/machine.h"

/* What the structure was when it first was: `why` was its last member. */
#define FIRST_SIZE (offsetof(struct isolde_journal_entry, why) + sizeof(struct isolde_why))

static int check_size(size_t size, struct why *why)
{
	if (size >= FIRST_SIZE && size <= PAGE_SIZE)
		return 0;
	return refuse(why, OPTIONS_SIZE, "the journal entry has a size of %zu bytes, not %zu", size,
		      sizeof(struct isolde_journal_entry));
}

/* A caller built against an older header has fewer members; one built against a newer finds zeros in its own. */
static void export_entry(const struct journal_entry *entry, u64 lost, struct isolde_journal_entry *ret)
{
	size_t size = ret->size;
	struct isolde_journal_entry told = {
		.size = size,
		.serial = entry->serial,
		.lost = lost,
		.time_ns = entry->time_ns,
		.pid = entry->pid,
	};

	snprintf(told.program, sizeof(told.program), "%s", entry->program);
	snprintf(told.request, sizeof(told.request), "%s", entry->request);
	why_export(&told.why, &entry->why, -(long)entry->why.err);
	memset(ret, 0, size);
	memcpy(ret, &told, min_u64(size, sizeof(told)));
}

int isolde_journal_next(struct isolde_machine *machine, uint64_t *cursor, struct isolde_journal_entry *ret,
			struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct journal_entry entry;
	int result = check_size(ret->size, &why);

	if (result == 0 && journal_next(&machine->machine->journal, *cursor, &entry)) {
		export_entry(&entry, entry.serial - *cursor - 1, ret);
		*cursor = entry.serial;
		result = 1;
	}
	why_export(reason, &why, result);
	return result;
}
