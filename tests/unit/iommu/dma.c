/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
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
	iommu_detach_group(room->pair);
	EXPECT_FAULT(room, DMA_FAULT_BLOCKED, 0x10005, dma_read(room->first->port, 0x10005, &byte, 1));
	EXPECT_FAULT(room, DMA_FAULT_BLOCKED, 0x10005, dma_read(room->second->port, 0x10005, &byte, 1));
	EXPECT_SUBSTR("attached to no domain", room->fault.text);
	room_free(room);
	munmap(memory, PAGE_SIZE);
}

TEST(dma, the_iotlb_saves_walks_until_its_range_is_unmapped)
{
	struct iommu_room *room = room_new();
	u8 *memory = pages(2), byte;
	struct area *area;
	u64 invalidations;

	room_assign(room);
	room_map(room, 0x10000, memory, PAGE_SIZE, ROOM_RW);
	area = room_map(room, 0x20000, memory + PAGE_SIZE, PAGE_SIZE, ROOM_RW);
	for (unsigned i = 0; i < 10; i++)
		dma_read(port(room), 0x10000, &byte, 1);
	assert_int_equal(dma_port_counters(port(room)).walks, 1);
	assert_int_equal(dma_port_counters(port(room)).iotlb_hits, 9);
	/* Only the range that is unmapped is forgotten; a flush forgets all. */
	invalidations = dma_port_counters(port(room)).invalidations;
	domain_unmap(room->domain, area);
	assert_int_equal(dma_port_counters(port(room)).invalidations, invalidations + 1);
	dma_read(port(room), 0x10000, &byte, 1);
	assert_int_equal(dma_port_counters(port(room)).walks, 1);
	domain_flush(room->domain);
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
	assert_int_equal(dma_read(port(room), 0x10000, data, 1), DMA_OK); /* and its process, too */
	EXPECT_FAULT(room, DMA_FAULT_MEMORY, 0x13000, dma_read(port(room), 0x13000, data, 1));
	close(fd);
	room_free(room);
	munmap(private, PAGE_SIZE);
}

/* ---- copies ---- */

/* 1, 2, 3, ... at source; what was at destination is 0xee. The buffer is 0, and so stays what nobody uses. */
struct copy {
	struct iommu_room *room;
	u8 *source, *destination, buffer[4 * PAGE_SIZE];
	struct dma_fault fault;
};

static struct copy *copy_new(void)
{
	struct copy *copy = calloc(1, sizeof(*copy));

	copy->room = room_new();
	room_assign(copy->room);
	copy->source = pages(4);
	copy->destination = pages(4);
	for (unsigned i = 0; i < 4 * PAGE_SIZE; i++)
		copy->source[i] = (u8)(i % 251 + 1);
	memset(copy->destination, 0xee, 4 * PAGE_SIZE);
	return copy;
}

static void copy_free(struct copy *copy)
{
	room_free(copy->room);
	munmap(copy->source, 4 * PAGE_SIZE);
	munmap(copy->destination, 4 * PAGE_SIZE);
	free(copy);
}

static enum dma_result copy_run(struct copy *copy, u64 destination, u64 source, size_t size)
{
	return dma_copy(port(copy->room), 0, destination, source, copy->buffer, size, &copy->fault);
}

