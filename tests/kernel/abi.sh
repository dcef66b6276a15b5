#!/bin/sh
# SPDX-License-Identifier: MIT
# Every number, size and offset of our ABI headers is the one of Linux 7.2's headers.
. tests/kernel/lib.sh
linux_selftests iommu

both="-std=gnu17 -Wall -Werror -I."
theirs="-DABI_LINUX=0x70200 -isystem $linux/uapi -I$linux/tree"
# shellcheck disable=SC2086
{
	gcc $both $theirs -c tests/fixtures/vfio_abi.c -o "$work/vfio.o" &&
		gcc $both $theirs -c tests/fixtures/iommufd_abi.c -o "$work/iommufd.o" &&
		gcc $both $theirs -DLINUX_SIDE -c tests/kernel/abi.c -o "$work/selftest.o" &&
		gcc $both -Iinclude -Isrc tests/kernel/abi.c tests/fixtures/abi.c "$work"/*.o -o "$work/abi"
} || fail "what compares the headers does not build"
"$work/abi" || fail "our headers differ from Linux's"
echo ok
