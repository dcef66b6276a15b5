/* SPDX-License-Identifier: MIT */
/*
 * One PCI function as hardware: its real configuration space, its BARs, its interrupts. What drives it (a kernel
 * driver by name, or vfio-pci) is not known here; what it does is known to its model (dev/), through pci_model_ops.
 *
 * Configuration space here is the *device's*: what vfio-pci shows a user is vfio's business.
 */
#ifndef PCI_FUNCTION_H
#define PCI_FUNCTION_H

#include "base/list.h"
#include "pci/addr.h"
#include "pci/irq.h"

#define PCI_BARS 6
#define PCI_ROM	 6 /* its index, one after the BARs */

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEMORY32, PCI_BAR_MEMORY64, PCI_BAR_UPPER_HALF };

struct pci_bar {
	enum pci_bar_kind kind;
	bool prefetchable;
	u64 size;    /* power of two */
	u64 address; /* bus address given at boot; shown in `resource` and in the BAR register */
	/*
	 * The register memory of a model (polled pages): host memory of `size` bytes. Moves when vfio gives the device
	 * a fresh memory file at open; the model is told through backing_moved(). NULL for I/O BARs.
	 */
	void *memory;
	void *home; /* owned: where memory is while no program has the device open */
};

enum pcie_type { /* PCI Express capability register, bits 7:4 */
		 PCIE_ENDPOINT = 0x0,
		 PCIE_LEGACY_ENDPOINT = 0x1,
		 PCIE_ROOT_PORT = 0x4,
		 PCIE_UPSTREAM_PORT = 0x5,
		 PCIE_DOWNSTREAM_PORT = 0x6,
		 PCIE_TO_PCI_BRIDGE = 0x7,
		 PCI_TO_PCIE_BRIDGE = 0x8,
		 PCIE_RC_ENDPOINT = 0x9,
		 PCIE_RC_EVENT_COLLECTOR = 0xa,
};

struct pci_function;

/* What a write does to one dword of configuration space. What no rule speaks of is read-only. */
struct pci_config_rule {
	u16 offset; /* from the start of configuration space, or of the capability */
	u32 writable;
	u32 clears;  /* written as one, these bits become zero */
	u32 kept;    /* bits of either kind that survive a function-level reset (PCI Express Base 5.0 section 6.6.2) */
	u32 initial; /* what the others are after one */
};

/* How the CPU gets at a page of a memory BAR. */
enum pci_page_kind {
	PCI_PAGE_POLLED,  /* memory that the model looks at: a load or store costs the program nothing */
	PCI_PAGE_PRECISE, /* each access is a call of the model, which keeps the registers; the memory there is nobody's
			   */
};

enum pci_access_kind {
	PCI_ACCESS_LOAD,
	PCI_ACCESS_STORE,   /* posted: nobody hears what becomes of it. MOVDIR64B is one of 64 bytes */
	PCI_ACCESS_ENQUEUE, /* ENQCMD, ENQCMDS: 64 bytes that the device accepts, or not (PCIe deferrable memory write)
			     */
};

/*
 * One access to a precise page as it arrives at the device: naturally aligned, 1, 2, 4, 8, 16, 32 or 64 bytes. Who
 * makes it cuts up what is not, and puts a processor's own part into data: ENQCMD's PASID is in the first dword
 * already.
 */
struct pci_access {
	enum pci_access_kind kind;
	unsigned bar;
	u64 offset;
	unsigned width;
	u8 data[64]; /* what is stored; filled by a load */
};

/*
 * What a device model owes. All calls come from control threads, one at a time for one function (machine.lock);
 * the model's own thread runs beside them and the model brings a lock for that. None may block on the client or wait
 * for DMA of another device. A NULL member means "nothing to do".
 */
struct pci_model_ops {
	const char *name; /* "nvme", "inert" */

	/*
	 * The CPU stored into, or is about to load from, a BAR through a system call (not through a mapping). For a
	 * polled page the memory holds the truth already: bar_written() makes the model look at once, so that a load
	 * that follows sees the effect. [offset, offset + width) lies inside the BAR.
	 */
	void (*bar_written)(struct pci_function *function, unsigned bar, u64 offset, unsigned width);

	/* Never changes; page counts from the start of the BAR. NULL: all are polled. */
	enum pci_page_kind (*page_kind)(const struct pci_function *function, unsigned bar, u64 page);

