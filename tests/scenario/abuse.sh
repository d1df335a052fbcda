#!/bin/sh
# abuse.sh: hostile HTTP/2 and HTTP/1.1 clients against the echo server. While each of them goes on,
# another client must be served, and the server's memory and descriptors must stay bounded.
set -eu
: "${BUILD:=build/plain}"
exec python3 tests/scenario/abuse.py "$BUILD/tools/rpc_echo"
