/* SPDX-License-Identifier: MIT */
/*
 * Which devices get their PASIDs switched on (Linux: drivers/pci/ats.c:pci_enable_pasid()), and what comes of those
 * that do not: with Intel's driver the attach goes on, with the others it is refused.
 */
#include "isolde/iommu.h"
#include "isolde/isolde.h"

#include "tests/fixtures/told.h"

#include <fcntl.h>
#include <unistd.h>

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "machine/api.h"
#include "machine/device.h"
#include "machine/machine.h"

#define GOOD	 "0000:01:00.0"
#define BAD	 "0000:02:00.0"
#define PHYSICAL "0000:11:00.0"
#define VIRTUAL	 "0000:11:00.1"
/* One group with their port: it does not isolate, but forwards what has a PASID. */
#define SIBLING	    "0000:17:00.0"
#define SIBLING_OFF "0000:17:00.1"
/* As PHYSICAL, below a port without ACS. */
#define OFF	    "0000:18:00.0"
#define OFF_VIRTUAL "0000:18:00.1"

#define PORT(bus, more)                                                                                                \
	"  - {slot: '" bus ".0', bus: '" bus "', role: root-port, id: '8086:1901', driver: pcieport, " more            \
	", devices: [\n"
#define WITH(slot, more) "      {slot: '" slot "', id: '1234:5678', pasid: 8, ats: true, driver: none" more "},\n"
#define END		 "      ]}\n"
#define SWITCH                                                                                                         \
	"      {slot: '00.0', bus: '08', role: upstream-port, id: '10b5:8747', devices: [\n"                           \
	"        {slot: '00.0', bus: '09', role: downstream-port, id: '10b5:8747', acs: none, devices: [\n" WITH(      \
		"00.0", "") "      ]}]}\n"
#define ON_ROOT(slot, id, more) "  - {slot: '" slot "', id: '" id "', pasid: 8, ats: true, driver: none, " more "}\n"

static const char devices[] = PORT("01", "acs: full") WITH("00.0", "") END PORT("02", "acs: none") WITH(
	"00.0", "") END PORT("03", "acs: {capable: [sv, rr, cr, uf], enabled: [sv, cr, uf]}") WITH("00.0", "")
	END PORT("04", "acs: {capable: [sv, rr, cr, uf], enabled: [rr, uf]}") WITH("00.0", "") END PORT(
		"05", "acs: full, prefixes: false") WITH("00.0", "") END PORT("06", "acs: full") WITH("00.0", "")
		WITH("00.1", ", acs: full") END PORT("07", "acs: full") SWITCH END PORT("10", "acs: full")
			WITH("00.0", ", prefixes: false") END PORT("11", "acs: full") WITH(
				"00.0", ", flr: true, sriov: {total: 2, offset: 1, stride: 1, device: '0002'}")
				END ON_ROOT("12.0", "1234:0001", "role: integrated") ON_ROOT("13.0", "8086:0001",
											     "role: integrated")
					ON_ROOT("13.1", "1234:0001", "role: integrated") ON_ROOT(
						"13.2", "1234:0001", "role: integrated, acs: [rr, uf]")
						ON_ROOT("14.0", "1234:0001", "role: endpoint") ON_ROOT(
							"15.0", "19e5:a250",
							"role: integrated, prefixes: false, revision: '21'")
							ON_ROOT("16.0", "19e5:a250",
								"role: integrated, prefixes: false, revision: '22'")
								PORT("17",
								     "acs: {capable: [sv, rr, cr, uf], enabled: "
								     "[rr, uf]}") WITH("00.0",
										       ", acs: full") WITH("00.1", "")
									END PORT("18", "acs: none") WITH(
										"00.0",
										", flr: true, sriov: {total: 2, "
										"offset: 1, stride: 1, device: '0002'}")
										END;

struct room {
	struct isolde_machine *machine;
	struct isolde_device *good, *bad;
	struct isolde_domain *for_good, *for_bad;
	struct isolde_why why;
	struct why expected;
};

static long told(struct room *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call)	      ASSERT_OK(f->expected, told(f, call))
#define EXPECT_NO(code, call) EXPECT_REFUSED(code, f->expected, told(f, call))

static void room_init(struct room *f, const char *kind)
{
	char path[] = "/tmp/isolde-pasids-XXXXXX.yaml";
	struct isolde_machine_options options = {.size = sizeof(options), .machine = path};
	int fd = mkstemps(path, 5);

	*f = (struct room){};
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "name: pasids\nas_found: true\niommu: {kind: %s}\ndevices:\n%s", kind, devices) > 0);
	close(fd);
	OK(isolde_machine_new(&options, &f->machine, &f->why));
	unlink(path);
	OK(isolde_device_get(f->machine, GOOD, &f->good, &f->why));
	OK(isolde_device_get(f->machine, BAD, &f->bad, &f->why));
	OK(isolde_domain_new(f->good, "of the good", &f->for_good, &f->why));
	OK(isolde_domain_new(f->bad, "of the bad", &f->for_bad, &f->why));
}

