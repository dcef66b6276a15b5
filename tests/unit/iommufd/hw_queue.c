/* SPDX-License-Identifier: MIT */
/* HW_QUEUEs: spec 03 section 11. */
#include "iommu/dma.h"
#include "tests/fixtures/assign_room.h"

#define IOVA 0x200000u

static u8 memory[4 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u8 elsewhere[4 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

struct scene {
	u32 ioas, parent, viommu;
};

static struct scene scene_new(struct assign_room *self)
{
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd), .type = TOY_VIOMMU};
	struct scene scene;

	assign_bind(self, 0);
	scene.ioas = assign_ioas(self);
	scene.parent = assign_hwpt(self, 0, scene.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	cmd.dev_id = self->device[0]->object.id;
	cmd.hwpt_id = scene.parent;
	ASSERT_YES(assign_ask(self, IOMMU_VIOMMU_ALLOC, &cmd));
	scene.viommu = cmd.out_viommu_id;
	return scene;
}

static struct iommu_hw_queue_alloc queue_cmd(const struct scene *scene, u32 index, u64 iova, u64 size)
{
	return (struct iommu_hw_queue_alloc){.size = sizeof(struct iommu_hw_queue_alloc),
					     .viommu_id = scene->viommu,
					     .type = TOY_QUEUE,
					     .index = index,
					     .nesting_parent_iova = iova,
					     .length = size};
}

static long unmap(struct assign_room *self, u32 ioas, u64 iova, u64 size)
{
	struct iommu_ioas_unmap cmd = {.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = size};

	return assign_ask(self, IOMMU_IOAS_UNMAP, &cmd);
}

#define EXPECT_ALLOC(code)                                                                                             \
	do {                                                                                                           \
		u32 objects_ = self->context->nobjects;                                                                \
		EXPECT_ASKED_NO(code, IOMMU_HW_QUEUE_ALLOC, &cmd);                                                     \
		assert_int_equal(self->context->nobjects, objects_);                                                   \
	} while (0)

ASSIGN_TEST(hw_queue, alloc_refuses_in_linuxs_order)
{
	struct scene scene = scene_new(self);
	struct iommu_hw_queue_alloc cmd = queue_cmd(&scene, 0, UINT64_MAX, 0);

	cmd.flags = 1;
	cmd.type = 0;
	cmd.viommu_id = 77;
	EXPECT_ALLOC(FLAGS_UNKNOWN);
	cmd.flags = 0;
	EXPECT_ALLOC(HW_QUEUE_TYPE);
	cmd.type = TOY_QUEUE + 1;
	EXPECT_ALLOC(HW_QUEUE_EMPTY);
	cmd.length = 2;
	EXPECT_ALLOC(HW_QUEUE_OVERFLOW);
	cmd.length = 1;
	EXPECT_ALLOC(OBJECT_MISSING);
	cmd.viommu_id = scene.viommu;
	EXPECT_ALLOC(HW_QUEUE_TYPE);
	EXPECT_SUBSTR("VIOMMU", self->why.text);
	cmd.type = TOY_QUEUE;
	cmd.nesting_parent_iova = 1;
	cmd.length = UINT64_MAX;
	EXPECT_ALLOC(HW_QUEUE_ROUNDING);
	cmd.length = UINT64_MAX - 1;
	EXPECT_ALLOC(HW_QUEUE_ROUNDING);
	cmd.length = BIT(40);
	EXPECT_ALLOC(OUT_OF_MEMORY);
	cmd = queue_cmd(&scene, 0, IOVA, PAGE_SIZE);
	EXPECT_ALLOC(AREA_MISSING);
	assign_map(self, scene.ioas, IOVA, memory, PAGE_SIZE, ISOLDE_PT_WRITE);
	EXPECT_ALLOC(ACCESS_PERMISSION);
	ASSERT_YES(unmap(self, scene.ioas, IOVA, PAGE_SIZE));
	assign_map(self, scene.ioas, IOVA, memory, PAGE_SIZE, ISOLDE_PT_READ);
	toy.fail = 1;
	EXPECT_ALLOC(IDS_EXHAUSTED);
	/* It has let the memory go. */
	ASSERT_YES(unmap(self, scene.ioas, IOVA, PAGE_SIZE));
	assert_int_equal(assign_users(self, scene.viommu), 0);
	assert_int_equal(toy.destroyed, 0);
}

ASSIGN_TEST(hw_queue, its_memory_stays_where_it_is)
{
	struct scene scene = scene_new(self);
	struct iommu_hw_queue_alloc first = queue_cmd(&scene, 0, IOVA, 2 * PAGE_SIZE), second;
	const struct toy_hw_queue *queue;
	u64 physical;

	assign_map(self, scene.ioas, IOVA, memory, 2 * PAGE_SIZE, ROOM_RW);
	assign_map(self, scene.ioas, IOVA + 2 * PAGE_SIZE, memory, PAGE_SIZE, ROOM_RW);
	physical = isolde_pt_iova_to_phys(assign_find_hwpt(self, scene.parent)->domain->pt, IOVA);
	ASSERT_YES(assign_ask(self, IOMMU_HW_QUEUE_ALLOC, &first));
	queue = (const struct toy_hw_queue *)object_peek(self->context, first.out_hw_queue_id, &hw_queue_class);
	assert_int_equal(queue->physical, physical);
	EXPECT_NO(AREA_LOCKED, unmap(self, scene.ioas, IOVA, 2 * PAGE_SIZE));
	ASSERT_YES(unmap(self, scene.ioas, IOVA + 2 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, scene.viommu));
	/* One that begins inside a page; the first cannot go before it. */
	second = queue_cmd(&scene, 1, IOVA + PAGE_SIZE / 2, PAGE_SIZE / 2);
	ASSERT_YES(assign_ask(self, IOMMU_HW_QUEUE_ALLOC, &second));
	queue = (const struct toy_hw_queue *)object_peek(self->context, second.out_hw_queue_id, &hw_queue_class);
	assert_int_equal(queue->physical, physical + PAGE_SIZE / 2);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, first.out_hw_queue_id));
	EXPECT_SUBSTR("HW_QUEUE", self->why.text);
	ASSERT_YES(assign_destroy(self, second.out_hw_queue_id));
	EXPECT_NO(AREA_LOCKED, unmap(self, scene.ioas, IOVA, 2 * PAGE_SIZE));
	ASSERT_YES(assign_destroy(self, first.out_hw_queue_id));
	ASSERT_YES(unmap(self, scene.ioas, IOVA, 2 * PAGE_SIZE));
	assert_int_equal(toy.destroyed, 2);
}