	/*
	 * An access to a precise page, not NULL if there is one. Only while the device decodes memory. False is the
	 * answer "retry" to PCI_ACCESS_ENQUEUE (ENQCMD sets ZF); it says nothing of other kinds.
	 */
	bool (*access)(struct pci_function *function, struct pci_access *access);

	/* I/O BARs have no memory: the access itself. width is 1, 2 or 4. */
	u32 (*io_read)(struct pci_function *function, unsigned bar, u64 offset, unsigned width);
	void (*io_write)(struct pci_function *function, unsigned bar, u64 offset, unsigned width, u32 value);

	/* bars[bar].memory now points elsewhere, with the same contents. The old memory goes away when this returns. */
	void (*backing_moved)(struct pci_function *function, unsigned bar);

	/* Function-level reset: registers at power-on values, queues gone, no DMA and no interrupt after this returns.
	 */
	void (*reset)(struct pci_function *function);

	/*
	 * config[] is about to be read or written by the CPU: the model brings registers there up to date that the
	 * device changes by itself. config[] belongs to the control side, so this is the only place where it may.
	 */
	void (*config_refresh)(struct pci_function *function);

	/* The command register changed (bus master, memory, INTx disable). */
	void (*command_written)(struct pci_function *function);

	/* A driver has opened or closed the device: the model may start or stop its thread. */
	void (*opened)(struct pci_function *function);
	void (*closed)(struct pci_function *function);

	void (*free)(struct pci_function *function); /* frees function->model; the function itself is the machine's */
};

/* What a device does by itself. Its owner stops and moves it: spec 05 section 12. */
enum pci_activity {
	PCI_ACTIVE,
	PCI_PASSIVE, /* it answers accesses to its registers, but makes no request of its own and no interrupt for one
		      */
	PCI_STOPPED, /* nothing of its state changes, whatever is done to its registers; a reset still works */
};

enum { PCI_MIGRATION_RECORD = (64 << 10) + 64 }; /* bytes that send() and save() give at most */

/*
 * What the model of a device owes that can be moved to another one of its kind, in this machine or elsewhere. The
 * state is bytes that mean the same on every host. It has two parts: bulk, in any number of records that may be had
 * while the device runs (again, if it changes what it has given), and the rest, in one, of a stopped device. VFIO
 * frames them, and walks the states. Configuration space is not part of it: whoever moves a device has that at hand.
 *
 * Calls come from control threads as for pci_model_ops. bulk members may be NULL where there is none.
 */
struct pci_migration_ops {
	bool pre_copy; /* bulk can be had while the device runs */

	/* Any, from any. No transfer is under way when it returns from PCI_ACTIVE to another. */
	void (*activity)(struct pci_function *function, enum pci_activity activity);

	/* All of the bulk is to be sent from now on; and no longer. */
	void (*send_start)(struct pci_function *function);
	void (*send_stop)(struct pci_function *function);
	/* The next record of bulk; 0: there is none now. */
	size_t (*send)(struct pci_function *function, u8 record[static PCI_MIGRATION_RECORD]);
	/* Bytes that send() would give now; of a device that is not being sent, those of all of it. */
	u64 (*pending)(struct pci_function *function);
	/* The rest, of a device that is stopped. */
	size_t (*save)(struct pci_function *function, u8 record[static PCI_MIGRATION_RECORD]);

	/*
	 * The same on the other side, of a device that is stopped. What was there is lost from receive_start() on: who
	 * breaks off has to reset it. Every byte may be a lie: DEVICE_STATE. load() comes last, and changes nothing if
	 * it refuses.
	 */
	void (*receive_start)(struct pci_function *function);
	int (*receive)(struct pci_function *function, const u8 *record, size_t size, struct why *why);
	int (*load)(struct pci_function *function, const u8 *record, size_t size, struct why *why);
};

struct pci_function {
	struct pci_addr addr;
	u8 config[4096]; /* the device's registers, little-endian, as the hardware would answer */
	u16 config_size; /* 256 or 4096 */
	struct pci_bar bars[PCI_BARS + 1];
	/*
	 * Contents of the expansion ROM, owned; NULL: blank. Linux shows those of a ROM without a BAR, too, when
	 * firmware has left it a copy.
	 */
	u8 *rom;
	u32 rom_size;
	u8 *vpd; /* owned: vital product data, behind the window of its capability; NULL: none */
	u32 vpd_size;
	u32 vpd_length; /* of what Linux shows of it, once it has measured that: pci_vpd_length() */
	bool vpd_measured;
	u8 *vga;	      /* owned: what a VGA device has at the legacy addresses; NULL: it is none (pci/vga.h) */
	u8 *extra_writable;   /* owned, of 4096 bytes: registers that only this device has; NULL: none */
	bool reset_forbidden; /* the system may not reset it: sysfs' reset_method was emptied */

