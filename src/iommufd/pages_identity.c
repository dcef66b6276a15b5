/* SPDX-License-Identifier: MIT */
/*
 * Which page is behind what, computed when asked: from the client's mappings for its addresses, from the file for the
 * rest. Runs of pages are compared, not single ones.
 */
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "iommufd/ioas.h"
#include "iommufd/iommufd.h"
#include "mem/vma.h"

/* Pages that follow each other in the same space. */
struct page_run {
	struct page_identity first;
	u64 count;
};

/* The run that begins at the client's address, at most npages long. */
static int client_run(struct client *client, u64 address, u64 npages, struct page_run *ret, struct why *why)
{
	char who[CLIENT_DESCRIPTION];
	struct vma vma;
	u64 offset;

	if (atomic_load_explicit(&client->gone, memory_order_acquire) || !vma_find(client, address, &vma) ||
	    vma.start > address || !vma.readable)
		return refuse(why, CLIENT_FAULT, "%s has nothing to read at 0x%llx", client_describe(client, who),
			      (unsigned long long)address);
	offset = address - vma.start;
	*ret = (struct page_run){
		.first = {.space = client, .page = address >> PAGE_SHIFT, .huge = vma.page_size > PAGE_SIZE},
		.count = min_u64(npages, (vma.last - address + 1) >> PAGE_SHIFT),
	};
	if (vma.shared && vma.inode) {
		ret->first.space = NULL;
		ret->first.device = makedev(vma.device_major, vma.device_minor);
		ret->first.inode = vma.inode;
		ret->first.page = (vma.file_offset + offset) >> PAGE_SHIFT;
	}
	return 0;
}

int client_page_identity(struct client *client, u64 address, struct page_identity *ret, struct why *why)
{
	struct page_run run;
	int err = client_run(client, address, 1, &run, why);

	if (err == 0)
		*ret = run.first;
	return err;
}

/* The run that begins with page `index` of pages. */
static int pages_run(const struct pages *pages, u64 index, struct page_run *ret, struct why *why)
{
	const struct pages_side *side = pages->side;

	ret->count = pages_count(pages) - index;
	if (side && side->file) {
		ret->first = (struct page_identity){
			.device = side->file->device,
			.inode = side->file->inode,
			.page = (side->file_start >> PAGE_SHIFT) + index,
			.huge = memory_file_huge(side->file),
		};
		return 0;
	}
	if (pages->kind == PAGES_USER)
		return client_run(pages->client, pages->extent.address + (index << PAGE_SHIFT), ret->count, ret, why);
	/* A file that is no memory is like a buffer nobody else has. */
	ret->first = (struct page_identity){
		.space = pages->kind == PAGES_BUFFER ? (const void *)side->importer.buffer : pages,
		.page = (pages->extent.address >> PAGE_SHIFT) + index,
	};
	return 0;
}

int pages_identity(const struct pages *pages, u64 index, struct page_identity *ret, struct why *why)
{
	struct page_run run;
	int err = pages_run(pages, index, &run, why);

	if (err == 0)
		*ret = run.first;
	return err;
}

/* ---- counting ---- */

/* What is asked about: runs that make up a range of a client's addresses. */
struct question {
	struct page_run *runs; /* owned */
	size_t nruns, room;
	u32 *counts; /* one for each page, the runs' one behind the other */
};

static bool same_space(const struct page_identity *a, const struct page_identity *b)
{
	return a->space == b->space && a->device == b->device && a->inode == b->inode;
}

/* Pages `index`... of pages are the run: whatever of it was asked about and is pinned counts. */
static void count_run(const struct question *question, const struct pages *pages, u64 index, const struct page_run *run)
{
	u64 before = 0;

	for (size_t i = 0; i < question->nruns; before += question->runs[i++].count) {
		const struct page_run *asked = &question->runs[i];
		u64 first = max_u64(asked->first.page, run->first.page);
		u64 beyond = min_u64(asked->first.page + asked->count, run->first.page + run->count);

		if (!same_space(&asked->first, &run->first))
			continue;
		for (u64 page = first; page < beyond; page++)
			if (pages_covers(pages, index + (page - run->first.page)))
				question->counts[before + (page - asked->first.page)]++;
	}
}

static void count_pages(const struct question *question, const struct pages *pages)
{
	struct page_run run;
	struct why why;

	/* What its client has unmapped, or left behind, is nobody's. */
	for (u64 index = 0; index < pages_count(pages) && pages->ready; index += run.count) {
		if (pages_run(pages, index, &run, &why) < 0)
			run.count = 1;
		else
			count_run(question, pages, index, &run);
	}
}

typedef void visit_pages(void *argument, struct pages *pages);

/* Each pages object of each IOAS once: areas share them. */
static void for_all_pages(struct iommufd *iommufd, visit_pages *visit, void *argument)
{
	struct context *context;
	struct object *object;
	struct itree_node *node;

	for (int round = 0; round < 2; round++) {
		list_for_each(context, &iommufd->contexts, link) {
			for (u32 id = 0; (object = context_next(context, &id)); id++) {
				if (object->class != &ioas_class)
					continue;
				itree_for_each(node, &ioas_of(object)->space.areas, 0, UINT64_MAX) {
					struct pages *pages = area_pages(ioas_area_of(node));

					if (round == 0 && !pages->seen && visit)
						visit(argument, pages);
					pages->seen = round == 0;
				}
			}
		}
	}
}

static void count_visited(void *argument, struct pages *pages)
{
	count_pages(argument, pages);
}

int iommufd_count_pins(struct iommufd *iommufd, struct client *client, u64 address, u64 npages, u32 *counts, bool *huge,
		       struct why *why)
{
	struct question question = {.counts = counts};
	int err = 0;

	memset(counts, 0, npages * sizeof(counts[0]));
	for (u64 done = 0; err == 0 && done < npages;) {
		struct page_run run;

		err = alloc_grow((void **)&question.runs, &question.room, question.nruns, sizeof(run), why);
		if (err == 0)
			err = client_run(client, address + (done << PAGE_SHIFT), npages - done, &run, why);
		if (err < 0)
			break;
		for (u64 i = 0; huge && i < run.count; i++)
			huge[done + i] = run.first.huge;
		question.runs[question.nruns++] = run;
		done += run.count;
	}
	if (err == 0)
		for_all_pages(iommufd, count_visited, &question);
	free(question.runs);
	return err;
}
