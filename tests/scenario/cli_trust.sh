#!/bin/sh
# Trust is pinned at first fetch. A server with other keys under the same name is not believed; keys
# that are added are said and saved.
. tests/scenario/lib
cd "$work/cwd"
echo a >a.bin

start_server "$work/data1" --listen 127.0.0.1:0
port=${listen##*:}
expect 0 "$attest" trust
file=$(sed -n 1p "$work/out")
keys=$(sed -n 2p "$work/out")
[ "$keys" = "$file.keys.json" ] && [ -s "$file" ] && [ -s "$keys" ] || fail "trust saves two files"
cp "$file" saved.json
cp "$keys" saved.json.keys.json
expect 0 "$attest" trust # again: the same
mv "$keys" "$work/keys" # half a pin is none: nothing is written over it
expect 2 "$attest" trust
[ ! -e "$keys" ] || fail "half a pin was made whole"
mv "$work/keys" "$keys"
expect 0 "$attest" trust --out here.json
[ -s here.json ] && [ -s here.json.keys.json ] || fail "--out saves two files"
expect 0 "$attest" trust --out -
json 'd["mediaType"].startswith("application/vnd.dev.sigstore.trustedroot")'
expect 0 "$attest" trust --key
said out "BEGIN PUBLIC KEY"
expect 2 "$attest" trust --key --json # two that want standard output
expect 0 "$attest" trust --log-vkey
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "a verifier key is one line"
expect 0 "$attest" provenance a.bin --build-type https://b.example/v1 --out receipt.json
admin=$ATTEST_TOKEN_FILE ca=$ATTEST_CA

# an addition: what was saved is a part of what is fetched
python3 - "$keys" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
d["keys"] = [k for k in d["keys"] if k["purpose"] == "attestation"]
json.dump(d, open(sys.argv[1], "w"), separators=(",", ":"))
PY
expect 0 "$attest" trust
said err "decision key"
said err "was added"
cmp "$keys" saved.json.keys.json || fail "the addition was not saved"
# a first pin that was stopped left the keys alone: they still count, and the pin is made whole
rm "$file"
expect 0 "$attest" get 0
said err "pinned the keys"
cmp "$file" saved.json && cmp "$keys" saved.json.keys.json || fail "the pin was not made whole"
expect 2 "$attest" trust --key --out key.pem
[ ! -e key.pem ] || fail "--key does not print"
stop_server

# another server takes its place: own keys, own certificates
start_server "$work/data2" --listen "127.0.0.1:$port"
expect 1 "$attest" trust
said err "was dropped"
cmp "$file" saved.json && cmp "$keys" saved.json.keys.json || fail "the pin was changed"
for what in --key --log-vkey '--out -'; do # what is printed would be believed
    # shellcheck disable=SC2086
    expect 1 "$attest" trust $what
    said err "was dropped"
    [ ! -s "$work/out" ] || fail "keys that are not the pinned ones are printed"
done
expect 1 "$attest" trust --out elsewhere.json # what is saved elsewhere would be believed too
said err "was dropped"
[ ! -e elsewhere.json ] || fail "keys that are not the pinned ones are saved"
expect 2 "$attest" provenance a.bin --build-type https://b.example/v2 --out bad.json
said err "logged, as entry"
[ ! -e bad.json ] || fail "an unverified receipt was written"
expect 2 "$attest" get 0
expect 2 "$attest" gate a.bin --environment production
expect 1 "$attest" log checkpoint
expect 1 "$attest" log monitor --once
cmp "$file" saved.json && cmp "$keys" saved.json.keys.json || fail "the pin was changed"
# with the first one's certificates it is not even talked to
ATTEST_CA=$ca expect 2 "$attest" list a.bin --timeout 2s
said err "certificate does not verify" # not: the deadline has passed
stop_server

# half a pin is none: it is not passed over, and what is left of it stays
start_server "$work/data2" --listen "127.0.0.1:$port"
mv "$file" aside.json
expect 2 "$attest" get 0
expect 2 "$attest" provenance a.bin --build-type https://b.example/v3 --out bad.json
[ ! -e bad.json ] && [ ! -e "$file" ] || fail "half a pin was passed over"
mv aside.json "$file"
stop_server

# what is believed about receipts is what `attest trust` saved, not the server that was asked last
start_server "$work/data3" --listen 127.0.0.1:0
expect 0 "$attest" provenance a.bin --build-type https://b.example/v4 --out third.json
said err "pinned the keys"
expect 1 "$attest" verify a.bin --receipt third.json
expect 0 "$attest" verify a.bin --receipt receipt.json
expect 0 "$attest" trust
expect 0 "$attest" verify a.bin --receipt third.json

# without a home: flags and environment are enough, and it is said that nothing is pinned
expect 0 env -u HOME -u XDG_STATE_HOME -u XDG_CONFIG_HOME "$attest" provenance a.bin \
    --build-type https://b.example/v5 --out homeless.json
said err "not pinned"
expect 0 env -u HOME -u XDG_STATE_HOME "$attest" trust --out homeless-trust.json
expect 0 env -u HOME -u XDG_STATE_HOME "$attest" verify a.bin --receipt homeless.json --trust homeless-trust.json
# where nothing can be saved, nothing is said to be pinned
expect 0 env XDG_STATE_HOME=/proc "$attest" get 0
said err "not pinned"
not_said err "pinned the keys"
stop_server

# what was verified before still is
ATTEST_TOKEN_FILE=$admin expect 0 "$attest" verify a.bin --receipt receipt.json --trust saved.json
