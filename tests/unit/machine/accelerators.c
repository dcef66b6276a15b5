/* SPDX-License-Identifier: MIT */
/* IOAT and DSA in a whole machine, driven through VFIO by this process; DSA's portals through the function's own call.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "dev/dsa_regs.h"
#include "dev/ioat_regs.h"
#include "isolde/abi/vfio.h"
#include "isolde/isolde.h"
#include "machine/api.h"
#include "machine/machine.h"
#include "tests/fixtures/told.h"

#define IOAT "0000:00:04.0"
#define DSA  "0000:6a:01.0"
#define SIZE (1ull << 20)
#define IOVA 0x100000ull

#define REGISTER(offset)  ((u64)(offset))
#define CONFIG(offset)	  ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40 | (u64)(offset))
#define ACCEPTED(call)	  ASSERT_OK(user->expected, told_as(&user->expected, &user->why, call))
#define REQUEST(fd, n, a) ACCEPTED(isolde_ioctl(user->machine, fd, n, (void *)(uintptr_t)(a), &user->why))

struct user {
	struct isolde_machine *machine;
	struct isolde_why why;
	struct why expected;
	int container, group, device;
	u8 *memory; /* SIZE bytes at IOVA */
};

static int group_of(const struct isolde_machine *machine, const char *name)
{
	const struct device *device;

	list_for_each(device, &machine->machine->devices, link)
		if (strcmp(device->name, name) == 0)
			return device->iommu->group->id;
	fail_msg("no %s", name);
	return -1;
}

static struct user *user_new(const char *name)
{
	char bind[64], path[32];
	const char *const binds[] = {bind, NULL};
	const struct isolde_machine_options options = {
		.size = sizeof(options), .machine = "selftest-vfio", .binds = binds};
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					       .iova = IOVA,
					       .size = SIZE};
	struct user *user = calloc(1, sizeof(*user));
	u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;

	snprintf(bind, sizeof(bind), "vfio-pci=%s", name);
	ACCEPTED(isolde_machine_new(&options, &user->machine, &user->why));
	user->container = (int)ACCEPTED(isolde_open(user->machine, "/dev/vfio/vfio", O_RDWR, &user->why));
	snprintf(path, sizeof(path), "/dev/vfio/%d", group_of(user->machine, name));
	user->group = (int)ACCEPTED(isolde_open(user->machine, path, O_RDWR, &user->why));
	REQUEST(user->group, VFIO_GROUP_SET_CONTAINER, &user->container);
	REQUEST(user->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	user->device = (int)REQUEST(user->group, VFIO_GROUP_GET_DEVICE_FD, name);
	user->memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map.vaddr = (uintptr_t)user->memory;
	REQUEST(user->container, VFIO_IOMMU_MAP_DMA, &map);
	ACCEPTED(isolde_pwrite(user->machine, user->device, &command, 2, CONFIG(PCI_COMMAND), &user->why));
	return user;
}

static void user_free(struct user *user)
{
	isolde_machine_check(user->machine);
	isolde_close(user->machine, user->device);
	isolde_close(user->machine, user->group);
	isolde_close(user->machine, user->container);
	isolde_machine_check(user->machine);
	isolde_machine_free(user->machine);
	munmap(user->memory, SIZE);
	free(user);
}

static u64 load(struct user *user, u64 offset, unsigned width)
{
	u64 value = 0;

	ACCEPTED(isolde_pread(user->machine, user->device, &value, width, offset, &user->why));
	return value;
}

static void store(struct user *user, u64 offset, unsigned width, u64 value)
{
	ACCEPTED(isolde_pwrite(user->machine, user->device, &value, width, offset, &user->why));
}

static void await(struct user *user, u64 offset, unsigned width, u64 mask, u64 value)
{
	for (unsigned i = 0; i < 1000000; i++)
		if ((load(user, offset, width) & mask) == value)
			return;
	fail_msg("register %#llx is %#llx", (unsigned long long)offset, (unsigned long long)load(user, offset, width));
}

/* One vector of MSI-X, as the first enabling; its eventfd. */
static int listen_to(struct user *user, u32 vector)
{
	struct {
		struct vfio_irq_set head;
		s32 fd;
	} set = {{24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, vector, 1},
		 eventfd(0, 0)};

	REQUEST(user->device, VFIO_DEVICE_SET_IRQS, &set);
	return set.fd;
}

TEST(accelerators, ioat_copies_for_a_program)
{
	struct user *user = user_new(IOAT);
	struct ioat_descriptor *descriptor = (void *)user->memory;
	int vector = listen_to(user, 0);
	u64 events;

	assert_int_equal(load(user, REGISTER(IOAT_CBVER), 1), 0x32); /* 3.2 */
	assert_int_equal(load(user, REGISTER(IOAT_XFERCAP), 1), 14);
	store(user, REGISTER(IOAT_CHANCMD), 1, IOAT_CHANCMD_RESET);
	assert_int_equal(load(user, REGISTER(IOAT_CHANSTS), 8), IOAT_HALTED);
	store(user, REGISTER(IOAT_INTRCTRL), 1, IOAT_INTRCTRL_MSIX_VECTORS);
	memset(user->memory + 0x10000, 0x42, 0x4000);
	*descriptor = (struct ioat_descriptor){.size = 0x4000,
					       .control = IOAT_CONTROL_INT,
					       .source = IOVA + 0x10000,
					       .destination = IOVA + 0x20000,
					       .next = IOVA};
	store(user, REGISTER(IOAT_CHAINADDR), 8, IOVA);
	store(user, REGISTER(IOAT_CHANCTRL), 2, 0x9);
	store(user, REGISTER(IOAT_DMACOUNT), 2, 1);
	assert_int_equal(read(vector, &events, 8), 8);
	assert_int_equal(events, 1);
	await(user, REGISTER(IOAT_CHANSTS), 8, ~0ull, IOVA | IOAT_DONE);
	assert_memory_equal(user->memory + 0x10000, user->memory + 0x20000, 0x4000);
	close(vector);
	user_free(user);
}

