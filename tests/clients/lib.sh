# SPDX-License-Identifier: MIT
# Sourced by the stories of guests: a QEMU under `isolde run`, without KVM, whose guest runs `init` of this folder.
#
#	guest STORY [AFTER]	runs one to its end, and judges what it and the room have said; see `init` for the words
#
# What may be set before, each a word or words:
#
#	functions	to be assigned; the disk of each is $work/FUNCTION
#	qemu		which QEMU (with_qemu10: one that knows iommufd)
#	machine		the room's machine
#	way		group; or cdev: the devices' own nodes and /dev/iommu
#	iommufd		QEMU's object of that name
#	properties	more of each vfio-pci, ",x-no-mmap=on"
#	append		more for the guest's kernel
#	inside		a program that starts QEMU in the room
#	processors	of the guest
#	arguments	more for QEMU
#	neighbours	functions bound to vfio-pci besides, and left alone
#	silence		refusals that this QEMU is known to earn
# shellcheck shell=sh
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
work=${work:?set by lib.sh}
packages=${ISOLDE_PACKAGES:-$(dirname "$ISOLDE")/packages}
need busybox gzip qemu-system-x86_64

functions=0000:01:00.0
machine=two-nvme
way=group
iommufd=iommufd,id=iommu
processors=2
qemu='qemu-system-x86_64'
properties='' append='' inside='' arguments='' neighbours='' silence=''

# Debian packages in a folder of their own, fetched once per build folder.
fetched() # SUITE FOLDER PACKAGE...
{
	suite=$1 folder=$packages/$2
	shift 2
	tools/private-packages "$suite" "$folder" "$@" >"$said" 2>&1 || fail "could not fetch $* from $suite"
}

# The guest's kernel is Debian's for clouds, in which the NVMe driver is built in.
with_kernel()
{
	# shellcheck source=/dev/null
	fetched "$(. /etc/os-release && echo "$VERSION_CODENAME")" linux linux-image-cloud-amd64
	kernel=$(find "$packages/linux/root/boot" -name 'vmlinuz-*' | sort -V | tail -n 1)
	[ -e "$kernel" ] || fail "no kernel in $packages/linux"
	mkdir -p "$work/root/bin" "$work/root/dev" "$work/root/proc" "$work/root/sys" "$work/root/tmp"
	cp "$(command -v busybox)" "$work/root/bin/busybox"
	cp "$(dirname "$0")/init" "$work/root/init"
	(cd "$work/root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$work/initrd")
}

with_qemu10()
{
	case $(qemu-system-x86_64 --version) in
	*'version 7.'*)
		fetched bookworm-backports qemu10 qemu-system-x86
		qemu=$work/qemu10
		cat >"$qemu" <<-END_OF_QEMU
			#!/bin/sh
			usr=$packages/qemu10/root/usr
			export LD_LIBRARY_PATH="\$usr/lib/x86_64-linux-gnu:\${usr%/usr}/lib/x86_64-linux-gnu"
			exec "\$usr/bin/qemu-system-x86_64" -L "\$usr/share/qemu" -L "\$usr/share/seabios" "\$@"
		END_OF_QEMU
		chmod +x "$qemu"
		;;
	*) qemu='qemu-system-x86_64' ;;
	esac
}

# A function as QEMU is told of it, at the start or when the guest asks for it.
assigned() # NUMBER FUNCTION
{
	owner=
	[ "$way" = group ] || owner=,iommufd=iommu
	echo "vfio-pci,id=f$1,host=$2,bus=p$1$owner$properties"
}

# The guest's lines, and what it asks for done.
attend()
{
	carriage_return=$(printf '\r')
	while read -r line; do
		line=${line%"$carriage_return"}
		echo "$line"
		case $line in
		'ask: reset') echo system_reset ;;
		'ask: unplug') echo "device_del f1" ;;
		'ask: plug')
			# The guest's driver has let go, but QEMU may not have: what comes too early or too late is refused.
			for _ in $(seq 20); do
				echo "device_add $(assigned 1 "${functions%% *}")"
				sleep 0.5
			done
			;;
		esac >&3
	done >"$work/console" 3<>"$work/monitor.in"
}

# shellcheck disable=SC2086,SC2046
start() # WORDS
{
	words=$*
	set -- --machine "$machine"
	for function in $functions; do
		set -- "$@" --bind "vfio-pci=$function" --disk "$function=$work/$function"
		truncate -s 0 "$work/$function"
		truncate -s 64M "$work/$function"
	done
	for function in $neighbours; do
		set -- "$@" --bind "vfio-pci=$function"
	done
	set -- "$@" -- $inside "$qemu" -machine q35,accel=tcg -cpu max -m 256 -smp $processors -nodefaults -display none -serial stdio \
		-chardev "pipe,id=monitor,path=$work/monitor" -mon monitor -kernel "$kernel" -initrd "$work/initrd" $arguments
	[ "$way" = group ] || set -- "$@" -object "$iommufd"
	number=0
	for function in $functions; do
		number=$((number + 1))
		set -- "$@" -device "pcie-root-port,id=p$number,slot=$number" -device "$(assigned $number "$function")"
	done
	rm -f "$work/monitor.in" "$work/monitor.out" "$work/status"
	mkfifo "$work/monitor.in" "$work/monitor.out"
	cat <>"$work/monitor.out" >/dev/null 2>&1 &
	drain=$!
	{
		timeout 600 "$ISOLDE" run "$@" -append "console=ttyS0 quiet panic=-1 disks=$number $append $words" 2>"$said" </dev/null
		echo $? >"$work/status"
	} | attend
	kill $drain
}

# What QEMU may be refused although all is well: it tries, and takes the answer for what it is.
expected_refusals() # STORY
{
	# Peer-to-peer: it maps every BAR like memory, which /dev/iommu refuses, and so has nothing to unmap.
	[ "$way" = group ] || echo '|CLIENT_FAULT: .* registers of a device|AREA_MISSING: '
	# Plugged in again before it was out.
	case $1 in *replug*) echo '|DEVICE_OPENED: .* it is open in qemu-system' ;; esac
	[ -z "$silence" ] || echo "|$silence"
}

guest() # STORY [AFTER]
{
	start "story=$1" "after=${2:-}"
	tell="$way, $qemu${properties:+, $properties}${append:+, $append}${arguments:+, $arguments}: $*"
	[ "$(cat "$work/status")" = 0 ] || fail "$tell: status $(cat "$work/status"): $(tail -n 5 "$work/console")"
	grep '^FAILED' "$work/console" >&2 && fail "$tell"
	grep -q '^ok: the end$' "$work/console" || fail "$tell: no end: $(tail -n 5 "$work/console")"
	number=0
	for function in $functions; do
		number=$((number + 1))
	done
	# Every disk holds what its last sum says.
	grep '^sum: ' "$work/console" | tail -n $number | cut -d' ' -f3 | sort >"$work/sums"
	for function in $functions; do
		head -c 8388608 "$work/$function" | sha256sum | cut -d' ' -f1
	done | sort | cmp - "$work/sums" || fail "$tell: the disk's file differs from what the guest wrote"
	grep '^isolde: ' "$said" | grep -vE "hint: |\(the same $(expected_refusals "$1" | tr -d '\n')" >&2 && fail "$tell: refused"
	healthy
	echo "ok: $tell"
}
