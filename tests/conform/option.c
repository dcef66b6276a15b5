/* SPDX-License-Identifier: MIT */
/* OPTION, accounting, CHANGE_PROCESS (spec 03 sections 3.9 to 3.11). */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conform/conform.h"

static answer option(int fd, u32 id, u16 op, u32 object, u64 value)
{
	return ASK(fd, IOMMU_OPTION, iommu_option, .option_id = id, .op = op, .object_id = object, .val64 = value);
}

static u64 option_get(int fd, u32 id, u32 object)
{
	struct iommu_option request = {
		.size = sizeof(request), .option_id = id, .op = IOMMU_OPTION_OP_GET, .object_id = object, .val64 = 77};

	EXPECT(0, ask(fd, IOMMU_OPTION, &request));
	return request.val64;
}

/* ---- options ---- */

TEST(options_are_refused_in_this_order)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(-EOPNOTSUPP,
	       ASK(fd, IOMMU_OPTION, iommu_option, .option_id = 1, .op = 1, .object_id = NOBODY, .__reserved = 1));
	EXPECT(-EOPNOTSUPP, option(fd, 2, IOMMU_OPTION_OP_GET, 0, 0));
	EXPECT(-EOPNOTSUPP, option(fd, ~0u, IOMMU_OPTION_OP_SET, 0, 0));
	EXPECT(-EOPNOTSUPP, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, ioas, 0));
	EXPECT(-EOPNOTSUPP, option(fd, IOMMU_OPTION_RLIMIT_MODE, 2, 0, 0));
	EXPECT(-ENOENT, option(fd, IOMMU_OPTION_HUGE_PAGES, 2, NOBODY, 7));
	EXPECT(-ENOENT, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, 0, 7));
	EXPECT(-EOPNOTSUPP, option(fd, IOMMU_OPTION_HUGE_PAGES, 2, ioas, 7));
	EXPECT(-EINVAL, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 2));
}

TEST(only_the_value_of_an_option_is_answered)
{
	struct iommu_option *request = (struct iommu_option *)(void *)((char *)memory(2 * PAGE) + PAGE - 16);
	int fd = iommu();

	*request = (struct iommu_option){.size = sizeof(*request), .op = IOMMU_OPTION_OP_GET, .val64 = 9};
	protect((char *)request - PAGE + 16, PAGE, PROT_READ); /* all but the value */
	EXPECT(0, ask(fd, IOMMU_OPTION, request));
	EXPECT_EQUAL(0, request->val64);
}

static answer set_mode(int fd, u64 mode)
{
	return option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, mode);
}

/* A context in that mode, which takes CAP_SYS_RESOURCE. */
static int iommu_in_mode(u64 mode)
{
	int fd = iommu();
	answer got = set_mode(fd, mode);

	if (got == -EPERM)
		skip("no CAP_SYS_RESOURCE");
	EXPECT(0, got);
	return fd;
}

TEST(the_mode_of_accounting_can_be_set_before_there_are_objects)
{
	int fd = iommu_in_mode(0);

	EXPECT_EQUAL(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0));
	EXPECT(-EINVAL, set_mode(fd, 2));
	EXPECT(0, set_mode(fd, 1));
	EXPECT_EQUAL(1, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0));
	EXPECT(0, set_mode(fd, 0));
	EXPECT_EQUAL(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0));
	new_ioas(fd);
	EXPECT(-EBUSY, set_mode(fd, 2));
	EXPECT(-EBUSY, set_mode(fd, 0));
	EXPECT(0, destroy(fd, 1));
	EXPECT(0, set_mode(fd, 1));
}

struct mode_asked {
	int fd;
	answer set, get;
};

static void ask_mode(void *argument)
{
	struct mode_asked *asked = argument;

	asked->set = set_mode(asked->fd, 2);
	asked->get = option(asked->fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, 0);
}

TEST(setting_the_mode_takes_a_capability_before_all_else)
{
	struct mode_asked asked = {.fd = iommu()};

	new_ioas(asked.fd);
	powerless(ask_mode, &asked);
	EXPECT(-EPERM, asked.set);
	EXPECT(0, asked.get);
}

TEST(huge_pages_are_on_until_they_are_switched_off)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT_EQUAL(1, option_get(fd, IOMMU_OPTION_HUGE_PAGES, ioas));
	EXPECT_EQUAL(1, alignment_of(fd, ioas));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
	EXPECT_EQUAL(0, option_get(fd, IOMMU_OPTION_HUGE_PAGES, ioas));
	EXPECT_EQUAL(PAGE, alignment_of(fd, ioas));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 1));
	EXPECT_EQUAL(1, alignment_of(fd, ioas));
}

