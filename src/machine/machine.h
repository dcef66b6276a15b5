/* SPDX-License-Identifier: MIT */
/*
 * A machine, put together: functions, groups, IOMMU, VFIO, drivers, names, open files, journal. One lock, taken by
 * the entry points below and by nobody underneath.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "base/journal.h"
#include "iommufd/iommufd.h"
#include "machine/description.h"
#include "machine/node.h"
#include "machine/waiting.h"
#include "mem/file.h"
#include "selftest/selftest.h"
#include "vfio/vfio.h"

struct describer;
struct driver;
struct files;

enum { FAULT_KNOBS = 5 };

struct machine {
	struct mutex lock;
	struct waiting waiting;		 /* threads of this process in machine_poll() */
	pthread_cond_t changed;		 /* a device was closed: whoever waits to unbind it looks again */
	struct description *description; /* owned */
	struct pci_topology topology;
	struct pci_grouping *grouping; /* owned */
	struct iommu iommu;
	struct iommufd iommufd;
	struct vfio vfio;
	struct selftest selftest; /* zeroed unless the description asks for it */
	struct journal journal;
	struct list remarks;	   /* machine/request.c: what more the request in progress has to say; under lock */
	struct list drivers;	   /* machine/driver.c */
	struct list devices;	   /* machine/device.c: one per function: its driver, override, sysfs directory */
	struct list mdevs;	   /* machine/mdev.c: emulated devices */
	struct node *root;	   /* owned: sys/ and dev/ */
	struct files *files;	   /* owned: machine/files.c */
	struct list vfio_nodes;	   /* machine/sysfs_vfio.c: what each group shows while vfio-pci has a device of it */
	struct node *vfio_devices; /* dev/vfio/devices; owned while it is empty, and so withdrawn */
	bool autoprobe_off;	   /* drivers_autoprobe */
	u64 fault_knobs[FAULT_KNOBS]; /* machine/sysfs_debug.c */
};

/* Takes description over, also on failure. Boot drivers are bound as the description says. */
int machine_new(struct description *description, struct machine **ret, struct why *why);
void machine_free(struct machine *machine); /* all files are closed by force; NULL is legal */

/*
 * Requests of clients. Each takes machine.lock, journals a refusal or remark, returns what the system call would.
 * Paths are absolute: "/dev/vfio/vfio", "/dev/vfio/7", "/dev/iommu".
 */
bool machine_owns_path(const char *path); /* would open(path) be ours? Whether it exists or not. No lock */
int machine_open(struct machine *machine, struct client *client, const char *path, int flags, struct why *why);
/* Gives a client a file of the caller's making, which is the machine's then, also on failure. Returns the descriptor.
 */
int machine_give(struct machine *machine, struct client *client, struct file *file, bool cloexec, struct why *why);
/* The file behind a descriptor, by its memory file; NULL: not ours. It may be closed before the request that follows.
 */
struct file *machine_find_file(struct machine *machine, u64 host_device, u64 inode);
/* A group or a device, as other subsystems are told: drivers/vfio/vfio_main.c:vfio_file_is_valid(). May be a copy. */
bool machine_file_is_vfio(const struct file *file);
/*
 * What /proc/PID/fdinfo/N has of such a file besides the host's lines, each with its end; false: nothing. Linux:
 * drivers/vfio/vfio_main.c:vfio_device_show_fdinfo().
 */
#define FDINFO_LINES 256
bool machine_fdinfo(struct machine *machine, u64 host_device, u64 inode, char text[static FDINFO_LINES]);
long machine_ioctl(struct machine *machine, struct client *client, struct file *file, unsigned int cmd, u64 arg,
		   struct why *why);
s64 machine_read(struct machine *machine, struct client *client, struct file *file, u64 offset, void *buffer,
		 size_t size, struct why *why);
s64 machine_write(struct machine *machine, struct client *client, struct file *file, u64 offset, const void *buffer,
		  size_t size, struct why *why);
/*
 * read(2), write(2): at *position, which moves on. A queue has no positions: *position means nothing, and the two above
 * are FILE_STREAM (ESPIPE).
 */
s64 machine_read_on(struct machine *machine, struct client *client, struct file *file, u64 *position, void *buffer,
		    size_t size, struct why *why);
s64 machine_write_on(struct machine *machine, struct client *client, struct file *file, u64 *position,
		     const void *buffer, size_t size, struct why *why);
/* Those of POLLIN and POLLOUT that hold now, of `events`. 0, or FILE_CLOSED. */
int machine_ready(struct machine *machine, struct file *file, unsigned events, struct why *why);
/* The same once there are any, or 0 after timeout_ms (-1: never). Queues are installed with machine->waiting. */
int machine_poll(struct machine *machine, struct file *file, unsigned events, int timeout_ms, struct why *why);
int machine_mmap(struct machine *machine, struct client *client, struct file *file, u64 offset, u64 size, int prot,
		 int flags, struct why *why);

/* The first precise pages in [start, last] of a file, and an access to one; by its memory file, as above. */
bool machine_precise_run(struct machine *machine, u64 host_device, u64 inode, u64 start, u64 last,
			 struct file_run *ret);
int machine_access(struct machine *machine, const struct client *client, u64 host_device, u64 inode,
		   struct file_access *access, struct why *why);

/* Attributes of the tree, with the lock and the journal; path as in machine/node.h. client may be NULL. */
s64 machine_attribute_read(struct machine *machine, struct client *client, const char *path, u64 offset, void *buffer,
			   size_t size, struct why *why);
s64 machine_attribute_write(struct machine *machine, struct client *client, const char *path, u64 offset,
			    const void *buffer, size_t size, struct why *why);

/* `--bind DRIVER=BDF`: what unbind, driver_override and drivers_probe by hand would do. */
int machine_bind(struct machine *machine, struct pci_addr addr, const char *driver, struct why *why);

/*
 * What programs do without a request: closes, whose files are released, and eventfds that vfio listens to. Every
 * request above handles the closes first, so that the order of a program's closes and requests is kept. The descriptor
 * to poll:
 */
int machine_close_events(struct machine *machine);
void machine_handle_closes(struct machine *machine);

/* Into the journal: memory files that programs have cut (mem/kept.h). Under machine.lock, or when nobody else is left.
 */
void machine_tell_cuts(struct machine *machine);

/* Tells all there is, into an object that the caller began. docs/inspect.md has the names. */
void machine_inspect(struct machine *machine, struct describer *describer);

/* vfio_listener.remark: context is the machine, which a request in progress has locked. */
void machine_remark(void *context, struct client *client, const char *request, const struct why *why);

/* Between the files that make one: what an IOMMU's driver enables in a device that it has found. */
struct device;
struct function_description;
int machine_enable_pasids(const struct device *device, struct why *why);
/* The model that the words name, if they do, gets its way to memory. -errno */
int machine_attach_model(struct device *device, const struct function_description *words, struct why *why);

/* Verifies every invariant of every layer; asserts. */
void machine_check(struct machine *machine);

#endif
