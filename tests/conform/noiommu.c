/* SPDX-License-Identifier: MIT */
/*
 * Devices that no IOMMU covers (spec 04 sections 1, 3, 4.1, 4.2; spec 03 section 12): vfio's
 * enable_unsafe_noiommu_mode. ISOLDE_BARE names two of one bus, ISOLDE_BDF one that has an IOMMU. All of it is for who
 * has CAP_SYS_RAWIO.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/buses.h"

#define REQUEST(nr) (0x3b00ul | (nr))
#define SWITCH	    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static void switch_mode(const char *yes_or_no)
{
	WORKS(conform_write(SWITCH, yes_or_no));
}

/* The first comes with its group's file open, and without CAP_SYS_RAWIO there is nothing to test. */
static int begin(struct names bare[static 2])
{
	answer group;

	switch_mode("Y");
	two_bare(bare);
	group = open_answer(bare[0].group, O_RDWR);
	if (group == -EPERM)
		skip("no CAP_SYS_RAWIO");
	return watch(group);
}

static u32 status_of(int group)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	EXPECT(0, ask(group, VFIO_GROUP_GET_STATUS, &status));
	return status.flags;
}

/* ---- names ---- */

TEST(it_has_a_group_of_its_own_and_no_character_device)
{
	struct names bare[2];
	int group = begin(bare);
	char path[96];

	EXPECT_TRUE(strncmp(bare[0].group, "/dev/vfio/noiommu-", 18) == 0);
	EXPECT_TRUE(strcmp(bare[0].group, bare[1].group) != 0);
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(group));
	EXPECT(-EBUSY, open_answer(bare[0].group, O_RDWR));
	FOR_EACH(names, bare)
	{
		bool found = false;

		for (unsigned i = 0; i < 64; i++) {
			snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio%u/uevent", names->bdf, i);
			if (open_answer(path, O_RDONLY) < 0)
				continue;
			found = true;
			snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio%u/dev", names->bdf, i);
			EXPECT(-ENOENT, open_answer(path, O_RDONLY));
			snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i);
			EXPECT(-ENOENT, open_answer(path, O_RDWR));
		}
		EXPECT_TRUE(found);
	}
	/* Its number alone is no name of it. */
	snprintf(path, sizeof(path), "/dev/vfio/%s", bare[0].group + strlen("/dev/vfio/noiommu-"));
	EXPECT(-ENOENT, open_answer(path, O_RDWR));
}

static answer write_name(const char *file, const struct names *names)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", file);
	return conform_write(path, names->bdf);
}

TEST(without_the_mode_vfio_does_not_take_it)
{
	struct names bare[2];
	int group = begin(bare);

	drop(group);
	WORKS(write_name("unbind", &bare[0]));
	EXPECT(-ENOENT, open_answer(bare[0].group, O_RDWR));
	EXPECT(-EINVAL, conform_write(SWITCH, "perhaps"));
	switch_mode("N");
	EXPECT(-EINVAL, write_name("bind", &bare[0]));
	EXPECT(-ENOENT, open_answer(bare[0].group, O_RDWR));
	switch_mode("Y");
	WORKS(write_name("bind", &bare[0]));
	two_bare(bare); /* perhaps with another number */
	open_group(&bare[0]);
}

/* ---- containers ---- */

