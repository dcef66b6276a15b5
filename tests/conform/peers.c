/* SPDX-License-Identifier: MIT */
/* Registers as dma-bufs, for the DMA of others (DEVICE_FEATURE 11, spec 05 section 15), and their import into an
 * iommufd. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/buses.h"

#define GET	VFIO_DEVICE_FEATURE_GET
#define SET	VFIO_DEVICE_FEATURE_SET
#define PROBE	VFIO_DEVICE_FEATURE_PROBE
#define DMA_BUF VFIO_DEVICE_FEATURE_DMA_BUF

enum { AT = 0x2000000, QUEUES = 0x1000000, MOST = 4, HIGHEST = 63 };

struct request {
	struct vfio_device_feature head;
	struct vfio_device_feature_dma_buf buffer;
	struct vfio_region_dma_range ranges[MOST];
};

/* Of the one range of BAR 0. */
static struct request request_of(u64 offset, u64 length)
{
	return (struct request){
		.head = {.argsz = sizeof(struct request), .flags = GET | DMA_BUF},
		.buffer = {.open_flags = O_CLOEXEC | O_RDWR, .nr_ranges = 1},
		.ranges = {{offset, length}},
	};
}

static answer ask_buffer(int device, u64 offset, u64 length)
{
	struct request request = request_of(offset, length);

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

/* Two functions of one group, bound and not attached; of the first the registers are. */
struct peers {
	struct names names[2];
	int fd, device, sibling;
	u64 size; /* of BAR 0 */
};

static void need_buffers(int device)
{
	struct vfio_device_feature probe = {.argsz = sizeof(probe), .flags = PROBE | GET | DMA_BUF};
	answer got = ask(device, VFIO_DEVICE_FEATURE, &probe);

	if (got == -ENOTTY || got == -EOPNOTSUPP)
		skip("this kernel has no dma-bufs of registers");
	EXPECT(0, got);
}

static struct peers new_peers(void)
{
	struct peers peers = {.fd = iommu()};

	two_siblings(peers.names);
	peers.device = bound_node(&peers.names[0], peers.fd);
	peers.sibling = bound_node(&peers.names[1], peers.fd);
	need_buffers(peers.device);
	peers.size = region_of(peers.device, 0).size;
	set_config(peers.device, 4, 2, 2);
	return peers;
}

/* ---- what is refused ---- */

TEST(the_head_is_looked_at_first)
{
	const struct {
		u32 argsz, flags;
		answer expected;
	} rows[] = {
		{sizeof(struct vfio_device_feature) - 1, ~0u, -EINVAL},
		{sizeof(struct vfio_device_feature), GET | SET | DMA_BUF, -EINVAL},
		{sizeof(struct vfio_device_feature), SET | DMA_BUF, -EINVAL},
		{sizeof(struct vfio_device_feature), PROBE | SET | DMA_BUF, -EINVAL},
		{sizeof(struct vfio_device_feature), PROBE | GET | SET | DMA_BUF, -EINVAL},
		{sizeof(struct vfio_device_feature), PROBE | GET | DMA_BUF, 0},
		{sizeof(struct vfio_device_feature), PROBE | DMA_BUF, 0},
		{sizeof(struct request), DMA_BUF, -EINVAL},
		{sizeof(struct vfio_device_feature) + 15, GET | DMA_BUF, -EINVAL},
	};
	struct peers peers = new_peers();

	FOR_EACH(row, rows)
	{
		struct request request = request_of(0, PAGE);

		about("argsz %u, flags %#x", row->argsz, row->flags);
		request.head.argsz = row->argsz;
		request.head.flags = row->flags;
		EXPECT(row->expected, ask(peers.device, VFIO_DEVICE_FEATURE, &request));
	}
	about(NULL);
}

/* The ranges are where nothing can be read, so that all that comes before them is seen to. */
TEST(the_bar_is_looked_at_before_the_ranges_are_read)
{
	const struct {
		u32 ranges, flags, region;
		answer expected;
	} rows[] = {
		{0, 0, 99, -EINVAL}, {1, 1, 99, -EINVAL}, {1, 1u << 31, 0, -EINVAL}, {1, 0, 99, -ENODEV},
		{1, 0, 6, -ENODEV},  {1, 0, 7, -ENODEV},  {1, 0, ~0u, -ENODEV},	     {1, 0, 5, -ENODEV},
		{1, 0, 0, -EFAULT},  {3, 0, 0, -EFAULT},
	};
	struct peers peers = new_peers();
	size_t size = sizeof(struct request) - sizeof(((struct request *)NULL)->ranges);
	char *page = memory(PAGE);
	struct request *last = (void *)(page + PAGE - size);

	FOR_EACH(row, rows)
	{
		struct request request = request_of(0, PAGE);

		about("%u ranges, flags %#x, region %u", row->ranges, row->flags, row->region);
		request.buffer.nr_ranges = row->ranges;
		request.buffer.flags = row->flags;
		request.buffer.region_index = row->region;
		memcpy(last, &request, size);
		EXPECT(row->expected, ask(peers.device, VFIO_DEVICE_FEATURE, last));
	}
	about(NULL);
	/* And the head of it all likewise. */
	last = (void *)(page + PAGE - sizeof(last->head));
	last->head = request_of(0, PAGE).head;
	EXPECT(-EFAULT, ask(peers.device, VFIO_DEVICE_FEATURE, last));
}

TEST(ranges_are_whole_pages_of_the_bar)
{
	struct peers peers = new_peers();
	const u64 size = peers.size, last = TOP & ~(PAGE - 1), half = 1ul << 62;
	const struct {
		u32 count;
		answer expected;
		struct vfio_region_dma_range ranges[3];
	} rows[] = {
		{1, -EINVAL, {{0, 0}}},
		{1, -EINVAL, {{last, 0}}},
		{1, -EINVAL, {{1, PAGE}}},
		{1, -EINVAL, {{last + 1, PAGE}}}, /* before the sum is looked at */
		{1, -EINVAL, {{0, PAGE + 1}}},
		{2, -EINVAL, {{0, PAGE}, {0, 512}}},
		{2, -EINVAL, {{last, PAGE}, {0, 0}}}, /* each, before any place */
		{3, -EINVAL, {{0, last}, {0, PAGE}, {0, PAGE}}},
		{2, -EINVAL, {{last, half}, {0, half}}},
		{1, -EOVERFLOW, {{last, PAGE}}},
		{1, -EOVERFLOW, {{1ul << HIGHEST, (1ul << HIGHEST) - PAGE}}},
		{2, -EOVERFLOW, {{0, PAGE}, {last, PAGE}}},
		{2, -EINVAL, {{size, PAGE}, {last, PAGE}}},
		{1, -EINVAL, {{size, PAGE}}},
		{1, -EINVAL, {{0, size + PAGE}}},
		{2, -EINVAL, {{0, size}, {size - PAGE, 2 * PAGE}}},
	};

	FOR_EACH(row, rows)
	{
		struct request request = request_of(0, PAGE);

		about("row %zu", (size_t)(row - rows));
		request.buffer.nr_ranges = row->count;
		memcpy(request.ranges, row->ranges, sizeof(row->ranges));
		EXPECT(row->expected, ask(peers.device, VFIO_DEVICE_FEATURE, &request));
	}
	about(NULL);
	watch(ask_buffer(peers.device, 0, size));
	watch(ask_buffer(peers.device, size - PAGE, PAGE));
	watch(ask_buffer(peers.device, 0, size)); /* once more is another */
}

/* ---- what it is ---- */

TEST(a_buffer_is_a_file_of_its_own)
{
	struct peers peers = new_peers();
	struct request request = request_of(PAGE, 2 * PAGE);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int closing = watch(ask(peers.device, VFIO_DEVICE_FEATURE, &request)), staying;

	request.buffer.open_flags = O_RDWR;
	staying = watch(ask(peers.device, VFIO_DEVICE_FEATURE, &request));
	EXPECT_EQUAL(FD_CLOEXEC, fcntl(closing, F_GETFD));
	EXPECT_EQUAL(0, fcntl(staying, F_GETFD));
	EXPECT(-ENOTTY, ask(closing, VFIO_DEVICE_GET_INFO, &info));
}

TEST(an_iommufd_imports_what_lies_within_one_range)
{
	struct peers peers = new_peers();
	u32 ioas = new_ioas(peers.fd);
	struct request two = request_of(0, PAGE);
	int buffer = watch(ask_buffer(peers.device, PAGE, 4 * PAGE));

	EXPECT(-EINVAL, map_file_at(peers.fd, ioas, buffer, 0, 0, AT));
	EXPECT(-EINVAL, map_file_at(peers.fd, ioas, buffer, 0, 5 * PAGE, AT));
	EXPECT(-EINVAL, map_file_at(peers.fd, ioas, buffer, 4 * PAGE, PAGE, AT));
	EXPECT(0, map_file_at(peers.fd, ioas, buffer, 0, 4 * PAGE, AT));
	EXPECT(-EEXIST, map_file_at(peers.fd, ioas, buffer, 0, 4 * PAGE, AT));
	EXPECT(0, map_file_at(peers.fd, ioas, buffer, 3 * PAGE, PAGE, AT + MIB));
	EXPECT(0, copy_at(peers.fd, ioas, AT + 2 * MIB, ioas, AT, PAGE));
	EXPECT(0, attach_cdev(peers.sibling, &(u32){ioas}));
	EXPECT(6 * PAGE, unmap(peers.fd, ioas, 0, TOP));
	two.buffer.nr_ranges = 2;
	two.ranges[1] = (struct vfio_region_dma_range){2 * PAGE, PAGE};
	buffer = watch(ask(peers.device, VFIO_DEVICE_FEATURE, &two));
	EXPECT(-EOPNOTSUPP, map_file_at(peers.fd, ioas, buffer, 0, PAGE, AT));
}

/* ---- when it is taken back ---- */

static answer map_page(const struct peers *peers, u32 ioas, int buffer)
{
	answer got = map_file_at(peers->fd, ioas, buffer, 0, PAGE, AT);

	return got < 0 ? got : unmap(peers->fd, ioas, AT, PAGE);
}

TEST(nothing_is_imported_while_memory_is_off)
{
	struct peers peers = new_peers();
	u32 ioas = new_ioas(peers.fd);
	int buffer = watch(ask_buffer(peers.device, 0, PAGE)), later;

	EXPECT(PAGE, map_page(&peers, ioas, buffer));
	set_config(peers.device, 4, 2, 0);
	EXPECT(-ENODEV, map_page(&peers, ioas, buffer));
	later = watch(ask_buffer(peers.device, 0, PAGE)); /* is to be had, as it is */
	EXPECT(-ENODEV, map_page(&peers, ioas, later));
	set_config(peers.device, 4, 2, 2);
	EXPECT(PAGE, map_page(&peers, ioas, buffer));
	EXPECT(PAGE, map_page(&peers, ioas, later));
}

static answer low_power(int device, u32 feature)
{
	struct vfio_device_feature request = {.argsz = sizeof(request), .flags = SET | feature};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

TEST(nothing_is_imported_from_one_that_sleeps)
{
	struct peers peers = new_peers();
	u32 ioas = new_ioas(peers.fd), pm = get_config(peers.device, 0x34, 1);
	int buffer = watch(ask_buffer(peers.device, 0, PAGE));

	EXPECT(0, low_power(peers.device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	EXPECT(-ENODEV, map_page(&peers, ioas, buffer));
	EXPECT(0, low_power(peers.device, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	EXPECT(PAGE, map_page(&peers, ioas, buffer));
	while (pm && get_config(peers.device, pm, 1) != 1)
		pm = get_config(peers.device, pm + 1, 1);
	EXPECT_TRUE(pm != 0);
	set_config(peers.device, pm + 4, 2, 3);
	EXPECT(-ENODEV, map_page(&peers, ioas, buffer));
	set_config(peers.device, pm + 4, 2, 0);
	EXPECT(PAGE, map_page(&peers, ioas, buffer));
}

TEST(nothing_is_imported_from_one_that_was_closed)
{
	struct peers peers = new_peers();
	u32 ioas = new_ioas(peers.fd);
	int buffer = watch(ask_buffer(peers.device, 0, PAGE));

	drop(peers.device);
	EXPECT(-ENODEV, map_page(&peers, ioas, buffer));
	peers.device = bound_node(&peers.names[0], peers.fd);
	set_config(peers.device, 4, 2, 2);
	EXPECT(-ENODEV, map_page(&peers, ioas, buffer)); /* a new one is another */
	EXPECT(PAGE, map_page(&peers, ioas, watch(ask_buffer(peers.device, 0, PAGE))));
}

/* ---- DMA ---- */

/* A controller writes into the registers of another device. */
struct writer {
	struct peers peers;
	struct nvme nvme;
	u32 ioas;
	int buffer;
};

static struct writer new_writer(void)
{
	struct writer writer = {.peers = new_peers()};
	struct names names = the_device();
	int device = bound_node(&names, writer.peers.fd);
	u8 *queues = memory(2 * PAGE);

	writer.ioas = new_ioas(writer.peers.fd);
	EXPECT(0, attach_cdev(device, &(u32){writer.ioas}));
	EXPECT(0, map_at(writer.peers.fd, writer.ioas, queues, 2 * PAGE, QUEUES));
	writer.nvme = start_nvme(device, queues, QUEUES);
	writer.buffer = watch(ask_buffer(writer.peers.device, PAGE, 2 * PAGE));
	EXPECT(0, map_file_at(writer.peers.fd, writer.ioas, writer.buffer, 0, 2 * PAGE, AT));
	return writer;
}

/* Whether the controller's name arrived on the second page that is mapped. */
static bool arrives(struct writer *writer)
{
	u64 zero = 0, got = 0, at = 2 * PAGE;

	EXPECT(8, write_at(writer->peers.device, at, &zero, 8));
	identify_nvme(&writer->nvme, AT + PAGE);
	EXPECT(8, read_at(writer->peers.device, at, &got, 8));
	return got != 0;
}

/* The area stays, with nothing in it, until it is mapped anew. */
static void expect_gone(struct writer *writer)
{
	int fd = writer->peers.fd;

	EXPECT_TRUE(!arrives(writer));
	EXPECT(-EEXIST, map_file_at(fd, writer->ioas, writer->buffer, 0, 2 * PAGE, AT));
	EXPECT(2 * PAGE, unmap(fd, writer->ioas, AT, 2 * PAGE));
	EXPECT(0, map_file_at(fd, writer->ioas, writer->buffer, 0, 2 * PAGE, AT));
	EXPECT_TRUE(arrives(writer));
}

TEST(dma_arrives_until_memory_is_off)
{
	struct writer writer = new_writer();
	int device = writer.peers.device;

	EXPECT_TRUE(arrives(&writer));
	drop(writer.buffer); /* it does not need to be open */
	EXPECT_TRUE(arrives(&writer));
	writer.buffer = watch(ask_buffer(device, PAGE, 2 * PAGE));
	set_config(device, 4, 2, 0);
	set_config(device, 4, 2, 2);
	expect_gone(&writer);
	stop_nvme(&writer.nvme);
}

TEST(dma_arrives_until_a_reset)
{
	struct writer writer = new_writer();
	struct vfio_device_info info = {.argsz = sizeof(info)};

	EXPECT(0, ask(writer.peers.device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(arrives(&writer));
	EXPECT(0, RESET_IMPLIED(writer.peers.sibling)); /* of the bus, by another function */
	expect_gone(&writer);
	if (info.flags & VFIO_DEVICE_FLAGS_RESET) {
		EXPECT(0, ask(writer.peers.device, VFIO_DEVICE_RESET, NULL));
		expect_gone(&writer);
	}
	stop_nvme(&writer.nvme);
}

TEST(dma_arrives_until_the_device_is_closed)
{
	struct writer writer = new_writer();
	struct peers *peers = &writer.peers;

	EXPECT_TRUE(arrives(&writer));
	drop(peers->device);
	peers->device = bound_node(&peers->names[0], peers->fd);
	set_config(peers->device, 4, 2, 2);
	EXPECT_TRUE(!arrives(&writer));
	EXPECT(2 * PAGE, unmap(peers->fd, writer.ioas, AT, 2 * PAGE));
	EXPECT(-ENODEV, map_file_at(peers->fd, writer.ioas, writer.buffer, 0, 2 * PAGE, AT));
	stop_nvme(&writer.nvme);
}

SUITE(peers, CASE(the_head_is_looked_at_first), CASE(the_bar_is_looked_at_before_the_ranges_are_read),
      CASE(ranges_are_whole_pages_of_the_bar), CASE(a_buffer_is_a_file_of_its_own),
      CASE(an_iommufd_imports_what_lies_within_one_range), CASE(nothing_is_imported_while_memory_is_off),
      CASE(nothing_is_imported_from_one_that_sleeps), CASE(nothing_is_imported_from_one_that_was_closed),
      CASE(dma_arrives_until_memory_is_off), CASE(dma_arrives_until_a_reset),
      CASE(dma_arrives_until_the_device_is_closed));
