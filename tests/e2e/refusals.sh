#!/bin/sh
# SPDX-License-Identifier: MIT
# What a user meets when Linux would say no in silence: each refusal beside the program's own message, with its code, its
# errno, the culprit's name and a hint. poke (poke.c) is a plain VFIO program.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io
poke=${POKE:?path of the poke program}

nvme=0000:01:00.0
nic=0000:02:00.0
sibling=0000:02:00.1
enter="container group $nvme join"
up="$enter iommu 1"

# The group's other function is with a kernel driver: QEMU only says "not viable"; isolde says who.
refused GROUP_NOT_VIABLE "$sibling" -- --bind vfio-pci=$nic -- qemu-io -c 'read 0 4k' nvme://$nic/1
grep -q "$sibling.* e1000e" "$said" || fail "the driver in the way was not named"
# shellcheck disable=SC2086
refused GROUP_NOT_VIABLE "$sibling" -- --bind vfio-pci=$nic -- "$poke" container group $nic join
grep -q '^join = -EPERM' "$work/out" || fail "SET_CONTAINER must be EPERM"

# Two programs, one group.
# shellcheck disable=SC2086
refused GROUP_BUSY "poke" -- --bind vfio-pci=$nvme -- \
	sh -c "'$poke' group $nvme wait >'$work/first' &
		while kill -0 \$! 2>/dev/null && ! grep -q ready '$work/first'; do sleep 0.1; done
		'$poke' group $nvme; kill \$!"
grep -q '^group = -EBUSY' "$work/out" || fail "the second open must be EBUSY"

# The container's own rules.
# shellcheck disable=SC2086
{
	refused IOVA_MAPPED "0x10000" -- --bind vfio-pci=$nvme -- "$poke" $up map 0x10000 0x4000 map 0x12000 0x1000
	grep -q '^map = -EEXIST' "$work/out" || fail "an overlap must be EEXIST"
	refused IOVA_RESERVED "0xfee00000" -- --bind vfio-pci=$nvme -- "$poke" $up map 0xfee00000 0x1000
	refused IOVA_OUTSIDE "0x1000000000000" -- --bind vfio-pci=$nvme -- "$poke" $up map 0x1000000000000 0x1000
	grep -q '^map = -EINVAL' "$work/out" || fail "outside the aperture must be EINVAL"
	refused NO_IOMMU_SET "container" -- --bind vfio-pci=$nvme -- "$poke" $enter map 0x10000 0x1000
	refused UNMAP_BISECTS "0x13fff" -- --bind vfio-pci=$nvme -- \
		"$poke" $enter iommu 3 map 0x10000 0x4000 unmap 0x12000 0x1000
	refused REGION_NOT_MAPPABLE "region 7" -- --bind vfio-pci=$nvme -- "$poke" $up device $nvme config
	refused DEVICE_NOT_VFIO "pcieport" -- --bind vfio-pci=$nic --bind vfio-pci=$sibling -- \
		"$poke" container group $nic join iommu 1 device 0000:00:1c.0
}

# RLIMIT_MEMLOCK holds for whoever lacks CAP_IPC_LOCK; the text has all three numbers.
need setpriv prlimit
# shellcheck disable=SC2086
refused MEMLOCK_EXCEEDED "65536" -- --bind vfio-pci=$nvme -- \
	prlimit --memlock=65536 setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock \
	"$poke" $up map 0x10000 0x8000 map 0x20000 0x10000
grep -q '^map = -ENOMEM' "$work/out" || fail "over the limit must be ENOMEM"
grep -q '32768' "$said" || fail "what is locked so far was not said"

# DMA through the table the program built: mapped it works, unmapped the very same transfer faults and says where.
# shellcheck disable=SC2086
refused DMA_FAULT "$nvme" -- --bind vfio-pci=$nvme -- "$poke" $up device $nvme bar 0 nvme \
	map 0x200000 0x1000 identify 0x200000 unmap 0x200000 0x1000 identify 0x200000
