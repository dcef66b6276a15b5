/* SPDX-License-Identifier: MIT */
/*
 * Siblings of one group, which no test of Linux's covers: every operation in every state that three devices of a group,
 * with and without a PASID, can be in - and long random walks - against a model of spec 02 section 5 that knows nothing
 * but numbers. A state is which HWPT each PASID has and which devices are attached by it; a HWPT that an attach to an
 * IOAS makes is, for the model, "the one of that IOAS".
 */
#include "iommu/port.h"
#include "tests/fixtures/assign_room.h"

enum { DEVICES = 3, PASID = 5, MSI = 0x0fee, OWN = 0x200 }; /* page numbers: of all devices, of the second one */

/* What is attached to: two IOASes, and HWPTs that were allocated. */
enum target { IOAS_A, IOAS_B, PLAIN_A, PASID_A, PASID_B, TARGETS, NOTHING = TARGETS };

enum verb { ATTACH, REPLACE, DETACH };

struct step {
	enum verb verb;
	unsigned device;
	unsigned slot; /* 0: without PASID, 1: PASID */
	enum target target;
};

/* ---- the model ---- */

struct situation {
	enum target at[2];
	unsigned set[2]; /* a bit for each attached device */
};

static bool takes_pasids(enum target target)
{
	return target == PASID_A || target == PASID_B;
}

static bool belongs_to_a(enum target target)
{
	return target == IOAS_A || target == PLAIN_A || target == PASID_A;
}

static int compatible(const struct situation *state, unsigned slot, enum target target)
{
	if (slot == 0)
		return takes_pasids(target) || !state->set[1] ? 0 : -EINVAL;
	if (!takes_pasids(target))
		return -EINVAL;
	return !state->set[0] || takes_pasids(state->at[0]) ? 0 : -EINVAL;
}

static int model_attach(struct situation *state, const struct step *step)
{
	unsigned bit = 1u << step->device, slot = step->slot;

	if (state->set[slot] & bit)
		return -EBUSY;
	if (state->set[slot] && state->at[slot] != step->target)
		return -EINVAL;
	if (!state->set[slot] && compatible(state, slot, step->target) < 0)
		return -EINVAL;
	state->set[slot] |= bit;
	state->at[slot] = step->target;
	return 0;
}

static int model_replace(struct situation *state, const struct step *step)
{
	unsigned slot = step->slot;

	if (!(state->set[slot] & 1u << step->device))
		return -EINVAL;
	if (state->at[slot] == step->target)
		return 0;
	if (compatible(state, slot, step->target) < 0)
		return -EINVAL;
	state->at[slot] = step->target;
	return 0;
}

static int model(struct situation *state, const struct step *step)
{
	if (step->verb == ATTACH)
		return model_attach(state, step);
	if (step->verb == REPLACE)
		return model_replace(state, step);
	state->set[step->slot] &= ~(1u << step->device);
	if (!state->set[step->slot])
		state->at[step->slot] = NOTHING;
	return 0;
}

static unsigned users(const struct situation *state, enum target target)
{
	unsigned count = 0;

	for (unsigned slot = 0; slot < 2; slot++)
		if (state->at[slot] == target)
			count += (unsigned)__builtin_popcount(state->set[slot]);
	return count;
}

/* ---- the real thing beside it ---- */

struct scene {
	struct assign_room *room;
	u32 id[TARGETS];
	u32 made[2]; /* what attaches to the IOASes have made; 0: nothing */
	struct reserved_region own;
	struct situation state;
};

static const u32 pasids[2] = {0, PASID};

