"""`sluice simulate` against what it simulates: the same trace and the same pipeline.toml, played
against `sluice serve` in front of sim-servers that work in steps, must give the same waits.

Judged are the 50th and the 99th percentile of TTFT and of wait, which is TTFT less what the
request's own prefill takes. Near saturation a schedule is chaotic: requests that come a millisecond
later change who meets whom, and with it every wait after. So neither side is one run. The simulator
is asked again with arrivals as inexact as a live client's, and the median of its answers counts;
live, one round that agrees is enough, or else the median of all.

By hand, with a longer trace, whose files and requests are left in a directory:

    python3 tests/e2e/simulator_test.py --duration 300 --rounds 1 --out DIRECTORY
"""

import argparse
import asyncio
import csv
import gc
import json
import math
import pathlib
import random
import statistics
import sys

import harness
from wire import request_bytes

TOLERANCE = 0.10
# Seconds: what a live request spends in two sockets and three processes, and its client's clock,
# which goes by the millisecond. It decides only where waits are below 30 ms.
FLOOR = 0.003
INEXACT = 0.002  # seconds: so late a client's request is, bar one in a hundred
REPLAYS = 9  # of the simulator
ROUNDS = 3  # live, at most
SECONDS = 26  # of arrivals
CONNECT_AHEAD = 0.05  # seconds: connections stand before they are needed
DRAIN = 60  # seconds for the last answers
SERVERS = 3

BANDS = """
[flow]
key = ["header:x-llm-d-inference-fairness-id"]
[[band]]
name = "critical"
priority = 100
ttl = "0s"
[[band]]
name = "default"
priority = 0
ttl = "0s"
fairness = { use = "vtc" }
[[band]]
name = "sheddable"
priority = -10
ttl = "0s"
[[objective]]
name = "chat"
band = "critical"
[[objective]]
name = "batch"
band = "sheddable"
"""
BAND_OF = {"chat": "critical", "": "default", "batch": "sheddable"}
TENANTS = {"ann": 8, "bob": 4, "cat": 2, "dan": 1, "eve": 1}


class Case:
    """Model servers, told once to sim-server and once to the simulator, and what arrives."""

    def __init__(self, name, capacity, seed, rate, kv_tokens, chunked):
        self.name, self.capacity, self.seed, self.rate = name, capacity, seed, rate
        self.slots, self.kv_tokens, self.chunked = 8, kv_tokens, chunked
        # Milliseconds.
        self.step, self.per_sequence, self.per_context = 16, 0.5, 0.001
        self.prefill, self.per_token, self.max_prefill = 14, 0.05, 2048

    def sim_server_options(self):
        options = {
            "max_num_seqs": self.slots,
            "kv_tokens": self.kv_tokens,
            "step": f"{self.step}ms",
            "step_per_sequence": f"{round(self.per_sequence * 1e6)}ns",
            "step_per_context_token": f"{round(self.per_context * 1e6)}ns",
            "prefill": f"{self.prefill}ms",
            "prefill_per_token": f"{round(self.per_token * 1e6)}ns",
            "max_prefill_tokens": self.max_prefill,
        }
        return {**options, "chunked_prefill": True} if self.chunked else options

    def servers_toml(self):
        step = (
            f"base = {self.step}, per_sequence = {self.per_sequence}, "
            f"per_context_token = {self.per_context}"
        )
        return f"""[[server]]
count = {SERVERS}
prefill_ms = {{ base = {self.prefill}, per_token = {self.per_token} }}
step_ms = {{ {step} }}
kv_tokens = {self.kv_tokens}
max_running = {self.slots}
max_prefill_tokens = {self.max_prefill}
chunked_prefill = {json.dumps(self.chunked)}
"""

    def prefill_alone(self, prompt):
        """Seconds."""
        return (self.prefill + self.per_token * prompt) / 1000

    def trace(self, seconds):
        """Requests in bursts: the rate goes up and down around its mean."""
        draw = random.Random(self.seed)
        names, weights = list(TENANTS), list(TENANTS.values())
        rows, now, until, rate = [], 0.0, 0.0, self.rate
        while True:
            now += draw.expovariate(1) / rate
            if now >= seconds:
                return rows
            if now > until:
                until = now + draw.uniform(1, 3)
                more = rate <= self.rate
                rate = self.rate * (draw.uniform(1.2, 1.8) if more else draw.uniform(0.2, 0.8))
            rows.append(
                {
                    "arrival_s": f"{now:.6f}",
                    "flow": draw.choices(names, weights)[0],
                    "objective": draw.choices(["chat", "", "batch"], [2, 5, 3])[0],
                    "model": "m",
                    "prompt_tokens": draw.randint(40, 500),
                    "output_tokens": min(100, 4 + int(draw.expovariate(1 / 24))),
                }
            )


