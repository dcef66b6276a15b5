/* SPDX-License-Identifier: MIT */
#include "cli/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "machine/description.h"

#define MOST_BYTES (256u << 20)

/* The whole of a stream, which may be a pipe; one byte longer, zero. */
static int read_all(FILE *file, const char *path, char **ret, size_t *ret_size, struct why *why)
{
	size_t room = 1 << 16, size = 0, got;
	char *text = alloc_zero(room, why);

	while (text && (got = fread(text + size, 1, room - size - 1, file)) > 0) {
		char *larger = text;

		size += got;
		if (size < room - 1)
			continue;
		if (size >= MOST_BYTES) {
			free(text);
			return refuse(why, DUMP_INVALID, "%.150s is larger than any dump: over %u MiB", path,
				      MOST_BYTES >> 20);
		}
		larger = realloc(text, room * 2);
		if (!larger) {
			free(text);
			return refuse(why, OUT_OF_MEMORY, "%zu bytes for %.150s", room * 2, path);
		}
		text = larger;
		room *= 2;
	}
	if (!text)
		return -why->err;
	if (ferror(file)) {
		free(text);
		return refuse_host(why, errno, "read(%.150s)", path);
	}
	text[size] = '\0';
	*ret = text;
	*ret_size = size;
	return 0;
}

/* Names give ids only if there is a pci.ids; without, the reader says what it misses. */
static struct pci_ids *read_ids(void)
{
	static const char *const paths[] = {"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"};
	struct pci_ids *ids = NULL;
	struct why why;

	for (unsigned i = 0; i < ARRAY_SIZE(paths) && !ids; i++)
		if (pci_ids_read(paths[i], &ids, &why) < 0)
			ids = NULL;
	return ids;
}

static int read_stream(FILE *file, const char *path, struct pci_survey **ret, struct why *why)
{
	struct pci_ids *ids;
	size_t size;
	char *text;
	int err = read_all(file, path, &text, &size, why);

	if (err < 0)
		return err;
	ids = read_ids();
	err = pci_read_lspci(text, size, path, ids, ret, why);
	pci_ids_free(ids);
	free(text);
	return err;
}

static bool is_machine_file(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

int source_read(const char *path, struct pci_survey **ret, struct why *why)
{
	struct stat status;
	FILE *file;
	int err;

	if (!path)
		return pci_read_sysfs("/sys", ret, why);
	if (strcmp(path, "-") == 0)
		return read_stream(stdin, "standard input", ret, why);
	if (is_machine_file(path))
		return source_read_machine(path, ret, why);
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return pci_read_sysfs(path, ret, why);
	file = fopen(path, "re");
	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	err = read_stream(file, path, ret, why);
	fclose(file);
	return err;
}

int source_read_machine(const char *name, struct pci_survey **ret, struct why *why)
{
	_free_(description) struct description *description = NULL;
	int err = description_load(name, &description, why);

	return err < 0 ? err : description_survey(description, name, ret, why);
}
