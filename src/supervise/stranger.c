/* SPDX-License-Identifier: MIT */
#include "supervise/stranger.h"

#include <stdlib.h>

#include "base/alloc.h"

static void free_stranger(struct client *client)
{
	free(client);
}

struct client *stranger_new(pid_t pid)
{
	static const struct client_ops ops = {.free = free_stranger};
	struct why why;
	struct client *client = alloc_new(struct client, &why);

	if (client)
		client_init(client, &ops, pid);
	return client;
}
