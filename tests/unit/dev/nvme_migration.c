/* SPDX-License-Identifier: MIT */
#include "dev/nvme.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/fixtures/nvme_driver.h"

static const char *const movable[] = {"size", "1M", "migration", "true", NULL};

static void activity(struct nvme_driver *driver, enum pci_activity to)
{
	mutex_lock(&driver->machine);
	driver->function.migration->activity(&driver->function, to);
	mutex_unlock(&driver->machine);
}

/* A record of each kind as its own call. */
struct carried {
	u8 record[PCI_MIGRATION_RECORD];
	size_t size;
};

static void load_start(struct nvme_driver *driver)
{
	activity(driver, PCI_STOPPED);
	mutex_lock(&driver->machine);
	if (driver->function.migration->receive_start)
		driver->function.migration->receive_start(&driver->function);
	mutex_unlock(&driver->machine);
}

static int load(struct nvme_driver *driver, const u8 *record, size_t size, struct why *why)
{
	int err;

	mutex_lock(&driver->machine);
	err = driver->function.migration->load(&driver->function, record, size, why);
	mutex_unlock(&driver->machine);
	return err;
}

static int receive(struct nvme_driver *driver, const u8 *record, size_t size, struct why *why)
{
	int err;

	mutex_lock(&driver->machine);
	err = driver->function.migration->receive(&driver->function, record, size, why);
	mutex_unlock(&driver->machine);
	return err;
}

static size_t send(struct nvme_driver *driver, u8 *record)
{
	size_t size;

	mutex_lock(&driver->machine);
	size = driver->function.migration->send(&driver->function, record);
	mutex_unlock(&driver->machine);
	return size;
}

static u64 pending(struct nvme_driver *driver)
{
	u64 bytes;

	mutex_lock(&driver->machine);
	bytes = driver->function.migration->pending(&driver->function);
	mutex_unlock(&driver->machine);
	return bytes;
}

static size_t save(struct nvme_driver *driver, u8 *record)
{
	size_t size;

	mutex_lock(&driver->machine);
	size = driver->function.migration->save(&driver->function, record);
	mutex_unlock(&driver->machine);
	return size;
}

static void sending(struct nvme_driver *driver, bool on)
{
	mutex_lock(&driver->machine);
	if (on)
		driver->function.migration->send_start(&driver->function);
	else
		driver->function.migration->send_stop(&driver->function);
	mutex_unlock(&driver->machine);
}

static unsigned move_bulk(struct nvme_driver *from, struct nvme_driver *to)
{
	static u8 record[PCI_MIGRATION_RECORD];
	struct why why = WHY_INIT;
	unsigned records = 0;

	for (size_t size; (size = send(from, record)); records++)
		ASSERT_OK(why, receive(to, record, size, &why));
	return records;
}

/* The program moves too: its memory, and what it knows of its queues. */
static void move_program(const struct nvme_driver *from, struct nvme_driver *to)
{
	memcpy(to->memory, from->memory, NVME_ARENA);
	memcpy(to->queues, from->queues, sizeof(to->queues));
	to->allocated = from->allocated;
	to->next_cid = from->next_cid;
}

static void move_all(struct nvme_driver *from, struct nvme_driver *to)
{
	static u8 record[PCI_MIGRATION_RECORD];
	struct why why = WHY_INIT;

	activity(from, PCI_STOPPED);
	load_start(to);
	sending(from, true);
	move_bulk(from, to);
	ASSERT_OK(why, load(to, record, save(from, record), &why));
	sending(from, false);
	move_program(from, to);
	activity(to, PCI_ACTIVE);
}

static u16 transfer_block(struct nvme_driver *driver, u8 opcode, u64 lba, u8 *block)
{
	struct nvme_command command = driver_io(opcode, lba, 1);
	struct driver_data data = driver_data(driver, 512, 0, 0, &command);
	u16 status;

	if (opcode == NVME_IO_WRITE)
		driver_data_set(driver, &data, block);
	status = driver_command(driver, 1, command, NULL);
	if (opcode == NVME_IO_READ)
		driver_data_get(driver, &data, block);
	return status;
}

static void write_block(struct nvme_driver *driver, u64 lba, u8 pattern)
{
	u8 block[512];

	memset(block, pattern, sizeof(block));
	assert_int_equal(transfer_block(driver, NVME_IO_WRITE, lba, block), NVME_SUCCESS);
}