TEST(huge_pages_cannot_be_switched_off_over_odd_areas)
{
	char *buffer = memory(2 * PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, map_at(fd, ioas, buffer, 100, PAGE));
	EXPECT(-EADDRINUSE, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
	EXPECT_EQUAL(1, option_get(fd, IOMMU_OPTION_HUGE_PAGES, ioas));
	EXPECT(100, unmap(fd, ioas, PAGE, 100));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, PAGE));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
	EXPECT(-EINVAL, map_at(fd, ioas, buffer, 100, 2 * PAGE));
	EXPECT(-EINVAL, map_at(fd, ioas, buffer + 100, PAGE, 2 * PAGE));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 2 * PAGE));
}

TEST(huge_pages_cannot_be_switched_off_under_a_device)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	new_mock(fd, ioas, 0);
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0)); /* nothing is mapped */
	EXPECT_EQUAL(PAGE, alignment_of(fd, ioas));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, MOCK_FIRST));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0)); /* they are off */
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 1));
	EXPECT_EQUAL(MOCK_PAGE, alignment_of(fd, ioas));
	EXPECT(-EINVAL, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
}

/* ---- who pays ---- */

enum { LIMITED_PAGES = 8 };

/* What is done without a capability, with RLIMIT_MEMLOCK of a few pages; the answers are looked at afterwards. */
struct charged {
	int fd;
	u32 ioas;
	char *buffer; /* 4 * LIMITED_PAGES */
	answer fits, exceeds, copy, more, again;
	long pinned[4], locked[4]; /* KiB: before, with the first mapping, with its copy, after */
};

