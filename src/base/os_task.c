/* SPDX-License-Identifier: MIT */
/* What the host says of a task. In one read: line by line through stdio costs more than all the rest of a map request.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/os.h"

void os_task_status(pid_t task, char text[static OS_STATUS_TEXT])
{
	char path[32];
	ssize_t size;
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", task);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd >= 0 ? read(fd, text, OS_STATUS_TEXT - 1) : 0;
	text[size > 0 ? size : 0] = '\0';
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
