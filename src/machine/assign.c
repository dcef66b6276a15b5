/* SPDX-License-Identifier: MIT */
#include "machine/assign.h"

#include <stdio.h>

#include "machine/text.h"

static bool parse_addr(const char *text, size_t length, struct pci_addr *ret)
{
	char addr[PCI_ADDR_TEXT];

	if (length >= sizeof(addr))
		return false;
	snprintf(addr, sizeof(addr), "%.*s", (int)length, text);
	return pci_addr_parse(addr, ret);
}

int assign_disk(struct description *description, const char *text, struct why *why)
{
	const char *equals = strchr(text, '=');
	char sample[TEXT_SAMPLE], name[PCI_ADDR_TEXT];
	struct function_description *function;
	struct pci_addr addr;

	if (!equals || !equals[1] || !parse_addr(text, (size_t)(equals - text), &addr))
		return refuse(why, DISK_MALFORMED, "disk \"%s\" is not of the form BDF=FILE",
			      text_sample(text, sample));
	function = description_find(description, addr);
	if (!function)
		return refuse(why, DISK_DEVICE_UNKNOWN, "disk \"%s\": there is no %s in machine %s",
			      text_sample(text, sample), pci_addr_print(addr, name), description->name);
	return description_set_option(function, "disk", equals + 1, why);
}

int assign_driver_parse(const char *text, char driver[static 32], struct pci_addr *ret, struct why *why)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : 0;
	char sample[TEXT_SAMPLE];

	if (!length || length >= 32 || !parse_addr(equals + 1, strlen(equals + 1), ret))
		return refuse(why, BIND_MALFORMED, "bind \"%s\" is not of the form DRIVER=BDF",
			      text_sample(text, sample));
	snprintf(driver, 32, "%.*s", (int)length, text);
	return 0;
}

int assign_driver(struct machine *machine, const char *text, struct why *why)
{
	struct pci_addr addr;
	char driver[32];
	int err = assign_driver_parse(text, driver, &addr, why);

	return err < 0 ? err : machine_bind(machine, addr, driver, why);
}
