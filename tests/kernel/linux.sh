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
# hour of one processor; each further one takes some seconds. The machine has an Intel IOMMU, an NVMe controller, two
# functions that share a group, a network card with a ROM and a display controller, all on vfio-pci, two emulated ports
# that can be moved (mtty), and mock devices
# (CONFIG_IOMMUFD_TEST). Prints conform's lines; compare:
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
		CROSS_MEMORY_ATTACH ADVISE_SYSCALLS SAMPLES VFIO_MDEV SAMPLE_VFIO_MDEV_MTTY; do
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

# What the machine runs: the suite, or lives from these seeds on.
to_run()
{
	case ${1:-} in
	exclusive) mode=linux second=0 ;;
	exclusive-bare) mode=linux-bare second=1 ;;
	*)
		echo "/conform $*"
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
	cat >"$work/root/init" <<-END
		#!/bin/busybox sh
		/bin/busybox mount -t proc proc /proc
		/bin/busybox mount -t sysfs sys /sys
		/bin/busybox mount -t devtmpfs dev /dev
		/bin/busybox mount -t tmpfs tmp /tmp
		for bdf in 0000:00:04.0 0000:01:01.0 0000:01:02.0 0000:02:00.0 0000:00:07.0; do
			echo vfio-pci >/sys/bus/pci/devices/\$bdf/driver_override
			echo \$bdf >/sys/bus/pci/drivers_probe
		done
		export ISOLDE_BDF=0000:00:04.0 ISOLDE_SIBLINGS=0000:01:01.0,0000:01:02.0 ISOLDE_PCI=0000:02:00.0,0000:00:07.0
		export ISOLDE_ROOTED=0000:00:04.0
		a=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 b=83b8f4f2-509f-382f-3c1e-e6bfe0fa1002
		for uuid in \$a \$b; do
			echo \$uuid >/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1/create
		done
		export ISOLDE_MOVABLE=\$a,\$b ISOLDE_MDEV=\$a CONFORM_NO_PM=1
		echo
		echo "=== begin"
		($(to_run "$@"))
		echo "=== status \$?"
		/bin/busybox poweroff -f
	END
	chmod +x "$work/root/init"
	(cd "$work/root" && find . | cpio -o -H newc 2>/dev/null | gzip -1 >"$work/initrd")
}

boot() # TESTS
{
	iommu="-device intel-iommu,intremap=on,caching-mode=on,aw-bits=48"
	[ "${1:-}" != exclusive-bare ] || iommu=
	truncate -s 16M "$work/disk"
	# shellcheck disable=SC2086 # words
	qemu-system-x86_64 -machine q35,kernel-irqchip=split -cpu max -accel tcg -m 1G -nographic -no-reboot -nic none \
		$iommu \
		-drive "file=$work/disk,if=none,id=disk,format=raw" -device nvme,serial=1,drive=disk,addr=4 \
		-device pcie-pci-bridge,id=bridge,addr=5 -device e1000,bus=bridge,addr=1,romfile= \
		-device e1000,bus=bridge,addr=2,romfile= -device pcie-root-port,id=above,chassis=1,addr=6 -device e1000e,bus=above \
		-device VGA,addr=7 -kernel "$kernel/arch/x86/boot/bzImage" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check rdinit=/init" </dev/null 2>/dev/null | tr -d '\r' >"$work/said"
}

for program in conform/conform e2e/exclusive; do
	[ -x "$build/tests/$program" ] || ninja -C "$build" "tests/$program" >&2
done
deb=$(find "$cache" -maxdepth 1 -name 'linux-source-7.2_*.deb' 2>/dev/null | sort -V | tail -n 1)
if [ -z "$deb" ]; then
	tools/linux-selftests >&2
	deb=$(find "$cache" -maxdepth 1 -name 'linux-source-7.2_*.deb' | sort -V | tail -n 1)
fi
kernel=$cache/kernel-$(basename "$deb" _all.deb)
[ -e "$kernel/arch/x86/boot/bzImage" ] || build_kernel "$deb" "$kernel"
root "$@"
boot "$@"
sed -n '/^=== begin$/,/^=== status/p' "$work/said" | grep -v '^===' | grep -E '^(ok|not ok|skip|seed|step|INFO)[: ]' || :
status=$(sed -n 's/^=== status //p' "$work/said")
[ -n "$status" ] || fail "the machine ended early: $(tail -n 3 "$work/said")"
exit "$status"
