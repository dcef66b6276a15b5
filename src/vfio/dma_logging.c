/* SPDX-License-Identifier: MIT */
/*
 * DMA_LOGGING_START, STOP and REPORT: which pages the device writes, noted by its port (iommu/dma_log.h) whatever
 * domain it uses. The rules of arguments are Linux's core's; what its drivers add is as mlx5 has it.
 */
#include "vfio/dma_logging.h"
#include "base/alloc.h"
#include "iommu/dma_log.h"
#include "mem/bitmap.h"
#include "vfio/feature.h"
#include "vfio/pci.h"

/* What was asked for, in the order it was given in; lengths of 0 are left out. */
struct logging_plan {
	struct dma_log_range ranges[DMA_LOG_RANGES];
	unsigned count;
};

static int decode_range(struct logging_plan *plan, const struct vfio_device_feature_dma_logging_range *range,
			u64 page_size, struct why *why)
{
	unsigned long long iova = range->iova, length = range->length;
	u64 start = range->iova, last = start + length - 1;

	if ((iova | length) & (page_size - 1))
		return refuse(why, LOGGING_RANGE, "%#llx bytes from IOVA %#llx on: pages have %#llx", length, iova,
			      (unsigned long long)page_size);
	if (start + range->length < start)
		return refuse(why, LOGGING_OVERFLOW, "%#llx bytes from IOVA %#llx on reach the last address", length,
			      iova);
	if (!length)
		return 0;
	for (unsigned i = 0; i < plan->count; i++)
		if (start <= plan->ranges[i].last && plan->ranges[i].start <= last)
			return refuse(why, LOGGING_RANGE, "[%#llx, %#llx] overlaps [%#llx, %#llx]", iova,
				      (unsigned long long)last, (unsigned long long)plan->ranges[i].start,
				      (unsigned long long)plan->ranges[i].last);
	plan->ranges[plan->count++] = (struct dma_log_range){start, last};
	return 0;
}

static int read_ranges(const struct feature_request *request,
		       const struct vfio_device_feature_dma_logging_control *control, struct logging_plan *plan,
		       struct why *why)
{
	struct vfio_device_feature_dma_logging_range range;
	int err = 0;

	if (!control->num_ranges)
		return refuse(why, LOGGING_NO_RANGES, "%s: no range is to be logged", request->session->device->name);
	if (control->num_ranges > DMA_LOG_RANGES)
		return refuse(why, LOGGING_MANY_RANGES, "%s: %u ranges are to be logged",
			      request->session->device->name, control->num_ranges);
	for (u32 i = 0; err == 0 && i < control->num_ranges; i++) {
		err = client_read(request->client, control->ranges + i * sizeof(range), &range, sizeof(range), why);
		if (err == 0)
			err = decode_range(plan, &range, control->page_size, why);
	}
	return err;
}

static int by_start(const void *a, const void *b)
{
	const struct dma_log_range *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* The largest power of two that is not more; what is none at all is the least there is. */
static unsigned shift_of(u64 page_size)
{
	return page_size ? 63 - (unsigned)__builtin_clzll(page_size) : 0;
}

static int make_log(const struct feature_request *request, struct vfio_device_feature_dma_logging_control *control,
		    struct dma_log **ret, struct why *why)
{
	_memory_ struct logging_plan *plan = alloc_new(struct logging_plan, why);
	int err = plan ? read_ranges(request, control, plan, why) : -why->err;

	if (err < 0)
		return err;
	if (request->session->migration.log)
		return refuse(why, LOGGING_ACTIVE, "what %s writes is logged already", request->session->device->name);
	qsort(plan->ranges, plan->count, sizeof(plan->ranges[0]), by_start);
	err = dma_log_new(plan->ranges, plan->count, shift_of(control->page_size), ret, why);
	if (err < 0)
		return err;
	control->page_size = BIT(dma_log_shift(*ret));
	return 0;
}

/* Without an IOMMU no transfer gets anywhere, and there is nothing to note. */
static void set_log(const struct pci_session *session, struct dma_log *log)
{
	struct dma_port *port = session->device->iommu->port;

	if (port)
		dma_port_set_log(port, log);
}

/* Linux: drivers/vfio/vfio_main.c:vfio_ioctl_device_feature_logging_start() */
long dma_logging_start(const struct feature_request *request, struct why *why)
{
	struct pci_session *session = request->session;
	_free_(dma_log) struct dma_log *log = NULL;
	struct vfio_device_feature_dma_logging_control control;
	int err = client_read(request->client, request->data, &control, sizeof(control), why);

	if (err == 0)
		err = make_log(request, &control, &log, why);
	if (err == 0)
		err = client_write(request->client, request->data, &control, sizeof(control), why);
	if (err < 0)
		return err;
	session->migration.log = take(log);
	set_log(session, session->migration.log);
	return 0;
}

void dma_logging_end(struct pci_session *session)
{
	if (!session->migration.log)
		return;
	set_log(session, NULL);
	dma_log_free(session->migration.log);
	session->migration.log = NULL;
}

/* Nothing is logged: then nothing is to be done. */
long dma_logging_stop(const struct feature_request *request, struct why *why)
{
	dma_logging_end(request->session);
	return 0;
}

static int decode_report(const struct pci_session *session, const struct vfio_device_feature_dma_logging_report *report,
			 struct why *why)
{
	if (report->page_size < PAGE_SIZE || report->page_size & (report->page_size - 1))
		return refuse(why, LOGGING_PAGE_SIZE, "bits for pages of %#llx bytes",
			      (unsigned long long)report->page_size);
	if (report->iova + report->length < report->iova)
		return refuse(why, LOGGING_OVERFLOW, "%#llx bytes from IOVA %#llx on reach the last address",
			      (unsigned long long)report->length, (unsigned long long)report->iova);
	if (!session->migration.log)
		return refuse(why, LOGGING_INACTIVE, "what %s writes is not logged", session->device->name);
	return 0;
}

static void visit(void *context, u64 start, u64 last)
{
	client_bitmap_set(context, start, last);
}

/* As for HWPT_GET_DIRTY_BITMAP, a bitmap that cannot be written is no failure, but then all stays as it is. */
static int report_pages(const struct feature_request *request,
			const struct vfio_device_feature_dma_logging_report *report, struct why *why)
{
	_memory_ struct client_bitmap *bitmap = alloc_new(struct client_bitmap, why);

	if (!bitmap)
		return -why->err;
	bitmap->client = request->client;
	bitmap->address = report->bitmap;
	bitmap->iova = report->iova;
	bitmap->shift = shift_of(report->page_size);
	if (!report->length ||
	    !client_bitmap_writable(request->client, report->bitmap, ((report->length - 1) >> bitmap->shift) + 1))
		return 0;
	dma_log_read(request->session->migration.log, report->iova, report->iova + report->length - 1, visit, bitmap);
	client_bitmap_flush(bitmap);
	return 0;
}

/* Linux: drivers/vfio/vfio_main.c:vfio_ioctl_device_feature_logging_report() */
long dma_logging_report(const struct feature_request *request, struct why *why)
{
	struct vfio_device_feature_dma_logging_report report;
	int err = client_read(request->client, request->data, &report, sizeof(report), why);

	if (err == 0)
		err = decode_report(request->session, &report, why);
	return err < 0 ? err : report_pages(request, &report, why);
}
