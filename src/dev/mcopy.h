/* SPDX-License-Identifier: MIT */
/*
 * mcopy, an emulated device: copies and fills memory in software. Its registers are 32 bits wide, in an I/O BAR, so
 * that each access is a call: a command is done when the write that gave it returns. docs/machine-file.md has them for
 * users.
 */
#ifndef DEV_MCOPY_H
#define DEV_MCOPY_H

#include "dev/model.h"

enum {
	MCOPY_MAGIC = 0x00,	  /* "mcpy" */
	MCOPY_VERSION = 0x04,	  /* 1 */
	MCOPY_COMMAND = 0x08,	  /* enum mcopy_command; reads 0 */
	MCOPY_STATUS = 0x0c,	  /* enum mcopy_status of the last command */
	MCOPY_SOURCE = 0x10,	  /* and 0x14: the upper half */
	MCOPY_DESTINATION = 0x18, /* and 0x1c */
	MCOPY_LENGTH = 0x20,	  /* bytes, at most MCOPY_LONGEST */
	MCOPY_PATTERN = 0x24,	  /* of FILL, over and over */
	MCOPY_DONE = 0x28,	  /* bytes of the last COPY or FILL that arrived for sure */
	MCOPY_EVENTS = 0x2c,	  /* MCOPY_EVENT_...; writing ones clears them */
	MCOPY_ENABLE = 0x30,	  /* which events interrupt */
	MCOPY_LOST = 0x34,	  /* windows that were taken away so far */
	MCOPY_WINDOW = 0x38,	  /* and 0x3c: the first address of the pinned window */
	MCOPY_WINDOW_SIZE = 0x40, /* 0: there is none */
	MCOPY_REGISTERS = 0x44,
	MCOPY_BAR_SIZE = 0x80,
};

enum mcopy_command {
	MCOPY_COPY = 1,	 /* LENGTH bytes from SOURCE to DESTINATION, which may not overlap */
	MCOPY_FILL = 2,	 /* LENGTH bytes at DESTINATION with PATTERN */
	MCOPY_PIN = 3,	 /* LENGTH bytes at SOURCE become the window: what lies in it is moved by its pinned pages */
	MCOPY_UNPIN = 4, /* the window is given back */
};

enum mcopy_status {
	MCOPY_OK,
	MCOPY_BAD_COMMAND, /* none of the above, or LENGTH is 0 or too large */
	MCOPY_NO_SOURCE,   /* the source cannot be read */
	MCOPY_NO_TARGET,   /* the destination cannot be written */
	MCOPY_NO_WINDOW,   /* the window cannot be pinned, there is one already, or there is none */
};

enum { MCOPY_EVENT_DONE = 1 << 0, MCOPY_EVENT_LOST = 1 << 1 };

#define MCOPY_MAGIC_VALUE 0x7970636du
#define MCOPY_LONGEST	  (1u << 20)

extern const struct model mcopy_model;

#endif
