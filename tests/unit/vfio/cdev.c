/* SPDX-License-Identifier: MIT */
/* Character devices: what a file is before BIND, BIND's refusals in their order, ATTACH and DETACH, closing. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "iommu/port.h"
#include "tests/fixtures/room.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define IOVA		    0x100000000ull
#define SIZE		    (4 * PAGE_SIZE)

static u8 memory[SIZE] __attribute__((aligned(PAGE_SIZE)));

static int open_cdev(struct room *room, const char *name)
{
	return (int)ASSERT_OK(room->why, room_open_cdev(room, name));
}

static int open_iommufd(struct room *room)
{
	return (int)ASSERT_OK(room->why, room_open_iommufd(room));
}

/* ---- before ---- */

TEST(cdev, an_unbound_file_can_only_be_bound)
{
	struct room *room = room_new();
	int cdev = open_cdev(room, ROOM_NVME);
	u8 buffer[64] = {64};

	for (unsigned i = 0; i < vfio_nioctls; i++)
		if (vfio_ioctls[i].kind >= VFIO_KIND_DEVICE && vfio_ioctls[i].kind <= VFIO_KIND_CDEV &&
		    vfio_ioctls[i].cmd != VFIO_DEVICE_BIND_IOMMUFD) {
			EXPECT_REFUSED(CDEV_UNBOUND, room->why, IOCTL(cdev, vfio_ioctls[i].cmd, buffer));
			EXPECT_SUBSTR(vfio_ioctls[i].name, room->why.text);
		}
	EXPECT_REFUSED(CDEV_UNBOUND, room->why, IOCTL(cdev, 0x1234, buffer));
	EXPECT_REFUSED(CDEV_UNBOUND, room->why, room_read(room, cdev, 7ull << 40, buffer, 4));
	EXPECT_REFUSED(CDEV_UNBOUND, room->why, room_write(room, cdev, 7ull << 40, buffer, 4));
	EXPECT_REFUSED(CDEV_UNBOUND, room->why, room_mmap(room, cdev, 0, PAGE_SIZE, PROT_READ, MAP_SHARED));
	EXPECT_SUBSTR(ROOM_NVME, room->why.text);
	room_free(room);
}

TEST(cdev, looks_like_a_character_device)
{
	struct room *room = room_new();
	const struct file *file = room_file(room, open_cdev(room, ROOM_NIC));

	assert_string_equal(file->path, "/dev/vfio/devices/vfio1");
	assert_int_equal(file->mode, 0020600);
	assert_int_equal(file->rdev, 510 << 8 | 1);
	room_free(room);
}

TEST(cdev, any_number_may_be_open)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), first = open_cdev(room, ROOM_NVME), second = open_cdev(room, ROOM_NVME);
	u8 byte;

	ASSERT_OK(room->why, room_bind_cdev(room, second, iommufd, NULL));
	assert_int_equal(room_read(room, second, 7ull << 40, &byte, 1), 1);
	EXPECT_REFUSED(CDEV_UNBOUND, room->why, room_read(room, first, 7ull << 40, &byte, 1));
	open_cdev(room, ROOM_NVME);
	room_close(room, second);
	ASSERT_OK(room->why, room_bind_cdev(room, first, iommufd, NULL));
	room_free(room);
}

TEST(cdev, the_last_file_lets_an_unbind_go_on)
{
	struct room *room = room_new();
	struct vfio_device *device = room_bound(room, ROOM_NVME);
	int first = open_cdev(room, ROOM_NVME), second = open_cdev(room, ROOM_NVME);

	assert_true(vfio_device_busy(device));
	vfio_device_hide(device);
	EXPECT_REFUSED(DEVICE_LEAVING, room->why, room_open_cdev(room, ROOM_NVME));
	room_close(room, first);
	assert_true(vfio_device_busy(device));
	assert_int_equal(room->devices_closed, 0);
	room_close(room, second);
	assert_false(vfio_device_busy(device));
	assert_int_equal(room->devices_closed, 1);
	room_unbind(room, ROOM_NVME);
	room_free(room);
}

TEST(cdev, a_number_nobody_has)
{
	struct room *room = room_new();
	struct file *file;

	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, vfio_cdev_open(&room->vfio, 77, room->client, &file, &room->why));
	EXPECT_SUBSTR("vfio77", room->why.text);
	room_free(room);
}

/* ---- BIND ---- */

