/* SPDX-License-Identifier: MIT */
/* MAP_FILE: memory files and dma-bufs; shared memory of another process; whose limit pins count against. */
#include "iommufd/ioas.h"
#include "mem/buffer.h"
#include "tests/fixtures/ioas_room.h"
#include "tests/fixtures/powerless.h"

static int new_memfd(u64 size)
{
	int fd = memfd_create("mapped", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* ---- files ---- */

IOAS_TEST(map_file, refusals_in_their_order)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = 8,
		.ioas_id = 9,
		.fd = 999,
		.start = UINT64_MAX,
		.length = UINT64_MAX,
		.iova = UINT64_MAX,
	};

	EXPECT_DENIED(FLAGS_UNKNOWN, IOMMU_IOAS_MAP_FILE, &map);
	map.flags = FIXED;
	EXPECT_DENIED(RANGE_OVERFLOWS, IOMMU_IOAS_MAP_FILE, &map);
	map.iova = 1;
	EXPECT_DENIED(RANGE_OVERFLOWS, IOMMU_IOAS_MAP_FILE, &map);
	map.length = 0;
	EXPECT_DENIED(IOAS_MAP_FLAGS, IOMMU_IOAS_MAP_FILE, &map);
	map.flags = FIXED | IOAS_RW;
	EXPECT_DENIED(OBJECT_MISSING, IOMMU_IOAS_MAP_FILE, &map);
	map.ioas_id = 1;
	EXPECT_DENIED(IOAS_RANGE_EMPTY, IOMMU_IOAS_MAP_FILE, &map);
	map.length = 2;
	EXPECT_DENIED(RANGE_OVERFLOWS, IOMMU_IOAS_MAP_FILE, &map);
	EXPECT_SUBSTR("of the file", self->why.text);
	map.length = 1;
	EXPECT_DENIED(FD_BAD, IOMMU_IOAS_MAP_FILE, &map);
}

IOAS_TEST(map_file, devices_and_the_program_see_the_same_pages)
{
	struct domain *domain = domain_join(self, 1);
	int fd = new_memfd(4 * PAGE_SIZE);
	u8 *memory = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	u64 iova = 0x10000;

	device_use(self, domain);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, fd, PAGE_SIZE, 2 * PAGE_SIZE, &iova));
	memory[2 * PAGE_SIZE + 3] = 42;
	assert_true(device_reads(self, 0x11003, 42));
	assert_true(device_writes(self, 0x10000, 43));
	assert_int_equal(memory[PAGE_SIZE], 43);
	/* The descriptor may go, and the file lose its pages: that is the device's fault then. */
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	close(fd);
	assert_false(device_reads(self, 0x10000, 43));
	assert_int_equal(self->room.fault.reason, DMA_FAULT_MEMORY);
	assert_int_equal(ioas_unmap_range(self, 1, 0x10000, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	device_use(self, NULL);
	domain_leave(domain);
	munmap(memory, 4 * PAGE_SIZE);
}

IOAS_TEST(map_file, pages_must_be_there_when_they_are_pinned)
{
	struct domain *domain;
	int fd = new_memfd(PAGE_SIZE + 1);
	u64 iova = 0x10000;

	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, fd, PAGE_SIZE, PAGE_SIZE, &iova));
	EXPECT_REFUSED(FILE_TOO_SHORT, self->why, domain_try(self, ioas_by_id(self, 1), &domain, &self->why));
	assert_int_equal(ftruncate(fd, 2 * PAGE_SIZE), 0);
	domain = domain_join(self, 1);
	iova = 0x20000;
	EXPECT_REFUSED(FILE_TOO_SHORT, self->why,
		       ioas_map_fd(self, 1, FIXED | IOAS_RW, fd, PAGE_SIZE, 2 * PAGE_SIZE, &iova));
	assert_int_equal(self->room.client->pinned_bytes, PAGE_SIZE);
	domain_leave(domain);
	close(fd);
}

