/* SPDX-License-Identifier: MIT */
/* Registers, tables, commands, errors and interrupts of a DSA. */
#include "base/os.h"
#include "tests/fixtures/dsa_driver.h"

#define KNOWN 0x1003f03ffull /* what Sapphire Rapids announces */

static const struct dsa_queue plain = {.size = 16, .priority = 5, .transfer_shift = 20, .batch_shift = 4};

static int set_up(void **state)
{
	*state = rig_new("dsa", NULL);
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static u64 load(struct model_rig *rig, unsigned offset, unsigned width)
{
	return rig_load(rig, 0, offset, width);
}

static void store(struct model_rig *rig, unsigned offset, unsigned width, u64 value)
{
	rig_store(rig, 0, offset, width, value);
}

static u32 wqcfg(struct model_rig *rig, unsigned wq, unsigned dword)
{
	return (u32)load(rig, DSA_WQCFG + wq * DSA_WQCFG_SIZE + 4 * dword, 4);
}

static unsigned device_state(struct model_rig *rig)
{
	return load(rig, DSA_GENSTS, 4) & 3;
}

TEST(dsa, capabilities_are_those_of_sapphire_rapids)
{
	struct model_rig *rig = *state;
	u64 gencap = load(rig, DSA_GENCAP, 8), wqcap = load(rig, DSA_WQCAP, 8);

	assert_int_equal(load(rig, DSA_VERSION, 4), 0x100);
	assert_int_equal(gencap & 0x1, 0);	   /* no block on fault */
	assert_int_equal(gencap >> 16 & 0x1f, 31); /* 2 GiB */
	assert_int_equal(gencap >> 21 & 0xf, 10);  /* 1024 descriptors */
	assert_int_equal(gencap >> 25 & 0x3f, 0);  /* no interrupt message storage */
	assert_true(gencap & BIT(31));		   /* can be configured */
	assert_int_equal(wqcap & 0xffff, 128);
	assert_int_equal(wqcap >> 16 & 0xff, 8);
	assert_int_equal(wqcap >> 24 & 0xf, 1); /* 64 bytes of WQCFG */
	assert_int_equal(wqcap >> 48 & 0x3, 3); /* shared and dedicated */
	assert_true(wqcap & BIT(54));
	assert_int_equal(load(rig, DSA_GRPCAP, 8) & 0xff, 4);
	assert_int_equal(load(rig, DSA_ENGCAP, 8), 4);
	assert_int_equal(load(rig, DSA_OPCAP, 8), KNOWN);
	for (unsigned word = 1; word < 4; word++)
		assert_int_equal(load(rig, DSA_OPCAP + 8 * word, 8), 0);
	assert_int_equal(load(rig, DSA_OFFSETS, 8), 0x000700050004);
	assert_int_equal(load(rig, DSA_OFFSETS + 8, 8), 0);
	assert_int_equal(load(rig, DSA_CMDCAP, 4), 0x1ffe); /* no interrupt handles to ask for */
	assert_int_equal(device_state(rig), DSA_DISABLED);
	assert_int_equal(rig_config(rig, PCI_VENDOR_ID, 4), 0x11fb8086);
	assert_int_equal(get_u16(rig->function.config + rig->function.cap_msix + 2) & 0x7ff, 8);
	assert_true(rig->function.cap_pasid && rig->function.cap_ats);
}

TEST(dsa, pages_are_precise_but_for_the_vector_table)
{
	struct model_rig *rig = *state;

	for (u64 at = 0; at < rig->function.bars[0].size; at += PAGE_SIZE)
		assert_int_equal(pci_page_kind(&rig->function, 0, at),
				 at == 0x2000 || at == 0x3000 ? PCI_PAGE_POLLED : PCI_PAGE_PRECISE);
	for (u64 at = 0; at < rig->function.bars[2].size; at += PAGE_SIZE) {
		assert_int_equal(pci_page_kind(&rig->function, 2, at), PCI_PAGE_PRECISE);
		assert_int_equal(rig_load(rig, 2, at + 64, 8), ~0ull);
	}
	assert_int_equal(load(rig, 0x1000, 8), 0);
	assert_int_equal(load(rig, 0xfff8, 8), 0);
}

TEST(dsa, constant_registers_are_constant)
{
	struct model_rig *rig = *state;
	u8 before[DSA_GENCFG];

	for (unsigned at = 0; at < sizeof(before); at += 8)
		put_u64(before + at, load(rig, at, 8));
	for (unsigned width = 1; width <= 64; width *= 2)
		for (unsigned at = 0; at < sizeof(before); at += width)
			rig_access(rig, PCI_ACCESS_STORE, 0, at, (u8[64]){[0 ... 63] = 0xff}, width);
	for (unsigned at = 0; at < sizeof(before); at += 8)
		assert_int_equal(load(rig, at, 8), get_u64(before + at));
	for (unsigned at = 0; at < sizeof(before); at++)
		assert_int_equal(load(rig, at, 1), before[at]);
	/* Nobody takes ENQCMD here. */
	assert_false(rig_access(rig, PCI_ACCESS_ENQUEUE, 0, DSA_GENCFG - 0x40 + 0x40, (u8[64]){[0 ... 63] = 0xff}, 64));
	assert_int_equal(load(rig, DSA_GENCFG, 4), 0);
}

TEST(dsa, tables_can_be_written_while_that_is_safe)
{
	struct model_rig *rig = *state;

	dsa_driver_configure(rig, 0, &plain);
	dsa_driver_configure(rig, 1, &plain);
	dsa_driver_group(rig, 3);
	store(rig, DSA_GENCFG, 4, ~0u);
	assert_int_equal(load(rig, DSA_GENCFG, 4), 0x10ff);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_OPERATIONS), (u32)KNOWN);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_OPERATIONS + 1), KNOWN >> 32);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_DEVICE, 0), 0);
	store(rig, DSA_GENCFG, 4, 0);
	assert_int_equal(load(rig, DSA_GENCFG, 4), 0x10ff);
	store(rig, DSA_GRPCFG, 8, 0);
	assert_int_equal(load(rig, DSA_GRPCFG, 8), 3);
	store(rig, DSA_WQCFG, 4, 1);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_SIZE), 16);
	/* The rest of WQCFG while the queue is disabled, the threshold always. */
	store(rig, DSA_WQCFG + 4 * DSA_WQ_LIMITS, 4, 0x1e);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_LIMITS), 0x1e);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 0), 0);
	store(rig, DSA_WQCFG + 4 * DSA_WQ_LIMITS, 4, 0x10);
	store(rig, DSA_WQCFG + 4 * DSA_WQ_MODE, 4, 0);
	store(rig, DSA_WQCFG + 4 * DSA_WQ_OPERATIONS, 8, 0);
	store(rig, DSA_WQCFG + 4 * DSA_WQ_THRESHOLD, 4, 7);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_LIMITS), 0x1e);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_MODE), 0x51);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_OPERATIONS), (u32)KNOWN);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_THRESHOLD), 7);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_STATUS), 0x60000000);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_STATUS), 0x20000000);
	/* Nothing between or behind the tables. */
	store(rig, DSA_MSIXPERM + 4, 4, ~0u);
	store(rig, DSA_MSIXPERM + 9 * 8, 8, ~0ull);
	store(rig, DSA_GRPCFG + 48, 8, ~0ull);
	assert_int_equal(load(rig, DSA_MSIXPERM + 4, 4), 0);
	assert_int_equal(load(rig, DSA_MSIXPERM + 9 * 8, 8), 0);
	assert_int_equal(load(rig, DSA_GRPCFG + 48, 8), 0);
	store(rig, DSA_MSIXPERM + 8 * 8, 4, ~0u);
	assert_int_equal(load(rig, DSA_MSIXPERM + 8 * 8, 4), 0xfffff00c);
}

