/* SPDX-License-Identifier: MIT */
/*
 * Functions that do not come back from a reset of their bus (PCI_DEV_FLAGS_NO_BUS_RESET; here 168c:0030): whoever
 * asks, VFIO, sysfs or the recovery from errors, such a bus is never reset.
 */
#include "tests/fixtures/reset_room.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "vfio/device.h"

#define ALONE	 "0000:01:00.0" /* no other way to be reset */
#define FLR	 "0000:02:00.0" /* has one */
#define BESIDE	 "0000:03:00.0" /* can be reset, unlike what is on its bus */
#define BROKEN	 "0000:03:00.1"
#define BELOW	 "0000:04:00.0" /* the bridge above it has the quirk */
#define PHYSICAL "0000:05:00.0" /* its virtual function has it */
#define VIRTUAL	 "0000:05:00.1"
#define APART	 "0000:06:00.0" /* its virtual function is on a bus of its own */
#define ELSE	 "0000:07:00.0"
#define HIGH	 "0000:08:00.1" /* beside the bridge that leads to DEEP */
#define DEEP	 "0000:09:00.0"

#define FUNCTION(slot, id, more)                                                                                       \
	"      {slot: '" slot "', id: '" id "', pm: false, driver: none, bars: {0: 4K}" more "},\n"
#define QUIRK(slot, more) FUNCTION(slot, "168c:0030", more)
#define PLAIN(slot, more) FUNCTION(slot, "8086:10d3", more)
#define VF(offset, id)                                                                                                 \
	", sriov: {total: 1, offset: " offset ", stride: 1, device: '" id "'}, vf: {bars: {0: 4K}, pm: false}"
#define PORT(bus, last, id)                                                                                            \
	"  - {slot: '" bus ".0', bus: '" bus "', last_bus: '" last "', role: root-port, id: '" id                      \
	"', driver: pcieport, acs: full, devices: [\n"
#define BRIDGE_TO(below) "      {slot: '00.0', role: pci-bridge, id: '104c:8240', devices: [\n" below "]},\n"

#define BUS_1	PORT("01", "01", "8086:1901") QUIRK("00.0", "") RESET_END
#define BUS_2	PORT("02", "02", "8086:1901") QUIRK("00.0", ", flr: true") RESET_END
#define BUS_3	PORT("03", "03", "8086:1901") PLAIN("00.0", ", acs: full") QUIRK("00.1", ", acs: full") RESET_END
#define BUS_4	PORT("04", "04", "177d:a100") PLAIN("00.0", "") RESET_END
#define BUS_5	PORT("05", "05", "8086:1901") FUNCTION("00.0", "168c:1111", VF("1", "0030")) RESET_END
#define BUS_6_7 PORT("06", "07", "8086:1901") PLAIN("00.0", VF("256", "10ca")) RESET_END
#define BUS_8_9 PORT("08", "09", "8086:1901") BRIDGE_TO(QUIRK("00.0", "")) PLAIN("00.1", "") RESET_END

static const char buses[] = BUS_1 BUS_2 BUS_3 BUS_4 BUS_5 BUS_6_7 BUS_8_9;

static void expect_no_bus(struct reset_room *f, int device, const char *culprit)
{
	struct reset_info info;

	EXPECT_NO(HOT_RESET_IMPOSSIBLE, reset_info(f, device, &info));
	EXPECT_SUBSTR(culprit, f->expected.text);
	EXPECT_SUBSTR("no-bus-reset", f->expected.text);
	EXPECT_NO(HOT_RESET_IMPOSSIBLE, reset_bus(f, device, NULL, 0));
	EXPECT_SUBSTR(culprit, f->expected.text);
}

static void expect_bus(struct reset_room *f, int device, unsigned count)
{
	struct reset_info info;

	OK(reset_info(f, device, &info));
	assert_int_equal(info.head.count, count);
}

