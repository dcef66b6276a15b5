/* SPDX-License-Identifier: MIT */
/*
 * Every operation in every state, with its first, second, ... fallible step failing: allocations and calls of the
 * IOMMU's driver alike. Whatever is refused has changed nothing.
 */
#include "tests/fixtures/core_room.h"

/* ---- all of a room that an operation could have changed; compared byte by byte ---- */

struct device_picture {
	const struct domain *place, *own_domain, *pasid[8];
	const char *dma_api_driver, *driver;
	unsigned intent, claims, reset_depth, pending;
	bool blocked, stranded, asks;
};

struct group_picture {
	const struct owner *owner;
	const struct domain *domain, *default_domain;
	const struct attach_handle *handle;
	unsigned count, recovering, own_domains, members, attachments;
	struct {
		const struct domain *domain;
		const struct attach_handle *handle;
	} slot[8];
	char type[12];
};

struct picture {
	struct group_picture group, single;
	struct device_picture device[4];
	unsigned users[4], groups;
	const struct domain *handles[3];
};

static void take_device(const struct iommu_device *device, struct device_picture *picture)
{
	picture->place = dma_port_domain(device->port);
	picture->own_domain = device->own_domain;
	for (u32 pasid = 1; pasid < ARRAY_SIZE(picture->pasid); pasid++)
		picture->pasid[pasid] = dma_port_pasid_domain(device->port, pasid);
	picture->dma_api_driver = device->dma_api_driver;
	picture->driver = device->driver;
	picture->intent = device->intent;
	picture->claims = device->claims;
	picture->reset_depth = device->reset_depth;
	picture->pending = page_requests_pending(device);
	picture->blocked = device->blocked;
	picture->stranded = device->stranded;
	picture->asks = device->requests != NULL;
}

static void take_group(const struct iommu_group *group, struct group_picture *picture)
{
	picture->owner = group->owner;
	picture->domain = group->domain;
	picture->default_domain = group->default_domain;
	picture->handle = group->handle;
	picture->count = group->owner_count;
	picture->recovering = group->recovering;
	picture->own_domains = group->own_domains;
	picture->members = group->ndevices;
	picture->attachments = (unsigned)list_length(&group->attachments);
	for (u32 pasid = 1; pasid < ARRAY_SIZE(picture->slot); pasid++) {
		const struct pasid_slot *slot = iommu_pasid_slot(group, pasid);

		picture->slot[pasid].domain = slot ? slot->domain : NULL;
		picture->slot[pasid].handle = slot ? slot->handle : NULL;
	}
	snprintf(picture->type, sizeof(picture->type), "%s", iommu_group_type(group));
}

static void take_picture(const struct core_room *core, struct picture *picture)
{
	const struct iommu_device *devices[] = {core->first, core->second, core->third, core->alone};

	memset(picture, 0, sizeof(*picture));
	take_group(core->group, &picture->group);
	take_group(core->single, &picture->single);
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		take_device(devices[i], &picture->device[i]);
	picture->users[0] = core->u->users;
	picture->users[1] = core->v->users;
	picture->users[2] = core->group->default_domain->users;
	picture->users[3] = core->single->default_domain->users;
	picture->groups = (unsigned)list_length(&core->iommu->groups);
	picture->handles[0] = core->handle.domain;
	picture->handles[1] = core->other_handle.domain;
	picture->handles[2] = core->third_handle.domain;
}

/* ---- states ---- */

static void nothing(struct core_room *core)
{
}

static void driven(struct core_room *core)
{
	core_bind(core, core->first, "nvme");
}

static void owned(struct core_room *core)
{
	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
}

static void attached(struct core_room *core)
{
	owned(core);
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
}

static void attached_singly(struct core_room *core)
{
	owned(core);
	ASSERT_OK(core->why, iommu_device_attach(core->first, 0, core->u, &core->handle, &core->why));
	ASSERT_OK(core->why, iommu_device_attach(core->first, 3, core->u, &core->other_handle, &core->why));
}

static void with_pasid(struct core_room *core)
{
	attached(core);
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 3, &core->other_handle, &core->why));
}

static void in_reset(struct core_room *core)
{
	with_pasid(core);
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
}

