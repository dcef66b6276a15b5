/* SPDX-License-Identifier: MIT */
/*
 * Who is traced: every thread of a process that has mapped a precise page, and of its children until they execve(). A
 * process is never stopped for longer than a request takes, and sees nothing of it: signals are passed on as they are,
 * stops of job control take effect (PTRACE_SEIZE, PTRACE_LISTEN), waits of its parent report what they would. A
 * thread is let go before it ends, so that its parent finds what it left at once: who polls a pidfd does not wait for a
 * tracer. Should the supervisor die, the kernel lets all of them go, and an access to a precise page is a plain SIGBUS.
 */
#include "supervise/tracing.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"
#include "mem/vma.h"
#include "supervise/stranger.h"
#include "supervise/tracee.h"

#define KICK SIGRTMAX /* takes the tracer out of its wait */

#define AWAKE_NS 100000

#define SEIZE_OPTIONS                                                                                                  \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | \
	 PTRACE_O_TRACEEXIT)

#define SYSCALL_STOP (SIGTRAP | 0x80)

/* What another thread wants; it waits. */
struct question {
	struct injection *injection; /* taken if all went well */
	struct why *why;
	int err;
	bool answered;
};

/* ---- who is traced ---- */

static struct traced *find_thread(struct tracer *tracer, pid_t id)
{
	struct traced *thread;

	list_for_each(thread, &tracer->threads, link)
		if (thread->id == id)
			return thread;
	return NULL;
}

static struct traced_process *find_process(struct tracer *tracer, pid_t pid)
{
	struct traced_process *process;

	list_for_each(process, &tracer->processes, link)
		if (process->client->pid == pid)
			return process;
	return NULL;
}

static struct traced_process *process_get(struct tracer *tracer, pid_t thread, struct why *why)
{
	pid_t pid = process_of_thread(thread);
	struct traced_process *process = find_process(tracer, pid);

	if (process)
		return process;
	process = alloc_new(struct traced_process, why);
	if (!process)
		return NULL;
	process->client = stranger_new(pid);
	if (!process->client) {
		free(process);
		return NULL;
	}
	vma_open_by(process->client, thread);
	list_append(&tracer->processes, &process->link);
	return process;
}

static void process_put(struct traced_process *process)
{
	if (--process->threads)
		return;
	list_remove(&process->link);
	client_put(process->client);
	free(process);
}

static struct traced *thread_new(struct tracer *tracer, pid_t id, struct why *why)
{
	struct traced *thread = alloc_new(struct traced, why);

	if (!thread)
		return NULL;
	thread->id = id;
	thread->process = process_get(tracer, id, why);
	if (!thread->process) {
		free(thread);
		return NULL;
	}
	thread->process->threads++;
	list_prepend(&tracer->threads, &thread->link);
	return thread;
}

static void drop_injection(struct tracer *tracer, struct injection *injection)
{
	if (!injection)
		return;
	mutex_lock(&tracer->lock);
	list_remove(&injection->link);
	mutex_unlock(&tracer->lock);
	free(injection);
}

void trace_injected(struct tracer *tracer, struct traced *thread)
{
	drop_injection(tracer, take(thread->injection));
}

static void thread_free(struct tracer *tracer, struct traced *thread)
{
	drop_injection(tracer, thread->injection);
	list_remove(&thread->link);
	process_put(thread->process);
	free(thread);
}

void trace_resume(const struct traced *thread, int request, int signal)
{
	ptrace((enum __ptrace_request)request, thread->id, NULL, (void *)(uintptr_t)signal);
}

/* ---- seizing ---- */

struct thread_state {
	char state; /* 'R', 'Z', ...; 0: it is gone */
	pid_t tracer;
};

static struct thread_state state_of(pid_t id)
{
	char text[OS_STATUS_TEXT];

	os_task_status(id, text);
	return (struct thread_state){.state = *os_status_value(text, "State"),
				     .tracer = (pid_t)os_status_number(text, "TracerPid", 10)};
}

