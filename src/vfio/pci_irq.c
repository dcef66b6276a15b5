/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: GET_IRQ_INFO and the truth table of SET_IRQS, spec 05 section 7.
 *
 * At most one of INTx, MSI and MSI-X is on. A trigger with eventfds switches its mode on; the eventfds then belong to
 * the function's pci_irq, which the model signals. Masks exist for INTx alone; it masks itself at delivery.
 *
 * A block of vectors is set one after the other, as Linux does. When one fails, the vectors of that call are removed
 * (drop_block), those that had an eventfd before included; if the mode was switched on by the call, it goes off again.
 *
 * The host may have only so many vectors for all devices. A device takes those of MSI and MSI-X as its mode goes on,
 * and those that MSI-X grows by one by one; it keeps them, with an eventfd or without, until the mode goes off.
 */
#include "base/alloc.h"
#include "base/os.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

#define MSI_CONTROL  2
#define MSI_ENABLE   0x0001
#define MSIX_ENABLE  0x8000
#define MSIX_ENTRIES 0x07ff

/* One decoded SET_IRQS. */
struct irq_request {
	unsigned index, start, count;
	u32 data_type, action;
	const u8 *data; /* count bytes or count s32, or NULL */
};

static const char *const index_names[VFIO_PCI_NUM_IRQS] = {"INTx", "MSI", "MSI-X", "ERR", "REQ"};

static u16 msi_flags(const struct pci_session *session)
{
	const struct pci_function *function = session->function;

	return get_u16(function->config + function->cap_msi + MSI_CONTROL);
}

unsigned irq_count(const struct pci_session *session, unsigned index)
{
	const struct pci_function *function = session->function;

	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return session->config.shadow[PCI_INTERRUPT_PIN] != 0;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return function->cap_msi ? 1u << (msi_flags(session) >> 1 & 7) : 0;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return function->cap_msix
			       ? (get_u16(function->config + function->cap_msix + MSI_CONTROL) & MSIX_ENTRIES) + 1u
			       : 0;
	case VFIO_PCI_ERR_IRQ_INDEX:
		return pci_is_pcie(function);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	default:
		return 0;
	}
}

long pci_get_irq_info(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	const struct pci_session *session = pci_session_of(file);
	struct vfio_irq_info info = *(const struct vfio_irq_info *)(const void *)head;

	if (info.index >= VFIO_PCI_NUM_IRQS)
		return refuse(why, IRQ_UNKNOWN, "%s has no interrupt index %u, there are %u", session->device->name,
			      info.index, VFIO_PCI_NUM_IRQS);
	if (info.index == VFIO_PCI_ERR_IRQ_INDEX && !pci_is_pcie(session->function))
		return refuse(why, IRQ_UNKNOWN, "%s is no PCI Express device and reports no errors",
			      session->device->name);
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info.index != VFIO_PCI_MSIX_IRQ_INDEX) /* vectors of MSI-X come and go while it is on */
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	info.count = irq_count(session, info.index);
	return client_write(client, arg, &info, sizeof(info), why);
}

/* ---- vectors of the host ---- */

static unsigned vectors_left(const struct pci_session *session)
{
	return session->device->vfio->vector_limit - session->device->vfio->vectors_taken;
}

static bool has_vector(const struct pci_session *session, unsigned vector)
{
	return session->vectors[vector / 64] & BIT(vector % 64);
}

static void take_vectors(struct pci_session *session, unsigned start, unsigned count)
{
	for (unsigned i = start; i < start + count; i++)
		session->vectors[i / 64] |= BIT(i % 64);
	session->device->vfio->vectors_taken += count;
}

static unsigned count_vectors(const struct pci_session *session)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(session->vectors); i++)
		count += (unsigned)__builtin_popcountll(session->vectors[i]);
	return count;
}

static void give_back_vectors(struct pci_session *session)
{
	session->device->vfio->vectors_taken -= count_vectors(session);
	memset(session->vectors, 0, sizeof(session->vectors));
}

