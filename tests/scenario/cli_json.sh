#!/bin/sh
# What --json prints is one document with exactly the members that docs/formats.md, 14, names for the
# command; and nothing where there is no answer.
. tests/scenario/lib
mkdir "$work/policies"
cp policies/* "$work/policies/"
cd "$work/cwd"
echo a >a.bin
echo '{"result":"PASSED"}' >p.json
mkdir model && echo w >model/w

# answers COMMAND...: runs `attest COMMAND... --json` and compares the members with the page's row.
answers() {
    code=0
    "$attest" "$@" --json >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -le 1 ] || fail "exit $code: $*"
    python3 - "$root/docs/formats.md" "$work/out" "$*" <<'END' || fail "members: $*"
import json, re, sys
page, out, line = sys.argv[1:]
rows = dict(re.findall(r"^\| `attest ([a-z ]+)` \| ([^|]*) \|", open(page).read(), re.M))
want = next(row for name, row in rows.items() if (line + " ").startswith(name + " "))
want = sorted(re.findall(r"`(\w+)`", want))
have = sorted(json.load(open(out)))
if want != have:
    sys.exit("%s\nwant %s\nhave %s" % (line, want, have))
END
}

start_server "$work/data" --listen 127.0.0.1:0
answers provenance a.bin --build-type https://b.example/v1 --out a.json
answers attest a.bin --predicate-type https://p.example/v1 --predicate p.json
answers get 0
json 'sorted(d["attestation"])==["builderId","index","loggedAt","predicateType","receipt","signer","subject"]'
answers list a.bin
json 'sorted(d["attestations"][0])==["builderId","index","loggedAt","predicateType","receipt","signer","subject"]'
answers lineage a.bin
json 'sorted(d["nodes"][0])==["depth","digest","kind","name"]'
answers gate a.bin --environment production
answers gate a.bin --environment production --dry-run
answers log checkpoint
answers log proof 0
answers log consistency 1 2
answers log entries 0 2
json 'sorted(d["entries"][0])==["index","leaf"]'
answers log monitor --once
answers trust
answers token create reader --scope read
id=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token"]["id"])' "$work/out")
answers token list
json '{"createdAt","environments","expiresAt","id","name","predicateTypes","scopes","subjects"}==set(d["tokens"][0])'
answers token revoke "$id"
answers verify a.bin --receipt a.json
json 'd["verified"] is True and d["signer"]=="token:admin" and d["loggedAt"].endswith("Z") and d["compared"]=="digest"'
answers verify p.json --receipt a.json
json 'd["verified"] is False and [k for k in d if d[k] not in ("","0",[],False)]==["reason"]'
answers model digest model
answers model manifest model
answers policy test "$work/policies"
json 'sorted(d["cases"][0])==["case","file","passed","why"]'
answers policy lint "$work/policies"
answers bench submit --duration 100ms --connections 1 --streams 1

# no answer: nothing on standard output
for line in 'get 4711' 'list none' 'verify a.bin' 'gate a.bin' 'log proof 99999' 'token revoke none' 'policy test .'; do
    # shellcheck disable=SC2086
    "$attest" $line --json >"$work/out" 2>"$work/err" </dev/null && fail "exit 0: $line"
    [ ! -s "$work/out" ] || fail "it prints something: $line"
    [ -s "$work/err" ] || fail "it says nothing: $line"
done
