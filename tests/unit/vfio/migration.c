/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>

#include "tests/fixtures/room.h"
#include "tests/fixtures/toy_mover.h"
#include "vfio/migration.h"
#include "vfio/pci.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET

#define S(name) VFIO_DEVICE_STATE_##name

#define ALL (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)

/* ---- the table ---- */

/* What the uapi's documentation promises of combined arcs, where the device can do all; from, by, ..., to. */
static const u8 promised[][5] = {
	{S(PRE_COPY), S(PRE_COPY_P2P), S(STOP_COPY)},
	{S(PRE_COPY), S(RUNNING), S(RUNNING_P2P)},
	{S(PRE_COPY), S(RUNNING), S(RUNNING_P2P), S(STOP)},
	{S(PRE_COPY), S(RUNNING), S(RUNNING_P2P), S(STOP), S(RESUMING)},
	{S(PRE_COPY), S(RUNNING)},
	{S(PRE_COPY), S(PRE_COPY_P2P)},
	{S(PRE_COPY_P2P), S(RUNNING_P2P), S(RUNNING)},
	{S(PRE_COPY_P2P), S(RUNNING_P2P), S(STOP)},
	{S(PRE_COPY_P2P), S(RUNNING_P2P), S(STOP), S(RESUMING)},
	{S(PRE_COPY_P2P), S(RUNNING_P2P)},
	{S(PRE_COPY_P2P), S(PRE_COPY)},
	{S(PRE_COPY_P2P), S(STOP_COPY)},
	{S(RESUMING), S(STOP)},
	{S(RESUMING), S(STOP), S(RUNNING_P2P)},
	{S(RESUMING), S(STOP), S(RUNNING_P2P), S(PRE_COPY_P2P)},
	{S(RESUMING), S(STOP), S(RUNNING_P2P), S(RUNNING)},
	{S(RESUMING), S(STOP), S(RUNNING_P2P), S(RUNNING), S(PRE_COPY)},
	{S(RESUMING), S(STOP), S(STOP_COPY)},
	{S(RUNNING), S(RUNNING_P2P)},
	{S(RUNNING), S(RUNNING_P2P), S(PRE_COPY_P2P)},
	{S(RUNNING), S(RUNNING_P2P), S(STOP)},
	{S(RUNNING), S(RUNNING_P2P), S(STOP), S(RESUMING)},
	{S(RUNNING), S(RUNNING_P2P), S(STOP), S(STOP_COPY)},
	{S(RUNNING), S(PRE_COPY)},
	{S(RUNNING_P2P), S(RUNNING)},
	{S(RUNNING_P2P), S(RUNNING), S(PRE_COPY)},
	{S(RUNNING_P2P), S(PRE_COPY_P2P)},
	{S(RUNNING_P2P), S(STOP)},
	{S(RUNNING_P2P), S(STOP), S(RESUMING)},
	{S(RUNNING_P2P), S(STOP), S(STOP_COPY)},
	{S(STOP), S(RUNNING_P2P)},
	{S(STOP), S(RUNNING_P2P), S(PRE_COPY_P2P)},
	{S(STOP), S(RUNNING_P2P), S(RUNNING)},
	{S(STOP), S(RUNNING_P2P), S(RUNNING), S(PRE_COPY)},
	{S(STOP), S(STOP_COPY)},
	{S(STOP), S(RESUMING)},
	{S(STOP_COPY), S(STOP)},
	{S(STOP_COPY), S(STOP), S(RESUMING)},
	{S(STOP_COPY), S(STOP), S(RUNNING_P2P)},
	{S(STOP_COPY), S(STOP), S(RUNNING_P2P), S(RUNNING)},
};

static const u64 needs[] = {
	[S(ERROR)] = ~0ull,
	[S(STOP)] = 0,
	[S(RUNNING)] = 0,
	[S(STOP_COPY)] = 0,
	[S(RESUMING)] = 0,
	[S(RUNNING_P2P)] = VFIO_MIGRATION_P2P,
	[S(PRE_COPY)] = VFIO_MIGRATION_PRE_COPY,
	[S(PRE_COPY_P2P)] = VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
};

