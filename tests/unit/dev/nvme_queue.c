/* SPDX-License-Identifier: MIT */
/* Queues under stress: wrapping, full, shared, deleted, garbage; interrupts of both kinds. */
#include "tests/fixtures/nvme_driver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/os.h"
#include "tests/fixtures/patience.h"

static int set_up(void **state)
{
	struct nvme_driver *driver = nvme_driver_new(NULL);

	driver_enable(driver, ADMIN_ENTRIES);
	*state = driver;
	return 0;
}

static int tear_down(void **state)
{
	nvme_driver_free(*state);
	return 0;
}

static const struct nvme_command flush = {.opcode = NVME_IO_FLUSH, .nsid = 1};

TEST(queue, wraps_around_many_times_at_every_size)
{
	static const unsigned sizes[] = {2, 3, 7, 64, 4096};
	struct nvme_driver *driver = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		driver_create_queues(driver, i + 1, sizes[i], -1);
		for (unsigned n = 0; n < 3 * min_u64(sizes[i], 100); n++)
			assert_int_equal(driver_command(driver, i + 1, flush, NULL), NVME_SUCCESS);
	}
}

TEST(queue, deep_batches_complete_in_order)
{
	struct nvme_driver *driver = *state;

	driver_create_queues(driver, 1, 100, -1);
	for (unsigned round = 0; round < 20; round++) {
		u16 cids[99];

		for (unsigned i = 0; i < 99; i++)
			cids[i] = driver_push(driver, 1, flush);
		driver_ring(driver, 1);
		for (unsigned i = 0; i < 99; i++) {
			struct nvme_completion completion = driver_pop(driver, 1);

			assert_int_equal(completion.cid, cids[i]);
			assert_int_equal(STATUS(completion), NVME_SUCCESS);
		}
		driver_release(driver, 1);
	}
}

/* A submission queue of 64 that completes into a queue of 8. */
static void make_lopsided(struct nvme_driver *driver)
{
	struct driver_queue *queue = &driver->queues[2];
	struct nvme_command cq = {.opcode = NVME_ADMIN_CREATE_CQ, .cdw10 = 7 << 16 | 2, .cdw11 = 1};
	struct nvme_command sq = {.opcode = NVME_ADMIN_CREATE_SQ, .cdw10 = 63 << 16 | 2, .cdw11 = 2 << 16 | 1};

	cq.prp1 = driver_alloc(driver, PAGE_SIZE);
	sq.prp1 = driver_alloc(driver, PAGE_SIZE);
	assert_int_equal(driver_command(driver, 0, cq, NULL), NVME_SUCCESS);
	assert_int_equal(driver_command(driver, 0, sq, NULL), NVME_SUCCESS);
	*queue = (struct driver_queue){.id = 2, .size = 64, .sq = sq.prp1, .cq = cq.prp1, .phase = 1};
}

TEST(queue, full_completion_queue_is_never_overwritten)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;
	u16 first;

	make_lopsided(driver);
	first = driver_push(driver, 2, flush);
	for (unsigned i = 1; i < 40; i++)
		driver_push(driver, 2, flush);
	driver_ring(driver, 2);
	driver->queues[2].size = 8; /* from here on we count completions */
	os_sleep_ns(20000000);
	for (unsigned i = 0; i < 40; i++) {
		completion = driver_pop(driver, 2);
		assert_int_equal(completion.cid, (u16)(first + i));
		if (i == 6) {
			/* Seven unread entries fill a queue of eight; the eighth is untouched. */
			assert_int_equal(get_u64(driver->memory + driver->queues[2].cq + 7 * 16 + 8), 0);
			assert_false(driver_try_pop(driver, 2, 20, &completion));
		}
		if (i % 7 == 6 || i > 35)
			driver_release(driver, 2);
	}
	assert_int_equal(driver_command(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT}, NULL),
			 NVME_SUCCESS);
}

