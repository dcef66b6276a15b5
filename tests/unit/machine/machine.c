/* SPDX-License-Identifier: MIT */
/* The default machine as a program finds it in sysfs, and everything one can write there. */
#include "machine/machine.h"

#include "tests/helpers.h"

#include <errno.h>
#include <sys/sysmacros.h>

#include "iommu/dma.h"
#include "machine/device.h"
#include "machine/files.h"

#define NVME	"0000:01:00.0"
#define NIC	"0000:02:00.0"
#define SIBLING "0000:02:00.1"
#define PORT	"0000:00:01.0"

#define DEVICE(bdf, file)  "sys/bus/pci/devices/" bdf "/" file
#define DRIVER(name, file) "sys/bus/pci/drivers/" name "/" file
#define PROBE		   "sys/bus/pci/drivers_probe"

struct fixture {
	struct machine *machine;
	char text[8192];
	struct why why;
};

static int make(struct machine **ret, struct why *why)
{
	struct description *description;
	int err = description_load("default", &description, why);

	return err < 0 ? err : machine_new(description, ret, why);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ASSERT_OK(f->why, make(&f->machine, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	machine_check(f->machine);
	machine_free(f->machine);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void machine_##name##_body(struct fixture *f);                                                          \
	static void machine_##name(void **state)                                                                       \
	{                                                                                                              \
		machine_##name##_body(*state);                                                                         \
	}                                                                                                              \
	static void machine_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(machine_##name, setup, teardown)

static s64 write_bytes(struct fixture *f, const char *path, const char *bytes, size_t size)
{
	return machine_attribute_write(f->machine, NULL, path, 0, bytes, size, &f->why);
}

/* As echo does it. */
static s64 echo(struct fixture *f, const char *path, const char *line)
{
	char text[256];

	snprintf(text, sizeof(text), "%s\n", line);
	return write_bytes(f, path, text, strlen(text));
}

static const char *cat(struct fixture *f, const char *path)
{
	s64 size = ASSERT_OK(f->why,
			     machine_attribute_read(f->machine, NULL, path, 0, f->text, sizeof(f->text) - 1, &f->why));

	f->text[size] = '\0';
	return f->text;
}

static struct node *at(struct fixture *f, const char *path)
{
	return node_walk(f->machine->root, path);
}

static const char *link_of(struct fixture *f, const char *bdf, const char *name)
{
	char path[96];
	struct node *directory, *node;

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	directory = at(f, path);
	node = node_child(directory, name);
	return node ? node->target : NULL;
}

static const char *driver_of(struct fixture *f, const char *bdf)
{
	const char *target = link_of(f, bdf, "driver");

	return target ? strrchr(target, '/') + 1 : "";
}

static int group_of(struct fixture *f, const char *bdf)
{
	return atoi(strrchr(link_of(f, bdf, "iommu_group"), '/') + 1);
}

#define EXPECT_DRIVER(name, bdf) assert_string_equal(driver_of(f, bdf), name)

/* What a careful user does. */
static void give_to(struct fixture *f, const char *driver, const char *bdf)
{
	char path[96];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver/unbind", bdf);
	ASSERT_OK(f->why, echo(f, path, bdf));
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", bdf);
	ASSERT_OK(f->why, echo(f, path, driver));
	ASSERT_OK(f->why, echo(f, PROBE, bdf));
	EXPECT_DRIVER(driver, bdf);
}

TEST_F(boots_with_its_drivers_bound)
{
	EXPECT_DRIVER("nvme", NVME);
	EXPECT_DRIVER("e1000e", NIC);
	EXPECT_DRIVER("e1000e", SIBLING);
	EXPECT_DRIVER("pcieport", PORT);
	assert_non_null(at(f, DRIVER("nvme", NVME "/vendor")));
	assert_non_null(at(f, DRIVER("nvme", "module/drivers/pci:nvme/bind")));
	assert_null(at(f, DRIVER("pcieport", "module")));
	assert_non_null(at(f, "sys/module/vfio_pci/drivers/pci:vfio-pci/new_id"));
}

TEST_F(links_are_those_of_linux)
{
	char expected[96];

	/* Below a root port a device is two directories deep. */
	assert_string_equal(node_at(f->machine->root, "sys/bus/pci/devices/" PORT)->target,
			    "../../../devices/pci0000:00/" PORT);
	assert_string_equal(link_of(f, PORT, "subsystem"), "../../../bus/pci");
	assert_string_equal(link_of(f, NVME, "subsystem"), "../../../../bus/pci");
	assert_string_equal(link_of(f, NVME, "driver"), "../../../../bus/pci/drivers/nvme");
	assert_string_equal(link_of(f, NVME, "iommu"), "../../../virtual/iommu/dmar0");
	snprintf(expected, sizeof(expected), "../../../../kernel/iommu_groups/%d", group_of(f, NVME));
	assert_string_equal(link_of(f, NVME, "iommu_group"), expected);
	assert_ptr_equal(at(f, DEVICE(NVME, "iommu_group/devices/" NVME)), at(f, "sys/bus/pci/devices/" NVME));
	assert_ptr_equal(at(f, DEVICE(NVME, "iommu/devices/" NVME)), at(f, "sys/bus/pci/devices/" NVME));
}

TEST_F(says_what_the_registers_say)
{
	const struct pci_function *function = pci_topology_find(&f->machine->topology, (struct pci_addr){.bus = 1});
	char expected[256];

	snprintf(expected, sizeof(expected), "0x%04x\n", get_u16(function->config));
	assert_string_equal(cat(f, DEVICE(NVME, "vendor")), expected);
	snprintf(expected, sizeof(expected), "0x%04x\n", get_u16(function->config + 2));
	assert_string_equal(cat(f, DEVICE(NVME, "device")), expected);
	assert_string_equal(cat(f, DEVICE(NVME, "class")), "0x010802\n");
	assert_string_equal(cat(f, DEVICE(PORT, "class")), "0x060400\n");
	assert_string_equal(cat(f, DEVICE(PORT, "secondary_bus_number")), "1\n");
	assert_null(at(f, DEVICE(NVME, "secondary_bus_number")));
	assert_string_equal(cat(f, DEVICE(NVME, "numa_node")), "-1\n");
	assert_string_equal(cat(f, DEVICE(NVME, "power/control")), "on\n");
	assert_string_equal(cat(f, DEVICE(NVME, "power_state")), "D0\n");
	assert_string_equal(cat(f, DEVICE(NVME, "dma_mask_bits")), "64\n");
	assert_string_equal(cat(f, DEVICE(PORT, "dma_mask_bits")), "32\n");
	assert_string_equal(cat(f, DEVICE(NVME, "enable")), "1\n");
	EXPECT_SUBSTR("DRIVER=nvme\nPCI_CLASS=10802\nPCI_ID=", cat(f, DEVICE(NVME, "uevent")));
	EXPECT_SUBSTR("\nPCI_SLOT_NAME=" NVME "\nMODALIAS=pci:v0000", f->text);
	EXPECT_SUBSTR("bc01sc08i02\n", cat(f, DEVICE(NVME, "modalias")));
	assert_true(strtoul(cat(f, DEVICE(NVME, "local_cpus")), NULL, 16) & 1);
	assert_int_equal(cat(f, DEVICE(NVME, "local_cpulist"))[0], '0');
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

TEST_F(resources_have_the_lines_and_flags_of_linux)
{
	const struct pci_function *function = pci_topology_find(&f->machine->topology, (struct pci_addr){.bus = 1});
	unsigned long long start, last, flags;

	assert_int_equal(sscanf(cat(f, DEVICE(NVME, "resource")), "%llx %llx %llx", &start, &last, &flags), 3);
	assert_int_equal(count_lines(f->text), 13);
	assert_int_equal(start, function->bars[0].address);
	assert_int_equal(last, start + function->bars[0].size - 1);
	assert_int_equal(flags & 0x200, 0x200);
	assert_int_equal(at(f, DEVICE(NVME, "resource0"))->size, function->bars[0].size);
	assert_int_equal(count_lines(cat(f, DEVICE(PORT, "resource"))), 17);
}

TEST_F(config_is_read_and_written_at_any_offset)
{
	struct node *config = at(f, DEVICE(NVME, "config"));
	u8 whole[4096], part[7];
	u16 command;

	assert_int_equal(config->size, 4096);
	assert_int_equal(machine_attribute_read(f->machine, NULL, DEVICE(NVME, "config"), 0, whole, 4096, &f->why),
			 4096);
	assert_int_equal(machine_attribute_read(f->machine, NULL, DEVICE(NVME, "config"), 1, part, 7, &f->why), 7);
	assert_memory_equal(part, whole + 1, 7);
	assert_int_equal(machine_attribute_read(f->machine, NULL, DEVICE(NVME, "config"), 4094, part, 7, &f->why), 2);
	assert_int_equal(machine_attribute_read(f->machine, NULL, DEVICE(NVME, "config"), 4096, part, 7, &f->why), 0);
	command = get_u16(whole + PCI_COMMAND);
	assert_int_equal(command & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	command &= (u16)~PCI_COMMAND_MASTER;
	ASSERT_OK(f->why,
		  machine_attribute_write(f->machine, NULL, DEVICE(NVME, "config"), PCI_COMMAND, &command, 2, &f->why));
	assert_int_equal(pci_command(pci_topology_find(&f->machine->topology, (struct pci_addr){.bus = 1})), command);
}

TEST_F(text_is_read_in_parts)
{
	char part[4];

	cat(f, DEVICE(NVME, "class"));
	assert_int_equal(machine_attribute_read(f->machine, NULL, DEVICE(NVME, "class"), 2, part, 4, &f->why), 4);
	assert_memory_equal(part, f->text + 2, 4);
	assert_int_equal(machine_attribute_read(f->machine, NULL, DEVICE(NVME, "class"), 900, part, 4, &f->why), 0);
}

/* Each row changes nothing: the refusals of bind, unbind and their neighbours, with Linux's errno. */
TEST_F(binding_refuses_as_linux_does)
{
	EXPECT_REFUSED(DRIVER_DEVICE_UNKNOWN, f->why, echo(f, DRIVER("nvme", "bind"), "0000:99:00.0"));
	EXPECT_REFUSED(DRIVER_DEVICE_UNKNOWN, f->why, echo(f, DRIVER("nvme", "bind"), "01:00.0"));
	EXPECT_REFUSED(DRIVER_DEVICE_UNKNOWN, f->why, echo(f, DRIVER("nvme", "unbind"), ""));
	EXPECT_REFUSED(DRIVER_DEVICE_UNKNOWN, f->why, echo(f, PROBE, "0000:99:00.0"));
	EXPECT_SUBSTR("0000:99:00.0", f->why.text);
	EXPECT_REFUSED(DRIVER_DEVICE_UNKNOWN, f->why, echo(f, PROBE, NVME "\n"));
	/* A match is asked for before the present driver. */
	EXPECT_REFUSED(DRIVER_NO_MATCH, f->why, echo(f, DRIVER("vfio-pci", "bind"), NVME));
	EXPECT_SUBSTR("vfio-pci", f->why.text);
	EXPECT_REFUSED(DRIVER_BOUND, f->why, echo(f, DRIVER("nvme", "bind"), NVME));
	EXPECT_SUBSTR(NVME " has driver nvme", f->why.text);
	EXPECT_REFUSED(DRIVER_NOT_BOUND, f->why, echo(f, DRIVER("vfio-pci", "unbind"), NVME));
	EXPECT_SUBSTR(NVME " (nvme)", f->why.text);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver_override"), "vfio-pci"));
	EXPECT_REFUSED(DRIVER_NO_MATCH, f->why, echo(f, DRIVER("nvme", "bind"), NVME));
	EXPECT_SUBSTR("driver_override", f->why.text);
	EXPECT_REFUSED(DRIVER_BOUND, f->why, echo(f, DRIVER("vfio-pci", "bind"), NVME));
	EXPECT_DRIVER("nvme", NVME);
}

TEST_F(a_device_goes_to_vfio_and_comes_back)
{
	int group = group_of(f, NVME);
	char node[32], class[64];

	snprintf(node, sizeof(node), "dev/vfio/%d", group);
	snprintf(class, sizeof(class), "sys/class/vfio/%d/dev", group);
	assert_null(at(f, node));
	give_to(f, "vfio-pci", NVME);
	assert_int_equal(at(f, node)->kind, NODE_DEVICE);
	assert_int_equal(at(f, node)->mode, 0600);
	assert_int_equal(major(at(f, node)->rdev), VFIO_MAJOR);
	EXPECT_SUBSTR("511:", cat(f, class));
	snprintf(class, sizeof(class), "sys/dev/char/%.*s", (int)strcspn(f->text, "\n"), f->text);
	assert_non_null(at(f, class));
	assert_non_null(at(f, DEVICE(NVME, "vfio-dev/vfio0/device/vendor")));
	assert_ptr_equal(at(f, "sys/class/vfio-dev/vfio0/device"), at(f, "sys/bus/pci/devices/" NVME));
	assert_string_equal(
		node_at(f->machine->root, "sys/devices/pci0000:00/" PORT "/" NVME "/vfio-dev/vfio0/device")->target,
		"../../../" NVME);

	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver_override"), ""));
	ASSERT_OK(f->why, echo(f, DRIVER("vfio-pci", "unbind"), NVME));
	assert_null(at(f, node));
	assert_null(at(f, DEVICE(NVME, "vfio-dev")));
	assert_null(at(f, "sys/class/vfio-dev/vfio0"));
	EXPECT_DRIVER("", NVME);
	ASSERT_OK(f->why, echo(f, PROBE, NVME));
	EXPECT_DRIVER("nvme", NVME);
}

/* The directory in /dev is there while something is in it, as devtmpfs has it. */
TEST_F(a_device_has_a_character_device_of_its_own)
{
	struct node *node;

	assert_null(at(f, "dev/vfio/devices"));
	give_to(f, "vfio-pci", NVME);
	give_to(f, "vfio-pci", SIBLING);
	node = at(f, "dev/vfio/devices/vfio1");
	assert_int_equal(node->kind, NODE_DEVICE);
	assert_int_equal(node->mode, 0600);
	assert_int_equal(node->rdev, makedev(VFIO_DEVICE_MAJOR, 1));
	assert_string_equal(cat(f, DEVICE(NVME, "vfio-dev/vfio0/dev")), "510:0\n");
	assert_string_equal(cat(f, "sys/class/vfio-dev/vfio1/dev"), "510:1\n");
	assert_ptr_equal(at(f, "sys/dev/char/510:1/device"), at(f, "sys/bus/pci/devices/" SIBLING));
	assert_string_equal(cat(f, "sys/dev/char/510:1/uevent"), "MAJOR=510\nMINOR=1\nDEVNAME=vfio/devices/vfio1\n");
	/* The lowest number that is free. */
	ASSERT_OK(f->why, echo(f, DRIVER("vfio-pci", "unbind"), NVME));
	assert_null(at(f, "dev/vfio/devices/vfio0"));
	assert_null(at(f, "sys/dev/char/510:0"));
	give_to(f, "vfio-pci", NIC);
	assert_ptr_equal(at(f, "sys/class/vfio-dev/vfio0/device"), at(f, "sys/bus/pci/devices/" NIC));
	ASSERT_OK(f->why, echo(f, DRIVER("vfio-pci", "unbind"), NIC));
	ASSERT_OK(f->why, echo(f, DRIVER("vfio-pci", "unbind"), SIBLING));
	assert_null(at(f, "dev/vfio/devices"));
	assert_null(at(f, "sys/class/vfio-dev/vfio1"));
}

TEST_F(the_container_is_always_there)
{
	struct node *node = at(f, "dev/vfio/vfio");

	assert_int_equal(node->rdev, makedev(10, 196));
	assert_int_equal(node->mode, 0666);
	assert_string_equal(cat(f, "sys/dev/char/10:196/dev"), "10:196\n");
	assert_string_equal(cat(f, "sys/class/misc/vfio/dev"), "10:196\n");
	EXPECT_SUBSTR("DEVNAME=vfio/vfio\n", cat(f, "sys/class/misc/vfio/uevent"));
}

TEST_F(iommufd_has_its_node_and_module)
{
	struct node *node = at(f, "dev/iommu");
	char number[16], path[48];

	assert_int_equal(node->kind, NODE_DEVICE);
	assert_int_equal(node->mode, 0660);
	assert_int_equal(major(node->rdev), 10);
	snprintf(number, sizeof(number), "10:%u\n", minor(node->rdev));
	assert_string_equal(cat(f, "sys/class/misc/iommu/dev"), number);
	EXPECT_SUBSTR("DEVNAME=iommu\nDEVMODE=0660\n", cat(f, "sys/devices/virtual/misc/iommu/uevent"));
	snprintf(path, sizeof(path), "sys/dev/char/10:%u/subsystem/vfio/dev", minor(node->rdev));
	assert_string_equal(cat(f, path), "10:196\n");
	assert_string_equal(cat(f, "sys/module/iommufd/initstate"), "live\n");
}

TEST_F(flags_of_modules_are_read_as_linux_reads_them)
{
	static const char *const yes[] = {"Y", "y", "1", "t", "on", "On"}, *const no[] = {"N", "0", "f", "off", "oFf"};
	static const char flag[] = "sys/module/iommufd/parameters/allow_unsafe_interrupts";

	assert_string_equal(cat(f, flag), "N\n");
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		ASSERT_OK(f->why, echo(f, flag, "N"));
		ASSERT_OK(f->why, echo(f, flag, yes[i]));
		assert_string_equal(cat(f, flag), "Y\n");
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		ASSERT_OK(f->why, echo(f, flag, "Y"));
		ASSERT_OK(f->why, echo(f, flag, no[i]));
		assert_string_equal(cat(f, flag), "N\n");
	}
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, flag, "maybe"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, flag, "o"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, flag, ""));
}

TEST(machine, one_that_tests_itself_shows_fault_injection)
{
	struct fixture fixture = {.why = WHY_INIT}, *f = &fixture;
	struct description *description;

	ASSERT_OK(f->why, description_load("default", &description, &f->why));
	description->selftest = true;
	ASSERT_OK(f->why, machine_new(description, &f->machine, &f->why));
	assert_string_equal(cat(f, "sys/kernel/debug/failslab/ignore-gfp-wait"), "Y\n");
	assert_int_equal(ASSERT_OK(f->why, write_bytes(f, "sys/kernel/debug/failslab/ignore-gfp-wait", "N", 1)), 1);
	assert_string_equal(cat(f, "sys/kernel/debug/failslab/ignore-gfp-wait"), "N\n");
	assert_string_equal(cat(f, "sys/kernel/debug/fail_page_alloc/ignore-gfp-wait"), "Y\n");
	assert_int_equal(ASSERT_OK(f->why, write_bytes(f, "sys/kernel/debug/fail_page_alloc/verbose", "0", 1)), 1);
	assert_string_equal(cat(f, "sys/kernel/debug/fail_page_alloc/verbose"), "0\n");
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, "sys/kernel/debug/failslab/verbose", "loud"));
	machine_free(f->machine);
}

TEST_F(the_override_is_a_line)
{
	char page[NODE_TEXT];

	assert_string_equal(cat(f, DEVICE(NVME, "driver_override")), "(null)\n");
	ASSERT_OK(f->why, write_bytes(f, DEVICE(NVME, "driver_override"), "vfio-pci", 8));
	assert_string_equal(cat(f, DEVICE(NVME, "driver_override")), "vfio-pci\n");
	ASSERT_OK(f->why, write_bytes(f, DEVICE(NVME, "driver_override"), "none\nvfio-pci\n", 14));
	assert_string_equal(cat(f, DEVICE(NVME, "driver_override")), "none\n");
	ASSERT_OK(f->why, write_bytes(f, DEVICE(NVME, "driver_override"), "\0vfio-pci", 9));
	assert_string_equal(cat(f, DEVICE(NVME, "driver_override")), "(null)\n");
	memset(page, 'x', sizeof(page));
	ASSERT_OK(f->why, write_bytes(f, DEVICE(NVME, "driver_override"), page, sizeof(page) - 2));
	EXPECT_REFUSED(OVERRIDE_TOO_LONG, f->why,
		       write_bytes(f, DEVICE(NVME, "driver_override"), page, sizeof(page) - 1));
	EXPECT_SUBSTR("4095", f->why.text);
	ASSERT_OK(f->why, write_bytes(f, DEVICE(NVME, "driver_override"), "\n", 1));
	assert_string_equal(cat(f, DEVICE(NVME, "driver_override")), "(null)\n");
}

TEST_F(probing_for_nobody_is_no_error_but_a_remark)
{
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver/unbind"), NVME));
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver_override"), "vfoi-pci"));
	ASSERT_OK(f->why, echo(f, PROBE, NVME));
	assert_int_equal(f->why.code, WHY_DRIVER_UNKNOWN);
	EXPECT_SUBSTR("vfoi-pci", f->why.text);
	EXPECT_DRIVER("", NVME);
}

TEST_F(a_driver_that_declines_is_passed_over)
{
	/* pcieport is asked for a device that is no port. */
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver/unbind"), NVME));
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver_override"), "pcieport"));
	EXPECT_REFUSED(DRIVER_DECLINED, f->why, echo(f, DRIVER("pcieport", "bind"), NVME));
	EXPECT_SUBSTR("binding " NVME " to pcieport", f->why.text);
	ASSERT_OK(f->why, echo(f, PROBE, NVME));
	assert_int_equal(f->why.code, WHY_DRIVER_DECLINED);
	EXPECT_DRIVER("", NVME);
	/* vfio-pci does not take bridges. */
	ASSERT_OK(f->why, echo(f, DEVICE(PORT, "driver/unbind"), PORT));
	ASSERT_OK(f->why, echo(f, DEVICE(PORT, "driver_override"), "vfio-pci"));
	EXPECT_REFUSED(VFIO_NOT_ENDPOINT, f->why, echo(f, DRIVER("vfio-pci", "bind"), PORT));
	EXPECT_DRIVER("", PORT);
}

TEST_F(new_id_binds_what_is_free)
{
	char id[32];

	give_to(f, "pci-stub", NIC);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver/unbind"), NVME));
	snprintf(id, sizeof(id), "%.6s %.6s", cat(f, DEVICE(NVME, "vendor")), "");
	snprintf(id + 6, sizeof(id) - 6, " %.6s", cat(f, DEVICE(NVME, "device")));
	ASSERT_OK(f->why, echo(f, DRIVER("vfio-pci", "new_id"), id));
	EXPECT_DRIVER("vfio-pci", NVME);
	EXPECT_REFUSED(NEW_ID_EXISTS, f->why, echo(f, DRIVER("vfio-pci", "new_id"), id));
	EXPECT_REFUSED(NEW_ID_MALFORMED, f->why, echo(f, DRIVER("vfio-pci", "new_id"), "1b36"));
	ASSERT_OK(f->why, echo(f, DRIVER("vfio-pci", "remove_id"), id));
	EXPECT_REFUSED(REMOVE_ID_UNKNOWN, f->why, echo(f, DRIVER("vfio-pci", "remove_id"), id));
	/* Taking the id away does not unbind. */
	EXPECT_DRIVER("vfio-pci", NVME);
}

TEST_F(attributes_take_what_linux_takes)
{
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "reset"), "0"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "reset"), "one"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "reset"), "1 "));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "numa_node"), "1"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "power/control"), "off"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "msi_bus"), "yes"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "uevent"), "adding"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, "sys/bus/pci/rescan", ""));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why,
		       echo(f, "sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "0x100000000"));
	EXPECT_SUBSTR("dma_entry_limit", f->why.text);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "numa_node"), "0"));
	assert_string_equal(cat(f, DEVICE(NVME, "numa_node")), "0\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "power/control"), "auto"));
	assert_string_equal(cat(f, DEVICE(NVME, "power/control")), "auto\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "msi_bus"), "0"));
	assert_string_equal(cat(f, DEVICE(NVME, "msi_bus")), "0\n");
	assert_string_equal(cat(f, DEVICE(NIC, "msi_bus")), "1\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "broken_parity_status"), "0x1"));
	assert_string_equal(cat(f, DEVICE(NVME, "broken_parity_status")), "1\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "uevent"), "add 4c0e2a1c-0d1e-4e0a-8f1a-111111111111"));
	ASSERT_OK(f->why, echo(f, "sys/bus/pci/rescan", "1"));
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "rescan"), "1"));
	ASSERT_OK(f->why, echo(f, "sys/bus/pci/drivers_autoprobe", "0"));
	assert_string_equal(cat(f, "sys/bus/pci/drivers_autoprobe"), "0\n");
	ASSERT_OK(f->why, echo(f, "sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "7"));
	assert_int_equal(f->machine->vfio.dma_entry_limit, 7);
}

TEST_F(enable_counts_while_nobody_is_bound)
{
	EXPECT_REFUSED(ENABLE_BOUND, f->why, echo(f, DEVICE(NVME, "enable"), "0"));
	EXPECT_SUBSTR("nvme", f->why.text);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "driver/unbind"), NVME));
	assert_string_equal(cat(f, DEVICE(NVME, "enable")), "0\n");
	EXPECT_REFUSED(ENABLE_NOT_ENABLED, f->why, echo(f, DEVICE(NVME, "enable"), "0"));
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "enable"), "1"));
	assert_string_equal(cat(f, DEVICE(NVME, "enable")), "1\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "enable"), "0"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "enable"), "on"));
}

