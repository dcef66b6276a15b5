/* SPDX-License-Identifier: MIT */
/*
 * A device at work behind a guest's tables, a guest that changes them, a host that takes memory away: what is gone is
 * gone when the call returns, and no entry is ever half there.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/os.h"
#include "tests/fixtures/guest.h"

#define IOVA  0x10000000ull
#define DATA  (GUEST_BASE + GUEST_DATA)
#define OTHER 0x20000ull /* from the first page of data to the second */

enum { ROUNDS = UNDER_TSAN ? 200 : 3000 };

struct scene {
	struct guest guest;
	struct isolde_pt *pt;
	struct domain *nested;
	atomic_bool stop;
	atomic_uint transfers, faults;
	pthread_t device, program;
};

/* Writes a byte that is not 0 to the page and reads it, wherever it is at the moment. */
static void *device_works(void *context)
{
	struct scene *scene = context;
	struct dma_fault fault;
	u8 byte = 1;

	while (!atomic_load(&scene->stop)) {
		int outcome = guest_dma(&scene->guest, 0, IOVA, &byte, byte & 1 ? DMA_WRITE : DMA_READ, &fault);

		if (outcome == GUEST_DMA_OK)
			atomic_fetch_add(&scene->transfers, 1);
		else if (outcome == DMA_FAULT_SECOND_STAGE || outcome == DMA_FAULT_NOT_PRESENT ||
			 outcome == DMA_FAULT_BLOCKED)
			atomic_fetch_add(&scene->faults, 1);
		else
			return (void *)1;
		byte = (u8)(byte + 1) | 1;
	}
	return NULL;
}

/* The guest moves its page to and fro, with no word to anybody. */
static void *program_works(void *context)
{
	struct scene *scene = context;

	for (u64 n = 0; !atomic_load(&scene->stop); n++) {
		isolde_pt_unmap(scene->pt, IOVA, PAGE_SIZE, NULL, NULL);
		isolde_pt_map(scene->pt, IOVA, DATA + n % 2 * OTHER, PAGE_SIZE, GUEST_RW, NULL);
	}
	return NULL;
}

static void begin(struct scene *scene)
{
	struct nested_setup setup = {.format = ISOLDE_PT_X86_64, .stage1 = {.kind = STAGE1_TABLES}};
	const struct isolde_pt_config config = {.format = ISOLDE_PT_X86_64, .features = ISOLDE_PT_DIRTY};
	unsigned levels;

	memset(scene, 0, sizeof(*scene));
	guest_init(&scene->guest, &guest_intel, DOMAIN_FOR_DIRTY, GUEST_FILE);
	scene->pt = guest_table(&scene->guest, config);
	assert_int_equal(isolde_pt_set_dirty(scene->pt, true), 0);
	assert_int_equal(isolde_pt_map(scene->pt, IOVA, DATA, PAGE_SIZE, GUEST_RW, NULL), 0);
	setup.stage1.tables[0].config = config;
	setup.stage1.tables[0].root = isolde_pt_root(scene->pt, &levels);
	scene->nested = guest_nested(&scene->guest, &setup);
	guest_attach(&scene->guest, scene->nested);
	assert_int_equal(pthread_create(&scene->device, NULL, device_works, scene), 0);
	assert_int_equal(pthread_create(&scene->program, NULL, program_works, scene), 0);
}

static void finish(struct scene *scene)
{
	void *failed;

	atomic_store(&scene->stop, true);
	pthread_join(scene->device, &failed);
	assert_null(failed);
	pthread_join(scene->program, NULL);
	guest_detach(&scene->guest, scene->nested);
	isolde_pt_free(scene->pt);
	guest_fini(&scene->guest);
}

static void clear_byte(u8 *byte)
{
	__atomic_store_n(byte, 0, __ATOMIC_RELAXED);
}

static void expect_clear(const u8 *byte)
{
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(__atomic_load_n(byte, __ATOMIC_RELAXED), 0);
}

/* Nothing is written any more, neither to the one page nor to the other. */
static void expect_untouched(struct scene *scene)
{
	u8 *first = scene->guest.memory + GUEST_DATA, *second = first + OTHER;

	clear_byte(first);
	clear_byte(second);
	expect_clear(first);
	expect_clear(second);
}

static void note(void *context, uint64_t start, uint64_t last)
{
}

/* On a busy host the threads may come late, and all takes longer. */
static bool goes_on(const struct scene *scene, unsigned round, u64 began)
{
	if (round < ROUNDS / 10 || !atomic_load(&scene->transfers) || !atomic_load(&scene->faults))
		return true;
	return round < ROUNDS && os_clock_ns() - began < 20000000000;
}

TEST(threads, what_is_taken_away_is_out_of_reach_at_once)
{
	struct scene scene;
	struct guest *guest = &scene.guest;
	u64 began = os_clock_ns();

	begin(&scene);
	for (unsigned i = 0; goes_on(&scene, i, began); i++) {
		sched_yield();
		switch (i % 4) {
		case 0:
			guest_unmap(guest);
			expect_untouched(&scene);
			guest_map(guest);
			break;
		case 1:
			iommu_detach_group(guest->group);
			expect_untouched(&scene);
			guest_attach(guest, scene.nested);
			break;
		case 2:
			nested_flush(scene.nested, IOVA, IOVA);
			break;
		default:
			ASSERT_OK(guest->why, domain_set_dirty(guest->parent, i % 8 == 3, &guest->why));
			domain_read_dirty(guest->parent, 0, UINT64_MAX, true, note, NULL);
		}
	}
	finish(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(threads, what_is_taken_away_is_out_of_reach_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
