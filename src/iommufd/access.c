/* SPDX-License-Identifier: MIT */
#include "iommufd/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/ioas.h"

struct access {
	struct object object;	      /* first */
	const struct access_ops *ops; /* borrowed; NULL: internal */
	void *data;
	struct ioas *ioas;	 /* used; may pin there. NULL: detached, or about to be */
	struct ioas *ioas_unpin; /* may unpin there still */
	struct list_link link;	 /* ioas->accesses, of ioas_unpin */
};

static bool is_internal(const struct access *access)
{
	return !access->ops;
}

static bool pins_pages(const struct access *access)
{
	return is_internal(access) || (access->ops->needs_pin_pages && access->ops->unmap);
}

static u64 alignment_of(const struct access *access)
{
	return is_internal(access) || access->ops->needs_pin_pages ? PAGE_SIZE : 1;
}

/* ---- life ---- */

static void access_free(struct object *object)
{
	struct access *access = object_entry(object, struct access, object);

	access_detach(access);
	object_fini(object);
	free(access);
}

static void access_describe(const struct object *object, char *text, size_t size)
{
	const struct access *access = container_of(object, const struct access, object);

	if (access->ioas)
		snprintf(text, size, " of IOAS %u", access->ioas->object.id);
}

const struct object_class access_class = {
	.name = "ACCESS",
	.kept = true,
	.free = access_free,
	.describe = access_describe,
};

static int access_new(struct context *context, const struct access_ops *ops, void *data, struct access **ret,
		      struct why *why)
{
	struct access *access = alloc_new(struct access, why);
	int err = access ? object_init(&access->object, &access_class, context, why) : -why->err;

	if (err < 0) {
		free(access);
		return err;
	}
	access->ops = ops;
	access->data = data;
	object_publish(&access->object);
	*ret = access;
	return 0;
}

int access_create(struct context *context, const struct access_ops *ops, void *data, struct access **ret,
		  struct why *why)
{
	int err = access_new(context, ops, data, ret, why);

	if (err == 0)
		context_get(context);
	return err;
}

int access_create_internal(struct context *context, struct access **ret, struct why *why)
{
	return access_new(context, NULL, NULL, ret, why);
}

void access_destroy(struct access *access)
{
	struct context *context;
	bool internal;

	if (!access)
		return;
	context = access->object.context;
	internal = is_internal(access);
	access_free(&access->object);
	if (!internal)
		context_put(context);
}

u32 access_id(const struct access *access)
{
	return access->object.id;
}

const struct ioas *access_ioas(const struct access *access)
{
	return access->ioas;
}

/* ---- attach ---- */

u64 accesses_alignment(const struct ioas *ioas)
{
	const struct access *access;
	u64 alignment = 1;

	list_for_each(access, &ioas->accesses, link)
		alignment = max_u64(alignment, alignment_of(access));
	return alignment;
}

void accesses_unmap(const struct ioas *ioas, u64 iova, u64 size)
{
	const struct access *access;

	list_for_each(access, &ioas->accesses, link)
		if (!is_internal(access) && access->ops->unmap)
			access->ops->unmap(access->data, iova, size);
}

/* The user unpins what it has there. */
static void leave(struct access *access)
{
	struct ioas *ioas = access->ioas_unpin;

	if (!ioas)
		return;
	access->ioas = NULL;
	if (!is_internal(access) && access->ops->unmap)
		access->ops->unmap(access->data, 0, UINT64_MAX);
	access->ioas_unpin = NULL;
	list_remove(&access->link);
	ioas_update_alignment(ioas);
	object_unuse(&ioas->object);
}

static void join(struct access *access, struct ioas *ioas)
{
	access->ioas = access->ioas_unpin = ioas;
	list_append(&ioas->accesses, &access->link);
	object_use(&ioas->object);
	ioas_update_alignment(ioas);
}

int access_attach_ioas(struct access *access, struct ioas *ioas, struct why *why)
{
	char name[OBJECT_TEXT];
	int err;

	if (access->ioas)
		return refuse(why, ACCESS_ATTACHED, "%s is attached already", object_describe(&access->object, name));
	err = ioas_check_alignment(ioas, alignment_of(access), why);
	if (err == 0)
		join(access, ioas);
	return err;
}

int access_attach(struct access *access, u32 ioas_id, struct why *why)
{
	char name[OBJECT_TEXT];
	struct ioas *ioas;
	int err;

	if (access->ioas)
		return refuse(why, ACCESS_ATTACHED, "%s is attached already", object_describe(&access->object, name));
	err = ioas_find(access->object.context, ioas_id, &ioas, why);
	return err < 0 ? err : access_attach_ioas(access, ioas, why);
}

