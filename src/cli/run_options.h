/* SPDX-License-Identifier: MIT */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include <stdbool.h>

#include "base/why.h"

#define RUN_ASSIGNMENTS 64 /* more --bind or --disk than any machine has devices for */

/* What `isolde run` was told; all strings are argv's. */
struct run_request {
	const char *machine;
	const char *disks[RUN_ASSIGNMENTS], *binds[RUN_ASSIGNMENTS];
	unsigned ndisks, nbinds;
	bool quiet, json, help, selftest;
	char *const *argv; /* the program's */
};

/* OPTION_INVALID or BIND_MALFORMED say what is wrong; with help set nothing else counts. */
int run_options_parse(int argc, char **argv, struct run_request *ret, struct why *why);

#endif
