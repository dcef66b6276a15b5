/* SPDX-License-Identifier: MIT */
/* Ownership, spec 02 sections 3 and 4: each operation in each state that the container path can reach. */
#include "tests/helpers.h"

#include "tests/fixtures/iommu_room.h"

static const char *describe(const struct owner *owner, char *text, size_t size)
{
	snprintf(text, size, "VFIO group 7 of poke (pid 42)");
	return text;
}

static const struct owner owner = {.describe = describe}, other = {.describe = describe};

static int set_up(void **state)
{
	static struct iommu_room room;
	struct why why = WHY_INIT;

	iommu_room_init(&room, &why);
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	iommu_room_fini(*state);
	return 0;
}

TEST(own, a_kernel_driver_in_the_group_is_named_to_whoever_claims)
{
	struct iommu_room *room = *state;
	struct why why = WHY_INIT;

	ASSERT_OK(why, iommu_use_default_domain(room->second, "e1000e", &why));
	room->second->driver = "e1000e";
	EXPECT_REFUSED(GROUP_NOT_VIABLE, why, iommu_group_claim(room->pair, &owner, &why));
	EXPECT_SUBSTR("0000:02:00.1 is bound to e1000e", why.text);
	assert_true(iommu_group_claimed(room->pair));
	iommu_check(&room->iommu);
	iommu_unuse_default_domain(room->second);
	ASSERT_OK(why, iommu_group_claim(room->pair, &owner, &why));
	iommu_group_release(room->pair);
}

TEST(own, an_owned_group_refuses_drivers_and_owners_by_name)
{
	struct iommu_room *room = *state;
	struct why why = WHY_INIT;

	ASSERT_OK(why, iommu_group_claim(room->pair, &owner, &why));
	assert_ptr_equal(room->pair->domain, room->pair->blocking_domain);
	EXPECT_REFUSED(GROUP_OWNED, why, iommu_use_default_domain(room->first, "nvme", &why));
	EXPECT_SUBSTR("poke (pid 42)", why.text);
	/* The same owner a second time is refused like any other. */
	EXPECT_REFUSED(GROUP_CLAIMED, why, iommu_group_claim(room->pair, &owner, &why));
	EXPECT_REFUSED(GROUP_CLAIMED, why, iommu_group_claim(room->pair, &other, &why));
	iommu_check(&room->iommu);
	iommu_group_release(room->pair);
	assert_ptr_equal(room->pair->domain, room->pair->default_domain);
	assert_false(iommu_group_claimed(room->pair));
}

TEST(own, drivers_of_one_group_are_counted)
{
	struct iommu_room *room = *state;
	struct why why = WHY_INIT;

	ASSERT_OK(why, iommu_use_default_domain(room->first, "nvme", &why));
	ASSERT_OK(why, iommu_use_default_domain(room->second, "nvme", &why));
	assert_int_equal(room->pair->owner_count, 2);
	iommu_unuse_default_domain(room->first);
	EXPECT_REFUSED(GROUP_NOT_VIABLE, why, iommu_group_claim(room->pair, &owner, &why));
	assert_null(strstr(why.text, "02:00.0"));
	iommu_unuse_default_domain(room->second);
}

TEST(own, attach_moves_every_member_and_detach_of_an_owned_group_blocks)
{
	struct iommu_room *room = *state;
	struct domain *domain, *second;
	struct why why = WHY_INIT;

	ASSERT_OK(why, domain_new(&room->iommu, room->unit, DOMAIN_PAGING, &domain, &why));
	ASSERT_OK(why, domain_new(&room->iommu, room->unit, DOMAIN_PAGING, &second, &why));
	ASSERT_OK(why, iommu_group_claim(room->pair, &owner, &why));
	ASSERT_OK(why, iommu_attach_group(domain, room->pair, &why));
	assert_ptr_equal(dma_port_domain(room->first->port), domain);
	assert_ptr_equal(dma_port_domain(room->second->port), domain);
	EXPECT_REFUSED(DOMAIN_ATTACHED, why, iommu_attach_group(second, room->pair, &why));
	iommu_check(&room->iommu);
	iommu_detach_group(room->pair);
	assert_ptr_equal(room->pair->domain, room->pair->blocking_domain);
	iommu_check(&room->iommu);
	iommu_group_release(room->pair);
	domain_free(domain);
	domain_free(second);
}

