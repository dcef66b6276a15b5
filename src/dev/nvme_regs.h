/* SPDX-License-Identifier: MIT */
/* The words of NVM Express 1.4: registers, queue entries, opcodes, status values. Numbers are the specification's. */
#ifndef DEV_NVME_REGS_H
#define DEV_NVME_REGS_H

#include "base/bits.h"

/* Controller registers (section 3.1) */
enum {
	NVME_REG_CAP = 0x00,
	NVME_REG_VS = 0x08,
	NVME_REG_INTMS = 0x0c,
	NVME_REG_INTMC = 0x10,
	NVME_REG_CC = 0x14,
	NVME_REG_CSTS = 0x1c,
	NVME_REG_NSSR = 0x20,
	NVME_REG_AQA = 0x24,
	NVME_REG_ASQ = 0x28,
	NVME_REG_ACQ = 0x30,
	NVME_REG_CMBLOC = 0x38,
	NVME_REG_BPINFO = 0x40,
	NVME_REG_CMBMSC = 0x50,
	NVME_REG_LAST = 0x5c, /* the last one we keep at its value */
	NVME_DOORBELLS = 0x1000,

	NVME_CC_EN = 0x1,
	NVME_CSTS_RDY = 0x1,
	NVME_CSTS_CFS = 0x2,
	NVME_CSTS_SHST_DONE = 0x8,
	NVME_VERSION = 0x00010400,
};

/* CC fields (section 3.1.5) */
static inline unsigned nvme_cc_css(u32 cc)
{
	return cc >> 4 & 0x7;
}

static inline unsigned nvme_cc_mps(u32 cc)
{
	return cc >> 7 & 0xf;
}

static inline unsigned nvme_cc_ams(u32 cc)
{
	return cc >> 11 & 0x7;
}

static inline unsigned nvme_cc_shn(u32 cc)
{
	return cc >> 14 & 0x3;
}

static inline unsigned nvme_cc_iosqes(u32 cc)
{
	return cc >> 16 & 0xf;
}

static inline unsigned nvme_cc_iocqes(u32 cc)
{
	return cc >> 20 & 0xf;
}

/* Submission queue entry (figure 105) */
struct nvme_command {
	u8 opcode;
	u8 flags; /* FUSE in bits 1:0, PSDT in bits 7:6 */
	u16 cid;
	u32 nsid;
	u32 cdw2, cdw3;
	u64 mptr;
	u64 prp1, prp2;
	u32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct nvme_command) == 64, "a submission queue entry is 64 bytes");

enum { NVME_FLAGS_FUSE = 0x03, NVME_FLAGS_PSDT = 0xc0 };

/* Completion queue entry (figure 121) */
struct nvme_completion {
	u32 result;
	u32 reserved;
	u16 sq_head, sq_id;
	u16 cid;
	u16 status; /* phase in bit 0 */
};
_Static_assert(sizeof(struct nvme_completion) == 16, "a completion queue entry is 16 bytes");

enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG_PAGE = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_ASYNC_EVENT = 0x0c,
};

enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_COMPARE = 0x05,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DATASET_MANAGEMENT = 0x09,
};

/* Status code type in bits 10:8, status code in bits 7:0 (section 4.6.1) */
enum nvme_status {
	NVME_SUCCESS = 0x000,
	NVME_INVALID_OPCODE = 0x001,
	NVME_INVALID_FIELD = 0x002,
	NVME_DATA_TRANSFER_ERROR = 0x004,
	NVME_ABORT_REQUESTED = 0x007,
	NVME_INVALID_NAMESPACE = 0x00b,
	NVME_SEQUENCE_ERROR = 0x00c,
	NVME_INVALID_PRP_OFFSET = 0x013,
	NVME_LBA_OUT_OF_RANGE = 0x080,
	NVME_CQ_INVALID = 0x100,
	NVME_INVALID_QUEUE_ID = 0x101,
	NVME_INVALID_QUEUE_SIZE = 0x102,
	NVME_ASYNC_LIMIT = 0x105,
	NVME_INVALID_VECTOR = 0x108,
	NVME_INVALID_LOG_PAGE = 0x109,
	NVME_INVALID_DELETION = 0x10c,
	NVME_NOT_SAVEABLE = 0x10d,
	NVME_WRITE_FAULT = 0x280,
	NVME_READ_ERROR = 0x281,
	NVME_COMPARE_FAILURE = 0x285,

	NVME_DO_NOT_RETRY = 0x4000,
	NVME_NO_COMPLETION = 0xffff, /* ours: the command stays outstanding */
};

enum nvme_feature {
	NVME_FEATURE_ARBITRATION = 0x01,
	NVME_FEATURE_POWER = 0x02,
	NVME_FEATURE_TEMPERATURE = 0x04,
	NVME_FEATURE_ERROR_RECOVERY = 0x05,
	NVME_FEATURE_WRITE_CACHE = 0x06,
	NVME_FEATURE_QUEUES = 0x07,
	NVME_FEATURE_COALESCING = 0x08,
	NVME_FEATURE_VECTOR = 0x09,
	NVME_FEATURE_ATOMICITY = 0x0a,
	NVME_FEATURE_ASYNC_EVENTS = 0x0b,
	NVME_FEATURES,
};

enum nvme_log_page {
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
};

/* Asynchronous events (figures 146 to 149): the type, and what happened */
enum nvme_event_type { NVME_EVENT_ERROR, NVME_EVENT_SMART, NVME_EVENT_TYPES };
enum { NVME_EVENT_INVALID_DOORBELL_VALUE = 0x01, NVME_EVENT_TEMPERATURE = 0x01 };

/* Error Information log entry (figure 196) */
struct nvme_error_entry {
	u64 count;
	u16 sq_id, cid;
	u16 status; /* as in the completion, phase included */
	u16 location;
	u64 lba;
	u32 nsid;
	u8 vendor, transport;
	u8 reserved[2];
	u64 specific;
	u16 transport_specific;
	u8 reserved2[22];
};
_Static_assert(sizeof(struct nvme_error_entry) == 64, "an error log entry is 64 bytes");

/* Dataset Management range (figure 362) */
struct nvme_range {
	u32 attributes;
	u32 blocks;
	u64 start;
};
_Static_assert(sizeof(struct nvme_range) == 16, "a range is 16 bytes");

#endif
