#!/bin/sh
# A process that may open 1,024 files, as a shell gives it: callers that only connect do not get the
# descriptors that the store needs.
. tests/scenario/lib
d=$work/data
ulimit -n 1024
expect 0 "$attestd" init --data "$d" --origin log.example
start_server "$d" --listen 127.0.0.1:0
said server.log '"event":"connections_limited","connections":256,"descriptors":1024'
python3 - "${listen##*:}" "/proc/$server_pid/fd" "$work/go" <<'PY' &
import os, socket, sys, time
port, fds, go = int(sys.argv[1]), sys.argv[2], sys.argv[3]
held = [socket.create_connection(("127.0.0.1", port)) for _ in range(900)]
deadline = time.monotonic() + 60
while len(os.listdir(fds)) < 256 and time.monotonic() < deadline:
    time.sleep(0.05)
open(go, "w").write(str(len(os.listdir(fds))))
while os.path.exists(go) and time.monotonic() < deadline:
    time.sleep(0.05)
PY
flood=$!
tries=0
until [ -s "$work/go" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || fail "the callers did not come"
    sleep 0.1
done
[ "$(cat "$work/go")" -lt 512 ] || fail "connections took $(cat "$work/go") descriptors"
rm "$work/go"
wait "$flood"
stop_server
echo "descriptors: ok"
