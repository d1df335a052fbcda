#!/bin/sh
# What the commands answer, with exit codes: 0 yes, 1 no, 2 anything else.
. tests/scenario/lib
cd "$work/cwd"
echo a >a.bin
echo b >b.bin
echo base >base.bin
mkdir model && echo w >model/w
echo '{"result":"PASSED"}' >p.json

# usage: what went wrong, then what to do; nothing on standard output
expect 2 "$attest"
said err "Usage"
expect 2 "$attest" frobnicate
said err 'no command `frobnicate`'
expect 2 "$attest" gatee a.bin
said err 'did you mean `gate`'
expect 2 "$attest" log
said err "log proof"
expect 2 "$attest" log prof
said err 'no command `log prof`; did you mean `log proof`'
expect 0 "$attest" log --help
expect 0 "$attest" --version
for line in 'gate' 'verify' 'gate a.bin --colour' 'gate a.bin b.bin --environment e' \
    'gate a.bin --environment e --environment f' 'gate a.bin --environment' 'gate a.bin --explain=1'; do
    # shellcheck disable=SC2086
    expect 2 "$attest" $line --server https://127.0.0.1:1
    said err "See \`attest "
    [ ! -s "$work/out" ] || fail "usage errors say something on standard output"
done
expect 2 "$attest" list a.bin
said err "no server is named"
expect 2 "$attest" list a.bin --server http://127.0.0.1:1
said err "must be https://HOST:PORT"
expect 2 "$attest" verify a.bin --receipt none.json
expect 2 "$attest" list a.bin --server https://127.0.0.1:1 --timeout 300ms --ca /dev/null
expect 2 "$attest" policy test .
said err "no cases"
# what went wrong, then what to do: every error has both
for line in 'list none' 'list a.bin --as-of x' 'log entries 0 1 --token-file none'; do
    # shellcheck disable=SC2086
    expect 2 "$attest" $line --timeout 1s --server https://127.0.0.1:1
    [ "$(wc -l <"$work/err")" -ge 2 ] || fail "it does not say what to do: $line"
done
for line in --help --version 'log --help' 'gate --help'; do
    expect 2 sh -c "'$attest' $line >/dev/full"
    said err "standard output cannot be written"
done

start_server "$work/data" --listen 127.0.0.1:0

# submit: materials of every form, roles, times; the receipt goes where it should
expect 0 "$attest" provenance a.bin --build-type https://b.example/v1 --param ref=refs/heads/main \
    --param k=v=w --material b.bin --material role=base-model,base.bin --material role=dataset,model \
    --material git+https://g.example/r@refs/heads/main@gitCommit:0123456789abcdef0123456789abcdef01234567 \
    --started 2026-01-02T03:04:05Z --finished 2026-01-02T03:05:05.5Z --invocation run-1
said out "logged as entry 0"
said out "receipt     a.bin.sigstore.json"
expect 0 "$attest" provenance a.bin --build-type https://b.example/v2 --out a2.json --json
json 'd["index"]=="1" and d["existing"] is False and d["receipt"].startswith("{")'
[ -s a2.json ] || fail "--out was not written"
expect 0 "$attest" attest a.bin b.bin --predicate-type https://p.example/v1 --predicate p.json --out -
json 'd["mediaType"].startswith("application/vnd.dev.sigstore.bundle")'
expect 0 "$attest" attest a.bin --predicate-type https://p.example/v1 --predicate p.json
said out "receipt     a.bin.2.sigstore.json" # the default name never replaces
expect 0 "$attest" attest model --predicate-type https://p.example/v1 --predicate p.json
expect 0 "$attest" attest "named@sha256:$(sha256sum b.bin | cut -d' ' -f1)" \
    --predicate-type https://p.example/v2 --predicate p.json
said out "receipt     named.sigstore.json"
# the file's own name, whatever it is recorded as
echo deb >'lib_1.2+dfsg-1~b_amd64.deb'
expect 0 "$attest" attest 'lib_1.2+dfsg-1~b_amd64.deb' --name registry.example/lib:1 \
    --predicate-type https://p.example/v2 --predicate p.json