static void expect_block(struct nvme_driver *driver, u64 lba, u8 pattern)
{
	u8 block[512];

	assert_int_equal(transfer_block(driver, NVME_IO_READ, lba, block), NVME_SUCCESS);
	for (unsigned i = 0; i < sizeof(block); i++)
		assert_int_equal(block[i], pattern);
}

static struct nvme_driver *start(const char *const *options)
{
	struct nvme_driver *driver = nvme_driver_new(options);

	driver_enable(driver, ADMIN_ENTRIES);
	driver_create_queues(driver, 1, 16, -1);
	return driver;
}

TEST(nvme_migration, is_off_unless_said)
{
	const char *const wrong[] = {"migration", "maybe", NULL};
	struct nvme_driver *driver = nvme_driver_new(NULL);
	struct model_options options = {1, {{wrong[0], wrong[1]}}};
	struct why why = WHY_INIT;
	bool flag;

	assert_null(driver->function.migration);
	EXPECT_REFUSED(MODEL_OPTION_INVALID, why, model_flag(&nvme_model, &options, "migration", &flag, &why));
	nvme_driver_free(driver);
}

TEST(nvme_migration, a_workload_goes_on_elsewhere)
{
	struct nvme_driver *a = start(movable), *b = nvme_driver_new(movable);
	const struct nvme_command event = {.opcode = NVME_ADMIN_ASYNC_EVENT};
	struct nvme_command command = driver_io(NVME_IO_WRITE, 300, 1);
	struct driver_data data;
	struct nvme_completion completion;
	u8 block[512];
	u16 cid, event_cid;
	u32 result;

	for (unsigned i = 0; i < 20; i++)
		write_block(a, i, (u8)(i + 1));
	event_cid = driver_push(a, 0, event);
	driver_ring(a, 0);
	assert_int_equal(driver_command(a, 0,
					(struct nvme_command){.opcode = NVME_ADMIN_SET_FEATURES,
							      .cdw10 = NVME_FEATURE_ASYNC_EVENTS,
							      .cdw11 = 0x2},
					NULL),
			 NVME_SUCCESS);
	/* It answers, but does nothing any more: a command waits in its queue. */
	activity(a, PCI_PASSIVE);
	memset(block, 0x77, sizeof(block));
	data = driver_data(a, 512, 0, 0, &command);
	driver_data_set(a, &data, block);
	cid = driver_push(a, 1, command);
	driver_ring(a, 1);
	assert_false(driver_try_pop(a, 1, 20, &completion));
	move_all(a, b);
	/* The other one carries it out; all before is there, and the queues go on where they were. */
	completion = driver_pop(b, 1);
	driver_release(b, 1);
	assert_int_equal(completion.cid, cid);
	assert_int_equal(STATUS(completion), NVME_SUCCESS);
	expect_block(b, 300, 0x77);
	for (unsigned i = 0; i < 20; i++)
		expect_block(b, i, (u8)(i + 1));
	expect_block(b, 1000, 0);
	for (unsigned i = 0; i < 40; i++)
		write_block(b, 500 + i, (u8)i);
	/* Features and event requests have moved: a threshold below the temperature is reported. */
	assert_int_equal(driver_command(b, 0,
					(struct nvme_command){.opcode = NVME_ADMIN_GET_FEATURES,
							      .cdw10 = NVME_FEATURE_ASYNC_EVENTS},
					&result),
			 NVME_SUCCESS);
	assert_int_equal(result, 2);
	assert_int_equal(driver_command(b, 0,
					(struct nvme_command){.opcode = NVME_ADMIN_SET_FEATURES,
							      .cdw10 = NVME_FEATURE_TEMPERATURE,
							      .cdw11 = 100},
					NULL),
			 NVME_SUCCESS);
	completion = driver_pop(b, 0);
	assert_int_equal(completion.cid, event_cid);
	/* The one it came from can run on by itself, with the command that it still has. */
	activity(a, PCI_ACTIVE);
	assert_int_equal(driver_pop(a, 1).cid, cid);
	driver_release(a, 1);
	expect_block(a, 300, 0x77);
	nvme_driver_free(a);
	nvme_driver_free(b);
}

TEST(nvme_migration, what_was_there_before_is_gone)
{
	struct nvme_driver *a = start(movable), *b = start(movable);

	write_block(b, 0, 0xbb);
	write_block(b, 1500, 0xbb);
	write_block(a, 0, 0xaa);
	move_all(a, b);
	expect_block(b, 0, 0xaa);
	expect_block(b, 1500, 0);
	nvme_driver_free(a);
	nvme_driver_free(b);
}

