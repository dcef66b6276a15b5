/* SPDX-License-Identifier: MIT */
/*
 * Several drivers and several devices at once, through the public interface: groups change hands while their devices do
 * DMA. What a device reads must be of a domain it could have at that moment; and what was unmapped, of no domain.
 */
#include "isolde/iommu.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "machine/api.h"
#include "machine/machine.h"
#include "tests/helpers.h"

#define NVME "0000:01:00.0"
#define NIC  "0000:02:00.0"
#define TWIN "0000:02:00.1" /* in the NIC's group */

enum { ROUNDS = 100, IOVA = 0x40000, PASID = 3, GONE = 'x' };

struct place {
	struct isolde_domain *domain;
	u8 *page; /* full of name, unless it is unmapped: then of GONE */
	u8 name;
};

struct room {
	struct isolde_machine *machine;
	struct isolde_device *nvme, *nic, *twin;
	struct place spaces[3];
	atomic_bool over, reached; /* a transfer has reached memory */
};

/* One thread's share. */
struct actor {
	struct room *room;
	struct isolde_device *device;
	struct isolde_owner *owner;
	struct isolde_handle *handles[2];
	unsigned first, second; /* of spaces */
	u32 pasid;		/* a device's */
	unsigned long done, refused;
	bool wrong;
	unsigned dice;
	pthread_t thread;
};

static void count(struct actor *actor, int ret)
{
	actor->done += ret == 0;
	actor->refused += ret < 0;
	/* It is the others' turn, whatever this call has left behind. Not always the same one's. */
	actor->dice = actor->dice * 1103515245u + 12345u;
	if (actor->dice >> 16 & 1)
		sched_yield();
	else
		usleep(actor->dice >> 16 & 31);
}

/* ---- devices ---- */

static void *do_dma(void *argument)
{
	struct actor *actor = argument;
	struct room *room = actor->room;

	while (!atomic_load(&room->over)) {
		u8 byte = GONE;
		int ret = isolde_dma_read(actor->device, actor->pasid, IOVA, &byte, 1, NULL);

		actor->done += ret == 0;
		actor->refused += ret < 0;
		if (ret == 0 && byte != room->spaces[0].name && byte != room->spaces[1].name &&
		    byte != room->spaces[2].name)
			actor->wrong = true;
		if (ret == 0)
			atomic_store_explicit(&room->reached, true, memory_order_relaxed);
		if ((actor->done + actor->refused) % 32 == 0)
			usleep(20);
	}
	return NULL;
}

/* On a busy host the devices may come late. */
static bool goes_on(const struct actor *actor, int round)
{
	return round < ROUNDS || !atomic_load_explicit(&actor->room->reached, memory_order_relaxed);
}

/* ---- drivers: each has the device so many times, however often it has to ask ---- */

static void *claim_whole_group(void *argument)
{
	struct actor *actor = argument;
	struct place *spaces = actor->room->spaces;

	for (int i = 0; goes_on(actor, i);) {
		int ret = isolde_group_claim(actor->device, actor->owner, NULL);

		count(actor, ret);
		if (ret < 0)
			continue;
		i++;
		count(actor,
		      isolde_attach_group_handle(spaces[actor->first].domain, actor->device, actor->handles[0], NULL));
		count(actor, isolde_replace_group_handle(spaces[actor->second].domain, actor->device, actor->handles[1],
							 NULL));
		isolde_detach_group(actor->device, NULL);
		if (isolde_group_release(actor->device, NULL) < 0)
			actor->wrong = true;
	}
	return NULL;
}

static void *claim_device(void *argument)
{
	struct actor *actor = argument;
	struct place *spaces = actor->room->spaces;

	for (int i = 0; goes_on(actor, i);) {
		int ret = isolde_device_claim(actor->device, actor->owner, NULL);

		count(actor, ret);
		if (ret < 0)
			continue;
		i++;
		/* The sibling may be attached to the other, or be resetting. */
		ret = isolde_attach(spaces[i % 2 ? actor->first : actor->second].domain, actor->device, 0, NULL, NULL);
		count(actor, ret);
		count(actor, isolde_reset_prepare(actor->device, NULL));
		isolde_reset_done(actor->device);
		count(actor, isolde_attach(spaces[actor->first].domain, actor->device, PASID, NULL, NULL));
		count(actor,
		      isolde_replace(spaces[actor->second].domain, actor->device, PASID, actor->handles[i % 2], NULL));
		isolde_detach(actor->device, PASID);
		isolde_detach(actor->device, 0);
		while (isolde_device_release(actor->device, NULL) < 0)
			sched_yield(); /* the sibling has an attachment, and gives it up first */
	}
	return NULL;
}

static void *bind_driver(void *argument)
{
	static const struct isolde_driver driver = {.size = sizeof(driver), .name = "threads"};
	struct actor *actor = argument;
	u32 pasid;

	for (int i = 0; i < ROUNDS;) {
		int ret = isolde_driver_bind(actor->device, &driver, NULL);

		count(actor, ret);
		if (ret < 0)
			continue;
		i++;
		ret = isolde_sva_bind(actor->device, &pasid, NULL);
		count(actor, ret);
		if (ret == 0)
			isolde_sva_unbind(actor->device);
		if (isolde_driver_unbind(actor->device, NULL) < 0)
			actor->wrong = true;
	}
	return NULL;
}

