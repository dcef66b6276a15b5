/* SPDX-License-Identifier: MIT */
/* Which room `isolde inspect` means. The rooms are sockets that only listen. */
#include "cli/rooms.h"

#include "tests/fixtures/holder.h"
#include "tests/fixtures/patience.h"
#include "tests/helpers.h"

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

/* A room of that pid; closing it leaves the name, as SIGKILL does. */
static int open_room(struct fixture *f, pid_t room)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path_of(f, room));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
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

/* A process of another user, with that directory as its own; it waits for its end. */
static pid_t start_stranger(char *directory)
{
	char variable[96], *environment[] = {variable, NULL}, byte;
	int started[2];
	pid_t child;

	snprintf(variable, sizeof(variable), "XDG_RUNTIME_DIR=%s", directory);
	assert_int_equal(pipe2(started, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		if (setgid(12345) == 0 && setuid(12345) == 0) {
			end_with_the_test();
			execle("/bin/sleep", "sleep", "600", NULL, environment);
		}
		_exit(1);
	}
	close(started[1]);
	assert_int_equal(read(started[0], &byte, 1), 0); /* it has begun */
	close(started[0]);
	return child;
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

TEST_F(root_looks_into_the_rooms_of_others)
{
	int room;
	pid_t child;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->runtime, 12345, 12345), 0);
	child = start_stranger(f->runtime);
	if (!can_see(child)) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		skip();
	}
	setenv("XDG_RUNTIME_DIR", "/tmp/isolde-no-such-directory", 1);
	EXPECT_REFUSED(ROOM_MISSING, f->why, rooms_connect(child, &f->why));
	room = open_room(f, child);
	close((int)ASSERT_OK(f->why, rooms_connect(child, &f->why)));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(room);
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
		CASE_F(root_looks_into_the_rooms_of_others),
		CASE_F(an_answer_is_the_whole_document),
		CASE_F(half_an_answer_is_none),
		CASE_F(a_long_path_is_no_obstacle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
