/* SPDX-License-Identifier: MIT */
/*
 * Each call of the core has its reasons to refuse in the order of spec 02 section 3. For every call: each reason alone,
 * then each two of them at once; the earlier one is the answer, and nothing has changed.
 */
#include "tests/fixtures/core_room.h"

/* What a call is made with; a reason spoils one of them, or the room. */
struct attempt {
	struct core_room *core;
	struct iommu_device *device;
	const struct owner *owner;
	struct domain *domain;
	struct attach_handle *handle;
	u32 pasid;
	enum group_type type;
	bool strict_driver; /* refuses the first it is asked */
	struct why why;
};

struct reason {
	enum why_code code;
	const char *culprit; /* in the text */
	void (*spoil)(struct attempt *attempt);
};

struct rules {
	const char *name;
	int (*call)(struct attempt *attempt);
	void (*prepare)(struct attempt *attempt); /* NULL: a free group */
	const struct reason *reasons;
	size_t count;
};

/* ---- reasons ---- */

static void no_owner(struct attempt *attempt)
{
	attempt->owner = NULL;
}

static void no_iommu(struct attempt *attempt)
{
	attempt->device = core_emulated(attempt->core, NULL);
}

static void driver_bound(struct attempt *attempt)
{
	core_bind(attempt->core, attempt->core->second, "e1000e");
}

static void owned(struct attempt *attempt)
{
	struct core_room *core = attempt->core;

	ASSERT_OK(core->why, iommu_group_claim(core->group, core->stranger, &core->why));
}

static void attached(struct attempt *attempt)
{
	struct core_room *core = attempt->core;

	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
}

static void attached_by_handle(struct attempt *attempt)
{
	struct core_room *core = attempt->core;

	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->third_handle, &core->why));
}

static void pasid_attached(struct attempt *attempt)
{
	struct core_room *core = attempt->core;

	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 5, &core->other_handle, &core->why));
}

static void member_reset(struct attempt *attempt)
{
	struct core_room *core = attempt->core;

	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
}

static void needs_direct(struct attempt *attempt)
{
	struct iommu_unit *unit = attempt->core->room->unit;

	unit->regions[unit->nregions++] = (struct reserved_region){0x7a000000, 0x7affffff, RESERVED_DIRECT};
}

static void driver_refuses(struct attempt *attempt)
{
	attempt->strict_driver = true;
}

static void no_handle(struct attempt *attempt)
{
	attempt->handle = NULL;
}

static void foreign(struct attempt *attempt)
{
	attempt->domain = attempt->core->foreign;
}

static void no_default(struct attempt *attempt)
{
	struct core_room *core = attempt->core;
	struct iommu_group *group;

	iommu_device_remove(core->third);
	ASSERT_OK(core->why, iommu_group_add(core->iommu, &group, &core->why));
	ASSERT_OK(core->why, iommu_device_add(group, core->room->unit, &core->function, &core->third, &core->why));
	attempt->device = core->third;
}

static void without_pasids(struct attempt *attempt)
{
	script_driver.lacks_pasids = true;
}

static void pasid_zero(struct attempt *attempt)
{
	attempt->pasid = 0;
}

static void few_pasids(struct attempt *attempt)
{
	attempt->core->third->max_pasids = 4;
}

static void pasid_free(struct attempt *attempt)
{
	attempt->pasid = 6;
}

static void handle_in_use(struct attempt *attempt)
{
	attempt->handle = &attempt->core->other_handle;
}

static enum group_type prefer_dma(const struct iommu_device *device)
{
	return TYPE_DMA;
}

static void insists_on_dma(struct attempt *attempt)
{
	script_driver.preference = prefer_dma;
}

/* ---- calls ---- */

static int use(struct attempt *attempt)
{
	return iommu_use_default_domain(attempt->device, "nvme", &attempt->why);
}

static int group_claim(struct attempt *attempt)
{
	return iommu_group_claim(attempt->device->group, attempt->owner, &attempt->why);
}

static int device_claim(struct attempt *attempt)
{
	return iommu_device_claim(attempt->device, attempt->owner, &attempt->why);
}

static int attach_device(struct attempt *attempt)
{
	return iommu_attach_device(attempt->domain, attempt->device, &attempt->why);
}

static int attach_group(struct attempt *attempt)
{
	return iommu_attach_group(attempt->domain, attempt->device->group, &attempt->why);
}

static int attach_handle(struct attempt *attempt)
{
	return iommu_attach_group_handle(attempt->domain, attempt->device->group, attempt->handle, &attempt->why);
}

