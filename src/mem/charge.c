/* SPDX-License-Identifier: MIT */
#include "mem/charge.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"

/* What /proc/PID/status says of a process. */
struct powers {
	u64 mlocked; /* bytes under mlock(2), which the host counts against the same limit */
	u32 uid;     /* real: whose pins they are */
	bool may_lock_any;
};

static struct powers powers_of(pid_t pid)
{
	char text[OS_STATUS_TEXT];

	os_task_status(pid, text);
	/* A process without memory has no VmLck. */
	return (struct powers){
		.mlocked = os_status_number(text, "VmLck", 10) << 10,
		.uid = (u32)os_status_number(text, "Uid", 10),
		.may_lock_any = os_status_number(text, "CapEff", 16) & BIT(CAP_IPC_LOCK),
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

static int refuse_locked(const struct client *client, const char *whose, u64 locked, u64 limit, u64 bytes,
			 struct why *why)
{
	char who[CLIENT_DESCRIPTION];

	return refuse(why, MEMLOCK_EXCEEDED,
		      "%s%s has %llu bytes locked, RLIMIT_MEMLOCK is %llu, and this request needs %llu more", whose,
		      client_describe(client, who), (unsigned long long)locked, (unsigned long long)limit,
		      (unsigned long long)bytes);
}

static bool within(u64 limit, u64 locked, u64 bytes)
{
	return bytes <= limit && locked <= limit - bytes;
}

/* ---- type1 ---- */

int charge_check(struct client *client, u64 bytes, struct why *why)
{
	u64 limit = memlock_limit(client->pid), locked = client->locked_bytes;
	struct powers powers = {0};
	bool enough = true;

	if (limit != UINT64_MAX) {
		powers = powers_of(client->own ? gettid() : client_task(client));
		locked += powers.mlocked;
		enough = powers.may_lock_any || within(limit, locked, bytes);
	}
	if (!fallible() || !enough)
		return refuse_locked(client, "", locked, limit, bytes, why);
	return 0;
}

int charge_grow(struct charge *charge, struct client *client, u64 bytes, struct why *why)
{
	int err = charge_check(client, bytes, why);

	assert(!charge->client || charge->client == client);
	if (err < 0)
		return err;
	if (!charge->client)
		charge->client = client_get(client);
	charge->bytes += bytes;
	client->locked_bytes += bytes;
	return 0;
}

int charge_init(struct charge *charge, struct client *client, u64 bytes, struct why *why)
{
	*charge = (struct charge){.client = NULL};
	return charge_grow(charge, client, bytes, why);
}

void charge_shrink(struct charge *charge, u64 bytes)
{
	assert(charge->bytes >= bytes);
	if (!bytes)
		return;
	assert(charge->client->locked_bytes >= bytes);
	charge->client->locked_bytes -= bytes;
	charge->bytes -= bytes;
}

void charge_fini(struct charge *charge)
{
	if (!charge->client)
		return;
	charge_shrink(charge, charge->bytes);
	client_put(charge->client);
	*charge = (struct charge){.client = NULL};
}

/* ---- iommufd ---- */

struct account {
	u32 uid;
	u64 locked_bytes;
};

void accounts_fini(struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->count; i++)
		assert(accounts->at[i].locked_bytes == 0);
	free(accounts->at);
	*accounts = (struct accounts){.at = NULL};
}

static int account_of(struct accounts *accounts, u32 uid, u32 *ret, struct why *why)
{
	int err;

	for (u32 i = 0; i < accounts->count; i++) {
		if (accounts->at[i].uid == uid) {
			*ret = i;
			return 0;
		}
	}
	err = alloc_grow((void **)&accounts->at, &accounts->room, accounts->count, sizeof(accounts->at[0]), why);
	if (err < 0)
		return err;
	*ret = (u32)accounts->count++;
	accounts->at[*ret].uid = uid;
	return 0;
}

/* Asked of the host: one system call, where the text of a file would cost twenty. */
static struct powers ask_own_powers(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	struct powers powers = {0};

	syscall(SYS_capget, &header, data);
	powers.may_lock_any = data[0].effective & BIT(CAP_IPC_LOCK);
	if (!powers.may_lock_any)
		powers.uid = getuid();
	return powers;
}

/* As of this tick of the host's clock: even one system call is half of what a map costs. */
static struct powers own_powers(struct client *client)
{
	struct timespec now;
	u64 tick;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	tick = (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
	if (tick != client->powers.asked) {
		struct powers powers = ask_own_powers();

		client->powers.asked = tick;
		client->powers.uid = powers.uid;
		client->powers.may_lock_any = powers.may_lock_any;
	}
	return (struct powers){.uid = client->powers.uid, .may_lock_any = client->powers.may_lock_any};
}

int payer_settle(struct accounts *accounts, struct client *client, enum charge_mode wanted, struct payer *ret,
		 struct why *why)
{
	struct powers powers = client->own ? own_powers(client) : powers_of(client_task(client));
	struct payer payer = {.mode = powers.may_lock_any ? CHARGE_NONE : wanted};
	int err = payer.mode == CHARGE_USER ? account_of(accounts, powers.uid, &payer.account, why) : 0;

