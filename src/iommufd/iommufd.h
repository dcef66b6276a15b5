/* SPDX-License-Identifier: MIT */
/*
 * /dev/iommu of a machine: every open of it is a context, with objects, of its own. All under machine.lock.
 */
#ifndef IOMMUFD_IOMMUFD_H
#define IOMMUFD_IOMMUFD_H

#include "iommu/iommu.h"
#include "mem/charge.h"
#include "mem/file.h"

struct context;
struct ioas;
struct request;
struct why;

#define IOMMUFD_MISC_MAJOR 10
#define IOMMUFD_MISC_MINOR 125 /* of /dev/iommu: dynamic on a real host */
#define IOMMUFD_VFIO_MINOR 196 /* of /dev/vfio/vfio */

struct iommufd {
	struct iommu *iommu;	  /* borrowed */
	struct list contexts;	  /* struct context, by age */
	struct accounts accounts; /* what users have pinned */
	struct list files;	  /* struct memory_file, used by pages */
	bool provides_vfio; /* a machine option: /dev/vfio/vfio is ours too, as with CONFIG_IOMMUFD_VFIO_CONTAINER */
	bool unsafe_interrupts; /* module option allow_unsafe_interrupts: bind devices without isolated MSI */
	bool noiommu;		/* VFIO is built with noiommu mode, switched on or not */
	/* IOMMU_TEST (0x3ba0), where the machine has it (src/selftest); NULL: the number is unknown. */
	long (*test)(struct request *request, struct why *why);
	void *test_context;
	/* There, IOAS_COPY knows a flag by which src_iova is the number of an area, and an offset in it. */
	u64 (*test_iova)(const struct ioas *ioas, u64 numbers);
};

void iommufd_init(struct iommufd *iommufd, struct iommu *iommu);
void iommufd_fini(struct iommufd *iommufd); /* all files are closed; asserts that no context is left */

/* open("/dev/iommu") */
int iommufd_context_open(struct iommufd *iommufd, struct client *client, struct file **ret, struct why *why);
/* open("/dev/vfio/vfio") where provides_vfio: a context whose pins count against the process (RLIMIT mode MM). */
int iommufd_vfio_open(struct iommufd *iommufd, struct client *client, struct file **ret, struct why *why);

/* The context behind a file; NULL: it is no context. */
struct context *iommufd_context_of(struct file *file);

/* "IOMMU_IOAS_MAP" for a file of ours and a request number; NULL if it is none. For the journal. */
const char *iommufd_ioctl_name(const struct file *file, unsigned int cmd);

void iommufd_check(const struct iommufd *iommufd); /* invariants of spec 06 section 12; for machine_check() */

#endif
