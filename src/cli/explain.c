/* SPDX-License-Identifier: MIT */
/* `isolde explain`: the groups of a machine, and why each member is where it is. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/explanation.h"
#include "cli/source.h"
#include "cli/svg.h"
#include "cli/verbs.h"

static const char help_text[] =
	"usage: isolde explain [FILE] [OPTION]...\n"
	"       isolde explain --diff FILE FILE [OPTION]...\n"
	"\n"
	"The IOMMU groups of a machine as Linux makes them: alias sets (ids that hardware cannot tell\n"
	"apart), isolation groups, and the reason of every merge. Without FILE: of this host.\n"
	"FILE is the output of lspci (best: sudo lspci -vvvnn; - for standard input), a copy of /sys,\n"
	"or a machine file (*.yaml).\n"
	"\n"
	"  -m, --machine NAME|FILE  a machine built in, or a machine file\n"
	"  -w, --why BDF            only the group of that function, its requester ids, the path above it\n"
	"  -a, --assign BDF         what else must be unbound or assigned with it, what is harmless\n"
	"  -r, --reset BDF          what a hot reset hits, and whose consent it needs\n"
	"  -W, --what-if CHANGE     as if CHANGE were so, and what it changes; again for more:\n"
	"                             acs=BDF, no-acs=BDF, quirk=BDF, quirk=VVVV:DDDD, alias=BDF,DD.F\n"
	"                             override=downstream,multifunction,id:VVVV:DDDD\n"
	"                             config_acs=BITS@DEVICES, disable_acs_redir=DEVICES\n"
	"  -R, --rules V[,V]        the rules of Linux V (default 7.2); two: what changed between them\n"
	"  -d, --diff               what differs between two files\n"
	"  -j, --json               as one JSON object\n"
	"  -s, --svg FILE           a picture as well\n"
	"  -h, --help               this text\n";

static const struct option options[] = {
	{"machine", required_argument, NULL, 'm'},
	{"why", required_argument, NULL, 'w'},
	{"assign", required_argument, NULL, 'a'},
	{"reset", required_argument, NULL, 'r'},
	{"what-if", required_argument, NULL, 'W'},
	{"rules", required_argument, NULL, 'R'},
	{"diff", no_argument, NULL, 'd'},
	{"json", no_argument, NULL, 'j'},
	{"svg", required_argument, NULL, 's'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

enum { MOST_CHANGES = 64, SIDE_TEXT = 400 };

struct request {
	const char *machine, *files[2];
	unsigned nfiles;
	const char *why, *assign, *reset, *svg;
	const char *changes[MOST_CHANGES];
	unsigned nchanges;
	unsigned kernels[2], nkernels;
	bool diff, json;
};

/* What is compared, or explained: one machine, or two, or one under two sets of rules. */
struct subject {
	struct pci_survey *surveys[2]; /* owned */
	struct explanation sides[2];
	unsigned nsides;
	struct names *names; /* owned */
};

static void subject_fini(struct subject *subject)
{
	for (unsigned i = 0; i < subject->nsides; i++)
		explanation_fini(&subject->sides[i]);
	pci_survey_free(subject->surveys[0]);
	pci_survey_free(subject->surveys[1]);
	names_close(subject->names);
}

/* ---- the rules of each side ---- */

static int add_changes(const struct request *request, struct pci_rules *rules, struct why *why)
{
	int err = 0;

	for (unsigned i = 0; i < request->nchanges && err == 0; i++)
		err = pci_rules_add(rules, request->changes[i], why);
	return err;
}

/* A change that speaks of no function of the machine is a slip of the pen more often than not. */
static int warn_unnamed(const struct request *request, const struct pci_survey *survey, unsigned kernel,
			struct why *why)
{
	const struct pci_function *function;
	int err = 0;

	for (unsigned i = 0; i < request->nchanges && err == 0; i++) {
		_free_(pci_rules) struct pci_rules *rules = NULL;
		bool named = false;

		err = pci_rules_new(kernel, &rules, why);
		if (err == 0)
			err = pci_rules_add(rules, request->changes[i], why);
		if (err < 0)
			break;
		list_for_each(function, &survey->topology.functions, link)
			named = named || pci_rules_names(rules, function);
		if (!named)
			fprintf(stderr, "warning: --what-if %s: there is no such function in %s\n", request->changes[i],
				survey->source);
	}
	return err;
}

