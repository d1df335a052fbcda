#!/bin/sh
# Every --help ends with an example that runs: here they run, in the order of `attest --help`, as the
# work of one pipeline against one server with the policies that are shipped.
. tests/scenario/lib
cd "$work/cwd"
cp -r "$root/policies" policies
echo 'tar' >shop.tar
echo 'int main(void) { return 0; }' >shop.c
echo '{"result":"PASSED","configuration":[]}' >tests.json
mkdir model && echo weights >model/model.safetensors && echo '{}' >model/config.json

expect 0 "$attestd" init --data "$work/data" --origin attestd.example
start_server "$work/data" --listen 127.0.0.1:0 --policies policies
expect 0 "$attest" token create ci-build --scope attest,read,gate,admin --out ci-build.token
export ATTEST_TOKEN_FILE="$work/cwd/ci-build.token"
PATH=$root/$BUILD:$PATH

"$attest" --help | sed '/^SUBJECT/,$d' | sed -n 's/^  \(.\{16\}\) .*/\1/p' | sed 's/ *$//' >names
[ "$(wc -l <names)" -eq 21 ] || fail "attest --help lists $(wc -l <names) commands"
while read -r name; do
    # shellcheck disable=SC2086 # the name is one or two words
    expect 0 "$attest" $name --help
    said out "Usage: attest $name"
    tail -n 2 "$work/out" | head -n 1 | grep -q '^Example:$' || fail "$name: no example at the end"
    tail -n 1 "$work/out" | sed 's/^  //' >example
    grep -q "^attest $name" example || fail "$name: its example is another command"
    expect 0 sh -e example
    echo "ok: $(cat example)"
done <names
said out "verified"
for family in model log policy; do
    expect 0 "$attest" $family --help
    tail -n 1 "$work/out" | sed 's/^  //' >example
    grep -q "^attest $family " example || fail "$family: its --help does not end with an example"
    expect 0 sh -e example
done
expect 0 "$attest" token --help
said out "  attest token create ci-shop"
