/* SPDX-License-Identifier: MIT */
/* `isolde capture`: a machine as somebody saw it becomes a machine file that `isolde run` takes. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/names.h"
#include "cli/source.h"
#include "cli/verbs.h"
#include "machine/capture.h"

static const char help_text[] =
	"usage: isolde capture [FILE] [OPTION]...\n"
	"\n"
	"Writes a machine file with the same functions in the same groups, for `isolde run`.\n"
	"Without FILE: of this host. FILE is the output of lspci (best: sudo lspci -vvvnn; - for standard\n"
	"input), a copy of /sys, or a machine file (*.yaml).\n"
	"\n"
	"  -o, --output FILE        where it goes; without: standard output\n"
	"  -m, --machine NAME|FILE  a machine built in, or a machine file\n"
	"  -h, --help               this text\n"
	"\n"
	"  isolde capture -o here.yaml; isolde run --machine here.yaml -- lspci -nnk\n";

static const struct option options[] = {
	{"output", required_argument, NULL, 'o'},
	{"machine", required_argument, NULL, 'm'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

struct request {
	const char *file, *machine, *output;
	bool help;
};

/* Names only serve the reader: they become comments. */
static int add_names(struct pci_survey *survey, struct why *why)
{
	struct names *names = names_open();
	int err = 0;

	for (size_t i = 0; names && i < survey->count && err == 0; i++) {
		struct pci_facts *facts = &survey->facts[i];
		const u8 *config = facts->function->config;
		char name[256];

		if (facts->name)
			continue;
		names_device(names, get_u16(config + PCI_CLASS), get_u16(config + PCI_VENDOR_ID),
			     get_u16(config + PCI_DEVICE_ID), name, sizeof(name));
		facts->name = alloc_string(name, why);
		err = facts->name ? 0 : -why->err;
	}
	names_close(names);
	return err;
}

static int write_text(const char *path, const char *text, struct why *why)
{
	FILE *file = path ? fopen(path, "we") : stdout;
	bool failed;

	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	failed = fputs(text, file) == EOF;
	failed |= (path ? fclose(file) : fflush(file)) != 0;
	return failed ? refuse_host(why, errno, "write(%.150s)", path ? path : "standard output") : 0;
}

static int capture(const struct request *request, struct why *why)
{
	_free_(pci_survey) struct pci_survey *survey = NULL;
	_memory_ char *text = NULL;
	int err;

	if (request->machine)
		err = source_read_machine(request->machine, &survey, why);
	else
		err = source_read(request->file, &survey, why);
	if (err == 0)
		err = add_names(survey, why);
	if (err == 0)
		err = capture_text(survey, &text, why);
	return err < 0 ? err : write_text(request->output, text, why);
}

static int take_option(struct request *request, int option, struct why *why)
{
	switch (option) {
	case 'o':
		request->output = optarg;
		return 0;
	case 'm':
		request->machine = optarg;
		return 0;
	case 'h':
		request->help = true;
		return 0;
	}
	return -why->err;
}

/* Options may come before and after the file. */
static int parse(int argc, char **argv, struct request *request, struct why *why)
{
	bool only_files = false;
	int option;

	for (;;) {
		while (!only_files && (option = next_option(argc, argv, "o:m:h", options, why)) >= 0)
			if (take_option(request, option, why) < 0)
				return -why->err;
		if (optind >= argc)
			break;
		/* Behind "--" all are files; getopt, asked again, would start over. */
		only_files = only_files || strcmp(argv[optind - 1], "--") == 0;
		if (request->file)
			return refuse(why, OPTION_INVALID, "\"%.60s\" is one argument too many", argv[optind]);
		request->file = argv[optind++];
	}
	if (request->file && request->machine)
		return refuse(why, OPTION_INVALID, "--machine and \"%.60s\": one of the two", request->file);
	return 0;
}

int verb_capture(int argc, char **argv)
{
	struct request request = {.file = NULL};
	struct why why = WHY_INIT;

	if (parse(argc, argv, &request, &why) < 0) {
		complain("capture", &why);
		return EXIT_USAGE;
	}
	if (request.help) {
		fputs(help_text, stdout);
		return 0;
	}
	if (capture(&request, &why) < 0) {
		complain("capture", &why);
		return 1;
	}
	return 0;
}
