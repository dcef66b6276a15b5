/* SPDX-License-Identifier: MIT */
#include "supervise/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "supervise/failnth.h"
#include "supervise/fdinfo.h"
#include "supervise/path.h"
#include "supervise/status.h"

/* The host's path of a file in the directory of a process or thread. */
static void host_path(const struct process_path *of, const char *name, char path[static 48])
{
	if (of->thread)
		snprintf(path, 48, "/proc/%d/task/%d/%s", of->process, of->thread, name);
	else
		snprintf(path, 48, "/proc/%d/%s", of->process, name);
}

static int open_fail_nth(struct tracees *tracees, const struct process_path *of, struct file **ret, struct why *why)
{
	char directory[48];

	host_path(of, "", directory);
	/* The host says what is wrong with a thread that is not there. */
	if (access(directory, F_OK) < 0)
		return 0;
	return failures_file(tracees->failures, of->process, of->thread ? of->thread : of->process, ret, why);
}

/* Who has nothing pinned or locked with us sees the host's file: it says the same, and costs nothing. */
static int open_status(struct tracees *tracees, const struct process_path *of, int flags, struct file **ret,
		       struct why *why)
{
	struct client *client = tracee_client(tracees, of->thread ? of->thread : of->process);
	char path[48];
	bool counts;

	if (!client || (flags & O_ACCMODE) != O_RDONLY)
		return 0;
	mutex_lock(&tracees->machine->lock);
	counts = client->pinned_bytes || client->locked_bytes;
	mutex_unlock(&tracees->machine->lock);
	if (!counts)
		return 0;
	host_path(of, "status", path);
	return status_file(client, path, ret, why);
}

/* Only devices have lines of their own. */
static int open_fdinfo(struct tracees *tracees, pid_t process, int fd, int flags, struct file **ret, struct why *why)
{
	char lines[FDINFO_LINES];
	struct stat status;
	struct file file;

	if ((flags & O_ACCMODE) != O_RDONLY || !tracee_look(tracees, process, fd, &file, &status) ||
	    !machine_fdinfo(tracees->machine, status.st_dev, status.st_ino, lines))
		return 0;
	return fdinfo_file(process, fd, lines, ret, why);
}

int procfs_file(struct tracees *tracees, pid_t caller, const char *path, int flags, struct file **ret, struct why *why)
{
	struct process_path of;
	pid_t process;
	int fd;

	*ret = NULL;
	if (path_is_of_process(path, caller, "status", &of))
		return open_status(tracees, &of, flags, ret, why);
	if (tracees->failures && path_is_of_process(path, caller, "fail-nth", &of))
		return open_fail_nth(tracees, &of, ret, why);
	if (path_is_descriptor(path, caller, "fdinfo", &process, &fd))
		return open_fdinfo(tracees, process, fd, flags, ret, why);
	return 0;
}
