/* SPDX-License-Identifier: MIT */
/*
 * The stream of a migration: what a program reads from one device and writes to another, here or elsewhere.
 *
 * It is a sequence of records, each with a head and up to PCI_MIGRATION_RECORD bytes. All numbers are little-endian.
 *
 *	u32 type, u32 size	of what follows the head
 *	u64 number		from 0 on, one more each
 *	u64 checksum		of all before it and of what follows (64-bit FNV-1a)
 *
 * First HELLO: whose stream it is. Then any number of BULK, and one LAST: both are the model's. Whoever reads does not
 * see the records: they are made one at a time as bytes are asked for, and taken apart so on the other side, where a
 * record is looked at when its last byte is there. A BULK record becomes the device's at once, LAST when RESUMING is
 * left.
 *
 * After the first lie nothing more is believed: the rest is refused with the same reason.
 */
#include <poll.h>

#include "base/alloc.h"
#include "base/os.h"
#include "vfio/ioctl.h"
#include "vfio/migration.h"
#include "vfio/pci.h"

enum record_type { RECORD_HELLO = 1, RECORD_BULK, RECORD_LAST };

enum {
	HEAD = 24,
	HEAD_NUMBER = 8,
	HEAD_CHECKSUM = 16,
	HELLO = 32,
	HELLO_VERSION = 8,
	HELLO_VENDOR = 12,
	HELLO_DEVICE = 14,
	HELLO_MODEL = 16,
	VERSION = 1,
	MODE_0600 = 0600,
};

static const char magic[8] = {'i', 's', 'o', 'l', 'd', 'e', 'm', 'g'};

/* What a program has of a transfer. */
struct transfer_handle {
	struct file file;		     /* first */
	struct migration_transfer *transfer; /* borrowed; NULL: it is over */
	struct vfio *vfio;		     /* borrowed */
	const struct vfio_device *device;    /* of vfio->devices, if it is still there */
	bool saving;
	bool given; /* the table of files has it, and ends it */
};

struct migration_transfer {
	struct pci_session *session;	/* borrowed */
	struct transfer_handle *handle; /* NULL: nobody has the descriptor any more */
	bool saving;
	u64 number;	/* of the next record */
	bool greeted;	/* HELLO has been made, or come */
	bool complete;	/* so has LAST */
	bool begun;	/* saving: the model was told, and is to be told of the end */
	u64 initial;	/* saving: of what was there at first, bytes not read yet */
	struct why bad; /* resuming: why nothing is believed any more */
	size_t done;	/* of the record in work: bytes read out, or come in */
	size_t size; /* saving: of the record with its head; resuming: what it has, or its head if that is not there */
	u8 record[HEAD + PCI_MIGRATION_RECORD];
};

static const struct pci_migration_ops *ops_of(const struct migration_transfer *transfer)
{
	return transfer->session->function->migration;
}

/* ---- records ---- */

static u64 hash(u64 seed, const u8 *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ bytes[i]) * 0x100000001b3;
	return seed;
}

static u64 checksum(const u8 *record, size_t size)
{
	return hash(hash(0xcbf29ce484222325, record, HEAD_CHECKSUM), record + HEAD, size - HEAD);
}

static void fill_hello(const struct pci_function *function, u8 *payload)
{
	memset(payload, 0, HELLO);
	memcpy(payload, magic, sizeof(magic));
	put_u32(payload + HELLO_VERSION, VERSION);
	memcpy(payload + HELLO_VENDOR, function->config + PCI_VENDOR_ID, 2);
	memcpy(payload + HELLO_DEVICE, function->config + PCI_DEVICE_ID, 2);
	snprintf((char *)payload + HELLO_MODEL, HELLO - HELLO_MODEL, "%s", function->ops->name);
}

/* ---- out of the device ---- */

static bool is_stopped(const struct migration_transfer *transfer)
{
	return transfer->session->migration.state == VFIO_DEVICE_STATE_STOP_COPY;
}

/* 0: there is none now. */
static size_t fill_payload(struct migration_transfer *transfer, u8 *payload, enum record_type *ret)
{
	struct pci_function *function = transfer->session->function;
	size_t size;

	if (!transfer->greeted) {
		fill_hello(function, payload);
		transfer->greeted = true;
		*ret = RECORD_HELLO;
		return HELLO;
	}
	*ret = RECORD_BULK;
	size = ops_of(transfer)->send ? ops_of(transfer)->send(function, payload) : 0;
	if (size || !is_stopped(transfer) || transfer->complete)
		return size;
	*ret = RECORD_LAST;
	transfer->complete = true;
	return ops_of(transfer)->save(function, payload);
}