static int refuse_traced(pid_t id, int err, const struct thread_state *state, struct why *why)
{
	char text[OS_STATUS_TEXT];
	const char *name;

	if (!state->tracer)
		return refuse(why, PAGE_TRACED, "the host does not let isolde trace thread %d: %s", id, strerror(err));
	os_task_status(state->tracer, text);
	name = os_status_value(text, "Name");
	return refuse(why, PAGE_TRACED, "thread %d is traced by process %d (%.*s) already, and a thread has one tracer",
		      id, process_of_thread(state->tracer), (int)strcspn(name, "\n"), name);
}

static int seize_thread(struct tracer *tracer, pid_t id, struct why *why)
{
	struct thread_state state;
	int err;

	if (find_thread(tracer, id))
		return 0;
	if (ptrace(PTRACE_SEIZE, id, NULL, (void *)(uintptr_t)SEIZE_OPTIONS) < 0) {
		err = errno;
		state = state_of(id);
		if (err == ESRCH || !state.state || strchr("ZX", state.state))
			return 0;
		/* Ours from its birth: its first stop has not been reported yet. */
		if (state.tracer != tracer->id)
			return refuse_traced(id, err, &state, why);
	}
	return thread_new(tracer, id, why) ? 0 : -why->err;
}

/* One look at the threads of a process; *ret_new tells whether one was new, whose own threads may have come since. */
static int seize_listed(struct tracer *tracer, DIR *tasks, bool *ret_new, struct why *why)
{
	const struct dirent *entry;
	int err = 0;

	*ret_new = false;
	rewinddir(tasks);
	while (err == 0 && (entry = readdir(tasks))) {
		pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

		if (id <= 0 || find_thread(tracer, id))
			continue;
		err = seize_thread(tracer, id, why);
		*ret_new |= find_thread(tracer, id) != NULL;
	}
	return err;
}

static int seize_process(struct tracer *tracer, pid_t thread, struct why *why)
{
	char path[40];
	bool more = true;
	DIR *tasks;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", thread);
	tasks = opendir(path);
	if (!tasks)
		return refuse_host(why, errno, "opendir(%s)", path);
	while (err == 0 && more)
		err = seize_listed(tracer, tasks, &more, why);
	closedir(tasks);
	return err;
}

static bool has_pages(const struct traced_process *process)
{
	return vma_has_offsets(process->client, FILE_ALIAS_MIN, FILE_ALIAS_MAX);
}

/* ---- questions of others ---- */

/* Detaching takes a stop. */
static void set_leaving(struct tracer *tracer, const struct traced_process *process, bool leaving)
{
	struct traced *thread;

	list_for_each(thread, &tracer->threads, link)
		if (thread->process == process && !thread->injection)
			thread->leaving = leaving && ptrace(PTRACE_INTERRUPT, thread->id, NULL, NULL) == 0;
}

/* Who has no page of ours is not to be kept from a debugger. */
static int take_mapping(struct tracer *tracer, struct injection *injection, struct why *why)
{
	int err = seize_process(tracer, injection->thread, why);
	struct traced *thread = find_thread(tracer, injection->thread);
	struct traced_process *process = find_process(tracer, process_of_thread(injection->thread));

	/* Also where it is the caller that we have not got. */
	if (process)
		set_leaving(tracer, process, err < 0 && !has_pages(process));
	if (err < 0)
		return err;
	/* Its call waits for an answer; the stop comes when it has returned. */
	if (!thread || thread->injection || ptrace(PTRACE_INTERRUPT, thread->id, NULL, NULL) < 0)
		return refuse(why, FILE_CLOSED, "thread %d has ended", injection->thread);
	thread->injection = injection;
	return 0;
}

static void answer(struct tracer *tracer)
{
	struct question *question = tracer->question;

	if (!question)
		return;
	tracer->question = NULL;
	list_append(&tracer->injections, &question->injection->link);
	mutex_unlock(&tracer->lock);
	question->err = take_mapping(tracer, question->injection, question->why);
	mutex_lock(&tracer->lock);
	if (question->err < 0)
		list_remove(&question->injection->link);
	question->answered = true;
	pthread_cond_broadcast(&tracer->changed);
}

/* The lock is held. A kick that comes just before the wait begins is lost: so until it has worked, again and again. */
static void kick_until(struct tracer *tracer, const bool *done)
{
	while (!*done) {
		if (tracer->ready)
			pthread_kill(tracer->thread, KICK);
		pthread_cond_broadcast(&tracer->changed);
		mutex_wait_ms(&tracer->lock, &tracer->changed, 1);
	}
}

