/* SPDX-License-Identifier: MIT */
/*
 * Map, unmap, trim and dirty tracking on a table of any format, against a flat array of pages and against the
 * separately written walkers. The input: one byte chooses the table, one how it is stored and where the window of pages
 * lies, then steps.
 */
#include "tests/fixtures/pt_compared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGES 1024u /* of the window; they begin and end inside of larger leaves */

struct step {
	u8 action, flags;
	u16 page, pages, physical;
};

struct page {
	bool mapped;
	u64 physical;
	unsigned flags;
};

struct game {
	struct isolde_pt_config config;
	struct pt_store store;
	struct isolde_pt *pt;
	struct isolde_pt_gather gather;
	struct walker walker;
	u64 page_size, window;
	bool tracking;
	struct page pages[PAGES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "pt_ops: %s\n", what);
	abort();
}

static u64 iova_of(const struct game *game, unsigned page)
{
	return game->window + page * game->page_size;
}

/* Both walkers and the model, at one byte of a page. */
static void check_page(struct game *game, unsigned page, u64 offset)
{
	const unsigned rw = ISOLDE_PT_READ | ISOLDE_PT_WRITE;
	const struct page *expected = &game->pages[page];
	char difference[PT_DIFFERENCE];
	struct walker_result result;
	bool privileged = expected->flags & ISOLDE_PT_PRIVILEGED;
	u64 iova = iova_of(game, page) + offset;

	walker_walk(&game->walker, iova, privileged ? WALKER_PRIVILEGED : 0, &result);
	expect(result.fault == (expected->mapped ? WALKER_OK : WALKER_NOT_PRESENT), walker_fault_name(result.fault));
	if (expected->mapped) {
		expect(result.physical == expected->physical + offset, "the physical address");
		/* Where write-only cannot be said, READ comes with WRITE. */
		expect((result.permission & rw) == (expected->flags & rw) ||
			       (result.permission & rw) == ((expected->flags & rw) | ISOLDE_PT_READ),
		       "the permission");
	}
	for (unsigned access = 0; access < 4; access++)
		expect(pt_agree(game->pt, &game->walker, iova, access, difference), difference);
}

/* A range, the page before it and the one behind; of long ones not every page. */
static void check_pages(struct game *game, unsigned first, unsigned count)
{
	unsigned from = first ? first - 1 : 0, to = first + count < PAGES ? first + count : PAGES - 1;

	for (unsigned page = from; page <= to; page++)
		if (page < first + 2 || page + 3 > first + count || page % 16 == 0)
			check_page(game, page, page * 97 % game->page_size);
}

static unsigned mapped_pages(const struct game *game, unsigned page, unsigned count)
{
	unsigned mapped = 0;

	for (unsigned i = page; i < page + count; i++)
		mapped += game->pages[i].mapped;
	return mapped;
}

static void map(struct game *game, const struct step *step, unsigned page, unsigned count)
{
	unsigned flags = (step->flags & isolde_pt_flags(game->pt)) | (step->flags & 0x80 ? 0 : ISOLDE_PT_READ);
	/* Often congruent with the address, so that large leaves fit. */
	u64 physical = step->action & 0x40 ? (u64)step->physical * game->page_size
					   : ((u64)(step->physical & 15) << 30) + iova_of(game, page) % (1ull << 30);
	int ret = isolde_pt_map(game->pt, iova_of(game, page), physical, count * game->page_size, flags, &game->gather);

	if (count == 0) {
		expect(ret == -EINVAL, "map of nothing");
		return;
	}
	if (ret == -EINVAL) {
		expect(flags != ISOLDE_PT_READ, "map for reading is invalid");
		return;
	}
	if (mapped_pages(game, page, count)) {
		expect(ret == -EADDRINUSE, "map over a mapping");
		return;
	}
	expect(ret == 0 || ret == -ENOMEM, "map");
	for (unsigned i = 0; ret == 0 && i < count; i++)
		game->pages[page + i] = (struct page){true, physical + i * game->page_size, flags};
	game->walker = pt_walker_of(&game->config, game->pt);
}

