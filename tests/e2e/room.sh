#!/bin/sh
# SPDX-License-Identifier: MIT
# What a program sees in the room, how it looks, and what `run` passes on: lspci, driverctl, ls, stat, exit statuses.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need lspci driverctl setpriv cc
poke=${POKE:?path of the poke program}
nvme=0000:01:00.0

# Exit statuses and signals go through; a program that is not there is 127.
for status in 0 7 255; do
	room -- sh -c "exit $status"
	[ $? = $status ] || fail "exit status $status was not passed on"
done
# shellcheck disable=SC2016
room -- sh -c 'kill -9 $$'
[ $? = 137 ] || fail "signal 9 must be 137"
room -- /no/such/program
[ $? = 127 ] || fail "a missing program must be 127"
room -- /etc/passwd
[ $? = 126 ] || fail "a program that cannot run must be 126"
room --no-such-option -- true && fail "an unknown option must be refused"

# The machine room, drivers shown, whatever the host has.
room -- lspci -nnk >"$work/lspci" 2>/dev/null || fail "lspci"
[ "$(grep -c '^[0-9a-f][0-9a-f]:' "$work/lspci")" = 14 ] || fail "the default room has 14 functions"
for driver in nvme e1000e pcieport xhci_hcd snd_hda_intel; do
	grep -q "Kernel driver in use: $driver" "$work/lspci" || fail "no $driver in lspci -k"
done
room -- lspci -vvv >"$work/lspci" 2>/dev/null || fail "lspci -vvv"
grep -q 'MSI-X: Enable- Count=33' "$work/lspci" || fail "capabilities in lspci -vvv"
[ "$(room -- sh -c 'cat /sys/bus/pci/devices/*/iommu_group/type' | sort -u)" = DMA-FQ ] || fail "group types"
room -- sh -c 'ls -l /sys/kernel/iommu_groups/*/devices /dev/vfio' >"$work/ls" || fail "ls of the groups"
grep -q '^crw-rw-rw- .* 10, 196 .* vfio$' "$work/ls" || fail "/dev/vfio/vfio must be 10:196 and open to all"
grep -q '0000:02:00.1 -> ../../../../devices/pci0000:00/0000:00:1c.0/0000:02:00.1' "$work/ls" || fail "links of a group"

# driverctl, and the node that comes and goes.
# shellcheck disable=SC2016
room -- sh -c 'driverctl --nosave set-override '$nvme' vfio-pci && driverctl list-overrides &&
	group=$(basename $(readlink /sys/bus/pci/devices/'$nvme'/iommu_group)) && stat -c "%F %a" /dev/vfio/$group &&
	driverctl --nosave unset-override '$nvme' && ! stat /dev/vfio/$group 2>/dev/null &&
	basename $(readlink /sys/bus/pci/devices/'$nvme'/driver)' >"$work/out" || fail "driverctl"
printf '%s vfio-pci\ncharacter special file 600\nnvme\n' $nvme | cmp -s - "$work/out" || fail "driverctl's story: $(cat "$work/out")"

# Nodes and files are given away as by an administrator; what was not given is kept.
# shellcheck disable=SC2016
room -- sh -c 'set -e; chmod 640 /dev/vfio/vfio /dev/iommu; chgrp 0 /dev/vfio/vfio; chmod u+x /sys/bus/pci/drivers_probe
	stat -c %a:%u:%g /dev/vfio/vfio /dev/iommu; stat -c %a /sys/bus/pci/drivers_probe
	if [ "$(awk "{print \$3}" /proc/self/uid_map)" = 1 ]; then echo 640:7:0; echo 640:7:8
	else chown 7 /dev/vfio/vfio; stat -c %a:%u:%g /dev/vfio/vfio; chown :8 /dev/vfio/vfio; stat -c %a:%u:%g /dev/vfio/vfio; fi' >"$work/out" ||
	fail "chmod and chown of nodes"
printf '640:0:0\n640:0:0\n300\n640:7:0\n640:7:8\n' | cmp -s - "$work/out" || fail "chmod and chown: $(cat "$work/out")"

# errnos of the files are those of Linux, the reason is said.
refused DRIVER_NOT_BOUND "$nvme" -- sh -c "/bin/echo $nvme > /sys/bus/pci/drivers/e1000e/unbind"
grep -q 'No such device' "$said" || fail "echo must see ENODEV"

# Descriptors look like what they stand for, in a static program too.
cat >"$work/look.c" <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
int main(void)
{
	char target[64] = "";
	struct stat status;
	int fd = open("/dev/vfio/vfio", O_RDWR);
	fstat(fd, &status);
	if (readlink("/proc/self/fd/3", target, 63) < 0)
		return 1;
	printf("%d %d %u:%u %s\n", fd, S_ISCHR(status.st_mode), major(status.st_rdev), minor(status.st_rdev), target);
	return 0;
}
END
cc -static -o "$work/look" "$work/look.c" || fail "a static program could not be built"
[ "$(room -- "$work/look")" = "3 1 10:196 /dev/vfio/vfio" ] || fail "fstat and readlink of a container: $(room -- "$work/look")"

# A thread of programs in one room: the second uses what the first has bound; the next room is fresh.
room -- sh -c "echo $nvme > /sys/bus/pci/drivers/nvme/unbind; test ! -e /sys/bus/pci/devices/$nvme/driver" ||
	fail "programs of one room must share it"
room -- test -e /sys/bus/pci/devices/$nvme/driver || fail "a new room must be fresh"

# What was refused can be asked for afterwards.
room --quiet --bind vfio-pci=$nvme -- "$poke" container group $nvme join map 0x1000 0x1000 >/dev/null
grep -q NO_IOMMU_SET "$said" && fail "--quiet must not print"
"$ISOLDE" why >"$work/out" || fail "isolde why"
grep -q 'EINVAL NO_IOMMU_SET: ' "$work/out" || fail "isolde why does not know it"
"$ISOLDE" why --json | grep -q '"code":"NO_IOMMU_SET"' || fail "isolde why --json"
"$ISOLDE" why GROUP_NOT_VIABLE | grep -q 'hint:' || fail "isolde why CODE"
room --json --bind vfio-pci=$nvme -- "$poke" container group $nvme join map 0x1000 0x1000 >/dev/null
grep -q '"errno":"EINVAL"' "$said" || fail "run --json"

# The groups explained; one line of why for each member.
"$ISOLDE" explain --machine default >"$work/out" || fail "explain"
[ "$(grep -c 'why:' "$work/out")" = 14 ] || fail "each function has a why"
grep -q '0000:02:00.0 .*0000:00:1c.0 has no ACS capability' "$work/out" || fail "the port without ACS is to blame"
"$ISOLDE" explain --machine default --json | grep -q '"rule": "alias-bridge"' || fail "explain --json"
"$ISOLDE" explain --machine default --why 0000:02:00.1 --json >"$work/out" || fail "explain --why"
[ "$(grep -c '"rule"' "$work/out")" = 2 ] || fail "--why shows the merges of that group only"
cat >"$work/odd.yaml" <<-EOF
	iommu: {width: 48}
	devices:
	  - {slot: "01.0", id: "f00d:0001", iommu: false}
	  - {slot: "02.0", id: "f00d:0002"}
EOF
"$ISOLDE" explain --machine "$work/odd.yaml" --why 00:01.0 >"$work/out" || fail "explain ids that pci.ids does not know"
grep -q 'no group: not behind' "$work/out" || fail "a function without a group"
grep -q '00:02.0' "$work/out" && fail "--why shows only those without a group"
"$ISOLDE" machine show | grep -q '^name: default' || fail "machine show"
healthy
echo ok
