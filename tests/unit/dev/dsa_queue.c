/* SPDX-License-Identifier: MIT */
/* Portals and work queues of a DSA: who may submit, what comes back, batches, PASIDs, interrupts, errors. */
#include "base/os.h"
#include "tests/fixtures/dsa_driver.h"

static int set_up(void **state)
{
	*state = rig_new("dsa", NULL);
	dsa_driver_start(*state);
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct dsa_record *record_at(struct model_rig *rig, u64 iova)
{
	return rig_at(rig, iova);
}

static struct dsa_descriptor noop(struct model_rig *rig)
{
	return dsa_driver_descriptor(rig, DSA_OP_NOOP, 0, 0, 0);
}

static unsigned occupancy(struct model_rig *rig, unsigned wq)
{
	return rig_load(rig, 0, DSA_WQCFG + wq * DSA_WQCFG_SIZE + 4 * DSA_WQ_STATUS, 4) & 0xffff;
}

static u8 swerr_code(struct model_rig *rig)
{
	u64 word = dsa_driver_swerr(rig, 0);

	return word & DSA_SWERR_VALID ? (u8)(word >> 8) : 0;
}

/* ---- as the selftest does it ---- */

TEST(dsa, copies_as_the_selftest_asks)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = dsa_driver_descriptor(rig, DSA_OP_MOVE, 0x10000, 0x50000, 0x40000);

	rig_interrupts(rig, PCI_IRQ_MSIX, 2);
	descriptor.pasid = DSA_PRIVILEGED;
	for (unsigned i = 0; i < 20; i++) {
		memset(rig_at(rig, 0x10000), (int)i + 1, 0x40000);
		assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_SUCCESS);
		assert_memory_equal(rig_at(rig, 0x10000), rig_at(rig, 0x50000), 0x40000);
	}
	assert_int_equal(rig_signals(rig, 1), 0);
	descriptor.flags |= DSA_WANT_INTERRUPT;
	descriptor.interrupt = 1;
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_SUCCESS);
	assert_true(rig_await_signal(rig, 1));
	assert_int_equal(rig_signals(rig, 1), 0);
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
}

/* 32 batches of 1024 copies at one address, of which the last has a record. */
TEST(dsa, batches_without_records_until_the_last)
{
	struct model_rig *rig = *state;
	u64 list = rig_alloc(rig, 1024 * sizeof(struct dsa_descriptor));
	struct dsa_descriptor batch, copy = dsa_driver_descriptor(rig, DSA_OP_MOVE, 0x100000, 0x200000, 4096);

	memset(rig_at(rig, 0x100000), 'x', 4096);
	copy.flags &= ~(u32)DSA_WANT_RECORD;
	for (unsigned i = 0; i < 1024; i++)
		memcpy(rig_at(rig, list + i * sizeof(copy)), &copy, sizeof(copy));
	batch = dsa_driver_descriptor(rig, DSA_OP_BATCH, list, 0, 1024);
	batch.flags &= ~(u32)DSA_WANT_RECORD;
	for (unsigned i = 0; i < 31; i++)
		dsa_driver_submit(rig, 0, 0, &batch);
	batch.flags |= DSA_WANT_RECORD;
	dsa_driver_submit(rig, 0, 0, &batch);
	assert_int_equal(dsa_driver_await(rig, &batch).status, DSA_SUCCESS);
	assert_int_equal(record_at(rig, batch.record)->completed, 1024);
	assert_int_equal(record_at(rig, copy.record)->status, DSA_PENDING);
	assert_memory_equal(rig_at(rig, 0x100000), rig_at(rig, 0x200000), 4096);
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
}

TEST(dsa, unmapped_memory_is_in_the_record)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = dsa_driver_descriptor(rig, DSA_OP_MOVE, RIG_UNMAPPED, 0, 4096);
	struct dsa_record record = dsa_driver_run(rig, &descriptor);

	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.completed, 0);
	assert_int_equal(record.fault_address, RIG_UNMAPPED);
	descriptor.source = 0x1234;
	descriptor.destination = RIG_MEMORY - 100;
	record = dsa_driver_run(rig, &descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(record.completed, 100);
	assert_int_equal(record.fault_address, RIG_MEMORY);
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
	assert_int_equal(rig_faults(rig), 2);
}

/* ---- who may submit ---- */

/* Keeps the one engine busy: until released, what is behind stays in its queue. */
static struct dsa_descriptor occupy(struct model_rig *rig)
{
	struct dsa_descriptor descriptor = dsa_driver_descriptor(rig, DSA_OP_NOOP, 0, 0, 0);

	rig_close(rig); /* no thread, nobody works */
	return descriptor;
}

