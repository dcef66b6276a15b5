/* SPDX-License-Identifier: MIT */
/*
 * include/isolde/iommu.h, call by call, on the machine "default": as a kernel driver written against it sees it. What
 * the machine's devices lack (PASIDs, ATS, PRI) is given to them behind the library's back.
 */
#include "isolde/iommu.h"

#include "tests/fixtures/told.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/journal.h"
#include "machine/api.h"
#include "machine/machine.h"

#define NVME  "0000:01:00.0"
#define NIC   "0000:02:00.0"
#define NIC_B "0000:02:00.1"

struct fixture {
	struct isolde_machine *machine;
	struct isolde_device *nvme, *nic, *nic_b;
	struct isolde_owner *owner;
	struct isolde_domain *domain, *other;
	struct isolde_handle *handle, *second_handle;
	u8 *memory; /* 4 pages */
	struct isolde_why why;
	struct why expected;
};

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call)      ASSERT_OK(f->expected, told(f, call))
#define NAMES(needle) EXPECT_SUBSTR(needle, f->expected.text)

/* What the description of the machine cannot say. */
static void give_abilities(struct isolde_device *device)
{
	device->core->max_pasids = 64;
	device->core->unit->max_pasids = 64;
	device->core->function->cap_ats = 0x100;
	device->core->function->cap_pri = 0x120;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	OK(isolde_machine_new(NULL, &f->machine, &f->why));
	OK(isolde_device_get(f->machine, NVME, &f->nvme, &f->why));
	OK(isolde_device_get(f->machine, NIC, &f->nic, &f->why));
	OK(isolde_device_get(f->machine, NIC_B, &f->nic_b, &f->why));
	give_abilities(f->nvme);
	give_abilities(f->nic);
	give_abilities(f->nic_b);
	OK(isolde_driver_unbind(f->nvme, &f->why));
	OK(isolde_owner_new(f->machine, "the test's driver", &f->owner, &f->why));
	OK(isolde_domain_new(f->nvme, "queues of the test", &f->domain, &f->why));
	OK(isolde_domain_new(f->nvme, NULL, &f->other, &f->why));
	OK(isolde_handle_new(f->machine, &f->handle, &f->why));
	OK(isolde_handle_new(f->machine, &f->second_handle, &f->why));
	f->memory = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	isolde_machine_check(f->machine);
	OK(isolde_handle_free(f->handle, &f->why));
	OK(isolde_handle_free(f->second_handle, &f->why));
	OK(isolde_domain_free(f->domain, &f->why));
	OK(isolde_domain_free(f->other, &f->why));
	OK(isolde_owner_free(f->owner, &f->why));
	isolde_machine_free(f->machine);
	munmap(f->memory, 4 * PAGE_SIZE);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void api_iommu_##name##_body(struct fixture *f);                                                        \
	static void api_iommu_##name(void **state)                                                                     \
	{                                                                                                              \
		api_iommu_##name##_body(*state);                                                                       \
	}                                                                                                              \
	static void api_iommu_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(api_iommu_##name, setup, teardown)

static void expect_journal(struct fixture *f, const char *request, enum why_code code)
{
	struct journal *journal = &f->machine->machine->journal;
	struct journal_entry entry;

	assert_true(journal_read(journal, journal_last_serial(journal), &entry));
	assert_string_equal(entry.request, request);
	assert_int_equal(entry.why.code, code);
	assert_int_equal(entry.pid, getpid());
}

static void master(struct isolde_device *device)
{
	pci_config_write(device->core->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
}

/* ---- devices and drivers ---- */

TEST_F(devices_are_found_by_address)
{
	struct isolde_device *device = NULL;

	OK(isolde_device_get(f->machine, NVME, &device, &f->why));
	assert_ptr_equal(device, f->nvme);
	EXPECT_REFUSED(DEVICE_UNKNOWN, f->expected,
		       told(f, isolde_device_get(f->machine, "0000:77:00.0", &device, &f->why)));
	NAMES("0000:77:00.0");
	expect_journal(f, "device_get", WHY_DEVICE_UNKNOWN);
	EXPECT_REFUSED(DEVICE_UNKNOWN, f->expected, told(f, isolde_device_get(f->machine, "nvme0", &device, &f->why)));
	EXPECT_REFUSED(DEVICE_UNKNOWN, f->expected, told(f, isolde_device_get(f->machine, "", &device, &f->why)));
	assert_int_equal(isolde_device_group(f->nic), isolde_device_group(f->nic_b));
	assert_int_not_equal(isolde_device_group(f->nic), isolde_device_group(f->nvme));
	assert_int_equal(isolde_device_max_pasids(f->nic), 64);
	/* A caller that does not care why. */
	assert_int_equal(isolde_device_get(f->machine, "nvme0", &device, NULL), -ENODEV);
}

TEST_F(drivers_bind_and_unbind)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = "mine", .intent = ISOLDE_INTENT_DMA};
	char text[64] = "";

	EXPECT_REFUSED(DEVICE_UNBOUND, f->expected, told(f, isolde_driver_unbind(f->nvme, &f->why)));
	NAMES(NVME);
	EXPECT_REFUSED(DEVICE_BOUND, f->expected, told(f, isolde_driver_bind(f->nic, &driver, &f->why)));
	NAMES("mine cannot have " NIC ": e1000e has it");
	expect_journal(f, "driver_bind", WHY_DEVICE_BOUND);
	OK(isolde_driver_bind(f->nvme, &driver, &f->why));
	OK(isolde_attribute_read(f->machine, "sys/bus/pci/drivers/mine/" NVME "/vendor", text, sizeof(text), &f->why));
	assert_string_equal(text, "0x1b36\n");
	assert_true(isolde_group_claimed(f->nvme));
	isolde_machine_check(f->machine);
	OK(isolde_driver_unbind(f->nvme, &f->why));
	assert_false(isolde_group_claimed(f->nvme));
	/* What it had declared went with it. */
	assert_int_equal(f->nvme->core->intent, INTENT_UNDECLARED);
	/* One that manages its DMA itself is no user of the group. */
	driver = (struct isolde_driver){.size = sizeof(driver), .name = "manages", .managed_dma = true};
	OK(isolde_driver_bind(f->nvme, &driver, &f->why));
	assert_false(isolde_group_claimed(f->nvme));
	OK(isolde_driver_unbind(f->nvme, &f->why));
}

TEST_F(descriptions_of_drivers_are_checked)
{
	struct isolde_driver driver = {.size = sizeof(driver) - 1, .name = "mine"};

	EXPECT_REFUSED(OPTIONS_SIZE, f->expected, told(f, isolde_driver_bind(f->nvme, &driver, &f->why)));
	driver.size++;
	driver.name = NULL;
	EXPECT_REFUSED(DRIVER_NAME, f->expected, told(f, isolde_driver_bind(f->nvme, &driver, &f->why)));
	driver.name = "a/b";
	EXPECT_REFUSED(DRIVER_NAME, f->expected, told(f, isolde_driver_bind(f->nvme, &driver, &f->why)));
	NAMES("a/b");
	driver.name = "a-name-of-exactly-thirty-two-byt";
	EXPECT_REFUSED(DRIVER_NAME, f->expected, told(f, isolde_driver_bind(f->nvme, &driver, &f->why)));
	driver.name = "mine";
	driver.intent = 1 << 4;
	EXPECT_REFUSED(INTENT_CONTRADICTORY, f->expected, told(f, isolde_driver_bind(f->nvme, &driver, &f->why)));
	NAMES("mine declares 0x10");
	driver.intent = ISOLDE_INTENT_SOFTWARE | ISOLDE_INTENT_DMA;
	EXPECT_REFUSED(INTENT_CONTRADICTORY, f->expected, told(f, isolde_driver_bind(f->nvme, &driver, &f->why)));
	isolde_machine_check(f->machine);
}

TEST_F(an_owned_group_refuses_drivers_and_a_driven_one_owners)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = "mine", .intent = ISOLDE_INTENT_DMA};

	OK(isolde_device_claim(f->nvme, f->owner, &f->why));
	EXPECT_REFUSED(GROUP_OWNED, f->expected, told(f, isolde_driver_bind(f->nvme, &driver, &f->why)));
	NAMES("the test's driver");
	assert_int_equal(f->nvme->core->intent, INTENT_UNDECLARED);
	isolde_machine_check(f->machine);
	OK(isolde_device_release(f->nvme, &f->why));
	EXPECT_REFUSED(GROUP_NOT_VIABLE, f->expected, told(f, isolde_group_claim(f->nic, f->owner, &f->why)));
	NAMES(NIC " is bound to e1000e");
	EXPECT_REFUSED(GROUP_NOT_VIABLE, f->expected, told(f, isolde_device_claim(f->nic_b, f->owner, &f->why)));
	expect_journal(f, "device_claim", WHY_GROUP_NOT_VIABLE);
}

