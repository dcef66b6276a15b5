/* SPDX-License-Identifier: MIT */
/* Groups of emulated devices in VFIO's own containers, alone and beside others (spec 04 section 7, 06 section 6). */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fixtures/mcopy_driver.h"
#include "vfio/container.h"
#include "vfio/device.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define IOVA		    0x100000000ull
#define SIZE		    (4 * PAGE_SIZE)
#define EIGHT_TIB	    (BIT(31) * PAGE_SIZE)
#define START		    VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define GET		    VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

static u8 memory[SIZE] __attribute__((aligned(PAGE_SIZE)));

static struct type1 *type1_in(struct room *room, int container)
{
	return container_of_file(room_file(room, container))->backend;
}

static u64 locked_pages(const struct room *room)
{
	return room->client->locked_bytes / PAGE_SIZE;
}

static int enter(struct room *room, const char *name, int container)
{
	int group = (int)ASSERT_OK(room->why, room_open_group(room, name));

	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	return group;
}

static int extension(struct room *room, int container, unsigned which)
{
	return (int)ASSERT_OK(room->why, IOCTL(container, VFIO_CHECK_EXTENSION, which));
}

TEST(emulated_container, moves_and_pins_what_is_mapped)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	u64 size;

	memset(memory, 7, PAGE_SIZE);
	assert_null(room->mdev_iommu->group->owner);
	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	assert_int_equal(command(room, mdev.device, MCOPY_COPY, IOVA, IOVA + PAGE_SIZE + 1, 100), MCOPY_OK);
	assert_memory_equal(memory, memory + PAGE_SIZE + 1, 100);
	assert_int_equal(locked_pages(room), 0);
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA + 5, 0, PAGE_SIZE), MCOPY_OK);
	assert_int_equal(locked_pages(room), 2);
	EXPECT_REFUSED(GROUP_DEVICES_OPEN, room->why, IOCTL(mdev.group, VFIO_GROUP_UNSET_CONTAINER, 0));
	ASSERT_OK(room->why, room_unmap(room, mdev.container, IOVA, SIZE, 0, &size));
	assert_int_equal(load(room, mdev.device, MCOPY_LOST), 1);
	assert_int_equal(locked_pages(room), 0);
	assert_int_equal(command(room, mdev.device, MCOPY_COPY, IOVA, IOVA + PAGE_SIZE, 16), MCOPY_NO_SOURCE);
	assert_int_equal(room->soft_fault.code, WHY_PIN_UNMAPPED);
	/* The next program finds everything as new. */
	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA, 0, SIZE), MCOPY_OK);
	room_close_device(room, &mdev);
	assert_int_equal(locked_pages(room), 0);
	mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1_IOMMU);
	assert_int_equal(load(room, mdev.device, MCOPY_WINDOW_SIZE), 0);
	room_free(room);
}

