/* SPDX-License-Identifier: MIT */
/*
 * The controller's registers, and what its PCI function asks of a model.
 *
 * BAR 0's first page is memory that the driver stores into. A poll compares it with what we last saw or showed: a new
 * CC is a request, anything else in a read-only register is put back. One register cannot be served exactly by a page
 * that is looked at: INTMC, where storing the same value twice means something, reads as 0 here instead of as the
 * mask; no driver we know reads it.
 *
 * CC.EN 0 -> 1 latches AQA, ASQ, ACQ and the memory page size. CC.EN 1 -> 0 is a controller reset: queues are gone,
 * event requests with them, features are at their defaults; AQA, ASQ and ACQ stay. A function-level reset clears
 * those too. Interrupts are no business of enabling: QEMU's driver sets up MSI-X after it has set CC.EN.
 */
#include "dev/nvme.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"

enum {
	CAP_CONTIGUOUS = 1 << 16, /* CQR: queues are physically contiguous */
	CAP_TIMEOUT = 40,	  /* TO: 20 s, in units of 500 ms */
};

static const u64 capabilities = (NVME_MAX_ENTRIES - 1) | CAP_CONTIGUOUS | (u64)CAP_TIMEOUT << 24 |
				BIT(37) /* CSS: NVM */ | (u64)NVME_MPS_MAX << 52;

/* Registers that hold what they hold, whatever is stored there. */
static const struct {
	u16 offset;
	u32 value;
} constant_registers[] = {
	{NVME_REG_CAP, (u32)capabilities},
	{NVME_REG_CAP + 4, (u32)(capabilities >> 32)},
	{NVME_REG_VS, NVME_VERSION},
	{NVME_REG_CSTS - 4, 0},
	{NVME_REG_NSSR, 0},
	{NVME_REG_CMBLOC, 0},
	{NVME_REG_CMBLOC + 4, 0},
	{NVME_REG_BPINFO, 0},
	{NVME_REG_BPINFO + 4, 0},
	{NVME_REG_BPINFO + 8, 0},
	{NVME_REG_BPINFO + 12, 0},
	{NVME_REG_CMBMSC, 0},
	{NVME_REG_CMBMSC + 4, 0},
	{NVME_REG_CMBMSC + 8, 0},
	{NVME_REG_LAST, 0},
};

static void registers_restore(struct nvme *nvme)
{
	for (unsigned i = 0; i < ARRAY_SIZE(constant_registers); i++)
		if (nvme_reg_load(nvme, constant_registers[i].offset) != constant_registers[i].value)
			nvme_reg_store(nvme, constant_registers[i].offset, constant_registers[i].value);
	if (nvme_reg_load(nvme, NVME_REG_CSTS) != nvme->csts)
		nvme_reg_store(nvme, NVME_REG_CSTS, nvme->csts);
}

static void show_status(struct nvme *nvme, u32 csts)
{
	nvme->csts = csts;
	nvme_reg_store(nvme, NVME_REG_CSTS, csts);
}

void nvme_die(struct nvme *nvme)
{
	show_status(nvme, nvme->csts | NVME_CSTS_CFS);
}

/* Of a controller that is not enabled. Without a thread it is dead, and a driver that waits for it shall see that. */
static u32 disabled_status(const struct nvme *nvme)
{
	return nvme->worker.unattended ? NVME_CSTS_CFS : 0;
}

/* Queues, outstanding requests, features: what any reset takes. No DMA and no interrupt after this. */
static void queues_reset(struct nvme *nvme)
{
	nvme->live_sqs = nvme->live_cqs = 0;
	nvme->signals = 0;
	nvme->nevent_requests = 0;
	nvme->events_pending = nvme->events_masked = 0;
	nvme->granted = NVME_IO_QUEUES;
	nvme->page_shift = PAGE_SHIFT;
	nvme_features_reset(nvme);
	nvme_update_level(nvme);
}

/* 64 bits in two halves: some drivers store them so, high first. */
static u64 load_address(const struct nvme *nvme, unsigned offset)
{
	return nvme_reg_load(nvme, offset) | (u64)nvme_reg_load(nvme, offset + 4) << 32;
}