/* The errors that the device keeps in configuration space are for the program, too. */
TEST(accelerators, ioat_errors_reach_configuration_space)
{
	struct user *user = user_new(IOAT);

	assert_int_equal(load(user, CONFIG(IOAT_CONFIG_UNCERRSTS), 4), 0);
	store(user, REGISTER(IOAT_CHAINADDR), 8, IOVA + 7);
	store(user, REGISTER(IOAT_DMACOUNT), 2, 1);
	await(user, REGISTER(IOAT_CHANERR), 4, ~0u, IOAT_ERR_CHAIN_ADDRESS);
	assert_int_equal(load(user, CONFIG(IOAT_CONFIG_CHANERR_INT), 4), IOAT_ERR_CHAIN_ADDRESS);
	store(user, CONFIG(IOAT_CONFIG_CHANERR_INT), 4, IOAT_ERR_CHAIN_ADDRESS);
	assert_int_equal(load(user, CONFIG(IOAT_CONFIG_CHANERR_INT), 4), 0);
	user_free(user);
}

static struct pci_function *function_of(struct user *user, const char *name)
{
	struct device *device;

	list_for_each(device, &user->machine->machine->devices, link)
		if (strcmp(device->name, name) == 0)
			return device->function;
	return NULL;
}

/* MOVDIR64B, as the trap of a precise page would make it. */
static void submit(struct user *user, const struct dsa_descriptor *descriptor)
{
	struct pci_function *function = function_of(user, DSA);
	struct pci_access access = {.kind = PCI_ACCESS_STORE, .bar = 2, .width = 64};

	memcpy(access.data, descriptor, sizeof(*descriptor));
	mutex_lock(&user->machine->machine->lock);
	function->ops->access(function, &access);
	mutex_unlock(&user->machine->machine->lock);
}

static void dsa_command(struct user *user, enum dsa_command command, u32 operand)
{
	store(user, REGISTER(DSA_CMD), 4, (u32)command << 20 | operand);
	await(user, REGISTER(DSA_CMDSTS), 4, DSA_CMDSTS_ACTIVE, 0);
	assert_int_equal(load(user, REGISTER(DSA_CMDSTS), 4), 0);
}

TEST(accelerators, dsa_copies_for_a_program)
{
	struct user *user = user_new(DSA);
	struct dsa_record *record = (void *)user->memory;
	int vector = listen_to(user, 1);
	u64 events;

	dsa_command(user, DSA_RESET_DEVICE, 0);
	assert_int_equal(load(user, REGISTER(DSA_GENCAP), 8) >> 16 & 0x1ff, 5 << 5 | 16);
	store(user, REGISTER(DSA_WQCFG), 4, 128);
	store(user, REGISTER(DSA_WQCFG + 4 * DSA_WQ_MODE), 4, 0x11);
	store(user, REGISTER(DSA_WQCFG + 4 * DSA_WQ_LIMITS), 4, 5 << 5 | 16);
	store(user, REGISTER(DSA_GRPCFG), 8, 1);
	store(user, REGISTER(DSA_GRPCFG + 32), 8, 1);
	dsa_command(user, DSA_ENABLE_DEVICE, 0);
	dsa_command(user, DSA_ENABLE_WQ, 0);
	memset(user->memory + 0x10000, 0x42, 0x10000);
	submit(user, &(struct dsa_descriptor){.flags = DSA_OP_MOVE << 24 | 0x1c,
					      .record = IOVA,
					      .source = IOVA + 0x10000,
					      .destination = IOVA + 0x20000,
					      .size = 0x10000,
					      .interrupt = 1});
	assert_int_equal(read(vector, &events, 8), 8);
	assert_int_equal(record->status, DSA_SUCCESS);
	assert_memory_equal(user->memory + 0x10000, user->memory + 0x20000, 0x10000);
	close(vector);
	user_free(user);
}

static u16 pasid_control(struct user *user)
{
	const struct pci_function *function = function_of(user, DSA);

	return get_u16(function->config + function->cap_pasid + 6);
}

/* The IOMMU's driver has switched them on when it found the device, and a reset must not undo that. */
TEST(accelerators, pasids_are_enabled_and_stay_so)
{
	struct user *user = user_new(DSA);

	assert_int_equal(pasid_control(user), PCI_PASID_ENABLE | PCI_PASID_EXECUTE | PCI_PASID_PRIVILEGED);
	REQUEST(user->device, VFIO_DEVICE_RESET, 0);
	assert_int_equal(pasid_control(user), PCI_PASID_ENABLE | PCI_PASID_EXECUTE | PCI_PASID_PRIVILEGED);
	user_free(user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(accelerators, ioat_copies_for_a_program),
		CASE(accelerators, ioat_errors_reach_configuration_space),
		CASE(accelerators, dsa_copies_for_a_program),
		CASE(accelerators, pasids_are_enabled_and_stay_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
