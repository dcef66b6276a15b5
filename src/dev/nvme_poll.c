/* SPDX-License-Identifier: MIT */
/*
 * The thread that watches the register page while a driver has the device open.
 *
 * How long to look away? A driver that was busy a moment ago is likely to be back at once, one that has been silent for
 * long will not mind a little more. So the thread keeps looking for a short while, yielding the processor to whoever
 * wants it (the driver, most likely), then sleeps a sixteenth of the silence so far, at least 5 us and at most 2 ms:
 * the answer is late by a few per cent of the time the driver took itself, and an idle controller costs next to
 * nothing.
 */
#include "base/os.h"
#include "dev/nvme.h"

enum {
	SPIN_NS = 100000,
	SLEEP_MIN_NS = 5000,
	SLEEP_MAX_NS = 2000000, /* waking costs 10 us on a virtual host: half a per cent of a core */
	SLEEP_HURRY_NS = 50000, /* at most, while a driver is likely to spin on CSTS */
};

static void look_away(struct nvme *nvme, u64 now, u64 active)
{
	u64 silence = now - active;
	u64 longest = now < atomic_load_explicit(&nvme->hurry, memory_order_relaxed) ? SLEEP_HURRY_NS : SLEEP_MAX_NS;

	if (silence < SPIN_NS)
		os_yield();
	else
		os_sleep_ns(min_u64(max_u64(silence / 16, SLEEP_MIN_NS), longest));
}

static void *nvme_thread(void *argument)
{
	struct nvme *nvme = argument;
	u64 active = os_clock_ns();

	while (!atomic_load(&nvme->stop)) {
		u64 now;
		bool progress;

		/* A mutex is not fair, and we would be back before a control thread has woken up. */
		while (atomic_load(&nvme->waiting))
			os_yield();
		mutex_lock(&nvme->lock);
		progress = nvme_poll(nvme);
		mutex_unlock(&nvme->lock);
		now = os_clock_ns();
		if (progress)
			active = now;
		else
			look_away(nvme, now, active);
	}
	return NULL;
}

/* Without a thread nobody would see the doorbells: better a controller that says it is dead. */
void nvme_thread_start(struct nvme *nvme)
{
	struct why why = WHY_INIT;

	assert(!nvme->threaded);
	atomic_store(&nvme->stop, false);
	nvme->threaded = os_thread_start(&nvme->thread, nvme_thread, nvme, &why) == 0;
	if (nvme->threaded)
		return;
	nvme_lock(nvme);
	nvme->unattended = true;
	nvme_unlock(nvme);
}

void nvme_thread_stop(struct nvme *nvme)
{
	if (nvme->threaded) {
		atomic_store(&nvme->stop, true);
		pthread_join(nvme->thread, NULL);
	}
	nvme->threaded = nvme->unattended = false;
}
