/* SPDX-License-Identifier: MIT */
/*
 * A machine in words: what a machine file says, checked, before anything is built. docs/machine-file.md is the schema.
 */
#ifndef MACHINE_DESCRIPTION_H
#define MACHINE_DESCRIPTION_H

#include "base/cleanup.h"
#include "base/list.h"
#include "base/text.h"
#include "dev/model.h"
#include "iommu/iommu.h"
#include "pci/extra_caps.h"
#include "pci/survey.h"
#include "vfio/options.h"

/* What may stand in a machine file; a capture must stay below. */
#define MACHINE_BYTES	   (16u << 20)
#define MACHINE_FUNCTIONS  65536
#define MACHINE_DEPTH	   256	   /* of devices below devices; a segment has no more buses */
#define MACHINE_BAR_MAX	   BIT(30) /* registers are host memory, which moves whenever a program opens the device */
#define MACHINE_BAR32_MAX  BIT(28)
#define MACHINE_BAR_IO_MAX 256
#define MACHINE_ROM_MAX	   BIT(24)
#define MACHINE_CAPS	   24 /* `caps` of one device */

struct bar_description {
	enum pci_bar_kind kind; /* PCI_BAR_NONE: absent */
	u64 size;
	bool prefetchable;
};

/* Sixteen bytes for each vector; pending bits in words of 64. */
static inline u32 msix_table_size(unsigned vectors)
{
	return 16 * vectors;
}

static inline u32 msix_pending_size(unsigned vectors)
{
	return (u32)align_up(vectors, 64) / 8;
}

/* Vital product data: a name, fields to read, fields to write; each in resources of their own. */
#define VPD_FIELDS 16
struct vpd_description {
	char name[64];
	struct vpd_field {
		char keyword[3], text[48];
		bool writable;
	} field[VPD_FIELDS];
	unsigned nfields;
};

struct rom_description {
	char *file;   /* owned; NULL: blank, or minimal */
	bool minimal; /* one image that does nothing */
	u32 shadow;   /* bytes of a copy that firmware left, where there is no BAR; 0: none */
};

enum function_role {
	ROLE_ENDPOINT,	 /* PCI Express endpoint */
	ROLE_INTEGRATED, /* root complex integrated endpoint */
	ROLE_ROOT_PORT,
	ROLE_UPSTREAM_PORT,
	ROLE_DOWNSTREAM_PORT,
	ROLE_PCI_BRIDGE,   /* PCI Express to PCI bridge */
	ROLE_CONVENTIONAL, /* no PCI Express capability */
	ROLE_CONVENTIONAL_BRIDGE,
	ROLE_LEGACY_ENDPOINT,
	ROLE_EVENT_COLLECTOR,
	ROLE_PCIE_BRIDGE, /* PCI to PCI Express bridge */
};

struct msi_description {
	bool present, narrow, masks; /* narrow: addresses of 32 bits; masks: a bit for each vector */
	unsigned vectors_log2;
};

struct msix_description {
	unsigned vectors; /* 0: no MSI-X */
	unsigned bar, pending_bar;
	u32 offset, pending; /* of the table and of the pending bits in their BARs */
};

struct function_description {
	struct pci_addr addr; /* bus numbers are assigned depth first, as firmware and Linux do, unless said */
	enum function_role role;
	bool bridge;			       /* header type 1; only bridges have functions below them */
	struct function_description *parent;   /* the bridge above, NULL on a root bus */
	struct function_description *physical; /* of a virtual function, if known */
	bool is_virtual;
	bool below_vmd; /* the function at `vmd` makes its requests */
	struct pci_addr vmd;
	u8 secondary, subordinate; /* of a bridge; 0: it leads nowhere */
	bool multifunction;
	struct pci_identity identity;
	bool has_identity;
	char driver[32]; /* bound at boot; "" none */
	bool has_acs;
	u16 acs_capable, acs_enabled;
	bool flr;
	unsigned intx_pin; /* 0 none, 1..4 */
	struct msi_description msi;
	struct msix_description msix;
	bool has_pm, has_aer, has_ari, has_ats, has_pri, has_dsn, has_sriov;
	unsigned pasid_width; /* 0: no PASID */
	bool lacks_prefixes;  /* end-to-end TLP prefixes do not get past it: no PASIDs */
	unsigned phantom;     /* bits of the function number it may use on its requests, 0..3 */
	u64 dsn;
	struct pci_sriov sriov;
	struct function_description *vf; /* owned: what each virtual function is like that is enabled later; NULL */
	struct bar_description bars[PCI_BARS + 1];
	struct rom_description rom;  /* its size is that of bars[PCI_ROM] */
	struct vpd_description *vpd; /* owned; NULL: it has none */
	unsigned atomics;	     /* bits: completes AtomicOps of 32, 64, 128 bits */
	struct pci_extra_cap *caps;  /* owned, ncaps of them */
	unsigned ncaps;
	bool behind_iommu;	   /* if the machine has a unit; default: as the bridge above */
	u8 unit;		   /* which; likewise */
	u64 regions;		   /* bits of description->regions */
	const struct model *model; /* NULL: inert */
	struct model_options options;
	char *option_text[MODEL_OPTIONS * 2]; /* owned: the strings options points to */
	unsigned line, column;		      /* in the machine file */
	u32 index;			      /* in the list */
	struct list_link link;
};