/* The structure with more behind it than anybody knows. */
struct long_bind {
	struct vfio_device_bind_iommufd bind;
	u32 more[1030]; /* beyond a page */
};

TEST(cdev, bind_follows_the_rule_of_growing_structures)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room);
	struct long_bind longer = {.bind = {.argsz = sizeof(longer), .iommufd = iommufd}};
	const u32 fits[] = {16, 20, 24, 28, sizeof(longer)};
	u32 size = THROUGH(struct vfio_device_bind_iommufd, out_devid);

	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(open_cdev(room, ROOM_NVME), VFIO_DEVICE_BIND_IOMMUFD, 0));
	longer.bind.argsz = size - 1;
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, IOCTL(open_cdev(room, ROOM_NVME), VFIO_DEVICE_BIND_IOMMUFD, &longer));
	longer.bind.argsz = sizeof(longer);
	longer.more[1029] = 1u << 24;
	/* Before what the structure itself says. */
	longer.bind.iommufd = -1;
	EXPECT_REFUSED(FIELD_UNKNOWN, room->why, IOCTL(open_cdev(room, ROOM_NVME), VFIO_DEVICE_BIND_IOMMUFD, &longer));
	longer.more[1029] = 0;
	longer.bind.iommufd = iommufd;
	for (size_t i = 0; i < ARRAY_SIZE(fits); i++) {
		int cdev = open_cdev(room, ROOM_NVME);

		longer.bind.argsz = fits[i];
		longer.bind.out_devid = 0;
		ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_BIND_IOMMUFD, &longer));
		assert_int_not_equal(longer.bind.out_devid, 0);
		room_close(room, cdev);
	}
	room_free(room);
}

#define BIND(...)                                                                                                      \
	IOCTL(cdev, VFIO_DEVICE_BIND_IOMMUFD,                                                                          \
	      &((struct vfio_device_bind_iommufd){.argsz = sizeof(struct vfio_device_bind_iommufd), __VA_ARGS__}))

/* Each row fails with all that a later one checks wrong as well. */
TEST(cdev, bind_refuses_in_this_order)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = open_cdev(room, ROOM_PAIR_A), other, group, container;
	u8 token[16] = {1};

	EXPECT_REFUSED(BIND_ARGUMENT, room->why, BIND(.iommufd = -1, .flags = 1));
	EXPECT_REFUSED(BIND_ARGUMENT, room->why, BIND(.iommufd = 999, .flags = 2));
	group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_PAIR_B));
	EXPECT_REFUSED(GROUP_FILE_OPEN, room->why, BIND(.iommufd = 999, .flags = 1));
	EXPECT_SUBSTR("/dev/vfio/", room->why.text);
	room_close(room, group);
	EXPECT_REFUSED(CLIENT_FAULT, room->why, BIND(.iommufd = 999, .flags = 1));
	EXPECT_REFUSED(VF_TOKEN_UNWANTED, room->why,
		       BIND(.iommufd = 999, .flags = 1, .token_uuid_ptr = (uintptr_t)token));
	other = open_cdev(room, ROOM_PAIR_A);
	ASSERT_OK(room->why, room_bind_cdev(room, other, iommufd, NULL));
	EXPECT_REFUSED(FD_BAD, room->why, BIND(.iommufd = 999));
	container = room_open_container(room);
	EXPECT_REFUSED(NOT_AN_IOMMUFD, room->why, BIND(.iommufd = container));
	EXPECT_SUBSTR("container", room->why.text);
	EXPECT_REFUSED(NOT_AN_IOMMUFD, room->why, BIND(.iommufd = 1));
	EXPECT_REFUSED(DEVICE_OPENED, room->why, BIND(.iommufd = iommufd));
	EXPECT_SUBSTR(room->client->name, room->why.text);
	room_close(room, other);
	room_bind_native(room, ROOM_PAIR_B, "e1000e");
	EXPECT_REFUSED(GROUP_NOT_VIABLE, room->why, BIND(.iommufd = iommufd));
	EXPECT_SUBSTR("e1000e", room->why.text);
	EXPECT_SUBSTR("binding " ROOM_PAIR_A, room->why.text);
	room_free(room);
}

