/* SPDX-License-Identifier: MIT */
/* SR-IOV in a whole machine: virtual functions that come and go with sriov_numvfs, their names, groups and drivers, and
 * the tokens of those that vfio-pci enables. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "isolde/iommu.h"
#include "isolde/isolde.h"
#include "machine/api.h"
#include "machine/device.h"
#include "machine/machine.h"
#include "pci/caps.h"
#include "tests/fixtures/told.h"

#define NVME   "0000:01:00.0" /* and 01:00.1, ...: each alone */
#define NIC    "0000:02:00.0" /* and 02:02.0, ...: all in one group */
#define PLAIN  "0000:00:03.0" /* has none */
#define FEWER  "0000:00:04.0" /* fewer at first than in all */
#define CLASH  "0000:00:05.0" /* the second one's address is another's */
#define FOUND  "0000:00:07.0" /* has one from the start */
#define LONELY "0000:00:09.0" /* likewise, and no driver */

#define PCI(bdf, file) "sys/bus/pci/devices/" bdf "/" file
#define PARAMETER      "sys/module/vfio_pci/parameters/enable_sriov"

static const char machine_text[] =
	"name: sriov\n"
	"iommu: {kind: intel-vtd, width: 48}\n"
	"devices:\n"
	"  - slot: \"01.0\"\n"
	"    role: root-port\n"
	"    id: \"8086:0001\"\n"
	"    acs: full\n"
	"    driver: pcieport\n"
	"    devices:\n"
	"      - slot: \"00.0\"\n"
	"        model: nvme\n"
	"        flr: true\n"
	"        sriov: {total: 4, offset: 1, stride: 1, device: \"0011\"}\n"
	"        vf: {model: nvme, driver: nvme, options: {size: 1M}}\n"
	"  - slot: \"02.0\"\n"
	"    role: root-port\n"
	"    id: \"8086:0001\"\n"
	"    acs: none\n"
	"    driver: pcieport\n"
	"    devices:\n"
	"      - slot: \"00.0\"\n"
	"        id: \"8086:1572\"\n"
	"        class: \"020000\"\n"
	"        flr: true\n"
	"        bars: {0: 64K}\n"
	"        sriov: {total: 300, offset: 16, stride: 2, device: \"154c\"}\n"
	"        vf: {bars: {0: 16K, 2: {size: 4K, width: 64, prefetchable: true}}, msix: {vectors: 3, bar: 2},\n"
	"             vpd: {name: virtual}, regions: [\n"
	"               {start: 0x1000, last: 0x1fff}, {start: 0x3000, last: 0x3fff}, {start: 0x5000, last: 0x5fff},\n"
	"               {start: 0x7000, last: 0x7fff}, {start: 0x9000, last: 0x9fff}, {start: 0xb000, last: 0xbfff}]}\n"
	"  - {slot: \"03.0\", role: integrated, id: \"8086:0003\", driver: e1000e}\n"
	"  - slot: \"04.0\"\n"
	"    role: integrated\n"
	"    id: \"8086:0004\"\n"
	"    driver: e1000e\n"
	"    sriov: {total: 2, initial: 1, offset: 64, stride: 1, device: \"1004\"}\n"
	"  - slot: \"05.0\"\n"
	"    role: integrated\n"
	"    id: \"8086:0005\"\n"
	"    driver: e1000e\n"
	"    sriov: {total: 2, offset: 8, stride: 8, device: \"1005\"}\n"
	"  - slot: \"07.0\"\n"
	"    role: integrated\n"
	"    id: \"8086:0007\"\n"
	"    driver: e1000e\n"
	"    sriov: {total: 3, offset: 65, stride: 1, device: \"1007\"}\n"
	"    vfs: [{bars: {0: 4K}}]\n"
	"  - slot: \"09.0\"\n"
	"    role: integrated\n"
	"    id: \"8086:0009\"\n"
	"    sriov: {total: 1, offset: 64, device: \"1009\"}\n"
	"    vfs: [{}]\n";

struct fixture {
	char path[64];
	struct isolde_machine *machine;
	struct isolde_why why;
	struct why told;
	char text[4096];
};