/* A store of a cache line at once, across queues. */
TEST(dsa, tables_take_stores_of_any_width)
{
	struct model_rig *rig = *state;
	u8 line[64] = {0};

	put_u32(line, 12);
	put_u32(line + 8, 0x21);
	rig_access(rig, PCI_ACCESS_STORE, 0, DSA_WQCFG + 64, line, 64);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_SIZE), 12);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_MODE), 0x21);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_OPERATIONS), 0);
	store(rig, DSA_WQCFG + 64 + 1, 1, 0x01);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_SIZE), 0x010c);
	store(rig, DSA_WQCFG + 64 + 4 * DSA_WQ_STATUS, 8, ~0ull);
	assert_int_equal(wqcfg(rig, 1, DSA_WQ_STATUS), 0x20000000);
}

/* ---- enabling ---- */

static u32 enable(struct model_rig *rig)
{
	u32 status = dsa_driver_command(rig, DSA_ENABLE_DEVICE, 0);

	assert_int_equal(device_state(rig), status ? DSA_DISABLED : DSA_ENABLED);
	return status;
}

static void reset(struct model_rig *rig)
{
	assert_int_equal(dsa_driver_command(rig, DSA_RESET_DEVICE, 0), 0);
	assert_int_equal(device_state(rig), DSA_DISABLED);
}

