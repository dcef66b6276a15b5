/* SPDX-License-Identifier: MIT */
/* I/O commands and their data: every shape of PRPs, errors, a file behind the disk. */
#include "tests/fixtures/nvme_driver.h"

#include <unistd.h>

enum { BLOCKS = (64 << 20) / 512, DNR = NVME_DO_NOT_RETRY, BIGGEST = 2 << 20 };

static struct nvme_driver *driver_up(const char *const *options)
{
	struct nvme_driver *driver = nvme_driver_new(options);

	driver_enable(driver, ADMIN_ENTRIES);
	driver_create_queues(driver, 1, 64, -1);
	return driver;
}

static int set_up(void **state)
{
	*state = driver_up(NULL);
	return 0;
}

static int tear_down(void **state)
{
	nvme_driver_free(*state);
	return 0;
}

static void fill_random(u8 *bytes, u64 size, u32 *seed)
{
	for (u64 i = 0; i < size; i += 4) {
		*seed = *seed * 1664525 + 1013904223;
		put_u32(bytes + i, *seed);
	}
}

static unsigned pick(u32 *seed, unsigned below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

static void write_at(struct nvme_driver *driver, u64 lba, unsigned blocks, const u8 *bytes, unsigned offset,
		     unsigned list_offset)
{
	u64 mark = driver->allocated;
	struct nvme_command command = driver_io(NVME_IO_WRITE, lba, blocks);
	struct driver_data data = driver_data(driver, 512ull * blocks, offset, list_offset, &command);

	driver_data_set(driver, &data, bytes);
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	driver->allocated = mark;
}

static void read_at(struct nvme_driver *driver, u64 lba, unsigned blocks, u8 *bytes, unsigned offset,
		    unsigned list_offset)
{
	u64 mark = driver->allocated;
	struct nvme_command command = driver_io(NVME_IO_READ, lba, blocks);
	struct driver_data data = driver_data(driver, 512ull * blocks, offset, list_offset, &command);

	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	driver_data_get(driver, &data, bytes);
	driver->allocated = mark;
}

/* A shadow of the first 4 MiB says what every read must give. */
static void mixed_io(struct nvme_driver *driver, u32 seed, unsigned rounds)
{
	u8 *shadow = calloc(1, 4 << 20), *bytes = malloc(BIGGEST);

	for (unsigned i = 0; i < rounds; i++) {
		unsigned blocks = 1 + pick(&seed, i % 8 ? 64 : 4096), lba = pick(&seed, 8192 - blocks + 1);
		unsigned offset = 4 * pick(&seed, 1024), list_offset = 8 * pick(&seed, 512);

		if (pick(&seed, 2)) {
			fill_random(bytes, 512ull * blocks, &seed);
			write_at(driver, lba, blocks, bytes, offset, list_offset);
			memcpy(shadow + 512ull * lba, bytes, 512ull * blocks);
		} else {
			read_at(driver, lba, blocks, bytes, offset, list_offset);
			assert_memory_equal(bytes, shadow + 512ull * lba, 512ull * blocks);
		}
	}
	free(shadow);
	free(bytes);
}

TEST(io, random_sizes_and_prp_shapes_give_back_what_was_written)
{
	mixed_io(*state, 1, 300);
	assert_int_equal(driver_faults(*state), 0);
}

TEST(io, largest_transfer_at_every_list_position)
{
	struct nvme_driver *driver = *state;
	u8 *bytes = malloc(BIGGEST), *back = malloc(BIGGEST);
	u32 seed = 7;

	fill_random(bytes, BIGGEST, &seed);
	for (unsigned i = 0; i < 4; i++) {
		/* A list of one slot is nothing but a pointer to the next. */
		static const unsigned list_offsets[] = {0, 8, 4080, 4088};

		write_at(driver, 1000, 4096, bytes, 4 * i, list_offsets[i]);
		memset(back, 0, BIGGEST);
		read_at(driver, 1000, 4096, back, 4092 - 4 * i, list_offsets[3 - i]);
		assert_memory_equal(bytes, back, BIGGEST);
	}
	free(bytes);
	free(back);
}

TEST(io, requests_out_of_bounds_are_refused)
{
	struct nvme_driver *driver = *state;
	static const u8 opcodes[] = {NVME_IO_READ, NVME_IO_WRITE, NVME_IO_COMPARE, NVME_IO_WRITE_ZEROES};

	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
		u8 opcode = opcodes[i];

		assert_int_equal(driver_command(driver, 1, driver_io(opcode, BLOCKS - 1, 1), NULL), NVME_SUCCESS);
		assert_int_equal(driver_command(driver, 1, driver_io(opcode, BLOCKS - 1, 2), NULL),
				 NVME_LBA_OUT_OF_RANGE | DNR);
		assert_int_equal(driver_command(driver, 1, driver_io(opcode, BLOCKS, 1), NULL),
				 NVME_LBA_OUT_OF_RANGE | DNR);
		assert_int_equal(driver_command(driver, 1, driver_io(opcode, ~0ull, 1), NULL),
				 NVME_LBA_OUT_OF_RANGE | DNR);
		if (opcode == NVME_IO_WRITE_ZEROES)
			continue;
		assert_int_equal(driver_command(driver, 1, driver_io(opcode, 0, 4097), NULL),
				 NVME_INVALID_FIELD | DNR); /* beyond MDTS */
		assert_int_equal(driver_command(driver, 1, driver_io(opcode, 0, 65536), NULL),
				 NVME_INVALID_FIELD | DNR);
	}
}

