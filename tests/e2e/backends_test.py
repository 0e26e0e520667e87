"""Model servers that refuse, hang, break off, push back, vanish, come back; a changing pool."""

import http.client

import harness
from upstream import Upstream

DEFAULT_BAND = '[[band]]\nname = "default"\n'


def serve(received):
    received.answer()


class Backends(harness.E2eTest):
    def start(self, upstreams, text="", **more):
        self.sluice = harness.Sluice(self, upstreams, text, **more)
        return self.sluice

    def ends_well(self, **outcomes):
        self.sluice.check_nothing_lost()
        self.assertEqual(self.sluice.ledger().outcomes, outcomes)

    def test_requests_go_around_a_server_that_refuses_connections(self):
        good, bad = Upstream(self, on_request=serve), Upstream(self, on_request=serve)
        sluice = self.start([good, bad])
        bad.refuse()
        answers = [call.answer() for call in [sluice.chat() for _ in range(12)]]
        self.assertEqual(
            {(a.status, a.headers["x-sluice-endpoint"]) for a in answers}, {(200, "server-0")}
        )
        sluice.wait_health("server-1", "ejected")
        self.ends_well(completed=12)

    def test_what_breaks_before_its_first_byte_is_tried_elsewhere_and_the_client_sees_nothing(self):
        first, second = Upstream(self), Upstream(self)
        sluice = self.start([first, second])
        call = sluice.chat()
        harness.wait_until(lambda: first.count + second.count, "a server has it")
        breaks, serves = (first, second) if first.count else (second, first)
        breaks.next().reset()
        serves.next().answer()
        self.assertEqual(call.answer().status, 200)
        self.assertEqual(sluice.status()["requests"]["requeues"], 1)
        self.ends_well(completed=1)

    def test_retries_are_as_many_as_the_configuration_grants_and_then_the_client_is_told(self):
        upstream = Upstream(self, on_request=lambda received: received.reset())
        sluice = self.start([upstream], "[upstream]\nretries = 2\n")
        answer = sluice.ask()
        self.assertEqual((answer.status, answer.reason), (502, "upstream-error"), answer)
        self.assertEqual(answer.json["error"]["code"], "upstream_error")
        self.assertEqual(upstream.count, 3)
        self.ends_well(upstream_error=1)

    def test_a_request_whose_only_other_server_is_down_is_tried_again_where_it_broke(self):
        down, flaky = Upstream(self, on_request=serve), Upstream(self)
        sluice = self.start([down, flaky])
        down.refuse()
        sluice.wait_health("server-0", "ejected")
        call = sluice.chat()
        flaky.next().reset()
        flaky.next(within=5).answer()
        self.assertEqual(call.answer().status, 200)
        self.ends_well(completed=1)

    def test_a_server_that_hangs_is_given_up_after_the_idle_timeout(self):
        upstream = Upstream(self)
        sluice = self.start([upstream], '[upstream]\nidle_timeout = "200ms"\n')
        call = sluice.chat()
        held = upstream.next()
        answer = call.answer(within=5)
        self.assertEqual((answer.status, answer.reason), (504, "upstream-error"), answer)
        held.wait_left()
        self.ends_well(upstream_error=1)

    def test_a_stream_that_falls_silent_is_cut_after_the_idle_timeout(self):
        upstream = Upstream(self)
        sluice = self.start([upstream], '[upstream]\nidle_timeout = "200ms"\n')
        call = sluice.chat(stream=True)
        held = upstream.next()
        held.start_stream()
        held.event({"choices": []})
        with self.assertRaises(OSError):
            self.read_all(call)
        held.wait_left()
        self.ends_well(upstream_error=1)

    def read_all(self, call):
        """Reads an answer; one that is cut short is an OSError."""
        try:
            return call.answer(within=5)
        except http.client.IncompleteRead as cut:
            raise ConnectionError("cut short") from cut

    def test_a_stream_that_breaks_off_is_passed_on_as_far_as_it_came_and_then_cut(self):
        upstream = Upstream(self)
        sluice = self.start([upstream, Upstream(self, models=["other"])])
        call = sluice.chat(stream=True)
        held = upstream.next()
        held.start_stream()
        held.event({"choices": [], "n": 1})
        response = call.begin()
        self.assertEqual(response.status, 200)
        self.assertIn(b'"n": 1', response.readline())
        held.reset()
        with self.assertRaises(OSError):
            self.read_all(call)
        self.assertEqual(upstream.count, 1)  # what the client has seen is not begun again elsewhere
        self.ends_well(upstream_error=1)

    def test_an_answer_that_is_no_http_is_a_502_and_is_not_tried_again(self):
        upstream = Upstream(self)
        sluice = self.start([upstream, Upstream(self, models=["other"])])
        call = sluice.chat()
        held = upstream.next()
        held.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        held.over.set()
        answer = call.answer()
        self.assertEqual((answer.status, answer.reason), (502, "upstream-error"), answer)
        self.assertEqual(upstream.count, 1)
        self.ends_well(upstream_error=1)

    def test_an_engine_that_answers_429_or_503_gets_the_request_again_until_it_takes_it(self):
        for status in (429, 503):
            with self.subTest(status=status):
                upstream = Upstream(self)
                sluice = self.start([upstream], "[upstream]\nretries = 0\n")
                call = sluice.chat()
                for _ in range(3):
                    upstream.next().answer(status)
                upstream.next().answer()
                answer = call.answer()
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(sluice.status()["requests"]["requeues"], 3)
                self.ends_well(completed=1)

    def test_an_engine_that_answers_429_is_left_alone_while_another_has_room(self):
        full, good = Upstream(self), Upstream(self, on_request=serve)
        full.on_request = lambda received: received.answer(429)
        sluice = self.start([full, good])
        answers = [sluice.ask() for _ in range(20)]
        self.assertEqual(
            {(a.status, a.headers["x-sluice-endpoint"]) for a in answers}, {(200, "server-1")}
        )
        self.assertLess(full.count, 20)
        self.ends_well(completed=20)

    def test_an_engine_that_never_takes_it_leaves_the_request_to_its_ttl(self):
        upstream = Upstream(self, on_request=lambda received: received.answer(503))
        sluice = self.start([upstream], DEFAULT_BAND + 'ttl = "500ms"\n')
        answer = sluice.ask()
        self.assertEqual((answer.status, answer.reason), (429, "ttl-expired"), answer)
        self.assertEqual(answer.headers[harness.DROPPED], "rejected-ttl-expired")
        self.assertIn("retry-after", answer.headers)
        self.ends_well(expired=1)

    def test_other_errors_of_a_server_are_its_answer_and_come_through_once(self):
        upstream = Upstream(self)
        sluice = self.start([upstream])
        for status in (400, 404, 500, 502):
            call = sluice.chat()
            upstream.next().answer(status, {"error": {"message": "mine"}}, {"x-engine": "e"})
            answer = call.answer()
            self.assertEqual(
                (answer.status, answer.json["error"]["message"], answer.headers["x-engine"]),
                (status, "mine", "e"),
            )
            self.assertIsNone(answer.reason)
        self.assertEqual(upstream.count, 4)
        self.ends_well(completed=4)

    def test_all_servers_gone_means_503_after_the_no_endpoint_ttl(self):
        upstream = Upstream(self)
        sluice = self.start([upstream], DEFAULT_BAND + 'no_endpoint_ttl = "300ms"\nttl = "60s"\n')
        upstream.vanish()
        sluice.wait_health("server-0", "ejected")
        answer = sluice.ask()
        self.assertEqual((answer.status, answer.reason), (503, "no-endpoint"), answer)
        self.assertEqual(answer.headers[harness.DROPPED], "rejected-no-endpoints")
        self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 30)
        self.assertGreaterEqual(answer.queue_ms, 250)
        self.ends_well(rejected_no_endpoint=1)

    def test_what_waits_while_all_servers_are_gone_is_served_when_one_comes_back(self):
        upstream = Upstream(self, on_request=serve)
        sluice = self.start([upstream])
        upstream.vanish()
        sluice.wait_health("server-0", "ejected")
        calls = [sluice.chat() for _ in range(20)]
        sluice.wait_ledger(parked=20)
        upstream.listen()
        self.assertEqual({call.answer().status for call in calls}, {200})
        self.ends_well(completed=20)

    def test_a_server_that_vanishes_under_load_costs_nobody_an_answer(self):
        stays, dies = harness.SimServer(self), harness.SimServer(self, time_to_first_token="20ms")
        sluice = self.start([stays, dies])
        load = harness.Load(sluice, 8)
        load.wait_more(50)
        dies.kill()
        load.wait_more(100)
        answers = load.stop()
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual(sluice.endpoint("server-1")["health"], "ejected")
        self.ends_well(completed=len(answers))

    def test_requests_without_a_body_are_forwarded_at_once_or_refused(self):
        upstream = Upstream(self)
        sluice = self.start([upstream], capacity="max_in_flight = 1")
        busy = sluice.chat()
        held = upstream.next()
        call = sluice.call("GET", "/version")
        upstream.next().answer(body={"version": "0"})
        answer = call.answer()
        self.assertEqual((answer.status, answer.json), (200, {"version": "0"}))
        held.answer()
        self.assertEqual(busy.answer().status, 200)
        upstream.vanish()
        sluice.wait_health("server-0", "ejected")
        self.assertEqual(sluice.call("GET", "/version").answer().status, 503)
        self.ends_well(completed=1)


