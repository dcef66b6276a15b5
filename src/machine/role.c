/* SPDX-License-Identifier: MIT */
/* What a function is for the buses it is between: the words of machine files, and PCI Express types. */
#include "machine/description.h"

static const struct {
	const char *name;
	bool bridge, pcie;
	enum pcie_type type;
} roles[] = {
	[ROLE_ENDPOINT] = {"endpoint", false, true, PCIE_ENDPOINT},
	[ROLE_INTEGRATED] = {"integrated", false, true, PCIE_RC_ENDPOINT},
	[ROLE_ROOT_PORT] = {"root-port", true, true, PCIE_ROOT_PORT},
	[ROLE_UPSTREAM_PORT] = {"upstream-port", true, true, PCIE_UPSTREAM_PORT},
	[ROLE_DOWNSTREAM_PORT] = {"downstream-port", true, true, PCIE_DOWNSTREAM_PORT},
	[ROLE_PCI_BRIDGE] = {"pci-bridge", true, true, PCIE_TO_PCI_BRIDGE},
	[ROLE_CONVENTIONAL] = {"conventional", false, false, PCIE_ENDPOINT},
	[ROLE_CONVENTIONAL_BRIDGE] = {"conventional-bridge", true, false, PCIE_ENDPOINT},
	[ROLE_LEGACY_ENDPOINT] = {"legacy-endpoint", false, true, PCIE_LEGACY_ENDPOINT},
	[ROLE_EVENT_COLLECTOR] = {"event-collector", false, true, PCIE_RC_EVENT_COLLECTOR},
	[ROLE_PCIE_BRIDGE] = {"pcie-bridge", true, true, PCI_TO_PCIE_BRIDGE},
};

const char *role_name(enum function_role role)
{
	return roles[role].name;
}

bool role_parse(const char *name, enum function_role *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (strcmp(name, roles[i].name) == 0) {
			*ret = (enum function_role)i;
			return true;
		}
	return false;
}

bool role_is_bridge(enum function_role role)
{
	return roles[role].bridge;
}

bool role_is_pcie(enum function_role role)
{
	return roles[role].pcie;
}

enum pcie_type role_type(enum function_role role)
{
	return roles[role].type;
}

enum function_role role_default(const enum function_role *parent)
{
	if (!parent)
		return ROLE_INTEGRATED;
	if (*parent == ROLE_UPSTREAM_PORT)
		return ROLE_DOWNSTREAM_PORT;
	if (*parent == ROLE_PCI_BRIDGE || *parent == ROLE_CONVENTIONAL_BRIDGE)
		return ROLE_CONVENTIONAL;
	return ROLE_ENDPOINT;
}
