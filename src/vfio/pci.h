/* SPDX-License-Identifier: MIT */
/*
 * The PCI half of VFIO: one function bound to vfio-pci, and the session of whoever has it open.
 *
 * A session has a memory file. BAR i is at i << 40 of it, and for as long as the device decodes memory the model works
 * on these pages, so a program that mapped them talks to the model without a request. While memory is off (COMMAND, D3,
 * low power) the registers live in their home, where they are when nobody has the device open, and the file has no
 * pages: a mapped access is SIGBUS, as on hardware.
 */
#ifndef VFIO_PCI_H
#define VFIO_PCI_H

#include "isolde/abi/vfio.h"
#include "mem/buffer.h"
#include "mem/file.h"
#include "mem/kept.h"
#include "vfio/device.h"
#include "vfio/migration.h"

#define REGION_SHIFT 40
#define CONFIG_SIZE  4096

struct perm_cap;

/* An eventfd of the program that we listen to; see vfio_events(). */
struct vfio_event {
	int fd;					/* owned until vfio_event_listen(), then the watch's; -1: none */
	void (*fire)(struct vfio_event *event); /* closes no event */
	struct eventfd_watch *watch;
	struct list_link link; /* watch->events */
};

/* What the program sees as configuration space: spec 05 section 4. */
struct virtual_config {
	u8 shadow[CONFIG_SIZE];	   /* values of virtual bits */
	u8 virtual[CONFIG_SIZE];   /* bits that live in the shadow */
	u8 write[CONFIG_SIZE];	   /* bits the program can change */
	u8 owner[CONFIG_SIZE];	   /* which capability: an index of perm_caps plus 1; 0 is a gap */
	u16 pm, msi, exp, af, vpd; /* offsets of those that do something; 0 when absent or hidden */
	u16 command;		   /* memory and I/O bits as the program last wrote them */
};

struct pci_ioeventfd {
	struct vfio_event event; /* first */
	struct pci_session *session;
	u64 offset; /* in the descriptor */
	u64 data;
	unsigned width;
	struct list_link link;
};

enum low_power { LOW_POWER_NONE, LOW_POWER_ENTRY, LOW_POWER_WAKEUP };

struct pci_session {
	struct device_file *file;	   /* borrowed: it ends us before it goes. Its memory file is ours */
	struct vfio_device *device;	   /* borrowed */
	struct pci_function *function;	   /* borrowed */
	bool can_reset;			   /* a function reset worked at open */
	bool no_intx;			   /* its line is known to be broken, and so not there */
	struct kept_map *shared[PCI_BARS]; /* owned mappings of the memory file; NULL where no memory BAR is */
	bool revoked;			   /* the registers are in their home, the file is empty */
	u8 saved[CONFIG_SIZE];		   /* of the device, as of open: restored at close */
	u8 awake[CONFIG_SIZE];		   /* the same as it last went to D3hot */
	struct virtual_config config;
	enum pci_irq_mode irq_mode;
	u64 vectors[PCI_IRQ_VECTORS / 64]; /* of MSI or MSI-X, a bit for each that the host has given us */
	bool intx_disabled;		   /* by COMMAND: masked whatever SET_IRQS says */
	struct vfio_event unmask;	   /* INTx unmask eventfd */
	int err_fd, req_fd;		   /* owned; -1: none */
	enum low_power low_power;
	int wake_fd;	  /* owned; -1: none */
	bool suspended;	  /* in low power, with no request or access in progress */
	bool intx_silent; /* the suspension has masked the line */
	struct list ioeventfds;
	unsigned nioeventfds;
	struct list dmabufs; /* struct pci_dmabuf: pci_dmabuf.c */
	struct migration migration;
};

/* Only of a file that has it. */
static inline struct pci_session *pci_session_of(struct file *file)
{
	return device_file_of(file)->device->session;
}

/*
 * The session of a device that is closed, for that file of it. new() does all that can fail and touches the device not
 * yet, begin() the rest; end() leaves the device as it was found. free() is legal before begin() and after end().
 */
int pci_session_new(struct vfio_device *device, struct device_file *file, struct pci_session **ret, struct why *why);
void pci_session_begin(struct pci_session *session);
void pci_session_end(struct pci_session *session);
void pci_session_free(struct pci_session *session); /* NULL is legal */
DEFINE_FREE(pci_session)

s64 pci_read(struct pci_session *session, u64 offset, void *buffer, size_t size, struct why *why);
s64 pci_write(struct pci_session *session, u64 offset, const void *buffer, size_t size, struct why *why);

void pci_check(const struct vfio_device *device);

/* ---- pci_config.c ---- */

void config_init(struct pci_session *session); /* from the function as it is */
s64 config_read(struct pci_session *session, u64 offset, void *buffer, size_t size, struct why *why);
s64 config_write(struct pci_session *session, u64 offset, const void *buffer, size_t size, struct why *why);
/* Into D0, whoever took it out of that, with what it has forgotten meanwhile. */
void power_up(struct vfio_device *device);
bool config_memory_enabled(const struct pci_session *session); /* the device decodes memory */

/* ---- pci_vga.c ---- */

bool vga_is_offered(const struct pci_session *session);
s64 vga_read(struct pci_session *session, u64 offset, void *buffer, size_t size, struct why *why);
s64 vga_write(struct pci_session *session, u64 offset, const void *buffer, size_t size, struct why *why);