/* The leaves of a table are the walker's to know. */
static void leaf_at(const struct game *game, u64 iova, u64 *start, u64 *size)
{
	struct walker_result result;

	walker_walk(&game->walker, iova, 0, &result);
	*size = result.leaf_size;
	*start = iova & ~(result.leaf_size - 1);
}

static void unmap(struct game *game, unsigned page, unsigned count)
{
	u64 iova = iova_of(game, page), bytes = count * game->page_size, removed = 0, start, size;
	int ret = 0;

	if (count && mapped_pages(game, page, count) == count) {
		leaf_at(game, iova, &start, &size);
		ret = start == iova ? 0 : -EINVAL;
		leaf_at(game, iova + bytes - 1, &start, &size);
	}
	if (count == 0 || mapped_pages(game, page, count) != count)
		ret = isolde_pt_unmap(game->pt, iova, bytes, &game->gather, &removed) ? -1 : 0;
	else
		expect(isolde_pt_unmap(game->pt, iova, bytes, &game->gather, &removed) == ret, "unmap");
	if (ret)
		return;
	expect(count && mapped_pages(game, page, count) == count, "unmap of a hole");
	expect(removed == start + size - iova, "the bytes removed");
	for (unsigned i = 0; i < removed / game->page_size; i++)
		game->pages[page + i].mapped = false;
}

/* A leaf is dirty when any of its entries is. */
static bool is_dirty(const struct game *game, u64 start, u64 size)
{
	struct walker_result result;

	for (u64 iova = start; iova - start < size; iova += result.entry_size) {
		walker_walk(&game->walker, iova, 0, &result);
		if (result.dirty)
			return true;
	}
	return false;
}

static void track(struct game *game, bool on)
{
	int ret = isolde_pt_set_dirty(game->pt, on);
	u64 start, size;

	expect(ret == (game->config.features & ISOLDE_PT_DIRTY ? 0 : -EOPNOTSUPP), "set_dirty");
	if (ret)
		return;
	game->tracking = on;
	for (unsigned page = 0; on && page < PAGES; page++) {
		if (!game->pages[page].mapped)
			continue;
		leaf_at(game, iova_of(game, page), &start, &size);
		expect(!is_dirty(game, start, size), "a dirty leaf when tracking begins");
		page += (unsigned)(size / game->page_size) - 1;
	}
}

static void write_page(struct game *game, unsigned page)
{
	struct isolde_pt_walk walk;
	unsigned access = ISOLDE_PT_WRITE | (game->pages[page].flags & ISOLDE_PT_PRIVILEGED);

	isolde_pt_walk(game->pt, iova_of(game, page), access, &walk);
}

/* The bits of one leaf; says whether it ends up clean. */
static bool expect_bits(const struct game *game, u64 start, u64 size, u64 first, u64 bytes, u64 unit, u64 *bitmap)
{
	u64 from = max_u64(start, first), last = min_u64(start + size - 1, first + bytes - 1);

	if (!is_dirty(game, start, size))
		return true;
	for (u64 bit = (from - first) / unit; bit <= (last - first) / unit; bit++)
		bitmap[bit / 64] |= BIT(bit % 64);
	return from == start && last == start + size - 1;
}

/* What a range's bitmap must be, and which of its leaves must be clean afterwards (by their first page). */
static void expect_dirty(struct game *game, unsigned page, unsigned count, u64 unit, u64 *bitmap, bool *clean)
{
	u64 first = iova_of(game, page), start, size;

	for (unsigned i = page; i < page + count; i++) {
		if (!game->pages[i].mapped)
			continue;
		leaf_at(game, iova_of(game, i), &start, &size);
		clean[i] = expect_bits(game, start, size, first, count * game->page_size, unit, bitmap);
		i += (unsigned)((start + size - iova_of(game, i)) / game->page_size) - 1;
	}
}

