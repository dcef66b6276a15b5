/* SPDX-License-Identifier: MIT */
/*
 * Emulated devices in all three ways (spec 04 sections 4 and 6 to 8, spec 06 section 6). What needs no command to the
 * device is any's; Linux's own mtty is the judge there.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

/* Registers of mcopy, in its first region (docs/machine-file.md). */
enum {
	COMMAND = 0x08,
	STATUS = 0x0c,
	SOURCE = 0x10,
	DESTINATION = 0x18,
	LENGTH = 0x20,
	LOST = 0x34,
	WINDOW_SIZE = 0x40
};
enum { COPY = 1, FILL = 2, PIN = 3, UNPIN = 4 };
enum { DONE = 0, NO_SOURCE = 2, NO_TARGET = 3, NO_WINDOW = 4 };

#define BASE 0x100000ul

static u32 load(int device, unsigned offset)
{
	u32 value = ~0u;

	EXPECT_EQUAL(4, pread(device, &value, 4, offset));
	return value;
}

static void store(int device, unsigned offset, u32 value)
{
	EXPECT_EQUAL(4, pwrite(device, &value, 4, offset));
}

static u32 command(int device, u32 code, u64 source, u64 destination, u32 length)
{
	store(device, SOURCE, (u32)source);
	store(device, SOURCE + 4, (u32)(source >> 32));
	store(device, DESTINATION, (u32)destination);
	store(device, DESTINATION + 4, (u32)(destination >> 32));
	store(device, LENGTH, length);
	store(device, COMMAND, code);
	return load(device, STATUS);
}

static void expect_copy(int device, u8 *memory_at_base)
{
	memset(memory_at_base, 0x5a, 100);
	EXPECT_EQUAL(DONE, command(device, COPY, BASE, BASE + PAGE + 3, 100));
	EXPECT_EQUAL(0x5a, memory_at_base[PAGE + 3 + 99]);
	EXPECT_EQUAL(0, memory_at_base[PAGE + 3 + 100]);
}

TEST(by_its_character_device)
{
	struct names names = the_mcopy();
	int device = open_cdev(&names), fd = iommu();
	u32 id = (u32)WORKS(bind_cdev(device, fd)), ioas = new_ioas(fd), pt_id = ioas;
	struct iommu_hw_info info = {.size = sizeof(info), .dev_id = id};
	u8 *pages = memory(2 * PAGE);

	EXPECT(-ENOENT, ask(fd, IOMMU_GET_HW_INFO, &info)); /* an access, no device */
	EXPECT(-EBUSY, destroy(fd, id));
	EXPECT(-ENOENT, attach_cdev(device, &(u32){NOBODY}));
	EXPECT(-EOPNOTSUPP, attach_cdev_pasid(device, 1, &pt_id));
	EXPECT(-EOPNOTSUPP, detach_cdev_pasid(device, 1));
	EXPECT(0, attach_cdev(device, &pt_id));
	EXPECT_EQUAL(ioas, pt_id);
	EXPECT(0, map_at(fd, ioas, pages, 2 * PAGE, BASE));
	expect_copy(device, pages);
	EXPECT(0, detach_cdev(device));
	EXPECT_EQUAL(NO_SOURCE, command(device, COPY, BASE, BASE + PAGE, 1));
	EXPECT(0, detach_cdev(device));
	EXPECT(0, destroy(fd, ioas));
}

TEST(by_its_group_with_an_iommufd)
{
	struct names names = the_mcopy();
	int group = open_group(&names), fd = iommu(), device;
	u8 *pages = memory(2 * PAGE);

	EXPECT(0, set_container(group, fd));
	EXPECT(0, type1_map(fd, pages, BASE, 2 * PAGE));
	device = watch(get_device(group, names.bdf));
	expect_copy(device, pages);
	EXPECT(-ENOTTY, attach_cdev(device, &(u32){1}));
}

TEST(by_its_group_with_a_container)
{
	struct names names = the_mcopy();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	u8 *pages = memory(2 * PAGE);

	EXPECT(0, type1_map(legacy.container, pages, BASE, 2 * PAGE));
	open_device(&legacy, &names);
	EXPECT(0, ask(legacy.device, VFIO_DEVICE_GET_INFO, &info));
	expect_copy(legacy.device, pages);
	EXPECT(-EBUSY, unset_container(legacy.group));
	EXPECT(2 * PAGE, type1_unmap(legacy.container, 0, BASE, 2 * PAGE));
	EXPECT_EQUAL(NO_SOURCE, command(legacy.device, COPY, BASE, BASE + PAGE, 1));
}

