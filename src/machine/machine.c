/* SPDX-License-Identifier: MIT */
/*
 * A machine's life: from a description to functions, groups, devices, drivers and names, and back. Everything that can
 * be initialised without failing is, first of all, so that machine_free() takes a machine in any state.
 *
 * The way up: functions -> groups -> IOMMU unit, groups, devices -> models get their way to memory -> drivers -> names
 * -> boot drivers bind. The way down is the reverse; models end before their ports do.
 */
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "iommu/dma.h"
#include "iommu/pasid.h"
#include "machine/device.h"
#include "machine/files.h"
#include "machine/mdev.h"
#include "machine/sysfs.h"
#include "machine/unit.h"
#include "vfio/device.h"

static struct vfio_dev_nodes *nodes_of(struct machine *machine, const struct vfio_device *vfio)
{
	struct mdev *mdev = mdev_of(machine, vfio);

	return mdev ? &mdev->vfio_nodes : &device_called(machine, vfio_device_name(vfio))->vfio_nodes;
}

static const struct node *node_of(const struct machine *machine, const struct vfio_device *vfio)
{
	const struct mdev *mdev = mdev_of(machine, vfio);

	return mdev ? mdev->node : device_called(machine, vfio_device_name(vfio))->node;
}

bool machine_fdinfo(struct machine *machine, u64 host_device, u64 inode, char text[static FDINFO_LINES])
{
	const struct vfio_device *device;
	char path[FDINFO_LINES - 32];
	struct file *file;

	mutex_lock(&machine->lock);
	file = files_find(machine->files, host_device, inode);
	device = file ? device_of_file(file) : NULL;
	if (device)
		snprintf(text, FDINFO_LINES, "vfio-device-syspath: /%s\n",
			 node_path(node_of(machine, device), path, sizeof(path)));
	mutex_unlock(&machine->lock);
	return device;
}

static void group_added(void *context, int group_id, unsigned minor)
{
	sysfs_vfio_group_added(context, group_id, minor);
}

static void group_removed(void *context, int group_id)
{
	sysfs_vfio_group_removed(context, group_id);
}

static void device_added(void *context, struct vfio_device *vfio, unsigned index)
{
	vfio_dev_nodes_publish(context, nodes_of(context, vfio), index);
}

static void device_removed(void *context, struct vfio_device *vfio, unsigned index)
{
	vfio_dev_nodes_withdraw(context, nodes_of(context, vfio));
}

static void device_closed(void *context, struct vfio_device *vfio)
{
	struct machine *machine = context;

	pthread_cond_broadcast(&machine->changed);
}

static const char *driver_of(void *context, const struct pci_function *function)
{
	const struct device *device = device_find(context, function->addr);

	return device && device->driver ? device->driver->name : NULL;
}

/* A request that an emulated device made for itself: there is nobody to answer. */
static void soft_fault(void *context, struct vfio_device *vfio, const struct why *why)
{
	struct machine *machine = context;

	journal_append(&machine->journal, 0, vfio_device_name(vfio), "software DMA", why);
}

static const struct vfio_listener vfio_listener = {
	.group_added = group_added,
	.group_removed = group_removed,
	.device_added = device_added,
	.device_removed = device_removed,
	.device_closed = device_closed,
	.remark = machine_remark,
	.driver_of = driver_of,
	.soft_fault = soft_fault,
};

/* On the device's thread, without machine.lock. */
static void dma_faulted(void *context, const struct dma_fault *fault)
{
	struct machine *machine = context;
	char name[PCI_ADDR_TEXT];
	struct why why;

	refuse(&why, DMA_FAULT, "%s", fault->text);
	journal_append(&machine->journal, 0, pci_addr_print(fault->function->addr, name), "DMA", &why);
}

