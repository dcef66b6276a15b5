#!/bin/sh
# SPDX-License-Identifier: MIT
# Machines as somebody saw them become rooms: dumps of public reports, a server that lspci shows from inside its room,
# the room's own sysfs, this host. Everywhere the groups are those that `isolde explain` says.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need lspci driverctl jq
data=$(dirname "$0")/../data

# "BDF group" for each function, "none" where there is no group: as explained, and as a room's sysfs shows it.
explained()
{
	"$ISOLDE" explain --json "$@" 2>/dev/null | jq -r '.functions[] | "\(.bdf) \(.group // "none")"' | sort
}

shown()
{
	# shellcheck disable=SC2016
	room --machine "$1" -- sh -c 'for device in /sys/bus/pci/devices/*; do
		group=$(readlink "$device/iommu_group") && group=${group##*/} || group=none
		echo "${device##*/} $group"
	done' | sort
}

words()
{
	sed 's/ *#.*//; /^$/d; /^name:/d' "$1"
}

# Dump -> machine file -> room: the same groups, and the same file again.
for folder in "$data"/topologies/*; do
	name=$(basename "$folder")
	"$ISOLDE" capture "$folder/lspci.txt" -o "$work/$name.yaml" 2>"$said" || fail "capture of $name"
	explained "$folder/lspci.txt" >"$work/want"
	[ "$(wc -l <"$work/want")" -gt 10 ] || fail "$name is not explained"
	explained "$work/$name.yaml" | diff -u "$work/want" - >&2 || fail "$name is explained differently once captured"
	shown "$work/$name.yaml" | diff -u "$work/want" - >&2 || fail "the room of $name has other groups"
	healthy
	"$ISOLDE" capture "$work/$name.yaml" >"$work/again" || fail "capture of the captured $name"
	words "$work/$name.yaml" >"$work/first"
	words "$work/again" | diff -u "$work/first" - >&2 || fail "the capture of a captured $name differs"
done

# Such a room is as good as any: drivers are shown and can be changed, and a group is in the way of its member.
room --machine "$work/imac20-titan-ridge-pp.yaml" -- lspci -nnk >"$work/out" 2>/dev/null || fail "lspci in the iMac"
grep -q 'Radeon' "$work/out" || fail "the iMac has a Radeon"
grep -q 'Kernel driver in use: thunderbolt' "$work/out" || fail "the iMac's drivers"
room --machine "$work/imac20-titan-ridge-pp.yaml" -- lspci -vvs 03:00.0 >"$work/out" 2>/dev/null || fail "lspci -vv"
grep -q 'Memory at .* (64-bit, prefetchable) \[.*size=256M\]' "$work/out" || fail "the Radeon's BAR"
# shellcheck disable=SC2016
room --machine "$work/imac20-titan-ridge-pp.yaml" -- sh -c 'driverctl --nosave set-override 0000:06:00.0 vfio-pci &&
	basename $(readlink /sys/bus/pci/devices/0000:06:00.0/driver)' >"$work/out" || fail "driverctl in the iMac"
[ "$(cat "$work/out")" = vfio-pci ] || fail "driverctl binds vfio-pci: $(cat "$work/out")"
healthy

# What no public report has: two more root buses, virtual functions, VMD, kept memory.
cat >"$work/server.yaml" <<-'END'
	iommu: {width: 48, regions: [{start: 0xfee00000, last: 0xfeefffff, kind: msi},
	                             {start: 0xfd00000000, last: 0xffffffffff, kind: reserved}]}
	devices:
	  - {slot: "00.0", role: conventional, id: "8086:2020", class: "060000", pm: false, iommu: false}
	  - {slot: "0e.0", id: "8086:201d", class: "010400", driver: vmd, regions: [{start: 0x6b000000, last: 0x6b7fffff, kind: direct}]}
	  - slot: "1c.0"
	    role: root-port
	    id: "8086:a190"
	    acs: full
	    driver: pcieport
	    bus: "03"
	    last_bus: "05"
	    devices:
	      - slot: "00.0"
	        id: "8086:1572"
	        class: "020000"
	        driver: i40e
	        bars: {0: {size: 8M, width: 64, prefetchable: true}, 3: {size: 32K, width: 64, prefetchable: true}}
	        msix: {vectors: 129, bar: 3, pending: 0x1000}
	        dsn: "6805cafffe000001"
	        ari: true
	        sriov: {total: 64, enabled: 2, offset: 16, stride: 1, device: "154c"}
	        vfs:
	          - {driver: iavf, bars: {0: {size: 64K, width: 64, prefetchable: true}}}
	          - {bars: {0: {size: 64K, width: 64, prefetchable: true}}}
	      - {slot: "00.1", id: "8086:1572", class: "020000", driver: i40e}
	roots:
	  - bus: "80"
	    devices:
	      - {slot: "05.0", id: "8086:2034", class: "088000", unit: 1}
	      - slot: "1a.0"
	        role: root-port
	        id: "8086:2030"
	        unit: 1
	        acs: [sv, rr, cr, uf]
	        devices: [{slot: "00.0", model: nvme}]
	  - segment: "10000"
	    bus: "e0"
	    vmd: "0000:00:0e.0"
	    devices:
	      - {slot: "02.0", role: root-port, id: "8086:2032", devices: [{slot: "00.0", model: nvme}]}
END
explained "$work/server.yaml" >"$work/want"
[ "$(wc -l <"$work/want")" = 12 ] || fail "the server has 12 functions"
shown "$work/server.yaml" | diff -u "$work/want" - >&2 || fail "the server's room has other groups"
healthy
"$ISOLDE" capture "$work/server.yaml" -o "$work/captured.yaml" || fail "capture of the server"
shown "$work/captured.yaml" | diff -u "$work/want" - >&2 || fail "the captured server has other groups"
room --machine "$work/captured.yaml" -- sh -c 'cat /sys/bus/pci/devices/0000:00:0e.0/iommu_group/reserved_regions' >"$work/out"
grep -q '^0x000000006b000000 0x000000006b7fffff direct$' "$work/out" || fail "kept memory is a group's: $(cat "$work/out")"
grep -q '^0x000000fd00000000 0x000000ffffffffff reserved$' "$work/out" || fail "the reserved window is every group's"

# From inside the room: its sysfs is captured as the machine that it is.
room --machine "$work/server.yaml" -- "$ISOLDE" capture -o "$work/inside.yaml" || fail "capture in the room"
healthy
shown "$work/inside.yaml" | diff -u "$work/want" - >&2 || fail "captured from inside it has other groups"
for key in 'driver: i40e' 'driver: iavf' 'sriov: {total: 64, enabled: 2, offset: 16, stride: 1, device: "154c"}' \
	'last_bus: "05"' 'vmd: "0000:00:0e.0"' 'unit: 1' 'start: 0x6b000000, last: 0x6b7fffff, kind: direct}' 'model: nvme' \
	'msix: {vectors: 129, bar: 3, pending: 0x1000}' 'dsn: "6805cafffe000001"'; do
	grep -qF "$key" "$work/inside.yaml" || fail "captured from inside it lacks $key"
done

# lspci's words about the room are a dump like any other; -D for the segments.
room --machine "$work/server.yaml" -- lspci -D -vvvnn >"$work/dump.txt" 2>/dev/null || fail "lspci in the server"
"$ISOLDE" capture - -o "$work/dump.yaml" <"$work/dump.txt" 2>"$said" || fail "capture of standard input"
explained "$work/dump.txt" >"$work/want"
shown "$work/dump.yaml" | diff -u "$work/want" - >&2 || fail "the server of the dump has other groups"

# This host, if it shows a PCI bus.
if [ -n "$(ls /sys/bus/pci/devices 2>/dev/null)" ]; then
	"$ISOLDE" capture -o "$work/host.yaml" || fail "capture of this host"
	explained >"$work/want"
	shown "$work/host.yaml" | diff -u "$work/want" - >&2 || fail "the room of this host has other groups"
fi

# What cannot be is refused.
"$ISOLDE" capture "$work/nowhere.txt" 2>"$said" && fail "a file that is not there"
grep -q 'ENOENT HOST_FAILED: .*nowhere.txt' "$said" || fail "HOST_FAILED names the file"
"$ISOLDE" capture --machine default -o "$work/no/such/folder" 2>"$said" && fail "a folder that is not there"
grep -q 'no/such/folder' "$said" || fail "HOST_FAILED names the output"
"$ISOLDE" capture --machine default -o /dev/full 2>"$said" && fail "a full disk must be said"
"$ISOLDE" capture a.yaml b.yaml 2>"$said"
[ $? = 2 ] || fail "two files are one too many"
"$ISOLDE" capture --machine default a.yaml 2>"$said"
[ $? = 2 ] || fail "a file and a machine are one too many"
"$ISOLDE" capture --help | grep -q '^usage: isolde capture' || fail "capture --help"
"$ISOLDE" help capture | grep -q '^usage: isolde capture' || fail "help capture"
echo ok
