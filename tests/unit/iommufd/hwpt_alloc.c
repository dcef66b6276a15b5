/* SPDX-License-Identifier: MIT */
/* HWPT_ALLOC: spec 03 section 6, row by row, and what the HWPTs hold on to. */
#include "tests/fixtures/assign_room.h"

static long alloc(struct assign_room *self, struct iommu_hwpt_alloc *cmd)
{
	u32 objects = self->context->nobjects;
	long ret = assign_ask(self, IOMMU_HWPT_ALLOC, cmd);

	assert_int_equal(self->context->nobjects, objects + (ret == 0));
	return ret;
}

#define EXPECT_ALLOC(code) EXPECT_NO(code, alloc(self, &cmd))

ASSIGN_TEST(hwpt_alloc, refuses_in_linuxs_order)
{
	u32 ioas = assign_ioas(self);
	struct iommu_hwpt_alloc cmd;
	u64 table = 0;

	assign_bind(self, 0);
	/* Everything is wrong; then one thing after the other is right. */
	cmd = (struct iommu_hwpt_alloc){.size = sizeof(cmd),
					.flags = BIT(30) | IOMMU_HWPT_FAULT_ID_VALID,
					.dev_id = 77,
					.pt_id = 78,
					.__reserved = 1,
					.data_len = 4,
					.fault_id = 79};
	EXPECT_ALLOC(RESERVED_SET);
	cmd.__reserved = 0;
	EXPECT_ALLOC(HWPT_DATA);
	cmd.data_len = 0;
	cmd.data_type = TOY_DATA;
	EXPECT_ALLOC(HWPT_DATA);
	cmd.data_len = sizeof(table);
	cmd.data_uptr = (uintptr_t)&table;
	EXPECT_ALLOC(OBJECT_MISSING);
	EXPECT_SUBSTR("77", self->why.text);
	cmd.dev_id = self->device[0]->object.id;
	/* Not ENOENT. */
	EXPECT_ALLOC(PT_KIND);
	EXPECT_SUBSTR("78", self->why.text);
	cmd.pt_id = cmd.dev_id;
	EXPECT_ALLOC(PT_KIND);
	EXPECT_SUBSTR("DEVICE 2", self->why.text);
	cmd.pt_id = ioas;
	EXPECT_ALLOC(HWPT_FLAGS);
	EXPECT_SUBSTR("0x40000000", self->why.text);
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT;
	EXPECT_ALLOC(HWPT_NO_DIRTY);
	toy.dirty = true;
	EXPECT_ALLOC(HWPT_FAULT_PARENT);
	cmd.flags &= ~(u32)IOMMU_HWPT_ALLOC_NEST_PARENT;
	toy.fail = 1;
	EXPECT_ALLOC(IDS_EXHAUSTED);
	EXPECT_ALLOC(HWPT_FLAGS);
	EXPECT_SUBSTR("takes no data", self->why.text);
	cmd.data_type = cmd.data_len = 0;
	EXPECT_ALLOC(OBJECT_MISSING);
	EXPECT_SUBSTR("79", self->why.text);
	cmd.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	cmd.fault_id = 0;
	cmd.__reserved2 = 0xffffffff; /* not looked at */
	assert_int_equal(alloc(self, &cmd), 0);
	assert_true(assign_has(self, cmd.out_hwpt_id));
	assert_int_equal(assign_users(self, ioas), 1);
}

ASSIGN_TEST(hwpt_alloc, takes_the_structure_of_the_first_kernel_that_had_it)
{
	struct iommu_hwpt_alloc cmd;
	u32 ioas = assign_ioas(self);

	assign_bind(self, 0);
	cmd = assign_hwpt_cmd(self, 0, ioas, 0);
	memset(&cmd.data_type, 0xff, sizeof(cmd) - offsetof(struct iommu_hwpt_alloc, data_type));
	cmd.size = offsetof(struct iommu_hwpt_alloc, data_type);
	assert_int_equal(alloc(self, &cmd), 0);
	assert_int_equal(cmd.data_type, 0xffffffff);
}

