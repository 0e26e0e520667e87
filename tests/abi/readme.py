"""Does what README.md says: checks its pipeline.toml, builds its policy by its own command and looks at it.

Run by ctest: readme.py README BUILD_DIR WORK_DIR. BUILD_DIR stands for the page's build/release, the folder of README
for the clone.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

POLICY_LINES_MAX = 15
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def main(readme, build_dir, work_dir):
    blocks = BLOCK.findall(readme.read_text())
    shutil.rmtree(work_dir, ignore_errors=True)
    (work_dir / "plugins").mkdir(parents=True)
    (policy,) = [body for language, body in blocks if language == "cpp"]
    pipeline, gateway = [body for language, body in blocks if language == "toml"]
    if len(policy.splitlines()) > POLICY_LINES_MAX:
        sys.exit(f"the policy has more than {POLICY_LINES_MAX} lines")
    (work_dir / "oldest.cc").write_text(policy)
    (work_dir / "pipeline.toml").write_text(pipeline + gateway)  # beside each other, as it says

    (commands,) = [body for language, body in blocks if language == "sh" and "oldest.so" in body]
    commands = commands.replace("build/release/lib/sluice/plugins", "plugins")
    commands = commands.replace("-Iplugin-api", f"-Wall -Wextra -Werror -I{readme.parent}/plugin-api")
    commands += "build/release/bin/sluice check pipeline.toml\n"
    commands = commands.replace("build/release", str(build_dir))
    output = subprocess.run(["sh", "-euc", commands], cwd=work_dir, check=True, stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "SLUICE_PLUGIN_PATH": str(work_dir / "plugins")}).stdout
    if "The flow whose head arrived first." not in output:
        sys.exit(f"`sluice plugin inspect` does not tell of the policy:\n{output}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:4]))
