/* SPDX-License-Identifier: MIT */
/* Who may reset a bus, each rule of docs/hot-reset.md by itself. All of them together: tests/unit/machine/exclusive.c.
 */
#include "tests/fixtures/reset_room.h"

#include "base/journal.h"

#define RESET(device, ...)                                                                                             \
	reset_bus(f, device, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
#define RESET_IMPLIED(device) reset_bus(f, device, NULL, 0)

static struct reset_room *room(void **state, bool linux_only)
{
	struct reset_room *f = *state;

	reset_room_init(f, linux_only, reset_room_all);
	return f;
}

static void bind_all(struct reset_room *f, const char *first, const char *second)
{
	OK(reset_bind(f, first, "vfio-pci"));
	OK(reset_bind(f, second, "vfio-pci"));
}

static int legacy_group(struct reset_room *f, const char *name, int container)
{
	int group = (int)OK(reset_open_group(f, name));

	OK(IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	return group;
}

/* Set up, when its first group has it. */
static int new_container(struct reset_room *f, const char *name, int *ret_group)
{
	int container = (int)OK(OPEN("/dev/vfio/vfio"));

	*ret_group = legacy_group(f, name, container);
	OK(IOCTL(container, VFIO_SET_IOMMU, reset_device(f, name)->iommu ? VFIO_TYPE1v2_IOMMU : VFIO_NOIOMMU_IOMMU));
	return container;
}

static int bound_cdev(struct reset_room *f, const char *name, int iommufd)
{
	int cdev = (int)OK(reset_open_cdev(f, name));

	OK(reset_bind_iommufd(f, cdev, iommufd, NULL));
	return cdev;
}

TEST(hot_reset, a_device_file_proves_its_device)
{
	struct reset_room *f = room(state, false);
	int container, group, a, iommufd, b;

	bind_all(f, DEV_A, DEV_B);
	container = new_container(f, DEV_A, &group);
	a = (int)OK(reset_get_device(f, group, DEV_A));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	b = bound_cdev(f, DEV_B, iommufd);
	/* One by its group, one by its node: both of their callers may, whichever kind of file stands for A. */
	OK(RESET(a, a, b));
	OK(RESET(a, group, b));
	OK(RESET(b, b, group));
	OK(RESET(b, a, b));
	OK(RESET(b, b, a));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(a, a));
	EXPECT_SUBSTR(DEV_B " (open by its node in", f->expected.text);
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(b, b));
	EXPECT_SUBSTR(DEV_A " (open by group", f->expected.text);
	assert_null(strstr(f->expected.text + strlen("reset of " DEV_B), DEV_B));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(a));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(b));
	EXPECT_NO(HOT_RESET_NOT_GROUP, RESET(a, container));
	EXPECT_NO(HOT_RESET_NOT_GROUP, RESET(a, iommufd));
	EXPECT_NO(FD_BAD, RESET(a, 999));
	EXPECT_NO(HOT_RESET_ARGUMENT, RESET(a, a, b, b));
	reset_room_fini(f);
}

TEST(hot_reset, linux_takes_neither_device_files_nor_a_mix)
{
	struct reset_room *f = room(state, true);
	int group, a, iommufd, b;

	bind_all(f, DEV_A, DEV_B);
	new_container(f, DEV_A, &group);
	a = (int)OK(reset_get_device(f, group, DEV_A));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	b = bound_cdev(f, DEV_B, iommufd);
	EXPECT_NO(HOT_RESET_NOT_GROUP, RESET(a, a, b));
	EXPECT_NO(HOT_RESET_NOT_GROUP, RESET(a, group, b));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(a, group));
	EXPECT_NO(HOT_RESET_ARGUMENT, RESET_IMPLIED(a));
	EXPECT_NO(HOT_RESET_ARGUMENT, RESET(b, group));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(b));
	/* Still no reason to forget what Linux does take. */
	isolde_close(f->machine, a);
	isolde_close(f->machine, group);
	a = bound_cdev(f, DEV_A, iommufd);
	OK(RESET_IMPLIED(a));
	OK(RESET_IMPLIED(b));
	reset_room_fini(f);
}

/* What is in one container or iommufd is in one hand. */
TEST(hot_reset, the_empty_array_means_what_the_caller_owns)
{
	struct reset_room *f = room(state, false);
	int container, group, other, a, iommufd;

	bind_all(f, DEV_A, DEV_B);
	container = new_container(f, DEV_A, &group);
	a = (int)OK(reset_get_device(f, group, DEV_A));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(a));
	EXPECT_SUBSTR(DEV_B " (closed, nobody has group", f->expected.text);
	other = (int)OK(reset_open_group(f, DEV_B));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(a));
	EXPECT_SUBSTR("is open in", f->expected.text);
	OK(IOCTL(other, VFIO_GROUP_SET_CONTAINER, &container));
	OK(RESET_IMPLIED(a));
	OK(IOCTL(other, VFIO_GROUP_UNSET_CONTAINER, NULL));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	OK(IOCTL(other, VFIO_GROUP_SET_CONTAINER, &iommufd));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(a));
	OK(reset_get_device(f, other, DEV_B));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(a));
	OK(RESET(a, group, other));
	reset_room_fini(f);
}

