/* SPDX-License-Identifier: MIT */
/* sysfs `reset` of a device that a program has open. */
#include "tests/fixtures/machine_text.h"
#include "tests/helpers.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "isolde/abi/vfio.h"
#include "isolde/isolde.h"
#include "machine/api.h"
#include "machine/device.h"
#include "machine/machine.h"

static const char machine_text[] =
	"devices: [{slot: \"01.0\", model: nvme, flr: true, options: {migration: true}, driver: vfio-pci}]\n"
	"iommu: {kind: intel-vtd}\n";

struct moving {
	struct vfio_device_feature head;
	struct vfio_device_feature_mig_state state;
};

static u32 move(struct isolde_machine *machine, int device, u32 direction, u32 state)
{
	struct moving moving = {{sizeof(moving), direction | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE}, {state, -1}};

	assert_int_equal(isolde_ioctl(machine, device, VFIO_DEVICE_FEATURE, &moving, NULL), 0);
	return moving.state.device_state;
}

/* What it was about to become is gone. */
TEST(reset_by_name, it_ends_a_migration)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct isolde_machine *machine = machine_of_text(machine_text);
	int device;

	device = isolde_open(machine, "/dev/vfio/devices/vfio0", O_RDWR, NULL);
	bind.iommufd = isolde_open(machine, "/dev/iommu", O_RDWR, NULL);
	assert_int_equal(isolde_ioctl(machine, device, VFIO_DEVICE_BIND_IOMMUFD, &bind, NULL), 0);
	move(machine, device, VFIO_DEVICE_FEATURE_SET, VFIO_DEVICE_STATE_STOP);
	assert_int_equal(isolde_attribute_write(machine, "sys/bus/pci/devices/0000:00:01.0/reset", "1", 1, NULL), 1);
	assert_int_equal(move(machine, device, VFIO_DEVICE_FEATURE_GET, 0), VFIO_DEVICE_STATE_RUNNING);
	isolde_machine_check(machine);
	isolde_machine_free(machine);
}

static const char virtual_text[] =
	"devices: [{slot: \"01.0\", role: root-port, id: \"8086:1901\", acs: full, driver: pcieport, devices: [\n"
	"  {slot: \"00.0\", model: nvme, flr: true, driver: nvme,\n"
	"   sriov: {total: 1, offset: 1, stride: 1, device: \"0011\"},\n"
	"   vf: {model: nvme, options: {size: 1M}}}]}]\n"
	"iommu: {kind: intel-vtd}\n";

/* Can the program read its mapping? The host's kernel says so without a signal. */
static bool is_alive(const void *mapped)
{
	int pipes[2];
	bool alive;

	assert_int_equal(pipe(pipes), 0);
	alive = write(pipes[1], mapped, 4) == 4;
	close(pipes[0]);
	close(pipes[1]);
	return alive;
}

static void put(struct isolde_machine *machine, const char *path, const char *text)
{
	assert_int_equal(isolde_attribute_write(machine, path, text, strlen(text), NULL), strlen(text));
}

static struct pci_function *find_function(struct isolde_machine *machine, const char *bdf)
{
	struct pci_addr addr;

	assert_true(pci_addr_parse(bdf, &addr));
	return device_find(machine->machine, addr)->function;
}

/* The program's device is `device`; the reset is that of `reset`. */
static void reset_in_d3hot(struct isolde_machine *machine, const char *device, const char *reset)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	const struct pci_function *function = find_function(machine, device);
	u64 control = ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40) + function->cap_pm + 4;
	u16 state = 3;
	char path[96];
	void *mapped;
	int fd = isolde_open(machine, "/dev/vfio/devices/vfio0", O_RDWR, NULL);

	bind.iommufd = isolde_open(machine, "/dev/iommu", O_RDWR, NULL);
	assert_int_equal(isolde_ioctl(machine, fd, VFIO_DEVICE_BIND_IOMMUFD, &bind, NULL), 0);
	assert_int_equal(isolde_mmap(machine, fd, 4096, PROT_READ, MAP_SHARED, 0, &mapped, NULL), 0);
	assert_true(is_alive(mapped));
	assert_true(function->cap_pm);
	assert_int_equal(isolde_pwrite(machine, fd, &state, sizeof(state), control, NULL), sizeof(state));
	assert_false(is_alive(mapped));
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/reset", reset);
	put(machine, path, "1");
	assert_int_equal(isolde_pread(machine, fd, &state, sizeof(state), control, NULL), sizeof(state));
	assert_int_equal(state & 3, 0);
	assert_true(is_alive(mapped));
	munmap(mapped, 4096);
	isolde_machine_check(machine);
}

TEST(reset_by_name, it_wakes_the_device)
{
	struct isolde_machine *machine = machine_of_text(machine_text);

	reset_in_d3hot(machine, "0000:00:01.0", "0000:00:01.0");
	isolde_machine_free(machine);
}

/* 0000:01:00.1 is vfio-pci's, the physical function another driver's. */
static struct isolde_machine *with_virtual_function(void)
{
	struct isolde_machine *machine = machine_of_text(virtual_text);

