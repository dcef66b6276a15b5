/* SPDX-License-Identifier: MIT */
/* IOAS_MAP, IOAS_MAP_FILE, IOAS_COPY: every refusal, in their order (spec 03 section 3.5). */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/conform.h"

/* Where reservations and areas are in the rows below. */
enum { TAKEN = 0x2000000, RESERVED = 0x2010000, FREE = 0x3000000 };

#define HALF (TOP / 2)

/* Each row breaks its own rule, and as many of the later ones as can be broken at once. */
struct row {
	const char *what;
	u32 flags, reserved;
	bool nobody;	/* the IOAS does not exist */
	u64 va, length; /* va counts from the buffer; absolute above 2^63 */
	u64 iova;
	answer plain, mock; /* in an IOAS that nothing is attached to, and with a mock device */
};

static const struct row map_rows[] = {
	{"an unknown flag", FIXED | RW | 8, 0, true, 0, TOP, TOP, -EOPNOTSUPP, -EOPNOTSUPP},
	{"all flags", ~0u, 0, true, 0, 0, 0, -EOPNOTSUPP, -EOPNOTSUPP},
	{"a reserved field", FIXED | RW, 1, true, 0, TOP, TOP, -EOPNOTSUPP, -EOPNOTSUPP},
	{"the last iova", FIXED, 0, true, 0, 0, TOP, -EOVERFLOW, -EOVERFLOW},
	{"the last iova, though one is chosen", RW, 0, true, 0, 0, TOP, -EOVERFLOW, -EOVERFLOW},
	{"the largest length", FIXED, 0, true, 0, TOP, 0, -EOVERFLOW, -EOVERFLOW},
	{"no permission", FIXED, 0, true, 0, 0, TAKEN + 1, -EINVAL, -EINVAL},
	{"no IOAS", FIXED | RW, 0, true, TOP, 2, TAKEN + 1, -ENOENT, -ENOENT},
	{"an address that wraps", FIXED | RW, 0, false, TOP, 2, TAKEN + 1, -EOVERFLOW, -EOVERFLOW},
	{"an address that ends at 2^64", FIXED | RW, 0, false, TOP, 1, TAKEN + 1, -EOVERFLOW, -EOVERFLOW},
	{"no length", FIXED | RW, 0, false, 0, 0, TAKEN + 1, -EINVAL, -EINVAL},
	{"an address that wraps, of no length", FIXED | RW, 0, false, TOP, 0, TAKEN, -EINVAL, -EINVAL},
	{"a length of all but two bytes", FIXED | RW, 0, false, 0, TOP - 1, 2, -EOVERFLOW, -EOVERFLOW},
	{"an odd length", FIXED | RW, 0, false, 0, 2049, TAKEN, -EEXIST, -EINVAL},
	{"an odd length, anywhere", RW, 0, false, 0, 2049, 0, 0, -EINVAL},
	{"an odd iova", FIXED | RW, 0, false, 0, PAGE, TAKEN + 1, -EEXIST, -EINVAL},
	{"a range that wraps", FIXED | RW, 0, false, 0, 2 * PAGE, 0ull - PAGE, -EOVERFLOW, -EOVERFLOW},
	{"a reservation", FIXED | RW, 0, false, 0, PAGE, RESERVED, -EINVAL, -EINVAL},
	{"a reservation and an area", FIXED | RW, 0, false, 0, 32 * PAGE, TAKEN, -EINVAL, -EINVAL},
	{"the last page of a reservation", FIXED | RW, 0, false, 0, 2 * PAGE, RESERVED - PAGE, -EINVAL, -EINVAL},
	{"an area", FIXED | RW, 0, false, 0, PAGE, TAKEN, -EEXIST, -EEXIST},
	{"the end of an area", FIXED | RW, 0, false, 0, 2 * PAGE, TAKEN + PAGE, -EEXIST, -EEXIST},
	{"the start of an area", FIXED | RW, 0, false, 0, 2 * PAGE, TAKEN - PAGE, -EEXIST, -EEXIST},
	{"outside of the aperture", FIXED | RW, 0, false, 0, PAGE, MOCK_FIRST - PAGE, 0, -EINVAL},
	{"half outside of the aperture", FIXED | RW, 0, false, 0, 2 * PAGE, MOCK_LAST + 1 - PAGE, 0, -EINVAL},
	{"half of all, anywhere", RW, 0, false, 0, HALF, 0, -EOVERFLOW, -EINVAL},
	{"half of all and a byte, anywhere", RW, 0, false, 0, HALF + 1, 0, -EOVERFLOW, -EOVERFLOW},
	{"an odd address", FIXED | RW, 0, false, 1, PAGE, FREE, 0, -EINVAL},
	{"an odd address, anywhere", RW, 0, false, 1, PAGE, 0, 0, -EINVAL},
	{"half a page", FIXED | RW, 0, false, 2048, 2048, FREE + 2048, 0, 0},
	{"writes only", FIXED | IOMMU_IOAS_MAP_WRITEABLE, 0, false, 0, PAGE, FREE, 0, 0},
	{"reads only", FIXED | IOMMU_IOAS_MAP_READABLE, 0, false, 0, PAGE, FREE, 0, 0},
	{"reads, anywhere", IOMMU_IOAS_MAP_READABLE, 0, false, 0, PAGE, 0, 0, 0},
};

