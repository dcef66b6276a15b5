/* SPDX-License-Identifier: MIT */
/* The operations: what their descriptors may say, and who executes them. */
#include "dev/dsa.h"

#define BYTES(first, last) MASK(last, first)

/* Flags that every operation takes; DSA_FENCE means something inside a batch only. */
#define COMMON	(DSA_RECORD_VALID | DSA_WANT_RECORD | DSA_WANT_INTERRUPT | DSA_RECORD_STEERING | DSA_RECORD_TRAFFIC)
#define READS_1 DSA_TRAFFIC_1
#define READS_2 (DSA_TRAFFIC_1 | DSA_TRAFFIC_2)
#define WRITES	(DSA_CACHE_CONTROL | DSA_TRAFFIC_2 | DSA_STRICT_ORDER | DSA_READBACK | DSA_STEERING)
#define CRC	(DSA_CRC_READ_SEED | DSA_CRC_RAW | DSA_CRC_RAW_DATA)

/* Fields by their place in the descriptor. */
#define SOURCE	    BYTES(16, 23)
#define DESTINATION BYTES(24, 31)
#define SIZE	    BYTES(32, 35)
#define ALL_FIELDS  BYTES(16, 63)

struct operation {
	u32 flags;  /* besides COMMON */
	u64 fields; /* of ALL_FIELDS, a bit per byte; the others must be zero. 0: no such operation */
	enum dsa_status (*check)(const struct dsa *dsa, const struct dsa_job *job); /* NULL: nothing more */
	dsa_operation *step;
};

static const struct dsa_wq *wq_of(const struct dsa *dsa, const struct dsa_job *job)
{
	return &dsa->wqs[job->wq];
}

static bool overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
	u64 a_last = range_overflows(a, a_size) ? ~0ull : a + a_size - 1;
	u64 b_last = range_overflows(b, b_size) ? ~0ull : b + b_size - 1;

	return ranges_overlap(a, a_last, b, b_last);
}

/* ---- what is particular to some ---- */

static enum dsa_status check_batch(const struct dsa *dsa, const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;

	if (descriptor->size < 2 || descriptor->size > wq_of(dsa, job)->batch_max)
		return DSA_BAD_COUNT;
	return is_aligned(descriptor->source, sizeof(*descriptor)) ? DSA_SUCCESS : DSA_BAD_LIST;
}

static enum dsa_status check_dualcast(const struct dsa *dsa, const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 second = get_u64(descriptor->specific), size = descriptor->size;

	if ((descriptor->destination ^ second) & ~PAGE_MASK)
		return DSA_BAD_DUALCAST;
	if (overlap(descriptor->source, size, descriptor->destination, size) ||
	    overlap(descriptor->source, size, second, size) || overlap(descriptor->destination, size, second, size))
		return DSA_OVERLAP;
	return DSA_SUCCESS;
}

static enum dsa_status check_delta_source(const struct dsa_descriptor *descriptor)
{
	return descriptor->size > DSA_DELTA_SOURCE_MAX || descriptor->size % 8 ? DSA_BAD_SIZE : DSA_SUCCESS;
}

static enum dsa_status check_create_delta(const struct dsa *dsa, const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u64 record = get_u64(descriptor->specific);
	u32 max_size = get_u32(descriptor->specific + 8);

	if (check_delta_source(descriptor) != DSA_SUCCESS)
		return DSA_BAD_SIZE;
	if (max_size < DSA_DELTA_MIN || max_size % DSA_DELTA_ENTRY)
		return DSA_BAD_DELTA_SIZE;
	if (!is_aligned(descriptor->source | descriptor->destination | record, 8))
		return DSA_MISALIGNED;
	if (overlap(record, max_size, descriptor->source, descriptor->size) ||
	    overlap(record, max_size, descriptor->destination, descriptor->size))
		return DSA_OVERLAP;
	return DSA_SUCCESS;
}

static enum dsa_status check_apply_delta(const struct dsa *dsa, const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u32 record_size = get_u32(descriptor->specific);

	if (check_delta_source(descriptor) != DSA_SUCCESS)
		return DSA_BAD_SIZE;
	if (!record_size || record_size % DSA_DELTA_ENTRY)
		return DSA_BAD_DELTA_SIZE;
	if (!is_aligned(descriptor->source | descriptor->destination, 8))
		return DSA_MISALIGNED;
	if (overlap(descriptor->source, record_size, descriptor->destination, descriptor->size))
		return DSA_OVERLAP;
	return DSA_SUCCESS;
}

