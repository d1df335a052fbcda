#!/bin/sh
# fuzz: runs every libFuzzer target for $TIME seconds from its corpus (new inputs go to build/).
set -u
: "${TIME:=60}"
passed=0
failed=0
for src in tests/fuzz/fuzz_*.c; do
    name=$(basename "$src" .c | sed 's/^fuzz_//')
    work=build/fuzz/corpus-$name
    mkdir -p "$work"
    if build/fuzz/fuzz_$name -max_total_time="$TIME" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix=build/fuzz/crash-$name- "$work" "testdata/corpus/$name" >build/fuzz/$name.log 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name: $(grep -E '^Done ' build/fuzz/$name.log | tail -n 1)"
    else
        failed=$((failed + 1))
        echo "FAIL $name (end of build/fuzz/$name.log; the input is build/fuzz/crash-$name-*):"
        tail -n 30 build/fuzz/$name.log
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
