/* SPDX-License-Identifier: MIT */
/*
 * What keeps a group out of a container, and a mapping (spec 04 sections 7.1 and 7.2): addresses that not all can use,
 * interrupts that nobody keeps apart, limits. ISOLDE_REACHES names four devices, each alone in its group: the first
 * cannot use what is above 4 GiB, the second what is below, the third has a region at BASE that may be mapped over, the
 * fourth one that the firmware cannot do without; "-" stands for none of that kind. The interrupts of all are shared.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

enum { LOW, HIGH, RELAXED, DIRECT, ALL };
#define ONE(kind)	 (1u << (kind))
#define TWO(kind, other) (ONE(kind) | ONE(other))

#define BASE 0x100000ul
#define HALF (1ul << 32)
#define FAR  (1ul << 52) /* further than the unit's tables reach */

#define TYPE1_PARAMETER(name) "/sys/module/vfio_iommu_type1/parameters/" name

static void take_unsafe(const char *yes_or_no)
{
	WORKS(conform_write(TYPE1_PARAMETER("allow_unsafe_interrupts"), yes_or_no));
	WORKS(conform_write("/sys/module/iommufd/parameters/allow_unsafe_interrupts", yes_or_no));
}

/* Some hosts have not all kinds. */
static void begin(struct names reaches[static ALL], unsigned kinds)
{
	four_reaches(reaches);
	for (unsigned kind = 0; kind < ALL; kind++)
		if (kinds & ONE(kind) && !reaches[kind].cdev[0])
			skip("no device of kind %u", kind);
	take_unsafe("Y");
}

static struct vfio_iova_range the_range(int container)
{
	struct {
		struct vfio_iommu_type1_info info;
		u8 chain[512];
	} info = {{.argsz = sizeof(info)}};
	const struct vfio_iommu_type1_info_cap_iova_range *cap = NULL;
	u32 at;

