/* SPDX-License-Identifier: MIT */
/* The registers, and what the PCI function asks of a model. */
#include "dev/ioat.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "dev/registers.h"

enum { CHANNELS = 1, TABLE_OFFSET = 0x2000, PBA_OFFSET = 0x3000 };

/* ---- registers ---- */

void ioat_update_line(struct ioat *ioat)
{
	u8 *control = ioat_register(ioat, IOAT_INTRCTRL);
	bool attention = get_u32(ioat_register(ioat, IOAT_ATTNSTATUS)) != 0;
	bool level = attention && *control & IOAT_INTRCTRL_MASTER;

	*control &= (u8) ~(IOAT_INTRCTRL_STATUS | IOAT_INTRCTRL_INT);
	*control |= (u8)((attention ? IOAT_INTRCTRL_STATUS : 0) | (level ? IOAT_INTRCTRL_INT : 0));
	level &= pci_irq_current(&ioat->function->irq) == PCI_IRQ_INTX;
	if (level != ioat->level)
		pci_irq_level(&ioat->function->irq, level);
	ioat->level = level;
}

/* Whoever reads it owns the interrupt until he writes it back. */
static void intrctrl_loaded(void *model)
{
	struct ioat *ioat = model;

	*ioat_register(ioat, IOAT_INTRCTRL) &= (u8)~IOAT_INTRCTRL_MASTER;
	ioat_update_line(ioat);
}

static void intrctrl_stored(void *model, u64 written, u64 lanes)
{
	ioat_update_line(model);
}

static void attnstatus_loaded(void *model)
{
	struct ioat *ioat = model;

	put_u32(ioat_register(ioat, IOAT_ATTNSTATUS), 0);
	ioat_update_line(ioat);
}

/* The bit reads as one while it is set, which here is no longer than this. */
static void chancmd_stored(void *model, u64 written, u64 lanes)
{
	struct ioat *ioat = model;

	if (written & IOAT_CHANCMD_RESET)
		ioat_channel_reset(ioat);
	else if (written == IOAT_CHANCMD_SUSPEND)
		ioat_channel_suspend(ioat);
	else if (written)
		ioat_halt(ioat, IOAT_ERR_COMMAND);
}

static void chainaddr_stored(void *model, u64 written, u64 lanes)
{
	ioat_channel_arm(model);
}

static void dmacount_stored(void *model, u64 written, u64 lanes)
{
	ioat_channel_count(model);
}

#define CHANCTRL_WRITABLE 0xf33cu /* priority, in use, DCA, snooping, error bits */

static const struct register_row rows[] = {
	{.offset = IOAT_GENCTRL, .width = 1, .writable = 0x01},
	{.offset = IOAT_INTRCTRL,
	 .width = 1,
	 .writable = IOAT_INTRCTRL_MASTER | IOAT_INTRCTRL_MSIX_VECTORS,
	 .stored = intrctrl_stored,
	 .loaded = intrctrl_loaded},
	{.offset = IOAT_ATTNSTATUS, .width = 4, .loaded = attnstatus_loaded},
	{.offset = IOAT_INTRDELAY, .width = 2, .writable = 0x3fff},
	{.offset = IOAT_CHANCTRL, .width = 2, .writable = CHANCTRL_WRITABLE, .clears = IOAT_CHANCTRL_INT_DISABLED},
	{.offset = IOAT_CHANCMD, .width = 1, .stored = chancmd_stored},
	{.offset = IOAT_DMACOUNT, .width = 2, .writable = 0xffff, .stored = dmacount_stored},
	{.offset = IOAT_CHAINADDR, .width = 8, .writable = ~0ull, .stored = chainaddr_stored},
	{.offset = IOAT_CHANCMP, .width = 8, .writable = ~0ull},
	{.offset = IOAT_CHANERR, .width = 4, .clears = ~0u},
	{.offset = IOAT_CHANERR_MASK, .width = 4, .writable = ~0u},
	{.offset = IOAT_DCACTRL, .width = 4, .writable = ~0u},
};

