#!/bin/sh
# SPDX-License-Identifier: MIT
# driverctl as on a host: what it lists, what it binds and gives back, what it says of devices and drivers that are not there.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need driverctl
nvme=0000:01:00.0
card=0000:02:00.0

# --nosave throughout: /etc/driverctl.d is the host's own.
story() # SHELL-COMMANDS, in one room; $work/out has what they print
{
	printf 'ctl() { driverctl --nosave "$@"; echo "= $?"; }\n%s\n' "$1" >"$work/story"
	room -- sh "$work/story" >"$work/out" || :
}

said() # LINE...: exactly these
{
	printf '%s\n' "$@" | diff - "$work/out" >&2 || fail "driverctl said otherwise; and: $(cat "$said")"
}

story 'driverctl list-devices; driverctl list-devices network; driverctl list-devices storage'
said "0000:00:00.0 (none)" "0000:00:01.0 pcieport" "0000:00:14.0 xhci_hcd" "0000:00:1c.0 pcieport" "0000:00:1d.0 pcieport" \
	"0000:00:1f.0 (none)" "0000:00:1f.3 snd_hda_intel" "0000:00:1f.4 i801_smbus" "$nvme nvme" "$card e1000e" \
	"0000:02:00.1 e1000e" "0000:03:00.0 (none)" "0000:04:00.0 snd_ens1371" "0000:04:01.0 8139cp" \
	"$card e1000e" "0000:02:00.1 e1000e" "0000:04:01.0 8139cp" "$nvme nvme"

# There and back; a second override replaces the first; the other function stays where it is.
story "ctl set-override $card vfio-pci; ctl list-devices network; ctl list-overrides; ctl set-override $nvme vfio-pci
	ctl list-overrides; ctl unset-override $card; ctl unset-override $nvme; driverctl list-devices | grep -v pcieport | grep -c '\*'
	driverctl list-devices network; driverctl list-devices storage"
said "= 0" "$card vfio-pci [*]" "0000:02:00.1 e1000e" "0000:04:01.0 8139cp" "= 0" "$card vfio-pci" "= 0" "= 0" \
	"$nvme vfio-pci" "$card vfio-pci" "= 0" "= 0" "= 0" 0 "$card e1000e" "0000:02:00.1 e1000e" "0000:04:01.0 8139cp" "$nvme nvme"

# No driver at all; without a probe; a driver that does not match binds because it is named, and the device works no more.
# From 0.115 (Debian 13) on driverctl also tells vfio-pci the ids, by new_id: that binds without a probe, as on Linux.
unprobed="(none)"
! grep -q 'vfio-pci/new_id' "$(command -v driverctl)" || unprobed=vfio-pci
story "ctl set-override $card none; driverctl list-devices network | head -n 1; ctl unset-override $card
	ctl --noprobe set-override $card vfio-pci; driverctl list-devices network | head -n 1; echo $card >/sys/bus/pci/drivers_probe
	driverctl list-devices network | head -n 1"
said "= 0" "$card (none) [*]" "= 0" "= 0" "$card $unprobed [*]" "$card vfio-pci [*]"

# What is not there.
story "ctl set-override 0000:09:00.0 vfio-pci; ctl set-override $card no-such-driver; ctl list-devices no-such-class
	driverctl list-devices network | head -n 1"
[ "$(grep -c '^= 1$' "$work/out")" -ge 2 ] || fail "errors must be errors: $(cat "$work/out")"
grep -q 'no such device: 0000:09:00.0' "$said" || fail "no such device"
grep -q 'no such module: no-such-driver' "$said" || fail "no such module"
tail -n 1 "$work/out" | grep -qx "$card e1000e" || fail "a failed override changes nothing: $(cat "$work/out")"

# The nodes of VFIO follow, and a group is whole only when both functions are bound.
story "group=\$(basename \"\$(readlink /sys/bus/pci/devices/$card/iommu_group)\")
	ctl set-override $card vfio-pci; stat -c %F /dev/vfio/\$group /dev/vfio/devices/vfio0; ctl set-override 0000:02:00.1 vfio-pci
	stat -c %F /dev/vfio/devices/vfio1; ctl unset-override $card; ctl unset-override 0000:02:00.1; ls -A /dev/vfio"
said "= 0" "character special file" "character special file" "= 0" "character special file" "= 0" "= 0" vfio
healthy
echo ok
