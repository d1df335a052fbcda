#!/bin/sh
# The monitor remembers; a log that was rolled back, also with its anchors, is convicted by it and by
# receipts.
. tests/scenario/lib
cd "$work/cwd"
echo a >a.bin
start_server "$work/data" --listen 127.0.0.1:0 --anchor "$work/anchor"
port=${listen##*:}
expect 0 "$attest" log monitor --once --json
json 'd["consistent"] is True and d["treeSize"]=="0"'
expect 0 "$attest" provenance a.bin --build-type https://b.example/v1 --out r1.json
expect 0 "$attest" log monitor --once --state "$work/state.json" --receipt r1.json
expect 0 "$attest" log monitor --once
stop_server
cp -a "$work/data" "$work/old"
cp "$work/anchor" "$work/old.anchor"

start_server "$work/data" --listen "127.0.0.1:$port" --anchor "$work/anchor"
expect 0 "$attest" provenance a.bin --build-type https://b.example/v2 --out r2.json
expect 0 "$attest" log monitor --once --state "$work/state.json" --receipt r1.json --receipt r2.json
expect 0 "$attest" log monitor --once --state "$work/state.json" --receipt r1.json r2.json
expect 2 "$attest" log monitor --once --state "$work/state.json" --receipt r1.json missing.json
expect 2 "$attest" log monitor --once --state "$work/state.json" r1.json
grep -q '"treeSize":"2"' "$work/state.json" || fail "the state does not move on"

# following: it reports, and stops at nothing but a violation
"$attest" log monitor --state "$work/state.json" --interval 200ms >"$work/follow" 2>&1 &
follower=$!
expect 0 "$attest" provenance a.bin --build-type https://b.example/v3 --out r3.json
tries=0
until grep -q "consistent: 3 entries" "$work/follow"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "the monitor does not follow"
    sleep 0.1
done
stop_server

# the whole of it, put back to how it was
rm -rf "$work/data"
cp -a "$work/old" "$work/data"
cp "$work/old.anchor" "$work/anchor"
start_server "$work/data" --listen "127.0.0.1:$port" --anchor "$work/anchor"
code=0
wait $follower || code=$?
[ "$code" -eq 1 ] || fail "the follower exits $code"
grep -q "VIOLATION: the log shrank from 3 entries to 1" "$work/follow" || fail "it does not say why"
expect 1 "$attest" log monitor --once --state "$work/state.json"
expect 1 "$attest" log monitor --once --state "$work/new.json" --receipt r2.json
said err "shrank"
expect 0 "$attest" log monitor --once --state "$work/new.json" --receipt r1.json

# the same size with another content: a fork
expect 0 "$attest" provenance a.bin --build-type https://b.example/other --out f2.json
expect 1 "$attest" log monitor --once --state "$work/new2.json" --receipt r2.json
said err "forked"
[ ! -e "$work/new2.json" ] || fail "a convicted log is remembered as seen"
sed 's/"logIndex":"1"/"logIndex":"0"/' f2.json >tampered.json
expect 1 "$attest" log monitor --once --state "$work/new2.json" --receipt tampered.json
said err "does not verify"
not_said err "VIOLATION" # anybody can make such a file
expect 1 "$attest" log monitor --once --json --state "$work/new2.json" --receipt tampered.json
json 'd["consistent"] is True'
expect 1 "$attest" log monitor --interval 100ms --state "$work/new2.json" --receipt tampered.json
expect 0 "$attest" log monitor --once --state "$work/new2.json" --receipt f2.json

# a monitor that can remember nothing, or tell nobody, ends and says why: it is not the server that is away
expect 2 timeout 60 sh -c "'$attest' log monitor --interval 100ms --state '$work/new3.json' >/dev/full"
said err "standard output"
expect 2 timeout 60 "$attest" log monitor --interval 100ms --state /dev/full/state
not_said err "cannot be reached"
not_said err "Is attestd running"

# a state that cannot be read is no fresh start
echo '{' >"$work/new2.json"
expect 2 "$attest" log monitor --once --state "$work/new2.json"
echo '{"origin":"other","treeSize":"9","rootHash":"","checkpoint":"of another log"}' >"$work/new2.json"
expect 2 "$attest" log monitor --once --state "$work/new2.json"
said err "is not of this log"
