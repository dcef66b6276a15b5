/* SPDX-License-Identifier: MIT */
/*
 * From the portal to the completion record. A work queue is a ring; the queues with something in them take turns, each
 * as often as its priority says. One descriptor is in work at a time; while a batch is, its descriptors are.
 */
#include "dev/dsa.h"

/* ---- portals ---- */

enum { PORTALS_SHIFT = PAGE_SHIFT + 2, LIMITED = 1, STORED_MESSAGES = 2 };

static bool push(struct dsa *dsa, struct dsa_wq *wq, const struct pci_access *access)
{
	struct dsa_entry *entry = &wq->entries[(wq->head + wq->count) % DSA_ENTRIES];

	*entry = (struct dsa_entry){.number = ++dsa->submitted,
				    .stored_messages = access->offset >> PAGE_SHIFT & STORED_MESSAGES};
	memcpy(&entry->descriptor, access->data, sizeof(entry->descriptor));
	wq->count++;
	dsa->stopped = false;
	worker_wake(&dsa->worker);
	return true;
}

/* A limited portal leaves room for those who use the other. */
static unsigned room(struct dsa *dsa, const struct dsa_wq *wq, const struct pci_access *access)
{
	unsigned limit = wq->size;

	if (!wq->dedicated && access->offset >> PAGE_SHIFT & LIMITED)
		limit = (unsigned)min_u64(
			limit, get_u16(dsa_wqcfg(dsa, (unsigned)(access->offset >> PORTALS_SHIFT), DSA_WQ_THRESHOLD)));
	return limit > wq->count ? limit - wq->count : 0;
}

/* Nobody hears what becomes of a posted write: what is not taken is reported. */
static bool refuse_posted(struct dsa *dsa, unsigned wq, const struct pci_access *access)
{
	struct dsa_job job = {.wq = wq};

	memcpy(&job.entry.descriptor, access->data, sizeof(job.entry.descriptor));
	job.pasid = job.entry.descriptor.pasid & DSA_PASID_MASK;
	job.privileged = job.entry.descriptor.pasid & DSA_PRIVILEGED;
	dsa_software_error(
		dsa, &(struct dsa_software_error){.error = DSA_ERROR_PORTAL,
						  .wq = (int)wq,
						  .job = access->width == sizeof(job.entry.descriptor) ? &job : NULL});
	return false;
}

/* MOVDIR64B is for dedicated queues, ENQCMD for shared ones; whoever uses the other is told to try again. */
bool dsa_portal(struct dsa *dsa, const struct pci_access *access)
{
	unsigned index = (unsigned)(access->offset >> PORTALS_SHIFT);
	struct dsa_wq *wq = &dsa->wqs[index];
	bool posted = access->kind == PCI_ACCESS_STORE;

	if (access->width == sizeof(struct dsa_descriptor) && wq->accepting && wq->dedicated == posted &&
	    room(dsa, wq, access))
		return push(dsa, wq, access);
	return posted ? refuse_posted(dsa, index, access) : false;
}

/* ---- completions ---- */

static void fill_specific(const struct dsa_job *job, enum dsa_status status, u8 specific[static 16])
{
	if (status == DSA_BAD_FLAGS) {
		put_u32(specific, job->invalid_flags);
		return;
	}
	switch (dsa_opcode(&job->entry.descriptor)) {
	case DSA_OP_CREATE_DELTA:
		put_u32(specific, job->delta_size);
		break;
	case DSA_OP_CRC:
	case DSA_OP_COPY_CRC:
		dsa_crc_result(job, specific);
		break;
	case DSA_OP_DIF_CHECK:
	case DSA_OP_DIF_INSERT:
	case DSA_OP_DIF_STRIP:
	case DSA_OP_DIF_UPDATE:
		if (status < DSA_BAD_OPCODE)
			dsa_dif_result(job, specific);
		break;
	default:
		break;
	}
}

static struct dsa_record make_record(const struct dsa_job *job, enum dsa_status status)
{
	struct dsa_record record = {.status = (u8)status, .result = job->result, .completed = (u32)job->done};

	if (status == DSA_PAGE_FAULT || status == DSA_BATCH_PAGE_FAULT) {
		record.fault_address = job->fault.address;
		record.status |= job->fault.write ? DSA_STATUS_WRITE : 0;
	}
	fill_specific(job, status, record.specific);
	return record;
}

/* Its first byte says that the rest is there. */
static enum dsa_moved write_record(struct dsa *dsa, struct dsa_job *job, struct dsa_record *record)
{
	u64 address = job->entry.descriptor.record;
	const struct dma_segment segments[] = {{address + 1, (u8 *)record + 1, sizeof(*record) - 1},
					       {address, record, 1}};

	return dsa_request(dsa, job, segments, ARRAY_SIZE(segments), DMA_WRITE);
}

static void report(struct dsa *dsa, const struct dsa_job *job, u8 error)
{
	dsa_software_error(
		dsa, &(struct dsa_software_error){.error = error, .wq = (int)job->wq, .job = job, .fault = job->fault});
}

