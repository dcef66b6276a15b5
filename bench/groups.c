/* SPDX-License-Identifier: MIT */
/*
 * Groups: nanoseconds per function, for machines far larger than any, in shapes that are bad for one phase each. The
 * peer is the tests' second reading of the rules, at a size it can take. Fails above the limit for 4,096 functions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/os.h"
#include "pci/caps.h"
#include "tests/fixtures/blueprint.h"
#include "tests/fixtures/group_model.h"

#define PER_SEGMENT 256 /* functions */
#define PEER_SIZE   256
#define LIMIT_SIZE  4096
#define LIMIT_NS    10000000

/* Draws the functions of one segment. */
typedef void draw_segment(struct blueprint *blueprint, u32 segment);

static struct blueprint_function function(u32 segment, u8 bus, unsigned devfn, int type)
{
	return (struct blueprint_function){.addr = {segment, bus, (u8)devfn},
					   .vendor = 0x1af4,
					   .device = 0x1040,
					   .type = type,
					   .parent = BLUEPRINT_NOBODY,
					   .physical = BLUEPRINT_NOBODY,
					   .dma_device = BLUEPRINT_NOBODY};
}

static size_t draw_port(struct blueprint *blueprint, u32 segment, size_t parent, u8 bus, int type)
{
	struct blueprint_function port = function(segment, bus, 0, type);

	port.parent = parent;
	port.secondary = (u8)(bus + 1);
	port.subordinate = 255;
	port.acs = type != BLUEPRINT_CONVENTIONAL;
	port.acs_capable = port.acs_enabled = PCI_ACS_ISOLATION;
	return blueprint_add(blueprint, &port);
}

/* Every function of a bus, all in one slot with seven that are not isolated from it. */
static void draw_wide(struct blueprint *blueprint, u32 segment)
{
	for (unsigned devfn = 0; devfn < PER_SEGMENT; devfn++) {
		struct blueprint_function one = function(segment, 0, devfn, PCIE_RC_ENDPOINT);

		one.multifunction = true;
		blueprint_add(blueprint, &one);
	}
}

/* As many ports above each other as there are bus numbers; all redirect, so every path is good up to the root. */
static void draw_deep(struct blueprint *blueprint, u32 segment)
{
	size_t above = draw_port(blueprint, segment, BLUEPRINT_NOBODY, 0, PCIE_ROOT_PORT);
	struct blueprint_function leaf = function(segment, PER_SEGMENT - 1, 0, PCIE_ENDPOINT);

	for (unsigned bus = 1; bus < PER_SEGMENT - 1; bus++)
		above = draw_port(blueprint, segment, above, (u8)bus,
				  bus % 2 ? PCIE_UPSTREAM_PORT : PCIE_DOWNSTREAM_PORT);
	leaf.parent = above;
	blueprint_add(blueprint, &leaf);
}

static void draw_virtual(struct blueprint *blueprint, u32 segment)
{
	size_t port = draw_port(blueprint, segment, BLUEPRINT_NOBODY, 0, PCIE_ROOT_PORT), physical = BLUEPRINT_NOBODY;

	for (unsigned devfn = 0; devfn < PER_SEGMENT - 1; devfn++) {
		struct blueprint_function one = function(segment, 1, devfn, PCIE_ENDPOINT);

		one.parent = port;
		one.physical = physical;
		one.multifunction = devfn == 0;
		if (devfn == 0)
			physical = blueprint->count;
		blueprint_add(blueprint, &one);
	}
}

/* Bridges above each other that put their ids on requests, each with functions beside the next one. */
static void draw_conventional(struct blueprint *blueprint, u32 segment)
{
	size_t above = BLUEPRINT_NOBODY;

	for (unsigned bus = 0; bus < PER_SEGMENT / 8; bus++) {
		size_t bridge = draw_port(blueprint, segment, above, (u8)bus, BLUEPRINT_CONVENTIONAL);

		for (unsigned slot = 1; slot < 8; slot++) {
			struct blueprint_function one = function(segment, (u8)bus, pci_devfn(slot, 0),
								 BLUEPRINT_CONVENTIONAL);

			one.parent = above;
			blueprint_add(blueprint, &one);
		}
		above = bridge;
	}
}

/* PLX non-transparent bridges: each uses every id of its bus. */
static void draw_aliases(struct blueprint *blueprint, u32 segment)
{
	for (unsigned devfn = 0; devfn < PER_SEGMENT; devfn++) {
		struct blueprint_function one = function(segment, 0, devfn, PCIE_ENDPOINT);

		one.vendor = 0x10b5;
		one.device = 0x87b0;
		blueprint_add(blueprint, &one);
	}
}

/* No machine is like this, but a file may say so: no port redirects, and the deepest has its IOMMU first. */
static void draw_hostile(struct blueprint *blueprint, u32 segment)
{
	size_t first = blueprint->count;

	draw_deep(blueprint, segment);
	for (size_t i = first; i < blueprint->count; i++) {
		blueprint->functions[i].acs = false;
		blueprint->functions[i].unit = (u8)(PER_SEGMENT - 1 - (i - first));
	}
}

static u64 time_engine(const struct pci_topology *topology)
{
	u64 best = UINT64_MAX;

	for (int round = 0; round < 5; round++) {
		struct pci_grouping *grouping;
		struct why why = WHY_INIT;
		u64 since = os_clock_ns();

		if (pci_grouping_compute(topology, NULL, &grouping, &why) < 0)
			exit(1);
		best = min_u64(best, os_clock_ns() - since);
		pci_grouping_free(grouping);
	}
	return best;
}

static u64 time_peer(const struct pci_topology *topology)
{
	u64 since = os_clock_ns();
	struct group_model model;

	group_model_make(topology, &model);
	group_model_fini(&model);
	return os_clock_ns() - since;
}

static u64 measure(draw_segment *draw, size_t size, u64 (*time)(const struct pci_topology *topology))
{
	struct blueprint blueprint = {.count = 0};
	struct pci_topology topology;
	u64 taken;

	for (u32 segment = 0; segment < size / PER_SEGMENT; segment++)
		draw(&blueprint, segment);
	blueprint_build(&blueprint, &topology);
	blueprint_fini(&blueprint);
	taken = time(&topology);
	pci_topology_fini(&topology);
	return taken;
}

int main(void)
{
	static const struct {
		const char *name;
		draw_segment *draw;
	} shapes[] = {
		{"one bus of 256, no ACS", draw_wide},	 {"ports 255 deep", draw_deep},
		{"virtual functions", draw_virtual},	 {"conventional bridges", draw_conventional},
		{"aliases, 256 ids each", draw_aliases}, {"deep, 256 IOMMUs", draw_hostile},
	};
	bool slow = false;

	printf("ns per function  %14s", "model of 256");
	for (size_t size = 1024; size <= 65536; size *= 4)
		printf(" %7zu", size);
	printf("   ms for %d\n", LIMIT_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		u64 limited = 0;

		printf("  %-24s %6.0f", shapes[i].name,
		       (double)measure(shapes[i].draw, PEER_SIZE, time_peer) / PEER_SIZE);
		for (size_t size = 1024; size <= 65536; size *= 4) {
			u64 taken = measure(shapes[i].draw, size, time_engine);

			printf(" %7.0f", (double)taken / (double)size);
			if (size == LIMIT_SIZE)
				limited = taken;
		}
		printf("   %6.2f\n", (double)limited / 1e6);
		slow |= limited > LIMIT_NS;
	}
	if (slow)
		printf("too slow: the limit for %d is %d ms\n", LIMIT_SIZE, LIMIT_NS / 1000000);
	return slow;
}
