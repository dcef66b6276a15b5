/* SPDX-License-Identifier: MIT */
/* A VFIO_DEVICE_FEATURE request as those who carry it out get it: decoded as far as it is the same for all. */
#ifndef VFIO_FEATURE_H
#define VFIO_FEATURE_H

#include "base/bits.h"

struct client;
struct pci_session;

struct feature_request {
	struct pci_session *session;
	struct client *client;
	u32 flags; /* one of GET and SET, which the feature has */
	u64 data;  /* address of the payload, which is long enough */
};

#endif
