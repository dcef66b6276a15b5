/* SPDX-License-Identifier: MIT */
/* How areas come into an IOAS and its domains, and leave them: for ioas_map.c, ioas_copy.c and ioas_domain.c. */
#ifndef IOMMUFD_IOAS_AREA_H
#define IOMMUFD_IOAS_AREA_H

#include "iommufd/ioas.h"

/* One piece of what is mapped by a call: bytes of pages that become one area. */
struct slice {
	struct pages *pages; /* borrowed */
	u64 offset, size;
	struct ioas_area *area; /* made by ioas_map_slices() */
};

/*
 * The slices one behind the other at *iova (fixed), or where all of it fits. Steps 6 to 10 of spec 03 section 3.5; on
 * failure nothing is left.
 */
int ioas_map_slices(struct ioas *ioas, struct slice *slices, size_t count, unsigned permission, bool fixed, u64 *iova,
		    struct why *why);

/* The area is in the space and one of its domains has it not yet, or no longer. Revoked memory is in no domain. */
int area_fill(struct ioas_area *area, struct domain *domain, struct why *why);
void area_clear(struct ioas_area *area, struct domain *domain);

/* Pins what the area shows, with frames for it. What pages_cover() and pages_frame() say. */
int area_pin(struct ioas *ioas, struct ioas_area *area, struct why *why);
void area_unpin(struct ioas *ioas, struct ioas_area *area);

#endif
