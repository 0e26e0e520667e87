"""The claims that need a run or two each. Every function returns figures only."""

import csv
import pathlib
import statistics

import saturation
from simulator import condensed

FAIRNESS = {"fcfs": "fair-fcfs", "round-robin": "fair-round-robin", "weighted-drr": "fair-drr", "vtc": "fair-vtc"}
BURST_EVERY_S, BURST_AT_S = 60, 30


def service_rows(window_s, steps):
    """Reads requests.csv into each flow's service over time: prompt + 2 x output, spread from first token to end."""
    def read(file):
        flows = {}
        for row in csv.DictReader(file):
            if row["outcome"] == "completed":
                flows.setdefault(row["flow"].split("|")[-1], []).append(
                    (float(row["first_token_s"]), float(row["finished_s"]),
                     int(row["prompt_tokens"]) + 2 * int(row["output_tokens"])))
        times = [window_s * i / steps for i in range(steps + 1)]
        return {flow: [(at, sum(size * min(1, max(0, (at - first) / max(end - first, 1e-9)))
                                for first, end, size in of)) for at in times] for flow, of in sorted(flows.items())}
    return read


def fairness(simulator, root, window_s):
    """The `overload` of the VTC paper under each fairness policy."""
    conf = root / "tests/proof/conf"
    options = ["--trace", root / "conf/loads/overload.toml", "--servers", root / "conf/servers/a10g-llama-2-7b.toml",
               "--duration", f"{window_s}s"]
    runs = simulator.runs([conf / f"{file}.toml" for file in FAIRNESS.values()], options,
                          rows=service_rows(window_s, 60))
    found = {}
    for name, run in zip(FAIRNESS, runs):
        seconds = run["window_to_s"] - run["window_from_s"]
        found[name] = {"gap": run["fairness"]["accumulated_gap"], "tokens": run["tokens_per_s"],
                       "service": (run["tokens_per_s"] + run["output_tokens_per_s"]) * seconds,
                       "windowed_mean": run["fairness"]["windowed_mean"], "jain": run["fairness"]["jain"],
                       "over_time": run["rows"]}
    return found


def prefix(simulator, conf, trace, sizes):
    """Prefix-cache scoring against queue depth alone, by how much KV cache the servers have."""
    names = {"queue": "by-queue", "prefix": "by-prefix", "default": "auto"}
    jobs = [([conf / f"{file}.toml" for file in names.values()],
             ["--trace", trace, "--servers", conf / f"servers-kv-{size}k.toml"], None) for size in sizes]
    found = {}
    for size, runs in zip(sizes, simulator.run_all(jobs)):
        found[size] = {name: {"hit": run["hit_rate"], "ttft": run["all"]["ttft"]["mean_s"],
                              "ttft_p99": run["all"]["ttft"]["p99_s"]} for name, run in zip(names, runs)}
        found[size] |= {"pooled": runs[0]["pooled_hit_rate"], "ideal": runs[0]["ideal_hit_rate"],
                        "requests": runs[0]["all"]["requests"]}
    return found


def chat_rows(file):
    """TTFT of the tenant that chats: mean by the seconds since the last burst, and all of them."""
    buckets, all_of = {}, []
    for row in csv.DictReader(file):
        if row["flow"].endswith("chat") and row["first_token_s"]:
            ttft = float(row["first_token_s"]) - float(row["arrival_s"])
            since = float(row["arrival_s"]) - BURST_AT_S
            all_of.append(ttft)
            if since >= 0:
                buckets.setdefault(int(since % BURST_EVERY_S), []).append(ttft)
    all_of.sort()
    return {"since": [(at + 0.5, statistics.fmean(of)) for at, of in sorted(buckets.items())],
            "mean": statistics.fmean(all_of), "p99": all_of[int(len(all_of) * 0.99)],
            "worst": max(statistics.fmean(of) for of in buckets.values())}


def head_of_line(simulator, conf, duration_s):
    """A burst of long prompts of one tenant, and another that sends short ones all the time."""
    options = ["--trace", conf / "burst.toml", "--servers", conf / "servers-32.toml", "--duration", f"{duration_s}s"]
    names = ("fixed", "tokens-in-turn", "interactive")
    files = [conf / f"{name}.toml" for name in names]
    direct = simulator.runs(files[:1], [*options, "--baseline", "direct"], rows=chat_rows)[1]
    runs = simulator.runs(files, options, rows=chat_rows)
    return {name: {**run["rows"], "tokens": run["tokens_per_s"], "e2e_p99": run["all"]["e2e"]["p99_s"]}
            for name, run in zip(("direct", *names), (direct, *runs))}


