/* SPDX-License-Identifier: MIT */
/* vIOMMU, vDEVICE, vEVENTQ, HW_QUEUE, mapped regions (spec 03 section 11). */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/conform.h"

struct virtual
{
	int fd;
	u32 ioas, parent, viommu, nested; /* nested: on the vIOMMU */
	struct mock mock, second;
	char *buffer; /* 8 pages at MOCK_FIRST */
};

static answer viommu_alloc(int fd, u32 idev, u32 parent, void *data, u32 length)
{
	struct iommu_viommu_alloc request = {
		.size = sizeof(request),
		.type = MOCK_VIOMMU,
		.dev_id = idev,
		.hwpt_id = parent,
		.data_len = length,
		.data_uptr = (uintptr_t)data,
	};
	answer got = ask(fd, IOMMU_VIOMMU_ALLOC, &request);

	return got == 0 ? (answer)request.out_viommu_id : got;
}

static struct virtual virtual_new(void)
{
	struct virtual v = {.fd = iommu()};

	need_mock();
	v.ioas = new_ioas(v.fd);
	v.mock = new_mock(v.fd, v.ioas, MOCK_PASIDS);
	v.second = new_mock(v.fd, v.ioas, 0);
	v.buffer = memory(8 * PAGE);
	EXPECT(0, map_at(v.fd, v.ioas, v.buffer, 8 * PAGE, MOCK_FIRST));
	v.parent = (u32)WORKS(alloc_hwpt(v.fd, v.mock.idev, v.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	v.viommu = (u32)WORKS(viommu_alloc(v.fd, v.mock.idev, v.parent, NULL, 0));
	v.nested = (u32)WORKS(alloc_nested_hwpt(v.fd, v.mock.idev, v.viommu, 0, 0));
	return v;
}

static answer vdevice_alloc(const struct virtual *v, u32 viommu, u32 idev, u64 virt_id)
{
	struct iommu_vdevice_alloc request = {
		.size = sizeof(request), .viommu_id = viommu, .dev_id = idev, .virt_id = virt_id};
	answer got = ask(v->fd, IOMMU_VDEVICE_ALLOC, &request);

	return got == 0 ? (answer)request.out_vdevice_id : got;
}

/* ---- vIOMMU ---- */

TEST(viommu_alloc_is_refused_in_this_order)
{
	struct virtual v = virtual_new();
	const struct {
		const char *what;
		u32 flags, type, dev, hwpt, reserved;
		answer expected;
	} rows[] = {
		{"a flag", 1, 0, NOBODY, NOBODY, 0, -EOPNOTSUPP},
		{"no type", 0, 0, NOBODY, NOBODY, 0, -EOPNOTSUPP},
		{"no device", 0, 77, NOBODY, NOBODY, 0, -ENOENT},
		{"a type it has not", 0, 77, v.mock.idev, NOBODY, 0, -EOPNOTSUPP},
		{"another vendor's type", 0, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, v.mock.idev, v.parent, 0, -EOPNOTSUPP},
		{"no parent", 0, MOCK_VIOMMU, v.mock.idev, NOBODY, 0, -ENOENT},
		{"an IOAS", 0, MOCK_VIOMMU, v.mock.idev, v.ioas, 0, -ENOENT},
		{"a domain that is no parent", 0, MOCK_VIOMMU, v.mock.idev, v.mock.hwpt, 0, -EINVAL},
		{"a field that nobody looks at", 0, MOCK_VIOMMU, v.mock.idev, v.parent, 1, 0},
	};

	FOR_EACH(row, rows)
	{
		struct iommu_viommu_alloc request = {
			.size = sizeof(request),
			.flags = row->flags,
			.type = row->type,
			.dev_id = row->dev,
			.hwpt_id = row->hwpt,
			.__reserved = row->reserved,
		};

		about("%s", row->what);
		EXPECT(row->expected, ask(v.fd, IOMMU_VIOMMU_ALLOC, &request));
		if (row->expected == 0)
			EXPECT(0, destroy(v.fd, request.out_viommu_id));
	}
}

struct viommu_data {
	u32 in, out;
	u64 offset, length;
};

TEST(data_of_a_viommu_goes_in_and_out)
{
	struct virtual v = virtual_new();
	struct viommu_data data = {.in = 0x1234};
	char *nowhere = reserve(PAGE);
	struct {
		struct viommu_data data;
		u64 more;
	} longer = {.more = 0};

	EXPECT(-EINVAL, viommu_alloc(v.fd, v.mock.idev, v.parent, &data, 7));
	EXPECT(-EINVAL, viommu_alloc(v.fd, v.mock.idev, v.parent, &longer, sizeof(longer)));
	EXPECT(-EFAULT, viommu_alloc(v.fd, v.mock.idev, v.parent, nowhere, sizeof(data)));
	WORKS(viommu_alloc(v.fd, v.mock.idev, v.parent, &data, sizeof(data)));
	EXPECT_EQUAL(0x1234, data.out);
	EXPECT_EQUAL(2 * PAGE, data.length);
	EXPECT_TRUE(data.offset >= PAGE && data.offset % PAGE == 0);
	data = (struct viommu_data){.in = 7, .offset = 1, .length = 1};
	WORKS(viommu_alloc(v.fd, v.mock.idev, v.parent, &data, 8));
	EXPECT_EQUAL(7, data.out);
	EXPECT_EQUAL(1, data.offset); /* no room was given for it */
}

TEST(a_viommu_keeps_its_parent_and_is_kept)
{
	struct virtual v = virtual_new();

	EXPECT(-EBUSY, destroy(v.fd, v.parent));
	EXPECT(-EBUSY, destroy(v.fd, v.viommu));
	EXPECT(0, destroy(v.fd, v.nested));
	EXPECT(0, destroy(v.fd, v.viommu));
	EXPECT(0, destroy(v.fd, v.parent));
}

TEST(an_answer_that_cannot_be_given_leaves_no_viommu)
{
	struct virtual v = virtual_new();
	const struct iommu_viommu_alloc request = {
		.size = sizeof(request), .type = MOCK_VIOMMU, .dev_id = v.mock.idev, .hwpt_id = v.parent};
	const struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice), .viommu_id = v.viommu, .dev_id = v.mock.idev, .virt_id = 5};
	const struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq), .viommu_id = v.viommu, .type = MOCK_EVENTS, .veventq_depth = 1};
	const struct iommu_hw_queue_alloc queue = {.size = sizeof(queue),
						   .viommu_id = v.viommu,
						   .type = MOCK_HW_QUEUE,
						   .nesting_parent_iova = MOCK_FIRST,
						   .length = PAGE};
	u32 next = new_ioas(v.fd);

	EXPECT(0, destroy(v.fd, next));
	EXPECT(-EFAULT, ask_read_only(v.fd, IOMMU_VIOMMU_ALLOC, &request, sizeof(request)));
	EXPECT(-EFAULT, ask_read_only(v.fd, IOMMU_VDEVICE_ALLOC, &vdevice, sizeof(vdevice)));
	EXPECT(-EFAULT, ask_read_only(v.fd, IOMMU_VEVENTQ_ALLOC, &veventq, sizeof(veventq)));
	EXPECT(-EFAULT, ask_read_only(v.fd, IOMMU_HW_QUEUE_ALLOC, &queue, sizeof(queue)));
	EXPECT(next, vdevice_alloc(&v, v.viommu, v.mock.idev, 5)); /* neither id nor number is taken */
	EXPECT(8 * PAGE, unmap(v.fd, v.ioas, MOCK_FIRST, 8 * PAGE));
}

