/* SPDX-License-Identifier: MIT */
/* An IOAS without mappings: life, reserved and allowed ranges, options, domains that join and leave. */
#include "iommufd/ioas.h"

#include "tests/fixtures/ioas_room.h"

IOAS_TEST(ioas, is_an_object)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc), .flags = 1};

	EXPECT_DENIED(FLAGS_UNKNOWN, IOMMU_IOAS_ALLOC, &alloc);
	assert_int_equal(ioas_room_alloc(self), 2);
	ASSERT_OK(self->why, ioas_destroy(self, 1));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, ioas_destroy(self, 1));
	assert_int_equal(ioas_room_alloc(self), 1);
}

/* An answer that cannot be written leaves no object behind. */
IOAS_TEST(ioas, alloc_into_read_only_memory_leaves_nothing)
{
	struct iommu_ioas_alloc *alloc = (void *)pages_of_memory(1);

	alloc->size = sizeof(*alloc);
	mprotect(alloc, PAGE_SIZE, PROT_READ);
	EXPECT_DENIED(CLIENT_FAULT, IOMMU_IOAS_ALLOC, alloc);
	assert_int_equal(self->context->nobjects, 1);
	munmap(alloc, PAGE_SIZE);
}

IOAS_TEST(ioas, mappings_do_not_keep_it_but_domains_do)
{
	struct domain *domain;
	u8 *memory = pages_of_memory(1);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	domain = domain_join(self, 1);
	/* What uses it is the hwpt; here only the domain is. */
	domain_leave(domain);
	ASSERT_OK(self->why, ioas_destroy(self, 1));
	munmap(memory, PAGE_SIZE);
}

IOAS_TEST(ioas, goes_with_its_context_mappings_and_all)
{
	u8 *memory = pages_of_memory(4);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 4 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_reserve(ioas_by_id(self, 1), 0x90000, 0x90fff, NULL, &self->why));
	self->file->ops->release(self->file);
	self->file = NULL;
	assert_int_equal(self->room.client->pinned_bytes, 0);
	munmap(memory, 4 * PAGE_SIZE);
}

IOAS_TEST(ioas, the_compat_designation_goes_with_it)
{
	self->context->vfio_ioas = &ioas_by_id(self, 1)->object;
	ASSERT_OK(self->why, ioas_destroy(self, 1));
	assert_null(self->context->vfio_ioas);
}

/* ---- ranges ---- */

static long ask_ranges(struct iommufd_room *self, u32 places, struct iommu_iova_range *ranges, u32 *ret_count,
		       u64 *ret_alignment)
{
	struct iommu_ioas_iova_ranges ask = {
		.size = sizeof(ask),
		.ioas_id = 1,
		.num_iovas = places,
		.allowed_iovas = (uintptr_t)ranges,
	};
	long ret = iommufd_ask(self, IOMMU_IOAS_IOVA_RANGES, &ask);

	*ret_count = ask.num_iovas;
	*ret_alignment = ask.out_iova_alignment;
	return ret;
}

static void expect_range(const struct iommu_iova_range *range, u64 start, u64 last)
{
	assert_true(range->start == start);
	assert_true(range->last == last);
}

IOAS_TEST(ranges, are_what_nobody_reserves)
{
	struct iommu_iova_range ranges[4] = {};
	struct ioas *ioas = ioas_by_id(self, 1);
	u64 alignment;
	u32 count;

	ASSERT_OK(self->why, ask_ranges(self, 4, ranges, &count, &alignment));
	assert_int_equal(count, 1);
	assert_int_equal(alignment, 1);
	expect_range(&ranges[0], 0, UINT64_MAX);
	ASSERT_OK(self->why, ioas_reserve(ioas, 0, 0xfff, NULL, &self->why));
	ASSERT_OK(self->why, ioas_reserve(ioas, 0x2000, 0x2fff, NULL, &self->why));
	ASSERT_OK(self->why, ioas_reserve(ioas, 0x2800, 0x3fff, NULL, &self->why));
	ASSERT_OK(self->why, ioas_reserve(ioas, UINT64_MAX, UINT64_MAX, NULL, &self->why));
	ASSERT_OK(self->why, ask_ranges(self, 4, ranges, &count, &alignment));
	assert_int_equal(count, 2);
	expect_range(&ranges[0], 0x1000, 0x1fff);
	expect_range(&ranges[1], 0x4000, UINT64_MAX - 1);
}

