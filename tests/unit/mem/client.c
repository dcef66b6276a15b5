/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/os.h"
#include "mem/vma.h"
#include "tests/fixtures/holder.h"
#include "tests/fixtures/patience.h"
#include "tests/fixtures/self_client.h"

static u8 *anonymous(size_t size, int protection)
{
	u8 *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

TEST(client, arguments_are_copied_or_the_address_is_named)
{
	struct client *client = self_client_new(getpid());
	struct why why = WHY_INIT;
	u32 here = 0, there = 0x1234;

	ASSERT_OK(why, client_read(client, (uintptr_t)&there, &here, 4, &why));
	assert_int_equal(here, 0x1234);
	here = 0x5678;
	ASSERT_OK(why, client_write(client, (uintptr_t)&there, &here, 4, &why));
	assert_int_equal(there, 0x5678);
	EXPECT_REFUSED(CLIENT_FAULT, why, client_read(client, 0x10, &here, 4, &why));
	EXPECT_SUBSTR("0x10", why.text);
	EXPECT_REFUSED(CLIENT_FAULT, why, client_write(client, 0, &here, 4, &why));
	client_put(client);
}

TEST(client, strings_may_stop_right_before_a_hole)
{
	struct client *client = self_client_new(getpid());
	struct why why = WHY_INIT;
	u8 *memory = anonymous(2 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	char text[16];

	munmap(memory + PAGE_SIZE, PAGE_SIZE);
	memcpy(memory + PAGE_SIZE - 6, "hello", 6);
	ASSERT_OK(why, client_read_string(client, (uintptr_t)memory + PAGE_SIZE - 6, text, sizeof(text), &why));
	assert_string_equal(text, "hello");
	memset(memory, 'x', PAGE_SIZE);
	EXPECT_REFUSED(STRING_TOO_LONG, why, client_read_string(client, (uintptr_t)memory, text, sizeof(text), &why));
	EXPECT_REFUSED(CLIENT_FAULT, why,
		       client_read_string(client, (uintptr_t)memory + PAGE_SIZE - 4, text, sizeof(text), &why));
	munmap(memory, PAGE_SIZE);
	client_put(client);
}

/* Shorter ones are filled up with zeroes, longer ones must have nothing but zeroes behind what we know. */
TEST(client, structures_may_grow)
{
	struct client *client = self_client_new(getpid());
	struct why why = WHY_INIT;
	u8 *memory = anonymous(2 * PAGE_SIZE, PROT_READ | PROT_WRITE), *at = memory + PAGE_SIZE - 16, got[8];

	munmap(memory + PAGE_SIZE, PAGE_SIZE);
	memset(at, 0x11, 8);
	ASSERT_OK(why, client_read_struct(client, (uintptr_t)at, 3, got, sizeof(got), &why));
	assert_memory_equal(got, "\x11\x11\x11\0\0\0\0\0", 8);
	ASSERT_OK(why, client_read_struct(client, (uintptr_t)at, 16, got, sizeof(got), &why));
	assert_memory_equal(got, at, 8);
	EXPECT_REFUSED(CLIENT_FAULT, why, client_read_struct(client, (uintptr_t)at, 17, got, sizeof(got), &why));
	at[15] = 1;
	EXPECT_REFUSED(FIELD_UNKNOWN, why, client_read_struct(client, (uintptr_t)at, 16, got, sizeof(got), &why));
	EXPECT_SUBSTR("byte 15 of", why.text);
	/* What is set is told before what is not there. */
	EXPECT_REFUSED(FIELD_UNKNOWN, why, client_read_struct(client, (uintptr_t)at, 9000, got, sizeof(got), &why));
	ASSERT_OK(why, client_read_struct(client, (uintptr_t)at, 15, got, sizeof(got), &why));
	munmap(memory, PAGE_SIZE);
	client_put(client);
}

TEST(client, a_range_with_a_hole_or_without_permission_is_refused_by_address)
{
	struct client *client = self_client_new(getpid());
	struct why why = WHY_INIT;
	u8 *memory = anonymous(4 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	u64 address = (uintptr_t)memory;
	char hole[32];

	ASSERT_OK(why, client_check_range(client, address, 4 * PAGE_SIZE, true, &why));
	mprotect(memory + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	ASSERT_OK(why, client_check_range(client, address, 4 * PAGE_SIZE, false, &why));
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_range(client, address, 4 * PAGE_SIZE, true, &why));
	EXPECT_SUBSTR("read-only", why.text);
	munmap(memory + PAGE_SIZE, PAGE_SIZE);
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_range(client, address, 4 * PAGE_SIZE, false, &why));
	snprintf(hole, sizeof(hole), "0x%llx", (unsigned long long)address + PAGE_SIZE);
	EXPECT_SUBSTR(hole, why.text);
	munmap(memory, 4 * PAGE_SIZE);
	client_put(client);
}

/* A child that says that it is there and waits on a pipe; then it exits or turns into another program. */
static pid_t start_child(int *ret_tell, bool exec)
{
	int ends[2], ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		end_with_the_test();
		close(ends[1]);
		if (write(ready[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1 && exec)
			execlp("sleep", "sleep", "300", (char *)NULL);
		_exit(0);
	}
	close(ends[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_tell = ends[1];
	return child;
}

static bool read_word(struct client *client, const void *address, u32 *ret)
{
	struct iovec local = {ret, 4}, remote = {(void *)(uintptr_t)address, 4};

	return client_dma_read(client, &local, 1, &remote, 1);
}

/* /proc has the next address space then, perhaps. */
TEST(client, after_exec_it_is_too_late_to_hold_memory)
{
	static u32 word = 0xabcdef;
	struct client *client;
	u32 value = 0;
	pid_t child;
	int tell;

	child = start_child(&tell, true);
	client = self_client_new(child);
	atomic_store(&client->execed, true);
	client_hold_memory(client);
	assert_int_equal(client->memory_fd, -1);
	assert_false(client_memory_lives(client, (uintptr_t)&word));
	assert_false(read_word(client, &word, &value));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(tell);
	client_put(client);
}

TEST(client, addresses_that_a_program_could_have_end_below_the_kernels)
{
	assert_true(client_could_have(0, 0));
	assert_true(client_could_have(BIT(47) - 2 * PAGE_SIZE, PAGE_SIZE));
	assert_false(client_could_have(BIT(56) - PAGE_SIZE, 1));
	assert_false(client_could_have(BIT(63), 0));
	assert_false(client_could_have(PAGE_SIZE, UINT64_MAX - 1));
	assert_false(client_could_have(UINT64_MAX, 1));
	/* Where there are higher ones, a program can have them. */
	assert_int_equal(client_could_have(BIT(47), 1), client_could_have(BIT(56) - 2 * PAGE_SIZE, PAGE_SIZE));
}

TEST(client, after_exec_the_old_address_space_is_gone_and_the_new_one_is_not_touched)
{
	static u32 word = 0xabcdef;
	struct why why = WHY_INIT;
	struct client *client;
	u32 value = 0;
	pid_t child;
	int tell;

	child = start_child(&tell, true);
	client = self_client_new(child);
	ASSERT_OK(why, client_check_range(client, (uintptr_t)&word, 4, true, &why));
	assert_true(read_word(client, &word, &value));
	assert_int_equal(value, 0xabcdef);
	atomic_store(&client->execed, true);
	assert_true(read_word(client, &word, &value)); /* announced, not yet done */
	assert_true(client_memory_lives(client, (uintptr_t)&word));
	assert_int_equal(write(tell, "x", 1), 1);
	for (int i = 0; i < PATIENCE_MS / 10 && read_word(client, &word, &value); i++)
		usleep(10000);
	assert_false(read_word(client, &word, &value));
	assert_false(client_memory_lives(client, (uintptr_t)&word));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(tell);
	client_put(client);
}

/* Some milliseconds' worth. */
enum { LONG = 64 << 20 };

struct long_transfer {
	struct client *client;
	pthread_t thread;
	pid_t child;
	int tell;
	u8 *from, *to;
	bool moved;
	atomic_bool ended; /* the host may refuse it */
};

static void *transfer(void *argument)
{
	struct long_transfer *transfer = argument;
	struct iovec local = {transfer->from, LONG}, remote = {transfer->to, LONG};

	transfer->moved = client_dma_write(transfer->client, &local, 1, &remote, 1);
	atomic_store(&transfer->ended, true);
	return NULL;
}

/* To a child, and on its way, unless the host refuses it. */
static void begin_transfer(struct long_transfer *transfer_of)
{
	*transfer_of = (struct long_transfer){.from = anonymous(LONG, PROT_READ | PROT_WRITE)};
	transfer_of->to = mmap(NULL, LONG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(transfer_of->to, MAP_FAILED);
	memset(transfer_of->from, 'x', LONG);
	transfer_of->child = start_child(&transfer_of->tell, false);
	transfer_of->client = self_client_new(transfer_of->child);
	client_hold_memory(transfer_of->client);
	assert_int_equal(pthread_create(&transfer_of->thread, NULL, transfer, transfer_of), 0);
	while (!__atomic_load_n(&transfer_of->to[0], __ATOMIC_ACQUIRE) && !atomic_load(&transfer_of->ended))
		sched_yield();
}

static void end_child(const struct long_transfer *transfer_of)
{
	kill(transfer_of->child, SIGKILL);
	waitpid(transfer_of->child, NULL, 0);
	close(transfer_of->tell);
}

static void end_transfer(struct long_transfer *transfer_of)
{
	pthread_join(transfer_of->thread, NULL);
	assert_true(transfer_of->moved);
	client_put(transfer_of->client);
	munmap(transfer_of->from, LONG);
	munmap(transfer_of->to, LONG);
}

/* What is under way would reach the new one, if it had not begun yet. */
TEST(client, before_exec_transfers_come_to_their_end)
{
	struct long_transfer transfer_of;
	u8 last;

	begin_transfer(&transfer_of);
	client_execs(transfer_of.client);
	last = __atomic_load_n(&transfer_of.to[LONG - 1], __ATOMIC_ACQUIRE);
	end_child(&transfer_of);
	end_transfer(&transfer_of);
	assert_int_equal(last, 'x');
}

/* Only then is what was mapped there unmapped. */
TEST(client, when_a_process_has_ended_transfers_come_to_their_end)
{
	struct long_transfer transfer_of;
	u64 began = os_clock_ns();
	unsigned left;

	begin_transfer(&transfer_of);
	end_child(&transfer_of);
	client_ends(transfer_of.client);
	left = atomic_load(&transfer_of.client->transfers);
	/* It waits ten seconds; a host that is slower than that says nothing. */
	if (os_clock_ns() - began < 9000000000)
		assert_int_equal(left, 0);
	end_transfer(&transfer_of);
}

TEST(client, a_gone_client_has_no_memory)
{
	static u32 word = 7;
	struct client *client = self_client_new(getpid());
	u32 value;

	assert_true(read_word(client, &word, &value));
	atomic_store(&client->gone, true);
	assert_false(read_word(client, &word, &value));
	client_put(client);
}

static void expect_same(const struct vma *a, const struct vma *b)
{
	assert_int_equal(a->start, b->start);
	assert_int_equal(a->last, b->last);
	assert_int_equal(a->readable, b->readable);
	assert_int_equal(a->writable, b->writable);
	assert_int_equal(a->shared, b->shared);
	assert_int_equal(a->file_offset, b->file_offset);
	assert_int_equal(a->inode, b->inode);
	assert_int_equal(a->device_major, b->device_major);
	assert_int_equal(a->device_minor, b->device_minor);
}

/* A child does not change while we look. */
TEST(client, both_ways_to_ask_for_mappings_agree)
{
	struct vma asked, read;
	struct client *client;
	unsigned seen = 0;
	pid_t child;
	u64 at = 0;
	int tell;

	child = start_child(&tell, false);
	client = self_client_new(child);
	while (vma_find(client, at, &asked) && asked.start < BIT(47)) {
		assert_true(vma_find_in_text(client, at, &read));
		expect_same(&asked, &read);
		/* Asked for less, in the middle, and as a handler of signals has to read it. */
		asked.name[0] = '\0';
		assert_true(vma_at(client, asked.start + 1, &read));
		expect_same(&asked, &read);
		assert_true(vma_at_in_text(client, asked.last, &read));
		expect_same(&asked, &read);
		at = asked.last + 1;
		seen++;
	}
	assert_true(seen > 5);
	close(tell);
	waitpid(child, NULL, 0);
	/* The descriptor means that address space, which has ended. */
	assert_false(vma_find(client, 0, &asked));
	assert_false(vma_find_in_text(client, 0, &read));
	assert_false(vma_at(client, 0, &read));
	assert_false(vma_at_in_text(client, 0, &read));
	client_put(client);
}

TEST(client, mappings_are_found_by_the_offsets_of_their_files)
{
	struct client *client = self_client_new(getpid());
	int fd = memfd_create("far", MFD_CLOEXEC);
	u8 *far = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 1ll << 43);

	assert_true(vma_has_offsets(client, BIT(43), BIT(43)));
	assert_true(vma_has_offsets(client, BIT(42), BIT(44)));
	assert_false(vma_has_offsets(client, BIT(43) + 1, BIT(44)));
	assert_false(vma_has_offsets(client, BIT(42), BIT(43) - 1));
	munmap(far, PAGE_SIZE);
	assert_false(vma_has_offsets(client, BIT(42), BIT(44)));
	far = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd, 1ll << 43);
	assert_false(vma_has_offsets(client, BIT(42), BIT(44)));
	munmap(far, PAGE_SIZE);
	close(fd);
	client_put(client);
}

TEST(client, what_is_mapped_there_instead_is_named)
{
	struct client *client = self_client_new(getpid());
	struct why why = WHY_INIT;
	u8 *memory = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fileno(tmpfile()), 0);
	u8 *secret = anonymous(PAGE_SIZE, PROT_NONE);

	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_range(client, (uintptr_t)memory, PAGE_SIZE, true, &why));
	EXPECT_SUBSTR("/", why.text);
	EXPECT_SUBSTR("is mapped there, read-only", why.text);
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_range(client, (uintptr_t)secret, PAGE_SIZE, false, &why));
	EXPECT_SUBSTR("anonymous memory is mapped there, inaccessible", why.text);
	munmap(memory, PAGE_SIZE);
	munmap(secret, PAGE_SIZE);
	client_put(client);
}

/* A process that gives up its privileges, as client: it has nothing that root has. */
TEST(client, capabilities_are_those_of_the_process)
{
	struct client *self = self_client_new(getpid()), *nobody;
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(1);
		end_with_the_test();
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	nobody = self_client_new(pid);
	assert_int_equal(client_capable(self, 24), geteuid() == 0);
	assert_false(client_capable(nobody, 24));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_false(client_capable(nobody, 24));
	client_put(nobody);
	client_put(self);
	close(ready[0]);
	close(ready[1]);
}

/* It could have the one back, so it has given up nothing: where root has been denied others, they are still counted. */
TEST(client, one_capability_put_aside_is_that_one_only)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct client *client;
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		end_with_the_test();
		syscall(SYS_capget, &header, data);
		data[0].effective &= ~(u32)BIT(CAP_IPC_LOCK);
		syscall(SYS_capset, &header, data);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	client = self_client_new(pid);
	assert_int_equal(client_capable(client, CAP_SYS_RESOURCE), geteuid() == 0);
	syscall(SYS_capget, &header, data);
	if (data[0].effective & BIT(CAP_IPC_LOCK))
		assert_false(client_capable(client, CAP_IPC_LOCK));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	client_put(client);
	close(ready[0]);
	close(ready[1]);
}

