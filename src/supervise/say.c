/* SPDX-License-Identifier: MIT */
#include "supervise/say.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

int say_init(struct say *say, bool quiet, bool json, const char *journal_path, struct why *why)
{
	*say = (struct say){.quiet = quiet, .json = json, .out = stderr};
	if (journal_path) {
		say->journal = fopen(journal_path, "ae");
		if (!say->journal)
			return refuse_host(why, errno, "open(%.150s)", journal_path);
	}
	pthread_mutex_init(&say->lock, NULL);
	return 0;
}

static json_t *to_json(const struct journal_entry *entry)
{
	return json_pack("{sI si ss ss ss ss ss ss}", "time_ns", (json_int_t)entry->time_ns, "pid", entry->pid,
			 "program", entry->program, "request", entry->request, "errno", errno_name(entry->why.err),
			 "code", why_code_name(entry->why.code), "text", entry->why.text, "hint",
			 why_code_hint(entry->why.code));
}

static void write_json(FILE *file, const struct journal_entry *entry)
{
	json_t *object = to_json(entry);

	/* A name that is not UTF-8 cannot be said in JSON; the line on stderr has it. */
	if (!object)
		return;
	json_dumpf(object, file, JSON_SORT_KEYS | JSON_COMPACT);
	fputc('\n', file);
	fflush(file);
	json_decref(object);
}

static void write_text(FILE *file, const struct journal_entry *entry)
{
	char who[48] = "";

	if (entry->pid)
		snprintf(who, sizeof(who), " [%s %d]", entry->program, entry->pid);
	fprintf(file, "isolde: %s%s: %s %s: %s\nisolde:   hint: %s\n", entry->request, who, errno_name(entry->why.err),
		why_code_name(entry->why.code), entry->why.text, why_code_hint(entry->why.code));
	fflush(file);
}

static bool same(const struct journal_entry *a, const struct journal_entry *b)
{
	return a->why.code == b->why.code && a->pid == b->pid && strcmp(a->request, b->request) == 0 &&
	       strcmp(a->why.text, b->why.text) == 0;
}

static void say_repeats(struct say *say)
{
	if (say->repeats)
		fprintf(say->out, "isolde: (the same %u more time%s)\n", say->repeats, say->repeats == 1 ? "" : "s");
	say->repeats = 0;
}

static void print(struct say *say, const struct journal_entry *entry)
{
	if (say->json) {
		write_json(say->out, entry);
		return;
	}
	if (same(&say->last, entry)) {
		say->repeats++;
		return;
	}
	say_repeats(say);
	write_text(say->out, entry);
	say->last = *entry;
}

void say_entry(void *context, const struct journal_entry *entry)
{
	struct say *say = context;

	pthread_mutex_lock(&say->lock);
	if (say->journal)
		write_json(say->journal, entry);
	if (!say->quiet && why_code_loudness(entry->why.code) == SAY)
		print(say, entry);
	pthread_mutex_unlock(&say->lock);
}

void say_fini(struct say *say)
{
	say_repeats(say);
	if (say->journal)
		fclose(say->journal);
	pthread_mutex_destroy(&say->lock);
}