static void release(struct model_rig *rig)
{
	rig_open(rig);
}

TEST(dsa, a_full_queue_drops_and_says_so)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = occupy(rig);

	for (unsigned i = 0; i < 128; i++) {
		assert_int_equal(occupancy(rig, 0), i);
		dsa_driver_submit(rig, 0, i % 2, &descriptor);
	}
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
	descriptor.flags = DSA_OP_FILL << 24;
	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_int_equal(dsa_driver_swerr(rig, 0), DSA_SWERR_VALID | DSA_SWERR_DESCRIPTOR | DSA_SWERR_WQ |
							   DSA_ERROR_PORTAL << 8 | (u64)DSA_OP_FILL << 32);
	assert_int_equal(occupancy(rig, 0), 128);
	release(rig);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_WQ, 1), 0);
	assert_int_equal(occupancy(rig, 0), 0);
}

TEST(dsa, dedicated_queues_take_no_enqcmd)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = noop(rig);

	assert_false(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	assert_false(dsa_driver_enqueue(rig, 0, 1, &descriptor));
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
	assert_int_equal(occupancy(rig, 0), 0);
}

TEST(dsa, portals_take_whole_descriptors)
{
	struct model_rig *rig = *state;

	for (unsigned width = 1; width < 64; width *= 2) {
		rig_access(rig, PCI_ACCESS_STORE, 2, 0, (u8[64]){0}, width);
		assert_int_equal(dsa_driver_swerr(rig, 0), DSA_SWERR_VALID | DSA_SWERR_WQ | DSA_ERROR_PORTAL << 8);
		dsa_driver_clear_swerr(rig);
	}
	/* Anywhere in the page. */
	for (unsigned at = 0; at < PAGE_SIZE; at += 64) {
		struct dsa_descriptor descriptor = {.flags = 0xc, .record = 0x1000};

		memset(rig_at(rig, 0x1000), 0, 32);
		rig_access(rig, PCI_ACCESS_STORE, 2, at, &descriptor, sizeof(descriptor));
		assert_int_equal(dsa_driver_await(rig, &descriptor).status, DSA_SUCCESS);
	}
}

static void start_shared(struct model_rig *rig)
{
	rig_attach_pasid(rig, 0x4711);
	rig_attach_pasid(rig, 0x4712);
	dsa_driver_start_as(rig, &(struct dsa_queue){.size = 16,
						     .threshold = 5,
						     .shared = true,
						     .priority = 1,
						     .transfer_shift = 20,
						     .batch_shift = 4});
}

/* A copy in the address space of a PASID. */
static struct dsa_descriptor pasid_copy(struct model_rig *rig, u32 pasid)
{
	struct dsa_descriptor descriptor = dsa_driver_descriptor(rig, DSA_OP_MOVE, RIG_PASID_BASE + 0x100000,
								 RIG_PASID_BASE + 0x200000, 4096);

	descriptor.pasid = pasid;
	descriptor.record += RIG_PASID_BASE;
	return descriptor;
}

TEST(dsa, shared_queues_answer_retry_when_full)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	start_shared(rig);
	descriptor = pasid_copy(rig, 0x4711);
	occupy(rig);
	for (unsigned i = 0; i < 5; i++)
		assert_true(dsa_driver_enqueue(rig, 0, 1, &descriptor));
	assert_false(dsa_driver_enqueue(rig, 0, 1, &descriptor)); /* the threshold */
	for (unsigned i = 5; i < 16; i++)
		assert_true(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	assert_false(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	assert_int_equal(occupancy(rig, 0), 16);
	/* A posted write cannot be answered. */
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_int_equal(swerr_code(rig), DSA_ERROR_PORTAL);
	assert_int_equal(dsa_driver_swerr(rig, 0) >> 40 & 0xfffff, 0x4711);
	release(rig);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_WQ, 1), 0);
	assert_int_equal(record_at(rig, descriptor.record - RIG_PASID_BASE)->status, DSA_SUCCESS);
	assert_true(dsa_driver_enqueue(rig, 0, 1, &descriptor));
}

