/* SPDX-License-Identifier: MIT */
/*
 * Machines of public bug reports: from the report's lspci, the groups that Linux gave there. No rule may know a
 * machine; tests/data/README.md says what the files are.
 */
#include "tests/helpers.h"

#include "pci/survey.h"

#define FUNCTIONS 64

struct machine {
	const char *name;
	unsigned kernel; /* about as old as the report: the order of numbers changed with 6.1 */
};

static const struct machine machines[] = {
	{"amd-mt7921e-mail-mangled", PCI_KERNEL(5, 19)}, {"amd-raven-5.9", PCI_KERNEL(5, 9)},
	{"asus-pn51-renoir", PCI_KERNEL(6, 7)},		 {"dell-xps13-ice-lake", PCI_KERNEL(5, 16)},
	{"imac20-titan-ridge-pp", PCI_KERNEL_LATEST},	 {"intel-alder-lake-laptop-xxxx", PCI_KERNEL(6, 7)},
	{"intel-alder-lake-tb4", PCI_KERNEL(6, 1)},	 {"intel-coffee-lake-laptop", PCI_KERNEL(6, 14)},
	{"intel-comet-lake-u", PCI_KERNEL(5, 10)},	 {"intel-sunrise-point-lp", PCI_KERNEL(5, 15)},
};

struct text {
	char *bytes;
	size_t size;
};

static struct text read_file(const char *folder, const char *name)
{
	char path[512];
	struct text text;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", TESTS_DATA, folder, name);
	file = fopen(path, "re");
	if (!file)
		fail_msg("cannot open %s", path);
	text.bytes = calloc(1, 1 << 20);
	assert_non_null(text.bytes);
	text.size = fread(text.bytes, 1, (1 << 20) - 1, file);
	assert_true(text.size > 0 && text.size < (1 << 20) - 1);
	fclose(file);
	return text;
}

/* Drops the lines that `unwanted` says. */
static void filter(struct text *text, bool (*unwanted)(const char *line))
{
	size_t kept = 0;

	for (char *line = text->bytes, *following; line < text->bytes + text->size; line = following) {
		size_t length;

		following = strchr(line, '\n');
		following = following ? following + 1 : text->bytes + text->size;
		length = (size_t)(following - line);
		if (!unwanted(line)) {
			memmove(text->bytes + kept, line, length);
			kept += length;
		}
	}
	text->size = kept;
	text->bytes[kept] = '\0';
}

static bool begins_hex(const char *line, unsigned digits)
{
	return strspn(line, "0123456789abcdef") == digits && line[digits] == ':';
}

static bool is_bytes(const char *line)
{
	return (begins_hex(line, 2) || begins_hex(line, 3)) && line[strcspn(line, ":") + 1] == ' ';
}

static bool is_detail(const char *line)
{
	return *line == '\t';
}

static bool is_group(const char *line)
{
	const char *newline = strchr(line, '\n'), *group = strstr(line, "IOMMU group:");

	return group && (!newline || group < newline);
}

static struct pci_survey *read_text(const struct text *text, const char *name)
{
	struct text list = read_file(".", "pci.ids");
	struct pci_survey *survey = NULL;
	struct pci_ids *ids = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_ids_parse(list.bytes, list.size, &ids, &why));
	ASSERT_OK(why, pci_read_lspci(text->bytes, text->size, name, ids, &survey, &why));
	pci_ids_free(ids);
	free(list.bytes);
	return survey;
}

static struct pci_grouping *compute(const struct pci_survey *survey, unsigned kernel)
{
	struct pci_grouping *grouping = NULL;
	struct pci_rules *rules = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_rules_new(kernel, &rules, &why));
	ASSERT_OK(why, pci_grouping_compute(&survey->topology, rules, &grouping, &why));
	pci_rules_free(rules);
	return grouping;
}

