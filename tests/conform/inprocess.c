/* SPDX-License-Identifier: MIT */
/*
 * A machine inside the test's own process: the linker sends the tests' system calls here (--wrap), and those that are
 * the machine's go to it. The machine makes the same calls for itself; a thread that is inside passes through.
 *
 * Every step of every call can be made to fail (CONFORM_SWEEP):
 *
 *	calls	the first step of a call fails, then the second, ... until none does; each failed attempt must return an
 *		error, keep every invariant and leave all as it was, so that the test goes on as if nothing had been.
 *		Steps that a call copes without are skipped in another pass of the test, to reach those behind them.
 *	all	the n-th step of the whole test fails, for n = 1, 2, ...; what follows in the test is abandoned, and
 *what it held is closed in that state
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "isolde/abi/vfio.h"
#include "isolde/isolde.h"
#include "machine/api.h"
#include "machine/machine.h"
#include "tests/conform/conform.h"
#include "tests/conform/state.h"

enum { STRIDE = 64, MOST_PASSES = 1000, MOST_COPED = 4096, SAVED = 4096 };

enum sweep { SWEEP_NONE, SWEEP_CALLS, SWEEP_ALL };

/* One system call to the machine, to be made as often as needed. */
struct call {
	answer (*perform)(struct call *call);
	const char *path;
	int fd, flags, prot;
	unsigned long request;
	void *buffer;
	size_t size;
	u64 offset;
	void *mapped;
};

/* Step `step` of call number `call` failed, and the call worked all the same. */
struct coped {
	unsigned call, step;
};

static struct inside {
	struct isolde_machine *machine;
	char name[128];
	enum sweep sweep;
	unsigned pass, ncalls;
	struct coped coped[MOST_COPED];
	unsigned ncoped, known_coped; /* known: before this pass */
	unsigned failing, steps_left; /* SWEEP_ALL: the step that fails; how far it is */
	bool fired;
} inside;

/* Above 0: this thread is in the machine, or never belonged to a test. */
static _Thread_local unsigned depth = 1;
/* Beside the thread of the test: its calls are not made to fail. */
static _Thread_local bool is_beside;
static _Thread_local struct isolde_why last_why;

static void __attribute__((noreturn, format(printf, 1, 2))) broken(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", inside.name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

/* ---- the n-th step fails ---- */

/* The structure of a request, as far as it can be read: a failed attempt may have answered into it. */
struct saved {
	u8 bytes[SAVED];
	ssize_t size;
};

static ssize_t peek(const void *address, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)address, size};

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

static void save(const struct call *call, struct saved *saved)
{
	u32 size;

	saved->size = 0;
	if (!call->request || peek(call->buffer, &size, sizeof(size)) != sizeof(size))
		return;
	saved->size = peek(call->buffer, saved->bytes, size < SAVED ? size : SAVED);
}

/* False: it cannot be written. */
static bool restore(const struct call *call, struct saved *saved)
{
	struct iovec local = {saved->bytes, (size_t)saved->size}, remote = {call->buffer, (size_t)saved->size};

	return saved->size <= 0 || process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == saved->size;
}

static answer perform_mmap(struct call *call);

static bool is_coped(unsigned step)
{
	for (unsigned i = 0; i < inside.known_coped; i++)
		if (inside.coped[i].call == inside.ncalls && inside.coped[i].step == step)
			return true;
	return false;
}

static void note_coped(unsigned step)
{
	if (inside.ncoped == MOST_COPED)
		broken("more than %d steps that calls cope without", MOST_COPED);
	inside.coped[inside.ncoped++] = (struct coped){inside.ncalls, step};
}

/*
 * An unmap of VFIO's may have cut an area at its one end before the other (so has Linux's, iopt_cut_iova()); a region
 * counts as mapped until somebody wants to know better (iommufd/mmap.c).
 */
static bool may_leave_traces(const struct call *call)
{
	return call->request == VFIO_IOMMU_UNMAP_DMA || call->perform == perform_mmap;
}

