/* SPDX-License-Identifier: MIT */
/* include/isolde/iommu.h: who owns a group. */
#include "iommu/own.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/api.h"

struct isolde_owner {
	struct owner core;
	struct isolde_machine *machine; /* borrowed */
	char name[96];
};

static const char *describe(const struct owner *owner, char *text, size_t size)
{
	snprintf(text, size, "%s", container_of(owner, struct isolde_owner, core)->name);
	return text;
}

int isolde_owner_new(struct isolde_machine *machine, const char *name, struct isolde_owner **ret,
		     struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct isolde_owner *owner = alloc_new(struct isolde_owner, &why);
	int err = owner ? 0 : -why.err;

	if (owner) {
		owner->core.describe = describe;
		owner->machine = machine;
		snprintf(owner->name, sizeof(owner->name), "%s", name ? name : "an owner without a name");
		*ret = owner;
	}
	why_export(reason, &why, err);
	return err;
}

static int refuse_holding(const struct isolde_owner *owner, struct why *why)
{
	const struct iommu_group *group;

	list_for_each(group, &owner->machine->machine->iommu.groups, link)
		if (group->owner == &owner->core)
			return refuse(why, OWNER_BUSY, "%s still holds group %d", owner->name, group->id);
	return 0;
}

int isolde_owner_free(struct isolde_owner *owner, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	int err;

	if (!owner)
		return 0;
	api_begin(owner->machine);
	err = api_end(owner->machine, "owner_free", &why, refuse_holding(owner, &why), reason);
	if (err == 0)
		free(owner);
	return err;
}

static const struct owner *core_of(const struct isolde_owner *owner)
{
	return owner ? &owner->core : NULL;
}

int isolde_group_claim(struct isolde_device *device, struct isolde_owner *owner, struct isolde_why *reason)
{
	API_CALL(device, "group_claim", iommu_group_claim(core->group, core_of(owner), &why));
}

static int release_group(struct iommu_group *group, struct why *why)
{
	int err = iommu_may_release(group, why);

	if (err == 0)
		iommu_group_release(group);
	return err;
}

int isolde_group_release(struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "group_release", release_group(core->group, &why));
}

int isolde_device_claim(struct isolde_device *device, struct isolde_owner *owner, struct isolde_why *reason)
{
	API_CALL(device, "device_claim", iommu_device_claim(core, core_of(owner), &why));
}

static int release_device(struct iommu_device *device, struct why *why)
{
	int err = iommu_may_release_device(device, why);

	if (err == 0)
		iommu_device_release(device);
	return err;
}

int isolde_device_release(struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "device_release", release_device(core, &why));
}

bool isolde_group_claimed(const struct isolde_device *device)
{
	bool claimed;

	api_begin(device->machine);
	claimed = device->core && iommu_group_claimed(device->core->group);
	mutex_unlock(&device->machine->machine->lock);
	return claimed;
}
