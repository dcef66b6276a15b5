/* SPDX-License-Identifier: MIT */
/* Virtual IOMMUs and the devices on them: spec 03 section 11. */
#include "tests/fixtures/assign_room.h"

static u32 parent_of(struct assign_room *self, unsigned index)
{
	return assign_hwpt(self, index, assign_ioas(self), IOMMU_HWPT_ALLOC_NEST_PARENT);
}

static struct iommu_viommu_alloc viommu_cmd(const struct assign_room *self, unsigned index, u32 hwpt)
{
	return (struct iommu_viommu_alloc){.size = sizeof(struct iommu_viommu_alloc),
					   .type = TOY_VIOMMU,
					   .dev_id = self->device[index]->object.id,
					   .hwpt_id = hwpt};
}

static u32 viommu_new(struct assign_room *self, unsigned index, u32 hwpt)
{
	struct iommu_viommu_alloc cmd = viommu_cmd(self, index, hwpt);

	ASSERT_YES(assign_ask(self, IOMMU_VIOMMU_ALLOC, &cmd));
	return cmd.out_viommu_id;
}

static struct iommu_vdevice_alloc vdevice_cmd(const struct assign_room *self, unsigned index, u32 viommu, u64 virt_id)
{
	return (struct iommu_vdevice_alloc){.size = sizeof(struct iommu_vdevice_alloc),
					    .viommu_id = viommu,
					    .dev_id = self->device[index]->object.id,
					    .virt_id = virt_id};
}

static u32 vdevice_new(struct assign_room *self, unsigned index, u32 viommu, u64 virt_id)
{
	struct iommu_vdevice_alloc cmd = vdevice_cmd(self, index, viommu, virt_id);

	ASSERT_YES(assign_ask(self, IOMMU_VDEVICE_ALLOC, &cmd));
	return cmd.out_vdevice_id;
}

static struct viommu *find(const struct assign_room *self, u32 id)
{
	return container_of(object_peek(self->context, id, &viommu_class), struct viommu, object);
}

ASSIGN_TEST(viommu, alloc_refuses_in_linuxs_order)
{
	struct iommu_viommu_alloc cmd;
	u32 parent, plain, data = 1;

	assign_bind(self, 0);
	parent = parent_of(self, 0);
	plain = assign_hwpt(self, 0, assign_ioas(self), 0);
	cmd = viommu_cmd(self, 0, 78);
	cmd.flags = 1;
	cmd.type = 0;
	cmd.dev_id = 77;
	EXPECT_ASKED_NO(FLAGS_UNKNOWN, IOMMU_VIOMMU_ALLOC, &cmd);
	cmd.flags = 0;
	EXPECT_ASKED_NO(VIOMMU_TYPE, IOMMU_VIOMMU_ALLOC, &cmd);
	cmd.type = TOY_VIOMMU + 1;
	EXPECT_ASKED_NO(OBJECT_MISSING, IOMMU_VIOMMU_ALLOC, &cmd);
	EXPECT_SUBSTR("77", self->why.text);
	cmd.dev_id = self->device[0]->object.id;
	EXPECT_ASKED_NO(VIOMMU_TYPE, IOMMU_VIOMMU_ALLOC, &cmd);
	EXPECT_SUBSTR("dmar0", self->why.text);
	toy.user.viommu_size = NULL;
	EXPECT_ASKED_NO(VIOMMU_TYPE, IOMMU_VIOMMU_ALLOC, &cmd);
	toy.user.viommu_size = toy_viommu_size;
	cmd.type = TOY_VIOMMU;
	EXPECT_ASKED_NO(OBJECT_MISSING, IOMMU_VIOMMU_ALLOC, &cmd);
	EXPECT_SUBSTR("78", self->why.text);
	cmd.hwpt_id = plain;
	EXPECT_ASKED_NO(VIOMMU_PARENT, IOMMU_VIOMMU_ALLOC, &cmd);
	cmd.hwpt_id = parent;
	cmd.data_len = 8;
	cmd.data_uptr = (uintptr_t)&data;
	EXPECT_ASKED_NO(USER_DATA_SIZE, IOMMU_VIOMMU_ALLOC, &cmd);
	cmd.data_len = 0;
	cmd.__reserved = 5; /* not looked at */
	toy.fail = 1;
	EXPECT_ASKED_NO(IDS_EXHAUSTED, IOMMU_VIOMMU_ALLOC, &cmd);
	assert_int_equal(assign_users(self, parent), 0);
	assert_int_equal(toy.destroyed, 0);
	ASSERT_YES(assign_ask(self, IOMMU_VIOMMU_ALLOC, &cmd));
	assert_int_equal(assign_users(self, parent), 1);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, parent));
	ASSERT_YES(assign_destroy(self, cmd.out_viommu_id));
	assert_int_equal(toy.destroyed, 1);
}

