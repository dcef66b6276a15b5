/* SPDX-License-Identifier: MIT */
/* /dev/vfio/GROUP (spec 04 section 4): its requests, the devices it gives, and how long it is whose. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

#define REQUEST(nr) (0x3b00ul | (nr))
#define TOKEN	    "vf_token=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

static u32 status_of(int group)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	EXPECT(0, ask(group, VFIO_GROUP_GET_STATUS, &status));
	return status.flags;
}

TEST(numbers_that_are_no_request_are_unknown)
{
	struct names names = the_device();
	int group = open_group(&names);
	u64 structure[16] = {sizeof(structure)};

	for (unsigned nr = 0; nr < 256; nr++) {
		about("number %u", nr);
		if (nr >= 103 && nr <= 106)
			continue;
		EXPECT(-ENOTTY, ask(group, REQUEST(nr), NULL));
		EXPECT(-ENOTTY, ask(group, REQUEST(nr), structure));
	}
	EXPECT(-ENOTTY, ask(group, 0x1234, structure));
}

TEST(status_is_refused_in_this_order)
{
	struct names names = the_device();
	int group = open_group(&names);
	struct vfio_group_status status = {.argsz = 7, .flags = ~0u};

	EXPECT(-EFAULT, ask(group, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT(-EINVAL, ask(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQUAL(~0u, status.flags);
	status.argsz = 8;
	EXPECT(-EFAULT, ask_read_only(group, VFIO_GROUP_GET_STATUS, &status, sizeof(status)));
	EXPECT(0, ask(group, VFIO_GROUP_GET_STATUS, &status));
	status.argsz = 4096; /* longer is fine: nobody looks there */
	EXPECT(0, ask(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQUAL(4096, status.argsz);
}

/* Viable is who could own it now; with a container it is owned. */
TEST(status_tells_what_is_set)
{
	struct names names = the_device();
	int group = open_group(&names), container = new_container(), fd = iommu();
	u32 set = VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;

	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(group));
	EXPECT(0, set_container(group, container));
	EXPECT_EQUAL(set, status_of(group));
	EXPECT(0, unset_container(group));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(group));
	EXPECT(0, set_container(group, fd));
	EXPECT_EQUAL(set, status_of(group));
	EXPECT(0, unset_container(group));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(group));
}

/* An iommufd owns nothing before a device is opened, and then the group is not viable for a second file. */
TEST(a_group_whose_device_an_iommufd_has_is_not_viable)
{
	struct names names = the_device();
	int group = open_group(&names), container = new_container(), fd = iommu(), device;

	EXPECT(0, set_container(group, fd));
	device = watch(get_device(group, names.bdf));
	drop(group);
	group = open_group(&names);
	EXPECT_EQUAL(0, status_of(group));
	EXPECT(-EPERM, set_container(group, container));
	drop(device);
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(group));
	EXPECT(0, set_container(group, container));
}

TEST(set_container_is_refused_in_this_order)
{
	struct names names = the_device();
	int group = open_group(&names), container = new_container(), file = new_file(PAGE), fd = iommu();

	for (unsigned round = 0; round < 2; round++) {
		about("container set: %u", round);
		EXPECT(-EFAULT, ask(group, VFIO_GROUP_SET_CONTAINER, NULL));
		EXPECT(-EBADF, set_container(group, -1));
		EXPECT(-EBADF, set_container(group, 9999));
		EXPECT(round ? -EINVAL : -EBADFD, set_container(group, file));
		EXPECT(round ? -EINVAL : -EBADFD, set_container(group, group));
		EXPECT(round ? -EINVAL : 0, set_container(group, container));
	}
	EXPECT(-EINVAL, set_container(group, fd));
	EXPECT(0, unset_container(group));
	EXPECT(-EINVAL, unset_container(group));
	EXPECT(0, set_container(group, fd));
	EXPECT(-EINVAL, set_container(group, fd));
	EXPECT(-EINVAL, set_container(group, container));
}

TEST(a_container_may_be_refused_for_what_is_mapped)
{
	struct names names = the_device(), pair[2];
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	int other;

	two_siblings(pair);
	other = open_group(&pair[0]);
	EXPECT(0, type1_map(legacy.container, memory(PAGE), 0, PAGE));
	EXPECT(PAGE, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_VADDR, 0, PAGE));
	EXPECT(-EBUSY, set_container(other, legacy.container));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(other)); /* not left claimed */
	EXPECT(-EINVAL, unset_container(other));
}

