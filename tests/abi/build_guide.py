"""Does what docs/write-a-plugin.md says: writes its files, runs its sh blocks, looks at the plugin that comes out.

Run by ctest: build_guide.py GUIDE BUILD_DIR WORK_DIR. BUILD_DIR stands for the guide's build/release.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

LINES_MAX = 100
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.M | re.S)


def main(guide, build_dir, work_dir):
    text = guide.read_text()
    if len(text.splitlines()) > LINES_MAX:
        sys.exit(f"{guide} has more than {LINES_MAX} lines")
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    blocks = BLOCK.findall(text)
    for _, name, body in blocks:
        if name:
            (work_dir / name).write_text(body)
    for language, _, body in blocks:
        if language == "sh":
            command = body.replace("build/release", str(build_dir))
            subprocess.run(["sh", "-euc", command], cwd=work_dir, check=True, stdout=subprocess.DEVNULL,
                           env={**os.environ, "CXXFLAGS": "-Wall -Wextra -Wpedantic -Werror"})
    plugins = list((work_dir / "out").glob("*.so"))
    if len(plugins) != 1:
        sys.exit(f"the guide made {len(plugins)} plugins, not one")
    names = subprocess.run(["nm", "-D", "--defined-only", plugins[0]], check=True, capture_output=True, text=True)
    if names.stdout.split()[2:] != ["sluice_plugin_v0"]:
        sys.exit(f"{plugins[0]} exports: {names.stdout}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