TEST_F(resets_by_the_methods_that_are_left)
{
	const struct pci_function *function = pci_topology_find(&f->machine->topology, (struct pci_addr){.bus = 1});
	u16 command = pci_command(function);
	char methods[64];

	snprintf(methods, sizeof(methods), "%s", cat(f, DEVICE(NVME, "reset_method")));
	EXPECT_SUBSTR("flr", methods);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "reset"), "1"));
	assert_int_equal(pci_command(function), command);
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(NVME, "reset_method"), "flr acpi"));
	assert_string_equal(cat(f, DEVICE(NVME, "reset_method")), methods);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "reset_method"), "flr"));
	assert_string_equal(cat(f, DEVICE(NVME, "reset_method")), "flr\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "reset_method"), ""));
	assert_string_equal(cat(f, DEVICE(NVME, "reset_method")), "");
	EXPECT_REFUSED(RESET_UNSUPPORTED, f->why, echo(f, DEVICE(NVME, "reset"), "1"));
	EXPECT_SUBSTR(NVME, f->why.text);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "reset_method"), "default"));
	assert_string_equal(cat(f, DEVICE(NVME, "reset_method")), methods);
}

TEST_F(group_types_are_checked_in_linuxs_order)
{
	EXPECT_REFUSED(GROUP_TYPE_WORD, f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "dma"));
	EXPECT_REFUSED(GROUP_TYPE_WORD, f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "blocked"));
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "identity"));
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "auto"));
	/* A driver that does no DMA of its own is no obstacle. */
	give_to(f, "vfio-pci", NVME);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "identity"));
	assert_string_equal(cat(f, DEVICE(NVME, "iommu_group/type")), "identity\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "auto"));
	assert_string_equal(cat(f, DEVICE(NVME, "iommu_group/type")), "DMA-FQ\n");
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "DMA"));
	assert_string_equal(cat(f, DEVICE(NVME, "iommu_group/type")), "DMA\n");
	EXPECT_REFUSED(GROUP_TYPE_WORD, f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "identity\n"));
	/* A flush queue can be added while the group is used. */
	give_to(f, "nvme", NVME);
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "DMA"));
	EXPECT_SUBSTR(NVME " is bound to nvme", f->why.text);
	ASSERT_OK(f->why, echo(f, DEVICE(NVME, "iommu_group/type"), "DMA-FQ"));
	assert_string_equal(cat(f, DEVICE(NVME, "iommu_group/type")), "DMA-FQ\n");
	assert_string_equal(cat(f, DEVICE(NVME, "iommu_group/reserved_regions")),
			    "0x00000000fee00000 0x00000000feefffff msi\n");
}

