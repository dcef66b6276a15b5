/* SPDX-License-Identifier: MIT */
/*
 * Pictures as they are written. Those of tests/data/svg are compared letter by letter; `./x golden` writes them anew
 * after a wanted change. Look at them before you commit them.
 */
#include "cli/svg.h"

#include "tests/fixtures/explained.h"
#include "tests/fixtures/picture_check.h"
#include "tests/helpers.h"

/* ---- pictures to compare ---- */

static char *read_golden(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		return strdup("");
	if (getdelim(&text, &room, '\0', file) < 0)
		fail_msg("%s is empty", path);
	fclose(file);
	return text;
}

static void write_golden(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void compare(const struct explained *explained, const char *name)
{
	char *drawn = explained_draw(explained, NULL), *again = explained_draw(explained, NULL), *golden, path[512];

	picture_check(drawn);
	assert_string_equal(drawn, again);
	snprintf(path, sizeof(path), "%s/svg/%s.svg", TEST_DATA, name);
	if (getenv("ISOLDE_GOLDEN"))
		write_golden(path, drawn);
	golden = read_golden(path);
	if (strcmp(drawn, golden) != 0)
		fail_msg("the picture differs from %s; if it should: ./x golden", path);
	free(golden);
	free(again);
	free(drawn);
}

static void compare_machine(const char *name)
{
	struct explained explained;
	struct why why = WHY_INIT;
	struct svg_layout layout;

	ASSERT_OK(why, explained_machine(&explained, name, &why));
	ASSERT_OK(why, svg_layout_init(&layout, &explained.explanation, &why));
	picture_check_layout(&layout);
	svg_layout_fini(&layout);
	compare(&explained, name);
	explained_fini(&explained);
}

TEST(svg, a_laptop)
{
	compare_machine("laptop");
}

TEST(svg, a_workstation)
{
	compare_machine("workstation");
}

TEST(svg, a_switch_fabric)
{
	compare_machine("fabric");
}

/* ---- virtual functions ---- */

static struct pci_function *add(struct explained *explained, const char *bdf, enum pcie_type type, u8 secondary)
{
	struct why why = WHY_INIT;
	struct pci_function *function = explained_add(explained, bdf, type, secondary, &why);

	assert_non_null(function);
	return function;
}

static struct explained begin(const char *source)
{
	struct explained explained;
	struct why why = WHY_INIT;

	ASSERT_OK(why, explained_init(&explained, source, &why));
	return explained;
}

static void finish(struct explained *explained)
{
	struct why why = WHY_INIT;

	ASSERT_OK(why, explained_finish(explained, &why));
}

static void add_virtual(struct explained *explained, const char *physical, unsigned first, unsigned count)
{
	const struct pci_sriov sriov = {
		.initial = (u16)count, .total = (u16)count, .enabled = (u16)count, .offset = (u16)first, .stride = 1};
	struct pci_function *function = add(explained, physical, PCIE_ENDPOINT, 0);
	struct pci_addr addr = function->addr;

	pci_add_sriov(function, &sriov);
	for (unsigned i = 0; i < count; i++) {
		unsigned id = pci_requester_id(addr) + first + i;
		char bdf[PCI_ADDR_TEXT];

		pci_addr_print((struct pci_addr){addr.segment, (u8)(id >> 8), (u8)id}, bdf);
		add(explained, bdf, PCIE_ENDPOINT, 0);
	}
}

static struct explained make_server(void)
{
	struct explained explained = begin("server");

	pci_add_acs(add(&explained, "00:01.0", PCIE_ROOT_PORT, 1), PCI_ACS_ISOLATION, PCI_ACS_ISOLATION);
	add_virtual(&explained, "01:00.0", 0x10, 63);
	add(&explained, "00:02.0", PCIE_ROOT_PORT, 4);
	add_virtual(&explained, "04:00.0", 8, 16);
	pci_add_acs(add(&explained, "00:03.0", PCIE_ROOT_PORT, 8), PCI_ACS_ISOLATION, PCI_ACS_ISOLATION);
	add_virtual(&explained, "08:00.0", 1, 3);
	add(&explained, "00:1f.0", PCIE_RC_ENDPOINT, 0);
	finish(&explained);
	return explained;
}

TEST(svg, virtual_functions)
{
	struct explained explained = make_server();
	char *svg = explained_draw(&explained, NULL);

	EXPECT_SUBSTR(">VFs 1-63<", svg);
	EXPECT_SUBSTR(": a group each<", svg);
	EXPECT_SUBSTR(">63 groups<", svg);
	EXPECT_SUBSTR(">VFs 1-16<", svg);
	EXPECT_SUBSTR(">VF 3: ", svg);
	assert_null(strstr(svg, ">VFs 1-3<"));
	free(svg);
	compare(&explained, "virtual");
	explained_fini(&explained);
}

/* ---- what the source says ---- */

static const char hostile[] =
	"<script>&\"']]>\x01\x1b[31m\xff\xc0\x80\xed\xa0\x80\xe2\x80\xae</text></svg> \xd0\xb6\xe4\xb8\xad "
	"a name that goes on for far longer than any box is wide, and then some: 1234567890";

TEST(svg, hostile_words_stay_words)
{
	struct explained explained = begin(hostile);
	char *svg;

	add(&explained, "00:01.0", PCIE_ENDPOINT, 0);
	explained.survey->facts[0].name = strdup(hostile);
	explained.survey->facts[0].driver = strdup(hostile);
	add(&explained, "00:02.0", PCIE_ENDPOINT, 0);
	explained.survey->facts[1].name = strdup("a: \xe2\x80\xae [<&>] x Inc. Inc.");
	finish(&explained);
	svg = explained_draw(&explained, hostile);
	picture_check(svg);
	assert_null(strstr(svg, "<script"));
	EXPECT_SUBSTR("&lt;script&gt;&amp;", svg);
	free(svg);
	explained_fini(&explained);
}

TEST(svg, head_says_what_it_is_of)
{
	struct explained explained = begin("the dump");
	char *svg;

	add(&explained, "00:01.0", PCIE_ENDPOINT, 0);
	finish(&explained);
	svg = explained_draw(&explained, "What if no-acs=00:01.0");
	EXPECT_SUBSTR(">IOMMU groups of the dump<", svg);
	EXPECT_SUBSTR(">Rules of Linux 7.2. Functions: 1. Groups: 0 of several, 1 of one<", svg);
	EXPECT_SUBSTR(">What if no-acs=00:01.0<", svg);
	EXPECT_SUBSTR("1 remark on the source", svg);
	assert_null(strstr(svg, ">weak link"));
	assert_null(strstr(svg, "are not drawn"));
	picture_check(svg);
	free(svg);
	explained_fini(&explained);
}

TEST(svg, only_functions_without_an_iommu)
{
	struct explained explained = begin("no iommu");
	char *svg;

	add(&explained, "00:01.0", PCIE_ENDPOINT, 0);
	explained.survey->facts[0].host_group = PCI_GROUP_UNSAID;
	add(&explained, "00:02.0", PCIE_ENDPOINT, 0);
	explained.survey->facts[1].host_group = PCI_GROUP_UNSAID;
	explained.survey->says_groups = true;
	finish(&explained);
	svg = explained_draw(&explained, NULL);
	picture_check(svg);
	EXPECT_SUBSTR(">no group<", svg);
	EXPECT_SUBSTR("Groups: 0 of several, 0 of one. In no group: 2<", svg);
	assert_null(strstr(svg, "alone in its group"));
	free(svg);
	explained_fini(&explained);
}

/* ---- weak links ---- */

static const struct pci_quirk quirk = {.name = "odd-one", .text = "a text"};

static const struct {
	struct pci_merge merge;
	struct pci_traits traits; /* of whom is to blame */
	const char *label;
} accusations[] = {
	{{.rule = MERGE_NO_ACS_UPSTREAM}, {.ground = ACS_GROUND_NO_CAPABILITY}, ">no ACS capability<"},
	{{.rule = MERGE_NO_ACS_UPSTREAM}, {.ground = ACS_GROUND_CONVENTIONAL}, ">conventional PCI: no ACS<"},
	{{.rule = MERGE_NO_ACS_UPSTREAM}, {.ground = ACS_GROUND_BRIDGE}, ">bridge to PCI: no ACS<"},
	{{.rule = MERGE_NO_ACS_UPSTREAM}, {.ground = ACS_GROUND_REGISTERS, .acs_missing = PCI_ACS_RR}, ">ACS off: RR<"},
	{{.rule = MERGE_NO_ACS_UPSTREAM}, {.ground = ACS_GROUND_QUIRK, .acs_quirk = &quirk}, ">quirk odd-one<"},
	{{.rule = MERGE_NO_ACS_SIBLING}, {.ground = ACS_GROUND_NO_CAPABILITY}, ">no ACS capability<"},
	{{.rule = MERGE_ALIAS_BRIDGE}, {.ids = BRIDGE_IDS_SECONDARY}, ">all below use id 01:00.0<"},
	{{.rule = MERGE_ALIAS_BRIDGE}, {.ids = BRIDGE_IDS_OWN}, ">all below use its id<"},
	{{.rule = MERGE_ALIAS_DMA}, {.ids = BRIDGE_IDS_PASS}, ">VMD: makes their requests<"},
	{{.rule = MERGE_ALIAS_QUIRK}, {.alias_quirk = &quirk}, ">shares ids: quirk odd-one<"},
	{{.rule = MERGE_ALIAS_QUIRK}, {.alias_quirk = NULL}, ">shares ids: quirk of its bus<"},
};

TEST(svg, every_weak_link_has_a_reason)
{
	struct explained explained = begin("weak");
	struct pci_grouping *grouping;

	add(&explained, "00:01.0", PCIE_ROOT_PORT, 1);
	add(&explained, "01:00.0", PCIE_ENDPOINT, 0);
	finish(&explained);
	grouping = explained.explanation.grouping;
	for (unsigned i = 0; i < ARRAY_SIZE(accusations); i++) {
		char *svg;

		grouping->merges[1] = accusations[i].merge;
		grouping->merges[1].function = explained.explanation.functions[1];
		grouping->merges[1].with = grouping->merges[1].over = explained.explanation.functions[0];
		grouping->traits[0] = accusations[i].traits;
		svg = explained_draw(&explained, NULL);
		picture_check(svg);
		EXPECT_SUBSTR(accusations[i].label, svg);
		EXPECT_SUBSTR("\nweak link: 0000:01:00.0 shares a group with 0000:00:01.0", svg);
		free(svg);
	}
	explained_fini(&explained);
}

TEST(svg, slot_without_acs_is_marked_once)
{
	struct explained explained = begin("slot");
	char *svg;

	for (unsigned i = 0; i < 8; i++) {
		char bdf[] = "00:05.0";

		bdf[6] = (char)('0' + i);
		add(&explained, bdf, PCIE_ENDPOINT, 0);
	}
	finish(&explained);
	svg = explained_draw(&explained, NULL);
	picture_check(svg);
	EXPECT_SUBSTR(">slot 05: no ACS capability<", svg);
	assert_null(strstr(svg, ">no ACS capability<"));
	free(svg);
	explained_fini(&explained);
}

TEST(svg, buses_behind_vmd_say_so)
{
	struct explained explained = begin("vmd");
	char *svg;

	add(&explained, "00:0e.0", PCIE_RC_ENDPOINT, 0);
	explained.survey->facts[0].name = strdup("RAID bus controller: Intel Corporation Volume Management Device");
	add(&explained, "10000:e0:06.0", PCIE_ROOT_PORT, 0xe1);
	add(&explained, "10000:e1:00.0", PCIE_ENDPOINT, 0);
	finish(&explained);
	svg = explained_draw(&explained, NULL);
	picture_check(svg);
	EXPECT_SUBSTR(">Bus 10000:e0, behind 0000:00:0e.0<", svg);
	EXPECT_SUBSTR(">VMD: makes their requests<", svg);
	EXPECT_SUBSTR("same alias set", svg);
	free(svg);
	explained_fini(&explained);
}

/* ---- failures ---- */

static struct explained swept;

static int draw_swept(struct why *why)
{
	FILE *to = fopen("/dev/null", "we");
	int err;

	assert_non_null(to);
	err = explain_svg(&swept.explanation, NULL, to, why);
	fclose(to);
	return err;
}

TEST(svg, memory_may_run_out)
{
	swept = make_server();
	SWEEP_FAILURES(draw_swept);
	explained_fini(&swept);
}

TEST(svg, full_disk_is_told)
{
	struct explained explained = make_server();
	FILE *to = fopen("/dev/full", "we");
	struct why why = WHY_INIT;

	assert_non_null(to);
	EXPECT_REFUSED(HOST_FAILED, why, explain_svg(&explained.explanation, NULL, to, &why));
	EXPECT_SUBSTR("picture", why.text);
	fclose(to);
	explained_fini(&explained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(svg, a_laptop),
		CASE(svg, a_workstation),
		CASE(svg, a_switch_fabric),
		CASE(svg, virtual_functions),
		CASE(svg, hostile_words_stay_words),
		CASE(svg, head_says_what_it_is_of),
		CASE(svg, only_functions_without_an_iommu),
		CASE(svg, every_weak_link_has_a_reason),
		CASE(svg, slot_without_acs_is_marked_once),
		CASE(svg, buses_behind_vmd_say_so),
		CASE(svg, memory_may_run_out),
		CASE(svg, full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