/* Hardware reads by physical address: two maps are two runs of frames, wherever their IOVAs are. */
ASSIGN_TEST(hw_queue, memory_in_pieces_is_refused)
{
	struct scene scene = scene_new(self);
	struct iommu_hw_queue_alloc cmd = queue_cmd(&scene, 0, IOVA + 100, 2 * PAGE_SIZE);

	/* Frames are given out upwards. */
	assign_map(self, scene.ioas, IOVA + 2 * PAGE_SIZE, elsewhere, PAGE_SIZE, ROOM_RW);
	EXPECT_ALLOC(AREA_MISSING);
	assign_map(self, scene.ioas, IOVA, memory, 2 * PAGE_SIZE, ROOM_RW);
	EXPECT_ALLOC(HW_QUEUE_SCATTERED);
	EXPECT_SUBSTR("0x202000", self->why.text);
	cmd.length -= 100;
	ASSERT_YES(assign_ask(self, IOMMU_HW_QUEUE_ALLOC, &cmd));
	ASSERT_YES(unmap(self, scene.ioas, IOVA + 2 * PAGE_SIZE, PAGE_SIZE));
}

ASSIGN_TEST(hw_queue, none_depends_on_itself)
{
	struct scene scene = scene_new(self);
	struct iommu_hw_queue_alloc cmd = queue_cmd(&scene, 0, IOVA, PAGE_SIZE);
	struct hw_queue *queue;

	assign_map(self, scene.ioas, IOVA, memory, PAGE_SIZE, ROOM_RW);
	ASSERT_YES(assign_ask(self, IOMMU_HW_QUEUE_ALLOC, &cmd));
	queue = (struct hw_queue *)object_peek(self->context, cmd.out_hw_queue_id, &hw_queue_class);
	EXPECT_NO(DEPEND_SELF, hw_queue_depend(queue, queue, &self->why));
	assert_int_equal(queue->object.users, 0);
}

ASSIGN_TEST(hw_queue, an_answer_that_cannot_be_written_leaves_nothing)
{
	struct scene scene = scene_new(self);
	struct iommu_hw_queue_alloc *cmd = room_read_only(sizeof(*cmd)), fill;

	assign_map(self, scene.ioas, IOVA, memory, PAGE_SIZE, ROOM_RW);
	fill = queue_cmd(&scene, 0, IOVA, PAGE_SIZE);
	room_fill_read_only(cmd, &fill, sizeof(fill));
	EXPECT_ASKED_NO(CLIENT_FAULT, IOMMU_HW_QUEUE_ALLOC, cmd);
	assert_int_equal(toy.destroyed, 1);
	ASSERT_YES(unmap(self, scene.ioas, IOVA, PAGE_SIZE));
	room_free_read_only(cmd, sizeof(*cmd));
}

/* The context's end takes them in an order that holds. */
ASSIGN_TEST(hw_queue, all_go_with_the_context)
{
	struct scene scene = scene_new(self);

	assign_map(self, scene.ioas, IOVA, memory, PAGE_SIZE, ROOM_RW);
	for (u32 i = 0; i < 2; i++) {
		struct iommu_hw_queue_alloc cmd = queue_cmd(&scene, i, IOVA, PAGE_SIZE);

		ASSERT_YES(assign_ask(self, IOMMU_HW_QUEUE_ALLOC, &cmd));
	}
}

static struct scene sweep;

static int make_queue(struct why *why)
{
	struct assign_room *self = assign_current;
	struct iommu_hw_queue_alloc cmd = queue_cmd(&sweep, 0, IOVA + 5, PAGE_SIZE);
	u32 objects = self->context->nobjects;
	long err = assign_ask(self, IOMMU_HW_QUEUE_ALLOC, &cmd);

	*why = self->why;
	if (err == 0)
		hw_queue_class.free(object_peek(self->context, cmd.out_hw_queue_id, NULL));
	assert_int_equal(self->context->nobjects, objects);
	assert_int_equal(ioas_area_at(assign_find_ioas(self, sweep.ioas), IOVA)->locks, 0);
	return (int)err;
}

ASSIGN_TEST(hw_queue, every_step_may_fail)
{
	sweep = scene_new(self);
	assign_map(self, sweep.ioas, IOVA, memory, 2 * PAGE_SIZE, ROOM_RW);
	SWEEP_FAILURES(make_queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(hw_queue, alloc_refuses_in_linuxs_order),
		CASE(hw_queue, its_memory_stays_where_it_is),
		CASE(hw_queue, memory_in_pieces_is_refused),
		CASE(hw_queue, none_depends_on_itself),
		CASE(hw_queue, an_answer_that_cannot_be_written_leaves_nothing),
		CASE(hw_queue, all_go_with_the_context),
		CASE(hw_queue, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
