/* SPDX-License-Identifier: MIT */
/* include/isolde/iommu.h, call by call: devices, drivers, owners, domains, attach. */
#include "tests/fixtures/api_room.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
