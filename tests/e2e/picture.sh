#!/bin/sh
# SPDX-License-Identifier: MIT
# `isolde explain --svg`: the file is there, another program finds it well-formed, and no name of a file breaks it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need xmllint

draw() # ARGS...
{
	rm -f "$work/picture.svg"
	"$ISOLDE" explain "$@" --svg "$work/picture.svg" >"$work/out" 2>"$said" || fail "explain $* --svg"
	xmllint --nonet --noout "$work/picture.svg" 2>"$said" || fail "explain $* drew what is no XML"
}

draw --machine default
grep -q '<title>0000:02:00.1 ' "$work/picture.svg" || fail "0000:02:00.1 has no tooltip"
grep -q '>no ACS capability<' "$work/picture.svg" || fail "the port without ACS is not marked"
for machine in laptop workstation fabric; do
	draw --machine "tests/data/machines/$machine.yaml"
	functions=$(grep -c 'alias set' "$work/out")
	boxes=$(grep '^<g><title>0000:' "$work/picture.svg" | grep -vc 'shares a group')
	[ "$boxes" = "$functions" ] || fail "$machine: $boxes boxes for $functions functions"
done

# A name that would end the title, in letters that are no UTF-8.
name="$work/$(printf 'a<text>&\377"b.yaml')"
cp tests/data/machines/laptop.yaml "$name" || fail "cannot copy to a strange name"
draw --machine "$name"
grep -q 'a&lt;text&gt;&amp;' "$work/picture.svg" || fail "the strange name is not shown"

draw --diff tests/data/machines/laptop.yaml tests/data/machines/workstation.yaml
grep -q '>IOMMU groups of tests/data/machines/workstation.yaml<' "$work/picture.svg" || fail "not the later machine is drawn"
grep -q '>Compared with tests/data/machines/laptop.yaml<' "$work/picture.svg" || fail "the picture does not say what it is compared with"

if "$ISOLDE" explain --machine default --svg "$work/none/picture.svg" >/dev/null 2>"$said"; then fail "drew into no folder"; fi
grep -q "HOST_FAILED: open($work/none/picture.svg)" "$said" || fail "does not say where it could not write"
if "$ISOLDE" explain --machine default --svg /dev/full >/dev/null 2>"$said"; then fail "drew onto a full disk"; fi
grep -q 'HOST_FAILED: write(the picture)' "$said" || fail "does not say that the disk is full"
echo ok