static int machine_make(struct fixture *f, const char *const *binds)
{
	struct isolde_machine_options options = {.size = sizeof(options), .machine = f->path, .binds = binds};

	return isolde_machine_new(&options, &f->machine, &f->why);
}

static void file_make(struct fixture *f, const char *text)
{
	int fd;

	snprintf(f->path, sizeof(f->path), "/tmp/isolde-sriov-XXXXXX.yaml");
	fd = mkstemps(f->path, 5);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static struct fixture *fixture_new(const char *const *binds)
{
	struct fixture *f = calloc(1, sizeof(*f));

	file_make(f, machine_text);
	ASSERT_OK(f->told, told_as(&f->told, &f->why, machine_make(f, binds)));
	return f;
}

static void fixture_free(struct fixture *f)
{
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
	unlink(f->path);
	free(f);
}

#define OK(call)	      ASSERT_OK(f->told, told_as(&f->told, &f->why, call))
#define EXPECT_NO(code, call) EXPECT_REFUSED(code, f->told, told_as(&f->told, &f->why, call))

/* Returns 0 or what went wrong; a remark is no error. */
static long echo(struct fixture *f, const char *path, const char *text)
{
	ssize_t size = isolde_attribute_write(f->machine, path, text, strlen(text), &f->why);

	if (size >= 0)
		f->why.err = 0;
	return size < 0 ? (long)size : 0;
}

static const char *cat(struct fixture *f, const char *path)
{
	ssize_t size = OK(isolde_attribute_read(f->machine, path, f->text, sizeof(f->text) - 1, &f->why));

	f->text[size] = '\0';
	f->text[strcspn(f->text, "\n")] = '\0';
	return f->text;
}

#define EXPECT_FILE(text, path) assert_string_equal(text, cat(f, path))

static struct node *node(struct fixture *f, const char *path)
{
	return node_walk(f->machine->machine->root, path);
}

static const char *target(struct fixture *f, const char *path)
{
	const struct node *found = node_at(f->machine->machine->root, path);

	return found ? found->target : "";
}

static struct device *find(struct fixture *f, const char *bdf)
{
	struct pci_addr addr;

	assert_true(pci_addr_parse(bdf, &addr));
	return device_find(f->machine->machine, addr);
}

#define EXPECT_DRIVER(wanted, bdf) assert_string_equal(wanted, find(f, bdf)->driver ? find(f, bdf)->driver->name : "")

static const char *const nvme_to_vfio[] = {"vfio-pci=" NVME, NULL};

/* ---- what is there ---- */

TEST(sriov, attributes_say_what_there_can_be)
{
	struct fixture *f = fixture_new(NULL);

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
	fixture_free(f);
}

TEST(sriov, those_from_the_start_are_enabled)
{
	struct fixture *f = fixture_new(NULL);

	EXPECT_FILE("1", PCI(FOUND, "sriov_numvfs"));
	assert_string_equal("../0000:00:0f.1", target(f, "sys/devices/pci0000:00/" FOUND "/virtfn0"));
	assert_string_equal("../" FOUND, target(f, "sys/devices/pci0000:00/0000:00:0f.1/physfn"));
	OK(echo(f, PCI(FOUND, "sriov_numvfs"), "0\n"));
	assert_null(find(f, "0000:00:0f.1"));
	OK(echo(f, PCI(FOUND, "sriov_numvfs"), "3\n"));
	assert_non_null(find(f, "0000:00:0f.3"));
	isolde_machine_check(f->machine);
	fixture_free(f);
}

TEST(sriov, each_has_product_data_of_its_own)
{
	static const char *const binds[] = {"vfio-pci=" NIC, NULL};
	struct fixture *f = fixture_new(binds);

	OK(echo(f, PARAMETER, "Y"));
	OK(echo(f, PCI(NIC, "sriov_numvfs"), "2"));
	OK(isolde_attribute_read(f->machine, PCI("0000:02:02.0", "vpd"), f->text, sizeof(f->text), &f->why));
	assert_memory_equal(f->text + 3, "virtual", 7);
	fixture_free(f);
}

TEST(sriov, numbers_are_refused_in_the_order_of_linux)
{
	struct fixture *f = fixture_new(NULL);

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
	fixture_free(f);
}

/* ---- what comes ---- */

TEST(sriov, virtual_functions_are_devices)
{
	struct fixture *f = fixture_new(NULL);
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
	fixture_free(f);
}

static int group_of(struct fixture *f, const char *bdf)
{
	return find(f, bdf)->iommu->group->id;
}

TEST(sriov, groups_are_those_the_rules_make)
{
	static const char *const binds[] = {"vfio-pci=" NIC, NULL};
	struct fixture *f = fixture_new(binds);
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
	fixture_free(f);
}

/* They come to a group whose container has ranges already; those are made anew when another group leaves. */
TEST(sriov, regions_of_a_virtual_function_are_no_surprise_to_a_container)
{
	static const char *const names[] = {NIC, PLAIN}, *const binds[] = {"vfio-pci=" NIC, "vfio-pci=" PLAIN, NULL};
	struct fixture *f = fixture_new(binds);
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
	fixture_free(f);
}

TEST(sriov, the_machine_file_may_allow_it)
{
	struct fixture *f = calloc(1, sizeof(*f));

	file_make(f, "options: {vfio_pci: {enable_sriov: true}}\n"
		     "iommu: {kind: amd-vi}\n"
		     "devices:\n"
		     "  - {slot: \"01.0\", role: integrated, id: \"8086:0001\", driver: vfio-pci,\n"
		     "     sriov: {total: 2, offset: 8, stride: 1, device: \"0002\"}, vf: {pasid: 16}}\n");
	OK(machine_make(f, NULL));
	EXPECT_FILE("Y", PARAMETER);
	OK(echo(f, PCI("0000:00:01.0", "sriov_numvfs"), "2"));
	EXPECT_DRIVER("vfio-pci", "0000:00:02.1");
	fixture_free(f);
}

TEST(sriov, a_machine_without_iommu_has_virtual_functions_too)
{
	struct fixture *f = calloc(1, sizeof(*f));

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
	fixture_free(f);
}

/* The end takes the physical function's driver away first; nothing waits for what is below the virtual one. */
TEST(sriov, a_virtual_function_may_have_emulated_devices)
{
	struct fixture *f = calloc(1, sizeof(*f));

	file_make(f, "devices:\n"
		     "  - {slot: \"01.0\", role: integrated, id: \"8086:0001\", driver: e1000e,\n"
		     "     sriov: {total: 1, offset: 8, device: \"0002\"}, vfs: [{bars: {0: 4K}}]}\n"
		     "iommu: {kind: intel-vtd}\n"
		     "emulated:\n"
		     "  - {uuid: \"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\", model: mcopy, parent: \"0000:00:02.0\"}\n");
	OK(machine_make(f, NULL));
	EXPECT_NO(SRIOV_HELD, echo(f, PCI("0000:00:01.0", "sriov_numvfs"), "0"));
	EXPECT_NO(SRIOV_HELD, echo(f, "sys/bus/pci/drivers/e1000e/unbind", "0000:00:01.0"));
	fixture_free(f);
}

/* ---- drivers ---- */

TEST(sriov, probing_can_be_switched_off)
{
	struct fixture *f = fixture_new(NULL);

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
	fixture_free(f);
}

TEST(sriov, unbinding_the_physical_function_takes_them_away)
{
	struct fixture *f = fixture_new(NULL);

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
	fixture_free(f);
}

TEST(sriov, vfio_takes_no_function_that_has_virtual_ones)
{
	struct fixture *f = fixture_new(NULL);

	OK(echo(f, PCI(LONELY, "driver_override"), "vfio-pci"));
	EXPECT_NO(VFIO_HAS_VIRTUALS, echo(f, "sys/bus/pci/drivers/vfio-pci/bind", LONELY));
	EXPECT_SUBSTR("1 virtual", f->told.text);
	EXPECT_NO(SRIOV_NO_DRIVER, echo(f, PCI(LONELY, "sriov_numvfs"), "0"));
	fixture_free(f);
}

TEST(sriov, the_library_keeps_what_it_has_given_out)
{
	struct fixture *f = fixture_new(NULL);
	struct isolde_device *device;

	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	OK(isolde_device_get(f->machine, "0000:01:00.1", &device, &f->why));
	EXPECT_NO(SRIOV_HELD, echo(f, PCI(NVME, "sriov_numvfs"), "0"));
	EXPECT_SUBSTR("0000:01:00.1", f->told.text);
	EXPECT_NO(SRIOV_HELD, echo(f, PCI(NVME, "driver/unbind"), NVME));
	EXPECT_DRIVER("nvme", NVME);
	fixture_free(f);
}

/* ---- steps that fail ---- */

static int enable_and_disable(struct why *why)
{
	struct fixture f = {.path = ""};
	unsigned armed = fail_nth_left();
	int err;

	fail_nth_arm(0);
	file_make(&f, machine_text);
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
	struct fixture f = {.path = ""};

	file_make(&f, "devices:\n"
		      "  - {slot: \"01.0\", role: integrated, id: \"8086:0001\",\n"
		      "     sriov: {total: 64, offset: 8, stride: 1, device: \"0002\"}, vf: {bars: {0: 16M}}}\n");
	EXPECT_REFUSED(BAR_SPACE, f.told, told_as(&f.told, &f.why, machine_make(&f, NULL)));
	EXPECT_SUBSTR("BAR 0 of the virtual functions of 0000:00:01.0", f.told.text);
	unlink(f.path);
}

/* ---- tokens ---- */

static const u8 first_token[16] = {0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd,
				   0x90, 0x1a, 0x0d, 0x76, 0x7c, 0x3b, 0x6c, 0x97};
static const u8 second_token[16] = {1};
#define FIRST_TOKEN "52ac9bff-3a88-4FBD-901a-0d767c3b6c97"

static int open_path(struct fixture *f, const char *path)
{
	return (int)OK(isolde_open(f->machine, path, O_RDWR, &f->why));
}

/* Its character device. */
static int open_device(struct fixture *f, const char *bdf)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", find(f, bdf)->vfio_nodes.index);
	return open_path(f, path);
}

