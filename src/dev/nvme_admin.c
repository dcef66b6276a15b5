/* SPDX-License-Identifier: MIT */
/* Admin commands that make and delete queues, abort, and asynchronous events. The rest is in files of their own. */
#include "dev/nvme.h"

enum { QUEUE_CONTIGUOUS = 0x1, QUEUE_INTERRUPTS = 0x2, ENTRY_SIZE_SQ = 6, ENTRY_SIZE_CQ = 4 };

/* What Create I/O Completion Queue and Create I/O Submission Queue ask alike. */
struct queue_plan {
	unsigned id, size;
	u64 base;
};

static u16 queue_decode(const struct nvme *nvme, const struct nvme_command *command, u64 live, struct queue_plan *ret)
{
	unsigned id = command->cdw10 & 0xffff, size = (command->cdw10 >> 16) + 1;

	if (!(command->cdw11 & QUEUE_CONTIGUOUS))
		return NVME_INVALID_FIELD;
	if (!id || id > nvme->granted || live & BIT(id))
		return NVME_INVALID_QUEUE_ID;
	if (size < 2 || size > NVME_MAX_ENTRIES)
		return NVME_INVALID_QUEUE_SIZE;
	if (!is_aligned(command->prp1, BIT(nvme->page_shift)))
		return NVME_INVALID_PRP_OFFSET;
	*ret = (struct queue_plan){.id = id, .size = size, .base = command->prp1};
	return NVME_SUCCESS;
}

static u16 create_cq(struct nvme *nvme, struct nvme_request *request)
{
	const struct nvme_command *command = request->command;
	bool interrupts = command->cdw11 & QUEUE_INTERRUPTS;
	unsigned vector = command->cdw11 >> 16;
	struct queue_plan plan;
	u16 status = queue_decode(nvme, command, nvme->live_cqs, &plan);

	if (status)
		return status;
	if (nvme_cc_iocqes(nvme->cc) != ENTRY_SIZE_CQ)
		return NVME_INVALID_QUEUE_SIZE;
	if (interrupts && vector >= NVME_VECTORS)
		return NVME_INVALID_VECTOR;
	nvme_cq_make(nvme, plan.id, plan.base, plan.size, interrupts, vector);
	return NVME_SUCCESS;
}

static u16 create_sq(struct nvme *nvme, struct nvme_request *request)
{
	const struct nvme_command *command = request->command;
	unsigned cq = command->cdw11 >> 16;
	struct queue_plan plan;
	u16 status = queue_decode(nvme, command, nvme->live_sqs, &plan);

	if (status)
		return status;
	if (nvme_cc_iosqes(nvme->cc) != ENTRY_SIZE_SQ)
		return NVME_INVALID_QUEUE_SIZE;
	if (!cq || cq > nvme->granted)
		return NVME_INVALID_QUEUE_ID;
	if (!(nvme->live_cqs & BIT(cq)))
		return NVME_CQ_INVALID;
	nvme_sq_make(nvme, plan.id, plan.base, plan.size, cq);
	return NVME_SUCCESS;
}

static bool queue_exists(u64 live, unsigned id)
{
	return id && id < NVME_QUEUES && live & BIT(id);
}

static u16 delete_sq(struct nvme *nvme, struct nvme_request *request)
{
	unsigned id = request->command->cdw10 & 0xffff;

	if (!queue_exists(nvme->live_sqs, id))
		return NVME_INVALID_QUEUE_ID;
	nvme_sq_drop(nvme, id);
	return NVME_SUCCESS;
}

static u16 delete_cq(struct nvme *nvme, struct nvme_request *request)
{
	unsigned id = request->command->cdw10 & 0xffff;

	if (!queue_exists(nvme->live_cqs, id))
		return NVME_INVALID_QUEUE_ID;
	if (nvme->cqs[id].users)
		return NVME_INVALID_DELETION;
	nvme_cq_drop(nvme, id);
	return NVME_SUCCESS;
}

static void event_request_forget(struct nvme *nvme, unsigned index)
{
	nvme->nevent_requests--;
	memmove(&nvme->event_requests[index], &nvme->event_requests[index + 1],
		(nvme->nevent_requests - index) * sizeof(nvme->event_requests[0]));
}

/*
 * Only event requests are ever there to be aborted. Bit 0 of the result says "not aborted": no such command, or no
 * room for its completion beside our own.
 */
static u16 abort_command(struct nvme *nvme, struct nvme_request *request)
{
	unsigned sq = request->command->cdw10 & 0xffff;
	u16 cid = (u16)(request->command->cdw10 >> 16);

	request->result = 1;
	if (sq != 0 || nvme_cq_room(&nvme->cqs[0]) < 2)
		return NVME_SUCCESS;
	for (unsigned i = 0; i < nvme->nevent_requests; i++) {
		if (nvme->event_requests[i] != cid)
			continue;
		event_request_forget(nvme, i);
		nvme_complete(&nvme->cqs[0], &nvme->sqs[0], cid, NVME_ABORT_REQUESTED, 0);
		request->result = 0;
		break;
	}
	return NVME_SUCCESS;
}

static u16 async_event_request(struct nvme *nvme, struct nvme_request *request)
{
	if (nvme->nevent_requests == NVME_EVENT_REQUESTS)
		return NVME_ASYNC_LIMIT;
	nvme->event_requests[nvme->nevent_requests++] = request->command->cid;
	return NVME_NO_COMPLETION;
}

void nvme_raise_event(struct nvme *nvme, enum nvme_event_type type, u8 info)
{
	if (nvme->events_masked & BIT(type))
		return;
	nvme->events_pending |= (u8)BIT(type);
	nvme->event_info[type] = info;
}

static const u8 event_log_page[NVME_EVENT_TYPES] = {
	[NVME_EVENT_ERROR] = NVME_LOG_ERROR,
	[NVME_EVENT_SMART] = NVME_LOG_SMART,
};

bool nvme_report_events(struct nvme *nvme)
{
	struct nvme_cq *cq = &nvme->cqs[0];
	bool reported = false;

	for (unsigned type = 0; type < NVME_EVENT_TYPES; type++) {
		if (!(nvme->events_pending & BIT(type)) || !nvme->nevent_requests || cq->npending || !nvme_cq_room(cq))
			continue;
		nvme->events_pending &= (u8)~BIT(type);
		nvme->events_masked |= (u8)BIT(type);
		nvme_complete(cq, &nvme->sqs[0], nvme->event_requests[0], NVME_SUCCESS,
			      type | (u32)nvme->event_info[type] << 8 | (u32)event_log_page[type] << 16);
		event_request_forget(nvme, 0);
		reported = true;
	}
	return reported;
}

static const nvme_handler admin_handlers[256] = {
	[NVME_ADMIN_DELETE_SQ] = delete_sq,
	[NVME_ADMIN_CREATE_SQ] = create_sq,
	[NVME_ADMIN_GET_LOG_PAGE] = nvme_get_log_page,
	[NVME_ADMIN_DELETE_CQ] = delete_cq,
	[NVME_ADMIN_CREATE_CQ] = create_cq,
	[NVME_ADMIN_IDENTIFY] = nvme_identify,
	[NVME_ADMIN_ABORT] = abort_command,
	[NVME_ADMIN_SET_FEATURES] = nvme_set_features,
	[NVME_ADMIN_GET_FEATURES] = nvme_get_features,
	[NVME_ADMIN_ASYNC_EVENT] = async_event_request,
};

u16 nvme_execute_admin(struct nvme *nvme, struct nvme_request *request)
{
	return nvme_execute(nvme, request, admin_handlers[request->command->opcode]);
}
