/* SPDX-License-Identifier: MIT */
/* What devices hold besides registers, parameters of vfio_pci, errors on demand: a machine of odd devices, by sysfs. */
#include "pci/contents.h"

#include "tests/helpers.h"

#include "machine/device.h"
#include "machine/machine.h"
#include "pci/caps.h"

#define BEAST  "0000:01:00.0"
#define SCREEN "0000:03:00.0"
#define BLANK  "0000:03:01.0"
#define UNSAFE "0000:00:03.0"

#define DEVICE(bdf, file) "sys/bus/pci/devices/" bdf "/" file
#define PARAMETER(name)	  "sys/module/vfio_pci/parameters/" name

struct fixture {
	struct machine *machine;
	u8 text[8192];
	struct why why;
};

static int make(const char *name, struct machine **ret, struct why *why)
{
	struct description *description;
	int err = description_load(name, &description, why);

	return err < 0 ? err : machine_new(description, ret, why);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ASSERT_OK(f->why, make(TESTS_DATA "/machines/zoo.yaml", &f->machine, &f->why));
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

#define TEST_F(name)                                                                                                   \
	static void contents_##name##_body(struct fixture *f);                                                         \
	static void contents_##name(void **state)                                                                      \
	{                                                                                                              \
		contents_##name##_body(*state);                                                                        \
	}                                                                                                              \
	static void contents_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(contents_##name, setup, teardown)

static s64 get(struct fixture *f, const char *path, u64 offset, size_t size)
{
	return machine_attribute_read(f->machine, NULL, path, offset, f->text, size, &f->why);
}

static s64 put(struct fixture *f, const char *path, u64 offset, const void *bytes, size_t size)
{
	return machine_attribute_write(f->machine, NULL, path, offset, bytes, size, &f->why);
}

static s64 echo(struct fixture *f, const char *path, const char *line)
{
	char text[256];

	snprintf(text, sizeof(text), "%s\n", line);
	return put(f, path, 0, text, strlen(text));
}

static const char *cat(struct fixture *f, const char *path)
{
	s64 size = ASSERT_OK(f->why, get(f, path, 0, sizeof(f->text) - 1));

	f->text[size] = '\0';
	return (const char *)f->text;
}

static struct device *named(struct fixture *f, const char *name)
{
	struct pci_addr addr;

	assert_true(pci_addr_parse(name, &addr));
	return device_find(f->machine, addr);
}

static void give(struct fixture *f, const char *name)
{
	ASSERT_OK(f->why, machine_bind(f->machine, named(f, name)->function->addr, "vfio-pci", &f->why));
}

/* ---- rom ---- */

TEST_F(a_rom_is_read_when_it_is_switched_on)
{
	EXPECT_REFUSED(ROM_SWITCHED_OFF, f->why, get(f, DEVICE(BEAST, "rom"), 0, 64));
	assert_int_equal(echo(f, DEVICE(BEAST, "rom"), "1"), 2);
	assert_int_equal(get(f, DEVICE(BEAST, "rom"), 0, 4096), 512);
	assert_memory_equal(f->text, "\x55\xaa\x01", 3);
	assert_memory_equal(f->text + 0x1c, "PCIR\xf4\x1a\x10\x11", 8);
	assert_int_equal(get(f, DEVICE(BEAST, "rom"), 510, 16), 2);
	assert_int_equal(get(f, DEVICE(BEAST, "rom"), 512, 16), 0);
	pci_config_write(named(f, BEAST)->function, PCI_COMMAND, 2, 0);
	EXPECT_REFUSED(ROM_UNREADABLE, f->why, get(f, DEVICE(BEAST, "rom"), 0, 64));
	assert_int_equal(echo(f, DEVICE(BEAST, "rom"), "0"), 2);
	EXPECT_REFUSED(ROM_SWITCHED_OFF, f->why, get(f, DEVICE(BEAST, "rom"), 0, 64));
}

TEST_F(roms_that_are_blank_or_only_a_copy)
{
	assert_int_equal(echo(f, DEVICE(BLANK, "rom"), "1"), 2);
	EXPECT_REFUSED(ROM_UNREADABLE, f->why, get(f, DEVICE(BLANK, "rom"), 0, 64));
	EXPECT_SUBSTR("no image", f->why.text);
	assert_int_equal(echo(f, DEVICE(SCREEN, "rom"), "1"), 2);
	assert_int_equal(get(f, DEVICE(SCREEN, "rom"), 0, 4096), 1024);
	EXPECT_REFUSED(ATTRIBUTE_MISSING, f->why, get(f, DEVICE(UNSAFE, "rom"), 0, 1));
}

/* ---- vpd ---- */

TEST_F(product_data_are_read_and_partly_written)
{
	static const u8 start[] = {0x82, 20, 0, 'A', 'n', ' '};
	s64 size = get(f, DEVICE(BEAST, "vpd"), 0, 4096);
	u8 sum = 0;
	u32 i, last;

	assert_true(size > 40);
	assert_memory_equal(f->text, start, sizeof(start));
	assert_int_equal(f->text[size - 1], 0x78);
	assert_int_equal(f->text[23], 0x90);
	last = 23 + 3 + get_u16(f->text + 24);
	for (i = 0; i < last; i++)
		sum = (u8)(sum + f->text[i]);
	assert_int_equal(sum, 0);
	assert_memory_equal(f->text + last, "\x91", 1);
	/* Reads are of bytes, writes of dwords. */
	assert_int_equal(get(f, DEVICE(BEAST, "vpd"), 1, 2), 2);
	assert_memory_equal(f->text, start + 1, 2);
	assert_int_equal(get(f, DEVICE(BEAST, "vpd"), (u64)size, 8), 0);
	EXPECT_REFUSED(VPD_RANGE, f->why, put(f, DEVICE(BEAST, "vpd"), 2, "abcd", 4));
	EXPECT_REFUSED(VPD_RANGE, f->why, put(f, DEVICE(BEAST, "vpd"), 4, "abc", 3));
	EXPECT_REFUSED(VPD_RANGE, f->why, put(f, DEVICE(BEAST, "vpd"), align_up((u64)size, 4), "abcd", 4));
	assert_int_equal(put(f, DEVICE(BEAST, "vpd"), 4, "ABCD", 4), 4);
	assert_memory_equal(named(f, BEAST)->function->vpd + 4, "ABCD", 4);
	EXPECT_REFUSED(ATTRIBUTE_MISSING, f->why, get(f, DEVICE(BLANK, "vpd"), 0, 1));
}

TEST_F(product_data_without_a_tag_are_none)
{
	named(f, BEAST)->function->vpd[0] = 0xff;
	EXPECT_REFUSED(VPD_MALFORMED, f->why, get(f, DEVICE(BEAST, "vpd"), 0, 4));
	EXPECT_REFUSED(VPD_MALFORMED, f->why, put(f, DEVICE(BEAST, "vpd"), 0, "abcd", 4));
}

/* The device's own window, as lspci uses it on kernels without the file. */
TEST_F(product_data_come_through_the_registers)
{
	struct pci_function *function = named(f, BEAST)->function;
	u16 at = function->cap_vpd;

	pci_config_write(function, at + 2, 2, 4);
	assert_int_equal(pci_config_read(function, at + 2, 2), 0x8004);
	assert_int_equal(pci_config_read(function, at + 4, 4), pci_vpd_load(function, 4));
	pci_config_write(function, at + 4, 4, 0x64636261);
	pci_config_write(function, at + 2, 2, 0x8008);
	assert_int_equal(pci_config_read(function, at + 2, 2), 0x0008);
	assert_int_equal(pci_vpd_load(function, 8), 0x64636261);
	/* Behind the contents is nothing. */
	pci_config_write(function, at + 2, 2, 0x7ffc);
	assert_int_equal(pci_config_read(function, at + 4, 4), 0);
}

/* ---- links, resets, power ---- */

TEST_F(links_have_a_speed_and_a_width)
{
	assert_string_equal(cat(f, DEVICE(BEAST, "current_link_speed")), "8.0 GT/s PCIe\n");
	assert_string_equal(cat(f, DEVICE(BEAST, "max_link_width")), "4\n");
	assert_string_equal(cat(f, DEVICE(UNSAFE, "current_link_speed")), "Unknown\n");
	EXPECT_REFUSED(ATTRIBUTE_MISSING, f->why, get(f, DEVICE(SCREEN, "max_link_speed"), 0, 1));
}

TEST_F(reset_methods_keep_the_order_they_are_given)
{
	assert_string_equal(cat(f, DEVICE(BEAST, "reset_method")), "flr bus\n");
	ASSERT_OK(f->why, echo(f, DEVICE(BEAST, "reset_method"), "bus flr"));
	assert_string_equal(cat(f, DEVICE(BEAST, "reset_method")), "bus flr\n");
	ASSERT_OK(f->why, echo(f, DEVICE(BEAST, "reset_method"), "flr flr"));
	assert_string_equal(cat(f, DEVICE(BEAST, "reset_method")), "flr flr\n");
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why,
		       echo(f, DEVICE(BEAST, "reset_method"), "flr bus flr bus flr bus flr bus"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, DEVICE(BEAST, "reset_method"), "pm"));
	ASSERT_OK(f->why, echo(f, DEVICE(BEAST, "reset_method"), "default"));
	assert_string_equal(cat(f, DEVICE(BEAST, "reset_method")), "flr bus\n");
	assert_string_equal(cat(f, DEVICE(BLANK, "reset_method")), "af_flr\n");
}

TEST_F(closed_devices_of_vfio_pci_sleep)
{
	assert_string_equal(cat(f, DEVICE(BEAST, "power_state")), "D0\n");
	give(f, BEAST);
	assert_string_equal(cat(f, DEVICE(BEAST, "power_state")), "D3hot\n");
	assert_string_equal(cat(f, DEVICE(BEAST, "power/runtime_status")), "suspended\n");
	assert_string_equal(cat(f, DEVICE(BEAST, "power/control")), "auto\n");
	ASSERT_OK(f->why, echo(f, DEVICE(BEAST, "power/control"), "on"));
	assert_string_equal(cat(f, DEVICE(BEAST, "power_state")), "D0\n");
	/* As of the bind, not of now. */
	ASSERT_OK(f->why, echo(f, PARAMETER("disable_idle_d3"), "Y"));
	ASSERT_OK(f->why, echo(f, DEVICE(BEAST, "power/control"), "auto"));
	assert_string_equal(cat(f, DEVICE(BEAST, "power/runtime_status")), "suspended\n");
	give(f, SCREEN);
	assert_string_equal(cat(f, DEVICE(SCREEN, "power/runtime_status")), "active\n");
}

/* Linux calls a device without a driver suspended, and leaves it in D0. */
TEST_F(devices_without_a_driver_are_suspended_in_name_only)
{
	give(f, BEAST);
	ASSERT_OK(f->why, echo(f, "sys/bus/pci/drivers/vfio-pci/unbind", BEAST));
	assert_string_equal(cat(f, DEVICE(BEAST, "power/control")), "on\n");
	assert_string_equal(cat(f, DEVICE(BEAST, "power/runtime_status")), "active\n");
	ASSERT_OK(f->why, echo(f, DEVICE(BEAST, "power/control"), "auto"));
	assert_string_equal(cat(f, DEVICE(BEAST, "power/runtime_status")), "suspended\n");
	assert_string_equal(cat(f, DEVICE(BEAST, "power_state")), "D0\n");
}

/* ---- vfio_pci ---- */

TEST_F(parameters_are_shown_and_two_can_be_written)
{
	assert_string_equal(cat(f, PARAMETER("nointxmask")), "N\n");
	ASSERT_OK(f->why, echo(f, PARAMETER("nointxmask"), "1"));
	assert_string_equal(cat(f, PARAMETER("nointxmask")), "Y\n");
	assert_true(f->machine->vfio.pci.nointxmask);
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, echo(f, PARAMETER("disable_idle_d3"), "maybe"));
	EXPECT_REFUSED(ATTRIBUTE_NO_STORE, f->why, echo(f, PARAMETER("disable_vga"), "Y"));
	EXPECT_REFUSED(ATTRIBUTE_NO_STORE, f->why, echo(f, PARAMETER("disable_denylist"), "Y"));
}