TEST(dsa, enabling_checks_the_configuration)
{
	struct model_rig *rig = *state;
	struct dsa_queue large = plain;

	large.size = 113;
	dsa_driver_configure(rig, 0, &plain);
	dsa_driver_configure(rig, 7, &large);
	assert_int_equal(enable(rig), DSA_CMD_WQ_SIZES);
	large.size = 112;
	dsa_driver_configure(rig, 7, &large);
	assert_int_equal(enable(rig), DSA_CMD_GROUP_WQ_MISSING);
	store(rig, DSA_GRPCFG + 64, 8, 0x81);
	assert_int_equal(enable(rig), DSA_CMD_GROUP_HALF);
	store(rig, DSA_GRPCFG + 64 + 32, 8, 0x2);
	store(rig, DSA_GRPCFG + 64, 8, 0x80);
	assert_int_equal(enable(rig), DSA_CMD_GROUP_WQ_MISSING);
	store(rig, DSA_GRPCFG + 64, 8, 0x83);
	assert_int_equal(enable(rig), DSA_CMD_GROUP_WQ_EMPTY);
	store(rig, DSA_GRPCFG + 64, 8, 0x181);
	assert_int_equal(enable(rig), DSA_CMD_CONFIGURATION);
	store(rig, DSA_GRPCFG + 64, 8, 0x81);
	store(rig, DSA_GRPCFG + 64 + 24, 8, 1);
	assert_int_equal(enable(rig), DSA_CMD_CONFIGURATION);
	store(rig, DSA_GRPCFG + 64 + 24, 8, 0);
	store(rig, DSA_GRPCFG + 64 + 32, 8, 0x10);
	assert_int_equal(enable(rig), DSA_CMD_CONFIGURATION);
	store(rig, DSA_GRPCFG + 64 + 32, 8, 0x6);
	store(rig, DSA_GRPCFG + 192, 8, 0x80);
	store(rig, DSA_GRPCFG + 192 + 32, 8, 0x8);
	assert_int_equal(enable(rig), DSA_CMD_GROUP_WQ_MISSING); /* in two groups */
	store(rig, DSA_GRPCFG + 64, 8, 0x01);
	store(rig, DSA_GRPCFG + 192 + 32, 8, 0x2);
	assert_int_equal(enable(rig), DSA_CMD_GROUP_ENGINE);
	store(rig, DSA_GRPCFG + 192 + 32, 8, 0x8);
	rig_set_command(rig, PCI_COMMAND_MEMORY);
	assert_int_equal(enable(rig), DSA_CMD_BUS_MASTER);
	rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(enable(rig), 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_DEVICE, 0), DSA_CMD_DEVICE_ENABLED);
	reset(rig);
	assert_int_equal(load(rig, DSA_GRPCFG + 192, 8), 0);
	assert_int_equal(enable(rig), 0); /* nothing is configured: fine, and useless */
}

static u32 enable_queue(struct model_rig *rig, const struct dsa_queue *queue)
{
	reset(rig);
	dsa_driver_configure(rig, 2, queue);
	dsa_driver_configure(rig, 3, &plain);
	dsa_driver_group(rig, queue->size ? 0xc : 0x8);
	assert_int_equal(enable(rig), 0);
	return dsa_driver_command(rig, DSA_ENABLE_WQ, 2);
}

