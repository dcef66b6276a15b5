/* SPDX-License-Identifier: MIT */
/* Stands in on branch i3 until the readers proper arrive from h-lspci and h-sysfs; each deletes its own from here. */
#include "pci/survey.h"

struct pci_ids {
	int unused;
};

int pci_ids_read(const char *path, struct pci_ids **ret, struct why *why)
{
	return refuse(why, DUMP_INVALID, "%s: no reader yet", path);
}

void pci_ids_free(struct pci_ids *ids)
{
	(void)ids;
}

int pci_read_lspci(const char *text, size_t size, const char *file, const struct pci_ids *ids, struct pci_survey **ret,
		   struct why *why)
{
	return refuse(why, DUMP_INVALID, "%s: no reader yet", file);
}

int pci_read_sysfs(const char *root, struct pci_survey **ret, struct why *why)
{
	return refuse(why, DUMP_INVALID, "%s: no reader yet", root);
}
