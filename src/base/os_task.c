/* SPDX-License-Identifier: MIT */
/* What the host says of a task. Line by line through stdio, it would cost more than all the rest of a map request. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/os.h"

/* The one line without a limit: users of a directory service are in thousands of groups. What is there of it goes. */
static size_t forget_groups(char *text, size_t size)
{
	char *rest = strstr(text, "\nGroups:"), *next;

	if (!rest)
		return size;
	rest += strlen("\nGroups:");
	next = strchr(rest, '\n');
	if (!next)
		next = text + size;
	memmove(rest, next, (size_t)(text + size - next) + 1);
	return size - (size_t)(next - rest);
}

void os_task_status(pid_t task, char text[static OS_STATUS_TEXT])
{
	char path[32];
	size_t size = 0;
	ssize_t got;
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", task);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text[0] = '\0';
	while (fd >= 0 && (got = read(fd, text + size, OS_STATUS_TEXT - 1 - size)) > 0) {
		size += (size_t)got;
		text[size] = '\0';
		size = forget_groups(text, size);
	}
}

/* A name cannot make up a line of its own: the host writes its line feeds as "\\n". */
const char *os_status_value(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, "\t ");
	}
	return "";
}

u64 os_status_number(const char *text, const char *key, int base)
{
	return strtoull(os_status_value(text, key), NULL, base);
}