/* Its DMA goes where its sibling's goes. */
TEST(hot_reset, a_device_file_proves_its_group)
{
	struct reset_room *f = room(state, false);
	int iommufd, g, n, unbound;

	bind_all(f, DEV_G, DEV_H);
	OK(reset_bind(f, DEV_I, "vfio-pci"));
	OK(reset_bind(f, DEV_N, "vfio-pci"));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	n = bound_cdev(f, DEV_N, iommufd);
	g = bound_cdev(f, DEV_G, iommufd);
	unbound = (int)OK(reset_open_cdev(f, DEV_I));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(g, g, n));
	assert_null(strstr(f->expected.text, DEV_H));
	EXPECT_SUBSTR(DEV_I " (not bound by", f->expected.text);
	/* A file that is not bound proves nothing, and harms nobody. */
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(g, g, unbound, n));
	OK(reset_bind_iommufd(f, unbound, iommufd, NULL));
	OK(RESET(g, g, unbound, n));
	OK(RESET(unbound, n, g, unbound, g));
	OK(RESET_IMPLIED(g));
	reset_room_fini(f);
}

TEST(hot_reset, without_an_iommu_each_device_is_proven_by_itself)
{
	struct reset_room *f = room(state, false);
	int container, group, other, e, device;

	if (geteuid() != 0)
		skip();
	bind_all(f, DEV_E, DEV_F);
	container = new_container(f, DEV_E, &group);
	e = (int)OK(reset_get_device(f, group, DEV_E));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(e, e));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(e, group));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(e));
	other = legacy_group(f, DEV_F, container);
	/* In the same container, and still not the caller's until it is open. */
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET_IMPLIED(e));
	OK(RESET(e, group, other));
	OK(RESET(e, other, e));
	device = (int)OK(reset_get_device(f, other, DEV_F));
	OK(RESET_IMPLIED(e));
	OK(RESET(e, e, device));
	reset_room_fini(f);
}

TEST(hot_reset, what_is_not_of_vfio_is_named)
{
	struct reset_room *f = room(state, false);
	int group, device;

	OK(reset_bind(f, DEV_L, "vfio-pci"));
	new_container(f, DEV_L, &group);
	device = (int)OK(reset_get_device(f, group, DEV_L));
	EXPECT_NO(HOT_RESET_NOT_VFIO, RESET(device, group));
	EXPECT_SUBSTR("0000:07:01.0 (bound to no driver), 0000:08:00.0 (bound to no driver)", f->expected.text);
	/* On a bus of its own, though its group is the same. */
	OK(reset_bind(f, DEV_M, "vfio-pci"));
	EXPECT_NO(HOT_RESET_NOT_VFIO, RESET(device, group));
	device = (int)OK(reset_get_device(f, group, DEV_M));
	OK(RESET(device, group));
	reset_room_fini(f);
}