static long bind_with(struct fixture *f, int device, int iommufd, const u8 *token)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};

	if (token) {
		bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		bind.token_uuid_ptr = (uintptr_t)token;
	}
	return isolde_ioctl(f->machine, device, VFIO_DEVICE_BIND_IOMMUFD, &bind, &f->why);
}

static void drop(struct fixture *f, int fd)
{
	isolde_close(f->machine, fd);
}

/* One virtual function of NVME, which vfio-pci has. */
static struct fixture *managed(void)
{
	struct fixture *f = fixture_new(nvme_to_vfio);

	OK(echo(f, PARAMETER, "Y"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "2"));
	return f;
}

#define VF "0000:01:00.1"

TEST(sriov, a_virtual_function_wants_the_token_of_its_physical_one)
{
	struct fixture *f = managed();
	int iommufd = open_path(f, "/dev/iommu"), virtual = open_device(f, VF), physical = open_device(f, NVME);

	/* Nobody knows it yet. */
	EXPECT_NO(VF_TOKEN_MISSING, bind_with(f, virtual, iommufd, NULL));
	EXPECT_SUBSTR(NVME, f->told.text);
	EXPECT_NO(VF_TOKEN_WRONG, bind_with(f, virtual, iommufd, first_token));
	EXPECT_NO(CLIENT_FAULT, bind_with(f, virtual, iommufd, (const u8 *)16));
	/* Whoever opens the physical one says what it is; it outlives the open, and a failure behind it. */
	EXPECT_NO(NOT_AN_IOMMUFD, bind_with(f, physical, virtual, first_token));
	OK(bind_with(f, virtual, iommufd, first_token));
	drop(f, virtual);
	OK(bind_with(f, physical, iommufd, NULL));
	drop(f, physical);
	virtual = open_device(f, VF);
	EXPECT_NO(VF_TOKEN_WRONG, bind_with(f, virtual, iommufd, second_token));
	OK(bind_with(f, virtual, iommufd, first_token));
	isolde_machine_check(f->machine);
	fixture_free(f);
}

