/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "pci/caps.h"
#include "pci/topology.h"

static const struct pci_identity nic = {
	.vendor = 0x8086,
	.device = 0x10d3,
	.subsystem_vendor = 0x8086,
	.subsystem = 0xa01f,
	.class_code = 0x020001,
	.revision = 3,
};

static struct pci_function *function_new(void)
{
	struct pci_function *function = calloc(1, sizeof(*function));

	pci_function_init(function, (struct pci_addr){0, 1, 0}, &nic);
	return function;
}

static void function_free(struct pci_function *function)
{
	pci_function_fini(function);
	free(function);
}

/* Ids of the conventional chain in order, read as lspci would. */
static unsigned walk(const struct pci_function *function, u8 ids[static 16])
{
	unsigned count = 0;

	for (u8 at = function->config[PCI_CAP_POINTER]; at; at = function->config[at + 1]) {
		assert_true(at >= 0x40 && is_aligned(at, 4) && count < 16);
		ids[count++] = function->config[at];
	}
	return count;
}

static unsigned walk_extended(const struct pci_function *function, u16 ids[static 16])
{
	unsigned count = 0;
	u16 at = 0x100;

	while (at && get_u32(function->config + at)) {
		assert_true(at >= 0x100 && is_aligned(at, 4) && count < 16);
		ids[count++] = get_u16(function->config + at);
		at = (u16)(get_u32(function->config + at) >> 20);
	}
	return count;
}

