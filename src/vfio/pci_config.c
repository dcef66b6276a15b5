/* SPDX-License-Identifier: MIT */
/*
 * The interpreter of pci_perm.c: the configuration space a program sees.
 *
 * Two bitmaps say for each bit whether it is virtual (its value is in the shadow) and whether it can be written. A read
 * is (hardware & ~virtual) | (shadow & virtual). A write puts writable virtual bits into the shadow, reads, modifies
 * and writes the hardware for writable real ones, and drops the rest in silence. An access is cut into aligned units of
 * 1, 2 or 4 bytes that belong to one capability. Then the capability's effect is applied, which Linux does for the unit
 * just written, not for the whole access; so does this.
 *
 * The chains of capabilities are walked once, at open. A capability that has no row is taken out of the chain: the
 * pointer before it skips it, and its bytes become a gap. Gaps read and write hardware: Linux does not hide what it
 * unlinks. An extended capability that comes first cannot be skipped; it stays as a placeholder with id 0.
 */
#include "pci/caps.h"
#include "pci/contents.h"
#include "vfio/pci.h"
#include "vfio/pci_perm.h"

#define GAP	     0
#define HEADER_OWNER 255 /* larger than any index of perm_caps */

#define HEADER_SIZE	 64
#define STANDARD_SIZE	 256
#define POINTER		 0xfc /* the low two bits are reserved (PCI 6.7) */
#define EXT_NEXT(header) ((u16)((header) >> 20 & 0xffc))
#define EXT_NEXT_MASK	 0xffc00000u
#define EXT_ID(header)	 ((u16)((header)&0xffff))
#define PM_CONTROL	 4
#define PM_STATE	 0x0003
#define PM_D3HOT	 3
#define PM_NO_SOFT_RESET 0x0008
#define EXP_DEVCAP	 4
#define EXP_DEVCAP_FLR	 0x10000000u
#define EXP_DEVCTL	 8
#define EXP_DEVCTL_FLR	 0x8000
#define EXP_READ_REQUEST 0x7000
#define EXP_PAYLOAD	 0x00e0
#define EXP_REQUEST_MOST 5 /* 4096 bytes; 6 and 7 are reserved */
#define VPD_ADDRESS	 2
#define VPD_DATA	 4
#define VPD_FLAG	 0x8000
#define AF_CAPABLE	 3
#define AF_TP_FLR	 0x03
#define AF_CONTROL	 4
#define AF_FLR		 0x01
#define MSI_CONTROL	 2
#define MSI_ENABLE	 0x0001
#define MSI_QUEUE_SIZE	 0x0070
#define MSI_QUEUE_SHIFT	 4
#define ROM_ENABLE	 0x1
#define MEMORY_AND_IO	 (PCI_COMMAND_MEMORY | PCI_COMMAND_IO)

_Static_assert(HEADER_OWNER > 64, "an owner is a byte");

/* ---- lengths ---- */

static unsigned length_acs(const u8 *cap)
{
	unsigned bits = cap[5] ? cap[5] : 256;

	if (!(cap[4] & 0x20)) /* P2P egress control */
		return 8;
	return 8 + (unsigned)align_up(bits, 32) / 8;
}

static unsigned length_vc(const u8 *cap)
{
	unsigned length = 0x10 + (1 + (cap[4] & 7u)) * 12;
	unsigned phases = cap[8] & 0x08 ? 128 : cap[8] & 0x04 ? 64 : cap[8] & 0x02 ? 32 : 0;

	return phases ? (unsigned)align_up(length, 16) + phases / 2 : length;
}

static unsigned length_tph(const u8 *cap)
{
	u32 requester = get_u32(cap + 4);

	if ((requester & 0x600) != 0x200) /* the steering table is elsewhere */
		return 12;
	return 12 + (requester >> 16 & 0x7ff) * 2 + 2;
}

static unsigned perm_length(const struct perm_cap *perm, const u8 *cap)
{
	switch (perm->rule) {
	case LENGTH_FIXED:
		return perm->length;
	case LENGTH_BYTE:
		return cap[2];
	case LENGTH_VSEC:
		return get_u32(cap + 4) >> 20;
	case LENGTH_ACS:
		return length_acs(cap);
	case LENGTH_VC:
		return length_vc(cap);
	case LENGTH_REBAR:
		return 4 + (cap[8] >> 5) * 8u;
	case LENGTH_DPA:
		return 16 + (cap[4] & 0x1fu) + 1;
	case LENGTH_TPH:
		return length_tph(cap);
	}
	return 0;
}

