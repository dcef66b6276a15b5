/* SPDX-License-Identifier: MIT */
/*
 * The blocks of a namespace: sparse memory, or a file of the host.
 *
 * Memory can be the source and target of DMA directly. A file cannot be mapped for that (whoever truncates it would
 * kill us with SIGBUS), so its bytes go through a bounce buffer with pread and pwrite.
 *
 * Durability: the medium is the file as the host shows it, page cache included, which a killed isolde leaves intact.
 * Flush and Force Unit Access go one further and make the host write it down.
 */
#ifndef DEV_NVME_DISK_H
#define DEV_NVME_DISK_H

#include "base/bits.h"
#include "base/why.h"

struct model_options;

struct nvme_disk {
	u64 size, blocks;
	unsigned block_shift; /* 9 or 12 */
	int fd;		      /* owned: the memory file or the disk file; -1 before init */
	u8 *memory;	      /* owned mapping; NULL: a file */
	u8 *bounce;	      /* owned, of bounce_size */
	u64 bounce_size;

	/* Of memory that may be moved: a bit for each chunk; owned, NULL where nobody will ask. */
	u64 *written; /* it may be other than zero */
	u64 *unsent;  /* ... and has changed since it was sent */
	u64 round;    /* which word of unsent is next */
};

enum { NVME_DISK_CHUNK = 64 << 10 };

#define NVME_DISK_INIT                                                                                                 \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}

/*
 * Options: block=512|4096; disk=PATH, or size=BYTES[KMGT] for memory (ignored beside disk). bounce_size is the largest
 * transfer. MODEL_OPTION_INVALID, DISK_UNUSABLE. disk is NVME_DISK_INIT.
 */
int nvme_disk_init(struct nvme_disk *disk, const struct model_options *options, u64 bounce_size, struct why *why);
void nvme_disk_fini(struct nvme_disk *disk);

/*
 * Where the device's side of a transfer is: the blocks themselves, or the bounce buffer. After fetch() it holds the
 * blocks; store() makes its bytes the blocks'. offset and size are in bytes, inside the disk. False: the host failed.
 */
u8 *nvme_disk_window(struct nvme_disk *disk, u64 offset);
bool nvme_disk_fetch(struct nvme_disk *disk, u64 offset, u64 size);
bool nvme_disk_store(struct nvme_disk *disk, u64 offset, u64 size);

bool nvme_disk_equal(struct nvme_disk *disk, u64 offset, u64 size, const u8 *bytes);
bool nvme_disk_zero(struct nvme_disk *disk, u64 offset, u64 size);    /* reads as zero afterwards */
void nvme_disk_discard(struct nvme_disk *disk, u64 offset, u64 size); /* a hint: zero, or as before */
bool nvme_disk_flush(struct nvme_disk *disk);

/* Notes from now on what is written. OUT_OF_MEMORY. */
int nvme_disk_map(struct nvme_disk *disk, struct why *why);
u64 nvme_disk_map_size(const struct nvme_disk *disk); /* bytes of written, and of unsent */
/* Before blocks change other than by zero() and discard(). */
void nvme_disk_note(struct nvme_disk *disk, u64 offset, u64 size);

#endif
