/* SPDX-License-Identifier: MIT */
/* What else than Linux's proves that a bus may be reset: files of devices, a mix, the empty array (docs/hot-reset.md).
 */
#include "tests/conform/buses.h"

#include <unistd.h>

/* One by its node, one by its group. */
struct mix {
	struct names names[2];
	int fd, node;	      /* of the first */
	struct legacy legacy; /* of the second */
};

static struct mix new_mix(void)
{
	struct mix mix = {.fd = iommu()};

	two_twins(mix.names);
	mix.node = bound_node(&mix.names[0], mix.fd);
	mix.legacy = enter_group(&mix.names[1], VFIO_TYPE1v2_IOMMU);
	open_device(&mix.legacy, &mix.names[1]);
	return mix;
}

TEST(files_of_devices_and_groups_may_be_mixed)
{
	struct mix mix = new_mix();
	int node = mix.node, device = mix.legacy.device, group = mix.legacy.group;
	struct bus_told told;

	EXPECT(0, RESET_BY(node, node, device));
	EXPECT(0, RESET_BY(node, device, node));
	EXPECT(0, RESET_BY(node, group, node));
	EXPECT(0, RESET_BY(device, node, device));
	EXPECT(0, RESET_BY(device, node, group));
	/* INFO is Linux's all the same. */
	EXPECT(0, ask_bus(node, 8, &told));
	EXPECT_EQUAL(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, told.head.flags);
	EXPECT_EQUAL((u32)VFIO_PCI_DEVID_NOT_OWNED, told_of(&told, &mix.names[1]));
}

/* The caller's own has to be proven like the others. */
TEST(an_array_stands_for_itself)
{
	struct mix mix = new_mix();
	int node = mix.node, device = mix.legacy.device, group = mix.legacy.group;

	EXPECT(-EINVAL, RESET_BY(node, node));
	EXPECT(-EINVAL, RESET_BY(node, node, node));
	EXPECT(-EINVAL, RESET_BY(node, device));
	EXPECT(-EINVAL, RESET_BY(node, group, device));
	EXPECT(-EINVAL, RESET_BY(device, device));
	EXPECT(-EINVAL, RESET_BY(device, group));
	EXPECT(-EINVAL, RESET_BY(device, node));
	EXPECT(-EINVAL, RESET_IMPLIED(node));
	EXPECT(-EINVAL, RESET_IMPLIED(device));
}

TEST(descriptors_are_refused_in_this_order)
{
	struct mix mix = new_mix();
	int node = mix.node, device = mix.legacy.device;

	EXPECT(-EINVAL, RESET_BY(node, 999, 999, 999)); /* more than functions */
	EXPECT(-EBADF, RESET_BY(node, 999, mix.fd));
	EXPECT(-EINVAL, RESET_BY(node, mix.fd, 999));
	EXPECT(-EBADF, RESET_BY(node, node, -1));
	EXPECT(-EINVAL, RESET_BY(node, mix.fd));
	EXPECT(-EINVAL, RESET_BY(node, mix.legacy.container));
	EXPECT(-EINVAL, RESET_BY(device, new_file(PAGE)));
}

TEST(who_only_opened_a_node_proves_nothing)
{
	struct names names[2];
	int fd = iommu(), first, second;

	two_twins(names);
	first = bound_node(&names[0], fd);
	second = open_cdev(&names[1]);
	EXPECT(-EINVAL, RESET_BY(first, first, second));
	WORKS(bind_cdev(second, iommu()));
	EXPECT(0, RESET_BY(first, first, second));
	EXPECT(0, RESET_BY(second, first, second));
	EXPECT(-EINVAL, RESET_IMPLIED(first));
}

/* Its DMA is in the same hand. */
TEST(a_device_proves_its_group)
{
	struct names names[2];
	int fd = iommu(), first, second;
	struct legacy legacy;

	two_siblings(names);
	first = bound_node(&names[0], fd);
	EXPECT(0, RESET_BY(first, first));
	EXPECT(0, RESET_IMPLIED(first));
	second = bound_node(&names[1], fd);
	EXPECT(0, RESET_BY(first, second));
	EXPECT(0, RESET_BY(second, first, first));
	drop(first);
	drop(second);
	legacy = enter_group(&names[0], VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names[0]);
	EXPECT(0, RESET_BY(legacy.device, legacy.device));
	EXPECT(0, RESET_BY(legacy.device, legacy.group));
	EXPECT(0, RESET_IMPLIED(legacy.device));
}

/* A file of no function of this bus is no error; it just helps nobody. */
TEST(files_of_other_devices_are_no_error)
{
	struct names names[2], rooted = the_rooted();
	int fd = iommu(), first, other;

	two_siblings(names);
	first = bound_node(&names[0], fd);
	other = bound_node(&rooted, fd);
	EXPECT(0, RESET_BY(first, other, first));
	EXPECT(-EINVAL, RESET_BY(first, other));
	EXPECT(-ENODEV, RESET_BY(other, other));
}

TEST(the_empty_array_means_what_the_container_has)
{
	struct names names[2];
	struct legacy legacy;
	int group;

	two_twins(names);
	legacy = enter_group(&names[0], VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names[0]);
	EXPECT(-EINVAL, RESET_IMPLIED(legacy.device));
	group = open_group(&names[1]);
	EXPECT(-EINVAL, RESET_IMPLIED(legacy.device));
	EXPECT(0, set_container(group, legacy.container));
	EXPECT(0, RESET_IMPLIED(legacy.device));
	EXPECT(0, unset_container(group));
	EXPECT(-EINVAL, RESET_IMPLIED(legacy.device));
	EXPECT(0, set_container(group, iommu()));
	watch(get_device(group, names[1].bdf));
	EXPECT(-EINVAL, RESET_IMPLIED(legacy.device));
}

TEST(what_another_driver_has_nobody_proves)
{
	struct names names = the_beside();
	int device = bound_node(&names, iommu());

	EXPECT(-EINVAL, RESET_BY(device, device));
	EXPECT(-EINVAL, RESET_IMPLIED(device));
	EXPECT(-EBADF, RESET_BY(device, device, 999));
}

SUITE(proofs, CASE(files_of_devices_and_groups_may_be_mixed), CASE(an_array_stands_for_itself),
      CASE(descriptors_are_refused_in_this_order), CASE(who_only_opened_a_node_proves_nothing),
      CASE(a_device_proves_its_group), CASE(files_of_other_devices_are_no_error),
      CASE(the_empty_array_means_what_the_container_has), CASE(what_another_driver_has_nobody_proves));
