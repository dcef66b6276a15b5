/* SPDX-License-Identifier: MIT */
#include "base/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "isolde/why.h"

static const struct {
	const char *name;
	int err;
	enum why_loudness loudness;
	const char *hint;
	const char *site;
} refusals[WHY_CODES] = {
	[WHY_NONE] = {"NONE", 0, HUSH, "", ""},
#define REFUSAL(code, err, loudness, hint, site) [WHY_##code] = {#code, err, loudness, hint, site},
#include "base/refusals.def"
#undef REFUSAL
};

static void fill(struct why *why, enum why_code code, int err, const char *file, const char *func, int line)
{
	why->code = code;
	why->err = err;
	why->file = file;
	why->func = func;
	why->line = line;
}

int refuse_at(struct why *why, enum why_code code, const char *file, const char *func, int line, const char *format,
	      ...)
{
	va_list args;

	fill(why, code, refusals[code].err, file, func, line);
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return -why->err;
}

int refuse_host_at(struct why *why, int err, const char *file, const char *func, int line, const char *format, ...)
{
	va_list args;
	size_t used;

	fill(why, WHY_HOST_FAILED, err, file, func, line);
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	used = strlen(why->text);
	snprintf(why->text + used, sizeof(why->text) - used, ": %s", strerror(err));
	return -err;
}

int why_context(struct why *why, const char *format, ...)
{
	char text[sizeof(why->text)];
	va_list args;
	size_t used;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	used = strlen(text);
	snprintf(text + used, sizeof(text) - used, ": %s", why->text);
	memcpy(why->text, text, sizeof(text));
	return -why->err;
}

void why_clear(struct why *why)
{
	*why = (struct why)WHY_INIT;
}

const char *why_code_name(enum why_code code)
{
	return refusals[code].name;
}

const char *why_code_hint(enum why_code code)
{
	return refusals[code].hint;
}

const char *why_code_site(enum why_code code)
{
	return refusals[code].site;
}

int why_code_errno(enum why_code code)
{
	return refusals[code].err;
}

enum why_loudness why_code_loudness(enum why_code code)
{
	return refusals[code].loudness;
}

enum why_code why_code_from_name(const char *name)
{
	for (unsigned code = WHY_NONE + 1; code < WHY_CODES; code++)
		if (strcmp(refusals[code].name, name) == 0)
			return (enum why_code)code;
	return WHY_NONE;
}

const char *errno_name(int err)
{
	/* strerrorname_np() knows them all, EWOULDBLOCK's alias included. */
	const char *name = strerrorname_np(err);

	return name ? name : "E?";
}

void why_export(struct isolde_why *ret, const struct why *why, long result)
{
	if (!ret)
		return;
	*ret = (struct isolde_why){.err = result < 0 ? (int)-result : 0, .hint = "", .site = ""};
	if (why->code == WHY_NONE)
		return;
	snprintf(ret->code, sizeof(ret->code), "%s", why_code_name(why->code));
	snprintf(ret->text, sizeof(ret->text), "%s", why->text);
	ret->hint = why_code_hint(why->code);
	ret->site = why_code_site(why->code);
}
