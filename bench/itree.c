/* SPDX-License-Identifier: MIT */
/* The interval tree: nanoseconds per operation, for as many mappings as a program may have. */
#include <stdio.h>
#include <stdlib.h>

#include "base/itree.h"
#include "base/os.h"

static void report(const char *what, u64 since, size_t count)
{
	printf("  %-22s %7.1f ns\n", what, (double)(os_clock_ns() - since) / (double)count);
}

static void measure(struct itree_node *nodes, size_t count)
{
	struct itree tree = ITREE_INIT;
	u64 since = os_clock_ns();
	size_t found = 0;

	printf("%zu intervals\n", count);
	for (size_t i = 0; i < count; i++) {
		/* An odd factor visits every slot once, in no order. */
		u64 start = (i * 2654435761u & (count - 1)) * PAGE_SIZE;

		nodes[i] = (struct itree_node){.start = start, .last = start + PAGE_SIZE - 1};
		itree_insert(&tree, &nodes[i]);
	}
	report("insert", since, count);
	since = os_clock_ns();
	for (size_t i = 0; i < count; i++)
		found += itree_first(&tree, nodes[i].start, nodes[i].start) == &nodes[i];
	report("find", since, count);
	since = os_clock_ns();
	for (size_t i = 0; i < count; i++)
		itree_remove(&tree, &nodes[i]);
	report("remove", since, count);
	if (found != count || tree.root)
		exit(1);
}

int main(void)
{
	const size_t most = 1 << 18;
	struct itree_node *nodes = calloc(most, sizeof(*nodes));

	if (!nodes)
		return 1;
	for (size_t count = 1 << 6; count <= most; count <<= 6)
		measure(nodes, count);
	free(nodes);
	return 0;
}
