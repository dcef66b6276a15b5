/* SPDX-License-Identifier: MIT */
/* Dirty pages, page requests and events, as if hardware had made them. */
#include "tests/fixtures/selftest_room.h"

#include <poll.h>

static const struct iommu_hwpt_selftest nested_data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};

/* ---- dirty pages ---- */

static long mark(struct selftest_room *room, u32 hwpt, u64 iova, u64 length, u64 page_size, const void *bits,
		 u64 *ret_count)
{
	struct iommu_test_cmd command = {
		.op = IOMMU_TEST_OP_DIRTY,
		.id = hwpt,
		.dirty = {.iova = iova, .length = length, .page_size = page_size, .uptr = (uintptr_t)bits}};
	long ret = test_cmd(room, &command);

	*ret_count = command.dirty.out_nr_dirty;
	return ret;
}

static long track(struct selftest_room *room, u32 hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking command = {
		.size = sizeof(command), .flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0, .hwpt_id = hwpt};

	return ask(room, IOMMU_HWPT_SET_DIRTY_TRACKING, &command);
}

static long read_dirty(struct selftest_room *room, u32 hwpt, u64 iova, u64 length, u64 page_size, u32 flags, void *bits)
{
	struct iommu_hwpt_get_dirty_bitmap command = {.size = sizeof(command),
						      .hwpt_id = hwpt,
						      .flags = flags,
						      .iova = iova,
						      .length = length,
						      .page_size = page_size,
						      .data = (uintptr_t)bits};

	return ask(room, IOMMU_HWPT_GET_DIRTY_BITMAP, &command);
}

static long huge_pages(struct selftest_room *room, bool on)
{
	struct iommu_option command = {.size = sizeof(command),
				       .option_id = IOMMU_OPTION_HUGE_PAGES,
				       .op = IOMMU_OPTION_OP_SET,
				       .object_id = room->ioas,
				       .val64 = on};

	return ask(room, IOMMU_OPTION, &command);
}

SELFTEST(trigger, single_pages_are_known_with_huge_ones_off)
{
	struct mock_ids ids = new_mock(room);
	u8 bits[4] = {0x05, 0x80, 0, 0}, found[5] = {0};
	u64 count;
	u32 hwpt;

	OK(destroy(room, ids.stdev));
	OK(huge_pages(room, false));
	ids = new_mock(room);
	OK(map(room, room->buffer, BUFFER_SIZE, BASE));
	hwpt = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, NULL);
	OK(track(room, hwpt, true));
	OK(mark(room, hwpt, BASE, BUFFER_SIZE, MOCK_PAGE_SIZE, bits, &count));
	assert_int_equal(count, 3);
	OK(read_dirty(room, hwpt, BASE, BUFFER_SIZE, MOCK_PAGE_SIZE, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, found + 1));
	assert_memory_equal(found + 1, bits, 4);
	memset(found, 0, sizeof(found));
	OK(read_dirty(room, hwpt, BASE, BUFFER_SIZE, MOCK_PAGE_SIZE, 0, found));
	assert_memory_equal(found, bits, 4);
	memset(found, 0, sizeof(found));
	OK(read_dirty(room, hwpt, BASE, BUFFER_SIZE, MOCK_PAGE_SIZE, 0, found));
	assert_int_equal(found[0] | found[1] | found[2] | found[3] | found[4], 0);
}

SELFTEST(trigger, one_mark_is_all_of_a_large_leaf)
{
	const struct iommu_hwpt_selftest huge_data = {.pagetable_type = MOCK_IOMMUPT_HUGE};
	const u64 size = 2 * MOCK_HUGE_PAGE_SIZE, npages = size / MOCK_PAGE_SIZE;
	struct mock_ids ids = new_mock(room);
	u8 bits[128] = {1}, found[128] = {0};
	u8 *memory = mmap(NULL, size + MOCK_HUGE_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 count;
	u32 hwpt;

	assert_true(memory != MAP_FAILED && npages == 8 * sizeof(bits));
	OK(map(room, (void *)align_up((uintptr_t)memory, MOCK_HUGE_PAGE_SIZE), size, BASE));
	hwpt = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &huge_data);
	OK(track(room, hwpt, true));
	OK(mark(room, hwpt, BASE, size, MOCK_PAGE_SIZE, bits, &count));
	assert_int_equal(count, 1);
	OK(read_dirty(room, hwpt, BASE, size, MOCK_PAGE_SIZE, 0, found));
	for (unsigned i = 0; i < sizeof(found); i++)
		assert_int_equal(found[i], i < sizeof(found) / 2 ? 0xff : 0);
	OK(unmap(room, room->ioas, BASE, size));
	munmap(memory, size + MOCK_HUGE_PAGE_SIZE);
}

