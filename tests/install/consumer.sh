#!/usr/bin/env bash
# Installs a build into a folder, builds the examples against it as strangers would (CMake with the shared and the
# static library, then pkg-config), and runs them: consumer.sh BUILD COMPILER
set -eu
build=$1 compiler=$2
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$SUMI_TEST_WORK/install
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/usr" > /dev/null
mv "$work/usr" "$work/moved" # nothing may remember where it was built or installed
usr=$work/moved

run_examples() { # FOLDER PREFIX
  "$1/$2named_inputs" "$here/examples/data/matmul_add.onnx" > "$work/out" 2> "$work/err"
  printf '104 205\n110 211\nthe same by columns: 104 205 110 211\nrefused: 1\n' | diff - "$work/out"
  grep -q "'d'" "$work/err" || { echo "the refusal does not name the input:"; cat "$work/err"; exit 1; }
  "$1/$2shared_model" "$here/examples/data/cifar10_resnet.onnx" | grep -qx equal
  "$1/$2profile" "$here/examples/data/cifar10_resnet.onnx" | grep -q 'in all'
  picture=$(ls "$here"/examples/data/images/cat/*.jpg | head -1)
  "$1/$2classify" "$here/examples/data/cifar10_resnet.onnx" "$picture" | grep -Eq '^[a-z]+ [0-9.]+ %$'
}

for library in sumi sumi_static; do
  cmake -S "$here/examples" -B "$work/$library" -DCMAKE_PREFIX_PATH="$usr" -DCMAKE_C_COMPILER="$compiler" \
    -Dlibrary="sumi::$library" > /dev/null
  cmake --build "$work/$library" > /dev/null
  run_examples "$work/$library" example_
done

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$usr" -name sumi.pc)")
mkdir "$work/pkg-config"
for example in "$here"/examples/*.c; do
  # shellcheck disable=SC2046
  "$compiler" -std=c11 "$example" $(pkg-config --cflags --libs sumi) -pthread -lm \
    -Wl,-rpath,"$(pkg-config --variable=libdir sumi)" -o "$work/pkg-config/$(basename "$example" .c)"
done
run_examples "$work/pkg-config" ""
for example in "$here"/examples/*.c; do
  [ "$(wc -l < "$example")" -lt 60 ] || { echo "$example has 60 lines or more"; exit 1; }
done
"$usr/bin/sumi" version > /dev/null
echo "examples run against the shared and the static library"
