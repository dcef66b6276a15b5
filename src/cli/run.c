/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/journals.h"
#include "cli/rooms.h"
#include "cli/run_options.h"
#include "cli/verbs.h"
#include "machine/assign.h"
#include "supervise/supervise.h"

static const char help_text[] =
	"usage: isolde run [OPTION]... [--] PROGRAM [ARG]...\n"
	"\n"
	"Runs PROGRAM, unmodified, in a virtual machine room: it sees the room's /sys/bus/pci,\n"
	"/sys/kernel/iommu_groups, /dev/vfio and /dev/iommu. What it is refused is explained on stderr.\n"
	"\n"
	"  -m, --machine FILE|NAME  the room: a machine file, or one built in (default: default)\n"
	"  -b, --bind DRIVER=BDF    bind a driver first, as driver_override and drivers_probe would;\n"
	"                           for example vfio-pci=0000:01:00.0; may be given several times\n"
	"  -d, --disk BDF=FILE      back the namespace of an NVMe controller with FILE; likewise\n"
	"  -q, --quiet              do not print refusals; `isolde why` has them\n"
	"  -j, --json               print refusals as JSON objects, one a line\n"
	"  -s, --selftest           as a kernel built to test itself: IOMMU_TEST_CMD, fail-nth, mock devices\n"
	"  -h, --help               this text\n"
	"\n"
	"The exit status is the program's, 128 + N after signal N, 125 when the room could not be\n"
	"set up, 126 or 127 when the program could not be run.\n";

static int load(const struct run_request *request, struct description **ret, struct why *why)
{
	_free_(description) struct description *description = NULL;
	int err = description_load(request->machine, &description, why);

	for (unsigned i = 0; err == 0 && i < request->ndisks; i++)
		err = assign_disk(description, request->disks[i], why);
	if (err < 0)
		return err;
	description->selftest |= request->selftest;
	*ret = take(description);
	return 0;
}

static int build(const struct run_request *request, struct machine **ret, struct why *why)
{
	struct description *description;
	struct machine *machine = NULL;
	int err = load(request, &description, why);

	if (err == 0)
		err = machine_new(description, &machine, why);
	for (unsigned i = 0; err == 0 && i < request->nbinds; i++)
		err = assign_driver(machine, request->binds[i], why);
	if (err < 0)
		machine_free(machine);
	else
		*ret = machine;
	return err;
}

static int run_in(struct machine *machine, const struct run_request *request, struct inherited *inherited,
		  struct why *why)
{
	struct run_options options = {
		.argv = request->argv, .quiet = request->quiet, .json = request->json, .inherited = inherited};
	char journal[JOURNAL_PATH], socket[JOURNAL_PATH];

	/* A run without a journal, and that nobody can look into, is better than none. */
	if (journals_new_path(journal, why) < 0 || rooms_new_path(socket, why) < 0) {
		why_context(why, "this run has no journal, and `isolde inspect` cannot look into it");
		complain("run", why);
		why_clear(why);
	} else {
		options.journal_path = journal;
		options.inspect_path = socket;
	}
	return supervise_run(machine, &options, why);
}

int verb_run(int argc, char **argv)
{
	struct run_request request;
	struct inherited inherited;
	struct machine *machine;
	struct why why = WHY_INIT;
	int status;

	if (run_options_parse(argc, argv, &request, &why) < 0) {
		complain("run", &why);
		return EXIT_USAGE;
	}
	if (request.help) {
		fputs(help_text, stdout);
		return 0;
	}
	inherited_set_aside(&inherited);
	status = build(&request, &machine, &why);
	if (status == 0) {
		status = run_in(machine, &request, &inherited, &why);
		machine_free(machine);
	}
	if (status >= 0)
		return status;
	complain("run", &why);
	return EXIT_ROOM;
}
