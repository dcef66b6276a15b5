/* SPDX-License-Identifier: MIT */
/*
 * A capture while it is written. capture.c prepares and writes the machine, capture_place.c says where everything is,
 * capture_device.c what it is, capture_bars.c its registers.
 */
#ifndef MACHINE_CAPTURING_H
#define MACHINE_CAPTURING_H

#include <stdio.h>

#include "machine/capture.h"
#include "machine/description.h"

/* Text that grows; after a failure nothing more is added. */
struct sheet {
	char *text; /* owned */
	size_t size, room;
	struct why *why;
	bool failed;
};

void sheet_put(struct sheet *sheet, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "# ..." of words that may hold anything; a line of its own at that indent. */
void sheet_comment(struct sheet *sheet, unsigned indent, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What of the words can stand in a comment. */
void sheet_words(struct sheet *sheet, const char *words);

/* Cut down step by step until there is an address for every BAR. */
struct limits {
	u64 low;  /* of one BAR below 4 GiB */
	u64 high; /* of one above */
	bool io, models;
};

/* What follows from the topology for one function, by its index. */
struct place {
	const struct pci_function *function;
	enum function_role role;
	bool is_virtual;
	const struct pci_function *physical; /* under whose `vfs` it is written */
	u8 bus, last_bus;		     /* of a bridge, as written; bus 0: none */
	bool say_bus, say_last_bus;	     /* they are not those that reading it would give */
	bool shares_slot;
	u32 first_below, next_beside;	 /* 1 + index; 0 none: what is written under its `devices` */
	u32 first_virtual, next_virtual; /* likewise: under its `vfs` */
	u32 first_region;		 /* 1 + index of survey->regions; 0 none */
};

struct capture {
	const struct pci_survey *survey;
	struct pci_grouping *grouping; /* owned */
	struct place *places;	       /* owned */
	u32 *roots;		       /* owned: indices of those on root buses, in the order of addresses */
	size_t nroots;
	u32 *next_region;  /* owned: by region, 1 + index of the same function's next */
	bool *of_machine;  /* owned: by region: every group has it; the first of those alike */
	bool lost_regions; /* there were more than a machine file can say */
	struct limits limits;
	struct sheet sheet;
};

int capture_find_places(struct capture *capture, struct why *why);
int capture_find_regions(struct capture *capture, struct why *why);
void capture_devices(struct capture *capture);

/* The keys of one function; `- slot: ...` is there already. */
void capture_registers(struct capture *capture, const struct place *place, const struct model *model, unsigned indent);
void capture_function(struct capture *capture, const struct place *place, unsigned indent);
void capture_region(struct sheet *sheet, const struct pci_region *region);

static inline struct place *place_of(const struct capture *capture, const struct pci_function *function)
{
	return &capture->places[function->index];
}

#endif
