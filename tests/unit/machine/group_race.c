/* SPDX-License-Identifier: MIT */
/*
 * Groups and a container in one process with several threads: an IOAT channel that copies, and another device of a bus
 * of two that keeps its registers mapped. Meanwhile memory comes and goes, interrupts are switched, functions and the
 * bus are reset with groups as proof, a third group enters and leaves, and registers are loaded and stored precisely.
 * reset_race.c is the same for character devices. For ThreadSanitizer, and for whoever forgets to stop a device.
 */
#include "isolde/isolde.h"

#include "tests/fixtures/machine_text.h"
#include "tests/fixtures/patience.h"
#include "tests/fixtures/told.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/os.h"
#include "dev/ioat_regs.h"
#include "dev/probe.h"
#include "iommu/dma.h"
#include "isolde/abi/vfio.h"
#include "machine/api.h"
#include "machine/device.h"

#define IOAT	"0000:00:05.0"
#define PROBE	"0000:00:06.0"
#define GUEST	"0000:00:07.0" /* comes and goes */
#define FIRST	"0000:01:00.0"
#define SECOND	"0000:01:00.1"
#define IOVA	0x100000ull
#define PAGES	4 /* descriptors, source, destination, destination that comes and goes */
#define SIZE	1024
#define SECONDS (UNDER_TSAN ? 4 : 2)

static const char text[] =
	"name: race\n"
	"iommu: {kind: intel-vtd}\n"
	"devices:\n"
	"  - {slot: '05.0', role: integrated, model: ioat, flr: true, driver: vfio-pci}\n"
	"  - {slot: '06.0', role: integrated, model: probe, flr: true, driver: vfio-pci}\n"
	"  - {slot: '07.0', role: integrated, model: probe, flr: true, driver: vfio-pci}\n"
	"  - {slot: '01.0', role: root-port, id: '8086:1901', acs: none, driver: pcieport, devices: [\n"
	"      {slot: '00.0', model: nvme, flr: true, driver: vfio-pci, options: {size: 1M}},\n"
	"      {slot: '00.1', model: nvme, flr: true, driver: vfio-pci, options: {size: 1M}}]}\n";

struct race {
	struct isolde_machine *machine;
	int container, ioat_group, probe_group, bus_group;
	int ioat, probe, first;
	u8 *memory;
	volatile u8 *registers; /* of the probe */
	atomic_bool over;
	atomic_uint copies, moves, switches, resets, bus_resets, visits, seconds, loads, strange;
};

static long request(struct race *race, int fd, unsigned cmd, const void *arg)
{
	return isolde_ioctl(race->machine, fd, cmd, (void *)(uintptr_t)arg, NULL);
}

static int open_group(struct race *race, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", device_called(race->machine->machine, name)->iommu->group->id);
	return isolde_open(race->machine, path, O_RDWR, NULL);
}

static int get_device(struct race *race, int group, const char *name)
{
	return (int)request(race, group, VFIO_GROUP_GET_DEVICE_FD, name);
}

static void master(struct race *race, int device)
{
	u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	isolde_pwrite(race->machine, device, &command, sizeof(command), (7ull << 40) + PCI_COMMAND, NULL);
}

/* ---- the channel ---- */

static u64 load(struct race *race, unsigned offset, unsigned width)
{
	u64 value = 0;

	isolde_pread(race->machine, race->ioat, &value, width, offset, NULL);
	return value;
}

static void store(struct race *race, unsigned offset, unsigned width, u64 value)
{
	isolde_pwrite(race->machine, race->ioat, &value, width, offset, NULL);
}

/* Descriptor i copies to where memory stays, or to where it comes and goes. */
static void fill_descriptors(struct race *race)
{
	for (unsigned i = 0; i < 2; i++)
		((struct ioat_descriptor *)race->memory)[i] = (struct ioat_descriptor){
			.size = SIZE,
			.source = IOVA + PAGE_SIZE,
			.destination = IOVA + (2 + i) * PAGE_SIZE,
			.next = IOVA + i * sizeof(struct ioat_descriptor),
		};
	memset(race->memory + PAGE_SIZE, 0x5a, PAGE_SIZE);
}

