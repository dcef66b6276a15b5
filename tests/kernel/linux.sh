#!/bin/sh
# SPDX-License-Identifier: MIT
# What Linux itself answers: the conformance suite on a real kernel 7.2, in QEMU, without KVM. For developers, never in CI.
#
#	tests/kernel/linux.sh BUILD-FOLDER [SUITE | SUITE.TEST]...
#	tests/kernel/linux.sh BUILD-FOLDER exclusive [SEED]...
#
#	tests/kernel/linux.sh BUILD-FOLDER exclusive-bare [SEED]...
#
# With `exclusive` it is not that suite, but lives at random with the two functions that share a bus (tests/e2e/exclusive.c):
# whether Linux agrees with our model of who may have a device and who may reset the bus. With `exclusive-bare` the machine
# has no IOMMU, and VFIO takes devices all the same.
#
# The first call builds a small kernel from Debian's linux-source-7.2 (tools/linux-selftests fetches it), a quarter of an
# hour of one processor; each further one takes some seconds. tests/kernel/init says which devices the machine has;
# besides there are two emulated ports that can be moved (mtty), and mock devices (CONFIG_IOMMUFD_TEST). ISOLDE_QEMU is
# another QEMU: from version 8 on there are devices that share a bus, but no group (igb). `limits`, named first, has a
# machine without interrupt remapping whose firmware wants memory of devices. What Linux cannot be asked here is skipped:
# PASIDs (no device of QEMU has them), units whose DMA is not coherent, a host with few vectors (Linux gives x86 as many
# as are asked for, and ENOSPC when one too many is to be used), our own proofs.
#
# Prints conform's lines; compare:
#
#	tests/kernel/linux.sh build-test >linux.txt
#	build-test/isolde run --selftest --bind ... -- build-test/tests/conform/conform >room.txt; diff linux.txt room.txt
set -eu
cd "$(dirname "$0")/../.."
cache=${ISOLDE_CACHE:-$HOME/.cache/isolde}
build=$(cd "${1:?usage: $0 BUILD-FOLDER [TEST]...}" && pwd)
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail()
{
	echo "linux.sh: $1" >&2
	exit 1
}

for program in flex bison bc cpio busybox qemu-system-x86_64; do
	command -v "$program" >/dev/null ||
		fail "$program is missing: apt-get install flex bison bc cpio busybox-static qemu-system-x86 libelf-dev libssl-dev"
done

# From nothing at all (tinyconfig), the least that boots, lists /sys and has what is to be asked.
options()
{
	for option in 64BIT PRINTK TTY SERIAL_8250 SERIAL_8250_CONSOLE BLK_DEV_INITRD RD_GZIP BINFMT_ELF BINFMT_SCRIPT MULTIUSER SMP \
		PCI PCI_MSI ACPI PROC_FS SYSFS TMPFS SHMEM MEMFD_CREATE HUGETLBFS TRANSPARENT_HUGEPAGE DEVTMPFS FUTEX EPOLL EVENTFD \
		POSIX_TIMERS HIGH_RES_TIMERS NET UNIX IOMMU_SUPPORT INTEL_IOMMU INTEL_IOMMU_DEFAULT_ON IRQ_REMAP X86_X2APIC IOMMUFD \
		DEBUG_KERNEL RUNTIME_TESTING_MENU FAULT_INJECTION DEBUG_FS IOMMUFD_TEST VFIO VFIO_GROUP VFIO_CONTAINER VFIO_DEVICE_CDEV \
		VFIO_IOMMU_TYPE1 VFIO_NOIOMMU VFIO_PCI DMA_SHARED_BUFFER BLOCK UNWINDER_GUESS EXPERT GENERIC_PT IOMMU_PT IOMMU_PT_AMDV1 \
		CROSS_MEMORY_ATTACH ADVISE_SYSCALLS SAMPLES VFIO_MDEV SAMPLE_VFIO_MDEV_MTTY PCI_IOV INTEL_IOMMU_SVM \
		PCI_STUB PCI_PF_STUB NETDEVICES ETHERNET NET_VENDOR_INTEL E1000E ACPI_TABLE_UPGRADE; do
		echo "CONFIG_$option=y"
	done
	echo "# CONFIG_CPU_MITIGATIONS is not set"
}

