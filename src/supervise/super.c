/* SPDX-License-Identifier: MIT */
/*
 * The life of a room: spawn the program, serve it until it ends, end what it left behind. One event loop answers
 * trapped calls, notices closed files, ended processes and signals. The order at the end matters: processes first, then
 * their files, then the tree, because a process may still be inside the tree.
 */
#include "supervise/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "supervise/failnth.h"
#include "supervise/fuse.h"
#include "supervise/inherited.h"
#include "supervise/inspector.h"
#include "supervise/notify.h"
#include "supervise/room.h"
#include "supervise/say.h"
#include "supervise/serve.h"
#include "supervise/spawn.h"
#include "supervise/tracer.h"

struct room {
	struct machine *machine; /* borrowed */
	struct spawned program;
	int status; /* of the program; -1 while it runs */
	int epoll, signals, listener;
	unsigned requests_to_end;    /* SIGTERM from outside */
	struct inherited *inherited; /* borrowed */
	struct tree_server *tree;
	struct file_server *files;
	struct tracees tracees;
	struct failures failures; /* if the machine tests itself */
	struct notifier notifier;
	struct inspector *inspector; /* NULL: nobody can ask */
	struct say say;
	bool listening; /* the listener has processes left */
};

static int watch(struct room *room, int fd, struct why *why)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(room->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return refuse_host(why, errno, "epoll_ctl");
	return 0;
}

/*
 * Whatever would end us by default becomes an event: without us the program's calls find nobody. Not what our own
 * faults raise, not the signal that kicks the tracer, and job control stops us with the program.
 */
static void choose_signals(sigset_t *ret)
{
	static const int taken[] = {SIGCHLD, SIGTERM,	SIGHUP,	 SIGINT, SIGQUIT, SIGUSR1,  SIGUSR2,
				    SIGALRM, SIGVTALRM, SIGPROF, SIGIO,	 SIGPWR,  SIGSTKFLT};

	sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(ret, taken[i]);
	for (int number = SIGRTMIN; number < SIGRTMAX; number++)
		sigaddset(ret, number);
}

static int take_signals(struct room *room, struct why *why)
{
	sigset_t mask;

	choose_signals(&mask);
	inherited_block(room->inherited, &mask);
	room->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (room->signals < 0)
		return refuse_host(why, errno, "signalfd");
	/* Grandchildren whose parents end become ours, so that we know when the room is empty. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return 0;
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void reap(struct room *room)
{
	int status;
	pid_t pid;

	/* It does, and must not be robbed of the stops it waits for. */
	if (room->notifier.tracer)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == room->program.pid)
			room->status = status_of(status);
}

/* Rounds of 20 ms that those that are killed get, before they are answered no more. */
enum { PATIENT_ROUNDS = 50 };

/* What it has sent to us, it has sent to its process group: to the program as well. */
static bool is_in_room(pid_t process)
{
	pid_t self = getpid();

	while (process > 1 && process != self) {
		char text[OS_STATUS_TEXT];

		os_task_status(process, text);
		process = (pid_t)os_status_number(text, "PPid", 10);
	}
	return process == self;
}

/* The terminal's own signals reach the program directly. */
static bool is_for_program(const struct signalfd_siginfo *info)
{
	bool sent = info->ssi_code <= 0;

	if (!sent)
		return info->ssi_signo != SIGINT && info->ssi_signo != SIGQUIT;
	return !is_in_room((pid_t)info->ssi_pid);
}

/*
 * A program that unbinds a device it has open itself waits for ever, as on Linux, where no signal helps. Here the
 * second request to end does: the host answers for us, and the program takes its signals.
 */
static void pass_on(struct room *room, int number)
{
	if (room->status >= 0)
		return; /* its number may be somebody else's by now */
	kill(room->program.pid, number);
	if (number == SIGTERM && ++room->requests_to_end > 1 && tree_server_serves(room->tree, room->program.pid))
		tree_server_abort(room->tree);
}