TEST_F(devices_with_known_flaws_are_not_taken)
{
	EXPECT_REFUSED(VFIO_DENYLISTED, f->why,
		       machine_bind(f->machine, named(f, UNSAFE)->function->addr, "vfio-pci", &f->why));
	EXPECT_SUBSTR(UNSAFE, f->why.text);
	f->machine->vfio.pci.disable_denylist = true;
	give(f, UNSAFE);
}

/* ---- errors on demand ---- */

#define INJECT "sys/kernel/debug/aer_inject"

TEST_F(errors_that_nobody_could_report)
{
	EXPECT_REFUSED(AER_INJECTION, f->why, echo(f, INJECT, BEAST " uncor"));
	EXPECT_REFUSED(AER_INJECTION, f->why, echo(f, INJECT, BEAST " fatal 0x10"));
	EXPECT_REFUSED(AER_INJECTION, f->why, echo(f, INJECT, BEAST " uncor 0"));
	EXPECT_REFUSED(AER_NO_DEVICE, f->why, echo(f, INJECT, "0000:99:00.0 uncor 0x4000"));
	EXPECT_REFUSED(AER_NO_DEVICE, f->why, echo(f, INJECT, UNSAFE " uncor 0x4000"));
	EXPECT_REFUSED(AER_UNSUPPORTED, f->why, echo(f, INJECT, SCREEN " uncor 0x4000"));
	/* Advisory non-fatal errors are masked from the start. */
	EXPECT_REFUSED(AER_INJECTION, f->why, echo(f, INJECT, BEAST " cor 0x2000"));
	ASSERT_OK(f->why, echo(f, INJECT, BEAST " cor 0x2001"));
	EXPECT_REFUSED(ATTRIBUTE_NO_SHOW, f->why, get(f, INJECT, 0, 1));
}

