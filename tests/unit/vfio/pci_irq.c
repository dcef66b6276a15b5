/* SPDX-License-Identifier: MIT */
/* The truth table of SET_IRQS: spec 05 section 7, row by row. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define NONE	  VFIO_IRQ_SET_DATA_NONE
#define BOOL	  VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD	  VFIO_IRQ_SET_DATA_EVENTFD
#define MASKING	  VFIO_IRQ_SET_ACTION_MASK
#define UNMASKING VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER	  VFIO_IRQ_SET_ACTION_TRIGGER

enum { INTX, MSI, MSIX, ERR, REQ };

#define FDS 8

struct set {
	struct vfio_irq_set head;
	s32 data[FDS];
};

struct irqs {
	struct room *room;
	struct room_device opened;
	struct pci_function *function;
	int fd[FDS];
};

static struct irqs *irqs_new(const char *name)
{
	struct irqs *irqs = calloc(1, sizeof(*irqs));

	irqs->room = room_new();
	irqs->opened = room_open_device(irqs->room, name, VFIO_TYPE1_IOMMU);
	irqs->function = room_device(irqs->room, name)->function;
	for (unsigned i = 0; i < FDS; i++)
		irqs->fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return irqs;
}

static void irqs_free(struct irqs *irqs)
{
	room_free(irqs->room);
	for (unsigned i = 0; i < FDS; i++)
		close(irqs->fd[i]);
	free(irqs);
}

static long set_fds(struct irqs *irqs, unsigned index, u32 action, unsigned start, unsigned count, const int *fds)
{
	struct set set = {.head = {.argsz = sizeof(set),
				   .flags = EVENTFD | action,
				   .index = index,
				   .start = start,
				   .count = count}};
	long ret;

	assert_true(count <= FDS);
	for (unsigned i = 0; i < count; i++)
		memcpy(set.head.data + 4 * i, &fds[i], 4);
	ret = room_ioctl(irqs->room, irqs->opened.device, VFIO_DEVICE_SET_IRQS, &set);
	room_check(irqs->room);
	return ret;
}

static long set_one(struct irqs *irqs, unsigned index, u32 action, unsigned start, int fd)
{
	return set_fds(irqs, index, action, start, 1, &fd);
}

static long set_none(struct irqs *irqs, unsigned index, u32 action, unsigned start, unsigned count)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set), .flags = NONE | action, .index = index, .start = start, .count = count};
	long ret = room_ioctl(irqs->room, irqs->opened.device, VFIO_DEVICE_SET_IRQS, &set);

	room_check(irqs->room);
	return ret;
}

static long set_bools(struct irqs *irqs, unsigned index, u32 action, unsigned start, unsigned count, u32 bits)
{
	struct set set = {
		.head = {.argsz = sizeof(set), .flags = BOOL | action, .index = index, .start = start, .count = count}};
	long ret;

	for (unsigned i = 0; i < count; i++)
		set.head.data[i] = bits >> i & 1;
	ret = room_ioctl(irqs->room, irqs->opened.device, VFIO_DEVICE_SET_IRQS, &set);
	room_check(irqs->room);
	return ret;
}

/* How often the eventfd was signalled since asked last. */
static u64 fired(struct irqs *irqs, unsigned i)
{
	u64 count = 0;

	return read(irqs->fd[i], &count, sizeof(count)) == sizeof(count) ? count : 0;
}

#define OK(call) ASSERT_OK(irqs->room->why, call)

TEST(pci_irq, heads_that_are_refused)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);
	struct set set = {.head = {.argsz = sizeof(set), .flags = NONE | TRIGGER, .index = 5, .count = 1}};
	int device = irqs->opened.device;