TEST(dsa, enabling_a_queue_checks_it)
{
	struct model_rig *rig = *state;
	struct dsa_queue queue = plain;

	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 2), DSA_CMD_DEVICE_DISABLED);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 8), DSA_CMD_WQ_INDEX);
	assert_int_equal(enable_queue(rig, &queue), 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 2), DSA_CMD_WQ_ENABLED);
	queue.size = 0;
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_SIZE);
	queue = plain;
	queue.priority = 0;
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_PRIORITY);
	queue = plain;
	queue.batch_shift = 11;
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_BATCH);
	/* PASIDs need the PCI capability switched on; shared queues need PASIDs. */
	queue = plain;
	queue.pasid = 7;
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_PASID);
	queue.shared = true;
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_PASID);
	rig_set_config(rig, rig->function.cap_pasid + 6, 2, 1);
	assert_int_equal(enable_queue(rig, &queue), 0);
	queue.shared = false;
	assert_int_equal(enable_queue(rig, &queue), 0);
	queue.privileged = true;
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_PASID);
	rig_set_config(rig, rig->function.cap_pasid + 6, 2, 5);
	assert_int_equal(enable_queue(rig, &queue), 0);
	queue = plain;
	queue.shared = true;
	assert_int_equal(enable_queue(rig, &queue), 0);
	reset(rig);
	dsa_driver_configure(rig, 0, &plain);
	store(rig, DSA_WQCFG + 4 * DSA_WQ_MODE, 4, 0x51 | DSA_WQ_BLOCK_ON_FAULT);
	dsa_driver_group(rig, 1);
	assert_int_equal(enable(rig), 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 0), DSA_CMD_WQ_BLOCK_ON_FAULT);
	store(rig, DSA_WQCFG + 4 * DSA_WQ_MODE, 4, DSA_WQ_DEDICATED | 1 << DSA_WQ_PRIORITY_SHIFT | 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 0), 0);
}

TEST(dsa, limits_follow_the_options)
{
	struct model_rig *rig = rig_new("dsa", (const char *const[]){"transfer_shift", "16", "batch_shift", "4", NULL});
	struct dsa_queue queue = plain;

	assert_int_equal(load(rig, DSA_GENCAP, 8) >> 16 & 0x1f, 16);
	assert_int_equal(load(rig, DSA_GENCAP, 8) >> 21 & 0xf, 4);
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_TRANSFER);
	queue.transfer_shift = 16;
	assert_int_equal(enable_queue(rig, &queue), 0);
	queue.batch_shift = 5;
	assert_int_equal(enable_queue(rig, &queue), DSA_CMD_WQ_BATCH);
	rig_free(rig);
}

TEST(dsa, commands_that_are_none_are_refused)
{
	struct model_rig *rig = *state;

	assert_int_equal(dsa_driver_command(rig, 0, 0), DSA_CMD_INVALID);
	for (unsigned command = DSA_COMMANDS; command < 32; command++)
		assert_int_equal(dsa_driver_command(rig, (enum dsa_command)command, 0), DSA_CMD_INVALID);
	store(rig, DSA_CMD, 4, 0x02000000 | DSA_ENABLE_DEVICE << 20);
	assert_int_equal(load(rig, DSA_CMDSTS, 4), DSA_CMD_INVALID);
	assert_int_equal(dsa_driver_command(rig, DSA_DISABLE_DEVICE, 0), DSA_CMD_NOT_ENABLED);
	for (enum dsa_command command = DSA_DISABLE_WQ; command <= DSA_RESET_WQ; command++) {
		assert_int_equal(dsa_driver_command(rig, command, 0), DSA_CMD_WQ_INDEX);
		assert_int_equal(dsa_driver_command(rig, command, 0x100), DSA_CMD_WQ_INDEX);
		assert_int_equal(dsa_driver_command(rig, command, 0x10001), DSA_CMD_WQ_INDEX);
		assert_int_equal(dsa_driver_command(rig, command, 0x1), DSA_CMD_WQ_NOT_ENABLED);
	}
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_ALL, 0), 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ABORT_ALL, 0), 0);
	assert_int_equal(dsa_driver_command(rig, DSA_DRAIN_PASID, 5), 0);
	assert_int_equal(dsa_driver_command(rig, DSA_ABORT_PASID, 5), 0);
}