static void room_fini(struct room *f)
{
	OK(isolde_domain_free(f->for_good, &f->why));
	OK(isolde_domain_free(f->for_bad, &f->why));
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
}

static const struct device *device_of(const struct room *f, const char *name)
{
	return device_called(f->machine->machine, name);
}

static u16 control_of(const struct device *device)
{
	return get_u16(device->function->config + device->function->cap_pasid + 6);
}

/* ---- who has them ---- */

static const struct {
	const char *name;
	const char *because; /* NULL: they are on */
} expected[] = {
	{GOOD, NULL},
	{BAD, "0000:00:02.0 has no ACS capability"},
	{"0000:03:00.0", "0000:00:03.0 has ACS, but switched off: RR,"},
	/* Linux asks for these two alone, though its group is that of the port. */
	{"0000:04:00.0", NULL},
	{"0000:05:00.0", "0000:00:05.0 takes no end-to-end prefixes"},
	/* A function beside another: its own ACS counts. */
	{"0000:06:00.0", "0000:06:00.0 has no ACS capability"},
	{"0000:06:00.1", NULL},
	{"0000:09:00.0", "0000:08:00.0 has no ACS capability"},
	{"0000:10:00.0", "0000:10:00.0 takes no end-to-end prefixes"},
	{PHYSICAL, NULL},
	/* Integrated: alone, the way to the root is none; beside others only with ACS, or as one of Intel's. */
	{"0000:00:12.0", NULL},
	{"0000:00:13.0", NULL},
	{"0000:00:13.1", "0000:00:13.1 has no ACS capability"},
	{"0000:00:13.2", NULL},
	{"0000:00:14.0", "no part of the root complex"},
	/* quirk_huawei_pcie_sva(): some revisions */
	{"0000:00:15.0", NULL},
	{"0000:00:16.0", "0000:00:16.0 takes no end-to-end prefixes"},
	{SIBLING, NULL},
	{SIBLING_OFF, "0000:17:00.1 has no ACS capability"},
};

TEST(pasids, are_on_where_the_whole_way_allows_it)
{
	static struct room room, *const f = &room;

	room_init(f, "intel-vtd");
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct device *device = device_of(f, expected[i].name);

		assert_non_null(device);
		if (!expected[i].because != (control_of(device) == 7) ||
		    !expected[i].because != !device->iommu->pasids_off)
			fail_msg("%s: control %x, %s", device->name, control_of(device), device->iommu->pasids_off);
		if (expected[i].because)
			EXPECT_SUBSTR(expected[i].because, device->iommu->pasids_off);
		/* How many it has is not asked of the register. */
		assert_int_equal(device->iommu->max_pasids, 256);
	}
	room_fini(f);
}

TEST(pasids, that_stay_off_are_told_at_the_start)
{
	static struct room room, *const f = &room;
	struct isolde_journal_entry entry = {.size = sizeof(entry)};
	unsigned found = 0;
	u64 cursor = 0;

	room_init(f, "arm-smmuv3");
	while (isolde_journal_next(f->machine, &cursor, &entry, &f->why) == 1)
		if (strcmp(entry.why.code, "PASID_DISABLED") == 0) {
			assert_string_equal(entry.request, "boot");
			found += strstr(entry.why.text, BAD " has PASIDs") != NULL;
			assert_null(strstr(entry.why.text, GOOD));
		}
	assert_int_equal(found, 1);
	room_fini(f);
}

/* ---- what comes of it ---- */

/* intel_iommu_set_dev_pasid() and intel_iommu_sva_supported() */
TEST(pasids, of_intel_are_attached_all_the_same)
{
	static struct room room, *const f = &room;
	u32 pasid;

	room_init(f, "intel-vtd");
	OK(isolde_attach_pasid(f->for_good, f->good, 3, NULL, &f->why));
	assert_string_equal(f->why.code, "");
	OK(isolde_attach_pasid(f->for_bad, f->bad, 3, NULL, &f->why));
	assert_string_equal(f->why.code, "PASID_DISABLED");
	EXPECT_SUBSTR(BAD " has PASIDs, but they stay switched off: 0000:00:02.0 has no ACS", f->why.text);
	OK(isolde_detach_pasid(f->bad, 3, &f->why));
	OK(isolde_detach_pasid(f->good, 3, &f->why));
	EXPECT_NO(PASID_DISABLED, isolde_sva_bind(f->bad, &pasid, &f->why));
	OK(isolde_sva_bind(f->good, &pasid, &f->why));
	isolde_sva_unbind(f->good);
	room_fini(f);
}

