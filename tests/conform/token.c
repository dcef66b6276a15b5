/* SPDX-License-Identifier: MIT */
/*
 * The token between who has a physical function and who has its virtual ones (spec 05 section 14), by character device
 * and behind the name that a group is asked for.
 */
#include <stdio.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

#define FIRST "52ac9bff-3a88-4fbd-901a-0d767c3b6c97"

static const u8 first[16] = {0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd,
			     0x90, 0x1a, 0x0d, 0x76, 0x7c, 0x3b, 0x6c, 0x97};
static const u8 second[16] = {0x88, 0x59};

static answer bind_with(int device, int iommufd, const u8 *token)
{
	struct vfio_device_bind_iommufd request = {.argsz = sizeof(request), .iommufd = iommufd};
	answer got;

	if (token) {
		request.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		request.token_uuid_ptr = (uintptr_t)token;
	}
	got = ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request);
	return got < 0 ? got : 0;
}

static answer set_token(int device, u32 flags, u32 argsz, const u8 *token)
{
	struct {
		struct vfio_device_feature head;
		u8 uuid[16];
	} request = {.head = {.argsz = argsz, .flags = flags | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN}};

	memcpy(request.uuid, token, sizeof(request.uuid));
	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

/* Who has opened it with a token has said which; it stays when it is closed. */
static void say(const struct names *physical, const u8 *token)
{
	int device = open_cdev(physical);

	EXPECT(0, bind_with(device, iommu(), token));
	drop(device);
}

TEST(a_virtual_function_is_opened_with_its_token_only)
{
	struct names virtual, physical = the_physical(&virtual);
	int device, fd = iommu();

	say(&physical, first);
	device = open_cdev(&virtual);
	EXPECT(-EACCES, bind_with(device, fd, NULL));
	EXPECT(-EACCES, bind_with(device, fd, second));
	EXPECT(-EFAULT, bind_with(device, fd, (const u8 *)8));
	EXPECT(0, bind_with(device, fd, first));
}

TEST(the_token_is_looked_at_before_the_iommufd)
{
	struct names virtual, physical = the_physical(&virtual);
	int device;

	say(&physical, first);
	device = open_cdev(&virtual);
	EXPECT(-EACCES, bind_with(device, 9999, NULL));
	EXPECT(-EACCES, bind_with(device, 9999, second));
	EXPECT(-EBADF, bind_with(device, 9999, first));
	/* It is the token from then on, although nothing was opened with it. */
	EXPECT(-EBADF, bind_with(open_cdev(&physical), 9999, second));
	EXPECT(-EACCES, bind_with(device, 9999, first));
	EXPECT(-EBADF, bind_with(device, 9999, second));
}

TEST(a_physical_function_is_too_while_a_virtual_one_is_open)
{
	struct names virtual, physical = the_physical(&virtual);
	int device, owner, fd = iommu();

	say(&physical, first);
	device = open_cdev(&virtual);
	owner = open_cdev(&physical);
	EXPECT(0, bind_with(device, fd, first));
	EXPECT(-EACCES, bind_with(owner, fd, NULL));
	EXPECT(-EACCES, bind_with(owner, fd, second));
	EXPECT(0, bind_with(owner, fd, first));
	drop(owner);
	drop(device);
	say(&physical, NULL);
	say(&physical, second);
	EXPECT(-EACCES, bind_with(open_cdev(&virtual), fd, first));
	EXPECT(0, bind_with(open_cdev(&virtual), fd, second));
}

TEST(feature_zero_replaces_it_under_an_open_virtual_function)
{
	struct names virtual, physical = the_physical(&virtual);
	int device = open_cdev(&virtual), owner = open_cdev(&physical), fd = iommu();
	const u32 size = sizeof(struct vfio_device_feature) + 16;

	EXPECT(0, bind_with(owner, fd, first));
	EXPECT(0, bind_with(device, fd, first));
	EXPECT(0, set_token(owner, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET, 8, second));
	EXPECT(-EINVAL, set_token(owner, VFIO_DEVICE_FEATURE_GET, size, second));
	EXPECT(-EINVAL, set_token(owner, VFIO_DEVICE_FEATURE_SET, size - 1, second));
	EXPECT(-ENOTTY, set_token(device, VFIO_DEVICE_FEATURE_SET, size, second));
	EXPECT(0, set_token(owner, VFIO_DEVICE_FEATURE_SET, size, second));
	drop(device);
	device = open_cdev(&virtual);
	EXPECT(-EACCES, bind_with(device, fd, first));
	EXPECT(0, bind_with(device, fd, second));
}

/* BDF, then what stands behind it. */
static answer get_with(const struct legacy *legacy, const struct names *names, const char *behind)
{
	char name[128];
	answer got;

	snprintf(name, sizeof(name), "%s%s", names->bdf, behind);
	got = get_device(legacy->group, name);
	if (got < 0)
		return got;
	drop(watch(got));
	return 0;
}

TEST(a_group_is_asked_with_the_token_behind_the_name)
{
	static const struct {
		const char *behind;
		answer expected;
	} rows[] = {
		{"", -EACCES},
		{" ", -EACCES},
		{" vf_token=" FIRST, 0},
		{"   vf_token=" FIRST "  ", 0},
		{" vf_token=52AC9BFF-3A88-4FBD-901A-0D767C3B6C97", 0},
		{" vf_token=00ac9bff-3a88-4fbd-901a-0d767c3b6c97", -EACCES},
		{" vf_token=52ac9bff-3a88-4fbd-901a-0d767c3b6c9", -EINVAL},
		{" vf_token=52ac9bff-3a88-4fbd-901a-0d767c3b6c9x", -EINVAL},
		{" vf_token=52ac9bff03a8804fbd0901a00d767c3b6c97", -EINVAL},
		{" vf_token=" FIRST "7", -EINVAL},
		{" vf_token=" FIRST " vf_token=" FIRST, -EINVAL},
		{" vf_tokens=" FIRST, -EINVAL},
		{" token", -EINVAL},
		{"0", -ENODEV},
		{"\tvf_token=" FIRST, -ENODEV},
	};
	struct names virtual, physical = the_physical(&virtual);
	struct legacy legacy;

	say(&physical, first);
	legacy = enter_group(&virtual, VFIO_TYPE1v2_IOMMU);
	FOR_EACH(row, rows)
	{
		about("\"%s\"", row->behind);
		EXPECT(row->expected, get_with(&legacy, &virtual, row->behind));
	}
	about(NULL);
	legacy = enter_group(&physical, VFIO_TYPE1v2_IOMMU);
	EXPECT(0, get_with(&legacy, &physical, ""));
	EXPECT(0, get_with(&legacy, &physical, " vf_token=" FIRST));
}

SUITE(token, CASE(a_virtual_function_is_opened_with_its_token_only), CASE(the_token_is_looked_at_before_the_iommufd),
      CASE(a_physical_function_is_too_while_a_virtual_one_is_open),
      CASE(feature_zero_replaces_it_under_an_open_virtual_function),
      CASE(a_group_is_asked_with_the_token_behind_the_name));
