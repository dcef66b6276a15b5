/* SPDX-License-Identifier: MIT */
#include "dev/nvme_disk.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/os.h"
#include "dev/model.h"

enum { DEFAULT_SIZE = 64 << 20, CHUNK = 4096 };

/* Sparse, so the host pays for what is written; beyond this a typing error is more likely than a wish. */
static const u64 largest_memory = 1ull << 40;

static int block_decode(const char *value, unsigned *ret_shift, struct why *why)
{
	if (!value || !strcmp(value, "512"))
		*ret_shift = 9;
	else if (!strcmp(value, "4096"))
		*ret_shift = 12;
	else
		return refuse(why, MODEL_OPTION_INVALID, "option block=%.32s of model nvme: it is 512 or 4096", value);
	return 0;
}

/* Bits to shift by for a unit letter; -1 when it is none. */
static int unit_shift(const char *unit)
{
	static const char units[] = "KMGT";
	const char *found;

	if (!*unit)
		return 0;
	found = strchr(units, *unit);
	return found && !unit[1] ? (int)(found - units + 1) * 10 : -1;
}

static int size_decode(const char *value, unsigned block_shift, u64 *ret_size, struct why *why)
{
	unsigned long long number;
	char *unit;
	int shift;

	if (!value) {
		*ret_size = DEFAULT_SIZE;
		return 0;
	}
	errno = 0;
	number = strtoull(value, &unit, 10);
	shift = unit_shift(unit);
	if (*value < '0' || *value > '9' || errno || shift < 0)
		return refuse(why, MODEL_OPTION_INVALID,
			      "option size=%.32s of model nvme: it is a number and K, M, G or T", value);
	if (!number || number > largest_memory >> shift || !is_aligned(number << shift, BIT(block_shift)))
		return refuse(why, MODEL_OPTION_INVALID,
			      "option size=%.32s of model nvme: it is a multiple of the block (%u bytes), at most 1T",
			      value, 1u << block_shift);
	*ret_size = number << shift;
	return 0;
}

static int memory_init(struct nvme_disk *disk, const char *size, struct why *why)
{
	int err = size_decode(size, disk->block_shift, &disk->size, why);

	if (err < 0)
		return err;
	disk->fd = os_memfd("isolde-nvme", disk->size, why);
	if (disk->fd < 0)
		return -why->err;
	disk->memory = os_map_shared(disk->fd, 0, disk->size, why);
	return disk->memory ? 0 : -why->err;
}

static int file_init(struct nvme_disk *disk, const char *path, struct why *why)
{
	u64 block = BIT(disk->block_shift);
	struct os_file file;

	disk->fd = os_file_open(path, &file);
	if (disk->fd < 0)
		return refuse(why, DISK_UNUSABLE, "disk %.150s: %s", path, strerror(-disk->fd));
	if (!file.regular)
		return refuse(why, DISK_UNUSABLE, "disk %.150s is not a regular file", path);
	if (file.size < block)
		return refuse(why, DISK_UNUSABLE, "disk %.150s is too small: %llu bytes, a block has %llu", path,
			      (unsigned long long)file.size, (unsigned long long)block);
	if (!is_aligned(file.size, block))
		return refuse(why, DISK_UNUSABLE, "disk %.150s has %llu bytes, which is no multiple of the block, %llu",
			      path, (unsigned long long)file.size, (unsigned long long)block);
	disk->size = file.size;
	return 0;
}

static int disk_init(struct nvme_disk *disk, const struct model_options *options, struct why *why)
{
	const char *path = model_option(options, "disk");
	int err = block_decode(model_option(options, "block"), &disk->block_shift, why);

	if (err < 0)
		return err;
	err = path ? file_init(disk, path, why) : memory_init(disk, model_option(options, "size"), why);
	if (err < 0)
		return err;
	disk->blocks = disk->size >> disk->block_shift;
	disk->bounce = alloc_zero(disk->bounce_size, why);
	return disk->bounce ? 0 : -why->err;
}