TEST(dsa, a_finished_command_interrupts_when_asked)
{
	struct model_rig *rig = *state;

	rig_interrupts(rig, PCI_IRQ_MSIX, 9);
	store(rig, DSA_CMD, 4, DSA_CMD_INTERRUPT | DSA_RESET_DEVICE << 20);
	assert_true(rig_await_signal(rig, 0));
	assert_int_equal(load(rig, DSA_INTCAUSE, 4), DSA_INTC_COMMAND);
	store(rig, DSA_INTCAUSE, 4, ~(u32)DSA_INTC_COMMAND);
	assert_int_equal(load(rig, DSA_INTCAUSE, 4), DSA_INTC_COMMAND);
	store(rig, DSA_INTCAUSE, 4, DSA_INTC_COMMAND);
	assert_int_equal(load(rig, DSA_INTCAUSE, 4), 0);
	/* Errors as well. */
	store(rig, DSA_CMD, 4, DSA_CMD_INTERRUPT | DSA_ENABLE_WQ << 20);
	assert_true(rig_await_signal(rig, 0));
	assert_int_equal(load(rig, DSA_CMDSTS, 4), DSA_CMD_DEVICE_DISABLED);
	dsa_driver_command(rig, DSA_RESET_DEVICE, 0);
	assert_int_equal(rig_signals(rig, 0), 0);
}

/* ---- draining, aborting ---- */

/* Something that takes its time: 8 MiB, many times. */
static struct dsa_descriptor slow(struct model_rig *rig)
{
	return dsa_driver_descriptor(rig, DSA_OP_MOVE, 0, 8 << 20, 7 << 20);
}

TEST(dsa, drains_wait_for_what_was_there)
{
	static const struct {
		enum dsa_command command;
		u32 operand;
	} drains[] = {{DSA_DRAIN_ALL, 0}, {DSA_DRAIN_WQ, 1}, {DSA_DISABLE_WQ, 1}, {DSA_DISABLE_DEVICE, 0}};
	struct model_rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(drains); i++) {
		struct dsa_descriptor descriptors[8];

		dsa_driver_start(rig);
		for (unsigned n = 0; n < 8; n++) {
			descriptors[n] = slow(rig);
			dsa_driver_submit(rig, 0, 0, &descriptors[n]);
		}
		assert_int_equal(dsa_driver_command(rig, drains[i].command, drains[i].operand), 0);
		for (unsigned n = 0; n < 8; n++)
			assert_int_equal(((struct dsa_record *)rig_at(rig, descriptors[n].record))->status,
					 DSA_SUCCESS);
		rig->allocated = 0;
	}
	assert_int_equal(device_state(rig), DSA_DISABLED);
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
}

TEST(dsa, a_command_while_one_is_active_is_an_error)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	dsa_driver_start(rig);
	descriptor = slow(rig);
	for (unsigned n = 0; n < 20; n++)
		dsa_driver_submit(rig, 0, 0, &descriptor);
	store(rig, DSA_CMD, 4, DSA_DISABLE_DEVICE << 20);
	assert_int_equal(device_state(rig), DSA_DRAINING);
	assert_int_equal(load(rig, DSA_CMDSTS, 4), DSA_CMDSTS_ACTIVE);
	store(rig, DSA_CMD, 4, DSA_RESET_DEVICE << 20);
	assert_int_equal(dsa_driver_swerr(rig, 0) & 0xff01, DSA_ERROR_COMMAND << 8 | DSA_SWERR_VALID);
	assert_true(rig_await(rig, 0, DSA_CMDSTS, 4, ~0u, 0));
	assert_int_equal(device_state(rig), DSA_DISABLED);
}

