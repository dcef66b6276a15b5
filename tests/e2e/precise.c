/* SPDX-License-Identifier: MIT */
/*
 * A program with mapped registers whose every access counts: the model "probe" (docs/machine-file.md). It does what
 * programs do beside that: threads, signals, children, stops, its own handlers, games with its mappings. Static, so
 * that nothing is hidden in it. It knows nothing of isolde.
 *
 *	precise BDF STORY...	prints "STORY: ok" for each, exits 1 at what is not as on hardware
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

enum {
	ID = 0x00,
	SCRATCH = 0x08,
	EVENTS = 0x10,
	LOADS = 0x18,
	STORES = 0x20,
	WIDTH = 0x28,
	COMMANDS = 0x38,
	ACCEPTED = 0x40,
	REFUSED = 0x48,
	RETRY = 0x50,
	LAST = 0x80,
	POLLED = 0x1000,
	PORTAL = 0x2000,
	MEMORY = 0x3000,
	BAR_SIZE = 0x4000,
};

static int device;
static volatile uint8_t *bar;
static const char *self, *bdf;
static uint64_t config_offset;

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "precise: line %d: %s (errno %d)\n", __LINE__, #condition, errno);             \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

static uint64_t get(unsigned offset)
{
	return *(volatile uint64_t *)(bar + offset);
}

static void put(unsigned offset, uint64_t value)
{
	*(volatile uint64_t *)(bar + offset) = value;
}

static void *map_bar(void)
{
	return mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
}

static void open_device(void)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX};
	char path[96], link[256] = "";
	int container = open("/dev/vfio/vfio", O_RDWR), group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0);
	snprintf(path, sizeof(path), "/dev/vfio/%.60s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR);
	CHECK(container >= 0 && group >= 0);
	CHECK(ioctl(group, VFIO_GROUP_GET_STATUS, &status) == 0);
	CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
	CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	CHECK(device >= 0);
	CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0);
	config_offset = info.offset;
	bar = map_bar();
	CHECK(bar != MAP_FAILED);
}

static void decode_memory(bool on)
{
	uint16_t command = on ? 2 : 0;

	CHECK(pwrite(device, &command, 2, (off_t)(config_offset + 4)) == 2);
}

/* What waits for the tracer: a process without one has a zero here. */
static int tracer_of(pid_t pid)
{
	char path[40], line[128];
	int tracer = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	if (status)
		fclose(status);
	return tracer;
}

/* ---- every access arrives, once ---- */

static void widths(void)
{
	uint64_t loads, stores;

	CHECK(*(volatile uint32_t *)(bar + ID) == 0x626f7270);
	CHECK(get(LOADS) == 1);
	CHECK(get(LOADS) == 2);
	loads = get(LOADS);
	stores = get(STORES);
	CHECK(get(LOADS) == loads + 2 && stores == 0);
	put(SCRATCH, 0x1122334455667788);
	CHECK(get(WIDTH) == 8);
	CHECK(get(SCRATCH) == 0x1122334455667788);
	*(volatile uint8_t *)(bar + SCRATCH) = 0xaa;
	CHECK(get(WIDTH) == 1);
	*(volatile uint16_t *)(bar + SCRATCH) = 0xbbcc;
	CHECK(get(WIDTH) == 2);
	*(volatile uint32_t *)(bar + SCRATCH) = 0xddeeff00;
	CHECK(get(WIDTH) == 4);
	CHECK(get(SCRATCH) == 0x11223344ddeeff00);
	CHECK(get(STORES) == 4);
	/* A load has an effect. */
	put(EVENTS, 5);
	put(EVENTS, 7);
	CHECK(get(EVENTS) == 12);
	CHECK(get(EVENTS) == 0);
	/* The page between is plain memory. */
	for (unsigned i = 0; i < 4096; i += 8)
		put(POLLED + i, i);
	CHECK(get(POLLED + 4088) == 4088);
	CHECK(get(STORES) == 6);
}

