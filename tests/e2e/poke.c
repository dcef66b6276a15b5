/* SPDX-License-Identifier: MIT */
/*
 * A VFIO program in words, for the end-to-end tests: does what its arguments say, one after the other, with plain
 * system calls and the system's own <linux/vfio.h>, as any driver would (what that lacks on old systems is below). It
 * knows nothing of isolde.
 *
 *	container			open /dev/vfio/vfio
 *	iommufd				open /dev/iommu; it is also the container then
 *	group BDF			open the /dev/vfio/N that the device's iommu_group link names, or the noiommu-N
 *	join				VFIO_GROUP_SET_CONTAINER
 *	iommu TYPE			VFIO_SET_IOMMU
 *	device BDF			VFIO_GROUP_GET_DEVICE_FD
 *	cdev BDF			open the /dev/vfio/devices/vfioN that the device's vfio-dev directory names
 *	bind				VFIO_DEVICE_BIND_IOMMUFD
 *	ioas				IOMMU_IOAS_ALLOC; map and unmap use it from then on
 *	attach, detach			VFIO_DEVICE_ATTACH_IOMMUFD_PT to it, VFIO_DEVICE_DETACH_IOMMUFD_PT
 *	map IOVA SIZE			VFIO_IOMMU_MAP_DMA of fresh anonymous memory
 *	unmap IOVA SIZE			VFIO_IOMMU_UNMAP_DMA
 *	bar INDEX			mmap of the BAR's first page; stays mapped
 *	config				mmap of configuration space (refused)
 *	nvme				bring the controller up: admin queues at IOVA 0x100000
 *	identify IOVA			NVMe Identify to IOVA; prints its status and the first bytes of the model name
 *	hot-reset			VFIO_DEVICE_PCI_HOT_RESET, with the device's own descriptor as the only proof
 *	random N	N ioctls with random numbers and arguments on all three files; prints how many succeeded
 *	mapped-argument BDF	an ioctl whose argument is in a mapping of a sysfs attribute
 *	reopen			open the device's descriptor again through /proc/self/fd
 *	readlink		what /proc/self/fd says the device is
 *	close-device, close-group, close-container
 *	spin				print "ready" and Identify for ever
 *	wait				print "ready" and pause
 *	sleep MS
 *	fork				go on in a child that inherited every descriptor; the parent returns its status
 *	pass				hand the device to a child over a socket, which goes on alone
 *
 * Each prints "WORD = RESULT" and goes on; a result below zero is an errno by name. Exit status 0.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Newer than Debian 12's headers. */
struct bind_iommufd {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};
struct attach_iommufd {
	uint32_t argsz, flags, pt_id;
};
struct ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};
struct ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};
struct ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};
enum {
	BIND_IOMMUFD = 0x3b76,
	ATTACH_IOMMUFD = 0x3b77,
	DETACH_IOMMUFD = 0x3b78,
	IOAS_ALLOC = 0x3b81,
	IOAS_MAP = 0x3b85,
	IOAS_UNMAP = 0x3b86,
	IOAS_FIXED_READ_WRITE = 7,
};

enum { QUEUE_IOVA = 0x100000, QUEUE_ENTRIES = 32, MAPPINGS = 64 };

static struct poke {
	int container, group, device;
	uint32_t ioas; /* 0: none */
	volatile uint8_t *bar;
	uint8_t *queues;
	unsigned tail, head, phase;
	struct mapping {
		uint64_t iova, size;
		uint8_t *memory;
	} mappings[MAPPINGS];
	unsigned nmappings;
} poke = {.container = -1, .group = -1, .device = -1};

static void say(const char *what, long result)
{
	if (result < 0)
		printf("%s = -%s\n", what, strerrorname_np(errno));
	else
		printf("%s = %ld\n", what, result);
	fflush(stdout);
}

static long map_to_ioas(const uint8_t *memory, uint64_t iova, uint64_t size)
{
	struct ioas_map request = {sizeof(request), IOAS_FIXED_READ_WRITE, poke.ioas, 0, (uintptr_t)memory, size, iova};

	return ioctl(poke.container, IOAS_MAP, &request);
}

static long map(uint64_t iova, uint64_t size)
{
	uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map request = {
		.argsz = sizeof(request),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = size,
	};
	long result = poke.ioas ? map_to_ioas(memory, iova, size) : ioctl(poke.container, VFIO_IOMMU_MAP_DMA, &request);

	if (result == 0 && poke.nmappings < MAPPINGS)
		poke.mappings[poke.nmappings++] = (struct mapping){iova, size, memory};
	return result;
}