TEST(alone_in_a_container_nothing_is_looked_at)
{
	struct names names = the_mdev();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct {
		struct vfio_iommu_type1_info info;
		u8 chain[256];
	} *info = memory(sizeof(*info));

	info->info.argsz = sizeof(*info);
	EXPECT(0, ask(legacy.container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_EQUAL(~(PAGE - 1), info->info.iova_pgsizes);
	for (u32 at = info->info.cap_offset; at;) {
		const struct vfio_info_cap_header *header = (const void *)((u8 *)info + at);

		EXPECT_TRUE(header->id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
		at = header->next;
	}
	EXPECT(0, check_extension(legacy.container, VFIO_UPDATE_VADDR));
	EXPECT(1, check_extension(legacy.container, VFIO_DMA_CC_IOMMU));
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, 0xfee00000, PAGE)); /* no memory, no matter where */
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, 0ul - PAGE, PAGE));
	EXPECT(-EEXIST, type1_map(legacy.container, (void *)PAGE, 0ul - PAGE, PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(-EBUSY, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_VADDR, 1, 0));
	EXPECT(PAGE, type1_unmap(legacy.container, 0, 0ul - PAGE, PAGE));
	EXPECT(PAGE, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
}

/* A group with DMA looks at all that was mapped; when it leaves nobody does again. */
TEST(a_group_that_comes_and_goes_pins_and_unpins)
{
	struct names names = the_mdev(), real = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	int group = open_group(&real);

	EXPECT(0, type1_map(legacy.container, memory(4 * PAGE), BASE, 4 * PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(0, set_container(group, legacy.container));
	EXPECT_EQUAL(4 * PAGE / KIB, conform_locked_kib());
	EXPECT(0, check_extension(legacy.container, VFIO_UPDATE_VADDR));
	EXPECT(-EINVAL, type1_map(legacy.container, memory(PAGE), 0xfee00000, PAGE));
	EXPECT(-EBUSY, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_VADDR, BASE, 4 * PAGE));
	EXPECT(0, unset_container(group));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, 0xfee00000, PAGE));
	EXPECT(-EINVAL, set_container(group, legacy.container)); /* over its interrupts */
	EXPECT(PAGE, type1_unmap(legacy.container, 0, 0xfee00000, PAGE));
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, 2 * BASE, PAGE));
	EXPECT(-EFAULT, set_container(group, legacy.container));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(PAGE, type1_unmap(legacy.container, 0, 2 * BASE, PAGE));
	EXPECT(0, set_container(group, legacy.container));
	EXPECT(0, unset_container(legacy.group)); /* the other stays */
	EXPECT(1, check_extension(legacy.container, VFIO_UPDATE_VADDR));
	EXPECT(4 * PAGE, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_VADDR, BASE, 4 * PAGE));
	EXPECT(-EBUSY, set_container(legacy.group, legacy.container)); /* an address is lost */
}

/* Eight TiB are more pages than a bitmap can count. */
TEST(what_is_tracked_has_fewer_than_two_to_the_31_pages)
{
	struct names names = the_mdev();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_dirty_bitmap request = {sizeof(request), VFIO_IOMMU_DIRTY_PAGES_FLAG_START};

	EXPECT(0, ask(legacy.container, VFIO_IOMMU_DIRTY_PAGES, &request));
	EXPECT(-EINVAL, type1_map(legacy.container, (void *)PAGE, 0, PAGE << 31));
	EXPECT(0, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	request.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	EXPECT(0, ask(legacy.container, VFIO_IOMMU_DIRTY_PAGES, &request));
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, 0, PAGE << 31));
	request.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	EXPECT(-EINVAL, ask(legacy.container, VFIO_IOMMU_DIRTY_PAGES, &request));
}

