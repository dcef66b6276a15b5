#!/bin/sh
# SPDX-License-Identifier: MIT
# A QEMU among others: two want one disk, one is killed while its guest is busy, one is given descriptors instead of names,
# one may not lock memory, one is in a sandbox of its own.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
need setpriv prlimit
with_kernel
with_qemu10
disk=0000:01:00.0

# A guest keeps its disk busy; a second QEMU wants it and is told who has it; the first is killed; a third finds all that
# was written, although the same command line started it.
cat >"$work/three" <<END
#!/bin/sh
"\$@" >"$work/first" 2>&1 </dev/null &
first=\$!
while ! grep -q '^ask: reset' "$work/first"; do
	kill -0 \$first || exit 1
	sleep 0.2
done
"\$@" >"$work/second" 2>&1 </dev/null && exit 2
kill -9 \$first
wait \$first
exec "\$@"
END
chmod +x "$work/three"
inside=$work/three
for way in group cdev; do
	# While it dies, its device may still want memory that is gone.
	silence='GROUP_BUSY|DEVICE_OPENED|DMA_FAULT: .* no longer has that memory'
	guest write,reboot recall,write,controller,msi
	grep -qE "(GROUP_BUSY|DEVICE_OPENED).* qemu-system" "$said" || fail "$way: the second QEMU was not told of the first"
	grep -q "$disk" "$work/second" || fail "$way: the second QEMU: $(cat "$work/second")"
done
silence='' inside=''

# Not allowed to lock as much memory as a guest has, and told so. Two capabilities are given up: who has all that isolde has
# counts as one who could have this one, too, where isolde itself has been denied it.
inside="prlimit --memlock=65536 setpriv --bounding-set=-ipc_lock,-chown --inh-caps=-ipc_lock,-chown"
for way in group cdev; do
	start story=write
	[ "$(cat "$work/status")" = 1 ] || fail "$way: QEMU without memory: $(cat "$work/status")"
	grep -q "MEMLOCK_EXCEEDED: .*qemu-system" "$said" || fail "$way: QEMU was not told that memory is the matter"
	healthy
done

# Somebody else has opened the nodes, for a QEMU that could not: what it may ask of its kernel is filtered.
cat >"$work/given" <<'END'
#!/bin/sh
exec "$@" 7<>/dev/vfio/devices/vfio0 8<>/dev/iommu
END
chmod +x "$work/given"
# shellcheck disable=SC2034 # for guest()
inside=$work/given iommufd=iommufd,id=iommu,fd=8 arguments="-sandbox on"
assigned()
{
	echo "vfio-pci,id=f$1,fd=7,bus=p$1,iommufd=iommu"
}
guest write,msi,function,reboot recall,write
echo ok
