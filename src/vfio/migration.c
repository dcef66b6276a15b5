/* SPDX-License-Identifier: MIT */
/*
 * The states. A request for one walks there arc by arc, over the table of spec 05 section 12; states that the device
 * lacks are passed by. What an arc does follows from what its two states are: how active the device is in each, and
 * whether a transfer is under way.
 *
 * The one arc that can fail is the first one out of RESUMING, where the model takes what has come in. So it goes first;
 * then what the last arc needs is made and given, and then nothing can fail any more. Linux's drivers go the arcs
 * first, and leave the device where it is when the descriptor cannot be given.
 */
#include "vfio/migration.h"

#include "base/cleanup.h"
#include "vfio/dma_logging.h"
#include "vfio/feature.h"
#include "vfio/pci.h"

#define STATE(name) VFIO_DEVICE_STATE_##name

enum transfer_kind { TRANSFER_NONE, TRANSFER_OUT, TRANSFER_IN };

static const struct state {
	const char *name;
	u64 needs; /* VFIO_MIGRATION_* */
	enum pci_activity activity;
	enum transfer_kind transfer;
} states[VFIO_DEVICE_STATE_NR] = {
	[STATE(ERROR)] = {"ERROR", 0, PCI_STOPPED, TRANSFER_NONE},
	[STATE(STOP)] = {"STOP", VFIO_MIGRATION_STOP_COPY, PCI_STOPPED, TRANSFER_NONE},
	[STATE(RUNNING)] = {"RUNNING", VFIO_MIGRATION_STOP_COPY, PCI_ACTIVE, TRANSFER_NONE},
	[STATE(STOP_COPY)] = {"STOP_COPY", VFIO_MIGRATION_STOP_COPY, PCI_STOPPED, TRANSFER_OUT},
	[STATE(RESUMING)] = {"RESUMING", VFIO_MIGRATION_STOP_COPY, PCI_STOPPED, TRANSFER_IN},
	[STATE(RUNNING_P2P)] = {"RUNNING_P2P", VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P, PCI_PASSIVE,
				TRANSFER_NONE},
	[STATE(PRE_COPY)] = {"PRE_COPY", VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY, PCI_ACTIVE, TRANSFER_OUT},
	[STATE(PRE_COPY_P2P)] = {"PRE_COPY_P2P",
				 VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY, PCI_PASSIVE,
				 TRANSFER_OUT},
};

/* Where to go next on the way from a row's state to a column's; 0, which is ERROR, where there is no way. */
#define ROW(from, stop, running, pre_copy, pre_copy_p2p, stop_copy, resuming, running_p2p)                             \
	[STATE(from)] = {                                                                                              \
		[STATE(STOP)] = STATE(stop),                                                                           \
		[STATE(RUNNING)] = STATE(running),                                                                     \
		[STATE(PRE_COPY)] = STATE(pre_copy),                                                                   \
		[STATE(PRE_COPY_P2P)] = STATE(pre_copy_p2p),                                                           \
		[STATE(STOP_COPY)] = STATE(stop_copy),                                                                 \
		[STATE(RESUMING)] = STATE(resuming),                                                                   \
		[STATE(RUNNING_P2P)] = STATE(running_p2p),                                                             \
	}

/* clang-format off */
static const u8 next_states[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR] = {
	/*  from          STOP         RUNNING      PRE_COPY     PRE_COPY_P2P  STOP_COPY     RESUMING     RUNNING_P2P */
	ROW(STOP,         STOP,        RUNNING_P2P, RUNNING_P2P, RUNNING_P2P,  STOP_COPY,    RESUMING,    RUNNING_P2P),
	ROW(RUNNING,      RUNNING_P2P, RUNNING,     PRE_COPY,    RUNNING_P2P,  RUNNING_P2P,  RUNNING_P2P, RUNNING_P2P),
	ROW(PRE_COPY,     RUNNING,     RUNNING,     PRE_COPY,    PRE_COPY_P2P, PRE_COPY_P2P, RUNNING,     RUNNING),
	ROW(PRE_COPY_P2P, RUNNING_P2P, RUNNING_P2P, PRE_COPY,    PRE_COPY_P2P, STOP_COPY,    RUNNING_P2P, RUNNING_P2P),
	ROW(STOP_COPY,    STOP,        STOP,        ERROR,       ERROR,        STOP_COPY,    STOP,        STOP),
	ROW(RESUMING,     STOP,        STOP,        STOP,        STOP,         STOP,         RESUMING,    STOP),
	ROW(RUNNING_P2P,  STOP,        RUNNING,     RUNNING,     PRE_COPY_P2P, STOP,         STOP,        RUNNING_P2P),
};
/* clang-format on */