struct map_room {
	int fd;
	u32 ioas, hwpt; /* hwpt 0: nothing is attached */
	char *buffer;	/* 64 pages */
};

static struct map_room room_new(bool attached)
{
	struct map_room room = {.fd = iommu(), .buffer = memory(64 * PAGE)};

	room.ioas = new_ioas(room.fd);
	if (attached) {
		need_mock();
		room.hwpt = new_mock(room.fd, room.ioas, 0).hwpt;
	}
	EXPECT(0, map_at(room.fd, room.ioas, room.buffer + 60 * PAGE, 2 * PAGE, TAKEN));
	if (have_mock())
		EXPECT(0, reserve_iova(room.fd, room.ioas, RESERVED, PAGE));
	return room;
}

static void check_row(const struct map_room *room, const struct row *row)
{
	answer expected = room->hwpt ? row->mock : row->plain;
	struct iommu_ioas_map request = {
		.size = sizeof(request),
		.flags = row->flags,
		.ioas_id = row->nobody ? NOBODY : room->ioas,
		.__reserved = row->reserved,
		.user_va = row->va > HALF ? row->va : (uintptr_t)room->buffer + row->va,
		.length = row->length,
		.iova = row->iova,
	};

	about("%s", row->what);
	EXPECT(expected, ask(room->fd, IOMMU_IOAS_MAP, &request));
	if (expected == 0)
		EXPECT(row->length, unmap(room->fd, room->ioas, request.iova, row->length));
	/* Nothing was left behind: all but what was there from the start can be mapped. */
	EXPECT(0, map_at(room->fd, room->ioas, room->buffer, 16 * PAGE, FREE));
	EXPECT(16 * PAGE, unmap(room->fd, room->ioas, FREE, 16 * PAGE));
}

TEST(map_is_refused_in_this_order)
{
	struct map_room room = room_new(false);

	FOR_EACH(row, map_rows)
	if (have_mock() || !(row->iova >= RESERVED - PAGE && row->iova <= RESERVED))
		if (row->length != 32 * PAGE || have_mock())
			check_row(&room, row);
}

TEST(map_is_refused_in_this_order_with_a_device)
{
	struct map_room room = room_new(true);

	FOR_EACH(row, map_rows)
	check_row(&room, row);
}

TEST(an_answer_that_cannot_be_given_leaves_the_area)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	const struct iommu_ioas_map request = {.size = sizeof(request),
					       .flags = FIXED | RW,
					       .ioas_id = new_ioas(fd),
					       .user_va = (uintptr_t)buffer,
					       .length = PAGE,
					       .iova = 0x1000};

	EXPECT(-EFAULT, ask_read_only(fd, IOMMU_IOAS_MAP, &request, sizeof(request)));
	EXPECT(-EEXIST, map_at(fd, request.ioas_id, buffer, PAGE, 0x1000));
}

/* ---- pinning ---- */

