/* SPDX-License-Identifier: MIT */
/* SR-IOV in a whole machine: virtual functions that come and go with sriov_numvfs, their names, groups and drivers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "isolde/abi/vfio.h"
#include "isolde/iommu.h"
#include "pci/caps.h"
#include "tests/fixtures/sriov_room.h"

/* ---- what is there ---- */

TEST(sriov, attributes_say_what_there_can_be)
{
	struct sriov_room *f = sriov_room_new(NULL);

	EXPECT_FILE("4", PCI(NVME, "sriov_totalvfs"));
	EXPECT_FILE("0", PCI(NVME, "sriov_numvfs"));
	EXPECT_FILE("1", PCI(NVME, "sriov_offset"));
	EXPECT_FILE("2", PCI(NIC, "sriov_stride"));
	EXPECT_FILE("154c", PCI(NIC, "sriov_vf_device"));
	EXPECT_FILE("1", PCI(NIC, "sriov_drivers_autoprobe"));
	EXPECT_FILE("0", PCI(NIC, "sriov_vf_total_msix"));
	EXPECT_FILE("N", PARAMETER);
	assert_null(node(f, "sys/devices/pci0000:00/0000:00:03.0/sriov_numvfs"));
	/* Lines seven to twelve of `resource` are for all that there can be. */
	OK(isolde_attribute_read(f->machine, PCI(NIC, "resource"), f->text, sizeof(f->text), &f->why));
	assert_memory_equal(f->text + 7 * 57, "0x00000000e", 11);
	assert_memory_equal(f->text + 9 * 57 + 38, "0x000000000014220c", 18);
	sriov_room_free(f);
}

TEST(sriov, those_from_the_start_are_enabled)
{
	struct sriov_room *f = sriov_room_new(NULL);

	EXPECT_FILE("1", PCI(FOUND, "sriov_numvfs"));
	assert_string_equal("../0000:00:0f.1", target(f, "sys/devices/pci0000:00/" FOUND "/virtfn0"));
	assert_string_equal("../" FOUND, target(f, "sys/devices/pci0000:00/0000:00:0f.1/physfn"));
	OK(echo(f, PCI(FOUND, "sriov_numvfs"), "0\n"));
	assert_null(find(f, "0000:00:0f.1"));
	OK(echo(f, PCI(FOUND, "sriov_numvfs"), "3\n"));
	assert_non_null(find(f, "0000:00:0f.3"));
	isolde_machine_check(f->machine);
	sriov_room_free(f);
}

TEST(sriov, each_has_product_data_of_its_own)
{
	static const char *const binds[] = {"vfio-pci=" NIC, NULL};
	struct sriov_room *f = sriov_room_new(binds);

	OK(echo(f, PARAMETER, "Y"));
	OK(echo(f, PCI(NIC, "sriov_numvfs"), "2"));
	OK(isolde_attribute_read(f->machine, PCI("0000:02:02.0", "vpd"), f->text, sizeof(f->text), &f->why));
	assert_memory_equal(f->text + 3, "virtual", 7);
	sriov_room_free(f);
}

