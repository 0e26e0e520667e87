"""What the page says about all but loads near saturation: values for page.md."""

import pathlib
import re

from charts import percent, seconds, thousands
from claims_saturation import table, times, verdict
from statistics import median

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
POLICIES = ("fcfs", "round-robin", "weighted-drr", "vtc")
# Differences of a wait below this part count as none.
SAME = 0.05


def change(with_it, without):
    """What a setting did to a latency, in a word."""
    if without == 0 or abs(with_it / without - 1) < SAME:
        return "the same"
    return "less" if with_it < without else "more"


def fairness(of):
    third = of["fcfs"]["service"] / 3
    vtc = of["vtc"]["gap"] / of["fcfs"]["gap"]
    rows = [[name, thousands(of[name]["gap"]), f"{of[name]['gap'] / third:.3f}", thousands(of[name]["windowed_mean"]),
             f"{of[name]['tokens']:,.0f} tokens/s"] for name in POLICIES]
    return {
        "fairness_table": table(["policy", "gap, cost units", "of a third of all service",
                                 "windowed difference, mean", "throughput"], rows),
        "fcfs_gap": thousands(of["fcfs"]["gap"]), "vtc_gap": thousands(of["vtc"]["gap"]),
        "vtc_part": f"1/{1 / vtc:.0f}", "all_service": thousands(of["fcfs"]["service"]),
    }


def prefix(of):
    sizes = sorted(of, key=int)
    small = of[sizes[0]]
    base, ideal = small["queue"]["hit"], small["ideal"]
    rows, parts = [], {}
    for size in sizes:
        each = of[size]
        parts[size] = (each["default"]["hit"] - each["queue"]["hit"]) / (each["ideal"] - each["queue"]["hit"])
        rows.append([f"{size}k", percent(each["queue"]["hit"]), percent(each["prefix"]["hit"]),
                     percent(each["default"]["hit"]), percent(each["pooled"]), percent(each["ideal"]),
                     percent(parts[size]), seconds(each["queue"]["ttft"]), seconds(each["prefix"]["ttft"]),
                     seconds(each["default"]["ttft"])])
    met, part = parts[sizes[0]] >= 0.5, parts[sizes[0]]
    enough = [size for size in sizes if parts[size] >= 0.5]
    return {
        "prefix_table": table(["KV tokens a server", "queue depth alone", "prefix alone", "all three",
                               "one cache for all", "without bounds", "of the distance", "mean TTFT, queue depth",
                               "prefix alone",
                               "all three"], rows),
        "prefix_base": percent(base), "prefix_hit": percent(small["default"]["hit"]), "prefix_ideal": percent(ideal),
        "prefix_pooled": percent(small["pooled"]),
        "prefix_of_pooled": percent(small["default"]["hit"] / small["pooled"]),
        "prefix_pooled_part": percent((small["pooled"] - base) / (ideal - base)), "prefix_part": percent(part),
        "prefix_missed": not met, "prefix_unreachable": (small["pooled"] - base) / (ideal - base) < 0.5,
        "prefix_enough": f"{enough[0]}k" if enough else "more than was tried",
        "prefix_ttft_ratio": percent(1 - small["default"]["ttft"] / small["queue"]["ttft"]),
    }


def head_of_line(of):
    names = {"direct": "direct", "fixed": "central, room told, one band", "tokens-in-turn":
             "central, one prompt at a time, one band, turns by tokens", "interactive":
             "central, one prompt at a time, chats critical"}
    return {
        "burst_table": table(["", "chats' mean TTFT", "p99", "worst second after the burst", "p99 of all answers",
                              "throughput"],
                             [[says, seconds(of[name]["mean"]), seconds(of[name]["p99"]), seconds(of[name]["worst"]),
                               seconds(of[name]["e2e_p99"]), f"{of[name]['tokens']:,.0f} tokens/s"]
                              for name, says in names.items()]),
        "burst_fixed_same": of["fixed"]["worst"] > 0.5 * of["direct"]["worst"],
        "burst_direct": seconds(of["direct"]["worst"]), "burst_critical": seconds(of["interactive"]["worst"]),
        "burst_turns": seconds(of["tokens-in-turn"]["worst"]), "burst_fixed": seconds(of["fixed"]["worst"]),
    }


def contention(of):
    d, c = of["direct"], of["central"]
    share = c["tokens"] / d["tokens"]
    return {
        "flood_table": table(["", "polite: mean TTFT", "p50", "p99", "flood: mean TTFT", "p99", "throughput"],
                             [[says, *[seconds(each["polite"][figure]) for figure in ("ttft", "ttft_p50", "ttft_p99")],
                               *[seconds(each["flood"][figure]) for figure in ("ttft", "ttft_p99")],
                               f"{each['tokens']:,.0f} tokens/s"]
                              for says, each in (("direct", d), ("central, one prompt at a time", c))]),
        "flood_direct": seconds(d["polite"]["ttft"]), "flood_central": seconds(c["polite"]["ttft"]),
        "flood_share": percent(share),
    }


def back_pressure(of):
    rows = []
    for name, says in (("direct", "direct"), ("patient", "central, default limits and TTLs (5,000 and 60 s a band)"),
                       ("limits", "central, `limits.toml`: TTL 2 s, 32 to 128 a band")):
        each = of[name]
        rows.append([says, f"{goodput(each):.1f}/s", *[percent(each[band]["slo"] or 0) for band in
                                                        ("critical", "default", "sheddable")],
                     seconds(each["all"]["wait_p99"]), thousands(each["all"]["refused"]),
                     thousands(each["all"]["expired"])])
    return {
        "pressure_table": table(["", "in time", "critical", "default", "sheddable", "p99 wait of what is answered",
                                 "refused at once", "refused when its TTL ended"], rows),
        "goodput_direct": f"{goodput(of['direct']):.1f}", "goodput_limits": f"{goodput(of['limits']):.1f}",
    }