static int refuse_detached(const struct access *access, struct why *why)
{
	char name[OBJECT_TEXT];

	return refuse(why, ACCESS_DETACHED, "%s is attached to no IOAS", object_describe(&access->object, name));
}

int access_replace(struct access *access, u32 ioas_id, struct why *why)
{
	struct ioas *ioas;
	int err;

	if (!access->ioas)
		return refuse_detached(access, why);
	err = ioas_find(access->object.context, ioas_id, &ioas, why);
	if (err < 0 || ioas == access->ioas)
		return err;
	err = ioas_check_alignment(ioas, alignment_of(access), why);
	if (err < 0)
		return err;
	leave(access);
	join(access, ioas);
	return 0;
}

void access_detach(struct access *access)
{
	leave(access);
}

/* ---- areas of a range ---- */

/* The part of [at, last] that one area shows. */
struct piece {
	struct ioas_area *area;
	u64 iova, last;
	u64 offset; /* in the pages */
};

/* false: nothing is mapped at `at`. */
static bool piece_at(const struct ioas *ioas, u64 at, u64 last, struct piece *ret)
{
	struct ioas_area *area = ioas_area_at(ioas, at);

	if (!area)
		return false;
	*ret = (struct piece){
		.area = area,
		.iova = at,
		.last = min_u64(last, area->area.node.last),
		.offset = area->area.offset + (at - area->area.node.start),
	};
	return true;
}

static u64 piece_size(const struct piece *piece)
{
	return piece->last - piece->iova + 1;
}

static struct page_span piece_span(const struct piece *piece)
{
	return (struct page_span){piece->offset >> PAGE_SHIFT,
				  (piece->offset + (piece->last - piece->iova)) >> PAGE_SHIFT};
}

static int refuse_hole(const struct access *access, u64 at, u64 iova, u64 last, struct why *why)
{
	char name[OBJECT_TEXT];

	return refuse(why, AREA_MISSING, "nothing is mapped at 0x%llx, in [0x%llx, 0x%llx], for %s",
		      (unsigned long long)at, (unsigned long long)iova, (unsigned long long)last,
		      object_describe(&access->object, name));
}

static int decode_range(const struct access *access, u64 iova, u64 size, struct why *why)
{
	char name[OBJECT_TEXT];

	if (!size)
		return refuse(why, ACCESS_EMPTY, "%s wants no bytes at 0x%llx", object_describe(&access->object, name),
			      (unsigned long long)iova);
	if (range_overflows(iova, size))
		return refuse(why, RANGE_OVERFLOWS, "0x%llx bytes from iova 0x%llx pass 2^64", (unsigned long long)size,
			      (unsigned long long)iova);
	return access->ioas ? 0 : refuse_detached(access, why);
}

static int decode_prevented(const struct piece *piece, struct why *why)
{
	const struct itree_node *node = &piece->area->area.node;

	if (!piece->area->prevent_access)
		return 0;
	return refuse(why, ACCESS_PREVENTED, "[0x%llx, 0x%llx] is being unmapped", (unsigned long long)node->start,
		      (unsigned long long)node->last);
}

static int decode_permission(const struct piece *piece, unsigned flags, struct why *why)
{
	unsigned wanted = flags & ACCESS_WRITE ? ISOLDE_PT_WRITE : ISOLDE_PT_READ;
	const struct area *area = &piece->area->area;
	bool allowed = area->permission & wanted;

	if (allowed && (!(flags & ACCESS_WRITE) || area_pages(piece->area)->writable))
		return 0;
	return refuse(why, ACCESS_PERMISSION, "[0x%llx, 0x%llx] may not be %s", (unsigned long long)area->node.start,
		      (unsigned long long)area->node.last, flags & ACCESS_WRITE ? "written" : "read");
}

static int decode_buffer(const struct piece *piece, struct why *why)
{
	if (area_pages(piece->area)->kind != PAGES_BUFFER)
		return 0;
	return refuse(why, ACCESS_BUFFER, "[0x%llx, 0x%llx] is of a dma-buf", (unsigned long long)piece->iova,
		      (unsigned long long)piece->last);
}