TEST(queue, full_admin_queue_waits_for_the_reader)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;

	driver_disable(driver);
	driver_enable(driver, 4);
	for (unsigned i = 0; i < 3; i++)
		driver_push(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT});
	driver_ring(driver, 0);
	for (unsigned i = 0; i < 3; i++)
		driver_pop(driver, 0);
	driver_push(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT});
	driver_ring(driver, 0);
	assert_false(driver_try_pop(driver, 0, 20, &completion));
	driver_release(driver, 0);
	driver_pop(driver, 0);
}

TEST(queue, abort_without_room_for_two_aborts_nothing)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;
	u64 before;
	u16 cid;

	driver_disable(driver);
	driver_enable(driver, 2); /* room for one completion */
	before = dma_port_counters(driver->device->port).bytes_read;
	cid = driver_push(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ASYNC_EVENT});
	driver_ring(driver, 0);
	/* There is room for one command as well: the next one is pushed when this one has been fetched. */
	for (u64 start = os_clock_ns(); dma_port_counters(driver->device->port).bytes_read == before; os_yield())
		assert_true(os_clock_ns() - start < PATIENCE_NS);
	driver_push(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT, .cdw10 = (u32)cid << 16});
	driver_ring(driver, 0);
	completion = driver_pop(driver, 0);
	assert_int_equal(completion.result, 1);
	assert_int_not_equal(completion.cid, cid);
}

TEST(queue, many_queues_share_one_completion_queue)
{
	struct nvme_driver *driver = *state;
	unsigned seen[4] = {0};

	driver_create_queues(driver, 1, 256, -1);
	for (unsigned id = 2; id <= 4; id++) {
		struct nvme_command sq = {.opcode = NVME_ADMIN_CREATE_SQ, .cdw10 = 63 << 16 | id, .cdw11 = 1 << 16 | 1};

		sq.prp1 = driver_alloc(driver, PAGE_SIZE);
		assert_int_equal(driver_command(driver, 0, sq, NULL), NVME_SUCCESS);
		driver->queues[id] = (struct driver_queue){.id = id, .size = 64, .sq = sq.prp1};
	}
	for (unsigned i = 0; i < 150; i++)
		driver_push(driver, 2 + i % 3, flush);
	for (unsigned id = 2; id <= 4; id++)
		driver_ring(driver, id);
	for (unsigned i = 0; i < 150; i++) {
		struct nvme_completion completion = driver_pop(driver, 1);

		assert_in_range(completion.sq_id, 2, 4);
		seen[completion.sq_id - 2]++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(seen[i], 50);
}

TEST(queue, all_of_them_work_at_once)
{
	struct nvme_driver *driver = *state;

	for (unsigned id = 1; id <= 32; id++)
		driver_create_queues(driver, id, 16, -1);
	for (unsigned id = 1; id <= 32; id++) {
		for (unsigned i = 0; i < 15; i++)
			driver_push(driver, id, flush);
		driver_ring(driver, id);
	}
	for (unsigned id = 1; id <= 32; id++)
		for (unsigned i = 0; i < 15; i++)
			assert_int_equal(driver_pop(driver, id).sq_id, id);
}

TEST(queue, deleted_queue_is_silent_and_its_doorbell_means_nothing)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;

	driver_create_queues(driver, 1, 16, -1);
	assert_int_equal(driver_command(driver, 1, flush, NULL), NVME_SUCCESS);
	assert_int_equal(
		driver_command(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_DELETE_SQ, .cdw10 = 1}, NULL),
		NVME_SUCCESS);
	driver_push(driver, 1, flush);
	driver_ring(driver, 1);
	assert_false(driver_try_pop(driver, 1, 20, &completion));
	assert_int_equal(
		driver_command(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_DELETE_CQ, .cdw10 = 1}, NULL),
		NVME_SUCCESS);
	/* Made anew, it begins at 0 whatever the old doorbells say. */
	driver_create_queues(driver, 1, 16, -1);
	assert_int_equal(driver_command(driver, 1, flush, NULL), NVME_SUCCESS);
}

