/* SPDX-License-Identifier: MIT */
/* Page requests: spec 06 section 2, row by row. */
#include "tests/fixtures/core_room.h"

struct answer {
	struct page_request last;
	enum page_answer answer;
};

/* What a device heard, and what a driver was asked. */
struct desk {
	struct page_handler pages;
	struct page_group *groups[4];
	unsigned taken, forgotten;
	bool refuses;
	struct answer answers[8];
	unsigned nanswers;
};

static int take_group(struct page_handler *pages, struct page_group *group, struct why *why)
{
	struct desk *desk = container_of(pages, struct desk, pages);

	if (desk->refuses)
		return refuse(why, OUT_OF_MEMORY, "the desk of %s is full", group->device->name);
	desk->groups[desk->taken++] = group;
	return 0;
}

static void forget(struct page_handler *pages, struct page_group *group)
{
	struct desk *desk = container_of(pages, struct desk, pages);

	desk->forgotten++;
	(void)group;
}

static void respond(void *context, const struct page_request *last, enum page_answer answer)
{
	struct desk *desk = context;

	desk->answers[desk->nanswers++] = (struct answer){*last, answer};
}

static struct desk *open_desk(struct core_room *core, struct iommu_device *device)
{
	struct desk *desk = calloc(1, sizeof(*desk));

	desk->pages = (struct page_handler){.handle = take_group, .forget = forget};
	ASSERT_OK(core->why, iommu_enable_page_requests(device, respond, desk, &core->why));
	return desk;
}

static int ask(struct core_room *core, struct iommu_device *device, u64 iova, u16 group, bool last)
{
	const struct page_request request = {.iova = iova, .permission = ROOM_RW, .group = group, .last = last};

	return iommu_report_page_request(device, &request, &core->why);
}

static int ask_pasid(struct core_room *core, struct iommu_device *device, u32 pasid)
{
	const struct page_request request = {.iova = 0x7000,
					     .permission = ISOLDE_PT_READ,
					     .pasid = pasid,
					     .has_pasid = true,
					     .group = 9,
					     .last = true};

	return iommu_report_page_request(device, &request, &core->why);
}

static void close_desk(struct core_room *core, struct iommu_device *device, struct desk *desk)
{
	iommu_disable_page_requests(device);
	iommu_disable_page_requests(device);
	core_group_reset(core->group);
	core_group_reset(core->single);
	free(desk);
}

CORE_TEST(page_request, only_devices_with_pri_ask_and_only_when_enabled)
{
	struct pci_function physical = {.cap_pri = 0x120};
	struct desk desk = {};

	EXPECT_REFUSED(PAGE_NO_PRI, core->why, ask(core, core->first, 0x1000, 1, true));
	EXPECT_SUBSTR("0000:02:00.0", core->why.text);
	core->first->function->cap_pri = 0;
	EXPECT_REFUSED(PAGE_NO_PRI, core->why, iommu_enable_page_requests(core->first, respond, &desk, &core->why));
	/* A virtual function asks through its physical one. */
	core->first->function->physical = &physical;
	ASSERT_OK(core->why, iommu_enable_page_requests(core->first, respond, &desk, &core->why));
	EXPECT_REFUSED(PAGE_ENABLED, core->why, iommu_enable_page_requests(core->first, respond, &desk, &core->why));
	EXPECT_SUBSTR("0000:02:00.0", core->why.text);
	EXPECT_REFUSED(PAGE_NO_PRI, core->why,
		       iommu_enable_page_requests(core_emulated(core, NULL), respond, &desk, &core->why));
	EXPECT_SUBSTR("mdev-7", core->why.text);
	iommu_disable_page_requests(core->first);
	core->first->function->physical = NULL;
}

