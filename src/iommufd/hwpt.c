/* SPDX-License-Identifier: MIT */
/* The life of hardware page tables (spec 03 sections 2 and 6); how programs ask for one is in hwpt_alloc.c. */
#include "iommufd/hwpt.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/device.h"
#include "iommufd/driver.h"
#include "iommufd/eventq.h"
#include "iommufd/viommu.h"

enum {
	KNOWN_FLAGS = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_FAULT_ID_VALID |
		      IOMMU_HWPT_ALLOC_PASID,
};

static struct hwpt_paging *paging_of(struct object *object)
{
	return container_of(object, struct hwpt_paging, hwpt.object);
}

static struct hwpt_nested *nested_of(struct object *object)
{
	return container_of(object, struct hwpt_nested, hwpt.object);
}

bool object_is_hwpt(const struct object *object)
{
	return object->class == &hwpt_paging_class || object->class == &hwpt_nested_class;
}

struct hwpt_paging *hwpt_paging_of(struct hwpt *hwpt)
{
	struct hwpt_nested *nested;

	if (hwpt->object.class == &hwpt_paging_class)
		return paging_of(&hwpt->object);
	nested = nested_of(&hwpt->object);
	return nested->viommu ? nested->viommu->parent : nested->parent;
}

int hwpt_paging_find(struct context *context, u32 id, struct hwpt_paging **ret, struct why *why)
{
	struct object *object;
	int err = object_find(context, id, &hwpt_paging_class, &object, why);

	if (err == 0)
		*ret = paging_of(object);
	return err;
}

void hwpt_free(struct hwpt *hwpt)
{
	hwpt->object.class->free(&hwpt->object);
}

void hwpt_put(struct hwpt *hwpt)
{
	object_unuse(&hwpt->object);
	if (hwpt->object.class == &hwpt_paging_class && paging_of(&hwpt->object)->automatic && !hwpt->object.users)
		hwpt_free(hwpt);
}

/* ---- classes ---- */

static void hwpt_fini(struct hwpt *hwpt)
{
	domain_free(hwpt->domain);
	if (hwpt->fault)
		object_unuse(fault_queue_object(hwpt->fault));
	object_fini(&hwpt->object);
}

static void paging_free(struct object *object)
{
	struct hwpt_paging *hwpt = paging_of(object);
	struct ioas *ioas = hwpt->ioas;

	if (list_linked(&hwpt->link)) {
		list_remove(&hwpt->link);
		ioas_remove_domain(ioas, hwpt->hwpt.domain);
	}
	hwpt_fini(&hwpt->hwpt);
	object_unuse(&ioas->object);
	free(hwpt);
}

static void paging_describe(const struct object *object, char *text, size_t size)
{
	const struct hwpt_paging *hwpt = container_of(object, struct hwpt_paging, hwpt.object);

	snprintf(text, size, " of IOAS %u", hwpt->ioas->object.id);
}

static void paging_check(const struct object *object)
{
	const struct hwpt_paging *hwpt = container_of(object, struct hwpt_paging, hwpt.object);

	assert(hwpt->hwpt.domain->kind == DOMAIN_PAGING && hwpt->hwpt.domain->space == &hwpt->ioas->space);
	assert(list_linked(&hwpt->link) && hwpt->ioas->object.users > 0);
	assert(!hwpt->automatic || object->users > 0);
	assert(!hwpt->hwpt.fault || !hwpt->nest_parent);
	domain_check(hwpt->hwpt.domain);
}

static void nested_free(struct object *object)
{
	struct hwpt_nested *nested = nested_of(object);
	struct object *user = nested->viommu ? &nested->viommu->object : &nested->parent->hwpt.object;

	hwpt_fini(&nested->hwpt);
	object_unuse(user);
	free(nested);
}

static void nested_describe(const struct object *object, char *text, size_t size)
{
	const struct hwpt_nested *nested = container_of(object, struct hwpt_nested, hwpt.object);

	if (nested->viommu)
		snprintf(text, size, " on VIOMMU %u", nested->viommu->object.id);
	else
		snprintf(text, size, " on HWPT_PAGING %u", nested->parent->hwpt.object.id);
}

static void nested_check(const struct object *object)
{
	const struct hwpt_nested *nested = container_of(object, struct hwpt_nested, hwpt.object);

	assert(nested->hwpt.domain->kind == DOMAIN_NESTED);
	assert((nested->viommu == NULL) != (nested->parent == NULL));
	assert((nested->viommu ? &nested->viommu->object : &nested->parent->hwpt.object)->users > 0);
}

const struct object_class hwpt_paging_class = {
	.name = "HWPT_PAGING",
	.free = paging_free,
	.describe = paging_describe,
	.check = paging_check,
};