ASSIGN_TEST(viommu, an_answer_that_cannot_be_written_leaves_nothing)
{
	struct iommu_viommu_alloc *cmd = room_read_only(sizeof(*cmd)), fill;
	u32 parent;

	assign_bind(self, 0);
	parent = parent_of(self, 0);
	fill = viommu_cmd(self, 0, parent);
	room_fill_read_only(cmd, &fill, sizeof(fill));
	EXPECT_ASKED_NO(CLIENT_FAULT, IOMMU_VIOMMU_ALLOC, cmd);
	assert_int_equal(assign_users(self, parent), 0);
	assert_int_equal(toy.destroyed, 1);
	room_free_read_only(cmd, sizeof(*cmd));
}

ASSIGN_TEST(viommu, nested_ones_on_it_are_for_devices_of_its_iommu)
{
	struct iommu_hwpt_alloc cmd;
	u32 viommu, nested;
	u64 table = 0;

	assign_bind(self, 0);
	assign_bind(self, 4);
	viommu = viommu_new(self, 0, parent_of(self, 0));
	cmd = assign_hwpt_cmd(self, 4, viommu, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	EXPECT_ASKED_NO(VIOMMU_UNIT, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("0000:03:00.0 is behind toy1", self->why.text);
	cmd.dev_id = self->device[0]->object.id;
	EXPECT_ASKED_NO(HWPT_FLAGS, IOMMU_HWPT_ALLOC, &cmd);
	cmd.flags = 0;
	EXPECT_ASKED_NO(HWPT_NO_TABLE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_type = TOY_DATA;
	cmd.data_len = sizeof(table);
	cmd.data_uptr = (uintptr_t)&table;
	toy.user.viommu_alloc_nested = NULL;
	EXPECT_ASKED_NO(HWPT_NO_NESTING, IOMMU_HWPT_ALLOC, &cmd);
	toy.user.viommu_alloc_nested = toy_viommu_nested;
	toy.fail = 1;
	EXPECT_ASKED_NO(IDS_EXHAUSTED, IOMMU_HWPT_ALLOC, &cmd);
	assert_int_equal(assign_users(self, viommu), 0);
	nested = assign_nested(self, 0, viommu, 0, 0);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, viommu));
	assert_ptr_equal(hwpt_paging_of(assign_find_hwpt(self, nested)), find(self, viommu)->parent);
	ASSERT_YES(assign_attach(self, 0, 0, nested));
	assert_true(assign_reserved(self, find(self, viommu)->parent->ioas->object.id, 0xfee00000));
	assign_detach(self, 0, 0);
	ASSERT_YES(assign_destroy(self, nested));
	ASSERT_YES(assign_destroy(self, viommu));
}

ASSIGN_TEST(viommu, its_caches_are_invalidated_by_the_device_the_program_knows)
{
	u32 entries[3] = {5, 6, 13}, viommu;
	struct iommu_hwpt_invalidate cmd;

	assign_bind(self, 0);
	viommu = viommu_new(self, 0, parent_of(self, 0));
	cmd = (struct iommu_hwpt_invalidate){.size = sizeof(cmd),
					     .hwpt_id = viommu,
					     .data_uptr = (uintptr_t)entries,
					     .data_type = TOY_CACHE,
					     .entry_len = 4,
					     .entry_num = 3};
	EXPECT_ASKED_NO(USER_DATA_TYPE, IOMMU_HWPT_INVALIDATE, &cmd);
	assert_int_equal(cmd.entry_num, 2);
	assert_int_equal(toy.invalidated, 11);
	toy.user.viommu_invalidate = NULL;
	EXPECT_ASKED_NO(INVALIDATE_UNSUPPORTED, IOMMU_HWPT_INVALIDATE, &cmd);
	assert_int_equal(cmd.entry_num, 0);
}

/* ---- vDEVICEs ---- */

ASSIGN_TEST(viommu, vdevice_alloc_refuses_in_linuxs_order)
{
	struct iommu_vdevice_alloc cmd;
	u32 viommu, vdevice;
	u64 virt_id;

	assign_bind(self, 0);
	assign_bind(self, 1);
	assign_bind(self, 4);
	viommu = viommu_new(self, 0, parent_of(self, 0));
	cmd = vdevice_cmd(self, 4, 77, UINT64_MAX);
	cmd.dev_id = 78;
	EXPECT_ASKED_NO(OBJECT_MISSING, IOMMU_VDEVICE_ALLOC, &cmd);
	EXPECT_SUBSTR("77", self->why.text);
	cmd.viommu_id = viommu;
	EXPECT_ASKED_NO(OBJECT_MISSING, IOMMU_VDEVICE_ALLOC, &cmd);
	EXPECT_SUBSTR("78", self->why.text);
	cmd.dev_id = self->device[4]->object.id;
	EXPECT_ASKED_NO(VIOMMU_UNIT, IOMMU_VDEVICE_ALLOC, &cmd);
	cmd.dev_id = self->device[0]->object.id;
	toy.fail = 1;
	EXPECT_ASKED_NO(IDS_EXHAUSTED, IOMMU_VDEVICE_ALLOC, &cmd);
	assert_null(self->device[0]->vdevice);
	assert_int_equal(assign_users(self, viommu), 0);
	EXPECT_NO(VDEVICE_MISSING, viommu_virt_id(find(self, viommu), self->core[0], &virt_id, &self->why));
	EXPECT_SUBSTR("0000:02:00.0", self->why.text);
	ASSERT_YES(assign_ask(self, IOMMU_VDEVICE_ALLOC, &cmd));
	vdevice = cmd.out_vdevice_id;
	ASSERT_YES(viommu_virt_id(find(self, viommu), self->core[0], &virt_id, &self->why));
	assert_true(virt_id == UINT64_MAX);
	assert_int_equal(viommu_find_vdevice(find(self, viommu), UINT64_MAX)->object.id, vdevice);
	assert_null(viommu_find_vdevice(find(self, viommu), 0));
	/* One of each. */
	cmd.virt_id = 5;
	EXPECT_ASKED_NO(VDEVICE_TAKEN, IOMMU_VDEVICE_ALLOC, &cmd);
	EXPECT_SUBSTR("0000:02:00.0 has a vDEVICE already", self->why.text);
	cmd = vdevice_cmd(self, 1, viommu, UINT64_MAX);
	EXPECT_ASKED_NO(VDEVICE_TAKEN, IOMMU_VDEVICE_ALLOC, &cmd);
	EXPECT_SUBSTR("0000:02:00.0 as 0xffffffffffffffff", self->why.text);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, viommu));
	ASSERT_YES(assign_destroy(self, vdevice));
	assert_null(self->device[0]->vdevice);
	/* The id and the number are free again. */
	assert_int_equal(vdevice_new(self, 1, viommu, UINT64_MAX), vdevice);
}

