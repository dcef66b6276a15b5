/* SPDX-License-Identifier: MIT */
/* It has no thread and no memory port: whatever it does is done by the access, under machine.lock. */
#include "dev/probe.h"

#include <stdlib.h>

#include "base/alloc.h"

struct probe {
	u64 registers[PROBE_REGISTERS / 8];
	u8 memory[PAGE_SIZE];
};

static u64 *at(struct probe *probe, unsigned offset)
{
	return &probe->registers[offset / 8];
}

static void power_on(struct probe *probe)
{
	memset(probe, 0, sizeof(*probe));
	*at(probe, PROBE_ID) = PROBE_MAGIC;
}

/* ---- accesses ---- */

static bool covers(const struct pci_access *access, unsigned offset)
{
	return access->offset <= offset && offset < access->offset + access->width;
}

static void load(struct probe *probe, struct pci_access *access)
{
	const u8 *from = (const u8 *)probe->registers;

	memset(access->data, 0, sizeof(access->data));
	if (access->offset >= PROBE_MEMORY)
		memcpy(access->data, probe->memory + (access->offset - PROBE_MEMORY), access->width);
	else if (access->offset < PROBE_REGISTERS)
		memcpy(access->data, from + access->offset, access->width);
	if (covers(access, PROBE_EVENTS))
		*at(probe, PROBE_EVENTS) = 0;
	++*at(probe, PROBE_LOADS);
}

static void store_register(struct probe *probe, const struct pci_access *access)
{
	u64 value = 0;

	memcpy(&value, access->data, min_u64(access->width, sizeof(value)));
	switch (access->offset) {
	case PROBE_EVENTS:
		*at(probe, PROBE_EVENTS) += value;
		break;
	case PROBE_SCRATCH:
	case PROBE_RETRY:
		memcpy(at(probe, (unsigned)access->offset), access->data, min_u64(access->width, sizeof(value)));
		break;
	default:
		break;
	}
}

static void store_portal(struct probe *probe, const struct pci_access *access)
{
	if (access->width != sizeof(access->data))
		return;
	memcpy(at(probe, PROBE_LAST), access->data, sizeof(access->data));
	++*at(probe, PROBE_COMMANDS);
}

static void store(struct probe *probe, const struct pci_access *access)
{
	if (access->offset >= PROBE_MEMORY)
		memcpy(probe->memory + (access->offset - PROBE_MEMORY), access->data, access->width);
	else if (access->offset >= PROBE_PORTAL)
		store_portal(probe, access);
	else
		store_register(probe, access);
	*at(probe, PROBE_WIDTH) = access->width;
	*at(probe, PROBE_OFFSET) = access->offset;
	++*at(probe, PROBE_STORES);
}

static bool enqueue(struct probe *probe, const struct pci_access *access)
{
	if (access->offset < PROBE_PORTAL || access->offset >= PROBE_MEMORY || *at(probe, PROBE_RETRY)) {
		*at(probe, PROBE_RETRY) -= *at(probe, PROBE_RETRY) != 0;
		++*at(probe, PROBE_REFUSED);
		return false;
	}
	memcpy(at(probe, PROBE_LAST), access->data, sizeof(access->data));
	++*at(probe, PROBE_ACCEPTED);
	return true;
}

static bool probe_access(struct pci_function *function, struct pci_access *access)
{
	struct probe *probe = function->model;

	if (access->kind == PCI_ACCESS_ENQUEUE)
		return enqueue(probe, access);
	if (access->kind == PCI_ACCESS_LOAD)
		load(probe, access);
	else
		store(probe, access);
	return false;
}

static enum pci_page_kind probe_page_kind(const struct pci_function *function, unsigned bar, u64 page)
{
	return page == PROBE_POLLED >> PAGE_SHIFT ? PCI_PAGE_POLLED : PCI_PAGE_PRECISE;
}

/* ---- the function ---- */

static void probe_reset(struct pci_function *function)
{
	power_on(function->model);
}

static void probe_free(struct pci_function *function)
{
	free(function->model);
	function->model = NULL;
}

static const struct pci_model_ops probe_ops = {
	.name = "probe",
	.page_kind = probe_page_kind,
	.access = probe_access,
	.reset = probe_reset,
	.free = probe_free,
};

static void probe_build(struct pci_function *function, const struct model_options *options)
{
	pci_add_bar(function, 0, PCI_BAR_MEMORY64, PROBE_BAR_SIZE, false);
}

static int probe_attach(struct pci_function *function, struct dma_port *port, const struct model_options *options,
			struct why *why)
{
	struct probe *probe = alloc_new(struct probe, why);

	if (!probe)
		return -why->err;
	power_on(probe);
	function->ops = &probe_ops;
	function->model = probe;
	return 0;
}

static const char *const probe_keys[] = {NULL};

const struct model probe_model = {
	.name = "probe",
	.summary = "registers that count what reaches them, for tests of mapped registers",
	.identity = {.vendor = 0x1234, .device = 0x1d0e, .class_code = 0xff0000, .revision = 0x01},
	.driver = NULL,
	.pcie = true,
	.keys = probe_keys,
	.build = probe_build,
	.attach = probe_attach,
};
