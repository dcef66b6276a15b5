/* SPDX-License-Identifier: MIT */
/* Dirty tracking: what devices wrote, and nothing else, is told; once, unless it is kept. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/os.h"
#include "iommu/kind.h"
#include "mem/shared.h"
#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

#include "iommu/dma.h"
#include "iommu/own.h"
#include "pci/caps.h"

#define IOVA 0x40000000ull
#define SIZE 0x600000ull
#define PAGE 0x1000ull
#define NONE 0ull

static const struct iommu_unit units[] = {
	{.name = "dmar0",
	 .width = 48,
	 .ecap = INTEL_ECAP_PASS_THROUGH | INTEL_ECAP_SCALABLE | INTEL_ECAP_SECOND_STAGE | INTEL_ECAP_SECOND_DIRTY |
		 INTEL_ECAP_COHERENT_WALK},
	{.name = "ivhd0", .kind = KIND_AMD, .width = 64, .efr = AMD_EFR_DIRTY},
	{.name = "smmu3.0x0000000009050000",
	 .kind = KIND_SMMU,
	 .width = 48,
	 .idr = {SMMU_IDR0_STAGE1 | SMMU_IDR0_COHERENT | 2 << 6}},
};

/* A device behind a unit, a domain that tracks, an extent of shared memory. */
struct room {
	struct iommu iommu;
	struct iommu_unit *unit;
	struct pci_function function;
	struct iommu_group *group;
	struct iommu_device *device;
	struct owner owner;
	struct space space;
	struct domain *domain;
	struct extent extent;
	struct area area;
	u8 *memory;
	struct why why;
};

static const char *describe(const struct owner *owner, char *text, size_t size)
{
	return strncpy(text, "the test of dirty pages", size);
}