TEST(sriov, the_physical_function_wants_it_while_a_virtual_one_is_open)
{
	struct fixture *f = managed();
	int iommufd = open_path(f, "/dev/iommu"), virtual = open_device(f, VF), physical = open_device(f, NVME);

	OK(bind_with(f, physical, iommufd, first_token));
	OK(bind_with(f, virtual, iommufd, first_token));
	drop(f, physical);
	physical = open_device(f, NVME);
	EXPECT_NO(VF_TOKEN_MISSING, bind_with(f, physical, iommufd, NULL));
	EXPECT_NO(VF_TOKEN_WRONG, bind_with(f, physical, iommufd, second_token));
	OK(bind_with(f, physical, iommufd, first_token));
	drop(f, physical);
	drop(f, virtual);
	physical = open_device(f, NVME);
	OK(bind_with(f, physical, iommufd, second_token));
	virtual = open_device(f, VF);
	EXPECT_NO(VF_TOKEN_WRONG, bind_with(f, virtual, iommufd, first_token));
	fixture_free(f);
}

static long set_token(struct fixture *f, int device, u32 flags, u32 size, const u8 *token)
{
	struct {
		struct vfio_device_feature head;
		u8 uuid[16];
	} request = {.head = {.argsz = size, .flags = flags | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN}};

	memcpy(request.uuid, token, 16);
	return isolde_ioctl(f->machine, device, VFIO_DEVICE_FEATURE, &request, &f->why);
}

