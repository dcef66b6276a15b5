/* SPDX-License-Identifier: MIT */
/*
 * VFIO character devices for the tests that have real ones: ISOLDE_BDF names an NVMe controller that is alone in its
 * group, ISOLDE_SIBLINGS two functions of one group ("0000:02:00.0,0000:02:00.1"); all belong to vfio-pci.
 */
#ifndef TESTS_CONFORM_VFIO_H
#define TESTS_CONFORM_VFIO_H

#include "isolde/abi/vfio.h"
#include "tests/conform/conform.h"

struct names {
	char bdf[32], cdev[40], group[40]; /* paths */
};

struct names the_device(void); /* skips the test when none is named */
void two_siblings(struct names pair[static 2]);

int cdev_open(const struct names *names);  /* watched */
answer cdev_bind(int device, int iommufd); /* the device's id */
answer cdev_attach(int device, u32 *pt_id);
answer cdev_attach_pasid(int device, u32 pasid, u32 *pt_id);
answer cdev_detach(int device);
answer cdev_detach_pasid(int device, u32 pasid);

/* ---- the NVMe controller, driven as far as a test of DMA needs it ---- */

struct nvme {
	int device;
	volatile u8 *bar;
	u8 *queues; /* two pages: commands, completions */
	u32 tail, head, phase;
};

/* Brings it up with admin queues that the device finds at iova: two pages, which the caller has mapped from `queues`.
 */
struct nvme nvme_up(int device, u8 *queues, u64 iova);
/*
 * Identify Controller to that address, and wait for its completion. Whether it arrived is to be looked for there:
 * QEMU's controller completes it without an error when it could not.
 */
void nvme_identify(struct nvme *nvme, u64 iova);
void nvme_down(struct nvme *nvme);

#endif
