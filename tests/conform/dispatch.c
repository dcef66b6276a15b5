/* SPDX-License-Identifier: MIT */
/* How a request finds its handler: numbers, sizes, what can be read (spec 03 section 1). */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/conform.h"

/* Sizes as the ABI has them, written down once more; zeros: what a structure of zeros is answered. */
static const struct request_row {
	u32 nr, size, min;
	answer zeros;
	const char *name;
} requests[] = {
	{0x80, 8, 8, -ENOENT, "DESTROY"},
	{0x81, 12, 12, 0, "IOAS_ALLOC"},
	{0x82, 24, 24, -ENOENT, "IOAS_ALLOW_IOVAS"},
	{0x83, 40, 40, -EINVAL, "IOAS_COPY"},
	{0x84, 32, 32, -ENOENT, "IOAS_IOVA_RANGES"},
	{0x85, 40, 40, -EINVAL, "IOAS_MAP"},
	{0x86, 24, 24, -ENOENT, "IOAS_UNMAP"},
	{0x88, 12, 12, -ENODEV, "VFIO_IOAS"},
	{0x89, 48, 24, -ENOENT, "HWPT_ALLOC"},
	{0x8a, 40, 32, -ENOENT, "GET_HW_INFO"},
	{0x8b, 16, 16, -ENOENT, "HWPT_SET_DIRTY_TRACKING"},
	{0x8c, 48, 48, -ENOENT, "HWPT_GET_DIRTY_BITMAP"},
	{0x8d, 32, 32, -ENOENT, "HWPT_INVALIDATE"},
	{0x8e, 16, 16, 0, "FAULT_QUEUE_ALLOC"},
	{0x8f, 40, 40, -EINVAL, "IOAS_MAP_FILE"},
	{0x90, 40, 24, -EOPNOTSUPP, "VIOMMU_ALLOC"},
	{0x91, 24, 24, -ENOENT, "VDEVICE_ALLOC"},
	{0x92, 8, 8, 0, "IOAS_CHANGE_PROCESS"},
	{0x93, 32, 28, -EOPNOTSUPP, "VEVENTQ_ALLOC"},
	{0x94, 40, 40, -EOPNOTSUPP, "HW_QUEUE_ALLOC"},
};

enum { LONGEST = 3 * PAGE };

/* A structure of that size, zeros but for one byte at `set` (0: none), to a context of its own. */
static answer ask_zeros(const struct request_row *row, u32 size, u32 set)
{
	u8 bytes[LONGEST] = {0};
	int fd = iommu();
	answer got;

	memcpy(bytes, &size, sizeof(size));
	if (set)
		bytes[set] = 1;
	about("%s of %u bytes", row->name, size);
	got = ask(fd, IOMMUFD_REQUEST(row->nr), bytes);
	if (got == 0 && row->nr == IOMMUFD_CMD_FAULT_QUEUE_ALLOC)
		drop(watch(((struct iommu_fault_alloc *)bytes)->out_fault_fd));
	drop(fd);
	return got;
}

TEST(a_structure_of_its_size_reaches_its_handler)
{
	FOR_EACH(row, requests)
	EXPECT(row->zeros, ask_zeros(row, row->size, 0));
}

TEST(a_shorter_structure_than_the_first_kernel_had_is_invalid)
{
	FOR_EACH(row, requests)
	{
		EXPECT(-EINVAL, ask_zeros(row, row->min - 1, 0));
		EXPECT(-EINVAL, ask_zeros(row, 4, 0));
		EXPECT(-EINVAL, ask_zeros(row, 0, 0));
	}
}

TEST(an_option_has_its_size_too)
{
	struct {
		struct iommu_option option;
		u64 more;
	} request = {.option = {.op = IOMMU_OPTION_OP_GET}};
	int fd = iommu();

	request.option.size = 23;
	EXPECT(-EINVAL, ask(fd, IOMMU_OPTION, &request));
	request.option.size = 24;
	EXPECT(0, ask(fd, IOMMU_OPTION, &request));
	request.option.size = 25;
	EXPECT(0, ask(fd, IOMMU_OPTION, &request));
	request.more = 1;
	EXPECT(-E2BIG, ask(fd, IOMMU_OPTION, &request));
	EXPECT(-EFAULT, ask(fd, IOMMU_OPTION, NULL));
}

TEST(between_the_first_and_the_newest_size_what_lacks_is_zero)
{
	FOR_EACH(row, requests)
	for (u32 size = row->min; size < row->size; size++)
		EXPECT(row->zeros, ask_zeros(row, size, 0));
}

TEST(a_longer_structure_with_zeros_behind_means_the_same)
{
	FOR_EACH(row, requests)
	{
		EXPECT(row->zeros, ask_zeros(row, row->size + 1, 0));
		EXPECT(row->zeros, ask_zeros(row, row->size + 8, 0));
		EXPECT(row->zeros, ask_zeros(row, LONGEST, 0));
	}
}