TEST(sriov, feature_zero_replaces_the_token_at_any_time)
{
	struct fixture *f = managed();
	int iommufd = open_path(f, "/dev/iommu"), virtual = open_device(f, VF), physical = open_device(f, NVME);
	u32 size = sizeof(struct vfio_device_feature) + 16;

	OK(bind_with(f, physical, iommufd, first_token));
	OK(bind_with(f, virtual, iommufd, first_token));
	OK(set_token(f, physical, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE, size, second_token));
	EXPECT_NO(FEATURE_DIRECTION, set_token(f, physical, VFIO_DEVICE_FEATURE_GET, size, second_token));
	EXPECT_NO(ARGSZ_SHORT, set_token(f, physical, VFIO_DEVICE_FEATURE_SET, size - 1, second_token));
	OK(set_token(f, physical, VFIO_DEVICE_FEATURE_SET, size, second_token));
	drop(f, virtual);
	virtual = open_device(f, VF);
	EXPECT_NO(VF_TOKEN_WRONG, bind_with(f, virtual, iommufd, first_token));
	OK(bind_with(f, virtual, iommufd, second_token));
	/* A virtual function has none of its own. */
	EXPECT_NO(FEATURE_UNKNOWN, set_token(f, virtual, VFIO_DEVICE_FEATURE_SET, size, first_token));
	fixture_free(f);
}

static long get_device(struct fixture *f, int group, const char *name)
{
	return isolde_ioctl(f->machine, group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name, &f->why);
}

/* With a container and its IOMMU. */
static int open_group(struct fixture *f, const char *bdf)
{
	int container = open_path(f, "/dev/vfio/vfio"), group;
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%d", group_of(f, bdf));
	group = open_path(f, path);
	OK(isolde_ioctl(f->machine, group, VFIO_GROUP_SET_CONTAINER, &container, &f->why));
	OK(isolde_ioctl(f->machine, container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU, &f->why));
	return group;
}

