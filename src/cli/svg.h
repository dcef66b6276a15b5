/* SPDX-License-Identifier: MIT */
/* The picture of `isolde explain --svg`. */
#ifndef CLI_SVG_H
#define CLI_SVG_H

#include <stdio.h>

#include "cli/explanation.h"

/*
 * Buses, bridges and functions with their groups in colour and the weak links marked; to is the caller's. remark stands
 * below the title: what was asked ("what if ..."); NULL for none. HOST_FAILED when it cannot be written.
 */
int explain_svg(const struct explanation *explanation, const char *remark, FILE *to, struct why *why);

#endif
