#!/usr/bin/env bash
# Checks that every header compiles alone: tools/headers.sh COMPILER. Not src/kernel/*_int.h and *_frame.h: those are
# frames that a kernel's file includes after it has defined its vector operations.
set -u
cd "$(dirname "$0")/.."
compiler=${1:-cc}
wrong=0 n=0
for header in $(git ls-files 'include/*.h' 'src/*.h' 'cli/*.h'); do
  [ -f "$header" ] || continue
  case $header in src/kernel/*_int.h | src/kernel/*_frame.h) continue ;; esac
  n=$((n + 1))
  "$compiler" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -fsyntax-only -Iinclude -Isrc -Icli \
    $(case $header in src/kernel/*) echo -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl ;; esac) \
    -x c -include "$header" /dev/null || { echo "$header does not compile alone"; wrong=1; }
done
echo "$n headers"
[ $n -gt 0 ] && exit $wrong
