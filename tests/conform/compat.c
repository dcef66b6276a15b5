/* SPDX-License-Identifier: MIT */
/* VFIO's container requests on /dev/iommu, and VFIO_IOAS (spec 03 section 12). */
#include "isolde/abi/vfio.h"

#include "tests/conform/conform.h"

static answer vfio_ioas(int fd, u16 op, u32 *ioas)
{
	struct iommu_vfio_ioas request = {.size = sizeof(request), .op = op, .ioas_id = *ioas};
	answer got = ask(fd, IOMMU_VFIO_IOAS, &request);

	*ioas = request.ioas_id;
	return got;
}

static u32 compat_ioas(int fd)
{
	u32 ioas = new_ioas(fd);

	EXPECT(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &ioas));
	return ioas;
}

static answer number(int fd, unsigned long request, u64 argument)
{
	return ask(fd, request, (void *)(uintptr_t)argument);
}

static answer dma_map(int fd, const void *address, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_map request = {
		.argsz = sizeof(request),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)address,
		.iova = iova,
		.size = size,
	};

	return ask(fd, VFIO_IOMMU_MAP_DMA, &request);
}

/* Bytes removed, or -errno; *size is what the structure says afterwards. */
static answer dma_unmap(int fd, u32 flags, u64 iova, u64 *size)
{
	struct vfio_iommu_type1_dma_unmap request = {
		.argsz = sizeof(request), .flags = flags, .iova = iova, .size = *size};
	answer got = ask(fd, VFIO_IOMMU_UNMAP_DMA, &request);

	*size = request.size;
	return got;
}

/* ---- which IOAS is meant ---- */

TEST(the_ioas_meant_is_set_asked_and_cleared)
{
	int fd = iommu();
	u32 none = 0, first, second, got = 9;

	EXPECT(-ENODEV, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &none));
	EXPECT(-ENOENT, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &none));
	EXPECT(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_CLEAR, &none));
	EXPECT(-EOPNOTSUPP, vfio_ioas(fd, 3, &none));
	EXPECT(-EOPNOTSUPP, ASK(fd, IOMMU_VFIO_IOAS, iommu_vfio_ioas, .op = 3, .__reserved = 1));
	EXPECT(-EOPNOTSUPP, ASK(fd, IOMMU_VFIO_IOAS, iommu_vfio_ioas, .op = 0, .__reserved = 1));
	first = compat_ioas(fd);
	EXPECT(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &got));
	EXPECT_EQUAL(first, got);
	second = compat_ioas(fd);
	EXPECT(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &got));
	EXPECT_EQUAL(second, got);
	EXPECT(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_CLEAR, &none));
	EXPECT(-ENODEV, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &got));
}

TEST(the_ioas_meant_can_be_destroyed_and_then_is_none)
{
	int fd = iommu();
	u32 ioas = compat_ioas(fd), got = 0;

	EXPECT(0, destroy(fd, ioas));
	EXPECT(-ENODEV, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &got));
	EXPECT_EQUAL(ioas, new_ioas(fd)); /* the same id is not the same object */
	EXPECT(-ENODEV, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &got));
}

/* ---- numbers ---- */

TEST(the_version_is_0_whatever_the_argument)
{
	int fd = iommu();

	EXPECT(0, number(fd, VFIO_GET_API_VERSION, 0));
	EXPECT(0, number(fd, VFIO_GET_API_VERSION, 0xdeadbeef));
}

TEST(extensions_are_those_of_type1)
{
	static const u8 known[] = {[VFIO_TYPE1_IOMMU] = 1, [VFIO_TYPE1v2_IOMMU] = 1, [VFIO_UNMAP_ALL] = 1};
	int fd = iommu();

	for (u32 extension = 0; extension < 16; extension++) {
		bool listed = extension < COUNT(known) && known[extension];

		about("extension %u", extension);
		if (extension != VFIO_DMA_CC_IOMMU && extension != VFIO_NOIOMMU_IOMMU) /* that is for the build */
			EXPECT(listed, number(fd, VFIO_CHECK_EXTENSION, extension));
	}
	EXPECT(-ENODEV, number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
	compat_ioas(fd);
	EXPECT(1, number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU)); /* no domain that does not */
}

