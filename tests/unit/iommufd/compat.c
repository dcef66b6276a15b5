/* SPDX-License-Identifier: MIT */
/* What VFIO programs ask of /dev/iommu: spec 03 section 12. */
#include "iommufd/compat.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "iommufd/device.h"
#include "iommufd/ioas.h"
#include "isolde/abi/vfio.h"
#include "tests/fixtures/holder.h"
#include "tests/fixtures/iommufd_room.h"

#define IOVA  0x100000000ull
#define PAGES 16

static u8 memory[PAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static u32 alloc_ioas(struct iommufd_room *self)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	ASSERT_ASKED(IOMMU_IOAS_ALLOC, &alloc);
	return alloc.out_ioas_id;
}

static u32 set_ioas(struct iommufd_room *self)
{
	struct iommu_vfio_ioas set = {.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = alloc_ioas(self)};

	ASSERT_ASKED(IOMMU_VFIO_IOAS, &set);
	return set.ioas_id;
}

static long map(struct iommufd_room *self, u64 iova, u64 size, u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = flags, .vaddr = (uintptr_t)memory, .iova = iova, .size = size};

	return iommufd_ask(self, VFIO_IOMMU_MAP_DMA, &map);
}

/* The size it answers, or -errno; *ret_size also when it fails. */
static long unmap(struct iommufd_room *self, u64 iova, u64 size, u32 flags, u64 *ret_size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = size};
	long ret = iommufd_ask(self, VFIO_IOMMU_UNMAP_DMA, &unmap);

	if (ret_size)
		*ret_size = unmap.size;
	return ret < 0 ? ret : (long)unmap.size;
}

static void bind_device(struct iommufd_room *self, struct iommufd_device **ret)
{
	self->iommufd.unsafe_interrupts = true;
	ASSERT_OK(self->why, iommufd_device_bind(self->context, self->room.alone, ret, &self->why));
}

/* A device of the room is bound and attached to the IOAS, so that there is a domain. */
static struct iommufd_device *attach_device(struct iommufd_room *self, u32 ioas)
{
	struct iommufd_device *device;

	bind_device(self, &device);
	ASSERT_OK(self->why, iommufd_device_attach(device, 0, &ioas, &self->why));
	return device;
}

static void detach_device(struct iommufd_device *device)
{
	iommufd_device_detach(device, 0);
	iommufd_device_unbind(device);
}

/* ---- which IOAS ---- */

IOMMUFD_TEST(compat, the_compat_ioas_is_named_and_forgotten)
{
	struct iommu_vfio_ioas get = {.size = sizeof(get)};
	struct iommu_vfio_ioas set = {.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = 77};
	struct iommu_vfio_ioas clear = {.size = sizeof(clear), .op = IOMMU_VFIO_IOAS_CLEAR};
	struct iommu_vfio_ioas other = {.size = sizeof(other), .op = 3, .__reserved = 1};
	struct iommu_destroy destroy = {.size = sizeof(destroy)};

	EXPECT_DENIED(RESERVED_SET, IOMMU_VFIO_IOAS, &other);
	other.__reserved = 0;
	EXPECT_DENIED(COMPAT_OPERATION, IOMMU_VFIO_IOAS, &other);
	EXPECT_DENIED(COMPAT_NO_IOAS, IOMMU_VFIO_IOAS, &get);
	EXPECT_DENIED(OBJECT_MISSING, IOMMU_VFIO_IOAS, &set);
	ASSERT_ASKED(IOMMU_VFIO_IOAS, &clear);
	set.ioas_id = alloc_ioas(self);
	ASSERT_ASKED(IOMMU_VFIO_IOAS, &set);
	ASSERT_ASKED(IOMMU_VFIO_IOAS, &get);
	assert_int_equal(get.ioas_id, set.ioas_id);
	/* It is only named: destroying it is allowed. */
	destroy.id = set.ioas_id;
	ASSERT_ASKED(IOMMU_DESTROY, &destroy);
	EXPECT_DENIED(COMPAT_NO_IOAS, IOMMU_VFIO_IOAS, &get);
	set_ioas(self);
	ASSERT_ASKED(IOMMU_VFIO_IOAS, &clear);
	EXPECT_DENIED(COMPAT_NO_IOAS, IOMMU_VFIO_IOAS, &get);
}