TEST(queue, wild_doorbells_are_ignored)
{
	static const u32 values[] = {16, 17, 0xffff, 0x10000, 0x80000000, 0xffffffff};
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;

	driver_create_queues(driver, 1, 16, -1);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		driver_store(driver, NVME_DOORBELLS + 8, values[i]);
		driver_store(driver, NVME_DOORBELLS + 12, values[i]);
		os_sleep_ns(2000000);
	}
	driver_store(driver, NVME_DOORBELLS + 12, 5); /* entries that were never written */
	assert_false(driver_try_pop(driver, 1, 10, &completion));
	driver_store(driver, NVME_DOORBELLS + 12, 0);
	assert_int_equal(driver_command(driver, 1, flush, NULL), NVME_SUCCESS);
	assert_int_equal(driver_load(driver, NVME_REG_CSTS), NVME_CSTS_RDY);
}

static void fill_garbage(u8 *bytes, size_t size, u32 *seed)
{
	for (size_t i = 0; i < size; i++) {
		*seed = *seed * 1664525 + 1013904223;
		bytes[i] = (u8)(*seed >> 24);
	}
}

/* Garbage that gets past the first checks often enough: small numbers in the fields that are looked at first. */
static struct nvme_command garbage_command(u32 *seed, unsigned queue)
{
	struct nvme_command command;

	fill_garbage((u8 *)&command, sizeof(command), seed);
	command.opcode &= 0x0f;
	command.flags &= *seed & 0x10000000 ? 0 : 0xff;
	if (*seed & 0x20000000)
		command.nsid = 1;
	if (*seed & 0x40000000) {
		command.prp1 &= 0x1fffffc;
		command.prp2 &= 0x1ffffff8;
		command.cdw10 &= queue ? 0x1ffff : 0x3f00ff;
		command.cdw11 &= queue ? 0 : 0xff0003;
		command.cdw12 &= 0xfff;
	}
	/* Event requests do not complete. */
	if (!queue && command.opcode == NVME_ADMIN_ASYNC_EVENT)
		command.opcode = 0x7f;
	return command;
}

/*
 * The arena may be written by any command, the queues too; so the completions are only counted, and a controller that
 * declared itself dead is enabled again.
 */
static void feed_garbage(struct nvme_driver *driver, unsigned queue, unsigned count, u32 seed)
{
	struct nvme_completion completion;

	for (unsigned i = 0; i < count; i += 16) {
		for (unsigned n = 0; n < 16; n++)
			driver_push(driver, queue, garbage_command(&seed, queue));
		driver_ring(driver, queue);
		for (unsigned n = 0; n < 16; n++)
			if (!driver_try_pop(driver, queue, 50, &completion))
				break;
		driver_release(driver, queue);
		if (driver_load(driver, NVME_REG_CSTS) == NVME_CSTS_RDY &&
		    driver->queues[queue].head == driver->queues[queue].tail)
			continue;
		driver_disable(driver);
		driver->allocated = 0;
		driver_enable(driver, ADMIN_ENTRIES);
		driver_create_queues(driver, 1, 32, -1);
	}
}

TEST(queue, ten_thousand_garbage_commands_do_no_harm)
{
	struct nvme_driver *driver = *state;
	struct nvme_command identify = {.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1};

	driver_create_queues(driver, 1, 32, -1);
	feed_garbage(driver, 1, 6000, 11);
	feed_garbage(driver, 0, 4000, 12);
	driver_disable(driver);
	driver->allocated = 0;
	driver_enable(driver, ADMIN_ENTRIES);
	identify.prp1 = driver_alloc(driver, PAGE_SIZE);
	assert_int_equal(driver_command(driver, 0, identify, NULL), NVME_SUCCESS);
}

