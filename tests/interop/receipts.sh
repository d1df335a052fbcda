#!/bin/sh
# receipts.sh [DIR]: other people's verifiers on our receipts, good and tampered. DIR is laid out as
# tests/tools/mint.c does; without it a log is minted for the occasion.
set -u
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bin=$INTEROP_CACHE/bin
export HOME="$work/home" # no client may find, or leave, anything in the real one
mkdir "$HOME"

dir=${1:-$work/minted}
if [ $# -eq 0 ]; then
    mkdir "$dir" && "$BUILD/tools/mint" "$dir" || exit 2
fi

# A client takes: key, receipt, artifact, predicate type.
cosign_2() { cosign "$COSIGN_2" "$@"; }
cosign_3() { cosign "$COSIGN_3" "$@"; }
cosign_2_no_tlog() { cosign "$COSIGN_2" "$@" --insecure-ignore-tlog; }
cosign_3_no_tlog() { cosign "$COSIGN_3" "$@" --insecure-ignore-tlog; }
cosign() {
    version=$1 key=$2 receipt=$3 artifact=$4 type=$5
    shift 5
    "$bin/cosign-$version" verify-blob-attestation "$@" --key "$key" --bundle "$receipt" \
        --trusted-root "$dir/trusted_root.json" --type "$type" "$artifact"
}
js_old() { node "$here/verify.js" "$INTEROP_CACHE/node-verify-$SIGSTORE_JS_OLD" "$1" "$dir/trusted_root.json" "$2"; }
js_new() { node "$here/verify.js" "$INTEROP_CACHE/node-verify-$SIGSTORE_JS_NEW" "$1" "$dir/trusted_root.json" "$2"; }
go_old() { "$bin/go_verify-$SIGSTORE_GO_OLD" "$1" "$dir/trusted_root.json" "$2" "$3"; }
go_new() { "$bin/go_verify-$SIGSTORE_GO_NEW" "$1" "$dir/trusted_root.json" "$2" "$3"; }
# Ours: exit 1 is "no", anything else is a failure of its own.
ours() {
    "$BUILD/attest" verify "$3" --receipt "$2" --trust "$dir/trusted_root.json" ${4:+--predicate-type "$4"}
}
ours_says_no() {
    ours "$@" && return 1
    [ $? -eq 1 ]
}
by_hand() { python3 "$here/by_hand.py" "$2" "$1" "$dir/trusted_root.json"; }
model() {
    "$INTEROP_CACHE/venv-model-$MODEL_SIGNING/bin/python" -m model_signing verify key "$3" \
        --signature "$2" --public_key "$1"
}
vsa() { # envelope, digest, resource URI, key
    "$bin/slsa-verifier-$SLSA_VERIFIER" verify-vsa --subject-digest "sha256:$2" \
        --attestation-path "$1" --verifier-id "$verifier_id" --resource-uri "$3" \
        --verified-level SLSA_BUILD_LEVEL_1 --public-key-path "$4"
}

echo "cosign_2 $COSIGN_2, cosign_3 $COSIGN_3, js_old $SIGSTORE_JS_OLD, js_new $SIGSTORE_JS_NEW," \
    "go_old $SIGSTORE_GO_OLD, go_new $SIGSTORE_GO_NEW"
full="cosign_2 cosign_3 js_old js_new go_old go_new"
provenance=https://slsa.dev/provenance/v1
summary=https://slsa.dev/verification_summary/v1
oms=https://model_signing/signature/v1.0
printf 'another artifact\n' >"$work/other"
mkdir "$work/tampered" "$work/tampered-model"
python3 "$here/tamper.py" "$dir/provenance.sigstore.json" "$work/tampered" || exit 2
python3 "$here/tamper.py" "$dir/model.sigstore.json" "$work/tampered-model" || exit 2

for client in $full cosign_2_no_tlog cosign_3_no_tlog; do
    for name in first-entry provenance; do
        accepts "$client: $name" "$client" "$dir/attestation.pem" "$dir/$name.sigstore.json" \
            "$dir/artifact" "$provenance"
    done
    accepts "$client: summary" "$client" "$dir/decision.pem" "$dir/summary.sigstore.json" \
        "$dir/artifact" "$summary"
    refuses "$client: another key" "$client" "$dir/decision.pem" \
        "$dir/provenance.sigstore.json" "$dir/artifact" "$provenance"
    for change in payload signature; do
        refuses "$client: tampered $change" "$client" "$dir/attestation.pem" \
            "$work/tampered/$change.json" "$dir/artifact" "$provenance"
    done
done
cp "$dir/signing-keys.json" "$dir/trusted_root.json.keys.json"
for name in first-entry provenance; do
    accepts "attest: $name" ours - "$dir/$name.sigstore.json" "$dir/artifact" "$provenance"
done
accepts "attest: summary" ours - "$dir/summary.sigstore.json" "$dir/artifact" "$summary"
accepts "attest: model" ours - "$dir/model.sigstore.json" "$dir/model" "$oms"
for change in payload signature set no-set proof root checkpoint body; do
    accepts "attest: says no to a tampered $change" ours_says_no - "$work/tampered/$change.json" \
        "$dir/artifact"
done
accepts "attest: says no to another artifact" ours_says_no - "$dir/provenance.sigstore.json" "$work/other"
accepts "attest: says no to another predicate type" ours_says_no - "$dir/provenance.sigstore.json" \
    "$dir/artifact" "$oms"
for name in first-entry provenance; do
    accepts "docs/formats.md 12: $name" by_hand "$dir/attestation.pem" "$dir/$name.sigstore.json"
done
for change in payload signature set proof checkpoint body; do
    refuses "docs/formats.md 12: tampered $change" by_hand "$dir/attestation.pem" \
        "$work/tampered/$change.json"
done
for client in $full; do
    # @sigstore/verify takes the root hash from the checkpoint alone; cosign does not need the SET
    # where there is a key. Ours needs every one of them (tests/unit/test_bundle.c).
    case $client in
        js_*) changes="set no-set proof checkpoint body" ;;
        cosign_*) changes="set proof root checkpoint body" ;;
        *) changes="set no-set proof root checkpoint body" ;;
    esac
    for change in $changes; do
        refuses "$client: tampered $change" "$client" "$dir/attestation.pem" \
            "$work/tampered/$change.json" "$dir/artifact" "$provenance"
    done
