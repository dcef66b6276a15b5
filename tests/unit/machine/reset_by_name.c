/* SPDX-License-Identifier: MIT */
/* sysfs `reset` of a device that a program has open. */
#include "tests/fixtures/machine_text.h"
#include "tests/helpers.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "isolde/abi/vfio.h"
#include "isolde/isolde.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reset_by_name, it_ends_a_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
