/* SPDX-License-Identifier: MIT */
/* OPTION, accounting, CHANGE_PROCESS (spec 03 sections 3.9 to 3.11). */
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

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

/* ---- capabilities of this process: effective ones go and come back ---- */

static bool has_capability(unsigned capability)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	EXPECT_EQUAL(0, syscall(SYS_capget, &header, data));
	return data[capability / 32].effective & 1u << capability % 32;
}

static void set_capability(unsigned capability, bool on)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	u32 bit = 1u << capability % 32;

	EXPECT_EQUAL(0, syscall(SYS_capget, &header, data));
	if (on)
		data[capability / 32].effective |= bit & data[capability / 32].permitted;
	else
		data[capability / 32].effective &= ~bit;
	EXPECT_EQUAL(0, syscall(SYS_capset, &header, data));
}

/* ---- options ---- */

TEST(options_are_refused_in_this_order)
{
	int fd = iommu();
	u32 ioas = ioas_new(fd);

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

TEST(the_mode_of_accounting_can_be_set_before_there_are_objects)
{
	int fd = iommu();

	EXPECT_EQUAL(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0));
	if (!has_capability(CAP_SYS_RESOURCE))
		skip("no CAP_SYS_RESOURCE");
	EXPECT(-EINVAL, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 2));
	EXPECT(0, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 1));
	EXPECT_EQUAL(1, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0));
	EXPECT(0, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 0));
	EXPECT_EQUAL(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0));
	ioas_new(fd);
	EXPECT(-EBUSY, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 2));
	EXPECT(-EBUSY, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 0));
	EXPECT(0, destroy(fd, 1));
	EXPECT(0, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 1));
}

TEST(setting_the_mode_takes_a_capability_before_all_else)
{
	int fd = iommu();
	bool had = has_capability(CAP_SYS_RESOURCE);
	answer got, asked;

	ioas_new(fd);
	set_capability(CAP_SYS_RESOURCE, false);
	got = option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 2);
	asked = option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, 0);
	set_capability(CAP_SYS_RESOURCE, had);
	EXPECT(-EPERM, got);
	EXPECT(0, asked);
}

TEST(huge_pages_are_on_until_they_are_switched_off)
{
	int fd = iommu();
	u32 ioas = ioas_new(fd);

	EXPECT_EQUAL(1, option_get(fd, IOMMU_OPTION_HUGE_PAGES, ioas));
	EXPECT_EQUAL(1, alignment(fd, ioas));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
	EXPECT_EQUAL(0, option_get(fd, IOMMU_OPTION_HUGE_PAGES, ioas));
	EXPECT_EQUAL(PAGE, alignment(fd, ioas));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 1));
	EXPECT_EQUAL(1, alignment(fd, ioas));
}

TEST(huge_pages_cannot_be_switched_off_over_odd_areas)
{
	char *buffer = memory(2 * PAGE);
	int fd = iommu();
	u32 ioas = ioas_new(fd);

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
	u32 ioas = ioas_new(fd);

	need_mock();
	mock_new(fd, ioas, 0);
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0)); /* nothing is mapped */
	EXPECT_EQUAL(PAGE, alignment(fd, ioas));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, MOCK_FIRST));
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0)); /* they are off */
	EXPECT(0, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 1));
	EXPECT_EQUAL(MOCK_PAGE, alignment(fd, ioas));
	EXPECT(-EINVAL, option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, 0));
}

/* ---- who pays ---- */

enum { LIMITED_PAGES = 8 };

struct limited {
	struct rlimit before;
	bool lock, resource;
};

/* RLIMIT_MEMLOCK of a few pages, and no capability that lifts it. */
static struct limited limit_memory(void)
{
	struct limited limited = {.lock = has_capability(CAP_IPC_LOCK), .resource = has_capability(CAP_SYS_RESOURCE)};
	struct rlimit limit;

	EXPECT_EQUAL(0, getrlimit(RLIMIT_MEMLOCK, &limited.before));
	limit = limited.before;
	limit.rlim_cur = LIMITED_PAGES * PAGE;
	EXPECT_EQUAL(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	set_capability(CAP_IPC_LOCK, false);
	return limited;
}

static void unlimit_memory(const struct limited *limited)
{
	set_capability(CAP_IPC_LOCK, limited->lock);
	setrlimit(RLIMIT_MEMLOCK, &limited->before);
}

/* What the tests below do while they are limited; the answers are looked at afterwards. */
struct charged {
	answer fits, exceeds, copy, more, again;
	long pinned[4], locked[4]; /* KiB: before, with the first mapping, with its copy, after */
};

static void note_charges(struct charged *charged, unsigned i)
{
	charged->pinned[i] = conform_pinned_kib();
	charged->locked[i] = conform_locked_kib();
}

static struct charged charge(int fd, u32 ioas)
{
	char *buffer = memory(4 * LIMITED_PAGES * PAGE);
	struct charged charged;
	struct limited limited = limit_memory();

	note_charges(&charged, 0);
	charged.exceeds = map_at(fd, ioas, buffer, (LIMITED_PAGES + 1) * PAGE, MOCK_FIRST);
	charged.fits = map_at(fd, ioas, buffer, (LIMITED_PAGES - 1) * PAGE, MOCK_FIRST);
	note_charges(&charged, 1);
	charged.copy = copy_at(fd, ioas, MOCK_FIRST + MIB, ioas, MOCK_FIRST, (LIMITED_PAGES - 1) * PAGE);
	note_charges(&charged, 2);
	charged.more = map_at(fd, ioas, buffer + LIMITED_PAGES * PAGE, 2 * PAGE, MOCK_FIRST + 2 * MIB);
	unmap(fd, ioas, 0, TOP);
	note_charges(&charged, 3);
	charged.again = map_at(fd, ioas, buffer, LIMITED_PAGES * PAGE, MOCK_FIRST);
	unlimit_memory(&limited);
	return charged;
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
	struct charged charged;
	int fd = iommu();
	u32 ioas = ioas_new(fd);

