/* SPDX-License-Identifier: MIT */
/* include/isolde/topology.h: groups for somebody who has no more of isolde. */
#include "tests/fixtures/told.h"

#include "isolde/topology.h"
#include "pci/caps.h"
#include "pci/topology.h"

/* A root port without ACS, and an endpoint below it; a function beside. */
static void fill(struct isolde_topology *topology)
{
	const struct pci_identity identity = {.vendor = 0x1af4, .device = 1, .class_code = 0x020000};
	struct isolde_why why;
	struct pci_function function = {};

	pci_function_init(&function, (struct pci_addr){}, &identity);
	pci_add_pcie(&function, PCIE_ENDPOINT, 0, false);
	assert_int_equal(isolde_topology_add(topology, (struct isolde_bdf){0, 1, 0}, function.config, 4096, &why), 0);
	assert_int_equal(isolde_topology_add(topology, (struct isolde_bdf){0, 0, 0x18}, function.config, 256, &why), 0);
	pci_function_fini(&function);

	function = (struct pci_function){};
	pci_function_init(&function, (struct pci_addr){}, &identity);
	pci_make_bridge(&function, 1, 1);
	pci_add_pcie(&function, PCIE_ROOT_PORT, 0, false);
	assert_int_equal(isolde_topology_add(topology, (struct isolde_bdf){0, 0, 0x10}, function.config, 4096, &why),
			 0);
	pci_function_fini(&function);
}

static struct isolde_topology *filled(void)
{
	struct isolde_topology *topology;
	struct isolde_why why;

	assert_int_equal(isolde_topology_new(&topology, &why), 0);
	fill(topology);
	assert_int_equal(isolde_topology_finish(topology, NULL), 0);
	return topology;
}

TEST(api, groups_by_hand_with_their_reasons)
{
	struct isolde_topology *topology = filled();
	struct isolde_group_member member;
	struct isolde_groups *groups;
	struct isolde_why why;
	char text[400];
	size_t port, endpoint;

	assert_int_equal(isolde_groups_compute(topology, NULL, &groups, &why), 0);
	assert_int_equal(isolde_groups_count(groups), 3);
	port = isolde_groups_find(groups, (struct isolde_bdf){0, 0, 0x10});
	endpoint = isolde_groups_find(groups, (struct isolde_bdf){0, 1, 0});
	assert_true(isolde_groups_find(groups, (struct isolde_bdf){0, 2, 0}) == ISOLDE_NONE);

	isolde_groups_member(groups, endpoint, &member);
	assert_int_equal(member.address.bus, 1);
	assert_int_equal(member.group, 0);
	assert_string_equal(member.rule, "no-acs-upstream");
	assert_int_equal(member.with, port);
	assert_int_equal(member.over, port);
	EXPECT_SUBSTR("has no ACS capability", isolde_groups_reason(groups, endpoint, text, sizeof(text)));
	assert_int_equal(strlen(isolde_groups_reason(groups, endpoint, text, 5)), 4);

	isolde_groups_member(groups, port, &member);
	assert_string_equal(member.rule, "founded");
	assert_true(member.with == ISOLDE_NONE && member.over == ISOLDE_NONE);
	assert_string_equal(isolde_groups_reason(groups, port, text, sizeof(text)), "");
	isolde_groups_free(groups);
	isolde_topology_free(topology);
}

TEST(api, what_is_assumed_is_told)
{
	struct isolde_topology *topology = filled();
	const char *text, *command;
	bool said = false;

	for (size_t i = 0; i < isolde_topology_remarks(topology); i++) {
		isolde_topology_remark(topology, i, &text, &command);
		said |= strstr(text, "extended capabilities of 1 function was") && command;
	}
	assert_true(said);
	isolde_topology_free(topology);
}

TEST(api, calls_in_the_wrong_order_are_refused)
{
	const u8 config[4096] = {};
	struct why code = WHY_INIT;
	struct isolde_topology *topology;
	struct isolde_groups *groups;
	struct isolde_why why;

	assert_int_equal(isolde_topology_new(&topology, NULL), 0);
	EXPECT_REFUSED(TOPOLOGY_INVALID, code,
		       told_as(&code, &why, isolde_topology_add(topology, (struct isolde_bdf){}, config, 65, &why)));
	EXPECT_SUBSTR("65 bytes", why.text);
	EXPECT_REFUSED(TOPOLOGY_INVALID, code,
		       told_as(&code, &why, isolde_groups_compute(topology, NULL, &groups, &why)));
	assert_int_equal(isolde_topology_add(topology, (struct isolde_bdf){}, config, 64, &why), 0);
	assert_int_equal(isolde_topology_finish(topology, &why), 0);
	EXPECT_REFUSED(TOPOLOGY_INVALID, code, told_as(&code, &why, isolde_topology_finish(topology, &why)));
	EXPECT_REFUSED(TOPOLOGY_INVALID, code,
		       told_as(&code, &why, isolde_topology_add(topology, (struct isolde_bdf){}, config, 64, &why)));
	isolde_topology_free(topology);
	isolde_topology_free(NULL);
	isolde_groups_free(NULL);
	isolde_rules_free(NULL);
}

TEST(api, no_config_space_is_too_odd)
{
	struct isolde_topology *topology;
	struct isolde_groups *groups;
	u8 config[4096];
	u32 seed = 1;

	assert_int_equal(isolde_topology_new(&topology, NULL), 0);
	for (unsigned i = 0; i < 512; i++) {
		const size_t sizes[] = {64, 256, 4096};

		for (size_t byte = 0; byte < sizeof(config); byte++) {
			seed = seed * 1664525 + 1013904223;
			config[byte] = (u8)(seed >> 24);
		}
		config[PCI_HEADER_TYPE] &= 0x81;
		assert_int_equal(isolde_topology_add(topology,
						     (struct isolde_bdf){.bus = (u8)(i >> 2), .devfn = (u8)(i * 8)},
						     config, sizes[i % 3], NULL),
				 0);
	}
	assert_int_equal(isolde_topology_finish(topology, NULL), 0);
	assert_int_equal(isolde_groups_compute(topology, NULL, &groups, NULL), 0);
	isolde_groups_free(groups);
	isolde_topology_free(topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(api, groups_by_hand_with_their_reasons),
		CASE(api, what_is_assumed_is_told),
		CASE(api, calls_in_the_wrong_order_are_refused),
		CASE(api, no_config_space_is_too_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