IOAS_TEST(map_file, other_files_are_taken_until_they_are_pinned)
{
	struct file machine = {.ops = self->file->ops};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct domain *domain;
	u64 iova = 0x10000;

	ioas_room_files[0] = &machine;
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, null, 0, PAGE_SIZE, &iova));
	EXPECT_REFUSED(FILE_NOT_MEMORY, self->why, domain_try(self, ioas_by_id(self, 1), &domain, &self->why));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), PAGE_SIZE);
	/* A file of the machine has a memory file behind it on our side, which is none of the program's business. */
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, MACHINE_FD, 0, PAGE_SIZE, &iova));
	EXPECT_REFUSED(FILE_NOT_MEMORY, self->why, domain_try(self, ioas_by_id(self, 1), &domain, &self->why));
	EXPECT_SUBSTR("of the machine", self->why.text);
	ioas_room_files[0] = NULL;
	close(null);
}

IOAS_TEST(map_file, the_chosen_iova_has_the_alignment_of_the_offset)
{
	int fd = new_memfd(4 * PAGE_SIZE);
	u64 iova = 0;

	ASSERT_OK(self->why, ioas_map_fd(self, 1, IOAS_R, fd, 2 * PAGE_SIZE, PAGE_SIZE, &iova));
	assert_int_equal(iova, PAGE_SIZE);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, IOAS_R, fd, 0x2800, 0x1000, &iova));
	assert_int_equal(iova, 0x2800);
	close(fd);
}

/* ---- dma-bufs ---- */

struct exported {
	struct shared_buffer buffer;
	bool freed;
};

static void exported_free(struct shared_buffer *buffer)
{
	container_of(buffer, struct exported, buffer)->freed = true;
}

static const struct buffer_ops exporter = {"exporter", exported_free};

static void export(struct exported *exported, u8 *memory, u64 size)
{
	*exported = (struct exported){.freed = false};
	buffer_init(&exported->buffer, &exporter, memory, size);
	exported->buffer.importable = true;
	ioas_room_files[1] = &exported->buffer.file;
}

static void close_exported(struct exported *exported)
{
	exported->buffer.file.ops->release(&exported->buffer.file);
	ioas_room_files[1] = NULL;
}

IOAS_TEST(buffer, refusals_in_their_order)
{
	struct exported exported;
	u8 *memory = pages_of_memory(2);
	u64 iova = 0x10000;

	export(&exported, memory, 2 * PAGE_SIZE);
	EXPECT_REFUSED(IOAS_RANGE_EMPTY, self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, BUFFER_FD, 0, 0, &iova));
	EXPECT_REFUSED(IOAS_BUFFER_RANGE, self->why,
		       ioas_map_fd(self, 1, FIXED | IOAS_RW, BUFFER_FD, 2 * PAGE_SIZE, 1, &iova));
	EXPECT_REFUSED(IOAS_BUFFER_RANGE, self->why,
		       ioas_map_fd(self, 1, FIXED | IOAS_RW, BUFFER_FD, PAGE_SIZE, PAGE_SIZE + 1, &iova));
	exported.buffer.importable = false;
	buffer_revoke(&exported.buffer, true);
	EXPECT_REFUSED(BUFFER_KIND, self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, BUFFER_FD, 0, 1, &iova));
	exported.buffer.importable = true;
	EXPECT_REFUSED(BUFFER_REVOKED, self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, BUFFER_FD, 0, 1, &iova));
	buffer_revoke(&exported.buffer, false);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, BUFFER_FD, 0, 1, &iova));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 1);
	close_exported(&exported);
	assert_true(exported.freed);
	munmap(memory, 2 * PAGE_SIZE);
}

