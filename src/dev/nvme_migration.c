/* SPDX-License-Identifier: MIT */
/*
 * Moving a controller to another one (option migration=true). What it has is its registers, queues, features, event
 * requests, logs and counters, and completions that are not in memory yet; nothing is outstanding, for commands are
 * executed to their end.
 *
 * The medium moves if it is memory of ours: as bulk, in chunks, those that were written since the machine started,
 * while the driver goes on writing. A disk that is a file is not moved: both sides have the same file.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "dev/nvme.h"
#include "dev/state.h"

enum { CHUNK = NVME_DISK_CHUNK, CHUNK_HEAD = 8 };

_Static_assert(CHUNK_HEAD + CHUNK <= PCI_MIGRATION_RECORD, "a chunk is a record");

static const struct state_field controller_fields[] = {
	STATE_FIELD(struct nvme, identity.segment),
	STATE_FIELD(struct nvme, identity.bus),
	STATE_FIELD(struct nvme, identity.devfn),
	STATE_FIELD(struct nvme, cc),
	STATE_FIELD(struct nvme, csts),
	STATE_FIELD(struct nvme, mask),
	STATE_FIELD(struct nvme, page_shift),
	STATE_FIELD(struct nvme, live_sqs),
	STATE_FIELD(struct nvme, live_cqs),
	STATE_FIELD(struct nvme, granted),
	STATE_FIELD(struct nvme, signals),
	STATE_ARRAY(struct nvme, event_requests),
	STATE_FIELD(struct nvme, nevent_requests),
	STATE_ARRAY(struct nvme, event_info),
	STATE_FIELD(struct nvme, events_pending),
	STATE_FIELD(struct nvme, events_masked),
	STATE_ARRAY(struct nvme, features.value),
	STATE_FIELD(struct nvme, features.over_threshold),
	STATE_FIELD(struct nvme, features.under_threshold),
	STATE_FIELD(struct nvme, features.no_coalescing),
	STATE_FIELD(struct nvme, counters.reads),
	STATE_FIELD(struct nvme, counters.writes),
	STATE_FIELD(struct nvme, counters.sectors_read),
	STATE_FIELD(struct nvme, counters.sectors_written),
	STATE_FIELD(struct nvme, counters.media_errors),
	STATE_FIELD(struct nvme, counters.errors),
};

static const struct state_field sq_fields[] = {
	STATE_FIELD(struct nvme_sq, size), STATE_FIELD(struct nvme_sq, head), STATE_FIELD(struct nvme_sq, tail),
	STATE_FIELD(struct nvme_sq, cq),   STATE_FIELD(struct nvme_sq, base), STATE_FIELD(struct nvme_sq, ignored),
};

static const struct state_field cq_fields[] = {
	STATE_FIELD(struct nvme_cq, size),	STATE_FIELD(struct nvme_cq, head),
	STATE_FIELD(struct nvme_cq, tail),	STATE_FIELD(struct nvme_cq, vector),
	STATE_FLAG(struct nvme_cq, interrupts), STATE_FIELD(struct nvme_cq, phase),
	STATE_FIELD(struct nvme_cq, base),	STATE_FIELD(struct nvme_cq, ignored),
	STATE_FIELD(struct nvme_cq, npending),
};

static const struct state_field completion_fields[] = {
	STATE_FIELD(struct nvme_completion, result), STATE_FIELD(struct nvme_completion, sq_head),
	STATE_FIELD(struct nvme_completion, sq_id),  STATE_FIELD(struct nvme_completion, cid),
	STATE_FIELD(struct nvme_completion, status),
};

static const struct state_field error_fields[] = {
	STATE_FIELD(struct nvme_error_entry, count),	STATE_FIELD(struct nvme_error_entry, sq_id),
	STATE_FIELD(struct nvme_error_entry, cid),	STATE_FIELD(struct nvme_error_entry, status),
	STATE_FIELD(struct nvme_error_entry, location), STATE_FIELD(struct nvme_error_entry, lba),
	STATE_FIELD(struct nvme_error_entry, nsid),
};

/* What is in the register page only, and what both sides must have alike. */
struct page_image {
	u8 block_shift;
	u64 blocks;
	bool memory;
	u32 aqa;
	u64 asq, acq;
	u32 sq_doorbells[NVME_QUEUES], cq_doorbells[NVME_QUEUES];
};