/* ---- vDEVICE ---- */

TEST(vdevice_alloc_is_refused_in_this_order)
{
	struct virtual v = virtual_new();
	u32 other = (u32)WORKS(viommu_alloc(v.fd, v.mock.idev, v.parent, NULL, 0)), vdevice;

	EXPECT(-ENOENT, vdevice_alloc(&v, NOBODY, NOBODY, 1));
	EXPECT(-ENOENT, vdevice_alloc(&v, v.viommu, NOBODY, 1));
	vdevice = (u32)WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 1));
	EXPECT(-EEXIST, vdevice_alloc(&v, v.viommu, v.mock.idev, 2)); /* one for each device */
	EXPECT(-EEXIST, vdevice_alloc(&v, other, v.mock.idev, 2));
	EXPECT(-EEXIST, vdevice_alloc(&v, v.viommu, v.second.idev, 1)); /* one for each number */
	WORKS(vdevice_alloc(&v, other, v.second.idev, 1));
	EXPECT(-EBUSY, destroy(v.fd, v.viommu));
	EXPECT(0, destroy(v.fd, vdevice));
	WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, TOP));
}

TEST(a_vdevice_dies_with_its_device_and_its_id_is_never_used_again)
{
	struct virtual v = virtual_new();
	u32 vdevice = (u32)WORKS(vdevice_alloc(&v, v.viommu, v.second.idev, 1)), fresh;

	EXPECT(0, destroy(v.fd, v.second.stdev));
	EXPECT(-ENOENT, destroy(v.fd, vdevice));
	EXPECT(-ENOENT, destroy(v.fd, v.second.idev));
	fresh = new_ioas(v.fd);
	EXPECT_TRUE(fresh < vdevice);
	while (fresh < vdevice)
		fresh = new_ioas(v.fd);
	EXPECT_EQUAL(vdevice + 1, fresh);
	EXPECT(-ENOENT, destroy(v.fd, vdevice));
	WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 1)); /* the number is free again */
}

