/* SPDX-License-Identifier: MIT */
/* What all queues have in common: an object and a descriptor, each of which can go first - of the program's view. */
#include "iommufd/eventq.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/os.h"
#include "iommufd/ioctl.h"

#define MODE_0600 0600

int eventq_new(struct context *context, size_t size, const struct object_class *class, const struct file_ops *ops,
	       const char *path, struct eventq **ret, struct why *why)
{
	struct eventq *queue = alloc_zero(size, why);
	int err;

	if (!queue)
		return -why->err;
	err = object_init(&queue->object, class, context, why);
	if (err < 0) {
		free(queue);
		return err;
	}
	file_init(&queue->file, ops, path, MODE_0600, 0);
	*ret = queue;
	return 0;
}

void eventq_free(struct eventq *queue)
{
	assert(!queue->open);
	/* One that could not be given may have got its memory file already. */
	os_close(queue->file.memfd);
	object_fini(&queue->object);
	free(queue);
}

static int give(struct eventq *queue, struct request *request, u32 *id, u32 *fd, struct why *why)
{
	struct client *client = request->client;
	/*
	 * As the program wrote it: if it cannot be written, nothing has been given yet. Linux learns that before the
	 * descriptor is the program's, which we cannot.
	 */
	int err = request_answer(request, why);
	int given = err == 0 ? client->ops->install_file(client, &queue->file, true, why) : err;

	if (given < 0)
		return given;
	*id = queue->object.id;
	*fd = (u32)given;
	queue->open = true;
	object_use(&queue->object);
	context_get(queue->object.context);
	err = request_answer(request, why);
	if (err == 0)
		object_publish(&queue->object);
	return err;
}

int eventq_give(struct eventq *queue, struct request *request, u32 *id, u32 *fd, struct why *why)
{
	int err = give(queue, request, id, fd, why);

	if (err < 0 && !queue->open)
		queue->object.class->free(&queue->object);
	return err;
}

void eventq_release(struct file *file)
{
	struct eventq *queue = eventq_of_file(file);
	struct context *context = queue->object.context;

	os_close(file->memfd);
	file->memfd = -1;
	file->watcher = NULL; /* whoever watched ends with the file; the object goes on, and wakes nobody */
	queue->open = false;
	object_unuse(&queue->object);
	if (!queue->object.published)
		queue->object.class->free(&queue->object);
	context_put(context);
}

int eventq_at_start(const struct eventq *queue, u64 offset, struct why *why)
{
	char text[OBJECT_TEXT];

	if (!offset)
		return 0;
	return refuse(why, QUEUE_POSITION, "offset %#llx of %s, which is a stream", (unsigned long long)offset,
		      object_describe(&queue->object, text));
}
