/* SPDX-License-Identifier: MIT */
/*
 * Emulated devices in a container: pages they pin, bytes they move. Linux: drivers/vfio/vfio_iommu_type1.c,
 * vfio_iommu_type1_pin_pages() and the functions after it.
 *
 * A page that several pin is one pin with a count. It is charged only while no domain has the whole mapping pinned;
 * type1_group.c changes that as domains come and go. Pinned pages are dirty for as long as they are pinned: nobody sees
 * when the device writes to them.
 */
#include "base/alloc.h"
#include "iommu/soft.h"
#include "vfio/type1.h"

/* ---- users ---- */

void type1_add_user(struct type1 *type1, struct type1_user *user)
{
	list_append(&type1->users, &user->link);
}

void type1_remove_user(struct type1_user *user)
{
	list_remove(&user->link);
}

void type1_ask_unpin(struct type1 *type1, struct mapping *mapping)
{
	struct type1_user *user;

	if (!mapping->pins.count)
		return;
	list_for_each(user, &type1->users, link)
		if (user->soft->unmapped)
			user->soft->unmapped(user->soft->device, mapping->node.start, mapping_size(mapping));
	assert(!mapping->pins.count);
}

/* ---- what can be pinned and moved ---- */

static int refuse_lost(const struct type1 *type1, struct why *why)
{
	return refuse(why, VADDR_PENDING, "%u mappings of the container wait for a new address", type1->lost);
}

static int find_mapping(const struct type1 *type1, u64 iova, u64 size, struct mapping **ret, struct why *why)
{
	struct mapping *mapping = mapping_at(type1, iova);

	if (!mapping || mapping->node.last - iova < size - 1)
		return refuse(why, PIN_UNMAPPED, "no mapping of the container has all of [%#llx, %#llx]",
			      (unsigned long long)iova, (unsigned long long)(iova + size - 1));
	*ret = mapping;
	return 0;
}

static int decode_permission(const struct mapping *mapping, unsigned wanted, struct why *why)
{
	char text[MAPPING_DESCRIPTION];

	if ((mapping->permission & wanted) == wanted)
		return 0;
	return refuse(why, PIN_PERMISSION, "%s is all there is, %s%s is wanted", mapping_describe(mapping, text),
		      wanted & ISOLDE_PT_READ ? "r" : "", wanted & ISOLDE_PT_WRITE ? "w" : "");
}

/* ---- pins ---- */

static struct type1_pin *pin_at(const struct mapping *mapping, u64 iova)
{
	struct itree_node *node = itree_first(&mapping->pins, iova, iova);

	return node ? container_of(node, struct type1_pin, node) : NULL;
}

/* As for a mapping: with all the permission it has, whatever is wanted now. */
static int decode_memory(const struct mapping *mapping, u64 iova, struct why *why)
{
	u64 address = mapping->address + (iova - mapping->node.start), locked;
	char who[CLIENT_DESCRIPTION];
	int err;

	/* What the process has become may have other memory there: Linux's mappings have an address space, too. */
	if (!client_memory_lives(mapping->client, address))
		return refuse(why, PIN_SPACE_GONE, "%s, which mapped iova %#llx, has ended or executes another program",
			      client_describe(mapping->client, who), (unsigned long long)iova);
	err = client_check_lock(mapping->client, address, PAGE_SIZE, mapping->permission & ISOLDE_PT_WRITE, &locked,
				why);
	if (err < 0 || locked)
		return err;
	return refuse(why, PIN_REGISTERS, "iova %#llx is registers of a device, mapped at %#llx",
		      (unsigned long long)iova, (unsigned long long)address);
}

/* What a domain has is charged already. */
static int charge_page(const struct type1 *type1, struct mapping *mapping, struct why *why)
{
	u64 pinned = (mapping->pins.count + 1) * PAGE_SIZE;

	if (!list_empty(&type1->domains) && mapping->charge.bytes >= pinned)
		return 0;
	return charge_grow(&mapping->charge, mapping->client, PAGE_SIZE, why);
}

static int pin_new(const struct type1 *type1, struct mapping *mapping, u64 iova, struct why *why)
{
	_memory_ struct type1_pin *pin = NULL;
	int err = decode_memory(mapping, iova, why);

	if (err < 0)
		return err;
	pin = alloc_new(struct type1_pin, why);
	err = pin ? charge_page(type1, mapping, why) : -why->err;
	if (err < 0)
		return err;
	pin->count = 1;
	pin->node.start = pin->node.last = iova;
	itree_insert(&mapping->pins, &take(pin)->node);
	type1_mark_dirty(mapping, iova, iova + PAGE_SIZE - 1);
	return 0;
}

