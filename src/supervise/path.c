/* SPDX-License-Identifier: MIT */
#include "supervise/path.h"

#include <stdlib.h>
#include <string.h>

/* Appends one component to ret, which holds used bytes without a trailing slash. */
static bool append(char *ret, size_t *used, size_t size, const char *component, size_t length)
{
	if (length == 0 || (length == 1 && component[0] == '.'))
		return true;
	if (length == 2 && component[0] == '.' && component[1] == '.') {
		while (*used && ret[--*used] != '/')
			;
		return true;
	}
	if (*used + 1 + length + 1 > size)
		return false;
	ret[(*used)++] = '/';
	memcpy(ret + *used, component, length);
	*used += length;
	return true;
}

static bool append_all(char *ret, size_t *used, size_t size, const char *path)
{
	while (*path) {
		size_t length = strcspn(path, "/");

		if (!append(ret, used, size, path, length))
			return false;
		path += length + (path[length] == '/');
	}
	return true;
}

bool path_normalise(const char *base, const char *path, char *ret, size_t size)
{
	size_t used = 0;

	if (size < 2 || (path[0] != '/' && !append_all(ret, &used, size, base)) || !append_all(ret, &used, size, path))
		return false;
	if (!used)
		ret[used++] = '/';
	ret[used] = '\0';
	return true;
}

static bool skip(const char **text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	return true;
}

static bool number(const char **text, long *ret)
{
	char *after;

	if (**text < '0' || **text > '9')
		return false;
	*ret = strtol(*text, &after, 10);
	*text = after;
	return *ret <= 0x7fffffff;
}

/* "/proc/PID/" or "/proc/PID/task/TID/", which path is moved behind. */
static bool skip_process(const char **path, pid_t self, struct process_path *ret)
{
	long process = self, thread = 0;

	if (!skip(path, "/proc/"))
		return false;
	if (skip(path, "thread-self"))
		thread = self;
	else if (!skip(path, "self") && !number(path, &process))
		return false;
	if (skip(path, "/task/") && !number(path, &thread))
		return false;
	*ret = (struct process_path){(pid_t)process, (pid_t)thread};
	return skip(path, "/");
}

bool path_is_of_process(const char *path, pid_t self, const char *name, struct process_path *ret)
{
	return skip_process(&path, self, ret) && strcmp(path, name) == 0;
}

bool path_is_descriptor(const char *path, pid_t self, const char *folder, pid_t *ret_pid, int *ret_fd)
{
	struct process_path of;
	long fd;

	if (!skip_process(&path, self, &of) || !skip(&path, folder) || !skip(&path, "/") || !number(&path, &fd) ||
	    *path)
		return false;
	*ret_pid = of.thread ? of.thread : of.process;
	*ret_fd = (int)fd;
	return true;
}
