/* SPDX-License-Identifier: MIT */
/* Looking behind the scenes: is what is mapped and pinned what should be? */
#include "selftest/look.h"

#include "iommufd/pages.h"
#include "selftest/mock.h"
#include "selftest/ops.h"

/* ---- finding ---- */

int find_mock_hwpt(struct request *request, u32 id, struct hwpt_paging **ret, struct why *why)
{
	char text[OBJECT_TEXT];
	int err = hwpt_paging_find(request->context, id, ret, why);

	if (err < 0 || domain_is_mock_paging((*ret)->hwpt.domain))
		return err;
	return refuse(why, MOCK_EXPECTED, "%s is not of the mock IOMMU", object_describe(&(*ret)->hwpt.object, text));
}

int find_mock_device(struct request *request, u32 id, struct mock_device **ret, struct why *why)
{
	struct iommufd_device *device;
	char text[OBJECT_TEXT];
	int err = iommufd_device_find(request->context, id, &device, why);

	if (err < 0)
		return err;
	*ret = mock_device_of(device->core);
	if (*ret)
		return 0;
	return refuse(why, MOCK_EXPECTED, "%s is no mock", object_describe(&device->object, text));
}

static int find_mock_nested(struct request *request, u32 id, struct mock_nested **ret, struct why *why)
{
	struct object *object;
	char text[OBJECT_TEXT];
	int err = object_find(request->context, id, &hwpt_nested_class, &object, why);

	if (err < 0)
		return err;
	*ret = mock_nested_of(hwpt_of(object)->domain);
	if (*ret)
		return 0;
	return refuse(why, MOCK_EXPECTED, "%s is not of the mock IOMMU", object_describe(object, text));
}

/* ---- reserved ranges ---- */

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_add_reserved() */
long test_add_reserved(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		       struct why *why)
{
	u64 start = command->add_reserved.start, length = command->add_reserved.length;
	struct ioas *ioas;
	int err;

	if (!length)
		return refuse(why, TEST_RANGE, "no bytes to reserve from 0x%llx on", (unsigned long long)start);
	if (range_overflows(start, length))
		return refuse(why, RANGE_OVERFLOWS, "0x%llx bytes from 0x%llx on", (unsigned long long)length,
			      (unsigned long long)start);
	err = ioas_find(request->context, command->id, &ioas, why);
	return err < 0 ? err : ioas_reserve(ioas, start, start + length - 1, NULL, why);
}

/* ---- what is mapped ---- */

static int refuse_range(const struct iommu_test_cmd *command, u64 page_size, struct why *why)
{
	u64 iova = command->check_map.iova, length = command->check_map.length, address = command->check_map.uptr;

	if (is_aligned(iova | length | address, page_size) && address + length >= address)
		return 0;
	return refuse(why, TEST_RANGE, "[0x%llx, ...] and 0x%llx of 0x%llx bytes: pages have 0x%llx",
		      (unsigned long long)iova, (unsigned long long)address, (unsigned long long)length,
		      (unsigned long long)page_size);
}

/* Where the page at iova really is, if table and area agree that something is mapped there. */
static bool find_mapped(const struct hwpt_paging *hwpt, u64 iova, struct page_identity *ret, u64 *ret_in_page)
{
	const struct ioas_area *area = ioas_area_at(hwpt->ioas, iova);
	u64 physical = isolde_pt_iova_to_phys(hwpt->hwpt.domain->pt, iova), inside;
	struct why ignored;

	if (!area || !physical)
		return false;
	inside = iova - area->area.node.start;
	assert(physical == area_physical(&area->area) + inside);
	inside += area->area.offset;
	*ret_in_page = inside & ~PAGE_MASK;
	return pages_identity(area_pages(area), inside >> PAGE_SHIFT, ret, &ignored) == 0;
}