static void controller_enable(struct nvme *nvme, u32 cc)
{
	u32 aqa = nvme_reg_load(nvme, NVME_REG_AQA);
	unsigned sq_size = (aqa & 0xfff) + 1, cq_size = (aqa >> 16 & 0xfff) + 1;
	unsigned page_shift = PAGE_SHIFT + nvme_cc_mps(cc);
	u64 page_mask = ~(BIT(page_shift) - 1);

	if (nvme->worker.unattended || nvme_cc_mps(cc) > NVME_MPS_MAX || nvme_cc_css(cc) || nvme_cc_ams(cc) ||
	    sq_size < 2 || cq_size < 2) {
		nvme_die(nvme);
		return;
	}
	nvme->page_shift = page_shift;
	nvme_cq_make(nvme, 0, load_address(nvme, NVME_REG_ACQ) & page_mask, cq_size, true, 0);
	nvme_sq_make(nvme, 0, load_address(nvme, NVME_REG_ASQ) & page_mask, sq_size, 0);
	show_status(nvme, NVME_CSTS_RDY);
}

static void controller_disable(struct nvme *nvme)
{
	queues_reset(nvme);
	nvme->mask = 0;
	nvme_reg_store(nvme, NVME_REG_INTMS, 0);
	show_status(nvme, disabled_status(nvme));
}

/* A shutdown is done as soon as it is asked for, once the blocks are safe; it shows until the next reset. */
static void shutdown(struct nvme *nvme, u32 cc)
{
	if (!nvme_cc_shn(cc)) {
		show_status(nvme, nvme->csts & ~(u32)NVME_CSTS_SHST_DONE);
		return;
	}
	nvme_disk_flush(&nvme->disk);
	show_status(nvme, nvme->csts | NVME_CSTS_SHST_DONE);
}

static bool poll_configuration(struct nvme *nvme)
{
	u32 cc = nvme_reg_load(nvme, NVME_REG_CC), before = nvme->cc;

	if (cc == before)
		return false;
	nvme->cc = cc;
	worker_hurry(&nvme->worker);
	if ((cc ^ before) & NVME_CC_EN) {
		if (cc & NVME_CC_EN)
			controller_enable(nvme, cc);
		else
			controller_disable(nvme);
	}
	if (nvme_cc_shn(cc) != nvme_cc_shn(before))
		shutdown(nvme, cc);
	return true;
}

/*
 * A store to INTMS sets bits and reads back as the mask; a store to INTMC clears them. Exchanges, because the driver
 * may store once more between our load and our store.
 */