TEST(io, only_namespace_one_exists)
{
	static const u32 others[] = {0, 2, UINT32_MAX};
	struct nvme_driver *driver = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		struct nvme_command command = driver_io(NVME_IO_READ, 0, 1);

		command.nsid = others[i];
		assert_int_equal(driver_command(driver, 1, command, NULL), NVME_INVALID_NAMESPACE | DNR);
		command.opcode = NVME_IO_FLUSH;
		assert_int_equal(driver_command(driver, 1, command, NULL),
				 others[i] == UINT32_MAX ? NVME_SUCCESS : NVME_INVALID_NAMESPACE | DNR);
	}
}

TEST(io, unknown_opcodes_are_invalid)
{
	static const u8 known[] = {0x00, 0x01, 0x02, 0x05, 0x08, 0x09};
	struct nvme_driver *driver = *state;

	for (unsigned opcode = 0; opcode < 256; opcode++)
		if (!memchr(known, (int)opcode, sizeof(known)))
			assert_int_equal(driver_command(driver, 1, driver_io((u8)opcode, 0, 1), NULL),
					 NVME_INVALID_OPCODE | DNR);
}

TEST(io, bad_prps_are_refused)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = driver_io(NVME_IO_READ, 0, 16);
	u64 list = driver_alloc(driver, PAGE_SIZE);

	command.prp1 = 0x1002;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_INVALID_PRP_OFFSET | DNR);
	command.prp1 = 0x1000;
	command.prp2 = 0x2004; /* the second page has an offset */
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_INVALID_PRP_OFFSET | DNR);
	command = driver_io(NVME_IO_READ, 0, 32);
	command.prp2 = list + 4; /* the list is not aligned */
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_INVALID_PRP_OFFSET | DNR);
	command.prp2 = list;
	put_u64(driver->memory + list + 8, 0x3008); /* an entry has an offset */
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_INVALID_PRP_OFFSET | DNR);
}

TEST(io, lists_that_chase_their_tail_end)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = driver_io(NVME_IO_READ, 0, 4096);
	u64 list = driver_alloc(driver, PAGE_SIZE) + PAGE_SIZE - 8;

	put_u64(driver->memory + list, list);
	command.prp2 = list;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_INVALID_PRP_OFFSET | DNR);
}

