/* SPDX-License-Identifier: MIT */
/* Any bytes as a machine file: refused with a place in the file, or a machine that keeps what every machine promises.
 */
#include <stdio.h>
#include <stdlib.h>

#include "machine/description.h"
#include "tests/fixtures/topology_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
	if (!condition)
		abort();
}

/* "FILE:LINE:COLUMN: words", of printable characters. */
static void check_refusal(const struct why *why)
{
	unsigned line, column;
	int used = 0;

	expect(why->code == WHY_MACHINE_FILE);
	expect(sscanf(why->text, "fuzz.yaml:%u:%u: %n", &line, &column, &used) == 2 && used);
	expect(line && column && strlen(why->text + used) > 5);
	for (const char *c = why->text; *c; c++)
		expect(*c >= ' ' && *c <= '~' && *c != '%');
}

static void check_machine(const struct description *description)
{
	struct pci_grouping *grouping = NULL;
	struct pci_topology topology;
	struct why why = WHY_INIT;

	if (topology_build(description, &topology, &why) < 0) {
		expect(why.code == WHY_BAR_SPACE && list_empty(&topology.functions));
		return;
	}
	topology_check_tree(&topology, description->as_found);
	topology_check_addresses(&topology);
	expect(pci_grouping_compute(&topology, NULL, &grouping, &why) == 0);
	topology_check_groups(&topology, grouping);
	pci_grouping_free(grouping);
	pci_topology_fini(&topology);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct description *description = NULL;
	struct why why = WHY_INIT;

	if (description_parse((const char *)data, size, "fuzz.yaml", &description, &why) < 0) {
		expect(!description);
		check_refusal(&why);
		return 0;
	}
	check_machine(description);
	description_free(description);
	return 0;
}