IOAS_TEST(buffer, is_reached_until_it_is_taken_back)
{
	struct domain *first, *second;
	struct exported exported;
	u8 *memory = pages_of_memory(4);
	u32 other = ioas_room_alloc(self);
	u64 iova = 0x10000;

	export(&exported, memory, 4 * PAGE_SIZE);
	first = domain_join(self, 1);
	second = domain_join(self, other);
	device_use(self, first);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, BUFFER_FD, PAGE_SIZE, 2 * PAGE_SIZE, &iova));
	assert_true(device_writes(self, 0x11005, 99));
	assert_int_equal(memory[2 * PAGE_SIZE + 5], 99);
	assert_int_equal(self->room.client->pinned_bytes, 0);
	iova = 0x40000;
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_R, other, &iova, 1, 0x11000, PAGE_SIZE));
	close_exported(&exported);
	assert_false(exported.freed);
	buffer_revoke(&exported.buffer, true);
	assert_false(device_reads(self, 0x11005, 99));
	device_use(self, second);
	assert_false(device_reads(self, 0x40005, 99));
	EXPECT_SUBSTR("taken back", self->room.fault.text);
	/* The mapping stays where it is, in domains to come as well, and copies of it show nothing either. */
	domain_leave(domain_join(self, 1));
	iova = 0x50000;
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_R, other, &iova, 1, 0x10000, PAGE_SIZE));
	buffer_revoke(&exported.buffer, false);
	assert_false(device_reads(self, 0x50005, 99));
	assert_int_equal(ioas_unmap_range(self, 1, 0x10000, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(ioas_unmap_range(self, other, 0, UINT64_MAX), 2 * PAGE_SIZE);
	assert_true(exported.freed);
	device_use(self, NULL);
	domain_leave(first);
	domain_leave(second);
	munmap(memory, 4 * PAGE_SIZE);
}

/* ---- another process ---- */

/* A client that is not us, to be reached as another process is; here still us. */
static struct client *be_another(struct iommufd_room *self)
{
	self->room.client->own = false;
	return self->room.client;
}

IOAS_TEST(other, private_memory_is_reached_by_process)
{
	struct domain *domain = domain_join(self, 1);
	u8 *memory = pages_of_memory(1);
	struct client *client = be_another(self);

	device_use(self, domain);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	assert_true(device_writes(self, 0x10008, 8));
	assert_int_equal(memory[8], 8);
	assert_true(device_reads(self, 0x10008, 8));
	assert_null(ioas_area_at(ioas_by_id(self, 1), 0x10000)->area.extent->direct);
	/* Its process ends: what was pinned may go on, what was not is refused. */
	atomic_store(&client->gone, true);
	assert_false(device_reads(self, 0x10008, 8));
	domain_leave(domain_join(self, 1));
	EXPECT_REFUSED(CLIENT_FAULT, self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x20000));
	EXPECT_SUBSTR("has ended", self->why.text);
	device_use(self, NULL);
	domain_leave(domain);
	client->own = true;
	munmap(memory, PAGE_SIZE);
}

IOAS_TEST(other, shared_memory_outlives_its_process)
{
	struct domain *domain = domain_join(self, 1);
	int fd = new_memfd(4 * PAGE_SIZE);
	u8 *memory = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct client *client = be_another(self);

	device_use(self, domain);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + PAGE_SIZE, 2 * PAGE_SIZE, 0x10000));
	assert_non_null(ioas_area_at(ioas_by_id(self, 1), 0x10000)->area.extent->direct);
	atomic_store(&client->gone, true);
	assert_true(device_writes(self, 0x11000, 5));
	assert_int_equal(memory[2 * PAGE_SIZE], 5);
	device_use(self, NULL);
	domain_leave(domain);
	atomic_store(&client->gone, false);
	client->own = true;
	munmap(memory, 4 * PAGE_SIZE);
	close(fd);
}

/* What is at the address when it is pinned counts, each time anew. */
IOAS_TEST(other, memory_that_was_let_go_may_be_another_next_time)
{
	int first = new_memfd(PAGE_SIZE), second = new_memfd(PAGE_SIZE);
	u8 *memory = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, first, 0), written[2] = {};
	struct client *client = be_another(self);
	struct domain *domain;

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	domain = domain_join(self, 1);
	device_use(self, domain);
	assert_true(device_writes(self, 0x10000, 5));
	device_use(self, NULL);
	domain_leave(domain);
	assert_ptr_equal(mmap(memory, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, second, 0), memory);
	domain = domain_join(self, 1);
	device_use(self, domain);
	assert_true(device_writes(self, 0x10000, 6));
	assert_int_equal(memory[0], 6);
	device_use(self, NULL);
	domain_leave(domain);
	/* Nor need it be a file's. */
	assert_ptr_equal(
		mmap(memory, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		memory);
	domain = domain_join(self, 1);
	device_use(self, domain);
	assert_true(device_writes(self, 0x10000, 7));
	assert_int_equal(memory[0], 7);
	assert_int_equal(pread(first, &written[0], 1, 0), 1);
	assert_int_equal(pread(second, &written[1], 1, 0), 1);
	assert_int_equal(written[0], 5);
	assert_int_equal(written[1], 6);
	device_use(self, NULL);
	domain_leave(domain);
	client->own = true;
	munmap(memory, PAGE_SIZE);
	close(first);
	close(second);
}