/* Who unbinds it, or takes its virtual functions away, has it locked. */
TEST(cdev, what_is_locked_is_neither_reset_nor_opened)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = open_cdev(room, ROOM_NVME), second = open_cdev(room, ROOM_NVME);
	struct vfio_device *device = room_bound(room, ROOM_NVME);
	struct vfio_device_info info = {.argsz = sizeof(info)};

	ASSERT_OK(room->why, room_bind_cdev(room, cdev, iommufd, NULL));
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_GET_INFO, &info));
	assert_true(info.flags & VFIO_DEVICE_FLAGS_RESET);
	vfio_device_virtuals_leave(device, true);
	EXPECT_REFUSED(DEVICE_LOCKED, room->why, IOCTL(cdev, VFIO_DEVICE_RESET, 0));
	EXPECT_SUBSTR(ROOM_NVME " cannot be reset while its virtual functions are taken away", room->why.text);
	vfio_device_virtuals_leave(device, false);
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_RESET, 0));
	vfio_device_hide(device);
	EXPECT_REFUSED(DEVICE_LOCKED, room->why, IOCTL(cdev, VFIO_DEVICE_RESET, 0));
	EXPECT_SUBSTR("being unbound from vfio-pci", room->why.text);
	room_close(room, cdev);
	EXPECT_REFUSED(DEVICE_LOCKED, room->why, room_bind_cdev(room, second, iommufd, NULL));
	assert_null(device->opened);
	room_close(room, second);
	room_free(room);
}

TEST(cdev, a_file_is_bound_once)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_NVME, iommufd, 0);

	EXPECT_REFUSED(BIND_REPEATED, room->why, BIND(.iommufd = iommufd));
	/* Before the token and the descriptor. */
	EXPECT_REFUSED(BIND_REPEATED, room->why, BIND(.iommufd = 999, .flags = 1));
	EXPECT_REFUSED(BIND_ARGUMENT, room->why, BIND(.iommufd = -1));
	room_free(room);
}

TEST(cdev, a_file_of_the_group_is_none_to_bind)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room);
	int cdev = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU).device;

	EXPECT_REFUSED(BIND_ARGUMENT, room->why, BIND(.iommufd = -1));
	EXPECT_REFUSED(OPENED_BY_GROUP, room->why, BIND(.iommufd = iommufd));
	room_free(room);
}

/* The id cannot be told: nothing has happened. */
TEST(cdev, bind_that_cannot_answer_is_undone)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = open_cdev(room, ROOM_NVME);
	struct vfio_device_bind_iommufd *bind = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*bind = (struct vfio_device_bind_iommufd){.argsz = sizeof(*bind), .iommufd = iommufd};
	mprotect(bind, PAGE_SIZE, PROT_READ);
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(cdev, VFIO_DEVICE_BIND_IOMMUFD, bind));
	room_check(room);
	assert_null(room_device(room, ROOM_NVME)->group->owner);
	EXPECT_REFUSED(CDEV_UNBOUND, room->why, IOCTL(cdev, VFIO_DEVICE_RESET, 0));
	room_close(room, (int)ASSERT_OK(room->why, room_open_group(room, ROOM_NVME)));
	mprotect(bind, PAGE_SIZE, PROT_READ | PROT_WRITE);
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_BIND_IOMMUFD, bind));
	munmap(bind, PAGE_SIZE);
	room_free(room);
}

TEST(cdev, a_bound_file_is_the_device)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_NVME, iommufd, 0);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	u32 *registers;

	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(room_config(room, cdev, 0, 4), 0x00101b36);
	ASSERT_OK(room->why, room_mmap(room, cdev, 0, PAGE_SIZE, PROT_READ, MAP_SHARED));
	/* Its memory file is that of the session. */
	registers = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, room_file(room, cdev)->memfd, 0);
	assert_ptr_not_equal(registers, MAP_FAILED);
	registers[4] = 0x12345678;
	assert_int_equal(room_read(room, cdev, 16, &info.argsz, 4), 4);
	assert_int_equal(info.argsz, 0x12345678);
	munmap(registers, PAGE_SIZE);
	room_free(room);
}

/* ---- ATTACH and DETACH ---- */