static void *map_and_unmap(void *argument)
{
	struct actor *actor = argument;
	struct room *room = actor->room;

	for (int i = 0; i < ROUNDS * 4; i++) {
		struct place *space = &room->spaces[(unsigned)i % ARRAY_SIZE(room->spaces)];

		if (isolde_domain_unmap(space->domain, IOVA, PAGE_SIZE) != PAGE_SIZE)
			actor->wrong = true;
		memset(space->page, GONE, PAGE_SIZE);
		memset(space->page, space->name, PAGE_SIZE);
		count(actor, isolde_domain_map(space->domain, IOVA, space->page, PAGE_SIZE,
					       ISOLDE_MAP_READ | ISOLDE_MAP_WRITE, NULL));
		if (i % 16 == 0)
			isolde_machine_check(room->machine);
	}
	return NULL;
}

/* ---- the room ---- */

static struct isolde_device *unbound(struct room *room, const char *bdf)
{
	struct isolde_device *device;

	assert_int_equal(isolde_device_get(room->machine, bdf, &device, NULL), 0);
	assert_int_equal(isolde_driver_unbind(device, NULL), 0);
	/* No machine file gives a device PASIDs. */
	device->core->max_pasids = 16;
	device->core->unit->max_pasids = 16;
	pci_config_write(device->device->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	return device;
}

static void open_room(struct room *room)
{
	*room = (struct room){.machine = NULL};
	assert_int_equal(isolde_machine_new(NULL, &room->machine, NULL), 0);
	room->nvme = unbound(room, NVME);
	room->nic = unbound(room, NIC);
	room->twin = unbound(room, TWIN);
	for (unsigned i = 0; i < ARRAY_SIZE(room->spaces); i++) {
		struct place *space = &room->spaces[i];

		space->name = (u8)('a' + i);
		space->page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
		memset(space->page, space->name, PAGE_SIZE);
		assert_int_equal(isolde_domain_new(room->nvme, "a space", &space->domain, NULL), 0);
		assert_int_equal(isolde_domain_map(space->domain, IOVA, space->page, PAGE_SIZE,
						   ISOLDE_MAP_READ | ISOLDE_MAP_WRITE, NULL),
				 0);
	}
}

static void close_room(struct room *room)
{
	isolde_machine_check(room->machine);
	for (unsigned i = 0; i < ARRAY_SIZE(room->spaces); i++) {
		assert_int_equal(isolde_domain_free(room->spaces[i].domain, NULL), 0);
		free(room->spaces[i].page);
	}
	isolde_machine_free(room->machine);
}

static void start(struct actor *actor, struct room *room, void *(*play)(void *))
{
	actor->room = room;
	for (int i = 0; i < 2; i++)
		assert_int_equal(isolde_handle_new(room->machine, &actor->handles[i], NULL), 0);
	actor->dice = (unsigned)(uintptr_t)actor;
	assert_int_equal(isolde_owner_new(room->machine, "an actor", &actor->owner, NULL), 0);
	assert_int_equal(pthread_create(&actor->thread, NULL, play, actor), 0);
}

static void look_at(const struct actor *actor, const char *name)
{
	print_message("%s: %lu done, %lu refused\n", name, actor->done, actor->refused);
	assert_false(actor->wrong);
	for (int i = 0; i < 2; i++)
		assert_int_equal(isolde_handle_free(actor->handles[i], NULL), 0);
	assert_int_equal(isolde_owner_free(actor->owner, NULL), 0);
}

TEST(threads, groups_change_hands_while_their_devices_do_dma)
{
	struct room room;
	struct actor devices[5], drivers[6];

	open_room(&room);
	memset(devices, 0, sizeof(devices));
	memset(drivers, 0, sizeof(drivers));
	/* Two threads use one device. */
	devices[0].device = devices[1].device = room.nvme;
	devices[2].device = devices[3].device = room.nic;
	devices[3].pasid = PASID;
	devices[4].device = room.twin;
	drivers[0] = (struct actor){.device = room.nvme, .first = 0, .second = 1};
	drivers[1] = (struct actor){.device = room.nvme, .first = 2, .second = 0};
	drivers[2] = (struct actor){.device = room.nic, .first = 0, .second = 1};
	drivers[3] = (struct actor){.device = room.twin, .first = 0, .second = 2};
	drivers[4] = (struct actor){.device = room.nvme};
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		start(&devices[i], &room, do_dma);
	start(&drivers[0], &room, claim_whole_group);
	start(&drivers[1], &room, claim_whole_group);
	start(&drivers[2], &room, claim_device);
	start(&drivers[3], &room, claim_device);
	start(&drivers[4], &room, bind_driver);
	start(&drivers[5], &room, map_and_unmap);
	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
		pthread_join(drivers[i].thread, NULL);
	atomic_store(&room.over, true);
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		pthread_join(devices[i].thread, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
		look_at(&drivers[i], "driver");
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		look_at(&devices[i], "device");
	close_room(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(threads, groups_change_hands_while_their_devices_do_dma)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
