/* SPDX-License-Identifier: MIT */
/* A set of rules: which Linux, and what a user said beside. */
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/overrides.h"

/* The last minor version of each major one; groups came with 3.6. */
static const struct {
	unsigned major, first, last;
} versions[] = {{3, 6, 19}, {4, 0, 20}, {5, 0, 19}, {6, 0, 19}, {7, 0, 2}};

int pci_rules_new(unsigned kernel, struct pci_rules **ret, struct why *why)
{
	struct pci_rules *rules = alloc_new(struct pci_rules, why);

	if (!rules)
		return -why->err;
	rules->kernel = kernel;
	*ret = rules;
	return 0;
}

void pci_rules_free(struct pci_rules *rules)
{
	if (!rules)
		return;
	free(rules->overrides);
	free(rules);
}

unsigned pci_rules_kernel(const struct pci_rules *rules)
{
	return rules ? rules->kernel : PCI_KERNEL_LATEST;
}

void pci_rules_arm_acs(struct pci_rules *rules, bool arm)
{
	rules->arm_acs = arm;
}

bool pci_rules_names(const struct pci_rules *rules, const struct pci_function *function)
{
	struct pci_view view;

	if (!rules)
		return false;
	pci_view_init(&view, function, rules);
	return pci_override_names(rules, &view);
}

/* Up to three decimal digits at *text, which moves behind them. */
static bool parse_number(const char **text, unsigned *ret)
{
	const char *first = *text;

	for (*ret = 0; **text >= '0' && **text <= '9' && *text - first < 3; (*text)++)
		*ret = *ret * 10 + (unsigned)(**text - '0');
	return *text != first;
}

static bool exists(unsigned major, unsigned minor)
{
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++)
		if (versions[i].major == major)
			return minor >= versions[i].first && minor <= versions[i].last;
	return false;
}

int pci_kernel_parse(const char *text, unsigned *ret, struct why *why)
{
	unsigned major = 0, minor = 0, stable;
	const char *at = text;
	char quoted[PCI_QUOTED];
	bool parsed = parse_number(&at, &major) && *at++ == '.' && parse_number(&at, &minor);

	/* The third number of a stable release changes nothing. */
	if (parsed && *at == '.') {
		at++;
		parsed = parse_number(&at, &stable);
	}
	if (!parsed || *at)
		return refuse(why, RULES_INVALID, "%s is no version of Linux: 5.8, 7.2",
			      pci_quote(text, strlen(text), quoted));
	if (!exists(major, minor))
		return refuse(why, RULES_INVALID,
			      "there are no rules of Linux %u.%u: from 3.6, the first with groups, to 7.2", major,
			      minor);
	*ret = PCI_KERNEL(major, minor);
	return 0;
}
