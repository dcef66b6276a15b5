/* SPDX-License-Identifier: MIT */
/*
 * Reaching a client's memory. Where the client is this very process, by plain copies that recover from faults
 * (mem/guard.h). Otherwise requests and DMA use process_vm_readv/writev on its process: no copy in between, any
 * kind of memory, and a bad address is an error instead of a signal. They name a process, not an address space. So once
 * the process may have called execve(), transfers go through /proc/PID/mem as opened before: that descriptor means the
 * old address space for ever, keeps no page of it alive, and reads as empty when it has ended.
 */
#include "mem/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"
#include "mem/guard.h"
#include "mem/vma.h"

/* All of a room waits meanwhile, so not for ever: a transfer may need a page that this very process has to give. */
enum { LOOK_NS = 20000 };
static const u64 patience_ns = 10000000000;

#define SMALL_PIN (64 * PAGE_SIZE) /* touched page by page; asking the host for the mapping costs about as much */

/* Where a file of the machine was mapped into this process; perhaps it is no more. */
struct mapped_file {
	struct itree_node node;
};

static void read_name(pid_t pid, char name[static 16])
{
	char path[32];
	ssize_t length = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, name, 15);
		close(fd);
	}
	name[length > 0 ? length : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

void client_init(struct client *client, const struct client_ops *ops, pid_t pid)
{
	*client = (struct client){.ops = ops, .pid = pid, .maps_fd = -1, .memory_fd = -1, .own = pid == getpid()};
	ref_init(&client->ref);
	read_name(pid, client->name);
	client_look_again(client);
}

void client_look_again(struct client *client)
{
	if (!client->own)
		return;
	guard_install();
	client->powers.asked = 0;
}

/* Those that touch [start, last]. */
static void forget_mappings(struct client *client, u64 start, u64 last)
{
	struct itree_node *node;

	while ((node = itree_first(&client->mapped_files, start, last))) {
		itree_remove(&client->mapped_files, node);
		free(container_of(node, struct mapped_file, node));
	}
}

int client_note_mapping(struct client *client, u64 address, u64 size, struct why *why)
{
	struct mapped_file *mapped = alloc_new(struct mapped_file, why);

	if (!mapped)
		return -why->err;
	forget_mappings(client, address, address + size - 1);
	mapped->node.start = address;
	mapped->node.last = address + size - 1;
	itree_insert(&client->mapped_files, &mapped->node);
	return 0;
}

struct client *client_get(struct client *client)
{
	ref_get(&client->ref);
	return client;
}

void client_put(struct client *client)
{
	if (!client || !ref_put(&client->ref))
		return;
	assert(client->locked_bytes == 0 && client->pinned_bytes == 0);
	forget_mappings(client, 0, UINT64_MAX);
	close_descriptor(&client->maps_fd);
	close_descriptor(&client->memory_fd);
	client->ops->free(client);
}

const char *client_describe(const struct client *client, char text[static CLIENT_DESCRIPTION])
{
	snprintf(text, CLIENT_DESCRIPTION, "%s (pid %d)", client->name, client->pid);
	return text;
}

static int refuse_fault(struct why *why, const struct client *client, u64 address, size_t size, const char *verb)
{
	char who[CLIENT_DESCRIPTION];

	return refuse(why, CLIENT_FAULT, "%s has no memory to %s at 0x%llx (%zu bytes)", client_describe(client, who),
		      verb, (unsigned long long)address, size);
}

int client_read(struct client *client, u64 address, void *buffer, size_t size, struct why *why)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};

	bool read = client->own ? guard_copy(buffer, remote.iov_base, size)
				: process_vm_readv(client->pid, &local, 1, &remote, 1, 0) == (ssize_t)size;

	if (!read)
		return refuse_fault(why, client, address, size, "read");
	return 0;
}

int client_write(struct client *client, u64 address, const void *buffer, size_t size, struct why *why)
{
	struct iovec local = {(void *)(uintptr_t)buffer, size}, remote = {(void *)(uintptr_t)address, size};

	bool written = client->own ? guard_copy(remote.iov_base, buffer, size)
				   : process_vm_writev(client->pid, &local, 1, &remote, 1, 0) == (ssize_t)size;

	if (!written)
		return refuse_fault(why, client, address, size, "write");
	return 0;
}

