/* SPDX-License-Identifier: MIT */
#include "cli/rooms.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/os.h"
#include "supervise/inspector.h"

#define PREFIX	   "room-"
#define PATIENCE_S 10
#define ANSWER_MAX (64ul << 20)

int rooms_new_path(char path[static JOURNAL_PATH], struct why *why)
{
	char directory[JOURNAL_PATH];
	int err = runtime_directory(directory, why);

	if (err < 0)
		return err;
	if ((size_t)snprintf(path, JOURNAL_PATH, "%s/" PREFIX "%d", directory, getpid()) >= JOURNAL_PATH)
		return refuse(why, RUNTIME_DIRECTORY, "the path of %.100s is too long", directory);
	return 0;
}

/*
 * -errno of the host when nobody listens there, -EAGAIN when so many wait already that we are not let in. Through the
 * directory: its path may be too long for an address.
 */
static int connect_to(int directory, pid_t room)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;
	struct timeval patience = {.tv_sec = PATIENCE_S};

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" PREFIX "%d", directory, room);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

static void remove_name(int directory, pid_t room)
{
	char name[32];

	snprintf(name, sizeof(name), PREFIX "%d", room);
	unlinkat(directory, name, 0);
}

static bool names_room(const char *name, pid_t *ret)
{
	char rest;

	return sscanf(name, PREFIX "%9d%c", ret, &rest) == 1;
}

static pid_t parent_of(pid_t pid)
{
	char text[OS_STATUS_TEXT];

	os_task_status(pid, text);
	return (pid_t)os_status_number(text, "PPid", 10);
}

/* Of the environment that the process was started with. */
static bool environment_of(pid_t pid, const char *name, char *ret, size_t size)
{
	char path[48], *word = NULL;
	size_t allocated = 0, length = strlen(name);
	bool found = false;
	FILE *stream;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	stream = fopen(path, "re");
	while (stream && !found && getdelim(&word, &allocated, '\0', stream) > 0) {
		found = strncmp(word, name, length) == 0 && word[length] == '=';
		if (found)
			snprintf(ret, size, "%s", word + length + 1);
	}
	free(word);
	if (stream)
		fclose(stream);
	return found;
}

/* As check_directory() of the journals, for a directory of somebody else: nobody but uid puts a name there. */
static bool is_ones_own(int directory, uid_t uid)
{
	struct stat status;

	return fstat(directory, &status) == 0 && status.st_uid == uid && !(status.st_mode & 022);
}

/* The one who listens is the process itself, not one who has taken its name. */
static bool listens(pid_t pid, uid_t uid, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == pid && peer.uid == uid;
}

/*
 * If it is an `isolde run`, of whatever user, it has put its name where its own environment says. -errno, as
 * connect_to(); -1 also when another may have put it there, or answers.
 */
static int connect_to_any(pid_t pid)
{
	char process[32], runtime[JOURNAL_PATH], path[JOURNAL_PATH];
	_close_ int directory = -1, fd = -1;
	struct stat status;

	snprintf(process, sizeof(process), "/proc/%d", pid);
	if (stat(process, &status) < 0)
		return -errno;
	runtime_directory_of(status.st_uid,
			     environment_of(pid, "XDG_RUNTIME_DIR", runtime, sizeof(runtime)) ? runtime : NULL, path);
	directory = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	fd = is_ones_own(directory, status.st_uid) ? connect_to(directory, pid) : -1;
	return fd < 0 || listens(pid, status.st_uid, fd) ? take_fd(&fd) : -1;
}

static int refuse_busy(pid_t room, struct why *why)
{
	return refuse(why, ROOM_SILENT, "room %d has let nobody in for %d s", room, PATIENCE_S);
}

/* Up from the process to the `isolde run` above it. */
static int connect_above(int directory, pid_t pid, struct why *why)
{
	for (pid_t at = pid; at > 0; at = parent_of(at)) {
		int fd = connect_to(directory, at);

		if (fd >= 0)
			return fd;
		if (fd == -EAGAIN)
			return refuse_busy(at, why);
		if (fd == -ECONNREFUSED)
			remove_name(directory, at);
	}
	return refuse(why, ROOM_MISSING, "process %d is in no room of this user", pid);
}

