/* SPDX-License-Identifier: MIT */
/* From records to a survey: functions with their registers, what is not known of each, and remarks about what is odd.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "pci/lspci.h"

#define SEE_ALL "sudo lspci -vvvnn"

void lspci_count(struct lspci_tally *tally, unsigned line, struct pci_addr addr)
{
	if (!tally->count++) {
		tally->line = line;
		tally->addr = addr;
	}
}

static const struct {
	enum pci_remark_kind kind;
	const char *command, *text;
} remarks[ODD_KINDS] = {
	[ODD_NO_IDS] =
		{REMARK_MISSING, SEE_ALL,
		 "no device id is said, and pci.ids does not know the name; so what Linux does for that device in "
		 "particular is not known"},
	[ODD_SEVERAL_IDS] = {REMARK_ASSUMPTION, SEE_ALL, "the name fits several device ids; taken as the lowest"},
	[ODD_NO_CLASS] = {REMARK_MISSING, SEE_ALL, "the class code is not said, and pci.ids does not know the name"},
	[ODD_NO_GROUP] = {REMARK_MISSING, SEE_ALL,
			  "no IOMMU group is said, though those of others are; taken as one of "
			  "those that an IOMMU covers"},
	[ODD_ASLEEP] = {REMARK_WARNING, SEE_ALL, "the registers read as ff, so it slept or was gone when lspci looked"},
	[ODD_NO_CAPS] = {REMARK_WARNING, SEE_ALL, "it has capabilities, but the text has lost them"},
	[ODD_NOT_EXPRESS] = {REMARK_WARNING, SEE_ALL,
			     "it has extended capabilities, but the text has lost that of PCI Express itself"},
	[ODD_ACS_ASSUMED] =
		{REMARK_ASSUMPTION, SEE_ALL,
		 "Access Control Services are named but their registers not shown; taken as on, as Linux sets "
		 "them"},
	[ODD_ACS_MANGLED] = {REMARK_WARNING, SEE_ALL, "the text has lost the registers of Access Control Services"},
	[ODD_SRIOV_MANGLED] = {REMARK_WARNING, SEE_ALL, "the text has lost the registers of SR-IOV"},
	[ODD_CHAIN] = {REMARK_WARNING, NULL, "its chain of capabilities is broken"},
	[ODD_BYTES_CUT] = {REMARK_WARNING, "sudo lspci -vvvnn -xxxx", "its bytes stop early"},
	[ODD_MISMATCH] = {REMARK_WARNING, NULL, "words and bytes do not agree; the bytes are believed"},
	[ODD_PROSE] =
		{REMARK_WARNING, NULL,
		 "the line looks like a function's, but class and vendor are unknown and no registers follow; left "
		 "out"},
	[ODD_UNLISTED] = {REMARK_WARNING, SEE_ALL, "it is in the list of groups, but nowhere else; left out"},
	[ODD_CUT] = {REMARK_WARNING, NULL, "the text ends in the middle of it"},
	[ODD_REPEATED] = {REMARK_WARNING, NULL, "it is described twice; what is said first counts"},
	[ODD_STRANGER] =
		{REMARK_WARNING, NULL,
		 "another device is said to be at the address of one before; is this of two machines? The first "
		 "counts"},
	[ODD_ORPHAN] =
		{REMARK_MISSING, "sudo lspci -vvvnnPP",
		 "functions below it do not say their bus: -P leaves it out, and the bridge shows no bus numbers; left "
		 "out"},
};

static int tell_oddities(struct lspci_reader *reader, struct why *why)
{
	int err = 0;

	for (unsigned i = 0; i < ODD_KINDS && err == 0; i++) {
		const struct lspci_tally *tally = &reader->odd[i];
		char bdf[PCI_ADDR_TEXT], others[32] = "";

		if (tally->count > 1)
			snprintf(others, sizeof(others), " and %zu more", tally->count - 1);
		if (tally->count)
			err = pci_survey_remark(reader->survey, remarks[i].kind, tally->line, remarks[i].command, why,
						"%s%s: %s", pci_addr_print(tally->addr, bdf), others, remarks[i].text);
	}
	return err;
}

char *lspci_copy(const char *text, size_t length, struct why *why)
{
	char *copy = alloc_zero(length + 1, why);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

/* ---- regions ---- */

static bool bar_fits(const struct pci_function *function, const struct lspci_bar *bar, unsigned index)
{
	unsigned room = index == PCI_ROM ? 1 : pci_is_bridge(function) ? 2 : PCI_BARS;

	if (bar->kind == PCI_BAR_MEMORY64)
		return index + 1 < room && function->bars[index + 1].kind == PCI_BAR_NONE;
	return (index < room || index == PCI_ROM) && bar->log2_size < 32 && bar->address <= UINT32_MAX;
}

/* From the last on, so that the upper half of one that is 64 bits wide is seen to be free or not. */
static void build_bars(const struct lspci_record *record, struct pci_function *function)
{
	u8 registers[sizeof(function->config)];

	memcpy(registers, function->config, sizeof(registers));
	for (unsigned i = PCI_ROM + 1; i-- > 0;) {
		const struct lspci_bar *bar = &record->bars[i];

		if (bar->kind == PCI_BAR_NONE || !bar_fits(function, bar, i))
			continue;
		pci_add_bar(function, i, (enum pci_bar_kind)bar->kind, BIT(bar->log2_size), bar->prefetchable);
		pci_place_bar(function, i, bar->address);
	}
	/* Sizes are not in the bytes; addresses are. */
	if (lspci_bytes_usable(record))
		memcpy(function->config, registers, sizeof(registers));
}