/* The next record into its place; false: there is none now. */
static bool make_record(struct migration_transfer *transfer)
{
	enum record_type type;
	size_t size = fill_payload(transfer, transfer->record + HEAD, &type);

	if (!size)
		return false;
	assert(size <= PCI_MIGRATION_RECORD);
	put_u32(transfer->record, type);
	put_u32(transfer->record + 4, (u32)size);
	put_u64(transfer->record + HEAD_NUMBER, transfer->number++);
	transfer->size = HEAD + size;
	transfer->done = 0;
	put_u64(transfer->record + HEAD_CHECKSUM, checksum(transfer->record, transfer->size));
	return true;
}

static size_t read_records(struct migration_transfer *transfer, u8 *to, size_t room)
{
	size_t done = 0;

	while (done < room && (transfer->done < transfer->size || make_record(transfer))) {
		size_t size = min_u64(room - done, transfer->size - transfer->done);

		memcpy(to + done, transfer->record + transfer->done, size);
		transfer->done += size;
		done += size;
	}
	transfer->initial -= min_u64(transfer->initial, done);
	return done;
}

/* With the heads of the records it takes. */
static u64 framed(u64 bulk)
{
	return bulk + (bulk + PCI_MIGRATION_RECORD - 1) / PCI_MIGRATION_RECORD * HEAD;
}

static u64 pending_bulk(const struct pci_session *session)
{
	const struct pci_migration_ops *ops = session->function->migration;

	return ops->pending ? framed(ops->pending(session->function)) : 0;
}

u64 transfer_size(const struct pci_session *session)
{
	return HEAD + HELLO + pending_bulk(session) + HEAD + PCI_MIGRATION_RECORD;
}

/* What a read would get now, as long as the device runs. */
static u64 readable(const struct migration_transfer *transfer)
{
	return transfer->size - transfer->done + (transfer->greeted ? 0 : HEAD + HELLO) +
	       pending_bulk(transfer->session);
}

/* ---- into the device ---- */

static int decode_head(const struct migration_transfer *transfer, struct why *why)
{
	const char *name = transfer->session->device->name;
	u32 type = get_u32(transfer->record), size = get_u32(transfer->record + 4);
	u64 number = get_u64(transfer->record + HEAD_NUMBER);

	if (transfer->complete)
		return refuse(why, MIGRATION_STREAM, "%s: the stream goes on behind its last record", name);
	if (number != transfer->number)
		return refuse(why, MIGRATION_STREAM, "%s: record %llu of the stream says that it is number %llu", name,
			      (unsigned long long)transfer->number, (unsigned long long)number);
	if (type < RECORD_HELLO || type > RECORD_LAST || (type == RECORD_HELLO) != !number)
		return refuse(why, MIGRATION_STREAM, "%s: record %llu of the stream has type %u", name,
			      (unsigned long long)number, type);
	if (!size || size > PCI_MIGRATION_RECORD || (type == RECORD_HELLO && size != HELLO))
		return refuse(why, MIGRATION_STREAM, "%s: record %llu of the stream has %u bytes", name,
			      (unsigned long long)number, size);
	return 0;
}

static int decode_hello(const struct migration_transfer *transfer, struct why *why)
{
	const struct vfio_device *device = transfer->session->device;
	const u8 *given = transfer->record + HEAD;
	u8 own[HELLO];

	fill_hello(device->function, own);
	if (memcmp(given, own, sizeof(magic)) != 0)
		return refuse(why, MIGRATION_STREAM, "%s: that is no stream of isolde's", device->name);
	if (get_u32(given + HELLO_VERSION) != VERSION)
		return refuse(why, MIGRATION_STREAM, "%s: the stream has version %u, known is %u", device->name,
			      get_u32(given + HELLO_VERSION), VERSION);
	if (memcmp(given, own, HELLO) != 0)
		return refuse(why, MIGRATION_STREAM, "%s is %04x:%04x, model %s; the stream is of %04x:%04x",
			      device->name, get_u16(own + HELLO_VENDOR), get_u16(own + HELLO_DEVICE),
			      device->function->ops->name, get_u16(given + HELLO_VENDOR),
			      get_u16(given + HELLO_DEVICE));
	return 0;
}

