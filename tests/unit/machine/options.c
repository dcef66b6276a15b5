/* SPDX-License-Identifier: MIT */
/* What `options` and `iommu.pasids` of a machine file do, seen from the driver-facing API. */
#include "isolde/iommu.h"

#include "isolde/isolde.h"
#include "machine/api.h"
#include "tests/fixtures/told.h"

#define WITH	"0000:01:00.0" /* has PASIDs */
#define WITHOUT "0000:01:00.1"

struct fixture {
	struct isolde_machine *machine;
	struct isolde_device *with, *without;
	struct isolde_domain *domain;
	struct isolde_why why;
	struct why expected;
};

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call) ASSERT_OK(f->expected, told(f, call))

static int setup(void **state)
{
	const struct isolde_machine_options options = {.size = sizeof(options),
						       .machine = TESTS_DATA "/machines/options.yaml"};
	struct fixture *f = calloc(1, sizeof(*f));

	OK(isolde_machine_new(&options, &f->machine, &f->why));
	OK(isolde_device_get(f->machine, WITH, &f->with, &f->why));
	OK(isolde_device_get(f->machine, WITHOUT, &f->without, &f->why));
	OK(isolde_domain_new(f->with, "the test's own", &f->domain, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	OK(isolde_domain_free(f->domain, &f->why));
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
	free(f);
	return 0;
}

static void give_driver(struct fixture *f, struct isolde_device *device, const char *name, unsigned intent)
{
	const struct isolde_driver driver = {.size = sizeof(driver), .name = name, .intent = intent};

	OK(isolde_driver_bind(device, &driver, &f->why));
}

static void test_pasids(void **state)
{
	struct fixture *f = *state;

	/* Six bits of the unit, twenty of the device; the other function has no capability. */
	assert_int_equal(isolde_device_max_pasids(f->with), 64);
	assert_int_equal(isolde_device_max_pasids(f->without), 0);
	assert_int_equal(isolde_device_group(f->with), isolde_device_group(f->without));
}

static void test_strict_intent(void **state)
{
	struct fixture *f = *state;

	give_driver(f, f->with, "plain", ISOLDE_INTENT_DMA);
	EXPECT_REFUSED(INTENT_NO_PASID, f->expected,
		       told(f, isolde_attach_pasid(f->domain, f->with, 5, NULL, &f->why)));
	EXPECT_SUBSTR("plain declared DMA with its requester id", f->why.text);
	OK(isolde_driver_unbind(f->with, &f->why));
	give_driver(f, f->with, "many", ISOLDE_INTENT_DMA | ISOLDE_INTENT_PASID);
	OK(isolde_attach_pasid(f->domain, f->with, 5, NULL, &f->why));
	OK(isolde_detach_pasid(f->with, 5, &f->why));
	OK(isolde_driver_unbind(f->with, &f->why));
	give_driver(f, f->without, "hopeful", ISOLDE_INTENT_DMA | ISOLDE_INTENT_PASID);
	EXPECT_REFUSED(INTENT_NO_PASID_TLPS, f->expected,
		       told(f, isolde_attach_pasid(f->domain, f->without, 5, NULL, &f->why)));
	EXPECT_SUBSTR("no PASID capability", f->why.text);
	OK(isolde_driver_unbind(f->without, &f->why));
}

static void test_private_domains(void **state)
{
	struct fixture *f = *state;

	give_driver(f, f->with, "first", ISOLDE_INTENT_DMA);
	give_driver(f, f->without, "second", ISOLDE_INTENT_DMA);
	EXPECT_REFUSED(GROUP_SHARED_USERS, f->expected, told(f, isolde_attach_device(f->domain, f->with, &f->why)));
	EXPECT_SUBSTR("second", f->why.text);
	OK(isolde_driver_unbind(f->without, &f->why));
	OK(isolde_attach_device(f->domain, f->with, &f->why));
	OK(isolde_detach_device(f->domain, f->with, &f->why));
	OK(isolde_driver_unbind(f->with, &f->why));
}

static void test_alias_domains(void **state)
{
	struct fixture *f = *state;

	OK(isolde_attach_alias_set(f->domain, f->with, &f->why));
	isolde_machine_check(f->machine);
	isolde_detach_alias_set(f->with);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pasids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strict_intent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_private_domains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alias_domains, setup, teardown),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