/* What pinning refuses. `device` is a file that the client takes for a device's registers. */
static u64 device_inode;

static struct file *file_of_the_machine(struct client *client, u64 host_device, u64 inode)
{
	static u8 some;

	return inode == device_inode ? (struct file *)(void *)&some : NULL;
}

static const struct client_ops pin_ops = {.free = self_client_free, .file_at = file_of_the_machine};

static u8 *file_memory(int fd, u64 size)
{
	u8 *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

#define BIG (80 * PAGE_SIZE)

/* The same questions for a small range and for one that is too big to be touched. */
static void expect_pins(struct client *client, u64 size)
{
	u8 *memory = anonymous(size + PAGE_SIZE, PROT_READ | PROT_WRITE), *shared;
	int fd = memfd_create("pinned", MFD_CLOEXEC);
	struct why why = WHY_INIT;
	struct stat status;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	shared = file_memory(fd, size);
	munmap(memory + size, PAGE_SIZE);
	ASSERT_OK(why, client_check_pin(client, (uintptr_t)memory, size, true, &why));
	ASSERT_OK(why, client_check_pin(client, (uintptr_t)shared, size, true, &why));
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_pin(client, (uintptr_t)memory, size + 1, false, &why));
	EXPECT_SUBSTR("has nothing mapped", why.text);
	mprotect(memory + size - PAGE_SIZE, PAGE_SIZE, PROT_READ);
	ASSERT_OK(why, client_check_pin(client, (uintptr_t)memory, size, false, &why));
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_pin(client, (uintptr_t)memory, size, true, &why));
	EXPECT_SUBSTR("read-only", why.text);
	assert_int_equal(ftruncate(fd, (off_t)(size - PAGE_SIZE)), 0);
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_pin(client, (uintptr_t)shared, size, false, &why));
	EXPECT_SUBSTR("beyond the file's size", why.text);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	ASSERT_OK(why, client_note_mapping(client, (uintptr_t)shared, size, &why));
	ASSERT_OK(why, client_check_pin(client, (uintptr_t)shared, size, true, &why));
	assert_int_equal(fstat(fd, &status), 0);
	device_inode = status.st_ino;
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_pin(client, (uintptr_t)shared, size, true, &why));
	EXPECT_SUBSTR("registers of a device", why.text);
	device_inode = 0;
	/* Something else may be there by now. */
	ASSERT_OK(why, client_note_mapping(client, (uintptr_t)shared, size, &why));
	ASSERT_OK(why, client_check_pin(client, (uintptr_t)shared, size, true, &why));
	munmap(shared, size);
	munmap(memory, size);
	close(fd);
}

