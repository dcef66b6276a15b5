/* SPDX-License-Identifier: MIT */
/*
 * A program of /dev/iommu in words, static, with plain system calls: does what its arguments say, one after the other.
 * It knows nothing of isolde but the numbers of the ABI.
 *
 *	open			open /dev/iommu
 *	use FD			go on with a descriptor that was inherited
 *	ioas			IOMMU_IOAS_ALLOC; later words use it
 *	in ID			later words use that one
 *	map IOVA SIZE		fresh anonymous memory, at that IOVA
 *	unmap IOVA SIZE		prints how much was removed
 *	ranges			how many ranges may be mapped
 *	destroy ID
 *	fault			IOMMU_FAULT_QUEUE_ALLOC; prints its id
 *	look			what the queue's descriptor looks like to stat, readlink, lseek, pread, fcntl
 *	read SIZE, write SIZE	of the queue: zeros are written
 *	poll MS			its POLLIN (1) and POLLOUT (4)
 *	close-fault, close
 *	cycle N			N times: a queue, DESTROY is EBUSY, close, DESTROY works
 *	threads N		four threads, each N times map and unmap in a place of its own, and queue cycles
 *	fail N			the Nth step of this thread's requests fails: /proc/self/task/TID/fail-nth
 *	left			what is left of that
 *	page-request		a device of IOMMU_TEST asks for a page while one thread sleeps in poll(); prints what
 *comes fork			go on in a child that inherited every descriptor; the parent returns its status exec
 *go on in a new program, with what execve() leaves open vfork			the rest of the words in a program that
 *vfork() and execve() start; then the parent ends spin			print "ready"; map and unmap for ever wait
 *print "ready" and pause
 *
 * Each prints "WORD = RESULT" and goes on; a result below zero is an errno by name. Exit status 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isolde/abi/iommufd.h"
#include "selftest/abi.h"

enum { PAGE = 4096, THREADS = 4 };

static struct client {
	int fd, queue;
	uint32_t ioas, fault;
	char *const *rest; /* the words after the present one */
} client = {.fd = -1, .queue = -1};

static void say(const char *what, long result)
{
	if (result < 0)
		printf("%s = -%s\n", what, strerrorname_np(errno));
	else
		printf("%s = %ld\n", what, result);
	fflush(stdout);
}

static void *memory(uint64_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long alloc_ioas(void)
{
	struct iommu_ioas_alloc request = {.size = sizeof(request)};

	if (ioctl(client.fd, IOMMU_IOAS_ALLOC, &request) < 0)
		return -1;
	return client.ioas = request.out_ioas_id;
}

static long map(uint64_t iova, uint64_t size, void *at)
{
	struct iommu_ioas_map request = {
		.size = sizeof(request),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = client.ioas,
		.user_va = (uintptr_t)at,
		.length = size,
		.iova = iova,
	};

	return ioctl(client.fd, IOMMU_IOAS_MAP, &request);
}

static long unmap(uint64_t iova, uint64_t size)
{
	struct iommu_ioas_unmap request = {
		.size = sizeof(request), .ioas_id = client.ioas, .iova = iova, .length = size};

	return ioctl(client.fd, IOMMU_IOAS_UNMAP, &request) < 0 ? -1 : (long)request.length;
}

static long count_ranges(void)
{
	struct iommu_iova_range ranges[16];
	struct iommu_ioas_iova_ranges request = {
		.size = sizeof(request), .ioas_id = client.ioas, .num_iovas = 16, .allowed_iovas = (uintptr_t)ranges};

	return ioctl(client.fd, IOMMU_IOAS_IOVA_RANGES, &request) < 0 ? -1 : (long)request.num_iovas;
}

static long destroy(uint32_t id)
{
	struct iommu_destroy request = {.size = sizeof(request), .id = id};

	return ioctl(client.fd, IOMMU_DESTROY, &request);
}

static int new_queue(uint32_t *ret_id)
{
	struct iommu_fault_alloc request = {.size = sizeof(request)};

	if (ioctl(client.fd, IOMMU_FAULT_QUEUE_ALLOC, &request) < 0)
		return -1;
	*ret_id = request.out_fault_id;
	return (int)request.out_fault_fd;
}

static long look(void)
{
	char path[64], target[64] = "", byte;
	struct stat status;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", client.queue);
	if (readlink(path, target, sizeof(target) - 1) < 0 || fstat(client.queue, &status) < 0)
		return -1;
	printf("link \"%s\" mode %o rdev %lx size %ld cloexec %d flags %o\n", target, status.st_mode,
	       (unsigned long)status.st_rdev, (long)status.st_size, fcntl(client.queue, F_GETFD),
	       fcntl(client.queue, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	say("lseek", lseek(client.queue, 0, SEEK_CUR));
	say("pread", pread(client.queue, &byte, 1, 0));
	say("pwrite", pwrite(client.queue, &byte, 1, 0));
	say("reopen", open(path, O_RDWR));
	say("mmap", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, client.queue, 0) == MAP_FAILED ? -1 : 0);
	say("ioctl", ioctl(client.queue, IOMMU_IOAS_ALLOC, NULL));
	return ftruncate(client.queue, 0);
}

static long transfer(bool out, size_t size)
{
	char *buffer = calloc(1, size + 1);
	long result = out ? write(client.queue, buffer, size) : read(client.queue, buffer, size);
	int err = errno;

	free(buffer);
	errno = err;
	return result;
}

static long poll_queue(int timeout_ms)
{
	struct pollfd at = {.fd = client.queue, .events = POLLIN | POLLOUT};

	return poll(&at, 1, timeout_ms) < 0 ? -1 : at.revents;
}

/* The order of close and DESTROY is exact, or one of the two fails. */
static long cycle(long count)
{
	for (long i = 0; i < count; i++) {
		uint32_t id;
		int fd = new_queue(&id);

		if (fd < 0)
			return -1;
		if (destroy(id) == 0 || errno != EBUSY)
			return i;
		if (close(fd) < 0 || destroy(id) < 0)
			return -1;
	}
	return count;
}

struct worker {
	pthread_t thread;
	long count, done;
	uint64_t iova;
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	char *at = memory(PAGE);

	for (long i = 0; i < worker->count; i++) {
		uint64_t iova = worker->iova + (uint64_t)(i % 100) * PAGE;

		if (map(iova, PAGE, at) < 0 || unmap(iova, PAGE) != PAGE || (i % 64 == 0 && cycle(1) != 1))
			return NULL;
		worker->done++;
	}
	return NULL;
}

static long run_threads(long count)
{
	struct worker workers[THREADS];
	long done = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.count = count, .iova = 0x10000000ull * (i + 1)};
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
	}
	return done;
}

