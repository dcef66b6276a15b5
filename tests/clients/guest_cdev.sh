#!/bin/sh
# SPDX-License-Identifier: MIT
# The same through the device's own node and /dev/iommu, with a QEMU that knows them; and that QEMU by groups.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
with_kernel
with_qemu10

guest write,msi,controller,function,rebind,replug,reboot recall,write,msi,controller
way=cdev
guest write,msi,controller,function,rebind,replug,reboot recall,write,msi,controller
append=pci=nomsi processors=1
guest write,intx,controller,function,rebind,reboot recall,write,intx
append='' processors=2
properties=,x-no-mmap=on
guest write,msi,function
properties=

# The guest's memory is a file that both may map.
arguments="-object memory-backend-memfd,id=ram,size=256M,share=on -machine memory-backend=ram"
guest write,msi,reboot recall,write,msi
way=group
guest write,msi,reboot recall,write,msi
echo ok