TEST(sriov, the_token_can_stand_behind_a_name)
{
	struct fixture *f = managed();
	int group = open_group(f, NVME), virtual = open_group(f, VF), plain, device;

	EXPECT_NO(VF_TOKEN_MISSING, get_device(f, virtual, VF));
	EXPECT_NO(VF_TOKEN_WRONG, get_device(f, virtual, VF " vf_token=" FIRST_TOKEN));
	EXPECT_NO(DEVICE_OPTION, get_device(f, virtual, VF " vf_token=52ac9bff-3a88-4fbd-901a-0d767c3b6c9"));
	EXPECT_NO(DEVICE_OPTION, get_device(f, virtual, VF " vf_token=" FIRST_TOKEN " vf_token=" FIRST_TOKEN));
	EXPECT_NO(DEVICE_OPTION, get_device(f, virtual, VF " vf_token=" FIRST_TOKEN "x"));
	EXPECT_NO(DEVICE_UNKNOWN, get_device(f, virtual, VF "\tvf_token=" FIRST_TOKEN));
	device = (int)OK(get_device(f, group, NVME "  vf_token=" FIRST_TOKEN " "));
	drop(f, (int)OK(get_device(f, virtual, VF " vf_token=" FIRST_TOKEN)));
	/* The bytes have the order of the text. */
	drop(f, device);
	drop(f, virtual);
	virtual = open_device(f, VF);
	OK(bind_with(f, virtual, open_path(f, "/dev/iommu"), first_token));
	/* Who needs none may give none. */
	OK(echo(f, PCI(CLASH, "driver_override"), "vfio-pci"));
	OK(echo(f, PCI(PLAIN, "driver_override"), "vfio-pci"));
	OK(echo(f, "sys/bus/pci/drivers/e1000e/unbind", PLAIN));
	OK(echo(f, "sys/bus/pci/drivers_probe", PLAIN));
	plain = open_group(f, PLAIN);
	EXPECT_NO(VF_TOKEN_UNWANTED, get_device(f, plain, PLAIN " vf_token=" FIRST_TOKEN));
	OK(get_device(f, plain, PLAIN));
	fixture_free(f);
}

