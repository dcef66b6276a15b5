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

# Gives back at the end of the test what reserve_pages() took.
give_back()
{
	for pool in $reserved; do
		echo "${pool##*=}" >"${pool%=*}/nr_hugepages"
	done
	rm -rf "$work"
}

# At least so many free huge pages in a pool of /sys/kernel/mm/hugepages until the test ends; they are the host's, a room
# has none of its own. Fails with $reason.
reserved=
reserve_pages() # POOL COUNT
{
	before=$(cat "$1/nr_hugepages")
	free=$(cat "$1/free_hugepages")
	[ "$free" -lt "$2" ] || return 0
	size=${1##*hugepages-}
	reason="$2 huge pages of $size are needed, $free are free, and only root can reserve more: echo $2 >$1/nr_hugepages"
	[ -w "$1/nr_hugepages" ] || return 1
	reserved="$reserved $1=$before"
	trap give_back EXIT
	# Memory may be there, but in pieces: more each time, until the host has put them together.
	tries=10
	[ "$size" != 1048576kB ] || tries=1
	for _ in $(seq $tries); do
		echo $(($(cat "$1/nr_hugepages") + $2 - free)) >"$1/nr_hugepages" 2>/dev/null
		free=$(cat "$1/free_hugepages")
		[ "$free" -lt "$2" ] || return 0
		{ echo 1 >/proc/sys/vm/compact_memory; } 2>/dev/null
		sleep 0.5
	done
	reason="$2 huge pages of $size are needed, but the host has memory for $free"
	return 1
}

# Of the usual size.
huge_pages() # COUNT
{
	size=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
	reserve_pages "/sys/kernel/mm/hugepages/hugepages-${size}kB" "$1" || skip "$reason"
}
