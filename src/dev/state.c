/* SPDX-License-Identifier: MIT */
#include "dev/state.h"

/* A member's value; its type is an unsigned integer of that width, a bool or an enum. */
static u64 load(const u8 *member, unsigned width)
{
	u64 value = 0;

	memcpy(&value, member, width);
	return value;
}

static void store(u8 *member, unsigned width, u64 value)
{
	memcpy(member, &value, width);
}

static void put_value(struct state_writer *writer, u64 value, unsigned width)
{
	for (unsigned byte = 0; byte < width; byte++, writer->size++)
		if (writer->size < writer->room)
			writer->bytes[writer->size] = (u8)(value >> 8 * byte);
}

void state_put(struct state_writer *writer, const struct state_field *fields, unsigned count, const void *object)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned n = 0; n < fields[i].count; n++)
			put_value(writer,
				  load((const u8 *)object + fields[i].offset + (size_t)n * fields[i].width,
				       fields[i].width),
				  fields[i].width);
}

static u64 get_value(struct state_reader *reader, const struct state_field *field)
{
	u64 value = 0;

	if (reader->bad || reader->size - reader->at < field->width) {
		reader->bad = true;
		return 0;
	}
	for (unsigned byte = 0; byte < field->width; byte++)
		value |= (u64)reader->bytes[reader->at++] << 8 * byte;
	if (!field->flag || value <= 1)
		return value;
	reader->bad = true;
	return 0;
}

void state_get(struct state_reader *reader, const struct state_field *fields, unsigned count, void *object)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned n = 0; n < fields[i].count; n++)
			store((u8 *)object + fields[i].offset + (size_t)n * fields[i].width, fields[i].width,
			      get_value(reader, &fields[i]));
}
