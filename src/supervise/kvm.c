/* SPDX-License-Identifier: MIT */
#include "supervise/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"
#include "machine/machine.h"

/* A device of the host. */
struct kvm_set {
	off_t mark;	       /* the byte that its description has locked */
	struct list members;   /* struct kvm_member */
	struct list_link link; /* sets->all */
};

/* A file that it was given. */
struct kvm_member {
	int fd;		       /* owned */
	struct list_link link; /* set->members */
};

void kvm_init(struct kvm_sets *sets)
{
	list_init(&sets->all);
	sets->probe = -1;
}

static void member_free(struct kvm_member *member)
{
	list_remove(&member->link);
	close(member->fd);
	free(member);
}

static void set_free(struct kvm_set *set)
{
	struct kvm_member *member, *following;

	list_for_each_safe(member, following, &set->members, link)
		member_free(member);
	list_remove(&set->link);
	free(set);
}

void kvm_fini(struct kvm_sets *sets)
{
	struct kvm_set *set, *following;

	list_for_each_safe(set, following, &sets->all, link)
		set_free(set);
	close_descriptor(&sets->probe);
	sets->probe = -1;
}

bool kvm_is_vfio_device(const char *name)
{
	return strcmp(name, "anon_inode:kvm-vfio") == 0;
}

/* KVM_DEV_VFIO_FILE and its attributes: younger names of the same numbers. */
bool kvm_names_file(const struct kvm_device_attr *request)
{
	return request->group == KVM_DEV_VFIO_GROUP &&
	       (request->attr == KVM_DEV_VFIO_GROUP_ADD || request->attr == KVM_DEV_VFIO_GROUP_DEL);
}

/* ---- which device ---- */

static struct flock lock_of(short type, off_t mark)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = mark, .l_len = 1};
}

/* Has another description than that of fd the mark? */
static bool marked_by_another(int fd, off_t mark)
{
	struct flock lock = lock_of(F_WRLCK, mark);

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool lives(const struct kvm_sets *sets, const struct kvm_set *set)
{
	return marked_by_another(sets->probe, set->mark);
}

bool kvm_sweep(struct kvm_sets *sets)
{
	struct kvm_set *set, *following;

	list_for_each_safe(set, following, &sets->all, link)
		if (!lives(sets, set))
			set_free(set);
	return !list_empty(&sets->all);
}

/* In that order: who has the mark afterwards had it before. */
static struct kvm_set *find_set(const struct kvm_sets *sets, int device)
{
	struct kvm_set *set;

	list_for_each(set, &sets->all, link)
		if (!marked_by_another(device, set->mark) && lives(sets, set))
			return set;
	return NULL;
}

/* Marks of other rooms are on the same inode: nobody can guess ours. */
static off_t new_mark(void)
{
	u64 mark;

	os_random(&mark, sizeof(mark));
	return (off_t)(mark >> 2);
}

static int open_probe(struct kvm_sets *sets, struct why *why)
{
	if (sets->probe < 0)
		sets->probe = eventfd(0, EFD_CLOEXEC);
	return sets->probe < 0 ? refuse_host(why, errno, "eventfd") : 0;
}

/* A set whose device is marked, without members and not yet in the list. */
static int set_new(struct kvm_sets *sets, int device, struct kvm_set **ret, struct why *why)
{
	_memory_ struct kvm_set *set = alloc_new(struct kvm_set, why);
	struct flock lock;
	int err;

	if (!set)
		return -why->err;
	err = open_probe(sets, why);
	if (err < 0)
		return err;
	list_init(&set->members);
	set->mark = new_mark();
	lock = lock_of(F_WRLCK, set->mark);
	if (fcntl(device, F_OFD_SETLK, &lock) < 0)
		return refuse_host(why, errno, "marking a device of KVM");
	/* Not seen, it would seem closed at once. */
	if (!lives(sets, set))
		return refuse_host(why, EXDEV, "finding the mark of a device of KVM");
	*ret = take(set);
	return 0;
}

/* ---- which file ---- */

/* Two descriptors of one open file description? Linux compares those. Where kcmp(2) is not to be had: of one file? */
static bool same_file(int one, int other)
{
	struct stat left, right;
	long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, one, other);

	if (order >= 0)
		return order == 0;
	return fstat(one, &left) == 0 && fstat(other, &right) == 0 && left.st_dev == right.st_dev &&
	       left.st_ino == right.st_ino;
}

static struct kvm_member *find_member(const struct kvm_set *set, int fd)
{
	struct kvm_member *member;

	if (!set)
		return NULL;
	list_for_each(member, &set->members, link)
		if (same_file(member->fd, fd))
			return member;
	return NULL;
}

static int member_new(int fd, struct kvm_member **ret, struct why *why)
{
	_memory_ struct kvm_member *member = alloc_new(struct kvm_member, why);

	if (!member)
		return -why->err;
	member->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (member->fd < 0)
		return refuse_host(why, errno, "holding a file for KVM");
	*ret = take(member);
	return 0;
}

static int add_file(struct kvm_sets *sets, int device, int fd, const struct file *file, struct why *why)
{
	struct kvm_set *set = find_set(sets, device);
	struct kvm_member *member;
	int err;

	if (!machine_file_is_vfio(file))
		return refuse(why, KVM_FILE_INVALID, "%s is neither a group nor a device of VFIO", file->path);
	if (find_member(set, fd))
		return refuse(why, KVM_FILE_KNOWN, "this virtual machine has that file of %s already", file->path);
	err = member_new(fd, &member, why);
	if (err < 0)
		return err;
	err = set ? 0 : set_new(sets, device, &set, why);
	if (err < 0) {
		member_free(member);
		return err;
	}
	if (list_empty(&set->members))
		list_append(&sets->all, &set->link);
	list_append(&set->members, &member->link);
	return 0;
}

static int delete_file(struct kvm_sets *sets, int device, int fd, const struct file *file, struct why *why)
{
	struct kvm_set *set = find_set(sets, device);
	struct kvm_member *member = find_member(set, fd);
	struct flock unlock;

	if (!member)
		return refuse(why, KVM_FILE_UNKNOWN, "this virtual machine was not given that file of %s", file->path);
	member_free(member);
	if (!list_empty(&set->members))
		return 0;
	unlock = lock_of(F_UNLCK, set->mark);
	fcntl(device, F_OFD_SETLK, &unlock);
	set_free(set);
	return 0;
}

int kvm_set_file(struct kvm_sets *sets, int device, const struct kvm_device_attr *request, int fd,
		 const struct file *file, struct why *why)
{
	kvm_sweep(sets);
	return request->attr == KVM_DEV_VFIO_GROUP_ADD ? add_file(sets, device, fd, file, why)
						       : delete_file(sets, device, fd, file, why);
}
