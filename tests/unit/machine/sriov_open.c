/* SPDX-License-Identifier: MIT */
/* SR-IOV for who has functions open: tokens of those that vfio-pci enables, what a program sees of them, who waits. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "isolde/iommu.h"
#include "pci/caps.h"
#include "tests/fixtures/sriov_room.h"

/* ---- tokens ---- */

static const u8 first_token[16] = {0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd,
				   0x90, 0x1a, 0x0d, 0x76, 0x7c, 0x3b, 0x6c, 0x97};
static const u8 second_token[16] = {1};
#define FIRST_TOKEN "52ac9bff-3a88-4FBD-901a-0d767c3b6c97"

static int open_path(struct sriov_room *f, const char *path)
{
	return (int)OK(isolde_open(f->machine, path, O_RDWR, &f->why));
}

/* Its character device. */
static int open_device(struct sriov_room *f, const char *bdf)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", find(f, bdf)->vfio_nodes.index);
	return open_path(f, path);
}

static long bind_with(struct sriov_room *f, int device, int iommufd, const u8 *token)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};

	if (token) {
		bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		bind.token_uuid_ptr = (uintptr_t)token;
	}
	return isolde_ioctl(f->machine, device, VFIO_DEVICE_BIND_IOMMUFD, &bind, &f->why);
}

static void drop(struct sriov_room *f, int fd)
{
	isolde_close(f->machine, fd);
}

/* One virtual function of NVME, which vfio-pci has. */
static struct sriov_room *managed(void)
{
	struct sriov_room *f = sriov_room_new(nvme_to_vfio);

	OK(echo(f, PARAMETER, "Y"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "2"));
	return f;
}

#define VF "0000:01:00.1"

TEST(sriov_open, a_virtual_function_wants_the_token_of_its_physical_one)
{
	struct sriov_room *f = managed();
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
	sriov_room_free(f);
}

TEST(sriov_open, the_physical_function_wants_it_while_a_virtual_one_is_open)
{
	struct sriov_room *f = managed();
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
	sriov_room_free(f);
}

static long set_token(struct sriov_room *f, int device, u32 flags, u32 size, const u8 *token)
{
	struct {
		struct vfio_device_feature head;
		u8 uuid[16];
	} request = {.head = {.argsz = size, .flags = flags | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN}};

	memcpy(request.uuid, token, 16);
	return isolde_ioctl(f->machine, device, VFIO_DEVICE_FEATURE, &request, &f->why);
}

TEST(sriov_open, feature_zero_replaces_the_token_at_any_time)
{
	struct sriov_room *f = managed();
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
	sriov_room_free(f);
}

static long get_device(struct sriov_room *f, int group, const char *name)
{
	return isolde_ioctl(f->machine, group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name, &f->why);
}

/* With a container and its IOMMU. */
static int open_group(struct sriov_room *f, const char *bdf)
{
	int container = open_path(f, "/dev/vfio/vfio"), group;
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%d", group_of(f, bdf));
	group = open_path(f, path);
	OK(isolde_ioctl(f->machine, group, VFIO_GROUP_SET_CONTAINER, &container, &f->why));
	OK(isolde_ioctl(f->machine, container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU, &f->why));
	return group;
}

TEST(sriov_open, the_token_can_stand_behind_a_name)
{
	struct sriov_room *f = managed();
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
	sriov_room_free(f);
}

/* SR-IOV that a driver of the kernel enabled is no matter of tokens. */
TEST(sriov_open, virtual_functions_of_other_drivers_have_no_token)
{
	struct sriov_room *f = sriov_room_new(NULL);
	int iommufd = open_path(f, "/dev/iommu"), virtual;

	OK(echo(f, "sys/bus/pci/drivers_autoprobe", "0"));
	OK(echo(f, PCI(NVME, "sriov_numvfs"), "1"));
	OK(echo(f, PCI(VF, "driver_override"), "vfio-pci"));
	OK(echo(f, "sys/bus/pci/drivers_probe", VF));
	virtual = open_device(f, VF);
	EXPECT_NO(VF_TOKEN_UNWANTED, bind_with(f, virtual, iommufd, first_token));
	EXPECT_SUBSTR(NVME, f->told.text);
	OK(bind_with(f, virtual, iommufd, NULL));
	sriov_room_free(f);
}