/* Pages are told by their IOVAs only where those begin and end with pages. */
static int decode_pages(const struct piece *piece, bool more, struct why *why)
{
	const struct area *area = &piece->area->area;
	u64 after = area->offset + area_size(area);

	if (is_aligned(piece->offset, PAGE_SIZE) && (!more || is_aligned(after, PAGE_SIZE)))
		return 0;
	return refuse(why, ACCESS_MISALIGNED,
		      "iova 0x%llx is byte 0x%llx of a page, and the mapping goes to byte 0x%llx",
		      (unsigned long long)piece->iova, (unsigned long long)(piece->offset & ~PAGE_MASK),
		      (unsigned long long)((after - 1) & ~PAGE_MASK));
}

/* ---- pins ---- */

static void unpin_piece(struct access *access, const struct piece *piece)
{
	struct ioas_area *area = piece->area;

	assert(area->pins > 0);
	area->pins--;
	if (is_internal(access))
		area->locks--;
	pages_uncover(access->object.context->iommufd, area_pages(area), piece_span(piece));
}

static int pin_piece(struct access *access, const struct piece *piece, unsigned flags, bool more, struct why *why)
{
	struct ioas_area *area = piece->area;
	int err = decode_prevented(piece, why);

	if (err == 0)
		err = decode_pages(piece, more, why);
	if (err == 0)
		err = decode_permission(piece, flags, why);
	if (err == 0)
		err = decode_buffer(piece, why);
	if (err == 0)
		err = pages_cover(access->object.context->iommufd, area_pages(area), piece_span(piece), why);
	if (err < 0)
		return err;
	area->pins++;
	if (is_internal(access))
		area->locks++;
	return 0;
}

static void unpin_range(struct access *access, u64 iova, u64 last)
{
	struct piece piece;

	for (u64 at = iova;; at = piece.last + 1) {
		bool found = piece_at(access->ioas_unpin, at, last, &piece);

		assert(found);
		(void)found;
		unpin_piece(access, &piece);
		if (piece.last == last)
			break;
	}
}

static int identify(const struct piece *piece, struct page_identity **pages, struct why *why)
{
	struct page_span span = piece_span(piece);

	for (u64 index = span.first; *pages && index <= span.last; index++) {
		int err = pages_identity(area_pages(piece->area), index, *pages, why);

		if (err < 0)
			return err;
		++*pages;
	}
	return 0;
}

int access_pin(struct access *access, u64 iova, u64 size, unsigned flags, struct page_identity *pages, struct why *why)
{
	u64 last = iova + size - 1;
	char name[OBJECT_TEXT];
	struct piece piece;
	int err;

	if (!pins_pages(access))
		return refuse(why, ACCESS_NO_PIN, "%s did not say that it pins pages, and how to stop it",
			      object_describe(&access->object, name));
	err = decode_range(access, iova, size, why);
	if (err < 0)
		return err;
	for (u64 at = iova;; at = piece.last + 1) {
		err = piece_at(access->ioas, at, last, &piece)
			      ? pin_piece(access, &piece, flags, piece.last < last, why)
			      : refuse_hole(access, at, iova, last, why);
		if (err == 0) {
			err = identify(&piece, &pages, why);
			if (err < 0)
				unpin_piece(access, &piece);
		}
		if (err < 0 && at > iova)
			unpin_range(access, iova, at - 1);
		if (err < 0 || piece.last == last)
			return err;
	}
}

void access_unpin(struct access *access, u64 iova, u64 size)
{
	assert(access->ioas_unpin && size);
	unpin_range(access, iova, iova + size - 1);
}

/* ---- copies ---- */

static int copy_piece(struct access *access, const struct client *client, const struct piece *piece, void *buffer,
		      unsigned flags, struct why *why)
{
	int err = decode_prevented(piece, why);

	if (err == 0)
		err = decode_permission(piece, flags, why);
	if (err == 0)
		err = decode_buffer(piece, why);
	if (err < 0)
		return err;
	return pages_copy(access->object.context->iommufd, area_pages(piece->area), client, piece->offset, buffer,
			  piece_size(piece), flags & ACCESS_WRITE, flags & ACCESS_SLOW, why);
}

int access_rw(struct access *access, const struct client *client, u64 iova, void *buffer, u64 size, unsigned flags,
	      struct why *why)
{
	u64 last = iova + size - 1;
	struct piece piece;
	int err = decode_range(access, iova, size, why);

	for (u64 at = iova; err == 0; at = piece.last + 1) {
		if (!piece_at(access->ioas, at, last, &piece))
			return refuse_hole(access, at, iova, last, why);
		err = copy_piece(access, client, &piece, (u8 *)buffer + (at - iova), flags, why);
		if (piece.last == last)
			break;
	}
	return err;
}