TEST(a_domain_on_a_viommu_takes_devices_that_it_knows)
{
	struct virtual v = virtual_new();
	u32 vdevice;

	EXPECT(-ENOENT, replace_mock(v.fd, v.mock.stdev, &(u32){v.nested}));
	EXPECT(0, check_attached(v.fd, v.mock.stdev, 0, v.mock.hwpt));
	vdevice = (u32)WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 0x42));
	EXPECT(0, replace_mock(v.fd, v.mock.stdev, &(u32){v.nested}));
	EXPECT(-ENOENT, replace_mock(v.fd, v.second.stdev, &(u32){v.nested}));
	EXPECT(0, destroy(v.fd, vdevice)); /* though attached */
	EXPECT(0, replace_mock(v.fd, v.mock.stdev, &(u32){v.ioas}));
}

/* ---- invalidation by device ---- */

struct command {
	u32 flags, virt_id, cache;
};

static answer invalidate(const struct virtual *v, const void *commands, u32 length, u32 *count)
{
	struct iommu_hwpt_invalidate request = {
		.size = sizeof(request),
		.hwpt_id = v->viommu,
		.data_uptr = (uintptr_t)commands,
		.data_type = MOCK_INVALIDATE,
		.entry_len = length,
		.entry_num = *count,
	};
	answer got = ask(v->fd, IOMMU_HWPT_INVALIDATE, &request);

	*count = request.entry_num;
	return got;
}

static answer cache(const struct virtual *v, u32 idev, u32 index, u32 value)
{
	return ask_mock(v->fd, &(struct mock_request){.op = MOCK_CHECK_CACHE, .id = idev, .halves = {index, value}});
}