IOAS_TEST(ranges, too_few_places_get_the_first_and_the_count)
{
	struct iommu_iova_range ranges[2] = {{7, 7}, {7, 7}};
	struct ioas *ioas = ioas_by_id(self, 1);
	u64 alignment = 0;
	u32 count = 0;

	for (u64 i = 1; i < 4; i++)
		ASSERT_OK(self->why, ioas_reserve(ioas, i << 20, (i << 20) + 0xfff, NULL, &self->why));
	EXPECT_REFUSED(IOVA_RANGES_SHORT, self->why, ask_ranges(self, 1, ranges, &count, &alignment));
	assert_int_equal(count, 4);
	assert_int_equal(alignment, 1);
	expect_range(&ranges[0], 0, 0xfffff);
	expect_range(&ranges[1], 7, 7);
	EXPECT_REFUSED(IOVA_RANGES_SHORT, self->why, ask_ranges(self, 0, NULL, &count, &alignment));
	assert_int_equal(count, 4);
}

IOAS_TEST(ranges, refusals_in_their_order)
{
	struct iommu_ioas_iova_ranges ask = {.size = sizeof(ask), .ioas_id = 9, .num_iovas = 1, .__reserved = 1};

	EXPECT_DENIED(RESERVED_SET, IOMMU_IOAS_IOVA_RANGES, &ask);
	ask.__reserved = 0;
	EXPECT_DENIED(OBJECT_MISSING, IOMMU_IOAS_IOVA_RANGES, &ask);
	ask.ioas_id = 1;
	EXPECT_DENIED(CLIENT_FAULT, IOMMU_IOAS_IOVA_RANGES, &ask);
}

IOAS_TEST(ranges, a_domain_excludes_what_it_cannot_translate)
{
	struct iommu_iova_range range;
	struct domain *domain = domain_join(self, 1);
	u64 alignment;
	u32 count;

	ASSERT_OK(self->why, ask_ranges(self, 1, &range, &count, &alignment));
	assert_int_equal(count, 1);
	assert_int_equal(alignment, PAGE_SIZE);
	expect_range(&range, 0, BIT(48) - 1);
	domain_leave(domain);
	ASSERT_OK(self->why, ask_ranges(self, 1, &range, &count, &alignment));
	assert_int_equal(alignment, 1);
	expect_range(&range, 0, UINT64_MAX);
}

/* ---- reserving and allowing ---- */

IOAS_TEST(reserve, refuses_what_is_mapped_or_allowed)
{
	const struct iommu_iova_range allowed = {0x100000, 0x1fffff};
	struct ioas *ioas = ioas_by_id(self, 1);
	u8 *memory = pages_of_memory(1);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_allow(self, 1, &allowed, 1));
	EXPECT_REFUSED(RESERVE_MAPPED, self->why, ioas_reserve(ioas, 0x10fff, 0x11000, NULL, &self->why));
	EXPECT_SUBSTR("IOAS 1", self->why.text);
	/* Where both are in the way, the mapping is named. */
	EXPECT_REFUSED(RESERVE_MAPPED, self->why, ioas_reserve(ioas, 0, UINT64_MAX, NULL, &self->why));
	EXPECT_REFUSED(RESERVE_ALLOWED, self->why, ioas_reserve(ioas, 0x1fffff, 0x200000, ioas, &self->why));
	ASSERT_OK(self->why, ioas_reserve(ioas, 0x11000, 0xfffff, ioas, &self->why));
	ASSERT_OK(self->why, ioas_reserve(ioas, 0x11000, 0x11fff, self, &self->why));
	ioas_unreserve(ioas, ioas);
	assert_int_equal(ioas->reserved.count, 1);
	ioas_unreserve(ioas, self);
	assert_int_equal(ioas->reserved.count, 0);
	munmap(memory, PAGE_SIZE);
}