static enum pci_page_kind ioat_page_kind(const struct pci_function *function, unsigned bar, u64 page)
{
	return bar == 0 && page < TABLE_OFFSET >> PAGE_SHIFT ? PCI_PAGE_PRECISE : PCI_PAGE_POLLED;
}

/* Loads see what is there, and nothing changes. */
static void access_stopped(const struct ioat *ioat, struct pci_access *access)
{
	const struct registers registers = {(u8 *)(uintptr_t)ioat->registers, sizeof(ioat->registers), NULL, 0};

	if (access->kind == PCI_ACCESS_LOAD)
		registers_load(&registers, NULL, access);
}

static bool ioat_access(struct pci_function *function, struct pci_access *access)
{
	struct ioat *ioat = function->model;
	const struct registers registers = {ioat->registers, sizeof(ioat->registers), rows, ARRAY_SIZE(rows)};

	worker_lock(&ioat->worker);
	if (ioat->activity == PCI_STOPPED)
		access_stopped(ioat, access);
	else if (access->kind == PCI_ACCESS_LOAD)
		registers_load(&registers, ioat, access);
	else if (access->kind == PCI_ACCESS_STORE)
		registers_store(&registers, ioat, access);
	worker_unlock(&ioat->worker);
	return false; /* it takes no ENQCMD */
}

static bool ioat_work(void *model)
{
	assert_held(RANK_DEVICE);
	return ((const struct ioat *)model)->activity == PCI_ACTIVE && ioat_channel_run(model);
}

void ioat_show_constants(struct ioat *ioat)
{
	*ioat_register(ioat, IOAT_CHANCNT) = CHANNELS;
	*ioat_register(ioat, IOAT_XFERCAP) = (u8)ioat->xfercap;
	*ioat_register(ioat, IOAT_CBVER) = (u8)(3 << 4 | ioat->minor);
	put_u32(ioat_register(ioat, IOAT_DMACAP), IOAT_CAP_PAGE_BREAK | IOAT_CAP_FILL);
	put_u16(ioat_register(ioat, IOAT_DMACOMP), IOAT_DMACOMP_V2);
	ioat_show_state(ioat, ioat->state);
}

static void power_on(struct ioat *ioat)
{
	memset(ioat->registers, 0, sizeof(ioat->registers));
	ioat->errors_internal = 0;
	ioat_channel_reset(ioat);
	ioat_show_constants(ioat);
}

/* ---- the function ---- */

static void ioat_reset(struct pci_function *function)
{
	struct ioat *ioat = function->model;

	worker_lock(&ioat->worker);
	power_on(ioat);
	worker_unlock(&ioat->worker);
}

/* Bus mastering may be on now: what waited for it can go. */
static void ioat_command_written(struct pci_function *function)
{
	struct ioat *ioat = function->model;

	worker_lock(&ioat->worker);
	worker_wake(&ioat->worker);
	worker_unlock(&ioat->worker);
}

static void ioat_config_refresh(struct pci_function *function)
{
	struct ioat *ioat = function->model;
	u8 *at = function->config + IOAT_CONFIG_CHANERR_INT;

	if (!function->nown_rules)
		return;
	worker_lock(&ioat->worker);
	put_u32(at, get_u32(at) | ioat->errors_internal);
	ioat->errors_internal = 0;
	worker_unlock(&ioat->worker);
}

static void ioat_opened(struct pci_function *function)
{
	struct ioat *ioat = function->model;

	worker_start(&ioat->worker);
}

static void ioat_closed(struct pci_function *function)
{
	struct ioat *ioat = function->model;

	worker_stop(&ioat->worker);
}

static void ioat_free(struct ioat *ioat)
{
	if (!ioat)
		return;
	worker_fini(&ioat->worker);
	free(ioat);
}
DEFINE_FREE(ioat)

static void ioat_model_free(struct pci_function *function)
{
	ioat_free(function->model);
	function->model = NULL;
	function->migration = NULL;
}

