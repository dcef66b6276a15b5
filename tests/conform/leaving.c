/* SPDX-License-Identifier: MIT */
/*
 * How devices come to VFIO and how they leave it while programs have them open (spec 04 sections 2, 4 and 9; spec 05
 * sections 1, 9 and 14), and what hot resets say of functions that are not like others (section 13).
 *
 * ISOLDE_UNWANTED names what vfio-pci does not take: a device with known flaws, a bridge, a function that has virtual
 * ones already, a function without an IOMMU. The last one is beside ISOLDE_BESIDE. A "-" stands for none of that kind.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/conform/buses.h"

enum { PATIENCE_MS = 60000, LOOK_US = 150000 };

static const u8 token[16] = {0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd,
			     0x90, 0x1a, 0x0d, 0x76, 0x7c, 0x3b, 0x6c, 0x97};

/* ---- what is written to sysfs ---- */

static answer write_driver(const char *file, const char *bdf)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", file);
	return conform_write(path, bdf);
}

static answer write_device(const char *bdf, const char *file, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	return conform_write(path, text);
}

/* Written beside the test: it waits. */
static struct leaver {
	const char *bdf, *file, *text; /* of the device; NULL: unbind */
	answer got;
	bool done;
} leaver;

static void leave(void *argument)
{
	answer got = leaver.file ? write_device(leaver.bdf, leaver.file, leaver.text)
				 : write_driver("unbind", leaver.bdf);

	leaver.got = got;
	__atomic_store_n(&leaver.done, true, __ATOMIC_RELEASE);
}

static bool has_left(void)
{
	return __atomic_load_n(&leaver.done, __ATOMIC_ACQUIRE);
}

static bool is_signalled(int event, int timeout_ms)
{
	struct pollfd poller = {.fd = event, .events = POLLIN};

	return poll(&poller, 1, timeout_ms) == 1;
}

/* Until who has it open is asked to give it back: from then on it is hidden. */
static void start_leaving(struct leaver how, int event)
{
	leaver = how;
	start_beside(leave, NULL);
	EXPECT_TRUE(is_signalled(event, PATIENCE_MS));
	EXPECT_TRUE(!has_left());
}

static void stays(void)
{
	usleep(LOOK_US);
	EXPECT_TRUE(!has_left());
}

static void leaves(void)
{
	join_beside();
	EXPECT_TRUE(has_left());
	WORKS(leaver.got);
}

/* ---- events ---- */

