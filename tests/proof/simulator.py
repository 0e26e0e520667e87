"""Runs `sluice simulate`, two at a time, and hands back what its summary.json says."""

import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

# A run that takes longer is stuck.
RUN_SECONDS_MAX = 300


class Failed(Exception):
    """A command did not do its work; what it printed is in the text."""


def run(command, environment=None, seconds=RUN_SECONDS_MAX):
    """What a command prints. Raises Failed with its last lines."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds,
                              env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(map(str, command))}\nis not through after {seconds} s") from None
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise Failed(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{last}")
    return done.stdout


def high_water_bytes(pid):
    """The most that a running process has had resident; 0 once it is over."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Simulator:
    """`sluice simulate` of one build. Threads: run_all uses as many as it has workers, the rest one."""

    def __init__(self, binary, workers):
        self.binary = binary
        self.workers = workers

    def command(self, configs, options, out):
        command = [self.binary, "simulate"]
        for config in configs:
            command += ["-c", config]
        return [*command, "--out", out, *options]

    def text(self, configs, options, environment=None):
        """The table and verdicts that people see."""
        with tempfile.TemporaryDirectory() as out:
            return run(self.command(configs, options, out), environment)

    def runs(self, configs, options, environment=None, rows=None):
        """The `runs` of summary.json. ROWS, if given, is called with the open requests.csv of each run."""
        with tempfile.TemporaryDirectory() as out:
            text = run([*self.command(configs, options, out), "--json"], environment)
            runs = json.loads(text)["runs"]
            if rows:
                for each in runs:
                    alone = pathlib.Path(out, "requests.csv")
                    path = pathlib.Path(out, each["label"], "requests.csv")
                    with open(path if path.exists() else alone, encoding="utf-8", newline="") as file:
                        each["rows"] = rows(file)
            return runs

    def resident_bytes(self, configs, options, environment=None):
        """(the most memory that a run of its own had resident, its `runs`)"""
        with tempfile.TemporaryDirectory() as out:
            command = [str(part) for part in [*self.command(configs, options, out), "--json"]]
            with open(os.path.join(out, "stdout"), "w+", encoding="utf-8") as stdout:
                child = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL,
                                         env={**os.environ, **(environment or {})})
                # rusage would count what this process had resident when it forked.
                most = 0
                while child.poll() is None:
                    most = max(most, high_water_bytes(child.pid))
                    time.sleep(0.002)
                if child.returncode != 0:
                    raise Failed(f"{' '.join(command)}\nended with {child.returncode}")
                stdout.seek(0)
                return most, json.load(stdout)["runs"]

    def run_all(self, jobs):
        """The results of [(configs, options, environment), ...] in their order."""
        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            return [each.result() for each in [pool.submit(self.runs, *job) for job in jobs]]


def medians(runs):
    """One tree of figures from several alike: the median of each number."""
    first = runs[0]
    if isinstance(first, dict):
        return {key: medians([run[key] for run in runs]) for key in first}
    known = [run for run in runs if run is not None]
    return statistics.median(known) if known else None


def condensed(run):
    """The figures of a run that the page may want, with short names."""
    def group(of):
        ended = of["ended"]
        over = sum(ended.values())
        return {
            "wait": of["wait"]["mean_s"], "wait_p99": of["wait"]["p99_s"],
            "ttft": of["ttft"]["mean_s"], "ttft_p50": of["ttft"]["p50_s"], "ttft_p99": of["ttft"]["p99_s"],
            "regret": of["regret"]["mean_s"], "parked": of["parked"]["mean_s"],
            "completed": ended["completed"] / over if over else None,
            "expired": ended["expired"], "refused": ended["rejected_full"] + ended["evicted"],
            "requests": of["requests"], "slo": of["slo_attainment"], "slo_met": of["slo_met"],
        }
    seconds = run["window_to_s"] - run["window_from_s"]
    return {
        "offered": run["offered_tokens_per_s"], "tokens": run["tokens_per_s"],
        "requests_per_s": run["requests_per_s"], "seconds": seconds, "cpu": run["cpu_s"],
        "itl_p99": run["all"]["itl"]["p99_s"], "idle": run["idle_while_waiting_s"],
        "all": group(run["all"]), **{of["name"]: group(of) for of in run["bands"]},
    }
