/* SPDX-License-Identifier: MIT */
/*
 * Commands. One is active at a time. Most are done at once; those that wait for descriptors are asked again after each.
 * What may be wrong is decided before anything changes.
 */
#include "dev/dsa.h"

#define ALL_WQS ((1u << DSA_WQS) - 1)

enum { PASID_CONTROL = 6 };

/* ---- enabling ---- */

static u16 pasid_control(const struct dsa *dsa)
{
	const struct pci_function *function = dsa->function;

	return function->cap_pasid ? get_u16(function->config + function->cap_pasid + PASID_CONTROL) : 0;
}

static u64 group_word(struct dsa *dsa, unsigned group, unsigned word)
{
	return get_u64(dsa_register(dsa, DSA_GRPCFG + group * DSA_GRPCFG_SIZE + word * 8));
}

static u8 check_sizes(struct dsa *dsa)
{
	unsigned total = 0;

	for (unsigned wq = 0; wq < DSA_WQS; wq++)
		total += get_u16(dsa_wqcfg(dsa, wq, DSA_WQ_SIZE));
	return total > DSA_ENTRIES ? DSA_CMD_WQ_SIZES : 0;
}

/* Each queue with a size is in one group, each other in none; an engine is in one at most. */
static u8 check_members(struct dsa *dsa)
{
	unsigned in[DSA_WQS] = {0}, engines[DSA_ENGINES] = {0};

	for (unsigned group = 0; group < DSA_GROUPS; group++) {
		for (unsigned wq = 0; wq < DSA_WQS; wq++)
			in[wq] += (group_word(dsa, group, 0) & BIT(wq)) != 0;
		for (unsigned engine = 0; engine < DSA_ENGINES; engine++)
			engines[engine] += (group_word(dsa, group, 4) & BIT(engine)) != 0;
	}
	for (unsigned wq = 0; wq < DSA_WQS; wq++)
		if (get_u16(dsa_wqcfg(dsa, wq, DSA_WQ_SIZE)) && in[wq] != 1)
			return DSA_CMD_GROUP_WQ_MISSING;
	for (unsigned wq = 0; wq < DSA_WQS; wq++)
		if (!get_u16(dsa_wqcfg(dsa, wq, DSA_WQ_SIZE)) && in[wq])
			return DSA_CMD_GROUP_WQ_EMPTY;
	for (unsigned engine = 0; engine < DSA_ENGINES; engine++)
		if (engines[engine] > 1)
			return DSA_CMD_GROUP_ENGINE;
	return 0;
}

static u8 check_groups(struct dsa *dsa)
{
	for (unsigned group = 0; group < DSA_GROUPS; group++) {
		u64 wqs = group_word(dsa, group, 0), engines = group_word(dsa, group, 4);

		for (unsigned word = 1; word < 4; word++)
			if (group_word(dsa, group, word))
				return DSA_CMD_CONFIGURATION;
		if (wqs >> DSA_WQS || engines >> DSA_ENGINES)
			return DSA_CMD_CONFIGURATION;
		if (!wqs != !engines)
			return DSA_CMD_GROUP_HALF;
	}
	return check_members(dsa);
}

static u8 enable_device(struct dsa *dsa, u32 operand)
{
	u8 error;

	if (dsa->worker.unattended)
		return DSA_CMD_HARDWARE;
	if (dsa->state != DSA_DISABLED)
		return DSA_CMD_DEVICE_ENABLED;
	if (!(pci_command(dsa->function) & PCI_COMMAND_MASTER))
		return DSA_CMD_BUS_MASTER;
	error = check_sizes(dsa);
	if (!error)
		error = check_groups(dsa);
	if (!error)
		dsa_show_state(dsa, DSA_ENABLED);
	return error;
}

/* Shared queues need PASIDs, to tell their users apart. */
static u8 check_wq(struct dsa *dsa, unsigned index)
{
	u32 mode = get_u32(dsa_wqcfg(dsa, index, DSA_WQ_MODE)), limits = get_u32(dsa_wqcfg(dsa, index, DSA_WQ_LIMITS));
	bool dedicated = mode & DSA_WQ_DEDICATED, pasid = mode & DSA_WQ_PASID_ENABLE;

	if (!get_u16(dsa_wqcfg(dsa, index, DSA_WQ_SIZE)))
		return DSA_CMD_WQ_SIZE;
	if (!(mode >> DSA_WQ_PRIORITY_SHIFT & 0xf))
		return DSA_CMD_WQ_PRIORITY;
	if (mode & DSA_WQ_BLOCK_ON_FAULT)
		return DSA_CMD_WQ_BLOCK_ON_FAULT;
	if (pasid ? !(pasid_control(dsa) & PCI_PASID_ENABLE) : !dedicated)
		return DSA_CMD_WQ_PASID;
	if (dedicated && pasid && mode & DSA_WQ_PRIVILEGED && !(pasid_control(dsa) & PCI_PASID_PRIVILEGED))
		return DSA_CMD_WQ_PASID;
	if ((limits >> 5 & 0xf) > dsa->batch_shift)
		return DSA_CMD_WQ_BATCH;
	return (limits & 0x1f) > dsa->transfer_shift ? DSA_CMD_WQ_TRANSFER : 0;
}

