/* SPDX-License-Identifier: MIT */
/* Attach, replace, detach, PASIDs, of the mock device (spec 02 section 5, 03 section 7). */
#include "tests/conform/conform.h"

TEST(an_ioas_has_one_automatic_domain_for_all_its_devices)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd), other = new_ioas(fd);
	struct mock first, second, third;

	need_mock();
	first = new_mock(fd, ioas, 0);
	second = new_mock(fd, ioas, MOCK_NO_DIRTY);
	third = new_mock(fd, other, 0);
	EXPECT_EQUAL(first.hwpt, second.hwpt);
	EXPECT_TRUE(first.hwpt != third.hwpt);
	EXPECT(0, destroy(fd, first.stdev));
	EXPECT(-EBUSY, destroy(fd, first.hwpt));
	EXPECT(0, destroy(fd, second.stdev));
	EXPECT(-ENOENT, destroy(fd, first.hwpt)); /* it went with its last device */
}

TEST(domains_made_by_hand_are_never_picked)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd), by_hand;
	struct mock first, second;

	need_mock();
	first = new_mock(fd, ioas, 0);
	by_hand = (u32)WORKS(alloc_hwpt(fd, first.idev, ioas, 0));
	EXPECT(0, replace_mock(fd, first.stdev, &(u32){by_hand}));
	EXPECT(-ENOENT, destroy(fd, first.hwpt));
	second = new_mock(fd, ioas, 0);
	EXPECT_TRUE(second.hwpt != by_hand);
}

TEST(a_device_attaches_to_a_domain_by_its_id)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd), by_hand;
	struct mock first, second;

	need_mock();
	first = new_mock(fd, ioas, 0);
	by_hand = (u32)WORKS(alloc_hwpt(fd, first.idev, ioas, 0));
	second = new_mock(fd, by_hand, 0);
	EXPECT_EQUAL(by_hand, second.hwpt);
	EXPECT(-EBUSY, destroy(fd, by_hand));
	EXPECT(0, destroy(fd, second.stdev));
	EXPECT(0, destroy(fd, by_hand));
}

TEST(what_cannot_be_attached_to_leaves_no_device)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd), next;
	struct mock first, second;

	need_mock();
	first = new_mock(fd, ioas, 0);
	next = new_ioas(fd);
	EXPECT(0, destroy(fd, next));
	EXPECT(-ENOENT, try_mock(fd, NOBODY, 0, &second));
	EXPECT(-EINVAL, try_mock(fd, first.idev, 0, &second));
	EXPECT(-EINVAL, try_mock(fd, first.stdev, 0, &second));
	EXPECT(-EINVAL, try_mock(fd, NOBODY, 8, &second)); /* a device that cannot be */
	EXPECT_EQUAL(next, new_ioas(fd));
}

/* Which domain a replacement ends at, and which is gone then: as a table of moves of one device. */
TEST(a_replacement_moves_the_device_and_what_it_used)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd), other = new_ioas(fd), by_hand, pt_id;
	struct mock mock;

	need_mock();
	mock = new_mock(fd, ioas, 0);
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, MOCK_FIRST));
	pt_id = ioas;
	EXPECT(0, replace_mock(fd, mock.stdev, &pt_id));
	EXPECT_EQUAL(mock.hwpt, pt_id); /* the same */
	pt_id = mock.hwpt;
	EXPECT(0, replace_mock(fd, mock.stdev, &pt_id));
	by_hand = (u32)WORKS(alloc_hwpt(fd, mock.idev, ioas, 0));
	pt_id = by_hand;
	EXPECT(0, replace_mock(fd, mock.stdev, &pt_id));
	EXPECT_EQUAL(by_hand, pt_id);
	EXPECT(-ENOENT, check_maps(fd, mock.hwpt, MOCK_FIRST, PAGE, buffer));
	EXPECT(0, check_attached(fd, mock.stdev, 0, by_hand));
	pt_id = other;
	EXPECT(0, replace_mock(fd, mock.stdev, &pt_id));
	EXPECT(-EINVAL, check_maps(fd, pt_id, MOCK_FIRST, PAGE, buffer)); /* nothing is mapped there */
	EXPECT(0, check_attached(fd, mock.stdev, 0, pt_id));
	EXPECT(0, destroy(fd, by_hand));
	EXPECT(0, destroy(fd, ioas));
	EXPECT(0, check_refs(fd, buffer, PAGE, 0));
}

