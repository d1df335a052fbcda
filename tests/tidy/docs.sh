#!/bin/sh
# docs.sh [write]: fails if a table in docs/operations.md is not the code's own; `write` renews it.
# Also if a message that its table of refusals quotes is in no source file.
# A table stands between "<!-- table NAME -->" and "<!-- end -->".
set -eu
: "${BUILD:=build/plain}"
page=docs/operations.md
for name in config reasons; do
    "$BUILD/tools/tables" "$name" >"$BUILD/table-$name.md"
    awk -v name="$name" -v table="$BUILD/table-$name.md" '
        $0 == "<!-- table " name " -->" { print; while ((getline line < table) > 0) print line; inside = 1; found = 1; next }
        $0 == "<!-- end -->" { inside = 0 }
        !inside { print }
        END { exit !found }' "$page" >"$BUILD/page.md" || { echo "$page: no place for table $name"; exit 1; }
    if [ "${1:-}" = write ]; then
        cp "$BUILD/page.md" "$page"
    elif ! cmp -s "$page" "$BUILD/page.md"; then
        echo "$page: table $name is not the code's; run: sh tests/tidy/docs.sh write"
        diff "$page" "$BUILD/page.md" | head -n 10
        exit 1
    fi
done
awk -F'|' '/^\| (`\/readyz`|exit )/ { print $2 }' "$page" | grep -o '"[^"]*"' | tr -d '"' >"$BUILD/quoted"
[ -s "$BUILD/quoted" ] || { echo "$page: quotes no message"; exit 1; }
while IFS= read -r message; do
    grep -rqF --include='*.c' -- "$message" pkg cmd && continue
    echo "$page: nothing says: $message"
    exit 1
done <"$BUILD/quoted"
