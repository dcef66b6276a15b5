/* SPDX-License-Identifier: MIT */
/* Fault queues: spec 03 section 10. */
#include "tests/fixtures/assign_room.h"

#define RECORD sizeof(struct iommu_hwpt_pgfault)

struct queue {
	u32 id, fd;
	struct file *file;
};

static struct queue queue_new(struct assign_room *self)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	struct queue queue;

	ASSERT_YES(assign_ask(self, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	queue = (struct queue){cmd.out_fault_id, cmd.out_fault_fd, assign_file(self, cmd.out_fault_fd)};
	return queue;
}

static s64 queue_read(struct assign_room *self, const struct queue *queue, void *buffer, size_t size)
{
	s64 ret;

	why_clear(&self->why);
	ret = queue->file->ops->read(queue->file, 0, buffer, size, &self->why);
	iommufd_check(&self->base->iommufd);
	return ret;
}

static s64 queue_write(struct assign_room *self, const struct queue *queue, const void *buffer, size_t size)
{
	s64 ret;

	why_clear(&self->why);
	ret = queue->file->ops->write(queue->file, 0, buffer, size, &self->why);
	iommufd_check(&self->base->iommufd);
	return ret;
}

static unsigned queue_poll(const struct queue *queue)
{
	return queue->file->ops->poll(queue->file);
}

/* The device asks, number n of `count` in one group. */
static void ask(struct assign_room *self, unsigned index, u32 pasid, u16 group, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct page_request request = {.iova = 0x1000 * (i + 1),
						     .permission = ISOLDE_PT_READ | (i ? ISOLDE_PT_WRITE : 0),
						     .pasid = pasid,
						     .has_pasid = pasid != 0,
						     .group = group,
						     .last = i + 1 == count};

		ASSERT_YES(iommu_report_page_request(self->core[index], &request, &self->why));
	}
	iommufd_check(&self->base->iommufd);
}

static u32 faulting(struct assign_room *self, u32 ioas, const struct queue *queue, u32 flags)
{
	struct iommu_hwpt_alloc cmd = assign_hwpt_cmd(self, 0, ioas, flags | IOMMU_HWPT_FAULT_ID_VALID);

	cmd.fault_id = queue->id;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	return cmd.out_hwpt_id;
}

/* Attached by an HWPT with a queue. */
static struct queue attached(struct assign_room *self, u32 *ret_hwpt)
{
	struct queue queue = queue_new(self);
	u32 ioas = assign_ioas(self);

	assign_bind(self, 0);
	*ret_hwpt = faulting(self, ioas, &queue, IOMMU_HWPT_ALLOC_PASID);
	/* The driver hears of it by the domain, not as an ability that it should have. */
	assert_true(assign_find_hwpt(self, *ret_hwpt)->domain->answers_pages);
	assert_int_equal(toy.flags, IOMMU_HWPT_ALLOC_PASID);
	ASSERT_YES(assign_attach(self, 0, 0, *ret_hwpt));
	return queue;
}

ASSIGN_TEST(fault, a_queue_is_a_stream_with_a_descriptor)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd), .flags = 1};
	struct iommu_hwpt_pgfault records[2];
	struct queue queue;

	EXPECT_ASKED_NO(FLAGS_UNKNOWN, IOMMU_FAULT_QUEUE_ALLOC, &cmd);
	queue = queue_new(self);
	assert_string_equal(queue.file->path, "anon_inode:[iommufd-pgfault]");
	EXPECT_NO(QUEUE_POSITION, queue.file->ops->read(queue.file, 40, records, 40, &self->why));
	EXPECT_NO(QUEUE_POSITION, queue.file->ops->write(queue.file, 8, records, 8, &self->why));
	EXPECT_NO(QUEUE_RECORDS, queue_read(self, &queue, records, RECORD - 1));
	EXPECT_NO(QUEUE_RECORDS, queue_write(self, &queue, records, 9));
	/* Empty: no waiting, and no error. */
	assert_int_equal(queue_read(self, &queue, records, sizeof(records)), 0);
	assert_int_equal(queue_read(self, &queue, records, 0), 0);
	assert_int_equal(queue_write(self, &queue, records, 0), 0);
	assert_int_equal(queue_poll(&queue), POLLOUT);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, queue.id));
	EXPECT_SUBSTR("FAULT", self->why.text);
	assign_close(self, queue.fd);
	ASSERT_YES(assign_destroy(self, queue.id));
}

