/* SPDX-License-Identifier: MIT */
/*
 * An NVMe 1.4 controller with one namespace, behind a PCI function and a bus-master port.
 *
 * Its register page is polled: BAR 0 is memory that a driver writes without telling us, and whatever is there may
 * change at any moment. So every word is loaded once, and what is loaded is checked before it is used. The same holds
 * for queue entries and PRP lists in the driver's memory: one copy, decided from the copy.
 *
 *	nvme_ctrl.c	registers, CC and CSTS, what the PCI function asks of a model
 *	nvme_queue.c	doorbells, fetching commands, posting completions, interrupts
 *	nvme_prp.c	a command's data pointer: PRP entries and lists
 *	nvme_admin.c, nvme_identify.c, nvme_feature.c, nvme_log.c, nvme_io.c	the commands
 *	nvme_disk.c	the namespace's blocks
 *	nvme_migration.c	moving all that to another controller
 *
 * Everything below is under the worker's lock, whose thread watches the page while a driver has the device open.
 * Commands are executed one at a time and to the end, so nothing but Asynchronous Event Requests is ever outstanding.
 */
#ifndef DEV_NVME_H
#define DEV_NVME_H

#include "base/why.h"
#include "dev/model.h"
#include "dev/nvme_disk.h"
#include "dev/nvme_regs.h"
#include "dev/worker.h"

enum {
	NVME_BAR_SIZE = 0x4000,
	NVME_IO_QUEUES = 32,
	NVME_QUEUES = 1 + NVME_IO_QUEUES, /* a bit each in a u64 */
	NVME_VECTORS = NVME_QUEUES,
	NVME_MAX_ENTRIES = 4096, /* of a queue: CAP.MQES + 1 */
	NVME_MDTS = 9,		 /* largest transfer: 4 KiB << MDTS = 2 MiB, what QEMU's driver would send at most */
	NVME_MAX_TRANSFER = 4096 << NVME_MDTS,
	NVME_MAX_SEGMENTS = (1 << NVME_MDTS) + 1, /* an offset in the first page adds one */
	NVME_MPS_MAX = 4,			  /* memory pages up to 64 KiB */
	NVME_BATCH = 32,			  /* commands fetched at once */
	NVME_BATCH_BYTES = 256 << 10,		  /* data moved before completions are posted */
	NVME_EVENT_REQUESTS = 8,		  /* AERL + 1 */
	NVME_ERROR_ENTRIES = 64,		  /* ELPE + 1 */
	NVME_TEMPERATURE = 313,			  /* kelvin; a cool virtual disk */
	NVME_TEMPERATURE_WARNING = 343,
	NVME_TEMPERATURE_CRITICAL = 353,
};

struct nvme_cq {
	u16 id, size, head, tail;
	u16 vector;
	bool interrupts;
	u16 phase; /* of the entry at tail */
	u64 base;
	u32 ignored;	/* doorbell value refused last, so that it is reported once; else NVME_NONE_IGNORED */
	unsigned users; /* submission queues that complete here */
	unsigned npending;
	struct nvme_completion pending[NVME_BATCH]; /* not yet in memory; there is room for them */
};

struct nvme_sq {
	u16 id, size, head, tail;
	u16 cq;
	u64 base;
	u32 ignored; /* as above */
};

#define NVME_NONE_IGNORED 0xffffffffu

struct nvme_features {
	u32 value[NVME_FEATURES]; /* as Set Features gave them, where one word is all there is */
	u16 over_threshold, under_threshold;
	u64 no_coalescing; /* a bit per vector */
};

struct nvme_counters {
	u64 reads, writes;		   /* commands */
	u64 sectors_read, sectors_written; /* of 512 bytes */
	u64 media_errors, errors;
};

struct nvme {
	struct worker worker;
	struct pci_function *function; /* borrowed; owns us */
	struct dma_port *port;	       /* borrowed; outlives the function */
	struct nvme_disk disk;
	u8 *regs; /* borrowed: BAR 0's memory; NULL as long as it has none */

	/* Registers as we last saw or showed them */
	u32 cc, csts, mask;  /* nothing is processed while csts has CFS or a shutdown */
	unsigned page_shift; /* from CC.MPS, latched at CC.EN */

	u64 live_sqs, live_cqs; /* bit n: queue n exists */
	struct nvme_sq sqs[NVME_QUEUES];
	struct nvme_cq cqs[NVME_QUEUES];
	unsigned granted;	  /* I/O queues, of each kind */
	u64 signals;		  /* vectors to signal for completions now in memory */
	struct pci_addr identity; /* what its names are made of: where it was when a program opened it */
	enum pci_activity activity;
	bool sending; /* the medium, to another controller */
	bool level;   /* of the INTx line, as told to pci_irq */

