/* SPDX-License-Identifier: MIT */
/*
 * The truth table of SET_IRQS (spec 05 section 7), every cell of it: index, action, data, start, count and what the
 * descriptors are, in every mode an interrupt can be in, against a model that was written from the table alone. What is
 * compared: the answer, the mode, which vectors have an eventfd, what was signalled, whether the line is masked.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

enum { INTX, MSI, MSIX, ERR, REQ, INDICES, VECTORS = 32 };

/* What all descriptors of one request are. */
enum fds { FD_GOOD, FD_NONE, FD_LOWER, FD_CLOSED, FD_FILE, FD_KINDS };

struct state {
	int mode; /* INTX, MSI, MSIX; -1: off */
	unsigned vectors;
	bool set[VECTORS];
	bool masked, unmask;  /* the line; an eventfd that unmasks it */
	bool notify[INDICES]; /* ERR and REQ have one */
};

struct ask {
	u32 index, action, data, start, count;
	enum fds fds;
	bool flag;	/* what DATA_BOOL says */
	bool shortened; /* argsz has no room for the data */
};

struct subject {
	const char *name;
	u32 count[INDICES];
};

/* ---- the model ---- */

static int fd_answer(enum fds fds)
{
	return fds == FD_CLOSED ? -EBADF : fds == FD_FILE ? -EINVAL : 0;
}

static unsigned signal_set(const struct state *state, const struct ask *ask)
{
	unsigned signals = 0;

	if (ask->data == VFIO_IRQ_SET_DATA_BOOL && !ask->flag)
		return 0;
	for (u32 i = ask->start; i < ask->start + ask->count; i++)
		signals += state->set[i];
	return signals;
}

static void off(struct state *state)
{
	state->mode = -1;
	state->vectors = 0;
	state->masked = state->unmask = false;
	memset(state->set, 0, sizeof(state->set));
}

static int model_mask(struct state *state, const struct ask *ask)
{
	bool unmask = ask->action == VFIO_IRQ_SET_ACTION_UNMASK;

	if (ask->index != INTX)
		return -ENOTTY;
	if (state->mode != INTX || ask->start || ask->count != 1)
		return -EINVAL;
	if (ask->data == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (!unmask)
			return -ENOTTY;
		if (ask->fds == FD_NONE || ask->fds == FD_LOWER) {
			state->unmask = false;
			return 0;
		}
		if (state->unmask && !fd_answer(ask->fds))
			return -EBUSY;
		state->unmask |= ask->fds == FD_GOOD;
		return fd_answer(ask->fds);
	}
	if (ask->data == VFIO_IRQ_SET_DATA_NONE || ask->flag)
		state->masked = !unmask;
	return 0;
}

static int model_intx(struct state *state, const struct ask *ask, unsigned *signals)
{
	if (state->mode == INTX && ask->data == VFIO_IRQ_SET_DATA_NONE && !ask->count) {
		off(state);
		return 0;
	}
	if ((state->mode >= 0 && state->mode != INTX) || ask->start || ask->count != 1)
		return -EINVAL;
	if (ask->data != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (state->mode != INTX)
			return -EINVAL;
		*signals = signal_set(state, ask);
		return 0;
	}
	if (fd_answer(ask->fds))
		return fd_answer(ask->fds);
	state->mode = INTX;
	state->vectors = 1;
	state->set[0] = ask->fds == FD_GOOD;
	return 0;
}

/* One vector after the other; the first that fails takes those of the call along. */
static int model_block(struct state *state, const struct ask *ask)
{
	for (u32 i = ask->start; i < ask->start + ask->count; i++) {
		bool wanted = ask->fds != FD_NONE && ask->fds != FD_LOWER;
		int err = 0;

		if (i < state->vectors)
			state->set[i] = false;
		if (!wanted)
			continue;
		if (i >= state->vectors && ask->index == MSI)
			err = -EINVAL;
		else if (i >= state->vectors)
			state->vectors = i + 1;
		if (!err)
			err = fd_answer(ask->fds);
		if (err) {
			for (u32 j = ask->start; j <= i; j++)
				state->set[j] = false;
			return err;
		}
		state->set[i] = true;
	}
	return 0;
}