SELFTEST(trigger, marks_are_refused_in_order)
{
	struct mock_ids ids = new_mock(room);
	u32 hwpt = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, NULL);
	u8 bits[8] = {0xff};
	u64 count;

	EXPECT_NO(TEST_RANGE, mark(room, hwpt, BASE, PAGE_SIZE, 0, bits, &count));
	EXPECT_NO(TEST_RANGE, mark(room, hwpt, BASE, 0, PAGE_SIZE, bits, &count));
	EXPECT_NO(TEST_RANGE, mark(room, hwpt, BASE + 1, PAGE_SIZE, PAGE_SIZE, bits, &count));
	EXPECT_NO(TEST_RANGE, mark(room, hwpt, BASE, 1, PAGE_SIZE, bits, &count));
	EXPECT_NO(TEST_RANGE, mark(room, hwpt, BASE, PAGE_SIZE, PAGE_SIZE, NULL, &count));
	EXPECT_NO(TEST_TOO_MANY_PAGES, mark(room, 1000, BASE, BIT(38) + 2048, 2048, bits, &count));
	EXPECT_NO(OBJECT_MISSING, mark(room, 1000, BASE, PAGE_SIZE, PAGE_SIZE, bits, &count));
	EXPECT_NO(MOCK_NOT_TRACKED, mark(room, hwpt, BASE, PAGE_SIZE, PAGE_SIZE, (void *)PAGE_SIZE, &count));
	EXPECT_NO(MOCK_NOT_TRACKED, mark(room, ids.hwpt, BASE, PAGE_SIZE, PAGE_SIZE, bits, &count));
	OK(track(room, hwpt, true));
	EXPECT_NO(CLIENT_FAULT, mark(room, hwpt, BASE, PAGE_SIZE, PAGE_SIZE, (void *)PAGE_SIZE, &count));
	/* All bits count, wherever anything is mapped. */
	OK(mark(room, hwpt, BASE, 8 * PAGE_SIZE, PAGE_SIZE, bits, &count));
	assert_int_equal(count, 8);
	OK(track(room, hwpt, false));
	EXPECT_NO(MOCK_NOT_TRACKED, mark(room, hwpt, BASE, PAGE_SIZE, PAGE_SIZE, bits, &count));
}

/* ---- page requests ---- */

static long fault(struct selftest_room *room, u32 device, u32 pasid, u32 group)
{
	return TEST_OP(
		room, TRIGGER_IOPF,
		.trigger_iopf = {.dev_id = device, .pasid = pasid, .grpid = group, .perm = 3, .addr = 0xdeadb000});
}

static u32 new_fault_queue(struct selftest_room *room, int *ret_fd)
{
	struct iommu_fault_alloc command = {.size = sizeof(command)};

	OK(ask(room, IOMMU_FAULT_QUEUE_ALLOC, &command));
	*ret_fd = (int)command.out_fault_fd;
	return command.out_fault_id;
}

static ssize_t read_queue(struct selftest_room *room, int fd, void *to, size_t size)
{
	return told(room, isolde_read(room->machine, fd, to, size, &room->said));
}

struct faulting {
	struct mock_ids ids;
	u32 queue, parent, nested;
	int fd;
};

static struct faulting new_faulting(struct selftest_room *room, u32 flags)
{
	struct faulting f;

	OK(mock_on(room, room->ioas, MOCK_FLAGS_DEVICE_PASID, &f.ids));
	f.queue = new_fault_queue(room, &f.fd);
	f.parent = new_hwpt(room, f.ids.device, room->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
			    NULL);
	OK(alloc_hwpt(room, f.ids.device, f.parent, IOMMU_HWPT_FAULT_ID_VALID | flags, &nested_data, f.queue,
		      &f.nested));
	return f;
}

static void end_faulting(struct selftest_room *room, struct faulting *f)
{
	OK(replace(room, f->ids.stdev, room->ioas));
	OK(destroy(room, f->nested));
	assert_int_equal(isolde_close(room->machine, f->fd), 0);
	OK(destroy(room, f->queue));
}

