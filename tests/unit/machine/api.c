/* SPDX-License-Identifier: MIT */
/*
 * The library as an embedding program uses it. The long story is the one that reference/probe.c told on a real 7.2
 * kernel, with the answers it got there.
 */
#include "isolde/isolde.h"

#include "tests/fixtures/holder.h"
#include "tests/fixtures/patience.h"
#include "tests/fixtures/told.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NVME "0000:01:00.0"

struct fixture {
	struct isolde_machine *machine;
	struct isolde_why why;
	char path[32]; /* of the group */
	int container, group, device;
	char *memory; /* 16 pages */
	struct why expected;
};

static const char *const binds[] = {"vfio-pci=" NVME, NULL};

static int make(struct isolde_machine **ret, struct isolde_why *why)
{
	struct isolde_machine_options options = {.size = sizeof(options), .binds = binds};

	return isolde_machine_new(&options, ret, why);
}

static void find_group(struct fixture *f, const char *bdf)
{
	char path[96], text[16];

	for (int group = 0; group < 64; group++) {
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s/vendor", group, bdf);
		snprintf(f->path, sizeof(f->path), "/dev/vfio/%d", group);
		if (isolde_attribute_read(f->machine, path, text, sizeof(text), NULL) > 0)
			return;
	}
	fail_msg("%s is in no group", bdf);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->container = f->group = f->device = -1;
	if (make(&f->machine, &f->why) < 0)
		fail_msg("%s %s", f->why.code, f->why.text);
	find_group(f, NVME);
	f->memory = mmap(NULL, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	isolde_machine_check(f->machine);
	if (f->device >= 0)
		isolde_close(f->machine, f->device);
	if (f->group >= 0)
		isolde_close(f->machine, f->group);
	if (f->container >= 0)
		isolde_close(f->machine, f->container);
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
	munmap(f->memory, 16 * PAGE_SIZE);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void api_##name##_body(struct fixture *f);                                                              \
	static void api_##name(void **state)                                                                           \
	{                                                                                                              \
		api_##name##_body(*state);                                                                             \
	}                                                                                                              \
	static void api_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(api_##name, setup, teardown)

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call)	   ASSERT_OK(f->expected, told(f, call))
#define OPEN(path)	   isolde_open(f->machine, path, O_RDWR, &f->why)
#define IOCTL(fd, nr, arg) isolde_ioctl(f->machine, fd, nr, (void *)(arg), &f->why)

static void open_container_and_group(struct fixture *f)
{
	f->container = (int)OK(OPEN("/dev/vfio/vfio"));
	f->group = (int)OK(OPEN(f->path));
}

static void open_device(struct fixture *f, unsigned long type)
{
	open_container_and_group(f);
	OK(IOCTL(f->group, VFIO_GROUP_SET_CONTAINER, &f->container));
	OK(IOCTL(f->container, VFIO_SET_IOMMU, type));
	f->device = (int)OK(IOCTL(f->group, VFIO_GROUP_GET_DEVICE_FD, NVME));
}

static u32 group_flags(struct fixture *f)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	OK(IOCTL(f->group, VFIO_GROUP_GET_STATUS, &status));
	return status.flags;
}

TEST_F(group_and_container_answer_as_on_linux)
{
	static const int extensions[] = {[1] = 1, [3] = 1, [9] = 1, [13] = 0};

	open_container_and_group(f);
	assert_int_equal(OPEN(f->path), -EBUSY);
	assert_int_equal(OK(IOCTL(f->container, VFIO_GET_API_VERSION, 0xdeadbeef)), 0);
	for (int i = 1; i <= 13; i++)
		assert_int_equal(OK(IOCTL(f->container, VFIO_CHECK_EXTENSION, (uintptr_t)i)), extensions[i]);
	assert_int_equal(group_flags(f), VFIO_GROUP_FLAGS_VIABLE);
	assert_int_equal(IOCTL(f->group, VFIO_GROUP_GET_DEVICE_FD, NVME), -EINVAL);
	assert_int_equal(IOCTL(f->container, VFIO_SET_IOMMU, 3), -EINVAL);
	OK(IOCTL(f->group, VFIO_GROUP_SET_CONTAINER, &f->container));
	assert_int_equal(IOCTL(f->group, VFIO_GROUP_SET_CONTAINER, &f->container), -EINVAL);
	assert_int_equal(group_flags(f), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	assert_int_equal(IOCTL(f->group, VFIO_GROUP_GET_DEVICE_FD, NVME), -EINVAL);
	assert_int_equal(IOCTL(f->container, VFIO_SET_IOMMU, 2), -ENODEV);
	OK(IOCTL(f->container, VFIO_SET_IOMMU, 3));
	assert_int_equal(IOCTL(f->container, VFIO_SET_IOMMU, 3), -EINVAL);
	assert_int_equal(IOCTL(f->group, VFIO_GROUP_GET_DEVICE_FD, "0000:99:00.0"), -ENODEV);
}

/* 2.2 of CLIENTS.md: one list of capabilities, one size, whatever the buffer. */
TEST_F(iommu_info_has_the_chain_of_linux)
{
	union {
		struct vfio_iommu_type1_info info;
		char bytes[512];
	} buffer = {.info = {.argsz = sizeof(buffer)}};
	static const u16 ids[] = {2, 3, 1};
	u32 at;

	open_device(f, VFIO_TYPE1v2_IOMMU);
	OK(IOCTL(f->container, VFIO_IOMMU_GET_INFO, &buffer));
	assert_int_equal(buffer.info.flags, 3);
	assert_int_equal(buffer.info.iova_pgsizes, 0x40201000);
	at = buffer.info.cap_offset;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		const struct vfio_info_cap_header *header = (const void *)(buffer.bytes + at);

		assert_int_equal(header->id, ids[i]);
		assert_int_equal(header->version, 1);
		if (header->id == 1) {
			const struct vfio_iommu_type1_info_cap_iova_range *range = (const void *)header;

			assert_int_equal(range->nr_iovas, 2);
			assert_int_equal(range->iova_ranges[0].end, 0xfedfffff);
			assert_int_equal(range->iova_ranges[1].start, 0xfef00000);
			assert_int_equal(range->iova_ranges[1].end, 0xffffffffffff);
		}
		at = header->next;
	}
	assert_int_equal(at, 0);
	buffer.info.argsz = 24;
	OK(IOCTL(f->container, VFIO_IOMMU_GET_INFO, &buffer));
	assert_int_equal(buffer.info.argsz, 120);
	assert_int_equal(buffer.info.cap_offset, 0);
}

static long map(struct fixture *f, u64 iova, u64 size, const void *address, u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = flags, .vaddr = (uintptr_t)address, .iova = iova, .size = size};

	return IOCTL(f->container, VFIO_IOMMU_MAP_DMA, &map);
}

