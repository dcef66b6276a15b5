/* SPDX-License-Identifier: MIT */
/*
 * Functions come in enumeration order, parents before children; nodes are made in that order. What is drawn is chosen
 * by distance from the root, so that no bridge is left out that has something drawn below it.
 */
#include "cli/svg_tree.h"

#include <stdlib.h>

#include "base/alloc.h"

#define NONE ((u32)-1)

struct build {
	struct svg_tree *tree;
	u32 *level;		/* owned: bridges above, by index */
	bool *drawn;		/* owned */
	u32 *virtual_of;	/* owned: the first virtual function of a function; NONE */
	u32 *next_virtual;	/* owned: the next one of the same physical function; NONE */
	struct svg_node **node; /* owned: of a function; of what is not drawn: the rest it is in */
	int *stamp;		/* owned: by node: the last group counted in it */
};

/* ---- memory ---- */

static void build_fini(struct build *build)
{
	free(build->level);
	free(build->drawn);
	free(build->virtual_of);
	free(build->next_virtual);
	free(build->node);
	free(build->stamp);
}

/* A function has one node, and a bridge (or the roots together) at most one more for what is not drawn. */
static int allocate(struct build *build, struct why *why)
{
	struct svg_tree *tree = build->tree;
	size_t count = tree->explanation->grouping->count, ngroups = (size_t)tree->explanation->grouping->ngroups;

	if (!(tree->nodes = alloc_array(2 * count + 1, sizeof(tree->nodes[0]), why)) ||
	    !(tree->blames = alloc_array(count + 1, sizeof(tree->blames[0]), why)) ||
	    !(tree->slots = alloc_array(count + 1, sizeof(tree->slots[0]), why)) ||
	    !(tree->colours = alloc_array(ngroups + 1, sizeof(tree->colours[0]), why)) ||
	    !(tree->set_sizes = alloc_array(count + 1, sizeof(tree->set_sizes[0]), why)) ||
	    !(build->level = alloc_array(count + 1, sizeof(u32), why)) ||
	    !(build->drawn = alloc_array(count + 1, sizeof(bool), why)) ||
	    !(build->virtual_of = alloc_array(count + 1, sizeof(u32), why)) ||
	    !(build->next_virtual = alloc_array(count + 1, sizeof(u32), why)) ||
	    !(build->node = alloc_array(count + 1, sizeof(build->node[0]), why)) ||
	    !(build->stamp = alloc_array(2 * count + 1, sizeof(int), why)))
		return -why->err;
	return 0;
}

void svg_tree_fini(struct svg_tree *tree)
{
	free(tree->nodes);
	free(tree->blames);
	free(tree->slots);
	free(tree->colours);
	free(tree->set_sizes);
}

/* ---- what belongs to whom ---- */

static size_t count_of(const struct build *build)
{
	return build->tree->explanation->grouping->count;
}

static const struct pci_function *function_at(const struct build *build, size_t index)
{
	return build->tree->explanation->functions[index];
}

/* The function below whose box it hangs. What leads further down, or is itself such a function's, has a place of its
 * own. */
static const struct pci_function *physical_of(const struct pci_function *function)
{
	const struct pci_function *physical = function->physical;

	if (!physical || pci_is_bridge(function) || physical->physical)
		return NULL;
	return physical;
}

static void link_virtual(struct build *build)
{
	for (size_t i = 0; i < count_of(build); i++)
		build->virtual_of[i] = NONE;
	for (size_t i = count_of(build); i-- > 0;) {
		const struct pci_function *physical = physical_of(function_at(build, i));

		if (!physical)
			continue;
		build->next_virtual[i] = build->virtual_of[physical->index];
		build->virtual_of[physical->index] = (u32)i;
	}
}

/* ---- what is drawn ---- */

/* Level by level while there is room; of the first level that is too much, the first so many. */
static int choose_drawn(struct build *build, struct why *why)
{
	size_t *on_level = alloc_array(count_of(build) + 1, sizeof(size_t), why);
	size_t left = SVG_MOST_FUNCTIONS, level = 0;

	if (!on_level)
		return -why->err;
	for (size_t i = 0; i < count_of(build); i++) {
		const struct pci_function *function = function_at(build, i);

		build->level[i] = function->parent ? build->level[function->parent->index] + 1 : 0;
		on_level[build->level[i]] += !physical_of(function);
	}
	while (level < count_of(build) && on_level[level] <= left)
		left -= on_level[level++];
	for (size_t i = 0; i < count_of(build); i++) {
		if (physical_of(function_at(build, i)))
			continue;
		build->drawn[i] = build->level[i] < level || (build->level[i] == level && left);
		left -= build->level[i] == level && left;
	}
	free(on_level);
	return 0;
}