TEST(a_mock_domain_does_not_enforce_coherency)
{
	int fd = iommu();
	u32 ioas = compat_ioas(fd);
	struct mock mock;

	need_mock();
	mock = new_mock(fd, ioas, 0);
	EXPECT(0, number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
	EXPECT(0, destroy(fd, mock.stdev));
	EXPECT(1, number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
}

TEST(the_iommu_can_be_set_again_and_again)
{
	static const u64 wrong[] = {0, 2, 4, 5, 6, 7, 8, 9, TOP};
	int fd = iommu();

	FOR_EACH(type, wrong)
	EXPECT(-EINVAL, number(fd, VFIO_SET_IOMMU, *type));
	EXPECT(-ENODEV, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT(-ENODEV, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	compat_ioas(fd);
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT(-EINVAL, number(fd, VFIO_SET_IOMMU, 2));
}

TEST(the_first_type_switches_huge_pages_off)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = compat_ioas(fd);

	EXPECT_EQUAL(1, alignment_of(fd, ioas));
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQUAL(1, alignment_of(fd, ioas));
	need_mock();
	new_mock(fd, ioas, 0);
	EXPECT(0, dma_map(fd, buffer, MOCK_FIRST, PAGE));
	EXPECT(-EINVAL, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU)); /* something is mapped for devices */
	EXPECT(PAGE, unmap(fd, ioas, MOCK_FIRST, PAGE));
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_EQUAL(PAGE, alignment_of(fd, ioas));
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)); /* and nothing switches them on */
	EXPECT_EQUAL(PAGE, alignment_of(fd, ioas));
}

TEST(other_requests_of_vfio_are_unknown)
{
	char bytes[64] = {64};
	int fd = iommu();

	compat_ioas(fd);
	EXPECT(-ENOTTY, ask(fd, VFIO_IOMMU_DIRTY_PAGES, bytes));
	EXPECT(-ENOTTY, ask(fd, VFIO_GROUP_GET_STATUS, bytes));
	EXPECT(-ENOTTY, ask(fd, VFIO_DEVICE_GET_INFO, bytes));
	EXPECT(-ENOTTY, ask(fd, VFIO_DEVICE_GET_INFO, NULL));
}

/* ---- maps ---- */

TEST(map_is_refused_in_this_order)
{
	char *buffer = memory(2 * PAGE);
	struct vfio_iommu_type1_dma_map request = {.argsz = 31, .flags = 8};
	int fd = iommu();

	EXPECT(-EFAULT, ask(fd, VFIO_IOMMU_MAP_DMA, NULL));
	EXPECT(-EINVAL, ask(fd, VFIO_IOMMU_MAP_DMA, &request));
	request.argsz = 32;
	EXPECT(-EINVAL, ask(fd, VFIO_IOMMU_MAP_DMA, &request)); /* a flag before the IOAS */
	request.flags = VFIO_DMA_MAP_FLAG_VADDR;
	EXPECT(-EINVAL, ask(fd, VFIO_IOMMU_MAP_DMA, &request));
	request.flags = 0;
	EXPECT(-ENODEV, ask(fd, VFIO_IOMMU_MAP_DMA, &request));
	compat_ioas(fd);
	EXPECT(-EINVAL, dma_map(fd, buffer, 0x1000, 0));
	EXPECT(-EOVERFLOW, dma_map(fd, (void *)-1, 0x1000, 2));
	EXPECT(-EOVERFLOW, dma_map(fd, buffer, TOP - 1, PAGE));
	EXPECT(0, dma_map(fd, buffer, 0x1000, PAGE));
	EXPECT(-EEXIST, dma_map(fd, buffer, 0x1fff, 1));
	request.argsz = 1000; /* more than there is, is fine */
	request.vaddr = (uintptr_t)buffer;
	request.size = PAGE;
	request.iova = 0x8000;
	EXPECT(0, ask(fd, VFIO_IOMMU_MAP_DMA, &request)); /* and so is no permission at all */
}

