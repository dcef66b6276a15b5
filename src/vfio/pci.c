/* SPDX-License-Identifier: MIT */
/*
 * The session of an open device: begun when the first file gets it, over when that file's last descriptor and last
 * mapping are gone. Spec 05 section 1.
 *
 * Beginning: everything that can fail first (mappings of the memory file), then what changes the device: bus mastering
 * off, memory decoding on, a reset if one works, the view of configuration space, the registers into the memory file.
 * Ending cannot fail and leaves the device as it was found.
 */
#include "vfio/pci.h"

#include "base/alloc.h"
#include "base/os.h"
#include "pci/contents.h"
#include "vfio/group.h"
#include "vfio/info.h"
#include "vfio/ioctl.h"
#include "vfio/pci_known.h"

#define VGA_SIZE 0xc0000

/* ---- begin and end ---- */

void pci_session_free(struct pci_session *session)
{
	if (!session)
		return;
	backing_fini(session);
	free(session);
}

int pci_session_new(struct vfio_device *device, struct device_file *file, struct pci_session **ret, struct why *why)
{
	_free_(pci_session) struct pci_session *session = alloc_new(struct pci_session, why);
	int err;

	if (!session)
		return -why->err;
	session->file = file;
	session->device = device;
	session->function = device->function;
	session->unmask.fd = session->err_fd = session->req_fd = session->wake_fd = -1;
	list_init(&session->ioeventfds);
	list_init(&session->dmabufs);
	err = backing_init(session, why);
	if (err < 0)
		return err;
	*ret = take(session);
	return 0;
}

/* What pci_enable_device() switches on: decoding of what the device has, mastering not yet. */
static void enable_device(struct pci_function *function)
{
	u32 command = pci_command(function) & ~(u32)(PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);

	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		if (bar_is_memory(function, bar))
			command |= PCI_COMMAND_MEMORY;
		else if (function->bars[bar].kind == PCI_BAR_IO)
			command |= PCI_COMMAND_IO;
	}
	pci_config_write(function, PCI_COMMAND, 2, command);
}

static void clear_master(struct pci_function *function)
{
	pci_config_write(function, PCI_COMMAND, 2, pci_command(function) & ~(u32)PCI_COMMAND_MASTER);
}

void pci_session_begin(struct pci_session *session)
{
	struct pci_function *function = session->function;

	clear_master(function);
	enable_device(function);
	session->can_reset = function_can_reset(session->device);
	if (session->can_reset) {
		bound_reset(session->device);
		session->device->needs_reset = false;
	}
	memcpy(session->saved, function->config, sizeof(session->saved));
	memcpy(session->awake, session->saved, sizeof(session->awake));
	session->no_intx = !session->device->pci.nointxmask && pci_known_without_intx(function);
	config_init(session);
	migration_begin(session);
	backing_update(session);
	if (function->ops->opened)
		function->ops->opened(function);
	session->device->session = session;
	session->device->opened = session->file;
	vf_token_opened(session->device);
}

/*
 * Without a reset of its own the device waits for a bus reset, which can come when nobody has its bus open. It may have
 * lost that since it was opened, or somebody may have it locked: then Linux's attempt fails.
 */
static void reset_at_close(struct vfio_device *device, bool could_reset)
{
	bool resets = could_reset && !device->function->reset_forbidden && !device_is_locked(device);

	if (resets)
		bound_reset(device);
	device->needs_reset = !resets;
}

void pci_session_end(struct pci_session *session)
{
	struct vfio_device *device = session->device;
	struct pci_function *function = session->function;

	migration_end(session);
	vf_token_closed(device);
	dmabufs_drop(session);
	low_power_exit(session);
	power_up(device);
	backing_send_home(session);
	clear_master(function);
	irq_fini(session);
	ioeventfds_drop(session);
	function_restore(function, session->saved);
	clear_master(function);
	reset_at_close(device, session->can_reset);
	migration_reset(session);
	if (function->ops->closed)
		function->ops->closed(function);
	device->session = NULL;
	device->opened = NULL;
	reset_idle_set(device);
}

/* ---- information ---- */

#define EXP_DEVCTL2	      0x28
#define EXP_DEVCAP2	      0x24
#define EXP_DEVCAP2_ROUTES    0x0040
#define EXP_DEVCAP2_ATOMICS   0x0380 /* 32, 64, 128 bits */
#define EXP_DEVCTL2_REQUESTER 0x0040
#define EXP_DEVCTL2_BLOCKS    0x0080

