#!/bin/sh
# SPDX-License-Identifier: MIT
# The reset of a bus of seven functions, of which the caller has one: who has each of the other six is said whole, on
# stderr and by `isolde why`; first what the refusal has room for, then the rest (docs/hot-reset.md). In-process:
# tests/unit/machine/hot_reset.c.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
poke=${POKE:?path of the poke program}

{
	echo 'name: bus'
	echo 'iommu: {kind: intel-vtd}'
	echo 'devices:'
	echo '  - {slot: "01.0", role: root-port, id: "8086:1901", acs: full, driver: pcieport, devices: ['
	for i in 0 1 2 3 4 5 6; do
		echo "      {slot: \"00.$i\", id: \"8086:10d3\", acs: full, flr: true, driver: vfio-pci, bars: {0: 4K}},"
	done
	echo '    ]}'
} >"$work/bus.yaml"

# The one who has most of it.
cp "$poke" "$work/vmm" || fail "cp"
cat >"$work/story" <<-END
	"$work/vmm" container group 0000:01:00.2 join iommu 1 device 0000:01:00.2 \
		iommufd cdev 0000:01:00.3 bind cdev 0000:01:00.4 group 0000:01:00.5 wait >"$work/ready" &
	vmm=\$!
	for i in 0 1 2 3 4 5 6; do
		basename "\$(readlink /sys/bus/pci/devices/0000:01:00.\$i/iommu_group)" >"$work/group\$i"
	done
	while kill -0 \$vmm 2>/dev/null && ! grep -q ready "$work/ready"; do sleep 0.01; done
	"$poke" container group 0000:01:00.0 join iommu 1 device 0000:01:00.0 hot-reset
	kill \$vmm
	wait
END

group()
{
	cat "$work/group$1"
}

refused HOT_RESET_NOT_OWNED '' -- --machine "$work/bus.yaml" -- sh "$work/story"
healthy
grep -q '^hot-reset = -EINVAL' "$work/out" || fail "the reset must be EINVAL"
grep -q '= -' "$work/ready" && fail "vmm did not get all that it asked for: $(cat "$work/ready")"

# One sentence is cut to what it has room for, and by whole functions.
texts()
{
	cat <<-END
		reset of 0000:01:00.0 hits 0000:01:00.1 (closed, nobody has group $(group 1)), 0000:01:00.2 (open by group $(group 2) in vmm (pid N)), 0000:01:00.3 (open by its node in vmm (pid N)); and 3 more
		reset of 0000:01:00.0 hits 0000:01:00.4 as well (not bound by vmm (pid N), who has its node open)
		reset of 0000:01:00.0 hits 0000:01:00.5 as well (closed, group $(group 5) is open in vmm (pid N))
		reset of 0000:01:00.0 hits 0000:01:00.6 as well (closed, nobody has group $(group 6))
	END
}

texts >"$work/wanted"
sed -n "s/^isolde: VFIO_DEVICE_PCI_HOT_RESET anon_inode:\[vfio-device\] \[poke [0-9]*\]: EINVAL HOT_RESET_NOT_OWNED: //p" "$said" |
	sed 's/(pid [0-9]*)/(pid N)/g' >"$work/told"
cmp -s "$work/wanted" "$work/told" || fail "on stderr: $(diff "$work/wanted" "$work/told")"
[ "$(grep -c HOT_RESET_NOT_OWNED "$said")" = 4 ] || fail "nothing else was refused"

"$ISOLDE" why >"$work/why" || fail "isolde why"
sed -n 's/^  EINVAL HOT_RESET_NOT_OWNED: //p' "$work/why" | sed 's/(pid [0-9]*)/(pid N)/g' >"$work/told"
cmp -s "$work/wanted" "$work/told" || fail "isolde why: $(diff "$work/wanted" "$work/told")"

echo ok
