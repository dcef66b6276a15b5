/* SPDX-License-Identifier: MIT */
/*
 * A context: one open of /dev/iommu, with its objects. It lives as long as its descriptors, and longer while a bound
 * device, an access, or the descriptor of a queue needs it (spec 03 section 1); then all that is left is destroyed,
 * leaf first.
 */
#ifndef IOMMUFD_CONTEXT_H
#define IOMMUFD_CONTEXT_H

#include "base/idmap.h"
#include "base/itree.h"
#include "iommufd/iommufd.h"
#include "iommufd/object.h"
#include "mem/charge.h"

struct context {
	struct file file;	      /* first */
	struct owner owner;	      /* what owns the groups of its devices */
	struct iommufd *iommufd;      /* borrowed */
	struct idmap objects;	      /* struct object, owned */
	unsigned nobjects;	      /* that have an id, published or not */
	unsigned files;		      /* descriptors' share (1 or 0) and one for each that keeps the context */
	bool open;		      /* the file still has descriptors */
	enum charge_mode charge_mode; /* OPTION RLIMIT_MODE: CHARGE_USER or CHARGE_MM */
	struct object *vfio_ioas;     /* borrowed; the compat IOAS, cleared when that is destroyed; NULL: none */
	bool no_iommu;		      /* a group without an IOMMU has it as its container (spec 03 section 12) */
	struct list devices;	      /* struct iommufd_device, by age */
	struct list sw_msi;	      /* struct sw_msi_page, owned: sw_msi.c */
	struct list regions;	      /* struct mmap_region, owned by their objects: mmap.c */
	char opener[CLIENT_DESCRIPTION];
	struct list_link link; /* iommufd->contexts */
};

void context_get(struct context *context); /* keeps it beyond its descriptors */
void context_put(struct context *context); /* the last one destroys it */

/* For each published object in the order of ids: start with *id = 0; NULL ends. */
struct object *context_next(const struct context *context, u32 *id);

/* True when any object exists, or is being made. */
bool context_has_objects(const struct context *context);

/* mmap.c: mmap(2) of the context, and whether regions of the object are still mapped: if not, it has fewer users. */
void context_close_file(struct context *context); /* its memory file: nobody has it open any more */
int context_mmap(struct file *file, u64 offset, u64 size, int prot, int flags, struct why *why);
void mmap_settle(const struct object *owner);

/* "/dev/iommu of qemu (pid 1234)"; returns text. */
#define CONTEXT_TEXT 64
const char *context_describe(const struct context *context, char text[static CONTEXT_TEXT]);

void context_check(const struct context *context);

#endif
