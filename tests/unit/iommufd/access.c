/* SPDX-License-Identifier: MIT */
/* Accesses: attach, pins, copies, what unmap does with them (spec 06 section 4). */
#include "iommufd/access.h"

#include "mem/buffer.h"
#include "tests/fixtures/ioas_room.h"

/* A user that remembers its pins and lets go of them when it is asked, unless it is stubborn. */
struct user {
	struct access *access;
	struct {
		u64 iova, size;
	} pins[8];
	unsigned npins, asked;
	unsigned stubborn; /* requests it does not hear */
	u64 asked_iova, asked_size;
};

static long user_pin(struct iommufd_room *self, struct user *user, u64 iova, u64 size, unsigned flags)
{
	int err;

	why_clear(&self->why);
	err = access_pin(user->access, iova, size, flags, NULL, &self->why);
	if (err == 0) {
		user->pins[user->npins].iova = iova;
		user->pins[user->npins++].size = size;
	}
	iommufd_check(&self->iommufd);
	return err;
}

static void user_unpin(struct user *user, unsigned index)
{
	access_unpin(user->access, user->pins[index].iova, user->pins[index].size);
	user->pins[index] = user->pins[--user->npins];
}

static void user_unmap(void *data, u64 iova, u64 size)
{
	struct user *user = data;
	u64 last = size == UINT64_MAX ? UINT64_MAX : iova + size - 1;

	user->asked++;
	user->asked_iova = iova;
	user->asked_size = size;
	if (user->stubborn && user->stubborn--)
		return;
	for (unsigned i = user->npins; i-- > 0;)
		if (user->pins[i].iova <= last && user->pins[i].iova + user->pins[i].size - 1 >= iova)
			user_unpin(user, i);
}

static const struct access_ops pinning = {.needs_pin_pages = true, .unmap = user_unmap};
static const struct access_ops copying = {.unmap = user_unmap};

static void user_new(struct iommufd_room *self, struct user *user, const struct access_ops *ops, u32 ioas)
{
	*user = (struct user){.access = NULL};
	ASSERT_OK(self->why, access_create(self->context, ops, user, &user->access, &self->why));
	if (ioas)
		ASSERT_OK(self->why, access_attach(user->access, ioas, &self->why));
}

static void user_free(struct user *user)
{
	access_destroy(user->access);
	assert_int_equal(user->npins, 0);
}

static u64 pinned(const struct iommufd_room *self)
{
	return self->room.client->pinned_bytes / PAGE_SIZE;
}

/* ---- attach ---- */

IOAS_TEST(access, is_an_object_that_keeps_its_context_and_ioas)
{
	struct user user;

	user_new(self, &user, &copying, 1);
	assert_int_equal(access_id(user.access), 2);
	EXPECT_REFUSED(OBJECT_KEPT, self->why, ioas_destroy(self, 2));
	EXPECT_SUBSTR("ACCESS 2 of IOAS 1", self->why.text);
	EXPECT_REFUSED(OBJECT_IN_USE, self->why, ioas_destroy(self, 1));
	self->file->ops->release(self->file);
	self->file = NULL;
	assert_int_equal(list_length(&self->iommufd.contexts), 1);
	user_free(&user);
	access_destroy(NULL);
	assert_true(list_empty(&self->iommufd.contexts));
}

IOAS_TEST(access, attach_and_replace_refusals)
{
	struct user user;
	u8 byte;

	user_new(self, &user, &pinning, 0);
	EXPECT_REFUSED(ACCESS_DETACHED, self->why, access_replace(user.access, 1, &self->why));
	EXPECT_REFUSED(ACCESS_DETACHED, self->why, user_pin(self, &user, 0, 1, ACCESS_READ));
	EXPECT_REFUSED(ACCESS_DETACHED, self->why, access_rw(user.access, NULL, 0, &byte, 1, ACCESS_READ, &self->why));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, access_attach(user.access, 9, &self->why));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, NULL, 1, 0x10000));
	EXPECT_REFUSED(ALIGNMENT_MAPPED, self->why, access_attach(user.access, 1, &self->why));
	assert_int_equal(ioas_unmap_range(self, 1, 0x10000, 1), 1);
	access_detach(user.access);
	ASSERT_OK(self->why, access_attach(user.access, 1, &self->why));
	EXPECT_REFUSED(ACCESS_ATTACHED, self->why, access_attach(user.access, 9, &self->why));
	EXPECT_REFUSED(ACCESS_ATTACHED, self->why, access_attach_ioas(user.access, ioas_by_id(self, 1), &self->why));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, access_replace(user.access, 9, &self->why));
	user_free(&user);
}