struct bad_memory {
	const char *what;
	char *start; /* two pages, of which something is wrong */
	u32 flags;
	answer pinned;
};

static void bad_memories(struct bad_memory bad[static 6])
{
	char *half = reserve(2 * PAGE), *second = reserve(2 * PAGE), *inaccessible = reserve(2 * PAGE);
	char *read_only = memory(2 * PAGE);

	protect(half, PAGE, PROT_READ | PROT_WRITE);
	protect(second + PAGE, PAGE, PROT_READ | PROT_WRITE);
	protect(read_only, 2 * PAGE, PROT_READ);
	bad[0] = (struct bad_memory){"nothing at all", (char *)PAGE, RW, -EFAULT};
	bad[1] = (struct bad_memory){"only the first page", half, RW, -EFAULT};
	bad[2] = (struct bad_memory){"only the second page", second, RW, -EFAULT};
	bad[3] = (struct bad_memory){"memory that nobody may touch", inaccessible, RW, -EFAULT};
	bad[4] = (struct bad_memory){"memory that may be read, to write", read_only, RW, -EFAULT};
	bad[5] = (struct bad_memory){"memory that may be read, to read", read_only, IOMMU_IOAS_MAP_READABLE, 0};
}

static answer map_bad(int fd, u32 ioas, const struct bad_memory *bad)
{
	return ASK(fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | bad->flags, .ioas_id = ioas,
		   .user_va = (uintptr_t)bad->start, .length = 2 * PAGE, .iova = FREE);
}

TEST(with_a_device_memory_is_pinned_when_mapped)
{
	struct map_room room = room_new(true);
	struct bad_memory bad[6];

	bad_memories(bad);
	FOR_EACH(row, bad)
	{
		about("%s", row->what);
		EXPECT(row->pinned, map_bad(room.fd, room.ioas, row));
		EXPECT(row->pinned ? -ENOENT : (answer)(2 * PAGE), unmap(room.fd, room.ioas, FREE, 2 * PAGE));
		EXPECT(0, map_at(room.fd, room.ioas, room.buffer, 2 * PAGE, FREE));
		EXPECT(2 * PAGE, unmap(room.fd, room.ioas, FREE, 2 * PAGE));
	}
	EXPECT(0, check_refs(room.fd, room.buffer, 60 * PAGE, 0));
}

TEST(without_a_device_memory_is_pinned_when_one_attaches)
{
	struct bad_memory bad[6];
	struct mock mock;
	int fd = iommu();

	need_mock();
	bad_memories(bad);
	FOR_EACH(row, bad)
	{
		u32 ioas = new_ioas(fd);

		about("%s", row->what);
		EXPECT(0, map_bad(fd, ioas, row));
		EXPECT(row->pinned, try_mock(fd, ioas, 0, &mock));
		EXPECT_EQUAL(row->pinned ? 1 : MOCK_PAGE, alignment_of(fd, ioas));
		EXPECT(2 * PAGE, unmap(fd, ioas, FREE, 2 * PAGE));
		EXPECT(0, try_mock(fd, ioas, 0, &mock));
	}
}

/* ---- files ---- */

