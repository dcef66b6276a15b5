/* SPDX-License-Identifier: MIT */
/*
 * What pci_survey_finish() does, step by step. Facts are in address order from the first step to the last, which puts
 * them and the functions in enumeration order.
 */
#ifndef PCI_SURVEY_STEPS_H
#define PCI_SURVEY_STEPS_H

#include "pci/survey.h"

/* The command that shows everything. */
static inline const char *survey_see_all(const struct pci_survey *survey)
{
	return survey->see_all ? survey->see_all : "sudo lspci -vvvnn";
}

/* By binary search; NULL when there is none. */
struct pci_facts *survey_facts_at(const struct pci_survey *survey, struct pci_addr addr);

static inline u16 survey_vendor(const struct pci_function *function)
{
	return get_u16(function->config + PCI_VENDOR_ID);
}

static inline u16 survey_class(const struct pci_function *function)
{
	return get_u16(function->config + PCI_CLASS);
}

int survey_find_virtual(struct pci_survey *survey, struct why *why);	    /* whose virtual functions they are */
int survey_link(struct pci_survey *survey, struct why *why);		    /* the bridge above each */
int survey_find_vmd(struct pci_survey *survey, struct why *why);	    /* who makes requests for whom */
int survey_assume_capabilities(struct pci_survey *survey, struct why *why); /* those that were not shown */
int survey_find_coverage(struct pci_survey *survey, struct why *why);	    /* platform, IOMMUs, regions */
int survey_enumerate(struct pci_survey *survey, struct why *why);	    /* into the topology */

#endif
