/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "cli/verbs.h"

static int verb_help(int argc, char **argv);

static const struct verb {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *summary;
} verbs[] = {
	{"run", verb_run, "run an unmodified program in a virtual machine room"},
	{"explain", verb_explain, "say which devices share an IOMMU group, and why"},
	{"capture", verb_capture, "write this host, or a dump of one, as a machine to run programs on"},
	{"inspect", verb_inspect, "look into a room while its program runs"},
	{"why", verb_why, "say what the latest run was refused, and what a refusal means"},
	{"machine", verb_machine, "show and list machine rooms and device models"},
	{"doctor", verb_doctor, "check whether this host has what `run` needs"},
	{"help", verb_help, "print the options of a verb"},
};

static void print_usage(FILE *to)
{
	fprintf(to, "isolde " ISOLDE_VERSION ": the Linux device-assignment stack as user-space software\n\n"
		    "usage: isolde VERB [OPTION]... [-- PROGRAM [ARG]...]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
	fprintf(to, "\nTry: isolde run -- lspci -nnk\n");
}

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int unknown_verb(const char *name)
{
	const char *names[ARRAY_SIZE(verbs) + 1] = {NULL};
	struct why why;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i].name;
	refuse_verb(name, names, &why);
	complain(name, &why);
	return EXIT_USAGE;
}

static int verb_help(int argc, char **argv)
{
	const struct verb *verb = argc > 1 ? verb_find(argv[1]) : NULL;

	if (argc > 1 && !verb)
		return unknown_verb(argv[1]);
	if (!verb || verb->fn == verb_help) {
		print_usage(stdout);
		return 0;
	}
	return verb->fn(2, (char *[]){argv[1], "--help", NULL});
}

/* What was printed must have arrived: half an answer, on a full disk, looks like a whole one. */
static int finish(const char *verb, int status)
{
	struct why why;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	refuse_host(&why, errno ? errno : EIO, "write(standard output)");
	complain(verb, &why);
	return status ? status : 1;
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("isolde " ISOLDE_VERSION "\n");
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage(stdout);
		return 0;
	}
	verb = verb_find(argv[1]);
	return verb ? finish(argv[1], verb->fn(argc - 1, argv + 1)) : unknown_verb(argv[1]);
}