TEST(io, unmapped_data_fails_alone_and_is_recorded)
{
	struct nvme_driver *driver = *state;
	struct nvme_command good = driver_io(NVME_IO_READ, 0, 8), bad = driver_io(NVME_IO_READ, 0, 8);
	u16 cids[9];

	good.prp1 = driver_alloc(driver, PAGE_SIZE);
	bad.prp1 = NVME_UNMAPPED + 0x3000;
	for (unsigned i = 0; i < 9; i++)
		cids[i] = driver_push(driver, 1, i == 4 ? bad : good);
	driver_ring(driver, 1);
	for (unsigned i = 0; i < 9; i++) {
		struct nvme_completion completion = driver_pop(driver, 1);

		assert_int_equal(completion.cid, cids[i]);
		assert_int_equal(STATUS(completion), i == 4 ? NVME_DATA_TRANSFER_ERROR : NVME_SUCCESS);
	}
	driver_release(driver, 1);
	assert_int_equal(driver_faults(driver), 1);
	assert_int_equal(driver_last_fault(driver).iova, NVME_UNMAPPED + 0x3000);
	assert_int_equal(driver_last_fault(driver).direction, DMA_WRITE);
	assert_int_equal(driver_last_fault(driver).reason, DMA_FAULT_NOT_PRESENT);
	/* A list nobody mapped, and a list that leads nowhere. */
	good = driver_io(NVME_IO_WRITE, 0, 4096);
	good.prp2 = NVME_UNMAPPED;
	assert_int_equal(driver_command(driver, 1, good, NULL), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(driver_faults(driver), 2);
}

TEST(io, write_zeroes_and_deallocate_leave_zeros)
{
	struct nvme_driver *driver = *state;
	u8 bytes[512 * 32], expected[512 * 32];
	struct nvme_command command;
	struct nvme_range *ranges;

	memset(bytes, 0x77, sizeof(bytes));
	memcpy(expected, bytes, sizeof(bytes));
	write_at(driver, 100, 32, bytes, 0, 0);
	command = driver_io(NVME_IO_WRITE_ZEROES, 101, 2);
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	command = driver_io(NVME_IO_WRITE_ZEROES, 104, 3);
	command.cdw12 |= 1 << 25 | 1u << 30; /* DEAC, FUA */
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	command = (struct nvme_command){.opcode = NVME_IO_DATASET_MANAGEMENT, .nsid = 1, .cdw10 = 2, .cdw11 = 4};
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	ranges = (struct nvme_range *)(void *)(driver->memory + command.prp1);
	ranges[0] = (struct nvme_range){.blocks = 1, .start = 110};
	ranges[1] = (struct nvme_range){.blocks = 0, .start = 0};
	ranges[2] = (struct nvme_range){.blocks = 4, .start = 120};
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	memset(expected + 512, 0, 1024);
	memset(expected + 512 * 4, 0, 512 * 3);
	memset(expected + 512 * 10, 0, 512);
	memset(expected + 512 * 20, 0, 512 * 4);
	read_at(driver, 100, 32, bytes, 0, 0);
	assert_memory_equal(bytes, expected, sizeof(bytes));
	/* One bad range: none is acted on. */
	ranges[0].start = 100;
	ranges[2].start = BLOCKS;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_LBA_OUT_OF_RANGE | DNR);
	read_at(driver, 100, 32, bytes, 0, 0);
	assert_memory_equal(bytes, expected, sizeof(bytes));
	/* Hints we do not use are no errors; ranges nobody mapped are. */
	ranges[2].start = 0;
	command.cdw11 = 3;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	command.prp1 = NVME_UNMAPPED;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_DATA_TRANSFER_ERROR);
}

TEST(io, compare_tells_equal_from_different)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = driver_io(NVME_IO_COMPARE, 5, 8);
	u8 bytes[4096];

	memset(bytes, 0x12, sizeof(bytes));
	write_at(driver, 5, 8, bytes, 0, 0);
	command.prp1 = driver_alloc(driver, PAGE_SIZE);
	memset(driver->memory + command.prp1, 0x12, PAGE_SIZE);
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	driver->memory[command.prp1 + 4095] = 0;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_COMPARE_FAILURE | DNR);
	command.prp1 = NVME_UNMAPPED;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_DATA_TRANSFER_ERROR);
}