int tracer_expect(struct tracer *tracer, pid_t thread, const struct tracer_mapping *mapping, struct why *why)
{
	_memory_ struct injection *injection = alloc_new(struct injection, why);
	struct question question = {.injection = injection, .why = why};

	if (!injection)
		return -why->err;
	injection->thread = thread;
	injection->mapping = *mapping;
	mutex_lock(&tracer->lock);
	tracer->question = &question;
	kick_until(tracer, &question.answered);
	mutex_unlock(&tracer->lock);
	if (question.err == 0)
		take(injection);
	return question.err;
}

bool tracer_injects(struct tracer *tracer, pid_t thread)
{
	const struct injection *injection;
	bool found = false;

	if (!tracer)
		return false;
	mutex_lock(&tracer->lock);
	list_for_each(injection, &tracer->injections, link)
		found |= injection->thread == thread;
	mutex_unlock(&tracer->lock);
	return found;
}

/* ---- stops ---- */

/* What the process was is gone with its mappings; what it becomes is none of our business. */
static void on_exec(struct tracer *tracer, struct traced *execing)
{
	const struct traced_process *process = execing->process;
	struct traced *thread, *following;

	ptrace(PTRACE_DETACH, execing->id, NULL, NULL);
	/* The last of them takes the process along. */
	list_for_each_safe(thread, following, &tracer->threads, link)
		if (thread != execing && thread->process == process)
			thread_free(tracer, thread);
	thread_free(tracer, execing);
}

static void let_go(struct tracer *tracer, struct traced *thread)
{
	ptrace(PTRACE_DETACH, thread->id, NULL, NULL);
	thread_free(tracer, thread);
}

/* A process of one thread that has no such page any more, or never had, needs no tracer. */
static bool is_free(const struct traced *thread)
{
	return thread->process->threads == 1 && !thread->injection && !has_pages(thread->process);
}

static bool is_stop_signal(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/* A stop of job control, the first stop of a new thread, the end of a stop, or the one that we have asked for. */
static void on_event_stop(struct tracer *tracer, struct traced *thread, int signal)
{
	struct injection *injection = thread->injection;

	if (thread->leaving && !injection) {
		let_go(tracer, thread);
	} else if (injection && injection->phase == AWAIT_RETURN) {
		inject_begin(tracer, thread, signal);
	} else if (injection) {
		thread->stopped |= is_stop_signal(signal);
		trace_resume(thread, PTRACE_SYSCALL, 0);
	} else if (!thread->known && is_free(thread)) {
		let_go(tracer, thread);
	} else {
		thread->known = true;
		trace_resume(thread, is_stop_signal(signal) ? PTRACE_LISTEN : PTRACE_CONT, 0);
	}
}

static void on_stop(struct tracer *tracer, struct traced *thread, int status)
{
	int event = status >> 16, signal = WSTOPSIG(status);

	if (event == PTRACE_EVENT_STOP)
		on_event_stop(tracer, thread, signal);
	else if (event == PTRACE_EVENT_EXEC)
		on_exec(tracer, thread);
	else if (event == PTRACE_EVENT_EXIT ||
		 ((event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) && is_free(thread)))
		let_go(tracer, thread);
	else if (signal == SYSCALL_STOP && thread->injection)
		inject_continue(tracer, thread);
	else if (event || signal == SYSCALL_STOP)
		trace_resume(thread, PTRACE_CONT, 0);
	else if (thread->injection)
		trace_resume(thread, PTRACE_SYSCALL, signal);
	else
		fault_signal(tracer, thread, signal);
}

static void on_end(struct tracer *tracer, pid_t id, int status)
{
	struct traced *thread = find_thread(tracer, id);

	if (thread)
		thread_free(tracer, thread);
	if (id != tracer->program)
		return;
	atomic_store(&tracer->status, status);
	os_eventfd_signal(tracer->events);
}

static void on_wait(struct tracer *tracer, pid_t id, int status)
{

	struct traced *thread;
	struct why why;

	if (!WIFSTOPPED(status)) {
		on_end(tracer, id, status);
		return;
	}
	thread = find_thread(tracer, id);
	if (!thread)
		thread = thread_new(tracer, id, &why);
	if (thread)
		on_stop(tracer, thread, status);
	else /* No memory: it goes on alone, and its accesses will be SIGBUS. */
		ptrace(PTRACE_DETACH, id, NULL, NULL);
}

/* ---- the thread ---- */

static void on_kick(int signal)
{
}

static void prepare_thread(struct tracer *tracer)
{
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, KICK);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	mutex_lock(&tracer->lock);
	tracer->id = gettid();
	tracer->ready = true;
	mutex_unlock(&tracer->lock);
}

