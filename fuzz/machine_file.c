/* SPDX-License-Identifier: MIT */
/* Any bytes as a machine file: refused with a place in the file, or a machine that keeps what every machine promises.
 */
#include <stdio.h>
#include <stdlib.h>

#include "machine/capture.h"
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

static struct pci_grouping *groups_of(const struct pci_topology *topology)
{
	struct pci_grouping *grouping = NULL;
	struct why why = WHY_INIT;

	expect(pci_grouping_compute(topology, NULL, &grouping, &why) == 0);
	return grouping;
}

static void expect_same_groups(const struct pci_topology *before, const struct pci_topology *after)
{
	struct pci_grouping *was = groups_of(before), *is = groups_of(after);

	expect(was->count == is->count);
	expect(memcmp(was->group, is->group, was->count * sizeof(int)) == 0);
	expect(memcmp(was->alias_set, is->alias_set, was->count * sizeof(int)) == 0);
	pci_grouping_free(was);
	pci_grouping_free(is);
}

/* The next line that says something, without its comment; its length, 0 at the end. */
static size_t next_words(const char **text, const char **ret)
{
	size_t length = 0;

	while (**text && !length) {
		*ret = *text;
		*text += strcspn(*text, "\n");
		length = min_u64((u64)(*text - *ret), strcspn(*ret, "#"));
		while (length && (*ret)[length - 1] == ' ')
			length--;
		*text += **text == '\n';
	}
	return length;
}

static void expect_same_words(const char *a, const char *b)
{
	const char *left = "", *right = "";
	size_t length;

	do {
		length = next_words(&a, &left);
		expect(length == next_words(&b, &right) && memcmp(left, right, length) == 0);
	} while (length);
}

/* A capture of the machine is a machine file, of the same machine; and its capture is the same. */
static void check_capture(const struct description *description)
{
	struct pci_survey *before = NULL, *after = NULL;
	struct description *captured = NULL;
	char *text = NULL, *again = NULL;
	struct why why = WHY_INIT;

	expect(description_survey(description, "fuzz.yaml", &before, &why) == 0);
	expect(capture_text(before, &text, &why) == 0);
	expect(description_parse(text, strlen(text), "captured.yaml", &captured, &why) == 0);
	expect(description_survey(captured, "fuzz.yaml", &after, &why) == 0);
	expect_same_groups(&before->topology, &after->topology);
	expect(capture_text(after, &again, &why) == 0);
	expect_same_words(text, again);
	pci_survey_free(before);
	pci_survey_free(after);
	description_free(captured);
	free(text);
	free(again);
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
	if (description->as_found)
		topology_check_found(&topology);
	else
		topology_check_tree(&topology);
	topology_check_addresses(&topology);
	expect(pci_grouping_compute(&topology, NULL, &grouping, &why) == 0);
	topology_check_groups(&topology, grouping);
	pci_grouping_free(grouping);
	pci_topology_fini(&topology);
	check_capture(description);
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