TEST(names_are_refused_in_this_order)
{
	static const char *const unknown[] = {"", "0000:99:00.0", "vfio", " "};
	static const char *const options[] = {" x",	     " vf_token=",  " vf_token=1-2",
					      " vf_tokem=1", " " TOKEN "x", " " TOKEN " " TOKEN};
	struct names names = the_device();
	int group = open_group(&names), container = new_container();
	char *text = memory(2 * PAGE), name[128];

	memset(text, 'x', 2 * PAGE);
	EXPECT(-EFAULT, get_device(group, NULL));
	EXPECT(-EFAULT, get_device(group, text + 2 * PAGE - 16));
	EXPECT(-EINVAL, get_device(group, text)); /* longer than a page */
	FOR_EACH(row, unknown)
	{
		about("\"%s\"", *row);
		EXPECT(-ENODEV, get_device(group, *row));
	}
	snprintf(name, sizeof(name), "%.*s", (int)strlen(names.bdf) - 1, names.bdf);
	EXPECT(-ENODEV, get_device(group, name));
	snprintf(name, sizeof(name), "%s0", names.bdf);
	EXPECT(-ENODEV, get_device(group, name));
	FOR_EACH(row, options)
	{
		about("options \"%s\"", *row);
		snprintf(name, sizeof(name), "%s%s", names.bdf, *row);
		EXPECT(-EINVAL, get_device(group, name));
	}
	about(NULL);
	snprintf(name, sizeof(name), "%s " TOKEN, names.bdf); /* there is nothing to protect */
	EXPECT(-EINVAL, get_device(group, name));
	EXPECT(-EINVAL, get_device(group, names.bdf)); /* no container */
	EXPECT(0, set_container(group, container));
	EXPECT(-EINVAL, get_device(group, names.bdf)); /* no IOMMU */
	EXPECT(-ENODEV, get_device(group, "0000:99:00.0"));
	EXPECT(0, set_iommu(container, VFIO_TYPE1_IOMMU));
	snprintf(name, sizeof(name), "%s  ", names.bdf);
	watch(get_device(group, name));
}

TEST(a_name_may_end_where_memory_ends)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);
	size_t size = strlen(names.bdf) + 1;
	char *name = (char *)memory(PAGE) + PAGE - size;

	memcpy(name, names.bdf, size);
	watch(get_device(legacy.group, name));
}

TEST(a_device_of_another_group_is_none_of_this)
{
	struct names names = the_device(), pair[2];
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);

	two_siblings(pair);
	EXPECT(-ENODEV, get_device(legacy.group, pair[0].bdf));
	watch(get_device(legacy.group, names.bdf));
}

/* All who ask have the same open device: the last close shuts it down. */
TEST(a_device_is_shared_by_all_who_ask)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	const off_t latency = (off_t)((7ull << 40) + 0x0d);
	u8 value = 0x40, got = 0;
	int again;

	open_device(&legacy, &names);
	again = watch(get_device(legacy.group, names.bdf));
	EXPECT(-EBUSY, unset_container(legacy.group));
	EXPECT_EQUAL(1, pwrite(legacy.device, &value, 1, latency - 1)); /* cache line size: a register like memory */
	EXPECT_EQUAL(1, pread(again, &got, 1, latency - 1));
	EXPECT_EQUAL(value, got);
	drop(legacy.device);
	EXPECT(0, ask(again, VFIO_DEVICE_GET_INFO, &info));
	EXPECT(-EBUSY, unset_container(legacy.group));
	drop(again);
	EXPECT(0, unset_container(legacy.group));
}

TEST(siblings_are_got_from_one_file)
{
	struct names pair[2];
	struct legacy legacy;
	int first, second;

	two_siblings(pair);
	legacy = enter_group(&pair[0], VFIO_TYPE1v2_IOMMU);
	EXPECT(-EBUSY, open_answer(pair[1].group, 2));
	first = watch(get_device(legacy.group, pair[0].bdf));
	second = watch(get_device(legacy.group, pair[1].bdf));
	drop(first);
	EXPECT(-EBUSY, unset_container(legacy.group));
	drop(second);
	EXPECT(0, unset_container(legacy.group));
}

/* With a container its devices keep the group's file. */
TEST(one_opener_until_its_devices_are_closed)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);
	int copy;

	EXPECT(-EBUSY, open_answer(names.group, 2));
	EXPECT(-EBUSY, open_answer(names.group, 0));
	copy = watch(dup(legacy.group)); /* the same file */
	drop(legacy.group);
	EXPECT(-EBUSY, open_answer(names.group, 2));
	legacy.group = copy;
	open_device(&legacy, &names);
	drop(legacy.group);
	EXPECT(-EBUSY, open_answer(names.group, 2));
	drop(legacy.device);
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status_of(open_group(&names)));
}

/* With an iommufd they do not; UNSET does not ask for them either. */
TEST(with_an_iommufd_devices_live_on)
{
	struct names names = the_device();
	int group = open_group(&names), fd = iommu(), device, cdev = open_cdev(&names);
	struct vfio_device_info info = {.argsz = sizeof(info)};

	EXPECT(0, set_container(group, fd));
	device = watch(get_device(group, names.bdf));
	EXPECT(0, unset_container(group));
	EXPECT(-EINVAL, unset_container(group));
	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT(-EINVAL, get_device(group, names.bdf)); /* no container now */
	EXPECT(-EBUSY, bind_cdev(cdev, fd));	       /* the group's file is open */
	drop(group);
	EXPECT(-EINVAL, bind_cdev(cdev, fd)); /* the device is */
	drop(device);
	WORKS(bind_cdev(cdev, fd));
}

