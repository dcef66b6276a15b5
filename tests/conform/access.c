/* SPDX-License-Identifier: MIT */
/* Software users of an IOAS, as emulated devices are (spec 06 section 4). */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/conform.h"

enum { BASE = 0x20000 };

struct user {
	int fd, pins, copies; /* accesses: one that pins, one that only copies */
	u32 ioas;
	char *buffer; /* 8 pages; 4 of them at BASE */
};

static struct user user_new(void)
{
	struct user u = {.fd = iommu()};

	need_mock();
	u.ioas = new_ioas(u.fd);
	u.buffer = memory(8 * PAGE);
	EXPECT(0, map_at(u.fd, u.ioas, u.buffer, 4 * PAGE, BASE));
	u.pins = watch(new_access(u.fd, u.ioas, MOCK_NEEDS_PINS));
	u.copies = watch(new_access(u.fd, u.ioas, 0));
	return u;
}

TEST(creation_is_refused_in_this_order)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	EXPECT(-EOPNOTSUPP, new_access(fd, NOBODY, 2));
	EXPECT(-ENOENT, new_access(fd, NOBODY, 1));
	EXPECT(0, map_at(fd, ioas, buffer, 100, 0x1000));
	EXPECT(-EADDRINUSE, new_access(fd, ioas, MOCK_NEEDS_PINS)); /* which takes whole pages */
	watch(new_access(fd, ioas, 0));
	EXPECT_EQUAL(1, alignment_of(fd, ioas));
	EXPECT(100, unmap(fd, ioas, 0x1000, 100));
	watch(new_access(fd, ioas, MOCK_NEEDS_PINS));
	EXPECT_EQUAL(PAGE, alignment_of(fd, ioas));
	EXPECT(-EINVAL, map_at(fd, ioas, buffer, 100, 0x1000));
}

TEST(an_access_keeps_its_ioas)
{
	struct user u = user_new();

	EXPECT(-EBUSY, destroy(u.fd, u.ioas));
	drop(u.pins);
	EXPECT(-EBUSY, destroy(u.fd, u.ioas));
	EXPECT_EQUAL(1, alignment_of(u.fd, u.ioas));
	drop(u.copies);
	EXPECT(0, destroy(u.fd, u.ioas));
}

/* ---- pins ---- */

TEST(pins_are_refused_in_this_order)
{
	struct user u = user_new();
	u32 read_only = new_ioas(u.fd);

	EXPECT(-ENOMEM, pin_access(u.fd, -1, BASE, 16 * MIB + 1, u.buffer, 2));
	EXPECT(-EOPNOTSUPP, pin_access(u.fd, -1, BASE, 0, u.buffer, 2));
	EXPECT(-EBADFD, pin_access(u.fd, -1, BASE, 0, u.buffer, 0));
	EXPECT(-EBADFD, pin_access(u.fd, u.fd, BASE, 0, u.buffer, 0));
	EXPECT(-EOPNOTSUPP, pin_access(u.fd, u.copies, BASE, 0, u.buffer, 0));
	EXPECT(-EINVAL, pin_access(u.fd, u.pins, BASE, 0, u.buffer, 0));
	EXPECT(-EOVERFLOW, pin_access(u.fd, u.pins, TOP, 2, u.buffer, 0));
	EXPECT(-ENOENT, pin_access(u.fd, u.pins, 0x1000, PAGE, u.buffer, 0));
	EXPECT(-ENOENT, pin_access(u.fd, u.pins, BASE + 3 * PAGE, 2 * PAGE, u.buffer + 3 * PAGE, 0));
	EXPECT(-EINVAL, pin_access(u.fd, u.pins, BASE + 1, PAGE, u.buffer, 0));
	EXPECT(-EBADE, pin_access(u.fd, u.pins, BASE, PAGE, u.buffer + PAGE, 0)); /* other memory than that */
	EXPECT(0, check_refs(u.fd, u.buffer, 4 * PAGE, 0));
	EXPECT(0, ASK(u.fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | IOMMU_IOAS_MAP_READABLE, .ioas_id = u.ioas,
		      .user_va = (uintptr_t)(u.buffer + 4 * PAGE), .length = PAGE, .iova = BASE + 4 * PAGE));
	EXPECT(0,
	       ASK(u.fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | IOMMU_IOAS_MAP_WRITEABLE, .ioas_id = u.ioas,
		   .user_va = (uintptr_t)(u.buffer + 6 * PAGE), .length = PAGE, .iova = BASE + 6 * PAGE));
	EXPECT(-EPERM, pin_access(u.fd, u.pins, BASE + 4 * PAGE, PAGE, u.buffer + 4 * PAGE, MOCK_WRITE));
	EXPECT(-EPERM, pin_access(u.fd, u.pins, BASE + 6 * PAGE, PAGE, u.buffer + 6 * PAGE, 0));
	EXPECT(-EPERM, pin_access(u.fd, u.pins, BASE, 6 * PAGE, u.buffer, MOCK_WRITE)); /* before the hole */
	EXPECT(0, check_refs(u.fd, u.buffer, 8 * PAGE, 0));
	EXPECT(0, destroy(u.fd, read_only));
}

