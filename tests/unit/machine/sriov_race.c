/* SPDX-License-Identifier: MIT */
/*
 * Virtual functions that come and go while others use them: by their group, by their node, with the token of their
 * physical function, which is opened, reset and hit by errors meanwhile; drivers are taken away and given back, and
 * attributes are read. For ThreadSanitizer, and for whoever keeps a device across a wait.
 */
#include "isolde/isolde.h"

#include "tests/fixtures/machine_text.h"
#include "tests/fixtures/patience.h"
#include "tests/fixtures/told.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "pci/function.h"

#define PHYSICAL "0000:01:00.0"
#define VIRTUAL	 "0000:01:00.1"
#define NODES	 4
#define SECONDS	 (UNDER_TSAN ? 4 : 2)

static const char text[] =
	"name: race\n"
	"options: {vfio_pci: {enable_sriov: true}}\n"
	"iommu: {kind: intel-vtd}\n"
	"devices:\n"
	"  - {slot: '01.0', role: root-port, id: '8086:1901', acs: full, driver: pcieport, devices: [\n"
	"      {slot: '00.0', model: nvme, flr: true, driver: vfio-pci, options: {size: 1M},\n"
	"       sriov: {total: 2, offset: 1, stride: 1, device: '0011'}, vf: {model: nvme, options: {size: 1M}}}]}\n";

static const u8 token[16] = {0x8a, 0x9c, 0x3f, 0x2e, 0x71, 0xd4, 0x4c, 0x0b,
			     0x9f, 0x6a, 0x2f, 0x5a, 0x1c, 0x7e, 0x9d, 0x10};
static const char token_text[] = "8a9c3f2e-71d4-4c0b-9f6a-2f5a1c7e9d10";

struct race {
	struct isolde_machine *machine;
	atomic_bool over;
	atomic_uint numbers, by_group, by_node, tokens, rebinds, errors, reads;
};

static long request(struct race *race, int fd, unsigned cmd, const void *arg)
{
	return isolde_ioctl(race->machine, fd, cmd, (void *)(uintptr_t)arg, NULL);
}

static bool store(struct race *race, const char *path, const char *value)
{
	return isolde_attribute_write(race->machine, path, value, strlen(value), NULL) > 0;
}

static void *change_number(void *argument)
{
	struct race *race = argument;

	for (unsigned i = 0; !race->over; i++) {
		race->numbers += store(race, "sys/bus/pci/devices/" PHYSICAL "/sriov_numvfs", i & 1 ? "0" : "2");
		usleep(200);
	}
	return NULL;
}

/* Whatever device has that number at the moment. */
static int bind_node(struct race *race, unsigned number, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)token,
	};
	char path[64];
	int device;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", number);
	device = isolde_open(race->machine, path, O_RDWR, NULL);
	if (device < 0 || request(race, device, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0)
		return device;
	isolde_close(race->machine, device);
	return -1;
}

static bool set_token(struct race *race, int device)
{
	struct {
		u32 argsz, flags;
		u8 token[sizeof(token)];
	} set = {sizeof(set), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, {0}};

	memcpy(set.token, token, sizeof(token));
	return request(race, device, VFIO_DEVICE_FEATURE, &set) == 0;
}

static void use(struct race *race, int device)
{
	u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	u32 value = 1;

	isolde_pwrite(race->machine, device, &command, sizeof(command), (7ull << 40) + PCI_COMMAND, NULL);
	isolde_pwrite(race->machine, device, &value, sizeof(value), 0x14, NULL);
	isolde_pread(race->machine, device, &value, sizeof(value), 0x1c, NULL);
	request(race, device, VFIO_DEVICE_RESET, NULL);
}

static void *use_nodes(void *argument)
{
	struct race *race = argument;
	int iommufd = isolde_open(race->machine, "/dev/iommu", O_RDWR, NULL);
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	request(race, iommufd, IOMMU_IOAS_ALLOC, &alloc);
	for (unsigned i = 0; !race->over; i++) {
		struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = alloc.out_ioas_id};
		int device = bind_node(race, i % NODES, iommufd);

		if (device < 0)
			continue;
		race->by_node += request(race, device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) == 0;
		race->tokens += set_token(race, device); /* the physical function's only */
		use(race, device);
		isolde_close(race->machine, device);
	}
	isolde_close(race->machine, iommufd);
	return NULL;
}

