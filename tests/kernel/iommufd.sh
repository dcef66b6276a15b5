#!/bin/sh
# SPDX-License-Identifier: MIT
# Linux's own tests of iommufd, unmodified, in a room: iommufd, and iommufd_fail_nth, which fails each step in turn.
# What they say is kept in $KERNEL_LOGS. tests/kernel/iommufd.sh TEST... runs these tests of iommufd only.
. tests/kernel/lib.sh
linux_selftests iommu
# Three of them (fork_gone) want shared memory without a file to outlive the process that mapped it.
first=$(find /proc/$$/map_files -type l 2>/dev/null | head -n 1)
(: <"$first") 2>/dev/null || skip "the host lets only CAP_CHECKPOINT_RESTORE open what is in /proc/PID/map_files: run it as root"
huge_pages 136 # 128 MiB at a time, and as much again while we let go of it
logs=${KERNEL_LOGS:-$work/logs}
mkdir -p "$logs"
failed=0

judge() # PROGRAM ARGS...
{
	program=$1
	shift
	# shellcheck disable=SC2016 # for the shell in the room, so that both streams stay in order
	timeout 1500 "$ISOLDE" run --selftest -- sh -c 'exec "$@" 2>&1' sh "$linux/bin/$program" "$@" \
		>"$logs/$program.tap" 2>"$said"
	cp "$said" "$logs/$program.isolde"
	healthy
	awk -v program="$program" -f tests/kernel/judge.awk tests/kernel/exceptions.txt "$logs/$program.tap" || failed=1
}

if [ $# -gt 0 ]; then
	for test; do
		set -- "$@" -t "$test"
		shift
	done
	judge iommufd "$@"
else
	judge iommufd
	judge iommufd_fail_nth
fi
[ $failed -eq 0 ] || fail "Linux's tests of iommufd say otherwise; all they said is in $logs"
echo ok
