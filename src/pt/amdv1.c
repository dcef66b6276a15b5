/* SPDX-License-Identifier: MIT */
#include "pt/fmt_amdv1.h"

#include "pt/template.h"