said out "receipt     lib_1.2+dfsg-1~b_amd64.deb.sigstore.json"
for line in 'provenance a.bin' 'provenance a.bin --build-type x' 'provenance a.bin --build-type b:x --param novalue' \
    'provenance a.bin --build-type b:x --material nowhere' 'provenance a.bin --build-type b:x --started never' \
    'provenance none --build-type b:x' 'provenance sha1:00 --build-type b:x' 'attest a.bin --predicate p.json' \
    'attest a.bin --predicate-type https://slsa.dev/provenance/v1 --predicate p.json' \
    'attest a.bin --predicate-type https://p.example/v1 --predicate none.json' \
    'provenance a.bin b.bin --name n --build-type b:x' \
    'attest a.bin --predicate-type https://p.example/v1 --predicate p.json --json --out -'; do
    # shellcheck disable=SC2086
    expect 2 "$attest" $line
done
expect 2 "$attest" provenance a.bin --build-type b:x --param k=1 --param k=2
said err "See \`attest provenance --help\`"

# what is logged is logged, whatever becomes of the receipt: it says where it is
for line in '--out nowhere/r.json' '--out /dev/full'; do
    # shellcheck disable=SC2086
    expect 2 "$attest" provenance a.bin --build-type https://b.example/v2 $line
    said err "logged, as entry 1; \`attest get 1\`"
done
expect 2 sh -c "'$attest' provenance a.bin --build-type https://b.example/v2 --json --out a3.json >/dev/full"
said err "logged, as entry 1; \`attest get 1\`"
# a file of this machine is nothing that the server could help with
expect 2 "$attest" get 0 --out /dev/full
said err "the room on its disk"
expect 2 "$attest" get 0 --out a.bin/got.json
not_said err "token"

# verify: offline, strictly; exit 1 is "no", 2 is "could not tell"
receipt=a.bin.sigstore.json
expect 0 "$attest" verify a.bin --receipt $receipt
said out "logged"
expect 0 "$attest" verify a.bin --receipt $receipt --json --predicate-type https://slsa.dev/provenance/v1
json 'd["verified"] is True and d["index"]=="0" and d["subject"][0]["name"]=="a.bin" and d["reason"]==""'
expect 0 "$attest" verify a.bin --receipt $receipt --max-age 1h
expect 1 "$attest" verify b.bin --receipt $receipt
expect 1 "$attest" verify a.bin --receipt $receipt --predicate-type https://p.example/v1
expect 1 "$attest" verify a.bin --receipt p.json --json
json 'd["verified"] is False and d["reason"]!="" and d["index"]=="0" and d["subject"]==[]'
sleep 1.1
expect 1 "$attest" verify a.bin --receipt $receipt --max-age 1s
said out "--max-age"
cp "$(cat "$XDG_STATE_HOME/attest/last-trust")" t.json
expect 2 "$attest" verify a.bin --receipt $receipt --trust t.json # without t.json.keys.json
said err "FILE.keys.json"
# a type that an unset variable left empty must not become any type
expect 2 "$attest" verify a.bin --receipt $receipt --predicate-type ""
expect 2 "$attest" list a.bin --predicate-type ""
cp "$(cat "$XDG_STATE_HOME/attest/last-trust").keys.json" t.json.keys.json
expect 0 "$attest" verify a.bin --receipt $receipt --trust t.json

# find
expect 0 "$attest" list a.bin --json
json 'len(d["attestations"])==4 and d["nextPageToken"]=="" and d["attestations"][0]["index"]=="0"'
expect 0 "$attest" list a.bin --predicate-type https://p.example/v1 --json
json 'len(d["attestations"])==2'
expect 0 "$attest" list a.bin --as-of 1 --json
json 'len(d["attestations"])==1'
expect 0 "$attest" list sha256:"$(printf '0%.0s' $(seq 64))"
said out "0 about"
expect 0 "$attest" get 0 --out got.json
cmp got.json $receipt || fail "get does not give the receipt that was given"
expect 0 "$attest" get 0 --dsse
json 'd["payloadType"]=="application/vnd.in-toto+json" and len(d["signatures"])==1'
expect 0 "$attest" get 0 --json
json 'd["attestation"]["predicateType"]=="https://slsa.dev/provenance/v1"'
expect 1 "$attest" get 4711
expect 1 "$attest" get sha256:"$(printf '0%.0s' $(seq 64))"
for index in first '' 18446744073709551616; do
    expect 2 "$attest" get "$index"
    said err "is no index"