static void limited(void (*function)(void *), void *argument)
{
	struct rlimit before, limit;

	EXPECT_EQUAL(0, getrlimit(RLIMIT_MEMLOCK, &before));
	limit = before;
	limit.rlim_cur = LIMITED_PAGES * PAGE;
	EXPECT_EQUAL(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	powerless(function, argument);
	setrlimit(RLIMIT_MEMLOCK, &before);
}

static void note_charges(struct charged *charged, unsigned i)
{
	charged->pinned[i] = conform_pinned_kib();
	charged->locked[i] = conform_locked_kib();
}

static void charge(void *argument)
{
	struct charged *c = argument;

	note_charges(c, 0);
	c->exceeds = map_at(c->fd, c->ioas, c->buffer, (LIMITED_PAGES + 1) * PAGE, MOCK_FIRST);
	c->fits = map_at(c->fd, c->ioas, c->buffer, (LIMITED_PAGES - 1) * PAGE, MOCK_FIRST);
	note_charges(c, 1);
	c->copy = copy_at(c->fd, c->ioas, MOCK_FIRST + MIB, c->ioas, MOCK_FIRST, (LIMITED_PAGES - 1) * PAGE);
	note_charges(c, 2);
	c->more = map_at(c->fd, c->ioas, c->buffer + LIMITED_PAGES * PAGE, 2 * PAGE, MOCK_FIRST + 2 * MIB);
	unmap(c->fd, c->ioas, 0, TOP);
	note_charges(c, 3);
	c->again = map_at(c->fd, c->ioas, c->buffer, LIMITED_PAGES * PAGE, MOCK_FIRST);
}

static void check_charges(const struct charged *charged, bool locked)
{
	const long first = (LIMITED_PAGES - 1) * (long)PAGE / 1024;

	EXPECT(-ENOMEM, charged->exceeds);
	EXPECT(0, charged->fits);
	EXPECT(0, charged->copy); /* the pages are paid for */
	EXPECT(-ENOMEM, charged->more);
	EXPECT(0, charged->again);
	if (charged->pinned[0] < 0)
		return;
	EXPECT_EQUAL(charged->pinned[0] + first, charged->pinned[1]);
	EXPECT_EQUAL(charged->pinned[1], charged->pinned[2]);
	EXPECT_EQUAL(charged->pinned[0], charged->pinned[3]);
	EXPECT_EQUAL(charged->locked[0] + (locked ? first : 0), charged->locked[1]);
	EXPECT_EQUAL(charged->locked[1], charged->locked[2]);
	EXPECT_EQUAL(charged->locked[0], charged->locked[3]);
}

TEST(the_user_pays_for_what_is_pinned)
{
	struct charged charged = {.fd = iommu(), .buffer = memory(4 * LIMITED_PAGES * PAGE)};

	need_mock();
	charged.ioas = new_ioas(charged.fd);
	new_mock(charged.fd, charged.ioas, 0);
	limited(charge, &charged);
	check_charges(&charged, false);
}

TEST(or_the_process_pays)
{
	struct charged charged = {.buffer = memory(4 * LIMITED_PAGES * PAGE)};

	need_mock();
	charged.fd = iommu_in_mode(1);
	charged.ioas = new_ioas(charged.fd);
	new_mock(charged.fd, charged.ioas, 0);
	limited(charge, &charged);
	check_charges(&charged, true);
}

TEST(who_may_lock_memory_is_not_limited)
{
	struct rlimit before, limit = {.rlim_cur = 0};
	char *buffer = memory(LIMITED_PAGES * PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);
	long pinned, after;
	answer got;

	need_mock();
	new_mock(fd, ioas, 0);
	pinned = conform_pinned_kib();
	EXPECT_EQUAL(0, getrlimit(RLIMIT_MEMLOCK, &before));
	limit.rlim_max = before.rlim_max;
	EXPECT_EQUAL(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	got = map_at(fd, ioas, buffer, LIMITED_PAGES * PAGE, MOCK_FIRST);
	after = conform_pinned_kib();
	setrlimit(RLIMIT_MEMLOCK, &before);
	if (got == -ENOMEM)
		skip("no CAP_IPC_LOCK");
	EXPECT(0, got);
	if (pinned >= 0)
		EXPECT_EQUAL(pinned + LIMITED_PAGES * (long)PAGE / 1024, after);
}

static void map_too_much(void *argument)
{
	struct charged *c = argument;

	c->exceeds = map_at(c->fd, c->ioas, c->buffer, 2 * LIMITED_PAGES * PAGE, MOCK_FIRST);
}

/* Whoever mapped without the capability is limited when a device attaches, whoever attaches it. */
TEST(the_limit_is_met_when_a_device_attaches)
{
	struct charged charged = {.fd = iommu(), .buffer = memory(2 * LIMITED_PAGES * PAGE)};
	struct rlimit before, limit;
	struct mock mock;
	answer attached;

	need_mock();
	charged.ioas = new_ioas(charged.fd);
	limited(map_too_much, &charged);
	EXPECT(0, charged.exceeds);
	EXPECT_EQUAL(0, getrlimit(RLIMIT_MEMLOCK, &before));
	limit = before;
	limit.rlim_cur = LIMITED_PAGES * PAGE;
	EXPECT_EQUAL(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	attached = try_mock(charged.fd, charged.ioas, 0, &mock);
	setrlimit(RLIMIT_MEMLOCK, &before);
	EXPECT(-ENOMEM, attached);
	EXPECT(0, check_refs(charged.fd, charged.buffer, 2 * LIMITED_PAGES * PAGE, 0));
	EXPECT_EQUAL(1, alignment_of(charged.fd, charged.ioas));
	EXPECT(0, try_mock(charged.fd, charged.ioas, 0, &mock));
}

/* ---- CHANGE_PROCESS ---- */

static answer change_process(int fd, u32 reserved)
{
	return ASK(fd, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, .__reserved = reserved);
}

TEST(files_only_change_the_process)
{
	char *buffer = memory(PAGE);
	int fd = iommu(), file = new_file(4 * PAGE);
	u32 ioas = new_ioas(fd), other = new_ioas(fd);

	EXPECT(-EOPNOTSUPP, change_process(fd, 1));
	EXPECT(0, change_process(fd, 0));
	EXPECT(0, map_file_at(fd, ioas, file, 0, 2 * PAGE, 0x4000));
	EXPECT(0, copy_at(fd, other, 0x8000, ioas, 0x5000, PAGE));
	EXPECT(0, change_process(fd, 0));
	EXPECT(0, map_at(fd, other, buffer, PAGE, 0x1000));
	EXPECT(-EINVAL, change_process(fd, 0));
	EXPECT(-EOPNOTSUPP, change_process(fd, 1));
	EXPECT(PAGE, unmap(fd, other, 0x1000, PAGE));
	EXPECT(0, change_process(fd, 0));
}

/* In a child: its own charge goes up, and the parent's is given back. */
static void take_over(int fd)
{
	long before = conform_pinned_kib();
	answer got = ASK(fd, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, .__reserved = 0);

	_exit(got == 0 && conform_pinned_kib() == before + 4 * (long)PAGE / 1024 ? 0 : 1);
}

struct file_mapped {
	int fd, file;
	u32 ioas;
	answer got;
	long charged; /* KiB */
};

static void map_the_file(void *argument)
{
	struct file_mapped *m = argument;

	m->got = map_file_at(m->fd, m->ioas, m->file, 0, 4 * PAGE, MOCK_FIRST);
}

TEST(a_child_takes_the_charges_over)
{
	struct file_mapped mapped = {.fd = iommu(), .file = new_file(4 * PAGE)};
	int status;
	long before;
	pid_t child;

	need_mock();
	mapped.ioas = new_ioas(mapped.fd);
	new_mock(mapped.fd, mapped.ioas, 0);
	before = conform_pinned_kib();
	powerless(map_the_file, &mapped); /* who may lock memory pays nothing that could be taken over */
	EXPECT(0, mapped.got);
	EXPECT_EQUAL(before + 4 * (long)PAGE / 1024, conform_pinned_kib());
	child = fork();
	if (child == 0)
		take_over(mapped.fd);
	EXPECT_TRUE(child > 0 && waitpid(child, &status, 0) == child);
	EXPECT_EQUAL(0, status);
	EXPECT_EQUAL(before, conform_pinned_kib());
}

static void fail_to_execute(void *argument)
{
	struct file_mapped *mapped = argument;
	long before = conform_pinned_kib();

	powerless(map_the_file, mapped);
	execl("/nonexistent", "nonexistent", NULL);
	destroy(mapped->fd, NOBODY);
	mapped->charged = conform_pinned_kib() - before;
}

/* The process stays the same one. */
TEST(an_execve_that_fails_moves_no_charges)
{
	struct file_mapped *mapped = shared_memory(sizeof(*mapped));

	need_mock();
	*mapped = (struct file_mapped){.fd = iommu(), .file = new_file(4 * PAGE), .charged = -1};
	mapped->ioas = new_ioas(mapped->fd);
	new_mock(mapped->fd, mapped->ioas, 0);
	start_child(fail_to_execute, mapped);
	await_another();
	EXPECT(0, mapped->got);
	EXPECT_EQUAL(4 * PAGE / KIB, mapped->charged);
}

/* ---- memory of processes that ended ---- */

static void map_in_child(int fd, u32 ioas, bool *mapped, const bool *go)
{
	char *buffer = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	buffer[0] = 1;
	*mapped = map_at(fd, ioas, buffer, PAGE, MOCK_FIRST) == 0;
	while (!*(volatile const bool *)go)
		usleep(1000);
	_exit(0);
}

TEST(memory_of_a_process_that_ended_cannot_be_pinned_any_more)
{
	bool *shared = shared_memory(PAGE);
	int fd = iommu(), status;
	u32 without = new_ioas(fd), with = new_ioas(fd);
	struct mock mock;
	pid_t child;

	need_mock();
	new_mock(fd, with, 0);
	for (int i = 0; i < 2; i++) {
		shared[2] = false;
		child = fork();
		if (child == 0)
			map_in_child(fd, i ? with : without, &shared[i], &shared[2]);
		while (!((volatile bool *)shared)[i])
			usleep(1000);
		shared[2] = true;
		EXPECT_TRUE(waitpid(child, &status, 0) == child && status == 0);
	}
	EXPECT(-EFAULT, try_mock(fd, without, 0, &mock));
	WORKS(alloc_hwpt(fd, new_mock(fd, with, 0).idev, with, 0)); /* it is pinned already */
	EXPECT(0, copy_at(fd, with, MOCK_FIRST + MIB, with, MOCK_FIRST, PAGE));
}

TEST(memory_of_another_process_is_pinned_while_it_lives)
{
	bool *shared = shared_memory(PAGE);
	int fd = iommu(), status;
	u32 ioas = new_ioas(fd);
	struct mock mock;
	pid_t child;

	need_mock();
	child = fork();
	if (child == 0)
		map_in_child(fd, ioas, &shared[0], &shared[1]);
	while (!((volatile bool *)shared)[0])
		usleep(1000);
	EXPECT(0, try_mock(fd, ioas, 0, &mock));
	EXPECT(0, destroy(fd, mock.stdev));
	shared[1] = true;
	EXPECT_TRUE(waitpid(child, &status, 0) == child && status == 0);
	EXPECT(-EFAULT, try_mock(fd, ioas, 0, &mock));
}

SUITE(option, CASE(options_are_refused_in_this_order), CASE(only_the_value_of_an_option_is_answered),
      CASE(the_mode_of_accounting_can_be_set_before_there_are_objects),
      CASE(setting_the_mode_takes_a_capability_before_all_else), CASE(huge_pages_are_on_until_they_are_switched_off),
      CASE(huge_pages_cannot_be_switched_off_over_odd_areas), CASE(huge_pages_cannot_be_switched_off_under_a_device),
      CASE(the_user_pays_for_what_is_pinned), CASE(or_the_process_pays), CASE(who_may_lock_memory_is_not_limited),
      CASE(the_limit_is_met_when_a_device_attaches), CASE(files_only_change_the_process),
      CASE_OUTSIDE(a_child_takes_the_charges_over), CASE_OUTSIDE(an_execve_that_fails_moves_no_charges),
      CASE_OUTSIDE(memory_of_a_process_that_ended_cannot_be_pinned_any_more),
      CASE_OUTSIDE(memory_of_another_process_is_pinned_while_it_lives));
