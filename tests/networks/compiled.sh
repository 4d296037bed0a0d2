#!/usr/bin/env bash
# Every network of SUMI_SHARED, compiled, gives what its ONNX file gives, to the bit. Networks that do not run on random
# inputs of their declared shapes are counted, not compared.
set -u
networks=${SUMI_SHARED:-../shared}/networks
if [ ! -d "$networks" ]; then
  echo "there is no $networks"
  test -n "${SUMI_REQUIRE_SHARED:-}" && exit 1
  exit 77
fi
work=$SUMI_TEST_WORK/compiled
same=0 other=0 differ=0
for network in "$networks"/*.onnx; do
  rm -rf "$work" && mkdir -p "$work"
  if ! "$SUMI_PROGRAM" run "$network" --random 1 -o "$work/a" > /dev/null 2>&1; then
    other=$((other + 1))
    continue
  fi
  if "$SUMI_PROGRAM" compile "$network" -o "$work/m.sumi" > /dev/null &&
    "$SUMI_PROGRAM" run "$work/m.sumi" --random 1 -o "$work/b" > /dev/null &&
    diff -r "$work/a" "$work/b" &&
    "$SUMI_PROGRAM" compile --verify "$work/m.sumi" > /dev/null; then
    same=$((same + 1))
  else
    echo "$network differs"
    differ=$((differ + 1))
  fi
done
rm -rf "$work"
echo "$same networks the same when compiled, $differ differ, $other do not run on random inputs"
[ $same -gt 0 ] && [ $differ = 0 ]
