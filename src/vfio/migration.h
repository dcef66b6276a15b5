/* SPDX-License-Identifier: MIT */
/*
 * Moving an open device: the states of spec 05 section 12, and the stream that carries what it has. A device whose
 * model can be moved (pci_function.migration) is driven by what Linux calls a variant driver.
 *
 * Entering a state that is saved from or resumed into begins a transfer, with a descriptor of its own; leaving it ends
 * that. The transfer is the session's: a program may close the descriptor and go on.
 */
#ifndef VFIO_MIGRATION_H
#define VFIO_MIGRATION_H

#include "isolde/abi/vfio.h"
#include "mem/file.h"

struct dma_log;
struct feature_request;
struct migration_transfer;
struct pci_session;
struct vfio_device;

/* Of a session. */
struct migration {
	u32 state;			     /* enum vfio_device_mig_state */
	bool told;			     /* MIG_PRECOPY_INFOv2: the program looks at the flags of the answer */
	struct migration_transfer *transfer; /* owned; NULL: none is under way */
	struct dma_log *log;		     /* owned; NULL: writes are not noted */
};

void migration_begin(struct pci_session *session); /* RUNNING */
/* The device was reset: it runs, whatever it did before; a transfer is over. */
void migration_reset(struct pci_session *session);
/*
 * The device is being closed. If it stands still, it does so until migration_reset(), which is for when it is quiet:
 * what it was to do is perhaps being done elsewhere.
 */
void migration_end(struct pci_session *session);
void migration_check(const struct pci_session *session);

const char *migration_state_name(u32 state);
u64 migration_flags(const struct vfio_device *device); /* VFIO_MIGRATION_*; 0: it cannot be moved */

/*
 * The next state on the way from one to another, for a device with these VFIO_MIGRATION_* flags; MIGRATION_TARGET,
 * MIGRATION_ARC.
 */
int migration_next_state(u64 flags, u32 from, u32 to, u32 *ret, struct why *why);

/* The features, as rows of feature.c call them. */
long migration_get(const struct feature_request *request, struct why *why);
long migration_state(const struct feature_request *request, struct why *why); /* GET and SET */
long migration_get_data_size(const struct feature_request *request, struct why *why);
long migration_set_precopy_info(const struct feature_request *request, struct why *why);

/* ---- migration_transfer.c ---- */

/* One way: out of the device, or into it. OUT_OF_MEMORY. */
int transfer_new(struct pci_session *session, bool saving, struct migration_transfer **ret, struct why *why);
/* The program's descriptor for it; once. -errno, as install_file() has it. */
int transfer_give(struct migration_transfer *transfer, struct client *client, struct why *why);
/* The descriptor, if there is one, says from now on that it is over. NULL is legal. */
void transfer_free(struct migration_transfer *transfer);
bool transfer_is_saving(const struct migration_transfer *transfer);

void transfer_begin(struct migration_transfer *transfer); /* tells the model */
/*
 * What came in becomes the device's state. MIGRATION_INCOMPLETE: the rest can still be written; MIGRATION_STREAM,
 * DEVICE_STATE: nothing can be made of it.
 */
int transfer_load(struct migration_transfer *transfer, struct why *why);

/* What the whole stream of a device takes that stands still from now on. */
u64 transfer_size(const struct pci_session *session);

extern const struct file_ops transfer_file_ops;
bool transfer_file_is_saving(const struct file *file);

#endif
