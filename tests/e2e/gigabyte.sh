#!/bin/sh
# SPDX-License-Identifier: MIT
# 1 GiB of mixed-size writes and reads through QEMU's NVMe driver, checked against a copy that never saw the device.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-img cmp awk

bdf=0000:01:00.0
disk=$work/disk.img
copy=$work/copy.img
truncate -s 256M "$disk" "$copy"

# 1 GiB in pieces of 512 bytes to 2 MiB, at offsets all over the disk, each with its own pattern, in flight together:
# aio_write queues them; aio_flush before a piece could overlap one that is still under way.
awk 'BEGIN {
	srand(7); total = 0; inflight = 0; disk = 256 * 1048576
	while (total < 1073741824) {
		size = 512 * int(exp(rand() * log(4096)));
		if (size > 2097152) size = 2097152;
		slots = int((disk - size) / 512); offset = 512 * int(rand() * slots);
		overlap = 0
		for (i = 0; i < inflight; i++) if (offset < last[i] && first[i] < offset + size) overlap = 1
		if (overlap || inflight == 64) { print "aio_flush"; inflight = 0 }
		first[inflight] = offset; last[inflight] = offset + size; inflight++
		printf "aio_write -q -P %d %d %d\n", int(rand() * 255), offset, size
		total += size
	}
	print "aio_flush"; print "flush"
}' >"$work/writes"
qemu-io -f raw "$copy" <"$work/writes" >/dev/null || fail "the reference copy could not be written"
room --bind vfio-pci=$bdf --disk "$bdf=$disk" -- qemu-io -f raw nvme://$bdf/1 <"$work/writes" >"$work/out" ||
	fail "1 GiB of writes"
healthy
grep -i -E 'error|fail' "$work/out" && fail "qemu-io met an error"
cmp "$disk" "$copy" || fail "the disk differs from the copy"

# And back at queue depth 64 with odd sizes: the image read through the device is the copy.
room --bind vfio-pci=$bdf --disk "$bdf=$disk" -- \
	qemu-img convert -W -m 16 -f raw -O raw nvme://$bdf/1 "$work/back" || fail "reading it all back"
healthy
cmp "$work/back" "$copy" || fail "what was read differs from the copy"
echo ok
