/* SPDX-License-Identifier: MIT */
/*
 * Queues: doorbells in, commands fetched, completions out, interrupts.
 *
 * A command is fetched only when its completion queue has room for the answer, so a driver that reads no completions
 * stops its own queue and nothing else; an unread entry is never overwritten. Completions of a batch are gathered and
 * written by one transfer: first the entries with the phase bit the reader has seen already, then each status word
 * with the new phase. Then one message per vector.
 *
 * The queues lie in the driver's memory. If that cannot be reached the controller is dead (CSTS.CFS), as hardware
 * would be, except while bus mastering is off: then nothing leaves the device, and all waits in its place.
 */
#include "dev/nvme.h"

static unsigned sq_doorbell(unsigned id)
{
	return NVME_DOORBELLS + 8 * id;
}

static unsigned cq_doorbell(unsigned id)
{
	return NVME_DOORBELLS + 8 * id + 4;
}

void nvme_cq_make(struct nvme *nvme, unsigned id, u64 base, unsigned size, bool interrupts, unsigned vector)
{
	nvme->cqs[id] = (struct nvme_cq){.id = (u16)id,
					 .size = (u16)size,
					 .base = base,
					 .phase = 1,
					 .interrupts = interrupts,
					 .vector = (u16)vector,
					 .ignored = NVME_NONE_IGNORED};
	nvme_reg_store(nvme, cq_doorbell(id), 0);
	nvme->live_cqs |= BIT(id);
}

void nvme_sq_make(struct nvme *nvme, unsigned id, u64 base, unsigned size, unsigned cq)
{
	nvme->sqs[id] = (struct nvme_sq){
		.id = (u16)id, .size = (u16)size, .base = base, .cq = (u16)cq, .ignored = NVME_NONE_IGNORED};
	nvme_reg_store(nvme, sq_doorbell(id), 0);
	nvme->live_sqs |= BIT(id);
	nvme->cqs[cq].users++;
}

void nvme_cq_drop(struct nvme *nvme, unsigned id)
{
	nvme->live_cqs &= ~BIT(id);
}

void nvme_sq_drop(struct nvme *nvme, unsigned id)
{
	nvme->live_sqs &= ~BIT(id);
	nvme->cqs[nvme->sqs[id].cq].users--;
}

/* Entries from one index of a ring up to another. */
static unsigned ring_distance(unsigned from, unsigned to, unsigned size)
{
	return to >= from ? to - from : to + size - from;
}

unsigned nvme_cq_room(const struct nvme_cq *cq)
{
	return cq->size - 1u - ring_distance(cq->head, cq->tail, cq->size) - cq->npending;
}

void nvme_complete(struct nvme_cq *cq, const struct nvme_sq *sq, u16 cid, u16 status, u32 result)
{
	assert(cq->npending < NVME_BATCH);
	assert(nvme_cq_room(cq) > 0);
	cq->pending[cq->npending++] = (struct nvme_completion){.result = result,
							       .sq_head = sq->head,
							       .sq_id = sq->id,
							       .cid = cid,
							       .status = nvme_status_field(status)};
}

/* A transfer of queue memory. Fatal when it faults; false without more when the device is no bus master. */
static bool queue_transfer(struct nvme *nvme, enum dma_result result)
{
	if (result == DMA_FAULT)
		nvme_die(nvme);
	return result == DMA_OK;
}

/* Writes what is pending. False when it has to stay. */
static bool cq_flush(struct nvme *nvme, struct nvme_cq *cq)
{
	struct nvme_completion entries[NVME_BATCH];
	struct dma_segment segments[NVME_BATCH + 2];
	unsigned n = cq->npending, nsegments = 0, tail = cq->tail;
	unsigned first = (unsigned)min_u64(n, cq->size - tail);
	u16 words[NVME_BATCH], phase = cq->phase;

	segments[nsegments++] = (struct dma_segment){cq->base + 16 * tail, entries, 16 * first};
	if (first < n)
		segments[nsegments++] = (struct dma_segment){cq->base, entries + first, 16 * (n - first)};
	for (unsigned i = 0; i < n; i++) {
		entries[i] = cq->pending[i];
		words[i] = (u16)(entries[i].status | phase);
		entries[i].status = words[i] ^ 1;
		segments[nsegments++] = (struct dma_segment){cq->base + 16 * tail + 14, &words[i], 2};
		tail = (tail + 1) % cq->size;
		phase = tail ? phase : phase ^ 1;
	}
	if (!queue_transfer(nvme, dma_writev(nvme->port, segments, nsegments)))
		return false;
	cq->npending = 0;
	cq->tail = (u16)tail;
	cq->phase = phase;
	if (cq->interrupts)
		nvme->signals |= BIT(cq->vector);
	return true;
}

/*
 * The INTx line: up while a queue that may interrupt holds unread entries and the driver has not masked us. Driven
 * whatever the interrupt mode is now; pci_irq knows who listens.
 */