TEST(caps, identity_is_in_the_header)
{
	struct pci_function *function = function_new();

	assert_int_equal(pci_config_read(function, PCI_VENDOR_ID, 4), 0x10d38086);
	assert_int_equal(pci_config_read(function, PCI_REVISION, 4), 0x02000103);
	assert_int_equal(pci_config_read(function, PCI_SUBSYSTEM_VENDOR, 4), 0xa01f8086);
	assert_int_equal(pci_config_read(function, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	assert_int_equal(function->config_size, 256);
	assert_false(pci_is_bridge(function));
	assert_false(pci_is_pcie(function));
	function_free(function);
}

TEST(caps, chain_is_in_the_order_of_the_calls)
{
	static const u8 expected[] = {PCI_CAP_PM, PCI_CAP_MSI, PCI_CAP_MSIX, PCI_CAP_PCIE, PCI_CAP_AF};
	struct pci_function *function = function_new();
	u8 ids[16];

	assert_int_equal(walk(function, ids), 0);
	pci_add_pm(function);
	pci_add_msi(function, 3, true);
	pci_add_msix(function, 5, 3, 0, 3, 0x800);
	pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
	pci_add_af(function);
	assert_int_equal(walk(function, ids), ARRAY_SIZE(expected));
	assert_memory_equal(ids, expected, sizeof(expected));
	assert_true(pci_config_read(function, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	assert_int_equal(pci_find_cap(function, PCI_CAP_MSIX), function->cap_msix);
	assert_int_equal(pci_find_cap(function, PCI_CAP_VPD), 0);
	function_free(function);
}

TEST(caps, extended_chain_parses_back)
{
	static const u16 expected[] = {PCI_EXT_AER, PCI_EXT_ACS, PCI_EXT_DSN, PCI_EXT_PASID, PCI_EXT_ATS};
	struct pci_function *function = function_new();
	u16 ids[16];

	assert_int_equal(pci_find_ext_cap(function, PCI_EXT_AER), 0);
	pci_add_pcie(function, PCIE_ENDPOINT, 0, false);
	assert_int_equal(function->config_size, 4096);
	assert_int_equal(walk_extended(function, ids), 0);
	pci_add_aer(function);
	pci_add_acs(function, 0x1f, 0x1d);
	pci_add_dsn(function, 0x001b21ffff123456);
	pci_add_pasid(function, 20);
	pci_add_ats(function);
	assert_int_equal(walk_extended(function, ids), ARRAY_SIZE(expected));
	assert_memory_equal(ids, expected, sizeof(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_true(pci_find_ext_cap(function, expected[i]) >= 0x100);
	assert_int_equal(pci_find_ext_cap(function, PCI_EXT_ATS), function->cap_ats);
	assert_int_equal(get_u64(function->config + pci_find_ext_cap(function, PCI_EXT_DSN) + 4), 0x001b21ffff123456);
	function_free(function);
}

TEST(caps, contents_are_what_the_call_said)
{
	struct pci_function *function = function_new();

	pci_add_msi(function, 4, true);
	pci_add_msix(function, 33, 4, 0x2000, 2, 0x3000);
	pci_add_pcie(function, PCIE_ENDPOINT, 7, true);
	pci_add_acs(function, 0x5f, 0xffff);
	/* Multiple Message Capable 2^4, 64-bit address */
	assert_int_equal(pci_config_read(function, (u16)(function->cap_msi + 2), 2), 0x0088);
	assert_int_equal(pci_config_read(function, (u16)(function->cap_msix + 2), 2), 32);
	assert_int_equal(pci_config_read(function, (u16)(function->cap_msix + 4), 4), 0x2004);
	assert_int_equal(pci_config_read(function, (u16)(function->cap_msix + 8), 4), 0x3002);
	assert_int_equal(pcie_type(function), PCIE_ENDPOINT);
	assert_true(pci_config_read(function, (u16)(function->cap_pcie + 4), 4) & 0x10000000);
	/* What is enabled is capable. */
	assert_int_equal(pci_config_read(function, (u16)(function->cap_acs + 4), 4), 0x005f005f);
	function_free(function);
}

TEST(caps, ports_have_slots_and_integrated_endpoints_no_link)
{
	static const struct {
		enum pcie_type type;
		bool slot, link;
	} types[] = {
		{PCIE_ENDPOINT, false, true},	    {PCIE_ROOT_PORT, true, true},     {PCIE_UPSTREAM_PORT, false, true},
		{PCIE_DOWNSTREAM_PORT, true, true}, {PCIE_RC_ENDPOINT, false, false}, {PCIE_TO_PCI_BRIDGE, false, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct pci_function *function = function_new();
		u16 at;

		pci_add_pcie(function, types[i].type, 9, false);
		at = function->cap_pcie;
		assert_int_equal(pcie_type(function), types[i].type);
		assert_int_equal(pci_config_read(function, (u16)(at + 2), 2) & 0xf, 2);
		assert_int_equal(!!(pci_config_read(function, (u16)(at + 2), 2) & 0x100), types[i].slot);
		assert_int_equal(pci_config_read(function, (u16)(at + 0x14), 4) >> 19, types[i].slot ? 9 : 0);
		assert_int_equal(pci_config_read(function, (u16)(at + 0x0c), 4) != 0, types[i].link);
		/* The link runs at a speed it supports. */
		if (types[i].link)
			assert_true(pci_config_read(function, (u16)(at + 0x2c), 4) &
				    1u << (pci_config_read(function, (u16)(at + 0x12), 2) & 0xf));
		function_free(function);
	}
}

TEST(caps, bridge_has_a_header_of_its_own)
{
	struct pci_function *function = function_new();

	pci_set_multifunction(function);
	pci_make_bridge(function, 2, 5);
	assert_true(pci_is_bridge(function));
	assert_int_equal(function->config[PCI_HEADER_TYPE], 0x81);
	assert_int_equal(pci_config_read(function, PCI_PRIMARY_BUS, 4), 0x00050201);
	assert_int_equal(pci_config_read(function, PCI_SUBSYSTEM_VENDOR, 4), 0);
	pci_add_subsystem(function, 0x1028, 0x0869);
	assert_int_equal(pci_config_read(function, (u16)(pci_find_cap(function, PCI_CAP_SUBSYSTEM) + 4), 4),
			 0x08691028);
	function_free(function);
}

TEST(caps, bars_carry_their_type)
{
	struct pci_function *function = function_new();

	pci_add_bar(function, 0, PCI_BAR_MEMORY64, 0x4000, true);
	pci_add_bar(function, 2, PCI_BAR_IO, 32, false);
	pci_add_bar(function, 3, PCI_BAR_MEMORY32, 0x1000, false);
	pci_place_bar(function, 0, 0x4012340000);
	pci_place_bar(function, 2, 0x3000);
	pci_place_bar(function, 3, 0xe0000000);
	assert_int_equal(function->bars[1].kind, PCI_BAR_UPPER_HALF);
	assert_int_equal(pci_config_read(function, PCI_BAR0, 4), 0x1234000c);
	assert_int_equal(pci_config_read(function, PCI_BAR0 + 4, 4), 0x40);
	assert_int_equal(pci_config_read(function, PCI_BAR0 + 8, 4), 0x3001);
	assert_int_equal(pci_config_read(function, PCI_BAR0 + 12, 4), 0xe0000000);
	function_free(function);
}

/* A configuration image of a file may hold anything. */
TEST(caps, a_looping_chain_ends)
{
	struct pci_function *function = function_new();

	pci_add_pm(function);
	function->config[function->cap_pm + 1] = (u8)function->cap_pm;
	assert_int_equal(pci_find_cap(function, PCI_CAP_MSI), 0);
	pci_add_pcie(function, PCIE_ENDPOINT, 0, false);
	put_u32(function->config + 0x100, 0x10010001);
	assert_int_equal(pci_find_ext_cap(function, PCI_EXT_ACS), 0);
	memset(function->config + 0x100, 0xff, 0xf00);
	assert_int_equal(pci_find_ext_cap(function, PCI_EXT_ACS), 0);
	function_free(function);
}

static int allocate(struct why *why)
{
	struct pci_function *function = function_new();
	int err;

	pci_add_bar(function, 0, PCI_BAR_MEMORY64, 0x1000, false);
	pci_add_bar(function, 2, PCI_BAR_IO, 16, false);
	pci_add_bar(function, 5, PCI_BAR_MEMORY32, 0x1000, false);
	err = pci_allocate_bars(function, why);
	if (err == 0) {
		assert_non_null(function->bars[0].memory);
		assert_null(function->bars[2].memory);
		assert_non_null(function->bars[5].memory);
	}
	function_free(function);
	return err;
}

TEST(caps, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(allocate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(caps, identity_is_in_the_header),
		CASE(caps, chain_is_in_the_order_of_the_calls),
		CASE(caps, extended_chain_parses_back),
		CASE(caps, contents_are_what_the_call_said),
		CASE(caps, ports_have_slots_and_integrated_endpoints_no_link),
		CASE(caps, bridge_has_a_header_of_its_own),
		CASE(caps, bars_carry_their_type),
		CASE(caps, a_looping_chain_ends),
		CASE(caps, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
