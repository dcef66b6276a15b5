/* SPDX-License-Identifier: MIT */
#include "vfio/container.h"

#include <linux/capability.h>

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
	assert(!container_has_backend(container));
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

/*
 * Which backends are asked: without groups both, with groups the one for their kind, and once one is set that alone.
 * Linux: drivers/vfio/container.c:vfio_iommu_driver_allowed(), vfio_container_ioctl_check_extension().
 */
static bool type1_allowed(const struct container *container)
{
	return list_empty(&container->groups) || !container->noiommu;
}

static bool noiommu_allowed(const struct container *container)
{
	return list_empty(&container->groups) || container->noiommu;
}

static long noiommu_extension(const struct container *container, u64 extension)
{
	return container->vfio->noiommu && extension == VFIO_NOIOMMU_IOMMU;
}

long container_check_extension(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			       struct why *why)
{
	const struct container *container = container_of_file(file);
	long answer = type1_allowed(container) ? type1_extension(container->backend, arg) : 0;

	return answer <= 0 && noiommu_allowed(container) ? noiommu_extension(container, arg) : answer;
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

static int decode_set_noiommu(const struct container *container, u64 type, struct client *client, struct why *why)
{
	const struct vfio_group *first = list_first(&container->groups, struct vfio_group, container_link);

	if (noiommu_extension(container, type) <= 0)
		return refuse(why, IOMMU_TYPE_UNSUPPORTED, "type %llu (%s): groups without an IOMMU take 8%s",
			      (unsigned long long)type, type_name(type),
			      container->vfio->noiommu ? "" : ", and that mode has been switched off");
	return group_privileged(first, client, why);
}

static int decode_set_iommu(const struct container *container, u64 type, struct client *client, struct why *why)
{
	if (list_empty(&container->groups))
		return refuse(why, CONTAINER_EMPTY, "VFIO_SET_IOMMU %llu: no group has this container set",
			      (unsigned long long)type);
	if (container_has_backend(container))
		return refuse(why, IOMMU_ALREADY_SET,
			      "VFIO_SET_IOMMU %llu: the container has %s since it was set first",
			      (unsigned long long)type,
			      container->noiommu_set   ? "NOIOMMU"
			      : container->backend->v2 ? "TYPE1v2"
						       : "TYPE1");
	if (container->noiommu)
		return decode_set_noiommu(container, type, client, why);
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
	int err = decode_set_iommu(container, arg, client, why);

	if (err < 0)
		return err;
	if (container->noiommu) {
		container->noiommu_set = true;
		return 0;
	}
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
	if (container->noiommu_set)
		return refuse(why, NO_IOMMU_NO_DMA, "%s (%#x): the container is one of groups without an IOMMU",
			      name ? name : "request", cmd);
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

static void unclaim(struct vfio_group *group)
{
	if (group->kind == GROUP_REAL)
		iommu_group_release(group->iommu);
}

static int decode_attach(const struct container *container, const struct vfio_group *group, struct client *client,
			 struct why *why)
{
	int err = group_privileged(group, client, why);

	if (err < 0)
		return err;
	if (!list_empty(&container->groups) && container->noiommu != (group->kind == GROUP_NOIOMMU))
		return refuse(why, CONTAINER_MIXED, "group %d has %s IOMMU, the groups of the container have %s",
			      group->id, container->noiommu ? "an" : "no", container->noiommu ? "none" : "one");
	return 0;
}

int container_attach(struct container *container, struct vfio_group *group, struct client *client, struct why *why)
{
	int err = decode_attach(container, group, client, why);

	if (err == 0 && group->kind == GROUP_REAL)
		err = iommu_group_claim(group->iommu, &group->owner, why);
	if (err < 0)
		return err;
	if (container->backend) {
		err = type1_attach(container->backend, group->iommu, why);
		if (err < 0) {
			unclaim(group);
			return err;
		}
	}
	group->container = container;
	container->noiommu = group->kind == GROUP_NOIOMMU;
	list_prepend(&container->groups, &group->container_link);
	return 0;
}

void container_detach(struct vfio_group *group)
{
	struct container *container = group->container;

	if (container->backend)
		type1_detach(container->backend, group->iommu);
	unclaim(group);
	list_remove(&group->container_link);
	group->container = NULL;
	if (list_empty(&container->groups)) {
		type1_free(container->backend);
		container->backend = NULL;
		container->noiommu_set = false;
	}
	container_put(container);
}

void container_check(const struct container *container)
{
	const struct vfio_group *group;

	assert(container->open || !list_empty(&container->groups));
	if (list_empty(&container->groups))
		assert(!container_has_backend(container));
	assert(!container->backend || !container->noiommu);
	list_for_each(group, &container->groups, container_link) {
		assert(group->container == container);
		assert((group->kind == GROUP_NOIOMMU) == container->noiommu);
	}
	if (!container->backend)
		return;
	assert(list_length(&container->backend->members) == list_length(&container->groups));
	type1_check(container->backend);
}