TEST(own, a_private_domain_without_owner_refuses_a_claim)
{
	struct iommu_room *room = *state;
	struct domain *domain;
	struct why why = WHY_INIT;

	ASSERT_OK(why, domain_new(&room->iommu, room->unit, DOMAIN_PAGING, &domain, &why));
	ASSERT_OK(why, iommu_attach_group(domain, room->single, &why));
	EXPECT_REFUSED(GROUP_DOMAIN_BUSY, why, iommu_group_claim(room->single, &owner, &why));
	iommu_detach_group(room->single);
	ASSERT_OK(why, iommu_group_claim(room->single, &owner, &why));
	iommu_group_release(room->single);
	domain_free(domain);
}

TEST(own, direct_regions_refuse_a_claim)
{
	struct iommu_room *room = *state;
	struct reserved_region regions[4];
	struct why why = WHY_INIT;

	room->unit->regions[1] = (struct reserved_region){0x7a000000, 0x7affffff, RESERVED_DIRECT};
	room->unit->nregions = 2;
	EXPECT_REFUSED(GROUP_NEEDS_DIRECT, why, iommu_group_claim(room->pair, &owner, &why));
	EXPECT_SUBSTR("0x7a000000", why.text);
	assert_int_equal(iommu_group_regions(room->pair, regions, 4), 2);
	assert_int_equal(regions[0].kind, RESERVED_DIRECT);
	assert_string_equal(reserved_kind_name(regions[1].kind), "msi");
}

/* The firmware keeps memory for one device; its group cannot be taken, others can. */
TEST(own, direct_regions_of_a_device_refuse_its_group)
{
	static const struct reserved_region table[] = {{0x1000, 0x1fff, RESERVED_RESERVED},
						       {0x6b000000, 0x6b7fffff, RESERVED_DIRECT}};
	struct iommu_room *room = *state;
	struct iommu_device *last = list_entry(room->pair->devices.head.previous, struct iommu_device, group_link);
	struct reserved_region regions[GROUP_REGIONS];
	struct why why = WHY_INIT;

	last->regions = table;
	last->region_set = BIT(1);
	EXPECT_REFUSED(GROUP_NEEDS_DIRECT, why, iommu_group_claim(room->pair, &owner, &why));
	EXPECT_SUBSTR("[0x6b000000, 0x6b7fffff]", why.text);
	assert_int_equal(iommu_group_regions(room->pair, regions, GROUP_REGIONS), 2);
	assert_int_equal(regions[0].start, 0x6b000000);
	ASSERT_OK(why, iommu_group_claim(room->single, &owner, &why));
	iommu_group_release(room->single);
}

TEST(own, regions_are_sorted_and_merged_by_kind)
{
	struct iommu_room *room = *state;
	struct reserved_region regions[4];

	room->unit->regions[1] = (struct reserved_region){0xfef00000, 0xfeffffff, RESERVED_MSI};
	room->unit->regions[2] = (struct reserved_region){0x1000, 0x1fff, RESERVED_RESERVED};
	room->unit->nregions = 3;
	assert_int_equal(iommu_group_regions(room->pair, regions, 4), 2);
	assert_int_equal(regions[0].start, 0x1000);
	assert_int_equal(regions[1].start, 0xfee00000);
	assert_int_equal(regions[1].last, 0xfeffffff);
}

/* Every fallible step of claim, attach and map fails once: afterwards the group is as it was. */
TEST(own, failures_in_claim_attach_and_map_change_nothing)
{
	static u8 memory[2 * PAGE_SIZE] __attribute__((aligned(4096)));
	struct iommu_room *room = *state;
	unsigned n;

	for (n = 1; n < 100; n++) {
		struct domain *domain = NULL;
		struct why why = WHY_INIT;
		struct area *area;
		bool fired;
		int err;

		fail_nth_arm(n);
		err = iommu_group_claim(room->pair, &owner, &why);
		if (err == 0)
			err = domain_new(&room->iommu, room->unit, DOMAIN_PAGING, &domain, &why);
		if (err == 0)
			err = iommu_attach_group(domain, room->pair, &why);
		if (err == 0)
			err = domain_map(domain, 0x10000, sizeof(memory), room->client, (uintptr_t)memory,
					 ISOLDE_PT_READ, sizeof(memory), &area, &why);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		iommu_check(&room->iommu);
		if (err < 0 && domain)
			assert_int_equal(domain->space->areas.count, 0);
		assert_int_equal(room->client->locked_bytes, err < 0 ? 0 : sizeof(memory));
		if (domain && room->pair->domain == domain)
			iommu_detach_group(room->pair);
		if (room->pair->owner)
			iommu_group_release(room->pair);
		domain_free(domain);
		assert_int_equal(room->client->locked_bytes, 0);
		if (!fired) {
			ASSERT_OK(why, err);
			break;
		}
		assert_int_equal(err, -why.err);
	}
	assert_in_range(n, 6, 40);
}