ASSIGN_TEST(hwpt_alloc, a_plain_driver_takes_neither_flags_nor_data)
{
	struct iommu_hwpt_alloc cmd;
	u32 ioas = assign_ioas(self);

	assign_bind(self, 0);
	toy.user.alloc_paging = NULL;
	cmd = assign_hwpt_cmd(self, 0, ioas, IOMMU_HWPT_ALLOC_PASID);
	EXPECT_ALLOC(HWPT_FLAGS);
	EXPECT_SUBSTR("0000:02:00.0", self->why.text);
	cmd.flags = 0;
	assert_int_equal(alloc(self, &cmd), 0);
	assert_false(assign_find_hwpt(self, cmd.out_hwpt_id)->domain->pasid_compatible);
}

ASSIGN_TEST(hwpt_alloc, an_answer_that_cannot_be_written_leaves_nothing)
{
	struct iommu_hwpt_alloc *cmd = room_read_only(sizeof(*cmd)), fill;
	u32 ioas = assign_ioas(self);

	assign_bind(self, 0);
	fill = assign_hwpt_cmd(self, 0, ioas, 0);
	room_fill_read_only(cmd, &fill, sizeof(fill));
	EXPECT_NO(CLIENT_FAULT, alloc(self, cmd));
	assert_int_equal(assign_users(self, ioas), 0);
	room_free_read_only(cmd, sizeof(*cmd));
}

ASSIGN_TEST(hwpt_alloc, nested_ones_are_for_parents_of_the_same_driver)
{
	u32 ioas = assign_ioas(self), parent, plain, chosen, nested;
	struct iommu_hwpt_alloc cmd;
	u64 table = 0;

	assign_bind(self, 0);
	assign_bind(self, 4);
	parent = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	plain = assign_hwpt(self, 0, ioas, 0);
	chosen = (u32)ASSERT_YES(assign_attach(self, 0, 0, ioas));
	cmd = assign_hwpt_cmd(self, 0, plain, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	EXPECT_ALLOC(HWPT_FLAGS);
	cmd.flags = 0;
	EXPECT_ALLOC(HWPT_NO_TABLE);
	cmd.data_type = TOY_DATA + 1;
	cmd.data_len = 2;
	cmd.data_uptr = (uintptr_t)&table;
	toy.user.alloc_nested = NULL;
	EXPECT_ALLOC(HWPT_NO_NESTING);
	toy.user.alloc_nested = toy_nested;
	EXPECT_ALLOC(HWPT_NO_PARENT);
	cmd.pt_id = chosen;
	EXPECT_ALLOC(HWPT_NO_PARENT);
	cmd.pt_id = parent;
	EXPECT_ALLOC(USER_DATA_TYPE);
	cmd.data_type = TOY_DATA;
	EXPECT_ALLOC(USER_DATA_SIZE);
	cmd.data_len = 9;
	EXPECT_ALLOC(USER_DATA_SIZE);
	cmd.data_len = 4;
	cmd.data_uptr = 8;
	EXPECT_ALLOC(CLIENT_FAULT);
	cmd.data_uptr = (uintptr_t)&table;
	toy.fail = 1;
	EXPECT_ALLOC(IDS_EXHAUSTED);
	assert_int_equal(alloc(self, &cmd), 0);
	nested = cmd.out_hwpt_id;
	assert_int_equal(assign_users(self, parent), 1);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, parent));
	EXPECT_SUBSTR("HWPT_PAGING", self->why.text);
	/* A nested one has no nested ones. */
	cmd.pt_id = nested;
	EXPECT_ALLOC(PT_KIND);
	EXPECT_SUBSTR("HWPT_NESTED", self->why.text);
	ASSERT_YES(assign_destroy(self, nested));
	ASSERT_YES(assign_destroy(self, parent));
}