TEST(items_are_numbered_and_never_again)
{
	struct user u = user_new();

	EXPECT(0, pin_access(u.fd, u.pins, BASE, 2 * PAGE, u.buffer, MOCK_WRITE));
	EXPECT(1, pin_access(u.fd, u.pins, BASE + PAGE, 3 * PAGE, u.buffer + PAGE, 0));
	EXPECT(0, check_refs(u.fd, u.buffer, 4 * PAGE, 1)); /* once, however many hold it */
	EXPECT(0, unpin_access(u.fd, u.pins, 0));
	EXPECT(-ENOENT, unpin_access(u.fd, u.pins, 0));
	EXPECT(0, check_refs(u.fd, u.buffer, PAGE, 0));
	EXPECT(0, check_refs(u.fd, u.buffer + PAGE, 3 * PAGE, 1));
	EXPECT(2, pin_access(u.fd, u.pins, BASE, PAGE, u.buffer, 0));
	EXPECT(-EBADFD, unpin_access(u.fd, u.fd, 1));
	EXPECT(0, unpin_access(u.fd, u.pins, 1));
	EXPECT(0, unpin_access(u.fd, u.pins, 2));
	EXPECT(0, check_refs(u.fd, u.buffer, 4 * PAGE, 0));
}

TEST(a_pin_goes_with_its_access)
{
	struct user u = user_new();

	EXPECT(0, pin_access(u.fd, u.pins, BASE, 4 * PAGE, u.buffer, MOCK_WRITE));
	drop(u.pins);
	EXPECT(0, check_refs(u.fd, u.buffer, 4 * PAGE, 0));
	EXPECT(4 * PAGE, unmap(u.fd, u.ioas, BASE, 4 * PAGE));
}

TEST(pins_span_areas_that_meet)
{
	struct user u = user_new();

	EXPECT(0, map_at(u.fd, u.ioas, u.buffer + 4 * PAGE, 2 * PAGE, BASE + 4 * PAGE));
	EXPECT(0, pin_access(u.fd, u.pins, BASE + 3 * PAGE, 2 * PAGE, u.buffer + 3 * PAGE, MOCK_WRITE));
	EXPECT(0, check_refs(u.fd, u.buffer + 3 * PAGE, 2 * PAGE, 1));
	EXPECT(1, pin_access(u.fd, u.pins, BASE, 6 * PAGE, u.buffer, 0));
	EXPECT(0, unpin_access(u.fd, u.pins, 0));
	EXPECT(0, check_refs(u.fd, u.buffer, 6 * PAGE, 1));
	EXPECT(0, unpin_access(u.fd, u.pins, 1));
}

TEST(an_unmap_asks_whoever_pinned_to_let_go)
{
	struct user u = user_new();

	EXPECT(0, map_at(u.fd, u.ioas, u.buffer + 4 * PAGE, PAGE, BASE + 4 * PAGE));
	EXPECT(0, pin_access(u.fd, u.pins, BASE, 2 * PAGE, u.buffer, 0));
	EXPECT(1, pin_access(u.fd, u.pins, BASE + 4 * PAGE, PAGE, u.buffer + 4 * PAGE, 0));
	EXPECT(4 * PAGE, unmap(u.fd, u.ioas, BASE, 4 * PAGE));
	EXPECT(0, check_refs(u.fd, u.buffer, 4 * PAGE, 0));
	EXPECT(-ENOENT, unpin_access(u.fd, u.pins, 0));
	EXPECT(0, check_refs(u.fd, u.buffer + 4 * PAGE, PAGE, 1));
	EXPECT(0, unpin_access(u.fd, u.pins, 1));
}

