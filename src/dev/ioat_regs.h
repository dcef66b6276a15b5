/* SPDX-License-Identifier: MIT */
/*
 * The words of Intel's QuickData (I/OAT, CBDMA) 3.2 to 3.4: registers and descriptors. Names and numbers as in the Xeon
 * datasheets (volume 2, Intel QuickData Technology); "channel" registers are at 0x80 and on.
 */
#ifndef DEV_IOAT_REGS_H
#define DEV_IOAT_REGS_H

#include "base/bits.h"

/* Of the device */
enum {
	IOAT_CHANCNT = 0x00,	/* u8 */
	IOAT_XFERCAP = 0x01,	/* u8: log2 of the largest transfer */
	IOAT_GENCTRL = 0x02,	/* u8 */
	IOAT_INTRCTRL = 0x03,	/* u8 */
	IOAT_ATTNSTATUS = 0x04, /* u32: a bit per channel */
	IOAT_CBVER = 0x08,	/* u8: major, minor */
	IOAT_INTRDELAY = 0x0c,	/* u16 */
	IOAT_CS_STATUS = 0x0e,	/* u16 */
	IOAT_DMACAP = 0x10,	/* u32 */

	IOAT_INTRCTRL_MASTER = 0x01,
	IOAT_INTRCTRL_STATUS = 0x02,
	IOAT_INTRCTRL_INT = 0x04,
	IOAT_INTRCTRL_MSIX_VECTORS = 0x08,

	IOAT_CAP_PAGE_BREAK = 0x01,
	IOAT_CAP_FILL = 0x40,
};

/* Of the one channel */
enum {
	IOAT_CHANCTRL = 0x80,	  /* u16 */
	IOAT_DMACOMP = 0x82,	  /* u16 */
	IOAT_CHANCMD = 0x84,	  /* u8 */
	IOAT_DMACOUNT = 0x86,	  /* u16: how many descriptors of the chain may be done, modulo 2^16 */
	IOAT_CHANSTS = 0x88,	  /* u64: address of the last one that is, and the state */
	IOAT_CHAINADDR = 0x90,	  /* u64: the first of the chain */
	IOAT_CHANCMP = 0x98,	  /* u64: where CHANSTS is written to */
	IOAT_CDAR = 0xa0,	  /* u64: the one in work */
	IOAT_CHANERR = 0xa8,	  /* u32 */
	IOAT_CHANERR_MASK = 0xac, /* u32 */
	IOAT_DCACTRL = 0xb0,	  /* u32 */

	IOAT_CHANCTRL_INT_DISABLED = 0x0001, /* set by an interrupt; written as one, it is cleared */
	IOAT_CHANCTRL_ERR_COMPLETION = 0x0004,
	IOAT_CHANCTRL_ERR_INT = 0x0010,

	IOAT_CHANCMD_SUSPEND = 0x04,
	IOAT_CHANCMD_RESET = 0x20,

	IOAT_DMACOMP_V2 = 0x0002,
};

enum ioat_state { IOAT_ACTIVE, IOAT_DONE, IOAT_SUSPENDED, IOAT_HALTED, IOAT_ARMED }; /* CHANSTS bits 2:0 */

#define IOAT_CHANSTS_ADDRESS (~0x3full)

enum ioat_error { /* CHANERR, and CHANERR_INT in configuration space */
		  IOAT_ERR_SOURCE_ADDRESS = 0x00001,
		  IOAT_ERR_DESTINATION_ADDRESS = 0x00002,
		  IOAT_ERR_NEXT_ADDRESS = 0x00004,
		  IOAT_ERR_NEXT_ALIGNMENT = 0x00008,
		  IOAT_ERR_CHAIN_ADDRESS = 0x00010,
		  IOAT_ERR_COMMAND = 0x00020,
		  IOAT_ERR_READ_DATA = 0x00100,
		  IOAT_ERR_WRITE_DATA = 0x00200,
		  IOAT_ERR_CONTROL = 0x00400,
		  IOAT_ERR_LENGTH = 0x00800,
		  IOAT_ERR_COMPLETION_ADDRESS = 0x01000,
};

/* Configuration space */
enum {
	IOAT_CONFIG_UNCERRSTS = 0x148,
	IOAT_CONFIG_UNCERRMSK = 0x14c,
	IOAT_CONFIG_UNCERRSEV = 0x150,
	IOAT_CONFIG_UNCERRPTR = 0x154,
	IOAT_CONFIG_GLBERRPTR = 0x160,
	IOAT_CONFIG_CHANERR_INT = 0x180,
	IOAT_CONFIG_CHANERRMSK_INT = 0x184,
	IOAT_CONFIG_CHANERRSEV_INT = 0x188,
	IOAT_CONFIG_CHANERRPTR = 0x18c,
	IOAT_CONFIG_BEHIND = 0x190,
};

enum ioat_opcode { IOAT_OP_COPY = 0x00, IOAT_OP_FILL = 0x01 };

struct ioat_descriptor {
	u32 size;
	u32 control;
	u64 source; /* IOAT_OP_FILL: the pattern */
	u64 destination;
	u64 next;
	u64 unused[4]; /* the driver's own */
};
_Static_assert(sizeof(struct ioat_descriptor) == 64, "a descriptor is 64 bytes");

enum {
	IOAT_CONTROL_INT = 0x00000001,
	IOAT_CONTROL_COMPLETION = 0x00000008,
	IOAT_CONTROL_NULL = 0x00000020,
	IOAT_CONTROL_RESERVED = 0x00fff800, /* the others are hints: snooping, page breaks, bundling, DCA, fences */
};

static inline u8 ioat_opcode(u32 control)
{
	return (u8)(control >> 24);
}

#endif
