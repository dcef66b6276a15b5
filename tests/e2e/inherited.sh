#!/bin/sh
# SPDX-License-Identifier: MIT
# Whatever whoever starts isolde has set up — signals ignored, limits, a pipe whose reader leaves — reaches the program as it is, and
# does not end the supervisor, without which the program's calls would find nobody.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
poke=${POKE:?path of the poke program}
nvme=0000:01:00.0

# Runs a program of Python that ends in execv of "isolde run" with the arguments given.
started_by() # PYTHON ARGS...
{
	script=$1
	shift
	timeout 300 python3 -c "
import os, resource, signal, sys
$script
os.execv(sys.argv[1], [sys.argv[1], 'run'] + sys.argv[2:])" "$ISOLDE" "$@" 2>"$said"
}

# Ignored children, also for the program.
started_by 'signal.signal(signal.SIGCHLD, signal.SIG_IGN)' -- grep SigIgn /proc/self/status >"$work/out" ||
	fail "SIGCHLD ignored: status $?"
grep -q 'SigIgn:.*[1357bdf9]....$' "$work/out" || fail "the program does not ignore SIGCHLD: $(cat "$work/out")"
# And what is not ignored is not ignored there; Python ignores SIGPIPE and SIGXFSZ, so both are set back.
started_by 'for number in signal.SIGPIPE, signal.SIGXFSZ: signal.signal(number, signal.SIG_DFL)' -- \
	grep SigIgn /proc/self/status >"$work/out" || fail "dispositions"
grep -q 'SigIgn:.0*$' "$work/out" || fail "the program ignores signals: $(cat "$work/out")"
healthy

# Whoever reads what we say leaves.
python3 - "$ISOLDE" "$poke" "$work/lived" 2>"$said" <<'END' || fail "a reader that leaves ends the room"
import os, signal, subprocess, sys
isolde, poke, lived = sys.argv[1:]
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
room = subprocess.Popen([isolde, "run", "--", "sh", "-c",
	f"sleep 0.5; for turn in 1 2 3; do {poke} container iommu 1; done; cat /proc/version >{lived}"],
	stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
room.stderr.close()
sys.exit(room.wait(300))
END
[ -s "$work/lived" ] || fail "the program's calls found nobody"

# Signals: of the room's own process group, of somebody outside, of a clock that was set before.
cat >"$work/group" <<'END'
trap '' USR1 USR2 ALRM PROF VTALRM IO PWR 34 40 63
for signal in USR1 USR2 ALRM PROF VTALRM IO PWR 34 40 63; do kill -$signal 0; done
cat /proc/version >/dev/null && echo lived
END
started_by 'os.setsid()' -- sh "$work/group" >"$work/out" || fail "signals of the process group: $?"
grep -qx lived "$work/out" || fail "signals of the process group"
cat >"$work/counts" <<'END'
import os, signal, sys, time
seen = []
for number in signal.SIGUSR1, signal.SIGRTMIN + 3, signal.SIGTERM:
	signal.signal(number, lambda number, frame: seen.append(number))
open(sys.argv[1], "w").close()
deadline = time.time() + 300
while signal.SIGTERM not in seen and time.time() < deadline:
	time.sleep(0.01)
time.sleep(0.3)
print(*(seen.count(number) for number in (signal.SIGUSR1, signal.SIGRTMIN + 3, signal.SIGTERM)))
END
"$ISOLDE" run -- python3 "$work/counts" "$work/ready" >"$work/out" 2>"$said" &
supervisor=$!
for _ in $(seq 600); do
	[ -e "$work/ready" ] && break
	sleep 0.1
done
for signal in USR1 37 TERM; do
	kill -$signal $supervisor
	sleep 0.2
done
wait $supervisor
grep -qx '1 1 1' "$work/out" || fail "signals from outside: $(cat "$work/out")"
started_by 'signal.alarm(1)' -- sleep 30
[ $? = 142 ] || fail "a clock set before ends the program, not the room"

# Limits: a small one on files, and one on descriptors that the program raises for itself.
# shellcheck disable=SC2016
started_by 'resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))' \
	--bind vfio-pci=$nvme -- sh -c 'ulimit -f
	"$1" container group "$2" join iommu 1 device "$2"' \
	sh "$poke" $nvme >"$work/out" || fail "a limit on files: $(cat "$work/out")"
head -1 "$work/out" | grep -Eqx '1024|2048' || fail "the program's limit on files: $(cat "$work/out")"
grep -q '^device = [0-9]' "$work/out" || fail "a device beyond the limit on files: $(cat "$work/out")"
cat >"$work/vectors" <<'END'
import fcntl, os, resource, struct, sys
device = sys.argv[1]
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{device}/iommu_group"))
container, group = os.open("/dev/vfio/vfio", os.O_RDWR), os.open(f"/dev/vfio/{group}", os.O_RDWR)
fcntl.ioctl(group, 0x3b68, struct.pack("i", container))
fcntl.ioctl(container, 0x3b66, 1)
fd = fcntl.ioctl(group, 0x3b6a, bytearray(device.encode() + b"\0"))
events = [os.eventfd(0) for _ in range(33)]
fcntl.ioctl(fd, 0x3b6e, struct.pack("5I33i", 20 + 4 * 33, 4 | 32, 2, 0, 33, *events))
print(soft)
END
started_by 'resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))' \
	--bind vfio-pci=$nvme -- python3 "$work/vectors" $nvme >"$work/out" || fail "more descriptors than isolde was given"
grep -qx 40 "$work/out" || fail "the program's limit on descriptors: $(cat "$work/out")"
healthy
echo ok