TEST(no_bus_reset, then_there_may_be_no_reset_at_all)
{
	struct reset_room *f = *state;
	int device = reset_open_node(f, ALONE);

	assert_string_equal(reset_methods(f, ALONE), "");
	assert_false(reset_is_told(f, device));
	EXPECT_NO(DEVICE_NOT_RESETTABLE, IOCTL(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_SUBSTR("no-bus-reset", f->expected.text);
	expect_no_bus(f, device, ALONE);
}

TEST(no_bus_reset, another_way_stays)
{
	struct reset_room *f = *state;
	int device = reset_open_node(f, FLR);

	assert_string_equal(reset_methods(f, FLR), "flr\n");
	assert_true(reset_is_told(f, device));
	OK(IOCTL(device, VFIO_DEVICE_RESET, NULL));
	expect_no_bus(f, device, FLR);
}

/* Linux looks at the bridge only when a bus is reset as such, not for the function that is alone on it. */
TEST(no_bus_reset, one_of_a_bus_or_its_bridge_is_enough)
{
	struct reset_room *f = *state;
	int device = reset_open_node(f, BESIDE);

	expect_no_bus(f, device, BROKEN);
	device = reset_open_node(f, HIGH);
	expect_no_bus(f, device, DEEP);
	device = reset_open_node(f, BELOW);
	expect_no_bus(f, device, "0000:00:04.0");
	assert_string_equal(reset_methods(f, BELOW), "bus\n");
	assert_true(reset_is_told(f, device));
	OK(IOCTL(device, VFIO_DEVICE_RESET, NULL));
}

static void set_virtuals(struct reset_room *f, const char *name, const char *number)
{
	char path[96];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/sriov_numvfs", name);
	OK(isolde_attribute_write(f->machine, path, number, strlen(number), &f->why));
}

/* Its ids are with its physical function, and it comes and goes. */
TEST(no_bus_reset, virtual_functions_can_forbid_it_too)
{
	static const char parameter[] = "sys/module/vfio_pci/parameters/enable_sriov";
	struct reset_room *f = *state;
	int device;

	OK(isolde_attribute_write(f->machine, parameter, "Y", 1, &f->why));
	device = reset_open_node(f, PHYSICAL);
	expect_bus(f, device, 1);
	set_virtuals(f, PHYSICAL, "1");
	expect_no_bus(f, device, VIRTUAL);
	set_virtuals(f, PHYSICAL, "0");
	expect_bus(f, device, 1);
}

/* Linux gives that bus no bridge: nobody finds them below it, and there is nothing to reset for themselves. */
TEST(no_bus_reset, virtual_functions_on_a_bus_of_their_own_have_none)
{
	static const char parameter[] = "sys/module/vfio_pci/parameters/enable_sriov";
	struct reset_room *f = *state;
	struct reset_info info;
	int device;

	OK(isolde_attribute_write(f->machine, parameter, "Y", 1, &f->why));
	device = reset_open_node(f, APART);
	set_virtuals(f, APART, "1");
	expect_bus(f, device, 1);
	OK(reset_bus(f, device, NULL, 0));
	isolde_close(f->machine, device);
	/* Made by another driver, it asks for no token. */
	OK(reset_unbind(f, APART));
	OK(reset_bind(f, APART, "e1000e"));
	set_virtuals(f, APART, "1");
	device = reset_open_node(f, ELSE);
	EXPECT_NO(HOT_RESET_IMPOSSIBLE, reset_info(f, device, &info));
	EXPECT_SUBSTR("virtual functions", f->expected.text);
	EXPECT_NO(HOT_RESET_IMPOSSIBLE, reset_bus(f, device, NULL, 0));
}

/* What would need the reset at its last close stays in need of it. */
TEST(no_bus_reset, the_last_close_does_without)
{
	struct reset_room *f = *state;
	int device = reset_open_node(f, ALONE);

	isolde_close(f->machine, device);
	assert_true(reset_device(f, ALONE)->vfio);
	assert_true(reset_device(f, ALONE)->vfio->needs_reset);
}

static u64 fatal_errors(struct reset_room *f, const char *name)
{
	struct pci_function *function = reset_device(f, name)->function;
	struct {
		struct vfio_irq_set head;
		s32 fd;
	} set = {{24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_ERR_IRQ_INDEX, 0, 1},
		 eventfd(0, EFD_NONBLOCK)};
	int device = reset_open_node(f, name);
	char line[64];
	u64 heard = 0;

	OK(IOCTL(device, VFIO_DEVICE_SET_IRQS, &set));
	assert_true(get_u32(function->config + PCI_BAR0) >= 0x1000);
	snprintf(line, sizeof(line), "%s uncor 0x10", name);
	OK(isolde_attribute_write(f->machine, "sys/kernel/debug/aer_inject", line, strlen(line), &f->why));
	assert_int_equal(read(set.fd, &heard, sizeof(heard)), sizeof(heard));
	close(set.fd);
	return heard;
}

/* Linux: drivers/pci/pcie/err.c:pcie_do_recovery(). Who cannot be reset hears of the error, and of the end. */
TEST(no_bus_reset, a_fatal_error_does_without)
{
	struct reset_room *f = *state;

	assert_int_equal(fatal_errors(f, FLR), 2);
	assert_true(get_u32(reset_device(f, FLR)->function->config + PCI_BAR0) >= 0x1000);
	assert_int_equal(fatal_errors(f, PHYSICAL), 1);
	assert_int_equal(get_u32(reset_device(f, PHYSICAL)->function->config + PCI_BAR0), 0);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct reset_room));
	reset_room_init(*state, false, buses);
	return 0;
}

static int teardown(void **state)
{
	reset_room_fini(*state);
	free(*state);
	return 0;
}

int main(void)
{
#define NO_BUS_RESET(name) cmocka_unit_test_setup_teardown(no_bus_reset_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		NO_BUS_RESET(then_there_may_be_no_reset_at_all),
		NO_BUS_RESET(another_way_stays),
		NO_BUS_RESET(one_of_a_bus_or_its_bridge_is_enough),
		NO_BUS_RESET(virtual_functions_can_forbid_it_too),
		NO_BUS_RESET(virtual_functions_on_a_bus_of_their_own_have_none),
		NO_BUS_RESET(the_last_close_does_without),
		NO_BUS_RESET(a_fatal_error_does_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
