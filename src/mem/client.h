/* SPDX-License-Identifier: MIT */
/*
 * A client: whoever calls. What its addresses, its descriptors and its limits mean.
 *
 * One client is one address space. Two kinds exist: the process that embeds the library (mem/process.c on itself) and a
 * supervised process (the same code on another pid, plus the supervisor's way to put descriptors into it). Memory that
 * a client registers for DMA is reached for as long as its address space lives, from any thread.
 *
 * Clients are counted references: a mapping, an open file and a request each hold one.
 */
#ifndef MEM_CLIENT_H
#define MEM_CLIENT_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/itree.h"
#include "base/ref.h"
#include "base/why.h"

struct client;
struct file;

/*
 * How to reach a client's descriptors. Called under machine.lock, during a request of that client.
 */
struct client_ops {
	/* The file behind descriptor fd, borrowed; NULL when fd is open but not one of ours. -EBADF via FD_BAD. */
	int (*find_file)(struct client *client, int fd, struct file **ret, struct why *why);

	/*
	 * Gives the client a descriptor for file; returns its number. The descriptor holds one reference of the file,
	 * released through file_ops.release when the last descriptor and the last mapping are gone. On failure nothing
	 * was given and the caller still owns file.
	 */
	int (*install_file)(struct client *client, struct file *file, bool cloexec, struct why *why);

	/* Our own descriptor for the eventfd that is the client's fd; EVENTFD_BAD when it is no eventfd. */
	int (*get_eventfd)(struct client *client, int fd, struct why *why);

	/* Our own descriptor for whatever the client's fd is; the caller closes it. FD_BAD (EBADF). NULL: it has none.
	 */
	int (*get_descriptor)(struct client *client, int fd, struct why *why);

	/* The machine's file whose memory has that identity, borrowed; NULL: it is none. NULL member: there are none.
	 */
	struct file *(*file_at)(struct client *client, u64 host_device, u64 inode);

	/* Frees what the kind allocated around the client; called once, when the last reference is gone. */
	void (*free)(struct client *client);
};

struct client {
	const struct client_ops *ops;
	struct ref ref;
	pid_t pid;    /* thread group id of the address space */
	pid_t thread; /* whose request it is now: capabilities are a thread's; 0: not known */
	char name[16];
	int maps_fd;	       /* owned: /proc/PID/maps of that address space; -1 if not yet needed */
	int memory_fd;	       /* owned: /proc/PID/mem of the same; both are opened by client_hold_memory() */
	atomic_bool execed;    /* the process may have a new address space: memory_fd is the old one's, and used */
	atomic_uint transfers; /* under way, by the process's number: client_execs(), client_ends() await them */
	atomic_bool gone;      /* the address space has ended: every transfer is EFAULT */
	bool own;	       /* it is this very process: its memory is ours, as long as it is there */
	/*
	 * own only, under machine.lock: what it may do (mem/charge.c), for one tick of the host's coarse clock (1 to 4
	 * ms) or until client_look_again(). Who gives up a capability and maps within the same tick may still be taken
	 * for privileged.
	 */
	struct {
		u64 asked; /* in that tick; 0: never */
		u32 uid;
		bool may_lock_any;
	} powers;
	struct itree mapped_files; /* struct mapped_file, owned: where files of the machine may be mapped; own only */
	u64 locked_bytes;	   /* charged against the RLIMIT_MEMLOCK of the process (VmLck); under machine.lock */
	u64 pinned_bytes;	   /* pinned by iommufd, whoever pays for it (VmPin); under machine.lock */
};

/* Whose privileges count in the request under way. */
static inline pid_t client_task(const struct client *client)
{
	return client->thread ? client->thread : client->pid;
}

/* Initialises the embedded part; name is read from the host. */
void client_init(struct client *client, const struct client_ops *ops, pid_t pid);
struct client *client_get(struct client *client);
void client_put(struct client *client); /* NULL is legal */
/* What this very process may have changed about itself since: its handlers of signals, what it may do. */
void client_look_again(struct client *client);

static inline void client_put_pointer(struct client **client)
{
	client_put(*client);
}
#define _put_client_ __attribute__((cleanup(client_put_pointer)))

/*
 * Request arguments. 0, or -EFAULT with CLIENT_FAULT naming the address; nothing is promised about a partial write.
 */