class EndpointsFile(harness.E2eTest):
    def setUp(self):
        super().setUp()
        self.file = self.directory / "endpoints.toml"
        self.servers = [Upstream(self, on_request=serve) for _ in range(3)]

    def write(self, *servers):
        new = self.directory / "endpoints.new"
        new.write_text(
            harness.endpoint_tables(
                [
                    {"name": f"server-{self.servers.index(s)}", "address": s.address}
                    for s in servers
                ],
                "endpoints",
            )
        )
        new.replace(self.file)

    def reads(self, sluice, result):
        return sluice.metrics().value("sluice_endpoints_file_reads_total", result=result)

    def test_servers_are_added_and_removed_under_load_and_a_bad_file_changes_nothing(self):
        first, second, third = self.servers
        self.write(first)
        sluice = harness.Sluice(self, [], '[pool]\nendpoints_file = "endpoints.toml"\n')
        load = harness.Load(sluice, 6)
        load.wait_more(20)
        self.assertEqual((second.count, third.count), (0, 0))

        self.write(first, second, third)
        harness.wait_until(
            lambda: second.count > 10 and third.count > 10, "the new servers are used"
        )

        failed = self.reads(sluice, "failed")
        self.file.write_text(
            harness.endpoint_tables([first], "endpoints") + "[[endpoints]]\nadress = 1\n"
        )
        harness.wait_until(
            lambda: self.reads(sluice, "failed") > failed, "the bad file has been read"
        )
        before = [server.count for server in self.servers]
        harness.wait_until(
            lambda: all(s.count > b for s, b in zip(self.servers, before)), "all three still serve"
        )
        self.assertIn("adress", sluice.words())

        self.write(second)
        harness.wait_until(
            lambda: sluice.endpoint("server-0") is None and sluice.endpoint("server-2") is None,
            "the others are gone",
        )
        gone, kept = first.count + third.count, second.count
        load.wait_more(50)
        self.assertEqual(first.count + third.count, gone)
        self.assertGreater(second.count, kept)

        answers = load.stop()
        self.assertEqual({answer.status for answer in answers}, {200})
        sluice.check_nothing_lost()
        self.assertEqual(sluice.ledger().outcomes, {"completed": len(answers)})

    def test_what_a_removed_server_has_begun_it_may_finish(self):
        first, second, _ = self.servers
        first.on_request = None
        self.write(first)
        sluice = harness.Sluice(self, [], '[pool]\nendpoints_file = "endpoints.toml"\n')
        call = sluice.chat()
        held = first.next()
        self.write(second)
        harness.wait_until(
            lambda: sluice.endpoint("server-1") is not None and sluice.endpoint("server-0") is None,
            "the servers are exchanged",
        )
        self.assertEqual(sluice.ask().headers["x-sluice-endpoint"], "server-1")
        held.answer()
        self.assertEqual(call.answer().status, 200)
        sluice.check_nothing_lost()


if __name__ == "__main__":
    harness.main()
