#!/bin/sh
# SPDX-License-Identifier: MIT
# lspci and setpci in the room, as on a host: every capability with its registers, whichever way they are read; what an
# ordinary user sees; what a write of root's changes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need lspci setpci setpriv
nvme=0000:01:00.0

# What lspci says of the kernel is no register; nor are sizes and places of BARs, which it takes from the kernel.
of_registers()
{
	grep -vE '^	(Kernel|IOMMU group|Region|Interrupt:|Latency|Expansion|.*behind bridge)' "$1"
}

# In every machine, what is shown of the living registers is what their dump says, and nothing is odd.
for file in machines/*.yaml; do
	machine=$(basename "$file" .yaml)
	room --machine "$machine" -- lspci -D -vvv >"$work/living" 2>/dev/null || fail "lspci -vvv in $machine"
	room --machine "$machine" -- lspci -D -xxxx >"$work/dump" 2>/dev/null || fail "lspci -xxxx in $machine"
	lspci -F "$work/dump" -D -vvv >"$work/dumped" 2>/dev/null || fail "lspci does not read its own dump of $machine"
	of_registers "$work/living" >"$work/want"
	of_registers "$work/dumped" | diff "$work/want" - >&2 || fail "$machine: living registers differ from their dump"
	grep -E 'Unknown (header|small)|!!!|chain looped|denied|<ignored>|<unassigned>|\[virtual\]|rev ff|broken' "$work/living" >&2 &&
		fail "$machine: that is odd"
	# As many functions as the kernel has, each with its place in the tree.
	room --machine "$machine" -- sh -c 'ls /sys/bus/pci/devices' | sort >"$work/want"
	sed -n 's/^\([0-9a-f]\{4,\}:[^ ]*\) .*/\1/p' "$work/living" | sort | diff "$work/want" - >&2 || fail "$machine: functions"
	# Extended registers are there for PCI Express, and only there: 256 bytes are 16 lines.
	awk '/^[0-9a-f]+:.*\./ { if (lines) print name, lines; name = $1; lines = 0 } /^[0-9a-f]+: / && !/\./ { lines++ }
		END { print name, lines }' "$work/dump" >"$work/lines"
	awk '/^[0-9a-f]/ { name = $1 } /Express \(v2\)/ { print name }' "$work/living" >"$work/express"
	while read -r name lines; do
		want=16
		grep -q "^$name" "$work/express" && want=256
		[ "$lines" = $want ] || fail "$machine: $name shows $lines lines of registers"
	done <"$work/lines"
done

# What a machine file declares is what lspci finds, by name and number.
room --machine nesting -- lspci -vvvs $nvme >"$work/out" 2>/dev/null || fail "lspci in nesting"
for text in 'Express (v2) Endpoint' 'FLReset+' 'MSI-X: Enable- Count=33' 'Advanced Error Reporting' 'Address Translation Service' \
	'Page Request Interface' 'Process Address Space ID' 'Max PASID Width: 14' 'Kernel driver in use: nvme'; do
	grep -qF "$text" "$work/out" || fail "$text is not among: $(cat "$work/out")"
done
room --machine selftest-vfio -- lspci -vvv >"$work/out" 2>/dev/null || fail "lspci in selftest-vfio"
grep -q 'Single Root I/O Virtualization' "$work/out" || fail "no SR-IOV in selftest-vfio"
room -- lspci -vvvs 02:00.0 >"$work/out" 2>/dev/null || fail "lspci of a network card"
for text in 'Subsystem: Intel' 'MSI: Enable- Count=1/1' 'MSI-X: Enable- Count=5' 'Expansion ROM at' 'I/O ports at' \
	'Interrupt: pin A routed to IRQ'; do
	grep -qF "$text" "$work/out" || fail "$text is not among: $(cat "$work/out")"
done

# Other shapes of the same.
room -- lspci -t >"$work/out" || fail "lspci -t"
grep -q -- '-1d.0-\[03-04\]----00.0-\[04\]--+-00.0' "$work/out" || fail "the tree: $(cat "$work/out")"
room -- lspci -vmmks $nvme >"$work/out" 2>/dev/null || fail "lspci -vmmk"
grep -q '^IOMMUGroup:	6$' "$work/out" || fail "-vmmk: $(cat "$work/out")"
[ "$(room -- lspci -nd ::0108)" = "01:00.0 0108: 1b36:0010 (rev 02)" ] || fail "lspci -d ::0108"
[ "$(room -- lspci -nPs 04:01.0)" = "00:1d.0/00.0/01.0 0200: 10ec:8139" ] || fail "lspci -P"
room --bind vfio-pci=$nvme -- lspci -ks $nvme 2>/dev/null | grep -q 'in use: vfio-pci$' || fail "lspci -k of a bound one"

# An ordinary user gets the standard header, as on a host. In a room that is an ordinary user's there is nobody else.
stranger='setpriv --reuid 65534 --clear-groups --bounding-set=-all'
# shellcheck disable=SC2086
if [ "$(id -u)" = 0 ]; then
	room -- $stranger --inh-caps=-all lspci -vvvs $nvme >"$work/out" 2>/dev/null ||
		fail "lspci of an ordinary user"
	grep -q 'Capabilities: <access denied>' "$work/out" || fail "an ordinary user: $(cat "$work/out")"
	grep -q 'Region 0: Memory at' "$work/out" || fail "an ordinary user sees the BARs: $(cat "$work/out")"
	[ "$(room -- $stranger wc -c /sys/bus/pci/devices/$nvme/config | cut -d' ' -f1)" = 64 ] ||
		fail "an ordinary user may read 64 bytes"
	# The file shows what its opener may see, whoever reads it.
	[ "$(room -- sh -c "$stranger cat </sys/bus/pci/devices/$nvme/config | wc -c")" = 4096 ] ||
		fail "a file that root has opened"
	room -- sh -c "$stranger setpci -s $nvme COMMAND=0 2>&1; setpci -s $nvme COMMAND" >"$work/out"
	[ "$(grep -cx -e 'pcilib: Cannot open .*' -e 0006 "$work/out")" = 2 ] || fail "an ordinary user may not write: $(cat "$work/out")"
fi

# setpci: root may change what hardware lets it, and lspci shows it.
room -- sh -c "setpci -s $nvme COMMAND=0406 LATENCY_TIMER VENDOR_ID=ffff && setpci -s $nvme COMMAND VENDOR_ID CAP_PM+4.w &&
	lspci -vvs $nvme" >"$work/out" 2>/dev/null || fail "setpci: $(cat "$work/out")"
[ "$(sed -n '2,4p' "$work/out" | tr '\n' ' ')" = "0406 1b36 0008 " ] || fail "setpci reads: $(cat "$work/out")"
grep -q 'Control: I/O- Mem+ BusMaster+ .* DisINTx+' "$work/out" || fail "lspci after setpci: $(cat "$work/out")"
healthy
echo ok
