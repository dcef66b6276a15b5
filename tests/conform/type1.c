/* SPDX-License-Identifier: MIT */
/*
 * The type 1 IOMMU of a container (spec 04 section 7). Each row of a table breaks its own rule and as many later ones
 * as can be broken at once, so that the order of errnos is tested, too.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

enum {
	READ = VFIO_DMA_MAP_FLAG_READ,
	WRITE = VFIO_DMA_MAP_FLAG_WRITE,
	VADDR = VFIO_DMA_MAP_FLAG_VADDR,
	ALL = VFIO_DMA_UNMAP_FLAG_ALL,
	BITMAP = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
	LOST = VFIO_DMA_UNMAP_FLAG_VADDR,
};

#define BASE 0x100000ul

static int container_of_type(int type)
{
	struct names names = the_device();

	return enter_group(&names, type).container;
}

/* ---- IOMMU_GET_INFO ---- */

struct info {
	struct vfio_iommu_type1_info info;
	u8 chain[512];
};

static const struct info *info_of(int container)
{
	struct info *info = memory(sizeof(*info));

	info->info.argsz = sizeof(*info);
	EXPECT(0, ask(container, VFIO_IOMMU_GET_INFO, info));
	return info;
}

static const void *capability(const struct info *info, u16 id)
{
	u32 at = info->info.cap_offset;

	while (at) {
		const struct vfio_info_cap_header *header = (const void *)((const u8 *)info + at);

		EXPECT_TRUE(at % 8 == 0 && at < sizeof(*info));
		if (header->id == id)
			return header;
		at = header->next;
	}
	return NULL;
}

TEST(info_is_refused_in_this_order)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_info info = {.argsz = 15};

	EXPECT(-EFAULT, ask(container, VFIO_IOMMU_GET_INFO, NULL));
	EXPECT(-EINVAL, ask(container, VFIO_IOMMU_GET_INFO, &info));
	info.argsz = 16;
	EXPECT(-EFAULT, ask_read_only(container, VFIO_IOMMU_GET_INFO, &info, sizeof(info)));
}

