/* SPDX-License-Identifier: MIT */
#include "iommufd/object.h"

#include <stdio.h>

#include "base/alloc.h"
#include "iommufd/context.h"

#define FIRST_ID 1

int object_init(struct object *object, const struct object_class *class, struct context *context, struct why *why)
{
	u32 id;
	int err = idmap_reserve(&context->objects, FIRST_ID, &id, why);

	if (err < 0)
		return err;
	*object = (struct object){.class = class, .context = context, .id = id};
	context->nobjects++;
	return 0;
}

void object_publish(struct object *object)
{
	assert(!object->published);
	idmap_publish(&object->context->objects, object->id, object);
	object->published = true;
}

void object_fini(struct object *object)
{
	if (!object->context)
		return;
	assert(object->users == 0);
	object->context->nobjects--;
	idmap_abandon(&object->context->objects, object->id);
	*object = (struct object){.class = NULL};
}

void object_fini_tombstone(struct object *object)
{
	struct idmap *objects = &object->context->objects;
	u32 id = object->id;

	object_fini(object);
	/* Ids are given out from the lowest on: this one is taken, and nobody publishes it. */
	idmap_bury(objects, id);
}

struct object *object_peek(const struct context *context, u32 id, const struct object_class *class)
{
	struct object *object = idmap_find(&context->objects, id);

	return object && (!class || object->class == class) ? object : NULL;
}

static int refuse_missing(struct context *context, u32 id, const struct object_class *class, struct why *why)
{
	const struct object *other = object_peek(context, id, NULL);
	const char *wanted = class ? class->name : "object";
	char text[OBJECT_TEXT], where[CONTEXT_TEXT];

	if (other)
		return refuse(why, OBJECT_MISSING, "id %u is no %s, but %s", id, wanted, object_describe(other, text));
	return refuse(why, OBJECT_MISSING, "%s has no %s with id %u", context_describe(context, where), wanted, id);
}

int object_find(struct context *context, u32 id, const struct object_class *class, struct object **ret, struct why *why)
{
	struct object *object = object_peek(context, id, class);

	if (!object || !fallible())
		return refuse_missing(context, id, class, why);
	*ret = object;
	return 0;
}

int object_destroy(struct context *context, u32 id, struct why *why)
{
	char text[OBJECT_TEXT];
	struct object *object;
	int err = object_find(context, id, NULL, &object, why);

	if (err < 0)
		return err;
	object_describe(object, text);
	if (object->class->kept)
		return refuse(why, OBJECT_KEPT, "%s belongs to the driver that made it", text);
	mmap_settle(object);
	if (object->users)
		return refuse(why, OBJECT_IN_USE, "%s has %u user%s", text, object->users,
			      object->users == 1 ? "" : "s");
	object->class->free(object);
	return 0;
}

const char *object_describe(const struct object *object, char text[static OBJECT_TEXT])
{
	int length = snprintf(text, OBJECT_TEXT, "%s %u", object->class->name, object->id);

	if (object->class->describe && length < OBJECT_TEXT)
		object->class->describe(object, text + length, OBJECT_TEXT - (size_t)length);
	return text;
}
