/* SPDX-License-Identifier: MIT */
#ifndef PCI_SURVEY_ORDER_H
#define PCI_SURVEY_ORDER_H

#include "pci/survey.h"

/* Facts are in address order and parents are linked: moves the functions into the topology, facts into its order. */
int survey_enumerate(struct pci_survey *survey, struct why *why);

#endif
