/* SPDX-License-Identifier: MIT */
/*
 * A program with a virtual machine of the host's KVM, whose KVM_DEV_TYPE_VFIO device is told of VFIO's files, as by
 * QEMU, cloud-hypervisor and crosvm. No guest runs.
 *
 *	kvm usable		says why not, if it is not (exit status 3)
 *	kvm requests GROUP CDEV	each request and its answer
 *	kvm lives GROUP		how long KVM holds a file
 *	kvm leaves GROUP	ends with the group held by KVM alone
 *	kvm waits CDEV UNBIND	an unbind of $BDF waits for KVM
 *	kvm without GROUP	the same request of other files
 *
 * It ends at the first answer that Linux would not have given.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_GROUP = KVM_DEV_VFIO_GROUP, ADD = KVM_DEV_VFIO_GROUP_ADD, DELETE = KVM_DEV_VFIO_GROUP_DEL };

struct vm {
	int vm, vfio;
};

/* A value, or -errno. */
#define EXPECT(expected, call) check((call), (expected), #call, __LINE__)
#define WORKS(call)	       check((call), INT_MAX, #call, __LINE__)

static int check(int got, int expected, const char *call, int line)
{
	int answer = got < 0 ? -errno : got;

	if (expected == INT_MAX ? answer < 0 : answer != expected) {
		fprintf(stderr, "kvm.c:%d: %s: %d\n", line, call, answer);
		exit(1);
	}
	return got;
}

