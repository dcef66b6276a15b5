/* SPDX-License-Identifier: MIT */
/*
 * The journal files that `run` leaves for `why`: one a run, a JSON object a line, in a directory of the user's own.
 * The latest eight are kept.
 */
#ifndef CLI_JOURNALS_H
#define CLI_JOURNALS_H

#include "base/why.h"

#define JOURNAL_PATH  4096
#define JOURNALS_KEPT 8

/* The directory, which is made if it is not there; RUNTIME_DIRECTORY if it is not ours alone. */
int runtime_directory(char path[static JOURNAL_PATH], struct why *why);

/* Makes the directory, drops the oldest journals and names the next one. RUNTIME_DIRECTORY if it is not ours alone. */
int journals_new_path(char path[static JOURNAL_PATH], struct why *why);

/* The latest one; JOURNAL_MISSING when there is none. */
int journals_latest(char path[static JOURNAL_PATH], struct why *why);

#endif
