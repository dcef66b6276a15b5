/* SPDX-License-Identifier: MIT */
/*
 * How the room's /sys and /dev are made. A directory is either merged or replaced: a merged one is a fresh tmpfs
 * directory that holds the host's entries (bound, recursively) and the machine's; a replaced one is the machine's
 * alone, live. What is merged is listed below. So the room looks the same on a host with real PCI devices and on one
 * without any.
 *
 * All is built at a staging place, because a mount must not hide the host's names while they are still being bound, and
 * then moved over /sys and /dev.
 */
#include "supervise/room.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char *const merged[] = {"sys",	   "sys/bus",	 "sys/class", "sys/devices", "sys/devices/virtual",
				     "sys/kernel", "sys/module", "sys/dev",   "dev"};

/* Entries of the host that must not be seen beside the machine's, whether the machine has that name or not. */
static const char *const hidden[] = {"sys/devices/pci*", "sys/bus/pci_express", "sys/class/pci_bus", "dev/vfio",
				     "dev/iommu"};

#define STAGE  "/tmp" /* hidden by the staging place while the room is built */
#define TREE   STAGE "/tree"
#define SERVED STAGE "/served"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = (ssize_t)strlen(text);
	bool written = fd >= 0 && write(fd, text, (size_t)length) == length;

	if (fd >= 0)
		close(fd);
	return written ? 0 : -1;
}

/* Maps the caller to root of the new user namespace, alone. */
static int become_root(uid_t uid, gid_t gid, struct why *why)
{
	char map[48];

	snprintf(map, sizeof(map), "0 %u 1\n", uid);
	if (write_file("/proc/self/uid_map", map) < 0)
		return refuse(why, ROOM_UNAVAILABLE, "this host lets no user %u map itself in a user namespace", uid);
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1\n", gid);
	if (write_file("/proc/self/gid_map", map) < 0)
		return refuse(why, ROOM_UNAVAILABLE, "this host lets no group %u map itself in a user namespace", gid);
	return 0;
}

int room_check_proc(struct why *why)
{
	char self[16] = "", pid[16];
	struct stat status;

	/* In every one, also of processes alone (subset=pid). */
	if (lstat("/proc/self", &status) < 0)
		return refuse(why, ROOM_UNAVAILABLE, "/proc is not mounted here: mount -t proc proc /proc");
	/* No such link where a process has no number. */
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (readlink("/proc/self", self, sizeof(self) - 1) < 0 || strcmp(self, pid) != 0)
		return refuse(why, ROOM_UNAVAILABLE,
			      "/proc is that of another PID namespace: mount one's own over it (unshare --mount-proc)");
	return 0;
}

int room_unshare(struct why *why)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNS) < 0) {
		int err;

		if (errno != EPERM)
			return refuse_host(why, errno, "unshare(CLONE_NEWNS)");
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			return refuse(why, ROOM_UNAVAILABLE,
				      "user namespaces are off here (unshare: %s), and uid %u may not mount without",
				      strerror(errno), uid);
		err = become_root(uid, gid, why);
		if (err < 0)
			return err;
	}
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return refuse(why, ROOM_UNAVAILABLE, "/ cannot be made private (a chroot that is no mount point?): %s",
			      strerror(errno));
	return 0;
}

/* Returns the open /dev/fuse to serve it from. */
static int mount_fuse(const char *place, const char *options, struct why *why)
{
	_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char words[128];

	if (fd < 0)
		return refuse(why, ROOM_UNAVAILABLE, "/dev/fuse cannot be opened: %s", strerror(errno));
	snprintf(words, sizeof(words), "fd=%d,rootmode=40000,%s", fd, options);
	mkdir(place, 0755);
	if (mount("isolde", place, "fuse.isolde", MS_NOSUID | MS_NODEV, words) < 0)
		return refuse(why, ROOM_UNAVAILABLE, "FUSE cannot be mounted: %s", strerror(errno));
	return take_fd(&fd);
}

int room_mount_tree(struct why *why)
{
	if (mount("isolde", STAGE, "tmpfs", MS_NOSUID, "mode=0755") < 0)
		return refuse(why, ROOM_UNAVAILABLE, "a tmpfs cannot be mounted on %s: %s", STAGE, strerror(errno));
	return mount_fuse(TREE, "user_id=0,group_id=0,allow_other,default_permissions", why);
}