static unsigned length_of(const u8 way[static 5])
{
	unsigned length = 0;

	while (length < 5 && way[length])
		length++;
	return length;
}

/* Every pair has a way, but for both out of STOP_COPY; and it is the one that was promised. */
TEST(migration, every_way_is_the_promised_one)
{
	unsigned ways = 0;

	for (u32 from = S(STOP); from < S(NR); from++)
		for (u32 to = S(STOP); to < S(NR); to++) {
			struct why why = WHY_INIT;
			const u8 *way = NULL;
			u32 next = 0;

			for (unsigned i = 0; i < ARRAY_SIZE(promised); i++)
				if (promised[i][0] == from && promised[i][length_of(promised[i]) - 1] == to)
					way = promised[i];
			if (!way) {
				if (from != to)
					EXPECT_REFUSED(MIGRATION_ARC, why,
						       migration_next_state(ALL, from, to, &next, &why));
				continue;
			}
			for (unsigned i = 0; i + 1 < length_of(way); i++) {
				ASSERT_OK(why, migration_next_state(ALL, way[i], to, &next, &why));
				assert_int_equal(next, way[i + 1]);
			}
			ways++;
		}
	assert_int_equal(ways, ARRAY_SIZE(promised));
	assert_int_equal(ways, 7 * 7 - 7 - 2);
}

/* Devices that can do less pass by what they cannot do; what is left of the way is as it was. */
TEST(migration, states_that_a_device_lacks_are_passed_by)
{
	for (unsigned can = 0; can < 4; can++) {
		u64 flags = VFIO_MIGRATION_STOP_COPY | (can & 1 ? VFIO_MIGRATION_P2P : 0) |
			    (can & 2 ? VFIO_MIGRATION_PRE_COPY : 0);

		for (unsigned i = 0; i < ARRAY_SIZE(promised); i++) {
			const u8 *way = promised[i];
			unsigned last = length_of(way) - 1;
			struct why why = WHY_INIT;
			u32 at_state = way[0];

			if (needs[at_state] & ~flags)
				continue;
			if (needs[way[last]] & ~flags) {
				EXPECT_REFUSED(MIGRATION_TARGET, why,
					       migration_next_state(flags, at_state, way[last], &at_state, &why));
				continue;
			}
			for (unsigned at = 1; at <= last; at++) {
				if (needs[way[at]] & ~flags)
					continue;
				ASSERT_OK(why, migration_next_state(flags, at_state, way[last], &at_state, &why));
				assert_int_equal(at_state, way[at]);
			}
		}
	}
}

/* ---- a device ---- */

struct fixture {
	struct room *room;
	struct toy_mover toys[2];
	struct room_device devices[2];
	int fd; /* the last one that SET answered */
};

static const char *const names[2] = {ROOM_PAIR_A, ROOM_NARROW};

static struct fixture *setup_with(bool pre_copy)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->room = room_new();
	for (unsigned i = 0; i < 2; i++) {
		toy_mover_init(&f->toys[i], room_device(f->room, names[i])->function, pre_copy);
		f->devices[i] = room_open_device(f->room, names[i], VFIO_TYPE1_IOMMU);
	}
	return f;
}

static void teardown(struct fixture *f)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pci_function *function = room_device(f->room, names[i])->function;

		room_close_device(f->room, &f->devices[i]);
		assert_int_equal(f->toys[i].activity, PCI_ACTIVE);
		assert_false(f->toys[i].sending);
		function->model = NULL;
		function->migration = NULL;
	}
	room_free(f->room);
	free(f);
}

struct state_request {
	struct vfio_device_feature head;
	struct vfio_device_feature_mig_state mig;
};

