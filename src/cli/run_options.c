/* SPDX-License-Identifier: MIT */
#include "cli/run_options.h"

#include <getopt.h>

#include "cli/verbs.h"
#include "machine/assign.h"

static const struct option options[] = {
	{"machine", required_argument, NULL, 'm'}, {"bind", required_argument, NULL, 'b'},
	{"disk", required_argument, NULL, 'd'},	   {"quiet", no_argument, NULL, 'q'},
	{"json", no_argument, NULL, 'j'},	   {"selftest", no_argument, NULL, 's'},
	{"help", no_argument, NULL, 'h'},	   {NULL},
};

static int add(const char *what, const char **list, unsigned *count, const char *value, struct why *why)
{
	if (*count == RUN_ASSIGNMENTS)
		return refuse(why, OPTION_INVALID, "run: more than %d times --%s", RUN_ASSIGNMENTS, what);
	list[(*count)++] = value;
	return 0;
}

static int add_bind(struct run_request *request, const char *value, struct why *why)
{
	struct pci_addr addr;
	char driver[32];
	int err = assign_driver_parse(value, driver, &addr, why);

	return err < 0 ? err : add("bind", request->binds, &request->nbinds, value, why);
}

static int take_option(struct run_request *request, int letter, struct why *why)
{
	switch (letter) {
	case 'm':
		request->machine = optarg;
		return 0;
	case 'b':
		return add_bind(request, optarg, why);
	case 'd':
		return add("disk", request->disks, &request->ndisks, optarg, why);
	case 'q':
		request->quiet = true;
		return 0;
	case 'j':
		request->json = true;
		return 0;
	case 's':
		request->selftest = true;
		return 0;
	case 'h':
		request->help = true;
		return 0;
	default:
		return -why->err;
	}
}

int run_options_parse(int argc, char **argv, struct run_request *ret, struct why *why)
{
	struct run_request request = {.machine = "default"};
	int letter;

	while ((letter = next_option(argc, argv, "m:b:d:qjsh", options, why)) != -1) {
		int err = take_option(&request, letter, why);

		if (err < 0)
			return err;
	}
	request.argv = argv + optind;
	if (!request.help && optind == argc)
		return refuse(why, OPTION_INVALID, "run: no program was named after the options");
	*ret = request;
	return 0;
}
