/* SPDX-License-Identifier: MIT */
/*
 * The state machine of a group as data: each cell of the two truth tables of spec 02 section 4 is a row. A state is
 * reached, an operation tried, and the answer and the next state compared. A cell where Linux only warns is refused
 * here. The group has three devices, so that states with n = 2 have a next one.
 */
#include "tests/fixtures/core_room.h"

#include <errno.h>

enum state {
	UNSETTLED, /* no default domain, nothing attached */
	FREE,
	KERNEL1,
	KERNEL2,
	KPRIV0,
	KPRIV1,
	KPRIV2,
	KPASID1,  /* on the default domain */
	KPASID1U, /* on a private one */
	OWNED_B1,
	OWNED_B2,
	OWNED_U1,
	OWNED_U2,
	OWNED_P1, /* blocked but for its PASID */
	OWNED_P2,
	OWNED_PU1,
	STATES,
};

/* PASID 1 is the one that may be used already, 2 is free. U is what a state is attached to, V another. */
enum operation {
	USE,
	GROUP_CLAIM,
	DEVICE_CLAIM,
	DEVICE_CLAIM_OTHER,
	ATTACH_GROUP,
	DETACH_GROUP,
	DEVICE_RELEASE,
	GROUP_RELEASE,
	TYPE_WRITE,
	TYPE_FLUSH_QUEUE, /* DMA -> DMA-FQ */
	REPLACE_GROUP,
	REPLACE_SAME, /* by what is attached */
	ATTACH_DEVICE,
	PASID_ATTACH_FREE,
	PASID_ATTACH_USED,
	PASID_REPLACE_FREE,
	PASID_REPLACE_USED,
};

/* owner: '-', 'c', 'o'; domain: '0' none, 'D', 'B', 'U', 'V'; pasids: bit n for PASID n. */
struct snapshot {
	char owner;
	unsigned count;
	char domain;
	unsigned pasids;
};

struct cell {
	enum state state;
	enum operation operation;
	int err; /* as the table has it */
	enum why_code code;
	struct snapshot next; /* of a success */
};

#define REFUSED(state, operation, err, code)                                                                           \
	{                                                                                                              \
		state, operation, err, WHY_##code,                                                                     \
		{                                                                                                      \
			0                                                                                              \
		}                                                                                                      \
	}
#define GOES(state, operation, owner, count, domain, pasids)                                                           \
	{                                                                                                              \
		state, operation, 0, WHY_NONE,                                                                         \
		{                                                                                                      \
			owner, count, domain, pasids                                                                   \
		}                                                                                                      \
	}

