/* SPDX-License-Identifier: MIT */
/* The controller's life: registers, enabling, resets, shutdown, its thread. */
#include "tests/fixtures/nvme_driver.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "base/os.h"

static int set_up(void **state)
{
	*state = nvme_driver_new(NULL);
	return 0;
}

static int tear_down(void **state)
{
	nvme_driver_free(*state);
	return 0;
}

static const struct nvme_command identify = {.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1};

TEST(ctrl, capabilities_are_what_drivers_need)
{
	struct nvme_driver *driver = *state;
	u64 cap = driver_load(driver, NVME_REG_CAP) | (u64)driver_load(driver, NVME_REG_CAP + 4) << 32;

	assert_true((cap & 0xffff) >= 1023);   /* MQES */
	assert_true(cap & BIT(16));	       /* CQR */
	assert_int_equal(cap >> 17 & 3, 0);    /* AMS */
	assert_true((cap >> 24 & 0xff) >= 20); /* TO */
	assert_int_equal(cap >> 32 & 0xf, 0);  /* DSTRD */
	assert_int_equal(cap >> 37 & 0xff, 1); /* CSS: the NVM command set alone */
	assert_int_equal(cap >> 48 & 0xf, 0);  /* MPSMIN */
	assert_true((cap >> 52 & 0xf) >= 1);   /* MPSMAX */
	assert_int_equal(cap >> 56, 0);	       /* PMRS, CMBS */
	assert_int_equal(driver_load(driver, NVME_REG_VS), 0x00010400);
	assert_int_equal(driver_load(driver, NVME_REG_CSTS), 0);
	assert_int_equal(driver_load(driver, NVME_REG_CC), 0);
}

TEST(ctrl, enables_answers_and_disables_many_times)
{
	struct nvme_driver *driver = *state;

	for (unsigned i = 0; i < 20; i++) {
		u64 mark = driver->allocated;
		struct nvme_command command = identify;

		driver_enable(driver, i % 2 ? 2 : ADMIN_ENTRIES);
		command.prp1 = driver_alloc(driver, PAGE_SIZE);
		for (unsigned n = 0; n < 5; n++)
			assert_int_equal(driver_command(driver, 0, command, NULL), NVME_SUCCESS);
		driver_disable(driver);
		driver->allocated = mark;
	}
}

TEST(ctrl, iova_zero_is_an_address)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = identify;

	driver_alloc(driver, PAGE_SIZE);
	driver_enable(driver, ADMIN_ENTRIES);
	command.prp1 = 0;
	assert_int_equal(driver_command(driver, 0, command, NULL), NVME_SUCCESS);
	assert_memory_equal(driver->memory + 24, "isolde", 6);
}

TEST(ctrl, scribbled_registers_are_restored)
{
	static const unsigned read_only[] = {NVME_REG_CAP,  NVME_REG_CAP + 4, NVME_REG_VS,	  NVME_REG_CSTS,
					     NVME_REG_NSSR, NVME_REG_CMBLOC,  NVME_REG_CMBLOC + 4};
	struct nvme_driver *driver = *state;
	struct nvme_command command = identify;

	driver_enable(driver, ADMIN_ENTRIES);
	for (unsigned i = 0; i < ARRAY_SIZE(read_only); i++) {
		u32 before = driver_load(driver, read_only[i]);

		driver_store(driver, read_only[i], 0xdeadbeef);
		assert_true(driver_await(driver, read_only[i], ~0u, before));
	}
	/* What was latched at enabling is ours; scribbling it now changes nothing. */
	driver_store(driver, NVME_REG_ASQ, 0xfffff000);
	driver_store(driver, NVME_REG_ACQ, 0xfffff000);
	driver_store(driver, NVME_REG_AQA, 0);
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	assert_int_equal(driver_command(driver, 0, command, NULL), NVME_SUCCESS);
}

