/* SPDX-License-Identifier: MIT */
#include "machine/driver.h"

#include "tests/helpers.h"

static const struct pci_identity nvme_identity = {0x1b36, 0x0010, 0x1af4, 0x1100, 0x010802, 2};
static const struct pci_identity port_identity = {0x8086, 0x3420, 0, 0, 0x060400, 2};

struct fixture {
	struct list drivers;
	struct driver *nvme, *vfio, *stub, *port;
	struct pci_function function, bridge;
	struct why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	list_init(&f->drivers);
	pci_function_init(&f->function, (struct pci_addr){.bus = 1}, &nvme_identity);
	pci_function_init(&f->bridge, (struct pci_addr){.devfn = 8}, &port_identity);
	pci_make_bridge(&f->bridge, 1, 1);
	ASSERT_OK(f->why, driver_new("nvme", &f->drivers, &f->nvme, &f->why));
	ASSERT_OK(f->why, driver_new("vfio-pci", &f->drivers, &f->vfio, &f->why));
	ASSERT_OK(f->why, driver_new("pci-stub", &f->drivers, &f->stub, &f->why));
	ASSERT_OK(f->why, driver_new("pcieport", &f->drivers, &f->port, &f->why));
	ASSERT_OK(f->why, driver_add_function(f->nvme, &f->function, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct driver *driver, *following;

	list_for_each_safe(driver, following, &f->drivers, link) {
		driver_check(driver);
		driver_free(driver);
	}
	pci_function_fini(&f->function);
	pci_function_fini(&f->bridge);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void driver_##name##_body(struct fixture *f);                                                           \
	static void driver_##name(void **state)                                                                        \
	{                                                                                                              \
		driver_##name##_body(*state);                                                                          \
	}                                                                                                              \
	static void driver_##name##_body(struct fixture *f)

static int write_id(int (*store)(struct driver *, const struct text *, struct why *), struct driver *driver,
		    const char *bytes, struct why *why)
{
	struct text text;

	text_take(&text, bytes, strlen(bytes));
	return store(driver, &text, why);
}

#define NEW_ID(driver, bytes)	 write_id(driver_new_id, driver, bytes, &f->why)
#define REMOVE_ID(driver, bytes) write_id(driver_remove_id, driver, bytes, &f->why)

TEST_F(only_native_drivers_take_a_share_of_the_group)
{
	assert_false(f->nvme->driver_managed_dma);
	assert_true(f->vfio->driver_managed_dma);
	assert_true(f->stub->driver_managed_dma);
	assert_true(f->port->driver_managed_dma);
}

TEST_F(tables_match_what_the_description_gave_them)
{
	assert_true(driver_matches(f->nvme, &f->function, NULL));
	assert_false(driver_matches(f->nvme, &f->bridge, NULL));
	assert_true(driver_matches(f->port, &f->bridge, NULL));
	assert_false(driver_matches(f->port, &f->function, NULL));
	assert_ptr_equal(driver_find(&f->drivers, "pci-stub"), f->stub);
	assert_null(driver_find(&f->drivers, "pci-stu"));
}

TEST_F(vfio_and_stub_want_to_be_asked)
{
	ASSERT_OK(f->why, driver_add_function(f->vfio, &f->function, &f->why));
	ASSERT_OK(f->why, driver_add_function(f->stub, &f->function, &f->why));
	assert_false(driver_matches(f->vfio, &f->function, NULL));
	assert_false(driver_matches(f->stub, &f->function, NULL));
}

TEST_F(the_override_excludes_all_others_and_needs_no_id)
{
	assert_true(driver_matches(f->vfio, &f->function, "vfio-pci"));
	assert_true(driver_matches(f->port, &f->function, "pcieport"));
	assert_false(driver_matches(f->nvme, &f->function, "vfio-pci"));
	assert_false(driver_matches(f->nvme, &f->function, "nvm"));
}

TEST_F(new_id_adds_and_remove_id_takes_away)
{
	ASSERT_OK(f->why, NEW_ID(f->vfio, "1b36 0010\n"));
	assert_true(driver_matches(f->vfio, &f->function, NULL));
	ASSERT_OK(f->why, REMOVE_ID(f->vfio, "1b36 10"));
	assert_false(driver_matches(f->vfio, &f->function, NULL));
	ASSERT_OK(f->why, NEW_ID(f->vfio, "0x1b36 0x10 1af4 1100 010802 ffffff"));
	assert_true(driver_matches(f->vfio, &f->function, NULL));
	assert_false(driver_matches(f->vfio, &f->bridge, NULL));
	ASSERT_OK(f->why, NEW_ID(f->stub, "ffffffff ffffffff ffffffff ffffffff 060400 ffff00"));
	assert_true(driver_matches(f->stub, &f->bridge, NULL));
	assert_false(driver_matches(f->stub, &f->function, NULL));
}

TEST_F(new_id_refuses_what_is_no_id)
{
	EXPECT_REFUSED(NEW_ID_MALFORMED, f->why, NEW_ID(f->vfio, "1b36"));
	EXPECT_REFUSED(NEW_ID_MALFORMED, f->why, NEW_ID(f->vfio, ""));
	EXPECT_REFUSED(NEW_ID_MALFORMED, f->why, NEW_ID(f->vfio, "-1 -1"));
	EXPECT_REFUSED(NEW_ID_MALFORMED, f->why, NEW_ID(f->vfio, "%s %n \"\033\n"));
	EXPECT_SUBSTR("vfio-pci", f->why.text);
	EXPECT_REFUSED(NEW_ID_MALFORMED, f->why, REMOVE_ID(f->vfio, "0000:01:00.0"));
	EXPECT_REFUSED(NEW_ID_DATA, f->why, NEW_ID(f->vfio, "1b36 10 1af4 1100 0 0 7"));
}

TEST_F(new_id_refuses_what_the_table_has)
{
	EXPECT_REFUSED(NEW_ID_EXISTS, f->why, NEW_ID(f->nvme, "1b36 10"));
	EXPECT_SUBSTR("1b36:0010", f->why.text);
	ASSERT_OK(f->why, NEW_ID(f->vfio, "8086 10d3"));
	EXPECT_REFUSED(NEW_ID_EXISTS, f->why, NEW_ID(f->vfio, "8086 10d3"));
	/* With all seven fields Linux does not look. */
	ASSERT_OK(f->why, NEW_ID(f->vfio, "8086 10d3 ffffffff ffffffff 0 0 0"));
}

TEST_F(remove_id_knows_only_dynamic_ids)
{
	EXPECT_REFUSED(REMOVE_ID_UNKNOWN, f->why, REMOVE_ID(f->nvme, "1b36 10"));
	EXPECT_SUBSTR("nvme", f->why.text);
	ASSERT_OK(f->why, NEW_ID(f->vfio, "1b36 10 1af4 1100"));
	EXPECT_REFUSED(REMOVE_ID_UNKNOWN, f->why, REMOVE_ID(f->vfio, "1b36 10 1af4 9"));
	ASSERT_OK(f->why, REMOVE_ID(f->vfio, "1b36 10 1af4"));
	EXPECT_REFUSED(REMOVE_ID_UNKNOWN, f->why, REMOVE_ID(f->vfio, "1b36 10"));
}

TEST_F(a_bridge_has_its_subsystem_in_a_capability)
{
	struct pci_identity identity = function_identity(&f->bridge);

	assert_int_equal(identity.vendor, 0x8086);
	assert_int_equal(identity.class_code, 0x060400);
	assert_int_equal(identity.subsystem_vendor, 0);
	assert_int_equal(function_identity(&f->function).subsystem, 0x1100);
	assert_int_equal(function_identity(&f->function).revision, 2);
}

static int make_and_feed(struct why *why)
{
	struct list drivers = LIST_INIT(drivers);
	struct driver *driver;
	int err = driver_new("pcieport", &drivers, &driver, why);

	if (err < 0)
		return err;
	err = write_id(driver_new_id, driver, "8086 10d3", why);
	driver_free(driver);
	return err;
}

TEST_F(every_allocation_may_fail)
{
	SWEEP_FAILURES(make_and_feed);
	driver_free(NULL);
}

#define CASE_F(name) cmocka_unit_test_setup_teardown(driver_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(only_native_drivers_take_a_share_of_the_group),
		CASE_F(tables_match_what_the_description_gave_them),
		CASE_F(vfio_and_stub_want_to_be_asked),
		CASE_F(the_override_excludes_all_others_and_needs_no_id),
		CASE_F(new_id_adds_and_remove_id_takes_away),
		CASE_F(new_id_refuses_what_is_no_id),
		CASE_F(new_id_refuses_what_the_table_has),
		CASE_F(remove_id_knows_only_dynamic_ids),
		CASE_F(a_bridge_has_its_subsystem_in_a_capability),
		CASE_F(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