static int replace_handle(struct attempt *attempt)
{
	return iommu_replace_group_handle(attempt->device->group, attempt->domain, attempt->handle, &attempt->why);
}

static int attach_pasid(struct attempt *attempt)
{
	return iommu_attach_pasid(attempt->domain, attempt->device, attempt->pasid, attempt->handle, &attempt->why);
}

static int replace_pasid(struct attempt *attempt)
{
	return iommu_replace_pasid(attempt->domain, attempt->device, attempt->pasid, attempt->handle, &attempt->why);
}

static int set_type(struct attempt *attempt)
{
	return iommu_group_set_type(attempt->device->group, attempt->type, &attempt->why);
}

/* ---- the rules ---- */

static const struct reason use_reasons[] = {
	{WHY_GROUP_UNSETTLED, "0000:02:00.2", no_default},
	{WHY_GROUP_OWNED, "nvme-cli (pid 99)", owned},
};

static const struct reason counted_use_reasons[] = {
	{WHY_GROUP_PRIVATE, "IOAS 1 of qemu-io", attached},
	{WHY_GROUP_PASIDS, "0000:02:00.1 is bound to e1000e", pasid_attached},
};

static const struct reason group_claim_reasons[] = {
	{WHY_OWNER_MISSING, "group 0", no_owner},
	{WHY_GROUP_NOT_VIABLE, "0000:02:00.1 is bound to e1000e", driver_bound},
	{WHY_GROUP_DOMAIN_BUSY, "IOAS 1 of qemu-io", attached},
	{WHY_GROUP_PASIDS_BUSY, "1 PASID", pasid_attached},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_GROUP_NEEDS_DIRECT, "0x7a000000", needs_direct},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

static const struct reason device_claim_reasons[] = {
	{WHY_OWNER_MISSING, "cannot be claimed for nobody", no_owner},
	{WHY_DEVICE_NO_IOMMU, "mdev-7", no_iommu},
	{WHY_GROUP_CLAIMED, "nvme-cli (pid 99)", owned},
	{WHY_GROUP_DOMAIN_BUSY, "IOAS 1 of qemu-io", attached},
	{WHY_GROUP_PASIDS_BUSY, "1 PASID", pasid_attached},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_GROUP_NEEDS_DIRECT, "0000:02:00.0", needs_direct},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

static const struct reason attach_device_reasons[] = {
	{WHY_DEVICE_NO_IOMMU, "mdev-7", no_iommu},
	{WHY_GROUP_SHARED, "0000:02:00.0", NULL},
};

