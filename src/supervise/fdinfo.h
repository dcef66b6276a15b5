/* SPDX-License-Identifier: MIT */
/* /proc/PID/fdinfo/N of a device's descriptor: the host's text, and behind it what VFIO adds. */
#ifndef SUPERVISE_FDINFO_H
#define SUPERVISE_FDINFO_H

#include "mem/file.h"

/* lines come behind the host's, as they are. */
int fdinfo_file(pid_t process, int fd, const char *lines, struct file **ret, struct why *why);

#endif
