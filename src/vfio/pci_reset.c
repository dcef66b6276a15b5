/* SPDX-License-Identifier: MIT */
/*
 * Function reset: spec 05 section 6. What resets a whole bus is in hot_reset.c.
 *
 * A reset puts a function's registers at their power-on values; the system then writes back what it had set up: BARs,
 * COMMAND, link and message control. So a program sees its device in D0, silent, but with its interrupts still enabled.
 */
#include "iommu/attach.h"
#include "pci/reset.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

#define EXP_DEVCTL_FLR 0x8000
#define MSI_64_BITS    0x0080 /* PCI Local Bus 3.0 section 6.8.1.3 */
#define MSI_MASKS      0x0100

/* ---- one function ---- */

/* FLR, the conventional FLR, a trip through D3hot, or a bus reset that hits nobody else and that it survives. */
static bool has_way(const struct vfio_device *device)
{
	const struct pci_function *function = device->function;

	return pci_can_reset_by_flr(function) || pci_can_reset_by_af_flr(function) ||
	       pci_can_reset_by_sleep(function) || pci_can_reset_by_bus(device->vfio->topology, function);
}

/* An emulated device has a method of its own. */
bool function_can_reset(const struct vfio_device *device)
{
	return device->soft || (!device->function->reset_forbidden && has_way(device));
}

bool device_is_locked(const struct vfio_device *device)
{
	return !device->soft && (device->hidden || device->virtuals_leave);
}

int device_decode_lock(const struct vfio_device *device, struct why *why)
{
	if (!device_is_locked(device))
		return 0;
	return refuse(why, DEVICE_LOCKED, "%s cannot be reset while %s", device->name,
		      device->hidden ? "it is being unbound from vfio-pci" : "its virtual functions are taken away");
}

/* vfio_pci_core.c:vfio_pci_core_enable() takes a failed reset for an answer, but no lock that it cannot have. */
int device_decode_open(const struct vfio_device *device, struct why *why)
{
	return function_can_reset(device) ? device_decode_lock(device, why) : 0;
}

static void restore_word(struct pci_function *function, const u8 *saved, unsigned offset)
{
	pci_config_write(function, (u16)offset, 2, get_u16(saved + offset));
}

static void restore_dword(struct pci_function *function, const u8 *saved, unsigned offset)
{
	pci_config_write(function, (u16)offset, 4, get_u32(saved + offset));
}

/* drivers/pci/access.c:pcie_cap_has_lnkctl(): without a link, another capability may begin where its registers are. */
static bool has_link(const struct pci_function *function)
{
	enum pcie_type type = pcie_type(function);

	return type != PCIE_RC_ENDPOINT && type != PCIE_RC_EVENT_COLLECTOR;
}

static void restore_exp(struct pci_function *function, const u8 *saved)
{
	unsigned at = function->cap_pcie;

	pci_config_write(function, (u16)(at + 8), 2, get_u16(saved + at + 8) & (u32)~EXP_DEVCTL_FLR);
	if (has_link(function))
		restore_word(function, saved, at + 16); /* link control */
	if ((get_u16(saved + at + 2) & 0xf) >= 2)
		restore_word(function, saved, at + 40); /* device control 2 */
}

/*
 * Address, data and masks before the bit that switches it on; and no more than there is: what is written behind it
 * reaches the next capability, which may take that for a command.
 */
static void restore_msi(struct pci_function *function, const u8 *saved)
{
	unsigned at = function->cap_msi, data = at + 8;
	u16 control = get_u16(saved + at + 2);

	restore_dword(function, saved, at + 4);
	if (control & MSI_64_BITS) {
		restore_dword(function, saved, at + 8);
		data += 4;
	}
	restore_word(function, saved, data);
	if (control & MSI_MASKS)
		restore_dword(function, saved, data + 4);
	restore_word(function, saved, at + 2);
}

/* Masks, severities, ECRC (drivers/pci/pcie/aer.c:pci_restore_aer_state()); a reset leaves them, a program may not
 * have. */
static void restore_aer(struct pci_function *function, const u8 *saved)
{
	static const u8 offsets[] = {0x08, 0x0c, 0x14, 0x18};

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
		restore_dword(function, saved, function->cap_aer + offsets[i]);
}

void function_restore(struct pci_function *function, const u8 saved[static CONFIG_SIZE])
{
	pci_function_restore(function);
	pci_config_write(function, PCI_CACHE_LINE, 1, saved[PCI_CACHE_LINE]);
	pci_config_write(function, PCI_LATENCY, 1, saved[PCI_LATENCY]);
	if (function->cap_pcie)
		restore_exp(function, saved);
	if (function->cap_msi)
		restore_msi(function, saved);
	if (function->cap_msix)
		restore_word(function, saved, function->cap_msix + 2u);
	if (function->cap_aer)
		restore_aer(function, saved);
	/* drivers/pci/ats.c:pci_restore_pasid_state(), pci_restore_ats_state() */
	if (function->cap_pasid)
		restore_word(function, saved, function->cap_pasid + 6u);
	if (function->cap_ats)
		restore_word(function, saved, function->cap_ats + 6u);
	restore_word(function, saved, PCI_COMMAND);
}