bool client_copy(const struct client *client, pid_t thread, u64 address, void *buffer, size_t size, bool write)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};

	if (client->own)
		return write ? guard_copy(remote.iov_base, buffer, size) : guard_copy(buffer, remote.iov_base, size);
	return (write ? process_vm_writev(thread, &local, 1, &remote, 1, 0)
		      : process_vm_readv(thread, &local, 1, &remote, 1, 0)) == (ssize_t)size;
}

/* Linux looks at the tail first: include/linux/uaccess.h:copy_struct_from_user(). */
static int check_tail(struct client *client, u64 address, u64 user_size, size_t size, struct why *why)
{
	u8 bytes[4096];

	for (u64 done = size; done < user_size;) {
		/* Page by page: a byte that is set is told before a page that is not there. */
		size_t in_page = sizeof(bytes) - (address + done) % sizeof(bytes);
		size_t piece = min_u64(user_size - done, in_page);
		int err = client_read(client, address + done, bytes, piece, why);

		if (err < 0)
			return err;
		for (size_t i = 0; i < piece; i++)
			if (bytes[i])
				return refuse(
					why, FIELD_UNKNOWN,
					"byte %llu of the %llu at 0x%llx is %#x, and the structure has %zu bytes here",
					(unsigned long long)(done + i), (unsigned long long)user_size,
					(unsigned long long)address, bytes[i], size);
		done += piece;
	}
	return 0;
}

int client_read_struct(struct client *client, u64 address, u64 user_size, void *buffer, size_t size, struct why *why)
{
	int err = check_tail(client, address, user_size, size, why);

	if (err < 0)
		return err;
	memset(buffer, 0, size);
	return client_read(client, address, buffer, min_u64(user_size, size), why);
}

int client_read_string(struct client *client, u64 address, char *buffer, size_t size, struct why *why)
{
	size_t used = 0;

	/* Page by page: the string may stop right before one that is not there. */
	while (used < size) {
		size_t piece = min_u64(size - used, PAGE_SIZE - ((address + used) & ~PAGE_MASK));
		int ret = client_read(client, address + used, buffer + used, piece, why);

		if (ret < 0)
			return ret;
		if (memchr(buffer + used, '\0', piece))
			return 0;
		used += piece;
	}
	return refuse(why, STRING_TOO_LONG, "the string at 0x%llx is longer than %zu bytes",
		      (unsigned long long)address, size - 1);
}