TEST(commands_are_done_until_one_is_wrong)
{
	static const struct {
		struct command commands[3];
		u32 done;
		answer expected;
	} rows[] = {
		{{{0, 0x42, 0}, {0, 0x42, 1}, {0, 0x42, 2}}, 3, 0},
		{{{0, 0x42, 0}, {2, 0x42, 9}, {0, 0x42, 2}}, 1, -EOPNOTSUPP},
		{{{0, 0x42, 0}, {0, 0x42, 1}, {0, 0x43, 4}}, 2, -EINVAL},
		{{{0, 0x43, 0}, {0, 0x42, 1}, {0, 0x42, 2}}, 0, -EINVAL},
		{{{1, 0x42, 0}, {0, 0x99, 0}, {0, 0x42, 2}}, 1, -EINVAL},
	};

	FOR_EACH(row, rows)
	{
		struct virtual v = virtual_new();
		u32 count = 3;

		about("row %u", (unsigned)(row - rows));
		WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 0x42));
		EXPECT(row->expected, invalidate(&v, row->commands, sizeof(row->commands[0]), &count));
		EXPECT_EQUAL(row->done, count);
		for (u32 i = 0; i < 4; i++) {
			bool gone = false;

			for (u32 done = 0; done < row->done; done++)
				gone |= row->commands[done].flags == 1 || row->commands[done].cache == i;
			EXPECT(0, cache(&v, v.mock.idev, i, gone ? 0 : MOCK_CACHE));
			EXPECT(0, cache(&v, v.second.idev, i, MOCK_CACHE));
		}
		EXPECT(-EINVAL, cache(&v, v.mock.idev, 4, 0));
		EXPECT(-ENOENT, cache(&v, NOBODY, 0, 0));
		drop(v.fd);
	}
}

/* This driver copies the whole array first, and takes longer and shorter commands. */
TEST(arrays_of_commands_are_copied_whole)
{
	struct {
		struct command command;
		u32 more;
	} longer[2] = {{{0, 0x42, 0}, 0}, {{0, 0x42, 1}, 5}};
	struct virtual v = virtual_new();
	struct command *behind = (struct command *)((char *)memory(PAGE) + PAGE);
	u32 count = 2, shorter[2] = {0, 0x42};

	WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 0x42));
	behind[-1] = (struct command){0, 0x42, 1};
	EXPECT(-EFAULT, invalidate(&v, behind - 1, sizeof(*behind), &count));
	EXPECT_EQUAL(0, count);
	EXPECT(0, cache(&v, v.mock.idev, 1, MOCK_CACHE));
	count = 2;
	EXPECT(-E2BIG, invalidate(&v, longer, sizeof(longer[0]), &count));
	EXPECT_EQUAL(0, count);
	longer[1].more = 0;
	count = 2;
	EXPECT(0, invalidate(&v, longer, sizeof(longer[0]), &count));
	EXPECT_EQUAL(2, count);
	EXPECT(0, cache(&v, v.mock.idev, 1, 0));
	count = 1;
	EXPECT(0, invalidate(&v, shorter, sizeof(shorter), &count));
	count = 0;
	EXPECT(0, invalidate(&v, NULL, 0, &count));
}

/* ---- vEVENTQ ---- */

struct event {
	u32 flags, sequence, virt_id;
};

static answer veventq_alloc(const struct virtual *v, u32 depth, int *queue)
{
	struct iommu_veventq_alloc request = {
		.size = sizeof(request), .viommu_id = v->viommu, .type = MOCK_EVENTS, .veventq_depth = depth};
	answer got = ask(v->fd, IOMMU_VEVENTQ_ALLOC, &request);

	if (got == 0)
		*queue = watch((int)request.out_veventq_fd);
	return got == 0 ? (answer)request.out_veventq_id : got;
}

static answer happen(const struct virtual *v, u32 idev)
{
	return ask_mock(v->fd, &(struct mock_request){.op = MOCK_EVENT, .halves = {idev}});
}

static answer take(int queue, void *buffer, size_t size)
{
	ssize_t got = read(queue, buffer, size);

	return got < 0 ? -errno : got;
}

