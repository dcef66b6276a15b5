/* SPDX-License-Identifier: MIT */
/* Precise pages in a program that has the machine inside: its own loads and stores, carried out in a signal handler. */
#include "isolde/isolde.h"

#include "tests/fixtures/told.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/journal.h"
#include "dev/probe.h"
#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "machine/api.h"

#define BDF    "0000:00:05.0"
#define CONFIG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)

struct fixture {
	struct isolde_machine *machine;
	struct isolde_why why;
	struct why expected;
	int iommufd, device;
	volatile u8 *bar;
};

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call) ASSERT_OK(f->expected, told(f, call))

/* In each test itself: cmocka puts handlers of its own in place just before it. */
static struct fixture *open_room(void)
{
	static const char *const binds[] = {"vfio-pci=" BDF, NULL};
	struct isolde_machine_options options = {
		.size = sizeof(options), .machine = TESTS_DATA "/machines/precise.yaml", .binds = binds};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct fixture *f = calloc(1, sizeof(*f));
	void *bar = NULL;

	OK(isolde_machine_new(&options, &f->machine, &f->why));
	f->iommufd = (int)OK(isolde_open(f->machine, "/dev/iommu", O_RDWR, &f->why));
	f->device = (int)OK(isolde_open(f->machine, "/dev/vfio/devices/vfio0", O_RDWR, &f->why));
	bind.iommufd = f->iommufd;
	OK(isolde_ioctl(f->machine, f->device, VFIO_DEVICE_BIND_IOMMUFD, &bind, &f->why));
	OK(isolde_mmap(f->machine, f->device, PROBE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &bar, &f->why));
	f->bar = bar;
	return f;
}

static void close_room(struct fixture *f)
{
	munmap((void *)f->bar, PROBE_BAR_SIZE);
	isolde_close(f->machine, f->device);
	isolde_close(f->machine, f->iommufd);
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
	free(f);
}

/* Registers are no memory: who comes first is the device's to say. */
#define REGISTERS __attribute__((no_sanitize("thread"), noinline))

REGISTERS static u64 get(const struct fixture *f, unsigned offset)
{
	return *(volatile u64 *)(f->bar + offset);
}

REGISTERS static void put(const struct fixture *f, unsigned offset, u64 value)
{
	*(volatile u64 *)(f->bar + offset) = value;
}

static void decode_memory(struct fixture *f, bool on)
{
	u16 command = on ? 2 : 0;

	OK(isolde_pwrite(f->machine, f->device, &command, sizeof(command), CONFIG + 4, &f->why));
}

static struct why last_refusal(const struct fixture *f)
{
	struct journal *journal = &f->machine->machine->journal;
	struct journal_entry entry;

	assert_true(journal_read(journal, journal_last_serial(journal), &entry));
	return entry.why;
}

/* The program's own handler, which was there before ours. */
static sigjmp_buf jump;
static siginfo_t last;

static void on_fault(int number, siginfo_t *info, void *context)
{
	last = *info;
	siglongjmp(jump, 1);
}

static void on_number(int number)
{
	_exit(2);
}

