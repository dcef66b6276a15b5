/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of calls over two groups, three devices and two owners, against the model of tests/fixtures: breadth
 * first, each state once, each call of the alphabet from each state, made on the real core after the shortest way
 * there. ISOLDE_DEPTH says how long a sequence may be.
 */
#include "tests/fixtures/core_rig.h"
#include "tests/helpers.h"

#define A MODEL_USER
#define B (MODEL_USER + 1)

/* Devices 0 and 1 are a group, 1 without PASIDs and ATS; 2 is alone, and its group has no default domain at boot. */
static const struct model_hardware hardware = {
	.groups = 2,
	.devices = 3,
	.group = {0, 0, 1},
	.ats = {1, 0, 1},
	.pasids = {2, 0, 2},
	.unsettled = {0, 1},
};

/* Owners are 1 and 2, as in the model. */
static const struct model_op alphabet[] = {
	{MODEL_BIND, 0},
	{MODEL_BIND, 1},
	{MODEL_BIND, 2},
	{MODEL_UNBIND, 0},
	{MODEL_UNBIND, 1},
	{MODEL_UNBIND, 2},
	{MODEL_CLAIM_GROUP, 0, 1},
	{MODEL_CLAIM_GROUP, 0, 2},
	{MODEL_CLAIM_GROUP, 2, 1},
	{MODEL_CLAIM_GROUP, 0, 1, .refuse = 1 << 1},
	{MODEL_RELEASE_GROUP, 0},
	{MODEL_RELEASE_GROUP, 2},
	{MODEL_RELEASE_GROUP, 0, .refuse = 1 << 1},
	{MODEL_CLAIM_DEVICE, 0, 1},
	{MODEL_CLAIM_DEVICE, 1, 1},
	{MODEL_CLAIM_DEVICE, 1, 2},
	{MODEL_CLAIM_DEVICE, 2, 2},
	{MODEL_RELEASE_DEVICE, 0},
	{MODEL_RELEASE_DEVICE, 1},
	{MODEL_RELEASE_DEVICE, 2},
	{MODEL_ATTACH_DEVICE, 0, 0, A},
	{MODEL_ATTACH_DEVICE, 2, 0, A},
	{MODEL_DETACH_DEVICE, 0, 0, A},
	{MODEL_DETACH_DEVICE, 2, 0, A},
	{MODEL_ATTACH_GROUP, 0, 0, A},
	{MODEL_ATTACH_GROUP, 0, 0, B, .refuse = 1 << 1},
	{MODEL_ATTACH_GROUP, 0, 0, B, .refuse = 1 << 1, .stick = 1 << 0},
	{MODEL_ATTACH_GROUP, 2, 0, B},
	{MODEL_DETACH_GROUP, 0},
	{MODEL_DETACH_GROUP, 2},
	{MODEL_DETACH_GROUP, 0, .refuse = 1 << 0},
	{MODEL_ATTACH_HANDLE, 0, 0, A, .handle = 1},
	{MODEL_REPLACE_HANDLE, 0, 0, B, .handle = 1},
	{MODEL_REPLACE_HANDLE, 0, 0, A, .handle = 1, .refuse = 1 << 1},
	{MODEL_ATTACH_PASID, 0, 0, A, 1},
	{MODEL_ATTACH_PASID, 2, 0, A, 1, 1, .refuse = 1 << 2},
	{MODEL_REPLACE_PASID, 1, 0, B, 1, 1},
	{MODEL_DETACH_PASID, 0, 0, 0, 1},
	{MODEL_DETACH_PASID, 2, 0, 0, 1},
	{MODEL_ATTACH, 0, 0, A, 0, 1},
	{MODEL_ATTACH, 0, 0, B, 0},
	{MODEL_ATTACH, 1, 0, A, 0, 1},
	{MODEL_ATTACH, 2, 0, A, 0, 1},
	{MODEL_ATTACH, 0, 0, A, 1, 1},
	{MODEL_ATTACH, 1, 0, B, 1, 1},
	{MODEL_ATTACH, 2, 0, B, 1, 1},
	{MODEL_REPLACE, 0, 0, B, 0, 1},
	{MODEL_REPLACE, 1, 0, B, 1, 1},
	{MODEL_DETACH, 0, 0, 0, 0},
	{MODEL_DETACH, 1, 0, 0, 0},
	{MODEL_DETACH, 2, 0, 0, 0},
	{MODEL_DETACH, 0, 0, 0, 1},
	{MODEL_DETACH, 1, 0, 0, 1},
	{MODEL_PREPARE, 0},
	{MODEL_PREPARE, 2},
	{MODEL_PREPARE, 0, .refuse = 1 << 0},
	{MODEL_DONE, 0},
	{MODEL_DONE, 2},
	{MODEL_DONE, 0, .stick = 1 << 0},
	{MODEL_ADD, 1},
	{MODEL_ADD, 1, .stick = 1 << 1},
	{MODEL_REMOVE, 1},
	{MODEL_SETTLE, 2},
	{MODEL_SETTLE, 2, .refuse = 1 << 2},
};

/* A state that was reached, and how. */
struct visit {
	struct model model;
	u32 from; /* index of the one before */
	u8 op, depth;
};

