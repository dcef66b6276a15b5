/* SPDX-License-Identifier: MIT */
/*
 * A thread that stands in for the one that answers trapped calls when that is held up: it waits for memory of a
 * program whose page comes from a file system that another program of the room serves (FUSE, userfaultfd), and that
 * one's next call is trapped as well. The stand-in lets go on what is certainly none of ours, and keeps the rest.
 */
#ifndef SUPERVISE_STAND_IN_H
#define SUPERVISE_STAND_IN_H

#include <linux/seccomp.h>
#include <stdbool.h>

#include "base/why.h"

struct stand_in;

/* May the call go on? Asked by the stand-in's thread: must wait for no lock that the other may hold, nor for memory. */
typedef bool stand_in_judge(int listener, const struct seccomp_notif *request);

/* listener: borrowed. */
int stand_in_start(int listener, stand_in_judge *lets_go, struct stand_in **ret, struct why *why);
void stand_in_stop(struct stand_in *stand_in); /* NULL is legal */

/* What follows is for the thread that is stood in for. */

/* Around all that it does between two waits for events. */
void stand_in_busy(struct stand_in *stand_in);
void stand_in_idle(struct stand_in *stand_in);

/* The next call: 1, 0 when it was received by the stand-in already, or -1 with errno. */
int stand_in_receive(struct stand_in *stand_in, struct seccomp_notif *ret);

/* Readable when there are calls that were kept; the oldest of them, false when there is none. */
int stand_in_events(const struct stand_in *stand_in);
bool stand_in_kept(struct stand_in *stand_in, struct seccomp_notif *ret);

#endif
