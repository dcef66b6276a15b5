/* SPDX-License-Identifier: MIT */
/*
 * What has held up a room for ever. Words:
 *
 *	pool BDF N	N threads that look at the device BDF in sysfs, and requests whose argument is in a mapping of
 *sysfs
 *
 * Prints "ok" when it has got through. Ends by itself after some minutes, whatever happens to the room.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
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

/* ---- a file system whose server makes calls that are trapped before it gives a page ---- */

enum { PAGES = 24, PAGE = 4096, LARGE = (1 << 20) + PAGE /* what libfuse reads */ };

static int served_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
	*status = (struct stat){.st_mode = S_IFDIR | 0755, .st_nlink = 2};
	if (!strcmp(path, "/file"))
		*status = (struct stat){.st_mode = S_IFREG | 0644, .st_nlink = 1, .st_size = PAGES * PAGE};
	else if (strcmp(path, "/") != 0)
		return -ENOENT;
	return 0;
}

static int served_open(const char *path, struct fuse_file_info *info)
{
	return 0;
}

static int served_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
	static char large[LARGE];
	struct stat status;
	int zero = open("/dev/zero", O_RDONLY);

	if (zero < 0 || fstat(zero, &status) < 0 || read(zero, large, LARGE) != LARGE)
		return -EIO;
	close(zero);
	for (size_t at = 0; at < size; at += PAGE)
		strcpy(buffer + at, "/dev/null");
	return (int)size;
}

static const struct fuse_operations served_operations = {
	.getattr = served_getattr,
	.open = served_open,
	.read = served_read,
};

static pid_t serve(char *directory)
{
	char *words[] = {"stuck", "-f", "-s", directory, NULL};
	pid_t server = fork();

	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fuse_main(4, words, &served_operations, NULL));
	}
	return server;
}

static char *map_served(const char *directory)
{
	char path[256];
	char *memory;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/file", directory);
	for (int i = 0; i < 600 && fd < 0; i++) {
		usleep(100000);
		fd = open(path, O_RDONLY);
	}
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	/* One page at a time. */
	if (memory == MAP_FAILED || madvise(memory, PAGES * PAGE, MADV_RANDOM) < 0)
		die(path);
	return memory;
}

/* No page was touched before a call names it, so each has to be served while the call is looked at. */
static int served(const char *bdf, char *directory)
{
	int group = open_group(bdf);
	pid_t server = serve(directory);
	char *memory = map_served(directory);

	for (int i = 0; i < PAGES / 2; i++) {
		int fd = open(memory + i * PAGE, O_RDONLY);

		if (fd < 0)
			die("open of a served path");
		close(fd);
	}
	/* What the page has there is a size large enough. */
	for (int i = PAGES / 2; i < PAGES; i++)
		if (ioctl(group, VFIO_GROUP_GET_STATUS, memory + i * PAGE) < 0)
			die("a request with a served argument");
	munmap(memory, PAGES * PAGE);
	umount2(directory, MNT_DETACH);
	kill(server, SIGKILL);
	return 0;
}

int main(int argc, char **argv)
{
	int status = 2;

	alarm(240);
	if (argc == 4 && !strcmp(argv[1], "pool"))
		status = pool(argv[2], atoi(argv[3]));
	else if (argc == 4 && !strcmp(argv[1], "served"))
		status = served(argv[2], argv[3]);
	if (status == 0)
		puts("ok");
	fflush(stdout);
	_exit(status); /* the threads go on looking */
}