const char *migration_state_name(u32 state)
{
	return state < VFIO_DEVICE_STATE_NR ? states[state].name : "unknown";
}

static bool has_state(u64 flags, u32 state)
{
	return (states[state].needs & ~flags) == 0;
}

int migration_next_state(u64 flags, u32 from, u32 to, u32 *ret, struct why *why)
{
	u32 next = from;

	if (to >= VFIO_DEVICE_STATE_NR || to == VFIO_DEVICE_STATE_ERROR || !has_state(flags, to))
		return refuse(why, MIGRATION_TARGET, "state %u (%s) cannot be asked for of a device with flags %#llx",
			      to, migration_state_name(to), (unsigned long long)flags);
	do
		next = next_states[next][to];
	while (next != VFIO_DEVICE_STATE_ERROR && !has_state(flags, next));
	if (next == VFIO_DEVICE_STATE_ERROR)
		return refuse(why, MIGRATION_ARC, "no way leads from %s to %s", migration_state_name(from),
			      migration_state_name(to));
	*ret = next;
	return 0;
}

u64 migration_flags(const struct vfio_device *device)
{
	const struct pci_migration_ops *ops = device->function->migration;

	if (!ops || device->soft)
		return 0;
	return VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | (ops->pre_copy ? VFIO_MIGRATION_PRE_COPY : 0);
}

/* ---- arcs ---- */

static void set_activity(const struct pci_session *session, enum pci_activity activity)
{
	session->function->migration->activity(session->function, activity);
}

static void drop_transfer(struct migration *migration)
{
	transfer_free(migration->transfer);
	migration->transfer = NULL;
}

/* *transfer is what the next one that begins is to be; whoever takes it sets it to NULL. */
static void take_arc(struct pci_session *session, u32 next, struct migration_transfer **transfer)
{
	struct migration *migration = &session->migration;
	const struct state *from = &states[migration->state], *to = &states[next];

	if (from->transfer != to->transfer)
		drop_transfer(migration);
	if (from->activity != to->activity)
		set_activity(session, to->activity);
	if (from->transfer != to->transfer && to->transfer != TRANSFER_NONE) {
		migration->transfer = take(*transfer);
		transfer_begin(migration->transfer);
	}
	migration->state = next;
}

/* Is there a way, and does a transfer begin with its last arc? Never with one before. */
static int decode_way(const struct pci_session *session, u32 target, bool *ret_begins, struct why *why)
{
	u64 flags = migration_flags(session->device);

	*ret_begins = false;
	for (u32 state = session->migration.state, next = state; state != target; state = next) {
		int err = migration_next_state(flags, state, target, &next, why);

		if (err < 0)
			return err;
		assert(!*ret_begins);
		*ret_begins = states[next].transfer != TRANSFER_NONE && states[next].transfer != states[state].transfer;
	}
	return 0;
}

/*
 * What is incomplete can be completed, and what there was no memory for tried again. What is wrong has half become the
 * device's: only a reset helps.
 */
static int leave_resuming(struct pci_session *session, struct why *why)
{
	struct migration *migration = &session->migration;
	int err = transfer_load(migration->transfer, why);

	if (err == 0 || (why->code != WHY_MIGRATION_STREAM && why->code != WHY_DEVICE_STATE))
		return err;
	drop_transfer(migration);
	migration->state = VFIO_DEVICE_STATE_ERROR;
	return err;
}

/* ---- MIG_DEVICE_STATE ---- */

static int answer(const struct feature_request *request, struct vfio_device_feature_mig_state *mig, int fd,
		  struct why *why)
{
	mig->data_fd = fd;
	return client_write(request->client, request->data, mig, sizeof(*mig), why);
}

/*
 * The answer is tried before the descriptor is given: if it cannot be written, nothing has happened yet. A program that
 * takes its memory away in between has a descriptor that is over.
 */