TEST(a_longer_structure_with_a_byte_set_behind_is_too_big)
{
	FOR_EACH(row, requests)
	{
		EXPECT(-E2BIG, ask_zeros(row, row->size + 1, row->size));
		EXPECT(-E2BIG, ask_zeros(row, row->size + 9, row->size + 8));
		EXPECT(-E2BIG, ask_zeros(row, LONGEST, LONGEST - 1));
	}
}

TEST(no_structure_is_a_fault)
{
	int fd = iommu();

	FOR_EACH(row, requests)
	{
		about("%s", row->name);
		EXPECT(-EFAULT, ask(fd, IOMMUFD_REQUEST(row->nr), NULL));
		EXPECT(-EFAULT, ask(fd, IOMMUFD_REQUEST(row->nr), reserve(PAGE)));
	}
}

/* The size is read first, then judged, then what lies beyond the structure, then the structure. */
TEST(a_structure_that_ends_in_nothing_is_a_fault_after_its_size_is_judged)
{
	u8 *behind = (u8 *)memory(PAGE) + PAGE;
	int fd = iommu();

	FOR_EACH(row, requests)
	{
		const u32 sizes[] = {row->min - 1, row->size, row->size + 1, 2 * PAGE};
		u32 *size = (u32 *)(behind - 4);

		FOR_EACH(given, sizes)
		{
			about("%s of %u bytes, of which 4 are there", row->name, *given);
			*size = *given;
			EXPECT(*given < row->min ? -EINVAL : -EFAULT, ask(fd, IOMMUFD_REQUEST(row->nr), size));
		}
	}
}

TEST(a_byte_set_behind_counts_before_what_is_not_there)
{
	u8 *behind = (u8 *)memory(PAGE) + PAGE;
	int fd = iommu();

	FOR_EACH(row, requests)
	{
		u8 *structure = behind - row->size - 8;
		const u32 size = row->size + 16;

		about("%s", row->name);
		memset(structure, 0, row->size + 8);
		memcpy(structure, &size, sizeof(size));
		EXPECT(-EFAULT, ask(fd, IOMMUFD_REQUEST(row->nr), structure));
		structure[row->size] = 1;
		EXPECT(-E2BIG, ask(fd, IOMMUFD_REQUEST(row->nr), structure));
	}
}

/* E2BIG comes before anything a handler finds. */
TEST(too_big_comes_before_unknown_flags)
{
	struct {
		struct iommu_ioas_alloc request;
		u32 more;
	} longer = {.request = {.size = sizeof(longer), .flags = ~0u}, .more = 1};
	int fd = iommu();

	EXPECT(-E2BIG, ask(fd, IOMMU_IOAS_ALLOC, &longer));
	longer.more = 0;
	EXPECT(-EOPNOTSUPP, ask(fd, IOMMU_IOAS_ALLOC, &longer));
}

TEST(what_is_answered_does_not_reach_beyond_the_structure_given)
{
	struct {
		struct iommu_ioas_alloc request;
		u8 behind[52];
	} longer = {.request = {.size = sizeof(longer)}};
	int fd = iommu();

	EXPECT(0, ask(fd, IOMMU_IOAS_ALLOC, &longer));
	EXPECT_EQUAL(1, longer.request.out_ioas_id);
	EXPECT_EQUAL(sizeof(longer), longer.request.size);
	FOR_EACH(byte, longer.behind)
	EXPECT_EQUAL(0, *byte);
}

TEST(numbers_that_are_no_request_are_unknown)
{
	const u32 numbers[] = {0x00, 0x01, 0x62, 0x7e, 0x7f, 0xa1, 0xc0, 0xf0, 0xff};
	u64 structure[16] = {sizeof(structure)};
	int fd = iommu();

	FOR_EACH(nr, numbers)
	{
		about("%#x", *nr);
		EXPECT(-ENOTTY, ask(fd, IOMMUFD_REQUEST(*nr), structure));
		EXPECT(-ENOTTY, ask(fd, IOMMUFD_REQUEST(*nr), NULL));
	}
}

/* Where IOMMU_TEST is built in, the table reaches up to it, and of numbers in the table the size is read first. */
TEST(a_hole_in_the_table_is_unknown_after_its_size_was_read)
{
	u64 structure[16] = {sizeof(structure)};
	bool table = have_mock();
	int fd = iommu();

	for (u32 nr = 0x95; nr <= 0x9f; nr++) {
		about("%#x", nr);
		EXPECT(-ENOTTY, ask(fd, IOMMUFD_REQUEST(nr), structure));
		EXPECT(table ? -EFAULT : -ENOTTY, ask(fd, IOMMUFD_REQUEST(nr), NULL));
	}
}