static long unmap(struct fixture *f, u64 iova, u64 *size, u32 flags)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = 24, .flags = flags, .iova = iova, .size = *size};
	long ret = IOCTL(f->container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	*size = unmap.size;
	return ret;
}

/* The rows of the probe that both types answer alike, then those where they differ. */
static void map_as_the_probe(struct fixture *f, unsigned long type)
{
	u64 size = 0x1000;

	open_device(f, type);
	OK(map(f, 0, 0x4000, f->memory, 3));
	assert_int_equal(map(f, 0, 0x4000, f->memory, 3), -EEXIST);
	assert_int_equal(map(f, 0x2000, 0x1000, f->memory, 3), -EEXIST);
	assert_int_equal(map(f, 0xfee00000, 0x1000, f->memory, 3), -EINVAL);
	assert_int_equal(map(f, 1ull << 60, 0x1000, f->memory, 3), -EINVAL);
	assert_int_equal(map(f, 0x10001, 0x1000, f->memory, 3), -EINVAL);
	assert_int_equal(map(f, 0x100000, 0x1000, (void *)0x1000, 3), -EFAULT);
	assert_int_equal(map(f, 0x100000, 0x1000, f->memory, 0), -EINVAL);
	if (type == VFIO_TYPE1v2_IOMMU) {
		assert_int_equal(unmap(f, 0x1000, &size, 0), -EINVAL);
		assert_int_equal(size, 0x1000);
	} else {
		OK(unmap(f, 0x1000, &size, 0));
		assert_int_equal(size, 0);
	}
	size = 0x1000;
	OK(unmap(f, 0x40000000, &size, 0));
	assert_int_equal(size, 0);
	size = 0x100000;
	OK(unmap(f, 0, &size, 0));
	assert_int_equal(size, 0x4000);
	size = 0;
	OK(unmap(f, 0, &size, VFIO_DMA_UNMAP_FLAG_ALL));
	assert_int_equal(size, 0);
}