/* ---- nodes ---- */

static bool same_slot(const struct svg_node *a, const struct svg_node *b)
{
	return pci_addr_key(a->function->addr) >> 3 == pci_addr_key(b->function->addr) >> 3;
}

static struct svg_node *add_node(struct svg_tree *tree, enum svg_kind kind, struct svg_node *above,
				 const struct pci_function *function)
{
	struct svg_node *node = &tree->nodes[tree->count++];
	struct svg_list *list = above ? &above->below : &tree->roots;

	*node = (struct svg_node){
		.kind = kind, .function = function, .last = function, .count = 1, .above = above, .begins_slot = true};
	if (list->last)
		list->last->next = node;
	else
		list->first = node;
	list->last = node;
	return node;
}

static void add_function(struct build *build, const struct pci_function *function)
{
	struct svg_node *above = function->parent ? build->node[function->parent->index] : NULL;
	struct svg_node *node = add_node(build->tree, SVG_FUNCTION, above, function);
	struct svg_list *list = above ? &above->below : &build->tree->roots;

	node->group = group_of(build->tree->explanation, function);
	if (list->last_physical && same_slot(list->last_physical, node)) {
		list->last_physical->framed = node->framed = true;
		node->begins_slot = false;
	}
	list->last_physical = node;
	build->node[function->index] = node;
}

static bool is_blamed(const struct build *build, size_t index)
{
	return build->tree->blames[index].merge || build->tree->slots[index].merge;
}

/* What makes neighbours one box: being alone, or the same group. Who is to blame for something stays visible. */
static int fold_key(const struct build *build, u32 index)
{
	const struct explanation *explanation = build->tree->explanation;
	int group = explanation->grouping->group[index];

	if (is_blamed(build, index))
		return SVG_GROUPS;
	return group >= 0 && group_size(explanation, group) == 1 ? SVG_GROUP_EACH : group;
}

static u32 skip_alike(const struct build *build, u32 index, int key, size_t *ret_count)
{
	*ret_count = 0;
	do {
		++*ret_count;
		index = build->next_virtual[index];
	} while (index != NONE && key != SVG_GROUPS && fold_key(build, index) == key);
	return index;
}

static struct svg_node *add_virtual(struct build *build, const struct svg_node *physical, u32 index, unsigned number)
{
	struct svg_node *node = add_node(build->tree, SVG_FUNCTION, physical->above, function_at(build, index));

	node->is_virtual = true;
	node->begins_slot = false;
	node->number = number;
	node->group = build->tree->explanation->grouping->group[index];
	build->node[index] = node;
	return node;
}

static void fold(struct build *build, struct svg_node *node, u32 from, u32 to, int key)
{
	node->kind = SVG_VIRTUAL;
	node->group = key;
	node->count = 0;
	for (u32 i = from; i != to; i = build->next_virtual[i]) {
		build->node[i] = node;
		node->last = function_at(build, i);
		node->count++;
		node->nweak += is_blamed(build, i);
	}
}

static void add_all_virtual(struct build *build, const struct svg_node *physical)
{
	u32 at = build->virtual_of[physical->function->index];
	unsigned number = 1;

	for (unsigned boxes = 1; at != NONE; boxes++) {
		struct svg_node *node = add_virtual(build, physical, at, number);
		int key = fold_key(build, at);
		size_t count;
		u32 after = skip_alike(build, at, key, &count);

		if (boxes == SVG_MOST_VIRTUAL && after != NONE)
			fold(build, node, at, after = NONE, SVG_GROUPS);
		else if (count >= SVG_FOLD_VIRTUAL)
			fold(build, node, at, after, key);
		else
			after = build->next_virtual[at];
		number += (unsigned)node->count;
		at = after;
	}
}

static void add_drawn(struct build *build)
{
	for (size_t i = 0; i < count_of(build); i++) {
		const struct pci_function *function = function_at(build, i);

		if (!build->drawn[i] || physical_of(function))
			continue;
		add_function(build, function);
		add_all_virtual(build, build->node[i]);
	}
}