TEST(a_replacement_that_is_refused_changes_nothing)
{
	char *nothing = reserve(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd), broken = new_ioas(fd), allowed = new_ioas(fd);
	const struct iommu_iova_range low = {0x1000, 0x1fff};
	struct mock mock;

	need_mock();
	mock = new_mock(fd, ioas, 0);
	EXPECT(0, map_at(fd, broken, nothing, PAGE, MOCK_FIRST));
	EXPECT(0, allow(fd, allowed, &low, 1));
	EXPECT(-ENOENT, replace_mock(fd, NOBODY, &(u32){ioas}));
	EXPECT(-ENOENT, replace_mock(fd, mock.idev, &(u32){ioas}));
	EXPECT(-ENOENT, replace_mock(fd, mock.stdev, &(u32){NOBODY}));
	EXPECT(-EINVAL, replace_mock(fd, mock.stdev, &(u32){mock.idev}));
	EXPECT(-EFAULT, replace_mock(fd, mock.stdev, &(u32){broken}));
	EXPECT(-EADDRINUSE, replace_mock(fd, mock.stdev, &(u32){allowed}));
	EXPECT(0, check_attached(fd, mock.stdev, 0, mock.hwpt));
	EXPECT_EQUAL(1, alignment_of(fd, broken));
	EXPECT(0, destroy(fd, broken));
}

TEST(a_device_without_dirty_tracking_cannot_use_a_domain_with)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd), dirty;
	struct mock with, without;

	need_mock();
	with = new_mock(fd, ioas, 0);
	without = new_mock(fd, ioas, MOCK_NO_DIRTY);
	dirty = (u32)WORKS(alloc_hwpt(fd, with.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING));
	EXPECT(0, replace_mock(fd, with.stdev, &(u32){dirty}));
	EXPECT(-EINVAL, replace_mock(fd, without.stdev, &(u32){dirty}));
	EXPECT(-EINVAL, try_mock(fd, dirty, MOCK_NO_DIRTY, &without));
}

TEST(detaching_what_is_not_attached_is_nothing)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd);
	struct mock mock;

	need_mock();
	mock = new_mock(fd, ioas, MOCK_PASIDS);
	EXPECT(-ENOENT, detach_mock(fd, NOBODY, 5));
	EXPECT(0, detach_mock(fd, mock.stdev, 5));
	EXPECT(0, detach_mock(fd, mock.stdev, 0));
	EXPECT(-ENOENT, destroy(fd, mock.hwpt)); /* pasid 0 is the device itself */
	EXPECT(0, detach_mock(fd, mock.stdev, 0));
	EXPECT(0, check_attached(fd, mock.stdev, 0, 0));
	EXPECT(0, attach_mock(fd, mock.stdev, 0, &ioas));
	EXPECT(0, check_attached(fd, mock.stdev, 0, ioas)); /* the id of the domain came back */
}

/* ---- PASIDs ---- */

struct pasids {
	int fd;
	u32 ioas, first, second, plain, nested; /* domains for PASIDs, one that is none, a nested one */
	struct mock mock;
};

/* The device itself is on a domain for PASIDs. */
static struct pasids pasids_new(void)
{
	struct pasids p = {.fd = iommu()};
	u32 parent;