/* ---- identities ---- */

static struct page_identity identity(struct iommufd_room *self, const void *address)
{
	struct page_identity ret = {};

	ASSERT_OK(self->why, client_page_identity(self->room.client, (uintptr_t)address, &ret, &self->why));
	return ret;
}

static struct page_identity area_identity(struct iommufd_room *self, u64 iova, u64 index)
{
	struct page_identity ret = {};

	ASSERT_OK(self->why,
		  pages_identity(area_pages(ioas_area_at(ioas_by_id(self, 1), iova)), index, &ret, &self->why));
	return ret;
}

IOAS_TEST(identity, same_memory_is_the_same_page)
{
	int fd = new_memfd(2 * PAGE_SIZE);
	u8 *one = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	u8 *two = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, PAGE_SIZE);
	u8 *private = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd, PAGE_SIZE), *memory = pages_of_memory(2);
	struct page_identity a = identity(self, one + PAGE_SIZE), b = identity(self, two), c = identity(self, private);
	u64 iova = 0x10000;

	assert_true(page_identity_equal(&a, &b));
	assert_false(page_identity_equal(&a, &c));
	a = identity(self, memory + PAGE_SIZE + 9);
	b = identity(self, memory);
	assert_false(page_identity_equal(&a, &b));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory, 2 * PAGE_SIZE, 0x20000));
	b = area_identity(self, 0x20000, 1);
	assert_true(page_identity_equal(&a, &b));
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_R, fd, 0, 2 * PAGE_SIZE, &iova));
	a = area_identity(self, 0x10000, 1);
	b = identity(self, two);
	assert_true(page_identity_equal(&a, &b));
	assert_false(a.huge);
	munmap(memory, 2 * PAGE_SIZE);
	EXPECT_REFUSED(CLIENT_FAULT, self->why,
		       client_page_identity(self->room.client, (uintptr_t)memory, &a, &self->why));
	munmap(one, 2 * PAGE_SIZE);
	munmap(two, PAGE_SIZE);
	munmap(private, PAGE_SIZE);
	close(fd);
}

static void expect_pins(struct iommufd_room *self, const u8 *memory, u64 npages, const u32 *expected)
{
	u32 counts[8];
	bool huge[8];

	ASSERT_OK(self->why, iommufd_count_pins(&self->iommufd, self->room.client, (uintptr_t)memory, npages, counts,
						huge, &self->why));
	for (u64 i = 0; i < npages; i++) {
		assert_int_equal(counts[i], expected[i]);
		assert_false(huge[i]);
	}
}

IOAS_TEST(identity, pins_are_counted_once_for_all_that_share_them)
{
	struct domain *domain = domain_join(self, 1);
	int fd = new_memfd(4 * PAGE_SIZE);
	u8 *shared = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *memory = pages_of_memory(4);
	u64 iova = 0x40000;
	u32 counts[4];

	expect_pins(self, memory, 4, (u32[]){0, 0, 0, 0});
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_RW, 1, &iova, 1, 0x10000, 2 * PAGE_SIZE));
	expect_pins(self, memory, 4, (u32[]){1, 1, 0, 0});
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + PAGE_SIZE, 3 * PAGE_SIZE, 0x20000));
	expect_pins(self, memory, 4, (u32[]){1, 2, 1, 1});
	iova = 0x50000;
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, fd, PAGE_SIZE, 3 * PAGE_SIZE, &iova));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, shared + 2 * PAGE_SIZE, PAGE_SIZE, 0x60000));
	expect_pins(self, shared, 4, (u32[]){0, 1, 2, 1});
	munmap(shared + PAGE_SIZE, PAGE_SIZE);
	EXPECT_REFUSED(
		CLIENT_FAULT, self->why,
		iommufd_count_pins(&self->iommufd, self->room.client, (uintptr_t)shared, 4, counts, NULL, &self->why));
	domain_leave(domain);
	expect_pins(self, memory, 4, (u32[]){0, 0, 0, 0});
	munmap(shared, 4 * PAGE_SIZE);
	munmap(memory, 4 * PAGE_SIZE);
	close(fd);
}

