#!/bin/sh
# SPDX-License-Identifier: MIT
# From outside, while a program runs: who holds which group, what is mapped, which files are open.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need jq
poke=${POKE:?path of the poke program}
bdf=0000:01:00.0

# Also after a failure no room stays.
room1='' room2='' room3='' room4=''
leave()
{
	for room in $room1 $room2 $room4; do
		kill "$room" 2>/dev/null
	done
	rm -rf "$work"
}
trap leave EXIT

# Starts a program in a room of its own, in the background, and waits until it says it is ready.
start()
{
	: >"$work/out.$1"
	"$ISOLDE" run --bind vfio-pci=$bdf -- "$poke" container group $bdf join iommu 3 device $bdf \
		map 0x100000 0x2000 map 0x200000 0x1000 wait >"$work/out.$1" 2>"$said" &
	eval "room$1=$!"
	tries=0
	while ! grep -q ready "$work/out.$1"; do
		sleep 0.05
		tries=$((tries + 1))
		[ $tries -lt 1200 ] || fail "the program of room $1 does not get ready"
	done
}

stop()
{
	kill "$1"
	wait "$1" 2>/dev/null
	healthy
}

"$ISOLDE" inspect >"$work/none" 2>&1 && fail "there is no room, and still an answer"
grep -q ROOM_MISSING "$work/none" || fail "no room: $(cat "$work/none")"

start 1
"$ISOLDE" inspect --json --areas >"$work/json" || fail "inspect of the only room"
ask() { jq -e "$1" "$work/json" >"$work/answer" || fail "$1 is $(cat "$work/answer")"; }
ask ".pid == $room1 and .format == 1 and .machine == \"default\""
ask '.program.command[1] == "container"'
ask '[.groups[] | select(.owner != null and (.owner | startswith("VFIO group"))) | .devices[].name] == ["0000:01:00.0"]'
ask 'any(.groups[]; .owner_count == 2 and (.owner | contains("0000:02:00.1 to e1000e")))'
ask '.vfio.containers | length == 1'
ask '.vfio.containers[0].mappings | map([.iova, .last]) == [["0x100000", "0x101fff"], ["0x200000", "0x200fff"]]'
ask '.vfio.devices[0].open'
ask '.clients[0].locked_bytes == 12288'
ask '[.files[].kind] == ["container", "group", "device"]'
program=$(jq .program.pid "$work/json")
"$ISOLDE" inspect --pid "$program" >"$work/text" || fail "inspect by the program's pid"
grep -q "name $bdf, driver vfio-pci" "$work/text" || fail "the text: $(cat "$work/text")"
grep -q 'mapping count 2' "$work/text" || fail "the text: $(cat "$work/text")"
grep -q 'iova 0x100000' "$work/text" && fail "mappings without --areas"

# Two rooms: one must be named.
start 2
"$ISOLDE" inspect >/dev/null 2>"$work/both" && fail "two rooms, and one answers"
grep -q "ROOM_AMBIGUOUS.*$room1" "$work/both" || fail "two rooms: $(cat "$work/both")"
"$ISOLDE" inspect --json --pid "$room2" | jq -e ".pid == $room2" >/dev/null || fail "inspect of the second room"
stop "$room2"

# A run that was killed leaves its name behind; the next look takes it away.
start 3
orphan=$("$ISOLDE" inspect --json --pid "$room3" | jq .program.pid)
kill -9 "$room3" && wait "$room3" 2>/dev/null
kill -9 "$orphan"
[ -S "$XDG_RUNTIME_DIR/isolde/room-$room3" ] || fail "the killed run has left no name to test with"
"$ISOLDE" inspect --json | jq -e ".pid == $room1" >/dev/null || fail "a dead room is in the way"
[ -e "$XDG_RUNTIME_DIR/isolde/room-$room3" ] && fail "the name of the dead room is still there"
stop "$room1"
[ -e "$XDG_RUNTIME_DIR/isolde/room-$room1" ] && fail "a room that ended well has left its name"

# A peer that says nothing, and one that talks nonsense, while the room goes on.
start 4
socket=$XDG_RUNTIME_DIR/isolde/room-$room4
if command -v python3 >/dev/null; then
	python3 -c 'import socket, sys
idle = [socket.socket(socket.AF_UNIX) for _ in range(6)]
for s in idle: s.connect(sys.argv[1])
for s in idle[:3]: s.send(b"\0" * 100)
import time; time.sleep(0.5)' "$socket"
fi
"$ISOLDE" inspect --json --pid "$room4" | jq -e '.vfio.containers[0].mapping_count == 2' >/dev/null || fail "after bad peers"
stop "$room4"
echo ok
