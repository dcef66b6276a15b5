/* SPDX-License-Identifier: MIT */
/*
 * Moving the channel to another one (option migration=true): its registers, where it is in its chain, and the
 * descriptor in work, which goes on with the chunk after the last.
 */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "dev/ioat.h"
#include "dev/state.h"

static const struct state_field fields[] = {
	STATE_FIELD(struct ioat, xfercap),
	STATE_ARRAY(struct ioat, registers),
	STATE_FIELD(struct ioat, state),
	STATE_FIELD(struct ioat, executed),
	STATE_FLAG(struct ioat, first),
	STATE_FIELD(struct ioat, next),
	STATE_FIELD(struct ioat, completed),
	STATE_FLAG(struct ioat, suspending),
	STATE_FIELD(struct ioat, errors_internal),
	STATE_FLAG(struct ioat, busy),
	STATE_FIELD(struct ioat, descriptor.size),
	STATE_FIELD(struct ioat, descriptor.control),
	STATE_FIELD(struct ioat, descriptor.source),
	STATE_FIELD(struct ioat, descriptor.destination),
	STATE_FIELD(struct ioat, descriptor.next),
	STATE_FIELD(struct ioat, address),
	STATE_FIELD(struct ioat, done),
};

static void ioat_activity(struct pci_function *function, enum pci_activity activity)
{
	struct ioat *ioat = function->model;

	worker_lock(&ioat->worker);
	ioat->activity = activity;
	if (activity != PCI_STOPPED)
		ioat_update_line(ioat);
	worker_wake(&ioat->worker);
	worker_unlock(&ioat->worker);
}

static size_t ioat_save(struct pci_function *function, u8 record[static PCI_MIGRATION_RECORD])
{
	struct ioat *ioat = function->model;
	struct state_writer writer = {.bytes = record, .room = PCI_MIGRATION_RECORD};

	worker_lock(&ioat->worker);
	state_put(&writer, fields, ARRAY_SIZE(fields), ioat);
	worker_unlock(&ioat->worker);
	assert(writer.size <= writer.room);
	return writer.size;
}

/* A channel that is on has something to do; one that is not has nothing in work. */
static bool is_sound(const struct ioat *plan)
{
	if (plan->state > IOAT_ARMED || (plan->busy && plan->state != IOAT_ACTIVE))
		return false;
	if (plan->suspending && !plan->busy)
		return false;
	if (plan->busy)
		return !ioat_judge(plan, &plan->descriptor) && plan->done <= plan->descriptor.size;
	return plan->state != IOAT_ACTIVE || plan->executed != get_u16(plan->registers + IOAT_DMACOUNT);
}

static int decode_state(const struct ioat *ioat, struct state_reader *reader, struct ioat *plan, struct why *why)
{
	state_get(reader, fields, ARRAY_SIZE(fields), plan);
	if (!state_is_whole(reader))
		return refuse(why, DEVICE_STATE, "the state of the I/OAT channel has %zu bytes, which are not it",
			      reader->size);
	if (plan->xfercap != ioat->xfercap)
		return refuse(why, DEVICE_STATE, "the channel moves 2^%u bytes at most, this one 2^%u", plan->xfercap,
			      ioat->xfercap);
	if (plan->registers[IOAT_CBVER] != ioat->registers[IOAT_CBVER])
		return refuse(why, DEVICE_STATE, "the channel has version %#x, this one %#x",
			      plan->registers[IOAT_CBVER], ioat->registers[IOAT_CBVER]);
	if (!is_sound(plan))
		return refuse(why, DEVICE_STATE, "no I/OAT channel could be in that state: %u, %u of %u descriptors",
			      plan->state, plan->executed, get_u16(plan->registers + IOAT_DMACOUNT));
	return 0;
}

static int ioat_load(struct pci_function *function, const u8 *record, size_t size, struct why *why)
{
	struct ioat *ioat = function->model;
	_memory_ struct ioat *plan = alloc_new(struct ioat, why);
	struct state_reader reader = {.bytes = record, .size = size}, again = reader;
	int err = plan ? decode_state(ioat, &reader, plan, why) : -why->err;

	if (err < 0)
		return err;
	worker_lock(&ioat->worker);
	state_get(&again, fields, ARRAY_SIZE(fields), ioat);
	ioat_show_constants(ioat);
	worker_unlock(&ioat->worker);
	return 0;
}

static const struct pci_migration_ops migration_ops = {
	.activity = ioat_activity,
	.save = ioat_save,
	.load = ioat_load,
};

int ioat_migration_init(struct ioat *ioat, const struct model_options *options, struct why *why)
{
	bool wanted = false;
	int err = model_flag(&ioat_model, options, "migration", &wanted, why);

	if (err == 0 && wanted)
		ioat->function->migration = &migration_ops;
	return err;
}
