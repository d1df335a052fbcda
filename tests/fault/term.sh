#!/bin/sh
# SIGTERM under load: exit 0, and nothing acknowledged is lost.
. "$(dirname "$0")/lib.sh"
begin term
for round in 1 2 3 4 5; do
    start
    client load "term-$round" 8 60 &
    loader=$!
    sleep "0.$(printf '%03d' $((300 + $(random 600))))"
    stop_clean
    wait "$loader"
    [ "$code" -eq 0 ] && ok || bad "round $round: exit $code"
    [ ! -e "$data/run.json" ] && ok || bad "round $round: run.json is still there"
done
start
invariants
closing