static long set_state(struct fixture *f, unsigned n, u32 state)
{
	struct state_request request = {.head = {sizeof(request), SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
					.mig = {.device_state = state, .data_fd = 77}};
	long ret = room_ioctl(f->room, f->devices[n].device, VFIO_DEVICE_FEATURE, &request);
	struct why why = f->room->why;

	room_check(f->room);
	f->room->why = why;
	assert_int_equal(request.mig.device_state, state);
	f->fd = request.mig.data_fd;
	if (ret < 0)
		assert_int_equal(f->fd, -1);
	return ret;
}

static u32 state_of(struct fixture *f, unsigned n)
{
	struct state_request request = {.head = {sizeof(request), GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
					.mig = {.device_state = 99, .data_fd = 99}};

	ASSERT_OK(f->room->why, room_ioctl(f->room, f->devices[n].device, VFIO_DEVICE_FEATURE, &request));
	assert_int_equal(request.mig.data_fd, -1);
	return request.mig.device_state;
}

/* Opened, with a descriptor; or without, if -1 is expected. */
static int enter(struct fixture *f, unsigned n, u32 state, bool stream)
{
	ASSERT_OK(f->room->why, set_state(f, n, state));
	assert_int_equal(state_of(f, n), state);
	assert_int_equal(f->fd >= 0, stream);
	return f->fd;
}

#define READ(fd, buffer, size)	room_read(f->room, fd, 0, buffer, size)
#define WRITE(fd, buffer, size) room_write(f->room, fd, 0, buffer, size)

static size_t read_all(struct fixture *f, int fd, u8 *buffer, size_t room, size_t step)
{
	size_t done = 0;
	s64 got;

	do {
		got = ASSERT_OK(f->room->why, READ(fd, buffer + done, min_u64(step, room - done)));
		done += (size_t)got;
	} while (got);
	assert_true(done < room);
	return done;
}

static u8 stream[200000];

static size_t save(struct fixture *f, unsigned n)
{
	int fd = enter(f, n, S(STOP_COPY), true);
	size_t size = read_all(f, fd, stream, sizeof(stream), 777);

	room_close(f->room, fd);
	return size;
}

static void fill(struct toy_mover *toy, u32 number)
{
	toy->number = number;
	for (unsigned i = 0; i < TOY_CELLS; i++)
		memset(toy->cells[i], (int)(number + i), TOY_CELL);
}

TEST(migration, what_one_device_had_another_has)
{
	struct fixture *f = setup_with(true);
	size_t size;
	int fd;

	fill(&f->toys[0], 4711);
	size = save(f, 0);
	assert_int_equal(f->toys[0].activity, PCI_STOPPED);
	fd = enter(f, 1, S(RESUMING), true);
	for (size_t done = 0; done < size; done += 500)
		assert_int_equal(WRITE(fd, stream + done, min_u64(500, size - done)), min_u64(500, size - done));
	/* The device has what was written, whether the descriptor is still there or not. */
	room_close(f->room, fd);
	enter(f, 1, S(RUNNING), false);
	assert_int_equal(f->toys[1].loads, 1);
	assert_int_equal(f->toys[1].number, 4711);
	assert_memory_equal(f->toys[1].cells, f->toys[0].cells, sizeof(f->toys[0].cells));
	assert_int_equal(f->toys[1].activity, PCI_ACTIVE);
	teardown(f);
}

TEST(migration, a_running_device_is_copied_before)
{
	struct fixture *f = setup_with(true);
	struct vfio_precopy_info info = {.argsz = sizeof(info), .flags = 7};
	u64 initial;
	int fd, in;
	size_t size;

	fill(&f->toys[0], 1);
	fd = enter(f, 0, S(PRE_COPY), true);
	assert_int_equal(f->toys[0].activity, PCI_ACTIVE);
	ASSERT_OK(f->room->why, room_ioctl(f->room, fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	assert_int_equal(info.flags, 7);
	assert_int_equal(info.dirty_bytes, 0);
	initial = info.initial_bytes;
	assert_int_equal(READ(fd, stream, 1000), 1000);
	ASSERT_OK(f->room->why, room_ioctl(f->room, fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	assert_true(info.initial_bytes < initial && info.initial_bytes >= initial - 1000);
	size = 1000 + (size_t)ASSERT_OK(f->room->why, READ(fd, stream + 1000, sizeof(stream) - 1000));
	EXPECT_REFUSED(MIGRATION_NOTHING_YET, f->room->why, READ(fd, stream + size, 1));
	EXPECT_SUBSTR("PRE_COPY", f->room->why.text);
	ASSERT_OK(f->room->why, room_ioctl(f->room, fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	assert_int_equal(info.initial_bytes, 0);
	assert_int_equal(info.dirty_bytes, 0);
	f->toys[0].cells[3][17] = 200;
	f->toys[0].changed[3] = true;
	ASSERT_OK(f->room->why, room_ioctl(f->room, fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	assert_int_equal(info.initial_bytes, 0);
	assert_true(info.dirty_bytes >= 4 + TOY_CELL);
	/* It is the same transfer all the way, and PRE_COPY_P2P is passed. */
	enter(f, 0, S(PRE_COPY_P2P), false);
	assert_int_equal(f->toys[0].activity, PCI_PASSIVE);
	ASSERT_OK(f->room->why, room_ioctl(f->room, fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	enter(f, 0, S(STOP_COPY), false);
	EXPECT_REFUSED(MIGRATION_NOT_PRECOPY, f->room->why, room_ioctl(f->room, fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	size += read_all(f, fd, stream + size, sizeof(stream) - size, 100);
	in = enter(f, 1, S(RESUMING), true);
	assert_int_equal(WRITE(in, stream, size), size);
	enter(f, 1, S(RUNNING_P2P), false);
	assert_memory_equal(f->toys[1].cells, f->toys[0].cells, sizeof(f->toys[0].cells));
	assert_int_equal(f->toys[1].cells[3][17], 200);
	room_close(f->room, fd);
	room_close(f->room, in);
	teardown(f);
}

TEST(migration, who_looks_at_flags_gets_some)
{
	struct fixture *f = setup_with(true);
	struct vfio_precopy_info info = {.argsz = sizeof(info), .flags = 7};
	struct vfio_device_feature head = {sizeof(head), SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2};
	int fd;

	ASSERT_OK(f->room->why, room_ioctl(f->room, f->devices[0].device, VFIO_DEVICE_FEATURE, &head));
	fd = enter(f, 0, S(PRE_COPY), true);
	ASSERT_OK(f->room->why, room_ioctl(f->room, fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	assert_int_equal(info.flags, 0);
	room_close(f->room, fd);
	teardown(f);
}

TEST(migration, targets_that_are_none_are_refused)
{
	struct fixture *f = setup_with(false);

	EXPECT_REFUSED(MIGRATION_TARGET, f->room->why, set_state(f, 0, S(ERROR)));
	EXPECT_SUBSTR("from RUNNING to ERROR", f->room->why.text);
	EXPECT_REFUSED(MIGRATION_TARGET, f->room->why, set_state(f, 0, S(NR)));
	EXPECT_REFUSED(MIGRATION_TARGET, f->room->why, set_state(f, 0, UINT32_MAX));
	EXPECT_REFUSED(MIGRATION_TARGET, f->room->why, set_state(f, 0, S(PRE_COPY)));
	EXPECT_REFUSED(MIGRATION_TARGET, f->room->why, set_state(f, 0, S(PRE_COPY_P2P)));
	assert_int_equal(state_of(f, 0), S(RUNNING));
	/* Nothing happens where nothing changes. */
	enter(f, 0, S(RUNNING), false);
	room_close(f->room, enter(f, 0, S(STOP_COPY), true));
	enter(f, 0, S(STOP_COPY), false);
	teardown(f);
}

TEST(migration, stop_copy_does_not_lead_to_pre_copy)
{
	struct fixture *f = setup_with(true);
	int fd = enter(f, 0, S(STOP_COPY), true);

	EXPECT_REFUSED(MIGRATION_ARC, f->room->why, set_state(f, 0, S(PRE_COPY)));
	EXPECT_REFUSED(MIGRATION_ARC, f->room->why, set_state(f, 0, S(PRE_COPY_P2P)));
	/* Nothing has happened to the transfer. */
	assert_true(READ(fd, stream, 10) == 10);
	room_close(f->room, fd);
	teardown(f);
}

TEST(migration, a_descriptor_is_for_one_transfer_and_one_way)
{
	struct fixture *f = setup_with(true);
	struct vfio_precopy_info info = {.argsz = sizeof(info)};
	int out = enter(f, 0, S(PRE_COPY), true), in;

	assert_int_equal(room_file(f->room, out)->ops->poll(room_file(f->room, out)), POLLIN);
	EXPECT_REFUSED(MIGRATION_DIRECTION, f->room->why, WRITE(out, "", 1));
	info.argsz = 23;
	EXPECT_REFUSED(ARGSZ_SHORT, f->room->why, room_ioctl(f->room, out, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_REFUSED(IOCTL_UNKNOWN, f->room->why, room_ioctl(f->room, out, VFIO_DEVICE_GET_INFO, &info));
	info.argsz = 24;
	in = enter(f, 0, S(RESUMING), true);
	assert_int_equal(room_file(f->room, in)->ops->poll(room_file(f->room, in)), POLLOUT);
	EXPECT_REFUSED(MIGRATION_OVER, f->room->why, READ(out, stream, 1));
	EXPECT_REFUSED(MIGRATION_NOT_PRECOPY, f->room->why, room_ioctl(f->room, out, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_REFUSED(MIGRATION_DIRECTION, f->room->why, READ(in, stream, 1));
	EXPECT_REFUSED(IOCTL_UNKNOWN, f->room->why, room_ioctl(f->room, in, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_OK(f->room->why, room_ioctl(f->room, f->devices[0].device, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(state_of(f, 0), S(RUNNING));
	EXPECT_REFUSED(MIGRATION_OVER, f->room->why, WRITE(in, "", 1));
	room_close(f->room, in);
	/* In PRE_COPY again, but not for this one. */
	in = enter(f, 0, S(PRE_COPY), true);
	EXPECT_REFUSED(MIGRATION_OVER, f->room->why, room_ioctl(f->room, out, VFIO_MIG_GET_PRECOPY_INFO, &info));
	room_close(f->room, out);
	room_close(f->room, in);
	teardown(f);
}

TEST(migration, a_descriptor_may_outlive_the_device)
{
	struct fixture *f = setup_with(true);
	struct vfio_precopy_info info = {.argsz = sizeof(info)};
	int out = enter(f, 0, S(PRE_COPY), true);

	room_close(f->room, f->devices[0].device);
	EXPECT_REFUSED(MIGRATION_OVER, f->room->why, READ(out, stream, 1));
	EXPECT_REFUSED(MIGRATION_NOT_PRECOPY, f->room->why, room_ioctl(f->room, out, VFIO_MIG_GET_PRECOPY_INFO, &info));
	room_close(f->room, out);
	room_close(f->room, f->devices[0].group);
	room_close(f->room, f->devices[0].container);
	f->devices[0] = room_open_device(f->room, names[0], VFIO_TYPE1_IOMMU);
	teardown(f);
}

static bool mastering; /* when the device last became active */

static void note_mastering(struct pci_function *function, enum pci_activity activity)
{
	mastering = activity == PCI_ACTIVE && pci_command(function) & PCI_COMMAND_MASTER;
	toy_of(function)->activity = activity;
}

/* What a device that was stopped has left to do is perhaps being done by another one. */
TEST(migration, a_stopped_device_is_closed_before_it_runs)
{
	struct fixture *f = setup_with(true);
	struct pci_function *function = room_device(f->room, names[0])->function;

	f->toys[0].ops.activity = note_mastering;
	pci_config_write(function, PCI_COMMAND, 2, pci_command(function) | PCI_COMMAND_MASTER);
	enter(f, 0, S(STOP), false);
	enter(f, 0, S(RUNNING), false);
	assert_true(mastering);
	enter(f, 0, S(STOP), false);
	room_close_device(f->room, &f->devices[0]);
	assert_int_equal(f->toys[0].activity, PCI_ACTIVE);
	assert_false(mastering);
	f->devices[0] = room_open_device(f->room, names[0], VFIO_TYPE1_IOMMU);
	teardown(f);
}

/* ---- streams that lie ---- */

TEST(migration, half_a_stream_can_be_completed)
{
	struct fixture *f = setup_with(true);
	size_t size;
	int fd;

	fill(&f->toys[0], 5);
	size = save(f, 0);
	fd = enter(f, 1, S(RESUMING), true);
	EXPECT_REFUSED(MIGRATION_INCOMPLETE, f->room->why, set_state(f, 1, S(RUNNING)));
	assert_int_equal(state_of(f, 1), S(RESUMING));
	assert_int_equal(WRITE(fd, stream, size - 1), size - 1);
	EXPECT_REFUSED(MIGRATION_INCOMPLETE, f->room->why, set_state(f, 1, S(STOP)));
	assert_int_equal(WRITE(fd, stream + size - 1, 1), 1);
	enter(f, 1, S(STOP), false);
	assert_int_equal(f->toys[1].number, 5);
	room_close(f->room, fd);
	teardown(f);
}

/* Any one bit: it is noticed, the device is in ERROR then, and a reset is the way out. */
TEST(migration, a_bit_that_has_changed_is_noticed)
{
	struct fixture *f = setup_with(true);
	size_t size;

	fill(&f->toys[0], 5);
	size = save(f, 0);
	for (size_t bit = 0; bit < size * 8; bit += bit < 100 * 8 || bit > size * 8 - 300 ? 1 : 997) {
		int fd = enter(f, 1, S(RESUMING), true);
		s64 put;

		stream[bit / 8] ^= (u8)BIT(bit % 8);
		put = WRITE(fd, stream, size);
		stream[bit / 8] ^= (u8)BIT(bit % 8);
		if (put < 0) {
			/* A record that says it were longer is waited for, so some are just not complete. */
			assert_int_equal(f->room->why.code, WHY_MIGRATION_STREAM);
			EXPECT_REFUSED(MIGRATION_STREAM, f->room->why, WRITE(fd, stream, 1));
			EXPECT_REFUSED(MIGRATION_STREAM, f->room->why, set_state(f, 1, S(RUNNING)));
			assert_int_equal(state_of(f, 1), S(ERROR));
			EXPECT_REFUSED(MIGRATION_ARC, f->room->why, set_state(f, 1, S(RUNNING)));
			EXPECT_REFUSED(MIGRATION_OVER, f->room->why, WRITE(fd, stream, 1));
			enter(f, 1, S(ERROR), false);
		} else {
			EXPECT_REFUSED(MIGRATION_INCOMPLETE, f->room->why, set_state(f, 1, S(RUNNING)));
			assert_int_equal(state_of(f, 1), S(RESUMING));
		}
		assert_int_equal(f->toys[1].loads, 0);
		ASSERT_OK(f->room->why, room_ioctl(f->room, f->devices[1].device, VFIO_DEVICE_RESET, NULL));
		assert_int_equal(state_of(f, 1), S(RUNNING));
		room_close(f->room, fd);
	}
	teardown(f);
}

/* Records as another isolde would write them. */
static size_t put_record(u8 *to, u32 type, u64 number, const void *payload, u32 size)
{
	u64 hash = 0xcbf29ce484222325;

	put_u32(to, type);
	put_u32(to + 4, size);
	put_u64(to + 8, number);
	memcpy(to + 24, payload, size);
	for (unsigned i = 0; i < 16; i++)
		hash = (hash ^ to[i]) * 0x100000001b3;
	for (u32 i = 0; i < size; i++)
		hash = (hash ^ to[24 + i]) * 0x100000001b3;
	put_u64(to + 16, hash);
	return 24 + size;
}

static s64 write_fresh(struct fixture *f, size_t size, u32 *ret_state)
{
	int fd = enter(f, 1, S(RESUMING), true);
	s64 put = WRITE(fd, stream, size);
	struct why why = f->room->why;

	set_state(f, 1, S(STOP));
	if (put >= 0)
		why = f->room->why;
	*ret_state = state_of(f, 1);
	ASSERT_OK(f->room->why, room_ioctl(f->room, f->devices[1].device, VFIO_DEVICE_RESET, NULL));
	room_close(f->room, fd);
	f->room->why = why;
	return put < 0 || why.code == WHY_NONE ? put : -why.err;
}

#define EXPECT_BROKEN(code, says, size)                                                                                \
	do {                                                                                                           \
		u32 left_in_;                                                                                          \
		EXPECT_REFUSED(code, f->room->why, write_fresh(f, size, &left_in_));                                   \
		EXPECT_SUBSTR(says, f->room->why.text);                                                                \
		assert_int_equal(left_in_, S(ERROR));                                                                  \
	} while (0)

TEST(migration, streams_with_right_checksums_can_lie_too)
{
	struct fixture *f = setup_with(true);
	u8 hello[32], cell[4 + TOY_CELL] = {TOY_CELLS};
	size_t size = save(f, 0), first = 24 + sizeof(hello);
	u32 number = 666, left_in;

	memcpy(hello, stream + 24, sizeof(hello));
	/* The right one, twice as long. */
	memcpy(stream + size, stream, size);
	EXPECT_BROKEN(MIGRATION_STREAM, "behind its last", 2 * size);
	/* Not ours, too new, of another device. */
	put_record(stream, 1, 0, "this is no stream of migration, no", 32);
	EXPECT_BROKEN(MIGRATION_STREAM, "no stream of isolde's", first);
	hello[8] = 2;
	put_record(stream, 1, 0, hello, 32);
	EXPECT_BROKEN(MIGRATION_STREAM, "version 2", first);
	hello[8] = 1, hello[12]++;
	put_record(stream, 1, 0, hello, 32);
	EXPECT_BROKEN(MIGRATION_STREAM, "the stream is of", first);
	hello[12]--;
	/* No greeting, a short one, a second one; numbers, types and sizes that there are not. */
	EXPECT_BROKEN(MIGRATION_STREAM, "has type 3", put_record(stream, 3, 0, &number, 4));
	EXPECT_BROKEN(MIGRATION_STREAM, "has 31 bytes", put_record(stream, 1, 0, hello, 31));
	put_record(stream, 1, 0, hello, 32);
	EXPECT_BROKEN(MIGRATION_STREAM, "has type 1", first + put_record(stream + first, 1, 1, hello, 32));
	EXPECT_BROKEN(MIGRATION_STREAM, "number 7", first + put_record(stream + first, 2, 7, cell, 4));
	EXPECT_BROKEN(MIGRATION_STREAM, "has type 4", first + put_record(stream + first, 4, 1, cell, 4));
	EXPECT_BROKEN(MIGRATION_STREAM, "has 0 bytes", first + put_record(stream + first, 2, 1, cell, 0));
	put_record(stream + first, 2, 1, cell, 4);
	put_u32(stream + first + 4, PCI_MIGRATION_RECORD + 1);
	EXPECT_BROKEN(MIGRATION_STREAM, "65601 bytes", first + 24);
	/* What the device finds wrong. */
	EXPECT_BROKEN(DEVICE_STATE, "no cell", first + put_record(stream + first, 2, 1, cell, 4 + TOY_CELL));
	EXPECT_BROKEN(DEVICE_STATE, "no state", first + put_record(stream + first, 3, 1, &number, 4));
	/* Who has no bulk takes none. */
	f->toys[1].ops.receive = NULL;
	EXPECT_BROKEN(MIGRATION_STREAM, "no bulk", first + put_record(stream + first, 2, 1, cell, 4 + TOY_CELL));
	/* And all of that was the contents' fault. */
	number = 42;
	assert_true(write_fresh(f, first + put_record(stream + first, 3, 1, &number, 4), &left_in) > 0);
	assert_int_equal(left_in, S(STOP));
	assert_int_equal(f->toys[1].loads, 1);
	teardown(f);
}

/* ---- random life ---- */

TEST(migration, any_sequence_of_states_keeps_to_the_table)
{
	u64 random = 0x9e3779b97f4a7c15;

	for (unsigned can = 0; can < 2; can++) {
		struct fixture *f = setup_with(can);
		u64 flags = can ? ALL : ALL & ~VFIO_MIGRATION_PRE_COPY;

		for (unsigned i = 0; i < 1500; i++) {
			u32 from = state_of(f, 0), to, next;
			bool refused, out, was_out, in, was_in;
			struct why why = WHY_INIT;

			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			to = (u32)(random >> 20) % 9;
			refused = to != from &&
				  (migration_next_state(flags, from, to, &next, &why) < 0 || from == S(RESUMING));
			if (refused) {
				assert_int_equal(set_state(f, 0, to), -EINVAL);
				assert_int_equal(state_of(f, 0), from);
				if (from == S(RESUMING))
					ASSERT_OK(f->room->why,
						  room_ioctl(f->room, f->devices[0].device, VFIO_DEVICE_RESET, NULL));
				continue;
			}
			ASSERT_OK(f->room->why, set_state(f, 0, to));
			assert_int_equal(state_of(f, 0), to);
			out = to == S(PRE_COPY) || to == S(PRE_COPY_P2P) || to == S(STOP_COPY);
			was_out = from == S(PRE_COPY) || from == S(PRE_COPY_P2P) || from == S(STOP_COPY);
			in = to == S(RESUMING), was_in = from == S(RESUMING);
			assert_int_equal(f->fd >= 0, (out && !was_out) || (in && !was_in));
			assert_int_equal(f->toys[0].sending, out);
			if (f->fd >= 0)
				room_close(f->room, f->fd);
		}
		ASSERT_OK(f->room->why, room_ioctl(f->room, f->devices[0].device, VFIO_DEVICE_RESET, NULL));
		teardown(f);
	}
}

/* ---- failures ---- */

TEST(migration, what_cannot_be_given_changes_nothing)
{
	struct fixture *f = setup_with(true);
	struct vfio_device_feature head = {16, SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE};

	for (unsigned n = 1;; n++) {
		long ret;
		bool fired;

		fail_nth_arm(n);
		ret = set_state(f, 0, S(STOP_COPY));
		fired = fail_nth_fired();
		fail_nth_arm(0);
		if (!fired) {
			ASSERT_OK(f->room->why, ret);
			break;
		}
		assert_true(ret < 0);
		assert_int_equal(state_of(f, 0), S(RUNNING));
		assert_int_equal(f->toys[0].activity, PCI_ACTIVE);
	}
	room_close(f->room, f->fd);
	enter(f, 0, S(RUNNING), false);
	/* The payload is not there at all. */
	head.argsz = 15;
	EXPECT_REFUSED(ARGSZ_SHORT, f->room->why,
		       room_ioctl(f->room, f->devices[0].device, VFIO_DEVICE_FEATURE, &head));
	teardown(f);
}

static u64 get_feature(struct fixture *f, u32 feature)
{
	struct {
		struct vfio_device_feature head;
		u64 value;
	} request = {{sizeof(request), GET | feature}, 0};

	ASSERT_OK(f->room->why, room_ioctl(f->room, f->devices[0].device, VFIO_DEVICE_FEATURE, &request));
	return request.value;
}

TEST(migration, a_device_says_what_it_can)
{
	struct fixture *f = setup_with(true);
	struct vfio_device_feature head = {sizeof(head), SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2};

	assert_int_equal(get_feature(f, VFIO_DEVICE_FEATURE_MIGRATION), ALL);
	assert_true(get_feature(f, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE) > sizeof(f->toys[0].cells));
	assert_true(save(f, 0) <= get_feature(f, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE) + sizeof(f->toys[0].cells));
	f->toys[0].ops.pre_copy = false;
	assert_int_equal(get_feature(f, VFIO_DEVICE_FEATURE_MIGRATION), ALL & ~VFIO_MIGRATION_PRE_COPY);
	/* Not ENOTTY, as Linux. */
	EXPECT_REFUSED(FEATURE_DIRECTION, f->room->why,
		       room_ioctl(f->room, f->devices[0].device, VFIO_DEVICE_FEATURE, &head));
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(migration, every_way_is_the_promised_one),
		CASE(migration, states_that_a_device_lacks_are_passed_by),
		CASE(migration, what_one_device_had_another_has),
		CASE(migration, a_running_device_is_copied_before),
		CASE(migration, who_looks_at_flags_gets_some),
		CASE(migration, targets_that_are_none_are_refused),
		CASE(migration, stop_copy_does_not_lead_to_pre_copy),
		CASE(migration, a_descriptor_is_for_one_transfer_and_one_way),
		CASE(migration, a_descriptor_may_outlive_the_device),
		CASE(migration, a_stopped_device_is_closed_before_it_runs),
		CASE(migration, half_a_stream_can_be_completed),
		CASE(migration, a_bit_that_has_changed_is_noticed),
		CASE(migration, streams_with_right_checksums_can_lie_too),
		CASE(migration, any_sequence_of_states_keeps_to_the_table),
		CASE(migration, what_cannot_be_given_changes_nothing),
		CASE(migration, a_device_says_what_it_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
