/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "pci/caps.h"
#include "pci/topology.h"

static unsigned freed;

static void count_free(struct pci_function *function)
{
	freed++;
}

static const struct pci_model_ops mortal_ops = {.name = "mortal", .free = count_free};

static struct pci_function *add(struct pci_topology *topology, struct pci_function *parent, u8 bus, u8 secondary)
{
	const struct pci_identity identity = {.vendor = 0x1af4, .device = 1};
	struct pci_function *function = calloc(1, sizeof(*function));

	pci_function_init(function, (struct pci_addr){0, bus, 0}, &identity);
	function->parent = parent;
	function->ops = &mortal_ops;
	if (secondary)
		pci_make_bridge(function, secondary, secondary);
	pci_topology_add(topology, function);
	return function;
}

TEST(topology, functions_are_found_by_address)
{
	struct pci_topology topology;
	struct pci_function *port, *endpoint;

	freed = 0;
	pci_topology_init(&topology);
	port = add(&topology, NULL, 0, 1);
	endpoint = add(&topology, port, 1, 0);
	assert_ptr_equal(pci_topology_find(&topology, (struct pci_addr){0, 1, 0}), endpoint);
	assert_null(pci_topology_find(&topology, (struct pci_addr){1, 1, 0}));
	assert_null(pci_topology_find(&topology, (struct pci_addr){0, 1, 1}));
	pci_topology_fini(&topology);
	assert_int_equal(freed, 2);
	assert_int_equal(topology.count, 0);
	assert_true(list_empty(&topology.functions));
}

TEST(topology, below_is_any_depth_but_not_oneself)
{
	struct pci_function *root, *port, *endpoint, *other;
	struct pci_topology topology;

	pci_topology_init(&topology);
	root = add(&topology, NULL, 0, 1);
	port = add(&topology, root, 1, 2);
	endpoint = add(&topology, port, 2, 0);
	other = add(&topology, NULL, 3, 4);
	assert_true(pci_is_below(endpoint, port));
	assert_true(pci_is_below(endpoint, root));
	assert_true(pci_is_below(port, root));
	assert_false(pci_is_below(root, root));
	assert_false(pci_is_below(root, endpoint));
	assert_false(pci_is_below(endpoint, other));
	pci_topology_fini(&topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(topology, functions_are_found_by_address),
		CASE(topology, below_is_any_depth_but_not_oneself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
