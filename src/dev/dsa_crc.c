/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (polynomial 0x1edc6f41). Usually the seed is inverted, the bytes go in and the result comes out with bit 0
 * first, inverted: a seed of 0 gives iSCSI's digest, and a partial result is the seed for what follows. Flags leave
 * out parts of that. The register here always has bit 0 first.
 */
#include "dev/dsa.h"

#define POLYNOMIAL	 0x82f63b78u /* bit 0 first */
#define GUARD_POLYNOMIAL 0x8bb7u     /* T10 DIF */

/* Eight tables, so that eight bytes are taken at once. */
void dsa_crc_tables(struct dsa *dsa)
{
	for (u32 byte = 0; byte < 256; byte++) {
		u32 crc = byte, guard = byte << 8;

		for (unsigned bit = 0; bit < 8; bit++) {
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
			guard = guard & 0x8000 ? guard << 1 ^ GUARD_POLYNOMIAL : guard << 1;
		}
		dsa->crc_table[0][byte] = crc;
		dsa->guard_table[byte] = (u16)guard;
	}
	for (unsigned table = 1; table < 8; table++)
		for (unsigned byte = 0; byte < 256; byte++) {
			u32 before = dsa->crc_table[table - 1][byte];

			dsa->crc_table[table][byte] = before >> 8 ^ dsa->crc_table[0][before & 0xff];
		}
}

static u32 reverse(u32 value)
{
	value = (value & 0x55555555) << 1 | (value >> 1 & 0x55555555);
	value = (value & 0x33333333) << 2 | (value >> 2 & 0x33333333);
	value = (value & 0x0f0f0f0f) << 4 | (value >> 4 & 0x0f0f0f0f);
	return __builtin_bswap32(value);
}

static u32 crc_of(const struct dsa *dsa, u32 crc, const u8 *from, u64 size)
{
	const u32(*table)[256] = dsa->crc_table;

	for (; size >= 8; from += 8, size -= 8) {
		u32 low = get_u32(from) ^ crc, high = get_u32(from + 4);

		crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
		      table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
		      table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
	}
	for (; size; from++, size--)
		crc = crc >> 8 ^ table[0][(crc ^ *from) & 0xff];
	return crc;
}

/* Bytes with bit 7 first. */
static void reverse_bytes(u8 *bytes, u64 size)
{
	for (u64 at = 0; at < size; at++)
		bytes[at] = (u8)(reverse(bytes[at]) >> 24);
}

/* In or out of the register: the same both ways. */
static u32 convert(const struct dsa_descriptor *descriptor, u32 value)
{
	return descriptor->flags & DSA_CRC_RAW ? reverse(value) : ~value;
}

/* The seed is in the descriptor, or in memory: in the completion record of what came before, say. */
static enum dsa_moved read_seed(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u32 seed = get_u32(descriptor->specific);

	if (descriptor->flags & DSA_CRC_READ_SEED) {
		enum dsa_moved moved = dsa_load(dsa, job, get_u64(descriptor->specific + 8), &seed, sizeof(seed));

		if (moved == DSA_FAULTED)
			job->limit = 0;
		if (moved != DSA_MOVED)
			return moved;
	}
	job->crc = convert(descriptor, seed);
	job->seeded = true;
	return DSA_MOVED;
}

static void digest(struct dsa *dsa, struct dsa_job *job, u64 size)
{
	if (job->entry.descriptor.flags & DSA_CRC_RAW_DATA)
		reverse_bytes(dsa->buffer, size);
	job->crc = crc_of(dsa, job->crc, dsa->buffer, size);
	job->done += size;
}

static enum dsa_status crc(struct dsa *dsa, struct dsa_job *job, bool copies)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 size = dsa_chunk(job);
	enum dsa_moved moved;

	if (!size)
		return dsa_end(job);
	if (!job->seeded && read_seed(dsa, job) != DSA_MOVED)
		return DSA_MORE;
	moved = dsa_load(dsa, job, descriptor->source + job->done, dsa->buffer, size);
	if (moved != DSA_MOVED)
		return dsa_shorten(job, moved, descriptor->source + job->done);
	if (copies) {
		moved = dsa_store(dsa, job, descriptor->destination + job->done, dsa->buffer, size);
		if (moved != DSA_MOVED)
			return dsa_shorten(job, moved, descriptor->destination + job->done);
	}
	digest(dsa, job, size);
	return DSA_MORE;
}

enum dsa_status dsa_crc(struct dsa *dsa, struct dsa_job *job)
{
	return crc(dsa, job, false);
}

enum dsa_status dsa_copy_crc(struct dsa *dsa, struct dsa_job *job)
{
	return crc(dsa, job, true);
}

void dsa_crc_result(const struct dsa_job *job, u8 specific[static 16])
{
	if (job->seeded)
		put_u64(specific, convert(&job->entry.descriptor, job->crc));
}
