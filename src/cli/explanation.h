/* SPDX-License-Identifier: MIT */
/*
 * The groups of a surveyed machine under one set of rules, ready to be told: members in order, names, what that
 * machine's own kernel said. The ways to tell it are in explain_*.c.
 */
#ifndef CLI_EXPLANATION_H
#define CLI_EXPLANATION_H

#include <jansson.h>
#include <stdio.h>

#include "cli/names.h"
#include "pci/survey.h"

struct explanation {
	const struct pci_survey *survey;       /* borrowed */
	struct names *names;		       /* borrowed; may be NULL */
	struct pci_rules *rules;	       /* owned */
	struct pci_grouping *grouping;	       /* owned */
	const struct pci_function **functions; /* owned: by index */
	const struct pci_function **by_group;  /* owned: groups one after the other, functions without one last */
	size_t *first;			       /* owned: of group g in by_group; [ngroups] is where the others start */
};

/* Takes rules over, also on failure. */
int explanation_init(struct explanation *explanation, const struct pci_survey *survey, struct pci_rules *rules,
		     struct names *names, struct why *why);
void explanation_fini(struct explanation *explanation);

/* The function called text; DRIVER_DEVICE_UNKNOWN says what addresses look like. */
int explanation_find(const struct explanation *explanation, const char *text, const struct pci_function **ret,
		     struct why *why);

int group_of(const struct explanation *explanation, const struct pci_function *function);
size_t group_size(const struct explanation *explanation, int group);
const struct pci_facts *facts_of(const struct explanation *explanation, const struct pci_function *function);

#define NAME_TEXT 256

/* "VGA compatible controller: NVIDIA ...": in the words of the dump, else of pci.ids. Returns text. */
const char *name_of(const struct explanation *explanation, const struct pci_function *function,
		    char text[static NAME_TEXT]);

#define SENTENCE_TEXT 640

/* Why it is in its group, or alone, or in none: a sentence. Returns text. */
const char *sentence_of(const struct explanation *explanation, const struct pci_function *function,
			char text[static SENTENCE_TEXT]);

/* What the rules took for granted of a function because it cannot be seen from outside; NULL: nothing. */
const char *assumed_of(const struct explanation *explanation, const struct pci_function *function);

/* ---- ways to tell it ---- */

/* only: the group to show; NULL all. */
void explain_text(const struct explanation *explanation, const struct pci_function *only, FILE *to);
json_t *explain_json(const struct explanation *explanation, const struct pci_function *only);

void explain_remarks(const struct pci_survey *survey, FILE *to);
json_t *remarks_json(const struct pci_survey *survey);

/* What --assign and --reset say. */
void explain_assign(const struct explanation *explanation, const struct pci_function *function, FILE *to);
json_t *assign_json(const struct explanation *explanation, const struct pci_function *function);
void explain_reset(const struct explanation *explanation, const struct pci_function *function, FILE *to);
json_t *reset_json(const struct explanation *explanation, const struct pci_function *function);

/* Functions that keep other company in `after` than in `before`; they may come from two machines. Returns how many. */
int explain_diff(const struct explanation *before, const struct explanation *after, FILE *to, size_t *ret_changed,
		 struct why *why);
int diff_json(const struct explanation *before, const struct explanation *after, json_t **ret, struct why *why);

/* Where the machine's own kernel grouped differently: a sentence for each function concerned. */
int explain_host(const struct explanation *explanation, FILE *to, struct why *why);

#endif