/* The answer of an attach cannot be given: it is done, and the device itself detached (spec 04 section 6.2). */
static bool loses_its_answer(const struct call *call)
{
	struct saved saved;

	if (call->request != VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return false;
	save(call, &saved);
	return saved.size > 0 && !restore(call, &saved);
}

/* No attempt is without effect. So is an event that cannot be stored: it counts as lost. */
static bool always_counts(const struct call *call)
{
	const struct mock_request *request = call->buffer;

	if (loses_its_answer(call))
		return true;
	return call->request == MOCK_CMD && request && request->op == MOCK_EVENT;
}

/* A failed attempt leaves the machine as it was, as far as anybody can see. */
static void check_as_before(const struct call *call, unsigned step, const char *before)
{
	char *now = state_text(inside.machine->machine);
	const char *left = before, *right = now;

	if (state_differs(&left, &right) && !may_leave_traces(call))
		broken("request %#lx: step %u failed (%s), and now something is different\nbefore: %.200s\nafter: "
		       "%.200s",
		       call->request, step, last_why.text, left, right);
	free(now);
}

static answer sweep_attempts(struct call *call, const char *before)
{
	struct saved saved;

	save(call, &saved);
	for (unsigned step = 1;; step++) {
		bool fired;
		answer got;

		if (is_coped(step))
			continue;
		fail_nth_arm(step);
		got = call->perform(call);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		if (fired && got >= 0)
			note_coped(step);
		if (!fired || got >= 0)
			return got;
		if (last_why.err != -got)
			broken("request %#lx: step %u failed: answer %ld, reason \"%s\" (%d)", call->request, step, got,
			       last_why.text, last_why.err);
		isolde_machine_check(inside.machine);
		check_as_before(call, step, before);
		(void)restore(call, &saved);
	}
}

static answer sweep_call(struct call *call)
{
	char *before;
	answer got;

	if (always_counts(call))
		return call->perform(call);
	before = state_text(inside.machine->machine);
	got = sweep_attempts(call, before);
	free(before);
	return got;
}

static answer perform_until_failure(struct call *call)
{
	answer got;

	if (inside.fired)
		return call->perform(call);
	fail_nth_arm(inside.steps_left);
	got = call->perform(call);
	inside.fired = fail_nth_fired();
	inside.steps_left = fail_nth_left();
	fail_nth_arm(0);
	return got;
}

static answer perform(struct call *call)
{
	answer got;

	depth++;
	inside.ncalls += !is_beside;
	if (is_beside || inside.sweep == SWEEP_NONE)
		got = call->perform(call);
	else if (inside.sweep == SWEEP_CALLS)
		got = sweep_call(call);
	else
		got = perform_until_failure(call);
	if (inside.sweep == SWEEP_CALLS || (inside.fired && !is_beside))
		isolde_machine_check(inside.machine);
	depth--;
	if (got < 0)
		errno = (int)-got;
	return got < 0 ? -1 : got;
}

/* ---- system calls ---- */

static bool is_ours(int fd)
{
	struct stat stat;
	bool ours;

	if (depth > 0 || fstat(fd, &stat) < 0)
		return false;
	depth++;
	ours = machine_find_file(inside.machine->machine, stat.st_dev, stat.st_ino);
	depth--;
	return ours;
}

static answer perform_open(struct call *call)
{
	return isolde_open(inside.machine, call->path, call->flags, &last_why);
}

static answer perform_ioctl(struct call *call)
{
	return isolde_ioctl(inside.machine, call->fd, call->request, call->buffer, &last_why);
}

static answer perform_read(struct call *call)
{
	return isolde_read(inside.machine, call->fd, call->buffer, call->size, &last_why);
}

static answer perform_write(struct call *call)
{
	return isolde_write(inside.machine, call->fd, call->buffer, call->size, &last_why);
}

static answer perform_pread(struct call *call)
{
	return isolde_pread(inside.machine, call->fd, call->buffer, call->size, call->offset, &last_why);
}

static answer perform_pwrite(struct call *call)
{
	return isolde_pwrite(inside.machine, call->fd, call->buffer, call->size, call->offset, &last_why);
}

static answer perform_poll(struct call *call)
{
	return isolde_poll(inside.machine, call->fd, (short)call->flags, call->prot, &last_why);
}

static answer perform_mmap(struct call *call)
{
	return isolde_mmap(inside.machine, call->fd, call->size, call->prot, call->flags, call->offset, &call->mapped,
			   &last_why);
}

static answer perform_close(struct call *call)
{
	return isolde_close(inside.machine, call->fd);
}

/* An attribute of the machine's /sys: its text, in a file of its own. */
static int open_attribute(const char *path)
{
	char text[4096];
	ssize_t length;
	int fd = -1;

	depth++;
	length = isolde_attribute_read(inside.machine, path + 1, text, sizeof(text), &last_why);
	if (length >= 0) {
		fd = memfd_create("attribute", MFD_CLOEXEC);
		if (write(fd, text, (size_t)length) != length)
			broken("memfd of %s", path);
		lseek(fd, 0, SEEK_SET);
	} else {
		errno = (int)-length;
	}
	depth--;
	return fd;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
	struct call call = {.perform = perform_open, .path = path, .flags = flags};
	mode_t mode = 0;
	va_list arguments;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	if (depth == 0 && strncmp(path, "/sys/", 5) == 0)
		return open_attribute(path);
	return depth == 0 && machine_owns_path(path) ? (int)perform(&call) : __real_open64(path, flags, mode);
}

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	struct call call = {.perform = perform_ioctl, .fd = fd, .request = request, .buffer = argument};

	return is_ours(fd) ? (int)perform(&call) : __real_ioctl(fd, request, argument);
}

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	struct call call = {.perform = perform_read, .fd = fd, .buffer = buffer, .size = size};

	return is_ours(fd) ? perform(&call) : __real_read(fd, buffer, size);
}