	u16 event_requests[NVME_EVENT_REQUESTS]; /* command ids, oldest first */
	unsigned nevent_requests;
	u8 event_info[NVME_EVENT_TYPES];
	u8 events_pending, events_masked; /* bit per type; masked from report until its log page is read */

	struct nvme_features features;
	struct nvme_error_entry error_log[NVME_ERROR_ENTRIES]; /* entry number count is at count % 64 */
	struct nvme_counters counters;			       /* since the machine started */

	/* Scratch for the one command in work */
	struct nvme_command commands[NVME_BATCH];
	struct dma_segment segments[NVME_MAX_SEGMENTS];
	unsigned nsegments;
	u64 prp_list[NVME_MAX_SEGMENTS];
	u8 page[4096];
};

/* One command in work. command is our copy. */
struct nvme_request {
	const struct nvme_command *command;
	u16 sq_id;
	u32 result; /* dword 0 of the completion */
	u64 bytes;  /* data moved, for the batch's limit */
};

/* Executes and returns the status (enum nvme_status), with request->result filled. */
typedef u16 (*nvme_handler)(struct nvme *nvme, struct nvme_request *request);

/* nvme_ctrl.c */
extern const struct model nvme_model;
void nvme_die(struct nvme *nvme); /* CSTS.CFS */
bool nvme_poll(void *model);	  /* looks at the registers once; true if there was anything to do */

static inline u32 nvme_reg_load(const struct nvme *nvme, unsigned offset)
{
	return __atomic_load_n((const u32 *)(const void *)(nvme->regs + offset), __ATOMIC_ACQUIRE);
}

static inline void nvme_reg_store(struct nvme *nvme, unsigned offset, u32 value)
{
	__atomic_store_n((u32 *)(void *)(nvme->regs + offset), value, __ATOMIC_RELEASE);
}

static inline bool nvme_ready(const struct nvme *nvme)
{
	return (nvme->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST_DONE)) == NVME_CSTS_RDY;
}

/* nvme_migration.c */
int nvme_migration_init(struct nvme *nvme, const struct model_options *options, struct why *why); /* has its disk */

/* nvme_queue.c */
void nvme_cq_make(struct nvme *nvme, unsigned id, u64 base, unsigned size, bool interrupts, unsigned vector);
void nvme_sq_make(struct nvme *nvme, unsigned id, u64 base, unsigned size, unsigned cq);
void nvme_cq_drop(struct nvme *nvme, unsigned id);
void nvme_sq_drop(struct nvme *nvme, unsigned id);
unsigned nvme_cq_room(const struct nvme_cq *cq);
void nvme_complete(struct nvme_cq *cq, const struct nvme_sq *sq, u16 cid, u16 status, u32 result);
bool nvme_queues_poll(struct nvme *nvme);
void nvme_update_level(struct nvme *nvme);

/* nvme_prp.c */
/* Splits size bytes at buffer over the command's PRPs into nvme->segments. size is 1 to NVME_MAX_TRANSFER. */
u16 nvme_prp_decode(struct nvme *nvme, const struct nvme_command *command, void *buffer, u64 size);
/* Decodes, and moves the bytes; direction as the device sees it. */
u16 nvme_transfer(struct nvme *nvme, const struct nvme_command *command, void *buffer, u64 size,
		  enum dma_direction direction);

/* nvme_admin.c, nvme_io.c */
u16 nvme_execute(struct nvme *nvme, struct nvme_request *request, nvme_handler handler); /* NULL: unknown opcode */
u16 nvme_execute_admin(struct nvme *nvme, struct nvme_request *request);
u16 nvme_execute_io(struct nvme *nvme, struct nvme_request *request);
void nvme_raise_event(struct nvme *nvme, enum nvme_event_type type, u8 info);
bool nvme_report_events(struct nvme *nvme); /* completes waiting event requests; true if one was */

/* nvme_identify.c */
u16 nvme_identify(struct nvme *nvme, struct nvme_request *request);

/* nvme_feature.c */
void nvme_features_reset(struct nvme *nvme);
u16 nvme_set_features(struct nvme *nvme, struct nvme_request *request);
u16 nvme_get_features(struct nvme *nvme, struct nvme_request *request);
u8 nvme_critical_warning(const struct nvme *nvme);

/* nvme_log.c */
u16 nvme_get_log_page(struct nvme *nvme, struct nvme_request *request);
void nvme_log_error(struct nvme *nvme, u16 sq_id, const struct nvme_command *command, u16 status);

static inline u16 nvme_status_field(u16 status)
{
	return (u16)(status << 1);
}

#endif
