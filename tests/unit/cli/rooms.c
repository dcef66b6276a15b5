/* SPDX-License-Identifier: MIT */
/* Which room `isolde inspect` means. The rooms are sockets that only listen. */
#include "cli/rooms.h"

#include "tests/fixtures/holder.h"
#include "tests/fixtures/patience.h"
#include "tests/helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	char runtime[64];
	char path[JOURNAL_PATH];
	struct why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->runtime, "/tmp/isolde-rooms.XXXXXX");
	assert_non_null(mkdtemp(f->runtime));
	setenv("XDG_RUNTIME_DIR", f->runtime, 1);
	ASSERT_OK(f->why, rooms_new_path(f->path, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", f->runtime);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void rooms_##name##_body(struct fixture *f);                                                            \
	static void rooms_##name(void **state)                                                                         \
	{                                                                                                              \
		rooms_##name##_body(*state);                                                                           \
	}                                                                                                              \
	static void rooms_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(rooms_##name, setup, teardown)

static const char *path_of(const struct fixture *f, pid_t room)
{
	static char path[108];

	snprintf(path, sizeof(path), "%s/isolde/room-%d", f->runtime, room);
	return path;
}

/* A room of that pid, for so many more than one who wait; closing it leaves the name, as SIGKILL does. */
static int open_room_for(struct fixture *f, pid_t room, int more)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path_of(f, room));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, more), 0);
	return fd;
}

static int open_room(struct fixture *f, pid_t room)
{
	return open_room_for(f, room, 5);
}

TEST_F(its_name_is_that_of_this_process)
{
	assert_string_equal(f->path, path_of(f, getpid()));
}

TEST_F(the_only_one_needs_no_name)
{
	int room = open_room(f, 17);

	close((int)ASSERT_OK(f->why, rooms_connect(0, &f->why)));
	close((int)ASSERT_OK(f->why, rooms_connect(17, &f->why)));
	close(room);
}

TEST_F(none_is_refused)
{
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(0, &f->why));
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(getpid(), &f->why));
	EXPECT_SUBSTR("is in no room", f->why.text);
}

TEST_F(of_several_one_must_be_named)
{
	int first = open_room(f, 17), second = open_room(f, 18);

	EXPECT_REFUSED(ROOM_AMBIGUOUS, f->why, rooms_connect(0, &f->why));
	EXPECT_SUBSTR("17", f->why.text);
	EXPECT_SUBSTR("18", f->why.text);
	close((int)ASSERT_OK(f->why, rooms_connect(18, &f->why)));
	close(first);
	close(second);
}

TEST_F(what_killed_ones_left_is_removed)
{
	int alive = open_room(f, 17);

	close(open_room(f, 18));
	assert_int_equal(access(path_of(f, 18), F_OK), 0);
	close((int)ASSERT_OK(f->why, rooms_connect(0, &f->why)));
	assert_int_equal(access(path_of(f, 18), F_OK), -1);
	close(open_room(f, 19));
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(19, &f->why));
	assert_int_equal(access(path_of(f, 19), F_OK), -1);
	close(alive);
}

TEST_F(any_number_of_killed_ones_hides_none)
{
	int alive = open_room(f, 17);

	for (pid_t dead = 100; dead < 250; dead++)
		close(open_room(f, dead));
	close((int)ASSERT_OK(f->why, rooms_connect(0, &f->why)));
	for (pid_t dead = 100; dead < 250; dead++)
		assert_int_equal(access(path_of(f, dead), F_OK), -1);
	close(alive);
}

TEST_F(any_process_of_a_room_will_do)
{
	int room = open_room(f, getpid());
	pid_t child = fork();

	if (child == 0) {
		pid_t grandchild = fork();
		struct why why = WHY_INIT;

		_exit(rooms_connect(grandchild ? grandchild : getpid(), &why) >= 0 ? 0 : 1);
	}
	close((int)ASSERT_OK(f->why, rooms_connect(child, &f->why)));
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(room);
}

/* Whether rooms_connect() finds that the room lets nobody in. */
static bool is_busy(pid_t pid, const char *room)
{
	struct why why = WHY_INIT;

	return rooms_connect(pid, &why) == -EIO && why.code == WHY_ROOM_SILENT && strstr(why.text, room);
}

