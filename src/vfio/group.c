/* SPDX-License-Identifier: MIT */
/*
 * /dev/vfio/GROUP. Two objects with lives of their own:
 *
 *	vfio_group	from the first device that vfio-pci takes to the last it gives back; longer while a file is
 *			open, but then without its IOMMU group, and all it answers is ENODEV
 *	group_file	from open(2) until its descriptors are gone and, with a container, all devices got from it:
 *			they hold it, so that no second program opens the group between the close of the group and the
 *			close of its devices
 *
 * While a container is set the IOMMU group is claimed, with the vfio_group as its owner. A container cannot be unset
 * while devices are open, so an open device always has one, with its IOMMU set.
 *
 * An iommufd may stand where a container does. It claims nothing: each device is bound to it when it is opened, and
 * stays so whatever becomes of the group's file.
 *
 * Before SET_CONTAINER "viable" is advice: it says whether a claim would succeed now. A group that is not viable is no
 * error of GET_STATUS; who is in the way is left in why as a remark, because programs say "not viable" and no more.
 */
#include "vfio/group.h"

#include <linux/capability.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/os.h"
#include "base/text.h"
#include "iommufd/compat.h"
#include "vfio/container.h"
#include "vfio/device.h"
#include "vfio/ioctl.h"

#define MODE_CHARACTER_0600 0020600
#define NAME_SIZE	    4096 /* what Linux copies of a name at most, a page */

/* "VFIO group 7 of qemu-io (pid 1234)" */
static const char *describe_owner(const struct owner *owner, char *text, size_t size)
{
	const struct vfio_group *group = container_of(owner, struct vfio_group, owner);

	snprintf(text, size, "VFIO group %d of %s", group->id, group->opened ? group->opened->opener : "nobody");
	return text;
}

struct vfio_group *group_find(const struct vfio *vfio, int id)
{
	struct vfio_group *group;

	list_for_each(group, &vfio->groups, link)
		if (group->id == id)
			return group;
	return NULL;
}

static bool minor_taken(const struct vfio *vfio, unsigned minor)
{
	const struct vfio_group *group;

	list_for_each(group, &vfio->groups, link)
		if (group->minor == minor)
			return true;
	return false;
}

const char *group_path(const struct vfio_group *group, char text[static GROUP_PATH])
{
	snprintf(text, GROUP_PATH, "/dev/vfio/%s%d", group->kind == GROUP_NOIOMMU ? "noiommu-" : "", group->id);
	return text;
}

int group_privileged(const struct vfio_group *group, struct client *client, struct why *why)
{
	char who[CLIENT_DESCRIPTION];

	if (group->kind != GROUP_NOIOMMU || client_capable(client, CAP_SYS_RAWIO))
		return 0;
	return refuse(why, NO_IOMMU_PRIVILEGE, "group %d has no IOMMU, and %s no CAP_SYS_RAWIO", group->id,
		      client_describe(client, who));
}

int group_enter(struct vfio *vfio, struct iommu_group *iommu, enum group_kind kind, struct vfio_group **ret,
		struct why *why)
{
	struct vfio_group *group = group_find(vfio, iommu->id);

	if (!group) {
		group = alloc_new(struct vfio_group, why);
		if (!group)
			return -why->err;
		group->owner.describe = describe_owner;
		group->vfio = vfio;
		group->id = iommu->id;
		group->iommu = iommu;
		group->kind = kind;
		while (minor_taken(vfio, group->minor))
			group->minor++;
		list_append(&vfio->groups, &group->link);
		if (vfio->listener && vfio->listener->group_added)
			vfio->listener->group_added(vfio->listener_context, group->id, group->minor);
	}
	group->ndevices++;
	*ret = group;
	return 0;
}

static void group_put(struct vfio_group *group)
{
	if (!group->iommu && !group->opened)
		free(group);
}

/* Without devices the group has no name any more; who still holds its file gets ENODEV. */
void group_leave(struct vfio_group *group)
{
	struct vfio *vfio = group->vfio;

	assert(group->ndevices > 0);
	if (--group->ndevices)
		return;
	if (group->container)
		container_detach(group);
	group->iommu = NULL;
	list_remove(&group->link);
	if (vfio->listener && vfio->listener->group_removed)
		vfio->listener->group_removed(vfio->listener_context, group->id);
	group_put(group);
}

/* What SET_CONTAINER set. */
static bool has_iommu(const struct vfio_group *group)
{
	return group->container || group->context;
}

