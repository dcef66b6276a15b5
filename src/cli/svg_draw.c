/* SPDX-License-Identifier: MIT */
/* Lines, frames of slots, boxes. */
#include "cli/svg_draw.h"

#include <stdio.h>

#include "cli/svg_label.h"

enum { PADDING = 8, CHIP_HEIGHT = 16, STACK = 3 };

/* ---- strokes ---- */

void svg_put_rect(FILE *to, const char *style, int x, int y, int width, int height)
{
	fprintf(to, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", style, x, y, width, height);
}

void svg_put_text(FILE *to, const char *style, int x, int y, const char *text)
{
	fprintf(to, "<text class=\"%s\" x=\"%d\" y=\"%d\">", style, x, y);
	svg_text_write(text, to);
	fputs("</text>", to);
}

void svg_put_warning(FILE *to, int x, int y)
{
	fprintf(to, "<path class=\"sign\" d=\"M%d %dl5 -9l5 9z\"/>", x, y);
}

const char *svg_style_of(const struct svg_tree *tree, int group)
{
	static const char *const styles[SVG_COLOURS] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6"};

	if (group == SVG_NO_GROUP)
		return "none";
	if (group < 0 || !tree->colours[group])
		return "alone";
	return styles[(tree->colours[group] - 1) % SVG_COLOURS];
}

/* ---- lines ---- */

static int bar_of(const struct svg_node *node)
{
	return node->x - SVG_BAR;
}

/* The line from the first to the last slot of a bus, and how far down. */
static void draw_bar(const struct svg_node *first, const struct svg_node *after, int top, FILE *to)
{
	const struct svg_node *last = first;

	for (const struct svg_node *node = first; node != after; node = node->next)
		last = node->begins_slot ? node : last;
	fprintf(to, "<path class=\"line\" d=\"M%d %dV%d\"/>\n", bar_of(first), top, svg_middle(last));
}

static void draw_stub(const struct svg_node *node, FILE *to)
{
	int left = node->x - (node->framed ? SVG_FRAME : 0);

	if (node->begins_slot)
		fprintf(to, "<path class=\"line\" d=\"M%d %dH%d\"/>\n", bar_of(node), svg_middle(node), left);
}

/* From the box before, which is that of the physical function or of its virtual function before. */
static void draw_virtual(const struct svg_node *before, const struct svg_node *node, FILE *to)
{
	int top = before->is_virtual ? svg_middle(before) : before->y + before->height;

	fprintf(to, "<path class=\"line\" d=\"M%d %dV%dH%d\"/>\n", node->x - SVG_INDENT / 2, top, svg_middle(node),
		node->x);
}

static void draw_below(const struct svg_node *bridge, FILE *to)
{
	int right = bridge->x + bridge->width, middle = svg_middle(bridge);
	char text[SVG_LABEL];

	snprintf(text, sizeof(text), "bus %02x", bridge->function->secondary);
	if (bridge->continues) {
		snprintf(text, sizeof(text), "bus %02x: drawn at (%zu)", bridge->function->secondary,
			 bridge->continues);
		fprintf(to, "<path class=\"line\" d=\"M%d %dh16\"/>", right, middle);
		svg_put_text(to, "strong", right + 20, middle + 4, text);
	} else {
		fprintf(to, "<path class=\"line\" d=\"M%d %dH%d\"/>", right, middle, bar_of(bridge->below.first));
		svg_put_text(to, "small", right + 4 + (bridge->framed ? SVG_FRAME : 0), middle - 4, text);
		draw_bar(bridge->below.first, NULL, middle, to);
	}
	fputc('\n', to);
}

static void describe_bus(const struct svg_bus *bus, char text[static SVG_LABEL])
{
	const struct pci_function *first = bus->first->function, *above = bus->above ? bus->above->function : NULL;
	char bdf[PCI_ADDR_TEXT];

	if (bus->first->kind == SVG_REST)
		snprintf(text, SVG_LABEL, "Not drawn");
	else if (above && bus->continued)
		snprintf(text, SVG_LABEL, "(%zu) bus %04x:%02x (continued)", bus->number, first->addr.segment,
			 above->secondary);
	else if (above)
		snprintf(text, SVG_LABEL, "(%zu) bus %04x:%02x, below %s", bus->number, first->addr.segment,
			 above->secondary, pci_addr_print(above->addr, bdf));
	else if (bus->continued)
		snprintf(text, SVG_LABEL, "Root bus %04x:%02x (continued)", first->addr.segment, first->addr.bus);
	else if (first->dma_device)
		snprintf(text, SVG_LABEL, "Bus %04x:%02x, behind %s", first->addr.segment, first->addr.bus,
			 pci_addr_print(first->dma_device->addr, bdf));
	else
		snprintf(text, SVG_LABEL, "Root bus %04x:%02x", first->addr.segment, first->addr.bus);
}

/* A panel is at least one box wide. */
static void draw_bus(const struct svg_layout *layout, const struct svg_bus *bus, FILE *to)
{
	unsigned width = (unsigned)(layout->box_width + SVG_BAR + SVG_PANEL_GAP);
	char text[SVG_LABEL], fit[SVG_LABEL];

	describe_bus(bus, text);
	svg_put_text(to, "bus", bus->x, bus->y + 14,
		     svg_text_cut(text, SVG_BOLD, SVG_BUS_SIZE, width, fit, sizeof(fit)));
	draw_bar(bus->first, bus->after, bus->y + 20, to);
}

void svg_draw_lines(const struct svg_layout *layout, FILE *to)
{
	for (size_t i = 0; i < layout->nbuses; i++)
		draw_bus(layout, &layout->buses[i], to);
	for (size_t i = 0; i < layout->tree.count; i++) {
		const struct svg_node *node = &layout->tree.nodes[i];

		if (node->is_virtual)
			draw_virtual(node - 1, node, to);
		else
			draw_stub(node, to);
		if (node->below.first)
			draw_below(node, to);
	}
}

/* ---- slots ---- */

static const struct svg_node *last_of_frame(const struct svg_node *node)
{
	while (node->next && !node->next->begins_slot)
		node = node->next;
	return node;
}

static void put_reason(const struct svg_tree *tree, const struct svg_blame *blame, FILE *to)
{
	char reason[PCI_REASON_TEXT];

	svg_text_write(pci_merge_reason(tree->explanation->grouping, blame->merge, reason), to);
	if (blame->count > 1)
		fprintf(to, "; and %u more for that reason", blame->count - 1);
}

static void draw_frame(const struct svg_layout *layout, const struct svg_node *first, FILE *to)
{
	const struct svg_blame *blame = svg_slot_blame(&layout->tree, first);
	const struct svg_node *last = last_of_frame(first);
	char text[SVG_LABEL], label[SVG_LABEL], fit[SVG_LABEL];
	int x = first->x - SVG_FRAME, y = first->y - SVG_FRAME_HEAD, width = layout->box_width + 2 * SVG_FRAME;

	snprintf(label, sizeof(label), "slot %02x%s%s", pci_device_number(first->function->addr), blame ? ": " : "",
		 blame ? svg_accuse(&layout->tree, blame, text) : "");
	svg_text_cut(label, SVG_BOLD, SVG_TEXT_SIZE, (unsigned)(width - 28), fit, sizeof(fit));
	fputs("<g>", to);
	if (blame) {
		fputs("<title>", to);
		put_reason(&layout->tree, blame, to);
		fputs("</title>", to);
	}
	svg_put_rect(to, blame ? "slot weak" : "slot", x, y, width, last->y + last->height + SVG_FRAME - y);
	if (blame) {
		svg_put_rect(to, "blame", x, y, width, SVG_FRAME_HEAD - 3);
		svg_put_warning(to, x + 6, y + 12);
	}
	svg_put_text(to, blame ? "accuse" : "small", x + (blame ? 20 : 6), y + 12, fit);
	fputs("</g>\n", to);
}

void svg_draw_frames(const struct svg_layout *layout, FILE *to)
{
	for (size_t i = 0; i < layout->tree.count; i++) {
		const struct svg_node *node = &layout->tree.nodes[i];

		if (node->framed && node->begins_slot)
			draw_frame(layout, node, to);
	}
}

/* ---- boxes ---- */

static void tell_function(const struct svg_tree *tree, const struct svg_node *node, FILE *to)
{
	const struct explanation *explanation = tree->explanation;
	const char *driver = facts_of(explanation, node->function)->driver;
	char bdf[PCI_ADDR_TEXT], name[NAME_TEXT], sentence[SENTENCE_TEXT];

	fprintf(to, "%s ", pci_addr_print(node->function->addr, bdf));
	svg_text_write(name_of(explanation, node->function, name), to);
	if (driver) {
		fputs("\ndriver: ", to);
		svg_text_write(driver, to);
	}
	if (node->group >= 0)
		fprintf(to, "\ngroup %d, alias set %d", node->group,
			explanation->grouping->alias_set[node->function->index]);
	fputc('\n', to);
	svg_text_write(sentence_of(explanation, node->function, sentence), to);
}

static void tell_fold(const struct svg_node *node, FILE *to)
{
	char first[PCI_ADDR_TEXT], last[PCI_ADDR_TEXT];

	fprintf(to, "%zu %s, %s to %s, in %zu group%s", node->count,
		node->kind == SVG_VIRTUAL ? "virtual functions" : "functions",
		pci_addr_print(node->function->addr, first), pci_addr_print(node->last->addr, last), node->ngroups,
		node->ngroups == 1 ? "" : "s");
}

static void put_title(const struct svg_tree *tree, const struct svg_node *node, FILE *to)
{
	const struct svg_blame *blame = svg_box_blame(tree, node);

	fputs("<title>", to);
	if (node->kind == SVG_FUNCTION)
		tell_function(tree, node, to);
	else
		tell_fold(node, to);
	if (blame) {
		fputs("\nweak link: ", to);
		put_reason(tree, blame, to);
	}
	fputs("</title>", to);
}

/* At the right of the first line; returns where it starts. */
static int put_chip(const char *style, enum svg_font font, int right, int y, const char *text, FILE *to)
{
	int width = (int)svg_text_width(text, font, SVG_TEXT_SIZE) + 10;

	svg_put_rect(to, style, right - width, y, width, CHIP_HEIGHT);
	svg_put_text(to, font == SVG_BOLD ? "chip" : "mid", right - width / 2, y + 12, text);
	return right - width;
}

static void put_lines(const struct svg_tree *tree, const struct svg_node *node, FILE *to)
{
	char text[SVG_LABEL], fit[SVG_LABEL];
	int right = put_chip("tag", SVG_BOLD, node->x + node->width - 5, node->y + 4, svg_chip(node, text), to);

	if (*svg_alias(tree, node, text))
		put_chip("tag alias", SVG_PLAIN, right - 4, node->y + 4, svg_alias(tree, node, text), to);
	svg_put_text(to, node->kind == SVG_FUNCTION ? "bdf" : "fold", node->x + PADDING, node->y + 16,
		     svg_heading(node, text));
	svg_text_cut(svg_subject(tree, node, text), SVG_PLAIN, SVG_TEXT_SIZE, (unsigned)(node->width - 2 * PADDING),
		     fit, sizeof(fit));
	svg_put_text(to, "what", node->x + PADDING, node->y + 31, fit);
}

static void put_blame(const struct svg_tree *tree, const struct svg_node *node, const struct svg_blame *blame, FILE *to)
{
	int y = node->y + SVG_BOX_HEIGHT;
	char text[SVG_LABEL], fit[SVG_LABEL];

	svg_text_cut(svg_accuse(tree, blame, text), SVG_BOLD, SVG_TEXT_SIZE, (unsigned)(node->width - 30), fit,
		     sizeof(fit));
	svg_put_rect(to, "blame", node->x, y, node->width, SVG_LABEL_HEIGHT);
	svg_put_warning(to, node->x + PADDING, y + 13);
	svg_put_text(to, "accuse", node->x + PADDING + 14, y + 13, fit);
}

static void draw_box(const struct svg_tree *tree, const struct svg_node *node, FILE *to)
{
	const struct svg_blame *blame = svg_box_blame(tree, node);
	const char *style = node->kind == SVG_REST ? "rest" : svg_style_of(tree, node->group);

	fputs("<g>", to);
	put_title(tree, node, to);
	if (node->kind != SVG_FUNCTION)
		svg_put_rect(to, style, node->x + STACK, node->y + STACK, node->width, node->height);
	svg_put_rect(to, style, node->x, node->y, node->width, node->height);
	put_lines(tree, node, to);
	if (blame) {
		put_blame(tree, node, blame, to);
		svg_put_rect(to, "weak", node->x, node->y, node->width, node->height);
	}
	fputs("</g>\n", to);
}

void svg_draw_boxes(const struct svg_layout *layout, FILE *to)
{
	for (size_t i = 0; i < layout->tree.count; i++)
		draw_box(&layout->tree, &layout->tree.nodes[i], to);
}
