/* SPDX-License-Identifier: MIT */
/* Objects and their ids: who may be destroyed, which request takes which (spec 03 section 2). */
#include <fcntl.h>
#include <unistd.h>

#include "tests/conform/conform.h"

/* ---- ids ---- */

TEST(ids_are_given_from_one_on_and_again_once_free)
{
	int fd = iommu();

	for (u32 id = 1; id <= 5; id++)
		EXPECT_EQUAL(id, new_ioas(fd));
	EXPECT(0, destroy(fd, 2));
	EXPECT(0, destroy(fd, 4));
	EXPECT_EQUAL(2, new_ioas(fd));
	EXPECT_EQUAL(4, new_ioas(fd));
	EXPECT_EQUAL(6, new_ioas(fd));
}

TEST(an_id_that_nobody_has_cannot_be_destroyed)
{
	const u32 ids[] = {0, 2, NOBODY, 0x7fffffff, 0x80000000, 0xffffffff};
	int fd = iommu();

	new_ioas(fd);
	FOR_EACH(id, ids)
	{
		about("id %#x", *id);
		EXPECT(-ENOENT, destroy(fd, *id));
	}
	EXPECT(0, destroy(fd, 1));
	EXPECT(-ENOENT, destroy(fd, 1));
}

TEST(areas_do_not_keep_their_ioas)
{
	char *buffer = memory(4 * PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0x10000));
	EXPECT(0, map_at(fd, ioas, buffer + PAGE, PAGE, 0x20000));
	EXPECT(0, destroy(fd, ioas));
	EXPECT(-ENOENT, unmap(fd, ioas, 0x10000, PAGE));
}

TEST(an_answer_that_cannot_be_given_leaves_no_object)
{
	const struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	const struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	int fd = iommu(), queue;

	EXPECT(-EFAULT, ask_read_only(fd, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas)));
	EXPECT_EQUAL(1, new_ioas(fd));
	EXPECT(-EFAULT, ask_read_only(fd, IOMMU_FAULT_QUEUE_ALLOC, &fault, sizeof(fault)));
	EXPECT_EQUAL(2, new_fault_queue(fd, &queue));
}

/* ---- with every type of object there is ---- */

enum type { IOAS, PAGING, NESTED, DEVICE, ACCESS, FAULT, VIOMMU, VDEVICE, VEVENTQ, HW_QUEUE, STDEV, TYPES };

#define BIT(type) (1u << (type))

static const char *const type_names[TYPES] = {"an IOAS",   "a paging HWPT", "a nested HWPT", "a device",
					      "an access", "a fault queue", "a vIOMMU",	     "a vDEVICE",
					      "a vEVENTQ", "a HW_QUEUE",    "a mock device"};

struct world {
	int fd;
	u32 ids[TYPES], unused_ioas;
	int access, fault, veventq; /* descriptors */
	char *buffer;
};

static u32 viommu_new(int fd, u32 idev, u32 parent)
{
	struct iommu_viommu_alloc request = {
		.size = sizeof(request),
		.type = MOCK_VIOMMU,
		.dev_id = idev,
		.hwpt_id = parent,
	};

	EXPECT(0, ask(fd, IOMMU_VIOMMU_ALLOC, &request));
	return request.out_viommu_id;
}

static void add_virtual_objects(struct world *w, u32 idev)
{
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .dev_id = idev, .virt_id = 0x99};
	struct iommu_veventq_alloc veventq = {.size = sizeof(veventq), .type = MOCK_EVENTS, .veventq_depth = 2};
	struct iommu_hw_queue_alloc queue = {
		.size = sizeof(queue),
		.type = MOCK_HW_QUEUE,
		.nesting_parent_iova = MOCK_FIRST,
		.length = PAGE,
	};

	w->ids[VIOMMU] = viommu_new(w->fd, idev, w->ids[PAGING]);
	vdevice.viommu_id = veventq.viommu_id = queue.viommu_id = w->ids[VIOMMU];
	EXPECT(0, ask(w->fd, IOMMU_VDEVICE_ALLOC, &vdevice));
	EXPECT(0, ask(w->fd, IOMMU_VEVENTQ_ALLOC, &veventq));
	w->veventq = watch((int)veventq.out_veventq_fd);
	EXPECT(0, ask(w->fd, IOMMU_HW_QUEUE_ALLOC, &queue));
	w->ids[VDEVICE] = vdevice.out_vdevice_id;
	w->ids[VEVENTQ] = veventq.out_veventq_id;
	w->ids[HW_QUEUE] = queue.out_hw_queue_id;
}

