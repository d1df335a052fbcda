#!/bin/sh
# layers.sh: fails if a module includes a header from its own floor or a higher one, or a library
# header that tests/tidy/includes gives to others. Says how many includes it looked at.
awk -v floors=tests/tidy/floors -v includes=tests/tidy/includes '
BEGIN {
    while ((getline line < floors) > 0) {
        if (line ~ /^#/) continue
        n++; k = split(line, m, " "); for (i = 1; i <= k; i++) floor[m[i]] = n
    }
    while ((getline line < includes) > 0) {
        if (line ~ /^#/) continue
        k = split(line, m, " "); prefixes[++np] = m[1]
        for (i = 2; i <= k; i++) allowed[m[1], m[i]] = 1
    }
    if (n < 2 || np < 2) { print "layers.sh: tests/tidy/floors or includes is empty"; exit 1 }
}
FNR == 1 {
    split(FILENAME, path, "/"); inpkg = path[1] == "pkg"; self = inpkg ? path[2] : path[1] "/" path[2]
    if (inpkg && !(self in floor)) { print FILENAME ": module not in floors"; bad = 1 }
}
/^#[ \t]*include/ {
    sub(/^#[ \t]*include[ \t]*/, "#include "); seen++; h = $2; gsub(/["<>]/, "", h)
    for (p = 1; p <= np; p++) {
        pre = prefixes[p]
        hit = pre ~ /^\./ ? (substr(h, length(h) - length(pre) + 1) == pre) : index(h, pre) == 1
        if (hit && !((pre, self) in allowed)) { print FILENAME ":" FNR ": " self " must not include " h; bad = 1 }
    }
    if (inpkg && $2 ~ /^"/) {
        parts = split(h, inc, "/"); dep = inc[1]
        if (parts > 1 && dep != self && h !~ /\.pb-c\.h$/ && !(dep in floor && floor[dep] < floor[self])) {
            print FILENAME ":" FNR ": " self " must not include " dep; bad = 1
        }
    }
}
END { if (!seen) { print "layers.sh: looked at nothing"; bad = 1 } else printf "layers: %d includes\n", seen; exit bad }' \
    $(find pkg cmd -name "*.[ch]" -o -name "*.cc" | sort)