static u8 enable_wq(struct dsa *dsa, u32 index)
{
	u32 mode, limits;
	struct dsa_wq *wq;
	u8 error;

	if (index >= DSA_WQS)
		return DSA_CMD_WQ_INDEX;
	wq = &dsa->wqs[index];
	if (dsa->state != DSA_ENABLED)
		return DSA_CMD_DEVICE_DISABLED;
	if (wq->enabled)
		return DSA_CMD_WQ_ENABLED;
	error = check_wq(dsa, index);
	if (error)
		return error;
	mode = get_u32(dsa_wqcfg(dsa, index, DSA_WQ_MODE));
	limits = get_u32(dsa_wqcfg(dsa, index, DSA_WQ_LIMITS));
	wq->size = get_u16(dsa_wqcfg(dsa, index, DSA_WQ_SIZE));
	wq->priority = wq->credit = mode >> DSA_WQ_PRIORITY_SHIFT & 0xf;
	wq->dedicated = mode & DSA_WQ_DEDICATED;
	wq->with_pasid = mode & DSA_WQ_PASID_ENABLE;
	wq->privileged = mode & DSA_WQ_PRIVILEGED;
	wq->may_privileged = pasid_control(dsa) & PCI_PASID_PRIVILEGED;
	wq->pasid = mode >> DSA_WQ_PASID_SHIFT & DSA_PASID_MASK;
	wq->transfer_max = BIT(limits & 0x1f);
	wq->batch_max = 1u << (limits >> 5 & 0xf);
	wq->operations = get_u64(dsa_wqcfg(dsa, index, DSA_WQ_OPERATIONS));
	wq->enabled = wq->accepting = true;
	return 0;
}

/* ---- disabling ---- */

/* Sixteen queues by a bit each, and which sixteen. */
static unsigned wqs_of(u32 operand)
{
	return operand >> 16 ? 0 : operand & 0xffff;
}

static u8 check_wqs(const struct dsa *dsa, u32 operand)
{
	unsigned wqs = wqs_of(operand);

	if (!wqs || wqs & ~ALL_WQS)
		return DSA_CMD_WQ_INDEX;
	for (unsigned i = 0; i < DSA_WQS; i++)
		if (wqs >> i & 1 && !dsa->wqs[i].enabled)
			return DSA_CMD_WQ_NOT_ENABLED;
	return 0;
}

static void refuse_more(struct dsa *dsa, unsigned wqs)
{
	for (unsigned i = 0; i < DSA_WQS; i++)
		if (wqs >> i & 1)
			dsa->wqs[i].accepting = false;
}

static void abort_wqs(struct dsa *dsa, unsigned wqs)
{
	for (unsigned i = 0; i < DSA_WQS; i++)
		if (wqs >> i & 1)
			dsa_abort_wq(dsa, i);
}

static void disable_wqs(struct dsa *dsa, unsigned wqs)
{
	for (unsigned i = 0; i < DSA_WQS; i++)
		if (wqs >> i & 1)
			dsa->wqs[i].enabled = dsa->wqs[i].accepting = false;
}

void dsa_reset(struct dsa *dsa)
{
	abort_wqs(dsa, ALL_WQS);
	disable_wqs(dsa, ALL_WQS);
	dsa->stopped = false;
	dsa_configuration_reset(dsa);
	dsa_show_state(dsa, DSA_DISABLED);
}

static u8 begin_disable_device(struct dsa *dsa, u32 operand)
{
	if (dsa->state != DSA_ENABLED)
		return DSA_CMD_NOT_ENABLED;
	refuse_more(dsa, ALL_WQS);
	dsa_show_state(dsa, DSA_DRAINING);
	return 0;
}

static void finish_disable_device(struct dsa *dsa, u32 operand)
{
	disable_wqs(dsa, ALL_WQS);
	dsa_show_state(dsa, DSA_DISABLED);
}

static u8 begin_disable_wq(struct dsa *dsa, u32 operand)
{
	u8 error = check_wqs(dsa, operand);

	if (!error)
		refuse_more(dsa, wqs_of(operand));
	return error;
}

static void finish_disable_wq(struct dsa *dsa, u32 operand)
{
	disable_wqs(dsa, wqs_of(operand));
}

static u8 abort_all(struct dsa *dsa, u32 operand)
{
	abort_wqs(dsa, ALL_WQS);
	return 0;
}

static u8 reset_device(struct dsa *dsa, u32 operand)
{
	dsa_reset(dsa);
	return 0;
}

static u8 begin_drain_wq(struct dsa *dsa, u32 operand)
{
	return check_wqs(dsa, operand);
}

static u8 abort_wq(struct dsa *dsa, u32 operand)
{
	u8 error = check_wqs(dsa, operand);

	if (!error)
		abort_wqs(dsa, wqs_of(operand));
	return error;
}