IOAS_TEST(access, alignment_is_that_of_who_pins)
{
	struct user user, other;

	user_new(self, &user, &copying, 1);
	assert_int_equal(ioas_by_id(self, 1)->alignment, 1);
	user_new(self, &other, &pinning, 1);
	assert_int_equal(ioas_by_id(self, 1)->alignment, PAGE_SIZE);
	user_free(&other);
	assert_int_equal(ioas_by_id(self, 1)->alignment, 1);
	user_free(&user);
}

/* The new IOAS is joined first; then the user is told to leave everything of the old one. */
IOAS_TEST(access, replace_unpins_all_of_the_old_ioas)
{
	u32 other = ioas_room_alloc(self);
	u8 *memory = pages_of_memory(2);
	struct user user;

	user_new(self, &user, &pinning, 1);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, user_pin(self, &user, 0x10000, PAGE_SIZE, ACCESS_READ));
	ASSERT_OK(self->why, access_replace(user.access, 1, &self->why));
	assert_int_equal(user.asked, 0);
	ASSERT_OK(self->why, access_replace(user.access, other, &self->why));
	assert_int_equal(user.asked, 1);
	assert_true(user.asked_iova == 0 && user.asked_size == UINT64_MAX);
	assert_int_equal(pinned(self), 0);
	EXPECT_REFUSED(AREA_MISSING, self->why, user_pin(self, &user, 0x10000, PAGE_SIZE, ACCESS_READ));
	ASSERT_OK(self->why, ioas_destroy(self, 1));
	access_detach(user.access);
	access_detach(user.access);
	ASSERT_OK(self->why, ioas_destroy(self, other));
	user_free(&user);
	munmap(memory, 2 * PAGE_SIZE);
}

/* ---- pins ---- */

IOAS_TEST(pin, refusals_in_their_order)
{
	u8 *memory = pages_of_memory(4);
	struct user user, copier;

	user_new(self, &copier, &copying, 1);
	user_new(self, &user, &pinning, 1);
	EXPECT_REFUSED(ACCESS_NO_PIN, self->why, user_pin(self, &copier, 0, 0, ACCESS_READ));
	EXPECT_REFUSED(ACCESS_EMPTY, self->why, user_pin(self, &user, UINT64_MAX, 0, ACCESS_READ));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, user_pin(self, &user, UINT64_MAX, 2, ACCESS_READ));
	EXPECT_REFUSED(AREA_MISSING, self->why, user_pin(self, &user, 0x10000, 2, ACCESS_READ));
	/* Read-only, write-only, and memory that is not there. */
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_W, memory + PAGE_SIZE, PAGE_SIZE, 0x11000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + 2 * PAGE_SIZE, PAGE_SIZE, 0x12000));
	munmap(memory + 2 * PAGE_SIZE, PAGE_SIZE);
	EXPECT_REFUSED(ACCESS_MISALIGNED, self->why, user_pin(self, &user, 0x10001, 1, ACCESS_WRITE));
	EXPECT_REFUSED(ACCESS_PERMISSION, self->why, user_pin(self, &user, 0x10000, 1, ACCESS_WRITE));
	EXPECT_SUBSTR("[0x10000, 0x10fff] may not be written", self->why.text);
	EXPECT_REFUSED(ACCESS_PERMISSION, self->why, user_pin(self, &user, 0x10000, 2 * PAGE_SIZE, ACCESS_READ));
	EXPECT_SUBSTR("[0x11000, 0x11fff] may not be read", self->why.text);
	EXPECT_REFUSED(CLIENT_FAULT, self->why, user_pin(self, &user, 0x11000, 2 * PAGE_SIZE, ACCESS_WRITE));
	/* An early one hides the hole behind it. */
	EXPECT_REFUSED(CLIENT_FAULT, self->why, user_pin(self, &user, 0x11000, 8 * PAGE_SIZE, ACCESS_WRITE));
	EXPECT_REFUSED(AREA_MISSING, self->why, user_pin(self, &user, 0x13000, 1, ACCESS_WRITE));
	assert_int_equal(pinned(self), 0);
	ASSERT_OK(self->why, user_pin(self, &user, 0x10000, 1, ACCESS_READ));
	ASSERT_OK(self->why, user_pin(self, &user, 0x11000, PAGE_SIZE, ACCESS_WRITE));
	assert_int_equal(pinned(self), 2);
	user_free(&user);
	user_free(&copier);
	munmap(memory, 4 * PAGE_SIZE);
}