static int new_event(void)
{
	return watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

static u64 signals(int event)
{
	u64 count;

	return read(event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static answer set_event(int device, u32 index, int fd)
{
	struct {
		struct vfio_irq_set head;
		int32_t fd;
	} request = {{sizeof(request), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1}, fd};

	return ask(device, VFIO_DEVICE_SET_IRQS, &request);
}

/* ---- a device leaves (04 section 9) ---- */

/* Its node may be gone before it is. */
static bool is_hidden(const struct names *names)
{
	answer got = open_answer(names->cdev, O_RDWR);

	if (got >= 0)
		close((int)got);
	return got == -ENODEV || got == -ENOENT;
}

/* One that is got in spite of all is given back, or the unbind would wait for ever. */
static answer try_device(int group, const char *bdf)
{
	answer got = get_device(group, bdf);

	return got < 0 ? got : watch(got);
}

static u32 status_of(int group)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	EXPECT(0, ask(group, VFIO_GROUP_GET_STATUS, &status));
	return status.flags;
}

static void expect_gone(int group, int container, const char *bdf)
{
	struct vfio_group_status status = {.argsz = 7};

	EXPECT(-EFAULT, ask(group, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT(-EINVAL, ask(group, VFIO_GROUP_GET_STATUS, &status));
	status.argsz = 8;
	EXPECT(-ENODEV, ask(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT(-EFAULT, ask(group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT(-EBADF, set_container(group, 9999));
	EXPECT(-ENODEV, set_container(group, container));
	EXPECT(-ENODEV, set_container(group, new_file(PAGE))); /* whatever it is */
	EXPECT(-ENODEV, try_device(group, bdf));
	EXPECT(-EINVAL, unset_container(group));
}

TEST(an_unbind_waits_for_who_has_it_by_its_group)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int event = new_event(), unbound = open_cdev(&names), later;

	open_device(&legacy, &names);
	EXPECT(0, set_event(legacy.device, VFIO_PCI_REQ_IRQ_INDEX, event));
	start_leaving((struct leaver){names.bdf}, event);
	EXPECT_EQUAL(1, signals(event));
	EXPECT(-ENODEV, try_device(legacy.group, names.bdf)); /* although it is open by just that */
	EXPECT_TRUE(is_hidden(&names));
	EXPECT(-EBUSY, open_answer(names.group, O_RDWR));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE, status_of(legacy.group));
	EXPECT(0, ask(legacy.device, VFIO_DEVICE_GET_INFO, &info)); /* it works on */
	EXPECT(-EAGAIN, ask(legacy.device, VFIO_DEVICE_RESET, NULL));
	EXPECT(0, type1_map(legacy.container, memory(PAGE), 0x100000, PAGE));
	drop(legacy.device);
	stays(); /* a node that is not bound is waited for as well */
	EXPECT(-ENODEV, try_device(legacy.group, names.bdf));
	drop(unbound);
	leaves();
	/* Its group was the container's only one. */
	expect_gone(legacy.group, legacy.container, names.bdf);
	EXPECT(-EINVAL, type1_map(legacy.container, memory(PAGE), 0x100000, PAGE));
	EXPECT(-EINVAL, set_iommu(legacy.container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(-ENOENT, open_answer(names.group, O_RDWR));
	EXPECT(-ENOENT, open_answer(names.cdev, O_RDWR));
	/* What comes back is another, with the name of the old. */
	WORKS(write_driver("bind", names.bdf));
	names = the_device();
	later = open_group(&names);
	EXPECT(-ENODEV, set_container(legacy.group, legacy.container));
	EXPECT(0, set_container(later, legacy.container));
	EXPECT(0, set_iommu(legacy.container, VFIO_TYPE1v2_IOMMU));
}

TEST(an_unbind_waits_for_who_has_it_by_its_node)
{
	struct names names = the_device();
	int fd = iommu(), device = bound_node(&names, fd), second = open_cdev(&names), last = open_cdev(&names),
	    event = new_event(), before = new_event(), group;

	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, before));
	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, event)); /* in its place */
	start_leaving((struct leaver){names.bdf}, event);
	EXPECT_EQUAL(0, signals(before));
	EXPECT_TRUE(is_hidden(&names));
	EXPECT(-EBUSY, open_answer(names.group, O_RDWR));
	EXPECT(-EINVAL, bind_cdev(second, fd)); /* the device is open */
	drop(device);
	stays();
	EXPECT_TRUE(is_hidden(&names));
	EXPECT(-EAGAIN, bind_cdev(second, fd)); /* to be opened it would be reset, and it is locked */
	drop(second);
	stays();
	/* The group is there as long as the device is, and has no name to give. */
	group = open_group(&names);
	EXPECT(-ENODEV, try_device(group, names.bdf)); /* before its want of a container */
	EXPECT(0, set_container(group, fd));
	EXPECT(-ENODEV, try_device(group, names.bdf));
	EXPECT(0, unset_container(group));
	drop(group);
	drop(last);
	leaves();
	EXPECT(-ENODEV, write_driver("unbind", names.bdf));
	WORKS(write_driver("bind", names.bdf));
	EXPECT(-EBUSY, write_driver("bind", names.bdf));
}

static bool can_be_reset(int device)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	return info.flags & VFIO_DEVICE_FLAGS_RESET;
}

/* Whoever unbinds it has it locked (drivers/base/dd.c), and a reset only tries to (pci_try_reset_function()). */
TEST(nothing_resets_a_device_that_leaves)
{
	int fd = iommu(), device, second, other, event = new_event();
	struct names pair[2];
	bool resets;

	two_siblings(pair);
	device = bound_node(&pair[0], fd);
	second = open_cdev(&pair[0]);
	other = bound_node(&pair[1], fd);
	resets = can_be_reset(device);
	EXPECT(0, RESET_IMPLIED(other));
	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, event));
	start_leaving((struct leaver){pair[0].bdf}, event);
	EXPECT(resets ? -EAGAIN : -EINVAL, ask(device, VFIO_DEVICE_RESET, NULL));
	EXPECT(-EAGAIN, RESET_IMPLIED(device));
	EXPECT(-EAGAIN, RESET_IMPLIED(other)); /* it would be hit */
	EXPECT(-EINVAL, RESET_BY(other, 999));
	EXPECT(can_be_reset(other) ? 0 : -EINVAL, ask(other, VFIO_DEVICE_RESET, NULL));
	drop(device);
	stays();
	/* One that cannot be reset is opened by who had it open before. */
	if (resets)
		EXPECT(-EAGAIN, bind_cdev(second, fd));
	else
		WORKS(bind_cdev(second, fd));
	drop(second);
	leaves();
	EXPECT(-EINVAL, RESET_IMPLIED(other)); /* nobody has the first */
	WORKS(write_driver("bind", pair[0].bdf));
	EXPECT(0, RESET_IMPLIED(other));
}

TEST(a_request_without_an_eventfd_is_not_heard)
{
	int fd = iommu(), device, other, event = new_event(), removed = new_event();
	struct names pair[2];

	two_siblings(pair);
	device = bound_node(&pair[0], fd);
	other = bound_node(&pair[1], fd);
	EXPECT(0, set_event(other, VFIO_PCI_REQ_IRQ_INDEX, event));
	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, removed));
	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, -1));
	drop(device);
	WORKS(write_driver("unbind", pair[0].bdf)); /* nobody to wait for */
	EXPECT_EQUAL(0, signals(event));	    /* only the one that leaves is asked for */
	EXPECT_EQUAL(0, signals(removed));
	/* The group stays for the other one. */
	EXPECT(-EBUSY, open_answer(pair[1].group, O_RDWR));
	drop(other);
	other = open_group(&pair[1]);
	EXPECT(0, set_container(other, fd));
	EXPECT(-ENODEV, try_device(other, pair[0].bdf));
	watch(get_device(other, pair[1].bdf));
	WORKS(write_driver("bind", pair[0].bdf));
	watch(get_device(other, pair[0].bdf));
}

