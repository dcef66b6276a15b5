#!/bin/sh
# SPDX-License-Identifier: MIT
# Registers whose every access counts, mapped by a program that does all that programs do: threads, signals, children,
# stops, handlers of its own, games with mappings, debuggers. As whoever runs the tests, and as an ordinary user.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
precise=${PRECISE:?path of the precise program}
bdf=0000:00:05.0
machine=tests/data/machines/precise.yaml

stories() # STORY...
{
	room --machine $machine --bind vfio-pci=$bdf -- "$precise" $bdf "$@" >"$work/out" || fail "$*: $(cat "$work/out")"
	for story; do
		grep -qx "$story: ok" "$work/out" || fail "$story was not told to its end"
	done
	healthy
}

# In one process, one after the other, and each in a room of its own.
stories widths vectors library divide portals handlers blocked threads children programs stops interrupted exec_in_thread leaderless mappings races kills
for story in widths vectors library divide portals handlers blocked threads late children programs stops interrupted exec_in_thread leaderless kills \
	mappings races; do
	stories $story
done

# What is refused is said, and the program sees what it would on hardware.
refused MEMORY_DISABLED "$bdf, offset 0x3008" -- --machine $machine --bind vfio-pci=$bdf -- "$precise" $bdf disabled
grep -qx "disabled: ok" "$work/out" || fail "registers of a device without memory"
refused HOST_FAILED "mmap of register pages" -- --machine $machine --bind vfio-pci=$bdf -- "$precise" $bdf filtered
grep -qx "filtered: ok" "$work/out" || fail "a program with a filter of its own"
refused PAGE_TRACED "is traced by process [0-9]* (precise)" -- --machine $machine --bind vfio-pci=$bdf -- "$precise" $bdf traced
grep -qx "traced: ok" "$work/out" || fail "a program that traces its child"
refused PAGE_INSTRUCTION "fxsave.* at 0x.*bytes 0f ae" -- --machine $machine --bind vfio-pci=$bdf -- "$precise" $bdf unknown
grep -qx "unknown: ok" "$work/out" || fail "an instruction that no register takes"
healthy

# A PASID for every process, by the machine file.
sed 's/^iommu: .*/&\noptions: {process_pasid: 5}/' $machine >"$work/pasid.yaml"
room --machine "$work/pasid.yaml" --bind vfio-pci=$bdf -- "$precise" $bdf pasid >"$work/out" || fail "ENQCMD with a PASID"

# The supervisor is killed: what is left of the room is told so by its signals.
"$ISOLDE" run --machine $machine --bind vfio-pci=$bdf -- "$precise" $bdf orphan >"$work/out" 2>&1
for _ in $(seq 120); do
	grep -qx "orphan: ok" "$work/out" && break
	sleep 0.5
done
grep -qx "orphan: ok" "$work/out" || fail "a program whose supervisor was killed: $(cat "$work/out")"

# Two processes map one device; the room ends while both are at it.
room --machine $machine --bind vfio-pci=$bdf -- sh -c "
	$precise $bdf kills & $precise $bdf untraced; wait \$!" >"$work/out" || fail "two programs: $(cat "$work/out")"
healthy
echo ok