/* Where the IOVAs need not be aligned, the memory behind must. */
IOAS_TEST(pin, whole_pages_of_the_memory_behind)
{
	u8 *memory = pages_of_memory(4);
	struct user user;

	user_new(self, &user, &pinning, 0);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + 2 * PAGE_SIZE, PAGE_SIZE, 0x12000));
	ASSERT_OK(self->why, access_attach(user.access, 1, &self->why));
	EXPECT_REFUSED(ACCESS_MISALIGNED, self->why, user_pin(self, &user, 0x10800, PAGE_SIZE, ACCESS_READ));
	ASSERT_OK(self->why, user_pin(self, &user, 0x11000, PAGE_SIZE + 1, ACCESS_READ));
	assert_int_equal(pinned(self), 2);
	user_free(&user);
	munmap(memory, 4 * PAGE_SIZE);
}

IOAS_TEST(pin, tells_which_pages_they_are)
{
	struct page_identity pages[3] = {}, expected = {};
	u8 *memory = pages_of_memory(3);
	struct user user;

	user_new(self, &user, &pinning, 1);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory, 2 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory + 2 * PAGE_SIZE, PAGE_SIZE, 0x12000));
	ASSERT_OK(self->why, access_pin(user.access, 0x10000, 2 * PAGE_SIZE + 5, ACCESS_READ, pages, &self->why));
	for (unsigned i = 0; i < 3; i++) {
		ASSERT_OK(self->why, client_page_identity(self->room.client, (uintptr_t)memory + i * PAGE_SIZE,
							  &expected, &self->why));
		assert_true(page_identity_equal(&pages[i], &expected));
	}
	access_unpin(user.access, 0x10000, 2 * PAGE_SIZE + 5);
	assert_int_equal(pinned(self), 0);
	user_free(&user);
	munmap(memory, 3 * PAGE_SIZE);
}

/* A page that a domain and accesses use is pinned once, and as long as one of them does. */
IOAS_TEST(pin, domains_and_accesses_share_pages)
{
	u8 *memory = pages_of_memory(8);
	struct domain *domain;
	struct user user;

	user_new(self, &user, &pinning, 1);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 8 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, user_pin(self, &user, 0x11000, 2 * PAGE_SIZE, ACCESS_READ));
	ASSERT_OK(self->why, user_pin(self, &user, 0x11000, 2 * PAGE_SIZE, ACCESS_WRITE));
	ASSERT_OK(self->why, user_pin(self, &user, 0x12000, 3 * PAGE_SIZE, ACCESS_WRITE));
	assert_int_equal(pinned(self), 4);
	domain = domain_join(self, 1);
	assert_int_equal(pinned(self), 8);
	ASSERT_OK(self->why, user_pin(self, &user, 0x10000, 8 * PAGE_SIZE, ACCESS_READ));
	domain_leave(domain);
	assert_int_equal(pinned(self), 8);
	user_unpin(&user, 3);
	assert_int_equal(pinned(self), 4);
	user_unpin(&user, 0);
	assert_int_equal(pinned(self), 4);
	user_free(&user);
	assert_int_equal(pinned(self), 0);
	munmap(memory, 8 * PAGE_SIZE);
}

/* ---- unmap ---- */

