#!/bin/sh
# SPDX-License-Identifier: MIT
# What devices hold besides registers, as programs find it: lspci reads product data, a ROM is dumped, capabilities of every
# kind are listed; a device on vfio-pci's denylist is not taken; an error that a device reports reaches the room's kernel.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need lspci
zoo=tests/data/machines/zoo.yaml
beast=/sys/bus/pci/devices/0000:01:00.0

room --machine $zoo -- lspci -s 01:00.0 -vvv >"$work/out" 2>/dev/null || fail "lspci"
for line in 'Product Name: An animal of the zoo' 'Part number: Z-1' 'Serial number: 0042' 'checksum good' 'Asset tag: asset' \
	'AtomicOpsCap: 32bit+ 64bit+ 128bitCAS+' 'Page Request Interface' 'Virtual Channel' 'Power Budgeting' 'Physical Resizable BAR' \
	'Dynamic Power Allocation' 'Transaction Processing Hints' 'Latency Tolerance Reporting' 'Downstream Port Containment' \
	'L1 PM Substates' 'Precision Time Measurement' 'Designated Vendor-Specific'; do
	grep -q "$line" "$work/out" || fail "lspci does not tell of $line"
done

room --machine $zoo -- sh -c "cat $beast/rom" >"$work/rom" 2>/dev/null && fail "a ROM was read that is switched off"
room --machine $zoo -- sh -c "echo 1 >$beast/rom && cat $beast/rom" >"$work/rom" || fail "rom"
[ "$(wc -c <"$work/rom")" = 512 ] || fail "the ROM has $(wc -c <"$work/rom") bytes"
[ "$(od -An -tx1 -N3 "$work/rom")" = " 55 aa 01" ] || fail "the ROM's signature"
room --machine $zoo -- head -c 8 $beast/vpd >"$work/vpd" || fail "vpd"
[ "$(tail -c 4 "$work/vpd")" = "n an" ] || fail "vpd: $(cat "$work/vpd")"

refused VFIO_DENYLISTED 0000:00:03.0 -- --machine $zoo --bind vfio-pci=0000:00:03.0 -- true
sed 's/^name: zoo/name: zoo\noptions: {vfio_pci: {disable_denylist: true}}/' $zoo >"$work/zoo.yaml"
room --machine "$work/zoo.yaml" --bind vfio-pci=0000:00:03.0 -- cat /sys/module/vfio_pci/parameters/disable_denylist >"$work/out" ||
	fail "disable_denylist"
[ "$(cat "$work/out")" = Y ] || fail "disable_denylist shows $(cat "$work/out")"

room --machine $zoo --bind vfio-pci=0000:01:00.0 -- sh -c \
	'echo "0000:01:00.0 uncor 0x4000" >/sys/kernel/debug/aer_inject' || fail "aer_inject"
refused AER_UNSUPPORTED 0000:03:00.0 -- --machine $zoo -- sh -c 'echo "0000:03:00.0 uncor 0x4000" >/sys/kernel/debug/aer_inject'
echo ok
