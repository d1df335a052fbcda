#!/bin/sh
# setup.sh: other people's clients, built once from the Go module proxy, npm and PyPI and kept by
# version below $INTEROP_CACHE. Running it again does nothing; a version in `versions` that changes
# is built anew beside the old one. Any failure ends it with the log's last lines.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions"
: "${INTEROP_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/attestd-interop}"
export GOPROXY=https://proxy.golang.org GOFLAGS=-buildvcs=false CGO_ENABLED=0
mkdir -p "$INTEROP_CACHE/bin" "$INTEROP_CACHE/logs"
cd "$INTEROP_CACHE"
renice -n 10 $$ >/dev/null

for tool in go node npm python3; do
    command -v "$tool" >/dev/null || {
        echo "setup: $tool is missing: go >= 1.25, node >= 20.17 with npm, python3 with venv" >&2
        exit 2
    }
done

# once PATH FUNCTION ARG...: makes PATH by FUNCTION in a folder that is moved there when whole.
once() {
    target=$1
    shift
    [ ! -e "$target" ] || return 0
    echo "setup: $target"
    rm -rf "$target.new" "$target.new.d"
    log=logs/$(basename "$target").log
    if ! (set -e; "$@" "$INTEROP_CACHE/$target.new") >"$log" 2>&1; then
        echo "setup: $target failed:" >&2
        tail -n 15 "$log" >&2
        exit 2
    fi
    mv "$target.new" "$target"
}

go_tool() { # package, version, out
    GOBIN=$3.d go install -p 1 "$1@$2" || return 1
    mv "$3.d"/* "$3" && rmdir "$3.d"
}

go_program() { # source folder, module@version,..., out
    mkdir "$3.d" && cp "$1"/*.go "$3.d/" && cd "$3.d" || return 1
    go mod init interop.example/client || return 1
    for module in $(echo "$2" | tr ',' ' '); do
        go get "$module" || return 1
    done
    go mod tidy && go build -p 1 -o "$3" . && cd .. && rm -rf "$3.d"
}

go_grpc_client() { # out: grpc-go's generated code for proto/ and a program on it
    rm -f "$INTEROP_CACHE"/bin/go_grpc-*
    mkdir -p "$1.d" && cp "$here"/go_grpc/*.go "$1.d/" && cd "$1.d" || return 1
    proto=$here/../../proto
    packages=Mgoogle/rpc/status.proto=google.golang.org/genproto/googleapis/rpc/status
    for file in "$proto"/attestd/v1/*.proto; do
        packages=$packages,Mattestd/v1/$(basename "$file")=interop.example/client/attestd
    done
    protoc -I"$proto" -I/usr/include \
        --plugin="protoc-gen-go=$INTEROP_CACHE/bin/protoc-gen-go-$PROTOC_GEN_GO" \
        --plugin="protoc-gen-go-grpc=$INTEROP_CACHE/bin/protoc-gen-go-grpc-$PROTOC_GEN_GO_GRPC" \
        --go_out=. --go_opt="module=interop.example/client,$packages" \
        --go-grpc_out=. --go-grpc_opt="module=interop.example/client,$packages" \
        "$proto"/attestd/v1/*.proto || return 1
    go mod init interop.example/client && go get "google.golang.org/grpc@$GRPC_GO" || return 1
    go mod tidy && go build -p 1 -o "$1" . && cd .. && rm -rf "$1.d"
}

# A tool whose list of versions the proxy does not give out, which `go install` asks for: the pinned
# version alone, required by a module of its own.
go_pinned_tool() { # module, version, package below it, out
    mkdir "$4.d" && cd "$4.d" || return 1
    go mod init interop.example/tool && go mod edit "-require=$1@$2" || return 1
    go build -mod=mod -p 1 -o "$4" "$1/$3" && cd .. && rm -rf "$4.d"
}

node_folder() { # package@version,..., out
    mkdir "$2"
    # shellcheck disable=SC2046
    npm install --prefix "$2" --no-audit --no-fund --silent $(echo "$1" | tr ',' ' ')
}

python_venv() { # package==version,..., out
    # shellcheck disable=SC2046
    python3 -m venv "$2" && "$2/bin/python" -m pip install -q $(echo "$1" | tr ',' ' ')
}

once "node-verify-$SIGSTORE_JS_OLD" node_folder "@sigstore/verify@$SIGSTORE_JS_OLD"
once "node-verify-$SIGSTORE_JS_NEW" node_folder "@sigstore/verify@$SIGSTORE_JS_NEW"
once "node-grpc-$GRPC_JS" node_folder "@grpc/grpc-js@$GRPC_JS,@grpc/proto-loader@$PROTO_LOADER"
once "venv-model-$MODEL_SIGNING" python_venv "model-signing==$MODEL_SIGNING,pyOpenSSL"
once "venv-grpc-$GRPCIO" python_venv "grpcio==$GRPCIO,grpcio-tools==$GRPCIO,grpcio-reflection==$GRPCIO,grpcio-health-checking==$GRPCIO,grpcio-status==$GRPCIO"
once "bin/go_verify-$SIGSTORE_GO_NEW" go_program "$here/go_verify" \
    "github.com/sigstore/sigstore-go@$SIGSTORE_GO_NEW"
once "bin/go_verify-$SIGSTORE_GO_OLD" go_program "$here/go_verify" \
    "github.com/sigstore/sigstore-go@$SIGSTORE_GO_OLD"
once "bin/grpcurl-$GRPCURL" go_tool github.com/fullstorydev/grpcurl/cmd/grpcurl "$GRPCURL"
once "bin/protoc-gen-go-$PROTOC_GEN_GO" go_tool google.golang.org/protobuf/cmd/protoc-gen-go \
    "$PROTOC_GEN_GO"
once "bin/protoc-gen-go-grpc-$PROTOC_GEN_GO_GRPC" go_tool \
    google.golang.org/grpc/cmd/protoc-gen-go-grpc "$PROTOC_GEN_GO_GRPC"
once "bin/$GO_GRPC" go_grpc_client
once "bin/cosign-$COSIGN_3" go_tool github.com/sigstore/cosign/v3/cmd/cosign "$COSIGN_3"
once "bin/cosign-$COSIGN_2" go_tool github.com/sigstore/cosign/v2/cmd/cosign "$COSIGN_2"
once "bin/slsa-verifier-$SLSA_VERIFIER" go_pinned_tool \
    github.com/slsa-framework/slsa-verifier/v2 "$SLSA_VERIFIER" cli/slsa-verifier
