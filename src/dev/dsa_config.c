/* SPDX-License-Identifier: MIT */
/*
 * Registers and tables. What configures the device can be written while it is disabled, what configures a work queue
 * while that one is; a store at another time is lost.
 */
#include "dev/dsa.h"
#include "dev/registers.h"

/* ---- interrupts and errors ---- */

void dsa_cause(struct dsa *dsa, u32 cause)
{
	u8 *causes = dsa_register(dsa, DSA_INTCAUSE);

	put_u32(causes, get_u32(causes) | cause);
	pci_irq_message(&dsa->function->irq, 0);
}

/* One is kept; that there were more is all that is known of them. */
void dsa_software_error(struct dsa *dsa, const struct dsa_software_error *error)
{
	u8 *at = dsa_register(dsa, DSA_SWERR);
	const struct dsa_job *job = error->job;
	u64 word = DSA_SWERR_VALID | (u64)error->error << DSA_SWERR_ERROR_SHIFT;

	if (get_u64(at) & DSA_SWERR_VALID) {
		put_u64(at, get_u64(at) | DSA_SWERR_OVERFLOW);
		return;
	}
	if (error->wq >= 0)
		word |= DSA_SWERR_WQ | (u64)error->wq << DSA_SWERR_WQ_SHIFT;
	if (job)
		word |= DSA_SWERR_DESCRIPTOR | (job->in_batch ? DSA_SWERR_BATCH : 0) |
			(job->privileged ? DSA_SWERR_PRIVILEGED : 0) |
			(u64)dsa_opcode(&job->entry.descriptor) << DSA_SWERR_OPERATION_SHIFT |
			(u64)job->pasid << DSA_SWERR_PASID_SHIFT;
	if (error->fault.write)
		word |= DSA_SWERR_WRITE;
	put_u64(at, word);
	put_u64(at + 8, job ? (job->in_batch ? dsa->batch.next - 1 : 0) | (u64)job->invalid_flags << 32 : 0);
	put_u64(at + 16, error->fault.address);
	if (get_u32(dsa_register(dsa, DSA_GENCTRL)) & DSA_GENCTRL_ERROR_INTERRUPT)
		dsa_cause(dsa, DSA_INTC_ERROR);
}

/* A vector belongs to a PASID, to requests without one, or to anybody. The first is not for completions. */
bool dsa_interrupt_permitted(const struct dsa *dsa, const struct dsa_job *job)
{
	u16 vector = job->entry.descriptor.interrupt;
	u32 entry;

	if (job->entry.stored_messages || !vector || vector >= DSA_VECTORS)
		return false;
	entry = get_u32(dsa->registers + DSA_MSIXPERM + vector * DSA_MSIXPERM_SIZE);
	if (entry & DSA_MSIXPERM_IGNORE)
		return true;
	if (!job->with_pasid || !(entry & DSA_MSIXPERM_PASID_ENABLE))
		return !job->with_pasid && !(entry & DSA_MSIXPERM_PASID_ENABLE);
	return entry >> 12 == job->pasid;
}

void dsa_show_state(struct dsa *dsa, enum dsa_device_state state)
{
	dsa->state = state;
	put_u32(dsa_register(dsa, DSA_GENSTS), state | (state == DSA_HALTED ? DSA_RESET_BY_FLR : 0));
}

/* ---- power-on ---- */

static u64 general_capabilities(const struct dsa *dsa)
{
	return DSA_GENCAP_OVERLAPPING | DSA_GENCAP_CACHE_MEMORY | DSA_GENCAP_CACHE_FLUSH | DSA_GENCAP_COMMANDS |
	       DSA_GENCAP_READBACK | (u64)dsa->transfer_shift << DSA_GENCAP_TRANSFER_SHIFT |
	       (u64)dsa->batch_shift << DSA_GENCAP_BATCH_SHIFT | DSA_GENCAP_CONFIGURABLE;
}

void dsa_wq_reset(struct dsa *dsa, unsigned wq)
{
	memset(dsa_wqcfg(dsa, wq, 1), 0, DSA_WQCFG_SIZE - sizeof(u32));
	put_u64(dsa_wqcfg(dsa, wq, DSA_WQ_OPERATIONS), dsa_operations());
}

void dsa_configuration_reset(struct dsa *dsa)
{
	memset(dsa_register(dsa, DSA_GENCFG), 0, DSA_CMDCAP - DSA_GENCFG);
	memset(dsa_register(dsa, DSA_SWERR), 0, DSA_TABLES_BEHIND - DSA_SWERR);
	for (unsigned wq = 0; wq < DSA_WQS; wq++)
		dsa_wq_reset(dsa, wq);
}

