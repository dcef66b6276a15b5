#!/bin/sh
# SPDX-License-Identifier: MIT
# What a room must not wait for: people outside who hold its tree, and its own threads while somebody holds the
# machine's lock. Each story would last for ever if it did.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need timeout
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

# Threads that wait for the machine's lock in sysfs, more than it has itself, while its holder reads an argument there.
ending_room --quiet --bind vfio-pci=$bdf -- "$stuck" pool $bdf 300 >"$work/out" || fail "threads in sysfs: $(cat "$work/out")"
grep -q '^ok' "$work/out" || fail "threads in sysfs: $(cat "$work/out")"
healthy
echo ok