/* Ten seconds later it is asked again. */
TEST(requests_are_repeated)
{
	struct names names = the_device();
	int device = bound_node(&names, iommu()), event = new_event();

	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, event));
	start_leaving((struct leaver){names.bdf}, event);
	EXPECT_EQUAL(1, signals(event));
	EXPECT_TRUE(!is_signalled(event, 5000));
	EXPECT_TRUE(is_signalled(event, PATIENCE_MS));
	EXPECT_TRUE(!has_left());
	drop(device);
	leaves();
	WORKS(write_driver("bind", names.bdf));
}

/* A native driver keeps VFIO away from its group, and VFIO's user a native driver (04 sections 4 and 5). */
TEST(a_native_driver_in_the_group_makes_it_not_viable)
{
	const char *native = "/sys/bus/pci/drivers/e1000e/bind";
	struct names pair[2];
	int fd = iommu(), container = new_container(), group, cdev;

	two_siblings(pair);
	cdev = open_cdev(&pair[0]);
	WORKS(write_driver("unbind", pair[1].bdf));
	WORKS(write_device(pair[1].bdf, "driver_override", "e1000e"));
	WORKS(conform_write(native, pair[1].bdf));
	group = open_group(&pair[0]);
	EXPECT_EQUAL(0, status_of(group));
	EXPECT(-EPERM, set_container(group, container));
	EXPECT(0, set_container(group, fd)); /* claims nothing */
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE, status_of(group));
	EXPECT(-EPERM, try_device(group, pair[0].bdf));
	EXPECT(0, unset_container(group));
	drop(group);
	EXPECT(-EPERM, bind_cdev(cdev, fd));
	WORKS(conform_write("/sys/bus/pci/drivers/e1000e/unbind", pair[1].bdf));
	WORKS(bind_cdev(cdev, fd));
	EXPECT(-EBUSY, conform_write(native, pair[1].bdf));
	drop(cdev);
	group = open_group(&pair[0]);
	EXPECT(0, set_container(group, fd));
	WORKS(conform_write(native, pair[1].bdf)); /* nobody owns it yet */
	WORKS(conform_write("/sys/bus/pci/drivers/e1000e/unbind", pair[1].bdf));
	EXPECT(0, unset_container(group));
	EXPECT(0, set_container(group, container));
	EXPECT(-EBUSY, conform_write(native, pair[1].bdf));
	WORKS(write_device(pair[1].bdf, "driver_override", "vfio-pci"));
	WORKS(write_driver("bind", pair[1].bdf)); /* that one minds its user */
}