CORE_TEST(page_request, a_group_is_handed_over_whole_in_order_and_answered_once)
{
	struct desk *desk = open_desk(core, core->first);

	core->handle.pages = &desk->pages;
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	ASSERT_OK(core->why, ask(core, core->first, 0x1000, 1, false));
	ASSERT_OK(core->why, ask(core, core->first, 0xa000, 2, false));
	ASSERT_OK(core->why, ask(core, core->first, 0x2000, 1, false));
	assert_int_equal(desk->taken + desk->nanswers, 0);
	ASSERT_OK(core->why, ask(core, core->first, 0x3000, 1, true));
	assert_int_equal(desk->taken, 1);
	assert_int_equal(desk->groups[0]->count, 3);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(desk->groups[0]->requests[i].iova, 0x1000 * (i + 1));
	assert_ptr_equal(desk->groups[0]->handle, &core->handle);
	assert_int_equal(page_requests_pending(core->first), 1);
	iommu_answer_page_group(desk->groups[0], PAGE_SUCCESS);
	assert_int_equal(desk->nanswers, 1);
	assert_int_equal(desk->answers[0].last.iova, 0x3000);
	assert_int_equal(desk->answers[0].last.group, 1);
	assert_int_equal(desk->answers[0].answer, PAGE_SUCCESS);
	assert_int_equal(page_requests_pending(core->first), 0);
	/* The other group waited. */
	ASSERT_OK(core->why, ask(core, core->first, 0xb000, 2, true));
	assert_int_equal(desk->groups[1]->count, 2);
	assert_int_equal(desk->groups[1]->requests[0].iova, 0xa000);
	close_desk(core, core->first, desk);
}

CORE_TEST(page_request, without_a_handler_the_answer_is_invalid_at_once)
{
	struct desk *desk = open_desk(core, core->first);

	ASSERT_OK(core->why, ask(core, core->first, 0x1000, 1, false));
	EXPECT_REFUSED(PAGE_NO_HANDLER, core->why, ask(core, core->first, 0x2000, 1, true));
	EXPECT_SUBSTR("0000:02:00.0 asks for a page at IOVA 0x2000", core->why.text);
	assert_int_equal(desk->nanswers, 1);
	assert_int_equal(desk->answers[0].answer, PAGE_INVALID);
	/* A handle, but nobody behind it. */
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	EXPECT_REFUSED(PAGE_NO_HANDLER, core->why, ask(core, core->first, 0x2000, 1, true));
	/* A PASID that is attached to nothing is nobody's, though the rest is somebody's. */
	core->handle.pages = &desk->pages;
	EXPECT_REFUSED(PAGE_NO_HANDLER, core->why, ask_pasid(core, core->first, 3));
	EXPECT_SUBSTR("of a PASID", core->why.text);
	assert_int_equal(desk->answers[desk->nanswers - 1].last.pasid, 3);
	/* PASID 0, said aloud, is the attachment without. */
	ASSERT_OK(core->why, ask_pasid(core, core->first, 0));
	assert_int_equal(desk->taken, 1);
	close_desk(core, core->first, desk);
}

CORE_TEST(page_request, each_pasid_has_its_own_handler)
{
	struct desk *desk = open_desk(core, core->first);

	core->other_handle.pages = &desk->pages;
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 3, &core->other_handle, &core->why));
	ASSERT_OK(core->why, ask_pasid(core, core->first, 3));
	assert_ptr_equal(desk->groups[0]->handle, &core->other_handle);
	EXPECT_REFUSED(PAGE_NO_HANDLER, core->why, ask(core, core->first, 0x1000, 1, true));
	close_desk(core, core->first, desk);
}

CORE_TEST(page_request, a_pasid_of_the_users_own_table_belongs_to_the_nested_domain)
{
	struct domain *nested = core_nested(core, core->u);
	struct desk *desk = open_desk(core, core->first);

	core->handle.pages = &desk->pages;
	ASSERT_OK(core->why, iommu_attach_group_handle(nested, core->group, &core->handle, &core->why));
	EXPECT_REFUSED(PAGE_NO_HANDLER, core->why, ask_pasid(core, core->first, 3));
	script_driver.user_pasid_table = true;
	ASSERT_OK(core->why, ask_pasid(core, core->first, 3));
	assert_ptr_equal(desk->groups[0]->handle, &core->handle);
	/* Only below a nested one. */
	ASSERT_OK(core->why, iommu_replace_group_handle(core->group, core->u, &core->handle, &core->why));
	assert_int_equal(desk->forgotten, 1);
	EXPECT_REFUSED(PAGE_NO_HANDLER, core->why, ask_pasid(core, core->first, 3));
	close_desk(core, core->first, desk);
	domain_free(nested);
}