static int take_bulk(const struct migration_transfer *transfer, struct why *why)
{
	struct pci_session *session = transfer->session;

	if (!ops_of(transfer)->receive)
		return refuse(why, MIGRATION_STREAM, "%s has no bulk to restore", session->device->name);
	return ops_of(transfer)->receive(session->function, transfer->record + HEAD, transfer->size - HEAD, why);
}

/* A whole record; LAST stays where it is. */
static int take_record(struct migration_transfer *transfer, struct why *why)
{
	int err = 0;

	if (checksum(transfer->record, transfer->size) != get_u64(transfer->record + HEAD_CHECKSUM))
		return refuse(why, MIGRATION_STREAM, "%s: the checksum of record %llu of the stream is wrong",
			      transfer->session->device->name, (unsigned long long)transfer->number);
	switch (get_u32(transfer->record)) {
	case RECORD_HELLO:
		err = decode_hello(transfer, why);
		break;
	case RECORD_BULK:
		err = take_bulk(transfer, why);
		break;
	default:
		transfer->complete = true;
	}
	if (err < 0)
		return err;
	transfer->number++;
	if (transfer->complete)
		return 0;
	transfer->done = 0;
	transfer->size = HEAD;
	return 0;
}

static int write_piece(struct migration_transfer *transfer, const u8 *from, size_t size, struct why *why)
{
	int err;

	memcpy(transfer->record + transfer->done, from, size);
	transfer->done += size;
	if (transfer->done < transfer->size)
		return 0;
	if (transfer->size == HEAD) {
		err = decode_head(transfer, why);
		if (err == 0)
			transfer->size += get_u32(transfer->record + 4);
		return err;
	}
	return take_record(transfer, why);
}

static int write_records(struct migration_transfer *transfer, const u8 *from, size_t size, struct why *why)
{
	size_t done = 0;

	while (done < size) {
		size_t piece = min_u64(size - done, transfer->size - transfer->done);
		int err;

		if (transfer->complete)
			return refuse(why, MIGRATION_STREAM, "%s: the stream goes on behind its last record",
				      transfer->session->device->name);
		err = write_piece(transfer, from + done, piece, why);
		if (err < 0)
			return err;
		done += piece;
	}
	return 0;
}

int transfer_load(struct migration_transfer *transfer, struct why *why)
{
	struct pci_session *session = transfer->session;

	if (transfer->bad.code != WHY_NONE) {
		*why = transfer->bad;
		return -why->err;
	}
	if (!transfer->complete)
		return refuse(why, MIGRATION_INCOMPLETE,
			      "%s: the stream has ended in record %llu, which is not its last", session->device->name,
			      (unsigned long long)transfer->number);
	return ops_of(transfer)->load(session->function, transfer->record + HEAD, transfer->size - HEAD, why);
}

/* ---- the file ---- */

static struct transfer_handle *handle_of(struct file *file)
{
	return container_of(file, struct transfer_handle, file);
}

static int decode_transfer(const struct transfer_handle *handle, bool saving, struct why *why)
{
	if (handle->saving != saving)
		return refuse(why, MIGRATION_DIRECTION, "%s is for %s", handle->file.path,
			      handle->saving ? "reading" : "writing");
	if (!handle->transfer)
		return refuse(why, MIGRATION_OVER, "the transfer that %s was opened for is over", handle->file.path);
	return 0;
}

static s64 transfer_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	const struct transfer_handle *handle = handle_of(file);
	int err = decode_transfer(handle, true, why);
	size_t done;

	if (err < 0 || !size)
		return err;
	done = read_records(handle->transfer, buffer, size);
	if (done || is_stopped(handle->transfer))
		return (s64)done;
	return refuse(why, MIGRATION_NOTHING_YET, "%s in %s: all that there is has been read",
		      handle->transfer->session->device->name,
		      migration_state_name(handle->transfer->session->migration.state));
}

static s64 transfer_write(struct file *file, u64 offset, const void *buffer, size_t size, struct why *why)
{
	const struct transfer_handle *handle = handle_of(file);
	int err = decode_transfer(handle, false, why);

	if (err < 0)
		return err;
	if (handle->transfer->bad.code == WHY_NONE) {
		err = write_records(handle->transfer, buffer, size, why);
		if (err == 0)
			return (s64)size;
		handle->transfer->bad = *why;
	}
	*why = handle->transfer->bad;
	return -why->err;
}