static bool device_reads(struct room *room, const char *name)
{
	struct iommu_device *device = room_device(room, name);
	u8 byte = 0;

	pci_config_write(device->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	return dma_read(device->port, IOVA, &byte, 1) == DMA_OK && byte == memory[0];
}

TEST(cdev, attach_gives_the_device_memory)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_NVME, iommufd, 0);
	u32 ioas = room_ioas(room, iommufd), pt = ioas;

	memory[0] = 0x5a;
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	assert_false(device_reads(room, ROOM_NVME));
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	/* The domain that was made. */
	assert_int_not_equal(pt, ioas);
	assert_true(device_reads(room, ROOM_NVME));
	ASSERT_OK(room->why, room_detach(room, cdev));
	assert_false(device_reads(room, ROOM_NVME));
	/* What is not attached can be detached. */
	ASSERT_OK(room->why, room_detach(room, cdev));
	ASSERT_OK(room->why, room_detach_pasid(room, cdev, 5));
	room_free(room);
}

TEST(cdev, a_second_attach_replaces)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_NVME, iommufd, 0);
	u32 full = room_ioas(room, iommufd), empty = room_ioas(room, iommufd), pt = full, first;
	struct iommu_destroy destroy = {.size = sizeof(destroy)};

	memory[0] = 0xa5;
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, full, memory, IOVA, SIZE));
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	first = pt;
	assert_true(device_reads(room, ROOM_NVME));
	pt = empty;
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	assert_false(device_reads(room, ROOM_NVME));
	/* The domain was made for the first attach, and went with it. */
	destroy.id = first;
	EXPECT_REFUSED(OBJECT_MISSING, room->why, IOCTL(iommufd, IOMMU_DESTROY, &destroy));
	/* One that fails leaves the old one. */
	pt = full;
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	pt = 99;
	EXPECT_REFUSED(OBJECT_MISSING, room->why, room_attach(room, cdev, &pt));
	EXPECT_SUBSTR(ROOM_NVME, room->why.text);
	assert_true(device_reads(room, ROOM_NVME));
	room_free(room);
}

TEST(cdev, attach_and_detach_refuse_in_this_order)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_NVME, iommufd, 0);
	struct vfio_device_attach_iommufd_pt attach = {.argsz = 11, .flags = 3, .pt_id = 99};
	struct vfio_device_detach_iommufd_pt detach = {.argsz = 7, .flags = 3};
	u8 *page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *edge = page + PAGE_SIZE - 12;

	munmap(page + PAGE_SIZE, PAGE_SIZE);
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0));
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.argsz = 12;
	EXPECT_REFUSED(ATTACH_FLAGS, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.flags = VFIO_DEVICE_ATTACH_PASID;
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.argsz = 16;
	memcpy(edge, &attach, 12);
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, edge));
	EXPECT_REFUSED(OBJECT_MISSING, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	/* Larger is fine, whatever is there. */
	attach = (struct vfio_device_attach_iommufd_pt){.argsz = 4096, .pt_id = 99};
	EXPECT_REFUSED(OBJECT_MISSING, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	/* The device itself is no page table. */
	attach.pt_id = vfio_iommufd_id(room_bound(room, ROOM_NVME));
	EXPECT_REFUSED(PT_KIND, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));

	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, 0));
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, IOCTL(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	detach.argsz = 8;
	EXPECT_REFUSED(ATTACH_FLAGS, room->why, IOCTL(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	detach.flags = VFIO_DEVICE_DETACH_PASID;
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, IOCTL(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	munmap(page, PAGE_SIZE);
	room_free(room);
}

/* A HWPT that takes PASIDs. */
static u32 pasid_hwpt(struct room *room, int iommufd, u32 ioas, const char *name)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = vfio_iommufd_id(room_bound(room, name)),
		.pt_id = ioas,
	};

	ASSERT_OK(room->why, IOCTL(iommufd, IOMMU_HWPT_ALLOC, &alloc));
	return alloc.out_hwpt_id;
}

static bool device_reads_with(struct room *room, const char *name, u32 pasid)
{
	struct iommu_device *device = room_device(room, name);
	u8 byte = 0;
	struct dma_segment segment = {IOVA, &byte, 1};

	pci_config_write(device->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	return dma_readv_pasid(device->port, pasid, &segment, 1) == DMA_OK && byte == memory[0];
}

TEST(cdev, a_pasid_has_memory_of_its_own)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_ROOT, iommufd, 0);
	u32 ioas = room_ioas(room, iommufd), first = pasid_hwpt(room, iommufd, ioas, ROOM_ROOT);
	u32 other = pasid_hwpt(room, iommufd, room_ioas(room, iommufd), ROOM_ROOT), pt = ioas;

	memory[0] = 0x77;
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	/* Domains that come by themselves take no PASID. */
	EXPECT_REFUSED(PASID_INCOMPATIBLE, room->why, room_attach_pasid(room, cdev, 1, &pt));
	pt = first;
	ASSERT_OK(room->why, room_attach_pasid(room, cdev, 1, &pt));
	assert_int_equal(pt, first);
	assert_true(device_reads_with(room, ROOM_ROOT, 1));
	assert_false(device_reads_with(room, ROOM_ROOT, 2));
	assert_false(device_reads(room, ROOM_ROOT));
	pt = other;
	ASSERT_OK(room->why, room_attach_pasid(room, cdev, 1, &pt));
	assert_false(device_reads_with(room, ROOM_ROOT, 1));
	pt = first;
	ASSERT_OK(room->why, room_attach_pasid(room, cdev, 2, &pt));
	assert_true(device_reads_with(room, ROOM_ROOT, 2));
	ASSERT_OK(room->why, room_detach_pasid(room, cdev, 2));
	assert_false(device_reads_with(room, ROOM_ROOT, 2));
	/* Closing takes the other along. */
	room_close(room, cdev);
	room_check(room);
	room_free(room);
}

