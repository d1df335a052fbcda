#!/bin/sh
# Two servers on one directory, and one on a copy of it beside the first.
. "$(dirname "$0")/lib.sh"
begin two
start
client load two-1 4 1
expect_exit "a second server on the directory" 3 timeout 30 attestd serve --data "$data" \
    --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 --anchor "$anchor"
[ "$(wc -l <"$work/out")" -eq 1 ] && ok || bad "it says more than one line: $(cat "$work/out")"
[ -e "$data/run.json" ] && ok || bad "the second removed the first's run.json"
expect_exit "fsck while a server holds the directory" 2 attestd fsck --data "$data" \
    --anchor "$anchor"
client load two-2 4 1

# A copy made while the first runs, as a careless backup would: it must not sign.
cp -a "$data" "$work/copy"
rm -f "$work/copy/run.json"
code=0
timeout 10 attestd serve --data "$work/copy" --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 \
    --anchor "$anchor" >"$work/out" 2>&1 &
copy=$!
sleep 2
if [ -e "$work/copy/run.json" ]; then # it may answer, but only read-only
    copy_ops=$(sed -n 's/.*"ops":"\([^"]*\)".*/\1/p' "$work/copy/run.json")
    [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$copy_ops/readyz")" = 503 ] && ok ||
        bad "a copy of the directory serves beside the first"
else
    ok
fi
kill "$copy" 2>/dev/null
wait "$copy" 2>/dev/null
client load two-3 4 1
invariants
closing