/* Neither side ever waits. */
static unsigned transfer_poll(struct file *file)
{
	return handle_of(file)->saving ? POLLIN : POLLOUT;
}

static long transfer_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	if (!handle_of(file)->saving)
		return refuse(why, IOCTL_UNKNOWN, "%s is for writing, and has no request %#x", file->path, cmd);
	return vfio_ioctl_dispatch(VFIO_KIND_TRANSFER, file, client, cmd, arg, why);
}

static bool in_precopy(const struct transfer_handle *handle)
{
	const struct vfio_device *device;

	list_for_each(device, &handle->vfio->devices, link)
		if (device == handle->device && device->session)
			return device->session->migration.state == VFIO_DEVICE_STATE_PRE_COPY ||
			       device->session->migration.state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
	return false;
}

/* Linux: include/linux/vfio.h:vfio_check_precopy_ioctl(), then its caller */
long migration_precopy_info(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			    struct why *why)
{
	const struct transfer_handle *handle = handle_of(file);
	const struct migration_transfer *transfer = handle->transfer;
	struct vfio_precopy_info info;
	int err;

	memcpy(&info, head->bytes, sizeof(info));
	if (!in_precopy(handle))
		return refuse(why, MIGRATION_NOT_PRECOPY, "%s is of a device that is not in PRE_COPY", file->path);
	err = decode_transfer(handle, true, why);
	if (err < 0)
		return err;
	/* Who has not said that he looks at the flags gets back what he put there. */
	if (transfer->session->migration.told)
		info.flags = 0;
	info.dirty_bytes = readable(transfer);
	info.initial_bytes = min_u64(transfer->initial, info.dirty_bytes);
	info.dirty_bytes -= info.initial_bytes;
	return client_write(client, arg, &info, sizeof(info), why);
}

static void handle_free(struct transfer_handle *handle)
{
	os_close(handle->file.memfd);
	free(handle);
}

static void transfer_release(struct file *file)
{
	struct transfer_handle *handle = handle_of(file);

	if (handle->transfer)
		handle->transfer->handle = NULL;
	handle_free(handle);
}

const struct file_ops transfer_file_ops = {
	.kind = "migration stream",
	.ioctl = transfer_ioctl,
	.read = transfer_read,
	.write = transfer_write,
	.poll = transfer_poll,
	.release = transfer_release,
};

bool transfer_file_is_saving(const struct file *file)
{
	return ((const struct transfer_handle *)(const void *)file)->saving;
}

/* ---- life ---- */

int transfer_new(struct pci_session *session, bool saving, struct migration_transfer **ret, struct why *why)
{
	struct migration_transfer *transfer = alloc_new(struct migration_transfer, why);
	struct transfer_handle *handle = transfer ? alloc_new(struct transfer_handle, why) : NULL;

	if (!handle) {
		free(transfer);
		return -why->err;
	}
	file_init(&handle->file, &transfer_file_ops, "anon_inode:isolde_mig", MODE_0600, 0);
	handle->transfer = transfer;
	handle->device = session->device;
	handle->vfio = session->device->vfio;
	handle->saving = transfer->saving = saving;
	transfer->handle = handle;
	transfer->session = session;
	transfer->bad = (struct why)WHY_INIT;
	transfer->size = saving ? 0 : HEAD;
	*ret = transfer;
	return 0;
}

int transfer_give(struct migration_transfer *transfer, struct client *client, struct why *why)
{
	int fd = client->ops->install_file(client, &transfer->handle->file, true, why);

	transfer->handle->given = fd >= 0;
	return fd;
}

void transfer_begin(struct migration_transfer *transfer)
{
	struct pci_function *function = transfer->session->function;

	if (!transfer->saving) {
		if (ops_of(transfer)->receive_start)
			ops_of(transfer)->receive_start(function);
		return;
	}
	if (ops_of(transfer)->send_start)
		ops_of(transfer)->send_start(function);
	transfer->initial = readable(transfer);
	transfer->begun = true;
}

void transfer_free(struct migration_transfer *transfer)
{
	if (!transfer)
		return;
	if (transfer->begun && ops_of(transfer)->send_stop)
		ops_of(transfer)->send_stop(transfer->session->function);
	if (transfer->handle && transfer->handle->given)
		transfer->handle->transfer = NULL;
	else if (transfer->handle)
		handle_free(transfer->handle);
	free(transfer);
}

bool transfer_is_saving(const struct migration_transfer *transfer)
{
	return transfer->saving;
}
