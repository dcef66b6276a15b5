#!/bin/sh
# SPDX-License-Identifier: MIT
# DPDK's own drivers and test of DMA devices, dmadev_autotest: an I/OAT channel and a DSA, both in one container, copy and
# fill through the IOMMU, are asked for what faults, stop, and serve the next program.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"

ioat=0000:01:00.0 dsa=0000:02:00.0
# shellcheck source=/dev/null
fetched "$(. /etc/os-release && echo "$VERSION_CODENAME")" dpdk dpdk-dev
root=$packages/dpdk/root/usr
[ -x "$root/bin/dpdk-test" ] || fail "no dpdk-test"

# The id of Sapphire Rapids is the one that DPDK 22.11 knows; vfio-pci has it on its denylist.
cat >"$work/machine.yaml" <<END_OF_MACHINE
name: dma
iommu: {kind: intel-vtd, width: 48}
options: {vfio_pci: {disable_denylist: true}}
devices:
  - {slot: "01.0", role: root-port, id: "8086:1901", acs: full, driver: pcieport,
     devices: [{slot: "00.0", model: ioat, flr: true}]}
  - {slot: "02.0", role: root-port, id: "8086:1905", acs: full, driver: pcieport,
     devices: [{slot: "00.0", model: dsa, id: "8086:0b25", flr: true}]}
END_OF_MACHINE

# By name and not by folder: DPDK takes no folder below one that everybody can write to.
library() # NAME
{
	find "$root/lib" -name "librte_$1.so.*" -exec basename {} \; | sort | head -n 1
}

# Two programs, one after the other. A terminal would be asked for tests; the environment says which.
mkdir "$work/run"
cat >"$work/twice" <<END_OF_PROGRAM
set -e
export LD_LIBRARY_PATH="$root/lib/x86_64-linux-gnu:${root%/usr}/lib/x86_64-linux-gnu"
export RUNTIME_DIRECTORY="$work/run" DPDK_TEST=dmadev_autotest
for round in 1 2; do
	"$root/bin/dpdk-test" --no-huge -m 64 --no-shconf --no-telemetry --iova-mode=va -d $(library bus_pci) -d $(library bus_vdev) \
		-d $(library mempool_ring) -d $(library dma_ioat) -d $(library dma_idxd) -a $ioat -a $dsa,max_queues=1
done
END_OF_PROGRAM

# Where it fails, $outcome says how. One that never ends is not tried again.
attempt()
{
	timeout -k 5 900 "$ISOLDE" run --machine "$work/machine.yaml" --bind vfio-pci=$ioat --bind vfio-pci=$dsa -- \
		sh "$work/twice" </dev/null >"$work/out" 2>"$said" && return
	status=$?
	outcome="status $status: $(tr '\r' '\n' <"$work/out" | tail -n 5)"
	case $status in 124 | 137) fail "dpdk-test does not end: $outcome" ;; esac
	return 1
}

# What isolde said besides the faults that the test is after.
refusals()
{
	grep '^isolde: ' "$said" | grep -vE 'hint: |\(the same |DMA_FAULT: '
}

# DPDK's test waits one second for an idle channel (test_dmadev.c, await_hw()): a host that stops for so long fails it, and
# neither we nor our device can know. So where we see nothing wrong it has a second chance, and no third.
if ! attempt; then
	refusals >&2 && fail "dpdk-test, refused: $outcome"
	healthy
	echo "REPEATED: dpdk-test failed, and isolde saw nothing wrong; a host that stood still for a second does that"
	echo "The first time: $outcome"
	attempt || fail "dpdk-test, repeated: $outcome"
fi
tr '\r' '\n' <"$work/out" >"$work/lines"

expect() # N TEXT
{
	[ "$(grep -c "$2" "$work/lines")" = "$1" ] || fail "not $1 times \"$2\": $(grep -v '^Ops' "$work/lines")"
}

expect 2 '^Test OK'
for device in $ioat $dsa-q0; do
	expect 2 "^### Test dmadev instance [01] \\[$device\\]"
done
for kind in 'copy Tests' 'burst.capacity Tests' 'fill Tests'; do
	expect 4 "^DMA Dev [01]: Running $kind"
done
# Version 3.2 of I/OAT is not asked for errors. Those of DSA come from the IOMMU, and the driver counts them and what they held up.
expect 2 '^DMA Dev [01]: Running error.handling Tests'
expect 2 '^Ops submitted: \([0-9]*\)	Ops completed: \1	Errors: [1-9]'
grep -q "^isolde: DMA: EFAULT DMA_FAULT: $dsa may not read .* at IOVA 0x0: not mapped" "$said" || fail "the fault was not said"
refusals >&2 && fail "refused"
healthy
echo ok
