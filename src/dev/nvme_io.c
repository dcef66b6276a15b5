/* SPDX-License-Identifier: MIT */
/*
 * I/O commands on the one namespace, and what every command goes through. Each is decoded to the end before a byte
 * moves; data goes between the driver's memory and the disk's window, by one transfer.
 */
#include "dev/nvme.h"

enum { FORCE_UNIT_ACCESS = 1u << 30, DEALLOCATE = 0x4, MAX_RANGES = 256 };

/* A range of the disk, in bytes. */
struct extent_plan {
	u64 offset, size;
};

static u16 blocks_decode(const struct nvme *nvme, u64 start, u64 count, struct extent_plan *ret)
{
	if (start >= nvme->disk.blocks || count > nvme->disk.blocks - start)
		return NVME_LBA_OUT_OF_RANGE;
	*ret = (struct extent_plan){.offset = start << nvme->disk.block_shift, .size = count << nvme->disk.block_shift};
	return NVME_SUCCESS;
}

/* Starting LBA in dwords 10 and 11, a zero-based count in dword 12: read, write, compare, write zeroes. */
static u16 range_decode(const struct nvme *nvme, const struct nvme_command *command, struct extent_plan *ret)
{
	return blocks_decode(nvme, command->cdw10 | (u64)command->cdw11 << 32, (command->cdw12 & 0xffff) + 1ull, ret);
}

/* The same for a command with data. */
static u16 data_decode(const struct nvme *nvme, const struct nvme_command *command, struct extent_plan *ret)
{
	u64 size = ((command->cdw12 & 0xffff) + 1ull) << nvme->disk.block_shift;

	if (size > NVME_MAX_TRANSFER)
		return NVME_INVALID_FIELD;
	return range_decode(nvme, command, ret);
}

static u16 media_error(struct nvme *nvme, u16 status)
{
	nvme->counters.media_errors++;
	return status;
}

static u16 io_read(struct nvme *nvme, struct nvme_request *request)
{
	struct extent_plan plan;
	u16 status = data_decode(nvme, request->command, &plan);

	if (status)
		return status;
	if (!nvme_disk_fetch(&nvme->disk, plan.offset, plan.size))
		return media_error(nvme, NVME_READ_ERROR);
	request->bytes = plan.size;
	nvme->counters.reads++;
	nvme->counters.sectors_read += plan.size >> 9;
	return nvme_transfer(nvme, request->command, nvme_disk_window(&nvme->disk, plan.offset), plan.size, DMA_WRITE);
}

static u16 io_write(struct nvme *nvme, struct nvme_request *request)
{
	struct extent_plan plan;
	u16 status = data_decode(nvme, request->command, &plan);

	if (status)
		return status;
	request->bytes = plan.size;
	nvme->counters.writes++;
	nvme->counters.sectors_written += plan.size >> 9;
	nvme_disk_note(&nvme->disk, plan.offset, plan.size);
	status = nvme_transfer(nvme, request->command, nvme_disk_window(&nvme->disk, plan.offset), plan.size, DMA_READ);
	if (status)
		return status;
	if (!nvme_disk_store(&nvme->disk, plan.offset, plan.size))
		return media_error(nvme, NVME_WRITE_FAULT);
	if (request->command->cdw12 & FORCE_UNIT_ACCESS && !nvme_disk_flush(&nvme->disk))
		return media_error(nvme, NVME_WRITE_FAULT);
	return NVME_SUCCESS;
}

static u16 io_compare(struct nvme *nvme, struct nvme_request *request)
{
	struct extent_plan plan;
	u16 status = data_decode(nvme, request->command, &plan);

	if (status)
		return status;
	request->bytes = plan.size;
	status = nvme_transfer(nvme, request->command, nvme->disk.bounce, plan.size, DMA_READ);
	if (status)
		return status;
	return nvme_disk_equal(&nvme->disk, plan.offset, plan.size, nvme->disk.bounce) ? NVME_SUCCESS
										       : NVME_COMPARE_FAILURE;
}

