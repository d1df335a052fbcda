#!/bin/sh
# SIGTERM and a failing fsync at the same moment: whoever was told to stop must not start anew, and
# must not call it a clean end either.
. "$(dirname "$0")/lib.sh"
shim=$top/$BUILD/tools/preload.so
${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$shim" "$here/preload.c" -ldl || exit 1
begin term-eio
export FAULT_TRIGGER="$work/trigger"
met=0
for round in 1 2 3 4 5; do
    preload=$shim
    start
    client load "term-eio-$round" 8 60 &
    loader=$!
    sleep 0.5
    echo "sync outer.anchor" >"$FAULT_TRIGGER.part"
    mv "$FAULT_TRIGGER.part" "$FAULT_TRIGGER"
    kill -s TERM "$pid"
    tries=600
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
    [ "$tries" -gt 0 ] && ok || bad "round $round: it did not stop"
    [ "$tries" -gt 0 ] || stop_hard
    code=0
    [ -z "$pid" ] || wait "$pid" || code=$?
    pid=
    kill "$loader" 2>/dev/null
    wait "$loader" 2>/dev/null
    preload=
    if [ -e "$FAULT_TRIGGER" ]; then # it came too late: nothing was in flight any more
        rm -f "$FAULT_TRIGGER"
        [ "$code" -eq 0 ] && ok || bad "round $round: exit $code, not 0"
        continue
    fi
    met=$((met + 1))
    [ "$code" -eq 1 ] && ok || bad "round $round: the log failed, but exit $code, not 1"
done
[ "$met" -gt 0 ] && ok || bad "the fault was never met"
start
invariants
closing
