/* SPDX-License-Identifier: MIT */
/* Requests from a stream of bytes against a whole room; all invariants are checked after each. */
#include "tests/fixtures/vfio_monkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct monkey monkey;

	monkey_init(&monkey, data, size);
	while (monkey_step(&monkey))
		;
	monkey_fini(&monkey);
	return 0;
}