CASES = [
    Case("fixed", "max_in_flight = 10", seed=11, rate=30, kv_tokens=100000, chunked=True),
    Case("auto", None, seed=5, rate=29, kv_tokens=4096, chunked=False),
]


def message(row):
    body = {
        "model": "m",
        "prompt": "abc " * row["prompt_tokens"],
        "stream": True,
        # What the model makes, and nobody knows before; the simulated host is not told either.
        "sim_output_tokens": row["output_tokens"],
    }
    headers = {harness.FAIRNESS_ID: row["flow"], "Connection": "close"}
    if row["objective"]:
        headers[harness.OBJECTIVE] = row["objective"]
    return request_bytes("POST", "/v1/completions", body, headers)


class Timed(asyncio.Protocol):
    """One request, sent when it is due, and the moment at which its first token came."""

    def __init__(self, row, due):
        self.row, self.due = row, due
        self.loop = asyncio.get_running_loop()
        self.sent = self.first = None
        self.head = b""
        self.ended = self.loop.create_future()

    def connection_made(self, transport):
        self.loop.call_at(self.due, self.send, transport, message(self.row))

    def send(self, transport, data):
        self.sent = self.loop.time()
        transport.write(data)

    def data_received(self, data):
        if self.first is not None:
            return
        self.head += data
        if b"data: " in self.head:
            self.first = self.loop.time()

    def connection_lost(self, exc):
        if not self.ended.done():
            self.ended.set_result(exc)


