/* SPDX-License-Identifier: MIT */
/*
 * The verbs of the command line. argv[0] is the verb. Each returns the exit status: 0, 1 when it found or was told no,
 * 2 when it was called wrongly; `run` passes on the program's.
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "base/why.h"

#define EXIT_USAGE 2
#define EXIT_ROOM  125 /* `run`: the room could not be set up; 126 and 127 are the program's, as in a shell */

int verb_run(int argc, char **argv);
int verb_explain(int argc, char **argv);
int verb_capture(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_why(int argc, char **argv);
int verb_machine(int argc, char **argv);
int verb_doctor(int argc, char **argv);

/* "isolde: run: EINVAL MACHINE_FILE: ..." and the hint, on stderr, as `run` prints the refusals of a program. */
void complain(const char *verb, const struct why *why);

struct option;

/*
 * The next option of `verb`, as getopt_long() returns it; -1 after the last. What is malformed fills why
 * (OPTION_INVALID) and returns '?'. Options end at the first word that is none.
 */
int next_option(int argc, char **argv, const char *letters, const struct option *options, struct why *why);

/* CODE_UNKNOWN and VERB_UNKNOWN; both say what was probably meant. */
int code_named(const char *name, enum why_code *ret, struct why *why);
int refuse_verb(const char *name, const char *const *verbs, struct why *why);

/* The word of the list that was probably meant; NULL if none is near. The list ends with NULL. */
const char *nearest_word(const char *word, const char *const *list);

#endif