ssize_t __real_write(int fd, const void *buffer, size_t size);
ssize_t __wrap_write(int fd, const void *buffer, size_t size);

ssize_t __wrap_write(int fd, const void *buffer, size_t size)
{
	struct call call = {.perform = perform_write, .fd = fd, .buffer = (void *)(uintptr_t)buffer, .size = size};

	return is_ours(fd) ? perform(&call) : __real_write(fd, buffer, size);
}

ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);

ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
	struct call call = {.perform = perform_pread, .fd = fd, .buffer = buffer, .size = size, .offset = (u64)offset};

	return is_ours(fd) ? perform(&call) : __real_pread64(fd, buffer, size, offset);
}

ssize_t __real_pwrite64(int fd, const void *buffer, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *buffer, size_t size, off_t offset);

ssize_t __wrap_pwrite64(int fd, const void *buffer, size_t size, off_t offset)
{
	struct call call = {.perform = perform_pwrite,
			    .fd = fd,
			    .buffer = (void *)(uintptr_t)buffer,
			    .size = size,
			    .offset = (u64)offset};

	return is_ours(fd) ? perform(&call) : __real_pwrite64(fd, buffer, size, offset);
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

/* Tests poll one descriptor at a time. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct call call = {.perform = perform_poll, .fd = fds->fd, .flags = fds->events, .prot = timeout};
	answer got;

	if (count != 1 || !is_ours(fds->fd))
		return __real_poll(fds, count, timeout);
	got = perform(&call);
	fds->revents = got > 0 ? (short)got : 0;
	return got > 0 ? 1 : (int)got;
}

void *__real_mmap64(void *address, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t size, int prot, int flags, int fd, off_t offset);

void *__wrap_mmap64(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct call call = {
		.perform = perform_mmap, .fd = fd, .size = size, .prot = prot, .flags = flags, .offset = (u64)offset};

	if (!is_ours(fd))
		return __real_mmap64(address, size, prot, flags, fd, offset);
	return perform(&call) < 0 ? MAP_FAILED : call.mapped;
}

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
	struct call call = {.perform = perform_close, .fd = fd};

	return is_ours(fd) ? (int)perform(&call) : __real_close(fd);
}

ssize_t __real_readlink(const char *path, char *buffer, size_t size);
ssize_t __wrap_readlink(const char *path, char *buffer, size_t size);

ssize_t __wrap_readlink(const char *path, char *buffer, size_t size)
{
	struct machine *machine;
	struct node *node;
	char folder[256];
	size_t length = 0;

	if (depth > 0 || strncmp(path, "/sys/", 5) != 0)
		return __real_readlink(path, buffer, size);
	depth++;
	machine = inside.machine->machine;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path - 1), path + 1);
	mutex_lock(&machine->lock);
	node = node_walk(machine->root, folder);
	node = node ? node_child(node, strrchr(path, '/') + 1) : NULL;
	if (node && node->kind == NODE_LINK) {
		length = strnlen(node->target, size);
		memcpy(buffer, node->target, length);
	}
	mutex_unlock(&machine->lock);
	depth--;
	if (!length)
		errno = ENOENT;
	return length ? (ssize_t)length : -1;
}

/* ---- a machine for each test ---- */

static enum sweep sweep_wanted(void)
{
	const char *wanted = getenv("CONFORM_SWEEP");

	if (!wanted)
		return SWEEP_NONE;
	if (strcmp(wanted, "calls") == 0)
		return SWEEP_CALLS;
	if (strcmp(wanted, "all") == 0)
		return SWEEP_ALL;
	broken("CONFORM_SWEEP=%s is neither calls nor all", wanted);
}

/* These name what belongs to vfio-pci. */
static unsigned binds(char texts[static 8][32], const char *pointers[static 9])
{
	const char *variables[] = {"ISOLDE_BDF",     "ISOLDE_SIBLINGS", "ISOLDE_MOVABLE", "ISOLDE_PHYSICAL",
				   "ISOLDE_PCI",     "ISOLDE_TWINS",	"ISOLDE_ROOTED",  "ISOLDE_BESIDE",
				   "ISOLDE_FRAGILE", "ISOLDE_REACHES",	"ISOLDE_BARE",	  "ISOLDE_SHORT"};
	unsigned count = 0;

	FOR_EACH(variable, variables)
	{
		char list[128], *rest = list, *name;

		snprintf(list, sizeof(list), "%s", getenv(*variable) ?: "");
		while (count < 8 && (name = strsep(&rest, ",")))
			if (*name) {
				snprintf(texts[count], 32, "vfio-pci=%s", name);
				pointers[count] = texts[count];
				count++;
			}
	}
	pointers[count] = NULL;
	return count;
}

static void machine_begin(void)
{
	char texts[8][32];
	const char *pointers[9];
	const struct isolde_machine_options options = {
		.size = sizeof(options),
		.machine = getenv("CONFORM_MACHINE"),
		.binds = binds(texts, pointers) ? pointers : NULL,
	};

	if (isolde_machine_new(&options, &inside.machine, &last_why) < 0)
		broken("no machine: %s", last_why.text);
	last_why.text[0] = '\0';
}

answer conform_write(const char *path, const char *text)
{
	unsigned left = fail_nth_left();
	answer got;

	fail_nth_arm(0);
	depth++;
	got = isolde_attribute_write(inside.machine, path, text, strlen(text), &last_why);
	depth--;
	fail_nth_arm(left);
	return got;
}

bool conform_is_outside(void)
{
	return false;
}

void conform_begin_thread(bool beside)
{
	depth = 0;
	is_beside = beside;
}

void conform_begin(const char *name)
{
	if (strcmp(name, inside.name) != 0) {
		snprintf(inside.name, sizeof(inside.name), "%s", name);
		inside.sweep = sweep_wanted();
		inside.pass = inside.ncoped = inside.failing = 0;
	}
	inside.pass++;
	inside.ncalls = 0;
	inside.known_coped = inside.ncoped;
	inside.fired = false;
	inside.failing += 1 + inside.failing / STRIDE;
	inside.steps_left = inside.failing;
	machine_begin();
	depth = 0;
}

/* The test has closed everything. */
static void check_nothing_left(void)
{
	const struct machine *machine = inside.machine->machine;

	isolde_machine_check(inside.machine);
	if (!list_empty(&machine->iommufd.contexts))
		broken("a context of /dev/iommu outlives the test");
	if (conform_pinned_kib() || conform_locked_kib())
		broken("%ld KiB pinned and %ld KiB locked are still charged", conform_pinned_kib(),
		       conform_locked_kib());
}

bool conform_end(bool *passed)
{
	bool again = false;

	depth = 1;
	fail_nth_arm(0);
	if (inside.sweep == SWEEP_CALLS)
		again = inside.ncoped > inside.known_coped;
	else if (inside.sweep == SWEEP_ALL)
		again = inside.fired;
	if (again)
		*passed = true; /* it failed because a step did; the last pass counts */
	check_nothing_left();
	isolde_machine_free(inside.machine);
	inside.machine = NULL;
	if (again && inside.pass == MOST_PASSES && inside.sweep == SWEEP_CALLS)
		broken("no end after %d passes", MOST_PASSES);
	return again && *passed;
}

const char *conform_reason(void)
{
	return last_why.text;
}

long conform_pinned_kib(void)
{
	return (long)(inside.machine->client.pinned_bytes / 1024);
}

long conform_locked_kib(void)
{
	return (long)(inside.machine->client.locked_bytes / 1024);
}
