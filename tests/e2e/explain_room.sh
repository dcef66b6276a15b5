#!/bin/sh
# SPDX-License-Identifier: MIT
# What `isolde explain` reads from sysfs: in a room, the machine of the room; of a copy of that, the same; of this host,
# whatever it has, also as an ordinary user.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need setpriv tar cp

# Groups, members, drivers and reasons are those of the machine file; the kernel's regions come on top.
for machine in default two-nvme; do
	room --machine "$machine" -- "$ISOLDE" explain >"$work/room" || fail "explain in the room of $machine"
	grep -q 'warning:\|missing:\|assumed:' "$said" && fail "the room leaves something open"
	"$ISOLDE" explain --machine "$machine" >"$work/machine" || fail "explain --machine $machine"
	grep -q '^  reserved 0xfee00000-0xfeefffff msi: the MSI window of Intel' "$work/room" || fail "no reserved region"
	grep -v '^  reserved ' "$work/room" >"$work/groups"
	diff -u "$work/machine" "$work/groups" >&2 || fail "the room of $machine shows other groups than its file"
done

# A copy: the attributes that are read, and the links between them. tar pads what is shorter than it claims to be.
cat >"$work/copy" <<'END'
cd /sys && find devices/pci* bus/pci/devices kernel/iommu_groups -type l -o -name config -o -name vendor -o -name device \
	-o -name class -o -name revision -o -name 'subsystem_*' -o -name resource -o -name reserved_regions >"$1/list" &&
	mkdir "$1/cp" && xargs cp -a --parents -t "$1/cp" <"$1/list" || exit 1
tar -cf "$1/sys.tar" --no-recursion -T "$1/list" 2>/dev/null
[ $? -le 1 ]
END
room -- sh "$work/copy" "$work" >/dev/null || fail "the copy"
mkdir "$work/tar" "$work/outer" && tar -C "$work/tar" -xf "$work/sys.tar" && mv "$work/tar" "$work/outer/sys"
for copy in outer outer/sys cp; do
	"$ISOLDE" explain "$work/$copy" >"$work/out" 2>"$said" || fail "explain of the copy $copy"
	grep -q 'warning:' "$said" && fail "the copy $copy is odd"
	"$ISOLDE" explain --machine default >"$work/machine"
	grep -v '^  reserved ' "$work/out" | diff -u "$work/machine" - >&2 || fail "the copy $copy shows other groups"
done

# Only part of it: the group of one function.
room -- "$ISOLDE" explain --why 02:00.0 >"$work/out" || fail "explain --why in the room"
grep -q '^  0000:02:00.1 ' "$work/out" || fail "both functions are of that group"
grep -q '^  0000:01:00.0 ' "$work/out" && fail "the disk is not"

# Nothing to read is said, with what to do.
mkdir "$work/empty"
"$ISOLDE" explain "$work/empty" >"$work/out" 2>"$said" && fail "an empty folder is no machine"
grep -q "$work/empty shows no PCI functions" "$said" || fail "NO_PCI names the folder"

# This host, whatever it is, as root and as nobody: groups, or that it has no PCI.
chmod 755 "$work"
cp "$ISOLDE" "$work/isolde" && chmod 755 "$work/isolde"
[ "$(id -u)" = 0 ] && as_nobody='setpriv --reuid 65534 --regid 65534 --clear-groups'
for user in '' "${as_nobody:-}"; do
	if $user "$work/isolde" explain >"$work/out" 2>"$said"; then
		grep -q '^group 0$\|^no group' "$work/out" || fail "no groups of this host"
	else
		grep -q 'this host shows no PCI functions' "$said" || fail "this host is refused without a reason"
	fi
	healthy
done
echo ok
