/* SPDX-License-Identifier: MIT */
/*
 * What is pinned is a set of page numbers: the union of the spans that areas in domains, and accesses, cover. Nearly
 * all pages have one area, which covers them whole; `whole` counts those, and nothing else is needed. Spans that cover
 * a part are ranges in a tree, each with a count, and what becomes covered or uncovered with one is found in the gaps
 * of the others. So every page is checked and charged once, when its first cover comes, and paid back with its last.
 *
 * "Pinned" memory is not locked on the host: it was there, as checked, when it was pinned. Our own process's memory is
 * then used at its address; that of shared files by a mapping of ours, which outlives the client's; other memory
 * through the client's process.
 */
#include "iommufd/pages.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/iommufd.h"
#include "mem/guard.h"
#include "mem/vma.h"

/* A span that is covered in part of the pages. */
struct pin_range {
	struct itree_node node;
	u32 count;
};

_Static_assert(sizeof(struct ioas_area) == 80 && sizeof(struct pages) <= 184, "there may be millions");

/* ---- making ---- */

static void side_free(struct pages_side *side)
{
	if (!side)
		return;
	assert(!side->ranges.root && list_empty(&side->views));
	file_window_put(side->window);
	memory_file_put(side->file);
	buffer_let_go(&side->importer);
	free(side);
}
static struct pages_side *side_new(struct why *why)
{
	struct pages_side *side = alloc_new(struct pages_side, why);

	if (side)
		list_init(&side->views);
	return side;
}

/* The side of pages that did without so far. */
static int need_side(struct pages *pages, struct why *why)
{
	if (!pages->side)
		pages->side = side_new(why);
	return pages->side ? 0 : -why->err;
}

/* address: of the first byte, in whatever it is. */
static int pages_new(const struct pages_maker *maker, enum pages_kind kind, u64 address, u64 size, struct pages **ret,
		     struct why *why)
{
	u64 start = align_down(address, PAGE_SIZE);
	struct pages *pages;
	struct payer payer = {.mode = CHARGE_NONE};
	int err;

	if (!size || size > UINT64_MAX - PAGE_SIZE)
		return refuse(why, IOAS_RANGE_EMPTY, "0x%llx bytes at 0x%llx cannot be mapped",
			      (unsigned long long)size, (unsigned long long)address);
	pages = alloc_new(struct pages, why);
	if (!pages)
		return -why->err;
	err = kind == PAGES_BUFFER
		      ? 0
		      : payer_settle(&maker->iommufd->accounts, maker->client, maker->charge_mode, &payer, why);
	if (err < 0) {
		free(pages);
		return err;
	}
	pages->extent.node.last = align_up(size + (address - start), PAGE_SIZE) - 1;
	pages->extent.address = start;
	pages->client = client_get(maker->client);
	/* What its addresses mean now, whatever the process becomes; and whose pages these are. */
	if (kind != PAGES_BUFFER && !maker->client->own)
		client_hold_memory(maker->client);
	pages->refs = 1;
	pages->account = payer.account;
	pages->charge_mode = (u8)payer.mode;
	pages->kind = kind;
	pages->writable = maker->writable;
	*ret = pages;
	return 0;
}

int pages_new_user(const struct pages_maker *maker, u64 address, u64 size, struct pages **ret, struct why *why)
{
	return pages_new(maker, PAGES_USER, address, size, ret, why);
}

int pages_new_file(const struct pages_maker *maker, struct memory_file *file, u64 start, u64 size, struct pages **ret,
		   struct why *why)
{
	struct pages_side *side = side_new(why);
	int err = side ? pages_new(maker, PAGES_FILE, start, size, ret, why) : -why->err;

	if (err < 0) {
		side_free(side);
		memory_file_put(file);
		return err;
	}
	side->file = file;
	side->file_start = (*ret)->extent.address;
	(*ret)->side = side;
	return 0;
}

