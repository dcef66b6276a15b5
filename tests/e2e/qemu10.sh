#!/bin/sh
# SPDX-License-Identifier: MIT
# The same driver three years younger: QEMU 10 from backports, in a folder of its own.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io cmp

bdf=0000:01:00.0
case $(qemu-io --version) in
*'version 7.'*)
	root=${ISOLDE_PACKAGES:-$(dirname "$ISOLDE")/packages}/qemu10
	tools/private-packages bookworm-backports "$root" qemu-utils >"$said" 2>&1 || fail "no QEMU 10 from backports"
	bin=$root/root/usr/bin
	LD_LIBRARY_PATH=$root/root/usr/lib/x86_64-linux-gnu:$root/root/lib/x86_64-linux-gnu
	export LD_LIBRARY_PATH
	;;
*)
	bin=$(dirname "$(command -v qemu-io)")
	;;
esac
"$bin/qemu-io" --version | head -1
truncate -s 64M "$work/disk"
dd if=/dev/urandom of="$work/image" bs=1M count=64 status=none
room --bind vfio-pci=$bdf --disk "$bdf=$work/disk" -- \
	"$bin/qemu-img" convert -n -f raw -O raw "$work/image" nvme://$bdf/1 || fail "qemu-img convert"
cmp "$work/image" "$work/disk" || fail "the disk differs from what was written"
for depth in 1 64; do
	room --bind vfio-pci=$bdf --disk "$bdf=$work/disk" -- \
		"$bin/qemu-img" bench -f raw -c 2000 -d $depth -s 4096 -t none nvme://$bdf/1 >/dev/null ||
		fail "bench at depth $depth"
	healthy
done
room --bind vfio-pci=$bdf --disk "$bdf=$work/disk" -- \
	"$bin/qemu-img" convert -f raw -O raw nvme://$bdf/1 "$work/back" || fail "qemu-img convert back"
cmp "$work/image" "$work/back" || fail "what was read differs"
echo ok