static void unset_iommu(struct vfio_group *group)
{
	if (group->container)
		container_detach(group);
	if (group->context)
		context_put(take(group->context));
}

void group_file_get(struct group_file *file)
{
	file->users++;
}

void group_file_put(struct group_file *file)
{
	struct vfio_group *group = file->group;

	assert(file->users > 0);
	if (--file->users)
		return;
	unset_iommu(group);
	group->opened = NULL;
	group_put(group);
	free(file);
}

static void group_release(struct file *file)
{
	struct group_file *opened = group_of_file(file);

	os_close(file->memfd);
	file->memfd = -1;
	opened->open = false;
	group_file_put(opened);
}

static int refuse_gone(const struct vfio_group *group, struct why *why)
{
	return refuse(why, GROUP_GONE, "group %d has no device bound to vfio-pci any more", group->id);
}

long group_get_status(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	const struct vfio_group *group = group_of_file(file)->group;
	struct vfio_group_status status = {.argsz = head->argsz};

	if (!group->iommu)
		return refuse_gone(group, why);
	if (has_iommu(group))
		status.flags = VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
	else if (iommu_group_may_claim(group->iommu, why) == 0)
		status.flags = VFIO_GROUP_FLAGS_VIABLE;
	/* Not viable is an answer, not an error; why stays filled as a remark. */
	return client_write(client, arg, &status, sizeof(status), why);
}

/* The context learns of the group now, but nothing is claimed before a device is opened. */
static int set_context(struct vfio_group *group, struct context *context, struct why *why)
{
	int err = group->kind == GROUP_NOIOMMU ? compat_set_no_iommu(context, why) : compat_ioas_ensure(context, why);

	if (err < 0)
		return err;
	context_get(context);
	group->context = context;
	return 0;
}

static int set_iommu(struct vfio_group *group, struct file *file, int fd, struct client *client, struct why *why)
{
	struct context *context = iommufd_context_of(file);

	if (file && file->ops == &container_file_ops)
		return container_attach(container_of_file(file), group, client, why);
	if (context)
		return set_context(group, context, why);
	return refuse(why, NOT_A_CONTAINER, "descriptor %d is a %s, neither container nor iommufd", fd,
		      file ? file->ops->kind : "file of the host");
}

static bool is_set(const struct vfio_group *group, const struct file *file)
{
	return (group->container && file == &group->container->file) ||
	       (group->context && file == &group->context->file);
}

long group_set_container(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			 struct why *why)
{
	struct vfio_group *group = group_of_file(file)->group;
	struct file *container;
	s32 fd;
	int err = client_read(client, arg, &fd, sizeof(fd), why);

	if (err < 0)
		return err;
	err = client->ops->find_file(client, fd, &container, why);
	if (err < 0)
		return err;
	if (has_iommu(group))
		return refuse(why, CONTAINER_ALREADY_SET, "group %d has %s %s set", group->id,
			      is_set(group, container) ? "this" : "another", group->context ? "iommufd" : "container");
	if (!group->iommu)
		return refuse_gone(group, why);
	return set_iommu(group, container, fd, client, why);
}

/*
 * Linux asks containers for their users alone. With an iommufd open devices stay bound and attached; they may also have
 * been opened with one that was set before the container, where no claim is in the way: without an IOMMU.
 */
static int decode_unset(const struct vfio_group *group, struct why *why)
{
	const struct vfio_device *device;

	if (!has_iommu(group))
		return refuse(why, NO_CONTAINER, "group %d has no container to unset", group->id);
	if (!group->container)
		return 0;
	list_for_each(device, &group->vfio->devices, link)
		if (device->group == group && device->opened && device->opened->held)
			return refuse(why, GROUP_DEVICES_OPEN, "%s of group %d is open", device->name, group->id);
	return 0;
}

long group_unset_container(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			   struct why *why)
{
	struct vfio_group *group = group_of_file(file)->group;
	int err = decode_unset(group, why);

	if (err < 0)
		return err;
	unset_iommu(group);
	return 0;
}

/* A program's text, fit to be quoted: short, and nothing a terminal or a format could mistake. */
#define QUOTE 64
static const char *quote(const char *from, char text[static QUOTE])
{
	size_t length = 0;

	for (; from[length] && length < QUOTE - 1; length++)
		text[length] = from[length] < ' ' || from[length] > '~' || from[length] == '%' ? '?' : from[length];
	text[length] = '\0';
	return text;
}

