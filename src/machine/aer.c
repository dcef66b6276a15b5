/* SPDX-License-Identifier: MIT */
/*
 * Errors that a device reports, on demand: a write to /sys/kernel/debug/aer_inject, as text what Linux's own
 * /dev/aer_inject takes as a structure. "0000:01:00.0 uncor 0x4000" sets that bit of the uncorrectable error status.
 *
 * The kernel then does what it does for a message of the device: it tells the drivers of all below the port that leads
 * to it (drivers/pci/pcie/err.c:pcie_do_recovery()); vfio-pci passes that on by the ERR eventfd. After a fatal error it
 * resets their bus, and a program finds its device without addresses. Corrected errors are counted only.
 */
#include <stdio.h>

#include "machine/device.h"
#include "machine/sysfs.h"
#include "pci/reset.h"
#include "vfio/pci.h"

#define AER_UNCOR_STATUS   0x04 /* PCI Express Base 5.0 section 7.8.4 */
#define AER_UNCOR_MASK	   0x08
#define AER_UNCOR_SEVERITY 0x0c
#define AER_COR_STATUS	   0x10
#define AER_COR_MASK	   0x14

struct injection {
	struct pci_function *function;
	bool corrected;
	u32 bits;
};

static int parse(const struct machine *machine, const struct text *text, struct injection *ret, struct why *why)
{
	char name[16], kind[8], sample[TEXT_SAMPLE];
	const struct device *device;
	struct pci_addr addr;

	if (sscanf(text->bytes, "%15s %7s %x", name, kind, &ret->bits) != 3 || !ret->bits ||
	    !pci_addr_parse(name, &addr) || (strcmp(kind, "cor") != 0 && strcmp(kind, "uncor") != 0))
		return refuse(why, AER_INJECTION, "\"%s\" is no error to report", text_sample(text->bytes, sample));
	device = device_find(machine, addr);
	if (!device)
		return refuse(why, AER_NO_DEVICE, "there is no %s", name);
	ret->function = device->function;
	ret->corrected = strcmp(kind, "cor") == 0;
	return 0;
}

/* Who hears of it: the root port above, which must report errors itself. */
static int decode_port(const struct pci_function *function, const char *name, struct why *why)
{
	const struct pci_function *port = function;

	while (port->parent)
		port = port->parent;
	if (!pci_is_pcie(port) || pcie_type(port) != PCIE_ROOT_PORT)
		return refuse(why, AER_NO_DEVICE, "%s has no root port that would hear of it", name);
	if (!function->cap_aer || !port->cap_aer)
		return refuse(why, AER_UNSUPPORTED, "%s, or its root port, has no Advanced Error Reporting", name);
	return 0;
}

static u32 aer_register(const struct pci_function *function, unsigned offset)
{
	return get_u32(function->config + function->cap_aer + offset);
}

static int decode(const struct machine *machine, const struct text *text, struct injection *ret, struct why *why)
{
	char name[PCI_ADDR_TEXT];
	int err = parse(machine, text, ret, why);
	u32 unmasked;

	if (err < 0)
		return err;
	err = decode_port(ret->function, pci_addr_print(ret->function->addr, name), why);
	if (err < 0)
		return err;
	unmasked = ret->bits & ~aer_register(ret->function, ret->corrected ? AER_COR_MASK : AER_UNCOR_MASK);
	if (!unmasked)
		return refuse(why, AER_INJECTION, "%s masks %#x: it reports nothing", name, ret->bits);
	ret->bits = unmasked; /* what is masked makes nothing fatal */
	return 0;
}

/* Everything below the port that leads to it; a port itself leads to what is below. */
static const struct pci_function *reset_above(const struct pci_function *function)
{
	return pci_is_bridge(function) ? function : function->parent;
}

static void tell(struct machine *machine, const struct pci_function *above, bool reset)
{
	const struct device *device;

	list_for_each(device, &machine->devices, link) {
		if (!pci_is_below(device->function, above))
			continue;
		if (device->vfio)
			vfio_device_error(device->vfio, reset);
		else if (reset && !pci_is_bridge(device->function))
			function_reset(device->function);
	}
}

/* A bus that must not be reset stays as it is, and its drivers hear once more: that they are lost. */
static void recover(struct machine *machine, const struct pci_function *above, bool fatal)
{
	bool reset = fatal && !pci_bus_reset_obstacle(&machine->topology, above);

	tell(machine, above, reset);
	if (fatal && !reset)
		tell(machine, above, false);
}

static int store_injection(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct machine *machine = node->context;
	struct injection injection = {.bits = 0};
	struct text text;
	int err;

	text_take(&text, bytes, size);
	err = decode(machine, &text, &injection, why);
	if (err < 0 || injection.corrected)
		return err;
	/* The status is cleared again when all have recovered, which they do at once. */
	recover(machine, reset_above(injection.function),
		injection.bits & aer_register(injection.function, AER_UNCOR_SEVERITY));
	return 0;
}

int sysfs_build_aer(struct machine *machine, struct why *why)
{
	static const struct node_ops ops = {.store = store_injection};
	struct node *debug;
	int err = sysfs_directory(machine->root, "sys/kernel/debug", &debug, why);

	return err < 0 ? err : node_attribute(debug, "aer_inject", 0200, &ops, machine, NULL, why);
}
