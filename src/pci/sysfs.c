/* SPDX-License-Identifier: MIT */
/*
 * A machine from its sysfs, or from a copy: bus/pci/devices names the functions, and where its links point says how
 * they hang together. Links are read, never followed: a copy may have been made by anybody.
 */
#include "pci/sysfs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define BUS_PATH     "bus/pci/devices"
#define SEE_ALL_HERE "sudo isolde explain"

void sysfs_note(struct sysfs_count *count, const char *name)
{
	if (count->count++ == 0)
		snprintf(count->first, sizeof(count->first), "%s", name);
}

bool sysfs_text(int folder, const char *name, char *text, size_t size)
{
	s64 got = os_folder_read(folder, name, text, size - 1);

	text[got > 0 ? got : 0] = '\0';
	return got >= 0;
}

bool sysfs_link_name(int folder, const char *link, char name[static SYSFS_NAME])
{
	char target[PATH_MAX];
	const char *last;

	if (os_folder_link(folder, link, target, sizeof(target)) < 0)
		return false;
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!*last || strlen(last) >= SYSFS_NAME)
		return false;
	for (const char *c = last; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	snprintf(name, SYSFS_NAME, "%s", last);
	return true;
}

int sysfs_group_number(const char *text)
{
	long number;
	char *after;

	if (*text < '0' || *text > '9')
		return PCI_GROUP_UNSAID;
	errno = 0;
	number = strtol(text, &after, 10);
	return *after || errno || number > INT_MAX ? PCI_GROUP_UNSAID : (int)number;
}

/* ---- functions ---- */

/* The part of a link's target that is inside of the tree, "devices/pci0000:00/0000:00:1c.0"; "" if there is none. */
static const char *inside(const char *target)
{
	static const char top[] = "devices/";
	const char *at = target;

	while ((at = strstr(at, top)) && at != target && at[-1] != '/')
		at++;
	return at ? at : "";
}

/* An entry of bus/pci/devices is a link; in some copies, the directory itself. */
static int read_entry(struct sysfs_reader *reader, int bus, const char *name, struct pci_addr addr, struct why *why)
{
	char target[PATH_MAX] = "", bdf[PCI_ADDR_TEXT];
	const char *path = "", *last;
	int folder, err;

	if (os_folder_link(bus, name, target, sizeof(target)) >= 0)
		path = inside(target);
	last = strrchr(path, '/');
	if (last && strcmp(last + 1, name) == 0 && strlen(path) < SYSFS_PATH)
		folder = os_folder_open(reader->root, path);
	else
		folder = os_folder_open(bus, name);
	if (folder < 0) {
		sysfs_note(&reader->lost, pci_addr_print(addr, bdf));
		return 0;
	}
	err = sysfs_read_function(reader, addr, folder, path, why);
	os_close(folder);
	return err;
}

static int read_bus(struct sysfs_reader *reader, struct why *why)
{
	int bus = os_folder_open(reader->root, BUS_PATH), err = 0;
	void *list = bus < 0 ? NULL : os_folder_list(bus, "");
	struct pci_addr addr;
	const char *name;

	while (list && err == 0 && (name = os_folder_next(list))) {
		if (pci_addr_parse(name, &addr))
			err = read_entry(reader, bus, name, addr, why);
		else
			sysfs_note(&reader->strange, "");
	}
	os_folder_done(list);
	os_close(bus);
	return err;
}

/* A copy without links: down from devices/, into what is called like a root bus or a function. */
static int walk(struct sysfs_reader *reader, char path[static SYSFS_PATH], struct why *why)
{
	void *list = os_folder_list(reader->root, path);
	size_t length = strlen(path);
	const char *name;
	int err = 0;

	while (list && err == 0 && (name = os_folder_next(list))) {
		struct pci_addr addr;
		bool is_function = pci_addr_parse(name, &addr);
		int folder;

		if ((!is_function && strncmp(name, "pci", 3) != 0) || length + strlen(name) + 2 > SYSFS_PATH)
			continue;
		snprintf(path + length, SYSFS_PATH - length, "/%s", name);
		folder = os_folder_open(reader->root, path);
		if (folder >= 0 && is_function)
			err = sysfs_read_function(reader, addr, folder, path, why);
		os_close(folder);
		if (folder >= 0 && err == 0)
			err = walk(reader, path, why);
		path[length] = '\0';
	}
	os_folder_done(list);
	return err;
}

static int refuse_none(const struct sysfs_reader *reader, struct why *why)
{
	if (reader->live)
		return refuse(why, NO_PCI, "this host shows no PCI functions: there is none in /sys/" BUS_PATH);
	if (reader->lost.count)
		return refuse(why, NO_PCI,
			      "%.100s shows no PCI functions: %u links of " BUS_PATH " lead nowhere (first: %s); its "
			      "folder devices is missing",
			      reader->survey->source, reader->lost.count, reader->lost.first);
	return refuse(why, NO_PCI, "%.100s shows no PCI functions: it is no copy of /sys with a " BUS_PATH,
		      reader->survey->source);
}

static int read_functions(struct sysfs_reader *reader, struct why *why)
{
	char path[SYSFS_PATH] = "devices";
	int err = read_bus(reader, why);

	if (err == 0 && reader->survey->count == 0)
		err = walk(reader, path, why);
	if (err < 0)
		return err;
	return reader->survey->count ? 0 : refuse_none(reader, why);
}