	need_mock();
	p.ioas = new_ioas(p.fd);
	p.mock = new_mock(p.fd, p.ioas, MOCK_PASIDS);
	p.first = (u32)WORKS(alloc_hwpt(p.fd, p.mock.idev, p.ioas, IOMMU_HWPT_ALLOC_PASID));
	p.second = (u32)WORKS(alloc_hwpt(p.fd, p.mock.idev, p.ioas, IOMMU_HWPT_ALLOC_PASID));
	p.plain = (u32)WORKS(alloc_hwpt(p.fd, p.mock.idev, p.ioas, 0));
	parent = (u32)WORKS(alloc_hwpt(p.fd, p.mock.idev, p.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	p.nested = (u32)WORKS(alloc_nested_hwpt(p.fd, p.mock.idev, parent, IOMMU_HWPT_ALLOC_PASID, 0));
	EXPECT(0, replace_mock(p.fd, p.mock.stdev, &(u32){p.first}));
	return p;
}

static answer attach(const struct pasids *p, u32 pasid, u32 pt_id)
{
	return attach_mock(p->fd, p->mock.stdev, pasid, &pt_id);
}

static answer replace(const struct pasids *p, u32 pasid, u32 pt_id)
{
	return replace_mock_at(p->fd, p->mock.stdev, pasid, &pt_id);
}

static answer attached(const struct pasids *p, u32 pasid, u32 hwpt)
{
	return check_attached(p->fd, p->mock.stdev, pasid, hwpt);
}

TEST(a_pasid_takes_a_domain_that_is_made_for_it)
{
	struct pasids p = pasids_new();

	EXPECT(-ENOENT, attach_mock(p.fd, NOBODY, 5, &(u32){p.first}));
	EXPECT(-ENOENT, attach(&p, 5, NOBODY));
	EXPECT(-EINVAL, attach(&p, 5, p.mock.idev));
	EXPECT(-EINVAL, attach(&p, 5, p.ioas)); /* automatic domains are not */
	EXPECT(-EINVAL, attach(&p, 5, p.plain));
	EXPECT(0, attach(&p, 5, p.second));
	EXPECT(0, attached(&p, 5, p.second));
	EXPECT(-EINVAL, attached(&p, 5, p.first));
	EXPECT(-EINVAL, attached(&p, 5, 0));
	EXPECT(0, attached(&p, 6, 0));
	EXPECT(0, attach(&p, 6, p.nested));
	EXPECT(-EBUSY, destroy(p.fd, p.second));
	EXPECT(-EBUSY, destroy(p.fd, p.nested));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 5));
	EXPECT(0, attached(&p, 5, 0));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 6));
	EXPECT(0, destroy(p.fd, p.second));
	EXPECT(0, destroy(p.fd, p.nested));
}

TEST(a_pasid_that_is_attached_is_busy_whatever_the_domain)
{
	struct pasids p = pasids_new();

	EXPECT(0, attach(&p, 5, p.second));
	EXPECT(-EBUSY, attach(&p, 5, p.second));
	EXPECT(-EBUSY, attach(&p, 5, p.first));
	EXPECT(-EBUSY, attach(&p, 5, p.plain));
	EXPECT(-EBUSY, attach(&p, 0, p.first));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 5));
}

TEST(the_device_and_its_pasids_agree_on_being_made_for_it)
{
	struct pasids p = pasids_new();

	EXPECT(0, replace(&p, 0, p.plain));
	EXPECT(-EINVAL, attach(&p, 5, p.second)); /* the device is on one that is not */
	EXPECT(0, replace(&p, 0, p.first));
	EXPECT(0, attach(&p, 5, p.second));
	EXPECT(-EINVAL, replace(&p, 0, p.plain)); /* a PASID is attached */
	EXPECT(-EINVAL, replace(&p, 0, p.ioas));
	EXPECT(0, attached(&p, 0, p.first));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 0));
	EXPECT(-EINVAL, attach(&p, 0, p.plain));
	EXPECT(-EINVAL, attach(&p, 0, p.ioas));
	EXPECT(0, attach(&p, 0, p.second));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 5));
	EXPECT(0, replace(&p, 0, p.plain));
}

TEST(a_pasid_can_be_attached_without_the_device)
{
	struct pasids p = pasids_new();

	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 0));
	EXPECT(0, attach(&p, 5, p.second));
	EXPECT(0, attached(&p, 0, 0));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 5));
}