static const struct reason attach_group_reasons[] = {
	{WHY_DOMAIN_ATTACHED, "IOAS 1 of qemu-io", attached},
	{WHY_DOMAIN_FOREIGN, "amd-iommu", foreign},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

static const struct reason attach_handle_reasons[] = {
	{WHY_HANDLE_MISSING, "group 0", no_handle},
	{WHY_HANDLE_TAKEN, "group 0", attached_by_handle},
	{WHY_DOMAIN_ATTACHED, "IOAS 1 of qemu-io", attached},
	{WHY_DOMAIN_FOREIGN, "dmar0, which is intel-iommu", foreign},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

/* Neither what is attached nor the make of the domain matters to the core. */
static const struct reason replace_handle_reasons[] = {
	{WHY_HANDLE_MISSING, "group 0", no_handle},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

static const struct reason attach_pasid_reasons[] = {
	{WHY_DEVICE_NO_IOMMU, "mdev-7", no_iommu},
	{WHY_PASID_UNSUPPORTED, "dmar0", without_pasids},
	{WHY_DOMAIN_FOREIGN, "amd-iommu", foreign},
	{WHY_PASID_ZERO, "0000:02:00.0", pasid_zero},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_PASID_TOO_LARGE, "0000:02:00.2", few_pasids},
	{WHY_PASID_TAKEN, "IOAS 1 of qemu-io", pasid_attached},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

static const struct reason replace_pasid_reasons[] = {
	{WHY_DEVICE_NO_IOMMU, "mdev-7", no_iommu},
	{WHY_PASID_UNSUPPORTED, "dmar0", without_pasids},
	{WHY_DOMAIN_FOREIGN, "amd-iommu", foreign},
	{WHY_PASID_ZERO, "0000:02:00.0", pasid_zero},
	{WHY_HANDLE_MISSING, "group 0", no_handle},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_PASID_EMPTY, "PASID 6", pasid_free},
	{WHY_HANDLE_REUSED, "PASID 5", handle_in_use},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

static const struct reason set_type_reasons[] = {
	{WHY_GROUP_TYPE_UNSETTLED, "group 2", no_default},
	{WHY_GROUP_TYPE_IN_USE, "0000:02:00.1 is bound to e1000e", driver_bound},
	{WHY_GROUP_TYPE_UNSUPPORTED, "dmar0, before 0000:02:00.0, insists on DMA", insists_on_dma},
	{WHY_GROUP_RECOVERING, "0000:02:00.1", member_reset},
	{WHY_IDS_EXHAUSTED, "0000:02:00.0", driver_refuses},
};

#define RULES(call, prepare, reasons)                                                                                  \
	{                                                                                                              \
#call, call, prepare, reasons, ARRAY_SIZE(reasons)                                                     \
	}

static const struct rules all_rules[] = {
	RULES(use, NULL, use_reasons),
	RULES(use, driver_bound, counted_use_reasons),
	RULES(group_claim, NULL, group_claim_reasons),
	RULES(device_claim, NULL, device_claim_reasons),
	RULES(attach_device, NULL, attach_device_reasons),
	RULES(attach_group, NULL, attach_group_reasons),
	RULES(attach_handle, NULL, attach_handle_reasons),
	RULES(replace_handle, NULL, replace_handle_reasons),
	RULES(attach_pasid, NULL, attach_pasid_reasons),
	RULES(replace_pasid, pasid_attached, replace_pasid_reasons),
	RULES(set_type, NULL, set_type_reasons),
};

/* ---- trying ---- */

struct before {
	const struct owner *owner;
	size_t count, pasids; /* no padding: compared as bytes */
	const struct domain *domain, *default_domain, *place[3];
};

static struct before note(const struct core_room *core)
{
	return (struct before){
		.owner = core->group->owner,
		.count = core->group->owner_count,
		.domain = core->group->domain,
		.default_domain = core->group->default_domain,
		.place = {dma_port_domain(core->first->port), dma_port_domain(core->second->port),
			  dma_port_domain(core->third->port)},
		.pasids = list_length(&core->group->pasids),
	};
}

/* Two reasons that spoil the same thing, each in its way. */
static bool exclusive(const struct reason *first, const struct reason *second)
{
	static const struct {
		void (*one)(struct attempt *attempt), (*other)(struct attempt *attempt);
	} pairs[] = {{attached_by_handle, attached}, {pasid_zero, pasid_free}, {no_handle, handle_in_use}};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].one == first->spoil && pairs[i].other == second->spoil)
			return true;
	return false;
}

/* What takes abilities away comes last: the other reasons need them; a claim comes first. */
static int rank(const struct reason *reason)
{
	if (reason->spoil == member_reset || reason->spoil == needs_direct || reason->spoil == without_pasids ||
	    reason->spoil == few_pasids)
		return 2;
	return reason->spoil == owned ? 0 : 1;
}

static void spoil(struct attempt *attempt, const struct reason *reason)
{
	if (reason->spoil)
		reason->spoil(attempt);
}

static void spoil_both(struct attempt *attempt, const struct reason *first, const struct reason *second)
{
	bool swapped = rank(first) > rank(second);

	spoil(attempt, swapped ? second : first);
	spoil(attempt, swapped ? first : second);
	if (attempt->strict_driver)
		script_set(1);
}

static void attempt_with(const struct rules *rules, const struct reason *first, const struct reason *second)
{
	struct core_room *core = core_room_new();
	struct attempt attempt = {.core = core,
				  .device = core->first,
				  .owner = core->owner,
				  .domain = core->v,
				  .handle = &core->handle,
				  .pasid = 5,
				  .type = TYPE_IDENTITY};
	struct before before, after;

	if (rules->prepare)
		rules->prepare(&attempt);
	spoil_both(&attempt, first, second ? second : &(struct reason){0});
	before = note(core);
	if (rules->call(&attempt) != -why_code_errno(first->code) || attempt.why.code != first->code)
		fail_msg("%s: %s before %s: got %s: %s", rules->name, why_code_name(first->code),
			 second ? why_code_name(second->code) : "anything", why_code_name(attempt.why.code),
			 attempt.why.text);
	EXPECT_SUBSTR(first->culprit, attempt.why.text);
	after = note(core);
	assert_memory_equal(&before, &after, sizeof(before));
	core->third->max_pasids = CORE_PASIDS;
	iommu_check(core->iommu);
	core_room_free(core);
}

TEST(precedence, each_reason_refuses_by_itself_and_names_its_culprit)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_rules); i++)
		for (size_t first = 0; first < all_rules[i].count; first++)
			attempt_with(&all_rules[i], &all_rules[i].reasons[first], NULL);
}

