/* SPDX-License-Identifier: MIT */
/* The room's side of `isolde inspect`, with peers that behave and peers that do not. The test is the loop. */
#include "supervise/inspector.h"

#include "tests/fixtures/patience.h"
#include "tests/helpers.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/os.h"

struct fixture {
	struct machine *machine;
	struct tracees tracees;
	struct inspector *inspector;
	char directory[32], path[48];
	struct why why;
};

static char *const words[] = {(char *)"program", (char *)"word", NULL};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct description *description;

	strcpy(f->directory, "/tmp/isolde-inspect.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/room", f->directory);
	ASSERT_OK(f->why, description_load("default", &description, &f->why));
	ASSERT_OK(f->why, machine_new(description, &f->machine, &f->why));
	tracees_init(&f->tracees, f->machine, NULL, -1, -1);
	ASSERT_OK(f->why, inspector_start(f->path, &f->tracees, words, 42, &f->inspector, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	inspector_stop(f->inspector);
	assert_int_equal(access(f->path, F_OK), -1);
	rmdir(f->directory);
	machine_free(f->machine);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void inspector_##name##_body(struct fixture *f);                                                        \
	static void inspector_##name(void **state)                                                                     \
	{                                                                                                              \
		inspector_##name##_body(*state);                                                                       \
	}                                                                                                              \
	static void inspector_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(inspector_##name, setup, teardown)

static int peer(struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Lets the room do what it has to for so long, at most. */
static void turn(struct fixture *f, int timeout_ms)
{
	struct pollfd events = {.fd = inspector_events(f->inspector), .events = POLLIN};

	while (poll(&events, 1, timeout_ms) > 0)
		inspector_handle(f->inspector);
}

/* All that the room sends until it closes; it is slow to take, so the room cannot send it at once. */
static char *answer(struct fixture *f, int fd)
{
	static char text[1 << 22];
	size_t used = 0;
	ssize_t got;

	for (;;) {
		turn(f, 0);
		got = recv(fd, text + used, min_u64(sizeof(text) - 1 - used, 1000), MSG_DONTWAIT);
		if (got == 0)
			break;
		if (got > 0)
			used += (size_t)got;
		else
			assert_int_equal(errno, EAGAIN);
	}
	text[used] = '\0';
	return text;
}

static bool is_closed(struct fixture *f, int fd)
{
	char byte;

	turn(f, 0);
	errno = 0;
	/* A reset: there was something it did not read. */
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

static void a_question_again(struct fixture *f)
{
	int fd = peer(f);

	say(fd, "isolde inspect 1 mappings 0\n");
	assert_int_equal(answer(f, fd)[0], '{');
	close(fd);
}

TEST_F(a_question_gets_the_whole_room)
{
	int fd = peer(f);
	json_t *room, *group;

	say(fd, "isolde inspect 1 mappings 0\n");
	room = json_loads(answer(f, fd), 0, NULL);
	assert_non_null(room);
	assert_int_equal(json_integer_value(json_object_get(room, "format")), 1);
	assert_string_equal(json_string_value(json_object_get(room, "machine")), "default");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(room, "program"), "pid")), 42);
	group = json_array_get(json_object_get(room, "groups"), 2);
	assert_int_equal(json_integer_value(json_object_get(group, "id")), 2);
	EXPECT_SUBSTR("xhci_hcd", json_string_value(json_object_get(group, "owner")));
	assert_true(json_is_array(json_object_get(room, "contexts")));
	json_decref(room);
	close(fd);
}

TEST_F(it_may_come_in_pieces)
{
	int fd = peer(f);

	say(fd, "isolde ins");
	turn(f, 20);
	say(fd, "pect 1 mappings 5\n");
	assert_int_equal(answer(f, fd)[0], '{');
	close(fd);
}

TEST_F(nonsense_is_hung_up_on)
{
	static const char *const nonsense[] = {
		"GET / HTTP/1.1\r\n",
		"\n",
		"isolde inspect 2 mappings 0\n",
		"isolde inspect 1 mappings x\n",
		"isolde inspect 1 mappings 0 and more\n",
		"isolde inspect 1 mappings 00000000000000000000000000000000000000000000000000000000000000",
	};

	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		int fd = peer(f);

		say(fd, nonsense[i]);
		turn(f, 20);
		assert_true(is_closed(f, fd));
		close(fd);
	}
}

TEST_F(who_goes_away_is_forgotten)
{
	for (int i = 0; i < 30; i++) {
		int fd = peer(f);

		if (i % 2)
			say(fd, "isolde inspect 1 mappings 0\n");
		close(fd);
		turn(f, 0);
	}
	close(peer(f));
	a_question_again(f);
}

/* A room whose answer is more than a socket takes at once. */
static void become_talkative(struct fixture *f)
{
	static char word[1 << 20];
	static char *many[] = {word, NULL};

	memset(word, 'w', sizeof(word) - 1);
	inspector_stop(f->inspector);
	ASSERT_OK(f->why, inspector_start(f->path, &f->tracees, many, 42, &f->inspector, &f->why));
}

/* Without taking what it was sent. */
static bool is_dropped(int fd)
{
	struct pollfd end_of = {.fd = fd, .events = POLLRDHUP};

	return poll(&end_of, 1, 0) == 1;
}

static bool comes_to_be_dropped(struct fixture *f, int fd)
{
	for (int i = 0; i < PATIENCE_MS / 100 && !is_dropped(fd); i++)
		turn(f, 100);
	return is_dropped(fd);
}

TEST_F(who_stalls_is_dropped_and_keeps_nobody_waiting)
{
	int silent, deaf, good;
	bool dropped;
	u64 began;

	become_talkative(f);
	began = os_clock_ns();
	silent = peer(f);
	deaf = peer(f);
	say(deaf, "isolde inspect 1 mappings 0\n");
	turn(f, 20);
	good = peer(f);
	say(good, "isolde inspect 1 mappings 0\n");
	assert_int_equal(answer(f, good)[0], '{');
	dropped = is_dropped(silent) || is_dropped(deaf);
	/* They have three seconds. On a slow host these have gone by, and there is nothing to say. */
	if (os_clock_ns() - began < 2000000000)
		assert_false(dropped);
	assert_true(comes_to_be_dropped(f, silent));
	assert_true(comes_to_be_dropped(f, deaf));
	close(silent);
	close(deaf);
	close(good);
}

/* More than there is room for: those that are too many are sent away, the others are served. */
TEST_F(a_crowd_is_served_as_far_as_there_is_room)
{
	unsigned served = 0;
	int fds[20];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = peer(f);
		turn(f, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		send(fds[i], "isolde inspect 1 mappings 0\n", 28, MSG_NOSIGNAL);
		served += answer(f, fds[i])[0] == '{';
		close(fds[i]);
	}
	assert_in_range(served, 8, ARRAY_SIZE(fds));
	a_question_again(f);
}

TEST_F(only_we_may_ask)
{
	struct stat status;

	assert_int_equal(stat(f->path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 0777, 0600);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_int_equal(chmod(f->directory, 0755), 0);
	{
		pid_t child = fork();
		int status_of_child;

		if (child == 0) {
			if (setuid(65534) < 0)
				_exit(2);
			say(peer(f), "isolde inspect 1 mappings 0\n");
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status_of_child, 0), child);
		assert_int_equal(status_of_child, 0);
	}
	turn(f, 20);
	a_question_again(f);
}

TEST_F(a_name_left_by_a_killed_run_is_no_obstacle)
{
	struct inspector *second;

	/* Nobody but a run of the same pid has that name. */
	ASSERT_OK(f->why, inspector_start(f->path, &f->tracees, words, 42, &second, &f->why));
	inspector_stop(f->inspector);
	f->inspector = second;
	assert_int_equal(access(f->path, F_OK), -1);
}

TEST_F(a_place_that_is_not_there_is_refused)
{
	struct inspector *other;

	EXPECT_REFUSED(HOST_FAILED, f->why,
		       inspector_start("/nowhere/at/all", &f->tracees, words, 42, &other, &f->why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(a_question_gets_the_whole_room),
		CASE_F(it_may_come_in_pieces),
		CASE_F(nonsense_is_hung_up_on),
		CASE_F(who_goes_away_is_forgotten),
		CASE_F(who_stalls_is_dropped_and_keeps_nobody_waiting),
		CASE_F(a_crowd_is_served_as_far_as_there_is_room),
		CASE_F(only_we_may_ask),
		CASE_F(a_name_left_by_a_killed_run_is_no_obstacle),
		CASE_F(a_place_that_is_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
