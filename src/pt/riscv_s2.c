/* SPDX-License-Identifier: MIT */
#define FORMAT_NAME  riscv_s2
#define FORMAT_KIND  PT_riscv_s2
#define RISCV_STAGE2 true

#include "pt/fmt_riscv.h"

#include "pt/template.h"
