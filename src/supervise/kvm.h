/* SPDX-License-Identifier: MIT */
/*
 * The host's virtual machines are told of VFIO files: KVM_SET_DEVICE_ATTR of a KVM_DEV_TYPE_VFIO device, by which a
 * driver may learn what machine it will serve. The host cannot take ours, so what it would have remembered is here: for
 * each such device of the host the files it was given, each held open, as Linux holds them, until it is deleted or the
 * device's last descriptor is gone.
 *
 * That descriptor is not held, or it would never go. A lock on a byte of its own marks its open file description
 * instead: the lock goes with it, is seen from any other anonymous inode (they all are one inode), and only that
 * description itself does not see it. Used by the thread that answers notifications, only.
 */
#ifndef SUPERVISE_KVM_H
#define SUPERVISE_KVM_H

#include "base/list.h"
#include "base/why.h"
#include "mem/file.h"

struct kvm_device_attr;

struct kvm_sets {
	struct list all; /* struct kvm_set: one for each device that has been given a file */
	int probe;	 /* owned: an anonymous inode of ours, to look for marks; -1 until one is needed */
};

void kvm_init(struct kvm_sets *sets);
void kvm_fini(struct kvm_sets *sets); /* lets all files go; twice is legal */

/* Is it the name of such a device, as /proc/PID/fd has it? No program can make another file of that name. */
bool kvm_is_vfio_device(const char *name);

/* Adds or deletes that request a file? All others are the host's to answer. */
bool kvm_names_file(const struct kvm_device_attr *request);

/*
 * Does it. device and fd are our descriptors for the device of the host and for the program's file, borrowed; file is
 * what that is. KVM_FILE_INVALID, KVM_FILE_KNOWN, KVM_FILE_UNKNOWN.
 */
int kvm_set_file(struct kvm_sets *sets, int device, const struct kvm_device_attr *request, int fd,
		 const struct file *file, struct why *why);

/* Lets go of what belonged to devices that are no more. Does any live? */
bool kvm_sweep(struct kvm_sets *sets);

#endif
