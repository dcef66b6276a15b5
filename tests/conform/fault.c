/* SPDX-License-Identifier: MIT */
/* Fault queues: FAULT_QUEUE_ALLOC, and what can be read from and written to them (spec 03 section 10). */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/conform.h"

typedef struct iommu_hwpt_pgfault record;
typedef struct iommu_hwpt_page_response response;

struct faults {
	int fd, queue;
	u32 ioas, parent, nested, fault; /* nested: with the queue; the device is attached to it */
	struct mock mock;
};

static struct faults faults_new(void)
{
	struct faults f = {.fd = iommu()};

	need_mock();
	f.ioas = new_ioas(f.fd);
	f.mock = new_mock(f.fd, f.ioas, MOCK_PASIDS);
	f.fault = new_fault_queue(f.fd, &f.queue);
	f.parent = (u32)WORKS(
		alloc_hwpt(f.fd, f.mock.idev, f.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID));
	f.nested = (u32)WORKS(alloc_nested_hwpt(f.fd, f.mock.idev, f.parent,
						IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID, f.fault));
	EXPECT(0, replace_mock(f.fd, f.mock.stdev, &(u32){f.nested}));
	return f;
}

static answer take(const struct faults *f, void *records, size_t size)
{
	ssize_t got = read(f->queue, records, size);

	return got < 0 ? -errno : got;
}

static answer respond(const struct faults *f, const void *responses, size_t size)
{
	ssize_t got = write(f->queue, responses, size);

	return got < 0 ? -errno : got;
}

static short ready(const struct faults *f)
{
	struct pollfd poll_fd = {.fd = f->queue, .events = POLLIN | POLLOUT};

	WORKS(poll(&poll_fd, 1, 0));
	return poll_fd.revents;
}

static answer trigger(const struct faults *f, u32 grpid, u64 address)
{
	return request_page(f->fd, f->mock.idev, 0, grpid, 1, address);
}

TEST(a_queue_is_an_object_and_a_descriptor)
{
	int fd = iommu();
	struct iommu_fault_alloc request = {.size = sizeof(request), .flags = 1};
	int queue;

	EXPECT(-EOPNOTSUPP, ask(fd, IOMMU_FAULT_QUEUE_ALLOC, &request));
	EXPECT_EQUAL(1, new_fault_queue(fd, &queue));
	EXPECT_EQUAL(FD_CLOEXEC, fcntl(queue, F_GETFD));
	EXPECT_EQUAL(O_RDWR, fcntl(queue, F_GETFL) & O_ACCMODE);
	EXPECT(-EBUSY, destroy(fd, 1));
	EXPECT(-ENOTTY, ask(queue, IOMMU_IOAS_ALLOC, &(struct iommu_ioas_alloc){.size = 12}));
	drop(queue);
	EXPECT(0, destroy(fd, 1));
}

TEST(a_queue_has_no_positions)
{
	int fd = iommu(), queue;

	new_fault_queue(fd, &queue);
	EXPECT_TRUE(lseek(queue, 0, SEEK_SET) == -1 && errno == ESPIPE);
	EXPECT_TRUE(lseek(queue, 0, SEEK_CUR) == -1 && errno == ESPIPE);
}

TEST(a_queue_keeps_its_context)
{
	char *buffer = memory(PAGE);
	struct faults f = faults_new();

	EXPECT(0, map_at(f.fd, f.ioas, buffer, PAGE, MOCK_FIRST));
	drop(f.fd);
	EXPECT(0, check_refs(iommu(), buffer, PAGE, 1));
	drop(f.queue);
	EXPECT(0, check_refs(iommu(), buffer, PAGE, 0));
}

TEST(an_empty_queue_gives_nothing_and_does_not_wait)
{
	struct faults f = faults_new();
	record records[2];

	EXPECT(0, take(&f, records, sizeof(records)));
	EXPECT(0, take(&f, records, 0));
	EXPECT_EQUAL(POLLOUT, ready(&f));
}

TEST(sizes_that_are_no_multiple_are_refused)
{
	struct faults f = faults_new();
	record records[2];

	EXPECT(-ESPIPE, take(&f, records, sizeof(record) - 1));
	EXPECT(-ESPIPE, take(&f, records, sizeof(record) + 1));
	EXPECT(-ESPIPE, take(&f, records, 1));
	EXPECT(-ESPIPE, respond(&f, records, sizeof(response) - 1));
	EXPECT(-ESPIPE, respond(&f, records, 1));
	EXPECT(0, respond(&f, records, 0));
	EXPECT_TRUE(pread(f.queue, records, sizeof(record), 0) == -1 && errno == ESPIPE);
	EXPECT_TRUE(pwrite(f.queue, records, sizeof(response), 0) == -1 && errno == ESPIPE);
}

