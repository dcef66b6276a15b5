/* SPDX-License-Identifier: MIT */
/*
 * The words of Intel's Data Streaming Accelerator, architecture 1.0: registers, descriptors, completion records. Names
 * and numbers as in the architecture specification (341204) and in Linux's include/uapi/linux/idxd.h.
 */
#ifndef DEV_DSA_REGS_H
#define DEV_DSA_REGS_H

#include "base/bits.h"

/* BAR 0 */
enum {
	DSA_VERSION = 0x00,  /* u32 */
	DSA_GENCAP = 0x10,   /* u64 */
	DSA_WQCAP = 0x20,    /* u64 */
	DSA_GRPCAP = 0x30,   /* u64 */
	DSA_ENGCAP = 0x38,   /* u64 */
	DSA_OPCAP = 0x40,    /* 256 bits: operations */
	DSA_OFFSETS = 0x60,  /* 128 bits: where the tables are, in units of 256 bytes */
	DSA_GENCFG = 0x80,   /* u32 */
	DSA_GENCTRL = 0x88,  /* u32 */
	DSA_GENSTS = 0x90,   /* u32 */
	DSA_INTCAUSE = 0x98, /* u32 */
	DSA_CMD = 0xa0,	     /* u32 */
	DSA_CMDSTS = 0xa8,   /* u32 */
	DSA_CMDCAP = 0xb0,   /* u32 */
	DSA_SWERR = 0xc0,    /* 256 bits */
	DSA_GRPCFG = 0x400,
	DSA_WQCFG = 0x500,
	DSA_MSIXPERM = 0x700,
	DSA_TABLES_BEHIND = 0x800,
	DSA_MSIX_TABLE = 0x2000,
	DSA_MSIX_PENDING = 0x3000,

	DSA_GRPCFG_SIZE = 64, /* of a group */
	DSA_WQCFG_SIZE = 64,  /* of a work queue */
	DSA_MSIXPERM_SIZE = 8,

	DSA_VERSION_1_0 = 0x100,

	DSA_GENCFG_USER_INTERRUPTS = 0x1000,
	DSA_GENCFG_WRITABLE = 0x10ff,
	DSA_GENCTRL_ERROR_INTERRUPT = 0x1,
	DSA_GENCTRL_HALT_INTERRUPT = 0x2,

	DSA_INTC_ERROR = 0x01,
	DSA_INTC_COMMAND = 0x02,
	DSA_INTC_HALT = 0x10,

	DSA_MSIXPERM_IGNORE = 0x4,
	DSA_MSIXPERM_PASID_ENABLE = 0x8,
};

/* GENCAP, WQCAP, GRPCAP */
#define DSA_GENCAP_OVERLAPPING	   BIT(1)
#define DSA_GENCAP_CACHE_MEMORY	   BIT(2)
#define DSA_GENCAP_CACHE_FLUSH	   BIT(3)
#define DSA_GENCAP_COMMANDS	   BIT(4)
#define DSA_GENCAP_READBACK	   BIT(8)
#define DSA_GENCAP_TRANSFER_SHIFT  16
#define DSA_GENCAP_BATCH_SHIFT	   21
#define DSA_GENCAP_CONFIGURABLE	   BIT(31)
#define DSA_WQCAP_WQS_SHIFT	   16
#define DSA_WQCAP_WQCFG_SIZE_SHIFT 24 /* log2 of the bytes, less 5 */
#define DSA_WQCAP_SHARED	   BIT(48)
#define DSA_WQCAP_DEDICATED	   BIT(49)
#define DSA_WQCAP_ATS		   BIT(50)
#define DSA_WQCAP_PRIORITY	   BIT(51)
#define DSA_WQCAP_OCCUPANCY	   BIT(52)
#define DSA_WQCAP_OPERATIONS	   BIT(54)

enum dsa_device_state { DSA_DISABLED, DSA_ENABLED, DSA_DRAINING, DSA_HALTED };
enum { DSA_RESET_BY_FLR = 1 << 2 }; /* GENSTS: what gets it out of "halted" */

/* WQCFG, by dword */
enum {
	DSA_WQ_SIZE = 0,
	DSA_WQ_THRESHOLD = 1,
	DSA_WQ_MODE = 2,
	DSA_WQ_LIMITS = 3,
	DSA_WQ_STATUS = 6,
	DSA_WQ_OPERATIONS = 8, /* 256 bits */

	DSA_WQ_DEDICATED = 0x1,
	DSA_WQ_BLOCK_ON_FAULT = 0x2,
	DSA_WQ_PRIORITY_SHIFT = 4,
	DSA_WQ_PASID_SHIFT = 8,
	DSA_WQ_PASID_ENABLE = 1 << 28,
	DSA_WQ_PRIVILEGED = 1 << 29,
	DSA_WQ_MODE_WRITABLE = 0x3ffffff7,
	DSA_WQ_LIMITS_WRITABLE = 0x1ff,
	DSA_WQ_STATUS_MODES = 1 << 29,
	DSA_WQ_STATUS_ENABLED = 1 << 30,
};

