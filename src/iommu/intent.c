/* SPDX-License-Identifier: MIT */
#include "iommu/intent.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

/* One row of a device's table of virtual PASIDs. */
struct enqcmd_row {
	u32 virtual_pasid, pasid;
	struct list_link link; /* device->enqcmd */
};

const char *intent_describe(unsigned intent, char text[static INTENT_TEXT])
{
	static const char *const names[] = {"DMA with its requester id", "DMA with PASIDs", "ENQCMD",
					    "a table in software"};
	size_t used = 0;

	snprintf(text, INTENT_TEXT, "nothing");
	for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++)
		if (intent >> bit & 1)
			used += (size_t)snprintf(text + used, INTENT_TEXT - used, "%s%s", used ? ", " : "", names[bit]);
	return text;
}

/* ---- declaring ---- */

int iommu_declare(struct iommu_device *device, const char *driver, unsigned intent, struct why *why)
{
	char text[INTENT_TEXT];

	assert(intent);
	if ((intent & INTENT_SOFTWARE) && (intent & (INTENT_DMA | INTENT_PASID | INTENT_ENQCMD)))
		return refuse(why, INTENT_CONTRADICTORY, "%s declares %s of %s: either it does DMA or it does not",
			      driver, intent_describe(intent, text), device->name);
	if ((intent & INTENT_ENQCMD) && !(intent & INTENT_PASID))
		return refuse(why, INTENT_CONTRADICTORY, "%s declares %s of %s: ENQCMD is DMA with PASIDs", driver,
			      intent_describe(intent, text), device->name);
	device->driver = driver;
	device->intent = intent;
	return 0;
}

void iommu_undeclare(struct iommu_device *device)
{
	struct enqcmd_row *row, *following;

	list_for_each_safe(row, following, &device->enqcmd, link) {
		list_remove(&row->link);
		free(row);
	}
	device->driver = NULL;
	device->intent = INTENT_UNDECLARED;
}

/* ---- ENQCMD ---- */

static struct enqcmd_row *find_row(const struct iommu_device *device, u32 virtual_pasid)
{
	struct enqcmd_row *row;

	list_for_each(row, &device->enqcmd, link)
		if (row->virtual_pasid == virtual_pasid)
			return row;
	return NULL;
}

int iommu_enqcmd_set(struct iommu_device *device, u32 virtual_pasid, u32 pasid, struct why *why)
{
	struct enqcmd_row *row;
	char text[INTENT_TEXT];

	if (!(device->intent & (INTENT_ENQCMD | INTENT_UNDECLARED)))
		return refuse(why, INTENT_NO_ENQCMD,
			      "%s: its driver declared %s, so no command of it carries a virtual "
			      "PASID",
			      device->name, intent_describe(device->intent, text));
	if (find_row(device, virtual_pasid))
		return refuse(why, PASID_TAKEN, "%s: virtual PASID %u stands for %u already", device->name,
			      virtual_pasid, find_row(device, virtual_pasid)->pasid);
	row = alloc_new(struct enqcmd_row, why);
	if (!row)
		return -why->err;
	*row = (struct enqcmd_row){.virtual_pasid = virtual_pasid, .pasid = pasid};
	list_append(&device->enqcmd, &row->link);
	return 0;
}

void iommu_enqcmd_clear(struct iommu_device *device, u32 virtual_pasid)
{
	struct enqcmd_row *row = find_row(device, virtual_pasid);

	if (!row)
		return;
	list_remove(&row->link);
	free(row);
}

bool iommu_enqcmd_translate(const struct iommu_device *device, u32 virtual_pasid, u32 *ret_pasid)
{
	const struct enqcmd_row *row = find_row(device, virtual_pasid);

	if (row)
		*ret_pasid = row->pasid;
	return row != NULL;
}

static bool has_virtual(const struct iommu_device *device, u32 pasid)
{
	const struct enqcmd_row *row;

	list_for_each(row, &device->enqcmd, link)
		if (row->pasid == pasid)
			return true;
	return false;
}

/* ---- what an attach would contradict ---- */

static int check_pasid(const struct iommu_device *device, u32 pasid, struct why *why)
{
	const char *driver = device->driver ? device->driver : "its driver";
	char text[INTENT_TEXT];

	intent_describe(device->intent, text);
	if (!device->unit && device->parent)
		return refuse(why, INTENT_MDEV_PASID,
			      "%s has no requests of its own: PASID %u would go out under the requester id of %s, and "
			      "%s declared %s",
			      device->name, pasid, device->parent->name, driver, text);
	if (device->unit && !device->max_pasids)
		return refuse(why, INTENT_NO_PASID_TLPS,
			      "%s declared %s of %s, which cannot put PASID %u on a request: %s", driver, text,
			      device->name, pasid,
			      !device->function || pci_pasid_function(device->function)->cap_pasid
				      ? "its IOMMU knows no PASIDs"
				      : "it has no PASID capability");
	if (!(device->intent & INTENT_PASID))
		return refuse(why, INTENT_NO_PASID, "%s declared %s of %s, so PASID %u has no use", driver, text,
			      device->name, pasid);
	if ((device->intent & INTENT_ENQCMD) && !has_virtual(device, pasid))
		return refuse(why, INTENT_ENQCMD_UNTRANSLATED,
			      "%s declared ENQCMD of %s, but no virtual PASID stands for %u", driver, device->name,
			      pasid);
	return 0;
}

static int check_nested(const struct iommu_device *device, const struct domain *domain, struct why *why)
{
	const struct iommu_unit *unit = device->unit;

	if (domain->kind != DOMAIN_NESTED || !unit || domain->format == unit->driver->nested_format)
		return 0;
	return refuse(why, INTENT_NESTED_VENDOR,
		      "%s is a table in the format of another vendor's IOMMU; %s, before %s, is %s",
		      *domain->name ? domain->name : "the nested domain", unit->name, device->name, unit->driver->name);
}

int intent_check(const struct iommu_device *device, const struct domain *domain, u32 pasid, struct why *why)
{
	const char *driver = device->driver ? device->driver : "its driver";
	char text[INTENT_TEXT], name[DOMAIN_TEXT];
	int err;

	if (!device->group->iommu->options.strict_intent)
		return 0;
	err = check_nested(device, domain, why);
	if (err < 0 || device->intent & INTENT_UNDECLARED)
		return err;
	if (pasid)
		return check_pasid(device, pasid, why);
	if (device->intent & INTENT_SOFTWARE)
		return refuse(
			why, INTENT_SOFTWARE_ONLY,
			"%s declared a table in software for %s: it accesses memory itself, %s would serve nobody",
			driver, device->name, domain_describe(domain, name));
	if (!(device->intent & INTENT_DMA))
		return refuse(why, INTENT_NO_DMA, "%s declared %s of %s, not DMA with its requester id", driver,
			      intent_describe(device->intent, text), device->name);
	return 0;
}

int intent_check_group(const struct iommu_group *group, const struct domain *domain, u32 pasid, struct why *why)
{
	const struct iommu_device *device;
	int err = 0;

	list_for_each(device, &group->devices, group_link) {
		err = intent_check(device, domain, pasid, why);
		if (err < 0)
			break;
	}
	return err;
}