TEST(what_it_pins_is_charged_until_it_lets_go)
{
	struct names names = the_mcopy();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);

	open_device(&legacy, &names);
	EXPECT(0, type1_map(legacy.container, memory(4 * PAGE), BASE, 4 * PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT_EQUAL(DONE, command(legacy.device, PIN, BASE + 1, 0, PAGE));
	EXPECT_EQUAL(2 * PAGE / KIB, conform_locked_kib());
	EXPECT_EQUAL(DONE, command(legacy.device, UNPIN, 0, 0, 0));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT_EQUAL(NO_WINDOW, command(legacy.device, PIN, BASE, 0, 5 * PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT_EQUAL(DONE, command(legacy.device, PIN, BASE, 0, 4 * PAGE));
	EXPECT(4 * PAGE, type1_unmap(legacy.container, 0, BASE, 4 * PAGE));
	EXPECT_EQUAL(1, load(legacy.device, LOST));
	EXPECT_EQUAL(0, load(legacy.device, WINDOW_SIZE));
	EXPECT_EQUAL(0, conform_locked_kib());
}

TEST(a_group_with_dma_beside_it)
{
	struct names names = the_mcopy(), real = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	int group = open_group(&real);

	open_device(&legacy, &names);
	EXPECT(0, type1_map(legacy.container, memory(4 * PAGE), BASE, 4 * PAGE));
	EXPECT_EQUAL(DONE, command(legacy.device, PIN, BASE, 0, PAGE));
	EXPECT(0, set_container(group, legacy.container));
	EXPECT_EQUAL(4 * PAGE / KIB, conform_locked_kib());
	EXPECT(-EINVAL, type1_map(legacy.container, memory(PAGE), 0xfee00000, PAGE));
	EXPECT(-EBUSY, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_VADDR, BASE, 4 * PAGE));
	EXPECT(0, unset_container(group));
	EXPECT_EQUAL(PAGE / KIB, conform_locked_kib());
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, 0xfee00000, PAGE));
	EXPECT(-EINVAL, set_container(group, legacy.container)); /* over its interrupts */
	EXPECT(PAGE, type1_unmap(legacy.container, 0, 0xfee00000, PAGE));
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, 2 * BASE, PAGE));
	EXPECT(-EFAULT, set_container(group, legacy.container)); /* what nobody had looked at */
	EXPECT_EQUAL(PAGE / KIB, conform_locked_kib());
}

static u64 dirty(int container)
{
	u64 word = 0;
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} request = {{sizeof(request), VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP},
		     {BASE - PAGE, 64 * PAGE, {PAGE, sizeof(word), (void *)&word}}};

	EXPECT(0, ask(container, VFIO_IOMMU_DIRTY_PAGES, &request));
	return word;
}

TEST(dirty_is_what_it_wrote_and_what_it_holds)
{
	struct names names = the_mcopy(), real = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_dirty_bitmap start = {sizeof(start), VFIO_IOMMU_DIRTY_PAGES_FLAG_START};
	int group = open_group(&real);

	open_device(&legacy, &names);
	EXPECT(0, type1_map(legacy.container, memory(4 * PAGE), BASE, 4 * PAGE));
	EXPECT(0, ask(legacy.container, VFIO_IOMMU_DIRTY_PAGES, &start));
	EXPECT_EQUAL(0, dirty(legacy.container));
	EXPECT_EQUAL(DONE, command(legacy.device, FILL, 0, BASE + PAGE, 1));
	EXPECT_EQUAL(4, dirty(legacy.container));
	EXPECT_EQUAL(0, dirty(legacy.container));
	EXPECT_EQUAL(DONE, command(legacy.device, PIN, BASE + 3 * PAGE, 0, 1));
	EXPECT_EQUAL(16, dirty(legacy.container));
	EXPECT_EQUAL(16, dirty(legacy.container));
	EXPECT(0, set_container(group, legacy.container));
	EXPECT_EQUAL(30, dirty(legacy.container));
	EXPECT_EQUAL(30, dirty(legacy.container));
	EXPECT(0, unset_container(group));
	EXPECT_EQUAL(30, dirty(legacy.container)); /* once more */
	EXPECT_EQUAL(16, dirty(legacy.container));
}

/* ---- mappers that execute programs ---- */

struct mapper {
	int container;
	u8 *page;		   /* private: each process's own */
	volatile int *step, *more; /* the child's, and the test's */
	pid_t pid;
};

static struct mapper new_mapper(const struct legacy *legacy)
{
	volatile int *steps = shared_memory(PAGE);

