/* SPDX-License-Identifier: MIT */
#include "cli/journals.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"

#define PREFIX "run-"

/*
 * su and sudo may leave that of another user, a container one that is not there. One that is open to all will do if
 * it is sticky, as /tmp is: otherwise anybody could put another directory in the place of ours.
 */
static bool usable(const char *runtime, uid_t uid)
{
	struct stat status;

	return runtime && runtime[0] == '/' && stat(runtime, &status) == 0 && S_ISDIR(status.st_mode) &&
	       (status.st_uid == uid || (status.st_mode & S_IWOTH && status.st_mode & S_ISVTX));
}

/* Otherwise a directory in /tmp that anybody could have made before us. */
void runtime_directory_of(uid_t uid, const char *runtime, char path[static JOURNAL_PATH])
{
	if (usable(runtime, uid))
		snprintf(path, JOURNAL_PATH, "%s/isolde", runtime);
	else
		snprintf(path, JOURNAL_PATH, "/tmp/isolde-%u", uid);
}

static void name_directory(char path[static JOURNAL_PATH])
{
	runtime_directory_of(geteuid(), getenv("XDG_RUNTIME_DIR"), path);
}

/* Nobody else may put a file, or a link to one, where we are going to write. */
static int check_directory(const char *path, struct why *why)
{
	struct stat stat;

	if (lstat(path, &stat) < 0)
		return refuse_host(why, errno, "lstat(%.100s)", path);
	if (!S_ISDIR(stat.st_mode))
		return refuse(why, RUNTIME_DIRECTORY, "%.100s is no directory", path);
	if (stat.st_uid != geteuid())
		return refuse(why, RUNTIME_DIRECTORY, "%.100s belongs to user %u, not to us", path, stat.st_uid);
	if (stat.st_mode & 022)
		return refuse(why, RUNTIME_DIRECTORY, "others may write to %.100s: its mode is %#o", path,
			      stat.st_mode & 07777);
	return 0;
}

static int is_journal(const struct dirent *entry)
{
	return strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0;
}

/* Names begin with the time, in digits of one width: their order is that of the runs. */
static int list_journals(const char *directory, struct dirent ***ret, struct why *why)
{
	int count = scandir(directory, ret, is_journal, alphasort);

	return count < 0 ? refuse_host(why, errno, "scandir(%.100s)", directory) : count;
}

static void free_list(struct dirent **list, int count)
{
	while (count > 0)
		free(list[--count]);
	free(list);
}

static void drop_oldest(const char *directory, struct dirent **list, int count)
{
	for (int i = 0; i < count - (JOURNALS_KEPT - 1); i++) {
		char path[JOURNAL_PATH + sizeof(list[i]->d_name)];

		snprintf(path, sizeof(path), "%s/%s", directory, list[i]->d_name);
		/* If it does not go it is only untidy. */
		if (unlink(path) < 0)
			continue;
	}
}

int runtime_directory(char path[static JOURNAL_PATH], struct why *why)
{
	name_directory(path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return refuse_host(why, errno, "mkdir(%.100s)", path);
	return check_directory(path, why);
}

int journals_new_path(char path[static JOURNAL_PATH], struct why *why)
{
	char directory[JOURNAL_PATH];
	struct dirent **list;
	int count, err = runtime_directory(directory, why);

	if (err < 0)
		return err;
	count = list_journals(directory, &list, why);
	if (count < 0)
		return count;
	drop_oldest(directory, list, count);
	free_list(list, count);
	if ((size_t)snprintf(path, JOURNAL_PATH, "%s/" PREFIX "%020llu-%d.jsonl", directory,
			     (unsigned long long)os_wall_clock_ns(), getpid()) >= JOURNAL_PATH)
		return refuse(why, RUNTIME_DIRECTORY, "the path of %.100s is too long", directory);
	return 0;
}

int journals_latest(char path[static JOURNAL_PATH], struct why *why)
{
	char directory[JOURNAL_PATH];
	struct dirent **list;
	int count, err;

	name_directory(directory);
	if (access(directory, F_OK) < 0)
		return refuse(why, JOURNAL_MISSING, "no run has left a journal in %.100s", directory);
	err = check_directory(directory, why);
	if (err < 0)
		return err;
	count = list_journals(directory, &list, why);
	if (count < 0)
		return count;
	if (count > 0)
		snprintf(path, JOURNAL_PATH, "%.2000s/%s", directory, list[count - 1]->d_name);
	free_list(list, count);
	return count ? 0 : refuse(why, JOURNAL_MISSING, "no run has left a journal in %.100s", directory);
}