static const struct state_field page_fields[] = {
	STATE_FIELD(struct page_image, block_shift),  STATE_FIELD(struct page_image, blocks),
	STATE_FLAG(struct page_image, memory),	      STATE_FIELD(struct page_image, aqa),
	STATE_FIELD(struct page_image, asq),	      STATE_FIELD(struct page_image, acq),
	STATE_ARRAY(struct page_image, sq_doorbells), STATE_ARRAY(struct page_image, cq_doorbells),
};

#define PUT(writer, fields, object) state_put(writer, fields, ARRAY_SIZE(fields), object)
#define GET(reader, fields, object) state_get(reader, fields, ARRAY_SIZE(fields), object)

static struct nvme *nvme_of(struct pci_function *function)
{
	return function->model;
}

/* ---- activity ---- */

static void nvme_activity(struct pci_function *function, enum pci_activity activity)
{
	struct nvme *nvme = nvme_of(function);

	worker_lock(&nvme->worker);
	/* What has been stored so far came before the stop, whether it was seen or not. */
	if (nvme->activity == PCI_ACTIVE) {
		nvme->activity = PCI_PASSIVE;
		nvme_poll(nvme);
	}
	nvme->activity = activity;
	if (activity != PCI_STOPPED)
		nvme_update_level(nvme);
	worker_unlock(&nvme->worker);
}

/* ---- the medium ---- */

static u64 chunk_size(const struct nvme_disk *disk, u64 chunk)
{
	return min_u64(CHUNK, disk->size - chunk * CHUNK);
}

static void nvme_send_start(struct pci_function *function)
{
	struct nvme *nvme = nvme_of(function);

	worker_lock(&nvme->worker);
	nvme->sending = true;
	if (nvme->disk.written)
		memcpy(nvme->disk.unsent, nvme->disk.written, nvme_disk_map_size(&nvme->disk));
	worker_unlock(&nvme->worker);
}

static void nvme_send_stop(struct pci_function *function)
{
	struct nvme *nvme = nvme_of(function);

	worker_lock(&nvme->worker);
	nvme->sending = false;
	worker_unlock(&nvme->worker);
}

/* A round goes from the first chunk to the last, so that one that is written all the time holds up no other. */
static bool next_unsent(struct nvme_disk *disk, u64 *ret)
{
	u64 words = nvme_disk_map_size(disk) / sizeof(u64);

	for (u64 n = 0; n <= words; n++) {
		u64 word = disk->round, bits;

		if (word >= words)
			word = disk->round = 0;
		bits = disk->unsent[word];
		if (bits) {
			*ret = word * 64 + (unsigned)__builtin_ctzll(bits);
			return true;
		}
		disk->round++;
	}
	return false;
}

static size_t nvme_send(struct pci_function *function, u8 record[static PCI_MIGRATION_RECORD])
{
	struct nvme *nvme = nvme_of(function);
	struct nvme_disk *disk = &nvme->disk;
	u64 chunk, size = 0;

	worker_lock(&nvme->worker);
	if (disk->written && next_unsent(disk, &chunk)) {
		size = chunk_size(disk, chunk);
		put_u64(record, chunk * CHUNK);
		memcpy(record + CHUNK_HEAD, disk->memory + chunk * CHUNK, size);
		disk->unsent[chunk / 64] &= ~BIT(chunk % 64);
		size += CHUNK_HEAD;
	}
	worker_unlock(&nvme->worker);
	return size;
}

static u64 nvme_pending(struct pci_function *function)
{
	struct nvme *nvme = nvme_of(function);
	const u64 *map;
	u64 chunks = 0;

	worker_lock(&nvme->worker);
	map = nvme->sending ? nvme->disk.unsent : nvme->disk.written;
	for (u64 i = 0; map && i < nvme_disk_map_size(&nvme->disk) / sizeof(*map); i++)
		chunks += (unsigned)__builtin_popcountll(map[i]);
	worker_unlock(&nvme->worker);
	return chunks * (CHUNK_HEAD + CHUNK);
}

