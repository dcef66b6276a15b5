#!/bin/sh
# SPDX-License-Identifier: MIT
# The program alone (./x build, ./x demo) is configured on a system that has nothing for the tests: no cmocka.
set -eu
work=$(mktemp -d "${TMPDIR:-/tmp}/isolde-needs.XXXXXX")
trap 'rm -rf "$work"' EXIT
meson setup "$work/build" -Dtests=false >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
meson introspect --dependencies "$work/build" >"$work/needs"
grep -q jansson "$work/needs" || { echo "the list of dependencies is not one:"; cat "$work/needs"; exit 1; }
if grep -q cmocka "$work/needs"; then
	echo "the program asks for cmocka, which tools/packages.txt installs for the tests only"
	exit 1
fi