static short readable(int queue)
{
	struct pollfd poll_fd = {.fd = queue, .events = POLLIN | POLLOUT};

	WORKS(poll(&poll_fd, 1, 0));
	return poll_fd.revents;
}

/* The device is attached to the nested domain and known as 0x42. */
static struct virtual with_events(u32 depth, int *queue)
{
	struct virtual v = virtual_new();

	WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 0x42));
	EXPECT(0, replace_mock(v.fd, v.mock.stdev, &(u32){v.nested}));
	WORKS(veventq_alloc(&v, depth, queue));
	return v;
}

TEST(veventq_alloc_is_refused_in_this_order)
{
	struct virtual v = virtual_new();
	const struct {
		const char *what;
		u32 flags, reserved, type, depth, viommu;
		answer expected;
	} rows[] = {
		{"a flag", 1, 0, 0, 0, NOBODY, -EOPNOTSUPP},
		{"a reserved field", 0, 1, 0, 0, NOBODY, -EOPNOTSUPP},
		{"no type", 0, 0, 0, 0, NOBODY, -EOPNOTSUPP},
		{"no depth", 0, 0, MOCK_EVENTS, 0, NOBODY, -EINVAL},
		{"too deep", 0, 0, MOCK_EVENTS, (1 << 19) + 1, NOBODY, -EINVAL},
		{"nobody", 0, 0, MOCK_EVENTS, 1 << 19, NOBODY, -ENOENT},
	};
	int queue;
	u32 id;

	FOR_EACH(row, rows)
	{
		about("%s", row->what);
		EXPECT(row->expected, ASK(v.fd, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, .flags = row->flags,
					  .__reserved = row->reserved, .type = row->type, .veventq_depth = row->depth,
					  .viommu_id = row->viommu));
	}
	id = (u32)WORKS(veventq_alloc(&v, 2, &queue));
	EXPECT(-EEXIST, veventq_alloc(&v, 2, &queue));
	EXPECT(-EBUSY, destroy(v.fd, id));
	EXPECT_EQUAL(FD_CLOEXEC, fcntl(queue, F_GETFD));
	drop(queue);
	EXPECT(0, destroy(v.fd, id));
	WORKS(veventq_alloc(&v, 1 << 19, &queue));
}

TEST(events_come_in_order_with_their_numbers)
{
	int queue;
	struct virtual v = with_events(4, &queue);
	struct event got[4];

	EXPECT_EQUAL(0, readable(queue));
	EXPECT(0, take(queue, got, sizeof(got)));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT_EQUAL(POLLIN, readable(queue));
	EXPECT(2 * sizeof(got[0]), take(queue, got, sizeof(got)));
	for (u32 i = 0; i < 2; i++) {
		EXPECT_EQUAL(0, got[i].flags);
		EXPECT_EQUAL(i, got[i].sequence);
		EXPECT_EQUAL(0x42, got[i].virt_id);
	}
	EXPECT_EQUAL(0, readable(queue));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(sizeof(got[0]), take(queue, got, sizeof(got[0])));
	EXPECT_EQUAL(2, got[0].sequence);
}

TEST(reads_of_events_are_refused_when_too_small)
{
	int queue;
	struct virtual v = with_events(4, &queue);
	struct event got[2];

	EXPECT(-EINVAL, take(queue, got, 0));
	EXPECT(-EINVAL, take(queue, got, 7));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(-EINVAL, take(queue, got, 8));
	EXPECT(-EINVAL, take(queue, got, 11));
	EXPECT(sizeof(got[0]), take(queue, got, 2 * sizeof(got[0]) - 1));
	EXPECT(sizeof(got[0]), take(queue, got, sizeof(got)));
	EXPECT_EQUAL(1, got[0].sequence);
	EXPECT_TRUE(pread(queue, got, sizeof(got), 0) == -1 && errno == ESPIPE);
	EXPECT_TRUE(write(queue, got, sizeof(got)) == -1 && errno == EINVAL);
}