/* The row for the capability at `at`, and its length there; NULL when programs do not see it. */
static const struct perm_cap *known_cap(const u8 *hardware, u16 at, u16 id, bool extended, unsigned *ret_length)
{
	/* No capability that we know is shorter than what its length needs to be read from. */
	const struct perm_cap *perm = at + 12 <= CONFIG_SIZE ? perm_find(hardware, at, id, extended) : NULL;

	*ret_length = perm ? perm_length(perm, hardware + at) : 0;
	return *ret_length ? perm : NULL;
}

/* ---- building the view ---- */

static void apply_field(struct virtual_config *config, unsigned at, const struct perm_field *field)
{
	for (unsigned i = 0; i < field->width; i++) {
		config->virtual[at + field->offset + i] = (u8)(field->virtual >> 8 * i);
		config->write[at + field->offset + i] = (u8)(field->write >> 8 * i);
	}
}

static void apply(struct pci_session *session, const struct perm_cap *perm, unsigned at, unsigned length, u8 owner)
{
	struct virtual_config *config = &session->config;

	length = (unsigned)min_u64(length, session->function->config_size - at);
	memcpy(config->shadow + at, session->function->config + at, length);
	memset(config->owner + at, owner, length);
	memset(config->virtual + at, 0, length);
	memset(config->write + at, perm->raw ? 0xff : 0, length);
	for (const struct perm_field *field = perm->fields; field->width; field++)
		if (field->offset + field->width <= length)
			apply_field(config, at, field);
}

static void remember(struct virtual_config *config, const struct perm_cap *perm, u16 at)
{
	switch (perm->effect) {
	case EFFECT_PM:
		config->pm = at;
		break;
	case EFFECT_MSI:
		config->msi = at;
		break;
	case EFFECT_EXP:
		config->exp = at;
		break;
	case EFFECT_AF:
		config->af = at;
		break;
	case EFFECT_VPD:
		config->vpd = at;
		break;
	case EFFECT_NONE:
	case EFFECT_HEADER:
		break;
	}
}

static u8 owner_of(const struct perm_cap *perm)
{
	return (u8)(perm - perm_caps + 1);
}

