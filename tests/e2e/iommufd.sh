#!/bin/sh
# SPDX-License-Identifier: MIT
# /dev/iommu for a static program with plain system calls: contexts and processes, queues that are read and polled,
# the order of closes, threads, and a death in the middle.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need jq
client=${IOMMU_CLIENT:?path of the iommu_client program}
poke=${POKE:?path of the poke program}

# Also after a failure no room stays.
running=
leave()
{
	[ -n "$running" ] && kill "$running" 2>/dev/null
	rm -rf "$work"
}
trap leave EXIT

story()
{
	room --quiet -- "$client" "$@" >"$work/out" || fail "iommu_client $*: $(cat "$work/out")"
	healthy
}

# The last line but none of what a word printed.
expect()
{
	grep -qxF -- "$1" "$work/out" || fail "\"$1\" is not in: $(cat "$work/out")"
}

# One context from its open to its close.
story open ioas map 0x10000 0x2000 ranges unmap 0x10000 0x2000 unmap 0x10000 0x1000 destroy 1 destroy 1 close
expect 'map = 0'
expect 'unmap = 8192'
expect 'unmap = -ENOENT'
expect 'destroy = 0'
expect 'destroy = -ENOENT'

# A fault queue looks and behaves like Linux's, to any program.
story open fault look read 40 read 400 read 0 read 39 write 0 write 8 write 7 poll 0
expect 'link "anon_inode:[iommufd-pgfault]" mode 600 rdev 0 size 0 cloexec 1 flags 2'
for call in lseek pread pwrite; do
	expect "$call = -ESPIPE"
done
expect 'reopen = -ENXIO'
expect 'mmap = -ENODEV'
expect 'ioctl = -ENOTTY'
expect 'look = -EINVAL'
[ "$(grep '^read' "$work/out" | tr '\n' ' ')" = 'read = 0 read = 0 read = 0 read = -ESPIPE ' ] || fail "reads: $(cat "$work/out")"
[ "$(grep '^write' "$work/out" | tr '\n' ' ')" = 'write = 0 write = -EINVAL write = -ESPIPE ' ] || fail "writes: $(cat "$work/out")"
expect 'poll = 4'

# A page request wakes who sleeps in poll(), is read and answered, once.
room --quiet --selftest -- "$client" open ioas page-request >"$work/out" || fail "a page request: $(cat "$work/out")"
healthy
for line in 'before = 4' 'woken = 1' 'fault = 40' 'of the device 1, at 0x5000' 'answer = 8' 'again = -EINVAL' 'page-request = 4'; do
	expect "$line"
done

# DESTROY knows of every close before it: the queue's descriptor uses the queue.
story open fault destroy 1 close-fault destroy 1 cycle 300
[ "$(grep '^destroy' "$work/out" | tr '\n' ' ')" = 'destroy = -EBUSY destroy = 0 ' ] || fail "destroy: $(cat "$work/out")"
expect 'cycle = 300'

# Four threads at once, each with an IOVA range and queues of its own.
story open ioas threads 1000 unmap 0 0xffffffffffffffff
expect 'threads = 4000'

# A child has its parent's context: what it maps is its own memory, and gone with it or unmapped.
story open ioas map 0x10000 0x1000 fork map 0x20000 0x1000 unmap 0x10000 0x1000 fork unmap 0x20000 0x1000 ioas
expect 'unmap = 4096'
expect 'ioas = 2'

# execve() and vfork() keep the context, whose descriptor stays open, and close the queue, whose does not.
for way in exec vfork; do
	story open fault ioas "$way" in 2 map 0x10000 0x1000 destroy 1 unmap 0x10000 0x1000 destroy 2
	expect 'map = 0'
	expect 'unmap = 4096'
done
# After execve() nobody has the queue; after vfork() the parent still does.
story open fault exec destroy 1
expect 'destroy = 0'
story open fault vfork destroy 1
expect 'destroy = -EBUSY'

# SIGKILL in the middle of maps, unmaps and closes; the room goes on, and nothing of the dead is left.
cat >"$work/kill" <<END
i=0
while [ \$i -lt 10 ]; do
	$client open ioas spin >"$work/ready.\$i" &
	victim=\$!
	while kill -0 \$victim 2>/dev/null && ! grep -q ready "$work/ready.\$i"; do sleep 0.01; done
	grep -q ready "$work/ready.\$i" || exit 3
	sleep 0.0\$i
	kill -9 \$victim
	wait \$victim 2>/dev/null
	$client open ioas map 0x10000 0x1000 fault close-fault destroy 2 >"$work/after.\$i" || exit 1
	grep -q '^destroy = 0' "$work/after.\$i" || exit 2
	i=\$((i + 1))
