/* SPDX-License-Identifier: MIT */
/*
 * Any small tree as a copy of /sys: refused, or a machine whose functions, groups and words are sane. The input is a
 *list of entries made over a tree of two functions:
 *
 *	kind, place, name: a byte each; length: two bytes, little-endian; contents, or the target of a link
 *
 * A name of 255 is in the contents, up to the first zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pci/survey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORT "devices/pci0000:00/0000:00:01.0"
#define DISK PORT "/0000:01:00.0"

enum { MOST_ENTRIES = 24, MOST_BYTES = 8192, NAME_ROOM = 256, PATH_ROOM = 512 };

static const char *const places[] = {
	"",
	"bus/pci/devices",
	"devices",
	"devices/pci0000:00",
	PORT,
	DISK,
	"bus/pci",
	"sys",
	"kernel/iommu_groups/0/devices",
	"kernel/iommu_groups/0",
	"kernel/iommu_groups",
};

static const char *const names[] = {
	"config",
	"vendor",
	"device",
	"class",
	"revision",
	"subsystem_vendor",
	"resource",
	"iommu_group",
	"iommu",
	"physfn",
	"driver",
	"reserved_regions",
	"0000:00:01.0",
	"0000:01:00.0",
	"10000:e0:06.0",
	"secondary_bus_number",
	"max_link_speed",
	"subordinate_bus_number",
	"pci10000:e0",
	"1",
	"bus",
	"subsystem_device",
};

static void expect(bool condition)
{
	if (!condition)
		abort();
}

/* ---- the tree ---- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	return remove(path);
}

/* In memory where there is such a folder. */
static void make_root(char root[static PATH_ROOM])
{
	char *real;

	snprintf(root, PATH_ROOM, "%s/isolde-fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	expect(mkdtemp(root));
	real = realpath(root, NULL);
	expect(real && strlen(real) < PATH_ROOM);
	strcpy(root, real);
	free(real);
}

/* The folders above path; false when something else is in the way. No link is followed: it might lead out of the tree.
 */
static bool make_folders(char *path)
{
	struct stat status;
	bool made = true;

	for (char *slash = path + 1; made && (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		expect(mkdir(path, 0755) == 0 || errno == EEXIST);
		made = lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
		*slash = '/';
	}
	return made;
}

static void put_file(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return;
	expect(write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void make_entry(char *path, unsigned kind, const uint8_t *data, size_t size)
{
	char target[PATH_ROOM];

	if (!make_folders(path))
		return;
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	switch (kind % 4) {
	case 0:
		put_file(path, data, size);
		return;
	case 1:
		snprintf(target, sizeof(target), "%.*s", (int)size, (const char *)data);
		if (*target && symlink(target, path) < 0)
			expect(errno != EFAULT);
		return;
	case 2:
		if (mkdir(path, 0755) < 0)
			expect(errno != EFAULT);
		return;
	default:
		if (mkfifo(path, 0644) < 0)
			expect(errno != EFAULT);
	}
}

/* A name must not leave the tree. */
static bool take_name(const uint8_t **data, size_t *size, char name[static NAME_ROOM])
{
	size_t length = strnlen((const char *)*data, *size);

	if (!length || length >= NAME_ROOM || length == *size)
		return false;
	memcpy(name, *data, length + 1);
	*data += length + 1;
	*size -= length + 1;
	return !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void make_tree(const char *root, const uint8_t *data, size_t size)
{
	char path[PATH_ROOM * 2], name[NAME_ROOM];

	for (unsigned i = 0; i < MOST_ENTRIES && size >= 5; i++) {
		size_t length = data[3] | (size_t)data[4] << 8;
		const char *place = places[data[1] % ARRAY_SIZE(places)];
		const uint8_t *contents = data + 5;
		unsigned kind = data[0], which = data[2];

		data += 5;
		size -= 5;
		length = length < size ? length : size;
		length = length < MOST_BYTES ? length : MOST_BYTES;
		data += length;
		size -= length;
		snprintf(name, sizeof(name), "%s", names[which % ARRAY_SIZE(names)]);
		if (which == 255 && !take_name(&contents, &length, name))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", root, place, name);
		make_entry(path, kind, contents, length);
	}
}

static void link_bus(const char *root, const char *bdf, const char *place)
{
	char path[PATH_ROOM * 2], target[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/%s/vendor", root, place);
	expect(make_folders(path));
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", root, bdf);
	snprintf(target, sizeof(target), "../../../%s", place);
	make_entry(path, 1, (const uint8_t *)target, strlen(target));
}

/* ---- what holds ---- */

static void check_words(const char *text)
{
	for (const char *c = text; c && *c; c++)
		expect(*c >= ' ' && *c <= '~');
}

static void check_survey(const struct pci_survey *survey)
{
	struct pci_grouping *grouping;
	struct why why = WHY_INIT;

	expect(survey->count && survey->count == survey->topology.count);
	for (size_t i = 0; i < survey->count; i++) {
		const struct pci_function *function = survey->facts[i].function;

		expect(function->index == i);
		expect(!function->parent || function->parent->addr.bus < function->addr.bus);
		check_words(survey->facts[i].driver);
	}
	for (size_t i = 0; i < survey->nremarks; i++)
		check_words(survey->remarks[i].text);
	for (size_t i = 0; i < survey->nregions; i++)
		expect(survey->regions[i].start <= survey->regions[i].last &&
		       survey->regions[i].group >= PCI_GROUP_UNSAID &&
		       (!i || survey->regions[i - 1].group <= survey->regions[i].group));
	expect(pci_grouping_compute(&survey->topology, NULL, &grouping, &why) == 0);
	pci_grouping_free(grouping);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;
	char root[PATH_ROOM];

	make_root(root);
	link_bus(root, "0000:00:01.0", PORT);
	link_bus(root, "0000:01:00.0", DISK);
	make_tree(root, data, size);
	if (pci_read_sysfs(root, &survey, &why) == 0) {
		check_survey(survey);
		pci_survey_free(survey);
	} else {
		expect(!survey && why.code == WHY_NO_PCI);
		check_words(why.text);
	}
	expect(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
	return 0;
}