static void build_caps(struct pci_session *session)
{
	const u8 *hardware = session->function->config;
	struct virtual_config *config = &session->config;
	u8 *pointer = &config->shadow[PCI_CAP_POINTER];
	u8 at = hardware[PCI_CAP_POINTER] & POINTER;
	unsigned found = 0;

	if (!(get_u16(hardware + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return;
	/* A list that leads into the header is no list of capabilities from there on. */
	for (unsigned n = 0; at >= HEADER_SIZE && n < (STANDARD_SIZE - HEADER_SIZE) / 4; n++) {
		unsigned length;
		const struct perm_cap *perm = known_cap(hardware, at, hardware[at], false, &length);
		u8 next = hardware[at + 1];

		/* We act on registers that are there. */
		if (perm && perm->effect != EFFECT_NONE && at + length > STANDARD_SIZE)
			perm = NULL;
		if (perm) {
			apply(session, perm, at, length, owner_of(perm));
			remember(config, perm, at);
			pointer = &config->shadow[at + 1];
			found++;
		} else {
			*pointer = next;
		}
		at = next & POINTER;
	}
	if (at && at < HEADER_SIZE)
		*pointer = 0;
	if (!found)
		config->shadow[PCI_STATUS] &= (u8)~PCI_STATUS_CAP_LIST;
}

/* Unlinked from the header before it, or an anchor without id when there is none before. Returns what is then newest.
 */
static u16 hide_extended(struct pci_session *session, u16 previous, u16 at, u32 header)
{
	static const struct perm_field fields[] = {{0, 4, ALL, 0, "PCIe 7.6.3"}, {.width = 0}};
	static const struct perm_cap anchor = {.name = "anchor", .fields = fields};
	u8 *shadow = session->config.shadow;

	if (previous) {
		put_u32(shadow + previous, (get_u32(shadow + previous) & ~EXT_NEXT_MASK) | (header & EXT_NEXT_MASK));
		return previous;
	}
	apply(session, &anchor, at, 4, HEADER_OWNER);
	put_u32(shadow + at, header & EXT_NEXT_MASK);
	return at;
}

static void build_extended(struct pci_session *session)
{
	const u8 *hardware = session->function->config;
	u16 at = STANDARD_SIZE, previous = 0;
	unsigned found = 0;

	/* Linux looks for extended capabilities only when the function has a PCI Express (or PCI-X 2) one. */
	if (session->function->config_size <= STANDARD_SIZE || !session->config.exp ||
	    !get_u32(hardware + STANDARD_SIZE))
		return;
	for (unsigned n = 0; at >= STANDARD_SIZE && n < (CONFIG_SIZE - STANDARD_SIZE) / 4; n++) {
		u32 header = get_u32(hardware + at);
		unsigned length;
		const struct perm_cap *perm = known_cap(hardware, at, EXT_ID(header), true, &length);

		if (perm) {
			apply(session, perm, at, length, owner_of(perm));
			previous = at;
			found++;
		} else {
			previous = hide_extended(session, previous, at, header);
		}
		at = EXT_NEXT(header);
	}
	if (!found)
		put_u32(session->config.shadow + STANDARD_SIZE, 0);
}

/* ---- what the header shows ---- */

/* Sizing by writing ones works as on hardware; what has no address here reads as zero. */
static void bar_fixup(struct pci_session *session)
{
	u8 *shadow = session->config.shadow;

	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		const struct pci_bar *real = &session->function->bars[bar];
		u64 mask = ~(real->size - 1);
		u8 *at = shadow + PCI_BAR0 + 4 * bar;

		if (real->kind == PCI_BAR_UPPER_HALF)
			continue; /* done with the lower half */
		if (real->kind == PCI_BAR_NONE || !real->size) {
			put_u32(at, 0);
			continue;
		}
		put_u32(at, (get_u32(at) & (u32)mask & ~(real->kind == PCI_BAR_IO ? 0x3u : 0xfu)) |
				    pci_bar_type_bits(real));
		if (real->kind == PCI_BAR_MEMORY64)
			put_u32(at + 4, get_u32(at + 4) & (u32)(mask >> 32));
	}
}

/* Of firmware's copy, too: then the register is nobody's but the program's. */
static void rom_fixup(struct pci_session *session)
{
	u64 size = rom_size(session->function);
	u8 *at = session->config.shadow + PCI_ROM_ADDRESS;
	u32 mask = size ? ~((u32)size - 1) | ROM_ENABLE : 0;

	put_u32(at, get_u32(at) & mask);
}

/*
 * A virtual function's own registers do not say who it is, and whether it decodes memory is its physical one's to say:
 * the program is told that it does.
 */
static void show_virtual(struct pci_session *session)
{
	struct virtual_config *config = &session->config;
	u16 vendor, device;

	pci_known_ids(session->function, &vendor, &device);
	put_u16(config->shadow + PCI_VENDOR_ID, vendor);
	put_u16(config->shadow + PCI_DEVICE_ID, device);
	config->shadow[PCI_INTERRUPT_PIN] = 0;
	config->virtual[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	config->shadow[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	config->command |= PCI_COMMAND_MEMORY;
}

static void show_header(struct pci_session *session)
{
	struct virtual_config *config = &session->config;

	apply(session, &perm_header, 0, HEADER_SIZE, HEADER_OWNER);
	config->command = pci_command(session->function) & MEMORY_AND_IO;
	if (session->function->physical)
		show_virtual(session);
	if (session->no_intx)
		config->shadow[PCI_INTERRUPT_PIN] = 0;
	bar_fixup(session);
	rom_fixup(session);
}

void config_init(struct pci_session *session)
{
	struct virtual_config *config = &session->config;

	memset(config, 0, sizeof(*config));
	memset(config->write, 0xff, sizeof(config->write)); /* gaps */
	show_header(session);
	build_caps(session);
	build_extended(session);
	if (config->pm) {
		config->shadow[config->pm + 3] &= 0x07; /* PME from no state */
		put_u16(config->shadow + config->pm + PM_CONTROL,
			get_u16(config->shadow + config->pm + PM_CONTROL) & 0x7eff);
	}
}

/* ---- effects ---- */

static u32 load(const u8 *from, unsigned width)
{
	return width == 4 ? get_u32(from) : width == 2 ? get_u16(from) : *from;
}

static void store(u8 *to, unsigned width, u32 value)
{
	if (width == 4)
		put_u32(to, value);
	else if (width == 2)
		put_u16(to, (u16)value);
	else
		*to = (u8)value;
}

static unsigned power_state(const struct pci_session *session)
{
	const struct pci_function *function = session->function;

	if (!session->config.pm)
		return 0;
	return get_u16(function->config + session->config.pm + PM_CONTROL) & PM_STATE;
}

bool config_memory_enabled(const struct pci_session *session)
{
	return power_state(session) < PM_D3HOT && pci_decodes_memory(session->function);
}

/* Enabled through us, or before. */
static bool has_virtual_functions(const struct vfio_device *device)
{
	return (device->token && device->token->sriov) ||
	       (device->function->cap_sriov && pci_sriov_number(device->function));
}

/*
 * A device without No_Soft_Reset forgets its registers on the way from D3hot to D0. Linux puts back what they were when
 * it went to D3hot; what was written to them meanwhile is lost.
 */
static void set_power_state(struct pci_session *session, unsigned state)
{
	struct pci_function *function = session->function;
	u16 at = (u16)(session->config.pm + PM_CONTROL);
	u16 control = get_u16(function->config + at);
	unsigned before = control & PM_STATE;

	/* A physical function is never lower than its virtual ones. */
	if (state == before || (state && has_virtual_functions(session->device)))
		return;
	if (state == PM_D3HOT)
		memcpy(session->awake, function->config, sizeof(session->awake));
	pci_config_write(function, at, 2, (control & (u32)~PM_STATE) | state);
	if (before == PM_D3HOT && !state && !(control & PM_NO_SOFT_RESET)) {
		function_restore(function, session->awake);
		irq_restore(session);
	}
	backing_update(session);
}

/* Whoever put it to sleep, and without saying so. */
static void wake(struct pci_function *function)
{
	u16 at = (u16)(function->cap_pm + PM_CONTROL), control = get_u16(function->config + at);
	u8 saved[CONFIG_SIZE];

	if (!(control & PM_STATE))
		return;
	memcpy(saved, function->config, sizeof(saved));
	pci_config_write(function, at, 2, control & (u32)~PM_STATE);
	function_restore(function, saved);
}

void power_up(struct vfio_device *device)
{
	if (device->session && device->session->config.pm)
		set_power_state(device->session, 0);
	else if (device->function->cap_pm)
		wake(device->function);
}

static bool touches(u16 at, unsigned width, unsigned offset)
{
	return at <= offset && offset < at + width;
}

/* The registers of BARs are not what they were when the program got the device. */
static bool bars_are_lost(const struct pci_session *session)
{
	for (unsigned at = PCI_BAR0; at < PCI_BAR0 + 4 * PCI_BARS; at += 4) {
		u32 saved = get_u32(session->saved + at);

		if (saved && saved != get_u32(session->function->config + at))
			return true;
	}
	return false;
}

/* Somebody has reset the device behind the program's back: its addresses come back before it decodes again. */
static void restore_after_backdoor_reset(struct pci_session *session, u16 command)
{
	u16 lost = session->config.command & (u16)~pci_command(session->function);

	if (session->function->physical)
		return; /* it has none */
	if (command & lost & MEMORY_AND_IO || bars_are_lost(session))
		pci_function_restore(session->function);
}

static void write_header_before(struct pci_session *session, u16 at, unsigned width, u32 value)
{
	if (at == PCI_COMMAND)
		restore_after_backdoor_reset(session, (u16)value);
	/* The registers must be home before the device stops decoding. */
	if (at == PCI_COMMAND && !(value & PCI_COMMAND_MEMORY))
		backing_revoke(session);
}

static void write_header_after(struct pci_session *session, u16 at, unsigned width, u32 value)
{
	struct virtual_config *config = &session->config;

	if (at == PCI_COMMAND) {
		config->command = (u16)(value & MEMORY_AND_IO);
		backing_update(session);
	}
	if (touches(at, width, PCI_COMMAND + 1))
		irq_intx_disable(session, get_u16(config->shadow + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	if (at >= PCI_BAR0 && at < PCI_BAR0 + 4 * PCI_BARS)
		bar_fixup(session);
	if (at >= PCI_ROM_ADDRESS && at < PCI_ROM_ADDRESS + 4)
		rom_fixup(session);
}

/*
 * MSI is enabled by SET_IRQS only, whatever the program writes, and never with more vectors than SET_IRQS got, last
 * time, whoever asked.
 */
static void write_msi(struct pci_session *session, u16 at, unsigned width)
{
	unsigned most = session->device->msi_qmax;
	u16 control = (u16)(session->config.msi + MSI_CONTROL);
	u16 flags = get_u16(session->config.shadow + control);

	if (!touches(at, width, control))
		return;
	if (session->irq_mode != PCI_IRQ_MSI)
		flags &= (u16)~MSI_ENABLE;
	if ((unsigned)(flags & MSI_QUEUE_SIZE) >> MSI_QUEUE_SHIFT > most)
		flags = (u16)((flags & ~MSI_QUEUE_SIZE) | most << MSI_QUEUE_SHIFT);
	put_u16(session->config.shadow + control, flags);
	pci_config_write(session->function, control, 2, flags);
}

static void reset_if_allowed(struct pci_session *session)
{
	if (!session->function->reset_forbidden && !device_is_locked(session->device))
		session_reset(session);
}

/*
 * A function-level reset by register is a function reset by whatever method works. The payload size in effect is the
 * floor of the read request size, which goes to the device, unless it is none.
 */
static void write_exp(struct pci_session *session, u16 at, unsigned width, u16 before)
{
	struct pci_function *function = session->function;
	u16 control = (u16)(session->config.exp + EXP_DEVCTL);
	u8 *shadow = session->config.shadow + control;
	u16 value = get_u16(shadow), payload, request;

	if (!touches(at, width, control) && !touches(at, width, control + 1u))
		return;
	if (value & EXP_DEVCTL_FLR) {
		value &= (u16)~EXP_DEVCTL_FLR;
		put_u16(shadow, value);
		if (get_u32(function->config + session->config.exp + EXP_DEVCAP) & EXP_DEVCAP_FLR)
			reset_if_allowed(session);
	}
	if ((value & EXP_READ_REQUEST) == (before & EXP_READ_REQUEST))
		return;
	payload = (u16)((get_u16(function->config + control) & EXP_PAYLOAD) >> 5);
	request = (u16)max_u64((value & EXP_READ_REQUEST) >> 12, payload);
	/* drivers/pci/pci.c:pcie_set_readrq() */
	if (request > EXP_REQUEST_MOST)
		return;
	pci_config_write(function, control, 2,
			 (get_u16(function->config + control) & (u32)~EXP_READ_REQUEST) | (u32)request << 12);
}

static void write_af(struct pci_session *session)
{
	u8 *control = session->config.shadow + session->config.af + AF_CONTROL;

	if (!(*control & AF_FLR))
		return;
	*control &= (u8)~AF_FLR;
	if ((session->function->config[session->config.af + AF_CAPABLE] & AF_TP_FLR) == AF_TP_FLR)
		reset_if_allowed(session);
}

/*
 * A write of the flag's byte starts a transfer of one dword: to the program without the flag, from it with the flag,
 * which is turned over when it is done, and stays when there is nothing to transfer.
 */
static void write_vpd(struct pci_session *session, u16 at, unsigned width)
{
	struct pci_function *function = session->function;
	u8 *cap = session->config.shadow + session->config.vpd;
	u16 address = get_u16(cap + VPD_ADDRESS), place = address & (VPD_FLAG - 1);
	u32 length = pci_vpd_length(function), data = 0;

	if (!touches(at, width, session->config.vpd + VPD_ADDRESS + 1u) || !length)
		return;
	if (address & VPD_FLAG) {
		if (place & 3 || place + 4u > length)
			return;
		pci_vpd_store(function, place, get_u32(cap + VPD_DATA));
	} else {
		for (unsigned i = 0; i < 4 && place + i < length; i++)
			data |= (pci_vpd_load(function, place + i) & 0xff) << 8 * i;
		put_u32(cap + VPD_DATA, data);
	}
	put_u16(cap + VPD_ADDRESS, address ^ VPD_FLAG);
}

static enum perm_effect effect_at(const struct pci_session *session, u16 at)
{
	u8 owner = session->config.owner[at];

	if (owner == GAP)
		return EFFECT_NONE;
	return owner == HEADER_OWNER ? perm_header.effect : perm_caps[owner - 1].effect;
}

static void apply_effect(struct pci_session *session, u16 at, unsigned width, u32 value, u16 devctl_before)
{
	switch (effect_at(session, at)) {
	case EFFECT_NONE:
		break;
	case EFFECT_HEADER:
		if (at < HEADER_SIZE)
			write_header_after(session, at, width, value);
		break;
	case EFFECT_PM:
		if (at == session->config.pm + PM_CONTROL)
			set_power_state(session, value & PM_STATE);
		break;
	case EFFECT_MSI:
		write_msi(session, at, width);
		break;
	case EFFECT_EXP:
		write_exp(session, at, width, devctl_before);
		break;
	case EFFECT_AF:
		write_af(session);
		break;
	case EFFECT_VPD:
		write_vpd(session, at, width);
		break;
	}
}

/* ---- accesses ---- */

/* The widest aligned unit from at on that one capability owns. */
static unsigned unit_width(const struct virtual_config *config, u16 at, size_t size)
{
	unsigned same = 1;

	while (same < 4 - (at & 3u) && same < size && config->owner[at + same] == config->owner[at])
		same++;
	if (same >= 4 && !(at & 3))
		return 4;
	return same >= 2 && !(at & 1) ? 2 : 1;
}

static u32 read_unit(const struct pci_session *session, u16 at, unsigned width)
{
	const struct virtual_config *config = &session->config;
	u32 virtual = load(config->virtual + at, width);

	return (pci_config_read(session->function, at, width) & ~virtual) |
	       (load(config->shadow + at, width) & virtual);
}

static void write_unit(struct pci_session *session, u16 at, unsigned width, u32 value)
{
	struct virtual_config *config = &session->config;
	u32 virtual = load(config->virtual + at, width), write = load(config->write + at, width);
	u32 real = write & ~virtual, kept;
	u16 devctl = config->exp ? get_u16(config->shadow + config->exp + EXP_DEVCTL) : 0;

	if (at < HEADER_SIZE)
		write_header_before(session, at, width, value);
	kept = load(config->shadow + at, width) & ~(virtual & write);
	store(config->shadow + at, width, kept | (value & virtual & write));
	if (real)
		pci_config_write(session->function, at, width,
				 (pci_config_read(session->function, at, width) & ~real) | (value & real));
	apply_effect(session, at, width, value, devctl);
}

static int decode_access(const struct pci_session *session, u64 offset, size_t size, struct why *why)
{
	u16 limit = session->function->config_size;

	if (offset < limit && size <= limit - offset)
		return 0;
	return refuse(why, CONFIG_BEYOND, "%zu bytes at %#llx pass the %u bytes of configuration space of %s", size,
		      (unsigned long long)offset, limit, session->device->name);
}

s64 config_read(struct pci_session *session, u64 offset, void *buffer, size_t size, struct why *why)
{
	int err = decode_access(session, offset, size, why);
	u8 *to = buffer;

	if (err < 0)
		return err;
	for (size_t done = 0; done < size;) {
		u16 at = (u16)(offset + done);
		unsigned width = unit_width(&session->config, at, size - done);

		store(to + done, width, read_unit(session, at, width));
		done += width;
	}
	return (s64)size;
}

s64 config_write(struct pci_session *session, u64 offset, const void *buffer, size_t size, struct why *why)
{
	int err = decode_access(session, offset, size, why);
	const u8 *from = buffer;

	if (err < 0)
		return err;
	for (size_t done = 0; done < size;) {
		u16 at = (u16)(offset + done);
		unsigned width = unit_width(&session->config, at, size - done);

		write_unit(session, at, width, load(from + done, width));
		done += width;
	}
	return (s64)size;
}