ASSIGN_TEST(hwpt_alloc, a_parent_of_another_driver_is_none)
{
	static const struct iommufd_driver other = {.alloc_nested = toy_nested};
	struct iommu_driver stranger = {.name = "other-iommu", .user = &other};
	u32 ioas = assign_ioas(self), parent;
	struct iommu_hwpt_alloc cmd;
	u64 table = 0;

	assign_bind(self, 0);
	self->other_unit->driver = self->far->default_domain->driver = &stranger;
	assign_bind(self, 4);
	parent = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	cmd = assign_hwpt_cmd(self, 4, parent, 0);
	cmd.data_type = TOY_DATA;
	cmd.data_len = sizeof(table);
	cmd.data_uptr = (uintptr_t)&table;
	EXPECT_ALLOC(HWPT_NO_PARENT);
	EXPECT_SUBSTR("other-iommu", self->why.text);
	assign_unbind(self, 4);
	self->other_unit->driver = self->far->default_domain->driver = &toy.driver;
}

ASSIGN_TEST(hwpt_alloc, attached_by_nested_ones_the_parents_ioas_counts)
{
	u32 ioas = assign_ioas(self), parent, nested;

	assign_bind(self, 0);
	parent = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	nested = assign_nested(self, 0, parent, IOMMU_HWPT_ALLOC_PASID, 0);
	assert_int_equal(ASSERT_YES(assign_attach(self, 0, 0, nested)), nested);
	assert_true(assign_reserved(self, ioas, 0xfee00000));
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, nested));
	assert_ptr_equal(hwpt_paging_of(assign_find_hwpt(self, nested)), assign_find_hwpt(self, parent));
	assert_int_equal(ASSERT_YES(assign_attach(self, 0, 5, nested)), nested);
	EXPECT_NO(PASID_INCOMPATIBLE, assign_attach(self, 0, 6, assign_nested(self, 0, parent, 0, 0)));
	assert_int_equal(ASSERT_YES(assign_replace(self, 0, 0, nested)), nested);
	EXPECT_NO(PASID_INCOMPATIBLE, assign_replace(self, 0, 0, parent));
	assign_detach(self, 0, 5);
	ASSERT_YES(assign_replace(self, 0, 0, parent));
	assert_true(assign_reserved(self, ioas, 0xfee00000));
	ASSERT_YES(assign_destroy(self, nested));
}

static int alloc_all(struct why *why)
{
	struct assign_room *self = assign_current;
	struct ioas *ioas = assign_find_ioas(self, 1);
	struct iommu_hwpt_alloc cmd = assign_hwpt_cmd(self, 0, ioas->object.id, IOMMU_HWPT_ALLOC_NEST_PARENT);
	u32 objects = self->context->nobjects, parent;
	u64 table = 0;
	long err = assign_ask(self, IOMMU_HWPT_ALLOC, &cmd);

	*why = self->why;
	parent = cmd.out_hwpt_id;
	if (err < 0) {
		assert_int_equal(self->context->nobjects, objects);
		assert_int_equal(ioas->object.users, 0);
		return (int)err;
	}
	cmd.pt_id = parent;
	cmd.flags = 0;
	cmd.data_type = TOY_DATA;
	cmd.data_len = sizeof(table);
	cmd.data_uptr = (uintptr_t)&table;
	err = assign_ask(self, IOMMU_HWPT_ALLOC, &cmd);
	*why = self->why;
	assert_int_equal(assign_users(self, parent), err == 0);
	if (err == 0)
		hwpt_free(assign_find_hwpt(self, cmd.out_hwpt_id));
	hwpt_free(assign_find_hwpt(self, parent));
	return (int)err;
}

ASSIGN_TEST(hwpt_alloc, every_step_may_fail)
{
	assign_ioas(self);
	assign_bind(self, 0);
	SWEEP_FAILURES(alloc_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(hwpt_alloc, refuses_in_linuxs_order),
		CASE(hwpt_alloc, takes_the_structure_of_the_first_kernel_that_had_it),
		CASE(hwpt_alloc, a_plain_driver_takes_neither_flags_nor_data),
		CASE(hwpt_alloc, an_answer_that_cannot_be_written_leaves_nothing),
		CASE(hwpt_alloc, nested_ones_are_for_parents_of_the_same_driver),
		CASE(hwpt_alloc, a_parent_of_another_driver_is_none),
		CASE(hwpt_alloc, attached_by_nested_ones_the_parents_ioas_counts),
		CASE(hwpt_alloc, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
