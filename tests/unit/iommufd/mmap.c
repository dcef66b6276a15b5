/* SPDX-License-Identifier: MIT */
/* Pages of a driver that programs map through the context: spec 03 section 11. */
#include <sys/stat.h>

#include "base/os.h"
#include "tests/fixtures/assign_room.h"

#define SIZE (2 * PAGE_SIZE)

struct region {
	u32 viommu;
	u64 offset;
	u32 *memory; /* the driver's side */
};

static u32 parent_of(struct assign_room *self)
{
	assign_bind(self, 0);
	return assign_hwpt(self, 0, assign_ioas(self), IOMMU_HWPT_ALLOC_NEST_PARENT);
}

static struct region region_new(struct assign_room *self, u32 parent, u32 word)
{
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd),
					 .type = TOY_VIOMMU,
					 .dev_id = self->device[0]->object.id,
					 .hwpt_id = parent,
					 .data_len = sizeof(word),
					 .data_uptr = (uintptr_t)&word};
	const struct toy_viommu *viommu;

	ASSERT_YES(assign_ask(self, IOMMU_VIOMMU_ALLOC, &cmd));
	viommu = (const struct toy_viommu *)object_peek(self->context, cmd.out_viommu_id, &viommu_class);
	return (struct region){cmd.out_viommu_id, viommu->offset, viommu->memory};
}

static int may_map(struct assign_room *self, u64 offset, u64 size, int prot, int flags)
{
	int err;

	why_clear(&self->why);
	err = self->base->file->ops->mmap(self->base->file, offset, size, prot, flags, &self->why);
	iommufd_check(&self->base->iommufd);
	return err;
}

/* As the host's kernel does it for the program, once that may. */
static u32 *map(struct assign_room *self, u64 offset, u64 size)
{
	void *memory;

	ASSERT_YES(may_map(self, offset, size, PROT_READ | PROT_WRITE, MAP_SHARED));
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->base->file->memfd, (off_t)offset);
	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

ASSIGN_TEST(mmap, exactly_the_region_and_shared)
{
	struct region region = region_new(self, parent_of(self), 0xbeef);
	int both = PROT_READ | PROT_WRITE;

	assert_int_equal(region.offset, PAGE_SIZE);
	EXPECT_NO(MMAP_SHARING, may_map(self, 0, SIZE, both | PROT_EXEC, MAP_PRIVATE));
	EXPECT_NO(MMAP_EXECUTE, may_map(self, 0, SIZE, both | PROT_EXEC, MAP_SHARED));
	EXPECT_NO(MMAP_NOTHING, may_map(self, 0, SIZE, both, MAP_SHARED));
	EXPECT_SUBSTR("/dev/iommu", self->why.text);
	EXPECT_NO(MMAP_NOTHING, may_map(self, region.offset + PAGE_SIZE, SIZE, both, MAP_SHARED));
	EXPECT_NO(MMAP_NOTHING, may_map(self, region.offset + SIZE, SIZE, both, MAP_SHARED));
	EXPECT_NO(MMAP_NOTHING, may_map(self, region.offset, SIZE / 2, both, MAP_SHARED));
	EXPECT_NO(MMAP_NOTHING, may_map(self, region.offset, SIZE * 2, both, MAP_SHARED));
	EXPECT_NO(MMAP_NOTHING, may_map(self, region.offset + PAGE_SIZE, SIZE / 2, both, MAP_SHARED));
	EXPECT_NO(MMAP_NOTHING, may_map(self, region.offset, UINT64_MAX, both, MAP_SHARED));
	ASSERT_YES(assign_destroy(self, region.viommu));
	EXPECT_NO(MMAP_NOTHING, may_map(self, region.offset, SIZE, both, MAP_SHARED));
}

ASSIGN_TEST(mmap, both_sides_see_the_same_and_the_owner_stays)
{
	struct region region = region_new(self, parent_of(self), 0xbeef);
	u32 *memory = map(self, region.offset, SIZE), *again;

	assert_int_equal(*memory, 0xbeef);
	memory[1] = 7;
	assert_int_equal(region.memory[1], 7);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, region.viommu));
	again = map(self, region.offset, SIZE);
	munmap(memory, SIZE);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, region.viommu));
	/* One page of it is enough. */
	munmap(again, PAGE_SIZE);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, region.viommu));
	munmap(again + PAGE_SIZE / sizeof(*again), PAGE_SIZE);
	ASSERT_YES(assign_destroy(self, region.viommu));
}

