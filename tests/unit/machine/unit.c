/* SPDX-License-Identifier: MIT */
/* The IOMMUs of a machine: keys of its file, registers, and what sysfs shows of each kind. */
#include "machine/unit.h"

#include "iommu/kind.h"
#include "iommufd/device.h"
#include "machine/device.h"
#include "machine/machine.h"
#include "tests/helpers.h"

static struct machine *boot(const char *text, struct why *why)
{
	struct description *description;
	struct machine *machine;

	ASSERT_OK(*why, description_parse(text, strlen(text), "test.yaml", &description, why));
	ASSERT_OK(*why, machine_new(description, &machine, why));
	return machine;
}

static struct machine *boot_builtin(const char *name, struct why *why)
{
	struct description *description;
	struct machine *machine;

	ASSERT_OK(*why, description_load(name, &description, why));
	ASSERT_OK(*why, machine_new(description, &machine, why));
	return machine;
}

static const char *cat(struct machine *machine, const char *path)
{
	static char text[NODE_TEXT + 1];
	struct node *node = node_walk(machine->root, path);
	struct why why = WHY_INIT;
	s64 size;

	if (!node)
		fail_msg("no %s", path);
	size = ASSERT_OK(why, node->ops->show(node, text, NODE_TEXT, &why));
	text[size] = '\0';
	return text;
}

static const char *link_of(struct machine *machine, const char *path)
{
	const struct node *node = node_at(machine->root, path);

	if (!node)
		fail_msg("no %s", path);
	return node->target;
}

static const struct iommu_unit *unit_of(const struct machine *machine)
{
	return list_first(&machine->iommu.units, struct iommu_unit, link);
}

/* ---- keys ---- */

#define BEHIND "\ndevices:\n  - {slot: \"01.0\", id: \"8086:0001\"}\n"

static void expect_refused(const char *keys, const char *place, const char *reason)
{
	struct description *description;
	struct why why = WHY_INIT;
	char text[256];

	snprintf(text, sizeof(text), "iommu: {%s}\ndevices: []\n", keys);
	EXPECT_REFUSED(MACHINE_FILE, why, description_parse(text, strlen(text), "test.yaml", &description, &why));
	EXPECT_SUBSTR(place, why.text);
	EXPECT_SUBSTR(reason, why.text);
}

TEST(unit, keys_must_suit_the_kind_whatever_their_order)
{
	expect_refused("kind: amd", "test.yaml:1:15", "intel-vtd, amd-vi, arm-smmuv3, riscv-iommu");
	expect_refused("width: 64, kind: intel-vtd", "test.yaml:1:16", "39, 48 or 57");
	expect_refused("kind: amd-vi, width: 39", "test.yaml:1:30", "48, 57 or 64");
	expect_refused("kind: arm-smmuv3, width: 57", "test.yaml:1:34", "39, 42 or 48");
	expect_refused("kind: riscv-iommu, width: 64", "test.yaml:1:35", "39, 48 or 57");
	expect_refused("width: 65", "test.yaml:1:16", "64");
	expect_refused("pasids: 21", "test.yaml:1:17", "20");
	expect_refused("granule: 4096", "test.yaml:1:18", "intel-vtd has no choice of granule");
	expect_refused("kind: arm-smmuv3, granule: 8192", "test.yaml:1:36", "4096, 16384 or 65536");
	expect_refused("format: v1", "test.yaml:1:17", "intel-vtd has no choice of format");
	expect_refused("kind: amd-vi, format: v3", "test.yaml:1:31", "v1 or v2");
	expect_refused("kind: amd-vi, format: v2, pasids: 0", "test.yaml:1:31", "needs PASIDs");
	expect_refused("nesting: true, pasids: 0", "test.yaml:1:18", "nesting needs PASIDs");
	expect_refused("nesting: soon", "test.yaml:1:18", "true nor false");
	expect_refused("coherent: false", "test.yaml:1:19", "always coherent");
	expect_refused("kind: riscv-iommu, pasids: 8", "test.yaml:1:36", "no PASIDs in Linux 7.2");
	expect_refused("kind: riscv-iommu, dirty: true", "test.yaml:1:35", "no dirty tracking in Linux 7.2");
	expect_refused("kind: riscv-iommu, nesting: true", "test.yaml:1:37", "no nesting in Linux 7.2");
}

