/* SPDX-License-Identifier: MIT */
/*
 * The tree as a file system, by path, with nothing cached: what a program reads is what is so now, and an errno of a
 * store function is the errno of its write(2). Several threads (supervise/fuse_loop.h), because an unbind may wait for
 * a program to close.
 *
 * These threads must never wait on a path inside the mount: they only walk nodes, under machine.lock.
 */
#define FUSE_USE_VERSION 35
#include "supervise/fuse.h"

#include <errno.h>
#include <fuse.h>
#include <fuse_lowlevel.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "supervise/fuse_loop.h"
#include "supervise/stranger.h"

struct tree_server {
	struct fuse *fuse;
	struct fuse_loop *loop;
};

static struct machine *served_machine(void)
{
	return fuse_get_context()->private_data;
}

static void fill_status(const struct node *node, struct stat *status)
{
	static const mode_t types[] = {
		[NODE_DIRECTORY] = S_IFDIR,
		[NODE_ATTRIBUTE] = S_IFREG,
		[NODE_LINK] = S_IFLNK,
		[NODE_DEVICE] = S_IFCHR,
	};

	*status = (struct stat){
		.st_ino = node->inode,
		.st_mode = types[node->kind] | (node->kind == NODE_LINK ? 0777 : node->mode),
		.st_nlink = node->kind == NODE_DIRECTORY ? 2 : 1,
		.st_uid = node->uid,
		.st_gid = node->gid,
		.st_rdev = node->kind == NODE_DEVICE ? node->rdev : 0,
		.st_size = node->kind == NODE_ATTRIBUTE ? (off_t)node->size : 0,
		.st_blksize = 4096,
	};
	if (node->kind == NODE_LINK)
		status->st_size = (off_t)strlen(node->target);
	clock_gettime(CLOCK_REALTIME_COARSE, &status->st_mtim);
	status->st_ctim = status->st_atim = status->st_mtim;
}

static struct node *locked_node(struct machine *machine, const char *path)
{
	mutex_lock(&machine->lock);
	return node_at(machine->root, path + 1);
}

static int tree_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
	struct machine *machine = served_machine();
	struct node *node = locked_node(machine, path);

	if (node)
		fill_status(node, status);
	mutex_unlock(&machine->lock);
	return node ? 0 : -ENOENT;
}

static int tree_readlink(const char *path, char *buffer, size_t size)
{
	struct machine *machine = served_machine();
	struct node *node = locked_node(machine, path);
	bool link = node && node->kind == NODE_LINK;

	if (link)
		snprintf(buffer, size, "%s", node->target);
	mutex_unlock(&machine->lock);
	return link ? 0 : node ? -EINVAL : -ENOENT;
}

static int tree_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info,
			enum fuse_readdir_flags flags)
{
	struct machine *machine = served_machine();
	struct node *node = locked_node(machine, path), *child;
	bool directory = node && node->kind == NODE_DIRECTORY;

	if (directory) {
		fill(buffer, ".", NULL, 0, 0);
		fill(buffer, "..", NULL, 0, 0);
		list_for_each(child, &node->children, link) {
			struct stat status;

			fill_status(child, &status);
			if (node_child(node, child->name) == child)
				fill(buffer, child->name, &status, 0, 0);
		}
	}
	mutex_unlock(&machine->lock);
	return directory ? 0 : node ? -ENOTDIR : -ENOENT;
}

static bool opener_is_admin(void)
{
	struct client *client = stranger_new(fuse_get_context()->pid);
	bool admin = client && client_capable(client, CAP_SYS_ADMIN);

	client_put(client);
	return admin;
}

/* What the file shows is settled here (file_ns_capable()): info->fh is where it ends, 0 if it is shown whole. */
static int tree_open(const char *path, struct fuse_file_info *info)
{
	struct machine *machine = served_machine();
	struct node *node = locked_node(machine, path);
	bool attribute = node && node->kind == NODE_ATTRIBUTE;
	u64 public_size = attribute ? node->public_size : 0;

	mutex_unlock(&machine->lock);
	info->direct_io = 1;
	info->fh = public_size && !opener_is_admin() ? public_size : 0;
	return attribute ? 0 : node ? -ENXIO : -ENOENT;
}