done
echo left >"$work/left"
exec $client wait
END
"$ISOLDE" run --quiet -- sh "$work/kill" >"$work/out" 2>"$said" &
running=$!
while kill -0 "$running" 2>/dev/null && ! grep -q ready "$work/out"; do sleep 0.1; done
grep -q ready "$work/out" || fail "ten deaths: $(cat "$work"/after.*)"
"$ISOLDE" inspect --json >"$work/json" || fail "inspect after ten deaths"
jq -e '.contexts == [] and .files == [] and .clients == []' "$work/json" >/dev/null || fail "the dead have left: $(cat "$work/json")"
kill "$running"
wait "$running" 2>/dev/null
running=
healthy

# A room that tests itself makes the steps of a thread fail, one after the other, and then all is well.
story fail 1
expect 'fail = -ENOENT'
room --quiet --selftest -- "$client" fail 1 open left fail 2 open left open fail 1 ioas left ioas fail 500 ioas fault \
	close-fault left >"$work/out" || fail "fail-nth: $(cat "$work/out")"
healthy
[ "$(grep -c '^open = -' "$work/out")" = 2 ] || fail "opens that fail: $(cat "$work/out")"
expect 'ioas = -ENOMEM'
[ "$(grep '^left' "$work/out" | head -3 | tr '\n' ' ')" = 'left = 0 left = 0 left = 0 ' ] || fail "left: $(cat "$work/out")"
left=$(sed -n 's/^left = //p' "$work/out" | tail -1)
case $left in
4[0-9][0-9]) ;;
*) fail "left of 500: $(cat "$work/out")" ;;
esac
room --quiet --selftest -- sh -c 'echo N >/sys/kernel/debug/failslab/ignore-gfp-wait && cat /sys/kernel/debug/fail*/verbose' \
	>"$work/out" || fail "debugfs"
[ "$(tr '\n' ' ' <"$work/out")" = '2 2 ' ] || fail "debugfs: $(cat "$work/out")"

# /proc/PID/status counts what a program has locked here, whoever reads it, and is the host's own otherwise.
# shellcheck disable=SC2016 # for the shell in the room
room --quiet --bind vfio-pci=0000:01:00.0 -- sh -c '
	cd '"$work"'
	'"$poke"' container group 0000:01:00.0 join iommu 3 map 0x100000 0x3000 wait >ready &
	while kill -0 $! 2>/dev/null && ! grep -q ready ready; do sleep 0.05; done
	grep -E "^Vm(Lck|Pin|Peak):|^Threads" /proc/$!/status /proc/$!/task/$!/status | sed "s/^[^:]*://"
	dd if=/proc/$!/status bs=100 2>/dev/null | grep VmLck
	cd /proc/$! && grep VmLck status
	grep -E "^Vm(Lck|Pin):" /proc/self/status
	kill $!' >"$work/out" || fail "status"
healthy
[ "$(grep -c '^VmLck:	      12 kB$' "$work/out")" = 4 ] || fail "VmLck: $(cat "$work/out")"
[ "$(grep -c '^Vm\(Lck\|Pin\):	       0 kB$' "$work/out")" = 4 ] || fail "zeros: $(cat "$work/out")"
[ "$(grep -c '^Threads:	1$' "$work/out")" = 2 ] || fail "the rest of the text: $(cat "$work/out")"

# From outside: who holds what.
"$ISOLDE" run --quiet -- "$client" open ioas map 0x10000 0x2000 fault fork ioas map 0x40000 0x1000 wait >"$work/out" 2>"$said" &
running=$!
tries=0
while ! grep -q ready "$work/out"; do
	sleep 0.1
	tries=$((tries + 1))
	[ $tries -lt 600 ] || fail "the program to look at does not get ready"
done
"$ISOLDE" inspect --json --areas >"$work/json" || fail "inspect"
ask() { jq -e "$1" "$work/json" >"$work/answer" || fail "$1 is $(cat "$work/answer"), in $(cat "$work/json")"; }
ask '.contexts | length == 1'
ask '.contexts[0].opener | startswith("iommu_client (pid ")'
ask '.contexts[0].objects | map(.type) == ["IOAS", "FAULT", "IOAS"]'
ask '.contexts[0].objects | map(.users) == [0, 1, 0]'
ask '.contexts[0].objects[0].mappings | map([.iova, .last, .permission]) == [["0x10000", "0x11fff", "rw"]]'
ask '.contexts[0].objects[2].mapping_count == 1'
ask '[.files[].path] | sort == ["/dev/iommu", "anon_inode:[iommufd-pgfault]"]'
"$ISOLDE" inspect | grep -q 'id 2, type FAULT, users 1' || fail "the text of inspect"
kill "$running"
wait "$running" 2>/dev/null
running=
healthy
echo ok
