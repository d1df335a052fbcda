#!/bin/sh
# grpcurl.sh ADDRESS CA TOKEN: the service as grpcurl finds it by reflection.
set -u
. "$(dirname "$0")/lib.sh"
address=$1 ca=$2 bearer="authorization: Bearer $(cat "$3")"
g() { "$INTEROP_CACHE/bin/grpcurl-$GRPCURL" -cacert "$ca" -max-time 20 "$@"; }
says() { # text, command...: exit 0 and the text in the output
    text=$1
    shift
    "$@" | tee /dev/stderr | grep -qF -- "$text"
}
fails() { # text, command...: not exit 0, and the text in the output
    text=$1
    shift
    if said=$("$@" 2>&1); then echo "exit 0" && return 1; fi
    echo "$said" | tee /dev/stderr | grep -qF -- "$text"
}

for service in Attestations Gate Lineage Log Trust Admin; do
    accepts "grpcurl: lists $service" says "attestd.v1.$service" g "$address" list
done
accepts "grpcurl: describes a method" says 'returns ( .attestd.v1.AttestResponse )' \
    g "$address" describe attestd.v1.Attestations.Attest
accepts "grpcurl: describes an imported message" says 'message Status' \
    g "$address" describe google.rpc.Status
accepts "grpcurl: health" says '"status": "SERVING"' g "$address" grpc.health.v1.Health/Check
digest=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
submission="{\"subject\":[{\"name\":\"x\",\"digest\":{\"sha256\":\"$digest\"}}],\"provenance\":{\"buildType\":\"https://example.com/b/v1\",\"externalParameters\":{\"a\":1}}}"
accepts "grpcurl: Attest" says '"receipt":' g -H "$bearer" -d "$submission" "$address" \
    attestd.v1.Attestations/Attest
accepts "grpcurl: List" says "\"sha256\": \"$digest\"" g -H "$bearer" \
    -d "{\"digest\":\"sha256:$digest\"}" "$address" attestd.v1.Attestations/List
accepts "grpcurl: Log" says 'rootHash' g -H "$bearer" -d '{}' "$address" \
    attestd.v1.Log/GetCheckpoint
accepts "grpcurl: no credentials" fails 'Code: Unauthenticated' g -d "$submission" "$address" \
    attestd.v1.Attestations/Attest
accepts "grpcurl: error details" fails '"reason": "PREDICATE_TYPE_RESERVED"' g -H "$bearer" \
    -d '{"subject":[{"digest":{"sha256":"'"$digest"'"}}],"predicateType":"https://slsa.dev/provenance/v1","json":{}}' \
    "$address" attestd.v1.Attestations/Attest
accepts "grpcurl: a stream until its deadline" fails 'Code: DeadlineExceeded' \
    g -max-time 2 -H "$bearer" -d '{"fromIndex":"1000000000"}' "$address" \
    attestd.v1.Attestations/Watch
closing
