/* SPDX-License-Identifier: MIT */
/*
 * "stdev": a mock device as an object of a context, bound and attached from its first moment to its last. IOMMU_DESTROY
 * of it is what unplugging is to a real one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "selftest/mock.h"
#include "selftest/ops.h"

struct stdev {
	struct object object;	       /* first */
	struct mock_device *mock;      /* owned */
	struct iommufd_device *device; /* owned: its bind; NULL until then */
};

static struct stdev *stdev_of(struct object *object)
{
	return container_of(object, struct stdev, object);
}

/* PASIDs that a program has forgotten, too; Linux warns, and leaves them. */
static void detach_all(struct iommufd_device *device)
{
	struct device_attachment *attachment;

	while ((attachment = list_first(&device->attached, struct device_attachment, link)))
		iommufd_device_detach(device, attachment->pasid);
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_selftest_destroy() */
static void stdev_free(struct object *object)
{
	struct stdev *stdev = stdev_of(object);

	if (stdev->device) {
		detach_all(stdev->device);
		iommufd_device_unbind(stdev->device);
	}
	mock_device_free(stdev->mock);
	object_fini(object);
	free(stdev);
}

static void stdev_describe(const struct object *object, char *text, size_t size)
{
	const struct stdev *stdev = container_of(object, struct stdev, object);

	if (stdev->mock)
		snprintf(text, size, " (%s)", stdev->mock->core->name);
}

static const struct object_class stdev_class = {
	.name = "mock device",
	.free = stdev_free,
	.describe = stdev_describe,
};

/* Its id first: the three new ones are, in order, stdev, device and HWPT. */
static int stdev_new(struct selftest *selftest, struct context *context, u32 flags, struct stdev **ret, struct why *why)
{
	struct stdev *stdev = alloc_new(struct stdev, why);
	int err;

	if (!stdev)
		return -why->err;
	err = object_init(&stdev->object, &stdev_class, context, why);
	if (err < 0) {
		free(stdev);
		return err;
	}
	err = mock_device_new(selftest, flags, &stdev->mock, why);
	if (err == 0)
		err = iommufd_device_bind(context, stdev->mock->core, &stdev->device, why);
	if (err < 0) {
		stdev_free(&stdev->object);
		return err;
	}
	*ret = stdev;
	return 0;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_mock_domain() */
static long make(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command, u32 flags,
		 struct why *why)
{
	u32 pt_id = command->id;
	struct stdev *stdev;
	int err = stdev_new(selftest, request->context, flags, &stdev, why);

	if (err < 0)
		return err;
	err = iommufd_device_attach(stdev->device, 0, &pt_id, why);
	if (err == 0) {
		command->mock_domain.out_stdev_id = stdev->object.id;
		command->mock_domain.out_hwpt_id = pt_id;
		command->mock_domain.out_idev_id = stdev->device->object.id;
		err = request_answer(request, why);
	}
	if (err < 0) {
		stdev_free(&stdev->object);
		return err;
	}
	object_publish(&stdev->object);
	return 0;
}

long test_mock_domain(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		      struct why *why)
{
	return make(selftest, request, command, 0, why);
}

long test_mock_domain_flags(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			    struct why *why)
{
	return make(selftest, request, command, command->mock_domain_flags.dev_flags, why);
}

static int find_stdev(struct request *request, u32 id, struct stdev **ret, struct why *why)
{
	struct object *object;
	int err = object_find(request->context, id, &stdev_class, &object, why);

	if (err == 0)
		*ret = stdev_of(object);
	return err;
}

/* An answer that nobody can read undoes nothing, here and with PASIDs: the old domain may be gone. */
long test_mock_domain_replace(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			      struct why *why)
{
	struct stdev *stdev;
	int err = find_stdev(request, command->id, &stdev, why);

	if (err == 0)
		err = iommufd_device_replace(stdev->device, 0, &command->mock_domain_replace.pt_id, why);
	return err < 0 ? err : request_answer(request, why);
}

/* ---- PASIDs ---- */

long test_pasid_attach(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		       struct why *why)
{
	u32 pasid = command->pasid_attach.pasid;
	struct stdev *stdev;
	int err = find_stdev(request, command->id, &stdev, why);

	if (err == 0)
		err = iommufd_device_attach(stdev->device, pasid, &command->pasid_attach.pt_id, why);
	if (err < 0)
		return err;
	err = request_answer(request, why);
	if (err < 0)
		iommufd_device_detach(stdev->device, pasid);
	return err;
}

long test_pasid_replace(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			struct why *why)
{
	struct stdev *stdev;
	int err = find_stdev(request, command->id, &stdev, why);

	if (err == 0)
		err = iommufd_device_replace(stdev->device, command->pasid_replace.pasid, &command->pasid_replace.pt_id,
					     why);
	return err < 0 ? err : request_answer(request, why);
}

long test_pasid_detach(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		       struct why *why)
{
	struct stdev *stdev;
	int err = find_stdev(request, command->id, &stdev, why);

	if (err == 0)
		iommufd_device_detach(stdev->device, command->pasid_detach.pasid);
	return err;
}

/* What the core has it attached to, not what iommufd remembers; NULL: nothing. */
static const struct domain *attached_domain(const struct stdev *stdev, u32 pasid)
{
	struct attach_handle *handle;
	struct why ignored;

	return iommu_find_handle(stdev->mock->core->group, pasid, DOMAIN_ANY, &handle, &ignored) < 0 ? NULL
												     : handle->domain;
}

static int refuse_pasid(const struct stdev *stdev, u32 pasid, const struct domain *attached, const char *expected,
			struct why *why)
{
	char text[DOMAIN_TEXT] = "nothing";

	if (attached)
		domain_describe(attached, text);
	return refuse(why, MOCK_PASID_DIFFERS, "PASID %u of %s is attached to %s, not to %s", pasid,
		      stdev->mock->core->name, text, expected);
}

static int find_hwpt(struct request *request, u32 id, struct hwpt **ret, struct why *why)
{
	struct object *object;
	char text[OBJECT_TEXT];
	int err = object_find(request->context, id, NULL, &object, why);

	if (err < 0)
		return err;
	if (!object_is_hwpt(object))
		return refuse(why, PT_KIND, "%s is no HWPT", object_describe(object, text));
	*ret = hwpt_of(object);
	return 0;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_pasid_check_hwpt() */
long test_pasid_check_hwpt(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			   struct why *why)
{
	u32 pasid = command->pasid_check.pasid, hwpt_id = command->pasid_check.hwpt_id;
	const struct domain *attached;
	char text[OBJECT_TEXT];
	struct stdev *stdev;
	struct hwpt *hwpt;
	int err = find_stdev(request, command->id, &stdev, why);

	if (err < 0)
		return err;
	attached = attached_domain(stdev, pasid);
	if (!hwpt_id)
		return attached ? refuse_pasid(stdev, pasid, attached, "nothing", why) : 0;
	err = find_hwpt(request, hwpt_id, &hwpt, why);
	if (err < 0 || hwpt->domain == attached)
		return err;
	return refuse_pasid(stdev, pasid, attached, object_describe(&hwpt->object, text), why);
}