/* drivers/iommu/iommufd/pages.c:iopt_alloc_dmabuf_pages() */
static int check_buffer_range(const struct shared_buffer *buffer, u64 start, u64 size, struct why *why)
{
	if (start + (size - 1) < buffer->size && size >> PAGE_SHIFT < UINT32_MAX)
		return 0;
	return refuse(why, IOAS_BUFFER_RANGE, "[0x%llx, 0x%llx] of a dma-buf of 0x%llx bytes",
		      (unsigned long long)start, (unsigned long long)(start + (size - 1)),
		      (unsigned long long)buffer->size);
}

int pages_new_buffer(const struct pages_maker *maker, struct shared_buffer *buffer, u64 start, u64 size,
		     void (*revoked)(struct buffer_importer *importer), struct pages **ret, struct why *why)
{
	struct pages_side *side = NULL;
	struct pages *pages = NULL;
	int err = check_buffer_range(buffer, start, size, why);

	if (err == 0) {
		side = side_new(why);
		err = side ? pages_new(maker, PAGES_BUFFER, start, size, &pages, why) : -why->err;
	}
	if (err < 0) {
		side_free(side);
		return err;
	}
	pages->side = side;
	side->importer.revoked = revoked;
	err = buffer_import(buffer, &side->importer, why);
	if (err < 0) {
		pages_put(maker->iommufd, pages);
		return err;
	}
	pages->extent.direct = buffer->memory + pages->extent.address;
	pages->ready = true;
	*ret = pages;
	return 0;
}

void pages_put(struct iommufd *iommufd, struct pages *pages)
{
	if (--pages->refs)
		return;
	assert(!pages->whole && !pages->first_used);
	if (pages_framed(pages))
		iommu_remove_frames(iommufd->iommu, &pages->extent);
	pages->extent.node = (struct itree_node){.parent = NULL};
	extent_fini(&pages->extent);
	side_free(pages->side);
	client_put(pages->client);
	free(pages);
}

int area_new(struct pages *pages, struct ioas_area **ret, struct why *why)
{
	struct ioas_area *area = &pages->first;

	if (pages->first_used) {
		area = alloc_new(struct ioas_area, why);
		if (!area)
			return -why->err;
	} else {
		*area = (struct ioas_area){.pins = 0};
		pages->first_used = true;
	}
	area->area.extent = &pages_get(pages)->extent;
	*ret = area;
	return 0;
}

void area_free(struct iommufd *iommufd, struct ioas_area *area)
{
	struct pages *pages = area_pages(area);

	assert(!area->pins && !area->locks && !itree_linked(&area->area.node));
	if (area == &pages->first)
		pages->first_used = false;
	else
		free(area);
	pages_put(iommufd, pages);
}

/* ---- what is behind them ---- */

/* Memory of a shared file, all of it in one mapping, is reached by a mapping of ours. */
static int find_window(struct iommufd *iommufd, struct pages *pages, struct why *why)
{
	u64 start = pages->extent.address, size = extent_size(&pages->extent);
	struct memory_file *file = NULL;
	struct vma vma;
	int err;

	if (!vma_find(pages->client, start, &vma) || vma.start > start || vma.last - start < size - 1)
		return 0;
	err = memory_file_behind(&iommufd->files, pages->client, &vma, &file, why);
	if (err < 0 || !file)
		return err;
	err = need_side(pages, why);
	if (err == 0)
		err = file_window_get(file, vma.file_offset + (start - vma.start) + size, &pages->side->window, why);
	if (err < 0) {
		memory_file_put(file);
		return err;
	}
	pages->side->file = file;
	pages->side->file_start = vma.file_offset + (start - vma.start);
	return 0;
}

/* While nothing is pinned, another process may map other memory at its address; ours is used at its address. */
static bool may_be_another(const struct pages *pages)
{
	return pages->kind == PAGES_USER && !pages->client->own && !pages->whole &&
	       !(pages->side && pages->side->ranges.root);
}

