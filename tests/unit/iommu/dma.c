/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/os.h"
#include "isolde/pt.h"
#include "tests/fixtures/iommu_room.h"

static u8 *pages(unsigned npages)
{
	u8 *memory = mmap(NULL, npages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static struct dma_port *port(const struct iommu_room *room)
{
	return room->first->port;
}

#define EXPECT_FAULT(room, why_not, where, call)                                                                       \
	do {                                                                                                           \
		unsigned faults_ = (room)->faults;                                                                     \
		assert_int_equal(call, DMA_FAULT);                                                                     \
		assert_int_equal((room)->faults, faults_ + 1);                                                         \
		assert_int_equal((room)->fault.reason, why_not);                                                       \
		assert_int_equal((room)->fault.iova, where);                                                           \
		assert_null(strchr((room)->fault.text, '%'));                                                          \
	} while (0)

TEST(dma, bytes_go_through_the_mapping_in_both_directions)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(2);
	char text[16] = "";

	room_assign(room);
	room_map(room, 0x7000, memory, 2 * PAGE_SIZE, ROOM_RW);
	memcpy(memory + PAGE_SIZE - 3, "hello", 6);
	assert_int_equal(dma_read(port(room), 0x7ffd, text, 6), DMA_OK);
	assert_string_equal(text, "hello");
	assert_int_equal(dma_write(port(room), 0x8010, "world", 6), DMA_OK);
	assert_string_equal((char *)memory + PAGE_SIZE + 0x10, "world");
	assert_int_equal(dma_port_counters(port(room)).bytes_read, 6);
	assert_int_equal(dma_port_counters(port(room)).bytes_written, 6);
	assert_int_equal(dma_read(port(room), 0x7000, text, 0), DMA_OK);
	assert_int_equal(room->faults, 0);
	room_free(room);
	munmap(memory, 2 * PAGE_SIZE);
}

TEST(dma, without_bus_mastering_nothing_leaves_the_device)
{
	struct iommu_room *room = room_new();
	u8 byte;

	pci_config_write(&room->functions[0], PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(dma_read(port(room), 0, &byte, 1), DMA_NOT_MASTER);
	assert_int_equal(room->faults, 0);
	assert_int_equal(dma_port_counters(port(room)).faults, 0);
	room_free(room);
}

TEST(dma, after_unmap_the_same_transfer_faults_and_says_what_is_near)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(2), byte;
	struct area *area;

	room_assign(room);
	area = room_map(room, 0x10000, memory, PAGE_SIZE, ROOM_RW);
	room_map(room, 0x20000, memory + PAGE_SIZE, PAGE_SIZE, ISOLDE_PT_READ);
	assert_int_equal(dma_read(port(room), 0x10ff0, &byte, 1), DMA_OK);
	domain_unmap(room->domain, area);
	EXPECT_FAULT(room, DMA_FAULT_NOT_PRESENT, 0x10ff0, dma_read(port(room), 0x10ff0, &byte, 1));
	assert_string_equal(room->fault.text, "0000:02:00.0 may not read 0x1 bytes at IOVA 0x10ff0: not mapped; "
					      "the nearest mapping is [0x20000, 0x20fff] (read-only), 0xf010 above");
	EXPECT_FAULT(room, DMA_FAULT_PERMISSION, 0x20000, dma_write(port(room), 0x20000, "xy", 2));
	EXPECT_SUBSTR("may not write 0x2 bytes at IOVA 0x20000: the mapping forbids it", room->fault.text);
	assert_int_equal(memory[PAGE_SIZE], 0);
	assert_int_equal(dma_port_counters(port(room)).faults, 2);
	room_free(room);
	munmap(memory, 2 * PAGE_SIZE);
}

TEST(dma, a_write_that_reaches_a_hole_moves_nothing)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(1), data[0x20];

	memset(data, 'x', sizeof(data));
	room_assign(room);
	room_map(room, 0x10000, memory, PAGE_SIZE, ROOM_RW);
	EXPECT_FAULT(room, DMA_FAULT_NOT_PRESENT, 0x11000, dma_write(port(room), 0x10ff0, data, 0x20));
	EXPECT_SUBSTR("0x10 bytes at IOVA 0x11000", room->fault.text);
	assert_int_equal(memory[0xff0], 0);
	room_free(room);
	munmap(memory, PAGE_SIZE);
}