TEST_F(owners_are_counted_and_named)
{
	struct isolde_owner *stranger = NULL;

	OK(isolde_owner_new(f->machine, NULL, &stranger, &f->why));
	EXPECT_REFUSED(OWNER_MISSING, f->expected, told(f, isolde_group_claim(f->nvme, NULL, &f->why)));
	EXPECT_REFUSED(RELEASE_UNOWNED, f->expected, told(f, isolde_group_release(f->nvme, &f->why)));
	EXPECT_REFUSED(RELEASE_UNOWNED, f->expected, told(f, isolde_device_release(f->nvme, &f->why)));
	OK(isolde_group_claim(f->nvme, f->owner, &f->why));
	OK(isolde_device_claim(f->nvme, f->owner, &f->why));
	isolde_machine_check(f->machine);
	EXPECT_REFUSED(GROUP_CLAIMED, f->expected, told(f, isolde_device_claim(f->nvme, stranger, &f->why)));
	NAMES("the test's driver");
	EXPECT_REFUSED(GROUP_CLAIMED, f->expected, told(f, isolde_group_claim(f->nvme, f->owner, &f->why)));
	EXPECT_REFUSED(OWNER_BUSY, f->expected, told(f, isolde_owner_free(f->owner, &f->why)));
	NAMES("the test's driver still holds group");
	OK(isolde_device_release(f->nvme, &f->why));
	EXPECT_REFUSED(RELEASE_UNOWNED, f->expected, told(f, isolde_device_release(f->nvme, &f->why)));
	OK(isolde_group_release(f->nvme, &f->why));
	OK(isolde_device_claim(f->nvme, stranger, &f->why));
	EXPECT_REFUSED(GROUP_CLAIMED, f->expected, told(f, isolde_device_claim(f->nvme, f->owner, &f->why)));
	NAMES("an owner without a name");
	OK(isolde_device_release(f->nvme, &f->why));
	OK(isolde_owner_free(stranger, &f->why));
	OK(isolde_owner_free(NULL, &f->why));
}