static int pin_page(const struct type1 *type1, u64 iova, unsigned permission, struct why *why)
{
	struct mapping *mapping;
	struct type1_pin *pin;
	int err = find_mapping(type1, iova, PAGE_SIZE, &mapping, why);

	if (err == 0)
		err = decode_permission(mapping, permission, why);
	if (err < 0)
		return err;
	pin = pin_at(mapping, iova);
	if (!pin)
		return pin_new(type1, mapping, iova, why);
	pin->count++;
	return 0;
}

static void unpin_page(const struct type1 *type1, u64 iova)
{
	struct mapping *mapping = mapping_at(type1, iova);
	struct type1_pin *pin = pin_at(mapping, iova);

	if (--pin->count)
		return;
	itree_remove(&mapping->pins, &pin->node);
	free(pin);
	if (list_empty(&type1->domains))
		charge_shrink(&mapping->charge, PAGE_SIZE);
}

void type1_unpin(struct type1 *type1, u64 iova, u64 count)
{
	for (u64 i = 0; i < count; i++)
		unpin_page(type1, iova + i * PAGE_SIZE);
}

static int decode_pin(const struct type1 *type1, u64 iova, u64 count, struct why *why)
{
	assert(count && is_aligned(iova, PAGE_SIZE));
	if (count > TYPE1_PIN_MOST)
		return refuse(why, PIN_TOO_MANY, "%llu pages from iova %#llx are more than %u",
			      (unsigned long long)count, (unsigned long long)iova, TYPE1_PIN_MOST);
	if (!type1->v2)
		return refuse(why, PIN_VERSION, "pages from iova %#llx: the container's IOMMU type is TYPE1",
			      (unsigned long long)iova);
	if (range_overflows(iova, count * PAGE_SIZE))
		return refuse(why, RANGE_OVERFLOWS, "%llu pages from iova %#llx pass 2^64", (unsigned long long)count,
			      (unsigned long long)iova);
	return type1->lost ? refuse_lost(type1, why) : 0;
}

int type1_pin(struct type1 *type1, u64 iova, u64 count, unsigned permission, struct why *why)
{
	int err = decode_pin(type1, iova, count, why);

	for (u64 i = 0; err == 0 && i < count; i++) {
		err = pin_page(type1, iova + i * PAGE_SIZE, permission, why);
		if (err < 0)
			type1_unpin(type1, iova, i);
	}
	return err;
}

/* ---- copies ---- */

/* As a kernel thread's copies are, these are anybody's: it is not asked who rang the device's doorbell. */
static bool move(struct client *client, u64 address, void *buffer, u64 size, bool write)
{
	struct iovec here = {buffer, size}, there = {(void *)(uintptr_t)address, size};

	return write ? client_dma_write(client, &here, 1, &there, 1) : client_dma_read(client, &here, 1, &there, 1);
}

static int rw_mapping(struct mapping *mapping, u64 iova, void *buffer, u64 size, bool write, struct why *why)
{
	u64 address = mapping->address + (iova - mapping->node.start);
	char who[CLIENT_DESCRIPTION];
	int err = decode_permission(mapping, ISOLDE_PT_READ | (write ? ISOLDE_PT_WRITE : 0), why);

	if (err < 0)
		return err;
	if (!client_memory_lives(mapping->client, address))
		return refuse(why, PIN_MEMORY_GONE,
			      "%s, which mapped iova %#llx, has ended or executes another program",
			      client_describe(mapping->client, who), (unsigned long long)iova);
	if (!move(mapping->client, address, buffer, size, write))
		return refuse(why, CLIENT_FAULT, "%s has no memory to %s at %#llx (%llu bytes)",
			      client_describe(mapping->client, who), write ? "write" : "read",
			      (unsigned long long)address, (unsigned long long)size);
	if (write)
		type1_mark_dirty(mapping, iova, iova + size - 1);
	return 0;
}

int type1_rw(struct type1 *type1, u64 iova, void *buffer, u64 size, bool write, struct why *why)
{
	u64 done = 0;

	assert(size);
	if (type1->lost)
		return refuse_lost(type1, why);
	while (done < size) {
		struct mapping *mapping;
		u64 piece;
		int err = find_mapping(type1, iova + done, 1, &mapping, why);

		if (err < 0)
			return err;
		piece = min_u64(size - done - 1, mapping->node.last - (iova + done)) + 1;
		err = rw_mapping(mapping, iova + done, (u8 *)buffer + done, piece, write, why);
		if (err < 0)
			return err;
		done += piece;
	}
	return 0;
}