TEST(cdev, pasid_0_is_none_to_the_iommu_but_one_to_vfio)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_ROOT, iommufd, 0);
	u32 ioas = room_ioas(room, iommufd), hwpt = pasid_hwpt(room, iommufd, ioas, ROOM_ROOT), pt = hwpt;

	memory[0] = 0x78;
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	ASSERT_OK(room->why, room_attach_pasid(room, cdev, 0, &pt));
	assert_true(device_reads(room, ROOM_ROOT));
	EXPECT_REFUSED(ATTACHED_ALREADY, room->why, room_attach(room, cdev, &pt));
	/* DETACH without PASID does not know of it. */
	ASSERT_OK(room->why, room_detach(room, cdev));
	assert_true(device_reads(room, ROOM_ROOT));
	ASSERT_OK(room->why, room_detach_pasid(room, cdev, 0));
	assert_false(device_reads(room, ROOM_ROOT));
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	EXPECT_REFUSED(ATTACHED_ALREADY, room->why, room_attach_pasid(room, cdev, 0, &pt));
	ASSERT_OK(room->why, room_detach_pasid(room, cdev, 0));
	assert_true(device_reads(room, ROOM_ROOT));
	EXPECT_REFUSED(PASID_BEYOND, room->why, room_attach_pasid(room, cdev, 0x80000000, &pt));
	EXPECT_SUBSTR("2147483648", room->why.text);
	room_free(room);
}

static void *read_only_attach(u32 pt_id, u32 pasid, bool with_pasid)
{
	struct vfio_device_attach_iommufd_pt *attach = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
							    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*attach = (struct vfio_device_attach_iommufd_pt){
		.argsz = sizeof(*attach),
		.flags = with_pasid ? VFIO_DEVICE_ATTACH_PASID : 0,
		.pt_id = pt_id,
		.pasid = pasid,
	};
	mprotect(attach, PAGE_SIZE, PROT_READ);
	return attach;
}

/* As Linux: whatever was attached, it is the attachment without PASID that is undone. */
TEST(cdev, attach_that_cannot_answer_detaches)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_ROOT, iommufd, 0);
	u32 ioas = room_ioas(room, iommufd), hwpt = pasid_hwpt(room, iommufd, ioas, ROOM_ROOT), pt = hwpt;
	void *plain = read_only_attach(hwpt, 0, false), *with_pasid = read_only_attach(hwpt, 3, true);

	memory[0] = 0x79;
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, plain));
	assert_false(device_reads(room, ROOM_ROOT));
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, plain));
	assert_false(device_reads(room, ROOM_ROOT));
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, with_pasid));
	assert_false(device_reads(room, ROOM_ROOT));
	assert_true(device_reads_with(room, ROOM_ROOT, 3));
	munmap(plain, PAGE_SIZE);
	munmap(with_pasid, PAGE_SIZE);
	room_free(room);
}

/* ---- who else ---- */

TEST(cdev, siblings_belong_to_one_iommufd)
{
	struct room *room = room_new();
	int mine = open_iommufd(room), theirs = open_iommufd(room);
	int a = room_use_cdev(room, ROOM_PAIR_A, mine, 0), cdev = open_cdev(room, ROOM_PAIR_B);

	EXPECT_REFUSED(GROUP_CLAIMED, room->why, BIND(.iommufd = theirs));
	EXPECT_SUBSTR("/dev/iommu of ", room->why.text);
	ASSERT_OK(room->why, room_bind_cdev(room, cdev, mine, NULL));
	room_close(room, a);
	room_close(room, cdev);
	cdev = open_cdev(room, ROOM_PAIR_B);
	ASSERT_OK(room->why, room_bind_cdev(room, cdev, theirs, NULL));
	room_free(room);
}

