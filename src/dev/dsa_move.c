/* SPDX-License-Identifier: MIT */
/* Operations that write what they read, or a pattern. */
#include "dev/dsa.h"

/* Overlapping, with the destination behind: from the end on, so that nothing is read that has been written. */
static bool goes_backwards(const struct dsa_descriptor *descriptor)
{
	return descriptor->destination > descriptor->source &&
	       descriptor->destination - descriptor->source < descriptor->size;
}

/* Where the side of a copy that has faulted begins. */
static u64 faulted_side(const struct dsa_job *job)
{
	return job->fault.write ? job->entry.descriptor.destination : job->entry.descriptor.source;
}

/* Done backwards, what comes before the fault are the pages above it; a higher one may fault as well. */
static enum dsa_status shorten_backwards(struct dsa_job *job, enum dsa_moved moved, u64 start, u64 size)
{
	u64 above = align_down(job->fault.address, PAGE_SIZE) + PAGE_SIZE - start;

	if (moved == DSA_FAULTED)
		job->limit = job->done + (above < size ? size - above : 0);
	return DSA_MORE;
}

static enum dsa_status move_backwards(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = dsa_chunk(job), at = descriptor->size - job->done - size;
	enum dsa_moved moved = dsa_copy(dsa, job, descriptor->destination + at, descriptor->source + at, size);

	if (moved != DSA_MOVED)
		return shorten_backwards(job, moved, faulted_side(job) + at, size);
	job->done += size;
	return DSA_MORE;
}

enum dsa_status dsa_move(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = dsa_chunk(job);
	enum dsa_moved moved;

	job->result = goes_backwards(descriptor);
	if (!size)
		return dsa_end(job);
	if (job->result)
		return move_backwards(dsa, job);
	moved = dsa_copy(dsa, job, descriptor->destination + job->done, descriptor->source + job->done, size);
	if (moved != DSA_MOVED)
		return dsa_shorten(job, moved, faulted_side(job) + job->done);
	job->done += size;
	return DSA_MORE;
}

enum dsa_status dsa_fill(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = dsa_chunk(job);
	enum dsa_moved moved;

	if (!size)
		return dsa_end(job);
	/* Chunks are multiples of the pattern; only the last one is not. */
	for (u64 at = 0; at < size; at += sizeof(u64))
		put_u64(dsa->buffer + at, descriptor->source);
	moved = dsa_store(dsa, job, descriptor->destination + job->done, dsa->buffer, size);
	if (moved != DSA_MOVED)
		return dsa_shorten(job, moved, descriptor->destination + job->done);
	job->done += size;
	return DSA_MORE;
}

/* Both copies are translated before either is written. */
enum dsa_status dsa_dualcast(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = dsa_chunk(job), first = descriptor->destination + job->done;
	u64 second = get_u64(descriptor->specific) + job->done;
	const struct dma_segment both[] = {{first, dsa->buffer, size}, {second, dsa->buffer, size}};
	enum dsa_moved moved;

	if (!size)
		return dsa_end(job);
	moved = dsa_load(dsa, job, descriptor->source + job->done, dsa->buffer, size);
	if (moved != DSA_MOVED)
		return dsa_shorten(job, moved, descriptor->source + job->done);
	moved = dsa_request(dsa, job, both, ARRAY_SIZE(both), DMA_WRITE);
	if (moved != DSA_MOVED)
		return dsa_shorten(job, moved, job->fault.address - first < size ? first : second);
	job->done += size;
	return DSA_MORE;
}

/* There is no cache to flush; but the addresses are translated, and may fault. */
enum dsa_status dsa_cache_flush(struct dsa *dsa, struct dsa_job *job)
{
	u64 size = dsa_chunk(job), start = job->entry.descriptor.destination + job->done;
	enum dsa_moved moved;

	if (!size)
		return dsa_end(job);
	moved = dsa_load(dsa, job, start, dsa->buffer, size);
	if (moved != DSA_MOVED)
		return dsa_shorten(job, moved, start);
	job->done += size;
	return DSA_MORE;
}