grep -q '^identify = 0$' "$work/out" || fail "Identify to a mapped IOVA must succeed"
grep -q '^model "' "$work/out" || fail "the model name did not arrive"
grep -q '^identify = [1-9]' "$work/out" || fail "Identify to an unmapped IOVA must fail"
grep -q 'DMA_FAULT: .*write.*0x200000.*nearest mapping' "$said" || fail "direction, IOVA and nearest mapping belong in it"

# A device's descriptor is an anonymous inode: it has a name to read and none to open.
# shellcheck disable=SC2086
refused FILE_ANONYMOUS "vfio-device" -- --bind vfio-pci=$nvme -- "$poke" $up device $nvme readlink reopen
grep -q '^link "anon_inode:\[vfio-device\]"' "$work/out" || fail "what /proc/self/fd says"
grep -q '^reopen = -ENXIO' "$work/out" || fail "opening it again must be ENXIO"

# shellcheck disable=SC2086
refused LINK_BUFFER "0 bytes" -- --bind vfio-pci=$nvme -- "$poke" $up device $nvme readlink-nowhere
grep -q '^readlink-nowhere = -EINVAL' "$work/out" || fail "readlink into nothing must be EINVAL"

# The memory behind its registers cannot be taken away by the program, and works on.
# shellcheck disable=SC2086
refused FILE_RESIZE "vfio-device" -- --bind vfio-pci=$nvme -- "$poke" $up device $nvme bar 0 truncate truncate-path nvme
[ "$(grep -c '^truncate.* = -EINVAL' "$work/out")" = 2 ] || fail "truncating a device must be EINVAL"
grep -q '^nvme = 0' "$work/out" || fail "the controller must still come up"
# shellcheck disable=SC2086
refused FILE_ALLOCATE "vfio-device" -- --bind vfio-pci=$nvme -- "$poke" $up device $nvme allocate
grep -q '^allocate = -ENODEV' "$work/out" || fail "fallocate of a device must be ENODEV"

# A host without FUSE: run says so and what to do, doctor too.
cat >"$work/no-fuse" <<END
#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs none /dev && exec "\$0" "\$@"' "$ISOLDE" "\$@"
END
chmod +x "$work/no-fuse"
if unshare -m true 2>/dev/null; then
	installed=$ISOLDE
	ISOLDE=$work/no-fuse
	refused ROOM_UNAVAILABLE "/dev/fuse" -- true
	"$ISOLDE" doctor >"$work/out" 2>&1 && fail "doctor must notice"
	grep -q 'modprobe fuse' "$work/out" || fail "doctor must say what to do"
	ISOLDE=$installed
fi

# A room in a room, and a /proc that numbers processes otherwise.
room -- "$ISOLDE" run -- true
[ $? = 125 ] || fail "a room in a room must be 125"
grep -q 'ROOM_UNAVAILABLE.*there is no room in a room' "$said" || fail "why there is no room in a room was not said"
if unshare -pf true 2>/dev/null; then
	unshare -pf "$ISOLDE" run -- true 2>"$said" && fail "a room needs a /proc of its own"
	grep -q 'ROOM_UNAVAILABLE.*/proc is that of another PID namespace' "$said" || fail "a foreign /proc was not named"
	unshare -pf "$ISOLDE" doctor >"$work/out" && fail "doctor must notice a foreign /proc"
	grep -q '^MISSING .*another PID namespace' "$work/out" || fail "doctor must name a foreign /proc"
fi
"$ISOLDE" doctor nonsense 2>"$said" >/dev/null
[ $? = 2 ] || fail "doctor takes no words"

# Before anything runs: the machine file and the disk.
printf 'name: broken\ndevices:\n  - slot: 1c.0\n    rolle: root-port\n' >"$work/broken.yaml"
refused MACHINE_FILE "broken.yaml:4:5" -- --machine "$work/broken.yaml" -- true
[ $status -ne 0 ] || fail "a broken machine must not run"
refused MACHINE_UNKNOWN "default" -- --machine defualt -- true
refused DISK_UNUSABLE "$work/absent.img" -- --disk "$nvme=$work/absent.img" -- true
truncate -s 100 "$work/small.img"
refused DISK_UNUSABLE "100" -- --disk "$nvme=$work/small.img" -- true
echo ok