static void add_device(struct room *room)
{
	const struct pci_identity identity = {.vendor = 0x1b36, .device = 0x10, .class_code = 0x010802};

	pci_function_init(&room->function, (struct pci_addr){0, 1, 0}, &identity);
	pci_config_write(&room->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	ASSERT_OK(room->why, iommu_group_add(&room->iommu, &room->group, &room->why));
	ASSERT_OK(room->why, iommu_device_add(room->group, room->unit, &room->function, &room->device, &room->why));
	ASSERT_OK(room->why, iommu_group_choose_default(room->group, &room->why));
	room->owner.describe = describe;
	ASSERT_OK(room->why, iommu_group_claim(room->group, &room->owner, &room->why));
	ASSERT_OK(room->why, iommu_attach_group(room->domain, room->group, &room->why));
}

static void room_init(struct room *room, const struct iommu_unit *unit, bool small_leaves)
{
	int fd = memfd_create("dirty", MFD_CLOEXEC);

	memset(room, 0, sizeof(*room));
	iommu_init(&room->iommu);
	ASSERT_OK(room->why, iommu_unit_add(&room->iommu, unit, &room->unit, &room->why));
	space_init(&room->space, &room->iommu);
	room->space.small_leaves = small_leaves;
	ASSERT_OK(room->why, domain_new_for(&room->space, room->unit, DOMAIN_FOR_DIRTY, &room->domain, &room->why));
	add_device(room);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	room->memory = shared_map_file(fd, 0, SIZE, true);
	assert_non_null(room->memory);
	close(fd);
	ASSERT_OK(room->why, extent_init(&room->extent, &room->iommu.frames, IOVA, SIZE, &room->why));
	room->extent.direct = room->memory;
	iommu_insert_frames(&room->iommu, &room->extent);
	room->area = (struct area){.node = {.start = IOVA, .last = IOVA + SIZE - 1},
				   .extent = &room->extent,
				   .permission = ISOLDE_PT_READ | ISOLDE_PT_WRITE};
	space_insert(&room->space, &room->area);
	ASSERT_OK(room->why, domain_fill(room->domain, &room->area, &room->why));
}

static void room_fini(struct room *room)
{
	domain_check(room->domain);
	domain_clear(room->domain, &room->area);
	space_remove(&room->space, &room->area);
	iommu_remove_frames(&room->iommu, &room->extent);
	extent_fini(&room->extent);
	shared_unmap(room->memory, SIZE);
	iommu_detach_group(room->group);
	iommu_group_release(room->group);
	domain_free(room->domain);
	space_fini(&room->space);
	iommu_fini(&room->iommu);
	pci_function_fini(&room->function);
}

static void write_at(const struct room *room, u64 offset)
{
	assert_int_equal(dma_write(room->device->port, IOVA + offset, "x", 1), DMA_OK);
}

static void read_at(const struct room *room, u64 offset)
{
	u8 byte;

	assert_int_equal(dma_read(room->device->port, IOVA + offset, &byte, 1), DMA_OK);
}

/* What was told: the ranges' sum, their ends, how many. */
struct told {
	u64 bytes, first, last;
	unsigned count;
};

static void note(void *context, uint64_t start, uint64_t last)
{
	struct told *told = context;

	assert_true(last >= start);
	assert_true(!told->count || start > told->last);
	if (!told->count)
		told->first = start;
	told->last = last;
	told->bytes += last - start + 1;
	told->count++;
}

static struct told ask(struct room *room, u64 start, u64 last, bool clear)
{
	struct told told = {0};

	domain_read_dirty(room->domain, start, last, clear, note, &told);
	return told;
}

/* Only [offset, offset + size) of the area is dirty; NONE: nothing is. */
static void expect_told(struct room *room, u64 offset, u64 size, bool clear)
{
	struct told told = ask(room, 0, UINT64_MAX, clear);

	assert_int_equal(told.bytes, size);
	if (!size)
		return;
	assert_int_equal(told.first, IOVA + offset);
	assert_int_equal(told.last, IOVA + offset + size - 1);
}

static void track(struct room *room, bool on)
{
	ASSERT_OK(room->why, domain_set_dirty(room->domain, on, &room->why));
}

/* ---- pages ---- */

static void writes_are_told_once(struct room *room)
{
	write_at(room, 0);
	track(room, true);
	expect_told(room, 0, NONE, true);
	/* The translation of a read is known then, but not that of a write. */
	read_at(room, 5 * PAGE);
	expect_told(room, 0, NONE, true);
	write_at(room, 5 * PAGE + 7);
	expect_told(room, 5 * PAGE, PAGE, false);
	expect_told(room, 5 * PAGE, PAGE, true);
	expect_told(room, 0, NONE, true);
	/* And that of a write is forgotten with its bit. */
	write_at(room, 5 * PAGE);
	write_at(room, 6 * PAGE);
	expect_told(room, 5 * PAGE, 2 * PAGE, true);
	expect_told(room, 0, NONE, true);
}

static void ranges_are_told_apart(struct room *room)
{
	write_at(room, 0);
	write_at(room, 9 * PAGE);
	assert_int_equal(ask(room, IOVA + PAGE, IOVA + 9 * PAGE - 1, true).count, 0);
	assert_int_equal(ask(room, IOVA + 9 * PAGE, IOVA + 9 * PAGE, true).bytes, PAGE);
	expect_told(room, 0, PAGE, true);
}

static void beginning_anew_forgets(struct room *room)
{
	write_at(room, 3 * PAGE);
	track(room, true);
	expect_told(room, 0, NONE, true);
	write_at(room, 3 * PAGE);
	track(room, false);
	expect_told(room, 0, NONE, true);
	write_at(room, 3 * PAGE);
	track(room, true);
	expect_told(room, 0, NONE, true);
	write_at(room, 3 * PAGE);
	expect_told(room, 3 * PAGE, PAGE, true);
}

TEST(dirty, pages_that_a_device_wrote_are_told_once)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		struct room room;

		room_init(&room, &units[i], true);
		writes_are_told_once(&room);
		ranges_are_told_apart(&room);
		beginning_anew_forgets(&room);
		room_fini(&room);
	}
}

/* ---- large leaves ---- */

TEST(dirty, a_large_leaf_is_dirty_whole_and_stays_so_while_it_is_seen_in_part)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		struct isolde_pt_walk walk;
		struct told told;
		struct room room;
		u64 leaf;

		room_init(&room, &units[i], false);
		track(&room, true);
		write_at(&room, 0x200000 + 0x5123);
		assert_int_equal(isolde_pt_walk(room.domain->pt, IOVA + 0x200000, 0, &walk), ISOLDE_PT_OK);
		leaf = walk.leaf_size;
		assert_true(leaf >= 0x200000);
		told = ask(&room, IOVA + 0x203000, IOVA + 0x203fff, true);
		assert_int_equal(told.first, IOVA + 0x203000);
		assert_int_equal(told.bytes, PAGE);
		expect_told(&room, align_down(0x200000, leaf), leaf, true);
		expect_told(&room, 0, NONE, true);
		room_fini(&room);
	}
}

/* As much as a domain has, and tables for a few pages. With sanitizers, whoever looks at each page of it is not done
 * before the test is ended; without them only what is told is checked. */
