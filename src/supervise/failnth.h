/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/task/TID/fail-nth, as a kernel with fault injection has it: N written to it makes the N-th fallible step of
 * that thread's requests to the machine fail, once; read back it says how many are left, 0 when it has happened.
 */
#ifndef SUPERVISE_FAILNTH_H
#define SUPERVISE_FAILNTH_H

#include "base/lock.h"
#include "mem/file.h"

struct failures {
	struct mutex lock;
	struct list armed; /* struct failure: threads with a count; under lock */
};

void failures_init(struct failures *failures);
void failures_fini(struct failures *failures);

/* The file of a thread, to be given to a client. Reads and writes come with failures; it outlives the file. */
int failures_file(struct failures *failures, pid_t process, pid_t thread, struct file **ret, struct why *why);

/*
 * This thread of ours acts for that thread between the two: its steps count. failures may be NULL: the room has none.
 */
void failures_enter(struct failures *failures, pid_t thread);
void failures_leave(struct failures *failures, pid_t thread);

#define COUNTED(failures, thread, call)                                                                                \
	({                                                                                                             \
		__typeof__(call) counted_;                                                                             \
                                                                                                                       \
		failures_enter(failures, thread);                                                                      \
		counted_ = (call);                                                                                     \
		failures_leave(failures, thread);                                                                      \
		counted_;                                                                                              \
	})

#endif
