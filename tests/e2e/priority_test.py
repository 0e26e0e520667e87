"""Who goes first, whose word counts on that, and what an answer tells of its wait."""

import harness
from harness import FAIRNESS_ID, OBJECTIVE, TTL
from upstream import Upstream

BANDS = "".join(
    f'[[band]]\nname = "{name}"\npriority = {priority}\n'
    for name, priority in [("critical", 100), ("default", 0), ("sheddable", -10)]
)
OBJECTIVES = "".join(
    f'[[objective]]\nname = "{name}"\nband = "{band}"\n'
    for name, band in [("chat", "critical"), ("batch", "sheddable")]
)


class Priority(harness.E2eTest):
    def start_full(self, text=BANDS + OBJECTIVES, **more):
        """One slot, taken; what is sent from now on waits."""
        self.upstream = Upstream(self)
        self.log = self.directory / "decisions"
        self.sluice = harness.Sluice(
            self,
            [self.upstream],
            text + f'[log]\ndecisions = "{self.log}"\n',
            capacity="max_in_flight = 1",
            **more,
        )
        self.first = self.sluice.chat()
        self.held = self.upstream.next()
        return self.sluice

    def park(self, *texts_and_headers):
        calls = []
        parked = self.sluice.ledger().parked
        for text, headers in texts_and_headers:
            calls.append(self.sluice.chat(text=text, headers=headers))
            self.sluice.wait_ledger(parked=parked + len(calls))
        return calls

    def serve(self, calls):
        """Frees the slot and serves what waits. Returns the texts in the order of serving."""
        self.held.answer()
        order = []
        for _ in calls:
            received = self.upstream.next()
            order.append(received.json["messages"][0]["content"])
            received.answer()
        self.assertEqual({call.answer().status for call in [self.first, *calls]}, {200})
        self.sluice.check_nothing_lost()
        self.sluice.stop()
        self.check_log(self.log)
        return order

    def test_critical_goes_before_default_before_sheddable(self):
        self.start_full()
        calls = self.park(
            ("s1", {OBJECTIVE: "batch"}),
            ("d1", {}),
            ("c1", {OBJECTIVE: "chat"}),
            ("s2", {OBJECTIVE: "batch"}),
            ("d2", {OBJECTIVE: "unheard-of"}),
            ("c2", {OBJECTIVE: "chat"}),
        )
        self.assertEqual(self.serve(calls), ["c1", "c2", "d1", "d2", "s1", "s2"])

    def test_a_model_has_a_band_of_its_own_and_an_objective_wins_over_it(self):
        self.start_full(BANDS + OBJECTIVES + '[[model]]\nname = "m"\nband = "sheddable"\n')
        calls = self.park(("model's", {}), ("objective's", {OBJECTIVE: "chat"}))
        bands = {band["name"]: band["parked"] for band in self.sluice.status()["bands"]}
        self.assertEqual(bands, {"critical": 1, "default": 0, "sheddable": 1})
        self.assertEqual(self.serve(calls), ["objective's", "model's"])

    def test_a_peer_that_is_not_trusted_cannot_raise_itself_and_its_header_goes_no_further(self):
        trust = f'[[trust]]\nfrom = ["10.0.0.0/8"]\nheaders = ["{OBJECTIVE}", "{FAIRNESS_ID}"]\n'
        self.start_full(BANDS + OBJECTIVES + trust)
        calls = self.park(("d1", {}), ("d2", {OBJECTIVE: "chat"}))
        received = self.peek_order(calls)
        self.assertEqual([r.json["messages"][0]["content"] for r in received], ["d1", "d2"])
        self.assertNotIn(OBJECTIVE, received[1].headers)

    def peek_order(self, calls):
        self.held.answer()
        received = []
        for _ in calls:
            received.append(self.upstream.next())
            received[-1].answer()
        self.assertEqual({call.answer().status for call in calls}, {200})
        return received

    def test_the_older_name_of_the_header_counts_as_well(self):
        self.start_full()
        calls = self.park(("d", {}), ("c", {"x-gateway-inference-objective": "chat"}))
        self.assertEqual(self.serve(calls), ["c", "d"])

    def test_a_tenant_with_many_requests_waits_in_turn_with_one_that_has_few(self):
        self.start_full('[flow]\nkey = ["header:x-llm-d-inference-fairness-id"]\n')
        flood = [(f"flood{n}", {FAIRNESS_ID: "flood"}) for n in range(6)]
        calls = self.park(
            *flood, ("polite0", {FAIRNESS_ID: "polite"}), ("polite1", {FAIRNESS_ID: "polite"})
        )
        order = self.serve(calls)
        self.assertLessEqual(order.index("polite0"), 1)
        self.assertLessEqual(order.index("polite1"), 3)

    def test_a_client_may_shorten_its_wait_but_not_lengthen_it(self):
        self.start_full('[[band]]\nname = "default"\nttl = "700ms"\n')
        short = self.sluice.chat(headers={TTL: "100"})
        long = self.sluice.chat(headers={TTL: "60000"})
        for call, least, most in [(short, 100, 650), (long, 700, 5000)]:
            answer = call.answer()
            self.assertEqual((answer.status, answer.reason), (429, "ttl-expired"), answer)
            self.assertEqual(answer.headers[harness.DROPPED], "rejected-ttl-expired")
            self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 30)
            self.assertTrue(least <= answer.queue_ms <= most, answer)
            self.assertNotIn("x-sluice-endpoint", answer.headers)
        self.serve([])

    def test_sheddable_work_that_waits_gives_way_to_critical_when_the_host_is_full(self):
        self.start_full(BANDS + OBJECTIVES + "[limits]\nmax_requests = 2\n")
        batch = self.park(("s1", {OBJECTIVE: "batch"}), ("s2", {OBJECTIVE: "batch"}))
        critical = self.sluice.chat(text="c", headers={OBJECTIVE: "chat"})
        self.sluice.wait_ledger(evicted=1)
        evicted, kept = batch[1].answer(), batch[0]  # the newest goes
        self.assertEqual((evicted.status, evicted.reason), (429, "evicted"), evicted)
        self.assertEqual(evicted.headers[harness.DROPPED], "evicted-priority")
        self.assertIn("retry-after", evicted.headers)
        refused = self.sluice.ask(headers={OBJECTIVE: "batch"})
        self.assertEqual((refused.status, refused.reason), (429, "queue-full"))
        self.assertEqual(self.serve([critical, kept]), ["c", "s1"])

    def test_one_flow_that_is_full_is_refused_alone(self):
        self.start_full(
            '[flow]\nkey = ["header:x-llm-d-inference-fairness-id"]\n'
            '[[band]]\nname = "default"\nmax_requests_per_flow = 1\n'
        )
        calls = self.park(("a1", {FAIRNESS_ID: "a"}))
        refused = self.sluice.ask(headers={FAIRNESS_ID: "a"})
        self.assertEqual((refused.status, refused.reason), (429, "flow-full"), refused)
        calls += [self.sluice.chat(text="b1", headers={FAIRNESS_ID: "b"})]
        self.sluice.wait_ledger(parked=2)
        self.assertEqual(sorted(self.serve(calls)), ["a1", "b1"])

    def test_an_answer_tells_how_long_it_waited_and_where_it_was_served(self):
        self.start_full()
        call = self.sluice.chat(headers={"x-request-id": "my-own-id"})
        self.sluice.wait_ledger(parked=1)
        oldest = lambda: next(b for b in self.sluice.status()["bands"] if b["name"] == "default")[
            "oldest_wait_ms"
        ]
        harness.wait_until(lambda: oldest() >= 120, "it has waited 120 ms")
        self.held.answer()
        self.upstream.next().answer()
        answer, first = call.answer(), self.first.answer()
        self.assertGreaterEqual(answer.queue_ms, 120)
        self.assertLess(first.queue_ms, answer.queue_ms)
        for a in (answer, first):
            self.assertEqual(a.headers["x-sluice-endpoint"], "server-0")
            self.assertNotIn("x-sluice-reason", a.headers)
        self.assertEqual(answer.headers["x-request-id"], "my-own-id")
        self.assertTrue(first.headers["x-request-id"])

    def test_the_name_of_the_server_is_kept_secret_where_the_operator_wants_it(self):
        self.start_full(http="expose_endpoint = false")
        self.held.answer()
        self.assertNotIn("x-sluice-endpoint", self.first.answer().headers)


