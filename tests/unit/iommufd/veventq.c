/* SPDX-License-Identifier: MIT */
/* Event queues of virtual IOMMUs: spec 03 section 11. */
#include "tests/fixtures/assign_room.h"

enum { HEADER = sizeof(struct iommufd_vevent_header) };

struct record {
	struct iommufd_vevent_header header;
	u32 data;
};

static u32 viommu_new(struct assign_room *self)
{
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd), .type = TOY_VIOMMU};

	assign_bind(self, 0);
	cmd.dev_id = self->device[0]->object.id;
	cmd.hwpt_id = assign_hwpt(self, 0, assign_ioas(self), IOMMU_HWPT_ALLOC_NEST_PARENT);
	ASSERT_YES(assign_ask(self, IOMMU_VIOMMU_ALLOC, &cmd));
	return cmd.out_viommu_id;
}

static struct iommu_veventq_alloc queue_cmd(u32 viommu, u32 depth)
{
	return (struct iommu_veventq_alloc){.size = sizeof(struct iommu_veventq_alloc),
					    .viommu_id = viommu,
					    .type = TOY_EVENT,
					    .veventq_depth = depth};
}

struct queue {
	u32 viommu, id, fd;
	struct file *file;
};

static struct queue queue_new(struct assign_room *self, u32 depth)
{
	struct queue queue = {.viommu = viommu_new(self)};
	struct iommu_veventq_alloc cmd = queue_cmd(queue.viommu, depth);

	ASSERT_YES(assign_ask(self, IOMMU_VEVENTQ_ALLOC, &cmd));
	queue.id = cmd.out_veventq_id;
	queue.fd = cmd.out_veventq_fd;
	queue.file = assign_file(self, queue.fd);
	return queue;
}

static int report(struct assign_room *self, const struct queue *queue, u32 data)
{
	struct viommu *viommu = container_of(object_peek(self->context, queue->viommu, &viommu_class), struct viommu,
					     object);
	int err;

	why_clear(&self->why);
	err = viommu_report_event(viommu, TOY_EVENT, &data, sizeof(data), &self->why);
	iommufd_check(&self->base->iommufd);
	return err;
}

static s64 queue_read(struct assign_room *self, const struct queue *queue, void *buffer, size_t size)
{
	s64 ret;

	why_clear(&self->why);
	ret = queue->file->ops->read(queue->file, 0, buffer, size, &self->why);
	iommufd_check(&self->base->iommufd);
	return ret;
}

static void expect_event(struct assign_room *self, const struct queue *queue, u32 sequence, u32 data)
{
	struct record record;

	assert_int_equal(queue_read(self, queue, &record, sizeof(record)), sizeof(record));
	assert_int_equal(record.header.flags, 0);
	assert_int_equal(record.header.sequence, sequence);
	assert_int_equal(record.data, data);
}

