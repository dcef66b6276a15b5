/* SPDX-License-Identifier: MIT */
/* Ten thousand random requests and more; every invariant is checked after each. The seed is fixed and printed. */
#include "tests/fixtures/vfio_monkey.h"

#define REQUESTS 10000
#define SEEDS	 5

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void run(u64 seed, unsigned wanted)
{
	size_t size = wanted * 200ul;
	u8 *bytes = malloc(size);
	struct monkey monkey;
	u64 state = seed;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (u8)next_random(&state);
	monkey_init(&monkey, bytes, size);
	while (monkey.requests < wanted)
		assert_true(monkey_step(&monkey));
	print_message("seed %llu: %u requests, %u refused\n", (unsigned long long)seed, monkey.requests,
		      monkey.refused);
	/* Both ways are walked. */
	assert_in_range(monkey.refused, monkey.requests / 10, monkey.requests - monkey.requests / 20);
	assert_true(monkey.failed > 0);
	monkey_fini(&monkey);
	free(bytes);
}

TEST(random, requests_never_break_an_invariant)
{
	for (u64 seed = 1; seed <= SEEDS; seed++)
		run(seed, REQUESTS / SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(random, requests_never_break_an_invariant)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
