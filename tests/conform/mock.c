/* SPDX-License-Identifier: MIT */
/* What the mock's own questions refuse (spec 06 section 8.1), as far as no other test needs it. */
#include <sys/mman.h>

#include "tests/conform/conform.h"

struct asked {
	int fd;
	u32 ioas, parent, nested;
	struct mock mock;
	char *buffer; /* 2 pages at MOCK_FIRST */
};

static struct asked asked_new(void)
{
	struct asked a = {.fd = iommu()};

	need_mock();
	a.ioas = new_ioas(a.fd);
	a.mock = new_mock(a.fd, a.ioas, MOCK_PASIDS);
	a.buffer = memory(2 * PAGE);
	EXPECT(0, map_at(a.fd, a.ioas, a.buffer, 2 * PAGE, MOCK_FIRST));
	a.parent = (u32)WORKS(alloc_hwpt(a.fd, a.mock.idev, a.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	a.nested = (u32)WORKS(alloc_nested_hwpt(a.fd, a.mock.idev, a.parent, 0, 0));
	return a;
}

TEST(operations_that_are_none_are_not_supported)
{
	static const u32 operations[] = {0, 24, 25, 99, ~0u};
	int fd = iommu();

	need_mock();
	FOR_EACH(op, operations)
	{
		about("%u", *op);
		EXPECT(-EOPNOTSUPP, ask_mock(fd, &(struct mock_request){.op = *op, .id = NOBODY}));
	}
}

TEST(a_device_can_be_made_without_flags)
{
	int fd = iommu();
	struct mock_request request = {.op = MOCK_DOMAIN, .id = new_ioas(fd), .halves = {[3] = ~0u}};

	need_mock();
	EXPECT(0, ask_mock(fd, &request));
	EXPECT(0, destroy(fd, request.halves[0]));
}

TEST(a_look_at_a_map_is_refused_in_this_order)
{
	struct asked a = asked_new();

	EXPECT(-ENOENT, check_maps(a.fd, NOBODY, MOCK_FIRST + 1, 1, a.buffer + 1));
	EXPECT(-ENOENT, check_maps(a.fd, a.nested, MOCK_FIRST + 1, 1, a.buffer + 1));
	EXPECT(-EINVAL, check_maps(a.fd, a.mock.hwpt, MOCK_FIRST + 1024, PAGE, a.buffer));
	EXPECT(-EINVAL, check_maps(a.fd, a.mock.hwpt, MOCK_FIRST, 1024, a.buffer));
	EXPECT(-EINVAL, check_maps(a.fd, a.mock.hwpt, MOCK_FIRST, PAGE, a.buffer + 1024));
	EXPECT(-EINVAL, check_maps(a.fd, a.mock.hwpt, MOCK_FIRST, 0ul - PAGE, a.buffer + PAGE));
	EXPECT(-EFAULT, check_maps(a.fd, a.mock.hwpt, MOCK_FIRST, PAGE, reserve(PAGE)));
	EXPECT(0, check_maps(a.fd, a.mock.hwpt, MOCK_FIRST, 0, reserve(PAGE)));
	EXPECT(0, check_maps(a.fd, a.mock.hwpt, MOCK_FIRST + PAGE, PAGE, a.buffer + PAGE));
}

TEST(a_look_at_pins_is_refused_in_this_order)
{
	struct asked a = asked_new();

	EXPECT(-EINVAL, check_refs(a.fd, a.buffer + 1, PAGE, 1));
	EXPECT(-EINVAL, check_refs(a.fd, a.buffer, PAGE - 1, 1));
	EXPECT(-EINVAL, check_refs(a.fd, a.buffer + PAGE, 0ul - PAGE, 1));
	EXPECT(-EFAULT, check_refs(a.fd, reserve(PAGE), PAGE, 0));
	EXPECT(-EIO, check_refs(a.fd, a.buffer, PAGE, 0));
	EXPECT(-EIO, check_refs(a.fd, a.buffer, PAGE, 2));
	EXPECT(0, check_refs(a.fd, a.buffer, 2 * PAGE, 1));
	EXPECT(0, check_refs(a.fd, a.buffer, 0, 5));
}

TEST(a_look_at_what_is_attached_is_refused_in_this_order)
{
	struct asked a = asked_new();

	EXPECT(-ENOENT, check_attached(a.fd, NOBODY, 0, NOBODY));
	EXPECT(-ENOENT, check_attached(a.fd, a.mock.idev, 0, NOBODY));
	EXPECT(-ENOENT, check_attached(a.fd, a.mock.stdev, 0, NOBODY));
	EXPECT(-EINVAL, check_attached(a.fd, a.mock.stdev, 0, a.ioas));
	EXPECT(-EINVAL, check_attached(a.fd, a.mock.stdev, 0, a.parent));
	EXPECT(-EINVAL, check_attached(a.fd, a.mock.stdev, 0, 0));
	EXPECT(-EINVAL, check_attached(a.fd, a.mock.stdev, 3, a.mock.hwpt));
	EXPECT(0, check_attached(a.fd, a.mock.stdev, 0, a.mock.hwpt));
	EXPECT(0, check_attached(a.fd, a.mock.stdev, 3, 0));
}

TEST(a_look_at_a_cache_is_refused_in_this_order)
{
	struct asked a = asked_new();
	struct mock_request request = {.op = MOCK_CHECK_IOTLB, .halves = {4, MOCK_IOTLB}};

	request.id = NOBODY;
	EXPECT(-ENOENT, ask_mock(a.fd, &request));
	request.id = a.parent;
	EXPECT(-ENOENT, ask_mock(a.fd, &request));
	request.id = a.nested;
	EXPECT(-EINVAL, ask_mock(a.fd, &request));
	request.halves[0] = 3;
	EXPECT(0, ask_mock(a.fd, &request));
	request.halves[1]++;
	EXPECT(-EINVAL, ask_mock(a.fd, &request));
}

/* Shared memory is the same wherever it is seen. */
TEST(shared_memory_is_known_by_what_it_is)
{
	struct asked a = asked_new();
	int file = new_file(2 * PAGE);
	char *one = mapped(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), 2 * PAGE);
	char *two = mapped(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), 2 * PAGE);

	memset(one, 1, 2 * PAGE);
	EXPECT(0, map_at(a.fd, a.ioas, one, 2 * PAGE, 0x2000000));
	EXPECT(0, check_maps(a.fd, a.mock.hwpt, 0x2000000, 2 * PAGE, two));
	EXPECT(-EINVAL, check_maps(a.fd, a.mock.hwpt, 0x2000000, PAGE, two + PAGE));
	EXPECT(0, map_file_at(a.fd, a.ioas, file, 0, 2 * PAGE, 0x3000000));
	EXPECT(0, check_maps(a.fd, a.mock.hwpt, 0x3000000, 2 * PAGE, one));
	EXPECT(0, check_refs(a.fd, two, 2 * PAGE, 2));
}

SUITE(mock, CASE(operations_that_are_none_are_not_supported), CASE(a_device_can_be_made_without_flags),
      CASE(a_look_at_a_map_is_refused_in_this_order), CASE(a_look_at_pins_is_refused_in_this_order),
      CASE(a_look_at_what_is_attached_is_refused_in_this_order), CASE(a_look_at_a_cache_is_refused_in_this_order),
      CASE(shared_memory_is_known_by_what_it_is));
