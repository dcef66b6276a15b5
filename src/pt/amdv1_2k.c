/* SPDX-License-Identifier: MIT */
#define FORMAT_NAME	     amdv1_2k
#define FORMAT_KIND	     PT_amdv1_2k
#define FORMAT_GRANULE_SHIFT 11

#include "pt/fmt_amdv1.h"

#include "pt/template.h"