/* Nothing but the descriptor holds an iommufd there, and it stays set when the group is gone. */
TEST(an_iommufd_stays_set_when_the_group_goes)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	struct names names = the_device();
	int fd = iommu(), group = open_group(&names), container = new_container();

	EXPECT(0, set_container(group, fd));
	WORKS(write_driver("unbind", names.bdf));
	EXPECT(-ENODEV, ask(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT(-EINVAL, set_container(group, container)); /* set already, before it is found gone */
	EXPECT(-ENODEV, try_device(group, names.bdf));
	EXPECT(0, unset_container(group));
	expect_gone(group, container, names.bdf);
	WORKS(write_driver("bind", names.bdf));
}

/* 04 section 4.2 step 8 */
TEST(a_first_open_attaches_to_the_address_space_that_is_set_then)
{
	struct iommu_vfio_ioas compat = {.size = sizeof(compat), .op = IOMMU_VFIO_IOAS_GET};
	struct names names = the_device();
	int fd = iommu(), group = open_group(&names), cdev = open_cdev(&names), device;

	EXPECT(0, set_container(group, fd));
	EXPECT(0, ask(fd, IOMMU_VFIO_IOAS, &compat));
	compat.op = IOMMU_VFIO_IOAS_CLEAR;
	EXPECT(0, ask(fd, IOMMU_VFIO_IOAS, &compat));
	EXPECT(-ENODEV, try_device(group, names.bdf));
	/* Nothing of it is left: the device is anybody's. */
	drop(group);
	WORKS(bind_cdev(cdev, iommu()));
	drop(cdev);
	group = open_group(&names);
	EXPECT(0, set_container(group, fd)); /* makes one anew */
	device = watch(get_device(group, names.bdf));
	EXPECT(0, ask(fd, IOMMU_VFIO_IOAS, &compat));
	watch(get_device(group, names.bdf)); /* open already */
	drop(device);
}

/* ---- virtual functions leave (05 section 14) ---- */

static answer bind_with_token(int device, int iommufd)
{
	struct vfio_device_bind_iommufd request = {.argsz = sizeof(request),
						   .flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
						   .iommufd = iommufd,
						   .token_uuid_ptr = (uintptr_t)token};

	return ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request);
}

static int bound_with_token(const struct names *names, int iommufd)
{
	int device = open_cdev(names);

	EXPECT(0, bind_with_token(device, iommufd));
	return device;
}