static int refuse_vectors(const struct pci_session *session, unsigned index, unsigned count, struct why *why)
{
	return refuse(why, IRQ_VECTORS_SHORT, "%s of %s asks the host for %u vectors: of its %u, %u are left",
		      index_names[index], session->device->name, count, session->device->vfio->vector_limit,
		      vectors_left(session));
}

/*
 * Before a mode goes on. More than 0 is a success in which nothing happens: so many could be had. Linux:
 * vfio_pci_intrs.c:vfio_msi_enable(); of MSI, whose vectors are one block, it tries 1 when it cannot have all.
 */
static int decode_vectors(const struct pci_session *session, unsigned index, unsigned count, struct why *why)
{
	unsigned left = vectors_left(session);
	int err;

	if (count <= left)
		return 0;
	err = refuse_vectors(session, index, count, why);
	if (!left)
		return err;
	return index == VFIO_PCI_MSI_IRQ_INDEX ? 1 : (int)left;
}

void irq_check(const struct pci_session *session)
{
	bool messages __attribute__((unused)) = session->irq_mode == PCI_IRQ_MSI || session->irq_mode == PCI_IRQ_MSIX;
	const struct vfio *vfio __attribute__((unused)) = session->device->vfio;

	assert(messages == (count_vectors(session) != 0));
	assert(count_vectors(session) <= vfio->vectors_taken && vfio->vectors_taken <= vfio->vector_limit);
	for (unsigned i = 0; i < PCI_IRQ_VECTORS; i++)
		assert(!has_vector(session, i) || i < session->function->irq.nvectors);
}

/* ---- modes ---- */

static unsigned log2_up(unsigned value)
{
	unsigned log2 = 0;

	while (1u << log2 < value)
		log2++;
	return log2;
}

/* The device's own enable bits follow the mode; its line is off while messages are on. */
static void write_enables(struct pci_session *session, enum pci_irq_mode mode, unsigned vectors)
{
	struct pci_function *function = session->function;
	bool messages = mode == PCI_IRQ_MSI || mode == PCI_IRQ_MSIX;
	u32 command = pci_command(function) & ~(u32)PCI_COMMAND_INTX_DISABLE;
	u32 flags;

	if (function->cap_msi) {
		flags = msi_flags(session) & ~(u32)(MSI_ENABLE | 0x70);
		if (mode == PCI_IRQ_MSI)
			flags |= MSI_ENABLE | log2_up(vectors) << 4;
		pci_config_write(function, function->cap_msi + MSI_CONTROL, 2, flags);
	}
	if (function->cap_msix) {
		flags = get_u16(function->config + function->cap_msix + MSI_CONTROL) & ~(u32)MSIX_ENABLE;
		pci_config_write(function, function->cap_msix + MSI_CONTROL, 2,
				 flags | (mode == PCI_IRQ_MSIX ? MSIX_ENABLE : 0));
	}
	pci_config_write(function, PCI_COMMAND, 2, command | (messages ? PCI_COMMAND_INTX_DISABLE : 0));
}

void irq_restore(struct pci_session *session)
{
	write_enables(session, session->irq_mode, session->function->irq.nvectors);
}

static int mode_enable(struct pci_session *session, enum pci_irq_mode mode, unsigned vectors, struct why *why)
{
	bool messages = mode == PCI_IRQ_MSI || mode == PCI_IRQ_MSIX;
	int err = messages ? vfio_iommufd_prepare_messages(session->device, why) : 0;

	if (err == 0)
		err = pci_irq_enable(&session->function->irq, mode, vectors, why);
	if (err < 0)
		return err;
	session->irq_mode = mode;
	if (mode == PCI_IRQ_MSI)
		session->device->msi_qmax = log2_up(vectors);
	if (messages)
		take_vectors(session, 0, vectors);
	write_enables(session, mode, vectors);
	return 0;
}

