/* SPDX-License-Identifier: MIT */
/*
 * Two devices that can be moved, ISOLDE_MOVABLE: states, streams, and the log of what they write (spec 05 sections 11
 * and 12). On Linux they are mtty's, which is no NVMe controller and reads nothing where others say ENOMSG.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

#define S(name) VFIO_DEVICE_STATE_##name

enum { HEAD = sizeof(struct vfio_device_feature), ROOM = 4 * MIB };

struct moving {
	int iommufd, devices[2];
	u32 ioas;
};

static struct moving open_both(bool nvme)
{
	struct moving moving = {.iommufd = iommu()};
	struct names pair[2];

	two_movable(pair, nvme);
	moving.ioas = new_ioas(moving.iommufd);
	for (unsigned i = 0; i < 2; i++) {
		u32 pt = moving.ioas;

		moving.devices[i] = open_cdev(&pair[i]);
		WORKS(bind_cdev(moving.devices[i], moving.iommufd));
		EXPECT(0, attach_cdev(moving.devices[i], &pt));
	}
	return moving;
}

static answer feature(int device, u32 argsz, u32 flags)
{
	struct {
		struct vfio_device_feature head;
		u64 payload[4];
	} request = {.head = {.argsz = argsz, .flags = flags}};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

struct state_request {
	struct vfio_device_feature head;
	struct vfio_device_feature_mig_state mig;
};

static answer set_state(int device, u32 state, int *ret_fd)
{
	struct state_request request = {.head = {sizeof(request), SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
					.mig = {.device_state = state, .data_fd = 12345}};
	answer got = ask(device, VFIO_DEVICE_FEATURE, &request);

	EXPECT_EQUAL(state, request.mig.device_state);
	*ret_fd = request.mig.data_fd;
	return got;
}

static u32 state_of(int device)
{
	struct state_request request = {.head = {sizeof(request), GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
					.mig = {.data_fd = 12345}};

	EXPECT(0, ask(device, VFIO_DEVICE_FEATURE, &request));
	EXPECT_EQUAL(-1, request.mig.data_fd);
	return request.mig.device_state;
}

/* Without a descriptor. */
static void enter(int device, u32 state)
{
	int fd;

	EXPECT(0, set_state(device, state, &fd));
	EXPECT_EQUAL(-1, fd);
	EXPECT_EQUAL(state, state_of(device));
}

/* With one. */
static int begin(int device, u32 state)
{
	int fd;

	EXPECT(0, set_state(device, state, &fd));
	EXPECT_EQUAL(state, state_of(device));
	return watch(fd);
}

static answer read_answer(int fd, void *buffer, size_t size)
{
	ssize_t got = read(fd, buffer, size);

	return got < 0 ? -errno : got;
}

static answer write_answer(int fd, const void *buffer, size_t size)
{
	ssize_t put = write(fd, buffer, size);

	return put < 0 ? -errno : put;
}

static size_t read_to_end(int fd, u8 *to)
{
	size_t done = 0;
	answer got;

	do {
		got = WORKS(read_answer(fd, to + done, ROOM - done));
		done += (size_t)got;
	} while (got);
	EXPECT_TRUE(done > 0 && done < ROOM);
	return done;
}

/* ---- states ---- */

TEST(what_can_be_asked_of_a_device_that_moves)
{
	const struct {
		u32 argsz, flags;
		answer expected;
	} rows[] = {
		{HEAD, PROBE | GET | SET | VFIO_DEVICE_FEATURE_MIGRATION, -EINVAL},
		{HEAD, SET | VFIO_DEVICE_FEATURE_MIGRATION, -EINVAL},
		{HEAD, PROBE | VFIO_DEVICE_FEATURE_MIGRATION, 0},
		{HEAD, VFIO_DEVICE_FEATURE_MIGRATION, -EINVAL},
		{HEAD + 7, GET | VFIO_DEVICE_FEATURE_MIGRATION, -EINVAL},
		{HEAD + 8, GET | VFIO_DEVICE_FEATURE_MIGRATION, 0},
		{HEAD, PROBE | GET | SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, 0},
		{HEAD + 7, SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, -EINVAL},
		{HEAD + 7, GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, -EINVAL},
		{HEAD + 8, SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, -EINVAL}, /* ERROR */
		{HEAD, PROBE | GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, -EINVAL},
		{HEAD + 23, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, -EINVAL},
		{HEAD + 24, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, -EINVAL}, /* no range */
		{HEAD, GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, -EINVAL},
		{HEAD, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, 0},
		{HEAD, PROBE | SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, -EINVAL},
		{HEAD + 31, GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, -EINVAL},
		{HEAD + 32, GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, -EINVAL}, /* page size 0 */
		{HEAD, SET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, -EINVAL},
		{HEAD + 7, GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, -EINVAL},
		{HEAD + 8, GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, 0},
		{HEAD, GET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, -EINVAL},
		{HEAD, PROBE | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, 0},
		{HEAD, SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, 0},
		{HEAD, PROBE | VFIO_DEVICE_FEATURE_BUS_MASTER, -ENOTTY},
	};
	struct moving moving = open_both(false);

	FOR_EACH(row, rows)
	{
		about("argsz %u, flags %#x", row->argsz, row->flags);
		EXPECT(row->expected, feature(moving.devices[0], row->argsz, row->flags));
	}
	about(NULL);
}