static int model_messages(struct state *state, const struct ask *ask, unsigned *signals)
{
	int mode = (int)ask->index, err;

	if (state->mode == mode && ask->data == VFIO_IRQ_SET_DATA_NONE && !ask->count) {
		off(state);
		return 0;
	}
	if (state->mode >= 0 && state->mode != mode)
		return -EINVAL;
	if (ask->data != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (state->mode != mode)
			return -EINVAL;
		*signals = signal_set(state, ask);
		return 0;
	}
	if (state->mode == mode)
		return model_block(state, ask);
	if (!(ask->start + ask->count))
		return -ERANGE;
	state->mode = mode;
	state->vectors = ask->start + ask->count;
	err = model_block(state, ask);
	if (err)
		off(state);
	return err;
}

static int model_notify(struct state *state, const struct ask *ask, unsigned *signals)
{
	bool *registered = &state->notify[ask->index];

	switch (ask->data) {
	case VFIO_IRQ_SET_DATA_NONE:
		if (!*registered)
			return -EINVAL;
		*signals = ask->count;
		*registered = ask->count;
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		if (!ask->count)
			return -EINVAL;
		*signals = *registered && ask->flag;
		return 0;
	default:
		if (!ask->count || ask->fds == FD_LOWER)
			return -EINVAL;
		if (fd_answer(ask->fds))
			return fd_answer(ask->fds);
		*registered = ask->fds == FD_GOOD;
		return 0;
	}
}

