/* SPDX-License-Identifier: MIT */
#include "base/os.h"
#include "dev/ioat.h"
#include "tests/fixtures/model_rig.h"

enum { RUN = 0x0009, PIECE = 1 << 20, PLACES = 6, DESCRIPTORS = 120 };

static const char *const movable[] = {"migration", "true", NULL};

static u64 load(struct model_rig *rig, unsigned offset, unsigned width)
{
	return rig_load(rig, 0, offset, width);
}

static void store(struct model_rig *rig, unsigned offset, unsigned width, u64 value)
{
	rig_store(rig, 0, offset, width, value);
}

static void activity(struct model_rig *rig, enum pci_activity to)
{
	mutex_lock(&rig->machine);
	rig->function.migration->activity(&rig->function, to);
	mutex_unlock(&rig->machine);
}

static size_t save(struct model_rig *rig, u8 *record)
{
	size_t size;

	mutex_lock(&rig->machine);
	size = rig->function.migration->save(&rig->function, record);
	mutex_unlock(&rig->machine);
	return size;
}

static int load_state(struct model_rig *rig, const u8 *record, size_t size, struct why *why)
{
	int err;

	mutex_lock(&rig->machine);
	err = rig->function.migration->load(&rig->function, record, size, why);
	mutex_unlock(&rig->machine);
	return err;
}

static u8 record[PCI_MIGRATION_RECORD];

/* A chain that copies about one MiB at a time, to one place after the other, over and over; where it begins. */
static u64 make_chain(struct model_rig *rig, u64 *ret_source, u64 *ret_destination)
{
	u64 chain = rig_alloc(rig, DESCRIPTORS * 64), source = rig_alloc(rig, PIECE);
	u64 destination = rig_alloc(rig, PLACES * PIECE);

	for (u64 i = 0; i < PIECE; i++)
		((u8 *)rig_at(rig, source))[i] = (u8)(i ^ i >> 8 ^ i >> 16);
	for (u64 i = 0; i < DESCRIPTORS; i++)
		*(struct ioat_descriptor *)rig_at(rig, chain + 64 * i) = (struct ioat_descriptor){
			.size = (u32)(PIECE - 512 * i),
			.source = source + 512 * i,
			.destination = destination + i % PLACES * PIECE,
			.next = chain + 64 * (i + 1),
		};
	*ret_source = source;
	*ret_destination = destination;
	return chain;
}

/* What the last of the chain left in each place. */
static void expect_places(struct model_rig *rig, u64 source, u64 destination)
{
	for (u64 i = DESCRIPTORS - PLACES; i < DESCRIPTORS; i++)
		assert_memory_equal(rig_at(rig, destination + i % PLACES * PIECE), rig_at(rig, source + 512 * i),
				    PIECE - 512 * i);
}

/* Wherever in its chain it is stopped, another one goes on there, and all is copied once. */
TEST(ioat_migration, a_chain_goes_on_elsewhere)
{
	struct model_rig *a = rig_new("ioat", movable), *b = rig_new("ioat", movable);
	u64 source, destination, chain = make_chain(a, &source, &destination);
	struct why why = WHY_INIT;
	unsigned halfway = 0;

	/* On a busy host it has often done nothing yet, or all. */
	for (unsigned round = 0; round < 40 || !halfway; round++) {
		size_t size;

		memset(rig_at(a, destination), 0, PLACES * PIECE);
		store(a, IOAT_CHANCMD, 1, IOAT_CHANCMD_RESET);
		activity(a, PCI_PASSIVE);
		store(a, IOAT_CHAINADDR, 8, chain);
		store(a, IOAT_CHANCTRL, 2, RUN);
		store(a, IOAT_DMACOUNT, 2, DESCRIPTORS);
		activity(a, PCI_ACTIVE);
		os_sleep_ns(round % 40 * 200000ull);
		activity(a, PCI_STOPPED);
		halfway += (load(a, IOAT_CHANSTS, 8) & 7) == IOAT_ACTIVE &&
			   load(a, IOAT_CHANSTS, 8) & IOAT_CHANSTS_ADDRESS;
		activity(b, PCI_STOPPED);
		size = save(a, record);
		ASSERT_OK(why, load_state(b, record, size, &why));
		memcpy(b->memory, a->memory, RIG_MEMORY);
		b->allocated = a->allocated;
		assert_int_equal(load(b, IOAT_CHANSTS, 8), load(a, IOAT_CHANSTS, 8));
		activity(b, PCI_ACTIVE);
		assert_true(rig_await(b, 0, IOAT_CHANSTS, 8, 7, IOAT_DONE));
		assert_int_equal(load(b, IOAT_CHANSTS, 8) & IOAT_CHANSTS_ADDRESS, chain + 64 * (DESCRIPTORS - 1));
		expect_places(b, source, destination);
		activity(a, PCI_ACTIVE);
		assert_true(rig_await(a, 0, IOAT_CHANSTS, 8, 7, IOAT_DONE));
	}
	rig_free(a);
	rig_free(b);
}