/* ---- domains ---- */

static int map(struct fixture *f, u64 iova, void *at, u64 size, unsigned flags)
{
	return isolde_domain_map(f->domain, iova, at, size, flags, &f->why);
}

TEST_F(maps_are_checked_like_iommu_map)
{
	const unsigned rw = ISOLDE_MAP_READ | ISOLDE_MAP_WRITE;
	void *hole = f->memory + 3 * PAGE_SIZE;

	EXPECT_REFUSED(MAP_INVALID, f->expected, told(f, map(f, 0x10000, f->memory, 0, rw)));
	EXPECT_REFUSED(MAP_INVALID, f->expected, told(f, map(f, 0x10800, f->memory, PAGE_SIZE, rw)));
	NAMES("0x10800");
	EXPECT_REFUSED(MAP_INVALID, f->expected, told(f, map(f, 0x10000, f->memory + 8, PAGE_SIZE, rw)));
	EXPECT_REFUSED(MAP_INVALID, f->expected, told(f, map(f, 0x10000, f->memory, PAGE_SIZE + 1, rw)));
	EXPECT_REFUSED(MAP_INVALID, f->expected, told(f, map(f, 0x10000, f->memory, PAGE_SIZE, 0)));
	EXPECT_REFUSED(MAP_INVALID, f->expected, told(f, map(f, 0x10000, f->memory, PAGE_SIZE, 4)));
	NAMES("flags 0x4");
	EXPECT_REFUSED(MAP_BEYOND, f->expected, told(f, map(f, BIT(48), f->memory, PAGE_SIZE, rw)));
	NAMES("0xffffffffffff");
	EXPECT_REFUSED(MAP_BEYOND, f->expected,
		       told(f, map(f, UINT64_MAX - PAGE_SIZE + 1, f->memory, 2 * PAGE_SIZE, rw)));
	OK(map(f, 0x10000, f->memory, 2 * PAGE_SIZE, rw));
	EXPECT_REFUSED(MAP_TAKEN, f->expected, told(f, map(f, 0x11000, f->memory, PAGE_SIZE, rw)));
	NAMES("[0x10000, 0x11fff]");
	expect_journal(f, "domain_map", WHY_MAP_TAKEN);
	munmap(hole, PAGE_SIZE);
	EXPECT_REFUSED(CLIENT_FAULT, f->expected, told(f, map(f, 0x20000, hole, PAGE_SIZE, rw)));
	isolde_machine_check(f->machine);
}