static void vectors(void)
{
	uint8_t bytes[64] __attribute__((aligned(64))), back[64];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	__asm__ volatile("movdqa %1, %%xmm5\n\tmovdqa %%xmm5, %0"
			 : "=m"(*(char(*)[16])(bar + MEMORY))
			 : "m"(bytes)
			 : "xmm5");
	CHECK(get(WIDTH) == 16);
	memcpy(back, (const void *)(bar + MEMORY), 8); /* as the compiler likes it */
	CHECK(memcmp(back, bytes, 8) == 0);
	__asm__ volatile("movdqu %1, %%xmm6\n\tmovdqu %%xmm6, %0"
			 : "=m"(back)
			 : "m"(*(char(*)[16])(bar + MEMORY))
			 : "xmm6");
	CHECK(memcmp(back, bytes, 16) == 0);
	/* Strings: words of 8 bytes from memory, bytes back. */
	{
		void *to = (void *)(bar + MEMORY + 64), *from = bytes;
		unsigned long count = 8;

		__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		CHECK(count == 0 && get(WIDTH) == 8);
		to = back;
		from = (void *)(bar + MEMORY + 64);
		count = 64;
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		CHECK(memcmp(back, bytes, 64) == 0);
	}
}

/* One function of the C library, on a piece of the page that begins anywhere and has any length. */
static void use_library(uint8_t *memory, const uint8_t *pattern, size_t size)
{
	uint8_t back[4096];
	size_t length = strnlen((const char *)pattern, size);

	memset(memory, 0xa5, size);
	CHECK(memory[0] == 0xa5 && memory[size - 1] == 0xa5);
	memcpy(memory, pattern, size);
	memcpy(back, memory, size);
	CHECK(memcmp(back, pattern, size) == 0);
	CHECK(memcmp(memory, pattern, size) == 0);
	memory[size - 1] ^= 1;
	CHECK(memcmp(memory, pattern, size) != 0 && memcmp(pattern, memory, size) != 0);
	memory[size - 1] ^= 1;
	CHECK(strnlen((const char *)memory, size) == length);
	CHECK(memchr(memory, pattern[size / 2], size) ==
	      memory + ((uint8_t *)memchr(pattern, pattern[size / 2], size) - pattern));
	memmove(memory + 1, memory, size - 1);
	CHECK(memcmp(memory + 1, pattern, size - 1) == 0);
}

/* What the C library makes of a register page: the widest vectors of this CPU, and repeated strings. */
static void library(void)
{
	static const uint16_t sizes[] = {1, 2, 7, 16, 31, 33, 64, 100, 129, 255, 700, 2100, 4000};
	uint8_t pattern[4096];

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 167 + 13);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned at = 0; at < 64; at += 21)
			use_library((uint8_t *)(uintptr_t)(bar + MEMORY + at), pattern + at / 3, sizes[i]);
}

static sigjmp_buf jump;
static siginfo_t last;
static atomic_int caught;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	last = *info;
	atomic_fetch_add(&caught, 1);
	siglongjmp(jump, 1);
}

static void catch_faults(bool on)
{
	static const int signals[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE};
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

	action.sa_sigaction = on_fault;
	if (!on) {
		action.sa_flags = 0;
		action.sa_handler = SIG_DFL;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		CHECK(sigaction(signals[i], &action, NULL) == 0);
}

#define EXPECT_FAULT(statement)                                                                                        \
	do {                                                                                                           \
		if (sigsetjmp(jump, 1) == 0) {                                                                         \
			statement;                                                                                     \
			CHECK(false && "no fault");                                                                    \
		}                                                                                                      \
	} while (0)

static void enqcmd(const uint8_t *command)
{
	/* enqcmd (%rdx), %rax */
	__asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02" : : "a"(bar + PORTAL), "d"(command) : "memory", "cc");
}

static void portals(void)
{
	uint8_t command[64] __attribute__((aligned(64)));

	for (unsigned i = 0; i < sizeof(command); i++)
		command[i] = (uint8_t)(i ^ 0x5a);
	for (unsigned i = 0; i < 10; i++)
		/* movdir64b (%[from]), %[to] */
		__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02" : : "a"(bar + PORTAL), "d"(command) : "memory");
	CHECK(get(COMMANDS) == 10);
	CHECK(get(WIDTH) == 64);
	CHECK(get(LAST) == *(uint64_t *)command);
	CHECK(get(LAST + 56) == ((uint64_t *)command)[7]);
	/* movdiri %rcx, (%rax) */
	__asm__ volatile(".byte 0x48, 0x0f, 0x38, 0xf9, 0x08"
			 :
			 : "a"(bar + SCRATCH), "c"(0x0102030405060708ul)
			 : "memory");
	CHECK(get(SCRATCH) == 0x0102030405060708);
	/* This process has no PASID. */
	catch_faults(true);
	EXPECT_FAULT(enqcmd(command));
	CHECK(last.si_signo == SIGSEGV && last.si_code == SI_KERNEL);
	catch_faults(false);
	CHECK(get(ACCEPTED) == 0 && get(REFUSED) == 0);
}

/* The machine file gives each process PASID 5. */
static void pasid(void)
{
	uint64_t command[8] __attribute__((aligned(64))) = {0, 1, 2, 3, 4, 5, 6, 7};
	bool refused;

	put(RETRY, 2);
	for (unsigned i = 0; i < 4; i++) {
		__asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02\n\tsetz %0"
				 : "=q"(refused)
				 : "a"(bar + PORTAL), "d"(command)
				 : "memory", "cc");
		CHECK(refused == (i < 2));
	}
	CHECK(get(ACCEPTED) == 2 && get(REFUSED) == 2);
	CHECK((get(LAST) & 0xfffff) == 5 && get(LAST + 56) == 7);
}

