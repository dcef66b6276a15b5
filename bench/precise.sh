#!/bin/sh
# SPDX-License-Identifier: MIT
# An access to a precise page beside one to a polled page, in a room and with the machine inside; medians of 20000.
# Usage: bench/precise.sh BUILD-FOLDER, from the root of the source tree.
set -eu
build=$(cd "${1:-build}" && pwd)
bdf=0000:00:05.0
echo "-- what no tracer can do without"
"$build/bench/precise" floor
echo "-- in a room"
# shellcheck disable=SC2016
"$build/isolde" run --quiet -m tests/data/machines/precise.yaml -b vfio-pci=$bdf -- sh -c '
	exec "$1" "/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/'$bdf'/iommu_group)")"' sh "$build/bench/precise"
echo "-- with the machine inside"
"$build/bench/precise"
