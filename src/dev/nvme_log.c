/* SPDX-License-Identifier: MIT */
/* Log pages (NVMe 1.4 section 5.14): errors, health, firmware slots. */
#include "dev/nvme.h"

enum { SMART_SIZE = 512, FIRMWARE_SIZE = 512, RETAIN_EVENT = 0x8000 };

/* command NULL: the error belongs to none, as a doorbell's. */
void nvme_log_error(struct nvme *nvme, u16 sq_id, const struct nvme_command *command, u16 status)
{
	u64 count = ++nvme->counters.errors;
	struct nvme_error_entry *entry = &nvme->error_log[count % NVME_ERROR_ENTRIES];

	*entry = (struct nvme_error_entry){
		.count = count,
		.sq_id = sq_id,
		.cid = 0xffff,
		.status = nvme_status_field(status),
		.location = 0xffff, /* not narrowed down to a field */
	};
	if (!command)
		return;
	entry->cid = command->cid;
	entry->nsid = command->nsid;
	entry->lba = sq_id ? command->cdw10 | (u64)command->cdw11 << 32 : 0;
}

/* Newest first; entries never used are zero. */
static u64 error_page(const struct nvme *nvme, u8 *page)
{
	u64 newest = nvme->counters.errors;

	for (unsigned i = 0; i < NVME_ERROR_ENTRIES && i < newest; i++)
		memcpy(page + i * sizeof(struct nvme_error_entry), &nvme->error_log[(newest - i) % NVME_ERROR_ENTRIES],
		       sizeof(struct nvme_error_entry));
	return sizeof(nvme->error_log);
}

/* Data units are thousands of 512 bytes, rounded up. */
static u64 data_units(u64 sectors)
{
	return (sectors + 999) / 1000;
}

static u64 smart_page(const struct nvme *nvme, u8 *page)
{
	page[0] = nvme_critical_warning(nvme);
	put_u16(page + 1, NVME_TEMPERATURE);
	page[3] = 100; /* spare, per cent */
	page[4] = 10;  /* its threshold */
	put_u64(page + 32, data_units(nvme->counters.sectors_read));
	put_u64(page + 48, data_units(nvme->counters.sectors_written));
	put_u64(page + 64, nvme->counters.reads);
	put_u64(page + 80, nvme->counters.writes);
	put_u64(page + 112, 1); /* power cycles */
	put_u64(page + 160, nvme->counters.media_errors);
	put_u64(page + 176, nvme->counters.errors);
	return SMART_SIZE;
}

static u64 firmware_page(u8 *page)
{
	static const char version[] = ISOLDE_VERSION;

	page[0] = 0x01; /* slot 1 runs */
	memset(page + 8, ' ', 8);
	memcpy(page + 8, version, min_u64(sizeof(version) - 1, 8));
	return FIRMWARE_SIZE;
}

/* Fills nvme->page; the size of the log page, 0 when we have none of that number. */
static u64 log_fill(struct nvme *nvme, unsigned page)
{
	memset(nvme->page, 0, sizeof(nvme->page));
	switch (page) {
	case NVME_LOG_ERROR:
		return error_page(nvme, nvme->page);
	case NVME_LOG_SMART:
		return smart_page(nvme, nvme->page);
	case NVME_LOG_FIRMWARE:
		return firmware_page(nvme->page);
	default:
		return 0;
	}
}

/* Reading a page with Retain Asynchronous Event clear lets events of its type be reported again. */
static void events_unmask(struct nvme *nvme, unsigned page)
{
	if (page == NVME_LOG_ERROR)
		nvme->events_masked &= (u8)~BIT(NVME_EVENT_ERROR);
	if (page == NVME_LOG_SMART)
		nvme->events_masked &= (u8)~BIT(NVME_EVENT_SMART);
}

u16 nvme_get_log_page(struct nvme *nvme, struct nvme_request *request)
{
	const struct nvme_command *command = request->command;
	unsigned page = command->cdw10 & 0xff;
	u64 wanted = ((command->cdw10 >> 16 | (u64)(command->cdw11 & 0xffff) << 16) + 1) * 4;
	u64 offset = command->cdw12 | (u64)command->cdw13 << 32;
	u64 size = log_fill(nvme, page);
	u16 status = NVME_SUCCESS;

	if (!size)
		return NVME_INVALID_LOG_PAGE;
	if (page == NVME_LOG_SMART && command->nsid > 1 && command->nsid != UINT32_MAX)
		return NVME_INVALID_NAMESPACE;
	if (!is_aligned(offset, 4) || offset > size)
		return NVME_INVALID_FIELD;
	wanted = min_u64(wanted, size - offset);
	if (wanted)
		status = nvme_transfer(nvme, command, nvme->page + offset, wanted, DMA_WRITE);
	if (!status && !(command->cdw10 & RETAIN_EVENT))
		events_unmask(nvme, page);
	return status;
}
