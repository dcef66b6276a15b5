/* SPDX-License-Identifier: MIT */
/* Trees of files that somebody else made. Nothing but directories and regular files is opened. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/os.h"

#define HERE (O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NONBLOCK)

int os_folder_root(const char *path)
{
	int fd = open(path, HERE);

	return fd < 0 ? -errno : fd;
}

/* The component that *path starts with goes into name; *path moves behind it. Its length, 0 at the last; or -errno. */
static int next_component(const char **path, char name[static NAME_MAX + 1])
{
	size_t length;

	*path += strspn(*path, "/");
	length = strcspn(*path, "/");
	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, *path, length);
	name[length] = '\0';
	*path += length;
	return strcmp(name, "..") == 0 ? -ELOOP : (int)length;
}

int os_folder_open(int above, const char *path)
{
	char name[NAME_MAX + 1];
	int fd = openat(above, ".", HERE), below, length;

	while (fd >= 0 && (length = next_component(&path, name)) != 0) {
		if (length < 0) {
			close(fd);
			return length;
		}
		below = openat(fd, name, HERE | O_NOFOLLOW);
		if (below < 0) {
			int err = errno;

			close(fd);
			return -err;
		}
		close(fd);
		fd = below;
	}
	return fd < 0 ? -errno : fd;
}

bool os_folder_has(int folder, const char *name)
{
	struct stat status;

	return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What came before a failure counts: sysfs gives an ordinary user the first bytes of some files. */
static s64 read_some(int fd, u8 *buffer, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t more = read(fd, buffer + got, size - got);

		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0 && got == 0)
			return -errno;
		if (more <= 0)
			break;
		got += (size_t)more;
	}
	return (s64)got;
}

/* Looked at before it is opened: opening some devices does something. */
s64 os_folder_read(int folder, const char *name, void *buffer, size_t size)
{
	struct stat status;
	s64 got;
	int fd;

	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	got = read_some(fd, buffer, size);
	close(fd);
	return got;
}

s64 os_folder_link(int folder, const char *name, char *text, size_t size)
{
	ssize_t length = readlinkat(folder, name, text, size);

	if (length < 0)
		return -errno;
	if ((size_t)length == size)
		return -ENAMETOOLONG;
	text[length] = '\0';
	return length;
}

void *os_folder_list(int above, const char *path)
{
	int fd = os_folder_open(above, path);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list && fd >= 0)
		close(fd);
	return list;
}

const char *os_folder_next(void *list)
{
	struct dirent *entry;

	do
		entry = readdir(list);
	while (entry && entry->d_name[0] == '.');
	return entry ? entry->d_name : NULL;
}

void os_folder_done(void *list)
{
	if (list)
		closedir(list);
}

void os_release(char text[static OS_RELEASE_TEXT])
{
	struct utsname name;

	if (uname(&name) < 0)
		name.release[0] = '\0';
	snprintf(text, OS_RELEASE_TEXT, "%s", name.release);
}