SELFTEST(trigger, faults_arrive_with_what_the_device_said)
{
	struct faulting f = new_faulting(room, 0);
	struct iommu_hwpt_pgfault record;
	struct iommu_hwpt_page_response answer = {.code = IOMMUFD_PAGE_RESP_SUCCESS};

	OK(replace(room, f.ids.stdev, f.nested));
	assert_int_equal(read_queue(room, f.fd, &record, sizeof(record)), 0);
	OK(fault(room, f.ids.device, 1, 0x12345));
	assert_int_equal(isolde_poll(room->machine, f.fd, POLLIN, 0, NULL), POLLIN);
	assert_int_equal(OK(read_queue(room, f.fd, &record, sizeof(record))), sizeof(record));
	assert_int_equal(record.flags, IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	assert_int_equal(record.dev_id, f.ids.device);
	assert_int_equal(record.pasid, 1);
	assert_int_equal(record.grpid, 0x12345);
	assert_int_equal(record.perm, IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE);
	assert_int_equal(record.addr, 0xdeadb000);
	answer.cookie = record.cookie;
	assert_int_equal(OK(told(room, isolde_write(room->machine, f.fd, &answer, sizeof(answer), &room->said))),
			 sizeof(answer));
	end_faulting(room, &f);
}

SELFTEST(trigger, faults_without_pasid_are_of_the_device)
{
	struct faulting f = new_faulting(room, 0);
	struct iommu_hwpt_pgfault record;

	OK(replace(room, f.ids.stdev, f.nested));
	OK(fault(room, f.ids.device, 0, 1));
	assert_int_equal(OK(read_queue(room, f.fd, &record, sizeof(record))), sizeof(record));
	assert_int_equal(record.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	end_faulting(room, &f);
}

SELFTEST(trigger, faults_of_a_pasid_are_of_its_attachment)
{
	struct faulting f = new_faulting(room, IOMMU_HWPT_ALLOC_PASID);
	struct iommu_hwpt_pgfault record;

	OK(replace(room, f.ids.stdev, f.parent));
	OK(TEST_OP(room, PASID_ATTACH, .id = f.ids.stdev, .pasid_attach = {.pasid = 77, .pt_id = f.nested}));
	OK(fault(room, f.ids.device, 77, 1));
	assert_int_equal(OK(read_queue(room, f.fd, &record, sizeof(record))), sizeof(record));
	assert_int_equal(record.pasid, 77);
	/* The parent is no nested domain, so the device has no other PASIDs. */
	OK(fault(room, f.ids.device, 78, 2));
	assert_int_equal(read_queue(room, f.fd, &record, sizeof(record)), 0);
	OK(TEST_OP(room, PASID_REPLACE, .id = f.ids.stdev, .pasid_replace = {.pasid = 77, .pt_id = f.parent}));
	OK(fault(room, f.ids.device, 77, 3));
	assert_int_equal(read_queue(room, f.fd, &record, sizeof(record)), 0);
	OK(TEST_OP(room, PASID_DETACH, .id = f.ids.stdev, .pasid_detach = {.pasid = 77}));
	end_faulting(room, &f);
}

SELFTEST(trigger, devices_ask_while_anything_of_theirs_is_answered)
{
	struct faulting f = new_faulting(room, IOMMU_HWPT_ALLOC_PASID);
	struct iommufd_device *device = NULL;

	OK(iommufd_device_find(room_context(room), f.ids.device, &device, &room->why));
	assert_null(device->core->requests);
	OK(replace(room, f.ids.stdev, f.nested));
	assert_non_null(device->core->requests);
	OK(TEST_OP(room, PASID_ATTACH, .id = f.ids.stdev, .pasid_attach = {.pasid = 5, .pt_id = f.nested}));
	OK(replace(room, f.ids.stdev, f.parent));
	assert_non_null(device->core->requests);
	OK(TEST_OP(room, PASID_DETACH, .id = f.ids.stdev, .pasid_detach = {.pasid = 5}));
	assert_null(device->core->requests);
	/* Asked for all the same: nobody hears it. */
	OK(fault(room, f.ids.device, 5, 1));
	end_faulting(room, &f);
}

SELFTEST(trigger, faults_name_a_device)
{
	struct mock_ids ids = new_mock(room);

	EXPECT_NO(OBJECT_MISSING, fault(room, ids.stdev, 0, 1));
	OK(fault(room, ids.device, 0, 1));
}

/* ---- events ---- */

struct eventful {
	struct mock_ids ids;
	u32 viommu, nested, vdevice, queue;
	int fd;
};

struct record {
	struct iommufd_vevent_header header;
	struct iommu_viommu_event_selftest event;
};

static long event(struct selftest_room *room, u32 device)
{
	return TEST_OP(room, TRIGGER_VEVENT, .trigger_vevent = {.dev_id = device});
}

static struct eventful new_eventful(struct selftest_room *room)
{
	struct eventful e;
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu), .type = IOMMU_VIOMMU_TYPE_SELFTEST};
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = 0x99};
	struct iommu_veventq_alloc queue = {
		.size = sizeof(queue), .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 2};

	e.ids = new_mock(room);
	viommu.dev_id = vdevice.dev_id = e.ids.device;
	viommu.hwpt_id = new_hwpt(room, e.ids.device, room->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL);
	OK(ask(room, IOMMU_VIOMMU_ALLOC, &viommu));
	e.viommu = vdevice.viommu_id = queue.viommu_id = viommu.out_viommu_id;
	e.nested = new_hwpt(room, e.ids.device, e.viommu, 0, &nested_data);
	OK(ask(room, IOMMU_VEVENTQ_ALLOC, &queue));
	e.queue = queue.out_veventq_id;
	e.fd = (int)queue.out_veventq_fd;
	EXPECT_NO(VDEVICE_MISSING, replace(room, e.ids.stdev, e.nested));
	OK(ask(room, IOMMU_VDEVICE_ALLOC, &vdevice));
	e.vdevice = vdevice.out_vdevice_id;
	return e;
}