static int model(const struct subject *subject, struct state *state, const struct ask *ask, unsigned *signals)
{
	*signals = 0;
	if (ask->index >= INDICES)
		return -EINVAL;
	if (ask->start >= subject->count[ask->index] || ask->start + ask->count > subject->count[ask->index])
		return -EINVAL;
	if (ask->data != VFIO_IRQ_SET_DATA_NONE && ask->data != VFIO_IRQ_SET_DATA_BOOL &&
	    ask->data != VFIO_IRQ_SET_DATA_EVENTFD)
		return -EINVAL;
	if (ask->shortened && ask->count && ask->data != VFIO_IRQ_SET_DATA_NONE)
		return -EINVAL;
	if (ask->action == VFIO_IRQ_SET_ACTION_MASK || ask->action == VFIO_IRQ_SET_ACTION_UNMASK)
		return model_mask(state, ask);
	if (ask->action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	switch (ask->index) {
	case INTX:
		return model_intx(state, ask, signals);
	case MSI:
	case MSIX:
		return model_messages(state, ask, signals);
	default:
		return model_notify(state, ask, signals);
	}
}

/* ---- the device ---- */

struct bench {
	struct room *room;
	struct pci_session *session;
	const struct subject *subject;
	int device, good, file;
};

static int fd_of(const struct bench *bench, enum fds fds)
{
	switch (fds) {
	case FD_GOOD:
		return bench->good;
	case FD_NONE:
		return -1;
	case FD_LOWER:
		return -2;
	case FD_CLOSED:
		return 999;
	default:
		return bench->file;
	}
}

static long do_ask(const struct bench *bench, const struct ask *ask)
{
	u8 buffer[sizeof(struct vfio_irq_set) + 4 * (VECTORS + 8)] = {};
	struct vfio_irq_set *set = (void *)buffer;
	u32 each = ask->data == VFIO_IRQ_SET_DATA_BOOL ? 1 : ask->data == VFIO_IRQ_SET_DATA_EVENTFD ? 4 : 0;

	*set = (struct vfio_irq_set){.argsz = (u32)(sizeof(*set) + each * ask->count),
				     .flags = ask->data | ask->action,
				     .index = ask->index,
				     .start = ask->start,
				     .count = ask->count};
	if (ask->shortened && each && ask->count)
		set->argsz--;
	for (u32 i = 0; i < ask->count && i < VECTORS + 8; i++)
		if (each == 4)
			put_u32(buffer + sizeof(*set) + 4 * i, (u32)fd_of(bench, ask->fds));
		else if (each == 1)
			buffer[sizeof(*set) + i] = ask->flag;
	return room_ioctl(bench->room, bench->device, VFIO_DEVICE_SET_IRQS, set);
}

static unsigned signalled(const struct bench *bench)
{
	u64 value = 0;

	if (read(bench->good, &value, sizeof(value)) < 0)
		assert_int_equal(errno, EAGAIN);
	return (unsigned)value;
}

static void trigger(const struct bench *bench, u32 index, u32 start, u32 count, enum fds fds)
{
	const struct ask ask = {index, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, start, count, fds, false,
				false};

	if (do_ask(bench, &ask) < 0)
		fail_msg("%u %u %u: %s", index, start, count, bench->room->why.text);
}

/* Everything off, as after the open. */
static void calm(const struct bench *bench)
{
	for (u32 index = INTX; index <= REQ; index++) {
		const struct ask ask = {
			index, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_NONE, 0, 0, FD_NONE, false, false};

		do_ask(bench, &ask); /* refused where nothing is on */
	}
	assert_int_equal(bench->session->irq_mode, PCI_IRQ_OFF);
}

enum start { START_OFF, START_INTX, START_INTX_MASKED, START_INTX_UNMASK, START_MSI, START_MSIX, START_NOTIFY, STARTS };

/* False: this device cannot be in that state. */
static bool bring_to(const struct bench *bench, enum start start, struct state *state)
{
	const u32 *count = bench->subject->count;
	struct ask mask = {INTX, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_DATA_NONE, 0, 1, FD_NONE, false, false};
	u32 index = start == START_MSI ? MSI : MSIX, n;

	*state = (struct state){.mode = -1};
	switch (start) {
	case START_INTX:
	case START_INTX_MASKED:
	case START_INTX_UNMASK:
		if (!count[INTX])
			return false;
		trigger(bench, INTX, 0, 1, FD_GOOD);
		*state = (struct state){.mode = INTX, .vectors = 1, .set = {true}};
		if (start == START_INTX_UNMASK) {
			mask.action = VFIO_IRQ_SET_ACTION_UNMASK;
			mask.data = VFIO_IRQ_SET_DATA_EVENTFD;
			mask.fds = FD_GOOD;
			state->unmask = true;
		}
		state->masked = start == START_INTX_MASKED;
		if (start != START_INTX)
			assert_int_equal(do_ask(bench, &mask), 0);
		return true;
	case START_MSI:
	case START_MSIX:
		n = count[index] > 3 ? 3 : count[index];
		if (!n)
			return false;
		trigger(bench, index, 0, n, FD_GOOD);
		*state = (struct state){.mode = (int)index, .vectors = n};
		for (u32 i = 0; i < n; i++)
			state->set[i] = true;
		if (n > 1) {
			trigger(bench, index, 1, 1, FD_NONE);
			state->set[1] = false;
		}
		return true;
	case START_NOTIFY:
		for (u32 i = ERR; i <= REQ; i++) {
			state->notify[i] = count[i];
			if (count[i])
				trigger(bench, i, 0, 1, FD_GOOD);
		}
		return true;
	default:
		return true;
	}
}

static void compare(const struct bench *bench, const struct state *state)
{
	static const int modes[] = {
		[PCI_IRQ_OFF] = -1, [PCI_IRQ_INTX] = INTX, [PCI_IRQ_MSI] = MSI, [PCI_IRQ_MSIX] = MSIX};
	const struct pci_irq *irq = &bench->session->function->irq;

	assert_int_equal(modes[bench->session->irq_mode], state->mode);
	assert_int_equal(irq->nvectors, state->vectors);
	for (unsigned i = 0; i < state->vectors; i++)
		assert_int_equal(irq->vectors[i] >= 0, state->set[i]);
	assert_int_equal(irq->intx_masked, state->masked);
	assert_int_equal(bench->session->unmask.fd >= 0, state->unmask);
	assert_int_equal(bench->session->err_fd >= 0, state->notify[ERR]);
	assert_int_equal(bench->session->req_fd >= 0, state->notify[REQ]);
}

static void try_ask(const struct bench *bench, enum start start, const struct ask *ask)
{
	struct state state;
	unsigned expected_signals;
	int expected;
	long got;

	calm(bench);
	if (!bring_to(bench, start, &state))
		return;
	signalled(bench);
	expected = model(bench->subject, &state, ask, &expected_signals);
	got = do_ask(bench, ask);
	if (got != expected)
		fail_msg("%s in state %d, index %u action %#x data %#x start %u count %u fds %d flag %d: %ld (%s), not "
			 "%d",
			 bench->subject->name, start, ask->index, ask->action, ask->data, ask->start, ask->count,
			 ask->fds, ask->flag, got, bench->room->why.text, expected);
	compare(bench, &state);
	assert_int_equal(signalled(bench), expected_signals);
}

static void try_data(const struct bench *bench, enum start start, struct ask ask)
{
	bool eventfds = ask.data & VFIO_IRQ_SET_DATA_EVENTFD, flags = ask.data & VFIO_IRQ_SET_DATA_BOOL;

	for (ask.fds = 0; ask.fds < (eventfds ? FD_KINDS : 1); ask.fds++)
		for (unsigned variant = 0; variant < (flags ? 2 : 1); variant++) {
			ask.flag = variant;
			ask.shortened = false;
			try_ask(bench, start, &ask);
		}
	ask.fds = FD_GOOD;
	ask.shortened = true;
	try_ask(bench, start, &ask);
}

static void try_state(const struct bench *bench, enum start start)
{
	static const u32 actions[] = {0, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_UNMASK,
				      VFIO_IRQ_SET_ACTION_TRIGGER,
				      VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_TRIGGER};
	static const u32 data[] = {0, VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD,
				   VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_EVENTFD};

	for (u32 index = INTX; index <= INDICES; index++) {
		u32 n = index < INDICES ? bench->subject->count[index] : 1;
		const u32 counts[] = {0, 1, 2, 3, n, n + 1};

		for (size_t a = 0; a < ARRAY_SIZE(actions); a++)
			for (size_t d = 0; d < ARRAY_SIZE(data); d++)
				for (u32 start_at = 0; start_at < 4; start_at++)
					for (size_t c = 0; c < ARRAY_SIZE(counts); c++)
						try_data(bench, start,
							 (struct ask){.index = index,
								      .action = actions[a],
								      .data = data[d],
								      .start = start_at,
								      .count = counts[c]});
	}
}

static void try_subject(const struct subject *subject)
{
	struct bench bench = {.room = room_new(),
			      .subject = subject,
			      .good = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
			      .file = open("/dev/null", O_RDWR | O_CLOEXEC)};

	assert_true(bench.good >= 0 && bench.file >= 0);
	bench.device = room_open_device(bench.room, subject->name, VFIO_TYPE1_IOMMU).device;
	bench.session = room_bound(bench.room, subject->name)->session;
	for (enum start start = 0; start < STARTS; start++)
		try_state(&bench, start);
	calm(&bench);
	close(bench.good);
	close(bench.file);
	room_free(bench.room);
}

TEST(irq_table, of_a_card_with_everything)
{
	try_subject(&(const struct subject){ROOM_NIC, {1, 1, 5, 1, 1}});
}

TEST(irq_table, of_a_device_with_messages_only)
{
	try_subject(&(const struct subject){ROOM_ROOT, {0, 32, 0, 1, 1}});
}

TEST(irq_table, of_a_conventional_one)
{
	try_subject(&(const struct subject){ROOM_PLAIN, {1, 0, 0, 0, 1}});
}

/* The bit of COMMAND is above the table: nothing comes through, and SET_IRQS cannot unmask. */
TEST(irq_table, a_line_that_command_disables)
{
	static const struct subject subject = {ROOM_PLAIN, {1, 0, 0, 0, 1}};
	struct bench bench = {.room = room_new(), .subject = &subject, .good = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	struct ask ask = {INTX, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_NONE, 0, 1, FD_NONE, false, false};
	struct state before;

	bench.device = room_open_device(bench.room, subject.name, VFIO_TYPE1_IOMMU).device;
	bench.session = room_bound(bench.room, subject.name)->session;
	assert_true(bring_to(&bench, START_INTX, &before));
	room_set_config(bench.room, bench.device, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(do_ask(&bench, &ask), 0);
	assert_int_equal(signalled(&bench), 0);
	pci_irq_level(&bench.session->function->irq, true);
	ask.action = VFIO_IRQ_SET_ACTION_UNMASK;
	assert_int_equal(do_ask(&bench, &ask), 0);
	assert_int_equal(signalled(&bench), 0);
	/* It is still asserted when the bit goes. */
	room_set_config(bench.room, bench.device, PCI_COMMAND, 2, 0);
	assert_int_equal(signalled(&bench), 1);
	ask.action = VFIO_IRQ_SET_ACTION_TRIGGER;
	assert_int_equal(do_ask(&bench, &ask), 0);
	assert_int_equal(signalled(&bench), 1);
	close(bench.good);
	room_free(bench.room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(irq_table, of_a_card_with_everything),
		CASE(irq_table, of_a_device_with_messages_only),
		CASE(irq_table, of_a_conventional_one),
		CASE(irq_table, a_line_that_command_disables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
