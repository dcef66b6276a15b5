/* SPDX-License-Identifier: MIT */
/* `isolde doctor`: does this host have what `run` needs? */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#include "base/bits.h"
#include "cli/verbs.h"
#include "supervise/supervise.h"

#define FINDINGS 32

static const char help_text[] =
	"usage: isolde doctor [--json]\n"
	"\n"
	"Tries everything that `isolde run` needs of this host; exit status 1 if something required\n"
	"is missing.\n"
	"\n"
	"  -j, --json  a JSON array\n"
	"  -h, --help  this text\n";

static const struct option options[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static const char *verdict(const struct doctor_finding *finding)
{
	if (finding->ok)
		return "ok";
	return finding->required ? "MISSING" : "absent";
}

static void print_table(const struct doctor_finding *findings, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		printf("%-8s %-32s %s\n", verdict(&findings[i]), findings[i].what, findings[i].detail);
}

static void print_json(const struct doctor_finding *findings, unsigned count)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, json_pack("{ss sb sb ss}", "what", findings[i].what, "ok", findings[i].ok,
						       "required", findings[i].required, "detail", findings[i].detail));
	json_dumpf(array, stdout, JSON_SORT_KEYS | JSON_INDENT(2));
	putchar('\n');
	json_decref(array);
}

int verb_doctor(int argc, char **argv)
{
	struct doctor_finding findings[FINDINGS];
	struct why why = WHY_INIT;
	bool json = false, missing = false;
	unsigned count;
	int letter;

	while ((letter = next_option(argc, argv, "jh", options, &why)) != -1) {
		if (letter == '?') {
			complain("doctor", &why);
			return EXIT_USAGE;
		}
		if (letter == 'h') {
			fputs(help_text, stdout);
			return 0;
		}
		json = true;
	}
	if (optind < argc) {
		refuse(&why, OPTION_INVALID, "doctor takes no word like \"%s\"", argv[optind]);
		complain("doctor", &why);
		return EXIT_USAGE;
	}
	count = supervise_doctor(findings, FINDINGS);
	for (unsigned i = 0; i < count; i++)
		missing |= findings[i].required && !findings[i].ok;
	if (json)
		print_json(findings, count);
	else
		print_table(findings, count);
	return missing;
}