	need_mock();
	mock_new(fd, ioas, 0);
	charged = charge(fd, ioas);
	check_charges(&charged, false);
}

TEST(or_the_process_pays)
{
	struct charged charged;
	int fd = iommu();
	u32 ioas;

	need_mock();
	if (!has_capability(CAP_SYS_RESOURCE))
		skip("no CAP_SYS_RESOURCE");
	EXPECT(0, option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 1));
	ioas = ioas_new(fd);
	mock_new(fd, ioas, 0);
	charged = charge(fd, ioas);
	check_charges(&charged, true);
}

TEST(who_may_lock_memory_is_not_limited)
{
	char *buffer = memory(4 * LIMITED_PAGES * PAGE);
	struct limited limited;
	int fd = iommu();
	u32 ioas = ioas_new(fd);
	answer got;
	long before, after;

	need_mock();
	if (!has_capability(CAP_IPC_LOCK))
		skip("no CAP_IPC_LOCK");
	mock_new(fd, ioas, 0);
	limited = limit_memory();
	set_capability(CAP_IPC_LOCK, true);
	before = conform_pinned_kib();
	got = map_at(fd, ioas, buffer, 4 * LIMITED_PAGES * PAGE, MOCK_FIRST);
	after = conform_pinned_kib();
	unlimit_memory(&limited);
	EXPECT(0, got);
	if (before >= 0)
		EXPECT_EQUAL(before + 4 * LIMITED_PAGES * (long)PAGE / 1024, after);
}

/* Whoever mapped while it might lock memory is not limited later; whoever mapped without is, when a device attaches. */
TEST(the_limit_is_met_when_a_device_attaches)
{
	char *buffer = memory(2 * LIMITED_PAGES * PAGE);
	struct limited limited;
	int fd = iommu();
	u32 ioas = ioas_new(fd);
	answer mapped, attached;
	struct mock mock;

	need_mock();
	limited = limit_memory();
	mapped = map_at(fd, ioas, buffer, 2 * LIMITED_PAGES * PAGE, MOCK_FIRST);
	attached = mock_try(fd, ioas, 0, &mock);
	unlimit_memory(&limited);
	EXPECT(0, mapped);
	EXPECT(-ENOMEM, attached);
	EXPECT(0, mock_refs(fd, buffer, 2 * LIMITED_PAGES * PAGE, 0));
	EXPECT_EQUAL(1, alignment(fd, ioas));
}

/* ---- CHANGE_PROCESS ---- */

static answer change_process(int fd, u32 reserved)
{
	return ASK(fd, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, .__reserved = reserved);
}

TEST(files_only_change_the_process)
{
	char *buffer = memory(PAGE);
	int fd = iommu(), file = memory_file(4 * PAGE);
	u32 ioas = ioas_new(fd), other = ioas_new(fd);

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

TEST(a_child_takes_the_charges_over)
{
	int fd = iommu(), file = memory_file(4 * PAGE), status;
	u32 ioas = ioas_new(fd);
	answer got;
	long before;
	bool lock;
	pid_t child;

	need_mock();
	mock_new(fd, ioas, 0);
	before = conform_pinned_kib();
	lock = has_capability(CAP_IPC_LOCK);
	set_capability(CAP_IPC_LOCK, false); /* who may lock memory pays nothing that could be taken over */
	got = map_file_at(fd, ioas, file, 0, 4 * PAGE, MOCK_FIRST);
	set_capability(CAP_IPC_LOCK, lock);
	EXPECT(0, got);
	EXPECT_EQUAL(before + 4 * (long)PAGE / 1024, conform_pinned_kib());
	child = fork();
	if (child == 0)
		take_over(fd);
	EXPECT_TRUE(child > 0 && waitpid(child, &status, 0) == child);
	EXPECT_EQUAL(0, status);
	EXPECT_EQUAL(before, conform_pinned_kib());
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
	u32 without = ioas_new(fd), with = ioas_new(fd);
	struct mock mock;
	pid_t child;

	need_mock();
	mock_new(fd, with, 0);
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
	EXPECT(-EFAULT, mock_try(fd, without, 0, &mock));
	WORKS(hwpt_alloc(fd, mock_new(fd, with, 0).idev, with, 0)); /* it is pinned already */
	EXPECT(0, copy_at(fd, with, MOCK_FIRST + MIB, with, MOCK_FIRST, PAGE));
}

SUITE(option, CASE(options_are_refused_in_this_order), CASE(only_the_value_of_an_option_is_answered),
      CASE(the_mode_of_accounting_can_be_set_before_there_are_objects),
      CASE(setting_the_mode_takes_a_capability_before_all_else), CASE(huge_pages_are_on_until_they_are_switched_off),
      CASE(huge_pages_cannot_be_switched_off_over_odd_areas), CASE(huge_pages_cannot_be_switched_off_under_a_device),
      CASE(the_user_pays_for_what_is_pinned), CASE(or_the_process_pays), CASE(who_may_lock_memory_is_not_limited),
      CASE(the_limit_is_met_when_a_device_attaches), CASE(files_only_change_the_process),
      CASE_PROCESSES(a_child_takes_the_charges_over),
      CASE_PROCESSES(memory_of_a_process_that_ended_cannot_be_pinned_any_more));
