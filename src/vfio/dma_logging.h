/* SPDX-License-Identifier: MIT */
/* The DMA_LOGGING features, as rows of feature.c call them. */
#ifndef VFIO_DMA_LOGGING_H
#define VFIO_DMA_LOGGING_H

#include "base/why.h"

struct feature_request;
struct pci_session;

long dma_logging_start(const struct feature_request *request, struct why *why);
long dma_logging_stop(const struct feature_request *request, struct why *why);
long dma_logging_report(const struct feature_request *request, struct why *why);

/* With the session; legal when nothing is logged. */
void dma_logging_end(struct pci_session *session);

#endif