static void mode_disable(struct pci_session *session)
{
	if (session->irq_mode == PCI_IRQ_OFF)
		return;
	vfio_event_close(session->device->vfio, &session->unmask);
	write_enables(session, PCI_IRQ_OFF, 0);
	pci_irq_disable(&session->function->irq);
	give_back_vectors(session);
	session->irq_mode = PCI_IRQ_OFF;
}

void irq_fini(struct pci_session *session)
{
	mode_disable(session);
	os_close(session->err_fd);
	os_close(session->req_fd);
	session->err_fd = session->req_fd = -1;
}

static const char *mode_name(enum pci_irq_mode mode)
{
	static const char *const names[] = {
		[PCI_IRQ_OFF] = "no interrupt mode",
		[PCI_IRQ_INTX] = "INTx",
		[PCI_IRQ_MSI] = "MSI",
		[PCI_IRQ_MSIX] = "MSI-X",
	};

	return names[mode];
}

static int refuse_mode(const struct pci_session *session, const struct irq_request *request, struct why *why)
{
	if (session->irq_mode == PCI_IRQ_OFF)
		return refuse(why, IRQ_NOT_ENABLED, "%s of %s has no eventfd yet", index_names[request->index],
			      session->device->name);
	return refuse(why, IRQ_MODE_ACTIVE, "%s of %s cannot be used: %s is on", index_names[request->index],
		      session->device->name, mode_name(session->irq_mode));
}

/* The client's eventfd as ours, named in the refusal; -1 for a negative one. */
static int take_eventfd(const struct pci_session *session, struct client *client, const struct irq_request *request,
			unsigned vector, s32 fd, int *ret, struct why *why)
{
	*ret = -1;
	if (fd < 0)
		return 0;
	*ret = client->ops->get_eventfd(client, fd, why);
	if (*ret < 0)
		return why_context(why, "%s vector %u of %s", index_names[request->index], vector,
				   session->device->name);
	return 0;
}

static s32 data_fd(const struct irq_request *request, unsigned i)
{
	return (s32)get_u32(request->data + 4 * i);
}

/* ---- INTx ---- */

static void intx_mask(struct pci_session *session)
{
	pci_irq_mask_intx(&session->function->irq);
}

/* COMMAND's INTx disable keeps it masked whatever else is asked. */
static void intx_unmask(struct pci_session *session)
{
	if (!session->intx_disabled)
		pci_irq_unmask_intx(&session->function->irq);
}

void irq_intx_disable(struct pci_session *session, bool disable)
{
	if (disable == session->intx_disabled)
		return;
	session->intx_disabled = disable;
	if (session->irq_mode != PCI_IRQ_INTX)
		return;
	if (disable)
		intx_mask(session);
	else
		intx_unmask(session);
}

bool irq_intx_silence(struct pci_session *session)
{
	return session->irq_mode == PCI_IRQ_INTX && pci_irq_mask_intx(&session->function->irq);
}

void irq_intx_revive(struct pci_session *session)
{
	if (session->irq_mode == PCI_IRQ_INTX)
		intx_unmask(session);
}

static void unmask_fired(struct vfio_event *event)
{
	intx_unmask(container_of(event, struct pci_session, unmask));
}

static int unmask_by_eventfd(struct pci_session *session, struct client *client, const struct irq_request *request,
			     struct why *why)
{
	s32 fd = data_fd(request, 0);
	int own, err;

	if (fd < 0) {
		vfio_event_close(session->device->vfio, &session->unmask);
		return 0;
	}
	/* Linux looks at the descriptor first: drivers/vfio/virqfd.c:vfio_virqfd_enable(). */
	err = take_eventfd(session, client, request, 0, fd, &own, why);
	if (err < 0)
		return err;
	if (session->unmask.fd >= 0) {
		os_close(own);
		return refuse(why, UNMASK_EVENTFD_SET, "INTx of %s has an unmask eventfd already",
			      session->device->name);
	}
	session->unmask.fd = own;
	session->unmask.fire = unmask_fired;
	return vfio_event_listen(session->device->vfio, &session->unmask, why);
}