TEST(map_file_is_refused_in_this_order)
{
	const struct {
		const char *what;
		u32 flags;
		bool nobody, bad_fd;
		u64 start, length, iova;
		answer expected;
	} rows[] = {
		{"an unknown flag", FIXED | 8, true, true, TOP, TOP, TOP, -EOPNOTSUPP},
		{"the last iova", FIXED, true, true, TOP, 0, TOP, -EOVERFLOW},
		{"the largest length", FIXED, true, true, TOP, TOP, 0, -EOVERFLOW},
		{"no permission", FIXED, true, true, TOP, 0, 0, -EINVAL},
		{"no IOAS", FIXED | RW, true, true, TOP, 0, 0, -ENOENT},
		{"no length", FIXED | RW, false, true, TOP, 0, 0, -EINVAL},
		{"a start that wraps", FIXED | RW, false, true, TOP, 2, 0, -EOVERFLOW},
		{"no file", FIXED | RW, false, true, 0, TOP - 1, 0x4000, -EBADF},
		{"all but two bytes", FIXED | RW, false, false, 0, TOP - 1, 0x4000, -EINVAL},
		{"an area", FIXED | RW, false, false, 0, PAGE, 0x4000, -EEXIST},
		{"a free place", FIXED | RW, false, false, 0, PAGE, 0x5000, 0},
		{"beyond the end of the file", FIXED | RW, false, false, 64 * PAGE, PAGE, 0x8000, 0},
		{"from an odd byte", FIXED | RW, false, false, 5, 9, 0x9000, 0},
	};
	int fd = iommu(), file = new_file(4 * PAGE);
	u32 ioas = new_ioas(fd);

	EXPECT(0, map_file_at(fd, ioas, file, 0, PAGE, 0x4000));
	FOR_EACH(row, rows)
	{
		about("%s", row->what);
		EXPECT(row->expected, ASK(fd, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = row->flags,
					  .ioas_id = row->nobody ? NOBODY : ioas, .fd = row->bad_fd ? 9999 : file,
					  .start = row->start, .length = row->length, .iova = row->iova));
	}
	EXPECT(-EBADF, map_file_at(fd, ioas, -1, 0, PAGE, 0x6000));
}

TEST(a_file_is_pinned_through_its_pages)
{
	struct map_room room = room_new(true);
	int file = new_file(4 * PAGE);
	char *seen = mapped(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), 4 * PAGE);

	EXPECT(0, map_file_at(room.fd, room.ioas, file, PAGE, 2 * PAGE, FREE));
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE, 2 * PAGE, seen + PAGE));
	EXPECT(-EINVAL, check_maps(room.fd, room.hwpt, FREE, PAGE, seen));
	EXPECT(0, check_refs(room.fd, seen, PAGE, 0));
	EXPECT(0, check_refs(room.fd, seen + PAGE, 2 * PAGE, 1));
	drop(file); /* the area keeps it */
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE, 2 * PAGE, seen + PAGE));
	EXPECT(2 * PAGE, unmap(room.fd, room.ioas, FREE, 2 * PAGE));
	EXPECT(0, check_refs(room.fd, seen, 4 * PAGE, 0));
}

/* The descriptor's own mode is not looked at. */
TEST(a_descriptor_for_reading_serves_to_write)
{
	struct map_room room = room_new(true);
	int file = new_file(PAGE), reader;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	reader = watch(open_answer(path, O_RDONLY));
	EXPECT(0, map_file_at(room.fd, room.ioas, reader, 0, PAGE, FREE));
}

TEST(a_file_is_pinned_as_far_as_it_goes)
{
	struct map_room room = room_new(true);
	int file = new_file(2 * PAGE + 100), pipes[2];

	EXPECT(0, map_file_at(room.fd, room.ioas, file, PAGE, PAGE, FREE));
	EXPECT(-EINVAL, map_file_at(room.fd, room.ioas, file, 2 * PAGE, PAGE, FREE + PAGE)); /* not a whole page */
	EXPECT(-EINVAL, map_file_at(room.fd, room.ioas, file, PAGE, 2 * PAGE, FREE + PAGE));
	EXPECT(-EINVAL, map_file_at(room.fd, room.ioas, file, 3 * PAGE, PAGE, FREE + PAGE));
	EXPECT_EQUAL(0, pipe(pipes));
	watch(pipes[0]);
	watch(pipes[1]);
	EXPECT(-EINVAL, map_file_at(room.fd, room.ioas, pipes[0], 0, PAGE, FREE + PAGE));
	EXPECT(-ENOENT, unmap(room.fd, room.ioas, FREE + PAGE, PAGE));
}

TEST(any_file_can_be_mapped_until_it_must_be_pinned)
{
	int fd = iommu(), pipes[2];
	u32 ioas = new_ioas(fd);
	struct mock mock;

	EXPECT_EQUAL(0, pipe(pipes));
	watch(pipes[0]);
	watch(pipes[1]);
	EXPECT(0, map_file_at(fd, ioas, pipes[0], 0, PAGE, FREE));
	EXPECT(0, map_file_at(fd, ioas, iommu(), 0, PAGE, FREE + PAGE));
	need_mock();
	EXPECT(-EINVAL, try_mock(fd, ioas, 0, &mock));
	EXPECT(2 * PAGE, unmap(fd, ioas, FREE, 2 * PAGE));
	EXPECT(0, try_mock(fd, ioas, 0, &mock));
}