/* From here on unsent says which chunks have come. */
static void nvme_receive_start(struct pci_function *function)
{
	struct nvme *nvme = nvme_of(function);

	worker_lock(&nvme->worker);
	if (nvme->disk.written)
		memset(nvme->disk.unsent, 0, nvme_disk_map_size(&nvme->disk));
	worker_unlock(&nvme->worker);
}

static int nvme_receive(struct pci_function *function, const u8 *record, size_t size, struct why *why)
{
	struct nvme *nvme = nvme_of(function);
	struct nvme_disk *disk = &nvme->disk;
	u64 offset;

	if (!disk->written)
		return refuse(why, DEVICE_STATE, "blocks come in, but the disk of this NVMe controller is a file");
	if (size < CHUNK_HEAD)
		return refuse(why, DEVICE_STATE, "a chunk of the NVMe disk has %zu bytes", size);
	offset = get_u64(record);
	if (!is_aligned(offset, CHUNK) || offset >= disk->size || size - CHUNK_HEAD != chunk_size(disk, offset / CHUNK))
		return refuse(why, DEVICE_STATE, "%zu bytes for %#llx of an NVMe disk of %#llx", size - CHUNK_HEAD,
			      (unsigned long long)offset, (unsigned long long)disk->size);
	worker_lock(&nvme->worker);
	memcpy(disk->memory + offset, record + CHUNK_HEAD, size - CHUNK_HEAD);
	nvme_disk_note(disk, offset, size - CHUNK_HEAD);
	worker_unlock(&nvme->worker);
	return 0;
}

/* What has not come was never written on the other side. */
static void forget_others(struct nvme_disk *disk)
{
	if (!disk->written)
		return;
	for (u64 chunk = 0; chunk * CHUNK < disk->size; chunk++)
		if (disk->written[chunk / 64] & ~disk->unsent[chunk / 64] & BIT(chunk % 64)) {
			nvme_disk_zero(disk, chunk * CHUNK, chunk_size(disk, chunk));
			disk->written[chunk / 64] &= ~BIT(chunk % 64);
		}
}

/* ---- the rest ---- */

static void load_page(const struct nvme *nvme, struct page_image *ret)
{
	*ret = (struct page_image){
		.block_shift = (u8)nvme->disk.block_shift,
		.blocks = nvme->disk.blocks,
		.memory = nvme->disk.memory != NULL,
		.aqa = nvme_reg_load(nvme, NVME_REG_AQA),
		.asq = nvme_reg_load(nvme, NVME_REG_ASQ) | (u64)nvme_reg_load(nvme, NVME_REG_ASQ + 4) << 32,
		.acq = nvme_reg_load(nvme, NVME_REG_ACQ) | (u64)nvme_reg_load(nvme, NVME_REG_ACQ + 4) << 32,
	};
	for (unsigned id = 0; id < NVME_QUEUES; id++) {
		ret->sq_doorbells[id] = nvme_reg_load(nvme, NVME_DOORBELLS + 8 * id);
		ret->cq_doorbells[id] = nvme_reg_load(nvme, NVME_DOORBELLS + 8 * id + 4);
	}
}

static void store_page(struct nvme *nvme, const struct page_image *page)
{
	nvme_reg_store(nvme, NVME_REG_CC, nvme->cc);
	nvme_reg_store(nvme, NVME_REG_CSTS, nvme->csts);
	nvme_reg_store(nvme, NVME_REG_INTMS, nvme->mask);
	nvme_reg_store(nvme, NVME_REG_INTMC, 0);
	nvme_reg_store(nvme, NVME_REG_AQA, page->aqa);
	nvme_reg_store(nvme, NVME_REG_ASQ, (u32)page->asq);
	nvme_reg_store(nvme, NVME_REG_ASQ + 4, (u32)(page->asq >> 32));
	nvme_reg_store(nvme, NVME_REG_ACQ, (u32)page->acq);
	nvme_reg_store(nvme, NVME_REG_ACQ + 4, (u32)(page->acq >> 32));
	for (unsigned id = 0; id < NVME_QUEUES; id++) {
		nvme_reg_store(nvme, NVME_DOORBELLS + 8 * id, page->sq_doorbells[id]);
		nvme_reg_store(nvme, NVME_DOORBELLS + 8 * id + 4, page->cq_doorbells[id]);
	}
}

