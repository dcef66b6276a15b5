/* SPDX-License-Identifier: MIT */
/*
 * Any read and write of any region at any offset, on devices whose lists of capabilities lead into anything at all. The
 * input: a byte chooses the device, two say how many bytes of its free configuration space follow (in the first 256,
 * and behind); then steps of 10 bytes.
 *
 * What must hold after each step: the answer is a count or one of three errnos; what is virtual has not reached the
 * device; what the program cannot write is as it was; lists of capabilities end and name none that is hidden, if the
 * device's are in order.
 */
#include <errno.h>

#include "pci/vga.h"
#include "tests/fixtures/room.h"
#include "vfio/pci.h"
#include "vfio/pci_perm.h"

#define STEPS  256u
#define BUFFER 512u

struct step {
	u8 region; /* bit 7: write */
	u8 size;
	u32 offset;
	u32 value;
} __attribute__((packed));

struct play {
	struct room *room;
	struct pci_function *function;
	const struct pci_session *session;
	int device;
	u8 shadow[CONFIG_SIZE]; /* as of the open */
	u8 bars[4 * PCI_BARS];	/* of the device, likewise */
	const u8 *data;
	size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what, const struct step *step)
{
	fprintf(stderr, "%s: region %u, %u bytes at %#x\n", what, step->region, step->size, step->offset);
	abort();
}

static const u8 *take_bytes(struct play *play, size_t *size)
{
	const u8 *bytes = play->data;

	*size = min_u64(*size, play->left);
	play->data += *size;
	play->left -= *size;
	return bytes;
}

static u8 take_byte(struct play *play)
{
	size_t size = 1;
	const u8 *byte = take_bytes(play, &size);

	return size ? *byte : 0;
}

/* Bytes of the input behind the last capability, which leads there. */
static void scribble(struct play *play, size_t size, bool extended)
{
	struct pci_function *function = play->function;
	u16 at = extended ? function->next_ext_cap : function->next_cap;
	u16 last = extended ? function->last_ext_cap : function->last_cap;
	u8 *config = function->config;
	const u8 *bytes;

	size = min_u64(size, (extended ? CONFIG_SIZE : 256u) - at);
	bytes = take_bytes(play, &size);
	if (!size || (extended && function->config_size < CONFIG_SIZE))
		return;
	memcpy(config + at, bytes, size);
	if (extended && last)
		put_u32(config + last, (get_u32(config + last) & 0xfffff) | (u32)at << 20);
	else if (!extended)
		config[last ? last + 1 : PCI_CAP_POINTER] = (u8)at;
}

static bool start(struct play *play)
{
	static const char *const names[] = {ROOM_NVME, ROOM_NIC, ROOM_ROOT, ROOM_PLAIN, ROOM_NARROW};
	const char *name = names[take_byte(play) % ARRAY_SIZE(names)];
	size_t standard = take_byte(play), extended = take_byte(play);

	play->room = room_new();
	play->function = room_device(play->room, name)->function;
	if (strcmp(name, ROOM_PLAIN) == 0) {
		put_u16(play->function->config + PCI_CLASS, PCI_CLASS_VGA >> 8);
		if (pci_allocate_bars(play->function, &play->room->why) < 0)
			return false;
	}
	scribble(play, standard, false);
	scribble(play, extended * 8, true);
	play->device = room_open_device(play->room, name, VFIO_TYPE1_IOMMU).device;
	play->session = room_bound(play->room, name)->session;
	memcpy(play->shadow, play->session->config.shadow, sizeof(play->shadow));
	memcpy(play->bars, play->function->config + PCI_BAR0, sizeof(play->bars));
	return true;
}

/* ---- what must hold ---- */

/* Is the capability at `at` whole, or has another one that lies over it taken its place? */
static bool is_itself(const struct play *play, u32 at, bool extended)
{
	const u8 *config = play->function->config, *owner = play->session->config.owner;
	u16 id = extended ? (u16)get_u32(config + at) : config[at];
	const struct perm_cap *perm = perm_find(config, (u16)at, id, extended);

	if (at < 64 || owner[at] != owner[at + 1])
		return false;
	return perm ? owner[at] == 0 || owner[at] == perm - perm_caps + 1 : owner[at] == 0 || owner[at] == 255;
}