/* ---- copies ---- */

TEST(copy_is_refused_in_this_order)
{
	const struct {
		const char *what;
		u32 flags;
		bool no_source, no_target;
		u64 length, to, from;
		answer plain, mock;
	} rows[] = {
		{"an unknown flag", FIXED | 8, true, true, TOP, TOP, TOP, -EOPNOTSUPP, -EOPNOTSUPP},
		{"the largest length", FIXED, true, true, TOP, 0, 0, -EOVERFLOW, -EOVERFLOW},
		{"the last source", FIXED, true, true, 0, 0, TOP, -EOVERFLOW, -EOVERFLOW},
		{"the last target", FIXED, true, true, 0, TOP, 0, -EOVERFLOW, -EOVERFLOW},
		{"no permission", FIXED, true, true, 0, 0, 0, -EINVAL, -EINVAL},
		{"no source", FIXED | RW, true, true, 0, 0, 0, -ENOENT, -ENOENT},
		{"no length", FIXED | RW, false, true, 0, 0, 0, -EINVAL, -EINVAL},
		{"a source that wraps", FIXED | RW, false, true, 2, 0, TOP - 0, -EOVERFLOW, -EOVERFLOW},
		{"a source that ends beyond 2^64", FIXED | RW, false, true, PAGE, 0, TOP - 1, -EOVERFLOW, -EOVERFLOW},
		{"nothing there", FIXED | RW, false, true, PAGE, 0, 0x9000, -ENOENT, -ENOENT},
		{"a hole in the middle", FIXED | RW, false, true, 6 * PAGE, 0, 0x1000, -ENOENT, -ENOENT},
		{"more than there is", FIXED | RW, false, true, 3 * PAGE, 0, 0x2000, -ENOENT, -ENOENT},
		{"before the first", FIXED | RW, false, true, PAGE, 0, 0xfff, -ENOENT, -ENOENT},
		{"no target", FIXED | RW, false, true, PAGE, TAKEN, 0x1000, -ENOENT, -ENOENT},
		{"an odd length", FIXED | RW, false, false, 2049, TAKEN, 0x1000, -EEXIST, -EINVAL},
		{"an odd target", FIXED | RW, false, false, PAGE, TAKEN + 1, 0x1000, -EEXIST, -EINVAL},
		{"a target that wraps", FIXED | RW, false, false, 2 * PAGE, 0ull - PAGE, 0x1000, -EOVERFLOW,
		 -EOVERFLOW},
		{"an area", FIXED | RW, false, false, PAGE, TAKEN, 0x5000, -EEXIST, -EEXIST},
		{"read-only memory, to write", FIXED | RW, false, false, PAGE, FREE, 0x5000, -EPERM, -EPERM},
		{"the same from an odd byte", FIXED | RW, false, false, PAGE, FREE, 0x5001, -EPERM, -EPERM},
		{"an odd source", FIXED | RW, false, false, PAGE, FREE, 0x1001, 0, -EINVAL},
		{"two areas, the second read-only", FIXED | RW, false, false, 2 * PAGE, FREE, 0x4000, -EPERM, -EPERM},
		{"two areas, to read", FIXED | IOMMU_IOAS_MAP_READABLE, false, false, 2 * PAGE, FREE, 0x4000, 0, 0},
		{"a middle", FIXED | RW, false, false, PAGE, FREE, 0x1800, 0, 0},
	};

	for (int attached = 0; attached <= (int)have_mock(); attached++) {
		struct map_room room = room_new(attached);
		u32 source = new_ioas(room.fd);

		EXPECT(0, map_at(room.fd, source, room.buffer, 2 * PAGE, 0x1000));
		EXPECT(0, map_at(room.fd, source, room.buffer + 8 * PAGE, PAGE, 0x4000));
		EXPECT(0, ASK(room.fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | IOMMU_IOAS_MAP_READABLE,
			      .ioas_id = source, .user_va = (uintptr_t)(room.buffer + 9 * PAGE), .length = 2 * PAGE,
			      .iova = 0x5000));
		FOR_EACH(row, rows)
		{
			about("%s%s", row->what, attached ? ", with a device" : "");
			EXPECT(attached ? row->mock : row->plain,
			       ASK(room.fd, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = row->flags,
				   .dst_ioas_id = row->no_target ? NOBODY : room.ioas,
				   .src_ioas_id = row->no_source ? NOBODY : source, .length = row->length,
				   .dst_iova = row->to, .src_iova = row->from));
			EXPECT((attached ? row->mock : row->plain) ? -ENOENT : (answer)row->length,
			       unmap(room.fd, room.ioas, FREE, 16 * PAGE));
		}
	}
}

