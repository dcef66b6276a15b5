/* SPDX-License-Identifier: MIT */
/*
 * Private to the reader of lspci's text, which works in three steps:
 *
 *	lines	lspci_lines.c takes quotation marks, entities, blanks off each line and says what it starts
 *		(enum lspci_key); lspci.c puts wrapped ones together again
 *	records	one for each function, however often the text speaks of it; filled by lspci_head.c (first line, paths),
 *		lspci_text.c (lines before the capabilities), lspci_caps.c, lspci_hex.c, lspci_kernel.c (groups,
 *drivers) survey	lspci_build.c makes configuration space, gaps and remarks of the records
 *
 * What is said first counts, except that bytes count more than words.
 */
#ifndef PCI_LSPCI_H
#define PCI_LSPCI_H

#include "pci/ids.h"

#define LSPCI_LINE 1024 /* of a line put together from wrapped ones; the rest is cut off */

/* What a line starts with. */
enum lspci_key {
	KEY_NONE,  /* prose, or the rest of a wrapped line */
	KEY_COLON, /* some "word:" */
	KEY_BLANK,
	KEY_OTHER, /* lspci's, of no interest */
	KEY_HEAD,
	KEY_BYTES,	/* "40: 10 80 42 01" */
	KEY_TREE,	/* of lspci -t */
	KEY_FIELDS,	/* of lspci -mm and -vmm */
	KEY_GROUP_HEAD, /* "IOMMU Group 1:", maybe with a head behind it */
	KEY_SUBSYSTEM,
	KEY_CONTROL,
	KEY_STATUS,
	KEY_FLAGS,
	KEY_BUS,
	KEY_REGION,
	KEY_ROM,
	KEY_GROUP,
	KEY_BROKEN,
	KEY_DRIVER,
	KEY_MODULES,
	KEY_CAPABILITY,
	KEY_DEVCAP,
	KEY_DEVCTL,
	KEY_DEVCTL2,
	KEY_SLTCAP,
	KEY_ACSCAP,
	KEY_ACSCTL,
	KEY_IOVCTL,
	KEY_VFS,
	KEY_VF_OFFSET,
	KEY_PASIDCAP,
	KEY_VECTORS,
	KEY_PENDING_BITS,
};

/* ---- lines ---- */

struct lspci_lines {
	const char *text;
	size_t size, at;
	unsigned number;	    /* of the line last given */
	bool mangled;		    /* some line needs more than blanks and quotation marks taken off */
	bool printable;		    /* quoted-printable */
	char clean[4 * LSPCI_LINE]; /* a line that was mangled */
};

/* Not ended by a zero byte; good until the next. */
struct lspci_line {
	const char *at;
	size_t length;
};

void lspci_lines_init(struct lspci_lines *lines, const char *text, size_t size);
bool lspci_lines_next(struct lspci_lines *lines, struct lspci_line *ret);
enum lspci_key lspci_key_of(const struct lspci_line *line);

/* Offset of a row of bytes, and up to 16 of them; 0 when the line is none. */
unsigned lspci_parse_bytes(const struct lspci_line *line, unsigned *ret_offset, u8 ret[static 16]);

/* The address text begins with, "0000:00:1f.3" or "00:1f.3"; returns its length, 0 if there is none. */
size_t lspci_parse_addr(const char *text, size_t length, struct pci_addr *ret);

/* ---- records ---- */

enum lspci_seen { /* what the text said of a function, a bit each */
		  SEEN_IDS = 1 << 0,
		  SEEN_VENDOR = 1 << 1,	 /* the vendor alone, by name */
		  SEEN_SEVERAL = 1 << 2, /* the device id is one of those with that name */
		  SEEN_CLASS = 1 << 3,
		  SEEN_SUBSYSTEM = 1 << 4,
		  SEEN_SUBSYSTEM_NAME = 1 << 5,
		  SEEN_FLAGS = 1 << 6,	 /* -v */
		  SEEN_CONTROL = 1 << 7, /* -vv */
		  SEEN_CAP_BIT = 1 << 8, /* Status: Cap+ */
		  SEEN_KERNEL = 1 << 9,
		  SEEN_BUSES = 1 << 10,
		  SEEN_DENIED = 1 << 11,
		  SEEN_BROKEN = 1 << 12, /* its registers could not be read */
		  SEEN_CAPS = 1 << 13,
		  SEEN_BROKEN_CHAIN = 1 << 14,
		  SEEN_EXPRESS = 1 << 15,
		  SEEN_PM = 1 << 16,
		  SEEN_MSI = 1 << 17,
		  SEEN_MSIX = 1 << 18,
		  SEEN_VECTORS = 1 << 19,
		  SEEN_AF = 1 << 20,
		  SEEN_ACS = 1 << 21,
		  SEEN_ACSCAP = 1 << 22,
		  SEEN_ACSCTL = 1 << 23,
		  SEEN_SRIOV = 1 << 24,
		  SEEN_VFS = 1 << 25,
		  SEEN_VF_OFFSET = 1 << 26,
		  SEEN_ARI = 1 << 27,
		  SEEN_ATS = 1 << 28,
		  SEEN_PASID = 1 << 29,
		  SEEN_PRI = 1 << 30,
};

#define SEEN_VERBOSE (SEEN_FLAGS | SEEN_CONTROL)

struct lspci_bar {
	u8 kind; /* enum pci_bar_kind */
	u8 log2_size;
	bool prefetchable;
	u64 address;
};

