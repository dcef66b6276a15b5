/* SPDX-License-Identifier: MIT */
/*
 * Why a request failed: a code from refusals.def, its errno, and a sentence that names the culprit.
 *
 * A function that can fail returns 0 (or a count) or -errno and takes `struct why *why` last. why is never NULL; a
 * caller that does not care passes a local one. Three kinds of failure, never mixed:
 *
 *	refuse()	we decided: the code fixes the errno, the text names who, where and which number
 *	refuse_host()	the host's kernel said no: the text names the call and the path
 *	assert()	a bug of ours; never reachable from a program, a file or a socket
 *
 * Branch on why->code, never on an errno of our own.
 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#include <stdbool.h>

enum why_code {
	WHY_NONE,
#define REFUSAL(code, err, loudness, hint, site) WHY_##code,
#include "base/refusals.def"
#undef REFUSAL
	WHY_CODES,
};

/* Valid after a negative return. A zero return with a code set is a remark: nothing failed yet, but it will. */
struct why {
	enum why_code code;
	int err; /* positive errno */
	const char *file, *func;
	int line;
	char text[240];
};

#define WHY_INIT                                                                                                       \
	{                                                                                                              \
		.code = WHY_NONE                                                                                       \
	}

/* How a refusal is shown: SAY prints it at once, HUSH only keeps it in the journal (programs probe with it). */
enum why_loudness { SAY, HUSH };

/* Fills why and returns -errno of the code. */
#define refuse(why, code, ...) refuse_at((why), WHY_##code, __FILE__, __func__, __LINE__, __VA_ARGS__)

/* A host call failed with the positive errno err; returns -err. */
#define refuse_host(why, err, ...) refuse_host_at((why), (err), __FILE__, __func__, __LINE__, __VA_ARGS__)

int refuse_at(struct why *why, enum why_code code, const char *file, const char *func, int line, const char *format,
	      ...) __attribute__((cold, format(printf, 6, 7)));
int refuse_host_at(struct why *why, int err, const char *file, const char *func, int line, const char *format, ...)
	__attribute__((cold, format(printf, 6, 7)));

/* Puts "context: " in front of the text, once per layer border; returns -why->err. */
int why_context(struct why *why, const char *format, ...) __attribute__((cold, format(printf, 2, 3)));

void why_clear(struct why *why);

struct isolde_why;

/* The reason as the library's callers see it; ret may be NULL. result: of the call; a success may carry a remark. */
void why_export(struct isolde_why *ret, const struct why *why, long result);

/* The row of refusals.def. Names are stable; an unknown name gives WHY_NONE. */
const char *why_code_name(enum why_code code);
const char *why_code_hint(enum why_code code);
const char *why_code_site(enum why_code code);
int why_code_errno(enum why_code code);
enum why_loudness why_code_loudness(enum why_code code);
enum why_code why_code_from_name(const char *name);

/* "EBUSY" for a positive errno, "E?" for one we never use. */
const char *errno_name(int err);

#endif