TEST(queue, garbage_in_every_register_does_no_harm)
{
	struct nvme_driver *driver = *state;
	u32 seed = 5;

	for (unsigned i = 0; i < 3000; i++) {
		u32 value;

		fill_garbage((u8 *)&value, sizeof(value), &seed);
		driver_store(driver, (seed >> 4) % 0x1100 & ~3u, value);
		if (i % 100 == 0)
			os_sleep_ns(100000);
	}
	driver_reset_function(driver);
	driver->allocated = 0;
	driver_enable(driver, ADMIN_ENTRIES);
}

static bool signalled(int fd, unsigned ms, u64 *ret_count)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	*ret_count = 0;
	if (poll(&wait, 1, (int)ms) != 1)
		return false;
	return read(fd, ret_count, sizeof(*ret_count)) == sizeof(*ret_count);
}

/* The interrupt controller's side: vectors 0 to n - 1 with eventfds of which we keep copies. */
static void listen_interrupts(struct nvme_driver *driver, enum pci_irq_mode mode, unsigned n, int *fds)
{
	struct why why = WHY_INIT;

	mutex_lock(&driver->machine);
	ASSERT_OK(why, pci_irq_enable(&driver->function.irq, mode, n, &why));
	for (unsigned i = 0; i < n; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK);
		pci_irq_set_vector(&driver->function.irq, i, dup(fds[i]));
	}
	mutex_unlock(&driver->machine);
}

static void listen_no_more(struct nvme_driver *driver, unsigned n, const int *fds)
{
	mutex_lock(&driver->machine);
	pci_irq_disable(&driver->function.irq);
	mutex_unlock(&driver->machine);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

TEST(queue, vectors_enabled_after_the_controller_are_used)
{
	struct nvme_driver *driver = *state;
	int fds[3];
	u64 count;

	/* The queue exists before anybody listens, as with QEMU. */
	driver_create_queues(driver, 1, 64, 2);
	listen_interrupts(driver, PCI_IRQ_MSIX, 3, fds);
	assert_int_equal(driver_command(driver, 1, flush, NULL), NVME_SUCCESS);
	assert_true(signalled(fds[2], PATIENCE_MS, &count));
	assert_int_equal(count, 1);
	assert_false(signalled(fds[0], 0, &count));
	assert_false(signalled(fds[1], 0, &count));
	driver_command(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT}, NULL);
	assert_true(signalled(fds[0], PATIENCE_MS, &count)); /* the admin queue's */
	listen_no_more(driver, 3, fds);
}

TEST(queue, one_message_serves_a_batch)
{
	struct nvme_driver *driver = *state;
	u64 count, total = 0;
	int fds[2];

	driver_create_queues(driver, 1, 64, 1);
	listen_interrupts(driver, PCI_IRQ_MSIX, 2, fds);
	for (unsigned i = 0; i < 32; i++)
		driver_push(driver, 1, flush);
	driver_ring(driver, 1);
	for (unsigned i = 0; i < 32; i++)
		driver_pop(driver, 1);
	driver_release(driver, 1);
	/* It is sent after the entries it is about. */
	for (unsigned ms = PATIENCE_MS; signalled(fds[1], ms, &count); ms = 20)
		total += count;
	assert_in_range(total, 1, 4);
	listen_no_more(driver, 2, fds);
}

TEST(queue, polled_queue_sends_no_message)
{
	struct nvme_driver *driver = *state;
	int fds[1];
	u64 count;

	driver_create_queues(driver, 1, 64, -1);
	listen_interrupts(driver, PCI_IRQ_MSIX, 1, fds);
	assert_int_equal(driver_command(driver, 1, flush, NULL), NVME_SUCCESS);
	assert_false(signalled(fds[0], 10, &count));
	listen_no_more(driver, 1, fds);
}

static void unmask(struct nvme_driver *driver)
{
	mutex_lock(&driver->machine);
	pci_irq_unmask_intx(&driver->function.irq);
	mutex_unlock(&driver->machine);
}

