/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "pci/addr.h"

TEST(addr, prints_what_linux_prints)
{
	char text[PCI_ADDR_TEXT];

	assert_string_equal(pci_addr_print((struct pci_addr){0, 1, pci_devfn(0, 0)}, text), "0000:01:00.0");
	assert_string_equal(pci_addr_print((struct pci_addr){0x10, 0xff, pci_devfn(31, 7)}, text), "0010:ff:1f.7");
}

TEST(addr, every_address_survives_print_and_parse)
{
	char text[PCI_ADDR_TEXT];
	struct pci_addr back;

	for (u32 key = 0; key < 0x20000; key += 7) {
		struct pci_addr addr = {key >> 16, (u8)(key >> 8), (u8)key};

		assert_true(pci_addr_parse(pci_addr_print(addr, text), &back));
		assert_true(pci_addr_equal(addr, back));
		/* The segment may be left out. */
		assert_true(pci_addr_parse(text + 5, &back));
		assert_int_equal(pci_requester_id(back), pci_requester_id(addr));
		assert_int_equal(back.segment, 0);
	}
}

TEST(addr, anything_else_is_none)
{
	static const char *const bad[] = {
		"",
		"0",
		"01:00",
		"01:00.",
		"01:00.8",
		"01:20.0",
		"1:00.0",
		"01:0.0",
		"01-00.0",
		"01:00:0",
		"0000:01:00.0 ",
		" 0000:01:00.0",
		"000:01:00.0",
		"0000:01:00.0x",
		"00000:01:00.0",
		"0000:01:00.00",
		"0000.01:00.0",
		"0000:0g:00.0",
		"0x00:01:00.0",
		"+1:00.0",
	};
	struct pci_addr addr = {1, 2, 3};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (pci_addr_parse(bad[i], &addr))
			fail_msg("\"%s\" was taken for an address", bad[i]);
	assert_int_equal(pci_addr_key(addr), 0x10203);
}

TEST(addr, segment_behind_vmd_is_wide)
{
	char text[PCI_ADDR_TEXT];
	struct pci_addr addr;

	assert_true(pci_addr_parse("10000:e1:00.0", &addr));
	assert_int_equal(addr.segment, 0x10000);
	assert_int_equal(addr.bus, 0xe1);
	assert_string_equal(pci_addr_print(addr, text), "10000:e1:00.0");
	assert_true(pci_addr_parse("ffffffff:ff:1f.7", &addr));
	assert_string_equal(pci_addr_print(addr, text), "ffffffff:ff:1f.7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(addr, prints_what_linux_prints),
		CASE(addr, every_address_survives_print_and_parse),
		CASE(addr, anything_else_is_none),
		CASE(addr, segment_behind_vmd_is_wide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