static void expect_dead(struct nvme_driver *driver, u32 aqa, u32 cc)
{
	driver_store(driver, NVME_REG_AQA, aqa);
	driver_store(driver, NVME_REG_CC, cc);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0x3, NVME_CSTS_CFS));
	driver_store(driver, NVME_REG_CC, 0);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0xf, 0));
}

TEST(ctrl, impossible_configurations_are_fatal_and_curable)
{
	struct nvme_driver *driver = *state;

	expect_dead(driver, 0x001f0000, 0x00460001); /* a submission queue of one entry */
	expect_dead(driver, 0x0000001f, 0x00460001); /* a completion queue of one entry */
	expect_dead(driver, 0x001f001f, 0x00460781); /* 128 MiB pages */
	expect_dead(driver, 0x001f001f, 0x00460061); /* CSS 6: I/O command sets */
	expect_dead(driver, 0x001f001f, 0x00460801); /* weighted round robin */
	driver_enable(driver, ADMIN_ENTRIES);
}

TEST(ctrl, queues_in_memory_nobody_mapped_are_fatal)
{
	struct nvme_driver *driver = *state;

	driver_store(driver, NVME_REG_AQA, 0x001f001f);
	driver_store(driver, NVME_REG_ASQ, NVME_UNMAPPED);
	driver_store(driver, NVME_REG_ACQ, NVME_UNMAPPED + 0x1000);
	driver_store(driver, NVME_REG_CC, 0x00460001);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0x3, NVME_CSTS_RDY));
	driver_store(driver, NVME_DOORBELLS, 1);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0x3, NVME_CSTS_RDY | NVME_CSTS_CFS));
	assert_int_equal(driver_faults(driver), 1);
	assert_int_equal(driver_last_fault(driver).iova, NVME_UNMAPPED);
	assert_int_equal(driver_last_fault(driver).direction, DMA_READ);
	driver_disable(driver);
	driver_enable(driver, ADMIN_ENTRIES);
}

TEST(ctrl, completion_queue_that_vanishes_is_fatal)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = identify;

	driver_store(driver, NVME_REG_AQA, 0x001f001f);
	driver->queues[0] = (struct driver_queue){.size = 32, .sq = driver_alloc(driver, 4096), .phase = 1};
	driver_store(driver, NVME_REG_ASQ, (u32)driver->queues[0].sq);
	driver_store(driver, NVME_REG_ACQ, NVME_UNMAPPED);
	driver_store(driver, NVME_REG_CC, 0x00460001);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0x3, NVME_CSTS_RDY));
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	driver_push(driver, 0, command);
	driver_ring(driver, 0);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0x3, NVME_CSTS_RDY | NVME_CSTS_CFS));
	assert_int_equal(driver_faults(driver), 1);
	assert_int_equal(driver_last_fault(driver).direction, DMA_WRITE);
}

TEST(ctrl, shutdown_is_acknowledged_and_stops_the_queues)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;
	struct nvme_command command = identify;

	driver_enable(driver, ADMIN_ENTRIES);
	driver_store(driver, NVME_REG_CC, 0x00464001);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0xf, NVME_CSTS_RDY | NVME_CSTS_SHST_DONE));
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	driver_push(driver, 0, command);
	driver_ring(driver, 0);
	assert_false(driver_try_pop(driver, 0, 20, &completion));
	driver_store(driver, NVME_REG_CC, 0x00460000);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0xf, 0));
	driver_enable(driver, ADMIN_ENTRIES);
	/* Disabling and asking for a shutdown in one store, as Linux does. */
	driver_store(driver, NVME_REG_CC, 0x00468000);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0xf, NVME_CSTS_SHST_DONE));
}