TEST(queue, intx_is_a_level_until_the_entries_are_read)
{
	struct nvme_driver *driver = *state;
	int fds[1];
	u64 count;

	listen_interrupts(driver, PCI_IRQ_INTX, 1, fds);
	driver_push(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT});
	driver_ring(driver, 0);
	driver_pop(driver, 0);
	assert_true(signalled(fds[0], PATIENCE_MS, &count));
	assert_false(signalled(fds[0], 5, &count)); /* masked by its delivery */
	unmask(driver);
	assert_true(signalled(fds[0], PATIENCE_MS, &count)); /* the entry is still unread */
	driver_release(driver, 0);
	for (u64 start = os_clock_ns(); pci_irq_asserted(&driver->function.irq); os_yield())
		assert_true(os_clock_ns() - start < PATIENCE_NS);
	unmask(driver);
	assert_false(signalled(fds[0], 10, &count));
	listen_no_more(driver, 1, fds);
}

TEST(queue, intms_and_intmc_hold_the_line)
{
	struct nvme_driver *driver = *state;
	int fds[1];
	u64 count;

	listen_interrupts(driver, PCI_IRQ_INTX, 1, fds);
	driver_store(driver, NVME_REG_INTMS, 0x5);
	driver_store(driver, NVME_REG_INTMS, 0x1);
	assert_true(driver_await(driver, NVME_REG_INTMS, ~4u, 0x1));
	driver_push(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT});
	driver_ring(driver, 0);
	driver_pop(driver, 0);
	assert_false(signalled(fds[0], 10, &count));
	driver_store(driver, NVME_REG_INTMC, 0x1);
	assert_true(signalled(fds[0], PATIENCE_MS, &count));
	assert_true(driver_await(driver, NVME_REG_INTMS, 1, 0));
	/* A reset takes the level away. */
	driver_reset_function(driver);
	unmask(driver);
	assert_false(signalled(fds[0], 10, &count));
	listen_no_more(driver, 1, fds);
}

TEST(queue, unmapping_under_io_faults_and_mapping_again_heals)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;

	driver_create_queues(driver, 1, 64, -1);
	driver_unmap(driver);
	driver_push(driver, 1, flush);
	driver_ring(driver, 1);
	assert_true(driver_await(driver, NVME_REG_CSTS, 3, NVME_CSTS_RDY | NVME_CSTS_CFS));
	assert_true(driver_faults(driver) > 0);
	assert_false(driver_try_pop(driver, 1, 5, &completion));
	driver_map(driver);
	driver_disable(driver);
	driver_enable(driver, ADMIN_ENTRIES);
	driver_create_queues(driver, 1, 64, -1);
	assert_int_equal(driver_command(driver, 1, flush, NULL), NVME_SUCCESS);
}

#define QUEUE_CASE(name) cmocka_unit_test_setup_teardown(queue_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_CASE(wraps_around_many_times_at_every_size),
		QUEUE_CASE(deep_batches_complete_in_order),
		QUEUE_CASE(full_completion_queue_is_never_overwritten),
		QUEUE_CASE(full_admin_queue_waits_for_the_reader),
		QUEUE_CASE(abort_without_room_for_two_aborts_nothing),
		QUEUE_CASE(many_queues_share_one_completion_queue),
		QUEUE_CASE(all_of_them_work_at_once),
		QUEUE_CASE(deleted_queue_is_silent_and_its_doorbell_means_nothing),
		QUEUE_CASE(wild_doorbells_are_ignored),
		QUEUE_CASE(ten_thousand_garbage_commands_do_no_harm),
		QUEUE_CASE(garbage_in_every_register_does_no_harm),
		QUEUE_CASE(vectors_enabled_after_the_controller_are_used),
		QUEUE_CASE(one_message_serves_a_batch),
		QUEUE_CASE(polled_queue_sends_no_message),
		QUEUE_CASE(intx_is_a_level_until_the_entries_are_read),
		QUEUE_CASE(intms_and_intmc_hold_the_line),
		QUEUE_CASE(unmapping_under_io_faults_and_mapping_again_heals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
