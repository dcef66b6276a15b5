/* SPDX-License-Identifier: MIT */
/*
 * What a trapped system call costs beside one that is not: the median of many, in nanoseconds, as seen by the program.
 * Run under `isolde run`; prints "NAME NS" lines. Outside a room the container rows are left out.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20000 };

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000l + now.tv_nsec;
}

static void measure(const char *name, void (*call)(int), int fd)
{
	static long sample[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		long start = now_ns();

		call(fd);
		sample[i] = now_ns() - start;
	}
	qsort(sample, ROUNDS, sizeof(sample[0]), compare);
	printf("%-24s %6ld ns\n", name, sample[ROUNDS / 2]);
}

static void plain_ioctl(int fd)
{
	int pending;

	ioctl(fd, FIONREAD, &pending);
}

static void vfio_ioctl(int fd)
{
	ioctl(fd, VFIO_GET_API_VERSION);
}

static void open_close(int fd)
{
	close(open("/dev/null", O_RDONLY));
}

int main(void)
{
	int pipe_ends[2], container;

	if (pipe(pipe_ends) < 0)
		return 1;
	measure("ioctl, untrapped", plain_ioctl, pipe_ends[0]);
	measure("open + close, any file", open_close, -1);
	container = open("/dev/vfio/vfio", O_RDWR);
	if (container >= 0)
		measure("ioctl, VFIO container", vfio_ioctl, container);
	return 0;
}
