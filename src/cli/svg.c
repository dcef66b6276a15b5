/* SPDX-License-Identifier: MIT */
/*
 * The picture as a document. It brings its background, its colours and no fonts: the boxes are wide enough for the
 * fonts it names. Fills are light enough for dark text and told apart by colour-blind eyes (Paul Tol's light scheme);
 * dark red is for weak links alone.
 */
#include "cli/svg.h"

#include <errno.h>

#include "cli/svg_draw.h"

enum { MARGIN = 24, TITLE = 38, LINE = 20, NARROWEST = 640 };

static const char style_sheet[] =
	"<style>"
	"text{font:11px \"DejaVu Sans\",\"Liberation Sans\",Arial,Helvetica,sans-serif;fill:#1a1a1a}"
	"text.title{font-size:20px;font-weight:bold}text.note{font-size:13px;fill:#444}"
	"text.warn{font-size:13px;font-weight:bold;fill:#a3001b}"
	"text.bus{font-size:13px;font-weight:bold}text.strong,text.fold,text.chip{font-weight:bold}"
	"text.fold{font-size:12px}text.chip,text.mid{text-anchor:middle}text.small{font-size:10px;fill:#555}"
	"text.bdf{font:bold 12px \"DejaVu Sans Mono\",\"Liberation Mono\",\"Courier New\",monospace}"
	"text.accuse{font-weight:bold;fill:#fff}"
	"rect{stroke:#6b6b6b;rx:4px}"
	".back{fill:#fff;stroke:none;rx:0}.alone,.stack{fill:#fff}.none{fill:url(#isolde-none)}"
	".rest{fill:#f2f2f2;stroke-dasharray:5 3}"
	".c0{fill:#77aadd}.c1{fill:#eedd88}.c2{fill:#ffaabb}.c3{fill:#44bb99}"
	".c4{fill:#ee8866}.c5{fill:#99ddff}.c6{fill:#bbcc33}"
	".slot{fill:#f5f5f5;stroke:#9a9a9a;stroke-dasharray:4 3}.tag{fill:#fff;rx:3px}"
	".alias{stroke:#1a1a1a;stroke-width:1.5;stroke-dasharray:3 2;rx:8px}"
	".weak{fill:none;stroke:#a3001b;stroke-width:2.5;stroke-dasharray:none}"
	".slot.weak{fill:#fbeef0}.blame{fill:#a3001b;stroke:none}"
	".line{fill:none;stroke:#6b6b6b;stroke-width:1.5}.sign{fill:#fff}"
	"</style>\n"
	"<defs><pattern id=\"isolde-none\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" "
	"patternTransform=\"rotate(45)\"><rect width=\"8\" height=\"8\" style=\"fill:#ececec;stroke:none;rx:0\"/>"
	"<rect width=\"2\" height=\"8\" style=\"fill:#d2d2d2;stroke:none;rx:0\"/></pattern></defs>\n";

static size_t count_not_drawn(const struct svg_tree *tree)
{
	size_t count = 0;

	for (size_t i = 0; i < tree->count; i++)
		count += tree->nodes[i].kind == SVG_REST ? tree->nodes[i].count : 0;
	return count;
}

struct page {
	const struct svg_layout *layout;
	int width, y; /* y: of the next line */
	FILE *to;     /* NULL: only measures */
};

static void put_line(struct page *page, const char *style, const char *text)
{
	char fit[512];

	if (page->to) {
		svg_text_cut(text, SVG_BOLD, strcmp(style, "title") == 0 ? 20 : 13,
			     (unsigned)(page->width - 2 * MARGIN), fit, sizeof(fit));
		svg_put_text(page->to, style, MARGIN, page->y, fit);
		fputc('\n', page->to);
	}
	page->y += LINE;
}

static void put_counts(struct page *page)
{
	const struct svg_tree *tree = &page->layout->tree;
	unsigned kernel = pci_rules_kernel(tree->explanation->rules);
	char text[256];

	snprintf(text, sizeof(text), "Rules of Linux %u.%u. Functions: %zu. Groups: %zu of several, %zu of one",
		 kernel >> 8, kernel & 0xff, tree->explanation->grouping->count, tree->nshared, tree->nalone);
	if (tree->nwithout)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ". In no group: %zu", tree->nwithout);
	put_line(page, "note", text);
}

/* What is above the machine. */
static void put_head(struct page *page, const char *remark)
{
	const struct pci_survey *survey = page->layout->tree.explanation->survey;
	size_t not_drawn = count_not_drawn(&page->layout->tree);
	char text[512];

	page->y = TITLE;
	snprintf(text, sizeof(text), "IOMMU groups of %s", survey->source);
	put_line(page, "title", text);
	page->y += 2;
	put_counts(page);
	if (remark)
		put_line(page, "note", remark);
	if (survey->nremarks) {
		snprintf(text, sizeof(text), "%zu remark%s on the source (isolde explain prints them)",
			 survey->nremarks, survey->nremarks == 1 ? "" : "s");
		put_line(page, "note", text);
	}
	if (not_drawn) {
		snprintf(text, sizeof(text), "%zu functions are not drawn (isolde explain lists them)", not_drawn);
		put_line(page, "warn", text);
	}
	page->y += LINE / 2;
}

static void put_document(const struct svg_layout *layout, const char *remark, FILE *to)
{
	int width = layout->width < NARROWEST ? NARROWEST : layout->width, body, height;
	struct page page = {.layout = layout, .width = width + 2 * MARGIN};

	put_head(&page, remark);
	body = page.y;
	height = body + layout->height + 2 * MARGIN + svg_legend(layout, MARGIN, 0, width, NULL);
	fprintf(to,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
		"height=\"%d\" viewBox=\"0 0 %d %d\">\n",
		page.width, height, page.width, height);
	fputs(style_sheet, to);
	svg_put_rect(to, "back", 0, 0, page.width, height);
	fputc('\n', to);
	page.to = to;
	put_head(&page, remark);
	fprintf(to, "<g transform=\"translate(%d %d)\">\n", MARGIN, body);
	svg_draw_lines(layout, to);
	svg_draw_frames(layout, to);
	svg_draw_boxes(layout, to);
	fputs("</g>\n", to);
	svg_legend(layout, MARGIN, body + layout->height + MARGIN, width, to);
	fputs("</svg>\n", to);
}

int explain_svg(const struct explanation *explanation, const char *remark, FILE *to, struct why *why)
{
	struct svg_layout layout;
	int err = svg_layout_init(&layout, explanation, why);

	if (err == 0) {
		errno = 0;
		put_document(&layout, remark, to);
		if (fflush(to) != 0 || ferror(to))
			err = refuse_host(why, errno ? errno : EIO, "write(the picture)");
	}
	svg_layout_fini(&layout);
	return err;
}