TEST(memory_that_is_not_there_cannot_be_pinned_at_all)
{
	struct user u = user_new();
	char *half = reserve(2 * PAGE);

	protect(half, PAGE, PROT_READ | PROT_WRITE);
	EXPECT(0, map_at(u.fd, u.ioas, half, 2 * PAGE, 0x80000));
	EXPECT(-EFAULT, pin_access(u.fd, u.pins, 0x80000, 2 * PAGE, NULL, 0));
	EXPECT(0, check_refs(u.fd, half, PAGE, 0));
	EXPECT(0, pin_access(u.fd, u.pins, 0x80000, PAGE, half, 0));
	EXPECT(0, check_refs(u.fd, half, PAGE, 1));
	EXPECT(0, unpin_access(u.fd, u.pins, 0));
	EXPECT(2 * PAGE, unmap(u.fd, u.ioas, 0x80000, 2 * PAGE));
}

TEST(pins_outlive_the_domains_they_share_with)
{
	char *buffer = memory(4 * PAGE);
	int fd = iommu(), access;
	u32 ioas = new_ioas(fd);
	struct mock mock;

	need_mock();
	mock = new_mock(fd, ioas, 0);
	EXPECT(0, map_at(fd, ioas, buffer, 4 * PAGE, MOCK_FIRST));
	access = watch(new_access(fd, ioas, MOCK_NEEDS_PINS));
	EXPECT(0, pin_access(fd, access, MOCK_FIRST + PAGE, 2 * PAGE, buffer + PAGE, MOCK_WRITE));
	EXPECT(0, check_refs(fd, buffer, 4 * PAGE, 1));
	EXPECT(0, destroy(fd, mock.stdev));
	EXPECT(0, check_refs(fd, buffer, PAGE, 0));
	EXPECT(0, check_refs(fd, buffer + PAGE, 2 * PAGE, 1));
	EXPECT(0, check_refs(fd, buffer + 3 * PAGE, PAGE, 0));
	mock = new_mock(fd, ioas, 0);
	EXPECT(0, check_maps(fd, mock.hwpt, MOCK_FIRST, 4 * PAGE, buffer));
	EXPECT(0, unpin_access(fd, access, 0));
	EXPECT(0, check_refs(fd, buffer, 4 * PAGE, 1));
}

/* ---- copies ---- */

TEST(copies_are_refused_in_this_order)
{
	struct user u = user_new();
	char bytes[64] = {0};
	char *nowhere = reserve(PAGE);

	EXPECT(-ENOMEM, rw_access(u.fd, -1, BASE, nowhere, 16 * MIB + 1, 2));
	EXPECT(-EOPNOTSUPP, rw_access(u.fd, -1, BASE, nowhere, 0, 2));
	EXPECT(-EBADFD, rw_access(u.fd, -1, BASE, nowhere, 0, 0));
	EXPECT(-EBADFD, rw_access(u.fd, u.fd, BASE, nowhere, 0, 0));
	EXPECT(-EFAULT, rw_access(u.fd, u.copies, TOP, nowhere, 2, MOCK_WRITE));
	EXPECT(-EINVAL, rw_access(u.fd, u.copies, TOP, nowhere, 0, 0));
	EXPECT(-EOVERFLOW, rw_access(u.fd, u.copies, TOP, nowhere, 2, 0));
	EXPECT(-ENOENT, rw_access(u.fd, u.copies, 0x1000, nowhere, 2, 0));
	EXPECT(-ENOENT, rw_access(u.fd, u.copies, BASE - 1, bytes, 2, 0));
	EXPECT(-EFAULT, rw_access(u.fd, u.copies, BASE, nowhere, 2, 0));
	EXPECT(0, rw_access(u.fd, u.copies, BASE, bytes, 2, 0));
	EXPECT(0, rw_access(u.fd, u.pins, BASE, bytes, 2, 0));
}

