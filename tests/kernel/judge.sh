#!/bin/sh
# SPDX-License-Identifier: MIT
# The judge sees what it is for, and each exception is named in docs/FIDELITY.md.
. tests/e2e/lib.sh

printf '%s\n' '# a comment' 'prog area.one.broken: tests the kernel' 'other area.one.good: of another program' >"$work/exceptions"

tolerated=
verdict() # STATUS TEXT: of the TAP on stdin
{
	awk -v program=prog -v tolerated="$tolerated" -f tests/kernel/judge.awk "$work/exceptions" - >"$work/out"
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
last='ok 3 area.no_area.other # SKIP Skipping test for variant no_area'

verdict 0 'prog: 1 passed, 1 skipped by design, 1 exceptions, 0 failed' <<END
$head
$broken
$last
END
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

tolerated='no_area.*'
verdict 1 'area.one.other was skipped: no pages' <<END
$head
$broken
ok 3 area.one.other # SKIP no pages
END
tolerated='one\.other'
verdict 0 '0 failed, 1 not to be had on this host' <<END
$head
$broken
ok 3 area.one.other # SKIP no pages
END

sed 's/#.*//' tests/kernel/exceptions.txt | while read -r program test reason; do
	[ -n "$program" ] || continue
	[ -n "$reason" ] || fail "tests/kernel/exceptions.txt: $test has no reason"
	grep -qF "${test%:}" docs/FIDELITY.md || fail "docs/FIDELITY.md does not name $test of tests/kernel/exceptions.txt"
done || exit 1
echo ok
