/* SPDX-License-Identifier: MIT */
/*
 * VFIO of a machine: which functions are bound to vfio-pci, their groups, and the ways in (/dev/vfio/vfio,
 * /dev/vfio/GROUP, /dev/vfio/devices/vfioN). All under machine.lock.
 */
#ifndef VFIO_VFIO_H
#define VFIO_VFIO_H

#include "iommu/own.h"
#include "mem/file.h"
#include "vfio/options.h"

struct soft_memory;
struct vfio_group;
struct vfio_device; /* one function bound to vfio-pci, or one emulated device */

/* Told as names come and go; the machine keeps /dev/vfio and sysfs in step. */
struct vfio_listener {
	void (*group_added)(void *context, int group_id, unsigned minor); /* of a group that iommu->groups has */
	void (*group_removed)(void *context, int group_id);
	void (*device_added)(void *context, struct vfio_device *device, unsigned index); /* vfio-dev/vfioINDEX */
	void (*device_removed)(void *context, struct vfio_device *device, unsigned index);
	void (*device_closed)(void *context, struct vfio_device *device); /* a last close: unbind may go on */
	/*
	 * One more of a list that does not fit into the reason which the request in progress is about to give: for the
	 * journal, where it comes after that reason. request: what was asked for.
	 */
	void (*remark)(void *context, struct client *client, const char *request, const struct why *why);
	/* The driver of a function, whatever it is; NULL: none. */
	const char *(*driver_of)(void *context, const struct pci_function *function);
	/* An emulated device did not get at the memory it wanted. */
	void (*soft_fault)(void *context, struct vfio_device *device, const struct why *why);
};

#define VFIO_MAJOR	  511 /* of /dev/vfio/N, dynamic on a real host */
#define VFIO_DEVICE_MAJOR 510 /* of /dev/vfio/devices/vfioN, likewise; the minor is N */
#define VFIO_MISC_MAJOR	  10
#define VFIO_MISC_MINOR	  196 /* /dev/vfio/vfio */

#define VFIO_NAME 40 /* of a device: an address, or the UUID of an emulated one */

struct vfio {
	struct iommu *iommu; /* borrowed */
	struct list groups;
	struct list devices;
	struct vfio_pci_options pci; /* parameters of the module vfio_pci, as of now; a device has those of its bind */
	bool unsafe_interrupts;	     /* of vfio_iommu_type1: take groups without isolated MSI into containers */
	unsigned dma_entry_limit;    /* mappings per container; Linux's module parameter, default 65535 */
	unsigned vector_limit;	/* of MSI and MSI-X, for all devices together; UINT32_MAX: there are always enough */
	unsigned vectors_taken; /* by devices that have them on */
	const struct pci_topology *topology; /* borrowed: what a reset of a bus hits; set behind vfio_init() */
	bool noiommu;			     /* Linux's module parameter enable_unsafe_noiommu_mode */
	bool linux_hot_reset;		     /* no proof of ownership but Linux's: docs/hot-reset.md */
	const struct vfio_listener *listener;
	void *listener_context;
	int poller;	     /* owned: see vfio_events(); -1 until first needed */
	struct list watches; /* of eventfd_watch: what it polls */
};

void vfio_init(struct vfio *vfio, struct iommu *iommu, const struct vfio_listener *listener, void *context);
void vfio_fini(struct vfio *vfio); /* all devices removed */

/*
 * The driver vfio-pci binds to a function. name is "0000:01:00.0", what GET_DEVICE_FD asks for. Refuses bridges
 * (VFIO_NOT_ENDPOINT, EINVAL) and devices with known flaws (VFIO_DENYLISTED, EINVAL).
 */
int vfio_pci_probe(struct vfio *vfio, struct iommu_device *device, const char *name, struct vfio_device **ret,
		   struct why *why);
/*
 * The same to a function that no IOMMU covers. NO_IOMMU_GROUP (EINVAL) unless vfio->noiommu; else a success with the
 * remark NO_IOMMU_TAINT, and a group of its own, /dev/vfio/noiommu-N.
 */
int vfio_pci_probe_untranslated(struct vfio *vfio, struct pci_function *function, const char *name,
				struct vfio_device **ret, struct why *why);