/* False: it did not succeed, or nobody can know. An error without a record is the software error register's. */
static bool complete(struct dsa *dsa, struct dsa_job *job, enum dsa_status status)
{
	const struct dsa_descriptor *descriptor = &job->entry.descriptor;
	bool valid = descriptor->flags & DSA_RECORD_VALID && status != DSA_BAD_RECORD, good = status == DSA_SUCCESS;
	struct dsa_record record = make_record(job, status);

	job->active = false;
	if (valid && (!good || descriptor->flags & DSA_WANT_RECORD)) {
		enum dsa_moved moved = write_record(dsa, job, &record);

		if (moved == DSA_FAULTED) {
			job->fault.address = descriptor->record; /* all of it: it is in one page */
			report(dsa, job, DSA_RECORD_FAULT);
		}
		good &= moved == DSA_MOVED;
	} else if (!good) {
		report(dsa, job, (u8)status);
	}
	/* Not when the handle itself may be what is wrong. */
	if (descriptor->flags & DSA_WANT_INTERRUPT && status != DSA_BAD_FLAGS && dsa_interrupt_permitted(dsa, job))
		pci_irq_message(&dsa->function->irq, descriptor->interrupt);
	return good;
}

/* ---- batches ---- */

static void finish_batch(struct dsa *dsa)
{
	struct dsa_batch *batch = &dsa->batch;

	batch->active = false;
	batch->job.done = batch->next;
	batch->job.fault = batch->fault;
	complete(dsa, &batch->job,
		 batch->fault.happened ? DSA_BATCH_PAGE_FAULT
		 : batch->failed       ? DSA_BATCH_FAILED
				       : DSA_SUCCESS);
}

/* Some more descriptors of the list, as many as there are before a fault. */
static void fetch(struct dsa *dsa)
{
	struct dsa_batch *batch = &dsa->batch;
	u64 address = batch->job.entry.descriptor.source + batch->next * sizeof(struct dsa_descriptor);
	u64 count = min_u64(batch->job.entry.descriptor.size - batch->next, DSA_FETCH);
	enum dsa_moved moved;

	moved = dsa_load(dsa, &batch->job, address, batch->fetched, count * sizeof(struct dsa_descriptor));
	if (moved == DSA_FAULTED) {
		batch->fault = batch->job.fault;
		count = (batch->fault.address - address) / sizeof(struct dsa_descriptor);
		if (count)
			moved = dsa_load(dsa, &batch->job, address, batch->fetched,
					 count * sizeof(struct dsa_descriptor));
	}
	batch->nfetched = moved == DSA_MOVED ? (unsigned)count : 0;
	batch->at = 0;
}

static void begin(struct dsa *dsa, const struct dsa_entry *entry, unsigned wq_index, bool in_batch);

static void begin_next_of_batch(struct dsa *dsa)
{
	struct dsa_batch *batch = &dsa->batch;
	struct dsa_entry entry = batch->job.entry;

	if (batch->at == batch->nfetched && batch->next < batch->job.entry.descriptor.size && !batch->fault.happened)
		fetch(dsa);
	if (dsa->stopped)
		return;
	if (batch->at == batch->nfetched) {
		finish_batch(dsa);
		return;
	}
	entry.descriptor = batch->fetched[batch->at];
	/* Behind a fence nothing is done once something has failed. */
	if (entry.descriptor.flags & DSA_FENCE && batch->failed) {
		batch->fault.happened = false;
		finish_batch(dsa);
		return;
	}
	batch->at++;
	batch->next++;
	begin(dsa, &entry, batch->job.wq, true);
}

/* ---- jobs ---- */

static void conclude(struct dsa *dsa, struct dsa_job *job, enum dsa_status status)
{
	if (!complete(dsa, job, status) && job->in_batch)
		dsa->batch.failed = true;
}

/* What a job's requests carry: a batch's descriptors, as the batch. */
static void identify(const struct dsa *dsa, struct dsa_job *job)
{
	const struct dsa_wq *wq = &dsa->wqs[job->wq];

	if (job->in_batch) {
		job->with_pasid = dsa->batch.job.with_pasid;
		job->pasid = dsa->batch.job.pasid;
		job->privileged = dsa->batch.job.privileged;
	} else if (wq->dedicated) {
		job->with_pasid = wq->with_pasid;
		job->pasid = wq->with_pasid ? wq->pasid : 0;
		job->privileged = wq->privileged;
	} else {
		job->with_pasid = true;
		job->pasid = job->entry.descriptor.pasid & DSA_PASID_MASK;
		job->privileged = job->entry.descriptor.pasid & DSA_PRIVILEGED;
	}
}