/* One object of each type. The mock device is attached to the IOAS by an automatic domain. */
static struct world world_new(void)
{
	struct world w = {.fd = iommu()};
	struct mock mock;

	need_mock();
	w.ids[IOAS] = new_ioas(w.fd);
	mock = new_mock(w.fd, w.ids[IOAS], 0);
	w.ids[STDEV] = mock.stdev;
	w.ids[DEVICE] = mock.idev;
	w.buffer = memory(2 * PAGE);
	EXPECT(0, map_at(w.fd, w.ids[IOAS], w.buffer, 2 * PAGE, MOCK_FIRST));
	w.ids[PAGING] = (u32)WORKS(alloc_hwpt(w.fd, mock.idev, w.ids[IOAS], IOMMU_HWPT_ALLOC_NEST_PARENT));
	w.ids[NESTED] = (u32)WORKS(alloc_nested_hwpt(w.fd, mock.idev, w.ids[PAGING], 0, 0));
	w.ids[FAULT] = new_fault_queue(w.fd, &w.fault);
	add_virtual_objects(&w, mock.idev);
	/* Nobody tells the id of an access: it is the lowest free one. */
	w.unused_ioas = new_ioas(w.fd);
	w.ids[ACCESS] = new_ioas(w.fd);
	EXPECT(0, destroy(w.fd, w.ids[ACCESS]));
	w.access = watch(new_access(w.fd, w.ids[IOAS], 0));
	return w;
}

static answer iova_ranges(const struct world *w, u32 id)
{
	struct iommu_iova_range ranges[8];

	return ASK(w->fd, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, .ioas_id = id, .num_iovas = 8,
		   .allowed_iovas = (uintptr_t)ranges);
}

static answer allow_iovas(const struct world *w, u32 id)
{
	return allow(w->fd, id, NULL, 0);
}

static answer map(const struct world *w, u32 id)
{
	return map_at(w->fd, id, w->buffer, PAGE, 0x20000000);
}

static answer map_file(const struct world *w, u32 id)
{
	int file = new_file(PAGE);

	return map_file_at(w->fd, id, file, 0, PAGE, 0x21000000);
}

static answer copy_from(const struct world *w, u32 id)
{
	return copy_at(w->fd, w->unused_ioas, 0x1000, id, MOCK_FIRST, PAGE);
}

static answer copy_to(const struct world *w, u32 id)
{
	return copy_at(w->fd, id, 0x22000000, w->ids[IOAS], MOCK_FIRST, PAGE);
}

static answer unmap_one(const struct world *w, u32 id)
{
	answer got = unmap(w->fd, id, 0x20000000, PAGE);

	return got == (answer)PAGE ? 0 : got;
}

static answer huge_pages(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_HUGE_PAGES, .op = IOMMU_OPTION_OP_GET,
		   .object_id = id);
}

static answer vfio_ioas(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_VFIO_IOAS, iommu_vfio_ioas, .op = IOMMU_VFIO_IOAS_SET, .ioas_id = id);
}

static answer hw_info(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = id);
}

static answer hwpt_for_device(const struct world *w, u32 id)
{
	answer got = alloc_hwpt(w->fd, id, w->ids[IOAS], 0);

	return got > 0 ? destroy(w->fd, (u32)got) : got;
}

static answer hwpt_on(const struct world *w, u32 id)
{
	answer got = alloc_nested_hwpt(w->fd, w->ids[DEVICE], id, 0, 0);

	return got > 0 ? destroy(w->fd, (u32)got) : got;
}

static answer hwpt_with_queue(const struct world *w, u32 id)
{
	answer got = alloc_nested_hwpt(w->fd, w->ids[DEVICE], w->ids[PAGING], IOMMU_HWPT_FAULT_ID_VALID, id);

	return got > 0 ? destroy(w->fd, (u32)got) : got;
}

static answer set_dirty(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, .hwpt_id = id);
}

static answer get_dirty(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, .hwpt_id = id, .length = PAGE,
		   .page_size = PAGE, .data = (uintptr_t)w->buffer);
}

static answer invalidate(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, .hwpt_id = id, .data_type = MOCK_INVALIDATE);
}

static answer viommu_of_device(const struct world *w, u32 id)
{
	struct iommu_viommu_alloc request = {
		.size = sizeof(request), .type = MOCK_VIOMMU, .dev_id = id, .hwpt_id = w->ids[PAGING]};
	answer got = ask(w->fd, IOMMU_VIOMMU_ALLOC, &request);

	return got == 0 ? destroy(w->fd, request.out_viommu_id) : got;
}

