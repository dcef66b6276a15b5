/* SPDX-License-Identifier: MIT */
/* VFIO character devices on /dev/iommu: bind, attach, detach, and what they exclude (spec 04 sections 5 and 6). */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

TEST(an_unbound_device_answers_nothing_but_bind)
{
	const unsigned long requests[] = {
		VFIO_DEVICE_GET_INFO,
		VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO,
		VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_RESET,
		VFIO_DEVICE_FEATURE,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT,
		VFIO_GET_API_VERSION,
	};
	struct names names = the_device();
	int device = open_cdev(&names);
	char bytes[64] = {64};

	FOR_EACH(request, requests)
	{
		about("%#lx", *request);
		EXPECT(-EINVAL, ask(device, *request, bytes));
		EXPECT(-EINVAL, ask(device, *request, NULL));
	}
	EXPECT_TRUE(pread(device, bytes, 4, 7l << 40) == -1 && errno == EINVAL);
	EXPECT_TRUE(pwrite(device, bytes, 4, 7l << 40) == -1 && errno == EINVAL);
	EXPECT_TRUE(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, 0) == MAP_FAILED && errno == EINVAL);
	open_cdev(&names); /* any number of them */
	open_cdev(&names);
}

TEST(bind_is_refused_in_this_order)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u8 uuid[16] = {1};
	struct {
		struct vfio_device_bind_iommufd bind;
		u64 more;
	} request = {.bind = {.argsz = 15, .flags = ~0u, .iommufd = -1}, .more = 1};

	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request));
	request.bind.argsz = sizeof(request);
	EXPECT(-E2BIG, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request));
	request.more = 0;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request)); /* no descriptor */
	request.bind.iommufd = 9999;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request)); /* unknown flags */
	request.bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request)); /* no token */
	request.bind.token_uuid_ptr = (uintptr_t)uuid;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request)); /* a token for what needs none */
	request.bind.flags = 0;
	EXPECT(-EBADF, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request));
	request.bind.iommufd = device;
	EXPECT(-EBADFD, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request));
	request.bind.iommufd = new_file(PAGE);
	EXPECT(-EBADFD, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request));
	request.bind.iommufd = fd;
	EXPECT(0, ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request)); /* longer, with zeros */
}

TEST(an_answer_that_cannot_be_given_undoes_the_bind)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	const struct vfio_device_bind_iommufd request = {.argsz = sizeof(request), .iommufd = fd};

	EXPECT(-EFAULT, ask_read_only(device, VFIO_DEVICE_BIND_IOMMUFD, &request, sizeof(request)));
	EXPECT(-ENOENT, destroy(fd, 1));
	EXPECT(1, bind_cdev(device, fd));
}

TEST(a_bound_device_is_an_object_of_its_context)
{
	struct names names = the_device();
	int device = open_cdev(&names), other = open_cdev(&names), fd = iommu();
	struct vfio_device_info info = {.argsz = sizeof(info)};
	u32 id = (u32)WORKS(bind_cdev(device, fd));
	struct iommu_hw_info hardware = {.size = sizeof(hardware), .dev_id = id};

	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT(0, ask(fd, IOMMU_GET_HW_INFO, &hardware));
	EXPECT(-EBUSY, destroy(fd, id));
	EXPECT(-EINVAL, bind_cdev(device, fd));
	EXPECT(-EINVAL, bind_cdev(device, 9999)); /* bound already, before the descriptor is looked at */
	EXPECT(-EINVAL, bind_cdev(other, fd));
	EXPECT(-EINVAL, ask(other, VFIO_DEVICE_GET_INFO, &info));
	EXPECT(-EBADF, bind_cdev(other, 9999));
	drop(device);
	EXPECT(-ENOENT, destroy(fd, id));
	EXPECT(id, bind_cdev(other, fd));
}

TEST(the_group_and_the_device_exclude_each_other)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu(), group;

	group = watch(open_answer(names.group, O_RDWR));
	EXPECT(-EBUSY, open_answer(names.group, O_RDWR));
	EXPECT(-EBUSY, bind_cdev(device, fd));
	drop(group);
	WORKS(bind_cdev(device, fd));
	EXPECT(-EBUSY, open_answer(names.group, O_RDWR));
	drop(device);
	watch(open_answer(names.group, O_RDWR));
}

