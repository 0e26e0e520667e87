"""What the page says about loads near saturation: values for page.md."""

from charts import percent, seconds, thousands
from saturation import highest_load, nearest, targets

NAMES = {"auto": "room learnt", "fixed": "room told", "prompts": "room told, {prompts} prompt tokens at a time",
         "one-prompt": "room told, one prompt at a time", "own-counts": "room learnt",
         "own-counts-prompts": "room told, {prompts} prompt tokens at a time"}
SERVERS = {"32": "8B model, 32 slots", "256": "8B model, 256 slots", "own-32": "the same, 32 slots, own counts",
           "own-256": "the same, 256 slots, own counts", "opt": "OPT-13B, 94 slots"}
PROMPTS = {"32": "2,048", "256": "2,048", "own-32": "1", "own-256": "2,048", "opt": "2,560"}
TABLE_LOADS = (0.6, 0.8, 0.9, 0.95, 1.0, 1.1, 1.3)


def times(ratio):
    """A ratio of central to direct as people say it."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2f}"


def verdict(met):
    return "met" if met else "**missed**"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def system_name(setting, system):
    return NAMES[system].format(prompts=PROMPTS[setting]).replace("1 prompt tokens", "one prompt")


def loads_of(result):
    known = [float(load) for load in result["systems"]["direct"]]
    return [load for load in TABLE_LOADS if any(abs(load - each) < 1e-6 for each in known)]


def main_table(result):
    rows = []
    for load in loads_of(result):
        d, f, o = (nearest(result["systems"][name], load) for name in ("direct", "fixed", "one-prompt"))
        rows.append([percent(load)] + [seconds(of["critical"][figure]) for figure in ("wait", "wait_p99")
                                       for of in (d, f, o)] +
                    [f"{o['tokens'] / d['tokens']:.4f}"])
    return table(["load", "mean wait, direct", "room told", "one prompt at a time", "p99 wait, direct", "room told",
                  "one prompt at a time", "throughput of direct's"], rows)


def target_figure(row):
    if row["kind"] == "load":
        return f"{'at least ' if row['more'] else ''}{row['ratio']:.2f}"
    return f"{row['ratio']:.4f}" if row["kind"] == "throughput" else times(row["ratio"])


def all_targets(figures):
    rows, met_of = [], {}
    for setting, result in figures["saturation"].items():
        for system in result["systems"]:
            if system == "direct":
                continue
            found = targets(result, system)
            met_of[setting, system] = [row["met"] for row in found]
            rows.append([SERVERS[setting], system_name(setting, system)] +
                        [f"{target_figure(row)} {verdict(row['met'])}" for row in found])
    return table(["servers", "central queue", "critical mean wait at 95 %, of direct's (<= 0.2)",
                  "critical p99 wait (<= 0.2)", "mean regret (<= 0.2)", "highest load, of direct's (>= 1.15)",
                  "throughput at 110 % (>= 0.995)"], rows), met_of


def main_targets(result):
    rows = []
    for row in targets(result, "one-prompt"):
        say = {"time": seconds, "load": percent, "throughput": lambda v: f"{thousands(v)} tokens/s"}[row["kind"]]
        bound = f"at most {row['bound']:.3g}" if row["kind"] == "time" else f"at least {row['bound']:.4g}"
        rows.append([row["what"], say(row["direct"]), ("more than " if row.get("more") else "") + say(row["central"]),
                     target_figure(row), bound, verdict(row["met"])])
    return table(["", "direct", "central", "ratio", "promised", "verdict"], rows)


def main_targets_kept(result):
    """[(what was promised, its figure, whether it was kept)]"""
    return [(f"{row['what']}: {'at most' if row['kind'] == 'time' else 'at least'} {row['bound']:.4g} of direct's",
             target_figure(row), row["met"]) for row in targets(result, "one-prompt")]


def regret_tables(result):
    by_band, by_load = [], []
    d, o, f = (nearest(result["systems"][name], 0.95) for name in ("direct", "one-prompt", "fixed"))
    for band in ("critical", "default", "sheddable", "all"):
        ratio = o[band]["regret"] / d[band]["regret"]
        by_band.append([band, seconds(d[band]["regret"]), seconds(f[band]["regret"]), seconds(o[band]["regret"]),
                        times(ratio), verdict(ratio <= 0.2)])
    for load in loads_of(result):
        of = [nearest(result["systems"][name], load)["all"]["regret"] for name in ("direct", "fixed", "one-prompt")]
        by_load.append([percent(load), *map(seconds, of)])
    return (table(["band", "direct", "room told", "one prompt at a time", "ratio", "at most 0.2"], by_band),
            table(["load", "direct", "room told", "one prompt at a time"], by_load))


def guarantee(result):
    rows = []
    for load in loads_of(result):
        d, c = nearest(result["systems"]["direct"], load), nearest(result["systems"]["one-prompt"], load)
        row = [percent(load)]
        for band in ("critical", "default", "sheddable"):
            row += [seconds(d[band]["ttft_p99"]), seconds(c[band]["ttft_p99"])]
        rows.append([*row, percent(c["sheddable"]["expired"] / c["sheddable"]["requests"])])
    return table(["load", "critical, direct", "central", "default, direct", "central", "sheddable, direct", "central",
                  "sheddable that expire"], rows)


def stationary(figures):
    first = int(figures["start_s"] // 120)
    count = int(figures["duration_s"] // 120)
    piece = figures["token_rates"][first:first + count]
    mean = sum(piece) / len(piece)
    deviation = (sum((rate - mean) ** 2 for rate in piece) / len(piece)) ** 0.5
    after = figures["token_rates"][first + count:] or piece
    return {"piece_mean": thousands(mean), "piece_deviation": percent(deviation / mean),
            "piece_low": percent(1 - min(piece) / mean), "piece_high": percent(max(piece) / mean - 1),
            "after_peak": f"{max(after) / mean:.2f}"}


def values(figures):
    small = figures["saturation"]["32"]
    direct, one, fixed = ({load: nearest(small["systems"][name], load) for load in (0.6, 0.95, 1.1, 1.3)}
                          for name in ("direct", "one-prompt", "fixed"))
    targets_table, met = all_targets(figures)
    by_band, by_load = regret_tables(small)
    rows = {row["what"]: row for row in targets(small, "one-prompt")}
    high = rows["highest load with critical p99 TTFT <= 1 s"]
    out = {
        "near_table": main_table(small), "main_targets": main_targets(small), "targets_table": targets_table,
        "regret_by_band": by_band, "regret_by_load": by_load, "guarantee_table": guarantee(small),
        "saturated_32": thousands(small["saturated"]), "seeds": figures["seeds"],
        "pays": all(met["32", "one-prompt"][:2]) and met["32", "one-prompt"][3],
        "fixed_60_same": abs(fixed[0.6]["all"]["wait"] / direct[0.6]["all"]["wait"] - 1) < 0.02,
        "wait_direct_95": seconds(direct[0.95]["critical"]["wait"]),
        "wait_central_95": seconds(one[0.95]["critical"]["wait"]),
        "p99_direct_95": seconds(direct[0.95]["critical"]["wait_p99"]),
        "p99_central_95": seconds(one[0.95]["critical"]["wait_p99"]),
        "wait_fixed_95": seconds(fixed[0.95]["critical"]["wait"]),
        "wait_direct_60": seconds(direct[0.6]["all"]["wait"]), "wait_one_60": seconds(one[0.6]["all"]["wait"]),
        "wait_fixed_60": seconds(fixed[0.6]["all"]["wait"]),
        "ttft_direct_60": seconds(direct[0.6]["all"]["ttft"]), "ttft_fixed_60": seconds(fixed[0.6]["all"]["ttft"]),
        "ttft_one_60": seconds(one[0.6]["all"]["ttft"]),
        "high_direct": percent(high["direct"]), "high_central": percent(high["central"]),
        "high_more": "beyond" if high["more"] else "up to",
        "throughput_110": percent(rows["throughput at 110 %"]["ratio"]),
        "regret_ratio": times(rows["mean regret at 95 %"]["ratio"]),
        "regret_missed": not rows["mean regret at 95 %"]["met"],
        "critical_130": seconds(one[1.3]["critical"]["ttft_p99"]),
        "critical_130_direct": seconds(direct[1.3]["critical"]["ttft_p99"]),
        "critical_60": seconds(one[0.6]["critical"]["ttft_p99"]),
        "default_130": seconds(one[1.3]["default"]["ttft_p99"]),
        "expired_130": percent(one[1.3]["sheddable"]["expired"] / one[1.3]["sheddable"]["requests"]),
        "sheddable_p99_95": seconds(one[0.95]["sheddable"]["wait_p99"]),
        "sheddable_p99_95_direct": seconds(direct[0.95]["sheddable"]["wait_p99"]),
        **stationary(figures),
        "more_settings": "256" in figures["saturation"],
    }
    return out | (elsewhere(figures) if out["more_settings"] else {})


def elsewhere(figures):
    """Other servers, other scorers."""
    large, own, opt = (figures["saturation"][name] for name in ("256", "own-32", "opt"))
    small = figures["saturation"]["32"]

    def critical(result, system, figure="wait", load=0.95):
        return nearest(result["systems"][system], load)["critical"][figure]

    def throughput(result, system, load):
        return nearest(result["systems"][system], load)["tokens"] / nearest(result["systems"]["direct"], load)["tokens"]

    def of_most(system):
        return nearest(opt["systems"][system], above)["tokens"] / opt["saturated"]

    gained = critical(small, "direct") - critical(small, "one-prompt")
    counts = critical(small, "direct") - critical(own, "direct")
    above = max(float(load) for load in opt["systems"]["direct"])
    lost = min(throughput(large, "auto", load) for load in loads_of(large))
    return {
        "wait_own_95": seconds(critical(own, "direct")),
        "wait_own_one_95": seconds(critical(own, "own-counts-prompts")),
        "p99_own_95": seconds(critical(own, "direct", "wait_p99")),
        "high_own": percent(highest_load(own["systems"]["direct"])[0]),
        "own_part": percent(counts / gained),
        "wait_256_direct": seconds(critical(large, "direct")), "wait_256": seconds(critical(large, "prompts")),
        "p99_256_direct": seconds(critical(large, "direct", "wait_p99")),
        "p99_256": seconds(critical(large, "prompts", "wait_p99")),
        "wait_256_ratio": times(critical(large, "prompts") / critical(large, "direct")),
        "wait_32_ratio": times(critical(small, "one-prompt") / critical(small, "direct")),
        "auto_256_95": percent(throughput(large, "auto", 0.95)), "auto_256_worst": percent(lost),
        "auto_256_loses": lost < 0.995, "one_256_95": percent(throughput(large, "one-prompt", 0.95)),
        "one_256_110": percent(throughput(large, "one-prompt", 1.1)),
        "one_256_loses": throughput(large, "one-prompt", 1.1) < 0.995,
        "prompts_256_110": percent(throughput(large, "prompts", 1.1)),
        "less_gain": critical(large, "prompts") / critical(large, "direct")
                     > critical(small, "one-prompt") / critical(small, "direct"),
        "opt_load": percent(above), "opt_direct": percent(of_most("direct")),
        "opt_central": percent(of_most("one-prompt")),
        "opt_direct_p99": seconds(critical(opt, "direct", "ttft_p99", above)),
        "opt_central_p99": seconds(critical(opt, "one-prompt", "ttft_p99", above)),
        "opt_wait_direct": seconds(critical(opt, "direct")), "opt_wait_fixed": seconds(critical(opt, "fixed")),
        "opt_wait": seconds(critical(opt, "one-prompt")),
        "opt_fixed_110": percent(throughput(opt, "fixed", 1.1)), "opt_auto_110": percent(throughput(opt, "auto", 1.1)),
        "opt_one_110": percent(throughput(opt, "one-prompt", 1.1)), "opt_loses": throughput(opt, "fixed", 1.1) < 0.995,
        "opt_collapses": of_most("direct") < 0.9,
        "opt_saturated": thousands(opt["saturated"]), "large_saturated": thousands(large["saturated"]),
    }
