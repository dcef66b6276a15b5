#!/bin/sh
# SPDX-License-Identifier: MIT
# A program that does at random what can be done with the devices of one bus, in a room; each answer is that of a second
# model, of which Linux has said that it is right (tests/kernel/linux.sh BUILD exclusive).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
work=${work:?set by lib.sh}
exclusive=${EXCLUSIVE:?path of the exclusive program}

live() # MODE SEED GROUP GROUP: which groups the two functions are in
{
	acs=none own='' iommu=true linux=false
	[ "$3" = "$4" ] || acs=full own="acs: full, "
	case $1 in linux*) linux=true ;; esac
	case $1 in *-bare) iommu=false ;; esac
	cat >"$work/bus.yaml" <<-END
		name: bus
		options: {linux_hot_reset: $linux, noiommu: true}
		iommu: {kind: intel-vtd}
		devices:
		  - {slot: "01.0", role: root-port, id: "8086:1901", acs: $acs, iommu: $iommu, driver: pcieport, devices: [
		      {slot: "00.0", id: "8086:10d3", ${own}flr: true, driver: none, bars: {0: 4K}},
		      {slot: "00.1", id: "8086:10d3", ${own}flr: true, driver: none, bars: {0: 4K}}]}
	END
	room --quiet --machine "$work/bus.yaml" -- "$exclusive" "$1" "$2" 1500 "0000:01:00.0=$3" "0000:01:00.1=$4" >"$work/out" ||
		fail "$*: $(cat "$work/out")"
	healthy
}

live linux 1 0 0
live linux 2 0 1
live isolde 3 0 0
live isolde 4 0 1
live linux-bare 5 0 1
live isolde-bare 6 0 1

echo ok