ASSIGN_TEST(mmap, a_child_keeps_what_its_parent_has_mapped)
{
	struct region region = region_new(self, parent_of(self), 0xbeef);
	u32 *memory = map(self, region.offset, SIZE);
	int pipes[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) == 0 && *memory == 0xbeef ? 0 : 1);
	}
	munmap(memory, SIZE);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, region.viommu));
	close(pipes[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(pipes[0]);
	ASSERT_YES(assign_destroy(self, region.viommu));
}

ASSIGN_TEST(mmap, offsets_are_used_again_and_begin_as_zeroes)
{
	u32 parent = parent_of(self);
	struct region first = region_new(self, parent, 1), second = region_new(self, parent, 2), third;
	struct stat stat;

	assert_true(second.offset >= first.offset + SIZE);
	first.memory[5] = 9;
	ASSERT_YES(assign_destroy(self, first.viommu));
	assert_int_equal(*second.memory, 2);
	third = region_new(self, parent, 3);
	assert_int_equal(third.offset, first.offset);
	assert_int_equal(third.memory[0], 3);
	assert_int_equal(third.memory[5], 0);
	assert_int_equal(*second.memory, 2);
	/* What is mapped of one says nothing of the other. */
	munmap(map(self, second.offset, SIZE), SIZE);
	map(self, third.offset, SIZE);
	ASSERT_YES(assign_destroy(self, second.viommu));
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, third.viommu));
	second = region_new(self, parent, 4);
	assert_int_equal(fstat(self->base->file->memfd, &stat), 0);
	assert_int_equal(stat.st_size, second.offset + SIZE);
}

/* Neighbours in the file would become one mapping of the host's, and then who could tell whose it is. */
ASSIGN_TEST(mmap, a_page_stays_free_between_two_regions)
{
	struct mmap_region *regions[3] = {};
	u64 offsets[3];
	void *memory;

	parent_of(self);
	for (unsigned i = 0; i < 2; i++)
		ASSERT_YES(
			mmap_region_new(&self->device[0]->object, SIZE, &regions[i], &offsets[i], &memory, &self->why));
	mmap_region_free(regions[0]);
	/* What fits only without that page comes behind. */
	ASSERT_YES(mmap_region_new(&self->device[0]->object, offsets[1] - offsets[0], &regions[2], &offsets[2], &memory,
				   &self->why));
	assert_int_equal(offsets[2], offsets[1] + SIZE + PAGE_SIZE);
	mmap_region_free(regions[1]);
	mmap_region_free(regions[2]);
	ASSERT_YES(mmap_region_new(&self->device[0]->object, SIZE, &regions[0], &offsets[0], &memory, &self->why));
	assert_int_equal(offsets[0], PAGE_SIZE);
	mmap_region_free(regions[0]);
}

/* The file dies with its last mapping, whatever was asked about it before. */
ASSIGN_TEST(mmap, all_goes_with_the_context)
{
	struct region region = region_new(self, parent_of(self), 0xbeef);

	munmap(map(self, region.offset, SIZE), SIZE);
	self->base->file->ops->release(self->base->file);
	self->base->file = NULL;
	/* The device keeps the context. */
	assert_int_equal(list_length(&self->base->iommufd.contexts), 1);
	assign_unbind(self, 0);
	assert_true(list_empty(&self->base->iommufd.contexts));
	assert_int_equal(toy.destroyed, 1);
}

static int make_region(struct why *why)
{
	struct assign_room *self = assign_current;
	struct mmap_region *region = NULL;
	void *memory;
	u64 offset;
	int err = mmap_region_new(&self->device[0]->object, SIZE, &region, &offset, &memory, why);

	if (err == 0)
		mmap_region_free(region);
	assert_true(list_empty(&self->context->regions));
	/* As it would be for a context that has none yet. */
	os_close(self->base->file->memfd);
	self->base->file->memfd = -1;
	return err;
}

ASSIGN_TEST(mmap, every_step_may_fail)
{
	parent_of(self);
	SWEEP_FAILURES(make_region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mmap, exactly_the_region_and_shared),
		CASE(mmap, both_sides_see_the_same_and_the_owner_stays),
		CASE(mmap, a_child_keeps_what_its_parent_has_mapped),
		CASE(mmap, offsets_are_used_again_and_begin_as_zeroes),
		CASE(mmap, a_page_stays_free_between_two_regions),
		CASE(mmap, all_goes_with_the_context),
		CASE(mmap, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