TEST(precedence, of_two_reasons_the_earlier_one_is_given)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_rules); i++)
		for (size_t first = 0; first < all_rules[i].count; first++)
			for (size_t second = first + 1; second < all_rules[i].count; second++)
				if (!exclusive(&all_rules[i].reasons[first], &all_rules[i].reasons[second]))
					attempt_with(&all_rules[i], &all_rules[i].reasons[first],
						     &all_rules[i].reasons[second]);
}

/* Each of these is somebody's bug in Linux, where it warns; here it is refused before it does harm. */
CORE_TEST(precedence, what_linux_warns_about_is_refused_by_name)
{
	struct why *why = &core->why;

	EXPECT_REFUSED(UNUSE_UNCOUNTED, *why, iommu_may_unuse(core->first, why));
	EXPECT_SUBSTR("0000:02:00.0", why->text);
	EXPECT_REFUSED(RELEASE_UNOWNED, *why, iommu_may_release(core->group, why));
	EXPECT_SUBSTR("group 0", why->text);
	core_bind(core, core->first, "nvme");
	ASSERT_OK(*why, iommu_may_unuse(core->first, why));
	ASSERT_OK(*why, iommu_attach_pasid(core->u, core->first, 5, NULL, why));
	EXPECT_REFUSED(GROUP_PASIDS, *why, iommu_use_default_domain(core->second, "e1000e", why));
	EXPECT_SUBSTR("e1000e cannot have 0000:02:00.1", why->text);
	EXPECT_REFUSED(UNUSE_PASIDS, *why, iommu_may_unuse(core->first, why));
	EXPECT_SUBSTR("nvme leaves 0000:02:00.0", why->text);
	EXPECT_ABORT(iommu_unuse_default_domain(core->first));
	EXPECT_ABORT(iommu_group_release(core->group));
}

CORE_TEST(precedence, pasids_that_are_left_keep_a_group_from_changing_hands)
{
	struct why *why = &core->why;

	EXPECT_REFUSED(PASID_EMPTY, *why, iommu_replace_pasid(core->v, core->first, 5, &core->handle, why));
	EXPECT_SUBSTR("PASID 5 of group 0", why->text);
	ASSERT_OK(*why, iommu_attach_pasid(core->u, core->first, 5, NULL, why));
	EXPECT_REFUSED(GROUP_PASIDS_BUSY, *why, iommu_device_claim(core->first, core->owner, why));
	EXPECT_SUBSTR("group 0 cannot be claimed: 1 PASIDs", why->text);
	iommu_detach_pasid(core->first, 5);
	ASSERT_OK(*why, iommu_device_claim(core->first, core->owner, why));
	ASSERT_OK(*why, iommu_attach_pasid(core->u, core->first, 5, NULL, why));
	EXPECT_REFUSED(RELEASE_PASIDS, *why, iommu_may_release_device(core->first, why));
	EXPECT_SUBSTR("qemu-io (pid 1234)", why->text);
	EXPECT_ABORT(iommu_device_release(core->first));
	script_driver.lacks_pasids = true;
	EXPECT_REFUSED(PASID_UNSUPPORTED, *why, iommu_attach_pasid(core->v, core->first, 6, NULL, why));
	EXPECT_SUBSTR("dmar0, before 0000:02:00.0", why->text);
}

