/* SPDX-License-Identifier: MIT */
/*
 * Any text as what-ifs, asked about any registers. The input is the what-ifs, a line each, and after a NUL the first
 * bytes of a function's configuration space. The first line may be a version of Linux.
 */
#include <stdlib.h>

#include "pci/caps.h"
#include "pci/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void check_refusal(const struct why *why)
{
	expect(why->code == WHY_RULES_INVALID && strlen(why->text) > 8);
	for (const char *c = why->text; *c; c++)
		expect((u8)*c >= ' ' && *c != 0x7f);
}

static void check_traits(const struct pci_function *function, const struct pci_rules *rules)
{
	char text[PCI_ACS_TEXT];
	struct pci_traits traits;
	u8 own = function->addr.devfn;
	u64 ids;

	pci_traits_of(function, rules, &traits);
	ids = traits.other_ids[0] | traits.other_ids[1] | traits.other_ids[2] | traits.other_ids[3];
	expect(traits.uses_other_ids == (ids != 0));
	expect(!(traits.other_ids[own / 64] >> own % 64 & 1));
	expect(!traits.uses_other_ids || traits.alias_quirk);
	expect((traits.ground == ACS_GROUND_QUIRK) == (traits.acs_quirk != NULL));
	expect((traits.acs_missing & ~PCI_ACS_ISOLATION) == 0);
	expect(traits.ground != ACS_GROUND_REGISTERS || traits.isolates == !traits.acs_missing);
	expect(traits.ground != ACS_GROUND_ALONE || traits.isolates);
	expect(strlen(pci_acs_print(traits.acs_enabled, text)) < sizeof(text));
	expect(!(pci_phantom_functions(function) >> (own & 7) & 1));
	pci_rules_names(rules, function);
}

static void make_function(struct pci_function *function, const uint8_t *data, size_t size)
{
	const struct pci_identity identity = {.vendor = 0};

	pci_function_init(function, (struct pci_addr){0, 3, pci_devfn(5, 0)}, &identity);
	memcpy(function->config, data, size < sizeof(function->config) ? size : sizeof(function->config));
	pci_scan_caps(function, 4096);
}

/* One line; text is NUL-terminated. */
static void add(struct pci_rules **rules, char *text)
{
	struct why why = WHY_INIT;
	struct pci_rules *others;
	unsigned kernel;

	if (pci_kernel_parse(text, &kernel, &why) == 0) {
		expect(pci_rules_new(kernel, &others, &why) == 0 && pci_rules_kernel(others) == kernel);
		pci_rules_free(*rules);
		*rules = others;
		return;
	}
	check_refusal(&why);
	if (pci_rules_add(*rules, text, &why) < 0)
		check_refusal(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
	size_t length = nul ? (size_t)(nul - data) : size;
	char *text = calloc(1, length + 1), *line = text;
	static struct pci_function function, port;
	struct pci_rules *rules = NULL;
	struct why why = WHY_INIT;

	expect(text && pci_rules_new(PCI_KERNEL_LATEST, &rules, &why) == 0);
	if (length)
		memcpy(text, data, length);
	for (char *newline; (newline = strchr(line, '\n')); line = newline + 1) {
		*newline = '\0';
		add(&rules, line);
	}
	add(&rules, line);
	function = port = (struct pci_function){.config_size = 0};
	make_function(&port, data, 0);
	make_function(&function, nul ? nul + 1 : data, nul ? size - length - 1 : 0);
	check_traits(&function, rules);
	function.parent = &port;
	pci_rules_arm_acs(rules, true);
	check_traits(&function, rules);
	check_traits(&function, NULL);
	pci_rules_free(rules);
	free(text);
	return 0;
}
