/* SPDX-License-Identifier: MIT */
/*
 * ATTACH and DETACH of a device that has PASIDs (spec 04 sections 6.2 and 6.3, 02 section 5), and that what it does in
 * the name of one lands where that one is attached. What siblings do to each other's PASIDs is not here: Linux switches
 * PASIDs on only where ACS isolates all the way, and then nobody has siblings.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/dsa.h"

enum {
	PASIDS = 1 << 20,
	MOST = PASIDS - 1,
	BEYOND = 1u << 31, /* more than any device may have */
};

struct pasids {
	struct names names;
	int fd, device;
	u32 id, ioas, other; /* two address spaces */
	u32 own;	     /* a domain for PASIDs, which the device itself is to have */
	u32 first, second;   /* one for PASIDs in each space */
	u32 plain;	     /* one that is not */
};

/* Bound, not attached. */
static struct pasids pasids_new(void)
{
	struct pasids p = {.names = the_device(), .fd = iommu()};
	struct iommu_hw_info info = {.size = sizeof(info)};

	p.device = open_cdev(&p.names);
	p.id = info.dev_id = (u32)WORKS(bind_cdev(p.device, p.fd));
	EXPECT(0, ask(p.fd, IOMMU_GET_HW_INFO, &info));
	if (!info.out_max_pasid_log2)
		skip("%s has no PASIDs", p.names.bdf);
	p.ioas = new_ioas(p.fd);
	p.other = new_ioas(p.fd);
	p.own = (u32)WORKS(alloc_hwpt(p.fd, p.id, p.ioas, IOMMU_HWPT_ALLOC_PASID));
	p.first = (u32)WORKS(alloc_hwpt(p.fd, p.id, p.ioas, IOMMU_HWPT_ALLOC_PASID));
	p.second = (u32)WORKS(alloc_hwpt(p.fd, p.id, p.other, IOMMU_HWPT_ALLOC_PASID));
	p.plain = (u32)WORKS(alloc_hwpt(p.fd, p.id, p.ioas, 0));
	return p;
}

/* The answer, and on success that it names the domain that was asked for. */
static answer attach(const struct pasids *p, u32 pasid, u32 hwpt)
{
	u32 pt_id = hwpt;
	answer got = attach_cdev_pasid(p->device, pasid, &pt_id);

	EXPECT_EQUAL(hwpt, pt_id);
	return got;
}

static answer attach_itself(const struct pasids *p, u32 pt_id)
{
	return attach_cdev(p->device, &pt_id);
}

static answer detach(const struct pasids *p, u32 pasid)
{
	return detach_cdev_pasid(p->device, pasid);
}

/* Somebody is attached to it. */
static void in_use(const struct pasids *p, u32 hwpt)
{
	EXPECT(-EBUSY, destroy(p->fd, hwpt));
}

/* ---- what is refused ---- */