static void put_all(struct state_writer *writer, const struct nvme *nvme, const struct page_image *page)
{
	PUT(writer, page_fields, page);
	PUT(writer, controller_fields, nvme);
	for (unsigned id = 0; id < NVME_QUEUES; id++) {
		const struct nvme_cq *cq = &nvme->cqs[id];

		if (nvme->live_cqs & BIT(id)) {
			PUT(writer, cq_fields, cq);
			for (unsigned i = 0; i < cq->npending; i++)
				PUT(writer, completion_fields, &cq->pending[i]);
		}
		if (nvme->live_sqs & BIT(id))
			PUT(writer, sq_fields, &nvme->sqs[id]);
	}
	for (unsigned i = 0; i < NVME_ERROR_ENTRIES; i++)
		PUT(writer, error_fields, &nvme->error_log[i]);
}

static void get_cq(struct state_reader *reader, struct nvme_cq *cq, unsigned id)
{
	*cq = (struct nvme_cq){.id = (u16)id};
	GET(reader, cq_fields, cq);
	reader->bad |= cq->npending > NVME_BATCH;
	for (unsigned i = 0; !reader->bad && i < cq->npending; i++)
		GET(reader, completion_fields, &cq->pending[i]);
}

static void get_all(struct state_reader *reader, struct nvme *nvme, struct page_image *page)
{
	GET(reader, page_fields, page);
	GET(reader, controller_fields, nvme);
	for (unsigned id = 0; id < NVME_QUEUES; id++) {
		if (nvme->live_cqs & BIT(id))
			get_cq(reader, &nvme->cqs[id], id);
		if (nvme->live_sqs & BIT(id)) {
			nvme->sqs[id] = (struct nvme_sq){.id = (u16)id};
			GET(reader, sq_fields, &nvme->sqs[id]);
		}
	}
	for (unsigned i = 0; i < NVME_ERROR_ENTRIES; i++) {
		nvme->error_log[i] = (struct nvme_error_entry){};
		GET(reader, error_fields, &nvme->error_log[i]);
	}
}

static size_t nvme_save(struct pci_function *function, u8 record[static PCI_MIGRATION_RECORD])
{
	struct nvme *nvme = nvme_of(function);
	struct state_writer writer = {.bytes = record, .room = PCI_MIGRATION_RECORD};
	struct page_image page;

	worker_lock(&nvme->worker);
	load_page(nvme, &page);
	put_all(&writer, nvme, &page);
	worker_unlock(&nvme->worker);
	assert(writer.size <= writer.room);
	return writer.size;
}

/* ---- what to believe ---- */

static bool cq_is_sound(const struct nvme *plan, unsigned id)
{
	const struct nvme_cq *cq = &plan->cqs[id];
	unsigned unread;

	if (cq->size < 2 || cq->size > NVME_MAX_ENTRIES || cq->head >= cq->size || cq->tail >= cq->size)
		return false;
	unread = cq->tail >= cq->head ? cq->tail - cq->head : cq->tail + cq->size - cq->head;
	if (unread + cq->npending >= cq->size || cq->vector >= NVME_VECTORS || cq->phase > 1)
		return false;
	return is_aligned(cq->base, BIT(plan->page_shift)) && (id || (cq->interrupts && !cq->vector));
}

static bool sq_is_sound(const struct nvme *plan, unsigned id)
{
	const struct nvme_sq *sq = &plan->sqs[id];

	if (sq->size < 2 || sq->size > NVME_MAX_ENTRIES || sq->head >= sq->size || sq->tail >= sq->size)
		return false;
	if (sq->cq >= NVME_QUEUES || !(plan->live_cqs & BIT(sq->cq)) || !id != !sq->cq)
		return false;
	return is_aligned(sq->base, BIT(plan->page_shift));
}

/* Queues there are only of a controller that is on, and then the admin queues are among them. */
static bool queues_are_sound(const struct nvme *plan)
{
	u64 live = plan->live_sqs | plan->live_cqs;

	if (live >= BIT(NVME_QUEUES) || live >> plan->granted > 1)
		return false;
	if (plan->csts & NVME_CSTS_RDY && !(plan->live_sqs & plan->live_cqs & 1))
		return false;
	if (live && !(plan->csts & NVME_CSTS_RDY && plan->cc & NVME_CC_EN && plan->live_sqs & plan->live_cqs & 1))
		return false;
	for (unsigned id = 0; id < NVME_QUEUES; id++) {
		if (plan->live_cqs & BIT(id) && !cq_is_sound(plan, id))
			return false;
		if (plan->live_sqs & BIT(id) && !sq_is_sound(plan, id))
			return false;
	}
	return true;
}

