#!/bin/sh
# SPDX-License-Identifier: MIT
# QEMU's own NVMe driver, unmodified, on the default machine: what it wrote is what the disk file holds.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-img sha256sum

bdf=0000:01:00.0
disk=$work/disk.img
nvme=nvme://$bdf/1
truncate -s 64M "$disk"

# By hand, the way an administrator does it: from the kernel's driver to vfio-pci, then a pattern there and back.
# shellcheck disable=SC2016
room -- sh -c '
	echo '$bdf' > /sys/bus/pci/drivers/nvme/unbind &&
	echo vfio-pci > /sys/bus/pci/devices/'$bdf'/driver_override &&
	echo '$bdf' > /sys/bus/pci/drivers_probe &&
	qemu-io -f raw -c "write -P 0x5a 0 1M" -c "read -v -P 0x5a 4k 8k" '$nvme >"$work/out" || fail "unbind, bind, qemu-io"
grep -q '^00001000:  5a 5a' "$work/out" || fail "the pattern did not come back"
grep -q 'read 8192/8192 bytes at offset 4096' "$work/out" || fail "qemu-io did not read"
healthy

# A whole image through the driver, compared with the backing file byte by byte.
dd if=/dev/urandom of="$work/image" bs=1M count=64 status=none
room --bind vfio-pci=$bdf --disk "$bdf=$disk" -- \
	qemu-img convert -n -f raw -O raw "$work/image" $nvme || fail "qemu-img convert to the device"
cmp "$work/image" "$disk" || fail "the disk differs from what was written"
healthy
room --bind vfio-pci=$bdf --disk "$bdf=$disk" -- \
	qemu-img convert -f raw -O raw $nvme "$work/back" || fail "qemu-img convert from the device"
cmp "$work/image" "$work/back" || fail "what was read differs"
healthy

# Every queue depth, mixed sizes (whole pages: qemu-img maps its buffer at once): reads that must leave the disk alone, writes whose pattern must be all over it.
before=$(sha256sum <"$disk")
for depth in 1 2 8 32 64; do
	for size in 4096 20480 131072 1048576; do
		count=$((8388608 / size)) && [ $count -gt 512 ] && count=512
		room --bind vfio-pci=$bdf --disk "$bdf=$disk" -- \
			qemu-img bench -f raw -c $count -d $depth -s $size -t none $nvme >/dev/null || fail "read bench $depth x $size"
		healthy
	done
done
[ "$before" = "$(sha256sum <"$disk")" ] || fail "reading changed the disk"
for depth in 1 16 64; do
	room --bind vfio-pci=$bdf --disk "$bdf=$disk" -- \
		qemu-img bench -f raw -w --pattern=$((depth + 1)) -c 64 -d $depth -s 1048576 -t none $nvme >/dev/null ||
		fail "write bench at depth $depth"
	healthy
	[ "$(tr -d "\\$(printf %o $((depth + 1)))" <"$disk" | wc -c)" = 0 ] || fail "the pattern is not all over the disk"
done
echo ok
