/* SPDX-License-Identifier: MIT */
#define FORMAT_NAME	     arm64s2_4k
#define FORMAT_KIND	     PT_arm64s2_4k
#define FORMAT_GRANULE_SHIFT 12
#define ARM64_STAGE2	     true

#include "pt/fmt_arm64.h"

#include "pt/template.h"
