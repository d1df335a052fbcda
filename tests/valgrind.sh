#!/bin/sh
# valgrind: the unit suites under memcheck, without forking, so that every leak is seen; two at a time.
# Suites of threads and of time-bound clients have the sanitizers instead (make SAN=…), and so has
# modeldir: this valgrind does not know openat2.
set -u
: "${BUILD:=build/plain}"
suites="merkle bundle bundle_trust base codec crypto x509 json note dsse intoto intoto_check lineage
    policy policy_decide policies config model msg msg_json http1 obs store store_evidence store_format"
logs=$BUILD/logs
mkdir -p "$logs"
export BUILD

if [ "${1:-}" = one ]; then
    CK_FORK=no CK_DEFAULT_TIMEOUT=0 ATTESTD_TEST_SLOW_MACHINE=1 \
        valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
        "$BUILD/test_$2" >"$logs/valgrind-$2.log" 2>&1 && echo "PASS $2" && exit 0
    echo "FAIL $2 (end of $logs/valgrind-$2.log):"
    tail -n 25 "$logs/valgrind-$2.log"
    exit 0
fi

echo "$suites" | xargs -P 2 -n 1 sh "$0" one >"$logs/valgrind.log"
grep -v '^PASS ' "$logs/valgrind.log"
passed=$(grep -c '^PASS ' "$logs/valgrind.log")
failed=$(($(echo "$suites" | wc -w) - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