ASSIGN_TEST(fault, groups_are_read_whole_and_answered_once)
{
	struct iommu_hwpt_pgfault records[4];
	struct iommu_hwpt_page_response response = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	struct queue queue;
	u32 hwpt;

	queue = attached(self, &hwpt);
	ask(self, 0, 0, 7, 2);
	ask(self, 0, 0, 8, 1);
	assert_int_equal(queue_poll(&queue), POLLIN | POLLOUT);
	EXPECT_NO(QUEUE_SHORT, queue_read(self, &queue, records, RECORD));
	EXPECT_NO(QUEUE_SHORT, queue_read(self, &queue, records, 0));
	/* The second has to wait: it would not fit whole, had it two records; it fits. */
	assert_int_equal(queue_read(self, &queue, records, 2 * RECORD), 2 * RECORD);
	assert_int_equal(self->why.code, WHY_NONE);
	assert_int_equal(records[0].cookie, 1);
	assert_int_equal(records[1].cookie, 1);
	assert_int_equal(records[0].flags, 0);
	assert_int_equal(records[1].flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	assert_int_equal(records[0].dev_id, self->device[0]->object.id);
	assert_int_equal(records[0].grpid, 7);
	assert_int_equal(records[0].perm, IOMMU_PGFAULT_PERM_READ);
	assert_int_equal(records[1].perm, IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE);
	assert_int_equal(records[1].addr, 0x2000);
	assert_int_equal(records[1].pasid | records[1].length, 0);
	assert_int_equal(queue_read(self, &queue, records, 4 * RECORD), RECORD);
	assert_int_equal(records[0].cookie, 2);
	assert_int_equal(queue_poll(&queue), POLLOUT);
	response.cookie = 1;
	assert_int_equal(queue_write(self, &queue, &response, 8), 8);
	assert_int_equal(toy.answers, 1);
	assert_int_equal(toy.answer, PAGE_SUCCESS);
	EXPECT_NO(PAGE_ANSWER, queue_write(self, &queue, &response, 8));
	/* The lowest free one is next. */
	ask(self, 0, 0, 9, 1);
	assert_int_equal(queue_read(self, &queue, records, RECORD), RECORD);
	assert_int_equal(records[0].cookie, 1);
}

ASSIGN_TEST(fault, answers_before_a_bad_one_count)
{
	struct iommu_hwpt_page_response responses[3] = {{.cookie = 2, .code = IOMMUFD_PAGE_RESP_INVALID},
							{.cookie = 1, .code = 2},
							{.cookie = 1, .code = IOMMUFD_PAGE_RESP_SUCCESS}};
	struct iommu_hwpt_pgfault records[2];
	struct queue queue;
	u32 hwpt;

	queue = attached(self, &hwpt);
	ask(self, 0, 0, 7, 1);
	ask(self, 0, 0, 8, 1);
	/* Not read yet: there is no cookie to answer. */
	EXPECT_NO(PAGE_ANSWER, queue_write(self, &queue, &responses[2], 8));
	assert_int_equal(queue_read(self, &queue, records, 2 * RECORD), 2 * RECORD);
	assert_int_equal(queue_write(self, &queue, responses, sizeof(responses)), 8);
	assert_int_equal(self->why.code, WHY_PAGE_ANSWER);
	assert_int_equal(toy.answers, 1);
	assert_int_equal(toy.answer, PAGE_INVALID);
	EXPECT_NO(PAGE_ANSWER, queue_write(self, &queue, &responses[1], 16));
	EXPECT_SUBSTR("answer 2 to cookie 1", self->why.text);
	assert_int_equal(queue_write(self, &queue, &responses[2], 8), 8);
	assert_int_equal(toy.answers, 2);
	responses[0].cookie = 0;
	EXPECT_NO(PAGE_ANSWER, queue_write(self, &queue, responses, 8));
}

ASSIGN_TEST(fault, what_an_attachment_leaves_is_answered_with_invalid)
{
	struct iommu_hwpt_page_response response = {.cookie = 1};
	struct iommu_hwpt_pgfault records[2];
	u32 hwpt, other;
	struct queue queue;

	queue = attached(self, &hwpt);
	other = faulting(
		self, assign_find_hwpt(self, hwpt) ? hwpt_paging_of(assign_find_hwpt(self, hwpt))->ioas->object.id : 0,
		&queue, IOMMU_HWPT_ALLOC_PASID);
	ask(self, 0, 0, 7, 1);
	ask(self, 0, 0, 8, 1);
	assert_int_equal(queue_read(self, &queue, records, RECORD), RECORD);
	/* One was read, one was not: both are of the old attachment. */
	ASSERT_YES(assign_replace(self, 0, 0, other));
	assert_int_equal(toy.answers, 2);
	assert_int_equal(toy.answer, PAGE_INVALID);
	assert_int_equal(queue_poll(&queue), POLLOUT);
	EXPECT_NO(PAGE_ANSWER, queue_write(self, &queue, &response, 8));
	ask(self, 0, 0, 9, 2);
	assert_int_equal(queue_read(self, &queue, records, 2 * RECORD), 2 * RECORD);
	ask(self, 0, 0, 10, 1);
	assign_detach(self, 0, 0);
	assert_int_equal(toy.answers, 4);
	assert_int_equal(queue_read(self, &queue, records, 2 * RECORD), 0);
}

ASSIGN_TEST(fault, pasids_have_attachments_of_their_own)
{
	struct iommu_hwpt_pgfault record;
	struct queue first, second;
	u32 hwpt, other;

	first = attached(self, &hwpt);
	second = queue_new(self);
	other = faulting(self, hwpt_paging_of(assign_find_hwpt(self, hwpt))->ioas->object.id, &second,
			 IOMMU_HWPT_ALLOC_PASID);
	ASSERT_YES(assign_attach(self, 0, 5, other));
	ask(self, 0, 5, 7, 1);
	assert_int_equal(queue_poll(&first), POLLOUT);
	assert_int_equal(queue_read(self, &second, &record, RECORD), RECORD);
	assert_int_equal(record.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE | IOMMU_PGFAULT_FLAGS_PASID_VALID);
	assert_int_equal(record.pasid, 5);
	/* Of the PASID nobody attached: nobody answers. */
	EXPECT_NO(PAGE_NO_HANDLER,
		  iommu_report_page_request(self->core[0],
					    &(struct page_request){.pasid = 6, .has_pasid = true, .last = true},
					    &self->why));
	assert_int_equal(toy.answer, PAGE_INVALID);
	assign_detach(self, 0, 5);
	assert_int_equal(toy.answers, 2);
}

/* Below a nested HWPT the PASIDs are the program's, if the hardware keeps their table there. */
ASSIGN_TEST(fault, unknown_pasids_belong_to_the_nested_one_where_the_table_is_the_users)
{
	struct queue queue = queue_new(self);
	u32 ioas = assign_ioas(self), parent, nested;
	struct iommu_hwpt_pgfault record;

	assign_bind(self, 0);
	parent = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	nested = assign_nested(self, 0, parent, IOMMU_HWPT_FAULT_ID_VALID, queue.id);
	ASSERT_YES(assign_attach(self, 0, 0, nested));
	EXPECT_NO(PAGE_NO_HANDLER,
		  iommu_report_page_request(self->core[0],
					    &(struct page_request){.pasid = 1, .has_pasid = true, .last = true},
					    &self->why));
	toy.driver.user_pasid_table = true;
	ask(self, 0, 1, 7, 1);
	assert_int_equal(queue_read(self, &queue, &record, RECORD), RECORD);
	assert_int_equal(record.pasid, 1);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, queue.id));
}