TEST(dsa, each_descriptor_has_the_memory_of_its_pasid)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;
	struct dsa_record record;

	start_shared(rig);
	memset(rig_at(rig, 0x100000), 0x5a, 4096);
	descriptor = pasid_copy(rig, 0x4711);
	assert_true(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	assert_int_equal(dsa_driver_await(rig, &descriptor).status, DSA_SUCCESS);
	assert_memory_equal(rig_at(rig, 0x100000), rig_at(rig, 0x200000), 4096);
	/* Addresses of no PASID are not its. */
	descriptor = pasid_copy(rig, 0x4712);
	descriptor.source = 0x100000;
	assert_true(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	record = dsa_driver_await(rig, &descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.fault_address, 0x100000);
	assert_int_equal(rig_last_fault(rig).pasid, 0x4712);
	/* A PASID that is attached to nothing cannot even be told. */
	descriptor = pasid_copy(rig, 0x99);
	assert_true(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	assert_true(rig_await(rig, 0, DSA_SWERR, 8, 0xff01, DSA_RECORD_FAULT << 8 | 1));
	assert_int_equal(dsa_driver_swerr(rig, 0) >> 40 & 0xfffff, 0x99);
	assert_int_equal(dsa_driver_swerr(rig, 2), descriptor.record);
	assert_true(dsa_driver_swerr(rig, 0) & DSA_SWERR_WRITE);
}

TEST(dsa, privilege_needs_the_pasid_capability)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	start_shared(rig);
	descriptor = pasid_copy(rig, 0x4711 | DSA_PRIVILEGED);
	assert_true(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	assert_int_equal(dsa_driver_await(rig, &descriptor).status, DSA_SUCCESS);
	dsa_driver_command(rig, DSA_RESET_DEVICE, 0);
	rig_set_config(rig, rig->function.cap_pasid + 6, 2, 1);
	dsa_driver_start_as(
		rig,
		&(struct dsa_queue){.size = 16, .shared = true, .priority = 1, .transfer_shift = 20, .batch_shift = 4});
	memset(rig_at(rig, descriptor.record - RIG_PASID_BASE), 0, 32);
	assert_true(dsa_driver_enqueue(rig, 0, 0, &descriptor));
	assert_int_equal(dsa_driver_await(rig, &descriptor).status, DSA_BAD_PRIVILEGE);
}

/* The queue's PASID, whatever the descriptor says. */
TEST(dsa, dedicated_queues_have_one_pasid)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	rig_attach_pasid(rig, 0x4711);
	dsa_driver_start_as(
		rig, &(struct dsa_queue){
			     .size = 16, .pasid = 0x4711, .priority = 1, .transfer_shift = 20, .batch_shift = 4});
	descriptor = pasid_copy(rig, 0x99);
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_SUCCESS);
	assert_int_equal(rig_faults(rig), 0);
}

TEST(dsa, one_pasid_is_drained_or_aborted)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor one, other;

	start_shared(rig);
	one = pasid_copy(rig, 0x4711);
	other = pasid_copy(rig, 0x4712);
	occupy(rig);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(dsa_driver_enqueue(rig, 0, 0, &one));
		assert_true(dsa_driver_enqueue(rig, 0, 0, &other));
	}
	assert_int_equal(dsa_driver_command(rig, DSA_ABORT_PASID, 0x4711), 0);
	assert_int_equal(occupancy(rig, 0), 8);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_PASID, 0x4711), 0);
	release(rig);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_PASID, 0x4712), 0);
	assert_int_equal(occupancy(rig, 0), 0);
	assert_int_equal(record_at(rig, one.record - RIG_PASID_BASE)->status, DSA_PENDING);
	assert_int_equal(record_at(rig, other.record - RIG_PASID_BASE)->status, DSA_SUCCESS);
}

/* ---- several queues ---- */

TEST(dsa, priority_says_how_often_a_queue_is_served)
{
	struct model_rig *rig = *state;
	struct dsa_queue queue = {.size = 30, .priority = 1, .transfer_shift = 20, .batch_shift = 4};
	struct dsa_descriptor fills[4][20];
	unsigned position[4] = {0};

	dsa_driver_command(rig, DSA_RESET_DEVICE, 0);
	for (unsigned wq = 0; wq < 4; wq++) {
		queue.priority = wq == 3 ? 15 : wq + 1;
		dsa_driver_configure(rig, wq, &queue);
	}
	dsa_driver_group(rig, 0xf);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_DEVICE, 0), 0);
	for (unsigned wq = 0; wq < 4; wq++)
		assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, wq), 0);
	occupy(rig);
	/* Each overwrites the same word: in the end it has what was served last. */
	for (unsigned n = 0; n < 20; n++)
		for (unsigned wq = 0; wq < 4; wq++) {
			fills[wq][n] = dsa_driver_descriptor(rig, DSA_OP_FILL, wq + 1, 0x800000, 8);
			dsa_driver_submit(rig, wq, 0, &fills[wq][n]);
		}
	release(rig);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_ALL, 0), 0);
	for (unsigned wq = 0; wq < 4; wq++)
		for (unsigned n = 0; n < 20; n++)
			position[wq] += record_at(rig, fills[wq][n].record)->status == DSA_SUCCESS;
	for (unsigned wq = 0; wq < 4; wq++)
		assert_int_equal(position[wq], 20);
	/* Twenty at one per round take longest. */
	assert_int_equal(*(u64 *)rig_at(rig, 0x800000), 1);
}

