#!/bin/sh
# SPDX-License-Identifier: MIT
# QEMU with the host's KVM, as far as it goes without a guest that runs: it tells its virtual machine of the device before
# it opens it, and with /dev/iommu a refusal would be its end. A host without KVM has nothing to try, and that is told.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
with_qemu10

without=$(echo quit | "$qemu" -accel kvm -S -nodefaults -display none -monitor stdio 2>&1) || {
	echo "kvm: QEMU cannot use KVM here: $without"
	echo ok
	exit 0
}

realized() # ARGS...
{
	echo quit | room --bind "vfio-pci=$functions" -- "$qemu" -accel kvm -S -m 64 -nodefaults -display none -monitor stdio "$@" \
		>"$work/out" 2>&1 || fail "$*: $(cat "$work/out")"
	grep KVM "$work/out" && fail "$*: KVM was not told"
	grep '^isolde: .*KVM' "$said" && fail "$*: refused"
	healthy
}

realized -device "vfio-pci,host=$functions"
realized -object iommufd,id=iommu -device "vfio-pci,host=$functions,iommufd=iommu"
echo ok