TEST_F(mappings_of_type1_are_those_of_the_probe)
{
	map_as_the_probe(f, VFIO_TYPE1_IOMMU);
}

TEST_F(mappings_of_type1v2_are_those_of_the_probe)
{
	map_as_the_probe(f, VFIO_TYPE1v2_IOMMU);
}

static long region_info(struct fixture *f, u32 index, struct vfio_region_info *ret)
{
	*ret = (struct vfio_region_info){.argsz = sizeof(*ret), .index = index};
	return IOCTL(f->device, VFIO_DEVICE_GET_REGION_INFO, ret);
}

TEST_F(regions_are_where_dpdk_expects_them)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct vfio_region_info region;

	open_device(f, VFIO_TYPE1_IOMMU);
	OK(IOCTL(f->device, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	for (u32 i = 0; i < 8; i++) {
		OK(region_info(f, i, &region));
		assert_int_equal(region.offset, (u64)i << 40);
	}
	assert_int_equal(region_info(f, 8, &region), -EINVAL);
	assert_int_equal(region_info(f, 9, &region), -EINVAL);
	OK(region_info(f, 0, &region));
	assert_int_equal(region.flags & 7, 7);
	OK(region_info(f, 4, &region));
	assert_int_equal(region.flags, 0xf); /* the MSI-X table is in it, and it can be mapped all the same */
	OK(region_info(f, 7, &region));
	assert_int_equal(region.flags, 3);
	assert_int_equal(region.size, 0x1000);
}

#define CONFIG (7ull << 40)

TEST_F(reads_and_mappings_have_linuxs_limits)
{
	char bytes[4096];
	void *address;

	open_device(f, VFIO_TYPE1_IOMMU);
	assert_int_equal(OK(isolde_pread(f->machine, f->device, bytes, 4096, CONFIG, &f->why)), 4096);
	assert_int_equal(isolde_pread(f->machine, f->device, bytes, 16, CONFIG + 4090, &f->why), -EFAULT);
	assert_int_equal(OK(isolde_pread(f->machine, f->device, bytes, 8, 0, &f->why)), 8);
	assert_int_equal(isolde_pread(f->machine, f->device, bytes, 4, 2ull << 40, &f->why), -EINVAL);
	assert_int_equal(isolde_mmap(f->machine, f->device, 4096, 3, MAP_SHARED, CONFIG, &address, &f->why), -EINVAL);
	assert_int_equal(isolde_mmap(f->machine, f->device, 4096, 3, MAP_PRIVATE, 0, &address, &f->why), -EINVAL);
	assert_int_equal(isolde_mmap(f->machine, f->device, 1 << 20, 3, MAP_SHARED, 0, &address, &f->why), -EINVAL);
}

TEST_F(config_writes_reach_the_device)
{
	u16 command;

	open_device(f, VFIO_TYPE1_IOMMU);
	OK(isolde_pread(f->machine, f->device, &command, 2, CONFIG + 4, &f->why));
	assert_int_equal(command & 4, 0);
	command |= 6;
	assert_int_equal(OK(isolde_pwrite(f->machine, f->device, &command, 2, CONFIG + 4, &f->why)), 2);
	OK(isolde_pread(f->machine, f->device, &command, 2, CONFIG + 4, &f->why));
	assert_int_equal(command & 4, 4);
}

TEST_F(a_group_stays_busy_while_its_device_is_open_or_mapped)
{
	void *page;

	open_device(f, VFIO_TYPE1_IOMMU);
	OK(isolde_mmap(f->machine, f->device, 4096, PROT_READ, MAP_SHARED, 0, &page, &f->why));
	ASSERT_OK(f->expected, isolde_close(f->machine, f->group));
	assert_int_equal(OPEN(f->path), -EBUSY);
	ASSERT_OK(f->expected, isolde_close(f->machine, f->device));
	f->device = -1;
	assert_int_equal(OPEN(f->path), -EBUSY);
	munmap(page, 4096);
	f->group = (int)OK(OPEN(f->path));
}

TEST_F(descriptors_can_be_duplicated_and_inherited)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int copy;
	pid_t child;

	open_device(f, VFIO_TYPE1_IOMMU);
	copy = dup(f->device);
	ASSERT_OK(f->expected, isolde_close(f->machine, f->device));
	OK(IOCTL(copy, VFIO_DEVICE_GET_INFO, &info));
	child = fork_holder();
	close(copy);
	close(f->group);
	assert_int_equal(OPEN(f->path), -EBUSY);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	f->device = -1;
	f->group = (int)OK(OPEN(f->path));
}

