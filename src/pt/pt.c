/* SPDX-License-Identifier: MIT */
/* The contract of isolde/pt.h: arguments are checked here, once for all formats; the format does the rest. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "pt/format.h"

static const struct pt_ops *const formats[ISOLDE_PT_FORMATS] = {
	[ISOLDE_PT_VTDSS] = &vtdss_ops,
};

struct isolde_pt *isolde_pt_new(enum isolde_pt_format format)
{
	struct why why;
	struct isolde_pt *pt;

	if ((unsigned)format >= ISOLDE_PT_FORMATS)
		return NULL;
	pt = alloc_new(struct isolde_pt, &why);
	if (!pt)
		return NULL;
	pt->ops = formats[format];
	if (!pt->ops->init(pt)) {
		free(pt);
		return NULL;
	}
	return pt;
}

void isolde_pt_free(struct isolde_pt *pt)
{
	if (!pt)
		return;
	pt->ops->fini(pt);
	free(pt);
}

uint64_t isolde_pt_page_sizes(const struct isolde_pt *pt)
{
	return pt->ops->page_sizes;
}

uint64_t isolde_pt_last_iova(const struct isolde_pt *pt)
{
	return MASK(pt->ops->input_bits - 1, 0);
}

static bool beyond(u64 start, u64 size, unsigned bits)
{
	return range_overflows(start, size) || start + size - 1 > MASK(bits - 1, 0);
}

int isolde_pt_map(struct isolde_pt *pt, uint64_t iova, uint64_t physical, uint64_t size, unsigned permission)
{
	const unsigned known = ISOLDE_PT_READ | ISOLDE_PT_WRITE;

	if (!size || !is_aligned(iova | physical | size, PAGE_SIZE))
		return -EINVAL;
	if (!permission || permission & ~known)
		return -EINVAL;
	if (beyond(iova, size, pt->ops->input_bits) || beyond(physical, size, pt->ops->output_bits))
		return -ERANGE;
	return pt->ops->map(pt, iova, physical, size, permission);
}

uint64_t isolde_pt_unmap(struct isolde_pt *pt, uint64_t iova, uint64_t size)
{
	if (!size || !is_aligned(iova | size, PAGE_SIZE) || beyond(iova, size, pt->ops->input_bits))
		return 0;
	return pt->ops->unmap(pt, iova, size);
}

enum isolde_pt_fault isolde_pt_walk(const struct isolde_pt *pt, uint64_t iova, unsigned permission,
				    struct isolde_pt_walk *ret)
{
	if (iova > isolde_pt_last_iova(pt))
		return ISOLDE_PT_ADDRESS;
	return pt->ops->walk(pt, iova, permission, ret);
}

uint64_t isolde_pt_iova_to_phys(const struct isolde_pt *pt, uint64_t iova)
{
	struct isolde_pt_walk walk;

	return isolde_pt_walk(pt, iova, 0, &walk) == ISOLDE_PT_OK ? walk.physical : 0;
}

size_t isolde_pt_memory(const struct isolde_pt *pt)
{
	return pt->tables * PAGE_SIZE;
}

void isolde_pt_check(const struct isolde_pt *pt)
{
	pt->ops->check(pt);
}