TEST(info_tells_how_much_there_would_be)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	struct info info;
	u32 whole;

	memset(&info, 0xaa, sizeof(info));
	info.info.argsz = 16;
	EXPECT(0, ask(container, VFIO_IOMMU_GET_INFO, &info));
	whole = info.info.argsz;
	EXPECT_TRUE(whole > sizeof(info.info) && whole <= sizeof(info));
	EXPECT_EQUAL(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, info.info.flags);
	EXPECT_EQUAL(0xaaaaaaaa, info.info.cap_offset); /* beyond what was asked for */
	info.info.argsz = whole - 1;
	EXPECT(0, ask(container, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQUAL(whole, info.info.argsz);
	EXPECT_EQUAL(0, info.info.cap_offset);
	EXPECT_EQUAL(0xaa, info.chain[0]);
	EXPECT(0, ask(container, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQUAL(sizeof(info.info), info.info.cap_offset);
	EXPECT_EQUAL(0xaa, ((u8 *)&info)[whole]);
}

TEST(info_has_these_capabilities_in_this_order)
{
	const u16 order[] = {VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			     VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE};
	int container = container_of_type(VFIO_TYPE1_IOMMU);
	const struct info *info = info_of(container);
	const struct vfio_iommu_type1_info_cap_migration *migration;
	const struct vfio_iommu_type1_info_dma_avail *available;
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;
	u32 at = info->info.cap_offset;

	FOR_EACH(id, order)
	{
		const struct vfio_info_cap_header *header = (const void *)((const u8 *)info + at);

		EXPECT_EQUAL(*id, header->id);
		EXPECT_EQUAL(1, header->version);
		at = header->next;
	}
	EXPECT_EQUAL(0, at);
	migration = capability(info, order[0]);
	EXPECT_EQUAL(0, migration->flags);
	EXPECT_EQUAL(PAGE, migration->pgsize_bitmap);
	EXPECT_EQUAL(1ul << 28, migration->max_dirty_bitmap_size);
	available = capability(info, order[1]);
	EXPECT_EQUAL(65535, available->avail);
	ranges = capability(info, order[2]);
	EXPECT_EQUAL(2, ranges->nr_iovas); /* around the interrupts' window */
	EXPECT_EQUAL(0, ranges->iova_ranges[0].start);
	EXPECT_EQUAL(0xfedfffff, ranges->iova_ranges[0].end);
	EXPECT_EQUAL(0xfef00000, ranges->iova_ranges[1].start);
	EXPECT_EQUAL(PAGE, info->info.iova_pgsizes & -info->info.iova_pgsizes);
	EXPECT(0, type1_map(container, memory(PAGE), BASE, PAGE));
	info = info_of(container);
	available = capability(info, order[1]);
	EXPECT_EQUAL(65534, available->avail);
}

/* ---- MAP_DMA ---- */

TEST(map_is_refused_in_this_order)
{
	const u64 top = 0ul - PAGE;
	const struct {
		u32 argsz, flags;
		u64 vaddr, iova, size;
		int err;
	} rows[] = {
		{31, ~0u, 1, 1, 0, EINVAL},
		{32, 8, 1, 1, 0, EINVAL},
		{32, READ | VADDR, 1, 1, 0, EINVAL},
		{32, 0, 1, top, PAGE + 1, EOVERFLOW},
		{32, 0, top, 1, PAGE + 1, EOVERFLOW},
		{32, READ | VADDR, 1, top, 2 * PAGE, EOVERFLOW},
		{32, 0, 1, 1, 1, EINVAL},
		{32, READ | VADDR, 0, 0, PAGE, EINVAL},
		{32, WRITE | VADDR, 0, 0, PAGE, EINVAL},
		{32, READ, 1, BASE, PAGE, EINVAL},
		{32, READ, 0, BASE + 1, PAGE, EINVAL},
		{32, READ, 0, BASE, PAGE + 1, EINVAL},
		{32, READ, 0, BASE, 1, EINVAL},
		{32, VADDR, 0, 0, PAGE, ENOENT},
		{32, VADDR, 0, BASE, PAGE, EINVAL},	       /* part of it, and it has its address */
		{32, VADDR, 0, BASE, 2 * PAGE, EINVAL},	       /* it has its address */
		{32, READ, 0, BASE, PAGE, EEXIST},	       /* and nothing at the address */
		{32, READ, 0, BASE - PAGE, 1ul << 60, EEXIST}, /* and beyond the ranges */
		{32, READ, 0, 0xfee00000, PAGE, EINVAL},       /* interrupts */
		{32, READ, 0, 0xfedff000, 2 * PAGE, EINVAL},
		{32, READ, 0, 0xfef00000 - PAGE, 2 * PAGE, EINVAL},
		{32, READ, 0, 1ul << 62, PAGE, EINVAL}, /* no table reaches it */
		{32, READ, 0, top, PAGE, EINVAL},
		{32, READ, PAGE, 0, PAGE, EFAULT},
	};

	int container = container_of_type(VFIO_TYPE1v2_IOMMU);

	EXPECT(-EFAULT, ask(container, VFIO_IOMMU_MAP_DMA, NULL));
	EXPECT(0, type1_map(container, memory(2 * PAGE), BASE, 2 * PAGE));
	FOR_EACH(row, rows)
	{
		struct vfio_iommu_type1_dma_map map = {row->argsz, row->flags, row->vaddr, row->iova, row->size};

		about("row %d", (int)(row - rows));
		EXPECT(-row->err, ask(container, VFIO_IOMMU_MAP_DMA, &map));
	}
	about(NULL);
	EXPECT_EQUAL(2 * PAGE / KIB, conform_locked_kib());
}

/* Longer structures are taken as they are; what is behind means nothing. */
TEST(map_takes_any_argsz_from_32_on)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	struct {
		struct vfio_iommu_type1_dma_map map;
		u64 more;
	} longer = {{sizeof(longer), READ, (uintptr_t)memory(PAGE), BASE, PAGE}, ~0ul};

	EXPECT(0, ask(container, VFIO_IOMMU_MAP_DMA, &longer));
	longer.map.argsz = ~0u;
	longer.map.iova += PAGE;
	EXPECT(0, ask(container, VFIO_IOMMU_MAP_DMA, &longer));
}

TEST(memory_must_be_there_and_writable_if_it_is_to_be_written)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	u8 *pages = memory(4 * PAGE);

	protect(pages + 2 * PAGE, PAGE, PROT_READ);
	protect(pages + 3 * PAGE, PAGE, PROT_NONE);
	EXPECT(-EFAULT, type1_map_as(container, READ, pages, BASE, 4 * PAGE));
	EXPECT(-EFAULT, type1_map_as(container, WRITE, pages, BASE, 3 * PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(0, type1_map_as(container, READ, pages, BASE, 3 * PAGE));
	EXPECT(0, type1_map_as(container, WRITE, pages, 0, 2 * PAGE));
	EXPECT_EQUAL(5 * PAGE / KIB, conform_locked_kib());
	EXPECT(5 * PAGE, type1_unmap(container, ALL, 0, 0));
	EXPECT_EQUAL(0, conform_locked_kib());
	protect(pages, 4 * PAGE, PROT_READ | PROT_WRITE);
}

TEST(a_mapping_ends_where_a_range_ends)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	u8 *pages = memory(2 * PAGE);

	EXPECT(0, type1_map(container, pages, 0xfee00000 - PAGE, PAGE));
	EXPECT(0, type1_map(container, pages, 0xfef00000, 2 * PAGE));
	EXPECT(0, type1_map(container, pages, 0, PAGE));
}

/* Unlike /dev/iommu a container takes them, and they are no memory that could be locked. */
TEST(registers_are_mapped_and_not_charged)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	u8 *bar;

	open_device(&legacy, &names);
	bar = mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, legacy.device, 0), PAGE);
	EXPECT(0, type1_map(legacy.container, bar, BASE, PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(0, type1_map(legacy.container, memory(PAGE), BASE + PAGE, PAGE));
	EXPECT_EQUAL(PAGE / KIB, conform_locked_kib());
	EXPECT(2 * PAGE, type1_unmap(legacy.container, 0, BASE, 2 * PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
}

static void map_powerless(void *argument)
{
	answer *answers = argument;
	struct rlimit limit, small = {3 * PAGE, 0};
	int container = (int)answers[0];

	getrlimit(RLIMIT_MEMLOCK, &limit);
	small.rlim_max = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &small);
	answers[1] = type1_map(container, (void *)answers[4], 0, 4 * PAGE);
	answers[2] = type1_map(container, (void *)answers[4], 0, 2 * PAGE);
	answers[3] = type1_map(container, (void *)answers[4], BASE, 2 * PAGE);
	type1_unmap(container, ALL, 0, 0);
	/* Whatever comes first, the limit or the page behind the memory, which nobody can touch. */
	answers[5] = type1_map(container, (void *)answers[4], BASE, 5 * PAGE);
	answers[6] = type1_map(container, (void *)(answers[4] + (answer)PAGE), BASE, 4 * PAGE);
	answers[2] |= type1_map(container, (void *)answers[4], 0, 2 * PAGE);
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

TEST(locked_memory_is_limited)
{
	answer answers[7] = {container_of_type(VFIO_TYPE1v2_IOMMU), 0, 0, 0, (answer)(uintptr_t)memory(4 * PAGE)};
	struct rlimit limit;

	/* Who may not raise it again would spoil it for the tests behind. */
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur < 4 * PAGE)
		skip("RLIMIT_MEMLOCK is %lu already", (unsigned long)limit.rlim_cur);
	powerless(map_powerless, answers);
	EXPECT(-ENOMEM, answers[1]);
	EXPECT(0, answers[2]);
	EXPECT(-ENOMEM, answers[3]);
	EXPECT(-ENOMEM, answers[5]);
	EXPECT(-EFAULT, answers[6]);
	EXPECT_EQUAL(2 * PAGE / KIB, conform_locked_kib());
}

/* ---- UNMAP_DMA ---- */

/* Sizes are only written when it worked. */
static answer unmap_row(int container, u32 argsz, u32 flags, u64 iova, u64 *size)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} request = {{argsz, flags, iova, *size}, {0}};
	answer got = ask(container, VFIO_IOMMU_UNMAP_DMA, &request);

	*size = request.unmap.size;
	return got;
}

