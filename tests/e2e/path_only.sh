#!/bin/sh
# SPDX-License-Identifier: MIT
# open(O_PATH) of a node opens nothing, as container runtimes count on: it takes no group and is never busy, its descriptor answers no
# request, and opening it again through /proc is a real open.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
nvme=0000:01:00.0

cat >"$work/story" <<'END'
import errno, fcntl, os, stat, sys

def outcome(call, *arguments):
	try:
		return call(*arguments)
	except OSError as error:
		return errno.errorcode[error.errno]

device = sys.argv[1]
group = "/dev/vfio/" + os.path.basename(os.readlink(f"/sys/bus/pci/devices/{device}/iommu_group"))
name = os.listdir(f"/sys/bus/pci/devices/{device}/vfio-dev")[0]
status = bytearray(b"\x08\0\0\0\0\0\0\0")
for node in group, f"/dev/vfio/devices/{name}", "/dev/vfio/vfio", "/dev/iommu":
	path = os.open(node, os.O_PATH)
	assert stat.S_ISCHR(os.fstat(path).st_mode), node
	assert os.readlink(f"/proc/self/fd/{path}") == node
	assert outcome(fcntl.ioctl, path, 0x3b67, status) == "EBADF", node
	opened = os.open(f"/proc/self/fd/{path}", os.O_RDWR)
	assert outcome(fcntl.ioctl, opened, 0x3b67, status) != "EBADF", node
	if node == group:
		assert outcome(os.open, group, os.O_RDWR) == "EBUSY"
		assert os.open(group, os.O_PATH) >= 0
		os.close(opened)
		os.close(os.open(group, os.O_RDWR))
print("told")
END
room --bind vfio-pci=$nvme -- python3 "$work/story" $nvme >"$work/out" || fail "a path is opened"
grep -qx told "$work/out" || fail "the story was not told to its end"
healthy
echo ok