/* ---- signals ---- */

static void handlers(void)
{
	static uint8_t stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	int fd = memfd_create("short", 0);
	volatile int *volatile nowhere = (volatile int *)0x10;
	volatile uint8_t *lost = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(lost != MAP_FAILED && sigaltstack(&alternate, NULL) == 0);
	atomic_store(&caught, 0);
	catch_faults(true);
	for (unsigned i = 0; i < 100; i++) {
		put(SCRATCH, i);
		if (sigsetjmp(jump, 1) == 0)
			lost[0x123] = 1;
		CHECK(last.si_signo == SIGBUS && last.si_code == BUS_ADRERR && last.si_addr == lost + 0x123);
		if (sigsetjmp(jump, 1) == 0)
			*nowhere = 1;
		CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_MAPERR && last.si_addr == (void *)0x10);
		if (sigsetjmp(jump, 1) == 0)
			__asm__ volatile("ud2");
		CHECK(last.si_signo == SIGILL && last.si_code == ILL_ILLOPN);
		if (sigsetjmp(jump, 1) == 0)
			kill(getpid(), SIGBUS);
		CHECK(last.si_signo == SIGBUS && last.si_code == SI_USER && last.si_pid == getpid());
		CHECK(get(SCRATCH) == i);
	}
	CHECK(atomic_load(&caught) == 400);
	/* #GP that is about no register at all. */
	if (sigsetjmp(jump, 1) == 0)
		__asm__ volatile("movaps %%xmm0, 4(%0)" : : "r"(stack) : "memory");
	CHECK(last.si_signo == SIGSEGV);
	catch_faults(false);
	close(fd);
}

static unsigned divide_by_scratch(unsigned low)
{
	unsigned high = 0;

	__asm__ volatile("divl %2" : "+a"(low), "+d"(high) : "m"(*(const unsigned *)(uintptr_t)(bar + SCRATCH)));
	return low;
}

/* A register of zero as a divisor: what the processor would have said. */
static void divide(void)
{
	put(SCRATCH, 0);
	catch_faults(true);
	if (sigsetjmp(jump, 1) == 0)
		divide_by_scratch(1);
	CHECK(last.si_signo == SIGFPE && last.si_code == FPE_INTDIV);
	catch_faults(false);
	put(SCRATCH, 3);
	CHECK(divide_by_scratch(11) == 3);
}

/* Memory switched off is SIGBUS, and the register is there again afterwards. */
static void disabled(void)
{
	put(SCRATCH, 77);
	catch_faults(true);
	decode_memory(false);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_FAULT(get(SCRATCH + 4096 * (i & 1) * 3));
		CHECK(last.si_signo == SIGBUS && last.si_code == BUS_ADRERR);
		CHECK(last.si_addr == bar + SCRATCH + 4096 * (i & 1) * 3);
	}
	decode_memory(true);
	catch_faults(false);
	CHECK(get(SCRATCH) == 77);
}

/* ENQCMD without a PASID comes as SIGILL where the processor does not know it, and is SIGSEGV: it ends who does not
 * want that one. */
