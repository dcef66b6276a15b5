/* SPDX-License-Identifier: MIT */
/* The seccomp program: which system calls of the room come to the supervisor. */
#ifndef SUPERVISE_FILTER_H
#define SUPERVISE_FILTER_H

#include "base/why.h"

/* Installs the filter on the calling thread; returns the listener descriptor or -errno. No new privileges must be set.
 */
int filter_install(struct why *why);

#endif
