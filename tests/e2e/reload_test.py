"""SIGHUP and POST /reload swap the pipeline of a running host; a bad file changes nothing."""

import signal

import harness
from harness import FAIRNESS_ID
from upstream import Upstream

TENANTS = '[flow]\nkey = ["model", "header:x-llm-d-inference-fairness-id"]\n'


def band(fairness="round-robin", more=""):
    return TENANTS + f'[[band]]\nname = "default"\nfairness = {{ use = "{fairness}" }}\n{more}'


class Reload(harness.E2eTest):
    def start_full(self, text):
        """One slot, taken; what is sent from now on waits."""
        self.upstream = Upstream(self)
        self.sluice = harness.Sluice(self, [self.upstream], text, capacity="max_in_flight = 1")
        self.first = self.sluice.chat()
        self.held = self.upstream.next()
        return self.sluice

    def park(self, *names):
        """Sends a request for each name (tenant and text), each after the one before has parked."""
        calls = []
        for name in names:
            calls.append(self.sluice.chat(text=name, headers={FAIRNESS_ID: name[0]}))
            self.sluice.wait_ledger(parked=len(calls))
        return calls

    def serve(self, count):
        """Frees the slot, and answers COUNT requests as they come. Returns their texts in order."""
        self.held.answer()
        order = []
        for _ in range(count):
            received = self.upstream.next()
            order.append(received.json["messages"][0]["content"])
            received.answer()
        return order

    def test_parked_requests_are_served_in_the_order_of_the_policy_that_was_swapped_in(self):
        sluice = self.start_full(band("sluice/fcfs"))
        calls = self.park("a1", "a2", "a3", "b1")
        sluice.write(band("sluice/round-robin"))
        answer = sluice.reload()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(sluice.policy("fairness", "default"), "sluice/round-robin")
        order = self.serve(4)
        self.assertEqual({call.answer().status for call in [self.first, *calls]}, {200})
        self.assertLess(
            order.index("b1"), order.index("a2"), order
        )  # first come, first served would have it last
        self.assertEqual([name for name in order if name[0] == "a"], ["a1", "a2", "a3"])
        sluice.check_nothing_lost()

    def test_sighup_reloads_as_well(self):
        sluice = self.start_full(band("sluice/fcfs"))
        sluice.write(band("sluice/vtc"))
        sluice.signal(signal.SIGHUP)
        harness.wait_until(
            lambda: sluice.policy("fairness", "default") == "sluice/vtc", "vtc serves"
        )
        self.serve(0)
        self.assertEqual(self.first.answer().status, 200)

    def test_a_bad_file_is_409_says_why_and_the_old_pipeline_serves_on(self):
        sluice = self.start_full(band("sluice/vtc"))
        calls = self.park("a1")
        before = sluice.status()
        for text, word in [
            (band("sluice/vtc", "max_request = 5\n"), "max_requests"),
            (band("no-such-policy"), "no-such-policy"),
            ("[[", "error"),
        ]:
            sluice.write(text)
            answer = sluice.reload()
            self.assertEqual(answer.status, 409, answer)
            self.assertIn(word, answer.text)
            self.assertIn(sluice.config.name, answer.text)
            self.assertIn(": error: ", answer.text)
        sluice.config.unlink()
        self.assertEqual(sluice.reload().status, 409)
        after = sluice.status()
        self.assertEqual(after["policies"], before["policies"])
        self.assertEqual(after["reloads"]["failed"], before["reloads"]["failed"] + 4)
        self.assertTrue(after["reloads"]["last_error"])
        self.assertEqual(get_status(sluice, "/readyz"), 200)
        self.serve(1)
        self.assertEqual({call.answer().status for call in [self.first, *calls]}, {200})
        sluice.check_nothing_lost()

    def test_lowered_limits_evict_nobody_but_hold_for_those_who_come_after(self):
        sluice = self.start_full(band())
        calls = self.park("a1", "a2", "a3")
        sluice.write(band(more="max_requests = 1\n"))
        self.assertEqual(sluice.reload().status, 200)
        self.assertEqual(sluice.ledger().parked, 3)
        refused = sluice.ask()
        self.assertEqual((refused.status, refused.reason), (429, "queue-full"))
        self.serve(3)
        self.assertEqual({call.answer().status for call in [self.first, *calls]}, {200})
        sluice.check_nothing_lost()

    def test_requests_of_a_band_that_is_removed_go_on_in_the_default_band(self):
        bands = '[[band]]\nname = "default"\n[[band]]\nname = "vip"\npriority = 9\n'
        objective = '[[objective]]\nname = "fast"\nband = "{}"\n'
        sluice = self.start_full(bands + objective.format("vip"))
        calls = [sluice.chat(headers={harness.OBJECTIVE: "fast"})]
        sluice.wait_ledger(parked=1)
        sluice.write('[[band]]\nname = "default"\n' + objective.format("default"))
        self.assertEqual(sluice.reload().status, 200)
        shown = {b["name"]: b["parked"] for b in sluice.status()["bands"]}
        self.assertEqual(shown, {"default": 1})
        self.serve(1)
        self.assertEqual({call.answer().status for call in [self.first, *calls]}, {200})
        sluice.check_nothing_lost()

    def test_an_endpoints_file_that_cannot_be_read_changes_nothing(self):
        upstream = Upstream(self, on_request=lambda received: received.answer())
        file = self.directory / "endpoints.toml"
        file.write_text(harness.endpoint_tables([upstream], "endpoints"))
        text = '[pool]\nendpoints_file = "{}"\n'
        sluice = harness.Sluice(self, [], text.format(file.name))
        sluice.write(text.format("endpoint.toml"))
        answer = sluice.reload()
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("endpoint.toml: error: ", answer.text)
        self.assertEqual([e["name"] for e in sluice.status()["endpoints"]], ["server-0"])
        self.assertEqual(sluice.ask().status, 200)

    def test_a_reload_says_what_the_file_is_warned_about(self):
        sluice = self.start_full(band())
        watch, log = "[plugins]\nwatch = true\n", f'[log]\ndecisions = "{self.directory}/d"\n'
        sluice.write(band(more=watch) + log)
        answer = sluice.reload()
        self.assertEqual(answer.status, 200, answer)
        self.assertIn("plugins.watch", answer.json["warnings"])
        self.assertIn("decisions takes effect at the next start", answer.json["warnings"])
        self.serve(0)
        self.assertEqual(self.first.answer().status, 200)

    def test_an_endpoint_cannot_be_the_address_that_is_still_listened_on(self):
        sluice = self.start_full(band())
        bound = sluice.port
        sluice.port = harness.free_port()  # in the file; the host keeps the one that it has
        sluice.write(band(), endpoints=[self.upstream, f"127.0.0.1:{bound}"])
        answer = sluice.reload()
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("is Sluice itself", answer.text)
        sluice.port = bound
        self.serve(0)
        self.assertEqual(self.first.answer().status, 200)

    def test_a_server_that_is_removed_finishes_what_it_has_and_gets_nothing_more(self):
        sluice = self.start_full(band())
        other = Upstream(self, on_request=lambda received: received.answer())
        sluice.write(band(), endpoints=[{"name": "other", "address": other.address}])
        self.assertEqual(sluice.reload().status, 200)
        self.assertEqual(sluice.ask().headers["x-sluice-endpoint"], "other")
        self.held.answer()
        self.assertEqual(self.first.answer().status, 200)
        self.assertEqual(self.upstream.count, 1)
        sluice.check_nothing_lost()

    def test_fifty_reloads_under_load_good_and_bad_lose_no_request(self):
        servers = [harness.SimServer(self, max_num_seqs=2) for _ in range(2)]
        log = self.directory / "decisions"
        sluice = harness.Sluice(
            self, servers, band() + f'[log]\ndecisions = "{log}"\n', capacity="max_in_flight = 2"
        )
        load = harness.Load(
            sluice,
            12,
            lambda n: sluice.ask(
                headers={FAIRNESS_ID: f"tenant-{n % 5}", harness.OBJECTIVE: ["", "batch"][n % 2]}
            ),
        )
        load.wait_more(20)
        good = 0
        for number in range(50):
            use = ["round-robin", "vtc", "weighted-drr", "fcfs"][number % 4]
            more = '[[band]]\nname = "batch"\npriority = -1\n[[objective]]\nname = "batch"\nband = "batch"\n'
            if number % 5 == 4:
                sluice.write(band("no-such-policy"))
            else:
                sluice.write(
                    band(use, more if number % 2 else "") + f'[log]\ndecisions = "{log}"\n'
                )
            if number % 7 == 3:
                # One that nobody waits for; the signal's own reload is counted like any.
                reloads = sluice.status()["reloads"]
                sluice.signal(signal.SIGHUP)
                harness.wait_until(
                    lambda: sluice.status()["reloads"]["ok"] + sluice.status()["reloads"]["failed"]
                    > reloads["ok"] + reloads["failed"],
                    "it has been reloaded",
                )
            else:
                self.assertEqual(sluice.reload().status, 409 if number % 5 == 4 else 200)
            good += number % 5 != 4
        load.wait_more(20)
        answers = load.stop()
        self.assertEqual({answer.status for answer in answers}, {200})
        reloads = sluice.status()["reloads"]
        self.assertEqual((reloads["ok"], reloads["failed"]), (good, 50 - good))
        sluice.check_nothing_lost()
        self.assertEqual(sluice.ledger().outcomes, {"completed": len(answers)})
        sluice.stop()
        self.assertEqual(self.check_log(log)["ended"]["completed"], len(answers))


def get_status(sluice, path):
    return harness.get(sluice.admin, path).status


if __name__ == "__main__":
    harness.main()
