#!/bin/sh
# The load generator tells the truth: it verifies what it got, and a server that stands still for a
# second shows in the latencies though nothing was sent meanwhile (coordinated omission).
. tests/scenario/lib
cd "$work/cwd"
start_server "$work/data" --listen 127.0.0.1:0
fields='sorted(d)==sorted(["workload","rate","achievedPerSecond","p50Ms","p90Ms","p99Ms","p999Ms","errors","verified","duration","connections","streams"])'

expect 0 "$attest" bench submit --duration 1s --connections 2 --streams 4 --json
json "$fields"
json 'd["workload"]=="submit" and d["achievedPerSecond"]>0 and d["errors"]==0 and d["verified"]>0'
expect 0 "$attest" log checkpoint --json
json 'int(d["treeSize"])>10' # all distinct
expect 0 "$attest" bench read --duration 500ms --connections 1 --streams 2 --json
json 'd["verified"]>0 and d["errors"]==0'
expect 0 "$attest" bench gate --duration 500ms --connections 1 --streams 2 --subjects 50 --json
json 'd["verified"]>0 and d["errors"]==0'
expect 0 "$attest" bench gate --duration 500ms --connections 1 --streams 2 --dry-run
said out "gate, 1 connections x 2 streams"
expect 2 "$attest" bench nothing
expect 2 "$attest" bench submit --rate 0

# 4 s at 100/s, one of them asleep: a fifth of the requests waited up to a second
(sleep 2 && kill -STOP "$server_pid" && sleep 1 && kill -CONT "$server_pid") &
pauser=$!
expect 0 "$attest" bench gate --dry-run --rate 100 --duration 4s --connections 1 --streams 1 --json
json 'd["p99Ms"]>700 and d["p90Ms"]>200'
json 'd["achievedPerSecond"]<=105'
wait "$pauser"
