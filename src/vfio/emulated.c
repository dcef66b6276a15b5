/* SPDX-License-Identifier: MIT */
/*
 * Emulated devices (mdev): no hardware, no IOMMU, no ownership of a group. What they do to memory they do through an
 * access of the iommufd that has the device, or by the mappings of its group's container. Linux:
 * drivers/vfio/vfio_main.c:vfio_pin_pages(), vfio_dma_rw(); iommufd.c:vfio_iommufd_emulated_bind() and the functions
 * after it; container.c:vfio_device_container_pin_pages().
 */
#include "vfio/emulated.h"

#include "iommu/soft.h"
#include "iommufd/access.h"
#include "vfio/container.h"
#include "vfio/group.h"

int vfio_emulated_probe(struct vfio *vfio, struct iommu_device *iommu, struct pci_function *function,
			struct soft_memory *soft, const char *name, struct vfio_device **ret, struct why *why)
{
	return vfio_device_new(vfio, iommu, function, soft, name, ret, why);
}

void vfio_emulated_remove(struct vfio_device *device)
{
	assert(device->soft);
	vfio_device_free(device);
}

/* ---- what the device asks, of either ---- */

static enum dma_result answer(struct vfio_device *device, int err, const struct why *why)
{
	const struct vfio *vfio = device->vfio;

	if (err == 0)
		return DMA_OK;
	if (vfio->listener && vfio->listener->soft_fault)
		vfio->listener->soft_fault(vfio->listener_context, device, why);
	return DMA_FAULT;
}

static unsigned access_flags(unsigned flags)
{
	return (flags & SOFT_WRITE ? ACCESS_WRITE : ACCESS_READ) | (flags & SOFT_PINNED ? ACCESS_SLOW : 0);
}

static enum dma_result soft_backend_move(struct soft_memory *memory, u64 iova, void *buffer, u64 size, unsigned flags)
{
	struct vfio_device *device = memory->driver;
	struct why why = WHY_INIT;
	int err = access_rw(device->iommufd.access, NULL, iova, buffer, size, access_flags(flags), &why);

	return answer(device, err, &why);
}

/* Whole pages, as vfio_pin_pages() has it. */
struct pages {
	u64 start, size;
};

static struct pages pages_around(u64 iova, u64 size)
{
	u64 start = align_down(iova, PAGE_SIZE);

	return (struct pages){start, align_up(size + (iova - start), PAGE_SIZE)};
}

static int decode_pin(const struct soft_memory *memory, struct why *why)
{
	const struct vfio_device *device = memory->driver;

	if (memory->unmapped)
		return 0;
	return refuse(why, ACCESS_NO_PIN, "%s would not hear of it when what it pins is unmapped", device->name);
}

static enum dma_result soft_backend_pin(struct soft_memory *memory, u64 iova, u64 size, unsigned flags)
{
	struct vfio_device *device = memory->driver;
	struct pages pages = pages_around(iova, size);
	struct why why = WHY_INIT;
	int err = decode_pin(memory, &why);

	if (err == 0)
		err = access_pin(device->iommufd.access, pages.start, pages.size, access_flags(flags), NULL, &why);
	return answer(device, err, &why);
}

static void soft_backend_unpin(struct soft_memory *memory, u64 iova, u64 size)
{
	const struct vfio_device *device = memory->driver;
	struct pages pages = pages_around(iova, size);

	access_unpin(device->iommufd.access, pages.start, pages.size);
}

static const struct soft_memory_ops soft_ops = {
	.move = soft_backend_move,
	.pin = soft_backend_pin,
	.unpin = soft_backend_unpin,
};

/* ---- of a container ---- */

static struct type1 *type1_of(const struct soft_memory *memory)
{
	return ((const struct vfio_device *)memory->driver)->group->container->backend;
}

/* Pinned or not, it is the same memory (docs/FIDELITY.md). */
static enum dma_result type1_backend_move(struct soft_memory *memory, u64 iova, void *buffer, u64 size, unsigned flags)
{
	struct why why = WHY_INIT;
	int err = type1_rw(type1_of(memory), iova, buffer, size, flags & SOFT_WRITE, &why);

	return answer(memory->driver, err, &why);
}

/* As many calls as it takes. */
static int pin_pages(struct type1 *type1, struct pages pages, unsigned permission, struct why *why)
{
	u64 count = pages.size / PAGE_SIZE;

	for (u64 done = 0; done < count; done += TYPE1_PIN_MOST) {
		int err = type1_pin(type1, pages.start + done * PAGE_SIZE, min_u64(count - done, TYPE1_PIN_MOST),
				    permission, why);

		if (err < 0) {
			type1_unpin(type1, pages.start, done);
			return err;
		}
	}
	return 0;
}

static enum dma_result type1_backend_pin(struct soft_memory *memory, u64 iova, u64 size, unsigned flags)
{
	struct why why = WHY_INIT;
	int err = decode_pin(memory, &why);

	if (err == 0)
		err = pin_pages(type1_of(memory), pages_around(iova, size),
				flags & SOFT_WRITE ? ISOLDE_PT_WRITE : ISOLDE_PT_READ, &why);
	return answer(memory->driver, err, &why);
}

static void type1_backend_unpin(struct soft_memory *memory, u64 iova, u64 size)
{
	struct pages pages = pages_around(iova, size);

	type1_unpin(type1_of(memory), pages.start, pages.size / PAGE_SIZE);
}

static const struct soft_memory_ops type1_ops = {
	.move = type1_backend_move,
	.pin = type1_backend_pin,
	.unpin = type1_backend_unpin,
};

void vfio_emulated_enter(struct vfio_device *device, struct type1 *type1)
{
	device->soft->driver = device;
	device->soft->ops = &type1_ops;
	device->user.soft = device->soft;
	type1_add_user(type1, &device->user);
}

void vfio_emulated_leave(struct vfio_device *device)
{
	if (!device->user.soft)
		return;
	device->soft->ops = NULL;
	device->user.soft = NULL;
	type1_remove_user(&device->user);
}

/* ---- what the iommufd asks ---- */

static void emulated_unmap(void *data, u64 iova, u64 size)
{
	const struct soft_memory *soft = ((const struct vfio_device *)data)->soft;

	if (soft->unmapped)
		soft->unmapped(soft->device, iova, size);
}

/* All VFIO drivers get IOVAs that are aligned to pages, whether they pin any or not. */
static const struct access_ops access_ops = {
	.needs_pin_pages = true,
	.unmap = emulated_unmap,
};

int vfio_emulated_bind(struct vfio_device *device, struct context *context, struct why *why)
{
	int err = access_create(context, &access_ops, device, &device->iommufd.access, why);

	if (err < 0)
		return err;
	device->soft->driver = device;
	device->soft->ops = &soft_ops;
	return 0;
}

void vfio_emulated_unbind(struct vfio_device *device)
{
	device->soft->ops = NULL;
	access_destroy(device->iommufd.access);
	device->iommufd.access = NULL;
	device->iommufd.attached = false;
}

int vfio_emulated_attach(struct vfio_device *device, u32 ioas_id, struct why *why)
{
	struct device_iommufd *iommufd = &device->iommufd;
	int err = iommufd->attached ? access_replace(iommufd->access, ioas_id, why)
				    : access_attach(iommufd->access, ioas_id, why);

	if (err == 0)
		iommufd->attached = true;
	return err;
}

void vfio_emulated_detach(struct vfio_device *device)
{
	access_detach(device->iommufd.access);
	device->iommufd.attached = false;
}