CORE_TEST(precedence, a_group_without_a_default_domain_has_no_drivers_yet)
{
	struct iommu_group *group;

	iommu_device_remove(core->third);
	ASSERT_OK(core->why, iommu_group_add(core->iommu, &group, &core->why));
	ASSERT_OK(core->why, iommu_device_add(group, core->room->unit, &core->function, &core->third, &core->why));
	EXPECT_REFUSED(GROUP_UNSETTLED, core->why, iommu_use_default_domain(core->third, "nvme", &core->why));
	EXPECT_SUBSTR("nvme cannot have 0000:02:00.2 yet", core->why.text);
	/* Claimed first, it is blocked when its default domain comes; released, it goes there. */
	ASSERT_OK(core->why, iommu_device_claim(core->third, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_group_choose_default(group, &core->why));
	assert_ptr_equal(group->domain, group->blocking_domain);
	iommu_device_release(core->third);
	assert_ptr_equal(group->domain, group->default_domain);
	core_bind(core, core->third, "nvme");
}

CORE_TEST(precedence, an_owner_that_is_still_attached_with_a_handle_cannot_release)
{
	struct why *why = &core->why;

	ASSERT_OK(*why, iommu_device_claim(core->first, core->owner, why));
	ASSERT_OK(*why, iommu_attach_group_handle(core->u, core->group, &core->handle, why));
	EXPECT_REFUSED(RELEASE_ATTACHED, *why, iommu_may_release_device(core->first, why));
	EXPECT_SUBSTR("IOAS 1 of qemu-io", why->text);
	EXPECT_SUBSTR("qemu-io (pid 1234)", why->text);
	EXPECT_ABORT(iommu_group_release(core->group));
	iommu_detach_group_handle(core->group);
	ASSERT_OK(*why, iommu_may_release_device(core->first, why));
	iommu_device_release(core->first);
}

/* Both directions of both races: whoever is first has it, and is named to the second. */
CORE_TEST(precedence, driver_first_or_owner_first)
{
	struct why *why = &core->why;

	core_bind(core, core->second, "e1000e");
	EXPECT_REFUSED(GROUP_NOT_VIABLE, *why, iommu_group_claim(core->group, core->owner, why));
	EXPECT_REFUSED(GROUP_NOT_VIABLE, *why, iommu_device_claim(core->first, core->owner, why));
	EXPECT_SUBSTR("e1000e", why->text);
	iommu_unuse_default_domain(core->second);
	core->second->driver = NULL;
	ASSERT_OK(*why, iommu_device_claim(core->first, core->owner, why));
	EXPECT_REFUSED(GROUP_OWNED, *why, iommu_use_default_domain(core->second, "e1000e", why));
	EXPECT_SUBSTR("e1000e cannot have 0000:02:00.1", why->text);
	EXPECT_REFUSED(GROUP_CLAIMED, *why, iommu_device_claim(core->second, core->stranger, why));
	iommu_device_release(core->first);
	ASSERT_OK(*why, iommu_group_claim(core->group, core->stranger, why));
	EXPECT_REFUSED(GROUP_OWNED, *why, iommu_use_default_domain(core->second, "e1000e", why));
	EXPECT_REFUSED(GROUP_CLAIMED, *why, iommu_device_claim(core->first, core->owner, why));
	EXPECT_SUBSTR("nvme-cli (pid 99)", why->text);
}

/* k claims need k releases, whichever devices they were made through; the last one frees the group. */
CORE_TEST(precedence, claims_of_devices_are_counted)
{
	struct why *why = &core->why;

	ASSERT_OK(*why, iommu_device_claim(core->first, core->owner, why));
	ASSERT_OK(*why, iommu_device_claim(core->second, core->owner, why));
	ASSERT_OK(*why, iommu_device_claim(core->first, core->owner, why));
	assert_int_equal(core->group->owner_count, 3);
	iommu_device_release(core->first);
	iommu_device_release(core->first);
	EXPECT_REFUSED(RELEASE_UNOWNED, *why, iommu_may_release_device(core->first, why));
	assert_ptr_equal(core->group->domain, core->group->blocking_domain);
	iommu_check(core->iommu);
	iommu_device_release(core->second);
	assert_null(core->group->owner);
	assert_ptr_equal(core->group->domain, core->group->default_domain);
	/* A claim of the whole group and one of a device, of the same owner, are two. */
	ASSERT_OK(*why, iommu_group_claim(core->group, core->owner, why));
	ASSERT_OK(*why, iommu_device_claim(core->first, core->owner, why));
	iommu_check(core->iommu);
	iommu_device_release(core->first);
	assert_true(iommu_group_claimed(core->group));
	iommu_check(core->iommu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(precedence, each_reason_refuses_by_itself_and_names_its_culprit),
		CASE(precedence, of_two_reasons_the_earlier_one_is_given),
		CASE(precedence, what_linux_warns_about_is_refused_by_name),
		CASE(precedence, pasids_that_are_left_keep_a_group_from_changing_hands),
		CASE(precedence, a_group_without_a_default_domain_has_no_drivers_yet),
		CASE(precedence, an_owner_that_is_still_attached_with_a_handle_cannot_release),
		CASE(precedence, driver_first_or_owner_first),
		CASE(precedence, claims_of_devices_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