TEST(dirty, sparse_ranges_are_passed_over)
{
	struct area far[64];
	struct told told;
	struct room room;

	room_init(&room, &units[0], true);
	track(&room, true);
	for (u64 i = 0; i < ARRAY_SIZE(far); i++) {
		far[i] = (struct area){.node = {.start = i << 34 | BIT(33), .last = i << 34 | BIT(33) | 0xfff},
				       .extent = &room.extent,
				       .permission = ISOLDE_PT_WRITE};
		space_insert(&room.space, &far[i]);
		ASSERT_OK(room.why, domain_fill(room.domain, &far[i], &room.why));
	}
	for (u64 i = 0; i < ARRAY_SIZE(far); i += 7)
		assert_int_equal(dma_write(room.device->port, far[i].node.start, "x", 1), DMA_OK);
	told = ask(&room, 0, BIT(47) - 1, true);
	assert_int_equal(told.count, 10);
	assert_int_equal(told.bytes, 10 * PAGE);
	assert_int_equal(told.first, far[0].node.start);
	assert_int_equal(told.last, far[63].node.last);
	for (u64 i = 0; i < ARRAY_SIZE(far); i++) {
		domain_clear(room.domain, &far[i]);
		space_remove(&room.space, &far[i]);
	}
	room_fini(&room);
}

TEST(dirty, a_domain_that_was_not_made_for_it_refuses)
{
	struct domain *domain;
	struct told told = {0};
	struct room room;

	room_init(&room, &units[0], true);
	ASSERT_OK(room.why, domain_new(&room.iommu, room.unit, DOMAIN_PAGING, &domain, &room.why));
	snprintf(domain->name, sizeof(domain->name), "the plain one");
	EXPECT_REFUSED(DIRTY_INCAPABLE, room.why, domain_set_dirty(domain, true, &room.why));
	EXPECT_SUBSTR("the plain one", room.why.text);
	domain_read_dirty(domain, 0, UINT64_MAX, true, note, &told);
	assert_int_equal(told.count, 0);
	domain_free(domain);
	room_fini(&room);
}

/* ---- while a device writes ---- */

enum { PAGES = 64, ROUNDS = 2000 };

struct writer {
	struct room *room;
	atomic_bool stop;
	pthread_t thread;
};

static void *write_all_the_time(void *context)
{
	struct writer *writer = context;

	for (u64 n = 1; !atomic_load(&writer->stop); n++)
		if (dma_write(writer->room->device->port, IOVA + n * 2654435761u % PAGES * PAGE, &n, sizeof(n)) !=
		    DMA_OK)
			return (void *)1;
	return NULL;
}

/* As migration does it: what is told is copied then, until all has been. */
struct copy {
	u64 told; /* pages */
	u8 memory[PAGES * PAGE];
};

static void note_pages(void *context, uint64_t start, uint64_t last)
{
	struct copy *copy = context;

	assert_true(last < IOVA + PAGES * PAGE);
	copy->told |= MASK((last - IOVA) / PAGE, (start - IOVA) / PAGE);
}

static void copy_dirty(struct copy *copy, struct room *room, bool clear)
{
	copy->told = 0;
	domain_read_dirty(room->domain, IOVA, IOVA + SIZE - 1, clear, note_pages, copy);
	for (u64 page = 0; page < PAGES; page++)
		if (copy->told >> page & 1)
			memcpy(copy->memory + page * PAGE, room->memory + page * PAGE, sizeof(u64));
}

TEST(dirty, a_copy_of_what_is_told_becomes_the_same)
{
	static struct copy copy;
	struct writer writer = {0};
	struct room room;
	void *failed;

	/* The copy looks at bytes while a device writes them, as migration does. */
	if (UNDER_TSAN)
		skip();
	room_init(&room, &units[1], true);
	track(&room, true);
	writer.room = &room;
	assert_int_equal(pthread_create(&writer.thread, NULL, write_all_the_time, &writer), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		copy_dirty(&copy, &room, i % 4 != 3);
	atomic_store(&writer.stop, true);
	pthread_join(writer.thread, &failed);
	assert_null(failed);
	copy_dirty(&copy, &room, true);
	for (u64 at = 0; at < PAGES * PAGE; at += PAGE)
		assert_memory_equal(copy.memory + at, room.memory + at, sizeof(u64));
	assert_int_equal(ask(&room, 0, UINT64_MAX, true).count, 0);
	room_fini(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dirty, pages_that_a_device_wrote_are_told_once),
		CASE(dirty, a_large_leaf_is_dirty_whole_and_stays_so_while_it_is_seen_in_part),
		CASE(dirty, sparse_ranges_are_passed_over),
		CASE(dirty, a_domain_that_was_not_made_for_it_refuses),
		CASE(dirty, a_copy_of_what_is_told_becomes_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
