/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "pci/ids.h"

static const char list[] = "# a comment\n"
			   "\n"
			   "1022  Advanced Micro Devices, Inc. [AMD]\n"
			   "\t1632  Renoir PCIe Dummy Host Bridge\n"
			   "\t7801  FCH SATA Controller [AHCI mode]\n"
			   "\t7901  FCH SATA Controller [AHCI mode]\n"
			   "\t\t1022 7901  FCH SATA of a board\n"
			   "8086  Intel Corporation\n"
			   "\t9d14  Sunrise Point-LP PCI Express Root Port #5\n"
			   "8087  Intel Corporation Extra\r\n"
			   "zzzz  No number\n"
			   "\t1632  Child of no vendor\n"
			   "C 06  Bridge\n"
			   "\t04  PCI bridge\n"
			   "\t\t00  Normal decode\n"
			   "C 0c  Serial bus controller\n"
			   "\t03  USB controller\n";

static struct pci_ids *parse(const char *text)
{
	struct pci_ids *ids = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_ids_parse(text, strlen(text), &ids, &why));
	return ids;
}

static int vendor_of(const struct pci_ids *ids, const char *text)
{
	size_t length = 0;
	u16 vendor = 0;

	if (!pci_ids_vendor(ids, text, strlen(text), &vendor, &length))
		return -1;
	assert_in_range(length, 1, strlen(text));
	return vendor;
}

static enum pci_ids_found device_of(const struct pci_ids *ids, u16 vendor, const char *text, u16 *ret)
{
	*ret = 0;
	return pci_ids_device(ids, vendor, text, strlen(text), ret);
}

TEST(ids, a_vendor_is_the_longest_name_that_text_begins_with)
{
	struct pci_ids *ids = parse(list);
	size_t length;
	u16 vendor;

	assert_int_equal(vendor_of(ids, "Intel Corporation Device 9d14"), 0x8086);
	assert_int_equal(vendor_of(ids, "Intel Corporation Extra Device"), 0x8087);
	assert_int_equal(vendor_of(ids, "INTEL   corporation"), 0x8086);
	assert_int_equal(vendor_of(ids, "Intel Corporationx"), -1);
	assert_int_equal(vendor_of(ids, "Intel"), -1);
	assert_int_equal(vendor_of(ids, ""), -1);
	assert_int_equal(vendor_of(ids, "No number"), -1);
	assert_true(pci_ids_vendor(ids, "Intel Corporation Device", 24, &vendor, &length));
	assert_int_equal(length, strlen("Intel Corporation"));
	pci_ids_free(ids);
}

TEST(ids, vendors_are_known_by_former_names)
{
	struct pci_ids *ids = parse(list);

	assert_int_equal(vendor_of(ids, "Advanced Micro Devices, Inc. [AMD] Renoir"), 0x1022);
	assert_int_equal(vendor_of(ids, "Advanced Micro Devices [AMD] Family 10h"), 0x1022);
	assert_int_equal(vendor_of(ids, "Advanced Micro Devices [AMD] nee ATI SB700"), 0x1002);
	assert_int_equal(vendor_of(ids, "ATI Technologies Inc SB700"), 0x1002);
	pci_ids_free(ids);
}

TEST(ids, a_device_is_known_under_its_vendor_only)
{
	struct pci_ids *ids = parse(list);
	u16 id;

	assert_int_equal(device_of(ids, 0x8086, "sunrise point-lp PCI  Express Root Port #5 ", &id), IDS_FOUND);
	assert_int_equal(id, 0x9d14);
	assert_int_equal(device_of(ids, 0x1022, "Sunrise Point-LP PCI Express Root Port #5", &id), IDS_UNKNOWN);
	assert_int_equal(device_of(ids, 0x8087, "Child of no vendor", &id), IDS_UNKNOWN);
	assert_int_equal(device_of(ids, 0x1022, "FCH SATA of a board", &id), IDS_UNKNOWN);
	assert_int_equal(device_of(ids, 0x1022, "", &id), IDS_UNKNOWN);
	pci_ids_free(ids);
}

TEST(ids, of_devices_with_one_name_the_lowest_is_told_as_one_of_several)
{
	struct pci_ids *ids = parse(list);
	u16 id;

	assert_int_equal(device_of(ids, 0x1022, "FCH SATA Controller [AHCI mode]", &id), IDS_SEVERAL);
	assert_int_equal(id, 0x7801);
	pci_ids_free(ids);
}

TEST(ids, a_class_is_known_by_its_subclass_first)
{
	struct pci_ids *ids = parse(list);
	u16 class = 0;

	assert_true(pci_ids_class(ids, "PCI bridge", 10, &class));
	assert_int_equal(class, 0x0604);
	assert_true(pci_ids_class(ids, "Serial bus controller", 21, &class));
	assert_int_equal(class, 0x0c80);
	assert_false(pci_ids_class(ids, "Normal decode", 13, &class));
	assert_false(pci_ids_class(ids, "PCI bridg", 9, &class));
	pci_ids_free(ids);
}

TEST(ids, any_contents_are_legal)
{
	static const char *const contents[] = {
		"", "\n", "\t", "C", "C ", "C 06", "1022", "1022 ", "\t1022  Device", "\t\t\t"};
	char noise[4096];
	u16 id;

	for (unsigned i = 0; i < ARRAY_SIZE(contents); i++) {
		struct pci_ids *ids = parse(contents[i]);

		assert_int_equal(vendor_of(ids, "Device"), -1);
		pci_ids_free(ids);
	}
	srand(1);
	for (unsigned round = 0; round < 200; round++) {
		struct pci_ids *ids = NULL;
		struct why why = WHY_INIT;

		for (unsigned i = 0; i < sizeof(noise); i++)
			noise[i] = "0 \t\n\r#Cab\0"[rand() % 10];
		ASSERT_OK(why, pci_ids_parse(noise, sizeof(noise), &ids, &why));
		pci_ids_device(ids, 0xaaaa, "a b", 3, &id);
		pci_ids_free(ids);
	}
}

TEST(ids, reads_a_file_or_names_the_path)
{
	struct pci_ids *ids = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_ids_read(TESTS_DATA "/pci.ids", &ids, &why));
	assert_int_equal(vendor_of(ids, "Pericom Semiconductor PI7C9X2G608GP"), 0x12d8);
	pci_ids_free(ids);
	EXPECT_REFUSED(HOST_FAILED, why, pci_ids_read("/nonexistent/pci.ids", &ids, &why));
	EXPECT_SUBSTR("/nonexistent/pci.ids", why.text);
	EXPECT_REFUSED(HOST_FAILED, why, pci_ids_read(TESTS_DATA, &ids, &why));
	pci_ids_free(NULL);
}

static int parse_all(struct why *why)
{
	struct pci_ids *ids = NULL;
	int err = pci_ids_parse(list, sizeof(list) - 1, &ids, why);

	pci_ids_free(ids);
	return err;
}

TEST(ids, no_failure_leaks)
{
	SWEEP_FAILURES(parse_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ids, a_vendor_is_the_longest_name_that_text_begins_with),
		CASE(ids, vendors_are_known_by_former_names),
		CASE(ids, a_device_is_known_under_its_vendor_only),
		CASE(ids, of_devices_with_one_name_the_lowest_is_told_as_one_of_several),
		CASE(ids, a_class_is_known_by_its_subclass_first),
		CASE(ids, any_contents_are_legal),
		CASE(ids, reads_a_file_or_names_the_path),
		CASE(ids, no_failure_leaks),
	};

	return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
