/* SPDX-License-Identifier: MIT */
#include "machine/device.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/os.h"
#include "iommu/intent.h"
#include "machine/files.h"
#include "machine/sriov.h"
#include "machine/sysfs.h"

#define LOOK_MS	   100			/* how often a waiting unbind looks whether programs have closed */
#define REQUEST_NS (10ull * 1000000000) /* drivers/vfio/vfio_main.c:vfio_unregister_group_dev() asks that often */

int device_new(struct machine *machine, struct pci_function *function, struct iommu_device *iommu, struct device **ret,
	       struct why *why)
{
	struct device *device = alloc_new(struct device, why);

	if (!device)
		return -why->err;
	device->machine = machine;
	device->function = function;
	device->iommu = iommu;
	device->numa_node = -1;
	pci_addr_print(function->addr, device->name);
	list_append(&machine->devices, &device->link);
	device_init_reset(device);
	*ret = device;
	return 0;
}

void device_free(struct device *device)
{
	if (!device)
		return;
	assert(!device->driver);
	list_remove(&device->link);
	free(device->driver_override);
	free(device);
}

struct device *device_find(const struct machine *machine, struct pci_addr addr)
{
	struct device *device;

	list_for_each(device, &machine->devices, link)
		if (pci_addr_equal(device->function->addr, addr))
			return device;
	return NULL;
}

struct device *device_called(const struct machine *machine, const char *name)
{
	struct device *device;

	list_for_each(device, &machine->devices, link)
		if (strcmp(name, device->name) == 0)
			return device;
	return NULL;
}

struct device *device_named(const struct machine *machine, const struct text *text)
{
	struct device *device;

	list_for_each(device, &machine->devices, link)
		if (text_is(text, device->name))
			return device;
	return NULL;
}

const char *device_describe(const struct device *device, char text[static DEVICE_DESCRIPTION])
{
	snprintf(text, DEVICE_DESCRIPTION, "%s (%s)", device->name,
		 device->driver ? device->driver->name : "no driver");
	return text;
}

bool device_lock(struct device *device)
{
	device->waiters++;
	while (device->busy && !device->gone)
		mutex_wait(&device->machine->lock, &device->machine->changed);
	device->waiters--;
	if (!device->gone)
		device->busy = true;
	else
		pthread_cond_broadcast(&device->machine->changed);
	return !device->gone;
}

void device_unlock(struct device *device)
{
	device->busy = false;
	pthread_cond_broadcast(&device->machine->changed);
}

void device_drive_away(struct device *device)
{
	device->gone = true;
	pthread_cond_broadcast(&device->machine->changed);
	while (device->waiters)
		mutex_wait(&device->machine->lock, &device->machine->changed);
}

/* A driver that uses the DMA API takes its share of the group before it probes (spec 02 section 6). */
static int claim(struct device *device, const struct driver *driver, struct why *why)
{
	if (driver->driver_managed_dma || !device->iommu)
		return 0;
	return iommu_use_default_domain(device->iommu, driver->name, why);
}

static void unclaim(struct device *device, const struct driver *driver)
{
	if (!driver->driver_managed_dma && device->iommu)
		iommu_unuse_default_domain(device->iommu);
}

static int probe_vfio(struct device *device, struct why *why)
{
	struct vfio *vfio = &device->machine->vfio;
	int err;

	if (!device->iommu)
		err = vfio_pci_probe_untranslated(vfio, device->function, device->name, &device->vfio, why);
	else
		err = vfio_pci_probe(vfio, device->iommu, device->name, &device->vfio, why);
	if (err == 0)
		device->power_auto = true; /* pm_runtime_allow() */
	return err;
}

static bool is_port(const struct pci_function *function)
{
	if (!pci_is_pcie(function))
		return false;
	switch (pcie_type(function)) {
	case PCIE_ROOT_PORT:
	case PCIE_UPSTREAM_PORT:
	case PCIE_DOWNSTREAM_PORT:
		return true;
	default:
		return false;
	}
}

static int probe_port(const struct device *device, struct why *why)
{
	if (is_port(device->function))
		return 0;
	return refuse(why, DRIVER_DECLINED, "%s is no PCI Express port, pcieport does not want it", device->name);
}

/* A native driver switches on what it needs. */
static void enable_native(struct device *device)
{
	u16 command = pci_command(device->function) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		if (device->function->bars[bar].kind == PCI_BAR_IO)
			command |= PCI_COMMAND_IO;
	pci_config_write(device->function, PCI_COMMAND, 2, command);
}

static void disable_native(struct device *device)
{
	pci_config_write(device->function, PCI_COMMAND, 2, pci_command(device->function) & (u32)~PCI_COMMAND_MASTER);
}