TEST_F(unmap_tells_how_much_and_stops_at_holes)
{
	OK(map(f, 0x10000, f->memory, 2 * PAGE_SIZE, ISOLDE_MAP_READ));
	OK(map(f, 0x12000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ));
	OK(map(f, 0x14000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ));
	assert_int_not_equal(isolde_domain_iova_to_phys(f->domain, 0x10000), 0);
	assert_int_equal(isolde_domain_iova_to_phys(f->domain, 0x11010) -
				 isolde_domain_iova_to_phys(f->domain, 0x10000),
			 0x1010);
	assert_int_equal(isolde_domain_iova_to_phys(f->domain, 0x13000), 0);
	assert_int_equal(isolde_domain_unmap(f->domain, 0x10000, 0), 0);
	assert_int_equal(isolde_domain_unmap(f->domain, 0x10001, PAGE_SIZE), 0);
	assert_int_equal(isolde_domain_unmap(f->domain, 0x13000, PAGE_SIZE), 0);
	/* One call's mapping goes whole. */
	assert_int_equal(isolde_domain_unmap(f->domain, 0x11000, PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(isolde_domain_iova_to_phys(f->domain, 0x10000), 0);
	assert_int_equal(isolde_domain_unmap(f->domain, 0x12000, 4 * PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(isolde_domain_unmap(f->domain, 0x14000, 64 * PAGE_SIZE), PAGE_SIZE);
}

struct heard {
	unsigned count;
	u64 iova;
	u32 pasid;
	bool write;
	char text[240];
};

static void hear(void *context, const struct isolde_fault *fault)
{
	struct heard *heard = context;

	heard->count++;
	heard->iova = fault->iova;
	heard->pasid = fault->pasid;
	heard->write = fault->write;
	snprintf(heard->text, sizeof(heard->text), "%s", fault->text);
}

TEST_F(a_driver_does_dma_to_this_process)
{
	struct heard heard = {};
	char bytes[6] = "";

	master(f->nvme);
	OK(isolde_attach_device(f->domain, f->nvme, &f->why));
	isolde_domain_on_fault(f->domain, hear, &heard);
	OK(map(f, 0x10000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE));
	OK(map(f, 0x11000, f->memory + PAGE_SIZE, PAGE_SIZE, ISOLDE_MAP_READ));
	OK(isolde_dma_write(f->nvme, 0, 0x10010, "hello", 6, &f->why));
	assert_string_equal((char *)f->memory + 0x10, "hello");
	OK(isolde_dma_read(f->nvme, 0, 0x10010, bytes, 6, &f->why));
	assert_string_equal(bytes, "hello");
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_write(f->nvme, 0, 0x11000, "x", 1, &f->why)));
	NAMES(NVME " may not write 0x1 bytes at IOVA 0x11000");
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.iova, 0x11000);
	assert_true(heard.write);
	EXPECT_SUBSTR("the mapping forbids it", heard.text);
	isolde_domain_unmap(f->domain, 0x10000, PAGE_SIZE);
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_read(f->nvme, 0, 0x10010, bytes, 6, &f->why)));
	NAMES("not mapped; the nearest mapping is [0x11000, 0x11fff]");
	assert_int_equal(heard.count, 2);
	isolde_domain_on_fault(f->domain, NULL, NULL);
	assert_int_equal(isolde_dma_read(f->nvme, 0, 0x10010, bytes, 6, NULL), -EFAULT);
	assert_int_equal(heard.count, 2);
	pci_config_write(f->nvme->core->function, PCI_COMMAND, 2, 0);
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_read(f->nvme, 0, 0x11000, bytes, 6, &f->why)));
	NAMES(NVME " is no bus master");
	OK(isolde_detach_device(f->domain, f->nvme, &f->why));
}

/* ---- attach ---- */

TEST_F(forms_of_attach)
{
	EXPECT_REFUSED(GROUP_SHARED, f->expected, told(f, isolde_attach_device(f->domain, f->nic, &f->why)));
	NAMES(NIC);
	EXPECT_REFUSED(NOT_ATTACHED, f->expected, told(f, isolde_detach_device(f->domain, f->nvme, &f->why)));
	NAMES("queues of the test");
	OK(isolde_attach_group(f->domain, f->nvme, &f->why));
	EXPECT_REFUSED(DOMAIN_ATTACHED, f->expected, told(f, isolde_attach_group(f->other, f->nvme, &f->why)));
	NAMES("queues of the test");
	EXPECT_REFUSED(DOMAIN_BUSY, f->expected, told(f, isolde_domain_free(f->domain, &f->why)));
	NAMES("queues of the test");
	OK(isolde_detach_group(f->nvme, &f->why));
	EXPECT_REFUSED(HANDLE_MISSING, f->expected,
		       told(f, isolde_attach_group_handle(f->domain, f->nvme, NULL, &f->why)));
	OK(isolde_attach_group_handle(f->domain, f->nvme, f->handle, &f->why));
	EXPECT_REFUSED(HANDLE_TAKEN, f->expected,
		       told(f, isolde_attach_group_handle(f->domain, f->nvme, f->second_handle, &f->why)));
	EXPECT_REFUSED(HANDLE_BUSY, f->expected, told(f, isolde_handle_free(f->handle, &f->why)));
	NAMES("is attached with the handle");
	EXPECT_REFUSED(HANDLE_MISSING, f->expected,
		       told(f, isolde_replace_group_handle(NULL, f->nvme, f->second_handle, &f->why)));
	OK(isolde_replace_group_handle(f->other, f->nvme, f->second_handle, &f->why));
	OK(isolde_handle_free(f->handle, &f->why));
	OK(isolde_handle_new(f->machine, &f->handle, &f->why));
	isolde_machine_check(f->machine);
	OK(isolde_detach_group(f->nvme, &f->why));
	OK(isolde_detach_group(f->nvme, &f->why)); /* nothing attached: nothing happens */
}