static void with_alias_set(struct core_room *core)
{
	driven(core);
	ASSERT_OK(core->why, iommu_attach_alias_set(core->u, core->third, &core->why));
}

static void (*const states[])(struct core_room *core) = {
	nothing, driven, owned, attached, attached_singly, with_pasid, in_reset, with_alias_set,
};

/* ---- operations ---- */

static int use(struct core_room *core)
{
	int err = iommu_use_default_domain(core->second, "e1000e", &core->why);

	if (err == 0)
		core->second->driver = "e1000e";
	return err;
}

static int claim_group(struct core_room *core)
{
	return iommu_group_claim(core->group, core->owner, &core->why);
}

static int claim_device(struct core_room *core)
{
	return iommu_device_claim(core->second, core->owner, &core->why);
}

static int attach_group(struct core_room *core)
{
	return iommu_attach_group(core->v, core->group, &core->why);
}

static int attach_device(struct core_room *core)
{
	return iommu_attach_device(core->v, core->alone, &core->why);
}

static int attach_handle(struct core_room *core)
{
	return iommu_attach_group_handle(core->v, core->group, &core->third_handle, &core->why);
}

/* Whole groups only: who mixes both asks first. */
static int replace_handle(struct core_room *core)
{
	int err = iommu_may_bypass(core->group, 0, &core->why);

	return err < 0 ? err : iommu_replace_group_handle(core->group, core->v, &core->third_handle, &core->why);
}

static int attach_pasid(struct core_room *core)
{
	return iommu_attach_pasid(core->v, core->first, 2, &core->third_handle, &core->why);
}

static int replace_pasid(struct core_room *core)
{
	int err = iommu_may_bypass(core->group, 3, &core->why);

	return err < 0 ? err : iommu_replace_pasid(core->v, core->first, 3, &core->third_handle, &core->why);
}

static int attach_first(struct core_room *core)
{
	return iommu_device_attach(core->second, 5, core->v, &core->third_handle, &core->why);
}

static int attach_sibling(struct core_room *core)
{
	return iommu_device_attach(core->second, 0, core->u, &core->handle, &core->why);
}

static int replace_singly(struct core_room *core)
{
	return iommu_device_replace(core->first, 0, core->v, &core->third_handle, &core->why);
}

static int replace_pasid_singly(struct core_room *core)
{
	return iommu_device_replace(core->first, 3, core->v, &core->third_handle, &core->why);
}

static int attach_alias_set(struct core_room *core)
{
	return iommu_attach_alias_set(core->v, core->first, &core->why);
}

static int set_type(struct core_room *core)
{
	return iommu_group_set_type(core->group, TYPE_IDENTITY, &core->why);
}

static int add_flush_queue(struct core_room *core)
{
	core->group->default_domain->flush_queue = false;
	if (iommu_group_set_type(core->group, TYPE_DMA_FQ, &core->why) == 0)
		return 0;
	core->group->default_domain->flush_queue = true;
	return -core->why.err;
}

static int prepare_reset(struct core_room *core)
{
	return iommu_reset_prepare(core->first, &core->why);
}

static int bind_process(struct core_room *core)
{
	struct sva_bond *bond;

	return iommu_sva_bind(core->first, core->room->client, &bond, &core->why);
}

static void respond(void *context, const struct page_request *last, enum page_answer answer)
{
}

static int enable_requests(struct core_room *core)
{
	return iommu_enable_page_requests(core->first, respond, NULL, &core->why);
}

static int translate(struct core_room *core)
{
	int err = iommu_enqcmd_set(core->first, 1, 3, &core->why);

	iommu_enqcmd_clear(core->first, 1);
	return err;
}

static int plug(struct core_room *core)
{
	struct pci_function function = {.addr = {0, 2, pci_devfn(0, 3)}};
	struct iommu_device *device;
	int err = iommu_device_add(core->group, core->room->unit, &function, &device, &core->why);

	iommu_check(core->iommu);
	if (err == 0)
		iommu_device_remove(device);
	return err;
}

static int emulate(struct core_room *core)
{
	struct iommu_device *device;

	return iommu_emulated_add(core->iommu, "mdev-7", core->first, &device, &core->why);
}