TEST(events_that_cannot_be_given_stay)
{
	int queue;
	struct virtual v = with_events(4, &queue);
	struct event got;

	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(-EFAULT, take(queue, reserve(PAGE), sizeof(got)));
	EXPECT(sizeof(got), take(queue, &got, sizeof(got)));
	EXPECT_EQUAL(0, got.sequence);
}

TEST(events_have_no_positions)
{
	int queue;

	with_events(4, &queue);
	EXPECT_TRUE(lseek(queue, 0, SEEK_SET) == -1 && errno == ESPIPE);
}

TEST(what_a_full_queue_loses_leaves_a_record_at_its_end)
{
	int queue;
	struct virtual v = with_events(2, &queue);
	struct event got[4];

	for (u32 i = 0; i < 5; i++)
		EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(2 * sizeof(got[0]) + 8, take(queue, got, sizeof(got)));
	EXPECT_EQUAL(1, got[1].sequence);
	EXPECT_EQUAL(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, got[2].flags);
	EXPECT_EQUAL(4, got[2].sequence); /* of the last one lost */
	EXPECT_EQUAL(0, readable(queue));
}

TEST(what_comes_after_the_lost_replaces_their_record)
{
	int queue;
	struct virtual v = with_events(2, &queue);
	struct event got[4];

	for (u32 i = 0; i < 3; i++)
		EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(sizeof(got[0]), take(queue, got, sizeof(got[0])));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(2 * sizeof(got[0]), take(queue, got, sizeof(got)));
	EXPECT_EQUAL(1, got[0].sequence);
	EXPECT_EQUAL(3, got[1].sequence); /* the gap tells */
	EXPECT_EQUAL(0, got[1].flags);
}

TEST(a_record_of_loss_alone_fits_into_a_header)
{
	int queue;
	struct virtual v = with_events(1, &queue);
	struct event got[2];

	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(sizeof(got[0]), take(queue, got, sizeof(got[0])));
	EXPECT_EQUAL(POLLIN, readable(queue));
	EXPECT(8, take(queue, got, 8));
	EXPECT_EQUAL(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, got[0].flags);
	EXPECT_EQUAL(1, got[0].sequence);
	EXPECT(0, take(queue, got, 8));
}

TEST(events_are_reported_where_somebody_listens)
{
	struct virtual v = virtual_new();
	u32 vdevice;
	int queue;

	EXPECT(-ENOENT, happen(&v, NOBODY));
	EXPECT(-ENOENT, happen(&v, v.mock.idev)); /* not on a vIOMMU's domain */
	vdevice = (u32)WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 0));
	EXPECT(0, replace_mock(v.fd, v.mock.stdev, &(u32){v.nested}));
	EXPECT(-ENOENT, happen(&v, v.mock.idev)); /* known as 0 */
	EXPECT(0, replace_mock(v.fd, v.mock.stdev, &(u32){v.ioas}));
	EXPECT(0, destroy(v.fd, vdevice));
	WORKS(vdevice_alloc(&v, v.viommu, v.mock.idev, 9));
	EXPECT(0, replace_mock(v.fd, v.mock.stdev, &(u32){v.nested}));
	EXPECT(-EOPNOTSUPP, happen(&v, v.mock.idev)); /* no queue */
	WORKS(veventq_alloc(&v, 1, &queue));
	EXPECT(0, happen(&v, v.mock.idev));
	EXPECT(0, replace_mock(v.fd, v.mock.stdev, &(u32){v.ioas}));
	EXPECT(-ENOENT, happen(&v, v.mock.idev));
}

/* ---- HW_QUEUE ---- */

