/* SPDX-License-Identifier: MIT */
#include "supervise/inherited.h"

#include "base/bits.h"

/*
 * Ignored children would end without a word. A terminal that goes away must not end us while we tell what was refused,
 * nor a limit on files when memory files are larger: the program would be left with calls that nobody answers.
 */
static const struct {
	int signal;
	void (*handler)(int);
} actions[INHERITED_ACTIONS] = {{SIGCHLD, SIG_DFL}, {SIGPIPE, SIG_IGN}, {SIGXFSZ, SIG_IGN}};

/* What the host allows at most: each vector of each device of each program is a descriptor here, and our time is ours.
 */
static const __rlimit_resource_t limits[INHERITED_LIMITS] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CPU};

void inherited_set_aside(struct inherited *ret)
{
	sigprocmask(SIG_BLOCK, NULL, &ret->mask);
	for (unsigned i = 0; i < INHERITED_ACTIONS; i++)
		sigaction(actions[i].signal, &(struct sigaction){.sa_handler = actions[i].handler}, &ret->actions[i]);
	for (unsigned i = 0; i < INHERITED_LIMITS; i++) {
		getrlimit(limits[i], &ret->limits[i]);
		setrlimit(limits[i], &(struct rlimit){ret->limits[i].rlim_max, ret->limits[i].rlim_max});
	}
}

void inherited_block(struct inherited *inherited, const sigset_t *taken)
{
	sigprocmask(SIG_BLOCK, taken, &inherited->mask);
}

void inherited_restore(const struct inherited *inherited)
{
	for (unsigned i = 0; i < INHERITED_LIMITS; i++)
		setrlimit(limits[i], &inherited->limits[i]);
	for (unsigned i = 0; i < INHERITED_ACTIONS; i++)
		sigaction(actions[i].signal, &inherited->actions[i], NULL);
	sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}