/* CMD: operand in bits 19:0, command in 24:20 */
enum dsa_command {
	DSA_ENABLE_DEVICE = 1,
	DSA_DISABLE_DEVICE,
	DSA_DRAIN_ALL,
	DSA_ABORT_ALL,
	DSA_RESET_DEVICE,
	DSA_ENABLE_WQ,
	DSA_DISABLE_WQ,
	DSA_DRAIN_WQ,
	DSA_ABORT_WQ,
	DSA_RESET_WQ,
	DSA_DRAIN_PASID,
	DSA_ABORT_PASID,
	DSA_COMMANDS,
};

enum { DSA_CMD_INTERRUPT = 1u << 31, DSA_CMDSTS_ACTIVE = 1u << 31 };

enum dsa_command_error { /* CMDSTS bits 7:0 */
			 DSA_CMD_INVALID = 0x01,
			 DSA_CMD_WQ_INDEX = 0x02,
			 DSA_CMD_HARDWARE = 0x03,
			 DSA_CMD_DEVICE_ENABLED = 0x10,
			 DSA_CMD_CONFIGURATION = 0x11,
			 DSA_CMD_BUS_MASTER = 0x12,
			 DSA_CMD_WQ_SIZES = 0x14,
			 DSA_CMD_GROUP_HALF = 0x15,
			 DSA_CMD_GROUP_WQ_MISSING = 0x16,
			 DSA_CMD_GROUP_WQ_EMPTY = 0x17,
			 DSA_CMD_GROUP_ENGINE = 0x18,
			 DSA_CMD_DEVICE_DISABLED = 0x20,
			 DSA_CMD_WQ_ENABLED = 0x21,
			 DSA_CMD_WQ_SIZE = 0x22,
			 DSA_CMD_WQ_PRIORITY = 0x23,
			 DSA_CMD_WQ_MODE = 0x24,
			 DSA_CMD_WQ_BLOCK_ON_FAULT = 0x25,
			 DSA_CMD_WQ_PASID = 0x26,
			 DSA_CMD_WQ_BATCH = 0x27,
			 DSA_CMD_WQ_TRANSFER = 0x28,
			 DSA_CMD_NOT_ENABLED = 0x31,
			 DSA_CMD_WQ_NOT_ENABLED = 0x32,
};

/* SWERR, first quadword */
#define DSA_SWERR_VALID		  BIT(0)
#define DSA_SWERR_OVERFLOW	  BIT(1)
#define DSA_SWERR_DESCRIPTOR	  BIT(2)
#define DSA_SWERR_WQ		  BIT(3)
#define DSA_SWERR_BATCH		  BIT(4)
#define DSA_SWERR_WRITE		  BIT(5)
#define DSA_SWERR_PRIVILEGED	  BIT(6)
#define DSA_SWERR_ERROR_SHIFT	  8
#define DSA_SWERR_WQ_SHIFT	  16
#define DSA_SWERR_OPERATION_SHIFT 32
#define DSA_SWERR_PASID_SHIFT	  40

enum dsa_opcode {
	DSA_OP_NOOP = 0x00,
	DSA_OP_BATCH = 0x01,
	DSA_OP_DRAIN = 0x02,
	DSA_OP_MOVE = 0x03,
	DSA_OP_FILL = 0x04,
	DSA_OP_COMPARE = 0x05,
	DSA_OP_COMPARE_PATTERN = 0x06,
	DSA_OP_CREATE_DELTA = 0x07,
	DSA_OP_APPLY_DELTA = 0x08,
	DSA_OP_DUALCAST = 0x09,
	DSA_OP_CRC = 0x10,
	DSA_OP_COPY_CRC = 0x11,
	DSA_OP_DIF_CHECK = 0x12,
	DSA_OP_DIF_INSERT = 0x13,
	DSA_OP_DIF_STRIP = 0x14,
	DSA_OP_DIF_UPDATE = 0x15,
	DSA_OP_CACHE_FLUSH = 0x20,
	DSA_OPCODES,
};

enum dsa_flag {
	DSA_FENCE = 0x000001, /* inside a batch only */
	DSA_BLOCK_ON_FAULT = 0x000002,
	DSA_RECORD_VALID = 0x000004,
	DSA_WANT_RECORD = 0x000008,
	DSA_WANT_INTERRUPT = 0x000010,
	DSA_RECORD_STEERING = 0x000020,
	DSA_CHECK_RESULT = 0x000080,
	DSA_CACHE_CONTROL = 0x000100,
	DSA_TRAFFIC_1 = 0x000200,
	DSA_TRAFFIC_2 = 0x000400,
	DSA_TRAFFIC_3 = 0x000800,
	DSA_RECORD_TRAFFIC = 0x001000,
	DSA_STRICT_ORDER = 0x002000,
	DSA_READBACK = 0x004000,
	DSA_STEERING = 0x008000,
	DSA_CRC_READ_SEED = 0x010000,
	DSA_CRC_RAW = 0x020000,	     /* seed and result: no inversion, no reflection */
	DSA_CRC_RAW_DATA = 0x040000, /* no reflection of the bytes */
};

