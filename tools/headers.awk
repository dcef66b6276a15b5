# SPDX-License-Identifier: MIT
# A rule of tools/check-style for public headers: of each function that one declares a comment says what it does, beside
# it, directly above it, or directly above the block of lines that it is in.

FNR == 1 {
	in_comment = continued = depth = covered = for_cplusplus = 0
	statement = ""
}

# Braces of extern "C", and macros.
/^#ifdef __cplusplus/ { for_cplusplus = 1 }
for_cplusplus {
	if (/^#endif/)
		for_cplusplus = 0
	next
}
continued || /^[ \t]*#/ {
	continued = /\\$/
	covered = 0
	next
}
/SPDX-License-Identifier/ { next }

# The line without its comments; commented says whether it had one.
function code_of(text,    code, i)
{
	commented = in_comment
	code = ""
	while (text != "") {
		i = index(text, in_comment ? "*/" : "/*")
		if (!in_comment)
			code = code (i ? substr(text, 1, i - 1) : text)
		commented = commented || in_comment || i
		text = i ? substr(text, i + 2) : ""
		if (i)
			in_comment = !in_comment
	}
	return code
}

# Up to its body, if it has one: a struct's members may be functions.
function declares_function(text)
{
	sub(/\{.*/, "", text)
	return text !~ /^typedef/ && text ~ /[a-z][a-z0-9_]*\(/
}

{ code = code_of($0) }

code ~ /^[ \t]*$/ {
	if (commented)
		covered = 1
	else if (statement == "")
		covered = 0
	next
}

{
	if (statement == "") {
		line = FNR
		beside = 0
	}
	beside = beside || commented
	statement = statement code
	depth += gsub(/\{/, "{", code) - gsub(/\}/, "}", code)
}

depth == 0 && code ~ /[;}][ \t]*$/ {
	if (declares_function(statement) && !covered && !beside) {
		print FILENAME ":" line ": no comment says what the function does"
		failures++
	}
	statement = ""
}

END { exit failures > 0 }