static const struct iommu_device *find_by_address(const struct iommu *iommu, struct pci_addr addr)
{
	const struct iommu_group *group;
	const struct iommu_device *device;

	list_for_each(group, &iommu->groups, link)
		list_for_each(device, &group->devices, group_link)
			if (device->function && pci_addr_equal(device->function->addr, addr))
				return device;
	return NULL;
}

/* No device of vfio-pci in this group has the name: says what it is then. */
static int refuse_name(const struct vfio_group *group, const char *name, struct why *why)
{
	const struct iommu_device *device;
	char quoted[QUOTE], full[PCI_ADDR_TEXT];
	struct pci_addr addr;

	if (!pci_addr_parse(name, &addr))
		return refuse(why, DEVICE_UNKNOWN, "\"%s\" is no device of group %d", quote(name, quoted), group->id);
	if (strcmp(pci_addr_print(addr, full), name) != 0)
		return refuse(why, DEVICE_UNKNOWN, "\"%s\" is no name of a device, %s would be", quote(name, quoted),
			      full);
	device = find_by_address(group->vfio->iommu, addr);
	if (!device)
		return refuse(why, DEVICE_UNKNOWN, "no IOMMU group has a device %s", full);
	if (device->group->id != group->id)
		return refuse(why, DEVICE_UNKNOWN, "%s is in group %d, not in group %d", full, device->group->id,
			      group->id);
	return refuse(why, DEVICE_NOT_VFIO, "%s is bound to %s, not vfio-pci", full,
		      device->driver ? device->driver : "no driver");
}

/* The options behind a name (spec 04 section 4.2): nothing but one vf_token=UUID, which must be well-formed. */
static int decode_options(const char *text, u8 token[static VF_TOKEN_SIZE], bool *ret_token, struct why *why)
{
	static const char option[] = "vf_token=";
	const char *at = text;
	char quoted[QUOTE];

	while (*at) {
		if (*at == ' ') {
			at++;
			continue;
		}
		if (*ret_token || strncmp(at, option, sizeof(option) - 1) != 0)
			return refuse(why, DEVICE_OPTION, "\"%s\" is no option, or given twice", quote(at, quoted));
		at += sizeof(option) - 1;
		if (!text_uuid(at, token))
			return refuse(why, DEVICE_OPTION, "the token in \"%s\" is no UUID", quote(text, quoted));
		at += UUID_LENGTH;
		*ret_token = true;
	}
	return 0;
}

/* vfio-pci's own matcher: a name, then perhaps blanks and options. */
static int find_device(const struct vfio_group *group, char *name, struct vfio_device **ret, struct why *why)
{
	const struct vfio *vfio = group->vfio;
	struct vfio_device *device;
	u8 token[VF_TOKEN_SIZE];
	bool given = false;
	int err;

	list_for_each(device, &vfio->devices, link) {
		size_t length = strlen(device->name);

		if (device->group != group || strncmp(name, device->name, length) != 0)
			continue;
		/* Only vfio-pci has a matcher of its own; the name of an emulated device is all there may be. */
		if (name[length] && (name[length] != ' ' || device->soft))
			continue;
		/* One that leaves is none of the group's any more: drivers/vfio/group.c:vfio_device_group_unregister().
		 */
		if (device->hidden)
			return refuse(why, DEVICE_LEAVING, "%s is being unbound from vfio-pci", device->name);
		err = decode_options(name + length, token, &given, why);
		if (err == 0)
			err = vf_token_match(device, given ? token : NULL, why);
		if (err < 0)
			return err;
		*ret = device;
		return 0;
	}
	if (group->kind != GROUP_EMULATED)
		name[strcspn(name, " ")] = '\0';
	return refuse_name(group, name, why);
}

/* With an iommufd a device without an IOMMU takes one that nobody expects translation of. */
static int decode_first_open(const struct vfio_device *device, struct client *client, struct why *why)
{
	const struct vfio_group *group = device->group;
	char text[CONTEXT_TEXT];
	int err;

	if (group->container && !container_has_backend(group->container))
		return refuse(why, NO_IOMMU_SET, "%s: the container of group %d has no IOMMU yet", device->name,
			      group->id);
	err = group_privileged(group, client, why);
	if (err < 0 || group->kind != GROUP_NOIOMMU || !group->context || !group->context->vfio_ioas)
		return err;
	return refuse(why, NO_IOMMU_TRANSLATED, "%s is behind no IOMMU, but %s has a compat IOAS", device->name,
		      context_describe(group->context, text));
}

static int decode_get_device_fd(const struct vfio_group *group, struct client *client, u64 arg,
				struct vfio_device **ret, struct why *why)
{
	char name[NAME_SIZE];
	int err = client_read_string(client, arg, name, sizeof(name), why);

