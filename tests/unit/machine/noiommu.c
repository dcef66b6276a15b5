/* SPDX-License-Identifier: MIT */
/*
 * Devices without an IOMMU: vfio's enable_unsafe_noiommu_mode, from the option to the fault of a device that finds no
 * memory. Two NVMe controllers that no unit covers, one below each of two ports, and one that has an IOMMU.
 */
#include "isolde/isolde.h"

#include "tests/fixtures/machine_text.h"
#include "tests/fixtures/patience.h"
#include "tests/fixtures/told.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/journal.h"
#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "machine/api.h"
#include "machine/machine.h"

#define BARE	"0000:01:00.0"
#define BARE_B	"0000:02:00.0"
#define COVERED "0000:03:00.0"

static const char text[] =
	"name: bare\n"
	"iommu: {kind: intel-vtd}\n"
	"devices:\n"
	"  - {slot: '01.0', role: root-port, id: '8086:1901', acs: full, iommu: false, devices: [\n"
	"      {slot: '00.0', model: nvme, flr: true, driver: none, options: {size: 1M}}]}\n"
	"  - {slot: '02.0', role: root-port, id: '8086:1901', acs: full, iommu: false, devices: [\n"
	"      {slot: '00.0', model: nvme, flr: true, driver: none, options: {size: 1M}}]}\n"
	"  - {slot: '03.0', role: root-port, id: '8086:1901', acs: full, driver: pcieport, devices: [\n"
	"      {slot: '00.0', model: nvme, flr: true, driver: none, options: {size: 1M}}]}\n";

struct fixture {
	struct isolde_machine *machine;
	struct isolde_why why;
	struct why expected;
};

#define OK(call)	       ASSERT_OK(f->expected, told(f, call))
#define EXPECT_NO(code, call)  EXPECT_REFUSED(code, f->expected, told(f, call))
#define EXPECT_REMARK(x, call) check_remark(f, WHY_##x, call)
#define OPEN(path)	       isolde_open(f->machine, path, O_RDWR, &f->why)
#define IOCTL(fd, nr, arg)     isolde_ioctl(f->machine, fd, nr, (void *)(uintptr_t)(arg), &f->why)

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

/* A success with a reason. */
static long check_remark(struct fixture *f, enum why_code code, long ret)
{
	OK(ret);
	assert_string_equal(f->why.code, why_code_name(code));
	return ret;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->machine = machine_of_text(text);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
	free(f);
	return 0;
}

static ssize_t put(struct fixture *f, const char *path, const char *value)
{
	return isolde_attribute_write(f->machine, path, value, strlen(value), &f->why);
}

static void put_driver(struct fixture *f, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", name);
	OK(put(f, path, "vfio-pci"));
}

static ssize_t bind(struct fixture *f, const char *name)
{
	return put(f, "sys/bus/pci/drivers/vfio-pci/bind", name);
}

static void switch_on(struct fixture *f)
{
	OK(put(f, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "1"));
}

/* All three, and where the groups of the first two are; the covered one's is another. */
static void bind_all(struct fixture *f)
{
	switch_on(f);
	put_driver(f, BARE);
	put_driver(f, BARE_B);
	put_driver(f, COVERED);
	EXPECT_REMARK(NO_IOMMU_TAINT, bind(f, BARE));
	EXPECT_REMARK(NO_IOMMU_TAINT, bind(f, BARE_B));
	OK(bind(f, COVERED));
}

static struct node *at(struct fixture *f, const char *path)
{
	return node_walk(f->machine->machine->root, path);
}

static int group_of(struct fixture *f, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu_group", name);
	return at(f, path) ? atoi(at(f, path)->name) : -1;
}

static int open_group(struct fixture *f, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s%d", strcmp(name, COVERED) == 0 ? "" : "noiommu-", group_of(f, name));
	return OPEN(path);
}

#define NEEDS_RAWIO                                                                                                    \
	do {                                                                                                           \
		if (geteuid() != 0)                                                                                    \
			skip();                                                                                        \
	} while (0)

