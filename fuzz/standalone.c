/* SPDX-License-Identifier: MIT */
/* Replays stored inputs where there is no libFuzzer: every file of the folders named, or the files themselves. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each input is given in memory of exactly its size, so that the sanitizer sees a read beyond it. */
static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat status;
	uint8_t *data;
	size_t size;

	if (!file || fstat(fileno(file), &status) < 0) {
		perror(path);
		exit(1);
	}
	size = (size_t)status.st_size;
	data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, file) != size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	/* On stderr before it runs: the last line names the input that broke it. */
	fprintf(stderr, "%s: %zu bytes\n", path, size);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static int replay(const char *path)
{
	struct dirent **entries;
	int found = scandir(path, &entries, NULL, alphasort), replayed = 0;

	if (found < 0)
		return replay_file(path);
	for (int i = 0; i < found; i++) {
		char inside[4096];

		if (entries[i]->d_name[0] != '.') {
			snprintf(inside, sizeof(inside), "%s/%s", path, entries[i]->d_name);
			replayed += replay_file(inside);
		}
		free(entries[i]);
	}
	free(entries);
	return replayed;
}

int main(int argc, char **argv)
{
	int replayed = 0;

	for (int i = 1; i < argc; i++)
		replayed += replay(argv[i]);
	printf("%d inputs replayed\n", replayed);
	return replayed ? 0 : 1;
}
