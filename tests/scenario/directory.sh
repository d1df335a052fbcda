#!/bin/sh
# The data directory from outside: what is made, who may hold it, what exit codes say, backup and
# restore while served and stopped.
. tests/scenario/lib
anchor=$work/outer/anchor
d=$work/data
zero=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

# usage: 2, on standard error alone
for line in '' 'frobnicate' 'token' 'token revoke' 'init --colour' 'init --data' 'init x' 'fsck --origin a' \
    'restore' 'restore a b' 'anchor accept' 'anchor accept --size 0' 'anchor accept --size 00 --root 00' \
    'token create a b' 'token create --scope root' 'token create --expires soon' 'version x' \
    'serve --listen nowhere --data /none' 'serve --config /none --data /none'; do
    # shellcheck disable=SC2086
    expect 2 "$attestd" $line
    [ ! -s "$work/out" ] || fail "a usage error says something on standard output: $line"
done
for line in 'listen: nowhere' 'listen: log.example:8443' 'listen: 127.0.0.1:65536' 'ops.listen: localhost:x'; do
    echo "$line" >"$work/c.yaml"
    expect 2 "$attestd" config check --config "$work/c.yaml"
    expect 2 "$attestd" serve --config "$work/c.yaml" --data "$d"
    [ ! -e "$d" ] || fail "a data directory is made for a configuration that cannot be: $line"
done
echo 'listen: "[::1]:0"' >"$work/c.yaml"
expect 0 "$attestd" config check --config "$work/c.yaml"
expect 2 "$attestd" init --data "$d" --origin 'not a host'
expect 2 "$attestd" init --data "$d" --tls-name '*.example'
expect 0 "$attestd" --help
expect 0 "$attestd" version
for line in -h 'version --help' 'token --help' 'anchor --help' 'config -h'; do
    # shellcheck disable=SC2086
    expect 0 "$attestd" $line
    said out "usage:"
done
# as an unset variable leaves it: never the default
for line in 'init --data' 'serve --data' 'fsck --data' 'serve --policies' 'serve --anchor' 'init --origin' \
    'init --key-passphrase-file'; do
    # shellcheck disable=SC2086
    expect 2 "$attestd" $line ''
    said err "is empty"
done
[ ! -e "$XDG_DATA_HOME/attestd" ] || fail "a default directory was made"
# an answer that cannot be given is no answer
for line in version --help 'serve --help' 'config check'; do
    expect 1 sh -c "'$attestd' $line >/dev/full"
    said err "standard output"
done
for c in serve init fsck backup restore 'token create' 'anchor accept' 'config check'; do
    # shellcheck disable=SC2086
    expect 0 "$attestd" $c --help
    said out "example:"
done

# init
expect 0 "$attestd" init --data "$d" --origin log.example --tls-name build7.example --tls-name 10.1.2.3
said err "log.example"
said err "admin.token"
said err "warning: from now on the CLI acts with the admin token"
not_said err "attestd_"
cmp "$d/client/config.json" "$XDG_CONFIG_HOME/attest/config.json" || fail "two configurations"
[ "$(stat -c %a "$d" "$d/client/admin.token" "$d/secret" | tr '\n' ' ')" = "700 600 600 " ] || fail modes
[ -z "$(find "$d" -perm /077 -type f ! -name ca.pem ! -name server.pem)" ] || fail "others can read"
grep -Eq '^attestd_[0-9a-f]{16}_[0-9a-f]{64}$' "$d/client/admin.token" || fail "the token's form"
expect 3 "$attestd" init --data "$d"
said err "holds an instance already"
openssl x509 -in "$d/tls/ca.pem" -noout -ext nameConstraints >"$work/out"
said out "critical"
said out "DNS:build7.example"
not_said out "IP:"

# so is a certificate of one's own that does not serve
echo junk >"$work/junk.pem"
for key in "$d/tls/server.key" /nonexistent; do
    printf 'tls.certificate: %s\ntls.key: %s\n' "$work/junk.pem" "$key" >"$work/c.yaml"
    expect 2 "$attestd" serve --data "$d" --anchor "$work/p.anchor" --config "$work/c.yaml" --listen 127.0.0.1:0
    said err "tls.certificate $work/junk.pem with tls.key $key does not serve"
done

# policies that do not load are configuration, whatever is wrong with them
for wrong in 'echo junk: 1 >p.yaml' 'ln -s /etc/hostname p.yaml' ': >p.yaml; chmod 666 p.yaml' \
    'head -c 300000 /dev/zero >p.yaml'; do
    rm -rf "$work/policies" && mkdir "$work/policies"
    (cd "$work/policies" && eval "$wrong")
    expect 2 "$attestd" serve --data "$d" --anchor "$work/p.anchor" --policies "$work/policies" --listen 127.0.0.1:0
    said err "p.yaml"