/* Answers, and says whether to go on. Without a process to wait for, sleeps until there may be one. */
static bool look_around(struct tracer *tracer, bool empty)
{
	bool stopping;

	mutex_lock(&tracer->lock);
	if (empty && !tracer->stopping && !tracer->question)
		mutex_wait_ms(&tracer->lock, &tracer->changed, 1000);
	answer(tracer);
	stopping = tracer->stopping;
	mutex_unlock(&tracer->lock);
	return !stopping;
}

/*
 * The next stop. A driver that touches a precise page is likely to touch one again at once, and a virtual processor
 * that has gone to sleep takes tens of microseconds to wake up: so this thread stays awake for a moment.
 */
static pid_t await_stop(int *ret_status)
{
	pid_t id = 0;

	for (u64 since = os_clock_ns(); id == 0 && os_clock_ns() - since < AWAKE_NS; os_yield())
		id = waitpid(-1, ret_status, __WALL | WNOHANG);
	return id ? id : waitpid(-1, ret_status, __WALL);
}

static void *trace(void *argument)
{
	struct tracer *tracer = argument;
	bool empty = false;
	int status;
	pid_t id;

	prepare_thread(tracer);
	while (look_around(tracer, empty)) {
		id = await_stop(&status);
		empty = id < 0 && errno == ECHILD;
		if (id > 0)
			on_wait(tracer, id, status);
	}
	mutex_lock(&tracer->lock);
	tracer->finished = true;
	pthread_cond_broadcast(&tracer->changed);
	mutex_unlock(&tracer->lock);
	return NULL;
}

/* ---- start and end ---- */

static void free_tracer(struct tracer *tracer)
{
	struct traced *thread, *following;

	list_for_each_safe(thread, following, &tracer->threads, link)
		thread_free(tracer, thread);
	os_close(tracer->events);
	pthread_cond_destroy(&tracer->changed);
	mutex_fini(&tracer->lock);
	free(tracer);
}

int tracer_start(struct machine *machine, pid_t program, struct tracer **ret, struct why *why)
{
	struct sigaction kick = {.sa_handler = on_kick}, child = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
	struct tracer *tracer = alloc_new(struct tracer, why);
	int err;

	if (!tracer)
		return -why->err;
	tracer->machine = machine;
	tracer->program = program;
	list_init(&tracer->threads);
	list_init(&tracer->processes);
	list_init(&tracer->injections);
	mutex_init(&tracer->lock, RANK_TRACER);
	condition_init(&tracer->changed);
	atomic_init(&tracer->status, -1);
	tracer->events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* No restart: the wait is to end. And nobody else is to be woken by each stop. */
	sigaction(KICK, &kick, NULL);
	sigaction(SIGCHLD, &child, NULL);
	err = tracer->events < 0 ? refuse_host(why, errno, "eventfd")
				 : os_thread_start(&tracer->thread, trace, tracer, why);
	if (err < 0) {
		free_tracer(tracer);
		return err;
	}
	*ret = tracer;
	return 0;
}

void tracer_stop(struct tracer *tracer)
{
	if (!tracer)
		return;
	mutex_lock(&tracer->lock);
	tracer->stopping = true;
	kick_until(tracer, &tracer->finished);
	mutex_unlock(&tracer->lock);
	pthread_join(tracer->thread, NULL);
	free_tracer(tracer);
}

int tracer_events(const struct tracer *tracer)
{
	return tracer->events;
}

int tracer_status(struct tracer *tracer)
{
	return atomic_load(&tracer->status);
}
