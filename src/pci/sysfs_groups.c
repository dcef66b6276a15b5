/* SPDX-License-Identifier: MIT */
/* kernel/iommu_groups: whom the kernel put together, and what it keeps free for whom (spec 01 sections 7 and 8). */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/sysfs.h"

#define GROUPS_PATH "kernel/iommu_groups"

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return x < y ? -1 : x > y;
}

static int by_key(const void *a, const void *b)
{
	const struct sysfs_member *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return by_number(&x->group, &y->group);
}

static int add_group(struct sysfs_reader *reader, int group, struct why *why)
{
	void *groups = reader->groups;
	int err = alloc_grow(&groups, &reader->groups_room, reader->ngroups, sizeof(group), why);

	reader->groups = groups;
	if (err == 0)
		reader->groups[reader->ngroups++] = group;
	return err;
}

static int add_member(struct sysfs_reader *reader, struct pci_addr addr, int group, struct why *why)
{
	void *members = reader->members;
	int err = alloc_grow(&members, &reader->members_room, reader->nmembers, sizeof(*reader->members), why);

	reader->members = members;
	if (err == 0)
		reader->members[reader->nmembers++] = (struct sysfs_member){pci_addr_key(addr), group};
	return err;
}

static int read_members(struct sysfs_reader *reader, int group, struct why *why)
{
	char path[SYSFS_NAME];
	struct pci_addr addr;
	const char *name;
	int err = 0;
	void *list;

	snprintf(path, sizeof(path), GROUPS_PATH "/%d/devices", group);
	list = os_folder_list(reader->root, path);
	while (list && err == 0 && (name = os_folder_next(list))) {
		reader->shows_members = true;
		if (pci_addr_parse(name, &addr))
			err = add_member(reader, addr, group, why);
	}
	os_folder_done(list);
	return err;
}

int sysfs_read_groups(struct sysfs_reader *reader, struct why *why)
{
	void *list = os_folder_list(reader->root, GROUPS_PATH);
	const char *name;
	int err = 0;

	while (list && err == 0 && (name = os_folder_next(list))) {
		int group = sysfs_group_number(name);

		if (group >= 0)
			err = add_group(reader, group, why);
	}
	os_folder_done(list);
	if (reader->ngroups)
		qsort(reader->groups, reader->ngroups, sizeof(reader->groups[0]), by_number);
	for (size_t i = 0; i < reader->ngroups && err == 0; i++)
		err = read_members(reader, reader->groups[i], why);
	if (reader->nmembers)
		qsort(reader->members, reader->nmembers, sizeof(reader->members[0]), by_key);
	return err;
}

int sysfs_group_of(const struct sysfs_reader *reader, struct pci_addr addr)
{
	size_t first = 0, after = reader->nmembers;

	while (first < after) {
		size_t middle = first + (after - first) / 2;

		if (reader->members[middle].key < pci_addr_key(addr))
			first = middle + 1;
		else
			after = middle;
	}
	if (first == reader->nmembers || reader->members[first].key != pci_addr_key(addr))
		return PCI_GROUP_UNSAID;
	return reader->members[first].group;
}

/* ---- reserved_regions ---- */

struct origin {
	enum pci_platform platform;
	const char *kind, *from;
};

/* Who makes such a region there; the first row that fits. PLATFORM_UNKNOWN fits all. */
static const struct origin origins[] = {
	{PLATFORM_INTEL, "direct", "firmware (RMRR)"},
	{PLATFORM_INTEL, "direct-relaxable", "firmware (RMRR of USB or graphics), or 16 MiB for an ISA bridge"},
	{PLATFORM_INTEL, "msi", "the MSI window of Intel platforms"},
	{PLATFORM_AMD, "direct", "firmware (IVMD)"},
	{PLATFORM_AMD, "reserved", "HyperTransport's own addresses, or firmware (IVMD)"},
	{PLATFORM_AMD, "msi", "the MSI window of AMD platforms"},
	{PLATFORM_OTHER, "direct", "firmware (IORT or device tree)"},
	{PLATFORM_OTHER, "msi", "the window in which Linux maps the interrupt controller"},
	{PLATFORM_UNKNOWN, "direct", "firmware"},
	{PLATFORM_UNKNOWN, "direct-relaxable", "firmware"},
	{PLATFORM_UNKNOWN, "reserved", "the platform"},
	{PLATFORM_UNKNOWN, "msi", "the MSI window of the platform"},
};

static const char *origin_of(enum pci_platform platform, const char *kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(origins); i++)
		if (strcmp(origins[i].kind, kind) == 0 &&
		    (origins[i].platform == platform || origins[i].platform == PLATFORM_UNKNOWN))
			return origins[i].from;
	return NULL;
}

/* "0x00000000fee00000 0x00000000feefffff msi" */
static int read_region(struct sysfs_reader *reader, int group, const char *line, struct why *why)
{
	struct pci_survey *survey = reader->survey;
	unsigned long long start, last;
	const char *from = NULL;
	char kind[20];

	if (sscanf(line, "%llx %llx %19s", &start, &last, kind) == 3 && start <= last)
		from = origin_of(survey->platform, kind);
	if (from)
		return pci_survey_region(survey, start, last, kind, group, from, why);
	return pci_survey_remark(survey, REMARK_WARNING, 0, NULL, why,
				 "a line of " GROUPS_PATH "/%d/reserved_regions is not understood and left out", group);
}

static int read_regions_of(struct sysfs_reader *reader, int group, struct why *why)
{
	char path[SYSFS_NAME], text[PAGE_SIZE], *rest = text, *line;
	int folder, err = 0;
	bool there;

	snprintf(path, sizeof(path), GROUPS_PATH "/%d", group);
	folder = os_folder_open(reader->root, path);
	if (folder < 0)
		return 0;
	there = sysfs_text(folder, "reserved_regions", text, sizeof(text));
	os_close(folder);
	while (there && err == 0 && (line = strsep(&rest, "\n")))
		if (*line)
			err = read_region(reader, group, line, why);
	return err;
}

int sysfs_read_regions(struct sysfs_reader *reader, struct why *why)
{
	int err = 0;

	for (size_t i = 0; i < reader->ngroups && err == 0; i++)
		err = read_regions_of(reader, reader->groups[i], why);
	return err;
}
