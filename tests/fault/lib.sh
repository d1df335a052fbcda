# lib.sh: sourced by the cases of this folder. A server on a directory of its own, a client of its
# own (client.py speaks Connect's JSON and remembers receipts outside the store), the invariants of
# docs/operations.md after every fault, and counting.
#
# I1 every acknowledged receipt verifies offline and stands unchanged under every later checkpoint
# I2 all checkpoints ever seen are consistent      I3 the root of the raw entries is the signed root
# I4 one idempotency key, one entry, one receipt   I5 what was not acknowledged is whole or absent
set -u
: "${BUILD:=build/plain}"
: "${CYCLES:=100}"
: "${SEED:=$(date +%s)}"
: "${SAMPLE:=200}" # receipts of a case that `attest verify` judges, too
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
path=$PATH
passed=0
failed=0
pid=
work=

# --- counting
ok() { passed=$((passed + 1)); }
bad() { # what went wrong
    failed=$((failed + 1))
    echo "FAILED  $name: $1"
    tail -n 5 "$work/server.log" 2>/dev/null | sed 's/^/        /'
}
expect() { # what, command...: the command must succeed
    what=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        ok
    else
        bad "$what (exit $?)"
        tail -n 5 "$work/out" | sed 's/^/        /'
    fi
}
expect_exit() { # what, code, command...
    what=$1 want=$2
    shift 2
    code=0
    "$@" >"$work/out" 2>&1 || code=$?
    [ "$code" -eq "$want" ] && ok && return
    bad "$what: exit $code, not $want"
    tail -n 5 "$work/out" | sed 's/^/        /'
}
remove_work() {
    if [ "$failed" -gt 0 ] && [ -n "${KEEP:-}" ]; then
        echo "kept: $work"
    else
        [ -z "${unmount:-}" ] || umount "$unmount"
        rm -rf "$work"
    fi
    unmount=
    work=
}
closing() {
    remove_work
    echo "$name: $passed passed, $failed failed (seed $SEED)"
    sound=1
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && sound=0
    passed=0 failed=0 # the next case of the same script counts for itself
    return "$sound"
}

# random MAX: a number below MAX, of a sequence that SEED fixes
draws=0
random() {
    draws=$((draws + 1))
    awk -v seed="$SEED" -v draw="$draws" -v max="$1" \
        'BEGIN { srand(seed * 1009 + draw); rand(); print int(rand() * max) }'
}

# --- a case: its folder, and the end of everything it started
begin() { # name
    name=$1
    work=$(mktemp -d "${TMPDIR:-/tmp}/attestd-fault.XXXXXX")
    export XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state"
    export ATTEST_TOKEN_FILE="$work/admin.token" ATTEST_CA="$work/ca.pem"
    unset ATTEST_SERVER ATTEST_CONFIG
    # copies: a rebuild meanwhile must not change what is tested
    mkdir "$work/bin"
    cp "$top/$BUILD/attestd" "$top/$BUILD/attest" "$top/$BUILD/tools/verify_receipts" "$work/bin/"
    PATH=$work/bin:$path
    data=$work/data
    anchor=$work/outer.anchor
    config=
    preload=
    mkdir "$work/receipts"
    : >"$work/server.log"
    trap finish EXIT
    trap 'exit 130' INT TERM
}
finish() {
    status=$?
    stop_hard
    [ -z "$work" ] || remove_work
    exit "$status"
}

# --- the server
launch() { # begins to start; does not wait
    rm -f "$data/run.json"
    # shellcheck disable=SC2086
    env ${preload:+LD_PRELOAD="$preload"} attestd serve --data "$data" --listen 127.0.0.1:0 \
        --ops-listen 127.0.0.1:0 --anchor "$anchor" ${config:+--config "$config"} \
        >>"$work/server.log" 2>&1 &
    pid=$!
}
await() { # seconds: until the server says where it listens; false if it ends before, or never does
    tries=$(($1 * 20))
    until grep -q "\"pid\":$pid[,}]" "$data/run.json" 2>/dev/null; do
        kill -0 "$pid" 2>/dev/null || return 1
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
    listen=$(sed -n 's/.*"listen":"\([^"]*\)".*/\1/p' "$data/run.json")
    ops=$(sed -n 's/.*"ops":"\([^"]*\)".*/\1/p' "$data/run.json")
    export ATTEST_SERVER="https://$listen"
    cp "$data/client/ca.pem" "$work/ca.pem"
    cp "$data/client/admin.token" "$work/admin.token"
}
start() {
    launch
    await 60 && return 0
    bad "the server does not start"
    exit 1
}
stop_hard() {
    [ -n "$pid" ] || return 0
    kill -s KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=
}
stop_clean() { # leaves the exit code in $code
    code=0
    kill -s TERM "$pid"
    wait "$pid" || code=$?
    pid=
}
# The server's pid changes when it starts anew by itself: exec keeps it.

# --- the client: acknowledgements in acks, keys without an answer in unknown, checkpoints seen
client() { python3 "$here/client.py" "$work" "$listen" "$@"; }
readyz() { curl -s -o "$work/readyz" -w '%{http_code}' "http://$ops/readyz"; }

acked() { wc -l <"$work/acks" 2>/dev/null || echo 0; }

# --- the invariants. Every case ends with them, on a running server.
invariants() {
    expect "I4: the same key gives the same entry and receipt" client repeat
    expect "I4, I5: a key without an answer is whole or absent, and logged once" client settle
    expect "I1, I2, I3: receipts and checkpoints against the raw entries" client tree
    judge_receipts
    stop_clean
    [ "$code" -eq 0 ] && ok || bad "SIGTERM: exit $code"
    expect "I3, I5: fsck" attestd fsck --data "$data" --anchor "$anchor"
}
# Every receipt by the product's own verifier in one process, and a sample of them by the command.
judge_receipts() {
    [ -f "$work/trust.json" ] || expect "trust is saved" attest trust --out "$work/trust.json"
    expect "I1: every receipt verifies" verify_receipts "$work/trust.json" "$work/receipts"
    total=$(acked)
    find "$work/receipts" -name '*.json' | sort |
        awk -v n="$SAMPLE" -v t="$total" 't <= n || int(NR * n / t) != int((NR - 1) * n / t)' |
        sed 's|.*/\([0-9a-f]*\)[.]json|sha256:\1 --receipt &|' >"$work/sample"
    xargs -P 2 -L 1 attest verify --trust "$work/trust.json" <"$work/sample" >"$work/out" 2>&1
    [ $? -eq 0 ] && [ -s "$work/sample" ] && ok && return
    bad "I1: attest verify refuses a receipt"
    tail -n 5 "$work/out" | sed 's/^/        /'
}

# --- read-only, as docs/operations.md promises it
expect_read_only() { # a word that /readyz must name
    [ "$(readyz)" = 503 ] && ok || bad "read-only, but /readyz is not 503"
    grep -q "$1" "$work/readyz" && ok || bad "/readyz does not name the gap: $(cat "$work/readyz")"
    expect "read-only: what is refused and what is served" client read-only
}
# find_wal prints the write-ahead log that holds most, find_db the database's folder.
find_db() { dirname "$(find "$data" -name CURRENT | head -n 1)"; }
find_wal() { find "$(find_db)" -name '*.log' -printf '%s %p\n' | sort -rn | sed -n '1s/^[0-9]* //p'; }