TEST(dsa, aborts_end_what_is_queued_and_in_work)
{
	static const struct {
		enum dsa_command command;
		u32 operand;
	} aborts[] = {{DSA_ABORT_ALL, 0}, {DSA_ABORT_WQ, 1}, {DSA_RESET_WQ, 1}, {DSA_RESET_DEVICE, 0}};
	struct model_rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(aborts); i++) {
		struct dsa_descriptor descriptor;

		dsa_driver_start(rig);
		descriptor = slow(rig);
		for (unsigned n = 0; n < 100; n++)
			dsa_driver_submit(rig, 0, 0, &descriptor);
		assert_int_equal(dsa_driver_command(rig, aborts[i].command, aborts[i].operand), 0);
		memset(rig_at(rig, 8 << 20), 0xee, 7 << 20);
		memset(rig_at(rig, descriptor.record), 0, 32);
		os_sleep_ns(2000000);
		for (unsigned at = 0; at < 7 << 20; at++)
			if (((u8 *)rig_at(rig, 8 << 20))[at] != 0xee)
				fail_msg("a byte was written after the abort");
		assert_int_equal(((struct dsa_record *)rig_at(rig, descriptor.record))->status, DSA_PENDING);
		assert_int_equal(wqcfg(rig, 0, DSA_WQ_STATUS) & 0xffff, 0);
		if (aborts[i].command == DSA_RESET_WQ) {
			assert_int_equal(wqcfg(rig, 0, DSA_WQ_SIZE), 128);
			assert_int_equal(wqcfg(rig, 0, DSA_WQ_MODE), 0);
			assert_int_equal(wqcfg(rig, 0, DSA_WQ_OPERATIONS), (u32)KNOWN);
		}
		rig->allocated = 0;
	}
	dsa_driver_start(rig);
	assert_int_equal(dsa_driver_run(rig, &(struct dsa_descriptor){.flags = 0xc, .record = 0}).status, DSA_SUCCESS);
}

TEST(dsa, disabled_queues_take_nothing)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	dsa_driver_start(rig);
	descriptor = dsa_driver_descriptor(rig, DSA_OP_NOOP, 0, 0, 0);
	assert_int_equal(dsa_driver_command(rig, DSA_DISABLE_WQ, 1), 0);
	assert_int_equal(wqcfg(rig, 0, DSA_WQ_STATUS), 0x20000000);
	dsa_driver_submit(rig, 0, 0, &descriptor);
	assert_int_equal(dsa_driver_swerr(rig, 0),
			 DSA_SWERR_VALID | DSA_SWERR_DESCRIPTOR | DSA_SWERR_WQ | DSA_ERROR_PORTAL << 8);
	dsa_driver_submit(rig, 5, 0, &descriptor);
	assert_true(dsa_driver_swerr(rig, 0) & DSA_SWERR_OVERFLOW);
	assert_false(dsa_driver_enqueue(rig, 5, 0, &descriptor));
	dsa_driver_clear_swerr(rig);
	dsa_driver_submit(rig, 5, 0, &descriptor);
	assert_int_equal(dsa_driver_swerr(rig, 0) >> 16 & 0xff, 5);
	assert_int_equal(dsa_driver_command(rig, DSA_ENABLE_WQ, 0), 0);
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_SUCCESS);
}

/* ---- the world outside ---- */

TEST(dsa, losing_the_bus_halts_it)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	rig_interrupts(rig, PCI_IRQ_MSIX, 9);
	dsa_driver_start(rig);
	store(rig, DSA_GENCTRL, 4, 3);
	descriptor = slow(rig);
	for (unsigned n = 0; n < 10; n++)
		dsa_driver_submit(rig, 0, 0, &descriptor);
	rig_set_command(rig, PCI_COMMAND_MEMORY);
	assert_int_equal(load(rig, DSA_GENSTS, 4), DSA_HALTED | 1 << 2);
	assert_int_equal(load(rig, DSA_INTCAUSE, 4), DSA_INTC_HALT | DSA_INTC_ERROR);
	assert_true(rig_await_signal(rig, 0));
	assert_int_equal(dsa_driver_swerr(rig, 0), DSA_SWERR_VALID | DSA_ERROR_BUS_MASTER << 8);
	rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(dsa_driver_command(rig, DSA_RESET_DEVICE, 0), DSA_CMD_HARDWARE);
	assert_int_equal(device_state(rig), DSA_HALTED);
	rig_reset_function(rig);
	assert_int_equal(load(rig, DSA_GENSTS, 4), DSA_DISABLED);
	assert_int_equal(dsa_driver_swerr(rig, 0), 0);
	rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	dsa_driver_start(rig);
	assert_int_equal(dsa_driver_run(rig, &descriptor).status, DSA_SUCCESS);
}