#define MACHINE_EMULATED 64

/* A device that is no hardware (mdev). */
struct emulated_description {
	char uuid[UUID_LENGTH + 1]; /* its name, in lower case */
	const struct model *model;
	const struct function_description *parent; /* whose directory has it; NULL: one of its own */
	struct model_options options;
	struct list_link link;
};

#define MACHINE_UNITS	64
#define MACHINE_REGIONS 64 /* different ones, of all devices */

/* What a machine's IOMMUs are like: machine/unit.h makes registers of it. */
struct unit_description {
	bool present;
	enum unit_kind kind;
	unsigned width;	     /* of an IOVA, in bits; Intel: of the second stage */
	unsigned pasid_bits; /* 0: it has none */
	unsigned granule;    /* SMMUv3 */
	bool guest_tables;   /* AMD: of format v2, where nothing else is asked for */
	bool dirty, nesting, coherent;
	bool shared_interrupts; /* a device could raise those of others: nothing remaps them */
	struct reserved_region regions[UNIT_REGIONS];
	unsigned nregions;
};

struct description {
	char name[32];
	struct unit_description iommu; /* each of them */
	struct iommu_options options;
	bool unsafe_interrupts; /* options of modules, at first: of both that ask for MSI */
	bool has_dma_entry_limit;
	u32 dma_entry_limit;
	bool has_interrupt_vectors; /* of MSI and MSI-X: those of the host, for all devices together */
	u32 interrupt_vectors;
	bool selftest;		/* as a kernel with CONFIG_IOMMUFD_TEST and fault injection */
	bool has_process_pasid; /* IA32_PASID of every process, for ENQCMD */
	u32 process_pasid;
	bool iommufd_provides_vfio;			 /* as with CONFIG_IOMMUFD_VFIO_CONTAINER */
	struct vfio_pci_options vfio_pci;		 /* parameters of the module */
	bool noiommu;					 /* as with vfio.enable_unsafe_noiommu_mode=1 */
	bool linux_hot_reset;				 /* a hot reset takes no proof but Linux's */
	bool as_found;					 /* captured: what is where was not questioned */
	struct reserved_region regions[MACHINE_REGIONS]; /* of devices */
	unsigned nregions;
	struct list functions;			  /* owned; enumeration order, virtual functions last */
	struct function_description **by_address; /* owned; count of them */
	size_t count;
	struct list emulated; /* struct emulated_description, owned */
};

/*
 * Reads a machine file of size bytes; file is its name for messages. MACHINE_FILE (EINVAL) says file:line:column and
 * what is wrong there. Any bytes are legal input.
 */
int description_parse(const char *text, size_t size, const char *file, struct description **ret, struct why *why);

/* name: a path (contains '/' or ends in .yaml), or a machine built in ("default"). MACHINE_UNKNOWN lists those. */
int description_load(const char *name, struct description **ret, struct why *why);
void description_free(struct description *description); /* NULL is legal */
DEFINE_FREE(description)

struct function_description *description_find(const struct description *description, struct pci_addr addr);

/* Adds or replaces an option ("disk") of a function; OPTION_UNKNOWN names what the model does know. */
int description_set_option(struct function_description *function, const char *key, const char *value, struct why *why);

/* The text of a built-in machine file, for `isolde machine show`; NULL if unknown. */
const char *description_builtin(const char *name, size_t *ret_size);
const char *description_builtin_name(unsigned index); /* for lists; NULL past the end */

/*
 * Description -> functions with configuration space, capabilities, BAR addresses, bridge windows. Models are built, not
 * yet attached. topology is initialised; on failure it is empty.
 */
int topology_build(const struct description *description, struct pci_topology *topology, struct why *why);

/* What functions hold besides registers: ROMs, product data. CONTENTS_FILE, or the host's failure. contents.c */
int contents_load(const struct description *description, struct pci_topology *topology, struct why *why);
int function_contents_load(const struct function_description *words, struct pci_function *function, struct why *why);

/*
 * A virtual function that is made later, as physical->vf or, without that, as the plainest there can be: the n-th of
 * that physical function, which is described by words. Its model is built, not yet attached.
 */
int virtual_build(const struct description *description, const struct function_description *words,
		  struct pci_function *physical, unsigned n, struct pci_function **ret, struct why *why);

/* The machine as `isolde explain` takes it; source is its name for messages. */
int description_survey(const struct description *description, const char *source, struct pci_survey **ret,
		       struct why *why);

/* Is there an address for every BAR? BAR_SPACE says for which there is none. */
int topology_fits(const struct description *description, struct why *why);

/* The word of a machine file for a role, and back. */
const char *role_name(enum function_role role);
bool role_parse(const char *name, enum function_role *ret);
bool role_is_bridge(enum function_role role);
bool role_is_pcie(enum function_role role);
enum pcie_type role_type(enum function_role role); /* only when it is PCI Express */

/* What a device is when the file does not say, below a parent with this role; NULL on a root bus. */
enum function_role role_default(const enum function_role *parent);

#endif