TEST(unmap_is_refused_in_this_order)
{
	const u64 top = 0ul - PAGE;
	const struct {
		u32 argsz, flags;
		u64 iova, size;
		int err;
	} rows[] = {
		{23, ~0u, 1, 1, EINVAL},
		{24, 8, 1, 1, EINVAL},
		{24, BITMAP | ALL, 1, 1, EINVAL},
		{24, BITMAP | LOST, 1, 1, EINVAL},
		{47, BITMAP, 1, 1, EINVAL},
		{48, BITMAP, 1, 1, EINVAL}, /* a bitmap of nothing */
		{24, 0, 1, PAGE, EINVAL},
		{24, 0, top + 1, PAGE, EINVAL},
		{24, ALL, PAGE, 0, EINVAL},
		{24, ALL, 0, PAGE, EINVAL},
		{24, 0, 0, 0, EINVAL},
		{24, 0, 0, PAGE + 1, EINVAL},
		{24, 0, top, PAGE + 1, EINVAL},
		{24, 0, top, 2 * PAGE, EOVERFLOW},
		{24, LOST, top, 2 * PAGE, EOVERFLOW},
		{24, 0, BASE, PAGE, EINVAL}, /* would cut it */
		{24, 0, BASE + PAGE, PAGE, EINVAL},
		{24, 0, BASE + PAGE, 1ul << 40, EINVAL},
		{24, LOST, 0, BASE + PAGE, EINVAL},
	};
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	u64 size = PAGE;

	EXPECT(-EFAULT, ask(container, VFIO_IOMMU_UNMAP_DMA, NULL));
	EXPECT(0, type1_map(container, memory(2 * PAGE), BASE, 2 * PAGE));
	FOR_EACH(row, rows)
	{
		about("row %d", (int)(row - rows));
		size = row->size;
		EXPECT(-row->err, unmap_row(container, row->argsz, row->flags, row->iova, &size));
		EXPECT_EQUAL(row->size, size);
	}
	about(NULL);
	EXPECT_EQUAL(2 * PAGE / KIB, conform_locked_kib());
}