/* What Linux said, by index of the function; -1 where it said nothing. */
static void read_groups(const char *name, const struct pci_survey *survey, int groups[static FUNCTIONS])
{
	struct text text;
	char folder[128];
	unsigned listed = 0;

	assert_in_range(survey->count, 1, FUNCTIONS);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		groups[i] = -1;
	snprintf(folder, sizeof(folder), "topologies/%s", name);
	text = read_file(folder, "groups.txt");
	for (char *line = strtok(text.bytes, "\n"); line; line = strtok(NULL, "\n")) {
		char *blank = strchr(line, ' ');
		struct pci_function *function;
		struct pci_addr addr;

		assert_non_null(blank);
		*blank = '\0';
		assert_true(pci_addr_parse(line, &addr));
		function = pci_topology_find(&survey->topology, addr);
		if (!function)
			fail_msg("%s: %s is not in the dump", name, line);
		groups[function->index] = atoi(blank + 1);
		listed++;
	}
	assert_true(listed > 0);
	free(text.bytes);
}

/* The same functions together, whatever the numbers. */
static void expect_partition(const char *name, const struct pci_survey *survey, const struct pci_grouping *grouping,
			     const int wanted[static FUNCTIONS])
{
	for (size_t i = 0; i < survey->count; i++)
		for (size_t j = 0; j <= i; j++) {
			bool together = grouping->group[i] >= 0 && grouping->group[i] == grouping->group[j];
			char a[PCI_ADDR_TEXT], b[PCI_ADDR_TEXT];

			if (together != (wanted[i] >= 0 && wanted[i] == wanted[j]))
				fail_msg("%s: %s and %s: %s for us, groups %d and %d for Linux", name,
					 pci_addr_print(survey->facts[i].function->addr, a),
					 pci_addr_print(survey->facts[j].function->addr, b),
					 together ? "together" : "apart", wanted[i], wanted[j]);
		}
}

static struct text read_dump(const char *name)
{
	char folder[128];

	snprintf(folder, sizeof(folder), "topologies/%s", name);
	return read_file(folder, "lspci.txt");
}

static void check_machine(const struct machine *machine, bool (*unwanted)(const char *line))
{
	struct text text = read_dump(machine->name);
	struct pci_grouping *grouping;
	struct pci_survey *survey;
	int wanted[FUNCTIONS];

	if (unwanted)
		filter(&text, unwanted);
	survey = read_text(&text, machine->name);
	read_groups(machine->name, survey, wanted);
	grouping = compute(survey, machine->kernel);
	expect_partition(machine->name, survey, grouping, wanted);
	for (size_t i = 0; i < survey->count; i++) {
		char bdf[PCI_ADDR_TEXT];

		if (grouping->group[i] != wanted[i])
			fail_msg("%s: %s is in group %d, for Linux in %d", machine->name,
				 pci_addr_print(survey->facts[i].function->addr, bdf), grouping->group[i], wanted[i]);
		if (survey->says_groups)
			assert_int_equal(survey->facts[i].host_group, wanted[i]);
	}
	pci_grouping_free(grouping);
	pci_survey_free(survey);
	free(text.bytes);
}

TEST(topologies, have_the_groups_that_linux_gave)
{
	for (unsigned i = 0; i < ARRAY_SIZE(machines); i++)
		check_machine(&machines[i], NULL);
}

/* Where the dump shows groups, they only decide what an IOMMU covers; and that is found without them as well. */
TEST(topologies, have_them_without_the_answer_in_the_text)
{
	for (unsigned i = 0; i < ARRAY_SIZE(machines); i++)
		check_machine(&machines[i], is_group);
}

/* ---- words and bytes of one dump ---- */

static struct pci_survey *read_part(bool (*unwanted)(const char *line))
{
	struct text text = read_dump("intel-alder-lake-laptop-xxxx");
	struct pci_survey *survey;

	filter(&text, unwanted);
	survey = read_text(&text, "part");
	free(text.bytes);
	return survey;
}

