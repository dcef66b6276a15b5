/* SPDX-License-Identifier: MIT */
/*
 * Runs conformance tests: conform [-l] [-x SUITE.TEST]... [SUITE[.TEST]]... Prints a line for each, and what was wrong
 * with it. -l lists them, -x leaves one out.
 */
#include "tests/conform/conform.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conform/suites.h"

enum { MOST_DESCRIPTORS = 256, MOST_REGIONS = 256, EXIT_SKIP = 77 };

enum outcome { PASSED, FAILED, SKIPPED };

static struct run {
	sigjmp_buf over;
	enum outcome outcome;
	char text[512], subject[160];
	int descriptors[MOST_DESCRIPTORS];
	unsigned ndescriptors;
	struct region {
		void *address; /* with the pages around it */
		size_t size;
		enum { FOREIGN, OURS, EMPTY } kind; /* OURS: memory() made it, nobody may hold it at the end */
	} regions[MOST_REGIONS];
	unsigned nregions;
	struct beside {
		void (*function)(void *);
		void *argument;
		pthread_t thread;
	} * beside;  /* owned; NULL: no thread runs beside the test */
	pid_t child; /* 0: none */
	int program; /* read end of a pipe whose other end is the child's until it executes another program */
} run;

#define SUITE_NAMED(id) extern const struct conform_suite conform_##id;
SUITES(SUITE_NAMED)
#undef SUITE_NAMED

static const struct conform_suite *const suites[] = {
#define SUITE_NAMED(id) &conform_##id,
	SUITES(SUITE_NAMED)
#undef SUITE_NAMED
};

/* ---- expectations ---- */

static const char *answer_text(answer value, char text[static 32])
{
	const char *name = value < 0 && value > -4096 ? strerrorname_np((int)-value) : NULL;

	if (name)
		snprintf(text, 32, "-%s", name);
	else
		snprintf(text, 32, "%ld", value);
	return text;
}

static void __attribute__((noreturn)) end_test(enum outcome outcome)
{
	run.outcome = outcome;
	siglongjmp(run.over, 1);
}

static void __attribute__((noreturn, format(printf, 3, 4))) wrong(const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/'), *reason = conform_reason();
	char message[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	snprintf(run.text, sizeof(run.text), "%s:%d: %s%s%s%s%s", slash ? slash + 1 : file, line, message,
		 run.subject[0] ? ", at " : "", run.subject, reason[0] ? "; last refusal: " : "", reason);
	end_test(FAILED);
}

answer expect_answer(answer expected, answer got, const char *call, const char *file, int line)
{
	char left[32], right[32];

	if (got != expected)
		wrong(file, line, "%s = %s, expected %s", call, answer_text(got, left), answer_text(expected, right));
	return got;
}

answer expect_success(answer got, const char *call, const char *file, int line)
{
	char text[32];

	if (got < 0)
		wrong(file, line, "%s = %s", call, answer_text(got, text));
	return got;
}

void expect_true(bool condition, const char *text, const char *file, int line)
{
	if (!condition)
		wrong(file, line, "not so: %s", text);
}

void expect_equal(u64 expected, u64 got, const char *text, const char *file, int line)
{
	if (got != expected)
		wrong(file, line, "not so: %s; %#llx is not %#llx", text, (unsigned long long)got,
		      (unsigned long long)expected);
}

void about(const char *format, ...)
{
	va_list arguments;

	run.subject[0] = '\0';
	if (!format)
		return;
	va_start(arguments, format);
	vsnprintf(run.subject, sizeof(run.subject), format, arguments);
	va_end(arguments);
}

void skip(const char *format, ...)
{
	const char *must_work = getenv("ISOLDE_MUST_WORK");
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(run.text, sizeof(run.text), format, arguments);
	va_end(arguments);
	end_test(must_work && must_work[0] == '1' ? FAILED : SKIPPED);
}

/* ---- threads ---- */

static void *run_beside(void *argument)
{
	const struct beside *beside = argument;

	conform_begin_thread(true);
	beside->function(beside->argument);
	return NULL;
}

static void *run_powerless(void *argument)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	const struct beside *beside = argument;

	/* Of this thread alone: libc would drop them in all. */
	if (syscall(SYS_capget, &header, data) == 0) {
		data[0] = data[1] = (struct __user_cap_data_struct){.effective = 0};
		syscall(SYS_capset, &header, data);
	}
	conform_begin_thread(false);
	beside->function(beside->argument);
	return NULL;
}