TEST(virtual_functions_leave_with_their_physical_one)
{
	struct names virtual, physical = the_physical(&virtual);
	int fd = iommu(), device, above, event = new_event();

	drop(bound_with_token(&physical, fd));
	device = bound_with_token(&virtual, fd);
	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, event));
	start_leaving((struct leaver){physical.bdf}, event);
	EXPECT_TRUE(is_hidden(&virtual));
	above = open_cdev(&physical);		     /* not asked for yet */
	EXPECT(-EAGAIN, bind_with_token(above, fd)); /* but locked */
	drop(above);
	drop(device);
	leaves();
	EXPECT(-ENOENT, write_device(physical.bdf, "sriov_numvfs", "1"));
	EXPECT(1, write_device(physical.bdf, "sriov_numvfs", "0")); /* that many there are */
	WORKS(write_driver("bind", physical.bdf));
	physical = the_physical(&virtual);
	drop(bound_with_token(&physical, fd));
	device = bound_with_token(&virtual, fd);
	EXPECT(0, set_event(device, VFIO_PCI_REQ_IRQ_INDEX, event));
	signals(event);
	above = bound_with_token(&physical, fd);
	EXPECT(0, ask(above, VFIO_DEVICE_RESET, NULL));
	start_leaving((struct leaver){physical.bdf, "sriov_numvfs", "0"}, event);
	EXPECT_TRUE(is_hidden(&virtual));
	EXPECT(-EAGAIN, ask(above, VFIO_DEVICE_RESET, NULL));
	EXPECT(-EAGAIN, ask(device, VFIO_DEVICE_RESET, NULL));
	drop(device);
	leaves();
	EXPECT(0, ask(above, VFIO_DEVICE_RESET, NULL));
	EXPECT(1, write_device(physical.bdf, "sriov_numvfs", "0"));
}

#define ENABLE_SRIOV "/sys/module/vfio_pci/parameters/enable_sriov"

TEST(the_number_of_virtual_functions_is_refused_in_this_order)
{
	struct names virtual, physical = the_physical(&virtual); /* it has one, of two */
	const char *bdf = physical.bdf;

	EXPECT(-EINVAL, write_device(bdf, "sriov_numvfs", "many"));
	WORKS(conform_write(ENABLE_SRIOV, "N"));
	EXPECT(-ERANGE, write_device(bdf, "sriov_numvfs", "3"));
	EXPECT(1, write_device(bdf, "sriov_numvfs", "1")); /* as it is: nobody is asked */
	EXPECT(-EBUSY, write_device(bdf, "sriov_numvfs", "2"));
	EXPECT(-ENOENT, write_device(bdf, "sriov_numvfs", "0"));
	WORKS(conform_write(ENABLE_SRIOV, "Y"));
	EXPECT(1, write_device(bdf, "sriov_numvfs", "0"));
	WORKS(conform_write(ENABLE_SRIOV, "N"));
	EXPECT(1, write_device(bdf, "sriov_numvfs", "0"));
	EXPECT(-ENOENT, write_device(bdf, "sriov_numvfs", "2"));
	WORKS(conform_write(ENABLE_SRIOV, "Y"));
	EXPECT(1, write_device(bdf, "sriov_numvfs", "2"));
	EXPECT(1, write_device(bdf, "sriov_numvfs", "0"));
}

static u32 power_register(int device)
{
	u32 at = get_config(device, 0x34, 1);

	while (at && get_config(device, at, 1) != 1)
		at = get_config(device, at + 1, 1);
	EXPECT_TRUE(at);
	return at + 4;
}

/* Asked to sleep it does not, and nobody says so; one that sleeps is woken to have them (05 sections 5 and 14). */
TEST(a_function_with_virtual_ones_does_not_sleep)
{
	struct names virtual, physical = the_physical(&virtual);
	int device = bound_with_token(&physical, iommu());
	u32 power = power_register(device);

	set_config(device, power, 2, 3);
	EXPECT_EQUAL(0, get_config(device, power, 2) & 3);
	EXPECT(1, write_device(physical.bdf, "sriov_numvfs", "0"));
	set_config(device, power, 2, 3);
	EXPECT_EQUAL(3, get_config(device, power, 2) & 3);
	EXPECT(1, write_device(physical.bdf, "sriov_numvfs", "1"));
	EXPECT_EQUAL(0, get_config(device, power, 2) & 3);
	EXPECT(1, write_device(physical.bdf, "sriov_numvfs", "0"));
}