/* A virtual function is of no set but its own, for itself as for the others of the bus. */
TEST(hot_reset, virtual_functions_are_alone)
{
	static const char bus[] = RESET_PORT(
		"01", "acs: full") "      {slot: '00.0', id: '8086:10d3', acs: full, driver: none, bars: {0: 4K},\n"
				   "       sriov: {total: 1, enabled: 1, offset: 2, stride: 1, device: '10ca'}, vfs: "
				   "[{driver: none}]},\n" RESET_NIC("00.1", "acs: full, ") RESET_END;
	const char *physical = "0000:01:00.0", *beside = "0000:01:00.1", *virtual = "0000:01:00.2";
	struct reset_room *f = *state;
	struct reset_info info;
	int iommufd, device;

	reset_room_init(f, false, bus);
	iommufd = (int)OK(OPEN("/dev/iommu"));
	OK(reset_bind(f, beside, "vfio-pci"));
	OK(reset_bind(f, virtual, "vfio-pci"));
	device = bound_cdev(f, virtual, iommufd);
	OK(reset_info(f, device, &info));
	assert_int_equal(info.head.count, 3);
	assert_int_equal(info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	assert_int_equal((s32)info.at[1].devid, VFIO_PCI_DEVID_NOT_OWNED);
	assert_true((s32)info.at[2].devid > 0);
	EXPECT_NO(HOT_RESET_NOT_VFIO, RESET_IMPLIED(device));
	EXPECT_SUBSTR(physical, f->expected.text);
	EXPECT_SUBSTR("0000:01:00.1 (bound to vfio-pci, but not reset together with it)", f->expected.text);
	assert_null(strstr(f->expected.text, ", 0000:01:00.2"));
	device = bound_cdev(f, beside, iommufd);
	OK(reset_info(f, device, &info));
	assert_int_equal((s32)info.at[2].devid, VFIO_PCI_DEVID_NOT_OWNED);
	EXPECT_NO(HOT_RESET_NOT_VFIO, RESET_IMPLIED(device));
	EXPECT_SUBSTR("0000:01:00.2 (bound to vfio-pci, but not reset together with it: a virtual", f->expected.text);
	reset_room_fini(f);
}

/* A caller who came by a group is told groups: those of all, or nothing. */
TEST(hot_reset, no_group_no_information)
{
	struct reset_room *f = room(state, false);
	struct reset_info info;
	int group, device, iommufd, second;

	OK(reset_bind(f, DEV_J, "vfio-pci"));
	new_container(f, DEV_J, &group);
	device = (int)OK(reset_get_device(f, group, DEV_J));
	EXPECT_NO(HOT_RESET_NO_GROUP, reset_info(f, device, &info));
	EXPECT_SUBSTR(DEV_K, f->expected.text);
	EXPECT_NO(HOT_RESET_NOT_VFIO, RESET(device, group));
	OK(reset_bind(f, DEV_K, "vfio-pci"));
	OK(reset_info(f, device, &info));
	assert_int_equal(info.head.count, 2);
	assert_int_not_equal(info.at[0].group_id, info.at[1].group_id);
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(device, group));
	isolde_close(f->machine, device);
	isolde_close(f->machine, group);
	iommufd = (int)OK(OPEN("/dev/iommu"));
	second = bound_cdev(f, DEV_J, iommufd);
	OK(reset_info(f, second, &info));
	assert_int_equal(info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	assert_int_equal((s32)info.at[1].devid, VFIO_PCI_DEVID_NOT_OWNED);
	reset_room_fini(f);
}

/* Seven functions, each a group of its own, of which one caller has the first. */
static const char seven[] = RESET_PORT("01", "acs: full") RESET_NIC("00.0", "acs: full, ")
	RESET_NIC("00.1", "acs: full, ") RESET_NIC("00.2", "acs: full, ") RESET_NIC("00.3", "acs: full, ")
		RESET_NIC("00.4", "acs: full, ") RESET_NIC("00.5", "acs: full, ") RESET_NIC("00.6", "acs: full, ")
			RESET_END;

static int group_of(const struct reset_room *f, const char *name)
{
	return reset_device(f, name)->iommu->group->id;
}

/* The next entry is this refusal, in these words, and of the same request as the one before. */
static void expect_entry(struct reset_room *f, u64 *cursor, const char *text)
{
	struct isolde_journal_entry entry = {.size = sizeof(entry)};

	assert_int_equal(isolde_journal_next(f->machine, cursor, &entry, NULL), 1);
	assert_int_equal(entry.lost, 0);
	assert_int_equal(entry.why.err, EINVAL);
	assert_string_equal(entry.why.code, "HOT_RESET_NOT_OWNED");
	assert_string_equal(entry.why.text, text);
	assert_string_equal(entry.request, "VFIO_DEVICE_PCI_HOT_RESET anon_inode:[vfio-device]");
	assert_int_equal(entry.pid, getpid());
}

static u64 journal_now(struct reset_room *f)
{
	struct isolde_journal_entry entry = {.size = sizeof(entry)};
	u64 cursor = 0;

	while (isolde_journal_next(f->machine, &cursor, &entry, NULL) == 1)
		;
	return cursor;
}

/*
 * Whatever the digits of the PID, three fit into the sentence and the fourth does not. The same in a room:
 * tests/e2e/hot_reset.sh.
 */
TEST(hot_reset, six_functions_are_told_with_who_has_each)
{
	char name[PCI_ADDR_TEXT], self[96], text[1024];
	struct reset_room *f = *state;
	int container, group, device, iommufd;
	u64 cursor;

	reset_room_init(f, false, seven);
	for (unsigned i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "0000:01:00.%u", i);
		OK(reset_bind(f, name, "vfio-pci"));
	}
	container = new_container(f, "0000:01:00.0", &group);
	device = (int)OK(reset_get_device(f, group, "0000:01:00.0"));
	OK(reset_get_device(f, legacy_group(f, "0000:01:00.2", container), "0000:01:00.2"));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	bound_cdev(f, "0000:01:00.3", iommufd);
	OK(reset_open_cdev(f, "0000:01:00.4"));
	OK(reset_open_group(f, "0000:01:00.5"));
	cursor = journal_now(f);
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(device, device));

	client_describe(&f->machine->client, self);
	snprintf(text, sizeof(text),
		 "reset of 0000:01:00.0 hits 0000:01:00.1 (closed, nobody has group %d), "
		 "0000:01:00.2 (open by group %d in %s), 0000:01:00.3 (open by its node in %s); and 3 more",
		 group_of(f, "0000:01:00.1"), group_of(f, "0000:01:00.2"), self, self);
	assert_string_equal(f->expected.text, text);
	expect_entry(f, &cursor, text);
	snprintf(text, sizeof(text),
		 "reset of 0000:01:00.0 hits 0000:01:00.4 as well (not bound by %s, who has its node open)", self);
	expect_entry(f, &cursor, text);
	snprintf(text, sizeof(text), "reset of 0000:01:00.0 hits 0000:01:00.5 as well (closed, group %d is open in %s)",
		 group_of(f, "0000:01:00.5"), self);
	expect_entry(f, &cursor, text);
	snprintf(text, sizeof(text), "reset of 0000:01:00.0 hits 0000:01:00.6 as well (closed, nobody has group %d)",
		 group_of(f, "0000:01:00.6"));
	expect_entry(f, &cursor, text);
	assert_int_equal(journal_now(f), cursor);
	reset_room_fini(f);
}