/* SR-IOV that a driver of the kernel enabled is no matter of tokens. */
TEST(sriov, virtual_functions_of_other_drivers_have_no_token)
{
	struct fixture *f = fixture_new(NULL);
	int iommufd = open_path(f, "/dev/iommu"), virtual;

	OK(echo(f, "sys/bus/pci/drivers_autoprobe", "0"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	OK(echo(f, PCI(VF, "driver_override"), "vfio-pci"));
	OK(echo(f, "sys/bus/pci/drivers_probe", VF));
	virtual = open_device(f, VF);
	EXPECT_NO(VF_TOKEN_UNWANTED, bind_with(f, virtual, iommufd, first_token));
	EXPECT_SUBSTR(NVME, f->told.text);
	OK(bind_with(f, virtual, iommufd, NULL));
	fixture_free(f);
}

/* ---- what a program has of one ---- */

static u32 load(struct fixture *f, int device, unsigned region, u64 offset, unsigned width)
{
	u32 value = 0;

	OK(isolde_pread(f->machine, device, &value, width, (u64)region << 40 | offset, &f->why));
	return value;
}

static void store(struct fixture *f, int device, unsigned region, u64 offset, unsigned width, u32 value)
{
	OK(isolde_pwrite(f->machine, device, &value, width, (u64)region << 40 | offset, &f->why));
}

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

/* The physical one and a virtual one, open. */
static void open_both(struct fixture *f, int *physical, int *virtual)
{
	int iommufd = open_path(f, "/dev/iommu");

	*physical = open_device(f, NVME);
	*virtual = open_device(f, VF);
	OK(bind_with(f, *physical, iommufd, first_token));
	OK(bind_with(f, *virtual, iommufd, first_token));
}

TEST(sriov, a_program_sees_what_a_virtual_function_has_not)
{
	struct fixture *f = managed();
	int physical, virtual;

	open_both(f, &physical, &virtual);
	assert_int_equal(load(f, virtual, CONFIG, PCI_VENDOR_ID, 4), 0x00111b36);
	assert_int_equal(load(f, virtual, CONFIG, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(load(f, virtual, CONFIG, PCI_COMMAND, 2) & 3, PCI_COMMAND_MEMORY);
	/* BARs can be sized. */
	store(f, virtual, CONFIG, PCI_BAR0, 4, UINT32_MAX);
	assert_int_equal(load(f, virtual, CONFIG, PCI_BAR0, 4), 0xffffc004);
	/* Its memory is decoded whatever the bit says. NVMe's version is behind it. */
	assert_int_equal(load(f, virtual, 0, 8, 4), 0x00010400);
	store(f, virtual, CONFIG, PCI_COMMAND, 2, 0);
	assert_int_equal(load(f, virtual, CONFIG, PCI_COMMAND, 2), 0);
	assert_int_equal(load(f, virtual, 0, 8, 4), 0x00010400);
	store(f, virtual, CONFIG, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	assert_int_equal(pci_command(find(f, VF)->function), PCI_COMMAND_MASTER);
	isolde_machine_check(f->machine);
	fixture_free(f);
}

TEST(sriov, a_physical_function_with_virtual_ones_stays_awake)
{
	struct fixture *f = fixture_new(nvme_to_vfio);
	int physical = open_device(f, NVME);
	u16 control = (u16)(find(f, NVME)->function->cap_pm + 4u);

	OK(bind_with(f, physical, open_path(f, "/dev/iommu"), first_token));
	store(f, physical, CONFIG, control, 2, 3);
	EXPECT_FILE("D3hot", PCI(NVME, "power_state"));
	OK(echo(f, PARAMETER, "Y"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	EXPECT_FILE("D0", PCI(NVME, "power_state"));
	store(f, physical, CONFIG, control, 2, 3);
	EXPECT_FILE("D0", PCI(NVME, "power_state"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "0"));
	store(f, physical, CONFIG, control, 2, 3);
	EXPECT_FILE("D3hot", PCI(NVME, "power_state"));
	fixture_free(f);
}

/* A reset of the physical function takes the virtual ones along; their mapped registers are there again at once. */
TEST(sriov, a_reset_goes_through_to_the_virtual_functions)
{
	struct fixture *f = managed();
	int physical, virtual;

	open_both(f, &physical, &virtual);
	store(f, virtual, CONFIG, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	store(f, virtual, 0, 0x28, 4, 0x1000); /* ASQ */
	assert_int_equal(load(f, virtual, 0, 0x28, 4), 0x1000);
	OK(isolde_ioctl(f->machine, physical, VFIO_DEVICE_RESET, NULL, &f->why));
	assert_int_equal(load(f, virtual, 0, 0x28, 4), 0);
	assert_int_equal(pci_command(find(f, VF)->function), 0);
	isolde_machine_check(f->machine);
	fixture_free(f);
}

/* ---- waiting ---- */

struct waiter {
	struct fixture *f;
	const char *path, *text;
	long result;
	struct isolde_why why;
};

static void *write_there(void *argument)
{
	struct waiter *waiter = argument;

	waiter->result = isolde_attribute_write(waiter->f->machine, waiter->path, waiter->text, strlen(waiter->text),
						&waiter->why);
	return NULL;
}

/* There, but waiting to be let go; looked at while other threads are at work. */
static bool is_hidden(struct fixture *f, const char *bdf)
{
	struct machine *machine = f->machine->machine;
	struct device *device;
	bool hidden;

	mutex_lock(&machine->lock);
	device = find(f, bdf);
	hidden = device && device->leaving && device->busy;
	mutex_unlock(&machine->lock);
	return hidden;
}

static void await_hidden(struct fixture *f, const char *bdf)
{
	while (!is_hidden(f, bdf))
		usleep(1000);
}

TEST(sriov, taking_away_waits_for_who_has_one_open)
{
	struct fixture *f = managed();
	struct waiter away = {f, PCI(NVME, "sriov_numvfs"), "0", 0, {0}};
	struct waiter late = {f, "sys/bus/pci/drivers/vfio-pci/unbind", VF, 0, {0}};
	struct isolde_device *handle;
	int physical, virtual;
	pthread_t threads[2];

	open_both(f, &physical, &virtual);
	assert_int_equal(pthread_create(&threads[0], NULL, write_there, &away), 0);
	await_hidden(f, VF);
	/* One waits for it and finds that it is gone; nobody new gets hold of it. */
	assert_int_equal(pthread_create(&threads[1], NULL, write_there, &late), 0);
	EXPECT_NO(DEVICE_LEAVING, isolde_device_get(f->machine, VF, &handle, &f->why));
	isolde_machine_check(f->machine);
	assert_true(is_hidden(f, VF));
	usleep(20000);
	drop(f, virtual);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(away.result, 1);
	assert_int_equal(late.result, -ENODEV);
	assert_null(find(f, VF));
	EXPECT_FILE("0", PCI(NVME, "sriov_numvfs"));
	isolde_machine_check(f->machine);
	fixture_free(f);
}

/* A group's file outlives the group; so does a device's own, until it is closed. */
TEST(sriov, what_is_open_of_a_group_that_goes_stays_behind)
{
	struct fixture *f = managed();
	int group = open_group(f, VF), later, container = open_path(f, "/dev/vfio/vfio");
	struct vfio_group_status status = {.argsz = sizeof(status)};
	struct isolde_why why;

	OK(echo(f, PCI(NVME, "sriov_numvfs"), "0"));
	isolde_machine_check(f->machine);
	assert_int_equal(isolde_ioctl(f->machine, group, VFIO_GROUP_GET_STATUS, &status, &why), -ENODEV);
	assert_int_equal(isolde_ioctl(f->machine, group, VFIO_GROUP_SET_CONTAINER, &container, &why), -ENODEV);
	assert_int_equal(isolde_ioctl(f->machine, group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)VF, &why),
			 -ENODEV);
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	isolde_machine_check(f->machine);
	/* The same number, another group. */
	later = open_group(f, VF);
	drop(f, group);
	isolde_machine_check(f->machine);
	EXPECT_NO(VF_TOKEN_MISSING, get_device(f, later, VF));
	drop(f, later);
	fixture_free(f);
}

/* Many, for as long as it takes to see that none is lost. */
static void *come_and_go(void *argument)
{
	struct waiter *waiter = argument;

	for (unsigned i = 0; i < 20; i++)
		isolde_attribute_write(waiter->f->machine, waiter->path, i & 1 ? "0" : waiter->text, 1, &waiter->why);
	return NULL;
}

static void *bind_and_unbind(void *argument)
{
	struct waiter *waiter = argument;

	for (unsigned i = 0; i < 40; i++)
		isolde_attribute_write(waiter->f->machine,
				       i & 1 ? "sys/bus/pci/drivers/nvme/unbind" : "sys/bus/pci/drivers/nvme/bind",
				       waiter->text, strlen(waiter->text), &waiter->why);
	return NULL;
}

TEST(sriov, coming_and_going_races_with_binding)
{
	struct fixture *f = fixture_new(NULL);
	struct waiter nvme = {f, PCI(NVME, "sriov_numvfs"), "3", 0, {0}};
	struct waiter found = {f, PCI(FOUND, "sriov_numvfs"), "2", 0, {0}};
	struct waiter binds = {f, "", VF, 0, {0}};
	pthread_t threads[3];

	assert_int_equal(pthread_create(&threads[0], NULL, come_and_go, &nvme), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, come_and_go, &found), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, bind_and_unbind, &binds), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	fixture_free(f);
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
		CASE(sriov, a_virtual_function_wants_the_token_of_its_physical_one),
		CASE(sriov, the_physical_function_wants_it_while_a_virtual_one_is_open),
		CASE(sriov, feature_zero_replaces_the_token_at_any_time),
		CASE(sriov, the_token_can_stand_behind_a_name),
		CASE(sriov, virtual_functions_of_other_drivers_have_no_token),
		CASE(sriov, a_program_sees_what_a_virtual_function_has_not),
		CASE(sriov, a_physical_function_with_virtual_ones_stays_awake),
		CASE(sriov, a_reset_goes_through_to_the_virtual_functions),
		CASE(sriov, taking_away_waits_for_who_has_one_open),
		CASE(sriov, what_is_open_of_a_group_that_goes_stays_behind),
		CASE(sriov, coming_and_going_races_with_binding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
