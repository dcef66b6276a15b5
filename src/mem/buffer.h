/* SPDX-License-Identifier: MIT */
/*
 * A dma-buf: memory that its exporter shows to others by descriptor, and may take away from them at any time. Exporters
 * are a VFIO device (a range of a region) and Linux's selftest; iommufd imports them. All under machine.lock.
 */
#ifndef MEM_BUFFER_H
#define MEM_BUFFER_H

#include "mem/file.h"

struct shared_buffer;

struct buffer_ops {
	const char *exporter; /* "vfio-pci": for texts */
	/* Neither descriptor nor importer is left. Frees the buffer, and what is the exporter's of it. */
	void (*free)(struct shared_buffer *buffer);
};

/* Embedded by its exporter. */
struct shared_buffer {
	struct file file; /* first; its path and mode are the exporter's to set */
	const struct buffer_ops *ops;
	u64 size;	 /* bytes, a multiple of PAGE_SIZE */
	u8 *memory;	 /* the exporter's, in our process; outlives the buffer */
	bool importable; /* one range, revocable, between devices: what iommufd needs */
	bool revoked;	 /* nobody may use the memory now */
	unsigned users;	 /* importers, and 1 for all descriptors */
	struct list importers;
};

/* Embedded by whoever uses the memory. */
struct buffer_importer {
	struct shared_buffer *buffer; /* NULL: of none */
	/* The memory is taken away: use it no more when this returns. It stays so even if others may use it again. */
	void (*revoked)(struct buffer_importer *importer);
	struct list_link link;
};

void buffer_init(struct shared_buffer *buffer, const struct buffer_ops *ops, u8 *memory, u64 size);

/* The buffer behind a file; NULL: it is none. */
struct shared_buffer *buffer_of_file(struct file *file);

/* BUFFER_KIND (EOPNOTSUPP), BUFFER_REVOKED (ENODEV). The importer keeps the buffer. */
int buffer_import(struct shared_buffer *buffer, struct buffer_importer *importer, struct why *why);
void buffer_let_go(struct buffer_importer *importer); /* legal on a zeroed one */

/* The exporter takes the memory away, or gives it back to who imports from now on. */
void buffer_revoke(struct shared_buffer *buffer, bool revoked);

#endif
