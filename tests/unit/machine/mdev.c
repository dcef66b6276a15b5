/* SPDX-License-Identifier: MIT */
/* The machine with emulated devices, as sysfs shows it. What programs do with them: tests/unit/vfio/emulated.c. */
#include "machine/mdev.h"

#include "tests/helpers.h"

#include <sys/sysmacros.h>

#include "machine/device.h"

#define NVME   "0000:01:00.0"
#define FIRST  "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define SECOND "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"

struct fixture {
	struct machine *machine;
	char text[NODE_TEXT];
	struct why why;
};

static int make(struct machine **ret, struct why *why)
{
	struct description *description;
	int err = description_load("emulated", &description, why);

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

static struct node *at(const struct fixture *f, const char *path)
{
	return node_walk(f->machine->root, path);
}

static const char *cat(struct fixture *f, const char *path)
{
	s64 length = ASSERT_OK(
		f->why, machine_attribute_read(f->machine, NULL, path, 0, f->text, sizeof(f->text) - 1, &f->why));

	f->text[length] = '\0';
	return f->text;
}

TEST(mdev, hangs_below_its_parent)
{
	struct fixture *f = *state;
	struct node *first = at(f, "sys/devices/virtual/mcopy/mcopy/" FIRST);
	struct node *second = at(f, "sys/bus/pci/devices/" NVME "/" SECOND);

	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_equal(at(f, "sys/bus/mdev/devices/" FIRST), first);
	assert_ptr_equal(at(f, "sys/bus/mdev/devices/" SECOND), second);
	assert_ptr_equal(at(f, "sys/bus/mdev/drivers/mcopy/" FIRST), first);
	assert_ptr_equal(at(f, "sys/bus/mdev/devices/" FIRST "/driver"), at(f, "sys/bus/mdev/drivers/mcopy"));
	assert_ptr_equal(at(f, "sys/bus/mdev/devices/" FIRST "/subsystem"), at(f, "sys/bus/mdev"));
	assert_string_equal(cat(f, "sys/bus/mdev/devices/" FIRST "/uevent"), "DRIVER=mcopy\n");
}

TEST(mdev, its_parent_lists_what_it_makes)
{
	struct fixture *f = *state;

	assert_ptr_equal(at(f, "sys/class/mdev_bus/mcopy"), at(f, "sys/devices/virtual/mcopy/mcopy"));
	assert_ptr_equal(at(f, "sys/class/mdev_bus/" NVME), at(f, "sys/bus/pci/devices/" NVME));
	assert_string_equal(cat(f, "sys/class/mdev_bus/mcopy/mdev_supported_types/mcopy-1/device_api"), "vfio-pci\n");
	assert_string_equal(cat(f, "sys/class/mdev_bus/" NVME "/mdev_supported_types/mcopy-1/available_instances"),
			    "0\n");
	EXPECT_SUBSTR("copies", cat(f, "sys/class/mdev_bus/mcopy/mdev_supported_types/mcopy-1/name"));
	assert_ptr_equal(at(f, "sys/class/mdev_bus/mcopy/mdev_supported_types/mcopy-1/devices/" FIRST),
			 at(f, "sys/bus/mdev/devices/" FIRST));
	assert_ptr_equal(at(f, "sys/bus/mdev/devices/" SECOND "/mdev_type"),
			 at(f, "sys/class/mdev_bus/" NVME "/mdev_supported_types/mcopy-1"));
}

TEST(mdev, has_a_group_and_a_character_device)
{
	struct fixture *f = *state;
	const struct mdev *mdev = list_first(&f->machine->mdevs, struct mdev, link);
	char path[96];

	assert_string_equal(mdev->words->uuid, FIRST);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/" FIRST, mdev->iommu->group->id);
	assert_ptr_equal(at(f, path), at(f, "sys/bus/mdev/devices/" FIRST));
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/name", mdev->iommu->group->id);
	assert_string_equal(cat(f, path), "vfio-noiommu\n");
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/reserved_regions", mdev->iommu->group->id);
	assert_string_equal(cat(f, path), "");
	snprintf(path, sizeof(path), "dev/vfio/%d", mdev->iommu->group->id);
	assert_int_equal(at(f, path)->kind, NODE_DEVICE);
	/* Nothing of hardware has its driver yet. */
	assert_int_equal(at(f, "dev/vfio/devices/vfio0")->rdev, makedev(VFIO_DEVICE_MAJOR, 0));
	assert_string_equal(cat(f, "sys/bus/mdev/devices/" FIRST "/vfio-dev/vfio0/dev"), "510:0\n");
	assert_ptr_equal(at(f, "sys/class/vfio-dev/vfio1/device"), at(f, "sys/bus/mdev/devices/" SECOND));
	/* The hardware below which the other one is, is not touched by that. */
	assert_string_equal(device_named(f->machine, &(struct text){NVME, strlen(NVME)})->driver->name, "nvme");
}

static int make_and_free(struct why *why)
{
	struct machine *machine;
	int err = make(&machine, why);

	if (err < 0)
		return err;
	machine_check(machine);
	machine_free(machine);
	return 0;
}

TEST(mdev, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(make_and_free);
}

#define CASE_F(name) cmocka_unit_test_setup_teardown(mdev_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(hangs_below_its_parent),
		CASE_F(its_parent_lists_what_it_makes),
		CASE_F(has_a_group_and_a_character_device),
		CASE(mdev, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