TEST(copies_share_the_pins_of_what_they_copy)
{
	struct map_room room = room_new(true);
	u32 other = new_ioas(room.fd), hwpt = new_mock(room.fd, other, 0).hwpt;

	EXPECT(0, map_at(room.fd, room.ioas, room.buffer, 4 * PAGE, FREE));
	EXPECT(0, copy_at(room.fd, other, FREE, room.ioas, FREE + PAGE, 2 * PAGE));
	EXPECT(0, copy_at(room.fd, room.ioas, FREE + 4 * PAGE, room.ioas, FREE, 4 * PAGE));
	EXPECT(0, check_refs(room.fd, room.buffer, 4 * PAGE, 1));
	EXPECT(0, check_maps(room.fd, hwpt, FREE, 2 * PAGE, room.buffer + PAGE));
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE + 4 * PAGE, 4 * PAGE, room.buffer));
	EXPECT(4 * PAGE, unmap(room.fd, room.ioas, FREE, 4 * PAGE));
	EXPECT(4 * PAGE, unmap(room.fd, room.ioas, FREE + 4 * PAGE, 4 * PAGE));
	EXPECT(0, check_maps(room.fd, hwpt, FREE, 2 * PAGE, room.buffer + PAGE));
	EXPECT(0, check_refs(room.fd, room.buffer, PAGE, 0));
	EXPECT(0, check_refs(room.fd, room.buffer + PAGE, 2 * PAGE, 1));
	EXPECT(0, check_refs(room.fd, room.buffer + 3 * PAGE, PAGE, 0));
}

/* Two maps of the same memory know nothing of each other: each pins. */
TEST(two_maps_of_the_same_memory_pin_it_twice)
{
	struct map_room room = room_new(true);

	EXPECT(0, map_at(room.fd, room.ioas, room.buffer, 2 * PAGE, FREE));
	EXPECT(0, map_at(room.fd, room.ioas, room.buffer, 2 * PAGE, FREE + 2 * PAGE));
	EXPECT(0, check_refs(room.fd, room.buffer, 2 * PAGE, 2));
	EXPECT(2 * PAGE, unmap(room.fd, room.ioas, FREE, 2 * PAGE));
	EXPECT(0, check_refs(room.fd, room.buffer, 2 * PAGE, 1));
}

/* ---- what a device sees ---- */

TEST(a_device_sees_what_is_mapped_while_it_is_mapped)
{
	struct map_room room = room_new(true);

	EXPECT(-EINVAL, check_maps(room.fd, room.hwpt, FREE, PAGE, room.buffer));
	EXPECT(0, map_at(room.fd, room.ioas, room.buffer, 4 * PAGE, FREE));
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE, 4 * PAGE, room.buffer));
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE + 2048, 2048, room.buffer + 2048));
	EXPECT(-EINVAL, check_maps(room.fd, room.hwpt, FREE, PAGE, room.buffer + PAGE));
	EXPECT(-EINVAL, check_maps(room.fd, room.hwpt, FREE, 5 * PAGE, room.buffer));
	EXPECT(0, check_refs(room.fd, room.buffer, 4 * PAGE, 1));
	EXPECT(4 * PAGE, unmap(room.fd, room.ioas, FREE, 4 * PAGE));
	EXPECT(-EINVAL, check_maps(room.fd, room.hwpt, FREE, PAGE, room.buffer));
	EXPECT(0, check_refs(room.fd, room.buffer, 4 * PAGE, 0));
}

