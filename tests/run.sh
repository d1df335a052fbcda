#!/bin/sh
# run.sh [unit]: runs every fast test of the build folder $BUILD and ends with "N passed, N failed".
# A unit suite's own closing line ("100%: Checks: 7, Failures: 0, Errors: 0") is counted; a corpus
# replay, a scenario and a tidy script count one each.
set -u
: "${BUILD:=build/plain}"
export BUILD
: "${TSAN_OPTIONS:=suppressions=$PWD/tests/tsan.supp die_after_fork=0}"
export TSAN_OPTIONS
passed=0
failed=0
failures=
logs=$BUILD/logs
mkdir -p "$logs"

one() { # name, command...: counts one
    name=$1
    shift
    if "$@" >"$logs/$name.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures="$failures $name"
        echo "FAILED $name (last lines of $logs/$name.log):"
        tail -n 20 "$logs/$name.log"
    fi
}

suite() { # a Check program: counts its checks
    name=$(basename "$1")
    timeout "${SUITE_TIMEOUT:-300}" "$1" >"$logs/$name.log" 2>&1
    rc=$?
    line=$(grep -E '^[0-9]+%: Checks: ' "$logs/$name.log" | tail -n 1)
    checks=$(echo "$line" | sed -n 's/.*Checks: \([0-9]*\).*/\1/p')
    bad=$(echo "$line" | sed -n 's/.*Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2/p' | awk '{print $1 + $2}')
    if [ -z "$checks" ] || [ "$checks" -eq 0 ]; then
        checks=1 bad=1
        echo "FAILED $name: ran no check (exit $rc)"
        tail -n 20 "$logs/$name.log"
    elif [ "$rc" -ne 0 ] || [ "$bad" -ne 0 ]; then
        [ "$bad" -ne 0 ] || bad=1
        echo "FAILED $name:"
        grep -E -A 14 'WARNING: ThreadSanitizer|ERROR: [A-Za-z]*Sanitizer|runtime error' "$logs/$name.log" |
            head -n 30
        grep -E ':[FE]:' "$logs/$name.log" | head -n 20
        tail -n 10 "$logs/$name.log"
    fi
    [ "$bad" -eq 0 ] || failures="$failures $name"
    passed=$((passed + checks - bad))
    failed=$((failed + bad))
}

for t in tests/unit/test_*.c; do
    suite "$BUILD/$(basename "$t" .c)"
done
if [ "${1:-}" != unit ]; then
    one tidy_layers sh tests/tidy/layers.sh
    one tidy_lengths sh tests/tidy/lengths.sh
    one tidy_forbidden sh tests/tidy/forbidden.sh
    one tidy_self sh tests/tidy/self.sh
    one tidy_docs sh tests/tidy/docs.sh
    for f in tests/fuzz/fuzz_*.c; do
        name=$(basename "$f" .c | sed 's/^fuzz_//')
        one "replay_$name" "$BUILD/replay_$name" "testdata/corpus/$name"
    done
    for s in tests/scenario/*.sh; do
        [ -f "$s" ] || continue
        one "scenario_$(basename "$s" .sh)" timeout "${SCENARIO_TIMEOUT:-300}" sh "$s"
    done
    one policies "$BUILD/attest" policy test policies
fi
[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
