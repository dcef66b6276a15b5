/* SPDX-License-Identifier: MIT */
/*
 * Tries each thing a room needs of the host, for real and in a child of its own, so that nothing of it stays. The
 * advice is for Debian; other hosts name their switches alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/filter.h"
#include "supervise/notify.h"
#include "supervise/room.h"
#include "supervise/supervise.h"

/* Runs try in a child; false with the child's sentence in detail. */
static bool in_child(bool (*try)(struct why *why), char *detail, size_t size)
{
	struct why why = WHY_INIT;
	int ends[2], status = 0;
	bool ok = false;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	child = fork();
	if (child == 0) {
		ok = try(&why);
		(void)!write(ends[1], why.text, strlen(why.text));
		_exit(ok ? 0 : 1);
	}
	close(ends[1]);
	if (child > 0) {
		ssize_t length = read(ends[0], detail, size - 1);

		detail[length > 0 ? length : 0] = '\0';
		waitpid(child, &status, 0);
		ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	close(ends[0]);
	return ok;
}

static bool try_seccomp(struct why *why)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return filter_install(why) >= 0;
}

static bool try_proc(struct why *why)
{
	return room_check_proc(why) == 0;
}

static bool try_namespaces(struct why *why)
{
	return room_unshare(why) == 0;
}

static bool try_fuse(struct why *why)
{
	int root;

	if (room_unshare(why) < 0) {
		why_context(why, "not tried without private mounts");
		return false;
	}
	return room_mount_tree(why) >= 0 && room_mount_served(&root, why) >= 0;
}

/* Reads a child's memory, as every request and transfer does. */
static bool try_memory(struct why *why)
{
	static int word = 42;
	struct iovec local = {&(int){0}, sizeof(int)}, remote = {&word, sizeof(word)};
	pid_t child = fork();
	bool ok;

	if (child == 0) {
		pause();
		_exit(0);
	}
	ok = process_vm_readv(child, &local, 1, &remote, 1, 0) == (ssize_t)sizeof(word);
	if (!ok)
		refuse_host(why, errno, "process_vm_readv of a child");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return ok;
}

static bool try_pidfd(struct why *why)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	bool ok = pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0;

	if (!ok)
		refuse_host(why, errno, "pidfd_getfd");
	return ok;
}

/* The close of a memory file's last descriptor must be told. */
static bool try_close_watch(struct why *why)
{
	int fd = memfd_create("doctor", MFD_CLOEXEC), events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), copy;
	char path[48], buffer[256];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || events < 0 || inotify_add_watch(events, path, IN_CLOSE) < 0) {
		refuse_host(why, errno, "inotify_add_watch on a memory file");
		return false;
	}
	copy = open(path, O_RDWR | O_CLOEXEC);
	close(copy);
	if (copy >= 0 && read(events, buffer, sizeof(buffer)) > 0)
		return true;
	refuse_host(why, ENODATA, "inotify of a memory file's close");
	return false;
}

static bool try_tracing(struct why *why)
{
	pid_t child = fork();
	bool ok;

	if (child == 0)
		for (;;)
			pause();
	ok = child > 0 && ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0;
	if (!ok)
		refuse_host(why, errno, "ptrace of a child");
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return ok;
}

static const struct {
	const char *what;
	bool (*try)(struct why *why);
	const char *fine, *advice;
	bool optional;
} checks[] = {
	{"seccomp user notification", try_seccomp, "the filter loads and gives a listener",
	 "needs Linux 5.9 with CONFIG_SECCOMP_FILTER; a container may forbid it: podman/docker run "
	 "--security-opt seccomp=unconfined"},
	{"a /proc of one's own", try_proc, "it knows us by our number", "a container and a chroot need one, too"},
	{"private mounts", try_namespaces, "a mount namespace of its own",
	 "as root: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 (Ubuntu also: "
	 "kernel.apparmor_restrict_unprivileged_userns=0), or run isolde as root; before a chroot: mount --bind it "
	 "onto "
	 "itself"},
	{"FUSE", try_fuse, "/dev/fuse opens and mounts",
	 "as root: modprobe fuse; chmod 0666 /dev/fuse; a container needs --device /dev/fuse"},
	{"reading a program's memory", try_memory, "process_vm_readv works on a child",
	 "as root: sysctl -w kernel.yama.ptrace_scope=1 or less; a container needs --cap-add SYS_PTRACE"},
	{"taking a program's eventfds", try_pidfd, "pidfd_getfd works", "needs Linux 5.6"},
	{"noticing the last close", try_close_watch, "inotify tells the close of a memory file",
	 "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"},
	{"precise register pages", try_tracing, "ptrace works on a child",
	 "only for devices like IOAT and DSA. As root: sysctl -w kernel.yama.ptrace_scope=1 or less; a container needs "
	 "--cap-add SYS_PTRACE; strace and debuggers must end",
	 .optional = true},
};

static void kernel_release(struct doctor_finding *finding)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	finding->what = "cheap switching";
	finding->ok = major > 6 || (major == 6 && minor >= 6);
	snprintf(finding->detail, sizeof(finding->detail), "Linux %.40s; %s", name.release,
		 finding->ok ? "synchronous wake-up is there" : "from 6.6 on a trapped call costs a tenth");
}

unsigned supervise_doctor(struct doctor_finding *ret, unsigned max)
{
	unsigned count = 0;
	char seen[160];

	for (; count < max && count < ARRAY_SIZE(checks); count++) {
		struct doctor_finding *finding = &ret[count];

		finding->what = checks[count].what;
		finding->required = !checks[count].optional;
		finding->ok = in_child(checks[count].try, seen, sizeof(seen));
		if (finding->ok)
			snprintf(finding->detail, sizeof(finding->detail), "%s", checks[count].fine);
		else
			snprintf(finding->detail, sizeof(finding->detail), "%s. %s", seen, checks[count].advice);
	}
	if (count < max) {
		ret[count] = (struct doctor_finding){.required = false};
		kernel_release(&ret[count++]);
	}
	return count;
}