TEST(attach_is_refused_in_this_order)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 id = (u32)WORKS(bind_cdev(device, fd)), ioas = new_ioas(fd);
	struct vfio_device_attach_iommufd_pt request = {.argsz = 11, .flags = 2, .pt_id = NOBODY};

	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.argsz = 12;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.flags = VFIO_DEVICE_ATTACH_PASID;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request)); /* no room for the PASID */
	request.flags = 0;
	EXPECT(-ENOENT, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.pt_id = id;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.pt_id = ioas;
	EXPECT(0, ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	EXPECT_TRUE(request.pt_id != ioas);
	EXPECT(-EBUSY, destroy(fd, request.pt_id));
	EXPECT(-EBUSY, destroy(fd, ioas));
}

TEST(to_attach_again_is_to_replace)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 first, second, ioas, other, id = (u32)WORKS(bind_cdev(device, fd)), by_hand;

	ioas = first = new_ioas(fd);
	other = second = new_ioas(fd);
	EXPECT(0, attach_cdev(device, &first));
	EXPECT(0, attach_cdev(device, &(u32){first}));
	EXPECT(0, attach_cdev(device, &second));
	EXPECT(-ENOENT, destroy(fd, first));
	EXPECT(0, destroy(fd, ioas));
	EXPECT(-ENOENT, attach_cdev(device, &(u32){NOBODY}));
	EXPECT(-EBUSY, destroy(fd, second));
	by_hand = (u32)WORKS(alloc_hwpt(fd, id, other, 0));
	EXPECT(0, attach_cdev(device, &by_hand));
	EXPECT(-ENOENT, destroy(fd, second));
	EXPECT(0, detach_cdev(device));
	EXPECT(0, destroy(fd, by_hand));
	EXPECT(0, destroy(fd, other));
}

TEST(detach_is_refused_in_this_order_and_may_be_for_nothing)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	struct vfio_device_detach_iommufd_pt request = {.argsz = 7, .flags = 2};
	u32 pt_id;

	WORKS(bind_cdev(device, fd));
	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	request.argsz = 8;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	request.flags = VFIO_DEVICE_DETACH_PASID;
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	EXPECT(0, detach_cdev(device));
	EXPECT(0, detach_cdev_pasid(device, 7));
	pt_id = new_ioas(fd);
	EXPECT(0, attach_cdev(device, &pt_id));
	EXPECT(0, detach_cdev(device));
	EXPECT(0, detach_cdev(device));
	EXPECT(-ENOENT, destroy(fd, pt_id));
}

TEST(an_answer_that_cannot_be_given_detaches)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	struct vfio_device_attach_iommufd_pt request = {.argsz = sizeof(request)};

	WORKS(bind_cdev(device, fd));
	request.pt_id = new_ioas(fd);
	EXPECT(-EFAULT, ask_read_only(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request, sizeof(request)));
	EXPECT(0, destroy(fd, request.pt_id));
}

TEST(a_device_without_pasids_has_none_to_attach)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 ioas = new_ioas(fd);

	WORKS(bind_cdev(device, fd));
	EXPECT(-ENOSPC, attach_cdev_pasid(device, 0x80000000, &(u32){ioas}));
	EXPECT(-ENOENT, attach_cdev_pasid(device, 5, &(u32){NOBODY}));
	EXPECT(-EINVAL, attach_cdev_pasid(device, 5, &(u32){ioas})); /* nor would an automatic domain do */
	EXPECT(0, destroy(fd, ioas));
}

/* PASID 0 is the device itself, yet counted beside it. */
TEST(pasid_0_is_the_device_itself)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 ioas = new_ioas(fd), pt_id = ioas;

	WORKS(bind_cdev(device, fd));
	EXPECT(0, attach_cdev(device, &pt_id));
	EXPECT(-EBUSY, attach_cdev_pasid(device, 0, &(u32){ioas}));
	EXPECT(0, detach_cdev(device));
	EXPECT(0, attach_cdev_pasid(device, 0, &(u32){ioas}));
	EXPECT(-EBUSY, attach_cdev(device, &(u32){ioas}));
	EXPECT(-EBUSY, destroy(fd, ioas));
	EXPECT(0, detach_cdev_pasid(device, 0));
	EXPECT(0, destroy(fd, ioas));
}

