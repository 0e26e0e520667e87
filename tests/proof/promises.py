"""Every promise in one form: what, the figure, the bound, whether it was kept. Values for page.md."""

from charts import percent, seconds
from claims_saturation import main_targets_kept, table, verdict


def fairness(of):
    fcfs = of["fcfs"]["gap"] / (of["fcfs"]["service"] / 3)
    vtc = of["vtc"]["gap"] / of["fcfs"]["gap"]
    tokens = [each["tokens"] for each in of.values()]
    spread = max(tokens) / min(tokens) - 1
    return [("fcfs: gap at least 0.9 of a third of all service", f"{fcfs:.3f}", fcfs >= 0.9),
            ("vtc: gap at most 1/10 of that under fcfs", f"{vtc:.3f}", vtc <= 0.1),
            ("throughput the same within 5 %", percent(spread), spread <= 0.05)]


def prefix(of):
    small = of[min(of, key=int)]
    base, hit, faster = small["queue"]["hit"], small["default"]["hit"], small["default"]["ttft"]
    part = (hit - base) / (small["ideal"] - base)
    return [("hit rate: at least half of the distance to the ideal", percent(part), part >= 0.5),
            ("lower mean TTFT", f"{seconds(faster)}, was {seconds(small['queue']['ttft'])}",
             faster < small["queue"]["ttft"])]


def tools(figures):
    off = max((abs(live / simulated - 1) for _, _, live, simulated in figures.get("validation", ())), default=None)
    same = [] if off is None else [("waits and TTFT of the live host within 10 %, p50 and p99", percent(off), off <= 0.1)]
    rate = min(figures["speed"][name]["requests_per_cpu_s"] for name in ("once", "many"))
    growth = figures["speed"]["many"]["resident"] / figures["speed"]["once"]["resident"] - 1
    return [("a worse pipeline.toml is shown to be worse by one command",
             "it is" if figures["worse"]["is_worse"] else "it is not", figures["worse"]["is_worse"]),
            ("at least 100,000 simulated requests a CPU second", f"{rate:,.0f}", rate >= 100_000),
            ("memory does not grow with the trace (10 %)", percent(max(0, growth)), growth <= 0.1)] + same


def values(figures):
    groups = {"near saturation": main_targets_kept(figures["saturation"]["32"]),
              "fairness": fairness(figures["fairness"]), "prefix caches": prefix(figures["prefix"]),
              "simulator": tools(figures)}
    every = [(name, *row) for name, rows in groups.items() for row in rows]
    missed = [f"{what} ({figure})" for _, what, figure, met in every if not met]
    pairs = {f"{name.split()[0]}_targets": table(["promised", "measured", "verdict"],
                                                 [[what, figure, verdict(met)] for what, figure, met in rows])
             for name, rows in groups.items()}
    return {**pairs, "promises_kept": sum(met for *_, met in every), "promises": len(every), "all_kept": not missed,
            "promises_missed": "; ".join(missed)}
