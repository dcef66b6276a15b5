/* SPDX-License-Identifier: MIT */
/*
 * SR-IOV at run time. Enabling makes everything there is of all virtual functions before the first of them gets a
 * driver; if that fails half way, what was made is taken back. Disabling takes them away one by one, each when its
 * driver has let go: that may wait, with machine.lock released, so the list of devices is looked at anew each time.
 *
 * A function and its device are freed in the order of machine_fini(): names, model, way to memory, function.
 */
#include "machine/sriov.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "machine/bus.h"
#include "machine/sysfs.h"

bool sriov_position(const struct device *device, unsigned *ret)
{
	const struct pci_function *physical = device->function->physical;

	return physical && pci_is_physical(physical) && pci_virtual_position(physical, device->function->addr, ret);
}

/* ---- away ---- */

/* The last one made, so that others keep their place in its group; NULL: it has none. */
static struct device *last_virtual(const struct device *physical)
{
	struct device *device, *last = NULL;

	list_for_each(device, &physical->machine->devices, link)
		if (device->function->physical == physical->function)
			last = device;
	return last;
}

/* It may have no device any more, or not yet. */
static void function_take_away(struct machine *machine, struct pci_function *function, struct iommu_device *iommu)
{
	/* The model ends before its way to memory. */
	pci_function_fini(function);
	if (iommu)
		iommu_device_remove(iommu);
	else
		iommu_untranslated_forget(&machine->iommu, function);
	pci_grouping_forget(machine->grouping, function);
	pci_topology_remove(&machine->topology, function);
	free(function);
}

/* However much of it was made; it has no driver. */
static void take_away(struct device *device)
{
	struct machine *machine = device->machine;
	struct pci_function *function = device->function;
	struct iommu_device *iommu = device->iommu;

	sysfs_remove_device(device);
	device_free(device);
	function_take_away(machine, function, iommu);
}

int sriov_may_disable(const struct device *device, struct why *why)
{
	const struct device *virtual;
	int err = 0;

	list_for_each(virtual, &device->machine->devices, link) {
		if (virtual->function->physical != device->function)
			continue;
		if (virtual->holders)
			return refuse(why, SRIOV_HELD,
				      "%s of %s cannot go: a program holds it by the library, or an "
				      "emulated device is below it",
				      virtual->name, device->name);
		err = virtual->driver ? device_may_unbind(virtual, why) : 0;
		if (err < 0)
			break;
	}
	return err;
}

void sriov_disable(struct device *device)
{
	struct device *virtual;

	if (!pci_is_physical(device->function) || !pci_sriov_number(device->function))
		return;
	if (device->vfio)
		vfio_device_virtuals_leave(device->vfio, true);
	list_for_each(virtual, &device->machine->devices, link)
		virtual->leaving |= virtual->function->physical == device->function;
	while ((virtual = last_virtual(device))) {
		/* Nobody else takes it away: that takes our lock. */
		device_lock(virtual);
		if (virtual->driver)
			device_unbind(virtual);
		device_drive_away(virtual);
		take_away(virtual);
	}
	pci_sriov_enable(device->function, 0);
	if (!device->vfio)
		return;
	vfio_device_virtuals_leave(device->vfio, false);
	vfio_pci_sriov(device->vfio, false);
}

/* ---- there ---- */

static struct iommu_group *group_of(const struct machine *machine, const struct pci_function *function)
{
	const struct device *device;

	list_for_each(device, &machine->devices, link)
		if (device->function == function)
			return device->iommu ? device->iommu->group : NULL;
	return NULL;
}

/* Into the group that the rules found for it, or one of its own. */
static int plug(struct device *physical, struct pci_function *function, struct iommu_device **ret, struct why *why)
{
	struct machine *machine = physical->machine;
	const struct pci_merge *merge = &machine->grouping->merges[function->index];
	const struct function_description *words = description_find(machine->description, physical->function->addr);
	const struct iommu_device_facts facts = {
		.alias_set = machine->grouping->alias_set[function->index],
		.regions = machine->description->regions,
		.region_set = words->vf ? words->vf->regions : 0,
	};
	struct iommu_group *group = merge->rule == MERGE_FOUNDED ? NULL : group_of(machine, merge->with);
	bool founded = !group;
	int err = founded ? iommu_group_add(&machine->iommu, &group, why) : 0;

	if (err < 0)
		return err;
	err = iommu_device_plug(group, physical->iommu->unit, function, &facts, ret, why);
	if (err < 0 && founded)
		iommu_group_remove(group);
	return err;
}

