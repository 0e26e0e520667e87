"""SIGTERM drains: not ready, nothing new, what waits is still served; a second one ends it now."""

import http.client
import signal

import harness
from upstream import Upstream


class Drain(harness.E2eTest):
    def start(self, grace="0s", deadline="20s", waiting=2):
        """One slot, taken by self.first, and requests that wait for it."""
        self.upstream = Upstream(self)
        self.log = self.directory / "decisions"
        self.sluice = harness.Sluice(
            self,
            [self.upstream],
            f'[drain]\ngrace = "{grace}"\ndeadline = "{deadline}"\n'
            f'[log]\ndecisions = "{self.log}"\n',
            capacity="max_in_flight = 1",
        )
        self.first = self.sluice.chat(stream=True)
        self.held = self.upstream.next()
        self.waiting = [self.sluice.chat() for _ in range(waiting)]
        self.sluice.wait_ledger(parked=waiting, in_flight=1)
        return self.sluice

    def terminate(self):
        self.sluice.signal(signal.SIGTERM)
        harness.wait_until(lambda: self.readyz().status == 503, "the host is not ready")

    def readyz(self):
        return harness.get(self.sluice.admin, "/readyz")

    def finish_first(self):
        self.held.start_stream()
        self.held.event({"choices": []})
        self.held.end_stream()
        answer = self.first.answer()
        self.assertEqual((answer.status, answer.events[-1]), (200, "[DONE]"))

    def refused_as_draining(self, answer):
        self.assertEqual((answer.status, answer.reason), (503, "draining"), answer)
        self.assertEqual(answer.headers[harness.DROPPED], "rejected-shutting-down")
        self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 30)

    def test_what_waits_and_what_is_in_flight_is_served_and_then_the_host_ends(self):
        sluice = self.start()
        self.terminate()
        self.assertEqual(harness.get(sluice.admin, "/livez").status, 200)
        harness.wait_until(self.new_ones_are_refused, "new requests are refused")
        self.finish_first()
        for _ in self.waiting:
            self.upstream.next().answer()
        self.assertEqual([call.answer().status for call in self.waiting], [200, 200])
        sluice.expect_end(harness.EXIT_OK, within=5)
        ended = self.check_log(self.log)
        self.assertTrue(ended["closed"])
        self.assertEqual(
            (ended["ended"]["completed"], ended["parked"], ended["in_flight"]), (3, 0, 0)
        )

    def new_ones_are_refused(self):
        call = self.sluice.chat()
        try:
            answer = call.answer(within=1)
        except TimeoutError:
            call.leave()
            return False
        self.refused_as_draining(answer)
        return True

    def test_during_the_grace_the_host_is_not_ready_but_takes_every_request(self):
        sluice = self.start(grace="20s", waiting=0)
        self.terminate()
        self.finish_first()
        call = sluice.chat()
        self.upstream.next().answer()
        self.assertEqual(call.answer().status, 200)
        self.assertFalse(sluice.status()["ready"])
        self.assertIn("drain", self.readyz().text)

    def test_at_the_deadline_what_waits_is_told_and_what_is_in_flight_is_cut(self):
        sluice = self.start(deadline="300ms")
        self.terminate()
        for call in self.waiting:
            self.refused_as_draining(call.answer(within=5))
        cut = self.first.answer(within=5)  # it had no byte of its answer yet, so it can be told
        self.assertEqual((cut.status, cut.reason), (429, "revoked"), cut)
        self.held.wait_left()
        sluice.expect_end(harness.EXIT_OK, within=5)
        ended = self.check_log(self.log)["ended"]
        self.assertEqual((ended["drained"], ended["revoked"]), (2, 1))

    def test_a_second_signal_ends_it_now(self):
        sluice = self.start(grace="60s", deadline="120s")
        self.held.start_stream()
        self.held.event({"choices": []})
        self.first.begin().readline()
        self.terminate()
        sluice.signal(signal.SIGTERM)
        for call in self.waiting:
            self.refused_as_draining(call.answer(within=5))
        with self.assertRaises((OSError, http.client.IncompleteRead)):
            self.first.answer(within=5)  # in the middle of its answer: cut
        self.held.wait_left()
        sluice.expect_end(harness.EXIT_OK, within=5)

    def test_a_request_that_is_still_arriving_is_told_too(self):
        upstream = Upstream(self)
        sluice = harness.Sluice(self, [upstream], '[drain]\ngrace = "0s"\ndeadline = "20s"\n')
        body = b'{"model":"m","messages":[]}'
        call = sluice.raw(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        self.assertEqual(call.socket.recv(99), b"HTTP/1.1 100 Continue\r\n\r\n")  # it is waited for
        call.send(body[:5])
        sluice.signal(signal.SIGTERM)
        harness.wait_until(lambda: self.is_refused(sluice), "nobody is accepted any more")
        call.send(body[5:])
        self.refused_as_draining(call.answer())
        sluice.expect_end(harness.EXIT_OK, within=5)

    def is_refused(self, sluice):
        try:
            harness.call(sluice.port, "GET", "/v1/models").answer()
        except OSError:
            return True
        return False

    def test_sigint_drains_as_well_and_an_idle_host_ends_at_once(self):
        upstream = Upstream(self)
        sluice = harness.Sluice(self, [upstream])
        idle = sluice.raw()  # a connection without a request holds nothing up
        sluice.signal(signal.SIGINT)
        sluice.expect_end(harness.EXIT_OK, within=3)
        self.assertTrue(idle.closed())


if __name__ == "__main__":
    harness.main()