/* Nobody translates, so nobody asks what is where. */
TEST(emulated_container, alone_has_no_ranges_and_pins_nothing)
{
	struct room *room = room_new();
	int container = room_open_container(room);
	struct {
		struct vfio_iommu_type1_info info;
		u8 chain[200];
	} info = {.info.argsz = sizeof(info)};

	enter(room, ROOM_MDEV, container);
	assert_int_equal(extension(room, container, VFIO_DMA_CC_IOMMU), 0);
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	assert_int_equal(extension(room, container, VFIO_DMA_CC_IOMMU), 1);
	assert_int_equal(extension(room, container, VFIO_UPDATE_VADDR), 0);
	ASSERT_OK(room->why, IOCTL(container, VFIO_IOMMU_GET_INFO, &info));
	assert_int_equal(info.info.iova_pgsizes, PAGE_MASK);
	assert_int_equal(info.info.cap_offset, sizeof(info.info));
	assert_int_equal(get_u32((u8 *)&info + 24 + 4), 56); /* MIGRATION, then DMA_AVAIL, and no more */
	assert_int_equal(get_u16((u8 *)&info + 56), VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	assert_int_equal(get_u32((u8 *)&info + 56 + 4), 0);
	/* No memory at all, at the end of all IOVAs. */
	ASSERT_OK(room->why, room_map(room, container, (void *)PAGE_SIZE, 0ull - PAGE_SIZE, PAGE_SIZE, 3));
	assert_int_equal(locked_pages(room), 0);
	EXPECT_REFUSED(VADDR_EMULATED, room->why,
		       room_unmap(room, container, 1, 0, VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR, NULL));
	room_free(room);
}

TEST(emulated_container, a_group_with_dma_pins_all_and_gives_it_back)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	int group;
	u64 size;

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA, 0, PAGE_SIZE), MCOPY_OK);
	assert_int_equal(locked_pages(room), 1);
	group = enter(room, ROOM_NVME, mdev.container);
	assert_int_equal(locked_pages(room), 4);
	assert_non_null(domain_area_at(room_device(room, ROOM_NVME)->group->domain, IOVA));
	room_check(room);
	/* A pin meanwhile costs nothing more, but counts when only pins are left. */
	assert_int_equal(command(room, mdev.device, MCOPY_UNPIN, 0, 0, 0), MCOPY_OK);
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA + PAGE_SIZE, 0, 2 * PAGE_SIZE), MCOPY_OK);
	assert_int_equal(locked_pages(room), 4);
	EXPECT_REFUSED(IOVA_OUTSIDE, room->why, room_map(room, mdev.container, memory, BIT(60), PAGE_SIZE, 3));
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	assert_int_equal(locked_pages(room), 2);
	/* As in Linux there is a range now, of everything. */
	ASSERT_OK(room->why, room_map(room, mdev.container, memory, BIT(60), PAGE_SIZE, 3));
	assert_int_equal(locked_pages(room), 2);
	ASSERT_OK(room->why, room_unmap(room, mdev.container, IOVA, SIZE, 0, &size));
	assert_int_equal(locked_pages(room), 0);
	/* What the group could not reach keeps it away. */
	EXPECT_REFUSED(GROUP_APERTURE, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &mdev.container));
	room_free(room);
}

/* Nobody has said so far what can be reached, so it is the new domain that cannot map it: after what lies before. */
TEST(emulated_container, a_group_that_comes_first_finds_out_what_it_cannot_reach)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	int group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_NVME));
	u64 size;

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	ASSERT_OK(room->why, room_map(room, mdev.container, memory, BIT(60), PAGE_SIZE, 3));
	ASSERT_OK(room->why, room_map(room, mdev.container, (void *)PAGE_SIZE, BIT(61), PAGE_SIZE, 1));
	EXPECT_REFUSED(MAP_BEYOND, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &mdev.container));
	EXPECT_SUBSTR("0x1000000000000000", room->why.text);
	assert_int_equal(locked_pages(room), 0);
	assert_false(iommu_group_claimed(room_device(room, ROOM_NVME)->group));
	room_check(room);
	ASSERT_OK(room->why, room_unmap(room, mdev.container, BIT(60), BIT(61), 0, &size));
	ASSERT_OK(room->why, room_unmap(room, mdev.container, BIT(61), PAGE_SIZE, 0, &size));
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &mdev.container));
	assert_int_equal(locked_pages(room), 4);
	room_free(room);
}

TEST(emulated_container, what_was_a_promise_may_be_broken_when_a_group_wants_it)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	int group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_NVME));

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	ASSERT_OK(room->why, room_map(room, mdev.container, (void *)PAGE_SIZE, IOVA + SIZE, PAGE_SIZE, 1));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &mdev.container));
	assert_int_equal(locked_pages(room), 0);
	assert_false(iommu_group_claimed(room_device(room, ROOM_NVME)->group));
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA + SIZE, 0, 1), MCOPY_NO_WINDOW);
	assert_int_equal(room->soft_fault.code, WHY_PIN_PERMISSION);
	room_check(room);
	room_free(room);
}

