/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_FEATURE: spec 05 section 11. Plain vfio-pci has the three low-power features, each only to be set, and
 * dma-bufs of its BARs, only to be got (pci_dmabuf.c); a device that can be moved has those of migration and of logging
 * besides (migration.c, dma_logging.c). A device in low power has no pages to map; every request and
 * access wakes it for its duration, and ends the variant with a wake-up eventfd.
 */
#include "vfio/feature.h"

#include "base/os.h"
#include "vfio/dma_logging.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

#define KNOWN_FLAGS                                                                                                    \
	(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE)
#define DIRECTIONS (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET)

struct feature {
	const char *name;
	u32 directions; /* 0: no device here has it */
	u32 payload;
	long (*perform)(const struct feature_request *request, struct why *why);
	/* Does the device have it? What is left out, all have that are vfio-pci's. */
	bool (*is_there)(const struct vfio_device *device);
};

static int enter(struct pci_session *session, enum low_power kind, int wake_fd, struct why *why)
{
	if (session->low_power != LOW_POWER_NONE)
		return refuse(why, LOW_POWER_ENGAGED, "%s is in low power already", session->device->name);
	session->low_power = kind;
	session->wake_fd = wake_fd;
	backing_update(session);
	return 0;
}

/*
 * Virtual functions keep it awake (vfio_pci_core_sriov_configure()), and so does power/control; disable_idle_d3 is for
 * closed devices.
 */
static bool may_suspend(const struct vfio_device *device)
{
	return !device->kept_awake && !(device->token && device->token->sriov);
}

/* Linux: drivers/vfio/pci/vfio_pci_core.c:vfio_pci_core_runtime_suspend() */
void low_power_suspend(struct pci_session *session)
{
	if (session->low_power == LOW_POWER_NONE || session->suspended || !may_suspend(session->device))
		return;
	session->suspended = true;
	power_up(session->device);
	session->intx_silent = irq_intx_silence(session);
}

static void resume(struct pci_session *session)
{
	bool silent = session->intx_silent;

	session->suspended = session->intx_silent = false;
	if (silent)
		irq_intx_revive(session);
}

static long set_entry(const struct feature_request *request, struct why *why)
{
	return enter(request->session, LOW_POWER_ENTRY, -1, why);
}

static long set_entry_with_wakeup(const struct feature_request *request, struct why *why)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	int fd, err = client_read(request->client, request->data, &entry, sizeof(entry), why);

	if (err < 0)
		return err;
	if (entry.wakeup_eventfd < 0)
		return refuse(why, FEATURE_DATA, "the wake-up eventfd of %s is %d", request->session->device->name,
			      entry.wakeup_eventfd);
	fd = request->client->ops->get_eventfd(request->client, entry.wakeup_eventfd, why);
	if (fd < 0)
		return fd;
	err = enter(request->session, LOW_POWER_WAKEUP, fd, why);
	if (err < 0)
		os_close(fd);
	return err;
}

void low_power_exit(struct pci_session *session)
{
	if (session->low_power == LOW_POWER_NONE)
		return;
	session->low_power = LOW_POWER_NONE;
	os_close(session->wake_fd);
	session->wake_fd = -1;
	resume(session);
	backing_update(session);
}

void low_power_resume(struct pci_session *session)
{
	if (!session->suspended)
		return;
	if (session->low_power != LOW_POWER_WAKEUP) {
		resume(session);
		return;
	}
	os_eventfd_signal(session->wake_fd);
	low_power_exit(session);
}

static long set_exit(const struct feature_request *request, struct why *why)
{
	low_power_exit(request->session);
	return 0;
}

static long get_dma_buf(const struct feature_request *request, struct why *why)
{
	return dmabuf_get(request->session, request->client, request->data, why);
}

static bool is_movable(const struct vfio_device *device)
{
	return migration_flags(device) != 0;
}

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET

/* At any time, and from then on: whoever has a virtual function open keeps it. */
static long set_token(const struct feature_request *request, struct why *why)
{
	struct vf_token *token = request->session->device->token;
	u8 uuid[VF_TOKEN_SIZE];
	int err = client_read(request->client, request->data, uuid, sizeof(uuid), why);

	if (err < 0)
		return err;
	memcpy(token->uuid, uuid, sizeof(uuid));
	return 0;
}

/* Only physical functions have one. */
static bool has_token(const struct vfio_device *device)
{
	return device->token && !device->soft;
}