static void expect_unit(const char *keys, void (*check)(const struct iommu_unit *unit))
{
	struct why why = WHY_INIT;
	struct machine *machine;
	char text[256];

	snprintf(text, sizeof(text), "iommu: {%s}" BEHIND, keys);
	machine = boot(text, &why);
	check(unit_of(machine));
	machine_check(machine);
	machine_free(machine);
}

static void is_usual_intel(const struct iommu_unit *unit)
{
	assert_int_equal(unit->format, ISOLDE_PT_VTDSS);
	assert_int_equal(unit->cap >> 16 & 0x3f, 47);
	assert_int_equal(unit->cap >> 8 & 0x1f, BIT(2));
	assert_int_equal(unit->max_pasids, BIT(20));
	assert_int_equal(unit->ecap & (INTEL_ECAP_NESTING | INTEL_ECAP_FIRST_STAGE), 0);
	assert_true(iommu_unit_capable(unit, CAP_DIRTY));
	assert_true(iommu_unit_capable(unit, CAP_ENFORCE_COHERENCY));
}

static void is_legacy_intel(const struct iommu_unit *unit)
{
	assert_int_equal(unit->last_iova, MASK(38, 0));
	assert_int_equal(unit->ecap & INTEL_ECAP_SCALABLE, 0);
	assert_int_equal(unit->max_pasids, 0);
	assert_false(iommu_unit_capable(unit, CAP_DIRTY));
}

static void is_wide_nesting_intel(const struct iommu_unit *unit)
{
	struct domain_shape shape;
	struct why why = WHY_INIT;

	assert_int_equal(unit->format, ISOLDE_PT_X86_64);
	ASSERT_OK(why, iommu_unit_shape(unit, DOMAIN_FOR_NESTING, &shape, &why));
	assert_int_equal(shape.table.levels, 5);
	assert_false(iommu_unit_capable(unit, CAP_DIRTY));
}

static void is_guest_amd(const struct iommu_unit *unit)
{
	assert_int_equal(unit->format, ISOLDE_PT_X86_64);
	assert_int_equal(unit->max_pasids, 255);
	assert_int_equal(AMD_EFR_PASMAX(unit->efr), 7);
	assert_int_equal(AMD_EFR_LEVELS(unit->efr), 0);
	assert_false(iommu_unit_capable(unit, CAP_DIRTY));
}

static void is_small_amd(const struct iommu_unit *unit)
{
	struct domain_shape shape;
	struct why why = WHY_INIT;

	assert_int_equal(unit->format, ISOLDE_PT_AMDV1);
	assert_int_equal(unit->last_iova, MASK(56, 0));
	EXPECT_REFUSED(DOMAIN_ABILITY, why, iommu_unit_shape(unit, DOMAIN_FOR_NESTING, &shape, &why));
}

static void is_64k_smmu(const struct iommu_unit *unit)
{
	assert_int_equal(unit->granule, 0x10000);
	assert_int_equal(unit->idr[5], BIT(6) | 5);
	assert_int_equal(SMMU_IDR1_SSIDS(unit->idr[1]), 0);
	assert_int_equal(unit->last_iova, MASK(38, 0));
	assert_false(iommu_unit_capable(unit, CAP_COHERENT));
}

static void is_incoherent_riscv(const struct iommu_unit *unit)
{
	assert_int_equal(unit->format, ISOLDE_PT_RISCV_S1);
	assert_int_equal(unit->last_iova, MASK(55, 0));
	assert_false(iommu_unit_capable(unit, CAP_COHERENT));
}

