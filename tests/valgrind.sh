#!/bin/sh
# valgrind: the unit suites under memcheck, without forking, so that every leak is seen.
# Suites of threads and of time-bound clients have the sanitizers instead (make SAN=…), and so has
# modeldir: this valgrind does not know openat2.
set -u
: "${BUILD:=build/plain}"
suites="base codec crypto x509 json merkle note dsse intoto intoto_check bundle bundle_trust lineage
    policy policy_decide policies config model msg msg_json http1 obs store store_format"
passed=0
failed=0
for s in $suites; do
    t=$BUILD/test_$s
    if [ ! -x "$t" ]; then
        echo "FAIL $s: no such suite"
        failed=$((failed + 1))
        continue
    fi
    if CK_FORK=no CK_DEFAULT_TIMEOUT=0 ATTESTD_TEST_SLOW_MACHINE=1 \
        valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
        "$t" >"$BUILD/logs/valgrind-$s.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $s (end of $BUILD/logs/valgrind-$s.log):"
        tail -n 25 "$BUILD/logs/valgrind-$s.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
