#!/usr/bin/env python3
"""The one-way rule: plugin-api <- core <- host, and plugins -> plugin-api only.

Reads every #include of the tree. core may include core and the plugin ABI; plugins the plugin ABI alone; both the
standard library besides, and core nothing of it that starts threads, reads clocks or does I/O.
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
include = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
# What each room may include beside <sluice/...>: its own prefix, and standard headers (no slash, no dot).
rooms = {"core": ("core/",), "plugins": (), "plugin-api": ()}
forbidden = {"core": {"thread", "mutex", "chrono", "condition_variable", "fstream", "iostream", "filesystem"}}
c_headers = {"stddef.h", "stdint.h", "string.h", "math.h"}

problems = []
files = 0
for room, own in rooms.items():
    for path in sorted((root / room).rglob("*")):
        if path.suffix not in (".h", ".hpp", ".cc", ".c"):
            continue
        files += 1
        for name in include.findall(path.read_text()):
            standard = "/" not in name and ("." not in name or name in c_headers)
            allowed = name.startswith("sluice/") or name.startswith(own) if own else name.startswith("sluice/")
            if name in forbidden.get(room, ()) or not (allowed or standard):
                problems.append(f"{path.relative_to(root)}: {room}/ may not include {name}")
print("\n".join(problems) or f"{files} files keep the one-way rule")
if files < 20:
    problems.append("too few files were found for this to mean anything")
sys.exit(1 if problems else 0)
