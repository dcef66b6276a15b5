/* SPDX-License-Identifier: MIT */
#include "supervise/path.h"

#include "tests/helpers.h"

#define SELF 77

static const char *joined(const char *base, const char *path)
{
	static char text[64];

	return path_normalise(base, path, text, sizeof(text)) ? text : "too long";
}

TEST(path, relative_ones_begin_at_the_base)
{
	assert_string_equal(joined("/home/user", "a/b"), "/home/user/a/b");
	assert_string_equal(joined("/home/user", "/dev/iommu"), "/dev/iommu");
	assert_string_equal(joined("/home", "../dev//./iommu"), "/dev/iommu");
	assert_string_equal(joined("/", "../../.."), "/");
}

TEST(path, what_does_not_fit_is_none)
{
	char text[8];

	assert_true(path_normalise("/", "/dev/io", text, sizeof(text)));
	assert_false(path_normalise("/", "/dev/iom", text, sizeof(text)));
}

static bool descriptor(const char *path, pid_t *pid, int *fd)
{
	return path_is_descriptor(path, SELF, "fd", pid, fd);
}

TEST(path, descriptors_are_of_processes_and_threads)
{
	pid_t pid;
	int fd;

	assert_true(descriptor("/proc/self/fd/3", &pid, &fd));
	assert_int_equal(pid, SELF);
	assert_int_equal(fd, 3);
	assert_true(descriptor("/proc/12/fd/3", &pid, &fd));
	assert_int_equal(pid, 12);
	assert_true(descriptor("/proc/12/task/13/fd/3", &pid, &fd));
	assert_int_equal(pid, 13);
	assert_true(descriptor("/proc/thread-self/fd/3", &pid, &fd));
	assert_int_equal(pid, SELF);
	assert_false(descriptor("/proc/self/fd/", &pid, &fd));
	assert_false(descriptor("/proc/self/fd/3/", &pid, &fd));
	assert_false(descriptor("/proc/self/fdinfo/3", &pid, &fd));
	assert_false(descriptor("/proc/99999999999/fd/3", &pid, &fd));
	assert_false(descriptor("/dev/fd/3", &pid, &fd));
}

static const char *process(const char *path)
{
	static char text[32];
	struct process_path of;

	if (!path_is_of_process(path, SELF, "status", &of))
		return "none";
	snprintf(text, sizeof(text), "%d %d", of.process, of.thread);
	return text;
}

TEST(path, files_of_processes_and_threads)
{
	assert_string_equal(process("/proc/self/status"), "77 0");
	assert_string_equal(process("/proc/thread-self/status"), "77 77");
	assert_string_equal(process("/proc/12/status"), "12 0");
	assert_string_equal(process("/proc/12/task/13/status"), "12 13");
	assert_string_equal(process("/proc/self/task/13/status"), "77 13");
	assert_string_equal(process("/proc/12/status/"), "none");
	assert_string_equal(process("/proc/12/statu"), "none");
	assert_string_equal(process("/proc/12/task/status"), "none");
	assert_string_equal(process("/proc/selfish/status"), "none");
	assert_string_equal(process("/proc/status"), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(path, relative_ones_begin_at_the_base),
		CASE(path, what_does_not_fit_is_none),
		CASE(path, descriptors_are_of_processes_and_threads),
		CASE(path, files_of_processes_and_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
