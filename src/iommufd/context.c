/* SPDX-License-Identifier: MIT */
#include "iommufd/context.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/os.h"
#include "iommufd/device.h"
#include "iommufd/drivers.h"
#include "iommufd/ioctl.h"

#define MODE_CHARACTER_0660 0020660
#define MODE_CHARACTER_0666 0020666
#define LAST_ID		    0x7fffffffu

static struct context *context_of_file(struct file *file)
{
	return container_of(file, struct context, file);
}

const char *context_describe(const struct context *context, char text[static CONTEXT_TEXT])
{
	snprintf(text, CONTEXT_TEXT, "%s of %s", context->file.path, context->opener);
	return text;
}

static const char *describe_owner(const struct owner *owner, char *text, size_t size)
{
	char described[CONTEXT_TEXT];

	snprintf(text, size, "%s", context_describe(container_of(owner, struct context, owner), described));
	return text;
}

struct object *context_next(const struct context *context, u32 *id)
{
	return idmap_next(&context->objects, id);
}

bool context_has_objects(const struct context *context)
{
	return context->nobjects > 0;
}

/* ---- life ---- */

void context_get(struct context *context)
{
	context->files++;
}

/*
 * Leaf first: whatever nobody uses, again and again. Who used the last of these is gone by then, so that nothing can be
 * left.
 */
static void destroy_objects(struct context *context)
{
	bool progress = true;

	while (progress) {
		struct object *object;

		progress = false;
		for (u32 id = 0; (object = context_next(context, &id)); id++) {
			mmap_settle(object);
			if (object->users || object->class->kept)
				continue;
			object->class->free(object);
			progress = true;
		}
	}
	assert(!context_has_objects(context));
}

void context_put(struct context *context)
{
	assert(context->files > 0);
	if (--context->files)
		return;
	destroy_objects(context);
	sw_msi_fini(context);
	assert(list_empty(&context->devices) && list_empty(&context->regions));
	list_remove(&context->link);
	idmap_fini(&context->objects);
	free(context);
}

static void context_release(struct file *file)
{
	struct context *context = context_of_file(file);

	context_close_file(context);
	context->open = false;
	context_put(context);
}

static long context_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	return iommufd_ioctl_dispatch(context_of_file(file), client, cmd, arg, why);
}

static const struct file_ops context_file_ops = {
	.kind = "iommufd",
	.ioctl = context_ioctl,
	.mmap = context_mmap,
	.release = context_release,
};

struct context *iommufd_context_of(struct file *file)
{
	return file && file->ops == &context_file_ops ? context_of_file(file) : NULL;
}

/* ---- opening ---- */

static int context_new(struct iommufd *iommufd, struct client *client, struct context **ret, struct why *why)
{
	struct context *context = alloc_new(struct context, why);

	if (!context)
		return -why->err;
	context->owner.describe = describe_owner;
	context->iommufd = iommufd;
	context->objects.limit = LAST_ID;
	context->files = 1;
	context->open = true;
	context->charge_mode = CHARGE_USER;
	list_init(&context->devices);
	list_init(&context->sw_msi);
	list_init(&context->regions);
	client_describe(client, context->opener);
	list_append(&iommufd->contexts, &context->link);
	*ret = context;
	return 0;
}

int iommufd_context_open(struct iommufd *iommufd, struct client *client, struct file **ret, struct why *why)
{
	struct context *context;
	int err = context_new(iommufd, client, &context, why);

	if (err < 0)
		return err;
	file_init(&context->file, &context_file_ops, "/dev/iommu", MODE_CHARACTER_0660,
		  (u64)IOMMUFD_MISC_MAJOR << 8 | IOMMUFD_MISC_MINOR);
	*ret = &context->file;
	return 0;
}

int iommufd_vfio_open(struct iommufd *iommufd, struct client *client, struct file **ret, struct why *why)
{
	struct context *context;
	int err = context_new(iommufd, client, &context, why);

	if (err < 0)
		return err;
	file_init(&context->file, &context_file_ops, "/dev/vfio/vfio", MODE_CHARACTER_0666,
		  (u64)IOMMUFD_MISC_MAJOR << 8 | IOMMUFD_VFIO_MINOR);
	context->charge_mode = CHARGE_MM;
	*ret = &context->file;
	return 0;
}

/* ---- all of them ---- */

void iommufd_init(struct iommufd *iommufd, struct iommu *iommu)
{
	*iommufd = (struct iommufd){.iommu = iommu};
	iommufd_drivers_init(iommu);
	list_init(&iommufd->contexts);
	list_init(&iommufd->files);
}

void iommufd_fini(struct iommufd *iommufd)
{
	assert(list_empty(&iommufd->contexts) && list_empty(&iommufd->files));
	accounts_fini(&iommufd->accounts);
}

void context_check(const struct context *context)
{
	const struct object *object;
	u32 published = 0;

	assert(context->files > 0 && (context->open || context->files > 0));
	for (u32 id = 0; (object = context_next(context, &id)); id++) {
		assert(object->published && object->id == id && object->context == context);
		if (object->class->check)
			object->class->check(object);
		published++;
	}
	/* Between two requests nothing is half made. */
	assert(published == context->nobjects);
	assert(!context->vfio_ioas || object_peek(context, context->vfio_ioas->id, NULL) == context->vfio_ioas);
	(void)published;
}

void iommufd_check(const struct iommufd *iommufd)
{
	const struct context *context;

	list_for_each(context, &iommufd->contexts, link)
		context_check(context);
}
