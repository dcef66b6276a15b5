# SPDX-License-Identifier: MIT
# Sourced by the tests of this folder, which judge isolde by what Linux has: the kernel's headers and its own tests.
# shellcheck shell=sh
. tests/e2e/lib.sh

# $linux becomes the folder that tools/linux-selftests made.
linux_selftests() # iommu | vfio
{
	# shellcheck disable=SC2034 # the test looks at it
	linux=$(tools/linux-selftests "$1" 2>"$work/fetch") || skip "no tests of Linux: $(tail -n 1 "$work/fetch")"
}

# At least so many free huge pages until the test ends; they are the host's, a room has none of its own.
huge_pages() # COUNT
{
	setting=/proc/sys/vm/nr_hugepages
	before=$(cat $setting)
	free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
	[ "$free" -lt "$1" ] || return 0
	[ -w $setting ] || skip "$1 huge pages are needed, $free are free, and only root can reserve more: sysctl vm.nr_hugepages=$1"
	trap 'echo "$before" >$setting; rm -rf "$work"' EXIT
	echo $((before + $1 - free)) >$setting
	free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
	[ "$free" -ge "$1" ] || skip "$1 huge pages are needed, but the host has memory for $free"
}
