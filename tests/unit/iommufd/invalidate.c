/* SPDX-License-Identifier: MIT */
/* HWPT_INVALIDATE: spec 03 section 9. How many entries were done is told however it ends. */
#include "tests/fixtures/assign_room.h"

static struct iommu_hwpt_invalidate array_cmd(u32 id, const void *entries, u32 size, u32 count)
{
	return (struct iommu_hwpt_invalidate){.size = sizeof(struct iommu_hwpt_invalidate),
					      .hwpt_id = id,
					      .data_uptr = (uintptr_t)entries,
					      .data_type = TOY_CACHE,
					      .entry_len = size,
					      .entry_num = count};
}

#define EXPECT_INVALIDATE(code, done)                                                                                  \
	do {                                                                                                           \
		EXPECT_ASKED_NO(code, IOMMU_HWPT_INVALIDATE, &cmd);                                                    \
		assert_int_equal(cmd.entry_num, done);                                                                 \
	} while (0)

static u32 nested_room(struct assign_room *self, u32 *ret_parent)
{
	u32 ioas = assign_ioas(self);

	assign_bind(self, 0);
	*ret_parent = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	return assign_nested(self, 0, *ret_parent, 0, 0);
}

ASSIGN_TEST(invalidate, refuses_in_linuxs_order_and_counts)
{
	u32 parent, nested = nested_room(self, &parent);
	u32 entries[4] = {1, 2, 13, 4};
	struct iommu_hwpt_invalidate cmd = array_cmd(77, NULL, PAGE_SIZE + 1, (1 << 19) + 1);

	cmd.__reserved = 1;
	EXPECT_INVALIDATE(RESERVED_SET, 0);
	cmd = array_cmd(77, NULL, 4, 1);
	EXPECT_INVALIDATE(INVALIDATE_ARRAY, 0);
	cmd = array_cmd(77, entries, 0, 1);
	EXPECT_INVALIDATE(INVALIDATE_ARRAY, 0);
	cmd = array_cmd(77, entries, PAGE_SIZE + 1, 1);
	EXPECT_INVALIDATE(INVALIDATE_ARRAY, 0);
	cmd = array_cmd(77, entries, 4, (1 << 19) + 1);
	EXPECT_INVALIDATE(INVALIDATE_ARRAY, 0);
	cmd = array_cmd(77, entries, 4, 1);
	EXPECT_INVALIDATE(OBJECT_MISSING, 0);
	cmd = array_cmd(parent, entries, 4, 1);
	EXPECT_INVALIDATE(INVALIDATE_TARGET, 0);
	EXPECT_SUBSTR("HWPT_PAGING", self->why.text);
	cmd = array_cmd(nested, entries, 4, 1);
	toy.user.invalidate = NULL;
	EXPECT_INVALIDATE(INVALIDATE_UNSUPPORTED, 0);
	toy.user.invalidate = toy_invalidate;
	cmd = array_cmd(nested, entries, 4, 4);
	cmd.data_type = TOY_CACHE + 1;
	EXPECT_INVALIDATE(USER_DATA_TYPE, 0);
	cmd = array_cmd(nested, entries, 2, 4);
	EXPECT_INVALIDATE(USER_DATA_SIZE, 0);
	/* Half of it. */
	cmd = array_cmd(nested, entries, 4, 4);
	EXPECT_INVALIDATE(USER_DATA_TYPE, 2);
	assert_int_equal(toy.invalidated, 3);
	/* Nothing asked is fine, for a probe. */
	cmd = array_cmd(nested, NULL, 0, 0);
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_INVALIDATE, &cmd));
	assert_int_equal(cmd.entry_num, 0);
}

ASSIGN_TEST(invalidate, entries_may_not_be_longer_than_they_are)
{
	u32 parent, nested = nested_room(self, &parent);
	u32 entries[6] = {1, 0, 2, 0, 3, 0};
	struct iommu_hwpt_invalidate cmd = array_cmd(nested, entries, 8, 3);

	EXPECT_INVALIDATE(USER_DATA_SIZE, 0);
	cmd = array_cmd(nested, (void *)8, 4, 2);
	EXPECT_INVALIDATE(CLIENT_FAULT, 0);
}

/* The answer's fault wins over what the driver said. */
ASSIGN_TEST(invalidate, a_count_that_cannot_be_written_is_a_fault)
{
	u32 parent, nested = nested_room(self, &parent);
	struct iommu_hwpt_invalidate *cmd = room_read_only(sizeof(*cmd)), fill;
	u32 entries[2] = {1, 13};

	fill = array_cmd(nested, entries, 4, 2);
	room_fill_read_only(cmd, &fill, sizeof(fill));
	EXPECT_ASKED_NO(CLIENT_FAULT, IOMMU_HWPT_INVALIDATE, cmd);
	assert_int_equal(toy.invalidated, 1);
	room_free_read_only(cmd, sizeof(*cmd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(invalidate, refuses_in_linuxs_order_and_counts),
		CASE(invalidate, entries_may_not_be_longer_than_they_are),
		CASE(invalidate, a_count_that_cannot_be_written_is_a_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
