#!/bin/sh
# What the server answers in many pages, the commands answer whole.
. tests/scenario/lib
cd "$work/cwd"
echo a >a.bin
start_server "$work/data" --listen 127.0.0.1:0

# lineage: few digests, but more edges between them than a page holds, and more digests than that
materials() { # FIRST LAST
    for i in $(seq "$1" "$2"); do printf -- '--material part-%d@sha256:%064x\n' "$i" "$i"; done
}
for run in $(seq 10); do
    # shellcheck disable=SC2046
    expect 0 "$attest" provenance a.bin --build-type https://b.example/v1 --invocation "$run" --out - \
        $(materials 1 300)
done
pages='[(e["toDigest"],e["index"]) for e in d["edges"]]'
expect 0 "$attest" lineage a.bin --up --json
json "len(d['nodes'])==301 and len(set($pages))==len($pages)==3000 and d['nextPageToken']==''"
# shellcheck disable=SC2046
expect 0 "$attest" provenance a.bin --build-type https://b.example/v1 --out - $(materials 301 1200)
expect 0 "$attest" lineage a.bin --up --json
json "len(set(n['digest'] for n in d['nodes']))==len(d['nodes'])==1201 and len(set($pages))==len($pages)==3900"
expect 0 "$attest" lineage a.bin --up
said out "1201 digests, 3900 edges"
said out "part-1200 "
not_said out "CUT SHORT"