/* No domain has it, so only devices with physical addresses may be there. */
static void forget_memory(struct iommufd *iommufd, struct pages *pages)
{
	struct extent *extent = &pages->extent;
	u64 size = extent_size(extent);

	if (pages_framed(pages))
		iommu_remove_frames(iommufd->iommu, extent);
	extent->node = (struct itree_node){.last = size - 1};
	extent->direct = NULL;
	client_put(take(extent->client));
	if (pages->side) {
		file_window_put(take(pages->side->window));
		memory_file_put(take(pages->side->file));
	}
	pages->ready = false;
}

/* Something of it is about to be used. */
static int make_ready(struct iommufd *iommufd, struct pages *pages, struct why *why)
{
	struct pages_side *side;
	int err = 0;

	if (pages->ready && may_be_another(pages))
		forget_memory(iommufd, pages);
	if (pages->ready)
		return 0;
	if (pages->kind == PAGES_FILE)
		err = file_window_get(pages->side->file, pages->side->file_start + extent_size(&pages->extent),
				      &pages->side->window, why);
	else if (!pages->client->own)
		err = find_window(iommufd, pages, why);
	if (err < 0)
		return err;
	side = pages->side;
	if (side && side->window)
		pages->extent.direct = side->window->memory + side->file_start;
	else if (pages->client->own)
		pages->extent.direct = (u8 *)(uintptr_t)pages->extent.address;
	else
		pages->extent.client = client_get(pages->client);
	pages->ready = true;
	return 0;
}

/* Can these be pinned? They are not covered by anybody. */
static int check_span(const struct pages *pages, struct page_span span, struct why *why)
{
	u64 start = pages->extent.address + (span.first << PAGE_SHIFT);
	u64 size = (span.last - span.first + 1) << PAGE_SHIFT;
	char who[CLIENT_DESCRIPTION];

	if (!fallible())
		return refuse(why, CLIENT_FAULT, "[0x%llx, 0x%llx] was to fail", (unsigned long long)start,
			      (unsigned long long)(start + size - 1));
	switch (pages->kind) {
	case PAGES_USER:
		if (!atomic_load_explicit(&pages->client->gone, memory_order_acquire))
			return client_check_pin(pages->client, start, size, pages->writable, why);
		return refuse(why, CLIENT_FAULT, "%s has ended, and nothing was pinned at 0x%llx",
			      client_describe(pages->client, who), (unsigned long long)start);
	case PAGES_FILE:
		if (pages->side->file)
			return memory_file_check(pages->side->file, start, size, why);
		return refuse(why, FILE_NOT_MEMORY, "a file of the machine itself is no memory");
	default:
		return 0;
	}
}

/* ---- covering ---- */

static u64 span_count(struct page_span span)
{
	return span.last - span.first + 1;
}

static struct page_span all_of(const struct pages *pages)
{
	return (struct page_span){0, pages_count(pages) - 1};
}

static bool is_all(const struct pages *pages, struct page_span span)
{
	return span.first == 0 && span.last == pages_count(pages) - 1;
}

/* The first run of the span that ranges leave uncovered. */
static bool next_uncovered(const struct pages *pages, struct page_span span, struct page_span *ret)
{
	if (pages->side)
		return itree_gap(&pages->side->ranges, span.first, span.last, &ret->first, &ret->last);
	*ret = span;
	return true;
}

/* How many pages of the span ranges leave uncovered; with why not NULL, each run is checked. */
static int visit_uncovered(const struct pages *pages, struct page_span span, u64 *ret_count, struct why *why)
{
	struct page_span run;

	*ret_count = 0;
	while (next_uncovered(pages, span, &run)) {
		int err = why ? check_span(pages, run, why) : 0;

		if (err < 0)
			return err;
		*ret_count += span_count(run);
		if (run.last == span.last)
			break;
		span.first = run.last + 1;
	}
	return 0;
}

static struct payer payer_of(const struct pages *pages)
{
	return (struct payer){.mode = (enum charge_mode)pages->charge_mode, .account = pages->account};
}