/* With or without DEAC: blocks without backing read zero here, so the cheapest way to zeros is always legal. */
static u16 io_write_zeroes(struct nvme *nvme, struct nvme_request *request)
{
	struct extent_plan plan;
	u16 status = range_decode(nvme, request->command, &plan);

	if (status)
		return status;
	request->bytes = plan.size;
	if (!nvme_disk_zero(&nvme->disk, plan.offset, plan.size))
		return media_error(nvme, NVME_WRITE_FAULT);
	if (request->command->cdw12 & FORCE_UNIT_ACCESS && !nvme_disk_flush(&nvme->disk))
		return media_error(nvme, NVME_WRITE_FAULT);
	return NVME_SUCCESS;
}

static u16 io_flush(struct nvme *nvme, struct nvme_request *request)
{
	return nvme_disk_flush(&nvme->disk) ? NVME_SUCCESS : media_error(nvme, NVME_WRITE_FAULT);
}

/* All ranges are checked before the first is acted on. */
static u16 ranges_decode(const struct nvme *nvme, unsigned count, struct extent_plan *ret)
{
	for (unsigned i = 0; i < count; i++) {
		struct nvme_range range;
		u16 status;

		memcpy(&range, nvme->page + i * sizeof(range), sizeof(range));
		status = blocks_decode(nvme, range.start, range.blocks, &ret[i]);
		if (status)
			return status;
	}
	return NVME_SUCCESS;
}

static u16 io_dataset_management(struct nvme *nvme, struct nvme_request *request)
{
	unsigned count = (request->command->cdw10 & 0xff) + 1;
	struct extent_plan plans[MAX_RANGES];
	u16 status;

	status = nvme_transfer(nvme, request->command, nvme->page, count * sizeof(struct nvme_range), DMA_READ);
	if (!status)
		status = ranges_decode(nvme, count, plans);
	if (status || !(request->command->cdw11 & DEALLOCATE))
		return status;
	for (unsigned i = 0; i < count; i++)
		if (plans[i].size)
			nvme_disk_discard(&nvme->disk, plans[i].offset, plans[i].size);
	return NVME_SUCCESS;
}

static const nvme_handler io_handlers[256] = {
	[NVME_IO_FLUSH] = io_flush,
	[NVME_IO_WRITE] = io_write,
	[NVME_IO_READ] = io_read,
	[NVME_IO_COMPARE] = io_compare,
	[NVME_IO_WRITE_ZEROES] = io_write_zeroes,
	[NVME_IO_DATASET_MANAGEMENT] = io_dataset_management,
};

static bool namespace_valid(const struct nvme_command *command)
{
	return command->nsid == 1 || (command->opcode == NVME_IO_FLUSH && command->nsid == UINT32_MAX);
}

/* A command that fails for what it says will fail again. */
static bool may_succeed_later(u16 status)
{
	return status == NVME_DATA_TRANSFER_ERROR || status == NVME_ABORT_REQUESTED || status == NVME_READ_ERROR ||
	       status == NVME_WRITE_FAULT || status == NVME_ASYNC_LIMIT;
}

u16 nvme_execute(struct nvme *nvme, struct nvme_request *request, nvme_handler handler)
{
	const struct nvme_command *command = request->command;
	u16 status;

	if (!handler)
		status = NVME_INVALID_OPCODE;
	else if (command->flags & (NVME_FLAGS_FUSE | NVME_FLAGS_PSDT))
		status = NVME_INVALID_FIELD; /* neither fused operations nor scatter gather lists */
	else if (request->sq_id && !namespace_valid(command))
		status = NVME_INVALID_NAMESPACE;
	else
		status = handler(nvme, request);
	if (!status || status == NVME_NO_COMPLETION)
		return status;
	if (!may_succeed_later(status))
		status |= NVME_DO_NOT_RETRY;
	nvme_log_error(nvme, request->sq_id, command, status);
	return status;
}

u16 nvme_execute_io(struct nvme *nvme, struct nvme_request *request)
{
	return nvme_execute(nvme, request, io_handlers[request->command->opcode]);
}