TEST(emulated_container, a_write_asks_for_both_permissions)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	struct type1 *type1 = type1_in(room, mdev.container);
	u8 byte = 0;

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, PAGE_SIZE, VFIO_DMA_MAP_FLAG_WRITE));
	ASSERT_OK(room->why, room_map(room, mdev.container, memory, 0, PAGE_SIZE, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_REFUSED(PIN_PERMISSION, room->why, type1_rw(type1, IOVA, &byte, 1, true, &room->why));
	EXPECT_SUBSTR("(w) is all there is, rw is wanted", room->why.text);
	EXPECT_REFUSED(PIN_PERMISSION, room->why, type1_rw(type1, 0, &byte, 1, true, &room->why));
	ASSERT_OK(room->why, type1_rw(type1, 0, &byte, 1, false, &room->why));
	ASSERT_OK(room->why, type1_pin(type1, IOVA, 1, ISOLDE_PT_WRITE, &room->why));
	EXPECT_REFUSED(PIN_PERMISSION, room->why, type1_pin(type1, 0, 1, ISOLDE_PT_WRITE, &room->why));
	type1_unpin(type1, IOVA, 1);
	room_free(room);
}

TEST(emulated_container, pins_are_refused_in_this_order)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	struct type1 *type1 = type1_in(room, mdev.container);
	void (*unmapped)(void *device, u64 iova, u64 size) = room->mdev_memory.unmapped;

	EXPECT_REFUSED(PIN_TOO_MANY, room->why, type1_pin(type1, ~0ull << 12, TYPE1_PIN_MOST + 1, 3, &room->why));
	EXPECT_REFUSED(RANGE_OVERFLOWS, room->why, type1_pin(type1, ~0ull << 12, 2, 3, &room->why));
	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, 2 * PAGE_SIZE, 3));
	EXPECT_REFUSED(PIN_UNMAPPED, room->why, type1_pin(type1, IOVA, 3, 3, &room->why));
	assert_int_equal(locked_pages(room), 0);
	/* Twice is one pin. */
	ASSERT_OK(room->why, type1_pin(type1, IOVA, 2, 3, &room->why));
	ASSERT_OK(room->why, type1_pin(type1, IOVA, 1, 3, &room->why));
	assert_int_equal(locked_pages(room), 2);
	type1_unpin(type1, IOVA, 2);
	assert_int_equal(locked_pages(room), 1);
	type1_unpin(type1, IOVA, 1);
	room->mdev_memory.unmapped = NULL;
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA, 0, 1), MCOPY_NO_WINDOW);
	assert_int_equal(room->soft_fault.code, WHY_ACCESS_NO_PIN);
	room->mdev_memory.unmapped = unmapped;
	room_close_device(room, &mdev);
	mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1_IOMMU);
	EXPECT_REFUSED(PIN_VERSION, room->why, type1_pin(type1_in(room, mdev.container), IOVA, 1, 3, &room->why));
	room_free(room);
}

static const struct file *registers_at; /* what the room's client is said to have mapped everywhere */

static struct file *file_at(struct client *client, u64 host_device, u64 inode)
{
	return (struct file *)(uintptr_t)registers_at;
}

/* A shared mapping of a file that is the machine's. */
TEST(emulated_container, registers_are_moved_but_not_pinned)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	struct type1 *type1 = type1_in(room, mdev.container);
	struct client_ops ops = *room->client->ops;
	const struct client_ops *before = room->client->ops;
	struct file file = {.memfd = memfd_create("registers", MFD_CLOEXEC)};
	u8 *registers, byte = 9;

	assert_int_equal(ftruncate(file.memfd, PAGE_SIZE), 0);
	registers = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file.memfd, 0);
	ops.file_at = file_at;
	room->client->ops = &ops;
	registers_at = &file;
	ASSERT_OK(room->why, room_map(room, mdev.container, registers, IOVA, PAGE_SIZE, 3));
	EXPECT_REFUSED(PIN_REGISTERS, room->why, type1_pin(type1, IOVA, 1, 3, &room->why));
	ASSERT_OK(room->why, type1_rw(type1, IOVA, &byte, 1, true, &room->why));
	assert_int_equal(registers[0], 9);
	/* Nothing to charge when a group comes; and memory that took their place since is. */
	enter(room, ROOM_NVME, mdev.container);
	assert_int_equal(locked_pages(room), 0);
	registers_at = NULL;
	ASSERT_OK(room->why, type1_pin(type1, IOVA, 1, 3, &room->why));
	assert_int_equal(locked_pages(room), 1);
	room_check(room);
	type1_unpin(type1, IOVA, 1);
	room->client->ops = before;
	room_free(room);
	munmap(registers, PAGE_SIZE);
	close(file.memfd);
}