/* A fatal one resets the link; who has no driver gets its registers back. */
TEST_F(fatal_errors_reset_what_is_below)
{
	struct pci_function *function = named(f, BEAST)->function;
	u32 bar = get_u32(function->config + PCI_BAR0);

	pci_config_write(function, function->cap_pm + 4u, 2, 3);
	ASSERT_OK(f->why, echo(f, INJECT, BEAST " uncor 0x4000"));
	assert_int_equal(get_u16(function->config + function->cap_pm + 4) & 3, 3);
	/* A fatal one that is masked is not reported along with another. */
	pci_config_write(function, function->cap_aer + 8u, 4, 0x10);
	ASSERT_OK(f->why, echo(f, INJECT, BEAST " uncor 0x4010"));
	assert_int_equal(get_u16(function->config + function->cap_pm + 4) & 3, 3);
	pci_config_write(function, function->cap_aer + 8u, 4, 0);
	ASSERT_OK(f->why, echo(f, INJECT, BEAST " uncor 0x10"));
	assert_int_equal(get_u16(function->config + function->cap_pm + 4) & 3, 0);
	assert_int_equal(get_u32(function->config + PCI_BAR0), bar);
}

/* ---- machine files ---- */

static int load(const char *device, struct why *why)
{
	struct machine *machine = NULL;
	struct description *description;
	char text[2048];
	int err;

	snprintf(text, sizeof(text), "devices: [{slot: \"01.0\", role: conventional, id: \"1af4:1000\", %s}]\n",
		 device);
	err = description_parse(text, strlen(text), "file", &description, why);
	if (err == 0)
		err = machine_new(description, &machine, why);
	if (err == 0)
		machine_free(machine);
	return err;
}

