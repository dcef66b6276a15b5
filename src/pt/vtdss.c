/* SPDX-License-Identifier: MIT */
#include "pt/fmt_vtdss.h"

#include "pt/template.h"