static int refuse_action(const struct irq_request *request, struct why *why)
{
	return refuse(why, IRQ_ACTION, "%s cannot do action %#x with data %#x", index_names[request->index],
		      request->action, request->data_type);
}

static int intx_mask_or_unmask(struct pci_session *session, struct client *client, const struct irq_request *request,
			       struct why *why)
{
	bool unmask = request->action == VFIO_IRQ_SET_ACTION_UNMASK;

	if (session->irq_mode != PCI_IRQ_INTX)
		return refuse_mode(session, request, why);
	if (request->start != 0 || request->count != 1)
		return refuse(why, IRQ_RANGE, "INTx of %s is one line: start 0 and count 1, not %u and %u",
			      session->device->name, request->start, request->count);
	if (request->data_type == VFIO_IRQ_SET_DATA_EVENTFD)
		return unmask ? unmask_by_eventfd(session, client, request, why) : refuse_action(request, why);
	if (request->data_type == VFIO_IRQ_SET_DATA_BOOL && !request->data[0])
		return 0;
	if (unmask)
		intx_unmask(session);
	else
		intx_mask(session);
	return 0;
}

static int intx_set_trigger(struct pci_session *session, struct client *client, const struct irq_request *request,
			    struct why *why)
{
	int fd, err = take_eventfd(session, client, request, 0, data_fd(request, 0), &fd, why);

	if (err < 0)
		return err;
	if (session->irq_mode == PCI_IRQ_OFF) {
		err = mode_enable(session, PCI_IRQ_INTX, 1, why);
		if (err < 0) {
			os_close(fd);
			return err;
		}
		if (session->intx_disabled)
			intx_mask(session);
	}
	pci_irq_set_vector(&session->function->irq, 0, fd);
	return 0;
}

static int intx_trigger(struct pci_session *session, struct client *client, const struct irq_request *request,
			struct why *why)
{
	bool on = session->irq_mode == PCI_IRQ_INTX;

	if (on && !request->count && request->data_type == VFIO_IRQ_SET_DATA_NONE) {
		mode_disable(session);
		return 0;
	}
	if (!on && session->irq_mode != PCI_IRQ_OFF)
		return refuse_mode(session, request, why);
	if (request->start != 0 || request->count != 1)
		return refuse(why, IRQ_RANGE, "INTx of %s is one line: start 0 and count 1, not %u and %u",
			      session->device->name, request->start, request->count);
	if (request->data_type == VFIO_IRQ_SET_DATA_EVENTFD)
		return intx_set_trigger(session, client, request, why);
	if (!on)
		return refuse_mode(session, request, why);
	/* COMMAND's INTx disable silences it, its mask does not. */
	if (!session->intx_disabled && (request->data_type == VFIO_IRQ_SET_DATA_NONE || request->data[0]))
		pci_irq_loopback(&session->function->irq, 0);
	return 0;
}

/* ---- MSI and MSI-X ---- */

/* One that was not among those the mode went on with. Linux: vfio_pci_intrs.c:vfio_msi_alloc_irq() */
static int add_vector(struct pci_session *session, unsigned index, unsigned vector, struct why *why)
{
	struct pci_irq *irq = &session->function->irq;
	int err = 0;

	if (index == VFIO_PCI_MSI_IRQ_INDEX)
		return refuse(why, IRQ_NO_GROWTH, "MSI of %s was enabled with %u vectors, %u is not among them",
			      session->device->name, irq->nvectors, vector);
	if (!vectors_left(session))
		return refuse_vectors(session, index, 1, why);
	if (vector >= irq->nvectors)
		err = pci_irq_grow(irq, vector + 1, why);
	if (err == 0)
		take_vectors(session, vector, 1);
	return err;
}

