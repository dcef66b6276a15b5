/* SPDX-License-Identifier: MIT */
/*
 * Our ABI headers against Linux 7.2's own, all of them and every row: tests/kernel/abi.sh compiles this beside our
 * headers and once more, with LINUX_SIDE, beside Linux's. Both must have the same rows.
 */
#include "tests/fixtures/abi.h"

#ifndef ABI_LINUX
#define ABI_LINUX 0x70200
#endif

#ifdef LINUX_SIDE
#include "drivers/iommu/iommufd/iommufd_test.h"

const struct abi_row selftest_abi_of_linux[] = {
#include "tests/kernel/selftest_abi.def"
	{NULL, 0},
};
#else

#include <stdio.h>

#include "isolde/abi/vfio.h"
#include "selftest/abi.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

extern const struct abi_row selftest_abi_of_linux[];

#undef VFIO_TYPE1_NESTING_IOMMU /* which 7.2 has given up */

static const struct abi_row vfio[] = {
#include "tests/fixtures/vfio_abi.def"
};
static const struct abi_row iommufd[] = {
#include "tests/fixtures/iommufd_abi.def"
};
static const struct abi_row selftest[] = {
#include "tests/kernel/selftest_abi.def"
};

static unsigned compare(const char *name, const struct abi_row *ours, size_t count, const struct abi_row *linux_rows)
{
	unsigned compared, failed = abi_differences(ours, count, linux_rows, &compared);

	if (compared != count) {
		fprintf(stderr, "%s: %zu rows here, %u in Linux's header\n", name, count, compared);
		failed++;
	}
	printf("%s: %u numbers, sizes and offsets compared\n", name, compared);
	return failed;
}

int main(void)
{
	unsigned failed = compare("vfio", vfio, COUNT(vfio), vfio_abi_of_system);

	failed += compare("iommufd", iommufd, COUNT(iommufd), iommufd_abi_of_system);
	failed += compare("IOMMU_TEST_CMD", selftest, COUNT(selftest), selftest_abi_of_linux);
	return failed > 0;
}
#endif