IOAS_TEST(unmap, asks_every_access_for_the_whole_area)
{
	u8 *memory = pages_of_memory(4);
	struct user user, idle, copier;

	user_new(self, &user, &pinning, 1);
	user_new(self, &idle, &pinning, 1);
	user_new(self, &copier, &copying, 1);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 3 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, user_pin(self, &user, 0x11000, PAGE_SIZE, ACCESS_READ));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 3 * PAGE_SIZE);
	assert_int_equal(user.npins, 0);
	assert_true(user.asked_iova == 0x10000 && user.asked_size == 3 * PAGE_SIZE);
	assert_int_equal(user.asked, 1);
	assert_int_equal(idle.asked, 1);
	assert_int_equal(copier.asked, 1);
	/* Nothing pinned: nobody is asked. */
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 3 * PAGE_SIZE, 0x10000));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 3 * PAGE_SIZE);
	assert_int_equal(user.asked, 1);
	user_free(&user);
	user_free(&idle);
	user_free(&copier);
	munmap(memory, 4 * PAGE_SIZE);
}

IOAS_TEST(unmap, gives_up_on_who_does_not_let_go)
{
	u8 *memory = pages_of_memory(2);
	struct user user;
	u8 byte;

	user_new(self, &user, &pinning, 1);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + PAGE_SIZE, PAGE_SIZE, 0x11000));
	ASSERT_OK(self->why, user_pin(self, &user, 0x11000, PAGE_SIZE, ACCESS_READ));
	user.stubborn = 50;
	assert_int_equal(ioas_unmap_range(self, 1, 0x11000, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(user.asked, 51);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + PAGE_SIZE, PAGE_SIZE, 0x11000));
	ASSERT_OK(self->why, user_pin(self, &user, 0x11000, PAGE_SIZE, ACCESS_READ));
	user.stubborn = 200;
	user.asked = 0;
	EXPECT_REFUSED(AREA_PINNED, self->why, ioas_unmap_range(self, 1, 0x10000, 2 * PAGE_SIZE));
	assert_int_equal(user.asked, 101);
	assert_null(ioas_area_at(ioas_by_id(self, 1), 0x10000));
	/* Nobody comes in any more, who is in may still leave. */
	EXPECT_REFUSED(ACCESS_PREVENTED, self->why, user_pin(self, &user, 0x11000, PAGE_SIZE, ACCESS_READ));
	EXPECT_REFUSED(ACCESS_PREVENTED, self->why,
		       access_rw(user.access, self->room.client, 0x11000, &byte, 1, ACCESS_READ, &self->why));
	EXPECT_REFUSED(CUT_BUSY, self->why, ioas_cut(ioas_by_id(self, 1), 0x117ff, &self->why));
	user.stubborn = 0;
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), PAGE_SIZE);
	user_free(&user);
	munmap(memory, 2 * PAGE_SIZE);
}

IOAS_TEST(unmap, what_hw_queues_have_is_locked)
{
	u8 *memory = pages_of_memory(2);
	struct access *access;
	struct user user;

	user_new(self, &user, &pinning, 1);
	ASSERT_OK(self->why, access_create_internal(self->context, &access, &self->why));
	ASSERT_OK(self->why, access_attach_ioas(access, ioas_by_id(self, 1), &self->why));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + PAGE_SIZE, PAGE_SIZE, 0x11000));
	ASSERT_OK(self->why, access_pin(access, 0x11000, PAGE_SIZE, ACCESS_READ, NULL, &self->why));
	/* Before anything else about the area. */
	EXPECT_REFUSED(AREA_LOCKED, self->why, ioas_unmap_range(self, 1, 0x10000, PAGE_SIZE + 1));
	EXPECT_SUBSTR("1 hw_queue", self->why.text);
	assert_null(ioas_area_at(ioas_by_id(self, 1), 0x10000));
	assert_int_equal(user.asked, 0);
	access_unpin(access, 0x11000, PAGE_SIZE);
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), PAGE_SIZE);
	access_destroy(access);
	user_free(&user);
	munmap(memory, 2 * PAGE_SIZE);
}

/* ---- copies ---- */

static long copy(struct iommufd_room *self, struct user *user, u64 iova, void *buffer, u64 size, unsigned flags)
{
	why_clear(&self->why);
	return access_rw(user->access, self->room.client, iova, buffer, size, flags, &self->why);
}