/* Whose request it is, not who was attached first. */
ASSIGN_TEST(fault, a_siblings_request_carries_its_own_id)
{
	struct iommu_hwpt_pgfault record;
	struct queue queue;
	u32 hwpt, id;

	queue = attached(self, &hwpt);
	assign_bind(self, 1);
	ASSERT_YES(assign_attach(self, 1, 0, hwpt));
	ask(self, 1, 0, 7, 1);
	assert_int_equal(queue_read(self, &queue, &record, RECORD), RECORD);
	assert_int_equal(record.dev_id, self->device[1]->object.id);
	/* The third is not bound: then it is one that is attached, also when the first has gone. */
	ask(self, 2, 0, 7, 1);
	assert_int_equal(queue_read(self, &queue, &record, RECORD), RECORD);
	assert_int_equal(record.dev_id, self->device[0]->object.id);
	id = self->device[1]->object.id;
	assign_detach(self, 0, 0);
	assign_unbind(self, 0);
	ask(self, 2, 0, 8, 1);
	assert_int_equal(queue_read(self, &queue, &record, RECORD), RECORD);
	assert_int_equal(record.dev_id, id);
}

ASSIGN_TEST(fault, a_descriptor_keeps_the_context)
{
	struct queue queue = queue_new(self);

	self->base->file->ops->release(self->base->file);
	self->base->file = NULL;
	assert_int_equal(list_length(&self->base->iommufd.contexts), 1);
	iommufd_check(&self->base->iommufd);
	assign_close(self, queue.fd);
	assert_true(list_empty(&self->base->iommufd.contexts));
}

