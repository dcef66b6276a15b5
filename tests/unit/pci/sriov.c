/* SPDX-License-Identifier: MIT */
/* Physical and virtual functions: addresses, registers, coming and going. */
#include "pci/topology.h"

#include <stdlib.h>

#include "pci/caps.h"
#include "tests/helpers.h"

static const struct pci_identity identity = {.vendor = 0x8086, .device = 0x1572, .class_code = 0x020000};

static struct pci_function *function_new(struct pci_topology *topology, struct pci_addr addr,
					 const struct pci_identity *ids, struct pci_function *physical, unsigned n)
{
	struct pci_function *function = calloc(1, sizeof(*function));

	pci_function_init(function, addr, ids);
	pci_add_msi(function, 0, true);
	pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
	if (physical) {
		pci_add_bar(function, 0, PCI_BAR_MEMORY64, 0x4000, false);
		pci_make_virtual(function, physical, n);
	}
	pci_topology_add(topology, function);
	return function;
}

static struct pci_function *physical_new(struct pci_topology *topology, const struct pci_sriov *sriov)
{
	struct pci_function *function = function_new(topology, (struct pci_addr){.bus = 1}, &identity, NULL, 0);

	pci_add_sriov(function, sriov);
	return function;
}

static struct pci_function *virtual_new(struct pci_topology *topology, struct pci_function *physical, unsigned n)
{
	struct pci_identity ids = identity;
	struct pci_addr addr;

	ids.device = 0x154c;
	assert_true(pci_virtual_addr(physical, n, &addr));
	return function_new(topology, addr, &ids, physical, n);
}

TEST(sriov, an_address_tells_which_it_is)
{
	static const struct pci_sriov kinds[] = {
		{.total = 64, .offset = 16, .stride = 1},
		{.total = 128, .offset = 128, .stride = 2},
		{.total = 1, .offset = 1},
		{.total = 65535, .offset = 255, .stride = 3},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct pci_topology topology;
		struct pci_function *function;
		struct pci_addr addr;
		unsigned n, back;

		pci_topology_init(&topology);
		function = physical_new(&topology, &kinds[i]);
		assert_true(pci_is_physical(function));
		for (n = 0; n < kinds[i].total && pci_virtual_addr(function, n, &addr); n++) {
			assert_true(pci_virtual_position(function, addr, &back));
			assert_int_equal(back, n);
			addr.segment++;
			assert_false(pci_virtual_position(function, addr, &back));
		}
		assert_int_equal(n, i == 3 ? (0xffff - 0x100 - 255) / 3 + 1 : kinds[i].total);
		assert_false(pci_virtual_position(function, function->addr, &back));
		pci_topology_fini(&topology);
	}
}

TEST(sriov, nothing_is_physical_without_a_place_for_all)
{
	static const struct pci_sriov kinds[] = {{.total = 0, .offset = 1, .stride = 1},
						 {.total = 2, .offset = 0, .stride = 1},
						 {.total = 2, .offset = 1}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct pci_topology topology;

		pci_topology_init(&topology);
		assert_false(pci_is_physical(physical_new(&topology, &kinds[i])));
		pci_topology_fini(&topology);
	}
}

static const struct pci_sriov few = {.initial = 4, .total = 4, .offset = 16, .stride = 1, .device = 0x154c};