CORE_TEST(page_request, a_handler_that_refuses_answers_failure)
{
	struct desk *desk = open_desk(core, core->first);

	core->handle.pages = &desk->pages;
	desk->refuses = true;
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	ASSERT_OK(core->why, ask(core, core->first, 0x1000, 1, true));
	assert_int_equal(core->why.code, WHY_NONE);
	assert_int_equal(desk->answers[0].answer, PAGE_FAILURE);
	assert_int_equal(page_requests_pending(core->first), 0);
	close_desk(core, core->first, desk);
}

/* The answer is the whole group's: what was stored of it must not turn up in the next one of that number. */
CORE_TEST(page_request, without_memory_the_answer_is_failure_and_the_group_is_gone)
{
	struct desk *desk = open_desk(core, core->first);

	core->handle.pages = &desk->pages;
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	for (unsigned n = 1; n <= 2; n++) {
		ASSERT_OK(core->why, ask(core, core->first, 0x1000, 1, false));
		fail_nth_arm(n);
		ASSERT_OK(core->why, ask(core, core->first, 0x2000, 1, true));
		assert_true(fail_nth_fired());
		fail_nth_arm(0);
		assert_int_equal(desk->answers[n - 1].answer, PAGE_FAILURE);
	}
	assert_int_equal(desk->taken, 0);
	ASSERT_OK(core->why, ask(core, core->first, 0x3000, 1, true));
	assert_int_equal(desk->groups[0]->count, 1);
	fail_nth_arm(1);
	EXPECT_REFUSED(OUT_OF_MEMORY, core->why, ask(core, core->first, 0x2000, 1, false));
	fail_nth_arm(0);
	close_desk(core, core->first, desk);
}

CORE_TEST(page_request, an_attachment_that_ends_answers_what_is_left_of_it)
{
	struct desk *desk = open_desk(core, core->first);

	core->handle.pages = core->other_handle.pages = &desk->pages;
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 3, &core->other_handle, &core->why));
	ASSERT_OK(core->why, ask(core, core->first, 0x1000, 1, true));
	ASSERT_OK(core->why, ask_pasid(core, core->first, 3));
	iommu_detach_group_handle(core->group);
	assert_int_equal(desk->forgotten, 1);
	assert_int_equal(desk->nanswers, 1);
	assert_int_equal(desk->answers[0].last.iova, 0x1000);
	assert_int_equal(desk->answers[0].answer, PAGE_INVALID);
	/* Replacing ends the old one too, detaching a PASID likewise. */
	core->third_handle.pages = &desk->pages;
	ASSERT_OK(core->why, iommu_replace_pasid(core->u, core->first, 3, &core->third_handle, &core->why));
	assert_int_equal(desk->nanswers, 2);
	ASSERT_OK(core->why, ask_pasid(core, core->first, 3));
	iommu_detach_pasid(core->first, 3);
	assert_int_equal(desk->nanswers, 3);
	assert_int_equal(desk->answers[2].answer, PAGE_INVALID);
	close_desk(core, core->first, desk);
}

CORE_TEST(page_request, a_device_that_stops_asking_is_answered_and_its_halves_dropped)
{
	struct desk *desk = open_desk(core, core->first), *again;

	core->handle.pages = &desk->pages;
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	ASSERT_OK(core->why, ask(core, core->first, 0x1000, 1, true));
	ASSERT_OK(core->why, ask(core, core->first, 0x2000, 2, false));
	iommu_disable_page_requests(core->first);
	assert_int_equal(desk->nanswers, 1);
	assert_int_equal(desk->answers[0].answer, PAGE_INVALID);
	again = open_desk(core, core->first);
	ASSERT_OK(core->why, ask(core, core->first, 0x3000, 2, true));
	assert_int_equal(desk->groups[1]->count, 1);
	close_desk(core, core->first, again);
	free(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(page_request, only_devices_with_pri_ask_and_only_when_enabled),
		CASE(page_request, a_group_is_handed_over_whole_in_order_and_answered_once),
		CASE(page_request, without_a_handler_the_answer_is_invalid_at_once),
		CASE(page_request, each_pasid_has_its_own_handler),
		CASE(page_request, a_pasid_of_the_users_own_table_belongs_to_the_nested_domain),
		CASE(page_request, a_handler_that_refuses_answers_failure),
		CASE(page_request, without_memory_the_answer_is_failure_and_the_group_is_gone),
		CASE(page_request, an_attachment_that_ends_answers_what_is_left_of_it),
		CASE(page_request, a_device_that_stops_asking_is_answered_and_its_halves_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