TEST(io, big_pages_and_big_blocks_work)
{
	struct nvme_driver *driver = nvme_driver_new((const char *const[]){"block", "4096", "size", "8M", NULL});
	struct nvme_command command = driver_io(NVME_IO_WRITE, 3, 16);
	u64 data;

	/* CC.MPS 4: memory pages of 64 KiB. Queues and data are aligned to that. */
	driver->allocated = 0x10000;
	driver_store(driver, NVME_REG_AQA, 0x001f001f);
	driver->queues[0] = (struct driver_queue){.size = 32, .sq = 0x10000, .cq = 0x20000, .phase = 1};
	driver_store(driver, NVME_REG_ASQ, 0x10000);
	driver_store(driver, NVME_REG_ACQ, 0x20000);
	driver_store(driver, NVME_REG_CC, 0x00460201);
	assert_true(driver_await(driver, NVME_REG_CSTS, 0xf, NVME_CSTS_RDY));
	driver->allocated = 0x30000;
	driver_create_queues(driver, 1, 1024, -1); /* 64 KiB of submission queue, then the completions */
	data = align_up(driver->allocated, 0x10000);
	memset(driver->memory + data, 0x42, 0x10000);
	command.prp1 = data + 0x8000;
	command.prp2 = data + 0x10000;
	memset(driver->memory + data + 0x10000, 0x43, 0x8000);
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	command.opcode = NVME_IO_READ;
	command.prp1 = data + 0x20000;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	assert_int_equal(driver->memory[data + 0x20000], 0x42);
	assert_int_equal(driver->memory[data + 0x27fff], 0x42);
	assert_int_equal(driver->memory[data + 0x28000], 0x43);
	assert_int_equal(driver->memory[data + 0x2ffff], 0x43);
	nvme_driver_free(driver);
}

TEST(io, file_gets_what_was_written_and_errors_when_it_shrinks)
{
	char path[] = "/tmp/isolde-nvme-XXXXXX";
	int fd = mkstemp(path);
	struct nvme_driver *driver;
	struct nvme_command command;
	u8 bytes[4096], back[4096];
	u32 seed = 3;

	assert_int_equal(ftruncate(fd, 8 << 20), 0);
	driver = driver_up((const char *const[]){"disk", path, NULL});
	mixed_io(driver, 2, 60);
	fill_random(bytes, sizeof(bytes), &seed);
	write_at(driver, 9000, 8, bytes, 0, 0);
	assert_int_equal(pread(fd, back, sizeof(back), 9000 * 512), sizeof(back));
	assert_memory_equal(bytes, back, sizeof(back));
	command = driver_io(NVME_IO_WRITE, 9000, 1);
	command.cdw12 |= 1u << 30;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	assert_int_equal(driver_command(driver, 1, driver_io(NVME_IO_FLUSH, 0, 1), NULL), NVME_SUCCESS);
	assert_int_equal(ftruncate(fd, 4096), 0);
	command = driver_io(NVME_IO_READ, 9000, 8);
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_READ_ERROR);
	assert_int_equal(driver_command(driver, 1, driver_io(NVME_IO_READ, 0, 8), NULL), NVME_SUCCESS);
	nvme_driver_free(driver);
	close(fd);
	unlink(path);
}

#define IO_CASE(name) cmocka_unit_test_setup_teardown(io_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_CASE(random_sizes_and_prp_shapes_give_back_what_was_written),
		IO_CASE(largest_transfer_at_every_list_position),
		IO_CASE(requests_out_of_bounds_are_refused),
		IO_CASE(only_namespace_one_exists),
		IO_CASE(unknown_opcodes_are_invalid),
		IO_CASE(bad_prps_are_refused),
		IO_CASE(lists_that_chase_their_tail_end),
		IO_CASE(unmapped_data_fails_alone_and_is_recorded),
		IO_CASE(write_zeroes_and_deallocate_leave_zeros),
		IO_CASE(compare_tells_equal_from_different),
		CASE(io, big_pages_and_big_blocks_work),
		CASE(io, file_gets_what_was_written_and_errors_when_it_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