ASSIGN_TEST(viommu, a_vdevice_answer_that_cannot_be_written_leaves_nothing)
{
	struct iommu_vdevice_alloc *cmd = room_read_only(sizeof(*cmd)), fill;
	u32 viommu;

	assign_bind(self, 0);
	viommu = viommu_new(self, 0, parent_of(self, 0));
	fill = vdevice_cmd(self, 0, viommu, 5);
	room_fill_read_only(cmd, &fill, sizeof(fill));
	EXPECT_ASKED_NO(CLIENT_FAULT, IOMMU_VDEVICE_ALLOC, cmd);
	assert_int_equal(assign_users(self, viommu), 0);
	assert_null(self->device[0]->vdevice);
	room_free_read_only(cmd, sizeof(*cmd));
}

ASSIGN_TEST(viommu, a_vdevice_that_went_with_its_device_leaves_a_tombstone)
{
	u32 viommu, vdevice, device;

	assign_bind(self, 0);
	assign_bind(self, 1);
	viommu = viommu_new(self, 0, parent_of(self, 0));
	vdevice = vdevice_new(self, 1, viommu, 5);
	device = self->device[1]->object.id;
	assign_unbind(self, 1);
	iommufd_check(&self->base->iommufd);
	assert_null(viommu_find_vdevice(find(self, viommu), 5));
	assert_int_equal(assign_users(self, viommu), 0);
	EXPECT_NO(OBJECT_MISSING, assign_destroy(self, vdevice));
	/* The device's id is used again, the other never. */
	assign_bind(self, 1);
	assert_int_equal(self->device[1]->object.id, device);
	assert_int_equal(vdevice_new(self, 1, viommu, 5), vdevice + 1);
	ASSERT_YES(assign_destroy(self, vdevice + 1));
	ASSERT_YES(assign_destroy(self, viommu));
}

