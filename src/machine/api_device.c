/* SPDX-License-Identifier: MIT */
/* include/isolde/iommu.h: devices, drivers, ownership. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/dma.h"
#include "iommu/intent.h"
#include "iommu/own.h"
#include "machine/api.h"
#include "machine/sysfs.h"

void api_begin(struct isolde_machine *machine)
{
	mutex_lock(&machine->machine->lock);
}

int api_end(struct isolde_machine *machine, const char *call, const struct why *why, int result,
	    struct isolde_why *reason)
{
	if (result < 0)
		journal_append(&machine->machine->journal, machine->client.pid, machine->client.name, call, why);
	mutex_unlock(&machine->machine->lock);
	why_export(reason, why, result);
	return result;
}

int api_core(const struct isolde_device *device, struct iommu_device **ret, struct why *why)
{
	*ret = device->core;
	return device->core ? 0 : refuse(why, DEVICE_NO_IOMMU, "%s is behind no IOMMU", device->device->name);
}

/* ---- devices ---- */

static struct isolde_device *find_wrapper(const struct isolde_machine *machine, const struct device *device)
{
	struct isolde_device *wrapper;

	list_for_each(wrapper, &machine->devices, link)
		if (wrapper->device == device)
			return wrapper;
	return NULL;
}

static int wrap(struct isolde_machine *machine, struct device *device, struct iommu_device *core,
		struct isolde_device **ret, struct why *why)
{
	struct isolde_device *wrapper = alloc_new(struct isolde_device, why);

	if (!wrapper)
		return -why->err;
	wrapper->machine = machine;
	wrapper->device = device;
	wrapper->core = core;
	if (device)
		device->holders++;
	list_append(&machine->devices, &wrapper->link);
	*ret = wrapper;
	return 0;
}

int isolde_device_get(struct isolde_machine *machine, const char *bdf, struct isolde_device **ret,
		      struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct device *device = NULL;
	struct pci_addr addr;
	int err = 0;

	api_begin(machine);
	if (pci_addr_parse(bdf, &addr))
		device = device_find(machine->machine, addr);
	if (!device)
		err = refuse(&why, DEVICE_UNKNOWN, "there is no device \"%.40s\" in the machine", bdf);
	else if (device->leaving)
		err = refuse(&why, DEVICE_LEAVING, "%s is a virtual function that is being taken away", bdf);
	else if (find_wrapper(machine, device))
		*ret = find_wrapper(machine, device);
	else
		err = wrap(machine, device, device->iommu, ret, &why);
	return api_end(machine, "device_get", &why, err, reason);
}

int isolde_device_emulate(struct isolde_machine *machine, const char *name, struct isolde_device *parent,
			  struct isolde_device **ret, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct iommu_device *core;
	int err;

	api_begin(machine);
	err = iommu_emulated_add(&machine->machine->iommu, name, parent ? parent->core : NULL, &core, &why);
	if (err == 0) {
		err = wrap(machine, NULL, core, ret, &why);
		if (err < 0)
			iommu_device_remove(core);
	}
	return api_end(machine, "device_emulate", &why, err, reason);
}

int isolde_device_group(const struct isolde_device *device)
{
	return device->core ? device->core->group->id : -1;
}

uint32_t isolde_device_max_pasids(const struct isolde_device *device)
{
	return device->core ? device->core->max_pasids : 0;
}

void api_devices_free(struct isolde_machine *machine)
{
	struct isolde_device *device, *following;

	if (!machine->machine)
		return;
	api_begin(machine);
	iommu_sva_forget(&machine->machine->iommu, &machine->client);
	list_for_each_safe(device, following, &machine->devices, link) {
		if (device->core)
			iommu_disable_page_requests(device->core);
		if (device->device)
			device->device->holders--;
		else
			iommu_device_remove(device->core);
		list_remove(&device->link);
		free(device);
	}
	mutex_unlock(&machine->machine->lock);
}

/* ---- drivers ---- */