/* ---- what all of them show together ---- */

/*
 * Linux shows the speed of the link of each PCI Express function, to every user; so where some function shows one, the
 * others are conventional, whatever their capabilities.
 */
static void settle_functions(struct sysfs_reader *reader)
{
	struct pci_survey *survey = reader->survey;

	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];
		char bdf[PCI_ADDR_TEXT];

		pci_addr_print(facts->function->addr, bdf);
		if (facts->gaps & PCI_GAP_HEADER)
			sysfs_note(&reader->unread, bdf);
		else if (facts->gaps & PCI_GAP_CAPS)
			sysfs_note(&reader->cut, bdf);
		if (facts->gaps & SYSFS_GAP_LINK && reader->shows_links)
			facts->gaps &= ~(unsigned)(PCI_GAP_CAPS | PCI_GAP_EXT_CAPS);
		facts->gaps &= ~SYSFS_GAP_LINK;
		facts->driver_said = reader->shows_drivers;
		survey->says_groups |= facts->host_group >= 0;
	}
	survey->says_groups |= reader->shows_members;
}

/* "6.1.0-13-amd64" */
static unsigned kernel_here(void)
{
	char text[OS_RELEASE_TEXT];
	unsigned major, minor;

	os_release(text);
	return sscanf(text, "%3u.%3u", &major, &minor) == 2 && major < 256 && minor < 256 ? PCI_KERNEL(major, minor)
											  : 0;
}

static int remark_registers(const struct sysfs_reader *reader, struct why *why)
{
	struct pci_survey *survey = reader->survey;
	int err = 0;

	if (reader->cut.count)
		err = pci_survey_remark(survey, REMARK_MISSING, 0, survey->see_all, why,
					"only root reads more than 64 bytes of a function's registers; the "
					"capabilities of %u functions are not known (first: %s)",
					reader->cut.count, reader->cut.first);
	if (err == 0 && reader->unread.count)
		err = pci_survey_remark(survey, REMARK_WARNING, 0, NULL, why,
					"the registers of %u functions cannot be read (first: %s)",
					reader->unread.count, reader->unread.first);
	return err;
}

static int remark_tree(const struct sysfs_reader *reader, struct why *why)
{
	struct pci_survey *survey = reader->survey;
	int err = 0;

	if (reader->lost.count)
		err = pci_survey_remark(survey, REMARK_WARNING, 0, NULL, why,
					"%u entries of " BUS_PATH " lead nowhere and are left out (first: %s)",
					reader->lost.count, reader->lost.first);
	if (err == 0 && reader->strange.count)
		err = pci_survey_remark(survey, REMARK_WARNING, 0, NULL, why,
					"%u entries of " BUS_PATH " are not called like functions and are left out",
					reader->strange.count);
	if (err == 0 && !survey->says_groups && reader->live)
		err = pci_survey_remark(survey, REMARK_MISSING, 0, NULL, why,
					"this kernel has made no IOMMU groups: there is no IOMMU, or it is off "
					"(VT-d or AMD-Vi in the firmware's settings, intel_iommu=on for the kernel)");
	return err;
}

/* ---- all of it ---- */

/* An archive of /sys brings a folder sys along. */
static int open_tree(struct sysfs_reader *reader, const char *root, struct why *why)
{
	int below;

	reader->root = os_folder_root(root);
	if (reader->root < 0)
		return refuse_host(why, -reader->root, "open(%.150s)", root);
	below = os_folder_has(reader->root, "bus") ? -1 : os_folder_open(reader->root, "sys");
	if (below >= 0) {
		os_close(reader->root);
		reader->root = below;
	}
	return pci_survey_new(reader->live ? "this host" : root, &reader->survey, why);
}

static int read_tree(struct sysfs_reader *reader, struct why *why)
{
	struct pci_survey *survey = reader->survey;
	int drivers = os_folder_open(reader->root, "bus/pci/drivers"), err;

	reader->shows_drivers = drivers >= 0;
	os_close(drivers);
	survey->see_all = reader->live ? SEE_ALL_HERE : NULL;
	survey->kernel = reader->live ? kernel_here() : 0;
	err = sysfs_read_groups(reader, why);
	if (err == 0)
		err = read_functions(reader, why);
	if (err < 0)
		return err;
	settle_functions(reader);
	err = remark_registers(reader, why);
	if (err == 0)
		err = remark_tree(reader, why);
	if (err == 0)
		err = sysfs_read_regions(reader, why);
	return err < 0 ? err : pci_survey_finish(survey, why);
}

int pci_read_sysfs(const char *root, struct pci_survey **ret, struct why *why)
{
	_memory_ struct sysfs_reader *reader = alloc_new(struct sysfs_reader, why);
	int err;

	if (!reader)
		return -why->err;
	reader->live = strcmp(root, "/sys") == 0;
	err = open_tree(reader, root, why);
	if (err == 0)
		err = read_tree(reader, why);
	if (err == 0)
		*ret = take(reader->survey);
	os_close(reader->root);
	pci_survey_free(reader->survey);
	free(reader->groups);
	free(reader->members);
	return err;
}
