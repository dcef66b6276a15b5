/* SPDX-License-Identifier: MIT */
/* Declarations, as data: what each of them makes of each attach, strict and not. */
#include "tests/fixtures/core_room.h"

enum way { BY_DEVICE, BY_GROUP, BY_REPLACING, BY_ONESELF, BY_PASID, BY_PASID_REPLACED, BY_PASID_ONESELF, WAYS };

static bool is_pasid(enum way way)
{
	return way >= BY_PASID;
}

static int attach(struct core_room *core, struct iommu_device *device, enum way way, struct domain *domain)
{
	switch (way) {
	case BY_DEVICE:
		return iommu_attach_device(domain, device, &core->why);
	case BY_GROUP:
		return iommu_attach_group_handle(domain, device->group, &core->handle, &core->why);
	case BY_REPLACING:
		return iommu_replace_group_handle(device->group, domain, &core->handle, &core->why);
	case BY_ONESELF:
		return iommu_device_attach(device, 0, domain, &core->handle, &core->why);
	case BY_PASID:
		return iommu_attach_pasid(domain, device, 5, &core->handle, &core->why);
	case BY_PASID_REPLACED:
		return iommu_replace_pasid(domain, device, 6, &core->handle, &core->why);
	default:
		return iommu_device_attach(device, 5, domain, &core->handle, &core->why);
	}
}

/* Of a device with PASIDs and one without; NONE: it is attached. */
static const struct {
	unsigned intent;
	enum why_code plain, pasid, pasid_without_tlps;
	const char *says;
} rows[] = {
	{INTENT_UNDECLARED, WHY_NONE, WHY_NONE, WHY_NONE, ""},
	{INTENT_DMA, WHY_NONE, WHY_INTENT_NO_PASID, WHY_INTENT_NO_PASID_TLPS, "DMA with its requester id"},
	{INTENT_PASID, WHY_INTENT_NO_DMA, WHY_NONE, WHY_INTENT_NO_PASID_TLPS, "DMA with PASIDs"},
	{INTENT_DMA | INTENT_PASID, WHY_NONE, WHY_NONE, WHY_INTENT_NO_PASID_TLPS, "DMA with PASIDs"},
	{INTENT_PASID | INTENT_ENQCMD, WHY_INTENT_NO_DMA, WHY_INTENT_ENQCMD_UNTRANSLATED, WHY_INTENT_NO_PASID_TLPS,
	 "ENQCMD"},
	{INTENT_DMA | INTENT_PASID | INTENT_ENQCMD, WHY_NONE, WHY_INTENT_ENQCMD_UNTRANSLATED, WHY_INTENT_NO_PASID_TLPS,
	 "ENQCMD"},
	{INTENT_SOFTWARE, WHY_INTENT_SOFTWARE_ONLY, WHY_INTENT_NO_PASID, WHY_INTENT_NO_PASID_TLPS,
	 "a table in software"},
};

static void check_row(size_t row, enum way way, bool tlps, bool strict)
{
	struct core_room *core = core_room_new();
	enum why_code expected = !is_pasid(way) ? rows[row].plain
				 : tlps		? rows[row].pasid
						: rows[row].pasid_without_tlps;
	int err;

	core->alone->max_pasids = tlps ? CORE_PASIDS : 0;
	if (way == BY_PASID_REPLACED)
		ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->alone, 6, NULL, &core->why));
	if (rows[row].intent != INTENT_UNDECLARED)
		ASSERT_OK(core->why, iommu_declare(core->alone, "idxd", rows[row].intent, &core->why));
	core->iommu->options.strict_intent = strict;
	why_clear(&core->why);
	err = attach(core, core->alone, way, core->u);
	if (!strict)
		expected = WHY_NONE;
	if (core->why.code != expected || err != -why_code_errno(expected))
		fail_msg("row %zu, way %d: %s: %s", row, way, why_code_name(core->why.code), core->why.text);
	if (expected != WHY_NONE) {
		EXPECT_SUBSTR("idxd declared", core->why.text);
		EXPECT_SUBSTR("0000:01:00.0", core->why.text);
		EXPECT_SUBSTR(rows[row].says, core->why.text);
		assert_int_equal(core->u->users, 0);
	}
	iommu_check(core->iommu);
	core_room_free(core);
}