/* The one without a direction belongs to other drivers. */
static const struct feature features[] = {
	[VFIO_DEVICE_FEATURE_PCI_VF_TOKEN] = {"PCI_VF_TOKEN", SET, VF_TOKEN_SIZE, set_token, has_token},
	[VFIO_DEVICE_FEATURE_MIGRATION] = {"MIGRATION", GET, sizeof(struct vfio_device_feature_migration),
					   migration_get, is_movable},
	[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = {"MIG_DEVICE_STATE", GET | SET,
						  sizeof(struct vfio_device_feature_mig_state), migration_state,
						  is_movable},
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = {"LOW_POWER_ENTRY", SET, 0, set_entry},
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] = {"LOW_POWER_ENTRY_WITH_WAKEUP", SET,
							     sizeof(struct vfio_device_low_power_entry_with_wakeup),
							     set_entry_with_wakeup},
	[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = {"LOW_POWER_EXIT", SET, 0, set_exit},
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_START] = {"DMA_LOGGING_START", SET,
						   sizeof(struct vfio_device_feature_dma_logging_control),
						   dma_logging_start, is_movable},
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP] = {"DMA_LOGGING_STOP", SET, 0, dma_logging_stop, is_movable},
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = {"DMA_LOGGING_REPORT", GET,
						    sizeof(struct vfio_device_feature_dma_logging_report),
						    dma_logging_report, is_movable},
	[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = {"MIG_DATA_SIZE", GET, sizeof(struct vfio_device_feature_mig_data_size),
					       migration_get_data_size, is_movable},
	[VFIO_DEVICE_FEATURE_BUS_MASTER] = {"BUS_MASTER"},
	[VFIO_DEVICE_FEATURE_DMA_BUF] = {"DMA_BUF", GET, sizeof(struct vfio_device_feature_dma_buf), get_dma_buf},
	[VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2] = {"MIG_PRECOPY_INFOv2", SET, 0, migration_set_precopy_info},
};

static bool is_there(const struct feature *feature, const struct vfio_device *device)
{
	if (!feature || !feature->directions)
		return false;
	return feature->is_there ? feature->is_there(device) : !device->soft;
}

static int decode_flags(u32 flags, struct why *why)
{
	if (flags & ~(u32)KNOWN_FLAGS)
		return refuse(why, FEATURE_FLAGS, "flags %#x: bits %#x are unknown", flags, flags & ~(u32)KNOWN_FLAGS);
	if ((flags & DIRECTIONS) == DIRECTIONS && !(flags & VFIO_DEVICE_FEATURE_PROBE))
		return refuse(why, FEATURE_FLAGS, "flags %#x: GET and SET together only go with PROBE", flags);
	return 0;
}

static int decode_feature(const struct vfio_device *device, u32 flags, const struct feature **ret, struct why *why)
{
	const char *name = device->name;
	u32 id = flags & VFIO_DEVICE_FEATURE_MASK;
	const struct feature *feature = id < ARRAY_SIZE(features) ? &features[id] : NULL;

	/* Linux answers EINVAL, not ENOTTY, for this one of a device that cannot migrate. */
	if (id == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 && !(migration_flags(device) & VFIO_MIGRATION_PRE_COPY))
		return refuse(why, FEATURE_DIRECTION, "feature %u (MIG_PRECOPY_INFOv2): %s has no PRE_COPY", id, name);
	if (!is_there(feature, device))
		return refuse(why, FEATURE_UNKNOWN, "%s has no feature %u (%s)", name, id,
			      feature ? feature->name : "unknown");
	if (flags & DIRECTIONS & ~feature->directions)
		return refuse(why, FEATURE_DIRECTION, "feature %s of %s can only be %s", feature->name, name,
			      feature->directions == SET ? "set" : "got");
	*ret = feature;
	return 0;
}

long pci_feature(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct pci_session *session = pci_session_of(file);
	const struct vfio_device_feature *request = (const void *)head;
	const struct feature *feature = NULL;
	int err = decode_flags(request->flags, why);

	if (err == 0)
		err = decode_feature(session->device, request->flags, &feature, why);
	if (err < 0)
		return err;
	if (request->flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(request->flags & DIRECTIONS))
		return refuse(why, FEATURE_FLAGS, "flags %#x ask for none of GET, SET and PROBE", request->flags);
	if (request->argsz - sizeof(*request) < feature->payload)
		return refuse(why, ARGSZ_SHORT, "VFIO_DEVICE_FEATURE %s: argsz is %u, %zu are needed", feature->name,
			      request->argsz, sizeof(*request) + feature->payload);
	return feature->perform(
		&(struct feature_request){session, client, request->flags & DIRECTIONS, arg + sizeof(*request)}, why);
}
