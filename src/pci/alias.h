/* SPDX-License-Identifier: MIT */
#ifndef PCI_ALIAS_H
#define PCI_ALIAS_H

#include "pci/grouping.h"

/* Fills id_bridge, and the alias sets of the grouping: functions whose requests may carry one id at the IOMMU. */
void find_alias_sets(struct grouping_work *work);

#endif
