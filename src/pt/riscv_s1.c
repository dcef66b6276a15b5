/* SPDX-License-Identifier: MIT */
#define FORMAT_NAME  riscv_s1
#define FORMAT_KIND  PT_riscv_s1
#define RISCV_STAGE2 false

#include "pt/fmt_riscv.h"

#include "pt/template.h"