#define SET_IRQS() room_ioctl(irqs->room, device, VFIO_DEVICE_SET_IRQS, &set)
	EXPECT_REFUSED(IRQ_UNKNOWN, irqs->room->why, SET_IRQS());
	set.head.index = MSIX;
	set.head.start = 2;
	set.head.count = UINT32_MAX - 2;
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, SET_IRQS());
	set.head.count = 1;
	set.head.flags = 0x40 | NONE | TRIGGER;
	EXPECT_REFUSED(IRQ_FLAGS, irqs->room->why, SET_IRQS());
	set.head.flags = NONE | TRIGGER;
	set.head.start = 5;
	set.head.count = 0;
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, SET_IRQS());
	set.head.start = 4;
	set.head.count = 2;
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, SET_IRQS());
	set.head.start = 0;
	set.head.count = 4;
	set.head.flags = TRIGGER;
	EXPECT_REFUSED(IRQ_FLAGS, irqs->room->why, SET_IRQS());
	set.head.flags = TRIGGER | NONE | BOOL;
	EXPECT_REFUSED(IRQ_FLAGS, irqs->room->why, SET_IRQS());
	set.head.flags = TRIGGER | EVENTFD;
	set.head.argsz = 20 + 15;
	EXPECT_REFUSED(ARGSZ_SHORT, irqs->room->why, SET_IRQS());
	set.head.flags = TRIGGER | BOOL;
	set.head.argsz = 20 + 3;
	EXPECT_REFUSED(ARGSZ_SHORT, irqs->room->why, SET_IRQS());
	set.head.argsz = sizeof(set);
	set.head.flags = NONE;
	EXPECT_REFUSED(IRQ_ACTION, irqs->room->why, SET_IRQS());
	set.head.flags = NONE | TRIGGER | MASKING;
	EXPECT_REFUSED(IRQ_ACTION, irqs->room->why, SET_IRQS());
	irqs_free(irqs);
}

/* An index without vectors can not even be disabled. */
TEST(pci_irq, indices_a_device_does_not_have)
{
	struct irqs *irqs = irqs_new(ROOM_PLAIN);
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = ERR};

	EXPECT_REFUSED(IRQ_UNKNOWN, irqs->room->why,
		       room_ioctl(irqs->room, irqs->opened.device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_none(irqs, ERR, TRIGGER, 0, 0));
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_none(irqs, MSI, TRIGGER, 0, 0));
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_one(irqs, MSIX, TRIGGER, 0, irqs->fd[0]));
	info.index = MSI;
	OK(room_ioctl(irqs->room, irqs->opened.device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	assert_int_equal(info.count, 0);
	irqs_free(irqs);
}

TEST(pci_irq, intx_that_is_off)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);

	EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, INTX, MASKING, 0, 1));
	EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_bools(irqs, INTX, UNMASKING, 0, 1, 1));
	EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_one(irqs, INTX, UNMASKING, 0, irqs->fd[1]));
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_none(irqs, INTX, TRIGGER, 0, 0));
	EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, INTX, TRIGGER, 0, 1));
	EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_bools(irqs, INTX, TRIGGER, 0, 1, 1));
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_fds(irqs, INTX, TRIGGER, 0, 0, NULL));
	EXPECT_REFUSED(FD_BAD, irqs->room->why, set_one(irqs, INTX, TRIGGER, 0, 999));
	EXPECT_REFUSED(EVENTFD_BAD, irqs->room->why, set_one(irqs, INTX, TRIGGER, 0, STDIN_FILENO));
	irqs_free(irqs);
}

