/* SPDX-License-Identifier: MIT */
/* `isolde why`: the refusals of the latest run, or what one code means. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "cli/journals.h"
#include "cli/verbs.h"

static const char help_text[] = "usage: isolde why [--json] [CODE]\n"
				"\n"
				"Without CODE: what the programs of the latest run were refused, oldest first.\n"
				"With CODE: what that refusal means, and what can be done about it.\n"
				"\n"
				"  -j, --json  JSON objects, one a line\n"
				"  -h, --help  this text\n";

static const struct option options[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static const char *string_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static void print_time(const json_t *entry)
{
	time_t seconds = (time_t)(json_integer_value(json_object_get(entry, "time_ns")) / 1000000000);
	struct tm broken;
	char text[16];

	localtime_r(&seconds, &broken);
	strftime(text, sizeof(text), "%H:%M:%S", &broken);
	printf("%s  ", text);
}

static void print_entry(const json_t *entry)
{
	long long pid = json_integer_value(json_object_get(entry, "pid"));

	print_time(entry);
	printf("%s [", string_of(entry, "request"));
	/* The machine itself has no process: a device that faulted. */
	if (pid)
		printf("%s %lld]\n", string_of(entry, "program"), pid);
	else
		printf("%s]\n", string_of(entry, "program"));
	printf("  %s %s: %s\n", string_of(entry, "errno"), string_of(entry, "code"), string_of(entry, "text"));
	printf("  hint: %s\n", string_of(entry, "hint"));
}

/* Calls fn for each line that is an object; a line cut short by a kill is none. Returns how many there were. */
static int each_entry(void (*fn)(const json_t *entry, void *context), void *context, struct why *why)
{
	char path[JOURNAL_PATH];
	char *line = NULL;
	size_t size = 0;
	int count = 0;
	FILE *file;

	if (journals_latest(path, why) < 0)
		return -why->err;
	file = fopen(path, "re");
	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	while (getline(&line, &size, file) > 0) {
		json_t *entry = json_loads(line, 0, NULL);

		if (json_is_object(entry)) {
			fn(entry, context);
			count++;
		}
		json_decref(entry);
	}
	free(line);
	fclose(file);
	return count;
}

static void show_text(const json_t *entry, void *context)
{
	print_entry(entry);
}

static void show_json(const json_t *entry, void *context)
{
	json_dumpf(entry, stdout, JSON_SORT_KEYS | JSON_COMPACT);
	putchar('\n');
}

static int show_latest(bool json)
{
	struct why why = WHY_INIT;
	int count = each_entry(json ? show_json : show_text, NULL, &why);

	if (count < 0) {
		complain("why", &why);
		return 1;
	}
	if (!count && !json)
		printf("the latest run was refused nothing\n");
	return 0;
}

/* How often the latest run met the code, and what was said last. */
struct sighting {
	const char *code;
	unsigned count;
	char text[240];
};

static void look_for(const json_t *entry, void *context)
{
	struct sighting *sighting = context;

	if (strcmp(string_of(entry, "code"), sighting->code) != 0)
		return;
	sighting->count++;
	snprintf(sighting->text, sizeof(sighting->text), "%s", string_of(entry, "text"));
}

static void explain_text(enum why_code code, const struct sighting *sighting)
{
	int err = why_code_errno(code);

	printf("%s: %s, \"%s\"\n", why_code_name(code), errno_name(err), strerror(err));
	printf("  hint:     %s\n", why_code_hint(code));
	printf("  in Linux: %s\n", why_code_site(code));
	if (why_code_loudness(code) == HUSH)
		printf("  programs ask for this routinely; `run` does not print it\n");
	if (sighting->count)
		printf("  latest run: %u time%s; last: %s\n", sighting->count, sighting->count == 1 ? "" : "s",
		       sighting->text);
}

static void explain_json(enum why_code code, const struct sighting *sighting)
{
	json_t *object = json_pack("{ss ss ss ss sb si}", "code", why_code_name(code), "errno",
				   errno_name(why_code_errno(code)), "hint", why_code_hint(code), "site",
				   why_code_site(code), "hush", why_code_loudness(code) == HUSH, "count",
				   (int)sighting->count);

	show_json(object, NULL);
	json_decref(object);
}

static int explain_code(const char *name, bool json)
{
	struct sighting sighting = {.code = name};
	enum why_code code;
	struct why why;

	if (code_named(name, &code, &why) < 0) {
		complain("why", &why);
		return 1;
	}
	/* Without a journal the meaning is all there is. */
	if (each_entry(look_for, &sighting, &why) < 0)
		sighting.count = 0;
	if (json)
		explain_json(code, &sighting);
	else
		explain_text(code, &sighting);
	return 0;
}

int verb_why(int argc, char **argv)
{
	struct why why = WHY_INIT;
	bool json = false;
	int letter;

	while ((letter = next_option(argc, argv, "jh", options, &why)) != -1) {
		if (letter == '?') {
			complain("why", &why);
			return EXIT_USAGE;
		}
		if (letter == 'h') {
			fputs(help_text, stdout);
			return 0;
		}
		json = true;
	}
	return optind < argc ? explain_code(argv[optind], json) : show_latest(json);
}
