/* SPDX-License-Identifier: MIT */
/* Stands in on branch i3 until h-svg brings the picture and replaces this file. */
#include "cli/svg.h"

int explain_svg(const struct explanation *explanation, FILE *to, struct why *why)
{
	(void)explanation, (void)to;
	return refuse(why, OPTION_INVALID, "no picture yet");
}
