#!/bin/sh
# curl.sh ADDRESS CA TOKEN: Connect's JSON, the open paths and wrong requests, from curl alone, over
# HTTP/2 and HTTP/1.1.
set -u
. "$(dirname "$0")/lib.sh"
base=https://$1
ca=$2
bearer="authorization: Bearer $(cat "$3")"
body=$(mktemp)
trap 'rm -f "$body"' EXIT

# answers WHAT STATUS TEXT ARG...: that HTTP status, and TEXT in the body.
answers() {
    what=$1 status=$2 text=$3
    shift 3
    got=$(curl -sS --cacert "$ca" -o "$body" -w '%{http_code}' --max-time 20 "$@" 2>&1)
    accepts "curl $version: $what" sh -c '
        [ "$1" = "$2" ] || { echo "HTTP $1 instead of $2"; cat "$4"; exit 1; }
        [ -z "$3" ] || grep -qF -- "$3" "$4" || { echo "no $3 in:"; cat "$4"; exit 1; }' - "$got" "$status" "$text" "$body"
}

zeros=$(printf '%064d' 0)
for version in --http2 --http1.1; do
    json='content-type: application/json'
    rpc="$base/attestd.v1"
    digest=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
    attest="{\"subject\":[{\"name\":\"x\",\"digest\":{\"sha256\":\"$digest\"}}],\"predicateType\":\"https://example.com/interop/v1\",\"json\":{\"a\":[1,2.5,\"\\u00e9\"]}}"
    answers "Attest" 200 '"receipt":"{\"mediaType\":' $version -H "$json" -H "$bearer" -d "$attest" "$rpc.Attestations/Attest"
    answers "Attest again: the same entry" 200 '"existing":true' $version -H "$json" -H "$bearer" -d "$attest" "$rpc.Attestations/Attest"
    answers "List: 64-bit numbers are strings" 200 '"treeSize":"' $version -H "$json" -H "$bearer" -d "{\"digest\":\"sha256:$digest\"}" "$rpc.Attestations/List"
    answers "Trace" 200 '"nodes":[' $version -H "$json" -H "$bearer" -d "{\"digest\":\"sha256:$digest\",\"direction\":\"UP\"}" "$rpc.Lineage/Trace"
    answers "Decide, a dry run: no evidence, no allow" 200 '"decision":"DENY"' $version -H "$json" -H "$bearer" -d "{\"subject\":{\"name\":\"x\",\"digest\":{\"sha256\":\"$zeros\"}},\"environment\":\"production\",\"dryRun\":true}" "$rpc.Gate/Decide"
    answers "GetTrust" 200 'trustedRoot' $version -H "$json" -d '{}' "$rpc.Trust/GetTrust"
    answers "protobuf body" 200 '' $version -H 'content-type: application/proto' -H "$bearer" --data-binary '' "$rpc.Log/GetCheckpoint"
    answers "unknown field" 400 '"code":"invalid_argument"' $version -H "$json" -H "$bearer" -d '{"nope":1}' "$rpc.Attestations/List"
    answers "malformed JSON" 400 '"code":"invalid_argument"' $version -H "$json" -H "$bearer" -d '{' "$rpc.Attestations/List"
    answers "error details" 400 'google.rpc.ErrorInfo' $version -H "$json" -H "$bearer" -d "{\"subject\":[{\"digest\":{\"sha256\":\"$digest\"}}],\"predicateType\":\"https://slsa.dev/provenance/v1\",\"json\":{}}" "$rpc.Attestations/Attest"
    answers "no credentials" 401 '"code":"unauthenticated"' $version -H "$json" -d "$attest" "$rpc.Attestations/Attest"
    answers "wrong credentials" 401 '"code":"unauthenticated"' $version -H "$json" -H 'authorization: Bearer attestd_x_y' -d "$attest" "$rpc.Attestations/Attest"
    answers "not found" 404 '"code":"not_found"' $version -H "$json" -H "$bearer" -d '{"index":"999999999999"}' "$rpc.Attestations/Get"
    answers "unknown method" 404 '' $version -H "$json" -H "$bearer" -d '{}' "$rpc.Attestations/NoSuch"
    answers "unknown content type" 415 '' $version -H 'content-type: text/plain' -H "$bearer" -d '{}' "$rpc.Attestations/List"
    answers "deadline" 200 '' $version -H "$json" -H "$bearer" -H 'connect-timeout-ms: 10000' -d '{}' "$rpc.Log/GetCheckpoint"
    answers "checkpoint" 200 "$(printf '\342\200\224 ')" $version "$base/checkpoint"
    answers "partial tile" 200 '' $version "$base/tile/0/000.p/1"
    answers "entry bundle" 200 '"kind":"dsse"' $version "$base/tile/entries/000.p/1"
    answers "tile beyond the log" 404 '' $version "$base/tile/0/999"
    answers "trusted root" 200 'trustedroot+json;version=0.1' $version "$base/trusted_root.json"
    answers "signing keys" 200 'signing-keys+json;version=1' $version "$base/signing-keys.json"
    answers "signing key" 200 'BEGIN PUBLIC KEY' $version "$base/signing-key.pem"
    answers "no such path" 404 '' $version "$base/no-such-path"
    answers "wrong verb" 405 '' $version -X DELETE "$base/checkpoint"
done
closing