TEST(sriov, numbers_are_refused_in_the_order_of_linux)
{
	struct sriov_room *f = sriov_room_new(NULL);

	EXPECT_NO(ATTRIBUTE_VALUE, echo(f, PCI(NIC, "sriov_numvfs"), "many"));
	EXPECT_NO(ATTRIBUTE_VALUE, echo(f, PCI(NIC, "sriov_numvfs"), "65536"));
	EXPECT_NO(SRIOV_TOTAL, echo(f, PCI(NIC, "sriov_numvfs"), "301"));
	EXPECT_SUBSTR("at most 300", f->told.text);
	OK(echo(f, PCI(NIC, "sriov_numvfs"), "0")); /* it has 0 */
	EXPECT_NO(SRIOV_NO_DRIVER, echo(f, PCI(NIC, "sriov_numvfs"), "1"));
	EXPECT_SUBSTR(NIC, f->told.text);
	OK(echo(f, PCI(NIC, "driver_override"), "pci-stub"));
	OK(echo(f, "sys/bus/pci/drivers_probe", NIC));
	EXPECT_NO(SRIOV_DRIVER, echo(f, PCI(NIC, "sriov_numvfs"), "1"));
	EXPECT_SUBSTR("pci-stub", f->told.text);
	OK(echo(f, "sys/bus/pci/drivers/pci-stub/unbind", NIC));
	OK(echo(f, PCI(NIC, "driver_override"), "vfio-pci"));
	OK(echo(f, "sys/bus/pci/drivers_probe", NIC));
	EXPECT_NO(SRIOV_FORBIDDEN, echo(f, PCI(NIC, "sriov_numvfs"), "1"));
	OK(echo(f, PARAMETER, "Y"));
	/* The 121st would be on bus 03, the port leads to 02 only. */
	EXPECT_NO(SRIOV_BUSES, echo(f, PCI(NIC, "sriov_numvfs"), "121"));
	EXPECT_SUBSTR("behind 02", f->told.text);
	OK(echo(f, PCI(NIC, "sriov_numvfs"), "0x2"));
	EXPECT_NO(SRIOV_ENABLED, echo(f, PCI(NIC, "sriov_numvfs"), "3"));
	OK(echo(f, PCI(NIC, "sriov_numvfs"), "2"));
	/* Also to take them away. */
	OK(echo(f, PARAMETER, "N"));
	EXPECT_NO(SRIOV_FORBIDDEN, echo(f, PCI(NIC, "sriov_numvfs"), "0"));
	EXPECT_FILE("2", PCI(NIC, "sriov_numvfs"));
	EXPECT_NO(SRIOV_INITIAL, echo(f, PCI(FEWER, "sriov_numvfs"), "1"));
	EXPECT_NO(SRIOV_ADDRESS, echo(f, PCI(CLASH, "sriov_numvfs"), "2"));
	EXPECT_SUBSTR(FOUND, f->told.text);
	EXPECT_FILE("0", PCI(CLASH, "sriov_numvfs"));
	OK(echo(f, PCI(CLASH, "sriov_numvfs"), "1"));
	sriov_room_free(f);
}

/* ---- what comes ---- */

TEST(sriov, virtual_functions_are_devices)
{
	struct sriov_room *f = sriov_room_new(NULL);
	const struct pci_function *physical, *second;

	OK(echo(f, PCI(NVME, "sriov_numvfs"), "2"));
	EXPECT_FILE("0x1b36", PCI("0000:01:00.1", "vendor"));
	EXPECT_FILE("0x0011", PCI("0000:01:00.2", "device"));
	EXPECT_FILE("0x010802", PCI("0000:01:00.2", "class"));
	EXPECT_FILE("(null)", PCI("0000:01:00.2", "driver_override"));
	assert_string_equal("../0000:01:00.2", target(f, "sys/devices/pci0000:00/0000:00:01.0/" NVME "/virtfn1"));
	EXPECT_DRIVER("nvme", "0000:01:00.1");
	EXPECT_DRIVER("nvme", "0000:01:00.2");
	physical = find(f, NVME)->function;
	second = find(f, "0000:01:00.2")->function;
	/* Registers: no ids, no BARs, nothing but mastering of the command; addresses follow one another. */
	assert_int_equal(get_u32(second->config), UINT32_MAX);
	assert_int_equal(get_u32(second->config + PCI_BAR0), 0);
	assert_int_equal(pci_command(second), PCI_COMMAND_MASTER);
	assert_int_equal(second->bars[0].address, physical->virtual_bars[0].address + second->bars[0].size);
	assert_true(pci_decodes_memory(second));
	assert_int_equal(get_u16(physical->config + physical->cap_sriov + PCI_SRIOV_NUMBER), 2);
	isolde_machine_check(f->machine);
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "0"));
	assert_null(find(f, "0000:01:00.1"));
	assert_null(node(f, "sys/bus/pci/devices/0000:01:00.1"));
	assert_null(node(f, "sys/bus/pci/drivers/nvme/0000:01:00.1"));
	assert_false(get_u16(physical->config + physical->cap_sriov + PCI_SRIOV_CONTROL) & PCI_SRIOV_ENABLE);
	isolde_machine_check(f->machine);
	sriov_room_free(f);
}

TEST(sriov, groups_are_those_the_rules_make)
{
	static const char *const binds[] = {"vfio-pci=" NIC, NULL};
	struct sriov_room *f = sriov_room_new(binds);
	int last = (int)list_length(&f->machine->machine->iommu.groups) - 1;

	OK(echo(f, PARAMETER, "1"));
	/* Below a port with ACS each has a group of its own, below one without all have the port's. */
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "2"));
	OK(echo(f, PCI(NIC, "sriov_numvfs"), "2"));
	assert_int_equal(group_of(f, "0000:01:00.1"), last + 1);
	assert_int_equal(group_of(f, "0000:01:00.2"), last + 2);
	assert_int_equal(group_of(f, "0000:02:02.0"), group_of(f, NIC));
	assert_int_equal(group_of(f, "0000:02:02.2"), group_of(f, NIC));
	assert_non_null(node(f, "sys/kernel/iommu_groups/7/devices") ? node(f, "sys/kernel/iommu_groups") : NULL);
	isolde_machine_check(f->machine);
	/* The first to come is the first to go: others keep theirs. */
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "0"));
	assert_int_equal(group_of(f, "0000:02:02.2"), group_of(f, NIC));
	assert_int_equal(list_length(&f->machine->machine->iommu.groups), last + 1);
	isolde_machine_check(f->machine);
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "4"));
	isolde_machine_check(f->machine);
	sriov_room_free(f);
}

