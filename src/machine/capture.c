/* SPDX-License-Identifier: MIT */
/*
 * A captured machine as text. What comes out is read and laid out once before it is given away; as long as there is no
 * address for some BAR, registers are cut down a step further.
 */
#include "machine/capture.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/capturing.h"

/* ---- the sheet ---- */

static bool grow(struct sheet *sheet, size_t more)
{
	size_t room = sheet->room ? sheet->room : 4096;
	char *larger;

	while (room - sheet->size <= more)
		room *= 2;
	if (room == sheet->room)
		return true;
	larger = alloc_zero(room, sheet->why);
	if (!larger) {
		sheet->failed = true;
		return false;
	}
	if (sheet->size)
		memcpy(larger, sheet->text, sheet->size);
	free(sheet->text);
	sheet->text = larger;
	sheet->room = room;
	return true;
}

void sheet_put(struct sheet *sheet, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	/* Beyond what can be read there is no need to go on; capture_text() looks. */
	if (sheet->failed || sheet->size > MACHINE_BYTES || !grow(sheet, (size_t)length))
		return;
	va_start(args, format);
	vsnprintf(sheet->text + sheet->size, sheet->room - sheet->size, format, args);
	va_end(args);
	sheet->size += (size_t)length;
}

/* ASCII only: YAML sees line breaks and worse in what lies beyond. */
void sheet_words(struct sheet *sheet, const char *words)
{
	for (const char *c = words; *c; c++)
		sheet_put(sheet, "%c", *c >= ' ' && *c <= '~' ? *c : '?');
}

void sheet_comment(struct sheet *sheet, unsigned indent, const char *format, ...)
{
	char text[700];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sheet_put(sheet, "%*s# ", (int)indent, "");
	sheet_words(sheet, text);
	sheet_put(sheet, "\n");
}

/* ---- devices ---- */

static void put_children(struct capture *capture, const struct place *place, unsigned indent);

/* bus: the number that reading takes for granted; virtual functions may be elsewhere. */
static void put_slot(struct capture *capture, const struct place *place, u8 bus)
{
	struct pci_addr addr = place->function->addr;

	if (addr.bus == bus)
		sheet_put(&capture->sheet, "slot: \"%02x.%x\"", pci_device_number(addr), pci_function_number(addr));
	else
		sheet_put(&capture->sheet, "slot: \"%02x:%02x.%x\"", addr.bus, pci_device_number(addr),
			  pci_function_number(addr));
}

static void put_device(struct capture *capture, const struct place *place, u8 bus, unsigned indent)
{
	const char *name = capture->survey->facts[place->function->index].name;

	sheet_put(&capture->sheet, "%*s- ", (int)indent, "");
	put_slot(capture, place, bus);
	if (name) {
		sheet_put(&capture->sheet, " # ");
		sheet_words(&capture->sheet, name);
	}
	sheet_put(&capture->sheet, "\n");
	capture_function(capture, place, indent + 2);
	put_children(capture, place, indent + 2);
}

static void put_children(struct capture *capture, const struct place *place, unsigned indent)
{
	if (place->first_virtual)
		sheet_put(&capture->sheet, "%*svfs:\n", (int)indent, "");
	for (u32 at = place->first_virtual; at; at = capture->places[at - 1].next_virtual)
		put_device(capture, &capture->places[at - 1], place->function->addr.bus, indent + 2);
	if (place->first_below)
		sheet_put(&capture->sheet, "%*sdevices:\n", (int)indent, "");
	for (u32 at = place->first_below; at; at = capture->places[at - 1].next_beside)
		put_device(capture, &capture->places[at - 1], place->bus, indent + 2);
}

static void put_root(struct capture *capture, const struct pci_function *first)
{
	/* Segments behind VMD are above all others, so none can be behind another (survey_links.c). */
	bool behind = first->dma_device && first->addr.segment > 0xffff && first->dma_device->addr.segment <= 0xffff;
	struct sheet *sheet = &capture->sheet;
	char bdf[PCI_ADDR_TEXT];

	sheet_put(sheet, "  - segment: \"%04x\"\n    bus: \"%02x\"\n", first->addr.segment, first->addr.bus);
	if (behind)
		sheet_put(sheet, "    vmd: \"%s\"\n", pci_addr_print(first->dma_device->addr, bdf));
	sheet_put(sheet, "    devices:\n");
}

