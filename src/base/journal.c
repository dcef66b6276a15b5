/* SPDX-License-Identifier: MIT */
#include "base/journal.h"

#include <stdio.h>

#include "base/os.h"

void journal_init(struct journal *journal)
{
	*journal = (struct journal){.appended = 0};
	mutex_init(&journal->lock, RANK_JOURNAL);
}

void journal_fini(struct journal *journal)
{
	mutex_fini(&journal->lock);
}

static struct journal_entry *slot_of(struct journal *journal, u64 serial)
{
	return &journal->ring[serial % JOURNAL_ENTRIES];
}

void journal_append(struct journal *journal, int pid, const char *program, const char *request, const struct why *why)
{
	struct journal_entry entry = {.time_ns = os_wall_clock_ns(), .pid = pid, .why = *why};

	snprintf(entry.program, sizeof(entry.program), "%s", program);
	snprintf(entry.request, sizeof(entry.request), "%s", request);
	mutex_lock(&journal->lock);
	entry.serial = ++journal->appended;
	*slot_of(journal, entry.serial) = entry;
	mutex_unlock(&journal->lock);
	if (journal->listener)
		journal->listener(journal->listener_context, &entry);
}

bool journal_read(struct journal *journal, u64 serial, struct journal_entry *ret)
{
	bool found;

	mutex_lock(&journal->lock);
	found = serial && slot_of(journal, serial)->serial == serial;
	if (found)
		*ret = *slot_of(journal, serial);
	mutex_unlock(&journal->lock);
	return found;
}

u64 journal_last_serial(struct journal *journal)
{
	u64 last;

	mutex_lock(&journal->lock);
	last = journal->appended;
	mutex_unlock(&journal->lock);
	return last;
}

bool journal_next(struct journal *journal, u64 after, struct journal_entry *ret)
{
	bool found;

	mutex_lock(&journal->lock);
	found = after < journal->appended;
	if (found) {
		u64 forgotten = journal->appended - min_u64(journal->appended, JOURNAL_ENTRIES);

		*ret = *slot_of(journal, max_u64(after, forgotten) + 1);
	}
	mutex_unlock(&journal->lock);
	return found;
}