TEST(to_unmap_nothing_is_fine)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);

	EXPECT(0, type1_unmap(container, 0, BASE, PAGE));
	EXPECT(0, type1_unmap(container, ALL, 0, 0));
	EXPECT(0, type1_unmap(container, ALL | LOST, 0, 0));
	EXPECT(0, type1_unmap(container, LOST, 0, 1ul << 62));
	EXPECT(0, type1_unmap(container, 0, 0, 0ul - PAGE));
}

TEST(an_answer_that_cannot_be_given_comes_too_late)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = BASE, .size = PAGE};

	EXPECT(0, type1_map(container, memory(PAGE), BASE, PAGE));
	EXPECT(-EFAULT, ask_read_only(container, VFIO_IOMMU_UNMAP_DMA, &unmap, sizeof(unmap)));
	EXPECT(0, type1_unmap(container, 0, BASE, PAGE));
}

/* Three mappings of 1, 2 and 3 pages with holes of a page between. */
static int container_with_three(int type)
{
	int container = container_of_type(type);
	u8 *pages = memory(3 * PAGE);

	EXPECT(0, type1_map(container, pages, 1 * PAGE, PAGE));
	EXPECT(0, type1_map(container, pages, 3 * PAGE, 2 * PAGE));
	EXPECT(0, type1_map(container, pages, 6 * PAGE, 3 * PAGE));
	return container;
}

