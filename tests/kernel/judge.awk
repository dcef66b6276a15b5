# SPDX-License-Identifier: MIT
# Judges the output of one of Linux's test programs, TAP as tools/testing/selftests/kselftest.h writes it:
#
#	awk -v program=NAME[.DEVICE] [-v tolerated=REGEX] [-v lacking="TEST: REASON"] \
#		-f tests/kernel/judge.awk tests/kernel/exceptions.txt OUTPUT
#
# Everything must pass, but for the exceptions: those must fail (one that passes is no exception any more). A skip is a
# failure as well, unless the test itself says that it does not apply to the variant without a virtual IOMMU, as on every
# kernel, or it is one of those tolerated for want of huge pages: what this host cannot do. The one test that is lacking
# something the device does not have must skip, for that reason to the letter. Prints what is wrong, with what the test
# said, then one line of counts.

BEGIN {
	alone = program
	sub(/\..*/, "", alone)
	colon = index(lacking, ": ")
	lacks = substr(lacking, 1, colon - 1)
	for_want = substr(lacking, colon + 2)
}

function complain(text, said)
{
	print program ": " text
	if (said != "")
		printf "%s", said
	failed++
}

# "iommufd fixture.variant.test: reason"
FNR == NR {
	sub(/#.*/, "")
	if ($1 == alone && NF > 2) {
		name = $2
		sub(/:$/, "", name)
		excepted[name] = 1
	}
	next
}

/^1\.\.[0-9]+$/ {
	planned = substr($0, 4) + 0
}

/^# +RUN / {
	said = ""
	lines = 0
	next
}

/^(not )?ok [0-9]+ / {
	passes = $1 == "ok"
	name = passes ? $3 : $4
	skips = match($0, / # SKIP /)
	reason = skips ? substr($0, RSTART + 8) : ""
	seen[name] = 1
	results++
	if (name in excepted) {
		if (passes && !skips)
			complain(name " passes: take it out of tests/kernel/exceptions.txt and docs/FIDELITY.md")
		else
			exceptions++
	} else if (name == lacks) {
		if (skips && reason == for_want)
			wanting++
		else if (skips)
			complain(name " was skipped for another reason: " reason)
		else
			complain(name (passes ? " passes" : " fails") ": it is no longer lacking anything", said)
	} else if (skips && reason == "Skipping test for variant no_viommu" && name ~ /\.no_viommu\./)
		skipped++
	else if (skips && tolerated != "" && name ~ tolerated && reason ~ /^mmap\(\) failed: /)
		excused++
	else if (skips)
		complain(name " was skipped: " reason)
	else if (!passes)
		complain(name " failed", said)
	else
		passed++
	next
}

# The first words are what matters: what follows a failure may be its consequence.
lines < 12 {
	said = said "  | " $0 "\n"
	lines++
}

END {
	if (!planned)
		complain("said nothing that looks like tests", said)
	else if (results != planned)
		complain("ended after " results + 0 " of " planned " tests", said)
	for (name in excepted)
		if (!(name in seen) && results == planned)
			complain(name " does not exist: take it out of tests/kernel/exceptions.txt")
	if (lacks != "" && !(lacks in seen) && planned && results == planned)
		complain(lacks " does not exist")
	printf "%s: %d passed, %d skipped by design, %d exceptions, %d failed%s%s\n", program, passed, skipped, exceptions,
		failed, wanting ? ", " wanting " for what the device has not" : "",
		excused ? ", " excused " not to be had on this host" : ""
	exit failed > 0
}
