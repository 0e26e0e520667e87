"""Room that nobody configured: how much a server takes is found out, followed, and never queued there."""

import time

import harness


class Room(harness.E2eTest):
    def server(self, **options):
        return harness.SimServer(
            self, time_to_first_token="20ms", inter_token_latency="5ms", **options
        )

    def test_a_server_s_slots_are_found_and_followed_when_they_change(self):
        server = self.server(max_num_seqs=4)
        sluice = harness.Sluice(self, [server], capacity=None)
        self.assertEqual(sluice.endpoint("server-0")["mode"], "auto")
        load = harness.Load(sluice, 30, lambda _: sluice.ask(max_tokens=10))
        for slots in (4, 12, 6):
            server.configure(max_num_seqs=slots)
            changed = time.monotonic()
            # One more than that is tried now and then.
            harness.wait_until(
                lambda: slots <= sluice.endpoint("server-0")["limit"] <= slots + 1,
                f"{slots} slots are found",
            )
            print(f"{slots} slots found after {time.monotonic() - changed:.2f} s")
            load.wait_more(60)
        self.assertEqual({answer.status for answer in load.stop()}, {200})
        self.assertIs(sluice.endpoint("server-0")["metrics_doubted"], False)
        sluice.check_nothing_lost()

    def test_memory_is_room_as_well(self):
        server = self.server(max_num_seqs=64, kv_tokens=2000)
        sluice = harness.Sluice(self, [server], capacity=None)
        text = "0123456789abcdef" * 100  # some 400 tokens
        load = harness.Load(sluice, 30, lambda _: sluice.ask(text=text, max_tokens=10))
        load.wait_more(60)
        endpoint = sluice.endpoint("server-0")
        self.assertGreater(endpoint["limit_tokens"], 1000)
        self.assertLess(endpoint["limit_tokens"], 4000)
        waiting = []
        for _ in range(20):
            load.wait_more(3)
            waiting.append(server.metric("num_requests_waiting"))
        self.assertLess(sum(waiting) / len(waiting), 3, waiting)
        self.assertEqual({answer.status for answer in load.stop()}, {200})
        sluice.check_nothing_lost()

    def test_a_server_without_metrics_is_judged_by_what_it_gets_done(self):
        server = self.server(max_num_seqs=32)
        server.configure(metrics=False)
        sluice = harness.Sluice(self, [server], capacity=None)
        load = harness.Load(sluice, 60, lambda _: sluice.ask(max_tokens=10))
        harness.wait_until(lambda: sluice.endpoint("server-0")["limit"] >= 28, "it is sent more")
        load.wait_more(60)
        self.assertEqual({answer.status for answer in load.stop()}, {200})
        sluice.check_nothing_lost()

    def test_a_server_that_only_rejects_is_sent_less(self):
        server = self.server(max_num_seqs=2, max_waiting=1, metrics_delay="5s")
        sluice = harness.Sluice(self, [server], capacity=None)
        load = harness.Load(sluice, 20, lambda _: sluice.ask(max_tokens=10))
        harness.wait_until(lambda: sluice.endpoint("server-0")["limit"] <= 3, "it is sent less")
        load.wait_more(40)
        self.assertEqual({answer.status for answer in load.stop()}, {200})
        sluice.check_nothing_lost()


if __name__ == "__main__":
    harness.main()
