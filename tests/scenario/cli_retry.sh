#!/bin/sh
# A server that is away for a while: submissions are tried again with the same idempotency key, and
# come to one entry.
. tests/scenario/lib
cd "$work/cwd"
echo a >a.bin
echo b >b.bin
start_server "$work/data" --listen 127.0.0.1:0
port=${listen##*:}
expect 0 "$attest" provenance a.bin --build-type https://b.example/v1 --out a.json
stop_server

"$attest" provenance b.bin --build-type https://b.example/v1 --out b.json --timeout 60s \
    >"$work/late.out" 2>"$work/late.err" &
late=$!
sleep 1
start_server "$work/data" --listen "127.0.0.1:$port"
wait $late || { cat "$work/late.err"; fail "it was not tried again"; }
grep -q "trying again" "$work/late.err" || fail "it does not say that it waits"
expect 0 "$attest" verify b.bin --receipt b.json
expect 0 "$attest" log checkpoint --json
json 'd["treeSize"]=="2"'

# killed and started again: the repeat finds the entry of before
kill -9 "$server_pid"
code=0
wait "$server_pid" || code=$?
[ "$code" -eq 137 ] || fail "the killed server ended with $code"
server_pid=
start_server "$work/data" --listen "127.0.0.1:$port"
expect 0 "$attest" provenance b.bin --build-type https://b.example/v1 --out b2.json
said out "already logged as entry 1"
cmp b.json b2.json || fail "a repeat has another receipt"
stop_server
expect 2 "$attest" list a.bin --timeout 1s
said err "Connection refused"
said err "Is attestd running"
# making a token must not act twice: it is not tried again
expect 2 "$attest" token create x --scope read --timeout 20s
not_said err "trying again"
said err "If it was made after all"
# nor may it be thought undone when the time is over: a server that takes the connection and is silent
python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1]))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)' "$work/silent" &
silent=$!
until [ -s "$work/silent" ]; do kill -0 $silent && sleep 0.1; done
expect 2 "$attest" token create x --scope read --timeout 1s --server "https://127.0.0.1:$(cat "$work/silent")"
kill $silent
said err "If it was made after all"