IOAS_TEST(copy, any_bytes_across_mappings)
{
	u8 *memory = pages_of_memory(3), buffer[300];
	struct user user;

	user_new(self, &user, &copying, 1);
	for (u64 i = 0; i < 3 * PAGE_SIZE; i++)
		memory[i] = (u8)(i * 7);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + 3, 0x1010, 0x10005));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + 0x2000, 0x1000, 0x11015));
	for (unsigned slow = 0; slow <= ACCESS_SLOW; slow += ACCESS_SLOW) {
		memset(buffer, 0, sizeof(buffer));
		ASSERT_OK(self->why, copy(self, &user, 0x11015 - 100, buffer, 200, ACCESS_READ | slow));
		assert_memory_equal(buffer, memory + 0x1013 - 100, 100);
		assert_memory_equal(buffer + 100, memory + 0x2000, 100);
		memset(buffer, 0xee + (int)slow, sizeof(buffer));
		ASSERT_OK(self->why, copy(self, &user, 0x11015 - 3, buffer, 5, ACCESS_WRITE | slow));
		assert_int_equal(memory[0x1012], 0xee + slow);
		assert_int_equal(memory[0x2001], 0xee + slow);
		assert_int_not_equal(memory[0x2002], 0xee + slow);
	}
	assert_int_equal(pinned(self), 0);
	user_free(&user);
	munmap(memory, 3 * PAGE_SIZE);
}

IOAS_TEST(copy, refusals_area_by_area)
{
	u8 *memory = pages_of_memory(2), buffer[2 * PAGE_SIZE];
	struct user user;

	user_new(self, &user, &copying, 1);
	memory[0] = 1;
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory + PAGE_SIZE, PAGE_SIZE, 0x11000));
	EXPECT_REFUSED(ACCESS_EMPTY, self->why, copy(self, &user, 0x10000, buffer, 0, ACCESS_READ));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, copy(self, &user, 2, buffer, UINT64_MAX, ACCESS_READ));
	EXPECT_REFUSED(AREA_MISSING, self->why, copy(self, &user, 0xffff, buffer, 2, ACCESS_READ));
	/* What comes before the refusal has been copied. */
	memset(buffer, 7, sizeof(buffer));
	EXPECT_REFUSED(ACCESS_PERMISSION, self->why, copy(self, &user, 0x10000, buffer, 2 * PAGE_SIZE, ACCESS_WRITE));
	assert_int_equal(memory[0], 7);
	assert_int_equal(memory[PAGE_SIZE], 0);
	EXPECT_REFUSED(AREA_MISSING, self->why, copy(self, &user, 0x11fff, buffer, 2, ACCESS_READ));
	munmap(memory + PAGE_SIZE, PAGE_SIZE);
	buffer[0] = 0;
	EXPECT_REFUSED(CLIENT_FAULT, self->why, copy(self, &user, 0x10000, buffer, PAGE_SIZE + 1, ACCESS_READ));
	assert_int_equal(buffer[0], 7);
	user_free(&user);
	munmap(memory, PAGE_SIZE);
}

/* In one mapping whose second page is missing, the first one is copied all the same. */
IOAS_TEST(copy, slowly_stops_at_the_page_that_is_missing)
{
	u8 *memory = pages_of_memory(3), buffer[3 * PAGE_SIZE];
	struct user user;

	user_new(self, &user, &copying, 1);
	memset(memory, 5, PAGE_SIZE);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 3 * PAGE_SIZE, 0x10000));
	munmap(memory + PAGE_SIZE, PAGE_SIZE);
	memset(buffer, 0, sizeof(buffer));
	EXPECT_REFUSED(CLIENT_FAULT, self->why, copy(self, &user, 0x10000, buffer, 3 * PAGE_SIZE, ACCESS_SLOW));
	assert_int_equal(buffer[PAGE_SIZE - 1], 5);
	EXPECT_REFUSED(CLIENT_FAULT, self->why, copy(self, &user, 0x11000, buffer, 1, ACCESS_SLOW));
	ASSERT_OK(self->why, copy(self, &user, 0x12000, buffer, PAGE_SIZE, ACCESS_SLOW | ACCESS_WRITE));
	assert_int_equal(memory[2 * PAGE_SIZE], 5);
	user_free(&user);
	munmap(memory, PAGE_SIZE);
	munmap(memory + 2 * PAGE_SIZE, PAGE_SIZE);
}