static const struct pci_model_ops ioat_ops = {
	.name = "ioat",
	.page_kind = ioat_page_kind,
	.access = ioat_access,
	.reset = ioat_reset,
	.command_written = ioat_command_written,
	.config_refresh = ioat_config_refresh,
	.opened = ioat_opened,
	.closed = ioat_closed,
	.free = ioat_model_free,
};

/* Sticky, all of them: an error must survive the reset that it caused. */
static const struct pci_config_rule config_rules[] = {
	{.offset = IOAT_CONFIG_UNCERRSTS, .clears = ~0u, .kept = ~0u},
	{.offset = IOAT_CONFIG_UNCERRMSK, .writable = ~0u, .kept = ~0u},
	{.offset = IOAT_CONFIG_UNCERRSEV, .writable = ~0u, .kept = ~0u},
	{.offset = IOAT_CONFIG_CHANERR_INT, .clears = ~0u, .kept = ~0u},
	{.offset = IOAT_CONFIG_CHANERRMSK_INT, .writable = ~0u, .kept = ~0u},
	{.offset = IOAT_CONFIG_CHANERRSEV_INT, .writable = ~0u, .kept = ~0u},
};

/* The device's own registers lie right behind its AER capability, outside of any. */
static void build_config(struct pci_function *function)
{
	pci_add_aer(function);
	assert(function->next_ext_cap <= IOAT_CONFIG_UNCERRSTS);
	function->next_ext_cap = IOAT_CONFIG_BEHIND;
	function->own_rules = config_rules;
	function->nown_rules = ARRAY_SIZE(config_rules);
}

static void ioat_build(struct pci_function *function, const struct model_options *options)
{
	pci_add_bar(function, 0, PCI_BAR_MEMORY64, IOAT_BAR_SIZE, false);
	pci_add_msi(function, 0, true);
	pci_add_msix(function, CHANNELS, 0, TABLE_OFFSET, 0, PBA_OFFSET);
	if (pci_is_pcie(function))
		build_config(function);
}

/* Skylake's, unless told otherwise. */
static int decode_options(struct ioat *ioat, const struct model_options *options, struct why *why)
{
	int err = model_number(&ioat_model, options, "xfercap", IOAT_XFERCAP_MIN, IOAT_XFERCAP_MAX, &ioat->xfercap,
			       why);

	if (err < 0)
		return err;
	err = model_number(&ioat_model, options, "minor", IOAT_MINOR_MIN, IOAT_MINOR_MAX, &ioat->minor, why);
	if (!model_option(options, "minor"))
		ioat->minor = IOAT_MINOR_MIN;
	return err;
}

static int ioat_attach(struct pci_function *function, struct dma_port *port, const struct model_options *options,
		       struct why *why)
{
	_free_(ioat) struct ioat *ioat = alloc_new(struct ioat, why);
	int err;

	if (!ioat)
		return -why->err;
	worker_init(&ioat->worker, WORKER_SLEEPS, ioat_work, ioat);
	err = decode_options(ioat, options, why);
	if (err < 0)
		return err;
	ioat->function = function;
	ioat->port = port;
	err = ioat_migration_init(ioat, options, why);
	if (err < 0)
		return err;
	power_on(ioat);
	function->ops = &ioat_ops;
	function->model = take(ioat);
	return 0;
}

static const char *const ioat_keys[] = {"xfercap", "minor", "migration", NULL};

const struct model ioat_model = {
	.name = "ioat",
	.summary = "Intel QuickData (I/OAT) with one channel: xfercap=12..20 (largest transfer, log2), minor=2..4 (of "
		   "version 3), migration=true",
	.identity = {.vendor = 0x8086,
		     .device = 0x2021,
		     .subsystem_vendor = 0x8086,
		     .subsystem = 0x0000,
		     .class_code = 0x088000,
		     .revision = 0x04},
	.driver = "ioatdma",
	.pcie = true,
	.keys = ioat_keys,
	.build = ioat_build,
	.attach = ioat_attach,
};