static int check_driver(const struct isolde_driver *driver, struct why *why)
{
	if (driver->size != sizeof(*driver))
		return refuse(why, OPTIONS_SIZE, "the driver has a size of %zu bytes", driver->size);
	if (driver->intent & ~(unsigned)(INTENT_DMA | INTENT_PASID | INTENT_ENQCMD | INTENT_SOFTWARE))
		return refuse(why, INTENT_CONTRADICTORY, "%.40s declares %#x, of which some bits mean nothing",
			      driver->name ? driver->name : "the driver", driver->intent);
	if (!driver->name || !*driver->name || strlen(driver->name) >= sizeof(((struct driver *)0)->name) ||
	    strchr(driver->name, '/'))
		return refuse(why, DRIVER_NAME, "\"%.40s\" cannot be the name of a driver",
			      driver->name ? driver->name : "");
	return 0;
}

/* One that the room has already keeps what it is. */
static int find_driver(struct machine *machine, const struct isolde_driver *wanted, struct driver **ret,
		       struct why *why)
{
	int err;

	*ret = driver_find(&machine->drivers, wanted->name);
	if (*ret)
		return 0;
	err = driver_new(wanted->name, &machine->drivers, ret, why);
	if (err < 0)
		return err;
	(*ret)->machine = machine;
	(*ret)->kind = wanted->managed_dma ? DRIVER_STUB : DRIVER_DMA_API;
	(*ret)->driver_managed_dma = wanted->managed_dma;
	err = sysfs_add_driver(machine, *ret, why);
	if (err < 0)
		driver_free(*ret);
	return err;
}

static int give_driver(struct isolde_device *device, const struct isolde_driver *wanted, struct why *why)
{
	struct driver *driver;
	int err = check_driver(wanted, why);

	if (err < 0)
		return err;
	if (!device->device)
		return iommu_declare(device->core, "its driver", wanted->intent ? wanted->intent : INTENT_UNDECLARED,
				     why);
	device_lock(device->device); /* which we hold: it is not gone */
	if (device->device->driver)
		err = refuse(why, DEVICE_BOUND, "%s cannot have %s: %s has it", wanted->name, device->device->name,
			     device->device->driver->name);
	if (err == 0)
		err = find_driver(device->machine->machine, wanted, &driver, why);
	if (err == 0 && wanted->intent && device->core)
		err = iommu_declare(device->core, driver->name, wanted->intent, why);
	if (err == 0 && device_bind(device->device, driver, why) != BIND_DONE) {
		err = -why->err;
		if (device->core)
			iommu_undeclare(device->core);
	}
	device_unlock(device->device);
	return err;
}

int isolde_driver_bind(struct isolde_device *device, const struct isolde_driver *driver, struct isolde_why *reason)
{
	struct why why = WHY_INIT;

	api_begin(device->machine);
	return api_end(device->machine, "driver_bind", &why, give_driver(device, driver, &why), reason);
}

static int take_driver(struct isolde_device *device, struct why *why)
{
	int err = 0;

	if (!device->device) {
		iommu_undeclare(device->core);
		return 0;
	}
	device_lock(device->device);
	if (!device->device->driver)
		err = refuse(why, DEVICE_UNBOUND, "%s has no driver", device->device->name);
	if (err == 0)
		err = device_may_unbind(device->device, why);
	if (err == 0)
		device_unbind(device->device);
	device_unlock(device->device);
	return err;
}

int isolde_driver_unbind(struct isolde_device *device, struct isolde_why *reason)
{
	struct why why = WHY_INIT;

	api_begin(device->machine);
	return api_end(device->machine, "driver_unbind", &why, take_driver(device, &why), reason);
}

int isolde_enqcmd_set(struct isolde_device *device, uint32_t virtual_pasid, uint32_t pasid, struct isolde_why *reason)
{
	API_CALL(device, "enqcmd_set", iommu_enqcmd_set(core, virtual_pasid, pasid, &why));
}

void isolde_enqcmd_clear(struct isolde_device *device, uint32_t virtual_pasid)
{
	api_begin(device->machine);
	if (device->core)
		iommu_enqcmd_clear(device->core, virtual_pasid);
	mutex_unlock(&device->machine->machine->lock);
}
