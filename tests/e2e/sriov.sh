#!/bin/sh
# SPDX-License-Identifier: MIT
# Virtual functions in a room: made by the kernel's driver and given away, driven while the physical one works on, and
# taken away when the program has let go; those of vfio-pci, which want a token.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
poke=${POKE:?path of the poke program}

physical=0000:01:00.0
virtual=0000:01:00.1
machine=tests/data/machines/virtual.yaml

# The kernel's driver has the physical function, a program the second virtual one.
cat >"$work/give" <<END
cd /sys/bus/pci/devices/$physical || exit
cat sriov_totalvfs sriov_numvfs
echo 2 >sriov_numvfs
basename "\$(readlink virtfn0)"
basename "\$(readlink virtfn1/physfn)"
cd virtfn0 || exit
echo nothing >driver_override
[ ! -e driver ] || echo ${virtual} >driver/unbind
echo vfio-pci >driver_override
echo $virtual >/sys/bus/pci/drivers_probe
lspci -n -s $virtual
"$poke" iommufd cdev $virtual bind ioas attach bar 0 nvme map 0x200000 0x1000 identify 0x200000 sleep 1500 >$work/poked &
while kill -0 \$! 2>/dev/null && ! grep -q identify $work/poked; do sleep 0.1; done
echo 0 >/sys/bus/pci/devices/$physical/sriov_numvfs
kill -0 \$! 2>/dev/null && echo "gone too early"
cat /sys/bus/pci/devices/$physical/sriov_numvfs
[ ! -e /sys/bus/pci/devices/$virtual ]
END
room -m $machine -- sh "$work/give" >"$work/out" || fail "a virtual function that is given away"
printf '%s\n' 2 0 $virtual $physical "01:00.1 0108: 1b36:0011 (rev 02)" 0 >"$work/wanted"
diff "$work/wanted" "$work/out" >&2 || fail "names and numbers of virtual functions"
grep -q 'identify = 0' "$work/poked" || fail "NVMe by a virtual function: $(cat "$work/poked")"
healthy

# Those of vfio-pci are vfio-pci's, and nobody gets one who does not know the token.
cat >"$work/keep" <<END
echo 1 >/sys/bus/pci/devices/$physical/sriov_numvfs
exec "$poke" iommufd cdev $virtual bind
END
refused VF_TOKEN_MISSING "$virtual is only opened with the token of $physical" -- -m $machine -b vfio-pci=$physical -- sh "$work/keep"
refused SRIOV_TOTAL "at most 2" -- -m $machine -- sh -c "echo 3 >/sys/bus/pci/devices/$physical/sriov_numvfs"
healthy
echo ok