static long fail_nth(const char *count)
{
	static int fd = -1;
	char path[64], text[16];

	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", gettid());
		fd = open(path, O_RDWR);
	}
	if (fd < 0)
		return -1;
	if (count)
		return pwrite(fd, count, strlen(count), 0);
	return pread(fd, text, sizeof(text), 0) < 2 ? -1 : atol(text);
}

static long test_request(struct iommu_test_cmd *request, uint32_t op, uint32_t id)
{
	request->size = sizeof(*request);
	request->op = op;
	request->id = id;
	return ioctl(client.fd, IOMMU_TEST_CMD, request);
}

static void *trigger(void *argument)
{
	struct iommu_test_cmd request = {.trigger_iopf = {.dev_id = *(uint32_t *)argument, .perm = 1, .addr = 0x5000}};

	usleep(50000);
	test_request(&request, IOMMU_TEST_OP_TRIGGER_IOPF, 0);
	return NULL;
}

/* A test device with a domain whose page requests go to a new queue; its id. */
static long device_with_queue(void)
{
	struct iommu_test_cmd request = {0};
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .flags = IOMMU_HWPT_FAULT_ID_VALID, .pt_id = client.ioas};
	uint32_t stdev, device;

	client.queue = new_queue(&hwpt.fault_id);
	if (client.queue < 0 || test_request(&request, IOMMU_TEST_OP_MOCK_DOMAIN, client.ioas) < 0)
		return -1;
	stdev = request.mock_domain.out_stdev_id;
	device = hwpt.dev_id = request.mock_domain.out_idev_id;
	if (ioctl(client.fd, IOMMU_HWPT_ALLOC, &hwpt) < 0)
		return -1;
	request.mock_domain_replace.pt_id = hwpt.out_hwpt_id;
	return test_request(&request, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, stdev) < 0 ? -1 : (long)device;
}

static long page_request(void)
{
	struct iommu_hwpt_pgfault fault = {0};
	struct iommu_hwpt_page_response response = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	struct pollfd at = {.events = POLLIN};
	long device = device_with_queue();
	uint32_t id = (uint32_t)device;
	pthread_t thread;

	if (device < 0)
		return -1;
	at.fd = client.queue;
	say("before", poll_queue(0));
	pthread_create(&thread, NULL, trigger, &id);
	say("woken", poll(&at, 1, 60000));
	say("fault", read(client.queue, &fault, sizeof(fault)));
	printf("of the device %d, at 0x%llx\n", fault.dev_id == id, (unsigned long long)fault.addr);
	response.cookie = fault.cookie;
	say("answer", write(client.queue, &response, sizeof(response)));
	say("again", write(client.queue, &response, sizeof(response)));
	pthread_join(thread, NULL);
	return poll_queue(0);
}

