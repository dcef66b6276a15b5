/* SPDX-License-Identifier: MIT */
#include "mem/bitmap.h"

bool client_bitmap_writable(struct client *client, u64 address, u64 nbits)
{
	struct why ignored;

	return client_check_range(client, address, (nbits + 7) / 8, true, &ignored) == 0;
}

/* It was looked at before that it can be written; a thread that takes it away since has itself to thank. */
void client_bitmap_flush(struct client_bitmap *bitmap)
{
	u8 present[PAGE_SIZE];
	struct why ignored;

	if (!bitmap->used)
		return;
	if (client_read(bitmap->client, bitmap->address + bitmap->window, present, bitmap->used, &ignored) == 0) {
		for (size_t i = 0; i < bitmap->used; i++)
			present[i] |= bitmap->bytes[i];
		client_write(bitmap->client, bitmap->address + bitmap->window, present, bitmap->used, &ignored);
	}
	memset(bitmap->bytes, 0, bitmap->used);
	bitmap->used = 0;
}

static void move_window(struct client_bitmap *bitmap, u64 byte)
{
	if (bitmap->used && byte - bitmap->window < sizeof(bitmap->bytes))
		return;
	client_bitmap_flush(bitmap);
	bitmap->window = byte;
}

/* Bits [first, last], ascending from call to call. */
static void set_bits(struct client_bitmap *bitmap, u64 first, u64 last)
{
	while (first <= last) {
		u64 byte = first / 8, piece_last = min_u64(last, byte * 8 + 7);

		move_window(bitmap, byte);
		if (first == byte * 8 && last - first >= 7) {
			u64 whole = min_u64((last + 1) / 8 - byte, bitmap->window + sizeof(bitmap->bytes) - byte);

			memset(bitmap->bytes + (byte - bitmap->window), 0xff, whole);
			piece_last = first + whole * 8 - 1;
			byte += whole - 1;
		} else {
			bitmap->bytes[byte - bitmap->window] |= (u8)MASK(piece_last % 8, first % 8);
		}
		bitmap->used = byte - bitmap->window + 1;
		first = piece_last + 1;
	}
}

void client_bitmap_set(struct client_bitmap *bitmap, u64 start, u64 last)
{
	set_bits(bitmap, (start - bitmap->iova) >> bitmap->shift, (last - bitmap->iova) >> bitmap->shift);
}