/* With tables of five levels the host gives such addresses to who asks for one. */
static bool host_has_high_addresses(void)
{
	void *wanted = (void *)BIT(48);
	void *given = mmap(wanted, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (given == MAP_FAILED)
		return false;
	munmap(given, PAGE_SIZE);
	return (uintptr_t)given >= BIT(47);
}

bool client_could_have(u64 address, u64 size)
{
	u64 beyond = address + size;

	if (beyond < address)
		return false;
	return beyond <= BIT(47) - PAGE_SIZE || (beyond <= BIT(56) - PAGE_SIZE && host_has_high_addresses());
}

void client_hold_memory(struct client *client)
{
	char path[32];

	/* After an execve() it may be the next address space that /proc has. */
	if (client->memory_fd >= 0 || atomic_load_explicit(&client->execed, memory_order_acquire))
		return;
	vma_open(client);
	snprintf(path, sizeof(path), "/proc/%d/mem", client->pid);
	client->memory_fd = open(path, O_RDWR | O_CLOEXEC);
}

static int refuse_mapping(struct why *why, const struct client *client, u64 address, const struct vma *vma,
			  const char *verb, const char *what)
{
	char who[CLIENT_DESCRIPTION];

	return refuse(why, CLIENT_FAULT, "%s may not %s 0x%llx: %s is mapped there, %s", client_describe(client, who),
		      verb, (unsigned long long)address, vma->name[0] ? vma->name : "anonymous memory", what);
}

struct check {
	bool write;
	u64 locked; /* bytes so far that are not of files of the machine */
};

/* One mapping's part [start, last] of a pin. */
typedef int check_mapping(struct client *client, const struct vma *vma, u64 start, u64 last, struct check *check,
			  struct why *why);

static bool is_registers(struct client *client, const struct vma *vma)
{
	u64 device = makedev(vma->device_major, vma->device_minor);

	return vma->inode && client->ops->file_at && client->ops->file_at(client, device, vma->inode);
}

static int check_permission(struct client *client, const struct vma *vma, u64 start, u64 last, struct check *check,
			    struct why *why)
{
	if (!(check->write ? vma->writable : vma->readable))
		return refuse_mapping(why, client, start, vma, check->write ? "write" : "read",
				      vma->readable ? "read-only" : "inaccessible");
	if (!is_registers(client, vma))
		check->locked += last - start + 1;
	return 0;
}

static int check_mappings(struct client *client, u64 address, u64 size, struct check *check, check_mapping *each,
			  struct why *why)
{
	u64 last = address + size - 1, at = address;
	char who[CLIENT_DESCRIPTION];
	struct vma vma;

	client_hold_memory(client);
	do {
		int err;

		if (!vma_find(client, at, &vma) || vma.start > at)
			return refuse(why, CLIENT_FAULT, "%s has nothing mapped at 0x%llx, in [0x%llx, 0x%llx]",
				      client_describe(client, who), (unsigned long long)at, (unsigned long long)address,
				      (unsigned long long)last);
		err = each(client, &vma, at, min_u64(vma.last, last), check, why);
		if (err < 0)
			return err;
		at = vma.last + 1;
	} while (vma.last < last);
	return 0;
}

int client_check_range(struct client *client, u64 address, u64 size, bool write, struct why *why)
{
	u64 ignored;

	return client_check_lock(client, address, size, write, &ignored, why);
}

int client_check_lock(struct client *client, u64 address, u64 size, bool write, u64 *ret_locked, struct why *why)
{
	struct check check = {.write = write};
	int err = check_mappings(client, address, size, &check, check_permission, why);

	*ret_locked = check.locked;
	return err;
}

/* Is the page there? As reading a byte of it says. */
static bool has_page(struct client *client, u64 address)
{
	struct iovec remote = {(void *)(uintptr_t)address, 1}, local;
	u8 byte;

	local = (struct iovec){&byte, 1};
	return client->own ? guard_touch(address, 1, false)
			   : process_vm_readv(client->pid, &local, 1, &remote, 1, 0) == 1;
}

/* The last page stands for all: a file that was truncated lacks that at least. */
static int check_pinnable(struct client *client, const struct vma *vma, u64 start, u64 last, struct check *check,
			  struct why *why)
{
	int err = check_permission(client, vma, start, last, check, why);

	if (err < 0 || !vma->inode)
		return err;
	if (is_registers(client, vma))
		return refuse_mapping(why, client, start, vma, "pin", "registers of a device");
	if (!has_page(client, last))
		return refuse_mapping(why, client, last, vma, "pin", "beyond the file's size");
	return 0;
}

int client_check_pin(struct client *client, u64 address, u64 size, bool write, struct why *why)
{
	struct check check = {.write = write};
	int err;

	if (client->own && size <= SMALL_PIN && !itree_first(&client->mapped_files, address, address + size - 1) &&
	    guard_touch(address, size, write))
		return 0;
	err = check_mappings(client, address, size, &check, check_pinnable, why);
	/* A page in the middle of a file's mapping, or one that was gone a moment ago. */
	if (err == 0 && client->own && size <= SMALL_PIN && !guard_touch(address, size, write))
		return refuse_fault(why, client, address, size, "pin");
	return err;
}

/* One piece that is contiguous on both sides. */
typedef bool move_piece(int fd, bool write, u8 *here, u8 *there, size_t size);

static bool move_by_descriptor(int fd, bool write, u8 *here, u8 *there, size_t size)
{
	off_t offset = (off_t)(uintptr_t)there;

	return (write ? pwrite(fd, here, size, offset) : pread(fd, here, size, offset)) == (ssize_t)size;
}

static bool move_by_copy(int fd, bool write, u8 *here, u8 *there, size_t size)
{
	return write ? guard_copy(there, here, size) : guard_copy(here, there, size);
}

static bool transfer_pieces(move_piece *move, int fd, bool write, const struct iovec *local, unsigned nlocal,
			    const struct iovec *remote, unsigned nremote)
{
	size_t local_done = 0, remote_done = 0;
	unsigned l = 0, r = 0;

	while (l < nlocal && r < nremote) {
		size_t size = min_u64(local[l].iov_len - local_done, remote[r].iov_len - remote_done);

		if (size && !move(fd, write, (u8 *)local[l].iov_base + local_done,
				  (u8 *)remote[r].iov_base + remote_done, size))
			return false;
		local_done += size;
		remote_done += size;
		if (local_done == local[l].iov_len)
			l++, local_done = 0;
		if (remote_done == remote[r].iov_len)
			r++, remote_done = 0;
	}
	return true;
}

static bool transfer_by_number(const struct client *client, bool write, const struct iovec *local, unsigned nlocal,
			       const struct iovec *remote, unsigned nremote)
{
	size_t wanted = 0;
	ssize_t moved;

	for (unsigned i = 0; i < nremote; i++)
		wanted += remote[i].iov_len;
	moved = write ? process_vm_writev(client->pid, local, nlocal, remote, nremote, 0)
		      : process_vm_readv(client->pid, local, nlocal, remote, nremote, 0);
	return moved == (ssize_t)wanted;
}

/* Counted before it looks: either it sees what client_execs() has said, or that sees it. */
static bool transfer_to_process(struct client *client, bool write, const struct iovec *local, unsigned nlocal,
				const struct iovec *remote, unsigned nremote)
{
	bool moved = false, execed;

	atomic_fetch_add(&client->transfers, 1);
	execed = atomic_load(&client->execed);
	if (!execed)
		moved = transfer_by_number(client, write, local, nlocal, remote, nremote);
	atomic_fetch_sub(&client->transfers, 1);
	if (execed && client->memory_fd >= 0)
		moved = transfer_pieces(move_by_descriptor, client->memory_fd, write, local, nlocal, remote, nremote);
	return moved;
}

static bool transfer(struct client *client, bool write, const struct iovec *local, unsigned nlocal,
		     const struct iovec *remote, unsigned nremote)
{
	assert(nlocal <= IOV_MAX && nremote <= IOV_MAX);
	if (atomic_load_explicit(&client->gone, memory_order_acquire))
		return false;
	if (client->own && !atomic_load_explicit(&client->execed, memory_order_acquire))
		return transfer_pieces(move_by_copy, -1, write, local, nlocal, remote, nremote);
	return transfer_to_process(client, write, local, nlocal, remote, nremote);
}

static void await_transfers(struct client *client)
{
	u64 until = os_clock_ns() + patience_ns;

	while (atomic_load(&client->transfers) && os_clock_ns() < until)
		os_sleep_ns(LOOK_NS);
}

/* The host holds on to an address space for as long as it copies: only who is about to begin must be waited for. */
void client_execs(struct client *client)
{
	atomic_store(&client->execed, true);
	await_transfers(client);
}

/* As long as the host copies, it keeps what is mapped there as well. */
void client_ends(struct client *client)
{
	atomic_store(&client->gone, true);
	await_transfers(client);
}

/* What /proc/PID/status says of a process's privileges; zeros when it is gone. */
struct privileges {
	u64 effective, permitted; /* capabilities: those that count, and those it could have back */
	bool root;
};

static struct privileges privileges_of(pid_t pid)
{
	char text[OS_STATUS_TEXT];
	unsigned id = 1;

	os_task_status(pid, text);
	if (sscanf(os_status_value(text, "Uid"), "%*u %u", &id) != 1)
		return (struct privileges){};
	return (struct privileges){.effective = os_status_number(text, "CapEff", 16),
				   .permitted = os_status_number(text, "CapPrm", 16),
				   .root = id == 0};
}

bool client_capable(struct client *client, unsigned capability)
{
	struct privileges theirs = privileges_of(client->own ? gettid() : client_task(client)), ours;

	if (theirs.effective & BIT(capability) || !theirs.root)
		return theirs.effective & BIT(capability);
	ours = privileges_of(getpid());
	return ours.root && !(ours.effective & BIT(capability)) && !(ours.effective & ~theirs.permitted);
}

/*
 * Reading the old address space gives a byte; an error, where the client has unmapped that page since; nothing at all,
 * when the address space has ended.
 */
bool client_memory_lives(struct client *client, u64 address)
{
	u8 byte;

	if (atomic_load_explicit(&client->gone, memory_order_acquire))
		return false;
	if (!atomic_load_explicit(&client->execed, memory_order_acquire))
		return true;
	return client->memory_fd >= 0 && pread(client->memory_fd, &byte, 1, (off_t)address) != 0;
}

bool client_dma_read(struct client *client, const struct iovec *local, unsigned nlocal, const struct iovec *remote,
		     unsigned nremote)
{
	return transfer(client, false, local, nlocal, remote, nremote);
}

bool client_dma_write(struct client *client, const struct iovec *local, unsigned nlocal, const struct iovec *remote,
		      unsigned nremote)
{
	return transfer(client, true, local, nlocal, remote, nremote);
}