TEST(native_requests_see_the_same_areas)
{
	char *buffer = memory(4 * PAGE);
	int fd = iommu();
	u32 ioas = compat_ioas(fd);
	u64 size = PAGE;

	EXPECT(0, dma_map(fd, buffer, 0x1000, PAGE));
	EXPECT(-EEXIST, map_at(fd, ioas, buffer, PAGE, 0x1000));
	EXPECT(0, map_at(fd, ioas, buffer + PAGE, PAGE, 0x2000));
	EXPECT(PAGE, unmap(fd, ioas, 0x1000, PAGE));
	EXPECT(0, dma_unmap(fd, 0, 0x2000, &size));
	EXPECT_EQUAL(PAGE, size);
	EXPECT(-ENOENT, unmap(fd, ioas, 0, 0x10000));
}

TEST(unmap_is_refused_in_this_order)
{
	struct vfio_iommu_type1_dma_unmap request = {.argsz = 23, .flags = 8};
	char *buffer = memory(4 * PAGE);
	int fd = iommu();
	u64 size;

	EXPECT(-EFAULT, ask(fd, VFIO_IOMMU_UNMAP_DMA, NULL));
	EXPECT(-EINVAL, ask(fd, VFIO_IOMMU_UNMAP_DMA, &request));
	request.argsz = 24;
	EXPECT(-EINVAL, ask(fd, VFIO_IOMMU_UNMAP_DMA, &request));
	request.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	EXPECT(-EINVAL, ask(fd, VFIO_IOMMU_UNMAP_DMA, &request));
	request.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	request.size = 5;
	EXPECT(-ENODEV, ask(fd, VFIO_IOMMU_UNMAP_DMA, &request));
	compat_ioas(fd);
	EXPECT(-EINVAL, dma_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, &(u64){5}));
	EXPECT(-EINVAL, dma_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 5, &(u64){0}));
	size = 0;
	EXPECT(-EINVAL, dma_unmap(fd, 0, 0x1000, &size));
	size = 5;
	EXPECT(-EOVERFLOW, dma_unmap(fd, 0, TOP - 1, &size));
	EXPECT_EQUAL(0, size); /* written back though refused */
	EXPECT(0, dma_map(fd, buffer, 0x1000, 2 * PAGE));
	size = PAGE;
	EXPECT(-ENOENT, dma_unmap(fd, 0, 0x1000, &size));
	EXPECT_EQUAL(0, size);
}

