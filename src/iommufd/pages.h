/* SPDX-License-Identifier: MIT */
/*
 * Pages: the memory behind areas - a run of a client's addresses, of a file, or of a device's registers (dma-buf) -
 * with who pays for it. IOAS_COPY shares them, also across IOASes. A page is pinned once, by however many domains and
 * accesses cover it: then it is charged, and was checked to be there. An IOAS without domain and access pins nothing,
 * so that what cannot be pinned is refused when the first one comes (spec 03 section 3).
 */
#ifndef IOMMUFD_PAGES_H
#define IOMMUFD_PAGES_H

#include "iommu/space.h"
#include "mem/buffer.h"
#include "mem/charge.h"
#include "mem/memory_file.h"

struct iommufd;

/*
 * What a program mapped with one call, or a copy of it: a slice of pages (area.offset, bytes). Small, like pages: there
 * may be millions.
 */
struct ioas_area {
	struct area area;	/* first; its extent is that of the pages, see area_pages() */
	u32 pins;		/* ranges that accesses have pinned in it */
	u32 locks : 31;		/* those of hw_queues among them: UNMAP is EBUSY */
	u32 prevent_access : 1; /* being unmapped: no new pins */
};

enum pages_kind { PAGES_USER, PAGES_FILE, PAGES_BUFFER };

/* What only some pages have. */
struct pages_side {
	struct itree ranges;	    /* struct pin_range, owned: page numbers that areas and accesses cover in part */
	struct memory_file *file;   /* used; of PAGES_FILE, NULL: one that is no memory; or behind a shared mapping */
	u64 file_start;		    /* where the first page is in it */
	struct file_window *window; /* used; our mapping of it, once something was pinned */
	struct buffer_importer importer; /* of PAGES_BUFFER */
	struct list views;		 /* struct buffer_view, owned by ioas_revoke.c: of PAGES_BUFFER */
};

struct pages {
	/*
	 * first. Until something is pinned for a domain it has no frames: it then begins at 0. address is where the
	 * first page is: in the client, the file or the buffer.
	 */
	struct extent extent;
	struct client *client;	 /* ref: who mapped it, and pays */
	struct pages_side *side; /* owned; NULL: nothing of it */
	u32 refs;		 /* areas, and whoever is making one */
	u32 whole;		 /* areas in domains, and pinned ranges, that cover all of it */
	u32 account;		 /* see struct payer */
	u8 charge_mode;
	u8 kind : 2;
	u8 writable : 1; /* made by a map with WRITEABLE: pinned for writing */
	u8 ready : 1;	 /* its extent shows memory */
	u8 seen : 1;	 /* while all pages are visited */
	u8 first_used : 1;
	u8 revoked : 1;		/* a buffer whose memory was taken away, for good */
	struct ioas_area first; /* the area made with it needs no memory of its own */
};

static inline struct pages *area_pages(const struct ioas_area *area)
{
	return container_of(area->area.extent, struct pages, extent);
}

static inline u64 pages_count(const struct pages *pages)
{
	return extent_size(&pages->extent) >> PAGE_SHIFT;
}

/* ---- making ---- */

/* Who asks for pages, and how they are to be pinned. */
struct pages_maker {
	struct iommufd *iommufd;
	struct client *client;
	enum charge_mode charge_mode; /* of the context */
	bool writable;
};

/*
 * [address, address + size) of the client; whole pages are taken. IOAS_RANGE_EMPTY (EINVAL) size 0, or nearly 2^64,
 * OUT_OF_MEMORY. All of these give one reference.
 */
int pages_new_user(const struct pages_maker *maker, u64 address, u64 size, struct pages **ret, struct why *why);
/* Of a file of the client's; file is taken, also when it fails. NULL: one that can never be pinned. */
int pages_new_file(const struct pages_maker *maker, struct memory_file *file, u64 start, u64 size, struct pages **ret,
		   struct why *why);
