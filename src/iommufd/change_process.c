/* SPDX-License-Identifier: MIT */
/*
 * IOAS_CHANGE_PROCESS: whoever calls takes over the context's pages, as after a live update (spec 03 section 3.10).
 * Only files mean the same to another process.
 */
#include "iommufd/ioas.h"
#include "iommufd/ioctl.h"
#include "iommufd/iommufd.h"

/* Every area of every IOAS; the body may not remove it. */
struct area_cursor {
	const struct context *context;
	u32 id;
	struct itree_node *node;
};

static struct pages *next_pages(struct area_cursor *cursor)
{
	struct object *object;

	if (cursor->node)
		cursor->node = itree_following(cursor->node);
	while (!cursor->node && (object = context_next(cursor->context, &cursor->id))) {
		cursor->id++;
		if (object->class == &ioas_class)
			cursor->node = itree_first(&ioas_of(object)->space.areas, 0, UINT64_MAX);
	}
	return cursor->node ? area_pages(ioas_area_of(cursor->node)) : NULL;
}

#define for_each_pages(pages, which)                                                                                   \
	for (struct area_cursor cursor_ = {.context = (which)}; ((pages) = next_pages(&cursor_));)

static int decode_sources(const struct context *context, struct why *why)
{
	struct pages *pages;
	char text[CLIENT_DESCRIPTION];

	for_each_pages(pages, context) if (pages->kind != PAGES_FILE) return refuse(
		why, CHANGE_PROCESS_SOURCE, "0x%llx of %s is mapped, which is no file",
		(unsigned long long)pages->extent.address, client_describe(pages->client, text));
	return 0;
}

/* Is it somebody else's? The same process may be another user's by now. */
static bool is_foreign(const struct pages *pages, const struct client *client, const struct payer payers[CHARGE_MODES])
{
	return pages->client != client ||
	       (pages->charge_mode == CHARGE_USER && pages->account != payers[CHARGE_USER].account);
}

/* What is pinned and not yet the client's, by mode; each pages object once. */
static void count_pinned(const struct context *context, const struct client *client,
			 const struct payer payers[CHARGE_MODES], u64 bytes[CHARGE_MODES])
{
	struct pages *pages;

	for_each_pages(pages, context)
	{
		if (!pages->seen && is_foreign(pages, client, payers))
			bytes[pages->charge_mode] += pages_pinned(pages) << PAGE_SHIFT;
		pages->seen = true;
	}
	for_each_pages(pages, context) pages->seen = false;
}

/* All of it or nothing. */
static int charge_all(struct iommufd *iommufd, struct client *client, const struct payer payers[CHARGE_MODES],
		      const u64 bytes[CHARGE_MODES], struct why *why)
{
	for (int mode = 0; mode < CHARGE_MODES; mode++) {
		int err = bytes[mode] ? payer_charge(&iommufd->accounts, &payers[mode], client, bytes[mode], why) : 0;

		if (err == 0)
			continue;
		while (mode-- > 0)
			if (bytes[mode])
				payer_uncharge(&iommufd->accounts, &payers[mode], client, bytes[mode]);
		return err;
	}
	return 0;
}

long ioctl_ioas_change_process(struct request *request, struct why *why)
{
	struct iommufd *iommufd = request->context->iommufd;
	struct payer payers[CHARGE_MODES] = {{CHARGE_NONE}, {CHARGE_USER}, {CHARGE_MM}};
	u64 bytes[CHARGE_MODES] = {};
	struct pages *pages;
	int err = refuse_reserved_field(request, request->command->ioctl_ioas_change_process_command.__reserved, why);

	if (err == 0)
		err = decode_sources(request->context, why);
	if (err == 0)
		err = payer_set_account(&iommufd->accounts, request->client, &payers[CHARGE_USER], why);
	if (err < 0)
		return err;
	count_pinned(request->context, request->client, payers, bytes);
	err = charge_all(iommufd, request->client, payers, bytes, why);
	if (err < 0)
		return err;
	for_each_pages(pages, request->context) if (is_foreign(pages, request->client, payers))
		pages_change_client(iommufd, pages, request->client, &payers[pages->charge_mode]);
	return 0;
}
