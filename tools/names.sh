#!/usr/bin/env bash
# Checks that no file names a path of somebody's machine.
set -u
cd "$(dirname "$0")/.."
wrong=0
if git grep -nIE '(^|[^A-Za-z0-9_.$}])/(work|home|root|Users)/[A-Za-z]' -- ':!LICENSE' ':!tools/names.sh'; then
  echo "these lines name a machine's paths"
  wrong=1
fi
exit $wrong