static int open_kvm(void)
{
	return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

static int new_vm(struct vm *vm)
{
	struct kvm_create_device device = {.type = KVM_DEV_TYPE_VFIO};
	int kvm = open_kvm();

	if (kvm < 0)
		return -1;
	vm->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	if (vm->vm < 0 || ioctl(vm->vm, KVM_CREATE_DEVICE, &device) < 0)
		return -1;
	vm->vfio = (int)device.fd;
	return 0;
}

static void end_vm(struct vm *vm)
{
	close(vm->vfio);
	close(vm->vm);
}

static int ask(int vfio, uint32_t group, uint64_t attribute, const void *address)
{
	struct kvm_device_attr request = {.group = group, .attr = attribute, .addr = (uintptr_t)address};

	return ioctl(vfio, KVM_SET_DEVICE_ATTR, &request);
}

static int add(int vfio, int32_t fd)
{
	return ask(vfio, FILE_GROUP, ADD, &fd);
}

static int del(int vfio, int32_t fd)
{
	return ask(vfio, FILE_GROUP, DELETE, &fd);
}

static int usable(void)
{
	struct vm vm;

	if (new_vm(&vm) == 0)
		return 0;
	printf("%s\n", strerror(errno));
	return 3;
}

/* What the host answers by itself, and must go on to. */
static void requests_of_the_host(int vfio, int32_t group)
{
	struct kvm_device_attr has = {.group = FILE_GROUP, .attr = ADD};

	WORKS(ioctl(vfio, KVM_HAS_DEVICE_ATTR, &has));
	has.attr = DELETE;
	WORKS(ioctl(vfio, KVM_HAS_DEVICE_ATTR, &has));
	has.attr = 99;
	EXPECT(-ENXIO, ioctl(vfio, KVM_HAS_DEVICE_ATTR, &has));
	EXPECT(-EFAULT, ioctl(vfio, KVM_SET_DEVICE_ATTR, NULL));
	EXPECT(-EFAULT, ask(vfio, FILE_GROUP, ADD, NULL));
	EXPECT(-EFAULT, ask(vfio, FILE_GROUP, DELETE, NULL));
	EXPECT(-ENXIO, ask(vfio, FILE_GROUP, 99, &group));
	EXPECT(-ENXIO, ask(vfio, FILE_GROUP, 99, NULL));
	EXPECT(-ENXIO, ask(vfio, 0, ADD, &group));
	EXPECT(-EBADF, add(vfio, -1));
	EXPECT(-EBADF, add(vfio, 9999));
	EXPECT(-EBADF, del(vfio, 9999));
	EXPECT(-EINVAL, add(vfio, vfio));
	EXPECT(-EINVAL, add(vfio, memfd_create("memory", 0)));
	EXPECT(-ENOENT, del(vfio, vfio));
}

static void requests(const char *group_path, const char *cdev_path)
{
	int group = WORKS(open(group_path, O_RDWR)), cdev = WORKS(open(cdev_path, O_RDWR));
	int container = WORKS(open("/dev/vfio/vfio", O_RDWR)), iommufd = WORKS(open("/dev/iommu", O_RDWR));
	int again = WORKS(open(cdev_path, O_RDWR)), copy = WORKS(dup(group));
	struct vm vm, other;

	WORKS(new_vm(&vm));
	WORKS(new_vm(&other));
	requests_of_the_host(vm.vfio, group);
	EXPECT(-ENOENT, del(vm.vfio, group));
	WORKS(add(vm.vfio, group));
	EXPECT(-EEXIST, add(vm.vfio, group));
	EXPECT(-EEXIST, add(vm.vfio, copy));
	/* A file that was opened again is another one. */
	WORKS(add(vm.vfio, cdev));
	WORKS(add(vm.vfio, again));
	EXPECT(-EEXIST, add(vm.vfio, cdev));
	EXPECT(-EINVAL, add(vm.vfio, container));
	EXPECT(-EINVAL, add(vm.vfio, iommufd));
	EXPECT(-ENOENT, del(vm.vfio, container));
	EXPECT(-ENOENT, del(other.vfio, group));
	WORKS(add(other.vfio, group));
	WORKS(del(vm.vfio, copy));
	EXPECT(-ENOENT, del(vm.vfio, group));
	EXPECT(-EEXIST, add(other.vfio, group));
	WORKS(del(vm.vfio, again));
	WORKS(del(vm.vfio, cdev));
	WORKS(add(vm.vfio, cdev));
	end_vm(&vm);
	end_vm(&other);
	puts("requests");
}

/* The group is open, by KVM alone: its one opener is still there. */
static void held(const char *group_path)
{
	EXPECT(-EBUSY, open(group_path, O_RDWR));
}

static void lives(const char *group_path)
{
	int group = WORKS(open(group_path, O_RDWR)), copy, number;
	struct vm vm;

	WORKS(new_vm(&vm));
	WORKS(add(vm.vfio, group));
	close(group);
	held(group_path);
	/* The device goes with its last descriptor, not with the virtual machine. */
	copy = WORKS(dup(vm.vfio));
	number = vm.vfio;
	end_vm(&vm);
	held(group_path);
	close(copy);
	group = WORKS(open(group_path, O_RDWR));
	/* The next virtual machine has the same numbers, and knows nothing. */
	WORKS(new_vm(&vm));
	if (vm.vfio != number)
		EXPECT(number, dup2(vm.vfio, number));
	EXPECT(-ENOENT, del(number, group));
	WORKS(add(number, group));
	WORKS(del(number, group));
	close(group);
	close(WORKS(open(group_path, O_RDWR)));
	puts("lives");
}

/* In another process, of which nothing is left but what KVM would hold. */
static void leaves(const char *group_path)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct vm vm;

		WORKS(new_vm(&vm));
		WORKS(add(vm.vfio, WORKS(open(group_path, O_RDWR))));
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	EXPECT(1, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(WORKS(open(group_path, O_RDWR)));
	puts("leaves");
}

/* An unbind waits for a file that KVM has alone, and nobody calls anything that isolde would see when it lets go. */
static void waits(const char *cdev_path, const char *unbind)
{
	const char *name = getenv("BDF");
	int ready[2], cdev;
	struct vm vm;
	pid_t child;
	char byte;

	WORKS(pipe(ready));
	child = fork();
	if (child == 0) {
		WORKS(new_vm(&vm));
		cdev = WORKS(open(cdev_path, O_RDWR));
		WORKS(add(vm.vfio, cdev));
		close(cdev);
		EXPECT(1, (int)write(ready[1], "", 1));
		sleep(1);
		close(vm.vfio);
		pause();
	}
	EXPECT(1, (int)read(ready[0], &byte, 1));
	alarm(100);
	EXPECT((int)strlen(name), (int)write(WORKS(open(unbind, O_WRONLY)), name, strlen(name)));
	EXPECT(0, waitpid(child, NULL, WNOHANG));
	kill(child, SIGKILL);
	puts("waits");
}

/* Requests of the same number for who is no such device stay the host's. */
static void without(const char *group_path)
{
	int group = WORKS(open(group_path, O_RDWR)), event = WORKS(eventfd(0, 0));

	EXPECT(-ENOTTY, add(group, group));
	EXPECT(-ENOTTY, del(group, group));
	EXPECT(-ENOTTY, add(event, group));
	EXPECT(-EBADF, add(9999, group));
	puts("without");
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (strcmp(word, "usable") == 0)
		return usable();
	if (argc == 4 && strcmp(word, "requests") == 0)
		requests(argv[2], argv[3]);
	else if (argc == 3 && strcmp(word, "lives") == 0)
		lives(argv[2]);
	else if (argc == 3 && strcmp(word, "leaves") == 0)
		leaves(argv[2]);
	else if (argc == 4 && strcmp(word, "waits") == 0)
		waits(argv[2], argv[3]);
	else if (argc == 3 && strcmp(word, "without") == 0)
		without(argv[2]);
	else
		return 2;
	return 0;
}