TEST_F(device_by_device)
{
	OK(isolde_driver_unbind(f->nic, &f->why));
	OK(isolde_driver_unbind(f->nic_b, &f->why));
	OK(isolde_device_claim(f->nic, f->owner, &f->why));
	OK(isolde_attach(f->domain, f->nic, 0, NULL, &f->why));
	EXPECT_REFUSED(ATTACHED_ELSEWHERE, f->expected, told(f, isolde_attach(f->other, f->nic_b, 0, NULL, &f->why)));
	NAMES(NIC " of the same group");
	NAMES("queues of the test");
	EXPECT_REFUSED(ATTACHED_ALREADY, f->expected, told(f, isolde_attach(f->domain, f->nic, 0, NULL, &f->why)));
	OK(isolde_attach(f->domain, f->nic_b, 0, NULL, &f->why));
	/* Who is attached by itself is not moved by calls for the group, nor released. */
	EXPECT_REFUSED(ATTACHED_BY_DEVICE, f->expected, told(f, isolde_detach_group(f->nic, &f->why)));
	NAMES(NIC);
	EXPECT_REFUSED(ATTACHED_BY_DEVICE, f->expected,
		       told(f, isolde_replace_group_handle(f->other, f->nic, f->handle, &f->why)));
	EXPECT_REFUSED(RELEASE_ATTACHED, f->expected, told(f, isolde_device_release(f->nic, &f->why)));
	EXPECT_REFUSED(RELEASE_ATTACHED, f->expected, told(f, isolde_group_release(f->nic, &f->why)));
	isolde_detach(f->nic, 0);
	isolde_detach(f->nic, 0);
	isolde_machine_check(f->machine);
	OK(isolde_replace(f->other, f->nic_b, 0, f->handle, &f->why));
	EXPECT_REFUSED(NOT_ATTACHED, f->expected,
		       told(f, isolde_replace(f->other, f->nic, 0, f->second_handle, &f->why)));
	isolde_detach(f->nic_b, 0);
	OK(isolde_device_release(f->nic, &f->why));
}

TEST_F(pasids)
{
	u32 pasid = 0;

	master(f->nvme);
	OK(map(f, 0x10000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE));
	OK(isolde_pasid_alloc(f->nvme, &pasid, &f->why));
	assert_int_equal(pasid, 1);
	EXPECT_REFUSED(PASID_ZERO, f->expected, told(f, isolde_attach_pasid(f->domain, f->nvme, 0, NULL, &f->why)));
	EXPECT_REFUSED(PASID_TOO_LARGE, f->expected,
		       told(f, isolde_attach_pasid(f->domain, f->nvme, 64, NULL, &f->why)));
	NAMES(NVME);
	OK(isolde_attach_pasid(f->domain, f->nvme, pasid, NULL, &f->why));
	OK(isolde_dma_write(f->nvme, pasid, 0x10000, "x", 1, &f->why));
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_write(f->nvme, 0, 0x10000, "x", 1, &f->why)));
	EXPECT_REFUSED(PASID_TAKEN, f->expected, told(f, isolde_attach_pasid(f->other, f->nvme, pasid, NULL, &f->why)));
	OK(isolde_replace_pasid(f->other, f->nvme, pasid, f->handle, &f->why));
	EXPECT_REFUSED(HANDLE_REUSED, f->expected,
		       told(f, isolde_replace_pasid(f->domain, f->nvme, pasid, f->handle, &f->why)));
	EXPECT_REFUSED(HANDLE_BUSY, f->expected, told(f, isolde_handle_free(f->handle, &f->why)));
	NAMES("PASID 1");
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_write(f->nvme, pasid, 0x10000, "x", 1, &f->why)));
	NAMES("with PASID 1");
	OK(isolde_detach_pasid(f->nvme, pasid, &f->why));
	OK(isolde_detach_pasid(f->nvme, pasid, &f->why));
	OK(isolde_attach(f->domain, f->nvme, pasid, f->handle, &f->why));
	EXPECT_REFUSED(ATTACHED_BY_DEVICE, f->expected, told(f, isolde_detach_pasid(f->nvme, pasid, &f->why)));
	EXPECT_REFUSED(ATTACHED_BY_DEVICE, f->expected,
		       told(f, isolde_replace_pasid(f->other, f->nvme, pasid, f->second_handle, &f->why)));
	isolde_detach(f->nvme, pasid);
	isolde_pasid_free(f->machine, pasid);
	isolde_pasid_free(f->machine, pasid);
	isolde_pasid_free(f->machine, 12345);
	f->nvme->core->max_pasids = 0;
	EXPECT_REFUSED(PASID_NONE_FREE, f->expected, told(f, isolde_pasid_alloc(f->nvme, &pasid, &f->why)));
}

/* A program in the room unbinds the driver while its PASIDs are attached: refused, not a crash. */
TEST_F(a_driver_with_pasids_cannot_be_unbound_behind_its_back)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = "mine"};

	OK(isolde_driver_bind(f->nvme, &driver, &f->why));
	OK(isolde_attach_pasid(f->domain, f->nvme, 3, NULL, &f->why));
	EXPECT_REFUSED(UNUSE_PASIDS, f->expected,
		       told(f, isolde_attribute_write(f->machine, "sys/bus/pci/drivers/mine/unbind", NVME, strlen(NVME),
						      &f->why)));
	NAMES("mine leaves " NVME);
	EXPECT_REFUSED(UNUSE_PASIDS, f->expected, told(f, isolde_driver_unbind(f->nvme, &f->why)));
	isolde_machine_check(f->machine);
	OK(isolde_detach_pasid(f->nvme, 3, &f->why));
	OK(isolde_attribute_write(f->machine, "sys/bus/pci/drivers/mine/unbind", NVME, strlen(NVME), &f->why));
}