TEST(ioat_migration, stopped_it_takes_no_stores)
{
	struct model_rig *a = rig_new("ioat", movable);
	u64 source, destination, chain = make_chain(a, &source, &destination);

	activity(a, PCI_PASSIVE);
	store(a, IOAT_CHAINADDR, 8, chain);
	store(a, IOAT_CHANCTRL, 2, RUN);
	store(a, IOAT_DMACOUNT, 2, 1);
	os_sleep_ns(5000000);
	assert_int_equal(load(a, IOAT_CHANSTS, 8) & 7, IOAT_ACTIVE);
	activity(a, PCI_STOPPED);
	store(a, IOAT_CHANCMD, 1, IOAT_CHANCMD_RESET);
	store(a, IOAT_INTRCTRL, 1, 1);
	assert_int_equal(load(a, IOAT_CHANSTS, 8) & 7, IOAT_ACTIVE);
	assert_int_equal(load(a, IOAT_INTRCTRL, 1), 0);
	activity(a, PCI_ACTIVE);
	assert_true(rig_await(a, 0, IOAT_CHANSTS, 8, 7, IOAT_DONE));
	rig_reset_function(a);
	assert_int_equal(load(a, IOAT_CHANSTS, 8) & 7, IOAT_HALTED);
	rig_free(a);
}

TEST(ioat_migration, armed_it_goes_on_elsewhere)
{
	struct model_rig *a = rig_new("ioat", movable), *b = rig_new("ioat", movable);
	u64 source, destination, chain = make_chain(a, &source, &destination);
	struct why why = WHY_INIT;

	store(a, IOAT_CHAINADDR, 8, chain);
	assert_int_equal(load(a, IOAT_CHANSTS, 8), IOAT_ARMED);
	activity(a, PCI_STOPPED);
	activity(b, PCI_STOPPED);
	ASSERT_OK(why, load_state(b, record, save(a, record), &why));
	memcpy(b->memory, a->memory, RIG_MEMORY);
	activity(b, PCI_ACTIVE);
	assert_int_equal(load(b, IOAT_CHANSTS, 8), IOAT_ARMED);
	store(b, IOAT_DMACOUNT, 2, 1);
	assert_true(rig_await(b, 0, IOAT_CHANSTS, 8, 7, IOAT_DONE));
	assert_memory_equal(rig_at(b, destination), rig_at(b, source), PIECE);
	rig_free(a);
	rig_free(b);
}

TEST(ioat_migration, a_state_that_lies_does_no_harm)
{
	const char *const smaller[] = {"xfercap", "12", "migration", "true", NULL};
	const char *const newer[] = {"minor", "3", "migration", "true", NULL};
	struct model_rig *a = rig_new("ioat", movable), *b = rig_new("ioat", movable), *c = rig_new("ioat", smaller);
	struct model_rig *d = rig_new("ioat", newer);
	u64 source, destination, chain = make_chain(a, &source, &destination), random = 0x853c49e6748fea9b;
	unsigned taken = 0, refused = 0;
	struct why why = WHY_INIT;
	size_t size;

	activity(a, PCI_PASSIVE);
	store(a, IOAT_CHAINADDR, 8, chain);
	store(a, IOAT_CHANCTRL, 2, RUN);
	store(a, IOAT_DMACOUNT, 2, DESCRIPTORS);
	activity(a, PCI_STOPPED);
	size = save(a, record);
	EXPECT_REFUSED(DEVICE_STATE, why, load_state(c, record, size, &why));
	EXPECT_SUBSTR("2^20", why.text);
	EXPECT_REFUSED(DEVICE_STATE, why, load_state(d, record, size, &why));
	EXPECT_SUBSTR("version 0x32, this one 0x33", why.text);
	EXPECT_REFUSED(DEVICE_STATE, why, load_state(b, record, size - 1, &why));
	EXPECT_REFUSED(DEVICE_STATE, why, load_state(b, record, size + 1, &why));
	for (unsigned round = 0; round < 3000; round++) {
		size_t at;
		u8 kept;

		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		/* Registers or what is behind them. */
		at = round % 2 ? (random >> 8) % size : size - 1 - (random >> 8) % 84;
		kept = record[at];
		record[at] = (u8)(random >> 40);
		activity(b, PCI_STOPPED);
		if (load_state(b, record, size, &why) < 0) {
			assert_int_equal(why.code, WHY_DEVICE_STATE);
			refused++;
		} else {
			taken++;
			activity(b, PCI_ACTIVE);
			assert_int_equal(load(b, IOAT_XFERCAP, 1), 20);
			assert_int_equal(load(b, IOAT_CBVER, 1), 0x32);
		}
		record[at] = kept;
	}
	assert_true(taken > 100 && refused > 100);
	rig_free(a);
	rig_free(b);
	rig_free(c);
	rig_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ioat_migration, a_chain_goes_on_elsewhere),
		CASE(ioat_migration, stopped_it_takes_no_stores),
		CASE(ioat_migration, armed_it_goes_on_elsewhere),
		CASE(ioat_migration, a_state_that_lies_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