TEST(dsa, queues_are_drained_one_by_one)
{
	struct model_rig *rig = *state;
	struct dsa_queue queue = {.size = 16, .priority = 1, .transfer_shift = 30, .batch_shift = 4};
	struct dsa_descriptor slow, quick;

	dsa_driver_command(rig, DSA_RESET_DEVICE, 0);
	for (unsigned wq = 0; wq < 2; wq++)
		dsa_driver_configure(rig, wq, &queue);
	dsa_driver_group(rig, 3);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_DEVICE, 0), 0);
	for (unsigned wq = 0; wq < 2; wq++)
		assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, wq), 0);
	slow = dsa_driver_descriptor(rig, DSA_OP_MOVE, 0, 8 << 20, 7 << 20);
	quick = noop(rig);
	for (unsigned i = 0; i < 16; i++)
		dsa_driver_submit(rig, 1, 0, &slow);
	dsa_driver_submit(rig, 0, 0, &quick);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_WQ, 1), 0);
	assert_int_equal(record_at(rig, quick.record)->status, DSA_SUCCESS);
	assert_true(occupancy(rig, 1) > 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ABORT_WQ, 2), 0);
	assert_int_equal(occupancy(rig, 1), 0);
}

/* ---- batches ---- */

struct batch {
	u64 list;
	struct dsa_descriptor descriptor;
	struct dsa_descriptor *members; /* in the rig's memory */
};

/* Copies of a page each, with records of their own. */
static struct batch make_batch(struct model_rig *rig, unsigned count)
{
	u64 list = rig_alloc(rig, count * sizeof(struct dsa_descriptor)), records = rig_alloc(rig, count * 32ull);
	struct batch batch = {.list = list, .members = rig_at(rig, list)};

	for (unsigned i = 0; i < count; i++)
		batch.members[i] = (struct dsa_descriptor){.flags = DSA_OP_MOVE << 24 | 0xc,
							   .record = records + i * 32,
							   .source = 0x800000,
							   .destination = 0x900000,
							   .size = 64};
	batch.descriptor = dsa_driver_descriptor(rig, DSA_OP_BATCH, list, 0, count);
	return batch;
}

static u8 member_status(struct model_rig *rig, const struct batch *batch, unsigned index)
{
	return record_at(rig, batch->members[index].record)->status;
}

TEST(dsa, failures_in_a_batch_do_not_stop_it)
{
	struct model_rig *rig = *state;
	struct batch batch = make_batch(rig, 100);
	struct dsa_record record;

	batch.members[17].size = 0;
	batch.members[40].source = RIG_UNMAPPED;
	record = dsa_driver_run(rig, &batch.descriptor);
	assert_int_equal(record.status, DSA_BATCH_FAILED);
	assert_int_equal(record.completed, 100);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(member_status(rig, &batch, i), i == 17	  ? DSA_BAD_SIZE
								: i == 40 ? DSA_PAGE_FAULT
									  : DSA_SUCCESS);
}

TEST(dsa, a_fence_ends_a_batch_that_has_failed)
{
	struct model_rig *rig = *state;
	struct batch batch = make_batch(rig, 40);
	struct dsa_record record;

	batch.members[5].flags |= DSA_FENCE;
	batch.members[20].flags = DSA_OP_NOOP << 24 | 0xc | DSA_FENCE;
	memset(&batch.members[20].source, 0, 20);
	assert_int_equal(dsa_driver_run(rig, &batch.descriptor).status, DSA_SUCCESS);
	memset(rig_at(rig, batch.members[0].record), 0, 40 * 32);
	batch.members[10].flags |= DSA_BLOCK_ON_FAULT;
	record = dsa_driver_run(rig, &batch.descriptor);
	assert_int_equal(record.status, DSA_BATCH_FAILED);
	assert_int_equal(record.completed, 20);
	assert_int_equal(member_status(rig, &batch, 10), DSA_BAD_FLAGS);
	assert_int_equal(record_at(rig, batch.members[10].record)->specific[0], DSA_BLOCK_ON_FAULT);
	assert_int_equal(member_status(rig, &batch, 19), DSA_SUCCESS);
	assert_int_equal(member_status(rig, &batch, 20), DSA_PENDING);
	/* A comparison that finds the other thing is a failure, too. */
	memset(rig_at(rig, batch.members[0].record), 0, 40 * 32);
	batch.members[10] = (struct dsa_descriptor){.flags = DSA_OP_COMPARE << 24 | 0xc | DSA_CHECK_RESULT,
						    .record = batch.members[10].record,
						    .size = 8,
						    .specific = {1}};
	record = dsa_driver_run(rig, &batch.descriptor);
	assert_int_equal(record.completed, 20);
	assert_int_equal(member_status(rig, &batch, 10), DSA_FALSE_PREDICATE);
	/* Outside of a batch it means nothing, and is refused. */
	assert_int_equal(dsa_driver_run(rig, &(struct dsa_descriptor){.flags = 0xd, .record = 0xa00000}).status,
			 DSA_BAD_FLAGS);
}