	EXPECT(0, ask(container, VFIO_IOMMU_GET_INFO, &info));
	for (at = info.info.cap_offset; at; at = cap->header.next) {
		cap = (const void *)((const u8 *)&info + at);
		if (cap->header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			return cap->iova_ranges[0];
	}
	return (struct vfio_iova_range){0};
}

/* ---- addresses (7.1 steps 5 to 7) ---- */

TEST(a_group_that_leaves_no_address_is_refused)
{
	struct names at[ALL];
	struct legacy legacy;
	int other, both;

	begin(at, TWO(LOW, HIGH));
	legacy = enter_group(&at[LOW], VFIO_TYPE1v2_IOMMU);
	EXPECT_EQUAL(0, the_range(legacy.container).start);
	other = open_group(&at[HIGH]);
	EXPECT(-EINVAL, set_container(other, legacy.container));
	/* Nothing has come of it: the container works on, and the group is free for another. */
	EXPECT(0, type1_map(legacy.container, memory(PAGE), BASE, PAGE));
	EXPECT(-EINVAL, type1_map(legacy.container, memory(PAGE), HALF, PAGE));
	EXPECT(0, set_container(other, both = new_container()));
	EXPECT(0, set_iommu(both, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQUAL(HALF, the_range(both).start);
	EXPECT(-EINVAL, type1_map(both, memory(PAGE), BASE, PAGE));
	EXPECT(0, type1_map(both, memory(PAGE), HALF, PAGE));
}

TEST(set_iommu_takes_all_groups_or_none)
{
	int container, low, high;
	struct names at[ALL];

	begin(at, TWO(LOW, HIGH));
	container = new_container();
	low = open_group(&at[LOW]);
	high = open_group(&at[HIGH]);
	EXPECT(0, set_container(low, container));
	EXPECT(0, set_container(high, container)); /* no backend yet that could mind */
	EXPECT(-EINVAL, set_iommu(container, VFIO_TYPE1v2_IOMMU));
	EXPECT(-EINVAL, set_iommu(container, VFIO_TYPE1_IOMMU));
	EXPECT(-EINVAL, get_device(low, at[LOW].bdf));
	EXPECT(-EINVAL, type1_map(container, memory(PAGE), BASE, PAGE));
	EXPECT(0, unset_container(high));
	EXPECT(0, set_iommu(container, VFIO_TYPE1v2_IOMMU));
	EXPECT(0, type1_map(container, memory(PAGE), BASE, PAGE));
}

TEST(addresses_are_those_of_all_groups_that_are_in)
{
	struct names at[ALL];
	struct legacy legacy;
	int low;

	begin(at, TWO(LOW, RELAXED));
	legacy = enter_group(&at[RELAXED], VFIO_TYPE1v2_IOMMU);
	low = open_group(&at[LOW]);
	EXPECT(0, type1_map(legacy.container, memory(PAGE), HALF, PAGE));
	EXPECT(-EINVAL, set_container(low, legacy.container)); /* mapped where it has a region */
	EXPECT(PAGE, type1_unmap(legacy.container, 0, HALF, PAGE));
	EXPECT(0, set_container(low, legacy.container));
	EXPECT(-EINVAL, type1_map(legacy.container, memory(PAGE), HALF, PAGE));
	EXPECT(0, unset_container(low));
	EXPECT(0, type1_map(legacy.container, memory(PAGE), HALF, PAGE));
}

TEST(a_region_that_is_relaxable_is_no_hindrance)
{
	struct names at[ALL];
	struct legacy legacy;
	int relaxed;

	begin(at, TWO(LOW, RELAXED));
	legacy = enter_group(&at[LOW], VFIO_TYPE1v2_IOMMU);
	relaxed = open_group(&at[RELAXED]);
	EXPECT(0, type1_map(legacy.container, memory(PAGE), BASE, PAGE));
	EXPECT(0, set_container(relaxed, legacy.container));
	EXPECT(PAGE, type1_unmap(legacy.container, 0, BASE, PAGE));
	EXPECT(0, type1_map(legacy.container, memory(PAGE), BASE, PAGE));
}

/* Alone, an emulated device lets anything be mapped; who comes later has to reach it. */
TEST(a_group_that_cannot_reach_what_is_mapped_is_refused)
{
	struct names emulated = the_mdev(), at[ALL];
	struct legacy legacy;
	int group;

	begin(at, ONE(RELAXED));
	legacy = enter_group(&emulated, VFIO_TYPE1v2_IOMMU);
	group = open_group(&at[RELAXED]);
	EXPECT(0, type1_map(legacy.container, memory(PAGE), FAR, PAGE));
	take_unsafe("N");
	EXPECT(-EPERM,
	       set_container(group, legacy.container)); /* step 8, and without ranges so far there is no step 5 */
	take_unsafe("Y");
	EXPECT(-ERANGE, set_container(group, legacy.container)); /* step 10 */
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, FAR + PAGE, PAGE)); /* no memory */
	EXPECT(-ERANGE, set_container(group, legacy.container));
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, BASE, PAGE));
	EXPECT(-EFAULT, set_container(group, legacy.container)); /* in order of addresses */
	EXPECT(PAGE, type1_unmap(legacy.container, 0, BASE, PAGE));
	EXPECT(2 * PAGE, type1_unmap(legacy.container, 0, FAR, 2 * PAGE));
	EXPECT(0, set_container(group, legacy.container));
	EXPECT(-EINVAL, type1_map(legacy.container, memory(PAGE), FAR, PAGE));
	EXPECT(0, unset_container(group));
	EXPECT(0, type1_map(legacy.container, memory(PAGE), FAR, PAGE)); /* the ranges stay, of everything */
	EXPECT(-EINVAL, set_container(group, legacy.container));	 /* step 5 */
	EXPECT_EQUAL(0, conform_locked_kib());
}

/* Blocking its DMA is what ownership begins with, and that cannot be (spec 02 section 9, invariant 15). */
TEST(what_firmware_needs_is_given_to_nobody)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	struct names at[ALL];
	int group, container = new_container(), fd = iommu(), device;

	begin(at, ONE(DIRECT));
	group = open_group(&at[DIRECT]);
	EXPECT(0, ask(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE, status.flags); /* nobody has it */
	EXPECT(-EINVAL, set_container(group, container));
	EXPECT(-EINVAL, set_iommu(container, VFIO_TYPE1v2_IOMMU)); /* no group */
	EXPECT(0, set_container(group, fd));			   /* claims nothing */
	EXPECT(-EINVAL, get_device(group, at[DIRECT].bdf));
	drop(group);
	device = open_cdev(&at[DIRECT]);
	EXPECT(-EINVAL, bind_cdev(device, fd));
	take_unsafe("N");
	EXPECT(-EPERM, bind_cdev(device, fd)); /* interrupts come first there */
	take_unsafe("Y");
}

