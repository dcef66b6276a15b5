/* SPDX-License-Identifier: MIT */
/* A charge against a client's RLIMIT_MEMLOCK, embedded in what it pays for and ended by that object's destructor. */
#ifndef MEM_CHARGE_H
#define MEM_CHARGE_H

#include "mem/client.h"

/* Whose count a charge is held against (spec 03 section 3.9). */
enum charge_mode {
	CHARGE_NONE, /* nobody's: the client may lock without limit */
	CHARGE_USER, /* the user's, of all processes together */
	CHARGE_MM,   /* the address space's */
};

struct charge {
	struct client *client; /* ref; NULL when nothing is charged */
	u64 bytes;
};

/*
 * Charges bytes to client. MEMLOCK_EXCEEDED (ENOMEM) says what is locked already, the limit and this request. A client
 * with CAP_IPC_LOCK is counted but not limited. Under machine.lock.
 */
int charge_init(struct charge *charge, struct client *client, u64 bytes, struct why *why);
void charge_fini(struct charge *charge); /* legal on a zeroed charge */

#endif
