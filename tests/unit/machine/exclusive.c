/* SPDX-License-Identifier: MIT */
/*
 * Every way to have a device against every other, and every proof against whoever has the rest of the bus, compared
 * with a second model of the rules (tests/fixtures/vfio_model.h).
 *
 * All states that a number of ops leads to are visited, breadth first, and in each all ops are tried (two functions
 * have some ten thousand states); lives at random go further. ISOLDE_DEPTH and ISOLDE_ROUNDS say how far, ISOLDE_SEED
 * which lives.
 */
#include "tests/fixtures/vfio_life.h"

#define OPS   512
#define DEPTH 4 /* 16 is all there is */

static const struct vfio_layout layouts[] = {
	{"two groups", 2, 2, 1, {0, 1}, false, {DEV_A, DEV_B}, RESET_BUS_AB},
	{"one group", 2, 1, 1, {0, 0}, false, {DEV_C, DEV_D}, RESET_BUS_CD},
	{"no IOMMU", 2, 2, 1, {0, 1}, true, {DEV_E, DEV_F}, RESET_BUS_EF},
	{"four functions, three groups", 4, 3, 2, {0, 0, 1, 2}, false, {DEV_G, DEV_H, DEV_I, DEV_N}, RESET_BUS_GHIN},
};

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

/* Whether this process may have devices without an IOMMU. */
static bool may_use(const struct vfio_layout *layout)
{
	return !layout->bare || geteuid() == 0;
}

/* ---- all states ---- */

/* A state, and how it was reached. */
struct visit {
	struct vfio_model model;
	struct model_op op;
	unsigned from, depth;
};

struct visits {
	struct visit *at; /* owned */
	unsigned count, room;
	unsigned *slots; /* owned: a hash table of indexes plus one */
	unsigned nslots;
};

static u64 hash(const struct vfio_model *model)
{
	const u8 *bytes = (const u8 *)model;
	u64 value = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*model); i++)
		value = (value ^ bytes[i]) * 0x100000001b3;
	return value;
}

static void rehash(struct visits *visits)
{
	visits->nslots = visits->nslots ? 2 * visits->nslots : 1 << 16;
	free(visits->slots);
	visits->slots = calloc(visits->nslots, sizeof(visits->slots[0]));
	assert_non_null(visits->slots);
	for (unsigned i = 0; i < visits->count; i++) {
		u64 slot = hash(&visits->at[i].model) & (visits->nslots - 1);

		while (visits->slots[slot])
			slot = (slot + 1) & (visits->nslots - 1);
		visits->slots[slot] = i + 1;
	}
}

/* False: it was known. */
static bool visit_add(struct visits *visits, const struct visit *visit)
{
	u64 slot;

	if (2 * visits->count >= visits->nslots)
		rehash(visits);
	slot = hash(&visit->model) & (visits->nslots - 1);
	for (; visits->slots[slot]; slot = (slot + 1) & (visits->nslots - 1))
		if (memcmp(&visits->at[visits->slots[slot] - 1].model, &visit->model, sizeof(visit->model)) == 0)
			return false;
	if (visits->count == visits->room) {
		visits->room = visits->room ? 2 * visits->room : 1024;
		visits->at = realloc(visits->at, visits->room * sizeof(visits->at[0]));
		assert_non_null(visits->at);
	}
	visits->at[visits->count] = *visit;
	visits->slots[slot] = ++visits->count;
	return true;
}

/* The ops that lead to a state, the last first. */
static void print_path(const struct vfio_life *life, const struct visits *visits, unsigned index)
{
	char text[96];

	for (; index; index = visits->at[index].from)
		print_message("after: %s\n", vfio_model_describe(life->layout, visits->at[index].op, text));
}

static void step(struct vfio_life *life, const struct visits *visits, unsigned index, struct model_op op)
{
	if (vfio_life_step(life, op, NULL))
		return;
	print_path(life, visits, index);
	fail_msg("%s: %s", life->layout->name, life->problem);
}

static void go_to(struct vfio_life *life, const struct visits *visits, unsigned index)
{
	unsigned path[64], length = 0;

	vfio_life_restart(life);
	life->unchecked = true;
	for (unsigned at = index; at; at = visits->at[at].from)
		path[length++] = at;
	while (length--) {
		/* The last one leads where nobody has been. */
		life->unchecked = length;
		step(life, visits, visits->at[path[length]].from, visits->at[path[length]].op);
	}
	life->unchecked = false;
}

/* Of each kind, what was answered; so that no kind is always the same. */
struct totals {
	unsigned allowed[OP_KINDS], refused[OP_KINDS];
};

static void count(struct totals *totals, struct model_op op, bool refused)
{
	totals->refused[op.kind] += refused;
	totals->allowed[op.kind] += !refused;
}

static void print_totals(const struct totals *totals)
{
	for (unsigned kind = 0; kind < OP_KINDS; kind++)
		print_message("%s%u/%u", kind ? ", " : "allowed and refused: ", totals->allowed[kind],
			      totals->refused[kind]);
	print_message("\n");
}