/* Which targets of which states there are: a device that can do all, and a transfer only where one begins. */
TEST(every_state_leads_to_every_other_but_two)
{
	const u32 states[] = {S(STOP),	      S(RUNNING),  S(STOP_COPY),   S(RESUMING),
			      S(RUNNING_P2P), S(PRE_COPY), S(PRE_COPY_P2P)};
	struct moving moving = open_both(false);
	int device = moving.devices[0], fd;

	FOR_EACH(from, states)
	{
		FOR_EACH(to, states)
		{
			bool saved = *from == S(STOP_COPY) || *from == S(PRE_COPY) || *from == S(PRE_COPY_P2P);
			bool saves = *to == S(STOP_COPY) || *to == S(PRE_COPY) || *to == S(PRE_COPY_P2P);
			bool begins = (saves && !saved) || (*to == S(RESUMING) && *from != S(RESUMING));

			about("from %u to %u", *from, *to);
			EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
			EXPECT_EQUAL(S(RUNNING), state_of(device));
			EXPECT(0, set_state(device, *from, &fd));
			if (fd >= 0)
				watch(fd);
			if ((*from == S(STOP_COPY) && (*to == S(PRE_COPY) || *to == S(PRE_COPY_P2P))) ||
			    (*from == S(RESUMING) && *to != S(RESUMING))) { /* nothing has been written */
				EXPECT(-EINVAL, set_state(device, *to, &fd));
				EXPECT_EQUAL(-1, fd);
				EXPECT_EQUAL(*from, state_of(device));
				continue;
			}
			EXPECT(0, set_state(device, *to, &fd));
			EXPECT_EQUAL(begins, fd >= 0);
			if (fd >= 0)
				watch(fd);
			EXPECT_EQUAL(*to, state_of(device));
		}
	}
	about("targets that are none");
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
	EXPECT(-EINVAL, set_state(device, S(ERROR), &fd));
	EXPECT_EQUAL(-1, fd);
	EXPECT(-EINVAL, set_state(device, S(NR), &fd));
	EXPECT(-EINVAL, set_state(device, ~0u, &fd));
	about(NULL);
}

