/* SPDX-License-Identifier: MIT */
/*
 * A PCI device as the room's kernel sees it: its function, the driver that has it, what sysfs remembers about it. All
 * under machine.lock.
 */
#ifndef MACHINE_DEVICE_H
#define MACHINE_DEVICE_H

#include "machine/driver.h"
#include "machine/machine.h"
#include "machine/sysfs_noiommu.h"
#include "machine/sysfs_vfio.h"

/* How a device can be reset, in the order Linux tries (drivers/pci/pci.c:pci_reset_fn_methods). */
enum reset_method { RESET_FLR, RESET_AF_FLR, RESET_PM, RESET_BUS, RESET_METHODS };

#define RESET_CHOICES 7 /* drivers/pci/pci.h:PCI_NUM_RESET_METHODS, without the end */

struct device {
	struct machine *machine;       /* borrowed: it owns us */
	struct pci_function *function; /* borrowed from machine->topology */
	struct iommu_device *iommu;    /* borrowed from machine->iommu; NULL: not behind an IOMMU */
	char name[PCI_ADDR_TEXT];      /* "0000:01:00.0" */
	struct driver *driver;	       /* borrowed from machine->drivers; NULL: unbound */
	struct vfio_device *vfio;      /* owned while the driver is vfio-pci */
	char *driver_override;	       /* owned; NULL: none */
	bool busy;		       /* a bind or unbind is under way and may be waiting; others wait for it */
	bool leaving;		       /* a virtual function that will be; nobody gets hold of it any more */
	bool gone;		       /* a virtual function that is taken away: whoever still waits for it gives up */
	unsigned waiters;	       /* in device_lock() */
	unsigned holders;	       /* who cannot be told that it goes: the library's users, emulated devices */
	bool vf_probing_off;	       /* sriov_drivers_autoprobe */
	bool msi_off, parity_broken;   /* attributes that only remember */
	bool d3cold_forbidden, power_auto; /* likewise */
	unsigned enabled;		   /* writes of 1 to `enable` without a 0 */
	int numa_node;			   /* -1: none */
	unsigned reset_supported;	   /* bits of enum reset_method, as the hardware has it */
	u8 reset_order[RESET_CHOICES];	   /* what reset_method names, in its order */
	unsigned nresets;
	bool rom_enabled;	  /* `rom` may be read */
	struct node *node;	  /* the tree's: its sysfs directory */
	struct node *driver_link; /* the tree's: node/driver and drivers/NAME/BDF while bound */
	struct node *driver_entry;
	struct vfio_dev_nodes vfio_nodes;   /* what vfio shows of it */
	struct noiommu_nodes noiommu_nodes; /* and of its group, when it is behind no IOMMU */
	struct list_link link;		    /* machine->devices, enumeration order */
};

int device_new(struct machine *machine, struct pci_function *function, struct iommu_device *iommu, struct device **ret,
	       struct why *why);
void device_free(struct device *device); /* unbound already; NULL is legal */

struct device *device_find(const struct machine *machine, struct pci_addr addr);
struct device *device_called(const struct machine *machine, const char *name);
/* By the name in a write to sysfs. */
struct device *device_named(const struct machine *machine, const struct text *text);

/* "0000:01:00.0 (nvme)" or "0000:01:00.0 (no driver)" */
#define DEVICE_DESCRIPTION 64
const char *device_describe(const struct device *device, char text[static DEVICE_DESCRIPTION]);

/* How far a bind came; Linux treats the failures of its two steps differently. */
enum bind_step {
	BIND_DONE,
	BIND_CLAIM, /* the group's DMA belongs to somebody else */
	BIND_PROBE, /* the driver did not want the device, or there was no memory */
};

/* The driver takes the unbound device. On failure nothing changed. */
enum bind_step device_bind(struct device *device, struct driver *driver, struct why *why);

/*
 * The driver gives the bound device up. While a program has it open through vfio-pci this waits, with machine.lock
 * released: the device is hidden from new opens, and its REQ eventfd is signalled every ten seconds, as Linux does.
 */
/*
 * UNUSE_PASIDS (EINVAL): its driver has PASIDs attached; Linux warns, and its count is wrong ever after. The same of
 * its virtual functions, which go with it.
 */
int device_may_unbind(const struct device *device, struct why *why);
void device_unbind(struct device *device);

/* One bind, unbind or change of virtual functions at a time: waits for another thread's. False: it is gone. */
bool device_lock(struct device *device);
void device_unlock(struct device *device);
/* Nobody waits for it any more; the caller has it locked. May release machine.lock. */
void device_drive_away(struct device *device);

/* machine/reset.c */
void device_init_reset(struct device *device);
bool device_reset_supported(const struct device *device);
int device_reset(struct device *device, struct why *why);
extern const char *const reset_method_names[RESET_METHODS];
/* A write to reset_method: words, or "default", or nothing, which forbids resets. */
int device_choose_reset(struct device *device, const struct text *text, struct why *why);

void device_check(const struct device *device);

#endif
