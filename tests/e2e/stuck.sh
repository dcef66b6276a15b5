#!/bin/sh
# SPDX-License-Identifier: MIT
# What a room must not wait for: people outside who hold its tree, its own threads while somebody holds the
# machine's lock, and a program of the room that needs it in turn. Each story would last for ever if it did.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need timeout bash
stuck=${STUCK:?path of the stuck program}
bdf=0000:01:00.0

# A room that must end: room, but 124 or 137 after two minutes.
ending_room()
{
	timeout -k 5 120 "$ISOLDE" run "$@" 2>"$said"
}

wait_for()
{
	rounds=0
	until [ -s "$1" ]; do
		rounds=$((rounds + 1))
		[ $rounds -lt 600 ] || fail "$2"
		sleep 0.1
	done
}

# A shell outside stands in the room's tree, and has a file of it open, when the program ends. Nobody waits for it.
cat >"$work/outside" <<'END'
cd "/proc/$1/root/sys/bus/pci/devices" && exec 3<"$2/vendor" && echo there >"$3" || exit 1
sleep 200 & sleeper=$!
trap 'kill $sleeper' TERM
wait $sleeper
cat "$2/vendor" 2>/dev/null && exit 1
exit 0
END
# Only root can: the room of an ordinary user is a user namespace of its own.
if [ "$(id -u)" = 0 ]; then
	# shellcheck disable=SC2016
	ending_room -- sh -c 'echo $$ >'"$work/pid"'; until [ -s '"$work/there"' ]; do sleep 0.1; done' &
	program=$!
	wait_for "$work/pid" "the program did not start"
	sh "$work/outside" "$(cat "$work/pid")" $bdf "$work/there" &
	outside=$!
	wait_for "$work/there" "nobody outside could look into the room"
	wait $program || fail "the room did not end while somebody outside stood in it"
	kill -0 $outside || fail "who stood in the room must be there still"
	kill $outside
	wait $outside || fail "a room that has gone must not answer"
	healthy
fi

# Threads that wait for the machine's lock in sysfs, more than it has itself, while its holder reads an argument there.
ending_room --quiet --bind vfio-pci=$bdf -- "$stuck" pool $bdf 300 >"$work/out" || fail "threads in sysfs: $(cat "$work/out")"
grep -q '^ok' "$work/out" || fail "threads in sysfs: $(cat "$work/out")"
healthy

# A file system that is served by a process of the room: its server's calls are trapped like any, while the supervisor
# waits for a page of it, with and without the machine's lock.
mkdir "$work/served"
ending_room --quiet --bind vfio-pci=$bdf -- "$stuck" served $bdf "$work/served" >"$work/out" ||
	fail "a file system served in the room: $(cat "$work/out")"
grep -q '^ok' "$work/out" || fail "a file system served in the room: $(cat "$work/out")"
healthy

# Who unbinds a device that it has open itself waits for its own end. The room ends when its program does, and when it is asked twice.
# shellcheck disable=SC2016
own='exec 3<>"/dev/vfio/devices/$(ls /sys/bus/pci/devices/'$bdf'/vfio-dev)"; unbind() { echo '$bdf' >/sys/bus/pci/drivers/vfio-pci/unbind; }'
ending_room --bind vfio-pci=$bdf -- bash -c "$own; (unbind) & sleep 0.5" || fail "a process that waits for itself: $?"
healthy
"$ISOLDE" run --bind vfio-pci=$bdf -- bash -c "$own; echo there >$work/own; unbind" 2>"$said" &
program=$!
wait_for "$work/own" "the program did not start"
sleep 0.5
kill $program
sleep 0.5
kill -0 $program || fail "an unbind must wait for the device"
# On a busy host the two could come as one.
(while sleep 0.5; do kill $program || exit; done) 2>/dev/null &
again=$!
wait $program
status=$?
kill $again 2>/dev/null
[ $status = 143 ] || fail "a program that waits for itself must end by a repeated SIGTERM"
healthy
echo ok