TEST(ctrl, function_reset_brings_power_on_values_and_silence)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;
	struct nvme_command command = identify;
	struct dma_counters before, after;

	driver_enable(driver, ADMIN_ENTRIES);
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	for (unsigned i = 0; i < 20; i++)
		driver_push(driver, 0, command);
	driver_ring(driver, 0);
	driver_reset_function(driver);
	before = dma_port_counters(driver->device->port);
	for (unsigned offset = NVME_REG_INTMS; offset < 0x60; offset += 4)
		assert_int_equal(driver_load(driver, offset), 0);
	assert_int_equal(driver_load(driver, NVME_DOORBELLS), 0);
	assert_int_equal(driver_load(driver, NVME_REG_VS), 0x00010400);
	/* Whatever the old queues' doorbells say now means nothing. */
	driver_ring(driver, 0);
	while (driver_try_pop(driver, 0, 20, &completion))
		;
	after = dma_port_counters(driver->device->port);
	assert_int_equal(after.bytes_read, before.bytes_read);
	assert_int_equal(after.bytes_written, before.bytes_written);
	driver_enable(driver, ADMIN_ENTRIES);
	assert_int_equal(driver_command(driver, 0, command, NULL), NVME_SUCCESS);
}

TEST(ctrl, resets_in_the_middle_of_io_never_hurt)
{
	struct nvme_driver *driver = *state;
	u64 mark = driver->allocated;

	for (unsigned i = 0; i < 30; i++) {
		driver->allocated = mark;
		driver_enable(driver, ADMIN_ENTRIES);
		driver_create_queues(driver, 1, 64, -1);
		for (unsigned n = 0; n < 60; n++) {
			struct nvme_command command = driver_io(NVME_IO_READ, n, 8);

			command.prp1 = 0x800000;
			driver_push(driver, 1, command);
		}
		driver_ring(driver, 1);
		if (i % 3 == 0)
			driver_reset_function(driver);
		else if (i % 3 == 1)
			driver_disable(driver);
		else
			driver_close(driver), driver_open(driver), driver_reset_function(driver);
	}
}

TEST(ctrl, nothing_moves_without_bus_mastering)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;
	struct nvme_command command = identify;

	driver_enable(driver, ADMIN_ENTRIES);
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	driver_set_command(driver, PCI_COMMAND_MEMORY);
	driver_push(driver, 0, command);
	driver_ring(driver, 0);
	assert_false(driver_try_pop(driver, 0, 20, &completion));
	assert_int_equal(driver_load(driver, NVME_REG_CSTS), NVME_CSTS_RDY);
	/* What waited goes on as soon as it may. */
	driver_set_command(driver, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(STATUS(driver_pop(driver, 0)), NVME_SUCCESS);
	assert_int_equal(driver_faults(driver), 0);
}

TEST(ctrl, register_page_may_move_under_a_live_controller)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = identify;

	driver_enable(driver, ADMIN_ENTRIES);
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	for (unsigned i = 0; i < 10; i++) {
		driver_move_bar(driver);
		assert_int_equal(driver_load(driver, NVME_REG_CSTS), NVME_CSTS_RDY);
		assert_int_equal(driver_command(driver, 0, command, NULL), NVME_SUCCESS);
	}
}

TEST(ctrl, bar_written_is_answered_at_once_without_a_thread)
{
	struct nvme_driver *driver = *state;

	driver_close(driver);
	driver_store(driver, NVME_REG_AQA, 0x001f001f);
	driver_store(driver, NVME_REG_CC, 0x00460001);
	mutex_lock(&driver->machine);
	driver->function.ops->bar_written(&driver->function, 4, 0, 4); /* the MSI-X table: nothing to do with us */
	assert_int_equal(driver_load(driver, NVME_REG_CSTS), 0);
	driver->function.ops->bar_written(&driver->function, 0, NVME_REG_CC, 4);
	assert_int_equal(driver_load(driver, NVME_REG_CSTS), NVME_CSTS_RDY);
	mutex_unlock(&driver->machine);
	driver_open(driver);
}

