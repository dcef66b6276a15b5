/* SPDX-License-Identifier: MIT */
/*
 * Random tables, asked twice: isolde's walk and the separately written walker agree on every page, at the edges of
 * every leaf and beyond the ends. Compiled once per format: PT_FORMAT.
 */
#include "tests/fixtures/pt_compared.h"
#include "tests/helpers.h"

#define ROUNDS	    (UNDER_TSAN ? 60 : 1500)
#define PLACES	    64
#define MOST_LEAVES 600

struct player {
	const struct isolde_pt_config *config;
	struct pt_store *store;
	struct isolde_pt *pt;
	struct walker walker;
	u64 random;
	u64 starts[PLACES], sizes[PLACES]; /* of what was mapped lately; size 0: nothing */
	unsigned maps, unmaps;		   /* that succeeded */
};

static u64 next_random(struct player *player)
{
	player->random ^= player->random << 13;
	player->random ^= player->random >> 7;
	player->random ^= player->random << 17;
	return player->random;
}

static u64 below(struct player *player, u64 limit)
{
	return next_random(player) % limit;
}

static u64 smallest_page(const struct player *player)
{
	return isolde_pt_page_sizes(player->pt) & -isolde_pt_page_sizes(player->pt);
}

static void ask(struct player *player, u64 iova, unsigned access)
{
	char difference[PT_DIFFERENCE];

	if (!pt_agree(player->pt, &player->walker, iova, access, difference))
		fail_msg("%s", difference);
}

/* Every leaf from start to last, at its first and last byte, and one byte further on both sides. */
static void ask_edges(struct player *player, u64 start, u64 last)
{
	u64 iova = start, smallest = smallest_page(player);

	ask(player, start - 1, ISOLDE_PT_READ);
	for (unsigned leaves = 0; leaves < MOST_LEAVES; leaves++) {
		struct walker_result result;
		u64 size;

		walker_walk(&player->walker, iova, 0, &result);
		size = result.leaf_size ? result.leaf_size : smallest;
		ask(player, iova, (unsigned)below(player, 16));
		ask(player, align_down(iova, size), (unsigned)below(player, 16));
		ask(player, iova | (size - 1), (unsigned)below(player, 16));
		iova = (iova | (size - 1)) + 1;
		if (iova == 0 || iova > last)
			break;
	}
	ask(player, last + 1, ISOLDE_PT_READ);
}

/* Leaf sizes that tables of a few thousand entries can hold many of. */
static u64 random_page_size(struct player *player)
{
	u64 sizes = isolde_pt_page_sizes(player->pt) & MASK(42, 0);

	for (;;) {
		u64 size = BIT(below(player, 43));

		if (sizes & size)
			return size;
	}
}

/* An address that suits pages of this size, near one of the places where things happen. */
static u64 random_iova(struct player *player, u64 page_size)
{
	u64 first = isolde_pt_first_iova(player->pt), last = isolde_pt_last_iova(player->pt);
	u64 near = below(player, 24) * page_size;

	switch (below(player, 4)) {
	case 0:
		return align_up(first, page_size) + near;
	case 1:
		return align_down(last - near, page_size);
	case 2:
		return first + align_down(below(player, 0x4000000000), page_size);
	default:
		return align_down(player->starts[below(player, PLACES)] + near, page_size);
	}
}

static void random_range(struct player *player, u64 *start, u64 *size, u64 *physical)
{
	u64 smallest = smallest_page(player), page_size = random_page_size(player);
	u64 before = below(player, 3) ? 0 : below(player, 20) * smallest;

	*start = random_iova(player, page_size) + before;
	*size = page_size * (1 + below(player, 3)) - before + (below(player, 3) ? 0 : below(player, 20) * smallest);
	if (*size == 0 || *size > BIT(44))
		*size = smallest;
	*physical = align_down(below(player, BIT(40)), page_size) + before;
	/* Not congruent: small leaves throughout. */
	if (*size <= 256 * smallest && below(player, 4) == 0)
		*physical += smallest;
}

static void map_something(struct player *player)
{
	const unsigned usual = ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE;
	unsigned flags = (unsigned)next_random(player) & isolde_pt_flags(player->pt);
	u64 start, size, physical;
	unsigned place = (unsigned)below(player, PLACES);

	if (below(player, 2))
		flags &= usual;
	random_range(player, &start, &size, &physical);
	if (isolde_pt_map(player->pt, start, physical, size, flags, NULL) == 0) {
		struct walker_result result;
		u64 offset = below(player, size);

		player->walker = pt_walker_of(player->config, player->pt); /* the root may have grown */
		walker_walk(&player->walker, start + offset, 0, &result);
		assert_int_equal(result.physical, physical + offset);
		player->starts[place] = start;
		player->sizes[place] = size;
		player->maps++;
	}
	ask_edges(player, start, start + size - 1);
}

static void unmap_something(struct player *player)
{
	unsigned place = (unsigned)below(player, PLACES);
	u64 start = player->starts[place], size = player->sizes[place];
	struct walker_result result;

	if (!size)
		return;
	/* A part of it, most times one that no leaf sticks out of. */
	if (below(player, 3) == 0) {
		walker_walk(&player->walker, start, 0, &result);
		if (result.leaf_size && result.leaf_size < size)
			size = result.leaf_size;
	}
	if (isolde_pt_unmap(player->pt, start, size, NULL, NULL) == 0) {
		player->unmaps++;
		player->sizes[place] -= size;
		player->starts[place] += size;
		walker_walk(&player->walker, start + below(player, size), 0, &result);
		assert_int_equal(result.fault, WALKER_NOT_PRESENT);
	}
	ask_edges(player, start, start + size - 1);
}

static void play(const struct compared_table *played, bool big_endian)
{
	struct isolde_pt_config config = played->config;
	struct pt_store store;
	struct player player = {.config = &config, .store = &store, .random = 0x9e3779b97f4a7c15};
	int ret;

	pt_store_init(&store, 0x7700000000);
	store.big_endian = big_endian;
	config.memory = pt_store_memory(&store);
	ret = isolde_pt_new(&config, &player.pt);
	if (ret)
		fail_msg("%s: %d", played->name, ret);
	player.walker = pt_walker_of(&config, player.pt);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (below(&player, 3))
			map_something(&player);
		else
			unmap_something(&player);
		ask(&player, next_random(&player), (unsigned)below(&player, 16));
		ask(&player, isolde_pt_first_iova(player.pt) - 1, 0);
		ask(&player, isolde_pt_last_iova(player.pt) + 1, 0);
	}
	print_message("%s: %u maps, %u unmaps\n", played->name, player.maps, player.unmaps);
	/* So few rounds as under TSan prove little. */
	assert_true(UNDER_TSAN || (player.maps > ROUNDS / 8 && player.unmaps > ROUNDS / 20));
	isolde_pt_check(player.pt);
	isolde_pt_free(player.pt);
	assert_int_equal(store.in_use, 0);
	pt_store_clear(&store);
}

static void play_all(bool big_endian)
{
	unsigned played = 0;

	for (size_t i = 0; i < compared_table_count; i++) {
		if (compared_tables[i].config.format != PT_FORMAT)
			continue;
		play(&compared_tables[i], big_endian);
		played++;
	}
	assert_true(played >= 3);
}

TEST(agree, both_walkers_see_the_same_in_random_tables)
{
	play_all(false);
}

TEST(agree, both_walkers_see_the_same_in_big_endian_tables)
{
	play_all(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(agree, both_walkers_see_the_same_in_random_tables),
		CASE(agree, both_walkers_see_the_same_in_big_endian_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
