/* SPDX-License-Identifier: MIT */
/*
 * Integers, masks and little-endian memory: the words every layer is written in.
 *
 * Ranges are always (start, last), both inclusive, because an IOVA reaches 2^64 - 1.
 */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ull << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define BIT(n)		  (1ull << (n))
#define MASK(high, low)	  ((~0ull >> (63 - (high))) & (~0ull << (low)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline bool is_aligned(u64 value, u64 power)
{
	return (value & (power - 1)) == 0;
}

static inline u64 align_down(u64 value, u64 power)
{
	return value & ~(power - 1);
}

static inline u64 align_up(u64 value, u64 power)
{
	return align_down(value + power - 1, power);
}

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* The least power of two that is not below size; at most 2^63, which every size above it gets. */
static inline u64 power_of_two_from(u64 size)
{
	if (size > BIT(63))
		return BIT(63);
	return size > 1 ? BIT(64 - __builtin_clzll(size - 1)) : 1;
}

/* True when [start, start + size - 1] leaves the 64-bit space. */
static inline bool range_overflows(u64 start, u64 size)
{
	return size && start + size - 1 < start;
}

static inline bool ranges_overlap(u64 a_start, u64 a_last, u64 b_start, u64 b_last)
{
	return a_start <= b_last && b_start <= a_last;
}

/* The hosts we build for are little-endian, as the registers and tables of the devices are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "registers and tables are little-endian");

static inline u16 get_u16(const void *from)
{
	u16 value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static inline u32 get_u32(const void *from)
{
	u32 value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static inline u64 get_u64(const void *from)
{
	u64 value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static inline void put_u16(void *to, u16 value)
{
	memcpy(to, &value, sizeof(value));
}

static inline void put_u32(void *to, u32 value)
{
	memcpy(to, &value, sizeof(value));
}

static inline void put_u64(void *to, u64 value)
{
	memcpy(to, &value, sizeof(value));
}

#endif