const struct object_class hwpt_nested_class = {
	.name = "HWPT_NESTED",
	.free = nested_free,
	.describe = nested_describe,
	.check = nested_check,
};

/* ---- a new paging one ---- */

static int refuse_flags(const struct iommufd_device *device, u32 flags, const struct user_data *data, struct why *why)
{
	const struct iommu_driver *driver = device->core->unit->driver;
	const struct iommufd_driver *user = iommufd_driver_of(driver);
	const char *name = device->core->name;

	if ((flags || data) && !user->alloc_paging)
		return refuse(why, HWPT_FLAGS, "%s, which %s is behind, makes plain domains only: flags %#x, type %#x",
			      driver->name, name, flags, data ? data->type : 0);
	if (flags & ~(u32)KNOWN_FLAGS)
		return refuse(why, HWPT_FLAGS, "flags %#x for a domain of %s: bits %#x are unknown", flags, name,
			      flags & ~(u32)KNOWN_FLAGS);
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && !iommufd_dirty_capable(device->core))
		return refuse(why, HWPT_NO_DIRTY, "the IOMMU of %s (%s) cannot track what devices write", name,
			      device->core->unit->name);
	if (flags & IOMMU_HWPT_FAULT_ID_VALID && flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return refuse(why, HWPT_FAULT_PARENT,
			      "a parent of nested domains, for %s, has no faults of its own to queue", name);
	return 0;
}

static int make_domain(struct ioas *ioas, const struct iommufd_device *device, u32 flags, const struct user_data *data,
		       struct domain **ret, struct why *why)
{
	struct iommu_unit *unit = device->core->unit;
	const struct iommufd_driver *user = iommufd_driver_of(unit->driver);

	if (!user->alloc_paging)
		return domain_new_in(&ioas->space, unit, ret, why);
	return user->alloc_paging(device->core, &ioas->space, flags & ~(u32)IOMMU_HWPT_FAULT_ID_VALID, data, ret, why);
}

/*
 * Before anything is mapped: some tables have a bit for it in each entry. Linux warns of a driver that promises what it
 * does not do, and says EINVAL.
 */
static int enforce_coherency(struct hwpt_paging *hwpt, const struct iommufd_device *device, struct why *why)
{
	const struct iommufd_driver *user = iommufd_driver_of(device->core->unit->driver);

	if (!device->enforces_coherency)
		return 0;
	hwpt->enforces_coherency = !user->enforce_coherency || user->enforce_coherency(hwpt->hwpt.domain);
	if (hwpt->enforces_coherency)
		return 0;
	return refuse(why, COHERENCY_BROKEN, "%s promised that %s enforces coherency, and then did not",
		      device->core->unit->name, device->core->name);
}

static void name_domain(struct hwpt_paging *hwpt)
{
	char text[OBJECT_TEXT];

	snprintf(hwpt->hwpt.domain->name, sizeof(hwpt->hwpt.domain->name), "HWPT %u of %s", hwpt->hwpt.object.id,
		 ioas_name(hwpt->ioas, text));
}

/* Linux: drivers/iommu/iommufd/hw_pagetable.c:iommufd_hwpt_paging_alloc() */
int hwpt_paging_new(struct ioas *ioas, const struct iommufd_device *device, u32 flags, const struct user_data *data,
		    struct hwpt_paging **ret, struct why *why)
{
	struct hwpt_paging *hwpt;
	int err = refuse_flags(device, flags, data, why);

	if (err < 0)
		return err;
	hwpt = alloc_new(struct hwpt_paging, why);
	if (!hwpt)
		return -why->err;
	err = object_init(&hwpt->hwpt.object, &hwpt_paging_class, ioas->object.context, why);
	if (err < 0) {
		free(hwpt);
		return err;
	}
	hwpt->ioas = ioas;
	object_use(&ioas->object);
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt->hwpt.pasid = flags & IOMMU_HWPT_ALLOC_PASID;
	err = make_domain(ioas, device, flags, data, &hwpt->hwpt.domain, why);
	if (err == 0) {
		hwpt->hwpt.domain->pasid_compatible = hwpt->hwpt.pasid;
		name_domain(hwpt);
		err = enforce_coherency(hwpt, device, why);
	}
	if (err < 0) {
		hwpt_free(&hwpt->hwpt);
		return err;
	}
	*ret = hwpt;
	return 0;
}

int hwpt_paging_fill(struct hwpt_paging *hwpt, struct why *why)
{
	int err = ioas_add_domain(hwpt->ioas, hwpt->hwpt.domain, why);

	if (err == 0)
		list_append(&hwpt->ioas->hwpts, &hwpt->link);
	return err;
}