static void poll_mask(struct nvme *nvme)
{
	u32 *intms = (u32 *)(void *)(nvme->regs + NVME_REG_INTMS);
	u32 *intmc = (u32 *)(void *)(nvme->regs + NVME_REG_INTMC);
	u32 set = nvme_reg_load(nvme, NVME_REG_INTMS), clear = nvme_reg_load(nvme, NVME_REG_INTMC);

	if (set == nvme->mask && !clear)
		return;
	if (clear)
		clear = __atomic_exchange_n(intmc, 0, __ATOMIC_ACQ_REL);
	nvme->mask = (nvme->mask | set) & ~clear;
	__atomic_compare_exchange_n(intms, &set, nvme->mask, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	nvme_update_level(nvme);
}

bool nvme_poll(void *model)
{
	struct nvme *nvme = model;
	bool progress;

	assert_held(RANK_DEVICE);
	if (!nvme->regs || nvme->activity == PCI_STOPPED)
		return false;
	poll_mask(nvme);
	registers_restore(nvme);
	progress = poll_configuration(nvme);
	if (nvme_ready(nvme) && nvme->activity == PCI_ACTIVE)
		progress |= nvme_queues_poll(nvme);
	return progress;
}

/* Power-on values, everywhere: the doorbells too. */
static void registers_power_on(struct nvme *nvme)
{
	nvme->cc = nvme->mask = 0;
	nvme->csts = disabled_status(nvme);
	queues_reset(nvme);
	if (!nvme->regs)
		return;
	for (unsigned offset = 0; offset < NVME_DOORBELLS + 8 * NVME_QUEUES; offset += 4)
		nvme_reg_store(nvme, offset, 0);
	registers_restore(nvme);
}

static void nvme_reset(struct pci_function *function)
{
	struct nvme *nvme = function->model;

	worker_lock(&nvme->worker);
	registers_power_on(nvme);
	worker_unlock(&nvme->worker);
}

static void nvme_backing_moved(struct pci_function *function, unsigned bar)
{
	struct nvme *nvme = function->model;

	if (bar != 0)
		return;
	worker_lock(&nvme->worker);
	if (nvme->regs) {
		nvme->regs = function->bars[0].memory;
	} else {
		nvme->regs = function->bars[0].memory;
		registers_power_on(nvme);
	}
	worker_unlock(&nvme->worker);
}

static void nvme_look(struct nvme *nvme)
{
	worker_lock(&nvme->worker);
	nvme_poll(nvme);
	worker_unlock(&nvme->worker);
}

static void nvme_bar_written(struct pci_function *function, unsigned bar, u64 offset, unsigned width)
{
	if (bar == 0)
		nvme_look(function->model);
}

/* Bus mastering may be on now: what waited for it can go. */
static void nvme_command_written(struct pci_function *function)
{
	nvme_look(function->model);
}

static void nvme_opened(struct pci_function *function)
{
	struct nvme *nvme = function->model;

	worker_start(&nvme->worker);
	worker_lock(&nvme->worker);
	if (nvme->worker.unattended && nvme->regs)
		nvme_die(nvme);
	worker_unlock(&nvme->worker);
}

static void nvme_closed(struct pci_function *function)
{
	struct nvme *nvme = function->model;

	bool dead = nvme->worker.unattended;

	worker_stop(&nvme->worker);
	if (dead)
		nvme_reset(function);	 /* the next driver may have a thread */
	nvme->identity = function->addr; /* whatever has moved here */
}

static void nvme_free(struct nvme *nvme)
{
	if (!nvme)
		return;
	worker_fini(&nvme->worker);
	nvme_disk_fini(&nvme->disk);
	free(nvme);
}
DEFINE_FREE(nvme)

static void nvme_model_free(struct pci_function *function)
{
	nvme_free(function->model);
	function->model = NULL;
	function->migration = NULL;
}

static const struct pci_model_ops nvme_ops = {
	.name = "nvme",
	.bar_written = nvme_bar_written,
	.backing_moved = nvme_backing_moved,
	.reset = nvme_reset,
	.command_written = nvme_command_written,
	.opened = nvme_opened,
	.closed = nvme_closed,
	.free = nvme_model_free,
};

/* The MSI-X table has a BAR of its own: drivers map all of BAR 0 without looking for one. */
static void nvme_build(struct pci_function *function, const struct model_options *options)
{
	enum { TABLE_BAR = 4, TABLE_BAR_SIZE = 0x1000, PBA_OFFSET = 0x800 };

	pci_add_bar(function, 0, PCI_BAR_MEMORY64, NVME_BAR_SIZE, false);
	pci_add_bar(function, TABLE_BAR, PCI_BAR_MEMORY64, TABLE_BAR_SIZE, false);
	pci_add_msix(function, NVME_VECTORS, TABLE_BAR, 0, TABLE_BAR, PBA_OFFSET);
	if (pci_is_pcie(function))
		pci_add_aer(function);
}

static int nvme_attach(struct pci_function *function, struct dma_port *port, const struct model_options *options,
		       struct why *why)
{
	_free_(nvme) struct nvme *nvme = alloc_new(struct nvme, why);

	if (!nvme)
		return -why->err;
	worker_init(&nvme->worker, WORKER_LOOKS, nvme_poll, nvme);
	nvme->disk = (struct nvme_disk)NVME_DISK_INIT;
	nvme->function = function;
	nvme->identity = function->addr;
	nvme->port = port;
	nvme->regs = function->bars[0].memory;
	if (nvme_disk_init(&nvme->disk, options, NVME_MAX_TRANSFER, why) < 0)
		return -why->err;
	if (nvme_migration_init(nvme, options, why) < 0)
		return -why->err;
	registers_power_on(nvme);
	function->ops = &nvme_ops;
	function->model = take(nvme);
	return 0;
}

static const char *const nvme_keys[] = {"disk", "size", "block", "migration", NULL};

const struct model nvme_model = {
	.name = "nvme",
	.summary = "NVMe 1.4 controller with one namespace: disk=PATH or size=64M, block=512|4096, migration=true",
	.identity = {.vendor = 0x1b36,
		     .device = 0x0010,
		     .subsystem_vendor = 0x1af4,
		     .subsystem = 0x1100,
		     .class_code = 0x010802,
		     .revision = 0x02},
	.driver = "nvme",
	.pcie = true,
	.keys = nvme_keys,
	.build = nvme_build,
	.attach = nvme_attach,
};