build_kernel() # DEB FOLDER
{
	echo "linux.sh: building ${1##*/} in $2" >&2
	rm -rf "$2"
	mkdir -p "$2"
	dpkg-deb --fsys-tarfile "$1" | tar -xOf - "./usr/src/linux-source-7.2.tar.xz" | tar -xJf - -C "$2" --strip-components=1
	options >"$2/isolde.config"
	(cd "$2" && make -s tinyconfig && ./scripts/kconfig/merge_config.sh -m .config isolde.config && make -s olddefconfig &&
		nice make -s -j"$(nproc)" bzImage) >"$2.log" 2>&1 || fail "the kernel does not build, see $2.log"
}

# What the machine runs: suites, each with the devices it wants, or lives from these seeds on.
to_run()
{
	case ${1:-} in
	exclusive) mode=linux second=0 ;;
	exclusive-bare) mode=linux-bare second=1 ;;
	limits*)
		echo "ISOLDE_REACHES=-,-,0000:00:07.0,0000:00:04.0 /suites $*"
		return
		;;
	*)
		echo "/suites $*"
		return
		;;
	esac
	shift
	echo "/bin/busybox sh -c 'echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode; for seed in ${*:-1 2 3}; do
		/exclusive $mode \$seed 1500 0000:01:01.0=0 0000:01:02.0=$second || exit; done'"
}

root() # TESTS
{
	mkdir -p "$work/root/bin" "$work/root/dev" "$work/root/proc" "$work/root/sys" "$work/root/tmp"
	cp "$(command -v busybox)" "$work/root/bin/busybox"
	cp "$build/tests/conform/conform" "$build/tests/e2e/exclusive" "$work/root"
	cp tests/kernel/init "$work/root/devices"
	cp tests/kernel/suites "$work/root/suites"
	cat >"$work/root/init" <<-END
		#!/bin/busybox sh
		. /devices
		echo
		echo "=== begin"
		($(to_run "$@"))
		echo "=== status \$?"
		/bin/busybox poweroff -f
	END
	chmod +x "$work/root/init" "$work/root/suites"
	(cd "$work/root" && find . | cpio -o -H newc 2>/dev/null | gzip -1 >"$work/initrd")
}

# A port of its own on that slot of the root bus, and functions below it.
below() # SLOT DEVICE...
{
	slot=$1 function=0
	shift
	devices="$devices -device pcie-root-port,id=port$slot,x-speed=2_5,chassis=0x$slot,addr=0x$slot"
	for device; do
		devices="$devices -device $device,bus=port$slot,addr=0.$function,multifunction=on"
		function=$((function + 1))
	done
}

# A table of ACPI that takes the place of QEMU's (Linux: CONFIG_ACPI_TABLE_UPGRADE): the same unit, and firmware that needs a page
# at 1 MiB in the display controller's address space, where Linux does not mind who takes it, and in the NVMe controller's.
firmware()
{
	page='00001000000000 00ff0f100000000000 010800000000'
	head="$(printf 'DMAR' | od -An -tx1) 80000000 01" # length, revision
	tail="$(printf 'BOCHS BXPC    ' | od -An -tx1) 02000000 $(printf BXPC | od -An -tx1) 01000000 2f00 00000000000000000000
		0000 1000 01 00 0000 0000d9fe00000000 0100 2000 0000 0000 $page 0700 0100 2000 0000 0000 $page 0400"
	sum=0
	for byte in $(echo "$head $tail" | tr -d ' \n\t' | sed 's/../& /g'); do
		sum=$((sum + 0x$byte))
	done
	mkdir -p "$work/early/kernel/firmware/acpi"
	for byte in $(printf '%s %02x %s' "$head" $((-sum & 255)) "$tail" | tr -d ' \n\t' | sed 's/../& /g'); do
		# shellcheck disable=SC2059 # an octal escape
		printf "\\$(printf %o "0x$byte")"
	done >"$work/early/kernel/firmware/acpi/dmar.aml"
	(cd "$work/early" && find kernel | cpio -o -H newc 2>/dev/null)
}

