/* SPDX-License-Identifier: MIT */
/* Shared by the files of the sysfs reader. Everything read is somebody else's: any contents are legal. */
#ifndef PCI_SYSFS_H
#define PCI_SYSFS_H

#include "base/os.h"
#include "pci/survey.h"

#define SYSFS_NAME  64	 /* of a driver, a unit */
#define SYSFS_PATH  1024 /* of a function's directory, from the root of the tree */
#define SYSFS_UNITS 256

/* How often something was met, and where first. */
struct sysfs_count {
	unsigned count;
	char first[PCI_ADDR_TEXT];
};

struct sysfs_member {
	u64 key; /* pci_addr_key() */
	int group;
};

struct sysfs_reader {
	struct pci_survey *survey; /* owned until it is done */
	int root;		   /* owned: descriptor of the tree */
	bool live;		   /* /sys itself, no copy */

	int *groups; /* owned: their numbers, ascending */
	size_t ngroups, groups_room;
	struct sysfs_member *members; /* owned: by key */
	size_t nmembers, members_room;

	char units[SYSFS_UNITS][SYSFS_NAME]; /* names, in the order they were met */
	unsigned nunits;

	bool shows_members; /* of some group; a copy without links may have none */
	bool shows_links;   /* some function shows the speed of its PCI Express link */
	bool shows_drivers; /* drivers, if there are any */
	struct sysfs_count cut, unread, lost, strange;
};

/* A fact's gap until all functions are read: it shows no link speed. */
#define SYSFS_GAP_LINK (1u << 31)

void sysfs_note(struct sysfs_count *count, const char *name);

/* The start of an attribute, as a string; false when there is no such regular file. */
bool sysfs_text(int folder, const char *name, char *text, size_t size);

/* The last component of where a link points, of printable characters; false when there is none. */
bool sysfs_link_name(int folder, const char *link, char name[static SYSFS_NAME]);

/* A group's number, or -1. */
int sysfs_group_number(const char *text);

/* ---- sysfs_function.c ---- */

/* A new function of the survey from its directory; path is "" when nobody knows where the directory hangs. */
int sysfs_read_function(struct sysfs_reader *reader, struct pci_addr addr, int folder, const char *path,
			struct why *why);

/* ---- sysfs_groups.c ---- */

int sysfs_read_groups(struct sysfs_reader *reader, struct why *why);
int sysfs_group_of(const struct sysfs_reader *reader, struct pci_addr addr); /* PCI_GROUP_UNSAID */
int sysfs_read_regions(struct sysfs_reader *reader, struct why *why); /* after the functions, which tell the platform */

#endif
