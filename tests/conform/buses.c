/* SPDX-License-Identifier: MIT */
/*
 * The reset of a bus: who is told what, and whose proof is taken, by the rules of Linux (spec 05 section 13). The
 * machine has `linux_hot_reset`; what is taken besides is in proofs.c.
 */
#include "tests/conform/buses.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BY_NODE = VFIO_PCI_HOT_RESET_FLAG_DEV_ID, OWNED = VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED };

#define NOT_OWNED ((u32)VFIO_PCI_DEVID_NOT_OWNED)

answer ask_bus(int device, u32 room, struct bus_told *ret)
{
	*ret = (struct bus_told){.head = {.argsz = BUS_HEAD + room * BUS_ENTRY, .flags = ~0u, .count = 77}};
	return ask(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, ret);
}

u32 told_of(const struct bus_told *told, const struct names *names)
{
	const struct vfio_pci_dependent_device *found = NULL;
	char name[24];

	for (u32 i = 0; i < told->head.count && i < COUNT(told->at); i++) {
		const struct vfio_pci_dependent_device *at = &told->at[i];

		snprintf(name, sizeof(name), "%04x:%02x:%02x.%u", at->segment, at->bus, at->devfn >> 3, at->devfn & 7);
		if (strcmp(name, names->bdf) == 0)
			found = at;
	}
	EXPECT_TRUE(found != NULL);
	return found->devid;
}

answer reset_bus(int device, const int *fds, u32 count)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t fds[8];
	} reset = {.head = {.argsz = sizeof(reset), .count = count}};

	for (u32 i = 0; i < count && i < COUNT(reset.fds); i++)
		reset.fds[i] = fds[i];
	return ask(device, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

int bound_node(const struct names *names, int iommufd)
{
	int device = open_cdev(names);

	WORKS(bind_cdev(device, iommufd));
	return device;
}

static u32 number_of(const struct names *names)
{
	return (u32)atoi(strrchr(names->group, '/') + 1);
}

/* ---- INFO ---- */

TEST(a_root_bus_is_no_bus_to_be_reset)
{
	struct names names = the_rooted();
	int device = bound_node(&names, iommu());
	struct bus_told told = {.head.argsz = BUS_HEAD - 1};

	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL));
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &told));
	EXPECT(-ENODEV, ask_bus(device, 0, &told));
	EXPECT(-ENODEV, ask_bus(device, 8, &told));
}

/* By its registers there would be a way: it is alone below its port. */
static void expect_no_bus(int device, answer implied)
{
	struct bus_told told;

	EXPECT(-ENODEV, ask_bus(device, 0, &told));
	EXPECT(-ENODEV, ask_bus(device, 8, &told));
	EXPECT(implied, RESET_IMPLIED(device));
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_RESET, NULL));
}

TEST(a_bus_with_what_does_not_survive_it_is_none_to_be_reset)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct names names = the_fragile();
	int device = bound_node(&names, iommu());
	struct legacy legacy;

	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQUAL(0, info.flags & VFIO_DEVICE_FLAGS_RESET);
	expect_no_bus(device, -ENODEV);
	drop(device);
	legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names);
	expect_no_bus(legacy.device, -EINVAL); /* a group has to be given before that is looked at */
	EXPECT(-ENODEV, RESET_BY(legacy.device, legacy.group));
	EXPECT(-ENODEV, RESET_BY(legacy.device, 999));
}

static void tell_into_little(int device)
{
	struct bus_told told;
	const struct vfio_pci_hot_reset_info head = {.argsz = BUS_HEAD};

	for (u32 room = 0; room < 2; room++) {
		about("room for %u", room);
		EXPECT(-ENOSPC, ask_bus(device, room, &told));
		EXPECT_EQUAL(0, told.head.flags);
		EXPECT_EQUAL(2, told.head.count);
	}
	about(NULL);
	/* A part of an entry is none. */
	told = (struct bus_told){.head.argsz = BUS_HEAD + 2 * BUS_ENTRY - 1};
	EXPECT(-ENOSPC, ask(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &told));
	EXPECT_EQUAL(2, told.head.count);
	EXPECT(-EFAULT, ask_read_only(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &head, sizeof(head)));
	EXPECT(0, ask_bus(device, 2, &told));
	EXPECT_EQUAL(2, told.head.count);
	EXPECT(0, ask_bus(device, 8, &told));
	EXPECT_EQUAL(2, told.head.count);
}

TEST(without_room_the_count_alone_is_told)
{
	struct names names[2];
	struct legacy legacy;
	int device;

	two_siblings(names);
	device = bound_node(&names[0], iommu());
	tell_into_little(device);
	drop(device);
	legacy = enter_group(&names[0], VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names[0]);
	tell_into_little(legacy.device);
}