TEST_F(close_on_exec_is_as_asked)
{
	int kept = (int)OK(isolde_open(f->machine, "/dev/vfio/vfio", O_RDWR, &f->why));
	int closed = (int)OK(isolde_open(f->machine, "/dev/vfio/vfio", O_RDWR | O_CLOEXEC, &f->why));

	assert_int_equal(fcntl(kept, F_GETFD), 0);
	assert_int_equal(fcntl(closed, F_GETFD), FD_CLOEXEC);
	ASSERT_OK(f->expected, isolde_close(f->machine, kept));
	ASSERT_OK(f->expected, isolde_close(f->machine, closed));
	assert_int_equal(isolde_close(f->machine, closed), -EBADF);
}

TEST_F(opening_refuses_and_names_who_is_in_the_way)
{
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/vfio/99")));
	EXPECT_SUBSTR("/dev/vfio/99", f->why.text);
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/vfio/devices/vfio99")));
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/vfio/devices/vfio00")));
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/vfio/devices/0")));
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/vfio/devices")));
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/null")));
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/vfio/")));
	EXPECT_REFUSED(NODE_MISSING, f->expected, told(f, OPEN("/dev/vfio/007")));
	EXPECT_REFUSED(NODE_NOT_DIRECTORY, f->expected,
		       told(f, isolde_open(f->machine, f->path, O_RDONLY | O_DIRECTORY, &f->why)));
	EXPECT_REFUSED(NODE_EXISTS, f->expected,
		       told(f, isolde_open(f->machine, f->path, O_RDWR | O_CREAT | O_EXCL, &f->why)));
	OK(isolde_attribute_write(f->machine, "sys/bus/pci/drivers/vfio-pci/unbind", NVME, strlen(NVME), &f->why));
	EXPECT_REFUSED(DEVICE_NOT_BOUND, f->expected, told(f, OPEN(f->path)));
	EXPECT_SUBSTR(NVME " (no driver)", f->why.text);
}