TEST(cdev, a_bound_device_keeps_its_group_closed)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), unbound = open_cdev(room, ROOM_PAIR_A), cdev;
	int group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_PAIR_A));

	room_close(room, group);
	cdev = room_use_cdev(room, ROOM_PAIR_B, iommufd, 0);
	EXPECT_REFUSED(GROUP_BUSY, room->why, room_open_group(room, ROOM_PAIR_A));
	EXPECT_SUBSTR(ROOM_PAIR_B, room->why.text);
	room_close(room, cdev);
	ASSERT_OK(room->why, room_open_group(room, ROOM_PAIR_A));
	room_close(room, unbound);
	room_free(room);
}

TEST(cdev, the_iommufd_lives_as_long_as_the_device)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev;
	u32 ioas = room_ioas(room, iommufd);

	memory[0] = 0x33;
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	cdev = room_use_cdev(room, ROOM_NVME, iommufd, ioas);
	room_close(room, iommufd);
	room_check(room);
	assert_true(device_reads(room, ROOM_NVME));
	ASSERT_OK(room->why, room_detach(room, cdev));
	assert_false(device_reads(room, ROOM_NVME));
	room_close(room, cdev);
	assert_true(list_empty(&room->iommufd.contexts));
	room_free(room);
}

/* ---- hot reset ---- */

struct hot_reset {
	struct vfio_pci_hot_reset_info info;
	struct vfio_pci_dependent_device devices[4];
};

static void hot_reset_info(struct room *room, int cdev, struct hot_reset *hot)
{
	*hot = (struct hot_reset){.info = {.argsz = sizeof(*hot)}};
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, hot));
}

static long hot_reset(struct room *room, int cdev)
{
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};

	return IOCTL(cdev, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

TEST(cdev, hot_reset_tells_ids)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), a = room_use_cdev(room, ROOM_PAIR_A, iommufd, 0), b;
	struct hot_reset hot;

	hot_reset_info(room, a, &hot);
	assert_int_equal(hot.info.count, 2);
	assert_int_equal(hot.info.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED);
	assert_int_equal(hot.devices[0].devid, vfio_iommufd_id(room_bound(room, ROOM_PAIR_A)));
	/* Its group is ours. */
	assert_int_equal(hot.devices[1].devid, VFIO_PCI_DEVID_OWNED);
	assert_int_equal(hot.devices[1].bus, 3);
	assert_int_equal(hot.devices[1].devfn, 1);
	ASSERT_OK(room->why, hot_reset(room, a));
	b = room_use_cdev(room, ROOM_PAIR_B, iommufd, 0);
	hot_reset_info(room, b, &hot);
	assert_int_equal(hot.devices[1].devid, vfio_iommufd_id(room_bound(room, ROOM_PAIR_B)));
	ASSERT_OK(room->why, hot_reset(room, b));
	room_close(room, b);
	/* One without vfio-pci is nobody's to reset, though the group is ours. */
	room_unbind(room, ROOM_PAIR_B);
	hot_reset_info(room, a, &hot);
	assert_int_equal(hot.info.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	assert_int_equal((s32)hot.devices[1].devid, VFIO_PCI_DEVID_NOT_OWNED);
	EXPECT_REFUSED(HOT_RESET_NOT_VFIO, room->why, hot_reset(room, a));
	room_free(room);
}

TEST(cdev, hot_reset_takes_no_descriptors)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), a = room_use_cdev(room, ROOM_PAIR_A, iommufd, 0);
	u32 reset[4] = {sizeof(reset), 0, 1, (u32)a};
	struct hot_reset small = {.info = {.argsz = sizeof(small.info) + sizeof(small.devices[0])}};

	room->vfio.linux_hot_reset = true;
	EXPECT_REFUSED(HOT_RESET_ARGUMENT, room->why, IOCTL(a, VFIO_DEVICE_PCI_HOT_RESET, reset));
	EXPECT_REFUSED(HOT_RESET_ARRAY, room->why, IOCTL(a, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &small));
	assert_int_equal(small.info.count, 2);
	assert_int_equal(small.info.flags, 0);
	room_free(room);
}