/* Root may look into the rooms of others. */
static int connect_above_any(pid_t pid, struct why *why)
{
	for (pid_t at = pid; at > 0; at = parent_of(at)) {
		int fd = connect_to_any(at);

		if (fd >= 0)
			return fd;
		if (fd == -EAGAIN)
			return refuse_busy(at, why);
	}
	return refuse(why, ROOM_MISSING, "process %d is in no room of any user", pid);
}

/* The rooms that have names, whether they live or not. Killed ones may have left any number. */
static int connect_only(int directory, const char *path, struct why *why)
{
	const struct dirent *entry;
	DIR *stream = opendir(path);
	unsigned alive = 0;
	size_t used = 0;
	char names[160] = "";
	pid_t only = 0;
	int found = -1;

	while (stream && (entry = readdir(stream))) {
		pid_t room;
		int fd = names_room(entry->d_name, &room) ? connect_to(directory, room) : -ENOENT;

		if (fd == -ECONNREFUSED)
			remove_name(directory, room);
		if (fd < 0 && fd != -EAGAIN)
			continue;
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%d", used ? ", " : "", room);
		if (alive++) {
			close_descriptor(&fd);
		} else {
			found = fd;
			only = room;
		}
	}
	if (stream)
		closedir(stream);
	if (alive == 1)
		return found >= 0 ? found : refuse_busy(only, why);
	if (!alive)
		return refuse(why, ROOM_MISSING, "no room of this user is running (%.100s)", path);
	close_descriptor(&found);
	return refuse(why, ROOM_AMBIGUOUS, "%u rooms are running: %s", alive, names);
}

static int connect_own(pid_t pid, struct why *why)
{
	char path[JOURNAL_PATH];
	int err = runtime_directory(path, why);
	_close_ int directory = err < 0 ? -1 : open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (err < 0)
		return err;
	if (directory < 0)
		return refuse_host(why, errno, "open(%.100s)", path);
	return pid ? connect_above(directory, pid, why) : connect_only(directory, path, why);
}

int rooms_connect(pid_t pid, struct why *why)
{
	struct why own = WHY_INIT;
	int fd = connect_own(pid, &own);

	if (fd >= 0)
		return fd;
	if (!pid || geteuid() != 0 || own.code == WHY_ROOM_SILENT) {
		*why = own;
		return fd;
	}
	/* Whatever is wrong with root's own directory, which anybody can have made in /tmp: others' are elsewhere. */
	fd = connect_above_any(pid, why);
	if (fd >= 0 || why->code != WHY_ROOM_MISSING || own.code == WHY_ROOM_MISSING)
		return fd;
	/* It may still be in one of ours that we could not look for. */
	*why = own;
	return -own.err;
}

struct answer {
	int fd, err; /* positive errno; 0: none */
	size_t length;
};

static size_t receive_more(void *buffer, size_t size, void *data)
{
	struct answer *answer = data;
	ssize_t got = recv(answer->fd, buffer, size, 0);

	answer->err = got < 0 ? errno : 0;
	answer->length += got < 0 ? 0 : (size_t)got;
	return answer->err || answer->length > ANSWER_MAX ? (size_t)-1 : (size_t)got;
}

/* All that comes until the room closes. */
static int receive(int fd, json_t **ret, struct why *why)
{
	struct answer answer = {.fd = fd};
	json_error_t error;

	*ret = json_load_callback(receive_more, &answer, 0, &error);
	if (*ret)
		return 0;
	if (answer.err)
		return refuse(why, ROOM_SILENT, "the room does not answer: %s", strerror(answer.err));
	if (answer.length > ANSWER_MAX)
		return refuse(why, ROOM_SILENT, "the room's answer does not end after %lu bytes", ANSWER_MAX);
	return refuse(why, ROOM_SILENT, "the room's answer is not whole: %s, after %d bytes", error.text,
		      error.position);
}

int rooms_ask(int fd, unsigned mappings, json_t **ret, struct why *why)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	char question[64];
	int length = snprintf(question, sizeof(question), INSPECT_ASK "\n", mappings), err;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, question, (size_t)length, MSG_NOSIGNAL) == length)
		err = receive(fd, ret, why);
	else
		err = refuse(why, ROOM_SILENT, "the room does not listen: %s", strerror(errno));
	close(fd);
	return err;
}
