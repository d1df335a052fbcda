#!/bin/sh
# kill -9 at a random moment under load, and now and then again while it recovers. CYCLES times.
. "$(dirname "$0")/lib.sh"
begin kill
start
cycle=0
while [ "$cycle" -lt "$CYCLES" ]; do
    cycle=$((cycle + 1))
    client load "kill-$cycle" 8 60 &
    loader=$!
    sleep "0.$(printf '%03d' $((150 + $(random 500))))"
    stop_hard
    wait "$loader"
    if [ $((cycle % 4)) -eq 0 ]; then # once more, in the middle of recovering
        launch
        sleep "0.$(printf '%03d' "$(random 250)")"
        stop_hard
    fi
    start
    expect "cycle $cycle: I4" client repeat 20
    expect "cycle $cycle: I4, I5" client settle
    [ $((cycle % 10)) -ne 0 ] || expect "cycle $cycle: I1, I2, I3" client tree
    [ "$failed" -lt 5 ] || break
done
echo "kill: $(acked) acknowledged in $cycle cycles"
invariants
closing