def contention(simulator, conf, duration_s):
    """A tenant that keeps more requests open than there are slots, and one that keeps four, in one band."""
    options = ["--trace", conf / "flood.toml", "--servers", conf / "servers-32.toml", "--duration", f"{duration_s}s",
               "--warmup", f"{duration_s / 10:g}s"]
    central, direct = simulator.runs([conf / "one-prompt.toml"], [*options, "--baseline", "direct"])
    return {name: {"tokens": run["tokens_per_s"], "idle": run["idle_while_waiting_s"],
                   **{tenant["name"]: {"ttft": tenant["ttft"]["mean_s"], "ttft_p50": tenant["ttft"]["p50_s"],
                                       "ttft_p99": tenant["ttft"]["p99_s"]} for tenant in run["tenants"]}}
            for name, run in (("direct", direct), ("central", central))}


def back_pressure(simulator, plan, setting, conf, speed):
    """More than the servers can do: what is answered in time, and what becomes of the rest."""
    options = saturation.options(plan, setting, speed, plan.seeds[0], plan.measured_s)
    runs = simulator.runs([conf / "one-prompt.toml"], [*options, "--baseline", "direct"], setting.environment)
    runs += simulator.runs([conf / "limits.toml"], options, setting.environment)
    return {name: condensed(run) for name, run in zip(("patient", "direct", "limits"), runs)}


def wait_for_better(simulator, plan, setting, conf, speeds):
    """Figures with and without [picker] wait_for_better, by load."""
    names = ("fixed", "patient-fixed", "one-prompt", "patient")
    files = [conf / f"{name}.toml" for name in names]
    jobs = [(files, saturation.options(plan, setting, speed, plan.seeds[0], plan.measured_s), setting.environment)
            for speed in speeds.values()]
    return {load: {name: condensed(run) for name, run in zip(names, runs)}
            for load, runs in zip(speeds, simulator.run_all(jobs))}


def prompts_at_a_time(simulator, plan, setting, conf, result, sizes):
    """Critical wait at 95 % load and throughput at 110 %, by how many prompt tokens a server has at a time; 0: any."""
    loads = loads_of((0.95, 1.1), result)
    jobs = [([conf / "prompts.toml"], saturation.options(plan, setting, loads[load], plan.seeds[0], plan.measured_s),
             {**setting.environment, "PROMPTS": str(size)}) for size in sizes for load in loads]
    runs = [condensed(runs[0]) for runs in simulator.run_all(jobs)]
    direct = {load: saturation.nearest(result["systems"]["direct"], load) for load in loads}
    return [{"size": size, "wait": near["critical"]["wait"], "wait_p99": near["critical"]["wait_p99"],
             "regret": near["all"]["regret"], "throughput_95": near["tokens"] / direct[0.95]["tokens"],
             "throughput_110": over["tokens"] / direct[1.1]["tokens"]}
            for size, near, over in zip(sizes, runs[0::2], runs[1::2])]


def worse(simulator, plan, setting, conf, speed):
    """What one command prints about a change that is worse."""
    options = saturation.options(plan, setting, speed, plan.seeds[0], plan.measured_s)
    text = simulator.text([conf / "one-prompt.toml", conf / "too-careful.toml"], options, setting.environment)
    lines = text.rstrip().splitlines()
    verdict = next(i for i, line in enumerate(lines) if line.startswith("too-careful is"))
    return {"verdict": [line for line in lines[verdict:] if not line.endswith("report.html")],
            "is_worse": "WORSE" in lines[verdict],
            "speed": float(options[options.index("--time-scale") + 1]),
            "repeat": options[options.index("--repeat") + 1]}


def speed(simulator, plan, setting, conf, speed_up, times):
    """Requests a CPU second and resident memory, for the trace once and several times."""
    found = {"times": times}
    for name, repeat in (("once", 1), ("many", times)):
        options = ["--trace", plan.trace, "--servers", setting.servers, "--time-scale", f"{speed_up:.3f}",
                   "--repeat", repeat, "--start", f"{plan.start_s:g}s", "--duration", f"{plan.duration_s:g}s"]
        resident, (run,) = simulator.resident_bytes([conf / "fixed.toml"], options, setting.environment)
        found[name] = {"resident": resident, "requests": run["all"]["requests"], "cpu": run["cpu_s"],
                       "requests_per_cpu_s": run["all"]["requests"] / run["cpu_s"]}
    return found


def loads_of(speeds, result):
    """Loads as speeds of the trace."""
    return {load: load * result["saturated"] / result["rate"] for load in speeds}


def files_of(conf, *names):
    return {name: pathlib.Path(conf, f"{name}.toml") for name in names}