/* ---- who pays ---- */

/* Clients of the room that are other processes, with 64 KiB that they may lock. */
struct payers {
	struct client *clients[2];
	pid_t pids[2];
	int tell[2];
};

static void start_payers(struct payers *payers)
{
	for (unsigned i = 0; i < 2; i++) {
		payers->pids[i] = start_powerless(&payers->tell[i], 0);
		payers->clients[i] = self_client_new(payers->pids[i]);
		payers->clients[i]->ops = &ioas_room_ops;
	}
}

static void stop_payers(struct payers *payers)
{
	for (unsigned i = 2; i-- > 0;) {
		close(payers->tell[i]);
		waitpid(payers->pids[i], NULL, 0);
		client_put(payers->clients[i]);
	}
}

/* As the request of MAP_FILE would, but for a client whose memory the structure is not in. */
static int pin_file(struct iommufd_room *self, struct client *client, int fd, u64 size, struct pages **ret)
{
	struct pages_maker maker = {&self->iommufd, client, self->context->charge_mode, true};
	struct memory_file *file = NULL;
	int err = memory_file_get(&self->iommufd.files, dup(fd), &file, &self->why);

	if (err == 0)
		err = pages_new_file(&maker, file, 0, size, ret, &self->why);
	if (err < 0)
		return err;
	err = pages_cover(&self->iommufd, *ret, (struct page_span){0, (size >> PAGE_SHIFT) - 1}, &self->why);
	if (err < 0)
		pages_put(&self->iommufd, *ret);
	return err;
}

static void unpin_file(struct iommufd_room *self, struct pages *pages)
{
	pages_uncover(&self->iommufd, pages, (struct page_span){0, pages_count(pages) - 1});
	pages_put(&self->iommufd, pages);
}

IOAS_TEST(pay, a_user_pays_for_all_its_processes)
{
	int fd = new_memfd(0x20000);
	struct pages *first, *second;
	struct payers payers;

	start_payers(&payers);
	ASSERT_OK(self->why, pin_file(self, payers.clients[0], fd, 0x8000, &first));
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, self->why, pin_file(self, payers.clients[1], fd, 0x9000, &second));
	EXPECT_SUBSTR("32768 bytes locked, RLIMIT_MEMLOCK is 65536, and this request needs 36864", self->why.text);
	ASSERT_OK(self->why, pin_file(self, payers.clients[1], fd, 0x8000, &second));
	assert_int_equal(payers.clients[1]->locked_bytes, 0);
	assert_int_equal(payers.clients[1]->pinned_bytes, 0x8000);
	unpin_file(self, first);
	unpin_file(self, second);
	close(fd);
	stop_payers(&payers);
}

IOAS_TEST(pay, or_each_process_for_itself)
{
	int fd = new_memfd(0x20000);
	struct pages *first, *second;
	struct payers payers;

	self->context->charge_mode = CHARGE_MM;
	start_payers(&payers);
	ASSERT_OK(self->why, pin_file(self, payers.clients[0], fd, 0x10000, &first));
	ASSERT_OK(self->why, pin_file(self, payers.clients[1], fd, 0x10000, &second));
	assert_int_equal(payers.clients[0]->locked_bytes, 0x10000);
	unpin_file(self, first);
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, self->why, pin_file(self, payers.clients[1], fd, PAGE_SIZE, &first));
	unpin_file(self, second);
	assert_int_equal(payers.clients[1]->locked_bytes, 0);
	close(fd);
	stop_payers(&payers);
}

/* ---- CHANGE_PROCESS ---- */