void nvme_update_level(struct nvme *nvme)
{
	bool level = false;

	for (unsigned id = 0; id < NVME_QUEUES; id++)
		if (nvme->live_cqs & BIT(id) && nvme->cqs[id].interrupts)
			level |= nvme->cqs[id].head != nvme->cqs[id].tail;
	level &= !(nvme->mask & 1);
	if (level == nvme->level)
		return;
	nvme->level = level;
	pci_irq_level(&nvme->function->irq, level);
}

static void signal_vectors(struct nvme *nvme)
{
	for (unsigned vector = 0; nvme->signals; vector++) {
		if (nvme->signals & BIT(vector))
			pci_irq_message(&nvme->function->irq, vector);
		nvme->signals &= ~BIT(vector);
	}
}

/* A doorbell value that names no entry changes nothing; the driver hears of it, once per value. */
static void doorbell_refused(struct nvme *nvme, u32 value, u32 *ignored)
{
	if (*ignored == value)
		return;
	*ignored = value;
	nvme_log_error(nvme, 0xffff, NULL, 0);
	nvme_raise_event(nvme, NVME_EVENT_ERROR, NVME_EVENT_INVALID_DOORBELL_VALUE);
}

/* Takes the head doorbell, and writes what had to wait. */
static bool cq_poll(struct nvme *nvme, struct nvme_cq *cq)
{
	u32 head = nvme_reg_load(nvme, cq_doorbell(cq->id));

	if (head != cq->head) {
		if (head < cq->size &&
		    ring_distance(cq->head, head, cq->size) <= ring_distance(cq->head, cq->tail, cq->size)) {
			cq->head = (u16)head;
			cq->ignored = NVME_NONE_IGNORED;
			return true;
		}
		doorbell_refused(nvme, head, &cq->ignored);
	}
	return cq->npending && cq_flush(nvme, cq);
}

/* Commands waiting in the ring. The tail is the driver's: any value below size is legal. */
static bool sq_poll_tail(struct nvme *nvme, struct nvme_sq *sq)
{
	u32 tail = nvme_reg_load(nvme, sq_doorbell(sq->id));

	if (tail < sq->size) {
		sq->tail = (u16)tail;
		sq->ignored = NVME_NONE_IGNORED;
	} else {
		doorbell_refused(nvme, tail, &sq->ignored);
	}
	return sq->tail != sq->head;
}

/*
 * How many to fetch: they lie in one piece, and their completions have room. Admin commands go one by one, because they
 * may delete queues and complete other commands.
 */
static unsigned sq_batch(const struct nvme_sq *sq, const struct nvme_cq *cq)
{
	u64 n = min_u64(ring_distance(sq->head, sq->tail, sq->size), sq->size - sq->head);

	n = min_u64(n, sq->id ? NVME_BATCH : 1);
	return (unsigned)min_u64(n, cq->npending ? 0 : nvme_cq_room(cq));
}

static u64 sq_execute(struct nvme *nvme, struct nvme_sq *sq, const struct nvme_command *command)
{
	struct nvme_request request = {.command = command, .sq_id = sq->id};
	struct nvme_cq *cq = &nvme->cqs[sq->cq];
	u16 status;

	sq->head = (u16)((sq->head + 1) % sq->size);
	status = sq->id ? nvme_execute_io(nvme, &request) : nvme_execute_admin(nvme, &request);
	if (status != NVME_NO_COMPLETION)
		nvme_complete(cq, sq, command->cid, status, request.result);
	return request.bytes;
}

/* One batch. What was fetched but not reached stays in the ring and is fetched again. */
static bool sq_run(struct nvme *nvme, struct nvme_sq *sq)
{
	struct nvme_cq *cq = &nvme->cqs[sq->cq];
	unsigned n = sq_batch(sq, cq);
	u64 bytes = 0;

	if (!n || !queue_transfer(nvme, dma_read(nvme->port, sq->base + 64 * sq->head, nvme->commands, 64 * n)))
		return false;
	for (unsigned i = 0; i < n && bytes < NVME_BATCH_BYTES; i++)
		bytes += sq_execute(nvme, sq, &nvme->commands[i]);
	if (cq->npending)
		cq_flush(nvme, cq);
	nvme_update_level(nvme);
	signal_vectors(nvme);
	return true;
}

bool nvme_queues_poll(struct nvme *nvme)
{
	bool progress = false;

	for (unsigned id = 0; id < NVME_QUEUES && nvme_ready(nvme); id++)
		if (nvme->live_cqs & BIT(id))
			progress |= cq_poll(nvme, &nvme->cqs[id]);
	for (unsigned id = 0; id < NVME_QUEUES && nvme_ready(nvme); id++)
		if (nvme->live_sqs & BIT(id) && sq_poll_tail(nvme, &nvme->sqs[id]))
			progress |= sq_run(nvme, &nvme->sqs[id]);
	if (nvme_ready(nvme) && nvme_report_events(nvme))
		progress |= cq_flush(nvme, &nvme->cqs[0]);
	nvme_update_level(nvme);
	signal_vectors(nvme);
	return progress;
}
