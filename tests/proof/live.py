"""What the queue costs on the live host: real sockets, idle servers."""

import json
import pathlib
import tempfile

from simulator import run


def bench(program, kind, *arguments):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "figures.json")
        run([program, kind, "--json", path, *arguments])
        return json.loads(path.read_text(encoding="utf-8"))


def price(program, runs, seconds, requests):
    """The figures of `sluice-proxy-bench cost` and `latency`, as it writes them."""
    return {"cost": bench(program, "cost", "--runs", runs, "--requests", requests),
            "latency": bench(program, "latency", "--runs", runs, "--seconds", seconds)}
