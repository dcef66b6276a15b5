/* SPDX-License-Identifier: MIT */
/*
 * cmocka, and the project's own expectations. A test reads as a sentence:
 *
 *	TEST(group, second_owner_is_refused_by_name) { ... EXPECT_REFUSED(GROUP_OWNED, why, call(&why)); }
 */
#ifndef TESTS_HELPERS_H
#define TESTS_HELPERS_H

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/why.h"

/* ThreadSanitizer slows programs down tenfold and takes most of their address space. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN true
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN false
#endif

#define TEST(suite, name) static void suite##_##name(void **state __attribute__((unused)))
#define CASE(suite, name) cmocka_unit_test(suite##_##name)

/* The call succeeds (>= 0); prints the reason otherwise. Evaluates to its value. */
#define ASSERT_OK(why, call)                                                                                           \
	({                                                                                                             \
		long ok_ = (long)(call);                                                                               \
		if (ok_ < 0)                                                                                           \
			fail_msg("%s = %ld: %s %s", #call, ok_, why_code_name((why).code), (why).text);                \
		ok_;                                                                                                   \
	})

/* The call is refused with that code and its errno, in a sentence that names something. */
#define EXPECT_REFUSED(expected, why, call)                                                                            \
	do {                                                                                                           \
		long refused_;                                                                                         \
		why_clear(&(why));                                                                                     \
		refused_ = (long)(call);                                                                               \
		check_refused(WHY_##expected, &(why), refused_, #call);                                                \
	} while (0)

#define EXPECT_SUBSTR(needle, text)                                                                                    \
	do {                                                                                                           \
		if (!strstr((text), (needle)))                                                                         \
			fail_msg("\"%s\" does not contain \"%s\"", (text), (needle));                                  \
	} while (0)

/*
 * The statement runs into an assertion: for the bugs of a caller that must not go unseen. It runs in a child. A build
 * without assertions skips the rest of the test.
 */
#ifdef NDEBUG
#define EXPECT_ABORT(statement) skip()
#else
#define EXPECT_ABORT(statement)                                                                                        \
	do {                                                                                                           \
		pid_t child_ = fork();                                                                                 \
		if (child_ == 0) {                                                                                     \
			die_quietly();                                                                                 \
			statement;                                                                                     \
			_exit(0);                                                                                      \
		}                                                                                                      \
		check_aborted(child_, #statement);                                                                     \
	} while (0)
#endif

static inline void die_quietly(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){.rlim_cur = 0});
	signal(SIGABRT, SIG_DFL);
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
}

static inline void check_aborted(pid_t child, const char *statement)
{
	int status;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("%s: no assertion failed, status %#x", statement, status);
}

/* How many descriptors this process has, for tests that none is lost. */
static inline unsigned count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static inline void check_refused(enum why_code expected, const struct why *why, long returned, const char *call)
{
	if (why->code != expected)
		fail_msg("%s: expected %s, got %s: %s", call, why_code_name(expected), why_code_name(why->code),
			 why->text);
	if (expected != WHY_HOST_FAILED)
		assert_int_equal(why->err, why_code_errno(expected));
	assert_int_equal(returned, -why->err);
	assert_null(strstr(why->text, "(null)"));
	assert_null(strchr(why->text, '%'));
	assert_true(strlen(why->text) > 8);
}

/*
 * Runs body once for each fallible step in it: the first, the second, ... fails. body is a function of the sweep
 * number that returns 0 or -errno and must clean up after itself. Ends when a run passes unfailed.
 */
static inline void sweep_failures(int (*body)(struct why *why), const char *name)
{
	for (unsigned n = 1; n < 10000; n++) {
		struct why why = WHY_INIT;
		bool fired;
		int ret;

		fail_nth_arm(n);
		ret = body(&why);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		if (!fired) {
			if (ret < 0)
				fail_msg("%s: fails without injection: %s", name, why.text);
			return;
		}
		if (ret >= 0)
			continue; /* the step was optional: the body coped */
		assert_int_not_equal(why.code, WHY_NONE);
	}
	fail_msg("%s: still failing after 10000 steps", name);
}

#define SWEEP_FAILURES(body) sweep_failures(body, #body)

#endif