/* What a device reads was decided when it was mapped: later memory at the same address is other memory. */
TEST(pinned_memory_stays_what_it_was)
{
	struct map_room room = room_new(true);
	char *page = room.buffer + 8 * PAGE;

	EXPECT(0, map_at(room.fd, room.ioas, page, PAGE, FREE));
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE, PAGE, page));
	EXPECT_TRUE(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
	*page = 1;
	EXPECT(-EINVAL, check_maps(room.fd, room.hwpt, FREE, PAGE, page));
	EXPECT(0, check_refs(room.fd, page, PAGE, 0));
	EXPECT(PAGE, unmap(room.fd, room.ioas, FREE, PAGE));
}

/* Memory that is only read for a device is the process's own all the same: what it writes later, the device reads. */
TEST(read_only_pins_see_what_is_written_later)
{
	struct map_room room = room_new(true);
	int file = new_file(PAGE);
	char *copy = mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0), PAGE);

	EXPECT(0, ASK(room.fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | IOMMU_IOAS_MAP_READABLE,
		      .ioas_id = room.ioas, .user_va = (uintptr_t)copy, .length = PAGE, .iova = FREE));
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE, PAGE, copy));
	copy[0] = 1;
	EXPECT(0, check_maps(room.fd, room.hwpt, FREE, PAGE, copy));
	EXPECT(0, check_refs(room.fd, copy, PAGE, 1));
	EXPECT(PAGE, unmap(room.fd, room.ioas, FREE, PAGE));
	EXPECT(0, check_refs(room.fd, copy, PAGE, 0));
}

TEST(every_domain_of_an_ioas_holds_every_area)
{
	struct map_room room = room_new(true);
	struct mock second;
	u32 domain;

	EXPECT(0, map_at(room.fd, room.ioas, room.buffer, 2 * PAGE, FREE));
	second = new_mock(room.fd, room.ioas, 0);
	EXPECT_EQUAL(room.hwpt, second.hwpt);
	domain = (u32)WORKS(alloc_hwpt(room.fd, second.idev, room.ioas, 0));
	EXPECT(0, check_maps(room.fd, domain, FREE, 2 * PAGE, room.buffer));
	EXPECT(0, check_refs(room.fd, room.buffer, 2 * PAGE, 1));
	EXPECT(0, map_at(room.fd, room.ioas, room.buffer + 4 * PAGE, PAGE, FREE + 8 * PAGE));
	EXPECT(0, check_maps(room.fd, domain, FREE + 8 * PAGE, PAGE, room.buffer + 4 * PAGE));
	EXPECT(2 * PAGE, unmap(room.fd, room.ioas, FREE, 2 * PAGE));
	EXPECT(-EINVAL, check_maps(room.fd, domain, FREE, PAGE, room.buffer));
	EXPECT(-EINVAL, check_maps(room.fd, room.hwpt, FREE, PAGE, room.buffer));
}

SUITE(map, CASE(map_is_refused_in_this_order), CASE(map_is_refused_in_this_order_with_a_device),
      CASE(an_answer_that_cannot_be_given_leaves_the_area), CASE(with_a_device_memory_is_pinned_when_mapped),
      CASE(without_a_device_memory_is_pinned_when_one_attaches), CASE(map_file_is_refused_in_this_order),
      CASE(a_file_is_pinned_through_its_pages), CASE(a_descriptor_for_reading_serves_to_write),
      CASE(a_file_is_pinned_as_far_as_it_goes), CASE(any_file_can_be_mapped_until_it_must_be_pinned),
      CASE(copy_is_refused_in_this_order), CASE(copies_share_the_pins_of_what_they_copy),
      CASE(two_maps_of_the_same_memory_pin_it_twice), CASE(a_device_sees_what_is_mapped_while_it_is_mapped),
      CASE(pinned_memory_stays_what_it_was), CASE(read_only_pins_see_what_is_written_later),
      CASE(every_domain_of_an_ioas_holds_every_area));