static void begin(struct dsa *dsa, const struct dsa_entry *entry, unsigned wq_index, bool in_batch)
{
	struct dsa_job *job = &dsa->job;
	enum dsa_status status;

	*job = (struct dsa_job){.active = true, .in_batch = in_batch, .entry = *entry, .wq = wq_index};
	identify(dsa, job);
	job->limit = dsa_opcode(&entry->descriptor) == DSA_OP_APPLY_DELTA ? get_u32(entry->descriptor.specific)
									  : entry->descriptor.size;
	status = dsa_check(dsa, job);
	if (status != DSA_SUCCESS) {
		conclude(dsa, job, status);
	} else if (dsa_opcode(&entry->descriptor) == DSA_OP_BATCH) {
		dsa->batch.active = true;
		dsa->batch.failed = false;
		dsa->batch.job = *job;
		dsa->batch.next = dsa->batch.nfetched = dsa->batch.at = 0;
		dsa->batch.fault = (struct dsa_fault){.happened = false};
		job->active = false;
	}
}

/* Each queue may so many times in a round as its priority says. */
static int choose(struct dsa *dsa)
{
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < DSA_WQS; i++) {
			unsigned index = (dsa->turn + i) % DSA_WQS;
			struct dsa_wq *wq = &dsa->wqs[index];

			if (!wq->enabled || !wq->count || !wq->credit)
				continue;
			wq->credit--;
			dsa->turn = wq->credit ? index : (index + 1) % DSA_WQS;
			return (int)index;
		}
		for (unsigned i = 0; i < DSA_WQS; i++)
			dsa->wqs[i].credit = dsa->wqs[i].priority;
	}
	return -1;
}

static bool begin_next(struct dsa *dsa)
{
	struct dsa_entry entry;
	struct dsa_wq *wq;
	int index;

	if (dsa->batch.active) {
		begin_next_of_batch(dsa);
		return !dsa->stopped;
	}
	index = choose(dsa);
	if (index < 0)
		return false;
	wq = &dsa->wqs[index];
	entry = wq->entries[wq->head];
	wq->head = (wq->head + 1) % DSA_ENTRIES;
	wq->count--;
	begin(dsa, &entry, (unsigned)index, false);
	return true;
}

bool dsa_execute(struct dsa *dsa)
{
	bool progress = false;
	u64 moved = 0;

	for (unsigned n = 0; !dsa->stopped && n < DSA_TURN && moved < DSA_CHUNK; n++) {
		struct dsa_job *job = &dsa->job;
		u64 before = job->done;
		enum dsa_status status;

		if (!job->active) {
			if (!begin_next(dsa))
				break;
			progress = true;
			continue;
		}
		status = dsa_step(dsa, job);
		moved += job->done - before;
		progress |= !dsa->stopped;
		if (status != DSA_MORE)
			conclude(dsa, job, status);
	}
	dsa_command_check(dsa);
	return progress;
}

/* ---- aborts: no record, no interrupt ---- */

static void abandon_current(struct dsa *dsa)
{
	dsa->job.active = dsa->batch.active = false;
}

void dsa_abort_wq(struct dsa *dsa, unsigned wq)
{
	dsa->wqs[wq].count = 0;
	if (dsa->batch.active ? dsa->batch.job.wq == wq : dsa->job.wq == wq)
		abandon_current(dsa);
}

static u32 pasid_of(const struct dsa_wq *wq, const struct dsa_entry *entry)
{
	if (!wq->dedicated)
		return entry->descriptor.pasid & DSA_PASID_MASK;
	return wq->with_pasid ? wq->pasid : DSA_ANY_PASID;
}

static bool matches(u32 pasid, bool with_pasid, u32 other)
{
	return pasid == DSA_ANY_PASID || (with_pasid && pasid == other);
}

void dsa_abort_pasid(struct dsa *dsa, u32 pasid)
{
	const struct dsa_job *current = dsa->batch.active ? &dsa->batch.job : &dsa->job;

	for (unsigned i = 0; i < DSA_WQS; i++) {
		struct dsa_wq *wq = &dsa->wqs[i];
		unsigned kept = 0;

		for (unsigned n = 0; n < wq->count; n++) {
			const struct dsa_entry *entry = &wq->entries[(wq->head + n) % DSA_ENTRIES];

			if (pasid_of(wq, entry) != pasid)
				wq->entries[(wq->head + kept++) % DSA_ENTRIES] = *entry;
		}
		wq->count = kept;
	}
	if (matches(pasid, current->with_pasid, current->pasid))
		abandon_current(dsa);
}

/* Only what was there when the command came. */
bool dsa_outstanding(const struct dsa *dsa, unsigned wqs, u32 pasid)
{
	const struct dsa_job *current = dsa->batch.active ? &dsa->batch.job : &dsa->job;

	if ((dsa->batch.active || dsa->job.active) && wqs >> current->wq & 1 &&
	    current->entry.number <= dsa->command_number && matches(pasid, current->with_pasid, current->pasid))
		return true;
	for (unsigned i = 0; i < DSA_WQS; i++) {
		const struct dsa_wq *wq = &dsa->wqs[i];

		for (unsigned n = 0; wqs >> i & 1 && n < wq->count; n++) {
			const struct dsa_entry *entry = &wq->entries[(wq->head + n) % DSA_ENTRIES];
			u32 other = pasid_of(wq, entry);

			if (entry->number <= dsa->command_number && matches(pasid, other != DSA_ANY_PASID, other))
				return true;
		}
	}
	return false;
}