done
for client in cosign_2 cosign_3 go_old go_new; do # @sigstore/verify does not look at the artifact
    refuses "$client: another artifact" "$client" "$dir/attestation.pem" \
        "$dir/provenance.sigstore.json" "$work/other" "$provenance"
done
refuses "cosign_3: another predicate type" cosign_3 "$dir/attestation.pem" \
    "$dir/provenance.sigstore.json" "$dir/artifact" "$oms" # cosign 2.6 does not compare it

accepts "model_signing: model" model "$dir/attestation.pem" "$dir/model.sigstore.json" "$dir/model"
for change in payload signature; do
    refuses "model_signing: tampered $change" model "$dir/attestation.pem" \
        "$work/tampered-model/$change.json" "$dir/model"
done
cp -r "$dir/model" "$work/model" && printf x >>"$work/model/$(ls "$dir/model" | head -n 1)"
refuses "model_signing: another model" model "$dir/attestation.pem" \
    "$dir/model.sigstore.json" "$work/model"

# What a decision says about itself is in its payload; a tampered one must not pass.
field() { python3 -c 'import base64,json,sys
v = json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))
for name in sys.argv[2].split("."): v = v[int(name) if name.isdigit() else name]
print(v)' "$dir/summary.dsse.json" "$1"; }
verifier_id=$(field predicate.verifier.id)
digest=$(field subject.0.digest.sha256)
resource=$(field predicate.resourceUri)
accepts "slsa-verifier: summary" vsa "$dir/summary.dsse.json" "$digest" "$resource" \
    "$dir/decision.pem"
refuses "slsa-verifier: another key" vsa "$dir/summary.dsse.json" "$digest" "$resource" \
    "$dir/attestation.pem"
refuses "slsa-verifier: another resource" vsa "$dir/summary.dsse.json" "$digest" "x$resource" \
    "$dir/decision.pem"
sed 's/"sig":"\(.\{20\}\)./"sig":"\1A/' "$dir/summary.dsse.json" >"$work/summary.json"
cmp -s "$dir/summary.dsse.json" "$work/summary.json" &&
    sed 's/"sig":"\(.\{20\}\)./"sig":"\1B/' "$dir/summary.dsse.json" >"$work/summary.json"
refuses "slsa-verifier: tampered signature" vsa "$work/summary.json" "$digest" "$resource" \
    "$dir/decision.pem"
closing
