/* SPDX-License-Identifier: MIT */
#include "pci/addr.h"

#include <stdio.h>
#include <stdlib.h>

const char *pci_addr_print(struct pci_addr addr, char text[static PCI_ADDR_TEXT])
{
	snprintf(text, PCI_ADDR_TEXT, "%04x:%02x:%02x.%x", addr.segment, addr.bus, pci_device_number(addr),
		 pci_function_number(addr));
	return text;
}

/* Exactly `digits` hex digits at *text, which moves behind them. */
static bool parse_hex(const char **text, unsigned digits, unsigned *ret)
{
	unsigned value = 0;

	for (unsigned i = 0; i < digits; i++, (*text)++) {
		char c = **text;

		if (c >= '0' && c <= '9')
			value = value << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (unsigned)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value << 4 | (unsigned)(c - 'A' + 10);
		else
			return false;
	}
	*ret = value;
	return true;
}

static bool skip(const char **text, char expected)
{
	if (**text != expected)
		return false;
	(*text)++;
	return true;
}

bool pci_addr_parse(const char *text, struct pci_addr *ret)
{
	unsigned segment = 0, bus, device, function;
	size_t length = strlen(text);

	/* Linux prints four digits of segment, more only when it must. */
	if (length > 12 && *text == '0')
		return false;
	if (length > 7 &&
	    (length < 12 || length > 16 || !parse_hex(&text, (unsigned)length - 8, &segment) || !skip(&text, ':')))
		return false;
	if (!parse_hex(&text, 2, &bus) || !skip(&text, ':') || !parse_hex(&text, 2, &device) || !skip(&text, '.') ||
	    !parse_hex(&text, 1, &function) || *text || device > 31 || function > 7)
		return false;
	*ret = (struct pci_addr){segment, (u8)bus, pci_devfn(device, function)};
	return true;
}