IOAS_TEST(copy, files_are_copied_by_whoever_asks)
{
	int fd = memfd_create("file", MFD_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct user user;
	u64 iova = 0x10000;
	u8 byte = 0;

	user_new(self, &user, &copying, 1);
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, fd, 0, 2 * PAGE_SIZE, &iova));
	iova = 0x20000;
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, null, 0, PAGE_SIZE, &iova));
	assert_int_equal(pwrite(fd, "q", 1, 9), 1);
	ASSERT_OK(self->why, copy(self, &user, 0x10009, &byte, 1, ACCESS_READ));
	assert_int_equal(byte, 'q');
	ASSERT_OK(self->why, access_rw(user.access, NULL, 0x10009, &byte, 1, ACCESS_WRITE, &self->why));
	EXPECT_REFUSED(FILE_TOO_SHORT, self->why, copy(self, &user, 0x11000, &byte, 1, ACCESS_READ));
	/* More than could be mapped, of which the first page is there. */
	iova = BIT(52);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, fd, 0, BIT(52), &iova));
	ASSERT_OK(self->why, copy(self, &user, BIT(52) + 9, &byte, 1, ACCESS_READ));
	EXPECT_REFUSED(FILE_NOT_MEMORY, self->why, copy(self, &user, 0x20000, &byte, 1, ACCESS_READ));
	user_free(&user);
	close(fd);
	close(null);
}

/* By the mapper itself, what is at the address now; by others, what was pinned. */
IOAS_TEST(copy, of_another_process_and_of_one_that_has_ended)
{
	struct client *mapper = self->room.client, *other = self_client_new(getpid());
	struct domain *domain = domain_join(self, 1);
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct user user;
	u8 *shared, byte = 0;

	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	user_new(self, &user, &copying, 1);
	mapper->own = false;
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, shared, PAGE_SIZE, 0x10000));
	shared[3] = 3;
	ASSERT_OK(self->why, access_rw(user.access, other, 0x10003, &byte, 1, ACCESS_READ, &self->why));
	assert_int_equal(byte, 3);
	ASSERT_OK(self->why, access_rw(user.access, NULL, 0x10003, &byte, 1, ACCESS_READ, &self->why));
	/* Something else is at the address now. */
	assert_ptr_equal(
		mmap(shared, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		shared);
	ASSERT_OK(self->why, access_rw(user.access, mapper, 0x10003, &byte, 1, ACCESS_READ, &self->why));
	assert_int_equal(byte, 0);
	ASSERT_OK(self->why, access_rw(user.access, other, 0x10003, &byte, 1, ACCESS_READ, &self->why));
	assert_int_equal(byte, 3);
	atomic_store(&mapper->gone, true);
	byte = 0;
	ASSERT_OK(self->why, access_rw(user.access, NULL, 0x10003, &byte, 1, ACCESS_READ, &self->why));
	assert_int_equal(byte, 3);
	atomic_store(&mapper->gone, false);
	mapper->own = true;
	user_free(&user);
	domain_leave(domain);
	munmap(shared, PAGE_SIZE);
	client_put(other);
	close(fd);
}

/* ---- dma-bufs ---- */

static void buffer_free(struct shared_buffer *buffer)
{
}

IOAS_TEST(buffer, is_not_for_accesses)
{
	static const struct buffer_ops ops = {"test", buffer_free};
	struct shared_buffer buffer;
	u8 *memory = pages_of_memory(1), byte;
	struct user user;
	u64 iova = 0x10000;

	buffer_init(&buffer, &ops, memory, PAGE_SIZE);
	buffer.importable = true;
	ioas_room_files[1] = &buffer.file;
	user_new(self, &user, &pinning, 1);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_R, BUFFER_FD, 0, PAGE_SIZE, &iova));
	EXPECT_REFUSED(ACCESS_PERMISSION, self->why, user_pin(self, &user, 0x10000, 1, ACCESS_WRITE));
	EXPECT_REFUSED(ACCESS_BUFFER, self->why, user_pin(self, &user, 0x10000, 1, ACCESS_READ));
	EXPECT_REFUSED(ACCESS_BUFFER, self->why, copy(self, &user, 0x10000, &byte, 1, ACCESS_READ));
	EXPECT_REFUSED(CUT_BUFFER, self->why, ioas_cut(ioas_by_id(self, 1), 0x107ff, &self->why));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), PAGE_SIZE);
	user_free(&user);
	buffer.file.ops->release(&buffer.file);
	ioas_room_files[1] = NULL;
	munmap(memory, PAGE_SIZE);
}