static void machine_init(struct machine *machine, struct description *description)
{
	mutex_init(&machine->lock, RANK_MACHINE);
	waiting_init(&machine->waiting);
	condition_init(&machine->changed);
	machine->description = description;
	pci_topology_init(&machine->topology);
	iommu_init(&machine->iommu);
	machine->iommu.options = description->options;
	machine->iommu.fault = dma_faulted;
	machine->iommu.fault_context = machine;
	iommufd_init(&machine->iommufd, &machine->iommu);
	machine->iommufd.noiommu = true; /* as distributions build it: CONFIG_VFIO_NOIOMMU */
	machine->iommufd.provides_vfio = description->iommufd_provides_vfio;
	vfio_init(&machine->vfio, &machine->iommu, &vfio_listener, machine);
	machine->vfio.pci = description->vfio_pci;
	machine->iommufd.unsafe_interrupts = machine->vfio.unsafe_interrupts = description->unsafe_interrupts;
	if (description->has_dma_entry_limit)
		machine->vfio.dma_entry_limit = description->dma_entry_limit;
	if (description->has_interrupt_vectors)
		machine->vfio.vector_limit = description->interrupt_vectors;
	machine->vfio.topology = &machine->topology;
	machine->vfio.noiommu = description->noiommu;
	machine->vfio.linux_hot_reset = description->linux_hot_reset;
	journal_init(&machine->journal);
	list_init(&machine->remarks);
	list_init(&machine->drivers);
	list_init(&machine->devices);
	list_init(&machine->mdevs);
	list_init(&machine->vfio_nodes);
}

static int build_topology(struct machine *machine, struct why *why)
{
	int err = topology_build(machine->description, &machine->topology, why);

	if (err == 0)
		err = contents_load(machine->description, &machine->topology, why);
	return err < 0 ? err : pci_grouping_compute(&machine->topology, NULL, &machine->grouping, why);
}

static int add_unit(struct machine *machine, unsigned number, struct iommu_unit **ret, struct why *why)
{
	struct iommu_unit unit = unit_make(&machine->description->iommu, number);

	return iommu_unit_add(&machine->iommu, &unit, ret, why);
}

/* Adds the function to the group with that index, which is made at its first member. */
static int add_to_group(struct machine *machine, struct iommu_unit *unit, int index, struct pci_function *function,
			struct why *why)
{
	const struct description *description = machine->description;
	const struct iommu_device_facts facts = {
		.alias_set = machine->grouping->alias_set[function->index],
		.regions = description->regions,
		.region_set = description_find(description, function->addr)->regions,
	};
	struct iommu_group *group = iommu_group_find(&machine->iommu, index);
	struct iommu_device *device;
	int err = 0;

	if (!group)
		err = iommu_group_add(&machine->iommu, &group, why);
	if (err < 0)
		return err;
	/* Both count from 0 in the order of first members. */
	assert(group->id == index);
	return iommu_device_plug(group, unit, function, &facts, &device, why);
}

/* A unit finds its devices when it comes up, so groups are numbered unit by unit (pci/isolation.c does so too). */
static int fill_groups(struct machine *machine, struct iommu_unit *unit, unsigned number, struct why *why)
{
	struct pci_function *function;
	int err = 0;

	list_for_each(function, &machine->topology.functions, link) {
		int index = machine->grouping->group[function->index];

		if (function->unit == number && index >= 0)
			err = add_to_group(machine, unit, index, function, why);
		if (err < 0)
			return err;
	}
	return 0;
}

static unsigned count_units(const struct machine *machine)
{
	const struct pci_function *function;
	unsigned count = 1;

	if (!machine->description->iommu.present)
		return 0;
	list_for_each(function, &machine->topology.functions, link)
		count = (unsigned)max_u64(count, function->unit + 1u);
	return count;
}

static int add_groups(struct machine *machine, struct why *why)
{
	unsigned count = count_units(machine);
	struct iommu_unit *unit;
	int err = 0;

	for (unsigned i = 0; i < count && err == 0; i++) {
		err = add_unit(machine, i, &unit, why);
		if (err == 0)
			err = fill_groups(machine, unit, i, why);
	}
	return err;
}

static int choose_defaults(struct machine *machine, struct why *why)
{
	struct iommu_group *group;
	int err = 0;

	list_for_each(group, &machine->iommu.groups, link) {
		err = iommu_group_choose_default(group, why);
		if (err < 0)
			break;
	}
	return err;
}

