/* SPDX-License-Identifier: MIT */
/*
 * Runs an unmodified program in a machine room: its own mount namespace with the machine's /sys and /dev/vfio, and a
 * seccomp filter that brings the calls that matter here. It emulates; it does not confine.
 */
#ifndef SUPERVISE_SUPERVISE_H
#define SUPERVISE_SUPERVISE_H

#include "base/why.h"
#include "machine/machine.h"
#include "supervise/inherited.h"

struct run_options {
	char *const *argv;	     /* NULL-terminated; argv[0] is looked up in PATH */
	bool quiet;		     /* no refusal lines on stderr; the journal still has them */
	bool json;		     /* refusal lines as JSON objects, one a line */
	const char *journal_path;    /* file that receives each refusal as a JSON line; NULL: none */
	struct inherited *inherited; /* by inherited_set_aside(), which the program gets back */
	const char *inspect_path;    /* socket to answer `isolde inspect` on (supervise/inspector.h); NULL: none */
};

/*
 * Returns the exit status to pass on: the program's, or 128 + signal. -errno with why when the room could not be set
 * up: ROOM_UNAVAILABLE says what the host lacks and what to do. 126/127 as a shell when the program cannot be run.
 */
int supervise_run(struct machine *machine, const struct run_options *options, struct why *why);

/* One thing `run` needs of the host. */
struct doctor_finding {
	const char *what; /* "seccomp user notification" */
	bool ok, required;
	char detail[400]; /* what was seen; if not ok, what to do */
};
/* Tries each on this host; returns how many findings were written. */
unsigned supervise_doctor(struct doctor_finding *ret, unsigned max);

#endif