IOAS_TEST(allow, refusals_in_their_order)
{
	struct iommu_iova_range ranges[] = {{0x1000, 0x1fff}, {0x3000, 0x3fff}, {0x3fff, 0x5000}};
	struct iommu_ioas_allow_iovas allow = {.size = sizeof(allow), .ioas_id = 9, .num_iovas = 1, .__reserved = 1};
	struct ioas *ioas = ioas_by_id(self, 1);

	EXPECT_DENIED(RESERVED_SET, IOMMU_IOAS_ALLOW_IOVAS, &allow);
	allow.__reserved = 0;
	EXPECT_DENIED(OBJECT_MISSING, IOMMU_IOAS_ALLOW_IOVAS, &allow);
	allow.ioas_id = 1;
	EXPECT_DENIED(CLIENT_FAULT, IOMMU_IOAS_ALLOW_IOVAS, &allow);
	EXPECT_REFUSED(ALLOWED_OVERLAP, self->why, ioas_allow(self, 1, ranges, 3));
	ranges[1].last = ranges[1].start;
	EXPECT_REFUSED(ALLOWED_EMPTY, self->why, ioas_allow(self, 1, ranges, 2));
	ASSERT_OK(self->why, ioas_reserve(ioas, 0x1fff, 0x2000, NULL, &self->why));
	EXPECT_REFUSED(ALLOWED_RESERVED, self->why, ioas_allow(self, 1, ranges, 1));
	assert_int_equal(ioas->allowed.count, 0);
}

IOAS_TEST(allow, replaces_the_old_list_or_nothing)
{
	const struct iommu_iova_range first[] = {{0x1000, 0x1fff}, {0x3000, 0x3fff}}, second = {0, UINT64_MAX};
	struct ioas *ioas = ioas_by_id(self, 1);

	ASSERT_OK(self->why, ioas_allow(self, 1, first, 2));
	assert_int_equal(ioas->allowed.count, 2);
	EXPECT_REFUSED(ALLOWED_OVERLAP, self->why, ioas_allow(self, 1, (struct iommu_iova_range[]){second, second}, 2));
	assert_int_equal(ioas->allowed.count, 2);
	ASSERT_OK(self->why, ioas_allow(self, 1, &second, 1));
	assert_int_equal(ioas->allowed.count, 1);
	ASSERT_OK(self->why, ioas_allow(self, 1, NULL, 0));
	assert_int_equal(ioas->allowed.count, 0);
}

/* ---- domains ---- */

IOAS_TEST(domain, its_pages_raise_the_alignment_unless_mappings_object)
{
	struct ioas *ioas = ioas_by_id(self, 1);
	struct domain *domain;
	u8 *memory = pages_of_memory(2);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 0x800, 0x10000));
	EXPECT_REFUSED(ALIGNMENT_MAPPED, self->why, domain_try(self, ioas, &domain, &self->why));
	EXPECT_SUBSTR("[0x10000, 0x107ff]", self->why.text);
	assert_int_equal(ioas_unmap_range(self, 1, 0x10000, 0x800), 0x800);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + 0x800, PAGE_SIZE, 0x10000));
	EXPECT_REFUSED(ALIGNMENT_MAPPED, self->why, domain_try(self, ioas, &domain, &self->why));
	assert_int_equal(ioas_unmap_range(self, 1, 0x10000, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(ioas->alignment, 1);
	domain = domain_join(self, 1);
	assert_int_equal(ioas->alignment, PAGE_SIZE);
	domain_leave(domain);
	munmap(memory, 2 * PAGE_SIZE);
}

IOAS_TEST(domain, its_aperture_must_be_free_outside)
{
	const struct iommu_iova_range allowed = {BIT(48), BIT(48) + 1};
	struct ioas *ioas = ioas_by_id(self, 1);
	struct domain *domain;
	u8 *memory = pages_of_memory(1);

	ASSERT_OK(self->why, ioas_allow(self, 1, &allowed, 1));
	EXPECT_REFUSED(RESERVE_ALLOWED, self->why, domain_try(self, ioas, &domain, &self->why));
	ASSERT_OK(self->why, ioas_allow(self, 1, NULL, 0));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, BIT(48) - PAGE_SIZE));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, BIT(48)));
	EXPECT_REFUSED(RESERVE_MAPPED, self->why, domain_try(self, ioas, &domain, &self->why));
	assert_int_equal(ioas->reserved.count, 0);
	assert_int_equal(ioas->alignment, 1);
	assert_int_equal(self->room.client->pinned_bytes, 0);
	munmap(memory, PAGE_SIZE);
}