/* Pins what of the span nobody covers. */
static int pin(struct iommufd *iommufd, struct pages *pages, struct page_span span, struct why *why)
{
	struct payer payer = payer_of(pages);
	u64 count;
	int err;

	if (pages->kind == PAGES_BUFFER || pages->whole)
		return 0;
	err = visit_uncovered(pages, span, &count, why);
	if (err == 0)
		err = make_ready(iommufd, pages, why);
	if (err == 0 && count)
		err = payer_charge(&iommufd->accounts, &payer, pages->client, count << PAGE_SHIFT, why);
	return err;
}

static void unpin(struct iommufd *iommufd, struct pages *pages, struct page_span span)
{
	struct payer payer = payer_of(pages);
	u64 count;

	if (pages->kind == PAGES_BUFFER || pages->whole)
		return;
	visit_uncovered(pages, span, &count, NULL);
	payer_uncharge(&iommufd->accounts, &payer, pages->client, count << PAGE_SHIFT);
}

static struct pin_range *find_range(const struct pages *pages, struct page_span span)
{
	struct itree_node *node;

	if (pages->side)
		itree_for_each(node, &pages->side->ranges, span.first, span.last)
			if (node->start == span.first && node->last == span.last)
				return container_of(node, struct pin_range, node);
	return NULL;
}

static int cover_part(struct iommufd *iommufd, struct pages *pages, struct page_span span, struct why *why)
{
	struct pin_range *range = find_range(pages, span);
	int err;

	if (range) {
		range->count++;
		return 0;
	}
	err = need_side(pages, why);
	if (err < 0)
		return err;
	range = alloc_new(struct pin_range, why);
	if (!range)
		return -why->err;
	err = pin(iommufd, pages, span, why);
	if (err < 0) {
		free(range);
		return err;
	}
	range->node.start = span.first;
	range->node.last = span.last;
	range->count = 1;
	itree_insert(&pages->side->ranges, &range->node);
	return 0;
}

int pages_cover(struct iommufd *iommufd, struct pages *pages, struct page_span span, struct why *why)
{
	int err;

	if (!is_all(pages, span))
		return cover_part(iommufd, pages, span, why);
	err = pin(iommufd, pages, span, why);
	if (err == 0)
		pages->whole++;
	return err;
}

void pages_uncover(struct iommufd *iommufd, struct pages *pages, struct page_span span)
{
	if (is_all(pages, span)) {
		assert(pages->whole > 0);
		pages->whole--;
	} else {
		struct pin_range *range = find_range(pages, span);

		assert(range);
		if (--range->count)
			return;
		itree_remove(&pages->side->ranges, &range->node);
		free(range);
	}
	unpin(iommufd, pages, span);
}

u64 pages_pinned(const struct pages *pages)
{
	u64 uncovered = 0;

	if (pages->kind == PAGES_BUFFER)
		return 0;
	if (!pages->whole)
		visit_uncovered(pages, all_of(pages), &uncovered, NULL);
	return pages_count(pages) - uncovered;
}

bool pages_covers(const struct pages *pages, u64 index)
{
	return pages->whole || (pages->side && itree_first(&pages->side->ranges, index, index));
}

/* ---- frames ---- */

bool pages_framed(const struct pages *pages)
{
	return itree_linked(&pages->extent.node);
}

int pages_frame(struct iommufd *iommufd, struct pages *pages, u64 iova, struct why *why)
{
	struct extent frames;
	int err;

	if (pages_framed(pages))
		return 0;
	err = extent_init(&frames, &iommufd->iommu->frames, align_down(iova, PAGE_SIZE), extent_size(&pages->extent),
			  why);
	if (err < 0)
		return err;
	pages->extent.node = frames.node;
	iommu_insert_frames(iommufd->iommu, &pages->extent);
	return 0;
}

void pages_change_client(struct iommufd *iommufd, struct pages *pages, struct client *client, const struct payer *payer)
{
	struct payer before = payer_of(pages);
	struct client *old = pages->client;

	payer_uncharge(&iommufd->accounts, &before, old, pages_pinned(pages) << PAGE_SHIFT);
	pages->client = client_get(client);
	pages->account = payer->account;
	client_put(old);
}

/* ---- copying ---- */