TEST_F(one_that_lets_nobody_in_is_not_waited_for_without_end)
{
	int room = open_room_for(f, 17, 0), first, status;
	pid_t child;

	first = (int)ASSERT_OK(f->why, rooms_connect(17, &f->why));
	child = fork();
	if (child == 0)
		_exit(is_busy(0, "room 17") ? 0 : 1);
	assert_true(is_busy(17, "room 17"));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(first);
	close(room);
}

enum listening { IS_NO_ROOM, LISTENS_AS_ROOT, LISTENS };

#define STRANGER 12345

/* In the child that becomes the stranger: it keeps the socket. */
static bool listen_there(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 5) == 0;
}

/* Its environment can be read: not where it could not become another, nor where root is denied that. */
static bool can_see(pid_t child)
{
	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		siginfo_t gone = {0};
		char path[48], byte;
		ssize_t got;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/environ", child);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		got = fd < 0 ? -1 : read(fd, &byte, 1);
		if (fd >= 0)
			close(fd);
		waitid(P_PID, (id_t)child, &gone, WEXITED | WNOHANG | WNOWAIT);
		if (got != 0 || gone.si_pid == child)
			return got > 0;
		usleep(10000); /* it is in the middle of its execve() */
	}
	return false;
}

/* A process of another user, whose runtime directory is now that of the fixture; it waits for its end. */
static pid_t start_stranger(struct fixture *f, enum listening listening)
{
	char variable[96], *environment[] = {variable, NULL}, directory[96], byte;
	int started[2];
	pid_t child;

	snprintf(variable, sizeof(variable), "XDG_RUNTIME_DIR=%s", f->runtime);
	snprintf(directory, sizeof(directory), "%s/isolde", f->runtime);
	assert_int_equal(chown(f->runtime, STRANGER, STRANGER), 0);
	assert_int_equal(chown(directory, STRANGER, STRANGER), 0);
	assert_int_equal(pipe2(started, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		bool ready = listening != LISTENS_AS_ROOT || listen_there(path_of(f, getpid()));

		ready = ready && setgid(STRANGER) == 0 && setuid(STRANGER) == 0;
		end_with_the_test();
		if (ready && (listening != LISTENS || listen_there(path_of(f, getpid()))))
			execle("/bin/sleep", "sleep", "600", NULL, environment);
		_exit(1);
	}
	close(started[1]);
	assert_int_equal(read(started[0], &byte, 1), 0); /* it has begun */
	close(started[0]);
	if (!can_see(child)) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		skip();
	}
	return child;
}

static void end_stranger(pid_t child)
{
	int status;

	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

TEST_F(root_looks_into_the_rooms_of_others)
{
	pid_t child;

	if (geteuid() != 0)
		skip();
	child = start_stranger(f, LISTENS);
	setenv("XDG_RUNTIME_DIR", "/tmp/isolde-no-such-directory", 1);
	close((int)ASSERT_OK(f->why, rooms_connect(child, &f->why)));
	end_stranger(child);
	child = start_stranger(f, IS_NO_ROOM);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(child, &f->why));
	EXPECT_SUBSTR("of any user", f->why.text);
	end_stranger(child);
}

TEST_F(nobody_answers_for_a_process_of_another_user)
{
	int room;
	pid_t child;

	if (geteuid() != 0)
		skip();
	child = start_stranger(f, IS_NO_ROOM);
	setenv("XDG_RUNTIME_DIR", "/tmp/isolde-no-such-directory", 1);
	room = open_room(f, child);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(child, &f->why));
	close(room);
	end_stranger(child);
	child = start_stranger(f, LISTENS_AS_ROOT);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(child, &f->why));
	end_stranger(child);
}

TEST_F(a_directory_where_others_could_put_a_name_is_not_asked)
{
	char directory[96], elsewhere[96];
	pid_t child;

	if (geteuid() != 0)
		skip();
	child = start_stranger(f, LISTENS);
	setenv("XDG_RUNTIME_DIR", "/tmp/isolde-no-such-directory", 1);
	snprintf(directory, sizeof(directory), "%s/isolde", f->runtime);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", f->runtime);
	assert_int_equal(chmod(directory, 0777), 0);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(child, &f->why));
	assert_int_equal(chmod(directory, 0700), 0);
	assert_int_equal(chown(directory, STRANGER + 1, STRANGER), 0);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(child, &f->why));
	assert_int_equal(chown(directory, STRANGER, STRANGER), 0);
	assert_int_equal(rename(directory, elsewhere), 0);
	assert_int_equal(symlink("elsewhere", directory), 0);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(child, &f->why));
	assert_int_equal(unlink(directory), 0);
	assert_int_equal(rename(elsewhere, directory), 0);
	close((int)ASSERT_OK(f->why, rooms_connect(child, &f->why)));
	end_stranger(child);
}

