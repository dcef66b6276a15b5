#!/bin/sh
# SPDX-License-Identifier: MIT
# Two disks in one guest: of two groups, and two functions of one device that can be reset only together.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
with_kernel
with_qemu10

functions="0000:01:00.0 0000:02:00.0"
for way in group cdev; do
	guest write,msi,controller,function,rebind,reboot recall,write,msi
done

# Without FLR, QEMU resets the slot when the machine starts anew. Its trace says of which function it did, and how that went.
sed 's/, flr: true//' machines/two-nvme.yaml >"$work/no-flr.yaml"
machine=$work/no-flr.yaml
arguments="-trace vfio_pci_hot_reset*"
said_reset() # ONE-OR-MULTI NUMBER
{
	[ "$(grep -c 'hot reset: Success$' "$said")" -ge "$2" ] || fail "$way: less than $2 resets of the slot"
	grep 'hot_reset_result' "$said" | grep -v 'Success$' && fail "$way: a reset of the slot failed"
	grep -q "vfio_pci_hot_reset .* $1\$" "$said" || fail "$way: no reset by $1"
}

for way in group cdev; do
	functions="0000:03:00.0 0000:03:00.1" neighbours=
	guest write,msi,controller,reboot recall,write,msi
	said_reset multi 2
	# Its neighbour is nobody's, but nobody else's either.
	functions=0000:03:00.0 neighbours=0000:03:00.1
	guest write,msi,controller,reboot recall,write,msi
	said_reset one 2
done
echo ok