/* They come to a group whose container has ranges already; those are made anew when another group leaves. */
TEST(sriov, regions_of_a_virtual_function_are_no_surprise_to_a_container)
{
	static const char *const names[] = {NIC, PLAIN}, *const binds[] = {"vfio-pci=" NIC, "vfio-pci=" PLAIN, NULL};
	struct sriov_room *f = sriov_room_new(binds);
	int container, groups[2];
	char path[40];

	OK(echo(f, PARAMETER, "1"));
	container = (int)OK(isolde_open(f->machine, "/dev/vfio/vfio", O_RDWR, &f->why));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/dev/vfio/%d", group_of(f, names[i]));
		groups[i] = (int)OK(isolde_open(f->machine, path, O_RDWR, &f->why));
		OK(isolde_ioctl(f->machine, groups[i], VFIO_GROUP_SET_CONTAINER, &container, &f->why));
	}
	OK(isolde_ioctl(f->machine, container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU, &f->why));
	OK(echo(f, PCI(NIC, "sriov_numvfs"), "2"));
	OK(isolde_ioctl(f->machine, groups[1], VFIO_GROUP_UNSET_CONTAINER, NULL, &f->why));
	isolde_machine_check(f->machine);
	sriov_room_free(f);
}

TEST(sriov, the_machine_file_may_allow_it)
{
	struct sriov_room *f = calloc(1, sizeof(*f));

	file_make(f, "options: {vfio_pci: {enable_sriov: true}}\n"
		     "iommu: {kind: amd-vi}\n"
		     "devices:\n"
		     "  - {slot: \"01.0\", role: integrated, id: \"8086:0001\", driver: vfio-pci,\n"
		     "     sriov: {total: 2, offset: 8, stride: 1, device: \"0002\"}, vf: {pasid: 16}}\n");
	OK(machine_make(f, NULL));
	EXPECT_FILE("Y", PARAMETER);
	OK(echo(f, PCI("0000:00:01.0", "sriov_numvfs"), "2"));
	EXPECT_DRIVER("vfio-pci", "0000:00:02.1");
	sriov_room_free(f);
}

TEST(sriov, a_machine_without_iommu_has_virtual_functions_too)
{
	struct sriov_room *f = calloc(1, sizeof(*f));

	file_make(f, "devices:\n"
		     "  - {slot: \"01.0\", role: integrated, id: \"8086:0001\", driver: e1000e,\n"
		     "     sriov: {total: 2, offset: 8, stride: 1, device: \"0002\"}, vf: {model: nvme}}\n");
	OK(machine_make(f, NULL));
	OK(echo(f, PCI("0000:00:01.0", "sriov_numvfs"), "2"));
	assert_null(find(f, "0000:00:02.1")->iommu);
	assert_non_null(find(f, "0000:00:02.1")->function->model);
	isolde_machine_check(f->machine);
	OK(echo(f, PCI("0000:00:01.0", "sriov_numvfs"), "0"));
	OK(echo(f, PCI("0000:00:01.0", "sriov_numvfs"), "1"));
	sriov_room_free(f);
}

/* The end takes the physical function's driver away first; nothing waits for what is below the virtual one. */
TEST(sriov, a_virtual_function_may_have_emulated_devices)
{
	struct sriov_room *f = calloc(1, sizeof(*f));

	file_make(f, "devices:\n"
		     "  - {slot: \"01.0\", role: integrated, id: \"8086:0001\", driver: e1000e,\n"
		     "     sriov: {total: 1, offset: 8, device: \"0002\"}, vfs: [{bars: {0: 4K}}]}\n"
		     "iommu: {kind: intel-vtd}\n"
		     "emulated:\n"
		     "  - {uuid: \"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\", model: mcopy, parent: \"0000:00:02.0\"}\n");
	OK(machine_make(f, NULL));
	EXPECT_NO(SRIOV_HELD, echo(f, PCI("0000:00:01.0", "sriov_numvfs"), "0"));
	EXPECT_NO(SRIOV_HELD, echo(f, "sys/bus/pci/drivers/e1000e/unbind", "0000:00:01.0"));
	sriov_room_free(f);
}

