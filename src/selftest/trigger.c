/* SPDX-License-Identifier: MIT */
/* What hardware does by itself, on request: writes of a device, page requests, events of a virtual IOMMU. */
#include <stdlib.h>

#include "base/alloc.h"
#include "selftest/look.h"
#include "selftest/mock.h"
#include "selftest/ops.h"

/* ---- dirty pages ---- */

#define DIRTY_PAGES_MAX BIT(27)

static int refuse_dirty(const struct iommu_test_cmd *command, struct why *why)
{
	u64 iova = command->dirty.iova, length = command->dirty.length, page_size = command->dirty.page_size;

	if (!page_size || !length || iova % page_size || length % page_size || !command->dirty.uptr)
		return refuse(why, TEST_RANGE, "[0x%llx, ...] of 0x%llx bytes in pages of 0x%llx, bits at 0x%llx",
			      (unsigned long long)iova, (unsigned long long)length, (unsigned long long)page_size,
			      (unsigned long long)command->dirty.uptr);
	if (length / page_size > DIRTY_PAGES_MAX)
		return refuse(why, TEST_TOO_MANY_PAGES, "0x%llx pages, at most 0x%llx can be marked at once",
			      (unsigned long long)(length / page_size), (unsigned long long)DIRTY_PAGES_MAX);
	return 0;
}

/* As a write by a device would; where nothing is mapped, or not for writing, there is nothing to mark. */
static u64 mark_pages(const struct domain *domain, const u8 *bitmap, u64 npages, u64 iova, u64 page_size)
{
	struct isolde_pt_walk ignored;
	u64 count = 0;

	for (u64 i = 0; i < npages; i++) {
		if (!(bitmap[i / 8] >> i % 8 & 1))
			continue;
		isolde_pt_walk(domain->pt, iova + i * page_size, ISOLDE_PT_WRITE, &ignored);
		count++;
	}
	return count;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_dirty() */
long test_dirty(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command, struct why *why)
{
	u64 npages, size;
	struct hwpt_paging *hwpt;
	u8 *bitmap;
	int err = refuse_dirty(command, why);

	if (err == 0)
		err = find_mock_hwpt(request, command->id, &hwpt, why);
	if (err == 0 && !hwpt->hwpt.domain->tracks_dirty)
		err = refuse(why, MOCK_NOT_TRACKED, "HWPT %u does not track dirty pages", command->id);
	if (err < 0)
		return err;
	npages = command->dirty.length / command->dirty.page_size;
	size = (npages + 7) / 8;
	bitmap = alloc_zero(size, why);
	if (!bitmap)
		return -why->err;
	err = client_read(request->client, command->dirty.uptr, bitmap, size, why);
	if (err == 0) {
		command->dirty.out_nr_dirty = mark_pages(hwpt->hwpt.domain, bitmap, npages, command->dirty.iova,
							 command->dirty.page_size);
		err = request_answer(request, why);
	}
	free(bitmap);
	return err;
}

/* ---- page requests ---- */

/* What becomes of it is not the caller's to know, as with a real device. Linux: iommufd_test_trigger_iopf() */
long test_trigger_iopf(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		       struct why *why)
{
	const struct page_request page = {
		.iova = command->trigger_iopf.addr,
		.permission = command->trigger_iopf.perm,
		.pasid = command->trigger_iopf.pasid,
		.has_pasid = command->trigger_iopf.pasid != 0,
		.group = command->trigger_iopf.grpid,
		.last = true,
	};
	struct mock_device *mock;
	struct why ignored;
	int err = find_mock_device(request, command->trigger_iopf.dev_id, &mock, why);

	if (err < 0)
		return err;
	iommu_report_page_request(mock->core, &page, &ignored);
	return 0;
}

/* ---- events ---- */

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_trigger_vevent() */
long test_trigger_vevent(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			 struct why *why)
{
	struct iommu_viommu_event_selftest event;
	struct mock_device *mock;
	int err = find_mock_device(request, command->trigger_vevent.dev_id, &mock, why);

	if (err < 0)
		return err;
	if (!mock->viommu || !mock->virt_id)
		return refuse(why, MOCK_NO_VIOMMU, "%s is not attached to a domain of a virtual IOMMU that knows it",
			      mock->core->name);
	event.virt_id = (u32)mock->virt_id;
	return viommu_report_event(mock->viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, &event, sizeof(event), why);
}
