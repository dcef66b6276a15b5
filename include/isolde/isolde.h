/* SPDX-License-Identifier: MIT */
/*
 * isolde: the Linux device-assignment stack as a library.
 *
 * A machine is made from its description. Its /dev/vfio and /dev/iommu files are then used with the functions below,
 * which take and return what the system calls of the same names do, except that they return -errno and say why.
 * Descriptors are real ones of this process (memory files): mmap(2), dup(2), fork(2) and passing them over a socket
 * work; ioctl, read, write, poll, open and close go through here. Device models run in threads of this process and do
 * DMA to the memory it mapped.
 *
 * What a call does and which errno it gives is Linux 7.2's: drivers/vfio/ and drivers/iommu/iommufd/ behind the files,
 * fs/ in front of them; why->site names the function, docs/FIDELITY.md what differs. -ENOMEM may come from any call.
 *
 * Threads: every function may be called from any thread. A call holds the machine's one lock from start to finish, so
 * calls of several threads follow each other; only isolde_poll(), and an unbind that waits for a device to be closed,
 * let it go meanwhile. Strings and structures that a call is given are read during the call and not kept.
 */
#ifndef ISOLDE_H
#define ISOLDE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "isolde/why.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct isolde_machine;

struct isolde_machine_options {
	size_t size;		  /* sizeof(struct isolde_machine_options) */
	const char *machine;	  /* path of a machine file, or a built-in name; NULL: "default" */
	const char *const *disks; /* NULL-terminated "0000:01:00.0=/path/to.img"; may be NULL */
	const char *const *binds; /* NULL-terminated "vfio-pci=0000:01:00.0"; may be NULL */
};

/*
 * The machine starts as its file says, then disks are put in, then drivers are bound. options NULL: all defaults; a
 * smaller size than this header's leaves the rest at its default.
 *
 * Returns 0 or -errno, and then *ret is untouched: OPTIONS_SIZE (-EINVAL); MACHINE_UNKNOWN (-ENOENT); MACHINE_FILE
 * (-EINVAL), with line and column; DISK_MALFORMED, OPTION_UNKNOWN, BIND_MALFORMED (-EINVAL), DISK_DEVICE_UNKNOWN,
 * DRIVER_DEVICE_UNKNOWN (-ENODEV), what the bind itself says, and HOST_FAILED with the errno of the host's call. why
 * may be NULL, here and everywhere.
 */
int isolde_machine_new(const struct isolde_machine_options *options, struct isolde_machine **ret,
		       struct isolde_why *why);
/*
 * Closes what is still open. Mappings of this process stay valid memory, without a device behind them. No other call
 * may be in progress, nor come later. What isolde/iommu.h made of the machine is given back before.
 */
void isolde_machine_free(struct isolde_machine *machine); /* NULL is legal */

/*
 * "/dev/vfio/vfio", "/dev/vfio/7", "/dev/vfio/noiommu-7", "/dev/vfio/devices/vfio0", "/dev/iommu". Of flags O_CLOEXEC
 * counts, and O_DIRECTORY and O_CREAT | O_EXCL are refused; the descriptor reads and writes whatever they say.
 *
 * Returns a descriptor, to be closed by isolde_close(), or -errno: NODE_MISSING, DEVICE_NOT_BOUND (-ENOENT),
 * NODE_NOT_DIRECTORY (-ENOTDIR), NODE_EXISTS (-EEXIST), GROUP_BUSY and its kin (-EBUSY), and what the device's open
 * says. Linux: fs/namei.c:do_open(), then vfio_group_fops_open(), vfio_device_fops_cdev_open(), vfio_fops_open(),
 * iommufd_fops_open().
 */
int isolde_open(struct isolde_machine *machine, const char *path, int flags, struct isolde_why *why);

/*
 * Returns what ioctl(2) would, or -errno. Of request 32 bits count; arg is its pointer or integer, and memory that is
 * not there is -EFAULT. FD_BAD, FILE_FOREIGN, FILE_CLOSED (-EBADF): the descriptor is not open, not of this machine, or
 * closed by another thread just now; IOCTL_UNKNOWN (-ENOTTY). A success may leave a remark in why: why->err is 0 then,
 * and the code says what. Linux: fs/ioctl.c, vfio_main.c:vfio_device_fops_unl_ioctl(),
 * iommufd/main.c:iommufd_fops_ioctl().
 */
long isolde_ioctl(struct isolde_machine *machine, int fd, unsigned long request, void *arg, struct isolde_why *why);

/*
 * pread(2) and pwrite(2) of a device: offset is that of its region, as VFIO_DEVICE_GET_REGION_INFO gives it (index <<
 * 40), plus bytes inside it. Any size: registers are accessed 8, 4, 2 or 1 bytes at a time, aligned, and what passes
 * the region's last byte is cut off (but CONFIG_BEYOND is -EFAULT). buffer is memory of this process, which is not
 * checked.
 *
 * Returns bytes or -errno: -EBADF as isolde_ioctl(); FILE_STREAM (-ESPIPE) of queues and streams, FILE_OPERATION
 * (-EINVAL) of containers, groups and /dev/iommu; CDEV_UNBOUND, REGION_UNKNOWN, REGION_OFFSET, ROM_READ_ONLY (-EINVAL),
 * MEMORY_DISABLED (-EIO), BAR_UNMAPPED (-ENODEV). Linux: vfio_pci_core.c:vfio_pci_rw().
 */
