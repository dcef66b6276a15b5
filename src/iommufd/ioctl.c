/* SPDX-License-Identifier: MIT */
#include "iommufd/ioctl.h"

#include <string.h>

#define FIRST_NR 0x80u
#define TEST_CMD 0x3ba0u /* where the machine has it; the table then reaches that far */

const struct iommufd_ioctl iommufd_ioctls[] = {
#define IOMMUFD_IOCTL(name, type, last, handler)                                                                       \
	{name, #name, sizeof(struct type), THROUGH(struct type, last), handler},
#include "iommufd/ioctls.def"
#undef IOMMUFD_IOCTL
};
const unsigned iommufd_nioctls = ARRAY_SIZE(iommufd_ioctls);

/* The same by number. */
static const struct iommufd_ioctl *find_row(unsigned cmd)
{
	static const struct iommufd_ioctl by_number[] = {
#define IOMMUFD_IOCTL(name, type, last, handler)                                                                       \
	[(name & 0xff) - FIRST_NR] = {name, #name, sizeof(struct type), THROUGH(struct type, last), handler},
#include "iommufd/ioctls.def"
#undef IOMMUFD_IOCTL
	};
	unsigned index = (cmd & 0xff) - FIRST_NR;

	return index < ARRAY_SIZE(by_number) && by_number[index].cmd == cmd ? &by_number[index] : NULL;
}

const char *iommufd_ioctl_name(const struct file *file, unsigned int cmd)
{
	const struct iommufd_ioctl *row;

	if (!iommufd_context_of((struct file *)(uintptr_t)file))
		return NULL;
	row = find_row(cmd);
	if (row)
		return row->name;
	return cmd == TEST_CMD ? "IOMMU_TEST_CMD" : compat_ioctl_name(cmd);
}

/* ---- the size rules ---- */

int request_take(struct request *request, unsigned min, struct why *why)
{
	int err;

	if (request->user_size < min)
		return refuse(why, SIZE_SHORT, "%s: size is %u, at least %u are needed", request->name,
			      request->user_size, min);
	memset(request->command, 0, sizeof(*request->command));
	err = client_read_struct(request->client, request->arg, request->user_size, request->command, request->size,
				 why);
	return err < 0 ? why_context(why, "%s", request->name) : 0;
}

/* A structure of our own size is copied in at once; any other, and one that is not there, is looked at bit by bit. */
static bool take_usual(struct request *request, const struct iommufd_ioctl *row)
{
	struct why ignored;

	if (client_read(request->client, request->arg, request->command, row->size, &ignored) < 0 ||
	    request->command->size != row->size)
		return false;
	request->name = row->name;
	request->size = request->user_size = row->size;
	return true;
}

int request_answer(struct request *request, struct why *why)
{
	return client_write(request->client, request->arg, request->command, min_u64(request->user_size, request->size),
			    why);
}

int refuse_reserved_field(const struct request *request, u64 value, struct why *why)
{
	if (!value)
		return 0;
	return refuse(why, RESERVED_SET, "%s: a reserved field is %#llx", request->name, (unsigned long long)value);
}

int refuse_unknown_flags(const struct request *request, u64 flags, u64 known, struct why *why)
{
	if (!(flags & ~known))
		return 0;
	return refuse(why, FLAGS_UNKNOWN, "%s: flags %#llx: bits %#llx are unknown", request->name,
		      (unsigned long long)flags, (unsigned long long)(flags & ~known));
}

/* ---- dispatch ---- */

static unsigned last_nr(const struct context *context)
{
	return context->iommufd->test ? TEST_CMD & 0xff : IOMMUFD_CMD_HW_QUEUE_ALLOC;
}

/* Linux: drivers/iommu/iommufd/main.c:iommufd_fops_ioctl() */
long iommufd_ioctl_dispatch(struct context *context, struct client *client, unsigned cmd, u64 arg, struct why *why)
{
	union command command;
	struct request request = {.context = context, .client = client, .arg = arg, .command = &command};
	const struct iommufd_ioctl *row = find_row(cmd);
	unsigned nr = cmd & 0xff;
	int err;

	if (nr < FIRST_NR || nr > last_nr(context))
		return compat_ioctl(context, client, cmd, arg, why);
	if (row && take_usual(&request, row))
		return row->handler(&request, why);
	err = client_read(client, arg, &request.user_size, sizeof(request.user_size), why);
	if (err < 0)
		return err;
	if (cmd == TEST_CMD && context->iommufd->test) {
		request.name = "IOMMU_TEST_CMD";
		return context->iommufd->test(&request, why);
	}
	if (!row)
		return refuse(why, IOCTL_UNKNOWN, "/dev/iommu has no request %#x", cmd);
	request.name = row->name;
	request.size = row->size;
	err = request_take(&request, row->min, why);
	return err < 0 ? err : row->handler(&request, why);
}

long ioctl_destroy(struct request *request, struct why *why)
{
	return object_destroy(request->context, request->command->ioctl_destroy_command.id, why);
}
