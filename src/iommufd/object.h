/* SPDX-License-Identifier: MIT */
/*
 * Objects of a context, and their ids (spec 03 section 2). An object has its id from object_init() on, but nobody finds
 * it before object_publish(), the last step of whatever makes it. One with users cannot be destroyed.
 */
#ifndef IOMMUFD_OBJECT_H
#define IOMMUFD_OBJECT_H

#include "base/bits.h"
#include "base/why.h"

struct context;
struct describer;
struct object;

/* One per kind; compare object->class to know the kind. */
struct object_class {
	const char *name; /* "IOAS", "HWPT_PAGING", ... as the uAPI's documentation calls them */
	bool kept;	  /* belongs to a driver: DESTROY says EBUSY however few users it has */
	/* Gives back all that the object holds, ends with object_fini() and frees it. Nobody uses it any more. */
	void (*free)(struct object *object);
	/* " of 0000:01:00.0 attached to HWPT 3": what the id does not tell, for texts; NULL: nothing */
	void (*describe)(const struct object *object, char *text, size_t size);
	void (*check)(const struct object *object); /* asserts its invariants; NULL: none */
};

struct object {
	const struct object_class *class;
	struct context *context; /* borrowed; NULL: not initialised */
	u32 id;
	u32 users; /* objects, descriptors, mappings that need it; 0: DESTROY may take it */
	bool published;
};

/* Takes the lowest free id >= 1. IDS_EXHAUSTED, OUT_OF_MEMORY. */
int object_init(struct object *object, const struct object_class *class, struct context *context, struct why *why);
void object_publish(struct object *object); /* cannot fail */
/* The id is free again. No users are left. Legal on a zeroed object. */
void object_fini(struct object *object);
/* The same, but the id never means anything again (a vdevice that went with its device). */
void object_fini_tombstone(struct object *object);

static inline void object_use(struct object *object)
{
	assert(object->users < UINT32_MAX);
	object->users++;
}

static inline void object_unuse(struct object *object)
{
	assert(object->users > 0);
	object->users--;
}

/* A published object of that class (NULL: any). OBJECT_MISSING (ENOENT) says what the id is, if it is anything. */
int object_find(struct context *context, u32 id, const struct object_class *class, struct object **ret,
		struct why *why);
/* The same, without a refusal and never failing on purpose: NULL. */
struct object *object_peek(const struct context *context, u32 id, const struct object_class *class);

/* IOMMU_DESTROY: OBJECT_MISSING (ENOENT), OBJECT_KEPT, OBJECT_IN_USE (EBUSY). */
int object_destroy(struct context *context, u32 id, struct why *why);

/* "HWPT_PAGING 3 of qemu (pid 1234)"; returns text. */
#define OBJECT_TEXT 96
const char *object_describe(const struct object *object, char text[static OBJECT_TEXT]);

#define object_entry(object, type, member) container_of(object, type, member)

#endif
