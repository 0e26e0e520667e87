#!/bin/sh
# Every .so in the directory exports sluice_plugin_v0 and nothing else. exports.sh DIRECTORY
set -eu
count=0
for file in "$1"/*.so; do
  names=$(nm -D --defined-only "$file" | awk '{print $3}')
  if [ "$names" != sluice_plugin_v0 ]; then
    echo "$file exports: $names" >&2
    exit 1
  fi
  count=$((count + 1))
done
echo "$count plugins, one export each"
[ "$count" -gt 0 ]