TEST(a_pasid_is_replaced_only_where_one_is_attached)
{
	struct pasids p = pasids_new();

	EXPECT(-EINVAL, replace(&p, 5, p.second));
	EXPECT(-ENOENT, replace(&p, 5, NOBODY));
	EXPECT(0, attach(&p, 5, p.second));
	EXPECT(0, replace(&p, 5, p.second));
	EXPECT(-EINVAL, replace(&p, 5, p.plain));
	EXPECT(-EINVAL, replace(&p, 5, p.ioas));
	EXPECT(0, attached(&p, 5, p.second));
	EXPECT(0, replace(&p, 5, p.nested));
	EXPECT(0, attached(&p, 5, p.nested));
	EXPECT(0, destroy(p.fd, p.second));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 5));
}

/* The mock's driver fails every second change of this PASID; the one before stays. */
TEST(a_replacement_that_the_driver_refuses_keeps_the_old_domain)
{
	struct pasids p = pasids_new();

	EXPECT(0, attach(&p, 1024, p.second));
	EXPECT(-ENOMEM, replace(&p, 1024, p.first));
	EXPECT(0, attached(&p, 1024, p.second));
	EXPECT(-EBUSY, destroy(p.fd, p.second));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 1024));
	EXPECT(0, destroy(p.fd, p.second));
}

TEST(a_device_without_pasids_has_none_to_attach)
{
	struct pasids p = pasids_new();
	struct mock plain = new_mock(p.fd, p.first, 0);

	EXPECT(-EINVAL, attach_mock(p.fd, plain.stdev, 5, &(u32){p.second}));
	EXPECT(-EINVAL, attach(&p, 1 << 20, p.second)); /* one more than there are */
	EXPECT(0, attach(&p, (1 << 20) - 1, p.second));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, (1 << 20) - 1));
}

TEST(an_answer_that_cannot_be_given_undoes_an_attach_but_not_a_replacement)
{
	struct pasids p = pasids_new();
	struct mock_request request = {
		.size = sizeof(request), .op = MOCK_PASID_ATTACH, .id = p.mock.stdev, .halves = {5, p.second}};

	EXPECT(-EFAULT, ask_read_only(p.fd, MOCK_CMD, &request, sizeof(request)));
	EXPECT(0, attached(&p, 5, 0));
	EXPECT(0, attach(&p, 5, p.second));
	request.op = MOCK_PASID_REPLACE;
	request.halves[1] = p.nested;
	EXPECT(-EFAULT, ask_read_only(p.fd, MOCK_CMD, &request, sizeof(request)));
	EXPECT(0, attached(&p, 5, p.nested));
	EXPECT(0, detach_mock(p.fd, p.mock.stdev, 5));
	request.op = MOCK_DOMAIN_FLAGS;
	request.id = p.ioas;
	EXPECT(-EFAULT, ask_read_only(p.fd, MOCK_CMD, &request, sizeof(request)));
	request.op = MOCK_REPLACE;
	request.id = p.mock.stdev;
	request.halves[0] = p.plain;
	EXPECT(-EFAULT, ask_read_only(p.fd, MOCK_CMD, &request, sizeof(request)));
	EXPECT(0, attached(&p, 0, p.plain));
}

SUITE(attach, CASE(an_ioas_has_one_automatic_domain_for_all_its_devices), CASE(domains_made_by_hand_are_never_picked),
      CASE(a_device_attaches_to_a_domain_by_its_id), CASE(what_cannot_be_attached_to_leaves_no_device),
      CASE(a_replacement_moves_the_device_and_what_it_used), CASE(a_replacement_that_is_refused_changes_nothing),
      CASE(a_device_without_dirty_tracking_cannot_use_a_domain_with), CASE(detaching_what_is_not_attached_is_nothing),
      CASE(a_pasid_takes_a_domain_that_is_made_for_it), CASE(a_pasid_that_is_attached_is_busy_whatever_the_domain),
      CASE(the_device_and_its_pasids_agree_on_being_made_for_it), CASE(a_pasid_can_be_attached_without_the_device),
      CASE(a_pasid_is_replaced_only_where_one_is_attached),
      CASE(a_replacement_that_the_driver_refuses_keeps_the_old_domain),
      CASE(a_device_without_pasids_has_none_to_attach),
      CASE(an_answer_that_cannot_be_given_undoes_an_attach_but_not_a_replacement));