TEST(to_unmap_nothing_is_fine)
{
	char *buffer = memory(4 * PAGE);
	int fd = iommu();
	u64 size = 0x100000;

	compat_ioas(fd);
	EXPECT(0, dma_unmap(fd, 0, 0x40000000, &size));
	EXPECT_EQUAL(0, size);
	EXPECT(0, dma_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQUAL(0, size);
	EXPECT(0, dma_map(fd, buffer, 0x1000, PAGE));
	EXPECT(0, dma_map(fd, buffer + PAGE, 0x8000, 2 * PAGE));
	size = 0x100000;
	EXPECT(0, dma_unmap(fd, 0, 0, &size));
	EXPECT_EQUAL(3 * PAGE, size);
	EXPECT(0, dma_map(fd, buffer, 0x1000, PAGE));
	size = 0;
	EXPECT(0, dma_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQUAL(PAGE, size);
}

/* Without huge pages areas are cut at both ends of what is to go. */
TEST(the_first_type_cuts_areas)
{
	char *buffer = memory(8 * PAGE);
	int fd = iommu();
	u32 ioas = compat_ioas(fd), hwpt;
	u64 size = 2 * PAGE;

	need_mock();
	hwpt = new_mock(fd, ioas, 0).hwpt;
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT(0, dma_map(fd, buffer, MOCK_FIRST, 8 * PAGE));
	EXPECT(0, dma_unmap(fd, 0, MOCK_FIRST + 2 * PAGE, &size));
	EXPECT_EQUAL(2 * PAGE, size);
	EXPECT(0, check_maps(fd, hwpt, MOCK_FIRST, 2 * PAGE, buffer));
	EXPECT(-EINVAL, check_maps(fd, hwpt, MOCK_FIRST + 2 * PAGE, PAGE, buffer + 2 * PAGE));
	EXPECT(0, check_maps(fd, hwpt, MOCK_FIRST + 4 * PAGE, 4 * PAGE, buffer + 4 * PAGE));
	EXPECT(0, check_refs(fd, buffer, 2 * PAGE, 1));
	EXPECT(0, check_refs(fd, buffer + 2 * PAGE, 2 * PAGE, 0));
	EXPECT(0, check_refs(fd, buffer + 4 * PAGE, 4 * PAGE, 1));
	EXPECT(2 * PAGE, unmap(fd, ioas, MOCK_FIRST, 2 * PAGE));
	EXPECT(-ENOENT, unmap(fd, ioas, MOCK_FIRST + 4 * PAGE, PAGE)); /* natively nothing is cut */
	size = PAGE;
	EXPECT(0, dma_unmap(fd, 0, MOCK_FIRST + 7 * PAGE, &size));
	EXPECT(3 * PAGE, unmap(fd, ioas, 0, TOP));
}

TEST(what_is_pinned_is_not_cut)
{
	char *buffer = memory(8 * PAGE);
	int fd = iommu(), access;
	u32 ioas = compat_ioas(fd);
	u64 size = PAGE;

	need_mock();
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT(0, dma_map(fd, buffer, 0x10000, 8 * PAGE));
	access = watch(new_access(fd, ioas, MOCK_NEEDS_PINS));
	EXPECT(0, pin_access(fd, access, 0x10000, PAGE, buffer, 0));
	EXPECT(-EINVAL, dma_unmap(fd, 0, 0x10000 + 4 * PAGE, &size));
	EXPECT_EQUAL(PAGE, size); /* not written */
	size = 100;
	EXPECT(-EINVAL, dma_unmap(fd, 0, 0x10000 + 4 * PAGE, &size)); /* nor at an odd place */
	EXPECT(0, unpin_access(fd, access, 0));
	EXPECT(-EINVAL, dma_unmap(fd, 0, 0x10000 + 4 * PAGE, &size));
	size = PAGE;
	EXPECT(0, dma_unmap(fd, 0, 0x10000 + 4 * PAGE, &size));
	EXPECT(7 * PAGE, unmap(fd, ioas, 0, TOP));
}

TEST(the_second_type_cuts_nothing)
{
	char *buffer = memory(8 * PAGE);
	int fd = iommu();
	u64 size = 2 * PAGE;

	compat_ioas(fd);
	EXPECT(0, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT(0, dma_map(fd, buffer, 0x10000, 8 * PAGE));
	EXPECT(-ENOENT, dma_unmap(fd, 0, 0x12000, &size));
	size = 8 * PAGE;
	EXPECT(0, dma_unmap(fd, 0, 0x10000, &size));
	EXPECT_EQUAL(8 * PAGE, size);
}

/* ---- GET_INFO ---- */

enum { INFO_SIZE = 24, AVAILABLE_SIZE = 16, RANGES_SIZE = 16 };

TEST(info_is_refused_in_this_order)
{
	struct vfio_iommu_type1_info info = {.argsz = 15};
	int fd = iommu();

	EXPECT(-EFAULT, ask(fd, VFIO_IOMMU_GET_INFO, NULL));
	EXPECT(-EINVAL, ask(fd, VFIO_IOMMU_GET_INFO, &info));
	info.argsz = 16;
	EXPECT(-ENODEV, ask(fd, VFIO_IOMMU_GET_INFO, &info));
}

TEST(info_tells_how_much_there_would_be)
{
	u8 bytes[128];
	struct vfio_iommu_type1_info *info = (struct vfio_iommu_type1_info *)bytes;
	const u32 whole = INFO_SIZE + AVAILABLE_SIZE + RANGES_SIZE + 16;
	int fd = iommu();

	compat_ioas(fd);
	for (u32 size = 16; size <= sizeof(bytes); size += 4) {
		about("%u bytes", size);
		memset(bytes, 0xcc, sizeof(bytes));
		info->argsz = size;
		EXPECT(0, ask(fd, VFIO_IOMMU_GET_INFO, info));
		EXPECT_EQUAL(whole, info->argsz);
		EXPECT_EQUAL(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, info->flags);
		for (u32 i = size; i < sizeof(bytes); i++)
			EXPECT_EQUAL(0xcc, bytes[i]);
		if (size >= INFO_SIZE)
			EXPECT_EQUAL(size >= whole ? INFO_SIZE : 0, info->cap_offset);
	}
}

TEST(info_has_what_is_available_and_the_ranges)
{
	u64 words[32] = {sizeof(words)};
	struct vfio_iommu_type1_info *info = (struct vfio_iommu_type1_info *)words;
	struct vfio_iommu_type1_info_dma_avail *available;
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	int fd = iommu();

	compat_ioas(fd);
	EXPECT(0, ask(fd, VFIO_IOMMU_GET_INFO, info));
	available = (void *)((u8 *)info + info->cap_offset);
	EXPECT_EQUAL(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, available->header.id);
	EXPECT_EQUAL(1, available->header.version);
	EXPECT_EQUAL(~0u, available->avail);
	ranges = (void *)((u8 *)info + available->header.next);
	EXPECT_EQUAL(INFO_SIZE + AVAILABLE_SIZE, available->header.next);
	EXPECT_EQUAL(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, ranges->header.id);
	EXPECT_EQUAL(0, ranges->header.next);
	EXPECT_EQUAL(1, ranges->nr_iovas);
	EXPECT_EQUAL(0, ranges->iova_ranges[0].start);
	EXPECT_EQUAL(TOP, ranges->iova_ranges[0].end);
}

TEST(page_sizes_are_those_all_domains_have)
{
	struct vfio_iommu_type1_info info = {.argsz = 16};
	int fd = iommu();
	u32 ioas = compat_ioas(fd);

	EXPECT(0, ask(fd, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQUAL(-PAGE, info.iova_pgsizes);
	need_mock();
	new_mock(fd, ioas, 0);
	info.argsz = 16;
	EXPECT(0, ask(fd, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQUAL(PAGE, info.iova_pgsizes & -info.iova_pgsizes); /* half pages do not show */
	EXPECT_TRUE(info.iova_pgsizes & 2 * MIB);
}

SUITE(compat, CASE(the_ioas_meant_is_set_asked_and_cleared), CASE(the_ioas_meant_can_be_destroyed_and_then_is_none),
      CASE(the_version_is_0_whatever_the_argument), CASE(extensions_are_those_of_type1),
      CASE(a_mock_domain_does_not_enforce_coherency), CASE(the_iommu_can_be_set_again_and_again),
      CASE(the_first_type_switches_huge_pages_off), CASE(other_requests_of_vfio_are_unknown),
      CASE(map_is_refused_in_this_order), CASE(native_requests_see_the_same_areas),
      CASE(unmap_is_refused_in_this_order), CASE(to_unmap_nothing_is_fine), CASE(the_first_type_cuts_areas),
      CASE(what_is_pinned_is_not_cut), CASE(the_second_type_cuts_nothing), CASE(info_is_refused_in_this_order),
      CASE(info_tells_how_much_there_would_be), CASE(info_has_what_is_available_and_the_ranges),
      CASE(page_sizes_are_those_all_domains_have));