TEST(the_second_type_removes_whole_mappings_and_holes)
{
	int container = container_with_three(VFIO_TYPE1v2_IOMMU);

	EXPECT(-EINVAL, type1_unmap(container, 0, 0, 4 * PAGE));
	EXPECT(-EINVAL, type1_unmap(container, 0, 4 * PAGE, 5 * PAGE));
	EXPECT(3 * PAGE, type1_unmap(container, 0, 0, 6 * PAGE));
	EXPECT(-EINVAL, type1_unmap(container, 0, 7 * PAGE, PAGE));
	EXPECT(3 * PAGE, type1_unmap(container, ALL, 0, 0));
}

/* A mapping that starts below ends the walk; one that starts inside goes whole. */
TEST(the_first_type_stops_at_what_starts_below_and_takes_what_starts_inside)
{
	int container = container_with_three(VFIO_TYPE1_IOMMU);

	EXPECT(0, type1_unmap(container, 0, 4 * PAGE, 5 * PAGE));
	EXPECT(0, type1_unmap(container, 0, 8 * PAGE, PAGE));
	EXPECT(3 * PAGE, type1_unmap(container, 0, 0, 4 * PAGE));
	EXPECT(0, type1_unmap(container, 0, 0, 6 * PAGE));
	EXPECT(3 * PAGE, type1_unmap(container, 0, 5 * PAGE, 2 * PAGE));
	EXPECT_EQUAL(0, conform_locked_kib());
}

TEST(all_is_of_both_types)
{
	EXPECT(6 * PAGE, type1_unmap(container_with_three(VFIO_TYPE1v2_IOMMU), ALL, 0, 0));
}

TEST(all_is_of_the_first_type_too)
{
	EXPECT(6 * PAGE, type1_unmap(container_with_three(VFIO_TYPE1_IOMMU), ALL, 0, 0));
}

/* ---- addresses that change ---- */

TEST(an_address_is_taken_away_and_given_anew)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	u8 *pages = memory(4 * PAGE);

	EXPECT(0, type1_map(container, pages, BASE, 2 * PAGE));
	EXPECT(-EINVAL, type1_map_as(container, VADDR, pages + 2 * PAGE, BASE, 2 * PAGE)); /* it has one */
	EXPECT(2 * PAGE, type1_unmap(container, LOST, BASE, 2 * PAGE));
	EXPECT(-EINVAL, type1_unmap(container, LOST, BASE, 2 * PAGE)); /* once only */
	EXPECT(-EINVAL, type1_map_as(container, VADDR, pages, BASE, PAGE));
	EXPECT(-EINVAL, type1_map_as(container, VADDR, pages, BASE + PAGE, PAGE));
	EXPECT(-EINVAL, type1_map_as(container, VADDR, pages, BASE - PAGE, 3 * PAGE));
	EXPECT(-ENOENT, type1_map_as(container, VADDR, pages, 0, PAGE));
	EXPECT(-EEXIST, type1_map(container, pages, BASE, PAGE)); /* still there */
	EXPECT_EQUAL(2 * PAGE / KIB, conform_locked_kib());
	EXPECT(0, type1_map_as(container, VADDR, pages + 2 * PAGE, BASE, 2 * PAGE));
	EXPECT(2 * PAGE, type1_unmap(container, LOST, BASE, 2 * PAGE));
	EXPECT(2 * PAGE, type1_unmap(container, 0, BASE, 2 * PAGE)); /* without one it can go */
	EXPECT_EQUAL(0, conform_locked_kib());
}