# tests/kernel/init says what they are for. igb came with QEMU 8.
boot() # TESTS
{
	iommu="-device intel-iommu,intremap=on,caching-mode=on,aw-bits=48"
	case ${1:-} in
	exclusive-bare) iommu= ;;
	limits*)
		iommu="-device intel-iommu,intremap=off,caching-mode=on,aw-bits=48"
		firmware >"$work/early.cpio"
		cat "$work/early.cpio" "$work/initrd" >"$work/both"
		mv "$work/both" "$work/initrd"
		;;
	esac
	truncate -s 16M "$work/disk"
	devices="-drive file=$work/disk,if=none,id=disk,format=raw -device nvme,serial=1,drive=disk,addr=4"
	devices="$devices -device pcie-pci-bridge,id=bridge,addr=5 -device e1000,bus=bridge,addr=1,romfile="
	devices="$devices -device e1000,bus=bridge,addr=2,romfile= -device VGA,addr=7"
	devices="$devices -device nec-usb-xhci,msi=on,msix=off,addr=0xf"
	below 6 e1000e
	below 8 e1000e,romfile= e1000e,romfile=
	virtual=sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2,max_ioqpairs=8,msix_qsize=9
	devices="$devices -device nvme-subsys,id=ninth -device nvme-subsys,id=tenth"
	below 9 "nvme,serial=9,subsys=ninth,$virtual"
	below a "nvme,serial=10,subsys=tenth,$virtual"
	below b
	if "$qemu" -device igb,help 2>&1 | grep "mac=" >/dev/null; then
		below c igb,romfile=,x-pcie-ari-nextfn-1=on igb,romfile=
		below d igb,romfile=,x-pcie-ari-nextfn-1=on igb,romfile=
	fi
	devices="$devices -device pxb-pcie,id=bare,bus_nr=64,bus=pcie.0,addr=0xe,bypass_iommu=on"
	devices="$devices -device pcie-root-port,id=bare0,x-speed=2_5,bus=bare,chassis=64,addr=0"
	devices="$devices -device nvme,serial=64,bus=bare0,addr=0.0,multifunction=on -device nvme,serial=65,bus=bare0,addr=0.1"
	devices="$devices -device pcie-root-port,id=bare1,x-speed=2_5,bus=bare,chassis=65,addr=1 -device nvme,serial=66,bus=bare1"
	# shellcheck disable=SC2086 # words
	"$qemu" -machine q35,kernel-irqchip=split -cpu max -accel tcg -m 1G -nographic -no-reboot -nic none \
		$iommu $devices -kernel "$kernel" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check rdinit=/init" </dev/null 2>/dev/null | tr -d '\r' >"$work/said"
}

qemu=${ISOLDE_QEMU:-qemu-system-x86_64}
for program in conform/conform e2e/exclusive; do
	[ -x "$build/tests/$program" ] || ninja -C "$build" "tests/$program" >&2
done
deb=$(find "$cache" -maxdepth 1 -name 'linux-source-7.2_*.deb' 2>/dev/null | sort -V | tail -n 1)
if [ -z "$deb" ]; then
	tools/linux-selftests >&2
	deb=$(find "$cache" -maxdepth 1 -name 'linux-source-7.2_*.deb' | sort -V | tail -n 1)
fi
tree=$cache/kernel-$(basename "$deb" _all.deb)
kernel=${ISOLDE_KERNEL:-$tree/arch/x86/boot/bzImage}
if [ "${kernel#"$tree"}" != "$kernel" ] && ! { [ -e "$kernel" ] && options | cmp -s - "$tree/isolde.config"; }; then
	build_kernel "$deb" "$tree"
fi
root "$@"
boot "$@"
sed -n '/^=== begin$/,/^=== status/p' "$work/said" | grep -v '^===' | grep -E '^(ok|not ok|skip|seed|step|INFO)[: ]' || :
status=$(sed -n 's/^=== status //p' "$work/said")
[ -n "$status" ] || fail "the machine ended early: $(tail -n 3 "$work/said")"
exit "$status"
