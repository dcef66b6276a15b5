/* SPDX-License-Identifier: MIT */
/* Hot resets, as far as the tests of Linux's rules and those of our own have the same to say. */
#ifndef TESTS_CONFORM_BUSES_H
#define TESTS_CONFORM_BUSES_H

#include "tests/conform/vfio.h"

enum {
	BUS_HEAD = sizeof(struct vfio_pci_hot_reset_info), /* of both requests */
	BUS_ENTRY = sizeof(struct vfio_pci_dependent_device),
};

struct bus_told {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device at[8];
};

/* With an array for so many, and a head of nonsense otherwise. */
answer ask_bus(int device, u32 room, struct bus_told *ret);
/* What was told of that function; it has to be among them. */
u32 told_of(const struct bus_told *told, const struct names *names);

answer reset_bus(int device, const int *fds, u32 count);
#define RESET_BY(device, ...)                                                                                          \
	reset_bus(device, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
#define RESET_IMPLIED(device) reset_bus(device, NULL, 0)

/* A node, bound; watched. */
int bound_node(const struct names *names, int iommufd);

#endif