/* The window of interrupts is no place for memory: [0xfee00000, 0xfeefffff] on this machine. */
TEST(an_attached_device_reserves_what_it_cannot_reach)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	struct iommu_iova_range ranges[8];
	u32 ioas = new_ioas(fd), pt_id = ioas;
	struct iommu_ioas_iova_ranges request = {
		.size = sizeof(request), .ioas_id = ioas, .num_iovas = 8, .allowed_iovas = (uintptr_t)ranges};
	char *buffer = memory(2 * PAGE);

	WORKS(bind_cdev(device, fd));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0xfee00000));
	EXPECT(-EADDRINUSE, attach_cdev(device, &pt_id));
	EXPECT(PAGE, unmap(fd, ioas, 0xfee00000, PAGE));
	EXPECT(0, attach_cdev(device, &pt_id));
	EXPECT(0, ask(fd, IOMMU_IOAS_IOVA_RANGES, &request));
	EXPECT_EQUAL(PAGE, request.out_iova_alignment);
	EXPECT_TRUE(request.num_iovas >= 2);
	EXPECT_EQUAL(0, ranges[0].start);
	EXPECT_EQUAL(0xfedfffff, ranges[0].last);
	EXPECT_EQUAL(0xfef00000, ranges[1].start);
	EXPECT_TRUE(ranges[request.num_iovas - 1].last < TOP); /* tables end somewhere */
	EXPECT(-EINVAL, map_at(fd, ioas, buffer, PAGE, 0xfee00000));
	EXPECT(-EINVAL, map_at(fd, ioas, buffer, 2 * PAGE, 0xfee00000 - PAGE));
	EXPECT(-EINVAL, map_at(fd, ioas, buffer, PAGE, ranges[request.num_iovas - 1].last + 1));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0xfee00000 - PAGE));
	EXPECT(0, detach_cdev(device));
	request.num_iovas = 8;
	EXPECT(0, ask(fd, IOMMU_IOAS_IOVA_RANGES, &request));
	EXPECT_EQUAL(1, request.num_iovas);
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0xfee00000));
}

TEST(a_close_of_the_device_undoes_it_all)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 ioas = new_ioas(fd), pt_id = ioas;

	WORKS(bind_cdev(device, fd));
	EXPECT(0, attach_cdev(device, &pt_id));
	drop(device);
	EXPECT(-ENOENT, destroy(fd, pt_id));
	EXPECT(0, destroy(fd, ioas));
	EXPECT_EQUAL(1, new_ioas(fd));
	device = open_cdev(&names);
	WORKS(bind_cdev(device, iommu()));
}

TEST(a_bound_device_keeps_its_context)
{
	struct names names = the_device();
	char *buffer = memory(PAGE);
	int device = open_cdev(&names), fd = iommu();
	u32 ioas = new_ioas(fd), pt_id = ioas;

	WORKS(bind_cdev(device, fd));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0x1000));
	EXPECT(0, attach_cdev(device, &pt_id));
	drop(fd);
	EXPECT(-ENOENT, attach_cdev(device, &(u32){NOBODY}));
	EXPECT(0, attach_cdev(device, &(u32){ioas})); /* ids of the context that nobody can ask any more */
	if (have_mock())
		EXPECT(0, check_refs(iommu(), buffer, PAGE, 1));
	drop(device);
	if (have_mock())
		EXPECT(0, check_refs(iommu(), buffer, PAGE, 0));
}

TEST(registers_are_no_memory_for_other_devices)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 ioas = new_ioas(fd), pt_id = ioas;
	struct vfio_region_info info = {.argsz = sizeof(info)};
	char *bar;

	WORKS(bind_cdev(device, fd));
	EXPECT(0, attach_cdev(device, &pt_id));
	EXPECT(0, ask(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	bar = mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset), PAGE);
	EXPECT(-EFAULT, map_at(fd, ioas, bar, PAGE, 0x1000));
}

/* ---- Intel's IOMMU, as this machine has it: 48 bits, no scalable mode ---- */

struct vtd {
	u32 flags, reserved;
	u64 cap, ecap;
};

/* Scalable mode with coherent walks, and dirty bits of its second stage (VT-d 5.0 section 11.4.3: SMTS, SMPWCS, SSADS).
 */
static bool tracks_writes(const struct vtd *unit)
{
	return unit->ecap >> 43 & 1 && unit->ecap >> 45 & 1 && unit->ecap >> 48 & 1;
}

