/* SPDX-License-Identifier: MIT */
/*
 * A model's state as bytes that mean the same on every host, for pci_migration_ops: a table says which members of a
 * structure there are, in which order. Numbers are little-endian, as wide as the member; a bool is a byte, 0 or 1.
 */
#ifndef DEV_STATE_H
#define DEV_STATE_H

#include "base/bits.h"

struct state_field {
	size_t offset;
	u16 width; /* 1, 2, 4 or 8 */
	u16 count; /* of an array, one after the other */
	bool flag; /* 0 or 1 */
};

#define STATE_FIELD(type, member)                                                                                      \
	{                                                                                                              \
		offsetof(type, member), sizeof(((type *)0)->member), 1, false                                          \
	}
#define STATE_FLAG(type, member)                                                                                       \
	{                                                                                                              \
		offsetof(type, member), sizeof(bool), 1, true                                                          \
	}
#define STATE_ARRAY(type, member)                                                                                      \
	{                                                                                                              \
		offsetof(type, member), sizeof(((type *)0)->member[0]), ARRAY_SIZE(((type *)0)->member), false         \
	}

struct state_writer {
	u8 *bytes; /* borrowed */
	size_t size, room;
};

/* Legal when there is no room: then size passes room, and nothing is written behind it. */
void state_put(struct state_writer *writer, const struct state_field *fields, unsigned count, const void *object);

struct state_reader {
	const u8 *bytes; /* borrowed */
	size_t size, at;
	bool bad; /* bytes were missing, or a flag was none; what was read since is zero */
};

void state_get(struct state_reader *reader, const struct state_field *fields, unsigned count, void *object);

/* All was there and nothing is left. */
static inline bool state_is_whole(const struct state_reader *reader)
{
	return !reader->bad && reader->at == reader->size;
}

#endif