TEST(dsa, a_list_that_is_not_there_is_executed_as_far_as_it_is)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor *members = rig_at(rig, RIG_MEMORY - 40 * 64), batch;
	struct dsa_record record;

	for (unsigned i = 0; i < 40; i++)
		members[i] = (struct dsa_descriptor){.flags = DSA_OP_NOOP << 24};
	batch = dsa_driver_descriptor(rig, DSA_OP_BATCH, RIG_MEMORY - 40 * 64, 0, 100);
	record = dsa_driver_run(rig, &batch);
	assert_int_equal(record.status, DSA_BATCH_PAGE_FAULT);
	assert_int_equal(record.completed, 40);
	assert_int_equal(record.fault_address, RIG_MEMORY);
	assert_int_equal(rig_faults(rig), 1);
	batch.source = RIG_UNMAPPED;
	record = dsa_driver_run(rig, &batch);
	assert_int_equal(record.status, DSA_BATCH_PAGE_FAULT);
	assert_int_equal(record.completed, 0);
	assert_int_equal(record.fault_address, RIG_UNMAPPED);
	batch.source = 0ull - 64;
	batch.size = 2;
	assert_int_equal(dsa_driver_run(rig, &batch).status, DSA_BATCH_PAGE_FAULT);
}

TEST(dsa, batches_have_their_own_rules)
{
	struct model_rig *rig = *state;
	struct batch batch = make_batch(rig, 4);
	struct dsa_descriptor descriptor = batch.descriptor;

	descriptor.size = 1;
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_BAD_COUNT);
	descriptor.size = 1025;
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_BAD_COUNT);
	descriptor.size = ~0u;
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_BAD_COUNT);
	descriptor.size = 4;
	descriptor.source += 32;
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_BAD_LIST);
	/* The list has itself in it: no batch in a batch, and nothing that waits. */
	batch.members[1] = batch.descriptor;
	batch.members[1].record = batch.members[0].record + 32;
	batch.members[2].flags = DSA_OP_DRAIN << 24 | 0xc;
	memset(&batch.members[2].source, 0, 20);
	assert_int_equal(dsa_driver_run(rig, &batch.descriptor).status, DSA_BATCH_FAILED);
	assert_int_equal(member_status(rig, &batch, 0), DSA_SUCCESS);
	assert_int_equal(member_status(rig, &batch, 1), DSA_BAD_OPCODE);
	assert_int_equal(member_status(rig, &batch, 2), DSA_BAD_OPCODE);
	assert_int_equal(member_status(rig, &batch, 3), DSA_SUCCESS);
}

/* What it has in it, and where, may be written while it is executed: by itself, say. */
TEST(dsa, a_batch_may_write_over_itself)
{
	struct model_rig *rig = *state;
	struct batch batch = make_batch(rig, 64);

	for (unsigned i = 0; i < 64; i++) {
		batch.members[i].source = 0x800000;
		batch.members[i].destination = batch.list + (63 - i) * 64ull;
	}
	memset(rig_at(rig, 0x800000), 0xff, 64);
	assert_int_equal(dsa_driver_run(rig, &batch.descriptor).status, DSA_BATCH_FAILED);
	assert_int_equal(dsa_driver_swerr(rig, 0) & DSA_SWERR_BATCH,
			 DSA_SWERR_BATCH); /* a record at ~0 is misaligned */
	dsa_driver_clear_swerr(rig);
	assert_int_equal(dsa_driver_run(rig, &(struct dsa_descriptor){.flags = 0xc, .record = 0xa00000}).status,
			 DSA_SUCCESS);
}

/* ---- what is wrong with descriptors ---- */

static u8 status_of(struct model_rig *rig, struct dsa_descriptor descriptor)
{
	descriptor.record = 0xb00000;
	descriptor.flags |= DSA_RECORD_VALID | DSA_WANT_RECORD;
	return dsa_driver_run(rig, &descriptor).status;
}

