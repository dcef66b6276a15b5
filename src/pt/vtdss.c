/* SPDX-License-Identifier: MIT */
#include "pt/fmt_vtdss.h"

#include "pt/template.h"

const struct pt_ops vtdss_ops = PT_TEMPLATE_OPS;
