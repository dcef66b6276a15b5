/* SPDX-License-Identifier: MIT */
/* `isolde machine`: the rooms there are, what is in one, and the device models it can be made of. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "cli/verbs.h"
#include "machine/description.h"

static const char help_text[] =
	"usage: isolde machine show [NAME|FILE]  print a machine file, checked (default: default)\n"
	"       isolde machine list              name the machines built in\n"
	"       isolde machine models            name the device models and their options\n"
	"\n"
	"A copy of a built-in machine is a good start for one's own:\n"
	"\n"
	"  isolde machine show >room.yaml; isolde run --machine room.yaml -- lspci\n";

/* The text is shown even when it is wrong: that is when one wants to see it. */
static int print_file(const char *path, struct why *why)
{
	FILE *file = fopen(path, "re");
	char buffer[4096];
	size_t size;

	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	while ((size = fread(buffer, 1, sizeof(buffer), file)) > 0)
		fwrite(buffer, 1, size, stdout);
	fclose(file);
	return 0;
}

static int show(const char *name)
{
	_free_(description) struct description *description = NULL;
	struct why why = WHY_INIT;
	size_t size;
	const char *text = description_builtin(name, &size);

	if (text)
		fwrite(text, 1, size, stdout);
	if (description_load(name, &description, &why) < 0 || (!text && print_file(name, &why) < 0)) {
		complain("machine", &why);
		return 1;
	}
	return 0;
}

static int list(void)
{
	const char *name;

	for (unsigned i = 0; (name = description_builtin_name(i)); i++)
		printf("%s\n", name);
	return 0;
}

static int models(void)
{
	const struct model *model;

	for (unsigned i = 0; (model = model_at(i)); i++) {
		printf("%-10s %s\n", model->name, model->summary);
		for (const char *const *key = model->keys; key && *key; key++)
			printf("%-10s   option %s\n", "", *key);
	}
	return 0;
}

int verb_machine(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "--help";
	struct why why;

	if (strcmp(what, "show") == 0)
		return show(argc > 2 ? argv[2] : "default");
	if (strcmp(what, "list") == 0)
		return list();
	if (strcmp(what, "models") == 0)
		return models();
	if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0) {
		fputs(help_text, stdout);
		return 0;
	}
	refuse(&why, OPTION_INVALID, "machine: \"%.40s\" is none of show, list, models", what);
	complain("machine", &why);
	return EXIT_USAGE;
}
