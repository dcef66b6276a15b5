/* SPDX-License-Identifier: MIT */
/*
 * T10 data integrity fields: behind each block of 512, 520, 4096 or 4104 bytes eight more, big-endian: a guard (CRC-16
 * of the block), an application tag, a reference tag. They are checked at the source and made at the destination.
 */
#include "dev/dsa.h"

enum { FIELD = 8 };

/* Tags of one side, and how they go on from block to block. */
struct tags {
	u8 flags;
	u16 app_mask; /* bits that do not matter */
	u16 app;
	u32 ref;
};

/* Source tags at 8, destination tags at 16 of what is specific. */
static struct tags tags_of(const struct dsa_descriptor *descriptor, bool destination)
{
	const u8 *specific = descriptor->specific, *at = specific + (destination ? 16 : 8);

	return (struct tags){.flags = specific[destination],
			     .ref = get_u32(at),
			     .app_mask = get_u16(at + 4),
			     .app = get_u16(at + 6)};
}

static struct tags tags_at(struct tags tags, u64 block)
{
	if (tags.flags & DSA_DIF_APP_INCREMENTS)
		tags.app = (u16)(tags.app + block);
	if (!(tags.flags & DSA_DIF_REF_FIXED))
		tags.ref += (u32)block;
	return tags;
}

unsigned dsa_dif_block(const struct dsa_descriptor *descriptor)
{
	static const u16 sizes[] = {512, 520, 4096, 4104};

	return sizes[descriptor->specific[2] & DSA_DIF_BLOCK];
}

static bool has_source_field(u8 opcode)
{
	return opcode != DSA_OP_DIF_INSERT;
}

static bool has_destination_field(u8 opcode)
{
	return opcode == DSA_OP_DIF_INSERT || opcode == DSA_OP_DIF_UPDATE;
}

static unsigned source_unit(const struct dsa_descriptor *descriptor)
{
	return dsa_dif_block(descriptor) + (has_source_field(dsa_opcode(descriptor)) ? FIELD : 0);
}

static unsigned destination_unit(const struct dsa_descriptor *descriptor)
{
	return dsa_dif_block(descriptor) + (has_destination_field(dsa_opcode(descriptor)) ? FIELD : 0);
}

u64 dsa_dif_written(const struct dsa_descriptor *descriptor, u64 size)
{
	return size / source_unit(descriptor) * destination_unit(descriptor);
}

static u16 guard_of(const struct dsa *dsa, const struct dsa_descriptor *descriptor, const u8 *block)
{
	u16 crc = descriptor->specific[2] & DSA_DIF_INVERT_SEED ? 0xffff : 0;
	unsigned size = dsa_dif_block(descriptor);

	for (unsigned at = 0; at < size; at++)
		crc = (u16)(crc << 8 ^ dsa->guard_table[crc >> 8 ^ block[at]]);
	return descriptor->specific[2] & DSA_DIF_INVERT_GUARD ? (u16)~crc : crc;
}

struct field {
	u16 guard, app;
	u32 ref;
};

static struct field field_load(const u8 *from)
{
	return (struct field){.guard = __builtin_bswap16(get_u16(from)),
			      .app = __builtin_bswap16(get_u16(from + 2)),
			      .ref = __builtin_bswap32(get_u32(from + 4))};
}

static void field_store(u8 *to, struct field field)
{
	put_u16(to, __builtin_bswap16(field.guard));
	put_u16(to + 2, __builtin_bswap16(field.app));
	put_u32(to + 4, __builtin_bswap32(field.ref));
}

/* Ones that stand for "nothing is known about this block". */
static bool is_escaped(struct field field, u8 flags)
{
	bool app = field.app == 0xffff, ref = field.ref == 0xffffffff;

	return (flags & DSA_DIF_DETECT_APP_F && app) || (flags & DSA_DIF_DETECT_APP_REF_F && app && ref) ||
	       (flags & DSA_DIF_DETECT_ALL_F && app && ref && field.guard == 0xffff);
}

