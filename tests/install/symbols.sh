#!/usr/bin/env bash
# Checks that a shared library gives nothing but sumi_ names to others: symbols.sh LIBRARY
set -eu
names=$(nm -D --defined-only "$1" | awk '{print $NF}')
[ "$(grep -c '^sumi_' <<< "$names")" -gt 20 ] || { echo "hardly a sumi_ name in $1"; exit 1; }
declared=$(cat "$(dirname "$0")"/../../include/sumi/*.h)
wrong=0
for name in $names; do
  case $name in sumi_*) ;; *) echo "exported: $name"; wrong=1 ;; esac
  grep -qw "$name" <<< "$declared" || { echo "exported but not in include/sumi: $name"; wrong=1; }
done
exit $wrong