	/* Offsets of capabilities in config[], 0 when absent; kept by pci/caps.c as it builds the chain. */
	u16 cap_pm, cap_msi, cap_msix, cap_pcie, cap_af, cap_vpd;
	u16 cap_acs, cap_ats, cap_pasid, cap_ari, cap_aer, cap_sriov, cap_pri;
	u16 last_cap, last_ext_cap; /* tails of the two chains, for the builder */
	u16 next_cap, next_ext_cap; /* first free bytes behind them */

	struct pci_function *parent; /* the bridge above; NULL on a root bus */
	u8 secondary, subordinate;   /* of a bridge; secondary 0 when it is none */
	bool multifunction;	     /* of its slot */
	bool untranslated;	     /* no IOMMU covers it; its DMA is not translated, it is in no group */
	u8 unit;		     /* which IOMMU covers it, in the order of the firmware's table */
	u32 index;		     /* in topology->functions */

	struct pci_function *physical; /* of an SR-IOV virtual function: its physical function; NULL otherwise */
	struct pci_function *virtuals; /* of a physical one: those that are in the topology, by next_virtual */
	struct pci_function *next_virtual;
	struct pci_bar
		*virtual_bars; /* owned; of a physical one: PCI_BARS of its first virtual one; NULL: they have none */
	struct pci_function *dma_device; /* below Intel VMD: the endpoint that makes its requests; NULL: itself */

	/* Registers that only this kind of device has, by offset in config[]; borrowed from the model, in build(). */
	const struct pci_config_rule *own_rules;
	unsigned nown_rules;

	struct pci_irq irq;
	const struct pci_model_ops *ops;	   /* never NULL: "inert" at least */
	void *model;				   /* the model's own state, freed by ops->free */
	const struct pci_migration_ops *migration; /* NULL: it cannot be moved */
	struct list_link link;			   /* topology->functions, in enumeration order */
};

/* Registers (PCI Local Bus 3.0 section 6.1, PCI Express Base 5.0 chapter 7) */
enum {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS_PROG = 0x09,
	PCI_CLASS = 0x0a,
	PCI_CACHE_LINE = 0x0c,
	PCI_LATENCY = 0x0d,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BIST = 0x0f,
	PCI_BAR0 = 0x10,
	PCI_PRIMARY_BUS = 0x18,
	PCI_SECONDARY_BUS = 0x19,
	PCI_SUBORDINATE_BUS = 0x1a,
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM = 0x2e,
	PCI_ROM_ADDRESS = 0x30,
	PCI_CAP_POINTER = 0x34,
	PCI_ROM_ADDRESS_BRIDGE = 0x38,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
	PCI_HEADER_SIZE = 0x40,

	PCI_COMMAND_IO = 0x0001,
	PCI_COMMAND_MEMORY = 0x0002,
	PCI_COMMAND_MASTER = 0x0004,
	PCI_COMMAND_INTX_DISABLE = 0x0400,
	PCI_STATUS_INTX = 0x0008,
	PCI_STATUS_CAP_LIST = 0x0010,
};

enum {
	PCI_CAP_PM = 0x01,
	PCI_CAP_AGP = 0x02,
	PCI_CAP_VPD = 0x03,
	PCI_CAP_MSI = 0x05,
	PCI_CAP_PCIX = 0x07,
	PCI_CAP_HT = 0x08,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_SUBSYSTEM = 0x0d,
	PCI_CAP_PCIE = 0x10,
	PCI_CAP_MSIX = 0x11,
	PCI_CAP_SATA = 0x12,
	PCI_CAP_AF = 0x13,
	PCI_CAP_EA = 0x14,