void dsa_power_on(struct dsa *dsa)
{
	u8 *registers = dsa->registers;

	memset(registers, 0, sizeof(dsa->registers));
	put_u32(registers + DSA_VERSION, DSA_VERSION_1_0);
	put_u64(registers + DSA_GENCAP, general_capabilities(dsa));
	put_u64(registers + DSA_WQCAP, DSA_ENTRIES | DSA_WQS << DSA_WQCAP_WQS_SHIFT | 1 << DSA_WQCAP_WQCFG_SIZE_SHIFT |
					       DSA_WQCAP_SHARED | DSA_WQCAP_DEDICATED | DSA_WQCAP_ATS |
					       DSA_WQCAP_PRIORITY | DSA_WQCAP_OCCUPANCY | DSA_WQCAP_OPERATIONS);
	put_u64(registers + DSA_GRPCAP, DSA_GROUPS | DSA_READ_BUFFERS << 8 | BIT(16) | BIT(17));
	put_u64(registers + DSA_ENGCAP, DSA_ENGINES);
	put_u64(registers + DSA_OPCAP, dsa_operations());
	put_u64(registers + DSA_OFFSETS, DSA_GRPCFG >> 8 | (u64)DSA_WQCFG >> 8 << 16 | (u64)DSA_MSIXPERM >> 8 << 32);
	put_u32(registers + DSA_CMDCAP, (1u << DSA_COMMANDS) - 2);
	dsa->commanded = false;
	dsa_reset(dsa);
}

/* ---- accesses ---- */

static void gencfg_stored(void *model, u64 written, u64 lanes)
{
	struct dsa *dsa = model;
	u32 writable = (u32)lanes & DSA_GENCFG_WRITABLE;
	u8 *at = dsa_register(dsa, DSA_GENCFG);

	if (dsa->state == DSA_DISABLED)
		put_u32(at, (get_u32(at) & ~writable) | ((u32)written & writable));
}

static void command_stored(void *model, u64 written, u64 lanes)
{
	dsa_command(model, (u32)written);
}

static const struct register_row rows[] = {
	{.offset = DSA_GENCFG, .width = 4, .stored = gencfg_stored},
	{.offset = DSA_GENCTRL, .width = 4, .writable = DSA_GENCTRL_ERROR_INTERRUPT | DSA_GENCTRL_HALT_INTERRUPT},
	{.offset = DSA_INTCAUSE, .width = 4, .clears = ~0u},
	{.offset = DSA_CMD, .width = 4, .writable = ~0u, .stored = command_stored},
	{.offset = DSA_SWERR, .width = 8, .clears = DSA_SWERR_VALID | DSA_SWERR_OVERFLOW},
};

/* Bits of a dword of the tables that can be written now. */
static u32 table_writable(const struct dsa *dsa, unsigned offset)
{
	bool disabled = dsa->state == DSA_DISABLED;

	if (offset >= DSA_MSIXPERM)
		return offset < DSA_MSIXPERM + DSA_VECTORS * DSA_MSIXPERM_SIZE && offset % DSA_MSIXPERM_SIZE == 0
			       ? 0xfffff00c
			       : 0;
	if (offset < DSA_WQCFG) /* queues, engines, flags */
		return disabled && offset < DSA_GRPCFG + DSA_GROUPS * DSA_GRPCFG_SIZE && offset % DSA_GRPCFG_SIZE < 48
			       ? ~0u
			       : 0;
	if (offset >= DSA_WQCFG + DSA_WQS * DSA_WQCFG_SIZE)
		return 0;
	switch (offset % DSA_WQCFG_SIZE / sizeof(u32)) {
	case DSA_WQ_SIZE:
		return disabled ? 0xffff : 0;
	case DSA_WQ_THRESHOLD:
		return 0xffff;
	default:
		break;
	}
	if (dsa->wqs[(offset - DSA_WQCFG) / DSA_WQCFG_SIZE].enabled)
		return 0;
	switch (offset % DSA_WQCFG_SIZE / sizeof(u32)) {
	case DSA_WQ_MODE:
		return DSA_WQ_MODE_WRITABLE;
	case DSA_WQ_LIMITS:
		return DSA_WQ_LIMITS_WRITABLE;
	default:
		return offset % DSA_WQCFG_SIZE / sizeof(u32) >= DSA_WQ_OPERATIONS ? ~0u : 0;
	}
}

/* Byte by byte, so that every width will do. */
static void store_table(struct dsa *dsa, const struct pci_access *access)
{
	for (unsigned i = 0; i < access->width; i++) {
		unsigned offset = (unsigned)access->offset + i;
		u8 writable, *at = dsa_register(dsa, offset);

		if (offset < DSA_GRPCFG || offset >= DSA_TABLES_BEHIND)
			continue;
		writable = (u8)(table_writable(dsa, (unsigned)align_down(offset, 4)) >> offset % 4 * 8);
		*at = (u8)((*at & ~writable) | (access->data[i] & writable));
	}
}

static struct registers registers_of(struct dsa *dsa)
{
	return (struct registers){dsa->registers, sizeof(dsa->registers), rows, ARRAY_SIZE(rows)};
}

void dsa_registers_load(struct dsa *dsa, struct pci_access *access)
{
	const struct registers registers = registers_of(dsa);

	for (unsigned i = 0; i < DSA_WQS; i++)
		put_u32(dsa_wqcfg(dsa, i, DSA_WQ_STATUS),
			dsa->wqs[i].count | DSA_WQ_STATUS_MODES | (dsa->wqs[i].enabled ? DSA_WQ_STATUS_ENABLED : 0));
	registers_load(&registers, dsa, access);
}

void dsa_registers_store(struct dsa *dsa, const struct pci_access *access)
{
	const struct registers registers = registers_of(dsa);

	registers_store(&registers, dsa, access);
	if (access->offset + access->width > DSA_GRPCFG && access->offset < DSA_TABLES_BEHIND)
		store_table(dsa, access);
}
