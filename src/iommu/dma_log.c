/* SPDX-License-Identifier: MIT */
#include "iommu/dma_log.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/port.h"

enum { WORD_BITS = 64, SHIFT_MAX = 30 };

/* A quarter of a GiB of the host's address space, of which only what is written to gets memory. */
static const u64 most_pages = 1ull << 31;

struct logged_range {
	u64 start, last; /* whole pages of the log's */
	u64 first_word;	 /* of its first page */
};

struct dma_log {
	unsigned shift;
	unsigned count;
	struct logged_range ranges[DMA_LOG_RANGES];
	_Atomic u64 *words; /* owned */
};

static u64 pages_of(u64 start, u64 last, unsigned shift)
{
	return (last >> shift) - (start >> shift) + 1;
}

static u64 words_of(u64 start, u64 last, unsigned shift)
{
	return (pages_of(start, last, shift) + WORD_BITS - 1) / WORD_BITS;
}

/* Pages that are larger than what was asked for may be shared by neighbours: whoever finds one first has it. */
static u64 place(struct dma_log *log, const struct dma_log_range *ranges, unsigned count)
{
	u64 mask = BIT(log->shift) - 1, words = 0;

	log->count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct logged_range range = {ranges[i].start & ~mask, ranges[i].last | mask, words};

		if (log->count && range.start <= log->ranges[log->count - 1].last) {
			if (log->ranges[log->count - 1].last >= range.last)
				continue;
			range.start = log->ranges[log->count - 1].last + 1;
		}
		words += words_of(range.start, range.last, log->shift);
		log->ranges[log->count++] = range;
	}
	return words;
}

int dma_log_new(const struct dma_log_range *ranges, unsigned count, unsigned shift, struct dma_log **ret,
		struct why *why)
{
	_free_(dma_log) struct dma_log *log = alloc_new(struct dma_log, why);
	u64 words;

	assert(count <= DMA_LOG_RANGES);
	if (!log)
		return -why->err;
	log->shift = (unsigned)min_u64(max_u64(shift, PAGE_SHIFT), SHIFT_MAX);
	while ((words = place(log, ranges, count)) > most_pages / WORD_BITS)
		log->shift++;
	log->words = alloc_array(words + 1, sizeof(log->words[0]), why);
	if (!log->words)
		return -why->err;
	*ret = take(log);
	return 0;
}

void dma_log_free(struct dma_log *log)
{
	if (!log)
		return;
	free(log->words);
	free(log);
}

unsigned dma_log_shift(const struct dma_log *log)
{
	return log->shift;
}

void dma_port_set_log(struct dma_port *port, struct dma_log *log)
{
	gate_stop(&port->gate);
	port->log = log;
	gate_start(&port->gate);
}

/* The first range that ends at or behind iova; count: none does. */
static unsigned find_range(const struct dma_log *log, u64 iova)
{
	unsigned low = 0, high = log->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (log->ranges[middle].last < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Bits of one word, from page to page_last, both of the range; *page moves behind them. */
static u64 next_bits(u64 *page, u64 page_last)
{
	unsigned low = *page % WORD_BITS, high = (unsigned)min_u64(WORD_BITS - 1, page_last - (*page - low));

	*page += high - low + 1;
	return MASK(high, low);
}

static void note_range(struct dma_log *log, const struct logged_range *range, u64 start, u64 last)
{
	u64 page = (start - range->start) >> log->shift, page_last = (last - range->start) >> log->shift;

	while (page <= page_last) {
		_Atomic u64 *word = &log->words[range->first_word + page / WORD_BITS];
		u64 bits = next_bits(&page, page_last);

		if ((atomic_load_explicit(word, memory_order_relaxed) & bits) != bits)
			atomic_fetch_or_explicit(word, bits, memory_order_release);
	}
}

void dma_log_note(struct dma_log *log, const struct dma_segment *segments, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		u64 start = segments[i].iova, last = start + segments[i].size - 1;

		if (!segments[i].size)
			continue;
		for (unsigned n = find_range(log, start); n < log->count && log->ranges[n].start <= last; n++)
			note_range(log, &log->ranges[n], max_u64(start, log->ranges[n].start),
				   min_u64(last, log->ranges[n].last));
	}
}

/* A run of written pages that grows until the next is not its neighbour. */
struct run {
	void (*visit)(void *context, u64 start, u64 last);
	void *context;
	u64 start, last;
	bool any;
};

static void run_tell(struct run *run)
{
	if (run->any)
		run->visit(run->context, run->start, run->last);
	run->any = false;
}

static void run_add(struct run *run, u64 start, u64 last)
{
	if (run->any && run->last + 1 == start) {
		run->last = last;
		return;
	}
	run_tell(run);
	*run = (struct run){run->visit, run->context, start, last, true};
}

/* Which of the pages of one word, the first of which is at first, lie in [start, last] whole. */
static u64 whole_pages(u64 first, unsigned shift, u64 start, u64 last)
{
	u64 bits = ~0ull, before = first < start ? (start - first + BIT(shift) - 1) >> shift : 0;

	if (before)
		bits = before < WORD_BITS ? bits << before : 0;
	if (last - first < ((u64)WORD_BITS << shift) - 1)
		bits &= BIT((last - first + 1) >> shift) - 1;
	return bits;
}

/* Those of a range, cut to [start, last]; at the edges, what is not in it whole stays written. */
static void read_range(struct dma_log *log, const struct logged_range *range, u64 start, u64 last, struct run *run)
{
	u64 page = (start - range->start) >> log->shift, page_last = (last - range->start) >> log->shift;

	while (page <= page_last) {
		u64 first = range->start + ((page - page % WORD_BITS) << log->shift);
		_Atomic u64 *word = &log->words[range->first_word + page / WORD_BITS];
		u64 bits = next_bits(&page, page_last);

		if (!(atomic_load_explicit(word, memory_order_relaxed) & bits))
			continue;
		bits &= atomic_fetch_and_explicit(word, ~(bits & whole_pages(first, log->shift, start, last)),
						  memory_order_acq_rel);
		for (; bits; bits &= bits - 1) {
			u64 from = first + ((u64)__builtin_ctzll(bits) << log->shift);

			run_add(run, max_u64(from, start), min_u64(from + (BIT(log->shift) - 1), last));
		}
	}
}

void dma_log_read(struct dma_log *log, u64 start, u64 last, void (*visit)(void *context, u64 start, u64 last),
		  void *context)
{
	struct run run = {.visit = visit, .context = context};

	for (unsigned n = find_range(log, start); n < log->count && log->ranges[n].start <= last; n++)
		read_range(log, &log->ranges[n], max_u64(start, log->ranges[n].start),
			   min_u64(last, log->ranges[n].last), &run);
	run_tell(&run);
}