TEST(emulated_container, a_window_may_take_many_calls)
{
	static u8 megabyte[MCOPY_LONGEST] __attribute__((aligned(PAGE_SIZE)));
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	u64 almost = sizeof(megabyte) - PAGE_SIZE;

	ASSERT_OK(room->why, room_map(room, mdev.container, megabyte, 0, almost, 3));
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, 0, 0, MCOPY_LONGEST), MCOPY_NO_WINDOW);
	assert_int_equal(locked_pages(room), 0);
	ASSERT_OK(room->why, room_map(room, mdev.container, megabyte, almost, PAGE_SIZE, 3));
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, 0, 0, MCOPY_LONGEST), MCOPY_OK);
	assert_int_equal(locked_pages(room), sizeof(megabyte) / PAGE_SIZE);
	room_free(room);
}

/* Addresses that are on the move and emulated devices exclude each other; only a bug of a driver would ask. */
TEST(emulated_container, nothing_is_pinned_while_an_address_is_lost)
{
	struct room *room = room_new();
	struct room_device nvme = room_open_device(room, ROOM_NVME, VFIO_TYPE1v2_IOMMU);
	struct type1 *type1 = type1_in(room, nvme.container);
	int group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_MDEV));
	u8 byte;

	assert_int_equal(extension(room, nvme.container, VFIO_UPDATE_VADDR), 1);
	ASSERT_OK(room->why, room_map(room, nvme.container, memory, IOVA, PAGE_SIZE, 3));
	ASSERT_OK(room->why, room_unmap(room, nvme.container, IOVA, PAGE_SIZE, VFIO_DMA_UNMAP_FLAG_VADDR, NULL));
	EXPECT_REFUSED(VADDR_PENDING, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &nvme.container));
	EXPECT_REFUSED(VADDR_PENDING, room->why, type1_pin(type1, IOVA, 1, 3, &room->why));
	EXPECT_REFUSED(VADDR_PENDING, room->why, type1_rw(type1, IOVA, &byte, 1, false, &room->why));
	ASSERT_OK(room->why, room_map(room, nvme.container, memory, IOVA, PAGE_SIZE, VFIO_DMA_MAP_FLAG_VADDR));
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &nvme.container));
	assert_int_equal(extension(room, nvme.container, VFIO_UPDATE_VADDR), 0);
	EXPECT_REFUSED(VADDR_EMULATED, room->why,
		       room_unmap(room, nvme.container, IOVA, PAGE_SIZE, VFIO_DMA_UNMAP_FLAG_VADDR, NULL));
	room_free(room);
}

TEST(emulated_container, memory_that_ended_is_not_moved)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	struct type1 *type1 = type1_in(room, mdev.container);
	u8 bytes[8] = {0};

	ASSERT_OK(room->why, room_map(room, mdev.container, (void *)PAGE_SIZE, 0, PAGE_SIZE, 3));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, type1_rw(type1, 0, bytes, 8, true, &room->why));
	/* What comes before a hole is done. */
	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, PAGE_SIZE, 3));
	memset(memory + PAGE_SIZE - 4, 0xff, 4);
	EXPECT_REFUSED(PIN_UNMAPPED, room->why, type1_rw(type1, IOVA + PAGE_SIZE - 4, bytes, 8, true, &room->why));
	assert_int_equal(get_u32(memory + PAGE_SIZE - 4), 0);
	atomic_store(&room->client->gone, true);
	EXPECT_REFUSED(PIN_MEMORY_GONE, room->why, type1_rw(type1, IOVA, bytes, 8, false, &room->why));
	EXPECT_REFUSED(PIN_SPACE_GONE, room->why, type1_pin(type1, IOVA, 1, ISOLDE_PT_WRITE, &room->why));
	atomic_store(&room->client->gone, false);
	room_free(room);
}

/* After an execve() a process has other memory at the same addresses: nobody looks there. */
TEST(emulated_container, memory_of_the_next_program_is_not_looked_at)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	struct type1 *type1 = type1_in(room, mdev.container);
	int group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_NVME));

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, PAGE_SIZE, 3));
	atomic_store(&room->client->execed, true);
	EXPECT_REFUSED(PIN_SPACE_GONE, room->why, type1_pin(type1, IOVA, 1, ISOLDE_PT_WRITE, &room->why));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &mdev.container));
	EXPECT_SUBSTR("executes another program", room->why.text);
	assert_int_equal(locked_pages(room), 0);
	atomic_store(&room->client->execed, false);
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &mdev.container));
	room_free(room);
}

