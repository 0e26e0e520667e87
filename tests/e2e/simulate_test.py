"""`sluice simulate`: the files that it writes, what it prints, how it compares, and what it refuses."""

import csv
import json
import os
import random
import tempfile

import harness

SERVERS = """
[[server]]
count = 2
prefill_ms = { base = 5, per_token = 0.05 }
step_ms = { base = 10, per_sequence = 0.1 }
kv_tokens = 50000
max_running = 4
max_prefill_tokens = 4096
"""
PIPELINE = """
schema = 1
[listen.http]
address = "127.0.0.1:8080"
[plugins]
directories = [%s]
[[pool.endpoints]]
name = "gpu-0"
address = "127.0.0.1:8101"
[[pool.endpoints]]
name = "gpu-1"
address = "127.0.0.1:8102"
[pool.capacity]
mode = "fixed"
max_in_flight = %d
[flow]
key = ["model", "header:x-llm-d-inference-fairness-id"]
[[objective]]
name = "chat"
band = "critical"
[[scoring]]
use = "queue-depth"
"""
COLUMNS = ("id,arrival_s,flow,band,model,prompt_tokens,output_tokens,outcome,endpoint,"
           "dispatched_s,first_token_s,finished_s").split(",")


class Simulate(harness.E2eTest):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        plugins = json.dumps(str(harness.PLUGINS))
        self.pipeline = self.write("good.toml", PIPELINE % (plugins, 4))
        self.tight = self.write("tight.toml", PIPELINE % (plugins, 1))
        self.servers = self.write("servers.toml", SERVERS)
        draw = random.Random(1)
        at = 0.0
        rows = ["arrival_s,flow,objective,model,prompt_tokens,output_tokens"]
        for i in range(600):
            at += draw.expovariate(9)
            objective = "chat" if i % 5 == 0 else ""
            rows.append(f"{at:.6f},team-{i % 3},{objective},m,{draw.randint(50, 900)},"
                        f"{draw.randint(1, 80)}")
        self.trace = self.write("trace.csv", "\n".join(rows) + "\n")
        self.out = os.path.join(self.directory.name, "out")

    def write(self, name, text):
        path = os.path.join(self.directory.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def simulate(self, *more, configs=None, trace=None, servers=None, out=None):
        arguments = ["simulate"]
        for config in configs or [self.pipeline]:
            arguments += ["-c", config]
        return harness.run(*arguments, "--trace", trace or self.trace, "--servers",
                           servers or self.servers, "--seed", "1", "--out", out or self.out, *more)

    def run_ok(self, *more, **options):
        done = self.simulate(*more, **options)
        self.assertEqual(done.returncode, harness.EXIT_OK, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def read(self, *path):
        with open(os.path.join(self.out, *path), encoding="utf-8") as file:
            return file.read()

    def test_one_run_writes_three_files(self):
        printed = self.run_ok()
        self.assertIn("throughput", printed)
        rows = list(csv.DictReader(self.read("requests.csv").splitlines()))
        self.assertEqual(list(rows[0]), COLUMNS)
        self.assertEqual(len(rows), 600)
        self.assertEqual({row["outcome"] for row in rows}, {"completed"})
        self.assertEqual({row["band"] for row in rows}, {"critical", "default"})
        self.assertEqual({row["flow"] for row in rows}, {f"m|team-{i}" for i in range(3)})
        self.assertEqual({row["endpoint"] for row in rows}, {"gpu-0", "gpu-1"})
        for row in rows:
            times = [float(row[c]) for c in COLUMNS if c.endswith("_s")]
            self.assertEqual(times, sorted(times), row)
        summary = json.loads(self.read("summary.json"))
        self.assertEqual(summary["schema"], 1)
        self.assertEqual(summary["runs"][0]["all"]["ended"]["completed"], 600)
        report = self.read("report.html")
        self.assertIn("<svg", report)
        self.assertNotIn("<script", report)

    def test_the_same_seed_gives_the_same_files(self):
        self.run_ok()
        first = self.read("requests.csv")
        self.run_ok(out=self.out + "2")
        with open(os.path.join(self.out + "2", "requests.csv"), encoding="utf-8") as file:
            self.assertEqual(file.read(), first)

    def test_a_worse_pipeline_is_shown_to_be_worse(self):
        printed = self.run_ok(configs=[self.pipeline, self.tight])
        self.assertIn("tight is WORSE than good", printed)
        runs = json.loads(self.read("summary.json"))["runs"]
        compared = runs[1]["compared_to_first"]  # tokens come faster where fewer share a server
        self.assertIn("critical.ttft_p99_s", compared["worse"])
        self.assertNotIn("critical.ttft_p99_s", compared["better"])
        self.assertEqual(len(self.read("tight", "requests.csv").splitlines()), 601)

    def test_the_baseline_is_a_run_of_its_own(self):
        runs = json.loads(self.run_ok("--json", "--baseline", "direct"))["runs"]
        self.assertEqual([run["label"] for run in runs], ["good", "good-direct"])
        self.assertEqual([run["direct"] for run in runs], [False, True])
        self.assertEqual(runs[1]["all"]["parked"]["max_s"], 0)

    def test_bands_and_tenants_by_lot(self):
        azure = self.write("azure.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
            f"2023-11-16 18:15:{i // 10:02}.{i % 10}000000,100,5\n" for i in range(500)))
        runs = json.loads(self.run_ok("--json", "--tenants", "zipf:1:4", "--bands",
                                      "critical=0.2,default=0.8", trace=azure))["runs"]
        bands = {band["name"]: band["requests"] for band in runs[0]["bands"]}
        self.assertEqual(bands["sheddable"], 0)
        self.assertAlmostEqual(bands["critical"], 100, delta=35)
        self.assertEqual({t["name"] for t in runs[0]["tenants"]}, {f"tenant-{i}" for i in range(4)})

    def test_the_trace_is_never_written_over(self):
        rows = open(self.trace).read()
        trace = self.write("requests.csv", rows)
        done = self.simulate(trace=trace, out=self.directory.name)
        self.assertEqual(done.returncode, harness.EXIT_RUNTIME, done.stderr)
        self.assertIn("--out", done.stderr)
        self.assertEqual(open(trace).read(), rows)

    def test_what_is_wrong_is_said_and_has_its_exit_code(self):
        bad = self.write("bad.toml", "schema = 1\n[[band]]\nnam = 3\n")
        unknown = self.write("unknown.toml", open(self.pipeline).read().replace(
            "queue-depth", "no-such-scorer"))
        broken = self.write("broken.csv", open(self.trace).read() + "nonsense\n")
        empty = self.write("empty.csv",
                           "arrival_s,flow,objective,model,prompt_tokens,output_tokens\n")
        cases = [
            ({"configs": [bad]}, [], harness.EXIT_CONFIG, "bad.toml:3:1: error"),
            ({"configs": [unknown]}, [], harness.EXIT_CONFIG, "no-such-scorer"),
            ({"servers": bad}, [], harness.EXIT_CONFIG, "bad.toml:2:3: error"),
            ({"trace": broken}, [], harness.EXIT_RUNTIME, "broken.csv:602: error"),
            ({"trace": empty}, [], harness.EXIT_RUNTIME, "empty.csv"),
            ({"trace": self.servers + "x"}, [], harness.EXIT_USAGE, "does not exist"),
            ({"out": "/proc/nowhere/x"}, [], harness.EXIT_RUNTIME, "/proc/nowhere/x"),
            ({}, ["--bands", "gold=1"], harness.EXIT_USAGE, "gold"),
            ({}, ["--bands", "critical=0.5"], harness.EXIT_USAGE, "--bands"),
            ({}, ["--tenants", "zipf:x"], harness.EXIT_USAGE, "--tenants"),
            ({}, ["--time-scale", "0"], harness.EXIT_USAGE, "time"),
            ({}, ["--warmup", "long"], harness.EXIT_USAGE, "--warmup"),
            ({}, ["--baseline", "random"], harness.EXIT_USAGE, "direct"),
        ]
        for options, more, code, words in cases:
            with self.subTest(words=words):
                done = self.simulate(*more, **options)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    harness.main()