/* Stopped, it answers nothing; what is stored is lost with the move, and a reset works all the same. */
TEST(nvme_migration, stopped_is_stopped)
{
	struct nvme_driver *a = start(movable);

	activity(a, PCI_PASSIVE);
	driver_disable(a);
	driver_enable(a, ADMIN_ENTRIES);
	activity(a, PCI_STOPPED);
	driver_store(a, NVME_REG_CC, 0);
	usleep(20000);
	assert_int_equal(driver_load(a, NVME_REG_CSTS), NVME_CSTS_RDY);
	driver_reset_function(a);
	assert_int_equal(driver_load(a, NVME_REG_CSTS), 0);
	activity(a, PCI_ACTIVE);
	driver_enable(a, ADMIN_ENTRIES);
	nvme_driver_free(a);
}

TEST(nvme_migration, only_what_was_written_is_sent_and_again_if_it_is_again)
{
	struct nvme_driver *a = start(movable);
	static u8 record[PCI_MIGRATION_RECORD];

	assert_int_equal(pending(a), 0);
	write_block(a, 0, 1);
	write_block(a, 5, 1);	/* the same 64 KiB */
	write_block(a, 300, 1); /* the third ones */
	assert_int_equal(pending(a), 2 * (8 + (64 << 10)));
	sending(a, true);
	assert_int_equal(send(a, record), 8 + (64 << 10));
	assert_int_equal(get_u64(record), 0);
	assert_int_equal(send(a, record), 8 + (64 << 10));
	assert_int_equal(get_u64(record), 128 << 10);
	assert_int_equal(record[8 + (300 * 512 - (128 << 10))], 1);
	assert_int_equal(send(a, record), 0);
	assert_int_equal(pending(a), 0);
	write_block(a, 6, 2);
	assert_int_equal(pending(a), 8 + (64 << 10));
	assert_int_equal(send(a, record), 8 + (64 << 10));
	/* Zeroes are written as well. */
	assert_int_equal(driver_command(a, 1, driver_io(NVME_IO_WRITE_ZEROES, 300, 1), NULL), NVME_SUCCESS);
	assert_int_equal(send(a, record), 8 + (64 << 10));
	assert_int_equal(get_u64(record), 128 << 10);
	assert_int_equal(record[8 + (300 * 512 - (128 << 10))], 0);
	sending(a, false);
	assert_int_equal(pending(a), 2 * (8 + (64 << 10)));
	nvme_driver_free(a);
}

struct writer {
	struct nvme_driver *driver;
	atomic_bool stop;
	unsigned last; /* pattern of the last round */
};

static void *keep_writing(void *argument)
{
	struct writer *writer = argument;

	for (writer->last = 0; !atomic_load(&writer->stop); writer->last++) {
		writer->driver->allocated = 4 << 20;
		for (unsigned i = 0; i < 8; i++)
			write_block(writer->driver, i * 200, (u8)writer->last);
	}
	return NULL;
}

/* Its disk is copied while it is written, over and over; in the end both are alike. */
TEST(nvme_migration, a_busy_controller_is_copied_while_it_runs)
{
	struct nvme_driver *a = start(movable), *b = nvme_driver_new(movable);
	struct writer writer = {.driver = a};
	static u8 record[PCI_MIGRATION_RECORD];
	struct why why = WHY_INIT;
	unsigned records = 0;
	pthread_t thread;

	load_start(b);
	sending(a, true);
	pthread_create(&thread, NULL, keep_writing, &writer);
	for (unsigned i = 0; records < 50; i++) {
		records += move_bulk(a, b);
		/* The program would see that as a device that takes long. */
		if (i % 8 == 0) {
			activity(a, PCI_PASSIVE);
			activity(a, PCI_ACTIVE);
		}
	}
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	activity(a, PCI_STOPPED);
	move_bulk(a, b);
	ASSERT_OK(why, load(b, record, save(a, record), &why));
	move_program(a, b);
	activity(b, PCI_ACTIVE);
	b->allocated = 4 << 20;
	for (unsigned i = 0; i < 8; i++)
		expect_block(b, i * 200, (u8)(writer.last - 1));
	sending(a, false);
	nvme_driver_free(a);
	nvme_driver_free(b);
}

/* ---- what is not to be believed ---- */

