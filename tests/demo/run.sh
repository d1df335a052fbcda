#!/bin/sh
# The main job on real input: the binaries just built, the libraries they link, a software bill of
# materials of this machine, a small model. Everything happens in one temporary folder, on loopback,
# and ends by itself. KEEP=1 leaves the folder.
set -eu
: "${BUILD:=build/plain}"
top=$(pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/attestd-demo.XXXXXX")
PATH=$top/$BUILD:$PATH
export XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/state XDG_DATA_HOME=$work/share
unset ATTEST_SERVER ATTEST_CA ATTEST_TOKEN_FILE ATTEST_CONFIG
pid=
finish() {
    status=$?
    set +e # what is still there is cleaned up, whatever of it has gone already
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    fi
    if [ "$status" -ne 0 ]; then
        echo "the demo failed (exit $status); the server's log: $work/server.log"
        [ ! -f "$work/server.log" ] || tail -n 20 "$work/server.log"
    elif [ -z "${KEEP:-}" ]; then
        rm -rf "$work"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

bold=
plain=
if [ -t 1 ]; then
    bold=$(printf '\033[1m')
    plain=$(printf '\033[0m')
fi
step() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
show() { # prints a command as a person would type it, then runs it
    printf '$ %s\n' "$(echo "$*" | sed "s|$work/||g; s|$top/||g")"
    "$@"
}
start() { # the second time at the same address: the keys that were pinned for it still count
    attestd serve --data "$work/data" --listen "${listen:-127.0.0.1:0}" --ops-listen 127.0.0.1:0 \
        --policies "$work/policies" --anchor "$work/anchor" >>"$work/server.log" 2>&1 &
    pid=$!
    tries=0
    until [ -f "$work/data/run.json" ] && grep -q "\"pid\":$pid," "$work/data/run.json"; do
        kill -0 "$pid" 2>/dev/null || { echo "the server did not start"; exit 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "the server was not ready within 30 s"; exit 1; }
        sleep 0.1
    done
    listen=$(sed -n 's/.*"listen":"\([^"]*\)".*/\1/p' "$work/data/run.json")
    export ATTEST_SERVER="https://$listen"
    export ATTEST_CA="$work/data/client/ca.pem"
}
stop() { # signal: after TERM it must end well, after KILL by that
    want=0 code=0
    [ "$1" != KILL ] || want=137
    kill -s "$1" "$pid"
    wait "$pid" 2>/dev/null || code=$? # the shell would say "Killed"
    pid=
    [ "$code" -eq "$want" ] || { echo "the server ended with $code after $1"; exit 1; }
}

mkdir -p "$work/policies" "$work/out" "$work/model"
chmod 700 "$work/policies"
cp "$top"/tests/demo/policies/*.yaml "$work/policies/"
chmod 600 "$work"/policies/*

step "Start a server with the embedded store on loopback"
start
export ATTEST_TOKEN_FILE="$work/data/client/admin.token"
echo "listening on $listen, data in $work/data"

step "A narrow token for the pipeline, another for the gate"
show attest token create ci-demo --scope attest,read --expires 1d --out "$work/ci.token"
show attest token create gate-demo --scope gate,read --expires 1d --out "$work/gate.token"
show attest trust
export ATTEST_TOKEN_FILE="$work/ci.token"

step "Provenance of the binaries just built: git commit and installed libraries as materials"
commit=$(git -C "$top" rev-parse HEAD 2>/dev/null || echo 0000000000000000000000000000000000000000)
set -- --build-type "https://github.com/in-toto/attestation/blob/main/spec/predicates/provenance.md#make" \
    --param target=all --material "git+file://$top@gitCommit:$commit"
for lib in $(ldd "$BUILD/attestd" | awk '$3 ~ /(ssl|crypto|sodium|nghttp2|uv|rocksdb|yaml|protobuf-c|simdjson)/ {print $3}'); do
    real=$(readlink -f "$lib")
    package=$(dpkg-query -S "$real" 2>/dev/null | cut -d: -f1 | head -n 1)
    version=$(dpkg-query -W -f '${Version}' "${package:-none}" 2>/dev/null | head -n 1)
    digest=$(sha256sum "$real" | cut -d' ' -f1)
    set -- "$@" --material "pkg:deb/debian/${package:-unknown}@${version:-unknown}@sha256:$digest"
done
echo "$ attest provenance build/attestd build/attest --build-type ... --material git+... --material pkg:deb/... (x$(($# / 2 - 3)))"
attest provenance "$BUILD/attestd" "$BUILD/attest" "$@" --out "$work/out/build.sigstore.json"

step "A test result, and a CycloneDX bill of materials made from the package database"
if "$BUILD/test_base" >"$work/unit.log" 2>&1; then result=PASSED; else result=FAILED; fi
printf '{"result":"%s","configuration":[{"name":"tests/unit/test_base.c","digest":{"sha256":"%s"}}]}\n' \
    "$result" "$(sha256sum "$top/tests/unit/test_base.c" | cut -d' ' -f1)" >"$work/test-result.json"
show attest attest "$BUILD/attestd" --predicate-type https://in-toto.io/attestation/test-result/v0.1 \
    --predicate "$work/test-result.json" --out "$work/out/tests.sigstore.json"
python3 "$top/tests/demo/sbom.py" "$BUILD/attestd" >"$work/sbom.cdx.json"
show attest attest "$BUILD/attestd" --predicate-type https://cyclonedx.org/bom \
    --predicate "$work/sbom.cdx.json" --out "$work/out/sbom.sigstore.json"

step "A model: hash a directory of safetensors, with its base model as material"
python3 "$top/tests/demo/model.py" "$work/model"
show attest model digest "$work/model/base"
show attest provenance "$work/model/tuned" --build-type https://example.com/finetune/v1 \
    --param epochs=3 --material "role=base-model,$work/model/base" --out "$work/out/model.sigstore.json"

step "Stop the server. Receipts verify without it"
stop TERM
show attest verify "$BUILD/attestd" --receipt "$work/out/build.sigstore.json"
show attest verify "$work/model/tuned" --receipt "$work/out/model.sigstore.json"

step "Start it, kill -9 it, start it again: nothing acknowledged is lost"
start
show attest log checkpoint
stop KILL
start
show attest log checkpoint
for f in build tests sbom; do
    show attest verify "$BUILD/attestd" --receipt "$work/out/$f.sigstore.json"
done

step "What did attestd come from, and what came from the base model?"
show attest lineage "$BUILD/attestd" --up
show attest lineage "$work/model/base" --down

step "May it go to production? One allow, one deny with its reason"
export ATTEST_TOKEN_FILE="$work/gate.token"
show attest gate "$BUILD/attestd" --environment production --explain
code=0
show attest gate "$work/model/tuned" --environment production --explain || code=$?
[ "$code" -eq 1 ] || { echo "expected a deny (exit 1), got exit $code"; exit 1; }

step "Where to look next"
cat <<END
README.md              the five-minute tour, and how to verify without us (cosign and others)
docs/architecture.md   the house and the way of a submission
docs/formats.md        every octet that leaves the process
docs/operations.md     configuration, backup, recovery, what each refusal means
make test              all fast tests
END