/* Who is asked: both backends, then that of the groups, then the one that is set. */
TEST(extension_8_is_of_groups_without_an_iommu)
{
	static const u8 any[16] = {
		[VFIO_TYPE1_IOMMU] = 1, [VFIO_TYPE1v2_IOMMU] = 1, [VFIO_UNMAP_ALL] = 1, [VFIO_NOIOMMU_IOMMU] = 1};
	static const u8 bare_only[16] = {[VFIO_NOIOMMU_IOMMU] = 1};
	struct names bare[2], covered = the_device();
	int container = new_container(), other = new_container(), group = begin(bare);

	for (u32 extension = 0; extension < COUNT(any); extension++) {
		about("extension %u", extension);
		EXPECT(any[extension], check_extension(container, extension));
	}
	EXPECT(0, set_container(group, container));
	EXPECT(0, set_container(open_group(&covered), other));
	for (unsigned round = 0; round < 2; round++) {
		for (u32 extension = 0; extension < COUNT(any); extension++) {
			about("extension %u, backend set: %u", extension, round);
			EXPECT(bare_only[extension], check_extension(container, extension));
		}
		EXPECT(0, check_extension(other, VFIO_NOIOMMU_IOMMU));
		if (!round)
			EXPECT(0, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	}
	about(NULL);
	switch_mode("N");
	EXPECT(0, check_extension(container, VFIO_NOIOMMU_IOMMU));
	switch_mode("Y");
	EXPECT(0, unset_container(group));
	EXPECT(1, check_extension(container, VFIO_TYPE1_IOMMU)); /* it is new again */
}

TEST(set_iommu_takes_8_and_nothing_else)
{
	struct names bare[2], covered = the_device();
	int container = new_container(), other = new_container(), group = begin(bare);

	EXPECT(-EINVAL, set_iommu(container, VFIO_NOIOMMU_IOMMU)); /* no group */
	EXPECT(0, set_container(group, container));
	EXPECT(0, set_container(open_group(&covered), other));
	EXPECT(-ENODEV, set_iommu(other, VFIO_NOIOMMU_IOMMU));
	for (int type = 0; type < 16; type++) {
		about("type %d", type);
		if (type != VFIO_NOIOMMU_IOMMU)
			EXPECT(-ENODEV, set_iommu(container, type));
	}
	about(NULL);
	switch_mode("N");
	EXPECT(-ENODEV, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	switch_mode("Y");
	EXPECT(0, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	EXPECT(-EINVAL, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	EXPECT(-EINVAL, set_iommu(container, VFIO_TYPE1_IOMMU));
}

/* Nothing can be mapped, and nothing is looked at. */
TEST(its_container_knows_no_other_request)
{
	struct names bare[2];
	int container = new_container(), group = begin(bare);
	u64 structure[16] = {sizeof(structure)};

	EXPECT(0, set_container(group, container));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned nr = 0; nr < 256; nr++) {
			about("number %u, backend set: %u", nr, round);
			if (nr >= 100 && nr <= 102)
				continue;
			EXPECT(round ? -ENOTTY : -EINVAL, ask(container, REQUEST(nr), NULL));
			EXPECT(round ? -ENOTTY : -EINVAL, ask(container, REQUEST(nr), structure));
		}
		if (!round)
			EXPECT(0, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	}
	EXPECT(-ENOTTY, type1_map(container, memory(PAGE), 0, PAGE));
	EXPECT(0, ask(container, VFIO_GET_API_VERSION, NULL));
}

TEST(groups_of_two_kinds_do_not_mix)
{
	struct names bare[2], covered = the_device(), emulated = the_mdev();
	int container = new_container(), other = new_container(), group = begin(bare), second, real, soft;

	second = open_group(&bare[1]);
	real = open_group(&covered);
	soft = open_group(&emulated);
	EXPECT(0, set_container(group, container));
	EXPECT(-EPERM, set_container(real, container));
	EXPECT(-EPERM, set_container(soft, container));
	EXPECT(0, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	EXPECT(-EPERM, set_container(real, container));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(real)); /* it was not claimed */
	EXPECT(0, set_container(real, other));
	EXPECT(-EPERM, set_container(second, other));
	EXPECT(0, set_container(soft, other));
	EXPECT(0, set_iommu(other, VFIO_TYPE1v2_IOMMU));
	EXPECT(-EPERM, set_container(second, other));
	EXPECT(0, set_container(second, container));
	/* Empty again it takes any. */
	EXPECT(0, unset_container(soft));
	EXPECT(0, unset_container(group));
	EXPECT(-EPERM, set_container(soft, container));
	EXPECT(0, unset_container(second));
	EXPECT(0, unset_container(real));
	EXPECT(0, set_container(real, container));
	EXPECT(0, set_iommu(container, VFIO_TYPE1_IOMMU));
}

TEST(its_device_is_one_like_others)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct names bare[2];
	int container = new_container(), group = begin(bare), device, second;

	EXPECT(-EINVAL, get_device(group, bare[0].bdf)); /* no container */
	EXPECT(0, set_container(group, container));
	EXPECT(-ENODEV, get_device(group, bare[1].bdf));
	EXPECT(-EINVAL, get_device(group, bare[0].bdf)); /* no backend */
	EXPECT(0, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	device = watch(get_device(group, bare[0].bdf));
	second = watch(get_device(group, bare[0].bdf));
	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQUAL(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET, info.flags & 3);
	EXPECT(0, ask(second, VFIO_DEVICE_RESET, NULL));
	EXPECT(-ENOTTY, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT(-EINVAL, bind_cdev(device, iommu()));
	EXPECT(-EBUSY, unset_container(group));
	drop(group);
	EXPECT(-EBUSY, open_answer(bare[0].group, O_RDWR)); /* its devices keep it */
	drop(device);
	EXPECT(-EBUSY, open_answer(bare[0].group, O_RDWR));
	drop(second);
	group = open_group(&bare[0]);
	EXPECT(-EINVAL, unset_container(group));
}

static u32 number_of(const struct names *names)
{
	return (u32)atoi(strrchr(names->group, '-') + 1);
}

/* Each has its own group, and each group has to be shown. */
TEST(a_hot_reset_takes_the_groups_of_all)
{
	struct names bare[2];
	int container = new_container(), group = begin(bare), beside, device;
	struct bus_told told;

	EXPECT(0, set_container(group, container));
	EXPECT(0, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	device = watch(get_device(group, bare[0].bdf));
	EXPECT(0, ask_bus(device, 8, &told));
	EXPECT_EQUAL(2, told.head.count);
	EXPECT_EQUAL(0, told.head.flags);
	FOR_EACH(names, bare)
	EXPECT_EQUAL(number_of(names), told_of(&told, names));
	EXPECT(-EINVAL, RESET_IMPLIED(device));
	EXPECT(-EINVAL, RESET_BY(device, group));
	EXPECT(-EINVAL, RESET_BY(device, group, group));
	beside = open_group(&bare[1]);
	EXPECT(0, RESET_BY(device, group, beside)); /* it needs no container */
	drop(beside);
	EXPECT(-EINVAL, RESET_BY(device, group));
}

/* ---- /dev/iommu in place of a container ---- */

TEST(an_iommufd_serves_one_kind)
{
	struct names bare[2], covered = the_device();
	int group = begin(bare), real, fd = iommu();
	struct iommu_vfio_ioas get = {.size = sizeof(get), .op = IOMMU_VFIO_IOAS_GET};

	real = open_group(&covered);
	EXPECT(0, set_container(real, fd));
	EXPECT(-EINVAL, set_container(group, fd)); /* it has a compat IOAS, whoever uses it */
	EXPECT(0, unset_container(real));
	EXPECT(-EINVAL, set_container(group, fd));
	fd = iommu();
	EXPECT(0, set_container(group, fd));
	EXPECT(-ENODEV, ask(fd, IOMMU_VFIO_IOAS, &get)); /* none is made */
	EXPECT(0, unset_container(group));
	EXPECT(-EINVAL, set_container(real, fd)); /* its mode stays */
	EXPECT(-EINVAL, set_iommu(fd, VFIO_TYPE1_IOMMU));
	EXPECT(-EINVAL, set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT(0, set_iommu(fd, VFIO_NOIOMMU_IOMMU));
	EXPECT(0, set_iommu(fd, VFIO_NOIOMMU_IOMMU));
	EXPECT(0, check_extension(fd, VFIO_TYPE1_IOMMU));
	EXPECT(0, check_extension(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT(0, check_extension(fd, VFIO_UNMAP_ALL));
	EXPECT(1, check_extension(fd, VFIO_NOIOMMU_IOMMU));
	EXPECT(-ENODEV, check_extension(fd, VFIO_DMA_CC_IOMMU));
	EXPECT(-ENODEV, type1_map(fd, memory(PAGE), 0, PAGE));
}

TEST(an_iommufd_that_translates_opens_none)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct iommu_vfio_ioas compat = {.size = sizeof(compat), .op = IOMMU_VFIO_IOAS_SET};
	struct names bare[2];
	int group = begin(bare), fd = iommu(), device;

	EXPECT(0, set_container(group, fd));
	compat.ioas_id = new_ioas(fd);
	EXPECT(0, ask(fd, IOMMU_VFIO_IOAS, &compat));
	EXPECT(-ENODEV, get_device(group, bare[1].bdf)); /* before that is looked at */
	EXPECT(-EPERM, get_device(group, bare[0].bdf));
	compat.op = IOMMU_VFIO_IOAS_CLEAR;
	EXPECT(0, ask(fd, IOMMU_VFIO_IOAS, &compat));
	device = watch(get_device(group, bare[0].bdf));
	EXPECT(-ENOTTY, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	/* It has no object there, and what is open is not asked again. */
	EXPECT(0, destroy(fd, compat.ioas_id));
	compat.ioas_id = new_ioas(fd);
	compat.op = IOMMU_VFIO_IOAS_SET;
	EXPECT(0, ask(fd, IOMMU_VFIO_IOAS, &compat));
	watch(get_device(group, bare[0].bdf));
	EXPECT(0, unset_container(group));
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
}

/* ---- who may ---- */

struct poor {
	const char *path, *name;
	int fd, other;
	answer got;
};

static void open_poor(void *argument)
{
	struct poor *poor = argument;

	poor->got = open_answer(poor->path, O_RDWR);
}

static void set_container_poor(void *argument)
{
	struct poor *poor = argument;

	poor->got = set_container(poor->fd, poor->other);
}

static void set_iommu_poor(void *argument)
{
	struct poor *poor = argument;

	poor->got = set_iommu(poor->fd, VFIO_NOIOMMU_IOMMU);
}

static void get_device_poor(void *argument)
{
	struct poor *poor = argument;

	poor->got = get_device(poor->fd, poor->name);
}

static answer poorly(void (*function)(void *), struct poor poor)
{
	powerless(function, &poor);
	return poor.got;
}

TEST(each_step_of_a_container_asks_for_cap_sys_rawio)
{
	struct names bare[2];
	int container = new_container(), group = begin(bare);
	struct poor at_group = {.fd = group, .other = container, .name = bare[0].bdf};

	EXPECT(-EPERM, poorly(open_poor, (struct poor){.path = bare[1].group}));
	EXPECT(-EPERM, poorly(open_poor, (struct poor){.path = bare[0].group})); /* before EBUSY */
	EXPECT(-EBADF, poorly(set_container_poor, (struct poor){.fd = group, .other = 9999}));
	EXPECT(-EPERM, poorly(set_container_poor, at_group));
	EXPECT(-EINVAL, poorly(get_device_poor, at_group)); /* no container */
	EXPECT(0, set_container(group, container));
	EXPECT(-EINVAL, poorly(set_container_poor, at_group)); /* set already */
	EXPECT(-EINVAL, poorly(get_device_poor, at_group));    /* no backend */
	EXPECT(-EPERM, poorly(set_iommu_poor, (struct poor){.fd = container}));
	EXPECT(0, set_iommu(container, VFIO_NOIOMMU_IOMMU));
	EXPECT(-EINVAL, poorly(set_iommu_poor, (struct poor){.fd = container}));
	EXPECT(-EPERM, poorly(get_device_poor, at_group));
	EXPECT(-ENODEV, poorly(get_device_poor, (struct poor){.fd = group, .name = bare[1].bdf}));
	watch(get_device(group, bare[0].bdf));
	watch(poorly(get_device_poor, at_group)); /* the first open was asked */
}

TEST(with_an_iommufd_the_first_open_is_asked)
{
	struct names bare[2];
	int group = begin(bare), fd = iommu();
	struct poor at_group = {.fd = group, .other = fd, .name = bare[0].bdf};

	EXPECT(0, poorly(set_container_poor, at_group));
	EXPECT(-EPERM, poorly(get_device_poor, at_group));
	EXPECT(-EPERM, poorly(set_iommu_poor, (struct poor){.fd = fd}));
	watch(get_device(group, bare[0].bdf));
	watch(poorly(get_device_poor, at_group));
}

SUITE(noiommu, CASE(it_has_a_group_of_its_own_and_no_character_device), CASE(without_the_mode_vfio_does_not_take_it),
      CASE(extension_8_is_of_groups_without_an_iommu), CASE(set_iommu_takes_8_and_nothing_else),
      CASE(its_container_knows_no_other_request), CASE(groups_of_two_kinds_do_not_mix),
      CASE(its_device_is_one_like_others), CASE(a_hot_reset_takes_the_groups_of_all), CASE(an_iommufd_serves_one_kind),
      CASE(an_iommufd_that_translates_opens_none), CASE(each_step_of_a_container_asks_for_cap_sys_rawio),
      CASE(with_an_iommufd_the_first_open_is_asked));