TEST(pci_irq, intx_is_a_level_that_masks_itself)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);
	struct pci_irq *irq = &irqs->function->irq;

	OK(set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]));
	pci_irq_level(irq, true);
	assert_int_equal(fired(irqs, 0), 1);
	pci_irq_level(irq, false);
	pci_irq_level(irq, true);
	assert_int_equal(fired(irqs, 0), 0);
	/* Unmask delivers again while it is asserted. */
	OK(set_none(irqs, INTX, UNMASKING, 0, 1));
	assert_int_equal(fired(irqs, 0), 1);
	OK(set_bools(irqs, INTX, UNMASKING, 0, 1, 0));
	assert_int_equal(fired(irqs, 0), 0);
	OK(set_bools(irqs, INTX, UNMASKING, 0, 1, 1));
	assert_int_equal(fired(irqs, 0), 1);
	pci_irq_level(irq, false);
	OK(set_none(irqs, INTX, UNMASKING, 0, 1));
	OK(set_bools(irqs, INTX, MASKING, 0, 1, 0));
	OK(set_none(irqs, INTX, MASKING, 0, 1));
	pci_irq_level(irq, true);
	assert_int_equal(fired(irqs, 0), 0);
	EXPECT_REFUSED(IRQ_ACTION, irqs->room->why, set_one(irqs, INTX, MASKING, 0, irqs->fd[0]));
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_none(irqs, INTX, UNMASKING, 0, 0));
	irqs_free(irqs);
}

TEST(pci_irq, intx_trigger_rows)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);

	OK(set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]));
	OK(set_none(irqs, INTX, TRIGGER, 0, 1));
	assert_int_equal(fired(irqs, 0), 1);
	OK(set_bools(irqs, INTX, TRIGGER, 0, 1, 0));
	assert_int_equal(fired(irqs, 0), 0);
	OK(set_bools(irqs, INTX, TRIGGER, 0, 1, 1));
	assert_int_equal(fired(irqs, 0), 1);
	/* Another eventfd, then none: the line stays on. */
	OK(set_one(irqs, INTX, TRIGGER, 0, irqs->fd[1]));
	OK(set_none(irqs, INTX, TRIGGER, 0, 1));
	assert_int_equal(fired(irqs, 0), 0);
	assert_int_equal(fired(irqs, 1), 1);
	OK(set_one(irqs, INTX, TRIGGER, 0, -1));
	OK(set_none(irqs, INTX, TRIGGER, 0, 1));
	assert_int_equal(pci_irq_current(&irqs->function->irq), PCI_IRQ_INTX);
	EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_bools(irqs, INTX, TRIGGER, 0, 0, 0));
	EXPECT_REFUSED(IRQ_MODE_ACTIVE, irqs->room->why, set_one(irqs, MSI, TRIGGER, 0, irqs->fd[0]));
	EXPECT_REFUSED(IRQ_MODE_ACTIVE, irqs->room->why, set_none(irqs, MSIX, TRIGGER, 0, 0));
	OK(set_none(irqs, INTX, TRIGGER, 0, 0));
	assert_int_equal(pci_irq_current(&irqs->function->irq), PCI_IRQ_OFF);
	/* Without a trigger from the start. */
	OK(set_one(irqs, INTX, TRIGGER, 0, -1));
	assert_int_equal(pci_irq_current(&irqs->function->irq), PCI_IRQ_INTX);
	irqs_free(irqs);
}

TEST(pci_irq, unmask_by_eventfd)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);
	struct pci_irq *irq = &irqs->function->irq;
	struct pollfd events = {.events = POLLIN};
	u64 one = 1;

	OK(set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]));
	OK(set_one(irqs, INTX, UNMASKING, 0, irqs->fd[1]));
	EXPECT_REFUSED(UNMASK_EVENTFD_SET, irqs->room->why, set_one(irqs, INTX, UNMASKING, 0, irqs->fd[2]));
	EXPECT_REFUSED(EVENTFD_BAD, irqs->room->why, set_one(irqs, INTX, UNMASKING, 0, STDIN_FILENO));
	pci_irq_level(irq, true);
	assert_int_equal(fired(irqs, 0), 1);
	events.fd = vfio_events(&irqs->room->vfio, &irqs->room->why);
	assert_int_equal(poll(&events, 1, 0), 0);
	assert_int_equal(write(irqs->fd[1], &one, 8), 8);
	assert_int_equal(poll(&events, 1, 0), 1);
	vfio_handle_events(&irqs->room->vfio);
	assert_int_equal(poll(&events, 1, 0), 0);
	assert_int_equal(fired(irqs, 0), 1);
	OK(set_one(irqs, INTX, UNMASKING, 0, -1));
	OK(set_one(irqs, INTX, UNMASKING, 0, -1));
	assert_int_equal(write(irqs->fd[1], &one, 8), 8);
	vfio_handle_events(&irqs->room->vfio);
	assert_int_equal(fired(irqs, 0), 0);
	EXPECT_REFUSED(EVENTFD_BAD, irqs->room->why, set_one(irqs, INTX, UNMASKING, 0, STDIN_FILENO));
	OK(set_one(irqs, INTX, UNMASKING, 0, irqs->fd[2]));
	/* It goes with the mode. */
	OK(set_none(irqs, INTX, TRIGGER, 0, 0));
	room_check(irqs->room);
	irqs_free(irqs);
}

