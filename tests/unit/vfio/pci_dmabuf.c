/* SPDX-License-Identifier: MIT */
/* A range of a BAR as a dma-buf: what is refused, when it is taken back, and another device's DMA that reaches it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "mem/buffer.h"
#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define IOVA		    0x200000000ull

struct request {
	struct vfio_device_feature feature;
	struct vfio_device_feature_dma_buf dma_buf;
	struct vfio_region_dma_range ranges[3];
};

static struct request request_for(u64 offset, u64 length)
{
	return (struct request){
		.feature = {.argsz = sizeof(struct request),
			    .flags = VFIO_DEVICE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET},
		.dma_buf = {.nr_ranges = 1, .open_flags = O_CLOEXEC | O_RDWR},
		.ranges = {{offset, length}},
	};
}

static long ask(struct room *room, int cdev, const struct request *request)
{
	return IOCTL(cdev, VFIO_DEVICE_FEATURE, request);
}

static int use_nvme(struct room *room)
{
	int iommufd = (int)ASSERT_OK(room->why, room_open_iommufd(room));

	return room_use_cdev(room, ROOM_NVME, iommufd, 0);
}

TEST(dmabuf, refuses_what_is_no_range_of_a_bar)
{
	struct room *room = room_new();
	int iommufd = (int)ASSERT_OK(room->why, room_open_iommufd(room));
	int nvme = room_use_cdev(room, ROOM_NVME, iommufd, 0), nic = room_use_cdev(room, ROOM_NIC, iommufd, 0);
	struct request request = request_for(0, PAGE_SIZE);

	request.dma_buf.nr_ranges = 0;
	EXPECT_REFUSED(DMABUF_ARGUMENT, room->why, ask(room, nvme, &request));
	request.dma_buf = (struct vfio_device_feature_dma_buf){.nr_ranges = 1, .flags = 1, .region_index = 99};
	EXPECT_REFUSED(DMABUF_ARGUMENT, room->why, ask(room, nvme, &request));
	request.dma_buf.flags = 0;
	EXPECT_REFUSED(DMABUF_NO_BAR, room->why, ask(room, nvme, &request));
	request.dma_buf.region_index = 6;
	EXPECT_REFUSED(DMABUF_NO_BAR, room->why, ask(room, nvme, &request));
	request.dma_buf.region_index = 1; /* the upper half of BAR 0 */
	EXPECT_REFUSED(DMABUF_NO_BAR, room->why, ask(room, nvme, &request));
	/* The I/O BAR is only known to be none for DMA when the ranges are known. */
	request.dma_buf.region_index = 2;
	request.ranges[0].length = 0;
	EXPECT_REFUSED(DMABUF_RANGE, room->why, ask(room, nic, &request));
	request.ranges[0].length = PAGE_SIZE;
	EXPECT_REFUSED(DMABUF_NOT_MEMORY, room->why, ask(room, nic, &request));
	room_free(room);
}

TEST(dmabuf, refuses_ranges)
{
	static const struct {
		u32 count;
		enum why_code code;
		struct vfio_region_dma_range ranges[3];
	} refused[] = {
		{1, WHY_DMABUF_RANGE, {{0, 0}}},
		{1, WHY_DMABUF_RANGE, {{1, PAGE_SIZE}}},
		{1, WHY_DMABUF_RANGE, {{0, PAGE_SIZE + 1}}},
		{1, WHY_DMABUF_RANGE, {{0, 0x5000}}}, /* the BAR has four pages */
		{1, WHY_DMABUF_RANGE, {{0x4000, PAGE_SIZE}}},
		{2, WHY_DMABUF_RANGE, {{0, PAGE_SIZE}, {0x3000, 0x2000}}},
		{2, WHY_DMABUF_RANGE, {{0, 1ull << 62}, {0, 1ull << 62}}},
		{3, WHY_DMABUF_RANGE, {{0, UINT64_MAX & PAGE_MASK}, {0, PAGE_SIZE}, {0, PAGE_SIZE}}},
		{1, WHY_DMABUF_OVERFLOW, {{UINT64_MAX & PAGE_MASK, PAGE_SIZE}}},
		{1, WHY_DMABUF_OVERFLOW, {{1ull << 63, (1ull << 63) - PAGE_SIZE}}},
		{65537, WHY_OUT_OF_MEMORY, {}},
		{3000, WHY_CLIENT_FAULT, {}},
	};
	struct room *room = room_new();
	int nvme = use_nvme(room);
	u8 *page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct request *request = (void *)(page + PAGE_SIZE - sizeof(*request));

	munmap(page + PAGE_SIZE, PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		*request = request_for(0, PAGE_SIZE);
		request->dma_buf.nr_ranges = refused[i].count;
		memcpy(request->ranges, refused[i].ranges, sizeof(request->ranges));
		assert_true(ask(room, nvme, request) < 0);
		if (room->why.code != refused[i].code)
			fail_msg("row %zu: %s: %s", i, why_code_name(room->why.code), room->why.text);
	}
	/* The codes by name, for tools/check-refusals. */
	*request = request_for(0, 0x5000);
	EXPECT_REFUSED(DMABUF_RANGE, room->why, ask(room, nvme, request));
	request->ranges[0].offset = UINT64_MAX & PAGE_MASK;
	EXPECT_REFUSED(DMABUF_OVERFLOW, room->why, ask(room, nvme, request));
	munmap(page, PAGE_SIZE);
	room_free(room);
}