/* A port on the way from the device to the root complex: which AtomicOps come through, or are completed. */
static u32 port_atomics(const struct pci_function *port)
{
	u32 capable = get_u32(port->config + port->cap_pcie + EXP_DEVCAP2);
	bool blocks = get_u16(port->config + port->cap_pcie + EXP_DEVCTL2) & EXP_DEVCTL2_BLOCKS;

	switch (port->cap_pcie ? pcie_type(port) : PCIE_TO_PCI_BRIDGE) {
	case PCIE_ROOT_PORT:
		return capable & EXP_DEVCAP2_ATOMICS;
	case PCIE_UPSTREAM_PORT:
		return capable & EXP_DEVCAP2_ROUTES && !blocks ? EXP_DEVCAP2_ATOMICS : 0;
	case PCIE_DOWNSTREAM_PORT:
		return capable & EXP_DEVCAP2_ROUTES ? EXP_DEVCAP2_ATOMICS : 0;
	default:
		return 0;
	}
}

/*
 * The sizes that both the device and the root complex complete (drivers/pci/pci.c:pci_enable_atomic_ops_to_root()), as
 * VFIO's flags, which are these bits. Asking switches the device's own requests on.
 */
static u32 atomics(const struct pci_session *session)
{
	struct pci_function *function = session->function->physical ? session->function->physical : session->function;
	u16 at = function->cap_pcie, control;
	u32 sizes;

	if (!at || (get_u16(function->config + at + 2) & 0xf) < 2)
		return 0;
	sizes = get_u32(function->config + at + EXP_DEVCAP2) & EXP_DEVCAP2_ATOMICS;
	for (const struct pci_function *port = function->parent; port; port = port->parent)
		sizes &= port_atomics(port);
	if (!sizes)
		return 0;
	control = get_u16(function->config + at + EXP_DEVCTL2);
	pci_config_write(function, at + EXP_DEVCTL2, 2, control | EXP_DEVCTL2_REQUESTER);
	return sizes >> 7;
}

static int describe_atomics(const struct pci_session *session, struct info_chain *chain, struct why *why)
{
	u32 sizes = atomics(session);
	struct vfio_device_info_cap_pci_atomic_comp *cap;

	if (!sizes)
		return 0;
	cap = info_chain_add(chain, VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, 1, sizeof(*cap), why);
	if (!cap)
		return -why->err;
	cap->flags = sizes;
	return 0;
}

long pci_get_info(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	const struct pci_session *session = pci_session_of(file);
	struct vfio_device_info info = {
		.argsz = head->argsz,
		.flags = VFIO_DEVICE_FLAGS_PCI | (session->can_reset ? VFIO_DEVICE_FLAGS_RESET : 0),
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
	};
	struct info_chain chain = INFO_CHAIN_INIT;
	int err = session->device->soft ? 0 : describe_atomics(session, &chain, why);

	if (err == 0 && chain.size)
		info.flags |= VFIO_DEVICE_FLAGS_CAPS;
	if (err == 0)
		err = info_write(client, arg, &info, sizeof(info), &info.cap_offset, &chain, why);
	info_chain_fini(&chain);
	return err;
}

static int describe_bar(const struct pci_session *session, struct vfio_region_info *info, struct info_chain *chain,
			struct why *why)
{
	struct msix_table table;

	info->size = bar_size(session->function, info->index);
	if (!info->size)
		return 0;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (!bar_is_mappable(session, info->index))
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (!msix_table(session->function, &table) || table.bar != info->index)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	return info_chain_add(chain, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, sizeof(struct vfio_info_cap_header), why)
		       ? 0
		       : -why->err;
}

static int describe_region(const struct pci_session *session, struct vfio_region_info *info, struct info_chain *chain,
			   struct why *why)
{
	const struct pci_function *function = session->function;

	info->offset = (u64)info->index << REGION_SHIFT;
	switch (info->index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		info->size = function->config_size;
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	case VFIO_PCI_ROM_REGION_INDEX:
		/* That it is there is not enough: what it holds must be an image. */
		if (function->rom && (!function->bars[PCI_ROM].size || pci_rom_length(function, rom_size(function))))
			info->size = rom_size(function);
		info->flags = info->size ? VFIO_REGION_INFO_FLAG_READ : 0;
		return 0;
	case VFIO_PCI_VGA_REGION_INDEX:
		info->size = VGA_SIZE;
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	default:
		return describe_bar(session, info, chain, why);
	}
}