/* What is there of it at the end is the device's. */
static int fill_in(struct device *physical, struct device *device, struct why *why)
{
	const struct function_description *words = description_find(physical->machine->description,
								    physical->function->addr);
	int err = 0;

	if (device->iommu && !device->iommu->group->default_domain)
		err = iommu_group_choose_default(device->iommu->group, why);
	if (err == 0 && device->iommu)
		err = machine_enable_pasids(device, why);
	if (err == 0 && words->vf)
		err = machine_attach_model(device, words->vf, why);
	if (err == 0)
		err = sysfs_add_device(device, why);
	/* vfio_pci_core.c:vfio_pci_bus_notifier() */
	if (err == 0 && physical->vfio) {
		device->driver_override = alloc_string(physical->driver->name, why);
		err = device->driver_override ? 0 : -why->err;
	}
	return err;
}

/* A device of that function; on failure both are gone. */
static int make_device(struct device *physical, struct pci_function *function, struct why *why)
{
	struct machine *machine = physical->machine;
	struct iommu_device *iommu = NULL;
	struct device *device;
	int err = physical->iommu ? plug(physical, function, &iommu, why) : 0;

	if (err == 0)
		err = device_new(machine, function, iommu, &device, why);
	if (err < 0) {
		function_take_away(machine, function, iommu);
		return err;
	}
	err = fill_in(physical, device, why);
	if (err < 0)
		take_away(device);
	return err;
}

/* Sets keep their members, but may have other numbers. */
static void renumber_alias_sets(struct machine *machine)
{
	const struct device *device;

	list_for_each(device, &machine->devices, link)
		if (device->iommu)
			device->iommu->alias_set = machine->grouping->alias_set[device->function->index];
}

static int regroup(struct machine *machine, struct why *why)
{
	struct pci_grouping *grouping;
	int err = pci_grouping_compute(&machine->topology, NULL, &grouping, why);

	if (err < 0)
		return err;
	pci_grouping_free(machine->grouping);
	machine->grouping = grouping;
	renumber_alias_sets(machine);
	return 0;
}

/* The functions enter the topology, all or none; the groups are known then. */
static int make_functions(struct device *physical, u16 number, struct pci_function **functions, struct why *why)
{
	struct machine *machine = physical->machine;
	const struct function_description *words = description_find(machine->description, physical->function->addr);
	unsigned made = 0;
	int err = 0;

	while (made < number && err == 0) {
		err = virtual_build(machine->description, words, physical->function, made, &functions[made], why);
		if (err == 0)
			pci_topology_add(&machine->topology, functions[made++]);
	}
	if (err == 0)
		err = regroup(machine, why);
	while (err < 0 && made--) {
		pci_topology_remove(&machine->topology, functions[made]);
		pci_function_fini(functions[made]);
		free(functions[made]);
	}
	return err;
}

static int make_virtuals(struct device *physical, u16 number, struct why *why)
{
	_memory_ struct pci_function **functions = alloc_array(number, sizeof(struct pci_function *), why);
	struct device *device;
	unsigned made = 0;
	int err = functions ? make_functions(physical, number, functions, why) : -why->err;

	if (err < 0)
		return err;
	while (made < number && err == 0)
		err = make_device(physical, functions[made++], why);
	if (err == 0)
		return 0;
	for (unsigned left = number; left > made; left--)
		function_take_away(physical->machine, functions[left - 1], NULL);
	while ((device = last_virtual(physical)))
		take_away(device);
	return err;
}

/* drivers/base/dd.c:device_initial_probe(): who does not want one is no reason to have none. */
static void probe_virtuals(struct device *physical, struct why *why)
{
	struct machine *machine = physical->machine;
	struct device *device;

	list_for_each(device, &machine->devices, link)
		if (device->function->physical == physical->function && !machine->autoprobe_off)
			bus_attach(device, why);
}

/* ---- the write ---- */