TEST(attach_is_refused_in_this_order)
{
	struct pasids p = pasids_new();
	struct vfio_device_attach_iommufd_pt request = {.argsz = 11, .flags = ~0u, .pt_id = NOBODY, .pasid = BEYOND};
	char *cut = (char *)memory(PAGE) + PAGE - offsetof(struct vfio_device_attach_iommufd_pt, pasid);

	EXPECT(-EFAULT, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.argsz = 12;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.flags = VFIO_DEVICE_ATTACH_PASID;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.argsz = 15;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	/* The PASID alone cannot be read. */
	request.argsz = sizeof(request);
	memcpy(cut, &request, offsetof(struct vfio_device_attach_iommufd_pt, pasid));
	EXPECT(-EFAULT, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, cut));
	EXPECT(-ENOSPC, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	/* More than this device has. */
	request.pasid = PASIDS;
	EXPECT(-ENOENT, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.pt_id = p.first;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.pasid = BEYOND - 1;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	request.pasid = MOST;
	request.argsz = 64; /* what is behind is not looked at */
	EXPECT(0, ask(p.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request));
	EXPECT_EQUAL(p.first, request.pt_id);
	EXPECT(-ENOSPC, attach(&p, BEYOND, p.first));
	EXPECT(-ENOSPC, attach(&p, ~0u, NOBODY));
}

TEST(a_pasid_takes_a_domain_that_is_made_for_it)
{
	struct pasids p = pasids_new();

	EXPECT(-ENOENT, attach(&p, 5, NOBODY));
	EXPECT(-EINVAL, attach(&p, 5, p.id));
	EXPECT(-EINVAL, attach(&p, 5, p.ioas)); /* an automatic domain is not */
	EXPECT(-EINVAL, attach(&p, 5, p.plain));
	EXPECT(0, destroy(p.fd, p.plain));
	EXPECT(0, attach(&p, 5, p.first));
	EXPECT(0, attach(&p, 6, p.first));
	EXPECT(0, attach(&p, MOST, p.second));
	in_use(&p, p.first);
	in_use(&p, p.second);
	EXPECT(0, detach(&p, 5));
	in_use(&p, p.first);
	EXPECT(0, detach(&p, 6));
	EXPECT(0, destroy(p.fd, p.first));
	EXPECT(0, detach(&p, MOST));
	EXPECT(0, destroy(p.fd, p.second));
	EXPECT(0, destroy(p.fd, p.other));
}

TEST(the_device_and_its_pasids_agree_on_being_made_for_it)
{
	struct pasids p = pasids_new();

	EXPECT(0, attach_itself(&p, p.ioas));
	EXPECT(-EINVAL, attach(&p, 5, p.first));
	EXPECT(0, attach_itself(&p, p.plain));
	EXPECT(-EINVAL, attach(&p, 5, p.first));
	EXPECT(-EINVAL, attach(&p, 5, p.ioas));
	EXPECT(0, attach_itself(&p, p.own));
	EXPECT(0, attach(&p, 5, p.first));
	EXPECT(-EINVAL, attach_itself(&p, p.plain));
	EXPECT(-EINVAL, attach_itself(&p, p.ioas));
	EXPECT(-ENOENT, attach_itself(&p, NOBODY));
	in_use(&p, p.own);
	EXPECT(0, attach_itself(&p, p.second));
	EXPECT(0, destroy(p.fd, p.own));
	EXPECT(0, detach_cdev(p.device));
	EXPECT(-EINVAL, attach_itself(&p, p.plain));
	EXPECT(-EINVAL, attach_itself(&p, p.ioas));
	EXPECT(0, detach(&p, 5));
	EXPECT(0, attach_itself(&p, p.ioas));
}

/* ---- attach, replace, detach ---- */

TEST(to_attach_again_is_to_replace)
{
	struct pasids p = pasids_new();

	EXPECT(0, attach(&p, 5, p.first));
	EXPECT(0, attach(&p, 5, p.first));
	EXPECT(-ENOENT, attach(&p, 5, NOBODY));
	EXPECT(-EINVAL, attach(&p, 5, p.id));
	EXPECT(-EINVAL, attach(&p, 5, p.ioas));
	EXPECT(-EINVAL, attach(&p, 5, p.other));
	EXPECT(-EINVAL, attach(&p, 5, p.plain));
	in_use(&p, p.first);
	EXPECT(0, attach(&p, 5, p.second));
	EXPECT(0, destroy(p.fd, p.first));
	in_use(&p, p.second);
	in_use(&p, p.other);
	EXPECT(0, attach(&p, 5, p.own)); /* of the other space */
	EXPECT(0, destroy(p.fd, p.second));
	EXPECT(0, destroy(p.fd, p.other));
	EXPECT(0, attach(&p, 6, p.own));
	EXPECT(0, detach(&p, 5));
	in_use(&p, p.own);
	EXPECT(0, detach(&p, 6));
	EXPECT(0, destroy(p.fd, p.own));
}

TEST(detach_is_refused_in_this_order)
{
	struct pasids p = pasids_new();
	struct vfio_device_detach_iommufd_pt request = {.argsz = 7, .flags = ~0u, .pasid = 5};
	char *cut = (char *)memory(PAGE) + PAGE - offsetof(struct vfio_device_detach_iommufd_pt, pasid);

	EXPECT(0, attach(&p, 5, p.first));
	EXPECT(-EFAULT, ask(p.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	request.argsz = 8;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	request.flags = VFIO_DEVICE_DETACH_PASID;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	request.argsz = 11;
	EXPECT(-EINVAL, ask(p.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	request.argsz = sizeof(request);
	memcpy(cut, &request, offsetof(struct vfio_device_detach_iommufd_pt, pasid));
	EXPECT(-EFAULT, ask(p.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, cut));
	in_use(&p, p.first);
	EXPECT(0, ask(p.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request));
	EXPECT(0, destroy(p.fd, p.first));
}

TEST(only_what_is_named_is_detached)
{
	struct pasids p = pasids_new();

	EXPECT(0, detach(&p, 5)); /* nothing is attached: nothing is done */
	EXPECT(0, detach(&p, BEYOND));
	EXPECT(0, attach_itself(&p, p.own));
	EXPECT(0, attach(&p, 5, p.first));
	EXPECT(0, detach(&p, 6));
	EXPECT(0, detach(&p, PASIDS + 5));
	EXPECT(0, detach(&p, 0));
	in_use(&p, p.own);
	in_use(&p, p.first);
	EXPECT(0, detach_cdev(p.device));
	EXPECT(0, destroy(p.fd, p.own));
	in_use(&p, p.first);
	EXPECT(0, detach(&p, 5));
	EXPECT(0, detach(&p, 5));
	EXPECT(0, destroy(p.fd, p.first));
}

/* It acts for the device itself, yet is counted beside it. */
TEST(pasid_0_is_the_device_itself)
{
	struct pasids p = pasids_new();

	EXPECT(0, attach_itself(&p, p.own));
	EXPECT(-EBUSY, attach(&p, 0, p.own));
	EXPECT(-EBUSY, attach(&p, 0, p.second));
	EXPECT(-ENOENT, attach(&p, 0, NOBODY));
	EXPECT(0, detach(&p, 0));
	in_use(&p, p.own);
	EXPECT(0, detach_cdev(p.device));
	EXPECT(0, attach(&p, 0, p.own));
	EXPECT(0, attach(&p, 5, p.first));
	EXPECT(-EINVAL, attach(&p, 0, p.plain)); /* a replacement */
	EXPECT(0, attach(&p, 0, p.second));
	EXPECT(0, destroy(p.fd, p.own));
	EXPECT(-EBUSY, attach_itself(&p, p.second));
	EXPECT(0, detach_cdev(p.device)); /* it was not attached so */
	in_use(&p, p.second);
	EXPECT(0, detach(&p, 0));
	EXPECT(0, destroy(p.fd, p.second));
	in_use(&p, p.first);
}

static answer attach_read_only(const struct pasids *p, u32 flags, u32 pasid, u32 hwpt)
{
	const struct vfio_device_attach_iommufd_pt request = {
		.argsz = sizeof(request), .flags = flags, .pt_id = hwpt, .pasid = pasid};

	return ask_read_only(p->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request, sizeof(request));
}

/* Whatever was attached, it is the device itself that is not any more. */
TEST(an_answer_that_cannot_be_given_detaches_the_device_itself)
{
	struct pasids p = pasids_new();

	EXPECT(0, attach_itself(&p, p.own));
	EXPECT(-EFAULT, attach_read_only(&p, VFIO_DEVICE_ATTACH_PASID, 5, p.first));
	EXPECT(0, destroy(p.fd, p.own));
	in_use(&p, p.first); /* the PASID is there */
	EXPECT(-EFAULT, attach_read_only(&p, VFIO_DEVICE_ATTACH_PASID, 5, p.second));
	EXPECT(0, destroy(p.fd, p.first));
	in_use(&p, p.second);
	EXPECT(0, attach(&p, 5, p.second)); /* and knows that it is */
	EXPECT(0, detach(&p, 5));
	EXPECT(-EFAULT, attach_read_only(&p, 0, 5, p.second));
	EXPECT(0, destroy(p.fd, p.second));
	EXPECT(0, attach_itself(&p, p.plain));
	EXPECT(-EFAULT, attach_read_only(&p, 0, 5, p.ioas)); /* a replacement */
	EXPECT(0, destroy(p.fd, p.plain));
	EXPECT(0, destroy(p.fd, p.ioas));
}

TEST(closing_takes_all_along)
{
	struct pasids p = pasids_new();

	EXPECT(0, attach_itself(&p, p.own));
	for (u32 pasid = 1; pasid <= 8; pasid++)
		EXPECT(0, attach(&p, pasid * 125000, pasid & 1 ? p.first : p.second));
	in_use(&p, p.second);
	drop(p.device);
	EXPECT(0, destroy(p.fd, p.own));
	EXPECT(0, destroy(p.fd, p.first));
	EXPECT(0, destroy(p.fd, p.second));
	p.device = open_cdev(&p.names);
	p.id = (u32)WORKS(bind_cdev(p.device, p.fd));
	p.first = (u32)WORKS(alloc_hwpt(p.fd, p.id, p.other, IOMMU_HWPT_ALLOC_PASID));
	EXPECT(0, attach_itself(&p, p.plain)); /* no PASID is in its way */
	EXPECT(0, attach_itself(&p, p.first));
	EXPECT(0, attach(&p, 125000, p.first));
}

/* ---- what the device does ---- */

enum { IOVA = 0x4000000, SOURCE = 0, DESTINATION = 64, RECORD = 128, SIZE = 64, MINE = 6 };

/* One page at the same address in each of three spaces. */
struct path {
	struct pasids p;
	u32 process; /* the PASID of this process */
	u8 *pages[DSA_QUEUES];
	struct dsa dsa;
};

/* Its own requests, those of PASID 6 and those of this process each go to a space of their own. */
static struct path path_new(void)
{
	struct path path = {.p = pasids_new(), .process = (u32)strtoul(getenv("ISOLDE_PROCESS_PASID") ?: "0", NULL, 0)};
	u32 third = new_ioas(path.p.fd), hwpt;

	if (!path.process)
		skip("processes have no PASID here: ISOLDE_PROCESS_PASID is not set");
	hwpt = (u32)WORKS(alloc_hwpt(path.p.fd, path.p.id, third, IOMMU_HWPT_ALLOC_PASID));
	for (unsigned i = 0; i < DSA_QUEUES; i++)
		path.pages[i] = memory(PAGE);
	EXPECT(0, map_at(path.p.fd, path.p.ioas, path.pages[DSA_PLAIN], PAGE, IOVA));
	EXPECT(0, map_at(path.p.fd, path.p.other, path.pages[DSA_DEDICATED], PAGE, IOVA));
	EXPECT(0, map_at(path.p.fd, third, path.pages[DSA_SHARED], PAGE, IOVA));
	EXPECT(0, attach_itself(&path.p, path.p.own));
	EXPECT(0, attach(&path.p, MINE, path.p.second));
	EXPECT(0, attach(&path.p, path.process, hwpt));
	path.dsa = start_dsa(path.p.device, MINE);
	return path;
}

static bool is_filled(const u8 *bytes, u8 value)
{
	for (unsigned i = 0; i < SIZE; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static void fill(struct path *path)
{
	for (unsigned i = 0; i < DSA_QUEUES; i++) {
		memset(path->pages[i], 0, PAGE);
		memset(path->pages[i] + SOURCE, 'a' + (int)i, SIZE);
	}
}

static void submit(struct path *path, unsigned queue)
{
	fill(path);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	copy_dsa(&path->dsa, queue, IOVA + DESTINATION, IOVA + SOURCE, IOVA + RECORD);
}

/* Only page `here` was read and written; DSA_QUEUES: none was. */
static void touched(const struct path *path, unsigned here)
{
	for (unsigned i = 0; i < DSA_QUEUES; i++) {
		EXPECT_TRUE(is_filled(path->pages[i] + DESTINATION, i == here ? (u8)('a' + i) : 0));
		EXPECT_EQUAL(i == here ? 1 : 0, path->pages[i][RECORD]);
	}
}

/* What is stored in that queue is done in the space of page `here`. */
static void lands(struct path *path, unsigned queue, unsigned here)
{
	about("queue %u, page %u", queue, here);
	submit(path, queue);
	EXPECT_EQUAL(1, await_dsa(&path->dsa, path->pages[here] + RECORD));
	touched(path, here);
	EXPECT_TRUE(!has_dsa_error(&path->dsa));
	about(NULL);
}

/* It cannot be done anywhere, and the device says whose it was. */
static void fails(struct path *path, unsigned queue, u32 pasid)
{
	about("queue %u", queue);
	submit(path, queue);
	EXPECT_EQUAL(pasid, await_dsa_error(&path->dsa));
	touched(path, DSA_QUEUES);
	about(NULL);
}

TEST(a_request_lands_where_its_pasid_is_attached)
{
	struct path path = path_new();

	for (unsigned round = 0; round < 3; round++)
		for (unsigned queue = 0; queue < DSA_QUEUES; queue++)
			lands(&path, queue, queue);
}

TEST(a_replaced_pasid_lands_elsewhere)
{
	struct path path = path_new();

	lands(&path, DSA_SHARED, DSA_SHARED);
	EXPECT(0, attach(&path.p, path.process, path.p.second));
	lands(&path, DSA_SHARED, DSA_DEDICATED);
	lands(&path, DSA_DEDICATED, DSA_DEDICATED);
	EXPECT(0, attach(&path.p, MINE, path.p.first)); /* of the device's own space */
	lands(&path, DSA_DEDICATED, DSA_PLAIN);
	lands(&path, DSA_SHARED, DSA_DEDICATED);
	lands(&path, DSA_PLAIN, DSA_PLAIN);
	EXPECT(-EINVAL, attach(&path.p, path.process, path.p.ioas)); /* refused, it stays */
	lands(&path, DSA_SHARED, DSA_DEDICATED);
}

TEST(a_detached_pasid_lands_nowhere)
{
	struct path path = path_new();

	EXPECT(0, detach(&path.p, path.process));
	fails(&path, DSA_SHARED, path.process);
	lands(&path, DSA_DEDICATED, DSA_DEDICATED);
	lands(&path, DSA_PLAIN, DSA_PLAIN);
	EXPECT(0, detach_cdev(path.p.device));
	fails(&path, DSA_PLAIN, 0);
	lands(&path, DSA_DEDICATED, DSA_DEDICATED);
	EXPECT(0, detach(&path.p, MINE));
	fails(&path, DSA_DEDICATED, MINE);
	EXPECT(0, attach(&path.p, path.process, path.p.second));
	lands(&path, DSA_SHARED, DSA_DEDICATED);
	fails(&path, DSA_DEDICATED, MINE);
}

/* The answer of the attach could not be given: the PASID is attached, the device itself is not. */
TEST(what_is_detached_with_a_lost_answer_lands_nowhere)
{
	struct path path = path_new();

	EXPECT(-EFAULT, attach_read_only(&path.p, VFIO_DEVICE_ATTACH_PASID, path.process, path.p.second));
	fails(&path, DSA_PLAIN, 0);
	lands(&path, DSA_SHARED, DSA_DEDICATED);
	lands(&path, DSA_DEDICATED, DSA_DEDICATED);
}

TEST(what_is_unmapped_is_out_of_reach_of_its_pasid_alone)
{
	struct path path = path_new();

	lands(&path, DSA_DEDICATED, DSA_DEDICATED);
	EXPECT(PAGE, unmap(path.p.fd, path.p.other, IOVA, PAGE));
	fails(&path, DSA_DEDICATED, MINE);
	lands(&path, DSA_SHARED, DSA_SHARED);
	lands(&path, DSA_PLAIN, DSA_PLAIN);
	EXPECT(0, map_at(path.p.fd, path.p.other, path.pages[DSA_DEDICATED], PAGE, IOVA));
	lands(&path, DSA_DEDICATED, DSA_DEDICATED);
}

/* A reset takes PASIDs from the device, and the system gives them back. */
TEST(a_reset_keeps_what_is_attached)
{
	struct path path = path_new();

	lands(&path, DSA_SHARED, DSA_SHARED);
	EXPECT(0, ask(path.p.device, VFIO_DEVICE_RESET, NULL));
	unmap_dsa(&path.dsa);
	path.dsa = start_dsa(path.p.device, MINE);
	for (unsigned queue = 0; queue < DSA_QUEUES; queue++)
		lands(&path, queue, queue);
}

SUITE(pasids, CASE(attach_is_refused_in_this_order), CASE(a_pasid_takes_a_domain_that_is_made_for_it),
      CASE(the_device_and_its_pasids_agree_on_being_made_for_it), CASE(to_attach_again_is_to_replace),
      CASE(detach_is_refused_in_this_order), CASE(only_what_is_named_is_detached), CASE(pasid_0_is_the_device_itself),
      CASE(an_answer_that_cannot_be_given_detaches_the_device_itself), CASE(closing_takes_all_along),
      CASE(a_request_lands_where_its_pasid_is_attached), CASE(a_replaced_pasid_lands_elsewhere),
      CASE(a_detached_pasid_lands_nowhere), CASE(what_is_detached_with_a_lost_answer_lands_nowhere),
      CASE(what_is_unmapped_is_out_of_reach_of_its_pasid_alone), CASE(a_reset_keeps_what_is_attached));