int nvme_disk_init(struct nvme_disk *disk, const struct model_options *options, u64 bounce_size, struct why *why)
{
	int err;

	disk->bounce_size = bounce_size;
	err = disk_init(disk, options, why);
	if (err < 0)
		nvme_disk_fini(disk);
	return err;
}

void nvme_disk_fini(struct nvme_disk *disk)
{
	free(disk->bounce);
	free(disk->written);
	free(disk->unsent);
	os_unmap(disk->memory, disk->size);
	os_close(disk->fd);
	*disk = (struct nvme_disk)NVME_DISK_INIT;
}

u8 *nvme_disk_window(struct nvme_disk *disk, u64 offset)
{
	assert(offset < disk->size);
	return disk->memory ? disk->memory + offset : disk->bounce;
}

bool nvme_disk_fetch(struct nvme_disk *disk, u64 offset, u64 size)
{
	assert(size <= disk->bounce_size);
	return disk->memory || os_file_read(disk->fd, offset, disk->bounce, size);
}

bool nvme_disk_store(struct nvme_disk *disk, u64 offset, u64 size)
{
	assert(size <= disk->bounce_size);
	return disk->memory || os_file_write(disk->fd, offset, disk->bounce, size);
}

bool nvme_disk_equal(struct nvme_disk *disk, u64 offset, u64 size, const u8 *bytes)
{
	u8 chunk[CHUNK];

	if (disk->memory)
		return !memcmp(disk->memory + offset, bytes, size);
	for (u64 done = 0; done < size; done += CHUNK) {
		u64 n = min_u64(CHUNK, size - done);

		if (!os_file_read(disk->fd, offset + done, chunk, n) || memcmp(chunk, bytes + done, n))
			return false;
	}
	return true;
}

/* A file system without holes: the zeros are written. */
static bool file_write_zeros(struct nvme_disk *disk, u64 offset, u64 size)
{
	memset(disk->bounce, 0, min_u64(size, disk->bounce_size));
	for (u64 done = 0; done < size; done += disk->bounce_size)
		if (!os_file_write(disk->fd, offset + done, disk->bounce, min_u64(disk->bounce_size, size - done)))
			return false;
	return true;
}

bool nvme_disk_zero(struct nvme_disk *disk, u64 offset, u64 size)
{
	nvme_disk_note(disk, offset, size);
	if (os_file_punch(disk->fd, offset, size))
		return true;
	if (!disk->memory)
		return file_write_zeros(disk, offset, size);
	memset(disk->memory + offset, 0, size);
	return true;
}

void nvme_disk_discard(struct nvme_disk *disk, u64 offset, u64 size)
{
	nvme_disk_note(disk, offset, size);
	os_file_punch(disk->fd, offset, size);
}

bool nvme_disk_flush(struct nvme_disk *disk)
{
	return disk->memory || os_file_flush(disk->fd);
}

u64 nvme_disk_map_size(const struct nvme_disk *disk)
{
	u64 chunks = (disk->size + NVME_DISK_CHUNK - 1) / NVME_DISK_CHUNK;

	return (chunks + 63) / 64 * sizeof(u64);
}

int nvme_disk_map(struct nvme_disk *disk, struct why *why)
{
	disk->written = alloc_zero(nvme_disk_map_size(disk), why);
	disk->unsent = disk->written ? alloc_zero(nvme_disk_map_size(disk), why) : NULL;
	return disk->unsent ? 0 : -why->err;
}

void nvme_disk_note(struct nvme_disk *disk, u64 offset, u64 size)
{
	if (!disk->written)
		return;
	for (u64 chunk = offset / NVME_DISK_CHUNK; size && chunk <= (offset + size - 1) / NVME_DISK_CHUNK; chunk++) {
		disk->written[chunk / 64] |= BIT(chunk % 64);
		disk->unsent[chunk / 64] |= BIT(chunk % 64);
	}
}