TEST(the_unit_tells_what_it_is)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	struct vtd data = {.flags = 0};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = (u32)WORKS(bind_cdev(device, fd)),
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	EXPECT(0, ask(fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQUAL(IOMMU_HW_INFO_TYPE_INTEL_VTD, info.out_data_type);
	EXPECT_EQUAL(sizeof(data), info.data_len);
	EXPECT_EQUAL(1, data.flags); /* an erratum, of all units */
	EXPECT_TRUE(data.cap && data.ecap);
	EXPECT_EQUAL(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED | (tracks_writes(&data) ? IOMMU_HW_CAP_DIRTY_TRACKING : 0),
		     info.out_capabilities);
	EXPECT_EQUAL(0, info.out_max_pasid_log2);
	info.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	info.in_data_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	EXPECT(-EOPNOTSUPP, ask(fd, IOMMU_GET_HW_INFO, &info));
	info.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	EXPECT(0, ask(fd, IOMMU_GET_HW_INFO, &info));
}

TEST(the_unit_makes_plain_domains_only)
{
	static const struct {
		u32 flags;
		answer expected;
	} rows[] = {
		{0, 0},
		{IOMMU_HWPT_ALLOC_NEST_PARENT, -EOPNOTSUPP},
		{IOMMU_HWPT_ALLOC_PASID, 0},
		{16, -EOPNOTSUPP},
	};
	struct iommu_hwpt_vtd_s1 data = {.flags = 0};
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 id = (u32)WORKS(bind_cdev(device, fd)), ioas = new_ioas(fd), hwpt;
	struct iommu_hwpt_alloc request = {.size = sizeof(request),
					   .dev_id = id,
					   .pt_id = ioas,
					   .data_type = IOMMU_HWPT_DATA_VTD_S1,
					   .data_len = sizeof(data),
					   .data_uptr = (uintptr_t)&data};
	struct vtd unit = {.flags = 0};
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = id, .data_len = sizeof(unit), .data_uptr = (uintptr_t)&unit};
	answer tracked;

	FOR_EACH(row, rows)
	{
		answer got = alloc_hwpt(fd, id, ioas, row->flags);

		about("flags %#x", row->flags);
		EXPECT(row->expected, got > 0 ? destroy(fd, (u32)got) : got);
	}
	EXPECT(0, ask(fd, IOMMU_GET_HW_INFO, &info));
	tracked = alloc_hwpt(fd, id, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	EXPECT(tracks_writes(&unit) ? 0 : -EOPNOTSUPP, tracked > 0 ? destroy(fd, (u32)tracked) : tracked);
	EXPECT(-EOPNOTSUPP, ask(fd, IOMMU_HWPT_ALLOC, &request));
	hwpt = (u32)WORKS(alloc_hwpt(fd, id, ioas, 0));
	request.pt_id = hwpt;
	EXPECT(-EINVAL, ask(fd, IOMMU_HWPT_ALLOC, &request)); /* no parent */
	EXPECT(-EOPNOTSUPP, ASK(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, .hwpt_id = hwpt));
	EXPECT(-EOPNOTSUPP, ASK(fd, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .type = 1, .dev_id = id, .hwpt_id = hwpt));
}

/* ---- what the device reads and writes ---- */

TEST(a_device_reaches_what_is_mapped_while_it_is_mapped)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 ioas = new_ioas(fd), pt_id = ioas;
	u8 *queues = memory(2 * PAGE), *page = memory(PAGE), *other = memory(PAGE);
	struct nvme nvme;

	WORKS(bind_cdev(device, fd));
	EXPECT(0, attach_cdev(device, &pt_id));
	EXPECT(0, map_at(fd, ioas, queues, 2 * PAGE, 0x100000));
	EXPECT(0, map_at(fd, ioas, page, PAGE, 0x200000));
	nvme = start_nvme(device, queues, 0x100000);
	identify_nvme(&nvme, 0x200000);
	EXPECT_TRUE(page[24] > ' '); /* the model's name */
	EXPECT(PAGE, unmap(fd, ioas, 0x200000, PAGE));
	memset(page, 0, PAGE);
	identify_nvme(&nvme, 0x200000);
	EXPECT_EQUAL(0, page[24]);
	EXPECT(0, map_at(fd, ioas, other, PAGE, 0x200000));
	identify_nvme(&nvme, 0x200000);
	EXPECT_TRUE(other[24] > ' ' && page[24] == 0);
	EXPECT(PAGE, unmap(fd, ioas, 0x200000, PAGE));
	EXPECT(0, ASK(fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = FIXED | IOMMU_IOAS_MAP_READABLE, .ioas_id = ioas,
		      .user_va = (uintptr_t)page, .length = PAGE, .iova = 0x200000));
	identify_nvme(&nvme, 0x200000); /* which it may only read */
	EXPECT_EQUAL(0, page[24]);
	stop_nvme(&nvme);
}