TEST_F(the_unit_shows_its_registers)
{
	unsigned long long cap;

	assert_int_equal(sscanf(cat(f, "sys/class/iommu/dmar0/intel-iommu/cap"), "%llx", &cap), 1);
	/* SPDK and DPDK take the width from MGAW. */
	assert_int_equal((cap >> 16 & 0x3f) + 1, f->machine->description->iommu.width);
	assert_int_equal(cap >> 8 & 0x1f, 0x4);
	assert_string_equal(cat(f, "sys/class/iommu/dmar0/intel-iommu/domains_supported"), "65536\n");
	assert_int_equal(atoi(cat(f, "sys/class/iommu/dmar0/intel-iommu/domains_used")),
			 list_length(&f->machine->iommu.groups));
	assert_string_equal(cat(f, "sys/class/iommu/dmar0/intel-iommu/version"), "1:0\n");
	assert_non_null(at(f, "sys/class/iommu/dmar0/intel-iommu/address"));
	assert_non_null(strchr(cat(f, "sys/class/iommu/dmar0/intel-iommu/ecap"), '\n'));
}

TEST_F(port_bars_are_accessed_one_register_at_a_time)
{
	const char *path = DEVICE(NIC, "resource2");
	u8 bytes[64] = {0};

	assert_int_equal(at(f, path)->size, 32);
	assert_int_equal(ASSERT_OK(f->why, machine_attribute_read(f->machine, NULL, path, 4, bytes, 4, &f->why)), 4);
	assert_int_equal(ASSERT_OK(f->why, machine_attribute_write(f->machine, NULL, path, 31, bytes, 1, &f->why)), 1);
	assert_int_equal(ASSERT_OK(f->why, machine_attribute_read(f->machine, NULL, path, 32, bytes, 4, &f->why)), 0);
	EXPECT_REFUSED(ATTRIBUTE_RANGE, f->why, machine_attribute_read(f->machine, NULL, path, 0, bytes, 3, &f->why));
	EXPECT_REFUSED(ATTRIBUTE_RANGE, f->why, machine_attribute_write(f->machine, NULL, path, 30, bytes, 4, &f->why));
	EXPECT_SUBSTR("0x20", f->why.text);
}