static void read_dirty(struct game *game, const struct step *step, unsigned page, unsigned count)
{
	u64 bitmap[PAGES / 64], expected[PAGES / 64], unit = game->page_size << (step->flags & 3), start, size;
	unsigned flags = step->flags & 4 ? ISOLDE_PT_NO_CLEAR : 0;
	bool clean[PAGES] = {false};
	int ret;

	memset(bitmap, step->physical & 1 ? 0x11 : 0, sizeof(bitmap));
	memcpy(expected, bitmap, sizeof(bitmap));
	if (game->tracking)
		expect_dirty(game, page, count, unit, expected, clean);
	ret = isolde_pt_read_dirty(game->pt, iova_of(game, page), count * game->page_size, unit, flags, bitmap,
				   &game->gather);
	if (!(game->config.features & ISOLDE_PT_DIRTY)) {
		expect(ret == -EOPNOTSUPP, "read_dirty without dirty bits");
		return;
	}
	if (!game->tracking || !count || count * game->page_size % unit || iova_of(game, page) % unit) {
		expect(ret == -EINVAL, "read_dirty that is misaligned, or without tracking");
		return;
	}
	expect(ret == 0, "read_dirty");
	expect(memcmp(bitmap, expected, sizeof(bitmap)) == 0, "the bitmap");
	for (unsigned i = page; i < page + count; i++) {
		if (!clean[i] || flags)
			continue;
		leaf_at(game, iova_of(game, i), &start, &size);
		expect(!is_dirty(game, start, size), "a leaf that was read is still dirty");
	}
}

/* What is rarer than map and unmap. */
static void perform_other(struct game *game, const struct step *step, unsigned page, unsigned count)
{
	switch (step->action >> 3 & 3) {
	case 0:
		game->store.fail = 1 + (step->pages & 7);
		break;
	case 1:
		track(game, step->flags & 1);
		break;
	case 2:
		write_page(game, page);
		break;
	default:
		read_dirty(game, step, page, count);
	}
}

static void perform(struct game *game, const struct step *step)
{
	unsigned page = step->page % PAGES, count = step->pages % (PAGES - page + 1);

	if (step->action & 0x20)
		count %= 64;
	switch (step->action & 7) {
	case 0:
	case 1:
	case 2:
		map(game, step, page, count);
		break;
	case 3:
	case 4:
		unmap(game, page, count);
		break;
	case 5:
		isolde_pt_trim(game->pt, iova_of(game, page), count * game->page_size, &game->gather);
		break;
	case 6:
		isolde_pt_gather_drain(game->pt, &game->gather);
		break;
	default:
		perform_other(game, step, page, count);
		return;
	}
	check_pages(game, page, count);
}

/* At the bottom, at the top, or across a border of large leaves in between. */
static u64 window_at(const struct game *game, unsigned choice)
{
	u64 first = isolde_pt_first_iova(game->pt), last = isolde_pt_last_iova(game->pt);
	u64 border = choice == 2 ? 0x8000000000 : 0x40000000;

	if (choice == 0)
		return first;
	if (choice == 1)
		return last - PAGES * game->page_size + 1;
	if (border >= last - first)
		border = (last - first) / 2 + 1;
	return first + border - PAGES / 2 * game->page_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct game *game;

	if (size < 2)
		return 0;
	game = calloc(1, sizeof(*game));
	expect(game, "no memory");
	game->config = compared_tables[data[0] % compared_table_count].config;
	game->gather = (struct isolde_pt_gather)ISOLDE_PT_GATHER_INIT;
	pt_store_init(&game->store, 0x7700000000);
	game->store.big_endian = data[1] & 4;
	game->config.memory = pt_store_memory(&game->store);
	expect(isolde_pt_new(&game->config, &game->pt) == 0, "isolde_pt_new");
	game->walker = pt_walker_of(&game->config, game->pt);
	game->page_size = isolde_pt_page_sizes(game->pt) & -isolde_pt_page_sizes(game->pt);
	game->window = window_at(game, data[1] & 3);
	for (data += 2, size -= 2; size >= sizeof(struct step);
	     data += sizeof(struct step), size -= sizeof(struct step)) {
		struct step step;

		memcpy(&step, data, sizeof(step));
		perform(game, &step);
	}
	for (unsigned page = 0; page < PAGES; page++)
		check_page(game, page, 0);
	isolde_pt_check(game->pt);
	isolde_pt_gather_drain(game->pt, &game->gather);
	isolde_pt_free(game->pt);
	expect(game->store.in_use == 0, "table memory is left");
	pt_store_clear(&game->store);
	free(game);
	return 0;
}