static int compare(const struct hwpt_paging *hwpt, u64 iova, struct client *client, u64 address, struct why *why)
{
	struct page_identity wanted, mapped;
	u64 in_page = 0;
	int err = client_page_identity(client, address, &wanted, why);
	bool found;

	if (err < 0)
		return err;
	found = find_mapped(hwpt, iova, &mapped, &in_page);
	if (found && page_identity_equal(&wanted, &mapped) && in_page == (address & ~PAGE_MASK))
		return 0;
	return refuse(why, TEST_MAP_DIFFERS, "IOVA 0x%llx of HWPT %u is %s 0x%llx", (unsigned long long)iova,
		      hwpt->hwpt.object.id, found ? "other memory than that at" : "not mapped; it should be that at",
		      (unsigned long long)address);
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_md_check_pa() */
long test_md_check_map(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		       struct why *why)
{
	u64 page_sizes, page_size;
	struct hwpt_paging *hwpt;
	int err = find_mock_hwpt(request, command->id, &hwpt, why);

	if (err < 0)
		return err;
	page_sizes = isolde_pt_page_sizes(hwpt->hwpt.domain->pt);
	page_size = page_sizes & -page_sizes;
	err = refuse_range(command, page_size, why);
	for (u64 done = 0; err == 0 && done < command->check_map.length; done += page_size)
		err = compare(hwpt, command->check_map.iova + done, request->client, command->check_map.uptr + done,
			      why);
	return err;
}

/* ---- what is pinned ---- */

#define PIECE 256ull

/* Of memory in huge pages Linux cannot tell: a reference counts for the whole. */
static int compare_pins(struct iommufd *iommufd, struct client *client, u64 address, u64 npages, u32 expected,
			struct why *why)
{
	u32 pins[PIECE];
	bool huge[PIECE];
	int err = iommufd_count_pins(iommufd, client, address, npages, pins, huge, why);

	for (u64 i = 0; err == 0 && i < npages; i++)
		if (!huge[i] && pins[i] != expected)
			err = refuse(why, TEST_PINS_DIFFER, "the page at 0x%llx is pinned %u times, not %u",
				     (unsigned long long)(address + i * PAGE_SIZE), pins[i], expected);
	return err;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_md_check_refs() */
long test_md_check_refs(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			struct why *why)
{
	u64 address = command->check_refs.uptr, length = command->check_refs.length, piece;
	int err = 0;

	if (!is_aligned(address | length, PAGE_SIZE) || address + length < address)
		return refuse(why, TEST_RANGE, "0x%llx bytes at 0x%llx are not whole pages", (unsigned long long)length,
			      (unsigned long long)address);
	for (; err == 0 && length; address += piece, length -= piece) {
		piece = min_u64(length, PIECE * PAGE_SIZE);
		err = compare_pins(selftest->iommufd, request->client, address, piece / PAGE_SIZE,
				   command->check_refs.refs, why);
	}
	return err;
}

/* ---- words that invalidations clear ---- */

static int compare_word(const u32 *words, u32 last, u32 index, u32 expected, const char *what, struct why *why)
{
	if (index > last)
		return refuse(why, MOCK_INDEX, "a mock's %s has words 0 to %u, not %u", what, last, index);
	if (words[index] == expected)
		return 0;
	return refuse(why, TEST_WORD_DIFFERS, "word %u of a mock's %s is %#x, not %#x", index, what, words[index],
		      expected);
}

long test_md_check_iotlb(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			 struct why *why)
{
	struct mock_nested *nested;
	int err = find_mock_nested(request, command->id, &nested, why);

	return err < 0 ? err
		       : compare_word(nested->iotlb, MOCK_NESTED_DOMAIN_IOTLB_ID_MAX, command->check_iotlb.id,
				      command->check_iotlb.iotlb, "IOTLB", why);
}

long test_dev_check_cache(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			  struct why *why)
{
	struct mock_device *mock;
	int err = find_mock_device(request, command->id, &mock, why);

	return err < 0 ? err
		       : compare_word(mock->cache, MOCK_DEV_CACHE_ID_MAX, command->check_dev_cache.id,
				      command->check_dev_cache.cache, "device cache", why);
}

/* ---- batches ---- */

/* Linux works in batches of this many bytes; what becomes of a request must not depend on it. */
long test_set_temp_memory_limit(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
				struct why *why)
{
	const u32 element = 12;

	if (command->memory_limit.limit < element)
		return refuse(why, TEST_LIMIT, "batches of %u bytes, at least %u are needed",
			      command->memory_limit.limit, element);
	selftest->memory_limit = command->memory_limit.limit;
	return 0;
}
