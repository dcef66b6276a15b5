/* SPDX-License-Identifier: MIT */
/* Admin commands: identify, queues, features, logs, events, abort. */
#include "tests/fixtures/nvme_driver.h"

#include "base/os.h"

enum { IO_QUEUES = 32, DNR = NVME_DO_NOT_RETRY };

static int set_up(void **state)
{
	struct nvme_driver *driver = nvme_driver_new(NULL);

	driver_alloc(driver, PAGE_SIZE); /* page 0 is where these tests get their data */
	driver_enable(driver, ADMIN_ENTRIES);
	*state = driver;
	return 0;
}

static int tear_down(void **state)
{
	nvme_driver_free(*state);
	return 0;
}

static u16 admin(struct nvme_driver *driver, u8 opcode, u32 nsid, u32 cdw10, u32 cdw11)
{
	struct nvme_command command = {.opcode = opcode, .nsid = nsid, .cdw10 = cdw10, .cdw11 = cdw11};

	return driver_command(driver, 0, command, NULL);
}

static u16 identify(struct nvme_driver *driver, u32 cns, u32 nsid)
{
	memset(driver->memory, 0xee, PAGE_SIZE);
	return admin(driver, NVME_ADMIN_IDENTIFY, nsid, cns, 0);
}

TEST(admin, identify_controller_has_what_drivers_read)
{
	struct nvme_driver *driver = *state;
	const u8 *data = driver->memory;

	assert_int_equal(identify(driver, 1, 0), NVME_SUCCESS);
	assert_int_equal(get_u16(data), 0x1b36);
	assert_memory_equal(data + 4, "0000:01:00.0        ", 20);
	assert_memory_equal(data + 24, "isolde virtual NVMe                     ", 40);
	assert_in_range(data[77], 5, 9);		  /* MDTS */
	assert_int_equal(get_u32(data + 80), 0x00010400); /* VER */
	assert_true(get_u32(data + 88) > 0);		  /* RTD3E */
	assert_int_equal(data[111], 1);			  /* CNTRLTYPE */
	assert_int_equal(get_u16(data + 256), 0);	  /* OACS: nothing optional */
	assert_int_equal(get_u16(data + 320), 0);	  /* KAS */
	assert_int_equal(data[512], 0x66);
	assert_int_equal(data[513], 0x44);
	assert_int_equal(get_u32(data + 516), 1);	    /* NN */
	assert_int_equal(get_u16(data + 520) & 0x0c, 0x0c); /* ONCS: DSM, write zeroes */
	assert_int_equal(data[525] & 1, 1);		    /* VWC */
	assert_int_equal(get_u32(data + 536), 0);	    /* SGLS */
	assert_memory_equal(data + 768, "nqn.2014-08.org.nvmexpress:isolde:0000:01:00.0\0", 47);
}

TEST(admin, identify_namespace_describes_the_disk)
{
	struct nvme_driver *driver = *state;
	const u8 *data = driver->memory;

	assert_int_equal(identify(driver, 0, 1), NVME_SUCCESS);
	assert_int_equal(get_u64(data), (64 << 20) / 512);
	assert_int_equal(get_u64(data + 8), (64 << 20) / 512);
	assert_int_equal(data[25], 0);	  /* NLBAF */
	assert_int_equal(data[26], 0);	  /* FLBAS */
	assert_int_equal(data[33], 0x09); /* DLFEAT */
	assert_int_equal(data[130], 9);	  /* LBAF0.LBADS */
	assert_int_equal(get_u16(data + 128), 0);
	assert_int_equal(identify(driver, 0, UINT32_MAX), NVME_SUCCESS);
	assert_int_equal(get_u64(data), 0);
	assert_int_equal(data[130], 9);
}

TEST(admin, identify_lists_the_namespace_and_its_names)
{
	struct nvme_driver *driver = *state;
	u8 eui64[8];

	assert_int_equal(identify(driver, 0, 1), NVME_SUCCESS);
	memcpy(eui64, driver->memory + 120, 8);
	assert_int_equal(identify(driver, 2, 0), NVME_SUCCESS);
	assert_int_equal(get_u64(driver->memory), 1);
	assert_int_equal(identify(driver, 2, 1), NVME_SUCCESS);
	assert_int_equal(get_u32(driver->memory), 0);
	assert_int_equal(identify(driver, 3, 1), NVME_SUCCESS);
	assert_int_equal(driver->memory[0], 1);
	assert_int_equal(driver->memory[1], 8);
	assert_memory_equal(driver->memory + 4, eui64, 8);
	assert_int_equal(driver->memory[12], 2);
	assert_int_equal(driver->memory[13], 16);
}