TEST(a_device_follows_a_replacement)
{
	struct names names = the_device();
	int device = open_cdev(&names), fd = iommu();
	u32 first = new_ioas(fd), second = new_ioas(fd), pt_id = first;
	u8 *queues = memory(2 * PAGE), *one = memory(PAGE), *two = memory(PAGE);
	struct nvme nvme;

	WORKS(bind_cdev(device, fd));
	EXPECT(0, map_at(fd, first, queues, 2 * PAGE, 0x100000));
	EXPECT(0, copy_at(fd, second, 0x100000, first, 0x100000, 2 * PAGE));
	EXPECT(0, map_at(fd, first, one, PAGE, 0x200000));
	EXPECT(0, map_at(fd, second, two, PAGE, 0x200000));
	EXPECT(0, attach_cdev(device, &pt_id));
	nvme = start_nvme(device, queues, 0x100000);
	identify_nvme(&nvme, 0x200000);
	EXPECT_TRUE(one[24] > ' ' && two[24] == 0);
	memset(one, 0, PAGE);
	EXPECT(0, attach_cdev(device, &second));
	identify_nvme(&nvme, 0x200000);
	EXPECT_TRUE(two[24] > ' ' && one[24] == 0);
	stop_nvme(&nvme);
}

/* ---- a group with /dev/iommu as its container ---- */

struct by_group {
	int fd, group, device;
	u32 ioas;
};

static struct by_group open_by_group(const struct names *names)
{
	struct by_group g = {.fd = iommu(), .group = watch(open_answer(names->group, O_RDWR))};
	struct iommu_vfio_ioas ioas = {.size = sizeof(ioas), .op = IOMMU_VFIO_IOAS_GET};

	EXPECT(-EINVAL, ask(g.group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)names->bdf));
	EXPECT(0, ask(g.group, VFIO_GROUP_SET_CONTAINER, &g.fd));
	EXPECT(0, ask(g.fd, IOMMU_VFIO_IOAS, &ioas)); /* made for it */
	g.ioas = ioas.ioas_id;
	EXPECT(0, ask(g.fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT(-ENODEV, ask(g.group, VFIO_GROUP_GET_DEVICE_FD, "0000:99:00.0"));
	g.device = watch(ask(g.group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)names->bdf));
	return g;
}

