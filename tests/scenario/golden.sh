#!/bin/sh
# Every data directory of testdata/golden opens, checks, serves what it acknowledged, and grows.
. tests/scenario/lib
for archive in testdata/golden/*.tar.gz; do
    [ -f "$archive" ] || fail "no golden data directory"
    old=$work/$(basename "$archive" .tar.gz)
    mkdir "$old"
    tar -C "$old" --no-same-owner -xzf "$archive"
    client() { python3 tests/fault/client.py "$old" "$listen" "$@"; }

    expect 0 "$attestd" fsck --data "$old/data" --anchor "$old/outer.anchor"
    expect 0 "$attestd" token create golden-reader --data "$old/data" --expires 1d \
        --out "$old/admin.token" # the one inside has expired
    start_server "$old/data" --listen 127.0.0.1:0 --anchor "$old/outer.anchor"
    cp "$old/data/client/ca.pem" "$old/"
    export ATTEST_TOKEN_FILE="$old/admin.token"
    expect 0 "$root/$BUILD/tools/verify_receipts" "$old/trust.json" "$old/receipts"
    expect 0 client tree
    expect 0 "$attest" list "sha256:$(printf golden-1/0 | sha256sum | cut -c1-64)" --json
    json 'len(d["attestations"]) == 2' # its provenance, and the decision about it
    expect 0 "$attest" lineage "sha256:$(printf golden-1/0 | sha256sum | cut -c1-64)" --up --json
    json 'len(d["edges"]) >= 1'
    expect 0 "$attest" gate "shop@sha256:$(printf golden-1/7 | sha256sum | cut -c1-64)" \
        --environment production # by evidence that the older version logged
    expect 0 "$attest" trust --out "$old/trust.now"
    cmp "$old/trust.now" "$old/trust.json" || fail "the trusted root has changed"
    expect 0 client submit golden-now 5
    expect 0 client tree
    stop_server
    expect 0 "$attestd" fsck --data "$old/data" --anchor "$old/outer.anchor"
done
