#!/bin/sh
# tessera_fsck.sh [URL VKEY [CA]]: Tessera's own fsck reads a log as C2SP tlog-tiles and recomputes
# it from its entry bundles. With URL: that served log, by the verifier key in the file VKEY, TLS by
# the file CA. Without: logs of sizes around 256^k as static files, and one that was tampered with,
# which it must refuse. Ends with "N passed, N failed".
set -u
. "$(dirname "$0")/lib.sh"
TESSERA=v1.0.4
fsck=$INTEROP_CACHE/bin/tessera-fsck-$TESSERA
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

if [ ! -x "$fsck" ]; then
    mkdir -p "$INTEROP_CACHE/bin"
    echo "building $fsck"
    if ! GOPROXY=https://proxy.golang.org GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
        GOBIN=$work/bin go install -p 1 "github.com/transparency-dev/tessera/cmd/fsck@$TESSERA" \
        >"$work/build.log" 2>&1; then
        tail -n 15 "$work/build.log" >&2
        exit 2
    fi
    mv "$work/bin/fsck" "$fsck"
fi

# Its exit code says nothing (0 also when it found a difference): what it says at the end does.
check() { # url, vkey file
    timeout 300 "$fsck" --logtostderr --ui=false -N 2 --storage_url="$1" --public_key="$2" \
        >"$work/fsck.log" 2>&1
    cut -c 1-200 "$work/fsck.log"
    grep -q "Successfully fsck'd log with size" "$work/fsck.log" &&
        ! grep -q 'fsck failed' "$work/fsck.log"
}

if [ $# -ge 2 ]; then
    [ $# -lt 3 ] || export SSL_CERT_FILE="$3"
    accepts "tessera fsck of $1" check "$1/" "$2"
    closing
    exit
fi

serve() { # folder: $url is where it is served
    python3 -u -m http.server --bind 127.0.0.1 --directory "$1" 0 >"$work/http.log" 2>&1 &
    server=$!
    tries=0
    until url=$(sed -n 's/.*(\(http:[^)]*\)).*/\1/p' "$work/http.log") && [ -n "$url" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "no http.server"; exit 2; }
        sleep 0.1
    done
}

serve "$work"
for size in 1 2 255 256 257 512 1000 65535 65536 65793; do
    "$BUILD/tools/log_files" "$work/$size" "$size" || exit 2
    accepts "tessera fsck of $size entries" check "$url$size/" "$work/$size/log.vkey"
    [ "$size" -lt 10000 ] || rm -rf "${work:?}/$size"
done

flip() { # file: its 21st octet becomes another
    octet=$(od -An -tu1 -j20 -N1 "$1" | tr -d ' ')
    printf "$(printf '\\%03o' $(((octet + 1) % 256)))" | dd of="$1" bs=1 seek=20 conv=notrunc 2>/dev/null
}
for file in tile/0/000 tile/0/003.p/232 tile/1/000.p/3 tile/entries/001 checkpoint; do
    cp -r "$work/1000" "$work/bad"
    flip "$work/bad/$file"
    refuses "a flipped octet in $file" check "${url}bad/" "$work/1000/log.vkey"
    rm -rf "$work/bad"
done
refuses "another log's key" check "${url}1000/" "$work/257/log.vkey"
closing