IOMMUFD_TEST(compat, a_group_makes_one_unless_there_is_one)
{
	u32 id = 0, chosen;

	ASSERT_OK(self->why, compat_ioas_ensure(self->context, &self->why));
	ASSERT_OK(self->why, compat_ioas_id(self->context, &id, &self->why));
	assert_int_equal(id, 1);
	ASSERT_OK(self->why, compat_ioas_ensure(self->context, &self->why));
	ASSERT_OK(self->why, compat_ioas_id(self->context, &id, &self->why));
	assert_int_equal(id, 1);
	chosen = set_ioas(self);
	ASSERT_OK(self->why, compat_ioas_ensure(self->context, &self->why));
	ASSERT_OK(self->why, compat_ioas_id(self->context, &id, &self->why));
	assert_int_equal(id, chosen);
	EXPECT_REFUSED(COMPAT_HAS_IOAS, self->why, compat_set_no_iommu(self->context, &self->why));
}

/* ---- without one ---- */

IOMMUFD_TEST(compat, arguments_are_looked_at_before_the_ioas)
{
	struct vfio_iommu_type1_dma_map map_request = {.argsz = 31, .flags = 4};
	struct vfio_iommu_type1_dma_unmap unmap_request = {.argsz = 23, .flags = 4};
	struct vfio_iommu_type1_info info = {.argsz = 15};

	EXPECT_DENIED(CLIENT_FAULT, VFIO_IOMMU_MAP_DMA, NULL);
	EXPECT_DENIED(ARGSZ_SHORT, VFIO_IOMMU_MAP_DMA, &map_request);
	map_request.argsz = 32;
	EXPECT_DENIED(COMPAT_FLAGS, VFIO_IOMMU_MAP_DMA, &map_request);
	map_request.flags = 3;
	EXPECT_DENIED(COMPAT_NO_IOAS, VFIO_IOMMU_MAP_DMA, &map_request);
	EXPECT_DENIED(CLIENT_FAULT, VFIO_IOMMU_UNMAP_DMA, NULL);
	EXPECT_DENIED(ARGSZ_SHORT, VFIO_IOMMU_UNMAP_DMA, &unmap_request);
	unmap_request.argsz = 24;
	EXPECT_DENIED(COMPAT_FLAGS, VFIO_IOMMU_UNMAP_DMA, &unmap_request);
	/* Of the flags only ALL is left; that iova must be 0 with it comes later. */
	unmap_request.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	unmap_request.iova = 1;
	EXPECT_DENIED(COMPAT_NO_IOAS, VFIO_IOMMU_UNMAP_DMA, &unmap_request);
	EXPECT_DENIED(CLIENT_FAULT, VFIO_IOMMU_GET_INFO, NULL);
	EXPECT_DENIED(ARGSZ_SHORT, VFIO_IOMMU_GET_INFO, &info);
	info.argsz = 16;
	EXPECT_DENIED(COMPAT_NO_IOAS, VFIO_IOMMU_GET_INFO, &info);
	EXPECT_DENIED(COMPAT_NO_IOAS, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
	EXPECT_DENIED(COMPAT_TYPE, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_NESTING_IOMMU);
	EXPECT_DENIED(COMPAT_TYPE, VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU);
	EXPECT_DENIED(COMPAT_NO_IOAS, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU);
	EXPECT_DENIED(IOCTL_UNKNOWN, VFIO_IOMMU_DIRTY_PAGES, NULL);
	EXPECT_DENIED(IOCTL_UNKNOWN, VFIO_DEVICE_GET_INFO, NULL);
	assert_int_equal(iommufd_ask(self, VFIO_GET_API_VERSION, NULL), VFIO_API_VERSION);
}

#define EXTENSION(n) iommufd_ask(self, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)(n))

IOMMUFD_TEST(compat, extensions)
{
	set_ioas(self);
	for (unsigned i = 0; i < 32; i++) {
		bool has = i == VFIO_TYPE1_IOMMU || i == VFIO_TYPE1v2_IOMMU || i == VFIO_UNMAP_ALL ||
			   i == VFIO_DMA_CC_IOMMU;

		assert_int_equal(EXTENSION(i), has);
	}
	assert_int_equal(EXTENSION(UINT64_MAX), 0);
}

/* Whether all domains enforce coherency; the room's unit does not. */
IOMMUFD_TEST(compat, coherency_is_asked_of_every_domain)
{
	struct iommufd_device *device;
	u32 ioas = set_ioas(self);

	assert_int_equal(EXTENSION(VFIO_DMA_CC_IOMMU), 1);
	device = attach_device(self, ioas);
	assert_int_equal(EXTENSION(VFIO_DMA_CC_IOMMU), device->enforces_coherency);
	detach_device(device);
	assert_int_equal(EXTENSION(VFIO_DMA_CC_IOMMU), 1);
}

IOMMUFD_TEST(compat, a_file_without_an_iommu)
{
	/* Linux asks whether the kernel was built for it, isolde whether the machine is. */
	assert_int_equal(EXTENSION(VFIO_NOIOMMU_IOMMU), 0);
	self->iommufd.noiommu = true;
	assert_int_equal(EXTENSION(VFIO_NOIOMMU_IOMMU), 1);
	EXPECT_DENIED(COMPAT_TYPE, VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU);
	ASSERT_OK(self->why, compat_set_no_iommu(self->context, &self->why));
	assert_int_equal(EXTENSION(VFIO_TYPE1_IOMMU), 0);
	assert_int_equal(EXTENSION(VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(EXTENSION(VFIO_UNMAP_ALL), 0);
	EXPECT_DENIED(COMPAT_TYPE, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
	EXPECT_REFUSED(COMPAT_NO_IOMMU, self->why, compat_ioas_ensure(self->context, &self->why));
	ASSERT_ASKED(VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU);
}

/* A process that has given all privileges away, and says so by a byte. */
static pid_t unprivileged(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		end_with_the_test();
		if (syscall(SYS_capset, &header, data) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

IOMMUFD_TEST(compat, dma_without_an_iommu_needs_privilege)
{
	struct client before = *self->room.client;

	self->iommufd.noiommu = true;
	ASSERT_OK(self->why, compat_set_no_iommu(self->context, &self->why));
	self->room.client->pid = unprivileged();
	self->room.client->own = false;
	EXPECT_DENIED(NO_IOMMU_PRIVILEGE, VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU);
	kill(self->room.client->pid, SIGKILL);
	waitpid(self->room.client->pid, NULL, 0);
	self->room.client->pid = before.pid;
	self->room.client->own = before.own;
}

/* ---- map and unmap ---- */

IOMMUFD_TEST(compat, maps_where_it_is_told)
{
	struct iommufd_device *device;
	u32 ioas = set_ioas(self);

	ASSERT_OK(self->why, map(self, IOVA, 4 * PAGE_SIZE, 3));
	EXPECT_REFUSED(IOVA_MAPPED, self->why, map(self, IOVA + PAGE_SIZE, PAGE_SIZE, 3));
	/* Native requests see the same. */
	ASSERT_ASKED(IOMMU_IOAS_UNMAP, &((struct iommu_ioas_unmap){.size = sizeof(struct iommu_ioas_unmap),
								   .ioas_id = ioas,
								   .iova = IOVA,
								   .length = 4 * PAGE_SIZE}));
	/* No permission is a permission, too, until there is a table that would have to say so. */
	ASSERT_OK(self->why, map(self, IOVA, PAGE_SIZE, 0));
	bind_device(self, &device);
	EXPECT_REFUSED(AREA_FORBIDDEN, self->why, iommufd_device_attach(device, 0, &(u32){ioas}, &self->why));
	assert_int_equal(unmap(self, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL), PAGE_SIZE);
	ASSERT_OK(self->why, iommufd_device_attach(device, 0, &ioas, &self->why));
	EXPECT_REFUSED(AREA_FORBIDDEN, self->why, map(self, IOVA, PAGE_SIZE, 0));
	ASSERT_OK(self->why, map(self, IOVA, PAGE_SIZE, 1));
	detach_device(device);
}

IOMMUFD_TEST(compat, unmaps_whole_mappings_and_says_how_much)
{
	u64 size;

	set_ioas(self);
	ASSERT_ASKED(VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
	assert_int_equal(unmap(self, IOVA, PAGE_SIZE, 0, NULL), 0);
	assert_int_equal(unmap(self, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL), 0);
	EXPECT_REFUSED(COMPAT_ALL_RANGE, self->why, unmap(self, 1, 0, VFIO_DMA_UNMAP_FLAG_ALL, &size));
	assert_int_equal(size, 0);
	EXPECT_REFUSED(COMPAT_ALL_RANGE, self->why, unmap(self, 0, 1, VFIO_DMA_UNMAP_FLAG_ALL, &size));
	/* Nothing is written back then. */
	assert_int_equal(size, 1);
	EXPECT_REFUSED(IOAS_RANGE_EMPTY, self->why, unmap(self, IOVA, 0, 0, NULL));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, unmap(self, UINT64_MAX, 2, 0, &size));
	/* But here it is. */
	assert_int_equal(size, 0);
	ASSERT_OK(self->why, map(self, IOVA, 2 * PAGE_SIZE, 3));
	ASSERT_OK(self->why, map(self, IOVA + 3 * PAGE_SIZE, PAGE_SIZE, 3));
	assert_int_equal(unmap(self, IOVA - PAGE_SIZE, 16 * PAGE_SIZE, 0, NULL), 3 * PAGE_SIZE);
	/* Half-way: the first went, and is told of. */
	ASSERT_OK(self->why, map(self, IOVA, PAGE_SIZE, 3));
	ASSERT_OK(self->why, map(self, IOVA + PAGE_SIZE, 2 * PAGE_SIZE, 3));
	EXPECT_REFUSED(AREA_STRADDLES, self->why, unmap(self, IOVA, 2 * PAGE_SIZE, 0, &size));
	assert_int_equal(size, PAGE_SIZE);
	EXPECT_REFUSED(AREA_STRADDLES, self->why, unmap(self, IOVA + 2 * PAGE_SIZE, PAGE_SIZE, 0, NULL));
}

IOMMUFD_TEST(compat, type1_cuts)
{
	struct iommufd_device *device;
	u32 ioas = set_ioas(self);

	/* Not when a domain may have huge pages already. */
	ASSERT_OK(self->why, map(self, IOVA, PAGE_SIZE, 3));
	device = attach_device(self, ioas);
	EXPECT_DENIED(HUGE_PAGES_LATE, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
	assert_int_equal(unmap(self, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL), PAGE_SIZE);
	ASSERT_ASKED(VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
	/* Again and again, unlike a container of VFIO's own. */
	ASSERT_ASKED(VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
	ASSERT_ASKED(VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
	ASSERT_OK(self->why, map(self, IOVA, 8 * PAGE_SIZE, 3));
	assert_int_equal(unmap(self, IOVA + 2 * PAGE_SIZE, 3 * PAGE_SIZE, 0, NULL), 3 * PAGE_SIZE);
	assert_int_equal(unmap(self, IOVA + 2 * PAGE_SIZE, 3 * PAGE_SIZE, 0, NULL), 0);
	/* The rest is there still, on both sides. */
	EXPECT_REFUSED(IOVA_MAPPED, self->why, map(self, IOVA + PAGE_SIZE, PAGE_SIZE, 3));
	EXPECT_REFUSED(IOVA_MAPPED, self->why, map(self, IOVA + 5 * PAGE_SIZE, PAGE_SIZE, 3));
	ASSERT_OK(self->why, map(self, IOVA + 2 * PAGE_SIZE, 3 * PAGE_SIZE, 3));
	/* Not inside a page. */
	EXPECT_REFUSED(CUT_MISALIGNED, self->why, unmap(self, IOVA + 6 * PAGE_SIZE, PAGE_SIZE + 1, 0, NULL));
	assert_int_equal(unmap(self, IOVA + 7 * PAGE_SIZE, 100 * PAGE_SIZE, 0, NULL), PAGE_SIZE);
	assert_int_equal(unmap(self, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL), 7 * PAGE_SIZE);
	detach_device(device);
}

/* Where a program asks for nothing, the borders are cut before that is refused. */
IOMMUFD_TEST(compat, type1_cuts_before_it_refuses)
{
	u64 size;

	set_ioas(self);
	ASSERT_ASKED(VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
	ASSERT_OK(self->why, map(self, IOVA, 4 * PAGE_SIZE, 3));
	EXPECT_REFUSED(IOAS_RANGE_EMPTY, self->why, unmap(self, IOVA + 2 * PAGE_SIZE, 0, 0, &size));
	ASSERT_ASKED(VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
	EXPECT_REFUSED(IOAS_RANGE_EMPTY, self->why, unmap(self, 0, 0, 0, NULL));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, unmap(self, 2, UINT64_MAX, 0, NULL));
}

/* ---- information ---- */

struct info {
	struct vfio_iommu_type1_info info;
	struct vfio_iommu_type1_info_dma_avail avail;
	u32 gap;
	struct vfio_info_cap_header header;
	u32 count, reserved;
	struct vfio_iova_range ranges[3];
	u8 beyond[16];
};

static struct info get_info(struct iommufd_room *self, u32 argsz)
{
	struct info info;

	memset(&info, 0xee, sizeof(info));
	info.info.argsz = argsz;
	info.info.flags = 0;
	ASSERT_ASKED(VFIO_IOMMU_GET_INFO, &info);
	for (u32 i = argsz; i < sizeof(info); i++)
		assert_int_equal(((u8 *)&info)[i], 0xee);
	return info;
}

IOMMUFD_TEST(compat, information_has_capabilities)
{
	struct iommufd_device *device;
	u32 ioas = set_ioas(self), full = offsetof(struct info, ranges) + sizeof(struct vfio_iova_range);
	struct info info = get_info(self, sizeof(info));

	assert_int_equal(info.info.flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
	assert_int_equal(info.info.argsz, full);
	assert_int_equal(info.info.cap_offset, sizeof(info.info));
	assert_int_equal(info.info.iova_pgsizes, PAGE_MASK);
	assert_int_equal(info.avail.header.id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	assert_int_equal(info.avail.header.next, offsetof(struct info, header));
	assert_int_equal(info.avail.avail, UINT32_MAX);
	assert_int_equal(info.header.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	assert_int_equal(info.header.version, 1);
	assert_int_equal(info.header.next, 0);
	assert_int_equal(info.count, 1);
	assert_int_equal(info.ranges[0].start, 0);
	assert_true(info.ranges[0].end == UINT64_MAX);
	/* A domain ends at its width, the window of interrupts is cut out. */
	device = attach_device(self, ioas);
	info = get_info(self, sizeof(info));
	assert_int_equal(info.info.iova_pgsizes, 0x40201000);
	assert_int_equal(info.count, 2);
	assert_int_equal(info.info.argsz, full + sizeof(struct vfio_iova_range));
	assert_int_equal(info.ranges[0].end, 0xfedfffff);
	assert_int_equal(info.ranges[1].start, 0xfef00000);
	detach_device(device);
}

IOMMUFD_TEST(compat, information_fits_what_there_is_room_for)
{
	u32 full = offsetof(struct info, ranges) + sizeof(struct vfio_iova_range);

	set_ioas(self);
	for (u32 argsz = 16; argsz <= sizeof(struct info); argsz++) {
		struct info info = get_info(self, argsz);

		assert_int_equal(info.info.argsz, full);
		/* Capabilities are only told of when all are there; of the first one it may be that nothing points to
		 * it. */
		if (argsz >= sizeof(info.info))
			assert_int_equal(info.info.cap_offset, argsz >= full ? sizeof(info.info) : 0);
		if (argsz >= offsetof(struct info, gap))
			assert_int_equal(info.avail.avail, UINT32_MAX);
		if (argsz >= full)
			assert_int_equal(info.count, 1);
	}
}

IOMMUFD_TEST(compat, faults_are_found)
{
	u8 *pages = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_unmap *request = (void *)pages;

	set_ioas(self);
	ASSERT_OK(self->why, map(self, IOVA, PAGE_SIZE, 3));
	*request = (struct vfio_iommu_type1_dma_unmap){.argsz = sizeof(*request), .iova = IOVA, .size = PAGE_SIZE};
	mprotect(pages, PAGE_SIZE, PROT_READ);
	EXPECT_DENIED(CLIENT_FAULT, VFIO_IOMMU_UNMAP_DMA, request);
	/* It was unmapped all the same, and also hides what was wrong with a range. */
	ASSERT_OK(self->why, map(self, IOVA, PAGE_SIZE, 3));
	mprotect(pages, PAGE_SIZE, PROT_READ | PROT_WRITE);
	request->size = 0;
	mprotect(pages, PAGE_SIZE, PROT_READ);
	EXPECT_DENIED(CLIENT_FAULT, VFIO_IOMMU_UNMAP_DMA, request);
	/* Room for the structure, none for the capabilities behind it. */
	mprotect(pages, PAGE_SIZE, PROT_READ | PROT_WRITE);
	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	*(u32 *)(void *)(pages + PAGE_SIZE - sizeof(struct vfio_iommu_type1_info)) = 1024;
	EXPECT_DENIED(CLIENT_FAULT, VFIO_IOMMU_GET_INFO, pages + PAGE_SIZE - sizeof(struct vfio_iommu_type1_info));
	munmap(pages, PAGE_SIZE);
}

static struct iommufd_room *room; /* of the sweep; each round has an open file of its own */

static int life(struct why *why)
{
	struct iommufd_room *self = room;
	u64 size;
	long ret = iommufd_context_open(&self->iommufd, self->room.client, &self->file, why);

	if (ret < 0)
		return (int)ret;
	self->context = iommufd_context_of(self->file);
	ret = compat_ioas_ensure(self->context, &self->why);
	if (ret == 0)
		ret = iommufd_ask(self, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
	if (ret == 0)
		ret = map(self, IOVA, 8 * PAGE_SIZE, 3);
	if (ret == 0)
		ret = unmap(self, IOVA + PAGE_SIZE, PAGE_SIZE, 0, &size);
	*why = self->why;
	self->file->ops->release(self->file);
	self->file = NULL;
	return ret < 0 ? (int)ret : 0;
}

TEST(compat, failures_leave_nothing_behind)
{
	room = iommufd_room_new();
	room->file->ops->release(room->file);
	room->file = NULL;
	SWEEP_FAILURES(life);
	iommufd_room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(compat, the_compat_ioas_is_named_and_forgotten),
		CASE(compat, a_group_makes_one_unless_there_is_one),
		CASE(compat, arguments_are_looked_at_before_the_ioas),
		CASE(compat, extensions),
		CASE(compat, coherency_is_asked_of_every_domain),
		CASE(compat, a_file_without_an_iommu),
		CASE(compat, dma_without_an_iommu_needs_privilege),
		CASE(compat, maps_where_it_is_told),
		CASE(compat, unmaps_whole_mappings_and_says_how_much),
		CASE(compat, type1_cuts),
		CASE(compat, type1_cuts_before_it_refuses),
		CASE(compat, information_has_capabilities),
		CASE(compat, information_fits_what_there_is_room_for),
		CASE(compat, faults_are_found),
		CASE(compat, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