TEST(dma, addresses_beyond_the_width_are_faults)
{
	struct iommu_room *room = room_new();
	u8 bytes[2];

	room_assign(room);
	EXPECT_FAULT(room, DMA_FAULT_ADDRESS, BIT(48), dma_read(port(room), BIT(48), bytes, 1));
	EXPECT_SUBSTR("beyond 0xffffffffffff", room->fault.text);
	EXPECT_FAULT(room, DMA_FAULT_ADDRESS, UINT64_MAX, dma_read(port(room), UINT64_MAX, bytes, 2));
	room_free(room);
}

TEST(dma, all_functions_of_a_group_see_its_domain_and_no_other_does)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(1), byte = 0;

	room_map(room, 0x10000, memory, PAGE_SIZE, ROOM_RW);
	memory[5] = 'z';
	/* The default domain is an empty table. */
	EXPECT_FAULT(room, DMA_FAULT_NOT_PRESENT, 0x10005, dma_read(port(room), 0x10005, &byte, 1));
	room_assign(room);
	assert_int_equal(dma_read(room->first->port, 0x10005, &byte, 1), DMA_OK);
	assert_int_equal(byte, 'z');
	byte = 0;
	assert_int_equal(dma_read(room->second->port, 0x10005, &byte, 1), DMA_OK);
	assert_int_equal(byte, 'z');
	EXPECT_FAULT(room, DMA_FAULT_NOT_PRESENT, 0x10005, dma_read(room->alone->port, 0x10005, &byte, 1));
	EXPECT_SUBSTR("0000:01:00.0", room->fault.text);
	iommu_detach_group(room->domain, room->pair);
	EXPECT_FAULT(room, DMA_FAULT_BLOCKED, 0x10005, dma_read(room->first->port, 0x10005, &byte, 1));
	EXPECT_FAULT(room, DMA_FAULT_BLOCKED, 0x10005, dma_read(room->second->port, 0x10005, &byte, 1));
	EXPECT_SUBSTR("attached to no domain", room->fault.text);
	room_free(room);
	munmap(memory, PAGE_SIZE);
}

TEST(dma, the_iotlb_saves_walks_until_something_is_unmapped)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(2), byte;
	struct area *area;

	room_assign(room);
	room_map(room, 0x10000, memory, PAGE_SIZE, ROOM_RW);
	area = room_map(room, 0x20000, memory + PAGE_SIZE, PAGE_SIZE, ROOM_RW);
	for (unsigned i = 0; i < 10; i++)
		dma_read(port(room), 0x10000, &byte, 1);
	assert_int_equal(dma_port_counters(port(room)).walks, 1);
	assert_int_equal(dma_port_counters(port(room)).iotlb_hits, 9);
	domain_unmap(room->domain, area);
	dma_read(port(room), 0x10000, &byte, 1);
	assert_int_equal(dma_port_counters(port(room)).walks, 2);
	/* The same IOVA means other memory now. */
	memory[PAGE_SIZE] = 'n';
	domain_unmap(room->domain, domain_area_at(room->domain, 0x10000));
	room_map(room, 0x10000, memory + PAGE_SIZE, PAGE_SIZE, ISOLDE_PT_READ);
	assert_int_equal(dma_read(port(room), 0x10000, &byte, 1), DMA_OK);
	assert_int_equal(byte, 'n');
	/* A hit for reading is none for writing. */
	EXPECT_FAULT(room, DMA_FAULT_PERMISSION, 0x10000, dma_write(port(room), 0x10000, &byte, 1));
	room_free(room);
	munmap(memory, 2 * PAGE_SIZE);
}