/* ---- cuts ---- */

static int cut(struct iommufd_room *self, u64 iova)
{
	int err;

	why_clear(&self->why);
	err = ioas_cut(ioas_by_id(self, 1), iova, &self->why);
	iommufd_check(&self->iommufd);
	return err;
}

IOAS_TEST(cut, small_pages_may_be_parted)
{
	struct ioas *ioas = ioas_by_id(self, 1);
	u8 *memory = pages_of_memory(4);
	struct domain *domain;
	u64 iova = 0x40000;

	ASSERT_OK(self->why, ioas_disable_huge_pages(ioas, &self->why));
	domain = domain_join(self, 1);
	device_use(self, domain);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 4 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, cut(self, 0x90000));
	ASSERT_OK(self->why, cut(self, 0x10000));
	ASSERT_OK(self->why, cut(self, 0x13fff));
	assert_int_equal(ioas->space.areas.count, 1);
	EXPECT_REFUSED(CUT_MISALIGNED, self->why, cut(self, 0x10ffe));
	ASSERT_OK(self->why, cut(self, 0x10fff));
	ASSERT_OK(self->why, cut(self, 0x12fff));
	assert_int_equal(ioas->space.areas.count, 3);
	assert_int_equal(pinned(self), 4);
	memory[0x2000] = 2;
	assert_true(device_reads(self, 0x12000, 2));
	assert_int_equal(ioas_unmap_range(self, 1, 0x11000, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(pinned(self), 2);
	assert_false(device_reads(self, 0x12000, 2));
	assert_true(device_reads(self, 0x13000, 0));
	/* What is left can be copied, and is what it was. */
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_RW, 1, &iova, 1, 0x13000, PAGE_SIZE));
	memory[0x3000] = 3;
	assert_true(device_reads(self, 0x40000, 3));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 3 * PAGE_SIZE);
	device_use(self, NULL);
	domain_leave(domain);
	munmap(memory, 4 * PAGE_SIZE);
}

IOAS_TEST(cut, refusals)
{
	u8 *memory = pages_of_memory(4);
	struct domain *domain;
	struct user user;

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 4 * PAGE_SIZE, 0x10000));
	/* Without domain and access, at any byte. */
	ASSERT_OK(self->why, cut(self, 0x10004));
	assert_int_equal(ioas_unmap_range(self, 1, 0x10005, 4 * PAGE_SIZE - 5), 4 * PAGE_SIZE - 5);
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 5);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 4 * PAGE_SIZE, 0x10000));
	user_new(self, &user, &pinning, 1);
	ASSERT_OK(self->why, user_pin(self, &user, 0x13000, PAGE_SIZE, ACCESS_READ));
	EXPECT_REFUSED(CUT_MISALIGNED, self->why, cut(self, 0x10004));
	EXPECT_REFUSED(CUT_PINNED, self->why, cut(self, 0x10fff));
	domain = domain_join(self, 1);
	user_unpin(&user, 0);
	EXPECT_REFUSED(CUT_HUGE, self->why, cut(self, 0x10fff));
	domain_leave(domain);
	user_free(&user);
	munmap(memory, 4 * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(access, is_an_object_that_keeps_its_context_and_ioas),
		CASE(access, attach_and_replace_refusals),
		CASE(access, alignment_is_that_of_who_pins),
		CASE(access, replace_unpins_all_of_the_old_ioas),
		CASE(pin, refusals_in_their_order),
		CASE(pin, whole_pages_of_the_memory_behind),
		CASE(pin, tells_which_pages_they_are),
		CASE(pin, domains_and_accesses_share_pages),
		CASE(unmap, asks_every_access_for_the_whole_area),
		CASE(unmap, gives_up_on_who_does_not_let_go),
		CASE(unmap, what_hw_queues_have_is_locked),
		CASE(copy, any_bytes_across_mappings),
		CASE(copy, refusals_area_by_area),
		CASE(copy, slowly_stops_at_the_page_that_is_missing),
		CASE(copy, files_are_copied_by_whoever_asks),
		CASE(copy, of_another_process_and_of_one_that_has_ended),
		CASE(buffer, is_not_for_accesses),
		CASE(cut, small_pages_may_be_parted),
		CASE(cut, refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
