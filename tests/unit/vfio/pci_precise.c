/* SPDX-License-Identifier: MIT */
/* Precise pages of a BAR as whoever maps them and carries out accesses to them sees them: runs, aliases, pieces. */
#include <fcntl.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define BAR(n)	 ((u64)(n) << 40)
#define ALIAS(n) (FILE_ALIAS_MIN + BAR(n))

/* Every second pair of pages of BAR 0, beginning with the second page, is precise. It writes down what arrives. */
static struct pci_access seen[16];
static unsigned nseen;

static enum pci_page_kind page_kind(const struct pci_function *function, unsigned bar, u64 page)
{
	return bar == 0 && (page + 3) % 4 < 2 ? PCI_PAGE_PRECISE : PCI_PAGE_POLLED;
}

static bool access_precise(struct pci_function *function, struct pci_access *access)
{
	assert_true(nseen < ARRAY_SIZE(seen));
	seen[nseen++] = *access;
	for (unsigned i = 0; access->kind == PCI_ACCESS_LOAD && i < access->width; i++)
		access->data[i] = (u8)(access->offset + i);
	return nseen % 2;
}

static const struct pci_model_ops model = {.name = "precise", .page_kind = page_kind, .access = access_precise};

struct opened {
	struct room *room;
	int device;
	struct pci_session *session;
};

static struct opened open_precise(void)
{
	struct opened ret = {.room = room_new()};

	nseen = 0;
	room_device(ret.room, ROOM_NIC)->function->ops = &model;
	ret.device = room_open_device(ret.room, ROOM_NIC, VFIO_TYPE1_IOMMU).device;
	ret.session = room_bound(ret.room, ROOM_NIC)->session;
	return ret;
}

TEST(pci_precise, runs_are_told_one_by_one)
{
	struct opened opened = open_precise();
	struct file_run run;

	assert_true(pci_precise_run(opened.session, BAR(0), BAR(0) + 0x8fff, &run));
	assert_true(run.start == BAR(0) + 0x1000 && run.last == BAR(0) + 0x2fff && run.alias == ALIAS(0) + 0x1000);
	assert_true(pci_precise_run(opened.session, run.last + 1, BAR(0) + 0x8fff, &run));
	assert_true(run.start == BAR(0) + 0x5000 && run.last == BAR(0) + 0x6fff && run.alias == ALIAS(0) + 0x5000);
	/* A mapping that begins inside one, and one that ends there. */
	assert_true(pci_precise_run(opened.session, BAR(0) + 0x2000, BAR(0) + 0x5fff, &run));
	assert_true(run.start == BAR(0) + 0x2000 && run.last == BAR(0) + 0x2fff);
	assert_true(pci_precise_run(opened.session, BAR(0) + 0x3000, BAR(0) + 0x5001, &run));
	assert_true(run.start == BAR(0) + 0x5000 && run.last == BAR(0) + 0x5fff);
	assert_false(pci_precise_run(opened.session, BAR(0) + 0x3000, BAR(0) + 0x4fff, &run));
	/* Not beyond the BAR, not of others. */
	assert_false(pci_precise_run(opened.session, BAR(0) + bar_size(opened.session->function, 0), BAR(0) + BIT(38),
				     &run));
	assert_false(pci_precise_run(opened.session, BAR(3), BAR(3) + 0xfff, &run));
	assert_false(pci_precise_run(opened.session, BAR(VFIO_PCI_CONFIG_REGION_INDEX),
				     BAR(VFIO_PCI_CONFIG_REGION_INDEX) + 0xfff, &run));
	room_free(opened.room);
}