TEST(dma, segments_are_stored_in_order_over_many_batches)
{
	enum { SEGMENTS = 700 };
	struct dma_segment segments[SEGMENTS];
	struct iommu_room *room = room_new();
	u8 *memory = pages(4), data[SEGMENTS];

	room_assign(room);
	/* Two IOVAs for the same page: the later segment of a pair overwrites the earlier. */
	room_map(room, 0x10000, memory, 4 * PAGE_SIZE, ROOM_RW);
	room_map(room, 0x40000, memory, 4 * PAGE_SIZE, ROOM_RW);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		data[i] = (u8)(1 + i % 251);
		segments[i] = (struct dma_segment){(i % 2 ? 0x40000 : 0x10000) + i / 2 * 20, &data[i], 1};
	}
	assert_int_equal(dma_writev(port(room), segments, SEGMENTS), DMA_OK);
	for (unsigned i = 1; i < SEGMENTS; i += 2)
		assert_int_equal(memory[i / 2 * 20], data[i]);
	/* A hole in the last segment: none of the seven hundred moves. */
	memset(memory, 0, 4 * PAGE_SIZE);
	segments[SEGMENTS - 1].iova = 0x90000;
	EXPECT_FAULT(room, DMA_FAULT_NOT_PRESENT, 0x90000, dma_writev(port(room), segments, SEGMENTS));
	for (unsigned i = 0; i < 4 * PAGE_SIZE; i++)
		assert_int_equal(memory[i], 0);
	segments[SEGMENTS - 1].iova = 0x10000;
	memory[0] = 'q';
	assert_int_equal(dma_readv(port(room), segments, SEGMENTS), DMA_OK);
	assert_int_equal(data[SEGMENTS - 1], 'q');
	assert_int_equal(data[7], 0);
	room_free(room);
	munmap(memory, 4 * PAGE_SIZE);
}

TEST(dma, memory_that_the_program_gave_back_is_a_fault_at_the_right_page)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(4), data[4 * PAGE_SIZE];
	struct dma_segment segments[2] = {{0x10000, data, PAGE_SIZE}, {0x11800, data, 2 * PAGE_SIZE}};

	room_assign(room);
	room_map(room, 0x10000, memory, 4 * PAGE_SIZE, ROOM_RW);
	munmap(memory + 2 * PAGE_SIZE, PAGE_SIZE);
	EXPECT_FAULT(room, DMA_FAULT_MEMORY, 0x12000, dma_readv(port(room), segments, 2));
	EXPECT_SUBSTR("no longer has that memory", room->fault.text);
	EXPECT_SUBSTR(room->client->name, room->fault.text);
	mprotect(memory, PAGE_SIZE, PROT_READ);
	EXPECT_FAULT(room, DMA_FAULT_MEMORY, 0x10000, dma_writev(port(room), segments, 1));
	atomic_store(&room->client->gone, true);
	EXPECT_FAULT(room, DMA_FAULT_MEMORY, 0x11800, dma_readv(port(room), segments + 1, 1));
	room_free(room);
	munmap(memory, 4 * PAGE_SIZE);
}

TEST(dma, a_corrupt_table_is_a_fault)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(1), byte;
	unsigned levels;
	u64 *entry;

	room_assign(room);
	room_map(room, 0x10000, memory, PAGE_SIZE, ROOM_RW);
	entry = (u64 *)(uintptr_t)isolde_pt_root(room->domain->pt, &levels);
	entry[0] |= BIT(62);
	EXPECT_FAULT(room, DMA_FAULT_TABLE, 0x10000, dma_read(port(room), 0x10000, &byte, 1));
	entry[0] &= ~BIT(62);
	assert_int_equal(dma_read(port(room), 0x10000, &byte, 1), DMA_OK);
	room_free(room);
	munmap(memory, PAGE_SIZE);
}

static void *transfer_on_a_thread(void *context)
{
	struct iommu_room *room = context;
	u8 bytes[3 * PAGE_SIZE];

	assert(dma_read(port(room), 0x10000, bytes, sizeof(bytes)) == DMA_FAULT);
	return NULL;
}