TEST(who_came_by_a_node_is_told_devices)
{
	int fd = iommu(), first, second;
	struct names names[2];
	struct bus_told told;

	two_siblings(names);
	first = bound_node(&names[0], fd);
	/* A sibling that nobody has is implied. */
	EXPECT(0, ask_bus(first, 8, &told));
	EXPECT_EQUAL(BY_NODE | OWNED, told.head.flags);
	EXPECT_EQUAL(1, told_of(&told, &names[0]));
	EXPECT_EQUAL(VFIO_PCI_DEVID_OWNED, told_of(&told, &names[1]));
	second = open_cdev(&names[1]);
	EXPECT(0, ask_bus(first, 8, &told));
	EXPECT_EQUAL(VFIO_PCI_DEVID_OWNED, told_of(&told, &names[1]));
	EXPECT(2, bind_cdev(second, fd));
	EXPECT(0, ask_bus(first, 8, &told));
	EXPECT_EQUAL(BY_NODE | OWNED, told.head.flags);
	EXPECT_EQUAL(2, told_of(&told, &names[1]));
	EXPECT(0, ask_bus(second, 8, &told));
	EXPECT_EQUAL(1, told_of(&told, &names[0]));
}

TEST(who_came_by_a_group_is_told_groups)
{
	struct names names[2];
	struct bus_told told;
	struct legacy legacy;

	two_siblings(names);
	legacy = enter_group(&names[0], VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names[0]);
	EXPECT(0, ask_bus(legacy.device, 8, &told));
	EXPECT_EQUAL(0, told.head.flags);
	EXPECT_EQUAL(number_of(&names[0]), told_of(&told, &names[0]));
	EXPECT_EQUAL(number_of(&names[0]), told_of(&told, &names[1]));
}

/* An iommufd in the place of a container changes nothing about the group. */
TEST(who_came_by_a_group_with_an_iommufd_is_told_groups_too)
{
	int fd = iommu(), group, device;
	struct names names[2];
	struct bus_told told;

	two_siblings(names);
	group = open_group(&names[0]);
	EXPECT(0, set_container(group, fd));
	device = watch(get_device(group, names[0].bdf));
	EXPECT(0, ask_bus(device, 8, &told));
	EXPECT_EQUAL(0, told.head.flags);
	EXPECT_EQUAL(number_of(&names[0]), told_of(&told, &names[1]));
	EXPECT(-EINVAL, RESET_IMPLIED(device));
	EXPECT(0, RESET_BY(device, group));
}

/* What the neighbour of another group is to who has the first by its node, and may it be reset? */
static void judge(int device, const struct names names[static 2], u32 flags, u32 id)
{
	struct bus_told told;

	EXPECT(0, ask_bus(device, 8, &told));
	EXPECT_EQUAL(flags, told.head.flags);
	EXPECT_EQUAL(id, told_of(&told, &names[1]));
	EXPECT(flags & OWNED ? 0 : -EINVAL, RESET_IMPLIED(device));
}

TEST(a_neighbour_is_owned_by_the_same_iommufd_alone)
{
	int fd = iommu(), device, other, group;
	struct names names[2];
	struct legacy legacy;

	two_twins(names);
	device = bound_node(&names[0], fd);
	judge(device, names, BY_NODE, NOT_OWNED); /* nobody's */
	other = open_cdev(&names[1]);
	judge(device, names, BY_NODE, NOT_OWNED); /* not bound */
	EXPECT(2, bind_cdev(other, fd));
	judge(device, names, BY_NODE | OWNED, 2);
	drop(other);
	other = bound_node(&names[1], iommu());
	judge(device, names, BY_NODE, NOT_OWNED); /* another one's */
	drop(other);
	legacy = enter_group(&names[1], VFIO_TYPE1v2_IOMMU);
	judge(device, names, BY_NODE, NOT_OWNED); /* a container's, closed and open */
	open_device(&legacy, &names[1]);
	judge(device, names, BY_NODE, NOT_OWNED);
	drop(legacy.device);
	drop(legacy.group);
	group = open_group(&names[1]);
	EXPECT(0, set_container(group, fd));
	judge(device, names, BY_NODE, NOT_OWNED); /* the same iommufd's, but not bound yet */
	other = watch(get_device(group, names[1].bdf));
	judge(device, names, BY_NODE | OWNED, 3); /* 2 is the address space that SET_CONTAINER made */
}

/* ---- RESET ---- */