enum dsa_status {
	DSA_MORE = 0x00, /* ours: the operation is not at its end yet. In a record: none was written */
	DSA_SUCCESS = 0x01,
	DSA_FALSE_PREDICATE = 0x02,
	DSA_PAGE_FAULT = 0x03,
	DSA_BATCH_FAILED = 0x05,
	DSA_BATCH_PAGE_FAULT = 0x06,
	DSA_DELTA_ORDER = 0x07,
	DSA_DELTA_RANGE = 0x08,
	DSA_DIF_ERROR = 0x09,
	DSA_BAD_OPCODE = 0x10,
	DSA_BAD_FLAGS = 0x11,
	DSA_BAD_RESERVED = 0x12,
	DSA_BAD_SIZE = 0x13,
	DSA_BAD_COUNT = 0x14,
	DSA_BAD_DELTA_SIZE = 0x15,
	DSA_OVERLAP = 0x16,
	DSA_BAD_DUALCAST = 0x17,
	DSA_BAD_LIST = 0x18,
	DSA_BAD_INTERRUPT = 0x19,
	DSA_RECORD_FAULT = 0x1a,
	DSA_BAD_RECORD = 0x1b,
	DSA_MISALIGNED = 0x1c,
	DSA_BAD_PRIVILEGE = 0x1d,

	DSA_STATUS_WRITE = 0x80, /* with a page fault: by a write */

	/* In SWERR alone */
	DSA_ERROR_PORTAL = 0x50, /* a descriptor that no work queue takes */
	DSA_ERROR_BUS_MASTER = 0x51,
	DSA_ERROR_COMMAND = 0x52, /* one was active */
};

struct dsa_descriptor {
	u32 pasid;	 /* bits 19:0; privileged in bit 31 */
	u32 flags;	 /* bits 23:0; operation in bits 31:24 */
	u64 record;	 /* where the completion goes */
	u64 source;	 /* or pattern, list of descriptors, delta record */
	u64 destination; /* or second source, pattern to compare with */
	u32 size;	 /* or count of descriptors */
	u16 interrupt;
	u16 reserved;
	u8 specific[24];
};
_Static_assert(sizeof(struct dsa_descriptor) == 64, "a descriptor is 64 bytes");

#define DSA_PASID_MASK	   0x000fffffu
#define DSA_PASID_RESERVED 0x7ff00000u
#define DSA_PRIVILEGED	   0x80000000u
#define DSA_FLAGS_MASK	   0x00ffffffu

static inline u8 dsa_opcode(const struct dsa_descriptor *descriptor)
{
	return (u8)(descriptor->flags >> 24);
}

struct dsa_record {
	u8 status;
	u8 result;
	u8 fault_info, reserved;
	u32 completed; /* bytes, or descriptors of a batch */
	u64 fault_address;
	u8 specific[16];
};
_Static_assert(sizeof(struct dsa_record) == 32, "a completion record is 32 bytes");

enum { DSA_DELTA_ENTRY = 10, DSA_DELTA_MIN = 80, DSA_DELTA_SOURCE_MAX = 0x80000 };

/* DIF: flags of the source (byte 40), of the destination (41), of both (42) */
enum {
	DSA_DIF_ERROR_ALL_F = 0x01, /* with the next: it is an error */
	DSA_DIF_DETECT_ALL_F = 0x02,
	DSA_DIF_DETECT_APP_F = 0x04,	 /* an application tag of ones: nothing is checked */
	DSA_DIF_DETECT_APP_REF_F = 0x08, /* both tags */
	DSA_DIF_APP_INCREMENTS = 0x10,
	DSA_DIF_GUARD_UNCHECKED = 0x20,
	DSA_DIF_REF_UNCHECKED = 0x40,
	DSA_DIF_REF_FIXED = 0x80,

	DSA_DIF_APP_PASSES = 0x08,
	DSA_DIF_GUARD_PASSES = 0x20,
	DSA_DIF_REF_PASSES = 0x40,
	DSA_DIF_DESTINATION_RESERVED = 0x07,

	DSA_DIF_BLOCK = 0x03,
	DSA_DIF_INVERT_SEED = 0x04,
	DSA_DIF_INVERT_GUARD = 0x08,
	DSA_DIF_RESERVED = 0xf0,

	/* dif_status */
	DSA_DIF_BAD_GUARD = 0x01,
	DSA_DIF_BAD_APP = 0x02,
	DSA_DIF_BAD_REF = 0x04,
	DSA_DIF_BAD_ALL_F = 0x08,
};

#endif