static bool is_all(const u8 *bytes, size_t size, u8 value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* Source and destination as two areas each, which end at different offsets. */
static void copy_map(struct copy *copy)
{
	room_map(copy->room, 0x10000, copy->source, PAGE_SIZE, ISOLDE_PT_READ);
	room_map(copy->room, 0x11000, copy->source + PAGE_SIZE, 3 * PAGE_SIZE, ISOLDE_PT_READ);
	room_map(copy->room, 0x20000, copy->destination, 2 * PAGE_SIZE, ISOLDE_PT_WRITE);
	room_map(copy->room, 0x22000, copy->destination + 2 * PAGE_SIZE, 2 * PAGE_SIZE, ISOLDE_PT_WRITE);
}

TEST(copy, memory_that_is_ours_is_moved_once)
{
	struct copy *copy = copy_new();

	copy_map(copy);
	assert_int_equal(copy_run(copy, 0x20123, 0x10010, 3 * PAGE_SIZE), DMA_OK);
	assert_memory_equal(copy->destination + 0x123, copy->source + 0x10, 3 * PAGE_SIZE);
	assert_true(is_all(copy->destination, 0x123, 0xee));
	assert_true(is_all(copy->destination + 3 * PAGE_SIZE + 0x123, PAGE_SIZE - 0x123, 0xee));
	assert_true(is_all(copy->buffer, sizeof(copy->buffer), 0));
	assert_int_equal(dma_port_counters(port(copy->room)).bytes_read, 3 * PAGE_SIZE);
	assert_int_equal(dma_port_counters(port(copy->room)).bytes_written, 3 * PAGE_SIZE);
	assert_int_equal(copy_run(copy, 0x20000, 0x10000, 0), DMA_OK);
	copy_free(copy);
}

TEST(copy, memory_of_another_process_goes_through_the_buffer)
{
	struct copy *copy = copy_new();

	copy_map(copy);
	copy->room->client->own = false; /* so it is asked of the host, as another's is */
	assert_int_equal(copy_run(copy, 0x20123, 0x10010, 3 * PAGE_SIZE), DMA_OK);
	assert_memory_equal(copy->destination + 0x123, copy->source + 0x10, 3 * PAGE_SIZE);
	assert_memory_equal(copy->buffer, copy->source + 0x10, 3 * PAGE_SIZE);
	assert_int_equal(dma_port_counters(port(copy->room)).bytes_read, 3 * PAGE_SIZE);
	assert_int_equal(dma_port_counters(port(copy->room)).bytes_written, 3 * PAGE_SIZE);
	copy->room->client->own = true;
	copy_free(copy);
}

TEST(copy, overlapping_ranges_are_read_before_they_are_written)
{
	struct copy *copy = copy_new();
	u8 expected[2 * PAGE_SIZE];

	room_map(copy->room, 0x10000, copy->source, 4 * PAGE_SIZE, ROOM_RW);
	memcpy(expected, copy->source + 0x100, sizeof(expected));
	assert_int_equal(copy_run(copy, 0x10180, 0x10100, sizeof(expected)), DMA_OK);
	assert_memory_equal(copy->source + 0x180, expected, sizeof(expected));
	assert_int_equal(copy_run(copy, 0x10008, 0x10180, sizeof(expected)), DMA_OK);
	assert_memory_equal(copy->source + 8, expected, sizeof(expected));
	/* The same memory by two addresses. */
	room_map(copy->room, 0x40000, copy->source, 4 * PAGE_SIZE, ROOM_RW);
	assert_int_equal(copy_run(copy, 0x40040, 0x10008, sizeof(expected)), DMA_OK);
	assert_memory_equal(copy->source + 0x40, expected, sizeof(expected));
	/* A page that is written as a whole before it is read as a whole. */
	for (unsigned i = 0; i < 3; i++) {
		memset(copy->destination + (2 - i) * PAGE_SIZE, 'a' + (int)i, PAGE_SIZE);
		room_map(copy->room, 0x60000 + i * PAGE_SIZE, copy->destination + (2 - i) * PAGE_SIZE, PAGE_SIZE,
			 ROOM_RW);
	}
	assert_int_equal(copy_run(copy, 0x61000, 0x60000, 2 * PAGE_SIZE), DMA_OK);
	assert_true(is_all(copy->destination, PAGE_SIZE, 'b'));
	assert_true(is_all(copy->destination + PAGE_SIZE, 2 * PAGE_SIZE, 'a'));
	copy_free(copy);
}

TEST(copy, a_fault_says_on_which_side_it_was_and_nothing_is_written)
{
	struct copy *copy = copy_new();

	copy_map(copy);
	EXPECT_FAULT(copy->room, DMA_FAULT_NOT_PRESENT, 0x14000, copy_run(copy, 0x20000, 0x13800, PAGE_SIZE));
	assert_int_equal(copy->fault.direction, DMA_READ);
	EXPECT_FAULT(copy->room, DMA_FAULT_NOT_PRESENT, 0x24000, copy_run(copy, 0x23800, 0x10000, PAGE_SIZE));
	assert_int_equal(copy->fault.direction, DMA_WRITE);
	EXPECT_FAULT(copy->room, DMA_FAULT_PERMISSION, 0x10000, copy_run(copy, 0x10000, 0x12000, PAGE_SIZE));
	EXPECT_FAULT(copy->room, DMA_FAULT_PERMISSION, 0x20000, copy_run(copy, 0x22000, 0x20000, PAGE_SIZE));
	EXPECT_FAULT(copy->room, DMA_FAULT_ADDRESS, UINT64_MAX - 0xf, copy_run(copy, 0x20000, UINT64_MAX - 0xf, 0x20));
	EXPECT_FAULT(copy->room, DMA_FAULT_BLOCKED, 0x10000,
		     dma_copy(port(copy->room), 7, 0x20000, 0x10000, copy->buffer, 8, &copy->fault));
	assert_int_equal(copy->fault.pasid, 7);
	assert_true(is_all(copy->destination, 4 * PAGE_SIZE, 0xee));
	pci_config_write(&copy->room->functions[0], PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(copy_run(copy, 0x20000, 0x10000, 8), DMA_NOT_MASTER);
	assert_true(is_all(copy->destination, 4 * PAGE_SIZE, 0xee));
	copy_free(copy);
}

TEST(copy, memory_that_has_gone_is_a_fault_of_its_side)
{
	struct copy *copy = copy_new();

	copy_map(copy);
	munmap(copy->source + 2 * PAGE_SIZE, PAGE_SIZE);
	EXPECT_FAULT(copy->room, DMA_FAULT_MEMORY, 0x12000, copy_run(copy, 0x20000, 0x11000, 2 * PAGE_SIZE));
	assert_int_equal(copy->fault.direction, DMA_READ);
	mprotect(copy->destination, PAGE_SIZE, PROT_READ);
	EXPECT_FAULT(copy->room, DMA_FAULT_MEMORY, 0x20000, copy_run(copy, 0x20000, 0x10000, PAGE_SIZE));
	assert_int_equal(copy->fault.direction, DMA_WRITE);
	atomic_store(&copy->room->client->gone, true);
	EXPECT_FAULT(copy->room, DMA_FAULT_MEMORY, 0x10000, copy_run(copy, 0x22000, 0x10000, PAGE_SIZE));
	copy_free(copy);
}

/* Its addresses mean nothing here any more: what is left of it is reached by a descriptor. */
TEST(copy, an_address_space_that_was_left_is_not_reached_by_its_addresses)
{
	struct copy *copy = copy_new();

	copy_map(copy);
	atomic_store(&copy->room->client->execed, true);
	assert_int_equal(copy->room->client->memory_fd, -1);
	EXPECT_FAULT(copy->room, DMA_FAULT_MEMORY, 0x10000, copy_run(copy, 0x20000, 0x10000, PAGE_SIZE));
	assert_true(is_all(copy->destination, 4 * PAGE_SIZE, 0xee));
	copy->room->client->memory_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	assert_int_equal(copy_run(copy, 0x20000, 0x10000, PAGE_SIZE), DMA_OK);
	assert_memory_equal(copy->destination, copy->source, PAGE_SIZE);
	assert_memory_equal(copy->buffer, copy->source, PAGE_SIZE);
	copy_free(copy);
}

/* Pinned pages stay, and a mapping of ours is as good. */
TEST(copy, files_stay_when_their_client_has_gone)
{
	struct copy *copy = copy_new();
	int fd = memfd_create("copy", MFD_CLOEXEC);
	u8 bytes[10] = {0};
	u8 *file;

	assert_int_equal(ftruncate(fd, 2 * PAGE_SIZE), 0);
	file = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	copy_map(copy);
	room_map(copy->room, 0x30000, file, 2 * PAGE_SIZE, ROOM_RW);
	memcpy(file, "of a file", 10);
	atomic_store(&copy->room->client->gone, true);
	assert_int_equal(copy_run(copy, 0x31000, 0x30000, 10), DMA_OK);
	assert_string_equal((char *)file + PAGE_SIZE, "of a file");
	assert_int_equal(dma_read(port(copy->room), 0x31000, bytes, 10), DMA_OK);
	assert_string_equal((char *)bytes, "of a file");
	EXPECT_FAULT(copy->room, DMA_FAULT_MEMORY, 0x20000, copy_run(copy, 0x20000, 0x30000, 10));
	munmap(file, 2 * PAGE_SIZE);
	close(fd);
	copy_free(copy);
}

TEST(copy, files_are_moved_once_until_they_are_truncated)
{
	struct copy *copy = copy_new();
	int fd = memfd_create("copy", MFD_CLOEXEC);
	u8 *file;

	assert_int_equal(ftruncate(fd, 2 * PAGE_SIZE), 0);
	file = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	copy_map(copy);
	room_map(copy->room, 0x30000, file, 2 * PAGE_SIZE, ROOM_RW);
	memcpy(file, "of a file", 10);
	copy->room->client->own = false; /* the file is ours all the same */
	assert_int_equal(copy_run(copy, 0x31000, 0x30000, 10), DMA_OK);
	assert_string_equal((char *)file + PAGE_SIZE, "of a file");
	assert_true(is_all(copy->buffer, sizeof(copy->buffer), 0));
	copy->room->client->own = true;
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	EXPECT_FAULT(copy->room, DMA_FAULT_MEMORY, 0x31000, copy_run(copy, 0x31000, 0x30000, 10));
	assert_int_equal(copy->fault.direction, DMA_WRITE);
	EXPECT_FAULT(copy->room, DMA_FAULT_MEMORY, 0x31000, copy_run(copy, 0x20000, 0x31000, 10));
	assert_int_equal(copy->fault.direction, DMA_READ);
	munmap(file, 2 * PAGE_SIZE);
	close(fd);
	copy_free(copy);
}

/* Each page is an area of its own, and the next one in memory is another: more pieces than are gathered at once. */
TEST(copy, what_is_scattered_is_copied_all_the_same)
{
	enum { PAGES = 300 };
	struct copy *copy = copy_new();
	u8 *scattered = pages(PAGES), *together = pages(PAGES), *buffer = pages(PAGES);

	for (unsigned i = 0; i < PAGES; i++) {
		memset(scattered + (PAGES - 1 - i) * PAGE_SIZE, (int)(i % 250), PAGE_SIZE);
		room_map(copy->room, 0x100000 + i * PAGE_SIZE, scattered + (PAGES - 1 - i) * PAGE_SIZE, PAGE_SIZE,
			 ROOM_RW);
	}
	room_map(copy->room, 0x800000, together, PAGES * PAGE_SIZE, ROOM_RW);
	assert_int_equal(dma_copy(port(copy->room), 0, 0x800000, 0x100000, buffer, PAGES * PAGE_SIZE, &copy->fault),
			 DMA_OK);
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(is_all(together + i * PAGE_SIZE, PAGE_SIZE, (u8)(i % 250)));
	memset(together, 0x77, 100 * PAGE_SIZE);
	memset(buffer, 0, PAGES * PAGE_SIZE);
	assert_int_equal(dma_copy(port(copy->room), 0, 0x100000, 0x800000, buffer, 100 * PAGE_SIZE, &copy->fault),
			 DMA_OK);
	assert_true(is_all(scattered + 200 * PAGE_SIZE, 100 * PAGE_SIZE, 0x77));
	assert_int_equal(scattered[200 * PAGE_SIZE - 1], 100);
	assert_true(is_all(buffer, PAGES * PAGE_SIZE, 0));
	munmap(scattered, PAGES * PAGE_SIZE);
	munmap(together, PAGES * PAGE_SIZE);
	munmap(buffer, PAGES * PAGE_SIZE);
	copy_free(copy);
}

struct hammer {
	struct iommu_room *room;
	atomic_bool stop;
	atomic_ulong done, faulted, wrong;
};

/* What a transfer that succeeds brings is from the mapping of that moment: one value in the whole page. */
static void *hammer_dma(void *context)
{
	struct hammer *hammer = context;
	u8 page[PAGE_SIZE];

	while (!atomic_load(&hammer->stop)) {
		if (dma_read(port(hammer->room), 0x10000, page, sizeof(page)) != DMA_OK) {
			atomic_fetch_add(&hammer->faulted, 1);
			continue;
		}
		atomic_fetch_add(&hammer->done, 1);
		if ((page[0] != 'a' && page[0] != 'b') || memcmp(page, page + 1, PAGE_SIZE - 1) != 0)
			atomic_fetch_add(&hammer->wrong, 1);
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
	/* On a busy host the thread may come late. */
	for (unsigned i = 0; i < 4000 || !atomic_load(&hammer.done) || !atomic_load(&hammer.faulted); i++) {
		struct area *area = room_map(room, 0x10000, memory + i % 2 * PAGE_SIZE, PAGE_SIZE, ROOM_RW);

		if (i % 64 == 0) {
			iommu_detach_group(room->pair);
			ASSERT_OK(room->why, iommu_attach_group(room->domain, room->pair, &room->why));
			usleep(100);
		}
		domain_unmap(room->domain, area);
	}
	atomic_store(&hammer.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(hammer.wrong, 0);
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
		CASE(dma, the_iotlb_saves_walks_until_its_range_is_unmapped),
		CASE(dma, segments_are_stored_in_order_over_many_batches),
		CASE(dma, memory_that_the_program_gave_back_is_a_fault_at_the_right_page),
		CASE(dma, a_corrupt_table_is_a_fault),
		CASE(dma, shared_files_move_directly_and_truncation_is_a_fault),
		CASE(copy, memory_that_is_ours_is_moved_once),
		CASE(copy, memory_of_another_process_goes_through_the_buffer),
		CASE(copy, overlapping_ranges_are_read_before_they_are_written),
		CASE(copy, a_fault_says_on_which_side_it_was_and_nothing_is_written),
		CASE(copy, memory_that_has_gone_is_a_fault_of_its_side),
		CASE(copy, an_address_space_that_was_left_is_not_reached_by_its_addresses),
		CASE(copy, files_stay_when_their_client_has_gone),
		CASE(copy, files_are_moved_once_until_they_are_truncated),
		CASE(copy, what_is_scattered_is_copied_all_the_same),
		CASE(dma, transfers_run_beside_map_unmap_and_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