/* Linux cuts no list that goes in a circle, and looks at none that runs through itself. */
static bool is_tidy(const struct play *play, bool extended)
{
	const u8 *config = play->function->config;
	u32 at = extended ? 256 : config[PCI_CAP_POINTER] & 0xfc, count = 0;

	while (extended ? at >= 256 : at != 0) {
		if (++count > 1024 || at > CONFIG_SIZE - 16 || !is_itself(play, at, extended))
			return false;
		at = extended ? get_u32(config + at) >> 20 & 0xffc : config[at + 1] & 0xfc;
	}
	return true;
}

static void check_answer(s64 got, const struct step *step, size_t size)
{
	if (got >= 0 ? (size_t)got > size : got != -EINVAL && got != -EFAULT && got != -EIO && got != -ENOMEM)
		broken("the answer", step);
}

static void check_hardware(const struct play *play, const struct step *step)
{
	const u8 *config = play->function->config;

	if (memcmp(config + PCI_BAR0, play->bars, sizeof(play->bars)) != 0)
		broken("the device's BARs were moved", step);
	if (pci_command(play->function) & PCI_COMMAND_INTX_DISABLE)
		broken("INTx disable reached the device", step);
}

static void check_shadow(const struct play *play, const struct step *step)
{
	const struct virtual_config *config = &play->session->config;

	for (unsigned i = 0; i < CONFIG_SIZE; i++) {
		u8 fixed = config->virtual[i] & (u8)~config->write[i];

		if ((config->shadow[i] ^ play->shadow[i]) & fixed)
			broken("what is read-only has changed", step);
	}
}

static void check_list(const struct play *play, const struct step *step)
{
	const u8 *hardware = play->function->config;
	u32 at = room_config(play->room, play->device, PCI_CAP_POINTER, 1) & 0xfc, count = 0;

	if (!(room_config(play->room, play->device, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST) || !is_tidy(play, false))
		return;
	while (at) {
		if (++count > 256)
			broken("the list of capabilities has no end", step);
		if (!perm_find(hardware, (u16)at, (u16)room_config(play->room, play->device, at, 1), false))
			broken("a hidden capability is in the list", step);
		at = room_config(play->room, play->device, at + 1, 1) & 0xfc;
	}
}

static void check_extended(const struct play *play, const struct step *step)
{
	u32 at = 256, count = 0;

	if (play->function->config_size < CONFIG_SIZE || !play->session->config.exp || !is_tidy(play, true))
		return;
	while (at >= 256) {
		u32 header = room_config(play->room, play->device, at, 4);

		if (++count > 1024)
			broken("the list of extended capabilities has no end", step);
		/* The first may be an anchor, without an id. */
		if (header & 0xffff && !perm_find(play->function->config, (u16)at, (u16)header, true))
			broken("a hidden extended capability is in the list", step);
		at = header >> 20 & 0xffc;
	}
}

/* ---- steps ---- */

static void move(struct play *play, const struct step *step)
{
	u64 offset = (u64)(step->region & 15) << 40 | step->offset;
	size_t size = step->size & 0x80 ? (step->size & 0x7fu) * 4u : step->size;
	u8 buffer[BUFFER];

	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = (u8)(step->value >> 8 * (i % 4));
	if (step->region & 0x80)
		check_answer(room_write(play->room, play->device, offset, buffer, size), step, size);
	else
		check_answer(room_read(play->room, play->device, offset, buffer, size), step, size);
}

static bool play_step(struct play *play)
{
	size_t size = sizeof(struct step);
	const u8 *bytes = take_bytes(play, &size);
	struct step step;

	if (size < sizeof(step))
		return false;
	memcpy(&step, bytes, sizeof(step));
	move(play, &step);
	check_hardware(play, &step);
	check_shadow(play, &step);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct step last = {.region = 7};
	struct play play = {.data = data, .left = size};

	if (start(&play)) {
		check_list(&play, &last);
		check_extended(&play, &last);
		for (unsigned i = 0; i < STEPS && play_step(&play); i++)
			;
		check_list(&play, &last);
		check_extended(&play, &last);
		room_check(play.room);
	}
	room_free(play.room);
	return 0;
}