/* An IOMMU whose pages are larger than the CPU's. */
IOAS_TEST(domain, its_smallest_page_is_at_most_the_cpus)
{
	struct ioas *ioas = ioas_by_id(self, 1);
	struct domain *domain;

	ASSERT_OK(self->why, domain_new_in(&ioas->space, self->room.unit, &domain, &self->why));
	ioas->alignment = 2 * PAGE_SIZE;
	EXPECT_REFUSED(DOMAIN_PAGE_SIZE, self->why, ioas_add_domain(ioas, domain, &self->why));
	ioas->alignment = 1;
	domain_free(domain);
}

IOAS_TEST(domain, page_sizes_are_what_all_have)
{
	struct ioas *ioas = ioas_by_id(self, 1);
	struct domain *domain;

	assert_true(ioas_page_sizes(ioas) == ((UINT64_MAX & PAGE_MASK) | PAGE_SIZE));
	domain = domain_join(self, 1);
	assert_true(ioas_page_sizes(ioas) == domain_page_sizes(domain));
	domain_leave(domain);
}

/* ---- options ---- */

static long option(struct iommufd_room *self, u32 id, u16 op, u64 *value)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = op,
		.object_id = id,
		.val64 = *value,
	};
	long ret = iommufd_ask(self, IOMMU_OPTION, &option);

	*value = option.val64;
	return ret;
}

static long set_huge(struct iommufd_room *self, u64 value)
{
	return option(self, 1, IOMMU_OPTION_OP_SET, &value);
}

IOAS_TEST(huge_pages, are_on_unless_switched_off)
{
	struct ioas *ioas = ioas_by_id(self, 1);
	u64 value = 7;

	ASSERT_OK(self->why, option(self, 1, IOMMU_OPTION_OP_GET, &value));
	assert_int_equal(value, 1);
	EXPECT_REFUSED(OPTION_VALUE, self->why, set_huge(self, 2));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, option(self, 0, IOMMU_OPTION_OP_GET, &value));
	EXPECT_REFUSED(IOMMU_OPTION_UNKNOWN, self->why, option(self, 1, 2, &value));
	ASSERT_OK(self->why, set_huge(self, 0));
	assert_int_equal(ioas->alignment, PAGE_SIZE);
	ASSERT_OK(self->why, set_huge(self, 0));
	ASSERT_OK(self->why, option(self, 1, IOMMU_OPTION_OP_GET, &value));
	assert_int_equal(value, 0);
	ASSERT_OK(self->why, set_huge(self, 1));
	assert_int_equal(ioas->alignment, 1);
}

IOAS_TEST(huge_pages, stay_on_where_they_may_be_in_use)
{
	struct domain *domain = domain_join(self, 1);
	u8 *memory = pages_of_memory(1);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	EXPECT_REFUSED(HUGE_PAGES_LATE, self->why, set_huge(self, 0));
	EXPECT_SUBSTR("1 mappings", self->why.text);
	domain_leave(domain);
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), PAGE_SIZE);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 0x10, 0x10000));
	EXPECT_REFUSED(ALIGNMENT_MAPPED, self->why, set_huge(self, 0));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 0x10);
	ASSERT_OK(self->why, set_huge(self, 0));
	munmap(memory, PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ioas, is_an_object),
		CASE(ioas, alloc_into_read_only_memory_leaves_nothing),
		CASE(ioas, mappings_do_not_keep_it_but_domains_do),
		CASE(ioas, goes_with_its_context_mappings_and_all),
		CASE(ioas, the_compat_designation_goes_with_it),
		CASE(ranges, are_what_nobody_reserves),
		CASE(ranges, too_few_places_get_the_first_and_the_count),
		CASE(ranges, refusals_in_their_order),
		CASE(ranges, a_domain_excludes_what_it_cannot_translate),
		CASE(reserve, refuses_what_is_mapped_or_allowed),
		CASE(allow, refusals_in_their_order),
		CASE(allow, replaces_the_old_list_or_nothing),
		CASE(domain, its_pages_raise_the_alignment_unless_mappings_object),
		CASE(domain, its_aperture_must_be_free_outside),
		CASE(domain, its_smallest_page_is_at_most_the_cpus),
		CASE(domain, page_sizes_are_what_all_have),
		CASE(huge_pages, are_on_unless_switched_off),
		CASE(huge_pages, stay_on_where_they_may_be_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