static answer ask_reset(int device, u32 argsz, u32 flags, u32 count)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t fds[2];
	} reset = {.head = {argsz, flags, count}, .fds = {999, 999}};

	return ask(device, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

/* Each row breaks its own rule and what comes later. */
TEST(a_reset_by_a_node_is_refused_in_this_order)
{
	struct names names = the_rooted(), pair[2];
	int device = bound_node(&names, iommu());

	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_PCI_HOT_RESET, NULL));
	EXPECT(-EINVAL, ask_reset(device, BUS_HEAD - 1, 1, 1));
	EXPECT(-EINVAL, ask_reset(device, BUS_HEAD, 1, 1));
	EXPECT(-EINVAL, ask_reset(device, BUS_HEAD, 1u << 31, 0));
	EXPECT(-EINVAL, ask_reset(device, BUS_HEAD + 4, 0, 1));
	EXPECT(-ENODEV, ask_reset(device, BUS_HEAD, 0, 0));
	two_siblings(pair);
	device = bound_node(&pair[0], iommu());
	EXPECT(-EINVAL, ask_reset(device, BUS_HEAD + 4, 0, 1)); /* no descriptor is looked at */
	EXPECT(0, ask_reset(device, BUS_HEAD, 0, 0));
}

TEST(a_reset_by_a_group_is_refused_in_this_order)
{
	struct names names = the_rooted(), pair[2];
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct vfio_pci_hot_reset *last;
	int device;

	open_device(&legacy, &names);
	EXPECT(-EINVAL, ask_reset(legacy.device, BUS_HEAD, 1, 1));
	EXPECT(-EINVAL, ask_reset(legacy.device, BUS_HEAD, 0, 0));
	EXPECT(-ENODEV, ask_reset(legacy.device, BUS_HEAD, 0, ~0u));
	two_siblings(pair);
	legacy = enter_group(&pair[0], VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &pair[0]);
	device = legacy.device;
	EXPECT(-EINVAL, RESET_BY(device, 999, 999, 999));
	last = (void *)((char *)memory(PAGE) + PAGE - BUS_HEAD);
	*last = (struct vfio_pci_hot_reset){.argsz = BUS_HEAD + 12, .count = 3};
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_PCI_HOT_RESET, last));
	last->count = 1;
	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_PCI_HOT_RESET, last));
	EXPECT(-EBADF, RESET_BY(device, 999));
	EXPECT(-EBADF, RESET_BY(device, -1, legacy.container));
	EXPECT(-EBADF, RESET_BY(device, legacy.group, 999));
	EXPECT(-EINVAL, RESET_BY(device, legacy.container, 999));
	EXPECT(-EINVAL, RESET_BY(device, legacy.container));
	EXPECT(-EINVAL, RESET_BY(device, device));
	EXPECT(-EINVAL, RESET_BY(device, legacy.group, device));
	EXPECT(-EINVAL, RESET_BY(device, new_file(PAGE)));
	EXPECT(-EINVAL, RESET_BY(device, iommu()));
	EXPECT(0, RESET_BY(device, legacy.group));
	EXPECT(0, RESET_BY(device, legacy.group, legacy.group));
}

/* Its group's file is enough, whether anything of it is open or not. */
TEST(groups_prove_all_that_is_in_them)
{
	struct legacy legacy;
	struct names names[2];
	int group;

	two_twins(names);
	legacy = enter_group(&names[0], VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names[0]);
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group));
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group, legacy.group));
	group = open_group(&names[1]);
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group));
	EXPECT(-EINVAL, RESET_BY(legacy.device, group));
	EXPECT(0, RESET_BY(legacy.device, legacy.group, group));
	EXPECT(0, RESET_BY(legacy.device, group, legacy.group));
	/* Being in one container proves nothing. */
	EXPECT(0, set_container(group, legacy.container));
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group));
	watch(get_device(group, names[1].bdf));
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group));
	EXPECT(0, RESET_BY(legacy.device, legacy.group, group));
}

TEST(nodes_and_groups_prove_nothing_to_each_other)
{
	int fd = iommu(), device;
	struct legacy legacy;
	struct names names[2];

	two_twins(names);
	device = bound_node(&names[0], fd);
	legacy = enter_group(&names[1], VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names[1]);
	EXPECT(-EINVAL, RESET_IMPLIED(device));
	EXPECT(-EINVAL, RESET_BY(device, legacy.group));
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group));
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group, device));
	EXPECT(-EINVAL, RESET_IMPLIED(legacy.device));
}