TEST(pasids, of_intel_that_a_sibling_does_not_use_are_told_too)
{
	static struct room room, *const f = &room;
	struct isolde_handle *handles[2];
	struct isolde_domain *domain;
	struct isolde_device *named;

	room_init(f, "intel-vtd");
	OK(isolde_device_get(f->machine, SIBLING, &named, &f->why));
	assert_ptr_equal(device_of(f, SIBLING)->iommu->group, device_of(f, SIBLING_OFF)->iommu->group);
	OK(isolde_domain_new(named, "of both", &domain, &f->why));
	for (unsigned i = 0; i < ARRAY_SIZE(handles); i++)
		OK(isolde_handle_new(f->machine, &handles[i], &f->why));
	OK(isolde_attach_pasid(domain, named, 3, handles[0], &f->why));
	assert_string_equal(f->why.code, "PASID_DISABLED");
	EXPECT_SUBSTR(SIBLING_OFF " has PASIDs, but they stay switched off", f->why.text);
	OK(isolde_replace_pasid(domain, named, 3, handles[1], &f->why));
	assert_string_equal(f->why.code, "PASID_DISABLED");
	EXPECT_SUBSTR(SIBLING_OFF " has PASIDs, but they stay switched off", f->why.text);
	OK(isolde_detach_pasid(named, 3, &f->why));
	for (unsigned i = 0; i < ARRAY_SIZE(handles); i++)
		OK(isolde_handle_free(handles[i], &f->why));
	OK(isolde_domain_free(domain, &f->why));
	room_fini(f);
}

/* Linux writes past the end of a table of one entry (arm_smmu_alloc_cd_tables(), arm_smmu_get_cd_ptr()). */
TEST(pasids, of_arm_are_refused)
{
	static struct room room, *const f = &room;

	room_init(f, "arm-smmuv3");
	EXPECT_NO(PASID_DISABLED, isolde_attach_pasid(f->for_bad, f->bad, 3, NULL, &f->why));
	EXPECT_SUBSTR("0000:00:02.0", f->expected.text);
	room_fini(f);
}

/* amd/pasid.c:iommu_sva_set_dev_pasid(); nothing else is attached to PASIDs. */
TEST(pasids, of_amd_are_refused)
{
	static struct room room, *const f = &room;
	u32 pasid;

	room_init(f, "amd-vi");
	assert_int_equal(control_of(device_of(f, GOOD)), 1);
	EXPECT_NO(PASID_DISABLED, isolde_sva_bind(f->bad, &pasid, &f->why));
	OK(isolde_sva_bind(f->good, &pasid, &f->why));
	isolde_sva_unbind(f->good);
	room_fini(f);
}

/* ---- virtual functions ---- */

static void make_virtual(struct room *f, const char *physical)
{
	static const char parameter[] = "sys/module/vfio_pci/parameters/enable_sriov";
	char path[96];

	OK(isolde_attribute_write(f->machine, parameter, "Y", 1, &f->why));
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", physical);
	OK(isolde_attribute_write(f->machine, path, "vfio-pci", 8, &f->why));
	OK(isolde_attribute_write(f->machine, "sys/bus/pci/drivers_probe", physical, strlen(physical), &f->why));
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/sriov_numvfs", physical);
	OK(isolde_attribute_write(f->machine, path, "1", 1, &f->why));
}

/* Theirs are the physical function's (pci/ats.c:pci_max_pasids(), pci_enable_pasid()). */
TEST(pasids, of_virtual_functions_are_the_physical_ones)
{
	static struct room room, *const f = &room;
	const struct device *device;

	room_init(f, "intel-vtd");
	make_virtual(f, PHYSICAL);
	device = device_of(f, VIRTUAL);
	assert_non_null(device);
	assert_int_equal(device->function->cap_pasid, 0);
	assert_int_equal(device->iommu->max_pasids, 256);
	assert_null(device->iommu->pasids_off);
	room_fini(f);
}

static unsigned entries_of(struct room *f, const char *name)
{
	struct isolde_journal_entry entry = {.size = sizeof(entry)};
	unsigned found = 0;
	u64 cursor = 0;

	while (isolde_journal_next(f->machine, &cursor, &entry, &f->why) == 1)
		found += strcmp(entry.why.code, "PASID_DISABLED") == 0 && strstr(entry.why.text, name);
	return found;
}

/* The reason is the physical function's, too. */
TEST(pasids, that_stay_off_are_not_told_again_of_virtual_functions)
{
	static struct room room, *const f = &room;

	room_init(f, "intel-vtd");
	make_virtual(f, OFF);
	assert_non_null(device_of(f, OFF_VIRTUAL));
	EXPECT_SUBSTR("0000:00:18.0 has no ACS capability", device_of(f, OFF_VIRTUAL)->iommu->pasids_off);
	assert_int_equal(entries_of(f, OFF " has PASIDs"), 1);
	assert_int_equal(entries_of(f, OFF_VIRTUAL), 0);
	room_fini(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pasids, are_on_where_the_whole_way_allows_it),
		CASE(pasids, that_stay_off_are_told_at_the_start),
		CASE(pasids, of_intel_are_attached_all_the_same),
		CASE(pasids, of_intel_that_a_sibling_does_not_use_are_told_too),
		CASE(pasids, of_arm_are_refused),
		CASE(pasids, of_amd_are_refused),
		CASE(pasids, of_virtual_functions_are_the_physical_ones),
		CASE(pasids, that_stay_off_are_not_told_again_of_virtual_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
