# SPDX-License-Identifier: MIT
# Sourced by every end-to-end test. A test is a story told with the programs a user has; it ends in "ok".
#
#	room ARGS...			isolde run ARGS..., its own lines kept apart in $said
#	refused CODE TEXT -- ARGS...	the same, and isolde must have said CODE with TEXT in the sentence
#	skip WHY			exit 77; an error when ISOLDE_MUST_WORK=1
# shellcheck shell=sh

set -u
ISOLDE=${ISOLDE:-build/isolde}
case $ISOLDE in
/*) ;;
*) ISOLDE=$(pwd)/$ISOLDE ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/isolde-e2e.XXXXXX")
said=$work/said
trap 'rm -rf "$work"' EXIT
XDG_RUNTIME_DIR=$work/runtime
mkdir -m 700 "$XDG_RUNTIME_DIR"
export XDG_RUNTIME_DIR

fail()
{
	echo "FAIL: $*" >&2
	[ -s "$said" ] && sed 's/^/  | /' "$said" >&2
	exit 1
}

skip()
{
	echo "SKIP: $*" >&2
	[ "${ISOLDE_MUST_WORK:-0}" = 1 ] && exit 1
	exit 77
}

need()
{
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

room()
{
	"$ISOLDE" run "$@" 2>"$said"
}

# What a refusal must look like: "isolde: REQUEST [PROGRAM PID]: ERRNO CODE: sentence" and a hint below.
refused()
{
	code=$1 text=$2
	shift 3
	room "$@" >"$work/out"
	# shellcheck disable=SC2034 # the test may look at it
	status=$?
	grep -q "^isolde: .* $code: .*$text" "$said" || fail "$code with \"$text\" was not said by: isolde run $*"
	grep -A1 " $code: " "$said" | grep -q '^isolde:   hint: ..*' || fail "$code came without a hint"
}

# The supervisor itself must have ended well: no sanitizer report, no assertion, nothing left behind.
healthy()
{
	if grep -E 'Sanitizer|runtime error|Assertion|core dumped' "$said" >&2; then
		fail "the supervisor is not well"
	fi
}
