/* SPDX-License-Identifier: MIT */
/* Where a machine comes from: this host, an lspci dump, a copy of a sysfs tree, a machine file. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "pci/survey.h"

/*
 * path: NULL is this host; "-" is standard input; a folder is a copy of /sys; a file ending in .yaml or .yml is a
 * machine file; any other file is the output of lspci. Refused with the name of the file, and the line where there is
 * one.
 */
int source_read(const char *path, struct pci_survey **ret, struct why *why);

/* A machine file, or the name of a machine built in. */
int source_read_machine(const char *name, struct pci_survey **ret, struct why *why);

#endif
