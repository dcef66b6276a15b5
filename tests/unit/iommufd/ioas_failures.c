/* SPDX-License-Identifier: MIT */
/* Each request with its first, second, ... fallible step failing: it is refused and all is as before, or it succeeds.
 */
#include "iommufd/access.h"
#include "iommufd/ioas.h"
#include "tests/fixtures/ioas_room.h"

/* An IOAS with two mappings and two domains, another with one, an access, a file; what all sequences begin with. */
struct scene {
	struct iommufd_room *self;
	struct domain *domains[3];
	struct access *access;
	u8 *memory;
	int fd;
};

static void no_pins_left(void *data, u64 iova, u64 size)
{
}

static const struct access_ops ops = {.needs_pin_pages = true, .unmap = no_pins_left};

static void scene_new(struct scene *scene)
{
	struct iommufd_room *self = ioas_room_new();
	u64 iova = 0x40000;

	scene->self = self;
	scene->memory = pages_of_memory(8);
	scene->fd = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(ftruncate(scene->fd, 4 * PAGE_SIZE), 0);
	assert_int_equal(ioas_room_alloc(self), 2);
	assert_int_equal(ioas_room_alloc(self), 3);
	ASSERT_OK(self->why, ioas_disable_huge_pages(ioas_by_id(self, 1), &self->why));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, scene->memory, 4 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, scene->memory + 4 * PAGE_SIZE, PAGE_SIZE, 0x14000));
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_RW, 2, &iova, 1, 0x11000, 2 * PAGE_SIZE));
	ASSERT_OK(self->why, ioas_map_at(self, 3, IOAS_RW, scene->memory, 2 * PAGE_SIZE, 0x10000));
	iova = 0x20000;
	ASSERT_OK(self->why, ioas_map_fd(self, 3, FIXED | IOAS_RW, scene->fd, 0, 2 * PAGE_SIZE, &iova));
	scene->domains[0] = domain_join(self, 1);
	scene->domains[1] = domain_join(self, 1);
	scene->domains[2] = domain_join(self, 2);
	ASSERT_OK(self->why, access_create(self->context, &ops, NULL, &scene->access, &self->why));
	ASSERT_OK(self->why, access_attach(scene->access, 1, &self->why));
}

static void scene_free(struct scene *scene)
{
	access_destroy(scene->access);
	for (unsigned i = 0; i < 3; i++)
		domain_leave(scene->domains[i]);
	munmap(scene->memory, 8 * PAGE_SIZE);
	close(scene->fd);
	iommufd_room_free(scene->self);
}

/* What a failure must leave alone. Frames that pages have got they keep: only they know of them. */
struct state {
	size_t areas[3], reserved, allowed;
	u64 pinned, alignment;
	unsigned objects;
	size_t files;
};

static struct state state_of(const struct scene *scene)
{
	struct iommufd_room *self = scene->self;
	struct state state = {
		.pinned = self->room.client->pinned_bytes,
		.objects = self->context->nobjects,
		.files = list_length(&self->iommufd.files),
	};

	for (u32 id = 1; id <= 3; id++) {
		const struct object *object = object_peek(self->context, id, &ioas_class);
		const struct ioas *ioas = object ? container_of(object, const struct ioas, object) : NULL;

		if (!ioas)
			continue;
		state.areas[id - 1] = ioas->space.areas.count;
		state.reserved += ioas->reserved.count;
		state.allowed += ioas->allowed.count;
		state.alignment += ioas->alignment;
	}
	return state;
}

static void expect_same(const struct state *a, const struct state *b, const char *name, unsigned n)
{
	if (memcmp(a, b, sizeof(*a)) != 0)
		fail_msg("%s: step %u failed and left something", name, n);
}

/* Runs body with each step failing; it returns 0 or -errno with why filled, and undoes nothing. */
static void sweep(long (*body)(struct scene *scene), const char *name, unsigned least)
{
	for (unsigned n = 1;; n++) {
		struct state before, after;
		struct scene scene;
		bool fired;
		long ret;

		scene_new(&scene);
		before = state_of(&scene);
		fail_nth_arm(n);
		ret = body(&scene);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		iommufd_check(&scene.self->iommufd);
		iommu_check(&scene.self->room.iommu);
		after = state_of(&scene);
		if (ret < 0 && !fired)
			fail_msg("%s: fails by itself: %s", name, scene.self->why.text);
		if (ret < 0)
			expect_same(&before, &after, name, n);
		scene_free(&scene);
		if (!fired) {
			if (n <= least)
				fail_msg("%s: %u steps may fail, %u were expected", name, n - 1, least);
			return;
		}
	}
}

#define SWEEP(body, least) sweep(body, #body, least)

static long map(struct scene *scene)
{
	/* Far from the others, so that both domains need tables. */
	return ioas_map_at(scene->self, 1, IOAS_RW, scene->memory + 5 * PAGE_SIZE, 3 * PAGE_SIZE, BIT(40));
}

static long map_file(struct scene *scene)
{
	int other = memfd_create("other", MFD_CLOEXEC);
	u64 iova = BIT(40);
	long ret;

	assert_int_equal(ftruncate(other, PAGE_SIZE), 0);
	ret = ioas_map_fd(scene->self, 1, FIXED | IOAS_RW, other, 0, PAGE_SIZE, &iova);
	close(other);
	return ret;
}

/* Three areas in one call. */
static long copy(struct scene *scene)
{
	u64 iova = BIT(40);

	return ioas_copy(scene->self, FIXED | IOAS_RW, 2, &iova, 1, 0x12000, 3 * PAGE_SIZE);
}