TEST(dsa, works_for_one_program_after_the_other)
{
	struct model_rig *rig = *state;

	for (unsigned i = 0; i < 20; i++) {
		struct dsa_descriptor descriptor;

		rig->allocated = 0;
		dsa_driver_start(rig);
		descriptor = slow(rig);
		for (unsigned n = 0; n < 50; n++)
			dsa_driver_submit(rig, 0, 0, &descriptor);
		if (i % 2)
			dsa_driver_await(rig, &descriptor);
		rig_close(rig);
		rig_reset_function(rig);
		assert_int_equal(wqcfg(rig, 0, DSA_WQ_SIZE), 0);
		rig_open(rig);
		rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
}

TEST(dsa, nonsense_is_survived)
{
	struct model_rig *rig = *state;
	u64 random = 99;

	for (unsigned i = 0; i < 30000; i++) {
		unsigned width;
		u8 data[64];

		for (unsigned n = 0; n < 8; n++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			put_u64(data + 8 * n, random >> 7);
		}
		width = 1u << (random >> 20) % 7;
		if (random >> 60 == 0)
			dsa_driver_start(rig);
		else if (random >> 60 < 6)
			rig_access(rig, random >> 50 & 3 ? PCI_ACCESS_STORE : PCI_ACCESS_ENQUEUE, 2,
				   align_down(random >> 8 & 0x1ffff, 64), data, 64);
		else if (random >> 60 < 9)
			rig_load(rig, 0, align_down(random >> 8 & 0x7ff, 8), 8);
		else
			rig_access(rig, PCI_ACCESS_STORE, 0, align_down(random >> 8 & 0x7ff, width), data, width);
		/* Descriptors that are almost right. */
		if (random >> 60 == 3) {
			data[3] &= 0xf;
			put_u32(data, 0);
			data[7] &= 0x1f;
			put_u16(data + 4, get_u16(data + 4) & 0xc);
			memset(data + 8, 0, 8);
			put_u32(data + 16, get_u32(data + 16) & 0xffffff);
			memset(data + 20, 0, 4);
			put_u32(data + 24, get_u32(data + 24) & 0xffffff);
			memset(data + 28, 0, 4);
			put_u32(data + 32, get_u32(data + 32) & 0xfffff);
			memset(data + 36, 0, 4);
			rig_access(rig, PCI_ACCESS_STORE, 2, 0, data, 64);
		}
	}
	dsa_driver_command(rig, DSA_ABORT_ALL, 0);
	dsa_driver_start(rig);
	assert_int_equal(dsa_driver_run(rig, &(struct dsa_descriptor){.flags = 0xc}).status, DSA_SUCCESS);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(dsa_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CASE(capabilities_are_those_of_sapphire_rapids),
		TEST_CASE(pages_are_precise_but_for_the_vector_table),
		TEST_CASE(constant_registers_are_constant),
		TEST_CASE(tables_can_be_written_while_that_is_safe),
		TEST_CASE(tables_take_stores_of_any_width),
		TEST_CASE(enabling_checks_the_configuration),
		TEST_CASE(enabling_a_queue_checks_it),
		TEST_CASE(limits_follow_the_options),
		TEST_CASE(commands_that_are_none_are_refused),
		TEST_CASE(a_finished_command_interrupts_when_asked),
		TEST_CASE(drains_wait_for_what_was_there),
		TEST_CASE(a_command_while_one_is_active_is_an_error),
		TEST_CASE(aborts_end_what_is_queued_and_in_work),
		TEST_CASE(disabled_queues_take_nothing),
		TEST_CASE(losing_the_bus_halts_it),
		TEST_CASE(works_for_one_program_after_the_other),
		TEST_CASE(nonsense_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
