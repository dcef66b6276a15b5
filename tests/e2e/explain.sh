#!/bin/sh
# SPDX-License-Identifier: MIT
# `isolde explain` on dumps of real machines, as their owners would use it; the partition itself is a unit test's.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
dumps=tests/data/topologies
imac=$dumps/imac20-titan-ridge-pp/lspci.txt

explain()
{
	"$ISOLDE" explain "$@" >"$work/out" 2>"$said" || fail "explain $*"
}

says()
{
	for words; do
		grep -qF -- "$words" "$work/out" || { cat "$work/out" >&2; fail "it does not say \"$words\""; }
	done
}

warns()
{
	grep -qF -- "$1" "$said" || fail "it does not warn: \"$1\""
}

# Each of the ten, as JSON: the groups that its kernel gave.
for machine in "$dumps"/*/; do
	explain "$machine/lspci.txt" --json
	python3 - "$machine/groups.txt" "$work/out" <<'EOF' || fail "the groups of $machine"
import json, sys
there = dict(line.split() for line in open(sys.argv[1]))
said = json.load(open(sys.argv[2]))
here = {f["bdf"]: f["group"] for f in said["functions"]}
assert all(f["alias_set"] >= 0 for f in said["functions"])
assert {b for b, g in here.items() if g is not None} == set(there), set(there) ^ {b for b, g in here.items() if g is not None}
partition = lambda groups: {frozenset(b for b in there if groups[b] == g) for g in set(groups[b] for b in there)}
assert partition(here) == partition(there)
joined = {m["function"] for m in said["merges"]}
assert len(there) - len(joined) == len(set(there.values())), "one reason for each who joined"
assert all(m["function"] in m["reason"] and m["with"] in m["reason"] for m in said["merges"])
EOF
done

# Why, in words to act on.
explain "$imac" --why 0000:03:00.0
says "0000:00:01.0 has no ACS capability" "above: 0000:00:01.0 does not redirect" "requester ids: 0000:03:00.0" "--what-if acs=0000:00:01.0"
explain "$imac" --assign 03:00.0
says "is in group 1 with 4 other(s)" "0000:03:00.1" "leave as they are, they are not in the way" "/dev/vfio/1"
explain "$imac" --reset 03:00.0
says "hot reset: of the bus below 0000:02:00.0" "must be bound to vfio-pci first"
sed '/Kernel driver in use: amdgpu/d' "$imac" >"$work/unbound.txt"
explain "$work/unbound.txt" --reset 03:00.0
says "0000:03:00.0  group 1  must be bound to vfio-pci first"
explain "$work/unbound.txt" --reset 03:00.0 --json
says '"remarks"'
printf '00:0e.0 0104: 8086:9a0b\n10000:e0:06.0 0604: 8086:9a09\n' >"$work/vmd.txt"
explain "$work/vmd.txt" --why 10000:e0:06.0
says "requester ids: 0000:00:0e.0 (VMD, which makes its requests)"

cat >"$work/bare.yaml" <<'EOF'
iommu: none
devices:
  - {slot: "01.0", role: root-port, id: "8086:1901", devices: [{slot: "00.0", id: "8086:10d3", driver: vfio-pci}]}
EOF
explain "$work/bare.yaml" --reset 01:00.0
says "0000:01:00.0  no group  has no group, so nobody can prove to own it: refused"
explain "$work/bare.yaml" --assign 01:00.0
says "it cannot be assigned: no IOMMU covers it"
sed 's/"8086:10d3"/"14c3:0616", flr: true/' "$work/bare.yaml" >"$work/hangs.yaml"
explain "$work/hangs.yaml" --reset 01:00.0
says "alone: no way: a function-level reset hangs it (quirk no-flr)"
explain "$work/hangs.yaml" --rules 6.13 --reset 01:00.0
says "alone: function-level reset (FLR)"
sed 's/, flr: true//' "$work/hangs.yaml" >"$work/without.yaml"
explain "$work/without.yaml" --reset 01:00.0
says "alone: no way that its registers show"

# What would help.
explain "$imac" --what-if acs=0000:00:01.0
says "group 1 with 4 others -> group 1 alone"
explain "$imac" --what-if override=downstream --what-if quirk=1002:1478
says "keep other company"
explain "$imac" --what-if pci=config_acs=1111111@0000:99:00.0
says "the groups are the same"
warns "there is no such function"
explain "$imac" --rules 5.7,7.2 --json
says '"changed"'
explain --diff "$imac" "$dumps/intel-comet-lake-u/lspci.txt"
says "not there"
explain --diff "$work/vmd.txt" "$imac" --json
python3 - "$work" <<'EOF' || fail "--diff --json says what both sides lack"
import json, sys
said = json.load(open(sys.argv[1] + "/out"))
assert said["compared_with"]["source"] == sys.argv[1] + "/vmd.txt" and said["compared_with"]["rules"] == "7.2"
assert any("capabilities of 2 functions" in r["text"] for r in said["compared_with"]["remarks"])
EOF
explain --diff "$work/vmd.txt" "$imac"
warns "$work/vmd.txt:1: the capabilities of 2 functions"

# A file with an odd name; a full disk.
cp "$imac" "$work/--json"
(cd "$work" && "$ISOLDE" explain --why 03:00.0 -- --json) >"$work/out" 2>"$said" || fail "explain -- --json"
says "requester ids: 0000:03:00.0"
"$ISOLDE" explain --json "$imac" >/dev/full 2>"$said" && fail "a full disk must fail"
warns "write(standard output): No space left on device"

# From a pipe, quoted in a mail, from an ordinary user.
sed 's/^/> /' "$imac" | "$ISOLDE" explain - >"$work/quoted" 2>/dev/null || fail "explain - of a quoted dump"
explain "$imac"
cmp -s "$work/out" "$work/quoted" || fail "a quoted dump has the same groups"
sed 's/Capabilities: \[.*/Capabilities: <access denied>/; /^\t\t/d' "$imac" >"$work/denied.txt"
explain "$work/denied.txt"
warns "the capabilities of"
warns "sudo lspci -vvvnn"

# What cannot be read says where.
explain_fails()
{
	"$ISOLDE" explain "$@" >"$work/out" 2>"$said" && fail "explain $* must fail"
	[ -s "$work/out" ] && fail "a failure prints nothing: $*"
	return 0
}
explain_fails "$work/absent.txt"
warns "$work/absent.txt"
echo "nothing here" >"$work/empty.txt"
explain_fails "$work/empty.txt"
warns "DUMP_INVALID"
explain_fails "$imac" --why 99:00.0
warns 'there is no device "99:00.0"'
explain_fails "$imac" --rules 2.4
warns "RULES_INVALID"
explain_fails "$imac" --what-if acs=monday
warns "monday"
explain_fails --diff "$imac"
printf 'devices:\n  - {slot: 99}\n' >"$work/bad.yaml"
explain_fails "$work/bad.yaml"
warns "$work/bad.yaml:2"
explain_fails "$imac" --svg /nonexistent/out.svg
echo ok