static int tree_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct why why = WHY_INIT;

	if (info->fh)
		size = (u64)offset < info->fh ? min_u64(size, info->fh - (u64)offset) : 0;
	return (int)machine_attribute_read(served_machine(), NULL, path + 1, (u64)offset, buffer, size, &why);
}

static int tree_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct client *client = stranger_new(fuse_get_context()->pid);
	struct why why = WHY_INIT;
	int ret = (int)machine_attribute_write(served_machine(), client, path + 1, (u64)offset, buffer, size, &why);

	client_put(client);
	return ret;
}

/* A shell's ">" truncates first; sysfs ignores that. */
static int tree_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
	return 0;
}

/* The host has asked whether the caller may (default_permissions); a file system's link has no mode. */
static int tree_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
	struct machine *machine = served_machine();
	struct node *node = locked_node(machine, path);

	if (node)
		node->mode = mode & 07777;
	mutex_unlock(&machine->lock);
	return node ? 0 : -ENOENT;
}

/* -1: as it is. */
static int tree_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *info)
{
	struct machine *machine = served_machine();
	struct node *node = locked_node(machine, path);

	if (node && uid != (uid_t)-1)
		node->uid = uid;
	if (node && gid != (gid_t)-1)
		node->gid = gid;
	mutex_unlock(&machine->lock);
	return node ? 0 : -ENOENT;
}

static void *tree_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	connection->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
	config->use_ino = 1;
	config->direct_io = 1;
	config->entry_timeout = 0;
	config->attr_timeout = 0;
	config->negative_timeout = 0;
	return served_machine();
}

static const struct fuse_operations operations = {
	.init = tree_init,
	.getattr = tree_getattr,
	.readlink = tree_readlink,
	.readdir = tree_readdir,
	.open = tree_open,
	.read = tree_read,
	.write = tree_write,
	.truncate = tree_truncate,
	.chmod = tree_chmod,
	.chown = tree_chown,
};

static struct fuse *session_new(struct machine *machine, int fd)
{
	char *words[] = {(char *)"isolde", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, words);
	struct fuse *fuse = fuse_new(&args, &operations, sizeof(operations), machine);
	char mountpoint[32];

	fuse_opt_free_args(&args);
	/* libfuse's name for "mounted already, here is the descriptor". */
	snprintf(mountpoint, sizeof(mountpoint), "/dev/fd/%d", fd);
	if (fuse && fuse_mount(fuse, mountpoint) != 0) {
		fuse_destroy(fuse);
		return NULL;
	}
	return fuse;
}

int tree_server_start(struct machine *machine, int fd, struct tree_server **ret, struct why *why)
{
	struct tree_server *server = alloc_new(struct tree_server, why);
	int err;

	if (!server) {
		close(fd);
		return -why->err;
	}
	server->fuse = session_new(machine, fd);
	if (!server->fuse) {
		free(server);
		return refuse_host(why, EIO, "starting the file system of the room");
	}
	err = fuse_loop_start(fuse_get_session(server->fuse), &server->loop, why);
	if (err < 0) {
		fuse_destroy(server->fuse);
		free(server);
		return err;
	}
	*ret = server;
	return 0;
}

void tree_server_abort(struct tree_server *server)
{
	fuse_loop_abort(server->loop);
}

bool tree_server_serves(struct tree_server *server, pid_t process)
{
	return fuse_loop_serves(server->loop, process);
}

void tree_server_stop(struct tree_server *server)
{
	if (!server)
		return;
	fuse_loop_stop(server->loop);
	/* Closes /dev/fuse: whoever is still inside is answered by the host. */
	fuse_destroy(server->fuse);
	free(server);
}