/* Memory is what the other side has of it. */
struct importer {
	struct buffer_importer importer;
	unsigned revocations;
};

static void count_revocation(struct buffer_importer *importer)
{
	container_of(importer, struct importer, importer)->revocations++;
}

TEST(dmabuf, is_taken_back_while_the_registers_are_gone)
{
	struct room *room = room_new();
	int nvme = use_nvme(room);
	struct request request = request_for(0, PAGE_SIZE);
	struct importer importer = {.importer.revoked = count_revocation};
	struct vfio_device_feature low_power = {.argsz = sizeof(low_power),
						.flags = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | VFIO_DEVICE_FEATURE_SET};
	struct shared_buffer *buffer;
	int fd = (int)ASSERT_OK(room->why, ask(room, nvme, &request));

	buffer = buffer_of_file(room_file(room, fd));
	assert_non_null(buffer);
	assert_int_equal(buffer->size, PAGE_SIZE);
	ASSERT_OK(room->why, buffer_import(buffer, &importer.importer, &room->why));
	/* Memory off and on again: it is there for whoever comes now. */
	room_set_config(room, nvme, 4, 2, 0);
	assert_int_equal(importer.revocations, 1);
	EXPECT_REFUSED(BUFFER_REVOKED, room->why, buffer_import(buffer, &(struct buffer_importer){}, &room->why));
	room_set_config(room, nvme, 4, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(importer.revocations, 1);
	assert_false(buffer->revoked);
	/* A reset takes it for the moment. */
	ASSERT_OK(room->why, IOCTL(nvme, VFIO_DEVICE_RESET, 0));
	assert_int_equal(importer.revocations, 2);
	assert_false(buffer->revoked);
	ASSERT_OK(room->why, IOCTL(nvme, VFIO_DEVICE_FEATURE, &low_power));
	assert_int_equal(importer.revocations, 3);
	assert_true(buffer->revoked);
	/* One that is made meanwhile is revoked from the start; any request ends no low power of this kind. */
	fd = (int)ASSERT_OK(room->why, ask(room, nvme, &request));
	assert_true(buffer_of_file(room_file(room, fd))->revoked);
	buffer_let_go(&importer.importer);
	room_free(room);
}

TEST(dmabuf, outlives_the_device_as_nothing)
{
	struct room *room = room_new();
	int nvme = use_nvme(room);
	struct request request = request_for(0x1000, 0x3000);
	struct importer importer = {.importer.revoked = count_revocation};
	struct shared_buffer *buffer;
	int fd = (int)ASSERT_OK(room->why, ask(room, nvme, &request));

	buffer = buffer_of_file(room_file(room, fd));
	ASSERT_OK(room->why, buffer_import(buffer, &importer.importer, &room->why));
	room_close(room, nvme);
	assert_int_equal(importer.revocations, 1);
	EXPECT_REFUSED(BUFFER_REVOKED, room->why, buffer_import(buffer, &(struct buffer_importer){}, &room->why));
	/* The next session is nothing to it. */
	nvme = use_nvme(room);
	assert_true(buffer->revoked);
	room_close(room, fd);
	buffer_let_go(&importer.importer);
	room_free(room);
}

TEST(dmabuf, of_several_ranges_is_for_others_than_iommufd)
{
	struct room *room = room_new();
	int nvme = use_nvme(room);
	struct request request = request_for(0, PAGE_SIZE);
	int fd;

	request.dma_buf.nr_ranges = 2;
	request.ranges[1] = (struct vfio_region_dma_range){0x2000, PAGE_SIZE};
	fd = (int)ASSERT_OK(room->why, ask(room, nvme, &request));
	assert_int_equal(buffer_of_file(room_file(room, fd))->size, 2 * PAGE_SIZE);
	EXPECT_REFUSED(BUFFER_KIND, room->why,
		       buffer_import(buffer_of_file(room_file(room, fd)), &(struct buffer_importer){}, &room->why));
	EXPECT_REFUSED(IOCTL_UNKNOWN, room->why, IOCTL(fd, VFIO_DEVICE_GET_INFO, &request));
	room_free(room);
}

static long map_file(struct room *room, int iommufd, u32 ioas, int fd)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = fd,
		.length = 2 * PAGE_SIZE,
		.iova = IOVA,
	};

	return IOCTL(iommufd, IOMMU_IOAS_MAP_FILE, &map);
}

