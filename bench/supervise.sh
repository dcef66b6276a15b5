#!/bin/sh
# SPDX-License-Identifier: MIT
# What isolde costs the programs it runs: a trapped ioctl, the NVMe data path against the raw file, start-up, idling.
# Each figure stands beside a peer measured in the same run; judge the ratios. Usage: bench/supervise.sh BUILD-FOLDER
set -eu
build=$(cd "${1:-build}" && pwd)
isolde=$build/isolde
bdf=0000:01:00.0
work=$(mktemp -d "${TMPDIR:-/tmp}/isolde-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "== a system call, median of 20000"
echo "-- outside any room";  "$build/bench/trap"
echo "-- under isolde run";  "$isolde" run -- "$build/bench/trap"

echo
echo "== qemu-img bench, 4 KiB reads scattered over 256 MiB; IOPS and CPU seconds of all processes per million reads"
dd if=/dev/urandom of="$work/disk" bs=1M count=256 status=none
cpu_and_rate() # NAME COUNT COMMAND...: elapsed and CPU (children included) of one command
{
	name=$1 count=$2
	shift 2
	TIMEFORMAT='%R %U %S' bash -c 'time "$@"' bash "$@" 2>"$work/time" >/dev/null
	tail -1 "$work/time" | awk -v name="$name" -v count="$count" \
		'{ printf "%-28s %9.0f IOPS %8.2f CPU s/M\n", name, count / $1, ($2 + $3) / count * 1e6 }'
}
for depth in 1 64; do
	count=200000
	# A step of 257 blocks scatters the reads over the whole disk.
	set -- bench -f raw -c $count -d $depth -s 4096 -S 1052672
	cpu_and_rate "raw file, depth $depth" "$count" qemu-img "$@" "$work/disk"
	cpu_and_rate "raw, O_DIRECT, depth $depth" "$count" qemu-img "$@" -t none "$work/disk"
	cpu_and_rate "nvme:// in room, depth $depth" "$count" \
		"$isolde" run --quiet --bind vfio-pci=$bdf --disk "$bdf=$work/disk" -- qemu-img "$@" -t none nvme://$bdf/1
done

echo
echo "== start-up, mean of 20"
mean_ms() # NAME COMMAND...
{
	name=$1
	shift
	start=$(date +%s%N)
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$@"; done
	awk -v name="$name" -v ns=$(($(date +%s%N) - start)) 'BEGIN { printf "%-28s %9.1f ms\n", name, ns / 20e6 }'
}
mean_ms "true" env true
mean_ms "isolde run -- true" "$isolde" run -- true

echo
echo "== an idle controller that is up: CPU of the supervisor over 5 s"
# shellcheck disable=SC2016
"$isolde" run --bind vfio-pci=$bdf -- sh -c '
	ticks() { awk "{ print \$14 + \$15 }" /proc/$1/stat; }
	(sleep 7; echo quit) | qemu-io -f raw nvme://'$bdf'/1 >/dev/null &
	sleep 1; before=$(ticks $PPID); sleep 5; after=$(ticks $PPID)
	awk -v t=$((after - before)) -v hz=$(getconf CLK_TCK) "BEGIN { printf \"idle controller %24.2f %% of a core\n\", t / hz / 5 * 100 }"'