TEST_F(a_file_that_was_closed_meanwhile_is_refused)
{
	struct file gone = {.ops = NULL};
	char byte;

	EXPECT_REFUSED(FILE_CLOSED, f->why, machine_ioctl(f->machine, NULL, &gone, 0x3b64, 0, &f->why));
	EXPECT_REFUSED(FILE_CLOSED, f->why, machine_read(f->machine, NULL, &gone, 0, &byte, 1, &f->why));
	EXPECT_REFUSED(FILE_CLOSED, f->why, machine_write(f->machine, NULL, &gone, 0, &byte, 1, &f->why));
	EXPECT_REFUSED(FILE_CLOSED, f->why, machine_mmap(f->machine, NULL, &gone, 0, PAGE_SIZE, 1, 1, &f->why));
}

static struct machine *parsed(const char *text, struct why *why)
{
	struct description *description;
	struct machine *machine = NULL;

	ASSERT_OK(*why, description_parse(text, strlen(text), "bare.yaml", &description, why));
	ASSERT_OK(*why, machine_new(description, &machine, why));
	return machine;
}

#define BARE_DEVICE "role: integrated, id: \"8086:10d3\", class: \"020000\""

TEST(machine, without_an_iommu_nothing_can_be_assigned)
{
	static const char *const texts[] = {
		"name: bare\ndevices:\n  - {slot: \"02.0\", " BARE_DEVICE "}\n",
		"name: bare\niommu: {kind: intel-vtd, width: 48}\n"
		"devices:\n  - {slot: \"02.0\", iommu: false, " BARE_DEVICE "}\n",
	};
	struct pci_addr addr = {.devfn = pci_devfn(2, 0)};
	struct why why = WHY_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct machine *machine = parsed(texts[i], &why);

		EXPECT_REFUSED(NO_IOMMU_GROUP, why, machine_bind(machine, addr, "vfio-pci", &why));
		EXPECT_SUBSTR("0000:00:02.0", why.text);
		assert_null(node_at(machine->root, "sys/bus/pci/devices/0000:00:02.0/iommu_group"));
		assert_true(list_empty(&node_at(machine->root, "sys/kernel/iommu_groups")->children));
		ASSERT_OK(why, machine_bind(machine, addr, "pci-stub", &why));
		machine_check(machine);
		machine_free(machine);
	}
}

