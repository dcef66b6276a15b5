#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that mean harm to the supervisor: they cut the files behind their devices, swap descriptors while they are
# looked at, and race for the counters of their own events. They harm themselves; the room goes on, and says what was
# done where it can tell.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need timeout
hostile=${HOSTILE:?path of the hostile program}
machine=$(dirname "$0")/../data/machines/conform.yaml

# A supervisor that hangs does not end by itself.
room()
{
	timeout -k 5 120 "$ISOLDE" run --machine "$machine" --bind vfio-pci=0000:01:00.0 --bind vfio-pci=0000:02:00.0 \
		--bind vfio-pci=0000:02:00.1 "$@" 2>"$said"
}

# shellcheck disable=SC2016
group='/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$bdf/iommu_group)")'

# The same room serves the device again afterwards.
story()
{
	echo "bdf=$1; '$hostile' $2 $group $3 && '$hostile' cut $group \$bdf /nowhere >/dev/null"
}

# The NVMe controller has a thread that is at its registers all the time, and restores those that cannot change.
for way in '/dev/fd/%d' '/proc/self/root/proc/self/fd/%d'; do
	refused FILE_CUT 'BAR 0 of 0000:01:00.0' -- -- sh -c "$(story 0000:01:00.0 cut "0000:01:00.0 '$way'")"
	[ "$status" = 0 ] || fail "$way: status $status"
	grep -q '^cut = done' "$work/out" || fail "$way does not lead to the file any more: this test shows nothing"
	grep -q '^registers = there' "$work/out" || fail "$way: the registers did not come back"
	[ "$(grep -c ' FILE_CUT: ' "$said")" = 1 ] || fail "$way: said more than once"
	healthy
done
refused FILE_CUT 'BAR 0 of 0000:01:00.0' -- -- sh -c "$(story 0000:01:00.0 cut-link "0000:01:00.0 '$work/link'")"
grep -q '^registers = there' "$work/out" || fail "truncate(2): the registers did not come back"
healthy

# One without a model: nobody is at its registers before they are read, or go home.
refused FILE_CUT 'of 0000:02:00.0' -- -- sh -c "$(story 0000:02:00.0 cut "0000:02:00.0 /dev/fd/%d")"
[ "$status" = 0 ] || fail "a device without a model: status $status"
healthy

# shellcheck disable=SC2016
room --quiet -- sh -c "$(story 0000:01:00.0 swap '/sys/bus/pci/devices/$bdf/vendor')" >"$work/out" || fail "a swapped descriptor"
grep -q '^swap = survived' "$work/out" || fail "a swapped descriptor"
healthy

for what in take fill; do
	room --quiet -- sh -c "$(story 0000:01:00.0 $what 0000:01:00.0)" >"$work/out" || fail "$what: ended badly"
	grep -q "^$what = survived" "$work/out" || fail "$what: $(cat "$work/out")"
	healthy
done
echo ok