static void expect_lost(struct assign_room *self, const struct queue *queue, u32 sequence)
{
	struct record record;

	assert_int_equal(queue_read(self, queue, &record, sizeof(record)), HEADER);
	assert_int_equal(record.header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(record.header.sequence, sequence);
}

ASSIGN_TEST(veventq, alloc_refuses_in_linuxs_order)
{
	u32 viommu = viommu_new(self);
	struct iommu_veventq_alloc cmd = queue_cmd(77, 0);

	cmd.flags = cmd.__reserved = 1;
	cmd.type = 0;
	EXPECT_ASKED_NO(FLAGS_UNKNOWN, IOMMU_VEVENTQ_ALLOC, &cmd);
	cmd.flags = 0;
	EXPECT_ASKED_NO(RESERVED_SET, IOMMU_VEVENTQ_ALLOC, &cmd);
	cmd.__reserved = 0;
	EXPECT_ASKED_NO(VEVENTQ_TYPE, IOMMU_VEVENTQ_ALLOC, &cmd);
	cmd.type = TOY_EVENT;
	EXPECT_ASKED_NO(VEVENTQ_DEPTH, IOMMU_VEVENTQ_ALLOC, &cmd);
	cmd.veventq_depth = (1 << 19) + 1;
	EXPECT_ASKED_NO(VEVENTQ_DEPTH, IOMMU_VEVENTQ_ALLOC, &cmd);
	cmd.veventq_depth = 1 << 19;
	EXPECT_ASKED_NO(OBJECT_MISSING, IOMMU_VEVENTQ_ALLOC, &cmd);
	cmd.viommu_id = viommu;
	self->base->no_descriptors = true;
	EXPECT_ASKED_NO(HOST_FAILED, IOMMU_VEVENTQ_ALLOC, &cmd);
	self->base->no_descriptors = false;
	assert_int_equal(assign_users(self, viommu), 0);
	ASSERT_YES(assign_ask(self, IOMMU_VEVENTQ_ALLOC, &cmd));
	assert_string_equal(self->base->queues[0]->path, "anon_inode:[iommufd-viommu-event]");
	assert_null(self->base->queues[0]->ops->write);
	EXPECT_ASKED_NO(VEVENTQ_TAKEN, IOMMU_VEVENTQ_ALLOC, &cmd);
	EXPECT_SUBSTR("VEVENTQ", self->why.text);
	cmd.type = TOY_EVENT + 1;
	ASSERT_YES(assign_ask(self, IOMMU_VEVENTQ_ALLOC, &cmd));
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, viommu));
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, cmd.out_veventq_id));
	assign_close(self, cmd.out_veventq_fd);
	ASSERT_YES(assign_destroy(self, cmd.out_veventq_id));
}

ASSIGN_TEST(veventq, events_come_in_order_and_whole)
{
	struct queue queue = queue_new(self, 4);
	struct record records[3];

	EXPECT_NO(QUEUE_SHORT, queue_read(self, &queue, records, HEADER - 1));
	assert_int_equal(queue_read(self, &queue, records, sizeof(records)), 0);
	assert_int_equal(queue.file->ops->poll(queue.file), 0);
	EXPECT_NO(QUEUE_POSITION, queue.file->ops->read(queue.file, 8, records, 8, &self->why));
	for (u32 i = 0; i < 3; i++)
		ASSERT_YES(report(self, &queue, 0x100 + i));
	assert_int_equal(queue.file->ops->poll(queue.file), POLLIN);
	EXPECT_NO(QUEUE_SHORT, queue_read(self, &queue, records, sizeof(struct record) - 1));
	assert_int_equal(queue_read(self, &queue, records, 2 * sizeof(struct record) + HEADER),
			 2 * sizeof(struct record));
	assert_int_equal(self->why.code, WHY_NONE);
	assert_int_equal(records[0].data, 0x100);
	assert_int_equal(records[1].header.sequence, 1);
	expect_event(self, &queue, 2, 0x102);
	assert_int_equal(queue.file->ops->poll(queue.file), 0);
}

ASSIGN_TEST(veventq, what_does_not_fit_is_lost_and_a_mark_says_so_until_the_next)
{
	struct queue queue = queue_new(self, 2);
	struct record records[3];

	for (u32 i = 0; i < 4; i++)
		ASSERT_YES(report(self, &queue, i)); /* 2 and 3 are lost; that is no failure */
	expect_event(self, &queue, 0, 0);
	/* There is room again: the mark gives way to the gap. */
	ASSERT_YES(report(self, &queue, 4));
	expect_event(self, &queue, 1, 1);
	expect_event(self, &queue, 4, 4);
	assert_int_equal(queue_read(self, &queue, records, sizeof(records)), 0);
	for (u32 i = 5; i < 8; i++)
		ASSERT_YES(report(self, &queue, i));
	/* The mark is behind the events: it waits for those that do not fit. */
	assert_int_equal(queue_read(self, &queue, records, sizeof(struct record) + HEADER), sizeof(struct record));
	ASSERT_YES(report(self, &queue, 8));
	ASSERT_YES(report(self, &queue, 9));
	/* And comes with them, if it fits. */
	assert_int_equal(queue_read(self, &queue, records, 2 * sizeof(struct record) + HEADER - 1),
			 2 * sizeof(struct record));
	assert_int_equal(queue.file->ops->poll(queue.file), POLLIN);
	expect_lost(self, &queue, 9);
	assert_int_equal(queue_read(self, &queue, records, sizeof(records)), 0);
	ASSERT_YES(report(self, &queue, 10));
	expect_event(self, &queue, 10, 10);
}

