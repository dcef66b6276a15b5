/* SPDX-License-Identifier: MIT */
/* What all verbs share: options, complaints, and guesses at what was meant. */
#include <getopt.h>
#include <stdio.h>

#include "base/bits.h"
#include "cli/verbs.h"

void complain(const char *verb, const struct why *why)
{
	fprintf(stderr, "isolde: %s: %s %s: %s\n", verb, errno_name(why->err), why_code_name(why->code), why->text);
	fprintf(stderr, "isolde:   hint: %s\n", why_code_hint(why->code));
}

int next_option(int argc, char **argv, const char *letters, const struct option *options, struct why *why)
{
	char spec[32];
	int word = optind ? optind : 1;
	int letter;

	snprintf(spec, sizeof(spec), "+:%s", letters);
	opterr = 0;
	letter = getopt_long(argc, argv, spec, options, NULL);
	if (letter == ':')
		refuse(why, OPTION_INVALID, "%s: option %s needs a value", argv[0], argv[word]);
	else if (letter == '?')
		refuse(why, OPTION_INVALID, "%s: there is no option %s", argv[0], argv[word]);
	return letter == ':' ? '?' : letter;
}

#define WORD_LENGTH 40

/* Edit distance of two short words: insertions, deletions, substitutions. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[WORD_LENGTH + 1];
	size_t length = strnlen(b, WORD_LENGTH);

	for (size_t j = 0; j <= length; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < length; j++) {
			unsigned above = row[j + 1];
			unsigned step = (unsigned)min_u64(above, row[j]) + 1;

			row[j + 1] = (unsigned)min_u64(step, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[length];
}

const char *nearest_word(const char *word, const char *const *list)
{
	unsigned best = (unsigned)strlen(word) / 3 + 1;
	const char *found = NULL;

	for (; *list; list++) {
		unsigned d = distance(word, *list);

		if (d <= best && !(found && d == best)) {
			best = d;
			found = *list;
		}
	}
	return found;
}

int code_named(const char *name, enum why_code *ret, struct why *why)
{
	const char *names[WHY_CODES] = {NULL};
	const char *meant;

	*ret = why_code_from_name(name);
	if (*ret != WHY_NONE)
		return 0;
	for (unsigned code = WHY_NONE + 1; code < WHY_CODES; code++)
		names[code - 1] = why_code_name(code);
	meant = nearest_word(name, names);
	if (!meant)
		return refuse(why, CODE_UNKNOWN, "there is no refusal \"%.40s\"", name);
	return refuse(why, CODE_UNKNOWN, "there is no refusal \"%.40s\"; did you mean %s?", name, meant);
}

int refuse_verb(const char *name, const char *const *verbs, struct why *why)
{
	const char *meant = nearest_word(name, verbs);

	if (!meant)
		return refuse(why, VERB_UNKNOWN, "there is no verb \"%.40s\"", name);
	return refuse(why, VERB_UNKNOWN, "there is no verb \"%.40s\"; did you mean \"%s\"?", name, meant);
}