static u8 reset_wq(struct dsa *dsa, u32 operand)
{
	u8 error = abort_wq(dsa, operand);

	if (error)
		return error;
	disable_wqs(dsa, wqs_of(operand));
	for (unsigned i = 0; i < DSA_WQS; i++)
		if (wqs_of(operand) >> i & 1)
			dsa_wq_reset(dsa, i);
	return 0;
}

static u8 abort_pasid(struct dsa *dsa, u32 operand)
{
	dsa_abort_pasid(dsa, operand);
	return 0;
}

/* ---- the table ---- */

enum waits { FOR_NOTHING, FOR_ALL, FOR_WQS, FOR_PASID };

static const struct {
	u8 (*begin)(struct dsa *dsa, u32 operand); /* an error, or 0 */
	enum waits waits;
	void (*finish)(struct dsa *dsa, u32 operand);
} commands[DSA_COMMANDS] = {
	[DSA_ENABLE_DEVICE] = {enable_device, FOR_NOTHING, NULL},
	[DSA_DISABLE_DEVICE] = {begin_disable_device, FOR_ALL, finish_disable_device},
	[DSA_DRAIN_ALL] = {NULL, FOR_ALL, NULL},
	[DSA_ABORT_ALL] = {abort_all, FOR_NOTHING, NULL},
	[DSA_RESET_DEVICE] = {reset_device, FOR_NOTHING, NULL},
	[DSA_ENABLE_WQ] = {enable_wq, FOR_NOTHING, NULL},
	[DSA_DISABLE_WQ] = {begin_disable_wq, FOR_WQS, finish_disable_wq},
	[DSA_DRAIN_WQ] = {begin_drain_wq, FOR_WQS, NULL},
	[DSA_ABORT_WQ] = {abort_wq, FOR_NOTHING, NULL},
	[DSA_RESET_WQ] = {reset_wq, FOR_NOTHING, NULL},
	[DSA_DRAIN_PASID] = {NULL, FOR_PASID, NULL},
	[DSA_ABORT_PASID] = {abort_pasid, FOR_NOTHING, NULL},
};

static u8 command_of(u32 value)
{
	return value >> 20 & 0x1f;
}

static u32 operand_of(u32 value)
{
	return value & 0xfffff;
}

static void finish(struct dsa *dsa, u8 error)
{
	dsa->commanded = false;
	put_u32(dsa_register(dsa, DSA_CMDSTS), error);
	if (dsa->command & DSA_CMD_INTERRUPT)
		dsa_cause(dsa, DSA_INTC_COMMAND);
}

static bool must_wait(const struct dsa *dsa)
{
	u32 operand = operand_of(dsa->command);

	switch (commands[command_of(dsa->command)].waits) {
	case FOR_NOTHING:
		return false;
	case FOR_ALL:
		return dsa_outstanding(dsa, ALL_WQS, DSA_ANY_PASID);
	case FOR_WQS:
		return dsa_outstanding(dsa, wqs_of(operand), DSA_ANY_PASID);
	case FOR_PASID:
		return dsa_outstanding(dsa, ALL_WQS, operand);
	}
	return false;
}

void dsa_command_check(struct dsa *dsa)
{
	u8 command = command_of(dsa->command);

	if (!dsa->commanded || must_wait(dsa))
		return;
	if (commands[command].finish)
		commands[command].finish(dsa, operand_of(dsa->command));
	finish(dsa, 0);
}

static bool is_known(u32 value)
{
	u8 command = command_of(value);

	return command && command < DSA_COMMANDS && !(value & ~DSA_CMD_INTERRUPT & 0xfe000000);
}

void dsa_command(struct dsa *dsa, u32 value)
{
	u8 error = 0;

	if (dsa->commanded) {
		dsa_software_error(dsa, &(struct dsa_software_error){.error = DSA_ERROR_COMMAND, .wq = -1});
		return;
	}
	dsa->commanded = true;
	dsa->command = value;
	dsa->command_number = dsa->submitted;
	put_u32(dsa_register(dsa, DSA_CMDSTS), DSA_CMDSTS_ACTIVE);
	if (dsa->state == DSA_HALTED)
		error = DSA_CMD_HARDWARE;
	else if (!is_known(value))
		error = DSA_CMD_INVALID;
	else if (commands[command_of(value)].begin)
		error = commands[command_of(value)].begin(dsa, operand_of(value));
	if (error)
		finish(dsa, error);
	else
		dsa_command_check(dsa);
}

/* Bus mastering was taken from it while it was enabled: only a function-level reset helps. */
void dsa_halt(struct dsa *dsa)
{
	abort_wqs(dsa, ALL_WQS);
	disable_wqs(dsa, ALL_WQS);
	dsa_show_state(dsa, DSA_HALTED);
	dsa_software_error(dsa, &(struct dsa_software_error){.error = DSA_ERROR_BUS_MASTER, .wq = -1});
	if (get_u32(dsa_register(dsa, DSA_GENCTRL)) & DSA_GENCTRL_HALT_INTERRUPT)
		dsa_cause(dsa, DSA_INTC_HALT);
	if (dsa->commanded)
		finish(dsa, DSA_CMD_HARDWARE);
}