TEST_F(names_that_are_not_there_are_refused)
{
	char byte;

	EXPECT_REFUSED(ATTRIBUTE_MISSING, f->why, echo(f, DEVICE(NVME, "nothing"), "1"));
	EXPECT_SUBSTR("there is no /sys/bus/pci", f->why.text);
	EXPECT_REFUSED(ATTRIBUTE_MISSING, f->why, echo(f, "/" DEVICE(NVME, "nothing"), "1"));
	EXPECT_SUBSTR("there is no /sys/bus/pci", f->why.text);
	EXPECT_REFUSED(ATTRIBUTE_DIRECTORY, f->why, echo(f, "//sys/bus", "1"));
	EXPECT_SUBSTR("/sys/bus is no attribute", f->why.text);
	assert_null(strstr(f->why.text, "//"));
	EXPECT_REFUSED(ATTRIBUTE_MISSING, f->why, echo(f, "sys/../../../etc/passwd", "1"));
	EXPECT_REFUSED(ATTRIBUTE_DIRECTORY, f->why, echo(f, "sys/bus/pci", "1"));
	EXPECT_REFUSED(ATTRIBUTE_NO_STORE, f->why, echo(f, DEVICE(NVME, "vendor"), "1"));
	EXPECT_REFUSED(ATTRIBUTE_NO_SHOW, f->why,
		       machine_attribute_read(f->machine, NULL, PROBE, 0, &byte, 1, &f->why));
	EXPECT_REFUSED(ATTRIBUTE_NO_SHOW, f->why,
		       machine_attribute_read(f->machine, NULL, DEVICE(NVME, "resource0"), 0, &byte, 1, &f->why));
	assert_int_equal(write_bytes(f, PROBE, "", 0), 0);
}