TEST(streams_are_read_or_written_and_end)
{
	struct moving moving = open_both(false);
	int device = moving.devices[0], out = begin(device, S(STOP_COPY)), in, before;
	struct vfio_precopy_info info = {.argsz = 23};
	u8 byte;

	EXPECT(1, read_answer(out, &byte, 1));
	EXPECT(-EBADF, write_answer(out, &byte, 1));
	EXPECT_TRUE(pread(out, &byte, 1, 0) == -1 && errno == ESPIPE);
	EXPECT(-ENOTTY, ask(out, VFIO_DEVICE_GET_INFO, &info));
	EXPECT(-EFAULT, ask(out, VFIO_MIG_GET_PRECOPY_INFO, NULL));
	EXPECT(-EINVAL, ask(out, VFIO_MIG_GET_PRECOPY_INFO, &info));
	info.argsz = 24;
	EXPECT(-EINVAL, ask(out, VFIO_MIG_GET_PRECOPY_INFO, &info));
	in = begin(device, S(RESUMING));
	EXPECT(-ENODEV, read_answer(out, &byte, 1));
	EXPECT(-EBADF, read_answer(in, &byte, 1));
	EXPECT(-ENOTTY, ask(in, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQUAL(S(RUNNING), state_of(device));
	EXPECT(-ENODEV, write_answer(in, &byte, 1));
	before = begin(device, S(PRE_COPY));
	EXPECT(0, ask(before, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_TRUE(info.initial_bytes > 0);
	EXPECT_EQUAL(0, info.dirty_bytes);
	while (info.initial_bytes) {
		EXPECT(1, read_answer(before, &byte, 1));
		info.initial_bytes--;
	}
	EXPECT_TRUE(read(before, &byte, 1) == 0 || errno == ENOMSG);
	drop(device);
	EXPECT(-ENODEV, read_answer(before, &byte, 1));
}

/* ---- a workload that moves ---- */

static struct nvme on_other(const struct nvme *nvme, int device)
{
	struct vfio_region_info info = {.argsz = sizeof(info)};
	struct nvme other = *nvme;
	u16 command = 6;

	EXPECT(0, ask(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQUAL(2, pwrite(device, &command, sizeof(command), (off_t)((7ull << 40) + 4)));
	other.device = device;
	other.bar = mapped(mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset), 0x2000);
	return other;
}

TEST(a_driver_goes_on_with_another_device)
{
	struct moving moving = open_both(true);
	u8 *queues = memory(2 * PAGE), *data = memory(PAGE), *stream = memory(ROOM), serial[20];
	struct nvme here, there;
	size_t size, done = 0;
	int out, in;

	EXPECT(0, map_at(moving.iommufd, moving.ioas, queues, 2 * PAGE, MIB));
	EXPECT(0, map_at(moving.iommufd, moving.ioas, data, PAGE, 2 * MIB));
	here = start_nvme(moving.devices[0], queues, MIB);
	for (unsigned i = 0; i < 20; i++)
		identify_nvme(&here, 2 * MIB);
	memcpy(serial, data + 4, sizeof(serial));
	memset(data, 0, PAGE);
	out = begin(moving.devices[0], S(STOP_COPY));
	size = read_to_end(out, stream);
	in = begin(moving.devices[1], S(RESUMING));
	while (done < size)
		done += (size_t)WORKS(write_answer(in, stream + done, size - done < 1000 ? size - done : 1000));
	there = on_other(&here, moving.devices[1]);
	enter(moving.devices[1], S(RUNNING));
	drop(in);
	for (unsigned i = 0; i < 20; i++)
		identify_nvme(&there, 2 * MIB);
	/* It is the same controller, as far as a driver can see. */
	EXPECT_TRUE(memcmp(serial, data + 4, sizeof(serial)) == 0);
	stop_nvme(&there);
	enter(moving.devices[0], S(RUNNING));
	stop_nvme(&here);
}

TEST(a_stream_that_lies_ends_in_error)
{
	struct moving moving = open_both(true);
	u8 *stream = memory(ROOM);
	size_t size = read_to_end(begin(moving.devices[0], S(STOP_COPY)), stream);
	int device = moving.devices[1], in = begin(device, S(RESUMING)), fd;

	/* Half of it: the rest can still come. */
	EXPECT(size / 2, write_answer(in, stream, size / 2));
	EXPECT(-EINVAL, set_state(device, S(RUNNING), &fd));
	EXPECT_EQUAL(-1, fd);
	EXPECT_EQUAL(S(RESUMING), state_of(device));
	stream[size - 1] ^= 1;
	EXPECT(-EINVAL, write_answer(in, stream + size / 2, size - size / 2));
	EXPECT(-EINVAL, write_answer(in, stream, 1));
	EXPECT(-EINVAL, set_state(device, S(STOP), &fd));
	EXPECT_EQUAL(S(ERROR), state_of(device));
	EXPECT(-ENODEV, write_answer(in, stream, 1));
	EXPECT(-EINVAL, set_state(device, S(RUNNING), &fd));
	EXPECT(-EINVAL, set_state(device, S(RESUMING), &fd));
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQUAL(S(RUNNING), state_of(device));
	stream[size - 1] ^= 1;
	in = begin(device, S(RESUMING));
	EXPECT(size, write_answer(in, stream, size));
	EXPECT(-EINVAL, write_answer(in, stream, 1));
	EXPECT(-EINVAL, set_state(device, S(RUNNING), &fd));
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
	in = begin(device, S(RESUMING));
	EXPECT(size, write_answer(in, stream, size));
	enter(device, S(RUNNING));
}

/* ---- the log ---- */

typedef struct vfio_device_feature_dma_logging_range range;

static answer start_log(int device, u64 page_size, u32 count, const range *ranges)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_logging_control control;
	} request = {
		{sizeof(request), SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START},
		{.page_size = page_size, .num_ranges = count, .ranges = (uintptr_t)ranges},
	};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

static answer report(int device, u64 iova, u64 length, u64 page_size, void *bitmap)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_logging_report report;
	} request = {{sizeof(request), GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT},
		     {iova, length, page_size, (uintptr_t)bitmap}};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

TEST(logs_are_refused_in_this_order)
{
	const range ranges[] = {{0, 4 * PAGE}, {8 * PAGE, PAGE}, {3 * PAGE, PAGE}};
	struct moving moving = open_both(false);
	int device = moving.devices[0];
	u64 bits = 0;

	EXPECT(-EINVAL, start_log(device, PAGE, 0, NULL));
	EXPECT(-E2BIG, start_log(device, PAGE, 257, NULL));
	EXPECT(-EFAULT, start_log(device, PAGE, 256, NULL));
	EXPECT(-EINVAL, start_log(device, PAGE, 1, &(range){1, TOP}));
	EXPECT(-EINVAL, start_log(device, PAGE, 1, &(range){PAGE, 1}));
	EXPECT(-EOVERFLOW, start_log(device, PAGE, 1, &(range){TOP - PAGE + 1, PAGE}));
	EXPECT(-EINVAL, start_log(device, PAGE, 3, ranges));
	EXPECT(-EINVAL, report(device, TOP, 2, PAGE / 2, &bits));
	EXPECT(-EINVAL, report(device, TOP, 2, 3 * PAGE, &bits));
	EXPECT(-EOVERFLOW, report(device, TOP, 2, PAGE, &bits));
	EXPECT(0, start_log(device, PAGE, 2, ranges));
	EXPECT(0, report(device, 0, PAGE, PAGE, &bits));
	EXPECT_EQUAL(0, bits);
	EXPECT(0, feature(device, HEAD, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP));
	EXPECT(0, feature(device, HEAD, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP));
}

/* What drivers add: mlx5's does, mtty's cares for nothing. */
TEST(a_log_is_started_once)
{
	const range whole = {0, 64 * PAGE};
	struct moving moving = open_both(true);
	int device = moving.devices[0];
	u64 bits = 0;

	EXPECT(-EINVAL, report(device, 0, PAGE, PAGE, &bits));
	EXPECT(0, start_log(device, PAGE, 1, &whole));
	EXPECT(-EINVAL, start_log(device, PAGE, 1, &whole));
	EXPECT(0, report(device, 0, PAGE, PAGE, &bits));
	EXPECT_EQUAL(0, bits);
	EXPECT(0, feature(device, HEAD, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP));
	EXPECT(0, feature(device, HEAD, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP));
}

TEST(what_a_device_writes_is_logged)
{
	struct moving moving = open_both(true);
	u8 *queues = memory(2 * PAGE), *data = memory(8 * PAGE);
	int device = moving.devices[0];
	u64 bits[2] = {0, 0};
	struct nvme nvme;

	EXPECT(0, map_at(moving.iommufd, moving.ioas, queues, 2 * PAGE, MIB));
	EXPECT(0, map_at(moving.iommufd, moving.ioas, data, 8 * PAGE, 2 * MIB));
	nvme = start_nvme(device, queues, MIB);
	identify_nvme(&nvme, 2 * MIB);
	EXPECT(0, start_log(device, PAGE, 1, &(range){MIB, 2 * MIB}));
	identify_nvme(&nvme, 2 * MIB + 3 * PAGE);
	identify_nvme(&nvme, 2 * MIB + 5 * PAGE);
	/* Data, and completions. */
	EXPECT(0, report(device, 2 * MIB, 64 * PAGE, PAGE, &bits[0]));
	EXPECT_EQUAL(1 << 3 | 1 << 5, bits[0]);
	EXPECT(0, report(device, MIB, 64 * PAGE, PAGE, &bits[1]));
	EXPECT_EQUAL(2, bits[1]);
	/* Told once, and into what is there. */
	bits[0] = 1ull << 63;
	EXPECT(0, report(device, 2 * MIB, 64 * PAGE, PAGE, &bits[0]));
	EXPECT_EQUAL(1ull << 63, bits[0]);
	EXPECT(0, feature(device, HEAD, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP));
	stop_nvme(&nvme);
}

SUITE(migration, CASE(what_can_be_asked_of_a_device_that_moves), CASE(every_state_leads_to_every_other_but_two),
      CASE(streams_are_read_or_written_and_end), CASE(a_driver_goes_on_with_another_device),
      CASE(a_stream_that_lies_ends_in_error), CASE(logs_are_refused_in_this_order), CASE(a_log_is_started_once),
      CASE(what_a_device_writes_is_logged));
