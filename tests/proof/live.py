"""What is measured beside the simulator: the price of the queue on the live host, the simulator against the live host,
and the engine in random worlds."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from simulator import Failed, run


def bench(program, kind, *arguments):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "figures.json")
        run([program, kind, "--json", path, *arguments])
        return json.loads(path.read_text(encoding="utf-8"))


def price(program, runs, seconds, requests):
    """The figures of `sluice-proxy-bench cost` and `latency`, as it writes them."""
    return {"cost": bench(program, "cost", "--runs", runs, "--requests", requests),
            "latency": bench(program, "latency", "--runs", runs, "--seconds", seconds)}


def validation(root, build, seconds):
    """Rows of (case, figure, ms live, ms simulated) of the same trace in real and in virtual time."""
    test = root / "tests/e2e/simulator_test.py"
    done = subprocess.run([sys.executable, test, "--duration", str(seconds), "--rounds", "1"], capture_output=True,
                          text=True, timeout=seconds * 2 + 120,
                          env={**os.environ, "SLUICE_SOURCE_DIR": str(root), "SLUICE_BUILD_DIR": str(build),
                               "PYTHONDONTWRITEBYTECODE": "1"})
    rows, case = [], None
    for line in done.stdout.splitlines():
        title = re.match(r"round 1, (\w+)$", line)
        case = title[1] if title else case
        found = re.match(r"all +(\w+ p\d+) +([\d.]+) +([\d.]+) ", line)
        if case and found:
            rows.append([case, found[1], float(found[2]), float(found[3])])
    if not rows:
        raise Failed(f"{test}\nended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return rows


def worlds(build, requests):
    """What sim_volume prints."""
    return run([build / "bin/sim_volume", "--plugins", build / "lib/sluice/plugins", "--requests", requests]).strip()
