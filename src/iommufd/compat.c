/* SPDX-License-Identifier: MIT */
/*
 * Type 1 as Linux has it on iommufd: drivers/iommu/iommufd/vfio_compat.c. Not all of it is: areas are never split but
 * where TYPE1 (not v2) has switched huge pages off, nothing is tracked as dirty, no address is updated.
 */
#include "iommufd/compat.h"

#include <linux/capability.h>

#include "iommufd/hwpt.h"
#include "iommufd/ioctl.h"
#include "isolde/abi/vfio.h"

/* ---- which IOAS ---- */

static int compat_ioas(const struct context *context, struct ioas **ret, struct why *why)
{
	char text[CONTEXT_TEXT];

	if (!context->vfio_ioas)
		return refuse(why, COMPAT_NO_IOAS, "%s has no compat IOAS", context_describe(context, text));
	*ret = object_entry(context->vfio_ioas, struct ioas, object);
	return 0;
}

int compat_ioas_id(const struct context *context, u32 *ret, struct why *why)
{
	struct ioas *ioas;
	int err = compat_ioas(context, &ioas, why);

	if (err == 0)
		*ret = ioas->object.id;
	return err;
}

int compat_ioas_ensure(struct context *context, struct why *why)
{
	char text[CONTEXT_TEXT];
	struct ioas *ioas;
	int err;

	if (context->no_iommu)
		return refuse(why, COMPAT_NO_IOMMU, "%s serves a group without an IOMMU",
			      context_describe(context, text));
	if (context->vfio_ioas)
		return 0;
	err = ioas_new(context, &ioas, why);
	if (err < 0)
		return err;
	context->vfio_ioas = &ioas->object;
	object_publish(&ioas->object);
	return 0;
}

int compat_set_no_iommu(struct context *context, struct why *why)
{
	char text[OBJECT_TEXT];

	if (context->vfio_ioas)
		return refuse(why, COMPAT_HAS_IOAS, "%s is the compat IOAS: translation was expected",
			      object_describe(context->vfio_ioas, text));
	context->no_iommu = true;
	return 0;
}

long ioctl_vfio_ioas(struct request *request, struct why *why)
{
	struct iommu_vfio_ioas *command = &request->command->ioctl_vfio_ioas_command;
	struct context *context = request->context;
	struct ioas *ioas;
	int err = refuse_reserved_field(request, command->__reserved, why);

	if (err < 0)
		return err;
	switch (command->op) {
	case IOMMU_VFIO_IOAS_GET:
		err = compat_ioas_id(context, &command->ioas_id, why);
		return err < 0 ? err : request_answer(request, why);
	case IOMMU_VFIO_IOAS_SET:
		err = ioas_find(context, command->ioas_id, &ioas, why);
		if (err == 0)
			context->vfio_ioas = &ioas->object;
		return err;
	case IOMMU_VFIO_IOAS_CLEAR:
		context->vfio_ioas = NULL;
		return 0;
	default:
		return refuse(why, COMPAT_OPERATION, "%s: operation %u is none of GET, SET and CLEAR", request->name,
			      command->op);
	}
}

/* ---- extensions and types ---- */

/* 1 unless a domain leaves it to the device whether its accesses are coherent. */
static long all_coherent(const struct context *context, struct why *why)
{
	const struct hwpt_paging *hwpt;
	struct ioas *ioas;
	int err = compat_ioas(context, &ioas, why);

	if (err < 0)
		return err;
	list_for_each(hwpt, &ioas->hwpts, link)
		if (!hwpt->enforces_coherency)
			return 0;
	return 1;
}

static long compat_check_extension(struct context *context, struct client *client, u64 extension, struct why *why)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return !context->no_iommu;
	case VFIO_NOIOMMU_IOMMU:
		return context->iommufd->noiommu;
	case VFIO_DMA_CC_IOMMU:
		return all_coherent(context, why);
	default:
		return 0;
	}
}

static int set_no_iommu(struct client *client, struct why *why)
{
	char who[CLIENT_DESCRIPTION];

	if (client_capable(client, CAP_SYS_RAWIO))
		return 0;
	return refuse(why, NO_IOMMU_PRIVILEGE, "%s asks for DMA without an IOMMU and has no CAP_SYS_RAWIO",
		      client_describe(client, who));
}

static long compat_set_iommu(struct context *context, struct client *client, u64 type, struct why *why)
{
	struct ioas *ioas;
	int err;

	if (type == VFIO_NOIOMMU_IOMMU && context->no_iommu && context->iommufd->noiommu)
		return set_no_iommu(client, why);
	if (context->no_iommu || (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU))
		return refuse(why, COMPAT_TYPE, "type %llu is not among those of this file: %s",
			      (unsigned long long)type, context->no_iommu ? "8, it has no IOMMU" : "1, 3");
	err = compat_ioas(context, &ioas, why);
	if (err < 0 || type == VFIO_TYPE1v2_IOMMU)
		return err;
	/* Unmaps may then be of any part of what was mapped. */
	return ioas_disable_huge_pages(ioas, why);
}

