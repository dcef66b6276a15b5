/* SPDX-License-Identifier: MIT */
/*
 * The tree of names a program expects in /sys and /dev: directories, attributes with show and store, links, character
 * devices. Pure data; the supervisor serves it by FUSE, tests walk it directly. Under machine.lock.
 *
 * Paths are relative to the root of the room: "sys/bus/pci/devices/0000:01:00.0/vendor", "dev/vfio/7".
 */
#ifndef MACHINE_NODE_H
#define MACHINE_NODE_H

#include "base/list.h"
#include "base/why.h"

enum node_kind { NODE_DIRECTORY, NODE_ATTRIBUTE, NODE_LINK, NODE_DEVICE };

struct node;

#define NODE_TEXT 4096 /* what an attribute shows at most, as sysfs */

struct node_ops {
	/* Writes at most size bytes into text, returns how many, or -errno. NULL: reading is EIO. */
	s64 (*show)(struct node *node, char *text, size_t size, struct why *why);
	/* The bytes of one write(2), not terminated; returns 0 or -errno. May wait (unbind). NULL: writing is EIO. */
	int (*store)(struct node *node, const char *text, size_t size, struct why *why);
	/* Binary attributes (config, resourceN) read and write at an offset instead. */
	s64 (*read)(struct node *node, u64 offset, void *buffer, size_t size, struct why *why);
	s64 (*write)(struct node *node, u64 offset, const void *buffer, size_t size, struct why *why);
};

struct node {
	char name[48];
	enum node_kind kind;
	u32 mode;		    /* permission bits */
	u32 uid, gid;		    /* owner; root's at first */
	u64 size;		    /* of an attribute; 4096 as sysfs unless binary */
	u64 public_size;	    /* of an attribute: what is shown without CAP_SYS_ADMIN at open(2); 0: all */
	struct node *parent;	    /* NULL: the root */
	struct list children;	    /* of a directory; owned */
	struct list_link link;	    /* parent->children */
	const struct node_ops *ops; /* of an attribute */
	void *context;		    /* for ops */
	const void *data;	    /* for ops: a constant beside context */
	char *target;		    /* of a link; owned */
	u64 rdev;		    /* of a device */
	u64 inode;		    /* unique in the tree, never reused */
	u64 last_inode;		    /* of the root: the last one given out */
};

int node_root(struct node **ret, struct why *why);
/* Adding under a name that exists is a bug (assert). */
int node_directory(struct node *parent, const char *name, struct node **ret, struct why *why);
int node_attribute(struct node *parent, const char *name, u32 mode, const struct node_ops *ops, void *context,
		   const void *data, struct why *why);
int node_link(struct node *parent, const char *name, const char *target, struct why *why);
/* The relative link from parent's directory to `to`, as sysfs makes them. */
int node_link_to(struct node *parent, const char *name, const struct node *to, struct why *why);
int node_device(struct node *parent, const char *name, u32 mode, u64 rdev, struct why *why);
void node_remove(struct node *node); /* with all below it; NULL is legal */

/*
 * Names that come and go without failing: a withdrawn node keeps its memory and its place, but nobody finds it. The one
 * who withdrew it publishes it again or removes it before its parent goes.
 */
void node_withdraw(struct node *node);
void node_publish(struct node *node);

struct node *node_child(const struct node *parent, const char *name);
struct node *node_at(struct node *root, const char *path);   /* links are not followed; NULL if absent */
struct node *node_walk(struct node *root, const char *path); /* links are; NULL also for a loop */
void node_check(const struct node *node);		     /* asserts the tree's own invariants from node down */
/* Path of node from the root into text; returns text. */
const char *node_path(const struct node *node, char *text, size_t size);

#endif
