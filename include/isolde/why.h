/* SPDX-License-Identifier: MIT */
/* Why a call failed: the errno Linux would give, a stable code, a sentence that names the culprit, and a hint. */
#ifndef ISOLDE_WHY_H
#define ISOLDE_WHY_H

#ifdef __cplusplus
extern "C" {
#endif

struct isolde_why {
	int err;	  /* positive errno; 0: nothing failed */
	char code[32];	  /* "GROUP_OWNED"; stable across versions */
	char text[240];	  /* names who, where and which number */
	const char *hint; /* what the user can do about it; static */
	const char *site; /* where Linux decides the same; static */
};

#ifdef __cplusplus
}
#endif
#endif