/* ---- failures ---- */

static int life(struct why *why)
{
	struct room *room = room_try_new(why);
	int iommufd, cdev;
	u32 pt;
	long ret;

	if (!room)
		return -why->err;
	ret = iommufd = room_open_iommufd(room);
	if (ret >= 0)
		ret = cdev = room_open_cdev(room, ROOM_ROOT);
	if (ret >= 0)
		ret = room_bind_cdev(room, cdev, iommufd, NULL);
	if (ret >= 0) {
		struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

		ret = IOCTL(iommufd, IOMMU_IOAS_ALLOC, &alloc);
		pt = alloc.out_ioas_id;
	}
	if (ret >= 0)
		ret = room_attach(room, cdev, &pt);
	if (ret >= 0)
		ret = room_attach_pasid(room, cdev, 0x80000000, &pt) < 0 ? 0 : -EINVAL;
	*why = room->why;
	room_check(room);
	room_free(room);
	return ret < 0 ? (int)ret : 0;
}

TEST(cdev, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(life);
}

/* ---- messages ---- */

static struct isolde_pt *table_of(struct room *room, const char *name)
{
	return dma_port_domain(room_device(room, name)->port)->pt;
}

static long enable_msix(struct room *room, int cdev)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct {
		struct vfio_irq_set head;
		s32 fd;
	} set = {.head = {.argsz = sizeof(set),
			  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  .index = VFIO_PCI_MSIX_IRQ_INDEX,
			  .count = 1},
		 .fd = fd};
	long ret = IOCTL(cdev, VFIO_DEVICE_SET_IRQS, &set);

	close(fd);
	return ret;
}

/* Arm: what is no area of the program's leads messages to the interrupt controller, in whichever domain. */
TEST(cdev, messages_are_mapped_where_the_iommu_translates_them)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev;
	u32 first, second;

	room->wide->regions[0] = (struct reserved_region){0x8000000, 0x80fffff, RESERVED_SW_MSI};
	room->wide->nregions = 1;
	first = room_ioas(room, iommufd);
	second = room_ioas(room, iommufd);
	cdev = room_use_cdev(room, ROOM_NVME, iommufd, first);
	assert_int_equal(isolde_pt_iova_to_phys(table_of(room, ROOM_NVME), 0x8000040), 0);
	ASSERT_OK(room->why, enable_msix(room, cdev));
	assert_int_equal(isolde_pt_iova_to_phys(table_of(room, ROOM_NVME), 0x8000040), 0x8090040);
	ASSERT_OK(room->why, room_attach(room, cdev, &second));
	assert_int_equal(isolde_pt_iova_to_phys(table_of(room, ROOM_NVME), 0x8000040), 0x8090040);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(cdev, an_unbound_file_can_only_be_bound),
		CASE(cdev, looks_like_a_character_device),
		CASE(cdev, any_number_may_be_open),
		CASE(cdev, the_last_file_lets_an_unbind_go_on),
		CASE(cdev, a_number_nobody_has),
		CASE(cdev, bind_follows_the_rule_of_growing_structures),
		CASE(cdev, bind_refuses_in_this_order),
		CASE(cdev, what_is_locked_is_neither_reset_nor_opened),
		CASE(cdev, a_file_is_bound_once),
		CASE(cdev, a_file_of_the_group_is_none_to_bind),
		CASE(cdev, bind_that_cannot_answer_is_undone),
		CASE(cdev, a_bound_file_is_the_device),
		CASE(cdev, attach_gives_the_device_memory),
		CASE(cdev, a_second_attach_replaces),
		CASE(cdev, attach_and_detach_refuse_in_this_order),
		CASE(cdev, a_pasid_has_memory_of_its_own),
		CASE(cdev, pasid_0_is_none_to_the_iommu_but_one_to_vfio),
		CASE(cdev, attach_that_cannot_answer_detaches),
		CASE(cdev, siblings_belong_to_one_iommufd),
		CASE(cdev, a_bound_device_keeps_its_group_closed),
		CASE(cdev, the_iommufd_lives_as_long_as_the_device),
		CASE(cdev, hot_reset_tells_ids),
		CASE(cdev, hot_reset_takes_no_descriptors),
		CASE(cdev, failures_leave_nothing_behind),
		CASE(cdev, messages_are_mapped_where_the_iommu_translates_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
