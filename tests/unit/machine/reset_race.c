/* SPDX-License-Identifier: MIT */
/*
 * Two NVMe controllers of one bus and one group, in one process with several threads: one drives the first controller,
 * whose own thread fetches commands and answers; others reset it, reset the bus, open and close the second, take memory
 * away from both and give it back. For ThreadSanitizer, and for whoever forgets to stop a device.
 */
#include "isolde/isolde.h"

#include "tests/fixtures/machine_text.h"
#include "tests/fixtures/patience.h"
#include "tests/fixtures/told.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "base/os.h"
#include "iommu/dma.h"
#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "machine/api.h"
#include "machine/device.h"

#define FIRST	"0000:01:00.0"
#define SECOND	"0000:01:00.1"
#define IOVA	0x100000ull
#define PAGES	4 /* commands, completions, data, data that comes and goes */
#define ENTRIES 16
#define SECONDS (UNDER_TSAN ? 4 : 2)

/* Registers (NVMe 1.4 section 3.1) */
enum { REG_CC = 0x14, REG_CSTS = 0x1c, REG_AQA = 0x24, REG_ASQ = 0x28, REG_ACQ = 0x30, REG_DOORBELL = 0x1000 };

static const char text[] =
	"name: race\n"
	"iommu: {kind: intel-vtd}\n"
	"devices:\n"
	"  - {slot: '01.0', role: root-port, id: '8086:1901', acs: none, driver: pcieport, devices: [\n"
	"      {slot: '00.0', model: nvme, flr: true, driver: vfio-pci, options: {size: 1M}},\n"
	"      {slot: '00.1', model: nvme, flr: true, driver: vfio-pci, options: {size: 1M}}]}\n";

struct race {
	struct isolde_machine *machine;
	int iommufd, device;
	u32 ioas;
	char second[40]; /* the second's node */
	u8 *memory;
	atomic_bool over;
	atomic_uint commands, resets, bus_resets, sessions, moves, told;
};

static long request(struct race *race, int fd, unsigned cmd, void *arg)
{
	return isolde_ioctl(race->machine, fd, cmd, arg, NULL);
}

static u32 load(struct race *race, unsigned offset)
{
	u32 value = 0;

	isolde_pread(race->machine, race->device, &value, sizeof(value), offset, NULL);
	return value;
}

static bool store(struct race *race, unsigned offset, u32 value)
{
	return isolde_pwrite(race->machine, race->device, &value, sizeof(value), offset, NULL) == sizeof(value);
}

static void master(struct race *race, int device)
{
	u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	isolde_pwrite(race->machine, device, &command, sizeof(command), (7ull << 40) + PCI_COMMAND, NULL);
}

/* Whatever resets have left of it. */
static void enable(struct race *race)
{
	master(race, race->device);
	store(race, REG_CC, 0);
	store(race, REG_AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	store(race, REG_ASQ, IOVA);
	store(race, REG_ASQ + 4, 0);
	store(race, REG_ACQ, IOVA + PAGE_SIZE);
	store(race, REG_ACQ + 4, 0);
	store(race, REG_CC, 0x00460001);
}

static void await_enabled(struct race *race, u64 patience_ns)
{
	for (u64 start = os_clock_ns(); !(load(race, REG_CSTS) & 3) && os_clock_ns() - start < patience_ns;)
		usleep(100);
}

/* Every command is Identify Controller; where its data goes is there, or sometimes not. */
static void *drive(void *argument)
{
	struct race *race = argument;
	unsigned tail = 0;

	while (!race->over) {
		if ((load(race, REG_CSTS) & 3) != 1) {
			enable(race);
			/* In vain, if it is reset again. */
			await_enabled(race, 100000000);
			tail = 0;
		}
		tail = (tail + 1) % ENTRIES;
		store(race, REG_DOORBELL, tail);
		store(race, REG_DOORBELL + 4, tail);
		race->commands++;
	}
	return NULL;
}

static void *reset_one(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		race->resets += request(race, race->device, VFIO_DEVICE_RESET, NULL) == 0;
		usleep(500);
	}
	return NULL;
}