TEST(contents, what_a_machine_file_cannot_say)
{
	static const char *const wrong[] = {
		"rom: 1K",
		"rom: {minimal: true}",
		"rom: {size: 4K, shadow: 4K}",
		"rom: {size: 4K, file: x, minimal: true}",
		"rom: {shadow: 1}",
		"vpd: x",
		"vpd: {fields: [PN]}",
		"vpd: {fields: {PNX: a}}",
		"vpd: {fields: {\"P.\": a}}",
		"vpd: {fields: {RV: a}}",
		"vpd: {writable: {RW: a}}",
		"caps: [elephant]",
		"caps: [{name: ht, id: \"08\"}]",
		"caps: [{data: \"00\"}]",
		"caps: [{id: \"100\"}]",
		"caps: [{id: \"09\", data: \"0\"}]",
		"caps: [{id: \"09\", data: \"0102\"}]",
		"caps: [{id: \"09\", data: \"xy\"}]",
		"caps: [{id: \"09\", version: 16}]",
		"caps: [ltr]",
		"atomics: [16]",
		"atomics: [64]",
	};
	struct why why = WHY_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_REFUSED(MACHINE_FILE, why, load(wrong[i], &why));
	ASSERT_OK(why, load("rom: {size: 4K}, caps: [{id: \"fe\", data: \"01 02\", writable: \"ff\"}], vpd: {}", &why));
}

