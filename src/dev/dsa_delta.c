/* SPDX-License-Identifier: MIT */
/*
 * Delta records: a list of what differs, ten bytes for each eight: the offset divided by eight, and what the second
 * source has there.
 */
#include "dev/dsa.h"

enum { WORD = 8, INPUT = 8192, ENTRIES = 512 };

struct delta_words {
	u64 address;
	u32 max_size;
	u32 reserved;
	u8 expected; /* bit n: result n is what is expected */
};

static struct delta_words words_of(const struct dsa_descriptor *descriptor)
{
	return (struct delta_words){.address = get_u64(descriptor->specific),
				    .max_size = get_u32(descriptor->specific + 8),
				    .expected = descriptor->specific[16]};
}

static enum dsa_status judge(const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;

	if (descriptor->flags & DSA_CHECK_RESULT && !(words_of(descriptor).expected >> job->result & 1))
		return DSA_FALSE_PREDICATE;
	return DSA_SUCCESS;
}

/* What differs in size bytes of the buffers, as far as room allows, into record; *ret_compared says how far that is. */
static u32 make_entries(struct dsa *dsa, const struct dsa_job *job, u64 size, u32 room, u8 *record, u64 *ret_compared)
{
	u32 made = 0;
	u64 at;

	for (at = 0; at < size; at += WORD) {
		if (memcmp(dsa->buffer + at, dsa->other + at, WORD) == 0)
			continue;
		if (room - made < DSA_DELTA_ENTRY)
			break;
		put_u16(record + made, (u16)((job->done + at) / WORD));
		memcpy(record + made + sizeof(u16), dsa->other + at, WORD);
		made += DSA_DELTA_ENTRY;
	}
	*ret_compared = at;
	return made;
}

/* Words are compared whole: a fault in the middle of one is a fault at its start. */
static enum dsa_status shorten_to_words(struct dsa_job *job, enum dsa_moved moved, u64 start)
{
	dsa_shorten(job, moved, start);
	job->limit = align_down(job->limit, WORD);
	return DSA_MORE;
}

/* The entries of a chunk are written before the chunk counts as done. */
static enum dsa_status compare(struct dsa *dsa, struct dsa_job *job, u64 size)
{
	struct delta_words words = words_of(&job->entry.descriptor);
	u8 record[INPUT / WORD * DSA_DELTA_ENTRY];
	u64 compared;
	u32 made = make_entries(dsa, job, size, words.max_size - job->delta_size, record, &compared);
	enum dsa_moved moved;

	if (made) {
		moved = dsa_store(dsa, job, words.address + job->delta_size, record, made);
		if (moved == DSA_FAULTED)
			job->limit = job->done;
		if (moved != DSA_MOVED)
			return DSA_MORE;
		job->delta_size += made;
		job->result = 1;
	}
	job->done += compared;
	if (compared == size)
		return DSA_MORE;
	job->result = 2;
	return judge(job);
}

enum dsa_status dsa_create_delta(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = min_u64(dsa_chunk(job), INPUT);
	enum dsa_moved moved;

	if (!size)
		return job->fault.happened ? DSA_PAGE_FAULT : judge(job);
	moved = dsa_load(dsa, job, descriptor->source + job->done, dsa->buffer, size);
	if (moved != DSA_MOVED)
		return shorten_to_words(job, moved, descriptor->source + job->done);
	moved = dsa_load(dsa, job, descriptor->destination + job->done, dsa->other, size);
	if (moved != DSA_MOVED)
		return shorten_to_words(job, moved, descriptor->destination + job->done);
	return compare(dsa, job, size);
}

/* How many entries are in order and in range; *ret says what is wrong with the next. */
static unsigned good_entries(const struct dsa *dsa, struct dsa_job *job, unsigned count, enum dsa_status *ret)
{
	u64 words = job->entry.descriptor.size / WORD;
	u32 next = job->delta_next;

	*ret = DSA_MORE;
	for (unsigned i = 0; i < count; i++) {
		u32 offset = get_u16(dsa->buffer + i * DSA_DELTA_ENTRY);

		if (offset < next)
			*ret = DSA_DELTA_ORDER;
		else if (offset >= words)
			*ret = DSA_DELTA_RANGE;
		if (*ret != DSA_MORE)
			return i;
		next = offset + 1;
	}
	return count;
}

/* Counts bytes of the record. Entries before a bad one are applied. */
enum dsa_status dsa_apply_delta(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	unsigned count = (unsigned)min_u64((job->limit - job->done) / DSA_DELTA_ENTRY, ENTRIES), good;
	struct dma_segment segments[ENTRIES];
	enum dsa_status status;
	enum dsa_moved moved;

	if (!count)
		return dsa_end(job);
	moved = dsa_load(dsa, job, descriptor->source + job->done, dsa->buffer, count * DSA_DELTA_ENTRY);
	if (moved != DSA_MOVED) {
		dsa_shorten(job, moved, descriptor->source + job->done);
		job->limit -= job->limit % DSA_DELTA_ENTRY;
		return DSA_MORE;
	}
	good = good_entries(dsa, job, count, &status);
	for (unsigned i = 0; i < good; i++) {
		u8 *entry = dsa->buffer + i * DSA_DELTA_ENTRY;

		segments[i] = (struct dma_segment){descriptor->destination + WORD * get_u16(entry), entry + sizeof(u16),
						   WORD};
	}
	moved = dsa_request(dsa, job, segments, good, DMA_WRITE);
	if (moved == DSA_FAULTED)
		for (unsigned i = 0; i < good; i++)
			if (job->fault.address - segments[i].iova < WORD) {
				job->limit = job->done + i * DSA_DELTA_ENTRY;
				break;
			}
	if (moved != DSA_MOVED)
		return DSA_MORE;
	if (good)
		job->delta_next = get_u16(dsa->buffer + (good - 1) * DSA_DELTA_ENTRY) + 1u;
	job->done += good * DSA_DELTA_ENTRY;
	return status;
}