	put(machine, "sys/bus/pci/devices/0000:01:00.0/sriov_drivers_autoprobe", "0");
	put(machine, "sys/bus/pci/devices/0000:01:00.0/sriov_numvfs", "1");
	put(machine, "sys/bus/pci/devices/0000:01:00.1/driver_override", "vfio-pci");
	put(machine, "sys/bus/pci/drivers/vfio-pci/bind", "0000:01:00.1");
	return machine;
}

TEST(reset_by_name, it_wakes_virtual_functions)
{
	struct isolde_machine *machine = with_virtual_function();

	reset_in_d3hot(machine, "0000:01:00.1", "0000:01:00.0");
	isolde_machine_free(machine);
}

static int open_bound(struct isolde_machine *machine)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	int fd = isolde_open(machine, "/dev/vfio/devices/vfio0", O_RDWR, NULL);

	bind.iommufd = isolde_open(machine, "/dev/iommu", O_RDWR, NULL);
	assert_int_equal(isolde_ioctl(machine, fd, VFIO_DEVICE_BIND_IOMMUFD, &bind, NULL), 0);
	return fd;
}

/* Linux holds it awake for the reset (pci-sysfs.c:reset_store()). */
TEST(reset_by_name, a_device_in_low_power_says_that_it_was_woken)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} sleep = {{sizeof(sleep), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP}, {0, 0}};
	struct isolde_machine *machine = machine_of_text(machine_text);
	int device = open_bound(machine);
	u64 count;

	sleep.entry.wakeup_eventfd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(isolde_ioctl(machine, device, VFIO_DEVICE_FEATURE, &sleep, NULL), 0);
	assert_int_equal(read(sleep.entry.wakeup_eventfd, &count, sizeof(count)), -1);
	put(machine, "sys/bus/pci/devices/0000:00:01.0/reset", "1");
	assert_int_equal(read(sleep.entry.wakeup_eventfd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(isolde_ioctl(machine, device, VFIO_DEVICE_FEATURE, &sleep, NULL), 0);
	close(sleep.entry.wakeup_eventfd);
	isolde_machine_check(machine);
	isolde_machine_free(machine);
}

/*
 * A fatal error resets the link. A program's device loses its registers, those that decode its memory with them; but of
 * a virtual function they are the physical one's, whose driver puts them back.
 */
TEST(reset_by_name, mappings_of_a_virtual_function_outlive_a_fatal_error)
{
	struct isolde_machine *machine = with_virtual_function();
	const struct pci_function *function = find_function(machine, "0000:01:00.1");
	const u16 master = PCI_COMMAND_MASTER;
	int device = open_bound(machine);
	void *mapped;

	assert_int_equal(isolde_mmap(machine, device, 4096, PROT_READ, MAP_SHARED, 0, &mapped, NULL), 0);
	assert_int_equal(isolde_pwrite(machine, device, &master, sizeof(master),
				       ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40) + PCI_COMMAND, NULL),
			 sizeof(master));
	assert_true(is_alive(mapped));
	assert_int_equal(pci_command(function), PCI_COMMAND_MASTER);
	put(machine, "sys/kernel/debug/aer_inject", "0000:01:00.0 uncor 0x10");
	assert_int_equal(pci_command(function), 0);
	assert_true(is_alive(mapped));
	isolde_machine_check(machine);
	munmap(mapped, 4096);
	isolde_machine_free(machine);
}

/* As setpci does: the header again, and the registers behind it up to PMCSR. */
static void set_power_state(struct isolde_machine *machine, u8 state)
{
	static const char path[] = "sys/bus/pci/devices/0000:00:01.0/config";
	unsigned control = find_function(machine, "0000:00:01.0")->cap_pm + 4u;
	u8 config[256];

	assert_int_equal(isolde_attribute_read(machine, path, config, control + 1, NULL), control + 1);
	config[control] = state;
	assert_int_equal(isolde_attribute_write(machine, path, config, control + 1, NULL), control + 1);
}

TEST(reset_by_name, configuration_written_past_vfio_counts)
{
	struct isolde_machine *machine = machine_of_text(machine_text);
	int device = open_bound(machine);
	void *mapped;

	assert_int_equal(isolde_mmap(machine, device, 4096, PROT_READ, MAP_SHARED, 0, &mapped, NULL), 0);
	assert_true(is_alive(mapped));
	set_power_state(machine, 3);
	assert_false(is_alive(mapped));
	set_power_state(machine, 0);
	assert_true(is_alive(mapped));
	munmap(mapped, 4096);
	isolde_machine_check(machine);
	isolde_machine_free(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reset_by_name, it_ends_a_migration),
		CASE(reset_by_name, it_wakes_the_device),
		CASE(reset_by_name, it_wakes_virtual_functions),
		CASE(reset_by_name, a_device_in_low_power_says_that_it_was_woken),
		CASE(reset_by_name, mappings_of_a_virtual_function_outlive_a_fatal_error),
		CASE(reset_by_name, configuration_written_past_vfio_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