TEST(a_group_takes_dev_iommu_for_its_container)
{
	struct names names = the_device();
	struct vfio_group_status status = {.argsz = sizeof(status)};
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct by_group g = open_by_group(&names);

	EXPECT(-EINVAL, ask(g.group, VFIO_GROUP_SET_CONTAINER, &g.fd));
	EXPECT(0, ask(g.group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET, status.flags);
	EXPECT(0, ask(g.device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT(-EBUSY, destroy(g.fd, g.ioas));
	EXPECT(-ENOTTY, ask(g.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
			    &(struct vfio_device_attach_iommufd_pt){.argsz = 16, .pt_id = g.ioas}));
	EXPECT(-EINVAL, bind_cdev(g.device, g.fd));
	EXPECT(-EBUSY, bind_cdev(open_cdev(&names), g.fd));
	watch(ask(g.group, VFIO_GROUP_GET_DEVICE_FD, names.bdf)); /* shared */
}

TEST(what_cannot_be_a_container_is_refused)
{
	struct names names = the_device();
	int group = watch(open_answer(names.group, O_RDWR)), bad = 9999, file = new_file(PAGE), fd = iommu();

	EXPECT(-EFAULT, ask(group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT(-EBADF, ask(group, VFIO_GROUP_SET_CONTAINER, &bad));
	EXPECT(-EBADFD, ask(group, VFIO_GROUP_SET_CONTAINER, &file));
	EXPECT(-EINVAL, ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT(0, ask(group, VFIO_GROUP_SET_CONTAINER, &fd));
	EXPECT(0, ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT(-EINVAL, ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
}

/* Unlike with a container of VFIO's own, the device does not hold the group open. */
TEST(the_group_may_be_closed_before_its_device)
{
	struct names names = the_device();
	struct by_group g = open_by_group(&names);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int device;

	drop(g.group);
	EXPECT(0, ask(g.device, VFIO_DEVICE_GET_INFO, &info));
	device = open_cdev(&names);
	EXPECT(-EINVAL, bind_cdev(device, g.fd)); /* open already */
	watch(open_answer(names.group, O_RDWR));
	drop(g.device);
	EXPECT(0, destroy(g.fd, g.ioas));
}

/* With a container of VFIO's own the device holds its group, and both keep the character device out. */
TEST(a_container_of_vfios_own_excludes_the_character_device)
{
	struct names names = the_device();
	int container = watch(open_answer("/dev/vfio/vfio", O_RDWR)), fd = iommu(), device = open_cdev(&names);
	int group = watch(open_answer(names.group, O_RDWR)), by_group;
	char bytes[4];

	EXPECT(0, ask(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT(-EINVAL, ask(group, VFIO_GROUP_SET_CONTAINER, &fd));
	EXPECT(-EBUSY, bind_cdev(device, fd));
	EXPECT(0, ask(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	by_group = watch(ask(group, VFIO_GROUP_GET_DEVICE_FD, names.bdf));
	EXPECT(-EINVAL, bind_cdev(by_group, fd));
	EXPECT(-EBUSY, ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	drop(group);
	EXPECT(-EBUSY, open_answer(names.group, O_RDWR));
	EXPECT(-EBUSY, bind_cdev(device, fd));
	EXPECT_EQUAL(4, pread(by_group, bytes, 4, 7l << 40));
	EXPECT_TRUE(pread(device, bytes, 4, 7l << 40) == -1 && errno == EINVAL);
	drop(by_group);
	WORKS(bind_cdev(device, fd));
}

TEST(maps_of_the_compat_requests_reach_the_device)
{
	struct names names = the_device();
	struct by_group g = open_by_group(&names);
	u8 *queues = memory(2 * PAGE), *page = memory(PAGE);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)queues, .iova = 0x100000, .size = 2 * PAGE};
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = 0x200000, .size = PAGE};
	struct nvme nvme;

	EXPECT(0, ask(g.fd, VFIO_IOMMU_MAP_DMA, &map));
	map.vaddr = (uintptr_t)page;
	map.iova = 0x200000;
	map.size = PAGE;
	EXPECT(0, ask(g.fd, VFIO_IOMMU_MAP_DMA, &map));
	nvme = start_nvme(g.device, queues, 0x100000);
	identify_nvme(&nvme, 0x200000);
	EXPECT_TRUE(page[24] > ' ');
	EXPECT(0, ask(g.fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQUAL(PAGE, unmap.size);
	memset(page, 0, PAGE);
	identify_nvme(&nvme, 0x200000);
	EXPECT_EQUAL(0, page[24]);
	stop_nvme(&nvme);
}

SUITE(cdev, CASE(an_unbound_device_answers_nothing_but_bind), CASE(bind_is_refused_in_this_order),
      CASE(an_answer_that_cannot_be_given_undoes_the_bind), CASE(a_bound_device_is_an_object_of_its_context),
      CASE(the_group_and_the_device_exclude_each_other), CASE(attach_is_refused_in_this_order),
      CASE(to_attach_again_is_to_replace), CASE(detach_is_refused_in_this_order_and_may_be_for_nothing),
      CASE(an_answer_that_cannot_be_given_detaches), CASE(a_device_without_pasids_has_none_to_attach),
      CASE(pasid_0_is_the_device_itself), CASE(an_attached_device_reserves_what_it_cannot_reach),
      CASE(a_close_of_the_device_undoes_it_all), CASE(a_bound_device_keeps_its_context),
      CASE(registers_are_no_memory_for_other_devices), CASE(the_unit_tells_what_it_is),
      CASE(the_unit_makes_plain_domains_only), CASE(a_device_reaches_what_is_mapped_while_it_is_mapped),
      CASE(a_device_follows_a_replacement), CASE(a_group_takes_dev_iommu_for_its_container),
      CASE(what_cannot_be_a_container_is_refused), CASE(the_group_may_be_closed_before_its_device),
      CASE(a_container_of_vfios_own_excludes_the_character_device), CASE(maps_of_the_compat_requests_reach_the_device));