static int (*const operations[])(struct core_room *core) = {
	use,
	attach_group,
	attach_device,
	attach_handle,
	replace_handle,
	attach_pasid,
	claim_group,
	claim_device,
	replace_pasid,
	attach_first,
	attach_sibling,
	replace_singly,
	set_type,
	prepare_reset,
	bind_process,
	add_flush_queue,
	replace_pasid_singly,
	attach_alias_set,
	enable_requests,
	translate,
	plug,
	emulate,
};

static struct core_room *reach(size_t state)
{
	struct core_room *core = core_room_new();

	core->iommu->options.alias_domains = true;
	core->third->alias_set = 7;
	states[state](core);
	return core;
}

/* False when nothing failed any more. */
static bool run_once(size_t state, size_t operation, unsigned n)
{
	struct core_room *core = reach(state);
	struct picture before, after;
	bool fired;
	int err;

	take_picture(core, &before);
	fail_nth_arm(n);
	err = operations[operation](core);
	fired = fail_nth_fired();
	fail_nth_arm(0);
	iommu_check(core->iommu);
	take_picture(core, &after);
	if (err < 0 && memcmp(&before, &after, sizeof(before)) != 0)
		fail_msg("state %zu, operation %zu, step %u: refused (%s), but something changed", state, operation, n,
			 core->why.text);
	if (fired && err == 0)
		fail_msg("state %zu, operation %zu, step %u: its failure was lost", state, operation, n);
	core_room_free(core);
	return fired;
}

TEST(failures, what_fails_at_any_step_changes_nothing)
{
	unsigned steps = 0;

	for (size_t in = 0; in < ARRAY_SIZE(states); in++)
		for (size_t operation = 0; operation < ARRAY_SIZE(operations); operation++) {
			unsigned n = 1;

			while (run_once(in, operation, n))
				n++;
			assert_in_range(n, 1, 20);
			steps += n - 1;
		}
	assert_in_range(steps, 200, 2000);
}

/* ---- what cannot fail: the steps in it may, and the state is what it would have been ---- */

static void detach_group(struct core_room *core)
{
	if (list_empty(&core->group->attachments))
		iommu_detach_group(core->group);
}

static void detach_singly(struct core_room *core)
{
	iommu_device_detach(core->first, 3);
	iommu_device_detach(core->first, 0);
}

static void detach_alias_set(struct core_room *core)
{
	iommu_detach_alias_set(core->third);
}

static void release(struct core_room *core)
{
	while (!list_empty(&core->group->pasids) && list_empty(&core->group->attachments))
		iommu_detach_pasid(core->first, list_first(&core->group->pasids, struct pasid_slot, link)->pasid);
	detach_singly(core);
	iommu_detach_group_handle(core->group);
	if (core->group->owner)
		iommu_group_release(core->group);
}

static void end_reset(struct core_room *core)
{
	if (core->second->reset_depth)
		iommu_reset_done(core->second);
}

static void (*const certain[])(struct core_room *core) = {detach_group, detach_singly, detach_alias_set, release,
							  end_reset};

static bool run_certain(size_t state, size_t operation, unsigned n)
{
	struct core_room *core = reach(state);
	struct group_picture expected = {}, group = {};
	bool fired;

	fail_nth_arm(n);
	certain[operation](core);
	fired = fail_nth_fired();
	fail_nth_arm(0);
	iommu_check(core->iommu);
	take_group(core->group, &group);
	core_room_free(core);
	core = reach(state);
	certain[operation](core);
	take_group(core->group, &expected);
	assert_int_equal(group.count, expected.count);
	assert_int_equal(group.own_domains, expected.own_domains);
	assert_int_equal(group.recovering, expected.recovering);
	assert_int_equal(group.attachments, expected.attachments);
	assert_int_equal(group.owner != NULL, expected.owner != NULL);
	assert_int_equal(group.domain == group.default_domain, expected.domain == expected.default_domain);
	core_room_free(core);
	return fired;
}

TEST(failures, what_must_succeed_does_so_at_any_step)
{
	for (size_t in = 0; in < ARRAY_SIZE(states); in++)
		for (size_t operation = 0; operation < ARRAY_SIZE(certain); operation++)
			for (unsigned n = 1; run_certain(in, operation, n); n++)
				assert_in_range(n, 1, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(failures, what_fails_at_any_step_changes_nothing),
		CASE(failures, what_must_succeed_does_so_at_any_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
