/* SPDX-License-Identifier: MIT */
#include "pt/fmt_x86_64.h"

#include "pt/template.h"
