#!/bin/sh
# One failing fsync or write, of the database or of either anchor: the round's outcome is unknown, the
# server signs nothing more and starts anew from what is stored; a second failure within a minute
# ends it.
. "$(dirname "$0")/lib.sh"
shim=$top/$BUILD/tools/preload.so
${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$shim" "$here/preload.c" -ldl || exit 1

await_anew() { # the same process, another run.json: it started anew
    tries=600
    until [ -e "$data/run.json" ] && [ "$(stat -c %i%Y%Z "$data/run.json")" != "$1" ]; do
        kill -0 "$pid" 2>/dev/null || return 1
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
    await 60
}
inject() { # kind part
    echo "$1 $2" >"$FAULT_TRIGGER.part"
    mv "$FAULT_TRIGGER.part" "$FAULT_TRIGGER"
}

total_failed=0
for fault in "sync db/" "write .log" "sync data/anchor" "sync outer.anchor"; do
    begin "eio-$(echo "$fault" | tr ' ./' '---')"
    export FAULT_TRIGGER="$work/trigger"
    preload=$shim
    start
    client load before 8 1
    was=$(stat -c %i%Y%Z "$data/run.json")
    # shellcheck disable=SC2086
    inject $fault
    client load during 8 20
    [ ! -e "$FAULT_TRIGGER" ] && ok || bad "the fault was never met"
    await_anew "$was" && ok || bad "the server did not start anew"
    client load after 4 1
    expect "I4, I5 after starting anew" client settle
    was=$(stat -c %i%Y%Z "$data/run.json")
    # shellcheck disable=SC2086
    inject $fault
    client load again 8 20
    tries=400
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq 1 ] && ok || bad "failing twice in a minute: exit $code, not 1"
    pid=
    preload=
    start
    invariants
    closing || total_failed=1
done
exit "$total_failed"
