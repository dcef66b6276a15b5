/* SPDX-License-Identifier: MIT */
/*
 * What a picture shows, before anything has a place: a box for each function, hung up as the hardware is; a row of
 * virtual functions in one box; one box for what there was no room for. All of it takes time linear in the number of
 * functions.
 */
#ifndef CLI_SVG_TREE_H
#define CLI_SVG_TREE_H

#include "cli/explanation.h"

/* More functions than that are too many for an eye; those farthest from the root are left out, which is said. */
#define SVG_MOST_FUNCTIONS 1024

/* Virtual functions in a row become one box from so many on; a physical function has at most so many of such boxes. */
#define SVG_FOLD_VIRTUAL 4
#define SVG_MOST_VIRTUAL 16

enum svg_kind {
	SVG_FUNCTION,
	SVG_VIRTUAL, /* virtual functions of one physical function, in a row */
	SVG_REST,    /* what is below a bridge, or on root buses, and not drawn */
};

/* In place of the group of a box. */
enum svg_group {
	SVG_NO_GROUP = -1,
	SVG_GROUP_EACH = -2, /* every function alone in its group */
	SVG_GROUPS = -3,     /* various */
};

/* Columns of a tree. */
#define SVG_DEEPEST 7

/*
 * What a subtree takes up of each column: where it starts and where there is room again; 0 is the top of its first box.
 */
struct svg_shape {
	int columns;
	int top[SVG_DEEPEST], bottom[SVG_DEEPEST];
};

struct svg_node;

struct svg_list {
	struct svg_node *first, *last;
	struct svg_node *last_physical; /* the last that is no virtual function's */
};

struct svg_node {
	enum svg_kind kind;
	const struct pci_function *function, *last; /* first and last of them */
	size_t count;				    /* of functions */
	int group;				    /* or enum svg_group */
	unsigned number;			    /* SVG_VIRTUAL: of the first, from 1 */
	size_t ngroups, nweak;			    /* folded: how many groups and weak links it hides */
	bool is_virtual;			    /* hangs below the box of its physical function */
	bool framed, begins_slot;		    /* in a slot of several; not where the one before is */
	struct svg_node *above;			    /* the bridge; NULL on a root bus */
	struct svg_node *next;
	struct svg_list below;

	/* svg_pack.c, svg_layout.c */
	int x, y, width, height; /* of the box; y is first relative to the bridge above */
	struct svg_shape shape;	 /* of all that is below it */
	size_t continues;	 /* number of the bus that is drawn elsewhere; 0: none */
};

/* What a component is to blame for. */
struct svg_blame {
	const struct pci_merge *merge; /* the first; NULL: nothing */
	unsigned rules;		       /* 1 << merge_rule */
	unsigned count;
};

struct svg_tree {
	const struct explanation *explanation; /* borrowed */
	struct svg_node *nodes;		       /* owned: bridges before what is below them */
	size_t count;
	struct svg_list roots;
	struct svg_blame *blames;	  /* owned: by function: of what its box is marked with */
	struct svg_blame *slots;	  /* owned: by function: of what its slot is marked with */
	unsigned *colours;		  /* owned: by group: 1, 2, ... for groups of several functions; 0 */
	unsigned *set_sizes;		  /* owned: functions of each alias set */
	size_t nshared, nalone, nwithout; /* groups of several functions, of one; functions without one */
};

int svg_tree_init(struct svg_tree *tree, const struct explanation *explanation, struct why *why);
void svg_tree_fini(struct svg_tree *tree); /* also after svg_tree_init() failed */

/* Is the function's alias set of more than one? */
bool svg_has_aliases(const struct svg_tree *tree, const struct pci_function *function);

#endif