TEST_F(bind_by_name_is_what_one_would_do_by_hand)
{
	struct pci_addr addr = {.bus = 1};

	ASSERT_OK(f->why, machine_bind(f->machine, addr, "vfio-pci", &f->why));
	EXPECT_DRIVER("vfio-pci", NVME);
	assert_string_equal(cat(f, DEVICE(NVME, "driver_override")), "vfio-pci\n");
	ASSERT_OK(f->why, machine_bind(f->machine, addr, "vfio-pci", &f->why));
	ASSERT_OK(f->why, machine_bind(f->machine, addr, "nvme", &f->why));
	EXPECT_DRIVER("nvme", NVME);
	EXPECT_REFUSED(DRIVER_UNKNOWN, f->why, machine_bind(f->machine, addr, "vfio", &f->why));
	EXPECT_SUBSTR("vfio", f->why.text);
	addr.bus = 0x77;
	EXPECT_REFUSED(DRIVER_DEVICE_UNKNOWN, f->why, machine_bind(f->machine, addr, "vfio-pci", &f->why));
	EXPECT_SUBSTR("0000:77:00.0", f->why.text);
}

TEST_F(the_journal_has_the_request_and_the_reason)
{
	struct journal_entry entry;

	EXPECT_REFUSED(DRIVER_NOT_BOUND, f->why, echo(f, DRIVER("vfio-pci", "unbind"), NVME));
	assert_true(journal_read(&f->machine->journal, journal_last_serial(&f->machine->journal), &entry));
	assert_string_equal(entry.request, "write /sys/bus/pci/drivers/vfio-pci/unbind");
	assert_int_equal(entry.why.code, WHY_DRIVER_NOT_BOUND);
	assert_string_equal(entry.program, "isolde");
}

