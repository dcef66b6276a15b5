#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest with an IOMMU of its own: each of its driver's maps and unmaps becomes one of QEMU's.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
with_kernel
with_qemu10

arguments="-device intel-iommu,caching-mode=on,intremap=off"
append=intel_iommu=on
for way in group cdev; do
	guest write,translated,msi,controller,function,rebind,reboot recall,write,translated,msi
done
echo ok
