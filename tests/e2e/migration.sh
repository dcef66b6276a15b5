#!/bin/sh
# SPDX-License-Identifier: MIT
# A program and its NVMe controller leave one room and go on in another, in the middle of their work; what goes between
# is a file. Then files that are not what was saved.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
mover=${MOVER:?path of the mover program}
machine=tests/data/machines/movable.yaml
here=0000:01:00.0 there=0000:02:00.0

room --machine $machine --bind vfio-pci=$here -- "$mover" save $here "$work/memory" "$work/stream" >"$work/out" ||
	fail "saving: $(cat "$work/out")"
grep -q "while running: yes" "$work/out" || fail "nothing was saved while it ran"
grep -q "when stopped: yes" "$work/out" || fail "nothing was saved when it was stopped"
[ "$(head -c 32 "$work/stream" | tail -c 8)" = isoldemg ] || fail "the stream does not say what it is"
healthy

cp "$work/memory" "$work/memory.kept"
room --machine $machine --bind vfio-pci=$there -- "$mover" restore $there "$work/memory" "$work/stream" >"$work/out" ||
	fail "restoring: $(cat "$work/out")"
grep -q "blocks as written: 40" "$work/out" || fail "the blocks: $(cat "$work/out")"
healthy

# Half of it, one byte of it, and what never was one.
size=$(wc -c <"$work/stream")
head -c $((size / 2)) "$work/stream" >"$work/half"
refused MIGRATION_INCOMPLETE "from RESUMING to RUNNING" -- --machine $machine --bind vfio-pci=$there -- \
	"$mover" restore $there "$work/memory.kept" "$work/half"
{ head -c $((size - 1)) "$work/stream" && printf '\377'; } >"$work/bent"
cmp -s "$work/bent" "$work/stream" && { head -c $((size - 1)) "$work/stream" && printf '\376'; } >"$work/bent"
refused MIGRATION_STREAM "checksum" -- --machine $machine --bind vfio-pci=$there -- \
	"$mover" restore $there "$work/memory.kept" "$work/bent"
head -c 100000 /dev/urandom >"$work/noise"
refused MIGRATION_STREAM "$there" -- --machine $machine --bind vfio-pci=$there -- \
	"$mover" restore $there "$work/memory.kept" "$work/noise"
# A device whose driver moves nothing.
room --bind vfio-pci=$here -- "$mover" restore $here "$work/memory.kept" "$work/stream" && fail "a plain device was moved"
grep -q "VFIO_DEVICE_FEATURE: Inappropriate ioctl" "$said" || fail "a plain device said something else"
healthy
echo ok