static answer hw_queue(const struct virtual *v, u32 index, u64 iova, u64 length)
{
	struct iommu_hw_queue_alloc request = {
		.size = sizeof(request),
		.viommu_id = v->viommu,
		.type = MOCK_HW_QUEUE,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	answer got = ask(v->fd, IOMMU_HW_QUEUE_ALLOC, &request);

	return got == 0 ? (answer)request.out_hw_queue_id : got;
}

TEST(hw_queue_alloc_is_refused_in_this_order)
{
	struct virtual v = virtual_new();
	const struct {
		const char *what;
		u32 flags, type, viommu, index;
		u64 iova, length;
		answer expected;
	} rows[] = {
		{"a flag", 1, 0, NOBODY, 9, TOP, 0, -EOPNOTSUPP},
		{"no type", 0, 0, NOBODY, 9, TOP, 0, -EOPNOTSUPP},
		{"no length", 0, 7, NOBODY, 9, TOP, 0, -EINVAL},
		{"a range that wraps", 0, 7, NOBODY, 9, TOP, 2, -EOVERFLOW},
		{"nobody", 0, 7, NOBODY, 9, TOP, 1, -ENOENT},
		{"a type it has not", 0, 7, v.viommu, 9, TOP, 1, -EOPNOTSUPP},
		{"a length that rounds up to nothing", 0, MOCK_HW_QUEUE, v.viommu, 9, 0, TOP, -ERANGE},
		{"nothing mapped there", 0, MOCK_HW_QUEUE, v.viommu, 9, 0x40000000, PAGE, -ENOENT},
		{"an index it has not", 0, MOCK_HW_QUEUE, v.viommu, 2, MOCK_FIRST, PAGE, -EINVAL},
		{"the second before the first", 0, MOCK_HW_QUEUE, v.viommu, 1, MOCK_FIRST, PAGE, -EIO},
	};

	FOR_EACH(row, rows)
	{
		about("%s", row->what);
		EXPECT(row->expected, ASK(v.fd, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, .flags = row->flags,
					  .type = row->type, .viommu_id = row->viommu, .index = row->index,
					  .nesting_parent_iova = row->iova, .length = row->length));
	}
	EXPECT(8 * PAGE, unmap(v.fd, v.ioas, MOCK_FIRST, 8 * PAGE)); /* none of them holds it */
}

TEST(a_queue_locks_its_memory)
{
	struct virtual v = virtual_new();
	u32 first, second;

	first = (u32)WORKS(hw_queue(&v, 0, MOCK_FIRST, PAGE));
	EXPECT_EQUAL(PAGE, alignment_of(v.fd, v.ioas));
	EXPECT(-EEXIST, hw_queue(&v, 0, MOCK_FIRST, PAGE));
	second = (u32)WORKS(hw_queue(&v, 1, MOCK_FIRST + PAGE + 16, PAGE - 16));
	EXPECT(-EBUSY, unmap(v.fd, v.ioas, MOCK_FIRST, 8 * PAGE));
	EXPECT(-EBUSY, unmap(v.fd, v.ioas, MOCK_FIRST, PAGE)); /* a lock is seen before a part */
	EXPECT(-EBUSY, unmap(v.fd, v.ioas, 0, TOP));
	EXPECT(-EBUSY, destroy(v.fd, first)); /* the second depends on it */
	EXPECT(-EBUSY, destroy(v.fd, v.viommu));
	EXPECT(0, destroy(v.fd, second));
	EXPECT(-EBUSY, unmap(v.fd, v.ioas, MOCK_FIRST, 8 * PAGE));
	EXPECT(0, destroy(v.fd, first));
	EXPECT(8 * PAGE, unmap(v.fd, v.ioas, MOCK_FIRST, 8 * PAGE));
	EXPECT_EQUAL(MOCK_PAGE, alignment_of(v.fd, v.ioas));
}

TEST(a_queue_needs_memory_it_can_read)
{
	struct virtual v = virtual_new();
	char *page = memory(PAGE);

	EXPECT(0, ASK(v.fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | IOMMU_IOAS_MAP_WRITEABLE,
		      .ioas_id = v.ioas, .user_va = (uintptr_t)page, .length = PAGE, .iova = MOCK_FIRST + MIB));
	EXPECT(-EPERM, hw_queue(&v, 0, MOCK_FIRST + MIB, PAGE));
	EXPECT(0, map_at(v.fd, v.ioas, page, PAGE / 2, MOCK_FIRST + 2 * MIB));
	EXPECT(-EADDRINUSE, hw_queue(&v, 0, MOCK_FIRST, PAGE)); /* which takes whole pages */
}

/* ---- regions ---- */

TEST(a_published_region_is_mapped_exactly)
{
	struct virtual v = virtual_new();
	struct viommu_data data = {.in = 0xabcdef01};
	const struct {
		const char *what;
		size_t length;
		int prot, flags;
		long offset;
		int err;
	} rows[] = {
		{"half of it", PAGE, PROT_READ, MAP_SHARED, 0, ENXIO},
		{"its second half", PAGE, PROT_READ, MAP_SHARED, PAGE, ENXIO},
		{"more than it", 3 * PAGE, PROT_READ, MAP_SHARED, 0, ENXIO},
		{"what is before it", 2 * PAGE, PROT_READ, MAP_SHARED, -(long)PAGE, ENXIO},
		{"a copy", 2 * PAGE, PROT_READ, MAP_PRIVATE, 0, EINVAL},
		{"code", 2 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, 0, EPERM},
	};
	u32 viommu = (u32)WORKS(viommu_alloc(v.fd, v.mock.idev, v.parent, &data, sizeof(data)));
	u32 *region;

	FOR_EACH(row, rows)
	{
		about("%s", row->what);
		EXPECT_TRUE(mmap(NULL, row->length, row->prot, row->flags, v.fd, (off_t)data.offset + row->offset) ==
			    MAP_FAILED);
		EXPECT_EQUAL(row->err, errno);
	}
	region = mapped(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, v.fd, (off_t)data.offset), 2 * PAGE);
	EXPECT_EQUAL(0xabcdef01, region[0]);
	region[PAGE / sizeof(*region)] = 5;
	EXPECT_EQUAL(5, region[PAGE / sizeof(*region)]);
	EXPECT(-EBUSY, destroy(v.fd, viommu));
	unmap_mapped(region);
	EXPECT(0, destroy(v.fd, viommu));
	EXPECT_TRUE(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, v.fd, (off_t)data.offset) == MAP_FAILED);
	EXPECT_EQUAL(ENXIO, errno);
}