done
expect 0 "$attest" lineage a.bin --up --json
json 'sorted(e["kind"] for e in d["edges"] if e["index"]=="0")==["built-from","built-from","derived-as","trained-on"]'
expect 0 "$attest" lineage base.bin --down
said out "derived-as"
expect 0 "$attest" lineage b.bin --up --depth 1 --json
expect 2 "$attest" lineage a.bin --up --down
expect 2 "$attest" lineage a.bin --depth 65

# closed descriptors: an answer that cannot be given is no answer, and nothing else takes their place
expect 2 sh -c "'$attest' list a.bin >&-"
expect 0 sh -c "'$attest' list a.bin <&- 2>&-"
said out "4 about"
expect 2 sh -c "'$attest' verify a.bin --receipt - <&-"

# the log
expect 0 "$attest" log checkpoint
[ "$(head -c 1 "$work/out" | wc -c)" -eq 1 ] && [ "$(sed -n 2p "$work/out")" = 7 ] ||
    fail "the checkpoint is not the note"
expect 0 "$attest" log checkpoint --json
json 'd["treeSize"]=="7" and d["checkpoint"].splitlines()[1]=="7"'
expect 0 "$attest" log proof 2 --tree-size 4 --json
json 'd["treeSize"]=="4" and len(d["hashes"])==2'
expect 2 "$attest" log proof 9
expect 0 "$attest" log consistency 3 6
expect 0 "$attest" log consistency 6 6 --json
expect 2 "$attest" log consistency 6 3
expect 0 "$attest" log entries 1 4
[ "$(wc -l <"$work/out")" -eq 3 ] || fail "entries are not one a line"
expect 2 "$attest" log entries 0 99999
said err "the log has 7 entries"
expect 2 "$attest" log entries 4 1

# tokens: no more than they may, and gone when revoked
expect 0 "$attest" token create reader --scope read --out reader.token
[ "$(stat -c %a reader.token)" = 600 ] || fail "a token file that others can read"
expect 0 "$attest" list a.bin --token-file reader.token
expect 2 "$attest" attest a.bin --predicate-type https://p.example/v9 --predicate p.json --token-file reader.token
said err "scope"
expect 2 "$attest" token create reader --scope read
expect 2 "$attest" token create lost --scope read --out nowhere/lost.token
said err "revoke it"
expect 2 sh -c "'$attest' token create lost-2 --scope read >/dev/full"
said err "revoke it"
expect 2 "$attest" token create other
expect 0 "$attest" token list --json
id=$(python3 -c 'import json,sys; print([t["id"] for t in json.load(open(sys.argv[1]))["tokens"] if t["name"]=="reader"][0])' "$work/out")
expect 0 "$attest" token revoke "$id"
expect 2 "$attest" list a.bin --token-file reader.token
expect 0 sh -c "'$attest' list a.bin --token-file - <'$data/client/admin.token'"

# the gate denies what no policy allows
expect 1 "$attest" gate a.bin --environment production --explain
said out "DENY"
said out "no policy"
expect 1 "$attest" gate a.bin --environment production --json --dry-run
json 'd["decision"]=="DENY" and d["receipt"]=="" and d["rules"]==[]'

# models
expect 0 "$attest" model digest model --json
json 'd["files"]=="1" and d["bytes"]=="2" and d["digest"].startswith("sha256:")'
expect 0 "$attest" model manifest model
json 'd["resources"][0]["name"]=="w"'
ln -s w model/link
expect 2 "$attest" model digest model
said err "link"

# the configuration file comes last, the flag first
unset ATTEST_SERVER ATTEST_CA ATTEST_TOKEN_FILE
printf '{"server":"%s","ca":"%s","token_file":"%s"}' "https://$listen" "$data/client/ca.pem" \
    "$data/client/admin.token" >config.json
ATTEST_CONFIG=$PWD/config.json expect 0 "$attest" list a.bin
ATTEST_CONFIG=$PWD/config.json ATTEST_SERVER=https://127.0.0.1:1 \
    expect 0 "$attest" list a.bin --server "https://$listen"
echo '{"servers":"x"}' >config.json
ATTEST_CONFIG=$PWD/config.json expect 2 "$attest" list a.bin
said err "servers"
