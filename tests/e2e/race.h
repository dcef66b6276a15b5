/* SPDX-License-Identifier: MIT */
/*
 * What programs have in common that use a room together and without sense: processes that share descriptors by fork,
 * each with threads, all making random requests on whatever is open, closing it under each other, mapping and unmapping
 * the memory they gave away; and a parent that kills some of them in the middle. Included once, by the program.
 */
#ifndef E2E_RACE_H
#define E2E_RACE_H

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 24, PAGE = 4096, ARENA_PAGES = 64, ENOUGH = 1000 };

/* Shared by all processes. */
static struct shared {
	atomic_ulong requests, succeeded;
	atomic_bool over;
	atomic_int files[FILES]; /* numbers that meant something once; the same in all processes, or not */
} * shared;

static uint8_t *arena; /* private to each; the same address */

static uint64_t next_long(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

static uint32_t next_random(uint64_t *state)
{
	return (uint32_t)next_long(state);
}

static int some_file(uint64_t *state)
{
	return atomic_load(&shared->files[next_random(state) % FILES]);
}

static void remember(uint64_t *state, int fd)
{
	/* What was there stays open, for others to hit. */
	if (fd >= 0)
		atomic_store(&shared->files[next_random(state) % FILES], fd);
}

static uint64_t some_value(uint64_t *state)
{
	switch (next_random(state) % 8) {
	case 0:
		return 0;
	case 1:
	case 2:
		return next_random(state) % 12;
	case 3:
		return (uintptr_t)arena + next_random(state) % ARENA_PAGES * PAGE;
	case 4:
		return 0x1000000 + next_random(state) % 64 * (uint64_t)PAGE;
	case 5:
		return PAGE << next_random(state) % 6;
	case 6:
		return (uint64_t)some_file(state);
	default:
		return next_long(state) << 20;
	}
}

static void count(long result)
{
	atomic_fetch_add(&shared->requests, 1);
	if (result >= 0)
		atomic_fetch_add(&shared->succeeded, 1);
}

/* Never what the process was started with. */
static void close_one(uint64_t *state)
{
	int fd = some_file(state);

	if (fd > 2)
		close(fd);
}

static void move_memory(uint64_t *state)
{
	uint8_t *page = arena + next_random(state) % ARENA_PAGES * PAGE;

	if (next_random(state) & 1)
		madvise(page, PAGE, MADV_DONTNEED);
	else if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
		*page = 1;
}

static void read_or_write(uint64_t *state)
{
	uint8_t buffer[80] = {(uint8_t)next_random(state)};
	int fd = some_file(state);

	if (fd <= 2)
		return;
	if (next_random(state) & 1)
		count(pread(fd, buffer, 8, (off_t)(next_random(state) % 8) << 40));
	else
		count(pwrite(fd, buffer, 4,
			     (off_t)(next_random(state) % 8) << 40 | (off_t)(next_random(state) % 4096)));
}

/* The program's: one thing at random. */
static void act(uint64_t *state);

static void *run(void *argument)
{
	uint64_t state = (uintptr_t)argument;

	while (!atomic_load(&shared->over))
		act(&state);
	return NULL;
}

static void run_process(uint64_t seed, unsigned threads)
{
	pthread_t thread[16];

	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, run, (void *)(uintptr_t)(seed * 31 + i + 1)))
			_exit(2);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void nap(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l}, NULL);
}

static pid_t start(uint64_t seed, unsigned threads)
{
	pid_t pid = fork();

	if (pid == 0)
		run_process(seed, threads);
	return pid;
}

static bool goes_on(uint64_t last)
{
	return now_ms() < last + 60000;
}

/*
 * SEED PROCESSES THREADS MILLISECONDS, of the command line. What is open before is all processes'. Prints how many
 * requests were made, and how many succeeded. Whoever runs it looks at what is left. On a busy host it takes longer,
 * until there were enough of them.
 */
static int race(char **arguments)
{
	unsigned processes = (unsigned)atoi(arguments[1]), threads = (unsigned)atoi(arguments[2]);
	uint64_t seed = strtoull(arguments[0], NULL, 0) * 0x9e3779b97f4a7c15u | 1;
	uint64_t last = now_ms() + strtoull(arguments[3], NULL, 0);
	pid_t pids[16];

	if (!processes || processes > 16 || threads > 16)
		return 2;
	for (unsigned i = 0; i < processes; i++)
		pids[i] = start(seed + i, threads);
	/* One is killed, and another takes its place with what it inherits from here. */
	for (unsigned round = 0; now_ms() < last || (goes_on(last) && atomic_load(&shared->requests) <= ENOUGH);
	     round++) {
		nap(20 + (unsigned)(next_random(&seed) % 60));
		kill(pids[round % processes], SIGKILL);
		waitpid(pids[round % processes], NULL, 0);
		pids[round % processes] = start(seed + round, threads);
	}
	atomic_store(&shared->over, true);
	for (unsigned i = 0; i < processes; i++)
		waitpid(pids[i], NULL, 0);
	printf("requests = %lu\nsucceeded = %lu\n", atomic_load(&shared->requests), atomic_load(&shared->succeeded));
	return 0;
}

static void race_init(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	arena = mmap(NULL, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

#endif
