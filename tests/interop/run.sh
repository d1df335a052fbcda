#!/bin/sh
# run.sh: other people's programs against ours. Receipts and tiles made without a server; a real server
# asked by four gRPC clients and curl; what that server issued, before every verifier. Ends with
# "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
export BUILD="${BUILD:-build/plain}"
dir=tests/interop
sh $dir/setup.sh || exit 2
here=$PWD/$dir
. $dir/versions
: "${INTEROP_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/attestd-interop}"
export INTEROP_CACHE
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

part() { # command...: its lines are shown and kept for counting
    timeout 900 "$@" 2>&1 | tee -a "$work/lines"
}

start_server() {
    mkdir -m 700 "$work/policies" && cp $dir/policies/*.yaml "$work/policies/" || return 1
    XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config "$BUILD/attestd" init \
        --data "$work/data" --origin attestd.test >"$work/server.log" 2>&1 || return 1
    XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config "$BUILD/attestd" serve \
        --data "$work/data" --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 \
        --policies "$work/policies" >>"$work/server.log" 2>&1 &
    server=$!
    tries=0
    until [ -s "$work/data/run.json" ]; do # written whole, when ready
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] && kill -0 "$server" 2>/dev/null || return 1
        sleep 0.1
    done
    address=$(sed -n 's/.*"listen":"\([^"]*\)".*/\1/p' "$work/data/run.json")
}

part sh $dir/receipts.sh
part sh $dir/tessera_fsck.sh
if start_server; then
    ca=$work/data/client/ca.pem
    token=$work/data/client/admin.token
    part node --no-deprecation $dir/grpc_js.js "$INTEROP_CACHE/node-grpc-$GRPC_JS" "$PWD/proto" "$address" "$ca" "$token"
    part "$INTEROP_CACHE/venv-grpc-$GRPCIO/bin/python" $dir/grpc_python.py proto "$address" "$ca" "$token"
    part "$INTEROP_CACHE/bin/$GO_GRPC" "$address" "$ca" "$token"
    part sh $dir/grpcurl.sh "$address" "$ca" "$token"
    part sh $dir/curl.sh "$address" "$ca" "$token"
    mkdir "$work/issued"
    if python3 $dir/submit.py "$address" "$ca" "$token" "$work/issued"; then
        part sh $dir/receipts.sh "$work/issued"
    else
        echo "FAILED  the server did not issue what it was asked for" | tee -a "$work/lines"
    fi
    if XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config "$BUILD/attest" trust --log-vkey \
        --server "https://$address" --ca "$ca" --token-file "$token" >"$work/log.vkey"; then
        part sh $dir/tessera_fsck.sh "https://$address" "$work/log.vkey" "$ca"
    else
        echo "FAILED  the server does not give its verifier key" | tee -a "$work/lines"
    fi
    kill "$server"
    wait "$server"
    code=$?
    server=
    verdict=ok
    [ "$code" -eq 0 ] || verdict=FAILED
    printf '%-7s a stop on SIGTERM exits 0 (exit %s)\n' "$verdict" "$code" | tee -a "$work/lines"
else
    echo "FAILED  the server does not start" | tee -a "$work/lines"
    tail -n 20 "$work/server.log"
fi
passed=$(grep -c '^ok ' "$work/lines")
failed=$(grep -c '^FAILED ' "$work/lines")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
