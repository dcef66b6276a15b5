#!/bin/sh
# SPDX-License-Identifier: MIT
# The checks of tools/ see what they are for: each breach, planted in a small tree of its own, is named and refused.
# shellcheck disable=SC2016 # programs in quotes are for others to expand
set -u
tools=$(cd "$(dirname "$0")/../tools" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/isolde-tools.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# A tree without fault.
fresh()
{
	rm -rf "$work/tree"
	mkdir -p "$work/tree/src/base" "$work/tree/src/dev" "$work/tree/tests/e2e" "$work/tree/docs" "$work/tree/include/isolde"
	cd "$work/tree" || exit 1
	cp "$tools/../.clang-format" .
	cat >docs/ARCHITECTURE.md <<-'END'
		| layer | is | may include |
		|---|---|---|
		| `base` | the ground | – |
		| `dev` | models | base/why.h |
	END
	cat >src/base/refusals.def <<-'END'
		/* SPDX-License-Identifier: MIT */
		/* base */
		REFUSAL(NO_MEMORY, ENOMEM, SAY, "a hint | with a bar", "a site")
		REFUSAL(NO_LUCK, EIO, HUSH, "a hint", "a site")
	END
	cat >src/base/a.c <<-'END'
		/* SPDX-License-Identifier: MIT */
		#include "base/why.h"

		static const int limit = 1;
		static const char *const words[] = {"static int end;", "ioctl("};

		int f(struct why *why)
		{
		        if (limit)
		                return refuse(why, NO_MEMORY, "none");
		        return refuse(why,
		                      NO_LUCK, "none");
		}
	END
	cat >tests/a.c <<-'END'
		/* SPDX-License-Identifier: MIT */
		void test(void)
		{
		        EXPECT_REFUSED(NO_MEMORY, why, f(&why));
		}
	END
	printf '#!/bin/sh\n# SPDX-License-Identifier: MIT\nrefused NO_LUCK "a text" -- true\n' >tests/e2e/a.sh
	if command -v clang-format >/dev/null; then clang-format -i src/base/a.c tests/a.c; fi
	"$tools/gen-refusals-md" >docs/REFUSALS.md
}

sound() # TOOL
{
	# shellcheck disable=SC2086
	"$tools"/$1 >"$work/out" 2>&1 || { echo "$1 refuses a tree without fault:"; cat "$work/out"; failed=1; }
}

# The tool must fail now, and say so.
refuses() # TOOL TEXT
{
	# shellcheck disable=SC2086
	if "$tools"/$1 >"$work/out" 2>&1; then
		echo "$1 passes over: $2"
		failed=1
	elif ! grep -q -e "$2" "$work/out"; then
		echo "$1 fails, but does not say \"$2\":"
		cat "$work/out"
		failed=1
	fi
	fresh
}

add() # FILE LINE...
{
	file=$1
	shift
	[ -e "$file" ] || echo '/* SPDX-License-Identifier: MIT */' >"$file"
	printf '%s\n' "$@" >>"$file"
}

fresh
for tool in check-layers check-style check-refusals 'gen-refusals-md --check'; do
	sound "$tool"
done
grep -q '^| `NO_MEMORY` | ENOMEM | say | a hint \\| with a bar | a site |$' docs/REFUSALS.md ||
	{ echo "gen-refusals-md wrote:"; cat docs/REFUSALS.md; failed=1; }

add src/base/b.c '#include "dev/model.h"' && refuses check-layers 'src/base/b.c:2: base may not include "dev/model.h"'
add src/dev/b.c '#include "base/list.h"' && refuses check-layers 'dev may not include "base/list.h"'
add src/dev/b.c '#include "base/why.h"' '#include "isolde/pt.h"' && sound check-layers && fresh
add src/base/b.c '#include "../dev/model.h"' && refuses check-layers 'write includes as'
add src/base/b.c '#include "why.h"' && refuses check-layers 'write includes as'
add include/isolde/b.h '#include "base/why.h"' && refuses check-layers 'isolde may not include'
mkdir src/new && add src/new/b.c && refuses check-layers 'src/new: no row'
rm -r src/dev && refuses check-layers 'layer dev has no folder'

long=$(awk 'BEGIN { for (i = 0; i < 69; i++) print "\tf();" }')
add src/base/b.c 'void g(void)' '{' "$long" '}' && refuses check-style 'function of 71 lines'
add src/base/b.c "$(awk 'BEGIN { for (i = 0; i < 1000; i++) print "int f(void);" }')" && refuses check-style '1001: more than'
echo 'int f(void);' >src/base/b.h && refuses check-style 'src/base/b.h:1: no SPDX'
echo 'echo a' >tests/b.sh && chmod +x tests/b.sh && refuses check-style 'tests/b.sh:1: no SPDX'
echo 'x = 1' >src/meson.build && refuses check-style 'src/meson.build:1: no SPDX'
add src/base/b.h 'int f(int start, int end);' && refuses check-style 'b.h:2: identifier "end"'
add src/dev/b.c 'int g(void)' '{' '	return -EINVAL;' '}' && refuses check-style 'b.c:4: bare errno'
add src/dev/b.c 'int g(void)' '{' '	return ioctl(0, 1);' '}' && refuses check-style 'b.c:4: system call'
add src/dev/b.c 'int g(void)' '{' '	return model->open(0) + ops.ioctl(0, 1);' '}' && sound check-style && fresh
add src/dev/b.c 'int g(void)' '{' '	return fopen(0, 1) != 0;' '}' && refuses check-style 'b.c:4: file access'
add src/dev/b.c 'int g(void)' '{' '#ifdef DEBUG' '	f();' '#endif' '	return 0;' '}' && refuses check-style '#if in control'
add src/dev/b.c '#include "../base/why.h"' && refuses check-style 'write includes as'
add src/dev/b.c 'static int counter;' && refuses check-style 'can change: counter'
add src/dev/b.c 'int table[] = {1, 2};' && refuses check-style 'can change: table'
add src/dev/b.c 'static struct {' '	int a;' '} state;' && refuses check-style 'can change: state'
add src/dev/b.c 'static const char *names[] = {"a"};' && refuses check-style 'can change: names'
add src/dev/b.c 'DEFINE_FREE(noun)' 'static _Thread_local struct noun *last;' && refuses check-style 'can change: last'
add src/dev/b.c 'struct noun {' '	int a;' '};' 'struct noun;' 'extern const int a;' 'enum { ONE, TWO };' && sound check-style
add include/isolde/b.h 'int f(void);' && refuses check-style 'isolde/b.h:2: no comment'
add include/isolde/b.h '/* What f does. */' '' 'int f(void);' && refuses check-style 'b.h:4: no comment'
add include/isolde/b.h 'int f(void); /* this one */' 'struct s *g(int a);' && refuses check-style 'b.h:3: no comment'
add include/isolde/b.h '#ifdef __cplusplus' 'extern "C" {' '#endif' '' '/* Data. */' 'struct s {' '	int (*f)(void);' '};' '' 'int f(void);' &&
	refuses check-style 'b.h:11: no comment'
add include/isolde/b.h '/*' ' * Both.' ' */' 'int f(void);' 'int g(int a);' '' 'void h(void); /* alone */' 'typedef int i(void);' &&
	add include/isolde/b.h '' 'struct s {' '	int (*f)(void);' '};' && sound check-style && fresh
mkdir include/isolde/abi && add include/isolde/abi/b.h 'int f(void);' && sound check-style && fresh
add README.md "$(awk 'BEGIN { for (i = 0; i < 151; i++) print i }')" && refuses check-style 'README.md:151'
if clang-format --version 2>/dev/null | grep -q ' 14\.'; then
	add src/dev/b.c 'int  g( void );' && refuses check-style 'b.c:2: not as clang-format'
fi
if command -v shellcheck >/dev/null; then
	printf '#!/bin/sh\n# SPDX-License-Identifier: MIT\nrm $1\n' >tests/b.sh && refuses check-style 'tests/b.sh:3.*SC2086'
fi

rm tests/a.c && refuses check-refusals 'NO_MEMORY: no test provokes'
rm tests/e2e/a.sh && refuses check-refusals 'NO_LUCK: no test provokes'
rm src/base/a.c && refuses check-refusals 'NO_LUCK: no refuse() gives'
add tests/b.c 'EXPECT_REFUSED(NO_NAME, why, f());' && refuses check-refusals 'NO_NAME: a test expects'
echo 'refused NO_TALE "text" -- true' >>tests/e2e/a.sh && refuses check-refusals 'NO_TALE: a test expects'
add src/dev/b.c '	refuse(why, NO_ROW, "text");' && refuses check-refusals 'NO_ROW: a refuse() gives'
echo 'REFUSAL(NO_LUCK, EIO, SAY, "a", "b")' >>src/base/refusals.def && refuses check-refusals 'NO_LUCK: two rows'
echo 'REFUSAL(NEW, EIO, SAY, "a", "b")' >>src/base/refusals.def && refuses 'gen-refusals-md --check' 'run: tools/gen-refusals-md'

# The front door, with a dpkg and an apt of our own: nothing is asked when all is there, and what is missing is named.
mkdir "$work/bin" "$work/tree/tools"
cp "$tools/../x" "$work/tree/x"
cp "$tools/packages.txt" "$work/tree/tools/packages.txt"
echo 'case "$*" in *libseccomp-dev*) cat "'"$work"'/state" ;; *) printf installed ;; esac' >"$work/bin/dpkg-query"
echo 'echo "$*" >>"'"$work"'/asked"; case "$*" in *install*) exit $(cat "'"$work"'/status") ;; esac' >"$work/bin/apt-get"
echo 'echo 0' >"$work/bin/id"
chmod +x "$work"/bin/*

install() # STATE STATUS: of libseccomp-dev, of apt-get
{
	printf %s "$1" >"$work/state"
	echo "$2" >"$work/status"
	: >"$work/asked"
	PATH="$work/bin:$PATH" "$work/tree/x" install-packages >"$work/out" 2>&1
}

expect() # FILE TEXT
{
	grep -q -e "$2" "$work/$1" || { echo "$1 has no \"$2\":"; cat "$work/$1"; failed=1; }
}

install installed 0 || { echo "x install-packages fails with all in place"; failed=1; }
[ -s "$work/asked" ] && { echo "apt-get was asked for nothing"; failed=1; }
for state in not-installed config-files ''; do
	install "$state" 0 || { echo "x install-packages fails when apt-get does not"; failed=1; }
	expect asked 'update'
	expect asked 'install libseccomp-dev$'
done
install not-installed 100 && { echo "x install-packages passes over a failed apt-get"; failed=1; }
expect out 'then run: apt-get update && apt-get install libseccomp-dev$'

# Counting, with a meson of our own.
cat >"$work/bin/meson" <<-'END'
	cat >log/meson-logs/testlog.json <<-'LOG'
		{"name": "isolde:unit / a", "stdout": "\"result\": \"FAIL\"", "result": "OK"}
		{"name": "isolde:e2e / b", "result": "SKIP", "stderr": "x\nSKIP: no /dev/fuse here\ny"}
	LOG
	[ -e extra ] || exit 0
	cat extra >>log/meson-logs/testlog.json
	exit 1
END
chmod +x "$work/bin/meson"
mkdir -p log/meson-logs

count() # MUST-WORK LAST-LINE
{
	PATH="$work/bin:$PATH" ISOLDE_MUST_WORK=$1 "$tools/run-tests" log >"$work/out"
	status=$?
	[ "$(tail -1 "$work/out")" = "$2" ] || { echo "run-tests: not \"$2\":"; cat "$work/out"; failed=1; }
	case $2 in
	*' 0 failed') [ $status = 0 ] || { echo "run-tests: status $status"; failed=1; } ;;
	*) [ $status != 0 ] || { echo "run-tests: status 0 with a failure"; failed=1; } ;;
	esac
}

count 0 '1 passed, 0 failed'
expect out 'skipped: isolde:e2e / b: no /dev/fuse here$'
count 1 '1 passed, 1 failed'
for result in FAIL TIMEOUT ERROR UNEXPECTEDPASS INTERRUPT; do
	echo '{"name": "c", "result": "'$result'"}' >extra
	count 0 '1 passed, 1 failed'
done
cat >extra <<-'END'
	{"name": "c", "stdout": "far\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\na\\n\"b\"\tlast", "result": "FAIL"}
END
count 0 '1 passed, 1 failed'
expect out 'stdout: a.n"b"	last$'
grep -q 'stdout: far' "$work/out" && { echo "run-tests tells more than the end"; failed=1; }
cat >extra <<-'END'
	{"name": "d", "stdout": "REPEATED: the host stood still\nok\n", "result": "OK"}
END
count 1 '2 passed, 1 failed'
expect out 'repeated: d: the host stood still$'
cat >extra <<-'END'
	{"name": "e", "stdout": "EINVAL BIND_REPEATED: it is bound\nok\n", "result": "OK"}
	{"name": "f", "stdout": "began\nREPEATED: late\n", "result": "OK"}
END
count 1 '3 passed, 1 failed'
expect out 'repeated: f: late$'
grep -q 'repeated: e' "$work/out" && { echo "run-tests takes a refusal for a second try"; failed=1; }
: >extra
count 0 '1 passed, 1 failed'

exit $failed
