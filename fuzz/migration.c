/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller that is moved by somebody who means it ill: states in any order, streams that are noise, streams
 * whose frames are right and whose contents are not. All invariants are checked after each step.
 *
 * Input: steps, each a byte that says which and what it needs from the bytes behind it.
 */
#include "dev/nvme.h"
#include "tests/fixtures/room.h"

#define S(name) VFIO_DEVICE_STATE_##name

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 24, CHUNK = 64 << 10, RECORD_BULK = 2, RECORD_LAST = 3 };

struct mischief {
	struct room *room;
	struct room_device opened;
	int stream; /* the newest; -1: none yet */
	u64 number; /* of the next record */
	const u8 *data;
	size_t size;
	size_t hello_size, state_size;
	u8 hello[64];
	u8 state[PCI_MIGRATION_RECORD];
	u8 record[HEAD + PCI_MIGRATION_RECORD];
};

static u8 next(struct mischief *m)
{
	if (!m->size)
		return 0;
	m->size--;
	return *m->data++;
}

static u64 next_u16(struct mischief *m)
{
	u64 low = next(m);

	return low | (u64)next(m) << 8;
}

static void set_state(struct mischief *m, u32 state)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_mig_state mig;
	} set = {{sizeof(set), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
		 {.device_state = state, .data_fd = -1}};

	room_ioctl(m->room, m->opened.device, VFIO_DEVICE_FEATURE, &set);
	if (set.mig.data_fd < 0)
		return;
	if (m->stream >= 0)
		room_close(m->room, m->stream);
	m->stream = set.mig.data_fd;
	m->number = 0;
}

/* A record around the payload that is in its place. */
static size_t frame(struct mischief *m, u32 type, size_t size)
{
	u64 hash = 0xcbf29ce484222325;

	put_u32(m->record, type);
	put_u32(m->record + 4, (u32)size);
	put_u64(m->record + 8, m->number++);
	for (size_t i = 0; i < HEAD + size; i++)
		if (i < 16 || i >= HEAD)
			hash = (hash ^ m->record[i]) * 0x100000001b3;
	put_u64(m->record + 16, hash);
	return HEAD + size;
}

static void write_stream(struct mischief *m, const u8 *bytes, size_t size)
{
	if (m->stream >= 0)
		room_write(m->room, m->stream, 0, bytes, size);
}

static void write_hello(struct mischief *m)
{
	m->number = 0;
	memcpy(m->record + HEAD, m->hello, m->hello_size);
	write_stream(m, m->record, frame(m, 1, m->hello_size));
}

/* The state of a controller that has queues, with some bytes changed. */
static void write_state(struct mischief *m)
{
	unsigned changes = next(m) % 16;

	memcpy(m->record + HEAD, m->state, m->state_size);
	for (unsigned i = 0; i < changes; i++) {
		u64 at = next_u16(m) % m->state_size;

		m->record[HEAD + at] = next(m);
	}
	write_stream(m, m->record, frame(m, RECORD_LAST, m->state_size - (changes == 15)));
}

static void write_bulk(struct mischief *m)
{
	u64 offset = next_u16(m) << next(m) % 32, size = next(m) & 1 ? CHUNK : next_u16(m);

	put_u64(m->record + HEAD, offset);
	memset(m->record + HEAD + 8, next(m), size);
	write_stream(m, m->record, frame(m, RECORD_BULK, 8 + size));
}

static void write_noise(struct mischief *m)
{
	size_t wanted = next(m), size = min_u64(wanted, m->size);

	write_stream(m, m->data, size);
	m->data += size;
	m->size -= size;
}

static void read_stream(struct mischief *m)
{
	struct vfio_precopy_info info = {.argsz = sizeof(info)};

	if (m->stream < 0)
		return;
	room_ioctl(m->room, m->stream, VFIO_MIG_GET_PRECOPY_INFO, &info);
	room_read(m->room, m->stream, 0, m->record, next_u16(m));
}

/* What a program stores meanwhile. */
static void store(struct mischief *m)
{
	u32 value = (u32)next_u16(m);

	room_write(m->room, m->opened.device, next_u16(m) % 0x2000 & ~3ull, &value, sizeof(value));
}

static bool step(struct mischief *m)
{
	if (!m->size)
		return false;
	switch (next(m) % 9) {
	case 0:
		set_state(m, next(m) % 9);
		break;
	case 1:
		set_state(m, S(RESUMING));
		write_hello(m);
		break;
	case 2:
		write_state(m);
		break;
	case 3:
		write_bulk(m);
		break;
	case 4:
		write_noise(m);
		break;
	case 5:
		read_stream(m);
		break;
	case 6:
		room_ioctl(m->room, m->opened.device, VFIO_DEVICE_RESET, NULL);
		break;
	case 7:
		store(m);
		break;
	default:
		set_state(m, S(RUNNING));
	}
	room_check(m->room);
	return true;
}

static struct nvme *attach_model(struct mischief *m)
{
	struct iommu_device *device = room_device(m->room, ROOM_NVME);
	const struct model_options options = {2, {{"size", "1M"}, {"migration", "true"}}};
	struct why why = WHY_INIT;

	ASSERT_OK(why, nvme_model.attach(device->function, device->port, &options, &why));
	return device->function->model;
}

/* What a controller with three queues would save, and the greeting that goes with it. */
static void prepare(struct mischief *m, struct nvme *nvme)
{
	struct pci_function *function = nvme->function;

	set_state(m, S(STOP_COPY));
	m->hello_size = (size_t)room_read(m->room, m->stream, 0, m->record, HEAD + 32) - HEAD;
	memcpy(m->hello, m->record + HEAD, m->hello_size);
	worker_lock(&nvme->worker);
	nvme->cc = 0x00460001;
	nvme->csts = NVME_CSTS_RDY;
	nvme_cq_make(nvme, 0, 0x1000, 32, true, 0);
	nvme_sq_make(nvme, 0, 0x2000, 32, 0);
	nvme_cq_make(nvme, 1, 0x3000, 16, true, 1);
	nvme_sq_make(nvme, 1, 0x4000, 16, 1);
	worker_unlock(&nvme->worker);
	m->state_size = function->migration->save(function, m->state);
	room_ioctl(m->room, m->opened.device, VFIO_DEVICE_RESET, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mischief *m = calloc(1, sizeof(*m));
	struct nvme *nvme;

	m->room = room_new();
	m->stream = -1;
	m->data = data;
	m->size = size;
	nvme = attach_model(m);
	m->opened = room_open_device(m->room, ROOM_NVME, VFIO_TYPE1v2_IOMMU);
	prepare(m, nvme);
	room_set_config(m->room, m->opened.device, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	while (step(m))
		;
	if (m->stream >= 0)
		room_close(m->room, m->stream);
	room_close_device(m->room, &m->opened);
	room_free(m->room);
	free(m);
	return 0;
}
