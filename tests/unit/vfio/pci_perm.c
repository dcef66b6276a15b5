/* SPDX-License-Identifier: MIT */
/* The tables against spec 05 section 4, and against themselves. */
#include "tests/helpers.h"

#include "pci/function.h"
#include "vfio/pci_perm.h"

/* Exposed lengths; a capability that is not here is hidden. 0: by a rule. */
static const struct {
	u16 id;
	bool extended;
	u16 flags; /* the 16 bits at `select` */
	u16 length;
} expected[] = {
	{PCI_CAP_PM, false, 0, 8},
	{PCI_CAP_AGP, false, 0, 12},
	{PCI_CAP_VPD, false, 0, 8},
	{PCI_CAP_MSI, false, 0x0000, 10},
	{PCI_CAP_MSI, false, 0x0080, 14},
	{PCI_CAP_MSI, false, 0x0100, 20},
	{PCI_CAP_MSI, false, 0x0180, 24},
	{PCI_CAP_PCIX, false, 0x0000, 8},
	{PCI_CAP_PCIX, false, 0x1000, 24},
	{PCI_CAP_PCIX, false, 0x2000, 24},
	{PCI_CAP_HT, false, 0x0000, 28},
	{PCI_CAP_HT, false, 0x8000, 24},
	{PCI_CAP_VENDOR, false, 0, 0},
	{PCI_CAP_PCIE, false, 0x0001, 20},
	{PCI_CAP_PCIE, false, 0x0091, 0x0c},
	{PCI_CAP_PCIE, false, 0x0002, 0x34},
	{PCI_CAP_PCIE, false, 0x0092, 0x2c},
	{PCI_CAP_MSIX, false, 0, 12},
	{PCI_CAP_SATA, false, 0x0000, 8},
	{PCI_CAP_SATA, false, 0x000f, 16},
	{PCI_CAP_AF, false, 0, 6},
	{PCI_EXT_AER, true, 0, 0x2c},
	{PCI_EXT_VC, true, 0, 0},
	{PCI_EXT_DSN, true, 0, 12},
	{PCI_EXT_PWR, true, 0, 16},
	{0x0008, true, 0, 0},
	{0x0009, true, 0, 0},
	{PCI_EXT_VENDOR, true, 0, 0},
	{PCI_EXT_ACS, true, 0, 0},
	{PCI_EXT_ARI, true, 0, 8},
	{PCI_EXT_ATS, true, 0, 8},
	{PCI_EXT_SRIOV, true, 0, 64},
	{0x0012, true, 0, 40},
	{0x0013, true, 0, 16},
	{0x0015, true, 0, 0},
	{0x0016, true, 0, 0},
	{0x0017, true, 0, 0},
	{PCI_EXT_LTR, true, 0, 8},
	{PCI_EXT_DVSEC, true, 0, 0},
};

TEST(pci_perm, lengths_are_those_of_the_specification)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		u8 config[64] = {};
		const struct perm_cap *cap;

		put_u16(config + (expected[i].id == PCI_CAP_SATA && !expected[i].extended ? 4 : 2), expected[i].flags);
		cap = perm_find(config, 0, expected[i].id, expected[i].extended);
		assert_non_null(cap);
		assert_int_equal(cap->length, expected[i].length);
		assert_int_equal(cap->rule == LENGTH_FIXED, expected[i].length != 0);
	}
}

static bool is_expected(u16 id, bool extended)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		if (expected[i].id == id && expected[i].extended == extended)
			return true;
	return false;
}

TEST(pci_perm, everything_else_is_hidden)
{
	u8 config[64] = {};

	for (unsigned id = 0; id < 0x100; id++)
		for (unsigned extended = 0; extended < 2; extended++)
			assert_int_equal(perm_find(config, 0, (u16)id, extended) != NULL,
					 is_expected((u16)id, extended));
	/* So no program ever sees PASID. */
	assert_null(perm_find(config, 0, PCI_EXT_PASID, true));
}

static void check_fields(const struct perm_cap *cap)
{
	unsigned next = 0;

	assert_non_null(cap->fields);
	for (const struct perm_field *field = cap->fields; field->width; field++) {
		u32 bits = field->width == 4 ? UINT32_MAX : (1u << 8 * field->width) - 1;

		assert_true(field->width == 1 || field->width == 2 || field->width == 4);
		assert_true(is_aligned(field->offset, field->width));
		assert_true(field->offset >= next);
		next = field->offset + field->width;
		assert_true(strlen(field->section) > 2);
		/* ALL stands for every bit of any width; other masks fit. */
		assert_true(field->virtual == ALL || !(field->virtual & ~bits));
		assert_true(field->write == ALL || !(field->write & ~bits));
	}
}

TEST(pci_perm, fields_are_in_order_and_say_where_they_come_from)
{
	check_fields(&perm_header);
	for (unsigned i = 0; i < perm_ncaps; i++) {
		const struct perm_cap *cap = &perm_caps[i];

		check_fields(cap);
		/* The way to the next capability is never the program's to write, and always ours. */
		assert_int_equal(cap->fields[0].offset, cap->extended ? 0 : 1);
		assert_int_equal(cap->fields[0].virtual, ALL);
		assert_int_equal(cap->fields[0].write, 0);
		assert_true(!cap->raw || cap->id == PCI_CAP_VENDOR || cap->id == PCI_EXT_VENDOR ||
			    cap->id == PCI_EXT_DVSEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_perm, lengths_are_those_of_the_specification),
		CASE(pci_perm, everything_else_is_hidden),
		CASE(pci_perm, fields_are_in_order_and_say_where_they_come_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