static int add_devices(struct machine *machine, struct why *why)
{
	struct iommu_device **iommu = alloc_array(machine->topology.count + 1, sizeof(struct iommu_device *), why);
	struct iommu_device *member;
	struct pci_function *function;
	struct iommu_group *group;
	struct device *device;
	int err = iommu ? 0 : -why->err;

	if (iommu)
		list_for_each(group, &machine->iommu.groups, link)
			list_for_each(member, &group->devices, group_link)
				iommu[member->function->index] = member;
	list_for_each(function, &machine->topology.functions, link) {
		if (err == 0)
			err = device_new(machine, function, iommu[function->index], &device, why);
		if (err < 0)
			break;
	}
	free(iommu);
	return err < 0 ? err : choose_defaults(machine, why);
}

static void tell_pasids_off(const struct device *device, struct why *why)
{
	refuse_pasids_off(device->iommu, why);
	journal_append(&device->machine->journal, 0, "isolde", "boot", why);
	why_clear(why);
}

/*
 * What an IOMMU's driver does when it finds a device: iommu/intel/iommu.c:intel_iommu_probe_finalize() and Arm's take
 * all that the device can, AMD's the bare PASIDs. Where the way to the root forbids it, Linux goes on without.
 * A virtual function shares what its physical one has, and what that lacks has been told.
 */
int machine_enable_pasids(const struct device *device, struct why *why)
{
	struct pci_function *function = device->function;
	char text[PCI_REASON_TEXT];
	u16 features;

	if (!device->iommu || !device->iommu->max_pasids)
		return 0;
	if (!pci_may_enable_pasids(device->machine->grouping, function, text)) {
		device->iommu->pasids_off = alloc_string(text, why);
		if (!device->iommu->pasids_off)
			return -why->err;
		if (!function->physical)
			tell_pasids_off(device, why);
		return 0;
	}
	if (function->physical)
		return 0;
	features = get_u16(function->config + function->cap_pasid + 4) & (PCI_PASID_EXECUTE | PCI_PASID_PRIVILEGED);
	if (device->iommu->unit->kind == KIND_AMD)
		features = 0;
	pci_config_write(function, function->cap_pasid + 6, 2, PCI_PASID_ENABLE | features);
	return 0;
}

static int enable_pasids(struct machine *machine, struct why *why)
{
	const struct device *device;
	int err = 0;

	list_for_each(device, &machine->devices, link) {
		err = machine_enable_pasids(device, why);
		if (err < 0)
			break;
	}
	return err;
}

/* Without an IOMMU a device has a port all the same: whatever it asks of memory is a fault. */
int machine_attach_model(struct device *device, const struct function_description *words, struct why *why)
{
	struct dma_port *port = NULL;
	int err = 0;

	if (!words->model || !words->model->attach)
		return 0;
	if (device->iommu)
		port = device->iommu->port;
	else
		err = iommu_untranslated_port(&device->machine->iommu, device->function, &port, why);
	return err < 0 ? err : words->model->attach(device->function, port, &words->options, why);
}

static int attach_models(struct machine *machine, struct why *why)
{
	struct device *device;

	list_for_each(device, &machine->devices, link) {
		int err = machine_attach_model(device, description_find(machine->description, device->function->addr),
					       why);

		if (err < 0)
			return why_context(why, "%s", device->name);
	}
	return 0;
}

static int need_driver(struct machine *machine, const char *name, struct driver **ret, struct why *why)
{
	int err;

	*ret = driver_find(&machine->drivers, name);
	if (*ret)
		return 0;
	err = driver_new(name, &machine->drivers, ret, why);
	if (err == 0)
		(*ret)->machine = machine;
	return err;
}

/* For virtual functions that come later. */
static int add_virtual_drivers(struct machine *machine, struct why *why)
{
	const struct function_description *words;
	struct driver *driver;
	int err = 0;

	list_for_each(words, &machine->description->functions, link) {
		if (!words->vf || !words->vf->driver[0])
			continue;
		err = need_driver(machine, words->vf->driver, &driver, why);
		if (err == 0)
			err = driver_add_identity(driver, &words->vf->identity, why);
		if (err < 0)
			break;
	}
	return err;
}

/* The order is that of matching: whoever needs an id comes first, as on a host that loads vfio-pci late. */
static int add_drivers(struct machine *machine, struct why *why)
{
	static const char *const always[] = {"pcieport", "vfio-pci", "pci-stub"};
	const struct function_description *words;
	struct driver *driver;
	int err;

	list_for_each(words, &machine->description->functions, link) {
		if (!words->driver[0])
			continue;
		err = need_driver(machine, words->driver, &driver, why);
		if (err == 0)
			err = driver_add_function(driver, pci_topology_find(&machine->topology, words->addr), why);
		if (err < 0)
			return err;
	}
	err = add_virtual_drivers(machine, why);
	if (err < 0)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
		err = need_driver(machine, always[i], &driver, why);
		if (err < 0)
			return err;
	}
	return 0;
}

