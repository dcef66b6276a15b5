#!/bin/sh
# SPDX-License-Identifier: MIT
# The judge sees what it is for, and each exception is named in docs/FIDELITY.md.
. tests/e2e/lib.sh

printf '%s\n' '# a comment' 'prog area.one.broken: tests the kernel' 'other area.one.good: of another program' >"$work/exceptions"

tolerated='' lacking='' device=''
verdict() # STATUS TEXT: of the TAP on stdin
{
	awk -v program="prog$device" -v tolerated="$tolerated" -v lacking="$lacking" -f tests/kernel/judge.awk "$work/exceptions" - >"$work/out"
	status=$?
	[ $status -eq "$1" ] || fail "status $status instead of $1: $(cat "$work/out")"
	grep -qF "$2" "$work/out" || fail "\"$2\" is not in: $(cat "$work/out")"
}

head='TAP version 13
1..3
# Starting 3 tests from 1 test cases.
#  RUN           area.one.good ...
#            OK  area.one.good
ok 1 area.one.good
#  RUN           area.one.broken ...'
broken='not ok 2 area.one.broken'
last='ok 3 area.no_viommu.other # SKIP Skipping test for variant no_viommu'

verdict 0 'prog: 1 passed, 1 skipped by design, 1 exceptions, 0 failed' <<END
$head
$broken
$last
END
device=.dsa
verdict 0 'prog.dsa: 1 passed, 1 skipped by design, 1 exceptions, 0 failed' <<END
$head
$broken
$last
END
device=
verdict 1 'area.one.broken passes: take it out' <<END
$head
ok 2 area.one.broken
$last
END
verdict 1 '  | # file.c:3:bad:Expected 0 (0) == 1 (1)' <<END
$head
$broken
#  RUN           area.one.bad ...
# file.c:3:bad:Expected 0 (0) == 1 (1)
#          FAIL  area.one.bad
not ok 3 area.one.bad
END
verdict 1 'area.one.other was skipped: fault injection is not enabled' <<END
$head
$broken
ok 3 area.one.other # SKIP fault injection is not enabled in the kernel
END
verdict 1 'ended after 2 of 3 tests' <<END
$head
$broken
END
verdict 1 'area.one.broken does not exist' <<END
1..1
ok 1 area.one.good
END
verdict 1 'said nothing that looks like tests' <<END
Segmentation fault
END

verdict 1 'area.one.other was skipped: Skipping test for variant no_viommu' <<END
$head
$broken
ok 3 area.one.other # SKIP Skipping test for variant no_viommu
END

pages='mmap() failed: Cannot allocate memory (12)'
tolerated='no_viommu.*'
verdict 1 "area.one.other was skipped: $pages" <<END
$head
$broken
ok 3 area.one.other # SKIP $pages
END
tolerated='one\.other'
verdict 0 '0 failed, 1 not to be had on this host' <<END
$head
$broken
ok 3 area.one.other # SKIP $pages
END
verdict 1 'area.one.other was skipped: no such device' <<END
$head
$broken
ok 3 area.one.other # SKIP no such device
END

tolerated=
lacking='area.one.other: MSI: not supported'
verdict 0 '1 passed, 0 skipped by design, 1 exceptions, 0 failed, 1 for what the device has not' <<END
$head
$broken
ok 3 area.one.other # SKIP MSI: not supported
END
verdict 1 'area.one.other was skipped for another reason: MSI: not supported today' <<END
$head
$broken
ok 3 area.one.other # SKIP MSI: not supported today
END
verdict 1 'area.one.other passes: it is no longer lacking anything' <<END
$head
$broken
ok 3 area.one.other
END
verdict 1 'area.one.other fails: it is no longer lacking anything' <<END
$head
$broken
not ok 3 area.one.other
END
verdict 1 'area.one.other does not exist' <<END
$head
$broken
ok 3 area.no_viommu.other # SKIP Skipping test for variant no_viommu
END
lacking=

sed 's/#.*//' tests/kernel/exceptions.txt | while read -r program test reason; do
	[ -n "$program" ] || continue
	[ -n "$reason" ] || fail "tests/kernel/exceptions.txt: $test has no reason"
	grep -qF "${test%:}" docs/FIDELITY.md || fail "docs/FIDELITY.md does not name $test of tests/kernel/exceptions.txt"
done || exit 1
echo ok