TEST_F(a_dma_fault_enters_the_journal)
{
	struct dma_fault fault = {
		.function = pci_topology_find(&f->machine->topology, (struct pci_addr){.bus = 1}),
		.iova = 0x1000,
		.text = NVME ": DMA write to 0x1000: nothing is mapped",
	};
	struct journal_entry entry;
	struct why why;

	f->machine->iommu.fault(f->machine->iommu.fault_context, &fault);
	assert_true(journal_read(&f->machine->journal, journal_last_serial(&f->machine->journal), &entry));
	assert_string_equal(entry.request, "DMA");
	assert_string_equal(entry.program, NVME);
	assert_int_equal(entry.pid, 0);
	why = entry.why;
	EXPECT_REFUSED(DMA_FAULT, f->why, (f->why = why, -why.err));
	EXPECT_SUBSTR("0x1000", f->why.text);
}

static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Some attribute or link below node. */
static struct node *random_node(struct node *node, u32 *seed)
{
	while (node->kind == NODE_DIRECTORY && !list_empty(&node->children)) {
		size_t skip = next_random(seed) % list_length(&node->children);

		node = list_first(&node->children, struct node, link);
		while (skip--)
			node = list_entry(node->link.next, struct node, link);
	}
	return node;
}

static const char *pick(const char *const *words, size_t count, u32 *seed)
{
	return words[next_random(seed) % count];
}

