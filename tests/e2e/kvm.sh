#!/bin/sh
# SPDX-License-Identifier: MIT
# A virtual machine of the host's KVM is told of VFIO's files. On a host without KVM only the requests of others are
# tried, and that is told: what is remembered of a machine is then tested by unit/supervise/kvm alone.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
kvm=${KVM:?path of the kvm program}

BDF=0000:01:00.0
export BDF
bind=vfio-pci=$BDF
nodes()
{
	room --bind $bind -- sh -c "readlink /sys/bus/pci/devices/$BDF/iommu_group; ls /sys/bus/pci/devices/$BDF/vfio-dev"
}
nodes >"$work/nodes" || fail "no room"
group=/dev/vfio/$(sed -n '1s|.*/||p' "$work/nodes")
cdev=/dev/vfio/devices/$(sed -n 2p "$work/nodes")

story() # WORD ARGS...: it ends well, and says so
{
	room --bind $bind -- "$kvm" "$@" >"$work/out" || fail "kvm $*: $(cat "$work/out")"
	[ "$(cat "$work/out")" = "$1" ] || fail "kvm $*: $(cat "$work/out")"
	healthy
}

story without "$group"
[ ! -s "$said" ] || fail "something was said about requests that are none of VFIO's"

reason=$("$kvm" usable) || {
	echo "kvm: this host has no KVM that could be told (/dev/kvm: $reason), so nothing is told to one"
	echo ok
	exit 0
}

story lives "$group"
story leaves "$group"
story waits "$cdev" /sys/bus/pci/drivers/vfio-pci/unbind

# Every answer; those that are ours come with their reasons.
story requests "$group" "$cdev"
refused KVM_FILE_INVALID "/dev/vfio/vfio is neither" -- --bind $bind -- "$kvm" requests "$group" "$cdev"
grep -q 'KVM_FILE_INVALID: /dev/iommu is neither' "$said" || fail "nothing was said of /dev/iommu"
grep -q "KVM_SET_DEVICE_ATTR .*EEXIST KVM_FILE_KNOWN: .*$group" "$said" || fail "nothing was said of the group added twice"
grep -q "KVM_SET_DEVICE_ATTR .*ENOENT KVM_FILE_UNKNOWN: .*$group" "$said" || fail "nothing was said of what was not there"
grep -c '^isolde: KVM_SET' "$said" >"$work/count"
[ "$(cat "$work/count")" = 8 ] || fail "$(cat "$work/count") refusals, not 8: what the host refuses is not ours to tell"
echo ok
