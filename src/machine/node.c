/* SPDX-License-Identifier: MIT */
#include "machine/node.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define LINK_DEPTH 40	/* links one lookup follows at most, as Linux */
#define PATH_BYTES 8192 /* 256 bridges one below the other, of at most 17 characters each, stay below */

static u64 node_next_inode(struct node *parent)
{
	while (parent->parent)
		parent = parent->parent;
	return ++parent->last_inode;
}

static struct node *node_new(struct node *parent, const char *name, enum node_kind kind, u32 mode, struct why *why)
{
	struct node *node = alloc_new(struct node, why);

	if (!node)
		return NULL;
	assert(strlen(name) < sizeof(node->name));
	strncpy(node->name, name, sizeof(node->name) - 1);
	node->kind = kind;
	node->mode = mode;
	node->parent = parent;
	node->inode = parent ? node_next_inode(parent) : 1;
	list_init(&node->children);
	return node;
}

int node_root(struct node **ret, struct why *why)
{
	struct node *root = node_new(NULL, "", NODE_DIRECTORY, 0755, why);

	if (!root)
		return -why->err;
	root->last_inode = root->inode;
	*ret = root;
	return 0;
}

int node_directory(struct node *parent, const char *name, struct node **ret, struct why *why)
{
	struct node *node = node_new(parent, name, NODE_DIRECTORY, 0755, why);

	if (!node)
		return -why->err;
	node_publish(node);
	*ret = node;
	return 0;
}

int node_attribute(struct node *parent, const char *name, u32 mode, const struct node_ops *ops, void *context,
		   const void *data, struct why *why)
{
	struct node *node = node_new(parent, name, NODE_ATTRIBUTE, mode, why);

	if (!node)
		return -why->err;
	node->size = NODE_TEXT;
	node->ops = ops;
	node->context = context;
	node->data = data;
	node_publish(node);
	return 0;
}

int node_link(struct node *parent, const char *name, const char *target, struct why *why)
{
	struct node *node = node_new(parent, name, NODE_LINK, 0777, why);

	if (!node)
		return -why->err;
	node->target = alloc_string(target, why);
	if (!node->target) {
		node_remove(node);
		return -why->err;
	}
	node_publish(node);
	return 0;
}

static unsigned node_depth(const struct node *node)
{
	unsigned depth = 0;

	for (; node->parent; node = node->parent)
		depth++;
	return depth;
}

static const struct node *node_common(const struct node *a, const struct node *b)
{
	while (node_depth(a) > node_depth(b))
		a = a->parent;
	while (node_depth(b) > node_depth(a))
		b = b->parent;
	while (a != b) {
		a = a->parent;
		b = b->parent;
	}
	return a;
}

int node_link_to(struct node *parent, const char *name, const struct node *to, struct why *why)
{
	/* A link to its own ancestor names it, as sysfs does: ../../../0000:01:00.0 */
	const struct node *common = node_common(parent, to->parent);
	char target[PATH_BYTES], down[PATH_BYTES], above[PATH_BYTES];
	size_t skip = strlen(node_path(common, above, sizeof(above)));
	size_t used = 0;

	for (const struct node *up = parent; up != common; up = up->parent)
		used += (size_t)snprintf(target + used, sizeof(target) - used, "../");
	node_path(to, down, sizeof(down));
	snprintf(target + used, sizeof(target) - used, "%s", down + skip + (skip ? 1 : 0));
	return node_link(parent, name, target, why);
}

int node_device(struct node *parent, const char *name, u32 mode, u64 rdev, struct why *why)
{
	struct node *node = node_new(parent, name, NODE_DEVICE, mode, why);

	if (!node)
		return -why->err;
	node->rdev = rdev;
	node_publish(node);
	return 0;
}

void node_remove(struct node *node)
{
	struct node *child, *following;

	if (!node)
		return;
	list_for_each_safe(child, following, &node->children, link)
		node_remove(child);
	list_remove(&node->link);
	free(node->target);
	free(node);
}

void node_withdraw(struct node *node)
{
	list_remove(&node->link);
}

void node_publish(struct node *node)
{
	assert(node->parent->kind == NODE_DIRECTORY);
	assert(!node_child(node->parent, node->name));
	list_append(&node->parent->children, &node->link);
}

static struct node *node_child_named(const struct node *parent, const char *name, size_t length)
{
	struct node *child;

	list_for_each(child, &parent->children, link)
		if (strncmp(child->name, name, length) == 0 && !child->name[length])
			return child;
	return NULL;
}

struct node *node_child(const struct node *parent, const char *name)
{
	size_t length = strlen(name);

	return length < sizeof(parent->name) ? node_child_named(parent, name, length) : NULL;
}

/* One component of a path; *path moves past it and its slashes. */
static struct node *node_step(struct node *node, const char **path)
{
	const char *name = *path;
	size_t length = strcspn(name, "/");

	*path += length;
	*path += strspn(*path, "/");
	if (length == 1 && name[0] == '.')
		return node;
	if (length == 2 && memcmp(name, "..", 2) == 0)
		return node->parent ? node->parent : node;
	return length < sizeof(node->name) ? node_child_named(node, name, length) : NULL;
}

struct node *node_at(struct node *root, const char *path)
{
	struct node *node = root;

	path += strspn(path, "/");
	while (node && *path)
		node = node_step(node, &path);
	return node;
}

static struct node *node_walk_from(struct node *node, const char *path, unsigned *links)
{
	while (node && *path) {
		node = node_step(node, &path);
		while (node && node->kind == NODE_LINK) {
			if (++*links > LINK_DEPTH)
				return NULL;
			node = node_walk_from(node->parent, node->target, links);
		}
	}
	return node;
}

struct node *node_walk(struct node *root, const char *path)
{
	unsigned links = 0;

	return node_walk_from(root, path + strspn(path, "/"), &links);
}

const char *node_path(const struct node *node, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	if (!node->parent)
		return text;
	if (node->parent->parent) {
		used = strlen(node_path(node->parent, text, size));
		used += (size_t)snprintf(text + used, size - used, "/");
	}
	assert(used + strlen(node->name) < size);
	snprintf(text + used, size - used, "%s", node->name);
	return text;
}

void node_check(const struct node *node)
{
	struct node *child;

	assert(node->kind == NODE_DIRECTORY || list_empty(&node->children));
	assert((node->kind == NODE_LINK) == (node->target != NULL));
	assert((node->kind == NODE_ATTRIBUTE) == (node->ops != NULL));
	list_for_each(child, &node->children, link) {
		assert(child->parent == node);
		assert(node_child(node, child->name) == child);
		node_check(child);
	}
}
