/* SPDX-License-Identifier: MIT */
/*
 * Ranked locks. A thread may only take a lock of a higher rank than all it holds; taken out of order, it asserts.
 *
 *	rank  lock             protects                            held while
 *	 1    machine.lock     topology, groups, ownership, files  one request, start to end
 *	 2    a device model   its registers and queues            one poll of the model, one reset
 *	 3    dma_port.gate    what one device's DMA can see       entered: one transfer; stopped: one unmap, attach
 *	 4    pci_irq.lock     where a function's interrupts go    one signal
 *	 5    file watchers    who waits for a queue               one wake (so are two leaves of supervise/)
 *	 6    tracer.lock      what the tracer is asked to do      one look
 *	 7    journal.lock     the ring of refusals                one append
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum lock_rank {
	RANK_MACHINE = 1,
	RANK_DEVICE,
	RANK_DMA,
	RANK_IRQ,
	RANK_WATCH,
	RANK_TRACER,
	RANK_JOURNAL,
};

struct mutex {
	pthread_mutex_t raw;
	enum lock_rank rank;
};

void mutex_init(struct mutex *mutex, enum lock_rank rank);
void mutex_fini(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

/* One whose time is CLOCK_MONOTONIC, as mutex_wait_ms() wants it. */
void condition_init(pthread_cond_t *condition);
/* Waits on condition with mutex released meanwhile; mutex must be the highest lock held. */
void mutex_wait(struct mutex *mutex, pthread_cond_t *condition);
/* The same for at most timeout_ms; false when that time has passed. */
bool mutex_wait_ms(struct mutex *mutex, pthread_cond_t *condition, unsigned timeout_ms);

/*
 * One thread at a time passes through, until somebody stops it: then whoever is inside leaves first, and who comes next
 * waits. Stops nest, and a thread may stop many gates at once; only one thread at a time stops any of those it shares
 * with others (it holds a lower lock). Who has stopped a gate holds its rank, like who is inside.
 */
struct gate {
	struct mutex mutex; /* held inside */
	pthread_cond_t opened;
	atomic_uint stops;
};

void gate_init(struct gate *gate, enum lock_rank rank);
void gate_fini(struct gate *gate);
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);
void gate_stop(struct gate *gate); /* returns when nobody is inside */
void gate_start(struct gate *gate);

/* May this thread take a lock of that rank, by those it holds? For who may have been called in the middle of anything.
 */
bool lock_is_free_to_take(enum lock_rank rank);

/* Asserts that this thread holds a lock of that rank. */
void assert_held(enum lock_rank rank);

#endif