static long unmap_from_ioas(uint64_t iova, uint64_t size)
{
	struct ioas_unmap request = {sizeof(request), poke.ioas, iova, size};
	long result = ioctl(poke.container, IOAS_UNMAP, &request);

	return result < 0 ? result : (long)request.length;
}

static long unmap(uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap request = {.argsz = sizeof(request), .iova = iova, .size = size};
	long result;

	if (poke.ioas)
		return unmap_from_ioas(iova, size);
	result = ioctl(poke.container, VFIO_IOMMU_UNMAP_DMA, &request);
	return result < 0 ? result : (long)request.size;
}

static uint8_t *memory_at(uint64_t iova)
{
	for (unsigned i = 0; i < poke.nmappings; i++)
		if (iova - poke.mappings[i].iova < poke.mappings[i].size)
			return poke.mappings[i].memory + (iova - poke.mappings[i].iova);
	return NULL;
}

static long map_bar(unsigned index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};
	void *memory;

	if (ioctl(poke.device, VFIO_DEVICE_GET_REGION_INFO, &info) < 0)
		return -1;
	memory = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, poke.device, (off_t)info.offset);
	if (memory == MAP_FAILED)
		return -1;
	poke.bar = memory;
	return 0;
}

static void store32(unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(poke.bar + offset) = value;
}

static uint32_t load32(unsigned offset)
{
	return *(volatile uint32_t *)(poke.bar + offset);
}

enum { PATIENCE = 60 /* seconds */ };

static bool wait_ready(uint32_t ready)
{
	for (time_t start = time(NULL); time(NULL) - start < PATIENCE;)
		if ((load32(0x1c) & 1) == ready)
			return true;
	return false;
}

