/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define BAR(n) ((u64)(n) << 40)

/* What a program gets from mmap(2) of the device's descriptor. */
static u32 *map_bar(struct room *room, int device, unsigned bar, size_t size)
{
	void *memory;

	ASSERT_OK(room->why, room_mmap(room, device, BAR(bar), size, PROT_READ | PROT_WRITE, MAP_SHARED));
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, room_file(room, device)->memfd, (off_t)BAR(bar));
	assert_true(memory != MAP_FAILED);
	return memory;
}

/* Would a load there be SIGBUS? Asked without taking one. */
static bool is_alive(const void *address)
{
	u32 value;
	struct iovec local = {&value, sizeof(value)}, remote = {(void *)(uintptr_t)address, sizeof(value)};

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == sizeof(value);
}

TEST(pci_mmap, a_mapping_is_the_registers)
{
	struct room *room = room_new();
	struct pci_function *function = room_device(room, ROOM_NVME)->function;
	u32 *home = function->bars[0].memory, *mapped;
	struct room_device opened;
	u32 value = 0;

	home[5] = 0x12345678;
	opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	assert_ptr_not_equal(function->bars[0].memory, home);
	mapped = map_bar(room, opened.device, 0, 0x4000);
	mapped[7] = 0xabcd;
	assert_int_equal(((u32 *)function->bars[0].memory)[7], 0xabcd);
	assert_int_equal(room_read(room, opened.device, 28, &value, 4), 4);
	assert_int_equal(value, 0xabcd);
	room_close(room, opened.device);
	assert_ptr_equal(function->bars[0].memory, home);
	munmap(mapped, 0x4000);
	room_free(room);
}

/* Counts the moves, and checks that contents came along. */
static void moved(struct pci_function *function, unsigned bar)
{
	unsigned *moves = function->model;

	(*moves)++;
	assert_int_equal(((u32 *)function->bars[bar].memory)[9], 99);
}

static const struct pci_model_ops moving = {.name = "moving", .backing_moved = moved};

TEST(pci_mmap, switching_memory_off_takes_the_pages)
{
	struct room *room = room_new();
	struct pci_function *function = room_device(room, ROOM_NVME)->function;
	unsigned moves = 0;
	int device;
	u32 *mapped;

	function->ops = &moving;
	function->model = &moves;
	((u32 *)function->bars[0].memory)[9] = 99;
	device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU).device;
	assert_int_equal(moves, 1);
	mapped = map_bar(room, device, 0, 0x4000);
	assert_true(is_alive(mapped));
	room_set_config(room, device, PCI_COMMAND, 2, 0);
	assert_false(is_alive(mapped));
	assert_int_equal(moves, 2);
	room_check(room);
	room_set_config(room, device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(is_alive(mapped));
	assert_int_equal(mapped[9], 99);
	/* D3hot, and low power. */
	room_set_config(room, device, function->cap_pm + 4u, 2, 3);
	assert_false(is_alive(mapped));
	room_set_config(room, device, function->cap_pm + 4u, 2, 0);
	assert_true(is_alive(mapped));
	ASSERT_OK(room->why,
		  room_ioctl(room, device, VFIO_DEVICE_FEATURE, &(struct vfio_device_feature){8, 1 << 17 | 3}));
	assert_false(is_alive(mapped));
	ASSERT_OK(room->why,
		  room_ioctl(room, device, VFIO_DEVICE_FEATURE, &(struct vfio_device_feature){8, 1 << 17 | 5}));
	assert_int_equal(mapped[9], 99);
	munmap(mapped, 0x4000);
	room_free(room);
}

