/* SPDX-License-Identifier: MIT */
/*
 * Intel's Data Streaming Accelerator, architecture 1.0, as in Sapphire Rapids: eight work queues, four groups, four
 * engines, nine vectors. No block on fault, no interrupt message storage, no performance counters.
 *
 * Descriptors arrive as stores of 64 bytes at the portals in BAR 2, all at the same addresses; so do commands in BAR 0.
 * All its pages are precise. A store queues; the worker's thread, which stands for all engines, executes:
 *
 *	dsa.c		what the PCI function asks of a model
 *	dsa_config.c	registers, tables, interrupts, the software error register
 *	dsa_command.c	commands
 *	dsa_queue.c	portals, work queues, which descriptor is next, batches, completions
 *	dsa_check.c	what may be wrong with a descriptor
 *	dsa_dma.c	memory: chunks, and where they end at a fault
 *	dsa_move.c, dsa_compare.c, dsa_delta.c, dsa_crc.c, dsa_dif.c	the operations
 *
 * An operation is done in chunks of which each leaves the lock; so a reset never waits for two gigabytes, and what a
 * page fault ends is known to the byte. Drivers' memory is read once, and judged from the copy.
 *
 * All is under the worker's lock.
 */
#ifndef DEV_DSA_H
#define DEV_DSA_H

#include "dev/dsa_regs.h"
#include "dev/model.h"
#include "dev/worker.h"

enum {
	DSA_BAR_REGISTERS = 0x10000,
	DSA_BAR_PORTALS = 0x20000,
	DSA_WQS = 8,
	DSA_GROUPS = 4,
	DSA_ENGINES = 4,
	DSA_VECTORS = 1 + DSA_WQS, /* the first is for INTCAUSE */
	DSA_ENTRIES = 128,	   /* of all work queues together */
	DSA_READ_BUFFERS = 96,
	DSA_TRANSFER_SHIFT_MIN = 12,
	DSA_TRANSFER_SHIFT_MAX = 31,
	DSA_BATCH_SHIFT_MIN = 1,
	DSA_BATCH_SHIFT_MAX = 10,
	DSA_CHUNK = 128 << 10, /* bytes moved at once: they stay in the cache between load and store */
	DSA_FETCH = 16,	       /* descriptors of a batch fetched at once */
	DSA_TURN = 32,	       /* operations done before a control thread gets its turn */
};

struct dsa_entry {
	struct dsa_descriptor descriptor;
	u64 number;	      /* of the submission: a drain waits for those before it */
	bool stored_messages; /* through a portal whose interrupt handles are of message storage, which is not there */
};

struct dsa_wq {
	bool enabled, accepting;

	/* From WQCFG, when it was enabled */
	unsigned size;
	unsigned priority, credit;
	bool dedicated, with_pasid, privileged;
	bool may_privileged; /* the PASID capability lets requests be privileged */
	u32 pasid;
	u64 transfer_max;
	u32 batch_max;
	u64 operations; /* bit n: opcode n */

	unsigned head, count;
	struct dsa_entry entries[DSA_ENTRIES];
};

/* A page fault, when there was one. */
struct dsa_fault {
	bool happened, write;
	u64 address;
};

/* One descriptor in work: our copy, and how far it is. */
struct dsa_job {
	bool active, in_batch;
	struct dsa_entry entry;
	unsigned wq;
	u32 pasid; /* of its requests; 0: without */
	bool with_pasid, privileged;
	u32 invalid_flags; /* with DSA_BAD_FLAGS */

	u64 done;		/* bytes of it, in the order in which they are done */
	u64 limit;		/* bytes that can be: all, or those before the fault */
	struct dsa_fault fault; /* at limit */
	u8 result;		/* compare, delta; of a move: 1 backwards; dif_status */
	bool seeded;		/* crc is valid */
	u32 crc;		/* in work: reflected */
	u32 delta_size;		/* bytes of the record so far */
	u32 delta_next;		/* no entry may have a smaller offset */
};

struct dsa_batch {
	bool active, failed;
	struct dsa_job job;	/* of the batch descriptor itself */
	u32 next;		/* descriptor to execute */
	struct dsa_fault fault; /* of the list, behind what is fetched */
	struct dsa_descriptor fetched[DSA_FETCH];
	unsigned nfetched, at;
};

struct dsa {
	struct worker worker;
	struct pci_function *function; /* borrowed; owns us */
	struct dma_port *port;	       /* borrowed; outlives the function */
	unsigned transfer_shift, batch_shift;
	u8 registers[DSA_TABLES_BEHIND];

	enum dsa_device_state state;
	bool stopped;	/* a request could not be made: nothing goes on until the driver does something */
	bool commanded; /* one is active */
	u32 command;
	u64 command_number; /* submissions up to this one it waits for */

	u64 submitted; /* number of the last submission */
	unsigned turn; /* the work queue that is asked first */
	struct dsa_wq wqs[DSA_WQS];
	struct dsa_job job;
	struct dsa_batch batch;

