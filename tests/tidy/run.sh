#!/bin/sh
# tidy: everything about the code that a program can check. Exits 1 on any finding.
#   layers, lengths and forbidden functions, clang-format, -Werror under gcc and clang, clang-tidy, cppcheck.
set -u
fail=0
passed=0
check() { # name, command...
    name=$1
    shift
    if "$@" >build/tidy-$name.log 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name"
    else
        fail=$((fail + 1))
        echo "FAIL $name"
        head -n 40 build/tidy-$name.log
    fi
}
mkdir -p build
sources=$(find pkg cmd tests -name '*.c' | sort)
headers=$(find pkg cmd tests -name '*.h' | sort)
shims=$(find pkg -name '*.cc' | sort)
include="-Ipkg -Ibuild/gen -D_GNU_SOURCE -std=gnu17"
warn="-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Werror"

# Both compilers, every file, nothing kept. xargs makes the exit status of any one count.
gcc_werror() { echo "$sources" | xargs -P 2 -n 8 gcc $include $warn -O2 -fsyntax-only; }
clang_werror() { echo "$sources" | xargs -P 2 -n 8 clang-14 $include $warn -fsyntax-only; }
# Test programs include check.h, whose macros clang-tidy cannot read past: product code only.
tidy() { # a file a call; the exit status of any one counts
    find pkg cmd -name '*.c' | sort | include=$include xargs -P 2 -n 1 \
        sh -c 'clang-tidy-14 --quiet --warnings-as-errors="*" --config-file=.clang-tidy "$1" -- $include' one
}
static_check() {
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
        --suppress=missingIncludeSystem --suppress=returnDanglingLifetime \
        --suppress='*:build/gen/*' --error-exitcode=1 --max-configs=4 -j 2 \
        -Ipkg -Ibuild/gen -D_GNU_SOURCE pkg cmd
}
check layers sh tests/tidy/layers.sh
check lengths sh tests/tidy/lengths.sh
check forbidden sh tests/tidy/forbidden.sh
check format clang-format-14 --dry-run -Werror $sources $headers $shims
check gcc gcc_werror
check clang clang_werror
check clang-tidy tidy
check cppcheck static_check
echo "$passed passed, $fail failed"
[ "$fail" -eq 0 ]
