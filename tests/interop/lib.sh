# lib.sh: sourced by the suites of this folder. Counts checks, and names the clients' paths.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions"
: "${INTEROP_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/attestd-interop}"
: "${BUILD:=build/plain}"
passed=0
failed=0
out=$(mktemp)

# accepts WHAT COMMAND...: the command must exit 0. refuses: it must not.
accepts() {
    what=$1
    shift
    if "$@" >"$out" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $what (exit $?)"
        tail -n 8 "$out" | sed 's/^/        /'
    fi
}
refuses() {
    what=$1
    shift
    if "$@" >"$out" 2>&1; then
        failed=$((failed + 1))
        echo "FAILED  $what: was accepted"
    else
        passed=$((passed + 1))
        echo "ok      $what"
    fi
}
closing() {
    rm -f "$out"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
