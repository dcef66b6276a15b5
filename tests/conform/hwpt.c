/* SPDX-License-Identifier: MIT */
/* HWPT_ALLOC, GET_HW_INFO, HWPT_INVALIDATE (spec 03 sections 5.1, 6 and 9). */
#include "tests/conform/conform.h"

struct bench {
	int fd;
	u32 ioas, parent, nested; /* parent: may be one; nested: on it */
	struct mock mock, no_dirty;
};

static struct bench bench_new(void)
{
	struct bench b = {.fd = iommu()};

	need_mock();
	b.ioas = new_ioas(b.fd);
	b.mock = new_mock(b.fd, b.ioas, MOCK_PASIDS);
	b.no_dirty = new_mock(b.fd, b.ioas, MOCK_NO_DIRTY);
	b.parent = (u32)WORKS(alloc_hwpt(b.fd, b.mock.idev, b.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	b.nested = (u32)WORKS(alloc_nested_hwpt(b.fd, b.mock.idev, b.parent, 0, 0));
	return b;
}

enum which { NO_ID, THE_IOAS, AUTOMATIC, PLAIN, PARENT, NESTED_ONE, THE_DEVICE };

static u32 which_id(const struct bench *b, enum which which)
{
	const u32 ids[] = {NOBODY, b->ioas, b->mock.hwpt, 0, b->parent, b->nested, b->mock.idev};

	return ids[which];
}

enum {
	NEST = IOMMU_HWPT_ALLOC_NEST_PARENT,
	DIRTY = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
	FAULT = IOMMU_HWPT_FAULT_ID_VALID,
	PASID = IOMMU_HWPT_ALLOC_PASID,
};

TEST(alloc_is_refused_in_this_order)
{
	static const struct {
		const char *what;
		u32 reserved, type, length;
		bool no_device, no_dirty;
		enum which pt;
		u32 flags;
		answer expected;
	} rows[] = {
		{"a reserved field", 1, 0, 8, true, false, NO_ID, ~0u, -EOPNOTSUPP},
		{"data without a type", 0, 0, 8, true, false, NO_ID, ~0u, -EINVAL},
		{"a type without data", 0, MOCK_DATA, 0, true, false, NO_ID, ~0u, -EINVAL},
		{"no device", 0, 0, 0, true, false, NO_ID, ~0u, -ENOENT},
		{"nothing to be made on", 0, 0, 0, false, false, NO_ID, ~0u, -EINVAL},
		{"on a device", 0, 0, 0, false, false, THE_DEVICE, ~0u, -EINVAL},
		{"on a nested one", 0, MOCK_DATA, 8, false, false, NESTED_ONE, ~0u, -EINVAL},
		{"on an IOAS, an unknown flag", 0, 0, 0, false, true, THE_IOAS, DIRTY | 16, -EOPNOTSUPP},
		{"on an IOAS, all flags", 0, 0, 0, false, false, THE_IOAS, ~0u, -EOPNOTSUPP},
		{"on an IOAS, dirty tracking without", 0, 0, 0, false, true, THE_IOAS, DIRTY, -EOPNOTSUPP},
		{"on an IOAS, a parent with faults", 0, 0, 0, false, false, THE_IOAS, NEST | FAULT, -EOPNOTSUPP},
		{"on an IOAS, data of a foreign type", 0, 1, 8, false, false, THE_IOAS, 0, -EOPNOTSUPP},
		{"on an IOAS, too little data", 0, MOCK_DATA, 3, false, false, THE_IOAS, 0, -EINVAL},
		{"on an IOAS, too much data, of zeros", 0, MOCK_DATA, 12, false, false, THE_IOAS, 0, -EINVAL},
		{"on an IOAS, data of the smallest size", 0, MOCK_DATA, 4, false, false, THE_IOAS, 0, 0},
		{"on an IOAS", 0, 0, 0, false, false, THE_IOAS, 0, 0},
		{"on an IOAS, a parent with dirty tracking", 0, 0, 0, false, false, THE_IOAS, NEST | DIRTY, 0},
		{"on an IOAS, for PASIDs", 0, 0, 0, false, false, THE_IOAS, PASID, 0},
		{"on an IOAS, for PASIDs it lacks", 0, 0, 0, false, true, THE_IOAS, PASID | NEST, 0},
		{"nested, a flag of paging ones", 0, MOCK_DATA, 8, false, false, AUTOMATIC, NEST, -EOPNOTSUPP},
		{"nested, dirty tracking", 0, MOCK_DATA, 8, false, false, PARENT, DIRTY, -EOPNOTSUPP},
		{"nested without data", 0, 0, 0, false, false, AUTOMATIC, 0, -EOPNOTSUPP},
		{"nested on an automatic one", 0, 1, 3, false, false, AUTOMATIC, 0, -EINVAL},
		{"nested, data of a foreign type", 0, 1, 3, false, false, PARENT, 0, -EOPNOTSUPP},
		{"nested, too little data", 0, MOCK_DATA, 3, false, false, PARENT, 0, -EINVAL},
		{"nested", 0, MOCK_DATA, 8, false, false, PARENT, 0, 0},
		{"nested by another device", 0, MOCK_DATA, 4, false, true, PARENT, PASID, 0},
	};
	struct bench b = bench_new();
	u32 data[4] = {MOCK_IOTLB};

	FOR_EACH(row, rows)
	{
		struct iommu_hwpt_alloc request = {
			.size = sizeof(request),
			.flags = row->flags,
			.dev_id = row->no_device  ? NOBODY
				  : row->no_dirty ? b.no_dirty.idev
						  : b.mock.idev,
			.pt_id = which_id(&b, row->pt),
			.__reserved = row->reserved,
			.data_type = row->type,
			.data_len = row->length,
			.data_uptr = row->length ? (uintptr_t)data : 0,
			.__reserved2 = 1, /* nobody looks */
		};

		about("%s", row->what);
		EXPECT(row->expected, ask(b.fd, IOMMU_HWPT_ALLOC, &request));
		if (row->expected == 0)
			EXPECT(0, destroy(b.fd, request.out_hwpt_id));
	}
}

static answer alloc_with_data(const struct bench *b, u32 pt_id, const void *data, u32 length)
{
	struct iommu_hwpt_alloc request = {
		.size = sizeof(request),
		.dev_id = b->mock.idev,
		.pt_id = pt_id,
		.data_type = MOCK_DATA,
		.data_len = length,
		.data_uptr = (uintptr_t)data,
	};
	answer got = ask(b->fd, IOMMU_HWPT_ALLOC, &request);

	return got == 0 ? (answer)request.out_hwpt_id : got;
}

TEST(data_that_is_not_there_is_a_fault)
{
	struct bench b = bench_new();
	char *behind = (char *)memory(PAGE) + PAGE;

	EXPECT(-EFAULT, alloc_with_data(&b, b.ioas, NULL, 8));
	EXPECT(-EFAULT, alloc_with_data(&b, b.parent, behind - 4, 8));
	WORKS(alloc_with_data(&b, b.parent, behind - 4, 4));
}

TEST(tables_of_unknown_kinds_are_not_supported)
{
	const u32 huge[] = {0, 1}, unknown[] = {0, 2};
	struct bench b = bench_new();

	EXPECT(-EOPNOTSUPP, alloc_with_data(&b, b.ioas, unknown, sizeof(unknown)));
	WORKS(alloc_with_data(&b, b.ioas, huge, sizeof(huge)));
	EXPECT_EQUAL(PAGE, alignment_of(b.fd, b.ioas));
}

TEST(a_queue_for_faults_must_be_one)
{
	struct bench b = bench_new();
	int queue;
	u32 fault = new_fault_queue(b.fd, &queue), hwpt;

	EXPECT(-ENOENT, alloc_nested_hwpt(b.fd, b.mock.idev, b.parent, FAULT, NOBODY));
	EXPECT(-ENOENT, alloc_nested_hwpt(b.fd, b.mock.idev, b.parent, FAULT, 0));
	EXPECT(-ENOENT, alloc_nested_hwpt(b.fd, b.mock.idev, b.parent, FAULT, b.ioas));
	hwpt = (u32)WORKS(alloc_nested_hwpt(b.fd, b.mock.idev, b.parent, FAULT, fault));
	drop(queue);
	EXPECT(-EBUSY, destroy(b.fd, fault));
	EXPECT(0, destroy(b.fd, hwpt));
	EXPECT(0, destroy(b.fd, fault));
}

TEST(an_answer_that_cannot_be_given_leaves_no_domain)
{
	struct bench b = bench_new();
	char *buffer = memory(PAGE);
	const struct iommu_hwpt_alloc request = {.size = sizeof(request), .dev_id = b.mock.idev, .pt_id = b.ioas};
	u32 next = (u32)WORKS(alloc_hwpt(b.fd, b.mock.idev, b.ioas, 0));

	EXPECT(0, destroy(b.fd, next));
	EXPECT(0, map_at(b.fd, b.ioas, buffer, PAGE, MOCK_FIRST));
	EXPECT(-EFAULT, ask_read_only(b.fd, IOMMU_HWPT_ALLOC, &request, sizeof(request)));
	EXPECT(next, alloc_hwpt(b.fd, b.mock.idev, b.ioas, 0));
	EXPECT(0, check_refs(b.fd, buffer, PAGE, 1));
}

TEST(the_shortest_structure_makes_a_plain_domain)
{
	struct {
		struct iommu_hwpt_alloc request;
	} s = {.request = {.size = 24, .data_type = 77, .fault_id = 88}};
	struct bench b = bench_new();

	s.request.dev_id = b.mock.idev;
	s.request.pt_id = b.ioas;
	EXPECT(0, ask(b.fd, IOMMU_HWPT_ALLOC, &s.request));
	EXPECT_EQUAL(77, s.request.data_type); /* beyond what was given nothing is touched */
	EXPECT(0, destroy(b.fd, s.request.out_hwpt_id));
}

TEST(a_domain_holds_the_areas_and_their_pins)
{
	struct bench b = bench_new();
	char *buffer = memory(4 * PAGE);
	u32 hwpt;

	EXPECT(0, map_at(b.fd, b.ioas, buffer, 2 * PAGE, MOCK_FIRST));
	hwpt = (u32)WORKS(alloc_hwpt(b.fd, b.mock.idev, b.ioas, 0));
	EXPECT(0, check_maps(b.fd, hwpt, MOCK_FIRST, 2 * PAGE, buffer));
	EXPECT(0, destroy(b.fd, b.nested));
	EXPECT(0, destroy(b.fd, b.parent));
	EXPECT(0, destroy(b.fd, b.mock.stdev));
	EXPECT(0, destroy(b.fd, b.no_dirty.stdev));
	EXPECT(0, check_refs(b.fd, buffer, 2 * PAGE, 1)); /* the domain alone, attached to nothing */
	EXPECT(-EBUSY, destroy(b.fd, b.ioas));
	EXPECT(0, destroy(b.fd, hwpt));
	EXPECT(0, check_refs(b.fd, buffer, 2 * PAGE, 0));
	EXPECT(0, destroy(b.fd, b.ioas));
}

TEST(a_domain_for_memory_that_is_gone_cannot_be_made)
{
	struct bench b = bench_new();
	char *nothing = reserve(PAGE);
	u32 other = new_ioas(b.fd);

	EXPECT(0, map_at(b.fd, other, nothing, PAGE, MOCK_FIRST));
	EXPECT(-EFAULT, alloc_hwpt(b.fd, b.mock.idev, other, 0));
	EXPECT_EQUAL(1, alignment_of(b.fd, other));
	EXPECT(0, destroy(b.fd, other));
}

TEST(nested_domains_keep_their_parent)
{
	struct bench b = bench_new();

	EXPECT(-EBUSY, destroy(b.fd, b.parent));
	EXPECT(-EBUSY, destroy(b.fd, b.ioas));
	EXPECT(0, destroy(b.fd, b.nested));
	EXPECT(0, destroy(b.fd, b.parent));
}

TEST(what_a_device_is_attached_to_is_in_use)
{
	struct bench b = bench_new();
	u32 pt_id = b.nested;

	EXPECT(-EBUSY, destroy(b.fd, b.mock.hwpt));
	EXPECT(0, replace_mock(b.fd, b.mock.stdev, &pt_id));
	EXPECT_EQUAL(b.nested, pt_id);
	EXPECT(-EBUSY, destroy(b.fd, b.nested));
	pt_id = b.ioas;
	EXPECT(0, replace_mock(b.fd, b.mock.stdev, &pt_id));
	EXPECT(0, destroy(b.fd, b.nested));
}

/* ---- GET_HW_INFO ---- */

TEST(hw_info_is_refused_in_this_order)
{
	struct bench b = bench_new();
	char *nowhere = reserve(PAGE);

	EXPECT(-EOPNOTSUPP, ASK(b.fd, IOMMU_GET_HW_INFO, iommu_hw_info, .flags = 2, .dev_id = NOBODY));
	for (unsigned i = 0; i < 3; i++) {
		struct iommu_hw_info request = {.size = sizeof(request), .dev_id = NOBODY};

		request.__reserved[i] = 1;
		EXPECT(-EOPNOTSUPP, ask(b.fd, IOMMU_GET_HW_INFO, &request));
	}
	EXPECT(-ENOENT, ASK(b.fd, IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = NOBODY, .flags = 1, .in_data_type = 77));
	EXPECT(-EOPNOTSUPP, ASK(b.fd, IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = b.mock.idev, .flags = 1,
				.in_data_type = 77, .data_len = 8, .data_uptr = (uintptr_t)nowhere));
	EXPECT(-EFAULT, ASK(b.fd, IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = b.mock.idev, .in_data_type = 77,
			    .data_len = 8, .data_uptr = (uintptr_t)nowhere));
	EXPECT(-EFAULT, ASK(b.fd, IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = b.mock.idev, .data_len = 1));
	EXPECT(0, ASK(b.fd, IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = b.mock.idev));
}

TEST(hw_info_fills_what_there_is_room_for_and_zeroes_the_rest)
{
	const u32 whole[] = {0, 0xdeadbeef};
	struct bench b = bench_new();

	for (u32 length = 0; length <= 24; length++) {
		u8 buffer[32];
		struct iommu_hw_info request = {
			.size = sizeof(request),
			.dev_id = b.mock.idev,
			.data_len = length,
			.data_uptr = (uintptr_t)buffer,
			.in_data_type = length & 1 ? MOCK_HW_INFO : 0,
			.flags = length & 1,
		};

		about("%u bytes", length);
		memset(buffer, 0xcc, sizeof(buffer));
		EXPECT(0, ask(b.fd, IOMMU_GET_HW_INFO, &request));
		EXPECT_EQUAL(8, request.data_len);
		EXPECT_EQUAL(MOCK_HW_INFO, request.out_data_type);
		EXPECT_TRUE(memcmp(buffer, whole, length < 8 ? length : 8) == 0);
		for (u32 i = length < 8 ? length : 8; i < sizeof(buffer); i++)
			EXPECT_EQUAL(i < length ? 0 : 0xcc, buffer[i]);
	}
}

TEST(hw_info_tells_what_the_device_can_do)
{
	struct bench b = bench_new();
	struct iommu_hw_info request = {.size = sizeof(request), .dev_id = b.mock.idev};

	EXPECT(0, ask(b.fd, IOMMU_GET_HW_INFO, &request));
	EXPECT_EQUAL(IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, request.out_capabilities);
	EXPECT_EQUAL(20, request.out_max_pasid_log2);
	request = (struct iommu_hw_info){.size = 32, .dev_id = b.no_dirty.idev, .out_capabilities = 99};
	EXPECT(0, ask(b.fd, IOMMU_GET_HW_INFO, &request));
	EXPECT_EQUAL(99, request.out_capabilities); /* not asked for */
	request.size = sizeof(request);
	request.data_len = 0;
	EXPECT(0, ask(b.fd, IOMMU_GET_HW_INFO, &request));
	EXPECT_EQUAL(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, request.out_capabilities);
	EXPECT_EQUAL(0, request.out_max_pasid_log2);
}

/* ---- HWPT_INVALIDATE of a nested domain ---- */

struct entry {
	u32 flags, id;
};

static answer check_iotlb(const struct bench *b, u32 hwpt, u32 index, u32 value)
{
	return ask_mock(b->fd, &(struct mock_request){.op = MOCK_CHECK_IOTLB, .id = hwpt, .halves = {index, value}});
}

static answer invalidate(const struct bench *b, const void *entries, u32 length, u32 *count)
{
	struct iommu_hwpt_invalidate request = {
		.size = sizeof(request),
		.hwpt_id = b->nested,
		.data_uptr = (uintptr_t)entries,
		.data_type = MOCK_INVALIDATE,
		.entry_len = length,
		.entry_num = *count,
	};
	answer got = ask(b->fd, IOMMU_HWPT_INVALIDATE, &request);

	*count = request.entry_num;
	return got;
}

TEST(invalidate_is_refused_in_this_order_and_always_counts)
{
	static const struct {
		const char *what;
		u32 reserved;
		bool no_data;
		u32 length, count;
		enum which target;
		u32 type;
		answer expected;
	} rows[] = {
		{"a reserved field", 1, true, 0, 1, NO_ID, 7, -EOPNOTSUPP},
		{"no array", 0, true, 8, 1, NO_ID, 7, -EINVAL},
		{"entries of no length", 0, false, 0, 1, NO_ID, 7, -EINVAL},
		{"entries longer than a page", 0, false, 4097, 1, NO_ID, 7, -EINVAL},
		{"too many entries", 0, false, 8, (1 << 19) + 1, NO_ID, 7, -EINVAL},
		{"nobody", 0, false, 8, 1, NO_ID, 7, -ENOENT},
		{"nobody, and nothing", 0, true, 0, 0, NO_ID, 7, -ENOENT},
		{"a paging domain", 0, false, 8, 1, PARENT, 7, -EINVAL},
		{"an IOAS", 0, false, 8, 1, THE_IOAS, 7, -EINVAL},
		{"a foreign type", 0, false, 8, 1, NESTED_ONE, 7, -EINVAL},
		{"a foreign type, and nothing", 0, true, 0, 0, NESTED_ONE, 7, -EINVAL},
		{"nothing", 0, true, 0, 0, NESTED_ONE, MOCK_INVALIDATE, 0},
		{"short entries", 0, false, 4, 1, NESTED_ONE, MOCK_INVALIDATE, -EINVAL},
	};
	struct bench b = bench_new();
	struct entry entries[4] = {{0, 0}};

	FOR_EACH(row, rows)
	{
		struct iommu_hwpt_invalidate request = {
			.size = sizeof(request),
			.hwpt_id = which_id(&b, row->target),
			.data_uptr = row->no_data ? 0 : (uintptr_t)entries,
			.data_type = row->type,
			.entry_len = row->length,
			.entry_num = row->count,
			.__reserved = row->reserved,
		};

		about("%s", row->what);
		EXPECT(row->expected, ask(b.fd, IOMMU_HWPT_INVALIDATE, &request));
		EXPECT_EQUAL(0, request.entry_num);
	}
}

TEST(entries_are_done_until_one_is_wrong)
{
	static const struct {
		struct entry entries[4];
		u32 done;
		answer expected;
	} rows[] = {
		{{{0, 0}, {0, 1}, {0, 2}, {0, 3}}, 4, 0},	    {{{0, 0}, {2, 1}, {0, 2}, {0, 3}}, 1, -EOPNOTSUPP},
		{{{0, 0}, {0, 1}, {0, 4}, {0, 3}}, 2, -EINVAL},	    {{{2, 9}, {0, 1}, {0, 2}, {0, 3}}, 0, -EOPNOTSUPP},
		{{{0, 3}, {0, 3}, {0, 3}, {1, 9}}, 3, -EINVAL}, /* the number is looked at even when all are meant */
		{{{1, 0}, {2, 0}, {0, 0}, {0, 0}}, 1, -EOPNOTSUPP},
	};

	FOR_EACH(row, rows)
	{
		struct bench b = bench_new();
		u32 count = 4;

		about("row %u", (unsigned)(row - rows));
		EXPECT(row->expected, invalidate(&b, row->entries, 8, &count));
		EXPECT_EQUAL(row->done, count);
		for (u32 i = 0; i < 4; i++) {
			bool gone = false;

			for (u32 done = 0; done < row->done; done++)
				gone |= row->entries[done].flags == 1 || row->entries[done].id == i;
			EXPECT(0, check_iotlb(&b, b.nested, i, gone ? 0 : MOCK_IOTLB));
		}
		drop(b.fd);
	}
}

TEST(an_array_that_is_not_all_there_is_done_as_far_as_it_is)
{
	struct bench b = bench_new();
	struct entry *behind = (struct entry *)((char *)memory(PAGE) + PAGE);
	u32 count = 3;

	behind[-2] = (struct entry){0, 1};
	behind[-1] = (struct entry){0, 2};
	EXPECT(-EFAULT, invalidate(&b, behind - 2, 8, &count));
	EXPECT_EQUAL(2, count);
	EXPECT(0, check_iotlb(&b, b.nested, 1, 0));
	EXPECT(0, check_iotlb(&b, b.nested, 2, 0));
	EXPECT(0, check_iotlb(&b, b.nested, 3, MOCK_IOTLB));
}

TEST(longer_entries_are_invalid_even_with_zeros_behind)
{
	const struct {
		struct entry entry;
		u32 more;
	} longer[2] = {{{0, 0}, 0}, {{0, 1}, 0}};
	struct bench b = bench_new();
	u32 count = 2;

	EXPECT(-EINVAL, invalidate(&b, longer, sizeof(longer[0]), &count));
	EXPECT_EQUAL(0, count);
}

TEST(a_count_that_cannot_be_given_is_a_fault_whatever_else)
{
	struct bench b = bench_new();
	struct entry entry = {0, 1};
	struct iommu_hwpt_invalidate request = {
		.size = sizeof(request),
		.hwpt_id = b.nested,
		.data_uptr = (uintptr_t)&entry,
		.data_type = MOCK_INVALIDATE,
		.entry_len = sizeof(entry),
		.entry_num = 1,
	};

	EXPECT(-EFAULT, ask_read_only(b.fd, IOMMU_HWPT_INVALIDATE, &request, sizeof(request)));
	EXPECT(0, check_iotlb(&b, b.nested, 1, 0)); /* but done */
	request.__reserved = 1;
	EXPECT(-EFAULT, ask_read_only(b.fd, IOMMU_HWPT_INVALIDATE, &request, sizeof(request)));
}

SUITE(hwpt, CASE(alloc_is_refused_in_this_order), CASE(data_that_is_not_there_is_a_fault),
      CASE(tables_of_unknown_kinds_are_not_supported), CASE(a_queue_for_faults_must_be_one),
      CASE(an_answer_that_cannot_be_given_leaves_no_domain), CASE(the_shortest_structure_makes_a_plain_domain),
      CASE(a_domain_holds_the_areas_and_their_pins), CASE(a_domain_for_memory_that_is_gone_cannot_be_made),
      CASE(nested_domains_keep_their_parent), CASE(what_a_device_is_attached_to_is_in_use),
      CASE(hw_info_is_refused_in_this_order), CASE(hw_info_fills_what_there_is_room_for_and_zeroes_the_rest),
      CASE(hw_info_tells_what_the_device_can_do), CASE(invalidate_is_refused_in_this_order_and_always_counts),
      CASE(entries_are_done_until_one_is_wrong), CASE(an_array_that_is_not_all_there_is_done_as_far_as_it_is),
      CASE(longer_entries_are_invalid_even_with_zeros_behind),
      CASE(a_count_that_cannot_be_given_is_a_fault_whatever_else));
