/* SPDX-License-Identifier: MIT */
/* Functions that say they have a function level reset, and hang after it (PCI_DEV_FLAGS_NO_FLR_RESET). */
#include "tests/fixtures/reset_room.h"

#define ANOTHER_WAY "0000:01:00.0" /* alone on its bus, which is reset instead */
#define NO_WAY	    "0000:02:00.0"
#define BESIDE	    "0000:02:00.1"
#define REVISED	    "0000:03:00.0" /* the revision that has been mended */
#define AF	    "0000:05:00.0" /* conventional PCI */

#define WITHOUT	  "0000:06:00.0" /* have the quirk, and not what it is about */
#define SLEEPLESS "0000:06:00.1"
#define POWERLESS "0000:06:00.2"

#define FUNCTION(slot, id, more)                                                                                       \
	"      {slot: '" slot "', id: '" id "', flr: true, driver: none, bars: {0: 4K}" more "},\n"

#define LACKS(slot, id, more)                                                                                          \
	"      {slot: '" slot "', id: '" id "', driver: none, acs: full, bars: {0: 4K}" more "},\n"
#define LACKING                                                                                                        \
	RESET_PORT("06", "acs: full")                                                                                  \
	LACKS("00.0", "1022:149c", "")                                                                                 \
	LACKS("00.1", "15b3:cf6c", "") LACKS("00.2", "15b3:cf6c", ", pm: false") RESET_END

static const char buses[] = RESET_PORT("01", "acs: full") FUNCTION("00.0", "14c3:0616", "") RESET_END RESET_PORT(
	"02", "acs: full") FUNCTION("00.0", "1022:149c", ", acs: full") FUNCTION("00.1", "1022:149d", ", acs: full")
	RESET_END RESET_PORT("03", "acs: full") FUNCTION("00.0", "d063:1000", ", revision: '02', acs: full")
		FUNCTION("00.1", "d063:1000", ", revision: '01', acs: full") RESET_END RESET_PORT(
			"04", "acs: full") "      {slot: '00.0', role: pci-bridge, bus: '05', id: "
					   "'104c:8240', devices: [\n" FUNCTION("00.0", "8086:1502", "")
						   FUNCTION("01.0", "8086:1504", "") "]}\n" RESET_END LACKING;

TEST(reset_quirks, its_bus_is_reset_instead)
{
	struct reset_room *f = *state;
	int device = reset_open_node(f, ANOTHER_WAY);
	static const char path[] = "sys/bus/pci/devices/" ANOTHER_WAY "/reset_method";

	assert_string_equal(reset_methods(f, ANOTHER_WAY), "bus\n");
	EXPECT_NO(ATTRIBUTE_VALUE, isolde_attribute_write(f->machine, path, "flr", 3, &f->why));
	assert_true(reset_is_told(f, device));
	OK(IOCTL(device, VFIO_DEVICE_RESET, NULL));
}

TEST(reset_quirks, where_there_is_no_other_way_there_is_none)
{
	struct reset_room *f = *state;
	int device = reset_open_node(f, NO_WAY);

	assert_string_equal(reset_methods(f, NO_WAY), "");
	assert_false(reset_is_told(f, device));
	EXPECT_NO(DEVICE_NOT_RESETTABLE, IOCTL(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_SUBSTR("no-flr", f->expected.text);
	EXPECT_SUBSTR("shares its bus", f->expected.text);
	assert_string_equal(reset_methods(f, BESIDE), "flr\n");
	assert_true(reset_is_told(f, reset_open_node(f, BESIDE)));
}

/* What hangs them is nothing that they have. */
TEST(reset_quirks, are_not_blamed_for_ways_that_are_not_there)
{
	struct reset_room *f = *state;

	EXPECT_NO(DEVICE_NOT_RESETTABLE, IOCTL(reset_open_node(f, WITHOUT), VFIO_DEVICE_RESET, NULL));
	EXPECT_SUBSTR(WITHOUT " has no function-level reset, ", f->expected.text);
	EXPECT_NO(DEVICE_NOT_RESETTABLE, IOCTL(reset_open_node(f, SLEEPLESS), VFIO_DEVICE_RESET, NULL));
	EXPECT_SUBSTR(SLEEPLESS " has no function-level reset, keeps its state in D3hot and ", f->expected.text);
	EXPECT_NO(DEVICE_NOT_RESETTABLE, IOCTL(reset_open_node(f, POWERLESS), VFIO_DEVICE_RESET, NULL));
	EXPECT_SUBSTR(POWERLESS " has no function-level reset, has no power management and ", f->expected.text);
}

/* vfio_pci_core_enable() asks once. */
TEST(reset_quirks, are_not_blamed_for_what_was_forbidden_by_hand)
{
	static const char path[] = "sys/bus/pci/devices/" BESIDE "/reset_method";
	struct reset_room *f = *state;
	int device;

	OK(isolde_attribute_write(f->machine, path, "\n", 1, &f->why));
	device = reset_open_node(f, BESIDE);
	assert_false(reset_is_told(f, device));
	EXPECT_NO(DEVICE_NOT_RESETTABLE, IOCTL(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_SUBSTR(BESIDE " cannot be reset: its reset_method was emptied", f->expected.text);
	OK(isolde_attribute_write(f->machine, path, "default", 7, &f->why));
	EXPECT_NO(DEVICE_NOT_RESETTABLE, IOCTL(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_SUBSTR(BESIDE " had no way to be reset when it was opened", f->expected.text);
}

/* quirk_no_flr_snet() */
TEST(reset_quirks, one_revision_may_have_it)
{
	struct reset_room *f = *state;

	assert_string_equal(reset_methods(f, REVISED), "flr\n");
	assert_string_equal(reset_methods(f, "0000:03:00.1"), "");
}

/* pci_af_flr() */
TEST(reset_quirks, conventional_functions_too)
{
	struct reset_room *f = *state;

	assert_string_equal(reset_methods(f, AF), "");
	assert_string_equal(reset_methods(f, "0000:05:01.0"), "af_flr\n");
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
#define RESET_QUIRKS(name) cmocka_unit_test_setup_teardown(reset_quirks_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		RESET_QUIRKS(its_bus_is_reset_instead),
		RESET_QUIRKS(where_there_is_no_other_way_there_is_none),
		RESET_QUIRKS(are_not_blamed_for_ways_that_are_not_there),
		RESET_QUIRKS(are_not_blamed_for_what_was_forbidden_by_hand),
		RESET_QUIRKS(one_revision_may_have_it),
		RESET_QUIRKS(conventional_functions_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