/* ---- map and unmap ---- */

static int read_head(struct client *client, u64 arg, const char *name, void *head, size_t min, struct why *why)
{
	int err = client_read(client, arg, head, min, why);

	if (err == 0 && get_u32(head) < min)
		return refuse(why, ARGSZ_SHORT, "%s: argsz is %u, at least %zu are needed", name, get_u32(head), min);
	return err;
}

/* Without a permission it is mapped all the same, and no device can use it. */
static long compat_map(struct context *context, struct client *client, u64 arg, struct why *why)
{
	struct vfio_iommu_type1_dma_map map;
	const u32 known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	unsigned permission = 0;
	struct ioas *ioas;
	int err = read_head(client, arg, "VFIO_IOMMU_MAP_DMA", &map, THROUGH(struct vfio_iommu_type1_dma_map, size),
			    why);

	if (err < 0)
		return err;
	if (map.flags & ~known)
		return refuse(why, COMPAT_FLAGS, "VFIO_IOMMU_MAP_DMA: flags %#x: only READ and WRITE are known here",
			      map.flags);
	err = compat_ioas(context, &ioas, why);
	if (err < 0)
		return err;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		permission |= ISOLDE_PT_READ;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		permission |= ISOLDE_PT_WRITE;
	return ioas_map_user(ioas, client, map.vaddr, map.size, permission, true, &map.iova, why);
}

/*
 * *ret_removed also when it fails half-way. That nothing was there is no error here. With huge pages off what is mapped
 * is cut at both ends, before the range is even looked at.
 */
static int unmap_range(struct ioas *ioas, u64 start, u64 size, u64 *ret_removed, struct why *why)
{
	if (!size)
		return refuse(why, IOAS_RANGE_EMPTY, "VFIO_IOMMU_UNMAP_DMA: no byte at %#llx",
			      (unsigned long long)start);
	if (range_overflows(start, size))
		return refuse(why, RANGE_OVERFLOWS, "VFIO_IOMMU_UNMAP_DMA: %#llx bytes at %#llx pass the last address",
			      (unsigned long long)size, (unsigned long long)start);
	return ioas_unmap(ioas, start, start + size - 1, ret_removed, why);
}

static int cut(struct ioas *ioas, u64 start, u64 size, struct why *why)
{
	int err;

	if (!ioas->huge_pages_off)
		return 0;
	err = ioas_cut(ioas, start + size - 1, why);
	return err < 0 || !start ? err : ioas_cut(ioas, start - 1, why);
}

static int unmap_all(struct ioas *ioas, const struct vfio_iommu_type1_dma_unmap *unmap, u64 *ret_removed,
		     struct why *why)
{
	if (unmap->iova || unmap->size)
		return refuse(why, COMPAT_ALL_RANGE,
			      "VFIO_IOMMU_UNMAP_DMA with ALL: iova is %#llx and size %#llx, not 0",
			      (unsigned long long)unmap->iova, (unsigned long long)unmap->size);
	return ioas_unmap(ioas, 0, UINT64_MAX, ret_removed, why);
}

static long compat_unmap(struct context *context, struct client *client, u64 arg, struct why *why)
{
	const size_t min = THROUGH(struct vfio_iommu_type1_dma_unmap, size);
	struct vfio_iommu_type1_dma_unmap unmap;
	struct ioas *ioas;
	u64 removed = 0;
	int err = read_head(client, arg, "VFIO_IOMMU_UNMAP_DMA", &unmap, min, why), fault;

	if (err < 0)
		return err;
	if (unmap.flags & ~(u32)VFIO_DMA_UNMAP_FLAG_ALL)
		return refuse(why, COMPAT_FLAGS, "VFIO_IOMMU_UNMAP_DMA: flags %#x: only ALL is known here",
			      unmap.flags);
	err = compat_ioas(context, &ioas, why);
	if (err == 0 && !unmap.flags)
		err = cut(ioas, unmap.iova, unmap.size, why);
	if (err < 0)
		return err;
	err = unmap.flags ? unmap_all(ioas, &unmap, &removed, why)
			  : unmap_range(ioas, unmap.iova, unmap.size, &removed, why);
	if (why->code == WHY_COMPAT_ALL_RANGE)
		return err;
	/* What was removed is told also when the rest failed; a fault then hides why. */
	unmap.size = removed;
	fault = client_write(client, arg, &unmap, min, why);
	return fault < 0 ? fault : err;
}

/* ---- information ---- */

#define IOMMU_INFO_MIN THROUGH(struct vfio_iommu_type1_info, iova_pgsizes)

/*
 * Capabilities stand one after the other behind the structure, each written if it fits into argsz, and linked to the
 * next one; the structure only says so when all fit.
 */
