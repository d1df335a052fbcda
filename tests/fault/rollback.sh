#!/bin/sh
# The database folder, then the whole of DATA, put back to what it was a while ago: each is sound in
# itself, and must not sign another future.
. "$(dirname "$0")/lib.sh"
begin rollback
start
client load rollback-1 8 1
expect "trust is saved" attest trust --out "$work/trust.json"
stop_clean
cp -a "$data" "$work/old"
start
client load rollback-2 8 1
stop_clean
cp -a "$data" "$work/new"

db=$(find_db)
rm -rf "$db"
cp -a "$work/old${db#"$data"}" "$db"
expect_exit "fsck: database rolled back" 1 attestd fsck --data "$data" --anchor "$anchor"
start
expect_read_only "missing"
stop_clean

rm -rf "$data"
cp -a "$work/old" "$data"
expect_exit "fsck: DATA rolled back" 1 attestd fsck --data "$data" --anchor "$anchor"
start
expect_read_only "missing"
stop_clean
expect_exit "anchor accept does not go below a readable anchor" 1 attestd anchor accept \
    --data "$data" --anchor "$anchor" --size 1 \
    --root 0000000000000000000000000000000000000000000000000000000000000000

rm -rf "$data"
mv "$work/new" "$data"
start
client load rollback-3 4 1
invariants
closing