/* Of a range of which one has none all keep theirs. */
TEST(addresses_go_all_or_none)
{
	int container = container_with_three(VFIO_TYPE1v2_IOMMU);

	EXPECT(2 * PAGE, type1_unmap(container, LOST, 3 * PAGE, 2 * PAGE));
	EXPECT(-EINVAL, type1_unmap(container, LOST, 0, 5 * PAGE));
	EXPECT(-EINVAL, type1_unmap(container, LOST | ALL, 0, 0));
	EXPECT(PAGE, type1_unmap(container, LOST, 0, 2 * PAGE));
	EXPECT(6 * PAGE, type1_unmap(container, ALL, 0, 0));
}

/* DMA goes on meanwhile: to the memory that was pinned. */
TEST(translations_stay_while_an_address_is_lost)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	u8 *queues = memory(2 * PAGE), *page = memory(PAGE);
	struct nvme nvme;

	open_device(&legacy, &names);
	EXPECT(0, type1_map(legacy.container, queues, BASE, 2 * PAGE));
	EXPECT(0, type1_map(legacy.container, page, 2 * BASE, PAGE));
	nvme = start_nvme(legacy.device, queues, BASE);
	EXPECT(3 * PAGE, type1_unmap(legacy.container, LOST | ALL, 0, 0));
	identify_nvme(&nvme, 2 * BASE);
	EXPECT_TRUE(page[24] > ' ');
	EXPECT(0, type1_map_as(legacy.container, VADDR, queues, BASE, 2 * PAGE));
	EXPECT(0, type1_map_as(legacy.container, VADDR, page, 2 * BASE, PAGE));
	memset(page, 0, PAGE);
	identify_nvme(&nvme, 2 * BASE);
	EXPECT_TRUE(page[24] > ' ');
	EXPECT(PAGE, type1_unmap(legacy.container, 0, 2 * BASE, PAGE));
	memset(page, 0, PAGE);
	identify_nvme(&nvme, 2 * BASE);
	EXPECT_EQUAL(0, page[24]);
	stop_nvme(&nvme);
}

/* ---- processes that map, and go ---- */

struct mapper {
	int container;
	u8 *pages;
	volatile int *step, *more; /* the child's, and the test's */
	bool executes;
};

static struct nvme start_with_queues(struct legacy *legacy, const struct names *names)
{
	u8 *queues = memory(2 * PAGE);

	open_device(legacy, names);
	EXPECT(0, type1_map(legacy->container, queues, BASE, 2 * PAGE));
	return start_nvme(legacy->device, queues, BASE);
}

static void expect_identify(struct nvme *nvme, u64 iova, u8 *page)
{
	memset(page, 0, PAGE);
	identify_nvme(nvme, iova);
	EXPECT_TRUE(page[24] > ' ');
}

/* Live update: another program goes on with the same memory, and DMA never stopped. */
static void map_and_go(void *argument)
{
	const struct mapper *mapper = argument;
	bool mapped = type1_map(mapper->container, mapper->pages, 2 * BASE, PAGE) == 0;

	if (mapper->executes)
		mapped = mapped && type1_unmap(mapper->container, LOST, 2 * BASE, PAGE) == (answer)PAGE;
	*mapper->step = mapped ? 1 : 2;
	await_step(mapper->more, 1);
	if (mapper->executes)
		become_another();
}

