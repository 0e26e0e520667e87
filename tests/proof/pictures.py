"""The pictures of the page."""

from charts import Line, line_chart, percent, seconds, thousands

LOAD_TICKS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
LOAD = "load: tokens offered, of what the servers can do"
LOOKS = {"direct": ("direct", 0, 0), "auto": ("room learnt", 3, 3), "fixed": ("room told", 2, 2),
         "prompts": ("2,048 prompt tokens", 4, 1), "one-prompt": ("one prompt at a time", 1, 0)}


def curve(result, system, band, figure, scale=1.0):
    points = sorted((float(load), figures) for load, figures in result["systems"][system].items())
    return [(load, of[figure] * scale if band is None else of[band][figure]) for load, of in points]


def by_load(result, systems, band, figure):
    return [Line(LOOKS[name][0], curve(result, name, band, figure), LOOKS[name][1], LOOKS[name][2]) for name in systems]


def near_saturation(out, figures):
    for setting, figure, name, systems, title in (
            ("32", "ttft_p99", "ttft-32", ("direct", "fixed", "one-prompt"),
             "Critical requests, 32 slots a server: p99 of the time to the first token"),
            ("32", "wait_p99", "wait-32", ("direct", "fixed", "one-prompt"),
             "Critical requests, 32 slots a server: p99 of the wait"),
            ("256", "wait_p99", "wait-256", ("direct", "auto", "prompts"),
             "Critical requests, 256 slots a server: p99 of the wait")):
        result = figures["saturation"].get(setting)
        if result:
            line_chart(out / f"{name}.svg", title,
                       f"{title}, by load from 60 to 130 %, for direct routing and for central queues", LOAD,
                       "log scale", by_load(result, systems, "critical", figure), log_y=True, say_x=percent,
                       x_ticks=LOAD_TICKS, bounds=[(1.0, "")])
    for setting, title in (("256", "Throughput, A100 with an 8B model, 256 slots a server"),
                           ("opt", "Throughput, A100 with OPT-13B")):
        result = figures["saturation"].get(setting)
        if result:
            lines = [Line(LOOKS[name][0], curve(result, name, None, "tokens", 1 / result["saturated"]),
                          LOOKS[name][1], LOOKS[name][2]) for name in ("direct", "auto", "fixed", "one-prompt")]
            line_chart(out / f"throughput-{setting}.svg", title,
                       "Tokens a second by load, for direct routing and for central queues", LOAD,
                       "of what the servers can do", lines, say_x=percent, say_y=percent, x_ticks=LOAD_TICKS)
    result = figures["saturation"]["32"]
    line_chart(out / "regret.svg", "Mean regret of the choice of a server",
               "Mean regret of all requests by load, for direct routing, with and without one prompt at a time",
               LOAD, "log scale", by_load(result, ("direct", "fixed", "one-prompt"), "all", "regret"),
               log_y=True, say_x=percent, x_ticks=LOAD_TICKS)
    bands = [Line(f"{band}, central", curve(result, "one-prompt", band, "ttft_p99"), colour)
             for band, colour in (("critical", 1), ("default", 2), ("sheddable", 4))]
    bands.append(Line("any band, direct", curve(result, "direct", "all", "ttft_p99"), 0, 0))
    line_chart(out / "bands.svg", "p99 of the time to the first token, by band",
               "p99 TTFT of each band by load with a central queue, and of all bands without",
               LOAD, "log scale", bands, log_y=True, say_x=percent, x_ticks=LOAD_TICKS)
    minutes = [(2 * i + 1, rate) for i, rate in enumerate(figures["token_rates"])]
    first, last = figures["start_s"] / 60, (figures["start_s"] + figures["duration_s"]) / 60
    line_chart(out / "trace.svg", "What the Azure conversation trace asks for",
               "Tokens a second in bins of two minutes", "minutes of the trace", "tokens/s",
               [Line("the piece that is replayed", [at for at in minutes if first <= at[0] <= last], 1),
                Line("the rest", minutes, 5, 2)], say_y=thousands)


def draw(out, figures):
    near_saturation(out, figures)
    lines = []
    for policy, dash in (("fcfs", 2), ("vtc", 0)):
        for flow, colour in (("a", 1), ("b", 0)):
            lines.append(Line(f"{flow}, {policy}", figures["fairness"][policy]["over_time"][flow], colour, dash, False))
    line_chart(out / "service.svg", "Service of two tenants: b asks for twice as much as a",
               "Accumulated service of tenants a and b over time, with fcfs and with vtc", "seconds",
               "cost units (prompt + 2 x output)", lines, say_y=thousands)
    sizes = sorted((int(size), of) for size, of in figures["prefix"].items())
    line_chart(out / "prefix.svg", "Prompt tokens found in a prefix cache", "Hit rates by the KV cache of a server",
               "KV cache of each of 8 servers, tokens", "hit rate",
               [Line("without bounds", [(s * 1000, of["ideal"]) for s, of in sizes], 5, 1, False),
                Line("one cache for all", [(s * 1000, of["pooled"]) for s, of in sizes], 4, 3),
                Line("prefix scoring", [(s * 1000, of["default"]["hit"]) for s, of in sizes], 1),
                Line("queue depth alone", [(s * 1000, of["queue"]["hit"]) for s, of in sizes], 0)],
               log_x=True, say_x=lambda tokens: f"{tokens / 1000:,.0f}k", say_y=percent,
               x_ticks=[s * 1000 for s, _ in sizes])
    burst = figures["head_of_line"]
    line_chart(out / "burst.svg", "TTFT of short prompts around a burst of long ones",
               "Mean time to the first token by the seconds since the burst", "seconds since another tenant's burst",
               "TTFT, mean, log scale",
               [Line("direct", burst["direct"]["since"], 0, 0, False),
                Line("central, no bands, token turns", burst["tokens-in-turn"]["since"], 2, 1, False),
                Line("central, critical", burst["interactive"]["since"], 1, 0, False)], log_y=True)
