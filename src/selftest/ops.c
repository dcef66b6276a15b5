/* SPDX-License-Identifier: MIT */
#include "selftest/ops.h"

#include "selftest/mock.h"

struct op {
	const char *name;
	test_op *perform;
};

static const struct op *find_op(unsigned number)
{
#define OP(name, word) [IOMMU_TEST_OP_##name] = {#name, test_##word},
	static const struct op ops[] = {TEST_OPS(OP)};
#undef OP

	return number < ARRAY_SIZE(ops) && ops[number].perform ? &ops[number] : NULL;
}

const char *test_op_name(unsigned number)
{
	const struct op *op = find_op(number);

	return op ? op->name : NULL;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test() */
static long perform(struct request *request, struct why *why)
{
	struct iommu_test_cmd *command = (struct iommu_test_cmd *)(void *)request->command;
	const struct op *op;
	int err;

	request->size = sizeof(*command);
	err = request_take(request, THROUGH(struct iommu_test_cmd, last), why);
	if (err < 0)
		return err;
	op = find_op(command->op);
	if (!op)
		return refuse(why, TEST_OP_UNKNOWN, "IOMMU_TEST_CMD has no operation %u", command->op);
	request->name = op->name;
	return op->perform(request->context->iommufd->test_context, request, command, why);
}

/* The name that Linux gives the instance in /sys/class/iommu. */
#define UNIT_NAME "iommufd_selftest_iommu"

int selftest_init(struct selftest *selftest, struct iommufd *iommufd, struct why *why)
{
	const struct iommu_unit unit = {
		.name = UNIT_NAME,
		.driver = &mock_driver,
		.format = ISOLDE_PT_AMDV1,
		.width = 56,
		.max_pasids = BIT(MOCK_PASID_WIDTH),
	};
	int err;

	_Static_assert(sizeof(struct iommu_test_cmd) <= sizeof(union command), "it fits where requests are read");
	*selftest = (struct selftest){.memory_limit = 65536};
	err = iommu_unit_add(iommufd->iommu, &unit, &selftest->unit, why);
	if (err < 0)
		return err;
	selftest->iommufd = iommufd;
	iommufd->test = perform;
	iommufd->test_context = selftest;
	iommufd->test_iova = test_iova;
	return 0;
}

void selftest_fini(struct selftest *selftest)
{
	if (!selftest->iommufd)
		return;
	selftest->iommufd->test = NULL;
	selftest->iommufd->test_iova = NULL;
	idmap_fini(&selftest->numbers);
	*selftest = (struct selftest){.iommufd = NULL};
}