TEST(pci_irq, command_masks_intx_whatever_set_irqs_says)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);
	struct pci_irq *irq = &irqs->function->irq;
	int device = irqs->opened.device;

	OK(set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]));
	room_set_config(irqs->room, device, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MEMORY);
	pci_irq_level(irq, true);
	OK(set_none(irqs, INTX, UNMASKING, 0, 1));
	assert_int_equal(fired(irqs, 0), 0);
	room_set_config(irqs->room, device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fired(irqs, 0), 1);
	OK(set_none(irqs, INTX, TRIGGER, 0, 0));
	/* Disabled before it is switched on. */
	room_set_config(irqs->room, device, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MEMORY);
	OK(set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]));
	assert_int_equal(fired(irqs, 0), 0);
	room_set_config(irqs->room, device, PCI_COMMAND + 1, 1, 0);
	assert_int_equal(fired(irqs, 0), 1);
	irqs_free(irqs);
}

TEST(pci_irq, messages_that_are_off)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);

	for (unsigned index = MSI; index <= MSIX; index++) {
		EXPECT_REFUSED(IRQ_ACTION, irqs->room->why, set_none(irqs, index, MASKING, 0, 1));
		EXPECT_REFUSED(IRQ_ACTION, irqs->room->why, set_bools(irqs, index, UNMASKING, 0, 1, 1));
		EXPECT_REFUSED(IRQ_ACTION, irqs->room->why, set_one(irqs, index, UNMASKING, 0, irqs->fd[0]));
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, index, TRIGGER, 0, 0));
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, index, TRIGGER, 0, 1));
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_bools(irqs, index, TRIGGER, 0, 0, 0));
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_bools(irqs, index, TRIGGER, 0, 1, 1));
		EXPECT_REFUSED(IRQ_NO_VECTORS, irqs->room->why, set_fds(irqs, index, TRIGGER, 0, 0, NULL));
	}
	/* A block of none enables as many as stand before it. */
	OK(set_fds(irqs, MSIX, TRIGGER, 3, 0, NULL));
	assert_int_equal(irqs->function->irq.nvectors, 3);
	OK(set_fds(irqs, MSIX, TRIGGER, 1, 0, NULL));
	irqs_free(irqs);
}

