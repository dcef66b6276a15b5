/* SPDX-License-Identifier: MIT */
/* The chain of capabilities behind an INFO structure. */
#ifndef VFIO_INFO_H
#define VFIO_INFO_H

#include "isolde/abi/vfio.h"
#include "mem/client.h"

struct info_chain {
	u8 *bytes;     /* owned */
	size_t size;   /* capabilities start at multiples of 8 */
	size_t newest; /* offset of the one added last */
};

#define INFO_CHAIN_INIT                                                                                                \
	{                                                                                                              \
		.bytes = NULL                                                                                          \
	}

/* Appends a zeroed capability of size bytes, header included; NULL with why filled. The pointer lasts until the next.
 */
void *info_chain_add(struct info_chain *chain, u16 id, u16 version, size_t size, struct why *why);
void info_chain_fini(struct info_chain *chain);

/*
 * Copies the structure and the chain behind it to the client, when argsz has room for both. The structure has argsz
 * first and its own offset of the chain at *cap_offset; both are set. Of the structure only argsz bytes are written.
 */
int info_write(struct client *client, u64 arg, void *info, size_t size, u32 *cap_offset, struct info_chain *chain,
	       struct why *why);

#endif