/* ---- interrupts (step 8) ---- */

TEST(shared_interrupts_are_taken_when_the_module_says_so)
{
	int container, group;
	struct names at[ALL];

	begin(at, ONE(RELAXED));
	take_unsafe("N");
	container = new_container();
	group = open_group(&at[RELAXED]);
	EXPECT(0, set_container(group, container));
	EXPECT(-EPERM, set_iommu(container, VFIO_TYPE1v2_IOMMU));
	take_unsafe("Y");
	EXPECT(0, set_iommu(container, VFIO_TYPE1v2_IOMMU));
	take_unsafe("N"); /* who is in stays */
	EXPECT(0, type1_map(container, memory(PAGE), BASE, PAGE));
	EXPECT(0, unset_container(group));
	EXPECT(0, set_container(group, container));
	EXPECT(-EPERM, set_iommu(container, VFIO_TYPE1v2_IOMMU));
	take_unsafe("Y");
}

TEST(interrupts_are_looked_at_after_addresses)
{
	struct names emulated = the_mdev(), at[ALL];
	struct legacy legacy;
	int low, high, group;
	u8 *page = memory(PAGE);

	begin(at, TWO(LOW, HIGH) | ONE(RELAXED));
	legacy = enter_group(&emulated, VFIO_TYPE1v2_IOMMU);
	low = open_group(&at[LOW]);
	high = open_group(&at[HIGH]);
	group = open_group(&at[RELAXED]);
	EXPECT(0, set_container(low, legacy.container));
	take_unsafe("N");
	EXPECT(-EINVAL, set_container(high, legacy.container)); /* no address is left: step 7 */
	EXPECT(-EPERM, set_container(group, legacy.container));
	EXPECT(0, unset_container(low));
	EXPECT(0, type1_map(legacy.container, page, HALF, PAGE));
	EXPECT(-EINVAL, set_container(low, legacy.container)); /* step 6 */
	EXPECT(PAGE, type1_unmap(legacy.container, 0, HALF, PAGE));
	EXPECT(0, type1_map(legacy.container, page, FAR, PAGE));
	EXPECT(-EINVAL, set_container(group, legacy.container)); /* step 5 */
	EXPECT(PAGE, type1_unmap(legacy.container, 0, FAR, PAGE));
	/* Before the mappings are replayed, step 10. */
	EXPECT(0, type1_map(legacy.container, (void *)PAGE, BASE, PAGE));
	EXPECT(-EPERM, set_container(group, legacy.container));
	take_unsafe("Y");
	EXPECT(-EFAULT, set_container(group, legacy.container));
}

TEST(an_iommufd_has_a_parameter_of_its_own)
{
	struct names at[ALL];
	int device, fd = iommu();
	u32 ioas = new_ioas(fd);

	begin(at, ONE(RELAXED));
	WORKS(conform_write("/sys/module/iommufd/parameters/allow_unsafe_interrupts", "N"));
	device = open_cdev(&at[RELAXED]);
	EXPECT(-EPERM, bind_cdev(device, fd));
	take_unsafe("N");
	WORKS(conform_write("/sys/module/iommufd/parameters/allow_unsafe_interrupts", "Y"));
	WORKS(bind_cdev(device, fd));
	EXPECT(0, attach_cdev(device, &(u32){ioas}));
	take_unsafe("Y");
}

/* ---- how much (7.2 steps 8 and 10) ---- */

static u32 available(int container)
{
	struct {
		struct vfio_iommu_type1_info info;
		u8 chain[512];
	} info = {{.argsz = sizeof(info)}};
	const struct vfio_iommu_type1_info_dma_avail *cap = NULL;
	u32 at;

	EXPECT(0, ask(container, VFIO_IOMMU_GET_INFO, &info));
	for (at = info.info.cap_offset; at; at = cap->header.next) {
		cap = (const void *)((const u8 *)&info + at);
		if (cap->header.id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)
			return cap->avail;
	}
	return ~0u;
}