static void use_group(struct race *race, int group)
{
	int container = isolde_open(race->machine, "/dev/vfio/vfio", O_RDWR, NULL), device;

	request(race, group, VFIO_GROUP_SET_CONTAINER, &container);
	request(race, container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
	device = (int)request(race, group, VFIO_GROUP_GET_DEVICE_FD, VIRTUAL);
	if (device < 0) {
		char name[96];

		snprintf(name, sizeof(name), VIRTUAL " vf_token=%s", token_text);
		device = (int)request(race, group, VFIO_GROUP_GET_DEVICE_FD, name);
	}
	if (device >= 0) {
		race->by_group++;
		use(race, device);
		isolde_close(race->machine, device);
	}
	isolde_close(race->machine, container);
}

static void *use_groups(void *argument)
{
	struct race *race = argument;

	for (unsigned i = 0; !race->over; i++) {
		char path[64];
		int group;

		snprintf(path, sizeof(path), "/dev/vfio/%u", i % NODES);
		group = isolde_open(race->machine, path, O_RDWR, NULL);
		if (group >= 0)
			use_group(race, group);
		isolde_close(race->machine, group);
	}
	return NULL;
}

static void *rebind(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		race->rebinds += store(race, "sys/bus/pci/drivers/vfio-pci/unbind", VIRTUAL) &&
				 store(race, "sys/bus/pci/drivers/vfio-pci/bind", VIRTUAL);
		usleep(300);
	}
	return NULL;
}

static void *inject(void *argument)
{
	struct race *race = argument;

	while (!race->over) {
		race->errors += store(race, "sys/kernel/debug/aer_inject", PHYSICAL " uncor 0x4000");
		usleep(1000);
	}
	return NULL;
}

static void *read_attributes(void *argument)
{
	static const char *const paths[] = {"sys/bus/pci/devices/" VIRTUAL "/config",
					    "sys/bus/pci/devices/" VIRTUAL "/resource",
					    "sys/bus/pci/devices/" VIRTUAL "/uevent",
					    "sys/bus/pci/devices/" VIRTUAL "/iommu_group/type",
					    "sys/bus/pci/devices/" VIRTUAL "/physfn/sriov_numvfs",
					    "sys/bus/pci/devices/" PHYSICAL "/virtfn0/irq"};
	struct race *race = argument;
	char bytes[4096];

	for (unsigned i = 0; !race->over; i++)
		race->reads += isolde_attribute_read(race->machine, paths[i % ARRAY_SIZE(paths)], bytes, sizeof(bytes),
						     NULL) > 0;
	return NULL;
}

/* A machine that is busy with other things takes its time. */
static bool had_all(const struct race *race)
{
	return race->numbers && race->by_group && race->by_node && race->tokens && race->rebinds && race->errors &&
	       race->reads;
}

TEST(sriov_race, functions_go_while_they_are_used)
{
	static void *(*const parts[])(void *) = {change_number, use_nodes, use_nodes,	   use_groups,
						 rebind,	inject,	   read_attributes};
	struct race race = {.machine = NULL};
	pthread_t threads[ARRAY_SIZE(parts)];

	race.machine = machine_of_text(text);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, parts[i], &race), 0);
	for (unsigned i = 0; i < 10 * SECONDS || (!had_all(&race) && i < PATIENCE_MS / 100); i++) {
		usleep(100000);
		isolde_machine_check(race.machine);
	}
	race.over = true;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		pthread_join(threads[i], NULL);
	print_message("%u numbers, %u by a group, %u by a node, %u tokens, %u rebinds, %u errors, %u reads\n",
		      race.numbers, race.by_group, race.by_node, race.tokens, race.rebinds, race.errors, race.reads);
	assert_true(had_all(&race));
	isolde_machine_check(race.machine);
	isolde_machine_free(race.machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(sriov_race, functions_go_while_they_are_used)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