TEST(nvme_migration, chunks_fit_the_disk)
{
	struct nvme_driver *a = start(movable);
	static u8 record[PCI_MIGRATION_RECORD];
	struct why why = WHY_INIT;

	load_start(a);
	EXPECT_REFUSED(DEVICE_STATE, why, receive(a, record, 7, &why));
	EXPECT_REFUSED(DEVICE_STATE, why, receive(a, record, 8, &why));
	put_u64(record, 512);
	EXPECT_REFUSED(DEVICE_STATE, why, receive(a, record, 8 + (64 << 10), &why));
	put_u64(record, 1 << 20);
	EXPECT_REFUSED(DEVICE_STATE, why, receive(a, record, 8 + (64 << 10), &why));
	put_u64(record, 0);
	EXPECT_REFUSED(DEVICE_STATE, why, receive(a, record, 9 + (64 << 10), &why));
	ASSERT_OK(why, receive(a, record, 8 + (64 << 10), &why));
	nvme_driver_free(a);
}

TEST(nvme_migration, disks_are_alike)
{
	const char *const larger[] = {"size", "2M", "migration", "true", NULL};
	const char *const blocks[] = {"size", "1M", "migration", "true", "block", "4096", NULL};
	struct nvme_driver *a = start(movable), *b = start(larger), *c = start(blocks);
	struct carried *image = calloc(1, sizeof(*image));
	struct why why = WHY_INIT;

	activity(a, PCI_STOPPED);
	image->size = save(a, image->record);
	load_start(b);
	load_start(c);
	EXPECT_REFUSED(DEVICE_STATE, why, load(b, image->record, image->size, &why));
	EXPECT_SUBSTR("2048 blocks of 512", why.text);
	EXPECT_REFUSED(DEVICE_STATE, why, load(c, image->record, image->size, &why));
	EXPECT_REFUSED(DEVICE_STATE, why, load(a, image->record, image->size - 1, &why));
	EXPECT_REFUSED(DEVICE_STATE, why, load(a, image->record, image->size + 1, &why));
	EXPECT_REFUSED(DEVICE_STATE, why, load(a, image->record, 0, &why));
	ASSERT_OK(why, load(a, image->record, image->size, &why));
	free(image);
	nvme_driver_free(a);
	nvme_driver_free(b);
	nvme_driver_free(c);
}

/* Any byte may be any other: it is refused, or it is a state that a controller lives with. */
TEST(nvme_migration, a_state_that_lies_does_no_harm)
{
	struct nvme_driver *a = start(movable), *b = nvme_driver_new(movable);
	struct carried *image = calloc(1, sizeof(*image));
	unsigned taken = 0, refused = 0;
	u64 random = 0x853c49e6748fea9b;

	driver_create_queues(a, 2, 64, 3);
	driver_push(a, 0, (struct nvme_command){.opcode = NVME_ADMIN_ASYNC_EVENT});
	driver_ring(a, 0);
	write_block(a, 1, 1);
	activity(a, PCI_STOPPED);
	image->size = save(a, image->record);
	for (unsigned round = 0; round < 4000; round++) {
		struct why why = WHY_INIT;
		u8 kept[8];
		size_t at;

		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		/* Most of it is the error log; what comes before is what matters. */
		at = (random >> 8) % min_u64(image->size - 8, round % 4 ? 900 : UINT64_MAX);
		memcpy(kept, image->record + at, 8);
		for (unsigned i = 0; i < 1 + round % 8; i++)
			image->record[at + i] = (u8)(round % 3 ? random >> (8 * i) : kept[i] ^ BIT(random >> 60 & 7));
		activity(b, PCI_STOPPED);
		if (load(b, image->record, image->size, &why) < 0) {
			assert_int_equal(why.code, WHY_DEVICE_STATE);
			refused++;
		} else {
			taken++;
			activity(b, PCI_ACTIVE);
			mutex_lock(&b->machine);
			b->function.ops->bar_written(&b->function, 0, 0, 4);
			mutex_unlock(&b->machine);
		}
		memcpy(image->record + at, kept, 8);
	}
	assert_true(taken > 100 && refused > 100);
	free(image);
	nvme_driver_free(a);
	nvme_driver_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nvme_migration, is_off_unless_said),
		CASE(nvme_migration, a_workload_goes_on_elsewhere),
		CASE(nvme_migration, what_was_there_before_is_gone),
		CASE(nvme_migration, stopped_is_stopped),
		CASE(nvme_migration, only_what_was_written_is_sent_and_again_if_it_is_again),
		CASE(nvme_migration, a_busy_controller_is_copied_while_it_runs),
		CASE(nvme_migration, chunks_fit_the_disk),
		CASE(nvme_migration, disks_are_alike),
		CASE(nvme_migration, a_state_that_lies_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