/* ---- dirty pages ---- */

static long track(struct room *room, int container, u32 flags)
{
	struct vfio_iommu_type1_dirty_bitmap request = {.argsz = sizeof(request), .flags = flags};

	return IOCTL(container, VFIO_IOMMU_DIRTY_PAGES, &request);
}

/* The bits of 64 pages. */
static u64 dirty(struct room *room, int container, u64 iova)
{
	u64 bits = 0;
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} request = {
		.head = {sizeof(request), GET},
		.get = {iova, 64 * PAGE_SIZE, {PAGE_SIZE, sizeof(bits), (void *)&bits}},
	};

	ASSERT_OK(room->why, IOCTL(container, VFIO_IOMMU_DIRTY_PAGES, &request));
	return bits;
}

TEST(emulated_container, dirty_is_what_it_wrote_and_what_it_holds)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	u64 base = IOVA - 3 * PAGE_SIZE;

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA + 2 * PAGE_SIZE, 0, 8), MCOPY_OK);
	ASSERT_OK(room->why, track(room, mdev.container, START));
	/* Pinned before it began; counted from a place before the mapping. */
	assert_int_equal(dirty(room, mdev.container, base), BIT(3 + 2));
	assert_int_equal(command(room, mdev.device, MCOPY_FILL, 0, IOVA + PAGE_SIZE - 1, 2), MCOPY_OK);
	assert_int_equal(command(room, mdev.device, MCOPY_COPY, IOVA + 3 * PAGE_SIZE, IOVA, 1), MCOPY_OK);
	assert_int_equal(dirty(room, mdev.container, base), BIT(3) | BIT(3 + 1) | BIT(3 + 2));
	assert_int_equal(dirty(room, mdev.container, base), BIT(3 + 2));
	/* A pin that was given back is told once more. */
	assert_int_equal(command(room, mdev.device, MCOPY_UNPIN, 0, 0, 0), MCOPY_OK);
	assert_int_equal(dirty(room, mdev.container, base), BIT(3 + 2));
	assert_int_equal(dirty(room, mdev.container, base), 0);
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA, 0, 1), MCOPY_OK);
	assert_int_equal(command(room, mdev.device, MCOPY_UNPIN, 0, 0, 0), MCOPY_OK);
	assert_int_equal(dirty(room, mdev.container, base), BIT(3));
	/* A new start forgets. */
	assert_int_equal(command(room, mdev.device, MCOPY_FILL, 0, IOVA, 1), MCOPY_OK);
	ASSERT_OK(room->why, track(room, mdev.container, START));
	assert_int_equal(dirty(room, mdev.container, IOVA), 1);
	assert_int_equal(command(room, mdev.device, MCOPY_FILL, 0, IOVA, 1), MCOPY_OK);
	ASSERT_OK(room->why, track(room, mdev.container, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	ASSERT_OK(room->why, track(room, mdev.container, START));
	assert_int_equal(dirty(room, mdev.container, IOVA), 0);
	room_free(room);
}

TEST(emulated_container, with_real_dma_everything_is_dirty_and_once_more_after_it)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	int group;

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	ASSERT_OK(room->why, track(room, mdev.container, START));
	group = enter(room, ROOM_NVME, mdev.container);
	assert_int_equal(dirty(room, mdev.container, IOVA), 15);
	assert_int_equal(dirty(room, mdev.container, IOVA), 15);
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	assert_int_equal(dirty(room, mdev.container, IOVA), 15);
	assert_int_equal(dirty(room, mdev.container, IOVA), 0);
	room_free(room);
}

TEST(emulated_container, unmap_tells_what_was_pinned)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	u64 bits = 0;
	struct {
		struct vfio_iommu_type1_dma_unmap head;
		struct vfio_bitmap bitmap;
	} unmap = {
		.head = {sizeof(unmap), VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, IOVA, SIZE},
		.bitmap = {PAGE_SIZE, sizeof(bits), (void *)&bits},
	};

	ASSERT_OK(room->why, room_map(room, mdev.container, memory, IOVA, SIZE, 3));
	ASSERT_OK(room->why, track(room, mdev.container, START));
	assert_int_equal(command(room, mdev.device, MCOPY_PIN, IOVA + PAGE_SIZE, 0, 8), MCOPY_OK);
	ASSERT_OK(room->why, IOCTL(mdev.container, VFIO_IOMMU_UNMAP_DMA, &unmap));
	assert_int_equal(bits, 2);
	assert_int_equal(load(room, mdev.device, MCOPY_LOST), 1);
	room_free(room);
}