TEST(intent, every_declaration_meets_every_attach)
{
	for (size_t row = 0; row < ARRAY_SIZE(rows); row++)
		for (enum way way = 0; way < WAYS; way++)
			for (unsigned option = 0; option < 4; option++)
				check_row(row, way, option & 1, option & 2);
}

CORE_TEST(intent, declarations_must_not_contradict_themselves)
{
	EXPECT_REFUSED(INTENT_CONTRADICTORY, core->why,
		       iommu_declare(core->alone, "idxd", INTENT_SOFTWARE | INTENT_DMA, &core->why));
	EXPECT_SUBSTR("idxd declares DMA with its requester id, a table in software of 0000:01:00.0", core->why.text);
	EXPECT_REFUSED(INTENT_CONTRADICTORY, core->why,
		       iommu_declare(core->alone, "idxd", INTENT_DMA | INTENT_ENQCMD, &core->why));
	EXPECT_SUBSTR("ENQCMD is DMA with PASIDs", core->why.text);
	assert_null(core->alone->driver);
	assert_int_equal(core->alone->intent, INTENT_UNDECLARED);
	ASSERT_OK(core->why, iommu_declare(core->alone, "idxd", INTENT_DMA, &core->why));
	iommu_undeclare(core->alone);
	assert_int_equal(core->alone->intent, INTENT_UNDECLARED);
}

CORE_TEST(intent, virtual_pasids_are_translated_per_device)
{
	u32 pasid = 0;

	core->iommu->options.strict_intent = true;
	ASSERT_OK(core->why, iommu_declare(core->alone, "idxd", INTENT_DMA, &core->why));
	EXPECT_REFUSED(INTENT_NO_ENQCMD, core->why, iommu_enqcmd_set(core->alone, 1, 5, &core->why));
	EXPECT_SUBSTR("0000:01:00.0: its driver declared DMA with its requester id", core->why.text);
	ASSERT_OK(core->why, iommu_declare(core->alone, "idxd", INTENT_PASID | INTENT_ENQCMD, &core->why));
	EXPECT_REFUSED(INTENT_ENQCMD_UNTRANSLATED, core->why,
		       iommu_attach_pasid(core->u, core->alone, 5, NULL, &core->why));
	EXPECT_SUBSTR("no virtual PASID stands for 5", core->why.text);
	ASSERT_OK(core->why, iommu_enqcmd_set(core->alone, 1, 5, &core->why));
	EXPECT_REFUSED(PASID_TAKEN, core->why, iommu_enqcmd_set(core->alone, 1, 6, &core->why));
	EXPECT_SUBSTR("virtual PASID 1 stands for 5 already", core->why.text);
	assert_true(iommu_enqcmd_translate(core->alone, 1, &pasid));
	assert_int_equal(pasid, 5);
	assert_false(iommu_enqcmd_translate(core->alone, 5, &pasid));
	assert_false(iommu_enqcmd_translate(core->first, 1, &pasid));
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->alone, 5, NULL, &core->why));
	iommu_enqcmd_clear(core->alone, 1);
	iommu_enqcmd_clear(core->alone, 1);
	assert_false(iommu_enqcmd_translate(core->alone, 1, &pasid));
	/* The table goes with the driver. */
	ASSERT_OK(core->why, iommu_enqcmd_set(core->alone, 9, 5, &core->why));
	iommu_undeclare(core->alone);
	assert_false(iommu_enqcmd_translate(core->alone, 9, &pasid));
}

/* A mediated device: strict says what its declaration contradicts, Linux only that it has no IOMMU. */
CORE_TEST(intent, what_is_no_hardware_gets_no_domain_of_hardware)
{
	struct iommu_device *mdev = core_emulated(core, core->first);

	ASSERT_OK(core->why, iommu_declare(mdev, "vgpu", INTENT_SOFTWARE, &core->why));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why, iommu_attach_device(core->u, mdev, &core->why));
	core->iommu->options.strict_intent = true;
	EXPECT_REFUSED(INTENT_SOFTWARE_ONLY, core->why, iommu_attach_device(core->u, mdev, &core->why));
	EXPECT_SUBSTR("vgpu declared a table in software for mdev-7", core->why.text);
	EXPECT_REFUSED(INTENT_SOFTWARE_ONLY, core->why, iommu_attach_group(core->u, mdev->group, &core->why));
	EXPECT_REFUSED(INTENT_SOFTWARE_ONLY, core->why, iommu_device_attach(mdev, 0, core->u, NULL, &core->why));
	EXPECT_REFUSED(INTENT_MDEV_PASID, core->why, iommu_device_attach(mdev, 3, core->u, NULL, &core->why));
	EXPECT_REFUSED(INTENT_MDEV_PASID, core->why, iommu_attach_pasid(core->u, mdev, 3, NULL, &core->why));
	EXPECT_SUBSTR("under the requester id of 0000:02:00.0", core->why.text);
	EXPECT_SUBSTR("vgpu declared a table in software", core->why.text);
	/* On behalf of it, its parent's driver may. */
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 3, NULL, &core->why));
	iommu_undeclare(mdev);
}

