#!/bin/sh
# SPDX-License-Identifier: MIT
# Faults the supervisor survives: a program killed in the middle of I/O, two racing for one group, descriptors that
# travel, a BAR that stays mapped after close. The room goes on; the next program finds the device free.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-img perl
poke=${POKE:?path of the poke program}

bdf=0000:01:00.0
up="container group $bdf join iommu 1"
probe="$poke $up device $bdf bar 0 nvme map 0x200000 0x1000 identify 0x200000"

# SIGKILL while commands are in flight; right after it the same room serves the next program. Ten times.
cat >"$work/kill" <<END
for i in 1 2 3 4 5 6 7 8 9 10; do
	$poke $up device $bdf bar 0 nvme map 0x200000 0x1000 spin >ready.\$i &
	victim=\$!
	while kill -0 \$victim 2>/dev/null && ! grep -q ready ready.\$i; do sleep 0.01; done
	grep -q ready ready.\$i || { cat ready.\$i; exit 1; }
	kill -9 \$victim
	wait \$victim 2>/dev/null
	$probe >after.\$i || exit 1
	grep -q '^identify = 0' after.\$i || { cat after.\$i; exit 1; }
done
END
(cd "$work" && room --bind vfio-pci=$bdf -- sh ./kill) || fail "the device was not free after SIGKILL"
healthy

# A killed QEMU with I/O at depth 64, and the disk usable afterwards.
truncate -s 64M "$work/disk"
# shellcheck disable=SC2016
room --bind vfio-pci=$bdf --disk "$bdf=$work/disk" -- sh -c '
	qemu-img bench -f raw -c 10000000 -d 64 -s 65536 -t none nvme://'$bdf'/1 >/dev/null &
	sleep 1; kill -9 $!; wait $! 2>/dev/null
	qemu-io -f raw -c "write -P 7 0 1M" -c "read -P 7 0 1M" nvme://'$bdf'/1' >"$work/out" || fail "after a killed QEMU"
healthy

# Two programs race for one group, again and again: never both, and always one.
cat >"$work/race" <<END
i=0
while [ \$i -lt 20 ]; do
	$poke group $bdf sleep 30 >race.a & a=\$!
	$poke group $bdf sleep 30 >race.b & b=\$!
	wait \$a \$b
	won=\$(cat race.a race.b | grep -c '^group = [0-9]')
	lost=\$(cat race.a race.b | grep -c '^group = -EBUSY')
	[ \$((won + lost)) = 2 ] && [ \$won -ge 1 ] || { cat race.a race.b; exit 1; }
	i=\$((i + 1))
done
END
(cd "$work" && room --quiet --bind vfio-pci=$bdf -- sh ./race) || fail "the race had no single winner"
healthy

# An argument that only the supervisor's own file system could give, while the supervisor holds the machine's lock.
# shellcheck disable=SC2086
room --quiet --bind vfio-pci=$bdf -- "$poke" $up mapped-argument $bdf device $bdf >"$work/out" || fail "an argument in sysfs"
grep -q '^mapped-argument = -EFAULT' "$work/out" || fail "an argument in sysfs: $(cat "$work/out")"
grep -q '^device = [0-9]' "$work/out" || fail "the device after an argument in sysfs"
healthy

# Descriptors inherited by a fork and passed over a socket are the same device.
# shellcheck disable=SC2086
room --bind vfio-pci=$bdf -- "$poke" $up fork device $bdf bar 0 nvme map 0x200000 0x1000 identify 0x200000 >"$work/out" ||
	fail "a forked child with inherited descriptors"
grep -q '^identify = 0' "$work/out" || fail "the child's Identify"
# shellcheck disable=SC2086
room --bind vfio-pci=$bdf -- "$poke" $up device $bdf pass bar 0 >"$work/out" || fail "a device passed over a socket"
grep -q '^bar = 0' "$work/out" || fail "the receiver cannot map the BAR"
healthy

# A mapped BAR holds the device after its descriptors are closed: the group stays busy until the program ends.
# shellcheck disable=SC2086
room --quiet --bind vfio-pci=$bdf -- sh -c "'$poke' $up device $bdf bar 0 close-device close-group close-container group $bdf; \
	'$poke' group $bdf" >"$work/out" || fail "a BAR that outlives its descriptor"
[ "$(grep '^group = ' "$work/out" | tr '\n' ' ')" = "$(grep '^group = [0-9]' "$work/out" | head -1) group = -EBUSY $(grep '^group = [0-9]' "$work/out" | tail -1) " ] ||
	fail "the mapping did not hold the device: $(cat "$work/out")"
healthy

# 10,000 random requests on all three files; the supervisor stays, and the device works for the next program.
# shellcheck disable=SC2086
room --quiet --bind vfio-pci=$bdf -- sh -c "'$poke' $up device $bdf random 10000 && $probe" >"$work/out" || fail "random ioctls"
succeeded=$(sed -n 's/^random = //p' "$work/out")
[ "$succeeded" -gt 100 ] || fail "hardly any of the random requests got through: $succeeded"
grep -q '^identify = 0' "$work/out" || fail "the device does not work after random requests"
healthy

# A room may end before the host has told of the closes of directories.
# shellcheck disable=SC2016
room -- perl -e 'for (1 .. 200) { opendir(my $it, "/sys/bus/pci/devices"); readdir($it); push(@open, $it) } kill(9, $$)'
[ $? = 137 ] || fail "killed with open directories: the status must be 137"
healthy
echo ok