	PCI_EXT_AER = 0x0001,
	PCI_EXT_VC = 0x0002,
	PCI_EXT_DSN = 0x0003,
	PCI_EXT_PWR = 0x0004,
	PCI_EXT_VENDOR = 0x000b,
	PCI_EXT_ACS = 0x000d,
	PCI_EXT_ARI = 0x000e,
	PCI_EXT_ATS = 0x000f,
	PCI_EXT_SRIOV = 0x0010,
	PCI_EXT_MULTICAST = 0x0012,
	PCI_EXT_PRI = 0x0013,
	PCI_EXT_REBAR = 0x0015,
	PCI_EXT_DPA = 0x0016,
	PCI_EXT_TPH = 0x0017,
	PCI_EXT_LTR = 0x0018,
	PCI_EXT_PASID = 0x001b,
	PCI_EXT_DVSEC = 0x0023,

	/* Device Capabilities 2 (0x24): end-to-end TLP prefixes, and how many (PCI Express Base 5.0 section 7.5.3.15)
	 */
	PCIE_PREFIXES = 1 << 21,
	PCIE_PREFIXES_MOST = 3 << 22,
	PCIE_PREFIXES_ONE = 1 << 22,
	/* PASID capability and, with the first bit, control */
	PCI_PASID_ENABLE = 0x1,
	PCI_PASID_EXECUTE = 0x2,
	PCI_PASID_PRIVILEGED = 0x4,
};

static inline enum pci_page_kind pci_page_kind(const struct pci_function *function, unsigned bar, u64 offset)
{
	return function->ops->page_kind ? function->ops->page_kind(function, bar, offset >> PAGE_SHIFT)
					: PCI_PAGE_POLLED;
}

/* Read by the device's thread too, while a control thread may be writing it. */
static inline u16 pci_command(const struct pci_function *function)
{
	return __atomic_load_n((const u16 *)(const void *)(function->config + PCI_COMMAND), __ATOMIC_ACQUIRE);
}

/* SR-IOV capability */
enum {
	PCI_SRIOV_CONTROL = 0x08,
	PCI_SRIOV_INITIAL = 0x0c,
	PCI_SRIOV_TOTAL = 0x0e,
	PCI_SRIOV_NUMBER = 0x10,
	PCI_SRIOV_LINK = 0x12,
	PCI_SRIOV_OFFSET = 0x14,
	PCI_SRIOV_STRIDE = 0x16,
	PCI_SRIOV_DEVICE = 0x1a,
	PCI_SRIOV_BAR0 = 0x24,

	PCI_SRIOV_ENABLE = 0x0001,
	PCI_SRIOV_MEMORY = 0x0008,
};

/* Does the CPU reach its memory BARs? A virtual function has no bit of its own for that. */
static inline bool pci_decodes_memory(const struct pci_function *function)
{
	const struct pci_function *physical = function->physical;

	if (!physical || !physical->cap_sriov)
		return pci_command(function) & PCI_COMMAND_MEMORY;
	return get_u16(physical->config + physical->cap_sriov + PCI_SRIOV_CONTROL) & PCI_SRIOV_MEMORY;
}

static inline bool pci_is_bridge(const struct pci_function *function)
{
	return (function->config[PCI_HEADER_TYPE] & 0x7f) == 1;
}

static inline bool pci_is_pcie(const struct pci_function *function)
{
	return function->cap_pcie != 0;
}

/* Only when pci_is_pcie(). */
static inline enum pcie_type pcie_type(const struct pci_function *function)
{
	return (enum pcie_type)(get_u16(function->config + function->cap_pcie + 2) >> 4 & 0xf);
}

/* Whose PASID capability it goes by: virtual functions have none of their own (PCI Express Base 5.0 section 9.3.7.14).
 */
static inline const struct pci_function *pci_pasid_function(const struct pci_function *function)
{
	return function->physical ? function->physical : function;
}

/*
 * A configuration write that reached the device (pci/config.c): stores value where the register is writable, with the
 * device's own side effects (command, PM state, FLR through DEVCTL, BAR sizing bits). width is 1, 2 or 4 and the
 * access is naturally aligned.
 */
void pci_config_write(struct pci_function *function, u16 offset, unsigned width, u32 value);
u32 pci_config_read(struct pci_function *function, u16 offset, unsigned width);

/* Gives every memory BAR its home; OUT_OF_MEMORY. pci_function_fini() frees them. */
int pci_allocate_bars(struct pci_function *function, struct why *why);

/* Function-level reset as the standard defines it: command cleared, MSI/MSI-X off, model reset. BARs read 0 after it.
 */
void pci_function_reset(struct pci_function *function);
/* What reset took away that the system put there: BAR addresses. (The interrupt line survives.) */
void pci_function_restore(struct pci_function *function);

#endif