static void protected(const sigset_t *all, bool ignored)
{
	uint8_t command[64] __attribute__((aligned(64))) = {0};
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(100);
		CHECK(sigprocmask(SIG_SETMASK, all, NULL) == 0);
		if (ignored)
			signal(SIGSEGV, SIG_IGN);
		enqcmd(command);
		_exit(1);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WTERMSIG(status) == SIGSEGV || (ignored && WTERMSIG(status) == SIGKILL));
}

/* Not even a handler can be called: the access is carried out all the same. */
static void blocked(void)
{
	sigset_t all, before;

	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	protected(&all, false);
	protected(&all, true);
	sigaddset(&all, SIGALRM);
	for (unsigned i = 0; i < 10; i++) {
		CHECK(sigprocmask(SIG_SETMASK, &all, &before) == 0);
		put(SCRATCH, i);
		CHECK(get(SCRATCH) == i);
		CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
		signal(SIGBUS, SIG_IGN);
		put(SCRATCH, 100 + i);
		CHECK(get(SCRATCH) == 100 + i);
		signal(SIGBUS, SIG_DFL);
	}
}

static atomic_int ticks;

static void on_tick(int signal)
{
	int before = errno;

	atomic_fetch_add(&ticks, 1);
	put(EVENTS, 1);
	errno = before;
}

static void *hammer(void *argument)
{
	unsigned rounds = *(unsigned *)argument;

	for (unsigned i = 0; i < rounds; i++) {
		put(EVENTS, 1);
		(void)*(volatile uint32_t *)(bar + ID);
	}
	return NULL;
}

static void timers(bool on)
{
	struct sigaction action = {.sa_handler = on ? on_tick : SIG_IGN, .sa_flags = SA_RESTART};
	struct itimerval real = {{0, on ? 300 : 0}, {0, on ? 300 : 0}}, used = {{0, on ? 1000 : 0}, {0, on ? 1000 : 0}};

	CHECK(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGPROF, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &real, NULL) == 0 && setitimer(ITIMER_PROF, &used, NULL) == 0);
}

/* Threads that were there before the mapping and that come after it, and signals at full rate. */
static void threads(void)
{
	static unsigned rounds = 2000;
	pthread_t thread[8];

	atomic_store(&ticks, 0);
	get(EVENTS);
	timers(true);
	for (unsigned i = 0; i < 8; i++)
		CHECK(pthread_create(&thread[i], NULL, hammer, &rounds) == 0);
	for (unsigned i = 0; i < 8; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	timers(false);
	CHECK(get(EVENTS) == 8 * rounds + (unsigned)atomic_load(&ticks));
	CHECK(atomic_load(&ticks) > 10);
}

static atomic_bool opened;

static void *early(void *argument)
{
	while (!atomic_load(&opened))
		usleep(100);
	for (unsigned i = 0; i < 100; i++)
		put(EVENTS, 1);
	return NULL;
}

/* Mapped when other threads are there already, in a process that is not traced yet: so in a child. */
static void late(void)
{
	pthread_t thread[4];

	CHECK(munmap((void *)bar, BAR_SIZE) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, early, NULL) == 0);
	bar = map_bar();
	CHECK(bar != MAP_FAILED);
	get(EVENTS);
	atomic_store(&opened, true);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(get(EVENTS) == 400);
}

/* ---- processes ---- */

static int await_by_pidfd(pid_t child)
{
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
	int status = -1;

	CHECK(ended.fd >= 0 && poll(&ended, 1, 60000) == 1);
	CHECK(waitpid(child, &status, WNOHANG) == child);
	close(ended.fd);
	return status;
}

static void children(void)
{
	get(EVENTS);
	for (unsigned i = 0; i < 50; i++) {
		pid_t child = fork();

		if (child == 0) {
			put(EVENTS, 3);
			_exit((int)i);
		}
		CHECK(child > 0);
		put(EVENTS, 2);
		CHECK(WEXITSTATUS(await_by_pidfd(child)) == (int)i);
	}
	CHECK(get(EVENTS) == 250);
}

