/* SPDX-License-Identifier: MIT */
#include "machine/mdev.h"

#include "base/alloc.h"
#include "iommu/intent.h"
#include "machine/device.h"

static void mdev_free(struct mdev *mdev)
{
	assert(!mdev->vfio);
	list_remove(&mdev->link);
	vfio_dev_nodes_remove(&mdev->vfio_nodes);
	pci_function_fini(&mdev->function);
	if (mdev->iommu)
		iommu_device_remove(mdev->iommu);
	free(mdev);
}

static int mdev_new(struct machine *machine, const struct emulated_description *words, struct why *why)
{
	const struct model *model = words->model;
	struct device *parent = words->parent ? device_find(machine, words->parent->addr) : NULL;
	struct mdev *mdev = alloc_new(struct mdev, why);
	int err;

	if (!mdev)
		return -why->err;
	mdev->words = words;
	if (parent)
		parent->holders++;
	pci_function_init(&mdev->function, (struct pci_addr){}, &model->identity);
	model->build(&mdev->function, &words->options);
	list_append(&machine->mdevs, &mdev->link);
	err = iommu_emulated_add(&machine->iommu, words->uuid, parent ? parent->iommu : NULL, &mdev->iommu, why);
	if (err < 0)
		return err;
	mdev->iommu->driver = model->name;
	mdev->iommu->intent = INTENT_SOFTWARE;
	return model->attach_soft(&mdev->function, &mdev->memory, &words->options, why);
}

int mdevs_add(struct machine *machine, struct why *why)
{
	const struct emulated_description *words;
	int err = 0;

	list_for_each(words, &machine->description->emulated, link)
		if (err == 0)
			err = mdev_new(machine, words, why);
	return err;
}

int mdevs_bind(struct machine *machine, struct why *why)
{
	struct mdev *mdev;
	int err = 0;

	list_for_each(mdev, &machine->mdevs, link)
		if (err == 0)
			err = vfio_emulated_probe(&machine->vfio, mdev->iommu, &mdev->function, &mdev->memory,
						  mdev->words->uuid, &mdev->vfio, why);
	return err;
}

void mdevs_unbind(struct machine *machine)
{
	struct mdev *mdev;

	list_for_each(mdev, &machine->mdevs, link) {
		if (mdev->vfio)
			vfio_emulated_remove(mdev->vfio);
		mdev->vfio = NULL;
	}
}

void mdevs_free(struct machine *machine)
{
	struct mdev *mdev, *following;

	list_for_each_safe(mdev, following, &machine->mdevs, link)
		mdev_free(mdev);
}

/* vfio tells of a device before its probe has returned it: its place at the IOMMU is what both know. */
struct mdev *mdev_of(const struct machine *machine, const struct vfio_device *vfio)
{
	struct mdev *mdev;

	list_for_each(mdev, &machine->mdevs, link)
		if (mdev->iommu == vfio_device_iommu(vfio))
			return mdev;
	return NULL;
}

void mdevs_check(const struct machine *machine)
{
	const struct mdev *mdev;

	list_for_each(mdev, &machine->mdevs, link) {
		assert(mdev->vfio && vfio_device_iommu(mdev->vfio) == mdev->iommu);
		assert(!mdev->iommu->function && mdev->iommu->group->ndevices == 1);
		assert(node_child(mdev->node, "vfio-dev") == mdev->vfio_nodes.directory);
	}
}