ssize_t isolde_pread(struct isolde_machine *machine, int fd, void *buffer, size_t size, uint64_t offset,
		     struct isolde_why *why);
ssize_t isolde_pwrite(struct isolde_machine *machine, int fd, const void *buffer, size_t size, uint64_t offset,
		      struct isolde_why *why);

/*
 * read(2) and write(2). Of a queue (the descriptors of IOMMU_FAULT_QUEUE_ALLOC and IOMMU_VEVENTQ_ALLOC) they take and
 * give whole records and never block; a queue has no positions, so isolde_pread() and isolde_pwrite() of it are
 * -ESPIPE. Of other files they go on from where the descriptor is.
 */
ssize_t isolde_read(struct isolde_machine *machine, int fd, void *buffer, size_t size, struct isolde_why *why);
ssize_t isolde_write(struct isolde_machine *machine, int fd, const void *buffer, size_t size, struct isolde_why *why);

/*
 * poll(2) of one descriptor: which of events (POLLIN, POLLOUT) hold, as soon as one does; 0 when timeout_ms have passed
 * without (-1: no limit), or -errno. -EBADF also when it is closed meanwhile by another thread. Only queues say when
 * they can be read; other files are always ready, as in Linux.
 */
int isolde_poll(struct isolde_machine *machine, int fd, short events, int timeout_ms, struct isolde_why *why);

/*
 * mmap(2) of a device's region, or of pages of a virtual IOMMU, at an address of the host's choice, which *ret is;
 * unmap with munmap(2). offset: that of the region plus bytes inside it, a multiple of the page size; size, in bytes,
 * is rounded up to one. flags: MAP_SHARED, and none that asks for an address. The memory is that of the device: it
 * follows resets, and is SIGBUS while the device does not decode memory.
 *
 * Returns 0 or -errno: -EBADF as isolde_ioctl(); FILE_UNMAPPABLE (-ENODEV) of files without memory; REGION_UNKNOWN,
 * REGION_NOT_MAPPABLE (-EINVAL): not MAP_SHARED, a region or a part that cannot be mapped, or beyond its last page;
 * HOST_FAILED with mmap(2)'s own errno, -EINVAL for a misaligned offset. Linux: vfio_pci_core.c:vfio_pci_core_mmap().
 */
int isolde_mmap(struct isolde_machine *machine, int fd, size_t size, int prot, int flags, uint64_t offset, void **ret,
		struct isolde_why *why);

/*
 * close(2): 0, or -errno of the host's close(2). What the file stood for ends when its last duplicate and its last
 * mapping are gone, at the latest at the next call into the machine. Linux: fs/file_table.c:__fput().
 */
int isolde_close(struct isolde_machine *machine, int fd);

/*
 * Attributes of the machine's sysfs, by path from the root: "sys/bus/pci/drivers/nvme/unbind"; links on the way are
 * followed. Reads are from the start, texts have at most 4096 bytes, with no zero behind them; of a write to a text
 * 4096 bytes count. A write to `unbind` waits until programs have closed the device.
 *
 * Returns bytes or -errno: ATTRIBUTE_MISSING (-ENOENT), ATTRIBUTE_DIRECTORY (-EISDIR), ATTRIBUTE_NO_SHOW,
 * ATTRIBUTE_NO_STORE (-EIO), and what the attribute itself says. Linux: fs/sysfs/file.c, fs/kernfs/file.c.
 */
ssize_t isolde_attribute_read(struct isolde_machine *machine, const char *path, void *buffer, size_t size,
			      struct isolde_why *why);
ssize_t isolde_attribute_write(struct isolde_machine *machine, const char *path, const void *buffer, size_t size,
			       struct isolde_why *why);

/*
 * The journal: each refusal and each remark of the machine, whoever caused it: calls of this process and faults of
 * devices. A sentence has room for 239 bytes; what a refusal has no room for there follows it here, in entries of the
 * same request.
 */
struct isolde_journal_entry {
	size_t size;	       /* sizeof(struct isolde_journal_entry), set by the caller */
	uint64_t serial;       /* 1, 2, ... in the order they came; never used again */
	uint64_t lost;	       /* entries between the cursor and this one that were overwritten before they were read */
	uint64_t time_ns;      /* since 1970 (CLOCK_REALTIME) */
	int pid;	       /* who asked; 0: the machine itself, as for the DMA of a device */
	char program[16];      /* its name, or that of the device; cut */
	char request[96];      /* "VFIO_DEVICE_PCI_HOT_RESET vfio-device", "write /sys/...", "DMA"; cut */
	struct isolde_why why; /* a remark has its errno, too, although its call succeeded */
};

/*
 * Copies the oldest entry whose serial is above *cursor, and sets *cursor to it. A cursor of 0 begins with the oldest
 * there is; each reader has its own, and reading takes nothing away from others. The machine keeps the last 256
 * entries: who falls behind goes on with the oldest of them, and entry->lost says how many are missing.
 *
 * 1: an entry; 0: none is newer, nothing is changed; OPTIONS_SIZE (-EINVAL). Takes no lock but the journal's: it
 * waits for no call in progress.
 */
int isolde_journal_next(struct isolde_machine *machine, uint64_t *cursor, struct isolde_journal_entry *entry,
			struct isolde_why *why);

/* Asserts every invariant of every layer of the machine; aborts when one does not hold. For tests. */
void isolde_machine_check(struct isolde_machine *machine);

/* The library's version, "0.1.0"; static. */
const char *isolde_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
