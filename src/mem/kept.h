/* SPDX-License-Identifier: MIT */
/*
 * Our mappings of memory files that programs have descriptors of: a device's registers. A program can cut such a file
 * short (O_TRUNC on /proc/self/fd/N is enough, and there are more ways than anybody can watch), and the next access of
 * ours would end us all. So the file grows back at that access: what was cut off reads as zero, which is the program's
 * own loss, and the access is made again.
 */
#ifndef MEM_KEPT_H
#define MEM_KEPT_H

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/why.h"

#define KEPT_NAME 64

struct kept_map;

/*
 * [offset, offset + size) of a file that stays open for as long. The owner is whoever asks for what happened
 * (kept_next_cut()); name says whose memory it is. Nothing grows back yet.
 */
int kept_map_new(const void *owner, const char *name, int fd, u64 offset, u64 size, struct kept_map **ret,
		 struct why *why);
void kept_map_free(struct kept_map *map); /* unmaps; NULL is legal */
DEFINE_FREE(kept_map)

void *kept_memory(const struct kept_map *map); /* NULL for NULL */

/* How long the file must be from now on; 0: whatever it is, it is ours to cut, and nobody is at the memory. */
void kept_expect(struct kept_map *map, u64 file_size);

/* Of each map of the owner that grew back, the first time: false when there is none left, else its name. */
bool kept_next_cut(const void *owner, char name[static KEPT_NAME]);

/* In the handler of SIGBUS: has the address come back, so that the access can be made again? */
bool kept_restore(const void *address);

#endif