ASSIGN_TEST(veventq, numbers_go_round_at_2_to_the_31)
{
	struct queue queue = queue_new(self, 1);

	/* There is no other way to get there in a test's time. */
	container_of(eventq_of(object_peek(self->context, queue.id, NULL)), struct veventq, eventq)->sequence =
		0x7fffffff;
	ASSERT_YES(report(self, &queue, 1));
	expect_event(self, &queue, 0x7fffffff, 1);
	ASSERT_YES(report(self, &queue, 2));
	expect_event(self, &queue, 0, 2);
}

ASSIGN_TEST(veventq, reports_without_a_queue_count_nowhere)
{
	struct queue queue = queue_new(self, 1);
	struct viommu *viommu = container_of(object_peek(self->context, queue.viommu, &viommu_class), struct viommu,
					     object);
	u32 data = 1;

	EXPECT_NO(EVENT_NO_QUEUE, viommu_report_event(viommu, TOY_EVENT + 1, &data, 4, &self->why));
	EXPECT_NO(EVENT_EMPTY, viommu_report_event(viommu, TOY_EVENT, &data, 0, &self->why));
	EXPECT_NO(EVENT_EMPTY, viommu_report_event(viommu, TOY_EVENT, NULL, 4, &self->why));
	/* Without memory it is lost, and whoever reports hears it. */
	fail_nth_arm(1);
	EXPECT_NO(OUT_OF_MEMORY, viommu_report_event(viommu, TOY_EVENT, &data, 4, &self->why));
	fail_nth_arm(0);
	expect_lost(self, &queue, 0);
}

ASSIGN_TEST(veventq, left_overs_go_with_the_queue)
{
	struct queue queue = queue_new(self, 2);

	for (u32 i = 0; i < 3; i++)
		ASSERT_YES(report(self, &queue, i));
	assign_close(self, queue.fd);
	ASSERT_YES(assign_destroy(self, queue.id));
	ASSERT_YES(assign_destroy(self, queue.viommu));
}

static int alloc_queue(struct why *why)
{
	struct assign_room *self = assign_current;
	struct iommu_veventq_alloc cmd = queue_cmd(4, 2);
	u32 objects = self->context->nobjects;
	long err = assign_ask(self, IOMMU_VEVENTQ_ALLOC, &cmd);

	*why = self->why;
	if (err == 0) {
		assign_close(self, cmd.out_veventq_fd);
		self->base->nqueues = 0;
		veventq_class.free(object_peek(self->context, cmd.out_veventq_id, NULL));
	}
	assert_int_equal(self->context->nobjects, objects);
	assert_int_equal(assign_users(self, 4), 0);
	assert_int_equal(self->context->files, 2);
	return (int)err;
}

ASSIGN_TEST(veventq, every_step_may_fail)
{
	assert_int_equal(viommu_new(self), 4);
	SWEEP_FAILURES(alloc_queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(veventq, alloc_refuses_in_linuxs_order),
		CASE(veventq, events_come_in_order_and_whole),
		CASE(veventq, what_does_not_fit_is_lost_and_a_mark_says_so_until_the_next),
		CASE(veventq, numbers_go_round_at_2_to_the_31),
		CASE(veventq, reports_without_a_queue_count_nowhere),
		CASE(veventq, left_overs_go_with_the_queue),
		CASE(veventq, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
