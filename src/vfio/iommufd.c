/* SPDX-License-Identifier: MIT */
#include "vfio/iommufd.h"

#include "base/alloc.h"
#include "iommufd/access.h"
#include "iommufd/device.h"
#include "vfio/emulated.h"

/* What iommufd counts as one attachment more. PASID 0 is the same to it as none, but not to us (spec 04 section 6.2).
 */
struct attached_pasid {
	struct itree_node node; /* PASID, twice */
};

#define LAST_PASID 0x7fffffffu /* where Linux's ida ends */

static struct attached_pasid *pasid_find(const struct vfio_device *device, u32 pasid)
{
	struct itree_node *node = itree_first(&device->iommufd.pasids, pasid, pasid);

	return node ? container_of(node, struct attached_pasid, node) : NULL;
}

bool vfio_iommufd_bound(const struct vfio_device *device)
{
	return device->iommufd.device || device->iommufd.access;
}

struct context *vfio_iommufd_context(const struct vfio_device *device)
{
	return device->iommufd.device ? device->iommufd.device->object.context : NULL;
}

u32 vfio_iommufd_id(const struct vfio_device *device)
{
	const struct device_iommufd *iommufd = &device->iommufd;

	return iommufd->device ? iommufd->device->object.id : access_id(iommufd->access);
}

/* ---- bind ---- */

int vfio_iommufd_bind(struct vfio_device *device, struct context *context, struct why *why)
{
	assert(!vfio_iommufd_bound(device) && !device->opened);
	if (device->soft)
		return vfio_emulated_bind(device, context, why);
	return iommufd_device_bind(context, device->iommu, &device->iommufd.device, why);
}

void vfio_iommufd_unbind(struct vfio_device *device)
{
	struct device_iommufd *iommufd = &device->iommufd;

	if (!vfio_iommufd_bound(device))
		return;
	for (struct itree_node *node; (node = itree_first(&iommufd->pasids, 0, LAST_PASID));)
		vfio_iommufd_detach_pasid(device, (u32)node->start);
	if (iommufd->access) {
		vfio_emulated_unbind(device);
		return;
	}
	vfio_iommufd_detach(device);
	iommufd_device_unbind(take(iommufd->device));
}

/* ---- attach ---- */

int vfio_iommufd_attach(struct vfio_device *device, u32 *pt_id, struct why *why)
{
	struct device_iommufd *iommufd = &device->iommufd;
	int err;

	if (iommufd->access)
		return vfio_emulated_attach(device, *pt_id, why);
	err = iommufd->attached ? iommufd_device_replace(iommufd->device, 0, pt_id, why)
				: iommufd_device_attach(iommufd->device, 0, pt_id, why);
	if (err == 0)
		iommufd->attached = true;
	return err;
}

void vfio_iommufd_detach(struct vfio_device *device)
{
	struct device_iommufd *iommufd = &device->iommufd;

	if (!iommufd->attached)
		return;
	if (iommufd->access) {
		vfio_emulated_detach(device);
		return;
	}
	iommufd_device_detach(iommufd->device, 0);
	iommufd->attached = false;
}

int vfio_iommufd_attach_pasid(struct vfio_device *device, u32 pasid, u32 *pt_id, struct why *why)
{
	struct device_iommufd *iommufd = &device->iommufd;
	_memory_ struct attached_pasid *attached = NULL;
	int err;

	if (pasid_find(device, pasid))
		return iommufd_device_replace(iommufd->device, pasid, pt_id, why);
	if (pasid > LAST_PASID)
		return refuse(why, PASID_BEYOND, "%s: PASID %u is above %u", device->name, pasid, LAST_PASID);
	attached = alloc_new(struct attached_pasid, why);
	if (!attached)
		return -why->err;
	err = iommufd_device_attach(iommufd->device, pasid, pt_id, why);
	if (err < 0)
		return err;
	attached->node.start = attached->node.last = pasid;
	itree_insert(&iommufd->pasids, &take(attached)->node);
	return 0;
}

void vfio_iommufd_detach_pasid(struct vfio_device *device, u32 pasid)
{
	struct device_iommufd *iommufd = &device->iommufd;
	struct attached_pasid *attached = pasid_find(device, pasid);

	if (!attached)
		return;
	iommufd_device_detach(iommufd->device, pasid);
	itree_remove(&iommufd->pasids, &attached->node);
	free(attached);
}

/* GITS_TRANSLATER of an Arm machine's interrupt controller; where QEMU's `virt` has it. */
#define MESSAGE_REGISTER 0x8090040u

/* Linux: drivers/iommu/iommufd/driver.c:iommufd_sw_msi(), when vectors are allocated. */
int vfio_iommufd_prepare_messages(struct vfio_device *device, struct why *why)
{
	u64 iova;

	if (!device->iommufd.device)
		return 0;
	return iommufd_device_msi(device->iommufd.device, MESSAGE_REGISTER, &iova, why);
}

void vfio_iommufd_check(const struct vfio_device *device)
{
	const struct device_iommufd *iommufd = &device->iommufd;

	itree_check(&iommufd->pasids);
	assert(!iommufd->device || !iommufd->access);
	assert(!iommufd->access || device->soft);
	assert(!iommufd->pasids.count || iommufd->device);
	assert(vfio_iommufd_bound(device) || (!iommufd->attached && !iommufd->pasids.count));
	assert(!vfio_iommufd_bound(device) || device->opened);
	assert(!iommufd->device || iommufd->device->core == device->iommu);
}
