/* SPDX-License-Identifier: MIT */
/* `isolde inspect`: what a room has, while its program runs. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "cli/inspect_text.h"
#include "cli/rooms.h"
#include "cli/verbs.h"
#include "supervise/inspector.h"

static const char help_text[] =
	"usage: isolde inspect [OPTION]...\n"
	"\n"
	"Looks into a room while its program runs: groups and who holds them, containers, open\n"
	"/dev/iommu with their objects, attachments, open files.\n"
	"\n"
	"  -p, --pid N   the room of that process, which may be any in it; needed when several run\n"
	"  -a, --areas   what each IOVA is mapped to, too; the first twenty thousand\n"
	"  -j, --json    one JSON document, as docs/inspect.md describes it\n"
	"  -h, --help    this text\n";

static const struct option options[] = {
	{"pid", required_argument, NULL, 'p'},
	{"areas", no_argument, NULL, 'a'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

struct wishes {
	pid_t pid; /* 0: the only room */
	bool areas, json, help;
};

static int take_pid(const char *word, pid_t *ret, struct why *why)
{
	char *rest;
	long pid = strtol(word, &rest, 10);

	if (pid <= 0 || pid > INT32_MAX || *rest || rest == word)
		return refuse(why, OPTION_INVALID, "--pid takes the number of a process, not \"%.40s\"", word);
	*ret = (pid_t)pid;
	return 0;
}

static int parse(int argc, char **argv, struct wishes *ret, struct why *why)
{
	int letter, err = 0;

	while (err == 0 && (letter = next_option(argc, argv, "p:ajh", options, why)) != -1) {
		if (letter == '?')
			return -why->err;
		if (letter == 'p')
			err = take_pid(optarg, &ret->pid, why);
		ret->areas |= letter == 'a';
		ret->json |= letter == 'j';
		ret->help |= letter == 'h';
	}
	if (err == 0 && optind < argc)
		err = refuse(why, OPTION_INVALID, "inspect takes no word like \"%.40s\"", argv[optind]);
	return err;
}

static int show(const struct wishes *wishes, struct why *why)
{
	json_t *document;
	int fd = rooms_connect(wishes->pid, why), err;

	if (fd < 0)
		return fd;
	err = rooms_ask(fd, wishes->areas ? INSPECT_MAPPINGS : 0, &document, why);
	if (err < 0)
		return err;
	if (wishes->json) {
		json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		inspect_text(document, stdout);
	}
	json_decref(document);
	return 0;
}

int verb_inspect(int argc, char **argv)
{
	struct why why = WHY_INIT;
	struct wishes wishes = {.pid = 0};

	if (parse(argc, argv, &wishes, &why) < 0) {
		complain("inspect", &why);
		return EXIT_USAGE;
	}
	if (wishes.help) {
		fputs(help_text, stdout);
		return 0;
	}
	if (show(&wishes, &why) == 0)
		return 0;
	complain("inspect", &why);
	return 1;
}