TEST(pci_irq, msix_triggers)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);
	struct pci_irq *irq = &irqs->function->irq;
	unsigned control = irqs->function->cap_msix + 2u;

	OK(set_fds(irqs, MSIX, TRIGGER, 0, 3, (const int[]){irqs->fd[0], -1, irqs->fd[2]}));
	assert_true(room_config(irqs->room, irqs->opened.device, control, 2) & 0x8000);
	assert_true(pci_command(irqs->function) & PCI_COMMAND_INTX_DISABLE);
	pci_irq_message(irq, 0);
	pci_irq_message(irq, 1);
	pci_irq_message(irq, 2);
	assert_int_equal(fired(irqs, 0), 1);
	assert_int_equal(fired(irqs, 2), 1);
	OK(set_none(irqs, MSIX, TRIGGER, 0, 5));
	OK(set_bools(irqs, MSIX, TRIGGER, 0, 3, 4));
	OK(set_bools(irqs, MSIX, TRIGGER, 0, 0, 0));
	assert_int_equal(fired(irqs, 0), 1);
	assert_int_equal(fired(irqs, 2), 2);
	/* Vectors come and go: one more beyond the first block, another eventfd, one removed. */
	OK(set_one(irqs, MSIX, TRIGGER, 4, irqs->fd[4]));
	OK(set_one(irqs, MSIX, TRIGGER, 0, irqs->fd[5]));
	OK(set_one(irqs, MSIX, TRIGGER, 2, -1));
	OK(set_none(irqs, MSIX, TRIGGER, 0, 5));
	assert_int_equal(fired(irqs, 0), 0);
	assert_int_equal(fired(irqs, 2), 0);
	assert_int_equal(fired(irqs, 4), 1);
	assert_int_equal(fired(irqs, 5), 1);
	EXPECT_REFUSED(IRQ_MODE_ACTIVE, irqs->room->why, set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]));
	OK(set_none(irqs, MSIX, TRIGGER, 0, 0));
	assert_false(room_config(irqs->room, irqs->opened.device, control, 2) & 0x8000);
	assert_false(pci_command(irqs->function) & PCI_COMMAND_INTX_DISABLE);
	pci_irq_message(irq, 4);
	assert_int_equal(fired(irqs, 4), 0);
	irqs_free(irqs);
}

TEST(pci_irq, msi_does_not_grow)
{
	struct irqs *irqs = irqs_new(ROOM_ROOT);
	unsigned control = irqs->function->cap_msi + 2u;

	OK(set_fds(irqs, MSI, TRIGGER, 0, 3, irqs->fd));
	/* On the device: enabled, for four messages. */
	assert_int_equal(get_u16(irqs->function->config + control) & 0x71, 0x21);
	EXPECT_REFUSED(IRQ_NO_GROWTH, irqs->room->why, set_one(irqs, MSI, TRIGGER, 3, irqs->fd[3]));
	OK(set_one(irqs, MSI, TRIGGER, 3, -1));
	/* The program may now write the enable bit, and does not lose it. */
	room_set_config(irqs->room, irqs->opened.device, control, 2, 0x21);
	assert_int_equal(get_u16(irqs->function->config + control) & 0x71, 0x21);
	OK(set_none(irqs, MSI, TRIGGER, 0, 3));
	assert_int_equal(fired(irqs, 1), 1);
	OK(set_none(irqs, MSI, TRIGGER, 0, 0));
	assert_int_equal(get_u16(irqs->function->config + control) & 1, 0);
	irqs_free(irqs);
}

TEST(pci_irq, a_block_that_fails_takes_its_vectors_with_it)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);

	/* Just enabled: off again. */
	EXPECT_REFUSED(EVENTFD_BAD, irqs->room->why,
		       set_fds(irqs, MSIX, TRIGGER, 0, 2, (const int[]){irqs->fd[0], STDIN_FILENO}));
	EXPECT_SUBSTR("MSI-X vector 1 of " ROOM_NIC, irqs->room->why.text);
	assert_int_equal(pci_irq_current(&irqs->function->irq), PCI_IRQ_OFF);
	/* On before: stays on, without the vectors of the call up to the one that failed. */
	OK(set_fds(irqs, MSIX, TRIGGER, 0, 4, irqs->fd));
	EXPECT_REFUSED(FD_BAD, irqs->room->why,
		       set_fds(irqs, MSIX, TRIGGER, 1, 3, (const int[]){irqs->fd[5], 999, irqs->fd[6]}));
	OK(set_none(irqs, MSIX, TRIGGER, 0, 4));
	assert_int_equal(fired(irqs, 0), 1);
	assert_int_equal(fired(irqs, 1) + fired(irqs, 2) + fired(irqs, 5), 0);
	assert_int_equal(fired(irqs, 3), 1);
	irqs_free(irqs);
}

