"""make_venv.py DIRECTORY: a virtual environment with what requirements.txt names.

It is kept while that does not change. Where it cannot be made it says why and exits with 77, which
ctest calls skipped; where CI is set that is a failure.
"""

import os
import pathlib
import shutil
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")


def skip(directory, why):
    shutil.rmtree(directory, ignore_errors=True)  # half of one would be taken for one
    print(f"skipped: {why}")
    sys.exit(1 if os.environ.get("CI") else 77)


def main():
    directory = pathlib.Path(sys.argv[1])
    stamp = directory / "made-for"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text()}"
    if stamp.exists() and stamp.read_text() == wanted:
        print(f"{directory} stands")
        return
    shutil.rmtree(directory, ignore_errors=True)
    for step, hint in [
        (
            [sys.executable, "-m", "venv", directory],
            "python3 has no working venv module (Debian: python3-venv)",
        ),
        (
            [
                directory / "bin/pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "-r",
                REQUIREMENTS,
            ],
            "pip could not install what requirements.txt names",
        ),
    ]:
        if subprocess.run(step, check=False).returncode != 0:
            skip(directory, hint)
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