static int add_side(struct subject *subject, const struct request *request, const struct pci_survey *survey,
		    unsigned kernel, bool changed, struct why *why)
{
	struct explanation *side = &subject->sides[subject->nsides];
	struct pci_rules *rules;
	int err = pci_rules_new(kernel, &rules, why);

	if (err < 0)
		return err;
	pci_rules_arm_acs(rules, survey->acs_unarmed);
	subject->nsides++;
	*side = (struct explanation){.rules = rules};
	err = changed ? add_changes(request, rules, why) : 0;
	if (err == 0 && changed)
		err = warn_unnamed(request, survey, kernel, why);
	return err < 0 ? err : explanation_init(side, survey, rules, subject->names, why);
}

/* The machine's own kernel where it says so is a matter of record, not of rules: those are 7.2's unless asked. */
static unsigned kernel_of(const struct request *request, unsigned side)
{
	if (request->nkernels == 0)
		return PCI_KERNEL_LATEST;
	return request->kernels[side < request->nkernels ? side : request->nkernels - 1];
}

static int subject_init(struct subject *subject, const struct request *request, struct why *why)
{
	bool compare = request->diff || request->nkernels == 2 || request->nchanges;
	const struct pci_survey *second;
	int err;

	if (request->machine)
		err = source_read_machine(request->machine, &subject->surveys[0], why);
	else
		err = source_read(request->files[0], &subject->surveys[0], why);
	if (err == 0 && request->diff)
		err = source_read(request->files[1], &subject->surveys[1], why);
	if (err < 0)
		return err;
	subject->names = names_open();
	second = request->diff ? subject->surveys[1] : subject->surveys[0];
	err = add_side(subject, request, subject->surveys[0], kernel_of(request, 0), request->diff, why);
	if (err == 0 && compare)
		err = add_side(subject, request, second, kernel_of(request, 1), true, why);
	return err;
}

/* ---- telling it ---- */

static const struct explanation *last_side(const struct subject *subject)
{
	return &subject->sides[subject->nsides - 1];
}

static void print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(json);
}

/* What the picture is of when it is the later of two sides; NULL when there is but one. Returns text. */
static const char *describe_side(const struct subject *subject, const struct request *request,
				 char text[static SIDE_TEXT])
{
	unsigned before = pci_rules_kernel(subject->sides[0].rules);
	size_t used = 0;

	if (subject->nsides == 1)
		return NULL;
	if (request->diff)
		used = (size_t)snprintf(text, SIDE_TEXT, "Compared with %.100s", request->files[0]);
	else if (request->nkernels == 2)
		used = (size_t)snprintf(text, SIDE_TEXT, "Compared with the rules of Linux %u.%u", before >> 8,
					before & 0xff);
	for (unsigned i = 0; i < request->nchanges && used < SIDE_TEXT; i++)
		used += (size_t)snprintf(text + used, SIDE_TEXT - used, "%s%s",
					 i	? ", "
					 : used ? "; what if "
						: "What if ",
					 request->changes[i]);
	return text;
}

static int draw(const struct subject *subject, const struct request *request, struct why *why)
{
	const char *path = request->svg;
	FILE *file = fopen(path, "we");
	char text[SIDE_TEXT];
	int err;

	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	err = explain_svg(last_side(subject), describe_side(subject, request, text), file, why);
	if (fclose(file) != 0 && err == 0)
		err = refuse_host(why, errno, "write(%.150s)", path);
	return err;
}

static int tell_json(const struct subject *subject, const struct request *request, const struct pci_function *function,
		     struct why *why)
{
	const struct explanation *side = last_side(subject);
	json_t *json, *changed;
	int err;

	if (request->assign)
		json = assign_json(side, function);
	else if (request->reset)
		json = reset_json(side, function);
	else
		json = explain_json(side, function);
	if (subject->nsides == 2) {
		err = diff_json(&subject->sides[0], side, &changed, why);
		json_object_update_missing(json, changed);
		json_decref(changed);
		if (err < 0) {
			json_decref(json);
			return err;
		}
	}
	print_json(json);
	return 0;
}

/* A diff of two machines or two kernels is the whole answer; a what-if shows the groups as well. */
static int tell_text(const struct subject *subject, const struct request *request, const struct pci_function *function,
		     struct why *why)
{
	const struct explanation *side = last_side(subject);
	bool only_diff = request->diff || request->nkernels == 2;
	size_t changed;
	int err = 0;

	if (subject->surveys[1])
		explain_remarks(subject->surveys[0], stderr);
	explain_remarks(side->survey, stderr);
	if (subject->nsides == 1 && side->survey->says_groups)
		err = explain_host(side, stderr, why);
	if (err >= 0 && subject->nsides == 2)
		err = explain_diff(&subject->sides[0], side, stdout, &changed, why);
	if (err < 0)
		return err;
	if (request->assign)
		explain_assign(side, function, stdout);
	else if (request->reset)
		explain_reset(side, function, stdout);
	else if (request->why || !only_diff)
		explain_text(side, function, stdout);
	return 0;
}