struct info_writer {
	struct client *client;
	u64 arg;
	u64 argsz, at; /* at: where the next capability begins */
	u64 newest;    /* the header before it; 0: none */
	struct why *why;
};

static u64 info_room(const struct info_writer *writer)
{
	return writer->argsz > writer->at ? writer->argsz - writer->at : 0;
}

/* The capability at writer->at has `size` bytes. */
static int finish_capability(struct info_writer *writer, u64 size)
{
	u32 next = (u32)writer->at;

	if (writer->newest && writer->argsz >= writer->at) {
		u64 link = writer->newest + offsetof(struct vfio_info_cap_header, next);
		int err = client_write(writer->client, writer->arg + link, &next, sizeof(next), writer->why);

		if (err < 0)
			return err;
	}
	writer->newest = writer->at;
	writer->at += align_up(size, sizeof(u64));
	return 0;
}

static int write_available(struct info_writer *writer)
{
	struct vfio_iommu_type1_info_dma_avail available = {
		.header = {.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1},
		.avail = UINT32_MAX,
	};
	int err = 0;

	if (info_room(writer) >= sizeof(available))
		err = client_write(writer->client, writer->arg + writer->at, &available, sizeof(available),
				   writer->why);
	return err < 0 ? err : finish_capability(writer, sizeof(available));
}

static int write_ranges(struct info_writer *writer, const struct ioas *ioas)
{
	struct vfio_iommu_type1_info_cap_iova_range ranges = {
		.header = {.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1},
	};
	u64 size = sizeof(ranges), from = 0, at = writer->arg + writer->at, start, last;
	bool more = true;
	int err = 0;

	while (err == 0 && more && ioas_hole(ioas, from, &start, &last)) {
		struct vfio_iova_range range = {start, last};

		if (info_room(writer) >= size + sizeof(range))
			err = client_write(writer->client, at + size, &range, sizeof(range), writer->why);
		size += sizeof(range);
		ranges.nr_iovas++;
		more = last != UINT64_MAX;
		from = last + 1;
	}
	if (err == 0 && info_room(writer) >= size)
		err = client_write(writer->client, at, &ranges, sizeof(ranges), writer->why);
	return err < 0 ? err : finish_capability(writer, size);
}

static long compat_get_info(struct context *context, struct client *client, u64 arg, struct why *why)
{
	struct vfio_iommu_type1_info info = {};
	struct info_writer writer = {.client = client, .arg = arg, .at = sizeof(info), .why = why};
	struct ioas *ioas;
	int err = read_head(client, arg, "VFIO_IOMMU_GET_INFO", &info, IOMMU_INFO_MIN, why);

	if (err == 0)
		err = compat_ioas(context, &ioas, why);
	if (err < 0)
		return err;
	writer.argsz = info.argsz;
	err = write_available(&writer);
	if (err == 0)
		err = write_ranges(&writer, ioas);
	if (err < 0)
		return err;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = ioas_page_sizes(ioas);
	info.cap_offset = writer.argsz >= writer.at ? sizeof(info) : 0;
	info.argsz = (u32)writer.at;
	return client_write(client, arg, &info, min_u64(writer.argsz, sizeof(info)), why);
}

/* ---- dispatch ---- */

static long compat_get_api_version(struct context *context, struct client *client, u64 arg, struct why *why)
{
	return VFIO_API_VERSION;
}

static const struct compat_row {
	unsigned cmd;
	const char *name;
	long (*handler)(struct context *context, struct client *client, u64 arg, struct why *why);
} rows[] = {
	{VFIO_GET_API_VERSION, "VFIO_GET_API_VERSION", compat_get_api_version},
	{VFIO_CHECK_EXTENSION, "VFIO_CHECK_EXTENSION", compat_check_extension},
	{VFIO_SET_IOMMU, "VFIO_SET_IOMMU", compat_set_iommu},
	{VFIO_IOMMU_GET_INFO, "VFIO_IOMMU_GET_INFO", compat_get_info},
	{VFIO_IOMMU_MAP_DMA, "VFIO_IOMMU_MAP_DMA", compat_map},
	{VFIO_IOMMU_UNMAP_DMA, "VFIO_IOMMU_UNMAP_DMA", compat_unmap},
};

static const struct compat_row *find_row(unsigned cmd)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].cmd == cmd)
			return &rows[i];
	return NULL;
}

long compat_ioctl(struct context *context, struct client *client, unsigned cmd, u64 arg, struct why *why)
{
	const struct compat_row *row = find_row(cmd);

	return row ? row->handler(context, client, arg, why)
		   : refuse(why, IOCTL_UNKNOWN, "/dev/iommu has no request %#x", cmd);
}

const char *compat_ioctl_name(unsigned cmd)
{
	const struct compat_row *row = find_row(cmd);

	return row ? row->name : NULL;
}