static int bind_boot_drivers(struct machine *machine, struct why *why)
{
	struct device *device;

	list_for_each(device, &machine->devices, link) {
		const struct function_description *words = description_find(machine->description,
									    device->function->addr);

		if (!words->driver[0])
			continue;
		if (device_bind(device, driver_find(&machine->drivers, words->driver), why) != BIND_DONE)
			return why_context(why, "binding %s to %s at boot", device->name, words->driver);
		if (why->code == WHY_NONE)
			continue;
		journal_append(&machine->journal, 0, "isolde", "boot", why);
		why_clear(why);
	}
	return 0;
}

/* One descriptor to poll for closes and for the eventfds of programs that vfio listens to. */
static int open_events(struct machine *machine, struct why *why)
{
	int err = files_new(&machine->files, why);
	int events = err < 0 ? err : vfio_events(&machine->vfio, why);

	return events < 0 ? events : files_events_add(machine->files, events, why);
}

static int machine_build(struct machine *machine, struct why *why)
{
	int err = open_events(machine, why);

	if (err == 0)
		err = build_topology(machine, why);
	if (err == 0)
		err = add_groups(machine, why);
	if (err == 0)
		err = add_devices(machine, why);
	if (err == 0)
		err = enable_pasids(machine, why);
	if (err == 0)
		err = mdevs_add(machine, why);
	if (err == 0)
		err = attach_models(machine, why);
	if (err == 0)
		err = add_drivers(machine, why);
	if (err == 0)
		err = sysfs_build(machine, why);
	if (err == 0)
		err = bind_boot_drivers(machine, why);
	if (err == 0)
		err = mdevs_bind(machine, why);
	/* Last, so that what there is for tests changes nothing of the rest. */
	if (err == 0 && machine->description->selftest)
		err = selftest_init(&machine->selftest, &machine->iommufd, why);
	return err;
}

int machine_new(struct description *description, struct machine **ret, struct why *why)
{
	struct machine *machine = alloc_new(struct machine, why);
	int err;

	if (!machine) {
		description_free(description);
		return -why->err;
	}
	machine_init(machine, description);
	mutex_lock(&machine->lock);
	err = machine_build(machine, why);
	mutex_unlock(&machine->lock);
	if (err < 0) {
		machine_free(machine);
		return err;
	}
	*ret = machine;
	return 0;
}

/* Files are closed before: nobody can be waited for. */
static void unbind_all(struct machine *machine)
{
	struct device *device;

	list_for_each(device, &machine->devices, link)
		if (device->driver)
			device_unbind(device);
}

static void machine_fini(struct machine *machine)
{
	struct device *device, *next_device;
	struct driver *driver, *next_driver;

	if (machine->files)
		files_close_all(machine->files);
	/* Their names are below those of virtual functions, which go with their physical one's driver. */
	mdevs_unbind(machine);
	unbind_all(machine);
	vfio_fini(&machine->vfio);
	selftest_fini(&machine->selftest);
	iommufd_fini(&machine->iommufd);
	machine_tell_cuts(machine);
	mdevs_free(machine);
	sysfs_vfio_fini(machine);
	node_remove(machine->root);
	list_for_each_safe(device, next_device, &machine->devices, link)
		device_free(device);
	list_for_each_safe(driver, next_driver, &machine->drivers, link)
		driver_free(driver);
	pci_topology_fini(&machine->topology);
	iommu_fini(&machine->iommu);
	pci_grouping_free(machine->grouping);
	description_free(machine->description);
	files_free(machine->files);
}

void machine_free(struct machine *machine)
{
	if (!machine)
		return;
	mutex_lock(&machine->lock);
	machine_fini(machine);
	mutex_unlock(&machine->lock);
	journal_fini(&machine->journal);
	pthread_cond_destroy(&machine->changed);
	waiting_fini(&machine->waiting);
	mutex_fini(&machine->lock);
	free(machine);
}