static int decode_driver(const struct device *device, struct why *why)
{
	if (!device->driver)
		return refuse(why, SRIOV_NO_DRIVER, "%s has no driver, which would have to enable SR-IOV",
			      device->name);
	if (device->driver->kind != DRIVER_VFIO_PCI && device->driver->kind != DRIVER_DMA_API)
		return refuse(why, SRIOV_DRIVER, "%s cannot enable SR-IOV of %s", device->driver->name, device->name);
	return 0;
}

static int decode_vfio(const struct device *device, struct why *why)
{
	if (!device->vfio || device->machine->vfio.pci.enable_sriov)
		return 0;
	return refuse(why, SRIOV_FORBIDDEN,
		      "vfio-pci has %s, and does no SR-IOV unless its parameter enable_sriov is on", device->name);
}

/* Their addresses rise: the last one is on the last bus. */
static int decode_places(const struct device *device, unsigned number, struct why *why)
{
	const struct pci_function *function = device->function, *other;
	unsigned last_bus = function->parent ? function->parent->subordinate : 0xff, n;
	char name[PCI_ADDR_TEXT];
	struct pci_addr addr;

	if (!pci_virtual_addr(function, number - 1, &addr) || addr.bus > last_bus)
		return refuse(why, SRIOV_BUSES, "the last of %u virtual functions of %s would be on a bus behind %02x",
			      number, device->name, last_bus);
	list_for_each(other, &device->machine->topology.functions, link)
		if (pci_virtual_position(function, other->addr, &n) && n < number)
			return refuse(why, SRIOV_ADDRESS,
				      "virtual function %u of %s would be %s, which is there already", n, device->name,
				      pci_addr_print(other->addr, name));
	return 0;
}

static int decode_enable(const struct device *device, u16 number, struct why *why)
{
	const struct pci_function *function = device->function;
	u16 initial = get_u16(function->config + function->cap_sriov + PCI_SRIOV_INITIAL);
	int err;

	if (pci_sriov_number(function))
		return refuse(why, SRIOV_ENABLED, "%s has %u virtual functions already", device->name,
			      pci_sriov_number(function));
	err = decode_vfio(device, why);
	if (err < 0)
		return err;
	if (initial != pci_sriov_total(function))
		return refuse(why, SRIOV_INITIAL, "%s says that it has %u virtual functions at first, of %u",
			      device->name, initial, pci_sriov_total(function));
	return decode_places(device, number, why);
}

static int enable(struct device *device, u16 number, struct why *why)
{
	int err = decode_enable(device, number, why);

	if (err < 0)
		return err;
	if (device->vfio)
		vfio_pci_sriov(device->vfio, true);
	pci_sriov_enable(device->function, number);
	err = make_virtuals(device, number, why);
	if (err == 0) {
		probe_virtuals(device, why);
		return 0;
	}
	pci_sriov_enable(device->function, 0);
	if (device->vfio)
		vfio_pci_sriov(device->vfio, false);
	return why_context(why, "enabling %u virtual functions of %s", number, device->name);
}

static int disable(struct device *device, struct why *why)
{
	int err = decode_vfio(device, why);

	if (err == 0)
		err = sriov_may_disable(device, why);
	if (err == 0)
		sriov_disable(device);
	return err;
}

int sriov_set_number(struct device *device, u16 number, struct why *why)
{
	int err;

	if (number > pci_sriov_total(device->function))
		return refuse(why, SRIOV_TOTAL, "%s has at most %u virtual functions, not %u", device->name,
			      pci_sriov_total(device->function), number);
	device_lock(device); /* no virtual function: it does not go */
	err = number == pci_sriov_number(device->function) ? 0 : decode_driver(device, why);
	if (err == 0 && number != pci_sriov_number(device->function))
		err = number ? enable(device, number, why) : disable(device, why);
	device_unlock(device);
	return err;
}

void sriov_check(const struct device *device)
{
	const struct pci_function *function = device->function, *virtual;
	const struct device *other __attribute__((unused));

	for (virtual = function->virtuals; virtual; virtual = virtual->next_virtual) {
		other = device_find(device->machine, virtual->addr);
		assert(virtual->physical == function && other && other->function == virtual);
	}
	assert(!device->gone &&
	       (!device->vfio || !pci_is_physical(function) || !function->virtuals || pci_sriov_number(function)));
}
