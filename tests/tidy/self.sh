#!/bin/sh
# self.sh: the checks can fail. Each gets a small tree that is sound, then the same with one fault.
set -eu
: "${BUILD:=build/plain}"
BUILD=$(cd "$BUILD" && pwd)
export BUILD
root=$(pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/attest-tidy.XXXXXX")
trap 'rm -rf "$work"' EXIT
count=0

plant() { # a fresh tree; standard input becomes pkg/merkle/merkle.c
    rm -rf "$work/tree"
    mkdir -p "$work/tree/pkg/merkle" "$work/tree/cmd/attest" "$work/tree/tests" "$work/tree/docs"
    cp -r "$root/tests/tidy" "$work/tree/tests/"
    cp "$root/docs/operations.md" "$work/tree/docs/"
    cp "$root/Makefile" "$work/tree/"
    cat >"$work/tree/pkg/merkle/merkle.c"
}
run() { (cd "$work/tree" && sh "tests/tidy/$1.sh") >"$work/out" 2>&1; }
passes() { # check
    run "$1" || { echo "$1 refuses what is sound:"; cat "$work/out"; exit 1; }
    count=$((count + 1))
}
refuses() { # check, what it must say
    if run "$1"; then echo "$1 does not see: $2"; exit 1; fi
    grep -qF -- "$2" "$work/out" || { echo "$1 does not say: $2"; cat "$work/out"; exit 1; }
    count=$((count + 1))
}
lines() { # how many
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) print "    x++;" }'
}
include() { printf '#include "internal.h"\n#include "crypto/hash.h"\n%s\nint f(int x) {\n    return x;\n}\n' "$1"; }

include '#include <string.h>' | plant
passes layers
passes lengths
passes forbidden
include '#include "tlog/tlog.h"' | plant
refuses layers "merkle must not include tlog"
include '#include "note/note.h"' | plant
refuses layers "merkle must not include note"
include '# include "tlog/tlog.h"' | plant
refuses layers "merkle must not include tlog"
include '#include "../crypto/hash.h"' | plant
refuses layers "merkle must not include .."
include '#include <openssl/evp.h>' | plant
refuses layers "merkle must not include openssl/evp.h"
include '' | plant
echo '#include <rocksdb/c.h>' >"$work/tree/cmd/attest/main.c"
refuses layers "cmd/attest must not include rocksdb/c.h"
mkdir "$work/tree/pkg/strange"
echo '#include "base/bytes.h"' >"$work/tree/pkg/strange/x.c"
refuses layers "module not in floors"

{ echo 'int f(int x) {'; lines 70; echo '}'; } | plant
passes lengths
{ echo 'int f(int x) {'; lines 71; echo '}'; } | plant
refuses lengths "function of 71 lines"
{ printf 'static int f(int a,\n             int b,\n             int c) {\n'; lines 71; echo '}'; } | plant
refuses lengths "function of 71 lines"
{ echo 'START_TEST(test_x) {'; lines 71; echo '}'; } | plant
refuses lengths "function of 71 lines"
{ echo 'int f(int x) {'; awk 'BEGIN { printf "    /* %095d */\n", 0 }'; echo '}'; } | plant
refuses lengths "line over 100 columns"
{ echo 'int f(int x) {'; echo '}'; lines 799; } | plant
refuses lengths "file over 800 lines"

printf 'int f(const char *s) {\n    return (int)strtol(s, NULL, 10);\n}\n' | plant
refuses forbidden "strtol is not called here"
printf 'void *f(void) {\n    return malloc(1);\n}\n' | plant
refuses forbidden "malloc is not called here"
printf '/* malloc(1) */\nvoid f(void) {\n    my_malloc(1);\n}\n' | plant
passes forbidden

plant_docs() { # the tree's own sources, and its page with one change
    plant </dev/null
    rm -rf "$work/tree/pkg" "$work/tree/cmd"
    ln -s "$root/pkg" "$root/cmd" "$work/tree/"
    sed -i "$1" "$work/tree/docs/operations.md"
}
plant_docs ''
passes docs
plant_docs 's/^| `listen` |/| `listens` |/'
refuses docs "is not the code's"
plant_docs 's/"is held by process"/"is kept by process"/'
refuses docs "nothing says: is kept by process"
echo "$count checks of checks"