static int set_vector(struct pci_session *session, struct client *client, const struct irq_request *request,
		      unsigned vector, s32 fd, struct why *why)
{
	struct pci_irq *irq = &session->function->irq;
	int own, err = 0;

	if (vector < irq->nvectors)
		pci_irq_set_vector(irq, vector, -1);
	if (fd < 0)
		return 0;
	if (!has_vector(session, vector))
		err = add_vector(session, request->index, vector, why);
	if (err == 0)
		err = take_eventfd(session, client, request, vector, fd, &own, why);
	if (err < 0)
		return err;
	pci_irq_set_vector(irq, vector, own);
	return 0;
}

static void drop_block(struct pci_session *session, unsigned start, unsigned count)
{
	struct pci_irq *irq = &session->function->irq;

	for (unsigned i = 0; i < count && start + i < irq->nvectors; i++)
		pci_irq_set_vector(irq, start + i, -1);
}

static int set_block(struct pci_session *session, struct client *client, const struct irq_request *request,
		     struct why *why)
{
	for (unsigned i = 0; i < request->count; i++) {
		int err = set_vector(session, client, request, request->start + i, data_fd(request, i), why);

		if (err < 0) {
			drop_block(session, request->start, i + 1);
			return err;
		}
	}
	return 0;
}

static int message_set_triggers(struct pci_session *session, struct client *client, const struct irq_request *request,
				enum pci_irq_mode mode, struct why *why)
{
	unsigned count = request->start + request->count;
	int err;

	if (session->irq_mode == mode)
		return set_block(session, client, request, why);
	if (!count)
		return refuse(why, IRQ_NO_VECTORS, "%s of %s cannot be enabled with 0 vectors",
			      index_names[request->index], session->device->name);
	err = decode_vectors(session, request->index, count, why);
	if (err == 0)
		err = mode_enable(session, mode, count, why);
	if (err != 0)
		return err;
	err = set_block(session, client, request, why);
	if (err < 0)
		mode_disable(session);
	return err;
}

static int message_trigger(struct pci_session *session, struct client *client, const struct irq_request *request,
			   struct why *why)
{
	enum pci_irq_mode mode = request->index == VFIO_PCI_MSI_IRQ_INDEX ? PCI_IRQ_MSI : PCI_IRQ_MSIX;
	struct pci_irq *irq = &session->function->irq;
	bool on = session->irq_mode == mode;

	if (on && !request->count && request->data_type == VFIO_IRQ_SET_DATA_NONE) {
		mode_disable(session);
		return 0;
	}
	if (!on && session->irq_mode != PCI_IRQ_OFF)
		return refuse_mode(session, request, why);
	if (request->data_type == VFIO_IRQ_SET_DATA_EVENTFD)
		return message_set_triggers(session, client, request, mode, why);
	if (!on)
		return refuse_mode(session, request, why);
	for (unsigned i = 0; i < request->count && request->start + i < irq->nvectors; i++)
		if (request->data_type == VFIO_IRQ_SET_DATA_NONE || request->data[i])
			pci_irq_loopback(irq, request->start + i);
	return 0;
}

/* ---- ERR and REQ: one eventfd each, no mode ---- */

static int notify_none(const struct pci_session *session, const struct irq_request *request, int *fd, struct why *why)
{
	if (*fd < 0)
		return refuse(why, IRQ_NOT_ENABLED, "%s of %s has no eventfd yet", index_names[request->index],
			      session->device->name);
	if (request->count) {
		os_eventfd_signal(*fd);
	} else {
		os_close(*fd);
		*fd = -1;
	}
	return 0;
}

static int notify_set(const struct pci_session *session, struct client *client, const struct irq_request *request,
		      int *fd, struct why *why)
{
	s32 wanted = data_fd(request, 0);
	int own, err;

	if (wanted < -1)
		return refuse(why, IRQ_RANGE, "%s of %s: %d is neither a descriptor nor -1",
			      index_names[request->index], session->device->name, wanted);
	err = take_eventfd(session, client, request, 0, wanted, &own, why);
	if (err < 0)
		return err;
	os_close(*fd);
	*fd = own;
	return 0;
}

static int notify_trigger(struct pci_session *session, struct client *client, const struct irq_request *request,
			  struct why *why)
{
	int *fd = request->index == VFIO_PCI_ERR_IRQ_INDEX ? &session->err_fd : &session->req_fd;