/* ---- facts ---- */

static void build_registers(struct lspci_reader *reader, const struct lspci_record *record, struct pci_facts *facts)
{
	if (lspci_bytes_usable(record)) {
		lspci_build_bytes(record, facts->function, &facts->gaps, reader->odd);
	} else {
		lspci_build_words(record, facts->function, &facts->gaps, reader->odd);
		if (record->bytes || record->seen & SEEN_BROKEN)
			lspci_count(&reader->odd[ODD_ASLEEP], record->line, record->addr);
	}
	build_bars(record, facts->function);
}

static void count_names(struct lspci_reader *reader, const struct lspci_record *record, struct pci_facts *facts)
{
	bool bytes = lspci_bytes_usable(record);

	if (!(record->seen & SEEN_IDS) && (!bytes || !get_u16(facts->function->config))) {
		facts->gaps |= PCI_GAP_IDS;
		lspci_count(&reader->odd[ODD_NO_IDS], record->line, record->addr);
	} else if (record->seen & SEEN_SEVERAL && !bytes) {
		lspci_count(&reader->odd[ODD_SEVERAL_IDS], record->line, record->addr);
	}
	if (!(record->seen & SEEN_CLASS) && !bytes) {
		facts->gaps |= PCI_GAP_CLASS;
		lspci_count(&reader->odd[ODD_NO_CLASS], record->line, record->addr);
	}
	/* With -v, a function that has no subsystem has no line for it. */
	if (!bytes && !(record->seen & SEEN_SUBSYSTEM) &&
	    (record->seen & SEEN_SUBSYSTEM_NAME || !(record->seen & SEEN_VERBOSE)))
		facts->gaps |= PCI_GAP_SUBSYSTEM;
}

static void build_facts(struct lspci_reader *reader, struct lspci_record *record, struct pci_facts *facts)
{
	const unsigned detailed = SEEN_VERBOSE | SEEN_KERNEL | SEEN_SUBSYSTEM | SEEN_SUBSYSTEM_NAME;

	facts->line = record->line;
	facts->host_group = record->group;
	facts->name = take(record->name);
	facts->driver = take(record->driver);
	facts->driver_said = reader->drivers && record->seen & detailed;
	facts->above_said = reader->paths;
	facts->above_is_root = !record->below;
	facts->above = record->above;
	build_registers(reader, record, facts);
	count_names(reader, record, facts);
	if (record->cut)
		lspci_count(&reader->odd[ODD_CUT], reader->lines.number, record->addr);
}

/* ---- which of the records are functions, and what is known of groups ---- */

static bool is_function(const struct lspci_reader *reader, const struct lspci_record *record)
{
	return record->line && (record->proof || !reader->ids);
}

struct groups {
	size_t functions, listed, in_blocks;
};

static struct groups count_groups(const struct lspci_reader *reader)
{
	struct groups groups = {.functions = 0};

	for (size_t i = 0; i < reader->count; i++) {
		const struct lspci_record *record = &reader->records[i];

		groups.functions += is_function(reader, record);
		if (record->group == PCI_GROUP_UNSAID)
			continue;
		groups.listed += record->listed;
		groups.in_blocks += !record->listed;
	}
	return groups;
}

/* A list of groups that names half of the functions is taken as whole. */
static bool group_is_said(const struct lspci_record *record, const struct groups *groups)
{
	if (record->group != PCI_GROUP_UNSAID)
		return true;
	if (groups->listed && groups->listed >= (groups->functions + 1) / 2)
		return true;
	return groups->in_blocks && record->seen & SEEN_VERBOSE && !record->cut;
}

static int build_one(struct lspci_reader *reader, struct lspci_record *record, const struct groups *groups,
		     struct why *why)
{
	struct pci_facts *facts;
	int err = pci_survey_add(reader->survey, record->addr, &record->identity, &facts, why);

	if (err < 0)
		return err;
	build_facts(reader, record, facts);
	if ((groups->listed || groups->in_blocks) && !group_is_said(record, groups)) {
		facts->gaps |= PCI_GAP_GROUP;
		lspci_count(&reader->odd[ODD_NO_GROUP], record->line, record->addr);
	}
	return 0;
}

int lspci_build(struct lspci_reader *reader, struct why *why)
{
	struct groups groups = count_groups(reader);
	int err = 0;

	for (size_t i = 0; i < reader->count && err == 0; i++) {
		struct lspci_record *record = &reader->records[i];

		if (is_function(reader, record))
			err = build_one(reader, record, &groups, why);
		else
			lspci_count(&reader->odd[record->line ? ODD_PROSE : ODD_UNLISTED], record->line, record->addr);
	}
	reader->survey->says_groups = groups.listed || groups.in_blocks;
	reader->survey->kernel = reader->kernel;
	return err < 0 ? err : tell_oddities(reader, why);
}
