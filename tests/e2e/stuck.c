/* SPDX-License-Identifier: MIT */
/*
 * What has held up a room for ever. Words:
 *
 *	pool BDF N	N threads that look at the device BDF in sysfs, and requests whose argument is in a mapping of
 *sysfs
 *
 * Prints "ok" when it has got through. Ends by itself after some minutes, whatever happens to the room.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *look(void *path)
{
	struct stat status;

	while (stat(path, &status) == 0)
		;
	die(path);
	return NULL;
}

static void start(void *(*body)(void *argument), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, argument) != 0)
		die("pthread_create");
}

static int open_group(const char *bdf)
{
	char path[128], target[256] = "";
	int group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		die(path);
	snprintf(path, sizeof(path), "/dev/vfio%.64s", strrchr(target, '/'));
	group = open(path, O_RDWR);
	if (group < 0)
		die(path);
	return group;
}

/* Until the threads have met the requests often enough; on a busy machine, for as long as that is worth. */
static int pool(const char *bdf, int threads)
{
	static char path[128];
	time_t deadline = time(NULL) + 20;
	void *argument;
	int group = open_group(bdf);

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", bdf);
	argument = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open(path, O_RDONLY), 0);
	if (argument == MAP_FAILED)
		die(path);
	for (int i = 0; i < threads; i++)
		start(look, path);
	for (int i = 0; i < 4000 && time(NULL) < deadline; i++)
		if (ioctl(group, VFIO_GROUP_SET_CONTAINER, argument) != -1 || errno != EFAULT)
			die("a request whose argument cannot be read");
	return 0;
}

int main(int argc, char **argv)
{
	int status = 2;

	alarm(240);
	if (argc == 4 && !strcmp(argv[1], "pool"))
		status = pool(argv[2], atoi(argv[3]));
	if (status == 0)
		puts("ok");
	fflush(stdout);
	_exit(status); /* the threads go on looking */
}