/* ---- pci_rw.c: BARs and ROM ---- */

u64 rom_size(const struct pci_function *function); /* of its BAR, or of the firmware's copy; 0: there is none */

s64 bar_read(struct pci_session *session, unsigned region, u64 offset, void *buffer, size_t size, struct why *why);
s64 bar_write(struct pci_session *session, unsigned region, u64 offset, const void *buffer, size_t size,
	      struct why *why);
/* One store inside the BAR, byte by byte if misaligned; dropped while memory is off. */
void bar_store(struct pci_session *session, unsigned bar, u64 offset, unsigned width, u64 value);
u64 bar_size(const struct pci_function *function, unsigned bar); /* 0: not implemented */
bool bar_is_memory(const struct pci_function *function, unsigned bar);

/* The MSI-X table in its BAR; false when there is none. */
struct msix_table {
	unsigned bar;
	u64 start, size;
};
bool msix_table(const struct pci_function *function, struct msix_table *ret);

/* ---- pci_mmap.c: the memory file ---- */

int backing_init(struct pci_session *session, struct why *why); /* takes the file's memory file, makes the mappings */
void backing_fini(struct pci_session *session);			/* legal at any stage; registers are in their home */
/* Moves the registers to where they belong by COMMAND, power state and low power. */
void backing_update(struct pci_session *session);
void backing_revoke(struct pci_session *session);    /* the registers go home, mappings die */
void backing_send_home(struct pci_session *session); /* mappings stay as plain memory: for the end of a session */
bool bar_is_mappable(const struct pci_session *session, unsigned bar);
int pci_mmap(const struct pci_session *session, u64 offset, u64 size, int flags, struct why *why);

/* ---- pci_precise.c ---- */

/* file_ops of a device: its precise pages. */
bool pci_precise_run(const struct pci_session *session, u64 start, u64 last, struct file_run *ret);
int pci_access(struct pci_session *session, struct file_access *access, struct why *why);

/* ---- pci_irq.c ---- */

unsigned irq_count(const struct pci_session *session, unsigned index);
void irq_intx_disable(struct pci_session *session, bool disable); /* the virtual bit of COMMAND */
bool irq_intx_silence(struct pci_session *session);		  /* masks the line; false: it is off, or masked */
void irq_intx_revive(struct pci_session *session);		  /* the opposite, if the line is still on */
void irq_restore(struct pci_session *session);			  /* the device's enable bits, as they should be */
void irq_fini(struct pci_session *session);			  /* all modes off, all eventfds closed */
void irq_check(const struct pci_session *session);

/* ---- pci_reset.c ---- */

bool function_can_reset(const struct vfio_device *device);
/* Of hardware: somebody is at its unbind, or at that of its virtual functions, and nothing resets it meanwhile. */
bool device_is_locked(const struct vfio_device *device);
/* DEVICE_LOCKED (EAGAIN): it is. */
int device_decode_lock(const struct vfio_device *device, struct why *why);
/* To be opened it is reset, if it can be: the same refusal. */
int device_decode_open(const struct vfio_device *device, struct why *why);
/* A function reset with everything restored that the system put there; interrupts stay set up. */
void function_reset(struct pci_function *function);
/* The same of an open device: what others use of its registers is taken back meanwhile. */
void session_reset(struct pci_session *session);
/* One bound to vfio-pci; of a session of its own the caller takes care. */
void bound_reset(struct vfio_device *device);
/* A reset by others, of the link: nothing is restored. */
void session_lost(struct pci_session *session);
/* The same as a reset that somebody asked for: the IOMMU blocks the device meanwhile, if it can. */
int device_function_reset(struct iommu_device *device, struct pci_function *function, struct why *why);
/* Writes the registers of saved that a reset clears. */
void function_restore(struct pci_function *function, const u8 saved[static CONFIG_SIZE]);

/* ---- hot_reset.c ---- */

/* Resets the bus if a device of it needs that, nobody has any of them open and all are vfio-pci's. */
void reset_idle_set(struct vfio_device *device);

/* ---- pci_ioeventfd.c ---- */

void ioeventfds_drop(struct pci_session *session);

/* ---- pci_dmabuf.c ---- */

/* DEVICE_FEATURE DMA_BUF; data is its payload. A descriptor. */
long dmabuf_get(struct pci_session *session, struct client *client, u64 data, struct why *why);
/* Before the registers go and after they are back; and for good, with the session. */
void dmabufs_revoke(struct pci_session *session, bool revoked);
void dmabufs_drop(struct pci_session *session);

/* ---- feature.c ---- */

/*
 * Before and after each request and access: it ends a suspension, for its duration, and that with wake-up for good. A
 * device that is suspended is in D0, for the system to put it to sleep from there, and its line is masked.
 */
void low_power_resume(struct pci_session *session);
void low_power_suspend(struct pci_session *session);
void low_power_exit(struct pci_session *session);

/* ---- vfio.c ---- */

/* Takes event->fd, also when it fails. All who listen to one eventfd are told of each signal. */
int vfio_event_listen(struct vfio *vfio, struct vfio_event *event, struct why *why);
void vfio_event_close(struct vfio *vfio, struct vfio_event *event); /* legal when fd is -1 */

#endif
