#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/pt.md says which files make the page tables alone: exactly these are copied, compiled and run.
# Usage: tests/pt_alone.sh CC..., from the root of the source tree.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# shellcheck disable=SC2016
sed -n '/^```files$/,/^```$/{/^```/!p;}' docs/pt.md >"$folder/list"
[ -s "$folder/list" ] || { echo "docs/pt.md has no list of files"; exit 1; }
while read -r pattern; do
	for file in $pattern; do
		mkdir -p "$folder/$(dirname "$file")"
		cp "$file" "$folder/$file"
	done
done <"$folder/list"
cp examples/pagetable.c "$folder"

cd "$folder"
"$@" -std=gnu11 -O2 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Werror -Iinclude -Isrc \
	pagetable.c src/pt/*.c -o pagetable
./pagetable
printf '#include "isolde/pt.h"\nint main() { isolde_pt_gather g = ISOLDE_PT_GATHER_INIT; return g.tables != 0; }\n' >pt.cc
if command -v c++ >/dev/null; then
	c++ -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only pt.cc
fi