TEST(pci_irq, errors_and_requests)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);

	for (unsigned index = ERR; index <= REQ; index++) {
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, index, TRIGGER, 0, 1));
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, index, TRIGGER, 0, 0));
		EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_bools(irqs, index, TRIGGER, 0, 0, 0));
		EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_fds(irqs, index, TRIGGER, 0, 0, NULL));
		EXPECT_REFUSED(IRQ_RANGE, irqs->room->why, set_one(irqs, index, TRIGGER, 0, -2));
		EXPECT_REFUSED(IRQ_ACTION, irqs->room->why, set_none(irqs, index, MASKING, 0, 1));
		EXPECT_REFUSED(FD_BAD, irqs->room->why, set_one(irqs, index, TRIGGER, 0, 999));
		OK(set_bools(irqs, index, TRIGGER, 0, 1, 1));
		OK(set_one(irqs, index, TRIGGER, 0, irqs->fd[0]));
		OK(set_none(irqs, index, TRIGGER, 0, 1));
		OK(set_bools(irqs, index, TRIGGER, 0, 1, 1));
		OK(set_bools(irqs, index, TRIGGER, 0, 1, 0));
		assert_int_equal(fired(irqs, 0), 2);
		OK(set_one(irqs, index, TRIGGER, 0, irqs->fd[1]));
		OK(set_none(irqs, index, TRIGGER, 0, 0));
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, index, TRIGGER, 0, 1));
		OK(set_one(irqs, index, TRIGGER, 0, irqs->fd[1]));
		OK(set_one(irqs, index, TRIGGER, 0, -1));
		EXPECT_REFUSED(IRQ_NOT_ENABLED, irqs->room->why, set_none(irqs, index, TRIGGER, 0, 1));
	}
	irqs_free(irqs);
}

TEST(pci_irq, an_unbind_asks_by_the_request_eventfd)
{
	struct irqs *irqs = irqs_new(ROOM_NIC);
	struct vfio_device *device = room_bound(irqs->room, ROOM_NIC);

	assert_false(vfio_device_request(device));
	OK(set_one(irqs, REQ, TRIGGER, 0, irqs->fd[3]));
	assert_true(vfio_device_request(device));
	assert_true(vfio_device_request(device));
	assert_int_equal(fired(irqs, 3), 2);
	irqs_free(irqs);
}

/* ---- a host with few vectors ---- */

static struct irqs *irqs_short(const char *name, unsigned limit)
{
	struct irqs *irqs = irqs_new(name);

	irqs->room->vfio.vector_limit = limit;
	return irqs;
}

/* An answer above 0 is a success with a reason, and nothing has happened. */
static void expect_short(struct irqs *irqs, long available, long answer)
{
	assert_int_equal(answer, available);
	assert_int_equal(irqs->room->why.code, WHY_IRQ_VECTORS_SHORT);
	assert_int_equal(pci_irq_current(&irqs->function->irq), PCI_IRQ_OFF);
	assert_int_equal(get_u16(irqs->function->config + irqs->function->cap_msix + 2) & 0x8000, 0);
}

