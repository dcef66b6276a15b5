/* SPDX-License-Identifier: MIT */
/* Two devices of one group (spec 02 section 5): nobody upstream tests what they do to each other. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

struct siblings {
	struct names names[2];
	int fd, a, b;
	u32 ioas, other; /* two address spaces */
};

/* Both bound in one context, none attached. */
static struct siblings siblings_new(void)
{
	struct siblings s;

	two_siblings(s.names);
	s.fd = iommu();
	s.a = open_cdev(&s.names[0]);
	s.b = open_cdev(&s.names[1]);
	WORKS(bind_cdev(s.a, s.fd));
	WORKS(bind_cdev(s.b, s.fd));
	s.ioas = new_ioas(s.fd);
	s.other = new_ioas(s.fd);
	return s;
}

static u32 attached(int device, u32 pt_id)
{
	EXPECT(0, attach_cdev(device, &pt_id));
	return pt_id;
}

TEST(siblings_bind_in_one_context_only)
{
	struct names names[2];
	int first = iommu(), second = iommu(), a, b;

	two_siblings(names);
	a = open_cdev(&names[0]);
	b = open_cdev(&names[1]);
	EXPECT(1, bind_cdev(a, first));
	EXPECT(-EPERM, bind_cdev(b, second));
	EXPECT(2, bind_cdev(b, first));
	drop(a);
	a = open_cdev(&names[0]);
	EXPECT(-EPERM, bind_cdev(a, second)); /* the other one still holds the group */
	drop(b);
	EXPECT(1, bind_cdev(a, second));
}

TEST(siblings_share_a_domain)
{
	struct siblings s = siblings_new();
	u32 hwpt = attached(s.a, s.ioas);

	EXPECT_EQUAL(hwpt, attached(s.b, s.ioas));
	EXPECT(0, detach_cdev(s.a));
	EXPECT(-EBUSY, destroy(s.fd, hwpt)); /* b has it */
	EXPECT(-EBUSY, destroy(s.fd, s.ioas));
	EXPECT(0, detach_cdev(s.a));
	EXPECT(-EBUSY, destroy(s.fd, hwpt)); /* once more is nothing */
	EXPECT_EQUAL(hwpt, attached(s.a, s.ioas));
	EXPECT(0, detach_cdev(s.b));
	EXPECT(-EBUSY, destroy(s.fd, hwpt));
	EXPECT(0, detach_cdev(s.a));
	EXPECT(-ENOENT, destroy(s.fd, hwpt));
	EXPECT(0, destroy(s.fd, s.ioas));
}

TEST(siblings_cannot_be_in_two_address_spaces)
{
	struct siblings s = siblings_new();
	u32 hwpt = attached(s.a, s.ioas);

	EXPECT(-EINVAL, attach_cdev(s.b, &(u32){s.other}));
	EXPECT(0, destroy(s.fd, s.other)); /* nothing was left there */
	EXPECT(-EBUSY, destroy(s.fd, hwpt));
	EXPECT_EQUAL(hwpt, attached(s.b, s.ioas));
}

TEST(siblings_cannot_be_in_two_domains_of_one_address_space)
{
	struct siblings s = siblings_new();
	u32 hwpt = attached(s.a, s.ioas), by_hand;

	by_hand = (u32)WORKS(alloc_hwpt(s.fd, 1, s.ioas, 0));
	EXPECT(-EINVAL, attach_cdev(s.b, &(u32){by_hand}));
	EXPECT(0, destroy(s.fd, by_hand));
	EXPECT_EQUAL(hwpt, attached(s.b, hwpt));
}

TEST(a_replacement_moves_both)
{
	struct siblings s = siblings_new();
	u32 first = attached(s.a, s.ioas), second;

	EXPECT_EQUAL(first, attached(s.b, s.ioas));
	second = attached(s.a, s.other);
	EXPECT_TRUE(second != first);
	EXPECT(-ENOENT, destroy(s.fd, first)); /* b went along */
	EXPECT(0, destroy(s.fd, s.ioas));
	EXPECT(0, detach_cdev(s.a));
	EXPECT(-EBUSY, destroy(s.fd, second));
	EXPECT(0, detach_cdev(s.b));
	EXPECT(-ENOENT, destroy(s.fd, second));
	EXPECT(0, destroy(s.fd, s.other));
}