#define PICK(...)                                                                                                      \
	pick((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), seed)

/* Where writes do something, with the words that do it. */
static void likely_write(char *path, size_t path_size, char *text, size_t text_size, u32 *seed)
{
	const char *bdf = PICK(NVME, NIC, SIBLING, PORT, "0000:00:1d.0");
	const char *driver = PICK("nvme", "e1000e", "vfio-pci", "pci-stub", "pcieport");

	switch (next_random(seed) % 4) {
	case 0:
		snprintf(path, path_size, "sys/bus/pci/drivers/%s/%s", driver, PICK("bind", "unbind"));
		snprintf(text, text_size, "%s\n", bdf);
		break;
	case 1:
		snprintf(path, path_size, PROBE);
		snprintf(text, text_size, "%s", bdf);
		break;
	case 2:
		snprintf(path, path_size, "sys/bus/pci/devices/%s/driver_override", bdf);
		snprintf(text, text_size, "%s\n", PICK("", driver));
		break;
	default:
		snprintf(path, path_size, "sys/bus/pci/drivers/%s/%s", driver, PICK("new_id", "remove_id"));
		snprintf(text, text_size, "%s", PICK("8086 10d3", "1b36 0010", "8086", "ffffffff ffffffff"));
		break;
	}
}

static void wild_write(struct fixture *f, char *path, size_t path_size, char *text, size_t text_size, u32 *seed)
{
	struct node *root = node_at(f->machine->root, PICK("sys", "sys/bus/pci", "sys/devices/pci0000:00"));

	node_path(random_node(root, seed), path, path_size);
	snprintf(text, text_size, "%s%s",
		 PICK("0", "1", "-1", "auto", "on", "flr", "DMA", "identity", "add", "\xff\xfe", NVME), PICK("", "\n"));
}

TEST_F(ten_thousand_random_writes_do_no_harm)
{
	unsigned done = 0;
	u32 seed = 20261121;

	for (int i = 0; i < 10000; i++) {
		char path[256], text[64];

		if (i % 2)
			likely_write(path, sizeof(path), text, sizeof(text), &seed);
		else
			wild_write(f, path, sizeof(path), text, sizeof(text), &seed);
		if (machine_attribute_write(f->machine, NULL, path, next_random(&seed) % 300, text, strlen(text),
					    &f->why) < 0)
			assert_int_not_equal(f->why.code, WHY_NONE);
		else
			done++;
		if (i % 50 == 0)
			machine_check(f->machine);
	}
	/* Otherwise it has only been told no. */
	assert_true(done > 2000);
}

TEST_F(a_failed_bind_leaves_the_device_free)
{
	struct pci_addr addr = {.bus = 1};
	bool fired = true;

	for (unsigned n = 1; fired; n++) {
		int ret;

		fail_nth_arm(n);
		ret = machine_bind(f->machine, addr, "vfio-pci", &f->why);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		assert_true(ret == 0 || f->why.code == WHY_OUT_OF_MEMORY);
		EXPECT_DRIVER(ret == 0 ? "vfio-pci" : "", NVME);
		machine_check(f->machine);
		ASSERT_OK(f->why, machine_bind(f->machine, addr, "nvme", &f->why));
		assert_true(n < 1000);
	}
}

static int live(struct why *why)
{
	struct machine *machine;
	int err = make(&machine, why);

	if (err < 0)
		return err;
	machine_free(machine);
	return 0;
}

TEST(machine, every_step_of_its_making_may_fail)
{
	SWEEP_FAILURES(live);
	machine_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(boots_with_its_drivers_bound),
		CASE_F(links_are_those_of_linux),
		CASE_F(says_what_the_registers_say),
		CASE_F(resources_have_the_lines_and_flags_of_linux),
		CASE_F(config_is_read_and_written_at_any_offset),
		CASE_F(text_is_read_in_parts),
		CASE_F(binding_refuses_as_linux_does),
		CASE_F(a_device_goes_to_vfio_and_comes_back),
		CASE_F(a_device_has_a_character_device_of_its_own),
		CASE_F(the_container_is_always_there),
		CASE_F(iommufd_has_its_node_and_module),
		CASE_F(flags_of_modules_are_read_as_linux_reads_them),
		CASE(machine, one_that_tests_itself_shows_fault_injection),
		CASE_F(the_override_is_a_line),
		CASE_F(probing_for_nobody_is_no_error_but_a_remark),
		CASE_F(a_driver_that_declines_is_passed_over),
		CASE_F(new_id_binds_what_is_free),
		CASE_F(attributes_take_what_linux_takes),
		CASE_F(enable_counts_while_nobody_is_bound),
		CASE_F(resets_by_the_methods_that_are_left),
		CASE_F(group_types_are_checked_in_linuxs_order),
		CASE_F(the_unit_shows_its_registers),
		CASE_F(port_bars_are_accessed_one_register_at_a_time),
		CASE_F(a_file_that_was_closed_meanwhile_is_refused),
		CASE(machine, without_an_iommu_nothing_can_be_assigned),
		CASE_F(names_that_are_not_there_are_refused),
		CASE_F(bind_by_name_is_what_one_would_do_by_hand),
		CASE_F(the_journal_has_the_request_and_the_reason),
		CASE_F(a_dma_fault_enters_the_journal),
		CASE_F(ten_thousand_random_writes_do_no_harm),
		CASE_F(a_failed_bind_leaves_the_device_free),
		CASE(machine, every_step_of_its_making_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