TEST(admin, identify_refuses_what_it_has_not)
{
	struct nvme_driver *driver = *state;

	assert_int_equal(identify(driver, 0, 0), NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(identify(driver, 0, 2), NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(identify(driver, 3, 2), NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(identify(driver, 2, UINT32_MAX), NVME_INVALID_NAMESPACE | DNR);
	for (u32 cns = 4; cns < 0x100; cns++)
		assert_int_equal(identify(driver, cns, 1), NVME_INVALID_FIELD | DNR);
	assert_int_equal(driver->memory[0], 0xee);
}

TEST(admin, unknown_opcodes_are_invalid)
{
	static const u8 known[] = {0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0c};
	struct nvme_driver *driver = *state;

	for (unsigned opcode = 0; opcode < 256; opcode++)
		if (!memchr(known, (int)opcode, sizeof(known)))
			assert_int_equal(admin(driver, (u8)opcode, 0, 0, 0), NVME_INVALID_OPCODE | DNR);
}

TEST(admin, scatter_gather_and_fused_are_refused)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = {.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1, .flags = 0x40};

	assert_int_equal(driver_command(driver, 0, command, NULL), NVME_INVALID_FIELD | DNR);
	command.flags = 0x01;
	assert_int_equal(driver_command(driver, 0, command, NULL), NVME_INVALID_FIELD | DNR);
}

static u16 create(struct nvme_driver *driver, u8 opcode, u32 id, u32 entries, u32 cdw11, u64 prp1)
{
	struct nvme_command command = {
		.opcode = opcode, .prp1 = prp1, .cdw10 = (entries - 1) << 16 | id, .cdw11 = cdw11};

	return driver_command(driver, 0, command, NULL);
}

static u16 create_cq(struct nvme_driver *driver, u32 id, u32 entries, u32 cdw11, u64 prp1)
{
	return create(driver, NVME_ADMIN_CREATE_CQ, id, entries, cdw11, prp1);
}

static u16 create_sq(struct nvme_driver *driver, u32 id, u32 entries, u32 cdw11, u64 prp1)
{
	return create(driver, NVME_ADMIN_CREATE_SQ, id, entries, cdw11, prp1);
}

TEST(admin, create_cq_refuses_each_wrong_field)
{
	struct nvme_driver *driver = *state;

	assert_int_equal(create_cq(driver, 1, 16, 0, 0x1000), NVME_INVALID_FIELD | DNR); /* not contiguous */
	assert_int_equal(create_cq(driver, 0, 16, 1, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	assert_int_equal(create_cq(driver, IO_QUEUES + 1, 16, 1, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	assert_int_equal(create_cq(driver, 0xffff, 16, 1, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	assert_int_equal(create_cq(driver, 1, 1, 1, 0x1000), NVME_INVALID_QUEUE_SIZE | DNR);
	assert_int_equal(create_cq(driver, 1, 4097, 1, 0x1000), NVME_INVALID_QUEUE_SIZE | DNR);
	assert_int_equal(create_cq(driver, 1, 16, 1, 0x1010), NVME_INVALID_PRP_OFFSET | DNR);
	assert_int_equal(create_cq(driver, 1, 16, 0x00210003, 0x1000), NVME_INVALID_VECTOR | DNR);
	assert_int_equal(create_cq(driver, 1, 16, 0x00210001, 0x1000), NVME_SUCCESS); /* no interrupts: no vector */
	assert_int_equal(create_cq(driver, 1, 16, 1, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
}

TEST(admin, create_sq_refuses_each_wrong_field)
{
	struct nvme_driver *driver = *state;

	assert_int_equal(create_cq(driver, 1, 16, 1, 0x1000), NVME_SUCCESS);
	assert_int_equal(create_sq(driver, 1, 16, 0x10000, 0x1000), NVME_INVALID_FIELD | DNR);
	assert_int_equal(create_sq(driver, 0, 16, 0x10001, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	assert_int_equal(create_sq(driver, IO_QUEUES + 1, 16, 0x10001, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	assert_int_equal(create_sq(driver, 1, 1, 0x10001, 0x1000), NVME_INVALID_QUEUE_SIZE | DNR);
	assert_int_equal(create_sq(driver, 1, 16, 0x10001, 0x1004), NVME_INVALID_PRP_OFFSET | DNR);
	assert_int_equal(create_sq(driver, 1, 16, 0x20001, 0x1000), NVME_CQ_INVALID | DNR);
	assert_int_equal(create_sq(driver, 1, 16, 0x00001, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	assert_int_equal(create_sq(driver, 1, 16, 0xffff0001, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	assert_int_equal(create_sq(driver, 1, 16, 0x10001, 0x1000), NVME_SUCCESS);
	assert_int_equal(create_sq(driver, 1, 16, 0x10001, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
}

TEST(admin, queues_need_entry_sizes_in_cc)
{
	struct nvme_driver *driver = *state;

	driver_store(driver, NVME_REG_CC, 0x00000001);
	/* Any other command, so that the store has been seen. */
	assert_int_equal(identify(driver, 1, 0), NVME_SUCCESS);
	assert_int_equal(create_cq(driver, 1, 16, 1, 0x1000), NVME_INVALID_QUEUE_SIZE | DNR);
	driver_store(driver, NVME_REG_CC, 0x00400001);
	assert_int_equal(identify(driver, 1, 0), NVME_SUCCESS);
	assert_int_equal(create_cq(driver, 1, 16, 1, 0x1000), NVME_SUCCESS);
	assert_int_equal(create_sq(driver, 1, 16, 0x10001, 0x1000), NVME_INVALID_QUEUE_SIZE | DNR);
}

TEST(admin, completion_queue_in_use_is_deleted_last)
{
	struct nvme_driver *driver = *state;

	driver_create_queues(driver, 1, 16, -1);
	assert_int_equal(create_sq(driver, 2, 16, 0x10001, 0x1000), NVME_SUCCESS);
	assert_int_equal(admin(driver, NVME_ADMIN_DELETE_CQ, 0, 1, 0), NVME_INVALID_DELETION | DNR);
	assert_int_equal(admin(driver, NVME_ADMIN_DELETE_SQ, 0, 1, 0), NVME_SUCCESS);
	assert_int_equal(admin(driver, NVME_ADMIN_DELETE_CQ, 0, 1, 0), NVME_INVALID_DELETION | DNR);
	assert_int_equal(admin(driver, NVME_ADMIN_DELETE_SQ, 0, 2, 0), NVME_SUCCESS);
	assert_int_equal(admin(driver, NVME_ADMIN_DELETE_CQ, 0, 1, 0), NVME_SUCCESS);
	for (u32 id = 0; id < 0x10000; id += id < 40 ? 1 : 0x1fff) {
		assert_int_equal(admin(driver, NVME_ADMIN_DELETE_SQ, 0, id, 0), NVME_INVALID_QUEUE_ID | DNR);
		assert_int_equal(admin(driver, NVME_ADMIN_DELETE_CQ, 0, id, 0), NVME_INVALID_QUEUE_ID | DNR);
	}
	driver_create_queues(driver, 1, 16, -1);
}

static u16 feature(struct nvme_driver *driver, u8 opcode, u32 cdw10, u32 cdw11, u32 *result)
{
	struct nvme_command command = {.opcode = opcode, .cdw10 = cdw10, .cdw11 = cdw11, .nsid = 1};
	u32 ignored;

	return driver_command(driver, 0, command, result ? result : &ignored);
}

static u16 set_feature(struct nvme_driver *driver, u32 cdw10, u32 cdw11, u32 *result)
{
	return feature(driver, NVME_ADMIN_SET_FEATURES, cdw10, cdw11, result);
}

static u32 get_feature(struct nvme_driver *driver, u32 cdw10, u32 cdw11)
{
	u32 result = 0;

	assert_int_equal(feature(driver, NVME_ADMIN_GET_FEATURES, cdw10, cdw11, &result), NVME_SUCCESS);
	return result;
}

TEST(admin, number_of_queues_is_granted_and_then_binds)
{
	struct nvme_driver *driver = *state;
	u32 result;

	assert_int_equal(get_feature(driver, NVME_FEATURE_QUEUES, 0), (IO_QUEUES - 1) * 0x10001);
	assert_int_equal(set_feature(driver, NVME_FEATURE_QUEUES, 0xfffefffe, &result), NVME_SUCCESS);
	assert_int_equal(result, (IO_QUEUES - 1) * 0x10001);
	assert_int_equal(set_feature(driver, NVME_FEATURE_QUEUES, 0xffff, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(driver, NVME_FEATURE_QUEUES, 0x00010001, &result), NVME_SUCCESS);
	assert_int_equal(result, 0x00010001);
	assert_int_equal(create_cq(driver, 3, 16, 1, 0x1000), NVME_INVALID_QUEUE_ID | DNR);
	driver_create_queues(driver, 2, 16, -1);
	assert_int_equal(set_feature(driver, NVME_FEATURE_QUEUES, 0x00010001, NULL), NVME_SEQUENCE_ERROR | DNR);
}

TEST(admin, features_are_kept_until_reset)
{
	static const struct {
		u32 id, value, initial;
	} words[] = {
		{NVME_FEATURE_ARBITRATION, 0x01020303, 7},
		{NVME_FEATURE_POWER, 0, 0},
		{NVME_FEATURE_TEMPERATURE, 400, 343},
		{NVME_FEATURE_ERROR_RECOVERY, 5, 0},
		{NVME_FEATURE_WRITE_CACHE, 0, 1},
		{NVME_FEATURE_COALESCING, 0x1234, 0},
		{NVME_FEATURE_ATOMICITY, 1, 0},
		{NVME_FEATURE_ASYNC_EVENTS, 0x1f, 0},
	};
	struct nvme_driver *driver = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		assert_int_equal(set_feature(driver, words[i].id, words[i].value, NULL), NVME_SUCCESS);
		assert_int_equal(get_feature(driver, words[i].id, 0), words[i].value);
		assert_int_equal(get_feature(driver, words[i].id | 1 << 8, 0), words[i].initial);
		assert_int_equal(get_feature(driver, words[i].id | 2 << 8, 0), words[i].initial);
		assert_int_equal(get_feature(driver, words[i].id | 3 << 8, 0), 4);
	}
	driver_disable(driver);
	driver_enable(driver, ADMIN_ENTRIES);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		assert_int_equal(get_feature(driver, words[i].id, 0), words[i].initial);
}

TEST(admin, features_that_are_not_there_are_refused)
{
	struct nvme_driver *driver = *state;

	for (u32 id = 0; id < 0x100; id++) {
		bool exists = id && id <= 0x0b && id != 3;

		if (exists)
			continue;
		assert_int_equal(set_feature(driver, id, 0, NULL), NVME_INVALID_FIELD | DNR);
		assert_int_equal(feature(driver, NVME_ADMIN_GET_FEATURES, id, 0, NULL), NVME_INVALID_FIELD | DNR);
	}
	assert_int_equal(set_feature(driver, NVME_FEATURE_WRITE_CACHE | 1u << 31, 1, NULL), NVME_NOT_SAVEABLE | DNR);
	assert_int_equal(set_feature(driver, NVME_FEATURE_POWER, 1, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(driver, NVME_FEATURE_ERROR_RECOVERY, 0x10000, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(driver, NVME_FEATURE_VECTOR, 33, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(driver, NVME_FEATURE_TEMPERATURE, 0x10000, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(driver, NVME_FEATURE_TEMPERATURE, 0x200000, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(feature(driver, NVME_ADMIN_GET_FEATURES, NVME_FEATURE_TEMPERATURE, 0xf0000, NULL),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(feature(driver, NVME_ADMIN_GET_FEATURES, NVME_FEATURE_VECTOR, 33, NULL),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(feature(driver, NVME_ADMIN_GET_FEATURES, NVME_FEATURE_POWER | 4 << 8, 0, NULL),
			 NVME_INVALID_FIELD | DNR);
}

TEST(admin, vectors_and_thresholds_are_kept_apart)
{
	struct nvme_driver *driver = *state;

	assert_int_equal(set_feature(driver, NVME_FEATURE_VECTOR, 0x10005, NULL), NVME_SUCCESS);
	assert_int_equal(get_feature(driver, NVME_FEATURE_VECTOR, 5), 0x10005);
	assert_int_equal(get_feature(driver, NVME_FEATURE_VECTOR, 6), 6);
	assert_int_equal(set_feature(driver, NVME_FEATURE_VECTOR, 0x00005, NULL), NVME_SUCCESS);
	assert_int_equal(get_feature(driver, NVME_FEATURE_VECTOR, 5), 5);
	assert_int_equal(set_feature(driver, NVME_FEATURE_TEMPERATURE, 0x100000 | 280, NULL), NVME_SUCCESS);
	assert_int_equal(get_feature(driver, NVME_FEATURE_TEMPERATURE, 0x100000), 280);
	assert_int_equal(get_feature(driver, NVME_FEATURE_TEMPERATURE, 0), 343);
	assert_int_equal(get_feature(driver, NVME_FEATURE_TEMPERATURE | 1 << 8, 0x100000), 0);
}

static u16 get_log(struct nvme_driver *driver, u32 page, u32 bytes, u64 offset, bool retain)
{
	struct nvme_command command = {.opcode = NVME_ADMIN_GET_LOG_PAGE,
				       .nsid = UINT32_MAX,
				       .cdw10 = (bytes / 4 - 1) << 16 | page | (retain ? 0x8000 : 0),
				       .cdw11 = (bytes / 4 - 1) >> 16,
				       .cdw12 = (u32)offset,
				       .cdw13 = (u32)(offset >> 32)};

	memset(driver->memory, 0xee, PAGE_SIZE);
	return driver_command(driver, 0, command, NULL);
}

TEST(admin, smart_log_counts_what_was_done)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = driver_io(NVME_IO_READ, 0, 8);

	driver_create_queues(driver, 1, 16, -1);
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	command.opcode = NVME_IO_WRITE;
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	assert_int_equal(driver_command(driver, 1, command, NULL), NVME_SUCCESS);
	assert_int_equal(get_log(driver, NVME_LOG_SMART, 512, 0, false), NVME_SUCCESS);
	assert_int_equal(driver->memory[0], 0);
	assert_int_equal(get_u16(driver->memory + 1), 313);
	assert_int_equal(get_u64(driver->memory + 32), 1);
	assert_int_equal(get_u64(driver->memory + 64), 1);
	assert_int_equal(get_u64(driver->memory + 80), 2);
	assert_int_equal(driver->memory[511], 0);
	assert_int_equal(driver->memory[512], 0xee);
	command = (struct nvme_command){.opcode = NVME_ADMIN_GET_LOG_PAGE, .nsid = 2, .cdw10 = NVME_LOG_SMART};
	assert_int_equal(driver_command(driver, 0, command, NULL), NVME_INVALID_NAMESPACE | DNR);
}

TEST(admin, error_log_has_the_newest_first)
{
	struct nvme_driver *driver = *state;
	struct nvme_error_entry entries[64];

	for (u32 i = 0; i < 70; i++)
		admin(driver, NVME_ADMIN_IDENTIFY, i, 0xff, 0);
	assert_int_equal(get_log(driver, NVME_LOG_ERROR, sizeof(entries), 0, false), NVME_SUCCESS);
	memcpy(entries, driver->memory, sizeof(entries));
	for (u32 i = 0; i < 64; i++) {
		assert_int_equal(entries[i].count, 70 - i);
		assert_int_equal(entries[i].nsid, 69 - i);
		assert_int_equal(entries[i].sq_id, 0);
		assert_int_equal(entries[i].status >> 1, NVME_INVALID_FIELD | DNR);
	}
}

TEST(admin, log_pages_are_read_in_parts)
{
	struct nvme_driver *driver = *state;

	assert_int_equal(get_log(driver, NVME_LOG_FIRMWARE, 4, 8, false), NVME_SUCCESS);
	assert_memory_equal(driver->memory, ISOLDE_VERSION, 4);
	assert_int_equal(driver->memory[4], 0xee);
	assert_int_equal(get_log(driver, NVME_LOG_FIRMWARE, 64, 508, false), NVME_SUCCESS);
	assert_int_equal(driver->memory[3], 0);
	assert_int_equal(driver->memory[4], 0xee);
	assert_int_equal(get_log(driver, NVME_LOG_FIRMWARE, 1 << 20, 0, false), NVME_SUCCESS);
	assert_int_equal(driver->memory[512], 0xee);
	assert_int_equal(get_log(driver, NVME_LOG_FIRMWARE, 4, 512, false), NVME_SUCCESS);
	assert_int_equal(get_log(driver, NVME_LOG_FIRMWARE, 4, 516, false), NVME_INVALID_FIELD | DNR);
	assert_int_equal(get_log(driver, NVME_LOG_FIRMWARE, 4, 2, false), NVME_INVALID_FIELD | DNR);
	assert_int_equal(get_log(driver, NVME_LOG_FIRMWARE, 4, ~3ull, false), NVME_INVALID_FIELD | DNR);
	for (u32 page = 4; page < 256; page++)
		assert_int_equal(get_log(driver, page, 4, 0, false), NVME_INVALID_LOG_PAGE | DNR);
	assert_int_equal(get_log(driver, 0, 4, 0, false), NVME_INVALID_LOG_PAGE | DNR);
}

static u16 push_event_request(struct nvme_driver *driver)
{
	u16 cid = driver_push(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ASYNC_EVENT});

	driver_ring(driver, 0);
	return cid;
}

TEST(admin, event_requests_stay_pending_up_to_their_limit)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;

	for (unsigned i = 0; i < 8; i++)
		push_event_request(driver);
	assert_false(driver_try_pop(driver, 0, 20, &completion));
	push_event_request(driver);
	assert_int_equal(STATUS(driver_pop(driver, 0)), NVME_ASYNC_LIMIT);
	driver_release(driver, 0);
	/* A reset forgets them without a word. */
	driver_disable(driver);
	assert_false(driver_try_pop(driver, 0, 5, &completion));
	driver_enable(driver, ADMIN_ENTRIES);
	push_event_request(driver);
	assert_false(driver_try_pop(driver, 0, 20, &completion));
}

/* Until the controller has looked at every doorbell: in one round there may be one left that it looks at later. */
static void settle(struct nvme_driver *driver)
{
	for (unsigned i = 0; i < 2; i++)
		driver_command(driver, 0, (struct nvme_command){.opcode = NVME_ADMIN_ABORT}, NULL);
}

TEST(admin, invalid_doorbell_is_an_event_once_until_its_log_is_read)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;
	u16 cid = push_event_request(driver);

	driver_create_queues(driver, 1, 16, -1);
	driver_store(driver, NVME_DOORBELLS + 8, 16);
	completion = driver_pop(driver, 0);
	driver_release(driver, 0);
	assert_int_equal(completion.cid, cid);
	assert_int_equal(completion.result, 0x00010100); /* log 1, invalid value, error */
	push_event_request(driver);
	driver_store(driver, NVME_DOORBELLS + 8 + 4, 0xffffffff);
	settle(driver);
	assert_false(driver_try_pop(driver, 0, 20, &completion)); /* masked */
	assert_int_equal(get_log(driver, NVME_LOG_ERROR, 128, 0, true), NVME_SUCCESS);
	driver_store(driver, NVME_DOORBELLS + 8, 17);
	settle(driver);
	assert_false(driver_try_pop(driver, 0, 20, &completion)); /* still: the reader asked to retain it */
	assert_int_equal(get_log(driver, NVME_LOG_ERROR, 128, 0, false), NVME_SUCCESS);
	driver_store(driver, NVME_DOORBELLS + 8, 18);
	assert_int_equal(driver_pop(driver, 0).result, 0x00010100);
	driver_release(driver, 0);
	/* And the queue works all the same. */
	driver_store(driver, NVME_DOORBELLS + 8 + 4, 0);
	assert_int_equal(driver_command(driver, 1, driver_io(NVME_IO_FLUSH, 0, 1), NULL), NVME_SUCCESS);
}

TEST(admin, temperature_over_the_threshold_is_an_event_if_wanted)
{
	struct nvme_driver *driver = *state;
	struct nvme_completion completion;

	push_event_request(driver);
	assert_int_equal(set_feature(driver, NVME_FEATURE_TEMPERATURE, 300, NULL), NVME_SUCCESS);
	assert_false(driver_try_pop(driver, 0, 20, &completion));
	assert_int_equal(set_feature(driver, NVME_FEATURE_ASYNC_EVENTS, 0x2, NULL), NVME_SUCCESS);
	driver_push(driver, 0,
		    (struct nvme_command){
			    .opcode = NVME_ADMIN_SET_FEATURES, .cdw10 = NVME_FEATURE_TEMPERATURE, .cdw11 = 299});
	driver_ring(driver, 0);
	assert_int_equal(driver_pop(driver, 0).result, 0); /* Set Features */
	assert_int_equal(driver_pop(driver, 0).result, 0x00020101);
	driver_release(driver, 0);
	assert_int_equal(get_log(driver, NVME_LOG_SMART, 512, 0, false), NVME_SUCCESS);
	assert_int_equal(driver->memory[0], 0x02);
}

TEST(admin, abort_ends_an_event_request_and_nothing_else)
{
	struct nvme_driver *driver = *state;
	u16 first = push_event_request(driver), second = push_event_request(driver);
	struct nvme_command command = {.opcode = NVME_ADMIN_ABORT, .cdw10 = (u32)first << 16};
	struct nvme_completion completion;
	u32 result;

	driver_push(driver, 0, command);
	driver_ring(driver, 0);
	completion = driver_pop(driver, 0);
	assert_int_equal(completion.cid, first);
	assert_int_equal(STATUS(completion), NVME_ABORT_REQUESTED);
	completion = driver_pop(driver, 0);
	driver_release(driver, 0);
	assert_int_equal(STATUS(completion), NVME_SUCCESS);
	assert_int_equal(completion.result, 0);
	assert_int_equal(driver_command(driver, 0, command, &result), NVME_SUCCESS);
	assert_int_equal(result, 1); /* gone already */
	command.cdw10 = (u32)second << 16 | 1;
	assert_int_equal(driver_command(driver, 0, command, &result), NVME_SUCCESS);
	assert_int_equal(result, 1); /* not in that queue */
}

TEST(admin, admin_data_at_an_unmapped_iova_fails_alone)
{
	struct nvme_driver *driver = *state;
	struct nvme_command command = {.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1, .prp1 = NVME_UNMAPPED};

	assert_int_equal(driver_command(driver, 0, command, NULL), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(driver_faults(driver), 1);
	assert_int_equal(identify(driver, 1, 0), NVME_SUCCESS);
}

#define ADMIN_CASE(name) cmocka_unit_test_setup_teardown(admin_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_CASE(identify_controller_has_what_drivers_read),
		ADMIN_CASE(identify_namespace_describes_the_disk),
		ADMIN_CASE(identify_lists_the_namespace_and_its_names),
		ADMIN_CASE(identify_refuses_what_it_has_not),
		ADMIN_CASE(unknown_opcodes_are_invalid),
		ADMIN_CASE(scatter_gather_and_fused_are_refused),
		ADMIN_CASE(create_cq_refuses_each_wrong_field),
		ADMIN_CASE(create_sq_refuses_each_wrong_field),
		ADMIN_CASE(queues_need_entry_sizes_in_cc),
		ADMIN_CASE(completion_queue_in_use_is_deleted_last),
		ADMIN_CASE(number_of_queues_is_granted_and_then_binds),
		ADMIN_CASE(features_are_kept_until_reset),
		ADMIN_CASE(features_that_are_not_there_are_refused),
		ADMIN_CASE(vectors_and_thresholds_are_kept_apart),
		ADMIN_CASE(smart_log_counts_what_was_done),
		ADMIN_CASE(error_log_has_the_newest_first),
		ADMIN_CASE(log_pages_are_read_in_parts),
		ADMIN_CASE(event_requests_stay_pending_up_to_their_limit),
		ADMIN_CASE(invalid_doorbell_is_an_event_once_until_its_log_is_read),
		ADMIN_CASE(temperature_over_the_threshold_is_an_event_if_wanted),
		ADMIN_CASE(abort_ends_an_event_request_and_nothing_else),
		ADMIN_CASE(admin_data_at_an_unmapped_iova_fails_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
