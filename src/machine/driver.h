/* SPDX-License-Identifier: MIT */
/*
 * Kernel drivers of the room, by name: what they match and what they declare. Three are always there, vfio-pci,
 * pci-stub and pcieport; the others are those the description names, with the ids of the functions it gives them.
 */
#ifndef MACHINE_DRIVER_H
#define MACHINE_DRIVER_H

#include "base/cleanup.h"
#include "base/list.h"
#include "base/why.h"
#include "machine/text.h"
#include "pci/caps.h"

/* What the room's kernel knows of a function: bridges have their subsystem in a capability. */
struct pci_identity function_identity(const struct pci_function *function);

/* What an id table's row says about "any" (include/linux/mod_devicetable.h). */
#define PCI_ANY 0xffffffffu

struct machine;

struct driver_id {
	u32 vendor, device, subsystem_vendor, subsystem;
	u32 class_code, class_mask;
	bool dynamic;	       /* came by new_id */
	struct list_link link; /* driver->ids; dynamic ones first, as Linux looks at them first */
};

enum driver_kind {
	DRIVER_DMA_API,	 /* a native driver: DMA through the kernel's API, so it takes a share of its group */
	DRIVER_VFIO_PCI, /* hands the device to user space; takes no share by binding */
	DRIVER_STUB,	 /* holds the device and does nothing */
	DRIVER_PORT,	 /* pcieport: PCI Express ports; does no DMA */
};

struct driver {
	char name[32];
	enum driver_kind kind;
	bool driver_managed_dma; /* binding does not claim the group for the kernel's DMA API */
	struct list ids;	 /* owned */
	struct machine *machine; /* borrowed, for the tree's stores */
	struct node *node;	 /* sys/bus/pci/drivers/NAME, the tree's; NULL while there is no tree */
	struct list_link link;	 /* machine->drivers */
};

int driver_new(const char *name, struct list *drivers, struct driver **ret, struct why *why);
void driver_free(struct driver *driver); /* NULL is legal */
DEFINE_FREE(driver)
struct driver *driver_find(const struct list *drivers, const char *name);

/* An id the driver was built with, from the description; known ones are not added again. */
int driver_add_function(struct driver *driver, const struct pci_function *function, struct why *why);
int driver_add_identity(struct driver *driver, const struct pci_identity *identity, struct why *why);

/* driver_override first: it excludes every other driver, and the one it names needs no id. NULL: none is set. */
bool driver_matches(const struct driver *driver, const struct pci_function *function, const char *override);

/* The text written to new_id and remove_id. The first changes nothing but the table. */
int driver_new_id(struct driver *driver, const struct text *text, struct why *why);
int driver_remove_id(struct driver *driver, const struct text *text, struct why *why);

void driver_check(const struct driver *driver);

#endif