TEST(dma, shared_files_move_directly_and_truncation_is_a_fault)
{
	struct iommu_room *room = room_new();
	int fd = memfd_create("dma", MFD_CLOEXEC);
	u8 *memory, *private = pages(1), data[3 * PAGE_SIZE];
	struct area *area;
	pthread_t thread;

	assert_int_equal(ftruncate(fd, 3 * PAGE_SIZE), 0);
	memory = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	room_assign(room);
	area = room_map(room, 0x10000, memory, 3 * PAGE_SIZE, ROOM_RW);
	assert_non_null(area->extent->direct);
	room_map(room, 0x13000, private, PAGE_SIZE, ROOM_RW);
	memset(data, 'd', sizeof(data));
	/* Across both kinds in one transfer. */
	assert_int_equal(dma_write(port(room), 0x11000, data, 3 * PAGE_SIZE), DMA_OK);
	assert_int_equal(memory[PAGE_SIZE], 'd');
	assert_int_equal(private[PAGE_SIZE - 1], 'd');
	/* The program's own mapping may go, as under a pin. */
	munmap(memory, 3 * PAGE_SIZE);
	assert_int_equal(dma_read(port(room), 0x11000, data, 1), DMA_OK);
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	EXPECT_FAULT(room, DMA_FAULT_MEMORY, 0x10000, dma_read(port(room), 0x10000, data, 3 * PAGE_SIZE));
	/* Threads of device models block signals; this one is not theirs to block. */
	ASSERT_OK(room->why, os_thread_start(&thread, transfer_on_a_thread, room, &room->why));
	pthread_join(thread, NULL);
	assert_int_equal(room->fault.reason, DMA_FAULT_MEMORY);
	atomic_store(&room->client->gone, true);
	EXPECT_FAULT(room, DMA_FAULT_MEMORY, 0x10000, dma_read(port(room), 0x10000, data, 1));
	close(fd);
	room_free(room);
	munmap(private, PAGE_SIZE);
}

struct hammer {
	struct iommu_room *room;
	atomic_bool stop;
	unsigned long done, faulted;
};

/* What a transfer that succeeds brings is from the mapping of that moment: one value in the whole page. */
static void *hammer_dma(void *context)
{
	struct hammer *hammer = context;
	u8 page[PAGE_SIZE];

	while (!atomic_load(&hammer->stop)) {
		if (dma_read(port(hammer->room), 0x10000, page, sizeof(page)) != DMA_OK) {
			hammer->faulted++;
			continue;
		}
		hammer->done++;
		assert(page[0] == 'a' || page[0] == 'b');
		assert(memcmp(page, page + 1, PAGE_SIZE - 1) == 0);
	}
	return NULL;
}

TEST(dma, transfers_run_beside_map_unmap_and_attach)
{
	struct hammer hammer = {.room = room_new()};
	struct iommu_room *room = hammer.room;
	u8 *memory = pages(2);
	pthread_t thread;

	memset(memory, 'a', PAGE_SIZE);
	memset(memory + PAGE_SIZE, 'b', PAGE_SIZE);
	room_assign(room);
	assert_int_equal(pthread_create(&thread, NULL, hammer_dma, &hammer), 0);
	for (unsigned i = 0; i < 4000; i++) {
		struct area *area = room_map(room, 0x10000, memory + i % 2 * PAGE_SIZE, PAGE_SIZE, ROOM_RW);

		if (i % 64 == 0) {
			iommu_detach_group(room->domain, room->pair);
			ASSERT_OK(room->why, iommu_attach_group(room->domain, room->pair, &room->why));
			usleep(100);
		}
		domain_unmap(room->domain, area);
	}
	atomic_store(&hammer.stop, true);
	pthread_join(thread, NULL);
	assert_true(hammer.done + hammer.faulted > 0);
	room_free(room);
	munmap(memory, 2 * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dma, bytes_go_through_the_mapping_in_both_directions),
		CASE(dma, without_bus_mastering_nothing_leaves_the_device),
		CASE(dma, after_unmap_the_same_transfer_faults_and_says_what_is_near),
		CASE(dma, a_write_that_reaches_a_hole_moves_nothing),
		CASE(dma, addresses_beyond_the_width_are_faults),
		CASE(dma, all_functions_of_a_group_see_its_domain_and_no_other_does),
		CASE(dma, the_iotlb_saves_walks_until_something_is_unmapped),
		CASE(dma, segments_are_stored_in_order_over_many_batches),
		CASE(dma, memory_that_the_program_gave_back_is_a_fault_at_the_right_page),
		CASE(dma, a_corrupt_table_is_a_fault),
		CASE(dma, shared_files_move_directly_and_truncation_is_a_fault),
		CASE(dma, transfers_run_beside_map_unmap_and_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
