/* SPDX-License-Identifier: MIT */
/* All that `isolde inspect` tells of a machine, as lines that can be compared. */
#ifndef TESTS_CONFORM_STATE_H
#define TESTS_CONFORM_STATE_H

#include "machine/machine.h"

char *state_text(struct machine *machine); /* free() it */
/* Points both to their first lines that differ; false: none does. */
bool state_differs(const char **one, const char **other);

#endif