TEST(client, pins_are_checked_by_touching_or_by_asking)
{
	struct client *client = calloc(1, sizeof(*client));

	client_init(client, &pin_ops, getpid());
	expect_pins(client, 2 * PAGE_SIZE);
	expect_pins(client, BIG);
	client_put(client);
}

/* As for another process: asked for everything. */
TEST(client, pins_of_another_process_are_asked_for)
{
	struct client *client = calloc(1, sizeof(*client));

	client_init(client, &pin_ops, getpid());
	client->own = false;
	expect_pins(client, 2 * PAGE_SIZE);
	client_put(client);
}

TEST(client, a_hole_in_a_small_file_mapping_is_found)
{
	struct client *client = self_client_new(getpid());
	int fd = memfd_create("pinned", MFD_CLOEXEC);
	u8 *memory = file_memory(fd, 2 * PAGE_SIZE);
	struct why why = WHY_INIT;

	/* The second page is mapped over by one that is there. */
	assert_ptr_equal(mmap(memory + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 memory + PAGE_SIZE);
	EXPECT_REFUSED(CLIENT_FAULT, why, client_check_pin(client, (uintptr_t)memory, 2 * PAGE_SIZE, false, &why));
	munmap(memory, 2 * PAGE_SIZE);
	close(fd);
	client_put(client);
}

static int note_twice(struct why *why)
{
	struct client *client = self_client_new(getpid());
	int err = client_note_mapping(client, 0x1000, 0x2000, why);

	if (err == 0)
		err = client_note_mapping(client, 0x2000, 0x2000, why);
	client_put(client);
	return err;
}

TEST(client, noting_a_mapping_may_fail)
{
	SWEEP_FAILURES(note_twice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(client, arguments_are_copied_or_the_address_is_named),
		CASE(client, capabilities_are_those_of_the_process),
		CASE(client, one_capability_put_aside_is_that_one_only),
		CASE(client, strings_may_stop_right_before_a_hole),
		CASE(client, structures_may_grow),
		CASE(client, a_range_with_a_hole_or_without_permission_is_refused_by_address),
		CASE(client, after_exec_it_is_too_late_to_hold_memory),
		CASE(client, addresses_that_a_program_could_have_end_below_the_kernels),
		CASE(client, after_exec_the_old_address_space_is_gone_and_the_new_one_is_not_touched),
		CASE(client, before_exec_transfers_come_to_their_end),
		CASE(client, when_a_process_has_ended_transfers_come_to_their_end),
		CASE(client, a_gone_client_has_no_memory),
		CASE(client, both_ways_to_ask_for_mappings_agree),
		CASE(client, mappings_are_found_by_the_offsets_of_their_files),
		CASE(client, what_is_mapped_there_instead_is_named),
		CASE(client, pins_are_checked_by_touching_or_by_asking),
		CASE(client, pins_of_another_process_are_asked_for),
		CASE(client, a_hole_in_a_small_file_mapping_is_found),
		CASE(client, noting_a_mapping_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