/* dif_status of a block; 0: it is right. */
static u8 check_block(const struct dsa *dsa, const struct dsa_descriptor *descriptor, const u8 *block, struct tags tags)
{
	struct field field = field_load(block + dsa_dif_block(descriptor));
	u8 status = 0;

	if (tags.flags & DSA_DIF_ERROR_ALL_F && tags.flags & DSA_DIF_DETECT_ALL_F && field.guard == 0xffff &&
	    field.app == 0xffff && field.ref == 0xffffffff)
		return DSA_DIF_BAD_ALL_F;
	if (is_escaped(field, tags.flags))
		return 0;
	if (!(tags.flags & DSA_DIF_GUARD_UNCHECKED) && field.guard != guard_of(dsa, descriptor, block))
		status |= DSA_DIF_BAD_GUARD;
	if ((field.app ^ tags.app) & ~tags.app_mask & 0xffff)
		status |= DSA_DIF_BAD_APP;
	if (!(tags.flags & DSA_DIF_REF_UNCHECKED) && field.ref != tags.ref)
		status |= DSA_DIF_BAD_REF;
	return status;
}

/* What the destination gets behind a block; `from` has the source's field, where it has one. */
static struct field make_field(const struct dsa *dsa, const struct dsa_descriptor *descriptor, const u8 *block,
			       struct tags tags)
{
	bool updates = dsa_opcode(descriptor) == DSA_OP_DIF_UPDATE;
	struct field before = updates ? field_load(block + dsa_dif_block(descriptor)) : (struct field){.ref = 0};

	return (struct field){
		.guard = updates && tags.flags & DSA_DIF_GUARD_PASSES ? before.guard : guard_of(dsa, descriptor, block),
		.app = updates && tags.flags & DSA_DIF_APP_PASSES ? before.app : (u16)(tags.app & ~tags.app_mask),
		.ref = updates && tags.flags & DSA_DIF_REF_PASSES ? before.ref : tags.ref,
	};
}

/* Blocks in the buffer go to the other one as the destination is to have them; stops at the first that is wrong. */
static u64 convert(struct dsa *dsa, struct dsa_job *job, u64 count)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	unsigned from = source_unit(descriptor), to = destination_unit(descriptor), block = dsa_dif_block(descriptor);
	struct tags source = tags_of(descriptor, false), destination = tags_of(descriptor, true);
	u64 first = job->done / from;

	for (u64 i = 0; i < count; i++) {
		const u8 *in = dsa->buffer + i * from;
		u8 *out = dsa->other + i * to;

		if (has_source_field(dsa_opcode(descriptor)))
			job->result = check_block(dsa, descriptor, in, tags_at(source, first + i));
		if (job->result)
			return i;
		memcpy(out, in, block);
		if (has_destination_field(dsa_opcode(descriptor)))
			field_store(out + block, make_field(dsa, descriptor, in, tags_at(destination, first + i)));
	}
	return count;
}

/* Whole blocks only: before a fault at the source, or at the destination. */
static enum dsa_status shorten(struct dsa_job *job, enum dsa_moved moved, u64 start, unsigned unit)
{
	unsigned from = source_unit(&job->entry.descriptor);

	if (moved == DSA_FAULTED)
		job->limit = job->done + (job->fault.address - start) / unit * from;
	return DSA_MORE;
}

enum dsa_status dsa_dif(struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	unsigned from = source_unit(descriptor), to = destination_unit(descriptor);
	u64 count = dsa_chunk(job) / (from > to ? from : to), good, source = descriptor->source + job->done;
	u64 destination = descriptor->destination + job->done / from * to;
	enum dsa_moved moved;

	/* The last ones of an insertion do not fill a chunk, but what is left is whole blocks. */
	if (!count && job->done < job->limit)
		count = 1;
	if (!count)
		return dsa_end(job);
	moved = dsa_load(dsa, job, source, dsa->buffer, count * from);
	if (moved != DSA_MOVED)
		return shorten(job, moved, source, from);
	job->result = 0;
	good = convert(dsa, job, count);
	if (dsa_opcode(descriptor) != DSA_OP_DIF_CHECK && good) {
		moved = dsa_store(dsa, job, destination, dsa->other, good * to);
		if (moved != DSA_MOVED) {
			job->result = 0;
			return shorten(job, moved, destination, to);
		}
	}
	job->done += good * from;
	return job->result ? DSA_DIF_ERROR : DSA_MORE;
}

/* The tags that the next block would have: what a driver goes on with. */
void dsa_dif_result(const struct dsa_job *job, u8 specific[static 16])
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 block = job->done / source_unit(descriptor);

	for (unsigned side = 0; side < 2; side++) {
		struct tags tags = tags_at(tags_of(descriptor, side), block);
		u8 *at = specific + 8 * side;

		if (side ? !has_destination_field(dsa_opcode(descriptor)) : !has_source_field(dsa_opcode(descriptor)))
			continue;
		put_u32(at, tags.ref);
		put_u16(at + 4, tags.app_mask);
		put_u16(at + 6, tags.app);
	}
}