static void check_totals(const struct totals *totals)
{
	static const u8 never_refused[] = {OP_CLOSE_GROUP, OP_CLOSE_DEVICE, OP_CLOSE_NODE, OP_UNBIND_DRIVER, OP_INFO};

	for (unsigned kind = 0; kind < OP_KINDS; kind++) {
		assert_true(totals->allowed[kind] > 0);
		if (!memchr(never_refused, (int)kind, sizeof(never_refused)))
			assert_true(totals->refused[kind] > 0);
	}
}

/* Drivers are part of where one starts. */
static unsigned cost(struct model_op op)
{
	return op.kind != OP_BIND_NATIVE && op.kind != OP_BIND_VFIO && op.kind != OP_UNBIND_DRIVER;
}

/* All ops that change nothing are done where we are; the others lead to further states. */
static void try_all(struct vfio_life *life, struct visits *visits, unsigned index, unsigned depth,
		    struct totals *totals)
{
	struct model_op ops[OPS];
	unsigned nops = vfio_model_ops(life->layout, ops, OPS);

	assert_true(nops < OPS);
	go_to(life, visits, index);
	for (unsigned i = 0; i < nops; i++) {
		struct visit next = {life->model, ops[i], index, visits->at[index].depth + cost(ops[i])};
		struct model_info info;
		int expected;

		if (!vfio_model_applies(life->layout, &life->model, ops[i]))
			continue;
		expected = vfio_model_apply(life->layout, &next.model, ops[i], &info);
		count(totals, ops[i], expected);
		if (memcmp(&next.model, &life->model, sizeof(next.model)) == 0) {
			step(life, visits, index, ops[i]);
		} else if (next.depth <= depth && !visit_add(visits, &next)) {
			/* A way to where another has led before; new ones are gone when it is their turn. */
			step(life, visits, index, ops[i]);
			go_to(life, visits, index);
		}
	}
}

static void visit_all(const struct vfio_layout *layout, bool linux_proof, unsigned depth, struct totals *totals)
{
	struct visits visits = {};
	struct vfio_life life;

	vfio_life_init(&life, layout, linux_proof);
	visit_add(&visits, &(struct visit){.model = life.model});
	for (unsigned i = 0; i < visits.count; i++)
		try_all(&life, &visits, i, depth, totals);
	print_message("%s%s, depth %u: %u states\n", layout->name, linux_proof ? ", as Linux" : "", depth,
		      visits.count);
	vfio_life_fini(&life);
	free(visits.at);
	free(visits.slots);
}

TEST(exclusive, every_state_of_two_functions)
{
	unsigned depth = number("ISOLDE_DEPTH", DEPTH);
	struct totals totals = {};

	for (unsigned i = 0; i < 3; i++)
		for (unsigned linux_proof = 0; linux_proof < 2 && may_use(&layouts[i]); linux_proof++)
			visit_all(&layouts[i], linux_proof, depth, &totals);
	print_totals(&totals);
	check_totals(&totals);
}

TEST(exclusive, the_first_states_of_four_functions)
{
	struct totals totals = {};

	visit_all(&layouts[3], false, number("ISOLDE_DEPTH", DEPTH) < 8 ? 0 : 2, &totals);
	print_totals(&totals);
}

/* ---- lives at random ---- */

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Kinds are drawn first, so that the many proofs do not crowd out the rest. Drivers leave seldom. */
static struct model_op draw(const struct vfio_life *life, const struct model_op *ops, unsigned count, u64 *state)
{
	u8 kind = (u8)(next_random(state) % OP_KINDS);
	struct model_op op;

	if ((kind == OP_UNBIND_DRIVER && next_random(state) % 2) || (kind == OP_BIND_NATIVE && next_random(state) % 4))
		kind = OP_BIND_VFIO;
	do
		op = ops[next_random(state) % count];
	while (op.kind != kind);
	return op;
}

static void live(const struct vfio_layout *layout, bool linux_proof, u64 seed, unsigned steps, struct totals *totals)
{
	struct model_op ops[OPS];
	unsigned nops = vfio_model_ops(layout, ops, OPS), done = 0;
	struct vfio_life life;
	u64 state = seed * 2 + 1;

	vfio_life_init(&life, layout, linux_proof);
	while (done < steps) {
		struct model_op op = draw(&life, ops, nops, &state);
		bool no;

		if (next_random(&state) % 2048 == 0)
			vfio_life_restart(&life);
		if (!vfio_model_applies(layout, &life.model, op))
			continue;
		if (!vfio_life_step(&life, op, &no))
			fail_msg("%s, ISOLDE_SEED=%llu, step %u: %s", layout->name, (unsigned long long)seed, done,
				 life.problem);
		done++;
		count(totals, op, no);
	}
	print_message("%s%s, seed %llu: %u ops\n", layout->name, linux_proof ? ", as Linux" : "",
		      (unsigned long long)seed, done);
	vfio_life_fini(&life);
}

TEST(exclusive, lives_at_random)
{
	unsigned steps = number("ISOLDE_ROUNDS", 1000), seed = number("ISOLDE_SEED", 1);
	struct totals totals = {};

	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		for (unsigned linux_proof = 0; linux_proof < 2 && may_use(&layouts[i]); linux_proof++)
			live(&layouts[i], linux_proof, seed + i, steps, &totals);
	print_totals(&totals);
	check_totals(&totals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(exclusive, every_state_of_two_functions),
		CASE(exclusive, the_first_states_of_four_functions),
		CASE(exclusive, lives_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