TEST(who_closes_first_takes_nothing_from_the_other)
{
	struct siblings s = siblings_new();
	u32 hwpt = attached(s.a, s.ioas);

	attached(s.b, s.ioas);
	drop(s.a);
	EXPECT(-EBUSY, destroy(s.fd, hwpt));
	EXPECT(0, attach_cdev(s.b, &(u32){s.other}));
	EXPECT(-ENOENT, destroy(s.fd, hwpt));
	s.a = open_cdev(&s.names[0]);
	WORKS(bind_cdev(s.a, s.fd));
	EXPECT(-EINVAL, attach_cdev(s.a, &(u32){s.ioas}));
	attached(s.a, s.other);
}

/* What each of them reserves goes when it is detached, not when the group is. */
TEST(each_attached_sibling_reserves_its_own)
{
	struct siblings s = siblings_new();
	char *buffer = memory(PAGE);

	attached(s.a, s.ioas);
	attached(s.b, s.ioas);
	EXPECT(-EINVAL, map_at(s.fd, s.ioas, buffer, PAGE, 0xfee00000));
	EXPECT(0, detach_cdev(s.a));
	EXPECT(-EINVAL, map_at(s.fd, s.ioas, buffer, PAGE, 0xfee00000));
	EXPECT(0, detach_cdev(s.b));
	EXPECT(0, map_at(s.fd, s.ioas, buffer, PAGE, 0xfee00000));
	EXPECT(-EADDRINUSE, attach_cdev(s.b, &(u32){s.ioas}));
	attached(s.a, s.other);
	EXPECT(-EADDRINUSE, attach_cdev(s.a, &(u32){s.ioas})); /* and it stays where it is */
	EXPECT(-EINVAL, map_at(s.fd, s.other, buffer, PAGE, 0xfee00000));
}

TEST(a_group_is_held_by_whichever_sibling_is_bound)
{
	struct siblings s = siblings_new();

	EXPECT(-EBUSY, open_answer(s.names[0].group, O_RDWR));
	drop(s.a);
	EXPECT(-EBUSY, open_answer(s.names[0].group, O_RDWR));
	drop(s.b);
	watch(open_answer(s.names[0].group, O_RDWR));
}

/* The group, bound by its one device, is no other container's: not even of who opens the group. */
TEST(a_container_of_the_group_is_refused_while_a_sibling_is_bound)
{
	struct names names[2];
	int fd = iommu(), group, other = iommu(), a, b;

	two_siblings(names);
	group = watch(open_answer(names[0].group, O_RDWR));
	EXPECT(0, ask(group, VFIO_GROUP_SET_CONTAINER, &fd)); /* claims nothing yet */
	a = watch(ask(group, VFIO_GROUP_GET_DEVICE_FD, names[0].bdf));
	b = open_cdev(&names[1]);
	EXPECT(-EBUSY, bind_cdev(b, fd));
	drop(group);
	EXPECT(-EPERM, bind_cdev(b, other)); /* a is the first context's, and so the group */
	WORKS(bind_cdev(b, fd));
	drop(a);
	drop(b);
	b = open_cdev(&names[1]);
	WORKS(bind_cdev(b, other));
}

SUITE(siblings, CASE(siblings_bind_in_one_context_only), CASE(siblings_share_a_domain),
      CASE(siblings_cannot_be_in_two_address_spaces), CASE(siblings_cannot_be_in_two_domains_of_one_address_space),
      CASE(a_replacement_moves_both), CASE(who_closes_first_takes_nothing_from_the_other),
      CASE(each_attached_sibling_reserves_its_own), CASE(a_group_is_held_by_whichever_sibling_is_bound),
      CASE(a_container_of_the_group_is_refused_while_a_sibling_is_bound));