TEST(own, every_driver_in_the_way_is_named)
{
	struct iommu_room *room = *state;
	struct why why = WHY_INIT;

	ASSERT_OK(why, iommu_use_default_domain(room->second, "e1000e", &why));
	EXPECT_REFUSED(GROUP_NOT_VIABLE, why, iommu_group_may_claim(room->pair, &why));
	EXPECT_SUBSTR("group 0 cannot be claimed: 0000:02:00.1 is bound to e1000e, which uses the kernel's DMA API",
		      why.text);
	ASSERT_OK(why, iommu_use_default_domain(room->first, "igb", &why));
	EXPECT_REFUSED(GROUP_NOT_VIABLE, why, iommu_group_claim(room->pair, &owner, &why));
	EXPECT_SUBSTR("0000:02:00.0 is bound to igb, 0000:02:00.1 to e1000e, which use the", why.text);
	/* The group beside it is free. */
	ASSERT_OK(why, iommu_group_claim(room->single, &other, &why));
	iommu_group_release(room->single);
	iommu_unuse_default_domain(room->first);
	iommu_unuse_default_domain(room->second);
}

TEST(own, release_drops_the_owners_domain_without_a_word)
{
	struct iommu_room *room = *state;
	struct domain *domain;
	struct why why = WHY_INIT;

	ASSERT_OK(why, domain_new(&room->iommu, room->unit, DOMAIN_PAGING, &domain, &why));
	ASSERT_OK(why, iommu_group_claim(room->pair, &owner, &why));
	ASSERT_OK(why, iommu_attach_group(domain, room->pair, &why));
	iommu_group_release(room->pair);
	assert_ptr_equal(room->pair->domain, room->pair->default_domain);
	assert_ptr_equal(dma_port_domain(room->second->port), room->pair->default_domain);
	assert_int_equal(domain->users, 0);
	domain_free(domain);
}

TEST(own, relaxable_regions_are_no_obstacle)
{
	struct iommu_room *room = *state;
	struct why why = WHY_INIT;

	room->unit->regions[1] = (struct reserved_region){0x7a000000, 0x7affffff, RESERVED_DIRECT_RELAXABLE};
	room->unit->nregions = 2;
	ASSERT_OK(why, iommu_group_claim(room->pair, &owner, &why));
	iommu_group_release(room->pair);
}

TEST(own, groups_have_ids_and_types)
{
	struct iommu_room *room = *state;

	assert_ptr_equal(iommu_group_find(&room->iommu, 0), room->pair);
	assert_ptr_equal(iommu_group_find(&room->iommu, 1), room->single);
	assert_null(iommu_group_find(&room->iommu, 2));
	assert_string_equal(iommu_group_type(room->pair), "DMA-FQ");
}

/*
 * The rules of spec 02 for a group of one device, in thirty lines, against the code: every sequence of six events.
 */
enum event { BIND, UNBIND, CLAIM, CLAIM_OTHER, RELEASE, ATTACH, DETACH, EVENTS };

struct model {
	const struct owner *owner;
	unsigned count;
	bool private; /* the current domain is neither default nor blocking */
	bool bound;
};

static void expect(enum why_code code, int ret, const struct why *why)
{
	assert_int_equal(code == WHY_NONE, ret == 0);
	if (code != WHY_NONE)
		assert_int_equal(why->code, code);
}

static void try_claim(struct iommu_room *room, struct model *model, const struct owner *who)
{
	enum why_code code = model->private ? WHY_GROUP_DOMAIN_BUSY : WHY_NONE;
	struct why why = WHY_INIT;

	if (model->count)
		code = model->owner ? WHY_GROUP_CLAIMED : WHY_GROUP_NOT_VIABLE;
	expect(code, iommu_group_claim(room->single, who, &why), &why);
	if (code == WHY_NONE) {
		model->owner = who;
		model->count = 1;
	}
}

static void try_bind(struct iommu_room *room, struct model *model)
{
	enum why_code code = model->count && (model->owner || model->private) ? WHY_GROUP_OWNED : WHY_NONE;
	struct why why = WHY_INIT;

	if (model->bound)
		return;
	expect(code, iommu_use_default_domain(room->alone, "nvme", &why), &why);
	if (code != WHY_NONE)
		return;
	room->alone->driver = "nvme";
	model->bound = true;
	model->count++;
}

