/* SPDX-License-Identifier: MIT */
/* Thousands of random steps on a whole machine; every invariant is checked after each. The seed is fixed and printed.
 */
#include "tests/fixtures/machine_monkey.h"

#define STEPS 2000
#define SEEDS 3

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Returns how many registers were reached. */
static unsigned run(u64 seed)
{
	size_t size = STEPS * 200ul;
	u8 *bytes = malloc(size);
	struct machine_monkey monkey;
	u64 state = seed;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (u8)next_random(&state);
	machine_monkey_init(&monkey, bytes, size);
	for (unsigned i = 0; i < STEPS; i++)
		assert_true(machine_monkey_step(&monkey));
	print_message("seed %llu: %u requests, %u refused; %u accesses to registers, %u faults\n",
		      (unsigned long long)seed, monkey.requests, monkey.refused, monkey.loads, monkey.faults);
	/* Both ways are walked. */
	assert_in_range(monkey.refused, monkey.requests / 10, monkey.requests - monkey.requests / 20);
	assert_true(monkey.failed > 0);
	machine_monkey_fini(&monkey);
	free(bytes);
	return monkey.loads - monkey.faults;
}

TEST(random, steps_never_break_an_invariant)
{
	const char *first = getenv("ISOLDE_SEED"), *rounds = getenv("ISOLDE_ROUNDS");
	u64 seed = first ? strtoull(first, NULL, 10) : 1;
	unsigned reached = 0;

	for (unsigned left = rounds ? (unsigned)atoi(rounds) : 3; left; left--)
		reached += run(seed++);
	assert_true(reached > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(random, steps_never_break_an_invariant)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