void powerless(void (*function)(void *), void *argument)
{
	struct beside powerless = {.function = function, .argument = argument};

	EXPECT_EQUAL(0, pthread_create(&powerless.thread, NULL, run_powerless, &powerless));
	EXPECT_EQUAL(0, pthread_join(powerless.thread, NULL));
}

void start_beside(void (*function)(void *), void *argument)
{
	EXPECT_TRUE(!run.beside);
	run.beside = calloc(1, sizeof(*run.beside));
	EXPECT_TRUE(run.beside != NULL);
	*run.beside = (struct beside){.function = function, .argument = argument};
	EXPECT_EQUAL(0, pthread_create(&run.beside->thread, NULL, run_beside, run.beside));
}

void join_beside(void)
{
	if (run.beside)
		pthread_join(run.beside->thread, NULL);
	free(run.beside);
	run.beside = NULL;
}

/* ---- children ---- */

void start_child(void (*function)(void *), void *argument)
{
	int ends[2];

	EXPECT_TRUE(!run.child);
	EXPECT_EQUAL(0, pipe2(ends, O_CLOEXEC));
	run.program = ends[0];
	run.child = fork();
	if (run.child == 0) {
		function(argument);
		_exit(0);
	}
	close(ends[1]);
	if (run.child < 0) {
		run.child = 0;
		close(run.program);
		EXPECT_TRUE(false);
	}
}

void await_step(volatile int *step, int value)
{
	for (int i = 0; *step < value && i < 60000; i++)
		usleep(1000);
}

void become_another(void)
{
	execl("/bin/sleep", "sleep", "600", NULL);
	execl("/bin/busybox", "sleep", "600", NULL);
	_exit(1);
}

void await_another(void)
{
	char byte;

	EXPECT_EQUAL(0, read(run.program, &byte, 1));
}

void end_child(void)
{
	if (!run.child)
		return;
	kill(run.child, SIGKILL);
	waitpid(run.child, NULL, 0);
	run.child = 0;
	close(run.program);
}

/* ---- what a test holds ---- */

int watch(answer fd)
{
	EXPECT_TRUE(run.ndescriptors < MOST_DESCRIPTORS);
	WORKS(fd);
	run.descriptors[run.ndescriptors++] = (int)fd;
	return (int)fd;
}

void drop(int fd)
{
	for (unsigned i = 0; i < run.ndescriptors; i++) {
		if (run.descriptors[i] != fd)
			continue;
		memmove(&run.descriptors[i], &run.descriptors[i + 1],
			(run.ndescriptors - i - 1) * sizeof(run.descriptors[0]));
		run.ndescriptors--;
		break;
	}
	close(fd);
}

static void *remember(void *address, size_t size, int kind)
{
	EXPECT_TRUE(address != MAP_FAILED && run.nregions < MOST_REGIONS);
	run.regions[run.nregions++] = (struct region){address, size, kind};
	return address;
}

void *reserve(size_t size)
{
	return remember(mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), size, EMPTY);
}

void *mapped(void *address, size_t size)
{
	return remember(address, size, FOREIGN);
}

void unmap_mapped(void *address)
{
	for (unsigned i = 0; i < run.nregions; i++) {
		if (run.regions[i].address != address)
			continue;
		munmap(address, run.regions[i].size);
		run.regions[i] = run.regions[--run.nregions];
		return;
	}
}

static void *memory_of_kind(size_t size, int kind)
{
	size_t whole = (size + PAGE - 1) & ~(PAGE - 1);
	char *around = remember(mmap(NULL, whole + 2 * PAGE, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0),
				whole + 2 * PAGE, OURS);

	protect(around, PAGE, PROT_NONE);
	protect(around + PAGE + whole, PAGE, PROT_NONE);
	memset(around + PAGE, 0, whole);
	return around + PAGE;
}

void *memory(size_t size)
{
	return memory_of_kind(size, MAP_PRIVATE);
}

void *shared_memory(size_t size)
{
	return memory_of_kind(size, MAP_SHARED);
}

int new_file(size_t size)
{
	int fd = watch(memfd_create("conform", MFD_CLOEXEC));

	EXPECT_EQUAL(0, ftruncate(fd, (off_t)size));
	return fd;
}

