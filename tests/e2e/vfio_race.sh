#!/bin/sh
# SPDX-License-Identifier: MIT
# Processes and threads that share descriptors of containers, groups and devices, an emulated one among them, and use them
# without sense, while some are killed in the middle: the room stays sound (the supervisor checks every invariant when it
# ends), and the next program finds it as new.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
race=${VFIO_RACE:?path of the race program}
ms=${ISOLDE_RACE_MS:-4000}
machine=$(dirname "$0")/../data/machines/conform.yaml

# shellcheck disable=SC2016
story='
	race=$1 seed=$2 ms=$3
	set --
	for device in /sys/bus/pci/drivers/vfio-pci/0000:* /sys/bus/mdev/devices/*; do
		set -- "$@" "${device##*/}" "/dev/vfio/$(basename "$(readlink "$device/iommu_group")")" \
			"/dev/vfio/devices/$(ls "$device/vfio-dev")"
	done
	[ $# -eq 12 ] || exit 1
	"$race" "$seed" 4 3 "$ms" "$@" || exit 1
	# All that was open is closed, so all is free again.
	"$race" 7 1 1 200 "$@" >/dev/null || exit 1
	for device in 0000:01:00.0 0000:02:00.0 0000:02:00.1; do
		echo "$device" >/sys/bus/pci/devices/$device/driver/unbind || exit 1
	done
'
for seed in ${ISOLDE_SEED:-1 2}; do
	room --quiet --machine "$machine" --bind vfio-pci=0000:01:00.0 --bind vfio-pci=0000:02:00.0 --bind vfio-pci=0000:02:00.1 -- \
		sh -c "$story" sh "$race" "$seed" "$ms" >"$work/out" || fail "seed $seed"
	healthy
	requests=$(sed -n 's/^requests = //p' "$work/out")
	succeeded=$(sed -n 's/^succeeded = //p' "$work/out")
	[ "${requests:-0}" -gt 1000 ] || fail "seed $seed: only ${requests:-no} requests were made"
	[ "$succeeded" -gt $((requests / 100)) ] || fail "seed $seed: only $succeeded of $requests succeeded"
done
echo ok
