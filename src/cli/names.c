/* SPDX-License-Identifier: MIT */
#include "cli/names.h"

#include <pci/pci.h>
#include <stdio.h>

static void keep_quiet(char *format, ...)
{
}

/* `struct names` is libpci's own object under our name. */
struct names *names_open(void)
{
	struct pci_access *access = pci_alloc();

	if (!access)
		return NULL;
	access->method = PCI_ACCESS_DUMP;
	/* Set by pci_init() only, which wants a bus; but looking up a name that pci.ids does not know calls them too.
	 */
	access->debug = access->warning = keep_quiet;
	/* Nor is there a cache of what was once asked over the network; 3.13 loses the memory of its file's name. */
	access->id_lookup_mode = 0;
	return (struct names *)access;
}

void names_close(struct names *names)
{
	if (names)
		pci_cleanup((struct pci_access *)names);
}

const char *names_device(struct names *names, unsigned class, unsigned vendor, unsigned device, char *text, size_t size)
{
	struct pci_access *access = (struct pci_access *)names;
	char kind[96], product[160];

	if (!access)
		return snprintf(text, size, "class %04x, %04x:%04x", class, vendor, device) < 0 ? "" : text;
	pci_lookup_name(access, kind, sizeof(kind), PCI_LOOKUP_CLASS, class);
	pci_lookup_name(access, product, sizeof(product), PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, vendor, device);
	snprintf(text, size, "%s: %s", kind, product);
	return text;
}