TEST(ctrl, without_a_thread_the_controller_says_it_is_dead)
{
	struct nvme_driver *driver = *state;

	for (unsigned step = 1; step <= 2; step++) {
		driver_close(driver);
		fail_nth_arm(step);
		driver_open(driver);
		assert_true(fail_nth_fired());
		fail_nth_arm(0);
		assert_int_equal(driver_load(driver, NVME_REG_CSTS), NVME_CSTS_CFS);
		driver_reset_function(driver);
		assert_int_equal(driver_load(driver, NVME_REG_CSTS), NVME_CSTS_CFS);
		driver_store(driver, NVME_REG_AQA, 0x001f001f);
		driver_store(driver, NVME_REG_CC, 0x00460001);
		mutex_lock(&driver->machine);
		driver->function.ops->bar_written(&driver->function, 0, NVME_REG_CC, 4);
		mutex_unlock(&driver->machine);
		assert_int_equal(driver_load(driver, NVME_REG_CSTS), NVME_CSTS_CFS);
		driver_reset_function(driver);
	}
	driver_close(driver);
	driver_open(driver);
	assert_int_equal(driver_load(driver, NVME_REG_CSTS), 0);
	driver_enable(driver, ADMIN_ENTRIES);
}

/* Times this process gave up the processor of its own accord: a wake-up each. */
static u64 wakeups(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (u64)usage.ru_nvcsw;
}

/*
 * Every two milliseconds, and twice that is allowed. Counted, not timed: what a wake-up costs is the host's affair, and
 * a busy host only makes fewer of them.
 */
TEST(ctrl, an_idle_controller_wakes_up_seldom)
{
	struct nvme_driver *driver = *state;
	u64 before, since, woken, wall;

	driver_enable(driver, ADMIN_ENTRIES);
	driver_create_queues(driver, 1, 64, 1);
	os_sleep_ns(600000000);
	before = wakeups();
	since = os_clock_ns();
	os_sleep_ns(1000000000);
	woken = wakeups() - before;
	wall = os_clock_ns() - since;
	print_message("idle: %" PRIu64 " wake-ups in %" PRIu64 " ms\n", woken, wall / 1000000);
	assert_true(woken < wall / 1000000 + 100);
}

/* How soon is the host's affair as well, and only told. */
TEST(ctrl, an_idle_controller_sees_what_is_asked)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = identify;
	u64 best = UINT64_MAX;

	driver_enable(driver, ADMIN_ENTRIES);
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	os_sleep_ns(600000000);
	for (unsigned i = 0; i < 5; i++) {
		u64 start;

		os_sleep_ns(50000000);
		start = os_clock_ns();
		assert_int_equal(driver_command(driver, 0, command, NULL), NVME_SUCCESS);
		best = min_u64(best, os_clock_ns() - start);
	}
	print_message("first answer: %.2f ms\n", (double)best / 1e6);
}

#define CTRL_CASE(name) cmocka_unit_test_setup_teardown(ctrl_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CTRL_CASE(capabilities_are_what_drivers_need),
		CTRL_CASE(enables_answers_and_disables_many_times),
		CTRL_CASE(iova_zero_is_an_address),
		CTRL_CASE(scribbled_registers_are_restored),
		CTRL_CASE(impossible_configurations_are_fatal_and_curable),
		CTRL_CASE(queues_in_memory_nobody_mapped_are_fatal),
		CTRL_CASE(completion_queue_that_vanishes_is_fatal),
		CTRL_CASE(shutdown_is_acknowledged_and_stops_the_queues),
		CTRL_CASE(function_reset_brings_power_on_values_and_silence),
		CTRL_CASE(resets_in_the_middle_of_io_never_hurt),
		CTRL_CASE(nothing_moves_without_bus_mastering),
		CTRL_CASE(register_page_may_move_under_a_live_controller),
		CTRL_CASE(bar_written_is_answered_at_once_without_a_thread),
		CTRL_CASE(without_a_thread_the_controller_says_it_is_dead),
		CTRL_CASE(an_idle_controller_wakes_up_seldom),
		CTRL_CASE(an_idle_controller_sees_what_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
