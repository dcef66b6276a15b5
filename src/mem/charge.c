/* SPDX-License-Identifier: MIT */
#include "mem/charge.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/alloc.h"

#define CAP_IPC_LOCK 14

/* What /proc/PID/status says of a process. */
struct powers {
	u64 mlocked; /* bytes under mlock(2), which the host counts against the same limit */
	bool may_lock_any;
};

/* Not line by line through stdio: that would cost more than all the rest of a map. */
static struct powers powers_of(pid_t pid)
{
	char path[32], text[4096];
	const char *mlocked, *effective;
	ssize_t size;
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	text[size > 0 ? size : 0] = '\0';
	/* A process without memory has no VmLck. */
	mlocked = strstr(text, "\nVmLck:");
	effective = strstr(text, "\nCapEff:");
	return (struct powers){
		.mlocked = mlocked ? strtoull(mlocked + strlen("\nVmLck:"), NULL, 10) << 10 : 0,
		.may_lock_any = effective && strtoull(effective + strlen("\nCapEff:"), NULL, 16) & BIT(CAP_IPC_LOCK),
	};
}

/* The text of /proc/PID/limits, for processes whose limits prlimit() may not ask for (another user's). */
static u64 limit_from_text(pid_t pid)
{
	unsigned long long limit = UINT64_MAX;
	char path[32], line[128];
	FILE *limits;

	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	limits = fopen(path, "re");
	while (limits && fgets(line, sizeof(line), limits))
		if (sscanf(line, "Max locked memory %llu", &limit) == 1)
			break;
	if (limits)
		fclose(limits);
	return limit;
}

static u64 memlock_limit(pid_t pid)
{
	struct rlimit limit;

	if (prlimit(pid, RLIMIT_MEMLOCK, NULL, &limit) < 0)
		return limit_from_text(pid);
	return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

int charge_init(struct charge *charge, struct client *client, u64 bytes, struct why *why)
{
	u64 limit = memlock_limit(client->pid), locked = client->locked_bytes;
	struct powers powers = {0};
	char who[CLIENT_DESCRIPTION];
	bool enough = true;

	if (limit != UINT64_MAX) {
		powers = powers_of(client->pid);
		locked += powers.mlocked;
		enough = powers.may_lock_any || (bytes <= limit && locked <= limit - bytes);
	}
	if (!fallible() || !enough)
		return refuse(why, MEMLOCK_EXCEEDED,
			      "%s has %llu bytes locked, RLIMIT_MEMLOCK is %llu, and this request needs %llu more",
			      client_describe(client, who), (unsigned long long)locked, (unsigned long long)limit,
			      (unsigned long long)bytes);
	charge->client = client_get(client);
	charge->bytes = bytes;
	client->locked_bytes += bytes;
	return 0;
}

void charge_fini(struct charge *charge)
{
	if (!charge->client)
		return;
	assert(charge->client->locked_bytes >= charge->bytes);
	charge->client->locked_bytes -= charge->bytes;
	client_put(charge->client);
	*charge = (struct charge){.client = NULL};
}