ASSIGN_TEST(fault, what_is_not_given_leaves_nothing)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)}, *bad = room_read_only(sizeof(cmd));

	self->base->no_descriptors = true;
	EXPECT_ASKED_NO(HOST_FAILED, IOMMU_FAULT_QUEUE_ALLOC, &cmd);
	assert_false(context_has_objects(self->context));
	self->base->no_descriptors = false;
	room_fill_read_only(bad, &cmd, sizeof(cmd));
	EXPECT_ASKED_NO(CLIENT_FAULT, IOMMU_FAULT_QUEUE_ALLOC, bad);
	assert_false(context_has_objects(self->context));
	assert_int_equal(self->base->nqueues, 0);
	assert_int_equal(self->context->files, 1);
	room_free_read_only(bad, sizeof(cmd));
}

/* Another thread of the program takes the structure's page away while it gets the descriptor. */
static void *page_that_goes;

static int install_and_unmap(struct client *client, struct file *file, bool cloexec, struct why *why)
{
	assert_int_equal(mprotect(page_that_goes, PAGE_SIZE, PROT_READ), 0);
	return iommufd_room_install(client, file, cloexec, why);
}

ASSIGN_TEST(fault, an_answer_lost_between_threads_leaves_a_descriptor_and_no_id)
{
	static const struct client_ops ops = {.install_file = install_and_unmap, .free = self_client_free};
	struct iommu_fault_alloc *cmd = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
					     0);

	*cmd = (struct iommu_fault_alloc){.size = sizeof(*cmd)};
	page_that_goes = cmd;
	self->client->ops = &ops;
	why_clear(&self->base->why);
	/* Not by assign_ask(): that something is half made is what this is about. */
	assert_int_equal(self->base->file->ops->ioctl(self->base->file, self->client, IOMMU_FAULT_QUEUE_ALLOC,
						      (uintptr_t)cmd, &self->base->why),
			 -EFAULT);
	assert_int_equal(self->base->nqueues, 1);
	assert_int_equal(self->context->nobjects, 1);
	assert_false(assign_has(self, 1));
	assign_close(self, ROOM_QUEUE_FD);
	assert_false(context_has_objects(self->context));
	munmap(cmd, PAGE_SIZE);
}

static int ask_and_read(struct why *why)
{
	struct assign_room *self = assign_current;
	struct queue queue = {.file = self->base->queues[0]};
	struct iommu_hwpt_page_response response = {.cookie = 1};
	struct iommu_hwpt_pgfault record;
	const struct page_request request = {.iova = 0x1000, .last = true};
	int err = iommu_report_page_request(self->core[0], &request, why);
	s64 size;

	/* Without memory, the device hears FAILURE, or the read fails and the group waits. */
	if (err < 0)
		return err;
	size = queue_read(self, &queue, &record, RECORD);
	*why = self->why;
	if (size == RECORD)
		assert_int_equal(queue_write(self, &queue, &response, 8), 8);
	while (queue_poll(&queue) & POLLIN) {
		assert_int_equal(queue_read(self, &queue, &record, RECORD), RECORD);
		assert_int_equal(queue_write(self, &queue, &response, 8), 8);
	}
	assert_int_equal(page_requests_pending(self->core[0]), 0);
	return size < 0 ? (int)size : 0;
}

ASSIGN_TEST(fault, every_step_may_fail)
{
	u32 hwpt;

	attached(self, &hwpt);
	SWEEP_FAILURES(ask_and_read);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(fault, a_queue_is_a_stream_with_a_descriptor),
		CASE(fault, groups_are_read_whole_and_answered_once),
		CASE(fault, answers_before_a_bad_one_count),
		CASE(fault, what_an_attachment_leaves_is_answered_with_invalid),
		CASE(fault, pasids_have_attachments_of_their_own),
		CASE(fault, unknown_pasids_belong_to_the_nested_one_where_the_table_is_the_users),
		CASE(fault, a_siblings_request_carries_its_own_id),
		CASE(fault, a_descriptor_keeps_the_context),
		CASE(fault, what_is_not_given_leaves_nothing),
		CASE(fault, an_answer_lost_between_threads_leaves_a_descriptor_and_no_id),
		CASE(fault, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
