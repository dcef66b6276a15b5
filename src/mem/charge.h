/* SPDX-License-Identifier: MIT */
/*
 * Charges against RLIMIT_MEMLOCK: what type1 locks for a client, and what iommufd pins for one. Under machine.lock.
 */
#ifndef MEM_CHARGE_H
#define MEM_CHARGE_H

#include "mem/client.h"

/* ---- type1: embedded in what it pays for and ended by that object's destructor ---- */

struct charge {
	struct client *client; /* ref; NULL when nothing is charged */
	u64 bytes;
};

/*
 * Charges bytes to client. MEMLOCK_EXCEEDED (ENOMEM) says what is locked already, the limit and this request. A client
 * with CAP_IPC_LOCK is counted but not limited.
 */
int charge_init(struct charge *charge, struct client *client, u64 bytes, struct why *why);
/* Would it? Nothing changes. */
int charge_check(struct client *client, u64 bytes, struct why *why);
/* More for the same, or for a first client of a zeroed charge; likewise. On failure nothing changed. */
int charge_grow(struct charge *charge, struct client *client, u64 bytes, struct why *why);
void charge_shrink(struct charge *charge, u64 bytes);
void charge_fini(struct charge *charge); /* legal on a zeroed charge */

/* ---- iommufd: pins, which grow and shrink (spec 03 section 3.9) ---- */

enum charge_mode {
	CHARGE_NONE, /* no limit: the mapper had CAP_IPC_LOCK, or nothing is pinned */
	CHARGE_USER, /* the user's pins, of all processes, against the limit of the one who maps */
	CHARGE_MM,   /* the process's pins, and what it has locked besides, against its limit */
	CHARGE_MODES,
};

/* What the users of a machine have pinned in mode CHARGE_USER. All zero is empty. */
struct accounts {
	struct account *at; /* owned; never taken out: as many as there were users */
	size_t count, room;
};
void accounts_fini(struct accounts *accounts); /* asserts that nothing is pinned */

/* Whom pins of one mapping count against; settled when it is made. */
struct payer {
	enum charge_mode mode;
	u32 account; /* of accounts; CHARGE_USER only */
};

/* wanted: CHARGE_USER or CHARGE_MM, which is CHARGE_NONE for a client with CAP_IPC_LOCK now. OUT_OF_MEMORY. */
int payer_settle(struct accounts *accounts, struct client *client, enum charge_mode wanted, struct payer *ret,
		 struct why *why);
/* For a mapping that is settled but changes hands: the account of the user that the client is now. OUT_OF_MEMORY. */
int payer_set_account(struct accounts *accounts, struct client *client, struct payer *payer, struct why *why);
/* The client pins so many bytes more. MEMLOCK_EXCEEDED as above. */
int payer_charge(struct accounts *accounts, const struct payer *payer, struct client *client, u64 bytes,
		 struct why *why);
void payer_uncharge(struct accounts *accounts, const struct payer *payer, struct client *client, u64 bytes);

u64 accounts_of_user(const struct accounts *accounts, u32 uid); /* bytes */

#endif