TEST_F(virtual_pasids)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = "dma-only", .intent = ISOLDE_INTENT_DMA};

	OK(isolde_driver_bind(f->nvme, &driver, &f->why));
	EXPECT_REFUSED(INTENT_NO_ENQCMD, f->expected, told(f, isolde_enqcmd_set(f->nvme, 1, 5, &f->why)));
	NAMES("DMA with its requester id");
	OK(isolde_driver_unbind(f->nvme, &f->why));
	OK(isolde_enqcmd_set(f->nvme, 1, 5, &f->why));
	EXPECT_REFUSED(PASID_TAKEN, f->expected, told(f, isolde_enqcmd_set(f->nvme, 1, 6, &f->why)));
	isolde_enqcmd_clear(f->nvme, 1);
	isolde_enqcmd_clear(f->nvme, 1);
	OK(isolde_enqcmd_set(f->nvme, 1, 6, &f->why));
	isolde_enqcmd_clear(f->nvme, 1);
}

TEST_F(the_processs_own_addresses)
{
	u32 pasid = 0, again = 0;

	master(f->nic);
	OK(isolde_sva_bind(f->nic, &pasid, &f->why));
	OK(isolde_sva_bind(f->nic_b, &again, &f->why));
	assert_int_equal(pasid, again);
	OK(isolde_dma_write(f->nic, pasid, (uintptr_t)f->memory + 3, "sva", 4, &f->why));
	assert_string_equal((char *)f->memory + 3, "sva");
	/* Each counts its own: one too many of this one does not take the sibling's. */
	isolde_sva_unbind(f->nic_b);
	isolde_sva_unbind(f->nic_b);
	OK(isolde_dma_write(f->nic, pasid, (uintptr_t)f->memory, "y", 1, &f->why));
	isolde_sva_unbind(f->nic);
	EXPECT_REFUSED(DMA_FAULT, f->expected,
		       told(f, isolde_dma_write(f->nic, pasid, (uintptr_t)f->memory, "y", 1, &f->why)));
	isolde_sva_unbind(f->nic);
	/* One that is left is taken back with the machine. */
	OK(isolde_sva_bind(f->nic, &again, &f->why));
	assert_int_equal(pasid, again);
}

TEST_F(alias_sets)
{
	EXPECT_REFUSED(ALIAS_OFF, f->expected, told(f, isolde_attach_alias_set(f->domain, f->nic, &f->why)));
	NAMES(NIC);
	f->machine->machine->iommu.options.alias_domains = true;
	OK(isolde_attach_alias_set(f->domain, f->nic, &f->why));
	/* Two functions with requester ids of their own: two sets. */
	assert_ptr_equal(f->nic->core->own_domain, f->domain->core);
	assert_null(f->nic_b->core->own_domain);
	isolde_machine_check(f->machine);
	isolde_detach_alias_set(f->nic);
	isolde_detach_alias_set(f->nic);
}