/* pci-driver.c:pci_device_can_probe() */
static int may_probe(const struct device *device, const struct driver *driver, struct why *why)
{
	const struct pci_function *physical = device->function->physical;
	const struct device *owner = physical ? device_find(device->machine, physical->addr) : NULL;

	if (!owner || !owner->vf_probing_off || device->driver_override)
		return 0;
	return refuse(why, VF_NOT_PROBED, "%s does not get %s: sriov_drivers_autoprobe of %s is off", device->name,
		      driver->name, owner->name);
}

static int probe(struct device *device, const struct driver *driver, struct why *why)
{
	int err = may_probe(device, driver, why);

	if (err < 0)
		return err;
	switch (driver->kind) {
	case DRIVER_VFIO_PCI:
		return probe_vfio(device, why);
	case DRIVER_PORT:
		return probe_port(device, why);
	case DRIVER_DMA_API:
		enable_native(device);
		return 0;
	case DRIVER_STUB:
		return 0;
	}
	return 0;
}

static void remove_from(struct device *device, const struct driver *driver)
{
	if (driver->kind == DRIVER_VFIO_PCI) {
		vfio_pci_remove(device->vfio);
		device->vfio = NULL;
		device->power_auto = false;
	}
	if (driver->kind == DRIVER_DMA_API)
		disable_native(device);
}

/* What the room's own drivers will do. vfio-pci leaves it to its user, within what the device can. */
static unsigned intent_of(const struct driver *driver, const struct iommu_device *device)
{
	switch (driver->kind) {
	case DRIVER_DMA_API:
		return INTENT_DMA;
	case DRIVER_VFIO_PCI:
		return INTENT_DMA | (device->max_pasids ? INTENT_PASID : 0);
	case DRIVER_STUB:
	case DRIVER_PORT:
		break;
	}
	return INTENT_UNDECLARED;
}

/* A driver from outside (isolde/iommu.h) has declared for itself already. */
static void declare(struct device *device, const struct driver *driver)
{
	if (!device->iommu)
		return;
	device->iommu->driver = driver->name;
	if (device->iommu->intent & INTENT_UNDECLARED)
		device->iommu->intent = intent_of(driver, device->iommu);
}

enum bind_step device_bind(struct device *device, struct driver *driver, struct why *why)
{
	assert(!device->driver);
	if (claim(device, driver, why) < 0)
		return BIND_CLAIM;
	if (sysfs_driver_bound(device, driver, why) < 0)
		goto unclaim;
	if (probe(device, driver, why) < 0)
		goto unlink;
	device->driver = driver;
	declare(device, driver);
	return BIND_DONE;
unlink:
	sysfs_driver_unbound(device);
unclaim:
	unclaim(device, driver);
	return BIND_PROBE;
}

/* Signals the program once more when ten seconds have passed. */
static u64 request_again(struct device *device, u64 next)
{
	u64 now = os_clock_ns();

	if (now < next)
		return next;
	vfio_device_request(device->vfio);
	return now + REQUEST_NS;
}

static void wait_until_closed(struct device *device)
{
	struct machine *machine = device->machine;
	u64 next = 0;

	vfio_device_hide(device->vfio);
	while (vfio_device_busy(device->vfio)) {
		next = request_again(device, next);
		mutex_wait_ms(&machine->lock, &machine->changed, LOOK_MS);
		/* A program may close without calling into the machine again. */
		files_drain(machine->files);
	}
}

int device_may_unbind(const struct device *device, struct why *why)
{
	int err = sriov_may_disable(device, why);

	if (err == 0 && device->iommu && device->iommu->dma_api_driver)
		err = iommu_may_unuse(device->iommu, why);
	return err;
}

void device_unbind(struct device *device)
{
	struct driver *driver = device->driver;

	sriov_disable(device);
	if (device->vfio)
		wait_until_closed(device);
	remove_from(device, driver);
	sysfs_driver_unbound(device);
	unclaim(device, driver);
	device->driver = NULL;
	if (device->iommu)
		iommu_undeclare(device->iommu);
}

void device_check(const struct device *device)
{
	const struct driver *driver = device->driver;

	/* Another thread waits in the middle of an unbind. */
	if (device->busy)
		return;
	assert((device->vfio != NULL) == (driver && driver->kind == DRIVER_VFIO_PCI));
	assert(!device->iommu || device->iommu->function == device->function);
	assert(!device->iommu || device->iommu->driver == (driver ? driver->name : NULL));
	if (device->iommu)
		assert((device->iommu->dma_api_driver != NULL) == (driver && !driver->driver_managed_dma));
	for (unsigned i = 0; i < device->nresets; i++)
		assert(device->reset_supported & 1u << device->reset_order[i]);
	assert(device->function->reset_forbidden == !device->nresets);
	sriov_check(device);
	sysfs_check_device(device);
}
