/* SPDX-License-Identifier: MIT */
/* The size rules, for every request of the table, and the order in which they are looked at (spec 03 section 1.1). */
#include "iommufd/ioctl.h"

#include <sys/mman.h>

#include "tests/fixtures/iommufd_room.h"

/* A structure of that size in front of memory that is not there. */
static u8 *at_the_brink(size_t size)
{
	u8 *pages = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	return pages + PAGE_SIZE - size;
}

static void off_the_brink(u8 *structure)
{
	munmap((void *)align_down((uintptr_t)structure, PAGE_SIZE), PAGE_SIZE);
}

static void set_size(u8 *structure, u32 size)
{
	memcpy(structure, &size, sizeof(size));
}

IOMMUFD_TEST(ioctl, a_structure_without_its_first_fields_is_refused)
{
	for (unsigned i = 0; i < iommufd_nioctls; i++) {
		const struct iommufd_ioctl *row = &iommufd_ioctls[i];
		u8 structure[128] = {};

		set_size(structure, row->min - 1);
		EXPECT_DENIED(SIZE_SHORT, row->cmd, structure);
		EXPECT_SUBSTR(row->name, self->why.text);
		set_size(structure, 0);
		EXPECT_DENIED(SIZE_SHORT, row->cmd, structure);
	}
}

IOMMUFD_TEST(ioctl, what_this_kernel_does_not_know_must_be_zero)
{
	for (unsigned i = 0; i < iommufd_nioctls; i++) {
		const struct iommufd_ioctl *row = &iommufd_ioctls[i];
		u8 structure[128] = {};

		set_size(structure, row->size + 1);
		structure[row->size] = 1;
		EXPECT_DENIED(FIELD_UNKNOWN, row->cmd, structure);
		structure[row->size] = 0;
		iommufd_ask(self, row->cmd, structure);
		assert_int_not_equal(self->why.code, WHY_FIELD_UNKNOWN);
		assert_int_not_equal(self->why.code, WHY_SIZE_SHORT);
		/* The first byte that counts may be far away. */
		u8 *large = calloc(1, 10000);

		set_size(large, 10000);
		large[9999] = 1;
		EXPECT_DENIED(FIELD_UNKNOWN, row->cmd, large);
		free(large);
	}
}

IOMMUFD_TEST(ioctl, memory_that_is_not_there_is_a_fault)
{
	for (unsigned i = 0; i < iommufd_nioctls; i++) {
		const struct iommufd_ioctl *row = &iommufd_ioctls[i];
		u8 *structure = at_the_brink(row->min);

		EXPECT_DENIED(CLIENT_FAULT, row->cmd, NULL);
		/* Size says more than there is. */
		set_size(structure, row->min + 1);
		EXPECT_DENIED(CLIENT_FAULT, row->cmd, structure);
		/* Too short comes first. */
		set_size(structure, row->min - 1);
		EXPECT_DENIED(SIZE_SHORT, row->cmd, structure);
		off_the_brink(structure);
	}
}

IOMMUFD_TEST(ioctl, a_number_must_be_whole)
{
	struct iommu_destroy cmd = {sizeof(cmd), 1};

	EXPECT_DENIED(IOCTL_UNKNOWN, IOMMU_DESTROY | 1u << 30, &cmd);
	EXPECT_DENIED(IOCTL_UNKNOWN, 0x3b7f, &cmd);
	/* Behind the table VFIO's numbers are looked at, so the argument is not. */
	EXPECT_DENIED(IOCTL_UNKNOWN, 0x3b95, NULL);
	EXPECT_DENIED(IOCTL_UNKNOWN, 0x3ba0, NULL);
	/* In the table the size is read first. */
	EXPECT_DENIED(CLIENT_FAULT, IOMMU_DESTROY | 1u << 30, NULL);
}

IOMMUFD_TEST(ioctl, requests_have_names)
{
	for (unsigned i = 0; i < iommufd_nioctls; i++)
		assert_string_equal(iommufd_ioctl_name(self->file, iommufd_ioctls[i].cmd), iommufd_ioctls[i].name);
	assert_string_equal(iommufd_ioctl_name(self->file, 0x3ba0), "IOMMU_TEST_CMD");
	assert_null(iommufd_ioctl_name(self->file, 1));
}

/* ---- OPTION, RLIMIT_MODE ---- */

static struct iommu_option mode(u16 op, u64 value)
{
	return (struct iommu_option){
		.size = sizeof(struct iommu_option),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = op,
		.val64 = value,
	};
}

/* The process as it is: root of this host, or of a sandbox that keeps the capability from it. */
static bool may_set(void)
{
	struct client *client = self_client_new(getpid());
	bool may = client_capable(client, 24);

	client_put(client);
	return may;
}

IOMMUFD_TEST(option, the_limits_mode_is_set_by_whoever_may)
{
	struct iommu_option set = mode(IOMMU_OPTION_OP_SET, 1), get = mode(IOMMU_OPTION_OP_GET, 7);
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

	ASSERT_ASKED(IOMMU_OPTION, &get);
	assert_int_equal(get.val64, 0);
	if (!may_set()) {
		EXPECT_DENIED(OPTION_PRIVILEGE, IOMMU_OPTION, &set);
		return;
	}
	ASSERT_ASKED(IOMMU_OPTION, &set);
	ASSERT_ASKED(IOMMU_OPTION, &get);
	assert_int_equal(get.val64, 1);
	set.val64 = 2;
	EXPECT_DENIED(OPTION_VALUE, IOMMU_OPTION, &set);
	ASSERT_ASKED(IOMMU_IOAS_ALLOC, &ioas);
	EXPECT_DENIED(OPTION_LATE, IOMMU_OPTION, &set);
	EXPECT_SUBSTR("1 objects", self->why.text);
}

IOMMUFD_TEST(option, what_is_asked_is_looked_at_in_order)
{
	struct iommu_option option = mode(2, 0);

	EXPECT_DENIED(IOMMU_OPTION_UNKNOWN, IOMMU_OPTION, &option);
	option.object_id = 1;
	EXPECT_DENIED(OPTION_OBJECT, IOMMU_OPTION, &option);
	option.option_id = 77;
	EXPECT_DENIED(IOMMU_OPTION_UNKNOWN, IOMMU_OPTION, &option);
	option.__reserved = 1;
	EXPECT_DENIED(RESERVED_SET, IOMMU_OPTION, &option);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ioctl, a_structure_without_its_first_fields_is_refused),
		CASE(ioctl, what_this_kernel_does_not_know_must_be_zero),
		CASE(ioctl, memory_that_is_not_there_is_a_fault),
		CASE(ioctl, a_number_must_be_whole),
		CASE(ioctl, requests_have_names),
		CASE(option, the_limits_mode_is_set_by_whoever_may),
		CASE(option, what_is_asked_is_looked_at_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
