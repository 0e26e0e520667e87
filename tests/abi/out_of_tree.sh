#!/bin/sh
# A third party's way: install the headers alone, copy the templates somewhere else, build them there.
# The C++ one by CMake, the C one by pkg-config and cc. out_of_tree.sh BUILD_DIR WORK_DIR EXPORTS_SH
set -eu
build=$1 work=$2 exports=$3
unset CFLAGS CXXFLAGS LDFLAGS
rm -rf "$work"
mkdir -p "$work/out"

cmake --install "$build" --component plugin-api --prefix "$work/prefix" >"$work/install.log"
strange=$(find "$work/prefix" -type f ! -path '*/include/sluice/*' ! -path '*/share/cmake/SluicePlugin/*' \
  ! -path '*/share/pkgconfig/sluice-plugin.pc' ! -path '*/share/sluice/templates/*')
if [ -n "$strange" ]; then
  echo "the plugin-api component installs more than itself: $strange" >&2
  exit 1
fi
cp -r "$work/prefix/share/sluice/templates" "$work/mine"

cmake -S "$work/mine/cpp" -B "$work/cpp" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror" >"$work/configure.log"
cmake --build "$work/cpp" >"$work/build.log"
cmake --install "$work/cpp" --prefix "$work/out" >>"$work/install.log"

PKG_CONFIG_PATH=$work/prefix/share/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # the flags are words
cc -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror "$work/mine/c/fairness_least_busy.c" \
  $(pkg-config --cflags --libs sluice-plugin) -o "$work/out/lib/sluice/plugins/fairness_least_busy.so"

cmake -S "$work/mine/c" -B "$work/c" -DCMAKE_PREFIX_PATH="$work/prefix" >>"$work/configure.log"
cmake --build "$work/c" >>"$work/build.log"
sh "$exports" "$work/c"
sh "$exports" "$work/out/lib/sluice/plugins"