static bool controller_is_sound(const struct nvme *plan)
{
	const u32 status = NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST_DONE;

	return !(plan->csts & ~status) && plan->page_shift >= PAGE_SHIFT &&
	       plan->page_shift <= PAGE_SHIFT + NVME_MPS_MAX && plan->granted >= 1 && plan->granted <= NVME_IO_QUEUES &&
	       plan->signals < BIT(NVME_VECTORS) && plan->nevent_requests <= NVME_EVENT_REQUESTS &&
	       plan->features.no_coalescing < BIT(NVME_VECTORS) &&
	       (plan->events_pending | plan->events_masked) < BIT(NVME_EVENT_TYPES);
}

static int decode_state(const struct nvme *nvme, struct state_reader *reader, struct nvme *plan,
			struct page_image *page, struct why *why)
{
	const struct nvme_disk *disk = &nvme->disk;

	get_all(reader, plan, page);
	if (!state_is_whole(reader))
		return refuse(why, DEVICE_STATE, "the state of the NVMe controller has %zu bytes, which are not it",
			      reader->size);
	if (page->block_shift != disk->block_shift || page->blocks != disk->blocks || page->memory != !!disk->memory)
		return refuse(why, DEVICE_STATE,
			      "the disk has %llu blocks of %u bytes in %s, here it is %llu of %u in %s",
			      (unsigned long long)page->blocks, 1u << page->block_shift % 32,
			      page->memory ? "memory" : "a file", (unsigned long long)disk->blocks,
			      1u << disk->block_shift, disk->memory ? "memory" : "a file");
	if (!controller_is_sound(plan) || !queues_are_sound(plan))
		return refuse(why, DEVICE_STATE,
			      "no NVMe controller could be in that state: CC %#x, CSTS %#x, queues "
			      "%#llx and %#llx",
			      plan->cc, plan->csts, (unsigned long long)plan->live_sqs,
			      (unsigned long long)plan->live_cqs);
	return 0;
}

static int nvme_load(struct pci_function *function, const u8 *record, size_t size, struct why *why)
{
	struct nvme *nvme = nvme_of(function);
	_memory_ struct nvme *plan = alloc_new(struct nvme, why);
	struct state_reader reader = {.bytes = record, .size = size}, again = reader;
	struct page_image page;
	int err = plan ? decode_state(nvme, &reader, plan, &page, why) : -why->err;

	if (err < 0)
		return err;
	worker_lock(&nvme->worker);
	get_all(&again, nvme, &page);
	for (unsigned id = 0; id < NVME_QUEUES; id++)
		if (nvme->live_sqs & BIT(id))
			nvme->cqs[nvme->sqs[id].cq].users++;
	store_page(nvme, &page);
	forget_others(&nvme->disk);
	worker_unlock(&nvme->worker);
	return 0;
}

static const struct pci_migration_ops file_ops = {
	.activity = nvme_activity,
	.save = nvme_save,
	.load = nvme_load,
};

static const struct pci_migration_ops memory_ops = {
	.pre_copy = true,
	.activity = nvme_activity,
	.send_start = nvme_send_start,
	.send_stop = nvme_send_stop,
	.send = nvme_send,
	.pending = nvme_pending,
	.save = nvme_save,
	.receive_start = nvme_receive_start,
	.receive = nvme_receive,
	.load = nvme_load,
};

int nvme_migration_init(struct nvme *nvme, const struct model_options *options, struct why *why)
{
	bool wanted = false;
	int err = model_flag(&nvme_model, options, "migration", &wanted, why);

	if (err < 0 || !wanted)
		return err;
	if (nvme->disk.memory)
		err = nvme_disk_map(&nvme->disk, why);
	if (err == 0)
		nvme->function->migration = nvme->disk.memory ? &memory_ops : &file_ops;
	return err;
}
