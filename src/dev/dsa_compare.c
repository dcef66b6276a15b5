/* SPDX-License-Identifier: MIT */
/* Comparisons: the result is 0 when all is equal, else 1 and how many bytes were before the difference. */
#include "dev/dsa.h"

static u64 equal_bytes(const u8 *a, const u8 *b, u64 size)
{
	u64 at = 0;

	if (memcmp(a, b, size) == 0)
		return size;
	while (a[at] == b[at])
		at++;
	return at;
}

static enum dsa_status judge(const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;

	if (descriptor->flags & DSA_CHECK_RESULT && (descriptor->specific[0] & 1) != job->result)
		return DSA_FALSE_PREDICATE;
	return DSA_SUCCESS;
}

/* size bytes are in both buffers. */
static enum dsa_status compare(struct dsa *dsa, struct dsa_job *job, u64 size)
{
	u64 equal = equal_bytes(dsa->buffer, dsa->other, size);

	job->done += equal;
	if (equal == size)
		return DSA_MORE;
	job->result = 1;
	return judge(job);
}

/* The next chunk of the operand at address. False: it is cut short, and looked at again. */
static bool load_operand(struct dsa *dsa, struct dsa_job *job, u64 address, u8 *to, u64 size)
{
	enum dsa_moved moved = dsa_load(dsa, job, address + job->done, to, size);

	if (moved != DSA_MOVED)
		dsa_shorten(job, moved, address + job->done);
	return moved == DSA_MOVED;
}

static enum dsa_status ended(const struct dsa_job *job)
{
	return job->fault.happened ? DSA_PAGE_FAULT : judge(job);
}

enum dsa_status dsa_compare(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = dsa_chunk(job);

	if (!size)
		return ended(job);
	if (!load_operand(dsa, job, descriptor->source, dsa->buffer, size) ||
	    !load_operand(dsa, job, descriptor->destination, dsa->other, size))
		return DSA_MORE;
	return compare(dsa, job, size);
}

enum dsa_status dsa_compare_pattern(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = dsa_chunk(job);

	if (!size)
		return ended(job);
	if (!load_operand(dsa, job, descriptor->source, dsa->buffer, size))
		return DSA_MORE;
	for (u64 at = 0; at < size; at += sizeof(u64))
		put_u64(dsa->other + at, descriptor->destination);
	return compare(dsa, job, size);
}