static int status_of(pid_t child)
{
	int status;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int continue_in_child(void)
{
	pid_t child = fork();

	if (child == 0)
		return 0;
	exit(status_of(child));
}

/* The same program with the words that are left; what it has is what execve() leaves it. */
static void become(void)
{
	char fd[16], *words[64] = {(char *)"iommu_client", (char *)"use", fd};
	unsigned count = 3;

	snprintf(fd, sizeof(fd), "%d", client.fd);
	for (char *const *word = client.rest; *word && count < 63; word++)
		words[count++] = *word;
	words[count] = NULL;
	execv("/proc/self/exe", words);
	_exit(3);
}

static int continue_by_vfork(void)
{
	pid_t child = vfork();

	if (child == 0)
		become();
	exit(status_of(child));
}

static void spin(void)
{
	char *at = memory(PAGE);

	puts("ready");
	fflush(stdout);
	for (uint64_t i = 0;; i++) {
		map((i % 64 + 16) * PAGE, PAGE, at);
		unmap((i % 64 + 16) * PAGE, PAGE);
		cycle(1);
	}
}

static long close_one(int *fd)
{
	int result = close(*fd);

	*fd = -1;
	return result;
}

static long run_word(const char *word, char *const *argument)
{
	if (!strcmp(word, "open"))
		return client.fd = open("/dev/iommu", O_RDWR);
	if (!strcmp(word, "use"))
		return client.fd = atoi(argument[0]);
	if (!strcmp(word, "ioas"))
		return alloc_ioas();
	if (!strcmp(word, "in"))
		return client.ioas = (uint32_t)atoi(argument[0]);
	if (!strcmp(word, "map"))
		return map(strtoull(argument[0], NULL, 0), strtoull(argument[1], NULL, 0),
			   memory(strtoull(argument[1], NULL, 0)));
	if (!strcmp(word, "unmap"))
		return unmap(strtoull(argument[0], NULL, 0), strtoull(argument[1], NULL, 0));
	if (!strcmp(word, "ranges"))
		return count_ranges();
	if (!strcmp(word, "destroy"))
		return destroy((uint32_t)atoi(argument[0]));
	if (!strcmp(word, "fault")) {
		client.queue = new_queue(&client.fault);
		return client.queue < 0 ? -1 : (long)client.fault;
	}
	if (!strcmp(word, "look"))
		return look();
	if (!strcmp(word, "read") || !strcmp(word, "write"))
		return transfer(word[0] == 'w', strtoull(argument[0], NULL, 0));
	if (!strcmp(word, "poll"))
		return poll_queue(atoi(argument[0]));
	if (!strcmp(word, "close-fault"))
		return close_one(&client.queue);
	if (!strcmp(word, "close"))
		return close_one(&client.fd);
	if (!strcmp(word, "cycle"))
		return cycle(atol(argument[0]));
	if (!strcmp(word, "threads"))
		return run_threads(atol(argument[0]));
	if (!strcmp(word, "fail"))
		return fail_nth(argument[0]);
	if (!strcmp(word, "left"))
		return fail_nth(NULL);
	if (!strcmp(word, "page-request"))
		return page_request();
	if (!strcmp(word, "fork"))
		return continue_in_child();
	if (!strcmp(word, "exec"))
		become();
	if (!strcmp(word, "vfork"))
		return continue_by_vfork();
	if (!strcmp(word, "spin"))
		spin();
	if (!strcmp(word, "wait")) {
		puts("ready");
		fflush(stdout);
		pause();
	}
	fprintf(stderr, "iommu_client: what is \"%s\"?\n", word);
	exit(2);
}

static int arguments_of(const char *word)
{
	static const char *const one[] = {"use", "in", "destroy", "read", "write", "poll", "cycle", "threads", "fail"};

	if (!strcmp(word, "map") || !strcmp(word, "unmap"))
		return 2;
	for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++)
		if (!strcmp(word, one[i]))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 1 + arguments_of(argv[i])) {
		client.rest = argv + i + 1 + arguments_of(argv[i]);
		say(argv[i], run_word(argv[i], argv + i + 1));
	}
	return 0;
}
