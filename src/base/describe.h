/* SPDX-License-Identifier: MIT */
/*
 * Telling what there is, for `isolde inspect`: each layer walks its state and calls these with named values; whoever
 * asked makes JSON of them. Objects and arrays nest. Names are NULL inside an array. Nothing here fails: who runs out
 * of memory remembers it and drops the rest.
 */
#ifndef BASE_DESCRIBE_H
#define BASE_DESCRIBE_H

#include "base/bits.h"

struct describer;

struct describer_ops {
	void (*object)(struct describer *describer, const char *name); /* begins one */
	void (*array)(struct describer *describer, const char *name);
	void (*close)(struct describer *describer); /* of the innermost */
	void (*number)(struct describer *describer, const char *name, u64 value);
	void (*flag)(struct describer *describer, const char *name, bool value);
	void (*text)(struct describer *describer, const char *name, const char *text); /* NULL: there is none */
};

struct describer {
	const struct describer_ops *ops;
	/* Mappings that may still be told one by one, under the lock that keeps them; 0: only how many there are. */
	u64 mappings;
};

static inline void describe_object(struct describer *describer, const char *name)
{
	describer->ops->object(describer, name);
}

static inline void describe_array(struct describer *describer, const char *name)
{
	describer->ops->array(describer, name);
}

static inline void describe_end(struct describer *describer)
{
	describer->ops->close(describer);
}

static inline void describe_number(struct describer *describer, const char *name, u64 value)
{
	describer->ops->number(describer, name, value);
}

static inline void describe_flag(struct describer *describer, const char *name, bool value)
{
	describer->ops->flag(describer, name, value);
}

static inline void describe_text(struct describer *describer, const char *name, const char *text)
{
	describer->ops->text(describer, name, text);
}

/* "0xfee00000": what may not fit a number of JSON. */
void describe_address(struct describer *describer, const char *name, u64 address);
void describe_format(struct describer *describer, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