/* ---- drivers ---- */

TEST(sriov, probing_can_be_switched_off)
{
	struct sriov_room *f = sriov_room_new(NULL);

	EXPECT_NO(ATTRIBUTE_VALUE, echo(f, PCI(NVME, "sriov_drivers_autoprobe"), "perhaps"));
	OK(echo(f, PCI(NVME, "sriov_drivers_autoprobe"), "n"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	EXPECT_DRIVER("", "0000:01:00.1");
	EXPECT_NO(VF_NOT_PROBED, echo(f, "sys/bus/pci/drivers/nvme/bind", "0000:01:00.1"));
	EXPECT_SUBSTR(NVME, f->told.text);
	/* Whoever names a driver gets it. */
	OK(echo(f, PCI("0000:01:00.1", "driver_override"), "vfio-pci"));
	OK(echo(f, "sys/bus/pci/drivers_probe", "0000:01:00.1"));
	EXPECT_DRIVER("vfio-pci", "0000:01:00.1");
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "0"));
	OK(echo(f, PCI(NVME, "sriov_drivers_autoprobe"), "y"));
	OK(echo(f, "sys/bus/pci/drivers_autoprobe", "0"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	EXPECT_DRIVER("", "0000:01:00.1");
	sriov_room_free(f);
}

TEST(sriov, unbinding_the_physical_function_takes_them_away)
{
	struct sriov_room *f = sriov_room_new(NULL);

	OK(echo(f, PCI(NVME, "sriov_numvfs"), "3"));
	OK(echo(f, PCI(NVME, "driver_override"), "vfio-pci"));
	OK(echo(f, PCI(NVME, "driver/unbind"), NVME));
	assert_null(find(f, "0000:01:00.1"));
	OK(echo(f, "sys/bus/pci/drivers_probe", NVME));
	OK(echo(f, PARAMETER, "Y"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "3"));
	EXPECT_DRIVER("vfio-pci", "0000:01:00.3");
	EXPECT_FILE("vfio-pci", PCI("0000:01:00.3", "driver_override"));
	assert_non_null(node(f, "dev/vfio/devices/vfio3"));
	OK(echo(f, "sys/bus/pci/drivers/vfio-pci/unbind", NVME));
	assert_null(node(f, "dev/vfio/devices"));
	isolde_machine_check(f->machine);
	sriov_room_free(f);
}

TEST(sriov, vfio_takes_no_function_that_has_virtual_ones)
{
	struct sriov_room *f = sriov_room_new(NULL);

	OK(echo(f, PCI(LONELY, "driver_override"), "vfio-pci"));
	EXPECT_NO(VFIO_HAS_VIRTUALS, echo(f, "sys/bus/pci/drivers/vfio-pci/bind", LONELY));
	EXPECT_SUBSTR("1 virtual", f->told.text);
	EXPECT_NO(SRIOV_NO_DRIVER, echo(f, PCI(LONELY, "sriov_numvfs"), "0"));
	sriov_room_free(f);
}

TEST(sriov, the_library_keeps_what_it_has_given_out)
{
	struct sriov_room *f = sriov_room_new(NULL);
	struct isolde_device *device;

	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	OK(isolde_device_get(f->machine, "0000:01:00.1", &device, &f->why));
	EXPECT_NO(SRIOV_HELD, echo(f, PCI(NVME, "sriov_numvfs"), "0"));
	EXPECT_SUBSTR("0000:01:00.1", f->told.text);
	EXPECT_NO(SRIOV_HELD, echo(f, PCI(NVME, "driver/unbind"), NVME));
	EXPECT_DRIVER("nvme", NVME);
	sriov_room_free(f);
}

/* ---- steps that fail ---- */

static int enable_and_disable(struct why *why)
{
	struct sriov_room f = {.path = ""};
	unsigned armed = fail_nth_left();
	int err;

	fail_nth_arm(0);
	file_make(&f, sriov_machine);
	assert_int_equal(machine_make(&f, nvme_to_vfio), 0);
	assert_int_equal(echo(&f, PARAMETER, "Y"), 0);
	fail_nth_arm(armed);
	err = (int)echo(&f, PCI(NVME, "sriov_numvfs"), "2");
	if (!fail_nth_fired())
		fail_nth_arm(0);
	if (err < 0) {
		why->code = why_code_from_name(f.why.code);
		why->err = f.why.err;
		snprintf(why->text, sizeof(why->text), "%s", f.why.text);
		assert_null(find(&f, "0000:01:00.1"));
		assert_int_equal(pci_sriov_number(find(&f, NVME)->function), 0);
	}
	isolde_machine_check(f.machine);
	/* The other way takes no memory. */
	assert_int_equal(echo(&f, PCI(NVME, "sriov_numvfs"), "0"), 0);
	isolde_machine_check(f.machine);
	isolde_machine_free(f.machine);
	unlink(f.path);
	return err;
}

TEST(sriov, enabling_may_fail_at_every_step)
{
	SWEEP_FAILURES(enable_and_disable);
}

/* ---- words ---- */

static void expect_wrong(const char *device, const char *text)
{
	struct description *description = NULL;
	struct why why = WHY_INIT;
	char file[1024];

	snprintf(file, sizeof(file), "devices:\n  - {slot: \"01.0\", id: \"8086:0001\", role: integrated, %s}\n",
		 device);
	EXPECT_REFUSED(MACHINE_FILE, why, description_parse(file, strlen(file), "test.yaml", &description, &why));
	EXPECT_SUBSTR(text, why.text);
}

TEST(sriov, words_that_make_no_sense_are_refused)
{
#define ROOM "sriov: {total: 2, offset: 8, stride: 1, device: \"0002\"}, "

	expect_wrong("vf: {}", "virtual functions need sriov");
	expect_wrong("sriov: {total: 2, offset: 8, device: \"0002\"}, vf: {}", "virtual functions need sriov");
	expect_wrong("sriov: {total: 2, offset: 8, stride: 1}, vf: {}", "virtual functions need sriov");
	expect_wrong("sriov: {total: 2, offset: 8, stride: 1, device: \"0002\", enabled: 1}, vf: {}", "from the start");
	expect_wrong(ROOM "vfs: [{}], vf: {}", "from the start");
	expect_wrong(ROOM "vf: {id: \"8086:0003\"}", "is said by sriov: 8086:0002");
	expect_wrong(ROOM "vf: {rom: 64K}", "no ROM");
	expect_wrong(ROOM "vf: {intx: A}", "no INTx");
	expect_wrong(ROOM "vf: {bars: {0: io 32}}", "BAR 0 of a virtual function is memory");
	expect_wrong(ROOM "vf: {bars: {3: 1K}}", "BAR 3 of a virtual function is memory");
	expect_wrong(ROOM "vf: {sriov: {total: 1}}", "has none of its own");
	expect_wrong(ROOM "vf: {vf: {}}", "has none of its own");
	expect_wrong(ROOM "vf: {slot: \"04.0\"}", "offset and stride");
	expect_wrong(ROOM "vf: []", "a device");
}

TEST(sriov, addresses_of_all_that_there_can_be_are_needed)
{
	struct sriov_room f = {.path = ""};

	file_make(&f, "devices:\n"
		      "  - {slot: \"01.0\", role: integrated, id: \"8086:0001\",\n"
		      "     sriov: {total: 64, offset: 8, stride: 1, device: \"0002\"}, vf: {bars: {0: 16M}}}\n");
	EXPECT_REFUSED(BAR_SPACE, f.told, told_as(&f.told, &f.why, machine_make(&f, NULL)));
	EXPECT_SUBSTR("BAR 0 of the virtual functions of 0000:00:01.0", f.told.text);
	unlink(f.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sriov, attributes_say_what_there_can_be),
		CASE(sriov, those_from_the_start_are_enabled),
		CASE(sriov, each_has_product_data_of_its_own),
		CASE(sriov, numbers_are_refused_in_the_order_of_linux),
		CASE(sriov, virtual_functions_are_devices),
		CASE(sriov, groups_are_those_the_rules_make),
		CASE(sriov, regions_of_a_virtual_function_are_no_surprise_to_a_container),
		CASE(sriov, the_machine_file_may_allow_it),
		CASE(sriov, a_machine_without_iommu_has_virtual_functions_too),
		CASE(sriov, a_virtual_function_may_have_emulated_devices),
		CASE(sriov, probing_can_be_switched_off),
		CASE(sriov, unbinding_the_physical_function_takes_them_away),
		CASE(sriov, vfio_takes_no_function_that_has_virtual_ones),
		CASE(sriov, the_library_keeps_what_it_has_given_out),
		CASE(sriov, enabling_may_fail_at_every_step),
		CASE(sriov, words_that_make_no_sense_are_refused),
		CASE(sriov, addresses_of_all_that_there_can_be_are_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