def goodput(each):
    return each["all"]["slo_met"] / each["seconds"]


def better(of):
    rows, words = [], set()
    for load, systems in of.items():
        for name, says in (("fixed", "room told"), ("one-prompt", "one prompt at a time")):
            patient = systems["patient-fixed" if name == "fixed" else "patient"]
            word = change(patient["all"]["wait"], systems[name]["all"]["wait"])
            words.add(word)
            rows.append([percent(float(load)), says, seconds(systems[name]["all"]["wait"]),
                         seconds(patient["all"]["wait"]), word, seconds(systems[name]["all"]["regret"]),
                         seconds(patient["all"]["regret"])])
    verdicts = {frozenset({"the same"}): "It made no difference", frozenset({"less"}): "It helped",
                frozenset({"the same", "less"}): "It helped in places", frozenset({"more"}): "It harmed",
                frozenset({"the same", "more"}): "It helped nowhere and harmed in places"}
    return {"better_table": table(["load", "", "mean wait", "with it", "", "mean regret", "with it"], rows),
            "better_verdict": verdicts.get(frozenset(words), "It helped in places and harmed in others")}


def price(of):
    latency, cost = of["latency"], of["cost"]

    def ms(who, figure):
        return median(latency[who][figure])

    rows = [[name, *[f"{ms(who, figure):.2f} ms" for figure in ("p50_ms", "p99_ms")],
             f"{median(cost[key]['cpu_us']):.1f} us" if key else ""]
            for name, who, key in (("straight to the server", "straight", None),
                                   ("bare forwarder", "bare forwarder", "bare_forwarder"),
                                   ("Sluice", "sluice", "sluice"))]
    return {
        "price_table": table(["", "p50", "p99", "CPU a request"], rows), "price_ratio": f"{cost['ratio']:.2f}",
        "price_p50": f"{ms('sluice', 'p50_ms') - ms('straight', 'p50_ms'):.2f} ms",
        "price_over_bare": f"{ms('sluice', 'p50_ms') - ms('bare forwarder', 'p50_ms'):.2f} ms",
        "price_cpu": f"{median(cost['sluice']['cpu_us']):.0f} us",
    }


def speed(of):
    once, many = of["once"], of["many"]
    rate = many["requests_per_cpu_s"]
    growth = many["resident"] / once["resident"] - 1
    rows = [[says, thousands(each["requests"]), f"{each['cpu']:.2f} s", thousands(each["requests_per_cpu_s"]),
             f"{each['resident'] / 2**20:.1f} MiB"]
            for says, each in (("once", once), (f"{of['times']} times in a row", many))]
    return {"speed_table": table(["the piece", "requests", "CPU", "requests a CPU second", "most resident"], rows),
            "speed": thousands(rate), "speed_verdict": verdict(rate >= 100_000),
            "memory_growth": percent(max(0, round(growth, 2))),
            "memory_verdict": verdict(growth < 0.1),
            "speed_times": of["times"]}


def prompts_at_a_time(of):
    rows = []
    for i, small in enumerate(of["32"]):
        size = {0: "any number", 1: "one prompt"}.get(small["size"], thousands(small["size"]))
        row = [size]
        for each in (name[i] for name in of.values()):
            row += [seconds(each["wait"]), seconds(each["wait_p99"]), f"{each['throughput_110']:.4f}"]
        rows.append(row)
    head = ["prompt tokens at a time"]
    for name in of:
        head += [f"{name} slots: mean wait", "p99 wait", "throughput at 110 %, of direct's"]
    return {"prompts_table": table(head, rows)}


def validation(rows):
    """Of the simulator against the live host; rows of (case, figure, ms live, ms simulated)."""
    off = [live / simulated - 1 for _, _, live, simulated in rows]
    cells = [[case, figure, f"{live:,.1f} ms", f"{simulated:,.1f} ms", f"{part * 100:+.1f} %"]
             for (case, figure, live, simulated), part in zip(rows, off)]
    return {"validation_table": table(["room", "figure", "live", "simulated", "off"], cells),
            "validation_verdict": verdict(all(abs(part) <= 0.1 for part in off))}


def planted():
    """How many bugs core/planted.h has."""
    header = (ROOT / "core/planted.h").read_text(encoding="utf-8")
    return len(re.findall(r"^  k\w+, +//", header, re.MULTILINE))


def values(figures):
    simulated = sum(result["requests"] for result in figures["saturation"].values())
    out = {
        **fairness(figures["fairness"]), **prefix(figures["prefix"]), **head_of_line(figures["head_of_line"]),
        **back_pressure(figures["back_pressure"]),
        **contention(figures["contention"]), **better(figures["wait_for_better"]), **speed(figures["speed"]),
        **prompts_at_a_time(figures["prompts"]),
        "worse_text": "\n".join(figures["worse"]["verdict"]).strip(),
        "worse_speed": f"{figures['worse']['speed']:.3f}", "worse_repeat": figures["worse"]["repeat"],
        "worse_verdict": verdict(figures["worse"]["is_worse"]), "requests_simulated": thousands(simulated),
        "took": f"{figures['took_s'] / 60:.1f} minutes", "priced": "price" in figures,
        "worlds": figures["worlds"], "planted": planted(),
        "hundred_million": (HERE / "hundred_million.txt").read_text(encoding="utf-8").rstrip(),
        **(validation(figures["validation"]) if "validation" in figures else {}),
    }
    return out | (price(figures["price"]) if out["priced"] else {"price_over_bare": "(not measured)"})