static answer viommu_on(const struct world *w, u32 id)
{
	struct iommu_viommu_alloc request = {
		.size = sizeof(request), .type = MOCK_VIOMMU, .dev_id = w->ids[DEVICE], .hwpt_id = id};
	answer got = ask(w->fd, IOMMU_VIOMMU_ALLOC, &request);

	return got == 0 ? destroy(w->fd, request.out_viommu_id) : got;
}

/* The device has its one vDEVICE already. */
static answer vdevice_of_viommu(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, .viommu_id = id, .dev_id = w->ids[DEVICE]);
}

static answer vdevice_of_device(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, .viommu_id = w->ids[VIOMMU], .dev_id = id);
}

static answer veventq_of_viommu(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, .viommu_id = id, .type = MOCK_EVENTS,
		   .veventq_depth = 1);
}

static answer hw_queue_of_viommu(const struct world *w, u32 id)
{
	return ASK(w->fd, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, .viommu_id = id, .type = MOCK_HW_QUEUE,
		   .nesting_parent_iova = MOCK_FIRST, .length = PAGE);
}

static answer move_device(const struct world *w, u32 id)
{
	u32 back = w->ids[IOAS];
	answer got = replace_mock(w->fd, w->ids[STDEV], &id);

	return got == 0 ? replace_mock(w->fd, w->ids[STDEV], &back) : got;
}

static answer access_of_ioas(const struct world *w, u32 id)
{
	answer got = new_access(w->fd, id, 0);

	if (got >= 0)
		close((int)got);
	return got >= 0 ? 0 : got;
}

static answer reserve_in(const struct world *w, u32 id)
{
	return reserve_iova(w->fd, id, 0x30000000, PAGE);
}

