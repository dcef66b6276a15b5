/* SPDX-License-Identifier: MIT */
#include "vfio/info.h"

#include "base/alloc.h"

void *info_chain_add(struct info_chain *chain, u16 id, u16 version, size_t size, struct why *why)
{
	size_t at = chain->size;
	u8 *bytes = alloc_zero(align_up(at + size, 8), why);
	struct vfio_info_cap_header *header;

	if (!bytes)
		return NULL;
	if (at) {
		memcpy(bytes, chain->bytes, at);
		header = (void *)(bytes + chain->newest);
		header->next = (u32)at;
	}
	free(chain->bytes);
	chain->bytes = bytes;
	chain->newest = at;
	chain->size = align_up(at + size, 8);
	header = (void *)(bytes + at);
	header->id = id;
	header->version = version;
	return header;
}

void info_chain_fini(struct info_chain *chain)
{
	free(chain->bytes);
	*chain = (struct info_chain)INFO_CHAIN_INIT;
}

/* Offsets count from the start of the structure, which is size bytes long. */
static void shift(struct info_chain *chain, size_t size)
{
	struct vfio_info_cap_header *header;

	for (size_t at = 0;; at = header->next - size) {
		header = (void *)(chain->bytes + at);
		if (!header->next)
			return;
		header->next += (u32)size;
	}
}

int info_write(struct client *client, u64 arg, void *info, size_t size, u32 *cap_offset, struct info_chain *chain,
	       struct why *why)
{
	u32 argsz = get_u32(info);
	int err;

	*cap_offset = 0;
	if (chain->size && argsz < size + chain->size)
		put_u32(info, (u32)(size + chain->size));
	else if (chain->size) {
		shift(chain, size);
		err = client_write(client, arg + size, chain->bytes, chain->size, why);
		if (err < 0)
			return err;
		*cap_offset = (u32)size;
	}
	return client_write(client, arg, info, min_u64(argsz, size), why);
}
