/* SPDX-License-Identifier: MIT */
/*
 * A survey as a machine file: the same functions, in the same groups, to run programs on. What the room cannot have
 * (registers of gigabytes, drivers that would not bind) is cut down with a comment that says so; the text that comes
 * out always loads.
 */
#ifndef MACHINE_CAPTURE_H
#define MACHINE_CAPTURE_H

#include "pci/survey.h"

/* ret: owned by the caller. CAPTURE_TOO_LARGE (E2BIG): more than a machine file can say. */
int capture_text(const struct pci_survey *survey, char **ret, struct why *why);

#endif