/* Through what devices use, or the file itself where none does yet. */
static bool move(const struct pages *pages, u64 offset, void *buffer, u64 size, bool write)
{
	const struct extent *extent = &pages->extent;
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)(extent->address + offset), size};

	if (extent->direct)
		return write ? guard_copy(extent->direct + offset, buffer, size)
			     : guard_copy(buffer, extent->direct + offset, size);
	if (pages->kind == PAGES_FILE)
		return memory_file_copy(pages->side->file, pages->side->file_start + offset, buffer, size, write);
	return write ? client_dma_write(extent->client, &local, 1, &remote, 1)
		     : client_dma_read(extent->client, &local, 1, &remote, 1);
}

/* Between buffer and pages that are there. */
static int copy_ready(const struct pages *pages, u64 offset, void *buffer, u64 size, bool write, struct why *why)
{
	char who[CLIENT_DESCRIPTION];

	if (move(pages, offset, buffer, size, write) && fallible())
		return 0;
	return refuse(why, CLIENT_FAULT, "%s has no memory any more at 0x%llx (%llu bytes)",
		      client_describe(pages->client, who), (unsigned long long)(pages->extent.address + offset),
		      (unsigned long long)size);
}

/* What is not pinned is checked as if it were to be, page by page where it is not all there. */
static int copy_checked(const struct pages *pages, u64 offset, u8 *buffer, u64 size, bool write, struct why *why)
{
	struct page_span span = {offset >> PAGE_SHIFT, (offset + size - 1) >> PAGE_SHIFT};
	struct why first;
	u64 count;

	if (pages->whole || visit_uncovered(pages, span, &count, &first) == 0)
		return copy_ready(pages, offset, buffer, size, write, why);
	for (u64 done = 0; done < size;) {
		u64 piece = min_u64(size - done, PAGE_SIZE - ((offset + done) & ~PAGE_MASK));
		u64 index = (offset + done) >> PAGE_SHIFT;
		int err = pages_covers(pages, index) ? 0 : check_span(pages, (struct page_span){index, index}, why);

		if (err == 0)
			err = copy_ready(pages, offset + done, buffer + done, piece, write, why);
		if (err < 0)
			return err;
		done += piece;
	}
	return 0;
}

/* A device model's thread copies as the client that mapped it would, as long as that lives. */
static bool is_plain(const struct pages *pages, const struct client *asker)
{
	return asker ? asker == pages->client : !atomic_load_explicit(&pages->client->gone, memory_order_acquire);
}

int pages_copy(struct iommufd *iommufd, struct pages *pages, const struct client *asker, u64 offset, void *buffer,
	       u64 size, bool write, bool slowly, struct why *why)
{
	u64 address = pages->extent.address + offset;
	int err;

	if (pages->kind == PAGES_USER && is_plain(pages, asker) && !slowly)
		return write ? client_write(pages->client, address, buffer, size, why)
			     : client_read(pages->client, address, buffer, size, why);
	err = pages->kind == PAGES_FILE ? 0 : make_ready(iommufd, pages, why);
	return err < 0 ? err : copy_checked(pages, offset, buffer, size, write, why);
}

void pages_check(const struct pages *pages)
{
	const struct pages_side *side = pages->side;
	const struct itree_node *node;

	assert(pages->refs > 0);
	assert(is_aligned(pages->extent.address, PAGE_SIZE) && is_aligned(extent_size(&pages->extent), PAGE_SIZE));
	assert(pages->ready || !pages_pinned(pages));
	assert(pages->kind == PAGES_USER || side);
	if (!side)
		return;
	itree_check(&side->ranges);
	itree_for_each(node, &side->ranges, 0, UINT64_MAX) {
		assert(container_of((struct itree_node *)(uintptr_t)node, struct pin_range, node)->count > 0);
		assert(node->last < pages_count(pages));
	}
	assert((pages->kind == PAGES_BUFFER) == (side->importer.buffer != NULL));
	assert(!pages->revoked || pages->kind == PAGES_BUFFER);
	(void)node;
}