static void shared_memory_stays(bool executes)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct nvme nvme = start_with_queues(&legacy, &names);
	volatile int *steps = shared_memory(PAGE);
	u8 *file = mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, new_file(PAGE), 0), PAGE);
	struct mapper mapper = {legacy.container, file, steps, steps + 1, executes};

	start_child(map_and_go, &mapper);
	await_step(mapper.step, 1);
	EXPECT_EQUAL(1, *mapper.step);
	expect_identify(&nvme, 2 * BASE, file);
	*mapper.more = 1;
	await_another();
	expect_identify(&nvme, 2 * BASE, file);
	end_child();
	expect_identify(&nvme, 2 * BASE, file);
	if (executes) {
		EXPECT(0, type1_map_as(legacy.container, VADDR, file, 2 * BASE, PAGE));
		expect_identify(&nvme, 2 * BASE, file);
	}
	EXPECT(PAGE, type1_unmap(legacy.container, 0, 2 * BASE, PAGE));
	stop_nvme(&nvme);
}

TEST(shared_memory_stays_when_its_process_ends)
{
	shared_memory_stays(false);
}

TEST(shared_memory_stays_when_its_process_executes_another_program)
{
	shared_memory_stays(true);
}

static void take_over(void *argument)
{
	const struct mapper *mapper = argument;
	bool given = type1_map_as(mapper->container, VADDR, mapper->pages, 2 * BASE, PAGE) == 0;

	execl("/nonexistent", "nonexistent", NULL);
	*mapper->step = given ? 1 : 2;
	await_step(mapper->more, 1);
	*mapper->step = type1_map(mapper->container, mapper->pages, 3 * BASE, PAGE) == 0 ? 3 : 4;
	await_step(mapper->more, 2);
}

/* Its memory is what devices reach then, though it had mapped nothing, and an execve() of it failed. */
TEST(who_gives_an_address_has_the_mapping)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct nvme nvme = start_with_queues(&legacy, &names);
	volatile int *steps = shared_memory(PAGE);
	struct mapper mapper = {legacy.container, shared_memory(PAGE), steps, steps + 1, false};

	EXPECT(0, type1_map(legacy.container, mapper.pages, 2 * BASE, PAGE));
	EXPECT(PAGE, type1_unmap(legacy.container, LOST, 2 * BASE, PAGE));
	start_child(take_over, &mapper);
	await_step(mapper.step, 1);
	EXPECT_EQUAL(1, *mapper.step);
	EXPECT_EQUAL(2 * PAGE / KIB, conform_locked_kib()); /* the queues */
	expect_identify(&nvme, 2 * BASE, mapper.pages);
	*mapper.more = 1;
	await_step(mapper.step, 3);
	EXPECT_EQUAL(3, *mapper.step);
	expect_identify(&nvme, 2 * BASE, mapper.pages);
	expect_identify(&nvme, 3 * BASE, mapper.pages);
	stop_nvme(&nvme);
}

SUITE(type1, CASE(info_is_refused_in_this_order), CASE(info_tells_how_much_there_would_be),
      CASE(info_has_these_capabilities_in_this_order), CASE(map_is_refused_in_this_order),
      CASE(map_takes_any_argsz_from_32_on), CASE(memory_must_be_there_and_writable_if_it_is_to_be_written),
      CASE(a_mapping_ends_where_a_range_ends), CASE(registers_are_mapped_and_not_charged),
      CASE(locked_memory_is_limited), CASE(unmap_is_refused_in_this_order), CASE(to_unmap_nothing_is_fine),
      CASE(an_answer_that_cannot_be_given_comes_too_late), CASE(the_second_type_removes_whole_mappings_and_holes),
      CASE(the_first_type_stops_at_what_starts_below_and_takes_what_starts_inside), CASE(all_is_of_both_types),
      CASE(all_is_of_the_first_type_too), CASE(an_address_is_taken_away_and_given_anew), CASE(addresses_go_all_or_none),
      CASE(translations_stay_while_an_address_is_lost), CASE_OUTSIDE(shared_memory_stays_when_its_process_ends),
      CASE_OUTSIDE(shared_memory_stays_when_its_process_executes_another_program),
      CASE_OUTSIDE(who_gives_an_address_has_the_mapping));