TEST_F(descriptors_of_others_are_refused)
{
	int pipes[2], container;
	void *memory;
	char byte;

	assert_int_equal(pipe(pipes), 0);
	EXPECT_REFUSED(FILE_FOREIGN, f->expected, told(f, IOCTL(pipes[0], VFIO_GET_API_VERSION, 0)));
	EXPECT_REFUSED(FD_BAD, f->expected, told(f, IOCTL(999, VFIO_GET_API_VERSION, 0)));
	EXPECT_REFUSED(FD_BAD, f->expected, told(f, isolde_pread(f->machine, -1, &byte, 1, 0, &f->why)));
	container = (int)OK(OPEN("/dev/vfio/vfio"));
	EXPECT_REFUSED(FILE_OPERATION, f->expected, told(f, isolde_pread(f->machine, container, &byte, 1, 0, &f->why)));
	EXPECT_REFUSED(FILE_OPERATION, f->expected,
		       told(f, isolde_pwrite(f->machine, container, &byte, 1, 0, &f->why)));
	EXPECT_SUBSTR("/dev/vfio/vfio", f->why.text);
	EXPECT_REFUSED(
		FILE_UNMAPPABLE, f->expected,
		told(f, isolde_mmap(f->machine, container, PAGE_SIZE, PROT_READ, MAP_SHARED, 0, &memory, &f->why)));
	ASSERT_OK(f->expected, isolde_close(f->machine, container));
	close(pipes[0]);
	close(pipes[1]);
}

static long set_eventfd(struct fixture *f, u32 index, int fd)
{
	struct {
		struct vfio_irq_set set;
		s32 fd;
	} request = {
		.set = {.argsz = sizeof(request),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1},
		.fd = fd,
	};

	return IOCTL(f->device, VFIO_DEVICE_SET_IRQS, &request);
}

TEST_F(only_eventfds_are_eventfds)
{
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	open_device(f, VFIO_TYPE1_IOMMU);
	EXPECT_REFUSED(EVENTFD_BAD, f->expected, told(f, set_eventfd(f, VFIO_PCI_REQ_IRQ_INDEX, pipes[0])));
	EXPECT_REFUSED(FD_BAD, f->expected, told(f, set_eventfd(f, VFIO_PCI_REQ_IRQ_INDEX, 999)));
	close(pipes[0]);
	close(pipes[1]);
}

static bool others_may_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK};
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status != 0;
}

/* A program loses its locks of a file with the first descriptor of it that is closed, and were it a copy. */
TEST_F(what_is_no_eventfd_keeps_its_locks)
{
	struct flock lock = {.l_type = F_WRLCK};
	int file = memfd_create("locked", MFD_CLOEXEC);

	open_device(f, VFIO_TYPE1_IOMMU);
	assert_int_equal(fcntl(file, F_SETLK, &lock), 0);
	EXPECT_REFUSED(EVENTFD_BAD, f->expected, told(f, set_eventfd(f, VFIO_PCI_REQ_IRQ_INDEX, file)));
	assert_false(others_may_lock(file));
	close(file);
}

/* A number that means an eventfd and a pipe by turns. */
struct changing {
	int number, event, pipe;
	atomic_bool over;
};

static void *change(void *argument)
{
	struct changing *changing = argument;

	while (!atomic_load(&changing->over)) {
		dup2(changing->pipe, changing->number);
		dup2(changing->event, changing->number);
	}
	return NULL;
}