/* ---- hot resets (05 section 13) ---- */

TEST(a_virtual_function_is_alone_in_what_is_reset_together)
{
	struct names virtual, physical = the_physical(&virtual);
	int fd = iommu(), below, above = bound_with_token(&physical, fd);
	struct bus_told told;
	u32 id;

	below = bound_with_token(&virtual, fd);
	EXPECT(0, ask_bus(below, 8, &told));
	EXPECT_EQUAL(2, told.head.count);
	EXPECT_EQUAL(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, told.head.flags);
	EXPECT_EQUAL(VFIO_PCI_DEVID_NOT_OWNED, (int)told_of(&told, &physical)); /* though it is the same iommufd's */
	id = told_of(&told, &virtual);
	EXPECT_TRUE((int)id > 0);
	EXPECT(-EINVAL, RESET_IMPLIED(below));
	EXPECT(0, ask_bus(above, 8, &told));
	EXPECT_EQUAL(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, told.head.flags);
	EXPECT_EQUAL(VFIO_PCI_DEVID_NOT_OWNED, (int)told_of(&told, &virtual));
	EXPECT(-EINVAL, RESET_IMPLIED(above));
	drop(below);
	EXPECT(1, write_device(physical.bdf, "sriov_numvfs", "0"));
	EXPECT(0, ask_bus(above, 8, &told));
	EXPECT_EQUAL(1, told.head.count);
	EXPECT_EQUAL(VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, told.head.flags);
	EXPECT(0, RESET_IMPLIED(above));
}

static void the_unwanted(char ret[static 4][16])
{
	char list[64], *rest = list, *name;

	snprintf(list, sizeof(list), "%s", getenv("ISOLDE_UNWANTED") ?: "");
	for (unsigned i = 0; i < 4; i++) {
		name = strsep(&rest, ",");
		if (!name || !*name)
			skip("no four devices: ISOLDE_UNWANTED is not set");
		snprintf(ret[i], 16, "%s", name);
	}
}

TEST(a_group_is_not_told_of_a_function_that_has_none)
{
	struct names names = the_beside(), uncovered = {.bdf = ""};
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct bus_told told;
	char unwanted[4][16];
	int device;

	the_unwanted(unwanted);
	snprintf(uncovered.bdf, sizeof(uncovered.bdf), "%s", unwanted[3]);
	open_device(&legacy, &names);
	EXPECT(-ENOSPC, ask_bus(legacy.device, 1, &told)); /* before that is seen */
	EXPECT_EQUAL(2, told.head.count);
	EXPECT(-EPERM, ask_bus(legacy.device, 2, &told));
	EXPECT(-EPERM, ask_bus(legacy.device, 8, &told));
	EXPECT(-EINVAL, RESET_BY(legacy.device, legacy.group));
	drop(legacy.device);
	drop(legacy.group);
	device = bound_node(&names, iommu());
	EXPECT(0, ask_bus(device, 8, &told)); /* one that is told of devices is told */
	EXPECT_EQUAL(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, told.head.flags);
	EXPECT_EQUAL(VFIO_PCI_DEVID_NOT_OWNED, (int)told_of(&told, &uncovered));
	EXPECT(-EINVAL, RESET_IMPLIED(device));
}

/* ---- a device comes (05 section 1, 04 section 2) ---- */

TEST(these_are_not_taken)
{
	static const struct {
		const char *what;
		answer expected;
	} rows[] = {{"known flaws", -EINVAL},
		    {"a bridge", -EINVAL},
		    {"virtual functions are there", -EBUSY},
		    {"no IOMMU", -EINVAL}};
	char unwanted[4][16];

	the_unwanted(unwanted);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		about("%s", rows[i].what);
		if (strcmp(unwanted[i], "-") == 0)
			continue;
		EXPECT(-ENODEV, write_driver("bind", unwanted[i])); /* the driver does not know it */
		WORKS(write_device(unwanted[i], "driver_override", "vfio-pci"));
		EXPECT(rows[i].expected, write_driver("bind", unwanted[i]));
		EXPECT(rows[i].expected, write_driver("bind", unwanted[i]));
		EXPECT(-ENODEV, write_driver("unbind", unwanted[i]));
		WORKS(write_device(unwanted[i], "driver_override", "\n"));
	}
}