static u16 at(const struct pci_function *function, unsigned cap, unsigned offset)
{
	return cap ? get_u16(function->config + cap + offset) : 0;
}

static void expect_same(const struct pci_function *words, const struct pci_function *bytes)
{
	assert_true(pci_addr_equal(words->addr, bytes->addr));
	assert_int_equal(get_u16(words->config + PCI_CLASS), get_u16(bytes->config + PCI_CLASS));
	assert_int_equal(get_u16(words->config), get_u16(bytes->config));
	assert_int_equal(words->secondary, bytes->secondary);
	assert_int_equal(words->subordinate, bytes->subordinate);
	assert_int_equal(pci_is_bridge(words), pci_is_bridge(bytes));
	assert_int_equal(!words->cap_pcie, !bytes->cap_pcie);
	/* Type, and whether there is a slot; not the version and the number of a message. */
	assert_int_equal(at(words, words->cap_pcie, 2) & 0x1f0, at(bytes, bytes->cap_pcie, 2) & 0x1f0);
	assert_int_equal(!words->cap_acs, !bytes->cap_acs);
	assert_int_equal(at(words, words->cap_acs, 4), at(bytes, bytes->cap_acs, 4) & 0xff);
	assert_int_equal(at(words, words->cap_acs, 6), at(bytes, bytes->cap_acs, 6));
	assert_int_equal(!words->cap_sriov, !bytes->cap_sriov);
	assert_int_equal(at(words, words->cap_sriov, 0x0e), at(bytes, bytes->cap_sriov, 0x0e));
	assert_int_equal(at(words, words->cap_sriov, 0x14), at(bytes, bytes->cap_sriov, 0x14));
	assert_int_equal(!words->cap_msi, !bytes->cap_msi);
	assert_int_equal(!words->cap_msix, !bytes->cap_msix);
	assert_int_equal(at(words, words->cap_msix, 2) & 0x7ff, at(bytes, bytes->cap_msix, 2) & 0x7ff);
	assert_int_equal(!words->cap_pm, !bytes->cap_pm);
	assert_int_equal(!words->cap_ats, !bytes->cap_ats);
	assert_int_equal(!words->cap_pasid, !bytes->cap_pasid);
	assert_int_equal(at(words, words->cap_pasid, 4) >> 8, at(bytes, bytes->cap_pasid, 4) >> 8);
	assert_int_equal(!words->cap_pri, !bytes->cap_pri);
	assert_int_equal(!words->cap_aer, !bytes->cap_aer);
}

TEST(topologies, read_the_same_from_words_and_from_bytes)
{
	struct pci_survey *words = read_part(is_bytes), *bytes = read_part(is_detail);
	unsigned compared = 0;

	assert_int_equal(words->count, bytes->count);
	for (size_t i = 0; i < words->count; i++) {
		/* One slept, and one fell asleep before its bytes were read. */
		if (bytes->facts[i].gaps & PCI_GAP_CAPS)
			continue;
		assert_int_equal(bytes->facts[i].gaps, 0);
		expect_same(words->facts[i].function, bytes->facts[i].function);
		compared++;
	}
	assert_int_equal(compared, 27);
	pci_survey_free(words);
	pci_survey_free(bytes);
}

TEST(topologies, have_the_groups_by_words_and_by_bytes_alone)
{
	for (unsigned i = 0; i < ARRAY_SIZE(machines); i++) {
		if (strcmp(machines[i].name, "intel-alder-lake-laptop-xxxx") != 0)
			continue;
		check_machine(&machines[i], is_bytes);
		check_machine(&machines[i], is_detail);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(topologies, have_the_groups_that_linux_gave),
		CASE(topologies, have_them_without_the_answer_in_the_text),
		CASE(topologies, read_the_same_from_words_and_from_bytes),
		CASE(topologies, have_the_groups_by_words_and_by_bytes_alone),
	};

	return cmocka_run_group_tests_name("topologies", tests, NULL, NULL);
}