/* What is signalled would be written into the pipe. */
TEST_F(what_becomes_an_eventfd_meanwhile_is_looked_at_once)
{
	struct vfio_irq_set loopback = {.argsz = sizeof(loopback),
					.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
					.index = VFIO_PCI_REQ_IRQ_INDEX,
					.count = 1};
	struct changing changing = {.event = eventfd(0, EFD_NONBLOCK)};
	int pipes[2], waiting = -1;
	pthread_t thread;

	assert_int_equal(pipe(pipes), 0);
	changing.pipe = pipes[1];
	changing.number = dup(changing.event);
	open_device(f, VFIO_TYPE1_IOMMU);
	assert_int_equal(pthread_create(&thread, NULL, change, &changing), 0);
	for (unsigned got = 0; got < 2000;) {
		if (set_eventfd(f, VFIO_PCI_REQ_IRQ_INDEX, changing.number) < 0)
			continue;
		got++;
		OK(IOCTL(f->device, VFIO_DEVICE_SET_IRQS, &loopback));
	}
	atomic_store(&changing.over, true);
	pthread_join(thread, NULL);
	assert_int_equal(ioctl(pipes[0], FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 0);
	close(changing.number);
	close(changing.event);
	close(pipes[0]);
	close(pipes[1]);
}

struct unbinder {
	struct fixture *f;
	atomic_bool done;
	struct isolde_why why;
};

static void *unbind_thread(void *context)
{
	struct unbinder *unbinder = context;
	ssize_t ret = isolde_attribute_write(unbinder->f->machine, "sys/bus/pci/drivers/vfio-pci/unbind", NVME,
					     strlen(NVME), &unbinder->why);

	atomic_store(&unbinder->done, true);
	return (void *)ret;
}

TEST_F(unbind_waits_until_the_program_lets_go)
{
	struct unbinder unbinder = {.f = f};
	int request = eventfd(0, EFD_CLOEXEC);
	struct pollfd asked = {.fd = request, .events = POLLIN};
	pthread_t thread;
	void *ret;

	open_device(f, VFIO_TYPE1_IOMMU);
	OK(set_eventfd(f, VFIO_PCI_REQ_IRQ_INDEX, request));
	pthread_create(&thread, NULL, unbind_thread, &unbinder);
	/* "Please give it back." */
	assert_int_equal(poll(&asked, 1, PATIENCE_MS), 1);
	assert_false(atomic_load(&unbinder.done));
	EXPECT_REFUSED(DEVICE_LEAVING, f->expected, told(f, IOCTL(f->group, VFIO_GROUP_GET_DEVICE_FD, NVME)));
	isolde_machine_check(f->machine);
	/* Without a call into the machine: it finds out by itself. */
	close(f->device);
	f->device = -1;
	pthread_join(thread, &ret);
	assert_int_equal((ssize_t)ret, strlen(NVME));
	close(request);
	assert_int_equal(IOCTL(f->group, VFIO_GROUP_GET_DEVICE_FD, NVME), -ENODEV);
}

TEST_F(two_who_unbind_at_once_are_one_too_many)
{
	struct unbinder first = {.f = f}, second = {.f = f};
	pthread_t threads[2];
	void *rets[2];

	open_device(f, VFIO_TYPE1_IOMMU);
	pthread_create(&threads[0], NULL, unbind_thread, &first);
	pthread_create(&threads[1], NULL, unbind_thread, &second);
	usleep(20000);
	ASSERT_OK(f->expected, isolde_close(f->machine, f->device));
	f->device = -1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], &rets[i]);
	assert_int_equal((ssize_t)rets[0] + (ssize_t)rets[1], (ssize_t)strlen(NVME) - ENODEV);
}