TEST(unit, registers_say_what_the_file_says)
{
	expect_unit("kind: intel-vtd", is_usual_intel);
	expect_unit("pasids: 0, width: 39", is_legacy_intel);
	expect_unit("nesting: true, width: 57, dirty: false", is_wide_nesting_intel);
	expect_unit("kind: amd-vi, format: v2, pasids: 8, width: 48, dirty: false", is_guest_amd);
	expect_unit("kind: amd-vi, pasids: 0, width: 57", is_small_amd);
	expect_unit("kind: arm-smmuv3, granule: 65536, width: 39, pasids: 0, coherent: false", is_64k_smmu);
	expect_unit("kind: riscv-iommu, width: 57", is_incoherent_riscv);
}

TEST(unit, vfio_takes_no_device_whose_dma_may_be_incoherent)
{
	struct pci_addr addr = {.devfn = pci_devfn(1, 0)};
	struct why why = WHY_INIT;
	struct machine *machine = boot("iommu: {kind: riscv-iommu}" BEHIND, &why);

	EXPECT_REFUSED(VFIO_INCOHERENT, why, machine_bind(machine, addr, "vfio-pci", &why));
	EXPECT_SUBSTR("riscv-iommu@3010000.iommu", why.text);
	machine_free(machine);
	machine = boot("iommu: {kind: riscv-iommu, coherent: true}" BEHIND, &why);
	ASSERT_OK(why, machine_bind(machine, addr, "vfio-pci", &why));
	machine_free(machine);
}

/* Both ways into VFIO ask, each the option of its own module; the machine file gives both. */
TEST(unit, vfio_takes_no_device_that_could_raise_interrupts_of_others)
{
	struct why why = WHY_INIT;
	struct machine *machine = boot("iommu: {kind: intel-vtd, interrupt_remapping: false}" BEHIND, &why);

	assert_int_equal(unit_of(machine)->ecap & 0x18, 0);
	assert_false(machine->vfio.unsafe_interrupts || machine->iommufd.unsafe_interrupts);
	EXPECT_REFUSED(MSI_NOT_ISOLATED, why,
		       iommufd_check_interrupts(list_first(&machine->iommu.groups, struct iommu_group, link), &why));
	machine_free(machine);
	machine = boot(
		"options: {unsafe_interrupts: true, dma_entry_limit: 7}\niommu: {interrupt_remapping: false}" BEHIND,
		&why);
	assert_true(machine->vfio.unsafe_interrupts && machine->iommufd.unsafe_interrupts);
	assert_string_equal(cat(machine, "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"), "Y\n");
	assert_string_equal(cat(machine, "sys/module/vfio_iommu_type1/parameters/dma_entry_limit"), "7\n");
	machine_free(machine);
}

/* ---- sysfs ---- */

#define FIRST_NVME "sys/bus/pci/devices/0000:01:00.0/"

static void expect_regions(struct machine *machine, const char *regions)
{
	assert_string_equal(cat(machine, FIRST_NVME "iommu_group/reserved_regions"), regions);
}

TEST(unit, sysfs_shows_amds_units_below_their_functions)
{
	struct why why = WHY_INIT;
	struct machine *machine = boot_builtin("amd", &why);

	assert_string_equal(link_of(machine, "sys/class/iommu/ivhd0"),
			    "../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0");
	assert_string_equal(cat(machine, "sys/class/iommu/ivhd0/amd-iommu/cap"), "190b640f\n");
	assert_string_equal(cat(machine, "sys/class/iommu/ivhd0/amd-iommu/features"), "17000f00004bdf:8\n");
	assert_non_null(node_walk(machine->root, "sys/class/iommu/ivhd0/devices/0000:01:00.0"));
	assert_non_null(node_walk(machine->root, "sys/class/iommu/ivhd0/device/vendor"));
	assert_non_null(node_walk(machine->root, FIRST_NVME "iommu/amd-iommu"));
	/* It is no device behind itself. */
	assert_null(node_at(machine->root, "sys/devices/pci0000:00/0000:00:00.2/iommu_group"));
	expect_regions(machine, "0x00000000fee00000 0x00000000feefffff msi\n"
				"0x000000fd00000000 0x000000ffffffffff reserved\n");
	/* It shares addresses, so it is not translated without PASID. */
	assert_string_equal(cat(machine, FIRST_NVME "iommu_group/type"), "identity\n");
	machine_check(machine);
	machine_free(machine);
}