TEST(a_page_request_is_a_record_until_it_is_answered)
{
	struct faults f = faults_new();
	record got = {.length = 7};
	response answer_it = {0};

	EXPECT(-ENOENT, request_page(f.fd, NOBODY, 0, 0, 0, 0));
	EXPECT(0, request_page(f.fd, f.mock.idev, 7, 42, 3, 0xdead000));
	EXPECT_EQUAL(POLLIN | POLLOUT, ready(&f));
	EXPECT(sizeof(got), take(&f, &got, sizeof(got)));
	EXPECT_EQUAL(IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE, got.flags);
	EXPECT_EQUAL(f.mock.idev, got.dev_id);
	EXPECT_EQUAL(7, got.pasid);
	EXPECT_EQUAL(42, got.grpid);
	EXPECT_EQUAL(3, got.perm);
	EXPECT_EQUAL(0xdead000, got.addr);
	EXPECT_EQUAL(0, got.length);
	EXPECT_EQUAL(1, got.cookie);
	EXPECT_EQUAL(POLLOUT, ready(&f));
	answer_it.cookie = got.cookie;
	answer_it.code = 2;
	EXPECT(-EINVAL, respond(&f, &answer_it, sizeof(answer_it)));
	answer_it.code = IOMMUFD_PAGE_RESP_INVALID;
	EXPECT(sizeof(answer_it), respond(&f, &answer_it, sizeof(answer_it)));
	EXPECT(-EINVAL, respond(&f, &answer_it, sizeof(answer_it))); /* once */
}

TEST(a_request_without_a_pasid_says_so)
{
	struct faults f = faults_new();
	record got;

	EXPECT(0, trigger(&f, 1, 0x1000));
	EXPECT(sizeof(got), take(&f, &got, sizeof(got)));
	EXPECT_EQUAL(IOMMU_PGFAULT_FLAGS_LAST_PAGE, got.flags);
	EXPECT_EQUAL(0, got.pasid);
}

TEST(as_many_groups_are_given_as_fit)
{
	struct faults f = faults_new();
	record got[4];

	for (u32 group = 1; group <= 5; group++)
		EXPECT(0, trigger(&f, group, group * PAGE));
	EXPECT(-EINVAL, take(&f, got, 0)); /* one waits, and does not fit */
	EXPECT(2 * sizeof(got[0]), take(&f, got, 2 * sizeof(got[0])));
	EXPECT_EQUAL(1, got[0].grpid);
	EXPECT_EQUAL(2, got[1].grpid);
	EXPECT_EQUAL(POLLIN | POLLOUT, ready(&f));
	EXPECT(3 * sizeof(got[0]), take(&f, got, sizeof(got)));
	EXPECT_EQUAL(3, got[0].grpid);
	EXPECT_EQUAL(5, got[2].grpid);
	EXPECT_EQUAL(5, got[2].cookie);
}

TEST(cookies_are_given_again_from_the_lowest_on)
{
	struct faults f = faults_new();
	response second = {.cookie = 2};
	record got[4];

	for (u32 group = 1; group <= 3; group++)
		EXPECT(0, trigger(&f, group, PAGE));
	EXPECT(3 * sizeof(got[0]), take(&f, got, sizeof(got)));
	EXPECT(sizeof(second), respond(&f, &second, sizeof(second)));
	EXPECT(0, trigger(&f, 4, PAGE));
	EXPECT(sizeof(got[0]), take(&f, got, sizeof(got)));
	EXPECT_EQUAL(2, got[0].cookie);
}

TEST(answers_count_until_one_is_wrong)
{
	struct faults f = faults_new();
	response answers[4] = {{1, 0}, {2, 1}, {9, 0}, {3, 0}};
	record got[3];

	for (u32 group = 1; group <= 3; group++)
		EXPECT(0, trigger(&f, group, PAGE));
	EXPECT(sizeof(got), take(&f, got, sizeof(got)));
	EXPECT(2 * sizeof(response), respond(&f, answers, sizeof(answers)));
	EXPECT(-EINVAL, respond(&f, answers, sizeof(answers)));
	answers[2].cookie = 3;
	answers[2].code = 7;
	EXPECT(-EINVAL, respond(&f, &answers[2], 2 * sizeof(response))); /* the code is looked at first */
	EXPECT(sizeof(response), respond(&f, &answers[3], sizeof(response)));
}

TEST(answers_count_as_far_as_they_are_there)
{
	struct faults f = faults_new();
	char *behind = (char *)memory(PAGE) + PAGE;
	record got[2];

	for (u32 group = 1; group <= 2; group++)
		EXPECT(0, trigger(&f, group, PAGE));
	EXPECT(sizeof(got), take(&f, got, sizeof(got)));
	memcpy(behind - sizeof(response), &(response){1, 0}, sizeof(response));
	EXPECT(sizeof(response), respond(&f, behind - sizeof(response), 2 * sizeof(response)));
	EXPECT(-EFAULT, respond(&f, behind, sizeof(response)));
	EXPECT(sizeof(response), respond(&f, &(response){2, 0}, sizeof(response)));
}

