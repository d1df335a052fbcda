#!/bin/sh
# The write-ahead log torn, flipped, deleted: RocksDB opens all the same, and the anchors notice.
. "$(dirname "$0")/lib.sh"

damage() { # kind file
    size=$(stat -c %s "$2")
    case $1 in
    torn) truncate -s $((size - 10)) "$2" ;;
    cut) truncate -s $((size / 2)) "$2" ;;
    flipped) python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); o = f.read(1)[0]; f.seek(-1, 1); f.write(bytes([o ^ 16]))
' "$2" $((size / 3)) ;;
    deleted) rm "$2" ;;
    esac
}

total_failed=0
for kind in torn cut flipped deleted; do
    begin "wal-$kind"
    start
    client load "wal-$kind" 8 1
    expect "trust is saved" attest trust --out "$work/trust.json"
    stop_hard
    cp -a "$data" "$work/sound"
    damage "$kind" "$(find_wal)"
    expect_exit "fsck finds the gap" 1 attestd fsck --data "$data" --anchor "$anchor"
    start
    expect_read_only "missing"
    judge_receipts # what was acknowledged stays true without the server
    stop_clean
    [ "$code" -eq 0 ] && ok || bad "SIGTERM while read-only: exit $code"
    start # and it does not mend itself
    expect_read_only "missing"
    stop_clean
    rm -rf "$data"
    mv "$work/sound" "$data" # the directory as it was: it serves again
    start
    invariants
    closing || total_failed=1
done
exit "$total_failed"
