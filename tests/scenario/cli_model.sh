#!/bin/sh
# A model's root does not bind the names of its files: a receipt over its manifest must not verify for
# a directory whose files were renamed, although the root is the same.
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
mv "$model/config.json" "$model/config2.json" # keeps the order, and so the root
expect 0 "$attest" model digest "$model" --json
cmp "$work/out" "$work/before.json"
expect 1 "$attest" verify "$model" --receipt "$work/model.sigstore.json"
said out "config.json"