/* ---- what a program has of one ---- */

static u32 load(struct sriov_room *f, int device, unsigned region, u64 offset, unsigned width)
{
	u32 value = 0;

	OK(isolde_pread(f->machine, device, &value, width, (u64)region << 40 | offset, &f->why));
	return value;
}

static void store(struct sriov_room *f, int device, unsigned region, u64 offset, unsigned width, u32 value)
{
	OK(isolde_pwrite(f->machine, device, &value, width, (u64)region << 40 | offset, &f->why));
}

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

/* The physical one and a virtual one, open. */
static void open_both(struct sriov_room *f, int *physical, int *virtual)
{
	int iommufd = open_path(f, "/dev/iommu");

	*physical = open_device(f, NVME);
	*virtual = open_device(f, VF);
	OK(bind_with(f, *physical, iommufd, first_token));
	OK(bind_with(f, *virtual, iommufd, first_token));
}

TEST(sriov_open, a_program_sees_what_a_virtual_function_has_not)
{
	struct sriov_room *f = managed();
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
	sriov_room_free(f);
}

TEST(sriov_open, a_physical_function_with_virtual_ones_stays_awake)
{
	struct sriov_room *f = sriov_room_new(nvme_to_vfio);
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
	sriov_room_free(f);
}

/* A reset of the physical function takes the virtual ones along; their mapped registers are there again at once. */
TEST(sriov_open, a_reset_goes_through_to_the_virtual_functions)
{
	struct sriov_room *f = managed();
	int physical, virtual;

	open_both(f, &physical, &virtual);
	store(f, virtual, CONFIG, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	store(f, virtual, 0, 0x28, 4, 0x1000); /* ASQ */
	assert_int_equal(load(f, virtual, 0, 0x28, 4), 0x1000);
	OK(isolde_ioctl(f->machine, physical, VFIO_DEVICE_RESET, NULL, &f->why));
	assert_int_equal(load(f, virtual, 0, 0x28, 4), 0);
	assert_int_equal(pci_command(find(f, VF)->function), 0);
	isolde_machine_check(f->machine);
	sriov_room_free(f);
}

/* ---- waiting ---- */

struct waiter {
	struct sriov_room *f;
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
static bool is_hidden(struct sriov_room *f, const char *bdf)
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

static void await_hidden(struct sriov_room *f, const char *bdf)
{
	while (!is_hidden(f, bdf))
		usleep(1000);
}

TEST(sriov_open, taking_away_waits_for_who_has_one_open)
{
	struct sriov_room *f = managed();
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
	sriov_room_free(f);
}

/* A group's file outlives the group; so does a device's own, until it is closed. */
TEST(sriov_open, what_is_open_of_a_group_that_goes_stays_behind)
{
	struct sriov_room *f = managed();
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
	sriov_room_free(f);
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

TEST(sriov_open, coming_and_going_races_with_binding)
{
	struct sriov_room *f = sriov_room_new(NULL);
	struct waiter nvme = {f, PCI(NVME, "sriov_numvfs"), "3", 0, {0}};
	struct waiter found = {f, PCI(FOUND, "sriov_numvfs"), "2", 0, {0}};
	struct waiter binds = {f, "", VF, 0, {0}};
	pthread_t threads[3];

	assert_int_equal(pthread_create(&threads[0], NULL, come_and_go, &nvme), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, come_and_go, &found), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, bind_and_unbind, &binds), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	sriov_room_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sriov_open, a_virtual_function_wants_the_token_of_its_physical_one),
		CASE(sriov_open, the_physical_function_wants_it_while_a_virtual_one_is_open),
		CASE(sriov_open, feature_zero_replaces_the_token_at_any_time),
		CASE(sriov_open, the_token_can_stand_behind_a_name),
		CASE(sriov_open, virtual_functions_of_other_drivers_have_no_token),
		CASE(sriov_open, a_program_sees_what_a_virtual_function_has_not),
		CASE(sriov_open, a_physical_function_with_virtual_ones_stays_awake),
		CASE(sriov_open, a_reset_goes_through_to_the_virtual_functions),
		CASE(sriov_open, taking_away_waits_for_who_has_one_open),
		CASE(sriov_open, what_is_open_of_a_group_that_goes_stays_behind),
		CASE(sriov_open, coming_and_going_races_with_binding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
