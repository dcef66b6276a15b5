/* SPDX-License-Identifier: MIT */
/*
 * Random lives (tests/fixtures/core_life.h): ISOLDE_ROUNDS of them, of 500 actions each, from seed ISOLDE_SEED on. They
 * are lived in a child process, so that an assertion of the core is a failure like others: its life is made as short as
 * it can be, printed, and can be lived again.
 */
#include "tests/fixtures/core_life.h"
#include "tests/fixtures/core_rig.h"
#include "tests/helpers.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { LENGTH = 500, LIVES = 60, ACTION_TEXT = 192 };

/* What the child has done so far; shared with it. */
struct report {
	u64 seed; /* of the life it is in */
	struct life_result result;
};

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1d >> 24;
}

static u8 one_of(u64 *state, unsigned count)
{
	return (u8)(next_random(state) % count);
}

static u8 few_devices(u64 *state)
{
	return one_of(state, 8) ? 0 : one_of(state, 1 << MODEL_DEVICES);
}

static struct action random_action(u64 *state)
{
	struct action action = {
		.kind = one_of(state, 3) ? ACTION_CALL : one_of(state, ACTION_KINDS),
		.value = one_of(state, 256),
		.fail = one_of(state, 3) ? 0 : one_of(state, 5),
		.dma_device = one_of(state, LIFE_DEVICES),
		.dma_pasid = one_of(state, MODEL_PASIDS),
		.op = {.kind = one_of(state, MODEL_KINDS),
		       .device = one_of(state, LIFE_DEVICES),
		       .owner = one_of(state, 3),
		       .domain = MODEL_USER + one_of(state, LIFE_DOMAINS),
		       .pasid = one_of(state, MODEL_PASIDS),
		       .handle = one_of(state, 2),
		       .refuse = few_devices(state),
		       .stick = few_devices(state)},
	};

	/* What takes away comes too often for anything to grow. */
	if (one_of(state, 2) && (action.op.kind == MODEL_DETACH_GROUP || action.op.kind == MODEL_RELEASE_GROUP ||
				 action.op.kind == MODEL_DETACH_PASID || action.op.kind == MODEL_DETACH))
		action.op.kind = MODEL_ATTACH_GROUP;
	/* PASID 0 is the whole point of some calls, and none of others'. */
	if (action.op.kind != MODEL_ATTACH_PASID && action.op.kind < MODEL_ATTACH &&
	    action.op.kind != MODEL_REPLACE_PASID && action.op.kind != MODEL_DETACH_PASID)
		action.op.pasid = 0;
	/* A PASID that does not come back after a reset is not in the model. */
	if (action.op.kind == MODEL_DONE)
		action.op.refuse = 0;
	return action;
}

static void generate(u64 seed, struct action *actions, unsigned count)
{
	u64 state = seed * 0x9e3779b97f4a7c15 + 1;

	for (unsigned i = 0; i < count; i++)
		actions[i] = random_action(&state);
}

static const char *describe(const struct action *action, char text[static ACTION_TEXT])
{
	static const char *const names[ACTION_KINDS] = {
		"",	     "map",	     "unmap",	     "flush",	 "pages_on",
		"pages_off", "ask_page",     "answer_pages", "sva_bind", "sva_unbind",
		"type",	     "alias_attach", "alias_detach",
	};
	char op[OP_TEXT];
	const char *call = op_describe(&action->op, op);

	if (action->kind != ACTION_CALL)
		call = strstr(call, " device");
	snprintf(text, ACTION_TEXT, "%s%s value %u fail %u, then DMA of device %u with PASID %u", names[action->kind],
		 call, action->value, action->fail, action->dma_device, action->dma_pasid);
	return text;
}

static unsigned long long from_environment(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static struct report *report_new(void)
{
	struct report *report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(report, MAP_FAILED);
	return report;
}

/* True when the child found nothing. */
static bool wait_for(pid_t child)
{
	int status;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool lives_well(u64 seed, const struct action *actions, unsigned count, bool quiet)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		struct life_result result = {.done = 0};

		if (quiet)
			die_quietly();
		alarm(300);
		life_run(seed, actions, count, &result);
		if (result.problem[0] && !quiet)
			fprintf(stderr, "%s\n", result.problem);
		_exit(result.problem[0] != '\0');
	}
	return wait_for(child);
}

/* Leaves out whatever is not needed to fail, in halves, quarters, ... */
static unsigned shrink(u64 seed, struct action *actions, unsigned count)
{
	struct action *shorter = calloc(count, sizeof(*shorter));

	for (unsigned part = (count + 1) / 2; part > 0; part = part > 1 ? (part + 1) / 2 : 0) {
		for (unsigned at = 0; at < count;) {
			unsigned left = count - at < part ? at : count - part;

			memcpy(shorter, actions, at * sizeof(*actions));
			if (left > at)
				memcpy(shorter + at, actions + at + part, (left - at) * sizeof(*actions));
			if (left == 0 || lives_well(seed, shorter, left, true)) {
				at += part;
				continue;
			}
			memcpy(actions, shorter, left * sizeof(*actions));
			count = left;
		}
	}
	free(shorter);
	return count;
}

static void explain(u64 seed)
{
	struct action actions[LENGTH];
	char text[ACTION_TEXT];
	unsigned count;

	generate(seed, actions, LENGTH);
	print_message("seed %llu fails; again: ISOLDE_SEED=%llu ISOLDE_ROUNDS=1\n", (unsigned long long)seed,
		      (unsigned long long)seed);
	count = shrink(seed, actions, LENGTH);
	for (unsigned i = 0; i < count; i++)
		print_message("  %s\n", describe(&actions[i], text));
	lives_well(seed, actions, count, false);
	fail_msg("seed %llu", (unsigned long long)seed);
}

static int live(struct report *report, u64 seed, unsigned long long rounds)
{
	struct action actions[LENGTH];

	for (report->seed = seed; report->seed < seed + rounds; report->seed++) {
		generate(report->seed, actions, LENGTH);
		life_run(report->seed, actions, LENGTH, &report->result);
		if (report->result.problem[0])
			return 1;
	}
	return 0;
}

TEST(simulate, no_life_breaks_an_invariant_or_leaves_the_model)
{
	unsigned long long rounds = from_environment("ISOLDE_ROUNDS", LIVES), seed = from_environment("ISOLDE_SEED", 1);
	struct report *report = report_new();
	const struct life_result *result = &report->result;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		exit(live(report, seed, rounds));
	if (!wait_for(child))
		explain(report->seed);
	print_message("seeds %llu to %llu: %u actions, %u refused, %u with a failure; DMA: %u reached, %u faulted\n",
		      seed, (unsigned long long)report->seed - 1, result->done, result->refused, result->failed,
		      result->reached, result->faulted);
	/* Every way is walked. */
	assert_in_range(result->refused, result->done / 10, result->done / 10 * 9);
	assert_in_range(result->failed, result->done / 500, result->done);
	assert_in_range(result->reached, result->done / 50, result->done);
	munmap(report, sizeof(*report));
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(simulate, no_life_breaks_an_invariant_or_leaves_the_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
