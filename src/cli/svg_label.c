/* SPDX-License-Identifier: MIT */
#include "cli/svg_label.h"

#include <stdio.h>

/* ---- what a function is ---- */

/* Classes that a machine has many of, in fewer letters than pci.ids takes. */
static const struct {
	u16 class;
	const char *word;
} kinds[] = {
	{0x0100, "SCSI"},	 {0x0104, "RAID"},	 {0x0106, "SATA"},	 {0x0107, "SAS"},
	{0x0108, "NVMe"},	 {0x0200, "Ethernet"},	 {0x0207, "InfiniBand"}, {0x0280, "Network"},
	{0x0300, "VGA"},	 {0x0302, "3D"},	 {0x0380, "Display"},	 {0x0401, "Audio"},
	{0x0403, "Audio"},	 {0x0500, "Memory"},	 {0x0580, "Memory"},	 {0x0600, "Host bridge"},
	{0x0601, "ISA bridge"},	 {0x0604, "PCI bridge"}, {0x0700, "Serial"},	 {0x0780, "Communication"},
	{0x0806, "IOMMU"},	 {0x0880, "System"},	 {0x0c00, "FireWire"},	 {0x0c03, "USB"},
	{0x0c05, "SMBus"},	 {0x0c80, "Serial bus"}, {0x1080, "Encryption"}, {0x1180, "Signal processing"},
	{0x1200, "Accelerator"}, {0x1300, "Dummy"},	 {0xff00, "Unassigned"},
};

static const char *kind_of(const struct pci_function *function)
{
	u16 class = get_u16(function->config + PCI_CLASS);

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].class == class)
			return kinds[i].word;
	return NULL;
}

/* NULL when it is no bridge. */
static const char *role_of(const struct pci_function *function)
{
	if (!pci_is_bridge(function))
		return NULL;
	if (!pci_is_pcie(function))
		return "PCI bridge (conventional)";
	switch (pcie_type(function)) {
	case PCIE_ROOT_PORT:
		return "root port";
	case PCIE_UPSTREAM_PORT:
		return "switch: upstream port";
	case PCIE_DOWNSTREAM_PORT:
		return "switch: downstream port";
	case PCIE_TO_PCI_BRIDGE:
		return "bridge to conventional PCI";
	case PCI_TO_PCIE_BRIDGE:
		return "bridge to PCI Express";
	default:
		return "bridge";
	}
}

/* Takes every `word` out of text. */
static void leave_out(char *text, const char *word)
{
	size_t length = strlen(word);

	for (char *at = strstr(text, word); at; at = strstr(at, word))
		memmove(at, at + length, strlen(at + length) + 1);
}

/* Also of the product, what its kind says. "Advanced Micro Devices, Inc. [AMD] Matisse": where a short name of the
 * vendor follows, it will do. */