long pci_get_region_info(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			 struct why *why)
{
	const struct pci_session *session = pci_session_of(file);
	const struct vfio_region_info *request = (const void *)head;
	struct vfio_region_info info = {.argsz = request->argsz, .index = request->index};
	struct info_chain chain = INFO_CHAIN_INIT;
	int err;

	if (info.index >= VFIO_PCI_NUM_REGIONS || (info.index == VFIO_PCI_VGA_REGION_INDEX && !vga_is_offered(session)))
		return refuse(why, REGION_UNKNOWN, "%s has no region %u%s", session->device->name, info.index,
			      info.index == VFIO_PCI_VGA_REGION_INDEX ? ": it is no VGA device" : "");
	err = describe_region(session, &info, &chain, why);
	if (err == 0)
		err = info_write(client, arg, &info, sizeof(info), &info.cap_offset, &chain, why);
	info_chain_fini(&chain);
	return err;
}

/* ---- accesses ---- */

static int decode_region(const struct pci_session *session, u64 offset, unsigned *ret, struct why *why)
{
	u64 region = offset >> REGION_SHIFT;

	if (region >= VFIO_PCI_NUM_REGIONS || (region == VFIO_PCI_VGA_REGION_INDEX && !vga_is_offered(session)))
		return refuse(why, REGION_UNKNOWN, "%s has no region %llu", session->device->name,
			      (unsigned long long)region);
	*ret = (unsigned)region;
	return 0;
}

static s64 region_read(struct pci_session *session, unsigned region, u64 offset, void *buffer, size_t size,
		       struct why *why)
{
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return config_read(session, offset, buffer, size, why);
	if (region == VFIO_PCI_VGA_REGION_INDEX)
		return vga_read(session, offset, buffer, size, why);
	return bar_read(session, region, offset, buffer, size, why);
}

s64 pci_read(struct pci_session *session, u64 offset, void *buffer, size_t size, struct why *why)
{
	unsigned region = 0;
	s64 ret;

	if (!size)
		return 0;
	ret = decode_region(session, offset, &region, why);
	if (ret < 0)
		return ret;
	low_power_resume(session);
	ret = region_read(session, region, offset & (BIT(REGION_SHIFT) - 1), buffer, size, why);
	low_power_suspend(session);
	return ret;
}

static s64 region_write(struct pci_session *session, unsigned region, u64 offset, const void *buffer, size_t size,
			struct why *why)
{
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return config_write(session, offset, buffer, size, why);
	if (region == VFIO_PCI_VGA_REGION_INDEX)
		return vga_write(session, offset, buffer, size, why);
	return bar_write(session, region, offset, buffer, size, why);
}

s64 pci_write(struct pci_session *session, u64 offset, const void *buffer, size_t size, struct why *why)
{
	unsigned region = 0;
	s64 ret;

	if (!size)
		return 0;
	ret = decode_region(session, offset, &region, why);
	if (ret < 0)
		return ret;
	low_power_resume(session);
	ret = region_write(session, region, offset & (BIT(REGION_SHIFT) - 1), buffer, size, why);
	low_power_suspend(session);
	return ret;
}

/* ---- invariants ---- */

void pci_check(const struct vfio_device *device)
{
	const struct pci_session *session = device->session;
	struct pci_function *function __attribute__((unused)) = device->function; /* without assertions */

	if (!session) {
		for (unsigned bar = 0; bar < PCI_BARS; bar++)
			assert(function->bars[bar].memory == function->bars[bar].home);
		assert(pci_irq_current(&function->irq) == PCI_IRQ_OFF);
		return;
	}
	assert(session->device == device && session->file == device->opened);
	assert(session->irq_mode == pci_irq_current(&function->irq));
	assert(session->unmask.fd < 0 || session->irq_mode == PCI_IRQ_INTX);
	irq_check(session);
	assert((session->wake_fd >= 0) == (session->low_power == LOW_POWER_WAKEUP));
	assert(session->nioeventfds == list_length(&session->ioeventfds));
	assert(session->revoked || session->low_power == LOW_POWER_NONE);
	assert(!session->suspended || session->low_power != LOW_POWER_NONE);
	assert(!session->intx_silent || session->suspended);
	migration_check(session);
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		assert(function->bars[bar].memory == (session->revoked || !session->shared[bar]
							      ? function->bars[bar].home
							      : kept_memory(session->shared[bar])));
}
