/* SPDX-License-Identifier: MIT */
/* Answers trapped system calls: receive, identify, dispatch to the machine, respond. */
#ifndef SUPERVISE_NOTIFY_H
#define SUPERVISE_NOTIFY_H

#include "supervise/kvm.h"
#include "supervise/stand_in.h"
#include "supervise/tracee.h"

enum { NOTIFY_CHUNK = 65536 }; /* of a read or write that goes through us */

struct notifier {
	struct tracees *tracees;   /* borrowed */
	struct tracer *tracer;	   /* owned; NULL until a program maps precise pages */
	pid_t program;		   /* the room's first process */
	int listener;		   /* borrowed */
	struct stand_in *stand_in; /* owned */
	struct kvm_sets kvm;	   /* what virtual machines of the host were told of our files */
	u8 buffer[NOTIFY_CHUNK];   /* what such a call moves */
};

/* Makes switching to and from the supervisor cheap where the kernel can (Linux 6.6); harmless elsewhere. */
void notify_tune(int listener);

/* One notification, if there is one. false when the room's last process has gone. */
bool notify_handle(struct notifier *notifier);

/* One that the stand-in has kept. */
void notify_handle_kept(struct notifier *notifier);

/* For the stand-in: a call that is certainly none of ours, however it is looked at. */
bool notify_lets_go(int listener, const struct seccomp_notif *request);

#endif