static long change_process(struct iommufd_room *self, u32 reserved)
{
	struct iommu_ioas_change_process change = {.size = sizeof(change), .__reserved = reserved};

	return iommufd_ask(self, IOMMU_IOAS_CHANGE_PROCESS, &change);
}

IOAS_TEST(change_process, is_for_files_only)
{
	struct exported exported;
	u8 *memory = pages_of_memory(1);
	int fd = new_memfd(PAGE_SIZE);
	u64 iova = 0x10000;

	export(&exported, memory, PAGE_SIZE);
	EXPECT_REFUSED(RESERVED_SET, self->why, change_process(self, 1));
	ASSERT_OK(self->why, change_process(self, 0));
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_R, fd, 0, PAGE_SIZE, &iova));
	ASSERT_OK(self->why, change_process(self, 0));
	ASSERT_OK(self->why, ioas_map_at(self, ioas_room_alloc(self), IOAS_R, memory, PAGE_SIZE, 0x20000));
	EXPECT_REFUSED(CHANGE_PROCESS_SOURCE, self->why, change_process(self, 0));
	assert_int_equal(ioas_unmap_range(self, 2, 0, UINT64_MAX), PAGE_SIZE);
	iova = 0x30000;
	ASSERT_OK(self->why, ioas_map_fd(self, 2, FIXED | IOAS_R, BUFFER_FD, 0, PAGE_SIZE, &iova));
	EXPECT_REFUSED(CHANGE_PROCESS_SOURCE, self->why, change_process(self, 0));
	assert_int_equal(ioas_unmap_range(self, 2, 0, UINT64_MAX), PAGE_SIZE);
	close_exported(&exported);
	munmap(memory, PAGE_SIZE);
	close(fd);
}

/* The caller is this process, by another client: as after fork(). */
static long change_to(struct iommufd_room *self, struct client *client)
{
	struct client *before = self->room.client;
	long ret;

	self->room.client = client;
	ret = change_process(self, 0);
	self->room.client = before;
	return ret;
}

IOAS_TEST(change_process, charges_move_to_the_caller)
{
	struct client *before = self->room.client, *after = self_client_new(getpid());
	struct domain *first, *second;
	int fd = new_memfd(4 * PAGE_SIZE);
	u32 other = ioas_room_alloc(self);
	u64 iova = 0x10000;

	first = domain_join(self, 1);
	second = domain_join(self, other);
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_RW, fd, 0, 3 * PAGE_SIZE, &iova));
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_RW, other, &iova, 1, 0x11000, PAGE_SIZE));
	ASSERT_OK(self->why, change_to(self, after));
	assert_int_equal(before->pinned_bytes, 0);
	assert_int_equal(after->pinned_bytes, 3 * PAGE_SIZE);
	ASSERT_OK(self->why, change_to(self, after));
	assert_int_equal(after->pinned_bytes, 3 * PAGE_SIZE);
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 3 * PAGE_SIZE);
	assert_int_equal(after->pinned_bytes, PAGE_SIZE);
	domain_leave(second);
	domain_leave(first);
	assert_int_equal(after->pinned_bytes, 0);
	assert_int_equal(ioas_unmap_range(self, other, 0, UINT64_MAX), PAGE_SIZE);
	client_put(after);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(map_file, refusals_in_their_order),
		CASE(map_file, devices_and_the_program_see_the_same_pages),
		CASE(map_file, pages_must_be_there_when_they_are_pinned),
		CASE(map_file, other_files_are_taken_until_they_are_pinned),
		CASE(map_file, the_chosen_iova_has_the_alignment_of_the_offset),
		CASE(buffer, refusals_in_their_order),
		CASE(buffer, is_reached_until_it_is_taken_back),
		CASE(other, private_memory_is_reached_by_process),
		CASE(other, shared_memory_outlives_its_process),
		CASE(other, memory_that_was_let_go_may_be_another_next_time),
		CASE(identity, same_memory_is_the_same_page),
		CASE(identity, pins_are_counted_once_for_all_that_share_them),
		CASE(pay, a_user_pays_for_all_its_processes),
		CASE(pay, or_each_process_for_itself),
		CASE(change_process, is_for_files_only),
		CASE(change_process, charges_move_to_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
