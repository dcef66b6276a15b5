/* SPDX-License-Identifier: MIT */
/*
 * Memory, and page faults. A request moves all or nothing and names the first address that cannot be translated. So a
 * chunk that faults is cut to what comes before, tried again, and then the job is at its limit: what it has done is
 * known to the byte, and what faulted is not asked for twice.
 */
#include "dev/dsa.h"

static enum dsa_moved judge(struct dsa *dsa, struct dsa_job *job, enum dma_result result, const struct dma_fault *fault)
{
	switch (result) {
	case DMA_OK:
		return DSA_MOVED;
	case DMA_FAULT:
		job->fault = (struct dsa_fault){true, fault->direction == DMA_WRITE, fault->iova};
		return DSA_FAULTED;
	case DMA_NOT_MASTER:
		break;
	}
	dsa->stopped = true;
	return DSA_STOPPED;
}

enum dsa_moved dsa_request(struct dsa *dsa, struct dsa_job *job, const struct dma_segment *segments, unsigned count,
			   enum dma_direction direction)
{
	struct dma_fault fault;

	return judge(dsa, job, dma_request(dsa->port, job->pasid, segments, count, direction, &fault), &fault);
}

enum dsa_moved dsa_copy(struct dsa *dsa, struct dsa_job *job, u64 destination, u64 source, size_t size)
{
	struct dma_fault fault;

	return judge(dsa, job, dma_copy(dsa->port, job->pasid, destination, source, dsa->buffer, size, &fault), &fault);
}

enum dsa_moved dsa_load(struct dsa *dsa, struct dsa_job *job, u64 iova, void *buffer, size_t size)
{
	return dsa_request(dsa, job, &(struct dma_segment){iova, buffer, size}, 1, DMA_READ);
}

enum dsa_moved dsa_store(struct dsa *dsa, struct dsa_job *job, u64 iova, const void *buffer, size_t size)
{
	return dsa_request(dsa, job, &(struct dma_segment){iova, (void *)(uintptr_t)buffer, size}, 1, DMA_WRITE);
}

u64 dsa_chunk(const struct dsa_job *job)
{
	return min_u64(job->limit - job->done, DSA_CHUNK);
}

enum dsa_status dsa_end(const struct dsa_job *job)
{
	return job->fault.happened ? DSA_PAGE_FAULT : DSA_SUCCESS;
}

enum dsa_status dsa_shorten(struct dsa_job *job, enum dsa_moved moved, u64 start)
{
	if (moved == DSA_FAULTED)
		job->limit = job->done + (job->fault.address - start);
	return DSA_MORE;
}
