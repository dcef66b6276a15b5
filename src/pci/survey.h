/* SPDX-License-Identifier: MIT */
/*
 * A machine as somebody saw it: the functions a reader found in an lspci dump or in sysfs, what else was said about
 * them, and what was not said and had to be assumed. Nothing is guessed in silence: each gap leaves a remark.
 *
 * A reader adds functions in any order, each with what it knows; pci_survey_finish() does the rest: order, bridges
 * above, slots, virtual functions, VMD, which functions an IOMMU covers.
 */
#ifndef PCI_SURVEY_H
#define PCI_SURVEY_H

#include "pci/caps.h"
#include "pci/topology.h"

enum pci_gap {			     /* what a reader could not learn about a function, a bit each */
	       PCI_GAP_IDS = 1,	     /* vendor or device id */
	       PCI_GAP_CLASS = 2,    /* class code (a name was all there was, and it is not known) */
	       PCI_GAP_CAPS = 4,     /* capabilities, so whether it is PCI Express and what kind */
	       PCI_GAP_EXT_CAPS = 8, /* extended capabilities, so ACS and SR-IOV */
	       PCI_GAP_HEADER = 16,  /* the header type: multifunction or not, when no sibling shows it */
	       PCI_GAP_BUSES = 32,   /* a bridge's bus numbers */
	       PCI_GAP_SUBSYSTEM = 64,
	       PCI_GAP_GROUP = 128, /* its group, though the source says those of others */
};

#define PCI_GROUP_UNSAID -1

/* What was said about a function besides its registers. Finish makes the words safe to print (base/text.h). */
struct pci_facts {
	struct pci_function *function; /* owned until finish, then the topology's */
	unsigned gaps;		       /* pci_gap */
	unsigned line;		       /* where it starts in the text; 0 none */
	int host_group;		       /* the group that machine's kernel gave it; PCI_GROUP_UNSAID */
	char *name;		       /* owned: class and product in the dump's words; NULL */
	char *driver;		       /* owned: in use; NULL: none or not said */
	bool driver_said;	       /* the source would have named one */
	bool is_virtual;	       /* with the address of its physical function */
	struct pci_addr physical;
	struct pci_addr above; /* the bridge directly above, if said (lspci -P, sysfs) */
	bool above_said;       /* with above_is_root: it is on a root bus */
	bool above_is_root;
	bool vmd_said; /* its segment belongs to the VMD endpoint `vmd` */
	struct pci_addr vmd;
};

enum pci_remark_kind {
	REMARK_WARNING,	   /* something in the source is odd: cut off, mangled, contradictory */
	REMARK_MISSING,	   /* something is not in the source; `command` would bring it */
	REMARK_ASSUMPTION, /* what was taken for granted for want of it */
};

struct pci_remark {
	enum pci_remark_kind kind;
	unsigned line; /* of the source; 0 none */
	char *text;    /* owned: a sentence */
	char *command; /* owned: what to run to do better; NULL */
};

enum pci_platform { PLATFORM_UNKNOWN, PLATFORM_INTEL, PLATFORM_AMD, PLATFORM_OTHER };

/* A region of IOVA space that is not free, and who said so. */
struct pci_region {
	u64 start, last;
	char kind[20]; /* "direct", "direct-relaxable", "reserved", "msi" */
	int group;     /* of the host, as in host_group; PCI_GROUP_UNSAID: every group */
	char *from;    /* owned: "firmware (RMRR)", "the MSI window of Intel platforms" */
};

struct pci_survey {
	char *source; /* owned: file name, or "this host" */
	struct pci_topology topology;
	struct pci_facts *facts; /* owned: before finish in the order of pci_survey_add(), then by function->index */
	size_t count, room;
	struct pci_remark *remarks; /* owned */
	size_t nremarks, remarks_room;
	struct pci_region *regions; /* owned; a reader adds them in ascending order of their groups */
	size_t nregions, regions_room;
	enum pci_platform platform; /* a reader may know it; otherwise finish looks at the chipset */
	bool units_said;	    /* the source names the unit of each function */
	const char *see_all;	    /* borrowed: the command that shows most; NULL: that of lspci */
	unsigned kernel;	    /* PCI_KERNEL() of that machine, if said; 0 */
	bool says_groups;	    /* the source would have said a function's group, so one without has none */
	bool acs_unarmed;	    /* no sign that its IOMMU was on: Linux would still switch ACS on */
};

int pci_survey_new(const char *source, struct pci_survey **ret, struct why *why);
void pci_survey_free(struct pci_survey *survey); /* NULL is legal */
DEFINE_FREE(pci_survey)

/*
 * A new function at addr, with facts to fill; its function is pci_function_init()ed with `identity` (zeros where
 * unknown: say so in gaps). The pointer is good until the next add. Of two with one address the first counts; the
 * other leaves a remark at finish.
 */
int pci_survey_add(struct pci_survey *survey, struct pci_addr addr, const struct pci_identity *identity,
		   struct pci_facts **ret, struct why *why);

/* A remark, printf-like; command may be NULL. Equal remarks (kind, text) are kept once. */
int pci_survey_remark(struct pci_survey *survey, enum pci_remark_kind kind, unsigned line, const char *command,
		      struct why *why, const char *format, ...) __attribute__((format(printf, 6, 7)));

int pci_survey_region(struct pci_survey *survey, u64 start, u64 last, const char *kind, int group, const char *from,
		      struct why *why);

/*
 * Puts the functions in enumeration order into the topology: bridges above (by bus number, or as said), multifunction
 * slots, virtual functions, VMD children, coverage by an IOMMU; leaves remarks for every gap that matters. Call once.
 */
int pci_survey_finish(struct pci_survey *survey, struct why *why);

/*
 * In place of add and finish: takes over the functions of a topology that is whole already (a machine file), which is
 * left empty. On failure it keeps them.
 */
int pci_survey_adopt(struct pci_survey *survey, struct pci_topology *topology, struct why *why);

/* ---- readers; all finish the survey ---- */

struct pci_ids; /* names -> ids, read from pci.ids */

/* path: "/usr/share/misc/pci.ids"; HOST_FAILED when it cannot be read. Any contents are legal. */
int pci_ids_read(const char *path, struct pci_ids **ret, struct why *why);
int pci_ids_parse(const char *text, size_t size, struct pci_ids **ret, struct why *why);
void pci_ids_free(struct pci_ids *ids); /* NULL is legal */

/*
 * The text of lspci: -v, -vv, -vvv, with -n, -nn, -x, -xxx, -xxxx, -D, -P, -PP, -k in any mix, from root or not, cut
 * out of a mail (quoted, wrapped, indentation lost). Text around it is skipped. file is its name for messages. ids may
 * be NULL: then names alone do not give ids. DUMP_INVALID (EINVAL) names file and line when there is no function at
 * all in it, or it is another program's output.
 */
int pci_read_lspci(const char *text, size_t size, const char *file, const struct pci_ids *ids, struct pci_survey **ret,
		   struct why *why);

/*
 * A sysfs tree: root is "/sys", or a copy of one or of part of one (bus/pci/devices, devices, kernel/iommu_groups).
 * Only reads, and only attributes without side effects. HOST_FAILED names the path; NO_PCI (ENODEV) when there is no
 * function in it.
 */
int pci_read_sysfs(const char *root, struct pci_survey **ret, struct why *why);

#endif
