# SPDX-License-Identifier: MIT
# Sourced by the tests of this folder, which judge isolde by what Linux has: the kernel's headers and its own tests.
# $linux is the folder that tools/linux-selftests made.
# shellcheck shell=sh

set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/isolde-kernel.XXXXXX")

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

skip()
{
	echo "SKIP: $*" >&2
	[ "${ISOLDE_MUST_WORK:-0}" = 1 ] && exit 1
	exit 77
}

linux_selftests() # iommu | vfio
{
	# shellcheck disable=SC2034 # the test looks at it
	linux=$(tools/linux-selftests "$1" 2>"$work/fetch") || skip "no tests of Linux: $(tail -n 1 "$work/fetch")"
}
