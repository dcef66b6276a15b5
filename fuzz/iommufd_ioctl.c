/* SPDX-License-Identifier: MIT */
/* Requests to /dev/iommu and character devices from a stream of bytes; all invariants are checked after each. */
#include "tests/fixtures/iommufd_monkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iommufd_monkey monkey;

	iommufd_monkey_init(&monkey, data, size);
	while (iommufd_monkey_step(&monkey))
		;
	iommufd_monkey_fini(&monkey);
	return 0;
}