SUITE(viommu, CASE(viommu_alloc_is_refused_in_this_order), CASE(data_of_a_viommu_goes_in_and_out),
      CASE(a_viommu_keeps_its_parent_and_is_kept), CASE(an_answer_that_cannot_be_given_leaves_no_viommu),
      CASE(vdevice_alloc_is_refused_in_this_order), CASE(a_vdevice_dies_with_its_device_and_its_id_is_never_used_again),
      CASE(a_domain_on_a_viommu_takes_devices_that_it_knows), CASE(commands_are_done_until_one_is_wrong),
      CASE(arrays_of_commands_are_copied_whole), CASE(veventq_alloc_is_refused_in_this_order),
      CASE(events_come_in_order_with_their_numbers), CASE(reads_of_events_are_refused_when_too_small),
      CASE_OUTSIDE(events_that_cannot_be_given_stay), CASE_OUTSIDE(events_have_no_positions),
      CASE(what_a_full_queue_loses_leaves_a_record_at_its_end), CASE(what_comes_after_the_lost_replaces_their_record),
      CASE(a_record_of_loss_alone_fits_into_a_header), CASE(events_are_reported_where_somebody_listens),
      CASE(hw_queue_alloc_is_refused_in_this_order), CASE(a_queue_locks_its_memory),
      CASE(a_queue_needs_memory_it_can_read), CASE(a_published_region_is_mapped_exactly));