/* ATTACH and DETACH are for character devices; BIND says so itself, at its place in the order. */
TEST(a_device_of_a_group_is_bound_and_attached_by_its_group)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};
	struct vfio_device_bind_iommufd bind = {.argsz = 15, .iommufd = 9999};

	open_device(&legacy, &names);
	EXPECT(-ENOTTY, ask(legacy.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT(-ENOTTY, ask(legacy.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT(-ENOTTY, ask(legacy.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	EXPECT(-EFAULT, ask(legacy.device, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT(-EINVAL, ask(legacy.device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.argsz = sizeof(bind);
	EXPECT(-EINVAL, ask(legacy.device, VFIO_DEVICE_BIND_IOMMUFD, &bind)); /* before the bad descriptor */
}

TEST(numbers_that_are_no_request_of_a_device_are_unknown)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);

	open_device(&legacy, &names);
	for (unsigned nr = 0; nr < 256; nr++) {
		about("number %u", nr);
		if (nr >= 107 && nr <= 118 && nr != 114 && nr != 115)
			continue;
		EXPECT(-ENOTTY, ask(legacy.device, REQUEST(nr), NULL));
	}
}

/* Of a device, whichever way it was opened. */
TEST(fdinfo_tells_where_the_device_is)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);
	int cdev = open_cdev(&names), fds[2];
	char path[64], text[1024], tail[64];

	open_device(&legacy, &names);
	fds[0] = cdev;
	fds[1] = legacy.device;
	snprintf(tail, sizeof(tail), "/%s\n", names.bdf);
	FOR_EACH(fd, fds)
	{
		ssize_t size;
		int info;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", *fd);
		info = watch(open_answer(path, O_RDONLY));
		size = read(info, text, sizeof(text) - 1);
		EXPECT_TRUE(size > 0);
		text[size] = '\0';
		EXPECT_TRUE(strncmp(text, "pos:\t0\nflags:\t", 14) == 0);
		EXPECT_TRUE(strstr(text, "\nvfio-device-syspath: /sys/devices/pci0000:00/") != NULL);
		EXPECT_TRUE(strlen(text) > strlen(tail) && strcmp(text + strlen(text) - strlen(tail), tail) == 0);
		drop(info);
	}
}

TEST(the_name_of_a_descriptor_is_that_of_its_node)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);
	const struct {
		int fd;
		const char *name;
	} rows[] = {{legacy.container, "/dev/vfio/vfio"},
		    {legacy.group, names.group},
		    {open_cdev(&names), names.cdev},
		    {watch(get_device(legacy.group, names.bdf)), "anon_inode:[vfio-device]"}};
	char path[64], name[64];

	FOR_EACH(row, rows)
	{
		ssize_t length;

		about("%s", row->name);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", row->fd);
		length = readlink(path, name, sizeof(name) - 1);
		EXPECT_TRUE(length > 0);
		name[length] = '\0';
		EXPECT_TRUE(strcmp(name, row->name) == 0);
	}
}

TEST(the_file_maps_nothing)
{
	struct names names = the_device();
	int group = open_group(&names);

	EXPECT_TRUE(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, group, 0) == MAP_FAILED);
	EXPECT_EQUAL(ENODEV, errno);
}

TEST(the_file_cannot_be_read_or_written)
{
	struct names names = the_device();
	int group = open_group(&names);
	char buffer[16] = {0};

	EXPECT_TRUE(read(group, buffer, sizeof(buffer)) == -1 && errno == EINVAL);
	EXPECT_TRUE(write(group, buffer, sizeof(buffer)) == -1 && errno == EINVAL);
}

SUITE(group, CASE(numbers_that_are_no_request_are_unknown), CASE(status_is_refused_in_this_order),
      CASE(status_tells_what_is_set), CASE(a_group_whose_device_an_iommufd_has_is_not_viable),
      CASE(set_container_is_refused_in_this_order), CASE(a_container_may_be_refused_for_what_is_mapped),
      CASE(names_are_refused_in_this_order), CASE(a_name_may_end_where_memory_ends),
      CASE(a_device_of_another_group_is_none_of_this), CASE(a_device_is_shared_by_all_who_ask),
      CASE(siblings_are_got_from_one_file), CASE(one_opener_until_its_devices_are_closed),
      CASE(with_an_iommufd_devices_live_on), CASE(a_device_of_a_group_is_bound_and_attached_by_its_group),
      CASE(numbers_that_are_no_request_of_a_device_are_unknown), CASE_OUTSIDE(fdinfo_tells_where_the_device_is),
      CASE_OUTSIDE(the_name_of_a_descriptor_is_that_of_its_node), CASE(the_file_maps_nothing),
      CASE(the_file_cannot_be_read_or_written));
