/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 format against what the Intel SDM (volume 3A, 4.6 and 4.7) and the AMD APM (volume 2, 5.6) say of the MMU,
 * in closed form: every combination of R/W, U/S and XD on every level, for every kind of access. VT-d 5.0, 3.6.2 says
 * the same of a device's requests, a request with privileges being the supervisor's, CR0.WP (WPE) being set.
 */
#include "tests/fixtures/pt_compared.h"
#include "tests/helpers.h"

#define P      BIT(0)
#define RW     BIT(1)
#define US     BIT(2)
#define PS     BIT(7)
#define XD     BIT(63)
#define ROOT   0x10000ull /* the tables are at ROOT << n: no single bit makes one address of another */
#define TARGET 0x40000000ull

struct mmu {
	struct pt_store store;
	struct isolde_pt *pt;
	unsigned levels;
};

static void start(struct mmu *mmu, unsigned levels)
{
	struct isolde_pt_config config = {.size = sizeof(config),
					  .format = ISOLDE_PT_X86_64,
					  .levels = levels,
					  .output_bits = 46,
					  .half = ISOLDE_PT_BOTH};

	mmu->levels = levels;
	pt_store_init(&mmu->store, 0);
	config.memory = pt_store_memory(&mmu->store);
	for (unsigned i = 0; i < 5; i++)
		pt_store_use(&mmu->store, ROOT << i, PAGE_SIZE);
	assert_int_equal(isolde_pt_adopt(&config, ROOT, &mmu->pt), 0);
}

static void finish(struct mmu *mmu)
{
	isolde_pt_free(mmu->pt);
	pt_store_clear(&mmu->store);
}

/* Entry 0 of each table, root first; three bits of `rights` each: R/W, U/S, XD. The last one is the leaf. */
static void write_path(struct mmu *mmu, unsigned entries, unsigned rights)
{
	for (unsigned i = 0; i < entries; i++, rights >>= 3) {
		u64 entry = P | (rights & 1 ? RW : 0) | (rights & 2 ? US : 0) | (rights & 4 ? XD : 0);

		if (i + 1 < entries)
			entry |= ROOT << (i + 1);
		else
			entry |= TARGET | (entries < mmu->levels ? PS : 0);
		pt_store_put(&mmu->store, ROOT << i, entry);
	}
}

/*
 * SDM 4.6.1: an address is a user's when U/S is set in all entries of its translation. Data is read by a user at
 * addresses of users only, by a supervisor anywhere; it is written where R/W is set in all; code is fetched where XD is
 * clear in all.
 */
static unsigned allowed(unsigned entries, unsigned rights, bool supervisor)
{
	bool writable = true, user = true, executable = true;

	for (unsigned i = 0; i < entries; i++, rights >>= 3) {
		writable = writable && (rights & 1);
		user = user && (rights & 2);
		executable = executable && !(rights & 4);
	}
	if (!user && !supervisor)
		return 0;
	return ISOLDE_PT_READ | (writable ? ISOLDE_PT_WRITE : 0) | (executable ? ISOLDE_PT_EXECUTE : 0);
}

static void check_rights(struct mmu *mmu, unsigned entries, unsigned rights)
{
	write_path(mmu, entries, rights);
	for (unsigned access = 0; access < 16; access++) {
		unsigned may = allowed(entries, rights, access & ISOLDE_PT_PRIVILEGED);
		bool refused = access & ~may & (ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE);
		struct isolde_pt_walk walk;
		enum isolde_pt_fault fault = isolde_pt_walk(mmu->pt, 0xabc, access, &walk);

		if (fault != (refused ? ISOLDE_PT_PERMISSION : ISOLDE_PT_OK))
			fail_msg("%u levels, rights %#o, access %u: fault %d", entries, rights, access, fault);
		if (refused)
			continue;
		assert_int_equal(walk.physical, TARGET + 0xabc);
		if (walk.permission != may)
			fail_msg("%u levels, rights %#o, access %u: may %u, expected %u", entries, rights, access,
				 walk.permission, may);
	}
}

