# SPDX-License-Identifier: MIT
# The rules of tools/check-style for C files. Comments and the contents of strings are blanked before anything is
# looked for; a function is what lies between "{" and "}" in the first column, as clang-format leaves it.

function complain(rule)
{
	print FILENAME ":" FNR ": " rule
	failures++
}

# Blanks comments, strings and characters of one line; in_comment lives from line to line.
function code_of(text,    out, i, c, quote, two)
{
	out = ""
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		two = substr(text, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				i++
			}
		} else if (quote != "") {
			if (c == "\\")
				i++
			else if (c == quote) {
				quote = ""
				out = out c
			}
		} else if (two == "/*") {
			in_comment = 1
			i++
		} else if (two == "//")
			break
		else {
			if (c == "\"" || c == "'")
				quote = c
			out = out c
		}
	}
	return out
}

# Fields of the ABI keep their names.
function check_names(code)
{
	if (FILENAME !~ /^include\/isolde\/abi\// && code ~ /(^|[^a-zA-Z0-9_.>])end([^a-zA-Z0-9_]|$)/)
		complain("identifier \"end\": ranges are start and last, both inside")
}

# Who may make system calls: the folders and files whose work it is (docs/ARCHITECTURE.md). Tests and benches may.
function may_call(file)
{
	return file !~ /^src\// || file ~ /^src\/(supervise|mem|cli)\// || file ~ /^src\/base\/(os_[a-z]+\.c|cleanup\.h)$/ ||
	       file ~ /^src\/machine\/(api|files|precise_own)\.c$/
}

# Readers of descriptions in machine/ may read files, and so may that of pci.ids.
function may_read(file)
{
	return may_call(file) || file ~ /^src\/machine\// || file == "src/pci/ids.c"
}

function calls(code, names)
{
	return match(code, "(^|[^a-zA-Z0-9_.>])(" names ")\\(")
}

# A statement outside of functions, braces' contents replaced by "{}": does it define something that can change?
function check_statement(text,    name)
{
	gsub(/[ \t]+/, " ", text)
	sub(/^ /, "", text)
	# Macros that stand alone: DEFINE_FREE(noun)
	while (sub(/^[A-Z_0-9]+\([^()]*\) ?/, "", text))
		;
	sub(/ = .*/, "", text)
	gsub(/__attribute__\(\([^()]*(\([^()]*\))?\)\) ?/, "", text)
	gsub(/ ?\{\} ?/, " ", text)
	gsub(/ ?\[[^]]*\]/, "", text)
	sub(/ ?;$/, "", text)
	if (text ~ /\(/ || text ~ /^(typedef|extern|_Static_assert)/ || text ~ /^(struct|union|enum)( [a-zA-Z0-9_]+)? ?$/)
		return
	if (text !~ /[a-zA-Z0-9_]+ [* ]*[a-zA-Z0-9_]+/)
		return
	# const must reach the object itself: behind the last star, if there is one.
	name = text
	sub(/.*\*/, "", name)
	if (name ~ /(^| )const /)
		return
	sub(/.* /, "", name)
	if (!((FILENAME, name) in mutable))
		complain("file-scope variable that can change: " name)
}

# Follows braces outside of functions, to see whole statements.
function follow(code,    i, c)
{
	for (i = 1; i <= length(code); i++) {
		c = substr(code, i, 1)
		if (c == "{") {
			if (depth++ == 0)
				statement = statement "{}"
		} else if (c == "}") {
			depth--
		} else if (depth == 0) {
			statement = statement c
			if (c == ";") {
				check_statement(statement)
				statement = ""
			}
		}
	}
	if (depth == 0)
		statement = statement " "
}

function start_file()
{
	in_comment = in_function = depth = continued = 0
	statement = ""
	is_source = FILENAME ~ /^(src|include|fuzz)\//
}

BEGIN {
	# The few that there are, each with its reason beside it in the source.
	mutable["src/base/alloc.c", "fail_countdown"] = mutable["src/base/alloc.c", "fail_fired"] = 1
	mutable["src/base/lock.c", "held"] = mutable["src/base/lock.c", "awaited"] = mutable["src/base/lock.c", "stopped"] = 1
	mutable["src/base/os_eventfd.c", "context_once"] = mutable["src/base/os_eventfd.c", "context"] = 1
	mutable["src/mem/kept.c", "changing"] = mutable["src/mem/kept.c", "maps"] = mutable["src/mem/kept.c", "unsaid"] = 1
	mutable["src/mem/guard.c", "recovery"] = mutable["src/mem/guard.c", "handed"] = 1
	mutable["src/mem/guard.c", "asked"] = mutable["src/mem/guard.c", "previous_ill"] = 1
	mutable["src/machine/precise_own.c", "knowing"] = mutable["src/machine/precise_own.c", "machines"] = 1
	mutable["src/mem/guard.c", "installing"] = mutable["src/mem/guard.c", "previous_segv"] = 1
	mutable["src/mem/charge.c", "own"] = mutable["src/x86/vectors.c", "known_offset"] = 1

	descriptor_calls = "open|openat|creat|close|read|write|pread|pwrite|readv|writev|preadv|pwritev|ioctl|mmap|munmap|" \
		"mremap|mprotect|madvise|ftruncate|fallocate|memfd_create|eventfd|poll|ppoll|select|epoll_[a-z0-9]+|" \
		"inotify_[a-z0-9]+|timerfd_[a-z]+|signalfd|pipe|pipe2|dup|dup2|dup3|fcntl|socket|socketpair|bind|listen|" \
		"accept|accept4|connect|sendmsg|recvmsg|send|recv|process_vm_readv|process_vm_writev|fork|vfork|clone|" \
		"exec[vl][a-z]*|posix_spawn[p]?|waitpid|wait|kill|unshare|setns|mount|umount2?|pivot_root|prctl|ptrace|" \
		"syscall|getpid|gettid|getrlimit|setrlimit|prlimit|nanosleep|usleep|sleep|clock_nanosleep"
	file_calls = "fopen|fdopen|fclose|fread|fwrite|fgets|getline|stat|lstat|fstat|access|opendir|readdir|readlink|" \
		"mkdir|unlink|rename|getenv"
}

FNR == 1 { start_file() }
FNR == 1001 { complain("more than 1000 lines") }

{ code = code_of($0) }

# Directives, with the lines that continue them.
continued || /^[ \t]*#/ {
	if (!continued) {
		if (is_source && in_function && code ~ /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else)/)
			complain("#if in control flow")
		if ($0 ~ /^#include "/ && $0 !~ /^#include "[a-z0-9]+\/[a-z0-9_\/]+\.(h|def|inc)"/)
			complain("write includes as \"layer/file.h\"")
	}
	check_names(code)
	continued = code ~ /\\$/
	next
}

{ check_names(code) }

# base makes the refusals; isolde/pt.h stands alone, errnos are its contract.
is_source && FILENAME !~ /^src\/(base|pt)\// && code ~ /return -E[A-Z0-9]+;/ {
	complain("bare errno: return refuse(why, CODE, ...) says why")
}

calls(code, descriptor_calls) && !may_call(FILENAME) { complain("system call outside of the files that make them") }
calls(code, file_calls) && !may_read(FILENAME) { complain("file access outside of the files that make it") }

/^\{/ && depth == 0 && statement !~ /=[ \t]*$/ {
	in_function = 1
	function_line = FNR
	statement = ""
}
in_function && /^\}/ {
	in_function = 0
	if (FNR - function_line + 1 > 70)
		complain("function of " FNR - function_line + 1 " lines; 70 is the limit")
	next
}
!in_function && is_source { follow(code) }

END { exit failures > 0 }
