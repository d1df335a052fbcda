#!/bin/sh
# bench: prints one line a workload and writes build/bench.json. A measurement, not a test: it fails
# only where something did not work. Client and server share this machine's cores.
#   SECONDS_EACH=8   length of a workload     ENTRIES=1000000   size of the large store (0: leave out)
set -eu
: "${BUILD:=build/plain}" "${SECONDS_EACH:=8}" "${ENTRIES:=1000000}"
top=$(pwd)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/attestd-bench.XXXXXX")
export XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/state XDG_DATA_HOME=$work/share
unset ATTEST_SERVER ATTEST_CA ATTEST_TOKEN_FILE ATTEST_CONFIG
pid=
out=$work/bench.jsonl
: >"$out"
finish() {
    status=$?
    set +e # what is still there is cleaned up, whatever of it has gone already
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    fi
    [ "$status" -eq 0 ] || [ ! -f "$work/server.log" ] || tail -n 20 "$work/server.log"
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

now_ms() { date +%s%3N; }
start() { # data directory; sets pid and start_ms
    began=$(now_ms)
    "$BUILD/attestd" serve --data "$1" --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 \
        --policies "$work/policies" --anchor "$1.anchor" >>"$work/server.log" 2>&1 &
    pid=$!
    until [ -f "$1/run.json" ] && grep -q "\"pid\":$pid," "$1/run.json"; do
        kill -0 "$pid" 2>/dev/null || { echo "the server did not start"; exit 1; }
        sleep 0.01
    done
    start_ms=$(($(now_ms) - began))
    export ATTEST_SERVER="https://$(sed -n 's/.*"listen":"\([^"]*\)".*/\1/p' "$1/run.json")"
    export ATTEST_CA="$1/client/ca.pem" ATTEST_TOKEN_FILE="$1/client/admin.token"
    "$BUILD/attest" trust >/dev/null 2>&1
}
stop() { # signal: after TERM it must end well, after KILL by that
    want=0 code=0
    [ "$1" != KILL ] || want=137
    kill -s "$1" "$pid"
    wait "$pid" 2>/dev/null || code=$? # the shell would say "Killed"
    pid=
    [ "$code" -eq "$want" ] || { echo "the server ended with $code after $1"; exit 1; }
}
rss_mib() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status"; }
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -n 1; }
line() { # name, the bench's JSON, ratio_to_core or -
    rate=$(echo "$2" | field achievedPerSecond)
    printf '%-18s %10.0f %9.3f %9.3f %9.3f %9.3f %7s %8s %8s\n' "$1" "$rate" "$(echo "$2" | field p50Ms)" \
        "$(echo "$2" | field p90Ms)" "$(echo "$2" | field p99Ms)" "$(echo "$2" | field p999Ms)" \
        "$(echo "$2" | field errors)" "${rss:--}" "$3"
    printf '{"workload":"%s","achievedPerSecond":%s,"p50Ms":%s,"p90Ms":%s,"p99Ms":%s,"p999Ms":%s,"errors":%s,"rssMiB":%s,"ratioToCore":%s}\n' \
        "$1" "$rate" "$(echo "$2" | field p50Ms)" "$(echo "$2" | field p90Ms)" "$(echo "$2" | field p99Ms)" \
        "$(echo "$2" | field p999Ms)" "$(echo "$2" | field errors)" "$(echo "${rss:--}" | sed 's/^-$/null/')" \
        "$(echo "$3" | sed 's/^-$/null/')" >>"$out"
}
bench() { # name, arguments...; the rate goes to $rate
    name=$1
    shift
    json=$("$BUILD/attest" bench "$@" --duration "${SECONDS_EACH}s" --json)
    rss=$(rss_mib)
    line "$name" "$json" -
}
fact() { # name, value, unit
    printf '%-18s %10s %s\n' "$1" "$2" "$3"
    printf '{"workload":"%s","value":%s,"unit":"%s"}\n' "$1" "$2" "$3" >>"$out"
}

mkdir -p "$work/policies"
chmod 755 "$work/policies"
cp tests/demo/policies/production.yaml "$work/policies/"
chmod 644 "$work"/policies/*
printf '%-18s %10s %9s %9s %9s %9s %7s %8s %8s\n' workload achieved/s p50 p90 p99 p99.9 errors rss_mib ratio_to_core

# The same commit path in this process, without network: before and after, the better one counts.
core_run() { "$BUILD/tools/core_bench" "$work/core" "$1" "${2:-512}"; }
core=$(core_run 30000)
start "$work/data"
fact idle_rss "$(rss_mib)" MiB
json=$("$BUILD/attest" bench submit --duration "${SECONDS_EACH}s" --connections 16 --streams 32 --json)
rss=$(rss_mib)
core2=$(core_run 30000)
core_rate=$(printf '%s\n%s\n' "$(echo "$core" | field achievedPerSecond)" "$(echo "$core2" | field achievedPerSecond)" | sort -n | tail -n 1)
ratio=$(echo "$json" | field achievedPerSecond | awk -v c="$core_rate" '{ printf "%.2f", $1 / c }')
line submit "$json" "$ratio"
rss=-
line core "$core2" -
bench submit-1000 submit --rate 1000 --connections 16 --streams 32
bench gate-dry gate --dry-run --connections 16 --streams 32
bench gate-recorded gate --connections 16 --streams 32
bench read read --connections 16 --streams 32
stop TERM

if [ "$ENTRIES" -gt 0 ]; then
    start "$work/core"
    stop TERM
    "$BUILD/tools/core_bench" "$work/large" 10000 >/dev/null
    start "$work/large"
    bench list-10k read --rate 500 --connections 4 --streams 8
    stop TERM
    "$BUILD/tools/core_bench" "$work/large" "$ENTRIES" >"$work/fill.json"
    fact fill "$(field achievedPerSecond <"$work/fill.json")" "entries/s, to $ENTRIES"
    start "$work/large"
    fact start_large "$start_ms" "ms, clean start, certificate and ready line included"
    bench list-large read --rate 500 --connections 4 --streams 8
    bench submit-large submit --connections 16 --streams 32
    stop KILL
    start "$work/large"
    fact start_killed "$start_ms" "ms, after kill -9 under load"
    stop TERM
fi

# Hashing a model against openssl on the same files, warm, per CPU-second: alternating, best of five.
mkdir "$work/model"
for i in 1 2 3 4 5 6 7 8; do head -c 67108864 /dev/urandom >"$work/model/shard-$i.bin"; done
cpu() { # command...: user + system seconds of the whole command
    python3 - "$@" <<'PY'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
u = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{u.ru_utime + u.ru_stime:.4f}")
PY
}
best_ours=999
best_openssl=999
for i in 1 2 3 4 5; do
    a=$(cpu "$BUILD/attest" model digest "$work/model")
    b=$(cpu openssl dgst -sha256 "$work"/model/*)
    best_ours=$(echo "$a $best_ours" | awk '{ print ($1 < $2) ? $1 : $2 }')
    best_openssl=$(echo "$b $best_openssl" | awk '{ print ($1 < $2) ? $1 : $2 }')
done
fact hash_ratio "$(echo "$best_openssl $best_ours" | awk '{ printf "%.2f", $1 / $2 }')" "times openssl dgst -sha256 per CPU-second, 512 MiB"

mkdir -p "$top/build"
{ echo '['; sed '$!s/$/,/' "$out"; echo ']'; } >"$top/build/bench.json"
echo "written: build/bench.json"