struct lspci_record {
	struct pci_addr addr, above;
	unsigned line, seen;
	struct pci_identity identity;
	bool extended; /* an extended capability was seen, of any kind */
	bool below;    /* another function: `above` */
	bool cut;      /* the text ends in the middle of it */
	bool proof;    /* surely a function, not prose that looks like one */
	u8 secondary, subordinate;
	u8 implied_secondary, implied_subordinate; /* by paths; 0 if not */
	u8 type, slot, phantom, msi_log2, pasid_width, table_bar, pending_bar;
	bool slot_register, flr, phantom_on, ari_on, msi_wide, vf_enable;
	bool aer;
	u16 acs_capable, acs_enabled, vectors;
	u32 table_offset, pending_offset;
	struct pci_sriov sriov;
	int group;
	bool listed;	     /* the group was said in a list of them */
	char *name, *driver; /* owned */
	struct lspci_bar bars[PCI_BARS + 1];
	u8 *bytes;   /* owned: 4096 of them; NULL */
	u64 rows[4]; /* which rows of 16 were there */
	unsigned bytes_line;
};

/* What is odd or missing, counted per kind and told at the end. */
enum lspci_oddity {
	ODD_NO_IDS,
	ODD_SEVERAL_IDS,
	ODD_NO_CLASS,
	ODD_NO_GROUP,
	ODD_ASLEEP,
	ODD_NO_CAPS,
	ODD_NOT_EXPRESS,
	ODD_ACS_ASSUMED,
	ODD_ACS_MANGLED,
	ODD_SRIOV_MANGLED,
	ODD_CHAIN,
	ODD_BYTES_CUT,
	ODD_MISMATCH,
	ODD_PROSE,
	ODD_UNLISTED,
	ODD_CUT,
	ODD_REPEATED,
	ODD_STRANGER,
	ODD_ORPHAN,
	ODD_KINDS,
};

/* How many functions something holds for, and the first of them. */
struct lspci_tally {
	size_t count;
	unsigned line;
	struct pci_addr addr;
};

struct lspci_reader {
	const struct pci_ids *ids; /* may be NULL */
	struct pci_survey *survey; /* owned until it is whole */
	struct lspci_lines lines;

	struct lspci_record *records; /* owned */
	size_t count, room;
	u32 *slots; /* owned: hash table of 1 + index */
	size_t slots_mask;

	/* The line being put together. */
	enum lspci_key key;
	unsigned line;
	size_t length, last_length; /* of the whole, and of its last piece */
	char text[LSPCI_LINE + 1];

	/* Where in the text we are. */
	size_t current; /* 1 + index of the record; 0 none */
	bool in_caps, repeated;
	unsigned head_line; /* where the record's present block starts */
	unsigned next_bar;
	int listing;	/* group of the heads that follow; PCI_GROUP_UNSAID */
	int ls_listing; /* group of the bare addresses that follow, as ls prints them */

	/* What the text has, for the whole machine. */
	bool mentions_groups, mentions_kernel; /* worth looking at each line of prose */
	bool paths, drivers;
	unsigned tree_line, fields_line, kernel;
	struct lspci_tally odd[ODD_KINDS];
};

void lspci_count(struct lspci_tally *tally, unsigned line, struct pci_addr addr);

/* NULL: none. The pointer is good until the next record is made. */
struct lspci_record *lspci_find(const struct lspci_reader *reader, struct pci_addr addr);
int lspci_find_or_add(struct lspci_reader *reader, struct pci_addr addr, struct lspci_record **ret, struct why *why);
struct lspci_record *lspci_current(const struct lspci_reader *reader);

/* Readers of one line each; text is zero-ended. */
int lspci_read_head(struct lspci_reader *reader, const char *text, struct why *why);
void lspci_read_text(struct lspci_reader *reader, struct lspci_record *record, enum lspci_key key, const char *text);
void lspci_read_subsystem(const struct lspci_reader *reader, struct lspci_record *record, const char *text);
void lspci_read_caps(struct lspci_record *record, enum lspci_key key, const char *text);
int lspci_read_bytes(struct lspci_reader *reader, const struct lspci_line *line, struct why *why);
int lspci_read_driver(struct lspci_reader *reader, struct lspci_record *record, const char *text, struct why *why);

/* "IOMMU Group 1:": returns what follows the number; sets reader->listing. */
const char *lspci_read_group_head(struct lspci_reader *reader, const char *text);

/* Prose that may tell groups or the kernel's version. */
int lspci_read_prose(struct lspci_reader *reader, const struct lspci_line *line, struct why *why);
void lspci_note_group(struct lspci_record *record, int group, bool listed);

/* ---- survey ---- */

/* A copy, ended by a zero byte; NULL with why filled. */
char *lspci_copy(const char *text, size_t length, struct why *why);

/* Secondary bus number by text or bytes; 0 unknown. */
u8 lspci_secondary(const struct lspci_record *record);

/* How many bytes from the first on are there without a hole. */
unsigned lspci_known_bytes(const struct lspci_record *record);

/* 64 bytes that are not all ff, which is what a device answers that sleeps or is gone. */
bool lspci_bytes_usable(const struct lspci_record *record);

/* Adds the functions, their gaps and all remarks to reader->survey. */
int lspci_build(struct lspci_reader *reader, struct why *why);

/* Registers from bytes, and from words where they end; adds to *gaps and counts oddities. */
void lspci_build_bytes(const struct lspci_record *record, struct pci_function *function, unsigned *gaps,
		       struct lspci_tally odd[static ODD_KINDS]);

/* Registers from words alone. */
void lspci_build_words(const struct lspci_record *record, struct pci_function *function, unsigned *gaps,
		       struct lspci_tally odd[static ODD_KINDS]);

/* Capabilities from words: into the first 256 bytes, the rest. */
void lspci_build_caps(const struct lspci_record *record, struct pci_function *function);
unsigned lspci_build_extended(const struct lspci_record *record, struct pci_function *function,
			      struct lspci_tally odd[static ODD_KINDS]);

#endif