static void try_attach(struct iommu_room *room, struct model *model, struct domain *domain)
{
	struct why why = WHY_INIT;

	expect(model->private ? WHY_DOMAIN_ATTACHED : WHY_NONE, iommu_attach_group(domain, room->single, &why), &why);
	model->private = true;
}

static void leave(struct iommu_room *room, struct model *model, struct domain *domain, enum event event)
{
	if (event == UNBIND && model->bound) {
		iommu_unuse_default_domain(room->alone);
		room->alone->driver = NULL;
		model->bound = false;
		model->count--;
	}
	if (event == RELEASE && model->owner) {
		iommu_group_release(room->single);
		*model = (struct model){.bound = model->bound};
	}
	if (event == DETACH && model->private) {
		iommu_detach_group(room->single);
		model->private = false;
	}
}

static void play(struct iommu_room *room, struct model *model, struct domain *domain, enum event event)
{
	const struct iommu_group *group = room->single;

	if (event == BIND)
		try_bind(room, model);
	else if (event == CLAIM || event == CLAIM_OTHER)
		try_claim(room, model, event == CLAIM ? &owner : &other);
	else if (event == ATTACH)
		try_attach(room, model, domain);
	else
		leave(room, model, domain, event);
	assert_ptr_equal(group->owner, model->owner);
	assert_int_equal(group->owner_count, model->count);
	if (model->private)
		assert_ptr_equal(group->domain, domain);
	else
		assert_ptr_equal(group->domain, model->owner ? group->blocking_domain : group->default_domain);
}

TEST(own, every_sequence_of_six_events_follows_the_rules)
{
	enum { SEQUENCES = EVENTS * EVENTS * EVENTS * EVENTS * EVENTS * EVENTS };
	struct iommu_room *room = *state;
	struct domain *domain;
	struct why why = WHY_INIT;

	ASSERT_OK(why, domain_new(&room->iommu, room->unit, DOMAIN_PAGING, &domain, &why));
	for (unsigned sequence = 0; sequence < SEQUENCES; sequence++) {
		struct model model = {.owner = NULL};

		for (unsigned step = 0, rest = sequence; step < 6; step++, rest /= EVENTS)
			play(room, &model, domain, (enum event)(rest % EVENTS));
		if (sequence % 97 == 0)
			iommu_check(&room->iommu);
		leave(room, &model, domain, RELEASE);
		leave(room, &model, domain, DETACH);
		leave(room, &model, domain, UNBIND);
	}
	domain_free(domain);
}

static int build_and_claim(struct why *why)
{
	const struct iommu_unit description = {.name = "dmar0", .format = ISOLDE_PT_VTDSS, .width = 39};
	struct pci_function function = {.addr = {0, 3, 0}};
	struct iommu_group *group = NULL;
	struct iommu_device *device;
	struct iommu_unit *unit;
	struct iommu iommu;
	int ret;

	iommu_init(&iommu);
	ret = iommu_unit_add(&iommu, &description, &unit, why);
	if (ret == 0)
		ret = iommu_group_add(&iommu, &group, why);
	if (ret == 0)
		ret = iommu_device_add(group, unit, &function, &device, why);
	if (ret == 0)
		ret = iommu_group_choose_default(group, why);
	if (ret == 0)
		ret = iommu_group_claim(group, &owner, why);
	iommu_check(&iommu);
	if (ret == 0)
		iommu_group_release(group);
	iommu_fini(&iommu);
	return ret;
}

TEST(own, failures_in_building_leave_nothing_behind)
{
	SWEEP_FAILURES(build_and_claim);
}

#define OWN(name) cmocka_unit_test_setup_teardown(own_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWN(a_kernel_driver_in_the_group_is_named_to_whoever_claims),
		OWN(an_owned_group_refuses_drivers_and_owners_by_name),
		OWN(drivers_of_one_group_are_counted),
		OWN(attach_moves_every_member_and_detach_of_an_owned_group_blocks),
		OWN(a_private_domain_without_owner_refuses_a_claim),
		OWN(direct_regions_refuse_a_claim),
		OWN(direct_regions_of_a_device_refuse_its_group),
		OWN(regions_are_sorted_and_merged_by_kind),
		OWN(failures_in_claim_attach_and_map_change_nothing),
		OWN(every_driver_in_the_way_is_named),
		OWN(release_drops_the_owners_domain_without_a_word),
		OWN(relaxable_regions_are_no_obstacle),
		OWN(groups_have_ids_and_types),
		OWN(every_sequence_of_six_events_follows_the_rules),
		CASE(own, failures_in_building_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
