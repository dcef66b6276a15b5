/* SPDX-License-Identifier: MIT */
/* What a program does with a whole machine, from a stream of bytes; all invariants are checked after each step. */
#include "tests/fixtures/machine_monkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine_monkey monkey;

	machine_monkey_init(&monkey, data, size);
	while (machine_monkey_step(&monkey))
		;
	machine_monkey_fini(&monkey);
	return 0;
}
