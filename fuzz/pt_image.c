/* SPDX-License-Identifier: MIT */
/*
 * Hostile tables: an image of any bits at all is adopted and walked, and isolde gives the answer, and the fault, that
 * the separately written walkers give. The input: one byte chooses the kind of table, one the byte order, then entries.
 */
#include "tests/fixtures/pt_compared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLES	    16u /* that are there; entries may point anywhere */
#define MAX_ENTRIES 64u

/* One entry: in which table, at which place, and what. */
struct written {
	u8 table; /* 0x80: the value's address becomes that of table `table >> 4 & 7` */
	u8 unused;
	u16 index;
	u64 value;
} __attribute__((packed));

struct image {
	struct isolde_pt_config config;
	struct pt_store store;
	struct walker walker;
	unsigned table_shift; /* log2 of a table's bytes */
	struct written entries[MAX_ENTRIES];
	size_t count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static u64 table_address(const struct image *image, unsigned table)
{
	return image->store.base + ((u64)table << image->table_shift);
}

static u64 with_address(const struct image *image, u64 value, u64 address)
{
	if (image->walker.format == WALKER_RISCV)
		return (value & ~MASK(53, 10)) | address >> 2;
	return (value & ~MASK(51, image->table_shift)) | address;
}

static void write_entry(struct image *image, const struct written *entry)
{
	u64 where = table_address(image, entry->table & 15) + 8 * (entry->index & MASK(image->table_shift - 4, 0));
	u64 value = entry->value;

	if (entry->table & 0x80)
		value = with_address(image, value, table_address(image, entry->table >> 4 & 7));
	pt_store_put(&image->store, where, value);
}

/* An address that finds the entries from this one on, if each is in the table that the one before points to. */
static u64 address_through(const struct image *image, size_t first)
{
	unsigned bits = image->table_shift - 3;
	u64 iova = 0;

	for (unsigned i = 0; i < image->walker.levels; i++) {
		const struct written *entry = &image->entries[(first + i) % image->count];
		unsigned shift = image->table_shift + bits * (image->walker.levels - 1 - i);

		if (shift < 64)
			iova |= (u64)(i ? entry->index & MASK(bits - 1, 0) : entry->index) << shift;
	}
	return iova;
}

static void ask(struct image *image, const struct isolde_pt *pt, u64 iova)
{
	char difference[PT_DIFFERENCE];

	if (pt_agree_all(pt, &image->walker, iova, difference))
		return;
	fprintf(stderr, "pt_image: %s\n", difference);
	abort();
}

/* 64 pages from there on: each that its own entry calls dirty is. Nothing is changed. */
static void ask_dirty(struct image *image, const struct isolde_pt *pt, u64 iova)
{
	u64 page_size = BIT(image->table_shift), bitmap = 0, start = align_down(iova, 64 * page_size);
	int ret = isolde_pt_read_dirty((struct isolde_pt *)pt, start, 64 * page_size, page_size, ISOLDE_PT_NO_CLEAR,
				       &bitmap, NULL);

	for (unsigned page = 0; ret == 0 && page < 64; page++) {
		struct walker_result result;

		walker_walk(&image->walker, start + page * page_size, 0, &result);
		if (!result.dirty || result.fault == WALKER_RESERVED || result.fault == WALKER_OUTPUT ||
		    (bitmap & BIT(page)))
			continue;
		fprintf(stderr, "pt_image: page %u from %#llx on is dirty\n", page, (unsigned long long)start);
		abort();
	}
	if (ret != (image->config.features & ISOLDE_PT_DIRTY ? 0 : -EOPNOTSUPP) && ret != -ERANGE) {
		fprintf(stderr, "pt_image: read_dirty is %d\n", ret);
		abort();
	}
}

/* Each path, as it is, with its sign extended, and with something in its low bits. */
static void ask_all(struct image *image, const struct isolde_pt *pt)
{
	u64 upper = isolde_pt_first_iova(pt);

	for (size_t i = 0; i < image->count; i++) {
		u64 iova = address_through(image, i);

		ask(image, pt, iova);
		ask_dirty(image, pt, iova);
		ask(image, pt, iova | upper);
		ask(image, pt, iova ^ image->entries[i].value >> 40);
		ask(image, pt, image->entries[i].value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *image;
	struct isolde_pt *pt;

	if (size < 2 + sizeof(struct written))
		return 0;
	image = calloc(1, sizeof(*image));
	if (!image)
		abort();
	image->config = compared_tables[data[0] % compared_table_count].config;
	image->config.features &= ~(unsigned)ISOLDE_PT_GROW;
	image->table_shift = image->config.granule ? (unsigned)__builtin_ctz(image->config.granule) : 12;
	pt_store_init(&image->store, 0x1000000);
	image->store.big_endian = data[1] & 1;
	image->config.memory = pt_store_memory(&image->store);
	pt_store_use(&image->store, image->store.base, (u64)TABLES << image->table_shift);
	if (isolde_pt_adopt(&image->config, image->store.base, &pt))
		abort();
	image->walker = pt_walker_of(&image->config, pt);
	image->count = min_u64((size - 2) / sizeof(struct written), MAX_ENTRIES);
	memcpy(image->entries, data + 2, image->count * sizeof(struct written));
	for (size_t i = 0; i < image->count; i++)
		write_entry(image, &image->entries[i]);
	ask_all(image, pt);
	isolde_pt_free(pt);
	pt_store_clear(&image->store);
	free(image);
	return 0;
}