static int begin_transfer(const struct feature_request *request, struct vfio_device_feature_mig_state *mig,
			  struct migration_transfer **ret, struct why *why)
{
	bool saving = states[mig->device_state].transfer == TRANSFER_OUT;
	struct migration_transfer *transfer = NULL;
	int fd = transfer_new(request->session, saving, &transfer, why);

	if (fd == 0)
		fd = answer(request, mig, -1, why);
	if (fd == 0)
		fd = transfer_give(transfer, request->client, why);
	if (fd >= 0)
		fd = answer(request, mig, fd, why);
	if (fd < 0) {
		transfer_free(transfer);
		return fd;
	}
	*ret = transfer;
	return 0;
}

static int set_state(const struct feature_request *request, struct vfio_device_feature_mig_state *mig, struct why *why)
{
	struct pci_session *session = request->session;
	struct migration_transfer *transfer = NULL;
	u32 target = mig->device_state, next = target;
	bool begins = false;
	int err = decode_way(session, target, &begins, why);

	if (err == 0 && session->migration.state == VFIO_DEVICE_STATE_RESUMING && target != VFIO_DEVICE_STATE_RESUMING)
		err = leave_resuming(session, why);
	if (err == 0)
		err = begins ? begin_transfer(request, mig, &transfer, why) : answer(request, mig, -1, why);
	if (err < 0)
		return err;
	while (session->migration.state != target) {
		struct why never;

		err = migration_next_state(migration_flags(session->device), session->migration.state, target, &next,
					   &never);
		assert(err == 0);
		take_arc(session, next, &transfer);
	}
	assert(!transfer);
	return 0;
}

/* As Linux: the structure goes back after a refusal too, as it came but for the descriptor. */
static long refuse_state(const struct feature_request *request, struct vfio_device_feature_mig_state *mig, u32 from,
			 struct why *why)
{
	struct why fault = WHY_INIT;

	if (answer(request, mig, -1, &fault) == 0)
		return why_context(why, "from %s to %s", migration_state_name(from),
				   migration_state_name(mig->device_state));
	*why = fault;
	return -why->err;
}

/* Linux: drivers/vfio/vfio_main.c:vfio_ioctl_device_feature_mig_device_state() */
long migration_state(const struct feature_request *request, struct why *why)
{
	u32 from = request->session->migration.state;
	struct vfio_device_feature_mig_state mig;
	int err = client_read(request->client, request->data, &mig, sizeof(mig), why);

	if (err < 0)
		return err;
	if (request->flags & VFIO_DEVICE_FEATURE_GET) {
		mig.device_state = from;
		return answer(request, &mig, -1, why);
	}
	err = set_state(request, &mig, why);
	return err < 0 ? refuse_state(request, &mig, from, why) : 0;
}

/* ---- the other features ---- */

long migration_get(const struct feature_request *request, struct why *why)
{
	const struct vfio_device_feature_migration answer = {.flags = migration_flags(request->session->device)};

	return client_write(request->client, request->data, &answer, sizeof(answer), why);
}

long migration_get_data_size(const struct feature_request *request, struct why *why)
{
	const struct vfio_device_feature_mig_data_size answer = {.stop_copy_length = transfer_size(request->session)};

	return client_write(request->client, request->data, &answer, sizeof(answer), why);
}

long migration_set_precopy_info(const struct feature_request *request, struct why *why)
{
	request->session->migration.told = true;
	return 0;
}

/* ---- life ---- */

void migration_begin(struct pci_session *session)
{
	session->migration = (struct migration){.state = VFIO_DEVICE_STATE_RUNNING};
}

void migration_reset(struct pci_session *session)
{
	struct migration *migration = &session->migration;

	if (migration->state == VFIO_DEVICE_STATE_RUNNING)
		return;
	drop_transfer(migration);
	set_activity(session, PCI_ACTIVE);
	migration->state = VFIO_DEVICE_STATE_RUNNING;
}

void migration_end(struct pci_session *session)
{
	drop_transfer(&session->migration);
	dma_logging_end(session);
}

void migration_check(const struct pci_session *session)
{
	const struct migration *migration = &session->migration;
	const struct state *state = &states[migration->state];

	assert(migration->state == VFIO_DEVICE_STATE_RUNNING ||
	       has_state(migration_flags(session->device), migration->state));
	assert((migration->transfer != NULL) == (state->transfer != TRANSFER_NONE));
	if (migration->transfer)
		assert(transfer_is_saving(migration->transfer) == (state->transfer == TRANSFER_OUT));
}
