/* SPDX-License-Identifier: MIT */
/* Devices enter a context and leave it: spec 03 section 5, 06 section 3. */
#include "tests/fixtures/assign_room.h"

static long bind(struct assign_room *self, unsigned index)
{
	struct iommufd_device *device = NULL;
	int err = iommufd_device_bind(self->context, self->core[index], &device, &self->why);

	if (err < 0) {
		assert_null(device);
		return err;
	}
	self->device[index] = device;
	return device->object.id;
}

ASSIGN_TEST(device, binding_claims_its_group_for_the_context_once_for_each_device)
{
	char text[OWNER_TEXT];

	assert_int_equal(bind(self, 0), 1);
	assert_int_equal(bind(self, 1), 2);
	assert_ptr_equal(self->group->owner, &self->context->owner);
	assert_int_equal(self->group->owner_count, 2);
	EXPECT_SUBSTR("/dev/iommu of ", iommu_describe_owner(self->group, text));
	assert_true(context_has_group(self->context, self->group));
	assert_false(context_has_group(self->context, self->single));
	assert_ptr_equal(context_device(self->context, self->core[1]), self->device[1]);
	assert_null(context_device(self->context, self->core[2]));
	assign_unbind(self, 0);
	assert_int_equal(self->group->owner_count, 1);
	/* The other one's id stays, and the first is free again. */
	assert_int_equal(bind(self, 2), 1);
	assign_unbind(self, 1);
	assign_unbind(self, 2);
	assert_null(self->group->owner);
	assert_ptr_equal(self->group->domain, self->group->default_domain);
}

ASSIGN_TEST(device, bind_refuses_in_linuxs_order)
{
	ASSERT_YES(iommu_use_default_domain(self->core[1], "nvme", &self->why));
	self->core[1]->driver = "nvme";
	toy.incoherent = toy.shares_msi = true;
	EXPECT_NO(DEVICE_NOT_COHERENT, bind(self, 0));
	EXPECT_SUBSTR("dmar0 does not keep memory coherent for 0000:02:00.0", self->why.text);
	toy.incoherent = false;
	EXPECT_NO(MSI_NOT_ISOLATED, bind(self, 0));
	EXPECT_SUBSTR("0000:02:00.0 of group 0", self->why.text);
	toy.shares_msi = false;
	EXPECT_NO(GROUP_NOT_VIABLE, bind(self, 0));
	EXPECT_SUBSTR("0000:02:00.1", self->why.text);
	iommu_unuse_default_domain(self->core[1]);
	assert_int_equal(bind(self, 0), 1);
}

ASSIGN_TEST(device, unsafe_interrupts_are_an_option_and_a_mock_is_not_asked)
{
	toy.shares_msi = true;
	self->base->iommufd.unsafe_interrupts = true;
	assert_int_equal(bind(self, 0), 1);
	self->base->iommufd.unsafe_interrupts = false;
	EXPECT_NO(MSI_NOT_ISOLATED, bind(self, 3));
	toy.user.mock = true;
	assert_int_equal(bind(self, 3), 2);
	assert_true(self->device[0]->keeps_context);
	assert_false(self->device[3]->keeps_context);
}

ASSIGN_TEST(device, one_behind_no_iommu_promises_nothing)
{
	struct iommufd_device *device;
	struct iommu_device *mdev = NULL;

	ASSERT_YES(iommu_emulated_add(&self->base->room.iommu, "mdev-7", NULL, &mdev, &self->why));
	EXPECT_NO(DEVICE_NOT_COHERENT, iommufd_device_bind(self->context, mdev, &device, &self->why));
	EXPECT_SUBSTR("mdev-7", self->why.text);
}

ASSIGN_TEST(device, two_contexts_cannot_have_devices_of_one_group)
{
	struct iommufd_device *device = NULL;
	struct file *file = NULL;

	ASSERT_YES(iommufd_context_open(&self->base->iommufd, self->client, &file, &self->why));
	assert_int_equal(bind(self, 0), 1);
	EXPECT_NO(GROUP_CLAIMED, iommufd_device_bind(iommufd_context_of(file), self->core[1], &device, &self->why));
	EXPECT_SUBSTR("/dev/iommu of ", self->why.text);
	ASSERT_YES(iommufd_device_bind(iommufd_context_of(file), self->core[3], &device, &self->why));
	assert_int_equal(device->object.id, 1);
	iommufd_device_unbind(device);
	file->ops->release(file);
}

ASSIGN_TEST(device, is_kept_by_its_driver_and_keeps_the_context)
{
	assert_int_equal(bind(self, 0), 1);
	EXPECT_NO(OBJECT_KEPT, assign_destroy(self, 1));
	EXPECT_SUBSTR("DEVICE 1 (0000:02:00.0)", self->why.text);
	self->base->file->ops->release(self->base->file);
	self->base->file = NULL;
	assert_int_equal(list_length(&self->base->iommufd.contexts), 1);
	iommufd_check(&self->base->iommufd);
	assign_unbind(self, 0);
	assert_true(list_empty(&self->base->iommufd.contexts));
	assert_null(self->group->owner);
}

ASSIGN_TEST(device, a_plain_driver_gives_plain_devices)
{
	const struct iommu_driver plain = {.name = "intel-iommu"};

	self->other_unit->driver = &plain;
	self->far->default_domain->driver = &plain;
	assert_int_equal(bind(self, 4), 1);
	assert_false(self->device[4]->enforces_coherency);
	assert_true(self->device[4]->keeps_context);
	assign_unbind(self, 4);
	self->far->default_domain->driver = self->other_unit->driver = &toy.driver;
}

/* What is sought may be the owner's text, nothing of which may leak. */
static int bind_all(struct why *why)
{
	struct assign_room *self = assign_current;
	int err = 0;

	for (unsigned i = 0; err == 0 && i < 5; i++)
		err = iommufd_device_bind(self->context, self->core[i], &self->device[i], why);
	iommufd_check(&self->base->iommufd);
	for (unsigned i = 0; i < 5; i++)
		assign_unbind(self, i);
	assert_false(context_has_objects(self->context));
	assert_null(self->group->owner);
	assert_int_equal(self->context->files, 1);
	return err;
}

ASSIGN_TEST(device, every_step_of_bind_may_fail)
{
	SWEEP_FAILURES(bind_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(device, binding_claims_its_group_for_the_context_once_for_each_device),
		CASE(device, bind_refuses_in_linuxs_order),
		CASE(device, unsafe_interrupts_are_an_option_and_a_mock_is_not_asked),
		CASE(device, one_behind_no_iommu_promises_nothing),
		CASE(device, two_contexts_cannot_have_devices_of_one_group),
		CASE(device, is_kept_by_its_driver_and_keeps_the_context),
		CASE(device, a_plain_driver_gives_plain_devices),
		CASE(device, every_step_of_bind_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