TEST(a_container_has_so_many_mappings)
{
	struct names at[ALL];
	struct legacy legacy;
	u8 *pages = memory(3 * PAGE);
	int container;

	begin(at, ONE(RELAXED));
	WORKS(conform_write(TYPE1_PARAMETER("dma_entry_limit"), "2"));
	legacy = enter_group(&at[RELAXED], VFIO_TYPE1v2_IOMMU);
	container = legacy.container;
	WORKS(conform_write(TYPE1_PARAMETER("dma_entry_limit"), "65535")); /* that of SET_IOMMU counts */
	EXPECT_EQUAL(2, available(container));
	EXPECT(0, type1_map(container, pages, BASE, PAGE));
	EXPECT(0, type1_map(container, pages + PAGE, BASE + PAGE, 2 * PAGE));
	EXPECT_EQUAL(0, available(container));
	EXPECT(-ENOSPC, type1_map(container, pages, 0, PAGE));
	EXPECT(-EINVAL, type1_map(container, pages, 1, PAGE));	      /* step 5 */
	EXPECT(-EEXIST, type1_map(container, pages, BASE, PAGE));     /* step 7 */
	EXPECT(-ENOSPC, type1_map(container, pages, FAR, PAGE));      /* before steps 9 */
	EXPECT(-ENOSPC, type1_map(container, (void *)PAGE, 0, PAGE)); /* and 10 */
	/* A new address is no new mapping. */
	EXPECT(PAGE, type1_unmap(container, VFIO_DMA_UNMAP_FLAG_VADDR, BASE, PAGE));
	EXPECT(0, type1_map_as(container, VFIO_DMA_MAP_FLAG_VADDR, pages, BASE, PAGE));
	EXPECT(PAGE, type1_unmap(container, 0, BASE, PAGE));
	EXPECT_EQUAL(1, available(container));
	EXPECT(0, type1_map(container, pages, 0, PAGE));
	EXPECT(-ENOSPC, type1_map(container, pages, BASE, PAGE));
	EXPECT(3 * PAGE, type1_unmap(container, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	/* A container that is new again has the limit of now. */
	EXPECT(0, unset_container(legacy.group));
	EXPECT(0, set_container(legacy.group, container));
	EXPECT(0, set_iommu(container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQUAL(65535, available(container));
}

struct entry {
	int group, container;
	answer got;
};

static void enter_poor(void *argument)
{
	struct entry *entry = argument;
	struct rlimit limit, small = {2 * PAGE, 0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	small.rlim_max = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &small);
	entry->got = set_container(entry->group, entry->container);
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

static void map_powerless(void *argument)
{
	struct entry *entry = argument;

	entry->got = type1_map(entry->container, (void *)entry->got, BASE, 3 * PAGE);
}

/* What nobody had pinned so far is, when somebody with DMA comes; it is charged then, to who mapped it. */
TEST(a_group_is_refused_when_what_is_mapped_cannot_be_locked)
{
	struct names emulated = the_mdev(), at[ALL];
	struct legacy legacy;
	struct entry entry;
	struct rlimit limit;

	begin(at, ONE(RELAXED));
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur < 3 * PAGE)
		skip("RLIMIT_MEMLOCK is %lu already", (unsigned long)limit.rlim_cur);
	legacy = enter_group(&emulated, VFIO_TYPE1v2_IOMMU);
	entry = (struct entry){open_group(&at[RELAXED]), legacy.container, (answer)(uintptr_t)memory(3 * PAGE)};
	powerless(map_powerless, &entry);
	EXPECT(0, entry.got);
	powerless(enter_poor, &entry);
	EXPECT(-ENOMEM, entry.got);
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(0, set_container(entry.group, legacy.container));
	EXPECT_EQUAL(3 * PAGE / KIB, conform_locked_kib());
}

SUITE(limits, CASE(a_group_that_leaves_no_address_is_refused), CASE(set_iommu_takes_all_groups_or_none),
      CASE(addresses_are_those_of_all_groups_that_are_in), CASE(a_region_that_is_relaxable_is_no_hindrance),
      CASE(a_group_that_cannot_reach_what_is_mapped_is_refused), CASE(what_firmware_needs_is_given_to_nobody),
      CASE(shared_interrupts_are_taken_when_the_module_says_so), CASE(interrupts_are_looked_at_after_addresses),
      CASE(an_iommufd_has_a_parameter_of_its_own), CASE(a_container_has_so_many_mappings),
      CASE(a_group_is_refused_when_what_is_mapped_cannot_be_locked));
