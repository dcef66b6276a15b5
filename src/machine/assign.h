/* SPDX-License-Identifier: MIT */
/* The two "this=that" words of the command line and of the library's options. */
#ifndef MACHINE_ASSIGN_H
#define MACHINE_ASSIGN_H

#include "machine/machine.h"

/* "0000:01:00.0=/path/to.img": gives the device's model that disk. */
int assign_disk(struct description *description, const char *text, struct why *why);

/* "vfio-pci=0000:01:00.0": binds. */
int assign_driver(struct machine *machine, const char *text, struct why *why);

/* Only the form; for complaints before anything is built. */
int assign_driver_parse(const char *text, char driver[static 32], struct pci_addr *ret, struct why *why);

#endif
