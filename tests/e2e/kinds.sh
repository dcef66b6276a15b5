#!/bin/sh
# SPDX-License-Identifier: MIT
# The same programs behind each kind of IOMMU: through /dev/iommu, through type 1, and what sysfs says of it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io
poke=${POKE:?path of the poke program}
bdf=0000:01:00.0

# Where programs look for the unit: the name below /sys/class/iommu, and what has the registers.
unit_of()
{
	case $1 in
	amd) echo ivhd0/amd-iommu/features ;;
	arm) echo smmu3.0x0000000009050000/devices/$bdf ;;
	riscv) echo riscv-iommu@3010000.iommu/devices/$bdf ;;
	*) echo dmar0/intel-iommu/ecap ;;
	esac
}

"$ISOLDE" machine list >"$work/machines" || fail "machine list"
for machine in default amd arm nesting riscv; do
	grep -qx $machine "$work/machines" || fail "$machine is not in: $(cat "$work/machines")"
	room --machine $machine --bind vfio-pci=$bdf -- "$poke" iommufd cdev $bdf bind ioas attach bar 0 nvme \
		map 0x200000 0x1000 identify 0x200000 unmap 0x200000 0x1000 map 0x200000 0x2000 identify 0x201000 \
		detach close-device close-container >"$work/out" || fail "$machine: $(cat "$work/out")"
	[ "$(grep -c '^model "isolde' "$work/out")" = 2 ] || fail "$machine: the controller did not say its name twice"
	healthy
	room --machine $machine --bind vfio-pci=$bdf -- qemu-io -f raw -c "write -P 0x5a 0 1M" -c "read -P 0x5a 4k 8k" \
		nvme://$bdf/1 >"$work/out" || fail "$machine: qemu-io through type 1"
	grep -q 'read 8192/8192 bytes' "$work/out" || fail "$machine: qemu-io did not read"
	healthy
	room --machine $machine -- ls -d "/sys/class/iommu/$(unit_of $machine)" "/sys/bus/pci/devices/$bdf/iommu/devices/$bdf" \
		>/dev/null || fail "$machine: sysfs"
done

# What Linux 7.2 does not give to VFIO.
cat >"$work/strict.yaml" <<'END'
iommu: {kind: riscv-iommu}
devices:
  - {slot: "01.0", id: "8086:10d3", class: "020000"}
END
refused VFIO_INCOHERENT 0000:00:01.0 -- --machine "$work/strict.yaml" --bind vfio-pci=0000:00:01.0 -- true
echo ok