/* Those on bus 0000:00 come first; the others are the `roots`. */
static void put_devices(struct capture *capture)
{
	const struct pci_function *before = NULL;
	bool has_roots = false;
	unsigned indent = 2;

	if (!capture->nroots)
		sheet_put(&capture->sheet, "devices: []\n");
	for (size_t i = 0; i < capture->nroots; i++) {
		const struct place *place = &capture->places[capture->roots[i]];
		const struct pci_function *function = place->function;
		bool first = !before || pci_addr_key(before->addr) >> 8 != pci_addr_key(function->addr) >> 8;

		if (first && pci_addr_key(function->addr) >> 8 == 0 && !function->dma_device) {
			sheet_put(&capture->sheet, "devices:\n");
		} else if (first) {
			sheet_put(&capture->sheet, "%s", has_roots ? "" : "roots:\n");
			put_root(capture, function);
			has_roots = true;
			indent = 6;
		}
		before = function;
		put_device(capture, place, function->addr.bus, indent);
	}
}

/* ---- the machine ---- */

static void put_remarks(struct capture *capture)
{
	static const char *const kinds[] = {
		[REMARK_WARNING] = "odd", [REMARK_MISSING] = "missing", [REMARK_ASSUMPTION] = "assumed"};
	const struct pci_survey *survey = capture->survey;

	for (size_t i = 0; i < survey->nremarks; i++)
		sheet_comment(&capture->sheet, 0, "%s: %s", kinds[survey->remarks[i].kind], survey->remarks[i].text);
	if (survey->platform == PLATFORM_AMD || survey->platform == PLATFORM_OTHER)
		sheet_comment(&capture->sheet, 0, "its IOMMU is no Intel one; in a room, one stands in for it");
	if (survey->acs_unarmed)
		sheet_comment(&capture->sheet, 0,
			      "nothing shows that its IOMMU was on; ACS is as Linux sets it up with one");
	if (capture->lost_regions)
		sheet_comment(&capture->sheet, 0, "it has more reserved regions than a machine file can say");
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The name of the file, without folder and ending, as far as it can be a name here. */
static void put_name(struct capture *capture)
{
	const char *source = capture->survey->source, *slash = strrchr(source, '/');
	const char *start = slash && slash[1] ? slash + 1 : source, *dot = strrchr(start, '.');
	size_t length = dot ? (size_t)(dot - start) : strlen(start);
	char name[32] = "machine";

	for (size_t i = 0; i < length && i < sizeof(name) - 1; i++) {
		name[i] = is_name(start[i]) || (i && start[i] == '-') ? start[i] : '_';
		name[i + 1] = '\0';
	}
	sheet_put(&capture->sheet, "name: %s\n", name);
}

/* How many regions every group has, and the last of them. */
static size_t count_common(const struct capture *capture, const struct pci_region **ret_last)
{
	size_t count = 0;

	for (size_t i = 0; i < capture->survey->nregions; i++)
		if (capture->of_machine[i]) {
			*ret_last = &capture->survey->regions[i];
			count++;
		}
	return count;
}

static bool is_usual(const struct capture *capture, const struct pci_region *only, size_t count)
{
	return !capture->survey->nregions ||
	       (count == 1 && only->start == 0xfee00000 && only->last == 0xfeefffff && strcmp(only->kind, "msi") == 0);
}

static void put_unit(struct capture *capture)
{
	const struct pci_region *last = NULL;
	struct sheet *sheet = &capture->sheet;
	size_t count = count_common(capture, &last);

	if (!capture->grouping->ngroups) {
		sheet_put(sheet, "iommu: none\n");
		return;
	}
	if (is_usual(capture, last, count)) {
		sheet_put(sheet, "iommu: {kind: intel-vtd, width: 48}\n");
		return;
	}
	sheet_put(sheet, "iommu:\n  kind: intel-vtd\n  width: 48\n  regions:%s\n", count ? "" : " []");
	for (size_t i = 0; i < capture->survey->nregions; i++)
		if (capture->of_machine[i]) {
			sheet_put(sheet, "    - ");
			capture_region(sheet, &capture->survey->regions[i]);
			sheet_put(sheet, "\n");
		}
}

static void put_machine(struct capture *capture)
{
	struct sheet *sheet = &capture->sheet;

	sheet_comment(sheet, 0, "A machine of %zu functions in %d groups, captured from %.200s.",
		      capture->survey->count, capture->grouping->ngroups, capture->survey->source);
	sheet_comment(sheet, 0, "To run a program on it: isolde run --machine FILE.yaml -- lspci -nnk");
	sheet_comment(sheet, 0, "Devices are inert unless they have a model: their registers are plain memory.");
	put_remarks(capture);
	put_name(capture);
	put_unit(capture);
	sheet_put(sheet, "as_found: true # odd places are not questioned\n");
	put_devices(capture);
}

/* ---- until it fits ---- */

static int write_sheet(struct capture *capture, struct why *why)
{
	struct sheet *sheet = &capture->sheet;

	free(sheet->text);
	*sheet = (struct sheet){.why = why};
	put_machine(capture);
	if (sheet->failed)
		return -why->err;
	if (sheet->size > MACHINE_BYTES)
		return refuse(why, CAPTURE_TOO_LARGE, "%.150s takes more text than a machine file's %u bytes",
			      capture->survey->source, MACHINE_BYTES);
	return 0;
}

static int try(const struct capture *capture, struct why *why)
{
	_free_(description) struct description *description = NULL;
	int err = description_parse(capture->sheet.text, capture->sheet.size, "captured", &description, why);

	return err < 0 ? err : topology_fits(description, why);
}

static int write_until_it_fits(struct capture *capture, struct why *why)
{
	static const struct limits steps[] = {
		{BIT(30), BIT(30), true, true},	 {BIT(30), BIT(30), false, true}, {BIT(28), BIT(30), false, true},
		{BIT(26), BIT(28), false, true}, {BIT(24), BIT(26), false, true}, {BIT(20), BIT(26), false, true},
		{BIT(12), BIT(26), false, true}, {BIT(12), 0, false, true},	  {0, 0, false, false},
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		capture->limits = steps[i];
		why_clear(why);
		err = write_sheet(capture, why);
		if (err == 0)
			err = try(capture, why);
		if (err == 0 || why->code != WHY_BAR_SPACE)
			break;
	}
	return err;
}

/* The groups are those that `isolde explain` says: of a source without IOMMU, Linux would have armed ACS. */
static int find_groups(struct capture *capture, struct why *why)
{
	_free_(pci_rules) struct pci_rules *rules = NULL;
	int err = pci_rules_new(PCI_KERNEL_LATEST, &rules, why);

	if (err < 0)
		return err;
	pci_rules_arm_acs(rules, capture->survey->acs_unarmed);
	return pci_grouping_compute(&capture->survey->topology, rules, &capture->grouping, why);
}

static void capture_fini(struct capture *capture)
{
	pci_grouping_free(capture->grouping);
	free(capture->places);
	free(capture->roots);
	free(capture->next_region);
	free(capture->of_machine);
	free(capture->sheet.text);
}

int capture_text(const struct pci_survey *survey, char **ret, struct why *why)
{
	struct capture capture = {.survey = survey};
	int err;

	if (survey->count > MACHINE_FUNCTIONS)
		return refuse(why, CAPTURE_TOO_LARGE, "%.150s has %zu functions, a machine file at most %d",
			      survey->source, survey->count, MACHINE_FUNCTIONS);
	err = find_groups(&capture, why);
	if (err == 0)
		err = capture_find_places(&capture, why);
	if (err == 0)
		err = capture_find_regions(&capture, why);
	if (err == 0)
		err = write_until_it_fits(&capture, why);
	if (err == 0)
		*ret = take(capture.sheet.text);
	capture_fini(&capture);
	return err;
}
