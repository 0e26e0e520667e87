"""The Azure conversation trace at loads from far below to far above what the servers can do."""

import csv
import dataclasses
import datetime
import pathlib

from simulator import condensed, medians

TENANTS = "zipf:1.1:20"
BANDS = "critical=0.1,default=0.6,sheddable=0.3"
WARMUP_S = 60
# Speeds at which the most that the servers do is looked for, relative to the trace's own.
SATURATING = (1.5, 2, 2.5, 3, 4, 6, 9, 13, 20)
CLOSER = (0.88, 0.92, 0.96, 1.04, 1.08, 1.12, 1.16, 1.2)
TTFT_BOUND_S = 1.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is simulated."""
    trace: pathlib.Path
    start_s: float
    duration_s: float
    loads: tuple
    seeds: tuple
    measured_s: float


@dataclasses.dataclass(frozen=True)
class Setting:
    """Servers, and the pipelines that are held against `direct`."""
    name: str
    servers: pathlib.Path
    systems: dict         # name: pipeline.toml. `direct` uses the scorers of the first
    environment: dict     # what the pipelines fill in


def options(plan, setting, speed, seed, measured_s):
    repeat = int((measured_s + WARMUP_S) * speed / plan.duration_s) + 1
    return ["--trace", plan.trace, "--servers", setting.servers, "--seed", seed, "--start", f"{plan.start_s:g}s",
            "--duration", f"{plan.duration_s:g}s", "--time-scale", f"{speed:.3f}", "--repeat", repeat,
            "--tenants", TENANTS, "--bands", BANDS, "--warmup", f"{WARMUP_S}s"]


def saturated(simulator, plan, setting):
    """(tokens/s offered at the trace's own speed, the most tokens/s that the servers do at any speed without a queue,
    and the tokens/s of each system at the highest speed)"""
    first = list(setting.systems.values())[:1]

    def at(speeds, pipelines):
        jobs = [(pipelines, [*options(plan, setting, speed, plan.seeds[0], plan.measured_s), "--baseline", "direct"],
                 setting.environment) for speed in speeds]
        return dict(zip(speeds, simulator.run_all(jobs)))

    direct = {speed: runs[1]["tokens_per_s"] for speed, runs in at(SATURATING, first).items()}
    best = max(direct, key=direct.get)
    if best != SATURATING[-1]:  # servers that do less when more is asked of them: look closer
        direct |= {speed: runs[1]["tokens_per_s"] for speed, runs in at([best * by for by in CLOSER], first).items()}
    far = at(SATURATING[-1:], list(setting.systems.values()))[SATURATING[-1]]
    far_above = dict(zip(setting.systems, [run["tokens_per_s"] for run in far[0::2]]))
    rate = far[0]["offered_tokens_per_s"] / SATURATING[-1]
    return rate, max(direct.values()), {**far_above, "direct": far[1]["tokens_per_s"]}


def measure(simulator, plan, setting):
    """Figures by system and load, medians of the seeds."""
    rate, most, far_above = saturated(simulator, plan, setting)
    pipelines = list(setting.systems.values())
    jobs, which = [], []
    for load in plan.loads:
        for seed in plan.seeds:
            for configs, more in ((pipelines[:1], ["--baseline", "direct"]), (pipelines[1:], [])):
                if configs:
                    jobs.append((configs, options(plan, setting, load * most / rate, seed, plan.measured_s) + more,
                                 setting.environment))
                    which.append(load)
    found = {}
    names = list(setting.systems)
    for load, job, runs in zip(which, jobs, simulator.run_all(jobs)):
        labels = [names[0], "direct"] if "--baseline" in job[1] else names[1:]
        for label, run in zip(labels, runs):
            found.setdefault(label, {}).setdefault(load, []).append(condensed(run))
    systems = {name: {f"{load:g}": medians(runs) for load, runs in by_load.items()} for name, by_load in found.items()}
    requests = sum(run["all"]["requests"] for by_load in found.values() for runs in by_load.values() for run in runs)
    return {"rate": rate, "saturated": most, "far_above": far_above, "systems": systems, "requests": requests,
            "cpu": sum(run["cpu"] for by_load in found.values() for runs in by_load.values() for run in runs)}


def nearest(by_load, load):
    return by_load[min(by_load, key=lambda each: abs(float(each) - load))]


def highest_load(by_load, bound=TTFT_BOUND_S):
    """(the load at which the critical p99 TTFT passes BOUND, whether it does at all)"""
    before = None
    for load, figures in sorted((float(load), figures) for load, figures in by_load.items()):
        figure = figures["critical"]["ttft_p99"]
        if figure is None or figure > bound:
            if before is None or figure is None:
                return (before or (load, 0))[0], True
            return before[0] + (load - before[0]) * (bound - before[1]) / (figure - before[1]), True
        before = load, figure
    return before[0], False


def targets(result, system):
    """What issue 6 asks of the central queue: [(what, figure, bound, met, direct's, central's)]"""
    near_c, near_d = nearest(result["systems"][system], 0.95), nearest(result["systems"]["direct"], 0.95)
    over_c, over_d = nearest(result["systems"][system], 1.1), nearest(result["systems"]["direct"], 1.1)
    rows = []
    for what, name, figure in (("critical mean wait at 95 %", "critical", "wait"),
                               ("critical p99 wait at 95 %", "critical", "wait_p99"),
                               ("mean regret at 95 %", "all", "regret")):
        central, direct = near_c[name][figure], near_d[name][figure]
        ratio = central / direct if direct else 1.0
        rows.append({"what": what, "direct": direct, "central": central, "ratio": ratio, "bound": 1 / 5,
                     "met": ratio <= 1 / 5, "kind": "time"})
    (central, passed), (direct, _) = (highest_load(result["systems"][name]) for name in (system, "direct"))
    rows.append({"what": "highest load with critical p99 TTFT <= 1 s", "direct": direct, "central": central,
                 "ratio": central / direct, "bound": 1.15, "met": central / direct >= 1.15, "kind": "load",
                 "more": not passed})
    ratio = over_c["tokens"] / over_d["tokens"]
    rows.append({"what": "throughput at 110 %", "direct": over_d["tokens"], "central": over_c["tokens"],
                 "ratio": ratio, "bound": 0.995, "met": ratio >= 0.995, "kind": "throughput"})
    return rows


def token_rates(trace, bin_s=120):
    """Tokens a second that an Azure trace asks for, in bins of BIN_S."""
    sums, first = {}, None
    with open(trace, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            # The fraction has seven digits, one more than Python reads.
            whole, _, fraction = row["TIMESTAMP"].partition(".")
            at = datetime.datetime.fromisoformat(whole).timestamp() + float("0." + (fraction or "0"))
            first = at if first is None else first
            at_bin = int((at - first) // bin_s)
            sums[at_bin] = sums.get(at_bin, 0) + int(row["ContextTokens"]) + int(row["GeneratedTokens"])
    return [sums.get(index, 0) / bin_s for index in range(max(sums) + 1)]