/* Unbind: the caller has waited until vfio_device_busy() is false. */
void vfio_pci_remove(struct vfio_device *device);
/*
 * The driver of an emulated device (spec 06 section 6): iommu is one of iommu_emulated_add(), function what programs
 * see, soft how the device gets at memory. All three outlive it.
 */
int vfio_emulated_probe(struct vfio *vfio, struct iommu_device *iommu, struct pci_function *function,
			struct soft_memory *soft, const char *name, struct vfio_device **ret, struct why *why);
void vfio_emulated_remove(struct vfio_device *device); /* nobody has it open */

bool vfio_device_busy(const struct vfio_device *device); /* some program has it open, bound or not */
/* An unbind has begun: from now on nobody finds the device to open it, GET_DEVICE_FD is ENODEV. vfio_pci_remove()
 * follows. */
void vfio_device_hide(struct vfio_device *device);
/*
 * Its virtual functions are being taken away, or are gone. Meanwhile, and while it is unbound itself, nothing resets
 * it: in Linux who is at that holds device_lock(), and VFIO's resets only try to get that.
 */
void vfio_device_virtuals_leave(struct vfio_device *device, bool leave);
/* "Please give it back": signals the REQ eventfd; false when the program has registered none. */
bool vfio_device_request(struct vfio_device *device);
/*
 * An error that the device or its link has reported: signals the ERR eventfd; false when there is none. After a fatal
 * one the link was reset, and the device's registers are as after power-on: its user sees to that.
 */
bool vfio_device_error(struct vfio_device *device, bool fatal);
/*
 * By its name, not by its user: whose transfers are over, the device runs (Linux: the reset_done() of variants), and is
 * in D0. So are its virtual functions, whoever has their physical one.
 */
void vfio_function_was_reset(struct vfio *vfio, const struct pci_function *function);
/* Others than its user are at work on it, or are done: meanwhile it does not sleep, and its user hears of that. */
void vfio_function_wake(struct vfio *vfio, const struct pci_function *function, bool awake);
/* Others have written its configuration: it may decode no memory any more, or again. */
void vfio_function_was_written(struct vfio *vfio, const struct pci_function *function);
/* By sysfs `power/control`: it sleeps no more, and wakes now; or it may, and does if its user has put it to sleep. */
void vfio_device_keep_awake(struct vfio_device *device, bool keep);
/* Closed, and left in D3 as vfio-pci leaves it, or put to sleep by its user. */
bool vfio_device_idle(const struct vfio_device *device);
/*
 * SR-IOV of a device that is a physical function is being enabled through vfio-pci, or is off again: meanwhile it stays
 * in D0, and virtual functions that are probed want its token (spec 05 section 14).
 */
void vfio_pci_sriov(struct vfio_device *device, bool active);
const char *vfio_device_name(const struct vfio_device *device);
struct iommu_device *vfio_device_iommu(const struct vfio_device *device);
/* Without an IOMMU: its group is a name only, and it has no character device. */
bool vfio_device_untranslated(const struct vfio_device *device);

int vfio_container_open(struct vfio *vfio, struct client *client, struct file **ret, struct why *why);
/* noiommu: by the name noiommu-N. */
int vfio_group_open(struct vfio *vfio, int group_id, bool noiommu, struct client *client, struct file **ret,
		    struct why *why);
int vfio_cdev_open(struct vfio *vfio, unsigned index, struct client *client, struct file **ret, struct why *why);

/*
 * Eventfds of programs that vfio itself listens to: INTx unmask, IOEVENTFD. The descriptor is to be polled; when it is
 * readable, vfio_handle_events() does what they ask for. The same descriptor for the life of vfio, or -errno.
 */
int vfio_events(struct vfio *vfio, struct why *why);
void vfio_handle_events(struct vfio *vfio);

/* "VFIO_IOMMU_MAP_DMA" for a file of ours and a request number; NULL if it is none. For the journal. */
const char *vfio_ioctl_name(const struct file *file, unsigned int cmd);

void vfio_check(const struct vfio *vfio); /* invariants of spec 04 section 12; for machine_check() */

#endif
