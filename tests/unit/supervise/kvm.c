/* SPDX-License-Identifier: MIT */
/* KVM's devices are eventfds here: anonymous inodes like them, and no test needs a host that has KVM. */
#include "supervise/kvm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/helpers.h"
#include "vfio/container.h"
#include "vfio/device.h"
#include "vfio/group.h"

struct fixture {
	struct kvm_sets sets;
	struct file group, device, container;
	int vm, other;	 /* KVM's */
	int fd, another; /* descriptions of the program's files */
	struct why why;
};

static int description(void)
{
	return memfd_create("file", MFD_CLOEXEC);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	kvm_init(&f->sets);
	file_init(&f->group, &group_file_ops, "/dev/vfio/7", S_IFCHR, 0);
	file_init(&f->device, &device_file_ops, "/dev/vfio/devices/vfio3", S_IFCHR, 0);
	file_init(&f->container, &container_file_ops, "/dev/vfio/vfio", S_IFCHR, 0);
	f->vm = eventfd(0, EFD_CLOEXEC);
	f->other = eventfd(0, EFD_CLOEXEC);
	f->fd = description();
	f->another = description();
	*state = f;
	return 0;
}

static void drop(int *fd)
{
	close_descriptor(fd);
	*fd = -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kvm_fini(&f->sets);
	kvm_fini(&f->sets);
	drop(&f->vm);
	drop(&f->other);
	drop(&f->fd);
	drop(&f->another);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void kvm_##name##_body(struct fixture *f);                                                              \
	static void kvm_##name(void **state)                                                                           \
	{                                                                                                              \
		kvm_##name##_body(*state);                                                                             \
	}                                                                                                              \
	static void kvm_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(kvm_##name, setup, teardown)

static int set(struct fixture *f, int vm, u64 attribute, int fd, const struct file *file)
{
	const struct kvm_device_attr request = {.group = KVM_DEV_VFIO_GROUP, .attr = attribute};

	why_clear(&f->why);
	return kvm_set_file(&f->sets, vm, &request, fd, file, &f->why);
}

static int add(struct fixture *f, int vm, int fd)
{
	return set(f, vm, KVM_DEV_VFIO_GROUP_ADD, fd, &f->group);
}

static int del(struct fixture *f, int vm, int fd)
{
	return set(f, vm, KVM_DEV_VFIO_GROUP_DEL, fd, &f->group);
}

/* Does anybody but us hold the description of fd? Its lock outlives us then. Closes fd. */
static bool held_elsewhere(int *fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
	char path[32];
	bool held;
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(*fd, F_OFD_SETLK, &lock), 0);
	drop(fd);
	assert_int_equal(fcntl(again, F_OFD_GETLK, &lock), 0);
	held = lock.l_type != F_UNLCK;
	close(again);
	return held;
}

TEST(kvm, only_adds_and_deletes_of_its_files_are_ours)
{
	struct kvm_device_attr request = {.group = KVM_DEV_VFIO_GROUP, .attr = KVM_DEV_VFIO_GROUP_ADD};

	assert_true(kvm_names_file(&request));
	request.flags = 7; /* not looked at */
	request.attr = KVM_DEV_VFIO_GROUP_DEL;
	assert_true(kvm_names_file(&request));
	request.attr = KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE;
	assert_false(kvm_names_file(&request));
	request.attr = 1ull << 32 | KVM_DEV_VFIO_GROUP_ADD;
	assert_false(kvm_names_file(&request));
	request = (struct kvm_device_attr){.group = 0, .attr = KVM_DEV_VFIO_GROUP_ADD};
	assert_false(kvm_names_file(&request));
	assert_true(kvm_is_vfio_device("anon_inode:kvm-vfio"));
	assert_false(kvm_is_vfio_device("anon_inode:kvm-vm"));
	assert_false(kvm_is_vfio_device("anon_inode:kvm-vfio2"));
	assert_false(kvm_is_vfio_device("/memfd:kvm-vfio"));
}

TEST_F(a_file_is_added_once_and_deleted_once)
{
	EXPECT_REFUSED(KVM_FILE_UNKNOWN, f->why, del(f, f->vm, f->fd));
	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	EXPECT_REFUSED(KVM_FILE_KNOWN, f->why, add(f, f->vm, f->fd));
	EXPECT_SUBSTR("/dev/vfio/7", f->why.text);
	EXPECT_REFUSED(KVM_FILE_UNKNOWN, f->why, del(f, f->vm, f->another));
	EXPECT_SUBSTR("/dev/vfio/7", f->why.text);
	ASSERT_OK(f->why, add(f, f->vm, f->another));
	ASSERT_OK(f->why, del(f, f->vm, f->fd));
	EXPECT_REFUSED(KVM_FILE_UNKNOWN, f->why, del(f, f->vm, f->fd));
	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	ASSERT_OK(f->why, del(f, f->vm, f->another));
	ASSERT_OK(f->why, del(f, f->vm, f->fd));
	assert_true(list_empty(&f->sets.all));
}

TEST_F(only_groups_and_devices_are_files_of_vfio)
{
	ASSERT_OK(f->why, set(f, f->vm, KVM_DEV_VFIO_GROUP_ADD, f->another, &f->device));
	EXPECT_REFUSED(KVM_FILE_INVALID, f->why, set(f, f->vm, KVM_DEV_VFIO_GROUP_ADD, f->fd, &f->container));
	EXPECT_SUBSTR("/dev/vfio/vfio", f->why.text);
	/* Before it is asked whether it is there, as Linux; a delete does not ask what it is. */
	EXPECT_REFUSED(KVM_FILE_INVALID, f->why, set(f, f->vm, KVM_DEV_VFIO_GROUP_ADD, f->another, &f->container));
	EXPECT_REFUSED(KVM_FILE_UNKNOWN, f->why, set(f, f->vm, KVM_DEV_VFIO_GROUP_DEL, f->fd, &f->container));
}

TEST_F(duplicates_are_one_file_and_one_device)
{
	int vm = dup(f->vm), fd = dup(f->fd);

	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	EXPECT_REFUSED(KVM_FILE_KNOWN, f->why, add(f, vm, fd));
	drop(&f->vm);
	drop(&f->fd);
	EXPECT_REFUSED(KVM_FILE_KNOWN, f->why, add(f, vm, fd));
	ASSERT_OK(f->why, del(f, vm, fd));
	close(vm);
	close(fd);
}

TEST_F(each_virtual_machine_has_its_own)
{
	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	EXPECT_REFUSED(KVM_FILE_UNKNOWN, f->why, del(f, f->other, f->fd));
	ASSERT_OK(f->why, add(f, f->other, f->fd));
	ASSERT_OK(f->why, del(f, f->vm, f->fd));
	EXPECT_REFUSED(KVM_FILE_KNOWN, f->why, add(f, f->other, f->fd));
}

TEST_F(a_file_is_held_until_it_is_deleted)
{
	int copy = dup(f->fd);

	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	ASSERT_OK(f->why, add(f, f->vm, f->another));
	assert_true(held_elsewhere(&f->another));
	ASSERT_OK(f->why, del(f, f->vm, f->fd));
	drop(&copy);
	assert_false(held_elsewhere(&f->fd));
}

TEST_F(what_a_closed_device_had_is_let_go)
{
	int copy = dup(f->vm), number = f->vm;

	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	drop(&f->vm);
	assert_true(kvm_sweep(&f->sets));
	close(copy);
	assert_false(kvm_sweep(&f->sets));
	/* The next one may have its number. */
	f->vm = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(f->vm, number);
	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	drop(&f->vm);
	f->vm = eventfd(0, EFD_CLOEXEC);
	EXPECT_REFUSED(KVM_FILE_UNKNOWN, f->why, del(f, f->vm, f->fd));
	assert_false(held_elsewhere(&f->fd));
}

/* Another process of the room may have the device last. */
TEST_F(a_device_lives_in_any_process)
{
	int ends[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ends), 0);
	ASSERT_OK(f->why, add(f, f->vm, f->fd));
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit((int)read(ends[0], &byte, 1));
	}
	drop(&f->vm);
	assert_true(kvm_sweep(&f->sets));
	close(ends[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(kvm_sweep(&f->sets));
	close(ends[0]);
}

static int add_and_delete(struct why *why)
{
	struct fixture *f;
	void *state;
	int err;

	setup(&state);
	f = state;
	err = add(f, f->vm, f->fd);
	if (err < 0)
		assert_true(list_empty(&f->sets.all));
	*why = f->why;
	if (err < 0)
		EXPECT_REFUSED(KVM_FILE_UNKNOWN, f->why, del(f, f->vm, f->fd));
	else
		ASSERT_OK(f->why, del(f, f->vm, f->fd));
	teardown(&state);
	return err;
}

TEST(kvm, a_failed_add_changes_nothing)
{
	SWEEP_FAILURES(add_and_delete);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(kvm, only_adds_and_deletes_of_its_files_are_ours),
		CASE_F(a_file_is_added_once_and_deleted_once),
		CASE_F(only_groups_and_devices_are_files_of_vfio),
		CASE_F(duplicates_are_one_file_and_one_device),
		CASE_F(each_virtual_machine_has_its_own),
		CASE_F(a_file_is_held_until_it_is_deleted),
		CASE_F(what_a_closed_device_had_is_let_go),
		CASE_F(a_device_lives_in_any_process),
		CASE(kvm, a_failed_add_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