static struct scene *scene_new(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct assign_room *self = assign_room_new();

	assert_non_null(scene);
	scene->room = self;
	scene->own = (struct reserved_region){OWN << PAGE_SHIFT, (OWN << PAGE_SHIFT) + 0xffff, RESERVED_RESERVED};
	self->core[1]->regions = &scene->own;
	self->core[1]->region_set = 1;
	self->unit->regions[0] = (struct reserved_region){MSI << PAGE_SHIFT, (MSI << PAGE_SHIFT) + 0xffff,
							  RESERVED_MSI};
	for (unsigned i = 0; i < DEVICES; i++)
		assign_bind(self, i);
	scene->id[IOAS_A] = assign_ioas(self);
	scene->id[IOAS_B] = assign_ioas(self);
	scene->id[PLAIN_A] = assign_hwpt(self, 0, scene->id[IOAS_A], 0);
	scene->id[PASID_A] = assign_hwpt(self, 0, scene->id[IOAS_A], IOMMU_HWPT_ALLOC_PASID);
	scene->id[PASID_B] = assign_hwpt(self, 0, scene->id[IOAS_B], IOMMU_HWPT_ALLOC_PASID);
	scene->state = (struct situation){{NOTHING, NOTHING}, {0, 0}};
	return scene;
}

static void scene_free(struct scene *scene)
{
	scene->room->core[1]->region_set = 0;
	assign_room_free(scene->room);
	free(scene);
}

/* The HWPT that the target stands for now; 0: none. */
static u32 hwpt_of_target(const struct scene *scene, enum target target)
{
	if (target == NOTHING)
		return 0;
	return target <= IOAS_B ? scene->made[target] : scene->id[target];
}

static void check_attached(const struct scene *scene)
{
	const struct assign_room *self = scene->room;
	const struct situation *state = &scene->state;

	for (unsigned slot = 0; slot < 2; slot++) {
		u32 hwpt = hwpt_of_target(scene, state->at[slot]);
		const struct domain *expected = hwpt   ? assign_find_hwpt(self, hwpt)->domain
						: slot ? NULL
						       : self->group->blocking_domain;

		for (unsigned i = 0; i < DEVICES; i++) {
			bool in = state->set[slot] >> i & 1;
			struct dma_port *port = self->core[i]->port;

			assert_int_equal(assign_attached(self, i, pasids[slot]), in ? hwpt : 0);
			/* Whoever is attached, the hardware moves all members. */
			assert_ptr_equal(slot ? dma_port_pasid_domain(port, PASID) : dma_port_domain(port), expected);
		}
	}
}

