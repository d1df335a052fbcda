#!/bin/sh
# The judge itself: an acknowledgement or a checkpoint that is not of this log must not pass.
. "$(dirname "$0")/lib.sh"
begin judge
start
client submit judge 40
expect "an honest log" client tree
expect "an honest log, repeated" client repeat
cp "$work/acks" "$work/acks.honest"
cp "$work/checkpoints" "$work/checkpoints.honest"
expect "trust is saved" attest trust --out "$work/trust.json"

caught() { # what, command...: on tampered memories
    what=$1
    shift
    "$@" >"$work/out" 2>&1 && bad "not caught: $what" || ok
    cp "$work/acks.honest" "$work/acks"
    cp "$work/checkpoints.honest" "$work/checkpoints"
}
sed -i '7s/"leafHash": "./"leafHash": "_/' "$work/acks"
caught "another leaf" client tree
sed -i '7s/"index": 6/"index": 5/' "$work/acks"
caught "another index" client tree
sed -i '7s/"index": 6/"index": 5/' "$work/acks"
caught "a repeat with another index" client repeat
sed -i '$s/"index": 39/"index": 40/' "$work/acks"
caught "an entry that is gone" client tree
sed -i '9s/\\n[A-Za-z0-9+]/\\n0/2' "$work/checkpoints"
caught "a checkpoint with another root" client tree
sed -i '9h;9d;11G' "$work/checkpoints"
caught "checkpoints that go back" client tree
digest=$(sed -n '1s/.*"digest": "\([0-9a-f]*\)".*/\1/p' "$work/acks")
sed -i 's/"logIndex":"0"/"logIndex":"1"/' "$work/receipts/$digest.json"
caught "an altered receipt" verify_receipts "$work/trust.json" "$work/receipts"
client tree >"$work/out" 2>&1 && bad "not caught: an altered receipt, by the tree" || ok
stop_clean
closing
