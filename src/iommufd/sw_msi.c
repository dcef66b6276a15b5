/* SPDX-License-Identifier: MIT */
/*
 * Interrupt messages that an IOMMU translates like other writes (spec 03 section 7.4; Arm). The program leaves a window
 * of IOVAs free, and pages of interrupt controllers are mapped there as devices come to use them: the n-th at the n-th
 * page, in all domains of the context alike, so that a message stays right when its device moves. They are no areas:
 * the program does not see them, and they go with the domain.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/device.h"
#include "iommufd/hwpt.h"

enum { MSI_PAGES = 64 }; /* in one context, whichever their windows: bits of struct iommufd_sw_msi_maps */

struct sw_msi_page {
	u64 window; /* where the device's region begins */
	u64 doorbell;
	u64 iova;
	unsigned number; /* in the context */
	struct list_link link;
};

void sw_msi_fini(struct context *context)
{
	struct sw_msi_page *page, *following;

	list_for_each_safe(page, following, &context->sw_msi, link) {
		list_remove(&page->link);
		free(page);
	}
}

/* The device's window; false: its interrupts are nobody's business here. */
static bool find_window(const struct iommu_device *device, u64 *ret)
{
	const struct reserved_region *region;

	for (unsigned i = 0; (region = iommu_device_region(device, i)); i++)
		if (region->kind == RESERVED_SW_MSI) {
			*ret = region->start;
			return true;
		}
	return false;
}

static int install_page(struct hwpt_paging *hwpt, const struct sw_msi_page *page, struct why *why)
{
	int err;

	if (hwpt->msi_pages & BIT(page->number))
		return 0;
	err = domain_map_registers(hwpt->hwpt.domain, page->iova, page->doorbell, why);
	if (err == 0)
		hwpt->msi_pages |= BIT(page->number);
	return err;
}

int sw_msi_install(const struct iommufd_device *device, struct hwpt_paging *hwpt, struct why *why)
{
	const struct context *context = device->object.context;
	const struct iommufd_device *sibling;
	const struct sw_msi_page *page;
	u64 wanted = 0;
	int err = 0;

	list_for_each(sibling, &context->devices, link)
		if (sibling->core->group == device->core->group)
			wanted |= sibling->msi_pages;
	list_for_each(page, &context->sw_msi, link)
		if (err == 0 && wanted & BIT(page->number))
			err = install_page(hwpt, page, why);
	return err;
}

static int page_new(struct context *context, u64 window, u64 doorbell, u64 index, struct sw_msi_page **ret,
		    struct why *why)
{
	size_t number = list_length(&context->sw_msi);
	char text[CONTEXT_TEXT];

	if (number >= MSI_PAGES)
		return refuse(why, MSI_PAGES_FULL,
			      "%s uses %d pages of interrupt controllers already, and %#llx is new",
			      context_describe(context, text), MSI_PAGES, (unsigned long long)doorbell);
	*ret = alloc_new(struct sw_msi_page, why);
	if (!*ret)
		return -why->err;
	**ret = (struct sw_msi_page){
		.window = window,
		.doorbell = doorbell,
		.iova = window + index * PAGE_SIZE,
		.number = (unsigned)number,
	};
	list_append(&context->sw_msi, &(*ret)->link);
	return 0;
}

static int find_page(struct context *context, u64 window, u64 doorbell, struct sw_msi_page **ret, struct why *why)
{
	struct sw_msi_page *page;
	u64 index = 0;

	list_for_each(page, &context->sw_msi, link) {
		if (page->window != window)
			continue;
		if (page->doorbell == doorbell) {
			*ret = page;
			return 0;
		}
		index++;
	}
	return page_new(context, window, doorbell, index, ret, why);
}

/* Linux: drivers/iommu/iommufd/driver.c:iommufd_sw_msi() */
int iommufd_device_msi(struct iommufd_device *device, u64 doorbell, u64 *ret_iova, struct why *why)
{
	struct context *context = device->object.context;
	const struct iommufd_device *attached = device_next_attached(context, device->core->group, 0, NULL);
	struct sw_msi_page *page;
	u64 window;
	int err;

	*ret_iova = doorbell;
	/* Attached itself or not, its messages go through the group's domain. */
	if (!attached || !find_window(device->core, &window))
		return 0;
	err = find_page(context, window, align_down(doorbell, PAGE_SIZE), &page, why);
	if (err == 0)
		err = install_page(hwpt_paging_of(iommufd_device_hwpt(attached, 0)), page, why);
	if (err < 0)
		return err;
	device->msi_pages |= BIT(page->number);
	*ret_iova = page->iova + (doorbell - page->doorbell);
	return 0;
}