TEST(emulated_container, a_mapping_of_eight_tib_cannot_be_tracked)
{
	struct room *room = room_new();
	struct room_device mdev = room_open_device(room, ROOM_MDEV, VFIO_TYPE1v2_IOMMU);
	int container = mdev.container;

	ASSERT_OK(room->why, track(room, container, START));
	EXPECT_REFUSED(DIRTY_TOO_LARGE, room->why, room_map(room, container, memory, 0, EIGHT_TIB, 3));
	ASSERT_OK(room->why, track(room, container, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	ASSERT_OK(room->why, room_map(room, container, memory, IOVA + EIGHT_TIB, PAGE_SIZE, 3));
	ASSERT_OK(room->why, room_map(room, container, memory, 0, EIGHT_TIB, 3));
	EXPECT_REFUSED(DIRTY_TOO_LARGE, room->why, track(room, container, START));
	room_check(room);
	room_free(room);
}

/* The names of emulated devices have no options: what follows is part of another name. */
TEST(emulated_container, a_name_is_all_of_it)
{
	struct room *room = room_new();
	int container = (int)ASSERT_OK(room->why, room_open_container(room));
	int group = enter(room, ROOM_MDEV, container);

	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, ROOM_MDEV " "));
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, ROOM_MDEV " vf_token=x"));
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, ROOM_MDEV));
	room_free(room);
}

static int life(struct why *why)
{
	struct room *room = room_try_new(why);
	int container, group = -1, other = -1, device = -1;
	long ret;

	if (!room)
		return -why->err;
	ret = container = room_open_container(room);
	if (ret >= 0)
		ret = group = room_open_group(room, ROOM_MDEV);
	if (ret >= 0)
		ret = IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container);
	if (ret >= 0)
		ret = IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	if (ret >= 0)
		ret = device = (int)IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, ROOM_MDEV);
	if (ret >= 0)
		ret = room_map(room, container, memory, IOVA, SIZE, 3);
	if (ret >= 0)
		ret = track(room, container, START);
	if (ret >= 0 && command(room, device, MCOPY_PIN, IOVA, 0, SIZE) == MCOPY_OK)
		ret = other = room_open_group(room, ROOM_NVME);
	if (ret >= 0 && other >= 0)
		ret = IOCTL(other, VFIO_GROUP_SET_CONTAINER, &container);
	if (ret >= 0)
		ret = room_map(room, container, memory, 0, SIZE, 3);
	*why = room->why;
	room_check(room);
	room_free(room);
	return ret < 0 ? (int)ret : 0;
}

TEST(emulated_container, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(emulated_container, moves_and_pins_what_is_mapped),
		CASE(emulated_container, alone_has_no_ranges_and_pins_nothing),
		CASE(emulated_container, a_group_with_dma_pins_all_and_gives_it_back),
		CASE(emulated_container, a_group_that_comes_first_finds_out_what_it_cannot_reach),
		CASE(emulated_container, what_was_a_promise_may_be_broken_when_a_group_wants_it),
		CASE(emulated_container, a_write_asks_for_both_permissions),
		CASE(emulated_container, pins_are_refused_in_this_order),
		CASE(emulated_container, registers_are_moved_but_not_pinned),
		CASE(emulated_container, a_window_may_take_many_calls),
		CASE(emulated_container, nothing_is_pinned_while_an_address_is_lost),
		CASE(emulated_container, memory_that_ended_is_not_moved),
		CASE(emulated_container, memory_of_the_next_program_is_not_looked_at),
		CASE(emulated_container, dirty_is_what_it_wrote_and_what_it_holds),
		CASE(emulated_container, with_real_dma_everything_is_dirty_and_once_more_after_it),
		CASE(emulated_container, unmap_tells_what_was_pinned),
		CASE(emulated_container, a_mapping_of_eight_tib_cannot_be_tracked),
		CASE(emulated_container, a_name_is_all_of_it),
		CASE(emulated_container, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