	u32 crc_table[8][256];
	u16 guard_table[256];
	u8 buffer[DSA_CHUNK], other[DSA_CHUNK];
};

extern const struct model dsa_model;

static inline u8 *dsa_register(struct dsa *dsa, unsigned offset)
{
	return dsa->registers + offset;
}

static inline u8 *dsa_wqcfg(struct dsa *dsa, unsigned wq, unsigned dword)
{
	return dsa->registers + DSA_WQCFG + wq * DSA_WQCFG_SIZE + dword * sizeof(u32);
}

/* dsa_config.c */
void dsa_power_on(struct dsa *dsa);		 /* the registers, all of them */
void dsa_configuration_reset(struct dsa *dsa);	 /* what a driver can set up */
void dsa_wq_reset(struct dsa *dsa, unsigned wq); /* WQCFG, but for its size */
void dsa_registers_load(struct dsa *dsa, struct pci_access *access);
void dsa_registers_store(struct dsa *dsa, const struct pci_access *access);
void dsa_show_state(struct dsa *dsa, enum dsa_device_state state);
void dsa_cause(struct dsa *dsa, u32 cause); /* INTCAUSE, and its interrupt */
bool dsa_interrupt_permitted(const struct dsa *dsa, const struct dsa_job *job);

struct dsa_software_error {
	u8 error;
	int wq;			   /* -1: of none */
	const struct dsa_job *job; /* NULL: of no descriptor */
	struct dsa_fault fault;
};
void dsa_software_error(struct dsa *dsa, const struct dsa_software_error *error);

/* dsa_command.c */
void dsa_command(struct dsa *dsa, u32 value);
void dsa_command_check(struct dsa *dsa); /* is it done? */
void dsa_halt(struct dsa *dsa);
void dsa_reset(struct dsa *dsa);

/* dsa_queue.c */
bool dsa_portal(struct dsa *dsa, const struct pci_access *access);
bool dsa_execute(struct dsa *dsa); /* some of what is queued; true if there was anything to do */
void dsa_abort_wq(struct dsa *dsa, unsigned wq);
void dsa_abort_pasid(struct dsa *dsa, u32 pasid);
/* Something before command_number is queued or in work; wqs: a bit each; pasid: DSA_ANY_PASID or that one. */
bool dsa_outstanding(const struct dsa *dsa, unsigned wqs, u32 pasid);
#define DSA_ANY_PASID (~0u)

/* dsa_check.c */
enum dsa_status dsa_check(const struct dsa *dsa, struct dsa_job *job); /* DSA_SUCCESS, or what is wrong */
u64 dsa_operations(void);					       /* bit n: opcode n is known */
/* A chunk of the job: DSA_MORE, or how it ended. Not of a batch. */
enum dsa_status dsa_step(struct dsa *dsa, struct dsa_job *job);

/* dsa_dma.c */
enum dsa_moved {
	DSA_MOVED,
	DSA_FAULTED, /* job->fault says where; nothing has moved */
	DSA_STOPPED, /* the device may not master the bus any more: it will hear of that, and halt */
};
enum dsa_moved dsa_load(struct dsa *dsa, struct dsa_job *job, u64 iova, void *buffer, size_t size);
enum dsa_moved dsa_store(struct dsa *dsa, struct dsa_job *job, u64 iova, const void *buffer, size_t size);
enum dsa_moved dsa_copy(struct dsa *dsa, struct dsa_job *job, u64 destination, u64 source, size_t size);
enum dsa_moved dsa_request(struct dsa *dsa, struct dsa_job *job, const struct dma_segment *segments, unsigned count,
			   enum dma_direction direction);
/* How much of what is left to do next; 0 when it is at its end, or at its fault. */
u64 dsa_chunk(const struct dsa_job *job);
/* The end of an operation that is at its limit. */
enum dsa_status dsa_end(const struct dsa_job *job);
/* A chunk that starts at start, moved so: it is tried again with what comes before the fault. */
enum dsa_status dsa_shorten(struct dsa_job *job, enum dsa_moved moved, u64 start);

/* Operations: a chunk each, as dsa_step(). */
typedef enum dsa_status dsa_operation(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_move(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_fill(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_dualcast(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_cache_flush(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_compare(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_compare_pattern(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_create_delta(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_apply_delta(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_crc(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_copy_crc(struct dsa *dsa, struct dsa_job *job);
enum dsa_status dsa_dif(struct dsa *dsa, struct dsa_job *job);

/* What of a completion record is the operation's own. */
void dsa_crc_result(const struct dsa_job *job, u8 specific[static 16]);
void dsa_dif_result(const struct dsa_job *job, u8 specific[static 16]);

void dsa_crc_tables(struct dsa *dsa);
/* Bytes of a block in memory, without and with its DIF. */
unsigned dsa_dif_block(const struct dsa_descriptor *descriptor);
/* Bytes that DIF operations write for size bytes of source. */
u64 dsa_dif_written(const struct dsa_descriptor *descriptor, u64 size);

#endif