static void on_signal(struct room *room)
{
	struct signalfd_siginfo info;

	while (read(room->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(room);
		else if (is_for_program(&info))
			pass_on(room, (int)info.ssi_signo);
	}
}

static void on_program_end(struct room *room)
{
	os_eventfd_consume(tracer_events(room->notifier.tracer));
	room->status = status_of(tracer_status(room->notifier.tracer));
}

static void on_event(struct room *room, const struct epoll_event *event)
{
	int fd = event->data.fd;

	if (fd == room->listener) {
		if (!(event->events & EPOLLIN) || !notify_handle(&room->notifier)) {
			epoll_ctl(room->epoll, EPOLL_CTL_DEL, room->listener, NULL);
			room->listening = false;
		}
	} else if (fd == stand_in_events(room->notifier.stand_in)) {
		notify_handle_kept(&room->notifier);
	} else if (fd == room->signals) {
		on_signal(room);
	} else if (fd == machine_close_events(room->machine)) {
		machine_handle_closes(room->machine);
	} else if (room->inspector && fd == inspector_events(room->inspector)) {
		inspector_handle(room->inspector);
	} else if (room->notifier.tracer && fd == tracer_events(room->notifier.tracer)) {
		on_program_end(room);
	} else {
		tracee_ended(&room->tracees, fd);
	}
}

/*
 * One round of events; false when timeout_ms passed without any. A trapped call comes last: what its process knows has
 * happened, the end of a child above all, is then known here, too.
 */
static bool turn(struct room *room, int timeout_ms)
{
	struct epoll_event events[64];
	int count = epoll_wait(room->epoll, events, ARRAY_SIZE(events), timeout_ms);

	stand_in_busy(room->notifier.stand_in);
	/* What a call's program has closed before counts. */
	kvm_sweep(&room->notifier.kvm);
	for (int i = 0; i < count; i++)
		if (events[i].data.fd != room->listener)
			on_event(room, &events[i]);
	for (int i = 0; i < count; i++)
		if (events[i].data.fd == room->listener)
			on_event(room, &events[i]);
	stand_in_idle(room->notifier.stand_in);
	return count != 0;
}

static struct failures *failures_of(struct room *room)
{
	return room->machine->description->selftest ? &room->failures : NULL;
}

static int start_servers(struct room *room, struct why *why)
{
	int root, err, fd = spawn_receive(&room->program, why);

	if (fd < 0)
		return fd;
	err = tree_server_start(room->machine, fd, &room->tree, why);
	if (err < 0)
		return err;
	fd = spawn_receive(&room->program, why);
	if (fd < 0)
		return fd;
	root = spawn_receive(&room->program, why);
	if (root < 0) {
		close(fd);
		return root;
	}
	return file_server_start(room->machine, failures_of(room), fd, root, &room->files, why);
}

/* A room that nobody can look into is better than none. */
static int start_inspector(struct room *room, const struct run_options *options, struct why *why)
{
	if (!options->inspect_path)
		return 0;
	if (inspector_start(options->inspect_path, &room->tracees, options->argv, room->program.pid, &room->inspector,
			    why) == 0)
		return watch(room, inspector_events(room->inspector), why);
	if (!room->say.quiet)
		fprintf(stderr, "isolde: `isolde inspect` cannot look into this room: %s\n", why->text);
	why_clear(why);
	return 0;
}

static int start(struct room *room, const struct run_options *options, struct why *why)
{
	int err = room_check_proc(why);

	if (err == 0)
		err = take_signals(room, why);
	if (err == 0)
		err = spawn(room->machine->root, options->argv, room->inherited, &room->program, why);
	if (err < 0)
		return err;
	err = start_servers(room, why);
	if (err < 0)
		return err;
	spawn_continue(&room->program);
	room->listener = spawn_receive(&room->program, why);
	if (room->listener < 0)
		return room->listener;
	err = stand_in_start(room->listener, notify_lets_go, &room->notifier.stand_in, why);
	if (err < 0) {
		close_descriptor(&room->listener);
		return err;
	}
	room->listening = true;
	notify_tune(room->listener);
	tracees_init(&room->tracees, room->machine, room->files, room->listener, room->epoll);
	room->tracees.failures = failures_of(room);
	room->notifier.tracees = &room->tracees;
	room->notifier.listener = room->listener;
	room->notifier.program = room->program.pid;
	err = watch(room, room->listener, why);
	if (err == 0)
		err = watch(room, stand_in_events(room->notifier.stand_in), why);
	if (err == 0)
		err = watch(room, room->signals, why);
	if (err == 0)
		err = watch(room, machine_close_events(room->machine), why);
	return err < 0 ? err : start_inspector(room, options, why);
}

/* Our children that still run, adopted ones included; each is killed. */
static unsigned kill_children(void)
{
	char path[64];
	unsigned count = 0;
	int pid;
	FILE *children;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	children = fopen(path, "re");
	if (!children)
		return 0;
	while (fscanf(children, "%d", &pid) == 1) {
		count++;
		kill(pid, SIGKILL);
	}
	fclose(children);
	return count;
}

/*
 * The program has ended. What it left running would find nobody to answer its calls: it ends too. Killing a parent
 * gives us its children, so this goes on until there are none. One that unbinds a device it has open itself waits for
 * its own end, and the host for the answer to its write: so after a while there are no answers any more.
 */
static void end_leftovers(struct room *room)
{
	unsigned ended = 0;

	for (unsigned round = 0; round < 1000; round++) {
		unsigned found = kill_children();

		if (!found)
			break;
		if (round == PATIENT_ROUNDS)
			tree_server_abort(room->tree);
		ended += found;
		turn(room, 20);
		reap(room);
	}
	if (ended && !room->say.quiet)
		fprintf(stderr, "isolde: the program left processes behind in the room; they were ended\n");
}

/* Nobody tells when a device of KVM is closed; until then our files that it was given are held. */
static int patience_ms(struct room *room)
{
	return kvm_sweep(&room->notifier.kvm) ? 1000 : -1;
}

/* The closes of dead processes are on their way; the devices must be free when the room is left. */
static void drain(struct room *room)
{
	while (turn(room, 0))
		;
	kvm_fini(&room->notifier.kvm);
	machine_handle_closes(room->machine);
	inspector_stop(room->inspector);
	room->inspector = NULL;
	tracees_fini(&room->tracees);
	/* Whatever the programs did, and however they ended, the machine must be sound. */
	machine_check(room->machine);
}

static void finish(struct room *room)
{
	if (room->program.pid > 0 && room->status < 0) {
		kill(room->program.pid, SIGKILL);
		waitpid(room->program.pid, NULL, 0);
	}
	tracer_stop(take(room->notifier.tracer));
	if (room->listener >= 0)
		drain(room);
	stand_in_stop(take(room->notifier.stand_in));
	/* From here on a signal ends us: nothing is left that it could be passed to. */
	if (room->signals >= 0) {
		close(room->signals);
		inherited_restore(room->inherited);
	}
	tree_server_stop(room->tree);
	file_server_stop(room->files);
	close_descriptor(&room->listener);
	close_descriptor(&room->program.socket);
}

int supervise_run(struct machine *machine, const struct run_options *options, struct why *why)
{
	struct room room = {.machine = machine,
			    .inherited = options->inherited,
			    .status = -1,
			    .signals = -1,
			    .listener = -1,
			    .program = {.socket = -1}};
	int err = say_init(&room.say, options->quiet, options->json, options->journal_path, why);

	if (err < 0)
		return err;
	failures_init(&room.failures);
	kvm_init(&room.notifier.kvm);
	room.epoll = epoll_create1(EPOLL_CLOEXEC);
	machine->journal.listener_context = &room.say;
	machine->journal.listener = say_entry;
	err = start(&room, options, why);
	while (err == 0 && room.status < 0)
		turn(&room, patience_ms(&room));
	if (err == 0)
		end_leftovers(&room);
	finish(&room);
	machine->journal.listener = NULL;
	close(room.epoll);
	kvm_fini(&room.notifier.kvm);
	failures_fini(&room.failures);
	say_fini(&room.say);
	return err < 0 ? err : room.status;
}