static void programs(void)
{
	char *arguments[] = {(char *)self, (char *)bdf, (char *)"untraced", NULL};
	extern char **environ;

	for (unsigned i = 0; i < 20; i++) {
		pid_t child;
		int status;

		if (i % 2) {
			CHECK(posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0);
		} else {
			child = vfork();
			if (child == 0) {
				execv(self, arguments);
				_exit(2);
			}
		}
		put(SCRATCH, i);
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
		CHECK(get(SCRATCH) == i);
	}
}

static void stops(void)
{
	for (unsigned i = 0; i < 20; i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			for (;;)
				put(EVENTS, 1);
		CHECK(child > 0);
		/* SIGTSTP stops nobody whose process group is an orphan, as that of a test can be. */
		CHECK(setpgid(child, child) == 0);
		while (!get(EVENTS))
			;
		CHECK(kill(child, i % 2 ? SIGTSTP : SIGSTOP) == 0);
		CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
		CHECK(WSTOPSIG(status) == (i % 2 ? SIGTSTP : SIGSTOP));
		get(EVENTS);
		usleep(2000);
		CHECK(get(EVENTS) == 0);
		CHECK(kill(child, SIGCONT) == 0);
		CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
		while (!get(EVENTS))
			;
		CHECK(kill(child, SIGKILL) == 0);
		CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
	}
}

static void kills(void)
{
	static unsigned rounds = ~0u;

	for (unsigned i = 0; i < 40; i++) {
		pthread_t thread;
		pid_t child = fork();
		int status;

		if (child == 0) {
			for (unsigned n = 0; n < 3; n++)
				pthread_create(&thread, NULL, hammer, &rounds);
			for (;;)
				munmap(map_bar(), BAR_SIZE);
		}
		usleep(i * 200);
		CHECK(child > 0 && kill(child, SIGKILL) == 0);
		/* Not by pidfd: whom a tracer has not waited for yet is no zombie to WNOHANG. */
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	get(EVENTS);
	put(EVENTS, 9);
	CHECK(get(EVENTS) == 9);
}

/* Mapping is more than one call: stops and handlers may come at any point of it. */
static void interrupted(void)
{
	for (unsigned i = 0; i < 10; i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			timers(true);
			for (;;) {
				uint64_t *page = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);

				CHECK(page != MAP_FAILED && page[ID / 8] == 0x626f7270);
				page[SCRATCH / 8] = 5;
				CHECK(page[SCRATCH / 8] == 5 && munmap(page, BAR_SIZE) == 0);
			}
		}
		CHECK(child > 0);
		for (unsigned n = 0; n < 20; n++) {
			usleep(n * 100);
			CHECK(kill(child, SIGSTOP) == 0);
			CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
			usleep(100);
			CHECK(kill(child, SIGCONT) == 0);
			CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
		}
		CHECK(kill(child, SIGKILL) == 0);
		CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
	}
	get(EVENTS);
}

/* execve() by a thread that is not the first, while others are at it. */
static void *become(void *argument)
{
	char *arguments[] = {(char *)self, (char *)bdf, (char *)"untraced", NULL};

	usleep(3000);
	execv(self, arguments);
	_exit(2);
}

static void exec_in_thread(void)
{
	static unsigned rounds = ~0u;

	for (unsigned i = 0; i < 10; i++) {
		pthread_t thread;
		pid_t child = fork();
		int status;

		if (child == 0) {
			for (unsigned n = 0; n < 3; n++)
				pthread_create(&thread, NULL, hammer, &rounds);
			pthread_create(&thread, NULL, become, NULL);
			hammer(&rounds);
		}
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	}
	get(EVENTS);
}

static void *map_alone(void *argument)
{
	usleep(3000);
	bar = map_bar();
	CHECK(bar != MAP_FAILED);
	put(SCRATCH, 31);
	CHECK(get(SCRATCH) == 31);
	_exit(7);
}

/* The first thread ends; the others go on, or begin. */
static void *go_on_alone(void *argument)
{
	static unsigned rounds = 50;

	usleep(500);
	get(EVENTS);
	hammer(&rounds);
	CHECK(get(EVENTS) == rounds);
	_exit(7);
}

