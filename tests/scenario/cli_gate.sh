#!/bin/sh
# The policies that are shipped, lived through: an image from build to production by way of staging,
# and a model to serving; each step by its own narrow token.
. tests/scenario/lib
cd "$work/cwd"
expect 0 "$attestd" init --data "$work/data" --origin attestd.example
cp -r "$root/policies" "$work/policies" # whoever owns the checkout
start_server "$work/data" --listen 127.0.0.1:0 --policies "$work/policies"
for token in ci-shop:attest scanner:attest deploy-shop:gate train-ranker:attest eval-1:attest; do
    expect 0 "$attest" token create "${token%:*}" --scope "${token#*:}" --out "${token%:*}.token"
done
as() { # TOKEN COMMAND...
    token=$1
    shift
    "$attest" "$@" --token-file "$token.token"
}
echo image >shop.tar
image="--name registry.example/shop"
production="gate shop.tar $image --environment production"
staging="gate shop.tar $image --environment staging"

# nothing is known: everything is missing
# shellcheck disable=SC2086
expect 1 as deploy-shop $production --json
json '[r["result"] for r in d["rules"]]==["FAIL"]*5 and d["guidance"].startswith("Build from main")'

# a build of a branch goes to staging, not to production
# shellcheck disable=SC2086
expect 0 as ci-shop provenance shop.tar $image --build-type https://ci.example/pipeline/v1 \
    --param repository=git+https://git.example/shop --param ref=refs/heads/wip
# shellcheck disable=SC2086
expect 0 as deploy-shop $staging
said out "ALLOW"
# shellcheck disable=SC2086
expect 1 as deploy-shop $production --explain
said out 'declared source "git+https://git.example/shop" at "refs/heads/wip"'
said out "mend it"
said out "what to do: Build from main"

# the release: built, tested, scanned, inventoried, and in staging before
# shellcheck disable=SC2086
expect 0 as ci-shop provenance shop.tar $image --build-type https://ci.example/pipeline/v1 \
    --param repository=git+https://git.example/shop --param ref=refs/heads/main
echo '{"result":"PASSED","configuration":[]}' >tests.json
echo '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}' >sbom.json
echo '{"scanner":{"uri":"pkg:generic/s","result":[]},"metadata":{}}' >vulns.json
expect 0 as ci-shop attest shop.tar --predicate-type https://in-toto.io/attestation/test-result/v0.1 --predicate tests.json
expect 0 as ci-shop attest shop.tar --predicate-type https://cyclonedx.org/bom --predicate sbom.json
# by a pipeline, the scan does not count
expect 0 as ci-shop attest shop.tar --predicate-type https://in-toto.io/attestation/vulns/v0.2 --predicate vulns.json
# shellcheck disable=SC2086
expect 1 as deploy-shop $production --json
json '[r["rule"] for r in d["rules"] if r["result"]!="PASS"]==["scanned"]'
expect 0 as scanner attest shop.tar --predicate-type https://in-toto.io/attestation/vulns/v0.2 --predicate vulns.json
# shellcheck disable=SC2086
expect 0 as deploy-shop $production --json
json 'd["decision"]=="ALLOW" and len(d["rules"])==5 and int(d["index"])>0'
python3 -c 'import json,sys; open("vsa.json","w").write(json.load(open(sys.argv[1]))["receipt"])' "$work/out"
expect 0 "$attest" verify shop.tar --receipt vsa.json --predicate-type https://slsa.dev/verification_summary/v1

# a token may do what it is for, and the gate's own summaries cannot be forged
# shellcheck disable=SC2086
expect 2 as ci-shop $production
said err "scope"
expect 2 as ci-shop attest shop.tar --predicate-type https://slsa.dev/verification_summary/v1 --predicate tests.json
# an image of the same octets under a name that no policy knows
expect 1 as deploy-shop gate shop.tar --name elsewhere.example/shop --environment production
said out "no policy matches"

# a model
mkdir ranker && echo weights >ranker/model.safetensors && echo '{}' >ranker/config.json
echo base >base.bin
model="--name models.example/shop-ranker"
expect 0 "$attest" model manifest ranker
cp "$work/out" manifest.json
echo '{"result":"PASSED","configuration":[{"name":"promotion-suite"}]}' >eval.json
# shellcheck disable=SC2086
expect 0 as train-ranker provenance ranker $model --build-type https://attestd.example/training/v1 \
    --param repository=git+https://git.example/training --param ref=refs/tags/7 --material role=base-model,base.bin
# shellcheck disable=SC2086
expect 0 as train-ranker attest ranker $model --predicate-type https://model_signing/signature/v1.0 --predicate manifest.json
expect 0 as scanner attest ranker --predicate-type https://in-toto.io/attestation/vulns/v0.2 --predicate vulns.json
# shellcheck disable=SC2086
expect 1 as deploy-shop gate ranker $model --environment serving-eu
said out "model-promotion/evaluated"
expect 0 as eval-1 attest ranker --predicate-type https://in-toto.io/attestation/test-result/v0.1 --predicate eval.json
# shellcheck disable=SC2086
expect 0 as deploy-shop gate ranker $model --environment serving-eu
echo changed >>ranker/model.safetensors
# shellcheck disable=SC2086
expect 1 as deploy-shop gate ranker $model --environment serving-eu