static void shorten_vendor(char *text)
{
	static const char *const words[] = {
		" Corporation",	    " Corp.",	   ", Inc.",	    " Inc.",	" Co., Ltd.",
		" Co. Ltd.",	    " Co Ltd",	   " Ltd.",	    " Limited", " Semiconductor",
		" Electronics",	    " Technology", " Technologies", " Systems", " NVMe SSD Controller",
		" Host Controller", " Controller"};
	char *open = strstr(text, " ["), *close = open ? strchr(open, ']') : NULL;

	if (close && close[1] == ' ') {
		memmove(close, close + 1, strlen(close + 1) + 1);
		memmove(text, open + 2, strlen(open + 2) + 1);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		leave_out(text, words[i]);
}

/* A name is "Class: Vendor Product"; a class has no colon. */
const char *svg_describe(const struct svg_tree *tree, const struct pci_function *function, char text[static SVG_LABEL])
{
	const char *kind = kind_of(function), *role = role_of(function);
	char name[NAME_TEXT], *product;

	if (role)
		return role;
	name_of(tree->explanation, function, name);
	product = strstr(name, ": ");
	if (!product) {
		snprintf(text, SVG_LABEL, "%s", name);
		return text;
	}
	*product = '\0';
	product += 2;
	shorten_vendor(product);
	snprintf(text, SVG_LABEL, "%s: %s", kind ? kind : name, product);
	return text;
}

/* ---- the lines of a box ---- */

const char *svg_heading(const struct svg_node *node, char text[static SVG_LABEL])
{
	if (node->kind == SVG_VIRTUAL)
		snprintf(text, SVG_LABEL, "VFs %u-%zu", node->number, node->number + node->count - 1);
	else if (node->kind == SVG_REST)
		snprintf(text, SVG_LABEL, "%zu more functions", node->count);
	else
		pci_addr_print(node->function->addr, text);
	return text;
}

/* "01:00.1 - 01:07.7"; the segment is that of the physical function just above. */
static void describe_range(const struct svg_node *node, char text[static SVG_LABEL])
{
	char first[PCI_ADDR_TEXT], last[PCI_ADDR_TEXT];

	pci_addr_print(node->function->addr, first);
	pci_addr_print(node->last->addr, last);
	snprintf(text, SVG_LABEL, "%s \xe2\x80\x93 %s%s", strchr(first, ':') + 1, strchr(last, ':') + 1,
		 node->group == SVG_GROUP_EACH ? ": a group each" : "");
}

/* What a folded box hides must not be thought harmless. */
static void add_weak(const struct svg_node *node, char text[static SVG_LABEL])
{
	size_t used = strlen(text);

	if (node->nweak)
		snprintf(text + used, SVG_LABEL - used, "; %zu weak link%s", node->nweak, node->nweak == 1 ? "" : "s");
}

const char *svg_subject(const struct svg_tree *tree, const struct svg_node *node, char text[static SVG_LABEL])
{
	char what[SVG_LABEL];

	if (node->kind == SVG_FUNCTION && !node->is_virtual)
		return svg_describe(tree, node->function, text);
	if (node->kind == SVG_REST)
		snprintf(text, SVG_LABEL, "not drawn");
	else if (node->kind == SVG_VIRTUAL)
		describe_range(node, text);
	else
		snprintf(text, SVG_LABEL, "VF %u: %s", node->number, svg_describe(tree, node->function, what));
	add_weak(node, text);
	return text;
}

const char *svg_chip(const struct svg_node *node, char text[static SVG_LABEL])
{
	if (node->group == SVG_NO_GROUP)
		return "no group";
	if (node->group < 0)
		snprintf(text, SVG_LABEL, "%zu group%s", node->ngroups, node->ngroups == 1 ? "" : "s");
	else
		snprintf(text, SVG_LABEL, "group %d", node->group);
	return text;
}

const char *svg_alias(const struct svg_tree *tree, const struct svg_node *node, char text[static SVG_LABEL])
{
	if (node->kind != SVG_FUNCTION || !svg_has_aliases(tree, node->function))
		return "";
	snprintf(text, SVG_LABEL, "alias %d", tree->explanation->grouping->alias_set[node->function->index]);
	return text;
}

/* ---- blame ---- */

static const char *lack(const struct svg_tree *tree, const struct pci_function *function, char text[static SVG_LABEL])
{
	const struct pci_traits *traits = &tree->explanation->grouping->traits[function->index];
	char bits[PCI_ACS_TEXT];

	switch (traits->ground) {
	case ACS_GROUND_CONVENTIONAL:
		return "conventional PCI: no ACS";
	case ACS_GROUND_BRIDGE:
		return pci_is_bridge(function) ? "bridge to PCI: no ACS" : "event collector: no ACS";
	case ACS_GROUND_NO_CAPABILITY:
		return "no ACS capability";
	case ACS_GROUND_QUIRK:
		snprintf(text, SVG_LABEL, "quirk %s", traits->acs_quirk->name);
		return text;
	case ACS_GROUND_REGISTERS:
	case ACS_GROUND_ALONE:
		break;
	}
	snprintf(text, SVG_LABEL, "ACS off: %s", pci_acs_print(traits->acs_missing, bits));
	return text;
}

static const struct pci_quirk *alias_quirk_of(const struct svg_tree *tree, const struct pci_merge *merge)
{
	const struct pci_traits *traits = tree->explanation->grouping->traits;

	if (traits[merge->over->index].alias_quirk)
		return traits[merge->over->index].alias_quirk;
	if (traits[merge->function->index].alias_quirk)
		return traits[merge->function->index].alias_quirk;
	return traits[merge->with->index].alias_quirk;
}

static void describe_ids(const struct svg_tree *tree, const struct pci_function *bridge, char text[static SVG_LABEL])
{
	if (tree->explanation->grouping->traits[bridge->index].ids == BRIDGE_IDS_SECONDARY)
		snprintf(text, SVG_LABEL, "all below use id %02x:00.0", bridge->secondary);
	else
		snprintf(text, SVG_LABEL, "all below use its id");
}

const char *svg_accuse(const struct svg_tree *tree, const struct svg_blame *blame, char text[static SVG_LABEL])
{
	const struct pci_merge *merge = blame->merge;
	const struct pci_quirk *quirk;

	switch (merge->rule) {
	case MERGE_FOUNDED:
		break;
	case MERGE_ALIAS_BRIDGE:
		describe_ids(tree, merge->over, text);
		return text;
	case MERGE_ALIAS_DMA:
		return "VMD: makes their requests";
	case MERGE_NO_ACS_UPSTREAM:
	case MERGE_NO_ACS_SIBLING:
		return lack(tree, merge->over, text);
	case MERGE_ALIAS_QUIRK:
		quirk = alias_quirk_of(tree, merge);
		snprintf(text, SVG_LABEL, "shares ids: quirk %s", quirk ? quirk->name : "of its bus");
		return text;
	}
	return "";
}

const struct svg_node *svg_next_in_slot(const struct svg_node *node)
{
	do
		node = node->next;
	while (node && node->is_virtual);
	return node && node->kind == SVG_FUNCTION && !node->begins_slot ? node : NULL;
}

/* A slot of which only one function is there has no frame to mark. */
const struct svg_blame *svg_box_blame(const struct svg_tree *tree, const struct svg_node *node)
{
	const struct svg_blame *box = &tree->blames[node->function->index];
	const struct svg_blame *slot = &tree->slots[node->function->index];

	if (node->kind != SVG_FUNCTION)
		return NULL;
	if (box->merge)
		return box;
	return slot->merge && !node->framed ? slot : NULL;
}

const struct svg_blame *svg_slot_blame(const struct svg_tree *tree, const struct svg_node *first)
{
	for (; first; first = svg_next_in_slot(first))
		if (tree->slots[first->function->index].merge)
			return &tree->slots[first->function->index];
	return NULL;
}