static void expect_pieces(unsigned count, const unsigned *widths)
{
	assert_int_equal(nseen, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(seen[i].width, widths[i]);
	nseen = 0;
}

TEST(pci_precise, what_is_not_aligned_arrives_in_pieces)
{
	struct opened opened = open_precise();
	struct file_access access = {.kind = FILE_STORE, .alias = ALIAS(0) + 0x1040, .width = 64};
	struct why why;

	for (unsigned i = 0; i < 64; i++)
		access.data[i] = (u8)i;
	ASSERT_OK(why, pci_access(opened.session, &access, &why));
	assert_memory_equal(seen[0].data, access.data, 64);
	expect_pieces(1, (const unsigned[]){64});
	access.alias = ALIAS(0) + 0x1004;
	ASSERT_OK(why, pci_access(opened.session, &access, &why));
	assert_int_equal(seen[1].offset, 0x1008);
	assert_int_equal(seen[1].data[0], 4);
	expect_pieces(5, (const unsigned[]){4, 8, 16, 32, 4});
	access = (struct file_access){.kind = FILE_LOAD, .alias = ALIAS(0) + 0x1ffd, .width = 3};
	ASSERT_OK(why, pci_access(opened.session, &access, &why));
	expect_pieces(2, (const unsigned[]){1, 2});
	assert_int_equal(access.data[0], 0xfd);
	assert_int_equal(access.data[2], 0xff);
	room_free(opened.room);
}

TEST(pci_precise, the_answer_to_an_enqueue_is_the_devices)
{
	struct opened opened = open_precise();
	struct file_access access = {.kind = FILE_ENQUEUE, .alias = ALIAS(0) + 0x1000, .width = 64};
	struct why why;

	ASSERT_OK(why, pci_access(opened.session, &access, &why));
	assert_true(access.accepted);
	ASSERT_OK(why, pci_access(opened.session, &access, &why));
	assert_false(access.accepted);
	assert_int_equal(seen[0].kind, PCI_ACCESS_ENQUEUE);
	room_free(opened.room);
}

static void set_feature(struct opened opened, u32 id)
{
	struct vfio_device_feature feature = {sizeof(feature), VFIO_DEVICE_FEATURE_SET | id};

	ASSERT_OK(opened.room->why, room_ioctl(opened.room, opened.device, VFIO_DEVICE_FEATURE, &feature));
}

TEST(pci_precise, nobody_answers_while_memory_is_off)
{
	struct opened opened = open_precise();
	struct file_access access = {.kind = FILE_LOAD, .alias = ALIAS(0) + 0x1000, .width = 4};
	struct why why = WHY_INIT;

	room_set_config(opened.room, opened.device, PCI_COMMAND, 2, 0);
	EXPECT_REFUSED(MEMORY_DISABLED, why, pci_access(opened.session, &access, &why));
	EXPECT_SUBSTR(ROOM_NIC, why.text);
	assert_int_equal(nseen, 0);
	room_set_config(opened.room, opened.device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ASSERT_OK(why, pci_access(opened.session, &access, &why));
	/* Nor in low power, whatever COMMAND says; a mapped access does not wake the device. */
	set_feature(opened, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	EXPECT_REFUSED(MEMORY_DISABLED, why, pci_access(opened.session, &access, &why));
	assert_int_equal(nseen, 1);
	set_feature(opened, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	ASSERT_OK(why, pci_access(opened.session, &access, &why));
	room_free(opened.room);
}

TEST(pci_precise, what_is_no_precise_page_is_no_register)
{
	struct opened opened = open_precise();
	struct file_access access = {.kind = FILE_LOAD, .width = 4};
	const u64 wrong[] = {ALIAS(0), ALIAS(0) + 0x3000, ALIAS(0) + BIT(39), ALIAS(2), ALIAS(7), BAR(0) + 0x1000};
	struct why why = WHY_INIT;

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		access.alias = wrong[i];
		EXPECT_REFUSED(REGION_OFFSET, why, pci_access(opened.session, &access, &why));
	}
	assert_int_equal(nseen, 0);
	room_free(opened.room);
}

static long ask_for_dmabuf(const struct opened *opened, u64 offset, u64 length)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf dma_buf;
		struct vfio_region_dma_range range;
	} ask = {
		.feature = {.argsz = sizeof(ask), .flags = VFIO_DEVICE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET},
		.dma_buf = {.nr_ranges = 1, .open_flags = O_CLOEXEC | O_RDWR},
		.range = {offset, length},
	};

	return room_ioctl(opened->room, opened->device, VFIO_DEVICE_FEATURE, &ask);
}

/* What another device wrote there, nobody would hear of. */
TEST(pci_precise, is_no_memory_for_other_devices)
{
	struct opened opened = open_precise();
	struct room *room = opened.room;
	int fd;

	EXPECT_REFUSED(DMABUF_NOT_MEMORY, room->why, ask_for_dmabuf(&opened, 0x1000, 0x1000));
	EXPECT_SUBSTR("0x1000 of BAR 0", room->why.text);
	EXPECT_REFUSED(DMABUF_NOT_MEMORY, room->why, ask_for_dmabuf(&opened, 0x3000, 0x3000));
	EXPECT_SUBSTR("0x5000 of BAR 0", room->why.text);
	fd = (int)ASSERT_OK(room->why, ask_for_dmabuf(&opened, 0x3000, 0x2000));
	room_close(room, fd);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_precise, runs_are_told_one_by_one),
		CASE(pci_precise, what_is_not_aligned_arrives_in_pieces),
		CASE(pci_precise, the_answer_to_an_enqueue_is_the_devices),
		CASE(pci_precise, nobody_answers_while_memory_is_off),
		CASE(pci_precise, what_is_no_precise_page_is_no_register),
		CASE(pci_precise, is_no_memory_for_other_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