/* Whoever is first in a directory that is open to all takes root's own place there. */
TEST_F(what_is_wrong_with_roots_directory_hides_no_room_of_others)
{
	pid_t child;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->runtime, 01777), 0);
	child = start_stranger(f, LISTENS);
	EXPECT_REFUSED(RUNTIME_DIRECTORY, f->why, rooms_connect(0, &f->why));
	close((int)ASSERT_OK(f->why, rooms_connect(child, &f->why)));
	EXPECT_REFUSED(RUNTIME_DIRECTORY, f->why, rooms_connect(getpid(), &f->why));
	end_stranger(child);
}

/* Asks a room that says this and hangs up. */
static int ask(struct fixture *f, const char *answer, json_t **ret)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[1], answer, strlen(answer)), strlen(answer));
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	if (rooms_ask(pair[0], 5, ret, &f->why) == 0) {
		char question[64] = "";

		assert_true(read(pair[1], question, sizeof(question) - 1) > 0);
		assert_string_equal(question, "isolde inspect 1 mappings 5\n");
	}
	close(pair[1]);
	return f->why.code == WHY_NONE ? 0 : -f->why.err;
}

TEST_F(an_answer_is_the_whole_document)
{
	json_t *document;

	ASSERT_OK(f->why, ask(f, "{\"format\":1}", &document));
	assert_int_equal(json_integer_value(json_object_get(document, "format")), 1);
	json_decref(document);
}

TEST_F(half_an_answer_is_none)
{
	json_t *document;
	int pair[2];

	EXPECT_REFUSED(ROOM_SILENT, f->why, ask(f, "", &document));
	EXPECT_REFUSED(ROOM_SILENT, f->why, ask(f, "{\"format\":1", &document));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	EXPECT_REFUSED(ROOM_SILENT, f->why, rooms_ask(pair[0], 0, &document, &f->why));
	EXPECT_SUBSTR("does not listen", f->why.text);
}

/* A room that begins an answer and goes on for 65 MiB. */
static void babble(int fd)
{
	static char blanks[1 << 20];

	memset(blanks, ' ', sizeof(blanks));
	send(fd, "[", 1, MSG_NOSIGNAL);
	for (unsigned i = 0; i < 65; i++)
		if (send(fd, blanks, sizeof(blanks), MSG_NOSIGNAL) < 0)
			return;
}

TEST_F(an_answer_without_end_is_none)
{
	json_t *document;
	int pair[2];
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	child = fork();
	if (child == 0) {
		close(pair[0]);
		babble(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	EXPECT_REFUSED(ROOM_SILENT, f->why, rooms_ask(pair[0], 0, &document, &f->why));
	EXPECT_SUBSTR("does not end", f->why.text);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

TEST_F(a_long_path_is_no_obstacle)
{
	char deep[256];
	int room;

	snprintf(deep, sizeof(deep), "%s/%0150d", f->runtime, 0);
	assert_int_equal(mkdir(deep, 0700), 0);
	setenv("XDG_RUNTIME_DIR", deep, 1);
	ASSERT_OK(f->why, rooms_new_path(f->path, &f->why));
	assert_true(strlen(f->path) > 108);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(0, &f->why));
	setenv("XDG_RUNTIME_DIR", f->runtime, 1);
	room = open_room(f, 17);
	close((int)ASSERT_OK(f->why, rooms_connect(0, &f->why)));
	close(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(its_name_is_that_of_this_process),
		CASE_F(the_only_one_needs_no_name),
		CASE_F(none_is_refused),
		CASE_F(of_several_one_must_be_named),
		CASE_F(what_killed_ones_left_is_removed),
		CASE_F(any_number_of_killed_ones_hides_none),
		CASE_F(any_process_of_a_room_will_do),
		CASE_F(one_that_lets_nobody_in_is_not_waited_for_without_end),
		CASE_F(root_looks_into_the_rooms_of_others),
		CASE_F(nobody_answers_for_a_process_of_another_user),
		CASE_F(a_directory_where_others_could_put_a_name_is_not_asked),
		CASE_F(what_is_wrong_with_roots_directory_hides_no_room_of_others),
		CASE_F(an_answer_is_the_whole_document),
		CASE_F(half_an_answer_is_none),
		CASE_F(an_answer_without_end_is_none),
		CASE_F(a_long_path_is_no_obstacle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
