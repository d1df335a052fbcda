#!/bin/sh
# forbidden.sh: fails if pkg or cmd calls a function of tests/tidy/forbidden. Says how many it knows.
awk -v list=tests/tidy/forbidden '
BEGIN {
    while ((getline line < list) > 0) {
        if (line ~ /^#/) continue
        k = split(line, w, " "); n++; names = names (n > 1 ? "|" : "") w[1]
        for (i = 2; i <= k; i++) allowed[w[1], w[i]] = 1
    }
    if (n < 2) { print "forbidden.sh: " list " is empty"; exit 1 }
    call = "(^|[^A-Za-z0-9_])(" names ")[ ]*\\("
}
/^[ \t]*(\/\*|\*|\/\/)/ { next }
{
    rest = $0
    while (match(rest, call)) {
        name = substr(rest, RSTART, RLENGTH); gsub(/[^A-Za-z0-9_]/, "", name)
        if (!((name, FILENAME) in allowed)) { print FILENAME ":" FNR ": " name " is not called here"; bad = 1 }
        rest = substr(rest, RSTART + RLENGTH)
    }
}
END { printf "forbidden: %d functions\n", n; exit bad }' \
    $(find pkg cmd -name "*.[ch]" -o -name "*.cc" | sort)
