#!/bin/sh
# A model's root does not bind the names of its files: a receipt over its manifest must not verify for
# a directory whose files were renamed, although the root is the same; and one that lists no files says
# that the root alone was compared.
. tests/scenario/lib
python3 tests/demo/model.py "$work/models"
cd "$work/cwd"
start_server "$work/data" --listen 127.0.0.1:0
model=$work/models/base
expect 0 "$attest" trust
expect 0 "$attest" model manifest "$model"
cp "$work/out" "$work/manifest.json"
expect 0 "$attest" model digest "$model" --json
cp "$work/out" "$work/before.json"
expect 0 "$attest" attest "$model" --predicate-type https://model_signing/signature/v1.0 \
    --predicate "$work/manifest.json" --out "$work/model.sigstore.json"
expect 0 "$attest" verify "$model" --receipt "$work/model.sigstore.json"
said out "compared    every file's name and digest"
expect 0 "$attest" verify "$model" --receipt "$work/model.sigstore.json" --json
json 'd["verified"] and d["compared"]=="files"'
# a receipt about the root that lists no files: what it cannot say, it must not seem to say
expect 0 "$attest" provenance "$model" --build-type https://b.example/train/v1 \
    --out "$work/root.sigstore.json"
mv "$model/config.json" "$model/config2.json" # keeps the order, and so the root
expect 0 "$attest" model digest "$model" --json
cmp "$work/out" "$work/before.json"
expect 1 "$attest" verify "$model" --receipt "$work/model.sigstore.json"
said out "config.json"
expect 1 "$attest" verify "$model" --receipt "$work/model.sigstore.json" --json
json 'not d["verified"] and d["compared"]==""'
expect 0 "$attest" verify "$model" --receipt "$work/root.sigstore.json"
said out "compared    the root alone"
expect 0 "$attest" verify "$model" --receipt "$work/root.sigstore.json" --json
json 'd["verified"] and d["compared"]=="root"'
expect 0 "$attest" verify "$(cut -d'"' -f4 "$work/before.json")" --receipt "$work/model.sigstore.json" --json
json 'd["compared"]=="digest"'