	/* There is one vector, so start is 0 and count at most 1. */
	if (request->data_type == VFIO_IRQ_SET_DATA_NONE)
		return notify_none(session, request, fd, why);
	if (!request->count)
		return refuse(why, IRQ_RANGE, "%s of %s: count is 0, which only goes with no data",
			      index_names[request->index], session->device->name);
	if (request->data_type == VFIO_IRQ_SET_DATA_EVENTFD)
		return notify_set(session, client, request, fd, why);
	if (request->data[0] && *fd >= 0)
		os_eventfd_signal(*fd);
	return 0;
}

/* ---- SET_IRQS ---- */

static int decode_head(const struct pci_session *session, const struct vfio_irq_set *set, struct why *why)
{
	u32 known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	unsigned count;

	if (set->index >= VFIO_PCI_NUM_IRQS)
		return refuse(why, IRQ_UNKNOWN, "%s has no interrupt index %u, there are %u", session->device->name,
			      set->index, VFIO_PCI_NUM_IRQS);
	count = irq_count(session, set->index);
	if (set->count >= UINT32_MAX - set->start)
		return refuse(why, IRQ_RANGE, "%s of %s: start %u and count %u pass 2^32", index_names[set->index],
			      session->device->name, set->start, set->count);
	if (set->flags & ~known)
		return refuse(why, IRQ_FLAGS, "flags %#x: bits %#x are unknown", set->flags, set->flags & ~known);
	if (set->start >= count || set->start + set->count > count)
		return refuse(why, IRQ_RANGE, "%s of %s has %u vectors, not start %u and count %u",
			      index_names[set->index], session->device->name, count, set->start, set->count);
	return 0;
}

/* Bytes of data, for a data type that is exactly one. */
static int decode_data_size(const struct vfio_irq_set *set, size_t *ret, struct why *why)
{
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		*ret = 0;
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		*ret = set->count;
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		*ret = sizeof(s32) * set->count;
		break;
	default:
		return refuse(why, IRQ_FLAGS, "flags %#x are not exactly one of DATA_NONE, DATA_BOOL and DATA_EVENTFD",
			      set->flags);
	}
	if (set->argsz - sizeof(*set) < *ret)
		return refuse(why, ARGSZ_SHORT, "VFIO_DEVICE_SET_IRQS: argsz is %u, %zu are needed for %u vectors",
			      set->argsz, sizeof(*set) + *ret, set->count);
	return 0;
}

static int perform(struct pci_session *session, struct client *client, const struct irq_request *request,
		   struct why *why)
{
	bool trigger = request->action == VFIO_IRQ_SET_ACTION_TRIGGER;

	switch (request->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		if (trigger)
			return intx_trigger(session, client, request, why);
		if (request->action == VFIO_IRQ_SET_ACTION_MASK || request->action == VFIO_IRQ_SET_ACTION_UNMASK)
			return intx_mask_or_unmask(session, client, request, why);
		break;
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		if (trigger)
			return message_trigger(session, client, request, why);
		break;
	default:
		if (trigger)
			return notify_trigger(session, client, request, why);
		break;
	}
	return refuse_action(request, why);
}

long pci_set_irqs(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct pci_session *session = pci_session_of(file);
	const struct vfio_irq_set *set = (const void *)head;
	_memory_ u8 *data = NULL;
	size_t size = 0;
	int err = decode_head(session, set, why);

	if (err == 0)
		err = decode_data_size(set, &size, why);
	if (err < 0)
		return err;
	if (size) {
		data = alloc_zero(size, why);
		if (!data)
			return -why->err;
		err = client_read(client, arg + sizeof(*set), data, size, why);
		if (err < 0)
			return err;
	}
	return perform(session, client,
		       &(struct irq_request){
			       .index = set->index,
			       .start = set->start,
			       .count = set->count,
			       .data_type = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK,
			       .action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK,
			       .data = data,
		       },
		       why);
}