	return (struct mapper){legacy->container, memory(2 * PAGE), steps, steps + 1, 0};
}

/* All that the process will ever have, each at its address. */
#define EVERYTHING ((1ul << 47) - 2 * PAGE)

static void map_all_and_execute(void *argument)
{
	const struct mapper *mapper = argument;

	*mapper->step = type1_map(mapper->container, (void *)PAGE, PAGE, EVERYTHING) == 0 ? getpid() : -1;
	await_step(mapper->more, 1);
	become_another();
}

/* Any address of it that is there for as long as it is the same program; 0: none is (yet). */
static u64 stack_of(pid_t pid)
{
	char path[32], line[256];
	unsigned long start, found = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	EXPECT_TRUE(maps != NULL);
	while (!found && fgets(line, sizeof(line), maps))
		if (strstr(line, "[stack]") && sscanf(line, "%*x-%lx", &start) == 1)
			found = start - PAGE;
	fclose(maps);
	return found;
}

/* A mapping is of the address space that made it, not of what the process becomes. */
TEST(what_the_next_program_has_is_not_reached)
{
	struct names names = the_mcopy();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct mapper mapper = new_mapper(&legacy);
	u64 stack = 0, page = (uintptr_t)mapper.page;
	pid_t child;

	open_device(&legacy, &names);
	start_child(map_all_and_execute, &mapper);
	await_step(mapper.step, 1);
	child = *mapper.step;
	EXPECT_TRUE(child > 0);
	EXPECT_EQUAL(DONE, command(legacy.device, FILL, 0, page, PAGE));
	*mapper.more = 1;
	await_another();
	for (int i = 0; !stack && i < 60000; i++, usleep(1000))
		stack = stack_of(child);
	EXPECT_TRUE(stack != 0);
	EXPECT_EQUAL(NO_WINDOW, command(legacy.device, PIN, stack, 0, PAGE));
	EXPECT_EQUAL(NO_TARGET, command(legacy.device, FILL, 0, stack, 8));
	EXPECT_EQUAL(NO_SOURCE, command(legacy.device, COPY, stack, stack, 8));
	EXPECT(EVERYTHING, type1_unmap(legacy.container, 0, PAGE, EVERYTHING));
}

static void map_and_fail_to_execute(void *argument)
{
	const struct mapper *mapper = argument;
	bool mapped = type1_map(mapper->container, mapper->page, BASE, PAGE) == 0;

	*mapper->step = 1;
	await_step(mapper->more, 1);
	execl("/nonexistent", "nonexistent", NULL);
	*mapper->step = 2;
	await_step(mapper->more, 2);
	mapped = mapped && type1_map(mapper->container, mapper->page + PAGE, BASE + PAGE, PAGE) == 0;
	*mapper->step = mapped ? 3 : 4;
	await_step(mapper->more, 3);
}

TEST(an_execve_that_fails_changes_nothing)
{
	struct names names = the_mcopy();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct mapper mapper = new_mapper(&legacy);

	open_device(&legacy, &names);
	start_child(map_and_fail_to_execute, &mapper);
	for (int step = 1; step <= 3; step++) {
		about("step %d", step);
		await_step(mapper.step, step);
		EXPECT_EQUAL(step, *mapper.step);
		EXPECT_EQUAL(DONE, command(legacy.device, FILL, 0, BASE, step < 3 ? PAGE : 2 * PAGE));
		if (step < 3)
			*mapper.more = step;
	}
	about(NULL);
	EXPECT_EQUAL(DONE, command(legacy.device, PIN, BASE, 0, 2 * PAGE));
}

SUITE(emulated, CASE(by_its_character_device), CASE(by_its_group_with_an_iommufd), CASE(by_its_group_with_a_container),
      CASE(alone_in_a_container_nothing_is_looked_at), CASE(a_group_that_comes_and_goes_pins_and_unpins),
      CASE(what_is_tracked_has_fewer_than_two_to_the_31_pages), CASE(what_it_pins_is_charged_until_it_lets_go),
      CASE(a_group_with_dma_beside_it), CASE(dirty_is_what_it_wrote_and_what_it_holds),
      CASE_OUTSIDE(what_the_next_program_has_is_not_reached), CASE_OUTSIDE(an_execve_that_fails_changes_nothing));