TEST(sriov, a_virtual_function_has_few_registers)
{
	struct pci_function *physical, *virtual;
	struct pci_topology topology;
	u16 vendor, device;

	pci_topology_init(&topology);
	physical = physical_new(&topology, &few);
	virtual = virtual_new(&topology, physical, 2);
	assert_int_equal(virtual->addr.devfn, 18);
	assert_int_equal(pci_config_read(virtual, PCI_VENDOR_ID, 4), UINT32_MAX);
	pci_known_ids(virtual, &vendor, &device);
	assert_int_equal(vendor, 0x8086);
	assert_int_equal(device, 0x154c);
	for (u16 at = 0; at < PCI_HEADER_SIZE; at += 4)
		pci_config_write(virtual, at, 4, UINT32_MAX);
	assert_int_equal(pci_config_read(virtual, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	for (u16 at = PCI_BAR0; at < PCI_BAR0 + 4 * PCI_BARS; at += 4)
		assert_int_equal(pci_config_read(virtual, at, 4), 0);
	assert_int_equal(pci_config_read(virtual, PCI_INTERRUPT_LINE, 2), 0);
	/* What is behind the header is its own. */
	pci_config_write(virtual, (u16)(virtual->cap_msi + 4), 4, 0xfee00000);
	assert_int_equal(pci_config_read(virtual, (u16)(virtual->cap_msi + 4), 4), 0xfee00000);
	/* The physical one lets the CPU get at its memory. */
	assert_false(pci_decodes_memory(virtual));
	pci_sriov_enable(physical, 3);
	assert_int_equal(pci_sriov_number(physical), 3);
	assert_true(pci_decodes_memory(virtual));
	pci_sriov_enable(physical, 0);
	assert_int_equal(pci_sriov_number(physical), 0);
	pci_topology_fini(&topology);
}

TEST(sriov, addresses_of_bars_follow_one_another)
{
	struct pci_function *physical, *first, *third;
	struct pci_topology topology;
	struct why why = WHY_INIT;

	pci_topology_init(&topology);
	physical = physical_new(&topology, &few);
	first = virtual_new(&topology, physical, 0);
	ASSERT_OK(why, pci_sriov_add_bars(physical, first, &why));
	pci_sriov_place_bar(physical, 0, 0x120000000);
	assert_int_equal(get_u32(physical->config + physical->cap_sriov + PCI_SRIOV_BAR0), 0x20000004);
	assert_int_equal(get_u32(physical->config + physical->cap_sriov + PCI_SRIOV_BAR0 + 4), 1);
	third = virtual_new(&topology, physical, 2);
	assert_int_equal(third->bars[0].address, 0x120008000);
	assert_int_equal(get_u32(third->config + PCI_BAR0), 0);
	pci_topology_fini(&topology);
}

TEST(sriov, a_reset_goes_on_to_the_virtual_functions)
{
	struct pci_function *physical, *virtual;
	struct pci_topology topology;

	pci_topology_init(&topology);
	physical = physical_new(&topology, &few);
	virtual = virtual_new(&topology, physical, 0);
	pci_config_write(virtual, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	pci_function_reset(physical);
	assert_int_equal(pci_command(virtual), 0);
	/* One of them is nobody else's matter. */
	pci_config_write(physical, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	pci_function_reset(virtual);
	assert_int_equal(pci_command(physical), PCI_COMMAND_MASTER);
	pci_topology_fini(&topology);
}

static void take_away(struct pci_topology *topology, struct pci_grouping *grouping, struct pci_function *function)
{
	pci_grouping_forget(grouping, function);
	pci_topology_remove(topology, function);
	pci_function_fini(function);
	free(function);
}

TEST(sriov, those_that_stay_keep_their_groups)
{
	struct pci_function *physical, *virtuals[4], *function;
	struct pci_grouping *grouping;
	struct pci_topology topology;
	struct why why = WHY_INIT;

	pci_topology_init(&topology);
	physical = physical_new(&topology, &few);
	for (unsigned n = 0; n < ARRAY_SIZE(virtuals); n++)
		virtuals[n] = virtual_new(&topology, physical, n);
	ASSERT_OK(why, pci_grouping_compute(&topology, NULL, &grouping, &why));
	take_away(&topology, grouping, virtuals[1]);
	take_away(&topology, grouping, virtuals[3]);
	assert_int_equal(topology.count, 3);
	assert_int_equal(grouping->count, 3);
	assert_int_equal(virtuals[2]->index, 2);
	assert_int_equal(grouping->group[0], 0);
	assert_int_equal(grouping->group[1], 1);
	assert_int_equal(grouping->group[2], 3);
	assert_int_equal(grouping->alias_set[2], 3);
	assert_ptr_equal(grouping->merges[2].function ? grouping->merges[2].function : virtuals[2], virtuals[2]);
	assert_ptr_equal(physical->virtuals, virtuals[2]);
	assert_ptr_equal(virtuals[2]->next_virtual, virtuals[0]);
	assert_null(virtuals[0]->next_virtual);
	take_away(&topology, grouping, virtuals[2]);
	take_away(&topology, grouping, virtuals[0]);
	assert_null(physical->virtuals);
	list_for_each(function, &topology.functions, link)
		assert_ptr_equal(function, physical);
	pci_grouping_free(grouping);
	pci_topology_fini(&topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sriov, an_address_tells_which_it_is),
		CASE(sriov, nothing_is_physical_without_a_place_for_all),
		CASE(sriov, a_virtual_function_has_few_registers),
		CASE(sriov, addresses_of_bars_follow_one_another),
		CASE(sriov, a_reset_goes_on_to_the_virtual_functions),
		CASE(sriov, those_that_stay_keep_their_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