/* Every one is told, where the sentence has no room for it in the journal. */
TEST(hot_reset, the_journal_has_what_the_sentence_has_no_room_for)
{
	static const char *const names[] = {DEV_G, DEV_H, DEV_N, DEV_I};
	struct reset_room *f = room(state, false);
	struct journal *journal = &f->machine->machine->journal;
	char all[2048] = "";
	int group, device;
	u64 before;

	for (unsigned i = 0; i < 4; i++)
		OK(reset_bind(f, names[i], "vfio-pci"));
	new_container(f, DEV_I, &group);
	device = (int)OK(reset_get_device(f, group, DEV_I));
	before = journal_last_serial(journal);
	for (unsigned i = 0; i < 3; i++)
		OK(reset_open_cdev(f, names[i]));
	EXPECT_NO(HOT_RESET_NOT_OWNED, RESET(device, device));
	for (u64 serial = before + 1; serial <= journal_last_serial(journal); serial++) {
		struct journal_entry entry;

		assert_true(journal_read(journal, serial, &entry));
		assert_int_equal(entry.why.code, WHY_HOT_RESET_NOT_OWNED);
		assert_non_null(strstr(entry.request, "VFIO_DEVICE_PCI_HOT_RESET"));
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s\n", entry.why.text);
	}
	EXPECT_SUBSTR(DEV_G, all);
	EXPECT_SUBSTR(DEV_H, all);
	EXPECT_SUBSTR(DEV_N " as well (", all);
	EXPECT_SUBSTR("; and 1 more", f->expected.text);
	reset_room_fini(f);
}

static struct reset_room *swept;
static int swept_device, swept_proof[2];

static int reset_once(struct why *why)
{
	struct reset_room *f = swept;
	struct reset_info info;
	long ret = reset_told(f, reset_info(f, swept_device, &info));

	if (ret == 0)
		ret = reset_told(f, reset_bus(f, swept_device, swept_proof, 2));
	*why = f->expected;
	return (int)ret;
}

TEST(hot_reset, can_fail_anywhere)
{
	struct reset_room *f = swept = room(state, false);
	int group, iommufd;

	bind_all(f, DEV_A, DEV_B);
	new_container(f, DEV_A, &group);
	swept_device = (int)OK(reset_get_device(f, group, DEV_A));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	swept_proof[0] = group;
	swept_proof[1] = bound_cdev(f, DEV_B, iommufd);
	SWEEP_FAILURES(reset_once);
	reset_room_fini(f);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct reset_room));
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
#define HOT_RESET(name) cmocka_unit_test_setup_teardown(hot_reset_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		HOT_RESET(a_device_file_proves_its_device),
		HOT_RESET(linux_takes_neither_device_files_nor_a_mix),
		HOT_RESET(the_empty_array_means_what_the_caller_owns),
		HOT_RESET(a_device_file_proves_its_group),
		HOT_RESET(without_an_iommu_each_device_is_proven_by_itself),
		HOT_RESET(what_is_not_of_vfio_is_named),
		HOT_RESET(virtual_functions_are_alone),
		HOT_RESET(no_group_no_information),
		HOT_RESET(six_functions_are_told_with_who_has_each),
		HOT_RESET(the_journal_has_what_the_sentence_has_no_room_for),
		HOT_RESET(can_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