TEST(pci_irq, too_few_vectors_are_a_number)
{
	struct irqs *irqs = irqs_short(ROOM_NIC, 3);

	expect_short(irqs, 3, set_fds(irqs, MSIX, TRIGGER, 0, 5, irqs->fd));
	EXPECT_SUBSTR(ROOM_NIC, irqs->room->why.text);
	EXPECT_SUBSTR("MSI-X", irqs->room->why.text);
	/* What counts is where the block ends, not how many it is of. */
	expect_short(irqs, 3, set_one(irqs, MSIX, TRIGGER, 3, irqs->fd[3]));
	/* Descriptors are not looked at; another mode comes first. */
	expect_short(irqs, 3, set_one(irqs, MSIX, TRIGGER, 4, 999));
	OK(set_fds(irqs, MSIX, TRIGGER, 0, 3, irqs->fd));
	assert_int_equal(irqs->room->why.code, WHY_NONE);
	EXPECT_REFUSED(IRQ_MODE_ACTIVE, irqs->room->why, set_one(irqs, MSI, TRIGGER, 0, irqs->fd[0]));
	OK(set_none(irqs, MSIX, TRIGGER, 0, 0));
	OK(set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]));
	EXPECT_REFUSED(IRQ_MODE_ACTIVE, irqs->room->why, set_fds(irqs, MSIX, TRIGGER, 0, 5, irqs->fd));
	irqs_free(irqs);
}

/* Its vectors are one block: what cannot be had whole is tried with one. */
TEST(pci_irq, of_msi_it_is_always_one)
{
	struct irqs *irqs = irqs_short(ROOM_ROOT, 3);

	assert_int_equal(set_fds(irqs, MSI, TRIGGER, 0, 4, irqs->fd), 1);
	assert_int_equal(irqs->room->why.code, WHY_IRQ_VECTORS_SHORT);
	assert_int_equal(set_one(irqs, MSI, TRIGGER, 7, irqs->fd[0]), 1);
	assert_int_equal(pci_irq_current(&irqs->function->irq), PCI_IRQ_OFF);
	OK(set_fds(irqs, MSI, TRIGGER, 0, 3, irqs->fd));
	OK(set_none(irqs, MSI, TRIGGER, 0, 0));
	irqs->room->vfio.vector_limit = 0;
	EXPECT_REFUSED(IRQ_VECTORS_SHORT, irqs->room->why, set_one(irqs, MSI, TRIGGER, 0, irqs->fd[0]));
	EXPECT_REFUSED(IRQ_VECTORS_SHORT, irqs->room->why, set_fds(irqs, MSI, TRIGGER, 0, 4, irqs->fd));
	EXPECT_REFUSED(IRQ_NO_VECTORS, irqs->room->why, set_fds(irqs, MSI, TRIGGER, 0, 0, irqs->fd));
	irqs_free(irqs);
}

/* One by one, whichever it is; kept until the mode goes off. */
TEST(pci_irq, msix_takes_more_while_there_are)
{
	struct irqs *irqs = irqs_short(ROOM_NIC, 3);
	unsigned *taken = &irqs->room->vfio.vectors_taken;

	OK(set_one(irqs, MSIX, TRIGGER, 0, irqs->fd[0]));
	OK(set_one(irqs, MSIX, TRIGGER, 4, irqs->fd[4]));
	assert_int_equal(*taken, 2);
	OK(set_one(irqs, MSIX, TRIGGER, 2, -1));
	assert_int_equal(*taken, 2);
	OK(set_one(irqs, MSIX, TRIGGER, 2, irqs->fd[2]));
	assert_int_equal(*taken, 3);
	EXPECT_REFUSED(IRQ_VECTORS_SHORT, irqs->room->why, set_one(irqs, MSIX, TRIGGER, 3, irqs->fd[3]));
	OK(set_one(irqs, MSIX, TRIGGER, 2, -1));
	EXPECT_REFUSED(IRQ_VECTORS_SHORT, irqs->room->why, set_one(irqs, MSIX, TRIGGER, 3, irqs->fd[3]));
	OK(set_one(irqs, MSIX, TRIGGER, 2, irqs->fd[2]));
	pci_irq_message(&irqs->function->irq, 2);
	assert_int_equal(fired(irqs, 2), 1);
	/* A block that runs out of them takes its others with it; they stay the device's. */
	EXPECT_REFUSED(IRQ_VECTORS_SHORT, irqs->room->why, set_fds(irqs, MSIX, TRIGGER, 2, 2, irqs->fd + 2));
	pci_irq_message(&irqs->function->irq, 2);
	assert_int_equal(fired(irqs, 2), 0);
	assert_int_equal(*taken, 3);
	OK(set_none(irqs, MSIX, TRIGGER, 0, 0));
	assert_int_equal(*taken, 0);
	/* The same when the block that switched the mode on fails. */
	EXPECT_REFUSED(FD_BAD, irqs->room->why, set_fds(irqs, MSIX, TRIGGER, 0, 2, (int[]){irqs->fd[0], 999}));
	assert_int_equal(*taken, 0);
	irqs_free(irqs);
}

