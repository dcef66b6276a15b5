/* SPDX-License-Identifier: MIT */
#include "iommu/kind.h"

#include <stdio.h>

#include "base/alloc.h"

const struct domain *kind_table_of(const struct domain *domain)
{
	return domain->kind == DOMAIN_NESTED ? domain->parent : domain;
}

int refuse_other_driver(const struct iommu_device *device, const struct domain *domain, struct why *why)
{
	const struct iommu_driver *driver = device->unit->driver;
	char text[DOMAIN_TEXT];

	if (domain->driver == driver)
		return 0;
	return refuse(why, DOMAIN_FOREIGN, "%s cannot have %s, which is of %s: it is behind %s, which is %s",
		      device->name, domain_describe(domain, text), domain->driver->name, device->unit->name,
		      driver->name);
}

int kind_enter(struct iommu_device *device, u32 pasid, struct domain *domain, struct why *why)
{
	int err = domain->may_attach ? domain->may_attach(domain, device, why) : 0;

	if (err < 0 || fallible())
		return err;
	if (pasid)
		return refuse(why, OUT_OF_MEMORY, "no memory to attach PASID %u of %s", pasid, device->name);
	return refuse(why, OUT_OF_MEMORY, "no memory to attach %s", device->name);
}

int refuse_abilities(const struct iommu_unit *unit, unsigned abilities, struct why *why)
{
	return refuse(why, DOMAIN_ABILITY, "%s (%s) makes no domain%s%s%s%s", unit->name, unit->driver->name,
		      abilities & DOMAIN_FOR_NESTING ? " for nesting" : "",
		      abilities & DOMAIN_FOR_DIRTY ? " with dirty tracking" : "",
		      abilities & DOMAIN_FOR_PASIDS ? " for PASIDs" : "",
		      abilities & (abilities - 1) ? " in this combination" : "");
}

int refuse_incompatible_unit(const struct iommu_device *device, const struct domain *domain, const char *lack,
			     struct why *why)
{
	char text[DOMAIN_TEXT];

	return refuse(why, DOMAIN_INCOMPATIBLE, "%s cannot have %s: %s %s", device->name, domain_describe(domain, text),
		      device->unit->name, lack);
}

/* ---- for all units, whoever drives them ---- */

int iommu_unit_shape(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why)
{
	*ret = (struct domain_shape){.table = {.format = unit->format}};
	ret->last_iova = MASK(unit->width - 1, 0);
	if (unit->driver->shape)
		return unit->driver->shape(unit, abilities, ret, why);
	return abilities & ~(unsigned)DOMAIN_FOR_PASIDS ? refuse_abilities(unit, abilities, why) : 0;
}

/* Snoop control decides what the entries of a table look like; the width, how deep it is. */
bool iommu_units_alike(const struct iommu_unit *a, const struct iommu_unit *b)
{
	if (a == b)
		return true;
	return a->driver == b->driver && !a->driver->unit_bound && a->format == b->format && a->width == b->width &&
	       (a->ecap & INTEL_ECAP_SNOOP_CONTROL) == (b->ecap & INTEL_ECAP_SNOOP_CONTROL);
}

bool iommu_unit_capable(const struct iommu_unit *unit, enum unit_capability capability)
{
	return unit->driver->capable ? unit->driver->capable(unit, capability) : capability == CAP_COHERENT;
}
