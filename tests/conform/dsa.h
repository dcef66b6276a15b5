/* SPDX-License-Identifier: MIT */
/*
 * A Data Streaming Accelerator, driven as far as tests of PASIDs need it: work queues that differ in where the PASID of
 * their descriptors comes from, and descriptors that copy. Words and numbers are the specification's (Intel 341204).
 */
#ifndef TESTS_CONFORM_DSA_H
#define TESTS_CONFORM_DSA_H

#include "tests/conform/vfio.h"

struct dsa {
	int device;
	volatile u8 *registers, *portals;
};

enum {
	DSA_PLAIN,     /* requests without a PASID */
	DSA_DEDICATED, /* with the one that the queue was told */
	DSA_SHARED,    /* with that of the process that stores the descriptor by ENQCMD */
	DSA_QUEUES,
};

/* One queue of each kind, by these numbers; pasid is the dedicated one's. Starts anew what runs already. */
struct dsa start_dsa(int device, u32 pasid);
void unmap_dsa(struct dsa *dsa);

/* 64 bytes from source to destination; the completion record, 32 bytes, goes to `record`. All are IOVAs. */
void copy_dsa(const struct dsa *dsa, unsigned queue, u64 destination, u64 source, u64 record);
/* Waits for the first byte of a record, and returns it: 1 is success. Not when the device says that none will come. */
u8 await_dsa(const struct dsa *dsa, volatile const u8 *record);
/* Waits for the error that no record could tell; returns its PASID and forgets it. */
u32 await_dsa_error(const struct dsa *dsa);
bool has_dsa_error(const struct dsa *dsa);

#endif
