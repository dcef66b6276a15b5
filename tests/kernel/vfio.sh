#!/bin/sh
# SPDX-License-Identifier: MIT
# Linux's own tests of VFIO, unmodified, in a room, in all their modes: each on a plain device, on NVMe, and on the two that
# they have drivers for (IOAT, DSA). Two programs cannot: the test of those drivers, and that of virtual functions, which
# runs on the plain device. What they say is kept in $KERNEL_LOGS.
# tests/kernel/vfio.sh PROGRAM... runs these programs only.
. tests/kernel/lib.sh
linux_selftests vfio
logs=${KERNEL_LOGS:-$work/logs}
mkdir -p "$logs"
failed=0

# machines/selftest-vfio.yaml
nvme=0000:01:00.0
plain=0000:80:00.0
ioat=0000:00:04.0
dsa=0000:6a:01.0

# Pages of that size, at least one at a time and one while we let go of it. Without them the tests skip, and that is told.
tolerated=
more_pages() # KIB COUNT TESTS
{
	pool=/sys/kernel/mm/hugepages/hugepages-$1kB
	if [ ! -d "$pool" ]; then
		echo "vfio: the host has no pages of $1 KiB, so *$3* may skip"
	elif [ "$(cat "$pool/free_hugepages")" -lt "$2" ]; then
		reserve_pages "$pool" "$2" || echo "vfio: $reason, so *$3* may skip"
	fi
	[ -d "$pool" ] && [ "$(cat "$pool/free_hugepages")" -ge "$2" ] || tolerated="${tolerated:+$tolerated|}$3"
}

# $first: what the shell in the room does first. $lacking: a test and why it has to skip, of a device without something.
judge() # LOG PROGRAM BIND-OPTIONS... -- ARGS...
{
	log=$1 program=$2
	shift 2
	case " $only " in
	"  " | *" $program "*) ;;
	*) return ;;
	esac
	set -- "$@" .
	binds=
	while [ "$1" != -- ]; do
		binds="$binds $1"
		shift
	done
	shift
	arguments=
	while [ "$1" != . ]; do
		arguments="$arguments $1"
		shift
	done
	# shellcheck disable=SC2086,SC2016 # for the shell in the room, so that both streams stay in order
	timeout 900 "$ISOLDE" run --quiet -m selftest-vfio $binds -- sh -c "$first"'exec "$@" 2>&1' sh \
		"$linux/bin/$program" $arguments >"$logs/$log.tap" 2>"$said"
	cp "$said" "$logs/$log.isolde"
	healthy
	awk -v program="$log" -v tolerated="$tolerated" -v lacking="$lacking" -f tests/kernel/judge.awk \
		tests/kernel/exceptions.txt "$logs/$log.tap" || failed=1
}

only=$*
first=
lacking=
more_pages 2048 4 anonymous_hugetlb_2mb
more_pages 1048576 2 anonymous_hugetlb_1gb
for on in plain=$plain nvme=$nvme ioat=$ioat dsa=$dsa; do
	model=${on%%=*} device=${on#*=}
	# DSA has MSI-X only, of which no model could make more, and so has our NVMe.
	case $model in
	dsa | nvme) lacking='vfio_pci_irq_test.msi.enable_trigger_disable: MSI: not supported' ;;
	esac
	judge "vfio_pci_device_test.$model" vfio_pci_device_test -b "vfio-pci=$device" -- "$device"
	lacking=
	for test in vfio_iommufd_setup_test vfio_dma_mapping_test vfio_dma_mapping_mmio_test; do
		judge "$test.$model" $test -b "vfio-pci=$device" -- "$device"
	done
done
judge vfio_pci_driver_test.ioat vfio_pci_driver_test -b vfio-pci=$ioat -- $ioat
judge vfio_pci_driver_test.dsa vfio_pci_driver_test -b vfio-pci=$dsa -- $dsa
# The test writes to sriov_numvfs itself.
first='echo Y >/sys/module/vfio_pci/parameters/enable_sriov;'
judge vfio_pci_sriov_uapi_test vfio_pci_sriov_uapi_test -b vfio-pci=$plain -- $plain
first=
judge vfio_pci_device_init_perf_test vfio_pci_device_init_perf_test -b vfio-pci=$plain -b vfio-pci=$nvme \
	-b vfio-pci=$ioat -b vfio-pci=$dsa -- $plain $nvme $ioat $dsa
[ $failed -eq 0 ] || fail "Linux's tests of VFIO say otherwise; all they said is in $logs"
echo ok