void function_reset(struct pci_function *function)
{
	u8 saved[CONFIG_SIZE];

	memcpy(saved, function->config, sizeof(saved));
	pci_function_reset(function);
	function_restore(function, saved);
}

/* They are in D0 again, too, whoever has them open. */
static void virtuals_update(struct vfio *vfio, const struct pci_function *physical)
{
	struct vfio_device *device;

	list_for_each(device, &vfio->devices, link)
		if (device->session && device->function->physical == physical)
			backing_update(device->session);
}

void bound_reset(struct vfio_device *device)
{
	function_reset(device->function);
	virtuals_update(device->vfio, device->function);
}

void session_reset(struct pci_session *session)
{
	dmabufs_revoke(session, true);
	bound_reset(session->device);
	migration_reset(session);
	backing_update(session); /* D0 again */
	dmabufs_revoke(session, session->revoked);
}

/* Of the program that has the function open; NULL: none has. */
static struct pci_session *session_of(struct vfio *vfio, const struct pci_function *function)
{
	struct vfio_device *device;

	list_for_each(device, &vfio->devices, link)
		if (device->function == function)
			return device->session;
	return NULL;
}

void vfio_function_wake(struct vfio *vfio, const struct pci_function *function, bool awake)
{
	struct pci_session *session = session_of(vfio, function);

	if (session && awake)
		low_power_resume(session);
	else if (session)
		low_power_suspend(session);
}

void vfio_function_was_written(struct vfio *vfio, const struct pci_function *function)
{
	struct pci_session *session = session_of(vfio, function);

	if (session)
		backing_update(session);
	virtuals_update(vfio, function);
}

void vfio_function_was_reset(struct vfio *vfio, const struct pci_function *function)
{
	struct pci_session *session = session_of(vfio, function);

	if (session)
		migration_reset(session);
	vfio_function_was_written(vfio, function);
}

/* Registers as after power-on, and nobody puts anything back. The registers of BARs go home before they are not there.
 */
void session_lost(struct pci_session *session)
{
	backing_revoke(session);
	pci_function_reset(session->function);
	backing_update(session); /* of a virtual function, whose memory its physical one decodes */
	virtuals_update(session->device->vfio, session->function);
}

/* Without an IOMMU nobody has to be told. */
int device_function_reset(struct iommu_device *device, struct pci_function *function, struct why *why)
{
	int err = device ? iommu_reset_prepare(device, why) : 0;

	if (err < 0)
		return err;
	function_reset(function);
	if (device)
		iommu_reset_done(device);
	return 0;
}

/* Of a function that nothing resets: a way that its registers offer is one that a quirk forbids. */
static const char *no_flr(const struct pci_function *function)
{
	if (pci_offers_flr(function) || pci_offers_af_flr(function))
		return "hangs after a function-level reset (quirk no-flr)";
	return "has no function-level reset";
}

static const char *no_pm_reset(const struct pci_function *function)
{
	if (pci_offers_sleep(function))
		return "says that sleep resets it, which is not so (quirk no-pm-reset),";
	return function->cap_pm ? "keeps its state in D3hot" : "has no power management";
}

static const char *no_bus_reset(const struct pci_function *function)
{
	if (!pci_bus_bridge(function))
		return "is not below a bridge that could reset its bus";
	if (pci_reset_quirk_of(function, RESET_WAY_BUS))
		return "does not come back from a reset of its bus (quirk no-bus-reset)";
	return "shares its bus";
}

/* vfio_pci_core.c:vfio_pci_core_enable() asks once, so what came later is no help. */
static int refuse_unresettable(const struct pci_session *session, struct why *why)
{
	const struct pci_function *function = session->function;
	const char *name = session->device->name;

	if (has_way(session->device))
		return refuse(why, DEVICE_NOT_RESETTABLE, "%s %s", name,
			      function->reset_forbidden ? "cannot be reset: its reset_method was emptied"
							: "had no way to be reset when it was opened");
	return refuse(why, DEVICE_NOT_RESETTABLE, "%s %s, %s and %s", name, no_flr(function), no_pm_reset(function),
		      no_bus_reset(function));
}

long pci_device_reset(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct pci_session *session = pci_session_of(file);
	int err;

	if (!session->can_reset)
		return refuse_unresettable(session, why);
	if (session->function->reset_forbidden)
		return refuse(why, RESET_UNSUPPORTED, "%s: its reset_method was emptied", session->device->name);
	err = device_decode_lock(session->device, why);
	if (err == 0)
		err = iommu_reset_prepare(session->device->iommu, why);
	if (err < 0)
		return err;
	session_reset(session);
	iommu_reset_done(session->device->iommu);
	session->device->needs_reset = false;
	return 0;
}