TEST(dsa, unknown_operations_and_flags_are_named)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	for (unsigned opcode = 0; opcode < 256; opcode++) {
		u64 known = rig_load(rig, 0, DSA_OPCAP + 8 * (opcode / 64), 8);
		u8 status = status_of(rig, (struct dsa_descriptor){.flags = opcode << 24});

		if (known >> opcode % 64 & 1)
			assert_int_not_equal(status, DSA_BAD_OPCODE);
		else
			assert_int_equal(status, DSA_BAD_OPCODE);
	}
	/* Each flag alone, for an operation that has none of its own. */
	for (unsigned bit = 0; bit < 24; bit++) {
		u32 flag = 1u << bit, common = 0x3c | DSA_RECORD_TRAFFIC;
		u8 status = status_of(rig, (struct dsa_descriptor){.flags = flag, .interrupt = flag == 0x10 ? 1 : 0});

		assert_int_equal(status, flag & common ? DSA_SUCCESS : DSA_BAD_FLAGS);
		if (!(flag & common))
			assert_int_equal(get_u32(record_at(rig, 0xb00000)->specific), flag);
	}
	/* A record that is wanted where there is none. */
	descriptor = (struct dsa_descriptor){.flags = DSA_WANT_RECORD};
	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_true(rig_await(rig, 0, DSA_SWERR, 8, 0xff01, DSA_BAD_FLAGS << 8 | 1));
	assert_int_equal(dsa_driver_swerr(rig, 1) >> 32, DSA_WANT_RECORD);
}

TEST(dsa, operations_can_be_switched_off)
{
	struct model_rig *rig = *state;

	dsa_driver_start_as(rig, &(struct dsa_queue){.size = 16,
						     .priority = 1,
						     .transfer_shift = 16,
						     .batch_shift = 1,
						     .operations = BIT(DSA_OP_MOVE) | BIT(DSA_OP_BATCH)});
	assert_int_equal(status_of(rig, (struct dsa_descriptor){.flags = DSA_OP_NOOP << 24}), DSA_BAD_OPCODE);
	assert_int_equal(status_of(rig, (struct dsa_descriptor){.flags = DSA_OP_CACHE_FLUSH << 24}), DSA_BAD_OPCODE);
	assert_int_equal(status_of(rig, (struct dsa_descriptor){.flags = DSA_OP_MOVE << 24, .size = 0x10000}),
			 DSA_SUCCESS);
	assert_int_equal(status_of(rig, (struct dsa_descriptor){.flags = DSA_OP_MOVE << 24, .size = 0x10001}),
			 DSA_BAD_SIZE);
	assert_int_equal(status_of(rig, (struct dsa_descriptor){.flags = DSA_OP_BATCH << 24, .size = 3}),
			 DSA_BAD_COUNT);
}

/* Which bytes an operation has no use for: they must be zero. Bytes 16 and up, a bit each. */
TEST(dsa, reserved_fields_must_be_zero)
{
	static const struct {
		u8 opcode, size;
		u64 used;
	} rows[] = {
		{DSA_OP_NOOP, 0, 0},
		{DSA_OP_DRAIN, 0, 0},
		{DSA_OP_MOVE, 8, 0x0000000fffffull},
		{DSA_OP_FILL, 8, 0x0000000fffffull},
		{DSA_OP_COMPARE, 8, 0x0000010fffffull},
		{DSA_OP_COMPARE_PATTERN, 8, 0x0000010fffffull},
		{DSA_OP_DUALCAST, 8, 0x0000ff0fffffull},
		{DSA_OP_CRC, 8, 0x00ff0f0f00ffull},
		{DSA_OP_COPY_CRC, 8, 0x00ff0f0fffffull},
		{DSA_OP_CACHE_FLUSH, 8, 0x0000000fff00ull},
	};
	struct model_rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned at = 16; at < 64; at++) {
			struct dsa_descriptor descriptor = {.flags = (u32)rows[i].opcode << 24, .size = rows[i].size};
			u8 status;

			((u8 *)&descriptor)[at] |= 1;
			status = status_of(rig, descriptor);
			if (rows[i].used >> (at - 16) & 1)
				assert_int_not_equal(status, DSA_BAD_RESERVED);
			else
				assert_int_equal(status, DSA_BAD_RESERVED);
		}
	for (unsigned bit = 20; bit < 31; bit++)
		assert_int_equal(status_of(rig, (struct dsa_descriptor){.pasid = 1u << bit}), DSA_BAD_RESERVED);
}

