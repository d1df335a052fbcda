#!/bin/sh
# The Makefile on a machine without packages (programs that only note when they ran stand for the
# packager and the compilers): what installs does so before anything is built, with any -j, and the
# demo builds all that it runs.
. tests/scenario/lib
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir "$work/bin"
stand_in() { # name, lines of shell
    printf '#!/bin/sh\n%s\n' "$2" >"$work/bin/$1"
    chmod 755 "$work/bin/$1"
}
stand_in dpkg-query 'exit 1'
stand_in sudo 'exec "$@"'
# Gives a compiler that would not wait the time to show itself.
stand_in apt-get "[ \"\$1\" = install ] && [ ! -e '$work/installed' ] || exit 0
for try in 1 2 3 4 5 6 7 8 9 10; do [ -e '$work/early' ] || sleep 0.1; done
touch '$work/installed'"
for compiler in protoc cc cxx; do
    stand_in $compiler "[ -e '$work/installed' ] || touch '$work/early'; touch '$work/built'; exit 1"
done
make_it() {
    PATH=$work/bin:$PATH make BUILD="$work/build" GEN="$work/gen" CC="$work/bin/cc" \
        CXX="$work/bin/cxx" "$@"
}
for goal in test demo tidy; do
    rm -f "$work/installed" "$work/early" "$work/built"
    expect 2 make_it -j4 $goal
    [ -e "$work/built" ] || fail "make -j4 $goal built nothing"
    [ ! -e "$work/early" ] || fail "make -j4 $goal built before the packages were there"
done
expect 0 make_it -n demo
said out "-o $work/build/test_base"

# the demo's bill of materials names the package of every library, libc6 included
expect 0 python3 tests/demo/sbom.py "$attestd"
not_said out "pkg:deb/debian/unknown"
said out "pkg:deb/debian/libc6@"

# install: the unit starts what was installed, wherever that is
expect 0 make -s install DESTDIR="$work/root" PREFIX=/opt/a
grep -q '^ExecStart=/opt/a/bin/attestd ' "$work/root/opt/a/lib/systemd/system/attestd.service" ||
    fail "the unit starts something else"
expect 0 "$work/root/opt/a/bin/attest" --version
