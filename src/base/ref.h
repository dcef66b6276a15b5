/* SPDX-License-Identifier: MIT */
/* Reference counts. They start at one, the creator's. */
#ifndef BASE_REF_H
#define BASE_REF_H

#include <stdatomic.h>

#include "base/bits.h"

struct ref {
	atomic_uint count;
};

static inline void ref_init(struct ref *ref)
{
	atomic_init(&ref->count, 1);
}

static inline void ref_get(struct ref *ref)
{
	unsigned before = atomic_fetch_add_explicit(&ref->count, 1, memory_order_relaxed);

	assert(before > 0 && before < UINT32_MAX / 2);
}

/* True when the last reference is gone and the caller must destroy the object. */
static inline bool ref_put(struct ref *ref)
{
	unsigned before = atomic_fetch_sub_explicit(&ref->count, 1, memory_order_acq_rel);

	assert(before > 0);
	return before == 1;
}

#endif
