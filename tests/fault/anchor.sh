#!/bin/sh
# The anchors themselves: the outer one lost, torn, flipped, of another log; the inner one lost.
. "$(dirname "$0")/lib.sh"
begin anchor
start
client load anchor-1 8 1
stop_clean
cp "$anchor" "$work/anchor.sound"
cp "$data/anchor" "$work/inner.sound"

rm "$data/anchor" # the outer one binds
start
client load anchor-2 4 1
stop_clean
cp "$anchor" "$work/anchor.sound"

rm "$anchor" # made anew, loudly
start
grep -q anchor "$work/server.log" && ok || bad "nothing is said about the lost outer anchor"
[ "$(curl -s "http://$ops/metrics" | sed -n 's/^attestd_anchor_created \([0-9]*\).*/\1/p')" = 1 ] &&
    ok || bad "attestd_anchor_created is not 1"
size=$(client count)
stop_clean

rm "$anchor" # and where it is required, read-only until it is accepted
config=$work/required.yaml
echo 'anchor.required: true' >"$config"
start
expect_read_only "anchor"
stop_clean
expect_exit "fsck names the missing anchor, and agrees" 0 attestd fsck --data "$data" \
    --anchor "$anchor"
root=$(grep -o '[0-9a-f]\{64\}' "$work/out" | head -n 1)
expect_exit "anchor accept: a wrong root" 1 attestd anchor accept --data "$data" \
    --anchor "$anchor" --size "$size" --root "$(echo "$root" | tr 0-9a-f 1-9a-f0)"
expect_exit "anchor accept: a wrong size" 1 attestd anchor accept --data "$data" \
    --anchor "$anchor" --size $((size - 1)) --root "$root"
expect_exit "anchor accept" 0 attestd anchor accept --data "$data" --anchor "$anchor" \
    --size "$size" --root "$root"
start
client load anchor-3 4 1
stop_clean
cp "$anchor" "$work/anchor.sound"

# Flipped anywhere, one of the two slots still binds, or the file is unreadable: never a fork.
octets=$(stat -c %s "$anchor")
for at in 0 $((octets / 4)) $((octets / 2)) $((octets * 3 / 4)) $((octets - 1)); do
    python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); o = f.read(1)[0]; f.seek(-1, 1); f.write(bytes([o ^ 1]))
' "$anchor" "$at"
    start
    case $(readyz) in
    200) expect "anchor flipped at $at, and served" client tree ;;
    *) expect_read_only "anchor" ;;
    esac
    stop_clean
    cp "$work/anchor.sound" "$anchor"
done
: >"$anchor" # emptied
start
expect_read_only "anchor"
stop_clean
cp "$work/anchor.sound" "$anchor"
config=
start
invariants
closing