static void catch_faults(void)
{
	static const int signals[] = {SIGBUS, SIGSEGV, SIGILL};
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

#define EXPECT_SIGNAL(number, code, address, statement)                                                                \
	do {                                                                                                           \
		if (sigsetjmp(jump, 1) == 0) {                                                                         \
			statement;                                                                                     \
			fail_msg("no signal: %s", #statement);                                                         \
		}                                                                                                      \
		assert_int_equal(last.si_signo, number);                                                               \
		assert_int_equal(last.si_code, code);                                                                  \
		assert_ptr_equal(last.si_addr, address);                                                               \
	} while (0)

TEST(precise, each_access_reaches_the_model_once)
{
	struct fixture *f = open_room();

	assert_int_equal(get(f, PROBE_LOADS), 0);
	assert_int_equal(get(f, PROBE_LOADS), 1);
	put(f, PROBE_EVENTS, 5);
	put(f, PROBE_EVENTS, 7);
	assert_int_equal(get(f, PROBE_EVENTS), 12);
	assert_int_equal(get(f, PROBE_EVENTS), 0);
	for (unsigned width = 1; width <= 8; width *= 2) {
		u64 loads = get(f, PROBE_LOADS);

		switch (width) {
		case 1:
			*(volatile u8 *)(f->bar + PROBE_SCRATCH) = 1;
			break;
		case 2:
			*(volatile u16 *)(f->bar + PROBE_SCRATCH) = 2;
			break;
		case 4:
			*(volatile u32 *)(f->bar + PROBE_SCRATCH) = 4;
			break;
		default:
			put(f, PROBE_SCRATCH, 8);
			break;
		}
		assert_int_equal(get(f, PROBE_WIDTH), width);
		assert_int_equal(get(f, PROBE_SCRATCH), width);
		assert_int_equal(get(f, PROBE_LOADS), loads + 3);
	}
	assert_int_equal(get(f, PROBE_STORES), 6);
	/* The page between them is memory. */
	put(f, PROBE_POLLED + 8, 99);
	assert_int_equal(get(f, PROBE_POLLED + 8), 99);
	assert_int_equal(get(f, PROBE_STORES), 6);
	close_room(f);
}

TEST(precise, a_portal_takes_64_bytes_as_one)
{
	u8 command[64] __attribute__((aligned(64)));
	struct fixture *f = open_room();

	for (unsigned i = 0; i < sizeof(command); i++)
		command[i] = (u8)(3 * i);
	/* movdir64b (%rdx), %rax */
	__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02" ::"a"(f->bar + PROBE_PORTAL), "d"(command) : "memory");
	assert_int_equal(get(f, PROBE_COMMANDS), 1);
	assert_int_equal(get(f, PROBE_WIDTH), 64);
	assert_int_equal(get(f, PROBE_LAST + 56), get_u64(command + 56));
	close_room(f);
}

TEST(precise, vector_registers_are_those_of_the_program)
{
	u8 from[16], to[16];
	struct fixture *f = open_room();

	for (unsigned i = 0; i < sizeof(from); i++)
		from[i] = (u8)(0xf0 - i);
	__asm__ volatile("movdqu %0, %%xmm9\n\tmovdqu %%xmm9, (%1)" ::"m"(from), "r"(f->bar + PROBE_MEMORY + 16)
			 : "xmm9", "memory");
	assert_int_equal(get(f, PROBE_WIDTH), 16);
	__asm__ volatile("movdqu (%1), %%xmm12\n\tmovdqu %%xmm12, %0"
			 : "=m"(to)
			 : "r"(f->bar + PROBE_MEMORY + 16)
			 : "xmm12");
	assert_memory_equal(from, to, sizeof(from));
	close_room(f);
}

static void *hammer(void *argument)
{
	const struct fixture *f = argument;

	for (unsigned i = 0; i < 5000; i++)
		put(f, PROBE_EVENTS, 1);
	return NULL;
}

static const struct fixture *ticking;
static atomic_uint ticks;

static void on_tick(int number)
{
	atomic_fetch_add(&ticks, 1);
	put(ticking, PROBE_EVENTS, 1);
}

TEST(precise, threads_and_handlers_of_signals_lose_nothing)
{
	struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
	struct fixture *f = open_room();
	pthread_t threads[4];

	ticking = f;
	signal(SIGALRM, on_tick);
	/* ThreadSanitizer calls handlers when it likes, whatever is blocked: in the middle of ours, too. */
	if (!UNDER_TSAN)
		setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, f), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
	assert_int_equal(get(f, PROBE_EVENTS), 4 * 5000 + atomic_load(&ticks));
	close_room(f);
}

TEST(precise, errno_and_the_mask_of_signals_are_left_alone)
{
	struct fixture *f = open_room();
	sigset_t before, after; /* of which the host writes 64 bits */

	sigprocmask(SIG_BLOCK, NULL, &before);
	errno = 4711;
	put(f, PROBE_SCRATCH, 1);
	assert_int_equal(errno, 4711);
	sigprocmask(SIG_BLOCK, NULL, &after);
	assert_memory_equal(&before, &after, 8);
	close_room(f);
}

static void set_feature(struct fixture *f, u32 id)
{
	struct vfio_device_feature feature = {sizeof(feature), VFIO_DEVICE_FEATURE_SET | id};

	OK(isolde_ioctl(f->machine, f->device, VFIO_DEVICE_FEATURE, &feature, &f->why));
}

TEST(precise, without_memory_the_program_gets_its_signal)
{
	struct fixture *f;

	catch_faults();
	f = open_room();
	put(f, PROBE_SCRATCH, 7);
	decode_memory(f, false);
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, f->bar + PROBE_SCRATCH, get(f, PROBE_SCRATCH));
	{
		struct why why = last_refusal(f);

		EXPECT_REFUSED(MEMORY_DISABLED, why, (why = last_refusal(f), -why.err));
		EXPECT_SUBSTR(BDF, why.text);
	}
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, f->bar + PROBE_MEMORY, put(f, PROBE_MEMORY, 1));
	decode_memory(f, true);
	assert_int_equal(get(f, PROBE_SCRATCH), 7);
	/* Low power is the same, for the polled page, too. */
	set_feature(f, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, f->bar + PROBE_SCRATCH, get(f, PROBE_SCRATCH));
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, f->bar + PROBE_MEMORY, put(f, PROBE_MEMORY, 1));
	set_feature(f, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	assert_int_equal(get(f, PROBE_SCRATCH), 7);
	put(f, PROBE_MEMORY, 1);
	close_room(f);
}