CORE_TEST(intent, a_nested_table_must_be_in_the_hardwares_format)
{
	struct domain *nested = core_nested(core, core->u);

	nested->format = ISOLDE_PT_FORMATS;
	ASSERT_OK(core->why, iommu_attach_group(nested, core->group, &core->why));
	iommu_detach_group(core->group);
	core->iommu->options.strict_intent = true;
	for (enum way way = BY_GROUP; way < WAYS; way++)
		if (way != BY_PASID_REPLACED) {
			EXPECT_REFUSED(INTENT_NESTED_VENDOR, core->why, attach(core, core->first, way, nested));
			EXPECT_SUBSTR("the guest's table 5 is a table in the format of another vendor", core->why.text);
			EXPECT_SUBSTR("dmar0, before 0000:02:00.0, is intel-iommu", core->why.text);
		}
	nested->format = script_driver.nested_format;
	ASSERT_OK(core->why, iommu_attach_group(nested, core->group, &core->why));
	iommu_detach_group(core->group);
	domain_free(nested);
}

/* Moving a group asks all of its drivers; joining, the one that joins. */
CORE_TEST(intent, siblings_are_asked_too)
{
	core->iommu->options.strict_intent = true;
	core->iommu->options.alias_domains = true;
	ASSERT_OK(core->why, iommu_declare(core->second, "idxd", INTENT_PASID, &core->why));
	EXPECT_REFUSED(INTENT_NO_DMA, core->why, iommu_attach_group(core->u, core->group, &core->why));
	EXPECT_SUBSTR("idxd declared DMA with PASIDs of 0000:02:00.1", core->why.text);
	EXPECT_REFUSED(INTENT_NO_DMA, core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	iommu_undeclare(core->second);
	ASSERT_OK(core->why, iommu_device_attach(core->first, 0, core->u, &core->handle, &core->why));
	ASSERT_OK(core->why, iommu_declare(core->second, "idxd", INTENT_SOFTWARE, &core->why));
	EXPECT_REFUSED(INTENT_SOFTWARE_ONLY, core->why,
		       iommu_device_attach(core->second, 0, core->u, &core->handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.1", core->why.text);
	assert_null(iommu_device_domain(core->second, 0));
}

CORE_TEST(intent, two_reasons_for_no_pasids_are_told_apart)
{
	core->iommu->options.strict_intent = true;
	core->alone->max_pasids = 0;
	ASSERT_OK(core->why, iommu_declare(core->alone, "idxd", INTENT_PASID, &core->why));
	EXPECT_REFUSED(INTENT_NO_PASID_TLPS, core->why, iommu_attach_pasid(core->u, core->alone, 3, NULL, &core->why));
	EXPECT_SUBSTR("it has no PASID capability", core->why.text);
	core->alone->function->cap_pasid = 0x140;
	EXPECT_REFUSED(INTENT_NO_PASID_TLPS, core->why, iommu_attach_pasid(core->u, core->alone, 3, NULL, &core->why));
	EXPECT_SUBSTR("its IOMMU knows no PASIDs", core->why.text);
	ASSERT_OK(core->why, iommu_declare(core->alone, "idxd", INTENT_DMA, &core->why));
	core->alone->max_pasids = CORE_PASIDS;
	EXPECT_REFUSED(INTENT_NO_PASID, core->why, iommu_attach_pasid(core->u, core->alone, 3, NULL, &core->why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(intent, every_declaration_meets_every_attach),
		CASE(intent, declarations_must_not_contradict_themselves),
		CASE(intent, virtual_pasids_are_translated_per_device),
		CASE(intent, what_is_no_hardware_gets_no_domain_of_hardware),
		CASE(intent, a_nested_table_must_be_in_the_hardwares_format),
		CASE(intent, siblings_are_asked_too),
		CASE(intent, two_reasons_for_no_pasids_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
