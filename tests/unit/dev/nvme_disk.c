/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/model.h"
#include "dev/nvme_disk.h"

enum { BOUNCE = 2 << 20 };

struct fixture {
	char path[64];
	int fd;
	struct nvme_disk disk;
};

static struct model_options two_options(const char *key1, const char *value1, const char *key2, const char *value2)
{
	struct model_options options = {.count = 0};

	if (key1)
		options.option[options.count++] = (struct model_option){key1, value1};
	if (key2)
		options.option[options.count++] = (struct model_option){key2, value2};
	return options;
}

static int open_disk(struct nvme_disk *disk, const char *key1, const char *value1, const char *key2, const char *value2,
		     struct why *why)
{
	struct model_options options = two_options(key1, value1, key2, value2);

	*disk = (struct nvme_disk)NVME_DISK_INIT;
	return nvme_disk_init(disk, &options, BOUNCE, why);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/isolde-disk-XXXXXX");
	f->fd = mkstemp(f->path);
	f->disk = (struct nvme_disk)NVME_DISK_INIT;
	*state = f;
	return f->fd < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	nvme_disk_fini(&f->disk);
	close(f->fd);
	unlink(f->path);
	free(f);
	return 0;
}

TEST(disk, memory_is_64_mebibytes_of_zeros_by_default)
{
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	ASSERT_OK(why, open_disk(&f->disk, NULL, NULL, NULL, NULL, &why));
	assert_int_equal(f->disk.size, 64 << 20);
	assert_int_equal(f->disk.blocks, (64 << 20) / 512);
	assert_int_equal(nvme_disk_window(&f->disk, (64 << 20) - 1)[0], 0);
	assert_ptr_not_equal(nvme_disk_window(&f->disk, 0), f->disk.bounce);
}

TEST(disk, size_and_block_are_options)
{
	/* ThreadSanitizer leaves programs 1.5 TiB in all, cut where the host pleases: the last may not fit. */
	static const struct {
		const char *text;
		u64 bytes;
	} sizes[] = {{"4096", 4096}, {"8K", 8192}, {"1M", 1 << 20}, {"3G", 3ull << 30}, {"1T", 1ull << 40}};
	const unsigned n = UNDER_TSAN ? ARRAY_SIZE(sizes) - 1 : ARRAY_SIZE(sizes);
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	for (unsigned i = 0; i < n; i++) {
		ASSERT_OK(why, open_disk(&f->disk, "size", sizes[i].text, "block", "4096", &why));
		assert_int_equal(f->disk.size, sizes[i].bytes);
		assert_int_equal(f->disk.blocks, sizes[i].bytes / 4096);
		nvme_disk_fini(&f->disk);
	}
}

TEST(disk, nonsense_options_are_refused)
{
	static const char *const sizes[] = {
		"", "0", "-1", "64MB", "M", "511", "2T", "18446744073709551616", "0x10", "99999999T", " 64M"};
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT_REFUSED(MODEL_OPTION_INVALID, why, open_disk(&f->disk, "size", sizes[i], NULL, NULL, &why));
	EXPECT_REFUSED(MODEL_OPTION_INVALID, why, open_disk(&f->disk, "size", "512", "block", "4096", &why));
	EXPECT_REFUSED(MODEL_OPTION_INVALID, why, open_disk(&f->disk, "block", "1024", NULL, NULL, &why));
	EXPECT_SUBSTR("block=1024", why.text);
}

TEST(disk, unusable_file_is_refused_with_path_and_reason)
{
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", "/nowhere/disk.img", NULL, NULL, &why));
	EXPECT_SUBSTR("/nowhere/disk.img", why.text);
	EXPECT_SUBSTR("No such file", why.text);
	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", "/tmp", NULL, NULL, &why));
	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", "/dev/null", NULL, NULL, &why));
	EXPECT_SUBSTR("not a regular file", why.text);
	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", f->path, NULL, NULL, &why));
	EXPECT_SUBSTR("too small", why.text);
	assert_int_equal(ftruncate(f->fd, 1000), 0);
	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", f->path, NULL, NULL, &why));
	EXPECT_SUBSTR("1000 bytes", why.text);
	assert_int_equal(ftruncate(f->fd, 1024), 0);
	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", f->path, "block", "4096", &why));
}