	if (err < 0)
		return err;
	err = find_device(group, name, ret, why);
	if (err < 0)
		return err;
	if (!has_iommu(group))
		return refuse(why, NO_CONTAINER, "%s: group %d has no container yet", (*ret)->name, group->id);
	return (*ret)->opened ? 0 : decode_first_open(*ret, client, why);
}

long group_get_device_fd(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			 struct why *why)
{
	struct vfio_device *device;
	char who[CLIENT_DESCRIPTION];
	long fd = decode_get_device_fd(group_of_file(file)->group, client, arg, &device, why);

	if (fd == 0)
		fd = vfio_device_open_by_group(device, client, why);
	if (fd >= 0 && vfio_device_untranslated(device))
		refuse(why, NO_IOMMU_TAINT, "%s, behind no IOMMU, is opened by %s", device->name,
		       client_describe(client, who));
	return fd;
}

static long group_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	return vfio_ioctl_dispatch(VFIO_KIND_GROUP, file, client, cmd, arg, why);
}

const struct file_ops group_file_ops = {
	.kind = "group",
	.ioctl = group_ioctl,
	.release = group_release,
};

/* One of the group's devices that is open, through the group or not; NULL: none. */
static const struct vfio_device *open_device(const struct vfio_group *group, bool by_group)
{
	const struct vfio_device *device;

	list_for_each(device, &group->vfio->devices, link)
		if (device->group == group && device->opened && device->opened->by_group == by_group)
			return device;
	return NULL;
}

static int decode_open(const struct vfio *vfio, int id, bool noiommu, struct client *client, struct vfio_group **ret,
		       struct why *why)
{
	struct vfio_group *group = group_find(vfio, id);
	const struct vfio_device *device;
	char path[GROUP_PATH];
	int err;

	if (!group || (group->kind == GROUP_NOIOMMU) != noiommu)
		return refuse(why, GROUP_GONE, "group %d has no device bound to vfio-pci%s", id,
			      noiommu ? " without an IOMMU" : "");
	err = group_privileged(group, client, why);
	if (err < 0)
		return err;
	group_path(group, path);
	device = open_device(group, false);
	if (device)
		return refuse(why, GROUP_BUSY, "%s of group %d is bound to an iommufd in %s", device->name, id,
			      device->opened->opener);
	*ret = group;
	if (!group->opened)
		return 0;
	if (group->opened->open)
		return refuse(why, GROUP_BUSY, "%s is open in %s", path, group->opened->opener);
	return refuse(why, GROUP_BUSY, "%s was opened by %s, and its %s is still open or mapped", path,
		      group->opened->opener, open_device(group, true)->name);
}

int vfio_group_open(struct vfio *vfio, int group_id, bool noiommu, struct client *client, struct file **ret,
		    struct why *why)
{
	struct vfio_group *group = NULL;
	struct group_file *opened;
	char path[GROUP_PATH];
	int err = decode_open(vfio, group_id, noiommu, client, &group, why);

	if (err < 0)
		return err;
	opened = alloc_new(struct group_file, why);
	if (!opened)
		return -why->err;
	file_init(&opened->file, &group_file_ops, group_path(group, path), MODE_CHARACTER_0600,
		  (u64)VFIO_MAJOR << 8 | group->minor);
	opened->group = group;
	opened->users = 1;
	opened->open = true;
	client_describe(client, opened->opener);
	group->opened = opened;
	*ret = &opened->file;
	return 0;
}

static void check_file(const struct vfio_group *group, unsigned holders)
{
	const struct group_file *opened = group->opened;

	if (!opened) {
		assert(!has_iommu(group) && !holders);
		return;
	}
	assert(opened->group == group);
	assert(opened->users == holders + opened->open);
	assert(!open_device(group, false));
}

void group_check(const struct vfio_group *group)
{
	const struct vfio_device *device;
	unsigned bound = 0, holders = 0;

	assert(group->iommu && group->iommu->id == group->id);
	list_for_each(device, &group->vfio->devices, link) {
		if (device->group != group)
			continue;
		bound++;
		holders += device->opened && device->opened->held;
	}
	assert(bound == group->ndevices && bound > 0);
	check_file(group, holders);
	assert(!group->container || !group->context);
	assert(group->container || holders == 0);
	assert((group->iommu->owner == &group->owner) == (group->container && group->kind == GROUP_REAL));
	assert(group->kind == GROUP_REAL || bound == 1);
	if (group->container)
		container_check(group->container);
}