/* IOAS_BUFFER_RANGE (EINVAL), BUFFER_KIND (EOPNOTSUPP), BUFFER_REVOKED (ENODEV). */
int pages_new_buffer(const struct pages_maker *maker, struct shared_buffer *buffer, u64 start, u64 size,
		     void (*revoked)(struct buffer_importer *importer), struct pages **ret, struct why *why);

static inline struct pages *pages_get(struct pages *pages)
{
	pages->refs++;
	return pages;
}
/* Nothing of it is covered when the last one goes. */
void pages_put(struct iommufd *iommufd, struct pages *pages);

/* An area of it, with a reference, that stands for nothing yet. OUT_OF_MEMORY. */
int area_new(struct pages *pages, struct ioas_area **ret, struct why *why);
void area_free(struct iommufd *iommufd, struct ioas_area *area);

/* ---- pinning ---- */

/* Pages of an area, by number. */
struct page_span {
	u64 first, last;
};

static inline struct page_span area_span(const struct ioas_area *area)
{
	u64 last = area->area.offset + area_size(&area->area) - 1;

	return (struct page_span){area->area.offset >> PAGE_SHIFT, last >> PAGE_SHIFT};
}

/*
 * One more area in domains, or access, covers the span: what nobody covered so far is pinned, for the client: checked
 * to be there, charged. CLIENT_FAULT (EFAULT), FILE_NOT_MEMORY, FILE_TOO_SHORT (EINVAL), MEMLOCK_EXCEEDED,
 * OUT_OF_MEMORY.
 */
int pages_cover(struct iommufd *iommufd, struct pages *pages, struct page_span span, struct why *why);
/* The same span was covered. */
void pages_uncover(struct iommufd *iommufd, struct pages *pages, struct page_span span);
u64 pages_pinned(const struct pages *pages); /* how many are */
bool pages_covers(const struct pages *pages, u64 index);

/* Gives its extent frames, congruent with where the first page would be at that IOVA. FRAMES_EXHAUSTED. */
int pages_frame(struct iommufd *iommufd, struct pages *pages, u64 iova, struct why *why);
bool pages_framed(const struct pages *pages);

/* CHANGE_PROCESS: from now on they are the client's, which has paid for what is pinned. */
void pages_change_client(struct iommufd *iommufd, struct pages *pages, struct client *client,
			 const struct payer *payer);

/*
 * Copies between buffer and [offset, offset + size) of the pages. By the client that mapped them, or by nobody (asker
 * NULL), what is at the address now counts; by others, for files, or with `slowly`, what is pinned, or could be.
 * CLIENT_FAULT and others as for pages_cover(); earlier bytes may have moved.
 */
int pages_copy(struct iommufd *iommufd, struct pages *pages, const struct client *asker, u64 offset, void *buffer,
	       u64 size, bool write, bool slowly, struct why *why);

void pages_check(const struct pages *pages);

/* ---- identities (pages_identity.c) ---- */

/*
 * Where a page really is: what two mappings of the same memory have in common. Private memory is told apart by its
 * client and address, shared memory by its file. For the selftest's checks and for hw_queues.
 */
struct page_identity {
	const void *space; /* a client or a dma-buf; NULL: a file */
	u64 device, inode;
	u64 page;  /* number in it */
	bool huge; /* one of a huge page */
};

static inline bool page_identity_equal(const struct page_identity *a, const struct page_identity *b)
{
	return a->space == b->space && a->device == b->device && a->inode == b->inode && a->page == b->page;
}

/* CLIENT_FAULT (EFAULT): nothing is there (any more). */
int pages_identity(const struct pages *pages, u64 index, struct page_identity *ret, struct why *why);
int client_page_identity(struct client *client, u64 address, struct page_identity *ret, struct why *why);
/*
 * How often each page of [address, address + npages * PAGE_SIZE) is pinned: counts gets one number for each, as many as
 * pages objects of all contexts pin it; *huge, if not NULL, whether it belongs to a huge page. CLIENT_FAULT.
 */
int iommufd_count_pins(struct iommufd *iommufd, struct client *client, u64 address, u64 npages, u32 *counts, bool *huge,
		       struct why *why);

#endif