TEST(records_that_cannot_be_given_stay)
{
	struct faults f = faults_new();
	char *behind = (char *)memory(PAGE) + PAGE;
	record got;

	EXPECT(0, trigger(&f, 1, PAGE));
	EXPECT(0, trigger(&f, 2, PAGE));
	EXPECT(-EFAULT, take(&f, behind, sizeof(record)));
	EXPECT(sizeof(record), take(&f, behind - sizeof(record), 2 * sizeof(record)));
	EXPECT(sizeof(record), take(&f, &got, sizeof(got)));
	EXPECT_EQUAL(2, got.grpid);
	EXPECT_EQUAL(2, got.cookie);
}

/* Whatever an attachment left unanswered is answered when it ends: no cookie of it is good any more. */
TEST(a_detach_answers_what_is_left)
{
	struct faults f = faults_new();
	record got;

	EXPECT(0, trigger(&f, 1, PAGE));
	EXPECT(0, trigger(&f, 2, PAGE));
	EXPECT(sizeof(got), take(&f, &got, sizeof(got)));
	EXPECT(0, replace_mock(f.fd, f.mock.stdev, &(u32){f.parent}));
	EXPECT(0, take(&f, &got, sizeof(got)));
	EXPECT_EQUAL(POLLOUT, ready(&f));
	EXPECT(-EINVAL, respond(&f, &(response){1, 0}, sizeof(response)));
	EXPECT(0, trigger(&f, 3, PAGE)); /* nobody to tell: answered at once */
	EXPECT(0, take(&f, &got, sizeof(got)));
}

TEST(requests_go_to_the_queue_of_their_pasid)
{
	struct faults f = faults_new(), other = f;
	u32 second;
	record got;

	other.fault = new_fault_queue(f.fd, &other.queue);
	second = (u32)WORKS(alloc_nested_hwpt(f.fd, f.mock.idev, f.parent,
					      IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID, other.fault));
	EXPECT(0, attach_mock(f.fd, f.mock.stdev, 5, &second));
	EXPECT(0, request_page(f.fd, f.mock.idev, 5, 1, 1, 0x5000));
	EXPECT(0, request_page(f.fd, f.mock.idev, 6, 2, 1, 0x6000)); /* of nobody: the device's own domain */
	EXPECT(sizeof(got), take(&other, &got, sizeof(got)));
	EXPECT_EQUAL(5, got.pasid);
	EXPECT(sizeof(got), take(&f, &got, sizeof(got)));
	EXPECT_EQUAL(6, got.pasid);
	EXPECT(0, take(&f, &got, sizeof(got)));
	EXPECT(0, detach_mock(f.fd, f.mock.stdev, 5));
	EXPECT(-EINVAL, respond(&other, &(response){1, 0}, sizeof(response)));
	EXPECT(sizeof(response), respond(&f, &(response){1, 0}, sizeof(response)));
}

TEST(paging_domains_take_requests_too)
{
	struct faults f = faults_new();
	struct iommu_hwpt_alloc request = {
		.size = sizeof(request),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = f.mock.idev,
		.pt_id = f.ioas,
		.fault_id = f.fault,
	};
	record got;

	EXPECT(0, ask(f.fd, IOMMU_HWPT_ALLOC, &request));
	EXPECT(0, replace_mock(f.fd, f.mock.stdev, &(u32){request.out_hwpt_id}));
	EXPECT(0, trigger(&f, 1, PAGE));
	EXPECT(sizeof(got), take(&f, &got, sizeof(got)));
	EXPECT(0, request_page(f.fd, f.mock.idev, 9, 1, 1, 0)); /* its table of PASIDs is not the user's */
	EXPECT(0, take(&f, &got, sizeof(got)));
}

static void wait_for_a_request(void *argument)
{
	struct pollfd *poll_fd = argument;

	/* In vain where the sweep lost the request; it has been made before, or it is. */
	poll(poll_fd, 1, getenv("CONFORM_SWEEP") ? 4000 : 60000);
}

TEST(who_waits_for_a_request_is_woken)
{
	static struct pollfd poll_fd;
	struct faults f = faults_new();

	poll_fd = (struct pollfd){.fd = f.queue, .events = POLLIN};
	start_beside(wait_for_a_request, &poll_fd);
	usleep(20000);
	EXPECT(0, trigger(&f, 1, PAGE));
	join_beside();
	EXPECT_EQUAL(POLLIN, poll_fd.revents);
}

SUITE(fault, CASE(a_queue_is_an_object_and_a_descriptor), CASE_OUTSIDE(a_queue_has_no_positions),
      CASE(a_queue_keeps_its_context), CASE(an_empty_queue_gives_nothing_and_does_not_wait),
      CASE(sizes_that_are_no_multiple_are_refused), CASE(a_page_request_is_a_record_until_it_is_answered),
      CASE(a_request_without_a_pasid_says_so), CASE(as_many_groups_are_given_as_fit),
      CASE(cookies_are_given_again_from_the_lowest_on), CASE(answers_count_until_one_is_wrong),
      CASE_OUTSIDE(answers_count_as_far_as_they_are_there), CASE_OUTSIDE(records_that_cannot_be_given_stay),
      CASE(a_detach_answers_what_is_left), CASE(requests_go_to_the_queue_of_their_pasid),
      CASE(paging_domains_take_requests_too), CASE(who_waits_for_a_request_is_woken));