TEST(dsa, records_that_cannot_be_written_are_software_errors)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = {.flags = DSA_OP_FILL << 24 | 0xc, .record = 0x1010, .size = 8};

	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_true(rig_await(rig, 0, DSA_SWERR, 8, 0xff01, DSA_BAD_RECORD << 8 | 1));
	assert_int_equal(dsa_driver_swerr(rig, 0) >> 32 & 0xff, DSA_OP_FILL);
	assert_true(dsa_driver_swerr(rig, 0) & DSA_SWERR_WQ);
	dsa_driver_clear_swerr(rig);
	descriptor.record = RIG_UNMAPPED;
	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_true(rig_await(rig, 0, DSA_SWERR, 8, 0xff01, DSA_RECORD_FAULT << 8 | 1));
	assert_int_equal(dsa_driver_swerr(rig, 2), RIG_UNMAPPED);
	assert_true(dsa_driver_swerr(rig, 0) & DSA_SWERR_WRITE);
	dsa_driver_clear_swerr(rig);
	/* A fault without a record: where it was is all there is. */
	descriptor = (struct dsa_descriptor){.flags = DSA_OP_MOVE << 24, .source = RIG_UNMAPPED + 5, .size = 8};
	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_true(rig_await(rig, 0, DSA_SWERR, 8, 0xff01, DSA_PAGE_FAULT << 8 | 1));
	assert_int_equal(dsa_driver_swerr(rig, 2), RIG_UNMAPPED + 5);
	assert_false(dsa_driver_swerr(rig, 0) & DSA_SWERR_WRITE);
	dsa_driver_clear_swerr(rig);
	/* Success without a record is silence. */
	descriptor.source = 0;
	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_ALL, 0), 0);
	assert_int_equal(dsa_driver_swerr(rig, 0) & 1, 0);
}

TEST(dsa, errors_without_record_say_where_in_the_batch)
{
	struct model_rig *rig = *state;
	struct batch batch = make_batch(rig, 50);

	rig_interrupts(rig, PCI_IRQ_MSIX, 9);
	rig_store(rig, 0, DSA_GENCTRL, 4, DSA_GENCTRL_ERROR_INTERRUPT);
	batch.members[33].flags = DSA_OP_MOVE << 24;
	batch.members[33].size = 0;
	assert_int_equal(dsa_driver_run(rig, &batch.descriptor).status, DSA_BATCH_FAILED);
	assert_int_equal(swerr_code(rig), DSA_BAD_SIZE);
	assert_true(dsa_driver_swerr(rig, 0) & DSA_SWERR_BATCH);
	assert_int_equal(dsa_driver_swerr(rig, 1) & 0xffff, 33);
	assert_true(rig_await_signal(rig, 0));
	assert_int_equal(rig_load(rig, 0, DSA_INTCAUSE, 4), DSA_INTC_ERROR);
}

/* ---- interrupts ---- */

static u8 interrupting(struct model_rig *rig, unsigned portal, u16 vector)
{
	struct dsa_descriptor descriptor = {.flags = 0x1c, .record = 0xb00000, .interrupt = vector};

	memset(rig_at(rig, descriptor.record), 0, 32);
	dsa_driver_submit(rig, 0, portal, &descriptor);
	return dsa_driver_await(rig, &descriptor).status;
}

TEST(dsa, interrupt_handles_are_vectors)
{
	struct model_rig *rig = *state;

	rig_interrupts(rig, PCI_IRQ_MSIX, 9);
	for (u16 vector = 1; vector < 9; vector++) {
		assert_int_equal(interrupting(rig, vector % 2, vector), DSA_SUCCESS);
		assert_true(rig_await_signal(rig, vector));
	}
	assert_int_equal(interrupting(rig, 0, 0), DSA_BAD_INTERRUPT);
	assert_int_equal(interrupting(rig, 0, 9), DSA_BAD_INTERRUPT);
	assert_int_equal(interrupting(rig, 0, 0xffff), DSA_BAD_INTERRUPT);
	assert_int_equal(interrupting(rig, 2, 1), DSA_BAD_INTERRUPT); /* of message storage, which is not there */
	assert_int_equal(interrupting(rig, 3, 1), DSA_BAD_INTERRUPT);
	for (u16 vector = 0; vector < 9; vector++)
		assert_int_equal(rig_signals(rig, vector), 0);
	/* Without the flag the handle is reserved. */
	assert_int_equal(status_of(rig, (struct dsa_descriptor){.interrupt = 1}), DSA_BAD_RESERVED);
	/* Errors interrupt as well. */
	assert_int_equal(status_of(rig, (struct dsa_descriptor){.flags = DSA_OP_MOVE << 24 | DSA_WANT_INTERRUPT,
								.interrupt = 3}),
			 DSA_BAD_SIZE);
	assert_true(rig_await_signal(rig, 3));
}

