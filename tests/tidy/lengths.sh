#!/bin/sh
# lengths.sh: fails on a function over 70 lines, a line over 100 columns or a file over 800 lines,
# and on a Makefile over 300 lines.
awk 'FNR == 1 { open = 0; files++ } length($0) > 100 && FILENAME != "Makefile" { print FILENAME ":" FNR ": line over 100 columns"; bad = 1 }
FNR == 801 { print FILENAME ": file over 800 lines"; bad = 1 }
FILENAME == "Makefile" && FNR == 301 { print FILENAME ": over 300 lines"; bad = 1 }
/^[a-z_].*\) \{$/ || /^    +.*\) \{$/ && prev ~ /^[a-z_].*[,(]$/ { if (!open || FILENAME != "Makefile") open = open ? open : FNR }
/^\}/ { if (open && FNR - open - 1 > 70) { print FILENAME ":" open ": function of " FNR - open - 1 " lines"; bad = 1 } open = 0 }
{ prev = $0 }
END { printf "lengths: %d files\n", files; exit bad }' Makefile $(find pkg cmd tests -name "*.[ch]" -o -name "*.cc" | sort)