static int explain(const struct request *request, struct why *why)
{
	const char *bdf = request->assign ? request->assign : request->reset ? request->reset : request->why;
	const struct pci_function *function = NULL;
	struct subject subject = {.nsides = 0};
	int err = subject_init(&subject, request, why);

	if (err == 0 && bdf)
		err = explanation_find(last_side(&subject), bdf, &function, why);
	if (err == 0 && request->svg)
		err = draw(&subject, request, why);
	if (err == 0)
		err = request->json ? tell_json(&subject, request, function, why)
				    : tell_text(&subject, request, function, why);
	subject_fini(&subject);
	return err;
}

/* ---- the command line ---- */

static int parse_rules(struct request *request, const char *text, struct why *why)
{
	char first[16];
	const char *comma = strchr(text, ',');
	size_t length = comma ? (size_t)(comma - text) : strlen(text);
	int err;

	if (length >= sizeof(first))
		return refuse(why, OPTION_INVALID, "--rules: \"%.40s\" is no kernel version", text);
	memcpy(first, text, length);
	first[length] = '\0';
	request->nkernels = comma ? 2 : 1;
	err = pci_kernel_parse(first, &request->kernels[0], why);
	return err < 0 || !comma ? err : pci_kernel_parse(comma + 1, &request->kernels[1], why);
}

static int take_option(struct request *request, int option, struct why *why)
{
	switch (option) {
	case 'm':
		request->machine = optarg;
		return 0;
	case 'w':
		request->why = optarg;
		return 0;
	case 'a':
		request->assign = optarg;
		return 0;
	case 'r':
		request->reset = optarg;
		return 0;
	case 'W':
		if (request->nchanges == MOST_CHANGES)
			return refuse(why, OPTION_INVALID, "more than %d times --what-if", MOST_CHANGES);
		request->changes[request->nchanges++] = optarg;
		return 0;
	case 'R':
		return parse_rules(request, optarg, why);
	case 'd':
		request->diff = true;
		return 0;
	case 'j':
		request->json = true;
		return 0;
	case 's':
		request->svg = optarg;
		return 0;
	}
	return -why->err;
}

/* What does not go together. */
static int check_request(const struct request *request, struct why *why)
{
	if (request->diff && (request->nfiles != 2 || request->machine))
		return refuse(why, OPTION_INVALID, "--diff compares two files");
	if (!request->diff && request->nfiles > 1)
		return refuse(why, OPTION_INVALID, "\"%.60s\" is one argument too many", request->files[1]);
	if (request->machine && request->nfiles)
		return refuse(why, OPTION_INVALID, "--machine and \"%.60s\": one of the two", request->files[0]);
	if ((request->why != NULL) + (request->assign != NULL) + (request->reset != NULL) > 1)
		return refuse(why, OPTION_INVALID, "one of --why, --assign and --reset at a time");
	return 0;
}

/* Options may come before and after the files. */
static int parse(int argc, char **argv, struct request *request, bool *ret_help, struct why *why)
{
	bool only_files = false;
	int option, err = 0;

	while (err == 0) {
		while (err == 0 && !only_files &&
		       (option = next_option(argc, argv, "m:w:a:r:W:R:djs:h", options, why)) >= 0) {
			if (option == 'h') {
				*ret_help = true;
				return 0;
			}
			err = take_option(request, option, why);
		}
		if (err < 0 || optind >= argc)
			break;
		/* Behind "--" all are files; getopt, asked again, would start over. */
		only_files = only_files || strcmp(argv[optind - 1], "--") == 0;
		if (request->nfiles == 2)
			return refuse(why, OPTION_INVALID, "\"%.60s\" is one argument too many", argv[optind]);
		request->files[request->nfiles++] = argv[optind++];
	}
	return err < 0 ? err : check_request(request, why);
}

int verb_explain(int argc, char **argv)
{
	struct request request = {.machine = NULL};
	struct why why = WHY_INIT;
	bool help = false;

	if (parse(argc, argv, &request, &help, &why) < 0) {
		complain("explain", &why);
		return EXIT_USAGE;
	}
	if (help) {
		fputs(help_text, stdout);
		return 0;
	}
	if (explain(&request, &why) < 0) {
		complain("explain", &why);
		return 1;
	}
	return 0;
}
