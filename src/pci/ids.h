/* SPDX-License-Identifier: MIT */
/*
 * Names to numbers, the way back from what lspci printed. Upper and lower case are the same, and so are one blank and
 * many. Names need not be ended by a zero byte.
 */
#ifndef PCI_IDS_H
#define PCI_IDS_H

#include "pci/survey.h"

enum pci_ids_found {
	IDS_UNKNOWN,
	IDS_FOUND,
	IDS_SEVERAL, /* devices of one vendor often share a name; the lowest id is given */
};

/* The vendor whose name is the beginning of text, the longest if several are; *ret_length is of the name. */
bool pci_ids_vendor(const struct pci_ids *ids, const char *text, size_t length, u16 *ret, size_t *ret_length);

enum pci_ids_found pci_ids_device(const struct pci_ids *ids, u16 vendor, const char *text, size_t length, u16 *ret);

/* Class and subclass in one number: 0x0604 for "PCI bridge". */
bool pci_ids_class(const struct pci_ids *ids, const char *text, size_t length, u16 *ret);

#endif