/* What another driver has, nobody can prove. */
TEST(who_is_beside_another_drivers_cannot_reset)
{
	struct names names = the_beside();
	struct bus_told told;
	struct legacy legacy;
	int device = bound_node(&names, iommu());

	EXPECT(0, ask_bus(device, 8, &told));
	EXPECT_EQUAL(BY_NODE, told.head.flags);
	EXPECT_EQUAL(2, told.head.count);
	EXPECT_EQUAL(1, told_of(&told, &names));
	EXPECT_EQUAL(NOT_OWNED, told.at[told.at[0].devid == 1].devid);
	EXPECT(-EINVAL, RESET_IMPLIED(device));
	drop(device);
	legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	open_device(&legacy, &names);
	EXPECT(0, ask_bus(legacy.device, 8, &told));
	EXPECT_EQUAL(0, told.head.flags);
	EXPECT_TRUE(told.at[0].group_id != told.at[1].group_id);
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group));
	EXPECT(-EBADF, RESET_BY(legacy.device, 999));
}

/* ---- what it does ---- */

/* A register of BAR 0 that keeps what is written and is zero after a reset: NVMe's CC, FCTTV of Intel's network cards.
 */
struct mark {
	u32 at, value;
};

static struct mark mark_of(int device)
{
	return get_config(device, 8, 4) >> 8 == 0x010802 ? (struct mark){0x14, 0x00460000}
							 : (struct mark){0x170, 0x1234};
}

static void set_mark(int device)
{
	struct mark mark = mark_of(device);
	u32 got = 0;

	set_config(device, 4, 2, 6);
	EXPECT(4, write_at(device, mark.at, &mark.value, 4));
	EXPECT(4, read_at(device, mark.at, &got, 4));
	EXPECT_EQUAL(mark.value, got);
}

/* The system puts back what is its own: COMMAND and BARs, but no register of theirs. */
static void expect_reset(int device)
{
	u32 value = ~0u;

	EXPECT(4, read_at(device, mark_of(device).at, &value, 4));
	EXPECT_EQUAL(0, value);
	EXPECT_EQUAL(6, get_config(device, 4, 2) & 6);
}

TEST(a_reset_hits_the_whole_bus)
{
	struct names names[2];
	int fd = iommu(), first, second;
	volatile u32 *at;
	struct mark mark;

	two_twins(names);
	first = bound_node(&names[0], fd);
	second = bound_node(&names[1], fd);
	mark = mark_of(second);
	set_mark(first);
	set_mark(second);
	at = mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, second, 0), PAGE);
	EXPECT_EQUAL(mark.value, at[mark.at / 4]);
	EXPECT(0, RESET_IMPLIED(first));
	expect_reset(first);
	expect_reset(second);
	EXPECT_EQUAL(0, at[mark.at / 4]);
	/* A refused one does nothing. */
	set_mark(first);
	set_mark(second);
	EXPECT(-EINVAL, ask_reset(first, BUS_HEAD, 1, 0));
	EXPECT_EQUAL(mark.value, at[mark.at / 4]);
}

/* Memory that was off stays off, and nobody sees where its BARs really are. */
TEST(a_reset_keeps_what_was_set_up)
{
	struct names names[2];
	int fd = iommu(), first, second;
	u32 value;

	two_twins(names);
	first = bound_node(&names[0], fd);
	second = bound_node(&names[1], fd);
	set_config(first, 4, 2, 6);
	set_config(second, 4, 2, 4);
	set_config(second, 0x10, 4, 0xfff00000); /* a virtual BAR */
	value = get_config(second, 0x10, 4);
	EXPECT(0, RESET_IMPLIED(first));
	EXPECT_EQUAL(4, get_config(second, 4, 2) & 6);
	EXPECT_EQUAL(value, get_config(second, 0x10, 4));
	EXPECT(-EIO, read_at(second, mark_of(second).at, &value, 4));
	EXPECT(4, read_at(first, mark_of(first).at, &value, 4));
}

SUITE(buses, CASE(a_root_bus_is_no_bus_to_be_reset), CASE(a_bus_with_what_does_not_survive_it_is_none_to_be_reset),
      CASE(without_room_the_count_alone_is_told), CASE(who_came_by_a_node_is_told_devices),
      CASE(who_came_by_a_group_is_told_groups), CASE(who_came_by_a_group_with_an_iommufd_is_told_groups_too),
      CASE(a_neighbour_is_owned_by_the_same_iommufd_alone), CASE(a_reset_by_a_node_is_refused_in_this_order),
      CASE(a_reset_by_a_group_is_refused_in_this_order), CASE(groups_prove_all_that_is_in_them),
      CASE(nodes_and_groups_prove_nothing_to_each_other), CASE(who_is_beside_another_drivers_cannot_reset),
      CASE(a_reset_hits_the_whole_bus), CASE(a_reset_keeps_what_was_set_up));
