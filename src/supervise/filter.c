/* SPDX-License-Identifier: MIT */
/*
 * A call is trapped when it may concern one of our files and the filter cannot tell: it sees numbers, not paths or what
 * a descriptor is. The supervisor lets go on what is not ours, so a trap too many costs microseconds and nothing else.
 * Foreign architectures (i386, x32) run free: their programs do not see the room's devices.
 */
#include "supervise/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "supervise/serve.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif

#define HIGH_OFFSET (1ull << 40) /* regions of a device start there */
#define VFIO_TYPE   0x3b00u	 /* ';' */

struct rule {
	int call;
	unsigned nargs;
	struct scmp_arg_cmp args[2];
};

static const struct rule rules[] = {
	{SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, VFIO_TYPE)}},
	/* May name one of our files to a device of the host's. */
	{SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, KVM_SET_DEVICE_ATTR)}},
	{SCMP_SYS(open), 0, {}},
	{SCMP_SYS(openat), 0, {}},
	{SCMP_SYS(openat2), 0, {}},
	{SCMP_SYS(creat), 0, {}},
	/* Registers: at most eight bytes, or anything in a region above the first. */
	{SCMP_SYS(pread64), 1, {SCMP_A2(SCMP_CMP_LE, 8)}},
	{SCMP_SYS(pread64), 1, {SCMP_A3(SCMP_CMP_GE, HIGH_OFFSET)}},
	{SCMP_SYS(pwrite64), 1, {SCMP_A2(SCMP_CMP_LE, 8)}},
	{SCMP_SYS(pwrite64), 1, {SCMP_A3(SCMP_CMP_GE, HIGH_OFFSET)}},
	/* A FUSE file is not asked for nothing, and for more than a megabyte in pieces; a queue judges the whole. */
	{SCMP_SYS(read), 1, {SCMP_A2(SCMP_CMP_EQ, 0)}},
	{SCMP_SYS(read), 1, {SCMP_A2(SCMP_CMP_GT, SERVED_PIECE)}},
	/* Shared mappings of files, and anything at the offset of a region. */
	{SCMP_SYS(mmap), 1, {SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED)}},
	{SCMP_SYS(mmap), 1, {SCMP_A5(SCMP_CMP_GE, HIGH_OFFSET)}},
	/* A private mapping of registers is EINVAL; the dynamic linker's own have MAP_FIXED or MAP_DENYWRITE. */
	{SCMP_SYS(mmap),
	 1,
	 {SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_DENYWRITE, MAP_PRIVATE)}},
	/* Only regular files change their size; the memory behind a device's registers must not. */
	{SCMP_SYS(truncate), 0, {}},
	{SCMP_SYS(ftruncate), 0, {}},
	{SCMP_SYS(fallocate), 0, {}},
	{SCMP_SYS(fstat), 0, {}},
	{SCMP_SYS(newfstatat), 1, {SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH)}},
	{SCMP_SYS(statx), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH)}},
	{SCMP_SYS(readlink), 0, {}},
	{SCMP_SYS(readlinkat), 0, {}},
	/* Only to know that an address space may end. */
	{SCMP_SYS(execve), 0, {}},
	{SCMP_SYS(execveat), 0, {}},
};

static int add_rules(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		int err = seccomp_rule_add_array(filter, SCMP_ACT_NOTIFY, rules[i].call, rules[i].nargs, rules[i].args);

		if (err < 0)
			return err;
	}
	return 0;
}

/* The BPF program as bytes: libseccomp 2.5 cannot load with the flags we want, so it only compiles. */
static int compile(struct sock_fprog *ret, struct why *why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat status;
	int err;

	if (!filter || fd < 0) {
		seccomp_release(filter);
		return refuse_host(why, ENOMEM, "preparing the seccomp filter");
	}
	err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	if (err == 0)
		err = add_rules(filter);
	if (err == 0)
		err = seccomp_export_bpf(filter, fd);
	seccomp_release(filter);
	if (err < 0 || fstat(fd, &status) < 0)
		return refuse_host(why, err < 0 ? -err : errno, "compiling the seccomp filter");
	ret->filter = alloc_zero((size_t)status.st_size, why);
	if (!ret->filter)
		return -why->err;
	ret->len = (unsigned short)((size_t)status.st_size / sizeof(struct sock_filter));
	if (pread(fd, ret->filter, (size_t)status.st_size, 0) != status.st_size) {
		free(ret->filter);
		return refuse_host(why, EIO, "reading the compiled seccomp filter");
	}
	return 0;
}

int filter_install(struct why *why)
{
	struct sock_fprog program;
	long fd;
	int err = compile(&program, why);

	if (err < 0)
		return err;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
	/* Before Linux 5.19 a signal may interrupt a call we are answering; it is then made again. */
	if (fd < 0 && errno == EINVAL)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	free(program.filter);
	if (fd < 0)
		return refuse(
			why, ROOM_UNAVAILABLE, "seccomp user notification is not to be had here: %s%s", strerror(errno),
			errno == EBUSY ? "; somebody listens to this process already: there is no room in a room" : "");
	return (int)fd;
}