/* A program can cut the file that its descriptor is: the registers are lost, and that is all. */
TEST(pci_mmap, a_file_that_a_program_cuts_is_whole_again)
{
	struct room *room = room_new();
	struct pci_function *function = room_device(room, ROOM_NIC)->function;
	int device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU).device;
	int memfd = room_file(room, device)->memfd;
	char name[KEPT_NAME];
	u32 value = 0x1234;

	assert_int_equal(room_write(room, device, 0x24, &value, 4), 4);
	assert_int_equal(ftruncate(memfd, 0), 0);
	assert_int_equal(room_read(room, device, 0x24, &value, 4), 4);
	assert_int_equal(value, 0);
	value = 0x5678;
	assert_int_equal(room_write(room, device, 0x24, &value, 4), 4);
	assert_true(kept_next_cut(&room->vfio, name));
	assert_non_null(strstr(name, "BAR 0 of "));
	/* Out of it with what is left, and back. */
	assert_int_equal(ftruncate(memfd, 4096), 0);
	room_set_config(room, device, PCI_COMMAND, 2, 0);
	room_check(room);
	assert_int_equal(ftruncate(memfd, 0), 0);
	room_set_config(room, device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(room_read(room, device, 0x24, &value, 4), 4);
	assert_int_equal(value, 0x5678);
	/* And at the end of a session. */
	assert_int_equal(ftruncate(memfd, 0), 0);
	room_close(room, device);
	assert_int_equal(((u32 *)function->bars[0].memory)[9], 0);
	while (kept_next_cut(&room->vfio, name))
		assert_non_null(strstr(name, "BAR "));
	room_free(room);
}

TEST(pci_mmap, mappings_it_refuses)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU).device;
	int rw = PROT_READ | PROT_WRITE;

	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(0), 4096, rw, MAP_PRIVATE));
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(2), 4096, rw, MAP_SHARED));
	EXPECT_SUBSTR("is no memory", room->why.text);
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(4), 4096, rw, MAP_SHARED));
	EXPECT_SUBSTR("does not exist", room->why.text);
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(6), 4096, rw, MAP_SHARED));
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(7), 4096, rw, MAP_SHARED));
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, room_mmap(room, device, BAR(9), 4096, rw, MAP_SHARED));
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(0), 0x21000, rw, MAP_SHARED));
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why,
		       room_mmap(room, device, BAR(0) + 0x1f000, 0x2000, rw, MAP_SHARED));
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(0), UINT64_MAX, rw, MAP_SHARED));
	ASSERT_OK(room->why, room_mmap(room, device, BAR(0) + 0x1f000, 0x1000, rw, MAP_SHARED_VALIDATE));
	/* The table of MSI-X vectors can be mapped with its BAR. */
	ASSERT_OK(room->why, room_mmap(room, device, BAR(3), 0x4000, PROT_WRITE, MAP_SHARED));
	room_free(room);
}

TEST(pci_mmap, a_bar_smaller_than_a_page)
{
	struct room *room = room_new();
	struct pci_bar *bar = &room_device(room, ROOM_ROOT)->function->bars[0];
	int device = room_open_device(room, ROOM_ROOT, VFIO_TYPE1_IOMMU).device;

	/* Alone in its page: the whole page can be mapped. */
	assert_true(is_aligned(bar->address, 4096));
	ASSERT_OK(room->why, room_mmap(room, device, BAR(0), 4096, PROT_READ, MAP_SHARED));
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(0), 8192, PROT_READ, MAP_SHARED));
	bar->address += 0x200;
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(0), 4096, PROT_READ, MAP_SHARED));
	bar->address -= 0x200;
	/* Somebody else has the rest of the page. */
	room_device(room, ROOM_PLAIN)->function->bars[1].address = bar->address + 0x800;
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, device, BAR(0), 4096, PROT_READ, MAP_SHARED));
	room_device(room, ROOM_PLAIN)->function->bars[1].address = bar->address + 0x1000;
	ASSERT_OK(room->why, room_mmap(room, device, BAR(0), 4096, PROT_READ, MAP_SHARED));
	room_free(room);
}

TEST(pci_mmap, an_old_mapping_cannot_touch_the_next_session)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	u32 *old = map_bar(room, opened.device, 0, 0x4000), value = 0;

	room_close_device(room, &opened);
	opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	old[0] = 0xdead;
	assert_int_equal(room_read(room, opened.device, 0, &value, 4), 4);
	assert_int_not_equal(value, 0xdead);
	munmap(old, 0x4000);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_mmap, a_mapping_is_the_registers),
		CASE(pci_mmap, switching_memory_off_takes_the_pages),
		CASE(pci_mmap, a_file_that_a_program_cuts_is_whole_again),
		CASE(pci_mmap, mappings_it_refuses),
		CASE(pci_mmap, a_bar_smaller_than_a_page),
		CASE(pci_mmap, an_old_mapping_cannot_touch_the_next_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
