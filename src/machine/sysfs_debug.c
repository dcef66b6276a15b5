/* SPDX-License-Identifier: MIT */
/*
 * What the fault injection of a kernel that tests itself shows in debugfs. In the room only fail-nth makes steps fail,
 * so these switches are kept and nothing more.
 */
#include "machine/sysfs.h"
#include "machine/text.h"

static const struct knob {
	const char *directory, *name;
	bool number; /* else yes or no */
	u64 boot;
} knobs[] = {
	{"failslab", "ignore-gfp-wait", false, 1},	  {"failslab", "verbose", true, 2},
	{"fail_page_alloc", "ignore-gfp-wait", false, 1}, {"fail_page_alloc", "ignore-gfp-highmem", false, 1},
	{"fail_page_alloc", "verbose", true, 2},
};

static u64 *value_of(struct machine *machine, const struct knob *knob)
{
	return &machine->fault_knobs[knob - knobs];
}

static s64 show_knob(struct node *node, char *text, size_t size, struct why *why)
{
	const struct knob *knob = node->data;
	u64 value = *value_of(node->context, knob);

	return knob->number ? show_text(text, size, "%llu\n", (unsigned long long)value)
			    : show_text(text, size, "%c\n", value ? 'Y' : 'N');
}

static int store_knob(struct node *node, const char *bytes, size_t size, struct why *why)
{
	const struct knob *knob = node->data;
	struct text text;
	u64 value;
	bool yes;
	int err;

	text_take(&text, bytes, size);
	err = knob->number ? text_unsigned(&text, node, &value, why) : text_yes(&text, node, &yes, why);
	if (err == 0)
		*value_of(node->context, knob) = knob->number ? value : yes;
	return err;
}

int sysfs_build_debug(struct machine *machine, struct why *why)
{
	static const struct node_ops ops = {.show = show_knob, .store = store_knob};

	_Static_assert(ARRAY_SIZE(knobs) == FAULT_KNOBS, "struct machine has room for each");
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
		struct node *debug, *directory;
		int err = sysfs_directory(machine->root, "sys/kernel/debug", &debug, why);

		if (err == 0)
			err = sysfs_directory(debug, knobs[i].directory, &directory, why);
		if (err == 0)
			err = node_attribute(directory, knobs[i].name, 0600, &ops, machine, &knobs[i], why);
		if (err < 0)
			return err;
		*value_of(machine, &knobs[i]) = knobs[i].boot;
	}
	return 0;
}