int room_mount_served(int *ret_root, struct why *why)
{
	_close_ int fd = -1, root = -1;
	char options[64];

	snprintf(options, sizeof(options), "user_id=%u,group_id=%u", geteuid(), getegid());
	fd = mount_fuse(SERVED, options, why);
	if (fd < 0)
		return fd;
	root = open(SERVED, O_PATH | O_CLOEXEC);
	if (root < 0)
		return refuse_host(why, errno, "opening the root of the file system of queues");
	if (umount2(SERVED, MNT_DETACH) < 0)
		return refuse_host(why, errno, "unmounting the file system of queues");
	*ret_root = take_fd(&root);
	return take_fd(&fd);
}

static bool listed(const char *const *patterns, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (fnmatch(patterns[i], path, FNM_PATHNAME) == 0)
			return true;
	return false;
}

#define LISTED(patterns, path) listed(patterns, ARRAY_SIZE(patterns), path)

static int bind_over(const char *from, const char *to, bool directory, struct why *why)
{
	int fd;

	if (directory) {
		mkdir(to, 0755);
	} else {
		fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
	}
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
		return refuse_host(why, errno, "binding %.100s", from);
	return 0;
}

static int copy_link(const char *from, const char *to)
{
	char target[PATH_MAX];
	ssize_t length = readlink(from, target, sizeof(target) - 1);

	if (length < 0)
		return 0;
	target[length] = '\0';
	return symlink(target, to);
}

/* One entry of the host. What cannot be bound (it went away, or we may not) is left out, as if it were not there. */
static void keep_host_entry(const char *path, unsigned char type)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct why why;

	snprintf(from, sizeof(from), "/%s", path);
	snprintf(to, sizeof(to), STAGE "/%s", path);
	if (type == DT_LNK)
		copy_link(from, to);
	else if (bind_over(from, to, type == DT_DIR, &why) < 0)
		remove(to);
}

static void keep_host_entries(const struct node *directory, const char *path)
{
	struct dirent *entry;
	char below[PATH_MAX], from[PATH_MAX];
	DIR *host;

	snprintf(from, sizeof(from), "/%s", path);
	host = opendir(from);
	if (!host)
		return;
	while ((entry = readdir(host))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		if (!node_child(directory, entry->d_name) && !LISTED(hidden, below))
			keep_host_entry(below, entry->d_type);
	}
	closedir(host);
}

static int place(struct node *node, const char *path, struct why *why);

static int merge(struct node *directory, const char *path, struct why *why)
{
	char to[PATH_MAX], below[PATH_MAX];
	struct node *child;
	int err = 0;

	snprintf(to, sizeof(to), STAGE "/%s", path);
	mkdir(to, 0755);
	/* A tmpfs of its own for what is moved as a whole. */
	if (!strchr(path, '/') && mount("isolde", to, "tmpfs", MS_NOSUID, "mode=0755") < 0)
		return refuse_host(why, errno, "mounting a tmpfs for /%.100s", path);
	keep_host_entries(directory, path);
	list_for_each(child, &directory->children, link) {
		snprintf(below, sizeof(below), "%s/%s", path, child->name);
		err = place(child, below, why);
		if (err < 0)
			return err;
	}
	return 0;
}

/* A node of the machine at its place in the staged tree. */
static int place(struct node *node, const char *path, struct why *why)
{
	char from[PATH_MAX], to[PATH_MAX];

	snprintf(from, sizeof(from), TREE "/%s", path);
	snprintf(to, sizeof(to), STAGE "/%s", path);
	switch (node->kind) {
	case NODE_DIRECTORY:
		if (LISTED(merged, path))
			return merge(node, path, why);
		return bind_over(from, to, true, why);
	case NODE_LINK:
		if (symlink(node->target, to) < 0)
			return refuse_host(why, errno, "linking /%.100s", path);
		return 0;
	case NODE_ATTRIBUTE:
	case NODE_DEVICE:
		return bind_over(from, to, false, why);
	}
	return 0;
}

static int move_over(const char *from, const char *to, struct why *why)
{
	if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
		return refuse_host(why, errno, "moving the room's %s into place", to);
	return 0;
}

int room_furnish(struct node *root, struct why *why)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct node *child;
	int err;

	list_for_each(child, &root->children, link) {
		snprintf(from, sizeof(from), STAGE "/%s", child->name);
		snprintf(to, sizeof(to), "/%s", child->name);
		err = place(child, child->name, why);
		if (err == 0)
			err = move_over(from, to, why);
		if (err < 0)
			return err;
	}
	if (umount2(STAGE, MNT_DETACH) < 0)
		return refuse_host(why, errno, "removing the staging place");
	return 0;
}
