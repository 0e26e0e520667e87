"""Tenants are billed for what the servers made for them: what Sluice counts is compared with what the
servers themselves count, however a request ends."""

import http.client
import random
import threading
import time

import harness
from harness import FAIRNESS_ID
from wire import get, parse_metrics

TENANTS = ("heavy", "light", "hasty")
BY_TENANT = '[flow]\nkey = ["header:x-llm-d-inference-fairness-id"]\n'
OUTPUT_WEIGHT = 2  # [cost], by default: a prompt token 1, an output token 2


class Billing(harness.E2eTest):
    def server(self, **options):
        return harness.SimServer(
            self, time_to_first_token="30ms", inter_token_latency="5ms", **options
        )

    def bill(self, sluice, tenant):
        return sluice.metrics().value("sluice_flow_served_cost_total", flow=tenant)

    def served(self, servers, tenant):
        """What the servers made for a tenant, in the units of a bill."""
        cost = 0
        for server in servers:
            metrics = parse_metrics(get(server.port, "/metrics").text)
            for kind, weight in (("prompt", 1), ("output", OUTPUT_WEIGHT)):
                cost += weight * metrics.value(
                    "sluice_sim_tenant_tokens_total", tenant=tenant, kind=kind
                )
        return cost

    def play(self, sluice, ways, requests, clients=6):
        """Each tenant's CLIENTS send REQUESTS, each in one of WAYS (name: share)."""
        answers, faults = [], []

        def client(tenant, number):
            rng = random.Random(f"{tenant} {number}")
            try:
                for _ in range(requests):
                    way = rng.choices(list(ways), list(ways.values()))[0]
                    answers.append((way, self.ask(sluice, tenant, way, rng)))
            except Exception as fault:  # pylint: disable=broad-except
                faults.append((tenant, way, fault))

        threads = [
            threading.Thread(target=client, args=(tenant, n), daemon=True)
            for tenant in TENANTS
            for n in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive(), "a client still waits")
        self.assertEqual(faults, [])
        sluice.check_nothing_lost()
        return answers

    def ask(self, sluice, tenant, way, rng):
        """Sends one request; returns the status of its answer, None if it was not waited for."""
        tokens = rng.randint(10, 60)
        call = sluice.chat(
            headers={FAIRNESS_ID: tenant},
            text="abcdefgh" * rng.randint(5, 100),
            max_tokens=tokens,
            stream=way.startswith("stream"),
        )
        if way in ("stream", "json"):
            return call.answer().status
        if way == "stream that leaves early":
            time.sleep(rng.uniform(0, 0.025))
        elif way == "stream that leaves":
            response = call.begin()
            for _ in range(rng.randint(1, tokens - 5)):
                while response.readline().strip():
                    pass
        elif way == "json that leaves":
            time.sleep(rng.uniform(0, 0.03 + tokens * 0.005))
        elif way == "stream that breaks":
            try:
                return call.answer().status
            except (OSError, http.client.HTTPException):
                return None
        call.leave()
        return None

    def check_bills(self, sluice, servers):
        for tenant in TENANTS:
            served, billed = self.served(servers, tenant), self.bill(sluice, tenant)
            self.assertGreater(served, 5000, tenant)
            self.assertAlmostEqual(
                billed / served, 1, delta=0.01, msg=f"{tenant}: {billed} billed, {served} served"
            )

    def test_answers_that_end_and_clients_that_leave(self):
        servers = [self.server(max_num_seqs=16), self.server(max_num_seqs=16)]
        sluice = harness.Sluice(self, servers, BY_TENANT)
        ways = {
            "stream": 4,
            "json": 4,
            "stream that leaves early": 1,
            "stream that leaves": 4,
            "json that leaves": 4,
        }
        answers = self.play(sluice, ways, requests=50)
        self.assertEqual({status for _, status in answers}, {200, None})
        self.check_bills(sluice, servers)

    def test_streams_without_usage(self):
        servers = [self.server(max_num_seqs=16), self.server(max_num_seqs=16)]
        sluice = harness.Sluice(self, servers, BY_TENANT + '[usage]\nstream = "count"\n')
        answers = self.play(sluice, {"stream": 4, "stream that leaves": 4, "json": 1}, requests=40)
        self.assertEqual({status for _, status in answers}, {200, None})
        self.check_bills(sluice, servers)

    def test_requests_that_are_sent_again(self):
        full = self.server(max_num_seqs=4, max_waiting=1)
        failing = self.server(max_num_seqs=16)
        failing.configure(failure="reset", failure_rate=0.2, failure_after_tokens=0)
        servers = [full, failing, self.server(max_num_seqs=16)]
        sluice = harness.Sluice(self, servers, BY_TENANT + "[upstream]\nretries = 5\n")
        answers = self.play(sluice, {"stream": 1, "json": 1}, requests=40)
        self.assertEqual({status for _, status in answers}, {200})
        self.assertGreater(sluice.metrics().value("sluice_requeues_total"), 20)
        self.check_bills(sluice, servers)

    def test_answers_that_are_errors(self):
        server = self.server(max_num_seqs=16)
        server.configure(failure="error", failure_rate=0.3, failure_status=500)
        sluice = harness.Sluice(self, [server], BY_TENANT, capacity="max_in_flight = 16")
        answers = self.play(sluice, {"stream": 1, "json": 1}, requests=40)
        self.assertEqual({status for _, status in answers}, {200, 500})
        self.check_bills(sluice, [server])

    def test_streams_that_break(self):
        server = self.server(max_num_seqs=16)
        server.configure(failure="reset", failure_rate=0.3, failure_after_tokens=5)
        sluice = harness.Sluice(self, [server], BY_TENANT, capacity="max_in_flight = 16")
        answers = self.play(sluice, {"stream that breaks": 1}, requests=40)
        self.assertIn(None, {status for _, status in answers})
        self.check_bills(sluice, [server])


if __name__ == "__main__":
    harness.main()
