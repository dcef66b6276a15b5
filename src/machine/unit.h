/* SPDX-License-Identifier: MIT */
/* A machine's IOMMUs: what the file says of them, and what that makes of their registers, names and sysfs. */
#ifndef MACHINE_UNIT_H
#define MACHINE_UNIT_H

#include "iommu/iommu.h"

struct machine;
struct unit_description;
struct yaml_node_s;
struct yaml_reader;

/* "intel-vtd" and the others, by enum unit_kind. */
const char *unit_kind_name(enum unit_kind kind);

/* The unit with that number in the firmware's order: what iommu_unit_add() takes. */
struct iommu_unit unit_make(const struct unit_description *description, unsigned number);

/* Where sysfs has it, without a leading slash; returns text. */
#define UNIT_PATH 128
const char *unit_path(const struct machine *machine, const struct iommu_unit *unit, char text[static UNIT_PATH]);

#endif