TEST(dsa, vectors_belong_to_pasids)
{
	struct model_rig *rig = *state;

	rig_interrupts(rig, PCI_IRQ_MSIX, 9);
	rig_store(rig, 0, DSA_MSIXPERM + 8, 4, 0x4711u << 12 | DSA_MSIXPERM_PASID_ENABLE);
	assert_int_equal(interrupting(rig, 0, 1), DSA_BAD_INTERRUPT);
	rig_store(rig, 0, DSA_MSIXPERM + 8, 4, DSA_MSIXPERM_IGNORE | DSA_MSIXPERM_PASID_ENABLE);
	assert_int_equal(interrupting(rig, 0, 1), DSA_SUCCESS);
	rig_attach_pasid(rig, 0x4711);
	dsa_driver_command(rig, DSA_RESET_DEVICE, 0);
	rig_store(rig, 0, DSA_GENCFG, 4, DSA_GENCFG_USER_INTERRUPTS);
	dsa_driver_configure(rig, 0, &(struct dsa_queue){.size = 4, .pasid = 0x4711, .priority = 1});
	dsa_driver_group(rig, 1);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_DEVICE, 0), 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		static const u32 entries[] = {0, 0x4712u << 12 | DSA_MSIXPERM_PASID_ENABLE,
					      0x4711u << 12 | DSA_MSIXPERM_PASID_ENABLE};
		struct dsa_descriptor descriptor = {.flags = 0x1c, .record = RIG_PASID_BASE + 0xb00000, .interrupt = 2};

		rig_store(rig, 0, DSA_MSIXPERM + 16, 4, entries[i]);
		assert_int_equal(dsa_driver_run(rig, &descriptor).status, i == 2 ? DSA_SUCCESS : DSA_BAD_INTERRUPT);
	}
	assert_true(rig_await_signal(rig, 2));
}

TEST(dsa, users_interrupt_only_if_the_system_lets_them)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = {.flags = 0x1c, .record = RIG_PASID_BASE + 0xb00000, .interrupt = 2};
	struct dsa_queue queue = {.size = 4, .pasid = 0x4711, .priority = 1};
	struct dsa_record record;

	rig_attach_pasid(rig, 0x4711);
	dsa_driver_start_as(rig, &queue);
	rig_store(rig, 0, DSA_MSIXPERM + 16, 4, DSA_MSIXPERM_IGNORE);
	record = dsa_driver_run(rig, &descriptor);
	assert_int_equal(record.status, DSA_BAD_FLAGS);
	assert_int_equal(get_u32(record.specific), DSA_WANT_INTERRUPT);
	queue.privileged = true;
	dsa_driver_start_as(rig, &queue);
	rig_store(rig, 0, DSA_MSIXPERM + 16, 4, DSA_MSIXPERM_IGNORE);
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_SUCCESS);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(dsa_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CASE(copies_as_the_selftest_asks),
		TEST_CASE(batches_without_records_until_the_last),
		TEST_CASE(unmapped_memory_is_in_the_record),
		TEST_CASE(a_full_queue_drops_and_says_so),
		TEST_CASE(dedicated_queues_take_no_enqcmd),
		TEST_CASE(portals_take_whole_descriptors),
		TEST_CASE(shared_queues_answer_retry_when_full),
		TEST_CASE(each_descriptor_has_the_memory_of_its_pasid),
		TEST_CASE(privilege_needs_the_pasid_capability),
		TEST_CASE(dedicated_queues_have_one_pasid),
		TEST_CASE(one_pasid_is_drained_or_aborted),
		TEST_CASE(priority_says_how_often_a_queue_is_served),
		TEST_CASE(queues_are_drained_one_by_one),
		TEST_CASE(failures_in_a_batch_do_not_stop_it),
		TEST_CASE(a_fence_ends_a_batch_that_has_failed),
		TEST_CASE(a_list_that_is_not_there_is_executed_as_far_as_it_is),
		TEST_CASE(batches_have_their_own_rules),
		TEST_CASE(a_batch_may_write_over_itself),
		TEST_CASE(unknown_operations_and_flags_are_named),
		TEST_CASE(operations_can_be_switched_off),
		TEST_CASE(reserved_fields_must_be_zero),
		TEST_CASE(records_that_cannot_be_written_are_software_errors),
		TEST_CASE(errors_without_record_say_where_in_the_batch),
		TEST_CASE(interrupt_handles_are_vectors),
		TEST_CASE(vectors_belong_to_pasids),
		TEST_CASE(users_interrupt_only_if_the_system_lets_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