TEST_F(what_is_no_hardware)
{
	struct isolde_device *mdev = NULL;
	struct isolde_driver driver = {.size = sizeof(driver), .name = "vgpu", .intent = ISOLDE_INTENT_SOFTWARE};
	struct isolde_domain *domain = NULL;
	u8 byte = 0;

	OK(isolde_device_emulate(f->machine, "mdev-7", f->nvme, &mdev, &f->why));
	assert_true(isolde_device_group(mdev) >= 0);
	assert_int_equal(isolde_device_max_pasids(mdev), 0);
	OK(isolde_driver_bind(mdev, &driver, &f->why));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_domain_new(mdev, "none", &domain, &f->why)));
	NAMES("mdev-7");
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_attach_device(f->domain, mdev, &f->why)));
	EXPECT_REFUSED(DOMAIN_FOREIGN, f->expected, told(f, isolde_attach_group(f->domain, mdev, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected,
		       told(f, isolde_replace_group_handle(f->domain, mdev, f->handle, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_attach(f->domain, mdev, 0, NULL, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_attach_pasid(f->domain, mdev, 3, NULL, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_group_claim(mdev, f->owner, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_device_claim(mdev, f->owner, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_sva_bind(mdev, &(u32){0}, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_dma_read(mdev, 0, 0, &byte, 1, &f->why)));
	EXPECT_REFUSED(PAGE_NO_PRI, f->expected, told(f, isolde_page_enable(mdev, NULL, NULL, &f->why)));
	OK(isolde_reset_prepare(mdev, &f->why));
	isolde_reset_done(mdev);
	isolde_detach(mdev, 0);
	isolde_sva_unbind(mdev);
	isolde_machine_check(f->machine);
	OK(isolde_driver_unbind(mdev, &f->why));
}

/* ---- page requests, end to end ---- */

struct ears {
	unsigned count;
	struct isolde_page_request last;
	enum isolde_page_answer answer;
};

static void listen(void *context, const struct isolde_page_request *last, enum isolde_page_answer answer)
{
	struct ears *ears = context;

	ears->count++;
	ears->last = *last;
	ears->answer = answer;
}

static int ask(struct fixture *f, u64 iova, u16 group, bool last)
{
	const struct isolde_page_request request = {
		.iova = iova, .flags = ISOLDE_MAP_WRITE, .group = group, .last = last};

	return isolde_page_request(f->nvme, &request, &f->why);
}

TEST_F(a_device_asks_for_a_page_and_the_driver_maps_it)
{
	struct isolde_page_group *group;
	const struct isolde_page_request *requests;
	struct ears ears = {};
	size_t count = 0;

	master(f->nvme);
	EXPECT_REFUSED(PAGE_NO_PRI, f->expected, told(f, ask(f, 0x10000, 7, true)));
	OK(isolde_page_enable(f->nvme, listen, &ears, &f->why));
	EXPECT_REFUSED(PAGE_ENABLED, f->expected, told(f, isolde_page_enable(f->nvme, listen, &ears, &f->why)));
	EXPECT_REFUSED(PAGE_NO_HANDLER, f->expected, told(f, ask(f, 0x10000, 7, true)));
	expect_journal(f, "page_request", WHY_PAGE_NO_HANDLER);
	assert_int_equal(ears.answer, ISOLDE_PAGE_INVALID);
	OK(isolde_attach_group_handle(f->domain, f->nvme, f->handle, &f->why));
	EXPECT_REFUSED(PAGE_NO_HANDLER, f->expected, told(f, ask(f, 0x10000, 7, true))); /* nobody reads it yet */
	isolde_handle_accept_pages(f->handle);
	assert_null(isolde_handle_next_pages(f->handle));
	OK(ask(f, 0x10000, 7, false));
	OK(ask(f, 0x11000, 7, true));
	group = isolde_handle_next_pages(f->handle);
	assert_non_null(group);
	assert_null(isolde_handle_next_pages(f->handle));
	requests = isolde_page_group_requests(group, &count);
	assert_int_equal(count, 2);
	assert_int_equal(requests[0].iova, 0x10000);
	assert_int_equal(requests[1].iova, 0x11000);
	assert_int_equal(requests[1].flags, ISOLDE_MAP_WRITE);
	assert_true(requests[1].last);
	OK(map(f, requests[0].iova, f->memory, 2 * PAGE_SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE));
	isolde_page_group_answer(group, ISOLDE_PAGE_SUCCESS);
	assert_int_equal(ears.count, 3);
	assert_int_equal(ears.answer, ISOLDE_PAGE_SUCCESS);
	assert_int_equal(ears.last.iova, 0x11000);
	assert_int_equal(ears.last.group, 7);
	OK(isolde_dma_write(f->nvme, 0, 0x10ffe, "page", 4, &f->why));
	assert_memory_equal(f->memory + 0xffe, "page", 4);
	isolde_page_disable(f->nvme);
	isolde_page_disable(f->nvme);
	OK(isolde_detach_group(f->nvme, &f->why));
}

TEST_F(what_a_driver_took_ends_with_the_attachment)
{
	struct isolde_page_group *taken, *second;
	struct ears ears = {};
	size_t count = 1;

	isolde_handle_accept_pages(f->handle);
	OK(isolde_page_enable(f->nvme, listen, &ears, &f->why));
	OK(isolde_attach_group_handle(f->domain, f->nvme, f->handle, &f->why));
	OK(ask(f, 0x1000, 1, true));
	OK(ask(f, 0x2000, 2, true));
	OK(ask(f, 0x3000, 3, true));
	taken = isolde_handle_next_pages(f->handle);
	second = isolde_handle_next_pages(f->handle);
	isolde_machine_check(f->machine);
	/* Taken or not: the core answers all three. */
	OK(isolde_detach_group(f->nvme, &f->why));
	assert_int_equal(ears.count, 3);
	assert_int_equal(ears.answer, ISOLDE_PAGE_INVALID);
	assert_null(isolde_page_group_requests(taken, &count));
	assert_int_equal(count, 0);
	assert_null(isolde_handle_next_pages(f->handle));
	isolde_page_group_answer(taken, ISOLDE_PAGE_SUCCESS);
	/* In whatever order: the handle first, what was taken from it after. */
	OK(isolde_handle_free(f->handle, &f->why));
	isolde_page_group_answer(second, ISOLDE_PAGE_SUCCESS);
	assert_int_equal(ears.count, 3);
	OK(isolde_handle_new(f->machine, &f->handle, &f->why));
	/* Enabled still: the machine's end takes it back. */
	EXPECT_REFUSED(PAGE_NO_HANDLER, f->expected, told(f, ask(f, 0x4000, 4, true)));
}

/* ---- reset, types ---- */

TEST_F(a_reset_blocks_one_device_and_freezes_its_group)
{
	master(f->nvme);
	OK(isolde_attach_group(f->domain, f->nvme, &f->why));
	OK(map(f, 0x10000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE));
	isolde_reset_done(f->nvme); /* never prepared */
	OK(isolde_reset_prepare(f->nvme, &f->why));
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_write(f->nvme, 0, 0x10000, "x", 1, &f->why)));
	EXPECT_REFUSED(GROUP_RECOVERING, f->expected,
		       told(f, isolde_replace_group_handle(f->other, f->nvme, f->handle, &f->why)));
	NAMES(NVME);
	isolde_machine_check(f->machine);
	isolde_reset_done(f->nvme);
	isolde_reset_done(f->nvme);
	OK(isolde_dma_write(f->nvme, 0, 0x10000, "x", 1, &f->why));
	OK(isolde_detach_group(f->nvme, &f->why));
}

TEST_F(the_type_of_an_owned_group_is_fixed_and_its_owner_named)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/type", isolde_device_group(f->nvme));
	OK(isolde_device_claim(f->nvme, f->owner, &f->why));
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, f->expected,
		       told(f, isolde_attribute_write(f->machine, path, "identity", 8, &f->why)));
	NAMES("the test's driver");
	OK(isolde_device_release(f->nvme, &f->why));
	OK(isolde_attribute_write(f->machine, path, "identity\n", 9, &f->why));
	isolde_machine_check(f->machine);
	/* An owner's domain is its own, whatever the default. */
	OK(isolde_device_claim(f->nvme, f->owner, &f->why));
	OK(isolde_attach_group(f->domain, f->nvme, &f->why));
	isolde_machine_check(f->machine);
	OK(isolde_group_release(f->nvme, &f->why));
}

/* ---- failures ---- */

/* A driver's life up to its first DMA, with everything taken back again; false when a step of it failed. */
static bool live(struct fixture *f, const char *name)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = name, .intent = ISOLDE_INTENT_DMA};
	struct isolde_domain *domain = NULL;
	struct isolde_handle *handle = NULL;
	struct isolde_device *mdev;
	u32 pasid;
	bool bound = isolde_driver_bind(f->nvme, &driver, &f->why) == 0;
	bool lived = bound && isolde_domain_new(f->nvme, "swept", &domain, &f->why) == 0 &&
		     isolde_handle_new(f->machine, &handle, &f->why) == 0 &&
		     isolde_attach(domain, f->nvme, 0, handle, &f->why) == 0 &&
		     isolde_domain_map(domain, 0x10000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ, &f->why) == 0 &&
		     isolde_page_enable(f->nvme, listen, &(struct ears){0}, &f->why) == 0 &&
		     isolde_sva_bind(f->nvme, &pasid, &f->why) == 0 &&
		     isolde_device_emulate(f->machine, "swept", f->nvme, &mdev, &f->why) == 0;

	isolde_machine_check(f->machine);
	isolde_sva_unbind(f->nvme);
	isolde_page_disable(f->nvme);
	isolde_detach(f->nvme, 0);
	assert_int_equal(isolde_handle_free(handle, NULL), 0);
	assert_int_equal(isolde_domain_free(domain, NULL), 0);
	if (bound)
		assert_int_equal(isolde_driver_unbind(f->nvme, NULL), 0);
	isolde_machine_check(f->machine);
	return lived;
}

TEST_F(a_life_may_fail_at_any_step_and_leaves_nothing)
{
	char name[16];
	unsigned n;

	for (n = 1; n < 200; n++) {
		bool lived;

		snprintf(name, sizeof(name), "swept-%u", n);
		fail_nth_arm(n);
		lived = live(f, name);
		if (!fail_nth_fired())
			break;
		fail_nth_arm(0);
		if (!lived)
			assert_int_equal(f->why.err, ENOMEM);
	}
	fail_nth_arm(0);
	assert_in_range(n, 20, 199);
	assert_false(isolde_group_claimed(f->nvme));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(devices_are_found_by_address),
		CASE_F(drivers_bind_and_unbind),
		CASE_F(descriptions_of_drivers_are_checked),
		CASE_F(an_owned_group_refuses_drivers_and_a_driven_one_owners),
		CASE_F(owners_are_counted_and_named),
		CASE_F(maps_are_checked_like_iommu_map),
		CASE_F(unmap_tells_how_much_and_stops_at_holes),
		CASE_F(a_driver_does_dma_to_this_process),
		CASE_F(forms_of_attach),
		CASE_F(device_by_device),
		CASE_F(pasids),
		CASE_F(a_driver_with_pasids_cannot_be_unbound_behind_its_back),
		CASE_F(virtual_pasids),
		CASE_F(the_processs_own_addresses),
		CASE_F(alias_sets),
		CASE_F(what_is_no_hardware),
		CASE_F(a_device_asks_for_a_page_and_the_driver_maps_it),
		CASE_F(what_a_driver_took_ends_with_the_attachment),
		CASE_F(a_reset_blocks_one_device_and_freezes_its_group),
		CASE_F(the_type_of_an_owned_group_is_fixed_and_its_owner_named),
		CASE_F(a_life_may_fail_at_any_step_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
