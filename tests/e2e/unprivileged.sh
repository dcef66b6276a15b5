#!/bin/sh
# SPDX-License-Identifier: MIT
# An ordinary user, no capability: the same room, the same I/O. On a host whose /dev/fuse is root's alone (a bare VM without
# udev), the test makes itself one that is open to all, in a mount namespace of its own.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io setpriv unshare
bdf=0000:01:00.0
chmod 755 "$work" "$XDG_RUNTIME_DIR"
# The user may not be able to reach the build folder.
cp "$ISOLDE" "$work/isolde" && chmod 755 "$work/isolde"
cp "${IOMMU_CLIENT:?path of the iommu_client program}" "$work/iommu_client" && chmod 755 "$work/iommu_client"
cp "${PRECISE:?path of the precise program}" tests/data/machines/precise.yaml "$work" && chmod 755 "$work/precise"
mkdir -m 1777 "$work/home"
cat >"$work/story" <<END
cd $work/home && export HOME=$work/home XDG_RUNTIME_DIR=$work/home
$work/isolde doctor || exit 1
$work/isolde run -- sh -c 'test \$(id -u) = 0 && lspci -nnk' > lspci || exit 2
grep -q 'Kernel driver in use: nvme' lspci || exit 3
$work/isolde run -- sh -c 'echo $bdf > /sys/bus/pci/drivers/nvme/unbind &&
	echo vfio-pci > /sys/bus/pci/devices/$bdf/driver_override && echo $bdf > /sys/bus/pci/drivers_probe &&
	qemu-io -f raw -c "write -P 0x5a 0 1M" -c "read -P 0x5a 0 1M" nvme://$bdf/1' || exit 4
$work/isolde run -- $work/iommu_client open ioas map 0x10000 0x1000 fault read 40 poll 0 cycle 20 > iommu || exit 5
grep -q 'poll = 4' iommu && grep -q 'cycle = 20' iommu || exit 6
$work/isolde run -m $work/precise.yaml -b vfio-pci=0000:00:05.0 -- $work/precise 0000:00:05.0 widths threads children stops mappings \
	> precise || exit 7
grep -qx 'mappings: ok' precise || exit 8
END
# A room that stays for as long as there is a file that says so.
cat >"$work/stay" <<END
cd $work/home && export HOME=$work/home XDG_RUNTIME_DIR=$work/home
$work/isolde run -- sh -c 'echo yes >busy; while [ -e busy ]; do sleep 0.1; done' &
echo \$! >room
wait \$!
END

as_user()
{
	unshare -m sh -c "mount -t tmpfs -o mode=755 none /mnt && mknod -m 666 /mnt/fuse c 10 229 &&
		mount --bind /mnt/fuse /dev/fuse &&
		exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all sh $1"
}

# Root looks into the user's room: the one who listens is the run itself, in a directory of the user's own.
look_into_it()
{
	as_user "$work/stay" 2>"$said" &
	stays=$!
	tries=0
	while ! [ -s "$work/home/busy" ]; do
		sleep 0.05
		tries=$((tries + 1))
		[ $tries -lt 1200 ] || fail "the user's room does not get ready"
	done
	room=$(cat "$work/home/room")
	# A container's root may be denied the environment of others, and so the way to their rooms.
	if cat "/proc/$room/environ" >"$work/environment" 2>/dev/null; then
		"$ISOLDE" inspect --json --pid "$room" >"$work/json" 2>&1 || fail "root does not see: $(cat "$work/json")"
		grep -q "\"pid\": $room," "$work/json" || fail "it is not room $room: $(cat "$work/json")"
	fi
	rm "$work/home/busy"
	wait "$stays" || fail "the room that was looked into"
	healthy
}

if [ "$(id -u)" = 0 ]; then
	as_user "$work/story" >"$work/out" 2>"$said" || fail "as uid 65534: $(tail -3 "$work/out")"
	look_into_it
else
	sh "$work/story" >"$work/out" 2>"$said" || fail "as uid $(id -u): $(tail -3 "$work/out")"
fi
healthy
grep -q 'read 1048576/1048576' "$work/out" || fail "the pattern did not come back"
echo ok
