#!/bin/sh
# run.sh [case...]: every fault on a server of its own, each ended by the invariants of lib.sh.
# CYCLES=100 (of kill.sh), SEED (of the random moments), KEEP=1 (the folder of what failed).
set -u
: "${BUILD:=build/plain}"
: "${CYCLES:=100}"
: "${SEED:=$(date +%s)}"
export BUILD CYCLES SEED
cd "$(dirname "$0")/../.." || exit 1
echo "seed $SEED, $CYCLES cycles"
passed=0
failed=0
log=$(mktemp)
for case in ${*:-judge kill term two wal rollback anchor enospc eio term_eio}; do
    sh "tests/fault/$case.sh" >"$log" 2>&1
    code=$?
    cat "$log"
    sums=$(sed -n 's/^.*: \([0-9]*\) passed, \([0-9]*\) failed (seed.*/\1 \2/p' "$log" |
        awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
    passed=$((passed + ${sums% *}))
    failed=$((failed + ${sums#* }))
    if [ "$code" -ne 0 ] && [ "${sums#* }" -eq 0 ]; then
        failed=$((failed + 1))
        echo "FAILED  $case: ended with exit $code"
    fi
done
rm -f "$log"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
