#!/bin/sh
# make.sh NAME: makes NAME.tar.gz with the binaries of $BUILD. Run from the root of the tree.
. tests/scenario/lib
name=$1
made=$work/made
mkdir -p "$made/receipts"
client() { python3 tests/fault/client.py "$made" "$listen" "$@"; }
start() {
    start_server "$made/data" --listen 127.0.0.1:0 --anchor "$made/outer.anchor"
    cp "$made/data/client/ca.pem" "$made/data/client/admin.token" "$made/"
}

expect 0 "$attestd" init --data "$made/data" --origin golden.example
mkdir -p "$made/data/policies"
cat >"$made/data/policies/golden.yaml" <<'YAML'
apiVersion: attestd/v1
kind: Policy
name: golden
require:
  - name: built
    predicateType: https://slsa.dev/provenance/v1
    signers: ["token:*"]
YAML
chmod 700 "$made/data/policies"
chmod 600 "$made/data/policies/golden.yaml"

start
expect 0 "$attest" trust --out "$made/trust.json"
client submit golden-1 300 # over a full tile
mkdir "$work/model"
echo weights >"$work/model/model.safetensors"
echo '{}' >"$work/model/config.json"
expect 0 "$attest" model manifest "$work/model"
cp "$work/out" "$work/manifest.json"
expect 0 "$attest" attest "$work/model" --predicate-type https://model_signing/signature/v1.0 \
    --predicate "$work/manifest.json" --out "$work/model.json"
stop_server # tables and blob files
start
expect 0 "$attest" gate "shop@sha256:$(printf golden-1/0 | sha256sum | cut -c1-64)" \
    --environment production
client submit golden-2 20
client tree
kill -9 "$server_pid" # the write-ahead log
wait "$server_pid" 2>/dev/null || true
server_pid=

# a sixteenth of what was acknowledged says enough, and keeps the archive small
for list in acks checkpoints; do
    awk 'NR % 16 == 1' "$made/$list" >"$work/kept"
    mv "$work/kept" "$made/$list"
done
for receipt in "$made"/receipts/*.json; do
    grep -q "$(basename "$receipt" .json)" "$made/acks" || rm "$receipt"
done

rm -rf "$made/data/run.json" "$made/data/backups" "$made/ca.pem" "$made/admin.token"
find "$made/data" -name 'LOG*' -type f -delete
tar -C "$made" --sort=name --owner=0 --group=0 --numeric-owner -czf "testdata/golden/$name.tar.gz" .
ls -l "testdata/golden/$name.tar.gz"