TEST(the_whole_number_counts_not_only_its_low_byte)
{
	u64 structure[16] = {sizeof(struct iommu_ioas_alloc)};
	const unsigned long numbers[] = {
		_IO('<', 0x81),
		_IOR(';', 0x81, struct iommu_ioas_alloc),
		_IOW(';', 0x81, struct iommu_ioas_alloc),
		_IOWR(';', 0x81, struct iommu_ioas_alloc),
	};
	int fd = iommu();

	FOR_EACH(number, numbers)
	{
		about("%#lx", *number);
		EXPECT(-ENOTTY, ask(fd, *number, structure));
	}
	EXPECT(-EFAULT, ask(fd, _IOWR(';', 0x81, struct iommu_ioas_alloc), NULL));
	EXPECT_EQUAL(1, new_ioas(fd));
}

TEST(the_test_request_has_its_size_too)
{
	struct {
		struct mock_request request;
		u64 more;
	} longer = {.request = {.op = 99}};
	int fd = iommu();

	need_mock();
	longer.request.size = 67;
	EXPECT(-EINVAL, ask(fd, MOCK_CMD, &longer));
	longer.request.size = 68;
	EXPECT(-EOPNOTSUPP, ask(fd, MOCK_CMD, &longer));
	longer.request.size = 80;
	EXPECT(-EOPNOTSUPP, ask(fd, MOCK_CMD, &longer));
	longer.more = 1;
	EXPECT(-E2BIG, ask(fd, MOCK_CMD, &longer));
	EXPECT(-EFAULT, ask(fd, MOCK_CMD, NULL));
}

TEST(the_file_cannot_be_read_or_written)
{
	char buffer[64] = {0};
	int fd = iommu();

	EXPECT_TRUE(read(fd, buffer, sizeof(buffer)) == -1 && errno == EINVAL);
	EXPECT_TRUE(write(fd, buffer, sizeof(buffer)) == -1 && errno == EINVAL);
}

TEST(the_file_is_always_ready)
{
	struct pollfd poll_fd = {.fd = iommu(), .events = POLLIN | POLLOUT};

	EXPECT_EQUAL(1, poll(&poll_fd, 1, 0));
	EXPECT_EQUAL(POLLIN | POLLOUT, poll_fd.revents);
}

TEST(the_file_maps_nothing_unless_a_driver_published_it)
{
	const struct {
		int prot, flags;
		off_t offset;
		int err;
	} rows[] = {
		{PROT_READ | PROT_WRITE, MAP_SHARED, 0, ENXIO},	 {PROT_READ, MAP_SHARED, PAGE, ENXIO},
		{PROT_READ, MAP_SHARED, 1l << 40, ENXIO},	 {PROT_READ, MAP_PRIVATE, 0, EINVAL},
		{PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, EINVAL}, {PROT_READ | PROT_EXEC, MAP_SHARED, 0, EPERM},
	};
	int fd = iommu();

	FOR_EACH(row, rows)
	{
		about("prot %d, flags %d, offset %#lx", row->prot, row->flags, (long)row->offset);
		EXPECT_TRUE(mmap(NULL, PAGE, row->prot, row->flags, fd, row->offset) == MAP_FAILED);
		EXPECT_EQUAL(row->err, errno);
	}
}

TEST(each_open_is_a_context_of_its_own)
{
	int first = iommu(), second = watch(open_answer("/dev/iommu", O_RDONLY));

	EXPECT_EQUAL(1, new_ioas(first));
	EXPECT_EQUAL(2, new_ioas(first));
	EXPECT(-ENOENT, destroy(second, 1));
	EXPECT_EQUAL(1, new_ioas(second));
	EXPECT(0, destroy(second, 1));
	EXPECT(0, destroy(first, 1));
	EXPECT(0, destroy(first, 2));
}

SUITE(dispatch, CASE(a_structure_of_its_size_reaches_its_handler),
      CASE(a_shorter_structure_than_the_first_kernel_had_is_invalid), CASE(an_option_has_its_size_too),
      CASE(between_the_first_and_the_newest_size_what_lacks_is_zero),
      CASE(a_longer_structure_with_zeros_behind_means_the_same),
      CASE(a_longer_structure_with_a_byte_set_behind_is_too_big), CASE(no_structure_is_a_fault),
      CASE(a_structure_that_ends_in_nothing_is_a_fault_after_its_size_is_judged),
      CASE(a_byte_set_behind_counts_before_what_is_not_there), CASE(too_big_comes_before_unknown_flags),
      CASE(what_is_answered_does_not_reach_beyond_the_structure_given), CASE(numbers_that_are_no_request_are_unknown),
      CASE(a_hole_in_the_table_is_unknown_after_its_size_was_read), CASE(the_whole_number_counts_not_only_its_low_byte),
      CASE(the_test_request_has_its_size_too), CASE(the_file_cannot_be_read_or_written), CASE(the_file_is_always_ready),
      CASE(the_file_maps_nothing_unless_a_driver_published_it), CASE(each_open_is_a_context_of_its_own));
