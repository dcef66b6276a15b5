/* SPDX-License-Identifier: MIT */
#include "base/describe.h"

#include <stdarg.h>
#include <stdio.h>

void describe_address(struct describer *describer, const char *name, u64 address)
{
	describe_format(describer, name, "0x%llx", (unsigned long long)address);
}

void describe_format(struct describer *describer, const char *name, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	describe_text(describer, name, text);
}