static void without_leader(void *(*others)(void *argument))
{
	pid_t child = fork();
	pthread_t thread;
	int status;

	if (child == 0) {
		pthread_create(&thread, NULL, others, NULL);
		pthread_exit(NULL);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void leaderless(void)
{
	for (unsigned i = 0; i < 50; i++)
		without_leader(go_on_alone);
	CHECK(munmap((void *)bar, BAR_SIZE) == 0);
	without_leader(map_alone);
	bar = map_bar();
	CHECK(bar != MAP_FAILED);
}

/* Without a supervisor nobody answers any more, but the program lives. */
static void orphan(void)
{
	pid_t supervisor;

	catch_faults(true);
	put(SCRATCH, 1);
	supervisor = getppid();
	CHECK(kill(supervisor, SIGKILL) == 0);
	while (getppid() == supervisor)
		usleep(1000);
	EXPECT_FAULT(put(SCRATCH, 1));
	CHECK(last.si_signo == SIGBUS && last.si_code == BUS_ADRERR && last.si_addr == bar + SCRATCH);
}

/* ---- mappings ---- */

static void mappings(void)
{
	volatile uint64_t *volatile page, *volatile moved;

	catch_faults(true);
	CHECK(mprotect((void *)bar, 4096, PROT_READ) == 0);
	put(MEMORY, 1);
	CHECK(get(SCRATCH) || true);
	EXPECT_FAULT(put(SCRATCH, 99));
	CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_ACCERR && last.si_addr == bar + SCRATCH);
	CHECK(mprotect((void *)bar, 4096, PROT_NONE) == 0);
	EXPECT_FAULT(get(SCRATCH));
	CHECK(last.si_signo == SIGSEGV);
	CHECK(mprotect((void *)bar, BAR_SIZE, PROT_READ | PROT_WRITE) == 0);
	put(SCRATCH, 42);
	CHECK(get(SCRATCH) == 42);
	/* Elsewhere it is the same register. */
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
	CHECK(page != MAP_FAILED && page[SCRATCH / 8] == 42);
	moved = mremap((void *)page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
		       mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK(moved != MAP_FAILED && moved != page && moved[SCRATCH / 8] == 42);
	EXPECT_FAULT((void)page[SCRATCH / 8]);
	CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_MAPERR);
	CHECK(munmap((void *)moved, 4096) == 0);
	/* Without a file there is no register, whatever else the call says. */
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, device, 1ll << 40);
	CHECK(page != MAP_FAILED && page[0] == 0);
	CHECK(munmap((void *)page, 4096) == 0);
	/* A mapping in pieces. */
	page = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
	CHECK(page != MAP_FAILED && munmap((void *)page, 0x2000) == 0);
	page[MEMORY / 8] = 1234;
	CHECK(get(MEMORY) == 1234 && munmap((char *)page + 0x2000, 0x2000) == 0);
	/* Read-only from the start. */
	page = mmap(NULL, BAR_SIZE, PROT_READ, MAP_SHARED, device, 0);
	CHECK(page != MAP_FAILED && page[SCRATCH / 8] == 42);
	EXPECT_FAULT(page[SCRATCH / 8] = 1);
	CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_ACCERR && get(SCRATCH) == 42);
	CHECK(munmap((void *)page, BAR_SIZE) == 0);
	catch_faults(false);
}

static atomic_bool racing;
static int victim;

static void *close_again_and_again(void *argument)
{
	while (atomic_load(&racing)) {
		close(victim);
		dup3(device, victim, O_CLOEXEC);
		usleep(50);
	}
	return NULL;
}

/* Whatever is mapped in the end is all of it or nothing. */
static void races(void)
{
	unsigned mapped = 0;
	pthread_t thread;

	victim = dup(device);
	atomic_store(&racing, true);
	CHECK(pthread_create(&thread, NULL, close_again_and_again, NULL) == 0);
	put(SCRATCH, 4711);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t *page = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, victim, 0);

		CHECK(page != MAP_FAILED || errno == EBADF);
		if (page == MAP_FAILED)
			continue;
		CHECK(page[SCRATCH / 8] == 4711);
		mapped++;
		munmap(page, BAR_SIZE);
	}
	atomic_store(&racing, false);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(mapped);
}