/* Destroying what a nested attachment is about is the driver's business; the core lets it go. */
ASSIGN_TEST(viommu, a_vdevice_goes_while_its_device_is_attached)
{
	u32 viommu, vdevice, nested;

	assign_bind(self, 0);
	viommu = viommu_new(self, 0, parent_of(self, 0));
	vdevice = vdevice_new(self, 0, viommu, 5);
	nested = assign_nested(self, 0, viommu, 0, 0);
	ASSERT_YES(assign_attach(self, 0, 0, nested));
	ASSERT_YES(assign_destroy(self, vdevice));
	assert_int_equal(assign_attached(self, 0, 0), nested);
}

ASSIGN_TEST(viommu, all_of_it_goes_with_the_context)
{
	u32 viommu;

	assign_bind(self, 0);
	viommu = viommu_new(self, 0, parent_of(self, 0));
	vdevice_new(self, 0, viommu, 5);
	assign_nested(self, 0, viommu, 0, 0);
	/* Not even detached in an order. */
}

static int make_all(struct why *why)
{
	struct assign_room *self = assign_current;
	struct iommu_viommu_alloc viommu = viommu_cmd(self, 0, 3);
	u32 objects = self->context->nobjects;
	struct iommu_vdevice_alloc vdevice;
	long err = assign_ask(self, IOMMU_VIOMMU_ALLOC, &viommu);

	if (err == 0) {
		vdevice = vdevice_cmd(self, 0, viommu.out_viommu_id, 9);
		err = assign_ask(self, IOMMU_VDEVICE_ALLOC, &vdevice);
		*why = self->why;
		assert_int_equal(assign_users(self, viommu.out_viommu_id), err == 0);
		if (err == 0)
			object_peek(self->context, vdevice.out_vdevice_id, NULL)
				->class->free(object_peek(self->context, vdevice.out_vdevice_id, NULL));
		viommu_class.free(object_peek(self->context, viommu.out_viommu_id, NULL));
	} else {
		*why = self->why;
	}
	assert_int_equal(self->context->nobjects, objects);
	return (int)err;
}

ASSIGN_TEST(viommu, every_step_may_fail)
{
	assign_bind(self, 0);
	assert_int_equal(parent_of(self, 0), 3);
	SWEEP_FAILURES(make_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(viommu, alloc_refuses_in_linuxs_order),
		CASE(viommu, an_answer_that_cannot_be_written_leaves_nothing),
		CASE(viommu, nested_ones_on_it_are_for_devices_of_its_iommu),
		CASE(viommu, its_caches_are_invalidated_by_the_device_the_program_knows),
		CASE(viommu, vdevice_alloc_refuses_in_linuxs_order),
		CASE(viommu, a_vdevice_answer_that_cannot_be_written_leaves_nothing),
		CASE(viommu, a_vdevice_that_went_with_its_device_leaves_a_tombstone),
		CASE(viommu, a_vdevice_goes_while_its_device_is_attached),
		CASE(viommu, all_of_it_goes_with_the_context),
		CASE(viommu, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