static long nvme_up(void)
{
	uint16_t command = 0x0006;

	if (map(QUEUE_IOVA, 0x2000) < 0)
		return -1;
	poke.queues = memory_at(QUEUE_IOVA);
	pwrite(poke.device, &command, 2, (off_t)(VFIO_PCI_CONFIG_REGION_INDEX * (1ull << 40) + 4));
	store32(0x14, 0);
	if (!wait_ready(0))
		return errno = ETIMEDOUT, -1;
	store32(0x24, (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
	store32(0x28, QUEUE_IOVA);
	store32(0x2c, 0);
	store32(0x30, QUEUE_IOVA + 0x1000);
	store32(0x34, 0);
	store32(0x14, 0x00460001);
	poke.tail = poke.head = 0;
	poke.phase = 1;
	return wait_ready(1) ? 0 : (errno = ETIMEDOUT, -1);
}

/* The status field of the completion, 0 is success; -1 when none came. */
static long identify(uint64_t iova)
{
	uint32_t *entry = (uint32_t *)(poke.queues + 64 * poke.tail);
	volatile uint16_t *completion = (volatile uint16_t *)(poke.queues + 0x1000 + 16 * poke.head);
	time_t start = time(NULL);
	long status;

	memset(entry, 0, 64);
	entry[0] = 0x06 | 7u << 16;
	entry[6] = (uint32_t)iova;
	entry[7] = (uint32_t)(iova >> 32);
	entry[10] = 1;
	poke.tail = (poke.tail + 1) % QUEUE_ENTRIES;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store32(0x1000, poke.tail);
	while ((completion[7] & 1) != poke.phase)
		if (time(NULL) - start > PATIENCE)
			return errno = ETIMEDOUT, -1;
	status = completion[7] >> 1;
	poke.head = (poke.head + 1) % QUEUE_ENTRIES;
	if (poke.head == 0)
		poke.phase ^= 1;
	store32(0x1004, poke.head);
	if (status == 0 && memory_at(iova))
		printf("model \"%.40s\"\n", (char *)memory_at(iova) + 24);
	return status;
}

static void spin(uint64_t iova)
{
	puts("ready");
	fflush(stdout);
	fclose(stdout);
	for (;;)
		identify(iova);
}

static int continue_in_child(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		return 0;
	waitpid(child, &status, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void send_descriptor(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec payload = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &payload, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	sendmsg(socket, &message, 0);
}

static int receive_descriptor(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec payload = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &payload, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd;

	recvmsg(socket, &message, 0);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* The child gets the device through a socket and nothing by inheritance. */
static int pass_to_child(void)
{
	int pair[2], status;
	pid_t child;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	child = fork();
	if (child == 0) {
		close(poke.device);
		close(poke.group);
		close(poke.container);
		poke.group = poke.container = -1;
		poke.device = receive_descriptor(pair[1]);
		return 0;
	}
	send_descriptor(pair[0], poke.device);
	close(poke.device);
	waitpid(child, &status, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static long open_group(const char *bdf)
{
	char path[64], target[128];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	target[length] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio%s", strrchr(target, '/'));
	poke.group = open(path, O_RDWR);
	if (poke.group >= 0 || errno != ENOENT)
		return poke.group;
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%s", strrchr(target, '/') + 1);
	return poke.group = open(path, O_RDWR);
}

/* As libvfn and QEMU find it, with the check that QEMU makes. */
static long open_cdev(const char *bdf)
{
	char path[128], number[32] = "";
	const struct dirent *entry;
	struct stat stat;
	DIR *directory;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	directory = opendir(path);
	if (!directory)
		return -1;
	while ((entry = readdir(directory)) && strncmp(entry->d_name, "vfio", 4) != 0)
		;
	if (!entry)
		return errno = ENODEV, -1;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/%.20s/dev", bdf, entry->d_name);
	file = fopen(path, "r");
	if (!file || !fgets(number, sizeof(number), file))
		return -1;
	fclose(file);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%.20s", entry->d_name);
	closedir(directory);
	poke.device = open(path, O_RDWR);
	if (poke.device < 0)
		return -1;
	if (fstat(poke.device, &stat) < 0 || !S_ISCHR(stat.st_mode))
		return errno = ENOTTY, -1;
	snprintf(path, sizeof(path), "%u:%u\n", major(stat.st_rdev), minor(stat.st_rdev));
	return strcmp(path, number) == 0 ? poke.device : (errno = EXDEV, -1);
}

static long bind_device(void)
{
	struct bind_iommufd request = {sizeof(request), 0, poke.container, 0};
	long result = ioctl(poke.device, BIND_IOMMUFD, &request);

	return result < 0 ? result : (long)request.out_devid;
}

static long attach(void)
{
	struct attach_iommufd request = {sizeof(request), 0, poke.ioas};
	long result = ioctl(poke.device, ATTACH_IOMMUFD, &request);

	return result < 0 ? result : (long)request.pt_id;
}

static long detach(void)
{
	struct attach_iommufd request = {8, 0, 0};

	return ioctl(poke.device, DETACH_IOMMUFD, &request);
}

static long hot_reset(void)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t fds[1];
	} request = {{sizeof(request), 0, 1}, {poke.device}};

	return ioctl(poke.device, VFIO_DEVICE_PCI_HOT_RESET, &request);
}

static long alloc_ioas(void)
{
	struct ioas_alloc request = {sizeof(request), 0, 0};
	long result = ioctl(poke.container, IOAS_ALLOC, &request);

	return result < 0 ? result : (long)(poke.ioas = request.out_ioas_id);
}

static long reopen(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", poke.device);
	return open(path, O_RDWR);
}

static long print_link(bool with_buffer)
{
	char path[64], target[128];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", poke.device);
	/* By the bare system call: the library's readlink() may check the size itself. */
	length = syscall(SYS_readlink, path, target, with_buffer ? sizeof(target) : 0);
	if (length >= 0)
		printf("link \"%.*s\"\n", (int)length, target);
	return length;
}

/* Structures that are right now and then: a plausible argsz, small numbers, pages, and noise. */
static void fill_argument(uint8_t *argument, size_t size, const char *bdf)
{
	static const uint32_t sizes[] = {0, 8, 12, 16, 20, 24, 28, 32, 48, 64, 256};

	for (size_t i = 0; i < size; i += 4) {
		uint32_t value = (uint32_t)rand();

		if (value % 4)
			value = value % 2 ? (value >> 8) % 40 : (value >> 4) & 0xfffff000;
		memcpy(argument + i, &value, 4);
	}
	memcpy(argument, &sizes[rand() % (int)(sizeof(sizes) / sizeof(sizes[0]))], 4);
	if (rand() % 8 == 0)
		strcpy((char *)argument, bdf);
}

static long random_ioctls(long count, const char *bdf)
{
	static uint8_t argument[512];
	long succeeded = 0;

	srand(1);
	for (long i = 0; i < count; i++) {
		const int files[] = {poke.container, poke.group, poke.device};
		unsigned long request = _IO(';', 95 + rand() % 30);
		int result;

		fill_argument(argument, sizeof(argument), bdf);
		/* Not the reset of what the other requests need, most of the time. */
		if ((request & 0xff) == 111 && rand() % 16)
			continue;
		result = ioctl(files[rand() % 3], request,
			       rand() % 16 ? (uintptr_t)argument : (uintptr_t)rand() % 8192);
		succeeded += result >= 0;
		if ((request & 0xff) == 106 && result > 2)
			close(result);
	}
	return succeeded;
}

/* GET_DEVICE_FD with its argument in a mapping of an attribute, which has nothing to read. */
static long mapped_argument(const char *bdf)
{
	char path[64];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", bdf);
	fd = open(path, O_RDONLY);
	memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return -1;
	return ioctl(poke.group, VFIO_GROUP_GET_DEVICE_FD, memory);
}

static long close_one(int *fd)
{
	int result = close(*fd);

	*fd = -1;
	return result;
}

/* Whether it is one of them. */
static bool run_iommufd_word(const char *word, char **argument, long *ret)
{
	if (!strcmp(word, "iommufd"))
		*ret = poke.container = open("/dev/iommu", O_RDWR);
	else if (!strcmp(word, "cdev"))
		*ret = open_cdev(*argument);
	else if (!strcmp(word, "bind"))
		*ret = bind_device();
	else if (!strcmp(word, "ioas"))
		*ret = alloc_ioas();
	else if (!strcmp(word, "attach"))
		*ret = attach();
	else if (!strcmp(word, "detach"))
		*ret = detach();
	else
		return false;
	return true;
}

/* Of the device's descriptor alone. Likewise. */
static bool run_device_word(const char *word, long *ret)
{
	if (!strcmp(word, "hot-reset"))
		*ret = hot_reset();
	else if (!strcmp(word, "reopen"))
		*ret = reopen();
	else if (!strcmp(word, "readlink"))
		*ret = print_link(true);
	else if (!strcmp(word, "readlink-nowhere"))
		*ret = print_link(false);
	else
		return false;
	return true;
}

static long run_word(const char *word, char **argument)
{
	long ret;

	if (run_iommufd_word(word, argument, &ret) || run_device_word(word, &ret))
		return ret;
	if (!strcmp(word, "container"))
		return poke.container = open("/dev/vfio/vfio", O_RDWR);
	if (!strcmp(word, "group"))
		return open_group(*argument);
	if (!strcmp(word, "join"))
		return ioctl(poke.group, VFIO_GROUP_SET_CONTAINER, &poke.container);
	if (!strcmp(word, "iommu"))
		return ioctl(poke.container, VFIO_SET_IOMMU, atol(*argument));
	if (!strcmp(word, "device"))
		return poke.device = ioctl(poke.group, VFIO_GROUP_GET_DEVICE_FD, *argument);
	if (!strcmp(word, "map"))
		return map(strtoull(argument[0], NULL, 0), strtoull(argument[1], NULL, 0));
	if (!strcmp(word, "unmap"))
		return unmap(strtoull(argument[0], NULL, 0), strtoull(argument[1], NULL, 0));
	if (!strcmp(word, "bar"))
		return map_bar((unsigned)atoi(*argument));
	if (!strcmp(word, "config"))
		return mmap(NULL, 4096, PROT_READ, MAP_SHARED, poke.device, (off_t)(7ull << 40)) == MAP_FAILED ? -1 : 0;
	if (!strcmp(word, "nvme"))
		return nvme_up();
	if (!strcmp(word, "identify"))
		return identify(strtoull(*argument, NULL, 0));
	if (!strcmp(word, "random"))
		return random_ioctls(atol(*argument), "0000:01:00.0");
	if (!strcmp(word, "mapped-argument"))
		return mapped_argument(*argument);
	if (!strcmp(word, "truncate"))
		return ftruncate(poke.device, 0);
	if (!strcmp(word, "truncate-path")) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", poke.device);
		return truncate(path, 0);
	}
	if (!strcmp(word, "allocate"))
		return fallocate(poke.device, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
	if (!strcmp(word, "close-device"))
		return close_one(&poke.device);
	if (!strcmp(word, "close-group"))
		return close_one(&poke.group);
	if (!strcmp(word, "close-container"))
		return close_one(&poke.container);
	if (!strcmp(word, "sleep"))
		return usleep((useconds_t)atoi(*argument) * 1000);
	if (!strcmp(word, "fork"))
		return continue_in_child();
	if (!strcmp(word, "pass"))
		return pass_to_child();
	if (!strcmp(word, "spin"))
		spin(0x200000);
	if (!strcmp(word, "wait")) {
		puts("ready");
		fflush(stdout);
		pause();
	}
	fprintf(stderr, "poke: what is \"%s\"?\n", word);
	exit(2);
}

static int arguments_of(const char *word)
{
	static const char *const two[] = {"map", "unmap"};
	static const char *const one[] = {"group",    "iommu", "device", "cdev",	   "bar",
					  "identify", "sleep", "random", "mapped-argument"};

	for (unsigned i = 0; i < sizeof(two) / sizeof(two[0]); i++)
		if (!strcmp(word, two[i]))
			return 2;
	for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++)
		if (!strcmp(word, one[i]))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 1 + arguments_of(argv[i]))
		say(argv[i], run_word(argv[i], argv + i + 1));
	return 0;
}
