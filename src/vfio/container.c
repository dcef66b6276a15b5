/* SPDX-License-Identifier: MIT */
#include "vfio/container.h"

#include "base/alloc.h"
#include "base/os.h"
#include "vfio/group.h"
#include "vfio/ioctl.h"
#include "vfio/type1.h"

#define MODE_CHARACTER_0666 0020666

static u64 device_number(unsigned major, unsigned minor)
{
	return (u64)major << 8 | minor;
}

static void container_put(struct container *container)
{
	if (container->open || !list_empty(&container->groups))
		return;
	assert(!container->backend);
	free(container);
}

static void container_release(struct file *file)
{
	struct container *container = container_of_file(file);

	os_close(file->memfd);
	file->memfd = -1;
	container->open = false;
	container_put(container);
}

struct type1 *type1_of_file(struct file *file)
{
	return container_of_file(file)->backend;
}

long container_get_api_version(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			       struct why *why)
{
	return VFIO_API_VERSION;
}

long container_check_extension(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			       struct why *why)
{
	return type1_extension(container_of_file(file)->backend, arg);
}

static const char *type_name(u64 type)
{
	static const char *const names[] = {
		[VFIO_TYPE1_IOMMU] = "TYPE1",
		[VFIO_SPAPR_TCE_IOMMU] = "SPAPR_TCE",
		[VFIO_TYPE1v2_IOMMU] = "TYPE1v2",
		[VFIO_TYPE1_NESTING_IOMMU] = "TYPE1_NESTING",
		[VFIO_SPAPR_TCE_v2_IOMMU] = "SPAPR_TCE_v2",
		[VFIO_NOIOMMU_IOMMU] = "NOIOMMU",
	};

	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "no IOMMU type";
}

static int decode_set_iommu(const struct container *container, u64 type, struct why *why)
{
	const struct type1 *backend = container->backend;

	if (list_empty(&container->groups))
		return refuse(why, CONTAINER_EMPTY, "VFIO_SET_IOMMU %llu: no group has this container set",
			      (unsigned long long)type);
	if (backend)
		return refuse(why, IOMMU_ALREADY_SET,
			      "VFIO_SET_IOMMU %llu: the container has %s since it was set first",
			      (unsigned long long)type, backend->v2 ? "TYPE1v2" : "TYPE1");
	if (type1_extension(NULL, type) <= 0)
		return refuse(why, IOMMU_TYPE_UNSUPPORTED, "type %llu (%s) is not among those of this machine: 1, 3",
			      (unsigned long long)type, type_name(type));
	/* An extension that is no type gets past Linux's test and fails in the backend's open. */
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return refuse(why, IOMMU_TYPE_INVALID, "%llu is an extension of type 1, but no type itself",
			      (unsigned long long)type);
	return 0;
}

/* All groups enter, or none. */
static int attach_groups(struct container *container, struct type1 *backend, struct why *why)
{
	struct vfio_group *group, *attached;

	list_for_each(group, &container->groups, container_link) {
		int err = type1_attach(backend, group->iommu, why);

		if (err == 0)
			continue;
		list_for_each(attached, &container->groups, container_link) {
			if (attached == group)
				return why_context(why, "group %d", group->id);
			type1_detach(backend, attached->iommu);
		}
	}
	return 0;
}

long container_set_iommu(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			 struct why *why)
{
	struct container *container = container_of_file(file);
	struct type1 *backend;
	int err = decode_set_iommu(container, arg, why);

	if (err < 0)
		return err;
	err = type1_new(container->vfio, arg == VFIO_TYPE1v2_IOMMU, &backend, why);
	if (err < 0)
		return err;
	err = attach_groups(container, backend, why);
	if (err < 0) {
		type1_free(backend);
		return err;
	}
	container->backend = backend;
	return 0;
}

static long container_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	const struct container *container = container_of_file(file);
	const char *name;

	if (vfio_ioctl_find(VFIO_KIND_CONTAINER, cmd))
		return vfio_ioctl_dispatch(VFIO_KIND_CONTAINER, file, client, cmd, arg, why);
	if (container->backend)
		return vfio_ioctl_dispatch(VFIO_KIND_TYPE1, file, client, cmd, arg, why);
	name = vfio_ioctl_name(file, cmd);
	return refuse(why, NO_IOMMU_SET, "%s (%#x): VFIO_SET_IOMMU has not been called on this container of %zu groups",
		      name ? name : "request", cmd, list_length(&container->groups));
}

const struct file_ops container_file_ops = {
	.kind = "container",
	.ioctl = container_ioctl,
	.release = container_release,
};

int vfio_container_open(struct vfio *vfio, struct client *client, struct file **ret, struct why *why)
{
	struct container *container = alloc_new(struct container, why);

	if (!container)
		return -why->err;
	file_init(&container->file, &container_file_ops, "/dev/vfio/vfio", MODE_CHARACTER_0666,
		  device_number(VFIO_MISC_MAJOR, VFIO_MISC_MINOR));
	container->vfio = vfio;
	container->open = true;
	list_init(&container->groups);
	*ret = &container->file;
	return 0;
}

/* Nobody but VFIO knows the group of an emulated device. */
static int claim(struct vfio_group *group, struct why *why)
{
	return group->type == VFIO_GROUP_IOMMU ? iommu_group_claim(group->iommu, &group->owner, why) : 0;
}

static void release(struct vfio_group *group)
{
	if (group->type == VFIO_GROUP_IOMMU)
		iommu_group_release(group->iommu);
}

int container_attach(struct container *container, struct vfio_group *group, struct why *why)
{
	int err = claim(group, why);

	if (err < 0)
		return err;
	err = container->backend ? type1_attach(container->backend, group->iommu, why) : 0;
	if (err < 0) {
		release(group);
		return err;
	}
	group->container = container;
	list_prepend(&container->groups, &group->container_link);
	return 0;
}

void container_detach(struct vfio_group *group)
{
	struct container *container = group->container;

	if (container->backend)
		type1_detach(container->backend, group->iommu);
	release(group);
	list_remove(&group->container_link);
	group->container = NULL;
	if (list_empty(&container->groups)) {
		type1_free(container->backend);
		container->backend = NULL;
	}
	container_put(container);
}

void container_check(const struct container *container)
{
	const struct vfio_group *group;

	assert(container->open || !list_empty(&container->groups));
	if (list_empty(&container->groups))
		assert(!container->backend);
	list_for_each(group, &container->groups, container_link)
		assert(group->container == container);
	if (!container->backend)
		return;
	assert(list_length(&container->backend->members) == list_length(&container->groups));
	type1_check(container->backend);
}
