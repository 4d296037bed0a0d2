#!/usr/bin/env bash
# Checks that C files are as clang-format of the tree would write them; make format does it.
cd "$(dirname "$0")/.." || exit 1
command -v clang-format > /dev/null || { echo "clang-format is missing"; exit 77; }
git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>&1 | grep -o '^[^ :]*\.[ch]:[0-9]*' | sort -t: -u -k1,1
exit $((PIPESTATUS[1] != 0))