/* Peer to peer: the NIC's DMA writes a register of the NVMe controller. */
TEST(dmabuf, another_device_reaches_the_registers)
{
	struct room *room = room_new();
	int iommufd = (int)ASSERT_OK(room->why, room_open_iommufd(room));
	u32 ioas = room_ioas(room, iommufd), value = 0x600dcafe, got = 0;
	int nvme = room_use_cdev(room, ROOM_NVME, iommufd, 0), nic = room_use_cdev(room, ROOM_NIC, iommufd, ioas);
	struct request request = request_for(0, 2 * PAGE_SIZE);
	int fd = (int)ASSERT_OK(room->why, ask(room, nvme, &request));
	struct dma_port *port = room_device(room, ROOM_NIC)->port;

	room_set_config(room, nic, 4, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	ASSERT_OK(room->why, map_file(room, iommufd, ioas, fd));
	room_close(room, fd);
	assert_int_equal(dma_write(port, IOVA + 0x1008, &value, sizeof(value)), DMA_OK);
	assert_int_equal(room_read(room, nvme, 0x1008, &got, sizeof(got)), sizeof(got));
	assert_int_equal(got, value);
	/* Not while they are gone, and not afterwards by that mapping. */
	room_set_config(room, nvme, 4, 2, 0);
	assert_int_equal(dma_write(port, IOVA + 0x1008, &value, sizeof(value)), DMA_FAULT);
	room_set_config(room, nvme, 4, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(dma_read(port, IOVA + 0x1008, &got, sizeof(got)), DMA_FAULT);
	ASSERT_OK(room->why, room_ioas_unmap(room, iommufd, ioas, IOVA, 2 * PAGE_SIZE));
	fd = (int)ASSERT_OK(room->why, ask(room, nvme, &request));
	ASSERT_OK(room->why, map_file(room, iommufd, ioas, fd));
	assert_int_equal(dma_read(port, IOVA + 0x1008, &got, sizeof(got)), DMA_OK);
	/* The device goes while it is mapped. */
	room_close(room, nvme);
	assert_int_equal(dma_read(port, IOVA + 0x1008, &got, sizeof(got)), DMA_FAULT);
	room_free(room);
}

static int life(struct why *why)
{
	unsigned before = count_descriptors();
	struct room *room = room_try_new(why);
	struct request request = request_for(0, PAGE_SIZE);
	int iommufd, cdev = -1;
	long ret;

	if (!room)
		return -why->err;
	ret = iommufd = room_open_iommufd(room);
	if (ret >= 0)
		ret = cdev = room_open_cdev(room, ROOM_NVME);
	if (ret >= 0)
		ret = room_bind_cdev(room, cdev, iommufd, NULL);
	if (ret >= 0)
		ret = ask(room, cdev, &request);
	*why = room->why;
	room_check(room);
	room_free(room);
	assert_int_equal(count_descriptors(), before);
	return ret < 0 ? (int)ret : 0;
}

TEST(dmabuf, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dmabuf, refuses_what_is_no_range_of_a_bar),
		CASE(dmabuf, refuses_ranges),
		CASE(dmabuf, is_taken_back_while_the_registers_are_gone),
		CASE(dmabuf, outlives_the_device_as_nothing),
		CASE(dmabuf, of_several_ranges_is_for_others_than_iommufd),
		CASE(dmabuf, another_device_reaches_the_registers),
		CASE(dmabuf, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