	if (err == 0)
		*ret = payer;
	return err;
}

int payer_set_account(struct accounts *accounts, struct client *client, struct payer *payer, struct why *why)
{
	return account_of(accounts, client->own ? getuid() : powers_of(client->pid).uid, &payer->account, why);
}

/* drivers/iommu/iommufd/pages.c:incr_user_locked_vm(): what the user has under mlock(2) does not count. */
static int check_user(const struct account *account, const struct client *client, u64 bytes, struct why *why)
{
	u64 limit = memlock_limit(client->pid);
	char whose[40];

	if (within(limit, account->locked_bytes, bytes))
		return 0;
	snprintf(whose, sizeof(whose), "user %u, as ", account->uid);
	return refuse_locked(client, whose, account->locked_bytes, limit, bytes, why);
}

static int check_process(const struct client *client, u64 bytes, struct why *why)
{
	u64 limit = memlock_limit(client->pid), locked = client->locked_bytes;

	if (limit != UINT64_MAX)
		locked += powers_of(client->pid).mlocked;
	return within(limit, locked, bytes) ? 0 : refuse_locked(client, "", locked, limit, bytes, why);
}

int payer_charge(struct accounts *accounts, const struct payer *payer, struct client *client, u64 bytes,
		 struct why *why)
{
	struct account *account = payer->mode == CHARGE_USER ? &accounts->at[payer->account] : NULL;
	int err = 0;

	if (!fallible())
		return refuse_locked(client, "", client->pinned_bytes, 0, bytes, why);
	if (account)
		err = check_user(account, client, bytes, why);
	else if (payer->mode == CHARGE_MM)
		err = check_process(client, bytes, why);
	if (err < 0)
		return err;
	if (account)
		account->locked_bytes += bytes;
	else if (payer->mode == CHARGE_MM)
		client->locked_bytes += bytes;
	client->pinned_bytes += bytes;
	return 0;
}

void payer_uncharge(struct accounts *accounts, const struct payer *payer, struct client *client, u64 bytes)
{
	assert(client->pinned_bytes >= bytes);
	client->pinned_bytes -= bytes;
	if (payer->mode == CHARGE_USER) {
		assert(accounts->at[payer->account].locked_bytes >= bytes);
		accounts->at[payer->account].locked_bytes -= bytes;
	} else if (payer->mode == CHARGE_MM) {
		assert(client->locked_bytes >= bytes);
		client->locked_bytes -= bytes;
	}
}

u64 accounts_of_user(const struct accounts *accounts, u32 uid)
{
	for (size_t i = 0; i < accounts->count; i++)
		if (accounts->at[i].uid == uid)
			return accounts->at[i].locked_bytes;
	return 0;
}
