"""A third party's policy, plain C built from the installed headers alone, joins a running host."""

import os
import pathlib
import shlex
import subprocess

import harness
from harness import FAIRNESS_ID
from upstream import Upstream

HERE = pathlib.Path(__file__).resolve().parent
BAND = '[flow]\nkey = ["header:x-llm-d-inference-fairness-id"]\n[[band]]\nname = "default"\n'
LAST_FLOW = 'fairness = { use = "test.last-flow/last-flow" }\n'


class DropIn(harness.E2eTest):
    def build(self, target, change=("", "")):
        """Installs the plugin API, and builds last_flow.c with what pkg-config says of it."""
        prefix = self.directory / "prefix"
        subprocess.run(
            ["cmake", "--install", harness.BUILD, "--component", "plugin-api", "--prefix", prefix],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
        found = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "share/pkgconfig"))
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "sluice-plugin"],
            env=found,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        ).stdout
        self.assertIn(str(prefix), flags)
        self.assertNotIn(str(harness.SOURCE / "plugin-api"), flags)
        source = self.directory / "last_flow.c"
        # A copy: nothing of the tree lies beside it.
        source.write_text((HERE / "last_flow.c").read_text().replace(*change))
        subprocess.run(
            [
                "cc",
                "-std=c11",
                "-O2",
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                source,
                *shlex.split(flags),
                "-o",
                target,
            ],
            check=True,
            timeout=60,
            cwd=self.directory,
        )

    def start(self, servers, **more):
        self.plugins = self.directory / "my-plugins"
        self.plugins.mkdir(mode=0o755)
        self.text = '[plugins]\ndirectories = ["my-plugins"]\n' + BAND
        return harness.Sluice(self, servers, self.text, **more)

    def test_a_policy_in_c_is_dropped_into_a_running_host_and_decides(self):
        upstream = Upstream(self)
        sluice = self.start([upstream], capacity="max_in_flight = 1")
        first = sluice.chat()
        held = upstream.next()
        calls = []
        for tenant in "abc":
            calls.append(sluice.chat(text=tenant, headers={FAIRNESS_ID: tenant}))
            sluice.wait_ledger(parked=len(calls))

        self.build(self.plugins / "last_flow.so")
        sluice.write(self.text + LAST_FLOW)
        answer = sluice.reload()
        self.assertEqual(answer.status, 200, answer.text)
        self.assertEqual(sluice.policy("fairness", "default"), "test.last-flow/last-flow")

        held.answer()
        order = []
        for _ in calls:
            received = upstream.next()
            order.append(received.json["messages"][0]["content"])
            received.answer()
        self.assertEqual("".join(order), "cba")  # no policy that is shipped would have it so
        self.assertEqual({call.answer().status for call in [first, *calls]}, {200})
        sluice.check_nothing_lost()
        policy = next(
            p for p in sluice.status()["policies"] if p["name"] == "test.last-flow/last-flow"
        )
        self.assertEqual((policy["faults"], policy["quarantined"]), (0, False))

    def test_one_that_gives_illegal_answers_is_put_in_quarantine_and_the_log_says_so(self):
        servers = [harness.SimServer(self)]
        sluice = self.start(servers, capacity="max_in_flight = 1")
        turns = "{ static int picks; return ++picks > 300 ? best + 100000 : best; }"
        self.build(self.plugins / "last_flow.so", change=("return best;", turns))
        sluice.write(self.text + LAST_FLOW)
        self.assertEqual(sluice.reload().status, 200)
        load = harness.Load(sluice, 6)
        harness.wait_until(lambda: "is in quarantine after 8 faults" in sluice.words(), "it is said")
        answers = load.stop()
        self.assertEqual({answer.status for answer in answers}, {200})
        sluice.check_nothing_lost()

    def test_dropping_it_in_under_load_loses_nothing(self):
        servers = [harness.SimServer(self) for _ in range(2)]
        sluice = self.start(servers, capacity="max_in_flight = 2")
        load = harness.Load(sluice, 12)
        load.wait_more(50)
        self.build(self.plugins / "last_flow.so")
        sluice.write(self.text + LAST_FLOW)
        answer = sluice.reload()
        self.assertEqual(answer.status, 200, answer.text)
        load.wait_more(100)
        self.assertEqual(sluice.policy("fairness", "default"), "test.last-flow/last-flow")
        answers = load.stop()
        self.assertEqual({answer.status for answer in answers}, {200})
        sluice.check_nothing_lost()
        self.assertEqual(sluice.ledger().outcomes, {"completed": len(answers)})


if __name__ == "__main__":
    harness.main()