TEST(noiommu, is_off_unless_asked_for)
{
	struct fixture *f = *state;

	put_driver(f, BARE);
	EXPECT_NO(NO_IOMMU_GROUP, bind(f, BARE));
	assert_int_equal(group_of(f, BARE), -1);
	EXPECT_NO(ATTRIBUTE_VALUE, put(f, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "maybe"));
	switch_on(f);
	EXPECT_REMARK(NO_IOMMU_TAINT, bind(f, BARE));
	EXPECT_SUBSTR(BARE, f->why.text);
}

TEST(noiommu, names_come_and_go)
{
	struct fixture *f = *state;
	char path[96], value[64] = "";
	int id;

	bind_all(f);
	id = group_of(f, BARE);
	assert_int_not_equal(id, group_of(f, BARE_B));
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/" BARE, id);
	assert_ptr_equal(at(f, path), at(f, "sys/bus/pci/devices/" BARE));
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/name", id);
	OK(isolde_attribute_read(f->machine, path, value, sizeof(value) - 1, &f->why));
	assert_string_equal(value, "vfio-noiommu\n");
	snprintf(path, sizeof(path), "dev/vfio/noiommu-%d", id);
	assert_non_null(at(f, path));
	snprintf(path, sizeof(path), "sys/class/vfio/noiommu-%d/dev", id);
	assert_non_null(at(f, path));
	/* vfio-dev is there, but no character device. */
	assert_non_null(at(f, "sys/bus/pci/devices/" BARE "/vfio-dev/vfio0/uevent"));
	assert_null(at(f, "sys/bus/pci/devices/" BARE "/vfio-dev/vfio0/dev"));
	assert_null(at(f, "dev/vfio/devices/vfio0"));
	assert_non_null(at(f, "dev/vfio/devices/vfio2"));
	EXPECT_NO(NODE_MISSING, OPEN("/dev/vfio/devices/vfio0"));
	snprintf(path, sizeof(path), "/dev/vfio/%d", id);
	EXPECT_NO(NODE_MISSING, OPEN(path));
	EXPECT_SUBSTR("its file is /dev/vfio/noiommu-", f->expected.text);
	OK(put(f, "sys/bus/pci/drivers/vfio-pci/unbind", BARE));
	assert_int_equal(group_of(f, BARE), -1);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d", id);
	assert_null(at(f, path));
	snprintf(path, sizeof(path), "dev/vfio/noiommu-%d", id);
	assert_null(at(f, path));
	EXPECT_REMARK(NO_IOMMU_TAINT, bind(f, BARE));
	assert_int_equal(group_of(f, BARE), id);
}