static void movdir64b(volatile u8 *portal, const u8 command[64])
{
	/* movdir64b (%rdx), %rax */
	__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02" ::"a"(portal), "d"(command) : "memory");
}

/* Also where this processor does not know the instruction, and so says nothing of a page. */
TEST(precise, a_portal_that_cannot_be_reached_is_a_fault_of_memory)
{
	u8 command[64] __attribute__((aligned(64))) = {0};
	volatile u8 *portal;
	struct fixture *f;

	catch_faults();
	f = open_room();
	portal = f->bar + PROBE_PORTAL;
	decode_memory(f, false);
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, portal, movdir64b(portal, command));
	decode_memory(f, true);
	assert_int_equal(mprotect((void *)portal, PAGE_SIZE, PROT_READ), 0);
	EXPECT_SIGNAL(SIGSEGV, SEGV_ACCERR, portal, movdir64b(portal, command));
	assert_int_equal(mprotect((void *)portal, PAGE_SIZE, PROT_NONE), 0);
	EXPECT_SIGNAL(SIGSEGV, SEGV_ACCERR, portal, movdir64b(portal, command));
	assert_int_equal(get(f, PROBE_COMMANDS), 0);
	assert_int_equal(mprotect((void *)portal, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	movdir64b(portal, command);
	assert_int_equal(get(f, PROBE_COMMANDS), 1);
	close_room(f);
}

static void enqcmd(volatile u8 *portal, const u8 command[64])
{
	/* enqcmd (%rdx), %rax */
	__asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02" ::"a"(portal), "d"(command) : "memory", "cc");
}

/* Of a program without handlers: the signal that is left ends it, not the one that came, and at once. */
static int end_of_a_program(bool blocked)
{
	u8 command[64] __attribute__((aligned(64))) = {0};
	struct fixture *f;
	sigset_t all;
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(100);
		signal(SIGBUS, SIG_DFL);
		signal(SIGSEGV, blocked ? on_number : SIG_DFL);
		signal(SIGILL, SIG_DFL);
		f = open_room();
		sigemptyset(&all);
		sigaddset(&all, SIGSEGV);
		sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &all, NULL);
		enqcmd(f->bar + PROBE_PORTAL, command);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

TEST(precise, a_signal_in_place_of_another_ends_who_has_no_handler)
{
	int status = end_of_a_program(false);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	status = end_of_a_program(true);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* As a fault of the program's own would be: the instruction where it came touches no register. */
TEST(precise, a_fault_of_another_instruction_goes_to_the_program)
{
	static const int signals[] = {SIGILL, SIGSEGV};
	siginfo_t info = {.si_code = ILL_ILLOPN};
	struct fixture *f;

	catch_faults();
	f = open_room();
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) {
		info.si_signo = signals[i];
		info.si_code = signals[i] == SIGILL ? ILL_ILLOPN : SI_KERNEL;
		EXPECT_SIGNAL(signals[i], info.si_code, NULL,
			      syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signals[i], &info));
	}
	close_room(f);
}

TEST(precise, what_is_not_ours_goes_to_the_program)
{
	u8 command[64] __attribute__((aligned(64))) = {0};
	int fd = memfd_create("short", MFD_CLOEXEC);
	volatile u8 *lost = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct fixture *f;

	catch_faults();
	f = open_room();
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, lost + 5, lost[5] = 1);
	EXPECT_SIGNAL(SIGILL, ILL_ILLOPN, last.si_addr, __asm__ volatile("ud2"));
	/* enqcmd (%rdx), %rax: nobody has given this process a PASID. */
	EXPECT_SIGNAL(SIGSEGV, SI_KERNEL, NULL,
		      __asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02" ::"a"(f->bar + PROBE_PORTAL), "d"(command)
				       : "memory", "cc"));
	assert_int_equal(get(f, PROBE_ACCEPTED) + get(f, PROBE_REFUSED), 0);
	munmap((void *)lost, PAGE_SIZE);
	close(fd);
	close_room(f);
}

TEST(precise, an_instruction_that_no_register_takes_is_told_by_name)
{
	struct fixture *f;
	struct why why;

	catch_faults();
	f = open_room();
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, last.si_addr,
		      __asm__ volatile("fxsave (%0)" ::"r"(f->bar + PROBE_MEMORY)
				       : "memory"));
	EXPECT_REFUSED(PAGE_INSTRUCTION, why, (why = last_refusal(f), -why.err));
	EXPECT_SUBSTR("fxsave", why.text);
	EXPECT_SUBSTR("0f ae", why.text);
	close_room(f);
}

