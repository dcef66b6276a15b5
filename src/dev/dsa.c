/* SPDX-License-Identifier: MIT */
/* What the PCI function asks of the model. */
#include "dev/dsa.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"

enum { REGISTERS = 0, PORTALS = 2, PASID_WIDTH = 20 }; /* BARs */

/* All but the vector table, which has pages of its own. */
static enum pci_page_kind dsa_page_kind(const struct pci_function *function, unsigned bar, u64 page)
{
	if (bar == REGISTERS && (page == DSA_MSIX_TABLE >> PAGE_SHIFT || page == DSA_MSIX_PENDING >> PAGE_SHIFT))
		return PCI_PAGE_POLLED;
	return bar == REGISTERS || bar == PORTALS ? PCI_PAGE_PRECISE : PCI_PAGE_POLLED;
}

/* Portals are written only. */
static bool access_portal(struct dsa *dsa, struct pci_access *access)
{
	if (access->kind != PCI_ACCESS_LOAD)
		return dsa_portal(dsa, access);
	memset(access->data, 0xff, sizeof(access->data));
	return false;
}

static bool dsa_access(struct pci_function *function, struct pci_access *access)
{
	struct dsa *dsa = function->model;
	bool accepted = false;

	worker_lock(&dsa->worker);
	if (access->bar == PORTALS)
		accepted = access_portal(dsa, access);
	else if (access->kind == PCI_ACCESS_LOAD)
		dsa_registers_load(dsa, access);
	else if (access->kind == PCI_ACCESS_STORE)
		dsa_registers_store(dsa, access);
	worker_unlock(&dsa->worker);
	return accepted;
}

static bool dsa_work(void *model)
{
	assert_held(RANK_DEVICE);
	return dsa_execute(model);
}

static void dsa_function_reset(struct pci_function *function)
{
	struct dsa *dsa = function->model;

	worker_lock(&dsa->worker);
	dsa_power_on(dsa);
	worker_unlock(&dsa->worker);
}

static void dsa_command_written(struct pci_function *function)
{
	struct dsa *dsa = function->model;

	worker_lock(&dsa->worker);
	if (!(pci_command(function) & PCI_COMMAND_MASTER) && (dsa->state == DSA_ENABLED || dsa->state == DSA_DRAINING))
		dsa_halt(dsa);
	dsa->stopped = false;
	worker_wake(&dsa->worker);
	worker_unlock(&dsa->worker);
}

static void dsa_opened(struct pci_function *function)
{
	struct dsa *dsa = function->model;

	worker_start(&dsa->worker);
}

static void dsa_closed(struct pci_function *function)
{
	struct dsa *dsa = function->model;

	worker_stop(&dsa->worker);
}

static void dsa_free(struct dsa *dsa)
{
	if (!dsa)
		return;
	worker_fini(&dsa->worker);
	free(dsa);
}
DEFINE_FREE(dsa)

static void dsa_model_free(struct pci_function *function)
{
	dsa_free(function->model);
	function->model = NULL;
}

static const struct pci_model_ops dsa_ops = {
	.name = "dsa",
	.page_kind = dsa_page_kind,
	.access = dsa_access,
	.reset = dsa_function_reset,
	.command_written = dsa_command_written,
	.opened = dsa_opened,
	.closed = dsa_closed,
	.free = dsa_model_free,
};

static void dsa_build(struct pci_function *function, const struct model_options *options)
{
	pci_add_bar(function, REGISTERS, PCI_BAR_MEMORY64, DSA_BAR_REGISTERS, true);
	pci_add_bar(function, PORTALS, PCI_BAR_MEMORY64, DSA_BAR_PORTALS, true);
	pci_add_msix(function, DSA_VECTORS, REGISTERS, DSA_MSIX_TABLE, REGISTERS, DSA_MSIX_PENDING);
	if (!pci_is_pcie(function))
		return;
	pci_add_aer(function);
	pci_add_ats(function);
	pci_add_pasid(function, PASID_WIDTH);
}

static int dsa_attach(struct pci_function *function, struct dma_port *port, const struct model_options *options,
		      struct why *why)
{
	_free_(dsa) struct dsa *dsa = alloc_new(struct dsa, why);
	int err;

	if (!dsa)
		return -why->err;
	worker_init(&dsa->worker, WORKER_SLEEPS, dsa_work, dsa);
	err = model_number(&dsa_model, options, "transfer_shift", DSA_TRANSFER_SHIFT_MIN, DSA_TRANSFER_SHIFT_MAX,
			   &dsa->transfer_shift, why);
	if (err == 0)
		err = model_number(&dsa_model, options, "batch_shift", DSA_BATCH_SHIFT_MIN, DSA_BATCH_SHIFT_MAX,
				   &dsa->batch_shift, why);
	if (err < 0)
		return err;
	dsa->function = function;
	dsa->port = port;
	dsa_crc_tables(dsa);
	dsa_power_on(dsa);
	function->ops = &dsa_ops;
	function->model = take(dsa);
	return 0;
}

static const char *const dsa_keys[] = {"transfer_shift", "batch_shift", NULL};

const struct model dsa_model = {
	.name = "dsa",
	.summary =
		"Intel Data Streaming Accelerator 1.0: transfer_shift=12..31, batch_shift=1..10 (log2 of the largest)",
	/* Of Granite Rapids-D: vfio-pci does not take that of Sapphire Rapids (0b25) unless asked to. */
	.identity = {.vendor = 0x8086,
		     .device = 0x11fb,
		     .subsystem_vendor = 0x8086,
		     .subsystem = 0x0000,
		     .class_code = 0x088000,
		     .revision = 0x00},
	.driver = "idxd",
	.pcie = true,
	.keys = dsa_keys,
	.build = dsa_build,
	.attach = dsa_attach,
};