void protect(void *address, size_t size, int prot)
{
	EXPECT_EQUAL(0, mprotect(address, size, prot));
}

static void close_all(void)
{
	while (run.ndescriptors)
		close(run.descriptors[--run.ndescriptors]);
}

static void unmap_all(int kind)
{
	for (unsigned i = run.nregions; i-- > 0;) {
		if ((int)run.regions[i].kind != kind)
			continue;
		munmap(run.regions[i].address, run.regions[i].size);
		run.regions[i] = run.regions[--run.nregions];
	}
}

static void check_unpinned(void)
{
	int fd = watch(open_answer("/dev/iommu", 2));

	about("the end of the test: memory still held");
	for (unsigned i = 0; i < run.nregions; i++)
		if (run.regions[i].kind == OURS)
			EXPECT(0, check_refs(fd, (char *)run.regions[i].address + PAGE, run.regions[i].size - 2 * PAGE,
					     0));
}

/* Newest first, as programs do; then a fresh context sees no pin left on any page of theirs. */
static void give_back(void)
{
	bool sound = run.outcome == PASSED;

	end_child();
	close_all();
	join_beside();
	unmap_all(FOREIGN);
	if (sigsetjmp(run.over, 1) == 0 && sound && have_mock())
		check_unpinned();
	close_all();
	unmap_all(EMPTY);
	unmap_all(OURS);
}

/* ---- the run ---- */

static bool end_pass(void)
{
	bool passed = run.outcome != FAILED, was = passed, again = conform_end(&passed);

	if (passed != was)
		run.outcome = passed ? PASSED : FAILED;
	return again;
}

static void run_case(const struct conform_suite *suite, const struct conform_case *test)
{
	char name[128];
	bool again;

	snprintf(name, sizeof(name), "%s.%s", suite->name, test->name);
	do {
		run.outcome = PASSED;
		run.text[0] = run.subject[0] = '\0';
		conform_begin(name);
		if (sigsetjmp(run.over, 1) == 0)
			test->run();
		give_back();
		again = end_pass();
	} while (again);
	if (run.outcome == PASSED)
		printf("ok      %s\n", name);
	else
		printf("%s %s: %s\n", run.outcome == FAILED ? "not ok " : "skip   ", name, run.text);
	fflush(stdout);
}

struct choice {
	bool list;
	int count;
	char **names; /* with "-x" before those that are left out */
};

static bool names_test(const char *name, const struct conform_suite *suite, const struct conform_case *test)
{
	size_t length = strlen(suite->name);

	if (strncmp(name, suite->name, length) != 0)
		return false;
	return !name[length] || (name[length] == '.' && strcmp(name + length + 1, test->name) == 0);
}

static bool chosen(const struct choice *choice, const struct conform_suite *suite, const struct conform_case *test)
{
	bool named = false, any = false;

	if (test->outside && !conform_is_outside())
		return false;
	for (int i = 0; i < choice->count; i++) {
		bool left_out = strcmp(choice->names[i], "-x") == 0 && ++i < choice->count;
		bool fits = i < choice->count && names_test(choice->names[i], suite, test);

		if (left_out && fits)
			return false;
		any |= !left_out;
		named |= !left_out && fits;
	}
	return named || !any;
}

static void run_chosen(const struct choice *choice, unsigned counts[static 3])
{
	FOR_EACH(suite, suites)
	{
		for (const struct conform_case *test = (*suite)->cases; test->name; test++) {
			if (!chosen(choice, *suite, test))
				continue;
			if (choice->list) {
				printf("%s.%s\n", (*suite)->name, test->name);
				continue;
			}
			run_case(*suite, test);
			counts[run.outcome]++;
		}
	}
}

int main(int argc, char **argv)
{
	struct choice choice = {.list = argc > 1 && strcmp(argv[1], "-l") == 0};
	unsigned counts[3] = {0};
	int first = choice.list ? 2 : 1;

	choice.count = argc - first;
	choice.names = argv + first;
	run_chosen(&choice, counts);
	if (choice.list)
		return 0;
	if (counts[SKIPPED])
		fprintf(stderr, "SKIP: %u tests, see their lines\n", counts[SKIPPED]);
	if (counts[FAILED] || !(counts[PASSED] + counts[SKIPPED]))
		return 1;
	return counts[PASSED] ? 0 : EXIT_SKIP;
}
