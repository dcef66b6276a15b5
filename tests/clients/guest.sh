#!/bin/sh
# SPDX-License-Identifier: MIT
# A disk assigned to a guest by its group, with the QEMU that the system has: its NVMe driver writes and reads, through
# resets of the controller and of the function, a driver that goes and comes, a device that is pulled and plugged, and a
# machine that is reset while requests are in flight. With MSI-X, with INTx, and without mapped registers.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
with_kernel

# QEMU 7 switches MSI-X off before it has switched it on.
case $($qemu --version) in *'version 7.'*) silence='IRQ_NOT_ENABLED: MSI-X' ;; esac

guest write,msi,controller,function,rebind,replug,reboot recall,write,msi,controller

# With one processor: QEMU takes any access as the end of an interrupt; another processor's makes it interrupt once more,
# perhaps for nothing, and for nothing the guest's driver touches no register.
append=pci=nomsi processors=1
guest write,intx,controller,function,rebind,reboot recall,write,intx
append='' processors=2
properties=,x-no-mmap=on
guest write,msi,function
echo ok