static enum dsa_status check_copy_crc(const struct dsa *dsa, const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;

	return overlap(descriptor->source, descriptor->size, descriptor->destination, descriptor->size) ? DSA_OVERLAP
													: DSA_SUCCESS;
}

static enum dsa_status check_dif(const struct dsa *dsa, const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	unsigned unit = dsa_dif_block(descriptor) + (dsa_opcode(descriptor) == DSA_OP_DIF_INSERT ? 0 : 8);

	if (descriptor->specific[2] & DSA_DIF_RESERVED || descriptor->specific[1] & DSA_DIF_DESTINATION_RESERVED)
		return DSA_BAD_RESERVED;
	if (descriptor->size % unit)
		return DSA_BAD_SIZE;
	if (dsa_opcode(descriptor) != DSA_OP_DIF_CHECK &&
	    overlap(descriptor->source, descriptor->size, descriptor->destination,
		    dsa_dif_written(descriptor, descriptor->size)))
		return DSA_OVERLAP;
	return DSA_SUCCESS;
}

/* Nothing is to be done, or what was to wait for is done already: the queues are served in order. */
static enum dsa_status succeed(struct dsa *dsa, struct dsa_job *job)
{
	return DSA_SUCCESS;
}

#define DIF_SOURCE	(BYTES(40, 40) | BYTES(42, 42) | BYTES(48, 55))
#define DIF_DESTINATION (BYTES(41, 41) | BYTES(42, 42) | BYTES(56, 63))

static const struct operation operations[DSA_OPCODES] = {
	[DSA_OP_NOOP] = {.step = succeed},
	[DSA_OP_BATCH] = {DSA_TRAFFIC_1, SOURCE | SIZE, check_batch, NULL},
	[DSA_OP_DRAIN] = {.step = succeed},
	[DSA_OP_MOVE] = {READS_1 | WRITES, SOURCE | DESTINATION | SIZE, NULL, dsa_move},
	[DSA_OP_FILL] = {WRITES, SOURCE | DESTINATION | SIZE, NULL, dsa_fill},
	[DSA_OP_COMPARE] = {READS_2 | DSA_CHECK_RESULT, SOURCE | DESTINATION | SIZE | BYTES(40, 40), NULL, dsa_compare},
	[DSA_OP_COMPARE_PATTERN] = {READS_1 | DSA_CHECK_RESULT, SOURCE | DESTINATION | SIZE | BYTES(40, 40), NULL,
				    dsa_compare_pattern},
	[DSA_OP_CREATE_DELTA] = {READS_2 | WRITES | DSA_TRAFFIC_3 | DSA_CHECK_RESULT,
				 SOURCE | DESTINATION | SIZE | BYTES(40, 51) | BYTES(56, 56), check_create_delta,
				 dsa_create_delta},
	[DSA_OP_APPLY_DELTA] = {READS_1 | WRITES, SOURCE | DESTINATION | SIZE | BYTES(40, 43), check_apply_delta,
				dsa_apply_delta},
	[DSA_OP_DUALCAST] = {READS_1 | WRITES | DSA_TRAFFIC_3, SOURCE | DESTINATION | SIZE | BYTES(40, 47),
			     check_dualcast, dsa_dualcast},
	[DSA_OP_CRC] = {READS_1 | DSA_TRAFFIC_3 | CRC, SOURCE | SIZE | BYTES(40, 43) | BYTES(48, 55), NULL, dsa_crc},
	[DSA_OP_COPY_CRC] = {READS_1 | WRITES | DSA_TRAFFIC_3 | CRC,
			     SOURCE | DESTINATION | SIZE | BYTES(40, 43) | BYTES(48, 55), check_copy_crc, dsa_copy_crc},
	[DSA_OP_DIF_CHECK] = {READS_1, SOURCE | SIZE | DIF_SOURCE, check_dif, dsa_dif},
	[DSA_OP_DIF_INSERT] = {READS_1 | WRITES, SOURCE | DESTINATION | SIZE | DIF_DESTINATION, check_dif, dsa_dif},
	[DSA_OP_DIF_STRIP] = {READS_1 | WRITES, SOURCE | DESTINATION | SIZE | DIF_SOURCE, check_dif, dsa_dif},
	[DSA_OP_DIF_UPDATE] = {READS_1 | WRITES, SOURCE | DESTINATION | SIZE | DIF_SOURCE | DIF_DESTINATION, check_dif,
			       dsa_dif},
	[DSA_OP_CACHE_FLUSH] = {WRITES, DESTINATION | SIZE, NULL, dsa_cache_flush},
};