/* May be in vain, where others reset it. */
static enum ioat_state copy(struct race *race, unsigned descriptor, u64 patience_ns)
{
	master(race, race->ioat);
	store(race, IOAT_CHANCMD, 1, IOAT_CHANCMD_RESET);
	store(race, IOAT_CHAINADDR, 8, IOVA + descriptor * sizeof(struct ioat_descriptor));
	store(race, IOAT_CHANCTRL, 2, 0x0009);
	store(race, IOAT_DMACOUNT, 2, 1);
	for (u64 start = os_clock_ns();
	     (load(race, IOAT_CHANSTS, 8) & 7) == IOAT_ACTIVE && os_clock_ns() - start < patience_ns;)
		usleep(10);
	return load(race, IOAT_CHANSTS, 8) & 7;
}

static void *drive(void *argument)
{
	struct race *race = argument;

	for (unsigned i = 0; !race->over; i++)
		race->copies += copy(race, i % 2, 100000000) == IOAT_DONE;
	return NULL;
}

/* ---- the others ---- */

static long map(struct race *race, unsigned page, unsigned count)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)race->memory + page * PAGE_SIZE,
		.iova = IOVA + page * PAGE_SIZE,
		.size = count * PAGE_SIZE,
	};

	return request(race, race->container, VFIO_IOMMU_MAP_DMA, &map);
}

static void *move_memory(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		struct vfio_iommu_type1_dma_unmap unmap = {
			.argsz = sizeof(unmap), .iova = IOVA + 3 * PAGE_SIZE, .size = PAGE_SIZE};

		race->moves += request(race, race->container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0 &&
			       map(race, 3, 1) == 0;
		usleep(100);
	}
	return NULL;
}

static long set_irqs(struct race *race, u32 flags, u32 count, int eventfd)
{
	struct {
		u32 argsz, flags, index, start, count;
		s32 eventfd;
	} set = {sizeof(set), flags, VFIO_PCI_MSIX_IRQ_INDEX, 0, count, eventfd};

	return request(race, race->first, VFIO_DEVICE_SET_IRQS, &set);
}

static void *switch_interrupts(void *argument)
{
	struct race *race = argument;
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	while (!race->over) {
		race->switches += set_irqs(race, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 1, event) ==
				  0;
		set_irqs(race, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 1, 0);
		set_irqs(race, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
		usleep(100);
	}
	close(event);
	return NULL;
}

static void *reset_functions(void *argument)
{
	struct race *race = argument;
	const int devices[] = {race->ioat, race->probe, race->first};

	for (unsigned i = 0; !race->over; i++) {
		race->resets += request(race, devices[i % 3], VFIO_DEVICE_RESET, NULL) == 0;
		usleep(500);
	}
	return NULL;
}

static void *reset_bus(void *argument)
{
	struct race *race = argument;
	struct {
		u32 argsz, flags, count;
		s32 group;
	} reset = {sizeof(reset), 0, 1, race->bus_group};

	while (!race->over) {
		race->bus_resets += request(race, race->first, VFIO_DEVICE_PCI_HOT_RESET, &reset) == 0;
		usleep(700);
	}
	return NULL;
}

/* Into the container and out of it again: its domain has a device more, and one less. */
static void *visit(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		int group = open_group(race, GUEST), device;

		if (group < 0)
			continue;
		request(race, group, VFIO_GROUP_SET_CONTAINER, &race->container);
		device = get_device(race, group, GUEST);
		if (device >= 0) {
			void *bar = NULL;

			race->visits++;
			if (isolde_mmap(race->machine, device, PAGE_SIZE, PROT_READ, MAP_SHARED, 0, &bar, NULL) == 0)
				munmap(bar, PAGE_SIZE);
			isolde_close(race->machine, device);
		}
		isolde_close(race->machine, group);
	}
	return NULL;
}