SELFTEST(trigger, events_carry_the_virtual_id)
{
	struct eventful e = new_eventful(room);
	struct record records[4];

	EXPECT_NO(MOCK_NO_VIOMMU, event(room, e.ids.device));
	OK(replace(room, e.ids.stdev, e.nested));
	OK(event(room, e.ids.device));
	assert_int_equal(OK(read_queue(room, e.fd, records, sizeof(records))), sizeof(records[0]));
	assert_int_equal(records[0].header.flags, 0);
	assert_int_equal(records[0].header.sequence, 0);
	assert_int_equal(records[0].event.virt_id, 0x99);
	/* Two fit, the third is lost. */
	for (unsigned i = 0; i < 3; i++)
		OK(event(room, e.ids.device));
	assert_int_equal(OK(read_queue(room, e.fd, records, sizeof(records))),
			 2 * sizeof(records[0]) + sizeof(records[0].header));
	assert_int_equal(records[2].header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(records[2].header.sequence, 3);
	OK(replace(room, e.ids.stdev, room->ioas));
	EXPECT_NO(MOCK_NO_VIOMMU, event(room, e.ids.device));
	assert_int_equal(isolde_close(room->machine, e.fd), 0);
	OK(destroy(room, e.queue));
	OK(replace(room, e.ids.stdev, e.nested));
	EXPECT_NO(EVENT_NO_QUEUE, event(room, e.ids.device));
	EXPECT_NO(OBJECT_MISSING, event(room, e.ids.stdev));
}

static struct selftest_room *swept;

static int open_and_close_queue(struct why *why)
{
	struct selftest_room *room = swept;
	struct iommu_fault_alloc command = {.size = sizeof(command)};
	unsigned before = count_descriptors();
	int err = (int)ask(room, IOMMU_FAULT_QUEUE_ALLOC, &command);

	*why = room->why;
	if (err == 0) {
		isolde_close(room->machine, (int)command.out_fault_fd);
		destroy_anyway(room, command.out_fault_id);
	}
	assert_int_equal(count_descriptors(), before);
	return err;
}

SELFTEST(trigger, a_queue_that_cannot_be_given_leaves_nothing)
{
	swept = room;
	SWEEP_FAILURES(open_and_close_queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(trigger, single_pages_are_known_with_huge_ones_off),
		CASE(trigger, one_mark_is_all_of_a_large_leaf),
		CASE(trigger, marks_are_refused_in_order),
		CASE(trigger, faults_arrive_with_what_the_device_said),
		CASE(trigger, faults_without_pasid_are_of_the_device),
		CASE(trigger, faults_of_a_pasid_are_of_its_attachment),
		CASE(trigger, devices_ask_while_anything_of_theirs_is_answered),
		CASE(trigger, faults_name_a_device),
		CASE(trigger, events_carry_the_virtual_id),
		CASE(trigger, a_queue_that_cannot_be_given_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
