#!/bin/sh
# SPDX-License-Identifier: MIT
# dpdk-devbind.py as on a host: it lists, binds to vfio-pci, unbinds, gives back, and says no where it should.
# shellcheck source=tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
need python3 lspci

# shellcheck source=/dev/null
fetched "$(. /etc/os-release && echo "$VERSION_CODENAME")" dpdk dpdk
devbind=$(find "$packages/dpdk/root" -name 'dpdk-devbind.py' | head -n 1)
[ -e "$devbind" ] || fail "no dpdk-devbind.py"
one=0000:02:00.0 two=0000:02:00.1 old=0000:04:01.0

# Each line is a device, its driver and what else there is for it: vfio-pci, and whatever modules of the host's kernel there are.
story() # SHELL-COMMANDS
{
	printf 'devbind() { python3 "%s" "$@"; echo "= $?"; }\n%s\n' "$devbind" "$1" >"$work/story"
	room --machine default -- sh "$work/story" >"$work/out" || :
	grep -Ev '^lspci: |^$' "$said" >"$work/errors" || :
	sed -n "s/^\\(0000:[^ ]*\\) '[^']*' /\\1 /p; s/^= /= /p; s/^\\([A-Z].* devices using .*\\)/\\1:/p; s/^\\(Other .* devices\\)\$/\\1:/p; s/ *\$//" \
		"$work/out" | sed 's/unused=.*vfio-pci *$/unused=vfio-pci/; t; s/ unused=.*//' >"$work/lines"
}

said() # LINE...
{
	printf '%s\n' "$@" | diff - "$work/lines" >&2 || fail "dpdk-devbind.py said otherwise: $(cat "$work/out" "$work/errors")"
}

kernel='Network devices using kernel driver:'
dpdk='Network devices using DPDK-compatible driver:'
story 'devbind --status-dev net'
said "$kernel" "$one if= drv=e1000e unused=vfio-pci" "$two if= drv=e1000e unused=vfio-pci" "$old if= drv=8139cp unused=vfio-pci" "= 0"
[ ! -s "$work/errors" ] || fail "it complains: $(cat "$work/errors")"
grep -q "82574L Gigabit Network Connection" "$work/out" || fail "names of devices"

# By address or a part of it, several at once.
story "devbind --bind vfio-pci 02:00.0 02:00.1; devbind --status-dev net; stat -c %F /dev/vfio/devices/vfio1"
said "= 0" "$dpdk" "$one drv=vfio-pci" "$two drv=vfio-pci" "$kernel" \
	"$old if= drv=8139cp unused=vfio-pci" "= 0"
grep -q '^character special file$' "$work/out" || fail "no node of VFIO"

story "devbind --bind vfio-pci $one; devbind --unbind $one; devbind --status-dev net; devbind --bind e1000e $one; devbind --status-dev net"
said "= 0" "= 0" "$kernel" "$two if= drv=e1000e unused=vfio-pci" "$old if= drv=8139cp unused=vfio-pci" "Other Network devices:" \
	"$one unused=vfio-pci" "= 0" "= 0" "$kernel" "$one if= drv=e1000e unused=vfio-pci" \
	"$two if= drv=e1000e unused=vfio-pci" "$old if= drv=8139cp unused=vfio-pci" "= 0"

# What is in use is left alone without --force; what is not there is an error.
story "devbind --bind no-such-driver $one; devbind --bind vfio-pci 0000:09:00.0; devbind --status-dev net"
grep -q '09:00.0' "$work/errors" || fail "an unknown device: $(cat "$work/errors")"
grep -q "^$one if= drv=e1000e" "$work/lines" || fail "a failed bind must change nothing: $(cat "$work/out")"
healthy
echo ok