TEST(bytes_are_copied_from_any_to_any)
{
	struct user u = user_new();
	static const u64 offsets[] = {0, 1, 2047, PAGE - 1, PAGE, 3 * PAGE - 7};
	static const u32 flags[] = {0, MOCK_SLOW};
	char bytes[2 * PAGE];

	FOR_EACH(flag, flags)
	{
		FOR_EACH(offset, offsets)
		{
			const u64 length = 2 * PAGE - *offset % PAGE - (*offset > 2 * PAGE ? PAGE : 0);

			about("%#llx bytes from %#llx, flags %#x", (unsigned long long)length,
			      (unsigned long long)*offset, *flag);
			memset(u.buffer, 0, 4 * PAGE);
			for (u64 i = 0; i < length; i++)
				bytes[i] = (char)(i * 7 + 1);
			EXPECT(0, rw_access(u.fd, u.copies, BASE + *offset, bytes, length, MOCK_WRITE | *flag));
			EXPECT_TRUE(memcmp(u.buffer + *offset, bytes, length) == 0);
			EXPECT_TRUE(*offset == 0 || u.buffer[*offset - 1] == 0);
			EXPECT_EQUAL(0, u.buffer[*offset + length]);
			memset(bytes, 0, sizeof(bytes));
			EXPECT(0, rw_access(u.fd, u.copies, BASE + *offset, bytes, length, *flag));
			EXPECT_TRUE(memcmp(u.buffer + *offset, bytes, length) == 0);
		}
	}
	EXPECT(0, check_refs(u.fd, u.buffer, 4 * PAGE, 0));
}

TEST(copies_mind_permissions_area_by_area)
{
	struct user u = user_new();
	char bytes[2 * PAGE];

	EXPECT(0, ASK(u.fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | IOMMU_IOAS_MAP_READABLE, .ioas_id = u.ioas,
		      .user_va = (uintptr_t)(u.buffer + 4 * PAGE), .length = PAGE, .iova = BASE + 4 * PAGE));
	memset(bytes, 1, sizeof(bytes));
	EXPECT(0, rw_access(u.fd, u.copies, BASE + 3 * PAGE, bytes, 2 * PAGE, 0));
	memset(bytes, 1, sizeof(bytes));
	EXPECT(-EPERM, rw_access(u.fd, u.copies, BASE + 4 * PAGE, bytes, 1, MOCK_WRITE));
	EXPECT(-EPERM, rw_access(u.fd, u.copies, BASE + 3 * PAGE, bytes, 2 * PAGE, MOCK_WRITE));
	EXPECT_EQUAL(1, u.buffer[3 * PAGE]); /* what came before is written */
	EXPECT_EQUAL(0, u.buffer[4 * PAGE]);
	EXPECT(-ENOENT, rw_access(u.fd, u.copies, BASE + 4 * PAGE, bytes, 2 * PAGE, 0));
}

TEST(copies_to_memory_that_is_not_there_are_faults)
{
	struct user u = user_new();
	char *half = reserve(2 * PAGE), bytes[2 * PAGE] = {0};

	protect(half, PAGE, PROT_READ | PROT_WRITE);
	EXPECT(0, map_at(u.fd, u.ioas, half, 2 * PAGE, 0x80000));
	EXPECT(-EFAULT, rw_access(u.fd, u.copies, 0x80000, bytes, 2 * PAGE, 0));
	EXPECT(-EFAULT, rw_access(u.fd, u.copies, 0x80000, bytes, 2 * PAGE, MOCK_WRITE | MOCK_SLOW));
	EXPECT(0, rw_access(u.fd, u.copies, 0x80000, bytes, PAGE, 0));
}

TEST(files_are_copied_to_and_from)
{
	struct user u = user_new();
	int file = new_file(2 * PAGE);
	char bytes[8] = "isolde", seen[8] = "";

	EXPECT(0, map_file_at(u.fd, u.ioas, file, 0, 2 * PAGE, 0x80000));
	EXPECT(0, rw_access(u.fd, u.copies, 0x80ffe, bytes, sizeof(bytes), MOCK_WRITE));
	EXPECT_EQUAL(sizeof(seen), pread(file, seen, sizeof(seen), 0xffe));
	EXPECT_TRUE(memcmp(bytes, seen, sizeof(bytes)) == 0);
	memset(seen, 0, sizeof(seen));
	EXPECT(0, rw_access(u.fd, u.copies, 0x80ffe, seen, sizeof(seen), 0));
	EXPECT_TRUE(memcmp(bytes, seen, sizeof(bytes)) == 0);
}

