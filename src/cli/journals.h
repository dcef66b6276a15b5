/* SPDX-License-Identifier: MIT */
/*
 * The journal files that `run` leaves for `why`: one a run, a JSON object a line, in a directory of the user's own.
 * The latest eight are kept.
 */
#ifndef CLI_JOURNALS_H
#define CLI_JOURNALS_H

#include <sys/types.h>

#include "base/why.h"

#define JOURNAL_PATH  4096
#define JOURNALS_KEPT 8

/* Where one of that user with that XDG_RUNTIME_DIR, or none, has it; whether it is there or not. */
void runtime_directory_of(uid_t uid, const char *runtime, char path[static JOURNAL_PATH]);

/* The directory, which is made if it is not there; RUNTIME_DIRECTORY if it is not ours alone. */
int runtime_directory(char path[static JOURNAL_PATH], struct why *why);

/* Makes the directory, drops the oldest journals and names the next one. RUNTIME_DIRECTORY if it is not ours alone. */
int journals_new_path(char path[static JOURNAL_PATH], struct why *why);

/* The latest one; JOURNAL_MISSING when there is none. */
int journals_latest(char path[static JOURNAL_PATH], struct why *why);

#endif