TEST(unit, amds_units_without_functions_are_virtual)
{
	struct why why = WHY_INIT;
	struct machine *machine = boot("iommu: {kind: amd-vi}" BEHIND, &why);

	assert_string_equal(link_of(machine, "sys/class/iommu/ivhd0"), "../../devices/virtual/iommu/ivhd0");
	assert_null(node_walk(machine->root, "sys/class/iommu/ivhd0/device"));
	machine_free(machine);
}

TEST(unit, sysfs_shows_smmus_as_platform_devices)
{
	struct why why = WHY_INIT;
	struct machine *machine = boot_builtin("arm", &why);

	assert_string_equal(link_of(machine, "sys/class/iommu/smmu3.0x0000000009050000"),
			    "../../devices/platform/arm-smmu-v3.0.auto/iommu/smmu3.0x0000000009050000");
	assert_non_null(node_walk(machine->root, FIRST_NVME "iommu/devices/0000:01:00.0"));
	assert_non_null(node_walk(machine->root, FIRST_NVME "iommu/device"));
	expect_regions(machine, "0x0000000008000000 0x00000000080fffff msi\n");
	machine_check(machine);
	machine_free(machine);
}

TEST(unit, sysfs_shows_the_others_as_virtual)
{
	struct why why = WHY_INIT;
	struct machine *machine = boot_builtin("riscv", &why);

	assert_string_equal(link_of(machine, "sys/class/iommu/riscv-iommu@3010000.iommu"),
			    "../../devices/virtual/iommu/riscv-iommu@3010000.iommu");
	expect_regions(machine, "");
	machine_check(machine);
	machine_free(machine);
	machine = boot_builtin("nesting", &why);
	assert_string_equal(link_of(machine, "sys/class/iommu/dmar0"), "../../devices/virtual/iommu/dmar0");
	assert_string_equal(cat(machine, "sys/class/iommu/dmar0/intel-iommu/cap"), "1d2078c402f0406\n");
	assert_string_equal(cat(machine, "sys/class/iommu/dmar0/intel-iommu/ecap"), "1e998240050df\n");
	machine_check(machine);
	machine_free(machine);
}

TEST(unit, each_has_a_name_of_its_own)
{
	static const char *const kinds[] = {"intel-vtd", "amd-vi", "arm-smmuv3", "riscv-iommu"};
	static const char *const names[] = {"dmar2", "ivhd2", "smmu3.0x0000000009090000", "riscv-iommu@3012000.iommu"};
	struct why why = WHY_INIT;
	char text[256];

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct machine *machine;
		char path[64];

		snprintf(text, sizeof(text),
			 "iommu: {kind: %s}\ndevices:\n  - {slot: \"01.0\", id: \"8086:0001\", unit: 2}\n", kinds[i]);
		machine = boot(text, &why);
		assert_int_equal(list_length(&machine->iommu.units), 3);
		snprintf(path, sizeof(path), "sys/class/iommu/%s/devices/0000:00:01.0", names[i]);
		assert_non_null(node_walk(machine->root, path));
		machine_free(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(unit, keys_must_suit_the_kind_whatever_their_order),
		CASE(unit, registers_say_what_the_file_says),
		CASE(unit, vfio_takes_no_device_whose_dma_may_be_incoherent),
		CASE(unit, vfio_takes_no_device_that_could_raise_interrupts_of_others),
		CASE(unit, sysfs_shows_amds_units_below_their_functions),
		CASE(unit, amds_units_without_functions_are_virtual),
		CASE(unit, sysfs_shows_smmus_as_platform_devices),
		CASE(unit, sysfs_shows_the_others_as_virtual),
		CASE(unit, each_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