int client_read(struct client *client, u64 address, void *buffer, size_t size, struct why *why);
int client_write(struct client *client, u64 address, const void *buffer, size_t size, struct why *why);

/* The same without words, by one of its threads: the first one may have ended (0: this very process). */
bool client_copy(const struct client *client, pid_t thread, u64 address, void *buffer, size_t size, bool write);

/*
 * A structure that the client says has user_size bytes, into ours of `size`: what it does not give is zero, what we do
 * not know must be. FIELD_UNKNOWN (E2BIG), CLIENT_FAULT.
 */
int client_read_struct(struct client *client, u64 address, u64 user_size, void *buffer, size_t size, struct why *why);

/* A NUL-terminated string of at most size - 1 bytes; STRING_TOO_LONG (EINVAL) or CLIENT_FAULT. */
int client_read_string(struct client *client, u64 address, char *buffer, size_t size, struct why *why);

/*
 * Would pinning [address, address + size) succeed? Checks that the client has it mapped, readable, and writable if
 * `write`. CLIENT_FAULT (EFAULT) names the first bad address and what is there. A mapping of a device's registers is
 * memory like any other here, as type1 has it.
 */
int client_check_range(struct client *client, u64 address, u64 size, bool write, struct why *why);

/*
 * The same, and how much of it counts as locked: registers do not, as in Linux. When it fails, how much of what lies
 * before the address that is named.
 */
int client_check_lock(struct client *client, u64 address, u64 size, bool write, u64 *ret_locked, struct why *why);

/*
 * Its addresses mean what they do now, whatever the process becomes: for memory that is looked at later. In a request
 * of its own. It is too late when it may have called execve(); then it has no memory here.
 */
void client_hold_memory(struct client *client);

/*
 * Its process may have another address space as soon as this returns: it is about to call execve(). No transfer reaches
 * that one any more; what takes very long is in the old one already, and not waited for.
 */
void client_execs(struct client *client);

/*
 * Its process has ended. No transfer holds its address space any more when this returns: what was mapped there,
 * registers of a device perhaps, is unmapped, and whoever comes next finds the device free.
 */
void client_ends(struct client *client);

/* Could any program have memory at [address, address + size)? arch/x86: access_ok(). */
bool client_could_have(u64 address, u64 size);

/*
 * Would pinning it for long, as iommufd does, succeed? Like client_check_range(), but a device's registers are refused
 * (CLIENT_FAULT), and so are pages that a file has no more. Pages not yet touched may get memory.
 */
int client_check_pin(struct client *client, u64 address, u64 size, bool write, struct why *why);
/*
 * A file of the machine was mapped at [address, address + size) of this very process. Where the host need not be asked
 * what is mapped, for it costs more than all the rest of a small pin, this is how client_check_pin() knows. Unmapping
 * needs no word. OUT_OF_MEMORY.
 */
int client_note_mapping(struct client *client, u64 address, u64 size, struct why *why);

/*
 * Moves bytes between local memory and the client's, in the order of the vectors; the sums of both sides are equal.
 * At most IOV_MAX vectors a side and 2 GiB - 4 KiB in all, the host's limits. Any thread, inside a gate of DMA.
 * false when some byte was not reachable (earlier ones may have moved).
 */
bool client_dma_read(struct client *client, const struct iovec *local, unsigned nlocal, const struct iovec *remote,
		     unsigned nremote);
bool client_dma_write(struct client *client, const struct iovec *local, unsigned nlocal, const struct iovec *remote,
		      unsigned nremote);

/*
 * Does the address space still exist? address is one that was mapped in it. For DMA that does not go through the two
 * functions above.
 */
bool client_memory_lives(struct client *client, u64 address);

/*
 * Has the client that capability (CAP_IPC_LOCK, ...) in its own user namespace? Where isolde runs as a root that has
 * been denied it, as in a container, root in the room counts as having it while it has given up nothing for good: then
 * it could have all that isolde has.
 */
bool client_capable(struct client *client, unsigned capability);

/* "qemu-io (pid 1234)" */
#define CLIENT_DESCRIPTION 48
const char *client_describe(const struct client *client, char text[static CLIENT_DESCRIPTION]);

#endif