/* A filter of the program's own that does not like what isolde needs: the mapping fails as a whole. */
static void filtered(void)
{
	/* mmap whose offset is above 2^44 is EPERM. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x1000, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_SIZE(code), code};
	pid_t child = fork();
	int status;

	if (child == 0) {
		CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
		for (unsigned i = 0; i < 10; i++)
			CHECK(mmap(NULL, BAR_SIZE, PROT_READ, MAP_SHARED, device, 0) == MAP_FAILED && errno == EPERM);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, device, POLLED) != MAP_FAILED);
		put(SCRATCH, 31);
		CHECK(get(SCRATCH) == 31);
		_exit(0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

/* ---- debuggers ---- */

static int told[2];

static void *be_traced(void *argument)
{
	pid_t id = (pid_t)syscall(SYS_gettid);

	CHECK(write(told[1], &id, sizeof(id)) == sizeof(id));
	for (;;)
		pause();
}

/* A debugger has one thread of two: neither can map, and the other thread is left to whoever wants it. */
static void half_traced(void)
{
	pid_t child, thread_id;
	pthread_t thread;
	int status, ready[2];
	char byte = 0;

	CHECK(pipe(told) == 0 && pipe(ready) == 0);
	child = fork();
	if (child == 0) {
		CHECK(pthread_create(&thread, NULL, be_traced, NULL) == 0);
		CHECK(read(ready[0], &byte, 1) == 1);
		bar = map_bar();
		CHECK(bar == MAP_FAILED && errno == EPERM);
		for (unsigned i = 0; i < 60000 && tracer_of(getpid()); i++)
			usleep(1000);
		CHECK(tracer_of(getpid()) == 0);
		_exit(0);
	}
	CHECK(read(told[0], &thread_id, sizeof(thread_id)) == sizeof(thread_id));
	CHECK(ptrace(PTRACE_SEIZE, thread_id, NULL, NULL) == 0);
	CHECK(write(ready[1], &byte, 1) == 1);
	/* Its end is its tracer's to see, and the process has not ended before. */
	CHECK(waitpid(thread_id, &status, __WALL) == thread_id);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void traced(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		put(SCRATCH, 1);
		CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	/* The other way round: who is traced cannot map. */
	CHECK(munmap((void *)bar, BAR_SIZE) == 0);
	child = fork();
	if (child == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
		bar = map_bar();
		CHECK(bar == MAP_FAILED && errno == EPERM);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	half_traced();
	bar = map_bar();
	CHECK(bar != MAP_FAILED);
}

/* x87 has no business with registers: told by name, and a SIGBUS. */
static void unknown(void)
{
	catch_faults(true);
	EXPECT_FAULT(__asm__ volatile("fxsave %0" : "=m"(*(char(*)[512])(bar + MEMORY))));
	CHECK(last.si_signo == SIGBUS && last.si_code == BUS_ADRERR);
	catch_faults(false);
}

static void untraced(void)
{
	CHECK(tracer_of(getpid()) == 0);
}

static const struct {
	const char *name;
	void (*tell)(void);
	bool closed; /* without the device */
} stories[] = {
	{"widths", widths, false},
	{"vectors", vectors, false},
	{"library", library, false},
	{"divide", divide, false},
	{"portals", portals, false},
	{"pasid", pasid, false},
	{"handlers", handlers, false},
	{"disabled", disabled, false},
	{"threads", threads, false},
	{"late", late, false},
	{"children", children, false},
	{"programs", programs, false},
	{"stops", stops, false},
	{"kills", kills, false},
	{"mappings", mappings, false},
	{"races", races, false},
	{"traced", traced, false},
	{"blocked", blocked, false},
	{"filtered", filtered, false},
	{"unknown", unknown, false},
	{"interrupted", interrupted, false},
	{"exec_in_thread", exec_in_thread, false},
	{"leaderless", leaderless, false},
	{"orphan", orphan, false},
	{"untraced", untraced, true},
};

static void tell(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(stories); i++) {
		if (strcmp(stories[i].name, name) != 0)
			continue;
		if (!bar && !stories[i].closed)
			open_device();
		stories[i].tell();
		if (!stories[i].closed)
			printf("%s: ok\n", name);
		fflush(stdout);
		return;
	}
	CHECK(false && "known story");
}

int main(int argc, char **argv)
{
	self = argv[0];
	bdf = argv[1];
	for (int i = 2; i < argc; i++)
		tell(argv[i]);
	return 0;
}