static void check_objects(const struct scene *scene)
{
	const struct assign_room *self = scene->room;
	const struct situation *state = &scene->state;

	for (enum target target = PLAIN_A; target < TARGETS; target++)
		assert_int_equal(assign_users(self, scene->id[target]), users(state, target));
	for (enum target ioas = IOAS_A; ioas <= IOAS_B; ioas++) {
		bool rid_here = state->set[0] && belongs_to_a(state->at[0]) == (ioas == IOAS_A);
		unsigned allocated = ioas == IOAS_A ? 2 : 1;

		if (scene->made[ioas])
			assert_int_equal(assign_users(self, scene->made[ioas]), users(state, ioas));
		assert_int_equal(assign_users(self, scene->id[ioas]), allocated + (scene->made[ioas] != 0));
		assert_int_equal(assign_reserved(self, scene->id[ioas], MSI << PAGE_SHIFT), rid_here);
		assert_int_equal(assign_reserved(self, scene->id[ioas], OWN << PAGE_SHIFT),
				 rid_here && state->set[0] & 2);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(self->device[i]->object.users,
				 1 + (state->set[0] >> i & 1) + (state->set[1] >> i & 1));
}

static int perform(struct scene *scene, const struct step *step, u32 *ret_used)
{
	struct assign_room *self = scene->room;
	struct iommufd_device *device = self->device[step->device];
	u32 pasid = pasids[step->slot];

	*ret_used = step->verb == DETACH ? 0 : scene->id[step->target];
	why_clear(&self->why);
	if (step->verb == ATTACH)
		return iommufd_device_attach(device, pasid, ret_used, &self->why);
	if (step->verb == REPLACE)
		return iommufd_device_replace(device, pasid, ret_used, &self->why);
	iommufd_device_detach(device, pasid);
	return 0;
}

/* What the step used, and what went with its last user. */
static void follow_made(struct scene *scene, const struct step *step, u32 used, int err)
{
	for (enum target ioas = IOAS_A; ioas <= IOAS_B; ioas++) {
		if (err == 0 && step->verb != DETACH && step->target == ioas) {
			assert_true(!scene->made[ioas] || scene->made[ioas] == used);
			scene->made[ioas] = used;
		}
		if (!users(&scene->state, ioas)) {
			const struct object *object = object_peek(scene->room->context, scene->made[ioas], NULL);

			/* Its id may be another one's by now. */
			assert_true(!object || !object_is_hwpt(object) ||
				    !hwpt_paging_of(hwpt_of((struct object *)(uintptr_t)object))->automatic ||
				    object->id == scene->made[ioas ^ 1]);
			scene->made[ioas] = 0;
		}
	}
}

static const char *const verbs[] = {"attach", "replace", "detach"};

static void take_step(struct scene *scene, const struct step *step)
{
	struct situation before = scene->state;
	int expected = model(&scene->state, step), got;
	u32 used;

	got = perform(scene, step, &used);
	if (got != expected)
		fail_msg("%s device %u at PASID %u to %d: %d instead of %d (%s), from {%d,%#x} {%d,%#x}",
			 verbs[step->verb], step->device, pasids[step->slot], step->target, got, expected,
			 scene->room->why.text, before.at[0], before.set[0], before.at[1], before.set[1]);
	follow_made(scene, step, used, got);
	check_attached(scene);
	check_objects(scene);
	iommufd_check(&scene->room->base->iommufd);
	iommu_check(&scene->room->base->room.iommu);
}

/* From anywhere to the state, by attaches alone: the slot without PASID first. */
static void go_to(struct scene *scene, const struct situation *state, unsigned first)
{
	for (unsigned slot = 0; slot < 2; slot++)
		for (unsigned i = 0; i < DEVICES; i++)
			take_step(scene, &(struct step){DETACH, i, slot, NOTHING});
	for (unsigned slot = 0; slot < 2; slot++)
		for (unsigned i = 0; i < DEVICES; i++) {
			unsigned device = (first + i) % DEVICES;

			if (state->set[slot] >> device & 1)
				take_step(scene, &(struct step){ATTACH, device, slot, state->at[slot]});
		}
	assert_memory_equal(state, &scene->state, sizeof(*state));
}

static bool reachable(const struct situation *state)
{
	for (unsigned slot = 0; slot < 2; slot++)
		if ((state->at[slot] == NOTHING) != !state->set[slot])
			return false;
	if (state->set[1] && !takes_pasids(state->at[1]))
		return false;
	return !state->set[1] || !state->set[0] || takes_pasids(state->at[0]);
}

static unsigned try_all_steps(struct scene *scene, const struct situation *state, unsigned first)
{
	unsigned steps = 0;

	for (unsigned device = 0; device < DEVICES; device++)
		for (unsigned slot = 0; slot < 2; slot++)
			for (unsigned verb = ATTACH; verb <= DETACH; verb++)
				for (enum target target = 0; target < (verb == DETACH ? 1 : TARGETS); target++) {
					go_to(scene, state, first);
					take_step(scene, &(struct step){verb, device, slot, target});
					steps++;
				}
	return steps;
}

/* The state's number, taken apart. */
static struct situation nth_state(unsigned number)
{
	struct situation state;

	state.at[0] = number % (TARGETS + 1);
	number /= TARGETS + 1;
	state.at[1] = number % (TARGETS + 1);
	number /= TARGETS + 1;
	state.set[0] = number % 8;
	state.set[1] = number / 8;
	return state;
}

TEST(device_siblings, every_operation_in_every_state)
{
	struct scene *scene = scene_new();
	unsigned states = 0, steps = 0;

	for (unsigned number = 0; number < (TARGETS + 1) * (TARGETS + 1) * 64; number++) {
		struct situation situation = nth_state(number);

		if (!reachable(&situation))
			continue;
		steps += try_all_steps(scene, &situation, states % DEVICES);
		states++;
	}
	/* 1 + 5*7 without the PASID, 2*7 with it alone, 2*7 * 2*7 with both. */
	assert_int_equal(states, 1 + 35 + 14 + 196);
	assert_int_equal(steps, states * DEVICES * 2 * (2 * TARGETS + 1));
	scene_free(scene);
}

static u64 number_from(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static unsigned pick(u64 *seed, unsigned below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33) % below;
}

/* A driver lets go of a device that is attached nowhere, and takes it again: the ids change, nothing else. */
static void rebind(struct scene *scene, unsigned device)
{
	struct assign_room *self = scene->room;

	if ((scene->state.set[0] | scene->state.set[1]) >> device & 1)
		return;
	assign_unbind(self, device);
	iommufd_check(&self->base->iommufd);
	assign_bind(self, device);
}

TEST(device_siblings, long_walks)
{
	u64 seed = number_from("ISOLDE_SEED", 7), rounds = number_from("ISOLDE_ROUNDS", 20000);
	struct scene *scene = scene_new();

	printf("# ISOLDE_SEED=%llu\n", (unsigned long long)seed);
	for (u64 i = 0; i < rounds; i++) {
		struct step step = {.device = pick(&seed, DEVICES), .slot = pick(&seed, 2)};

		step.verb = pick(&seed, 5) ? pick(&seed, 2) : DETACH;
		step.target = pick(&seed, TARGETS);
		take_step(scene, &step);
		if (pick(&seed, 8) == 0)
			rebind(scene, pick(&seed, DEVICES));
	}
	scene_free(scene);
}

ASSIGN_TEST(device_siblings, the_one_in_the_way_is_named)
{
	u32 first = assign_ioas(self), second = assign_ioas(self);

	assign_bind(self, 0);
	assign_bind(self, 1);
	ASSERT_YES(assign_attach(self, 0, 0, first));
	EXPECT_NO(ATTACHED_ELSEWHERE, assign_attach(self, 1, 0, second));
	EXPECT_SUBSTR("0000:02:00.1 cannot be attached to HWPT", self->why.text);
	EXPECT_SUBSTR("0000:02:00.0 of the same group 0 is attached to HWPT 5 of IOAS 1", self->why.text);
	EXPECT_NO(NOT_ATTACHED, assign_replace(self, 1, 0, second));
	EXPECT_SUBSTR("0000:02:00.1", self->why.text);
}

/* What a sibling needs is looked at when it comes, and for all when they move: spec 02 sections 5.1 and 5.3. */
ASSIGN_TEST(device_siblings, regions_in_the_way_stop_the_one_that_needs_them)
{
	static u8 page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	static const struct reserved_region own = {0x200000, 0x20ffff, RESERVED_RESERVED};
	u32 first = assign_ioas(self), second = assign_ioas(self), used;
	struct ioas *target = assign_find_ioas(self, second);
	u64 iova = 0x200000, removed;

	self->core[1]->regions = &own;
	self->core[1]->region_set = 1;
	assign_bind(self, 0);
	assign_bind(self, 1);
	ASSERT_YES(ioas_map_user(target, self->client, (uintptr_t)page, PAGE_SIZE, ROOM_RW, true, &iova, &self->why));
	/* The first does not need it; so the second can follow neither by an attach nor by a replacement. */
	used = (u32)ASSERT_YES(assign_attach(self, 0, 0, second));
	EXPECT_NO(RESERVE_MAPPED, assign_attach(self, 1, 0, second));
	EXPECT_SUBSTR("0000:02:00.1", self->why.text);
	assert_int_equal(assign_users(self, used), 1);
	assign_detach(self, 0, 0);
	ASSERT_YES(assign_attach(self, 0, 0, first));
	ASSERT_YES(assign_attach(self, 1, 0, first));
	EXPECT_NO(RESERVE_MAPPED, assign_replace(self, 0, 0, second));
	EXPECT_SUBSTR("0000:02:00.1", self->why.text);
	assert_false(assign_reserved(self, second, 0xfee00000));
	assert_true(assign_reserved(self, first, 0xfee00000));
	assign_detach(self, 1, 0);
	ASSERT_YES(assign_replace(self, 0, 0, second));
	assign_detach(self, 0, 0);
	ASSERT_YES(ioas_unmap(target, 0, UINT64_MAX, &removed, &self->why));
	self->core[1]->region_set = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(device_siblings, every_operation_in_every_state),
		CASE(device_siblings, long_walks),
		CASE(device_siblings, the_one_in_the_way_is_named),
		CASE(device_siblings, regions_in_the_way_stop_the_one_that_needs_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