static long add_domain(struct scene *scene)
{
	struct domain *domain = NULL;
	int err;

	why_clear(&scene->self->why);
	err = domain_try(scene->self, ioas_by_id(scene->self, 3), &domain, &scene->self->why);
	if (err == 0)
		domain_leave(domain);
	return err;
}

static long pin(struct scene *scene)
{
	struct why *why = &scene->self->why;
	struct page_identity pages[4];
	int err;

	why_clear(why);
	err = access_pin(scene->access, 0x11000, 4 * PAGE_SIZE, ACCESS_WRITE, pages, why);
	if (err == 0)
		access_unpin(scene->access, 0x11000, 4 * PAGE_SIZE);
	return err;
}

/* In an IOAS without a domain: the access pins by itself. */
static long replace_and_pin(struct scene *scene)
{
	struct why *why = &scene->self->why, unneeded;
	int err;

	why_clear(why);
	err = access_replace(scene->access, 3, why);
	if (err < 0)
		return err;
	err = access_pin(scene->access, 0x20000, 2 * PAGE_SIZE, ACCESS_READ, NULL, why);
	if (err == 0)
		access_unpin(scene->access, 0x20000, 2 * PAGE_SIZE);
	/* A step fails once. */
	else
		access_replace(scene->access, 1, &unneeded);
	return err;
}

static long read_slowly(struct scene *scene)
{
	u8 buffer[2 * PAGE_SIZE];

	why_clear(&scene->self->why);
	return access_rw(scene->access, scene->self->room.client, 0x10800, buffer, sizeof(buffer), ACCESS_SLOW,
			 &scene->self->why);
}

static long cut(struct scene *scene)
{
	why_clear(&scene->self->why);
	return ioas_cut(ioas_by_id(scene->self, 1), 0x11fff, &scene->self->why);
}

static long allow(struct scene *scene)
{
	const struct iommu_iova_range ranges[] = {{0x1000, 0x1fff}, {0x3000, 0x3fff}};

	return ioas_allow(scene->self, 3, ranges, 2);
}

static long reserve(struct scene *scene)
{
	why_clear(&scene->self->why);
	return ioas_reserve(ioas_by_id(scene->self, 3), 0x100000, 0x1fffff, NULL, &scene->self->why);
}

static long alloc(struct scene *scene)
{
	struct iommu_ioas_alloc command = {.size = sizeof(command)};

	return iommufd_ask(scene->self, IOMMU_IOAS_ALLOC, &command);
}

static long create_access(struct scene *scene)
{
	struct access *access = NULL;
	int err;

	why_clear(&scene->self->why);
	err = access_create(scene->self->context, &ops, NULL, &access, &scene->self->why);
	access_destroy(access);
	return err;
}

/* Two files of two modes, in two IOASes, that another client takes over. */
TEST(failures, a_process_takes_over_all_or_nothing)
{
	for (unsigned n = 1;; n++) {
		struct iommu_ioas_change_process command = {.size = sizeof(command)};
		struct iommufd_room *self = ioas_room_new();
		struct client *before = self->room.client, *after = self_client_new(getpid());
		int fd = memfd_create("file", MFD_CLOEXEC);
		struct domain *domains[2];
		u64 iova = 0x10000, locked;
		bool fired;
		long ret;

		assert_int_equal(ftruncate(fd, 4 * PAGE_SIZE), 0);
		domains[0] = domain_join(self, 1);
		domains[1] = domain_join(self, ioas_room_alloc(self));
		ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_R, fd, 0, PAGE_SIZE, &iova));
		self->context->charge_mode = CHARGE_MM;
		ASSERT_OK(self->why, ioas_map_fd(self, 2, FIXED | IOAS_R, fd, PAGE_SIZE, PAGE_SIZE, &iova));
		locked = before->locked_bytes; /* none where the tests may lock without limit */
		self->room.client = after;
		fail_nth_arm(n);
		ret = iommufd_ask(self, IOMMU_IOAS_CHANGE_PROCESS, &command);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		self->room.client = before;
		assert_int_equal(before->pinned_bytes, ret < 0 ? 2 * PAGE_SIZE : 0);
		assert_int_equal(after->pinned_bytes, ret < 0 ? 0 : 2 * PAGE_SIZE);
		assert_int_equal(after->locked_bytes, ret < 0 ? 0 : locked);
		assert_int_equal(before->locked_bytes, ret < 0 ? locked : 0);
		domain_leave(domains[0]);
		domain_leave(domains[1]);
		assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), PAGE_SIZE);
		assert_int_equal(ioas_unmap_range(self, 2, 0, UINT64_MAX), PAGE_SIZE);
		client_put(after);
		close(fd);
		iommufd_room_free(self);
		assert_int_equal(ret < 0, fired);
		if (!fired) {
			assert_true(n > 2);
			return;
		}
	}
}

TEST(failures, leave_everything_as_it_was)
{
	SWEEP(map, 7);
	SWEEP(map_file, 8);
	SWEEP(copy, 8);
	SWEEP(add_domain, 8);
	SWEEP(pin, 1);
	SWEEP(replace_and_pin, 5);
	SWEEP(read_slowly, 1);
	SWEEP(cut, 3);
	SWEEP(allow, 3);
	SWEEP(reserve, 1);
	SWEEP(alloc, 1);
	SWEEP(create_access, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(failures, leave_everything_as_it_was),
		CASE(failures, a_process_takes_over_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