/* The sibling on the bus that is reset. */
static void *come_and_go(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		int device = get_device(race, race->bus_group, SECOND);

		if (device < 0)
			continue;
		master(race, device);
		race->seconds++;
		isolde_close(race->machine, device);
	}
	return NULL;
}

/* Registers are no memory: who comes first is the device's to say. */
__attribute__((no_sanitize("thread"), noinline)) static u64 touch(volatile u8 *registers, u64 value)
{
	*(volatile u64 *)(registers + PROBE_SCRATCH) = value;
	return *(volatile u32 *)(registers + PROBE_ID);
}

static void *touch_registers(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		race->strange += touch(race->registers, race->loads) != PROBE_MAGIC;
		race->loads++;
	}
	return NULL;
}

/* ---- the test ---- */

static int enter(struct race *race, const char *name)
{
	int group = open_group(race, name);

	assert_true(group >= 0);
	assert_int_equal(request(race, group, VFIO_GROUP_SET_CONTAINER, &race->container), 0);
	return group;
}

static void start(struct race *race)
{
	void *registers = NULL;

	race->machine = machine_of_text(text);
	race->memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(race->memory, MAP_FAILED);
	fill_descriptors(race);
	race->container = isolde_open(race->machine, "/dev/vfio/vfio", O_RDWR, NULL);
	race->ioat_group = enter(race, IOAT);
	assert_int_equal(request(race, race->container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	race->probe_group = enter(race, PROBE);
	race->bus_group = enter(race, FIRST);
	assert_int_equal(map(race, 0, 3), 0);
	assert_int_equal(map(race, 3, 1), 0);
	race->ioat = get_device(race, race->ioat_group, IOAT);
	race->probe = get_device(race, race->probe_group, PROBE);
	race->first = get_device(race, race->bus_group, FIRST);
	assert_true(race->ioat >= 0 && race->probe >= 0 && race->first >= 0);
	assert_int_equal(isolde_mmap(race->machine, race->probe, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
				     &registers, NULL),
			 0);
	race->registers = registers;
}

static void finish(struct race *race)
{
	const int files[] = {race->ioat,	race->probe,	 race->first,	 race->ioat_group,
			     race->probe_group, race->bus_group, race->container};

	munmap((void *)race->registers, PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		isolde_close(race->machine, files[i]);
	isolde_machine_check(race->machine);
	isolde_machine_free(race->machine);
	munmap(race->memory, PAGES * PAGE_SIZE);
}

/* A machine that is busy with other things takes its time. */
static bool had_all(const struct race *race)
{
	return race->copies && race->moves && race->switches && race->resets && race->bus_resets && race->visits &&
	       race->seconds && race->loads;
}

TEST(group_race, resets_visits_and_dma)
{
	static void *(*const parts[])(void *) = {drive,	    move_memory, switch_interrupts, reset_functions,
						 reset_bus, visit,	 come_and_go,	    touch_registers};
	struct race race = {.machine = NULL};
	pthread_t threads[ARRAY_SIZE(parts)];

	start(&race);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, parts[i], &race), 0);
	for (unsigned i = 0; i < 10 * SECONDS || (!had_all(&race) && i < PATIENCE_MS / 100); i++) {
		usleep(100000);
		isolde_machine_check(race.machine);
	}
	race.over = true;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		pthread_join(threads[i], NULL);
	print_message("%u copies, %u moves, %u switches, %u resets, %u of the bus, %u visits, %u of the second, "
		      "%u loads\n",
		      race.copies, race.moves, race.switches, race.resets, race.bus_resets, race.visits, race.seconds,
		      race.loads);
	assert_true(had_all(&race));
	assert_int_equal(race.strange, 0);
	/* It still works. */
	memset(race.memory + 2 * PAGE_SIZE, 0, PAGE_SIZE);
	assert_int_equal(copy(&race, 0, PATIENCE_NS), IOAT_DONE);
	assert_memory_equal(race.memory + PAGE_SIZE, race.memory + 2 * PAGE_SIZE, SIZE);
	finish(&race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(group_race, resets_visits_and_dma)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