/* A handler of the program may interrupt a call of ours; its access cannot wait for us. */
TEST(precise, an_access_from_inside_a_call_is_refused)
{
	struct fixture *f;
	struct why why;

	catch_faults();
	f = open_room();
	mutex_lock(&f->machine->machine->lock);
	EXPECT_SIGNAL(SIGBUS, BUS_ADRERR, f->bar + PROBE_ID, get(f, PROBE_ID));
	mutex_unlock(&f->machine->machine->lock);
	EXPECT_REFUSED(PAGE_IN_CALL, why, (why = last_refusal(f), -why.err));
	close_room(f);
}

/* Our own copies of the program's memory meet registers like any memory that is not there. */
TEST(precise, arguments_of_a_call_do_not_lie_in_registers)
{
	struct fixture *f = open_room();

	EXPECT_REFUSED(CLIENT_FAULT, f->expected,
		       told(f, isolde_ioctl(f->machine, f->device, VFIO_DEVICE_GET_INFO,
					    (void *)(uintptr_t)(f->bar + PROBE_MEMORY), &f->why)));
	assert_int_equal(get(f, PROBE_LOADS), 0);
	close_room(f);
}

TEST(precise, a_mapping_is_what_mmap_says_it_is)
{
	struct fixture *f = open_room();
	volatile u64 *page;
	void *mapped = NULL;

	put(f, PROBE_SCRATCH, 42);
	OK(isolde_mmap(f->machine, f->device, PROBE_BAR_SIZE, PROT_READ, MAP_SHARED, 0, &mapped, &f->why));
	page = mremap(mapped, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	assert_ptr_not_equal((void *)page, mapped);
	assert_int_equal(page[PROBE_SCRATCH / 8], 42);
	assert_int_equal(mprotect((void *)page, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	page[PROBE_SCRATCH / 8] = 43;
	assert_int_equal(get(f, PROBE_SCRATCH), 43);
	munmap((void *)page, PAGE_SIZE);
	munmap((u8 *)mapped + PAGE_SIZE, PROBE_BAR_SIZE - PAGE_SIZE);
	close_room(f);
}

TEST(precise, two_machines_do_not_mix)
{
	struct fixture *f = open_room(), *other = open_room();

	put(f, PROBE_SCRATCH, 1);
	put(other, PROBE_SCRATCH, 2);
	assert_int_equal(get(f, PROBE_SCRATCH), 1);
	assert_int_equal(get(other, PROBE_SCRATCH), 2);
	close_room(other);
	assert_int_equal(get(f, PROBE_SCRATCH), 1);
	close_room(f);
}

static struct fixture *mapping_room;

/* A mapping that failed half way is gone, and nobody is told where it was. */
static int map_once(struct why *why)
{
	struct fixture *f = mapping_room;
	void *mapped = MAP_FAILED;
	long ret = told(f,
			isolde_mmap(f->machine, f->device, PROBE_BAR_SIZE, PROT_READ, MAP_SHARED, 0, &mapped, &f->why));

	*why = f->expected;
	if (ret < 0)
		assert_ptr_equal(mapped, MAP_FAILED);
	else
		munmap(mapped, PROBE_BAR_SIZE);
	return (int)ret;
}

TEST(precise, a_mapping_can_fail_anywhere)
{
	mapping_room = open_room();
	SWEEP_FAILURES(map_once);
	close_room(mapping_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(precise, each_access_reaches_the_model_once),
		CASE(precise, a_portal_takes_64_bytes_as_one),
		CASE(precise, vector_registers_are_those_of_the_program),
		CASE(precise, threads_and_handlers_of_signals_lose_nothing),
		CASE(precise, errno_and_the_mask_of_signals_are_left_alone),
		CASE(precise, arguments_of_a_call_do_not_lie_in_registers),
		CASE(precise, a_mapping_is_what_mmap_says_it_is),
		CASE(precise, two_machines_do_not_mix),
		CASE(precise, without_memory_the_program_gets_its_signal),
		CASE(precise, a_portal_that_cannot_be_reached_is_a_fault_of_memory),
		CASE(precise, a_signal_in_place_of_another_ends_who_has_no_handler),
		CASE(precise, a_fault_of_another_instruction_goes_to_the_program),
		CASE(precise, what_is_not_ours_goes_to_the_program),
		CASE(precise, an_instruction_that_no_register_takes_is_told_by_name),
		CASE(precise, an_access_from_inside_a_call_is_refused),
		CASE(precise, a_mapping_can_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
