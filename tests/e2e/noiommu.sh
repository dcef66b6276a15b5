#!/bin/sh
# SPDX-License-Identifier: MIT
# A device that no IOMMU covers, as a driver in user space finds it: the switch, the names, the node, who may open it,
# how far it gets.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
poke=${POKE:?path of the poke program}

bdf=0000:01:00.0
switch=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
cat >"$work/bare.yaml" <<END
name: bare
iommu: none
devices:
  - {slot: "01.0", role: root-port, id: "8086:1901", driver: pcieport, devices: [
      {slot: "00.0", model: nvme, driver: nvme, flr: true}]}
END

cat >"$work/bind" <<END
cd /sys/bus/pci/devices/$bdf || exit
echo $bdf >driver/unbind
echo vfio-pci >driver_override
echo $bdf >/sys/bus/pci/drivers_probe
END

# Off, the driver does not want it.
refused NO_IOMMU_GROUP "$bdf has no IOMMU group" -- --machine "$work/bare.yaml" -- sh "$work/bind"
healthy

# On: names as Linux has them, a character device to look at, and none of the device's own.
cat >"$work/look" <<END
. "$work/bind"
group=\$(basename "\$(readlink iommu_group)")
cat /sys/kernel/iommu_groups/\$group/name
ls -l /dev/vfio/noiommu-\$group | cut -c 1
[ "\$(stat -c %t:%T /dev/vfio/noiommu-\$group)" = "\$(printf %x:%x \$(tr : ' ' </sys/class/vfio/noiommu-\$group/dev))" ]
echo same \$?
ls vfio-dev/vfio0/dev /dev/vfio/devices 2>/dev/null
"$poke" container group $bdf join iommu 8 device $bdf bar 0
END
room --machine "$work/bare.yaml" -- sh -c "echo Y >$switch; cat $switch; sh $work/look" >"$work/out" || fail "noiommu mode"
grep -v '^[a-z-]* = ' "$work/out" | tr '\n' ' ' >"$work/names"
[ "$(cat "$work/names")" = "Y vfio-noiommu c same 0 " ] || fail "names: $(cat "$work/names")"
for word in container group device bar; do
	grep -q "^$word = [0-9]" "$work/out" || fail "$word: $(cat "$work/out")"
done
for word in join iommu; do
	grep -q "^$word = 0" "$work/out" || fail "$word: $(cat "$work/out")"
done
grep -q "NO_IOMMU_TAINT: $bdf is behind no IOMMU" "$said" || fail "nobody said what that means"
grep -q "NO_IOMMU_TAINT: $bdf, behind no IOMMU, is opened by poke" "$said" || fail "nobody said who opened it"
healthy

# Bound at boot this time. There is nothing to map.
sed -i 's/^iommu: none/options: {noiommu: true}\niommu: none/; s/driver: nvme/driver: vfio-pci/' "$work/bare.yaml"
up="container group $bdf join iommu 8 device $bdf bar 0"
# shellcheck disable=SC2086
refused NO_IOMMU_NO_DMA "MAP_DMA" -- --machine "$work/bare.yaml" -- "$poke" $up map 0x200000 0x1000
healthy

echo ok
