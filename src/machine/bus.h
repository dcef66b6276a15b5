/* SPDX-License-Identifier: MIT */
/*
 * What a write to the bus's and the drivers' attributes does. Each errno and its order as Linux 7.2 has it
 * (drivers/base/bus.c, drivers/base/dd.c, drivers/pci/pci-driver.c). All under machine.lock.
 */
#ifndef MACHINE_BUS_H
#define MACHINE_BUS_H

#include "machine/device.h"

int bus_bind(struct driver *driver, const struct text *text, struct why *why);
int bus_unbind(struct driver *driver, const struct text *text, struct why *why);
int bus_drivers_probe(struct machine *machine, const struct text *text, struct why *why);
/* Adds the id, then tries every unbound device that matches; that some did not want to is only a remark. */
int bus_new_id(struct driver *driver, const struct text *text, struct why *why);
int bus_set_override(struct device *device, const struct text *text, struct why *why);

/* The device's driver by its override and the tables, as when it is found; a remark when nobody wants it. */
int bus_attach(struct device *device, struct why *why);

#endif