static const struct role {
	const char *name;
	answer (*ask)(const struct world *w, u32 id);
	unsigned takes;
	answer right;	   /* what an id of such a type is answered */
	answer wrong_type; /* and another */
	answer unknown;
} roles[] = {
	{"the IOAS of IOVA_RANGES", iova_ranges, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the IOAS of ALLOW_IOVAS", allow_iovas, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the IOAS of MAP", map, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the IOAS of UNMAP", unmap_one, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the IOAS of MAP_FILE", map_file, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the source of COPY", copy_from, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the target of COPY", copy_to, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the object of HUGE_PAGES", huge_pages, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the IOAS of VFIO_IOAS", vfio_ioas, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the device of GET_HW_INFO", hw_info, BIT(DEVICE), 0, -ENOENT, -ENOENT},
	{"the device of HWPT_ALLOC", hwpt_for_device, BIT(DEVICE), 0, -ENOENT, -ENOENT},
	{"the pt_id of HWPT_ALLOC", hwpt_on, BIT(IOAS) | BIT(PAGING) | BIT(VIOMMU), 0, -EINVAL, -EINVAL},
	{"the fault_id of HWPT_ALLOC", hwpt_with_queue, BIT(FAULT), 0, -ENOENT, -ENOENT},
	{"the HWPT of SET_DIRTY_TRACKING", set_dirty, BIT(PAGING), -EOPNOTSUPP, -ENOENT, -ENOENT},
	{"the HWPT of GET_DIRTY_BITMAP", get_dirty, BIT(PAGING), -EOPNOTSUPP, -ENOENT, -ENOENT},
	{"the object of INVALIDATE", invalidate, BIT(NESTED) | BIT(VIOMMU), 0, -EINVAL, -ENOENT},
	{"the device of VIOMMU_ALLOC", viommu_of_device, BIT(DEVICE), 0, -ENOENT, -ENOENT},
	{"the HWPT of VIOMMU_ALLOC", viommu_on, BIT(PAGING), 0, -ENOENT, -ENOENT},
	{"the vIOMMU of VDEVICE_ALLOC", vdevice_of_viommu, BIT(VIOMMU), -EEXIST, -ENOENT, -ENOENT},
	{"the device of VDEVICE_ALLOC", vdevice_of_device, BIT(DEVICE), -EEXIST, -ENOENT, -ENOENT},
	{"the vIOMMU of VEVENTQ_ALLOC", veventq_of_viommu, BIT(VIOMMU), -EEXIST, -ENOENT, -ENOENT},
	{"the vIOMMU of HW_QUEUE_ALLOC", hw_queue_of_viommu, BIT(VIOMMU), -EEXIST, -ENOENT, -ENOENT},
	{"what a device is attached to", move_device, BIT(IOAS) | BIT(PAGING) | BIT(NESTED), 0, -EINVAL, -ENOENT},
	{"the IOAS of an access", access_of_ioas, BIT(IOAS), 0, -ENOENT, -ENOENT},
	{"the IOAS of a reservation", reserve_in, BIT(IOAS), 0, -ENOENT, -ENOENT},
};

TEST(every_request_takes_ids_of_its_types_only)
{
	struct world w = world_new();

	FOR_EACH(role, roles)
	{
		for (unsigned type = 0; type < TYPES; type++) {
			about("%s is %s", role->name, type_names[type]);
			EXPECT(role->takes & BIT(type) ? role->right : role->wrong_type, role->ask(&w, w.ids[type]));
		}
	}
}

TEST(every_request_refuses_ids_that_nobody_has)
{
	struct world w = world_new();
	u32 dead = new_ioas(w.fd);
	const u32 ids[] = {0, dead, NOBODY, 0xffffffff};

	EXPECT(0, destroy(w.fd, dead));
	FOR_EACH(role, roles)
	{
		FOR_EACH(id, ids)
		{
			about("%s is %#x", role->name, *id);
			EXPECT(role->unknown, role->ask(&w, *id));
		}
	}
}

TEST(what_is_in_use_cannot_be_destroyed)
{
	struct world w = world_new();
	const answer expected[TYPES] = {
		[IOAS] = -EBUSY,    [PAGING] = -EBUSY, [NESTED] = 0,	  [DEVICE] = -EBUSY,
		[ACCESS] = -EBUSY,  [FAULT] = -EBUSY,  [VIOMMU] = -EBUSY, [VDEVICE] = 0,
		[VEVENTQ] = -EBUSY, [HW_QUEUE] = 0,    [STDEV] = -ENOENT,
	};

	for (unsigned type = 0; type < STDEV; type++) {
		about("%s", type_names[type]);
		EXPECT(expected[type], destroy(w.fd, w.ids[type]));
	}
}

TEST(leaves_first_everything_can_be_destroyed)
{
	struct world w = world_new();
	const enum type order[] = {NESTED, VDEVICE, HW_QUEUE, VEVENTQ, VIOMMU, FAULT, PAGING, STDEV, IOAS};

	drop(w.veventq);
	drop(w.fault);
	drop(w.access);
	FOR_EACH(type, order)
	{
		about("%s", type_names[*type]);
		EXPECT(0, destroy(w.fd, w.ids[*type]));
		EXPECT(-ENOENT, destroy(w.fd, w.ids[*type]));
	}
	about("the device, the access and the automatic domain went by themselves");
	EXPECT(-ENOENT, destroy(w.fd, w.ids[DEVICE]));
	EXPECT(-ENOENT, destroy(w.fd, w.ids[ACCESS]));
	EXPECT(0, destroy(w.fd, w.unused_ioas));
	EXPECT_EQUAL(1, new_ioas(w.fd));
	EXPECT_EQUAL(2, new_ioas(w.fd));
}

TEST(a_close_destroys_everything_whatever_is_left)
{
	struct world w = world_new();

	drop(w.fd);
	drop(w.veventq);
	drop(w.fault);
	EXPECT(0, check_refs(iommu(), w.buffer, PAGE, 1)); /* the access keeps the context, which keeps the pins */
	drop(w.access);
	EXPECT(0, check_refs(iommu(), w.buffer, PAGE, 0));
}

TEST(the_last_descriptor_of_a_file_counts)
{
	char *buffer = memory(PAGE);
	int fd = iommu(), again = watch(dup(fd)), other = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	new_mock(fd, ioas, 0);
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, MOCK_FIRST));
	drop(fd);
	EXPECT(0, check_refs(other, buffer, PAGE, 1));
	EXPECT(PAGE, unmap(again, ioas, MOCK_FIRST, PAGE));
	EXPECT(0, map_at(again, ioas, buffer, PAGE, MOCK_FIRST));
	drop(again);
	EXPECT(0, check_refs(other, buffer, PAGE, 0));
}

SUITE(objects, CASE(ids_are_given_from_one_on_and_again_once_free), CASE(an_id_that_nobody_has_cannot_be_destroyed),
      CASE(areas_do_not_keep_their_ioas), CASE(an_answer_that_cannot_be_given_leaves_no_object),
      CASE(every_request_takes_ids_of_its_types_only), CASE(every_request_refuses_ids_that_nobody_has),
      CASE(what_is_in_use_cannot_be_destroyed), CASE(leaves_first_everything_can_be_destroyed),
      CASE(a_close_destroys_everything_whatever_is_left), CASE(the_last_descriptor_of_a_file_counts));