TEST(contents, files_that_are_none)
{
	struct why why = WHY_INIT;

	EXPECT_REFUSED(HOST_FAILED, why, load("rom: {size: 4K, file: /nonexistent}", &why));
	EXPECT_SUBSTR("the ROM of 0000:00:", why.text);
	EXPECT_REFUSED(CONTENTS_FILE, why, load("rom: {size: 4K, file: /dev/zero}", &why));
	EXPECT_REFUSED(CONTENTS_FILE, why, load("rom: {size: 2K, file: " TESTS_DATA "/machines/zoo.yaml}", &why));
	ASSERT_OK(why, load("rom: {size: 4K, file: " TESTS_DATA "/machines/zoo.yaml}", &why));
}

TEST(contents, capabilities_that_find_no_room)
{
	struct why why = WHY_INIT;

	ASSERT_OK(why, load("pm: false, caps: [ht, ht, ht, ht, ht]", &why));
	EXPECT_REFUSED(CAPABILITY_SPACE, why, load("pm: false, caps: [ht, ht, ht, ht, ht, ht, ht]", &why));
	EXPECT_SUBSTR("0000:00:01.0", why.text);
}

static int build(struct why *why)
{
	struct machine *machine = NULL;
	int err = make(TESTS_DATA "/machines/zoo.yaml", &machine, why);

	if (err == 0)
		machine_free(machine);
	return err;
}

TEST(contents, any_step_may_fail)
{
	SWEEP_FAILURES(build);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(a_rom_is_read_when_it_is_switched_on),
		CASE_F(roms_that_are_blank_or_only_a_copy),
		CASE_F(product_data_are_read_and_partly_written),
		CASE_F(product_data_without_a_tag_are_none),
		CASE_F(product_data_come_through_the_registers),
		CASE_F(links_have_a_speed_and_a_width),
		CASE_F(reset_methods_keep_the_order_they_are_given),
		CASE_F(closed_devices_of_vfio_pci_sleep),
		CASE_F(devices_without_a_driver_are_suspended_in_name_only),
		CASE_F(parameters_are_shown_and_two_can_be_written),
		CASE_F(devices_with_known_flaws_are_not_taken),
		CASE_F(errors_that_nobody_could_report),
		CASE_F(fatal_errors_reset_what_is_below),
		CASE(contents, what_a_machine_file_cannot_say),
		CASE(contents, files_that_are_none),
		CASE(contents, capabilities_that_find_no_room),
		CASE(contents, any_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