static const struct cell cells[] = {
	REFUSED(UNSETTLED, USE, EPROBE_DEFER, GROUP_UNSETTLED),
	GOES(UNSETTLED, GROUP_CLAIM, 'c', 1, 'B', 0),
	GOES(UNSETTLED, DEVICE_CLAIM, 'c', 1, 'B', 0),
	GOES(UNSETTLED, DEVICE_CLAIM_OTHER, 'o', 1, 'B', 0),
	GOES(UNSETTLED, ATTACH_GROUP, '-', 0, 'V', 0),
	REFUSED(UNSETTLED, TYPE_WRITE, EINVAL, GROUP_TYPE_UNSETTLED),
	REFUSED(UNSETTLED, TYPE_FLUSH_QUEUE, EINVAL, GROUP_TYPE_UNSETTLED),

	GOES(FREE, USE, '-', 1, 'D', 0),
	GOES(FREE, GROUP_CLAIM, 'c', 1, 'B', 0),
	GOES(FREE, DEVICE_CLAIM, 'c', 1, 'B', 0),
	GOES(FREE, DEVICE_CLAIM_OTHER, 'o', 1, 'B', 0),
	GOES(FREE, ATTACH_GROUP, '-', 0, 'V', 0),
	GOES(FREE, DETACH_GROUP, '-', 0, 'D', 0),
	REFUSED(FREE, DEVICE_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(FREE, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	GOES(FREE, TYPE_WRITE, '-', 0, 'D', 0),
	GOES(FREE, TYPE_FLUSH_QUEUE, '-', 0, 'D', 0),
	GOES(FREE, REPLACE_GROUP, '-', 0, 'V', 0),
	GOES(FREE, REPLACE_SAME, '-', 0, 'D', 0),
	GOES(FREE, PASID_ATTACH_FREE, '-', 0, 'D', 4),
	REFUSED(FREE, PASID_REPLACE_FREE, EINVAL, PASID_EMPTY),

	GOES(KERNEL1, USE, '-', 2, 'D', 0),
	REFUSED(KERNEL1, GROUP_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KERNEL1, DEVICE_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KERNEL1, DEVICE_CLAIM_OTHER, EPERM, GROUP_NOT_VIABLE),
	GOES(KERNEL1, ATTACH_GROUP, '-', 1, 'V', 0),
	GOES(KERNEL1, DETACH_GROUP, '-', 1, 'D', 0),
	REFUSED(KERNEL1, DEVICE_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KERNEL1, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KERNEL1, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),
	GOES(KERNEL1, TYPE_FLUSH_QUEUE, '-', 1, 'D', 0),
	GOES(KERNEL1, REPLACE_GROUP, '-', 1, 'V', 0),
	GOES(KERNEL1, REPLACE_SAME, '-', 1, 'D', 0),
	GOES(KERNEL1, PASID_ATTACH_FREE, '-', 1, 'D', 4),
	REFUSED(KERNEL1, PASID_REPLACE_FREE, EINVAL, PASID_EMPTY),

	GOES(KERNEL2, USE, '-', 3, 'D', 0),
	REFUSED(KERNEL2, GROUP_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KERNEL2, DEVICE_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KERNEL2, DEVICE_CLAIM_OTHER, EPERM, GROUP_NOT_VIABLE),
	GOES(KERNEL2, ATTACH_GROUP, '-', 2, 'V', 0),
	GOES(KERNEL2, DETACH_GROUP, '-', 2, 'D', 0),
	/* Linux would lower the drivers' count: FIDELITY.md. */
	REFUSED(KERNEL2, DEVICE_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KERNEL2, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KERNEL2, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),
	GOES(KERNEL2, TYPE_FLUSH_QUEUE, '-', 2, 'D', 0),

	GOES(KPRIV0, USE, '-', 1, 'U', 0),
	REFUSED(KPRIV0, GROUP_CLAIM, EBUSY, GROUP_DOMAIN_BUSY),
	REFUSED(KPRIV0, DEVICE_CLAIM, EBUSY, GROUP_DOMAIN_BUSY),
	REFUSED(KPRIV0, DEVICE_CLAIM_OTHER, EBUSY, GROUP_DOMAIN_BUSY),
	REFUSED(KPRIV0, ATTACH_GROUP, EBUSY, DOMAIN_ATTACHED),
	GOES(KPRIV0, DETACH_GROUP, '-', 0, 'D', 0),
	REFUSED(KPRIV0, DEVICE_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPRIV0, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	GOES(KPRIV0, TYPE_WRITE, '-', 0, 'D', 0),
	GOES(KPRIV0, TYPE_FLUSH_QUEUE, '-', 0, 'U', 0),

	REFUSED(KPRIV1, USE, EBUSY, GROUP_PRIVATE),
	REFUSED(KPRIV1, GROUP_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPRIV1, DEVICE_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPRIV1, DEVICE_CLAIM_OTHER, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPRIV1, ATTACH_GROUP, EBUSY, DOMAIN_ATTACHED),
	GOES(KPRIV1, DETACH_GROUP, '-', 1, 'D', 0),
	REFUSED(KPRIV1, DEVICE_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPRIV1, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPRIV1, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),
	GOES(KPRIV1, TYPE_FLUSH_QUEUE, '-', 1, 'U', 0),
	GOES(KPRIV1, REPLACE_GROUP, '-', 1, 'V', 0),
	GOES(KPRIV1, REPLACE_SAME, '-', 1, 'U', 0),

	REFUSED(KPRIV2, USE, EBUSY, GROUP_PRIVATE),
	REFUSED(KPRIV2, GROUP_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPRIV2, DEVICE_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPRIV2, DEVICE_CLAIM_OTHER, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPRIV2, ATTACH_GROUP, EBUSY, DOMAIN_ATTACHED),
	GOES(KPRIV2, DETACH_GROUP, '-', 2, 'D', 0),
	REFUSED(KPRIV2, DEVICE_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPRIV2, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPRIV2, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),

	REFUSED(KPASID1, USE, EBUSY, GROUP_PASIDS),
	REFUSED(KPASID1, GROUP_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPASID1, DEVICE_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPASID1, DEVICE_CLAIM_OTHER, EPERM, GROUP_NOT_VIABLE),
	GOES(KPASID1, ATTACH_GROUP, '-', 1, 'V', 2),
	GOES(KPASID1, DETACH_GROUP, '-', 1, 'D', 2),
	REFUSED(KPASID1, DEVICE_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPASID1, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPASID1, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),
	GOES(KPASID1, REPLACE_GROUP, '-', 1, 'V', 2),
	GOES(KPASID1, PASID_ATTACH_FREE, '-', 1, 'D', 6),
	REFUSED(KPASID1, PASID_ATTACH_USED, EBUSY, PASID_TAKEN),
	REFUSED(KPASID1, PASID_REPLACE_FREE, EINVAL, PASID_EMPTY),
	GOES(KPASID1, PASID_REPLACE_USED, '-', 1, 'D', 2),

	REFUSED(KPASID1U, USE, EBUSY, GROUP_PRIVATE),
	REFUSED(KPASID1U, GROUP_CLAIM, EPERM, GROUP_NOT_VIABLE),
	REFUSED(KPASID1U, ATTACH_GROUP, EBUSY, DOMAIN_ATTACHED),
	GOES(KPASID1U, DETACH_GROUP, '-', 1, 'D', 2),
	REFUSED(KPASID1U, GROUP_RELEASE, EINVAL, RELEASE_UNOWNED),
	REFUSED(KPASID1U, PASID_ATTACH_USED, EBUSY, PASID_TAKEN),
	GOES(KPASID1U, PASID_REPLACE_USED, '-', 1, 'U', 2),

	REFUSED(OWNED_B1, USE, EBUSY, GROUP_OWNED),
	REFUSED(OWNED_B1, GROUP_CLAIM, EPERM, GROUP_CLAIMED),
	GOES(OWNED_B1, DEVICE_CLAIM, 'c', 2, 'B', 0),
	REFUSED(OWNED_B1, DEVICE_CLAIM_OTHER, EPERM, GROUP_CLAIMED),
	GOES(OWNED_B1, ATTACH_GROUP, 'c', 1, 'V', 0),
	GOES(OWNED_B1, DETACH_GROUP, 'c', 1, 'B', 0),
	GOES(OWNED_B1, DEVICE_RELEASE, '-', 0, 'D', 0),
	GOES(OWNED_B1, GROUP_RELEASE, '-', 0, 'D', 0),
	REFUSED(OWNED_B1, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),
	GOES(OWNED_B1, TYPE_FLUSH_QUEUE, 'c', 1, 'B', 0),
	GOES(OWNED_B1, REPLACE_GROUP, 'c', 1, 'V', 0),
	GOES(OWNED_B1, REPLACE_SAME, 'c', 1, 'B', 0),
	GOES(OWNED_B1, PASID_ATTACH_FREE, 'c', 1, 'B', 4),
	REFUSED(OWNED_B1, PASID_REPLACE_FREE, EINVAL, PASID_EMPTY),

	REFUSED(OWNED_B2, USE, EBUSY, GROUP_OWNED),
	REFUSED(OWNED_B2, GROUP_CLAIM, EPERM, GROUP_CLAIMED),
	GOES(OWNED_B2, DEVICE_CLAIM, 'c', 3, 'B', 0),
	REFUSED(OWNED_B2, DEVICE_CLAIM_OTHER, EPERM, GROUP_CLAIMED),
	GOES(OWNED_B2, DEVICE_RELEASE, 'c', 1, 'B', 0),
	GOES(OWNED_B2, GROUP_RELEASE, '-', 0, 'D', 0),

	REFUSED(OWNED_U1, USE, EBUSY, GROUP_OWNED),
	REFUSED(OWNED_U1, GROUP_CLAIM, EPERM, GROUP_CLAIMED),
	GOES(OWNED_U1, DEVICE_CLAIM, 'c', 2, 'U', 0),
	REFUSED(OWNED_U1, DEVICE_CLAIM_OTHER, EPERM, GROUP_CLAIMED),
	REFUSED(OWNED_U1, ATTACH_GROUP, EBUSY, DOMAIN_ATTACHED),
	GOES(OWNED_U1, DETACH_GROUP, 'c', 1, 'B', 0),
	GOES(OWNED_U1, DEVICE_RELEASE, '-', 0, 'D', 0),
	GOES(OWNED_U1, GROUP_RELEASE, '-', 0, 'D', 0),
	REFUSED(OWNED_U1, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),
	GOES(OWNED_U1, TYPE_FLUSH_QUEUE, 'c', 1, 'U', 0),
	GOES(OWNED_U1, REPLACE_GROUP, 'c', 1, 'V', 0),
	GOES(OWNED_U1, REPLACE_SAME, 'c', 1, 'U', 0),
	GOES(OWNED_U1, PASID_ATTACH_FREE, 'c', 1, 'U', 4),
	REFUSED(OWNED_U1, PASID_REPLACE_FREE, EINVAL, PASID_EMPTY),

	GOES(OWNED_U2, DEVICE_CLAIM, 'c', 3, 'U', 0),
	GOES(OWNED_U2, DETACH_GROUP, 'c', 2, 'B', 0),
	GOES(OWNED_U2, DEVICE_RELEASE, 'c', 1, 'U', 0),
	GOES(OWNED_U2, GROUP_RELEASE, '-', 0, 'D', 0),

	REFUSED(OWNED_P1, USE, EBUSY, GROUP_OWNED),
	REFUSED(OWNED_P1, GROUP_CLAIM, EPERM, GROUP_CLAIMED),
	GOES(OWNED_P1, DEVICE_CLAIM, 'c', 2, 'B', 2),
	REFUSED(OWNED_P1, DEVICE_CLAIM_OTHER, EPERM, GROUP_CLAIMED),
	GOES(OWNED_P1, ATTACH_GROUP, 'c', 1, 'V', 2),
	GOES(OWNED_P1, DETACH_GROUP, 'c', 1, 'B', 2),
	REFUSED(OWNED_P1, DEVICE_RELEASE, EINVAL, RELEASE_PASIDS),
	REFUSED(OWNED_P1, GROUP_RELEASE, EINVAL, RELEASE_PASIDS),
	REFUSED(OWNED_P1, TYPE_WRITE, EPERM, GROUP_TYPE_IN_USE),
	GOES(OWNED_P1, PASID_ATTACH_FREE, 'c', 1, 'B', 6),
	REFUSED(OWNED_P1, PASID_ATTACH_USED, EBUSY, PASID_TAKEN),
	GOES(OWNED_P1, PASID_REPLACE_USED, 'c', 1, 'B', 2),
	REFUSED(OWNED_P1, PASID_REPLACE_FREE, EINVAL, PASID_EMPTY),

	GOES(OWNED_P2, DEVICE_RELEASE, 'c', 1, 'B', 2),
	REFUSED(OWNED_P2, GROUP_RELEASE, EINVAL, RELEASE_PASIDS),

	REFUSED(OWNED_PU1, ATTACH_GROUP, EBUSY, DOMAIN_ATTACHED),
	GOES(OWNED_PU1, DETACH_GROUP, 'c', 1, 'B', 2),
	REFUSED(OWNED_PU1, DEVICE_RELEASE, EINVAL, RELEASE_PASIDS),
	GOES(OWNED_PU1, REPLACE_GROUP, 'c', 1, 'V', 2),
};

/* attach_device in each state: alone in its group, and not. */
static const struct cell alone_cells[] = {
	GOES(FREE, ATTACH_DEVICE, '-', 0, 'V', 0),
	GOES(KERNEL1, ATTACH_DEVICE, '-', 1, 'V', 0),
	REFUSED(KPRIV0, ATTACH_DEVICE, EBUSY, DOMAIN_ATTACHED),
	REFUSED(KPRIV1, ATTACH_DEVICE, EBUSY, DOMAIN_ATTACHED),
	GOES(KPASID1, ATTACH_DEVICE, '-', 1, 'V', 2),
	GOES(OWNED_B1, ATTACH_DEVICE, 'c', 1, 'V', 0),
	REFUSED(OWNED_U1, ATTACH_DEVICE, EBUSY, DOMAIN_ATTACHED),
	GOES(OWNED_P1, ATTACH_DEVICE, 'c', 1, 'V', 2),
	REFUSED(OWNED_PU1, ATTACH_DEVICE, EBUSY, DOMAIN_ATTACHED),
};

/* ---- reaching a state ---- */

static const char *const driver_names[] = {"nvme", "e1000e", "igb"};

/* A group without a default domain, its one member the third device. */
static struct iommu_group *unsettle(struct core_room *core)
{
	struct iommu_group *group;

	iommu_device_remove(core->third);
	ASSERT_OK(core->why, iommu_group_add(core->iommu, &group, &core->why));
	ASSERT_OK(core->why, iommu_device_add(group, core->room->unit, &core->function, &core->third, &core->why));
	return group;
}

static void claim(struct core_room *core, struct iommu_group *group, unsigned count)
{
	struct iommu_device *device = list_first(&group->devices, struct iommu_device, group_link);

	while (count--)
		ASSERT_OK(core->why, iommu_device_claim(device, core->owner, &core->why));
}

static void drive(struct core_room *core, struct iommu_group *group, unsigned count)
{
	struct iommu_device *device;
	unsigned i = 0;

	list_for_each(device, &group->devices, group_link)
		if (i < count)
			core_bind(core, device, driver_names[i++]);
}

static void attach(struct core_room *core, struct iommu_group *group, struct domain *domain)
{
	ASSERT_OK(core->why, iommu_attach_group(domain, group, &core->why));
}

static void attach_pasid(struct core_room *core, struct iommu_group *group)
{
	struct iommu_device *device = list_first(&group->devices, struct iommu_device, group_link);

	ASSERT_OK(core->why, iommu_attach_pasid(core->u, device, 1, &core->other_handle, &core->why));
}

static void reach(struct core_room *core, struct iommu_group *group, enum state state)
{
	static const struct {
		unsigned drivers, claims;
		bool attached, pasid;
	} ways[STATES] = {
		[KERNEL1] = {1, 0, false, false}, [KERNEL2] = {2, 0, false, false},  [KPRIV0] = {0, 0, true, false},
		[KPRIV1] = {1, 0, true, false},	  [KPRIV2] = {2, 0, true, false},    [KPASID1] = {1, 0, false, true},
		[KPASID1U] = {1, 0, true, true},  [OWNED_B1] = {0, 1, false, false}, [OWNED_B2] = {0, 2, false, false},
		[OWNED_U1] = {0, 1, true, false}, [OWNED_U2] = {0, 2, true, false},  [OWNED_P1] = {0, 1, false, true},
		[OWNED_P2] = {0, 2, false, true}, [OWNED_PU1] = {0, 1, true, true},
	};

	drive(core, group, ways[state].drivers);
	claim(core, group, ways[state].claims);
	if (ways[state].attached)
		attach(core, group, core->u);
	if (ways[state].pasid)
		attach_pasid(core, group);
}

/* ---- what a group is ---- */

static struct snapshot look(const struct core_room *core, const struct iommu_group *group)
{
	const struct domain *domain = group->domain;

	return (struct snapshot){
		.owner = !group->owner		       ? '-'
			 : group->owner == core->owner ? 'c'
						       : 'o',
		.count = group->owner_count,
		.domain = !domain			     ? '0'
			  : domain == group->default_domain  ? 'D'
			  : domain == group->blocking_domain ? 'B'
			  : domain == core->u		     ? 'U'
							     : 'V',
		.pasids = (iommu_pasid_slot(group, 1) ? 2u : 0) | (iommu_pasid_slot(group, 2) ? 4u : 0),
	};
}

static void expect_same(const struct cell *cell, struct snapshot is, struct snapshot should)
{
	if (is.owner == should.owner && is.count == should.count && is.domain == should.domain &&
	    is.pasids == should.pasids)
		return;
	fail_msg("state %d, operation %d: is %c%u %c %#x, should be %c%u %c %#x", cell->state, cell->operation,
		 is.owner, is.count, is.domain, is.pasids, should.owner, should.count, should.domain, should.pasids);
}

/* ---- operations ---- */

static int release(struct iommu_group *group, struct iommu_device *device, bool whole, struct why *why)
{
	int err = whole ? iommu_may_release(group, why) : iommu_may_release_device(device, why);

	if (err < 0)
		return err;
	if (whole)
		iommu_group_release(group);
	else
		iommu_device_release(device);
	return 0;
}

static int write_flush_queue(struct iommu_group *group, struct why *why)
{
	int err;

	if (group->default_domain)
		group->default_domain->flush_queue = false;
	err = iommu_group_set_type(group, TYPE_DMA_FQ, why);
	if (err == 0)
		assert_string_equal(iommu_group_type(group), "DMA-FQ");
	return err;
}

static int run_pasid(struct core_room *core, struct iommu_device *device, enum operation operation, struct why *why)
{
	switch (operation) {
	case PASID_ATTACH_FREE:
		return iommu_attach_pasid(core->v, device, 2, &core->handle, why);
	case PASID_ATTACH_USED:
		return iommu_attach_pasid(core->v, device, 1, &core->handle, why);
	case PASID_REPLACE_FREE:
		return iommu_replace_pasid(core->v, device, 2, &core->handle, why);
	default:
		return iommu_replace_pasid(core->v, device, 1, &core->handle, why);
	}
}

static int run_attach(struct core_room *core, struct iommu_group *group, struct iommu_device *device,
		      enum operation operation, struct why *why)
{
	switch (operation) {
	case ATTACH_GROUP:
		return iommu_attach_group(core->v, group, why);
	case DETACH_GROUP:
		iommu_detach_group(group);
		return 0;
	case REPLACE_GROUP:
		return iommu_replace_group_handle(group, core->v, &core->handle, why);
	case REPLACE_SAME:
		return iommu_replace_group_handle(group, group->domain, &core->handle, why);
	case ATTACH_DEVICE:
		return iommu_attach_device(core->v, device, why);
	default:
		return run_pasid(core, device, operation, why);
	}
}

static int run(struct core_room *core, struct iommu_group *group, enum operation operation, struct why *why)
{
	struct iommu_device *device = list_first(&group->devices, struct iommu_device, group_link);

	switch (operation) {
	case USE:
		return iommu_use_default_domain(core->third, "snd_hda_intel", why);
	case GROUP_CLAIM:
		return iommu_group_claim(group, core->owner, why);
	case DEVICE_CLAIM:
		return iommu_device_claim(device, core->owner, why);
	case DEVICE_CLAIM_OTHER:
		return iommu_device_claim(device, core->stranger, why);
	case DEVICE_RELEASE:
	case GROUP_RELEASE:
		return release(group, device, operation == GROUP_RELEASE, why);
	case TYPE_WRITE:
		return iommu_group_set_type(group, TYPE_IDENTITY, why);
	case TYPE_FLUSH_QUEUE:
		return write_flush_queue(group, why);
	default:
		return run_attach(core, group, device, operation, why);
	}
}

/* ---- the tables ---- */

static void check_cell(const struct cell *cell, bool alone)
{
	struct core_room *core = core_room_new();
	struct iommu_group *group = cell->state == UNSETTLED ? unsettle(core) : alone ? core->single : core->group;
	struct why why = WHY_INIT;
	struct snapshot before;
	int err;

	reach(core, group, cell->state);
	before = look(core, group);
	err = run(core, group, cell->operation, &why);
	if (why.code != cell->code || err != -cell->err)
		fail_msg("state %d, operation %d: %d %s (%s), should be %d %s", cell->state, cell->operation, err,
			 why_code_name(why.code), why.text, -cell->err, why_code_name(cell->code));
	expect_same(cell, look(core, group), cell->code == WHY_NONE ? cell->next : before);
	if (cell->operation == USE && err == 0)
		core->third->driver = "snd_hda_intel";
	iommu_check(core->iommu);
	core_group_reset(group);
	if (cell->state == UNSETTLED) {
		/* Its last device takes it along. */
		iommu_device_remove(core->third);
		core->third = NULL;
		ASSERT_OK(core->why,
			  iommu_device_add(core->group, core->room->unit, &core->function, &core->third, &core->why));
	}
	core_room_free(core);
}

TEST(truth, every_cell_for_a_group_of_three)
{
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		check_cell(&cells[i], false);
}

TEST(truth, every_cell_for_a_device_alone)
{
	for (size_t i = 0; i < ARRAY_SIZE(alone_cells); i++)
		check_cell(&alone_cells[i], true);
}

TEST(truth, a_device_that_shares_its_group_has_no_private_domain_in_any_state)
{
	for (enum state in = FREE; in < STATES; in++) {
		struct core_room *core = core_room_new();
		struct snapshot before;

		reach(core, core->group, in);
		before = look(core, core->group);
		EXPECT_REFUSED(GROUP_SHARED, core->why, iommu_attach_device(core->v, core->first, &core->why));
		assert_int_equal(core->why.err, EINVAL);
		EXPECT_SUBSTR("0000:02:00.0", core->why.text);
		expect_same(&(struct cell){in, ATTACH_DEVICE}, look(core, core->group), before);
		core_room_free(core);
	}
}

/* The row "any, recovery_cnt > 0, domain other than the current one". */
TEST(truth, while_a_member_is_reset_nothing_moves_in_any_state)
{
	static const enum operation refused[] = {REPLACE_GROUP, PASID_ATTACH_FREE, PASID_ATTACH_USED,
						 PASID_REPLACE_FREE, PASID_REPLACE_USED};

	for (enum state in = FREE; in < STATES; in++) {
		struct core_room *core = core_room_new();
		struct snapshot before;

		reach(core, core->group, in);
		ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
		before = look(core, core->group);
		for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
			EXPECT_REFUSED(GROUP_RECOVERING, core->why, run(core, core->group, refused[i], &core->why));
			EXPECT_SUBSTR("0000:02:00.1", core->why.text);
			expect_same(&(struct cell){in, refused[i]}, look(core, core->group), before);
		}
		assert_int_equal(run(core, core->group, ATTACH_GROUP, &core->why), -EBUSY);
		ASSERT_OK(core->why, run(core, core->group, REPLACE_SAME, &core->why));
		iommu_check(core->iommu);
		core_room_free(core);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(truth, every_cell_for_a_group_of_three),
		CASE(truth, every_cell_for_a_device_alone),
		CASE(truth, a_device_that_shares_its_group_has_no_private_domain_in_any_state),
		CASE(truth, while_a_member_is_reset_nothing_moves_in_any_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