static const struct operation *operation_of(u8 opcode)
{
	if (opcode >= DSA_OPCODES || (!operations[opcode].step && opcode != DSA_OP_BATCH))
		return NULL;
	return &operations[opcode];
}

u64 dsa_operations(void)
{
	u64 known = 0;

	for (u8 opcode = 0; opcode < DSA_OPCODES; opcode++)
		if (operation_of(opcode))
			known |= BIT(opcode);
	return known;
}

enum dsa_status dsa_step(struct dsa *dsa, struct dsa_job *job)
{
	return operations[dsa_opcode(&job->entry.descriptor)].step(dsa, job);
}

/* ---- what holds for all ---- */

static bool is_available(const struct dsa *dsa, const struct dsa_job *job)
{
	u8 opcode = dsa_opcode(&job->entry.descriptor);

	/* A batch has no batches in it, and waits for nobody. */
	if (!operation_of(opcode) || (job->in_batch && (opcode == DSA_OP_BATCH || opcode == DSA_OP_DRAIN)))
		return false;
	return wq_of(dsa, job)->operations >> opcode & 1;
}

/* A user's requests interrupt only if the system has said so. */
static bool may_interrupt(const struct dsa *dsa, const struct dsa_job *job)
{
	return !job->with_pasid || job->privileged || get_u32(dsa->registers + DSA_GENCFG) & DSA_GENCFG_USER_INTERRUPTS;
}

static u32 invalid_flags(const struct dsa *dsa, const struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u32 flags = descriptor->flags & DSA_FLAGS_MASK;
	u32 invalid = flags & ~(COMMON | operation_of(dsa_opcode(descriptor))->flags);

	if (job->in_batch)
		invalid &= ~(u32)DSA_FENCE;
	if (flags & DSA_WANT_RECORD && !(flags & DSA_RECORD_VALID))
		invalid |= DSA_WANT_RECORD;
	if (flags & DSA_WANT_INTERRUPT && !may_interrupt(dsa, job))
		invalid |= DSA_WANT_INTERRUPT;
	return invalid;
}

static bool has_reserved(const struct dsa_descriptor *descriptor)
{
	u64 may = operation_of(dsa_opcode(descriptor))->fields;
	const u8 *bytes = (const u8 *)descriptor;

	if (descriptor->pasid & DSA_PASID_RESERVED || descriptor->reserved)
		return true;
	if (descriptor->interrupt && !(descriptor->flags & DSA_WANT_INTERRUPT))
		return true;
	for (unsigned at = 16; at < sizeof(*descriptor); at++)
		if (bytes[at] && (at < 36 || at >= 40) && !(may >> at & 1))
			return true;
	return false;
}

static bool has_size(u8 opcode)
{
	return operation_of(opcode)->fields & SIZE && opcode != DSA_OP_BATCH;
}

enum dsa_status dsa_check(const struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	u8 opcode = dsa_opcode(descriptor);

	if (descriptor->flags & DSA_RECORD_VALID && !is_aligned(descriptor->record, sizeof(struct dsa_record)))
		return DSA_BAD_RECORD;
	if (!is_available(dsa, job))
		return DSA_BAD_OPCODE;
	if (!wq_of(dsa, job)->dedicated && job->privileged && !wq_of(dsa, job)->may_privileged)
		return DSA_BAD_PRIVILEGE;
	job->invalid_flags = invalid_flags(dsa, job);
	if (job->invalid_flags)
		return DSA_BAD_FLAGS;
	if (has_reserved(descriptor))
		return DSA_BAD_RESERVED;
	if (descriptor->flags & DSA_WANT_INTERRUPT && !dsa_interrupt_permitted(dsa, job))
		return DSA_BAD_INTERRUPT;
	if (has_size(opcode) && (!descriptor->size || descriptor->size > wq_of(dsa, job)->transfer_max))
		return DSA_BAD_SIZE;
	return operation_of(opcode)->check ? operation_of(opcode)->check(dsa, job) : DSA_SUCCESS;
}
