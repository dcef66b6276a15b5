/* SPDX-License-Identifier: MIT */
/*
 * The table of requests (ioctls.def) and what all of them share: the size rules (spec 03 section 1.1), copying the
 * structure in, and its answer out.
 */
#ifndef IOMMUFD_IOCTL_H
#define IOMMUFD_IOCTL_H

#include "iommufd/context.h"
#include "isolde/abi/iommufd.h"

/* Bytes of a structure up to and including a field. */
#define THROUGH(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* The largest structure of the table; zeroed behind what the program gave. */
union command {
	u32 size;
	u8 bytes[80];
	u64 align;
#define IOMMUFD_IOCTL(name, type, last, handler) struct type handler##_command;
#include "iommufd/ioctls.def"
#undef IOMMUFD_IOCTL
};

/* One request. The handler reads and writes *command; what it answers goes out by request_answer(). */
struct request {
	struct context *context;
	struct client *client;
	u64 arg;	  /* the structure in the client's memory */
	u32 user_size;	  /* what the program said */
	u32 size;	  /* of our structure */
	const char *name; /* "IOMMU_IOAS_MAP" */
	union command *command;
};

/*
 * Returns what ioctl(2) would, or -errno with why filled. A handler that makes an object answers before it publishes,
 * so that a fault leaves nothing behind.
 */
typedef long iommufd_handler(struct request *request, struct why *why);

/* Copies the structure out: min(user_size, size) bytes. CLIENT_FAULT. */
int request_answer(struct request *request, struct why *why);

struct iommufd_ioctl {
	unsigned cmd;
	const char *name;
	unsigned size, min;
	iommufd_handler *handler;
};

extern const struct iommufd_ioctl iommufd_ioctls[];
extern const unsigned iommufd_nioctls;

/* The size rules and the copy in, for a structure of `size` bytes of which the program must know `min`. */
int request_take(struct request *request, unsigned min, struct why *why);

/* Common refusals: reserved fields that must be zero, flags nobody knows (EOPNOTSUPP both). */
int refuse_reserved_field(const struct request *request, u64 value, struct why *why);		/* 0 when value is 0 */
int refuse_unknown_flags(const struct request *request, u64 flags, u64 known, struct why *why); /* likewise */

/* One ioctl on a context's file. */
long iommufd_ioctl_dispatch(struct context *context, struct client *client, unsigned cmd, u64 arg, struct why *why);

/* What VFIO programs ask of /dev/iommu (compat.c). IOCTL_UNKNOWN (ENOTTY). */
long compat_ioctl(struct context *context, struct client *client, unsigned cmd, u64 arg, struct why *why);
const char *compat_ioctl_name(unsigned cmd); /* NULL: none of them */

#define IOMMUFD_IOCTL(name, type, last, handler) iommufd_handler handler;
#include "iommufd/ioctls.def"
#undef IOMMUFD_IOCTL

#endif