static void *reset_bus(void *argument)
{
	struct race *race = argument;
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};
	u32 info[16];

	while (!race->over) {
		info[0] = sizeof(info);
		race->told += request(race, race->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info) == 0;
		race->bus_resets += request(race, race->device, VFIO_DEVICE_PCI_HOT_RESET, &reset) == 0;
		usleep(700);
	}
	return NULL;
}

static long use(struct race *race, int device)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = race->iommufd};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = race->ioas};
	long ret = request(race, device, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	return ret < 0 ? ret : request(race, device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

static void *come_and_go(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		int device = isolde_open(race->machine, race->second, O_RDWR, NULL);

		if (device >= 0 && use(race, device) == 0) {
			master(race, device);
			race->sessions++;
		}
		isolde_close(race->machine, device);
	}
	return NULL;
}

static long map(struct race *race, unsigned page, unsigned count)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = race->ioas,
		.user_va = (uintptr_t)race->memory + page * PAGE_SIZE,
		.length = count * PAGE_SIZE,
		.iova = IOVA + page * PAGE_SIZE,
	};

	return request(race, race->iommufd, IOMMU_IOAS_MAP, &map);
}

static void *move_memory(void *argument)
{
	struct race *race = argument;
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = race->ioas,
		.iova = IOVA + 3 * PAGE_SIZE,
		.length = PAGE_SIZE,
	};

	while (!race->over) {
		race->moves += request(race, race->iommufd, IOMMU_IOAS_UNMAP, &unmap) == 0 && map(race, 3, 1) == 0;
		usleep(100);
	}
	return NULL;
}

/* Half of the commands want their data where memory comes and goes. */
static void fill_commands(struct race *race)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		u8 *command = race->memory + i * 64;

		put_u32(command, 0x06 | i << 16);
		put_u64(command + 24, IOVA + (i % 2 ? 2 : 3) * PAGE_SIZE);
		put_u32(command + 40, 1);
	}
}

static void start(struct race *race)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	race->machine = machine_of_text(text);
	race->memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(race->memory, MAP_FAILED);
	fill_commands(race);
	race->iommufd = isolde_open(race->machine, "/dev/iommu", O_RDWR, NULL);
	race->device = isolde_open(race->machine, "/dev/vfio/devices/vfio0", O_RDWR, NULL);
	snprintf(race->second, sizeof(race->second), "/dev/vfio/devices/vfio1");
	assert_int_equal(request(race, race->iommufd, IOMMU_IOAS_ALLOC, &alloc), 0);
	race->ioas = alloc.out_ioas_id;
	assert_int_equal(map(race, 0, 3), 0);
	assert_int_equal(map(race, 3, 1), 0);
	assert_int_equal(use(race, race->device), 0);
}

static struct dma_counters counters(const struct race *race)
{
	return dma_port_counters(device_called(race->machine->machine, FIRST)->iommu->port);
}

/* A machine that is busy with other things takes its time. */
static bool had_all(const struct race *race)
{
	return race->resets && race->bus_resets && race->told && race->sessions && race->moves &&
	       counters(race).bytes_read > 0;
}

TEST(reset_race, resets_closes_and_dma)
{
	static void *(*const parts[])(void *) = {drive, reset_one, reset_bus, come_and_go, move_memory};
	struct race race = {.machine = NULL};
	pthread_t threads[ARRAY_SIZE(parts)];
	u64 before;

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
	print_message("%u commands, %u resets, %u of the bus, %u told, %u sessions, %u moves, %llu bytes fetched, "
		      "%llu faults\n",
		      race.commands, race.resets, race.bus_resets, race.told, race.sessions, race.moves,
		      (unsigned long long)counters(&race).bytes_read, (unsigned long long)counters(&race).faults);
	assert_true(had_all(&race));
	/* It still works. */
	before = counters(&race).bytes_written;
	enable(&race);
	await_enabled(&race, PATIENCE_NS);
	store(&race, REG_DOORBELL, 1);
	for (unsigned i = 0; i < PATIENCE_MS && counters(&race).bytes_written == before; i++)
		usleep(1000);
	assert_true(counters(&race).bytes_written > before);
	isolde_machine_check(race.machine);
	isolde_close(race.machine, race.device);
	isolde_close(race.machine, race.iommufd);
	isolde_machine_free(race.machine);
	munmap(race.memory, PAGES * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(reset_race, resets_closes_and_dma)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