TEST(pci_irq, all_devices_share_the_hosts_vectors)
{
	struct irqs *irqs = irqs_short(ROOM_NIC, 4);
	struct irqs other = *irqs;

	other.opened = room_open_device(irqs->room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	other.function = room_device(irqs->room, ROOM_NVME)->function;
	OK(set_fds(irqs, MSIX, TRIGGER, 0, 3, irqs->fd));
	expect_short(&other, 1, set_fds(&other, MSIX, TRIGGER, 0, 2, other.fd));
	OK(set_one(&other, MSIX, TRIGGER, 0, other.fd[0]));
	EXPECT_REFUSED(IRQ_VECTORS_SHORT, irqs->room->why, set_one(&other, MSIX, TRIGGER, 64, other.fd[1]));
	room_close(irqs->room, irqs->opened.device);
	assert_int_equal(irqs->room->vfio.vectors_taken, 1);
	OK(set_one(&other, MSIX, TRIGGER, 64, other.fd[1]));
	irqs_free(irqs);
}

static struct irqs *sweep_irqs;

static int enable_all(struct why *why)
{
	struct irqs *irqs = sweep_irqs;
	long ret = set_one(irqs, INTX, TRIGGER, 0, irqs->fd[0]);

	if (ret == 0)
		ret = set_one(irqs, INTX, UNMASKING, 0, irqs->fd[1]);
	*why = irqs->room->why;
	set_none(irqs, INTX, TRIGGER, 0, 0);
	if (ret < 0)
		return (int)ret;
	ret = set_fds(irqs, MSIX, TRIGGER, 0, 2, irqs->fd);
	if (ret == 0)
		ret = set_one(irqs, MSIX, TRIGGER, 4, irqs->fd[4]);
	*why = irqs->room->why;
	set_none(irqs, MSIX, TRIGGER, 0, 0);
	assert_int_equal(pci_irq_current(&irqs->function->irq), PCI_IRQ_OFF);
	return (int)ret;
}

TEST(pci_irq, enabling_can_fail_anywhere)
{
	sweep_irqs = irqs_new(ROOM_NIC);
	SWEEP_FAILURES(enable_all);
	irqs_free(sweep_irqs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_irq, heads_that_are_refused),
		CASE(pci_irq, indices_a_device_does_not_have),
		CASE(pci_irq, intx_that_is_off),
		CASE(pci_irq, intx_is_a_level_that_masks_itself),
		CASE(pci_irq, intx_trigger_rows),
		CASE(pci_irq, unmask_by_eventfd),
		CASE(pci_irq, command_masks_intx_whatever_set_irqs_says),
		CASE(pci_irq, messages_that_are_off),
		CASE(pci_irq, msix_triggers),
		CASE(pci_irq, msi_does_not_grow),
		CASE(pci_irq, a_block_that_fails_takes_its_vectors_with_it),
		CASE(pci_irq, errors_and_requests),
		CASE(pci_irq, an_unbind_asks_by_the_request_eventfd),
		CASE(pci_irq, too_few_vectors_are_a_number),
		CASE(pci_irq, of_msi_it_is_always_one),
		CASE(pci_irq, msix_takes_more_while_there_are),
		CASE(pci_irq, all_devices_share_the_hosts_vectors),
		CASE(pci_irq, enabling_can_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
