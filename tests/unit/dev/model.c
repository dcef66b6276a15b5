/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "dev/model.h"
#include "iommu/soft.h"

TEST(model, known_names_are_found_and_listed)
{
	const struct model *nvme = model_find("nvme");

	assert_non_null(nvme);
	assert_string_equal(nvme->name, "nvme");
	assert_ptr_equal(model_at(0), nvme);
	assert_null(model_find("floppy"));
	assert_null(model_find(""));
	for (unsigned i = 0; model_at(i); i++) {
		assert_ptr_equal(model_find(model_at(i)->name), model_at(i));
		assert_non_null(model_at(i)->build);
		assert_true(!model_at(i)->attach == model_is_emulated(model_at(i)));
		assert_true(strlen(model_at(i)->summary) > 8);
	}
}

TEST(model, nvme_is_what_drivers_look_for)
{
	const struct model *nvme = model_find("nvme");

	assert_int_equal(nvme->identity.class_code, 0x010802);
	assert_int_equal(nvme->identity.vendor, 0x1b36);
	assert_int_equal(nvme->identity.device, 0x0010);
	assert_string_equal(nvme->driver, "nvme");
	assert_true(nvme->pcie);
}

TEST(model, options_are_looked_up_by_key)
{
	struct model_options options = {.count = 2, .option = {{"disk", "/a"}, {"block", "4096"}}};

	assert_string_equal(model_option(&options, "block"), "4096");
	assert_string_equal(model_option(&options, "disk"), "/a");
	assert_null(model_option(&options, "size"));
	options.count = 0;
	assert_null(model_option(&options, "disk"));
}

/* What a machine does with a model, without an IOMMU: nothing here needs the port or the memory. */
static int make_model(const char *name, const struct model_options *options, struct why *why)
{
	const struct model *model = model_find(name);
	struct pci_function *function = calloc(1, sizeof(*function));
	struct soft_memory memory = {.device = NULL};
	int err;

	pci_function_init(function, (struct pci_addr){.bus = 3}, &model->identity);
	if (model->pcie)
		pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
	model->build(function, options);
	err = pci_allocate_bars(function, why);
	if (!err && model_is_emulated(model))
		err = model->attach_soft(function, &memory, options, why);
	else if (!err)
		err = model->attach(function, NULL, options, why);
	if (!err && strcmp(name, "nvme") == 0) /* VS is there before anybody looks */
		assert_int_equal(get_u32((u8 *)function->bars[0].memory + 8), 0x00010400);
	pci_function_fini(function);
	free(function);
	return err;
}

static int make_function(const struct model_options *options, struct why *why)
{
	return make_model("nvme", options, why);
}

static int make_each(struct why *why)
{
	struct model_options options = {.count = 0};
	int err = 0;

	for (unsigned i = 0; err == 0 && model_at(i); i++)
		err = make_model(model_at(i)->name, &options, why);
	return err;
}

TEST(model, every_failure_of_attach_leaves_nothing_behind)
{
	SWEEP_FAILURES(make_each);
}

TEST(model, attach_refuses_what_the_disk_refuses)
{
	struct model_options options = {.count = 1, .option = {{"disk", "/nowhere/disk.img"}}};
	struct why why = WHY_INIT;

	EXPECT_REFUSED(DISK_UNUSABLE, why, make_function(&options, &why));
	options.option[0] = (struct model_option){"size", "lots"};
	EXPECT_REFUSED(MODEL_OPTION_INVALID, why, make_function(&options, &why));
}

TEST(model, numbers_have_limits)
{
	static const char *const bad[] = {"11", "21", "", "-1", "+14", "14k", "0x10", "99999999999999999999"};
	struct model_options options = {.count = 1};
	struct why why = WHY_INIT;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		options.option[0] = (struct model_option){"xfercap", bad[i]};
		EXPECT_REFUSED(MODEL_OPTION_INVALID, why, make_model("ioat", &options, &why));
		EXPECT_SUBSTR("from 12 to 20", why.text);
	}
	options.option[0].value = "12";
	ASSERT_OK(why, make_model("ioat", &options, &why));
	options.option[0] = (struct model_option){"minor", "5"};
	EXPECT_REFUSED(MODEL_OPTION_INVALID, why, make_model("ioat", &options, &why));
}

TEST(model, nvme_function_has_its_bars_and_vectors)
{
	const struct model *model = model_find("nvme");
	struct pci_function *function = calloc(1, sizeof(*function));
	struct model_options options = {.count = 0};

	pci_function_init(function, (struct pci_addr){.bus = 3}, &model->identity);
	pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
	model->build(function, &options);
	assert_int_equal(function->bars[0].kind, PCI_BAR_MEMORY64);
	assert_int_equal(function->bars[0].size, 0x4000);
	assert_int_equal(function->bars[4].kind, PCI_BAR_MEMORY64);
	assert_true(function->cap_msix != 0);
	assert_true((get_u16(function->config + function->cap_msix + 2) & 0x7ff) + 1 >= 17);
	assert_int_equal(get_u32(function->config + function->cap_msix + 4) & 7, 4); /* the table is in BAR 4 */
	pci_function_fini(function);
	free(function);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(model, known_names_are_found_and_listed),
		CASE(model, nvme_is_what_drivers_look_for),
		CASE(model, options_are_looked_up_by_key),
		CASE(model, every_failure_of_attach_leaves_nothing_behind),
		CASE(model, attach_refuses_what_the_disk_refuses),
		CASE(model, numbers_have_limits),
		CASE(model, nvme_function_has_its_bars_and_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