async def play(loads):
    """Plays each (port, rows), all at the same time. Returns the Timed of each."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.5
    arrivals = [(which, row) for which, (_, rows) in enumerate(loads) for row in rows]
    arrivals.sort(key=lambda arrival: float(arrival[1]["arrival_s"]))
    out, connects = [[] for _ in loads], []
    for which, row in arrivals:
        at = float(row["arrival_s"])
        await asyncio.sleep(begin + at - CONNECT_AHEAD - loop.time())
        timed = Timed(row, begin + at)
        out[which].append(timed)
        connect = loop.create_connection(lambda timed=timed: timed, "127.0.0.1", loads[which][0])
        connects.append(loop.create_task(connect))
    ends = [timed.ended for load in out for timed in load]
    await asyncio.wait_for(asyncio.gather(*connects, *ends), DRAIN)
    return out


def percentile(values, share, ranks=0):
    """The least value that SHARE of all do not exceed, or the one so many RANKS above it."""
    ordered = sorted(values)
    rank = math.ceil(share * len(ordered)) - 1 + ranks
    return ordered[min(max(rank, 0), len(ordered) - 1)]


class Figures:
    """Seconds: TTFT and wait of requests by band, "all" is one."""

    def __init__(self, case):
        self.case = case
        self.ttft, self.wait = {}, {}

    def add(self, band, prompt, ttft):
        for name in (band, "all"):
            self.ttft.setdefault(name, []).append(ttft)
            self.wait.setdefault(name, []).append(ttft - self.case.prefill_alone(prompt))

    def judged(self, band="all"):
        return {
            f"{what} p{round(share * 100)}": percentile(values[band], share)
            for what, values in (("wait", self.wait), ("TTFT", self.ttft))
            for share in (0.50, 0.99)
        }


def agree(live, simulated):
    return abs(live - simulated) <= max(FLOOR, TOLERANCE * simulated)


class Expected:
    """What the simulator says: the median of its replays, and how far they lie apart."""

    def __init__(self, replays):
        self.replays = replays

    def judged(self, band="all"):
        """(median, least, most) by figure."""
        each = [figures.judged(band) for figures in self.replays]
        return {
            name: (statistics.median(f[name] for f in each), *bounds([f[name] for f in each]))
            for name in each[0]
        }


def bounds(values):
    return min(values), max(values)


def write_rows(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def inexact(rows, draw):
    """ROWS as a client sends them."""
    out = [
        {**row, "arrival_s": f"{float(row['arrival_s']) + draw.uniform(0, INEXACT):.6f}"}
        for row in rows
    ]
    return sorted(out, key=lambda row: float(row["arrival_s"]))


class Simulator(harness.E2eTest):
    options = argparse.Namespace(duration=SECONDS, rounds=ROUNDS, out=None)

    def setUp(self):
        super().setUp()
        if self.options.out:
            self.directory = self.options.out
            self.directory.mkdir(parents=True, exist_ok=True)

    # ---- in virtual time ----
    def expected(self, case, rows, config):
        draw = random.Random(case.seed)
        replays = [self.replay(case, rows, config)]
        while len(replays) < REPLAYS:
            replays.append(self.replay(case, inexact(rows, draw), config))
        return Expected(replays)

    def replay(self, case, rows, config):
        trace = self.directory / f"{case.name}.csv"
        servers = self.directory / f"{case.name}-servers.toml"
        out = self.directory / f"{case.name}-simulated"
        write_rows(trace, rows)
        servers.write_text(case.servers_toml())
        done = harness.run(
            *("simulate", "-c", config, "--trace", trace, "--servers", servers),
            *("--out", out, "--json"),
            within=60,
        )
        self.assertEqual(done.returncode, harness.EXIT_OK, done.stderr)
        figures = Figures(case)
        requests = read_rows(out / "requests.csv")
        self.assertEqual(len(requests), len(rows))
        for row in requests:
            self.assertEqual(row["outcome"], "completed")
            ttft = float(row["first_token_s"]) - float(row["arrival_s"])
            figures.add(row["band"], int(row["prompt_tokens"]), ttft)
        # The program's own summary says the same, as exactly as its histograms are.
        summary = json.loads(done.stdout)["runs"][0]["all"]
        for what, values in (("wait", figures.wait["all"]), ("ttft", figures.ttft["all"])):
            for share in (0.50, 0.99):
                told = summary[what][f"p{round(share * 100)}_s"]
                self.assertGreaterEqual(told, percentile(values, share, -1) * 0.99 - 0.001)
                self.assertLessEqual(told, percentile(values, share, 1) * 1.01 + 0.001)
        return figures

    # ---- in real time ----
    def set_up(self, case):
        servers = [harness.SimServer(self, **case.sim_server_options()) for _ in range(SERVERS)]
        return harness.Sluice(self, servers, BANDS, capacity=case.capacity), servers

    def live(self, cases, traces):
        """Plays all cases at the same time, each against servers of its own.

        Returns the figures and the pipeline.toml of each.
        """
        hosts = [self.set_up(case) for case in cases]
        gc.collect()
        gc.disable()
        try:
            loads = [(sluice.port, rows) for (sluice, _), rows in zip(hosts, traces)]
            played = asyncio.run(play(loads))
        finally:
            gc.enable()
        result = []
        for case, (sluice, servers), load in zip(cases, hosts, played):
            result.append((self.figures(case, load), sluice.config))
            late = [timed.sent - timed.due for timed in load]
            preempted = sum(server.metric("num_preemptions_total") for server in servers)
            print(
                f"{case.name}: {len(load)} requests, sent late by "
                f"{percentile(late, 0.5) * 1e3:.1f} ms (p99 {percentile(late, 0.99) * 1e3:.1f}), "
                f"{preempted:.0f} preemptions"
            )
            sluice.check_nothing_lost()
            sluice.stop()
            for server in servers:
                server.stop()
        return result

    def figures(self, case, load):
        figures = Figures(case)
        rows = []
        for timed in load:
            self.assertTrue(timed.head.startswith(b"HTTP/1.1 200"), timed.head[:300])
            self.assertIsNotNone(timed.first, timed.head[:300])
            band, ttft = BAND_OF[timed.row["objective"]], timed.first - timed.due
            figures.add(band, timed.row["prompt_tokens"], ttft)
            rows.append({**timed.row, "ttft_s": f"{ttft:.6f}"})
        write_rows(self.directory / f"{case.name}-live.csv", rows)
        return figures

    # ---- both ----
    def test_waits_are_those_of_the_live_host(self):
        traces = [case.trace(self.options.duration) for case in CASES]
        rounds, expected = [], []
        for number in range(1, self.options.rounds + 1):
            live = self.live(CASES, traces)
            rounds.append([figures for figures, _ in live])
            expected = expected or [
                self.expected(case, rows, config)
                for case, rows, (_, config) in zip(CASES, traces, live)
            ]
            for case, figures, simulated in zip(CASES, rounds[-1], expected):
                show(f"round {number}, {case.name}", figures, simulated)
            # One round is judged by itself, as are the medians of all.
            if not faults(rounds[-1:], expected) or not faults(rounds, expected):
                return
        self.fail("\n".join(faults(rounds, expected)))


def faults(rounds, expected):
    found = []
    for number, case in enumerate(CASES):
        for name, (simulated, *_) in expected[number].judged().items():
            live = statistics.median(figures[number].judged()[name] for figures in rounds)
            if not agree(live, simulated):
                found.append(
                    f"{case.name}: {name} is {live * 1e3:.1f} ms live, {simulated * 1e3:.1f} ms "
                    "simulated"
                )
    return found


def show(title, live, expected):
    print(f"{title}\n{'':20}{'live':>10}{'simulated':>11}{'least':>9}{'most':>9} ms{'off':>8}")
    for band in ("all", "critical", "default", "sheddable"):
        for name, simulated in expected.judged(band).items():
            value = live.judged(band)[name]
            middle, least, most = (x * 1e3 for x in simulated)
            print(
                f"{band:10}{name:10}{value * 1e3:10.1f}{middle:11.1f}{least:9.1f}{most:9.1f}   "
                f"{(value * 1e3 / middle - 1) * 100:+7.1f}%"
            )
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--duration", type=float, default=SECONDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=pathlib.Path)
    Simulator.options, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    harness.main()