TEST(mmu_x86, rights_of_all_levels_together)
{
	struct mmu mmu;

	start(&mmu, 4);
	for (unsigned entries = 2; entries <= 4; entries++)
		for (unsigned rights = 0; rights < 1u << (3 * entries); rights++)
			check_rights(&mmu, entries, rights);
	finish(&mmu);
}

TEST(mmu_x86, rights_of_five_levels)
{
	struct mmu mmu;

	start(&mmu, 5);
	for (unsigned rights = 0; rights < 1u << 15; rights++)
		check_rights(&mmu, 5, rights);
	finish(&mmu);
}

/* SDM 4.7 and tables 4-14 to 4-20, MAXPHYADDR 46: what is reserved in an entry of this level that is present. */
static u64 reserved_bits(unsigned level, bool leaf)
{
	u64 bits = MASK(51, 46);

	if (level >= 4)
		bits |= PS;
	if (leaf && level == 3)
		bits |= MASK(29, 13);
	if (leaf && level == 2)
		bits |= MASK(20, 13);
	return bits;
}

static void check_reserved(struct mmu *mmu, unsigned entries, unsigned at)
{
	unsigned level = mmu->levels - at;
	bool leaf = at + 1 == entries;
	u64 where = ROOT << at, reserved = reserved_bits(level, leaf), entry;

	write_path(mmu, entries, 033333);
	assert_true(pt_store_read(&mmu->store, where, &entry));
	for (unsigned bit = 0; bit < 64; bit++) {
		struct isolde_pt_walk walk;
		enum isolde_pt_fault fault;

		if (BIT(bit) == PS && !leaf && level < 4)
			continue; /* makes a leaf of it, whose address is another matter */
		pt_store_put(&mmu->store, where, entry | BIT(bit));
		fault = isolde_pt_walk(mmu->pt, 0, ISOLDE_PT_READ, &walk);
		if ((fault == ISOLDE_PT_RESERVED) != !!(reserved & BIT(bit)))
			fail_msg("bit %u of an entry of level %u: fault %d", bit, level, fault);
		/* An entry that is not present has no reserved bits. */
		pt_store_put(&mmu->store, where, (entry | BIT(bit)) & ~P);
		assert_int_equal(isolde_pt_walk(mmu->pt, 0, ISOLDE_PT_READ, &walk), ISOLDE_PT_NOT_PRESENT);
	}
	pt_store_put(&mmu->store, where, entry);
}

TEST(mmu_x86, reserved_bits_of_every_level)
{
	for (unsigned levels = 4; levels <= 5; levels++) {
		struct mmu mmu;

		start(&mmu, levels);
		for (unsigned entries = levels - 2; entries <= levels; entries++)
			for (unsigned at = 0; at < entries; at++)
				check_reserved(&mmu, entries, at);
		finish(&mmu);
	}
}

/* SDM volume 1, 3.3.7.1: with a width of n bits, bits 63:n equal bit n - 1. */
TEST(mmu_x86, canonical_addresses)
{
	for (unsigned levels = 4; levels <= 5; levels++) {
		unsigned width = levels == 4 ? 48 : 57;
		struct isolde_pt_walk walk;
		struct mmu mmu;

		start(&mmu, levels);
		for (unsigned bit = 0; bit < 64; bit++) {
			for (unsigned upper = 0; upper < 2; upper++) {
				u64 iova = (upper ? MASK(63, width - 1) : 0) ^ BIT(bit);
				bool canonical = (s64)(iova << (64 - width)) >> (64 - width) == (s64)iova;
				enum isolde_pt_fault fault = isolde_pt_walk(mmu.pt, iova, ISOLDE_PT_READ, &walk);

				assert_int_equal(fault == ISOLDE_PT_ADDRESS, !canonical);
			}
		}
		finish(&mmu);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mmu_x86, rights_of_all_levels_together),
		CASE(mmu_x86, rights_of_five_levels),
		CASE(mmu_x86, reserved_bits_of_every_level),
		CASE(mmu_x86, canonical_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
