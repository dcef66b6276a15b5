/* SPDX-License-Identifier: MIT */
#include "iommu/default_domain.h"

#include "base/alloc.h"
#include "iommu/attach.h"
#include "iommu/own.h"
#include "iommu/page_request.h"

const char *group_type_name(enum group_type type)
{
	static const char *const names[] = {
		[TYPE_AUTO] = "auto", [TYPE_IDENTITY] = "identity", [TYPE_DMA] = "DMA", [TYPE_DMA_FQ] = "DMA-FQ"};

	return names[type];
}

static enum group_type type_of(const struct domain *domain)
{
	if (domain->kind == DOMAIN_IDENTITY)
		return TYPE_IDENTITY;
	return domain->flush_queue ? TYPE_DMA_FQ : TYPE_DMA;
}

const char *iommu_group_type(const struct iommu_group *group)
{
	if (!group->default_domain)
		return "unknown";
	return group->default_domain->kind == DOMAIN_BLOCKING ? "blocked"
							      : group_type_name(type_of(group->default_domain));
}

void drop_core_domain(struct domain *domain)
{
	if (!domain)
		return;
	domain->users--;
	domain_free(domain);
}

/* ---- which type ---- */

static enum group_type preference_of(const struct iommu_device *device)
{
	const struct iommu_driver *driver = device->unit->driver;

	return driver->preference ? driver->preference(device) : TYPE_AUTO;
}

/* What the members' IOMMUs insist on; where they disagree, untranslated it is. *ret_device: whose wish that is. */
static enum group_type preference(const struct iommu_group *group, const struct iommu_device **ret_device)
{
	const struct iommu_device *device;
	enum group_type type = TYPE_AUTO;

	list_for_each(device, &group->devices, group_link) {
		enum group_type wish = preference_of(device);

		if (wish == TYPE_AUTO || wish == type)
			continue;
		if (type == TYPE_AUTO || wish == TYPE_IDENTITY) {
			type = wish;
			*ret_device = device;
		}
	}
	return type;
}

static int decide(const struct iommu_group *group, enum group_type wanted, enum group_type *ret, struct why *why)
{
	const struct iommu_device *whose = NULL;
	enum group_type preferred = preference(group, &whose);

	if (wanted != TYPE_AUTO && preferred != TYPE_AUTO && wanted != preferred)
		return refuse(why, GROUP_TYPE_UNSUPPORTED, "group %d cannot have %s: %s, before %s, insists on %s",
			      group->id, group_type_name(wanted), whose->unit->name, whose->name,
			      group_type_name(preferred));
	*ret = wanted != TYPE_AUTO ? wanted : preferred != TYPE_AUTO ? preferred : TYPE_DMA_FQ;
	return 0;
}

static int make(const struct iommu_group *group, enum group_type type, struct domain **ret, struct why *why)
{
	enum domain_kind kind = type == TYPE_IDENTITY ? DOMAIN_IDENTITY : DOMAIN_PAGING;
	int err = domain_new(group->iommu, iommu_group_unit(group), kind, ret, why);

	if (err == 0)
		(*ret)->flush_queue = type == TYPE_DMA_FQ;
	return err;
}

/* ---- choosing and changing ---- */

/* One domain in both places: a claim then moves nothing. */
static int choose_blocking(struct iommu_group *group, struct why *why)
{
	int err = group_prepare_blocking(group, why);

	if (err == 0 && !group->domain)
		err = group_set_domain(group, group->blocking_domain, why);
	if (err < 0)
		return err;
	group->default_domain = group->blocking_domain;
	group->default_domain->users++;
	return 0;
}

static bool blocks_by_default(const struct iommu_group *group)
{
	const struct iommu_unit *unit = iommu_group_unit(group);

	return unit && unit->driver->blocks_by_default;
}

int iommu_group_choose_default(struct iommu_group *group, struct why *why)
{
	struct domain *domain = NULL;
	enum group_type type;
	int err;

	assert(!group->default_domain);
	if (blocks_by_default(group))
		return choose_blocking(group, why);
	err = decide(group, TYPE_AUTO, &type, why);
	if (err == 0)
		err = make(group, type, &domain, why);
	if (err == 0 && !group->domain)
		err = group_set_domain(group, domain, why);
	if (err < 0) {
		domain_free(domain);
		return err;
	}
	domain->users++;
	group->default_domain = domain;
	return 0;
}

int iommu_group_settled(const struct iommu_group *group, struct why *why)
{
	if (group->default_domain)
		return 0;
	return refuse(why, GROUP_TYPE_UNSETTLED, "group %d has no default domain whose type could change", group->id);
}

static int refuse_in_use(const struct iommu_group *group, struct why *why)
{
	char text[OWNER_TEXT];

	if (group->owner_count)
		return refuse(why, GROUP_TYPE_IN_USE, "the type of group %d is fixed while it is used: %s", group->id,
			      iommu_describe_owner(group, text));
	if (!group->ndevices)
		return refuse(why, GROUP_TYPE_IN_USE, "group %d has no devices", group->id);
	/* Linux's only caller of that form owns the group first. */
	if (!list_empty(&group->attachments))
		return refuse(why, GROUP_TYPE_IN_USE,
			      "the type of group %d is fixed while devices of it are attached to %s by themselves",
			      group->id, domain_describe(group->domain, text));
	return 0;
}

/* The IOTLBs need not be told: from now on they are flushed later than before. */
static int add_flush_queue(struct iommu_group *group, struct why *why)
{
	if (!fallible())
		return refuse(why, OUT_OF_MEMORY, "no memory for the flush queue of group %d", group->id);
	group->default_domain->flush_queue = true;
	return 0;
}

static int change(struct iommu_group *group, enum group_type type, struct why *why)
{
	struct domain *domain = NULL, *old = group->default_domain;
	int err = make(group, type, &domain, why);

	if (err == 0)
		err = group_set_domain(group, domain, why);
	if (err < 0) {
		domain_free(domain);
		return err;
	}
	page_requests_drop(group, 0);
	group->handle = NULL;
	domain->users++;
	group->default_domain = domain;
	drop_core_domain(old);
	return 0;
}

int iommu_group_set_type(struct iommu_group *group, enum group_type type, struct why *why)
{
	int err = iommu_group_settled(group, why);

	if (err < 0)
		return err;
	if (blocks_by_default(group))
		return refuse(why, GROUP_TYPE_UNSUPPORTED, "group %d cannot have %s: %s blocks what nobody drives",
			      group->id, group_type_name(type), iommu_group_unit(group)->name);
	if (type == TYPE_DMA_FQ && type_of(group->default_domain) == TYPE_DMA)
		return add_flush_queue(group, why);
	err = refuse_in_use(group, why);
	if (err == 0)
		err = decide(group, type, &type, why);
	if (err < 0 || type == type_of(group->default_domain))
		return err;
	return change(group, type, why);
}
