/* SPDX-License-Identifier: MIT */
/*
 * VFIO devices for the tests that have real ones: ISOLDE_BDF names an NVMe controller that is alone in its group,
 * ISOLDE_SIBLINGS two functions of one group ("0000:02:00.0,0000:02:00.1"), ISOLDE_MOVABLE two NVMe controllers whose
 * driver can move them (or UUIDs of emulated devices that can be moved), ISOLDE_PHYSICAL an SR-IOV one that is alone in
 * its group; all belong to vfio-pci. ISOLDE_MDEV is the UUID of any emulated device, ISOLDE_MCOPY of one of
 * the model mcopy. ISOLDE_PCI has more devices of vfio-pci, of any kind. For resets of a bus, ISOLDE_TWINS names two
 * NVMe controllers that have a group each and one bus together, ISOLDE_ROOTED a device on a root bus, ISOLDE_BESIDE one
 * that has another driver's beside it, and ISOLDE_FRAGILE one that Linux never resets with its bus, each in its own
 * group. ISOLDE_REACHES has four that differ in the addresses they can use (limits.c), ISOLDE_BARE two of one bus that
 * no IOMMU covers. pasids.c wants a DSA in ISOLDE_BDF, and in ISOLDE_PROCESS_PASID the PASID that ENQCMD of every
 * process takes along. ISOLDE_SHORT has two that would like more interrupt vectors than the host has (shortage.c).
 */
#ifndef TESTS_CONFORM_VFIO_H
#define TESTS_CONFORM_VFIO_H

#include "isolde/abi/vfio.h"
#include "tests/conform/conform.h"

struct names {
	char bdf[40], cdev[40], group[40]; /* the name on its bus, then paths */
};

struct names the_device(void); /* skips the test when none is named */
void two_siblings(struct names pair[static 2]);
void two_twins(struct names pair[static 2]);
void two_short(struct names pair[static 2]);
void four_reaches(struct names ret[static 4]); /* without a character device: there is none of that kind */
void two_bare(struct names pair[static 2]);    /* no character device */
struct names the_rooted(void);
struct names the_beside(void);
struct names the_fragile(void);
void two_movable(struct names pair[static 2], bool nvme); /* skips what needs NVMe where they are none */
struct names the_mdev(void);				  /* likewise */
struct names the_mcopy(void);				  /* of the model mcopy: ISOLDE_MCOPY */
/* The same for one with one virtual function, which belongs to vfio-pci, too, and is new. */
struct names the_physical(struct names *virtual);

int open_cdev(const struct names *names);  /* watched */
answer bind_cdev(int device, int iommufd); /* the device's id */
answer attach_cdev(int device, u32 *pt_id);
answer attach_cdev_pasid(int device, u32 pasid, u32 *pt_id);
answer detach_cdev(int device);
answer detach_cdev_pasid(int device, u32 pasid);

/* ---- any device ---- */

#define CONFIG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)

/* Each that is named anywhere, opened by its character device and bound, one after the other. */
void with_each_device(void (*body)(int device));
answer read_at(int device, u64 offset, void *buffer, size_t size); /* pread(), pwrite() */
answer write_at(int device, u64 offset, const void *buffer, size_t size);
u32 get_config(int device, u32 offset, unsigned width);
void set_config(int device, u32 offset, unsigned width, u32 value);
struct vfio_region_info region_of(int device, u32 index);

/* ---- groups and containers ---- */

int open_group(const struct names *names); /* watched */
int new_container(void);		   /* watched */
answer set_container(int group, int container);
answer unset_container(int group);
answer set_iommu(int container, int type);
answer get_device(int group, const char *name); /* a descriptor; not watched */
answer check_extension(int container, u32 extension);

struct legacy {
	int container, group, device;
};

/* A container with the group and an IOMMU of that type; the device is not opened. */
struct legacy enter_group(const struct names *names, int type);
void open_device(struct legacy *legacy, const struct names *names); /* watched */

answer type1_map(int container, const void *address, u64 iova, u64 size); /* READ | WRITE */
answer type1_map_as(int container, u32 flags, const void *address, u64 iova, u64 size);
answer type1_unmap(int container, u32 flags, u64 iova, u64 size); /* bytes removed; EXPECTs nothing */

/* ---- the NVMe controller, driven as far as a test of DMA needs it ---- */

struct nvme {
	int device;
	volatile u8 *bar;
	u8 *queues; /* two pages: commands, completions */
	u32 tail, head, phase;
};

/* Brings it up with admin queues that the device finds at iova: two pages, which the caller has mapped from `queues`.
 */
struct nvme start_nvme(int device, u8 *queues, u64 iova);
/*
 * Identify Controller to that address, and wait for its completion. Whether it arrived is to be looked for there:
 * QEMU's controller completes it without an error when it could not.
 */
void identify_nvme(struct nvme *nvme, u64 iova);
void stop_nvme(struct nvme *nvme);

#endif