/* They follow their physical function. */
static void frame_virtual(struct svg_tree *tree)
{
	for (size_t i = 1; i < tree->count; i++)
		if (tree->nodes[i].is_virtual)
			tree->nodes[i].framed = tree->nodes[i - 1].framed;
}

/* ---- what is not drawn ---- */

/* The box of a function that is not drawn: its bridge's, if that is drawn, else the bridge's own. */
static struct svg_node *rest_of(struct build *build, const struct pci_function *function,
				struct svg_node **ret_of_roots)
{
	const struct pci_function *parent = function->parent;
	struct svg_node *above = parent ? build->node[parent->index] : NULL;

	if (above && above->kind == SVG_REST)
		return above;
	if (above && above->below.last && above->below.last->kind == SVG_REST)
		return above->below.last;
	if (!above && *ret_of_roots)
		return *ret_of_roots;
	above = add_node(build->tree, SVG_REST, above, function);
	above->count = 0;
	above->group = SVG_GROUPS;
	if (!parent)
		*ret_of_roots = above;
	return above;
}

static void add_rests(struct build *build)
{
	struct svg_node *of_roots = NULL;

	for (size_t i = 0; i < count_of(build); i++) {
		const struct pci_function *function = function_at(build, i);
		struct svg_node *rest;

		if (build->node[i])
			continue;
		rest = rest_of(build, function, &of_roots);
		rest->last = function;
		rest->count++;
		rest->nweak += is_blamed(build, i);
		build->node[i] = rest;
	}
}

/* Group by group, so that a box need only remember the last it saw. */
static void count_groups(struct build *build)
{
	const struct explanation *explanation = build->tree->explanation;

	for (size_t i = 0; i < count_of(build); i++) {
		const struct pci_function *function = explanation->by_group[i];
		struct svg_node *node = build->node[function->index];
		int *stamp = &build->stamp[node - build->tree->nodes];
		int group = group_of(explanation, function);

		if (group < 0 || *stamp == group + 1)
			continue;
		*stamp = group + 1;
		node->ngroups++;
	}
}

/* ---- blames, colours ---- */

static void add_blame(struct svg_blame *blame, const struct pci_merge *merge)
{
	if (!blame->merge)
		blame->merge = merge;
	blame->rules |= 1u << merge->rule;
	blame->count++;
}

static void find_blames(struct svg_tree *tree)
{
	const struct pci_grouping *grouping = tree->explanation->grouping;

	for (size_t i = 0; i < grouping->count; i++) {
		const struct pci_merge *merge = &grouping->merges[i];

		if (merge->rule == MERGE_NO_ACS_SIBLING)
			add_blame(&tree->slots[merge->over->index], merge);
		else if (merge->rule != MERGE_FOUNDED)
			add_blame(&tree->blames[merge->over->index], merge);
	}
}

static void find_colours(struct svg_tree *tree)
{
	const struct explanation *explanation = tree->explanation;
	const struct pci_grouping *grouping = explanation->grouping;

	for (int group = 0; group < grouping->ngroups; group++) {
		if (group_size(explanation, group) > 1)
			tree->colours[group] = (unsigned)++tree->nshared;
		else
			tree->nalone++;
	}
	tree->nwithout = grouping->count - explanation->first[grouping->ngroups];
	for (size_t i = 0; i < grouping->count; i++)
		tree->set_sizes[grouping->alias_set[i]]++;
}

bool svg_has_aliases(const struct svg_tree *tree, const struct pci_function *function)
{
	return tree->set_sizes[tree->explanation->grouping->alias_set[function->index]] > 1;
}

int svg_tree_init(struct svg_tree *tree, const struct explanation *explanation, struct why *why)
{
	struct build build = {.tree = tree};
	int err;

	*tree = (struct svg_tree){.explanation = explanation};
	err = allocate(&build, why);
	if (err == 0) {
		link_virtual(&build);
		err = choose_drawn(&build, why);
	}
	if (err == 0) {
		find_blames(tree);
		find_colours(tree);
		add_drawn(&build);
		frame_virtual(tree);
		add_rests(&build);
		count_groups(&build);
	}
	build_fini(&build);
	return err;
}