/* ---- another IOAS ---- */

static answer move(const struct user *u, int access, u32 ioas)
{
	return ask_mock(u->fd, &(struct mock_request){.op = MOCK_ACCESS_REPLACE, .id = (u32)access, .halves = {ioas}});
}

TEST(an_access_moves_to_another_ioas_and_lets_go_of_the_first)
{
	struct user u = user_new();
	u32 other = new_ioas(u.fd), odd = new_ioas(u.fd);

	EXPECT(0, map_at(u.fd, other, u.buffer + 4 * PAGE, 4 * PAGE, BASE));
	EXPECT(0, map_at(u.fd, odd, u.buffer, 100, 0x1000));
	EXPECT(0, pin_access(u.fd, u.pins, BASE, PAGE, u.buffer, 0));
	EXPECT(-EBADFD, move(&u, u.fd, other));
	EXPECT(-ENOENT, move(&u, u.pins, NOBODY));
	EXPECT(-EADDRINUSE, move(&u, u.pins, odd));
	EXPECT(0, move(&u, u.pins, u.ioas));
	EXPECT(0, check_refs(u.fd, u.buffer, PAGE, 1));
	EXPECT(0, move(&u, u.pins, other));
	EXPECT(0, check_refs(u.fd, u.buffer, PAGE, 0));
	EXPECT(-ENOENT, unpin_access(u.fd, u.pins, 0));
	EXPECT(1, pin_access(u.fd, u.pins, BASE, PAGE, u.buffer + 4 * PAGE, 0));
	EXPECT_EQUAL(1, alignment_of(u.fd, u.ioas));
	EXPECT_EQUAL(PAGE, alignment_of(u.fd, other));
	EXPECT(0, move(&u, u.copies, odd));
	EXPECT(0, destroy(u.fd, u.ioas));
	EXPECT(-EBUSY, destroy(u.fd, other));
}

TEST(the_limit_of_batches_changes_nothing_that_can_be_seen)
{
	static const u32 limits[] = {12, 16, 32, 65536};
	struct user u = user_new();

	EXPECT(-EINVAL, ask_mock(u.fd, &(struct mock_request){.op = MOCK_MEMORY_LIMIT, .halves = {11}}));
	FOR_EACH(limit, limits)
	{
		struct mock mock;

		about("%u bytes", *limit);
		EXPECT(0, ask_mock(u.fd, &(struct mock_request){.op = MOCK_MEMORY_LIMIT, .halves = {*limit}}));
		EXPECT(0, map_at(u.fd, u.ioas, u.buffer + 4 * PAGE, 4 * PAGE, MOCK_FIRST));
		EXPECT(4 * PAGE, unmap(u.fd, u.ioas, BASE, 4 * PAGE));
		mock = new_mock(u.fd, u.ioas, 0);
		EXPECT(0, check_maps(u.fd, mock.hwpt, MOCK_FIRST, 4 * PAGE, u.buffer + 4 * PAGE));
		EXPECT(4 * PAGE, unmap(u.fd, u.ioas, MOCK_FIRST, 4 * PAGE));
		EXPECT(0, destroy(u.fd, mock.stdev));
		EXPECT(0, map_at(u.fd, u.ioas, u.buffer, 4 * PAGE, BASE));
	}
}

SUITE(access, CASE(creation_is_refused_in_this_order), CASE(an_access_keeps_its_ioas),
      CASE(pins_are_refused_in_this_order), CASE(items_are_numbered_and_never_again), CASE(a_pin_goes_with_its_access),
      CASE(pins_span_areas_that_meet), CASE(an_unmap_asks_whoever_pinned_to_let_go),
      CASE(memory_that_is_not_there_cannot_be_pinned_at_all), CASE(pins_outlive_the_domains_they_share_with),
      CASE(copies_are_refused_in_this_order), CASE(bytes_are_copied_from_any_to_any),
      CASE(copies_mind_permissions_area_by_area), CASE(copies_to_memory_that_is_not_there_are_faults),
      CASE(files_are_copied_to_and_from), CASE(an_access_moves_to_another_ioas_and_lets_go_of_the_first),
      CASE(the_limit_of_batches_changes_nothing_that_can_be_seen));
