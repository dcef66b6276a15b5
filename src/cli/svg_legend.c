/* SPDX-License-Identifier: MIT */
/* The legend explains what is in the picture, and only that. */
#include "cli/svg_draw.h"

#include <stdio.h>

enum { SWATCH = 30, LINE = 26, MOST_GROUPS = 24 };

struct legend {
	FILE *to; /* NULL: only measures */
	int left, right;
	int x, y;
};

static void new_line(struct legend *legend)
{
	legend->x = legend->left;
	legend->y += LINE;
}

/* Room for a swatch and text; where it begins. */
static int make_room(struct legend *legend, const char *text)
{
	int width = SWATCH + 8 + (int)svg_text_width(text, SVG_PLAIN, SVG_TEXT_SIZE) + 22, x;

	if (legend->x > legend->left && legend->x + width > legend->right)
		new_line(legend);
	x = legend->x;
	legend->x += width;
	return x;
}

static void explain_sign(struct legend *legend, const char *style, const char *text)
{
	int x = make_room(legend, text);

	if (!legend->to)
		return;
	if (strcmp(style, "stack") == 0)
		svg_put_rect(legend->to, "alone", x + 3, legend->y + 3, SWATCH, 16);
	svg_put_rect(legend->to, style, x, legend->y, SWATCH, 16);
	if (strcmp(style, "blame") == 0)
		svg_put_warning(legend->to, x + 10, legend->y + 12);
	svg_put_text(legend->to, "what", x + SWATCH + 8, legend->y + 12, text);
	fputc('\n', legend->to);
}

/* ---- which signs there are ---- */

static bool has_kind(const struct svg_tree *tree, enum svg_kind kind)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->nodes[i].kind == kind)
			return true;
	return false;
}

static bool has_frames(const struct svg_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->nodes[i].framed)
			return true;
	return false;
}

static bool has_merges(const struct svg_tree *tree)
{
	for (size_t i = 0; i < tree->explanation->grouping->count; i++)
		if (tree->blames[i].merge || tree->slots[i].merge)
			return true;
	return false;
}

static bool has_aliases(const struct svg_tree *tree)
{
	return (size_t)tree->explanation->grouping->nalias_sets < tree->explanation->grouping->count;
}

static void explain_groups(struct legend *legend, const struct svg_tree *tree)
{
	const struct explanation *explanation = tree->explanation;
	size_t shown = 0;
	char text[64];

	for (int group = 0; group < explanation->grouping->ngroups && shown < MOST_GROUPS; group++) {
		if (!tree->colours[group])
			continue;
		shown++;
		snprintf(text, sizeof(text), "group %d: %zu functions", group, group_size(explanation, group));
		explain_sign(legend, svg_style_of(tree, group), text);
	}
	if (shown == tree->nshared)
		return;
	snprintf(text, sizeof(text), "and %zu more groups of several functions", tree->nshared - shown);
	explain_sign(legend, "rest", text);
}

static void explain_signs(struct legend *legend, const struct svg_tree *tree)
{
	if (tree->nalone)
		explain_sign(legend, "alone", "alone in its group");
	if (tree->nwithout)
		explain_sign(legend, "none", "in no group: not behind an IOMMU");
	if (has_merges(tree))
		explain_sign(legend, "blame", "weak link: what makes others share a group");
	if (has_aliases(tree))
		explain_sign(legend, "tag alias", "same alias set: hardware cannot tell their requests apart");
	if (has_frames(tree))
		explain_sign(legend, "slot", "functions of one slot");
	if (has_kind(tree, SVG_VIRTUAL))
		explain_sign(legend, "stack", "VFs: many virtual functions of the function above");
	if (has_kind(tree, SVG_REST))
		explain_sign(legend, "rest", "not drawn: too many for a picture");
}

int svg_legend(const struct svg_layout *layout, int x, int y, int width, FILE *to)
{
	struct legend legend = {.to = to, .left = x, .right = x + width, .x = x, .y = y};

	explain_signs(&legend, &layout->tree);
	new_line(&legend);
	if (layout->tree.nshared) {
		explain_groups(&legend, &layout->tree);
		new_line(&legend);
	}
	return legend.y - y;
}