done
if [ "$(id -u)" -eq 0 ]; then # only root can give a file away
    cp "$root/policies/builders.yaml" "$work/policies/p.yaml"
    chown 12345 "$work/policies/p.yaml"
    expect 2 "$attestd" serve --data "$d" --anchor "$work/p.anchor" --policies "$work/policies" --listen 127.0.0.1:0
    said err "owned by another user"
fi
expect 2 "$attestd" serve --data "$d" --anchor "$work/p.anchor" --policies "$work/none" --listen 127.0.0.1:0

# stopped: fsck, tokens
expect 0 "$attestd" fsck --data "$d" --anchor "$anchor"
said out "all agrees: 0 entries, root $zero"
said out "outer anchor is missing"
expect 2 "$attestd" fsck --data "$work/none"
expect 0 "$attestd" token create auditor --scope read --expires 30d --data "$d"
grep -Eq '^attestd_[0-9a-f]{16}_[0-9a-f]{64}$' "$work/out" || fail "the new token"
cp "$work/out" "$work/auditor.token"
expect 1 "$attestd" token create auditor --data "$d"
said err "auditor"

# served: it is held
start_server "$d" --listen 127.0.0.1:0 --anchor "$anchor"
expect 3 "$attestd" serve --data "$d" --anchor "$anchor"
said err "is held by process $server_pid"
expect 2 "$attestd" fsck --data "$d" --anchor "$anchor"
said err "is held by process"
expect 3 "$attestd" token create late --data "$d"
[ "$(sed 's/.*"server":"\([^"]*\)".*/\1/' "$d/client/config.json")" = "$ATTEST_SERVER" ] || fail "config.json"
cmp "$d/client/config.json" "$XDG_CONFIG_HOME/attest/config.json" || fail "the user's configuration"
expect 0 "$attest" log checkpoint
expect 0 env ATTEST_TOKEN_FILE="$work/auditor.token" "$attest" list sha256:$zero
expect 2 env ATTEST_TOKEN_FILE="$work/auditor.token" "$attest" token list
echo x >"$work/x"
expect 0 "$attest" provenance "$work/x" --build-type https://b.example/v1 --out "$work/r.json"

# backup through the server, without and with the secret
expect 0 "$attestd" backup --data "$d"
said err "holds no secret"
bare=$(cat "$work/out")
case $bare in "$d"/backups/*-1) ;; *) fail "the backup's name: $bare" ;; esac
[ ! -e "$bare/secret" ] || fail "the secret is in it"
expect 0 "$attestd" backup --data "$d" --with-secret
said err "can sign as this log"
full=$(cat "$work/out")
expect 1 "$attestd" backup --data "$d" --token-file "$work/auditor.token"
said err "scope"
[ "$(stat -c %a "$full")" = 700 ] || fail "the backup's mode"
stop_server
[ ! -e "$d/run.json" ] || fail "run.json is left after a clean stop"
expect 0 "$attestd" fsck --data "$d" --anchor "$anchor"
said out "all agrees: 1 entries"
expect 0 "$attestd" backup --data "$d"
direct=$(cat "$work/out")

# restore
expect 2 "$attestd" restore "$bare" --data "$work/e"
said err "--secret-file"
head -c 32 /dev/zero >"$work/zeros"
expect 3 "$attestd" restore "$bare" --data "$work/e" --secret-file "$work/zeros"
said err "keys do not open"
expect 2 "$attestd" restore "$work" --data "$work/e"
said err "is no backup"
for b in "$bare" "$full" "$direct"; do
    secret="--secret-file $d/secret"
    [ "$b" != "$full" ] || secret=
    rm -rf "$work/e"
    # shellcheck disable=SC2086
    expect 0 "$attestd" restore "$b" --data "$work/e" $secret
    expect 0 "$attestd" fsck --data "$work/e" --anchor "$anchor"
    said out "all agrees: 1 entries"
done
expect 3 "$attestd" restore "$full" --data "$work/e"
printf x >>"$full/keys/decision.key"
expect 2 "$attestd" restore "$full" --data "$work/f"
said err "not what the manifest says"
expect 0 "$attestd" token create --data "$work/e" --out "$work/e/client/admin.token"
start_server "$work/e" --listen 127.0.0.1:0 --anchor "$anchor"
expect 0 "$attest" provenance "$work/x" --build-type https://b.example/v2 --out "$work/r2.json"
expect 0 "$attest" token list
said out "auditor"
stop_server

# the old directory is behind the anchor now: it serves, read-only
expect 1 "$attestd" fsck --data "$d" --anchor "$anchor"
rm "$anchor"
root=$("$attestd" fsck --data "$work/e" --anchor "$anchor" 2>/dev/null | sed -n 's/^all agrees: 2 entries, root //p')
expect 1 "$attestd" anchor accept --size 1 --root "$root" --data "$work/e" --anchor "$anchor"
expect 0 "$attestd" anchor accept --size 2 --root "$root" --data "$work/e" --anchor "$anchor"
expect 0 "$attestd" fsck --data "$work/e" --anchor "$anchor"
not_said out "missing"

# a SIGHUP that comes before it is ready waits until it is
holds() { case $(sed -n 's/^SigBlk:.*\(.\)$/\1/p' "/proc/$1/status" 2>/dev/null) in [13579bdf]) ;; *) false ;; esac; }
for _ in $(seq 20); do # it starts faster than a busy machine may look
    "$attestd" serve --data "$work/e" --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 --anchor "$anchor" 2>"$work/err" &
    server_pid=$!
    until holds "$server_pid" || [ -e "$work/e/run.json" ]; do :; done
    held=no
    [ -e "$work/e/run.json" ] || { kill -HUP "$server_pid" && held=yes; }
    until grep -q '^ready ' "$work/err"; do kill -0 "$server_pid" || fail "ended by a SIGHUP"; done
    tries=0
    until [ "$held" = no ] || grep -q '"event":"reloading"' "$work/err"; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "a SIGHUP is lost while it starts"
        sleep 0.1
    done
    stop_server
    [ "$held" = no ] || break
done
[ "$held" = yes ] || fail "a SIGHUP is not held while it starts"

# a certificate of the operator's own: its end is in the metrics, too
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=own -days 9 \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/own.key" -out "$work/own.pem" 2>/dev/null
printf 'tls.certificate: %s\ntls.key: %s\n' "$work/own.pem" "$work/own.key" >"$work/c.yaml"
start_server "$work/e" --listen 127.0.0.1:0 --anchor "$anchor" --config "$work/c.yaml"
end=$(date -d "$(openssl x509 -in "$work/own.pem" -noout -enddate | cut -d= -f2)" +%s)
python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' \
    "http://$(sed 's/.*"ops":"\([^"]*\)".*/\1/' "$data/run.json")/metrics" >"$work/out"
said out "attestd_tls_certificate_expiry_seconds $end"
stop_server

# refusals: 3, one line
rm -rf "$work/f"
mkdir -p "$work/f" && echo mine >"$work/f/file"
expect 3 "$attestd" serve --data "$work/f"
said err "not attestd's"
expect 3 "$attestd" init --data "$work/f"
[ "$(ls -A "$work/f")" = file ] || fail "a foreign directory was touched"
mv "$d/secret" "$work/kept"
expect 3 "$attestd" serve --data "$d" --anchor "$anchor"
said err "put back the secret"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "a refusal is one line"
mv "$work/kept" "$d/secret"

# a passphrase, by flag and by systemd's credentials
echo 'correct horse' >"$work/phrase"
expect 0 "$attestd" init --data "$work/p" --key-passphrase-file "$work/phrase"
[ ! -e "$work/p/secret" ] || fail "a secret beside a passphrase"
expect 2 "$attestd" fsck --data "$work/p"
said err "--key-passphrase-file"
expect 0 "$attestd" fsck --data "$work/p" --key-passphrase-file "$work/phrase"
mkdir "$work/creds" && cp "$work/phrase" "$work/creds/attestd.key"
expect 0 env CREDENTIALS_DIRECTORY="$work/creds" "$attestd" fsck --data "$work/p"
expect 0 "$attestd" backup --with-secret --data "$work/p" --key-passphrase-file "$work/phrase"
said err "it holds no secret"
echo wrong >"$work/phrase"
expect 3 "$attestd" serve --data "$work/p" --key-passphrase-file "$work/phrase"
said err "keys do not open"

# who is not dumpable is root's in /proc: no core dump and no debugger gets at keys and signatures
if [ "$(id -u)" -eq 0 ] && [ -z "${SAN:-}" ]; then # LeakSanitizer needs to trace itself
    mkdir "$work/nobody" && cp "$attestd" "$work/nobody/server" && chmod 755 "$work" "$work/nobody/server"
    chown 65534:65534 "$work/nobody"
    setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$work/nobody" \
        XDG_STATE_HOME="$work/nobody" XDG_CONFIG_HOME="$work/nobody" "$work/nobody/server" serve \
        --data "$work/nobody/data" --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 2>"$work/err" &
    server_pid=$!
    for _ in $(seq 200); do [ -e "$work/nobody/data/run.json" ] || sleep 0.05; done
    [ "$(stat -c %u "/proc/$server_pid/mem")" -eq 65534 ] && fail "the server can be dumped"
    kill "$server_pid" && wait "$server_pid"
    server_pid=
fi
# fsck: what cannot be read back does not agree
damaged=$work/damaged
cp -a "$work/e" "$damaged"
for table in "$damaged"/db/*.sst; do
    printf 'xxxx' | dd of="$table" bs=1 seek=20 conv=notrunc 2>/dev/null
done
expect 1 "$attestd" fsck --data "$damaged" --anchor "$anchor"
echo "directory: ok"
