#!/bin/sh
# SPDX-License-Identifier: MIT
# A driver that uses /dev/iommu and the device's own node: NVMe through BIND and ATTACH, orders of closing, who is shut
# out meanwhile, processes that share or die, type 1 on /dev/iommu, emulated devices.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
poke=${POKE:?path of the poke program}

bdf=0000:01:00.0
mdev=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
bound="iommufd cdev $bdf bind"
up="$bound ioas attach bar 0 nvme map 0x200000 0x1000"

said_all() # WORD=RESULT...: lines of $work/out, in this order, whatever is between
{
	echo "$@" | awk 'NR == FNR { n = split($0, wanted); next }
		{ line = $0; sub(/ = /, "=", line) }
		line == wanted[i + 1] { i++ }
		END { exit i < n }' - "$work/out" || fail "not in this order: $*: $(cat "$work/out")"
}

# The whole way, then back: what is detached is out of reach, what was unmapped stays so.
# shellcheck disable=SC2086
room --bind vfio-pci=$bdf -- "$poke" $up identify 0x200000 unmap 0x200000 0x1000 map 0x200000 0x2000 identify 0x201000 \
	detach detach close-device close-container >"$work/out" || fail "NVMe through its character device"
said_all identify=0 unmap=4096 map=0 identify=0 detach=0 detach=0 close-device=0 close-container=0
[ "$(grep -c '^model "isolde' "$work/out")" = 2 ] || fail "the controller did not say its name twice"
healthy

# The iommufd may be closed first: the device keeps it, and its memory.
# shellcheck disable=SC2086
room --bind vfio-pci=$bdf -- "$poke" $up close-container identify 0x200000 close-device >"$work/out" || fail "closing first"
said_all close-container=0 identify=0 close-device=0
healthy

# Before BIND nothing works; while one is bound nobody else is let in.
refused CDEV_UNBOUND "$bdf" -- --bind vfio-pci=$bdf -- "$poke" cdev $bdf bar 0
# shellcheck disable=SC2086
refused DEVICE_OPENED "open in poke" -- --bind vfio-pci=$bdf -- "$poke" $bound cdev $bdf bind
# shellcheck disable=SC2086
refused GROUP_BUSY "bound to an iommufd in poke" -- --bind vfio-pci=$bdf -- "$poke" $bound group $bdf
refused GROUP_FILE_OPEN "/dev/vfio/" -- --bind vfio-pci=$bdf -- "$poke" group $bdf iommufd cdev $bdf bind
refused NOT_AN_IOMMUFD "container" -- --bind vfio-pci=$bdf -- "$poke" container cdev $bdf bind
healthy

# A child that inherited everything may set the device up itself; what it maps is its own memory.
# shellcheck disable=SC2086
room --bind vfio-pci=$bdf -- "$poke" $bound ioas attach fork bar 0 nvme map 0x200000 0x1000 identify 0x200000 >"$work/out" ||
	fail "a forked child"
said_all nvme=0 identify=0
healthy

# Two programs, one device: the second waits for the first to die, however it dies.
cat >"$work/two" <<END
for i in 1 2 3 4 5; do
	$poke $up spin >ready.\$i &
	victim=\$!
	while kill -0 \$victim 2>/dev/null && ! grep -q ready ready.\$i; do sleep 0.01; done
	$poke $bound >while.\$i 2>/dev/null
	grep -q '^bind = -EINVAL' while.\$i || { cat while.\$i; exit 1; }
	kill -9 \$victim
	wait \$victim 2>/dev/null
	$poke $up identify 0x200000 >after.\$i
	grep -q '^identify = 0' after.\$i || { cat after.\$i; exit 1; }
done
END
(cd "$work" && room --quiet --bind vfio-pci=$bdf -- sh ./two) || fail "two programs"
healthy

# unbind waits for the last file, bound or not.
cat >"$work/unbind" <<END
$poke cdev $bdf wait >opened &
program=\$!
while kill -0 \$program 2>/dev/null && ! grep -q ready opened; do sleep 0.01; done
grep -q ready opened || { cat opened; exit 1; }
echo $bdf >/sys/bus/pci/drivers/vfio-pci/unbind &
unbind=\$!
tries=0
until $poke cdev $bdf >hidden 2>/dev/null; grep -q -- '-ENO' hidden; do
	tries=\$((tries + 1))
	[ \$tries -lt 600 ] || { cat hidden; exit 1; }
	sleep 0.1
done
kill -0 \$unbind || exit 1
kill -9 \$program
wait \$unbind || exit 1
[ ! -e /dev/vfio/devices/vfio0 ] || exit 1
END
(cd "$work" && room --quiet --bind vfio-pci=$bdf -- sh ./unbind) || fail "an unbind that waits"
healthy

# An iommufd in the place of a container, for programs that know only type 1.
# shellcheck disable=SC2086
room --bind vfio-pci=$bdf -- "$poke" iommufd group $bdf join iommu 3 device $bdf bar 0 nvme map 0x200000 0x1000 \
	close-group identify 0x200000 unmap 0x200000 0x1000 >"$work/out" || fail "type 1 on /dev/iommu"
said_all iommu=0 nvme=0 close-group=0 identify=0 unmap=4096
sed 's/^iommu: .*/&\noptions: {iommufd_provides_vfio: true}/' machines/two-nvme.yaml >"$work/provided.yaml"
room --machine "$work/provided.yaml" --bind vfio-pci=$bdf -- "$poke" container group $bdf join iommu 1 device $bdf bar 0 nvme \
	map 0x200000 0x3000 identify 0x200000 unmap 0x201000 0x1000 ioas >"$work/out" || fail "/dev/vfio/vfio by iommufd"
# TYPE1 cuts what was mapped; and it is a /dev/iommu after all.
said_all identify=0 unmap=4096
grep -q '^ioas = [1-9]' "$work/out" || fail "/dev/vfio/vfio is no iommufd"
healthy

# Emulated devices, where programs look for them.
# shellcheck disable=SC2016
room --machine emulated -- sh -c '
	for uuid in /sys/bus/mdev/devices/*; do
		cat "$uuid"/vfio-dev/vfio*/dev
		basename "$(readlink "$uuid/driver")"
		ls "/dev/vfio/$(basename "$(readlink "$uuid/iommu_group")")"
	done
	stat -c %t:%T /dev/vfio/devices/vfio1' >"$work/out" || fail "emulated devices in sysfs"
for number in 510:0 1fe:1; do
	grep -q -x "$number" "$work/out" || fail "numbers of emulated devices: $(cat "$work/out")"
done
[ "$(grep -c '^mcopy$' "$work/out")" = 2 ] || fail "drivers of emulated devices"
grep -q "$mdev" machines/emulated.yaml || fail "the machine's own file"
healthy
echo ok
