#!/bin/sh
# lengths.sh: fails on a function over 70 lines, a line over 100 columns or a file over 800 lines,
# and on a Makefile over 300 lines. A function begins where a head that stands in the first column,
# on however many lines, ends in ") {".
awk 'FNR == 1 { open = head = 0; files++ } length($0) > 100 && FILENAME != "Makefile" { print FILENAME ":" FNR ": line over 100 columns"; bad = 1 }
FNR == 801 { print FILENAME ": file over 800 lines"; bad = 1 }
FILENAME == "Makefile" && FNR == 301 { print FILENAME ": over 300 lines"; bad = 1 }
FILENAME == "Makefile" { next }
/^[A-Za-z_]/ { head = 1 }
head && !open && /\) \{$/ { open = FNR; functions++ }
/[;}]$/ { head = 0 }
/^\}/ { if (open && FNR - open - 1 > 70) { print FILENAME ":" open ": function of " FNR - open - 1 " lines"; bad = 1 } open = 0 }
END {
    if (!functions) { print "lengths.sh: saw no function"; bad = 1 }
    printf "lengths: %d files, %d functions\n", files, functions; exit bad
}' Makefile $(find pkg cmd tests -name "*.[ch]" -o -name "*.cc" | sort)