TEST(disk, read_only_file_is_refused)
{
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	assert_int_equal(ftruncate(f->fd, 4096), 0);
	assert_int_equal(fchmod(f->fd, 0444), 0);
	/* Root may write it all the same. */
	if (getuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", f->path, NULL, NULL, &why));
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	EXPECT_SUBSTR("Permission denied", why.text);
}

static void check_blocks(struct nvme_disk *disk)
{
	static u8 bytes[12288];

	memset(bytes, 0x5a, sizeof(bytes));
	memset(nvme_disk_window(disk, 4096), 0x5a, sizeof(bytes));
	assert_true(nvme_disk_store(disk, 4096, sizeof(bytes)));
	assert_true(nvme_disk_flush(disk));
	assert_true(nvme_disk_equal(disk, 4096, sizeof(bytes), bytes));
	assert_false(nvme_disk_equal(disk, 4095, sizeof(bytes), bytes));
	assert_true(nvme_disk_zero(disk, 8192, 512));
	assert_true(nvme_disk_fetch(disk, 8192, 1024));
	assert_int_equal(nvme_disk_window(disk, 8192)[511], 0);
	assert_int_equal(nvme_disk_window(disk, 8192)[512], 0x5a);
	nvme_disk_discard(disk, 4096, sizeof(bytes));
	assert_true(nvme_disk_fetch(disk, 4096, 4096));
	assert_int_equal(nvme_disk_window(disk, 4096)[0], 0);
}

TEST(disk, memory_stores_zeroes_and_compares)
{
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	ASSERT_OK(why, open_disk(&f->disk, "size", "1M", NULL, NULL, &why));
	check_blocks(&f->disk);
}

TEST(disk, file_stores_zeroes_and_compares)
{
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	assert_int_equal(ftruncate(f->fd, 1 << 20), 0);
	ASSERT_OK(why, open_disk(&f->disk, "disk", f->path, "size", "7K", &why));
	assert_int_equal(f->disk.size, 1 << 20);
	check_blocks(&f->disk);
}

TEST(disk, file_truncated_under_us_is_an_error_not_a_crash)
{
	struct fixture *f = *state;
	struct why why = WHY_INIT;
	u8 bytes[512] = {0};

	assert_int_equal(ftruncate(f->fd, 1 << 20), 0);
	ASSERT_OK(why, open_disk(&f->disk, "disk", f->path, NULL, NULL, &why));
	assert_int_equal(ftruncate(f->fd, 4096), 0);
	assert_true(nvme_disk_fetch(&f->disk, 0, 4096));
	assert_false(nvme_disk_fetch(&f->disk, 0, 8192));
	assert_false(nvme_disk_equal(&f->disk, 8192, 512, bytes));
}

static int open_and_close(struct why *why)
{
	struct nvme_disk disk;
	int err = open_disk(&disk, "size", "1M", NULL, NULL, why);

	nvme_disk_fini(&disk);
	return err;
}

TEST(disk, every_failure_on_the_way_is_told)
{
	SWEEP_FAILURES(open_and_close);
}

TEST(disk, open_that_fails_in_the_host_is_told)
{
	struct fixture *f = *state;
	struct why why = WHY_INIT;

	assert_int_equal(ftruncate(f->fd, 1 << 20), 0);
	fail_nth_arm(1);
	EXPECT_REFUSED(DISK_UNUSABLE, why, open_disk(&f->disk, "disk", f->path, NULL, NULL, &why));
	fail_nth_arm(0);
	EXPECT_SUBSTR("Too many open files", why.text);
}

#define DISK_CASE(name) cmocka_unit_test_setup_teardown(disk_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_CASE(memory_is_64_mebibytes_of_zeros_by_default),
		DISK_CASE(size_and_block_are_options),
		DISK_CASE(nonsense_options_are_refused),
		DISK_CASE(unusable_file_is_refused_with_path_and_reason),
		DISK_CASE(read_only_file_is_refused),
		DISK_CASE(memory_stores_zeroes_and_compares),
		DISK_CASE(file_stores_zeroes_and_compares),
		DISK_CASE(file_truncated_under_us_is_an_error_not_a_crash),
		CASE(disk, every_failure_on_the_way_is_told),
		DISK_CASE(open_that_fails_in_the_host_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