/* A native driver cannot have a device of a group that a container holds. */
TEST_F(probing_into_an_owned_group_fails)
{
	static const char *const nics[] = {"0000:02:00.0", "0000:02:00.1"};
	char path[96];

	for (size_t i = 0; i < ARRAY_SIZE(nics); i++) {
		snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver/unbind", nics[i]);
		OK(isolde_attribute_write(f->machine, path, nics[i], 12, &f->why));
		snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", nics[i]);
		OK(isolde_attribute_write(f->machine, path, "vfio-pci", 8, &f->why));
	}
	OK(isolde_attribute_write(f->machine, "sys/bus/pci/drivers_probe", nics[0], 12, &f->why));
	OK(isolde_attribute_write(f->machine, path, "", 1, &f->why));
	f->container = (int)OK(OPEN("/dev/vfio/vfio"));
	find_group(f, nics[0]);
	f->group = (int)OK(OPEN(f->path));
	OK(IOCTL(f->group, VFIO_GROUP_SET_CONTAINER, &f->container));
	EXPECT_REFUSED(DRIVER_PROBE_FAILED, f->expected,
		       told(f, isolde_attribute_write(f->machine, "sys/bus/pci/drivers_probe", nics[1], 12, &f->why)));
	EXPECT_SUBSTR("binding 0000:02:00.1 to e1000e", f->why.text);
	/* By name the errno is that of the ownership. */
	EXPECT_REFUSED(
		GROUP_OWNED, f->expected,
		told(f, isolde_attribute_write(f->machine, "sys/bus/pci/drivers/e1000e/bind", nics[1], 12, &f->why)));
	ASSERT_OK(f->expected, isolde_close(f->machine, f->group));
	f->group = -1;
	OK(isolde_attribute_write(f->machine, "sys/bus/pci/drivers_probe", nics[1], 12, &f->why));
}

TEST_F(mappings_outlive_the_machine_as_plain_memory)
{
	void *page;

	open_device(f, VFIO_TYPE1_IOMMU);
	OK(isolde_mmap(f->machine, f->device, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &page, &f->why));
	isolde_machine_free(f->machine);
	*(volatile u32 *)page = 1;
	assert_int_equal(*(volatile u32 *)page, 1);
	munmap(page, 4096);
	/* The descriptors are still this process's own. */
	assert_int_equal(close(f->device), 0);
	assert_int_equal(close(f->group), 0);
	assert_int_equal(close(f->container), 0);
	f->device = f->group = f->container = -1;
	assert_int_equal(make(&f->machine, &f->why), 0);
}

