/* SPDX-License-Identifier: MIT */
/* Names of classes and devices from pci.ids. Its own file because libpci's headers and ours share macro names. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <stddef.h>

struct names;

struct names *names_open(void); /* NULL when there is no memory; nothing of the host is looked at but the list */
void names_close(struct names *names);

/* "Ethernet controller: Intel Corporation 82574L Gigabit Network Connection" into text; returns text. */
const char *names_device(struct names *names, unsigned class, unsigned vendor, unsigned device, char *text,
			 size_t size);

#endif