/* Spec 04 sections 3 and 4.1. */
TEST(noiommu, a_container_has_groups_of_one_kind)
{
	struct fixture *f = *state;
	struct vfio_group_status status = {.argsz = sizeof(status)};
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
	int container, other, bare, covered, device;

	NEEDS_RAWIO;
	container = (int)OK(OPEN("/dev/vfio/vfio"));
	assert_int_equal(OK(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU)), 0);
	bind_all(f);
	assert_int_equal(OK(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU)), 1);
	assert_int_equal(OK(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU)), 1);
	other = (int)OK(OPEN("/dev/vfio/vfio"));
	bare = (int)OK(open_group(f, BARE));
	covered = (int)OK(open_group(f, COVERED));
	EXPECT_NO(GROUP_BUSY, open_group(f, BARE));
	OK(IOCTL(bare, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(status.flags, VFIO_GROUP_FLAGS_VIABLE);
	OK(IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT_NO(CONTAINER_MIXED, IOCTL(covered, VFIO_GROUP_SET_CONTAINER, &container));
	OK(IOCTL(covered, VFIO_GROUP_SET_CONTAINER, &other));
	assert_int_equal(OK(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU)), 0);
	assert_int_equal(OK(IOCTL(other, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU)), 0);
	EXPECT_NO(IOMMU_TYPE_UNSUPPORTED, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_NO(IOMMU_TYPE_UNSUPPORTED, IOCTL(other, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_NO(NO_IOMMU_SET, IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	EXPECT_NO(NO_IOMMU_SET, IOCTL(container, VFIO_IOMMU_GET_INFO, &info));
	OK(IOCTL(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_NO(IOMMU_ALREADY_SET, IOCTL(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	assert_int_equal(OK(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU)), 0);
	assert_int_equal(OK(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU)), 1);
	EXPECT_NO(NO_IOMMU_NO_DMA, IOCTL(container, VFIO_IOMMU_GET_INFO, &info));
	device = (int)EXPECT_REMARK(NO_IOMMU_TAINT, IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	OK(IOCTL(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_NO(GROUP_DEVICES_OPEN, IOCTL(bare, VFIO_GROUP_UNSET_CONTAINER, NULL));
	isolde_machine_check(f->machine);
	isolde_close(f->machine, device);
	OK(IOCTL(bare, VFIO_GROUP_UNSET_CONTAINER, NULL));
	/* Empty again it takes any kind; and the mode can be switched off meanwhile. */
	OK(IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &container));
	OK(put(f, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N"));
	EXPECT_NO(IOMMU_TYPE_UNSUPPORTED, IOCTL(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	OK(IOCTL(bare, VFIO_GROUP_UNSET_CONTAINER, NULL));
	OK(IOCTL(covered, VFIO_GROUP_UNSET_CONTAINER, NULL));
	OK(IOCTL(covered, VFIO_GROUP_SET_CONTAINER, &container));
	OK(IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
}

/* Spec 03 section 12, 04 section 4.2: nobody may expect translation of it. */
TEST(noiommu, an_iommufd_serves_one_kind)
{
	struct fixture *f = *state;
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_vfio_ioas set = {.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET};
	int iommufd, bare, covered, device, container;

	NEEDS_RAWIO;
	bind_all(f);
	bare = (int)OK(open_group(f, BARE));
	covered = (int)OK(open_group(f, COVERED));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	OK(IOCTL(covered, VFIO_GROUP_SET_CONTAINER, &iommufd));
	EXPECT_NO(COMPAT_HAS_IOAS, IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &iommufd));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	OK(IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &iommufd));
	OK(IOCTL(covered, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_NO(COMPAT_NO_IOMMU, IOCTL(covered, VFIO_GROUP_SET_CONTAINER, &iommufd));
	EXPECT_NO(COMPAT_TYPE, IOCTL(iommufd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	OK(IOCTL(iommufd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	OK(IOCTL(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	set.ioas_id = alloc.out_ioas_id;
	OK(IOCTL(iommufd, IOMMU_VFIO_IOAS, &set));
	EXPECT_NO(NO_IOMMU_TRANSLATED, IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	set.op = IOMMU_VFIO_IOAS_CLEAR;
	OK(IOCTL(iommufd, IOMMU_VFIO_IOAS, &set));
	device = (int)EXPECT_REMARK(NO_IOMMU_TAINT, IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	/* It is not asked again while the device is open. */
	set.op = IOMMU_VFIO_IOAS_SET;
	OK(IOCTL(iommufd, IOMMU_VFIO_IOAS, &set));
	OK(IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	OK(IOCTL(bare, VFIO_GROUP_UNSET_CONTAINER, NULL));
	OK(IOCTL(device, VFIO_DEVICE_RESET, NULL));
	/* No claim keeps a container away, which has no users then. */
	container = (int)OK(OPEN("/dev/vfio/vfio"));
	OK(IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &container));
	OK(IOCTL(bare, VFIO_GROUP_UNSET_CONTAINER, NULL));
	isolde_machine_check(f->machine);
}

static void without_rawio(struct fixture *f, bool without)
{
	assert_int_equal(seteuid(without ? 65534 : 0), 0);
	/* Who changes it cannot be looked into any more, not even by LeakSanitizer. */
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
}

TEST(noiommu, every_step_asks_for_cap_sys_rawio)
{
	struct fixture *f = *state;
	int container, iommufd, bare, other;

	NEEDS_RAWIO;
	bind_all(f);
	container = (int)OK(OPEN("/dev/vfio/vfio"));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	without_rawio(f, true);
	EXPECT_NO(NO_IOMMU_PRIVILEGE, open_group(f, BARE));
	without_rawio(f, false);
	bare = (int)OK(open_group(f, BARE));
	other = (int)OK(open_group(f, BARE_B));
	without_rawio(f, true);
	EXPECT_NO(NO_IOMMU_PRIVILEGE, IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &container));
	/* An iommufd is set without, and asked at the device. */
	OK(IOCTL(other, VFIO_GROUP_SET_CONTAINER, &iommufd));
	EXPECT_NO(NO_IOMMU_PRIVILEGE, IOCTL(other, VFIO_GROUP_GET_DEVICE_FD, BARE_B));
	EXPECT_NO(NO_IOMMU_PRIVILEGE, IOCTL(iommufd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	without_rawio(f, false);
	OK(IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &container));
	without_rawio(f, true);
	EXPECT_NO(NO_IOMMU_PRIVILEGE, IOCTL(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	without_rawio(f, false);
	OK(IOCTL(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	without_rawio(f, true);
	EXPECT_NO(NO_IOMMU_PRIVILEGE, IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	without_rawio(f, false);
	OK(IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	/* The second descriptor of an open device is not asked for it. */
	without_rawio(f, true);
	OK(IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	without_rawio(f, false);
}

/* The last entry of the journal that is a DMA fault; false: none yet. */
static bool find_fault(struct fixture *f, struct journal_entry *ret)
{
	struct journal *journal = &f->machine->machine->journal;

	for (u64 serial = journal_last_serial(journal); serial; serial--)
		if (journal_read(journal, serial, ret) && ret->why.code == WHY_DMA_FAULT)
			return true;
	return false;
}

/* The model works on its registers; what it looks for in memory is nowhere. */
TEST(noiommu, a_device_reaches_no_memory)
{
	struct fixture *f = *state;
	struct journal_entry entry;
	int container, bare, device;
	u64 queues = 0x100000;
	u32 word = 0x000f000f;
	u16 command = 6;
	u8 *registers;

	NEEDS_RAWIO;
	bind_all(f);
	container = (int)OK(OPEN("/dev/vfio/vfio"));
	bare = (int)OK(open_group(f, BARE));
	OK(IOCTL(bare, VFIO_GROUP_SET_CONTAINER, &container));
	OK(IOCTL(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	device = (int)OK(IOCTL(bare, VFIO_GROUP_GET_DEVICE_FD, BARE));
	OK(isolde_pwrite(f->machine, device, &command, 2, (7ull << 40) + 4, &f->why));
	OK(isolde_mmap(f->machine, device, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, 0, (void **)&registers,
		       &f->why));
	put_u32(registers + 0x24, word);      /* AQA */
	memcpy(registers + 0x28, &queues, 8); /* ASQ */
	queues += 0x1000;
	memcpy(registers + 0x30, &queues, 8); /* ACQ */
	word = 0x00460001;
	OK(isolde_pwrite(f->machine, device, &word, 4, 0x14, &f->why)); /* CC.EN */
	for (unsigned ms = 0; !(get_u32(registers + 0x1c) & 3) && ms < PATIENCE_MS; ms++)
		usleep(1000);
	word = 1;
	OK(isolde_pwrite(f->machine, device, &word, 4, 0x1000, &f->why)); /* a command is in the queue */
	for (unsigned ms = 0; !find_fault(f, &entry); ms++) {
		assert_true(ms < PATIENCE_MS);
		usleep(1000);
	}
	EXPECT_SUBSTR(BARE, entry.why.text);
	EXPECT_SUBSTR("behind no IOMMU", entry.why.text);
	munmap(registers, 0x2000);
}

static struct fixture *swept;

static int bind_once(struct why *why)
{
	struct fixture *f = swept;
	long ret = told(f, bind(f, BARE));

	*why = f->expected;
	isolde_machine_check(f->machine);
	if (ret < 0) {
		assert_int_equal(group_of(f, BARE), -1);
		return (int)ret;
	}
	return (int)told(f, put(f, "sys/bus/pci/drivers/vfio-pci/unbind", BARE));
}

TEST(noiommu, a_bind_can_fail_anywhere)
{
	swept = *state;
	switch_on(swept);
	put_driver(swept, BARE);
	SWEEP_FAILURES(bind_once);
}

int main(void)
{
#define NOIOMMU(name) cmocka_unit_test_setup_teardown(noiommu_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		NOIOMMU(is_off_unless_asked_for),
		NOIOMMU(names_come_and_go),
		NOIOMMU(a_container_has_groups_of_one_kind),
		NOIOMMU(an_iommufd_serves_one_kind),
		NOIOMMU(every_step_asks_for_cap_sys_rawio),
		NOIOMMU(a_device_reaches_no_memory),
		NOIOMMU(a_bind_can_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