/* Whatever step of an open fails, nothing stays behind and the next attempt finds all as it was. */
TEST_F(a_device_that_could_not_be_opened_is_still_closed)
{
	bool fired = true;

	open_container_and_group(f);
	OK(IOCTL(f->group, VFIO_GROUP_SET_CONTAINER, &f->container));
	OK(IOCTL(f->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	for (unsigned n = 1; fired; n++) {
		int fd;

		fail_nth_arm(n);
		fd = (int)IOCTL(f->group, VFIO_GROUP_GET_DEVICE_FD, NVME);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		assert_true(fd >= 0 || fired);
		isolde_machine_check(f->machine);
		if (fd >= 0)
			ASSERT_OK(f->expected, isolde_close(f->machine, fd));
		assert_true(n < 1000);
	}
}

static struct isolde_why options_why;

static int new_with(const struct isolde_machine_options *options)
{
	struct isolde_machine *machine = NULL;
	int ret = isolde_machine_new(options, &machine, &options_why);

	isolde_machine_free(machine);
	return ret;
}

static int new_disk(const char *disk)
{
	const char *const disks[] = {disk, NULL};

	return new_with(
		&(struct isolde_machine_options){.size = sizeof(struct isolde_machine_options), .disks = disks});
}

static int new_bind(const char *bind)
{
	const char *const list[] = {bind, NULL};

	return new_with(&(struct isolde_machine_options){.size = sizeof(struct isolde_machine_options), .binds = list});
}

TEST_F(options_are_checked)
{
	struct {
		struct isolde_machine_options options;
		long future;
	} newer = {.options = {.size = sizeof(newer)}};
	struct isolde_machine *machine;

	ASSERT_OK(f->expected, new_with(NULL));
	ASSERT_OK(f->expected, new_with(&newer.options));
	newer.future = 1;
	EXPECT_REFUSED(
		OPTIONS_SIZE, f->expected,
		told(f, (f->why = (struct isolde_why){0}, isolde_machine_new(&newer.options, &machine, &f->why))));
	newer.options.size = 0;
	EXPECT_REFUSED(OPTIONS_SIZE, f->expected, told(f, isolde_machine_new(&newer.options, &machine, &f->why)));
	EXPECT_REFUSED(DISK_MALFORMED, f->expected, told(f, (new_disk("disk.img"), f->why = options_why, -f->why.err)));
	EXPECT_REFUSED(DISK_MALFORMED, f->expected, told(f, (new_disk(NVME "="), f->why = options_why, -f->why.err)));
	EXPECT_REFUSED(DISK_DEVICE_UNKNOWN, f->expected,
		       told(f, (new_disk("0000:77:00.0=disk.img"), f->why = options_why, -f->why.err)));
	EXPECT_SUBSTR("0000:77:00.0", f->why.text);
	EXPECT_REFUSED(DISK_UNUSABLE, f->expected,
		       told(f, (new_disk(NVME "=/nonexistent/disk.img"), f->why = options_why, -f->why.err)));
	EXPECT_REFUSED(BIND_MALFORMED, f->expected, told(f, (new_bind("vfio-pci"), f->why = options_why, -f->why.err)));
	EXPECT_REFUSED(DRIVER_UNKNOWN, f->expected,
		       told(f, (new_bind("vfio=" NVME), f->why = options_why, -f->why.err)));
	EXPECT_REFUSED(DRIVER_DEVICE_UNKNOWN, f->expected,
		       told(f, (new_bind("vfio-pci=0000:77:00.0"), f->why = options_why, -f->why.err)));
}

TEST_F(reasons_may_be_left_out)
{
	assert_int_equal(isolde_open(f->machine, "/dev/vfio/99", O_RDWR, NULL), -ENOENT);
	assert_int_equal(isolde_ioctl(f->machine, -1, 0, NULL, NULL), -EBADF);
	isolde_machine_free(NULL);
	assert_string_equal(isolde_version(), ISOLDE_VERSION);
}

/* A whole short life: nothing may leak or hang, wherever it breaks. */
static int live(struct why *why)
{
	struct isolde_machine *machine;
	struct isolde_why reason;
	int fd, err;

	err = make(&machine, &reason);
	if (err >= 0) {
		fd = err = isolde_open(machine, "/dev/vfio/vfio", O_RDWR, &reason);
		if (fd >= 0)
			isolde_close(machine, fd);
		isolde_machine_check(machine);
		isolde_machine_free(machine);
	}
	if (err < 0)
		refuse_host(why, -err, "%s: %s", reason.code, reason.text);
	return err;
}

TEST(api, every_step_may_fail)
{
	SWEEP_FAILURES(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(group_and_container_answer_as_on_linux),
		CASE_F(iommu_info_has_the_chain_of_linux),
		CASE_F(mappings_of_type1_are_those_of_the_probe),
		CASE_F(mappings_of_type1v2_are_those_of_the_probe),
		CASE_F(regions_are_where_dpdk_expects_them),
		CASE_F(reads_and_mappings_have_linuxs_limits),
		CASE_F(config_writes_reach_the_device),
		CASE_F(a_group_stays_busy_while_its_device_is_open_or_mapped),
		CASE_F(descriptors_can_be_duplicated_and_inherited),
		CASE_F(close_on_exec_is_as_asked),
		CASE_F(opening_refuses_and_names_who_is_in_the_way),
		CASE_F(descriptors_of_others_are_refused),
		CASE_F(only_eventfds_are_eventfds),
		CASE_F(what_is_no_eventfd_keeps_its_locks),
		CASE_F(what_becomes_an_eventfd_meanwhile_is_looked_at_once),
		CASE_F(unbind_waits_until_the_program_lets_go),
		CASE_F(two_who_unbind_at_once_are_one_too_many),
		CASE_F(probing_into_an_owned_group_fails),
		CASE_F(mappings_outlive_the_machine_as_plain_memory),
		CASE_F(a_device_that_could_not_be_opened_is_still_closed),
		CASE_F(options_are_checked),
		CASE_F(reasons_may_be_left_out),
		CASE(api, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
