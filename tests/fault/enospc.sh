#!/bin/sh
# A small disk that fills: with a reserve the log stops taking entries before, and goes on when there
# is room again; without one it fails for real, and nothing acknowledged is lost.
# Mounting takes root, or a user namespace of one's own.
[ "$(id -u)" -eq 0 ] || exec unshare -Urm sh "$0"
. "$(dirname "$0")/lib.sh"

small_disk() { # octets free for the log
    mkdir -p "$work/disk"
    mount -t tmpfs -o size=96m tmpfs "$work/disk" || { bad "no tmpfs"; exit 1; }
    unmount=$work/disk
    data=$work/disk/data
    head -c $((96 * 1048576 - $1)) /dev/zero >"$work/disk/ballast"
}
settings() { # reserve
    config=$work/small.yaml
    printf 'store.disk_reserve: %s\nstore.wal: 4MiB\nstore.memtables: 8MiB\n' "$1" >"$config"
}

total_failed=0
begin enospc-reserve
small_disk $((48 * 1048576))
settings 24MiB
start
client load enospc 8 120
[ "$(tail -n 1 "$work/refusals")" = resource_exhausted ] && ok ||
    bad "the end was $(tail -n 1 "$work/refusals" 2>/dev/null), not resource_exhausted"
kill -0 "$pid" && ok || bad "the server is gone"
expect "reading goes on" client tree
rm "$work/disk/ballast"
tries=100
until [ "$(readyz)" = 200 ] || [ "$tries" -eq 0 ]; do
    tries=$((tries - 1))
    sleep 0.2
done
[ "$(readyz)" = 200 ] && ok || bad "there is room, and /readyz is still $(readyz)"
client load enospc-again 4 1
invariants
closing || total_failed=1

begin enospc-full
small_disk $((24 * 1048576))
settings 0
start
client load enospc 8 120
[ "$(acked)" -gt 0 ] && ok || bad "nothing was acknowledged"
[ -s "$work/unknown" ] && ok || bad "the disk never failed a submission"
stop_hard
rm "$work/disk/ballast"
start
client load enospc-again 4 1
invariants
closing || total_failed=1
exit "$total_failed"
