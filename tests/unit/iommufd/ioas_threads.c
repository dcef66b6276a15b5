/* SPDX-License-Identifier: MIT */
/*
 * A device works while the program maps and unmaps: whatever it reads at an IOVA is what was mapped there, or it faults
 * because nothing was. Once an unmap has returned, the memory is given back to the host: who reached it still would
 * fault for the memory's sake.
 */
#include <pthread.h>
#include <sched.h>

#include "base/os.h"
#include "iommufd/ioas.h"
#include "mem/buffer.h"
#include "tests/fixtures/ioas_room.h"

#define SLOTS  8
#define ROUNDS (UNDER_TSAN ? 300 : 3000)

static u64 iova_of(unsigned slot)
{
	return 0x100000 + slot * 4 * PAGE_SIZE;
}

/* What is in each page of a slot. */
static u8 mark_of(unsigned slot, unsigned page)
{
	return (u8)(slot * 16 + page + 1);
}

struct device {
	struct iommufd_room *self;
	atomic_bool stop;
	unsigned wrong, lost; /* bytes of another page; faults because memory had gone */
	unsigned reached, faulted;
};

static atomic_uint turns; /* of the device */

static void *work(void *argument)
{
	struct device *device = argument;
	struct dma_port *port = device->self->room.alone->port;
	unsigned random = 1;

	while (!atomic_load(&device->stop)) {
		unsigned slot = (random = random * 1103515245 + 12345) >> 16 & (SLOTS - 1), page = random >> 20 & 3;
		u64 iova = iova_of(slot) + page * PAGE_SIZE + (random >> 8 & 0xff);
		struct dma_segment segment = {iova, &(u8){0}, 1};
		struct dma_fault fault;

		if (dma_request(port, 0, &segment, 1, DMA_READ, &fault) == DMA_OK) {
			device->reached++;
			device->wrong += *(u8 *)segment.buffer != mark_of(slot, page);
		} else {
			device->faulted++;
			device->lost += fault.reason != DMA_FAULT_NOT_PRESENT;
		}
		atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
	}
	return NULL;
}

static u8 *marked_memory(unsigned slot)
{
	u8 *memory = pages_of_memory(4);

	for (unsigned page = 0; page < 4; page++)
		memset(memory + page * PAGE_SIZE, mark_of(slot, page), PAGE_SIZE);
	return memory;
}

/* A yield may be long on a busy host, where the device is done after one. */
static void let_it_work(void)
{
	unsigned before = atomic_load_explicit(&turns, memory_order_relaxed);

	for (unsigned i = 0; i < 20 && atomic_load_explicit(&turns, memory_order_relaxed) - before < 20; i++)
		sched_yield();
}

static void map_and_unmap(struct iommufd_room *self, unsigned slot)
{
	u8 *memory = marked_memory(slot);
	u64 iova = iova_of(slot);

	/* As four, as one, or as a copy of what is elsewhere. */
	if (slot % 3 == 0) {
		for (unsigned page = 0; page < 4; page++)
			ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory + page * PAGE_SIZE, PAGE_SIZE,
							 iova + page * PAGE_SIZE));
	} else if (slot % 3 == 1) {
		ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory, 4 * PAGE_SIZE, iova));
	} else {
		ASSERT_OK(self->why, ioas_map_at(self, 2, IOAS_R, memory, 4 * PAGE_SIZE, 0x10000));
		ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_R, 1, &iova, 2, 0x10000, 4 * PAGE_SIZE));
		assert_int_equal(ioas_unmap_range(self, 2, 0, UINT64_MAX), 4 * PAGE_SIZE);
	}
	let_it_work();
	if (slot % 2)
		ASSERT_OK(self->why, ioas_cut(ioas_by_id(self, 1), iova + 2 * PAGE_SIZE - 1, &self->why));
	assert_int_equal(ioas_unmap_range(self, 1, iova, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	munmap(memory, 4 * PAGE_SIZE);
}

static void buffer_free(struct shared_buffer *buffer)
{
}

/* A buffer whose memory goes with its revocation, while the area stays. */
static void map_and_revoke(struct iommufd_room *self, unsigned slot)
{
	static const struct buffer_ops ops = {"test", buffer_free};
	struct shared_buffer buffer;
	u8 *memory = marked_memory(slot);
	u64 iova = iova_of(slot);

	buffer_init(&buffer, &ops, memory, 4 * PAGE_SIZE);
	buffer.importable = true;
	ioas_room_files[1] = &buffer.file;
	ASSERT_OK(self->why, ioas_map_fd(self, 1, FIXED | IOAS_R, BUFFER_FD, 0, 4 * PAGE_SIZE, &iova));
	let_it_work();
	buffer_revoke(&buffer, true);
	munmap(memory, 4 * PAGE_SIZE);
	assert_int_equal(ioas_unmap_range(self, 1, iova, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	buffer.file.ops->release(&buffer.file);
	ioas_room_files[1] = NULL;
}

/* On a busy host the device may come late, and all takes longer. */
static bool goes_on(unsigned round, u64 began)
{
	if (round < ROUNDS / 10 || !atomic_load(&turns))
		return true;
	return round < ROUNDS && os_clock_ns() - began < 20000000000;
}

IOAS_TEST(threads, a_device_never_reaches_what_is_not_mapped)
{
	struct device device = {.self = self};
	u64 began = os_clock_ns();
	struct domain *domain, *other;
	pthread_t thread;

	assert_int_equal(ioas_room_alloc(self), 2);
	ASSERT_OK(self->why, ioas_disable_huge_pages(ioas_by_id(self, 1), &self->why));
	domain = domain_join(self, 1);
	device_use(self, domain);
	assert_int_equal(pthread_create(&thread, NULL, work, &device), 0);
	for (unsigned round = 0; goes_on(round, began); round++) {
		unsigned slot = round % SLOTS;

		if (slot == SLOTS - 1)
			map_and_revoke(self, slot);
		else
			map_and_unmap(self, slot);
		/* Another domain of the IOAS comes and goes. */
		if (round % 50 == 0) {
			other = domain_join(self, 1);
			map_and_unmap(self, slot);
			domain_leave(other);
		}
	}
	atomic_store(&device.stop, true);
	pthread_join(thread, NULL);
	print_message("%u reads reached memory, %u faulted\n", device.reached, device.faulted);
	assert_int_equal(device.wrong, 0);
	assert_int_equal(device.lost, 0);
	device_use(self, NULL);
	domain_leave(domain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(threads, a_device_never_reaches_what_is_not_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
