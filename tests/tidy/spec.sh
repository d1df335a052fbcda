#!/bin/sh
# spec: lists every `SPEC <document> <section>` tag that stands only in the code or only in a test.
set -u
tags() { grep -rhoE 'SPEC [a-z0-9.-]+ [0-9A-Za-z.]+' "$@" 2>/dev/null | sort -u; }
code=$(mktemp) && tests=$(mktemp) || exit 2
trap 'rm -f "$code" "$tests"' EXIT
tags pkg cmd >"$code"
tags tests >"$tests"
echo "in the code, in no test:"
comm -23 "$code" "$tests" | sed 's/^/  /'
echo "in a test, not in the code:"
comm -13 "$code" "$tests" | sed 's/^/  /'
