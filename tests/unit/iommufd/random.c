/* SPDX-License-Identifier: MIT */
/*
 * Random requests to /dev/iommu, with every invariant checked as it goes; ISOLDE_REQUESTS says how many, ISOLDE_SEED
 * where to begin. The seed of each life is printed.
 */
#include "tests/fixtures/iommufd_monkey.h"

#define REQUESTS     20000
#define LIFE	     4000 /* requests; then all is closed, and another room begins */
#define MANY	     1000000
#define BYTES_A_STEP 64

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static u64 setting(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Bytes as they are needed: a life is as long as its requests. */
static unsigned live(u64 seed, unsigned wanted, bool quick, unsigned *refused)
{
	size_t size = wanted * (size_t)BYTES_A_STEP * 4;
	u8 *bytes = malloc(size);
	struct iommufd_monkey monkey;
	unsigned requests;
	u64 state = seed;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (u8)(next_random(&state) >> 32);
	iommufd_monkey_init(&monkey, bytes, size);
	monkey.quick = quick;
	while (monkey.requests < wanted && iommufd_monkey_step(&monkey))
		;
	requests = monkey.requests;
	*refused += monkey.refused;
	iommufd_monkey_fini(&monkey);
	free(bytes);
	return requests;
}

TEST(random, requests_to_an_iommufd_never_break_an_invariant)
{
	u64 wanted = setting("ISOLDE_REQUESTS", REQUESTS), seed = setting("ISOLDE_SEED", 1), done = 0;
	unsigned refused = 0;

	for (; done < wanted; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		done += live(seed, LIFE, wanted >= MANY, &refused);
	}
	print_message("%llu requests, %u refused\n", (unsigned long long)done, refused);
	/* Both ways are walked. */
	assert_in_range(refused, done / 10, done - done / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(random, requests_to_an_iommufd_never_break_an_invariant)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
