/* SPDX-License-Identifier: MIT */
/* A client that is only a name for the journal: who read or wrote a file of ours. It has no memory, no descriptors. */
#ifndef SUPERVISE_STRANGER_H
#define SUPERVISE_STRANGER_H

#include "mem/client.h"

struct client *stranger_new(pid_t pid); /* NULL when there is no memory for it, which the journal copes with */

#endif