struct search {
	struct core_rig rig;
	struct visit *visits;
	size_t count, room;
	u32 *table; /* open addressing: index + 1 of a visit, 0 empty; a power of two */
	size_t table_size;
	u64 transitions, refusals;
};

static u64 hash(const struct model *model)
{
	const u8 *bytes = (const u8 *)model;
	u64 value = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*model); i++)
		value = (value ^ bytes[i]) * 0x100000001b3;
	return value ^ value >> 29;
}

static u32 *find(struct search *search, const struct model *model)
{
	size_t at = hash(model) & (search->table_size - 1);

	while (search->table[at] && memcmp(&search->visits[search->table[at] - 1].model, model, sizeof(*model)) != 0)
		at = (at + 1) & (search->table_size - 1);
	return &search->table[at];
}

static void grow(struct search *search)
{
	search->room = search->room ? search->room * 2 : 1024;
	search->visits = realloc(search->visits, search->room * sizeof(search->visits[0]));
	free(search->table);
	search->table_size = search->room * 2;
	search->table = calloc(search->table_size, sizeof(search->table[0]));
	assert_true(search->visits && search->table);
	for (size_t i = 0; i < search->count; i++)
		*find(search, &search->visits[i].model) = (u32)i + 1;
}

static void visit(struct search *search, const struct model *model, u32 from, u8 op)
{
	u32 *slot = find(search, model);

	if (*slot)
		return;
	if (search->count == search->room) {
		grow(search);
		slot = find(search, model);
	}
	search->visits[search->count] = (struct visit){
		.model = *model, .from = from, .op = op, .depth = search->count ? search->visits[from].depth + 1 : 0};
	*slot = (u32)++search->count;
}

static void print_way(const struct search *search, u32 index)
{
	char text[OP_TEXT];

	if (!index)
		return;
	print_way(search, search->visits[index].from);
	print_message("  %s\n", op_describe(&alphabet[search->visits[index].op], text));
}

static void fail_at(const struct search *search, u32 index, const struct model_op *op, const char *what)
{
	char text[OP_TEXT];

	print_way(search, index);
	fail_msg("%s: %s", op_describe(op, text), what);
}

/* Makes one call on the core; true when the state is another one now. */
static bool step(struct search *search, u32 index, const struct model_op *op, struct model *model)
{
	struct why why = WHY_INIT;
	int expected = model_apply(model, &hardware, op), ret = rig_apply(&search->rig, op, &why);
	char text[OP_TEXT];
	struct model core;

	if (ret != expected) {
		snprintf(text, sizeof(text), "%d by the spec, %d by the core (%s)", expected, ret, why.text);
		fail_at(search, index, op, text);
	}
	rig_observe(&search->rig, &core);
	if (memcmp(model, &core, sizeof(core)) != 0)
		fail_at(search, index, op, models_differ(model, &core, text));
	for (u8 i = 0; i < hardware.devices; i++)
		for (u8 pasid = 0; pasid < 2 && core.device[i].present; pasid++)
			if (rig_domain_of(&search->rig, i, pasid) != model_domain_of(model, &hardware, i, pasid))
				fail_at(search, index, op, "the hardware has another domain");
	search->transitions++;
	search->refusals += ret < 0;
	if (memcmp(model, &search->visits[index].model, sizeof(*model)) == 0)
		return false;
	iommu_check(&search->rig.iommu);
	return true;
}

/* Boots the core anew and makes the calls that lead to a state. */
static void go_to(struct search *search, u32 index)
{
	const struct model_op *way[32];
	unsigned length = 0;
	struct why why;

	for (; index; index = search->visits[index].from)
		way[length++] = &alphabet[search->visits[index].op];
	rig_boot(&search->rig);
	while (length)
		rig_apply(&search->rig, way[--length], &why);
}

static void expand(struct search *search, u32 index)
{
	bool there = false;

	for (u8 i = 0; i < ARRAY_SIZE(alphabet); i++) {
		struct model model = search->visits[index].model;

		if (!model_allows(&model, &hardware, &alphabet[i]))
			continue;
		if (!there)
			go_to(search, index);
		there = !step(search, index, &alphabet[i], &model);
		if (!there) {
			rig_shut(&search->rig);
			visit(search, &model, index, i);
		}
	}
	if (there)
		rig_shut(&search->rig);
}

TEST(exhaustive, no_sequence_of_calls_leads_the_core_away_from_the_spec)
{
	const char *wanted = getenv("ISOLDE_DEPTH");
	unsigned depth = wanted ? (unsigned)atoi(wanted) : UNDER_TSAN ? 3 : 4;
	struct search search = {.count = 0};
	struct model start;

	rig_init(&search.rig, &hardware, B + 1);
	grow(&search);
	model_init(&start, &hardware);
	visit(&search, &start, 0, 0);
	for (u32 i = 0; i < search.count && search.visits[i].depth < depth; i++)
		expand(&search, i);
	print_message("depth %u: %zu states, %llu calls, %llu of them refused\n", depth, search.count,
		      (unsigned long long)search.transitions, (unsigned long long)search.refusals);
	assert_true(search.count > depth);
	free(search.visits);
	free(search.table);
	rig_fini(&search.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(exhaustive, no_sequence_of_calls_leads_the_core_away_from_the_spec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