class HeadOfLine(harness.E2eTest):
    def test_a_flood_on_one_model_leaves_the_wait_of_another_at_0(self):
        busy = harness.SimServer(self, "busy", time_to_first_token="100ms", name="busy")
        calm = harness.SimServer(self, "calm", time_to_first_token="2ms", name="calm")
        log = self.directory / "decisions"
        sluice = harness.Sluice(
            self, [busy, calm], f'[log]\ndecisions = "{log}"\n', capacity="max_in_flight = 4"
        )
        flood = [sluice.chat("busy", max_tokens=5) for _ in range(100)]
        harness.wait_until(lambda: sluice.ledger().parked >= 90, "the flood waits")
        waits = [sluice.ask("calm") for _ in range(25)]
        self.assertGreater(sluice.ledger().parked, 0)  # it was a flood all along
        self.assertEqual(
            {(a.status, a.queue_ms, a.headers["x-sluice-endpoint"]) for a in waits},
            {(200, 0, "server-1")},
        )
        for call in flood:
            call.leave()
        sluice.check_nothing_lost()
        sluice.stop()
        self.check_log(log)

    def test_targets_are_chosen_by_weight_and_answers_carry_the_name_that_was_asked_for(self):
        servers = [
            Upstream(self, [model], on_request=lambda received: received.answer())
            for model in ("llama-v1", "llama-v2", "llama-v3")
        ]
        sluice = harness.Sluice(
            self,
            servers,
            '[[model]]\nname = "llama"\ntargets = [ '
            '{ model = "llama-v1", weight = 3 }, { model = "llama-v2", weight = 1 } ]\n',
        )
        answers = [sluice.ask("llama") for _ in range(80)]
        self.assertEqual({(a.status, a.json["model"]) for a in answers}, {(200, "llama")})
        first, second, third = (server.count for server in servers)
        self.assertEqual((first + second, third), (80, 0))
        self.assertTrue(40 <= first <= 75, first)


if __name__ == "__main__":
    harness.main()