/* ---- errors (05 section 9) ---- */

static void report(const char *bdf, const char *error)
{
	char text[64];
	answer got;

	snprintf(text, sizeof(text), "%s %s", bdf, error);
	got = conform_write("/sys/kernel/debug/aer_inject", text);
	if (got == -ENOENT)
		skip("nobody injects errors here");
	WORKS(got);
}

TEST(an_error_is_told_to_all_whose_bus_it_is)
{
	struct names names = the_device(), pair[2];
	int fd = iommu(), first, second, apart, events[3] = {new_event(), new_event(), new_event()};

	two_siblings(pair);
	first = bound_node(&pair[0], fd);
	second = bound_node(&pair[1], fd);
	apart = bound_node(&names, fd);
	report(pair[0].bdf, "uncor 0x4000"); /* nobody listens */
	EXPECT(0, set_event(first, VFIO_PCI_ERR_IRQ_INDEX, events[0]));
	EXPECT(0, set_event(second, VFIO_PCI_ERR_IRQ_INDEX, events[1]));
	EXPECT(0, set_event(apart, VFIO_PCI_ERR_IRQ_INDEX, events[2]));
	report(pair[0].bdf, "uncor 0x4000"); /* a timeout: not fatal */
	EXPECT_TRUE(is_signalled(events[0], PATIENCE_MS));
	EXPECT_EQUAL(1, signals(events[0]));
	EXPECT_EQUAL(1, signals(events[1]));
	EXPECT_EQUAL(0, signals(events[2]));
	report(pair[1].bdf, "cor 0x1"); /* that is nothing to be told */
	EXPECT_EQUAL(0, signals(events[0]));
	EXPECT(0, set_event(first, VFIO_PCI_ERR_IRQ_INDEX, -1));
	report(pair[1].bdf, "uncor 0x40000"); /* a malformed packet: fatal, so the bus is reset */
	EXPECT_EQUAL(0, signals(events[0]));
	EXPECT_EQUAL(1, signals(events[1]));
	drop(second);
	second = bound_node(&pair[1], fd);
	report(pair[1].bdf, "uncor 0x4000"); /* the eventfd went with the last close */
	EXPECT_EQUAL(0, signals(events[1]));
	EXPECT(0, set_event(apart, VFIO_PCI_ERR_IRQ_INDEX, events[0]));
	report(names.bdf, "uncor 0x4000");
	EXPECT_EQUAL(1, signals(events[0]));
	EXPECT_EQUAL(0, signals(events[2])); /* replaced */
}

SUITE(leaving, CASE(an_unbind_waits_for_who_has_it_by_its_group), CASE(an_unbind_waits_for_who_has_it_by_its_node),
      CASE(nothing_resets_a_device_that_leaves), CASE(a_request_without_an_eventfd_is_not_heard),
      CASE_OUTSIDE(requests_are_repeated), CASE(a_native_driver_in_the_group_makes_it_not_viable),
      CASE(an_iommufd_stays_set_when_the_group_goes), CASE(a_first_open_attaches_to_the_address_space_that_is_set_then),
      CASE(virtual_functions_leave_with_their_physical_one),
      CASE(the_number_of_virtual_functions_is_refused_in_this_order), CASE(a_function_with_virtual_ones_does_not_sleep),
      CASE(a_virtual_function_is_alone_in_what_is_reset_together),
      CASE(a_group_is_not_told_of_a_function_that_has_none), CASE(these_are_not_taken),
      CASE(an_error_is_told_to_all_whose_bus_it_is));
